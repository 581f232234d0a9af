"""Examples -> rows of a format, and every example that it cannot express, named with the reason.

In: examples and the function that writes one as a row. Out: the rows, and a `LeftOut` for each of the others. Knows
nothing of files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.turns import InexpressibleError, LeftOutReason

Split = Literal["train", "validation"]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An example that the format cannot express."""

    index: int
    """Its place among the examples given, from 0."""
    content_hash: str
    reason: LeftOutReason
    split: Split = "train"


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What became of some examples."""

    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]


def convert_examples(
    examples: Sequence[TrainingExample], convert: Callable[[TrainingExample], Row], *, split: Split = "train"
) -> Converted:
    """Write each example as a row, or name it with the reason why it has none."""
    rows = []
    left_out = []
    for index, example in enumerate(examples):
        try:
            row = convert(example)
            _require_unicode(row)
        except InexpressibleError as exc:
            left_out.append(LeftOut(index=index, content_hash=example.content_hash, reason=exc.reason, split=split))
        else:
            rows.append(row)
    return Converted(rows=tuple(rows), left_out=tuple(left_out))


def require_some(written: int, left_out: Sequence[LeftOut], *, form: str, other: str) -> None:
    """Refuse an export with nothing in it.

    Args:
        written: How many examples would be written.
        left_out: The others.
        form: What they were to be written as, such as `in the format 'alpaca'`.
        other: What else there is to choose, such as `format`.

    Raises:
        ExamplesError: If there is nothing to write.
    """
    if written:
        return
    if not left_out:
        raise ExamplesError("there are no examples to export")
    reasons = Counter(missed.reason for missed in left_out).most_common()
    why = "; ".join(f"{reason} ({count} of {len(left_out)})" for reason, count in reasons)
    raise ExamplesError(f"no example can be written {form}: {why}; choose another {other}")


def _require_unicode(row: Row) -> None:
    # Arrow, with which trainers read every one of these files, refuses a whole file for half a surrogate pair.
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise InexpressibleError("it has text that is no valid Unicode") from exc
