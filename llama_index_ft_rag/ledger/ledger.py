"""The ledger: every paid call is written down before it is sent and answered from here ever after.

In: LLMs and embeddings of any kind. Out: the same, wrapped, so that a run that was killed and started again sends
only what has no answer yet, and sums of what was sent. Knows nothing of what an answer means.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM

from llama_index_ft_rag.ledger.account import Account, RepeatNumbers
from llama_index_ft_rag.ledger.embedding import LedgeredEmbedding, UnderWay
from llama_index_ft_rag.ledger.llm import wrap_llm
from llama_index_ft_rag.ledger.store import LedgerStore, LedgerTotal, Payer

__all__ = ["Ledger", "LedgerTotal"]


class Ledger:
    """A file of paid calls, readable by its owner only.

    Args:
        url_or_path: Path of the SQLite file, made when missing, or the URL of another SQLAlchemy database.

    Raises:
        RunFolderError: If it cannot be opened, is no ledger, or was written by another version.

    Example:
        >>> import tempfile
        >>> from llama_index.core.llms import MockLLM
        >>> with tempfile.TemporaryDirectory() as folder, Ledger(f"{folder}/ledger.db") as ledger:
        ...     llm = ledger.wrap(MockLLM(), stage="answers", arm="teacher")
        ...     text = llm.complete("Why?").text
        ...     sent = ledger.totals()[0].calls
        >>> text, sent
        ('Why?', 1)
    """

    def __init__(self, url_or_path: str | Path) -> None:
        self._store = LedgerStore(url_or_path)
        self._repeats = RepeatNumbers()
        self._under_way = UnderWay()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; wrapped LLMs and embeddings open it again when they are used."""
        self._store.close()

    def wrap(self, llm: LLM, *, stage: str, arm: str = "", endpoint: str = "") -> LLM:
        """Make an LLM that asks through this ledger; `llm` itself is not changed.

        A call is found again by endpoint, model, messages, settings, stage, arm, and how many times this very
        request was made before since the ledger was opened.

        Args:
            llm: Any LlamaIndex LLM; the wrapped one is of the same class, so tools and structured output work.
            stage: What the calls are for, such as `answers` or `scores`.
            arm: Who is asked, such as `base` or `tuned`.
            endpoint: A name for the service that stays the same between runs; its address by default.
        """
        payer = Payer(stage=stage, arm=arm, endpoint=endpoint or _address_of(llm), model=llm.metadata.model_name)
        return wrap_llm(llm, Account(store=self._store, repeats=self._repeats, payer=payer))

    def wrap_embedding(self, model: BaseEmbedding, *, stage: str, arm: str = "", endpoint: str = "") -> BaseEmbedding:
        """Make an embedding that asks through this ledger, for each text once over all stages and arms."""
        payer = Payer(stage=stage, arm=arm, endpoint=endpoint or _address_of(model), model=model.model_name)
        account = Account(store=self._store, repeats=self._repeats, payer=payer)
        return LedgeredEmbedding(model, account, self._under_way)

    def totals(self) -> list[LedgerTotal]:
        """What was sent, by stage, arm and model, over all runs of this ledger."""
        return self._store.totals()


def _address_of(model: LLM | BaseEmbedding) -> str:
    parts = urlsplit(str(getattr(model, "api_base", None) or ""))
    # Some proxies take the key as user:password@ or as a query; the address is written into the ledger.
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
