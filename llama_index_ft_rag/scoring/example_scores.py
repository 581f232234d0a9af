"""Recorded examples -> a score of each answer against the context it was given, or why there is none.

In: `TrainingExample`s and a judge. Out: `ExampleScores` by content hash, which `curate` and `write_scores` take as they
are. The metrics are those of the evaluation. Knows nothing of thresholds, or of what is done with a score.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM

from llama_index_ft_rag.concurrency import OnProgress, run_sync
from llama_index_ft_rag.curation.arguments import check_names
from llama_index_ft_rag.curation.drafts import Draft, DraftFinder
from llama_index_ft_rag.curation.prompt_parts import PromptParts, read_prompt
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample, Usage
from llama_index_ft_rag.scoring.evaluator import RagasEvaluator
from llama_index_ft_rag.scoring.scores import Score, score_answers

logger = logging.getLogger(__name__)

_NO_ANSWER = "there is no answer to score"
_TOOL_CALL = "the answer is a tool call"
_NO_TEMPLATE = "its context is not known: its prompt was made by no known template; pass your prompts as templates"
_NO_DRAFT = "it refines a draft whose context is not known; score it together with the call that wrote the draft"


@dataclass(frozen=True, kw_only=True, eq=False)
class ExampleScores(Mapping[str, "float | None"]):
    """Scores by the content hash of the example, in the order of the examples; compares as a mapping."""

    scores: Mapping[str, float | None]
    """`None` for an example that could not be scored."""
    reasons: Mapping[str, str]
    """Why an example could not be scored, by content hash."""
    metric: str
    judge: str
    """12 hex digits: only scores with the same ones may be compared."""
    calls: int
    """Requests sent to the judge LLM, failed ones included."""
    usage: Usage

    def __getitem__(self, content_hash: str) -> float | None:
        return self.scores[content_hash]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def reason_counts(self) -> dict[str, int]:
        """Number of examples that could not be scored, by the reason, the most frequent one first."""
        return dict(sorted(Counter(self.reasons.values()).items(), key=lambda item: (-item[1], item[0])))


async def ascore_examples(
    examples: Iterable[TrainingExample],
    *,
    llm: LLM,
    embed_model: BaseEmbedding | None = None,
    metric: str | object = "faithfulness",
    templates: Iterable[str] = (),
    concurrency: int = 8,
    timeout: float = 120.0,
    on_progress: OnProgress | None = None,
) -> ExampleScores:
    """Score each example's answer against its own context, equal examples once: the `scores` of `curate`.

    The answer of a refine step is checked against the contexts that its draft was written from, too: it was given
    what the draft says as well. An answer that declines is scored like any other, as it is in an evaluation.

    Args:
        examples: In the order their calls started, so that a refine step comes behind its draft.
        llm: The judge.
        embed_model: For answer relevancy; `Settings.embed_model` if not given.
        metric: A name or a metric object, as `RagasEvaluator` takes it.
        templates: The caller's own prompts, as `curate` takes them, so that contexts are found in recorded prompts.
        concurrency: How many answers are being judged at once; each has one judge call in flight.
        timeout: Seconds after which one answer is given up.
        on_progress: Called after each answer that was judged.

    Raises:
        MissingExtraError: If ragas is not installed.
        ScoringError: If the metric is not known or the models are not LlamaIndex ones.
        ConfigurationError: If an example or a template is none.
    """
    evaluator = RagasEvaluator(metric, llm, embed_model, timeout=timeout)
    cases = _Cases(templates=check_names("templates", templates), needs_context=evaluator.needs_contexts)
    made: dict[str, _Case | str] = {}
    for example in examples:
        case = cases.make(example)
        # An equal example may be the one whose draft is known.
        if not isinstance(made.get(example.content_hash), _Case):
            made[example.content_hash] = case
    found = await score_answers(
        [case for case in made.values() if isinstance(case, _Case)],
        arm="examples",
        metrics=[metric],
        llm=llm,
        embed_model=embed_model,
        concurrency=concurrency,
        timeout=timeout,
        on_progress=on_progress,
    )
    scores = _gather(made, {score.question_id: score for score in found}, evaluator)
    if scores.reasons:
        told = "; ".join(f"{count} x {reason}" for reason, count in scores.reason_counts().items())
        logger.warning(
            "%s: %s of %s examples could not be scored: %s", scores.metric, len(scores.reasons), len(scores), told
        )
    return scores


def score_examples(
    examples: Iterable[TrainingExample],
    *,
    llm: LLM,
    embed_model: BaseEmbedding | None = None,
    metric: str | object = "faithfulness",
    templates: Iterable[str] = (),
    concurrency: int = 8,
    timeout: float = 120.0,
    on_progress: OnProgress | None = None,
) -> ExampleScores:
    """Do what `ascore_examples` does, from synchronous code."""
    return run_sync(
        ascore_examples(
            examples,
            llm=llm,
            embed_model=embed_model,
            metric=metric,
            templates=templates,
            concurrency=concurrency,
            timeout=timeout,
            on_progress=on_progress,
        )
    )


@dataclass(frozen=True, kw_only=True)
class _Case:
    """An example as what can be scored."""

    question_id: str
    """The example's content hash."""
    question: str
    text: str
    contexts: tuple[str, ...]
    error: None = None


class _Cases:
    """Makes a case of one example after another; each is remembered for the refine steps behind it."""

    def __init__(self, *, templates: tuple[str, ...], needs_context: bool) -> None:
        self._templates = templates
        self._needs_context = needs_context
        self._drafts = DraftFinder()
        self._questions: list[str] = []
        self._contexts: list[tuple[str, ...] | None] = []

    def make(self, example: object) -> _Case | str:
        """The case, or why there is none."""
        if not isinstance(example, TrainingExample):
            raise ConfigurationError(
                f"examples: {type(example).__name__} is no TrainingExample; read a file with read_examples"
            )
        parts = read_prompt(example.messages, templates=self._templates)
        question = example.question or (parts.question if parts is not None else None) or ""
        contexts = self._contexts_behind(question, parts, self._drafts.find(example, parts))
        self._questions.append(question)
        self._contexts.append(contexts)
        if reason := _why_no_answer(example):
            return reason
        if contexts is None and self._needs_context:
            return _NO_TEMPLATE if parts is None else _NO_DRAFT
        return _Case(
            question_id=example.content_hash, question=question, text=_answer_text(example), contexts=contexts or ()
        )

    def _contexts_behind(
        self, question: str, parts: PromptParts | None, drafts: Iterable[Draft]
    ) -> tuple[str, ...] | None:
        """All that an answer may rest on, `None` if that is not known."""
        if parts is None:
            return None
        contexts: list[str] = []
        for draft in drafts:
            # Without query ids, an equal draft may be the answer to something else.
            writers = [place for place in draft.written_by if self._questions[place] == question]
            before = self._contexts[writers[-1]] if writers else None
            if before is None:
                return None
            contexts += before
        return tuple(dict.fromkeys((*contexts, parts.context)))


def _why_no_answer(example: TrainingExample) -> str | None:
    last = example.messages[-1] if example.messages else {}
    if last.get("role") != "assistant":
        return _NO_ANSWER
    return _TOOL_CALL if last.get("tool_calls") or last.get("function_call") else None


def _answer_text(example: TrainingExample) -> str:
    content = example.messages[-1].get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _gather(made: Mapping[str, _Case | str], found: Mapping[str, Score], evaluator: RagasEvaluator) -> ExampleScores:
    reasons = {key: case for key, case in made.items() if isinstance(case, str)}
    for key, score in found.items():
        if score.value is None:
            reasons[key] = score.invalid_reason or _NO_ANSWER
    return ExampleScores(
        scores={key: found[key].value if key in found else None for key in made},
        reasons={key: reasons[key] for key in made if key in reasons},
        metric=evaluator.metric,
        judge=evaluator.judge,
        calls=sum(score.calls for score in found.values()),
        usage=sum((score.usage for score in found.values()), Usage()),
    )
