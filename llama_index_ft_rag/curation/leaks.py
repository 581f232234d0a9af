"""Training items and held-out items -> what ties them together, so that a held-out one is no fair test.

In: training examples or questions on either side. Out: `LeakReport`. Two items are tied by the same messages, query,
question or source, or by nearly the same wording. Knows nothing of how they were parted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llama_index_ft_rag.curation.arguments import check_names
from llama_index_ft_rag.curation.ties import TIES, Item, Tie, question_of, tied
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.hostile_text import markdown_text, one_line
from llama_index_ft_rag.questions import Question

_MEANS = {
    "same_example": "the same messages and tools",
    "same_query": "a step of the same recorded query",
    "same_question": "the same question",
    "near_question": "nearly the same question",
    "near_example": "nearly the same question and answer",
    "same_source": "the same retrieved node or context",
}
_SHOWN = 5
CROWD = "so many examples look alike that not all of them were compared with each other"


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One thing a held-out item has in common with a training item, by their places from 0."""

    tie: Tie
    train: int
    held_out: int


@dataclass(frozen=True, kw_only=True)
class LeakReport:
    """What held-out items have in common with training items."""

    train: int
    """How many training items there are."""
    held_out: int
    leaks: tuple[Leak, ...]
    """For each held-out item and tie the first training item."""
    questions: dict[int, str]
    """The question of each held-out item that leaks, where it is known."""
    notice: str | None = None
    """What a reader should know of the search."""

    @property
    def ok(self) -> bool:
        """Whether nothing leaks."""
        return not self.leaks

    def counts(self) -> dict[Tie, int]:
        """How many held-out items leak, by tie."""
        found = Counter(leak.tie for leak in self.leaks)
        return {tie: found[tie] for tie in TIES if found[tie]}

    def render(self) -> str:
        """Readable text."""
        leaking = len({leak.held_out for leak in self.leaks})
        lines = [
            f"leaks: {leaking:,} of {self.held_out:,} held-out items are tied to one of {self.train:,} in training"
        ]
        lines += [f"  {count:>5,}  {_MEANS[tie]}" for tie, count in self.counts().items()]
        for index, question in list(self.questions.items())[:_SHOWN]:
            ties = ", ".join(leak.tie for leak in self.leaks if leak.held_out == index)
            lines.append(f"  such as {one_line(question, limit=60)!r} ({ties})")
        lines += [f"note: {self.notice}"] if self.notice else []
        return "\n".join(lines) + "\n"

    def to_markdown(self) -> str:
        """The same as markdown."""
        leaking = len({leak.held_out for leak in self.leaks})
        parts = [
            f"## Leaks\n\n{leaking:,} of {self.held_out:,} held-out items are tied to one of {self.train:,} in "
            "training."
        ]
        if self.leaks:
            rows = [f"| {_MEANS[tie]} | {count:,} |" for tie, count in self.counts().items()]
            parts.append("\n".join(["| tie | held-out items |", "|---|---:|", *rows]))
            named = list(self.questions.values())[:_SHOWN]
            parts += ["\n".join(f"- {markdown_text(question, limit=160)}" for question in named)] if named else []
        parts += [f"> {self.notice}"] if self.notice else []
        return "\n\n".join(parts) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-able values."""
        return {
            "train": self.train,
            "held_out": self.held_out,
            "counts": self.counts(),
            "leaks": [asdict(leak) for leak in self.leaks],
            "notice": self.notice,
        }


def find_leaks(
    train: Sequence[Item],
    held_out: Sequence[Item],
    *,
    ties: Iterable[Tie] = TIES,
    near_duplicates: float = 0.9,
    templates: Iterable[str] = (),
) -> LeakReport:
    """Find what held-out items, such as evaluation questions, have in common with training items.

    Args:
        train: Examples or questions.
        held_out: Examples or questions.
        ties: What to look for.
        near_duplicates: Similarity from which two examples say nearly the same.
        templates: The caller's own prompts, as for `curate`.

    Raises:
        ConfigurationError: If there is no such tie, or the similarity is none.
    """
    items = [*train, *held_out]
    if wrong := [item for item in items if not isinstance(item, TrainingExample | Question)]:
        raise ConfigurationError(
            f"{type(wrong[0]).__name__} is neither a TrainingExample nor a Question; read files with read_lines, "
            "read_examples or read_questions"
        )
    found: dict[tuple[int, Tie], int] = {}
    shapes, edge = check_names("templates", templates), len(train)

    def on_one_side(first: int, second: int) -> bool:
        return (first < edge) == (second < edge)

    crowds: list[str] = []
    pairs = tied(
        items,
        ties=ties,
        near_duplicates=near_duplicates,
        templates=shapes,
        skip=on_one_side,
        on_crowd=lambda: crowds.append(CROWD),
    )
    for pair in pairs:
        if not on_one_side(pair.first, pair.second):
            key = (pair.second - edge, pair.tie)
            found[key] = min(pair.first, found.get(key, pair.first))
    leaks = tuple(
        Leak(tie=tie, train=left, held_out=index)
        for (index, tie), left in sorted(found.items(), key=lambda pair: (pair[0][0], TIES.index(pair[0][1])))
    )
    texts = {leak.held_out: question_of(held_out[leak.held_out], templates=shapes) for leak in leaks}
    questions = {index: text for index, text in texts.items() if text}
    return LeakReport(
        train=len(train),
        held_out=len(held_out),
        leaks=leaks,
        questions=questions,
        notice=crowds[0] if crowds else None,
    )
