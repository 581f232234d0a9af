"""The life of one training job after its start: looking, waiting, stopping, and what comes out of it.

In: a job id and, where there is one, the record that is kept of it. Out: conversations about that job with its service.
Knows nothing of how the job was started.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
from openai.types.fine_tuning import FineTuningJob

from llama_index_ft_rag.errors import ConfigurationError, JobNotReadyError, WaitTimeoutError
from llama_index_ft_rag.finetuning.curves import Checkpoint, curve_rows, read_checkpoint
from llama_index_ft_rag.finetuning.interface import FinetuneEvent
from llama_index_ft_rag.finetuning.job import JobRecord, JobStore
from llama_index_ft_rag.finetuning.listing import HAS_NO_LIST, TRANSIENT, answer_of, listed, may_heal
from llama_index_ft_rag.finetuning.outcome import JobState, raise_if_lost, read_event, read_job, tuned_model_name
from llama_index_ft_rag.finetuning.talk import Talk, ask
from llama_index_ft_rag.finetuning.waiting import Pacing

logger = logging.getLogger(__name__)

OnStatus = Callable[[FineTuningJob], None]
OnEvent = Callable[[FinetuneEvent], None]

_JOB_ID = re.compile(r"[\w.:@~+=-]+", re.ASCII)
_LOST_POLLS_IN_A_ROW = 5
_EVENTS_PAGE = 100
_LARGEST_RESULT_FILE = 64 * 1024 * 1024


class JobLife:
    """One job at a service.

    Args:
        job_id: Its id.
        endpoint: Address of the service, for messages.
        pacing: How often to look.
        level: Log level of the progress messages.
        store: Where its record is kept; `None` for a job that was only attached to.
        record: The record.

    Raises:
        ConfigurationError: If the id is empty, or none.
    """

    def __init__(
        self,
        job_id: str,
        *,
        endpoint: str,
        pacing: Pacing,
        level: int,
        store: JobStore | None = None,
        record: JobRecord | None = None,
    ) -> None:
        if not job_id.strip():
            raise ConfigurationError("the job id is empty: pass one like ftjob-..., as job.json shows it")
        if not _JOB_ID.fullmatch(job_id) or not job_id.strip("."):
            # An older openai library puts it into the address as it is, where `../files` leads elsewhere.
            raise ConfigurationError(
                f"job id {job_id!r}: no id of a job; pass one like ftjob-..., as job.json shows it"
            )
        self.job_id = job_id
        self.record = record
        self._endpoint = endpoint
        self._pacing = pacing
        self._level = level
        self._store = store
        self._answering: set[str] = set()
        self._last_status: str | None = None

    def current(self) -> Talk[FineTuningJob]:
        """Ask for the job as it is now."""
        return (yield from self._act(lambda client: client.fine_tuning.jobs.retrieve(self.job_id)))

    def cancel(self) -> Talk[FineTuningJob]:
        """Cancel it."""
        return (yield from self._act(lambda client: client.fine_tuning.jobs.cancel(self.job_id)))

    def pause(self) -> Talk[FineTuningJob]:
        """Pause it."""
        return (yield from self._act(lambda client: client.fine_tuning.jobs.pause(self.job_id)))

    def resume(self) -> Talk[FineTuningJob]:
        """Go on with it."""
        return (yield from self._act(lambda client: client.fine_tuning.jobs.resume(self.job_id)))

    def wait(self, seconds: float, *, on_status: OnStatus | None, on_event: OnEvent | None) -> Talk[FineTuningJob]:
        """Wait until it has succeeded; see `OpenAIFinetuneEngine.wait`."""
        deadline = self._pacing.deadline(seconds)
        intervals = self._pacing.intervals()
        seen: JobState | None = None
        told: set[str] = set()
        lost_polls = 0
        while True:
            try:
                job = yield from self.current()
                if on_event is not None:
                    yield from self._tell_new(on_event, told)
            except TRANSIENT as exc:
                lost_polls += 1
                if lost_polls > _LOST_POLLS_IN_A_ROW or not may_heal(exc):
                    raise
                logger.warning("Job %s could not be looked at (%s); trying again", self.job_id, exc)
            else:
                lost_polls = 0
                state = read_job(job)
                if on_status is not None and (seen is None or seen.news != state.news):
                    on_status(job)
                seen = state
                raise_if_lost(state, job_path=self.job_path)
                if state.is_finished:
                    return job
            if not (yield from deadline.pause(next(intervals))):
                raise self._timed_out(seen, deadline.seconds)

    def events(self, *, until: str | None = None) -> Talk[list[FinetuneEvent]]:
        """Fetch its log, oldest first; only what came after the event of the id `until`."""
        return [read_event(event) for event in (yield from self._raw_events({until} if until else set()))]

    def checkpoints(self) -> Talk[list[Checkpoint]]:
        """Fetch the states that the service kept, in the order of their steps."""
        found = yield from listed(
            lambda client, **query: client.fine_tuning.jobs.checkpoints.list(self.job_id, **query),
            endpoint=self._endpoint,
            limit=_EVENTS_PAGE,
        )
        kept = [checkpoint for checkpoint in map(read_checkpoint, found) if checkpoint is not None]
        return sorted(kept, key=lambda checkpoint: (checkpoint.step is None, checkpoint.step or 0))

    def curves(self) -> Talk[list[dict[str, float | int]]]:
        """Fetch the figures of each step, from the log and the result file."""
        state = read_job((yield from self.current()))
        events = yield from self.events()
        content = (yield from self._result_file(state.result_files[0])) if state.result_files else None
        return curve_rows(events, content)

    def tuned_model(self, *, until_it_answers: bool, asked_as: str | None = None) -> Talk[JobState]:
        """Ask for the tuned model's name, and wait until it answers, to the name `asked_as` where it has another."""
        state = read_job((yield from self.current()))
        tuned = tuned_model_name(state, job_path=self.job_path)
        name = asked_as or tuned
        is_recorded = asked_as is None and self.record is not None and self.record.tuned_model_answers
        if until_it_answers and not (name in self._answering or is_recorded):
            yield from self._wait_for_model(name, state)
        return state

    def forget(self, name: str) -> None:
        """Wait again the next time that a model is asked as `name`."""
        self._answering.discard(name)

    @property
    def job_path(self) -> Path | None:
        """Where its record is kept."""
        return self._store.path if self._store is not None else None

    def _act(self, call: Callable[[openai.OpenAI], FineTuningJob]) -> Talk[FineTuningJob]:
        job = yield from answer_of(call, endpoint=self._endpoint)
        self._note(read_job(job))
        return job

    def _raw_events(self, known: set[str]) -> Talk[list[Any]]:
        newest_first = yield from listed(
            lambda client, **query: client.fine_tuning.jobs.list_events(self.job_id, **query),
            endpoint=self._endpoint,
            until=lambda event: _mark_of(event) in known,
            limit=_EVENTS_PAGE,
        )
        return [event for event in newest_first if _mark_of(event) not in known][::-1]

    def _tell_new(self, on_event: OnEvent, told: set[str]) -> Talk[None]:
        try:
            events = yield from self._raw_events(told)
        except openai.APIStatusError as exc:
            if exc.status_code not in HAS_NO_LIST:
                raise
            logger.log(self._level, "Job %s has no log that can be read (%s)", self.job_id, exc)
            return
        for event in events:
            told.add(_mark_of(event))
            on_event(read_event(event))

    def _result_file(self, file_id: str) -> Talk[bytes | None]:
        try:
            content = yield from ask(lambda client: client.files.content(file_id))
        except openai.APIStatusError as exc:
            logger.log(self._level, "Result file %s could not be fetched (%s)", file_id, type(exc).__name__)
            return None
        data = getattr(content, "content", b"")
        return data if isinstance(data, bytes) and len(data) <= _LARGEST_RESULT_FILE else None

    def _wait_for_model(self, name: str, state: JobState) -> Talk[None]:
        """Ask the model for one token until it is there: for some minutes a fresh one is unknown, or too slow."""
        deadline = self._pacing.deadline(self._pacing.model_timeout)
        intervals = self._pacing.intervals()
        lost_polls = 0
        while True:
            try:
                yield from answer_of(
                    lambda client: client.with_options(max_retries=0).chat.completions.create(
                        model=name, messages=[{"role": "user", "content": "Say yes."}], max_tokens=1
                    ),
                    endpoint=self._endpoint,
                    field="choices",
                )
            except (openai.NotFoundError, *TRANSIENT) as exc:
                is_loading = isinstance(exc, (openai.NotFoundError, openai.APITimeoutError))
                lost_polls = 0 if is_loading else lost_polls + 1
                if lost_polls > _LOST_POLLS_IN_A_ROW or not (is_loading or may_heal(exc)):
                    raise
                logger.log(self._level, "%s does not answer yet (%s)", name, exc)
                if not (yield from deadline.pause(next(intervals))):
                    raise self._not_loaded(name, state, deadline.seconds) from exc
            except openai.BadRequestError as exc:
                logger.log(self._level, "%s is there (%s)", name, exc)
                break
            else:
                break
        self._answering.add(name)
        if self._store is not None and self.record is not None and name == state.tuned_model:
            self.record = self._store.save(self.record, tuned_model_answers=True)

    def _note(self, state: JobState) -> None:
        if state.status != self._last_status:
            logger.log(self._level, "Job %s is %s", state.job_id, state.status)
            self._last_status = state.status
        if self.record is None or self._store is None:
            return
        news = {
            "status": state.status,
            "tuned_model": state.tuned_model,
            "trained_tokens": state.trained_tokens,
            "error_code": state.error_code,
            "error_message": state.error_message,
            "finished_at": state.finished_at,
        }
        if any(getattr(self.record, name) != value for name, value in news.items()):
            self.record = self._store.save(self.record, **news)

    def _timed_out(self, seen: JobState | None, seconds: float) -> WaitTimeoutError:
        status = seen.status if seen is not None else "unknown"
        return WaitTimeoutError(
            f"job {self.job_id} is {status} after {seconds:g} s; it goes on at the service; call wait() again",
            job_id=self.job_id,
            status=status,
        )

    def _not_loaded(self, name: str, state: JobState, seconds: float) -> JobNotReadyError:
        return JobNotReadyError(
            f"job {self.job_id} has succeeded, but {name} does not answer after {seconds:g} s; services load a fresh"
            " model for some minutes: call get_finetuned_model() again later, or pass a longer model_timeout",
            job_id=self.job_id,
            status=state.status,
        )


def _mark_of(event: Any) -> str:
    """What an event is known by; one without an id by all it says."""
    return str(getattr(event, "id", None) or read_event(event))
