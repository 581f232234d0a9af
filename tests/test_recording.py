"""The recorder: what it keeps of an app's LLM calls, what it leaves alone, and what it says when there is nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from llama_index.core import Document, Settings, SummaryIndex, get_response_synthesizer
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    CitableBlock,
    CitationBlock,
    ImageBlock,
    TextBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.llms import LLM, ChatMessage, CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike

from llama_index_ft_rag.errors import EmptyRecordingError
from llama_index_ft_rag.offline import ApiFailure, ChatReply, ChatRequest, OfflineBackend, ScriptedResponder
from llama_index_ft_rag.recording import OpenAIFineTuningHandler

MakeLLM = Callable[..., LLM]


class Parrot(CustomLLM):
    """A completion-style LLM that says "Paris.", or fails the way it is told to."""

    failure: Any = None

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="parrot", context_window=3900)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        if self.failure is not None:
            raise self.failure
        return CompletionResponse(text="Paris.")

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        def chunks() -> Iterator[CompletionResponse]:
            yield CompletionResponse(text="Par", delta="Par")
            yield CompletionResponse(text="Paris.", delta="is.")

        return chunks()


class Grumpy(BaseCallbackHandler):
    """Another observer, which keeps the end payloads it is shown."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.ends: list[Any] = []

    def on_event_start(self, *args: Any, **kwargs: Any) -> str:
        return ""

    def on_event_end(self, event_type: Any, payload: Any = None, event_id: str = "", **kwargs: Any) -> None:
        self.ends.append(payload)

    def start_trace(self, trace_id: str | None = None) -> None: ...

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None: ...


@pytest.fixture
def handler() -> Iterator[OpenAIFineTuningHandler]:
    """A recorder that listens to nothing once the test is over."""
    handler = OpenAIFineTuningHandler()
    yield handler
    handler.detach()


@pytest.fixture
def wire() -> Iterator[list[ChatRequest]]:
    """The requests that reached the service."""
    return []


@pytest.fixture
def make_llm(wire: list[ChatRequest]) -> Iterator[MakeLLM]:
    """Make LLMs of OpenAI's classes that talk to a service in this process."""

    def say(request: ChatRequest) -> ChatReply | ApiFailure:
        wire.append(request)
        if "refuse this" in json.dumps(request.messages):
            return ApiFailure(message="no", status=400)
        return ChatReply(content="It is Paris.", finish_reason="stop")

    with OfflineBackend(responder=ScriptedResponder(say)) as backend:

        def make(kind: type[OpenAI] = OpenAILike, *, model: str = "gpt-4o-mini", **settings: Any) -> LLM:
            if kind is OpenAILike:
                settings = {"is_chat_model": True, **settings}
            return kind(
                model=model,
                api_base="http://offline.invalid/v1",
                api_key="offline",
                http_client=backend.http_client(),
                async_http_client=backend.async_http_client(),
                **settings,
            )

        yield make


def four_facts() -> SummaryIndex:
    """An index whose retriever returns all of its four nodes."""
    return SummaryIndex.from_documents([Document(text=f"Fact {n}.", id_=f"fact-{n}") for n in range(4)])


def said(text: str) -> list[ChatMessage]:
    """One user message."""
    return [ChatMessage(role="user", content=text)]


# -- The callback front


def test_a_handler_on_the_llm_records_a_chat(handler: OpenAIFineTuningHandler, make_llm: MakeLLM) -> None:
    """The post's way of use works: messages, answer, model, tokens and finish reason are kept."""
    make_llm(callback_manager=CallbackManager([handler])).chat(said("Capital of France?"))

    [example] = handler.examples()
    assert example.messages == [
        {"role": "user", "content": "Capital of France?"},
        {"role": "assistant", "content": "It is Paris."},
    ]
    assert (example.model, example.finish_reason, example.kind) == ("gpt-4o-mini", "stop", "answer")
    assert example.usage.prompt_tokens > 0
    assert example.usage.completion_tokens > 0
    assert example.latency_s >= 0


def test_what_the_app_passes_is_never_changed(handler: OpenAIFineTuningHandler) -> None:
    """The list the app passed, and what other observers see, hold no answer afterwards."""
    observer = Grumpy()
    messages = said("Hello?")
    Parrot(callback_manager=CallbackManager([handler, observer])).chat(messages)

    assert messages == said("Hello?")
    assert [end["messages"] for end in observer.ends if "messages" in end] == [said("Hello?")]


def test_a_tuple_of_messages_is_recorded(handler: OpenAIFineTuningHandler) -> None:
    """Any sequence will do."""
    Parrot(callback_manager=CallbackManager([handler])).chat(tuple(said("Hello?")))

    assert [example.answer for example in handler.examples()] == ["Paris."]


def test_messages_changed_after_the_call_started_are_recorded_as_sent(handler: OpenAIFineTuningHandler) -> None:
    """The snapshot is taken at the start."""
    messages = said("before")
    stream = Parrot(callback_manager=CallbackManager([handler])).stream_chat(messages)
    messages[0].content = "after"
    list(stream)

    [example] = handler.examples()
    assert example.messages[0] == {"role": "user", "content": "before"}


def test_a_completion_is_recorded_with_its_prompt(handler: OpenAIFineTuningHandler) -> None:
    """Completions end with another payload than chats; the prompt becomes the user's message."""
    Parrot(callback_manager=CallbackManager([handler])).complete("Capital of France?")

    [example] = handler.examples()
    assert example.messages == [
        {"role": "user", "content": "Capital of France?"},
        {"role": "assistant", "content": "Paris."},
    ]


@pytest.mark.parametrize("attached", [False, True])
async def test_nested_calls_of_completion_style_llms_are_one_example(
    handler: OpenAIFineTuningHandler, attached: bool
) -> None:
    """`achat` calls `chat` calls `complete`: the app asked once, in each of the eight ways."""
    llm = MockLLM(max_tokens=3, callback_manager=CallbackManager([handler]))
    if attached:
        handler.attach()

    await llm.achat(said("1"))
    llm.chat(said("2"))
    llm.complete("3")
    await llm.acomplete("4")
    list(llm.stream_chat(said("5")))
    list(llm.stream_complete("6"))
    [chunk async for chunk in await llm.astream_chat(said("7"))]
    [chunk async for chunk in await llm.astream_complete("8")]

    assert [example.messages[0]["content"] for example in handler.examples(kinds=None)] == list("12345678")


@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize("method", ["chat", "complete"])
def test_an_exception_passes_unchanged_and_is_not_an_example(
    handler: OpenAIFineTuningHandler, method: str, attached: bool
) -> None:
    """The app gets its own exception object; the recorder counts it by its name."""
    failure = ValueError("no")
    llm = Parrot(failure=failure, callback_manager=CallbackManager([handler]))
    if attached:
        handler.attach()
    with pytest.raises(ValueError, match="no") as caught:
        getattr(llm, method)("Hello?" if method == "complete" else said("Hello?"))

    assert caught.value is failure
    assert handler.examples(kinds=None) == []
    assert handler.summary().failed == {"ValueError": 1}


@pytest.mark.parametrize("attached", [False, True])
async def test_a_refused_request_is_counted(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, attached: bool
) -> None:
    """HTTP 400 reaches the app as the client's own error, plain and streamed."""
    llm = make_llm(callback_manager=CallbackManager([handler]))
    if attached:
        handler.attach()
    with pytest.raises(openai.BadRequestError):
        llm.chat(said("refuse this"))
    with pytest.raises(openai.BadRequestError):
        [chunk async for chunk in await llm.astream_chat(said("refuse this"))]

    assert handler.summary().failed == {"BadRequestError": 2}


@pytest.mark.parametrize("attached", [False, True])
def test_only_drained_streams_are_examples(handler: OpenAIFineTuningHandler, make_llm: MakeLLM, attached: bool) -> None:
    """Closed early and never read are counted apart, and do not get in the way of the same question later."""
    llm = make_llm(callback_manager=CallbackManager([handler]))
    if attached:
        handler.attach()
    drained = list(llm.stream_chat(said("drained")))
    closed = llm.stream_chat(said("closed"))
    next(closed)
    closed.close()
    never = llm.stream_chat(said("never"))
    llm.chat(said("never"))

    assert len(drained) > 1
    assert [(call.messages[0]["content"], call.answer) for call in handler.examples(kinds=None)] == [
        ("drained", "It is Paris."),
        ("never", "It is Paris."),
    ]
    assert handler.summary().failed == {"stream not read to its end": 1, "not finished": 1}
    del never


def test_an_empty_stream_is_no_answer(handler: OpenAIFineTuningHandler) -> None:
    """A stream that ends before its first chunk is counted, not saved."""
    silent = MockFunctionCallingLLM(
        callback_manager=CallbackManager([handler]), response_generator=lambda messages, **kwargs: iter(())
    )
    list(silent.stream_chat(said("Hello?")))

    assert handler.summary().failed == {"no response": 1}


def test_images_and_system_prompts_are_recorded_as_sent(
    handler: OpenAIFineTuningHandler, make_llm: MakeLLM, wire: list[ChatRequest]
) -> None:
    """The recorded messages equal what went over the wire."""
    blocks = [TextBlock(text="What is it?"), ImageBlock(url="https://example.com/a.png", detail="low")]
    messages = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", blocks=blocks)]
    llm = make_llm(OpenAI, callback_manager=CallbackManager([handler]))
    llm.chat(messages)

    [example] = handler.examples()
    assert example.messages[:-1] == wire[0].messages


def test_tools_and_tool_calls_are_recorded(handler: OpenAIFineTuningHandler) -> None:
    """An agent's turns keep the tools it had and the calls it made, in wire format."""

    def area(side: int = 3) -> int:
        """Area of a square."""
        return side * side

    llm = MockFunctionCallingLLM(callback_manager=CallbackManager([handler]))
    llm.chat_with_tools([FunctionTool.from_defaults(area)], user_msg="How big?")

    [example] = handler.examples(kinds=["tool_turn"])
    [call] = example.messages[-1]["tool_calls"]
    assert example.messages[0] == {"role": "user", "content": "How big?"}
    assert call["function"] == {"name": "area", "arguments": '{"side": 3}'}
    assert [tool["function"]["name"] for tool in example.tools] == ["area"]


def test_a_call_that_cannot_be_written_down_is_counted_and_logged_once(
    handler: OpenAIFineTuningHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """The chat format has no word for video; the app goes on."""
    llm = Parrot(callback_manager=CallbackManager([handler]), messages_to_prompt=lambda messages: "video")
    video = [ChatMessage(role="user", blocks=[VideoBlock(video=b"1234")])]
    with caplog.at_level(logging.WARNING):
        answers = [llm.chat(video).message.content for _ in range(2)]

    assert answers == ["Paris.", "Paris."]
    assert handler.summary().failed == {"not recordable: ValueError": 2}
    assert len([record for record in caplog.records if "left out" in record.message]) == 1


MARK = CachePoint(cache_control=CacheControl(type="ephemeral"))
SOURCE = CitableBlock(title="Atlas", source="atlas", content=[TextBlock(text="Paris is in France.")])
CITATION = CitationBlock(
    cited_content=TextBlock(text="Paris is in France."), source="atlas", title="Atlas", additional_location_info={}
)


@pytest.mark.parametrize(
    ("blocks", "content"),
    [
        ([TextBlock(text="Where is Paris?"), MARK], "Where is Paris?"),
        ([SOURCE], "Paris is in France."),
        ([SOURCE, TextBlock(text=" Where is Paris?"), MARK], "Paris is in France. Where is Paris?"),
    ],
)
@pytest.mark.parametrize("role", ["system", "user"])
def test_blocks_of_other_providers_are_recorded_by_their_text(
    handler: OpenAIFineTuningHandler, blocks: list[Any], content: str, role: str
) -> None:
    """Marks for a cache are no part of what is said, and a passage to cite is its text."""
    Parrot(callback_manager=CallbackManager([handler])).chat([ChatMessage(role=role, blocks=blocks), *said("Well?")])

    [example] = handler.examples(kinds=None)
    assert example.messages[:2] == [{"role": role, "content": content}, {"role": "user", "content": "Well?"}]
    assert handler.summary().failed == {}


def test_an_answer_with_citations_is_recorded_by_its_text(handler: OpenAIFineTuningHandler) -> None:
    """Where it was found is no part of what is said."""
    answer = ChatMessage(role="assistant", blocks=[TextBlock(text="In France."), CITATION])
    llm = MockFunctionCallingLLM(
        callback_manager=CallbackManager([handler]), response_generator=lambda messages, **kwargs: answer
    )
    llm.chat(said("Where is Paris?"))

    [example] = handler.examples(kinds=None)
    assert example.messages[-1] == {"role": "assistant", "content": "In France."}


@pytest.mark.parametrize("attached", [False, True])
def test_an_empty_answer_is_counted(handler: OpenAIFineTuningHandler, attached: bool) -> None:
    """There is nothing to learn from it."""
    llm = MockFunctionCallingLLM(
        callback_manager=CallbackManager([handler]),
        response_generator=lambda messages, **kwargs: ChatMessage(role="assistant", content=""),
    )
    if attached:
        handler.attach()
    llm.chat(said("Hello?"))

    assert (handler.examples(kinds=None), handler.summary().failed) == ([], {"empty answer": 1})


def test_get_finetuning_events_has_its_old_shape(handler: OpenAIFineTuningHandler) -> None:
    """Code written for the retired handler finds `messages` and `response`."""
    Parrot(callback_manager=CallbackManager([handler])).chat(said("Hello?"))

    [event] = handler.get_finetuning_events().values()
    assert event == {"messages": said("Hello?"), "response": ChatMessage(role="assistant", content="Paris.")}


# -- Saving


def test_saved_events_are_lines_a_provider_accepts(handler: OpenAIFineTuningHandler, tmp_path: Path) -> None:
    """Every finished call is a line; where it came from lies beside it."""
    with handler.recording(query_id="q1", question="Capital of France?"):
        Parrot().chat(said("Capital of France?"))
    handler.save_finetuning_events(str(tmp_path / "events.jsonl"))

    assert (tmp_path / "events.jsonl").read_text() == (
        '{"messages": [{"role": "user", "content": "Capital of France?"}, '
        '{"role": "assistant", "content": "Paris."}]}\n'
    )
    provenance = json.loads((tmp_path / "events.provenance.jsonl").read_text())
    assert (provenance["query_id"], provenance["step"], provenance["question"]) == ("q1", 0, "Capital of France?")


def test_question_generation_is_not_saved(handler: OpenAIFineTuningHandler, tmp_path: Path) -> None:
    """Prompts that make questions are not part of answering one."""
    prompt = "Context.\nGiven the context, generate only questions based on the below query.\nTen questions"
    with handler.recording(query_id="q1"):
        Parrot().complete(prompt)
    path = tmp_path / "events.jsonl"

    with pytest.raises(EmptyRecordingError, match="question_generation"):
        handler.save_finetuning_events(path)
    assert not path.exists()


def test_an_empty_recorder_says_why_and_what_to_do(handler: OpenAIFineTuningHandler, tmp_path: Path) -> None:
    """An engine that replaces the LLM's callback manager is why the old handler wrote 0 examples."""
    llm = Parrot(callback_manager=CallbackManager([handler]))
    engine = four_facts().as_query_engine(llm=llm)
    engine.query("What?")

    with pytest.raises(EmptyRecordingError, match=r"building an engine replaces.*Parrot.*handler\.attach\(\)"):
        handler.save_finetuning_events(tmp_path / "events.jsonl")


def test_only_failures_are_named_in_the_error(handler: OpenAIFineTuningHandler, tmp_path: Path) -> None:
    """When calls were seen but failed, the error says how."""
    llm = Parrot(failure=ValueError("no"), callback_manager=CallbackManager([handler]))
    with pytest.raises(ValueError, match="no"):
        llm.complete("Hello?")

    with pytest.raises(EmptyRecordingError, match=r"none finished \(1 x ValueError\)"):
        handler.save_finetuning_events(tmp_path / "events.jsonl")


def test_clear_forgets_what_was_recorded(handler: OpenAIFineTuningHandler) -> None:
    """A recorder can be used for the next run; ends of calls from before are ignored."""
    llm = Parrot(callback_manager=CallbackManager([handler]))
    llm.complete("one")
    stream = llm.stream_complete("two")
    next(stream)
    handler.clear()
    list(stream)
    llm.complete("three")

    assert [example.messages[0]["content"] for example in handler.examples()] == ["three"]
    assert handler.summary().failed == {}


# -- The dispatcher front


def test_attach_sees_an_engine_that_was_built_before(handler: OpenAIFineTuningHandler) -> None:
    """Where the callback manager was replaced, the dispatcher still sees the call, its question and its nodes."""
    engine = four_facts().as_query_engine(llm=Parrot(callback_manager=CallbackManager([Grumpy()])))
    handler.attach()
    engine.query("How many?")
    handler.detach()
    engine.query("Not recorded.")

    [example] = handler.examples()
    assert (example.kind, example.step, example.question, example.model) == ("answer", 0, "How many?", "parrot")
    assert len(example.node_ids) == 4


def test_both_fronts_at_once_record_once(handler: OpenAIFineTuningHandler) -> None:
    """A handler on Settings that is attached too does not see double."""
    before = Settings._callback_manager
    Settings.callback_manager = CallbackManager([handler])
    try:
        engine = four_facts().as_query_engine(llm=Parrot())
        handler.attach()
        engine.query("How many?")
        with handler.recording(query_id="q1"):
            engine.query("How many?")
        handler.detach()
        engine.query("How many?")
    finally:
        Settings._callback_manager = before

    assert len({example.query_id for example in handler.examples()}) == 3


async def test_calls_outside_an_open_scope_are_left_to_the_callbacks(handler: OpenAIFineTuningHandler) -> None:
    """While one task records its query, another task's calls are not mixed in, nor lost to a callback manager."""
    entered, done = asyncio.Event(), asyncio.Event()

    async def record() -> None:
        with handler.recording(query_id="q1"):
            entered.set()
            await done.wait()

    task = asyncio.ensure_future(record())
    await entered.wait()
    four_facts().as_query_engine(llm=Parrot()).query("Elsewhere?")
    Parrot(callback_manager=CallbackManager([handler])).complete("By callback?")
    done.set()
    await task

    assert [example.messages[0]["content"] for example in handler.examples(kinds=None)] == ["By callback?"]
    assert handler.calls_of("q1") == []


def test_an_answer_that_cannot_be_written_down_is_counted(handler: OpenAIFineTuningHandler) -> None:
    """A model that answers with a video teaches nothing to a model of text."""
    video = ChatMessage(role="assistant", blocks=[VideoBlock(video=b"1234")])
    llm = MockFunctionCallingLLM(
        callback_manager=CallbackManager([handler]), response_generator=lambda messages, **kwargs: video
    )
    llm.chat(said("Show me."))

    assert handler.summary().failed == {"not expressible in the chat format": 1}


def test_two_recorders_keep_their_scopes_apart() -> None:
    """Nested scopes of two recorders each get their own query id."""
    outer, inner = OpenAIFineTuningHandler(), OpenAIFineTuningHandler()
    with outer.recording(query_id="outer"), inner.recording(query_id="inner"):
        Parrot().chat(said("Hello?"))

    assert [example.query_id for example in outer.examples()] == ["outer"]
    assert [example.query_id for example in inner.examples()] == ["inner"]


@pytest.mark.parametrize(
    ("response_mode", "kinds"),
    [
        ("compact", ["answer"]),
        ("refine", ["answer", "refine", "refine", "refine"]),
        ("accumulate", ["answer", "answer", "answer", "answer"]),
        ("tree_summarize", ["answer"]),
        ("simple_summarize", ["answer"]),
    ],
)
@pytest.mark.parametrize("chat", [False, True])
async def test_the_calls_of_a_query_have_steps_and_kinds(
    handler: OpenAIFineTuningHandler, response_mode: str, kinds: list[str], chat: bool
) -> None:
    """Steps count from 0 in the order the calls started, whether asked sync or async."""
    engine = four_facts().as_query_engine(llm=MockLLM(is_chat_model=chat), response_mode=response_mode)
    with handler.recording(query_id="sync", question="How many?"):
        engine.query("How many?")
    with handler.recording(query_id="async"):
        await engine.aquery("How many?")

    for query_id in ("sync", "async"):
        calls = handler.calls_of(query_id)
        assert [call.kind for call in calls] == kinds
        assert [call.step for call in calls] == list(range(len(kinds)))
    assert {call.question for call in handler.calls_of("sync")} == {"How many?"}


def test_the_root_of_a_tree_is_the_answer(handler: OpenAIFineTuningHandler) -> None:
    """Leaves and root of a tree have the same prompt; only the last call answers."""
    llm = MockLLM(max_tokens=5)
    documents = [Document(text=f"Fact {n}. " + "word " * 1500) for n in range(4)]
    engine = SummaryIndex.from_documents(documents).as_query_engine(llm=llm, response_mode="tree_summarize")
    with handler.recording(query_id="q1"):
        engine.query("How many?")

    kinds = [call.kind for call in handler.calls_of("q1")]
    assert len(kinds) > 2
    assert kinds == ["tree_step"] * (len(kinds) - 1) + ["answer"]


async def ask(handler: OpenAIFineTuningHandler, engine: BaseQueryEngine, number: int) -> None:
    """Ask one question three times: here, in a task and in a thread."""
    with handler.recording(query_id=f"q{number}", question=f"Question {number}?"):
        await engine.aquery(f"Question {number}?")
        await asyncio.gather(
            engine.aquery(f"Question {number}?"), asyncio.to_thread(engine.query, f"Question {number}?")
        )


async def test_concurrent_queries_keep_their_own_calls(handler: OpenAIFineTuningHandler) -> None:
    """Twenty queries at once, with tasks and threads of their own, do not mix."""
    engine = four_facts().as_query_engine(llm=MockLLM(is_chat_model=True))
    await asyncio.gather(*(ask(handler, engine, number) for number in range(20)))

    for number in range(20):
        calls = handler.calls_of(f"q{number}")
        assert [call.step for call in calls] == [0, 1, 2]
        assert all(f"Question {number}?" in call.messages[-2]["content"] for call in calls)
        assert {call.question for call in calls} == {f"Question {number}?"}


def test_queries_in_plain_threads_are_recorded_once_each(handler: OpenAIFineTuningHandler) -> None:
    """An attached recorder sees threads that carry no context, each query under an id of its own."""
    engine = four_facts().as_query_engine(llm=MockLLM(is_chat_model=True))
    handler.attach()
    with ThreadPoolExecutor(max_workers=6) as pool:
        list(pool.map(engine.query, [f"Question {number}?" for number in range(24)]))

    assert sorted(example.question for example in handler.examples()) == sorted(
        f"Question {number}?" for number in range(24)
    )
    assert len({example.query_id for example in handler.examples()}) == 24


async def test_streamed_answers_are_recorded_when_read_inside(handler: OpenAIFineTuningHandler) -> None:
    """A streaming engine's answer belongs to its query, with the whole text."""
    engine = four_facts().as_query_engine(llm=Parrot(), streaming=True)
    with handler.recording(query_id="sync"):
        text = "".join(engine.query("How many?").response_gen)
    with handler.recording(query_id="async"):
        response = await engine.aquery("How many?")
        async for _ in response.async_response_gen():
            pass

    assert text == "Paris."
    assert [call.answer for call in handler.calls_of("sync") + handler.calls_of("async")] == ["Paris.", "Paris."]


def test_a_chat_engine_condenses_and_answers(handler: OpenAIFineTuningHandler) -> None:
    """The condensed question is its own kind and stays out of the default examples."""
    engine = four_facts().as_chat_engine(
        llm=Parrot(), chat_mode="condense_plus_context", memory=ChatMemoryBuffer.from_defaults(token_limit=3000)
    )
    with handler.recording(query_id="q1"):
        engine.chat("How many?")
        engine.chat("And why?")

    assert [call.kind for call in handler.calls_of("q1")] == ["answer", "condense", "answer"]
    assert len(handler.examples()) == 2


LIKE_A_PROMPT = [
    "Please act as an impartial judge: who was right?",
    "Here is the original query: who?",
    "Context information from multiple sources is below, what is it?",
    "Turn this into a standalone question:",
    "Generate only questions based on the below query?",
]


@pytest.mark.parametrize("question", LIKE_A_PROMPT)
@pytest.mark.parametrize(("mode", "nodes"), [("simple", 0), ("context", 4), ("condense_plus_context", 4)])
def test_what_a_user_says_in_a_chat_is_no_prompt(
    handler: OpenAIFineTuningHandler, mode: str, nodes: int, question: str
) -> None:
    """A question that reads like one of LlamaIndex's prompts is answered, and recorded as any other."""
    memory = ChatMemoryBuffer.from_defaults(token_limit=3000)
    engine = four_facts().as_chat_engine(llm=Parrot(), chat_mode=mode, memory=memory)
    handler.attach()
    engine.chat(question)

    assert [(call.kind, call.question, len(call.node_ids)) for call in handler.examples(kinds=None)] == [
        ("answer", question, nodes)
    ]


@pytest.mark.parametrize("question", LIKE_A_PROMPT)
@pytest.mark.parametrize("mode", ["compact", "tree_summarize", "accumulate", "simple_summarize"])
def test_what_a_user_asks_an_engine_is_no_prompt(handler: OpenAIFineTuningHandler, mode: str, question: str) -> None:
    """Nor is it in a query engine."""
    engine = SummaryIndex.from_documents([Document(text="A fact.")]).as_query_engine(llm=Parrot(), response_mode=mode)
    handler.attach()
    engine.query(question)

    assert [(call.kind, call.question) for call in handler.examples(kinds=None)] == [("answer", question)]


def area_or_nine(messages: list[ChatMessage], **kwargs: Any) -> ChatMessage:
    """An agent's model: it uses its tool, then it answers."""
    if messages[-1].role == "tool":
        return ChatMessage(role="assistant", content="9")
    return ChatMessage(
        role="assistant", blocks=[ToolCallBlock(tool_call_id="1", tool_name="area", tool_kwargs={"side": 3})]
    )


@pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecationWarning")  # of LlamaIndex's agents
@pytest.mark.parametrize("question", ["How big?", *LIKE_A_PROMPT])
@pytest.mark.parametrize(
    "system", [None, "Answer using the provided context information and tools.", "You are an expert evaluation system."]
)
async def test_what_is_said_to_an_agent_is_no_prompt(
    handler: OpenAIFineTuningHandler, system: str | None, question: str
) -> None:
    """Neither its system prompt nor what a user asks it makes its turns something else."""

    def area(side: int) -> int:
        """Area of a square."""
        return side * side

    llm = MockFunctionCallingLLM(response_generator=area_or_nine)
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(area)], llm=llm, system_prompt=system)
    handler.attach()
    await agent.run(question)

    assert [(call.kind, call.question) for call in handler.examples(kinds=None)] == [
        ("tool_turn", question),
        ("answer", question),
    ]


class ByHand(Workflow):
    """An app that retrieves and answers on its own, one question after the other."""

    @step
    async def answer(self, event: StartEvent) -> StopEvent:
        """Answer each question from its own passages."""
        synthesizer = get_response_synthesizer(llm=Parrot())
        handed = []
        for question in ("one", "two", "three"):
            index = SummaryIndex.from_documents([Document(text=question)])
            nodes = await index.as_retriever().aretrieve(question)
            handed.append([node.node_id for node in nodes])
            await synthesizer.asynthesize(question, nodes)
        return StopEvent(result=handed)


@pytest.mark.parametrize("in_scope", [False, True])
async def test_answers_made_by_hand_have_the_nodes_handed_over(
    handler: OpenAIFineTuningHandler, in_scope: bool
) -> None:
    """Not those that were retrieved for earlier questions, in a scope as in a workflow."""
    if in_scope:
        with handler.recording():
            handed = (await ByHand().answer(StartEvent())).result
    else:
        handler.attach()
        handed = await ByHand().run()

    assert [call.node_ids for call in handler.examples()] == handed
    assert len(handed) == 3


def test_calls_outside_any_engine_are_no_answers(handler: OpenAIFineTuningHandler) -> None:
    """An attached recorder does not take an app's other LLM use for answers to questions."""
    handler.attach()
    Parrot().complete("Write a poem.")

    assert [example.kind for example in handler.examples(kinds=None)] == ["other"]
    assert handler.examples() == []


async def test_a_cancelled_query_is_counted(handler: OpenAIFineTuningHandler) -> None:
    """A call that a timeout cut off is no example."""

    class Slow(Parrot):
        @llm_completion_callback()
        async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            await asyncio.Event().wait()
            raise AssertionError

    with handler.recording(query_id="q1"):
        task = asyncio.ensure_future(Slow().acomplete("Hello?"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert handler.calls_of("q1") == []
    assert handler.summary().failed == {"cancelled": 1}


def test_the_handler_is_a_llama_index_callback_handler() -> None:
    """It can be put wherever LlamaIndex takes a handler."""
    assert BaseCallbackHandler in OpenAIFineTuningHandler.__mro__
