"""The fine-tuning job endpoints: create, retrieve, list, events, checkpoints, cancel, pause, resume.

In: requests. Out: job objects as the service shapes them. A job moves on by one state each time it is retrieved,
and what it became is kept before it is told. While one look trains, others only tell how the job stands, and who
cancels or pauses it then has the last word: what the training gave is thrown away. So a pause takes effect at once,
and `pausing`, which the wire knows too, is never shown. Knows nothing of how a job is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llama_index_ft_rag.offline.api.files import Files
from llama_index_ft_rag.offline.api.job_checks import OPEN_STATUSES, check_new_job
from llama_index_ft_rag.offline.api.job_events import Record, tell
from llama_index_ft_rag.offline.api.job_fates import JobFate
from llama_index_ft_rag.offline.api.job_progress import JobProgress, Move
from llama_index_ft_rag.offline.api.job_settings import JobSettings, read_job_settings
from llama_index_ft_rag.offline.api.looks import Looks
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.api.training_files import content_hash
from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.protocol import (
    Request,
    Response,
    json_response,
    list_response,
    parse_object,
    refuse,
    stable_hash,
)
from llama_index_ft_rag.offline.responder import Responder
from llama_index_ft_rag.offline.state import State

_NEVER_SHOWN = ("events", "ignored", "fate", "checkpoints")


class Jobs:
    """Answers the requests under `/v1/fine_tuning/jobs`."""

    def __init__(
        self,
        state: State,
        *,
        files: Files,
        models: Models,
        responder: Responder,
        conditions: Callable[[], ServiceConditions],
        seed: int,
        now: Callable[[], int],
    ) -> None:
        self._state = state
        self._files = files
        self._models = models
        self._conditions = conditions
        self._seed = seed
        self._now = now
        self._looks = Looks()
        self._progress = JobProgress(files=files, models=models, responder=responder, conditions=conditions, now=now)

    def create(self, request: Request) -> Response:
        """Make a job that is about to check its files."""
        fate = JobFate.from_json(request.orders.get("job_fate", {}))
        settings = read_job_settings(parse_object(request.body))
        # Before the change: a large file takes a while to read, and would hold up everybody else.
        contents = [self._hash(file_id) for file_id in (settings.training_file, settings.validation_file)]
        with self._state.changing():
            check_new_job(
                settings,
                files=self._files,
                models=self._models,
                conditions=self._conditions(),
                jobs=lambda: self._state.all("job"),
            )
            job = self._new_job(settings, fate, contents)
            self._tell(job, f"Created fine-tuning job: {job['id']}")
            second = f" and validation file: {settings.validation_file}" if settings.validation_file else ""
            self._tell(job, f"Validating training file: {settings.training_file}{second}")
            self._keep(job)
        return _shown(job)

    def retrieve(self, _request: Request, job_id: str) -> Response:
        """Move a job on by one state, and return it."""
        with self._looks.claim(job_id) as is_ours:
            job = self._find(job_id)
            # Outside of any change: a training takes long, and would hold up everybody else.
            move = self._progress.next_move(job) if is_ours else None
            if move is not None:
                self._move(job, move)
        return _shown(self._find(job_id))

    def list_jobs(self, request: Request) -> Response:
        """Return the jobs, newest first, all or those of some metadata; none of them moves on."""
        wanted = _metadata_filter(request.query)
        jobs = [_public(job) for job in reversed(self._state.all("job")) if wanted(job["metadata"] or {})]
        return list_response(jobs, request.query, default_limit=20, max_limit=100)

    def events(self, request: Request, job_id: str) -> Response:
        """Return what happened to a job, newest first; it does not move on."""
        events = list(reversed(self._find(job_id)["events"]))
        return list_response(events, request.query, default_limit=20, max_limit=1000)

    def checkpoints(self, request: Request, job_id: str) -> Response:
        """Return the checkpoints of a job, newest first; there are none before it has succeeded."""
        checkpoints = list(reversed(self._find(job_id)["checkpoints"]))
        return list_response(checkpoints, request.query, default_limit=10, max_limit=100)

    def cancel(self, _request: Request, job_id: str) -> Response:
        """End a job that has not ended yet."""
        with self._state.changing():
            job = self._find(job_id)
            if job["status"] not in (*OPEN_STATUSES, "paused"):
                raise refuse(f'Cannot cancel a job {job_id} that already has status "{job["status"]}".')
            job.update(status="cancelled", finished_at=self._now())
            self._tell(job, "Fine-tuning job cancelled")
            self._keep(job)
        return _shown(job)

    def pause(self, _request: Request, job_id: str) -> Response:
        """Stop a running job until it is resumed."""
        return self._turn(job_id, "pause", expected="running", status="paused", message="Fine-tuning job paused")

    def resume(self, _request: Request, job_id: str) -> Response:
        """Put a paused job into the queue again."""
        return self._turn(job_id, "resume", expected="paused", status="queued", message="Fine-tuning job resumed")

    def _move(self, seen: Record, move: Move) -> None:
        with self._state.changing():
            job = self._find(seen["id"])
            if job["status"] == seen["status"]:  # it is not if the job was cancelled or paused since the look began
                move(job)
                self._keep(job)

    def _turn(self, job_id: str, verb: str, *, expected: str, status: str, message: str) -> Response:
        with self._state.changing():
            job = self._find(job_id)
            if job["status"] != expected:
                raise refuse(
                    f'Cannot {verb} a job {job_id} that has status "{job["status"]}"; it must have "{expected}".'
                )
            job["status"] = status
            self._tell(job, message)
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

    def _tell(self, job: Record, message: str) -> None:
        tell(job, message, at=self._now())

    def _new_job(self, settings: JobSettings, fate: JobFate, contents: list[str | None]) -> Record:
        number = self._state.next_number("job")
        asked = [settings.model, settings.method, settings.hyperparameters, settings.suffix, settings.seed]
        # The number keeps two jobs on the same data apart; file ids are left out, as they say nothing of a content.
        digest = stable_hash(self._seed, "job", number, asked, contents)
        own_seed = int(stable_hash(self._seed, "job", number)[-7:], 16)
        return {
            "object": "fine_tuning.job",
            "id": f"ftjob-{digest[:24]}",
            "model": settings.model,
            "created_at": self._now(),
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
            "seed": own_seed if settings.seed is None else settings.seed,
            "estimated_finish": None,
            "integrations": [],
            "metadata": settings.metadata,
            "method": settings.method,
            "events": [],
            "ignored": settings.ignored,
            "fate": fate.to_json(),
            "checkpoints": [],
        }

    def _hash(self, file_id: str | None) -> str | None:
        content = None if file_id is None else self._state.open_content(file_id)
        if content is None:
            return None
        with content:
            return content_hash(content)


def _public(job: Record) -> Record:
    shown = {key: value for key, value in job.items() if key not in _NEVER_SHOWN}
    shown["method"] = {"type": job["method"], job["method"]: {"hyperparameters": job["hyperparameters"]}}
    if job["method"] != "supervised":
        shown["hyperparameters"] = None  # as the one published example of such a job has it
    return shown


def _shown(job: Record) -> Response:
    return json_response(_public(job))


def _metadata_filter(query: Mapping[str, str]) -> Callable[[Mapping[str, str]], bool]:
    """Return what tells whether a job's metadata are among those that a list was asked for."""
    if query.get("metadata") == "null":
        return lambda metadata: not metadata
    wanted = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in query.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    return lambda metadata: wanted.items() <= metadata.items()
