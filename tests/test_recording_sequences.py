"""Whatever the order of the events that reach a recorder, what it keeps really happened, and nothing is lost.

Each machine below is an app made of random steps: calls that begin and end in either front or both, inside other
spans and inside each other, with ids used again and nonsense in between. Beside it stands a model of what has to be
recorded, which knows nothing of how the recorder works.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, MockLLM

from llama_index_ft_rag.recording import OpenAIFineTuningHandler, read_recording

Front = Literal["callback", "event", "both"]
"""Which doors a call comes through: a callback manager, the dispatcher outside every span of its own, or all."""

LLM = MockLLM()
NO_ARGUMENTS = inspect.signature(lambda: None).bind()
WHICH = st.integers(0, 7)
"""Which call: one of those last begun and still open, now and then any."""
IDS = st.sampled_from(["a", ""])
ANSWERS = st.one_of(st.text(min_size=1, max_size=8), st.sampled_from(["\ud800", "\u2028", "0", "null", "{}"]))
TURN = ChatMessage(role="user", content="hello")
ROLES = {"s": "system", "u": "user", "a": "assistant"}
PROMPTS = ["hello", "What?"]
REQUESTS = st.sampled_from(["u", "uau", "su", *PROMPTS])
"""Messages by the first letters of their roles, or prompts. Those of one front share their messages, as the calls of a
chat do; LlamaIndex sends no call through one of two open fronts."""
UNASKED = ChatResponse(message=ChatMessage(role="assistant", content="never asked for"))
NONSENSE = st.sampled_from(
    [
        None,
        {},
        {"messages": None},
        {"messages": 7},
        {"messages": [None]},
        {"messages": ["text"]},
        {"messages": [{"role": "user"}]},
        {"formatted_prompt": None},
        {"formatted_prompt": 7, "additional_kwargs": "no"},
        {"messages": [TURN], "additional_kwargs": 7},
        {"messages": [TURN], "serialized": ["no"]},
        {"messages": [TURN], "additional_kwargs": {"tools": 7}},
        {"messages": {"role": "user"}, "response": 7},
        {"exception": "no exception"},
        {"response": "a text"},
        {"completion": b"bytes"},
        {"response": UNASKED},
    ]
)


@dataclass(eq=False)
class Call:
    """A call that the app made."""

    front: Front
    id: str
    request: list[ChatMessage] | str
    """What the app holds of it, and may edit later."""
    number: int
    is_heard: bool
    """Whether it has to be counted: it began while somebody listened, and not inside another call."""
    outer: Call | None = None
    """The call inside which it was made."""
    has_span: bool = False
    is_over: bool = False
    """Whether it has ended, in any way."""
    is_shown: bool = True
    """Whether nothing was cleared since it began."""
    is_gone: bool = False
    """Whether nobody is left who could send its end."""
    stream: Generator[None, None, None] | None = None

    def __post_init__(self) -> None:
        self.sent = wire(self.request)
        self.objects = self.request if isinstance(self.request, str) else [*self.request]

    def could_be(self, other: Call) -> bool:
        """Whether an end of this call could be taken for one of another: what it carries began as the other did."""
        if isinstance(self.request, str) or isinstance(other.objects, str):
            return self.sent == other.sent
        return [*map(id, other.objects)] == [*map(id, self.request[: len(other.objects)])]

    @property
    def is_inner(self) -> bool:
        """Whether a call around it is the one that the app asked for."""
        outer = self.outer
        while outer is not None and not (outer.is_heard and outer.is_shown and not outer.is_over):
            outer = outer.outer
        return outer is not None

    @property
    def callback_id(self) -> str:
        """Its id in the callback manager."""
        return self.id if self.front == "callback" else f"callback-{self.number}"


def wire(request: list[ChatMessage] | str) -> list[dict[str, Any]]:
    """What goes to the service."""
    if isinstance(request, str):
        return [{"role": "user", "content": request}]
    return [{"role": message.role.value, "content": message.content} for message in request]


class App(RuleBasedStateMachine):
    """Random steps of an app, and the model of what a recorder has to keep of them."""

    has_file = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "calls.jsonl" if self.has_file else None
        self.path = path
        self.handler = OpenAIFineTuningHandler(path)
        self.messages: dict[tuple[Front, int, str], ChatMessage] = {}
        self.is_attached = False
        self.calls: list[Call] = []
        self.has_to: list[Call] = []
        self.answers: dict[int, str] = {}
        self.counted: list[Call] = []
        self.unread = 0

    @initialize(attached=st.booleans())
    def begin(self, attached: bool) -> None:
        if attached:
            self.attach()

    def teardown(self) -> None:
        try:
            self.check()
            if self.path is not None:
                self.check_file(self.path)
        finally:
            self.handler.detach()
            self.handler.clear()
            self.folder.cleanup()

    def check_file(self, path: Path) -> None:
        kept = self.pairs(read_recording(path, kinds=None))
        assert set(kept) >= {self.pair(call) for call in self.has_to}
        assert self.pairs(OpenAIFineTuningHandler(path).examples(kinds=None)) == kept

    # -- Steps

    @rule(step=st.sampled_from(["attach", "attach", "detach", "clear", "check"]))
    def do(self, step: str) -> None:
        getattr(self, step)()

    def attach(self) -> None:
        self.handler.attach()
        self.is_attached = True

    def detach(self) -> None:
        self.handler.detach()
        self.is_attached = False

    def clear(self) -> None:
        self.handler.clear()
        self.counted.clear()
        self.unread = 0
        for call in self.calls:
            call.is_shown = False

    @rule(front=st.sampled_from(["callback", "event", "both"]), call_id=IDS, request=REQUESTS)
    def start(self, front: Front, call_id: str, request: str) -> None:
        is_heard = front != "event" or self.is_attached
        call = Call(front, call_id, self._made(request, front), len(self.calls), is_heard=is_heard)
        if not self._has_twin(call):
            self._start(call)

    @rule(front=st.sampled_from(["event", "both"]), request=REQUESTS, inside=st.integers(0, 5))
    def start_in_span(self, front: Front, request: str, inside: int) -> None:
        spans = [call for call in self.calls if call.has_span]
        outer = spans[-1 - inside] if inside < len(spans) else None
        number = len(self.calls)
        call = Call(
            front, f"LLM.chat-{number}", self._made(request, front), number, is_heard=False, outer=outer, has_span=True
        )
        call.is_heard = (front == "both" or self.is_attached) and not call.is_inner
        parent_id = outer.id if outer is not None else None
        get_dispatcher().span_enter(call.id, NO_ARGUMENTS, instance=LLM, parent_id=parent_id)
        token = active_span_id.set(call.id)
        self._start(call)
        active_span_id.reset(token)

    @precondition(lambda self: self.calls)
    @rule(which=WHICH, text=ANSWERS)
    def answer(self, which: int, text: str) -> None:
        call = self._chosen(which)
        if self._has_twin(call) or call.is_gone:
            return
        said = f"{call.number}: {text}"
        if not call.is_over:
            self.answers[call.number] = said
            if call.is_heard and call.is_shown:
                self.has_to.append(call)
            call.is_over = True
        else:
            self.answers.setdefault(call.number, said)
        self._end(call, self.answers[call.number])

    @precondition(lambda self: self.calls)
    @rule(which=WHICH, how=st.sampled_from([None, "", ValueError("no"), GeneratorExit(), KeyboardInterrupt()]))
    def end_without_answer(self, which: int, how: str | BaseException | None) -> None:
        call = self._chosen(which)
        if not self._is_alone(call) or call.is_gone:
            return
        if not isinstance(how, BaseException):
            if call.front != "callback" and isinstance(call.request, str):
                return  # LlamaIndex raises instead
            self._end(call, how)
        else:
            if call.front != "event":
                self.handler.on_event_end(CBEventType.LLM, {EventPayload.EXCEPTION: how}, event_id=call.callback_id)
            if call.front != "callback":
                get_dispatcher().event(ExceptionEvent(exception=how, span_id=call.id))
            self.unread += isinstance(how, GeneratorExit) and call in self.counted and not call.is_over
        call.is_over = True

    @precondition(lambda self: any(call.has_span for call in self.calls))
    @rule(which=WHICH, how=st.sampled_from(["exit", "drop", "stream", "stream"]))
    def leave_span(self, which: int, how: str) -> None:
        spans = [call for call in self.calls if call.has_span]
        call = spans[-1 - which % len(spans)]
        call.has_span = False
        if how == "drop":
            get_dispatcher().span_drop(call.id, NO_ARGUMENTS, err=ValueError("no"))
        else:
            call.stream = (None for _ in "ab") if how == "stream" else None
            get_dispatcher().span_exit(call.id, NO_ARGUMENTS, result=call.stream)
        call.is_over = call.is_over or how != "stream"

    @precondition(lambda self: any(call.stream for call in self.calls))
    @rule()
    def drop_stream(self) -> None:
        call = next(call for call in self.calls if call.stream)
        call.stream = None
        call.is_gone = True
        self.unread += call in self.counted and not call.is_over
        call.is_over = True

    @precondition(lambda self: self.calls)
    @rule(which=WHICH, how=st.sampled_from(["appended", "edited", "replaced"]))
    def edit_request(self, which: int, how: str) -> None:
        call = self._chosen(which)
        if isinstance(call.request, str):
            return
        if how == "appended":
            call.request.append(ChatMessage(role="user", content="later"))
        elif how == "edited":
            call.request[-1].content = "edited"
        elif call.id.startswith("LLM."):  # an id that no other call has
            call.request[:] = [ChatMessage(role="user", content="another")]

    @rule(front=st.sampled_from(["callback", "event"]), call_id=IDS, text=ANSWERS)
    def end_what_never_began(self, front: Front, call_id: str, text: str) -> None:
        never = Call(front, call_id, "Never asked.", -1, is_heard=False)
        self._end(never, f"never: {text}")

    @rule(call_id=st.sampled_from(["x", None]), start=NONSENSE, end=NONSENSE)
    def send_nonsense(self, call_id: Any, start: Any, end: Any) -> None:
        open_before = self.handler.summary().failed.get("not finished", 0)
        self.handler.on_event_start(CBEventType.LLM, start, event_id=call_id)
        began = self.handler.summary().failed.get("not finished", 0) - open_before
        self.handler.on_event_end(CBEventType.LLM, end, event_id=call_id)
        self.counted.extend([Call("callback", call_id, "", -1, is_heard=False)] * began)

    def check(self) -> None:
        shown = self.pairs(self.handler.examples(kinds=None))
        assert len(set(shown)) == len(shown)
        assert set(shown) <= {self.pair(call) for call in self.calls if call.is_heard and call.is_shown}
        assert set(shown) >= {self.pair(call) for call in self.has_to if call.is_shown}
        summary = self.handler.summary()
        failed = {reason: n for reason, n in summary.failed.items() if not reason.startswith("not recordable")}
        assert (summary.finished, summary.skipped) == (len(shown), {})
        assert sum(summary.kinds.values()) == len(shown)
        assert failed.get("stream not read to its end", 0) == self.unread
        assert len(shown) + sum(failed.values()) == len(self.counted)

    # -- How the app sends them

    def _made(self, request: str, front: Front) -> list[ChatMessage] | str:
        if request in PROMPTS:
            return f"{request} ({front})"
        return [
            self.messages.setdefault((front, n, role), ChatMessage(role=ROLES[role], content=f"hello ({front})"))
            for n, role in enumerate(request)
        ]

    def _start(self, call: Call) -> None:
        name = EventPayload.PROMPT if isinstance(call.request, str) else EventPayload.MESSAGES
        kwargs: dict[str, Any] = {"model_dict": {"model": "m"}, "additional_kwargs": {}, "span_id": call.id}
        if call.front != "callback":
            get_dispatcher().event(
                LLMCompletionStartEvent(prompt=call.request, **kwargs)
                if isinstance(call.request, str)
                else LLMChatStartEvent(messages=call.request, **kwargs)
            )
        if call.front != "event":
            payload = {name: call.request, EventPayload.SERIALIZED: {"model": "m"}, EventPayload.ADDITIONAL_KWARGS: {}}
            self.handler.on_event_start(CBEventType.LLM, payload, event_id=call.callback_id)
        self.calls.append(call)
        if call.is_heard:
            self.counted.append(call)

    def _end(self, call: Call, said: str | None) -> None:
        payload: dict[str, Any]
        event: Any = None
        if isinstance(call.request, str):
            completion = None if said is None else CompletionResponse(text=said)
            payload = {EventPayload.PROMPT: call.request, EventPayload.COMPLETION: completion}
            if completion is not None:  # LlamaIndex has no such event without an answer
                event = LLMCompletionEndEvent(prompt=call.request, response=completion, span_id=call.id)
        else:
            message = ChatMessage(role="assistant", content=said)
            response = None if said is None else ChatResponse(message=message)
            payload = {EventPayload.MESSAGES: call.request, EventPayload.RESPONSE: response}
            event = LLMChatEndEvent(messages=call.request, response=response, span_id=call.id)
        if call.front != "event":
            self.handler.on_event_end(CBEventType.LLM, payload, event_id=call.callback_id)
        if call.front != "callback" and event is not None:
            get_dispatcher().event(event)

    # -- What the model knows

    def _chosen(self, which: int) -> Call:
        are_open = [call for call in self.calls if not call.is_over]
        pool = are_open if are_open and which < 6 else self.calls
        return pool[-1 - which % len(pool)]

    def _is_alone(self, call: Call) -> bool:
        """Whether no other open call has its id: an end without a request says no more than the id."""
        return [other for other in self.calls if other.id == call.id and not other.is_over] in ([], [call])

    def _has_twin(self, call: Call) -> bool:
        """Whether another open call has its id and its request: nobody could tell whose answer is whose."""
        is_stray = call.is_over or not call.is_heard or not call.is_shown
        twins = [other for other in self.calls if other is not call and not other.is_over and other.id == call.id]
        return any(
            other.sent == call.sent or (call.could_be(other) and (is_stray or len(other.sent) == len(call.sent)))
            for other in twins
        )

    def pair(self, call: Call) -> tuple[str, str | None]:
        """What was asked and answered in a call."""
        return repr(call.sent), self.answers.get(call.number)

    @staticmethod
    def pairs(examples: list[Any]) -> list[tuple[str, str | None]]:
        """What was asked and answered, as recorded."""
        return [(repr(example.messages[:-1]), example.messages[-1]["content"]) for example in examples]


class AppWithFile(App):
    """The same with a recorder that keeps its calls in a file."""

    has_file = True


STEPS = settings(
    max_examples=200, stateful_step_count=60, derandomize=True, database=None, deadline=None, report_multiple_bugs=False
)
TestInMemory = App.TestCase
TestInFile = AppWithFile.TestCase
TestInMemory.settings = TestInFile.settings = STEPS


@pytest.fixture
def app() -> Iterator[App]:
    """An app to be led step by step."""
    app = App()
    app.attach()
    yield app
    app.handler.detach()
    app.folder.cleanup()


def test_an_end_without_a_start_does_not_end_another_call(app: App) -> None:
    """A start may be missed, or not be recordable; its answer is not given to the call that has its id."""
    app.start(front="callback", call_id="a", request="hello")
    app.end_what_never_began(front="callback", call_id="a", text="no")
    app.answer(which=0, text="yes")

    app.check()


@pytest.mark.parametrize("requests", [("uau", "u"), ("u", "uau"), ("u", "su"), ("su", "u")])
def test_calls_of_one_history_keep_their_own_answers(app: App, requests: tuple[str, str]) -> None:
    """Open under one id, one request being the beginning or the end of the other."""
    for request in requests:
        app.start(front="callback", call_id="a", request=request)
    app.answer(which=1, text="to the first")
    app.answer(which=0, text="to the second")

    app.check()


def test_the_longer_request_is_meant_where_two_fit(app: App) -> None:
    """Somebody appended to the list of the first call, whose messages begin with those of the second."""
    app.start(front="callback", call_id="a", request="uau")
    app.edit_request(which=0, how="appended")
    app.start(front="callback", call_id="a", request="u")
    app.answer(which=1, text="to the first")

    app.check()


def test_a_call_inside_a_dropped_stream_is_a_call_of_its_own(app: App) -> None:
    """Nobody will ever see the end of the call around it."""
    app.start_in_span(front="event", request="u", inside=0)
    app.start_in_span(front="event", request="u", inside=0)
    app.leave_span(which=1, how="stream")
    app.drop_stream()
    app.start_in_span(front="event", request="hello", inside=0)
    app.answer(which=0, text="yes")

    app.check()


def test_an_answer_to_nothing_is_no_example(app: App) -> None:
    """A start that holds no request cannot be learnt from."""
    app.send_nonsense(call_id="x", start={"messages": None}, end={"response": UNASKED})
    app.send_nonsense(call_id="x", start={"messages": []}, end={"response": UNASKED})

    app.check()


@pytest.mark.parametrize("front", ["event", "both"])
def test_a_list_used_again_while_its_answer_streams(app: App, front: Front) -> None:
    """A call of an LLM is recorded as it was asked, whatever the app does with its list of messages meanwhile."""
    app.start_in_span(front=front, request="su", inside=0)
    app.edit_request(which=0, how="replaced")
    app.answer(which=0, text="yes")

    app.check()
