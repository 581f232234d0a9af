"""The door in this process: HTTP clients whose requests reach a handler without a socket.

In: requests as objects of the client library that the installed openai uses. Out: responses of the same
library, or its errors where a connection is lost or a wait takes longer than the client's time limit.
Knows nothing of the API.
"""

from __future__ import annotations

import importlib
import math
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import IO, Any
from urllib.parse import parse_qsl

import anyio
import openai

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline.protocol import ConnectionLost, Handler, Request, Response, is_form

_NO_ANSWER = "Server disconnected without sending a response."
_HALF_ANSWER = "peer closed connection without sending complete message body"


def in_process_client(handle: Handler) -> Any:
    """Make an HTTP client for `openai.OpenAI(http_client=...)` that calls `handle`, without a socket."""
    library = client_library()
    stream = type("OfflineStream", (_Stream, library.SyncByteStream), {"library": library})

    def handle_request(_transport: Any, request: Any) -> Any:
        with _Spool(request) as spool:
            for chunk in request.stream:
                spool.write(chunk)
            response = _ask(library, handle, spool.request())
        wait = _waiting_time(response, request)
        time.sleep(wait.seconds)
        if wait.in_vain:
            response.close()
            raise library.ReadTimeout("The read operation timed out", request=request)
        return library.Response(response.status, headers=list(response.headers.items()), stream=stream(response))

    transport = type("OfflineTransport", (library.BaseTransport,), {"handle_request": handle_request})
    return openai.DefaultHttpxClient(transport=transport())


def in_process_async_client(handle: Handler) -> Any:
    """Make an HTTP client for `openai.AsyncOpenAI(http_client=...)` that calls `handle`, without a socket.

    The answer is made in line, between two awaits; only a response's delay lets other tasks run.
    """
    library = client_library()
    stream = type("OfflineAsyncStream", (_AsyncStream, library.AsyncByteStream), {"library": library})

    async def handle_async_request(_transport: Any, request: Any) -> Any:
        with _Spool(request) as spool:
            async for chunk in request.stream:
                spool.write(chunk)
            response = _ask(library, handle, spool.request())
        wait = _waiting_time(response, request)
        try:
            await anyio.sleep(wait.seconds)
        except BaseException:  # the caller has a deadline of its own
            response.close()
            raise
        if wait.in_vain:
            response.close()
            raise library.ReadTimeout("The read operation timed out", request=request)
        return library.Response(response.status, headers=list(response.headers.items()), stream=stream(response))

    members = {"handle_async_request": handle_async_request}
    transport = type("OfflineAsyncTransport", (library.AsyncBaseTransport,), members)
    return openai.DefaultAsyncHttpxClient(transport=transport())


def client_library() -> ModuleType:
    """Return the library that the installed openai makes HTTP requests with: httpx for openai 2, httpx2 for openai 3.

    Raises:
        ConfigurationError: If it is another one.
    """
    for kind in openai.DefaultHttpxClient.__mro__:  # whatever its own client derives from
        name = kind.__module__.partition(".")[0]
        if name.startswith("httpx"):
            return importlib.import_module(name)
    raise ConfigurationError(
        f"openai {openai.__version__}: its HTTP client is not built on httpx or httpx2; install openai>=2,<4"
    )


class _Stream:
    """The body of a response, as its client reads it; one that is left early lets go of what it holds."""

    library: ModuleType

    def __init__(self, response: Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.body
        except ConnectionLost as exc:
            raise self.library.RemoteProtocolError(_HALF_ANSWER) from exc

    def close(self) -> None:
        self._response.close()


class _AsyncStream(_Stream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    async def aclose(self) -> None:
        self.close()


class _Wait:
    def __init__(self, delay: float, limit: float | None) -> None:
        self.in_vain = delay == math.inf if limit is None else delay >= limit > 0
        # What will never come is not waited for: the client's time limit is taken to have passed, or, where it has
        # none, somebody to have ended it.
        self.seconds = 0.0 if delay == math.inf else (limit or 0.0) if self.in_vain else delay


def _waiting_time(response: Response, request: Any) -> _Wait:
    return _Wait(response.delay, request.extensions.get("timeout", {}).get("read"))


class _Spool:
    """The body of one request: in memory, or in a temporary file if it is a form."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._headers = {name.lower(): value for name, value in request.headers.items()}
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None

    def __enter__(self) -> _Spool:
        if is_form(self._headers):
            self._file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, chunk: bytes) -> None:
        if self._file is not None:
            self._file.write(chunk)
        else:
            self._chunks.append(chunk)

    def request(self) -> Request:
        path, _, query = self._request.url.raw_path.decode("ascii").partition("?")
        if self._file is not None:
            self._file.seek(0)
        return Request(
            method=self._request.method,
            path=path,
            query=dict(parse_qsl(query)),
            headers=self._headers,
            body=b"".join(self._chunks),
            upload=self._file,
        )


def _ask(library: ModuleType, handle: Handler, request: Request) -> Response:
    try:
        return handle(request)
    except ConnectionLost as exc:
        raise library.RemoteProtocolError(_NO_ANSWER) from exc
