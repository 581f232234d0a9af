"""A ragas metric as a LlamaIndex evaluator.

In: one question, answer and contexts at a time, from `BatchEvalRunner` or anybody. Out: LlamaIndex's result,
valid with a score or invalid with a reason, never an exception. Knows nothing of arms and journals.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.evaluation import BaseEvaluator, EvaluationResult
from llama_index.core.llms import LLM
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from pydantic import Field

from llama_index_ft_rag.endpoints import without_keys
from llama_index_ft_rag.errors import ScoringError
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.scoring.judge import JudgeLog
from llama_index_ft_rag.scoring.ragas_metrics import METRIC_NAMES, Measurement, RagasMetric, Statement

logger = logging.getLogger(__name__)

_MAX_REASON = 300
# Of errors that the same text meets every time. A key or a quota is not among them: the next run may have another.
_HOPELESS = frozenset({"context_length_exceeded", "content_filter"})


class RagasEvaluationResult(EvaluationResult):
    """LlamaIndex's evaluation result with what the judge was asked and said."""

    metric: str
    statements: list[Statement] = Field(default_factory=list)
    """What the answer claims and the verdict on each claim; faithfulness only."""
    calls: int = 0
    """Requests sent to the judge LLM, failed ones included."""
    usage: Usage = Usage()
    judge: str = ""
    """12 hex digits: only scores with the same ones may be compared."""
    retry: bool = False
    """For an invalid result: whether trying again later may help, as after a timeout or when the quota was used up."""


class RagasEvaluator(BaseEvaluator):
    """A ragas metric as a LlamaIndex evaluator: statement-level faithfulness, answer relevancy, or your own.

    It never raises while evaluating: what could not be scored comes back with `invalid_result=True`, the
    reason in `invalid_reason` and no score, so one bad reply does not lose a batch.

    Args:
        metric: `"faithfulness"`, `"answer_relevancy"` or a metric object of `ragas.metrics.collections`.
        llm: The judge; `Settings.llm` if not given.
        embed_model: For the metrics that compare embeddings; `Settings.embed_model` if not given.
        threshold: Score from which a result counts as passing.
        timeout: Seconds after which one evaluation is given up.

    Raises:
        MissingExtraError: If ragas is not installed.
        ScoringError: If the metric is not known or the models are not LlamaIndex ones.
    """

    def __init__(
        self,
        metric: str | object = "faithfulness",
        llm: LLM | None = None,
        embed_model: BaseEmbedding | None = None,
        *,
        threshold: float = 0.5,
        timeout: float = 120.0,
    ) -> None:
        self._metric = RagasMetric(metric, llm=llm, embed_model=embed_model)
        self._threshold = threshold
        self._timeout = timeout

    @classmethod
    def suite(
        cls,
        metrics: Sequence[str | object] = METRIC_NAMES,
        llm: LLM | None = None,
        embed_model: BaseEmbedding | None = None,
        *,
        threshold: float = 0.5,
        timeout: float = 120.0,
    ) -> dict[str, RagasEvaluator]:
        """Make one evaluator per metric, by the metric's name, as `BatchEvalRunner` wants them.

        Raises:
            ScoringError: If no metric is given, or two have the same name.
        """
        evaluators: dict[str, RagasEvaluator] = {}
        for metric in [metrics] if isinstance(metrics, str) else metrics:
            evaluator = cls(metric, llm, embed_model, threshold=threshold, timeout=timeout)
            if evaluator.metric in evaluators:
                raise ScoringError(f"metric {evaluator.metric!r} is given twice; give each name once")
            evaluators[evaluator.metric] = evaluator
        if not evaluators:
            raise ScoringError(f"no metric is given; use one or more of {', '.join(METRIC_NAMES)}")
        return evaluators

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self._metric.name

    @property
    def judge(self) -> str:
        """12 hex digits over models, prompts, settings and ragas' version."""
        return self._metric.judge

    @property
    def needs_contexts(self) -> bool:
        """Whether the metric looks at the retrieved contexts."""
        return self._metric.inputs.get("retrieved_contexts", False)

    async def aevaluate(
        self,
        query: str | None = None,
        response: str | None = None,
        contexts: Sequence[str] | None = None,
        sleep_time_in_seconds: float = 0,
        **kwargs: Any,
    ) -> RagasEvaluationResult:
        """Score one answer; further keywords (`reference`, ...) go to the metrics that look at them."""
        if sleep_time_in_seconds > 0:
            await asyncio.sleep(sleep_time_in_seconds)
        log = JudgeLog()
        texts = [contexts] if isinstance(contexts, str) else list(contexts or [])
        inputs = {**kwargs, "user_input": query, "response": response, "retrieved_contexts": texts}
        outcome = await self._outcome(inputs, log)
        facts: dict[str, Any] = {
            "metric": self.metric,
            "query": query,
            "response": response,
            "contexts": texts,
            "calls": log.calls,
            "usage": log.usage,
            "judge": self.judge,
        }
        if isinstance(outcome, _Failure):
            return RagasEvaluationResult(
                **facts, invalid_result=True, invalid_reason=outcome.reason, retry=outcome.retry
            )
        return RagasEvaluationResult(
            **facts,
            score=outcome.value,
            passing=outcome.value >= self._threshold,
            feedback=_feedback(outcome),
            statements=list(outcome.statements),
        )

    def _get_prompts(self) -> dict[str, BasePromptTemplate]:
        return {name: PromptTemplate(text) for name, text in self._metric.prompts.items()}

    def _update_prompts(self, prompts_dict: Mapping[str, BasePromptTemplate]) -> None:
        for name, prompt in prompts_dict.items():
            self._metric.set_prompt(name, prompt.get_template())

    async def _outcome(self, inputs: Mapping[str, Any], log: JudgeLog) -> Measurement | _Failure:
        missing = self._missing(inputs)
        if missing is not None:
            return _Failure(reason=missing)
        try:
            return await asyncio.wait_for(self._guarded(inputs, log), self._timeout)
        except asyncio.TimeoutError:
            return _Failure(reason=f"the judge was not done within {self._timeout:g} s", retry=True)

    async def _guarded(self, inputs: Mapping[str, Any], log: JudgeLog) -> Measurement | _Failure:
        try:
            return await self._metric.measure(inputs, log)
        except ScoringError as exc:
            return _Failure(reason=str(exc))
        except Exception as exc:  # noqa: BLE001 - one failed evaluation must not lose the batch
            logger.warning("%s could not be scored: %s", self.metric, type(exc).__name__)
            text = without_keys(str(exc))[:_MAX_REASON]
            reason = f"{type(exc).__name__}: {text}" if text else type(exc).__name__
            return _Failure(reason=reason, retry=not _is_hopeless(exc))

    def _missing(self, inputs: Mapping[str, Any]) -> str | None:
        needed = [name for name, required in self._metric.inputs.items() if required]
        if "response" in needed and not (inputs["response"] or "").strip():
            return "there is no answer to score"
        if "user_input" in needed and not (inputs["user_input"] or "").strip():
            return "there is no question to score the answer against"
        if "retrieved_contexts" in needed and not any(text.strip() for text in inputs["retrieved_contexts"]):
            return "no context was retrieved, so there is nothing to check the answer against"
        for name in needed:
            if inputs.get(name) is None:
                return f"{self.metric} needs a {name} for each question; pass it as {name}="
        return None


@dataclass(frozen=True, kw_only=True)
class _Failure:
    reason: str
    retry: bool = False


def _is_hopeless(error: Exception) -> bool:
    return isinstance(error, openai.APIError) and error.code in _HOPELESS


def _feedback(measurement: Measurement) -> str | None:
    if measurement.statements:
        unsupported = [item for item in measurement.statements if not item.supported]
        lines = [f"Not supported by the contexts: {item.text} ({item.reason})" for item in unsupported]
        return "\n".join(lines) or f"All {len(measurement.statements)} statements are supported by the contexts."
    if measurement.questions:
        evasive = f"; called evasive {measurement.noncommittal} of {len(measurement.questions)} times"
        return f"The answer reads like one to: {' / '.join(measurement.questions)}" + (
            evasive if measurement.noncommittal else ""
        )
    return None
