"""The one place that makes LLMs, embeddings and API clients.

In: an endpoint (where, with which key) and a model name. Out: LlamaIndex objects and an `openai.OpenAI` client
that all talk to that endpoint. Pipeline, tuned LLM, ledger and cost go through here, so that a tuned model is
always asked where it was made. Knows nothing of what is asked.
"""

from __future__ import annotations

import atexit
import os
import re
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai.utils import is_function_calling_model, is_json_schema_supported
from llama_index.llms.openai_like import OpenAILike

from llama_index_ft_rag.catalog import model_facts
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline import EMBEDDING_MODEL, OFFLINE_URL, OfflineBackend

OPENAI_URL = "https://api.openai.com/v1"
# What a server that nobody knows is trusted to take when nothing else is said.
UNKNOWN_CONTEXT_WINDOW = 8192
SHORTEST_KEY = 8
"""Shorter values, such as `none` for a server without keys, are no secrets and occur in ordinary text."""
_keys_in_use: set[str] = set()
_KEY = re.compile(r"\b(sk|key|api)-[\w*.-]{6,}")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible service: its address and key, or the offline backend in this process."""

    base_url: str = OPENAI_URL
    api_key: str = field(default="", repr=False)
    offline: OfflineBackend | Path | None = field(default=None, repr=False)
    """The offline backend, or its state folder, which is opened when the first LLM is made."""
    timeout_s: float = 120.0
    """Deadline of one request, in seconds."""
    max_retries: int | None = None
    """How often an LLM, an embedding or the client sends a request again; `None` leaves it to each, 2 or 3 times."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable the key came from; kept with a run, so that its model is asked with the same key."""

    def __post_init__(self) -> None:
        _keys_in_use.add(self.api_key)

    @classmethod
    def from_environment(cls, base_url: str | None = None, *, key_variable: str = "OPENAI_API_KEY") -> Endpoint:
        """The service that the environment names: `OPENAI_API_KEY`, and `OPENAI_BASE_URL` unless given.

        Raises:
            ConfigurationError: If there is no key and the service is not on this machine.
        """
        url = base_url or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or OPENAI_URL
        _check_url(url)
        key = os.environ.get(key_variable, "")
        if not key and url == OPENAI_URL:
            raise ConfigurationError(
                f"{key_variable} is not set: export your key, or use the offline backend with --backend offline"
            )
        return cls(base_url=url, api_key=key or "none", key_variable=key_variable)

    @classmethod
    def for_offline(cls, backend: OfflineBackend | str | Path) -> Endpoint:
        """The offline backend in this process, or the one whose state lies in a folder."""
        offline = backend if isinstance(backend, OfflineBackend) else Path(backend)
        return cls(base_url=OFFLINE_URL, api_key="offline", offline=offline)

    @property
    def is_offline(self) -> bool:
        """Whether the built-in toy models answer."""
        return self.offline is not None

    @property
    def default_embedding(self) -> str:
        """Name of the embedding model used when none is named."""
        return EMBEDDING_MODEL if self.is_offline else "text-embedding-3-small"

    def llm(self, model: str, **settings: Any) -> LLM:
        """Make a LlamaIndex LLM for `model`; `settings` go to its constructor (`temperature`, `max_tokens`, ...)."""
        settings = {"temperature": 0.0, "timeout": self.timeout_s, **self._retries(), **settings}
        settings.update(api_base=self.base_url, api_key=self.api_key, **self._doors())
        base = model.split(":")[1] if model.startswith("ft:") and model.count(":") > 1 else ""
        takes_schemas = is_json_schema_supported(base)
        # OpenAI() has a fixed window per name and swallows context_window without a word, and of every tuned model it
        # believes that it takes no JSON schema (llms-openai 0.8).
        if "context_window" not in settings and not takes_schemas and _is_known_to_llama_index(model):
            return OpenAI(model=model, **settings)
        like = {
            "is_chat_model": True,
            "context_window": model_facts(model).context_window or UNKNOWN_CONTEXT_WINDOW,
            # A tuned model does what its base does.
            "is_function_calling_model": base.startswith("gpt-") and is_function_calling_model(base),
            "should_use_structured_outputs": takes_schemas,
        }
        return OpenAILike(model=model, **{**like, **settings})

    def embedding(self, model: str | None = None, **settings: Any) -> BaseEmbedding:
        """Make a LlamaIndex embedding; without a name, `text-embedding-3-small` or the offline one."""
        # LlamaIndex's default is 10 retries, which keeps a broken service busy for minutes.
        settings = {"timeout": self.timeout_s, "max_retries": 3, **self._retries(), **settings}
        settings.update(api_base=self.base_url, api_key=self.api_key, **self._doors())
        # model_name, not model: the latter is checked against a fixed list of OpenAI's own names.
        return OpenAIEmbedding(model_name=model or self.default_embedding, **settings)

    def client(self) -> openai.OpenAI:
        """Make the API client that uploads files and starts jobs at this endpoint."""
        http_client = self._doors().get("http_client")
        return openai.OpenAI(
            base_url=self.base_url,
            api_key=self.api_key,
            timeout=self.timeout_s,
            http_client=http_client,
            **self._retries(),
        )

    def _retries(self) -> dict[str, Any]:
        return {} if self.max_retries is None else {"max_retries": self.max_retries}

    @cached_property
    def _backend(self) -> OfflineBackend | None:
        if isinstance(self.offline, Path):
            return _open_backend(self.offline)
        return self.offline

    def _doors(self) -> dict[str, Any]:
        backend = self._backend
        if backend is None:
            return {}
        return {"http_client": backend.http_client(), "async_http_client": backend.async_http_client()}


def without_keys(text: str) -> str:
    """Blot out the keys in use and what looks like one: services quote the one they refuse, and errors are kept."""
    named = {value for name, value in os.environ.items() if name.endswith(("_API_KEY", "_TOKEN"))}
    for key in sorted(named | _keys_in_use, key=len, reverse=True):
        if len(key) >= SHORTEST_KEY:
            text = text.replace(key, "[key]")
    return _KEY.sub(r"\1-...", text)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"base URL {url!r}: not an http(s) address; pass one like http://127.0.0.1:11434/v1")
    if parts.username or parts.password:
        # The address is kept in run.json and shown; a key belongs in the environment.
        raise ConfigurationError(
            f"base URL of {parts.hostname}: holds a user or password; put the key in OPENAI_API_KEY"
        )


# One backend per state folder and process: the tuned LLM of a finished run stays usable while a second run in
# the same folder goes on. They are closed when the process ends.
_open_backends: dict[Path, OfflineBackend] = {}
_opening = threading.Lock()


def _open_backend(state: Path) -> OfflineBackend:
    key = state.resolve()
    with _opening:
        backend = _open_backends.get(key)
        if backend is None or not key.exists():
            if backend is not None:
                backend.close()
            backend = _open_backends[key] = OfflineBackend(state)
            atexit.register(backend.close)
        return backend


def _is_known_to_llama_index(model: str) -> bool:
    try:
        # The class itself is asked, not its list of names: it cuts "ft-" names its own way (llms-openai 0.8.3
        # makes "ft" of `ft:gpt-4.1-mini:my-ft-team::1`) and raises when an engine looks at them.
        return bool(OpenAI(model=model, api_key="not used").metadata)
    except ValueError:
        return False
