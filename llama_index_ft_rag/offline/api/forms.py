"""Multipart forms, as uploads come: read in blocks, because a file may be larger than the memory.

In: a request whose body is a form. Out: its fields, and the way to copy a file out of it. Knows nothing of
what the fields mean.
"""

from __future__ import annotations

import email.message
import email.parser
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from llama_index_ft_rag.offline.protocol import BLOCK_BYTES, Request, refuse

_MOST_HEAD_BYTES = 16 * 1024
_MOST_TEXT_BYTES = 64 * 1024
_MOST_PARTS = 100


@dataclass(frozen=True, kw_only=True)
class _Part:
    filename: str | None
    start: int
    """Offset of its data in the body."""
    end: int


class Form:
    """The parts of a form by name."""

    def __init__(self, source: IO[bytes], parts: dict[str, _Part]) -> None:
        self._source = source
        self._parts = parts

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def size(self, name: str) -> int:
        """Return the length of a part in bytes."""
        return self._parts[name].end - self._parts[name].start

    def filename(self, name: str) -> str | None:
        """Return the file name that the client gave a part."""
        return self._parts[name].filename

    def text(self, name: str) -> str:
        """Return a field's text; a missing field is empty.

        Raises:
            Refusal: If it is as long as no field is.
        """
        part = self._parts.get(name)
        if part is None:
            return ""
        if part.end - part.start > _MOST_TEXT_BYTES:
            raise refuse(f"The field '{name}' is longer than {_MOST_TEXT_BYTES} bytes.", param=name)
        return b"".join(self._blocks(part)).decode("utf-8", "replace")

    def copy(self, name: str, target: IO[bytes]) -> None:
        """Write a part's data, block by block."""
        for block in self._blocks(self._parts[name]):
            target.write(block)

    def _blocks(self, part: _Part) -> Iterator[bytes]:
        self._source.seek(part.start)
        left = part.end - part.start
        while left > 0:
            block = self._source.read(min(left, BLOCK_BYTES))
            left -= len(block)
            yield block


def read_form(request: Request) -> Form:
    """Find the parts of a form.

    Raises:
        Refusal: If the body is no form, or is cut off.
    """
    boundary = _headers(f"Content-Type: {request.headers.get('content-type', '')}".encode()).get_boundary()
    if not boundary:
        raise refuse("An upload is a multipart/form-data request with a boundary; send one.", param="file")
    source = request.upload or io.BytesIO(request.body)
    mark = b"--" + boundary.encode("utf-8", "replace")
    parts: dict[str, _Part] = {}
    start: int | None = None
    for place in _find_all(source, mark):
        if start is not None:
            name, part = _read_part(source, start, place - 2)
            parts[name] = part
        start = place + len(mark)
        source.seek(start)
        if source.read(2) == b"--":
            return Form(source, parts)
        if len(parts) > _MOST_PARTS:
            raise refuse(f"The multipart body has more than {_MOST_PARTS} parts.", param="file")
    raise refuse("The multipart body is cut off: its closing boundary is missing.", param="file")


def _find_all(source: IO[bytes], mark: bytes) -> Iterator[int]:
    """Yield the offsets of the boundaries: at the very start, and after each line end."""
    source.seek(0)
    needle = b"\r\n" + mark
    window = b"\r\n"
    offset = -2
    while block := source.read(BLOCK_BYTES):
        window += block
        after = source.tell()
        place = window.find(needle)
        while place >= 0:
            yield offset + place + 2
            place = window.find(needle, place + len(needle))
        # What is kept could still be the beginning of a boundary.
        kept = min(len(window), len(needle) - 1)
        offset += len(window) - kept
        window = window[len(window) - kept :]
        source.seek(after)


def _read_part(source: IO[bytes], start: int, end: int) -> tuple[str, _Part]:
    source.seek(start)
    head, separator, _ = source.read(min(_MOST_HEAD_BYTES, max(0, end - start))).partition(b"\r\n\r\n")
    headers = _headers(head.strip())
    try:
        name, filename = headers.get_param("name", header="content-disposition"), headers.get_filename()
    except ValueError as exc:  # an encoding that is none
        raise refuse(f"A part of the multipart body has a name that cannot be read ({exc}).", param="file") from exc
    if not separator or not isinstance(name, str):
        raise refuse("A part of the multipart body has no name in its Content-Disposition.", param="file")
    return name, _Part(filename=filename, start=start + len(head) + len(separator), end=end)


def _headers(block: bytes) -> email.message.Message:
    return email.parser.HeaderParser().parsestr(block.decode("utf-8", "replace"))
