"""Getting a training file and a job to an OpenAI-compatible service, each exactly once.

In: a plan, its record store and a client. Out: the record with the job's id. Every write on the network is
announced in the record first; where an announced write was never answered (a killed process, a lost reply),
the service's own lists are searched before it is done again. Knows nothing of what becomes of the job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import islice
from typing import Any

import openai
from openai.types import FileObject

from llama_index_ft_rag.errors import FileNotAcceptedError, TrainingNotAvailableError
from llama_index_ft_rag.finetuning.job import DataFile, Intent, JobPlan, JobRecord, JobStore
from llama_index_ft_rag.finetuning.waiting import Deadline, Pacing

logger = logging.getLogger(__name__)

TRANSIENT = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)
"""Errors that may heal by themselves; see `may_heal`."""

_RETRY_PAUSES = (2.0, 8.0)
_FILE_POLL_SECONDS = 5.0
_LISTED_AT_MOST = 10_000

_FILE_READY = ("processed", "succeeded", "success")
_FILE_REFUSED = ("error", "failed", "deleted")


def may_heal(error: openai.APIError) -> bool:
    """Whether doing the same again later can help; an exhausted quota answers 429 too and cannot heal."""
    return isinstance(error, TRANSIENT) and error.code != "insufficient_quota"


class Submission:
    """Brings one plan from its record, however far that got, to a job.

    Args:
        client: Where to. Its own retries are switched off for writes: a request that timed out may have
            arrived, so the lists are searched before it is sent again.
        plan: What is to be trained.
        store: Where the record is kept.
        pacing: How long to wait for the service to process the file.
        level: Log level of the progress messages.
        metadata: Labels for the job.
    """

    def __init__(
        self,
        client: openai.OpenAI,
        *,
        plan: JobPlan,
        store: JobStore,
        pacing: Pacing,
        level: int,
        metadata: dict[str, str] | None,
    ) -> None:
        self._client = client
        self._writer = client.with_options(max_retries=0)
        self._plan = plan
        self._store = store
        self._pacing = pacing
        self._level = level
        self._metadata = metadata

    def run(self) -> JobRecord:
        """Do what is not done yet.

        Raises:
            FileNotAcceptedError: If the service refused the file or did not process it in time.
            TrainingNotAvailableError: If the organisation may not create jobs.
            openai.APIError: Whatever else the service answered.
        """
        record = self._store.open(self._plan)
        if record.job_id is not None:
            logger.log(self._level, "Job %s was started before; nothing is sent again", record.job_id)
            return record
        if record.file_id is None:
            file_id = self._upload(record, self._plan.training, "upload_training_file")
            record = self._store.save(record, file_id=file_id, intent=None)
        if self._plan.validation is not None and record.validation_file_id is None:
            file_id = self._upload(record, self._plan.validation, "upload_validation_file")
            record = self._store.save(record, validation_file_id=file_id, intent=None)
        job_id = self._start(record)
        return self._store.save(record, job_id=job_id, intent=None)

    def _upload(self, record: JobRecord, file: DataFile, intent: Intent) -> str:
        name = self._plan.upload_name(file)

        def find() -> str | None:
            listed = islice(self._client.files.list(purpose="fine-tune"), _LISTED_AT_MOST)
            return next((found.id for found in listed if _is_usable(found, name)), None)

        def upload() -> str:
            return self._writer.files.create(file=(name, file.content), purpose="fine-tune").id

        file_id = self._once(record, intent, find=find, send=upload)
        logger.log(self._level, "%s: uploaded to %s as file %s", file.path, self._plan.endpoint, file_id)
        return file_id

    def _start(self, record: JobRecord) -> str:
        deadline = self._pacing.deadline(self._pacing.file_timeout)

        def find() -> str | None:
            # The file has this plan's hashes in its name, so no other plan's job trains on this file id.
            listed = islice(self._client.fine_tuning.jobs.list(limit=100), _LISTED_AT_MOST)
            same = (found.id for found in listed if getattr(found, "training_file", None) == record.file_id)
            return next(same, None)

        def create() -> str:
            for file_id in (record.file_id, record.validation_file_id):
                if file_id is not None:
                    self._wait_for_file(file_id, deadline)
            return self._create_job(record, deadline)

        job_id = self._once(record, "create_job", find=find, send=create)
        logger.log(self._level, "Job %s started: %s trains on file %s", job_id, record.base_model, record.file_id)
        return job_id

    def _once(
        self,
        record: JobRecord,
        intent: Intent,
        *,
        find: Callable[[], str | None],
        send: Callable[[], str],
    ) -> str:
        """Send a write and return the id it made; search for that id first wherever it may exist already."""
        found = find() if record.intent == intent else None
        if found is not None:
            logger.log(self._level, "Found %s from an earlier attempt; nothing is sent again", found)
            return found
        self._store.save(record, intent=intent)
        for pause in _RETRY_PAUSES:
            try:
                return send()
            except TRANSIENT as exc:
                if not may_heal(exc):
                    raise
                logger.warning("%s: %s; looking again in %s s", intent, exc, pause)
            self._pacing.sleep(pause)
            found = find()
            if found is not None:
                return found
        return send()

    def _create_job(self, record: JobRecord, deadline: Deadline) -> str:
        while True:
            try:
                return self._writer.fine_tuning.jobs.create(**self._job_body(record)).id
            except openai.BadRequestError as exc:
                if "still being processed" not in exc.message:
                    raise
                if not deadline.pause(self._file_poll):
                    raise _not_processed(str(record.file_id), "uploaded", deadline) from exc
            except openai.PermissionDeniedError as exc:
                if exc.code != "training_not_available":
                    raise
                raise self._training_not_available(record) from exc

    def _job_body(self, record: JobRecord) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._plan.base_model, "training_file": record.file_id}
        # The older `hyperparameters` field rather than `method`: OpenAI still takes it, others only it.
        body.update(self._plan.settings)
        if record.validation_file_id is not None:
            body["validation_file"] = record.validation_file_id
        if self._metadata is not None:
            body["metadata"] = self._metadata
        return body

    def _wait_for_file(self, file_id: str, deadline: Deadline) -> None:
        while True:
            file = self._look_at_file(file_id)
            # The field is deprecated: a service without it judges the file when the job is created.
            status = getattr(file, "status", None)
            if status is None or status in _FILE_READY:
                return
            if status in _FILE_REFUSED:
                details = getattr(file, "status_details", None) or "the service gave no reason"
                raise FileNotAcceptedError(
                    f"file {file_id} was refused ({status}): {details}; correct it and call finetune() again",
                    file_id=file_id,
                )
            logger.log(self._level, "File %s is %s; waiting until it is processed", file_id, status)
            if not deadline.pause(self._file_poll):
                raise _not_processed(file_id, status, deadline)

    def _look_at_file(self, file_id: str) -> FileObject:
        try:
            return self._client.files.retrieve(file_id)
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
            f" uploaded as {record.file_id}. The same file can be used with Azure OpenAI"
            " (client=openai.AzureOpenAI(...)), with an OpenAI-compatible service (base_url=...,"
            " api_key=...), or to train open weights",
            file_id=record.file_id,
        )


def _is_usable(file: FileObject, name: str) -> bool:
    return getattr(file, "filename", None) == name and getattr(file, "status", None) not in _FILE_REFUSED


def _not_processed(file_id: str, status: str, deadline: Deadline) -> FileNotAcceptedError:
    return FileNotAcceptedError(
        f"file {file_id} is still {status} after {deadline.seconds:g} s; call finetune() again to go on"
        " waiting (it is not uploaded twice), or pass a longer file_timeout",
        file_id=file_id,
    )
