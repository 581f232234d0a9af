"""The lines of an uploaded JSONL file, read one by one as the file may be larger than the memory.

In: an open file. Out: the lines that are not blank, with their numbers and places. A byte order mark, as Windows
editors leave it at the start, is no part of the first line. Knows nothing of what the lines hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from llama_index_ft_rag.offline.protocol import refuse

MOST_LINE_BYTES = 32 * 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line that is not blank."""

    number: int
    """Counts from 1, blank lines included."""
    text: bytes
    end: int
    """Where the next line starts, in bytes."""


def read_lines(content: IO[bytes], *, start: int = 0, number: int = 0) -> Iterator[Line]:
    """Read on from a place where `number` lines have been read; without one from the beginning.

    Raises:
        Refusal: If a line is too long to be held in memory.
    """
    content.seek(start)
    place = start
    while text := content.readline(MOST_LINE_BYTES + 1):
        if len(text) > MOST_LINE_BYTES:
            raise refuse(f"Line {number + 1} is longer than {MOST_LINE_BYTES} bytes.", param="file")
        number += 1
        place += len(text)
        line = text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text
        if line.strip():
            yield Line(number=number, text=line, end=place)
