"""Text from documents, models and files, made harmless for the place where it is shown.

In: any string. Out: one that cannot move the cursor, leave its place, or ping anybody. Escaping HTML is the
template engine's. Knows nothing of reports.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_DIRECTION = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~&$]")
_MARKDOWN_PART = re.compile(rf"{_MARKDOWN.pattern}|@|#|://|www\.")
_REPLACEMENT = "\ufffd"


def without_controls(text: str) -> str:
    """Replace control characters and lone surrogates; line ends and tabs stay, text direction marks too."""
    return _CONTROL.sub(_REPLACEMENT, text.replace("\r\n", "\n").replace("\r", "\n"))


def without_surrogates(text: str) -> str:
    """Replace lone surrogates, as broken model output has them: they cannot be written as UTF-8."""
    return _SURROGATE.sub(_REPLACEMENT, text)


def one_line(text: str, *, limit: int | None = None) -> str:
    """One line without control characters and direction marks, cut at `limit` characters."""
    line = " ".join(_DIRECTION.sub(_REPLACEMENT, without_controls(text)).split())
    return line if limit is None or len(line) <= limit else line[: max(limit - 1, 0)].rstrip() + "…"


def markdown_text(text: str, *, limit: int | None = None) -> str:
    """One line in which markdown and HTML have no effect, links and mentions included."""
    # A mention pings, and an address or #1 is made a link, however escaped; a comment parts them.
    return _MARKDOWN_PART.sub(_harmless_part, one_line(text, limit=limit))


def _harmless_part(found: re.Match[str]) -> str:
    part = found.group()
    return f"&#{ord(part)};" if _MARKDOWN.fullmatch(part) else f"{part}<!-- -->"
