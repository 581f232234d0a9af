"""API clients of an offline backend in this process.

In: a backend. Out: one synchronous and one asynchronous `openai` client. They never retry: what the backend
refuses once, it refuses again.
"""

from __future__ import annotations

from dataclasses import dataclass

import openai

from llama_index_ft_rag.offline.backend import OfflineBackend

OFFLINE_URL = "http://offline.invalid/v1"
"""Never resolved: requests to it are answered in process. `.invalid` is reserved for this (RFC 2606)."""


@dataclass(frozen=True, kw_only=True)
class Clients:
    """Two clients of one backend."""

    sync: openai.OpenAI
    asynchronous: openai.AsyncOpenAI


def open_clients(backend: OfflineBackend) -> Clients:
    """Make clients that talk to `backend` without a socket."""
    return Clients(
        sync=openai.OpenAI(base_url=OFFLINE_URL, api_key="offline", max_retries=0, http_client=backend.http_client()),
        asynchronous=openai.AsyncOpenAI(
            base_url=OFFLINE_URL, api_key="offline", max_retries=0, http_client=backend.async_http_client()
        ),
    )
