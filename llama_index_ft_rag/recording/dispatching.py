"""The recorder's ear on LlamaIndex's instrumentation dispatcher.

In: events and spans of the whole process. Out: starts and ends of the outermost LLM calls, each with the group of its
query: the one opened by `recording()`, else one per root span. It listens from the handler's construction on, so that
calls which reach the handler through a callback manager have their place too, and those that do not can be told
about; it records by itself what is made while attached or inside a scope.
"""

from __future__ import annotations

import inspect
import random
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
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
from llama_index.core.llms import LLM

from llama_index_ft_rag.concurrency import LockOwner
from llama_index_ft_rag.recording.call_kinds import UNKNOWN_PLACE
from llama_index_ft_rag.recording.doctor import AttachDoctor
from llama_index_ft_rag.recording.ears import listen
from llama_index_ft_rag.recording.places import kind_told_by_template, tree_around
from llama_index_ft_rag.recording.query_groups import QueryGroup
from llama_index_ft_rag.recording.reasons import NO_RESPONSE
from llama_index_ft_rag.recording.recorded_calls import RecordedCall
from llama_index_ft_rag.recording.scopes import open_scope, scope_here
from llama_index_ft_rag.recording.spans import RunningSpans, Span
from llama_index_ft_rag.recording.streams import Streams
from llama_index_ft_rag.recording.watching import CallWatcher, Request

# Fronts that were attached: they listen even when nobody else holds their handler.
_attached: set[DispatcherFront] = set()


_ASKING = frozenset(
    prefix + method
    for method in ("chat", "complete", "stream_chat", "stream_complete", "structured_predict")
    for prefix in ("", "a")
)
"""Methods in which an LLM sends its request."""
_MOST_JUST_BEGUN = 16


class DispatcherFront(LockOwner):
    """Listens on the root dispatcher as long as it exists."""

    def __init__(self, watcher: CallWatcher, doctor: AttachDoctor, *, sampling_rate: float = 1.0) -> None:
        self._watcher = watcher
        self._doctor = doctor
        self._sampling_rate = sampling_rate
        self._spans = RunningSpans()
        self._streams = Streams()
        super().__init__()
        self._missed = 0
        self._just_begun: deque[tuple[int, ...]] = deque(maxlen=_MOST_JUST_BEGUN)
        self._own: weakref.WeakValueDictionary[int, LLM] = weakref.WeakValueDictionary()
        listen(self)

    def attach(self) -> None:
        """Record every call of the process from now on."""
        self._doctor.is_off_duty = True
        _attached.add(self)

    def detach(self) -> None:
        """Record no more than the scopes now open."""
        _attached.discard(self)
        self._just_begun.clear()

    @contextmanager
    def scope(self, group: QueryGroup) -> Iterator[None]:
        """Record the calls made inside, as those of one group."""
        self._doctor.is_off_duty = True
        group.is_sampled = self._draws()
        missed_before = self._missed
        with open_scope(self, group):
            yield
        self._doctor.scope_ended(group, missed=self._missed - missed_before)

    def adopt(self, llm: LLM) -> None:
        """Record every call of this LLM, whoever makes it and wherever."""
        self._doctor.is_off_duty = True
        self._own[id(llm)] = llm

    def start_callback(
        self, event_id: str, request: Request, *, settings: Mapping[str, Any], model: Mapping[str, Any]
    ) -> None:
        """Record a call that reached the handler through a callback manager, unless it is recorded already."""
        running = self._spans.find(active_span_id.get())
        if running is not None and running.is_asked:
            if running.is_settled:
                return
            links = [*running.chain()]
        else:
            if self._has_just_begun(request):
                return
            links = self._links_of(Span(span_id=event_id, parent=running))
        self._begin(links, event_id, request, settings=settings, model=model, is_meant=None)

    def on_span_start(
        self, span_id: str, arguments: inspect.BoundArguments, *, instance: Any, parent_id: str | None
    ) -> None:
        """Remember a span and the scope it began in."""
        try:
            self._spans.enter(span_id, arguments, instance=instance, parent_id=parent_id, group=scope_here(self))
        except Exception as exc:  # noqa: BLE001 - the app must not hear of it
            self._watcher.complain(exc)

    def on_span_end(self, span_id: str, *, result: Any = None, error: BaseException | None = None) -> None:
        """Forget a span; its call failed with it, or goes on in the stream that it returned."""
        span = self._spans.leave(span_id)
        if span is None:
            return
        has_stream = False
        try:
            if span.is_asked:
                self._on_call_span_end(span, result, error)
            elif error is None:
                has_stream = self._streams.add(result, span)
                if span.role == "llm" and not span.has_announced and span.method in _ASKING:
                    self._on_silent(span)
                if span.last_tree_call is not None:
                    self._watcher.calls.rename(span.last_tree_call, "answer")
            if span.is_engine and not any(link.is_engine for link in span.chain() if link is not span):
                self._doctor.query_ended(self._group_of([*span.chain()]), span.last_missed_llm, has_stream=has_stream)
        except Exception as exc:  # noqa: BLE001 - the app must not hear of it
            self._watcher.complain(exc)

    def on_event(self, event: BaseEvent) -> None:
        """Take what an event says about a call."""
        take = _taker_of(type(event))
        if take is None:
            return
        try:
            take(self, event)
        except Exception as exc:  # noqa: BLE001 - the app must not hear of it
            self._watcher.complain(exc)

    def _on_start(self, event: Any, request: Request) -> None:
        span_id = event.span_id or ""
        span = self._spans.find(span_id)
        is_without_span = span is None or (span.instance is not None and span.role not in ("llm", "wrapper"))
        if span is None or is_without_span:
            span = Span(span_id=span_id, parent=span)
        span.is_asked = True
        links = self._links_of(span)
        is_in_scope = scope_here(self) is not None or any(link.group and link.group.is_explicit for link in links)
        for link in links:
            link.has_announced = True
        is_own = bool(self._own) and any(self._own.get(id(link.instance)) is link.instance for link in links)
        if is_in_scope or is_own or self in _attached:
            settings, model = event.additional_kwargs, event.model_dict
            is_meant = is_in_scope or (None if is_own else False)
            self._begin(links, span_id, request, settings=settings, model=model, is_meant=is_meant)
            if is_without_span:
                self._just_begun.append(_mark_of(request))

    def _on_chat_start(self, event: LLMChatStartEvent) -> None:
        self._on_start(event, event.messages)

    def _on_completion_start(self, event: LLMCompletionStartEvent) -> None:
        self._on_start(event, event.prompt)

    def _on_chat_end(self, event: LLMChatEndEvent) -> None:
        self._watcher.end(event.span_id or "", event.response, request=event.messages)

    def _on_completion_end(self, event: LLMCompletionEndEvent) -> None:
        self._watcher.end(event.span_id or "", event.response, request=event.prompt)

    def _on_exception(self, event: ExceptionEvent) -> None:
        self._watcher.error(event.span_id or "", event.exception)

    def _on_predict(self, event: LLMPredictStartEvent) -> None:
        span = self._spans.find(event.span_id)
        if span is not None:
            span.template_kind = kind_told_by_template(event.template, event.template_args)

    def _on_retrieval(self, event: RetrievalEndEvent) -> None:
        span = self._spans.find(event.span_id)
        if span is None:
            return
        links = [*span.chain()]
        if any(link.role == "retriever" for link in links[1:]):
            return  # a retriever inside a retriever: the outermost says what was found
        nodes = {node.node_id: node.score for node in event.nodes}
        engines = [link for link in links if link.is_engine]
        if engines:
            engines[0].nodes = {**(engines[0].nodes or {}), **nodes}
            engines[-1].found = {**(engines[-1].found or {}), **nodes}
        else:
            self._group_of(links).add_nodes(nodes)

    def _on_call_span_end(self, span: Span, result: Any, error: BaseException | None) -> None:
        calls = self._watcher.calls
        if not span.is_settled:
            self._on_missed([*span.chain()])
        call = span.call if span.owns_call else None
        if error is not None:
            if call is not None:
                self._watcher.error(call, error)
            return
        on_gone = partial(calls.abandon, call) if call is not None and call.is_open else None
        has_stream = self._streams.add(result, span, on_gone=on_gone)
        if call is not None and not has_stream:
            calls.fail(call, NO_RESPONSE)
        elif call is not None:
            call.has_ended_silently = partial(self._streams.has_ended, span)

    def _on_missed(self, links: Sequence[Span]) -> None:
        """A call was made that nobody asked to record."""
        self._missed += 1
        self._doctor.call_missed(links[0].instance)
        engines = [link for link in links if link.is_engine]
        if engines:
            group = self._group_of(links)
            group.unseen += 1
            engines[-1].last_missed_llm = links[0].instance
            if self._spans.find(engines[-1].span_id) is None:  # the query is over, and this is its stream
                self._doctor.query_ended(group, links[0].instance, has_stream=False)

    def _has_just_begun(self, request: Request) -> bool:
        """Whether the dispatcher told of this very call a moment ago: one of an LLM whose methods have no span."""
        mark = _mark_of(request)
        if mark not in self._just_begun:
            return False
        self._just_begun.remove(mark)
        return True

    def _on_silent(self, span: Span) -> None:
        """An LLM was asked, and LlamaIndex told nobody."""
        links = [*span.chain()]
        is_inner = any(link.is_asked and link.role in ("llm", "wrapper") for link in links[1:])
        if not is_inner and (self in _attached or scope_here(self) is not None or not self._doctor.is_off_duty):
            self._doctor.call_silent(span)

    def _begin(
        self,
        links: Sequence[Span],
        call_id: str,
        request: Request,
        *,
        settings: Mapping[str, Any],
        model: Mapping[str, Any],
        is_meant: bool | None,
    ) -> None:
        span, *outer = links
        span.is_settled = True
        self._watcher.calls.drop_abandoned()
        around = [link for link in outer if link.call is not None and link.call.is_open]
        for link in around:
            if link.role != "wrapper":
                span.call = link.call  # a call inside a call: the outermost is what the app asked for
                return
        # A wrapper is no model: what it asks another one is the call.
        replaced = [link.call for link in around if link.call is not None]
        group = self._group_of(links)
        try:
            span.call = self._watcher.start(
                call_id,
                request,
                settings=settings,
                model=model,
                links=links,
                group=group,
                is_meant=is_meant,
                replaces=replaced,
            )
        except Exception as exc:  # noqa: BLE001 - the app must not hear of it
            self._watcher.complain(exc)
            # Open for good: what is asked inside is a part of the call that cannot be recorded.
            span.call = RecordedCall(call_id=call_id, messages=[], request=(), group=group, place=UNKNOWN_PLACE)
            return
        span.owns_call = True
        self._doctor.call_recorded(span)
        tree = tree_around(links)
        if tree is not None:
            tree.last_tree_call = span.call

    def _links_of(self, span: Span) -> list[Span]:
        """A call's span and the spans around it; those of the stream it is made by, where one is being read."""
        links = [*span.chain()]
        for origin in self._streams.read_here():
            around = [*origin.chain()]
            if origin not in links and span not in around:  # a span may read a stream of its own making
                own = [link for link in links if link is span or (link.role == "llm" and link not in around)]
                own[-1].parent = origin
                if any(link.group is not None for link in around):  # not of the scope in which it is read
                    for link in own:
                        link.group = None
                links = [*own, *around]
        return links

    def _group_of(self, links: Sequence[Span]) -> QueryGroup:
        for link in links:
            if link.group is not None:
                return link.group
        here = scope_here(self)
        if here is not None:
            return here
        top = links[-1]
        with self.lock:
            if top.group is None:
                top.group = QueryGroup(query_id=top.span_id or uuid4().hex, is_sampled=self._draws())
            return top.group

    def _draws(self) -> bool:
        return self._sampling_rate >= 1 or random.random() < self._sampling_rate  # noqa: S311 - no secret hangs on it


_TAKERS: dict[type[BaseEvent], Callable[[DispatcherFront, Any], None]] = {
    LLMChatStartEvent: DispatcherFront._on_chat_start,  # noqa: SLF001 - its own class
    LLMCompletionStartEvent: DispatcherFront._on_completion_start,  # noqa: SLF001
    LLMChatEndEvent: DispatcherFront._on_chat_end,  # noqa: SLF001
    LLMCompletionEndEvent: DispatcherFront._on_completion_end,  # noqa: SLF001
    ExceptionEvent: DispatcherFront._on_exception,  # noqa: SLF001
    LLMPredictStartEvent: DispatcherFront._on_predict,  # noqa: SLF001
    RetrievalEndEvent: DispatcherFront._on_retrieval,  # noqa: SLF001
}


def _mark_of(request: Request) -> tuple[int, ...]:
    """By which a request is known again on this thread; holds nothing of the app."""
    return (threading.get_ident(), *([hash(request)] if isinstance(request, str) else map(id, request)))


@lru_cache(maxsize=1024)
def _taker_of(kind: type[BaseEvent]) -> Callable[[DispatcherFront, Any], None] | None:
    return next((_TAKERS[base] for base in kind.__mro__ if base in _TAKERS), None)
