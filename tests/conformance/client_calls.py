"""Every call of the openai client that the offline backend serves: sync and async, through both doors.

A program of its own, for any environment that has openai and this package, be it without its other dependencies.
Out: JSON with the version of openai, and by operation what went wrong, through which door and client.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import openai

from conformance import client_model_calls, client_training_calls  # noqa: F401 - they fill the list of calls
from conformance.client_api import CALLS, MODEL, Api, Call, answer
from llama_index_ft_rag.offline import OfflineBackend, Request, Response, ScriptedResponder, serve
from llama_index_ft_rag.offline.faults import Fault, fits

NOT_SERVED = {
    "chat.completions.delete",
    "chat.completions.list",
    "chat.completions.retrieve",
    "chat.completions.update",
    "responses.cancel",
    "responses.compact",
    "responses.connect",
}
"""Methods beside those called here: stored completions, background and compacted responses, and web sockets."""

RESOURCES = (
    "batches",
    "chat.completions",
    "completions",
    "embeddings",
    "files",
    "fine_tuning.jobs",
    "fine_tuning.jobs.checkpoints",
    "models",
    "responses",
)


@dataclass(frozen=True, kw_only=True)
class Watch(Fault):
    """Spoils nothing, and keeps which requests came."""

    name: str = "watch"
    times: int | None = None
    came: set[str] = field(default_factory=set)
    """Such as `GET /v1/files`."""

    def strike(self, request: Request, proceed: Callable[[Request], Response]) -> Response:
        """Answer as if nothing were wrong."""
        self.came.add(f"{request.method} {request.path}")
        return proceed(request)


async def problem_of(made: Call, operation: str, *, door: str, is_async: bool) -> str | None:
    """Make one call on a new backend; return what went wrong."""
    with OfflineBackend(responder=ScriptedResponder(answer, models=[MODEL])) as backend:
        watch = Watch()
        backend.faults.add(watch)
        server = serve(backend) if door == "loopback" else None
        kind = openai.AsyncOpenAI if is_async else openai.OpenAI
        make_door = backend.async_http_client if is_async else backend.http_client
        settings: dict[str, Any] = {"base_url": server.url} if server else {"http_client": make_door()}
        api = Api(kind(**{"base_url": "http://offline.invalid/v1", **settings}, api_key="any", max_retries=0), backend)
        try:
            await made(api)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this program is there to report
            return f"{type(error).__name__}: {error}"
        finally:
            await api(api.client.close())
            if server:
                server.close()
    reached = any(fits(operation, *request.split(" ", 1)) for request in watch.came)
    return None if reached else f"never asked for {operation}"


async def problems_by_operation() -> dict[str, list[str]]:
    """Make all calls in all ways; operations that are not served, or not called, are left out."""
    with OfflineBackend(responder=ScriptedResponder(answer)) as backend:
        served = backend.routes
    found: dict[str, list[str]] = {operation: [] for _, operation, _ in CALLS if operation in served}
    for _, operation, made in CALLS:
        for door in ("loopback", "in process") if operation in served else ():
            for is_async in (False, True):
                problem = await problem_of(made, operation, door=door, is_async=is_async)
                if problem is not None:
                    way = f"{made.__name__}, {'async' if is_async else 'sync'}, {door}"
                    found[operation].append(f"{way}: {problem}")
    return found


def uncalled_methods() -> list[str]:
    """Name the methods of the served resources that nothing here calls or names as not served."""
    client = openai.OpenAI(api_key="any")
    known = {method for method, _, _ in CALLS} | NOT_SERVED
    public: set[str] = set()
    for resource in RESOURCES:
        kind = client
        for name in resource.split("."):
            kind = getattr(kind, name)
        methods = (name for name, value in vars(type(kind)).items() if inspect.isfunction(value))
        public |= {f"{resource}.{name}" for name in methods if not name.startswith("_")}
    client.close()
    return sorted(public - known)


if __name__ == "__main__":
    problems = asyncio.run(problems_by_operation())
    json.dump({"openai": openai.__version__, "problems": problems, "uncalled": uncalled_methods()}, sys.stdout)
