"""The figures of a training step, as the service spells them in events, checkpoints and the result file.

In: training steps. Out: metrics by name, one line of a log, a CSV file. What was not measured is left out, never 0.
The toys measure on the whole validation file, so its figures are the "full" ones too. Knows nothing of jobs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from llama_index_ft_rag.offline.responder import TrainStep

_COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


def metrics_of(step: TrainStep) -> dict[str, Any]:
    """Return the figures of a step, as a checkpoint has them."""
    measured = {
        "step": step.step,
        "train_loss": step.train_loss,
        "train_mean_token_accuracy": step.train_accuracy,
        "valid_loss": step.valid_loss,
        "valid_mean_token_accuracy": step.valid_accuracy,
        "full_valid_loss": step.valid_loss,
        "full_valid_mean_token_accuracy": step.valid_accuracy,
    }
    return {name: value for name, value in measured.items() if value is not None}


def describe_step(step: TrainStep) -> str:
    """Say how far a training is."""
    told = f"Step {step.step}/{step.total_steps}: training loss={step.train_loss:.2f}"
    if step.valid_loss is None:
        return told
    return f"{told}, validation loss={step.valid_loss:.2f}, full validation loss={step.valid_loss:.2f}"


def write_step_metrics(steps: Sequence[TrainStep]) -> bytes:
    """Write the result file `step_metrics.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for step in steps:
        writer.writerow([step.step, step.train_loss, step.train_accuracy, step.valid_loss, step.valid_accuracy])
    return text.getvalue().encode("ascii")
