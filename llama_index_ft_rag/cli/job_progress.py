"""Waiting for a training job: one live line on a terminal, plain lines elsewhere.

In: an engine with a job, Ctrl-C. Out: status, steps, losses and expected finish on standard error, and at the end an
`Outcome`. Knows nothing of how the job was started.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from openai.types.fine_tuning import FineTuningJob
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn

from llama_index_ft_rag.cli.job_services import JobPlace
from llama_index_ft_rag.cli.job_words import CANCELLED, error_of, event_line, harmless, next_step
from llama_index_ft_rag.cli.progress import INTERRUPTED, PLAIN_INTERVAL_S, Notices
from llama_index_ft_rag.errors import JobCancelledError, JobFailedError, WaitTimeoutError
from llama_index_ft_rag.finetuning import FinetuneEvent, OpenAIFinetuneEngine, TrainingProgress, read_progress
from llama_index_ft_rag.finetuning.outcome import JobState, read_job

_STATUS_WIDTH = 16
_NARROW = 100


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A job when the waiting ended."""

    state: JobState
    error: str | None = None
    """Why there is no tuned model, and what to do, in a sentence."""


class JobProgress:
    """A context manager whose callbacks draw; meanwhile warnings and Ctrl-C do not spoil what is drawn.

    Args:
        console: Where to draw.
        when_stopped: Gives the sentence to say on Ctrl-C, which leaves the job alone.

    Attributes:
        state: The job as it was last shown.
    """

    def __init__(self, console: Console, *, when_stopped: Callable[[], str]) -> None:
        self.state: JobState | None = None
        self._console = console
        self._when_stopped = when_stopped
        self._live = _live_progress(console) if console.is_terminal else None
        self._task: TaskID | None = None
        self._furthest: TrainingProgress | None = None
        self._spoke = -PLAIN_INTERVAL_S
        self._is_said = True
        self._notices = Notices(console)
        self._signal_before: Any = None

    def __enter__(self) -> JobProgress:
        self._notices.__enter__()
        if threading.current_thread() is threading.main_thread():
            self._signal_before = signal.signal(signal.SIGINT, lambda *_: self._stop_at_once())
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif not self._is_said:
            self._say_progress()
        if self._signal_before is not None:
            signal.signal(signal.SIGINT, self._signal_before)
        self._notices.__exit__(kind, error, trace)

    def on_step(self, what: str) -> None:
        """Show what is being done before there is a job."""
        self._show(what)

    def on_status(self, job: FineTuningJob) -> None:
        """Show a job as it is now."""
        before, self.state = self.state, read_job(job)
        if before is None or before.status != self.state.status:
            self._show(harmless(self.state.status))
        if before is None or before.estimated_finish != self.state.estimated_finish:
            self._redraw()

    def on_event(self, event: FinetuneEvent) -> None:
        """Show a line of the job's log: a step moves the bar, anything else is a line of its own."""
        progress = read_progress([event])
        if progress is None:
            self._console.print(event_line(event))
            return
        if self._furthest is not None and progress.step < self._furthest.step:
            return
        self._furthest = progress
        self._is_said = False
        self._redraw()
        if self._live is None and time.monotonic() - self._spoke >= PLAIN_INTERVAL_S:
            self._say_progress()

    def _show(self, status: str) -> None:
        if self._live is None:
            self._console.print(status)
        elif self._task is None:
            self._task = self._live.add_task(status, total=None, said="")
        else:
            self._live.update(self._task, description=status)

    def _redraw(self) -> None:
        if self._live is None or self._task is None or self._furthest is None:
            return
        furthest = self._furthest
        self._live.update(self._task, completed=furthest.step, total=furthest.total_steps, said=self._words())

    def _words(self) -> str:
        furthest, state = self._furthest, self.state
        if furthest is None:
            return ""
        expected = state.estimated_finish if state is not None and not state.is_finished else None
        return TrainingProgress(
            step=furthest.step,
            total_steps=furthest.total_steps,
            train_loss=furthest.train_loss,
            valid_loss=furthest.valid_loss,
            estimated_finish=expected,
        ).render()

    def _say_progress(self) -> None:
        self._spoke, self._is_said = time.monotonic(), True
        self._console.print(self._words())

    def _stop_at_once(self) -> None:
        # The record on the disk knows all that was sent; waiting for a request under way would keep the user waiting.
        if self._live is not None:
            self._live.stop()
        sys.stderr.write(f"\nft-rag: {self._when_stopped()}\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)


def watch(
    engine: OpenAIFinetuneEngine, place: JobPlace, progress: JobProgress, *, job: FineTuningJob, timeout: float | None
) -> Outcome:
    """Wait until a job has ended, or `timeout` seconds have passed, and show how it goes; `job` is as it is now."""
    # The log of a job that has ended is not told again.
    on_event = None if read_job(job).is_finished else progress.on_event
    try:
        state = read_job(engine.wait(timeout, progress.on_status, on_event=on_event))
    except (JobFailedError, JobCancelledError):
        state = progress.state or read_job(job)
        return Outcome(state=state, error=f"job {place.job_id} {_what_happened(state)}; {next_step(state, place)}")
    except WaitTimeoutError:
        state = progress.state or read_job(job)
        again = f"`{place.command('wait')}` waits again"
        return Outcome(
            state=state, error=f"job {place.job_id} is {state.status} and was not waited for longer; {again}"
        )
    return Outcome(state=state)


def stopped_waiting(place: JobPlace) -> str:
    """What is said when the user stops waiting for a job."""
    again = f"`{place.command('wait')}`"
    if place.endpoint.is_offline:
        return f"stopped; {again} goes on with job {place.job_id}"
    return f"stopped waiting; job {place.job_id} goes on at {place.endpoint.base_url}, and {again} waits for it again"


def _what_happened(state: JobState) -> str:
    if state.status in CANCELLED:
        return "was cancelled"
    return f"{'has ' if state.status == 'succeeded' else ''}{state.status}: {error_of(state)}"


def _live_progress(console: Console) -> Progress:
    columns: list[ProgressColumn] = [TextColumn(f"{{task.description:<{_STATUS_WIDTH}}}", markup=False)]
    if console.width >= _NARROW:
        columns.append(BarColumn(bar_width=16))
    columns += [TextColumn("{task.fields[said]}", markup=False), TimeElapsedColumn()]
    return Progress(*columns, console=console)
