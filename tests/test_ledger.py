"""The ledger: nothing paid is paid again, and nothing that may have been charged is called free."""

from __future__ import annotations

import asyncio
import copy
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from llama_index.core import SummaryIndex, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM, ChatMessage, CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, PrivateAttr

from llama_index_ft_rag.errors import ConfigurationError, RunFolderError
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.ledger import Ledger, LedgerTotal
from llama_index_ft_rag.offline import ApiFailure, ChatReply, ChatRequest, OfflineBackend, ScriptedResponder
from llama_index_ft_rag.recording import OpenAIFineTuningHandler

NODES = [TextNode(text=f"Fact {number}.", id_=f"fact-{number}") for number in range(4)]
MakeLLM = Callable[..., LLM]


class Counting(CustomLLM):
    """Numbers its answers, and fails the way it is told to."""

    persona: str = ""
    _asked: list[str] = PrivateAttr(default_factory=list)
    _failures: list[BaseException] = PrivateAttr(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="counting")

    @property
    def asked(self) -> list[str]:
        return self._asked

    def then_fail(self, failure: BaseException) -> None:
        self._failures.append(failure)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._asked.append(prompt)
        if self._failures:
            raise self._failures.pop()
        return CompletionResponse(text=f"answer {len(self._asked)}")

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        def chunks() -> Iterator[CompletionResponse]:
            self._asked.append(prompt)
            yield CompletionResponse(text="answer", delta="answer")
            yield CompletionResponse(text=f"answer {len(self._asked)}", delta=f" {len(self._asked)}")

        return chunks()


class CountingEmbedding(BaseEmbedding):
    """Remembers the texts it was sent."""

    _sent: list[str] = PrivateAttr(default_factory=list)
    broken: bool = False

    @property
    def sent(self) -> list[str]:
        return self._sent

    def _get_text_embedding(self, text: str) -> list[float]:
        if self.broken:
            raise ValueError("no embeddings today")
        self._sent.append(text)
        return [0.1, len(text) / 3]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(f"query: {query}")

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class Town(BaseModel):
    """A town."""

    name: str


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger(path) as ledger:
        yield ledger


@pytest.fixture
def wire() -> list[ChatRequest]:
    """The requests that reached the service."""
    return []


@pytest.fixture
def make_llm(wire: list[ChatRequest]) -> Iterator[MakeLLM]:
    """Make LLMs of OpenAI's classes that talk to a service in this process."""

    def say(request: ChatRequest) -> ChatReply | ApiFailure:
        wire.append(request)
        if request.messages[-1]["content"] == "refuse this":
            return ApiFailure(message="no", status=400)
        return ChatReply(content='{"name": "Paris"}')

    with OfflineBackend(responder=ScriptedResponder(say)) as backend:

        def make(kind: type[OpenAI] = OpenAILike, *, model: str = "gpt-4o-mini", **settings: Any) -> LLM:
            return kind(
                model=model,
                api_base="http://offline.invalid/v1",
                api_key="offline",
                http_client=backend.http_client(),
                async_http_client=backend.async_http_client(),
                **({"is_chat_model": True, **settings} if kind is OpenAILike else settings),
            )

        yield make


def said(text: str) -> list[ChatMessage]:
    """One user message."""
    return [ChatMessage(role="user", content=text)]


def total(ledger: Ledger) -> LedgerTotal:
    """The sums of the one stage, arm and model there is."""
    [only] = ledger.totals()
    return only


async def ask_in_all_ways(llm: LLM) -> list[str]:
    """Ask eight questions, each in another of the eight ways."""
    return [
        str(llm.chat(said("1")).message.content),
        str((await llm.achat(said("2"))).message.content),
        llm.complete("3").text,
        (await llm.acomplete("4")).text,
        "".join(str(chunk.delta) for chunk in llm.stream_chat(said("5"))),
        "".join(str(chunk.delta) for chunk in llm.stream_complete("6")),
        "".join([str(chunk.delta) async for chunk in await llm.astream_chat(said("7"))]),
        "".join([str(chunk.delta) async for chunk in await llm.astream_complete("8")]),
    ]


# -- Nothing is paid twice


async def test_a_second_run_sends_nothing(path: Path) -> None:
    """All eight ways of asking are answered from the ledger when the program runs again."""
    first, second = Counting(), Counting()
    with Ledger(path) as ledger:
        answers = await ask_in_all_ways(ledger.wrap(first, stage="answers", arm="base"))
    with Ledger(path) as ledger:
        again = await ask_in_all_ways(ledger.wrap(second, stage="answers", arm="base"))
        sums = total(ledger)

    assert again == answers == [f"answer {number}" for number in range(1, 9)]
    assert (len(first.asked), second.asked) == (8, [])
    assert sums == LedgerTotal(
        stage="answers",
        arm="base",
        model="counting",
        calls=8,
        replayed=8,
        failed=0,
        possibly_charged=0,
        usage=Usage(),
    )


def test_a_judge_that_asks_three_times_gets_three_answers(path: Path) -> None:
    """The same request is another call each time, and a second run replays them in order."""
    with Ledger(path) as ledger:
        judge = ledger.wrap(Counting(), stage="scores")
        answers = [judge.complete("Is it so?").text for _ in range(3)]
    with Ledger(path) as ledger:
        judge = ledger.wrap(Counting(), stage="scores")
        again = [judge.complete("Is it so?").text for _ in range(3)]

    assert again == answers == ["answer 1", "answer 2", "answer 3"]


@pytest.mark.parametrize(
    "other",
    [
        {"stage": "scores"},
        {"arm": "tuned"},
        {"endpoint": "https://elsewhere.example/v1"},
        {"llm": Counting(persona="a pirate")},
        {"prompt": "Why not?"},
        {"temperature": 1.0},
    ],
)
def test_another_request_is_sent(ledger: Ledger, other: dict[str, Any]) -> None:
    """Stage, arm, endpoint, settings, prompt and parameters tell calls apart."""
    ledger.wrap(Counting(), stage="answers", arm="base", endpoint="here").complete("Why?", temperature=0.0)
    llm = other.pop("llm", Counting())
    wrapped = ledger.wrap(llm, **{"stage": "answers", "arm": "base", "endpoint": "here", **_wrapping(other)})
    wrapped.complete(other.get("prompt", "Why?"), temperature=other.get("temperature", 0.0))

    assert len(llm.asked) == 1


def _wrapping(other: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in other.items() if name in {"stage", "arm", "endpoint"}}


def test_a_failed_call_is_made_again_on_the_next_run(path: Path) -> None:
    """The app gets its exception unchanged, the failure is written down, and the next run asks anew."""
    failure = ValueError("no")
    inner = Counting()
    inner.then_fail(failure)
    with Ledger(path) as ledger, pytest.raises(ValueError, match="no") as caught:
        ledger.wrap(inner, stage="answers").chat(said("Why?"))
    with Ledger(path) as ledger:
        answer = ledger.wrap(inner, stage="answers").chat(said("Why?")).message.content
        sums = total(ledger)

    assert caught.value is failure
    assert answer == "answer 2"
    assert (sums.calls, sums.failed, sums.possibly_charged) == (2, 1, 0)


def test_a_retry_within_a_run_is_found_by_the_next_run(path: Path) -> None:
    """An app that asks again after a failure pays once; the next run starts with the answer."""
    inner = Counting()
    inner.then_fail(ValueError("no"))
    with Ledger(path) as ledger:
        llm = ledger.wrap(inner, stage="answers")
        with pytest.raises(ValueError, match="no"):
            llm.complete("Why?")
        retried = llm.complete("Why?").text
    with Ledger(path) as ledger:
        later = ledger.wrap(inner, stage="answers").complete("Why?").text

    assert (retried, later, len(inner.asked)) == ("answer 2", "answer 2", 2)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), openai.APITimeoutError(request=None)])
def test_an_interrupted_call_may_have_been_charged(path: Path, error: BaseException) -> None:
    """Neither the answer nor the bill is known: it is asked again, and shown as possibly charged."""
    inner = Counting()
    inner.then_fail(error)
    with Ledger(path) as ledger, pytest.raises(type(error)):
        ledger.wrap(inner, stage="answers").complete("Why?")
    with Ledger(path) as ledger:
        ledger.wrap(inner, stage="answers").complete("Why?")
        sums = total(ledger)

    assert (sums.calls, sums.failed, sums.possibly_charged) == (2, 0, 1)


KILLED = """
    import os, signal, sys
    from llama_index.core.llms import CompletionResponse, MockLLM
    from llama_index_ft_rag.ledger import Ledger

    class Deadly(MockLLM):
        def complete(self, prompt, formatted=False, **kwargs):
            if prompt == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            return CompletionResponse(text="alive")

    llm = Ledger(sys.argv[1]).wrap(Deadly(), stage="answers")
    llm.complete("first")
    llm.complete("kill")
"""


def test_a_killed_process_leaves_its_answers_and_its_doubt(path: Path) -> None:
    """What was answered before the kill stays; the call under way reads as possibly charged and is made again."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(path)], check=False)
    with Ledger(path) as ledger:
        after_kill = total(ledger)
        ledger.wrap(MockLLM(), stage="answers").complete("kill")
        at_the_end = total(ledger)

    assert done.returncode == -9
    assert (after_kill.calls, after_kill.possibly_charged) == (2, 1)
    assert (at_the_end.calls, at_the_end.possibly_charged) == (3, 1)


# -- Streams


async def test_a_stream_counts_when_it_was_read_to_its_end(ledger: Ledger) -> None:
    """A stream nobody reads sends nothing; one that is left may have been charged, and is asked again."""
    inner = Counting()
    llm = ledger.wrap(inner, stage="answers")
    llm.stream_chat(said("never"))
    closed = llm.stream_chat(said("Why?"))
    next(closed)
    closed.close()
    aclosed = await llm.astream_complete("Why?")
    await aclosed.__anext__()
    await aclosed.aclose()
    left = total(ledger)
    drained = list(llm.stream_chat(said("Why?")))

    assert (left.calls, left.possibly_charged) == (2, 2)
    assert drained[-1].message.content == "answer 3"
    assert total(ledger).calls == 3


def test_an_empty_stream_is_a_failed_call(ledger: Ledger) -> None:
    """No chunk is no answer."""
    silent = MockFunctionCallingLLM(response_generator=lambda messages, **kwargs: iter(()))
    chunks = list(ledger.wrap(silent, stage="answers").stream_chat(said("Why?")))

    assert chunks == []
    assert (total(ledger).calls, total(ledger).failed) == (1, 1)


def test_an_answer_can_be_streamed_on_one_run_and_not_on_the_next(path: Path) -> None:
    """How an answer travels is not part of the question."""
    with Ledger(path) as ledger:
        list(ledger.wrap(Counting(), stage="answers").stream_chat(said("Why?")))
    second = Counting()
    with Ledger(path) as ledger:
        answer = ledger.wrap(second, stage="answers").chat(said("Why?"))

    assert (answer.message.content, second.asked) == ("answer 1", [])


# -- The wrapped LLM behaves like the LLM inside


@pytest.mark.parametrize("kind", [OpenAI, OpenAILike])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"system_prompt": "Be brief."},
        {"system_prompt": "Be brief.", "query_wrapper_prompt": PromptTemplate("<<{query_str}>>")},
        {"completion_to_prompt": lambda prompt: f"[INST] {prompt}"},
    ],
)
async def test_predictions_send_the_same_messages(
    ledger: Ledger, make_llm: MakeLLM, wire: list[ChatRequest], kind: type[OpenAI], settings: dict[str, Any]
) -> None:
    """Prompts reach the wire word for word as they would without the ledger."""
    bare = make_llm(kind, **settings)
    wrapped = ledger.wrap(bare, stage="answers")
    template = PromptTemplate("Why {what}?")
    for llm in (bare, wrapped):
        llm.predict(template, what="one")
        await llm.apredict(template, what="two")
        list(llm.stream(template, what="three"))

    assert len(wire) == 6
    assert [request.messages for request in wire[:3]] == [request.messages for request in wire[3:]]


def test_structured_output_sends_the_same_request(path: Path, make_llm: MakeLLM, wire: list[ChatRequest]) -> None:
    """OpenAI's JSON schema mode is kept, and replayed."""
    bare = make_llm(OpenAI)
    with Ledger(path) as ledger:
        towns = [
            llm.structured_predict(Town, PromptTemplate("A town in France"))
            for llm in (bare, ledger.wrap(bare, stage="answers"))
        ]
    with Ledger(path) as ledger:
        towns.append(ledger.wrap(bare, stage="answers").structured_predict(Town, PromptTemplate("A town in France")))

    assert towns == [Town(name="Paris")] * 3
    assert len(wire) == 2
    assert wire[0].parameters == wire[1].parameters
    assert wire[0].messages == wire[1].messages


def test_tools_work_and_are_replayed(path: Path) -> None:
    """A function-calling LLM stays one, live and from the ledger."""

    def area(side: int = 3) -> int:
        """Area of a square."""
        return side * side

    answers = []
    for _ in range(2):
        with Ledger(path) as ledger:
            llm = ledger.wrap(MockFunctionCallingLLM(), stage="answers")
            assert isinstance(llm, FunctionCallingLLM)
            answers.append(llm.predict_and_call([FunctionTool.from_defaults(area)], user_msg="How big?").response)
            sums = total(ledger)

    assert answers == ["9", "9"]
    assert (sums.calls, sums.replayed) == (1, 1)


def test_the_raw_response_and_usage_are_replayed(path: Path, make_llm: MakeLLM) -> None:
    """What reads the provider's own response object finds it after a restart."""
    with Ledger(path) as ledger:
        live = ledger.wrap(make_llm(), stage="answers").chat(said("Why?"))
    with Ledger(path) as ledger:
        replayed = ledger.wrap(make_llm(), stage="answers").chat(said("Why?"))
        sums = total(ledger)

    assert replayed.raw == live.raw
    assert replayed.message == live.message
    assert sums.usage == Usage(
        prompt_tokens=live.raw.usage.prompt_tokens, completion_tokens=live.raw.usage.completion_tokens
    )


def test_the_given_llm_is_not_changed(ledger: Ledger, make_llm: MakeLLM) -> None:
    """Engines that set a callback manager set the wrapped LLM's, and the name of the model is the same."""
    inner = make_llm()
    before = inner.callback_manager
    wrapped = ledger.wrap(inner, stage="answers")
    SummaryIndex(NODES).as_query_engine(llm=wrapped)

    assert inner.callback_manager is before
    assert type(inner) is OpenAILike
    assert wrapped.metadata == inner.metadata
    assert wrapped.class_name() == inner.class_name()


def test_a_wrapped_llm_can_be_copied_and_wrapped_again(ledger: Ledger) -> None:
    """Frameworks that copy their parts, and pipelines within pipelines, pay from the same ledger."""
    inner = Counting()
    twice = ledger.wrap(ledger.wrap(inner, stage="inside"), stage="outside")
    copy.deepcopy(twice).complete("Why?")

    assert sorted((sums.stage, sums.calls) for sums in ledger.totals()) == [("inside", 1), ("outside", 1)]


def test_messages_the_chat_format_cannot_express_are_still_told_apart(ledger: Ledger) -> None:
    """An LLM may take more than OpenAI's format; roles and blocks of any kind make a key."""
    from llama_index.core.base.llms.types import VideoBlock

    llm = ledger.wrap(Counting(messages_to_prompt=lambda messages: "video"), stage="answers")
    videos = [ChatMessage(role="user", blocks=[VideoBlock(video=data)]) for data in (b"1234", b"5678")]
    answers = [llm.chat([video]).message.content for video in videos]

    assert answers == ["answer 1", "answer 2"]


# -- With engines and a recorder


async def ask_engines(ledger: Ledger, handler: OpenAIFineTuningHandler, llm: LLM) -> None:
    """Ask through engines of several kinds: plain, refining, streaming, async, chatting."""
    wrapped = ledger.wrap(llm, stage="answers", arm="base")
    embedding = ledger.wrap_embedding(CountingEmbedding(), stage="index")
    index = VectorStoreIndex(NODES, embed_model=embedding)
    settings = {"llm": wrapped, "embed_model": embedding, "similarity_top_k": 4}
    with handler.recording(query_id="q1"):
        index.as_query_engine(**settings).query("What?")
        await index.as_query_engine(**settings, response_mode="refine").aquery("What?")
        "".join(index.as_query_engine(**settings, streaming=True).query("Who?").response_gen)
        response = await index.as_query_engine(**settings, streaming=True).aquery("Who else?")
        [token async for token in response.async_response_gen()]
        memory = ChatMemoryBuffer.from_defaults(token_limit=3000)
        chat = index.as_chat_engine(**settings, chat_mode="condense_plus_context", memory=memory)
        chat.chat("Hello?")
        await chat.achat("And then?")


@pytest.mark.parametrize("is_chat_model", [False, True])
async def test_engines_run_on_the_ledger_and_a_recorder_sees_every_call_once(path: Path, is_chat_model: bool) -> None:
    """A second run sends nothing, and its recording is the same as the first one's."""
    recordings = []
    for _ in range(2):
        handler = OpenAIFineTuningHandler()
        with Ledger(path) as ledger:
            await ask_engines(ledger, handler, MockLLM(is_chat_model=is_chat_model))
            answers, embeddings = ledger.totals()
        recordings.append([(call.kind, call.step, call.messages) for call in handler.calls_of("q1")])

    kinds = ["answer", "answer", "refine", "refine", "refine", "answer", "answer", "answer", "condense", "answer"]
    assert [kind for kind, _, _ in recordings[0]] == kinds
    assert recordings[1] == recordings[0]
    assert (answers.calls, answers.replayed) == (10, 10)
    assert (embeddings.calls, embeddings.failed) == (9, 0)


def test_a_replayed_call_is_as_slow_as_it_was(path: Path) -> None:
    """Latency in a recording is that of the call, not that of the file."""
    latencies = []
    for _ in range(2):
        handler = OpenAIFineTuningHandler()
        with Ledger(path) as ledger, handler.recording(query_id="q1"):
            ledger.wrap(Counting(), stage="answers").complete("Why?")
        latencies.append(handler.calls_of("q1")[0].latency_s)

    with sqlite3.connect(path) as connection:
        [(written,)] = connection.execute("SELECT latency_s FROM calls").fetchall()
    connection.close()
    assert latencies[1] == written
    assert latencies[0] >= written


# -- Concurrency


async def test_many_calls_at_once_are_all_written_down(path: Path) -> None:
    """Tasks and threads share one ledger."""
    with Ledger(path) as ledger:
        llm = ledger.wrap(MockLLM(), stage="answers")
        await asyncio.gather(*(llm.acomplete(f"task {number}") for number in range(50)))
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(llm.complete, [f"thread {number}" for number in range(50)]))
            list(pool.map(llm.complete, ["the same"] * 10))
        sums = total(ledger)

    assert (sums.calls, sums.replayed, sums.possibly_charged) == (110, 0, 0)


# -- Embeddings


async def test_each_text_is_embedded_once(path: Path) -> None:
    """Over runs, stages and arms; within a batch too; queries apart from texts, which models may treat otherwise."""
    first = CountingEmbedding()
    with Ledger(path) as ledger:
        embedding = ledger.wrap_embedding(first, stage="index")
        vectors = embedding.get_text_embedding_batch(["a", "bb", "a"])
        query = embedding.get_query_embedding("a")
    second = CountingEmbedding()
    with Ledger(path) as ledger:
        embedding = ledger.wrap_embedding(second, stage="scores", arm="base")
        again = await embedding.aget_text_embedding_batch(["a", "bb", "ccc", "a"])
        same_query = await embedding.aget_query_embedding("a")
        one = embedding.get_text_embedding("bb")
        other = await embedding.aget_text_embedding("ccc")

    assert first.sent == ["a", "bb", "query: a"]
    assert second.sent == ["ccc"]
    assert again == [*vectors[:2], other, vectors[2]]
    assert (same_query, one) == (query, vectors[1])
    assert vectors[0] == pytest.approx([0.1, 1 / 3], rel=1e-6)


def test_failed_embeddings_are_sent_again(ledger: Ledger) -> None:
    """A batch that fails is written down as failed, text by text."""
    with pytest.raises(ValueError, match="no embeddings today"):
        ledger.wrap_embedding(CountingEmbedding(broken=True), stage="index").get_text_embedding_batch(["a", "b"])
    mended = CountingEmbedding()
    ledger.wrap_embedding(mended, stage="index").get_text_embedding_batch(["a", "b"])

    assert mended.sent == ["a", "b"]
    assert (total(ledger).calls, total(ledger).failed) == (4, 2)


class SlowEmbedding(CountingEmbedding):
    """Answers when it is let go, and tells when it is asked."""

    _asked: threading.Event = PrivateAttr(default_factory=threading.Event)
    _go: threading.Event = PrivateAttr(default_factory=threading.Event)

    def wait_until_asked(self) -> None:
        assert self._asked.wait(30)

    def let_go(self) -> None:
        self._go.set()

    def _get_text_embedding(self, text: str) -> list[float]:
        self._asked.set()
        assert self._go.wait(30)
        return super()._get_text_embedding(text)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        self._asked.set()
        while not self._go.is_set():
            await asyncio.sleep(0.001)
        return super()._get_text_embedding(text)


async def all_at_once(embedding: BaseEmbedding, inner: SlowEmbedding, batches: list[list[str]]) -> list[Any]:
    """Start a task per batch, let all of them run into the model, then let it answer."""
    tasks = [asyncio.ensure_future(embedding.aget_text_embedding_batch(batch)) for batch in batches]
    for _ in range(20):
        await asyncio.sleep(0)
    inner.let_go()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_text_asked_for_by_many_tasks_at_once_is_sent_once(ledger: Ledger) -> None:
    """The others wait for it, in batches that share texts too, without waiting for each other forever."""
    inner = SlowEmbedding()
    embedding = ledger.wrap_embedding(inner, stage="index")
    vectors = await all_at_once(embedding, inner, [["a", "bb"], ["bb", "ccc"], ["ccc", "a"], ["a"], ["a"]])

    assert sorted(inner.sent) == ["a", "bb", "ccc"]
    assert [len(batch) for batch in vectors] == [2, 2, 2, 1, 1]
    assert vectors[0][0] == vectors[2][1] == vectors[3][0] == vectors[4][0]
    assert (total(ledger).calls, total(ledger).replayed) == (3, 5)


async def test_an_error_reaches_all_tasks_that_wait_for_the_text(ledger: Ledger) -> None:
    """One failed call is one failed call, and the next time the text is sent again."""
    inner = SlowEmbedding(broken=True)
    embedding = ledger.wrap_embedding(inner, stage="index")
    errors = await all_at_once(embedding, inner, [["a"]] * 6)
    inner.broken = False
    await embedding.aget_text_embedding("a")

    assert [str(error) for error in errors] == ["no embeddings today"] * 6
    assert inner.sent == ["a"]
    assert (total(ledger).calls, total(ledger).failed) == (2, 1)


async def test_a_cancelled_task_leaves_its_text_to_those_who_wait(ledger: Ledger) -> None:
    """One that waits asks itself; one that gives up waiting disturbs nobody."""
    inner = SlowEmbedding()
    embedding = ledger.wrap_embedding(inner, stage="index")
    tasks = [asyncio.ensure_future(embedding.aget_text_embedding("a")) for _ in range(4)]
    for cancelled in (tasks[3], tasks[0]):
        for _ in range(20):
            await asyncio.sleep(0)
        cancelled.cancel()
    inner.let_go()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results] == [asyncio.CancelledError, list, list, asyncio.CancelledError]
    assert inner.sent == ["a"]
    assert (total(ledger).calls, total(ledger).possibly_charged) == (2, 1)


def test_a_text_asked_for_by_many_threads_at_once_is_sent_once(ledger: Ledger) -> None:
    """Copies of the embedding wait for each other as well."""
    inner = SlowEmbedding()
    embeddings = [ledger.wrap_embedding(inner, stage=stage) for stage in "abcdef"]
    with ThreadPoolExecutor(max_workers=6) as pool:
        first = pool.submit(embeddings[0].get_text_embedding, "a")
        inner.wait_until_asked()
        others = [pool.submit(embedding.get_text_embedding, "a") for embedding in embeddings[1:]]
        inner.let_go()

    assert [other.result() for other in others] == [first.result()] * 5
    assert inner.sent == ["a"]
    assert sum(sums.calls for sums in ledger.totals()) == 1


async def test_a_plain_call_in_a_task_does_not_wait_for_another_task(ledger: Ledger) -> None:
    """It would wait forever: it keeps the event loop, which the other task needs, from going on."""
    inner = SlowEmbedding()
    embedding = ledger.wrap_embedding(inner, stage="index")
    task = asyncio.ensure_future(embedding.aget_text_embedding("a"))
    for _ in range(20):
        await asyncio.sleep(0)
    inner.let_go()
    plain = embedding.get_text_embedding("a")

    assert await task == plain
    assert inner.sent == ["a", "a"]


def test_a_large_batch_is_found_again(ledger: Ledger) -> None:
    """More texts than a database takes values at once."""
    texts = [f"text {number}" for number in range(1200)]
    inner = CountingEmbedding(embed_batch_size=2000)
    embedding = ledger.wrap_embedding(inner, stage="index")
    embedding.get_text_embedding_batch(texts)
    embedding.get_text_embedding_batch(texts)

    assert len(inner.sent) == 1200
    assert (total(ledger).calls, total(ledger).replayed) == (1200, 1200)


# -- The file


def test_the_file_is_private_and_says_its_version(path: Path, ledger: Ledger) -> None:
    """Prompts and answers are for their owner's eyes, in the side files too."""
    ledger.wrap(Counting(), stage="answers").complete("Why?")

    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    connection = sqlite3.connect(path)
    assert modes == {0o600}
    assert connection.execute("SELECT * FROM meta").fetchall() == [("schema_version", "1")]
    connection.close()


def test_a_key_or_a_prompt_in_a_setting_is_not_in_the_file(path: Path, make_llm: MakeLLM) -> None:
    """Secrets never reach the ledger."""
    with Ledger(path) as ledger:
        ledger.wrap(make_llm(default_headers={"x-secret": "hidden"}), stage="answers").chat(said("Why?"))

    written = path.read_bytes()
    assert b"x-secret" not in written
    assert b'"offline"' not in written


def test_a_url_works_like_a_path(path: Path) -> None:
    """The same file by its SQLAlchemy address."""
    with Ledger(f"sqlite:///{path}") as ledger:
        ledger.wrap(Counting(), stage="answers").complete("Why?")
    with Ledger(path) as ledger:
        assert total(ledger).calls == 1


def test_a_ledger_in_memory_is_refused() -> None:
    """It would forget what was paid."""
    with pytest.raises(ConfigurationError, match="pass the path of a file"):
        Ledger("sqlite://")


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at" * 50, b""])
def test_a_file_that_is_no_ledger_is_named(path: Path, content: bytes) -> None:
    """A damaged file is an error with its path; an empty one becomes a ledger."""
    path.write_bytes(content)
    if content:
        with pytest.raises(RunFolderError, match=r"ledger\.db: the ledger cannot be used"):
            Ledger(path)
    else:
        with Ledger(path) as ledger:
            assert ledger.totals() == []


def test_a_ledger_of_another_version_is_refused(path: Path) -> None:
    """It is left as it is."""
    Ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = '99'")
    connection.commit()
    connection.close()

    with pytest.raises(RunFolderError, match="schema version 99"):
        Ledger(path)


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    """The message names the path."""
    with pytest.raises(RunFolderError, match="the ledger cannot be used"):
        Ledger(tmp_path)


class Cut(CustomLLM):
    """Breaks off in the middle of a stream, or before it."""

    after: int = 0
    cause: str = "ReadError"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="cut")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise openai.APIConnectionError(request=None) from type(self.cause, (Exception,), {})()

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        def chunks() -> Iterator[CompletionResponse]:
            yield from [CompletionResponse(text="a", delta="a")] * self.after
            raise ValueError("cut")

        return chunks()


@pytest.mark.parametrize(("cause", "doubt"), [("ReadError", 1), ("RemoteProtocolError", 1), ("ConnectError", 0)])
def test_a_connection_lost_after_sending_may_have_been_charged(ledger: Ledger, cause: str, doubt: int) -> None:
    """Only a request that found no connection was certainly free."""
    with pytest.raises(openai.APIConnectionError):
        ledger.wrap(Cut(cause=cause), stage="answers").complete("Why?")

    assert (total(ledger).possibly_charged, total(ledger).failed) == (doubt, 1 - doubt)


@pytest.mark.parametrize(("after", "doubt"), [(1, 1), (0, 0)])
def test_a_stream_that_breaks_off_may_have_been_charged(ledger: Ledger, after: int, doubt: int) -> None:
    """What had begun to come in costs something, whatever the error is called."""
    with pytest.raises(ValueError, match="cut"):
        list(ledger.wrap(Cut(after=after), stage="answers").stream_complete("Why?"))

    assert (total(ledger).possibly_charged, total(ledger).failed) == (doubt, 1 - doubt)


def test_a_key_in_an_address_is_not_written_down(path: Path) -> None:
    """Some proxies take it as user:password@ or as a query."""
    llm = OpenAILike(model="m", api_base="http://me:pass-word@127.0.0.1:1/v1?key=pass-word", api_key="k", max_retries=0)
    with Ledger(path) as ledger, pytest.raises(openai.APIConnectionError):
        ledger.wrap(llm, stage="answers").complete("Why?")
    with sqlite3.connect(path) as database:
        found = database.execute("SELECT endpoint FROM calls").fetchall()

    assert found == [("http://127.0.0.1:1/v1",)]
