"""How a batch moves on: its input file is checked, its lines are answered a portion per look, its files are made.

In: a batch's record. Out: the record as it is kept then. What a look brought is kept whole or not at all, so a look
that was cut off is taken again, with the same results; who cancels a batch meanwhile has the last word. Knows
nothing of requests for batches, nor of what the lines ask for.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import IO, Any

from llama_index_ft_rag.offline.api.batch_input import batch_error, check_batch_input
from llama_index_ft_rag.offline.api.batch_output import (
    CANCELLED,
    EXPIRED,
    FILE_KINDS,
    BatchResults,
    FileKind,
    Unanswered,
    add_usage,
)
from llama_index_ft_rag.offline.api.files import Files
from llama_index_ft_rag.offline.api.json_lines import Line, read_lines
from llama_index_ft_rag.offline.protocol import Handler
from llama_index_ft_rag.offline.state import State

Record = dict[str, Any]

LOOKS = 4
"""In how many looks the lines of a batch are answered, unless it is a large one."""
MOST_LINES_PER_LOOK = 2500


class BatchProgress:
    """Moves batches on, one look at a time for each of them.

    Args:
        state: Where batches are kept.
        files: Where input files come from and output files go.
        answer: Answers the request of one line, as if a client had sent it.
        now: Tells the time.
    """

    def __init__(self, state: State, *, files: Files, answer: Handler, now: Callable[[], int]) -> None:
        self._state = state
        self._files = files
        self._answer = answer
        self._now = now
        self._moves = {
            "validating": self._validate,
            "in_progress": self._work,
            "finalizing": self._complete,
            "cancelling": self._finish_cancelling,
        }

    def move_on(self, batch: Record) -> None:
        """Move a batch on, where it has a state to go to, and keep what it became."""
        move = self._moves.get(batch["status"])
        if move is not None:
            move(batch)

    def _validate(self, batch: Record) -> None:
        content = self._open_input(batch)
        if content is None:
            self._end(batch, "failed", errors=[_no_input(batch)])
            return
        with content:
            checked = check_batch_input(content, endpoint=batch["endpoint"])
        if checked.errors:
            self._end(batch, "failed", errors=checked.errors)
            return
        with self._state.changing():
            batch = self._again(batch)
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
                self._keep_portion(self._again(batch), results)

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
                batch = self._again(batch)
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
        return self._files.open(batch["input_file_id"], purpose="batch")

    @contextmanager
    def _new_results(self, batch: Record) -> Iterator[BatchResults]:
        with ExitStack() as stack:
            files = {kind: stack.enter_context(self._state.new_content()) for kind in FILE_KINDS}
            yield BatchResults(batch_id=batch["id"], files=files)

    def _is_expired(self, batch: Record) -> bool:
        return bool(self._now() >= batch["expires_at"])

    def _again(self, batch: Record) -> Record:
        """Read a batch once more, as it may have been cancelled since the look began."""
        return self._state.get("batch", batch["id"]) or batch

    def _keep(self, batch: Record) -> None:
        self._state.put("batch", batch["id"], batch)

    def _enter(self, batch: Record, status: str, *, after: str) -> None:
        if batch["status"] == after:  # it is not if the batch was cancelled since the look began
            batch.update({"status": status, f"{status}_at": self._now()})


def _no_input(batch: Record) -> Record:
    message = (
        f"Cannot find file {batch['input_file_id']} with purpose 'batch', "
        "or organization org-offline does not have access to it."
    )
    return batch_error("invalid_request", message, param="file_id")


def _rest(batch: Record, content: IO[bytes]) -> Iterator[Line]:
    progress = batch["progress"]
    return read_lines(content, start=progress["start"], number=progress["line"])


def _count(batch: Record, results: BatchResults) -> None:
    batch["request_counts"]["completed"] += results.completed
    batch["request_counts"]["failed"] += results.failed
    add_usage(batch["usage"], results.usage)


def _part_id(batch: Record, part: int, kind: FileKind) -> str:
    return f"{batch['id']}.{part}.{kind}"
