"""A recorder in production: a share of the queries, a limit to what is kept, and nothing left behind in memory."""

from __future__ import annotations

import gc
import logging
import math
import subprocess
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from llama_index.core import Document, Settings, SummaryIndex
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage, MockLLM
from recording_programs import Front, Yes, by_attach, by_callback, said

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.recording import OpenAIFineTuningHandler, read_recording


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """LlamaIndex's settings are what they were when the test is over."""
    before = Settings._callback_manager
    yield
    Settings._callback_manager = before


by_each_front = pytest.mark.parametrize("front", [by_callback, by_attach])
with_and_without_file = pytest.mark.parametrize("name", [None, "calls.jsonl"])


# -- Sampling


@with_and_without_file
@pytest.mark.parametrize(("rate", "kept"), [(0, 0), (1, 20)])
def test_none_or_all_are_kept(tmp_path: Path, name: str | None, rate: float, kept: int) -> None:
    """The ends of the range leave nothing to chance; what was drawn out is counted."""
    handler = OpenAIFineTuningHandler(name and tmp_path / name, sampling_rate=rate)
    llm = by_callback(handler)
    for number in range(20):
        llm.complete(str(number))

    assert len(handler.examples(kinds=None)) == handler.summary().finished == kept
    assert handler.summary().skipped == ({} if kept else {"not sampled": 20})
    assert handler.summary().failed == {}


@pytest.mark.parametrize("opens_scope", [False, True])
def test_a_query_is_sampled_whole(opens_scope: bool) -> None:
    """Of a query with four calls all are kept, or none; about half of the queries are."""
    handler = OpenAIFineTuningHandler(sampling_rate=0.5)
    index = SummaryIndex.from_documents([Document(text=f"Fact {number}.") for number in range(4)])
    engine = index.as_query_engine(llm=MockLLM(max_tokens=2), response_mode="refine")
    handler.attach()
    for number in range(100):
        if opens_scope:
            with handler.recording(query_id=f"q{number}"):
                engine.query("How many?")
        else:
            engine.query("How many?")
    handler.detach()

    examples = handler.examples(kinds=None)
    queries = {example.query_id for example in examples}
    assert [len(handler.calls_of(query_id or "")) for query_id in queries] == [4] * len(queries)
    assert handler.summary().skipped == {"not sampled": 400 - len(examples)}
    assert 15 < len(queries) < 85  # outside once in 10**12 times


def test_failures_are_counted_at_any_rate() -> None:
    """What goes wrong is no matter of chance."""
    handler = OpenAIFineTuningHandler(sampling_rate=0)
    stream = by_callback(handler).stream_complete("Hello?")
    next(stream)
    stream.close()

    assert handler.summary().failed == {"stream not read to its end": 1}


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan, math.inf])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    """It is a share."""
    with pytest.raises(ConfigurationError, match=f"sampling_rate={rate}: pass a number from 0 to 1"):
        OpenAIFineTuningHandler(sampling_rate=rate)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_out_of_range_is_refused(limit: int, tmp_path: Path) -> None:
    """No room at all is a mistake; no file is made."""
    with pytest.raises(ConfigurationError, match=f"max_bytes={limit}: pass a positive number of bytes"):
        OpenAIFineTuningHandler(tmp_path / "calls.jsonl", max_bytes=limit)

    assert list(tmp_path.iterdir()) == []


# -- Size


@with_and_without_file
def test_calls_past_the_limit_are_counted(tmp_path: Path, name: str | None) -> None:
    """What fits is kept, also after something that did not; nothing is cut."""
    handler = OpenAIFineTuningHandler(name and tmp_path / name, max_bytes=2000)
    llm = by_callback(handler)
    answers = [llm.complete(prompt).text for prompt in ("one", "long " * 1000, "two", *"3456789")]
    prompts = [example.messages[0]["content"] for example in handler.examples(kinds=None)]

    assert answers == ["yes"] * 10
    assert prompts == ["one", "two", *"3456789"][: len(prompts)]
    assert 3 <= len(prompts) <= 6
    assert handler.summary().skipped == {"over the size limit": 10 - len(prompts)}


def test_a_full_file_is_said_once_and_goes_on_when_it_is_moved_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its limit is the file's, whoever wrote it; the file stays below it."""
    path = tmp_path / "calls.jsonl"
    for _ in range(2):
        llm = by_callback(OpenAIFineTuningHandler(path, max_bytes=1000))
        for _ in range(5):
            llm.complete("Hello?")
    assert path.stat().st_size <= 1000
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    kept = len(read_recording(path))
    path.unlink()
    llm.complete("Hello?")

    assert (kept, len(read_recording(path))) == (2, 1)


def test_clearing_makes_room_in_memory() -> None:
    """The limit is of what is kept."""
    handler = OpenAIFineTuningHandler(max_bytes=1000)
    llm = by_callback(handler)
    for _ in range(5):
        llm.complete("Hello?")
    kept = len(handler.examples(kinds=None))
    handler.clear()
    llm.complete("Hello?")

    assert (kept, len(handler.examples(kinds=None)), handler.summary().skipped) == (2, 1, {})


# -- Memory


def chats(llm: Yes, times: int) -> None:
    """Finished calls."""
    for _ in range(times):
        llm.chat(said("Hello?"))


def queries(llm: Yes, times: int) -> None:
    """Calls of an engine, each a query of its own."""
    engine = SummaryIndex.from_documents([Document(text="A fact.")]).as_query_engine(llm=llm, streaming=True)
    for _ in range(times):
        "".join(engine.query("How many?").response_gen)


def unread_streams(llm: Yes, times: int) -> None:
    """Streams that nobody reads, and some that are dropped half way."""
    for number in range(times):
        stream = llm.stream_chat(said("Hello?"))
        if number % 2:
            next(stream)


def unread_answers(llm: Yes, times: int) -> None:
    """Streamed answers of an engine that nobody reads."""
    engine = SummaryIndex.from_documents([Document(text="A fact.")]).as_query_engine(llm=llm, streaming=True)
    for _ in range(times):
        engine.query("How many?")


@by_each_front
@pytest.mark.parametrize(
    ("use", "times"), [(chats, 1000), (queries, 300), (unread_streams, 1000), (unread_answers, 300)]
)
def test_calls_leave_nothing_behind(tmp_path: Path, front: Front, use: Callable[[Yes, int], None], times: int) -> None:
    """With a file, memory holds as many objects after 3,000 calls as after 1,000."""
    handler = OpenAIFineTuningHandler(tmp_path / "calls.jsonl")
    held = []
    for more in (50, times, 2 * times):
        use(front(handler), more)
        Settings.callback_manager = CallbackManager([])  # which has a memory of its own
        gc.collect()
        held.append(len(gc.get_objects()))
    handler.detach()

    assert held[2] - held[1] < 200
    assert (handler.summary().finished > 0) == (use in (chats, queries))


def test_the_bytes_of_calls_are_let_go(tmp_path: Path) -> None:
    """Not even their texts are kept: long prompts do not add up."""
    llm = by_callback(OpenAIFineTuningHandler(tmp_path / "calls.jsonl"))
    llm.complete("warm up")
    tracemalloc.start()
    try:
        for number in range(300):
            llm.complete(f"{number} " * 5_000)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert grown < 500_000


@by_each_front
def test_what_an_app_passes_is_let_go(front: Front) -> None:
    """A recorder in memory keeps copies; the app's own objects die when the app is done with them."""
    handler = OpenAIFineTuningHandler()
    llm = front(handler)
    message = ChatMessage(role="user", content="Hello?")
    response = llm.chat([message])
    alive = [weakref.ref(each) for each in (message, response, llm)]
    del message, response, llm
    gc.collect()

    assert [reference() for reference in alive] == [None, None, None]
    assert len(handler.examples(kinds=None)) == 1
    handler.detach()


@by_each_front
@pytest.mark.parametrize("is_read", [True, False])
def test_an_engine_is_let_go(front: Front, is_read: bool) -> None:
    """Whether or not its streamed answer was read: an index may be large."""
    handler = OpenAIFineTuningHandler()
    index = SummaryIndex.from_documents([Document(text="A fact.")])
    engine = index.as_query_engine(llm=front(handler), streaming=True)
    response = engine.query("How many?")
    if is_read:
        "".join(response.response_gen)
    alive = [weakref.ref(index), weakref.ref(engine)]
    del index, engine, response
    gc.collect()

    assert [reference() for reference in alive] == [None, None]
    handler.detach()


def test_a_scope_around_a_whole_app_stays_small() -> None:
    """A call is not burdened with every node that was ever retrieved in its scope."""
    handler = OpenAIFineTuningHandler()
    with handler.recording(query_id="app"):
        for _ in range(30):
            index = SummaryIndex.from_documents([Document(text="A fact.") for _ in range(100)])
            index.as_query_engine(llm=Yes()).query("How many?")
        Yes().complete("Directly?")

    assert len(handler.calls_of("app")[-1].node_ids) <= 1000


# -- Its own life


def ears() -> int:
    """How many ears listen on the dispatcher."""
    gc.collect()
    root = get_dispatcher()
    return len(root.event_handlers) + len(root.span_handlers)


@with_and_without_file
def test_a_handler_out_of_scope_takes_its_ears_off(tmp_path: Path, name: str | None) -> None:
    """Nobody has to close it."""
    before = ears()
    handler = OpenAIFineTuningHandler(name and tmp_path / name)
    Yes(callback_manager=CallbackManager([handler])).complete("Hello?")
    with handler.recording():
        MockLLM(max_tokens=1).complete("Hello?")
    during = ears()
    del handler

    assert (during - before, ears() - before) == (2, 0)


def test_an_attached_handler_records_though_nobody_holds_it(tmp_path: Path) -> None:
    """One line in an app is enough; in a process of its own, since nobody could detach it."""
    path = tmp_path / "calls.jsonl"
    app = (
        "import gc, sys\n"
        "from recording_programs import OpenAIFineTuningHandler, Yes\n"
        "OpenAIFineTuningHandler(sys.argv[1]).attach()\n"
        "gc.collect()\n"
        "Yes().complete('Hello?')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", app, str(path)], cwd=Path(__file__).parent, check=True, capture_output=True, text=True
    )

    assert (run.stdout, run.stderr) == ("", "")
    assert [example.messages[0]["content"] for example in read_recording(path)] == ["Hello?"]


def test_detached_and_let_go_it_is_gone() -> None:
    """What `attach` holds, `detach` lets go."""
    before = ears()
    for _ in range(3):
        handler = OpenAIFineTuningHandler()
        handler.attach()
        handler.attach()
        handler.detach()
    del handler

    assert ears() == before
