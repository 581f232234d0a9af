"""A report as one HTML file that opens anywhere: no network, no script, light and dark.

In: a `ReportView`, the comparison behind it, the facts of the run. Out: one string. Everything is escaped by the
template engine, and text from documents and models stands in an element of its own, so that it cannot reorder
what is around it. Knows nothing of how the numbers came about.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from llama_index_ft_rag.comparison import Comparison
from llama_index_ft_rag.comparison.side_by_side import Flag, QuestionRow
from llama_index_ft_rag.comparison.verdict import signed
from llama_index_ft_rag.errors import MissingExtraError
from llama_index_ft_rag.hostile_text import without_controls
from llama_index_ft_rag.report.plots import interval_plot, loss_plot, question_plot
from llama_index_ft_rag.report.run_facts import RunFacts
from llama_index_ft_rag.report.tables import heading, lead_scores, worst_first
from llama_index_ft_rag.report.view import Fact, ReportView
from llama_index_ft_rag.scoring import Statement

_LONGEST_ANSWER = 20_000
_LONGEST_STATEMENT = 2_000
_LONGEST_CONTEXT = 4_000
_SHORTEST_CONTEXT = 300
_MOST_CONTEXTS = 12
"""Bounds on what one question may add to the file; the JSON report has everything."""
_ALL_CONTEXTS = 5_000_000
"""Characters for the contexts of all questions together; with many questions each is shown shorter."""

_FILTERS: tuple[Flag, ...] = (
    "worse than base",
    "better than base",
    "abstained",
    "invalid",
    "no answer",
    "answers differ",
)


@dataclass(frozen=True, kw_only=True)
class ArmPanel:
    """What one arm said to one question."""

    label: str
    text: str | None
    error: str
    scores: Sequence[Fact]
    """By metric: the score, or why there is none."""
    statements: Sequence[Statement]


@dataclass(frozen=True, kw_only=True)
class QuestionPanel:
    """One question, ready to be drawn."""

    number: int
    question: str
    source: str
    change: str
    flags: Sequence[Fact]
    """Each with its words: the flag and the arms it is about."""
    arms: Sequence[ArmPanel]
    contexts: Sequence[str]
    contexts_left_out: int


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A button above the questions."""

    slug: str
    label: str
    count: int


def render_html(view: ReportView, comparison: Comparison | None, run: RunFacts) -> str:
    """Write a report as one self-contained HTML page.

    Raises:
        MissingExtraError: If jinja2 is not installed.
    """
    offline = view.offline
    text: str = (
        _environment()
        .from_string(_template())
        .render(
            view=view,
            intervals=interval_plot(comparison, offline=offline) if comparison else None,
            dots=question_plot(comparison) if comparison else None,
            loss=loss_plot(run.job.loss) if run.job else None,
            questions=_questions(comparison, offline=offline) if comparison else [],
            filters=_filters(comparison.rows) if comparison else [],
        )
    )
    return without_controls(text)


def notebook_frame(page: str) -> str:
    """The page in a frame of its own, so that its style and the notebook's leave each other alone."""
    return (
        f'<iframe srcdoc="{html.escape(page, quote=True)}" sandbox="" title="Fine-tuning report"'
        ' style="width: 100%; height: 48rem; border: 0"></iframe>'
    )


def _template() -> str:
    return files("llama_index_ft_rag.report").joinpath("templates/report.html.j2").read_text(encoding="utf-8")


def _environment() -> Any:
    try:
        import jinja2
        import markupsafe
    except ImportError as exc:
        raise MissingExtraError("A report as HTML", extra="cli", missing="jinja2") from exc
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def foreign(text: str) -> Any:
        """Text from elsewhere: escaped, and isolated so that its direction marks end with it."""
        return markupsafe.Markup("<bdi>{}</bdi>").format(without_controls(text))

    environment.filters["foreign"] = foreign
    return environment


def _questions(comparison: Comparison, *, offline: bool) -> list[QuestionPanel]:
    numbers = {row.question_id: number for number, row in enumerate(comparison.rows, start=1)}
    contexts = sum(min(len(row.contexts), _MOST_CONTEXTS) for row in comparison.rows)
    limit = max(_SHORTEST_CONTEXT, min(_LONGEST_CONTEXT, _ALL_CONTEXTS // max(contexts, 1)))
    return [
        _panel(comparison, row, numbers[row.question_id], context_limit=limit, offline=offline)
        for row in worst_first(comparison)
    ]


def _panel(
    comparison: Comparison, row: QuestionRow, number: int, *, context_limit: int, offline: bool
) -> QuestionPanel:
    lead = lead_scores(comparison, row)
    return QuestionPanel(
        number=number,
        question=_cut(row.question or row.question_id, _LONGEST_STATEMENT),
        source=row.source or "",
        change="" if lead is None else signed(lead.change),
        flags=[Fact(name=flag, value=f"{flag}: {', '.join(arms)}") for flag, arms in row.flags.items()],
        arms=[_arm_panel(comparison, row, arm, offline=offline) for arm in comparison.arms],
        contexts=[_cut(context, context_limit) for context in row.contexts[:_MOST_CONTEXTS]],
        contexts_left_out=max(len(row.contexts) - _MOST_CONTEXTS, 0),
    )


def _arm_panel(comparison: Comparison, row: QuestionRow, arm: str, *, offline: bool) -> ArmPanel:
    text = row.answers.get(arm)
    scores = row.scores.get(arm, {})
    return ArmPanel(
        label=comparison.label(arm),
        text=None if text is None else _cut(text, _LONGEST_ANSWER),
        error=row.errors.get(arm, ""),
        scores=[
            Fact(
                name=heading(metric, offline=offline),
                value=f"not scored: {score.invalid_reason}" if score.value is None else f"{score.value:.3f}",
            )
            for metric, score in scores.items()
        ],
        statements=[
            Statement(
                text=_cut(statement.text, _LONGEST_STATEMENT),
                supported=statement.supported,
                reason=_cut(statement.reason, _LONGEST_STATEMENT),
            )
            for score in scores.values()
            for statement in score.statements
        ],
    )


def _filters(rows: Sequence[QuestionRow]) -> list[Filter]:
    counts: Mapping[str, int] = {flag: sum(flag in row.flags for row in rows) for flag in _FILTERS}
    return [Filter(slug=flag.replace(" ", "-"), label=flag, count=counts[flag]) for flag in _FILTERS if counts[flag]]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} characters more)"
