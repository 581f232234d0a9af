"""The app around the engines of the engine matrix: a library of twelve facts, an LLM, and the ways to ask.

Its service notes every request and what it said, its retriever what it found, so that a test knows from elsewhere what
a recorder has to know.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from llama_index.core import VectorStoreIndex
from llama_index.core.llms import LLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import VectorIndexRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import QueryEngineTool
from llama_index.llms.openai_like import OpenAILike

from llama_index_ft_rag.offline import ChatReply, ChatRequest, ScriptedResponder
from llama_index_ft_rag.testing import RunningBackend

COUNTRIES = (
    "France",
    "Germany",
    "Spain",
    "Italy",
    "Portugal",
    "Austria",
    "Belgium",
    "Denmark",
    "Sweden",
    "Norway",
    "Finland",
    "Greece",
)
TOP_K = 3
"""How many nodes a retriever finds."""
MODEL = "gpt-4o-mini"
TEMPERATURE = 0.25

Said = str | ChatReply
Says = Sequence[Said] | Callable[[ChatRequest], Said | None]
"""What a service says in turn, or to a request; else it says numbered answers."""
Nodes = dict[str, float | None]
"""Scores by node id."""


# -- The service


@dataclass(frozen=True)
class Noted:
    """A request that reached the service, and what it said."""

    request: ChatRequest
    reply: ChatReply


class Service:
    """Says what it is told to say, and notes everything.

    Args:
        says: What it says.
        meeting: How many requests have to be there at once before the first of them is answered.
    """

    def __init__(self, says: Says = (), *, meeting: int = 1) -> None:
        self.noted: list[Noted] = []
        self.backend = RunningBackend(responder=ScriptedResponder(self._answer))
        self._says = says
        self._meeting = meeting
        self._lock = threading.Lock()
        self._all_there = threading.Barrier(meeting, timeout=60)

    def _answer(self, request: ChatRequest) -> ChatReply:
        with self._lock:
            number = len(self.noted)
            said = self._said(request, number) or f"Answer {number}."
            reply = ChatReply(content=said) if isinstance(said, str) else said
            self.noted.append(Noted(request, reply))
        if number < self._meeting:
            self._all_there.wait()
        return reply

    def _said(self, request: ChatRequest, number: int) -> Said | None:
        if callable(self._says):
            return self._says(request)
        return self._says[number] if number < len(self._says) else None


class MakeLLM(Protocol):
    """Makes an LLM that asks a service."""

    def __call__(self, service: Service, *, is_loopback: bool = False) -> LLM:
        """Make it; where `is_loopback`, it asks over a socket, so that its requests can be under way at once."""


def model(kind: type[LLM] = OpenAILike, *, reuse_client: bool = True, **settings: Any) -> MakeLLM:
    """Choose an LLM by its class and settings."""
    if kind is OpenAILike:
        settings = {"is_chat_model": True, "is_function_calling_model": True, "context_window": 8000, **settings}

    def make(service: Service, *, is_loopback: bool = False) -> LLM:
        backend = service.backend
        doors: dict[str, Any] = {
            "api_base": backend.base_url,
            "http_client": backend.http_client(),
            "async_http_client": backend.async_http_client(),
        }
        if is_loopback:
            doors = {"api_base": backend.url, "reuse_client": reuse_client}
        return kind(model=MODEL, api_key="offline", temperature=TEMPERATURE, max_retries=0, **doors, **settings)

    return make


DEFAULT = model()
SMALL = model(context_window=1000)
# LlamaIndex starts an event loop in each thread for what is `use_async`, and a client serves one loop only.
DEFAULT_IN_THREADS = model(reuse_client=False)
SMALL_IN_THREADS = model(context_window=1000, reuse_client=False)


# -- The library


class NotingRetriever(VectorIndexRetriever):
    """Notes what it found for which question."""

    def __init__(self, index: VectorStoreIndex) -> None:
        super().__init__(index, similarity_top_k=TOP_K)
        self.noted: list[tuple[str, Nodes]] = []

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._note(query_bundle, super()._retrieve(query_bundle))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._note(query_bundle, await super()._aretrieve(query_bundle))

    def _note(self, query_bundle: QueryBundle, found: list[NodeWithScore]) -> list[NodeWithScore]:
        self.noted.append((query_bundle.query_str, {node.node_id: node.score for node in found}))
        return found


@dataclass(kw_only=True)
class Desk:
    """What an engine is built from."""

    llm: LLM
    index: VectorStoreIndex
    """Twelve nodes; which of them are found depends on the whole text of a question."""
    retriever: NotingRetriever
    streaming: bool
    """Whether its engines stream their answers."""

    @classmethod
    def of(cls, service: Service, llm: LLM, *, sentences: int = 1, streaming: bool = False) -> Desk:
        """Fill the library with facts of so many sentences."""
        nodes = [
            TextNode(id_=country, text=" ".join(f"Fact {number} is about {country}." for number in range(sentences)))
            for country in COUNTRIES
        ]
        embedding = service.backend.endpoint.embedding("text-embedding-3-small")
        index = VectorStoreIndex(nodes, embed_model=embedding)
        return cls(llm=llm, index=index, retriever=NotingRetriever(index), streaming=streaming)

    def engine(self, **settings: Any) -> RetrieverQueryEngine:
        """A query engine, made as `index.as_query_engine` makes it."""
        settings = {"streaming": self.streaming, "response_mode": "compact", **settings}
        return RetrieverQueryEngine.from_args(self.retriever, llm=self.llm, **settings)

    def tool(self, name: str = "facts", **settings: Any) -> QueryEngineTool:
        """The same as a tool."""
        return QueryEngineTool.from_defaults(self.engine(**settings), name=name, description=f"Knows {name}.")


def memory() -> ChatMemoryBuffer:
    """A chat's memory; LlamaIndex's default one leaves a database open."""
    return ChatMemoryBuffer.from_defaults(token_limit=3000)


# -- The ways to ask


@dataclass(frozen=True)
class Way:
    """How an engine is asked."""

    ask: Callable[[Any, str], Any]
    streaming: bool = False
    """Whether the engine is to stream."""

    def __str__(self) -> str:
        return self.ask.__name__


def query(engine: Any, question: str) -> Any:
    """Ask and wait."""
    return engine.query(question)


async def aquery(engine: Any, question: str) -> Any:
    """Ask in a task."""
    return await engine.aquery(question)


def read(engine: Any, question: str) -> Any:
    """Ask, and read the answer after the query returned."""
    response = engine.query(question)
    list(response.response_gen)
    return response


async def aread(engine: Any, question: str) -> Any:
    """Ask in a task, and read the answer after the query returned."""
    response = await engine.aquery(question)
    await _drain(response)
    return response


def read_elsewhere(engine: Any, question: str) -> Any:
    """Ask, and read the answer in another thread."""
    response = engine.query(question)
    reader = threading.Thread(target=lambda: list(response.response_gen))
    reader.start()
    reader.join()
    return response


async def aread_elsewhere(engine: Any, question: str) -> Any:
    """Ask in one task, and read the answer in another."""
    response = await asyncio.create_task(engine.aquery(question))
    await asyncio.create_task(_drain(response))
    return response


def chat(engine: Any, question: str) -> Any:
    """Say something and wait."""
    return engine.chat(question)


async def achat(engine: Any, question: str) -> Any:
    """Say something in a task."""
    return await engine.achat(question)


def stream_chat(engine: Any, question: str) -> Any:
    """Say something and read the answer."""
    response = engine.stream_chat(question)
    list(response.response_gen)
    return response


async def astream_chat(engine: Any, question: str) -> Any:
    """Say something in a task and read the answer."""
    response = await engine.astream_chat(question)
    await _drain(response)
    return response


async def run_agent(engine: Any, question: str) -> Any:
    """Run an agent."""
    return await engine.run(user_msg=question, memory=memory())


async def _drain(response: Any) -> None:
    async for _ in response.async_response_gen():
        pass


PLAIN = (Way(query), Way(aquery))
STREAMED = (Way(read, streaming=True), Way(aread, streaming=True))
READ_ELSEWHERE = (Way(read_elsewhere, streaming=True), Way(aread_elsewhere, streaming=True))
CHATS = (Way(chat), Way(achat), Way(stream_chat), Way(astream_chat))
RUNS = (Way(run_agent),)


def ask_in_turn(
    engine: Any, way: Way, questions: Sequence[str], *, around: Callable[[str], AbstractContextManager[None]]
) -> list[Any]:
    """Ask one question after the other, without or with an event loop, each inside a context of its own."""
    if not inspect.iscoroutinefunction(way.ask):
        responses = []
        for question in questions:
            with around(question):
                responses.append(way.ask(engine, question))
        return responses

    async def in_turn() -> list[Any]:
        responses = []
        for question in questions:
            with around(question):
                responses.append(await way.ask(engine, question))
        return responses

    return asyncio.run(in_turn())


def ask_at_once(engines: Sequence[Any], way: Way, questions: Sequence[str]) -> list[Any]:
    """Ask all questions at once, each its engine: in tasks of one event loop, or in plain threads."""
    if not inspect.iscoroutinefunction(way.ask):
        with ThreadPoolExecutor(len(questions)) as pool:
            return list(pool.map(way.ask, engines, questions))

    async def at_once() -> list[Any]:
        return await asyncio.gather(*map(way.ask, engines, questions))

    return asyncio.run(at_once())
