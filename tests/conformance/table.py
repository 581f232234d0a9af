"""The conformance table: what each witness says about each operation.

In: one column per witness, as the tests hand them over. Out: the table as text. A column travels as plain data,
because the test that filled it may run in another process than the one that prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

PROPERTY = "conformance"
"""Name under which a test's report carries its column."""

Verdict = Literal["ok", "explained", "skipped", "RED"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one witness says about one operation."""

    verdict: Verdict
    notes: tuple[str, ...] = ()
    """What is explained, why it is skipped, or what is wrong; none where all is well."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one witness says."""

    witness: str
    cells: Mapping[str, Cell] = field(default_factory=dict)
    """By operation, such as `GET /v1/files/*`."""

    def problems(self, operations: Iterable[str]) -> list[str]:
        """Return what is red, and the operations about which nothing is said."""
        silent = [f"{operation}: no cell" for operation in operations if operation not in self.cells]
        red = [
            f"{operation}: {note}"
            for operation, cell in self.cells.items()
            if cell.verdict == "RED"
            for note in cell.notes
        ]
        return red + silent

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        cells = {operation: [cell.verdict, *cell.notes] for operation, cell in self.cells.items()}
        return {"witness": self.witness, "cells": cells}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Column:
        """Make it of what `to_dict` returned."""
        cells = {
            operation: Cell(verdict=verdict, notes=tuple(notes))
            for operation, (verdict, *notes) in value["cells"].items()
        }
        return cls(witness=value["witness"], cells=cells)


def cell_of(*, problems: Sequence[str] = (), explained: Sequence[str] = ()) -> Cell:
    """Make the cell of an operation that was looked at."""
    if problems:
        return Cell(verdict="RED", notes=tuple(problems))
    return Cell(verdict="explained", notes=tuple(explained)) if explained else Cell(verdict="ok")


def skipped_column(witness: str, operations: Iterable[str], *, why: str) -> Column:
    """Make the column of a witness that is not at hand."""
    cell = Cell(verdict="skipped", notes=(why,))
    return Column(witness=witness, cells=dict.fromkeys(operations, cell))


def columns_of(reports: Iterable[Any]) -> list[Column]:
    """Find the columns in the reports of a test run, in the order of their names."""
    found = {
        value["witness"]: Column.from_dict(value)
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY
    }
    return [found[witness] for witness in sorted(found)]


def render(columns: Sequence[Column]) -> list[str]:
    """Return the lines of the table and its notes; the operations are those of any column."""
    notes: dict[str, int] = {}
    operations = sorted({name for column in columns for name in column.cells}, key=lambda name: name.split()[::-1])
    rows = [["operation", *(column.witness for column in columns)]]
    for operation in operations:
        cells = (column.cells.get(operation, Cell(verdict="RED", notes=("no cell",))) for column in columns)
        rows.append([operation, *(_short(cell, notes) for cell in cells)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, "", *(f"{number}  {note}" for note, number in notes.items())]


def _short(cell: Cell, notes: dict[str, int]) -> str:
    numbers = [str(notes.setdefault(note, len(notes) + 1)) for note in cell.notes]
    return f"{cell.verdict} {','.join(numbers)}".rstrip()
