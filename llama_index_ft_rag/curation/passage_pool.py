"""Passages -> those that one example may be given as distractors, in an order of its own.

In: strings, LlamaIndex nodes or recorded contexts. Out: passages that are none of the example's own, and do not seem to
hold its answer. That is judged by shared words alone: what says the same in other words passes. Knows nothing of
prompts, nor of what is made of the passages.
"""

from __future__ import annotations

import hashlib
import re
import struct
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore

from llama_index_ft_rag.errors import ConfigurationError

_MOST_TRIED = 300
"""Passages looked at for one place, so that a set of look-alikes takes no time without bound."""
_FEWEST_FOR_COMMON = 10
"""Passages without which it cannot be said which words are common."""
_POINTS = 8
"""Of each passage on the ring; as many as a SHA-512 has numbers of 64 bits."""

_SAME_SHARE, _SAME_RUNS = 0.3, 100
"""Share of the shorter text's runs of five words, or number of them, from which two passages are one."""
_ANSWER_TRIGRAMS, _ANSWER_TERMS = 1 / 3, 0.6
"""Shares of an answer from which a passage seems to hold it."""
_ABOUT_IT = 0.4
"""Share of the words of a question, or of its answer, from which a passage may be about it. Low, as a refusal that is
wrong teaches worse than a passage that is far off."""

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_CJK_RUN = re.compile(rf"[{_CJK}]+")
_WORD = re.compile(rf"\d+(?:[.,]\d+)*|[{_CJK}]|[^\W\d{_CJK}]+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_FUNCTION_WORDS = (
    "a about also an and any are as at be because been but by can could did do does for from had has have he her his "
    "how if in into is it its like may might more most no nor not of on or other our over she should since so some "
    "such than that the their them then there these they this those to under up was we were what when where which "
    "while who whom whose why will with would yes you your"
)
_SAYS_NOTHING = frozenset(_FUNCTION_WORDS.split())
_SAYS_NOTHING_CHINESE = re.compile("为什么|什么|怎么|如何|哪些|哪个|多少|是否|为何|请问|[的了是在和与吗呢]")
_STEM = 6
"""Letters of a word that count, so that `revenue` and `revenues` are one."""
# LlamaIndex writes a node's metadata as lines before its text, and an empty line between them.
_METADATA = re.compile(r"(?:[^\n:]{1,60}: [^\n]*\n)+\n")


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A text that could stand in a context."""

    text: str
    node_ids: frozenset[str] = frozenset()
    askers: frozenset[str] = frozenset()
    """Keys of the questions for which it was retrieved."""


def given_passages(given: Iterable[str | BaseNode | NodeWithScore]) -> Iterator[Passage]:
    """Passages from strings or nodes, with the text that LlamaIndex would put into a prompt.

    Raises:
        ConfigurationError: If one is something else.
    """
    for number, one in enumerate(given, start=1):
        if isinstance(one, str):
            yield Passage(text=one.strip())
        elif isinstance(one, BaseNode | NodeWithScore):
            text = one.get_content(metadata_mode=MetadataMode.LLM)
            yield Passage(text=text.strip(), node_ids=frozenset([one.node_id]))
        else:
            raise ConfigurationError(f"passage {number} is of type {type(one).__name__}; pass strings or nodes")


def split_context(context: str) -> list[str]:
    """Part a context into its nodes where each begins with the same lines of metadata; else it stays whole."""
    header = _METADATA.match(context)
    if header is None:
        return [context.strip()]
    keys = [line.split(": ", 1)[0] for line in header.group().splitlines() if line]
    lines = "".join(rf"{re.escape(key)}: [^\n]*\n" for key in keys)
    return [piece.strip() for piece in re.split(rf"\n\n(?={lines}\n)", context)]


class PassagePool:
    """Passages on a ring, each text once, and without those that are the beginning of another.

    Whoever asks stands somewhere on the ring and walks on from there. So what one example is given depends neither
    on the order of the passages nor on the other examples, and hardly on which other passages there are.
    """

    def __init__(self, passages: Iterable[Passage]) -> None:
        self._passages = _merged(passages)
        digests = (hashlib.sha512(_bytes(passage.text)).digest() for passage in self._passages)
        points = np.array([point for digest in digests for point in struct.unpack(">8Q", digest)], dtype=np.uint64)
        order = np.argsort(points, kind="stable")
        self._points, self._owners = points[order], order // _POINTS

    def common_terms(self) -> frozenset[str]:
        """Words that tell no passage from the others, such as the name of the company that all of them are about."""
        sample = [self._passages[index] for index in dict.fromkeys(self._owners.tolist())][:_MOST_TRIED]
        if len(sample) < _FEWEST_FOR_COMMON:
            return frozenset()
        counts = Counter(term for passage in sample for term in _wording(passage.text).terms)
        return frozenset(term for term, count in counts.items() if 2 * count > len(sample))

    def walk(self, key: str) -> Iterator[Passage]:
        """Passages in the order that belongs to `key`, each once; at most the first 300."""
        start = int(np.searchsorted(self._points, np.uint64(draw(key))))
        seen: set[int] = set()
        for step in range(len(self._owners)):
            index = int(self._owners[(start + step) % len(self._owners)])
            if index not in seen:
                seen.add(index)
                yield self._passages[index]
            if len(seen) == _MOST_TRIED:
                return


def draw(key: str) -> int:
    """A number of 64 bits that depends on nothing but the key."""
    return int.from_bytes(hashlib.sha256(_bytes(key)).digest()[:8], "big")


def says_something(text: str) -> bool:
    """Whether a text has words by which to tell what speaks of the same."""
    return bool(_wording(text).terms)


@dataclass(frozen=True, kw_only=True)
class OwnPassages:
    """What tells the passages of one example from those of others."""

    askers: frozenset[str]
    node_ids: frozenset[str]
    contexts: tuple[str, ...]
    """All that was retrieved for its question, as far as that is known."""
    question: str
    answer: str
    common_terms: frozenset[str] = frozenset()
    """Words that say nothing, as most passages have them."""

    def may_be_given(self, passage: Passage, *, unanswerable: bool) -> bool:
        """Whether a passage is foreign to the example, and does not seem to hold its answer.

        Args:
            passage: Any.
            unanswerable: Whether the question must stay without an answer; then one that only may be about it is
                refused too.
        """
        if self.askers & passage.askers or self.node_ids & passage.node_ids:
            return False
        looked = _wording(passage.text)
        if any(looked.is_same(_wording(context)) for context in self.contexts):
            return False
        asked, answer = _wording(self.question).terms, _wording(self.answer)
        # An answer that repeats its question says only with the rest what was asked for.
        news = self._share(answer.terms - asked or answer.terms, looked)
        if unanswerable and max(news, self._share(asked, looked)) >= _ABOUT_IT:
            return False
        trigrams = len(answer.trigrams & looked.trigrams)
        return news < _ANSWER_TERMS and trigrams < _ANSWER_TRIGRAMS * max(1, len(answer.trigrams))

    def _share(self, terms: frozenset[str], looked: _Wording) -> float:
        telling = terms - self.common_terms or terms
        return len(telling & looked.terms) / max(1, len(telling))


@dataclass(frozen=True, kw_only=True)
class _Wording:
    """A text as it is compared."""

    joined: str
    """Its words, a blank before and behind each."""
    terms: frozenset[str]
    """Beginnings of the words that say something."""
    trigrams: frozenset[tuple[str, ...]]
    runs: frozenset[tuple[str, ...]]

    def is_same(self, other: _Wording) -> bool:
        """Whether one is part of the other, or a large part is in both, such as the overlap of neighbours."""
        if self.joined in other.joined or other.joined in self.joined:
            return True
        shared = len(self.runs & other.runs)
        return shared >= min(_SAME_SHARE * max(1, min(len(self.runs), len(other.runs))), _SAME_RUNS)


@lru_cache(maxsize=256)
def _wording(text: str) -> _Wording:
    plain = _THOUSANDS.sub("", (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold())
    words = _WORD.findall(plain)
    telling = {*words} - _SAYS_NOTHING
    terms = {word if word[0].isdigit() else word[:_STEM] for word in telling}
    if not text.isascii():
        terms = {term for term in terms if not _CJK_RUN.match(term)}.union(*map(_pairs, _CJK_RUN.findall(plain)))
    return _Wording(
        joined=f" {' '.join(words)} ",
        terms=frozenset(terms),
        trigrams=frozenset(zip(words, words[1:], words[2:], strict=False)),
        runs=frozenset(zip(words, words[1:], words[2:], words[3:], words[4:], strict=False)),
    )


def _pairs(run: str) -> Iterator[str]:
    """Pairs of neighbouring characters: these scripts do not say where a word ends."""
    for part in _SAYS_NOTHING_CHINESE.split(run):
        yield from (part[index : index + 2] for index in range(max(1, len(part) - 1)) if part)


def _merged(passages: Iterable[Passage]) -> Sequence[Passage]:
    """Each text once, sorted; one with which another begins is that other, cut off where a prompt was full."""
    merged: list[Passage] = []
    worded = (passage for passage in passages if any(character.isalnum() for character in passage.text))
    for passage in sorted(worded, key=lambda passage: passage.text, reverse=True):
        if merged and merged[-1].text.startswith(passage.text):
            whole = merged.pop()
            merged.append(
                Passage(
                    text=whole.text, node_ids=whole.node_ids | passage.node_ids, askers=whole.askers | passage.askers
                )
            )
        else:
            merged.append(passage)
    return merged


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")
