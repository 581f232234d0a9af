"""The events of a fine-tuning job: what is written into its record, in the service's shape and words.

In: a job's record and what happened. Out: the record, with one event more. Knows nothing of why it happened.
"""

from __future__ import annotations

from typing import Any

from llama_index_ft_rag.offline.api.step_metrics import describe_step, metrics_of
from llama_index_ft_rag.offline.protocol import stable_hash
from llama_index_ft_rag.offline.responder import TrainStep

Record = dict[str, Any]


def tell(job: Record, message: str, *, at: int, level: str = "info") -> None:
    """Add a message."""
    _append(job, at=at, level=level, message=message, data={}, kind="message")


def tell_step(job: Record, step: TrainStep, *, at: int) -> None:
    """Add the metrics of a training step."""
    data = {**metrics_of(step), "total_steps": step.total_steps}
    _append(job, at=at, level="info", message=describe_step(step), data=data, kind="metrics")


def tell_blocked(job: Record, model: str, *, at: int) -> None:
    """Add that safety checks keep a model back; the type is published, its words are not."""
    data = {"blocked": True, "results": [{"category": "harassment", "flagged": True, "enforcement": "blocking"}]}
    message = f"Moderation checks for snapshot {model} failed; the model is not released."
    _append(job, at=at, level="error", message=message, data=data, kind="moderation_checks")


def _append(job: Record, *, at: int, level: str, message: str, data: Record, kind: str) -> None:
    number = len(job["events"]) + 1
    job["events"].append(
        {
            "object": "fine_tuning.job.event",
            "id": "ftevent-" + stable_hash(job["id"], number)[:24],
            "created_at": at,
            "level": level,
            "message": message,
            "data": data,
            "type": kind,
        }
    )
