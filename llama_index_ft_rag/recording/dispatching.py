"""The recorder's ear on LlamaIndex's instrumentation dispatcher.

In: events and spans of the whole process. Out: starts and ends of the outermost LLM calls, each with the
scope of its query: the one opened by `recording()`, else one per root span. Node ids and questions of a
query are kept in its scope. Knows nothing of callbacks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.events.query import QueryStartEvent
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent
from llama_index.core.schema import QueryBundle
from llama_index_instrumentation import get_dispatcher
from pydantic import PrivateAttr

from llama_index_ft_rag.recording.recorded_calls import QueryScope
from llama_index_ft_rag.recording.spans import SpanTree
from llama_index_ft_rag.recording.watching import CallWatcher

# Scopes opened around the running code, outermost first, each with the front that opened it.
_scopes: ContextVar[tuple[tuple[DispatcherFront, QueryScope], ...]] = ContextVar("ft_rag_scopes", default=())


class DispatcherFront:
    """Listens on the root dispatcher while attached or while a scope is open."""

    def __init__(self, watcher: CallWatcher) -> None:
        self._watcher = watcher
        self._spans = SpanTree(self._on_span_end)
        self._events = _EventEar(self._on_event)
        self._lock = threading.Lock()
        self._is_attached = False
        self._open_scopes = 0
        self._roots: dict[str, QueryScope] = {}

    def attach(self) -> None:
        """Listen to every call of the process from now on."""
        with self._lock:
            self._is_attached = True
            self._listen()

    def detach(self) -> None:
        """Stop listening, but for the scopes now open."""
        with self._lock:
            self._is_attached = False
            self._listen()

    @contextmanager
    def scope(self, scope: QueryScope) -> Iterator[None]:
        """Listen to the calls made inside, and give them this scope."""
        with self._lock:
            self._open_scopes += 1
            self._listen()
        token = _scopes.set((*_scopes.get(), (self, scope)))
        try:
            yield
        finally:
            _scopes.reset(token)
            with self._lock:
                self._open_scopes -= 1
                self._listen()

    def takes_call_here(self) -> bool:
        """Whether a call made here and now is recorded by this front."""
        return self._is_attached or self._scope_here() is not None

    def clear(self) -> None:
        """Forget the queries under way."""
        with self._lock:
            self._roots.clear()

    def _scope_here(self) -> QueryScope | None:
        return next((scope for owner, scope in reversed(_scopes.get()) if owner is self), None)

    def _listen(self) -> None:
        root = get_dispatcher()
        # New lists, compared by identity: events may be on their way through the old ones, and pydantic's
        # equality would take two recorders for one.
        events = [handler for handler in root.event_handlers if handler is not self._events]
        spans = [handler for handler in root.span_handlers if handler is not self._spans]
        if self._is_attached or self._open_scopes:
            events.append(self._events)
            spans.append(self._spans)
        root.event_handlers = events
        root.span_handlers = spans

    def _on_event(self, event: BaseEvent) -> None:
        with self._watcher.guarded():
            if isinstance(event, LLMChatStartEvent | LLMCompletionStartEvent):
                self._on_start(event)
            elif isinstance(event, LLMChatEndEvent | LLMCompletionEndEvent):
                self._watcher.end(event.span_id or "", event.response)
            elif isinstance(event, ExceptionEvent):
                self._watcher.error(event.span_id or "", event.exception)
            elif isinstance(event, QueryStartEvent | RetrievalEndEvent):
                self._on_query_or_retrieval(event)

    def _on_start(self, event: LLMChatStartEvent | LLMCompletionStartEvent) -> None:
        if not self.takes_call_here():
            return
        span_id = event.span_id or ""
        chain = self._spans.chain(span_id)
        if any(self._watcher.calls.is_open(link.span_id) for link in chain):
            return  # a call inside a call: the outermost is what the app asked for
        is_scoped = self._scope_here() is not None
        self._watcher.start(
            span_id,
            event.messages if isinstance(event, LLMChatStartEvent) else event.prompt,
            settings=event.additional_kwargs,
            model=event.model_dict,
            scope=self._scope_of(chain[-1].span_id),
            in_engine=is_scoped or any(link.role == "engine" for link in chain),
        )

    def _on_query_or_retrieval(self, event: QueryStartEvent | RetrievalEndEvent) -> None:
        if not self.takes_call_here():
            return
        chain = self._spans.chain(event.span_id or "")
        scope = self._scope_of(chain[-1].span_id)
        if isinstance(event, QueryStartEvent):
            query = event.query
            scope.question = scope.question or (query.query_str if isinstance(query, QueryBundle) else query)
        elif not any(link.role == "retriever" for link in chain[1:]):
            known = set(scope.node_ids)
            scope.node_ids += [node.node_id for node in event.nodes if node.node_id not in known]

    def _scope_of(self, root_span_id: str) -> QueryScope:
        here = self._scope_here()
        if here is not None:
            return here
        with self._lock:
            return self._roots.setdefault(root_span_id, QueryScope(query_id=root_span_id))

    def _on_span_end(self, span_id: str, error: BaseException | None) -> None:
        with self._lock:
            self._roots.pop(span_id, None)
        if error is not None:
            self._watcher.error(span_id, error)


class _EventEar(BaseEventHandler):
    _on_event: Callable[[BaseEvent], None] = PrivateAttr()

    def __init__(self, on_event: Callable[[BaseEvent], None]) -> None:
        super().__init__()
        self._on_event = on_event

    @classmethod
    def class_name(cls) -> str:
        return "FineTuningEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:  # noqa: ARG002 - LlamaIndex's signature
        self._on_event(event)
