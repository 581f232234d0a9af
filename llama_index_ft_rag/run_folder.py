"""The run folder: which stage is done, for which inputs, and that nobody else is writing here.

In: a path and the settings of a run. Out: paths, a lock held while the run goes on, and for each stage whether
its output still fits its inputs. What no longer fits is moved to `superseded/`, never deleted. Knows nothing of
what the stages do.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from llama_index_ft_rag.errors import RunFolderError
from llama_index_ft_rag.storage import make_private_folder, write_json

SCHEMA_VERSION = 1


class RunFolder:
    """A run's folder, locked for this process while open.

    Args:
        path: The folder; created if missing.
        identity: What makes it this run and no other: documents, engine, teacher, backend, seed. A folder that
            holds a run of another identity is refused.
        settings: Everything else worth keeping in `run.json`.

    Raises:
        RunFolderError: If the folder cannot be written, is in use, or holds another run.
    """

    def __init__(self, path: str | Path, *, identity: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.path = make_private_folder(Path(path))
        self._lock = _lock_folder(self.path)
        try:
            self._record = self._open_record(identity, settings)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes use the folder."""
        self._lock.close()

    def file(self, name: str) -> Path:
        """Path of one of the run's files."""
        return self.path / name

    def begin(self, stage: str, *, inputs: Any, outputs: Sequence[str]) -> str:
        """Say that a stage starts; return the fingerprint of its inputs, to be part of later stages' inputs.

        If the stage ran before with other inputs, its outputs are moved to `superseded/`. Outputs that fit are
        left for the stage to continue from.
        """
        fingerprint = fingerprint_of(inputs)
        known = self._record["stages"].get(stage)
        if known != fingerprint:
            if known is not None:
                self._supersede(known, outputs)
            self._record["stages"][stage] = fingerprint
            self._save()
        return fingerprint

    def note(self, key: str, value: Any) -> None:
        """Keep a fact about the run in `run.json`, such as the id of the tuned model."""
        if self._record["facts"].get(key) != value:
            self._record["facts"][key] = value
            self._save()

    def forget(self, *keys: str) -> None:
        """Drop facts that no longer hold."""
        known = [key for key in keys if key in self._record["facts"]]
        for key in known:
            del self._record["facts"][key]
        if known:
            self._save()

    @property
    def facts(self) -> Mapping[str, Any]:
        """The facts noted so far."""
        facts: dict[str, Any] = self._record["facts"]
        return facts

    def _open_record(self, identity: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        before = read_run(self.path) if (self.path / "run.json").exists() else None
        if before is None:
            self._refuse_foreign_folder()
            created = datetime.now(timezone.utc).isoformat(timespec="seconds")
            before = {"created": created, "stages": {}, "facts": {}}
        else:
            self._refuse_other_run(before["identity"], identity)
        record = {**before, "schema_version": SCHEMA_VERSION, "identity": dict(identity), "settings": dict(settings)}
        write_json(self.path / "run.json", record)
        return record

    def _refuse_other_run(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        wanted = json.loads(json.dumps(now))
        for key in sorted({*before, *wanted}):
            if before.get(key) != wanted.get(key):
                raise RunFolderError(
                    f"{self.path}: was made with {key} {_short(before.get(key))}, now it is "
                    f"{_short(wanted.get(key))}; choose another folder with --out"
                )

    def _refuse_foreign_folder(self) -> None:
        # A run killed at its first step leaves its lock and perhaps a half-written run.json.
        ours = ("run.lock", ".run.json.")
        strangers = sorted(item.name for item in self.path.iterdir() if not item.name.startswith(ours))
        if strangers:
            raise RunFolderError(
                f"{self.path}: not empty and not a run folder (holds {strangers[0]!r}); choose another one with --out"
            )

    def _supersede(self, fingerprint: str, outputs: Sequence[str]) -> None:
        grave = self._new_grave(fingerprint)
        for name in outputs:
            source = self.path / name
            if source.exists():
                source.replace(grave / name)

    def _new_grave(self, fingerprint: str) -> Path:
        # Settings may be changed back and forth: what an earlier change put aside stays where it is.
        grave, number = self.path / "superseded" / fingerprint, 1
        while grave.exists():
            number += 1
            grave = grave.with_name(f"{fingerprint}-{number}")
        return make_private_folder(grave)

    def _save(self) -> None:
        write_json(self.path / "run.json", self._record)


def read_run(path: str | Path) -> dict[str, Any]:
    """Read `run.json` of a folder.

    Raises:
        RunFolderError: If there is none, it is damaged, or it was written by a newer version.
    """
    source = Path(path) / "run.json"
    try:
        record = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise RunFolderError(f"{path}: no run.json here; pass the folder that `ft-rag run --out` wrote") from exc
    except (OSError, ValueError) as exc:
        raise RunFolderError(f"{source}: cannot be read ({exc}); start again in another folder") from exc
    if not isinstance(record, dict):
        raise RunFolderError(f"{source}: is not the record of a run; start again in another folder")
    if record.get("schema_version") != SCHEMA_VERSION:
        raise RunFolderError(
            f"{source}: schema version {record.get('schema_version')}, this version reads {SCHEMA_VERSION}; "
            "use the llama-index-ft-rag that wrote it"
        )
    for part in ("identity", "settings", "stages", "facts"):
        if not isinstance(record.get(part), dict):
            raise RunFolderError(f"{source}: is damaged, it has no {part!r}; start again in another folder")
    return record


def fingerprint_of(value: Any) -> str:
    """12 hex digits that change when any part of a JSON-able value changes."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _lock_folder(path: Path) -> sqlite3.Connection:
    # SQLite's file lock works on every platform and vanishes with the process, however it dies.
    lock = path / "run.lock"
    connection = sqlite3.connect(lock, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as exc:
        connection.close()
        if "locked" not in str(exc):
            raise RunFolderError(f"{path}: cannot be locked ({exc}); check the disk or choose another --out") from exc
        raise RunFolderError(f"{path}: another ft-rag is writing here; wait for it or choose another --out") from exc
    lock.chmod(0o600)
    return connection


def _short(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    text = ", ".join(f"{name} ({part})" for name, part in value.items()) if isinstance(value, dict) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
