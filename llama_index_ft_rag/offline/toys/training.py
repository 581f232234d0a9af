"""What every way to train a toy reader shares: epochs, gradient steps that can really fail, how much to quote.

In: a learner and the number of its lines. Out: a reader, and a report of each step on the way. Same lines, seed and
epochs give the same weights to the last digit. Knows nothing of jobs or files, nor of what a learner learns from.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from llama_index_ft_rag.offline.responder import TrainStep
from llama_index_ft_rag.offline.toys.features import (
    CONTEXT_FEATURES,
    SENTENCE_FEATURES,
    Array,
    ReadContext,
    read_context,
    sentence_features,
)
from llama_index_ft_rag.offline.toys.lessons import Lesson, token_f1
from llama_index_ft_rag.offline.toys.reader import Reader


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How well weights do on some lines."""

    loss: float
    """Mean per line."""
    accuracy: float
    """Share of right decisions."""


class Learner(Protocol):
    """Weights that gradient steps move."""

    def learn(self, places: Sequence[int]) -> Figures:
        """Move the weights once, by the lines at these places; return how they did before."""

    def measure(self) -> Figures | None:
        """Return how the weights do on the validation lines; `None` where there are none."""

    def reader(self) -> Reader:
        """Return a reader with the weights as they are."""


def train(learner: Learner, *, count: int, seed: int, n_epochs: int, on_step: Callable[[TrainStep], None]) -> Reader:
    """Visit so many lines in a new order each epoch; the last epochs leave their weights as checkpoints."""
    size = max(1, count // 64)
    per_epoch = -(-count // size)
    order = list(range(count))
    shuffler = random.Random(seed)  # noqa: S311 - an order of lines, not a secret
    reader: Reader | None = None
    for step in range(per_epoch * n_epochs):
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            shuffler.shuffle(order)
        figures = learner.learn(order[place * size : (place + 1) * size])
        ends_epoch = place == per_epoch - 1
        measured = learner.measure() if ends_epoch else None
        is_kept = ends_epoch and epoch >= n_epochs - _EPOCHS_KEPT
        reader = learner.reader() if is_kept else None
        on_step(
            TrainStep(
                step=step + 1,
                total_steps=per_epoch * n_epochs,
                epoch=epoch + 1,
                train_loss=round(figures.loss, 6),
                train_accuracy=round(figures.accuracy, 6),
                valid_loss=None if measured is None else round(measured.loss, 6),
                valid_accuracy=None if measured is None else round(measured.accuracy, 6),
                weights=None if reader is None else reader.to_weights(),
            )
        )
    return reader or learner.reader()


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """One number for each weight of a reader, such as a gradient."""

    sentence: Array
    """In the order of `SENTENCE_FEATURES`."""
    abstain: Array
    """In the order of `CONTEXT_FEATURES`."""

    @classmethod
    def zeros(cls) -> Vectors:
        """Return vectors of zeros."""
        return cls(sentence=np.zeros(len(SENTENCE_FEATURES)), abstain=np.zeros(len(CONTEXT_FEATURES)))


class Adagrad:
    """The weights of a reader, each of which moves by its gradients, less the more it has moved."""

    def __init__(self, base: Reader, *, rate: float) -> None:
        self._base = base
        self._sentence = _Moving([base.sentence[name] for name in SENTENCE_FEATURES], rate=rate)
        self._abstain = _Moving([base.abstain[name] for name in CONTEXT_FEATURES], rate=rate)

    @property
    def weights(self) -> Vectors:
        """The weights as they are; later moves do not change what is returned."""
        return Vectors(sentence=self._sentence.weights, abstain=self._abstain.weights)

    def move(self, gradient: Vectors) -> None:
        """Go one step down a gradient."""
        self._sentence.move(gradient.sentence)
        self._abstain.move(gradient.abstain)

    def reader(self) -> Reader:
        """Return the reader that it started from, with these weights."""
        sentence, abstain = self._sentence.named(SENTENCE_FEATURES), self._abstain.named(CONTEXT_FEATURES)
        return replace(self._base, sentence=sentence, abstain=abstain)


class _Moving:
    """One vector of weights."""

    def __init__(self, start: Sequence[float], *, rate: float) -> None:
        self.weights: Array = np.array(start, dtype=np.float64)
        self._rate = rate
        self._squares = np.full(len(start), 0.1)

    def move(self, gradient: Array) -> None:
        self._squares += gradient**2
        self.weights = self.weights - self._rate * gradient / np.sqrt(self._squares)

    def named(self, names: Sequence[str]) -> dict[str, float]:
        # Rounded, so that the last bit of another CPU's exponential function does not change a file's bytes.
        return {name: round(float(weight), 6) for name, weight in zip(names, self.weights, strict=True)}


class Quoting:
    """Says how many sentences to quote and when to keep a draft, by what agrees best with lessons."""

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        self._quoting = [lesson for lesson in lessons if not lesson.refused and not lesson.repeated]
        self._refining = [step for lesson in lessons for step in _refining(lesson)]
        self._known: dict[tuple[int, tuple[int, ...]], float] = {}

    def fit(self, reader: Reader) -> Reader:
        """Return a reader with the same weights that quotes as the lessons do."""
        candidates = [replace(reader, margin=margin, most=most) for most in _MOST for margin in _MARGINS]
        best = max(candidates, key=self._agreement) if self._quoting else reader
        if not self._refining:
            return best
        gains = [best.gain(step.draft, step.pool, step.rows) for step in self._refining]

        def right(keep: float) -> int:
            return sum((gain <= keep) == step.repeated for gain, step in zip(gains, self._refining, strict=True))

        return replace(best, keep=max(_KEEPS, key=right))

    def _agreement(self, reader: Reader) -> float:
        total = 0.0  # not sum(): it adds in another way from Python 3.12 on
        for place, lesson in enumerate(self._quoting):
            total += self._agree(place, tuple(reader.choose(lesson.rows)))
        return total

    def _agree(self, place: int, quoted: tuple[int, ...]) -> float:
        """Compare one quotation with the answer; the same ones come up again and again."""
        known = self._known.get((place, quoted))
        if known is not None:
            return known
        lesson = self._quoting[place]
        said: Counter[str] = Counter()
        for index in quoted:
            said.update(lesson.context.counts[index])
        return self._known.setdefault((place, quoted), token_f1(said, lesson.answer))


@dataclass(frozen=True, kw_only=True)
class _Refining:
    """A refine step, as the reader sees it: its draft beside the new context."""

    draft: str
    pool: ReadContext
    rows: Array
    repeated: bool


def _refining(lesson: Lesson) -> list[_Refining]:
    """Return the refine step of a lesson, if it was one."""
    task = lesson.refine
    if task is None:
        return []
    pool = read_context(f"{task.context}\n\n{task.draft}")
    rows = sentence_features(task.question, pool)
    return [_Refining(draft=task.draft, pool=pool, rows=rows, repeated=lesson.repeated)]


_MOST = (1, 2, 3, 4)
_MARGINS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
_KEEPS = (0.0, 0.5, 1.0, 2.0, 4.0, 1000.0)
_EPOCHS_KEPT = 3
