"""Text and training lines -> number of tokens, as a model sees them.

In: a text, or a line of a training file as a service takes it. Out: `TokenCount`, an estimate where the model's
encoding is not known. Knows nothing of files, prices or what is wrong with a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.catalog import model_facts
from llama_index_ft_rag.tokenizer import TokenCount, count_all_encoded, count_encoded

# OpenAI's chat format adds these to every message, to a message with a name, and to the whole.
_PER_MESSAGE, _PER_NAME, _PER_EXAMPLE = 3, 1, 3


@dataclass(frozen=True, kw_only=True)
class ExampleParts:
    """What of a training line has tokens."""

    texts: Sequence[str]
    frame_tokens: int
    """Those around the texts: per message, per name, per conversation."""
    uncounted: int
    """Parts that are no text, such as images."""


def count_tokens(text: str, *, model: str) -> TokenCount:
    """Count the tokens of a text as this model sees it; exact only where its encoding is known."""
    facts = model_facts(model)
    count = count_encoded(text, encoding=facts.encoding)
    return count if facts.exact_encoding else TokenCount(tokens=count.tokens, exact=False)


def count_example_tokens(line: Mapping[str, Any], *, model: str) -> TokenCount:
    """Count the tokens of one training line in chat or preference format; no content makes this fail.

    Images count as nothing and make the count an estimate.
    """
    facts = model_facts(model)
    parts = example_parts(line)
    count = count_all_encoded(parts.texts, encoding=facts.encoding)
    exact = facts.exact_encoding and count.exact and not parts.uncounted
    return TokenCount(tokens=count.tokens + parts.frame_tokens, exact=exact)


def example_parts(line: Mapping[str, Any]) -> ExampleParts:
    """Take a training line apart into what is counted and what its frame adds, before any text is counted."""
    texts: list[str] = []
    frame = uncounted = 0
    for messages, tools in _conversations(line):
        frame += _PER_EXAMPLE + _PER_MESSAGE * len(messages)
        frame += _PER_NAME * sum(1 for message in messages if message.get("name"))
        for text in _texts(messages, tools):
            if text is None:
                uncounted += 1
            else:
                texts.append(text)
    return ExampleParts(texts=texts, frame_tokens=frame, uncounted=uncounted)


def _conversations(line: Mapping[str, Any]) -> Iterator[tuple[list[Mapping[str, Any]], Any]]:
    """The messages and tools a line is trained on: one conversation, or three lists of a preference pair."""
    pair = line.get("input")
    if not isinstance(pair, Mapping):
        yield _messages(line.get("messages")), line.get("tools") or line.get("functions")
        return
    yield _messages(pair.get("messages")), pair.get("tools")
    for key in ("preferred_output", "non_preferred_output"):
        yield _messages(line.get(key)), None


def _messages(value: Any) -> list[Mapping[str, Any]]:
    return [message for message in value if isinstance(message, Mapping)] if isinstance(value, list) else []


def _texts(messages: Sequence[Mapping[str, Any]], tools: Any) -> Iterator[str | None]:
    """Every text a provider would tokenize; `None` for a part that is no text."""
    if tools:
        yield _as_text(tools)
    for message in messages:
        for key in ("role", "name", "content", "refusal", "tool_calls", "function_call"):
            value = message.get(key)
            if key == "content" and isinstance(value, list):
                yield from (_part_text(part) for part in value)
            elif value is not None:
                yield _as_text(value)


def _part_text(part: Any) -> str | None:
    if not isinstance(part, Mapping):
        return _as_text(part)
    text = part.get("text", part.get("refusal"))
    return text if isinstance(text, str) else None


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, TypeError, ValueError):
        return ""  # nested too deeply, or with itself inside: no service would accept it either
