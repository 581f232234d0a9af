"""The tables of a report, as strings under headings.

In: a comparison. Out: `Table`s: arms, paired differences, agreement, what could not be scored, the questions that
lost most. Knows nothing of fonts, escapes or files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llama_index_ft_rag.comparison import Comparison
from llama_index_ft_rag.comparison.money import ArmMoney
from llama_index_ft_rag.comparison.paired import PairedDifference
from llama_index_ft_rag.comparison.side_by_side import AGREEMENT, QuestionRow
from llama_index_ft_rag.comparison.verdict import dollars, interval, metric_words, signed


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One value of a table, and what stands smaller beside it."""

    text: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.detail})" if self.detail else self.text


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of strings under headings; the first column names the row."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class LeadScores:
    """One question in the metric that the verdict names first."""

    base: float
    candidate: float

    @property
    def change(self) -> float:
        """Positive when the candidate did better."""
        return self.candidate - self.base


def arms_table(comparison: Comparison, *, offline: bool) -> Table:
    """One row per arm: mean scores, abstentions, tokens and price."""
    priced = any(row.usd_per_1000_questions is not None for row in comparison.money)
    headings = ["arm", *(heading(metric, offline=offline) for metric in comparison.metrics)]
    headings += ["abstained", "tokens per question", *(["USD per 1,000"] if priced else [])]
    money = {row.arm: row for row in comparison.money}
    abstained = {row.arm: row for row in comparison.arm_answers}
    rows = []
    for arm in comparison.arms:
        cells = [Cell(text=comparison.label(arm)), *_mean_cells(comparison, arm)]
        cells.append(Cell(text=str(abstained[arm].abstained), detail=f"of {abstained[arm].planned}"))
        cells.append(Cell(text=tokens(money[arm]), detail=_token_detail(money[arm])))
        rows.append([*cells, Cell(text=price_words(money[arm]))] if priced else cells)
    return Table(
        title="Arms",
        headings=headings,
        rows=rows,
        note=f"Mean score, and how many of the {comparison.planned} questions it is the mean of."
        " What could not be scored is left out, never counted as 0. A refusal is scored like any other answer,"
        " which mostly means 0; the column says how many there are."
        + (" Prices are for 1,000 questions." if priced else ""),
    )


def _mean_cells(comparison: Comparison, arm: str) -> list[Cell]:
    found = {row.metric: row for row in comparison.arm_metrics if row.arm == arm}
    return [
        Cell(text="–")
        if found[metric].mean is None
        else Cell(text=f"{found[metric].mean:.3f}", detail=f"n = {found[metric].scored}")
        for metric in comparison.metrics
    ]


def difference_tables(comparison: Comparison, *, offline: bool) -> list[Table]:
    """One table per pair of arms, one row per metric."""
    pairs = list(dict.fromkeys((row.base_arm, row.arm) for row in comparison.differences))
    return [
        Table(
            title=f"{comparison.label(arm)} against {comparison.label(base)}",
            headings=["metric", "n", "difference", "95 % interval", "p (Holm)", "better : worse : same", "verdict"],
            rows=[
                _difference_cells(row, offline=offline)
                for row in comparison.differences
                if (row.base_arm, row.arm) == (base, arm)
            ],
            note="A difference counts as shown where the interval leaves out 0 and p is below .05.",
        )
        for base, arm in pairs
    ]


def _difference_cells(row: PairedDifference, *, offline: bool) -> list[Cell]:
    return [
        Cell(text=heading(row.metric, offline=offline)),
        Cell(text=str(row.n)),
        Cell(text="–" if row.difference is None else signed(row.difference)),
        Cell(text=interval(row) or "–"),
        Cell(text="–" if row.p_adjusted is None else _p_words(row.p_adjusted)),
        Cell(text=f"{row.wins} : {row.losses} : {row.ties}"),
        Cell(text=row.verdict),
    ]


def _p_words(p_value: float) -> str:
    return "< .001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")


def agreement_table(comparison: Comparison) -> Table:
    """One row per arm: token F1 with the teacher, split by whether the teacher answered."""

    def mean(value: float | None, n: int) -> Cell:
        return Cell(text="–") if value is None else Cell(text=f"{value:.3f}", detail=f"n = {n}")

    return Table(
        title="Agreement with the teacher",
        headings=["arm", "all questions", "where the teacher answered", "refused where the teacher refused"],
        rows=[
            [
                Cell(text=comparison.label(row.arm)),
                mean(row.mean, row.n),
                mean(row.answerable_mean, row.answerable),
                Cell(text=f"{row.also_abstained} of {row.teacher_abstained}"),
            ]
            for row in comparison.agreement
        ],
        note="Token F1 with the teacher's answer: agreement, not correctness. Refusing what the teacher answered"
        " counts 0, and so does the reverse.",
    )


def unscored_table(comparison: Comparison) -> Table | None:
    """What has no score, and why; `None` if everything has one."""
    rows = [
        [
            Cell(text=comparison.label(row.arm)),
            Cell(text=metric_words(row.metric)),
            Cell(text=reason),
            Cell(text=str(n)),
        ]
        for row in comparison.arm_metrics
        for reason, n in row.invalid_reasons.items()
    ]
    rows += [
        [Cell(text=comparison.label(row.arm)), Cell(text="no answer"), Cell(text=reason), Cell(text=str(n))]
        for row in comparison.arm_answers
        for reason, n in row.failed.items()
    ]
    title = "Could not be scored"
    return Table(title=title, headings=["arm", "metric", "reason", "questions"], rows=rows) if rows else None


def worst_table(comparison: Comparison, *, most: int = 5) -> Table | None:
    """The questions that lost most; `None` if none lost anything."""
    scored = [(row, lead_scores(comparison, row)) for row in worst_first(comparison)]
    rows = [
        [Cell(text=row.question), Cell(text=f"{scores.base:.3f}"), Cell(text=f"{scores.candidate:.3f}")]
        for row, scores in scored
        if scores is not None and scores.change < 0
    ]
    if not rows:
        return None
    return Table(
        title=f"Questions that lost most in {metric_words(lead_metric(comparison) or '')}",
        headings=["question", comparison.base, comparison.candidate],
        rows=rows[:most],
    )


def heading(metric: str, *, offline: bool) -> str:
    """How a metric is called; offline it says whose judgement it is."""
    words = metric_words(metric)
    return f"{words}, rule-based judge" if offline and metric != AGREEMENT else words


def lead_metric(comparison: Comparison) -> str | None:
    """The metric that the verdict names first."""
    return next((row.metric for row in comparison.headline), None)


def lead_scores(comparison: Comparison, row: QuestionRow) -> LeadScores | None:
    """One question in the leading metric; `None` where base or candidate has no score."""
    metric = lead_metric(comparison)
    if metric is None:
        return None
    old = row.scores.get(comparison.base, {}).get(metric)
    new = row.scores.get(comparison.candidate, {}).get(metric)
    if old is None or new is None or old.value is None or new.value is None:
        return None
    return LeadScores(base=old.value, candidate=new.value)


def worst_first(comparison: Comparison) -> list[QuestionRow]:
    """The questions, those that lost most first, those without a difference last."""

    def change(row: QuestionRow) -> float:
        scores = lead_scores(comparison, row)
        return math.inf if scores is None else scores.change

    return sorted(comparison.rows, key=change)


def tokens(money: ArmMoney) -> str:
    """Tokens per question, in and out together."""
    parts = [money.prompt_tokens_per_question, money.completion_tokens_per_question]
    known = [part for part in parts if part is not None]
    return f"{sum(known):,.0f}" if known else "–"


def _token_detail(money: ArmMoney) -> str:
    prompt, completion = money.prompt_tokens_per_question, money.completion_tokens_per_question
    return "" if prompt is None or completion is None else f"{prompt:,.0f} in, {completion:,.0f} out"


def price_words(money: ArmMoney) -> str:
    """USD per 1,000 questions, or why there is no price."""
    usd = money.usd_per_1000_questions
    return money.price if usd is None else dollars(usd)
