"""The batch endpoints: create, retrieve, cancel, list.

In: requests. Out: batch objects as the service shapes them. A batch moves on when it is retrieved; while one look
moves it on, others only tell how it stands. Knows nothing of how a batch is worked off.
"""

from __future__ import annotations

from collections.abc import Callable

from llama_index_ft_rag.offline.api.batch_output import no_usage
from llama_index_ft_rag.offline.api.batch_progress import BatchProgress, Record
from llama_index_ft_rag.offline.api.batch_settings import COMPLETION_WINDOW, BatchSettings, read_batch_settings
from llama_index_ft_rag.offline.api.files import Files
from llama_index_ft_rag.offline.api.looks import Looks
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

WINDOW_SECONDS = 24 * 60 * 60

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
        self._seed = seed
        self._now = now
        self._looks = Looks()
        self._progress = BatchProgress(state, files=files, answer=answer, now=now)

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
        with self._looks.claim(batch_id) as is_ours:
            batch = self._find(batch_id)
            if is_ours:
                self._progress.move_on(batch)
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

    def _find(self, batch_id: str) -> Record:
        batch = self._state.get("batch", batch_id)
        if batch is None:
            raise refuse(f"No batch found with id '{batch_id}'.", status=404)
        return batch

    def _keep(self, batch: Record) -> None:
        self._state.put("batch", batch["id"], batch)


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
