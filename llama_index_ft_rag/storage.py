"""How this package writes files: whole ones atomically, journals one line at a time, all of them private.

In: text, or JSON-able rows, and a path. Out: files with mode 0600; folders made here have mode 0700. A reader of a
journal drops a torn last line, as a killed process leaves it, and says so in the log. Knows nothing of what
the rows mean.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from llama_index_ft_rag.errors import RunFolderError

logger = logging.getLogger(__name__)


def make_private_folder(path: Path) -> Path:
    """Create `path` and its parents, the last one readable by its owner only; one that exists keeps its mode.

    Raises:
        RunFolderError: If it cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as exc:
        raise RunFolderError(
            f"{path}: this folder cannot be written ({exc.strerror}); choose another folder (--out on the command line)"
        ) from exc
    return path


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file under a temporary name, then rename it into place."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file under a temporary name, then rename it into place."""
    _write_parts(path, (data,))


def _write_parts(path: Path, parts: Iterable[bytes]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.writelines(parts)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value as a whole file, indented, newline-ended."""
    write_text(path, _dump(value, indent=2, sort_keys=True) + "\n")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as one whole JSONL file; they are not held in memory together."""
    _write_parts(path, (dump_row(row).encode("utf-8") for row in rows))


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append one row to a journal with a single write, so that a killed process tears at most this line."""
    data = dump_row(row).encode("utf-8")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b", buffering=0) as stream:
        size = stream.seek(0, os.SEEK_END)
        if size:
            stream.seek(size - 1)
            if stream.read(1) != b"\n":
                data = b"\n" + data  # seals off the line that a killed process tore
        if stream.write(data) != len(data):
            raise RunFolderError(f"{path}: the disk is full; make room, and the same command continues")


def read_rows(path: Path, *, start: int = 0, lost: str = "its work is done again") -> Iterator[dict[str, Any]]:
    """Yield the rows of a journal; nothing if it does not exist. Torn lines are skipped and logged.

    Args:
        path: The journal.
        start: Byte before which rows are passed over.
        lost: What a torn line means, for the log.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        end = 0
        for number, line in enumerate(stream, start=1):
            end += len(line)
            if end <= start or not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8", errors="replace"))
            except (ValueError, RecursionError):  # besides torn JSON: numbers or nesting beyond what Python reads
                logger.warning("%s line %s is torn and was skipped; %s", path, number, lost)
                continue
            if isinstance(row, dict):
                yield row


def dump_row(row: Mapping[str, Any]) -> str:
    """One JSON line, newline-ended, keys in the order given, non-ASCII kept."""
    return _dump(row) + "\n"


def _dump(value: Any, **style: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, **style)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, from broken model output: JSON can escape it
        return json.dumps(value, ensure_ascii=True, **style)
    return text
