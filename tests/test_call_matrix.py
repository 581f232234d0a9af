"""The call matrix: whichever way an LLM is asked and the recorder listens, what went over the wire is kept, once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from call_matrix import MATRIX, WAYS, Ask, Listening, Row, render
from call_matrix_llms import Message, Service
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatResponse

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.offline import ChatRequest
from llama_index_ft_rag.recording import OpenAIFineTuningHandler

DOCUMENT = Path(__file__).parents[1] / "docs" / "call-matrix.md"
CALLS = [(title, row, name) for title, rows in MATRIX.items() for row in rows for name in row.calls]
NOT_KEPT = {"tools", "parallel_tool_calls", "stream", "store", "truncation", "text"}
"""Of what is sent beside the messages: what has a field of its own, and how an answer is delivered and stored. A
`text` format reaches the service's script as `response_format` too."""

# LlamaIndex's structured streams call a method that pydantic has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:The `json` method is deprecated")


def chosen(are_chosen: Callable[[Row], Any]) -> Any:
    """Parametrize a test with the calls of some rows."""
    calls = [
        pytest.param(row, row.calls[name], id=f"{title}, {name}, {row.how}".replace("`", ""))
        for title, row, name in CALLS
        if are_chosen(row)
    ]
    return pytest.mark.parametrize(("row", "ask"), calls)


def unheard(row: Row) -> list[Listening]:
    """The ways of listening in which a row's calls are not kept."""
    return [way for way in WAYS if not row.roles or way not in row.heard]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of one call. Holds no LLM and no handler: they would listen to all later tests."""

    got: str
    """What reached the app, be it an exception."""
    exchanged: list[Message]
    """The messages that reached the service and its answer."""
    requests: list[ChatRequest]
    examples: list[TrainingExample]
    counted: dict[str, int]
    """Calls that are not kept, by reason."""


@functools.cache
def run(row: Row, ask: Ask, way: Listening | None) -> Run:
    """Make a call while the recorder listens in some way, or in none."""
    service, handler = Service(), OpenAIFineTuningHandler()
    llm = row.llm(service, CallbackManager([handler] if way in ("callback manager", "both") else []))
    if way == "wrap":
        llm = handler.wrap(llm)
    if way in ("attach", "both"):
        handler.attach()
    try:
        with pytest.raises(row.raises) if row.raises else contextlib.nullcontext() as caught:
            got = finished(ask(llm))
        return Run(
            got=shown(caught.value if row.raises else got),
            exchanged=in_words_of_a_chat(service) if service.asked else echoed(got),
            requests=service.asked,
            examples=handler.examples(kinds=None),
            counted={**handler.summary().failed, **handler.summary().skipped},
        )
    finally:
        handler.detach()
        service.backend.close()


def finished(got: Any) -> Any:
    """What an app gets in the end."""

    async def wait(awaitable: Awaitable[Any]) -> Any:
        return await awaitable

    return asyncio.run(wait(got)) if inspect.isawaitable(got) else got


def shown(got: Any) -> str:
    """What an app gets, as a text; a stream that it did not read is all the same."""
    return "a stream" if inspect.isgenerator(got) or inspect.isasyncgen(got) else repr(got)


def in_words_of_a_chat(service: Service) -> list[Message]:
    """What reached the service, and what it said.

    LlamaIndex sends a system message to the Responses API, and to reasoning models, as `developer`. A content that is
    null is no content.
    """
    messages = [
        {name: value for name, value in message.items() if value is not None}
        for request in service.asked
        for message in request.messages
    ]
    for message in messages:
        message["role"] = {"developer": "system"}.get(message["role"], message["role"])
    return [*messages, *service.said]


def echoed(got: Any) -> list[Message]:
    """What reached an LLM that says what it is asked."""
    last = got[-1] if isinstance(got, list) else got
    text = last.message.content if isinstance(last, ChatResponse) else getattr(last, "text", "")
    return [{"role": "user", "content": text}, {"role": "assistant", "content": text}]


@chosen(lambda row: row.roles)
def test_a_call_is_recorded_once_and_as_it_went_over_the_wire(row: Row, ask: Ask) -> None:
    """In each way of listening, the recorded messages are those that were sent and the answer that came."""
    runs = {way: run(row, ask, way) for way in row.heard}

    recorded = {way: [example.messages for example in ran.examples] for way, ran in runs.items()}
    on_the_wire = {
        way: [[*row.on_the_wire(messages[:-1]), messages[-1]] for messages in calls] for way, calls in recorded.items()
    }
    roles = {way: [[message["role"] for message in messages] for messages in calls] for way, calls in recorded.items()}
    assert roles == {way: [row.roles.split(", ")] for way in row.heard}
    assert on_the_wire == {way: [ran.exchanged] for way, ran in runs.items()}
    assert {way: ran.counted for way, ran in runs.items()} == {way: {} for way in row.heard}


@chosen(lambda row: row.roles and row.is_sent)
def test_tools_and_settings_are_recorded_as_they_went_over_the_wire(row: Row, ask: Ask) -> None:
    """Model, tools, `parallel_tool_calls`, and all settings that decide an answer are those of the request."""
    runs = {way: run(row, ask, way) for way in row.heard}

    recorded = {
        way: [(call.model, call.tools, call.parallel_tool_calls, call.parameters) for call in ran.examples]
        for way, ran in runs.items()
    }
    assert recorded == {
        way: [settings_of(request, lacking=() if way == "wrap" else row.lacks) for request in ran.requests]
        for way, ran in runs.items()
    }


def settings_of(request: ChatRequest, *, lacking: Collection[str]) -> tuple[Any, ...]:
    """What is to be recorded of a request, in the order above."""
    sent = {name: value for name, value in request.parameters.items() if value is not None}
    kept = {name: value for name, value in sent.items() if name not in {*NOT_KEPT, *lacking}}
    return request.model, sent.get("tools") or None, sent.get("parallel_tool_calls"), kept


@chosen(unheard)
def test_a_call_that_is_not_kept_is_counted_once(row: Row, ask: Ask) -> None:
    """It is counted by its reason; of calls that nobody tells of, nothing is known."""
    runs = {way: run(row, ask, way) for way in unheard(row)}

    kept = {way: (len(ran.requests), ran.examples) for way, ran in runs.items()}
    assert kept == dict.fromkeys(runs, (int(row.is_sent), []))
    allowed = [{reason: 1} for reason in (row.counted, *row.counted_too)] if row.counted else [{}]
    assert {way: ran.counted for way, ran in runs.items() if ran.counted not in allowed} == {}


@chosen(lambda row: row.is_read)
def test_the_app_gets_what_it_gets_without_a_recorder(row: Row, ask: Ask) -> None:
    """Answers, chunks and exceptions are the same in each way of listening."""
    got = {way: run(row, ask, way).got for way in WAYS}

    assert got == dict.fromkeys(WAYS, run(row, ask, None).got)


def test_the_document_shows_the_matrix() -> None:
    """The tables in the documentation are made of the rows that are tested."""
    _, _, tables = DOCUMENT.read_text(encoding="utf-8").partition("\n## ")

    assert f"## {tables}" == render(), f"put this below the introduction of {DOCUMENT.name}:\n\n{render()}"
