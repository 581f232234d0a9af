"""Lessons -> a trained toy reader, by imitation of their answers.

In: lessons, and the reader to start from. Out: a reader whose weights were fitted to a logistic loss on which
sentences each answer took, and one on whether it took none. Knows nothing of jobs or files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from llama_index_ft_rag.offline.responder import TrainStep
from llama_index_ft_rag.offline.toys.features import Array
from llama_index_ft_rag.offline.toys.lessons import Lesson
from llama_index_ft_rag.offline.toys.reader import Reader
from llama_index_ft_rag.offline.toys.training import Adagrad, Figures, Quoting, Vectors, train


def train_reader(
    lessons: Sequence[Lesson],
    *,
    base: Reader,
    seed: int,
    n_epochs: int,
    on_step: Callable[[TrainStep], None],
    validation: Sequence[Lesson] = (),
) -> Reader:
    """Fit a reader to the lessons, starting from another one; `on_step` hears of every gradient step."""
    learner = _Imitation(lessons, base=base, validation=validation)
    return train(learner, count=len(lessons), seed=seed, n_epochs=n_epochs, on_step=on_step)


class _Imitation:
    """Learns to take the sentences that the answers took, and to refuse where they refused."""

    def __init__(self, lessons: Sequence[Lesson], *, base: Reader, validation: Sequence[Lesson]) -> None:
        self._lessons = lessons
        self._validation = validation
        self._descent = Adagrad(base, rate=_RATE)
        self._quoting = Quoting(lessons)

    def learn(self, places: Sequence[int]) -> Figures:
        gradient = Vectors.zeros()
        figures = self._figures([self._lessons[place] for place in places], gradient)
        count = len(places)
        self._descent.move(Vectors(sentence=gradient.sentence / count, abstain=gradient.abstain / count))
        return figures

    def measure(self) -> Figures | None:
        return self._figures(self._validation, Vectors.zeros()) if self._validation else None

    def reader(self) -> Reader:
        return self._quoting.fit(self._descent.reader())

    def _figures(self, lessons: Sequence[Lesson], gradient: Vectors) -> Figures:
        """Return the figures of some lessons, and add up their gradients in place."""
        weights = self._descent.weights
        loss = right = decisions = 0.0
        for lesson in lessons:
            labels = np.array([float(lesson.refused)])
            refusal = _logistic(lesson.decision[None, :], weights.abstain, labels, np.ones(1))
            gradient.abstain[:] += refusal.gradient
            loss += refusal.loss
            right += refusal.right
            decisions += 1
            if lesson.refused or lesson.repeated or not len(lesson.rows):
                continue
            sentences = _logistic(lesson.rows, weights.sentence, lesson.taken, _balance(lesson.taken))
            gradient.sentence[:] += sentences.gradient
            loss += sentences.loss
            right += sentences.right
            decisions += len(lesson.rows)
        return Figures(loss=loss / len(lessons), accuracy=right / decisions)


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


_RATE = 0.8
