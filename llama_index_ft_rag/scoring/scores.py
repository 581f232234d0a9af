"""The answers of one arm through a judge: a score for each, or "could not be scored" and why.

In: answers with their contexts, a judge LLM, an embedding model. Out: `Score`s, kept in a journal as soon as
they are there, so that an interrupted run pays nothing twice. Knows nothing of which arm is meant to win.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llama_index_ft_rag.concurrency import OnProgress, map_bounded
from llama_index_ft_rag.curation import is_abstention
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.scoring.evaluator import RagasEvaluationResult, RagasEvaluator
from llama_index_ft_rag.scoring.ragas_metrics import METRIC_NAMES, Statement
from llama_index_ft_rag.storage import append_row, read_rows

logger = logging.getLogger(__name__)

__all__ = [
    "RagasEvaluationResult",
    "RagasEvaluator",
    "ScorableAnswer",
    "Score",
    "current_scores",
    "read_scores",
    "score_answers",
]


class Score(BaseModel):
    """One answer's score by one metric, or why there is none."""

    model_config = ConfigDict(frozen=True)

    question_id: str
    arm: str
    metric: str
    value: float | None
    invalid_reason: str | None = None
    repeat: int = 0
    """Number of this judgement among the repeated ones of the same answer."""
    judge: str
    """12 hex digits: only scores with the same ones may be compared."""
    answer_hash: str = ""
    """12 hex digits of question, answer and contexts: a changed answer is scored anew."""
    abstained: bool = False
    calls: int = 0
    usage: Usage = Usage()
    statements: list[Statement] = Field(default_factory=list)
    retry: bool = False


class ScorableAnswer(Protocol):
    """What an answer needs to have to be scored; `answering.Answer` has it."""

    @property
    def question_id(self) -> str:
        """Id of the question."""

    @property
    def question(self) -> str:
        """The user's question."""

    @property
    def text(self) -> str | None:
        """The answer; `None` where the engine failed."""

    @property
    def contexts(self) -> Sequence[str]:
        """Texts of the retrieved nodes."""

    @property
    def error(self) -> str | None:
        """Why there is no answer."""


async def score_answers(
    answers: Sequence[ScorableAnswer],
    *,
    arm: str,
    metrics: Sequence[str | object] = METRIC_NAMES,
    llm: LLM | None = None,
    embed_model: BaseEmbedding | None = None,
    journal: Path | None = None,
    repeats: int = 1,
    concurrency: int = 8,
    timeout: float = 120.0,
    on_progress: OnProgress | None = None,
) -> list[Score]:
    """Score all answers of one arm by all metrics; scores come in the order of answers, metrics, repeats.

    Args:
        answers: The answers; one without text is not sent to the judge and counts as not scored.
        arm: Name under which the scores are kept.
        metrics: Names or metric objects, as `RagasEvaluator` takes them.
        llm: The judge; `Settings.llm` if not given.
        embed_model: For answer relevancy; `Settings.embed_model` if not given.
        journal: File of the scores made so far; what the same judge scored in it is not asked again, except
            where it failed for a reason that may have passed.
        repeats: How often each answer is judged.
        concurrency: How many answers are being judged at once; each has one judge call in flight.
        timeout: Seconds after which one judgement is given up.
        on_progress: Called after each judgement.
    """
    evaluators = RagasEvaluator.suite(metrics, llm, embed_model, timeout=timeout)
    known = {_key(score): score for score in read_scores(journal)} if journal is not None else {}
    work = [
        _Judgement(answer=answer, evaluator=evaluator, arm=arm, repeat=repeat)
        for answer in answers
        for evaluator in evaluators.values()
        for repeat in range(repeats)
    ]

    async def one(judgement: _Judgement) -> Score:
        before = known.get(judgement.key)
        if before is not None and not before.retry:
            return before
        score = await judgement.score()
        if journal is not None:
            append_row(journal, score.model_dump(mode="json"))
        return score

    return await map_bounded(one, work, limit=concurrency, on_progress=on_progress)


def read_scores(path: Path) -> list[Score]:
    """Read a journal of scores; of repeated attempts at one judgement the last counts."""
    latest: dict[_Key, Score] = {}
    for row in read_rows(path):
        try:
            score = Score.model_validate(row)
        except ValidationError:
            logger.warning("%s has a row that is no score; it was skipped and its work is done again", path)
            continue
        latest[_key(score)] = score
    return list(latest.values())


def current_scores(scores: Sequence[Score], answers: Sequence[ScorableAnswer]) -> list[Score]:
    """Only the scores of these very answers, by the judge that scored last in each metric.

    A journal keeps what an earlier answer, or a judge of another version, was given; it is not mixed with the rest.
    """
    hashes = {answer.question_id: _answer_hash(answer) for answer in answers}
    fitting = [score for score in scores if score.answer_hash in ("", hashes.get(score.question_id))]
    judges = {score.metric: score.judge for score in fitting}
    return [score for score in fitting if score.question_id in hashes and score.judge == judges[score.metric]]


_Key = tuple[str, str, str, int, str, str]


@dataclass(frozen=True, kw_only=True)
class _Judgement:
    answer: ScorableAnswer
    evaluator: RagasEvaluator
    arm: str
    repeat: int

    @property
    def key(self) -> _Key:
        evaluator = self.evaluator
        question_id = self.answer.question_id
        return (
            question_id,
            self.arm,
            evaluator.metric,
            self.repeat,
            evaluator.judge,
            _answer_hash(self.answer),
        )

    async def score(self) -> Score:
        answer = self.answer
        facts: dict[str, Any] = {
            "question_id": answer.question_id,
            "arm": self.arm,
            "metric": self.evaluator.metric,
            "repeat": self.repeat,
            "judge": self.evaluator.judge,
            "answer_hash": _answer_hash(answer),
        }
        if answer.error is not None or answer.text is None:
            reason = f"there is no answer to score: {answer.error or 'the engine gave no text'}"
            return Score(**facts, value=None, invalid_reason=reason)
        result = await self.evaluator.aevaluate(answer.question, answer.text, answer.contexts)
        return Score(
            **facts,
            value=result.score,
            invalid_reason=result.invalid_reason,
            abstained=is_abstention(answer.text),
            calls=result.calls,
            usage=result.usage,
            statements=result.statements,
            retry=result.retry,
        )


def _key(score: Score) -> _Key:
    return score.question_id, score.arm, score.metric, score.repeat, score.judge, score.answer_hash


def _answer_hash(answer: ScorableAnswer) -> str:
    facts = [answer.question, answer.text, list(answer.contexts), answer.error]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
