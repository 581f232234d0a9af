"""What is taken over from an API client: where it goes, and an LLM that goes there too.

In: an `openai.OpenAI` client. Out: an address without secrets, and a LlamaIndex LLM. Knows nothing of jobs.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import openai
from llama_index.core.llms import LLM

from llama_index_ft_rag.catalog import model_facts
from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline import OFFLINE_URL

# Headers that every client makes for itself; what is left was set by the caller and has to go along.
_OWN_HEADERS = ("accept", "content-type", "user-agent")


def public_url(client: openai.OpenAI) -> str:
    """Address of the service as it may be written down."""
    parts = urlsplit(str(client.base_url))
    # Some proxies take the key as user:password@ in the address or as a query; neither is written anywhere.
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def llm_like_client(client: openai.OpenAI, name: str, base_model: str, model_kwargs: dict[str, Any]) -> LLM:
    """Make an LLM of the tuned model `name` at the endpoint, with the key and the headers of `client`.

    Raises:
        ConfigurationError: If the client does not say how; `make_llm` has to.
    """
    if isinstance(client, openai.AzureOpenAI) or not client.api_key:
        raise ConfigurationError(
            f"{name}: how to reach the tuned model cannot be read from this client (an Azure deployment, or a"
            " key that changes); pass make_llm=lambda model, **kwargs: ... to the engine"
        )
    if str(client.base_url).startswith(OFFLINE_URL):
        raise ConfigurationError(
            f"{name}: this client reaches the offline backend inside this process, which cannot be read from it;"
            " pass make_llm=endpoint.llm to the engine, with endpoint = Endpoint.for_offline(backend)"
        )
    settings: dict[str, Any] = {"default_headers": _callers_headers(client), **model_kwargs}
    window = model_facts(base_model).context_window
    if model_facts(name).context_window is None and window is not None:
        settings.setdefault("context_window", window)
    return Endpoint(base_url=str(client.base_url).rstrip("/"), api_key=client.api_key).llm(name, **settings)


def _callers_headers(client: openai.OpenAI) -> dict[str, str] | None:
    headers = {
        name: value
        for name, value in client.default_headers.items()
        if isinstance(value, str)
        and value != f"Bearer {client.api_key}"
        and name.lower() not in _OWN_HEADERS
        and not name.lower().startswith("x-stainless-")
    }
    return headers or None
