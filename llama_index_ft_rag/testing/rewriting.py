"""Answers of the offline backend, taken apart and made into others; the part that several faults share.

In: a response, and how its body or the JSON in it is to change. Out: another response, or the very same one where
nothing in it changed. Server-sent events are changed one by one. Knows nothing of why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from llama_index_ft_rag.offline.protocol import EVENTS_TYPE, JSON_TYPE, Handler, Request, Response

_DATA = b"data: "


def whole_body(response: Response) -> bytes:
    """Read an answer to its end."""
    return b"".join(response.body)


def with_body(response: Response, body: bytes, *, content_type: str | None = None) -> Response:
    """Make the same answer with another body, complete as far as HTTP can tell."""
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    if content_type is not None:
        headers["content-type"] = content_type
    return replace(response, headers=headers, body=(body,))


def change_body(response: Response, change: Callable[[bytes], bytes]) -> Response:
    """Change the bytes of an answer, whatever they are."""
    body = whole_body(response)
    changed = change(body)
    # What can be read only once has been read: it cannot be handed on as it was.
    is_as_it_was = changed == body and not isinstance(response.body, Iterator)
    return response if is_as_it_was else with_body(response, changed)


def change_json(response: Response, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    """Change the JSON object of a successful answer, or that of each of its events.

    Errors, other types of content, and a text that is no JSON object stay as they are.
    """
    if response.status >= 300 or response.content_type not in {JSON_TYPE, EVENTS_TYPE}:
        return response
    if not response.is_stream:
        return change_body(response, lambda body: _changed(body, change))
    return change_body(response, lambda body: b"\n".join(_changed_line(line, change) for line in body.split(b"\n")))


def take_effect(request: Request, proceed: Handler) -> None:
    """Let a request have its effect, and throw its answer away."""
    for _ in proceed(request).body:
        pass


def _changed_line(line: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    return _DATA + _changed(line.removeprefix(_DATA), change) if line.startswith(_DATA) else line


def _changed(text: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict):
        return text
    before = json.dumps(value)  # now: a change may be made in place
    after = json.dumps(change(value))
    return text if after == before else after.encode("ascii")
