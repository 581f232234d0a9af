"""The recorder's ear on LlamaIndex's instrumentation dispatcher.

In: events and spans of the whole process. Out: starts and ends of the outermost LLM calls, each with the group of its
query: the one opened by `recording()`, else one per root span. It listens from the handler's construction on, so that
calls which reach the handler through a callback manager have their place too, and those that do not can be told
about; it records by itself what is made while attached or inside a scope.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any
from uuid import uuid4

from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
    LLMPredictStartEvent,
)
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent
from llama_index.core.instrumentation.span import active_span_id

from llama_index_ft_rag.concurrency import ForkSafeLock
from llama_index_ft_rag.recording.doctor import AttachDoctor
from llama_index_ft_rag.recording.ears import listen
from llama_index_ft_rag.recording.places import kind_told_by_template, tree_around
from llama_index_ft_rag.recording.query_groups import QueryGroup
from llama_index_ft_rag.recording.spans import RunningSpans, Span
from llama_index_ft_rag.recording.streams import Streams
from llama_index_ft_rag.recording.watching import CallWatcher, Request

# Scopes opened around the running code, outermost first, each with the front that opened it.
_scopes: ContextVar[tuple[tuple[DispatcherFront, QueryGroup], ...]] = ContextVar("ft_rag_scopes", default=())
# Fronts that were attached: they listen even when nobody else holds their handler.
_attached: set[DispatcherFront] = set()


class DispatcherFront:
    """Listens on the root dispatcher as long as it exists."""

    def __init__(self, watcher: CallWatcher, doctor: AttachDoctor, *, sampling_rate: float = 1.0) -> None:
        self._watcher = watcher
        self._doctor = doctor
        self._sampling_rate = sampling_rate
        self._spans = RunningSpans()
        self._streams = Streams()
        self._lock = ForkSafeLock()
        self._missed = 0
        listen(self)

    def attach(self) -> None:
        """Record every call of the process from now on."""
        self._doctor.is_off_duty = True
        _attached.add(self)

    def detach(self) -> None:
        """Record no more than the scopes now open."""
        _attached.discard(self)

    @contextmanager
    def scope(self, group: QueryGroup) -> Iterator[None]:
        """Record the calls made inside, as those of one group."""
        self._doctor.is_off_duty = True
        group.is_sampled = self._draws()
        missed_before = self._missed
        token = _scopes.set((*_scopes.get(), (self, group)))
        try:
            yield
            self._doctor.scope_ended(group, missed=self._missed - missed_before)
        finally:
            _scopes.reset(token)

    def start_callback(
        self, event_id: str, request: Request, *, settings: Mapping[str, Any], model: Mapping[str, Any]
    ) -> None:
        """Record a call that reached the handler through a callback manager, unless it is recorded already."""
        running = self._spans.find(active_span_id.get())
        if running is not None and running.is_asked:
            if running.is_settled:
                return
            span = running
        else:
            span = Span(span_id=event_id, parent=running)
        self._begin(span, event_id, request, settings=settings, model=model, is_meant=None)

    def on_span_start(
        self, span_id: str, arguments: inspect.BoundArguments, *, instance: Any, parent_id: str | None
    ) -> None:
        """Remember a span and the scope it began in."""
        with self._watcher.guarded():
            self._spans.enter(span_id, arguments, instance=instance, parent_id=parent_id, group=self._scope_here())

    def on_span_end(self, span_id: str, *, result: Any = None, error: BaseException | None = None) -> None:
        """Forget a span; its call failed with it, or goes on in the stream that it returned."""
        span = self._spans.leave(span_id)
        if span is None:
            return
        with self._watcher.guarded():
            if span.is_asked:
                self._on_call_span_end(span, result, error)
            elif error is None:
                has_stream = self._streams.add(result, span)
                if span.last_tree_call is not None:
                    self._watcher.calls.rename(span.last_tree_call, "answer")
                if span.is_engine and not any(link.is_engine for link in span.chain() if link is not span):
                    self._doctor.query_ended(self._group_of(span), span.last_missed_llm, has_stream=has_stream)

    def on_event(self, event: BaseEvent) -> None:
        """Take what an event says about a call."""
        with self._watcher.guarded():
            if isinstance(event, LLMChatStartEvent):
                self._on_start(event, event.messages)
            elif isinstance(event, LLMCompletionStartEvent):
                self._on_start(event, event.prompt)
            elif isinstance(event, LLMChatEndEvent):
                self._on_end(event, event.messages)
            elif isinstance(event, LLMCompletionEndEvent):
                self._on_end(event, event.prompt)
            elif isinstance(event, ExceptionEvent):
                self._watcher.error(event.span_id or "", event.exception)
            elif isinstance(event, LLMPredictStartEvent):
                span = self._spans.find(event.span_id)
                if span is not None:
                    span.template_kind = kind_told_by_template(event.template, event.template_args)
            elif isinstance(event, RetrievalEndEvent):
                self._on_retrieval(event)

    def _on_start(self, event: LLMChatStartEvent | LLMCompletionStartEvent, request: Request) -> None:
        span_id = event.span_id or ""
        span = self._spans.find(span_id) or Span(span_id=span_id)
        self._find_origin(span)
        span.is_asked = True
        is_meant = self._is_in_scope(span)
        if is_meant or self in _attached:
            settings, model = event.additional_kwargs, event.model_dict
            self._begin(span, span_id, request, settings=settings, model=model, is_meant=is_meant)

    def _on_end(self, event: LLMChatEndEvent | LLMCompletionEndEvent, request: Request) -> None:
        self._watcher.end(event.span_id or "", event.response, request=request)

    def _on_call_span_end(self, span: Span, result: Any, error: BaseException | None) -> None:
        calls = self._watcher.calls
        if not span.is_settled:
            self._on_missed(span)
        call = span.call if span.call is not None and span.owns_call else None
        if error is not None:
            if call is not None:
                self._watcher.error(call, error)
            return
        on_gone = partial(calls.abandon, call) if call is not None and call.is_open else None
        has_stream = self._streams.add(result, span, on_gone=on_gone)
        if call is not None and not has_stream:
            calls.fail(call, "no response")

    def _on_missed(self, span: Span) -> None:
        """A call was made that nobody asked to record."""
        self._missed += 1
        group = self._group_of(span)
        group.unseen += 1
        engines = [link for link in span.chain() if link.is_engine]
        if engines:
            engines[-1].last_missed_llm = span.instance
            if self._spans.find(engines[-1].span_id) is None:  # the query is over, and this is its stream
                self._doctor.query_ended(group, span.instance, has_stream=False)

    def _begin(
        self,
        span: Span,
        call_id: str,
        request: Request,
        *,
        settings: Mapping[str, Any],
        model: Mapping[str, Any],
        is_meant: bool | None,
    ) -> None:
        self._find_origin(span)
        span.is_settled = True
        around = next((link.call for link in span.chain() if link.call is not None and link.call.is_open), None)
        if around is not None and not self._stands_in_for_another(span):
            span.call = around  # a call inside a call: the outermost is what the app asked for
            return
        group = self._group_of(span)
        span.call = self._watcher.start(
            call_id, request, settings=settings, model=model, span=span, group=group, is_meant=is_meant
        )
        span.owns_call = True
        self._doctor.call_recorded(span)
        tree = tree_around(span)
        if tree is not None:
            tree.last_tree_call = span.call

    def _stands_in_for_another(self, span: Span) -> bool:
        """Whether a structured LLM asks this one on its behalf: it is no model, and its own call does not count."""
        for link in span.chain():
            if link.call is not None and link.call.is_open and link is not span:
                if link.role != "structured_llm":
                    return False
                link.call.is_superseded = True
        return True

    def _find_origin(self, span: Span) -> None:
        """Put a call that a stream makes while it is read under the span that returned the stream."""
        *_, top = span.chain()
        if not top.is_engine:
            origin = self._streams.read_here()
            if origin is not None and origin is not top:
                top.parent = origin

    def _on_retrieval(self, event: RetrievalEndEvent) -> None:
        span = self._spans.find(event.span_id)
        if span is None or any(link.role == "retriever" for link in span.chain() if link is not span):
            return
        nodes = {node.node_id: node.score for node in event.nodes}
        engine = next((link for link in span.chain() if link.is_engine), None)
        if engine is not None:
            engine.nodes = {**(engine.nodes or {}), **nodes}
        self._group_of(span).add_nodes(nodes)

    def _group_of(self, span: Span) -> QueryGroup:
        top = span
        for link in span.chain():
            if link.group is not None:
                return link.group
            top = link
        here = self._scope_here()
        if here is not None:
            return here
        with self._lock:
            if top.group is None:
                top.group = QueryGroup(query_id=top.span_id or uuid4().hex, is_sampled=self._draws())
            return top.group

    def _is_in_scope(self, span: Span) -> bool:
        """Whether a call is asked for inside a scope, or read from a stream that was."""
        return self._scope_here() is not None or any(
            link.group is not None and link.group.is_explicit for link in span.chain()
        )

    def _scope_here(self) -> QueryGroup | None:
        return next((group for owner, group in reversed(_scopes.get()) if owner is self), None)

    def _draws(self) -> bool:
        return self._sampling_rate >= 1 or random.random() < self._sampling_rate  # noqa: S311 - no secret hangs on it
