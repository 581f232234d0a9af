"""What is known about a training before anything of it is sent, as a list of checks.

In: checks that somebody made. Out: `Preflight`, which renders itself and raises. Knows nothing of how a check is made.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from llama_index_ft_rag.cost_estimate import CostEstimate
from llama_index_ft_rag.errors import PreflightError
from llama_index_ft_rag.validation import FileReport

CheckName = Literal["training file", "validation file", "cost", "model", "service", "key", "organisation", "teacher"]
Level = Literal["ok", "warning", "error"]

_WIDTH, _INDENT = 80, 27
_SIGNS: dict[Level, str] = {"ok": "ok", "warning": "warning", "error": "ERROR"}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: CheckName
    level: Level
    """An `error` forbids the job; a `warning` should be read; the others are fine."""
    message: str
    about_shutdown: bool = False
    """Whether it is about the day on which the model is gone, of which the service knows more than a catalog."""


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """Whether a training may start, as far as can be known without starting it."""

    base_model: str
    endpoint: str
    checks: tuple[Check, ...]
    reports: tuple[FileReport, ...] = ()
    """Of the training file and, where there is one, the validation file."""
    costs: CostEstimate | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing forbids the job."""
        return not self.errors

    @property
    def errors(self) -> tuple[Check, ...]:
        """What forbids the job."""
        return tuple(check for check in self.checks if check.level == "error")

    @property
    def warnings(self) -> tuple[Check, ...]:
        """What should be read."""
        return tuple(check for check in self.checks if check.level == "warning")

    def raise_for_errors(self) -> None:
        """Raise one error with everything that forbids the job; do nothing where nothing does.

        Raises:
            ExamplesError: If a file has errors; it lists them by line.
            PreflightError: If anything else is wrong.
        """
        for report in self.reports[:1]:
            report.raise_for_errors()  # of the validation file too
        reasons = [check.message for check in self.errors]
        if reasons:
            raise PreflightError(
                f"{self.base_model} is not trained at {self.endpoint}, nothing was sent: {'; '.join(reasons)}",
                reasons=reasons,
            )

    def render(self) -> str:
        """Readable text, at most 80 columns wide where words allow it."""
        verdict = "ready to start" if self.ok else "NOT ready"
        text = "\n".join([f"{self.base_model} at {self.endpoint}: {verdict}", *self._lines()]) + "\n"
        return f"{text}\n{self.costs.render()}" if self.costs is not None else text

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        return {
            "base_model": self.base_model,
            "endpoint": self.endpoint,
            "ok": self.ok,
            "checks": [asdict(check) for check in self.checks],
            "file": self.reports[0].to_dict() if self.reports else None,
            "costs": self.costs.to_dict() if self.costs is not None else None,
        }

    def _lines(self) -> Iterator[str]:
        for check in self.checks:
            yield textwrap.fill(
                check.message,
                _WIDTH,
                initial_indent=f"  {check.name:<16} {_SIGNS[check.level]:<7} ",
                subsequent_indent=" " * _INDENT,
                break_long_words=False,
                break_on_hyphens=False,
            )
