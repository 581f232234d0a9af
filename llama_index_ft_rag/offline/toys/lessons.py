"""Lines of a training file -> lessons: what one request and its answer teach a toy reader, as numbers.

In: chat messages. Out: features of the sentences of the context, which of them the answer took, and whether it took
none; `None` where a reader can learn nothing. Knows nothing of how weights are fitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llama_index_ft_rag.offline.toys.features import (
    Array,
    ReadContext,
    context_features,
    read_context,
    sentence_features,
)
from llama_index_ft_rag.offline.toys.prompts import AnswerTask, RefineTask, read_request
from llama_index_ft_rag.offline.toys.text import abstains, content_tokens


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One training line, as numbers."""

    rows: Array
    """Sentence features, one row per sentence of the context."""
    taken: Array
    """1 where the answer took the sentence, 0 elsewhere."""
    decision: Array
    """Context features."""
    refused: bool
    """Whether the answer took nothing from the context: it abstains, or it says something else."""
    context: ReadContext
    answer: Counter[str]
    refine: RefineTask | None = None
    """The refine step that was asked for, if it was one."""
    repeated: bool = False
    """Whether that step repeated its draft."""


def read_lessons(lines: Sequence[Mapping[str, Any]]) -> list[Lesson]:
    """Turn the lines that hold a question, a context and an answer into lessons; others are left out."""
    lessons = []
    for line in lines:
        messages = line.get("messages")
        # A line that was cut at its end has lost its answer, and an answer of weight 0 is not to be imitated.
        if messages and messages[-1]["role"] == "assistant" and messages[-1].get("weight") != 0:
            lessons.append(read_lesson(messages[:-1], messages[-1]))
    return [lesson for lesson in lessons if lesson is not None]


def read_lesson(asked: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> Lesson | None:
    """Turn one request and one answer to it into a lesson; `None` if a reader can learn nothing from them."""
    task, said = read_request(asked), answer.get("content")
    if isinstance(said, str) and isinstance(task, AnswerTask | RefineTask) and task.context:
        return _lesson(task, said)
    return None


def token_f1(left: Counter[str], right: Counter[str]) -> float:
    """Return the F1 overlap of two bags of tokens: 1 where both are equal, 0 where nothing is shared."""
    shared = sum((left & right).values())
    total = sum(left.values()) + sum(right.values())
    return 2.0 * shared / total if total else 1.0


def _lesson(task: AnswerTask | RefineTask, answer: str) -> Lesson:
    context = read_context(task.context)
    rows = sentence_features(task.question, context)
    said = Counter(content_tokens(answer))
    taken = np.zeros(len(rows)) if abstains(answer) else _taken(context, said)
    refine = task if isinstance(task, RefineTask) else None
    return Lesson(
        rows=rows,
        taken=taken,
        decision=context_features(task.question, context, rows),
        refused=not taken.any(),
        context=context,
        answer=said,
        refine=refine,
        repeated=refine is not None and token_f1(Counter(content_tokens(refine.draft)), said) > 0.9,
    )


def _taken(context: ReadContext, answer: Counter[str]) -> Array:
    """Mark the sentences whose content words are in the answer; where none is, the nearest one if near enough."""
    shares = np.array(
        [sum((count & answer).values()) / sum(count.values()) for count in context.counts], dtype=np.float64
    )
    long_enough = np.array([sum(count.values()) >= 3 for count in context.counts], dtype=bool)
    taken: Array = ((shares >= 0.6) & long_enough).astype(np.float64)
    if len(shares) and not taken.any() and float(shares.max()) >= 0.4:
        taken[int(np.argmax(shares))] = 1.0
    return taken
