"""An offline backend that runs for the length of a test, with everything that a test reaches it by.

In: what answers, and under which conditions. Out: its faults, clients, an endpoint for LlamaIndex, and an
address for other programs. Nothing is opened before it is asked for. Knows nothing of pytest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType

import openai

from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.offline.backend import OfflineBackend
from llama_index_ft_rag.offline.clients import OFFLINE_URL, Clients, open_clients
from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.faults import Faults
from llama_index_ft_rag.offline.loopback import LoopbackServer, serve
from llama_index_ft_rag.offline.responder import Responder


class RunningBackend:
    """An offline backend, its faults and the ways to it; `close` ends all of them.

    Args:
        responder: Decides what the models say; `None` takes the built-in toy readers.
        conditions: What the account may do, and how much of it; `None` limits nothing.
        state: Folder that keeps files, jobs and tuned models; `None` uses a temporary one.
        seed: Makes ids, trainings, answers and the draws of faults repeatable.
        clock: Tells the time, for timestamps and for limits per minute.

    Example:
        >>> from llama_index_ft_rag.testing import RunningBackend, ScriptedResponder
        >>> with RunningBackend(responder=ScriptedResponder(["Paris."])) as running:
        ...     running.endpoint.llm("gpt-4.1").complete("What is the capital of France?").text
        'Paris.'
    """

    def __init__(
        self,
        *,
        responder: Responder | None = None,
        conditions: ServiceConditions | None = None,
        state: str | Path | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.backend = OfflineBackend(state, responder=responder, seed=seed, clock=clock, conditions=conditions)
        self._server: LoopbackServer | None = None

    @property
    def faults(self) -> Faults:
        """What goes wrong; nothing until `faults.add` is called."""
        return self.backend.faults

    @property
    def conditions(self) -> ServiceConditions:
        """What the account may do, and how much of it; assign others at any time."""
        return self.backend.conditions

    @conditions.setter
    def conditions(self, conditions: ServiceConditions) -> None:
        self.backend.conditions = conditions

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
        return Endpoint.for_offline(self.backend)

    @property
    def base_url(self) -> str:
        """Base URL for clients in this process; the requests reach the backend by their `http_client` alone."""
        return OFFLINE_URL

    @property
    def url(self) -> str:
        """Base URL for any program on this machine; the server starts when this is first asked for."""
        if self._server is None:
            self._server = serve(self.backend)
        return self._server.url

    def close(self) -> None:
        """Close clients, server and backend, in this order; a second call does nothing."""
        clients: Clients | None = self.__dict__.get("_clients")
        if clients is not None:
            clients.sync.close()
        if self._server is not None:
            self._server.close()
            self._server = None
        self.backend.close()

    def __enter__(self) -> RunningBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def _clients(self) -> Clients:
        return open_clients(self.backend)
