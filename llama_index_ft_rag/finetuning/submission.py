"""Getting a training file and a job to an OpenAI-compatible service, each exactly once.

In: a plan, its record store and a client. Out: the record with the job's id. Every write on the network is
announced in the record first. Where an announced write was never answered (a killed process, a lost reply), the
service's lists are searched before it is sent again; nor is anything sent that they already have. One submission at
a time works on a record. Knows nothing of what becomes of the job.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

import openai
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

from llama_index_ft_rag.errors import FileNotAcceptedError, FinetuneError, TrainingNotAvailableError
from llama_index_ft_rag.finetuning.job import DataFile, Intent, JobPlan, JobRecord, JobStore
from llama_index_ft_rag.finetuning.listing import HAS_NO_LIST, TRANSIENT, answer_of, listed, may_heal
from llama_index_ft_rag.finetuning.outcome import named_lines
from llama_index_ft_rag.finetuning.settings import JobSettings
from llama_index_ft_rag.finetuning.talk import Talk, pause
from llama_index_ft_rag.finetuning.waiting import Deadline, Pacing

logger = logging.getLogger(__name__)

T = TypeVar("T")

_RETRY_PAUSES = (2.0, 8.0)
_LATE_PAUSES = (2.0, 8.0, 20.0, 30.0)
_FILE_POLL_SECONDS = 5.0
_LOCK_POLL_SECONDS = 0.5

_HASHES_LENGTH = len("-0123456789ab-01234567.jsonl")
_FILE_READY = ("processed", "succeeded", "success")
_FILE_REFUSED = ("error", "failed", "deleted")
_JOB_LOST = ("failed", "cancelled", "canceled")


class Submission:
    """Brings one plan from its record, however far that got, to a job.

    The clients' own retries are switched off for writes: a request that timed out may have arrived, so the lists are
    searched before it is sent again.

    Args:
        plan: What is to be trained.
        settings: What is asked of the job besides its files.
        store: Where the record is kept.
        pacing: How long to wait for the service to process the file.
        level: Log level of the progress messages.
    """

    def __init__(self, *, plan: JobPlan, settings: JobSettings, store: JobStore, pacing: Pacing, level: int) -> None:
        self._plan = plan
        self._settings = settings
        self._store = store
        self._pacing = pacing
        self._level = level

    def run(self, *, force: bool = False) -> Talk[JobRecord]:
        """Do what is not done yet.

        Args:
            force: Start another job where there is one of the same file and settings; one that is being submitted
                is continued nevertheless.

        Raises:
            FileNotAcceptedError: If the service refused the file or did not process it in time.
            TrainingNotAvailableError: If the organisation may not create jobs.
            FinetuneError: If another submission holds the record too long, or what answers is no such service.
            openai.APIError: Whatever else the service answered.
        """
        lock = yield from self._lock()
        with closing(lock):
            record = self._store.open(self._plan)
            if force and record.job_id is not None:
                record = self._store.renew(record, self._plan)
            elif force and record.intent != "create_job":  # no job was asked for yet
                record = self._store.save(record, forced=True)
            return (yield from self._go_on(record))

    def _lock(self) -> Talk[sqlite3.Connection]:
        deadline = self._pacing.deadline(self._pacing.file_timeout)
        while True:
            lock = self._store.try_lock()
            if lock is not None:
                return lock
            if not (yield from deadline.pause(_LOCK_POLL_SECONDS)):
                raise FinetuneError(
                    f"{self._store.path}: another process is still submitting this job after {deadline.seconds:g} s;"
                    " wait for it and start again (its job is continued), or pass a longer file_timeout"
                )

    def _go_on(self, record: JobRecord) -> Talk[JobRecord]:
        if record.job_id is not None:
            logger.log(self._level, "Job %s was started before; nothing is sent again", record.job_id)
            return record
        if record.file_id is None:
            file_id = yield from self._upload(record, self._plan.training, "upload_training_file")
            record = self._store.save(record, file_id=file_id, intent=None)
        if self._plan.validation is not None and record.validation_file_id is None:
            file_id = yield from self._upload(record, self._plan.validation, "upload_validation_file")
            record = self._store.save(record, validation_file_id=file_id, intent=None)
        if record.forced and record.earlier_jobs is None:
            others = yield from self._search(self._all_jobs_of(record), may_be_sent=False)
            record = self._store.save(record, earlier_jobs=others or [])
        job_id = yield from self._start(record)
        return self._store.save(record, job_id=job_id, intent=None)

    def _upload(self, record: JobRecord, file: DataFile, intent: Intent) -> Talk[str]:
        name = self._plan.upload_name(file)

        def find() -> Talk[str | None]:
            files = yield from listed(
                lambda client, **query: client.files.list(**query),
                endpoint=self._plan.endpoint,
                until=lambda one: _is_usable(one, name),
                purpose="fine-tune",
            )
            return next((one.id for one in files if _is_usable(one, name)), None)

        def upload() -> Talk[str]:
            sent = yield from answer_of(
                lambda client: _once_only(client).files.create(file=(name, file.content), purpose="fine-tune"),
                endpoint=self._plan.endpoint,
                is_write=True,
            )
            return sent.id

        file_id = yield from self._once(record, intent, find=find, send=upload)
        logger.log(self._level, "%s: uploaded to %s as file %s", file.path, self._plan.endpoint, file_id)
        return file_id

    def _start(self, record: JobRecord) -> Talk[str]:
        deadline = self._pacing.deadline(self._pacing.file_timeout)

        def find() -> Talk[str | None]:
            jobs = yield from self._all_jobs_of(record)
            return next((one for one in jobs if one not in (record.earlier_jobs or ())), None)

        def create() -> Talk[str]:
            for file_id in (record.file_id, record.validation_file_id):
                if file_id is not None:
                    yield from self._wait_for_file(file_id, deadline)
            return (yield from self._create_job(record, deadline))

        job_id = yield from self._once(record, "create_job", find=find, send=create)
        logger.log(self._level, "Job %s started: %s trains on file %s", job_id, record.base_model, record.file_id)
        return job_id

    def _all_jobs_of(self, record: JobRecord) -> Talk[list[str]]:
        """Ids of the listed jobs that train what the record says."""
        jobs = yield from listed(
            lambda client, **query: client.fine_tuning.jobs.list(**query),
            endpoint=self._plan.endpoint,
            until=lambda one: not record.forced and _is_job_of(one, record),
            limit=100,
        )
        return [one.id for one in jobs if _is_job_of(one, record)]

    def _once(
        self,
        record: JobRecord,
        intent: Intent,
        *,
        find: Callable[[], Talk[str | None]],
        send: Callable[[], Talk[str]],
    ) -> Talk[str]:
        """Send a write and return the id it made, unless that is at the service already: records get lost."""
        found = yield from self._search(find(), may_be_sent=record.intent == intent)
        if found is not None:
            logger.log(self._level, "Found %s from an earlier attempt; nothing is sent again", found)
            return found
        self._store.save(record, intent=intent)
        for seconds in _RETRY_PAUSES:
            try:
                return (yield from send())
            except TRANSIENT as exc:
                if not may_heal(exc):
                    raise
                logger.warning("%s: %s; looking again in %s s", intent, exc, seconds)
                if isinstance(exc, openai.APITimeoutError):
                    return (yield from self._arrived(intent, find, exc))
            yield from pause(seconds)
            found = yield from self._search(find(), may_be_sent=True)
            if found is not None:
                return found
        return (yield from send())

    def _arrived(
        self, intent: Intent, find: Callable[[], Talk[str | None]], error: openai.APITimeoutError
    ) -> Talk[str]:
        """Look for a write that timed out: it may take effect late, so it is not sent again in this call."""
        for seconds in _LATE_PAUSES:
            yield from pause(seconds)
            found = yield from self._search(find(), may_be_sent=True)
            if found is not None:
                return found
        raise FinetuneError(
            f"{self._plan.endpoint} did not answer in time ({intent}); it may still take effect, and nothing was sent"
            " again: call finetune() again in some minutes, which looks for it first"
        ) from error

    def _search(self, find: Talk[T], *, may_be_sent: bool) -> Talk[T | None]:
        try:
            return (yield from find)
        except openai.APIStatusError as exc:
            if exc.status_code not in HAS_NO_LIST:
                raise
            if may_be_sent:
                raise self._cannot_tell(exc) from exc
            logger.log(self._level, "%s has no list to search: %s", self._plan.endpoint, exc)
            return None

    def _cannot_tell(self, exc: openai.APIStatusError) -> FinetuneError:
        return FinetuneError(
            f"{self._plan.endpoint} has no list to search ({exc.status_code}), and what was sent last may have arrived"
            " there: look for it at the service, then pass the job's id as start_job_id, or move"
            f" {self._store.path} away and call finetune() to send everything again"
        )

    def _create_job(self, record: JobRecord, deadline: Deadline) -> Talk[str]:
        body = self._job_body(record)
        while True:
            try:
                job = yield from answer_of(
                    lambda client: _once_only(client).fine_tuning.jobs.create(**body),
                    endpoint=self._plan.endpoint,
                    is_write=True,
                )
            except openai.BadRequestError as exc:
                if "still being processed" not in exc.message:
                    raise
                if not (yield from deadline.pause(self._file_poll)):
                    raise _not_processed(str(record.file_id), "uploaded", deadline) from exc
            except openai.PermissionDeniedError as exc:
                if exc.code != "training_not_available":
                    raise
                raise self._training_not_available(record) from exc
            else:
                return job.id

    def _job_body(self, record: JobRecord) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._plan.base_model, "training_file": record.file_id}
        body.update(self._settings.body())
        if record.validation_file_id is not None:
            body["validation_file"] = record.validation_file_id
        return body

    def _wait_for_file(self, file_id: str, deadline: Deadline) -> Talk[None]:
        while True:
            file = yield from self._look_at_file(file_id)
            # The field is deprecated: a service without it judges the file when the job is created.
            status = getattr(file, "status", None)
            if status is None or status in _FILE_READY:
                return
            if status in _FILE_REFUSED:
                details = getattr(file, "status_details", None) or "the service gave no reason"
                raise FileNotAcceptedError(
                    f"file {file_id} was refused ({status}): {details}; correct it and call finetune() again",
                    file_id=file_id,
                    lines=named_lines(str(details)),
                )
            logger.log(self._level, "File %s is %s; waiting until it is processed", file_id, status)
            if not (yield from deadline.pause(self._file_poll)):
                raise _not_processed(file_id, status, deadline)

    def _look_at_file(self, file_id: str) -> Talk[FileObject]:
        try:
            return (yield from answer_of(lambda client: client.files.retrieve(file_id), endpoint=self._plan.endpoint))
        except openai.NotFoundError as exc:
            raise FileNotAcceptedError(
                f"file {file_id} is no longer at {self._plan.endpoint}; move {self._store.path} away and call"
                " finetune() to upload it again",
                file_id=file_id,
            ) from exc

    @property
    def _file_poll(self) -> float:
        return min(self._pacing.poll_interval, _FILE_POLL_SECONDS)

    def _training_not_available(self, record: JobRecord) -> TrainingNotAvailableError:
        return TrainingNotAvailableError(
            f"{self._plan.endpoint} no longer lets this organisation create fine-tuning jobs (403"
            f" training_not_available); nothing was trained and nothing was charged, the training file stays"
            f" uploaded as {record.file_id}. The same file can be trained on at Azure (AzureOpenAIFinetuneEngine), at"
            " a service with the same API (base_url=..., api_key=...), or elsewhere: `ft-rag export --to` writes it"
            " for together, fireworks, axolotl, llama-factory, trl or unsloth",
            file_id=record.file_id,
        )


def _once_only(client: openai.OpenAI) -> openai.OpenAI:
    return client.with_options(max_retries=0)


def _is_usable(file: FileObject, name: str) -> bool:
    # The hashes at the end decide: a file that was renamed meanwhile is the same file.
    told = str(getattr(file, "filename", None) or "")
    is_same = told[-_HASHES_LENGTH:] == name[-_HASHES_LENGTH:]
    return is_same and getattr(file, "status", None) not in _FILE_REFUSED


def _is_job_of(job: FineTuningJob, record: JobRecord) -> bool:
    """Whether a listed job trains what the record says, as far as it tells, and has or may yet have a model."""
    status = getattr(job, "status", None)
    is_lost = status in _JOB_LOST or (status == "succeeded" and not getattr(job, "fine_tuned_model", None))
    if is_lost or getattr(job, "training_file", None) != record.file_id:
        return False
    # OpenAI reports the dated snapshot of the model that was asked for.
    model = getattr(job, "model", None) or record.base_model
    return (model == record.base_model or model.startswith(f"{record.base_model}-")) and _has_settings(job, record)


def _has_settings(job: FineTuningJob, record: JobRecord) -> bool:
    method = getattr(job, "method", None)
    kind = getattr(method, "type", None)
    if kind is not None and kind != record.settings.get("method", "supervised"):
        return False
    told_there = getattr(getattr(method, kind or "", None), "hyperparameters", None)
    hyperparameters = getattr(job, "hyperparameters", None) or told_there
    asked = {**record.settings, **record.settings.get("hyperparameters", {})}
    asked["validation_file"] = record.validation_file_id
    told = {name: getattr(job, name, None) or getattr(hyperparameters, name, None) for name in asked}
    told = {**told, "suffix": getattr(job, "user_provided_suffix", None), "hyperparameters": None, "method": None}
    unsaid = (None, "auto")
    return all(told[name] in unsaid or value in unsaid or told[name] == value for name, value in asked.items())


def _not_processed(file_id: str, status: str, deadline: Deadline) -> FileNotAcceptedError:
    return FileNotAcceptedError(
        f"file {file_id} is still {status} after {deadline.seconds:g} s; call finetune() again to go on"
        " waiting (it is not uploaded twice), or pass a longer file_timeout",
        file_id=file_id,
    )
