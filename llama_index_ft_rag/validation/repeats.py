"""What each line says, in eight bytes -> the lines that say the same, within a file or in two.

In: fingerprints, one for each line, 0 for a line that says nothing. Out: the first pairs of equal lines and the number
of all. Eight bytes of a hash can be equal by chance: among 10 million lines once in 300,000 files.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 500_000
"""Lines looked up together: what is needed for them is memory that is not flat."""
_Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A line that says what another one says."""

    line: int
    first: int
    """The first line that says it, in the same file or in the other one."""


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """All lines that were said before."""

    count: int
    first: tuple[Repeat, ...]
    """Not more than were asked for, in the order of the lines."""


class Fingerprints:
    """What the lines of one file say; takes eight bytes a line."""

    def __init__(self) -> None:
        self._values = array("Q")

    def add(self, fingerprint: bytes | None) -> None:
        """Add the next line; `None` for one that says nothing."""
        self._values.append(int.from_bytes(fingerprint[:8], "big") if fingerprint else 0)

    def repeats(self, *, most: int) -> Repeats:
        """Find the lines that an earlier one has said."""
        values = self._array()
        ordered = np.sort(values)
        again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        del ordered
        return _repeats(values, values, again, most=most)

    def shared_with(self, other: Fingerprints, *, most: int) -> Repeats:
        """Find the lines that stand in another file too."""
        values, others = self._array(), other._array()
        return _repeats(values, others, np.intersect1d(values, others), most=most)

    def _array(self) -> NDArray[np.uint64]:
        return np.frombuffer(self._values, dtype=np.uint64) if self._values else np.zeros(0, dtype=np.uint64)


def _repeats(
    values: NDArray[np.uint64], others: NDArray[np.uint64], wanted: NDArray[np.uint64], *, most: int
) -> Repeats:
    wanted = wanted[wanted != 0]
    if not wanted.size:
        return Repeats(count=0, first=())
    firsts = np.zeros(wanted.size, dtype=np.int64)
    for lines, places in _found(others, wanted):
        seen, where = np.unique(places, return_index=True)
        new = firsts[seen] == 0
        firsts[seen[new]] = lines[where[new]]
    count = 0
    kept: list[Repeat] = []
    for lines, places in _found(values, wanted):
        repeated = (firsts[places] != lines) if values is others else np.ones(lines.size, dtype=bool)
        count += int(repeated.sum())
        pairs = zip(lines[repeated][:most], firsts[places][repeated][:most], strict=True)
        kept += [Repeat(line=int(line), first=int(first)) for line, first in pairs]
        del kept[most:]
    return Repeats(count=count, first=tuple(kept))


def _found(values: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> Iterator[tuple[_Numbers, _Numbers]]:
    """The lines that say something wanted, from 1, and which; some at a time."""
    for start in range(0, values.size, _AT_ONCE):
        chunk = values[start : start + _AT_ONCE]
        places = np.minimum(np.searchsorted(wanted, chunk), wanted.size - 1)
        hits = np.flatnonzero(wanted[places] == chunk)
        yield hits + start + 1, places[hits]
