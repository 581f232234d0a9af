"""Examples -> those that say nearly the same as an earlier one.

In: examples. Out: the earlier example that one resembles, and how much. Two examples are near duplicates when
question and answer alone, and everything together, have a Jaccard similarity of word 3-grams of at least the
threshold, and question and answer hold the same numbers and signs: what was earned in 2022 is no copy of what was
earned in 2023. Candidates are found by MinHash (Broder, 1997) with locality-sensitive hashing and checked exactly.
Knows nothing of what is done with them.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama_index_ft_rag.curation.prompt_parts import PromptParts, read_prompt
from llama_index_ft_rag.errors import ConfigurationError, MissingExtraError
from llama_index_ft_rag.examples import TrainingExample, message_text

_MISSED = 0.005
"""Share of pairs at the threshold that may be missed."""
_MOST_HASHES = 128
_MOST_CANDIDATES = 100
"""Looked at for one example, the earliest first, so that no set of look-alikes takes time without bound."""
_EDGE = 250
"""Characters at both ends of a prompt of no known template, where its question stands."""
# One Han, kana or hangul letter is a word of its own: these scripts are written without spaces, or with few.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+"
)
_NUMBER = re.compile(
    r"\(\s?[$€£¥]?\s?\d[\d.,]*\s?\)|(?:(?<![\w.])[-−])?\d+(?:[.,]\d+)*|[一二三四五六七八九十百千万亿两]+"
)
# Operators, currencies, pictures, C++ and C#; punctuation and emphasis change no fact.
_MARK = re.compile(r"\w[+#]+|[^\w\s.,;:!?'\"“”‘’()\[\]{}\-–—…*_`#+/\\|~。！？，；：、（）《》「」·•]")

Shingles = NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True)
class Match:
    """An earlier example that says nearly the same."""

    index: int
    similarity: float
    """Jaccard, from 0 to 1: the lower of question with answer, and everything."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What of an example is compared."""

    own: Shingles
    """Hashes of the word 3-grams of question and answer, each once, sorted."""
    numbers: int
    """Hash of the numbers, signs and pictures: of question and answer, or of everything where these are not known."""
    example: TrainingExample | None = None
    """Where everything else is read, which few comparisons need."""

    @classmethod
    def of(cls, example: TrainingExample, parts: PromptParts | None) -> Compared:
        """Prepare an example for comparison."""
        own = _own_text(example, parts)
        facts = own if _question(example, parts) is not None else _everything(example)
        return cls(own=_shingles(own), numbers=_facts(facts, example), example=example)

    @cached_property
    def everything(self) -> Shingles:
        """Hashes of the word 3-grams of all messages, each once, sorted."""
        return self.own if self.example is None else _shingles(_everything(self.example))

    def similarity(self, other: Compared, *, least: float = 0.0) -> float:
        """Jaccard similarity, 0 where the numbers differ; below `least` that of question and answer will do."""
        if self.numbers != other.numbers:
            return 0.0
        own = _jaccard(self.own, other.own)
        return own if own < least else min(own, _jaccard(self.everything, other.everything))


class NearDuplicates:
    """Finds, among the examples added so far, those that one resembles.

    Args:
        threshold: Least similarity, above 0 and at most 1.
        compared: Gives what is compared of the example with an index.

    Raises:
        ConfigurationError: If the threshold is none.
        MissingExtraError: If datasketch is not installed.
    """

    def __init__(self, threshold: float, compared: Callable[[int], Compared]) -> None:
        if not 0.0 < threshold <= 1.0:
            raise ConfigurationError(
                f"near_duplicates is {threshold!r}; pass a similarity above 0 and at most 1, or None to look for none"
            )
        if not is_installed():
            raise MissingExtraError("looking for near duplicates", extra="curation", missing="datasketch")
        from datasketch import MinHash, MinHashLSH

        self._threshold = threshold
        self._compared = lru_cache(maxsize=512)(compared)
        bands, rows = _bands(threshold)
        self._empty = MinHash(num_perm=bands * rows, seed=1, hashfunc=_unchanged)
        self._buckets = MinHashLSH(num_perm=bands * rows, params=(bands, rows))

    def first(self, index: int, *, add: bool) -> Match | None:
        """The first example added that this one resembles.

        Args:
            index: Of the example.
            add: Whether to add it, if it resembles none.
        """
        signature, match = self._signature(index), None
        if signature is not None:
            match = next(self._matches(index, signature), None)
            if match is None and add:
                self._buckets.insert(index, signature, check_duplication=False)
        return match

    def _matches(self, index: int, signature: Any) -> Iterator[Match]:
        compared = self._compared(index)
        for other in sorted(self._buckets.query(signature))[:_MOST_CANDIDATES]:
            similarity = compared.similarity(self._compared(other), least=self._threshold)
            if similarity >= self._threshold:
                yield Match(index=other, similarity=similarity)

    def _signature(self, index: int) -> Any | None:
        compared = self._compared(index)
        if not len(compared.own):
            return None
        signature = self._empty.copy()
        signature.update_batch(compared.own)
        # Examples with other numbers never share a bucket, so that a thousand rows of one pattern cost no more.
        signature.hashvalues ^= signature.hashvalues.dtype.type(compared.numbers)
        return signature


def _bands(threshold: float) -> tuple[int, int]:
    """Bands and rows: a pair of that similarity is a candidate with probability 1 - (1 - threshold^rows)^bands."""
    for rows in (6, 5, 4, 3, 2):
        misses = 1.0 - threshold**rows
        # One band is refused by datasketch.
        bands = max(2, math.ceil(math.log(_MISSED) / math.log(misses))) if 0.0 < misses < 1.0 else 2
        if bands * rows <= _MOST_HASHES:
            return bands, rows
    return _MOST_HASHES, 1


def is_installed() -> bool:
    """Whether what the search needs is there."""
    return find_spec("datasketch") is not None


def compare_all(examples: Iterable[TrainingExample], *, templates: Iterable[str] = ()) -> Callable[[int], Compared]:
    """Give what is compared of each example, by its index."""
    given, shapes = list(examples), tuple(templates)

    def compared(index: int) -> Compared:
        return Compared.of(given[index], read_prompt(given[index].messages, templates=shapes))

    return compared


def _question(example: TrainingExample, parts: PromptParts | None) -> str | None:
    return example.question or (parts.question if parts is not None else None)


def _own_text(example: TrainingExample, parts: PromptParts | None) -> str:
    question = _question(example, parts)
    said = [_text(message) for message in example.messages if message.get("role") not in ("system", "developer")]
    answer = said[-1] if said else ""
    if question is not None:
        return f"{question}\n{answer}"
    edges = []
    for text in said[:-1]:
        edges += [text] if len(text) <= 2 * _EDGE else [text[:_EDGE], text[-_EDGE:]]
    return "\n".join([*edges, answer])


def _everything(example: TrainingExample) -> str:
    return "\n".join(_text(message) for message in example.messages)


def _text(message: Any) -> str:
    texts = [message_text(message)]
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            texts += [str(function.get("name")), str(function.get("arguments"))]
    return "\n".join(texts)


def _facts(text: str, example: TrainingExample) -> int:
    """Hash of what makes two texts of the same words say different things."""
    numbers = sorted({*_NUMBER.findall(text)})
    marks = sorted(Counter(_MARK.findall(text)).items())
    beside = [part for m in example.messages for part in _no_texts(m.get("content"))]
    said = json.dumps([numbers, marks, beside, example.tools], sort_keys=True)
    return zlib.crc32(said.encode("utf-8", "surrogatepass"))


def _no_texts(content: Any) -> list[Any]:
    return [part for part in content if not _is_text(part)] if isinstance(content, list) else []


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)


def _word_hashes(text: str) -> Shingles:
    words = _WORD.findall(text.casefold())
    return np.fromiter((_hash(word) for word in words), dtype=np.uint32, count=len(words))


def _shingles(text: str) -> Shingles:
    hashes = _word_hashes(text)
    while 0 < len(hashes) < 3:
        hashes = np.append(hashes, np.uint32(0))
    # Odd factors keep the order of the words apart; overflow is the modulo.
    mixed = hashes[:-2] * np.uint32(0x9E3779B1) + hashes[1:-1] * np.uint32(0x85EBCA77) + hashes[2:]
    return np.unique(mixed ^ (mixed >> np.uint32(15)))


@lru_cache(maxsize=1 << 16)
def _hash(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))


def _jaccard(left: Shingles, right: Shingles) -> float:
    if not len(left) and not len(right):
        return 1.0
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


def _unchanged(value: int) -> int:
    """Hash a word 3-gram, which is a hash already."""
    return value
