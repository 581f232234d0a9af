"""The attach doctor: each way of attaching a handler that LlamaIndex makes deaf is named at once, with its cure."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from llama_index.core import Document, MockEmbedding, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.agent import FunctionAgent
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.llms.openai import OpenAI
from packaging.version import Version

from llama_index_ft_rag.errors import EmptyRecordingError
from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder
from llama_index_ft_rag.recording import OpenAIFineTuningHandler

MakeLLM = Callable[..., OpenAI]
Build = Callable[..., BaseQueryEngine]
Cure = Callable[[OpenAIFineTuningHandler, BaseQueryEngine], object]

DEAF = "OpenAIFineTuningHandler saw none of the LLM calls of this query: "
ATTACH = "handler.attach(), which sees every call however the engine was built"
ADD_OR_ATTACH = f"call Settings.callback_manager.add_handler(handler), or {ATTACH}"
REPLACED = (
    "this handler is in no callback manager that the LLM of this engine uses (building an engine replaces one that was "
    f"given to its LLM), here OpenAI(gpt-4o-mini); {ADD_OR_ATTACH}"
)
ON_AN_INDEX = (
    "the callback manager with the handler was given to an index, a retriever or an engine, which do not hand it on to "
    f"OpenAI(gpt-4o-mini); {ADD_OR_ATTACH}"
)
TOO_LATE = (
    "Settings.callback_manager has the handler, but OpenAI(gpt-4o-mini) keeps another callback manager, the one from "
    "before or one of its own; set Settings.callback_manager before LLM and engine are built, add the handler to the "
    f"other one with add_handler, or call {ATTACH}"
)
SETTINGS_LLM = (
    "the engine asked Settings.llm, here OpenAI(gpt-4o-mini), and this handler is not in its callback manager; call "
    f"{ATTACH}. If another LLM was meant, pass it as llm= to as_query_engine: service_context= is ignored"
)
MOVED = (
    "the callback manager of OpenAI(gpt-4o-mini), through which its earlier calls came, was replaced by "
    f"Settings.callback_manager; {ADD_OR_ATTACH}"
)
# The workflows package looks at every attribute of an agent, the deprecated ones included.
uses_agents = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecationWarning")
FACTS = [Document(text=f"Fact {n}. " + "word " * 300, id_=f"fact-{n}") for n in range(4)]


@pytest.fixture(scope="module", autouse=True)
def no_other_handlers() -> None:
    """Handlers of other modules that are not collected yet would speak up too."""
    gc.collect()


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Settings as a new process has them."""
    before = dict(vars(Settings))
    vars(Settings).update(dict.fromkeys(before))
    Settings.embed_model = MockEmbedding(embed_dim=4)
    yield
    vars(Settings).clear()
    vars(Settings).update(before)


@pytest.fixture
def handler() -> Iterator[OpenAIFineTuningHandler]:
    """A handler that says nothing any more once the test is over."""
    handler = OpenAIFineTuningHandler()
    yield handler
    handler.attach()
    handler.detach()


@pytest.fixture
def make_llm() -> Iterator[MakeLLM]:
    """Make LLMs that talk to a service in this process."""
    with OfflineBackend(responder=ScriptedResponder(lambda request: "It is Paris.")) as backend:

        def make(model: str = "gpt-4o-mini", **settings: Any) -> OpenAI:
            clients = {"http_client": backend.http_client(), "async_http_client": backend.async_http_client()}
            return OpenAI(model=model, api_base="http://offline.invalid/v1", api_key="offline", **clients, **settings)

        yield make


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the package has logged so far."""
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("llama_index_ft_rag")]


def index_of_facts(**settings: Any) -> VectorStoreIndex:
    """An index with one node per fact."""
    return VectorStoreIndex.from_documents(FACTS, **settings)


def other_observer() -> CallbackManager:
    """A callback manager of the app's own."""
    return CallbackManager([TokenCountingHandler(tokenizer=str.split)])


def short_memory() -> ChatMemoryBuffer:
    """A chat's memory that opens no database."""
    return ChatMemoryBuffer.from_defaults(token_limit=3000)


async def ask(engine: BaseQueryEngine, how: str) -> None:
    """Ask a question and read the answer to its end."""
    answer = engine.query("What?") if how == "sync" else await engine.aquery("What?")
    if isinstance(answer, StreamingResponse):
        list(answer.response_gen)
    if isinstance(answer, AsyncStreamingResponse):
        [piece async for piece in answer.async_response_gen()]


# -- Rows in which the handler is deaf


def on_the_llm(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """The way of the retired class."""
    return index_of_facts().as_query_engine(llm=make_llm(callback_manager=CallbackManager([handler])), **how)


def on_the_index(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """The index hands its manager on to the retriever and the embedding."""
    return index_of_facts(callback_manager=CallbackManager([handler])).as_query_engine(llm=make_llm(), **how)


def on_the_llm_beside_settings(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """The app's own manager on Settings wins."""
    Settings.callback_manager = other_observer()
    return on_the_llm(handler, make_llm, **how)


def on_the_llm_of_settings(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """Reading `Settings.llm` gives it the manager of Settings."""
    Settings.callback_manager = other_observer()
    Settings.llm = make_llm(callback_manager=CallbackManager([handler]))
    return index_of_facts().as_query_engine(**how)


def on_settings_after_the_engine(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """The engine keeps the manager it was built with."""
    engine = index_of_facts().as_query_engine(llm=make_llm(), **how)
    Settings.callback_manager = CallbackManager([handler])
    return engine


def nowhere(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """A handler that was made and forgotten."""
    return index_of_facts().as_query_engine(llm=make_llm(), **how)


def nowhere_beside_settings_llm(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """The same, and the engine asks the LLM of Settings."""
    Settings.llm = make_llm()
    return index_of_facts().as_query_engine(**how)


def in_a_service_context_of_the_index(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> Any:
    """As in 2023; any keyword is accepted, and the LLM of Settings is asked."""
    Settings.llm = make_llm()
    context = make_llm("gpt-4.1", callback_manager=CallbackManager([handler]))
    return index_of_facts(service_context=context).as_query_engine(**how)


def in_a_service_context_of_the_engine(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> Any:
    """The engine accepts any keyword too."""
    Settings.llm = make_llm()
    context = make_llm("gpt-4.1", callback_manager=CallbackManager([handler]))
    return index_of_facts().as_query_engine(service_context=context, **how)


def attach(handler: OpenAIFineTuningHandler, engine: BaseQueryEngine) -> None:
    """The cure that always works."""
    handler.attach()


def add_to_settings(handler: OpenAIFineTuningHandler, engine: BaseQueryEngine) -> None:
    """Add to the manager that is there instead of replacing it."""
    Settings.callback_manager.add_handler(handler)


def add_to_the_other_one(handler: OpenAIFineTuningHandler, engine: BaseQueryEngine) -> None:
    """Add to the manager that the engine was built with."""
    engine.callback_manager.add_handler(handler)


class DeafRow(NamedTuple):
    """A way of attaching that LlamaIndex undoes, what is said of it, and its cures."""

    build: Build
    said: str
    cures: list[Cure]


DEAF_ROWS = [
    DeafRow(on_the_llm, REPLACED, [attach, add_to_settings]),
    DeafRow(on_the_index, ON_AN_INDEX, [attach, add_to_settings]),
    DeafRow(on_the_llm_beside_settings, REPLACED, [attach, add_to_settings]),
    DeafRow(on_the_llm_of_settings, SETTINGS_LLM, [attach, add_to_settings]),
    DeafRow(on_settings_after_the_engine, TOO_LATE, [attach, add_to_the_other_one]),
    DeafRow(nowhere, REPLACED, [attach, add_to_settings]),
    DeafRow(nowhere_beside_settings_llm, SETTINGS_LLM, [attach]),
    DeafRow(in_a_service_context_of_the_index, SETTINGS_LLM, [attach]),
    DeafRow(in_a_service_context_of_the_engine, SETTINGS_LLM, [attach]),
]
every_way_to_ask = pytest.mark.parametrize(
    ("how", "streaming"),
    [("sync", False), ("async", False), ("sync", True), ("async", True)],
    ids=["query", "aquery", "streamed", "streamed-async"],
)


@every_way_to_ask
@pytest.mark.parametrize("row", DEAF_ROWS, ids=lambda row: row.build.__name__)
async def test_a_deaf_handler_says_why_at_once_and_once(
    row: DeafRow,
    how: str,
    streaming: bool,
    handler: OpenAIFineTuningHandler,
    make_llm: MakeLLM,
    warnings: Callable[[], list[str]],
    tmp_path: Path,
) -> None:
    """The first query ends with one warning, the second with none; saving nothing says the same."""
    engine = row.build(handler, make_llm, streaming=streaming)
    await ask(engine, how)
    after_the_first = warnings()
    await ask(engine, how)

    assert after_the_first == [DEAF + row.said]
    assert warnings() == after_the_first
    with pytest.raises(EmptyRecordingError) as caught:
        handler.save_finetuning_events(tmp_path / "events.jsonl")
    assert str(caught.value) == f"nothing to save: {row.said}"


@every_way_to_ask
@pytest.mark.parametrize(
    ("build", "cure"),
    [(row.build, cure) for row in DEAF_ROWS for cure in row.cures],
    ids=lambda value: value.__name__,
)
async def test_the_cure_that_is_named_works(
    build: Build, cure: Cure, how: str, streaming: bool, handler: OpenAIFineTuningHandler, make_llm: MakeLLM
) -> None:
    """Who does what the warning or the docs say has the next query recorded, with the engine that is there."""
    engine = build(handler, make_llm, streaming=streaming)
    await ask(engine, how)
    cure(handler, engine)
    await ask(engine, how)

    assert [(example.kind, example.model, example.answer) for example in handler.examples()] == [
        ("answer", "gpt-4o-mini", "It is Paris.")
    ]


@every_way_to_ask
async def test_an_llm_that_a_service_context_held_is_recorded_when_passed_as_llm(
    how: str, streaming: bool, handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """The cure for `service_context=`: the LLM that was meant is asked, and its calls are recorded."""
    Settings.llm = make_llm()
    handler.attach()
    await ask(index_of_facts().as_query_engine(llm=make_llm("gpt-4.1"), streaming=streaming), how)

    assert [example.model for example in handler.examples()] == ["gpt-4.1"]
    assert warnings() == []


@every_way_to_ask
async def test_a_manager_that_is_replaced_between_queries_is_named(
    how: str, streaming: bool, handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """Reading `Settings.llm` moves an LLM to the new manager, engines built before included."""
    Settings.callback_manager = CallbackManager([handler])
    Settings.llm = make_llm()
    engine = index_of_facts().as_query_engine(streaming=streaming)
    await ask(engine, how)
    Settings.callback_manager = other_observer()
    _ = Settings.llm
    await ask(engine, how)
    Settings.callback_manager.add_handler(handler)
    await ask(engine, how)

    assert warnings() == [DEAF + MOVED]
    assert handler.summary().finished == 2


@pytest.mark.parametrize("mode", ["context", "condense_plus_context", "condense_question", "simple", "best"])
def test_chat_engines_are_watched_too(
    mode: Any, handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """Building a chat engine replaces the LLM's callback manager as well."""
    llm = make_llm(callback_manager=CallbackManager([handler]))
    index_of_facts().as_chat_engine(chat_mode=mode, llm=llm, memory=short_memory()).chat("What?")

    assert warnings() == [DEAF + REPLACED]


@uses_agents
async def test_an_agent_whose_llm_is_older_than_the_manager_of_settings_is_named(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """An agent leaves its LLM the manager that it was made with."""
    llm = make_llm()
    Settings.callback_manager = CallbackManager([handler])
    await FunctionAgent(llm=llm, tools=[], streaming=False).run("What?", memory=short_memory())

    assert warnings() == [DEAF + TOO_LATE]


async def test_many_queries_at_once_give_one_line(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """Tasks and threads that end together do not repeat each other."""
    engine = on_the_llm(handler, make_llm)
    with ThreadPoolExecutor() as pool:
        list(pool.map(engine.query, ["What?"] * 8))
    await asyncio.gather(*(engine.aquery("What?") for _ in range(8)))

    assert warnings() == [DEAF + REPLACED]


def test_each_cause_has_its_line_and_the_error_names_them_all(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]], tmp_path: Path
) -> None:
    """Who cures one cause and meets the next is told so."""
    on_the_llm(handler, make_llm).query("What?")
    on_settings_after_the_engine(handler, make_llm).query("What?")

    assert warnings() == [DEAF + REPLACED, DEAF + TOO_LATE]
    with pytest.raises(EmptyRecordingError) as caught:
        handler.save_finetuning_events(tmp_path / "events.jsonl")
    assert str(caught.value) == f"nothing to save: {REPLACED}; {TOO_LATE}"


def test_the_doctor_only_uses_the_log(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed, and nobody's logging is configured."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    on_the_llm(handler, make_llm).query("What?")

    assert capfd.readouterr() == ("", "")
    assert (list(root.handlers), root.level) == before


# -- Rows in which it hears


def on_settings_before_the_llm(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """The classic way."""
    Settings.callback_manager = CallbackManager([handler])
    return index_of_facts().as_query_engine(llm=make_llm(), **how)


def on_settings_after_the_llm(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """The engine gives its LLM the manager of Settings."""
    llm = make_llm()
    Settings.callback_manager = CallbackManager([handler])
    return index_of_facts().as_query_engine(llm=llm, **how)


def added_to_settings_after_the_engine(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any
) -> BaseQueryEngine:
    """The manager stays the one that the engine was built with."""
    engine = index_of_facts().as_query_engine(llm=make_llm(), **how)
    Settings.callback_manager.add_handler(handler)
    return engine


def attached_after_the_engine(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, **how: Any) -> BaseQueryEngine:
    """LlamaIndex's dispatcher is asked, and no callback manager."""
    engine = on_the_llm(handler, make_llm, **how)
    handler.attach()
    return engine


HEARING_ROWS = [
    on_settings_before_the_llm,
    on_settings_after_the_llm,
    added_to_settings_after_the_engine,
    attached_after_the_engine,
]


@every_way_to_ask
@pytest.mark.parametrize("build", HEARING_ROWS, ids=lambda build: build.__name__)
async def test_a_handler_that_hears_is_silent(
    build: Build,
    how: str,
    streaming: bool,
    handler: OpenAIFineTuningHandler,
    make_llm: MakeLLM,
    warnings: Callable[[], list[str]],
) -> None:
    """What works is recorded once per query, without a word."""
    engine = build(handler, make_llm, streaming=streaming)
    await ask(engine, how)
    await ask(engine, how)

    assert (handler.summary().finished, warnings()) == (2, [])


@every_way_to_ask
async def test_a_handler_used_with_recording_is_silent(
    how: str, streaming: bool, handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """Queries inside the scope are recorded, those outside are meant to be left out."""
    engine = index_of_facts().as_query_engine(llm=make_llm(), streaming=streaming)
    with handler.recording(query_id="q1"):
        await ask(engine, how)
    await ask(engine, how)

    assert [example.query_id for example in handler.examples()] == ["q1"]
    assert warnings() == []


@uses_agents
async def test_an_agent_with_a_handler_on_its_llm_is_heard(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """An agent has no synthesizer that would replace the manager."""
    llm = make_llm(callback_manager=CallbackManager([handler]))
    await FunctionAgent(llm=llm, tools=[], streaming=False).run("What?", memory=short_memory())

    assert (handler.summary().finished, warnings()) == (1, [])


def test_a_manager_passed_to_as_query_engine_is_an_error_of_llama_index(
    handler: OpenAIFineTuningHandler,
) -> None:
    """This way cannot be taken: no engine is built."""
    with pytest.raises(TypeError, match=r"got multiple values for keyword argument 'callback_manager'"):
        index_of_facts().as_query_engine(callback_manager=CallbackManager([handler]))


# -- No false alarms


def test_another_engine_may_go_unrecorded(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """A handler that works on one engine says nothing about the others."""
    Settings.callback_manager = CallbackManager([handler])
    index_of_facts().as_query_engine(llm=make_llm()).query("What?")
    Settings.callback_manager = other_observer()
    index_of_facts().as_query_engine(llm=make_llm()).query("What?")

    assert (handler.summary().finished, warnings()) == (1, [])


def test_a_handler_may_be_taken_away(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """`remove_handler` ends the recording on purpose."""
    engine = on_settings_before_the_llm(handler, make_llm)
    engine.query("What?")
    Settings.callback_manager.remove_handler(handler)
    engine.query("What?")

    assert (handler.summary().finished, warnings()) == (1, [])


def test_a_handler_made_only_to_save_says_nothing(
    make_llm: MakeLLM, warnings: Callable[[], list[str]], tmp_path: Path
) -> None:
    """It reads what another one recorded in the file, and is put nowhere."""
    recorder = OpenAIFineTuningHandler(tmp_path / "calls.jsonl")
    with recorder.recording():
        make_llm().complete("What?")
    saver = OpenAIFineTuningHandler(tmp_path / "calls.jsonl")
    saver.save_finetuning_events(tmp_path / "events.jsonl")
    index_of_facts().as_query_engine(llm=make_llm()).query("What?")

    assert warnings() == []


@pytest.mark.parametrize("response_mode", ["no_text", "context_only"])
async def test_queries_that_ask_no_llm_are_no_cause(
    response_mode: Any,
    handler: OpenAIFineTuningHandler,
    make_llm: MakeLLM,
    warnings: Callable[[], list[str]],
    tmp_path: Path,
) -> None:
    """Nothing is said when they end, and the truth when nothing can be saved."""
    Settings.llm = make_llm()
    engine = index_of_facts().as_query_engine(response_mode=response_mode)
    engine.query("What?")
    await engine.aquery("What?")

    assert warnings() == []
    with pytest.raises(EmptyRecordingError, match=r"^nothing to save: queries ended without an LLM call \(2\): "):
        handler.save_finetuning_events(tmp_path / "events.jsonl")


@pytest.mark.skipif(
    Version(version("llama-index-core")) < Version("0.14.25"), reason="core before 0.14.25 reads these streams itself"
)
async def test_streams_that_nobody_reads_are_named_when_saving(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]], tmp_path: Path
) -> None:
    """LlamaIndex sends their request when the first piece is read, so there is nothing to warn of before."""
    engine = on_settings_before_the_llm(handler, make_llm, streaming=True)
    unread = [engine.query("What?"), await engine.aquery("What?")]

    assert warnings() == []
    with pytest.raises(EmptyRecordingError, match=r"^nothing to save: answers were streamed and never read \(2\): "):
        handler.save_finetuning_events(tmp_path / "events.jsonl")
    del unread


@pytest.mark.parametrize(
    ("is_used", "when"),
    [(False, "reached it"), (True, "was made while it was attached or inside handler.recording()")],
)
def test_calls_outside_any_engine_are_counted_for_the_error(
    is_used: bool, when: str, handler: OpenAIFineTuningHandler, make_llm: MakeLLM, tmp_path: Path
) -> None:
    """No query ends there, so nothing is said at once."""
    if is_used:
        with handler.recording():
            pass
    make_llm().complete("What?")
    make_llm("gpt-4.1").complete("What?")

    with pytest.raises(EmptyRecordingError) as caught:
        handler.save_finetuning_events(tmp_path / "events.jsonl")
    assert str(caught.value) == (
        "nothing to save: none of the LLM calls since this handler was made (2, the last by OpenAI(gpt-4.1)) "
        f"{when}; before the first query call {ATTACH}"
    )


def test_a_handler_that_met_no_call_says_so(handler: OpenAIFineTuningHandler, tmp_path: Path) -> None:
    """Saving with another handler than the one that recorded is a common slip."""
    with pytest.raises(EmptyRecordingError) as caught:
        handler.save_finetuning_events(tmp_path / "events.jsonl")

    assert str(caught.value) == (
        "nothing to save: no LLM call was made since this handler was made; use one and the same handler for the "
        f"queries and here, and before the first query call {ATTACH}"
    )


# -- Plain threads


def test_threads_inside_a_scope_are_named_and_carry_cures_them(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """A thread pool does not take `recording()` along."""
    engine = index_of_facts().as_query_engine(llm=make_llm())
    with ThreadPoolExecutor() as pool:
        with handler.recording(query_id="lost"):
            list(pool.map(engine.query, ["What?"] * 3))
        with handler.recording(query_id="carried"):
            list(pool.map(handler.carry(engine.query), ["What?"] * 3))

    assert (len(handler.calls_of("lost")), len(handler.calls_of("carried"))) == (0, 3)
    assert warnings() == [
        "OpenAIFineTuningHandler recorded nothing: no LLM call was made inside handler.recording(), but 3 outside it "
        "meanwhile: a thread of your own does not carry it along; start it with handler.carry(function), or open "
        "recording() inside it"
    ]


def test_a_scope_whose_query_asks_no_llm_is_no_cause(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, warnings: Callable[[], list[str]]
) -> None:
    """What other threads ask meanwhile is theirs."""
    index = index_of_facts()
    Settings.llm = make_llm()
    with ThreadPoolExecutor() as pool, handler.recording(query_id="q1"):
        index.as_query_engine(response_mode="no_text").query("What?")
        pool.submit(index.as_query_engine().query, "Theirs?").result()

    assert (handler.summary().finished, warnings()) == (0, [])


# -- What the engine was told and does not do


def test_a_context_window_given_to_openai_is_named_when_refine_steps_are_missed(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, tmp_path: Path
) -> None:
    """`OpenAI(context_window=...)` leaves no trace; that no step was made, and in which window, does."""
    handler.attach()
    SummaryIndex.from_documents(FACTS).as_query_engine(llm=make_llm(context_window=1100)).query("What?")

    with pytest.raises(EmptyRecordingError) as caught:
        handler.save_finetuning_events(tmp_path / "events.jsonl", kinds=["refine"])
    # Which window is used without one in Settings has changed between versions of core.
    said = re.sub(r"\b(3900|128000) tokens", "N tokens", str(caught.value))
    assert said == (
        "nothing to save: no refine step was made: the contexts of each query fitted into one call, in a window of "
        "N tokens, which OpenAI(context_window=...) does not change; set Settings.context_window before the "
        "engine is built, or build it with response_mode='refine'"
    )


@pytest.mark.parametrize("cure", ["window", "mode"])
def test_both_cures_for_missing_refine_steps_work(
    cure: str, handler: OpenAIFineTuningHandler, make_llm: MakeLLM, tmp_path: Path
) -> None:
    """A smaller window in Settings makes refine steps, and so does the response mode."""
    handler.attach()
    if cure == "window":
        Settings.context_window = 1100
    mode: Any = {"window": "compact", "mode": "refine"}[cure]
    SummaryIndex.from_documents(FACTS).as_query_engine(llm=make_llm(), response_mode=mode).query("What?")
    handler.save_finetuning_events(tmp_path / "events.jsonl", kinds=["refine"])

    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == handler.summary().kinds["refine"] >= 3


def test_refine_steps_that_where_leaves_out_are_not_denied(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, tmp_path: Path
) -> None:
    """Where there are some, the error says what was recorded."""
    handler.attach()
    SummaryIndex.from_documents(FACTS).as_query_engine(llm=make_llm(), response_mode="refine").query("What?")

    with pytest.raises(EmptyRecordingError, match=r"of 4 recorded calls \(answer, refine\) none was chosen"):
        handler.save_finetuning_events(tmp_path / "events.jsonl", kinds=["refine"], where=lambda example: False)
