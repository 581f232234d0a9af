"""How progress looks: one live line per stage on a terminal, plain lines elsewhere.

In: `on_stage(stage, done, total)` calls. Out: counts, elapsed and remaining time on standard error, so that
standard output stays for results.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_INTERVAL_S = 10.0
"""Without a terminal, a stage that takes longer says so this often."""


class StageProgress:
    """A context manager whose `on_stage` draws."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = _live_progress(console) if console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._spoke = 0.0

    def __enter__(self) -> StageProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def on_stage(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` items of a stage are ready."""
        if self._live is not None:
            task = self._tasks.get(stage)
            if task is None:
                task = self._tasks[stage] = self._live.add_task(stage, total=total)
            self._live.update(task, completed=done, total=total)
            return
        self._say(stage, done, total)

    def _say(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        first = stage not in self._started
        started = self._started.setdefault(stage, now)
        if first:
            self._spoke = now
        finished = done >= total
        if not finished and (first or now - self._spoke < PLAIN_INTERVAL_S):
            return
        self._spoke = now
        elapsed = now - started
        remaining = "" if finished or not done else f", about {elapsed / done * (total - done):.0f} s left"
        self._console.print(f"{stage:<18} {done}/{total}  {elapsed:.1f} s{remaining}", highlight=False)


def _live_progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
