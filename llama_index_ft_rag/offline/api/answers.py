"""What a model says to one request, in the form in which every endpoint can send it.

In: a chat request and how long an answer may be. Out: the responder's reply with its limits kept, tool calls
with ids and arguments as texts, and its tokens. Calls get ids made from the request. Knows nothing of HTTP, and
nothing of how a reply is found.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.protocol import Refusal, stable_hash
from llama_index_ft_rag.offline.responder import (
    ApiFailure,
    ChatReply,
    ChatRequest,
    FinishReason,
    Responder,
    ToolCall,
)
from llama_index_ft_rag.offline.tokens import count_tokens, cut_tokens


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a tool, as it is sent."""

    id: str
    name: str
    arguments: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a message of a chat holds it."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One thing that a model says."""

    content: str | None
    refusal: str | None
    calls: tuple[Call, ...]
    finish_reason: FinishReason
    tokens: int


def ask(
    responder: Responder, request: ChatRequest, *, max_tokens: int | None = None, stop: Sequence[str] = ()
) -> Answer:
    """Let the responder answer, and keep its answer within its limits.

    Raises:
        Refusal: If the responder has an error for an answer.
    """
    reply = responder.chat(request)
    if isinstance(reply, ApiFailure):
        raise Refusal(reply)
    content = _end_at(reply.content, stop)
    if max_tokens is None and not reply.tool_calls and reply.refusal is None:
        tokens = count_tokens(content or "")
        return Answer(content=content, refusal=None, calls=(), finish_reason=reply.finish_reason, tokens=tokens)
    return _bounded(reply, content, seed=request.seed, room=_Room(max_tokens))


class _Room:
    """How many tokens may still be said; everything that is said goes through it, in order."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.used = 0
        self.is_short = False

    def take(self, text: str) -> str:
        """Return as much of a text as there is room for; nothing once something did not fit."""
        if self.is_short:
            return ""
        said = text if self._limit is None else cut_tokens(text, self._limit - self.used)
        self.is_short = said != text
        self.used += count_tokens(said)
        return said


def _bounded(reply: ChatReply, content: str | None, *, seed: int, room: _Room) -> Answer:
    content = None if content is None else room.take(content)
    refusal = None if reply.refusal is None else room.take(reply.refusal)
    calls: list[Call] = []
    for place, call in enumerate(reply.tool_calls):
        if room.take(call.name) != call.name:
            break
        made = "call_" + stable_hash(seed, "call", place)[:24]
        calls.append(Call(id=call.id or made, name=call.name, arguments=room.take(_arguments(call))))
    reason: FinishReason = "tool_calls" if calls and reply.finish_reason == "stop" else reply.finish_reason
    return Answer(
        content=content,
        refusal=refusal,
        calls=tuple(calls),
        finish_reason="length" if room.is_short else reason,
        tokens=room.used,
    )


def _arguments(call: ToolCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(dict(call.arguments), ensure_ascii=False)


def _end_at(content: str | None, stop: Sequence[str]) -> str | None:
    ends = [place for place in map((content or "").find, stop) if place >= 0]
    return content[: min(ends)] if content and ends else content
