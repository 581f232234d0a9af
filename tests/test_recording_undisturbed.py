"""A recorder is never in the app's way, whatever the app passes, copies, leaves open, or lets fail."""

from __future__ import annotations

import contextvars
import copy
import functools
import gc
import logging
import weakref
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from recording_programs import Front, Yes, by_attach, by_callback, said

from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.recording import OpenAIFineTuningHandler


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """LlamaIndex's settings are what they were when the test is over."""
    before = Settings._callback_manager
    yield
    Settings._callback_manager = before


by_each_front = pytest.mark.parametrize("front", [by_callback, by_attach])


def answers(handler: OpenAIFineTuningHandler, name: str) -> Generator[str, None, None]:
    """What a web app streams to its user: two calls of one query, piece by piece."""
    with handler.recording(query_id=name):
        yield Yes().complete(f"{name} first").text
        yield Yes().complete(f"{name} second").text


@pytest.mark.parametrize("is_closed_early", [False, True])
def test_a_scope_may_be_left_elsewhere(is_closed_early: bool) -> None:
    """Web servers read each piece of a stream in a context of its own; leaving it raises nothing."""
    handler = OpenAIFineTuningHandler()
    stream = answers(handler, "q")
    first = contextvars.copy_context().run(next, stream)
    contextvars.copy_context().run(stream.close if is_closed_early else functools.partial(list, stream))

    assert first == "yes"
    assert handler.calls_of("q")[0].messages[0]["content"] == "q first"


def test_scopes_left_out_of_order_are_over() -> None:
    """What is asked after the last of them was left is nobody's business."""
    handler = OpenAIFineTuningHandler()
    one, two = answers(handler, "one"), answers(handler, "two")
    next(one)
    next(two)
    list(one)
    list(two)
    Yes().complete("after")

    assert len(handler.examples(kinds=None)) == 4
    assert "after" not in {example.messages[0]["content"] for example in handler.examples(kinds=None)}


class Hostile:
    """Raises whatever is done with it."""

    def _raise(self, *args: object) -> Any:
        raise ZeroDivisionError

    __eq__ = __hash__ = __repr__ = __str__ = __bool__ = __len__ = __iter__ = __getattr__ = _raise


@by_each_front
@pytest.mark.parametrize("passed", [{"tools": Hostile()}, {"tools": [Hostile()]}, {"tools": 7}])
def test_a_call_that_cannot_be_written_down_is_counted_once(front: Front, passed: dict[str, Any]) -> None:
    """The app gets its answer; what the LLM does inside for it is not recorded in its place."""
    handler = OpenAIFineTuningHandler()
    answer = front(handler).chat(said("Hello?"), **passed).message.content
    handler.detach()

    assert answer == "yes"
    assert (handler.summary().finished, sum(handler.summary().failed.values())) == (0, 1)


@by_each_front
@pytest.mark.parametrize("messages", [[], said("")])
def test_asking_nothing_is_no_example(front: Front, messages: list[ChatMessage]) -> None:
    """Neither as a chat nor as the prompt that the LLM makes of it."""
    handler = OpenAIFineTuningHandler()
    front(handler).chat(messages)
    handler.detach()

    assert handler.summary().finished == len(handler.examples(kinds=None)) <= bool(messages)


@by_each_front
def test_hostile_settings_and_raw_answers_lose_no_call(front: Front) -> None:
    """What cannot be read of them is left empty."""

    class Odd(Yes):
        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            return CompletionResponse(text="yes", raw=Hostile(), additional_kwargs={"prompt_tokens": Hostile()})

    handler = OpenAIFineTuningHandler()
    Odd(callback_manager=front(handler).callback_manager).complete("Hello?", temperature=Hostile())
    handler.detach()

    [example] = handler.examples(kinds=None)
    assert (example.answer, example.usage, example.finish_reason) == ("yes", Usage(), None)
    assert handler.summary().failed == {}


@by_each_front
def test_handlers_of_others_that_raise_do_not_disturb(front: Front) -> None:
    """Nor does a dispatcher that is shut down."""

    class Raising(SimpleSpanHandler):
        def span_enter(self, *args: Any, **kwargs: Any) -> None:
            raise SystemExit

        span_exit = span_drop = span_enter

    handler = OpenAIFineTuningHandler()
    root = get_dispatcher()
    before = root.span_handlers
    root.span_handlers = [Raising(), *before]
    llm = front(handler)
    stream = llm.stream_chat(said("one"))
    next(stream)
    root.shutdown()
    list(stream)
    llm.chat(said("two"))
    root.span_handlers = before
    handler.detach()

    assert [example.messages[0]["content"] for example in handler.examples(kinds=None)] == ["one", "two"]


class WithoutSpans:
    """A mix-in whose method LlamaIndex gives no span."""

    @llm_chat_callback()
    def chat(self, messages: list[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content="yes"))


class Mixed(WithoutSpans, Yes):
    """An LLM that is not seen to be one."""


def test_an_llm_without_spans_is_recorded_once() -> None:
    """By each of two recorders that listen in both ways, and none of them is kept alive by it."""
    handlers = [OpenAIFineTuningHandler(), OpenAIFineTuningHandler()]
    llm = Mixed(callback_manager=CallbackManager([*handlers]))
    for handler in handlers:
        handler.attach()
    llm.chat(said("Hello?"))
    Mixed().chat(said("Hello again?"))
    for handler in handlers:
        handler.detach()
    finished = [handler.summary().finished for handler in handlers]
    alive = [weakref.ref(handler) for handler in handlers]
    del handlers, handler, llm
    gc.collect()

    assert finished == [2, 2]
    assert [reference() for reference in alive] == [None, None]


@by_each_front
def test_a_log_that_raises_does_not_reach_the_app(front: Front, tmp_path: Path) -> None:
    """An app's own log handler may fail while the recorder complains."""

    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError

    raising = Raising()
    logging.getLogger().addHandler(raising)
    try:
        handler = OpenAIFineTuningHandler(tmp_path)
        llm = front(handler)
        texts = [llm.chat(said("Hello?"), tools=7).message.content, llm.complete("Hello?").text]
    finally:
        logging.getLogger().removeHandler(raising)
    handler.detach()

    assert texts == ["yes", "yes"]
    assert handler.summary().skipped == {"not written to the file": 1}


def test_a_copied_llm_is_heard_by_the_same_handler() -> None:
    """Apps copy an LLM to change a setting of it."""
    handler = OpenAIFineTuningHandler()
    llm = Yes(callback_manager=CallbackManager([handler]))
    copy.deepcopy(llm).complete("one")
    llm.model_copy(deep=True).complete("two")

    assert [example.messages[0]["content"] for example in handler.examples(kinds=None)] == ["one", "two"]
