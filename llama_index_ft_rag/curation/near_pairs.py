"""Questions, or examples, -> the pairs of them that say nearly the same.

In: questions as text, or examples as near duplicates are compared. Out: pairs of places. Every pair is found, crowds of
copies apart, whatever the order and without comparing each with each: two that are alike share one of their rarest
words (prefix filtering; Chaudhuri, Ganti and Kaushik, 2006). Knows nothing of what is done with a pair.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from llama_index_ft_rag.curation.near_duplicates import Compared

# One Han, kana or hangul letter is a word of its own: these scripts are written without spaces, or with few.
_LETTER = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

_FUNCTION_WORDS = (
    "a an the this that these those of to in on at by for from with into upon within as about if or and but than there "
    "what which how is are was were be been being am do does did done has have had can could may might must shall "
    "should will would it its they them their he him his she her we us our you your i me my s t re ve ll d m "
    "的 了 吗 呢 是 为 在 于 和 与 及 或 有 由 对 将 被 请 问 其 该 此 这 那 个 之 什 么 哪 些 如 何 怎 样"
)
"""Words without which a question still asks the same; `who`, `when`, `where` and `why` are none of them."""
_TURNING_WORDS = "not t no never without except non 不 没 无 未 非"
"""Words that turn a question round; `t` is what is left of `n't`."""
_FUNCTION, _TURNING = frozenset(_FUNCTION_WORDS.split()), frozenset(_TURNING_WORDS.split())
_ENDINGS = ("ings", "ions", "ing", "ion", "ies", "es", "ed", "al", "ly", "s", "e", "y")
_SHORTEST_STEM = 4
_MOST_HOLDERS = 1_000
"""Of one word sequence that are looked at for one example, so that no crowd of copies takes time without bound."""

Skip = Callable[[int, int], bool]
"""Says of two places, the lower one first, that whether they are a pair does not matter."""


class Pair(NamedTuple):
    """Two places, from 0, the lower one first."""

    first: int
    second: int


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What of a question is compared."""

    words: frozenset[str]
    """Stems of all its words."""
    content: frozenset[str]
    """Those that are not function words."""
    numbers: frozenset[str]

    @classmethod
    def of(cls, question: str) -> _Asked:
        words = frozenset(re.findall(r"\w+", _LETTER.sub(r" \g<0> ", question.casefold())))
        content = frozenset(_stem(word) for word in words - _FUNCTION)
        return cls(words=content | (words & _FUNCTION), content=content, numbers=frozenset(_NUMBER.findall(question)))

    def resembles(self, other: _Asked, threshold: float) -> bool:
        """Whether nearly the same is asked, if the numbers are the same and only one of the two has more content."""
        if (self.words ^ other.words) & _TURNING:
            return False
        return len(self.words & other.words) / len(self.words | other.words) >= threshold


def near_questions(questions: Sequence[str], *, threshold: float, skip: Skip) -> Iterator[Pair]:
    """Yield pairs of questions that ask nearly the same.

    They have the same numbers, a Jaccard similarity of word stems of at least the threshold, and only one of them has
    words of content that the other lacks: with `cash` in the place of `stock`, something else is asked.
    """
    asked = [_Asked.of(question) for question in questions]
    counts = Counter(word for one in asked for word in one.content)
    by_rarest: dict[tuple[frozenset[str], str], list[int]] = {}
    for place, one in enumerate(asked):
        rarest = min(one.content, key=lambda word: (counts[word], word), default="")
        if counts[rarest] > 1:
            by_rarest.setdefault((one.numbers, rarest), []).append(place)
    for place, one in enumerate(asked):
        held = (other for word in sorted(one.content) for other in by_rarest.get((one.numbers, word), ()))
        for other in held:
            smaller = asked[other]
            # Two with the same content find each other, so that one of them has to keep still.
            if not (smaller.content < one.content or (smaller.content == one.content and other < place)):
                continue
            pair = Pair(min(place, other), max(place, other))
            if not skip(*pair) and one.resembles(smaller, threshold):
                yield pair


def near_examples(
    count: int,
    compared: Callable[[int], Compared],
    *,
    threshold: float,
    skip: Skip,
    on_crowd: Callable[[], None],
) -> Iterator[Pair]:
    """Yield pairs of examples that say nearly the same, as `Compared.similarity` has it.

    Args:
        count: How many examples there are.
        compared: Gives what is compared of each.
        threshold: Least similarity, above 0 and at most 1.
        skip: Which pairs do not matter.
        on_crowd: Called where so many share a word sequence that only the latest thousand are compared.
    """
    parts = [(one.own, one.numbers) for one in map(compared, range(count))]
    everywhere = np.concatenate([own for own, _ in parts]) if parts else np.empty(0, dtype=np.uint32)
    members, counts = np.unique(everywhere, return_counts=True)
    holders: dict[tuple[int, int], list[int]] = {}
    for place, (own, numbers) in enumerate(parts):
        often = counts[np.searchsorted(members, own)]
        rarest_first = np.lexsort((own, often))[: len(own) - math.ceil(threshold * len(own) - 1e-9) + 1]
        # What one example alone has is shared with none.
        lists = [
            holders.setdefault((numbers, shingle), [])
            for shingle in own[rarest_first[often[rarest_first] > 1]].tolist()
        ]
        if any(len(held) > _MOST_HOLDERS for held in lists):
            on_crowd()
        for other in sorted({other for held in lists for other in held[-_MOST_HOLDERS:]}):
            if not skip(other, place) and compared(place).similarity(compared(other)) >= threshold:
                yield Pair(other, place)
        for held in lists:
            held.append(place)


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word[: -len(ending)]
    return word
