"""How progress looks: one live line per stage on a terminal, plain lines elsewhere.

In: `on_stage(stage, done, total)` calls, warnings in the log, Ctrl-C. Out: counts, elapsed and remaining time on
standard error, so that standard output stays for results. Knows nothing of what the stages do.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from llama_index_ft_rag.cli.failures import STOPPED, without_keys
from llama_index_ft_rag.hostile_text import one_line

PLAIN_INTERVAL_S = 10.0
"""Without a terminal, a stage that takes longer says so this often."""
MOST_OF_A_KIND = 3
"""A warning that only differs in its figures is shown so often, then counted."""
_NAME_WIDTH = 20
_NARROW = 64
INTERRUPTED = 130


class StageProgress:
    """A context manager whose `on_stage` draws; meanwhile warnings and Ctrl-C do not spoil what is drawn."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = _live_progress(console) if console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._finished: set[str] = set()
        self._spoke = 0.0
        self._notices = Notices(console)
        self._signal_before: Any = None

    def __enter__(self) -> StageProgress:
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
        if self._signal_before is not None:
            signal.signal(signal.SIGINT, self._signal_before)
        self._notices.__exit__(kind, error, trace)

    def on_stage(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` items of a stage are ready."""
        if self._live is None:
            self._say(stage, done, total)
            return
        task = self._tasks.get(stage)
        if task is None:
            task = self._tasks[stage] = self._live.add_task(stage, total=total)
        self._live.update(task, completed=done, total=total)

    def _say(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        first = stage not in self._started
        started = self._started.setdefault(stage, now)
        if first:
            self._spoke = now
        finished = done >= total
        if stage in self._finished or (not finished and (first or now - self._spoke < PLAIN_INTERVAL_S)):
            return
        self._spoke = now
        if finished:
            self._finished.add(stage)
        elapsed = now - started
        remaining = "" if finished or not done else f", about {elapsed / done * (total - done):.0f} s left"
        self._console.print(f"{stage:<{_NAME_WIDTH}} {done}/{total}  {elapsed:.1f} s{remaining}")

    def _stop_at_once(self) -> None:
        # A run may die at any moment without loss; waiting for requests under way would keep the user waiting.
        if self._live is not None:
            self._live.stop()
        sys.stderr.write(f"\nft-rag: {STOPPED}\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)


class Notices(logging.Handler):
    """A context manager that shows the warnings of all libraries as single lines above the progress."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console
        self._counts: dict[str, int] = {}

    def __enter__(self) -> Notices:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)
        self._say_what_was_left_out()

    def emit(self, record: logging.LogRecord) -> None:
        """Show the warning unless enough of its kind were shown."""
        kind = str(record.msg)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._counts[kind] <= MOST_OF_A_KIND:
            self._console.print(f"note: {one_line(without_keys(record.getMessage()), limit=300)}")

    def _say_what_was_left_out(self) -> None:
        left_out = sum(max(0, count - MOST_OF_A_KIND) for count in self._counts.values())
        if left_out:
            self._console.print(f"note: {left_out} more of these")


def _live_progress(console: Console) -> Progress:
    columns: list[ProgressColumn] = [TextColumn(f"{{task.description:<{_NAME_WIDTH}}}"), MofNCompleteColumn()]
    if console.width >= _NARROW:
        columns.insert(1, BarColumn(bar_width=16))
    columns += [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
    return Progress(*columns, console=console)
