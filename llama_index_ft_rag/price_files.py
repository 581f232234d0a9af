"""A file of prices -> its rows, checked.

In: the path of a JSON file in the form of the built-in `prices.json`. Out: one plain mapping per entry, its rates
numbers or `None`. A file that is wrong raises one sentence that names entry and field. Knows nothing of models,
of lists, or of which price is in force.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from llama_index_ft_rag.errors import ConfigurationError

RATES = ("input", "cached_input", "output", "training", "batch_input", "batch_output")
KINDS = ("base", "tuned")
_TEXTS = ("family", "kind", "source", "as_of")
_OPTIONAL = ("holds_until",)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_DEAREST = 1e9
"""USD per million tokens; what is above is a slip."""


def read_price_rows(path: Path) -> list[dict[str, Any]]:
    """Read the entries of a price file; rates that are left out are `None`.

    Raises:
        ConfigurationError: If the file cannot be read or an entry is wrong.
    """
    rows = []
    seen: dict[tuple[Any, ...], int] = {}
    for number, row in enumerate(_entries(path), start=1):
        place = f"{path}: entry {number}"
        if not isinstance(row, Mapping):
            raise ConfigurationError(f"{place} is no object; write {_example()}")
        for problem in _problems(row):
            raise ConfigurationError(f"{place}{_called(row)}: {problem}")
        first = seen.setdefault((row["family"], row["kind"], row["as_of"]), number)
        if first != number:
            raise ConfigurationError(f"{place}{_called(row)}: entry {first} has the same family, kind and as_of")
        rows.append({**dict.fromkeys((*RATES, *_OPTIONAL)), **row})
    return rows


def _entries(path: Path) -> list[Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read ({exc.strerror}); pass the path of a price file") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{path}: is not JSON ({exc}); pass a price file") from exc
    entries = data.get("prices") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise ConfigurationError(f'{path}: has no list "prices"; write {{"prices": [{_example()}]}}')
    return entries


def _problems(row: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an entry, field by field; nothing if it can be used."""
    for field in row:
        if field not in (*_TEXTS, *_OPTIONAL, *RATES):
            yield f"{field!r} is no field; use {', '.join((*_TEXTS, *RATES, *_OPTIONAL))}"
    for field in _TEXTS:
        if not isinstance(row.get(field), str) or not row[field].strip():
            yield f"{field!r} is missing or no text; every entry needs {', '.join(_TEXTS)}"
    if row["kind"] not in KINDS:
        yield f"'kind' is {row['kind']!r}; write 'base' for a model as it is sold, 'tuned' for what is trained from it"
    if not is_month(row["as_of"]) and not is_day(row["as_of"]):
        yield f"'as_of' is {row['as_of']!r}; write the day or month of the source, as in 2026-06-30 or 2026-06"
    if row.get("holds_until") is not None and not is_day(row["holds_until"]):
        yield f"'holds_until' is {row['holds_until']!r}; write a day, as in 2026-12-31, or leave it out"
    for field in RATES:
        if row.get(field) is not None and not _is_rate(row[field]):
            yield f"{field!r} is {row[field]!r}; write USD per 1 million tokens, or leave it out where it is not known"


def is_day(value: object) -> bool:
    """Whether this is a day, as in 2026-06-30."""
    return isinstance(value, str) and bool(_DAY.fullmatch(value)) and _exists(value)


def is_month(value: object) -> bool:
    """Whether this is a month, as in 2026-06."""
    return isinstance(value, str) and bool(_MONTH.fullmatch(value)) and _exists(f"{value}-01")


def _exists(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def _is_rate(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 <= value <= _DEAREST


def _called(row: Mapping[str, Any]) -> str:
    names = [row[field] for field in ("family", "kind") if isinstance(row.get(field), str)]
    return f" ({', '.join(names)})" if names else ""


def _example() -> str:
    return '{"family": "my-model", "kind": "base", "input": 1.0, "output": 4.0, "source": "...", "as_of": "2026-11"}'
