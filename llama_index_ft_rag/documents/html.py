"""HTML in, the text that a reader of the page sees out, a table row as one line.

Markup, scripts, hidden elements, comments and inline XBRL headers do not get through. What a style sheet hides is
not known here, what an attribute or an inline style hides is. The work is proportional to the page's size, however
hostile the page: there is no tree, only a stack of open elements, and what makes the standard library's parser
search the rest of the page again and again is made harmless first.
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

from llama_index_ft_rag.documents.text import Part, clean, decode, short_rules, whole, without_invisible

_CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_HIDDEN_TAG = re.compile(
    "title|script|style|noscript|template|svg|iframe|object|embed|audio|video|canvas|datalist|rt|rp|ix:header|ix:hidden"
)
_EMPTY_TAG = re.compile(
    "area|base|basefont|bgsound|br|col|command|embed|frame|hr|image|img|input|isindex|keygen|link|menuitem|meta|"
    "nextid|param|source|spacer|track|wbr"
)
_BLOCK_TAG = re.compile(
    "address|article|aside|blockquote|body|caption|center|details|dialog|div|dl|fieldset|figcaption|figure|footer|"
    "form|h[1-6]|header|main|nav|ol|p|pre|section|summary|table|ul"
)
_LINE_TAG = re.compile("br|dd|dt|hr|li|tr")
_TABLE_TAG = re.compile("table|t[dh]")
_HIDING_STYLE = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|(?:font-size|opacity)\s*:\s*0+(?:\.0*)?"
    r"(?:px|pt|em|rem|%)?\s*(?:!|;|$))",
    re.IGNORECASE,
)
_STYLE_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_TAG_START = re.compile("<[a-zA-Z/!?]")
_OTHER_SECTION = re.compile(r"<!\[(?!CDATA\[)")
# Stand for a line break and the start of a table cell; the input's own control characters are gone by then.
_BREAK, _CELL = "\x1e", "\x1f"
_OPENS_A_FIGURE = re.compile(r"[(\[]?\s*(?:US|HK|C|A|NT)?[$€£¥₹]\s*[(\[]?|[(\[]|RMB")
_CLOSES_A_FIGURE = re.compile(r"[)\]]?\s*%?\s*[)\]]?|pts\.?")


def read_html(path: Path, data: bytes) -> list[Part]:
    """Read a page as one part, or none if a reader sees no text."""
    charset = _CHARSET.search(data[:4096])
    markup = decode(path, data, declared=charset.group(1).decode("ascii") if charset else None)
    return whole(clean(short_rules(visible_text(without_invisible(markup)))))


def visible_text(markup: str) -> str:
    """Return what a reader sees, in lines; the cells of a row are parted by bars.

    As in browsers, a tag or comment that never ends takes the rest of the page with it.
    """
    reader = _Reader()
    reader.feed(_with_closed_sections(markup))
    # Parsing stops at what never ends; going on would search the rest of the page once per "<" in it.
    if not _TAG_START.match(reader.rawdata):
        reader.close()
    text = re.sub(r"[^\S\x1e\x1f]+", " ", "".join(reader.seen))
    return "\n".join(map(_line, text.split(_BREAK)))


def _with_closed_sections(markup: str) -> str:
    """Let marked sections other than CDATA, and any CDATA never closed, end at the next ">", as in browsers."""
    closed = markup.rfind("]]>") + 1
    return _OTHER_SECTION.sub("<! [", markup[:closed]) + markup[closed:].replace("<![", "<! [")


class _Reader(HTMLParser):
    """Collects what is seen, with markers; open elements are a stack, so pages may nest without limit."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[str] = []
        self._open: list[tuple[str, bool]] = []  # name, whether hidden by itself
        self._counts: Counter[str] = Counter()
        self._hiding = 0
        self._holders = [""]  # the innermost of table, td, th decides whether a block breaks the line

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        hidden = _is_hidden(tag, dict(attrs))
        if not hidden and not self._hiding:
            self.seen.append(_edge(tag, self._holders[-1], opening=True))
        self._open.append((tag, hidden))
        self._counts[tag] += 1
        self._hiding += hidden
        if _TABLE_TAG.fullmatch(tag):
            self._holders.append(tag)
        if _EMPTY_TAG.fullmatch(tag):
            self._close_innermost()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if not _EMPTY_TAG.fullmatch(tag):
            self._close_innermost()

    def handle_endtag(self, tag: str) -> None:
        while self._counts[tag] and self._close_innermost() != tag:  # an end without a start closes nothing
            continue

    def handle_data(self, data: str) -> None:
        if not self._hiding:
            self.seen.append(data.replace("\n", _BREAK) if self._open and self._open[-1][0] == "pre" else data)

    def unknown_decl(self, data: str) -> None:
        if data.startswith("CDATA["):
            self.handle_data(data.removeprefix("CDATA["))

    def _close_innermost(self) -> str:
        tag, hidden = self._open.pop()
        self._counts[tag] -= 1
        self._hiding -= hidden
        if _TABLE_TAG.fullmatch(tag):
            self._holders.pop()
        if not hidden and not self._hiding:
            self.seen.append(_edge(tag, self._holders[-1], opening=False))
        return tag


def _edge(name: str, holder: str, *, opening: bool) -> str:
    if name in ("td", "th"):
        return _CELL if opening else " "
    if not _BLOCK_TAG.fullmatch(name) and not (opening and _LINE_TAG.fullmatch(name)):
        return ""
    # Inside a cell a block is a piece of the row's line; a row or table always starts a line of its own.
    ends_line = holder not in ("td", "th") or name in ("table", "tr")
    return (_BREAK if ends_line else " ") + ("- " if name == "li" else "")


def _is_hidden(tag: str, attributes: dict[str, str | None]) -> bool:
    return (
        _HIDDEN_TAG.fullmatch(tag) is not None
        or "hidden" in attributes
        or (attributes.get("aria-hidden") or "").strip().lower() == "true"
        or _HIDING_STYLE.search(_STYLE_COMMENT.sub("", attributes.get("style") or "")) is not None
    )


def _line(piece: str) -> str:
    """One line of text; of a table row its cells with bars between, `$` and `%` joined to their figure."""
    if _CELL not in piece:
        return piece.strip()
    cells: list[list[str]] = []
    opened = False
    for cell in filter(None, (cell.strip() for cell in piece.split(_CELL))):
        opens = _OPENS_A_FIGURE.fullmatch(cell) is not None
        joins = opened or (cells and not opens and _CLOSES_A_FIGURE.fullmatch(cell))
        if not joins:
            cells.append([])
        cells[-1].append(cell)
        opened = opens
    return " | ".join("".join(parts) for parts in cells)
