"""Waiting with a deadline; nothing here can wait for ever.

In: a clock and two ways to sleep, all replaceable. Out: pauses that end at the deadline. Knows nothing of what
is waited for.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.finetuning.talk import Talk, pause


@dataclass(frozen=True, kw_only=True)
class Pacing:
    """How often to look, and for how long, in seconds."""

    poll_interval: float = 20.0
    file_timeout: float = 1800.0
    model_timeout: float = 900.0
    sleep: Callable[[float], None] = time.sleep
    async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        for name in ("poll_interval", "file_timeout", "model_timeout"):
            check_seconds(name, getattr(self, name))

    def intervals(self) -> Iterator[float]:
        """Seconds between looks: from one second, doubling, up to `poll_interval`; a small job is not waited for."""
        interval = min(1.0, self.poll_interval)
        while True:
            yield interval
            interval = min(2 * interval, self.poll_interval)

    def deadline(self, seconds: float) -> Deadline:
        """Start a deadline that passes in `seconds`."""
        return Deadline(seconds, clock=self.clock)


class Deadline:
    """A point in time that pauses do not go beyond."""

    def __init__(self, seconds: float, *, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._start = clock()
        self._slept = 0.0

    def pause(self, seconds: float) -> Talk[bool]:
        """Let time pass, at most until the deadline; return False, at once, when it has passed."""
        # Time slept counts as well: with a clock that stands still this must end too.
        left = self.seconds - max(self._clock() - self._start, self._slept)
        if left <= 0:
            return False
        nap = min(seconds, left)
        yield from pause(nap)
        self._slept += nap
        return True


def check_seconds(name: str, value: float) -> None:
    """Refuse a number of seconds that no deadline can be made of.

    Raises:
        ConfigurationError: If it is negative or no number.
    """
    if math.isnan(value) or value < 0:
        raise ConfigurationError(f"{name}={value}: below 0 or no number; pass a number of seconds")
