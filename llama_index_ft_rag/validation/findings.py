"""Problems of any number of lines -> those that are kept, and the number of all.

In: problems, one by one, or the first ones of many. Out: the kept ones in the order of their lines, and counts by
severity and code. Knows no rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from llama_index_ft_rag.training_problems import Problem, Severity

MOST_KEPT = 1_000
"""Problems kept of one code and severity: a file may have millions of wrong lines, and nobody reads them all."""


class FoundProblems:
    """The problems of one file, in bounded memory."""

    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self._counts: dict[Severity, Counter[str]] = {"error": Counter(), "warning": Counter(), "note": Counter()}

    def add(self, line: int | None, code: str, message: str, severity: Severity = "error") -> None:
        """Count a problem, and keep it if not too many of its kind are kept."""
        self.take(Problem(line=line, code=code, message=message, severity=severity))

    def take(self, problem: Problem) -> None:
        """Count a problem, and keep it if not too many of its kind are kept."""
        self._counts[problem.severity][problem.code] += 1
        if self._counts[problem.severity][problem.code] <= MOST_KEPT:
            self._kept.append(problem)

    def count_more(self, code: str, number: int, severity: Severity) -> None:
        """Count problems of which nothing else is known."""
        if number:
            self._counts[severity][code] += number

    def kept(self) -> tuple[Problem, ...]:
        """Return those that are kept, by line; what is wrong with the whole file comes last."""
        return tuple(sorted(self._kept, key=lambda problem: (problem.line is None, problem.line or 0)))

    def counts(self) -> Mapping[Severity, Mapping[str, int]]:
        """Return the numbers of all, by severity and code."""
        return {severity: dict(codes) for severity, codes in self._counts.items() if codes}
