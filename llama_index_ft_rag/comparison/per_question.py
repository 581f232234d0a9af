"""From the scores of an arm to one value per question and metric.

In: `Score`s, several repeats of a question among them. Out: a `QuestionScore` per metric and question;
repeats are averaged before questions are compared, so that asking the judge three times does not look like
three questions. What could not be scored stays that, never 0. Knows nothing of other arms.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llama_index_ft_rag.scoring import Score, Statement


@dataclass(frozen=True, kw_only=True)
class QuestionScore:
    """What the judge said of one answer in one metric, its repeats averaged."""

    value: float | None
    """`None`: no repeat could be scored."""
    invalid_reason: str | None = None
    """Why not, as the first repeat said."""
    repeats: int = 1
    """How many repeats the value is the mean of."""
    statements: tuple[Statement, ...] = ()
    """The claims of the answer and whether the contexts support them, from the first repeat that has any."""


def per_question(scores: Iterable[Score]) -> dict[str, dict[str, QuestionScore]]:
    """Merge repeats: metric -> question id -> score."""
    grouped: dict[str, dict[str, list[Score]]] = {}
    for score in scores:
        grouped.setdefault(score.metric, {}).setdefault(score.question_id, []).append(score)
    return {
        metric: {question: _merge(repeats) for question, repeats in questions.items()}
        for metric, questions in grouped.items()
    }


def values_of(scores: Mapping[str, QuestionScore]) -> dict[str, float]:
    """Only the questions that could be scored."""
    return {question: score.value for question, score in scores.items() if score.value is not None}


def invalid_reasons(scores: Iterable[QuestionScore]) -> dict[str, int]:
    """How often each reason kept a question from being scored, the most frequent first."""
    counts = Counter(score.invalid_reason or "no reason given" for score in scores if score.value is None)
    return dict(counts.most_common())


def _merge(repeats: Sequence[Score]) -> QuestionScore:
    # A question scored again after a failure is in the journal twice; its last score of a repeat counts.
    latest = list({(score.judge, score.repeat): score for score in repeats}.values())
    valid = [score.value for score in latest if score.value is not None and math.isfinite(score.value)]
    statements = next((tuple(score.statements) for score in latest if score.statements), ())
    if valid:
        return QuestionScore(value=statistics.fmean(valid), repeats=len(valid), statements=statements)
    reason = next((score.invalid_reason for score in latest if score.invalid_reason), "the score is not a number")
    return QuestionScore(value=None, invalid_reason=reason, repeats=0, statements=statements)
