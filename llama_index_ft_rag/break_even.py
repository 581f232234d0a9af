"""Training cost and prices per question -> after how many questions the training has paid for itself.

In: money. Out: a `BreakEven`, or `None` where something is not known. Knows nothing of models, tokens or where
prices come from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """After how many questions a training run has paid for itself, against another arm."""

    arm: str
    against: str
    training_usd: float
    saving_usd_per_1000_questions: float
    """Negative when the tuned model costs more."""
    questions: int | None
    """`None`: never, since nothing is saved."""


def paid_back(
    arm: str,
    against: str,
    *,
    training_usd: float | None,
    usd_per_1000_questions: float | None,
    against_usd_per_1000_questions: float | None,
) -> BreakEven | None:
    """Set the training cost against the saving per question; `None` where one of the three is not known."""
    if training_usd is None or usd_per_1000_questions is None or against_usd_per_1000_questions is None:
        return None
    saving = against_usd_per_1000_questions - usd_per_1000_questions
    return BreakEven(
        arm=arm,
        against=against,
        training_usd=training_usd,
        saving_usd_per_1000_questions=saving,
        questions=math.ceil(1000 * training_usd / saving) if saving > 0 else None,
    )
