"""Faults in the lives of files, jobs and tuned models: slow, broken, failing, endless, without a result.

In: when it goes wrong, and what the service says then. Out: faults. Lives move on by looks, one state for each
request that asks, so a test waits for nothing. Knows nothing of how jobs are run: it gives orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline.faults import Fault, fits
from llama_index_ft_rag.offline.protocol import Handler, Request, Response, refuse
from llama_index_ft_rag.testing.http_errors import CHAT_ROUTE, JOBS_ROUTE
from llama_index_ft_rag.testing.rewriting import change_json, json_of

FILE_ROUTES = ("GET /v1/files/*", "GET /v1/files")


@dataclass(frozen=True, kw_only=True)
class _FileShown(Fault):
    """Shows files in another state than they are in, alone and in lists."""

    status: str
    details: str | None = None

    def concerns(self, request: Request) -> bool:
        return any(fits(route, request.method, request.path) for route in FILE_ROUTES)

    def strike(self, request: Request, proceed: Handler) -> Response:
        return change_json(proceed(request), self._changed)

    def _changed(self, shown: dict[str, Any]) -> dict[str, Any]:
        if shown["object"] == "list":
            return {**shown, "data": [self._changed(item) for item in shown["data"]]}
        if shown["purpose"] != "fine-tune":
            return shown
        return {**shown, "status": self.status, "status_details": self.details}


@dataclass(frozen=True, kw_only=True)
class _Refused(Fault):
    refusal: Callable[[Mapping[str, Any]], Exception]
    is_meant: Callable[[Mapping[str, Any]], bool] = lambda _: True

    def concerns(self, request: Request) -> bool:
        return self.is_meant(json_of(request))

    def strike(self, request: Request, proceed: Handler) -> Response:  # noqa: ARG002 - nothing takes effect
        raise self.refusal(json_of(request))


@dataclass(frozen=True, kw_only=True)
class _JobFate(Fault):
    fate: Mapping[str, Any]
    route: str = JOBS_ROUTE

    def strike(self, request: Request, proceed: Handler) -> Response:
        return proceed(replace(request, orders={**request.orders, "job_fate": dict(self.fate)}))


def slow_file(*, looks: int = 2) -> Fault:
    """Show training files as `uploaded`, not yet `processed`, for so many looks."""
    return _FileShown(name="slow_file", route="GET /v1/files/*", times=looks, status="uploaded")


def broken_file(reason: str = "the file cannot be parsed: line 3 contains invalid JSON") -> Fault:
    """Show training files as `error`, with the reason in `status_details`, from now on."""
    return _FileShown(name="broken_file", times=None, status="error", details=reason)


def file_not_ready() -> Fault:
    """400 when a job is created: its training file is still being processed."""

    def refusal(body: Mapping[str, Any]) -> Exception:
        return refuse(
            f"File '{body.get('training_file')}' is still being processed and is not ready to be used for "
            "fine-tuning. Please try again later.",
            param="training_file",
        )

    return _Refused(name="file_not_ready", route=JOBS_ROUTE, refusal=refusal)


def job_fails_at_step(
    step: int, *, message: str = "The job failed due to an internal error.", code: str = "server_error"
) -> Fault:
    """Let the job that is created fail at a step of its training, with this error."""
    if step < 1:
        raise ConfigurationError(f"job_fails_at_step({step}): steps count from 1")
    return _JobFate(name="job_fails_at_step", fate={"fails_at_step": step, "message": message, "code": code})


def job_never_ends(*, status: Literal["validating_files", "queued", "running"] = "running") -> Fault:
    """Let the job that is created reach a status and stay there."""
    return _JobFate(name="job_never_ends", fate={"stays": status})


def job_without_model() -> Fault:
    """Let the job that is created succeed without a model, as when the service's safety checks block it."""
    return _JobFate(name="job_without_model", fate={"no_model": True})


def model_missing_at_first(*, looks: int = 2) -> Fault:
    """404 `model_not_found` for the first requests to tuned models, which the service is still loading."""

    def refusal(body: Mapping[str, Any]) -> Exception:
        message = f"The model `{body['model']}` does not exist or you do not have access to it."
        return refuse(message, status=404, code="model_not_found")

    return _Refused(
        name="model_missing_at_first",
        route=CHAT_ROUTE,
        times=looks,
        refusal=refusal,
        is_meant=lambda body: str(body.get("model", "")).startswith("ft:"),
    )
