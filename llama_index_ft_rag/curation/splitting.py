"""Examples -> those to train on and those to validate with, siblings on the same side.

In: curated examples. Out: `Split`, each side in the order given. Examples that are tied, directly or through others,
form a group, and a group is never parted. Knows nothing of files.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from llama_index_ft_rag.curation.arguments import check_examples, check_names
from llama_index_ft_rag.curation.leaks import CROWD, LeakReport, find_leaks
from llama_index_ft_rag.curation.ties import TIES, Tie, tied
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample


@dataclass(frozen=True, kw_only=True)
class Split:
    """Examples to train on, and examples to validate with."""

    train: list[TrainingExample]
    validation: list[TrainingExample]
    groups: int
    """How many groups of examples that belong together there are."""
    largest_group: int
    """Number of examples in the largest one."""
    leaks: LeakReport
    """What validation examples have in common with training examples, by every tie, also those not kept together."""
    notice: str | None = None
    """Why the validation share is not what was asked for, or what a reader should know of the search."""

    def render(self) -> str:
        """Readable text."""
        lines = [
            f"split: {len(self.train):,} to train on, {len(self.validation):,} to validate with; "
            f"{self.groups:,} groups, the largest of {self.largest_group:,}"
        ]
        if self.notice:
            lines.append(f"note: {self.notice}")
        return "\n".join(lines) + "\n" + self.leaks.render()

    def to_markdown(self) -> str:
        """The same as markdown."""
        head = (
            f"## Split\n\n{len(self.train):,} to train on, {len(self.validation):,} to validate with; "
            f"{self.groups:,} groups, the largest of {self.largest_group:,}."
        )
        notice = f"\n\n> {self.notice}" if self.notice else ""
        return f"{head}{notice}\n\n{self.leaks.to_markdown()}"

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-able values, without the examples."""
        return {
            "train": len(self.train),
            "validation": len(self.validation),
            "groups": self.groups,
            "largest_group": self.largest_group,
            "notice": self.notice,
            "leaks": self.leaks.to_dict(),
        }


def split_examples(
    examples: Iterable[TrainingExample],
    *,
    validation: float = 0.1,
    seed: int = 0,
    together: Iterable[Tie] = TIES,
    near_duplicates: float = 0.9,
    templates: Iterable[str] = (),
) -> Split:
    """Part examples for training and validation without parting what belongs together.

    Args:
        examples: What is to be parted.
        validation: Share of the examples to validate with, above 0 and below 1. Groups are whole, so that it can
            only be approached, from below; of a share below one example, one is taken.
        seed: Decides which groups; the same examples and seed give the same split in any order.
        together: What ties examples. Retrieved nodes can tie a whole corpus together, and so does one `recording()`
            block around many questions, which makes them one query; without `same_source` or `same_query` such a set
            can be parted, and the leak report counts what it costs.
        near_duplicates: Similarity from which two examples say nearly the same.
        templates: The caller's own prompts, as for `curate`.

    Raises:
        ConfigurationError: If an argument is none of what it should be.
    """
    given, shapes = check_examples(examples), check_names("templates", templates)
    ties = check_names("together", together, known=TIES)
    if not isinstance(validation, Real) or isinstance(validation, bool) or not 0.0 < validation < 1.0:
        raise ConfigurationError(f"validation is {validation!r}; pass a share above 0 and below 1")
    crowds: list[str] = []
    groups, by_tie = _groups(given, ties, near_duplicates, shapes, on_crowd=lambda: crowds.append(CROWD))
    wanted = min(max(1, int(validation * len(given) + 1e-9)), len(given) - 1)
    chosen = _chosen(groups, [example.content_hash for example in given], wanted, seed=seed)
    train = [example for place, example in enumerate(given) if place not in chosen]
    held_out = [example for place, example in enumerate(given) if place in chosen]
    largest = max((len(group) for group in groups), default=0)
    return Split(
        train=train,
        validation=held_out,
        groups=len(groups),
        largest_group=largest,
        leaks=find_leaks(train, held_out, near_duplicates=near_duplicates, templates=shapes),
        notice=_notice(len(held_out), wanted, largest, len(given), by_tie) or (crowds[0] if crowds else None),
    )


def _groups(
    given: Sequence[TrainingExample],
    ties: tuple[Tie, ...],
    near_duplicates: float,
    templates: tuple[str, ...],
    *,
    on_crowd: Callable[[], None],
) -> tuple[list[list[int]], Counter[Tie]]:
    """The groups, and how many pairs each tie has."""
    from networkx.utils import UnionFind  # llama-index-core needs it, too

    groups = UnionFind(range(len(given)))

    def are_together(first: int, second: int) -> bool:
        return bool(groups[first] == groups[second])

    found = tied(
        given, ties=ties, near_duplicates=near_duplicates, templates=templates, skip=are_together, on_crowd=on_crowd
    )
    by_tie: Counter[Tie] = Counter()
    for pair in found:
        groups.union(pair.first, pair.second)
        by_tie[pair.tie] += 1
    return [sorted(group) for group in groups.to_sets()], by_tie


def _chosen(groups: Sequence[Sequence[int]], hashes: Sequence[str], wanted: int, *, seed: int) -> set[int]:
    """Whole groups, in an order that the seed gives, as long as they fit."""

    def turn(group: Sequence[int]) -> bytes:
        names = ":".join(sorted(hashes[place] for place in group))
        return hashlib.sha256(f"{seed}:{names}".encode()).digest()

    chosen: set[int] = set()
    for group in sorted(groups, key=turn):
        if len(chosen) + len(group) <= wanted:
            chosen.update(group)
    return chosen


def _notice(found: int, wanted: int, largest: int, total: int, by_tie: Counter[Tie]) -> str | None:
    if total < 2:
        return "a single example cannot be parted" if total else None
    if found >= max(1, wanted / 2):
        return None
    said = f"{found:,} instead of {wanted:,} examples to validate with: {largest:,} of {total:,} belong together"
    if not by_tie:
        return said
    tie = by_tie.most_common(1)[0][0]
    return (
        f"{said}, most by {tie}; without {tie} in together= (--may-part {tie} on the command line) more can be parted, "
        "and the leak report says at what cost"
    )
