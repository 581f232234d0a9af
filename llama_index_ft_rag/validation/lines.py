"""A stream of bytes -> its lines, none of them longer than memory should hold.

In: an open file. Out: bytes, one line at a time, with their line ends. Knows nothing of what the lines mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

MOST_LINE_BYTES = 32 * 1_000_000
"""An example of 65,536 tokens has less than 1 MB; what is longer holds pictures, or is no line of a training file."""
_SKIPPED_AT_ONCE = 1024 * 1024


def bounded_lines(stream: BinaryIO, *, most: int = MOST_LINE_BYTES) -> Iterator[bytes]:
    """Yield the lines; of one that is too long its first `most + 1` bytes, the rest of it is passed over."""
    while line := stream.readline(most + 1):
        yield line
        if len(line) > most and not line.endswith(b"\n"):
            while (rest := stream.readline(_SKIPPED_AT_ONCE)) and not rest.endswith(b"\n"):
                pass
