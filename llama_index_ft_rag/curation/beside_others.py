"""Examples judged by themselves -> those that the set has already: duplicates, near duplicates, crowded contexts.

In: examples and their reasons so far. Out: all reasons. An example is only measured against earlier ones that could be
kept in its place, so that a flawed copy never drives out a good one. Knows nothing of the rules for one example.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from llama_index_ft_rag.curation.near_duplicates import NearDuplicates, compare_all
from llama_index_ft_rag.curation.outcome import RULES, Reason
from llama_index_ft_rag.examples import TrainingExample

_ORDER = {name: place for place, name in enumerate(RULES)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What was found of one example by itself."""

    content_hash: str
    number: int
    """What it is called in reasons."""
    reasons: tuple[Reason, ...]
    context: Hashable | None
    """Key of the passages it is about; `None` if unknown."""

    @property
    def standing(self) -> str:
        """What could become of it: kept, kept on purpose though it declines, or dropped in any case."""
        rules = [reason.rule for reason in self.reasons]
        if not rules:
            return "good"
        return "declines" if rules == ["abstention"] else "flawed"


def judge_beside_others(
    examples: Sequence[TrainingExample],
    judged: Sequence[Judged],
    *,
    near_duplicates: float | None,
    exact: bool,
    max_per_context: int | None,
    templates: tuple[str, ...],
) -> list[tuple[Reason, ...]]:
    """Add to each example's reasons those that lie in the examples before it.

    Raises:
        ConfigurationError: If the threshold for near duplicates is none.
        MissingExtraError: If datasketch is needed and not installed.
    """
    numbers = [one.number for one in judged]
    copies = _Copies(numbers) if exact else None
    similar = _Similar(near_duplicates, examples, numbers, templates) if near_duplicates is not None else None
    crowds: Counter[Hashable] = Counter()
    found = []
    for index, one in enumerate(judged):
        reasons = list(one.reasons)
        copy = copies.reason(index, one) if copies is not None else None
        if copy is not None:
            reasons.append(copy)
        crowded = max_per_context is not None and one.context is not None and crowds[one.context] >= max_per_context
        stays = one.standing != "flawed" and copy is None and not crowded
        alike = similar.reason(index, one, add=stays) if similar is not None and copy is None else None
        if alike is not None:
            reasons.append(alike)
        if crowded:
            reasons.append(
                Reason(rule="crowded_context", text=f"is beyond the first {max_per_context} with its context")
            )
        elif one.context is not None and not reasons:
            crowds[one.context] += 1
        found.append(tuple(sorted(reasons, key=_place)))
    return found


def _place(reason: Reason) -> int:
    return _ORDER.get(reason.rule, len(_ORDER))


class _Copies:
    """Examples with the same messages and tools."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._first: dict[tuple[str, str], int] = {}

    def reason(self, index: int, one: Judged) -> Reason | None:
        """Why an example is the copy of an earlier one that could be kept, or is no better."""
        standings = ("good", "declines", "flawed") if one.standing == "flawed" else (one.standing,)
        keys = [(one.content_hash, standing) for standing in standings]
        earlier = min((self._first[key] for key in keys if key in self._first), default=None)
        self._first.setdefault((one.content_hash, one.standing), index)
        if earlier is None:
            return None
        return Reason(rule="duplicate", text=f"says the same as example {self._numbers[earlier]}")


class _Similar:
    """Examples that say nearly the same."""

    def __init__(
        self,
        threshold: float,
        examples: Sequence[TrainingExample],
        numbers: Sequence[int],
        templates: tuple[str, ...],
    ) -> None:
        self._numbers = numbers
        compared = compare_all(examples, templates=templates)
        self._among = {standing: NearDuplicates(threshold, compared) for standing in ("good", "declines")}

    def reason(self, index: int, one: Judged, *, add: bool) -> Reason | None:
        """Why an example is a near copy of an earlier one that could be kept; a new one is remembered if `add`."""
        among = self._among["declines" if one.standing == "declines" else "good"]
        match = among.first(index, add=add)
        if match is None:
            return None
        text = f"says nearly the same as example {self._numbers[match.index]} (similarity {match.similarity:.2f})"
        return Reason(rule="near_duplicate", text=text)
