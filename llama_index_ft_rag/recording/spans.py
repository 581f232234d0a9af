"""Which span runs inside which, while they run.

In: LlamaIndex's span notices, from a handler on the root dispatcher. Out: the ancestors of a span, and
whether an engine or a retriever is among them. A span is forgotten when it ends. Knows nothing of LLM
calls.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.response_synthesizers import BaseSynthesizer
from pydantic import PrivateAttr

SpanRole = Literal["engine", "retriever", "other"]
OnSpanEnd = Callable[[str, BaseException | None], None]
"""Called with a span's id, and with what it raised or `None`."""


@dataclass(frozen=True, kw_only=True)
class SpanLink:
    """One span in a chain of spans."""

    span_id: str
    parent_id: str | None
    role: SpanRole


class SpanTree(BaseSpanHandler[BaseSpan]):
    """A span handler that remembers only the links between running spans."""

    _links: dict[str, SpanLink] = PrivateAttr(default_factory=dict)
    _links_lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _on_end: OnSpanEnd = PrivateAttr()

    def __init__(self, on_end: OnSpanEnd) -> None:
        super().__init__()
        self._on_end = on_end

    @classmethod
    def class_name(cls) -> str:
        """Name of this handler in LlamaIndex's registry."""
        return "SpanTree"

    def chain(self, span_id: str) -> list[SpanLink]:
        """The span and its ancestors, innermost first, as far up as they are known."""
        links: list[SpanLink] = []
        current: str | None = span_id
        with self._links_lock:
            while current is not None:
                link = self._links.get(current) or SpanLink(span_id=current, parent_id=None, role="other")
                links.append(link)
                current = link.parent_id
        return links

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any | None = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,  # noqa: ARG002 - LlamaIndex's signature
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's signature
    ) -> None:
        """Remember the span's parent; nothing is handed to LlamaIndex to keep."""
        link = SpanLink(span_id=id_, parent_id=parent_span_id, role=_role_of(instance))
        with self._links_lock:
            self._links[id_] = link

    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any | None = None,  # noqa: ARG002 - LlamaIndex's signature
        result: Any | None = None,  # noqa: ARG002 - LlamaIndex's signature
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's signature
    ) -> None:
        """Forget a span that returned."""
        self._forget(id_, None)

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any | None = None,  # noqa: ARG002 - LlamaIndex's signature
        err: BaseException | None = None,
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's signature
    ) -> None:
        """Forget a span that raised."""
        self._forget(id_, err or RuntimeError("span dropped"))

    def _forget(self, span_id: str, error: BaseException | None) -> None:
        with self._links_lock:
            self._links.pop(span_id, None)
        self._on_end(span_id, error)


def _role_of(instance: Any) -> SpanRole:
    if isinstance(instance, BaseQueryEngine | BaseChatEngine | BaseSynthesizer):
        return "engine"
    return "retriever" if isinstance(instance, BaseRetriever) else "other"
