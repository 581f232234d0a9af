"""Lines of a training file -> a trained toy reader, by gradient steps that can really fail.

In: chat lines whose last message is the answer to imitate, and the reader to start from. Out: a reader whose weights
were fitted with Adagrad: a logistic loss on which sentences each answer took, and one on whether it took none.
Same lines, seed and epochs give the same weights to the last digit. Other ways to learn share the epochs, the steps
and the choice of how much to quote. Knows nothing of jobs or files.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

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


class Adagrad:
    """A weight vector that moves by gradients, less the more it has moved."""

    def __init__(self, start: Sequence[float], *, rate: float) -> None:
        self.weights = np.array(start, dtype=np.float64)
        self._rate = rate
        self._squares = np.full(len(start), 0.1)

    def move(self, gradient: Array) -> None:
        """Go one step down a gradient."""
        self._squares += gradient**2
        self.weights -= self._rate * gradient / np.sqrt(self._squares)

    def named(self, names: Sequence[str]) -> dict[str, float]:
        """Return the weights by name."""
        # Rounded, so that the last bit of another CPU's exponential function does not change a file's bytes.
        return {name: round(float(weight), 6) for name, weight in zip(names, self.weights, strict=True)}


class _Imitation:
    """Learns to take the sentences that the answers took, and to refuse where they refused."""

    def __init__(self, lessons: Sequence[Lesson], *, base: Reader, validation: Sequence[Lesson]) -> None:
        self._lessons = lessons
        self._base = base
        self._validation = validation
        self._sentence = Adagrad([base.sentence[name] for name in SENTENCE_FEATURES], rate=_RATE)
        self._abstain = Adagrad([base.abstain[name] for name in CONTEXT_FEATURES], rate=_RATE)
        self._choice = Choice(lessons)

    def learn(self, places: Sequence[int]) -> Figures:
        sentence_gradient = np.zeros_like(self._sentence.weights)
        abstain_gradient = np.zeros_like(self._abstain.weights)
        figures = self._figures([self._lessons[place] for place in places], sentence_gradient, abstain_gradient)
        self._sentence.move(sentence_gradient / len(places))
        self._abstain.move(abstain_gradient / len(places))
        return figures

    def measure(self) -> Figures | None:
        if not self._validation:
            return None
        unused = np.zeros_like(self._sentence.weights), np.zeros_like(self._abstain.weights)
        return self._figures(self._validation, *unused)

    def reader(self) -> Reader:
        sentence, abstain = self._sentence.named(SENTENCE_FEATURES), self._abstain.named(CONTEXT_FEATURES)
        return self._choice.fit(replace(self._base, sentence=sentence, abstain=abstain))

    def _figures(self, lessons: Sequence[Lesson], sentence_gradient: Array, abstain_gradient: Array) -> Figures:
        """Return the figures of some lessons, and add up their gradients in place."""
        loss = right = decisions = 0.0
        for lesson in lessons:
            labels = np.array([float(lesson.refused)])
            refusal = _logistic(lesson.decision[None, :], self._abstain.weights, labels, np.ones(1))
            abstain_gradient += refusal.gradient
            loss += refusal.loss
            right += refusal.right
            decisions += 1
            if lesson.refused or lesson.repeated or not len(lesson.rows):
                continue
            chosen = _logistic(lesson.rows, self._sentence.weights, lesson.taken, _balance(lesson.taken))
            sentence_gradient += chosen.gradient
            loss += chosen.loss
            right += chosen.right
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


class Choice:
    """Says how many sentences to quote and when to keep a draft, by what agrees best with lessons."""

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        self._quoting = [lesson for lesson in lessons if not lesson.refused and not lesson.repeated]
        self._refining = [
            (lesson.refine[2], pool, sentence_features(lesson.refine[0], pool), lesson.repeated)
            for lesson in lessons
            if lesson.refine is not None
            for pool in [read_context(f"{lesson.refine[1]}\n\n{lesson.refine[2]}")]
        ]
        self._known: dict[tuple[int, tuple[int, ...]], float] = {}

    def fit(self, reader: Reader) -> Reader:
        """Return a reader with the same weights that chooses as the lessons do."""
        candidates = [replace(reader, margin=margin, most=most) for most in _MOST for margin in _MARGINS]
        best = max(candidates, key=self._agreement) if self._quoting else reader
        if not self._refining:
            return best
        refining = [(best.gain(draft, pool, rows), repeated) for draft, pool, rows, repeated in self._refining]
        keep = max(_KEEPS, key=lambda limit: sum((gain <= limit) == repeated for gain, repeated in refining))
        return replace(best, keep=keep)

    def _agreement(self, reader: Reader) -> float:
        total = 0.0  # not sum(): it adds in another way from Python 3.12 on
        for place, lesson in enumerate(self._quoting):
            total += self._agree(place, tuple(reader.choose(lesson.rows)))
        return total

    def _agree(self, place: int, chosen: tuple[int, ...]) -> float:
        """Compare one quotation with the answer; the same ones come up again and again."""
        known = self._known.get((place, chosen))
        if known is not None:
            return known
        lesson = self._quoting[place]
        said: Counter[str] = Counter()
        for index in chosen:
            said.update(lesson.context.counts[index])
        return self._known.setdefault((place, chosen), token_f1(said, lesson.answer))


_RATE = 0.8
_MOST = (1, 2, 3, 4)
_MARGINS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
_KEEPS = (0.0, 0.5, 1.0, 2.0, 4.0, 1000.0)
_EPOCHS_KEPT = 3
