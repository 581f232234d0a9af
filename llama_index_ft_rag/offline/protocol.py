"""Requests and responses of the offline backend, and the JSON bodies all its endpoints share.

In: a request as either door took it. Out: a response that either door can send. A handler refuses a request
by raising `Refusal`, which carries the service's error body; `ConnectionLost` ends it without an answer. Knows
nothing of sockets, models or files.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Any

from llama_index_ft_rag.offline.responder import ApiFailure

JSON_TYPE = "application/json"
BLOCK_BYTES = 1024 * 1024
"""How much of what may be larger than the memory is read at once."""
EVENTS_TYPE = "text/event-stream"
EVENT_HEADERS = {"content-type": f"{EVENTS_TYPE}; charset=utf-8", "cache-control": "no-cache"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    """Without the query, percent-encoded as it came: `/v1/files/file-1`."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = field(default=b"", repr=False)
    """Empty where there is an `upload`."""
    upload: IO[bytes] | None = field(default=None, repr=False)
    """The body of a form, in a temporary file at its start: it may be larger than the memory."""
    orders: Mapping[str, Any] = field(default_factory=dict)
    """What a fault asks of the endpoint; empty in all other traffic. JSON can hold it."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """One HTTP response; server-sent events come as several chunks."""

    status: int
    headers: Mapping[str, str]
    """Where `content-length` is among them, the body is sent chunk by chunk as it comes."""
    body: Iterable[bytes] = field(repr=False)
    """May raise `ConnectionLost` between two chunks."""
    delay: float = 0.0
    """Seconds that pass before the first byte; `math.inf` waits until the client gives up."""
    tokens: int = 0
    """Tokens that answering used, which count against rate limits and quota."""

    def close(self) -> None:
        """Let go of what the body holds open; a body that was read to its end holds nothing."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()

    @property
    def content_type(self) -> str:
        """What the body is, in lower case and without parameters; empty where the headers do not say."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_stream(self) -> bool:
        """Whether the body is made of server-sent events."""
        return self.content_type == EVENTS_TYPE


Handler = Callable[[Request], Response]


class FileBody:
    """The bytes of an open file as the body of a response, read once; it closes the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        with self._file:
            while block := self._file.read(BLOCK_BYTES):
                yield block

    def close(self) -> None:
        """Close the file, read or not."""
        self._file.close()


class ConnectionLost(Exception):  # noqa: N818 - what happened to the connection, not an error of ours
    """Ends an answer without the rest of it, or without any of it."""


class Refusal(Exception):  # noqa: N818 - not an error of ours: the answer that the client gets
    """Ends the handling of a request with an error body."""

    def __init__(self, failure: ApiFailure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def refuse(message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> Refusal:
    """Make the refusal of a request that is at fault, to be raised."""
    return Refusal(ApiFailure(message=message, status=status, param=param, code=code))


def json_response(value: Mapping[str, Any], *, status: int = 200, tokens: int = 0) -> Response:
    """Answer with one JSON object."""
    # Escaped to ASCII, so that a lone surrogate in a model's text cannot break the encoding.
    body = (json.dumps(value).encode("ascii"),)
    return Response(status=status, headers={"content-type": JSON_TYPE}, body=body, tokens=tokens)


def error_response(failure: ApiFailure) -> Response:
    """Answer with the service's error body."""
    error = {
        "message": failure.message,
        "type": failure.type,
        "param": failure.param,
        "code": failure.code,
    }
    response = json_response({"error": error}, status=failure.status)
    if failure.retry_after is None:
        return response
    # As the service does: whole seconds for everybody, milliseconds for its own clients.
    waits = {
        "retry-after": str(math.ceil(failure.retry_after)),
        "retry-after-ms": str(math.ceil(failure.retry_after * 1000)),
    }
    return replace(response, headers={**response.headers, **waits})


def event_stream(chunks: Iterable[Mapping[str, Any]], *, tokens: int = 0) -> Response:
    """Answer with server-sent events, one per chunk, and the end mark."""
    body = [b"data: " + json.dumps(chunk).encode("ascii") + b"\n\n" for chunk in chunks]
    return Response(status=200, headers=EVENT_HEADERS, body=(*body, b"data: [DONE]\n\n"), tokens=tokens)


def is_form(headers: Mapping[str, str]) -> bool:
    """Tell whether a request's body is a multipart form, which may be as large as a file."""
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


def parse_object(body: bytes) -> dict[str, Any]:
    """Read the JSON object of a request body.

    Raises:
        Refusal: If it is not one.
    """
    try:
        value = load_json(body)
    except ValueError as exc:
        raise refuse(
            "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload, "
            f"but what was sent was not valid JSON ({exc})."
        ) from exc
    if not isinstance(value, dict):
        raise refuse(f"The body of a request is a JSON object, not a {type(value).__name__}.")
    return value


def json_of(request: Request) -> Mapping[str, Any]:
    """Read the JSON object that a request carries; an empty one where it carries none."""
    try:
        body = load_json(request.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def load_json(text: bytes | str) -> Any:
    """Parse strict JSON.

    Raises:
        ValueError: If it is not UTF-8, not JSON, holds NaN, Infinity or a number like 1e999, or is nested too deeply.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(decoded, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def list_response(
    items: Sequence[Mapping[str, Any]], query: Mapping[str, str], *, default_limit: int, max_limit: int
) -> Response:
    """Answer with a page of a list: the first `limit` items behind the one that `after` names."""
    start = 0
    if after := query.get("after"):
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise refuse(f"Invalid value for 'after': there is no {after!r} in this list.", param="after")
        start = places[0] + 1
    limit = _limit(query.get("limit"), default=default_limit, maximum=max_limit)
    page = items[start : start + limit]
    return json_response(
        {
            "object": "list",
            "data": list(page),
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": start + limit < len(items),
        }
    )


def stable_hash(*parts: Any) -> str:
    """Return 64 hex digits that depend on the parts alone: not on the process, the clock or key order."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _limit(given: str | None, *, default: int, maximum: int) -> int:
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= maximum):
        raise refuse(f"Invalid value for 'limit': expected 1 to {maximum}, but got {given!r}.", param="limit")
    return int(given)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
