"""How the offline backend counts tokens: by a rule, not by a tokenizer.

In: text or chat messages. Out: a number, or the text cut after so many tokens. A token is a run of at most
six word characters, one Chinese, Japanese or Korean character, or one other sign that is no space. The count
is the same on every machine and near what real tokenizers give for English; it is no provider's count.
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


def count_tokens(text: str) -> int:
    """Count the tokens of a text."""
    return sum(1 for _ in _TOKEN.finditer(text))


def cut_tokens(text: str, limit: int) -> str:
    """Return the text up to and with its token number `limit`, or all of it."""
    for number, match in enumerate(_TOKEN.finditer(text), start=1):
        if number == limit:
            return text[: match.end()] if _TOKEN.search(text, match.end()) else text
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


def count_prompt_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """Count the tokens of a request for a completion."""
    return count_example_tokens(messages) + _PER_REPLY


def _count_message(message: Mapping[str, Any]) -> int:
    total = 0
    for key, value in message.items():
        if key == "content" and isinstance(value, list):
            total += sum(count_tokens(part.get("text") or "") for part in value)
        elif key in {"content", "name", "refusal"} and isinstance(value, str):
            total += count_tokens(value)
        elif key in {"tool_calls", "function_call"} and value:
            total += count_tokens(json.dumps(value, ensure_ascii=False))
    return total
