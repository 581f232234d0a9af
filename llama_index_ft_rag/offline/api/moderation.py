"""Whether a training file holds what the service does not train on.

In: the lines of a file, and the words that are flagged by category. Out: the job error, or nothing. It stands in
for the service's moderation, which judges meaning: here it is words. Which of the two known messages the service
gives when is a guess: the one with lines where they can be counted at a glance, the one with categories above.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index_ft_rag.offline.api.chat_messages import message_texts
from llama_index_ft_rag.offline.api.training_files import messages_of
from llama_index_ft_rag.offline.responder import ApiFailure

_MOST_LINES_NAMED = 10


def find_flagged(lines: Sequence[dict[str, Any]], flagged_words: Mapping[str, Sequence[str]]) -> ApiFailure | None:
    """Return why a file of well-formed examples is not trained on, or `None`.

    Args:
        lines: The file's lines.
        flagged_words: Words by category; whole words count, in capitals too.
    """
    patterns = {category: _pattern(words) for category, words in flagged_words.items() if words}
    if not patterns:
        return None
    found: dict[int, set[str]] = {}
    for number, line in enumerate(lines, start=1):
        texts = [text for message in messages_of(line) for text in message_texts(message)]
        hit = {name for name, pattern in patterns.items() if any(pattern.search(text) for text in texts)}
        if hit:
            found[number] = hit
    if not found:
        return None
    return ApiFailure(message=_message(found), code="invalid_training_file", param="training_file")


def _message(found: Mapping[int, set[str]]) -> str:
    start = "The job failed due to an invalid training file."
    if len(found) <= _MOST_LINES_NAMED:
        return (
            f"{start} This file failed moderation safety checks. Try removing the flagged lines and uploading the "
            f"file again. Flagged lines: {', '.join(map(str, found))}"
        )
    categories = ", ".join(sorted(set().union(*found.values())))
    return (
        f"{start} This training file was blocked because too many examples were flagged by our moderation API for "
        f"containing content that violates OpenAI's usage policies in the following categories: {categories}."
    )


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    # Chinese has no spaces: only a neighbour of the Latin alphabet makes it another word.
    return re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(map(re.escape, words))})(?![A-Za-z0-9_])", re.IGNORECASE)
