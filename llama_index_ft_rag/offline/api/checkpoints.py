"""The checkpoints of a training, and the names of the models that came out of it.

In: a job's record and its training steps. Out: which steps are kept as models of their own, and the checkpoint
objects as the service shapes them. As in the service, the last epoch's checkpoint is the job's own model, and only
the last three epochs are kept. Knows nothing of where models are kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.api.step_metrics import metrics_of
from llama_index_ft_rag.offline.protocol import stable_hash
from llama_index_ft_rag.offline.responder import TrainStep, base_of

EPOCHS_KEPT = 3


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A step whose model is kept."""

    step: TrainStep
    model: str

    def to_json(self, *, job_id: str, created_at: int) -> dict[str, Any]:
        """Return it as the service shows it."""
        return {
            "object": "fine_tuning.job.checkpoint",
            "id": "ftckpt_" + stable_hash(job_id, self.step.step)[:24],
            "created_at": created_at,
            "fine_tuned_model_checkpoint": self.model,
            "fine_tuning_job_id": job_id,
            "metrics": metrics_of(self.step),
            "step_number": self.step.step,
        }


def choose_checkpoints(job: dict[str, Any], steps: Sequence[TrainStep]) -> list[Checkpoint]:
    """Return what is kept of a training, oldest first; the last one is the job's own model."""
    if not steps:
        return []
    epochs = sorted({step.epoch for step in steps})[-EPOCHS_KEPT:-1]
    last_of_epoch = {step.epoch: step for step in steps if step.weights is not None}
    kept = [last_of_epoch[epoch] for epoch in epochs if epoch in last_of_epoch]
    earlier = [Checkpoint(step=step, model=tuned_name(job, step=step.step)) for step in kept]
    return [*earlier, Checkpoint(step=steps[-1], model=tuned_name(job))]


def tuned_name(job: dict[str, Any], *, step: int | None = None) -> str:
    """Return the name of a job's model, or of the one after a step."""
    suffix = re.sub(r"[^a-z0-9-]+", "-", (job["user_provided_suffix"] or "").lower())
    name = f"ft:{base_of(job['model'])}:ft-rag:{suffix}"
    if step is None:
        return f"{name}:{stable_hash(job['id'], 'model')[:8]}"
    return f"{name}:{stable_hash(job['id'], 'model', step)[:8]}:ckpt-step-{step}"
