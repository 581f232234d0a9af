"""Requests to an offline backend as no client library would alter them."""

from __future__ import annotations

import json
from typing import NamedTuple

from llama_index_ft_rag.offline import OfflineBackend, Request

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""The smallest image, as its own address."""
LINE = b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
"""A line of a training file."""


class Reply(NamedTuple):
    """One answer."""

    status: int
    body: dict


def post(backend: OfflineBackend, path: str, body: object) -> Reply:
    """Send a JSON body and read the JSON body of the answer."""
    response = send(backend, path, body)
    return Reply(response.status, json.loads(b"".join(response.body)))


def post_stream(backend: OfflineBackend, path: str, body: dict) -> list[dict]:
    """Send a JSON body and read the data of each server-sent event, the end mark aside."""
    response = send(backend, path, {**body, "stream": True})
    lines = b"".join(response.body).decode().splitlines()
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(text) for text in data if text != "[DONE]"]


def send(backend: OfflineBackend, path: str, body: object):
    """Send a JSON body, or bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return backend.handle(Request(method="POST", path=path, headers={"authorization": "Bearer any"}, body=data))
