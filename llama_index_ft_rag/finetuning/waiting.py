"""Waiting with a deadline; nothing here can wait for ever.

In: a clock and a way to sleep, both replaceable. Out: pauses that end at the deadline. Knows nothing of what
is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llama_index_ft_rag.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Pacing:
    """How often to look, and for how long, in seconds."""

    poll_interval: float = 20.0
    file_timeout: float = 1800.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        for name, value in (("poll_interval", self.poll_interval), ("file_timeout", self.file_timeout)):
            if value < 0:
                raise ConfigurationError(f"{name}={value}: below 0; pass a number of seconds")

    def intervals(self) -> Iterator[float]:
        """Seconds between looks: from one second, doubling, up to `poll_interval`; a small job is not waited for."""
        interval = min(1.0, self.poll_interval)
        while True:
            yield interval
            interval = min(2 * interval, self.poll_interval)

    def deadline(self, seconds: float) -> Deadline:
        """Start a deadline that passes in `seconds`."""
        return Deadline(seconds, sleep=self.sleep, clock=self.clock)


class Deadline:
    """A point in time that pauses do not go beyond."""

    def __init__(self, seconds: float, *, sleep: Callable[[float], None], clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._sleep = sleep
        self._clock = clock
        self._start = clock()
        self._slept = 0.0

    def pause(self, seconds: float) -> bool:
        """Sleep, at most until the deadline; return False, at once, when it has passed."""
        # Time slept counts as well: with a clock that stands still this must end too.
        left = self.seconds - max(self._clock() - self._start, self._slept)
        if left <= 0:
            return False
        nap = min(seconds, left)
        self._sleep(nap)
        self._slept += nap
        return True
