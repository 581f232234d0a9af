"""What a report says, before anybody decides how it looks: notices, verdict, three numbers, tables.

In: a comparison, or none, and the facts of the run. Out: a `ReportView` of plain strings, the same for the
terminal, markdown and HTML. Knows nothing of fonts, escapes or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llama_index_ft_rag.catalog import is_offline_model
from llama_index_ft_rag.comparison import Comparison
from llama_index_ft_rag.comparison.money import ArmMoney
from llama_index_ft_rag.comparison.verdict import dollars, interval, metric_words, signed
from llama_index_ft_rag.report.run_facts import JobFacts, RunFacts, loss_words
from llama_index_ft_rag.report.tables import (
    Cell,
    Table,
    agreement_table,
    arms_table,
    difference_tables,
    price_words,
    tokens,
    unscored_table,
    worst_table,
)

OFFLINE_NOTICE = (
    "Offline backend: the readers are toys and the judge is rule-based. This run shows that the pipeline works,"
    " not that fine-tuning helps."
)
NOT_EVALUATED = "Not evaluated: this run trained a model and compared nothing, so it does not say whether it helped."


@dataclass(frozen=True, kw_only=True)
class KeyNumber:
    """One of the numbers behind the verdict."""

    value: str
    label: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A name and its value."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class ReportView:
    """Everything but the questions, in words."""

    title: str
    notices: Sequence[str]
    offline: bool
    outcome: str
    headline: str
    """The outcome as a headline; offline it says whose it is."""
    verdict: str
    key_numbers: Sequence[KeyNumber]
    arms: Table | None
    differences: Sequence[Table]
    agreement: Table | None
    unscored: Table | None
    worst: Table | None
    money: Sequence[str]
    training: Sequence[Fact]
    curation: Table | None
    notes: Sequence[str]
    provenance: Sequence[Fact]


def build_view(comparison: Comparison | None, run: RunFacts) -> ReportView:
    """Put a comparison and a run into words."""
    offline = run.backend == "offline" or (comparison is not None and comparison.offline)
    outcome = comparison.outcome if comparison else "not evaluated"
    return ReportView(
        title=run.title,
        notices=[OFFLINE_NOTICE] if offline else [],
        offline=offline,
        outcome=outcome,
        headline=f"Toy readers: {outcome}" if offline and comparison else outcome.capitalize(),
        verdict=comparison.verdict if comparison else NOT_EVALUATED,
        key_numbers=_key_numbers(comparison) if comparison else [],
        arms=arms_table(comparison, offline=offline) if comparison else None,
        differences=difference_tables(comparison, offline=offline) if comparison else [],
        agreement=agreement_table(comparison) if comparison and comparison.agreement else None,
        unscored=unscored_table(comparison) if comparison else None,
        worst=worst_table(comparison) if comparison else None,
        money=_money_lines(comparison, run, offline=offline),
        training=_training_facts(run, usd=_training_usd(comparison, run), offline=offline),
        curation=_curation_table(run),
        notes=list(comparison.notes) if comparison else [],
        provenance=_provenance(comparison, run),
    )


def _key_numbers(comparison: Comparison) -> list[KeyNumber]:
    numbers = []
    lead = next(iter(comparison.headline), None)
    if lead is not None and lead.difference is not None:
        name = metric_words(lead.metric)
        sure = f"95 % interval {interval(lead)}, n = {lead.n}" if lead.low is not None else f"n = {lead.n}"
        arms = f"{comparison.candidate} minus {comparison.base}"
        numbers = [
            KeyNumber(value=signed(lead.difference), label=f"{name}, {arms}", detail=sure),
            KeyNumber(
                value=f"{lead.wins} : {lead.losses}",
                label=f"questions better : worse in {name}",
                detail=f"{lead.ties} the same",
            ),
        ]
    money = next((row for row in comparison.money if row.arm == comparison.candidate), None)
    return numbers + ([_cost_number(comparison, money)] if money else [])


def _cost_number(comparison: Comparison, money: ArmMoney) -> KeyNumber:
    by_arm = {row.arm: row for row in comparison.money}
    against = by_arm.get(comparison.teacher) or by_arm.get(comparison.base)
    new = money.usd_per_1000_questions
    old = against.usd_per_1000_questions if against else None
    if against is None or new is None or not old:
        return KeyNumber(value=tokens(money), label=f"tokens per question, {money.arm}", detail=price_words(money))
    change = f"{'−' if new < old else '+'}{abs(new - old) / old:.0%}"
    return KeyNumber(
        value=change,
        label=f"cost, {money.arm} against {against.arm}",
        detail=f"{dollars(new)} instead of {dollars(old)} per 1,000 questions",
    )


def _money_lines(comparison: Comparison | None, run: RunFacts, *, offline: bool) -> list[str]:
    charged = [row for row in comparison.money if row.price != "offline: nothing is charged"] if comparison else []
    if offline and not charged:
        return ["Offline: nothing is charged. Tokens are counted all the same.", *run.money_notes]
    training = _training_usd(comparison, run)
    lines = [] if training is None else [f"Training cost {dollars(training)}."]
    even = comparison.break_even if comparison else None
    if even is not None and even.questions is not None:
        lines.append(f"Against {even.against} it has paid for itself after {even.questions:,} questions.")
    elif even is not None:
        lines.append(f"Against {even.against} it never pays for itself: a question costs no less.")
    unpriced = sorted(
        {row.model or row.arm for row in comparison.money if row.price == "no price known"} if comparison else []
    )
    if unpriced:
        lines.append(f"No price known for {', '.join(unpriced)}.")
    sources = sorted({row.price_source for row in comparison.money if row.price_source} if comparison else [])
    return [*lines, *run.money_notes, *(f"Price source: {source}." for source in sources)]


def _training_usd(comparison: Comparison | None, run: RunFacts) -> float | None:
    if run.job is not None and run.job.training_usd is not None:
        return run.job.training_usd
    return comparison.break_even.training_usd if comparison and comparison.break_even else None


def _training_facts(run: RunFacts, *, usd: float | None, offline: bool) -> list[Fact]:
    job = run.job or JobFacts()
    counts = [("recorded examples", run.recorded), ("examples trained on", run.kept)]
    tokens = [("trained tokens", job.trained_tokens), ("estimated before upload", job.estimated_tokens)]
    loss = loss_words(job.loss) if job.loss else None
    free = offline and is_offline_model(job.base_model or "")
    cost = "offline: nothing is charged" if free else "no price known"
    values = [
        ("job", job.id),
        ("status", job.status),
        ("base model", job.base_model),
        ("tuned model", job.tuned_model),
        *((name, None if count is None else f"{count:,}") for name, count in counts),
        ("epochs", None if job.epochs is None else str(job.epochs)),
        *((name, None if count is None else f"{count:,}") for name, count in tokens),
        ("training cost", None if run.job is None else cost if usd is None else dollars(usd)),
        ("loss", loss),
    ]
    return [Fact(name=name, value=value) for name, value in values if value is not None]


def _curation_table(run: RunFacts) -> Table | None:
    if run.recorded is None and run.kept is None and not run.dropped:
        return None
    counts = {"recorded": run.recorded, "kept": run.kept}
    rows = [(name, count) for name, count in counts.items() if count is not None]
    rows += [(f"dropped: {reason.replace('_', ' ')}", count) for reason, count in run.dropped.items()]
    return Table(
        title="Training examples",
        headings=["", "examples"],
        rows=[[Cell(text=name), Cell(text=f"{count:,}")] for name, count in rows],
    )


def _provenance(comparison: Comparison | None, run: RunFacts) -> list[Fact]:
    judges = sorted({judge for found in comparison.judges.values() for judge in found}) if comparison else []
    questions = [
        f"{count:,} {name}"
        for name, count in (("to train on", run.train_questions), ("to evaluate on", run.eval_questions))
        if count is not None
    ]
    values = [
        ("created", run.created),
        ("command", run.command),
        ("backend", run.backend),
        ("documents", ", ".join(run.documents)),
        ("questions", ", ".join(questions)),
        *((f"model: {role}", model) for role, model in run.models.items()),
        ("judge settings (hash)", ", ".join(judges)),
        ("seed", None if run.seed is None else str(run.seed)),
        ("versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())),
        ("duration", ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in run.seconds.items())),
        (
            "statistics",
            "paired t interval, 95 %; sign-flip permutation p, Holm-adjusted over the metrics; only questions"
            " scored in both arms",
        ),
    ]
    return [Fact(name=name, value=value) for name, value in values if value]
