"""What is taken over from an API client: where it goes, and an LLM that goes there too.

In: an `openai.OpenAI` client. Out: an address without secrets, an asynchronous twin, and a LlamaIndex LLM that asks
through both. Knows nothing of jobs.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import openai
from llama_index.core.llms import LLM

from llama_index_ft_rag.catalog import model_facts
from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.finetuning.async_door import ThreadedClient

# Headers that every client makes for itself; what is left was set by the caller and has to go along.
_OWN_HEADERS = ("accept", "content-type", "user-agent")
# What the openai library wraps its own connections in; whoever passes an http_client passes something else.
_OWN_TRANSPORT = "HttpxClientWrapper"
_CLIENTS_OWN = (
    "api_key", "api_base", "api_version", "http_client", "async_http_client", "openai_client", "async_openai_client",
    "reuse_client",
)  # fmt: skip


def public_url(client: openai.OpenAI) -> str:
    """Address of the service as it may be written down."""
    parts = urlsplit(str(client.base_url))
    # Some proxies take the key as user:password@ in the address or as a query; neither is written anywhere.
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def sync_client_like(client: openai.AsyncOpenAI) -> openai.OpenAI:
    """Make the synchronous twin of an asynchronous client.

    Raises:
        ConfigurationError: If its way to the service cannot be read from it.
    """
    if not _is_plain(client):
        raise ConfigurationError(
            "async_client: its way to the service (an http_client, a key that changes, Azure) cannot be read from it;"
            " pass client=, its synchronous twin, as well"
        )
    return openai.OpenAI(**_settings_of(client))


def llm_like_client(
    client: openai.OpenAI,
    async_client: openai.AsyncOpenAI | None,
    name: str,
    base_model: str | None,
    model_kwargs: dict[str, Any],
) -> LLM:
    """Make an LLM of the tuned model `name` that asks through these clients: same endpoint, key and proxy.

    Without an asynchronous client it gets a twin of the synchronous one, or asks through that one on threads.

    Raises:
        ConfigurationError: If `model_kwargs` would lead it elsewhere.
    """
    if wrong := [key for key in _CLIENTS_OWN if key in model_kwargs]:
        raise ConfigurationError(f"{wrong[0]}: belongs to the client; pass client=openai.OpenAI(...) to the engine")
    # LlamaIndex retries by itself, and gives a client that is passed neither its timeout nor its headers.
    options: dict[str, Any] = {"max_retries": 0}
    if "timeout" in model_kwargs:
        options["timeout"] = model_kwargs["timeout"]
    if model_kwargs.get("default_headers"):
        options["default_headers"] = model_kwargs["default_headers"]
    asked = client.with_options(**options)
    settings: dict[str, Any] = {
        # A copy of the LLM makes clients of its own; it has to know as much as can be known.
        "default_headers": _callers_headers(asked),
        **model_kwargs,
        "openai_client": asked,
        "async_openai_client": _twin_of(asked, async_client, options),
    }
    window = model_facts(base_model).context_window if base_model else None
    if model_facts(name).context_window is None and window is not None:
        settings.setdefault("context_window", window)
    return Endpoint(base_url=str(client.base_url).rstrip("/"), api_key=client.api_key).llm(name, **settings)


def _twin_of(
    client: openai.OpenAI, async_client: openai.AsyncOpenAI | None, options: dict[str, Any]
) -> openai.AsyncOpenAI:
    if async_client is not None:
        return async_client.with_options(**options)
    if _is_plain(client):
        return openai.AsyncOpenAI(**_settings_of(client))
    return cast("openai.AsyncOpenAI", ThreadedClient(client))


def _is_plain(client: openai.OpenAI | openai.AsyncOpenAI) -> bool:
    """Whether address, key and headers are all there is to a client."""
    own_class = type(client) in (openai.OpenAI, openai.AsyncOpenAI)
    transport = type(getattr(client, "_client", None)).__name__
    # A key that a function gives is there once it was used, and expires.
    changes = getattr(client, "_api_key_provider", None) is not None
    return own_class and transport.endswith(_OWN_TRANSPORT) and bool(client.api_key) and not changes


def _settings_of(client: openai.OpenAI | openai.AsyncOpenAI) -> dict[str, Any]:
    return {
        "api_key": client.api_key,
        "organization": client.organization,
        "project": client.project,
        "base_url": client.base_url,
        "timeout": client.timeout,
        "max_retries": client.max_retries,
        "default_headers": _callers_headers(client),
        "default_query": dict(client.default_query) or None,
    }


def _callers_headers(client: openai.OpenAI | openai.AsyncOpenAI) -> dict[str, str] | None:
    headers = {
        name: value
        for name, value in client.default_headers.items()
        if isinstance(value, str)
        and value != f"Bearer {client.api_key}"
        and name.lower() not in _OWN_HEADERS
        and not name.lower().startswith("x-stainless-")
    }
    return headers or None
