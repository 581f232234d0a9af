"""Embeddings that are kept in the ledger, one entry per text, and asked for only once.

In: any LlamaIndex embedding and an account. Out: an embedding that sends the texts the ledger does not have and
finds the others there, whichever stage or arm paid for them; a text that somebody else is sending is waited for.
Vectors are kept as 32-bit floats, and the first answer is rounded to them too, so that a re-run sees the same numbers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks import CallbackManager
from pydantic import PrivateAttr

from llama_index_ft_rag.ledger.account import Account, embedding_key, model_settings, state_after
from llama_index_ft_rag.ledger.store import CallIntent

Lane = asyncio.AbstractEventLoop | None
"""Who may wait for whom: the tasks of one event loop, or (None) all threads."""

Awaited = Future[bytes | None]
"""The vector; None if whoever sent the text was stopped, so that it has to be asked for again."""


class UnderWay:
    """The texts that a ledger's embeddings are waiting for, so that a text is not sent while somebody else sends it.

    Tasks wait for tasks of their own event loop and threads for threads: waiting for the other kind could block what
    is waited for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[tuple[Lane, str], Awaited] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> UnderWay:
        """A copied embedding pays from the same ledger, so it waits for the same texts."""
        return self

    def claim(self, keys: Iterable[str], *, lane: Lane) -> tuple[list[str], dict[str, Awaited]]:
        """Part keys into those that are now the caller's to answer or release, and those under way already."""
        mine: list[str] = []
        awaited: dict[str, Awaited] = {}
        with self._lock:
            for key in keys:
                if (lane, key) in self._futures:
                    awaited[key] = self._futures[lane, key]
                    continue
                future: Awaited = Future()
                # A running future cannot be cancelled: one that waits and gives up must not stop the others.
                future.set_running_or_notify_cancel()
                self._futures[lane, key] = future
                mine.append(key)
        return mine, awaited

    def answer(self, vectors: Mapping[str, bytes], *, lane: Lane) -> None:
        """Give those who wait the vectors of claimed keys."""
        for key, future in self._pop(vectors, lane=lane).items():
            future.set_result(vectors[key])

    def release(self, keys: Iterable[str], *, lane: Lane, error: BaseException | None) -> None:
        """Give up claimed keys that have no answer: an error reaches those who wait, a cancellation does not."""
        for future in self._pop(keys, lane=lane).values():
            if isinstance(error, Exception) and not isinstance(error, asyncio.CancelledError):
                future.set_exception(error)
            else:
                future.set_result(None)

    def _pop(self, keys: Iterable[str], *, lane: Lane) -> dict[str, Awaited]:
        with self._lock:
            return {key: self._futures.pop((lane, key)) for key in keys}


class LedgeredEmbedding(BaseEmbedding):
    """An embedding model whose calls go through the ledger."""

    _inner: BaseEmbedding = PrivateAttr()
    _account: Account = PrivateAttr()
    _under_way: UnderWay = PrivateAttr()

    def __init__(self, inner: BaseEmbedding, account: Account, under_way: UnderWay) -> None:
        super().__init__(
            model_name=inner.model_name,
            embed_batch_size=inner.embed_batch_size,
            num_workers=inner.num_workers,
            callback_manager=CallbackManager([]),
        )
        self._inner = inner
        self._account = account
        self._under_way = under_way

    @classmethod
    def class_name(cls) -> str:
        """Name of this class in LlamaIndex's registry."""
        return "LedgeredEmbedding"

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._ask("query", [query], lambda texts: [self._inner.get_query_embedding(texts[0])])[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        async def send(texts: list[str]) -> list[Embedding]:
            return [await self._inner.aget_query_embedding(texts[0])]

        return (await self._aask("query", [query], send))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._ask("text", texts, self._inner.get_text_embedding_batch)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._aask("text", texts, self._inner.aget_text_embedding_batch)

    def _ask(self, kind: str, texts: list[str], send: Callable[[list[str]], list[Embedding]]) -> list[Embedding]:
        batch = _Batch(self._inner, self._account, self._under_way, kind=kind, texts=texts, lane=None)
        while batch.is_incomplete:
            with batch:
                if batch.missing:
                    batch.keep(send(batch.missing))
            # Only after sending one's own: two batches that wait for each other's texts both get on.
            for key, future in batch.awaited.items():
                batch.take(key, future.result())
        return batch.finish()

    async def _aask(
        self, kind: str, texts: list[str], send: Callable[[list[str]], Awaitable[list[Embedding]]]
    ) -> list[Embedding]:
        lane = asyncio.get_running_loop()
        batch = _Batch(self._inner, self._account, self._under_way, kind=kind, texts=texts, lane=lane)
        while batch.is_incomplete:
            with batch:
                if batch.missing:
                    batch.keep(await send(batch.missing))
            for key, future in batch.awaited.items():
                batch.take(key, await asyncio.wrap_future(future))
        return batch.finish()


class _Batch:
    """Some texts on their way through the ledger; as a context manager it writes down what is sent."""

    def __init__(
        self,
        inner: BaseEmbedding,
        account: Account,
        under_way: UnderWay,
        *,
        kind: str,
        texts: Sequence[str],
        lane: Lane,
    ) -> None:
        self._account = account
        self._under_way = under_way
        self._lane = lane
        settings = model_settings(inner)
        self._keys = [embedding_key(account.payer, kind, text, settings=settings) for text in texts]
        self._texts = dict(zip(self._keys, texts, strict=True))
        self._vectors: dict[str, bytes] = {}
        self._missing_keys: list[str] = []
        self._row_ids: list[int] = []
        self._sent = 0
        self.awaited: dict[str, Awaited] = {}
        """What somebody else is sending, by key."""

    @property
    def is_incomplete(self) -> bool:
        """Whether a vector is not there yet."""
        return len(self._vectors) < len(self._texts)

    @property
    def missing(self) -> list[str]:
        """The texts to send, each once."""
        return [self._texts[key] for key in self._missing_keys]

    def __enter__(self) -> None:
        wanted = [key for key in self._texts if key not in self._vectors]
        # Claimed before the ledger is read: what somebody else has sent is there once it is no longer under way.
        self._missing_keys, self.awaited = self._under_way.claim(wanted, lane=self._lane)
        try:
            known = self._account.store.vectors_of(self._missing_keys)
            self._answer(known)
            self._row_ids = self._account.store.intend(
                [
                    CallIntent(key=key, request_hash=key, repeat=0, method="embedding", payer=self._account.payer)
                    for key in self._missing_keys
                ]
            )
        except BaseException as exc:
            self._release(exc)
            raise

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        try:
            if error is not None:
                state = state_after(error)
                self._account.store.fail(self._row_ids, state=state, error=type(error).__name__)
        finally:
            self._release(error)

    def keep(self, embeddings: Sequence[Embedding]) -> None:
        """Write down what came back for the missing texts."""
        vectors = [np.asarray(embedding, dtype="<f4").tobytes() for embedding in embeddings]
        self._account.store.answer_vectors(dict(zip(self._row_ids, vectors, strict=True)))
        self._sent += len(vectors)
        self._answer(dict(zip(self._missing_keys, vectors, strict=True)))

    def take(self, key: str, vector: bytes | None) -> None:
        """Take what somebody else sent; without a vector the text is asked for again."""
        if vector is not None:
            self._vectors[key] = vector

    def finish(self) -> list[Embedding]:
        """The vectors of all texts, in their order; those that were not sent here count as replayed."""
        replayed = len(self._keys) - self._sent
        if replayed:
            self._account.store.count_replay(self._account.payer, times=replayed)
        return [np.frombuffer(self._vectors[key], dtype="<f4").astype(float).tolist() for key in self._keys]

    def _answer(self, vectors: dict[str, bytes]) -> None:
        self._vectors.update(vectors)
        self._missing_keys = [key for key in self._missing_keys if key not in vectors]
        self._under_way.answer(vectors, lane=self._lane)

    def _release(self, error: BaseException | None) -> None:
        self._under_way.release(self._missing_keys, lane=self._lane, error=error)
        self._missing_keys = []
