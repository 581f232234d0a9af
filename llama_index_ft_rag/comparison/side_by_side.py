"""Answers and scores of all arms, lined up by question.

In: answers and scores per arm. Out: `SideBySide`, from which any arm's values can be read by question, and
one `QuestionRow` per question with its flags. Agreement with the teacher joins the judge's metrics here.
Knows nothing of statistics.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llama_index_ft_rag.answering import Answer
from llama_index_ft_rag.comparison.agreement import agreement_values, token_f1
from llama_index_ft_rag.comparison.per_question import QuestionScore, per_question
from llama_index_ft_rag.curation import is_abstention
from llama_index_ft_rag.scoring import Score

AGREEMENT = "agreement_with_teacher"
"""The one metric that needs no judge: token F1 with the teacher's answer."""

Flag = Literal["worse than base", "better than base", "abstained", "invalid", "no answer", "answers differ"]

WORSE_BY = 0.05
"""A score lower than base's by more than this flags a question; less is what a judge says on another day."""
_SAME_WORDS = 0.5
"""Two answers that share fewer words than this differ."""


@dataclass(frozen=True, kw_only=True)
class QuestionRow:
    """One question with everything the arms said and the judge found."""

    question_id: str
    question: str
    source: str | None
    answers: Mapping[str, str | None]
    """By arm; `None`: no answer."""
    errors: Mapping[str, str]
    """By arm, where the engine failed."""
    scores: Mapping[str, Mapping[str, QuestionScore]]
    """By arm, then by metric; agreement with the teacher is among them."""
    contexts: Sequence[str]
    """What was retrieved, for the candidate's answer if it has any."""
    flags: Mapping[Flag, Sequence[str]]
    """Each with the arms it is about."""


class SideBySide:
    """All arms on the same questions; what is missing in an arm is missing here."""

    def __init__(
        self,
        answers: Mapping[str, Sequence[Answer]],
        scores: Mapping[str, Sequence[Score]],
        *,
        teacher: str = "teacher",
        offline: bool = False,
        questions: Mapping[str, str] | None = None,
    ) -> None:
        self.teacher = teacher
        self.offline = offline
        self.arms = list(dict.fromkeys([*answers, *scores]))
        self.answers = {arm: {row.question_id: row for row in answers.get(arm, ())} for arm in self.arms}
        self.scores = {arm: per_question(scores.get(arm, ())) for arm in self.arms}
        asked = {row.question_id: row.question for rows in answers.values() for row in rows}
        self.questions = {**(questions or {}), **asked}
        """Texts by id: those of the evaluation, and what any arm was asked."""
        for found in (found for arm in self.arms for found in self.scores[arm].values()):
            self.questions.update({question: "" for question in found if question not in self.questions})
        self.texts = {
            arm: {question: row.text for question, row in rows.items() if row.text is not None}
            for arm, rows in self.answers.items()
        }
        self.abstained = {arm: self._abstained(arm, scores.get(arm, ())) for arm in self.arms}
        self.judges = {arm: _judges(scores.get(arm, ())) for arm in self.arms}
        """Hashes of the judges, by arm and metric."""
        self.judged = list(dict.fromkeys(metric for arm in self.arms for metric in self.scores[arm]))
        self._add_agreement()

    @property
    def metrics(self) -> list[str]:
        """The judge's metrics and agreement; offline agreement leads, since the judge is a set of rules."""
        agreed = [AGREEMENT] if any(AGREEMENT in self.scores[arm] for arm in self.arms) else []
        return [*agreed, *self.judged] if self.offline else [*self.judged, *agreed]

    @property
    def telling(self) -> list[str]:
        """The metrics that decide: the judge's, or agreement where the judge is a set of rules or missing."""
        return [m for m in self.metrics if (m == AGREEMENT) == (self.metrics[0] == AGREEMENT)]

    def rows(
        self,
        *,
        base: str,
        candidate: str,
        controls: Collection[str] = (),
        sources: Mapping[str, str | None] | None = None,
    ) -> list[QuestionRow]:
        """One row per question, in the order of the answers; what `controls` do is no reason for a flag."""
        watched = [arm for arm in self.arms if arm not in controls]
        return [
            QuestionRow(
                question_id=question,
                question=text,
                source=(sources or {}).get(question),
                answers={arm: self.texts[arm].get(question) for arm in self.arms},
                errors=self._errors(question),
                scores={
                    arm: {metric: found[question] for metric, found in metrics.items() if question in found}
                    for arm, metrics in self.scores.items()
                },
                contexts=self._contexts(question, candidate),
                flags=self._flags(question, base, candidate, watched),
            )
            for question, text in self.questions.items()
        ]

    def _abstained(self, arm: str, scores: Sequence[Score]) -> set[str]:
        judged = {row.question_id for row in scores if row.abstained}
        return judged | {question for question, text in self.texts[arm].items() if is_abstention(text)}

    def _add_agreement(self) -> None:
        reference = self.texts.get(self.teacher)
        for arm in self.arms if reference else ():
            values = agreement_values(self.texts[arm], reference or {}, is_abstention=is_abstention)
            if arm != self.teacher and values:
                self.scores[arm][AGREEMENT] = {
                    question: QuestionScore(value=value) for question, value in values.items()
                }

    def _errors(self, question: str) -> dict[str, str]:
        found = {arm: rows.get(question) for arm, rows in self.answers.items()}
        return {arm: row.error for arm, row in found.items() if row is not None and row.error}

    def _contexts(self, question: str, candidate: str) -> list[str]:
        first = [candidate] if candidate in self.arms else []
        rows = [self.answers[arm].get(question) for arm in [*first, *self.arms]]
        return next((row.contexts for row in rows if row is not None and row.contexts), [])

    def _flags(self, question: str, base: str, candidate: str, watched: Sequence[str]) -> dict[Flag, list[str]]:
        changes = self._changes(question, base, candidate)
        flags: dict[Flag, list[str]] = {
            "worse than base": [candidate] if any(change < -WORSE_BY for change in changes) else [],
            "better than base": [candidate] if any(change > WORSE_BY for change in changes) else [],
            "abstained": [arm for arm in watched if question in self.abstained[arm]],
            "invalid": [arm for arm in watched if self._is_invalid(arm, question)],
            "no answer": [arm for arm in watched if self.answers[arm] and question not in self.texts[arm]],
            "answers differ": [base, candidate] if self._differ(question, base, candidate) else [],
        }
        return {flag: arms for flag, arms in flags.items() if arms}

    def _is_invalid(self, arm: str, question: str) -> bool:
        found = (scores.get(question) for scores in self.scores[arm].values())
        return any(score is not None and score.value is None for score in found)

    def _differ(self, question: str, base: str, candidate: str) -> bool:
        left = self.texts.get(base, {}).get(question)
        right = self.texts.get(candidate, {}).get(question)
        return left is not None and right is not None and token_f1(left, right) < _SAME_WORDS

    def _changes(self, question: str, base: str, candidate: str) -> list[float]:
        """Candidate minus base in the metrics that decide, where both have a value."""
        left, right = self.scores.get(base, {}), self.scores.get(candidate, {})
        pairs = [
            (left.get(metric, {}).get(question), right.get(metric, {}).get(question))
            for metric in (self.telling if self.metrics else ())
        ]
        return [
            new.value - old.value
            for old, new in pairs
            if old is not None and new is not None and old.value is not None and new.value is not None
        ]


def _judges(scores: Sequence[Score]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for score in scores:
        found.setdefault(score.metric, set()).add(score.judge)
    return found
