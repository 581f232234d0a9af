"""A report as text: for the terminal, and as markdown for a pull request.

In: a `ReportView`. Out: a string, at most as wide as asked for the terminal. What a model or document wrote is
cut to one line each and made harmless. Knows nothing of what the numbers mean.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from llama_index_ft_rag.errors import MissingExtraError
from llama_index_ft_rag.hostile_text import markdown_text, one_line
from llama_index_ft_rag.report.tables import Cell, Table
from llama_index_ft_rag.report.view import Fact, ReportView

_LONGEST_CELL = 160
_NUMBERS = 12
"""Width of the column of key numbers."""


def render_terminal(view: ReportView, *, width: int = 80, color: bool = False) -> str:
    """Lay a report out for the terminal.

    Raises:
        MissingExtraError: If rich is not installed.
    """
    rich = _Rich(width=width, color=color)
    rich.line(view.title, style="bold")
    for notice in view.notices:
        rich.line(f"! {notice}", style="bold yellow")
    rich.line("")
    rich.line(view.verdict, style="bold")
    if view.key_numbers:
        rich.line("")
        keys = [Fact(name=key.value, value=f"{key.label} ({key.detail})") for key in view.key_numbers]
        rich.pairs(keys, width=_NUMBERS)
    for table in _tables(view):
        rich.table(table)
    for title, lines in (("Money", view.money), ("Notes", view.notes)):
        if lines:
            rich.heading(title)
        for line in lines:
            rich.line(line)
    for title, facts in (("Training", view.training), ("Provenance", view.provenance)):
        if facts:
            rich.heading(title)
            rich.pairs(facts, width=24)
    return rich.text()


def render_markdown(view: ReportView) -> str:
    """Write a report as GitHub-flavoured markdown."""
    parts = [f"# {markdown_text(view.title)}"]
    parts += [f"> **{markdown_text(notice)}**" for notice in view.notices]
    parts.append(f"**{markdown_text(view.verdict)}**")
    if view.key_numbers:
        parts.append(
            "\n".join(
                f"- **{markdown_text(key.value)}** {markdown_text(key.label)} ({markdown_text(key.detail)})"
                for key in view.key_numbers
            )
        )
    parts += [_markdown_table(table) for table in _tables(view)]
    for title, lines in (("Money", view.money), ("Notes", view.notes)):
        if lines:
            parts.append(f"## {title}")
            parts.append("\n".join(f"- {markdown_text(line)}" for line in lines))
    for title, facts in (("Training", view.training), ("Provenance", view.provenance)):
        if facts:
            parts.append(f"## {title}")
            parts.append(_markdown_facts(facts))
    return "\n\n".join(parts) + "\n"


def _tables(view: ReportView) -> list[Table]:
    found = [view.arms, *view.differences, view.agreement, view.unscored, view.worst, view.curation]
    return [table for table in found if table is not None]


def _markdown_table(table: Table) -> str:
    lines = [f"## {markdown_text(table.title)}", ""]
    lines.append("| " + " | ".join(markdown_text(heading) for heading in table.headings) + " |")
    lines.append("|" + "|".join(["---", *["---:"] * (len(table.headings) - 1)]) + "|")
    lines += [
        "| " + " | ".join(markdown_text(str(cell), limit=_LONGEST_CELL) for cell in row) + " |" for row in table.rows
    ]
    return "\n".join([*lines, "", markdown_text(table.note)] if table.note else lines)


def _markdown_facts(facts: Sequence[Fact]) -> str:
    return "\n".join(f"- {markdown_text(fact.name)}: {markdown_text(fact.value)}" for fact in facts)


def _cell(cell: Cell) -> str:
    text = one_line(cell.text, limit=_LONGEST_CELL)
    return f"{text}\n{one_line(cell.detail)}" if cell.detail else text


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths of columns within `room`: whole words first, whole lines where there is room left."""
    wanted = [max(len(line) for entry in column for line in entry.split("\n")) for column in columns]
    widths = [max((len(word) for entry in column for word in entry.split()), default=1) for column in columns]
    while sum(widths) > max(room, len(widths)):
        widths[widths.index(max(widths))] -= 1
    while sum(widths) < room and widths != wanted:
        gaps = [want - width for want, width in zip(wanted, widths, strict=True)]
        widths[gaps.index(max(gaps))] += 1
    return widths


class _Rich:
    """The few things of rich that a report needs; no text is read as markup."""

    def __init__(self, *, width: int, color: bool) -> None:
        try:
            from rich import box, console, padding, table, text
        except ImportError as exc:
            raise MissingExtraError("A report in the terminal", extra="cli", missing="rich") from exc
        self._table, self._text, self._padding, self._box = table.Table, text.Text, padding.Padding, box.SIMPLE_HEAD
        self._out = io.StringIO()
        self._console = console.Console(
            file=self._out,
            width=width,
            force_terminal=color,
            no_color=not color,
            color_system="standard" if color else None,
            legacy_windows=False,
            _environ={},  # COLUMNS, NO_COLOR and FORCE_COLOR are the caller's business
        )

    def line(self, content: str, *, style: str = "") -> None:
        self._console.print(self._clean(content, style=style))

    def heading(self, content: str) -> None:
        self.line("")
        self.line(content, style="bold")

    def pairs(self, rows: Sequence[Fact], *, width: int) -> None:
        grid: Any = self._table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=width, overflow="fold")
        grid.add_column(overflow="fold")
        for row in rows:
            grid.add_row(self._clean(row.name), self._clean(row.value))
        self._console.print(grid)

    def table(self, table: Table) -> None:
        self.heading(table.title)
        shown: Any = self._table(box=self._box, padding=0, show_edge=False)
        rows = [[_cell(cell) for cell in row] for row in table.rows]
        columns = list(zip([one_line(heading) for heading in table.headings], *rows, strict=True))
        room = self._console.width - 2 * (len(columns) - 1)
        for index, (column, width) in enumerate(zip(columns, _widths(columns, room), strict=True)):
            justify = "left" if index == 0 else "right"
            gap = int(index < len(columns) - 1)
            shown.add_column(self._gapped(column[0], gap), justify=justify, overflow="fold", width=width + gap)
        for row in rows:
            shown.add_row(*(self._gapped(cell, int(index < len(row) - 1)) for index, cell in enumerate(row)))
        self._console.print(shown)
        if table.note:
            self.line(table.note)

    def _gapped(self, cell: str, gap: int) -> Any:
        # The gap is not the table's own padding, which in rich before 14.3 widens the last column, too.
        return self._padding(self._text(cell), (0, gap, 0, 0))

    def text(self) -> str:
        """Everything so far, without the blanks rich fills its lines with."""
        return "\n".join(line.rstrip() for line in self._out.getvalue().splitlines()) + "\n"

    def _clean(self, content: str, *, style: str = "") -> Any:
        return self._text(one_line(content), style=style)
