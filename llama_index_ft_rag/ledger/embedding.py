"""Embeddings that are kept in the ledger, one entry per text, and asked for only once.

In: any LlamaIndex embedding and an account. Out: an embedding that sends the texts the ledger does not have and
finds the others there, whichever stage or arm paid for them. Vectors are kept as 32-bit floats, and the first answer
is rounded to them too, so that a re-run sees the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks import CallbackManager
from pydantic import PrivateAttr

from llama_index_ft_rag.ledger.account import Account, embedding_key, model_settings, state_after
from llama_index_ft_rag.ledger.store import CallIntent


class LedgeredEmbedding(BaseEmbedding):
    """An embedding model whose calls go through the ledger."""

    _inner: BaseEmbedding = PrivateAttr()
    _account: Account = PrivateAttr()

    def __init__(self, inner: BaseEmbedding, account: Account) -> None:
        super().__init__(
            model_name=inner.model_name,
            embed_batch_size=inner.embed_batch_size,
            num_workers=inner.num_workers,
            callback_manager=CallbackManager([]),
        )
        self._inner = inner
        self._account = account

    @classmethod
    def class_name(cls) -> str:
        """Name of this class in LlamaIndex's registry."""
        return "LedgeredEmbedding"

    def _get_query_embedding(self, query: str) -> Embedding:
        batch = _Batch(self._inner, self._account, "query", [query])
        with batch:
            if batch.missing:
                batch.keep([self._inner.get_query_embedding(query)])
        return batch.embeddings()[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        batch = _Batch(self._inner, self._account, "query", [query])
        with batch:
            if batch.missing:
                batch.keep([await self._inner.aget_query_embedding(query)])
        return batch.embeddings()[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        batch = _Batch(self._inner, self._account, "text", texts)
        with batch:
            if batch.missing:
                batch.keep(self._inner.get_text_embedding_batch(batch.missing))
        return batch.embeddings()

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        batch = _Batch(self._inner, self._account, "text", texts)
        with batch:
            if batch.missing:
                batch.keep(await self._inner.aget_text_embedding_batch(batch.missing))
        return batch.embeddings()


class _Batch:
    """Some texts on their way through the ledger; as a context manager it writes down what is sent."""

    def __init__(self, inner: BaseEmbedding, account: Account, kind: str, texts: Sequence[str]) -> None:
        self._account = account
        settings = model_settings(inner)
        self._keys = [embedding_key(account.payer, kind, text, settings=settings) for text in texts]
        self._vectors = account.store.vectors_of(list(dict.fromkeys(self._keys)))
        unknown = {key: text for key, text in zip(self._keys, texts, strict=True) if key not in self._vectors}
        self._missing_keys = list(unknown)
        self._row_ids: list[int] = []
        self.missing = list(unknown.values())
        """The texts to send, each once."""

    def __enter__(self) -> None:
        replayed = len(self._keys) - len(self._missing_keys)
        if replayed:
            self._account.store.count_replay(self._account.payer, times=replayed)
        self._row_ids = self._account.store.intend(
            [
                CallIntent(key=key, request_hash=key, repeat=0, method="embedding", payer=self._account.payer)
                for key in self._missing_keys
            ]
        )

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if error is not None:
            state = state_after(error)
            self._account.store.fail(self._row_ids, state=state, error=type(error).__name__)

    def keep(self, embeddings: Sequence[Embedding]) -> None:
        """Write down what came back for the missing texts."""
        vectors = [np.asarray(embedding, dtype="<f4").tobytes() for embedding in embeddings]
        self._account.store.answer_vectors(dict(zip(self._row_ids, vectors, strict=True)))
        self._vectors.update(zip(self._missing_keys, vectors, strict=True))

    def embeddings(self) -> list[Embedding]:
        """The vectors of all texts, in their order."""
        return [np.frombuffer(self._vectors[key], dtype="<f4").astype(float).tolist() for key in self._keys]
