"""The batch endpoints: create, retrieve, cancel, list.

In: requests. Out: batch objects as the service shapes them. A batch moves on when it is retrieved: its input
file is checked, its lines are answered a portion per look, its files are made. What a look brought is kept
whole or not at all, so a look that was cut off is taken again, with the same results. While one look moves a
batch on, others only tell how it stands. Knows nothing of what the lines ask for.
"""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import IO, Any

from llama_index_ft_rag.offline.api.batch_input import InputLine, batch_error, check_input, read_input
from llama_index_ft_rag.offline.api.batch_output import (
    CANCELLED,
    EXPIRED,
    FILE_KINDS,
    BatchResults,
    FileKind,
    Unanswered,
    add_usage,
    no_usage,
)
from llama_index_ft_rag.offline.api.batch_settings import COMPLETION_WINDOW, BatchSettings, read_batch_settings
from llama_index_ft_rag.offline.api.files import Files
from llama_index_ft_rag.offline.protocol import (
    Handler,
    Request,
    Response,
    json_response,
    list_response,
    parse_object,
    refuse,
    stable_hash,
)
from llama_index_ft_rag.offline.state import State

Record = dict[str, Any]

WINDOW_SECONDS = 24 * 60 * 60
LOOKS = 4
"""In how many looks the lines of a batch are answered, unless it is a large one."""
MOST_LINES_PER_LOOK = 2500

OPEN_STATUSES = ("validating", "in_progress", "finalizing")
"""A batch in one of these can still be cancelled."""


class Batches:
    """Answers the requests under `/v1/batches`.

    Args:
        state: Where batches are kept.
        files: Where input files come from and output files go.
        answer: Answers the request of one line, as if a client had sent it.
        seed: Decides the ids.
        now: Tells the time.
    """

    def __init__(self, state: State, *, files: Files, answer: Handler, seed: int, now: Callable[[], int]) -> None:
        self._state = state
        self._files = files
        self._answer = answer
        self._seed = seed
        self._now = now
        self._moves = {
            "validating": self._validate,
            "in_progress": self._work,
            "finalizing": self._complete,
            "cancelling": self._finish_cancelling,
        }
        self._moving: set[str] = set()
        self._lock = threading.Lock()

    def create(self, request: Request) -> Response:
        """Make a batch that is about to check its input file."""
        settings = read_batch_settings(parse_object(request.body))
        with self._state.changing():
            batch_id = "batch_" + stable_hash(self._seed, "batch", self._state.next_number("batch"))[:32]
            batch = _new_batch(settings, batch_id=batch_id, created_at=self._now())
            self._keep(batch)
        return _shown(batch)

    def retrieve(self, _request: Request, batch_id: str) -> Response:
        """Move a batch on, and return it."""
        with self._claim(batch_id) as is_ours:
            batch = self._find(batch_id)
            move = self._moves.get(batch["status"])
            if move is not None and is_ours:
                move(batch)
        return _shown(self._find(batch_id))

    def list_batches(self, request: Request) -> Response:
        """Return the batches, newest first; none of them moves on."""
        batches = [_public(batch) for batch in reversed(self._state.all("batch"))]
        return list_response(batches, request.query, default_limit=20, max_limit=100)

    def cancel(self, _request: Request, batch_id: str) -> Response:
        """Let a batch end with what is done; a second time changes nothing."""
        with self._state.changing():
            batch = self._find(batch_id)
            if batch["status"] in OPEN_STATUSES:
                batch.update(status="cancelling", cancelling_at=self._now())
                self._keep(batch)
            elif batch["status"] not in {"cancelling", "cancelled"}:
                raise refuse(f"Cannot cancel a batch with status '{batch['status']}'.", status=409)
        return _shown(batch)

    @contextmanager
    def _claim(self, batch_id: str) -> Iterator[bool]:
        """Tell whether this look may move a batch on; of several at once only the first may."""
        with self._lock:
            is_ours = batch_id not in self._moving
            self._moving.add(batch_id)
        if not is_ours:
            yield False
            return
        try:
            yield True
        finally:
            with self._lock:
                self._moving.discard(batch_id)

    def _find(self, batch_id: str) -> Record:
        batch = self._state.get("batch", batch_id)
        if batch is None:
            raise refuse(f"No batch found with id '{batch_id}'.", status=404)
        return batch

    def _keep(self, batch: Record) -> None:
        self._state.put("batch", batch["id"], batch)

    def _enter(self, batch: Record, status: str, *, after: str) -> None:
        if batch["status"] == after:  # it is not if the batch was cancelled since the look began
            batch.update({"status": status, f"{status}_at": self._now()})

    def _validate(self, batch: Record) -> None:
        content = self._open_input(batch)
        if content is None:
            self._end(batch, "failed", errors=[_no_input(batch)])
            return
        with content:
            checked = check_input(content, endpoint=batch["endpoint"])
        if checked.errors:
            self._end(batch, "failed", errors=checked.errors)
            return
        with self._state.changing():
            batch = self._find(batch["id"])
            batch["request_counts"]["total"] = checked.total
            batch["model"] = checked.model
            self._enter(batch, "in_progress", after="validating")
            self._keep(batch)
        if batch["status"] == "in_progress" and self._is_expired(batch):
            self._end(batch, "expired", rest=EXPIRED)

    def _work(self, batch: Record) -> None:
        if self._is_expired(batch):
            self._end(batch, "expired", rest=EXPIRED)
            return
        content = self._open_input(batch)
        if content is None:
            self._end(batch, "failed", errors=[_no_input(batch)])
            return
        with content, self._new_results(batch) as results:
            portion = min(math.ceil(batch["request_counts"]["total"] / LOOKS), MOST_LINES_PER_LOOK)
            # Outside of any change: this takes long, and answering may change the state.
            results.answer(islice(_rest(batch, content), portion), self._answer, endpoint=batch["endpoint"])
            with self._state.changing():
                self._keep_portion(self._find(batch["id"]), results)

    def _keep_portion(self, batch: Record, results: BatchResults) -> None:
        progress = batch["progress"]
        for kind, file in results.files.items():
            if file.tell():
                self._state.put_content(_part_id(batch, progress["parts"], kind), file)
        progress["parts"] += 1
        progress.update(line=results.line, start=results.end)
        _count(batch, results)
        counts = batch["request_counts"]
        if counts["completed"] + counts["failed"] == counts["total"]:
            self._enter(batch, "finalizing", after="in_progress")
        self._keep(batch)

    def _complete(self, batch: Record) -> None:
        self._end(batch, "completed")

    def _finish_cancelling(self, batch: Record) -> None:
        self._end(batch, "cancelled", rest=CANCELLED)

    def _end(
        self, batch: Record, status: str, *, rest: Unanswered | None = None, errors: list[Record] | None = None
    ) -> None:
        """Give a batch its last status, and its files with what was done and why the rest was not."""
        before = batch["status"]
        with self._new_results(batch) as results:
            for kind, file in results.files.items():
                self._gather(batch, kind, file)
            # Without a total its lines were not checked, and may be anything.
            content = self._open_input(batch) if rest and batch["request_counts"]["total"] else None
            if rest and content is not None:
                with content:
                    results.give_up(_rest(batch, content), rest)
            with self._state.changing():
                batch = self._find(batch["id"])
                if batch["status"] != before:  # it was cancelled meanwhile, and ends so at the next look
                    return
                batch.update({"status": status, f"{status}_at": self._now()})
                if errors:
                    batch["errors"] = {"object": "list", "data": errors}
                _count(batch, results)
                for kind, file in results.files.items():
                    batch[f"{kind}_file_id"] = self._keep_file(batch, kind, file)
                self._drop_parts(batch)
                self._keep(batch)

    def _gather(self, batch: Record, kind: FileKind, file: IO[bytes]) -> None:
        for part in range(batch["progress"]["parts"]):
            content = self._state.open_content(_part_id(batch, part, kind))
            if content is not None:
                with content:
                    shutil.copyfileobj(content, file)

    def _keep_file(self, batch: Record, kind: FileKind, file: IO[bytes]) -> str | None:
        if not file.tell():
            return None
        name = f"{batch['id']}_{kind}.jsonl"
        lifetime = batch["progress"]["lifetime"]
        record = self._files.keep(file, filename=name, purpose="batch_output", lifetime=lifetime)
        return str(record["id"])

    def _drop_parts(self, batch: Record) -> None:
        for part in range(batch["progress"]["parts"]):
            for kind in FILE_KINDS:
                self._state.delete("batch", _part_id(batch, part, kind))

    def _open_input(self, batch: Record) -> IO[bytes] | None:
        with self._state.changing():
            file = self._files.find(batch["input_file_id"])
            if file is None or file["purpose"] != "batch":
                return None
            return self._state.open_content(file["id"])

    @contextmanager
    def _new_results(self, batch: Record) -> Iterator[BatchResults]:
        with ExitStack() as stack:
            files = {kind: stack.enter_context(self._state.new_content()) for kind in FILE_KINDS}
            yield BatchResults(batch_id=batch["id"], files=files)

    def _is_expired(self, batch: Record) -> bool:
        return bool(self._now() >= batch["expires_at"])


def _new_batch(settings: BatchSettings, *, batch_id: str, created_at: int) -> Record:
    return {
        "id": batch_id,
        "object": "batch",
        "endpoint": settings.endpoint,
        "model": None,
        "errors": None,
        "input_file_id": settings.input_file_id,
        "completion_window": COMPLETION_WINDOW,
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": created_at,
        "in_progress_at": None,
        "expires_at": created_at + WINDOW_SECONDS,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": no_usage(),
        "metadata": settings.metadata,
        "progress": {"line": 0, "start": 0, "parts": 0, "lifetime": settings.lifetime},
    }


def _public(batch: Record) -> Record:
    # As in the service, a model is told once the lines have been read.
    return {key: value for key, value in batch.items() if key != "progress" and (key, value) != ("model", None)}


def _shown(batch: Record) -> Response:
    return json_response(_public(batch))


def _no_input(batch: Record) -> Record:
    message = (
        f"Cannot find file {batch['input_file_id']} with purpose 'batch', "
        "or organization org-offline does not have access to it."
    )
    return batch_error("invalid_request", message, param="file_id")


def _rest(batch: Record, content: IO[bytes]) -> Iterator[InputLine]:
    progress = batch["progress"]
    return read_input(content, start=progress["start"], number=progress["line"])


def _count(batch: Record, results: BatchResults) -> None:
    batch["request_counts"]["completed"] += results.completed
    batch["request_counts"]["failed"] += results.failed
    add_usage(batch["usage"], results.usage)


def _part_id(batch: Record, part: int, kind: FileKind) -> str:
    return f"{batch['id']}.{part}.{kind}"
