"""Faults of time and of the connection: late, never, not at all, or only the beginning of an answer.

In: how late, or where it breaks. Out: faults. `took_effect` says on which side of the service's work it
happens: a client cannot tell, and must not do twice what was done. Knows nothing of what is asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline.faults import Fault
from llama_index_ft_rag.offline.protocol import ConnectionLost, Handler, Request, Response
from llama_index_ft_rag.testing.rewriting import take_effect, whole_body


@dataclass(frozen=True, kw_only=True)
class _Delay(Fault):
    seconds: float

    def strike(self, request: Request, proceed: Handler) -> Response:
        response = proceed(request)
        return replace(response, delay=response.delay + self.seconds)


@dataclass(frozen=True, kw_only=True)
class _Hang(Fault):
    took_effect: bool

    def strike(self, request: Request, proceed: Handler) -> Response:
        if self.took_effect:
            take_effect(request, proceed)
        return Response(status=504, headers={}, body=(), delay=math.inf)


@dataclass(frozen=True, kw_only=True)
class _Drop(Fault):
    took_effect: bool

    def strike(self, request: Request, proceed: Handler) -> Response:
        if self.took_effect:
            take_effect(request, proceed)
        raise ConnectionLost


@dataclass(frozen=True, kw_only=True)
class _Cut(Fault):
    after: float

    def strike(self, request: Request, proceed: Handler) -> Response:
        response = proceed(request)
        body = whole_body(response)
        headers = dict(response.headers)
        if not response.is_stream:
            headers["content-length"] = str(len(body))  # more than will come
        return replace(response, headers=headers, body=_broken(first_part(body, self.after)))


def delay(seconds: float) -> Fault:
    """Answer late: the request takes effect at once, the first byte comes after `seconds`."""
    if not 0 <= seconds < math.inf:
        raise ConfigurationError(f"delay({seconds}): not a number of seconds; for no answer at all there is hang()")
    return _Delay(name="delay", seconds=seconds)


def hang(*, took_effect: bool = False) -> Fault:
    """Never answer: the client waits until its own time limit, before or after the request took effect."""
    return _Hang(name="hang", took_effect=took_effect)


def drop_connection(*, took_effect: bool = False) -> Fault:
    """Hang up without a byte of an answer, before or after the request took effect."""
    return _Drop(name="drop_connection", took_effect=took_effect)


def cut_body(*, after: float = 0.5) -> Fault:
    """Hang up in the middle of the answer, of a stream of events too; the request took effect.

    Args:
        after: How many bytes arrive, or which share of the body where it is below 1. The last byte never does.
    """
    return _Cut(name="cut_body", after=checked_part(after))


def first_part(body: bytes, after: float) -> bytes:
    """Return so many bytes of a body, or such a share of it, and never all of it."""
    size = after * len(body) if after < 1 else after
    return body[: min(int(size), max(0, len(body) - 1))]


def checked_part(after: float) -> float:
    """Refuse what is neither a share nor a number of bytes.

    Raises:
        ConfigurationError: If it is below 0 or without end.
    """
    if not 0 <= after < math.inf:
        raise ConfigurationError(f"after={after}: pass a number of bytes, or a share of the body between 0 and 1")
    return after


def _broken(part: bytes) -> Iterator[bytes]:
    if part:
        yield part
    raise ConnectionLost
