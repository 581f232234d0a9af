"""Chunks in, who is asked for how many questions in the next round, and which of those found are kept.

Both are spread evenly over the document. Knows nothing of how a chunk is asked.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from llama_index.core.schema import BaseNode

from llama_index_ft_rag.errors import QuestionError

logger = logging.getLogger(__name__)


@dataclass
class Chunk:
    """A node, what it was asked for and what it gave."""

    node: BaseNode
    text: str
    asked: int = 0
    needed: int = 0
    found: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None

    def may_know_more(self, most: int) -> bool:
        """Whether it gave all it was asked for, and may be asked for more."""
        return self.error is None and len(self.found) >= self.asked and self.asked < most


def plan_round(chunks: Sequence[Chunk], missing: int, *, width: int, most: int, seed: int) -> list[Chunk]:
    """Choose the chunks of the next round and set what each is asked for: its share and a small reserve."""
    fresh = [chunk for chunk in chunks if not chunk.asked]
    ready = fresh or [chunk for chunk in chunks if chunk.may_know_more(most)]
    count = min(len(ready), missing * width)
    if not count:
        return []
    phase = random.Random(seed).random()  # noqa: S311 - which chunks come first, no secret
    chosen = [ready[int((place + phase) * len(ready) / count)] for place in range(count)]
    for place, chunk in enumerate(chosen):
        share = max(1, (place + 1) * missing // count - place * missing // count)
        chunk.needed += share
        chunk.asked = min(most, share + 1 + share // 5) if fresh else most
    return chosen


def pick(chunks: Sequence[Chunk], wanted: int, avoid: set[str]) -> list[tuple[Chunk, str]]:
    """Take one question of each chunk in turn, in the order of the document, none twice."""
    taken = set(avoid)
    picked: list[tuple[Chunk, str]] = []
    queues = [(chunk, iter(chunk.found.items())) for chunk in chunks if chunk.found]
    while queues and len(picked) < wanted:
        left = []
        for chunk, queue in queues:
            fresh = next(((key, text) for key, text in queue if key not in taken), None)
            if fresh is not None and len(picked) < wanted:
                taken.add(fresh[0])
                picked.append((chunk, fresh[1]))
                left.append((chunk, queue))
        queues = left
    return picked


def check_harvest(chunks: Sequence[Chunk], found: int, *, wanted: int | None) -> None:
    """Refuse a harvest of nothing, and log what is missing of a poor one."""
    asked = [chunk for chunk in chunks if chunk.asked]
    errors = [chunk.error for chunk in asked if chunk.error is not None]
    if errors and len(errors) == len(asked):
        raise QuestionError(
            f"all {len(asked)} calls for questions failed, the first with {cause(errors[0])}; check the model, "
            "the endpoint and its limits, and try again"
        ) from errors[0]
    if not found:
        raise QuestionError(
            f"none of {len(asked)} replies held a new question; use a stronger model or another question_gen_query"
        )
    if errors:
        logger.warning("%s of %s calls for questions failed and were left out", len(errors), len(asked))
    if wanted is not None and found < wanted:
        logger.warning("%s of %s questions: %s chunks of text gave no more", found, wanted, len(asked))


def cause(exc: Exception) -> str:
    """Return an error as one short line."""
    return f"{type(exc).__name__}: {' '.join(str(exc).split())[:300]}"
