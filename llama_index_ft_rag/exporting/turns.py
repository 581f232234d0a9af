"""A training example -> the turns that instruction trainers know, or the reason why it has no such form.

In: messages in OpenAI's wire format, ours or anybody's. Out: `Conversation`, in which the user's side and the
assistant's alternate, as these trainers require: LLaMA-Factory drops every other example with no more than a log
line. Knows nothing of how a format spells a turn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NoReturn

LeftOutReason = Literal[
    "it does not end with an answer of the assistant",
    "its turns do not alternate between the user's side and the assistant's",
    "it has a system message that is not its first message",
    "it has a message without text",
    "it has a message of several parts",
    "it has a message with parts that are no text",
    "it has a message of a role that the format does not know",
    "it has a message that names its speaker",
    "it has a message with a field that the format does not know",
    "it weighs its answers",
    "it has a weight other than 0 and 1",
    "it has no answer to train on",
    "it says something and calls a tool in one turn",
    "it has several tool results for one turn",
    "it has a tool that is no function",
    "it has a tool call that is no function with arguments in JSON",
    "it has tools",
    "it has text that is no valid Unicode",
]
"""Why a format cannot express an example."""

TurnKind = Literal["user", "answer", "calls", "result"]
"""The user's side: `user`, `result` (of a tool). The assistant's: `answer`, `calls` (of tools)."""

_SYSTEM = ("system", "developer")
_FIELDS: dict[str, set[str]] = {
    "user": {"role", "content"},
    "assistant": {"role", "content", "weight", "tool_calls", "function_call"},
    # A result stands after its call, so that neither id nor name is needed to find it.
    "tool": {"role", "content", "tool_call_id", "name"},
    "function": {"role", "content", "name"},
}


class InexpressibleError(Exception):
    """A format cannot express an example; caught where examples are converted."""

    def __init__(self, reason: LeftOutReason) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a function."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn of a conversation."""

    kind: TurnKind
    text: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What was said, the user's side first, in turns; the last one is the assistant's."""

    system: str | None
    turns: tuple[Turn, ...]


def read_conversation(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    """Read messages as alternating turns; a first `developer` message counts as the system's.

    Raises:
        InexpressibleError: If they are anything else.
    """
    first = messages[0] if messages else {}
    has_system = first.get("role") in _SYSTEM
    turns = tuple(_read_turn(message) for message in messages[has_system:])
    _check_order(turns)
    return Conversation(system=_read_system(first) if has_system else None, turns=turns)


def function_schemas(tools: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """The functions that tools define, each with its parameters: an empty object where OpenAI lets them be left out.

    Raises:
        InexpressibleError: If a tool is no function.
    """
    return [_function_schema(tool) for tool in tools or ()]


def _function_schema(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = function_of(tool)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InexpressibleError("it has a tool that is no function")
    parameters = function.get("parameters") or {"type": "object"}
    properties = (parameters.get("properties") or {}) if isinstance(parameters, Mapping) else None
    if not isinstance(properties, Mapping):
        raise InexpressibleError("it has a tool that is no function")
    # LLaMA-Factory reads the properties of every function, of one without parameters too.
    return {**function, "parameters": {**parameters, "properties": properties}}


def _read_system(message: Mapping[str, Any]) -> str:
    check_fields(message, {"role", "content"})
    return text_of(message)


def _read_turn(message: Mapping[str, Any]) -> Turn:
    role = message.get("role")
    if role in _SYSTEM:
        raise InexpressibleError("it has a system message that is not its first message")
    if not isinstance(role, str) or role not in _FIELDS:
        raise InexpressibleError("it has a message of a role that the format does not know")
    check_fields(message, _FIELDS[role])
    if role == "assistant":
        return _read_answer(message)
    return Turn(kind="user" if role == "user" else "result", text=text_of(message))


def _read_answer(message: Mapping[str, Any]) -> Turn:
    if message.get("weight") not in (None, 1):
        raise InexpressibleError("it weighs its answers")
    calls = read_calls(message)
    if not calls:
        return Turn(kind="answer", text=text_of(message))
    if message.get("content"):
        raise InexpressibleError("it says something and calls a tool in one turn")
    return Turn(kind="calls", calls=calls)


def read_calls(message: Mapping[str, Any]) -> tuple[Call, ...]:
    """The calls of a turn of the assistant, however they are spelled.

    Raises:
        InexpressibleError: If one is no function with arguments in JSON.
    """
    calls = message.get("tool_calls") or []
    functions = [function_of(call) for call in calls] if isinstance(calls, list) else [None]
    if message.get("function_call"):  # how OpenAI wrote a call until 2023
        functions.append(message["function_call"])
    return tuple(_read_call(function) for function in functions)


def function_of(thing: Any) -> Any:
    """The function of a tool or of a call, where that is what it is."""
    return thing.get("function") if isinstance(thing, Mapping) and thing.get("type", "function") == "function" else None


def _read_call(function: Any) -> Call:
    if isinstance(function, Mapping) and isinstance(function.get("name"), str):
        arguments = _json_object(function.get("arguments"))
        if arguments is not None:
            return Call(name=function["name"], arguments=arguments)
    raise InexpressibleError("it has a tool call that is no function with arguments in JSON")


def _json_object(text: Any) -> dict[str, Any] | None:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(value, allow_nan=False)  # a number such as 1e999 is read as infinity, which JSON has no word for
    except (TypeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def check_fields(message: Mapping[str, Any], known: set[str]) -> None:
    """Refuse a message that says something in a field of which a format knows nothing.

    Raises:
        InexpressibleError: If it does.
    """
    foreign = {field for field, value in message.items() if value is not None and field not in known}
    if "name" in foreign:
        raise InexpressibleError("it has a message that names its speaker")
    if foreign:
        raise InexpressibleError("it has a message with a field that the format does not know")


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message that is one text.

    Raises:
        InexpressibleError: If it is anything else.
    """
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise InexpressibleError("it has a message without text")
    texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
    if len(texts) != len(content) or not all(isinstance(text, str) for text in texts):
        raise InexpressibleError("it has a message with parts that are no text")
    if len(texts) > 1:  # what stands between two parts is each provider's own business
        raise InexpressibleError("it has a message of several parts")
    return str(texts[0])


def _check_order(turns: Sequence[Turn]) -> None:
    if not turns or turns[-1].kind not in ("answer", "calls"):
        raise InexpressibleError("it does not end with an answer of the assistant")
    for earlier, later in pairwise(turns):
        if later.kind == "result" and (earlier.kind == "result" or len(earlier.calls) > 1):
            raise InexpressibleError("it has several tool results for one turn")
    for number, turn in enumerate(turns):
        after_calls = number > 0 and turns[number - 1].kind == "calls"
        if (turn.kind in ("user", "result")) != (number % 2 == 0) or (turn.kind == "result" and not after_calls):
            raise InexpressibleError("its turns do not alternate between the user's side and the assistant's")
