"""Faults in the lives of files, jobs and tuned models: slow, broken, failing, endless, without a result.

In: when it goes wrong, and what the service says then. Out: faults. Lives move on by looks, one state for each
request that asks, so a test waits for nothing. Knows nothing of how jobs are run: it gives orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline.api.job_fates import JobFate, StatusToStayIn
from llama_index_ft_rag.offline.faults import Fault
from llama_index_ft_rag.offline.protocol import Handler, Refusal, Request, Response, json_of
from llama_index_ft_rag.offline.responder import ApiFailure
from llama_index_ft_rag.offline.service_errors import model_not_found
from llama_index_ft_rag.testing.http_errors import CHAT_ROUTE, JOBS_ROUTE
from llama_index_ft_rag.testing.rewriting import change_json

FILE_ROUTES = ("GET /v1/files/*", "GET /v1/files")


@dataclass(frozen=True, kw_only=True)
class _FileShown(Fault):
    """Shows training files in another state than they are in, alone and in lists."""

    status: str
    details: str | None = None
    reach: tuple[str, ...] = FILE_ROUTES

    def strike(self, request: Request, proceed: Handler) -> Response:
        return change_json(proceed(request), self._changed)

    def _changed(self, shown: dict[str, Any]) -> dict[str, Any]:
        if shown.get("object") == "list":
            return {**shown, "data": [self._changed(item) for item in shown["data"]]}
        if shown.get("purpose") != "fine-tune":
            return shown
        return {**shown, "status": self.status, "status_details": self.details}


@dataclass(frozen=True, kw_only=True)
class _Refused(Fault):
    failure: Callable[[Mapping[str, Any]], ApiFailure] = field(repr=False)
    is_meant: Callable[[Mapping[str, Any]], bool] = field(default=lambda _: True, repr=False)

    def concerns(self, request: Request) -> bool:
        return self.is_meant(json_of(request))

    def strike(self, request: Request, proceed: Handler) -> Response:  # noqa: ARG002 - nothing takes effect
        raise Refusal(self.failure(json_of(request)))


@dataclass(frozen=True, kw_only=True)
class _FatedJob(Fault):
    fate: JobFate
    route: str = JOBS_ROUTE
    reach: tuple[str, ...] = (JOBS_ROUTE,)

    def strike(self, request: Request, proceed: Handler) -> Response:
        return proceed(replace(request, orders={**request.orders, "job_fate": self.fate.to_json()}))


def slow_file(*, looks: int = 2) -> Fault:
    """Show training files as `uploaded`, not yet `processed`, for so many looks."""
    _check_looks("slow_file", looks)
    return _FileShown(name="slow_file", route="GET /v1/files/*", times=looks, status="uploaded")


def broken_file(reason: str = "the file cannot be parsed: line 3 contains invalid JSON") -> Fault:
    """Show training files as `error`, with the reason in `status_details`, from now on."""
    return _FileShown(name="broken_file", times=None, status="error", details=reason)


def file_not_ready() -> Fault:
    """400 when a job is created: its training file is still being processed."""

    def failure(body: Mapping[str, Any]) -> ApiFailure:
        return ApiFailure(
            message=f"File '{body.get('training_file')}' is still being processed and is not ready to be used for "
            "fine-tuning. Please try again later.",
            param="training_file",
        )

    return _Refused(name="file_not_ready", route=JOBS_ROUTE, reach=(JOBS_ROUTE,), failure=failure)


def job_fails_at_step(step: int, *, message: str = JobFate.message, code: str = JobFate.code) -> Fault:
    """Let the job that is created fail at a step of its training, counted from 1, or at the last if it has fewer."""
    return _FatedJob(name="job_fails_at_step", fate=JobFate(fails_at_step=step, message=message, code=code))


def job_never_ends(*, status: StatusToStayIn = "running") -> Fault:
    """Let the job that is created reach a status and stay there."""
    return _FatedJob(name="job_never_ends", fate=JobFate(stays=status))


def job_without_model() -> Fault:
    """Let the job that is created succeed without a model, as when the service's safety checks block it."""
    return _FatedJob(name="job_without_model", fate=JobFate(no_model=True))


def model_missing_at_first(*, looks: int = 2) -> Fault:
    """404 `model_not_found` for the first requests to tuned models, which the service is still loading."""
    _check_looks("model_missing_at_first", looks)
    return _Refused(
        name="model_missing_at_first",
        route=CHAT_ROUTE,
        times=looks,
        failure=lambda body: model_not_found(body["model"]),
        is_meant=lambda body: str(body.get("model", "")).startswith("ft:"),
    )


def _check_looks(name: str, looks: int) -> None:
    if looks < 1:
        raise ConfigurationError(f"{name}(looks={looks}): pass how many looks meet it, at least 1")
