"""Faults of the model: what it says is not what it was asked for, above all where a judge should fill in JSON.

In: a text, or how to change the one that a model said. Out: faults of chat completions, plain and streamed.
Where a preset finds nothing to spoil, as in an answer without JSON, it leaves the answer alone and waits for
another: a judge's prompts and other prompts may use one backend. Knows no judge in particular.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline.faults import Fault
from llama_index_ft_rag.offline.protocol import Handler, Request, Response, json_of
from llama_index_ft_rag.testing.http_errors import CHAT_ROUTE
from llama_index_ft_rag.testing.rewriting import change_json

ChangeText = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class _OtherAnswer(Fault):
    change: ChangeText = field(repr=False)
    route: str = CHAT_ROUTE
    reach: tuple[str, ...] = (CHAT_ROUTE,)

    def strike(self, request: Request, proceed: Handler) -> Response:
        response = proceed(request)
        if not response.is_stream:
            return change_json(response, self._changed)
        said = _texts_of(response)
        told = {index: self.change(text) for index, text in said.items()}
        return response if told == said else change_json(response, _Retelling(told))

    def _changed(self, completion: dict[str, Any]) -> dict[str, Any]:
        for choice in completion.get("choices", []):
            message = choice.get("message", {})
            if isinstance(message.get("content"), str):
                message["content"] = self.change(message["content"])
        return completion


def change_answer(change: str | ChangeText) -> Fault:
    """Let the model say something else: a text, or what a function makes of the text that it said.

    Only in chat completions; an answer that holds no text, or the one it would get, is left alone.
    """
    if isinstance(change, str):
        said = change
        return _OtherAnswer(name="change_answer", change=lambda _: said)
    if not callable(change):
        raise ConfigurationError(f"change_answer({change!r}): pass a text, or a function of the text that was said")
    return _OtherAnswer(name="change_answer", change=change)


def not_json() -> Fault:
    """Let the model apologise in a sentence, where JSON was wanted."""
    return _OtherAnswer(name="not_json", change=lambda _: "I am sorry, but I cannot rate this answer.")


def json_in_code_fences() -> Fault:
    """Put the model's JSON between code fences, with a sentence in front of it."""
    return _on_json("json_in_code_fences", lambda said, _: f"Here is the result:\n\n```json\n{said}\n```")


def missing_key(key: str | None = None) -> Fault:
    """Leave a key out of every object in the model's JSON; of each innermost object its last one, if none is named."""

    def without(value: dict[str, Any]) -> dict[str, Any]:
        if key is not None:
            return {name: part for name, part in value.items() if name != key}
        is_innermost = not any(isinstance(part, (dict, list)) for part in value.values())
        return dict(list(value.items())[:-1]) if is_innermost else value

    return _spoiling("missing_key", lambda value: _walk(value, on_object=without))


def too_few_verdicts() -> Fault:
    """Leave the last object out of every list of objects in the model's JSON."""

    def shorter(value: list[Any]) -> list[Any]:
        return value[:-1] if value and isinstance(value[-1], dict) else value

    return _spoiling("too_few_verdicts", lambda value: _walk(value, on_list=shorter))


def score_out_of_range(score: float = 7) -> Fault:
    """Put `score` in place of every number in the model's JSON."""
    return _spoiling("score_out_of_range", lambda value: _walk(value, on_number=lambda _: score))


def wrong_type() -> Fault:
    """Put a word in place of every number in the model's JSON."""
    return _spoiling("wrong_type", lambda value: _walk(value, on_number=lambda _: "high"))


def empty_answer() -> Fault:
    """Let the model say nothing."""
    return _OtherAnswer(name="empty_answer", change=lambda _: "")


def mentions(text: str) -> Callable[[Request], bool]:
    """Make a `where=` of a rule: only requests of which a message, or another text, holds `text`."""

    def holds(request: Request) -> bool:
        left: list[Any] = [json_of(request)]
        while left:  # not by recursion: a request may be nested deeper than the stack
            part = left.pop()
            if isinstance(part, str) and text in part:
                return True
            left.extend(part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
        return False

    return holds


class _Retelling:
    """Puts another text into the events of a stream: all of it where the first piece stood."""

    def __init__(self, texts: dict[int, str]) -> None:
        self._left = dict(texts)

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        for choice in event.get("choices", []):
            delta = choice.get("delta", {})
            # The first event of a choice names the role beside an empty text.
            if isinstance(delta.get("content"), str):
                delta["content"] = "" if "role" in delta else self._left.pop(choice["index"], "")
            elif choice.get("finish_reason") and self._left.get(choice["index"]):
                delta["content"] = self._left.pop(choice["index"])
        return event


def _texts_of(response: Response) -> dict[int, str]:
    texts: dict[int, str] = {}

    def collect(event: dict[str, Any]) -> dict[str, Any]:
        for choice in event.get("choices", []):
            piece = choice.get("delta", {}).get("content")
            if isinstance(piece, str):
                texts[choice["index"]] = texts.get(choice["index"], "") + piece
        return event

    change_json(response, collect)
    return texts


def _spoiling(name: str, spoil: Callable[[Any], Any]) -> Fault:
    def change(said: str, value: Any) -> str:
        spoilt = spoil(value)
        return said if spoilt == value else json.dumps(spoilt, ensure_ascii=False)

    return _on_json(name, change)


def _on_json(name: str, change: Callable[[str, Any], str]) -> Fault:
    def changed(said: str) -> str:
        try:
            value = json.loads(said)
        except ValueError:
            return said
        return change(said, value)

    return _OtherAnswer(name=name, change=changed)


def _same(value: Any) -> Any:
    return value


def _walk(
    value: Any,
    *,
    on_object: Callable[[dict[str, Any]], Any] = _same,
    on_list: Callable[[list[Any]], Any] = _same,
    on_number: Callable[[float], Any] = _same,
) -> Any:
    """Rebuild a JSON value from the outside in."""

    def inner(part: Any) -> Any:
        return _walk(part, on_object=on_object, on_list=on_list, on_number=on_number)

    if isinstance(value, dict):
        return {name: inner(part) for name, part in on_object(value).items()}
    if isinstance(value, list):
        return [inner(part) for part in on_list(value)]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return on_number(value)
    return value
