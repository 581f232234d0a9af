"""Base against tuned against teacher, or any other arms, on the same questions.

In: answers and scores per arm. Out: a `Comparison`: paired differences with their verdicts, agreement with
the teacher, abstentions, money, and every question with its flags. A difference is computed only on questions
scored in both arms. Knows nothing of files, judges, or how a comparison is shown.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from llama_index_ft_rag.answering import Answer
from llama_index_ft_rag.comparison.agreement import Agreement, summarize_agreement
from llama_index_ft_rag.comparison.money import ArmMoney, BreakEven, arm_money, break_even
from llama_index_ft_rag.comparison.paired import PairedDifference, adjust, not_comparable, paired_difference
from llama_index_ft_rag.comparison.per_question import invalid_reasons, values_of
from llama_index_ft_rag.comparison.side_by_side import AGREEMENT, QuestionRow, SideBySide
from llama_index_ft_rag.comparison.verdict import Outcome, cost_clause, outcome, verdict_sentence
from llama_index_ft_rag.curation import is_abstention
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.prices import Price
from llama_index_ft_rag.scoring import Score

OFFLINE_BASE_LABEL = "base (BM25 reader, untrained)"
"""The offline student before training is a plain keyword reader, not a crippled one, and is called so."""


@dataclass(frozen=True, kw_only=True)
class ArmMetric:
    """One arm in one metric."""

    arm: str
    metric: str
    planned: int
    """Questions of the evaluation."""
    scored: int
    invalid: int
    """Judged, and could not be scored; the rest of `planned` was never judged."""
    invalid_reasons: Mapping[str, int]
    mean: float | None
    """Over the scored ones alone."""


@dataclass(frozen=True, kw_only=True)
class ArmAnswers:
    """What one arm said to the questions of the evaluation."""

    arm: str
    planned: int
    answered: int
    """Replies with a text, abstentions among them."""
    abstained: int
    failed: Mapping[str, int]
    """Failures of the engine by reason; never scored."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Any number of arms on the same questions."""

    base: str
    candidate: str
    teacher: str
    """The arm others should agree with; it need not be among `arms`."""
    arms: Sequence[str]
    metrics: Sequence[str]
    """In the order in which they are shown; the first one leads."""
    planned: int
    """Questions of the evaluation."""
    offline: bool
    """Whether toy readers answered and rules judged: it shows that the pipeline works, nothing else."""
    arm_answers: Sequence[ArmAnswers]
    arm_metrics: Sequence[ArmMetric]
    agreement: Sequence[Agreement]
    differences: Sequence[PairedDifference]
    money: Sequence[ArmMoney]
    break_even: BreakEven | None
    rows: Sequence[QuestionRow]
    judges: Mapping[str, Sequence[str]]
    """By metric: hashes of judge model, prompts and version behind the scores."""
    notes: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def headline(self) -> list[PairedDifference]:
        """The differences that the verdict is about: `candidate` against `base`.

        Agreement with the teacher counts only where there are no judge scores, and offline, where the judge
        is a set of rules.
        """
        rows = [row for row in self.differences if (row.base_arm, row.arm) == (self.base, self.candidate)]
        agreed = [row for row in rows if row.metric == AGREEMENT]
        judged = [row for row in rows if row.metric != AGREEMENT]
        return (agreed or judged) if self.offline else (judged or agreed)

    @property
    def outcome(self) -> Outcome:
        """The verdict in one word."""
        return outcome(self.headline)

    @property
    def verdict(self) -> str:
        """The verdict in one sentence: n, differences, intervals, and the change in cost if it is known."""
        money = {row.arm: row for row in self.money}
        against = self.teacher if self.teacher in money else self.base
        return verdict_sentence(
            self.headline,
            base=self.base,
            candidate=self.candidate,
            planned=self.planned,
            offline=self.offline,
            cost=cost_clause(money.get(self.candidate), money.get(against)),
        )

    def label(self, arm: str) -> str:
        """How an arm is called in front of people."""
        return self.labels.get(arm, arm)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        plain: dict[str, Any] = _plain(self)
        return {"verdict": self.verdict, "outcome": self.outcome, **plain}


def compare(
    answers: Mapping[str, Sequence[Answer]],
    scores: Mapping[str, Sequence[Score]],
    *,
    base: str = "base",
    candidate: str = "tuned",
    teacher: str = "teacher",
    controls: Collection[str] = ("always-refuse",),
    questions: Mapping[str, str] | None = None,
    sources: Mapping[str, str | None] | None = None,
    clusters: Mapping[str, str | None] | None = None,
    labels: Mapping[str, str] | None = None,
    prices: Mapping[str, Price] | None = None,
    training_usd: float | None = None,
    offline: bool = False,
    free_arms: Collection[str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare arms that answered the same questions.

    Args:
        answers: By arm. Arms may lack questions; those count as planned and not answered.
        scores: By arm; arms without scores are compared by their answers alone.
        base: The arm that others are measured against.
        candidate: The arm that the verdict is about.
        teacher: The arm whose answers the others should agree with; need not be there.
        controls: Arms shown in the tables and not tested against base.
        questions: All questions of the evaluation, texts by id, those among them that nobody was asked yet;
            without it the evaluation is what at least one arm was asked.
        sources: Where a question comes from, by question id; shown beside it.
        clusters: Which passage a question was made from, by question id; questions that share one are not
            independent, and a note says so.
        labels: How arms are called in front of people, by arm.
        prices: By arm, instead of the catalog's.
        training_usd: What the training cost, for the break-even count.
        offline: Whether the offline backend answered or judged; the whole comparison is labelled so.
        free_arms: Arms that nobody is charged for; all of them if `offline`, none if not.
        seed: Of the permutation test.

    Raises:
        ConfigurationError: If base and candidate are the same arm.
        MissingExtraError: If scipy is not installed.
    """
    if base == candidate:
        raise ConfigurationError(f"base and candidate are both {base!r}: name two different arms")
    table = SideBySide(answers, scores, teacher=teacher, offline=offline, questions=questions)
    free = (table.arms if offline else ()) if free_arms is None else free_arms
    pairs = _pairs(table.arms, base, candidate, teacher, controls)
    money = [
        arm_money(arm, answers.get(arm, ()), price=(prices or {}).get(arm), offline=arm in free) for arm in table.arms
    ]
    return Comparison(
        base=base,
        candidate=candidate,
        teacher=teacher,
        arms=table.arms,
        metrics=table.metrics,
        planned=len(table.questions),
        offline=offline,
        arm_answers=[_arm_answers(table, arm) for arm in table.arms],
        arm_metrics=[_arm_metric(table, arm, metric) for arm in table.arms for metric in table.metrics],
        agreement=_agreements(table, teacher),
        differences=[row for pair in pairs for row in _differences(table, *pair, seed=seed)],
        money=money,
        break_even=_break_even(money, base, candidate, teacher, training_usd),
        rows=table.rows(base=base, candidate=candidate, controls=controls, sources=sources),
        judges=_judges(table),
        notes=_notes(table, clusters or {}),
        labels={**({base: OFFLINE_BASE_LABEL} if offline else {}), **(labels or {})},
    )


def _pairs(
    arms: Sequence[str], base: str, candidate: str, teacher: str, controls: Collection[str]
) -> list[tuple[str, str]]:
    """Candidate first, then what it was taught by, then whatever else was run, against base."""
    others = [arm for arm in arms if arm not in (base, candidate, teacher, *controls)]
    wanted = [(base, candidate), (teacher, candidate), (base, teacher), *((base, arm) for arm in others)]
    return [pair for pair in wanted if set(pair) <= set(arms) and pair[0] != pair[1]]


def _differences(table: SideBySide, base: str, arm: str, *, seed: int) -> list[PairedDifference]:
    base_judges, arm_judges = table.judges[base], table.judges[arm]
    found = []
    for metric in table.metrics:
        left, right = table.scores[base].get(metric), table.scores[arm].get(metric)
        if left is None or right is None:
            continue
        if base_judges.get(metric) != arm_judges.get(metric):
            found.append(not_comparable(metric=metric, base_arm=base, arm_name=arm))
            continue
        found.append(
            paired_difference(values_of(left), values_of(right), metric=metric, base_arm=base, arm_name=arm, seed=seed)
        )
    # Agreement with the teacher is a question of its own; the judge's metrics are several looks at one.
    judged = {row.metric: row for row in adjust([row for row in found if row.metric != AGREEMENT])}
    return [judged.get(row.metric, row) for row in found]


def _arm_metric(table: SideBySide, arm: str, metric: str) -> ArmMetric:
    found = table.scores[arm].get(metric, {})
    values = values_of(found)
    return ArmMetric(
        arm=arm,
        metric=metric,
        planned=len(table.questions),
        scored=len(values),
        invalid=len(found) - len(values),
        invalid_reasons=invalid_reasons(found.values()),
        mean=statistics.fmean(values.values()) if values else None,
    )


def _arm_answers(table: SideBySide, arm: str) -> ArmAnswers:
    answers = table.answers[arm].values()
    return ArmAnswers(
        arm=arm,
        planned=len(table.questions),
        answered=len(table.texts[arm]),
        abstained=len(table.abstained[arm]),
        failed=dict(Counter(row.error or "no text" for row in answers if row.text is None).most_common()),
    )


def _agreements(table: SideBySide, teacher: str) -> list[Agreement]:
    reference = table.texts.get(teacher, {})
    return [
        summarize_agreement(arm, values_of(table.scores[arm][AGREEMENT]), reference, is_abstention=is_abstention)
        for arm in table.arms
        if AGREEMENT in table.scores[arm]
    ]


def _break_even(
    money: Sequence[ArmMoney], base: str, candidate: str, teacher: str, training_usd: float | None
) -> BreakEven | None:
    by_arm = {row.arm: row for row in money}
    against = by_arm.get(teacher) or by_arm.get(base)
    tuned = by_arm.get(candidate)
    return break_even(tuned, against, training_usd=training_usd) if tuned and against else None


def _judges(table: SideBySide) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for metric, judges in (
        (metric, judges) for by_metric in table.judges.values() for metric, judges in by_metric.items()
    ):
        found.setdefault(metric, set()).update(judges)
    return {metric: sorted(judges) for metric, judges in found.items()}


def _notes(table: SideBySide, clusters: Mapping[str, str | None]) -> list[str]:
    notes = []
    known = [place for place in map(clusters.get, table.questions) if place is not None]
    places = len(set(known))
    if places < len(known):
        total = len(table.questions)
        which = f"The {total}" if len(known) == total else f"{len(known)} of the {total}"
        from_where = "1 passage" if places == 1 else f"{places} passages"
        notes.append(
            f"{which} questions come from {from_where}; the intervals treat them"
            " as independent and are a little too narrow."
        )
    if any(len(judges) > 1 for judges in _judges(table).values()):
        notes.append(
            "Scores of more than one judge were found; arms are compared only where the same judges scored both."
        )
    return notes


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
