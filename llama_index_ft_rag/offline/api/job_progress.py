"""How a fine-tuning job moves on: from checking its files to a model, one state at each look.

In: a job's record. Out: the move that makes it one state later, after the work that this takes. The training is
the work between `running` and `succeeded`; one that was interrupted left nothing behind, and runs again to the same
weights. Checked in this order: the format of each example, their number, moderation; what is too long is cut, not
refused. Knows nothing of requests, nor of where records are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from llama_index_ft_rag.offline.api.checkpoints import choose_checkpoints, tuned_name
from llama_index_ft_rag.offline.api.example_lengths import FittedExamples, fit_examples
from llama_index_ft_rag.offline.api.files import Files
from llama_index_ft_rag.offline.api.job_events import Record, tell, tell_blocked, tell_step
from llama_index_ft_rag.offline.api.job_fates import JobFate
from llama_index_ft_rag.offline.api.job_settings import AUTO
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.api.moderation import find_flagged
from llama_index_ft_rag.offline.api.step_metrics import write_step_metrics
from llama_index_ft_rag.offline.api.training_files import MINIMUM_EXAMPLES, find_failure, read_examples
from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.protocol import Refusal, refuse
from llama_index_ft_rag.offline.responder import ApiFailure, Responder, TrainRequest, TrainStep
from llama_index_ft_rag.prices import default_epochs

DEFAULT_BETA = 0.1
"""What `auto` means; the service's own choice is not published."""

Move = Callable[[Record], None]
"""Makes a job's record what it has become, within a change of the state that the caller has begun."""


@dataclass(frozen=True, kw_only=True)
class _Training:
    """A training that has ended, well or not."""

    examples: FittedExamples
    validation: FittedExamples | None
    n_epochs: int
    steps: Sequence[TrainStep]
    weights: Mapping[str, Any] | ApiFailure


class JobProgress:
    """Does what has to be done before a job can move on."""

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
        self._works = {"validating_files": self._validate, "queued": self._start, "running": self._train}

    def next_move(self, job: Record) -> Move | None:
        """Do the work of the next state outside of any change, and return the move; `None` where there is none."""
        work = self._works.get(job["status"])
        if work is None or _fate(job).stays == job["status"]:
            return None
        try:
            return work(job)
        except Refusal as refusal:
            return partial(self._fail, failure=refusal.failure)

    def _validate(self, job: Record) -> Move:
        lines = self._check(job, "training_file", minimum=MINIMUM_EXAMPLES)
        if job["validation_file"] is not None:
            self._check(job, "validation_file", minimum=1)
        flagged = find_flagged(lines, self._conditions().flagged_words)
        if flagged is not None:
            raise Refusal(flagged)
        return partial(self._queue, examples=len(lines))

    def _queue(self, job: Record, *, examples: int) -> None:
        settings = job["hyperparameters"]
        if settings["n_epochs"] == AUTO:
            settings["n_epochs"] = default_epochs(examples)
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
        content = self._files.open(job[param])
        if content is None:
            message = f"File {job[param]} was deleted before the job could read it"
            raise refuse(message, code=f"invalid_{param}", param=param)
        with content:
            return read_examples(content)

    def _start(self, _job: Record) -> Move:
        return self._run

    def _run(self, job: Record) -> None:
        job["status"] = "running"
        self._tell(job, "Fine-tuning job started")
        if job["ignored"]:
            names = " and ".join(job["ignored"])
            self._tell(job, f"The offline trainers do not use {names}", level="warn")
            job["ignored"] = []

    def _train(self, job: Record) -> Move:
        examples = self._examples(job, "training_file")
        validation = None if job["validation_file"] is None else self._examples(job, "validation_file")
        settings = job["hyperparameters"]
        request = TrainRequest(
            lines=examples.lines,
            base_model=job["model"],
            seed=job["seed"],
            n_epochs=settings["n_epochs"],
            method=job["method"],
            beta=settings.get("beta", DEFAULT_BETA),
            validation_lines=() if validation is None else validation.lines,
        )
        steps: list[TrainStep] = []
        training = _Training(
            examples=examples,
            validation=validation,
            n_epochs=request.n_epochs,
            steps=steps,
            weights=self._train_until(_fate(job).fails_at_step, request, steps),
        )
        return partial(self._end, training=training)

    def _end(self, job: Record, *, training: _Training) -> None:
        self._tell_cut(job, training.examples, "training_file")
        self._tell_cut(job, training.validation, "validation_file")
        if isinstance(training.weights, ApiFailure):
            self._fail(job, training.weights)
            return
        for step in training.steps:
            tell_step(job, step, at=self._now())
        fate = _fate(job)
        if fate.fails_at_step is not None:
            self._fail(job, ApiFailure(message=fate.message, code=fate.code))
            return
        job["trained_tokens"] = training.examples.tokens * training.n_epochs
        self._succeed(job, training.weights, training.steps)

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
        return fit_examples(self._read(job, param), model=job["model"])

    def _tell_cut(self, job: Record, examples: FittedExamples | None, param: str) -> None:
        if examples is not None and examples.cut:
            message = f"{examples.cut} example(s) of the {param} have more than {examples.limit} tokens and were cut"
            self._tell(job, message, level="warn")

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
