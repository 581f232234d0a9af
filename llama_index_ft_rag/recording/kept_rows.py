"""Finished calls kept in memory, and how rows become examples again, wherever they were kept.

In: rows of finished calls. Out: the same rows in the order the calls started, and `TrainingExample`s. Knows nothing
of files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import get_args

from pydantic import ValidationError

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import CallKind, TrainingExample
from llama_index_ft_rag.recording.reasons import NO_ROOM
from llama_index_ft_rag.recording.recorded_calls import Row
from llama_index_ft_rag.storage import dump_row

logger = logging.getLogger(__name__)


Where = Callable[[TrainingExample], bool]
"""Called with each example; says whether it is wanted."""


class KeptInMemory:
    """Keeps finished calls until they are cleared."""

    def __init__(self, *, max_bytes: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._rows: dict[int, Row] = {}
        self._numbers: dict[str, int] = {}
        self._by_query: dict[str, list[int]] = {}

    def keep(self, row: Row, *, number: int) -> str | None:
        """Keep a call unless there is no room for it."""
        if self._max_bytes is not None:
            size = len(dump_row(row).encode("utf-8"))
            if self._bytes + size > self._max_bytes:
                return NO_ROOM
            self._bytes += size
        self._rows[number] = row
        self._numbers[row["call_id"]] = number
        self._by_query.setdefault(row["query_id"], []).append(number)
        return None

    def rename(self, call_id: str, kind: CallKind) -> None:
        """Change what a kept call was for."""
        row = self._rows[self._numbers[call_id]]
        self._rows[self._numbers[call_id]] = {**row, "kind": kind}

    def rows(self, query_id: str | None = None) -> list[Row]:
        """The calls kept, of all queries or of one, in the order they started."""
        numbers = self._rows if query_id is None else self._by_query.get(query_id, [])
        return [self._rows[number] for number in sorted(numbers)]

    def clear(self) -> None:
        """Forget everything."""
        self._bytes = 0
        self._rows.clear()
        self._numbers.clear()
        self._by_query.clear()


def to_examples(rows: Iterable[Row]) -> Iterator[tuple[str, TrainingExample]]:
    """Each row's call id and example. A row that is no example is left out, and the log says so."""
    for row in rows:
        fields = {name: row[name] for name in TrainingExample.model_fields if name in row}
        try:
            example = TrainingExample.model_validate(fields)
        except ValidationError as exc:
            logger.warning("a recorded call is no example and was left out: %s", exc.errors()[0]["msg"])
            continue
        if all(isinstance(message.get("role"), str) for message in example.messages) and len(example.messages) > 1:
            yield str(row.get("call_id")), example
        else:
            logger.warning(
                "a recorded call is no example and was left out: its messages are not a question and an answer"
            )


def chosen(
    examples: Iterable[TrainingExample], *, kinds: Collection[CallKind] | None, where: Where | None
) -> list[TrainingExample]:
    """The examples of these kinds, `None` for all, that `where` says yes to.

    Raises:
        ConfigurationError: If there is no such kind.
    """
    known = get_args(CallKind)
    unknown = [kinds] if isinstance(kinds, str) else [kind for kind in kinds or () if kind not in known]
    if unknown:
        raise ConfigurationError(f"kinds={unknown[0]!r}: no kind of call; pass a list of {', '.join(known)}")
    return [
        example
        for example in examples
        if (kinds is None or example.kind in kinds) and (where is None or where(example))
    ]
