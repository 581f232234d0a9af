"""The plots of a report as numbers: where each mark goes, in percent of its frame.

In: a comparison and a loss curve. Out: positions that the HTML template draws as inline SVG, so that a plot
takes the colours of its page and its text keeps its size on a phone. Knows nothing of SVG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llama_index_ft_rag.comparison import Comparison
from llama_index_ft_rag.comparison.paired import PairedDifference, Verdict
from llama_index_ft_rag.comparison.verdict import interval, metric_words, signed
from llama_index_ft_rag.report.run_facts import LossPoint, loss_words
from llama_index_ft_rag.report.tables import heading, lead_metric, lead_scores

_MOST_LOSS_POINTS = 400
"""More points than a small plot has pixels only make the file larger."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A place on an axis and what stands there."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class IntervalMark:
    """One paired difference with its interval."""

    label: str
    arms: str
    value: str
    low: float
    middle: float
    high: float
    words: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class IntervalPlot:
    """All differences on one axis, 0 in the middle."""

    marks: Sequence[IntervalMark]
    ticks: Sequence[Tick]


@dataclass(frozen=True, kw_only=True)
class QuestionMark:
    """One question: from base to candidate, y counted from the top."""

    x: float
    base_y: float
    candidate_y: float
    change: Literal["better", "worse", "same"]


@dataclass(frozen=True, kw_only=True)
class QuestionPlot:
    """Every question scored in both arms, sorted by its difference."""

    metric: str
    marks: Sequence[QuestionMark]
    ticks: Sequence[Tick]
    words: str


@dataclass(frozen=True, kw_only=True)
class LossPlot:
    """The training loss; `points` is what an SVG polyline in a 100 x 100 frame takes."""

    points: str
    ticks: Sequence[Tick]
    first_step: int
    last_step: int
    words: str


def interval_plot(comparison: Comparison, *, offline: bool) -> IntervalPlot | None:
    """Place the paired differences; `None` if there is none with an interval."""
    rows = [row for row in comparison.differences if row.low is not None and row.high is not None]
    if not rows:
        return None
    reach = _nice(max(max(abs(row.low or 0), abs(row.high or 0)) for row in rows))
    ticks = [
        Tick(at=_percent(value, -reach, reach), label=f"{value:+g}".replace("-", "−") if value else "0")
        for value in (-reach, -reach / 2, 0.0, reach / 2, reach)
    ]
    return IntervalPlot(marks=[_interval_mark(row, reach, offline=offline) for row in rows], ticks=ticks)


def question_plot(comparison: Comparison) -> QuestionPlot | None:
    """Place each question in the leading metric; `None` if no question was scored in both arms."""
    found = [lead_scores(comparison, row) for row in comparison.rows]
    scored = sorted((row for row in found if row is not None), key=lambda row: (row.change, row.base))
    if not scored:
        return None
    values = [value for row in scored for value in (row.base, row.candidate)]
    bottom, top = min(0.0, *values), max(1.0, *values)
    marks = [
        QuestionMark(
            x=round(100 * (index + 0.5) / len(scored), 3),
            base_y=100 - _percent(row.base, bottom, top),
            candidate_y=100 - _percent(row.candidate, bottom, top),
            change="better" if row.change > 1e-9 else "worse" if row.change < -1e-9 else "same",
        )
        for index, row in enumerate(scored)
    ]
    return QuestionPlot(
        metric=metric_words(lead_metric(comparison) or ""),
        marks=marks,
        ticks=[
            Tick(at=100 - _percent(value, bottom, top), label=f"{value:.2g}")
            for value in sorted({bottom, 0.0, 0.5, top})
        ],
        words=_question_words(comparison, marks),
    )


def loss_plot(loss: Sequence[LossPoint]) -> LossPlot | None:
    """Place a loss curve; `None` for fewer than two points. A loss that overflowed has no place."""
    loss = [point for point in loss if math.isfinite(point.loss)]
    if len(loss) < 2:
        return None
    stride = -(-len(loss) // _MOST_LOSS_POINTS)
    shown = sorted({point.step: point for point in [*loss[::stride], loss[-1]]}.values(), key=lambda point: point.step)
    first, last = shown[0].step, shown[-1].step
    top = _nice(max(point.loss for point in shown))
    points = " ".join(
        f"{_percent(point.step, first, last):.2f},{100 - _percent(point.loss, 0, top):.2f}" for point in shown
    )
    return LossPlot(
        points=points,
        ticks=[Tick(at=0.0, label=f"{top:g}"), Tick(at=100.0, label="0")],
        first_step=first,
        last_step=last,
        words=f"Training loss per step, {first:,} to {last:,}: {loss_words(loss)}.",
    )


def _interval_mark(row: PairedDifference, reach: float, *, offline: bool) -> IntervalMark:
    low, middle, high = (value or 0.0 for value in (row.low, row.difference, row.high))
    return IntervalMark(
        label=heading(row.metric, offline=offline),
        arms=f"{row.arm} minus {row.base_arm}",
        value=signed(middle),
        low=_percent(low, -reach, reach),
        middle=_percent(middle, -reach, reach),
        high=_percent(high, -reach, reach),
        words=f"{signed(middle)}, 95 % interval {interval(row)}, n = {row.n}: {row.verdict}",
        verdict=row.verdict,
    )


def _question_words(comparison: Comparison, marks: Sequence[QuestionMark]) -> str:
    counts = {change: sum(mark.change == change for mark in marks) for change in ("worse", "same", "better")}
    left_out = comparison.planned - len(marks)
    missing = f" {left_out} could not be compared and are not drawn." if left_out else ""
    return (
        f"Each of {len(marks)} questions, from {comparison.base} (hollow) to {comparison.candidate} (filled):"
        f" {counts['worse']} worse on the left, {counts['same']} the same, {counts['better']} better on the right."
        f"{missing}"
    )


def _percent(value: float, low: float, high: float) -> float:
    return 50.0 if high <= low else round(100 * (value - low) / (high - low), 3)


def _nice(value: float) -> float:
    """The next larger round number: 0.01, 0.015, 0.02, 0.03, ..., 1, 1.5, ..."""
    size = 0.01
    while value > 8 * size:
        size *= 10
    return next(round(size * step, 6) for step in (1, 1.5, 2, 3, 4, 5, 6, 8) if value <= size * step)
