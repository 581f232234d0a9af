"""The offline backend: requests in the shape of the OpenAI API, answered without a network.

In: a `Request` from either door. Out: a `Response`. It routes, checks the key, and turns what goes wrong into
the service's error bodies; the endpoints do the rest. Its built-in models are toys, and say so.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from llama_index_ft_rag.errors import ConfigurationError, OfflineBackendError
from llama_index_ft_rag.offline.api.batches import Batches
from llama_index_ft_rag.offline.api.chat import Chat
from llama_index_ft_rag.offline.api.completions import Completions
from llama_index_ft_rag.offline.api.embeddings import Embeddings
from llama_index_ft_rag.offline.api.files import Files
from llama_index_ft_rag.offline.api.jobs import Jobs
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.api.responses import Responses
from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.faults import Faults, segments_fit
from llama_index_ft_rag.offline.in_process import in_process_async_client, in_process_client
from llama_index_ft_rag.offline.metering import Meter
from llama_index_ft_rag.offline.protocol import (
    ConnectionLost,
    Refusal,
    Request,
    Response,
    error_response,
    refuse,
    stable_hash,
)
from llama_index_ft_rag.offline.responder import Responder
from llama_index_ft_rag.offline.service_errors import server_error
from llama_index_ft_rag.offline.state import State

logger = logging.getLogger(__name__)

_MOST_REQUESTS = 10_000


@dataclass(frozen=True, kw_only=True)
class _Route:
    method: str
    pattern: tuple[str, ...]
    """Segments of the path; `*` is an id."""
    handler: Callable[..., Response]
    is_metered: bool
    """Whether it calls a model, which rate limits and the quota count."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request that a backend was sent, and what became of it."""

    method: str
    path: str
    status: int | None
    """Of the answer; `None` where the connection was lost."""


class OfflineBackend:
    """The OpenAI API as far as fine-tuning and RAG need it, from a folder on this machine.

    Several threads may call it at once. One state folder belongs to one backend at a time.

    Args:
        state: Folder that keeps files, jobs and tuned models; `None` uses a private temporary one, which
            `close` removes.
        responder: Decides what the models say; `None` takes the built-in toy readers.
        seed: Makes ids, trainings, answers and the draws of faults repeatable.
        clock: Tells the time for the timestamps of files, jobs and completions, and for limits per minute.
        conditions: What the account may do, and how much of it; `None` limits nothing.

    Attributes:
        routes: What it answers, such as `GET /v1/files/*`; an asterisk is an id.
        conditions: The conditions in force; assign others at any time.
        faults: What goes wrong; nothing until `faults.add` is called.
        requests: What was asked, oldest first, the lines of batches among them; the last 10,000 are kept.

    Raises:
        OfflineBackendError: If the folder cannot be used, or another backend uses it.
        ConfigurationError: If the responder, the clock or the conditions are something else.

    Example:
        >>> from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder, open_clients
        >>> question = {"role": "user", "content": "What is the capital of France?"}
        >>> with OfflineBackend(responder=ScriptedResponder(["Paris."])) as backend:
        ...     client = open_clients(backend).sync
        ...     reply = client.chat.completions.create(model="gpt-4", messages=[question])
        >>> reply.choices[0].message.content
        'Paris.'
    """

    def __init__(
        self,
        state: str | Path | None = None,
        *,
        responder: Responder | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        conditions: ServiceConditions | None = None,
    ) -> None:
        if responder is None:
            from llama_index_ft_rag.offline.toys.readers import BuiltInResponder

            responder = BuiltInResponder(seed)
        if not isinstance(responder, Responder):
            raise ConfigurationError(
                f"OfflineBackend(responder={responder!r}): no responder; ScriptedResponder([...]) makes one of texts"
            )
        if not callable(clock):
            raise ConfigurationError(f"OfflineBackend(clock={clock!r}): no function; pass one that tells the time")
        self.conditions = ServiceConditions() if conditions is None else conditions
        self.requests: deque[Exchange] = deque(maxlen=_MOST_REQUESTS)
        self._meter = Meter(lambda: self.conditions, clock)
        self._state = State(None if state is None else Path(state))
        try:
            self._routes = self._make_routes(responder, seed=seed, now=lambda: int(clock()))
        except BaseException:
            self._state.close()
            raise
        self.routes = tuple(f"{route.method} /{'/'.join(route.pattern)}" for route in self._routes)
        self.faults = Faults(routes=self.routes, seed=seed)

    def handle(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            OfflineBackendError: If the backend was closed.
            ConnectionLost: If a fault says so.
        """
        if self._state.closed:
            raise OfflineBackendError("This offline backend was closed; make a new one on the same state folder")
        status = None
        try:
            response = self._answer_or_refuse(request)
            status = response.status
        finally:
            self.requests.append(Exchange(method=request.method, path=request.path, status=status))
        return _with_request_id(request, response)

    @property
    def conditions(self) -> ServiceConditions:
        """What the account may do, and how much of it."""
        return self._conditions

    @conditions.setter
    def conditions(self, conditions: ServiceConditions) -> None:
        if not isinstance(conditions, ServiceConditions):
            raise ConfigurationError(f"conditions = {conditions!r}: no conditions; assign a ServiceConditions(...)")
        self._conditions = conditions

    def http_client(self) -> Any:
        """Make an `openai.DefaultHttpxClient` whose requests come here, without a socket."""
        return in_process_client(self.handle)

    def async_http_client(self) -> Any:
        """Make an `openai.DefaultAsyncHttpxClient` whose requests come here; they are answered in line."""
        return in_process_async_client(self.handle)

    def close(self) -> None:
        """Let go of the state folder, and remove it if it was a temporary one."""
        self._state.close()

    def __enter__(self) -> OfflineBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answer_or_refuse(self, request: Request) -> Response:
        try:
            return self.faults.answer(request, self._answer)
        except Refusal as refusal:
            return error_response(refusal.failure)
        except ConnectionLost:
            raise
        except Exception:  # the one guard: whatever a responder raises is the server's fault, as in the service
            logger.exception("%s %s failed inside the offline backend", request.method, request.path)
            return error_response(server_error(" The log says what it was."))

    def _answer(self, request: Request) -> Response:
        _check_key(request)
        # Decoded after the split, so that an encoded slash stays inside its segment.
        segments = tuple(unquote(segment) for segment in request.path.strip("/").split("/"))
        fitting = [route for route in self._routes if segments_fit(route.pattern, segments)]
        for route in fitting:
            if route.method == request.method:
                ids = [value for mark, value in zip(route.pattern, segments, strict=True) if mark == "*"]
                return self._meter.answer(request, route.handler) if route.is_metered else route.handler(request, *ids)
        if fitting:
            raise refuse(f"Not allowed to {request.method} on {request.path}.", status=405, code="method_not_supported")
        raise refuse(
            f"Invalid URL ({request.method} {request.path}): the offline backend has no such endpoint.",
            status=404,
            code="unknown_url",
        )

    def _make_routes(self, responder: Responder, *, seed: int, now: Callable[[], int]) -> list[_Route]:
        def conditions() -> ServiceConditions:
            return self.conditions

        state = self._state
        models = Models(state, responder, conditions=conditions, now=now)
        files = Files(state, conditions=conditions, seed=seed, now=now)
        jobs = Jobs(state, files=files, models=models, responder=responder, conditions=conditions, seed=seed, now=now)
        batches = Batches(state, files=files, answer=self.handle, seed=seed, now=now)
        responses = Responses(models, responder, seed=seed, now=now)
        calls: list[tuple[str, Callable[..., Response]]] = [
            ("chat/completions", Chat(models, responder, seed=seed, now=now).complete),
            ("completions", Completions(models, responder, seed=seed, now=now).complete),
            ("responses", responses.create),
            ("embeddings", Embeddings(models, responder).embed),
        ]
        table: list[tuple[str, str, Callable[..., Response]]] = [
            ("GET", "models", models.list_models),
            ("GET", "models/*", models.retrieve),
            ("DELETE", "models/*", models.delete),
            ("GET", "files", files.list_files),
            ("POST", "files", files.upload),
            ("GET", "files/*", files.retrieve),
            ("DELETE", "files/*", files.delete),
            ("GET", "files/*/content", files.content),
            ("GET", "fine_tuning/jobs", jobs.list_jobs),
            ("POST", "fine_tuning/jobs", jobs.create),
            ("GET", "fine_tuning/jobs/*", jobs.retrieve),
            ("GET", "fine_tuning/jobs/*/events", jobs.events),
            ("GET", "fine_tuning/jobs/*/checkpoints", jobs.checkpoints),
            ("POST", "fine_tuning/jobs/*/cancel", jobs.cancel),
            ("POST", "fine_tuning/jobs/*/pause", jobs.pause),
            ("POST", "fine_tuning/jobs/*/resume", jobs.resume),
            ("GET", "batches", batches.list_batches),
            ("POST", "batches", batches.create),
            ("GET", "batches/*", batches.retrieve),
            ("POST", "batches/*/cancel", batches.cancel),
            ("GET", "responses/*", responses.retrieve),
            ("DELETE", "responses/*", responses.delete),
        ]
        return [
            *(_route("POST", path, handler, is_metered=True) for path, handler in calls),
            *(_route(method, path, handler, is_metered=False) for method, path, handler in table),
        ]


def _route(method: str, path: str, handler: Callable[..., Response], *, is_metered: bool) -> _Route:
    return _Route(method=method, pattern=("v1", *path.split("/")), handler=handler, is_metered=is_metered)


def _check_key(request: Request) -> None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise refuse(
            "You didn't provide an API key. You need to provide your API key in an Authorization header "
            "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY); the offline backend accepts any.",
            status=401,
            code="invalid_api_key",
        )


def _with_request_id(request: Request, response: Response) -> Response:
    body = hashlib.sha256(request.body).hexdigest()
    digest = stable_hash(request.method, request.path, dict(request.query), body)
    return replace(response, headers={**response.headers, "x-request-id": f"req_{digest[:32]}"})
