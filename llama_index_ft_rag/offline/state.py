"""What the offline backend keeps in its private folder: records in one SQLite file, contents as files beside it.

In: records (JSON objects) by kind and id, and contents of any size. Out: the same, after a restart too. A
change is written whole or not at all. One process holds the folder at a time; the hold ends with the process,
however it ends. Knows nothing of what a record means.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from llama_index_ft_rag.errors import OfflineBackendError

RecordKind = Literal["file", "job", "model", "batch"]

FILE_NAME = "offline.db"
CONTENTS_NAME = "contents"
SCHEMA_VERSION = 2

_INCOMING = "ft-rag-incoming-"
_SUFFIX = ".content"

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS records (kind TEXT, id TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, id))",
    "CREATE TABLE IF NOT EXISTS contents (id TEXT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, last INTEGER NOT NULL)",
)


class State:
    """The records of one backend.

    Args:
        folder: Where they are kept; `None` keeps them in a private temporary folder, removed by `close`.

    Raises:
        OfflineBackendError: If the folder cannot be used, or another backend uses it.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ft-rag-offline-")) if folder is None else folder
        self._lock = threading.RLock()
        if folder is not None:
            _make_folder(folder)
        self._contents = _make_contents(self.folder)
        self._dropped: list[Path] = []
        self._connection, is_new = _open(self.folder)
        # Also when nobody calls close(): at garbage collection, and at the end of the process.
        self._finalizer = weakref.finalize(
            self, _close, self._connection, remove=self.folder if folder is None else None, owner=os.getpid()
        )
        self._sweep(is_new=is_new)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._finalizer.alive

    def close(self) -> None:
        """Let go of the folder; a second call does nothing."""
        with self._lock:
            self._finalizer()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold off other threads, and keep all changes made inside, or none if an exception leaves it."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            self._dropped.clear()
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            for path in self._dropped:
                path.unlink(missing_ok=True)

    def next_number(self, name: str) -> int:
        """Count up from 1, per name, never twice the same, also after a restart."""
        self._run("INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET last = last + 1", name)
        return int(self._run("SELECT last FROM counters WHERE name = ?", name)[0][0])

    def get(self, kind: RecordKind, record_id: str) -> dict[str, Any] | None:
        """Return a record, or `None` where there is none of this id."""
        rows = self._run("SELECT value FROM records WHERE kind = ? AND id = ?", kind, record_id)
        return _loads(rows[0][0]) if rows else None

    def all(self, kind: RecordKind) -> list[dict[str, Any]]:
        """Return all records of a kind, in the order in which they were first put."""
        return [
            _loads(value) for (value,) in self._run("SELECT value FROM records WHERE kind = ? ORDER BY rowid", kind)
        ]

    def put(self, kind: RecordKind, record_id: str, record: dict[str, Any]) -> None:
        """Add a record, or replace the one of this id."""
        self._run(
            "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value",
            kind,
            record_id,
            json.dumps(record),
        )

    def delete(self, kind: RecordKind, record_id: str) -> None:
        """Drop a record and its content, if there is one, within a change."""
        self._run("DELETE FROM records WHERE kind = ? AND id = ?", kind, record_id)
        if self._run("DELETE FROM contents WHERE id = ? RETURNING id", record_id):
            self._dropped.append(self._path(record_id))

    @contextmanager
    def new_content(self) -> Iterator[IO[bytes]]:
        """Open a file for a content to come; what `put_content` does not take is gone in the end."""
        number, name = tempfile.mkstemp(dir=self._contents, prefix=_INCOMING)
        os.close(number)
        path = Path(name)
        try:
            with path.open("w+b") as file:
                yield file
        finally:
            path.unlink(missing_ok=True)

    def put_content(self, record_id: str, file: IO[bytes]) -> None:
        """Keep what `new_content` opened under the id of its record, within a change."""
        file.flush()
        Path(file.name).replace(self._path(record_id))
        self._run("INSERT OR REPLACE INTO contents VALUES (?)", record_id)

    def open_content(self, record_id: str) -> IO[bytes] | None:
        """Open the content kept under an id for reading; `None` where there is none."""
        # Asked of the database first, because an id may come from a request and look like a path.
        with self._lock:
            if not self._run("SELECT 1 FROM contents WHERE id = ?", record_id):
                return None
            return self._path(record_id).open("rb")

    def _sweep(self, *, is_new: bool) -> None:
        """Remove what a killed process left behind, and nothing that is not ours by its name."""
        for path in self._contents.glob(f"{_INCOMING}*"):
            path.unlink()
        if is_new:  # whoever removed the database may want to have the contents back
            return
        kept = {self._path(name) for (name,) in self._run("SELECT id FROM contents")}
        for path in self._contents.glob(f"*{_SUFFIX}"):
            if path not in kept:
                path.unlink()

    def _path(self, record_id: str) -> Path:
        return self._contents / f"{record_id}{_SUFFIX}"

    def _run(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise OfflineBackendError(
            f"{folder}: this state folder cannot be made ({exc.strerror}); choose another one"
        ) from exc


def _make_contents(folder: Path) -> Path:
    contents = folder / CONTENTS_NAME
    try:
        contents.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise OfflineBackendError(
            f"{contents}: this folder for contents cannot be made ({exc.strerror}); choose another state folder"
        ) from exc
    return contents


def _open(folder: Path) -> tuple[sqlite3.Connection, bool]:
    """Return the database, and whether it is a new one."""
    path = folder / FILE_NAME
    try:
        # Only where there is none: closing a file that SQLite has open as well would drop SQLite's lock on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # SQLite's journals take over this mode
    except FileExistsError:
        pass
    except OSError as exc:
        raise OfflineBackendError(
            f"{folder}: this state folder cannot be written ({exc.strerror}); choose another one"
        ) from exc
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        return connection, _take(connection)
    except (sqlite3.Error, OfflineBackendError) as exc:
        if connection is not None:
            connection.close()
        if isinstance(exc, OfflineBackendError):
            raise
        raise OfflineBackendError(f"{folder}: {_reason(exc)}") from exc


def _take(connection: sqlite3.Connection) -> bool:
    # With this mode SQLite keeps the exclusive lock after COMMIT. The operating system drops it when the
    # process dies, so a killed backend never locks its successor out.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in {0, SCHEMA_VERSION}:
        age, cure = ("a newer", "update the package") if version > SCHEMA_VERSION else ("an older", "remove that file")
        raise OfflineBackendError(
            f"{FILE_NAME}: written by {age} version of this package (format {version}); "
            f"{cure} or choose another state folder"
        )
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
    return bool(version == 0)


def _reason(exc: sqlite3.Error) -> str:
    if "locked" in str(exc):
        return "another offline backend uses this state folder; close that one or choose another folder"
    if "readonly" in str(exc) or "unable to open" in str(exc):
        return f"its {FILE_NAME} cannot be written ({exc}); mend its permissions or choose another folder"
    return f"its {FILE_NAME} cannot be used ({exc}); move that file away or choose another folder"


def _close(connection: sqlite3.Connection, *, remove: Path | None, owner: int) -> None:
    if os.getpid() != owner:  # a forked child ends: what it inherited is its parent's
        return
    connection.close()
    if remove is not None:
        shutil.rmtree(remove, ignore_errors=True)


def _loads(value: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(value)
    return record
