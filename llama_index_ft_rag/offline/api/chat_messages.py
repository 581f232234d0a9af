"""The shape of chat messages, as requests and training files share it.

In: what JSON held under `messages`. Out: the first thing wrong with it, or nothing. Knows nothing of who
asks, and not what the messages say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool", "function")


@dataclass(frozen=True, kw_only=True)
class MessageProblem:
    """What is wrong with a list of messages."""

    where: str
    """`messages`, or `messages[2].content`."""
    reason: str
    """Continues a sentence that begins with `where`: "is missing"."""


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


def _find_in_message(message: Any, where: str) -> MessageProblem | None:
    if not isinstance(message, dict):
        return MessageProblem(where=where, reason="must be an object")
    role = message.get("role")
    if role not in ROLES:
        return MessageProblem(where=f"{where}.role", reason=f"must be one of {', '.join(ROLES)}")
    content = message.get("content")
    if content is None:
        if role == "assistant" and (message.get("tool_calls") or message.get("function_call")):
            return None
        return MessageProblem(where=f"{where}.content", reason="is missing; only a tool call may go without")
    if isinstance(content, str):
        return None
    return _find_in_parts(content, f"{where}.content")


def _find_in_parts(content: Any, where: str) -> MessageProblem | None:
    if not isinstance(content, list) or not content:
        return MessageProblem(where=where, reason="must be a text or a list of parts")
    for index, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            return MessageProblem(where=f"{where}[{index}]", reason="must be an object with a type")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            return MessageProblem(where=f"{where}[{index}].text", reason="must be a text")
    return None
