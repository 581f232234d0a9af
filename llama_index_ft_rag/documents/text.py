"""Bytes of a text file in, clean text out.

What a reader would not see (control and zero-width characters, front matter and comments of markdown) does not
get through. A file in an unknown encoding is refused rather than guessed into garbage. Knows nothing of folders.
"""

from __future__ import annotations

import codecs
import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from llama_index_ft_rag.errors import DocumentError

logger = logging.getLogger(__name__)

_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\xad\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_PLAIN_LETTERS = str.maketrans(
    {"\xa0": " ", "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
_RULE = re.compile(r"([_=*.·–—-])\1{9,}")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?=[\w-]+[ \t]*:).*?^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The text of one page, or of a whole file that has no pages."""

    text: str
    page_label: str | None = None


def read_text(path: Path, data: bytes) -> list[Part]:
    """Read plain text as one part, or none if it is blank."""
    return whole(clean(decode(path, data)))


def read_markdown(path: Path, data: bytes) -> list[Part]:
    """Read markdown as one part, as written but for front matter and comments, or none if it is blank."""
    text = decode(path, data).replace("\r\n", "\n")
    return whole(clean(_COMMENT.sub("", _FRONT_MATTER.sub("", text, count=1))))


def whole(text: str) -> list[Part]:
    """Return the text of a whole file as its parts: one, or none if there is no text."""
    return [Part(text=text)] if text else []


def clean(text: str) -> str:
    """Drop what cannot be seen, trailing blanks and piles of empty lines; spell out typographic ligatures."""
    text = re.sub(r"\r\n?|[\f\v\u2028\u2029]", "\n", text)
    text = without_invisible(text).translate(_PLAIN_LETTERS)
    text = re.sub(r"[^\S\n]{100,}", " ", text)  # tokenizers choke on very long runs
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def without_invisible(text: str) -> str:
    """Drop control, zero-width and tag characters."""
    return _INVISIBLE.sub("", text)


def short_rules(text: str) -> str:
    """Shorten dotted leaders and drawn lines, which cost tokens and say nothing, to three characters."""
    return _RULE.sub(r"\1\1\1", text)


def decode(path: Path, data: bytes, *, declared: str | None = None) -> str:
    """Decode UTF-8, UTF-16/32 with a byte order mark, the `declared` encoding, or mostly ASCII Windows-1252.

    Raises:
        DocumentError: If it is none of these, or binary.
    """
    text = _decode_marked(data)
    if text is None and declared is not None:
        text = _try_decode(data, declared)
    # Eight-bit text that is not mostly ASCII may be in any code page: a guess would give the models garbage.
    if text is None and sum(byte > 0x7F for byte in data[:100_000]) * 10 < len(data[:100_000]):
        text = _try_decode(data, "cp1252")
        logger.warning("%s is not UTF-8 and is read as Windows-1252; save it as UTF-8 if it looks wrong", path)
    if text is None or "\0" in text or len(_CONTROL.findall(text)) * 20 > len(text):
        raise DocumentError(str(path), "is binary or in an unknown encoding; save it as UTF-8 text")
    return text


def digest(*parts: str) -> str:
    """Return an id that depends on these texts only."""
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()[:32]


def _decode_marked(data: bytes) -> str | None:
    marks = (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    )
    encoding = next((name for mark, name in marks if data.startswith(mark)), "utf-8-sig")
    return _try_decode(data, encoding)


def _try_decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (LookupError, UnicodeError):
        return None
