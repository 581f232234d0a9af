"""What must be there before an operation can succeed: files, jobs in a state, tuned models, batches.

In: a backend, and the operation that is to be asked for. Out: fresh ids for its path and its body. Uses the
openai client, as anybody would.
"""

from __future__ import annotations

import json
from itertools import cycle
from typing import Any

from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder, open_clients

MODEL = "scripted"
TRAINING = (
    b"\n".join(
        b'{"messages": [{"role": "user", "content": "%d?"}, {"role": "assistant", "content": "%d."}]}' % (n, n)
        for n in range(12)
    )
    + b"\n"
)
BATCH = b"".join(
    json.dumps(
        {
            "custom_id": str(n),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": MODEL, "messages": [{"role": "user", "content": "q"}]},
        }
    ).encode()
    + b"\n"
    for n in range(2)
)

_JOB_STATUSES = {
    "cancel": "queued",
    "pause": "running",
    "resume": "paused",
    "checkpoints": "succeeded",
    "events": "succeeded",
}
_LIFE_OF_A_JOB = ("validating_files", "queued", "running", "succeeded", "failed", "cancelled", "paused")
_FEW_LINES = TRAINING[: TRAINING.index(b"\n") + 1]
_MOST_LOOKS = 10


class Stage:
    """One backend, and the way to fill it."""

    def __init__(self, backend: OfflineBackend) -> None:
        self._client = open_clients(backend).sync
        self._statuses = cycle(_LIFE_OF_A_JOB)
        self._looks = cycle(range(_MOST_LOOKS))

    def file(self, content: bytes = TRAINING, *, purpose: Any = "fine-tune", name: str = "train.jsonl") -> str:
        """Upload a file; return its id."""
        return self._client.files.create(file=(name, content), purpose=purpose).id

    def job(self, status: str = "validating_files", *, model: str = MODEL) -> str:
        """Make a job, and bring it to a status; return its id."""
        jobs = self._client.fine_tuning.jobs
        steps: dict[str, tuple[str, Any]] = {
            "paused": ("running", jobs.pause),
            "cancelled": ("validating_files", jobs.cancel),
        }
        wanted, step = steps.get(status, (status, None))
        content = _FEW_LINES if status == "failed" else TRAINING
        job = jobs.create(model=model, training_file=self.file(content))
        seen = [job.status]
        while job.status != wanted:
            if len(seen) > _MOST_LOOKS:
                raise AssertionError(f"the job never became {wanted}: {seen}")
            job = jobs.retrieve(job.id)
            seen.append(job.status)
        if step is not None:
            step(job.id)
        return job.id

    def tuned_model(self) -> str:
        """Train a model; return its name."""
        return str(self._client.fine_tuning.jobs.retrieve(self.job("succeeded")).fine_tuned_model)

    def batch(self, *, looks: int = 0) -> str:
        """Make a batch, and look at it so often; return its id."""
        file_id = self.file(BATCH, purpose="batch", name="batch.jsonl")
        batch = self._client.batches.create(
            input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        for _ in range(looks):
            self._client.batches.retrieve(batch.id)
        return batch.id

    def id_for(self, operation: str) -> str:
        """Make what an operation on one thing needs to succeed, or one more thing to list; return its id.

        Where any state will do, all states take turns.
        """
        segments = operation.split("/")
        if segments[2] == "fine_tuning":
            return self.job(_JOB_STATUSES.get(segments[-1]) or next(self._statuses))
        if segments[2] == "batches":
            return self.batch(looks=0 if segments[-1] == "cancel" else next(self._looks))
        return {"files": self.file, "models": self.tuned_model}[segments[2]]()


def served_operations() -> tuple[str, ...]:
    """Return all that the backend answers."""
    with OfflineBackend(responder=ScriptedResponder([""])) as backend:
        return backend.routes
