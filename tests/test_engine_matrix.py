"""The engine matrix: every call of LlamaIndex's engines is recorded once, as it was sent, with its provenance."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from engine_desk import (
    CHATS,
    MODEL,
    TEMPERATURE,
    TOP_K,
    Desk,
    Nodes,
    Noted,
    Service,
    Way,
    achat,
    aquery,
    aread,
    ask_at_once,
    ask_in_turn,
    astream_chat,
    chat,
    memory,
    query,
    read,
    run_agent,
    stream_chat,
)
from engine_matrix import ROWS, Call, Row, render
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager

from llama_index_ft_rag import OpenAIFineTuningHandler
from llama_index_ft_rag.examples import TrainingExample, Usage

DOCUMENT = Path(__file__).parents[1] / "docs" / "engine-matrix.md"
Front = Literal["attach", "settings"]
"""Whether the handler is attached, or in the callback manager of LlamaIndex's settings."""
Known = dict[str, Any]

# LlamaIndex's agents use what pydantic and its own workflows have deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """LlamaIndex's settings are what they were before when a test is over."""
    before = dict(vars(Settings))
    yield
    vars(Settings).clear()
    vars(Settings).update(before)


@pytest.fixture
def handler() -> Iterator[OpenAIFineTuningHandler]:
    """A recorder that listens to nothing once a test is over."""
    handler = OpenAIFineTuningHandler()
    yield handler
    handler.detach()


@pytest.fixture
def make_service() -> Iterator[Callable[..., Service]]:
    """Make services that are closed when a test is over."""
    made: list[Service] = []

    def make(*args: Any, **settings: Any) -> Service:
        made.append(Service(*args, **settings))
        return made[-1]

    yield make
    for service in made:
        service.backend.close()


def desk_for(
    row: Row,
    service: Service,
    handler: OpenAIFineTuningHandler,
    *,
    fronts: Sequence[Front],
    streaming: bool = False,
    is_loopback: bool = False,
) -> Desk:
    """An app to which a recorder listens."""
    if "settings" in fronts:
        Settings.callback_manager = CallbackManager([handler])
    if "attach" in fronts:
        handler.attach()
    Settings.llm = row.llm(service, is_loopback=is_loopback)
    return Desk.of(service, Settings.llm, sentences=row.sentences, streaming=streaming)


# -- What there is to know of a call


def expected_of(row: Row, found: Sequence[Nodes], responses: Sequence[Any], *, is_told: bool = True) -> list[Known]:
    """What a recorder has to know of the calls of a row.

    Args:
        row: The row.
        found: What was retrieved, in order.
        responses: What the app got.
        is_told: Whether the recorder can know what was asked.
    """
    return [
        known if is_told else {**known, "question": None}
        for number in range(len(row.queries))
        for known in expected_of_query(row, number, found, responses[number])
    ]


def expected_of_query(row: Row, number: int, found: Sequence[Nodes], response: Any) -> list[Known]:
    """The same of one of its queries."""
    return [
        {
            "query": number,
            "step": step,
            "kind": call.kind,
            "question": row.questions[number],
            "nodes": nodes_of(call, found, response),
            "model": MODEL,
            "temperature": TEMPERATURE,
        }
        for step, call in enumerate(row.queries[number])
    ]


def nodes_of(call: Call, found: Sequence[Nodes], response: Any) -> Nodes:
    """The nodes that were there when a call was made."""
    if call.found == "sources":
        return {node.node_id: node.score for node in response.source_nodes}
    return {node_id: score for number in call.found for node_id, score in found[number].items()}


def known_of(calls: Sequence[TrainingExample]) -> list[Known]:
    """What a recorder knows of calls, their queries numbered in order."""
    numbers: dict[str | None, int] = {}
    return [
        {
            "query": numbers.setdefault(call.query_id, len(numbers)),
            "step": call.step,
            "kind": call.kind,
            "question": call.question,
            "nodes": dict(zip(call.node_ids, call.node_scores, strict=True)),
            "model": call.model,
            "temperature": call.parameters["temperature"],
        }
        for call in calls
    ]


def sent_and_said(noted: Sequence[Noted]) -> list[Known]:
    """What went over the wire and back. A content that is null is no content."""
    return [
        {
            "messages": [
                {name: value for name, value in message.items() if value is not None}
                for message in [*one.request.messages, answer_of(one)]
            ],
            "tools": one.request.parameters.get("tools"),
            "has_usage": not one.request.parameters.get("stream"),
        }
        for one in noted
    ]


def answer_of(noted: Noted) -> Known:
    """The assistant's message."""
    tool_calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
        for call in noted.reply.tool_calls
    ]
    return {"role": "assistant", "content": noted.reply.content, "tool_calls": tool_calls or None}


def recorded(calls: Sequence[TrainingExample]) -> list[Known]:
    """The same, as it was recorded."""
    return [{"messages": call.messages, "tools": call.tools, "has_usage": call.usage != Usage()} for call in calls]


# -- One after the other

EVERY_WAY = [pytest.param(row, way, id=f"{row.engine}, {way}") for row in ROWS for way in row.ways]
STREAMING = [row for row in ROWS if any(way.ask is read for way in row.ways)]
ANNOUNCED = ("simple_summarize", "tree_summarize", "generation", "refine with `structured_answer_filtering`")
"""How the engines are called that tell of a streamed call before it is read."""
READS_AHEAD = version("llama-index-core") in ("0.14.23", "0.14.24")
"""Whether the other engines read their streams to the end before the app does."""


@pytest.mark.parametrize("front", get_args(Front))
@pytest.mark.parametrize(("row", "way"), EVERY_WAY)
def test_each_call_is_recorded_once_as_it_was_sent(
    row: Row, way: Way, front: Front, handler: OpenAIFineTuningHandler, make_service: Callable[..., Service]
) -> None:
    """Messages, tools and answer are those of the wire; query, step, kind, question, nodes, settings are known."""
    service = make_service(row.says)
    desk = desk_for(row, service, handler, fronts=[front], streaming=way.streaming)
    responses = ask_in_turn(row.build(desk), way, row.questions, around=lambda _: nullcontext())

    calls = handler.examples(kinds=None)
    found = [nodes for _, nodes in desk.retriever.noted]
    assert known_of(calls) == expected_of(row, found, responses, is_told=row.tells_question)
    assert recorded(calls) == sent_and_said(service.noted)
    assert [call for call in calls if call.latency_s <= 0] == []
    assert handler.summary().failed == {}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.engine)
def test_with_all_fronts_at_once_a_call_is_recorded_once(
    row: Row, handler: OpenAIFineTuningHandler, make_service: Callable[..., Service]
) -> None:
    """Attached, in the callback manager and in a scope: the scope names query and question."""
    service = make_service(row.says)
    desk = desk_for(row, service, handler, fronts=["attach", "settings"])
    responses = ask_in_turn(
        row.build(desk),
        row.ways[0],
        row.questions,
        around=lambda question: handler.recording(query_id=f"id of {question}", question=question),
    )

    calls = handler.examples(kinds=None)
    assert known_of(calls) == expected_of(row, [nodes for _, nodes in desk.retriever.noted], responses)
    assert recorded(calls) == sent_and_said(service.noted)
    assert all(call.query_id == f"id of {call.question}" for call in calls)


@pytest.mark.parametrize("front", get_args(Front))
@pytest.mark.parametrize("row", STREAMING, ids=lambda row: row.engine)
def test_a_stream_that_nobody_reads_is_no_call(
    row: Row, front: Front, handler: OpenAIFineTuningHandler, make_service: Callable[..., Service]
) -> None:
    """A query's last call is none until its stream is read; where LlamaIndex told of it, it is counted."""
    service = make_service(row.says)
    desk = desk_for(row, service, handler, fronts=[front], streaming=True)
    engine = row.build(desk)
    responses = [engine.query(question) for question in row.questions]

    calls = handler.examples(kinds=None)
    kinds = [[call.kind for call in query] for query in row.queries]
    if not row.engine.startswith(ANNOUNCED) and READS_AHEAD:
        unread, failed = kinds, {}
    else:
        unread = [query[:-1] for query in kinds]
        failed = {"not finished": 1} if row.engine.startswith(ANNOUNCED) else {}
    assert [call.kind for call in calls] == [kind for query in unread for kind in query]
    assert recorded(calls) == sent_and_said(service.noted)[: len(calls)]
    assert handler.summary().failed == failed
    del responses


@pytest.mark.parametrize("front", get_args(Front))
@pytest.mark.parametrize("name", ["ContextChatEngine", "CondensePlusContextChatEngine", "SimpleChatEngine"])
def test_the_stream_of_a_chat_is_recorded_though_nobody_reads_it(
    name: str, front: Front, handler: OpenAIFineTuningHandler, make_service: Callable[..., Service]
) -> None:
    """LlamaIndex reads it itself, in a thread of its own, to write it into the chat's memory."""
    [row] = [row for row in ROWS if row.engine == name]
    service = make_service()
    desk = desk_for(row, service, handler, fronts=[front])
    response = row.build(desk).stream_chat("Question 0?")
    response.write_response_to_history_thread.join()

    calls = handler.examples(kinds=None)
    row = replace(row, queries=row.queries[:1])
    assert known_of(calls) == expected_of(row, [nodes for _, nodes in desk.retriever.noted], [response])
    assert recorded(calls) == sent_and_said(service.noted)


# -- All at once

CROWDS = {10: (aquery, aread, achat, astream_chat, run_agent), 8: (query, read, chat, stream_chat)}
"""How many queries are asked in tasks of one event loop, and how many in plain threads."""
ASKED_AT_ONCE = (
    "compact",
    "compact, more than a window holds",
    "tree_summarize with `use_async`, more than a window holds",
    "SubQuestionQueryEngine",
    "SubQuestionQueryEngine with `use_async`",
    "TransformQueryEngine, HyDEQueryTransform",
    "ContextChatEngine",
    "CondenseQuestionChatEngine",
    "SimpleChatEngine",
    "FunctionAgent",
    "FunctionAgent with a QueryEngineTool, `streaming=False`",
)
CROWDED = [
    pytest.param(row, way, number, id=f"{row.engine}, {number} x {way}")
    for row in ROWS
    if row.engine in ASKED_AT_ONCE
    for number, asks in CROWDS.items()
    for way in row.ways
    if way.ask in asks
]


@pytest.mark.parametrize("front", get_args(Front))
@pytest.mark.parametrize(("row", "way", "number"), CROWDED)
def test_queries_at_once_do_not_mix(
    row: Row,
    way: Way,
    number: int,
    front: Front,
    handler: OpenAIFineTuningHandler,
    make_service: Callable[..., Service],
) -> None:
    """While the first requests of all queries wait for their answers, each query keeps its own calls and nodes."""
    row = replace(row, queries=row.queries[:1] * number)
    overlaps = not (row.asks_in_line and way.ask in (aquery, aread))
    service = make_service(row.says, meeting=number if overlaps else 1)
    desk = desk_for(row, service, handler, fronts=[front], streaming=way.streaming, is_loopback=True)
    shared = row.build(desk)
    engines = [row.build(desk) if way in CHATS else shared for _ in range(number)]
    responses = ask_at_once(engines, way, row.questions)

    calls = sorted(handler.examples(kinds=None), key=lambda call: (call.question, call.step))
    known = known_of(calls)
    expected = [
        one
        for place, (question, response) in enumerate(zip(row.questions, responses, strict=True))
        for one in expected_of_query(row, place, found_for(desk, question), response)
    ]
    # Sub-questions of one query may overtake each other.
    assert [(one["query"], one["kind"], one.pop("step")) for one in known] == [
        (one["query"], one["kind"], one.pop("step")) for one in expected
    ]
    assert in_any_order(known) == in_any_order(expected)
    assert in_any_order(recorded(calls)) == in_any_order(sent_and_said(service.noted))
    assert handler.summary().failed == {}


def in_any_order(calls: Sequence[Known]) -> list[str]:
    """Calls as texts, sorted."""
    return sorted(json.dumps(one, sort_keys=True) for one in calls)


def found_for(desk: Desk, question: str) -> list[Nodes]:
    """What was found for a question, or for others that all queries of a crowd ask in the same words."""
    notes = dict(desk.retriever.noted)
    return [notes[text] for text in (question, "Who?", "What?") if text in notes]


# -- As apps do it


def test_nodes_are_those_that_the_response_names(
    handler: OpenAIFineTuningHandler, make_service: Callable[..., Service]
) -> None:
    """Engines made from an index: ids and scores equal the response's sources."""
    desk = desk_for(ROWS[0], make_service(), handler, fronts=["attach"])
    chat_engine = desk.index.as_chat_engine(similarity_top_k=TOP_K, chat_mode="context", memory=memory())
    responses = [
        desk.index.as_query_engine(similarity_top_k=TOP_K).query("Question 0?"),
        chat_engine.chat("Question 1?"),
    ]

    sources = [[(node.node_id, node.score) for node in response.source_nodes] for response in responses]
    assert [list(zip(call.node_ids, call.node_scores, strict=True)) for call in handler.examples()] == sources
    assert [len(nodes) for nodes in sources] == [TOP_K, TOP_K]


def test_the_document_shows_the_matrix() -> None:
    """The tables in the documentation are made of the rows that are tested."""
    _, _, tables = DOCUMENT.read_text(encoding="utf-8").partition("\n## ")

    assert f"## {tables}" == render(), f"put this below the introduction of {DOCUMENT.name}:\n\n{render()}"
