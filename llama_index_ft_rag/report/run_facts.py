"""What a report says about the run behind a comparison: who, with what, when, and how the training went.

In: whatever the caller knows; every field may be left out. Out: `RunFacts` and `JobFacts`, plain values. Knows
nothing of how they are shown.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class LossPoint:
    """Training loss after a step."""

    step: int
    loss: float


def loss_words(loss: Sequence[LossPoint]) -> str:
    """How a loss moved: single steps jump about, so the means of both ends are told."""
    tenth = max(1, len(loss) // 10)
    first, last = (statistics.fmean(point.loss for point in part) for part in (loss[:tenth], loss[-tenth:]))
    return f"{first:.3f} at first, {last:.3f} at the end (means of {tenth})"


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """The fine-tuning job."""

    id: str | None = None
    status: str | None = None
    base_model: str | None = None
    tuned_model: str | None = None
    epochs: int | None = None
    trained_tokens: int | None = None
    """As the service billed them."""
    estimated_tokens: int | None = None
    """As counted before the upload, over all epochs."""
    training_usd: float | None = None
    """`None`: no price known, or nothing is charged."""
    loss: Sequence[LossPoint] = ()


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The run: documents, models, counts, job and provenance."""

    title: str = "Fine-tuning report"
    documents: Sequence[str] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    """By role: teacher, student, tuned, judge, embedding, ..."""
    backend: str = "openai"
    """`offline` marks the whole report as made with toy readers and a rule-based judge."""
    seed: int | None = None
    created: str | None = None
    """When, in words or ISO 8601."""
    command: str | None = None
    """Command line that makes the same run; without secrets."""
    train_questions: int | None = None
    eval_questions: int | None = None
    recorded: int | None = None
    """Training examples recorded."""
    kept: int | None = None
    """Of these, how many were trained on."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many were dropped, by reason; an example may have several reasons."""
    job: JobFacts | None = None
    money_notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """By package."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Duration by stage."""
