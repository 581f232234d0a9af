"""How a training goes: steps, losses and checkpoints, from what a service tells of them.

In: a job's events, its result file, its checkpoint objects; any field may be missing, any text may be there. Out:
`TrainingProgress`, rows of curves, `Checkpoint`s. Touches no network.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llama_index_ft_rag.errors import MissingExtraError
from llama_index_ft_rag.finetuning.interface import FinetuneEvent
from llama_index_ft_rag.finetuning.outcome import read_time

if TYPE_CHECKING:
    import pandas as pd

# "Step 90/90: training loss=0.00": what OpenAI writes since 2023.
_STEP = re.compile(r"[Ss]tep (\d{1,9})(?:/(\d{1,9}))?")
# The result file and the events give one figure two names.
_SAME = {"train_accuracy": "train_mean_token_accuracy", "valid_accuracy": "valid_mean_token_accuracy"}
COLUMNS = (
    "train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy", "full_valid_loss",
    "full_valid_mean_token_accuracy",
)  # fmt: skip
"""Figures of a step, as OpenAI names them; a `full_` one is of the whole validation file, the others of a batch."""

MOST_STEPS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """How far a training is."""

    step: int
    total_steps: int | None = None
    train_loss: float | None = None
    valid_loss: float | None = None
    estimated_finish: datetime | None = None
    """As the service expects it."""

    def render(self) -> str:
        """One line."""
        of = f" of {self.total_steps:,}" if self.total_steps else ""
        parts = [f"step {self.step:,}{of}"]
        losses = (("training loss", self.train_loss), ("validation loss", self.valid_loss))
        parts += [f"{name} {loss:.3f}" for name, loss in losses if loss is not None]
        if self.estimated_finish is not None:
            parts.append(f"finish expected {self.estimated_finish:%Y-%m-%d %H:%M} UTC")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A state of the training that the service kept; it can be asked like the tuned model."""

    model: str
    """Its name as a model."""
    id: str | None = None
    """Its id at the service, by which some deploy it."""
    step: int | None = None
    created_at: datetime | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Figures at that step, such as `valid_loss`."""


def read_progress(
    events: Iterable[FinetuneEvent], *, estimated_finish: datetime | None = None
) -> TrainingProgress | None:
    """The furthest step that events tell of; `None` before the first one."""
    steps = [found for found in map(_step_of, events) if found is not None]
    if not steps:
        return None
    last = max(steps, key=lambda step: step.step)
    return TrainingProgress(
        step=last.step,
        total_steps=last.total_steps,
        train_loss=last.train_loss,
        valid_loss=last.valid_loss,
        estimated_finish=estimated_finish,
    )


def read_checkpoint(checkpoint: Any) -> Checkpoint | None:
    """Read a service's checkpoint object; `None` where it names no model."""
    model = getattr(checkpoint, "fine_tuned_model_checkpoint", None)
    if not isinstance(model, str) or not model:
        return None
    step = _whole(getattr(checkpoint, "step_number", None))
    metrics = getattr(checkpoint, "metrics", None)
    told = {name: _number(getattr(metrics, name, None)) for name in COLUMNS}
    return Checkpoint(
        model=model,
        id=checkpoint_id if isinstance(checkpoint_id := getattr(checkpoint, "id", None), str) else None,
        step=step,
        created_at=read_time(getattr(checkpoint, "created_at", None)),
        metrics={name: value for name, value in told.items() if value is not None},
    )


def curve_rows(events: Iterable[FinetuneEvent], result_file: bytes | None = None) -> list[dict[str, float | int]]:
    """Merge what events and the result file tell of each step; where both do, the file is taken.

    Returns:
        One row per step, in their order: `step` and those of `COLUMNS` that are known of it.
    """
    rows: dict[int, dict[str, float | int]] = {}
    told = [dict(event.data) for event in events if isinstance(event.data, Mapping)]
    for figures in [*told, *_rows_of(result_file or b"")]:
        step = _whole(figures.get("step"))
        known = {name: value for name in COLUMNS if (value := _figure(figures, name)) is not None}
        if step is not None and known and (step in rows or len(rows) < MOST_STEPS):
            rows.setdefault(step, {"step": step}).update(known)
    return [rows[step] for step in sorted(rows)]


def curve_frame(rows: Iterable[Mapping[str, float | int]]) -> pd.DataFrame:
    """Make a DataFrame of curves: `step` as index, one column per figure that is known of any step, NaN elsewhere.

    Raises:
        MissingExtraError: If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as exc:
        raise MissingExtraError("metrics()", extra="ragas", missing="pandas") from exc
    table = list(rows)
    columns = [name for name in COLUMNS if any(name in row for row in table)]
    frame: pd.DataFrame = pd.DataFrame(
        [[row.get(name, math.nan) for name in columns] for row in table], columns=columns, dtype=float
    )
    frame.index = pd.Index([row["step"] for row in table], name="step", dtype="int64")
    return frame


def _step_of(event: FinetuneEvent) -> TrainingProgress | None:
    data = event.data if isinstance(event.data, Mapping) else {}
    said = _STEP.search(event.message[:200])
    step = _whole(data.get("step"))
    if step is None and said is not None and "loss" in event.message:
        step = int(said[1])
    if step is None:
        return None
    total = _whole(data.get("total_steps"))
    if total is None and said is not None and said[2]:
        total = int(said[2])
    return TrainingProgress(
        step=step, total_steps=total, train_loss=_figure(data, "train_loss"), valid_loss=_figure(data, "valid_loss")
    )


def _rows_of(content: bytes) -> list[dict[str, str]]:
    """Read a result file, a CSV that OpenAI hands out plain or in base64."""
    text = content.decode("utf-8", "replace").lstrip("\ufeff")
    if not text.startswith("step"):
        try:
            text = base64.b64decode(b"".join(content.split()), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return []
    if not text.startswith("step"):
        return []
    try:
        return [dict(row) for row in csv.DictReader(io.StringIO(text))]
    except csv.Error:
        return []


def _figure(figures: Mapping[str, Any], name: str) -> float | None:
    old = next((old for old, new in _SAME.items() if new == name), name)
    found = _number(figures.get(name))
    return found if found is not None else _number(figures.get(old))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    # A service writes -1 for a figure that it did not measure at that step.
    return number if math.isfinite(number) and number >= 0 else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None
