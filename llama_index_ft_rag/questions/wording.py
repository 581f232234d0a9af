"""Text in, facts about its wording out: whether two texts ask the same, whether text is Chinese.

Knows nothing of questions, nodes or models.
"""

from __future__ import annotations

import re
import unicodedata

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")


def folded(text: str) -> str:
    """Return what is left of a text when case, width and punctuation do not count."""
    letters = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in letters if character.isalnum())


def han_count(text: str) -> int:
    """Count the Chinese characters."""
    return len(_HAN.findall(text))


def is_chinese(text: str) -> bool:
    """Whether text is mostly Chinese, and not Japanese."""
    han = han_count(text)
    latin = sum(character.isalpha() for character in text) - han
    return han * 3 > latin and han > 10 * len(_KANA.findall(text))


def has_word(text: str, word: str) -> bool:
    """Whether text holds the word, as a whole word where words have edges."""
    # Chinese puts no space between words, so there a part of the text is a word.
    edge = "" if han_count(word) else r"\b"
    return re.search(rf"{edge}{re.escape(word)}{edge}", text) is not None
