"""What a job object of the service means: still under way, a tuned model, or which error.

In: a `FineTuningJob` as the SDK hands it over, which may lack any field. Out: a `JobState`, the tuned model's
name, or a typed error. Touches no network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from llama_index_ft_rag.endpoints import without_keys
from llama_index_ft_rag.errors import JobCancelledError, JobFailedError, JobNotReadyError
from llama_index_ft_rag.finetuning.interface import FinetuneEvent

# "(line 1273)", "Line 1 is not", "Flagged lines: 4, 13, 14..", "Example 6174 message contains": real messages.
_LINES = re.compile(r"\b(?:lines?|examples?)[ :#]+(\d+(?:\s*(?:,|and)\s*\d+)*)", re.IGNORECASE)
_LINES_AT_MOST = 1000
_CANCELLED = ("cancelled", "canceled")
_FINISHED = ("succeeded", "failed", *_CANCELLED)


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job as it was when last looked at."""

    job_id: str
    status: str
    tuned_model: str | None = None
    trained_tokens: int | None = None
    base_model: str | None = None
    method: str | None = None
    finished_at: datetime | None = None
    estimated_finish: datetime | None = None
    result_files: tuple[str, ...] = ()
    error_code: str | None = None
    error_message: str | None = None
    error_param: str | None = None

    @property
    def news(self) -> tuple[str, datetime | None]:
        """What whoever waits wants to hear of when it changes."""
        return self.status, self.estimated_finish

    @property
    def is_finished(self) -> bool:
        """Whether the status will not change any more.

        Any other status is not an end: services report some that the SDK does not list (`paused`, `pausing`,
        `created`).
        """
        return self.status in _FINISHED


def read_job(job: FineTuningJob) -> JobState:
    """Read a job object without trusting that its fields are there."""
    # `error` is {} or all-null on a healthy job, which makes a truthy object: only its texts count.
    error = getattr(job, "error", None)
    tokens = getattr(job, "trained_tokens", None)
    results = getattr(job, "result_files", None)
    return JobState(
        job_id=job.id,
        status=_text(str(getattr(job, "status", None) or "")) or "unknown",
        tuned_model=_text(getattr(job, "fine_tuned_model", None)),
        trained_tokens=tokens if isinstance(tokens, int) else None,
        base_model=_text(getattr(job, "model", None)),
        method=_text(getattr(getattr(job, "method", None), "type", None)),
        finished_at=read_time(getattr(job, "finished_at", None)),
        estimated_finish=read_time(getattr(job, "estimated_finish", None)),
        result_files=tuple(name for name in results if _text(name)) if isinstance(results, list) else (),
        error_code=_text(getattr(error, "code", None)),
        error_message=_text(getattr(error, "message", None)),
        error_param=_text(getattr(error, "param", None)),
    )


def read_event(event: FineTuningJobEvent) -> FinetuneEvent:
    """Read one line of a job's log."""
    data = getattr(event, "data", None)
    return FinetuneEvent(
        created_at=read_time(getattr(event, "created_at", None)),
        level=str(getattr(event, "level", None) or "info"),
        message=str(getattr(event, "message", None) or ""),
        data=dict(data) if isinstance(data, Mapping) else {},
    )


def read_time(seconds: Any) -> datetime | None:
    """A service's Unix time as a datetime in UTC; None where it is no such thing."""
    if not isinstance(seconds, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc)
    except (OverflowError, OSError, ValueError):
        return None


def raise_if_lost(state: JobState, *, job_path: Path | None = None) -> None:
    """Raise when a job has ended without a model that can be used; `job_path` is where its record lies.

    Raises:
        JobFailedError: If it failed, or succeeded without a model.
        JobCancelledError: If it was cancelled.
    """
    if state.status in _CANCELLED:
        raise JobCancelledError(
            f"job {state.job_id} was cancelled and will have no tuned model; to start a new one, call"
            f" finetune(force=True), or move {job_path or 'its job record'} away and run the command again",
            job_id=state.job_id,
            status=state.status,
        )
    if state.status == "failed":
        raise _failed(state, _reason(state), job_path)
    if state.status == "succeeded" and state.tuned_model is None:
        reason = "no tuned model was released; the service's safety checks may have blocked it"
        raise _failed(state, f"{reason} ({_reason(state)})" if state.error_message else reason, job_path)


def tuned_model_name(state: JobState, *, job_path: Path | None = None) -> str:
    """Name of the tuned model; `job_path` is where the job's record lies.

    Raises:
        JobNotReadyError: If the job is still under way.
        JobFailedError: If it failed, or succeeded without a model.
        JobCancelledError: If it was cancelled.
    """
    raise_if_lost(state, job_path=job_path)
    if not state.is_finished or state.tuned_model is None:
        finish = f" (the service expects {state.estimated_finish:%Y-%m-%d %H:%M} UTC)" if state.estimated_finish else ""
        raise JobNotReadyError(
            f"job {state.job_id} is {state.status}, its model is not there yet{finish}: call wait() first",
            job_id=state.job_id,
            status=state.status,
            estimated_finish=state.estimated_finish,
        )
    return state.tuned_model


def named_lines(message: str) -> tuple[int, ...]:
    """Numbers of the lines or examples that a service's message names, in its order; it counts from 1."""
    found = [number for match in _LINES.finditer(message) for number in re.findall(r"\d+", match[1])]
    return tuple(dict.fromkeys(int(number) for number in found[:_LINES_AT_MOST] if len(number) <= 9))


def _failed(state: JobState, reason: str, job_path: Path | None) -> JobFailedError:
    # A service where checkpoints are deployed by a call of their own names no model of a finished job.
    where = "events() and checkpoints()" if state.status == "succeeded" else "events()"
    return JobFailedError(
        f"job {state.job_id} {state.status}: {reason}; look at {where}, correct the training file and call"
        " finetune() or run the command again (to train on the same file again, call finetune(force=True), or move"
        f" {job_path or 'its job record'} away first)",
        job_id=state.job_id,
        status=state.status,
        code=state.error_code,
        param=state.error_param,
        lines=named_lines(reason),
    )


def _reason(state: JobState) -> str:
    details = [f"{name} {value}" for name, value in (("code", state.error_code), ("param", state.error_param)) if value]
    reason = state.error_message or "the service gave no reason"
    return f"{reason} ({', '.join(details)})" if details else reason


def _text(value: Any) -> str | None:
    # Half a surrogate pair cannot be written into a record; services quote the key they refuse.
    if not isinstance(value, str) or not value.strip():
        return None
    return without_keys(value.encode("utf-8", "replace").decode("utf-8"))
