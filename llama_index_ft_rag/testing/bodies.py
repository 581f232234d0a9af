"""Faults in which a complete answer holds something else than it should.

In: what is wrong with the body. Out: faults. The request took effect, the status is the one of a success and
HTTP sees nothing wrong. Where there is nothing to damage, a fault waits. Knows nothing of what the answer is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from llama_index_ft_rag.offline.faults import Fault
from llama_index_ft_rag.offline.protocol import Handler, Request, Response
from llama_index_ft_rag.testing.connections import checked_part, first_part
from llama_index_ft_rag.testing.http_errors import CHAT_ROUTE
from llama_index_ft_rag.testing.rewriting import change_body, change_json, whole_body, with_body

_LOGIN_PAGE = b"<!doctype html>\n<html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>\n"


@dataclass(frozen=True, kw_only=True)
class _ChangedAnswer(Fault):
    change: Callable[[Response], Response] = field(repr=False)

    def strike(self, request: Request, proceed: Handler) -> Response:
        return self.change(proceed(request))


def truncated_json(*, after: float = 0.5) -> Fault:
    """End the body too early, although the answer is complete: JSON that breaks off, a stream without its end.

    Args:
        after: How many bytes are there, or which share of the body where it is below 1.
    """
    part = checked_part(after)
    return _damaged("truncated_json", lambda body: first_part(body, part))


def malformed_json() -> Fault:
    """Write single quotes where JSON has double ones, in each event of a stream too."""
    return _damaged("malformed_json", lambda body: body.replace(b'"', b"'"))


def empty_body() -> Fault:
    """Send no body at all."""
    return _damaged("empty_body", lambda _: b"")


def html_page() -> Fault:
    """Answer with a login page and status 200, as a proxy or captive portal does."""

    def page(response: Response) -> Response:
        whole_body(response)  # a download that is not read to its end stays open
        return replace(with_body(response, _LOGIN_PAGE, content_type="text/html; charset=utf-8"), status=200)

    return _ChangedAnswer(name="html_page", change=page)


def wrong_content_type(content_type: str = "text/plain; charset=utf-8") -> Fault:
    """Call the right body something that it is not."""

    def renamed(response: Response) -> Response:
        if response.headers.get("content-type") == content_type:
            return response
        return replace(response, headers={**response.headers, "content-type": content_type})

    return _ChangedAnswer(name="wrong_content_type", change=renamed)


def missing_field(field: str) -> Fault:
    """Leave a top-level field out of the JSON of an answer or event, such as `choices` or `id`, where there is one."""

    def without(value: dict[str, Any]) -> dict[str, Any]:
        return {name: part for name, part in value.items() if name != field}

    return _ChangedAnswer(name=f"missing_field({field})", change=lambda response: change_json(response, without))


def error_in_stream(message: str = "The server had an error while processing your request.") -> Fault:
    """End a stream after its first events with an event that is an error; other answers stay as they are."""
    event = json.dumps({"error": {"message": message, "type": "server_error", "param": None, "code": None}})

    def broken(body: bytes) -> bytes:
        events = body.split(b"\n\n")
        return b"\n\n".join([*events[: len(events) // 2], b"data: " + event.encode("ascii"), b""])

    return _ChangedAnswer(
        name="error_in_stream",
        route=CHAT_ROUTE,
        change=lambda response: change_body(response, broken) if response.is_stream else response,
    )


def _damaged(name: str, damage: Callable[[bytes], bytes]) -> Fault:
    return _ChangedAnswer(name=name, change=lambda response: change_body(response, damage))
