"""The metrics of ragas, asked through a LlamaIndex judge.

In: the name of a metric or a metric object of `ragas.metrics.collections`, an LLM, an embedding model. Out: a
`RagasMetric` that measures one answer at a time and tells which statements were judged how. Knows nothing of
arms, journals and means.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM
from llama_index.core.settings import Settings
from pydantic import BaseModel, ConfigDict

from llama_index_ft_rag.errors import ScoringError
from llama_index_ft_rag.scoring.judge import JudgeEmbedding, JudgeLLM, JudgeLog, WatchedLLM
from llama_index_ft_rag.scoring.ragas_library import load_ragas

MetricName = Literal["faithfulness", "answer_relevancy"]
METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)

_INPUT_VARIABLE = "{input_json}"
_ROUNDING = 1e-6


class Statement(BaseModel):
    """One claim of an answer and the judge's verdict on it."""

    model_config = ConfigDict(frozen=True)

    text: str
    supported: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a metric found out about one answer."""

    value: float
    statements: tuple[Statement, ...] = ()
    """Faithfulness only: what the answer claims."""
    questions: tuple[str, ...] = ()
    """Answer relevancy only: the questions that the judge thinks the answer answers."""
    noncommittal: int = 0
    """Answer relevancy only: how many of those times the judge called the answer evasive."""


class RagasMetric:
    """One ragas metric with its judge.

    Args:
        metric: A `MetricName`, an old ragas metric object with such a name, or a metric object of
            `ragas.metrics.collections` (it is copied, never changed).
        llm: The judge; `Settings.llm`, or the one a metric object came with, if not given.
        embed_model: As `llm`, for the metrics that compare embeddings.

    Raises:
        MissingExtraError: If ragas is not installed.
        ScoringError: If the metric is not known or the models are not LlamaIndex ones.
    """

    def __init__(
        self, metric: str | object, *, llm: LLM | None = None, embed_model: BaseEmbedding | None = None
    ) -> None:
        self._ragas = load_ragas()
        _require(llm, LLM, "llm")
        _require(embed_model, BaseEmbedding, "embed_model")
        if isinstance(metric, self._ragas.metric_class):
            self._metric: Any = copy.copy(metric)
            self._llm = llm
            self._embed_model = embed_model
        else:
            self._llm = llm if llm is not None else Settings.llm
            self._embed_model = embed_model
            self._metric = self._build(_known_name(metric))
        if self._embed_model is not None and hasattr(self._metric, "embeddings"):
            self._metric.embeddings = JudgeEmbedding(self._embed_model)
        for name, text in self.prompts.items():
            self.set_prompt(name, text)

    @property
    def name(self) -> str:
        """The metric's name, such as `faithfulness`."""
        return str(self._metric.name)

    @property
    def inputs(self) -> dict[str, bool]:
        """What the metric looks at (`response`, `retrieved_contexts`, ...) and whether it must have it."""
        parameters = inspect.signature(self._metric.ascore).parameters.values()
        return {
            parameter.name: parameter.default is parameter.empty
            for parameter in parameters
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }

    @property
    def prompts(self) -> dict[str, str]:
        """The texts that go to the judge, with `{input_json}` where the case at hand stands."""
        return {
            name: prompt.to_string(_Placeholder())
            for name, prompt in vars(self._metric).items()
            if isinstance(prompt, _FixedPrompt) or self._ragas.renders_plainly(prompt)
        }

    def set_prompt(self, name: str, text: str) -> None:
        """Replace one of `prompts`.

        Raises:
            ScoringError: If there is no such prompt, or the text has no place for the case at hand.
        """
        if name not in self.prompts:
            raise ScoringError(f"{self.name} has no prompt {name!r}; it has {sorted(self.prompts)}")
        if _INPUT_VARIABLE not in text:
            raise ScoringError(f"the new text of prompt {name!r} has no {_INPUT_VARIABLE}; put it where the case goes")
        setattr(self._metric, name, _FixedPrompt(text))

    @property
    def judge(self) -> str:
        """12 hex digits over all that makes scores comparable: models, prompts, settings, ragas' version."""
        settings = {
            name: value for name, value in vars(self._metric).items() if isinstance(value, (str, int, float, bool))
        }
        llm = self._llm if self._llm is not None else getattr(self._metric, "llm", None)
        embedding = self._embed_model or getattr(self._metric, "embeddings", None)
        facts = [
            _model_name(llm),
            _model_name(embedding) if hasattr(self._metric, "embeddings") else None,
            self.prompts,
            settings,
            self._ragas.version,
        ]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    async def measure(self, inputs: Mapping[str, Any], log: JudgeLog) -> Measurement:
        """Ask the judge about one answer; what it was asked is in `log`, also when this raises.

        Raises:
            UnusableReplyError: If a reply of the judge cannot be used.
            ScoringError: If the metric came to no number, or to one out of its range.
        """
        metric = copy.copy(self._metric)
        if self._llm is not None and hasattr(metric, "llm"):
            metric.llm = JudgeLLM(self._llm, log, check=self._check)
        elif hasattr(metric, "llm"):
            metric.llm = WatchedLLM(metric.llm, log, check=self._check)
        wanted = {name: value for name, value in inputs.items() if name in self.inputs and value is not None}
        result = await metric.ascore(**wanted)
        value = self._number(result.value, log)
        return Measurement(
            value=value,
            statements=tuple(self._statements(log)),
            questions=tuple(reply.question for reply in self._question_replies(log)),
            noncommittal=sum(reply.noncommittal for reply in self._question_replies(log)),
        )

    def _build(self, name: MetricName) -> Any:
        assert self._llm is not None
        judge = JudgeLLM(self._llm, JudgeLog(), check=self._check)
        if name == "faithfulness":
            return self._ragas.faithfulness(llm=judge)
        if self._embed_model is None:
            self._embed_model = Settings.embed_model
        return self._ragas.answer_relevancy(llm=judge, embeddings=JudgeEmbedding(self._embed_model))

    def _check(self, reply: BaseModel, earlier: Sequence[BaseModel]) -> str | None:
        # Typed Any because ragas' reply models are known at run time only.
        answer: Any = reply
        if isinstance(reply, self._ragas.verdicts_reply):
            asked: list[Any] = [item for item in earlier if isinstance(item, self._ragas.statements_reply)]
            expected = len(asked[-1].statements) if asked else len(answer.statements)
            if len(answer.statements) != expected:
                return f"the judge gave {len(answer.statements)} verdicts for {expected} statements"
            odd = [item.verdict for item in answer.statements if item.verdict not in (0, 1)]
            return f"the judge gave the verdict {odd[0]}, which is neither 0 nor 1" if odd else None
        if isinstance(reply, self._ragas.question_reply):
            if not answer.question.strip():
                return "the judge generated an empty question"
            if answer.noncommittal not in (0, 1):
                return f"the judge gave {answer.noncommittal} for noncommittal, which is neither 0 nor 1"
        return None

    def _number(self, value: Any, log: JudgeLog) -> float:
        if not isinstance(value, (int, float)):
            raise ScoringError(f"{self.name} returned {value!r}, which is not a number; use a numeric metric")
        number = float(value)
        if math.isnan(number):
            nothing = any(isinstance(reply, self._ragas.statements_reply) for reply in log.replies)
            raise ScoringError(
                "the judge found no statements in the answer" if nothing else f"{self.name} came to no number"
            )
        low, high = self._bounds()
        if not low - _ROUNDING <= number <= high + _ROUNDING:
            raise ScoringError(f"{self.name} came to {number:g}, which is out of its range {low:g} to {high:g}")
        return min(max(number, low), high)

    def _bounds(self) -> tuple[float, float]:
        if hasattr(self._metric, "embeddings"):
            return -1.0, 1.0  # a mean of cosines, whatever range ragas states for it
        allowed = getattr(self._metric, "allowed_values", None)
        if isinstance(allowed, tuple) and len(allowed) == 2:
            return float(allowed[0]), float(allowed[1])
        return -math.inf, math.inf

    def _statements(self, log: JudgeLog) -> Iterator[Statement]:
        for reply in log.replies:
            if isinstance(reply, self._ragas.verdicts_reply):
                verdicts: Any = reply
                for item in verdicts.statements:
                    yield Statement(text=item.statement, supported=bool(item.verdict), reason=item.reason)

    def _question_replies(self, log: JudgeLog) -> list[Any]:
        return [reply for reply in log.replies if isinstance(reply, self._ragas.question_reply)]


class _Placeholder:
    """Stands for a prompt's input where its text is wanted without one."""

    def model_dump_json(self, **_: Any) -> str:
        return _INPUT_VARIABLE


class _FixedPrompt:
    """A ragas prompt rendered once: schema and examples are the same for every case."""

    def __init__(self, text: str) -> None:
        self._text = text

    def to_string(self, data: Any) -> str:
        return self._text.replace(_INPUT_VARIABLE, data.model_dump_json(indent=4, exclude_none=True))


def _require(value: object, kind: type, name: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise ScoringError(
            f"{name} is a {type(value).__name__}, not a LlamaIndex {kind.__name__}; pass a LlamaIndex model"
        )


def _known_name(metric: object) -> MetricName:
    name = metric if isinstance(metric, str) else getattr(metric, "name", metric)
    for known in METRIC_NAMES:
        if name == known:
            return known
    raise ScoringError(
        f"metric {name!r} is not known; use one of {', '.join(METRIC_NAMES)} or a metric object of "
        "ragas.metrics.collections"
    )


def _model_name(model: Any) -> str | None:
    if model is None:
        return None
    for name in ("model", "model_name"):
        value = getattr(model, name, None)
        if isinstance(value, str) and value:
            return value
    if isinstance(model, LLM):
        return model.metadata.model_name
    return type(model).__name__
