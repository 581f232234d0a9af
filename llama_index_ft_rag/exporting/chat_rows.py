"""Training examples -> rows of `messages` and `tools`, for trainers that read OpenAI's chat format themselves.

In: examples. Out: rows that say what the example says, with the fields that every such trainer knows and no other; a
field that is null is left away. Roles that came or went with OpenAI, `developer` and `function`, are in no trainer's
list and are not renamed. Knows nothing of which trainer reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.turns import (
    InexpressibleError,
    check_fields,
    function_schemas,
    read_calls,
    read_conversation,
    text_of,
)

Row = dict[str, Any]

_FIELDS: dict[str, set[str]] = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "weight", "tool_calls"},
    "tool": {"role", "content", "tool_call_id", "name"},
}
_CALL_FIELDS = {"id", "type", "function"}


def chat_row(example: TrainingExample, *, weights: bool) -> Row:
    """Write an example as the messages it is made of, and its tools where it has any.

    Args:
        example: What to write.
        weights: Whether the trainer knows `weight` 0 and 1; a weight of 1 everywhere says nothing and is left away.

    Raises:
        InexpressibleError: If a trainer would refuse it or train on something else.
    """
    messages = [_message(message, first=number == 0) for number, message in enumerate(example.messages)]
    if not messages or messages[-1]["role"] != "assistant":
        raise InexpressibleError("it does not end with an answer of the assistant")
    _check_weights([message for message in messages if message["role"] == "assistant"], weights=weights)
    row: Row = {"messages": messages}
    if example.tools:
        function_schemas(example.tools)
        row["tools"] = [{"type": "function", "function": tool["function"]} for tool in example.tools]
    return row


def alternating_chat_row(example: TrainingExample, *, weights: bool) -> Row:
    """The same for a trainer that takes no two turns of one side in a row.

    Raises:
        InexpressibleError: If a trainer would refuse it or train on something else.
    """
    row = chat_row(example, weights=weights)
    read_conversation(
        [{field: message[field] for field in message if field != "weight"} for message in row["messages"]]
    )
    return row


def every_field_first(rows: Sequence[Row]) -> list[Row]:
    """Put the rows in front that are the first to have a field.

    `datasets` takes the type of a column from the first 10 MB of a file and fails on a field that comes later.
    """
    seen: set[str] = set()
    front: list[Row] = []
    rest: list[Row] = []
    for row in rows:
        fields = {*row, *(field for message in row["messages"] for field in message)}
        (rest if fields <= seen else front).append(row)
        seen |= fields
    return front + rest


def _message(message: Mapping[str, Any], *, first: bool) -> Row:
    role = message.get("role")
    if not isinstance(role, str) or role not in _FIELDS:
        raise InexpressibleError("it has a message of a role that the format does not know")
    if role == "system" and not first:
        raise InexpressibleError("it has a system message that is not its first message")
    check_fields(message, _FIELDS[role])
    if role == "assistant":
        return _answer(message)
    marks = {field: message[field] for field in ("tool_call_id", "name") if message.get(field) is not None}
    if not all(isinstance(mark, str) for mark in marks.values()):
        raise InexpressibleError("it has a message with a field that the format does not know")
    return {"role": role, "content": text_of(message), **marks}


def _answer(message: Mapping[str, Any]) -> Row:
    written: Row = {"role": "assistant"}
    calls = read_calls(message)
    if not calls or message.get("content"):
        written["content"] = text_of(message)
    if calls:
        written["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    if message.get("weight") is not None:
        written["weight"] = message["weight"]
    return written


def _call(call: Mapping[str, Any]) -> Row:
    function = call["function"]
    known = {field for field, value in call.items() if value is not None} <= _CALL_FIELDS
    if not known or function.keys() != {"name", "arguments"} or not isinstance(call.get("id", ""), str):
        raise InexpressibleError("it has a message with a field that the format does not know")
    marks = {"id": call["id"]} if "id" in call else {}
    return {**marks, "type": "function", "function": {"name": function["name"], "arguments": function["arguments"]}}


def _check_weights(answers: Sequence[Row], *, weights: bool) -> None:
    """Leave weights away that say nothing; refuse those that cannot be said."""
    given = [answer.get("weight") for answer in answers]
    if all(weight in (None, 1) for weight in given):
        for answer in answers:
            answer.pop("weight", None)
        return
    if not weights:
        raise InexpressibleError("it weighs its answers")
    if not all(weight is None or (type(weight) is int and weight in (0, 1)) for weight in given):
        raise InexpressibleError("it has a weight other than 0 and 1")
    if all(weight == 0 for weight in given):
        raise InexpressibleError("it has no answer to train on")
