"""Toy readers: they quote the sentences of the context that score best for a question, or abstain.

In: a question, a context and, when refining, a draft. Out: text made of whole sentences of that context, in its
order. A `Reader` is nothing but numbers, so one can be trained, written as JSON and read back. It understands
nothing; what it does shows that a pipeline works, not how good a language model is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from llama_index_ft_rag.errors import OfflineBackendError
from llama_index_ft_rag.offline.toys.features import (
    CONTEXT_FEATURES,
    SENTENCE_FEATURES,
    Array,
    ReadContext,
    context_features,
    read_context,
    sentence_features,
)
from llama_index_ft_rag.offline.toys.text import Sentence, abstains, is_chinese


@dataclass(frozen=True, kw_only=True)
class Reader:
    """The weights of one extractive reader."""

    sentence: Mapping[str, float]
    """Weight of each of `SENTENCE_FEATURES`; their weighted sum is a sentence's score."""
    abstain: Mapping[str, float]
    """Weight of each of `CONTEXT_FEATURES`; it abstains where their weighted sum is above 0."""
    margin: float
    """Another sentence is quoted where its score is at most this far below the best one."""
    most: int
    """No more sentences than these."""
    keep: float
    """A draft is kept unless a new sentence beats its best one by more than this."""

    def answer(self, question: str, context: str) -> str:
        """Quote the sentences that answer the question, or say that the context does not."""
        read = read_context(context)
        if not question.strip():
            return quote(read, range(min(2, len(read.sentences)))) or refusal(question, context)
        rows = sentence_features(question, read)
        if not len(rows) or self._refuses(question, read, rows):
            return refusal(question, context)
        return quote(read, self.choose(rows))

    def refine(self, question: str, context: str, draft: str) -> str:
        """Return the draft as it is, or a better answer where the new context has a clearly better sentence."""
        fresh = self.answer(question, context)
        if abstains(fresh):
            return draft
        if abstains(draft):
            return fresh
        pool = read_context(f"{context}\n\n{draft}")
        rows = sentence_features(question, pool)
        if self.gain(draft, pool, rows) <= self.keep:
            return draft
        return quote(pool, self.choose(rows))

    def choose(self, rows: Array) -> list[int]:
        """Return the indices of the sentences to quote, in document order, from rows of sentence features."""
        scores = self.scores(rows)
        order = np.argsort(-scores, kind="stable")[: self.most]
        best = float(scores[order[0]])
        return sorted(int(index) for index in order if float(scores[index]) >= best - self.margin)

    def scores(self, rows: Array) -> Array:
        """Return one score per row of sentence features."""
        weights = np.array([self.sentence[name] for name in SENTENCE_FEATURES])
        scores: Array = rows @ weights
        return scores

    def gain(self, draft: str, pool: ReadContext, rows: Array) -> float:
        """Say by how much the best new sentence of a pool beats the best one that the draft has too."""
        old = set(read_context(draft).orders)
        scores = self.scores(rows)
        kept = [float(score) for score, order in zip(scores, pool.orders, strict=True) if order in old]
        new = [float(score) for score, order in zip(scores, pool.orders, strict=True) if order not in old]
        if not new:
            return -math.inf
        return max(new) - max(kept) if kept else math.inf

    def to_weights(self) -> dict[str, Any]:
        """Return the reader as plain JSON values."""
        weights = asdict(self)
        return {"kind": _KIND, **weights, "sentence": dict(self.sentence), "abstain": dict(self.abstain)}

    @classmethod
    def from_weights(cls, weights: Mapping[str, Any]) -> Reader:
        """Read what `to_weights` wrote.

        Raises:
            OfflineBackendError: If these are not the weights of such a reader.
        """
        try:
            if weights["kind"] != _KIND:
                raise ValueError(weights["kind"])
            return cls(
                sentence={name: float(weights["sentence"][name]) for name in SENTENCE_FEATURES},
                abstain={name: float(weights["abstain"][name]) for name in CONTEXT_FEATURES},
                margin=float(weights["margin"]),
                most=int(weights["most"]),
                keep=float(weights["keep"]),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise OfflineBackendError(
                f"weights of a tuned offline model cannot be used ({type(exc).__name__}: {exc}); train it again"
            ) from exc

    def _refuses(self, question: str, read: ReadContext, rows: Array) -> bool:
        features = context_features(question, read, rows)
        return float(features @ np.array([self.abstain[name] for name in CONTEXT_FEATURES])) > 0.0


def quote(context: ReadContext, chosen: Sequence[int]) -> str:
    """Join sentences of a context to an answer; a lead-in that ends in a colon takes its list with it."""
    pieces: list[str] = []
    taken: set[int] = set()
    for index in chosen:
        if index in taken:
            continue
        taken.add(index)
        text = context.sentences[index].text.strip()
        if text.endswith((":", "：")):
            items = _list_below(context, index)
            taken.update(range(index + 1, index + 1 + len(items)))
            text = f"{text} {'; '.join(items)}" if items else text
        pieces.append(_close(text))
    between = "" if pieces and is_chinese("".join(pieces)) else " "
    return between.join(pieces)


def refusal(question: str, context: str) -> str:
    """Say, in the language of the question, that the context does not answer it."""
    if is_chinese(question or context):
        return "所给内容没有提供关于这个问题的信息。"
    topic = _TOPIC.match(question.strip())
    about = topic["topic"] if topic is not None and len(topic["topic"]) <= 120 else "this question"
    return f"The context does not provide information on {about}."


def _list_below(context: ReadContext, lead: int) -> list[str]:
    items: list[str] = []
    for sentence in context.sentences[lead + 1 : lead + 1 + _LIST_ITEMS]:
        if not _is_item(sentence):
            break
        items.append(re.sub(r"[;；.。,]?\s*(?:and|or|以及|和)?$", "", sentence.text.strip()))
    return items


def _is_item(sentence: Sentence) -> bool:
    return sentence.kind == "bullet" and len(sentence.text) <= 200


def _close(text: str) -> str:
    text = re.sub(r"[;；,，]\s*(?:and|or|以及|和)?$", "", text).lstrip("，,、;；。. ")
    if text.endswith((".", "!", "?", "。", "！", "？", '."', ".”", "。”")):
        return text
    return f"{text.rstrip(':：')}{'。' if is_chinese(text) else '.'}"


_KIND = "offline extractive reader 1"
_LIST_ITEMS = 5
_TOPIC = re.compile(r"(?:what|who|where|when|which)(?: is| are| was| were)\s+(?P<topic>[^?.]{3,})\??$", re.IGNORECASE)


def _weights(names: Sequence[str], **known: float) -> dict[str, float]:
    return {name: known.get(name, 0.0) for name in names}


STUDENT = Reader(
    sentence=_weights(SENTENCE_FEATURES, bias=-4.0, bm25=6.0),
    abstain=_weights(CONTEXT_FEATURES, bias=-0.1),
    margin=0.0,
    most=1,
    keep=0.0,
)
"""The untrained student: plain BM25 over the sentences of the context, best one quoted, never abstains."""

TEACHER = Reader(
    sentence=_weights(
        SENTENCE_FEATURES,
        bias=-5.0,
        bm25=2.0,
        bm25_share=2.0,
        coverage=3.0,
        pairs=1.5,
        run=1.0,
        question_numbers=1.2,
        number_wanted=0.7,
        date_wanted=0.7,
        name_wanted=0.9,
        reason_wanted=0.8,
        heading=0.8,
        previous=0.3,
        following=0.2,
        position=0.2,
        length=0.8,
        clutter=-2.5,
    ),
    abstain=_weights(
        CONTEXT_FEATURES,
        bias=4.0,
        best_coverage=-4.0,
        three_coverage=-3.0,
        context_coverage=-1.5,
        numbers_missing=1.0,
    ),
    margin=1.2,
    most=3,
    keep=0.8,
)
"""The teacher: the same features with weights set by hand; quotes up to three sentences and may abstain."""
