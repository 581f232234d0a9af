"""Lines of a training file -> a trained toy reader, by gradient steps that can really fail.

In: chat lines whose last message is the answer to imitate, and the reader to start from. Out: a reader whose weights
were fitted with Adagrad: a logistic loss on which sentences each answer took, and one on whether it took none.
Same lines, seed and epochs give the same weights to the last digit. Knows nothing of jobs or files.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from llama_index_ft_rag.offline.responder import TrainStep
from llama_index_ft_rag.offline.toys.features import (
    CONTEXT_FEATURES,
    SENTENCE_FEATURES,
    Array,
    ReadContext,
    context_features,
    read_context,
    sentence_features,
)
from llama_index_ft_rag.offline.toys.prompts import AnswerTask, RefineTask, read_request
from llama_index_ft_rag.offline.toys.reader import Reader
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
    refine: tuple[str, str, str] | None = None
    """Question, context and draft of a refine step."""
    repeated: bool = False
    """Whether that step repeated its draft."""


def read_lessons(lines: Sequence[Mapping[str, Any]]) -> list[Lesson]:
    """Turn the lines that hold a question, a context and an answer into lessons; others are left out."""
    lessons = []
    for line in lines:
        messages = line.get("messages")
        if not isinstance(messages, list) or not messages:
            continue
        answer = messages[-1].get("content")
        task = read_request(messages[:-1])
        if isinstance(answer, str) and isinstance(task, AnswerTask | RefineTask) and task.context:
            lessons.append(_lesson(task, answer))
    return lessons


def train_reader(
    lessons: Sequence[Lesson],
    *,
    base: Reader,
    seed: int,
    n_epochs: int,
    on_step: Callable[[TrainStep], None],
) -> Reader:
    """Fit a reader to the lessons, starting from another one; `on_step` hears of every gradient step."""
    sentence = _Adagrad([base.sentence[name] for name in SENTENCE_FEATURES])
    abstain = _Adagrad([base.abstain[name] for name in CONTEXT_FEATURES])
    size = max(1, len(lessons) // 64)
    per_epoch = -(-len(lessons) // size)
    order = list(range(len(lessons)))
    shuffler = random.Random(seed)  # noqa: S311 - an order of lines, not a secret
    for step in range(per_epoch * n_epochs):
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            shuffler.shuffle(order)
        batch = [lessons[index] for index in order[place * size : (place + 1) * size]]
        loss, accuracy = _gradient_step(batch, sentence, abstain)
        on_step(
            TrainStep(
                step=step + 1,
                total_steps=per_epoch * n_epochs,
                epoch=epoch + 1,
                train_loss=round(loss, 6),
                train_accuracy=round(accuracy, 6),
            )
        )
    fitted = replace(base, sentence=sentence.named(SENTENCE_FEATURES), abstain=abstain.named(CONTEXT_FEATURES))
    return _fit_choice(fitted, lessons)


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
    draft = Counter(content_tokens(task.draft)) if isinstance(task, RefineTask) else Counter[str]()
    return Lesson(
        rows=rows,
        taken=taken,
        decision=context_features(task.question, context, rows),
        refused=not taken.any(),
        context=context,
        answer=said,
        refine=(task.question, task.context, task.draft) if isinstance(task, RefineTask) else None,
        repeated=isinstance(task, RefineTask) and token_f1(draft, said) > 0.9,
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


class _Adagrad:
    def __init__(self, start: Sequence[float]) -> None:
        self.weights = np.array(start, dtype=np.float64)
        self._squares = np.full(len(start), 0.1)

    def move(self, gradient: Array) -> None:
        self._squares += gradient**2
        self.weights -= _RATE * gradient / np.sqrt(self._squares)

    def named(self, names: Sequence[str]) -> dict[str, float]:
        # Rounded, so that the last bit of another CPU's exponential function does not change a file's bytes.
        return {name: round(float(weight), 6) for name, weight in zip(names, self.weights, strict=True)}


def _gradient_step(batch: Sequence[Lesson], sentence: _Adagrad, abstain: _Adagrad) -> tuple[float, float]:
    """Move both weight vectors once; return the mean loss and the share of right decisions before the move."""
    loss = right = decisions = 0.0
    sentence_gradient = np.zeros_like(sentence.weights)
    abstain_gradient = np.zeros_like(abstain.weights)
    for lesson in batch:
        refusal = _logistic(lesson.decision[None, :], abstain.weights, np.array([float(lesson.refused)]), np.ones(1))
        abstain_gradient += refusal.gradient
        loss += refusal.loss
        right += refusal.right
        decisions += 1
        if lesson.refused or lesson.repeated or not len(lesson.rows):
            continue
        chosen = _logistic(lesson.rows, sentence.weights, lesson.taken, _balance(lesson.taken))
        sentence_gradient += chosen.gradient
        loss += chosen.loss
        right += chosen.right
        decisions += len(lesson.rows)
    sentence.move(sentence_gradient / len(batch))
    abstain.move(abstain_gradient / len(batch))
    return loss / len(batch), right / decisions


@dataclass(frozen=True, kw_only=True)
class _Fit:
    loss: float
    gradient: Array
    right: int


def _logistic(rows: Array, weights: Array, labels: Array, importance: Array) -> _Fit:
    scores = np.clip(rows @ weights, -30.0, 30.0)
    chance = 1.0 / (1.0 + np.exp(-scores))
    entropy = -(labels * np.log(chance) + (1.0 - labels) * np.log1p(-chance))
    return _Fit(
        loss=float(importance @ entropy),
        gradient=rows.T @ (importance * (chance - labels)),
        right=int(np.sum((chance >= 0.5) == (labels > 0.5))),
    )


def _balance(taken: Array) -> Array:
    """Give the sentences taken half of the importance: they are one or two among dozens."""
    positive = float(taken.sum())
    negative = len(taken) - positive
    if not positive or not negative:
        return np.full(len(taken), 1.0 / len(taken))
    importance: Array = np.where(taken > 0.5, 0.5 / positive, 0.5 / negative)
    return importance


def _fit_choice(reader: Reader, lessons: Sequence[Lesson]) -> Reader:
    """Set how many sentences to quote and when to keep a draft, by what agrees best with the lessons."""
    quoting = [lesson for lesson in lessons if not lesson.refused and not lesson.repeated]
    candidates = [replace(reader, margin=margin, most=most) for most in _MOST for margin in _MARGINS]
    best = max(candidates, key=lambda candidate: _agreement(candidate, quoting)) if quoting else reader
    refining = [
        (best.gain(lesson.refine[2], pool, sentence_features(lesson.refine[0], pool)), lesson.repeated)
        for lesson in lessons
        if lesson.refine is not None
        for pool in [read_context(f"{lesson.refine[1]}\n\n{lesson.refine[2]}")]
    ]
    if not refining:
        return best
    keep = max(_KEEPS, key=lambda limit: sum((gain <= limit) == repeated for gain, repeated in refining))
    return replace(best, keep=keep)


def _agreement(reader: Reader, lessons: Sequence[Lesson]) -> float:
    total = 0.0
    for lesson in lessons:
        said: Counter[str] = Counter()
        for index in reader.choose(lesson.rows):
            said.update(lesson.context.counts[index])
        total += token_f1(said, lesson.answer)
    return total


_RATE = 0.8
_MOST = (1, 2, 3, 4)
_MARGINS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
_KEEPS = (0.0, 0.5, 1.0, 2.0, 4.0, 1000.0)
