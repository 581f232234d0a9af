"""How a fine-tuning job moves on: from checking its files to a model, one state at each look.

In: a job's record. Out: the same record, one state later. The training runs on the move from `running` to
`succeeded`; one that was interrupted left nothing behind, and runs again to the same weights. Checked in this
order: the format of each example, their number, moderation; what is too long is cut, not refused. Knows nothing
of requests, nor of where records are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index_ft_rag.catalog import default_epochs
from llama_index_ft_rag.offline.api.checkpoints import choose_checkpoints, tuned_name
from llama_index_ft_rag.offline.api.example_lengths import FittedExamples, fit_examples
from llama_index_ft_rag.offline.api.files import Files
from llama_index_ft_rag.offline.api.job_events import Record, tell, tell_blocked, tell_step
from llama_index_ft_rag.offline.api.job_fates import JobFate
from llama_index_ft_rag.offline.api.job_settings import AUTO
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.api.moderation import find_flagged
from llama_index_ft_rag.offline.api.step_metrics import write_step_metrics
from llama_index_ft_rag.offline.api.training_files import MINIMUM_EXAMPLES, find_failure, read_lines
from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.protocol import Refusal, refuse
from llama_index_ft_rag.offline.responder import ApiFailure, Responder, TrainRequest, TrainStep

DEFAULT_BETA = 0.1
"""What `auto` means; the service's own choice is not published."""


class JobProgress:
    """Moves jobs on, within a change of the state that the caller has begun."""

    def __init__(
        self,
        *,
        files: Files,
        models: Models,
        responder: Responder,
        conditions: Callable[[], ServiceConditions],
        now: Callable[[], int],
    ) -> None:
        self._files = files
        self._models = models
        self._responder = responder
        self._conditions = conditions
        self._now = now
        self._moves = {"validating_files": self._validate, "queued": self._start, "running": self._train}

    def move_on(self, job: Record) -> None:
        """Move a job on by one state, where it has one to go to."""
        move = self._moves.get(job["status"])
        if move is None or _fate(job).stays == job["status"]:
            return
        try:
            move(job)
        except Refusal as refusal:
            self._fail(job, refusal.failure)

    def _validate(self, job: Record) -> None:
        lines = self._check(job, "training_file", minimum=MINIMUM_EXAMPLES)
        if job["validation_file"] is not None:
            self._check(job, "validation_file", minimum=1)
        flagged = find_flagged(lines, self._conditions().flagged_words)
        if flagged is not None:
            raise Refusal(flagged)
        settings = job["hyperparameters"]
        if settings["n_epochs"] == AUTO:
            settings["n_epochs"] = default_epochs(len(lines))
        if settings.get("beta") == AUTO:
            settings["beta"] = DEFAULT_BETA
        job["status"] = "queued"
        self._tell(job, "Files validated, moving job to queued state")

    def _check(self, job: Record, param: str, *, minimum: int) -> list[dict[str, Any]]:
        lines = self._read(job, param)
        failure = find_failure(lines, param=param, method=job["method"], minimum=minimum)
        if failure is not None:
            raise Refusal(failure)
        return lines

    def _read(self, job: Record, param: str) -> list[dict[str, Any]]:
        content = self._files.read(job[param])
        if content is None:
            message = f"File {job[param]} was deleted before the job could read it"
            raise refuse(message, code=f"invalid_{param}", param=param)
        with content:
            return read_lines(content)

    def _start(self, job: Record) -> None:
        job["status"] = "running"
        self._tell(job, "Fine-tuning job started")
        if job["ignored"]:
            names = " and ".join(job["ignored"])
            self._tell(job, f"The offline trainers do not use {names}", level="warn")
            job["ignored"] = []

    def _train(self, job: Record) -> None:
        examples = self._examples(job, "training_file")
        validation = self._examples(job, "validation_file").lines if job["validation_file"] is not None else ()
        settings = job["hyperparameters"]
        request = TrainRequest(
            lines=examples.lines,
            base_model=job["model"],
            seed=job["seed"],
            n_epochs=settings["n_epochs"],
            method=job["method"],
            beta=settings.get("beta", DEFAULT_BETA),
            validation_lines=validation,
        )
        fate = _fate(job)
        steps: list[TrainStep] = []
        weights = self._train_until(fate.fails_at_step, request, steps)
        if isinstance(weights, ApiFailure):
            raise Refusal(weights)
        for step in steps:
            tell_step(job, step, at=self._now())
        if fate.fails_at_step is not None:
            raise refuse(fate.message, code=fate.code)
        job["trained_tokens"] = examples.tokens * request.n_epochs
        self._succeed(job, weights, steps)

    def _train_until(
        self, last_step: int | None, request: TrainRequest, steps: list[TrainStep]
    ) -> dict[str, Any] | ApiFailure:
        """Train, and report steps up to one after which the training ends, without weights."""

        def on_step(step: TrainStep) -> None:
            steps.append(step)
            if step.step == last_step:
                raise _StoppedError

        try:
            return self._responder.train(request, on_step)
        except _StoppedError:
            return {}

    def _examples(self, job: Record, param: str) -> FittedExamples:
        """Read a file again, as it is not kept between two looks, and cut what is too long in it."""
        examples = fit_examples(self._read(job, param), model=job["model"])
        if examples.cut:
            message = f"{examples.cut} example(s) of the {param} have more than {examples.limit} tokens and were cut"
            self._tell(job, message, level="warn")
        return examples

    def _succeed(self, job: Record, weights: Mapping[str, Any], steps: Sequence[TrainStep]) -> None:
        model_id = tuned_name(job)
        result = self._files.add(write_step_metrics(steps), filename="step_metrics.csv", purpose="fine-tune-results")
        job.update(status="succeeded", finished_at=self._now(), result_files=[result["id"]])
        if _fate(job).no_model:
            tell_blocked(job, model_id, at=self._now())
        else:
            self._keep_models(job, model_id, weights, steps)
        self._tell(job, "Fine-tuning job successfully completed")

    def _keep_models(self, job: Record, model_id: str, weights: Mapping[str, Any], steps: Sequence[TrainStep]) -> None:
        checkpoints = choose_checkpoints(job, steps)
        for checkpoint in checkpoints[:-1]:
            self._add_model(checkpoint.model, checkpoint.step.weights or {})
            number = checkpoint.step.step
            self._tell(job, f"Checkpoint created at step {number} with Snapshot ID: {checkpoint.model}")
        self._add_model(model_id, weights)
        job["fine_tuned_model"] = model_id
        job["checkpoints"] = [kept.to_json(job_id=job["id"], created_at=self._now()) for kept in checkpoints]
        self._tell(job, f"New fine-tuned model created: {model_id}")

    def _add_model(self, model_id: str, weights: Mapping[str, Any]) -> None:
        # Through JSON, so that the model answers now exactly as it will after a restart.
        self._models.add(model_id, weights=json.loads(json.dumps(dict(weights))), created=self._now())

    def _fail(self, job: Record, failure: ApiFailure) -> None:
        error = {"code": failure.code or "server_error", "message": failure.message, "param": failure.param}
        job.update(status="failed", error=error, finished_at=self._now())
        self._tell(job, f"The job failed: {failure.message}", level="error")

    def _tell(self, job: Record, message: str, *, level: str = "info") -> None:
        tell(job, message, at=self._now(), level=level)


class _StoppedError(Exception):
    """Ends a training at the step at which it is to fail."""


def _fate(job: Record) -> JobFate:
    return JobFate.from_json(job["fate"])
