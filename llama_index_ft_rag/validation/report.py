"""What was found in a training file, for a reader and for a program.

In: everything validation counted. Out: `FileReport`, which renders itself and raises its errors as one. Reads nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.prices import Price, dollars
from llama_index_ft_rag.training_format import TrainingFormat
from llama_index_ft_rag.training_problems import Problem, Severity
from llama_index_ft_rag.validation.rendering import plural, render_figure, render_problems

TrainingMethod = Literal["supervised", "dpo"]
Purpose = Literal["training", "validation"]

_METHODS: Mapping[TrainingFormat, tuple[TrainingMethod, ...]] = {"chat": ("supervised",), "preference": ("dpo",)}
_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What is in a training file, what is wrong with it and what training on it would cost."""

    path: Path
    purpose: Purpose = "training"
    model: str | None
    size_bytes: int
    examples: int
    """Lines that are not blank, be they right or wrong."""
    format: TrainingFormat
    images: int = 0
    tokens: int
    """In one pass over the file."""
    tokens_exact: bool
    """False: an estimate. The job's own `trained_tokens` is the truth afterwards."""
    estimate_because: str | None = None
    """Why the counts are no more than estimates."""
    example_tokens: array[int] = field(repr=False)
    """Of the example in each line, from the first line on; 0 where there is none."""
    longest_example_tokens: int
    longest_example_line: int | None
    epochs: int
    """Those asked for, or those a service would probably choose."""
    training_cost_usd: float | None
    """All epochs together; `None` where no price is known."""
    price: Price | None
    problems: tuple[Problem, ...]
    """By line; of each code no more than a thousand."""
    problem_counts: Mapping[Severity, Mapping[str, int]]
    """All of them, by severity and code."""
    validation: FileReport | None = None
    """Of the validation file, where one was named. Lines it shares with this file are errors there."""

    @property
    def ok(self) -> bool:
        """Whether the file, and its validation file, may be uploaded; warnings do not count."""
        return not self.count("error") and (self.validation is None or self.validation.ok)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems for which the file is refused; of each code no more than a thousand."""
        return self._problems("error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems worth reading that do not stop an upload."""
        return self._problems("warning")

    @property
    def notes(self) -> tuple[Problem, ...]:
        """Advice about a file that is right."""
        return self._problems("note")

    @property
    def methods(self) -> tuple[TrainingMethod, ...]:
        """The methods of a job that take this format, once its errors are mended."""
        reinforcement = self.problem_counts.get("error", {}).get("reinforcement_format", 0)
        return () if reinforcement and reinforcement == self.examples else _METHODS.get(self.format, ())

    @property
    def token_percentiles(self) -> Mapping[str, int]:
        """Tokens of the examples at 5, 50 and 95 percent of their number, each that of a real example."""
        counted = np.sort(np.asarray(self.example_tokens, dtype=np.uint32))
        counted = counted[np.searchsorted(counted, 1) :]
        if not counted.size:
            return {}
        return {f"p{share}": int(counted[(share * counted.size + 99) // 100 - 1]) for share in (5, 50, 95)}

    def count(self, severity: Severity) -> int:
        """How many problems of a severity there are, kept or not."""
        return sum(self.problem_counts.get(severity, {}).values())

    def raise_for_errors(self) -> None:
        """Raise one error that lists all errors of the file and its validation file; do nothing if there are none.

        Raises:
            ExamplesError: If the file must not be uploaded.
        """
        reports = [report for report in (self, self.validation) if report is not None and report.count("error")]
        if reports:
            raise ExamplesError("\n".join(map(_refusal, reports)))

    def render(self) -> str:
        """Readable text, at most 80 columns wide where words allow it."""
        verdict = "NOT ready" if self.count("error") else "ready"
        counts = f"{plural(self.count('error'), 'error')}, {plural(self.count('warning'), 'warning')}"
        lines = [f"{self.path}: {verdict} for {self.purpose} ({counts})"]
        lines += [render_figure(name, value) for name, value in self._figures()]
        for severity in _SEVERITIES:
            if self.count(severity):
                counted = self.problem_counts[severity]
                lines += [f"{severity}s", *render_problems(self._problems(severity), counted)]
        text = "\n".join(lines) + "\n"
        return text if self.validation is None else f"{text}\n{self.validation.render()}"

    def to_dict(self) -> dict[str, Any]:
        """Everything in the report as JSON-able values."""
        return {
            **asdict(replace(self, validation=None)),
            "path": str(self.path),
            "ok": self.ok,
            "methods": list(self.methods),
            "example_tokens": list(self.example_tokens),
            "token_percentiles": dict(self.token_percentiles),
            "problems": [asdict(problem) for problem in self.problems],
            "problem_counts": {severity: dict(codes) for severity, codes in self.problem_counts.items()},
            "validation": self.validation.to_dict() if self.validation else None,
        }

    def _problems(self, severity: Severity) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == severity)

    def _figures(self) -> Iterator[tuple[str, str]]:
        method = f", for {self.methods[0]} training" if self.methods else ""
        yield "examples", f"{self.examples:,} ({self.format} format{method})"
        if self.images:
            yield "images", f"{self.images:,}"
        about = "" if self.tokens_exact else "about "
        yield "tokens", f"{about}{self.tokens:,}"
        shares = self.token_percentiles
        if shares:
            spread = ", ".join(f"{number:,} ({share})" for share, number in shares.items())
            yield "per example", f"{about}{spread}; {self.longest_example_tokens:,} (longest, line {self._longest()})"
        if self.estimate_because:
            yield "estimated", self.estimate_because
        if self.purpose == "training":
            yield from self._money(about)
        else:
            yield "cost", "none: tokens of a validation file are not charged"

    def _longest(self) -> str:
        return f"{self.longest_example_line:,}"

    def _money(self, about: str) -> Iterator[tuple[str, str]]:
        if self.tokens:
            yield "epochs", f"{self.epochs}"
        if self.training_cost_usd is None or self.price is None:
            yield "training cost", f"not known: {self._why_no_cost()}"
            return
        yield "training cost", f"{about}{dollars(self.training_cost_usd)} for all epochs"
        yield "price", f"${self.price.training:,.2f} per 1M tokens ({self.price.source}, as of {self.price.as_of})"

    def _why_no_cost(self) -> str:
        if not self.tokens:
            return "no example could be read"
        return f"no price for {self.model}" if self.model else "no model was named"


def _refusal(report: FileReport) -> str:
    listed = "\n".join(render_problems(report.errors, report.problem_counts["error"]))
    return f"{report.path} cannot be used for {report.purpose}, {plural(report.count('error'), 'error')}:\n{listed}"
