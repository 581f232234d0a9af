"""What a toy reader sees of a question and a context: one row of numbers per sentence, one for the whole.

In: a question and a context block. Out: numpy arrays whose columns are named in `SENTENCE_FEATURES` and
`CONTEXT_FEATURES`. Knows nothing of weights or answers. A context that was read stays in a bounded cache,
because every arm of a comparison and the judge see the same one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from llama_index_ft_rag.offline.toys.text import Sentence, content_tokens, is_chinese, numbers, split_sentences

Array = NDArray[np.float64]

SENTENCE_FEATURES = (
    "bias",
    "bm25",
    "bm25_share",
    "coverage",
    "pairs",
    "run",
    "question_numbers",
    "number_wanted",
    "date_wanted",
    "name_wanted",
    "reason_wanted",
    "heading",
    "previous",
    "following",
    "position",
    "length",
    "clutter",
)
CONTEXT_FEATURES = (
    "bias",
    "best_bm25_share",
    "best_coverage",
    "three_coverage",
    "context_coverage",
    "numbers_missing",
)


@dataclass(frozen=True, kw_only=True)
class ReadContext:
    """A context, cut into sentences and counted once."""

    sentences: tuple[Sentence, ...]
    counts: tuple[Counter[str], ...]
    """Content tokens of each sentence."""
    orders: tuple[tuple[str, ...], ...]
    heading_tokens: tuple[frozenset[str], ...]
    idf: dict[str, float]
    unseen_idf: float
    mean_length: float


@lru_cache(maxsize=256)
def read_context(context: str) -> ReadContext:
    """Cut a context into sentences that may be quoted, and count their words; sentences seen before are dropped."""
    kept: list[Sentence] = []
    orders: list[tuple[str, ...]] = []
    seen: set[tuple[str, ...]] = set()
    for sentence in split_sentences(context):
        order = tuple(content_tokens(sentence.text))
        if sentence.kind == "heading" or not order or order in seen:
            continue
        seen.add(order)
        kept.append(sentence)
        orders.append(order)
    counts = tuple(Counter(order) for order in orders)
    frequency = Counter(token for count in counts for token in count)
    total = len(kept)
    headings = {sentence.heading: frozenset(content_tokens(sentence.heading)) for sentence in kept}
    return ReadContext(
        sentences=tuple(kept),
        counts=counts,
        orders=tuple(orders),
        heading_tokens=tuple(headings[sentence.heading] for sentence in kept),
        idf={token: math.log1p((total - many + 0.5) / (many + 0.5)) for token, many in frequency.items()},
        unseen_idf=math.log1p((total + 0.5) / 0.5),
        mean_length=sum(len(order) for order in orders) / max(1, total),
    )


def sentence_features(question: str, context: ReadContext) -> Array:
    """Return one row per sentence of the context, one column per name in `SENTENCE_FEATURES`."""
    asked = _Question.read(question)
    total = len(context.sentences)
    rows = np.zeros((total, len(SENTENCE_FEATURES)))
    if not total:
        return rows
    idf = np.array([context.idf.get(token, context.unseen_idf) for token in asked.tokens])
    hits = _hits(asked, context)
    present = hits > 0
    most = float(idf.sum()) or 1.0
    bm25 = _bm25(hits, idf, context)
    coverage = present @ idf / most
    rows[:, 0] = 1.0
    rows[:, 1] = bm25 / (float(bm25.max()) or 1.0)
    rows[:, 2] = bm25 / (most * (_K1 + 1.0))
    rows[:, 3] = coverage
    rows[:, 11] = [
        sum(t in heading for t in asked.tokens) / max(1, len(asked.tokens)) for heading in context.heading_tokens
    ]
    rows[1:, 12] = coverage[:-1]
    rows[:-1, 13] = coverage[1:]
    rows[:, 14] = 1.0 / np.arange(1, total + 1)
    for index, sentence in enumerate(context.sentences):
        rows[index, 4:6] = _phrases(asked.tokens, context.orders[index])
        rows[index, 6:11] = _matches(asked, sentence, context.counts[index])
        rows[index, 15] = min(1.0, len(context.orders[index]) / 25.0)
        rows[index, 16] = float(sentence.kind == "table" or len(context.orders[index]) < 4)
    return rows


def context_features(question: str, context: ReadContext, rows: Array) -> Array:
    """Return one number per name in `CONTEXT_FEATURES`: how far the context can answer the question at all."""
    asked = _Question.read(question)
    if not len(rows):
        return np.array([1.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    best = np.argsort(-rows[:, 1], kind="stable")[:3]
    near = set().union(*(context.counts[int(index)] for index in best))
    weight = {token: context.idf.get(token, context.unseen_idf) for token in asked.tokens}
    most = sum(weight.values()) or 1.0
    missing = sum(number not in context.idf for number in asked.numbers) / max(1, len(asked.numbers))
    return np.array(
        [
            1.0,
            float(rows[:, 2].max()),
            float(rows[:, 3].max()),
            sum(weight[token] for token in weight if token in near) / most,
            sum(weight[token] for token in weight if token in context.idf) / most,
            missing,
        ]
    )


@dataclass(frozen=True, kw_only=True)
class _Question:
    tokens: tuple[str, ...]
    numbers: tuple[str, ...]
    wants: frozenset[str]

    @classmethod
    def read(cls, question: str) -> _Question:
        return _read_question(question)


@lru_cache(maxsize=1024)
def _read_question(question: str) -> _Question:
    words = tuple(dict.fromkeys(content_tokens(question)))
    wants = {kind for kind, pattern in _WANTS.items() if pattern.search(question)}
    if is_chinese(question):
        words = tuple(word for word in words if word not in _ASKING_PAIRS)
    return _Question(tokens=words, numbers=tuple(numbers(question)), wants=frozenset(wants))


def _hits(asked: _Question, context: ReadContext) -> Array:
    if not asked.tokens:
        return np.zeros((len(context.counts), 0))
    return np.array([[count[token] for token in asked.tokens] for count in context.counts], dtype=np.float64)


def _bm25(hits: Array, idf: Array, context: ReadContext) -> Array:
    lengths = np.array([len(order) for order in context.orders], dtype=np.float64)
    norm = _K1 * (1.0 - _B + _B * lengths / (context.mean_length or 1.0))
    saturated: Array = hits * (_K1 + 1.0) / (hits + norm[:, None])
    share: Array = saturated @ idf
    return share


def _phrases(asked: tuple[str, ...], order: tuple[str, ...]) -> tuple[float, float]:
    """Return the share of the question's neighbouring pairs found, and its longest run of words found."""
    if len(asked) < 2:
        return 0.0, 0.0
    places = set(pairwise(order))
    run = best = found = 0
    for pair in pairwise(asked):
        run = run + 1 if pair in places else 0
        found += run > 0
        best = max(best, run)
    return found / (len(asked) - 1), best / (len(asked) - 1)


def _matches(asked: _Question, sentence: Sentence, count: Counter[str]) -> list[float]:
    said = sum(number in count for number in asked.numbers) / len(asked.numbers) if asked.numbers else 0.0
    matches = [said]
    for kind, pattern in _GIVES.items():
        if kind not in asked.wants:
            matches.append(0.0)
        else:
            matches.append(1.0 if pattern.search(sentence.text) else -1.0)
    return matches


_K1 = 1.2
_B = 0.75
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_WANTS = {
    "number": re.compile(
        r"\bhow (?:much|many|large|big|high|long|old|far)\b|\b(?:percent|percentage|amount|total|number|rate|ratio|"
        r"price|cost)\b|\bwhat (?:was|were|is|are) .*\b(?:revenue|income|profit|margin|expenses?|sales|loss|"
        r"value)\b"
        r"|多少|多大|多长|几[个名家年项]|百分之|比例",
        re.IGNORECASE,
    ),
    "date": re.compile(
        r"\bwhen\b|\b(?:what|which) (?:year|date|month|day|quarter)\b|何时|什么时候|哪一?[年月天]|哪个日期",
        re.IGNORECASE,
    ),
    "name": re.compile(r"\bwho(?:m|se)?\b|谁|哪位", re.IGNORECASE),
    "reason": re.compile(r"\bwhy\b|\b(?:reason|cause[ds]?)\b|为什么|为何|原因|因何", re.IGNORECASE),
}
_GIVES = {
    "number": re.compile(
        r"\d(?!\d{3}\b(?![.,]))|\b(?:two|three|four|five|six|seven|eight|nine|ten|half|twelve)\b|"
        r"[一二三四五六七八九十百千万亿]+[个名家年项元]"
    ),
    "date": re.compile(rf"\b(?:19|20)\d\d\b|\b{_MONTH} \d|\d{{1,2}} {_MONTH}|\d+ ?年|\d+ ?月", re.UNICODE),
    "name": re.compile(r"\b[A-Z][a-z]+ (?:[A-Z]\. )?(?:[a-z]{1,3} )?[A-Z][a-z]+\b|先生|女士|博士|董事长|总经理|创始人"),
    "reason": re.compile(
        r"\b(?:because|due to|as a result|driven by|owing to|reflect(?:s|ed|ing)|caused|attributable|led to|"
        r"since|so that|primarily)\b"
        r"|由于|因为|因此|原因|得益于|受益于|导致|主要系",
        re.IGNORECASE,
    ),
}
_ASKING_PAIRS = frozenset(("原因", "报告", "告中", "时候", "关于", "情况"))
