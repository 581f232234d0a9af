"""The form in which all scripts of this folder print what they measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes per unit of `ru_maxrss`."""
MB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement."""

    name: str
    value: float | None
    """`None`: not measured."""
    unit: str
    aim: str
    met: bool | None
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None


def show(rows: Sequence[Row], *, as_json: bool, note: str) -> int:
    """Print the rows; return 0 if nothing that was measured missed its aim."""
    print(json.dumps({"rows": [asdict(row) for row in rows]}, indent=2) if as_json else _table(rows, note))
    return 1 if any(row.met is False for row in rows) else 0


def _table(rows: Sequence[Row], note: str) -> str:
    width = max(len(row.name) for row in rows)
    lines = [f"{'':<{width}}  {'value':>9} {'unit':<8} {'peer':>8} {'ratio':>6}  {'aim':<12} met"]
    for row in rows:
        value, peer, ratio = (
            "-" if number is None else f"{number:g}" for number in (row.value, row.peer_value, row.ratio)
        )
        met = {True: "yes", False: "NO", None: "-" if row.value is not None else "skipped"}[row.met]
        lines.append(f"{row.name:<{width}}  {value:>9} {row.unit:<8} {peer:>8} {ratio:>6}  {row.aim:<12} {met}")
    return "\n".join([*lines, "", note])
