"""Fine-tuning at OpenAI, or at any service that speaks its fine-tuning API.

In: a base model's name and a training file. Out: one job, watched to its end, and an LLM of the tuned
model that is asked where it was trained. Knows nothing of how the examples came about or whether the model is
better.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import openai
from llama_index.core.llms import LLM
from openai.types.fine_tuning import FineTuningJob

from llama_index_ft_rag.errors import ConfigurationError, JobNotStartedError, WaitTimeoutError
from llama_index_ft_rag.finetuning.client import llm_like_client, public_url
from llama_index_ft_rag.finetuning.interface import (
    BaseLLMFinetuneEngine,
    FinetuneEvent,
    SavesFinetuningEvents,
)
from llama_index_ft_rag.finetuning.job import DataFile, JobPlan, JobRecord, JobStore
from llama_index_ft_rag.finetuning.outcome import (
    JobState,
    raise_if_lost,
    read_event,
    read_job,
    tuned_model_name,
)
from llama_index_ft_rag.finetuning.submission import TRANSIENT, Submission, answer_of, may_heal
from llama_index_ft_rag.finetuning.waiting import Pacing
from llama_index_ft_rag.validation import validate_file

logger = logging.getLogger(__name__)

_Reply = TypeVar("_Reply")

DEFAULT_WAIT_SECONDS = 24 * 60 * 60.0

_LOST_POLLS_IN_A_ROW = 5
_EVENTS_AT_MOST = 10_000
_WARNINGS_AT_MOST = 10


class OpenAIFinetuneEngine(BaseLLMFinetuneEngine):
    """Fine-tune a model through the OpenAI API.

    `finetune()` sends the file and starts the job, once: what was announced, sent and answered is kept in a
    job record, so that a second call, or another process, continues. Another file or other settings start
    another job, and the earlier record is kept beside the new one. Where the record is lost, a job of the same
    file and settings that the service lists is continued, unless it failed or was cancelled: to train the same
    once more, pass another seed or suffix.

    Args:
        base_model: Name of the model to tune.
        data_path: The training file, JSONL in the chat format.
        verbose: Log progress at INFO rather than DEBUG.
        start_job_id: Attach to a job that exists instead of starting one.
        validate_json: Validate the training file first; errors stop before anything is sent.
        client: The API client to use; else one is made from `base_url` and `api_key`, or the environment.
        base_url: Address of the service.
        api_key: Key for the service.
        suffix: Goes into the tuned model's name.
        seed: Seed of the training.
        hyperparameters: `n_epochs`, `batch_size`, `learning_rate_multiplier`, or what else the service takes.
        validation_path: A second file that is only measured on.
        metadata: Labels for the job; they do not make it another job.
        job_path: Where the job record is kept; by default `<data_path>.job.json`.
        poll_interval: Seconds between two looks at a job, at most; the first ones follow faster.
        file_timeout: Seconds the service may take to process the file, or another process to start the job.
        sleep: Replaces `time.sleep`.
        clock: Replaces `time.monotonic`.
        make_llm: Called as `make_llm(model, **model_kwargs)` to make the tuned LLM. Needed where the client
            carries what cannot be read from it: an `http_client` of its own, a key that changes, an Azure
            deployment.
    """

    def __init__(
        self,
        base_model: str,
        data_path: str | Path,
        verbose: bool = False,
        start_job_id: str | None = None,
        validate_json: bool = True,
        *,
        client: openai.OpenAI | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        validation_path: str | Path | None = None,
        metadata: Mapping[str, str] | None = None,
        job_path: str | Path | None = None,
        poll_interval: float = 20.0,
        file_timeout: float = 1800.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        make_llm: Callable[..., LLM] | None = None,
    ) -> None:
        if client is not None and (base_url is not None or api_key is not None):
            raise ConfigurationError("both a client and base_url or api_key were given; pass one or the other")
        if suffix is not None and len(suffix) > 64:
            raise ConfigurationError(f"suffix {suffix!r} has {len(suffix)} characters; pass at most 64")
        self.base_model = base_model
        self.data_path = Path(data_path)
        self.validate_json = validate_json
        self.start_job_id = start_job_id
        self._client = client or openai.OpenAI(base_url=base_url, api_key=api_key)
        self._settings = _without_none(
            suffix=suffix, seed=seed, hyperparameters=dict(hyperparameters) if hyperparameters else None
        )
        self._validation_path = Path(validation_path) if validation_path is not None else None
        self._metadata = dict(metadata) if metadata else None
        self._store = JobStore(Path(job_path) if job_path is not None else Path(f"{data_path}.job.json"))
        self._pacing = Pacing(poll_interval=poll_interval, file_timeout=file_timeout, sleep=sleep, clock=clock)
        self._make_llm = make_llm
        self._level = logging.INFO if verbose else logging.DEBUG
        self._record: JobRecord | None = None
        self._last_status: str | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_finetuning_handler(
        cls,
        finetuning_handler: SavesFinetuningEvents,
        base_model: str,
        data_path: str | Path,
        **kwargs: Any,
    ) -> OpenAIFinetuneEngine:
        """Save what a handler has recorded to `data_path` and make an engine for that file."""
        finetuning_handler.save_finetuning_events(str(data_path))
        return cls(base_model, data_path, **kwargs)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(base_model={self.base_model!r}, data_path={str(self.data_path)!r},"
            f" endpoint={public_url(self._client)!r})"
        )

    def finetune(self) -> None:
        """Validate the file, upload it and start the job; do nothing of it twice. Returns while the job runs.

        Raises:
            ExamplesError: If validation found errors; nothing was sent.
            FileNotAcceptedError: If the service refused the file or did not process it in time.
            TrainingNotAvailableError: If the organisation may not create jobs; nothing was charged.
            FinetuneError: If another process is submitting the same for too long, or what answers is no such
                service.
            openai.APIError: Whatever else the service answered.
        """
        with self._lock:
            if self.start_job_id is not None:
                logger.log(self._level, "Attached to job %s; no other one is started", self.start_job_id)
                return
            plan = self._plan()
            record = self._store.find(plan)
            if record is None or record.job_id is None:
                self._validate()
            self._record = Submission(
                self._client,
                plan=plan,
                store=self._store,
                pacing=self._pacing,
                level=self._level,
                metadata=self._metadata,
            ).run()

    def wait(
        self, timeout: float | None = None, on_status: Callable[[FineTuningJob], None] | None = None
    ) -> FineTuningJob:
        """Wait until the job has succeeded.

        Args:
            timeout: Seconds to wait; by default 24 hours.
            on_status: Called with the job when it is first seen and whenever its status has changed.

        Raises:
            JobFailedError: If the job failed, or succeeded without releasing a model.
            JobCancelledError: If it was cancelled.
            WaitTimeoutError: If it was not finished in time; it goes on.
        """
        deadline = self._pacing.deadline(DEFAULT_WAIT_SECONDS if timeout is None else timeout)
        intervals = self._pacing.intervals()
        seen: JobState | None = None
        lost_polls = 0
        while True:
            try:
                job = self.get_current_job()
            except TRANSIENT as exc:
                lost_polls += 1
                if lost_polls > _LOST_POLLS_IN_A_ROW or not may_heal(exc):
                    raise
                logger.warning("Job %s could not be looked at (%s); trying again", self._job_id(), exc)
            else:
                lost_polls = 0
                state = read_job(job)
                if on_status is not None and (seen is None or seen.status != state.status):
                    on_status(job)
                seen = state
                raise_if_lost(state, job_path=self._job_path)
                if state.is_finished:
                    return job
            if not deadline.pause(next(intervals)):
                raise self._timed_out(seen, deadline.seconds)

    def get_current_job(self) -> FineTuningJob:
        """Ask the service for the job as it is now.

        Raises:
            JobNotStartedError: If there is none yet.
            FinetuneError: If what answers is no such service.
        """
        job_id = self._job_id()
        job = self._answer(lambda: self._client.fine_tuning.jobs.retrieve(job_id))
        self._note(read_job(job))
        return job

    def get_finetuned_model(self, **model_kwargs: Any) -> LLM:
        """Make an LLM of the tuned model, at the endpoint where it was trained and with the same key.

        Args:
            **model_kwargs: For the LLM's constructor, such as `temperature`.

        Raises:
            JobNotStartedError: If there is no job yet.
            JobNotReadyError: If the job is still under way.
            JobFailedError: If the job failed, or succeeded without releasing a model.
            JobCancelledError: If the job was cancelled.
        """
        name = tuned_model_name(read_job(self.get_current_job()), job_path=self._job_path)
        if self._make_llm is not None:
            return self._make_llm(name, **model_kwargs)
        return llm_like_client(self._client, name, self.base_model, model_kwargs)

    def cancel(self) -> FineTuningJob:
        """Cancel the job. What it has trained so far may be charged."""
        job_id = self._job_id()
        job = self._answer(lambda: self._client.fine_tuning.jobs.cancel(job_id))
        self._note(read_job(job))
        return job

    def events(self) -> list[FinetuneEvent]:
        """Fetch the job's own log, oldest first."""
        job_id = self._job_id()
        listed = self._answer(lambda: self._client.fine_tuning.jobs.list_events(job_id, limit=100), field="data")
        return [read_event(event) for event in islice(listed, _EVENTS_AT_MOST)][::-1]

    @property
    def trained_tokens(self) -> int | None:
        """Tokens the service says it trained on and charges for; None until the job has succeeded."""
        if self._record is not None and self._record.trained_tokens is not None:
            return self._record.trained_tokens
        return read_job(self.get_current_job()).trained_tokens

    @property
    def _job_path(self) -> Path | None:
        return self._store.path if self.start_job_id is None else None

    def _answer(self, ask: Callable[[], _Reply], *, field: str = "id") -> _Reply:
        return answer_of(ask, endpoint=public_url(self._client), field=field)

    def _plan(self) -> JobPlan:
        return JobPlan(
            provider="openai",
            endpoint=public_url(self._client),
            base_model=self.base_model,
            training=DataFile.read(self.data_path),
            validation=DataFile.read(self._validation_path) if self._validation_path is not None else None,
            settings=self._settings,
        )

    def _validate(self) -> None:
        if not self.validate_json:
            return
        n_epochs = self._settings.get("hyperparameters", {}).get("n_epochs")
        epochs = n_epochs if isinstance(n_epochs, int) else None
        for path, minimum in ((self.data_path, 10), (self._validation_path, 1)):
            if path is None:
                continue
            report = validate_file(path, model=self.base_model, minimum=minimum, n_epochs=epochs, expected="chat")
            report.raise_for_errors()
            for problem in report.warnings[:_WARNINGS_AT_MOST]:
                logger.warning("%s line %s: %s", path, problem.line, problem.message)
            logger.log(self._level, "%s: %d examples, %d tokens", path, report.examples, report.tokens)

    def _job_id(self) -> str:
        if self.start_job_id is not None:
            return self.start_job_id
        if self._record is None:
            self._record = self._store.find(self._plan())
        if self._record is None or self._record.job_id is None:
            raise JobNotStartedError(
                f"no job was started for {self.data_path}: call finetune() first, or pass start_job_id"
            )
        return self._record.job_id

    def _note(self, state: JobState) -> None:
        if state.status != self._last_status:
            logger.log(self._level, "Job %s is %s", state.job_id, state.status)
            self._last_status = state.status
        if self._record is None:
            return
        news = {
            "status": state.status,
            "tuned_model": state.tuned_model,
            "trained_tokens": state.trained_tokens,
            "error_code": state.error_code,
            "error_message": state.error_message,
            "finished_at": state.finished_at,
        }
        if any(getattr(self._record, name) != value for name, value in news.items()):
            self._record = self._store.save(self._record, **news)

    def _timed_out(self, seen: JobState | None, seconds: float) -> WaitTimeoutError:
        status = seen.status if seen is not None else "unknown"
        return WaitTimeoutError(
            f"job {self._job_id()} is {status} after {seconds:g} s; it goes on at the service; call wait() again",
            job_id=self._job_id(),
            status=status,
        )


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
