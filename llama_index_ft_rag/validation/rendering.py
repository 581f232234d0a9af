"""Problems and figures -> lines of text of at most 80 columns.

In: the problems that were kept, the numbers of all, and named values. Out: lines. Knows nothing of files.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from llama_index_ft_rag.training_problems import Problem

_COLUMNS = 80
_NAME_COLUMNS = 17
_SHOWN_PER_CODE = 5
_SHOWN_RANGES = 8


def render_figure(name: str, value: str) -> str:
    """Render one named value; a long one goes on below itself."""
    indent = " " * (_NAME_COLUMNS + 2)
    return _filled(f"  {name:<{_NAME_COLUMNS}}{value}", indent)


def render_problems(problems: Iterable[Problem], counts: Mapping[str, int]) -> list[str]:
    """One entry per code and message with the lines it is about; a code with many messages is cut short.

    Args:
        problems: Those to show, all of one severity.
        counts: How many there are of each code, kept or not.
    """
    grouped: dict[str, dict[str, list[int | None]]] = {}
    for problem in problems:
        grouped.setdefault(problem.code, {}).setdefault(problem.message, []).append(problem.line)
    rendered = []
    for code, messages in grouped.items():
        shown = dict(list(messages.items())[:_SHOWN_PER_CODE])
        for message, lines in shown.items():
            entry = f"  {_where(lines)}: {message} [{code}]"
            rendered.append(_filled(entry, "    "))
        rest = counts.get(code, 0) - sum(map(len, shown.values()))
        if rest > 0:
            rendered.append(f"  and {rest:,} more of the kind [{code}]")
    return rendered


def plural(number: int, noun: str) -> str:
    """Count something in words."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(text, _COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _where(found: list[int | None]) -> str:
    lines = sorted({line for line in found if line is not None})
    if not lines:
        return "the file"
    ranges: list[list[int]] = []
    for line in lines:
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    shown = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:_SHOWN_RANGES])
    more = ", ..." if len(ranges) > _SHOWN_RANGES else ""
    return f"{'line' if len(lines) == 1 else 'lines'} {shown}{more}"
