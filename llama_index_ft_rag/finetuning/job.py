"""The record of a training job, `job.json`: what is about to be done, and what was answered.

In: a plan (which file, which settings, where). Out: a record that is on disk before each paid step and after
each answer, so that a killed run continues instead of uploading or training twice. A record is never
overwritten by that of another plan; it is renamed. Knows nothing of any service's API, and holds no secret.
"""

from __future__ import annotations

import glob
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llama_index_ft_rag.errors import ExamplesError, FinetuneError
from llama_index_ft_rag.storage import make_private_folder, write_json

Intent = Literal["upload_training_file", "upload_validation_file", "create_job"]
"""A step that was announced and not yet answered: it may or may not have happened."""


def check_regular(path: Path) -> None:
    """Refuse what can be read only once, such as a pipe: a training file is checked, then sent.

    Raises:
        ExamplesError: If it is such a thing.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ExamplesError(f"{path}: is no regular file and can be read only once; write it to a file first")


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file as it is now; what is hashed is what is uploaded."""

    path: Path
    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> DataFile:
        """Read a training or validation file.

        Raises:
            ExamplesError: If it cannot be read.
        """
        check_regular(path)
        try:
            return cls(path=path, content=path.read_bytes())
        except OSError as exc:
            raise ExamplesError(f"{path}: cannot be read ({exc.strerror}); pass the path of a JSONL file") from exc

    @property
    def sha256(self) -> str:
        """Hash of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """Everything that makes one training job another than the next."""

    provider: str
    """Which kind of API, such as `openai`."""
    endpoint: str
    """Address of the service, without credentials."""
    base_model: str
    training: DataFile
    validation: DataFile | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able settings that change what is trained: hyperparameters, seed, suffix."""

    @property
    def file_hash(self) -> str:
        """Hash of the training file."""
        return self.training.sha256

    @property
    def settings_hash(self) -> str:
        """Hash of everything else that makes this job another."""
        identity = {
            "provider": self.provider,
            "endpoint": self.endpoint,
            "base_model": self.base_model,
            "validation": self.validation.sha256 if self.validation is not None else None,
            "settings": dict(self.settings),
        }
        canonical = json.dumps(identity, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def upload_names(self) -> list[str]:
        """Names of all files of the plan; equal if their contents and the settings are."""
        return [self.upload_name(file) for file in (self.training, self.validation) if file is not None]

    def upload_name(self, file: DataFile) -> str:
        """Name that a file gets at the service: says which content it is, and for which settings."""
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", file.path.stem)[:40]
        return f"{stem}-{file.sha256[:12]}-{self.settings_hash[:8]}.jsonl"


class JobRecord(BaseModel):
    """What is known of one training job; the content of `job.json`."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    provider: str
    endpoint: str
    base_model: str
    settings: dict[str, Any] = Field(default_factory=dict)
    file_hash: str
    settings_hash: str

    intent: Intent | None = None
    file_id: str | None = None
    validation_file_id: str | None = None
    job_id: str | None = None
    forced: bool = False
    """Whether another job is wanted although there is one of the same file and settings."""
    earlier_jobs: list[str] | None = None
    """Those of a forced one, which are not it; `None` until they were looked for."""
    status: str | None = None
    """As the service last reported it."""
    tuned_model: str | None = None
    tuned_model_answers: bool = False
    """Whether the tuned model was seen to answer; right after the training a service may still be loading it."""
    trained_tokens: int | None = None
    error_code: str | None = None
    error_message: str | None = None

    created_at: datetime | None = None
    updated_at: datetime | None = None
    submitted_at: datetime | None = None
    finished_at: datetime | None = None

    def belongs_to(self, plan: JobPlan) -> bool:
        """Whether this is the job that `plan` would start."""
        return (self.file_hash, self.settings_hash) == (plan.file_hash, plan.settings_hash)


class JobStore:
    """Keeps `job.json`, and beside it the records of jobs with another file or other settings.

    Args:
        path: Where the current record lies. An earlier one is renamed to
            `<name>.<file hash>-<settings hash>.json` beside it, and comes back when its file and settings do.
        now: The clock for the times in a record.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)) -> None:
        self.path = path
        self._now = now

    def find(self, plan: JobPlan) -> JobRecord | None:
        """Look for the record of a plan; change nothing.

        Raises:
            FinetuneError: If a record is there and cannot be read.
        """
        for path in (self.path, self._archive_path(plan.file_hash, plan.settings_hash)):
            record = _read(path)
            if record is not None and record.belongs_to(plan):
                return record
        return None

    def try_lock(self) -> sqlite3.Connection | None:
        """Be the only one to submit with this record until what is returned is closed; None while another is.

        Raises:
            FinetuneError: If there is no locking here, as on some network drives.
        """
        make_private_folder(self.path.parent)
        lock = self.path.with_name(f"{self.path.name}.lock")
        connection: sqlite3.Connection | None = None
        # SQLite's file lock works on every platform and vanishes with the process, however it dies.
        try:
            lock.touch(mode=0o600)
            connection = sqlite3.connect(lock, timeout=0, isolation_level=None)
            connection.execute("BEGIN EXCLUSIVE")
        except (OSError, sqlite3.Error) as exc:
            if connection is not None:
                connection.close()
            if "database is locked" in str(exc):
                return None
            raise FinetuneError(f"{lock}: cannot be locked ({exc}); check the disk or choose another job_path") from exc
        return connection

    def open(self, plan: JobPlan) -> JobRecord:
        """Make the record of a plan the current one: as it was left, or a new one.

        Raises:
            FinetuneError: If a record is there and cannot be read; it is left as it is.
        """
        make_private_folder(self.path.parent)
        current = _read(self.path)
        if current is not None and current.belongs_to(plan):
            return current
        if current is not None:
            self.path.rename(self._free_archive_path(current))
        earlier = self.find(plan)
        if earlier is not None:
            self._archive_path(plan.file_hash, plan.settings_hash).rename(self.path)
            return earlier
        return self.save(_new_record(plan, created_at=self._now()))

    def renew(self, record: JobRecord, plan: JobPlan) -> JobRecord:
        """Put the record of a plan's job aside and make a new one, for another job of the same plan."""
        if _read(self.path) == record:
            self.path.rename(self._free_archive_path(record))
        return self.save(_new_record(plan, created_at=self._now(), forced=True))

    def save(self, record: JobRecord, **changes: Any) -> JobRecord:
        """Write a record with `changes` and return it; beside the current one where that is another plan's."""
        if changes.get("job_id") is not None:
            changes.setdefault("submitted_at", self._now())
        changed = record.model_copy(update={**changes, "updated_at": self._now()})
        write_json(self._place_of(record), changed.model_dump(mode="json"))
        return changed

    def _place_of(self, record: JobRecord) -> Path:
        current = _read(self.path)
        if current is None or _is_same_job(record, current):
            return self.path
        first = self._archive_path(record.file_hash, record.settings_hash)
        for path in sorted(first.parent.glob(f"{glob.escape(first.stem)}*.json")):
            put_aside = _read(path)
            if put_aside is not None and _is_same_job(record, put_aside):
                return path
        return self._free_archive_path(record)

    def _archive_path(self, file_hash: str, settings_hash: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.{file_hash[:12]}-{settings_hash[:8]}.json")

    def _free_archive_path(self, record: JobRecord) -> Path:
        first = self._archive_path(record.file_hash, record.settings_hash)
        path, number = first, 1
        while path.exists():
            number += 1
            path = first.with_name(f"{first.stem}.{number}.json")
        return path


def _new_record(plan: JobPlan, *, created_at: datetime, forced: bool = False) -> JobRecord:
    return JobRecord(
        provider=plan.provider,
        endpoint=plan.endpoint,
        base_model=plan.base_model,
        settings=dict(plan.settings),
        file_hash=plan.file_hash,
        settings_hash=plan.settings_hash,
        created_at=created_at,
        forced=forced,
    )


def _is_same_job(record: JobRecord, other: JobRecord) -> bool:
    """Whether a record on disk is an older one of the same job; with `force` a plan has several jobs."""
    is_same_plan = (record.file_hash, record.settings_hash) == (other.file_hash, other.settings_hash)
    return is_same_plan and record.job_id in (None, other.job_id)


def _read(path: Path) -> JobRecord | None:
    try:
        return JobRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as exc:
        raise FinetuneError(
            f"{path}: not a job record that this version can read; it may name a job that was paid for, so"
            " look for the job id in it and pass that as start_job_id, or move the file away to start anew"
        ) from exc
