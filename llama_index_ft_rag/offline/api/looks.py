"""Who may move a record on: of several looks at the same time only the first.

In: the id of a record. Out: whether the look that asks is the one. Moving on may take long and is done outside of
any change of the state; other looks only tell how the record stands. Knows nothing of what moves.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Looks:
    """The looks that move a record on right now."""

    def __init__(self) -> None:
        self._moving: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def claim(self, record_id: str) -> Iterator[bool]:
        """Tell whether this look may move a record on, until it ends."""
        with self._lock:
            is_first = record_id not in self._moving
            self._moving.add(record_id)
        if not is_first:
            yield False
            return
        try:
            yield True
        finally:
            with self._lock:
                self._moving.discard(record_id)
