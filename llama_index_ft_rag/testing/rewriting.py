"""Answers of the offline backend, taken apart and made into others; the part that several faults share.

In: a response, and how its body or the JSON in it is to change. Out: another response. Server-sent events are
changed one by one. Knows nothing of why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llama_index_ft_rag.offline.protocol import Handler, Request, Response

_DATA = b"data: "
_EVENT_END = b"\n\n"


def is_stream(response: Response) -> bool:
    """Tell whether an answer is made of server-sent events."""
    return response.headers.get("content-type", "").startswith("text/event-stream")


def whole_body(response: Response) -> bytes:
    """Read an answer to its end."""
    return b"".join(response.body)


def with_body(response: Response, body: bytes, *, content_type: str | None = None) -> Response:
    """Make the same answer with another body, complete as far as HTTP can tell."""
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    if content_type is not None:
        headers["content-type"] = content_type
    return replace(response, headers=headers, body=(body,))


def change_json(response: Response, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    """Change the JSON object of a successful answer, or that of each of its events; other answers stay."""
    if response.status >= 300:
        return response
    body = whole_body(response)
    if not is_stream(response):
        return with_body(response, _changed(body, change))
    events = [
        _DATA + _changed(event.removeprefix(_DATA), change) if event.startswith(_DATA + b"{") else event
        for event in body.split(_EVENT_END)
    ]
    return with_body(response, _EVENT_END.join(events))


def take_effect(request: Request, proceed: Handler) -> None:
    """Let a request have its effect, and throw its answer away."""
    for _ in proceed(request).body:
        pass


def json_of(request: Request) -> Mapping[str, Any]:
    """Read the JSON object that a request carries; an empty one where it carries none."""
    try:
        body = json.loads(request.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _changed(text: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    value = json.loads(text)
    return json.dumps(change(value) if isinstance(value, dict) else value).encode("ascii")
