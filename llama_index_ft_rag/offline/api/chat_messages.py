"""The shape of chat messages, as requests and training files share it.

In: what JSON held under `messages`. Out: the first thing wrong with it, or nothing. Knows nothing of who
asks, not what the messages say, and not which of them answers which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index_ft_rag.offline.api.content_parts import MessageProblem, find_in_parts

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

# Without these nobody could tell what is answered.
_TEXTS_BY_ROLE = {"tool": ("tool_call_id",), "function": ("name",)}


def find_problem(messages: Any) -> MessageProblem | None:
    """Return the first thing that the service would refuse, or `None`."""
    if not isinstance(messages, list):
        return MessageProblem(where="messages", reason="must be a list of messages")
    if not messages:
        return MessageProblem(where="messages", reason="is empty; at least one message is needed")
    for index, message in enumerate(messages):
        problem = _find_in_message(message, f"messages[{index}]")
        if problem is not None:
            return problem
    return None


def message_texts(message: dict[str, Any]) -> list[str]:
    """Return the texts of a well-shaped message: its content, or the text parts of it."""
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or [] if part["type"] == "text"]


def find_beyond_text(messages: Sequence[dict[str, Any]]) -> str | None:
    """Return where well-shaped messages hold the first image, sound or file, or `None`."""
    for index, message in enumerate(messages):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list) else []):
            if part["type"] not in {"text", "refusal"}:
                return f"messages[{index}].content[{place}]"
    return None


def _find_in_message(message: Any, where: str) -> MessageProblem | None:
    if not isinstance(message, dict):
        return MessageProblem(where=where, reason="must be an object")
    role = message.get("role")
    if role not in ROLES:
        return MessageProblem(where=f"{where}.role", reason=f"must be one of {', '.join(ROLES)}")
    if role == "assistant":
        problem = _find_in_calls(message, where)
        if problem is not None:
            return problem
    for name in _TEXTS_BY_ROLE.get(role, ()):
        if not isinstance(message.get(name), str):
            return MessageProblem(where=f"{where}.{name}", reason="must be a text")
    return _find_in_content(message, where)


def _find_in_content(message: dict[str, Any], where: str) -> MessageProblem | None:
    content = message.get("content")
    if isinstance(content, str):
        return None
    if content is not None:
        return find_in_parts(content, f"{where}.content", role=message["role"])
    said_otherwise = any(message.get(name) for name in ("tool_calls", "function_call", "refusal", "audio"))
    if message["role"] == "function" or (message["role"] == "assistant" and said_otherwise):
        return None
    return MessageProblem(where=f"{where}.content", reason="is missing; only a tool call or a refusal may go without")


def _find_in_calls(message: dict[str, Any], where: str) -> MessageProblem | None:
    if message.get("function_call") is not None:
        return _find_in_function(message["function_call"], f"{where}.function_call")
    calls = message.get("tool_calls")
    if calls is None:
        return None
    if not isinstance(calls, list):
        return MessageProblem(where=f"{where}.tool_calls", reason="must be a list")
    found = (_find_in_call(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(calls))
    return next((problem for problem in found if problem is not None), None)


def _find_in_call(call: Any, where: str) -> MessageProblem | None:
    if not isinstance(call, dict) or call.get("type") != "function":
        return MessageProblem(where=where, reason="must be an object of type 'function'")
    if not isinstance(call.get("id"), str):
        return MessageProblem(where=f"{where}.id", reason="must be a text")
    return _find_in_function(call.get("function"), f"{where}.function")


def _find_in_function(function: Any, where: str) -> MessageProblem | None:
    if isinstance(function, dict) and all(isinstance(function.get(name), str) for name in ("name", "arguments")):
        return None
    return MessageProblem(where=where, reason="must have a name and arguments, both texts")
