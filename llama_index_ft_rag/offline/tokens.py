"""How the offline backend counts tokens: by a rule, not by a tokenizer.

In: text, chat messages or tools. Out: a number, or the text cut after so many tokens. A token is a run of at most
six word characters, one Chinese, Japanese or Korean character, or one other sign that is no space. The count is
the same on every machine and near what real tokenizers give for English; it is no provider's count. Sound and
files are not counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# The ranges hold the ideographs, kana and Hangul, which real tokenizers spell one by one or so.
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,6}|[^\w\s]"
)

# What a chat format adds to each message, and to the answer that it asks for.
_PER_MESSAGE = 3
_PER_REPLY = 3

# What OpenAI's vision guide has named for an image in low detail, whatever its size, since November 2023.
_PER_IMAGE = 85


def count_tokens(text: str) -> int:
    """Count the tokens of a text."""
    return len(_TOKEN.findall(text))


def cut_tokens(text: str, limit: int) -> str:
    """Return the text up to and with its token number `limit`, or all of it; nothing where there is no room."""
    end = 0
    for number, match in enumerate(_TOKEN.finditer(text)):
        if number >= limit:
            return text[:end]
        end = match.end()
    return text


def split_tokens(text: str) -> Iterator[str]:
    """Yield the pieces of a streamed text, one token each; joined they give the text again."""
    start = 0
    for match in _TOKEN.finditer(text):
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield text[start:]


def count_example_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """Count the tokens of a whole conversation, as a training counts them."""
    return sum(_PER_MESSAGE + _count_message(message) for message in messages)


def count_prompt_tokens(messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> int:
    """Count the tokens of a request for a completion, the definitions of its tools among them."""
    defined = count_tokens(json.dumps(tools, ensure_ascii=False)) if tools else 0
    return count_example_tokens(messages) + defined + _PER_REPLY


def _count_message(message: Mapping[str, Any]) -> int:
    total = 0
    for key, value in message.items():
        if key == "content" and isinstance(value, list):
            total += sum(map(_count_part, value))
        elif key in {"content", "name", "refusal"} and isinstance(value, str):
            total += count_tokens(value)
        elif key in {"tool_calls", "function_call"} and value:
            total += count_tokens(json.dumps(value, ensure_ascii=False))
    return total


def _count_part(part: Mapping[str, Any]) -> int:
    if part.get("type") == "image_url":
        return _PER_IMAGE
    return count_tokens(part.get("text") or part.get("refusal") or "")
