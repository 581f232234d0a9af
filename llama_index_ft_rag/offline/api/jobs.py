"""The fine-tuning job endpoints: create, retrieve, list, events, cancel.

In: requests. Out: job objects as the service shapes them. A job moves on by one state each time it is
retrieved, and what it became is kept before it is told. The training runs on the move from `running` to
`succeeded`; one that was interrupted left nothing behind, and runs again to the same weights.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

from llama_index_ft_rag.offline.api.files import Files
from llama_index_ft_rag.offline.api.job_settings import JobSettings, default_epochs, read_settings
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.api.training_files import count_file_tokens, find_failure, read_lines
from llama_index_ft_rag.offline.protocol import (
    Refusal,
    Request,
    Response,
    json_response,
    list_response,
    parse_object,
    refuse,
    stable_hash,
)
from llama_index_ft_rag.offline.responder import ApiFailure, Responder, TrainRequest, TrainStep
from llama_index_ft_rag.offline.state import State

Record = dict[str, Any]

OPEN_STATUSES = ("validating_files", "queued", "running")
"""A job in one of these moves on when it is looked at."""


class Jobs:
    """Answers the requests under `/v1/fine_tuning/jobs`."""

    def __init__(
        self,
        state: State,
        *,
        files: Files,
        models: Models,
        responder: Responder,
        seed: int,
        now: Callable[[], int],
    ) -> None:
        self._state = state
        self._files = files
        self._models = models
        self._responder = responder
        self._seed = seed
        self._now = now
        self._moves = {"validating_files": self._validate, "queued": self._start, "running": self._train}

    def create(self, request: Request) -> Response:
        """Make a job that is about to check its files."""
        settings = read_settings(parse_object(request.body))
        with self._state.changing():
            self._check_file(settings.training_file, "training_file")
            if settings.validation_file is not None:
                self._check_file(settings.validation_file, "validation_file")
            if not self._models.is_tunable(settings.model):
                raise refuse(
                    f"Model {settings.model} is not available for fine-tuning or does not exist.",
                    code="model_not_available",
                )
            number = self._state.next_number("job")
            job = _new_job(settings, number=number, backend_seed=self._seed, created_at=self._now())
            self._tell(job, f"Created fine-tuning job: {job['id']}")
            self._tell(job, f"Validating training file: {settings.training_file}")
            self._keep(job)
        return _shown(job)

    def retrieve(self, _request: Request, job_id: str) -> Response:
        """Move a job on by one state, and return it."""
        with self._state.changing():
            job = self._find(job_id)
            if job["status"] in OPEN_STATUSES:
                self._moves[job["status"]](job)
                self._keep(job)
        return _shown(job)

    def list_jobs(self, request: Request) -> Response:
        """Return the jobs, newest first; none of them moves on."""
        jobs = [_public(job) for job in reversed(self._state.all("job"))]
        return list_response(jobs, request.query, default_limit=20, max_limit=100)

    def events(self, request: Request, job_id: str) -> Response:
        """Return what happened to a job, newest first; it does not move on."""
        events = list(reversed(self._find(job_id)["events"]))
        return list_response(events, request.query, default_limit=20, max_limit=1000)

    def cancel(self, _request: Request, job_id: str) -> Response:
        """End a job that has not ended yet."""
        with self._state.changing():
            job = self._find(job_id)
            if job["status"] not in OPEN_STATUSES:
                raise refuse(f"Job has already completed: {job_id} is {job['status']}", param="fine_tune_id")
            job.update(status="cancelled", finished_at=self._now())
            self._tell(job, "Fine-tuning job cancelled")
            self._keep(job)
        return _shown(job)

    def _find(self, job_id: str) -> Record:
        job = self._state.get("job", job_id)
        if job is None:
            raise refuse(
                f"Could not find fine tune: {job_id}",
                status=404,
                param="fine_tune_id",
                code="fine_tune_not_found",
            )
        return job

    def _keep(self, job: Record) -> None:
        self._state.put("job", job["id"], job)

    def _check_file(self, file_id: str, param: str) -> None:
        record = self._files.find(file_id)
        if record is None:
            raise refuse(f"No file with ID: {file_id}", param=param)
        if record["purpose"] != "fine-tune":
            raise refuse(
                f"File {file_id} has purpose '{record['purpose']}'; a job needs one for 'fine-tune'.",
                param=param,
            )

    def _validate(self, job: Record) -> None:
        try:
            self._check_contents(job)
        except Refusal as refusal:
            self._fail(job, refusal.failure)
            return
        job["status"] = "queued"
        self._tell(job, "Files validated, moving job to queued state")

    def _check_contents(self, job: Record) -> None:
        failure = find_failure(self._read(job["training_file"], "training_file"), param="training_file")
        if failure is None and job["validation_file"] is not None:
            lines = self._read(job["validation_file"], "validation_file")
            failure = find_failure(lines, param="validation_file", minimum=1)
            self._tell(job, "The offline backend computes no validation metrics", level="warn")
        if failure is not None:
            raise Refusal(failure)

    def _read(self, file_id: str, param: str) -> list[Any]:
        content = self._files.read(file_id)
        if content is None:
            message = f"File {file_id} was deleted before the job could read it"
            raise refuse(message, code=f"invalid_{param}", param=param)
        with content:
            return read_lines(content)

    def _start(self, job: Record) -> None:
        job["status"] = "running"
        self._tell(job, "Fine-tuning job started")
        if job["ignored"]:
            names = " and ".join(job["ignored"])
            self._tell(job, f"The offline trainers do not use {names}", level="warn")

    def _train(self, job: Record) -> None:
        try:
            lines = self._read(job["training_file"], "training_file")
        except Refusal as refusal:
            self._fail(job, refusal.failure)
            return
        asked = job["hyperparameters"]["n_epochs"]
        n_epochs = default_epochs(len(lines)) if asked == "auto" else int(asked)
        steps: list[TrainStep] = []
        request = TrainRequest(lines=lines, base_model=job["model"], seed=job["seed"], n_epochs=n_epochs)
        weights = self._responder.train(request, steps.append)
        if isinstance(weights, ApiFailure):
            self._fail(job, weights)
            return
        for step in steps:
            self._tell_step(job, step)
        job["hyperparameters"]["n_epochs"] = n_epochs
        job["trained_tokens"] = count_file_tokens(lines) * n_epochs
        self._succeed(job, weights, steps)

    def _succeed(self, job: Record, weights: dict[str, Any], steps: list[TrainStep]) -> None:
        model_id = _tuned_name(job)
        # Through JSON, so that the model answers now exactly as it will after a restart.
        self._models.add(model_id, weights=json.loads(json.dumps(weights)), created=self._now())
        result = self._files.add(_metrics_csv(steps), filename="step_metrics.csv", purpose="fine-tune-results")
        job.update(
            status="succeeded",
            fine_tuned_model=model_id,
            finished_at=self._now(),
            result_files=[result["id"]],
        )
        self._tell(job, f"New fine-tuned model created: {model_id}")
        self._tell(job, "Fine-tuning job successfully completed")

    def _fail(self, job: Record, failure: ApiFailure) -> None:
        error = {
            "code": failure.code or "server_error",
            "message": failure.message,
            "param": failure.param,
        }
        job.update(status="failed", error=error, finished_at=self._now())
        self._tell(job, f"The job failed: {failure.message}", level="error")

    def _tell(self, job: Record, message: str, *, level: str = "info") -> None:
        self._append_event(job, {"level": level, "message": message, "data": None, "type": "message"})

    def _tell_step(self, job: Record, step: TrainStep) -> None:
        message = f"Step {step.step}/{step.total_steps}: training loss={step.train_loss:.2f}"
        data = {"step": step.step, "total_steps": step.total_steps, "train_loss": step.train_loss}
        if step.train_accuracy is not None:
            data["train_mean_token_accuracy"] = step.train_accuracy
        self._append_event(job, {"level": "info", "message": message, "data": data, "type": "metrics"})

    def _append_event(self, job: Record, event: dict[str, Any]) -> None:
        number = len(job["events"]) + 1
        job["events"].append(
            {
                "object": "fine_tuning.job.event",
                "id": "ftevent-" + stable_hash(job["id"], number)[:24],
                "created_at": self._now(),
                **event,
            }
        )


def _new_job(settings: JobSettings, *, number: int, backend_seed: int, created_at: int) -> Record:
    digest = stable_hash(backend_seed, "job", number)
    return {
        "object": "fine_tuning.job",
        "id": f"ftjob-{digest[:24]}",
        "model": settings.model,
        "created_at": created_at,
        "finished_at": None,
        "fine_tuned_model": None,
        "organization_id": "org-offline",
        "result_files": [],
        "status": "validating_files",
        "training_file": settings.training_file,
        "validation_file": settings.validation_file,
        "hyperparameters": settings.hyperparameters,
        "trained_tokens": None,
        "error": {},
        "user_provided_suffix": settings.suffix,
        "seed": settings.seed if settings.seed is not None else int(digest[-7:], 16),
        "estimated_finish": None,
        "integrations": [],
        "metadata": settings.metadata,
        "events": [],
        "ignored": list(settings.ignored),
    }


def _public(job: Record) -> Record:
    shown = {key: value for key, value in job.items() if key not in {"events", "ignored"}}
    shown["method"] = {"type": "supervised", "supervised": {"hyperparameters": job["hyperparameters"]}}
    return shown


def _shown(job: Record) -> Response:
    return json_response(_public(job))


def _tuned_name(job: Record) -> str:
    model = job["model"]
    base = model.split(":")[1] if model.startswith("ft:") else model
    suffix = re.sub(r"[^a-z0-9-]+", "-", (job["user_provided_suffix"] or "").lower())
    return f"ft:{base}:ft-rag:{suffix}:{stable_hash(job['id'], 'model')[:8]}"


def _metrics_csv(steps: list[TrainStep]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "train_loss", "train_accuracy"])
    for step in steps:
        accuracy = "" if step.train_accuracy is None else step.train_accuracy
        writer.writerow([step.step, step.train_loss, accuracy])
    return text.getvalue().encode("ascii")
