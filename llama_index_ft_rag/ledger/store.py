"""The ledger's table: one row for every call sent, written before it is sent and again when its answer is there.

In: keys, requests' facts, answers as text or bytes. Out: answers found by key, and sums. A row whose call never
ended, because its process died, reads as possibly charged. Knows nothing of LLMs and of what an answer means.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from llama_index_ft_rag.errors import ConfigurationError, RunFolderError
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.storage import make_private_folder

SCHEMA_VERSION = 1

CallState = Literal["intent", "answered", "failed", "possibly charged"]
CallMethod = Literal["chat", "complete", "embedding"]

# SQLite takes at most this many values in one statement, in its oldest supported build.
_VALUES_PER_STATEMENT = 500

_tables = sa.MetaData()
_meta = sa.Table(
    "meta",
    _tables,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
_calls = sa.Table(
    "calls",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.String(64), nullable=False, index=True),
    sa.Column("request_hash", sa.String(64), nullable=False),
    sa.Column("repeat", sa.Integer, nullable=False),
    sa.Column("stage", sa.String(64), nullable=False),
    sa.Column("arm", sa.String(64), nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("method", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("response", sa.Text),
    sa.Column("vector", sa.LargeBinary),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("latency_s", sa.Float),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("finished_at", sa.String(32)),
)


@dataclass(frozen=True, kw_only=True)
class Payer:
    """On whose account a call goes."""

    stage: str
    arm: str
    endpoint: str
    model: str


@dataclass(frozen=True, kw_only=True)
class CallIntent:
    """A call that is about to be sent."""

    key: str
    request_hash: str
    repeat: int
    method: CallMethod
    payer: Payer


@dataclass(frozen=True, kw_only=True)
class StoredAnswer:
    """An answer paid for earlier."""

    response: str
    latency_s: float | None


@dataclass(frozen=True, kw_only=True)
class LedgerTotal:
    """What one stage, arm and model sent, over all runs of this ledger."""

    stage: str
    arm: str
    model: str
    calls: int
    """Calls sent, whatever became of them; of embeddings, texts."""
    replayed: int
    """Answers taken from the ledger instead of being asked for, since it was opened."""
    failed: int
    possibly_charged: int
    """Calls that a killed process, a closed stream or a timeout left without an answer, or that are under way."""
    usage: Usage
    """Tokens of the answered calls, where the provider reported them."""


class LedgerStore:
    """A SQLAlchemy database of calls."""

    def __init__(self, url_or_path: str | Path) -> None:
        self._name = str(url_or_path)
        with self._explained():
            self._engine = _open(url_or_path)
            try:
                self._prepare()
            except BaseException:
                self._engine.dispose()
                raise
        self._lock = threading.Lock()
        self._replayed: Counter[Payer] = Counter()

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def answer_to(self, key: str) -> StoredAnswer | None:
        """The answer to a call, if it was paid for before."""
        found = sa.select(_calls.c.response, _calls.c.latency_s).where(
            _calls.c.key == key, _calls.c.state == "answered"
        )
        with self._explained(), self._engine.connect() as connection:
            row = connection.execute(found.limit(1)).first()
        return StoredAnswer(response=row.response, latency_s=row.latency_s) if row else None

    def vectors_of(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The embeddings paid for before, by key."""
        found: dict[str, bytes] = {}
        with self._explained(), self._engine.connect() as connection:
            for start in range(0, len(keys), _VALUES_PER_STATEMENT):
                some = keys[start : start + _VALUES_PER_STATEMENT]
                rows = connection.execute(
                    sa.select(_calls.c.key, _calls.c.vector).where(_calls.c.key.in_(some), _calls.c.state == "answered")
                )
                found.update({row.key: row.vector for row in rows})
        return found

    def intend(self, intents: Sequence[CallIntent]) -> list[int]:
        """Write down calls before they are sent; return their row ids."""
        ids = []
        with self._explained(), self._engine.begin() as connection:
            for intent in intents:
                row = {**vars(intent), **vars(intent.payer), "state": "intent", "created_at": _now()}
                del row["payer"]
                key = connection.execute(sa.insert(_calls), row).inserted_primary_key
                assert key is not None
                ids.append(int(key[0]))
        return ids

    def answer(self, row_id: int, response: str, *, usage: Usage, latency_s: float) -> None:
        """Write down the answer to a call."""
        self._finish(
            row_id,
            state="answered",
            response=response,
            latency_s=latency_s,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )

    def answer_vectors(self, vectors: dict[int, bytes]) -> None:
        """Write down embeddings by the row ids of their calls, all or none of them."""
        with self._explained(), self._engine.begin() as connection:
            for row_id, vector in vectors.items():
                change = {"state": "answered", "vector": vector, "finished_at": _now()}
                connection.execute(sa.update(_calls).where(_calls.c.id == row_id).values(change))

    def fail(self, row_ids: Sequence[int], *, state: CallState, error: str) -> None:
        """Write down that calls have no answer, and why."""
        for row_id in row_ids:
            self._finish(row_id, state=state, error=error)

    def count_replay(self, payer: Payer, *, times: int = 1) -> None:
        """Count answers that were found instead of asked for."""
        with self._lock:
            self._replayed[payer] += times

    def totals(self) -> list[LedgerTotal]:
        """Sums by stage, arm and model."""
        with self._lock:
            replayed: Counter[tuple[str, str, str]] = Counter()
            for payer, times in self._replayed.items():
                replayed[payer.stage, payer.arm, payer.model] += times
        with self._explained(), self._engine.connect() as connection:
            rows = {(row.stage, row.arm, row.model): row for row in connection.execute(_sums())}
        return [
            LedgerTotal(
                stage=group[0],
                arm=group[1],
                model=group[2],
                replayed=replayed[group],
                **_counts(rows.get(group)),
            )
            for group in sorted({*rows, *replayed})
        ]

    def _finish(self, row_id: int, **change: Any) -> None:
        change["finished_at"] = _now()
        with self._explained(), self._engine.begin() as connection:
            connection.execute(sa.update(_calls).where(_calls.c.id == row_id).values(change))

    def _prepare(self) -> None:
        with self._engine.begin() as connection:
            found = None
            if sa.inspect(connection).has_table(_meta.name):
                found = connection.scalar(sa.select(_meta.c.value).where(_meta.c.key == "schema_version"))
            if found not in {None, str(SCHEMA_VERSION)}:
                raise RunFolderError(
                    f"{self._name}: this ledger has schema version {found}, this program knows "
                    f"{SCHEMA_VERSION}; use the version that wrote it, or another folder"
                )
            _tables.create_all(connection)
            if found is None:
                row = {"key": "schema_version", "value": str(SCHEMA_VERSION)}
                connection.execute(sa.insert(_meta), row)
            # Whoever wrote these intents is gone. If it is not, its answer still overwrites this by row id.
            died = sa.update(_calls).where(_calls.c.state == "intent")
            connection.execute(died.values(state="possibly charged", error="process ended"))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as exc:
            reason = str(getattr(exc, "orig", None) or exc)
            raise RunFolderError(
                f"{self._name}: the ledger cannot be used ({reason}); without it calls could be paid for twice, "
                "so check the disk and the path, or choose another folder"
            ) from exc


def _open(url_or_path: str | Path) -> sa.Engine:
    if isinstance(url_or_path, str) and "://" in url_or_path:
        engine = sa.create_engine(url_or_path)
        path = _sqlite_file(engine.url)
    else:
        path = Path(url_or_path)
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
    if path is not None:
        make_private_folder(path.parent)
        # SQLite gives its -wal and -shm files the mode of the database file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        sa.event.listen(engine, "connect", _set_pragmas)
    return engine


def _sqlite_file(url: sa.URL) -> Path | None:
    if url.get_backend_name() != "sqlite":
        return None
    if url.database in {None, "", ":memory:"}:
        raise ConfigurationError(f"ledger {url}: a ledger outlives its process; pass the path of a file")
    return Path(str(url.database))


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "busy_timeout=30000", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sums() -> sa.Select[Any]:
    def having(*states: CallState) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((_calls.c.state.in_(states), 1), else_=0))

    group = (_calls.c.stage, _calls.c.arm, _calls.c.model)
    return sa.select(
        *group,
        sa.func.count().label("calls"),
        having("failed").label("failed"),
        having("possibly charged", "intent").label("possibly_charged"),
        sa.func.sum(_calls.c.prompt_tokens).label("prompt_tokens"),
        sa.func.sum(_calls.c.completion_tokens).label("completion_tokens"),
    ).group_by(*group)


def _counts(row: Any) -> dict[str, Any]:
    if row is None:
        return {"calls": 0, "failed": 0, "possibly_charged": 0, "usage": Usage()}
    usage = Usage(prompt_tokens=row.prompt_tokens, completion_tokens=row.completion_tokens)
    return {
        "calls": int(row.calls),
        "failed": int(row.failed),
        "possibly_charged": int(row.possibly_charged),
        "usage": usage,
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
