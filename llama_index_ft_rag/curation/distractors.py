"""Recorded examples -> the same examples with passages in their contexts that do not answer the question.

In: `TrainingExample`s. Out: as many, in the same order; one of which no row can be made is passed on as it was, and the
reason is told. A student trained on them learns to use the passage that helps, and to decline where none does. After
Zhang et al., "RAFT: Adapting Language Model to Domain Specific RAG", 2024, arXiv:2403.10131. Theirs keeps the answer as
the target where its passage is taken away, so that the model learns it by heart; ours declines. Knows nothing of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llama_index.core.schema import BaseNode, NodeWithScore

from llama_index_ft_rag.curation.arguments import check_examples, check_names, check_number
from llama_index_ft_rag.curation.passage_pool import OwnPassages, Passage, PassagePool, draw, given_passages
from llama_index_ft_rag.curation.prompt_parts import PromptParts, with_context
from llama_index_ft_rag.curation.raft_candidates import Candidate, Candidates, LeftOutReason
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample, Usage
from llama_index_ft_rag.questions.wording import is_chinese

__all__ = ["LeftOut", "LeftOutReason", "RaftRows", "add_distractors"]

_REFUSAL = "I don't have enough information to answer this question."
_REFUSAL_CHINESE = "我没有足够的信息来回答这个问题。"
_BETWEEN = "\n\n"
"""What stands between the texts of nodes, everywhere in LlamaIndex."""
_OF_THE_SPEAKER = ("role", "name", "weight")
"""Keys of an answer that stay with other words; its reasoning, for one, does not."""
_MADE_UP = 0.8
"""Share of the length of its own passages that others make up for."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An example that is passed on as it was, although a row was to be made of it."""

    example: TrainingExample
    reason: LeftOutReason


@dataclass(frozen=True, kw_only=True)
class RaftRows:
    """The examples, changed or not: as many as came in, and in their order."""

    examples: list[TrainingExample]
    left_out: list[LeftOut]
    distractors: int
    """How many were given passages besides their own."""
    no_answer: int
    """How many were left with none of their own."""

    def counts(self) -> dict[str, int]:
        """Number of rows of either kind, of examples as they were, and of those left out by reason."""
        made = {"distractors": self.distractors, "no_answer": self.no_answer}
        reasons = Counter(one.reason for one in self.left_out)
        return {**made, "unchanged": len(self.examples) - sum(made.values()), **dict(sorted(reasons.items()))}


def add_distractors(
    examples: Iterable[TrainingExample],
    *,
    distractors: int = 1,
    probability: float = 1.0,
    no_answer: float = 0.0,
    passages: Sequence[str | BaseNode | NodeWithScore] | None = None,
    refusal: str | None = None,
    templates: Iterable[str] = (),
    max_context_chars: int | None = None,
    seed: int = 0,
) -> RaftRows:
    """Put passages that do not answer the question beside those that do, or in their place.

    A row stands instead of its example, not beside it: as many come out as go in. Its prompt is the recorded one but
    for the context, and there the example's own passages stay together, byte for byte, at a random place among the
    others. The same example and seed give the same row in any order, and nearly always in any company. Split into
    training and validation first, and then make rows of the training part: they hold passages of other examples.

    Where the own passages are taken away, as many others as make up for their length take their place, so that no
    student can tell by the length of a context that it must decline. The target becomes a refusal. In a refine step
    it becomes the draft, as LlamaIndex's prompts ask for that where a new context does not help. What shares many
    words with the question or the answer is not given, so that a refusal is seldom wrong, but seldom hard either.

    A row says by `made_by` and `made_from` what it is. Tokens and latency are empty, as nobody made that call. Without
    the own passages, their ids and scores are gone too, and the model and settings of the answer that was there.

    Args:
        examples: As recorded, and best curated before, as curation drops refusals and repeated drafts.
        distractors: How many foreign passages a row is given, never fewer.
        probability: That an example is given them.
        no_answer: Probability that an example loses its own passages, whether or not it is given distractors.
        passages: Where the others come from, such as all nodes of an index. Without them, the contexts of the other
            examples, parted into nodes where these begin with metadata.
        refusal: The words that decline; without them a sentence in Chinese or English, as the question is. An answer
            that `is_abstention` does not know is not counted as a refusal elsewhere.
        templates: Of prompts that are not LlamaIndex's own, as `read_prompt` takes them.
        max_context_chars: Longest context of a row; passages that do not fit are not chosen.
        seed: Decides what is drawn.

    Raises:
        ConfigurationError: If an argument is out of its bounds.
    """
    settings = _Settings(
        distractors=distractors,
        probability=probability,
        no_answer=no_answer,
        refusal=refusal,
        max_context_chars=max_context_chars,
        seed=seed,
    )
    settings.check()
    if isinstance(passages, str):
        raise ConfigurationError("passages is one string; pass a list of strings or nodes")
    if passages is not None and not passages:
        raise ConfigurationError("passages is empty; leave it out to take the contexts of the other examples")
    candidates = Candidates(check_examples(examples), templates=check_names("templates", templates))
    pool = PassagePool(given_passages(passages) if passages is not None else candidates.passages())
    maker = _Maker(settings=settings, candidates=candidates, pool=pool, common_terms=pool.common_terms())
    return _gathered(candidates, maker)


def _gathered(candidates: Candidates, maker: _Maker) -> RaftRows:
    examples: list[TrainingExample] = []
    left_out: list[LeftOut] = []
    made: Counter[str | None] = Counter()
    for one in candidates.all:
        row = maker.row(one)
        if isinstance(row, TrainingExample):
            examples.append(row)
            made[row.made_by] += row is not one.example
        else:
            examples.append(one.example)
            left_out.append(LeftOut(example=one.example, reason=row))
    return RaftRows(examples=examples, left_out=left_out, distractors=made["distractors"], no_answer=made["no_answer"])


@dataclass(frozen=True, kw_only=True)
class _Settings:
    distractors: int
    probability: float
    no_answer: float
    refusal: str | None
    max_context_chars: int | None
    seed: int

    def check(self) -> None:
        check_number("distractors", self.distractors, least=1, whole=True)
        check_number("probability", self.probability, least=0, most=1)
        check_number("no_answer", self.no_answer, least=0, most=1)
        if self.refusal is not None and not self.refusal.strip():
            raise ConfigurationError("refusal is empty; pass the words that decline, or leave it out")
        check_number("max_context_chars", self.max_context_chars, least=1, whole=True, or_none=True)


@dataclass(frozen=True, kw_only=True)
class _Maker:
    """Makes the row of one example after the other."""

    settings: _Settings
    candidates: Candidates
    pool: PassagePool
    common_terms: frozenset[str]

    def row(self, one: Candidate) -> TrainingExample | LeftOutReason:
        """The row, or the example itself where none was drawn, or why there is none."""
        without_context = self._happens(one, "no_answer", self.settings.no_answer)
        with_others = self._happens(one, "distractors", self.settings.probability)
        if not with_others and not without_context:
            return one.example
        reason = self.candidates.why_not(one, without_context=without_context)
        if reason is not None or one.parts is None:
            return reason or "unknown_prompt"
        added = self.settings.distractors if with_others else 0
        others = self._others(one, added=added, without_context=without_context)
        if not isinstance(others, list):
            return others
        if without_context:
            row = _with_passages(one, one.parts, others, made_by="no_answer")
            return _declining(row, self._target(one))
        others.insert(draw(self._key(one, "place")) % (len(others) + 1), one.context)
        return _with_passages(one, one.parts, others, made_by="distractors")

    def _target(self, one: Candidate) -> str:
        if one.draft is not None:
            return one.draft
        return self.settings.refusal or (_REFUSAL_CHINESE if is_chinese(one.question) else _REFUSAL)

    def _others(self, one: Candidate, *, added: int, without_context: bool) -> list[str] | LeftOutReason:
        """Foreign passages: those that replace the own, if these are taken away, and those added."""
        own = self.candidates.own_passages(one, common_terms=self.common_terms)
        kept = [] if without_context else [one.context]
        replaced = _MADE_UP * len(one.context) if without_context else 0
        chosen: list[str] = []
        while len(chosen) < added or sum(map(len, chosen[: len(chosen) - added])) < replaced:
            length = len(_BETWEEN.join([*kept, *chosen, ""]))
            found = self._next(one, own, place=len(chosen), length=length, unanswerable=without_context)
            if not isinstance(found, Passage):
                return found
            chosen.append(found.text)
            own = replace(own, contexts=(*own.contexts, found.text))  # none is given twice, nor its look-alike
        return chosen

    def _next(
        self, one: Candidate, own: OwnPassages, *, place: int, length: int, unanswerable: bool
    ) -> Passage | LeftOutReason:
        most = self.settings.max_context_chars
        tight = most is not None and length > most
        for passage in self.pool.walk(self._key(one, f"passage {place}")):
            if most is not None and length + len(passage.text) > most:
                tight = True
            elif own.may_be_given(passage, unanswerable=unanswerable):
                return passage
        return "too_long" if tight else "few_passages"

    def _key(self, one: Candidate, what: str) -> str:
        return f"{self.settings.seed} {what} {one.content_hash}"

    def _happens(self, one: Candidate, what: str, probability: float) -> bool:
        return (draw(self._key(one, what)) >> 11) / 2**53 < probability  # as many bits as a float below 1 can hold


def _with_passages(one: Candidate, parts: PromptParts, passages: Iterable[str], *, made_by: str) -> TrainingExample:
    row = with_context(one.example, parts, _BETWEEN.join(passages))
    made = {"made_by": made_by, "made_from": one.content_hash, "usage": Usage(), "latency_s": None}
    return row.model_copy(update=made)


def _declining(row: TrainingExample, target: str) -> TrainingExample:
    """The row with another answer, which no model gave and for which nothing was retrieved."""
    last = {key: value for key, value in row.messages[-1].items() if key in _OF_THE_SPEAKER}
    gone: dict[str, Any] = {"node_ids": [], "node_scores": [], "model": None, "parameters": {}, "finish_reason": None}
    return row.model_copy(update={"messages": [*row.messages[:-1], {**last, "content": target}], **gone})
