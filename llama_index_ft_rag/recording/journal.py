"""The recorder's file: every finished call is one line, on disk before the app goes on.

In: rows of finished calls. Out: a private JSONL file that several processes may append to, and its rows again. A
disk that is full or a file that cannot be written stops the recording with one line in the log and never raises into
the app. Knows nothing of events.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
import weakref
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: processes that share a file rely on appending whole lines alone
    fcntl = None  # type: ignore[assignment]

from pydantic import TypeAdapter

from llama_index_ft_rag.concurrency import LockOwner
from llama_index_ft_rag.errors import ConfigurationError, ExamplesError
from llama_index_ft_rag.examples import RECORDING_BEGINNING, CallKind, TrainingExample, is_recording
from llama_index_ft_rag.recording.kept_rows import Where, chosen, to_examples
from llama_index_ft_rag.recording.log_lines import say
from llama_index_ft_rag.recording.reasons import NO_ROOM, NOT_WRITTEN
from llama_index_ft_rag.recording.recorded_calls import Row
from llama_index_ft_rag.storage import dump_row, read_rows

logger = logging.getLogger(__name__)

_ROWS = TypeAdapter(dict[str, Any])
_LOCK_TRIES = 50
_LOCK_PAUSE_S = 0.001


class Journal(LockOwner):
    """Keeps finished calls in a file, and none of them in memory.

    Raises:
        ConfigurationError: If the file holds something else than a recording.
    """

    def __init__(self, path: Path, *, max_bytes: int | None = None) -> None:
        self.path = path.absolute()  # the app may change its folder
        self._max_bytes = max_bytes
        super().__init__()
        self._file: int | None = None
        self._close: Callable[[], Any] = _nothing
        self._opened_by = 0
        self._our_end = -1
        self._name = os.fspath(self.path)
        self._identity = (-1, -1)
        self._is_patient = True
        self._is_stopped = False
        self._is_full = False
        self._cleared = ((0, 0), 0)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open()
        except OSError as exc:
            self._stop(exc)

    def keep(self, row: Row, *, number: int) -> str | None:  # noqa: ARG002 - a row says itself when it started
        """Append a call; return why it was not written, or `None`."""
        return self._append(row)

    def rename(self, call_id: str, kind: CallKind) -> None:
        """Append what a call was for, once that is known."""
        self._append({"call_id": call_id, "kind": kind}, is_limited=False)

    def rows(self, query_id: str | None = None) -> list[Row]:
        """The calls in the file, those of other processes too, in the order they started."""
        try:
            found = self.path.stat()
            cleared_file, cleared_bytes = self._cleared
            is_same = cleared_file == (found.st_dev, found.st_ino) and cleared_bytes <= found.st_size
            rows = _in_order(self.path, start=cleared_bytes if is_same else 0)
        except OSError as exc:
            say(logger, logging.WARNING, "%s: nothing of it can be shown: %s", self.path, exc)
            return []
        return [row for row in rows if query_id is None or row.get("query_id") == query_id]

    def clear(self) -> None:
        """Show nothing of what is in the file now; it stays there."""
        try:
            found = self.path.stat()
            self._cleared = ((found.st_dev, found.st_ino), found.st_size)
        except OSError:
            self._cleared = ((0, 0), 0)

    def _append(self, row: Row, *, is_limited: bool = True) -> str | None:
        if self._is_stopped:
            return NOT_WRITTEN
        try:
            data = _line(row)
            with self.lock:
                return self._write(data, most_bytes=self._max_bytes if is_limited else None)
        except (OSError, ConfigurationError) as exc:
            self._stop(exc)
            return NOT_WRITTEN

    def _write(self, data: bytes, *, most_bytes: int | None) -> str | None:
        file = self._current_file()
        is_alone = self._lock_others_out(file)
        try:
            size = os.lseek(file, 0, os.SEEK_END)
            if most_bytes is not None and size + len(data) > most_bytes:
                self._say_full()
                return NO_ROOM
            if size != self._our_end and size and not _ends_a_line(file, size):
                data = b"\n" + data  # seals off the line that a killed process tore
            written = os.write(file, data)
            if written != len(data):
                if is_alone:
                    os.ftruncate(file, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._our_end = size + written
        finally:
            if is_alone and fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_UN)
        return None

    def _lock_others_out(self, file: int) -> bool:
        """Whether no other process writes now. One that keeps the file locked does not hold up the app: see below.

        What is appended stays whole without a lock; it only guards the sealing of a torn line.
        """
        if fcntl is None:
            return False
        tries = _LOCK_TRIES if self._is_patient else 1
        for left in reversed(range(tries)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if left:
                    time.sleep(_LOCK_PAUSE_S)
            except OSError:  # a file system without locks
                return False
            else:
                self._is_patient = True
                return True
        self._is_patient = False
        return False

    def _current_file(self) -> int:
        """The file that has our name now: ours may have been deleted, moved by log rotation, or closed by the app."""
        if self._file is None or self._opened_by != os.getpid():  # a fork must not share our lock
            return self._open()
        try:
            found = os.stat(self._name)  # noqa: PTH116 - on every call, and a Path takes longer
        except FileNotFoundError:
            return self._open()
        is_ours = (found.st_dev, found.st_ino) == self._identity and _is_open_as(self._file, self._identity)
        return self._file if is_ours else self._open()

    def _open(self) -> int:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        opened = os.fstat(file)
        identity = (opened.st_dev, opened.st_ino)
        try:
            if not stat.S_ISREG(opened.st_mode):
                raise OSError(errno.EINVAL, "not a file that can be appended to")
            _refuse_other_files(self.path, os.read(file, len(RECORDING_BEGINNING)))
            if not opened.st_size and hasattr(os, "fchmod"):  # what somebody made beforehand holds nothing private yet
                os.fchmod(file, 0o600)
        except BaseException:
            os.close(file)
            raise
        self._close()
        self._close = weakref.finalize(self, _close_if_ours, file, identity)
        self._close.atexit = False
        self._file, self._opened_by, self._identity, self._our_end = file, os.getpid(), identity, -1
        return file

    def _stop(self, error: Exception) -> None:
        if not self._is_stopped:
            self._is_stopped = True
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            say(
                logger,
                logging.ERROR,
                "%s: nothing more is recorded, the app goes on (%s); give the recorder a path that can be written",
                self.path,
                why,
            )

    def _say_full(self) -> None:
        if not self._is_full:
            self._is_full = True
            say(
                logger,
                logging.ERROR,
                "%s: calls that would make it larger than %s bytes are not recorded; move it away or raise max_bytes",
                self.path,
                self._max_bytes,
            )


def read_recording(
    path: str | Path, *, kinds: Collection[CallKind] | None = None, where: Where | None = None
) -> list[TrainingExample]:
    """Read the calls that an `OpenAIFineTuningHandler(path)` recorded, in the order they started.

    A torn line, as a killed process or a full disk leaves it, is skipped and named in the log.

    Args:
        path: The recording.
        kinds: What the calls were for; `None` for all.
        where: Called with each example; keeps those it says yes to.

    Raises:
        ExamplesError: If there is no such file.
    """
    source = Path(path)
    if not source.is_file():
        raise ExamplesError(f"{source}: no such recording; pass the path given to OpenAIFineTuningHandler")
    if not is_recording(source) and source.stat().st_size:
        raise ExamplesError(f"{source}: is no recording; pass the path given to OpenAIFineTuningHandler")
    return chosen((example for _, example in to_examples(_in_order(source))), kinds=kinds, where=where)


def _nothing() -> None:
    """Close no file."""


def _is_open_as(file: int, identity: tuple[int, int]) -> bool:
    """Whether a descriptor is that of our file: an app that closes them all gets the number for one of its own."""
    try:
        opened = os.fstat(file)
    except OSError:
        return False
    return (opened.st_dev, opened.st_ino) == identity


def _close_if_ours(file: int, identity: tuple[int, int]) -> None:
    if _is_open_as(file, identity):
        os.close(file)


def _in_order(path: Path, *, start: int = 0) -> list[Row]:
    calls: list[Row] = []
    by_id: dict[str, Row] = {}
    for row in read_rows(path, start=start, lost="the call it held is lost"):
        call_id = str(row.get("call_id"))
        if "messages" in row:
            if call_id in by_id and by_id[call_id]["messages"] == row["messages"]:
                continue  # two handlers on one file, such as a notebook cell that ran twice, saw the same call
            calls.append(row)
            by_id[call_id] = row
        elif call_id in by_id:
            by_id[call_id]["kind"] = row.get("kind")
    return sorted(calls, key=_start_of)


def _start_of(row: Row) -> float:
    started = row.get("started_at")
    return started if isinstance(started, int | float) else 0.0


def _line(row: Row) -> bytes:
    try:
        return _ROWS.dump_json(row) + b"\n"  # several times as fast as json.dumps
    except ValueError:  # a lone surrogate, from broken model output
        return dump_row(row).encode("utf-8")


def _ends_a_line(file: int, size: int) -> bool:
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"


def _refuse_other_files(path: Path, beginning: bytes) -> None:
    if not RECORDING_BEGINNING.startswith(beginning):
        raise ConfigurationError(
            f"{path}: holds something else than a recording, such as a training file; give the recorder a path of its "
            "own and write the training file with save_finetuning_events"
        )
