"""Pairs of answers, one preferred -> a trained toy reader, by direct preference optimisation.

In: preference lines, and the reader to start from. Out: a reader that is likelier to give the preferred answers. A
reader takes each sentence by its own score, so the log-odds of two answers to one prompt are the summed scores of
what only one of them took, or the score for refusing where one refuses. The loss of a pair is -log sigmoid(beta *
margin): by how much the new weights raise these log-odds above the base's. Same lines, seed, beta and epochs give
the same weights. Knows nothing of jobs or files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llama_index_ft_rag.offline.responder import TrainStep
from llama_index_ft_rag.offline.toys.features import Array
from llama_index_ft_rag.offline.toys.lessons import Lesson, read_lesson
from llama_index_ft_rag.offline.toys.reader import Reader
from llama_index_ft_rag.offline.toys.training import Adagrad, Figures, Quoting, Vectors, train


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One preference line, as numbers."""

    sentence: Array
    """Features of the sentences that the preferred answer alone took, less those that only the other one took."""
    decision: Array
    """Context features, with the sign that speaks for refusing; zeros where both refuse or neither does."""
    preferred: Lesson
    """What the preferred answer alone would teach: how much to quote."""


def read_pairs(lines: Sequence[Mapping[str, Any]]) -> list[Pair]:
    """Turn the lines whose two answers a reader can tell apart into pairs; others are left out."""
    pairs = []
    for line in lines:
        asked = line["input"]["messages"]
        preferred = read_lesson(asked, line["preferred_output"][0])
        rejected = read_lesson(asked, line["non_preferred_output"][0])
        if preferred is None or rejected is None or preferred.repeated or rejected.repeated:
            continue  # a draft that is repeated says nothing of the sentences of the new context
        only_one = preferred.taken - rejected.taken
        if preferred.refused or rejected.refused:
            only_one = np.zeros_like(only_one)
        pair = Pair(
            sentence=only_one @ preferred.rows,
            decision=(float(preferred.refused) - float(rejected.refused)) * preferred.decision,
            preferred=preferred,
        )
        if pair.sentence.any() or pair.decision.any():
            pairs.append(pair)
    return pairs


def train_preferences(
    pairs: Sequence[Pair],
    *,
    base: Reader,
    beta: float,
    seed: int,
    n_epochs: int,
    on_step: Callable[[TrainStep], None],
    validation: Sequence[Pair] = (),
) -> Reader:
    """Fit a reader to the pairs, starting from another one; `on_step` hears of every gradient step."""
    learner = _Preference(pairs, base=base, beta=beta, validation=validation)
    return train(learner, count=len(pairs), seed=seed, n_epochs=n_epochs, on_step=on_step)


class _Preference:
    """Learns to put the preferred answer of each pair above the other."""

    def __init__(self, pairs: Sequence[Pair], *, base: Reader, beta: float, validation: Sequence[Pair]) -> None:
        self._pairs = pairs
        self._beta = beta
        self._validation = validation
        self._descent = Adagrad(base, rate=_RATE)
        self._start = self._descent.weights
        self._quoting = Quoting([pair.preferred for pair in pairs])

    def learn(self, places: Sequence[int]) -> Figures:
        batch = [self._pairs[place] for place in places]
        margins = self._margins(batch)
        pulls = -self._beta / (1.0 + np.exp(np.clip(self._beta * margins, -30.0, 30.0)))
        sentence = pulls @ np.array([pair.sentence for pair in batch]) / len(batch)
        abstain = pulls @ np.array([pair.decision for pair in batch]) / len(batch)
        self._descent.move(Vectors(sentence=sentence, abstain=abstain))
        return self._figures(margins)

    def measure(self) -> Figures | None:
        return self._figures(self._margins(self._validation)) if self._validation else None

    def reader(self) -> Reader:
        return self._quoting.fit(self._descent.reader())

    def _margins(self, pairs: Sequence[Pair]) -> Array:
        now, start = self._descent.weights, self._start
        sentence, abstain = now.sentence - start.sentence, now.abstain - start.abstain
        return np.array([pair.sentence @ sentence + pair.decision @ abstain for pair in pairs])

    def _figures(self, margins: Array) -> Figures:
        """Return the mean loss, and the share of pairs that are further apart than before the training."""
        loss = np.logaddexp(0.0, -self._beta * margins)
        return Figures(loss=float(loss.mean()), accuracy=float((margins > 0.0).mean()))


# Smaller steps than for imitation: a pair only says what is better, and could push for ever.
_RATE = 0.2
