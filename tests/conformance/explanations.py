"""Why the offline backend departs from what a witness holds against it, where, and under which circumstances.

In: departures, as a witness words them, each with its place and its evidence. Out: the reason, if there is one for
just this; at the end, what nothing needed. An explanation that covers more than it says would hide the next mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.table import Cell


def _always(_evidence: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One reason."""

    reason: str
    departures: tuple[str, ...]
    places: tuple[str, ...]
    """The operations or the recordings that it is true of, by their whole names."""
    when: Callable[[Any], bool] = _always
    """What else must be so, seen from the evidence."""


class Explanations:
    """Some explanations, and what has been explained by them."""

    def __init__(self, known: Sequence[Explanation]) -> None:
        self._known = known
        self._used: set[tuple[Explanation, str]] = set()

    def reason(self, departure: str, *, place: str, evidence: Any = None) -> str | None:
        """Return why this is so; `None` if nothing explains it."""
        for one in self._known:
            if departure in one.departures and place in one.places and one.when(evidence):
                self._used |= {(one, departure), (one, place)}
                return one.reason
        return None

    def idle(self) -> dict[str, Cell]:
        """Return a red cell for each departure and each place that was never seen."""
        return {
            f"explained: {part}": Cell(verdict="RED", notes=(f"nothing needs it; remove it from {one.reason!r}",))
            for one in self._known
            for part in (*one.departures, *one.places)
            if (one, part) not in self._used
        }
