"""An offline backend that runs for the length of a test, with everything that a test reaches it by.

In: what answers, and under which conditions. Out: the backend with its faults, clients, an endpoint for
LlamaIndex, and an address for other programs. Knows nothing of pytest.
"""

from __future__ import annotations

from functools import cached_property

import openai

from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.offline.backend import OfflineBackend
from llama_index_ft_rag.offline.clients import OFFLINE_URL, Clients, open_clients
from llama_index_ft_rag.offline.loopback import LoopbackServer, serve


class RunningBackend(OfflineBackend):
    """An offline backend with the ways to it; `close` ends all of them.

    It takes what `OfflineBackend` takes, and is one: `faults`, `conditions` and `http_client()` are there too.

    Example:
        >>> from llama_index_ft_rag.testing import RunningBackend, ScriptedResponder
        >>> with RunningBackend(responder=ScriptedResponder(["Paris."])) as running:
        ...     running.endpoint.llm("gpt-4.1").complete("What is the capital of France?").text
        'Paris.'
    """

    _server: LoopbackServer | None = None

    @property
    def client(self) -> openai.OpenAI:
        """A client in this process; it never retries, `client.with_options(max_retries=2)` does."""
        return self._clients.sync

    @property
    def async_client(self) -> openai.AsyncOpenAI:
        """An asynchronous client in this process; it never retries."""
        return self._clients.asynchronous

    @cached_property
    def endpoint(self) -> Endpoint:
        """Makes LlamaIndex LLMs and embeddings that ask this backend, in this process."""
        return Endpoint.for_offline(self)

    @property
    def base_url(self) -> str:
        """Base URL for clients in this process; the requests reach the backend by their `http_client` alone."""
        return OFFLINE_URL

    @property
    def url(self) -> str:
        """Base URL for any program on this machine; the server starts when this is first asked for."""
        if self._server is None:
            self._server = serve(self)
        return self._server.url

    def close(self) -> None:
        """Stop server and backend: no client gets an answer any more. A second call does nothing."""
        # Clients in this process hold nothing open: there is nothing to close about them.
        if self._server is not None:
            self._server.close()
            self._server = None
        super().close()

    def __enter__(self) -> RunningBackend:
        return self

    @cached_property
    def _clients(self) -> Clients:
        return open_clients(self)
