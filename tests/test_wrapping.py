"""Wrapped LLMs: calls that nobody announces are recorded, once, as they went; nothing else changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from fakes import Capital
from llama_index.core import Document, SummaryIndex
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import LLM, ChatMessage, ChatResponse, CompletionResponse, LLMMetadata, MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index_instrumentation import get_dispatcher
from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from llama_index_ft_rag.examples import TrainingExample, Usage
from llama_index_ft_rag.ledger import Ledger
from llama_index_ft_rag.offline import (
    OFFLINE_URL,
    ApiFailure,
    ChatReply,
    ChatRequest,
    OfflineBackend,
    ScriptedResponder,
)
from llama_index_ft_rag.recording import OpenAIFineTuningHandler

QUESTION = PromptTemplate("Which is the capital of {country}?")
AS_SENT = '{"city":  "Paris"}'
SCHEMA = {
    "properties": {"city": {"title": "City", "type": "string"}},
    "required": ["city"],
    "title": "Capital",
    "type": "object",
    "additionalProperties": False,
    "description": "A structured answer.",
}


@dataclass
class Town:
    """A structured answer that is no model."""

    city: str


class Silent(LLM):
    """Its author forgot the callbacks, and knows none of LlamaIndex's finer points."""

    failure: Exception | None = None
    pieces: int = 2

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="silent", context_window=4000, is_chat_model=True)

    def chat(self, messages: Sequence[ChatMessage]) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content=self._answer()))

    async def achat(self, messages: Sequence[ChatMessage]) -> ChatResponse:
        return self.chat(messages)

    def stream_chat(self, messages: Sequence[ChatMessage]) -> Iterator[ChatResponse]:
        return map(self.chat, [messages] * self.pieces)

    async def astream_chat(self, messages: Sequence[ChatMessage]) -> AsyncIterator[ChatResponse]:
        return Later(self.stream_chat(messages))

    def complete(self, prompt: str) -> CompletionResponse:
        return CompletionResponse(text=self._answer())

    async def acomplete(self, prompt: str) -> CompletionResponse:
        return self.complete(prompt)

    def stream_complete(self, prompt: str) -> Iterator[CompletionResponse]:
        return map(self.complete, [prompt] * self.pieces)

    async def astream_complete(self, prompt: str) -> AsyncIterator[CompletionResponse]:
        return Later(self.stream_complete(prompt))

    def _answer(self) -> str:
        if self.failure is not None:
            raise self.failure
        return "Paris."


class Later:
    """An async stream that is no generator."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> Later:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration


async def adrained(stream: Awaitable[Any]) -> Any:
    """The last piece of an async stream."""
    return [piece async for piece in await stream][-1]


Way = Callable[[LLM, str], Awaitable[Any]]
CHATS: dict[str, Way] = {
    "chat": lambda llm, text: asyncio.to_thread(llm.chat, [ChatMessage(text)]),
    "achat": lambda llm, text: llm.achat([ChatMessage(text)]),
    "stream_chat": lambda llm, text: asyncio.to_thread(lambda: [*llm.stream_chat([ChatMessage(text)])][-1]),
    "astream_chat": lambda llm, text: adrained(llm.astream_chat([ChatMessage(text)])),
}
WAYS: dict[str, Way] = {
    **CHATS,
    "complete": lambda llm, text: asyncio.to_thread(llm.complete, text),
    "acomplete": lambda llm, text: llm.acomplete(text),
    "stream_complete": lambda llm, text: asyncio.to_thread(lambda: [*llm.stream_complete(text)][-1]),
    "astream_complete": lambda llm, text: adrained(llm.astream_complete(text)),
}
STRUCTURED: dict[str, Way] = {
    "structured_predict": lambda llm, text: asyncio.to_thread(
        llm.structured_predict, Capital, PromptTemplate("{question}"), question=text
    ),
    "astructured_predict": lambda llm, text: llm.astructured_predict(
        Capital, PromptTemplate("{question}"), question=text
    ),
    "as_structured_llm, chat": lambda llm, text: asyncio.to_thread(
        llm.as_structured_llm(Capital).chat, [ChatMessage(text)]
    ),
    "as_structured_llm, acomplete": lambda llm, text: llm.as_structured_llm(Capital).acomplete(text),
}


@pytest.fixture
def sent() -> list[tuple[str, bytes]]:
    """Address and body of each request that went out."""
    return []


@pytest.fixture
def make_llm(sent: list[tuple[str, bytes]]) -> Iterator[Callable[..., Any]]:
    """Make LLMs of OpenAI's classes that talk to a service in this process."""

    def say(request: ChatRequest) -> str | ChatReply | ApiFailure:
        question = request.messages[-1]["content"]
        replies = {
            "refuse": ApiFailure(message="no", status=400),
            "decline": ChatReply(refusal="I will not."),
            "babble": "Paris, I think.",
        }
        return replies.get(question, AS_SENT if "city" in json.dumps(request.parameters) else f"About {question}")

    def note(request: Any) -> None:
        sent.append((str(request.url), request.content))

    async def anote(request: Any) -> None:
        note(request)

    with OfflineBackend(responder=ScriptedResponder(say)) as backend:
        client, aclient = backend.http_client(), backend.async_http_client()
        client.event_hooks, aclient.event_hooks = {"request": [note]}, {"request": [anote]}

        def make(kind: type[LLM] = OpenAIResponses, **settings: Any) -> LLM:
            clients = {"http_client": client, "async_http_client": aclient}
            known = {"model": "gpt-4o-mini", "api_base": OFFLINE_URL, "api_key": "k", "max_retries": 0}
            return kind(**{**known, **clients, **settings})

        yield make


def wrap(llm: LLM) -> LLM:
    """Wrap an LLM, for nobody in particular."""
    return OpenAIFineTuningHandler().wrap(llm)


LISTENING = ("own", "attached", "callbacks", "both")


class Recorder:
    """A handler that listens to an LLM it wrapped itself, or in any other way to one that somebody else did.

    Listens to nothing once its `with` block is left.
    """

    def __init__(self, way: str) -> None:
        self.handler = OpenAIFineTuningHandler()
        self.wraps = way == "own"
        self.hears_callbacks = way in ("callbacks", "both")
        if way in ("attached", "both"):
            self.handler.attach()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.handler.detach()

    def wrap(self, llm: LLM) -> LLM:
        """Wrap an LLM that is listened to."""
        if self.hears_callbacks:
            llm.callback_manager = CallbackManager([self.handler])
        return self.handler.wrap(llm) if self.wraps else wrap(llm)

    @property
    def calls(self) -> list[TrainingExample]:
        """All that was kept."""
        return self.handler.examples(kinds=None)

    @property
    def messages(self) -> list[list[dict[str, Any]]]:
        """The messages of all that was kept."""
        return [call.messages for call in self.calls]


@pytest.fixture(params=LISTENING)
def recorder(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """A recorder that listens to nothing once the test is over."""
    with Recorder(request.param) as recorder:
        yield recorder


def exchange(question: str, answer: str) -> list[dict[str, Any]]:
    """A question and its answer, in wire format."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


# -- Structured predictions of the Responses API


@pytest.mark.parametrize("way", STRUCTURED)
async def test_a_structured_prediction_is_recorded_as_it_went(
    recorder: Recorder, make_llm: Callable[..., Any], way: str
) -> None:
    """Messages, schema, tokens and the model's very words; of the LLM's settings none, because none is sent."""
    llm = recorder.wrap(make_llm(instructions="Be brief.", max_output_tokens=50))
    await STRUCTURED[way](llm, "Which {capital}?")

    [call] = recorder.calls
    assert call.messages == exchange("Which {capital}?", AS_SENT)
    assert (call.model, call.tools, call.step) == ("gpt-4o-mini", None, 0)
    assert call.usage == Usage(prompt_tokens=12, completion_tokens=9)
    response_format = {"type": "json_schema", "json_schema": {"schema": SCHEMA, "name": "Capital", "strict": True}}
    assert call.parameters == {"response_format": response_format, "tool_choice": "none"}


@pytest.mark.parametrize("way", STRUCTURED)
async def test_the_request_is_the_same_to_the_byte(make_llm: Callable[..., Any], sent: list[Any], way: str) -> None:
    """What goes over the wire, and what comes back, does not depend on the wrapper."""
    llm = make_llm(instructions="Be brief.", store=True)
    answers = [await STRUCTURED[way](asked, "Which {capital}?") for asked in (llm, wrap(llm))]

    assert sent[0] == sent[1]
    assert repr(answers[0]) == repr(answers[1])


async def test_settings_of_one_prediction_are_recorded(recorder: Recorder, make_llm: Callable[..., Any]) -> None:
    """What the app passes for just this call is sent, and kept beside it."""
    settings = {"temperature": 0.7, "instructions": "Be brief."}
    llm = recorder.wrap(make_llm())
    llm.structured_predict(Capital, QUESTION, llm_kwargs=settings, country="France")
    await llm.astructured_predict(Capital, QUESTION, settings, country="France")

    assert [call.parameters["temperature"] for call in recorder.calls] == [0.7, 0.7]
    assert settings == {"temperature": 0.7, "instructions": "Be brief."}


@pytest.mark.parametrize("recorder", ["own"], indirect=True)
@pytest.mark.parametrize("way", STRUCTURED)
@pytest.mark.parametrize(
    ("question", "error", "reason"),
    [
        ("refuse", openai.BadRequestError, "BadRequestError"),
        ("babble", ValidationError, "ValidationError"),
        ("decline", ValueError, "empty answer"),
    ],
)
async def test_a_structured_prediction_that_fails_is_counted(
    recorder: Recorder, make_llm: Callable[..., Any], way: str, question: str, error: type[Exception], reason: str
) -> None:
    """The app gets the error it would get without the wrapper; an answer that does not fit is no example."""
    llm = make_llm()
    with pytest.raises(error) as expected:
        await STRUCTURED[way](llm, question)
    recorder.handler.clear()
    with pytest.raises(error) as caught:
        await STRUCTURED[way](recorder.wrap(llm), question)

    assert (type(caught.value), str(caught.value)) == (type(expected.value), str(expected.value))
    assert recorder.calls == []
    assert recorder.handler.summary().failed == {reason: 1}


async def test_structured_predictions_at_once_do_not_mix(recorder: Recorder, make_llm: Callable[..., Any]) -> None:
    """Tasks and threads share one wrapped LLM."""
    llm = recorder.wrap(make_llm())
    questions = [f"Which is number {number}?" for number in range(20)]
    await asyncio.gather(*(way(llm, question) for question in questions for way in STRUCTURED.values()))

    assert sorted(recorder.messages, key=str) == sorted([exchange(q, AS_SENT) for q in questions] * 4, key=str)


def test_a_prompt_is_formatted_once(make_llm: Callable[..., Any]) -> None:
    """A function that fills in a variable may be slow, or never say the same twice."""
    made: list[str] = []

    def country(**kwargs: Any) -> str:
        made.append("France")
        return made[-1]

    prompt = PromptTemplate("Which is the capital of {country}?", function_mappings={"country": country})

    assert wrap(make_llm()).structured_predict(Capital, prompt) == Capital(city="Paris")
    assert made == ["France"]


def test_an_engine_with_an_output_class_is_recorded(recorder: Recorder, make_llm: Callable[..., Any]) -> None:
    """Its answer is one call that knows the question and the nodes."""
    index = SummaryIndex.from_documents([Document(text="Paris is the capital.", id_="d1")])
    nodes = [node.node_id for node in index.as_retriever().retrieve("?")]
    engine = index.as_query_engine(llm=recorder.wrap(make_llm()), output_cls=Capital)
    with recorder.handler.recording(query_id="q1"):
        response = engine.query("Which is the capital?").response

    assert response == Capital(city="Paris")
    [call] = recorder.handler.calls_of("q1")
    assert (call.kind, call.question, call.answer) == ("answer", "Which is the capital?", AS_SENT)
    assert (call.step, call.node_ids) == (0, nodes)


def test_a_dataclass_can_be_asked_for(recorder: Recorder, make_llm: Callable[..., Any]) -> None:
    """What openai makes a schema of by itself is kept by its name."""
    llm = recorder.wrap(make_llm())
    answer = llm.structured_predict(Town, QUESTION, country="France")

    assert answer == Town(city="Paris")
    assert recorder.messages == [exchange("Which is the capital of France?", AS_SENT)]
    assert recorder.calls[0].parameters == {"text_format": "test_wrapping.Town", "tool_choice": "none"}


def test_a_class_that_predicts_by_chatting_is_recorded_once(make_llm: Callable[..., Any]) -> None:
    """What it announces itself goes where the wrapped LLM's callbacks go."""

    class Chatting(OpenAIResponses):
        def structured_predict(self, output_cls: Any, prompt: Any, *args: Any, **kwargs: Any) -> Any:
            answer = self.chat(prompt.format_messages(**kwargs), text={"format": {"type": "json_object"}})
            return output_cls(city=answer.message.content)

    handler = OpenAIFineTuningHandler()
    llm = wrap(make_llm(Chatting))
    llm.callback_manager = CallbackManager([handler])
    answer = llm.structured_predict(Capital, QUESTION, country="France")

    question = "Which is the capital of France?"
    assert [call.messages for call in handler.examples()] == [exchange(question, answer.city)]


# -- LLMs that announce nothing, and those that announce everything


@pytest.mark.parametrize("way", WAYS)
async def test_a_silent_llm_is_recorded(recorder: Recorder, way: str) -> None:
    """Whichever way it is asked, its author's arguments and streams are enough."""
    llm = recorder.wrap(Silent())
    await WAYS[way](llm, "Capital of France?")

    assert recorder.messages == [exchange("Capital of France?", "Paris.")]
    assert recorder.calls[0].model == "silent"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [MockLLM, OpenAI, OpenAIResponses])
async def test_an_llm_that_announces_itself_is_recorded_once(
    make_llm: Callable[..., Any], kind: type[LLM], way: str
) -> None:
    """However the recorder listens, what both the wrapper and the LLM inside announce is one call."""
    heard = {}
    for listening in LISTENING:
        with Recorder(listening) as recorder:
            answer = await WAYS[way](recorder.wrap(MockLLM() if kind is MockLLM else make_llm(kind)), "Paris?")
            heard[listening] = recorder.messages

    text = answer.message.content if way in CHATS else answer.text
    assert heard == {listening: [exchange("Paris?", text)] for listening in LISTENING}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [OpenAI, OpenAIResponses])
async def test_every_request_is_the_same_to_the_byte(
    make_llm: Callable[..., Any], sent: list[Any], kind: type[LLM], way: str
) -> None:
    """No way of asking sends anything else through a wrapped LLM."""
    llm = make_llm(kind)
    answers = [await WAYS[way](asked, "Paris?") for asked in (llm, wrap(llm))]

    assert sent[0] == sent[1]
    assert str(answers[0]) == str(answers[1])


@pytest.mark.parametrize("way", WAYS)
async def test_a_silent_llm_that_fails_is_counted(way: str) -> None:
    """The app gets the very error, and the recorder counts it once, however it listens."""
    failure, caught, failed = RuntimeError("no answer today"), {}, {}
    for listening in LISTENING:
        with Recorder(listening) as recorder:
            with pytest.raises(RuntimeError) as raised:
                await WAYS[way](recorder.wrap(Silent(failure=failure)), "Capital of France?")
            caught[listening], failed[listening] = raised.value, recorder.handler.summary().failed

    assert caught == dict.fromkeys(LISTENING, failure)
    assert failed == {listening: {"RuntimeError": 1} for listening in LISTENING}


async def test_a_silent_stream_that_is_left_is_counted(recorder: Recorder) -> None:
    """Who stops reading gets what was read, and no example is made of it."""
    llm = recorder.wrap(Silent(pieces=9))
    stream, astream = llm.stream_chat([ChatMessage("a")]), await llm.astream_complete("b")
    read = [next(stream).message.content, (await anext(astream)).text]
    stream.close()
    await astream.aclose()

    assert (read, recorder.calls) == (["Paris.", "Paris."], [])
    assert recorder.handler.summary().failed == {"stream not read to its end": 2}


# -- The wrapper itself


def test_a_wrapped_llm_is_of_the_same_class_with_the_same_settings(make_llm: Callable[..., Any]) -> None:
    """LlamaIndex takes it for what it is, and the given one is left alone."""
    llm = make_llm(temperature=0.3, instructions="Be brief.")
    before = llm.model_dump()
    wrapped = wrap(llm)
    wrapped.callback_manager = CallbackManager()
    wrapped.structured_predict(Capital, QUESTION, country="France")

    assert isinstance(wrapped, OpenAIResponses)
    assert (wrapped.model_dump(), wrapped.metadata, wrapped.class_name()) == (before, llm.metadata, llm.class_name())
    assert (type(llm), llm.model_dump()) == (OpenAIResponses, before)
    assert llm.callback_manager is not wrapped.callback_manager


async def test_wrapping_twice_is_wrapping_once(recorder: Recorder, make_llm: Callable[..., Any]) -> None:
    """A wrapped LLM is taken as it is."""
    llm = wrap(recorder.wrap(make_llm()))
    for way in (WAYS["chat"], STRUCTURED["astructured_predict"]):
        await way(llm, "Capital?")

    assert recorder.messages == [exchange("Capital?", "About Capital?"), exchange("Capital?", AS_SENT)]


async def test_a_structured_llm_can_be_wrapped(recorder: Recorder, make_llm: Callable[..., Any]) -> None:
    """What it asks the LLM inside it is recorded, once."""
    inner = make_llm(callback_manager=CallbackManager([recorder.handler] if recorder.hears_callbacks else []))
    llm = recorder.wrap(inner.as_structured_llm(Capital))
    await llm.achat([ChatMessage("Capital?")])

    assert recorder.messages == [exchange("Capital?", AS_SENT)]


@pytest.mark.parametrize("way", WAYS)
async def test_the_rate_limit_counts_a_call_once(make_llm: Callable[..., Any], way: str) -> None:
    """A wrapped LLM waits for its turn as often as before."""

    class Turns:
        taken = 0

        def acquire(self) -> None:
            self.taken += 1

        async def async_acquire(self) -> None:
            self.taken += 1

    turns = Turns()
    await WAYS[way](wrap(make_llm(rate_limiter=turns)), "Paris?")

    assert turns.taken == 1


@pytest.mark.parametrize("recorder", ["attached", "callbacks", "both"], indirect=True)
@pytest.mark.parametrize("order", ["ledger outside", "ledger inside"])
async def test_it_works_with_a_ledger(
    recorder: Recorder, make_llm: Callable[..., Any], sent: list[Any], tmp_path: Path, order: str
) -> None:
    """Whichever wraps the other, a call is recorded once, and sent once over two runs."""
    llm = make_llm()
    for _ in range(2):
        with Ledger(tmp_path / "ledger.db") as ledger:
            if order == "ledger outside":
                wrapped = ledger.wrap(recorder.wrap(llm), stage="answers")
            else:
                wrapped = recorder.wrap(ledger.wrap(llm, stage="answers"))
            for way in WAYS.values():
                await way(wrapped, "Paris?")

    assert recorder.messages == [exchange("Paris?", "About Paris?")] * 16
    assert len(sent) == 8


@pytest.mark.parametrize("recorder", ["attached", "callbacks", "both"], indirect=True)
@pytest.mark.parametrize("order", ["ledger outside", "ledger inside"])
async def test_structured_predictions_are_recorded_beside_a_ledger(
    recorder: Recorder, make_llm: Callable[..., Any], tmp_path: Path, order: str
) -> None:
    """Whichever wraps the other, they are recorded once."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        if order == "ledger outside":
            wrapped = ledger.wrap(recorder.wrap(make_llm()), stage="answers")
        else:
            wrapped = recorder.wrap(ledger.wrap(make_llm(), stage="answers"))
        for way in STRUCTURED.values():
            await way(wrapped, "Capital?")

    assert recorder.messages == [exchange("Capital?", AS_SENT)] * 4


@pytest.mark.parametrize("recorder", ["own"], indirect=True)
@pytest.mark.parametrize("way", [*WAYS.values(), *STRUCTURED.values()], ids=[*WAYS, *STRUCTURED])
async def test_a_wrapped_ledger_is_enough(
    recorder: Recorder, make_llm: Callable[..., Any], tmp_path: Path, way: Way
) -> None:
    """A handler that wraps what a ledger wrapped hears also what is answered from it."""
    for _ in range(2):
        with Ledger(tmp_path / "ledger.db") as ledger:
            await way(recorder.wrap(ledger.wrap(make_llm(), stage="answers")), "Capital?")

    assert [messages[0] for messages in recorder.messages] == [{"role": "user", "content": "Capital?"}] * 2


async def test_other_listeners_can_dump_what_is_announced(make_llm: Callable[..., Any]) -> None:
    """An event holds nothing that pydantic warns of."""
    events: list[Any] = []

    class Listener(BaseEventHandler):
        @classmethod
        def class_name(cls) -> str:
            return "Listener"

        def handle(self, event: Any, **kwargs: Any) -> None:
            events.append(event)

    listener, root = Listener(), get_dispatcher()
    root.add_event_handler(listener)
    try:
        await STRUCTURED["astructured_predict"](wrap(make_llm()), "Capital?")
    finally:
        root.event_handlers = [handler for handler in root.event_handlers if handler is not listener]

    assert [event.class_name() for event in events] == ["LLMChatStartEvent", "LLMChatEndEvent"]
    assert events[1].model_dump()["response"]["raw"]["usage"]["total_tokens"] == 18
