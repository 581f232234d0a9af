"""A curation's table and some of its examples, as text and as markdown.

In: rows and examples. Out: lines. What documents and models wrote is made harmless and, on a terminal, cut. Knows
nothing of rules.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.hostile_text import markdown_text, one_line, without_controls, without_surrogates

_WIDTH = 80
_EDGE = 200
"""Characters shown of both ends of a long message on a terminal."""
_LONGEST_BLOCK = 20_000
"""Characters of one message in markdown."""


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """How many examples a rule refused."""

    rule: str
    dropped: int
    alone: int
    """How many of them no other rule refused."""
    means: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An example that is shown, and why it was dropped if it was."""

    number: int
    reasons: tuple[str, ...]
    example: TrainingExample | str
    """A line that is no example as it stands in its file."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values, the example as a line of a training file."""
        rest = {"line": self.example} if isinstance(self.example, str) else self.example.to_line()
        return {"number": self.number, "reasons": list(self.reasons), **rest}


def text_table(rows: Sequence[TableRow]) -> list[str]:
    """The table, as aligned columns."""
    if not rows:
        return ["nothing was dropped"]
    width = max(len("rule"), *(len(one_line(row.rule)) for row in rows))
    lines = [f"{'rule':<{width}}  {'dropped':>7}  {'alone':>7}  means"]
    for row in rows:
        start = f"{one_line(row.rule):<{width}}  {row.dropped:>7,}  {row.alone:>7,}  "
        folded = textwrap.wrap(row.means, max(20, _WIDTH - len(start))) or [""]
        lines += [start + folded[0], *(" " * len(start) + line for line in folded[1:])]
    return [*lines, "alone: no other rule refused them"]


def markdown_table(rows: Sequence[TableRow]) -> str:
    """The table, for a pull request."""
    if not rows:
        return "Nothing was dropped."
    lines = ["| rule | dropped | alone | means |", "|---|---:|---:|---|"]
    lines += [f"| {markdown_text(r.rule)} | {r.dropped:,} | {r.alone:,} | {markdown_text(r.means)} |" for r in rows]
    return "\n".join([*lines, "", "alone: no other rule refused them"])


def text_examples(title: str, examples: Sequence[Shown]) -> list[str]:
    """Examples as they are, with the middle of long messages left out."""
    lines = [f"{title}, {len(examples)} of them, the middle of long texts left out"]
    for shown in examples:
        lines += ["", f"-- {shown.number}" + (f": {one_line('; '.join(shown.reasons))}" if shown.reasons else "")]
        for role, text in _messages(shown.example):
            lines.append(f"[{role}]")
            lines += [f"  {line}".rstrip() for line in _shortened(text).split("\n")]
    return lines


def markdown_examples(title: str, examples: Sequence[Shown]) -> str:
    """Examples as they are, whole."""
    parts = [f"## {title}, {len(examples)} of them as they are"]
    for shown in examples:
        reasons = f": {markdown_text('; '.join(shown.reasons))}" if shown.reasons else ""
        parts.append(f"### {shown.number}{reasons}")
        for role, text in _messages(shown.example):
            # Indented code: nothing inside it can end it.
            block = "\n".join(f"    {line}" for line in text[:_LONGEST_BLOCK].split("\n"))
            parts.append(f"**{markdown_text(role) or 'no role'}**\n\n{block}")
    return "\n\n".join(parts)


def _messages(example: TrainingExample | str) -> Iterator[tuple[str, str]]:
    if isinstance(example, str):
        yield "line", without_surrogates(without_controls(example))
        return
    for message in example.messages:
        yield one_line(str(message.get("role")), limit=40), without_surrogates(without_controls(_text(message)))


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    rest = {key: value for key, value in message.items() if key not in ("role", "content")}
    texts = [content] if isinstance(content, str) else []
    if not isinstance(content, str) and content is not None:
        rest["content"] = content
    if rest:
        texts.append(json.dumps(rest, ensure_ascii=False))
    return "\n".join(texts)


def _shortened(text: str) -> str:
    if len(text) <= 3 * _EDGE:
        return text
    left_out = len(text) - 2 * _EDGE
    return f"{text[:_EDGE].rstrip()}\n[… {left_out:,} characters …]\n{text[-_EDGE:].lstrip()}"
