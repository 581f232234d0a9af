"""What is wrong with a training file, and how values of it are named in a sentence.

In: codes, sentences and values from a file. Out: `Problem`s, and words that are short and harmless on a terminal.
Knows no rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
"""An error makes a service refuse the file, or train on the wrong thing; a warning should be read; a note is advice."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with a training file."""

    line: int | None
    """Counted from 1; `None` for the file as a whole."""
    code: str
    message: str
    severity: Severity = "error"


@dataclass
class Findings:
    """Collects the problems of one line."""

    line: int | None
    problems: list[Problem] = field(default_factory=list)
    images: int = 0

    def error(self, code: str, message: str) -> None:
        """Add what a service refuses."""
        self.problems.append(Problem(line=self.line, code=code, message=message))

    def warn(self, code: str, message: str) -> None:
        """Add what should be read."""
        self.problems.append(Problem(line=self.line, code=code, message=message, severity="warning"))

    def warn_of_keys(self, row: Mapping[str, Any], known: set[str], where: str) -> None:
        """Warn of keys the format does not know; those without a value do no harm."""
        if row.keys() <= known:
            return
        unknown = {key: row[key] for key in row if key not in known and row[key] is not None}
        if unknown:
            self.warn("unknown_key", f"{where} has {listed(unknown)}, which the format does not know")


def listed(row: Mapping[str, Any]) -> str:
    """Name the first keys of an object."""
    names = [f"`{str(key)[:40]!r}`".replace("'", "") for key in list(row)[:5]]
    more = f" and {len(row) - 5} more" if len(row) > 5 else ""
    return ", ".join(names) + more


def kind(value: Any) -> str:
    """Say what sort of JSON value this is."""
    if value is None:
        return "null"
    names = {bool: "a truth value", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def show(value: Any) -> str:
    """Quote a value, shortened; of a list or an object, which may be nested without end, its sort alone."""
    if isinstance(value, list | dict):
        return kind(value)
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 40 else f"{text[:37]}..."
