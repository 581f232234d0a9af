"""What the recorder puts on LlamaIndex's dispatcher, and takes off again when the recorder is gone.

In: LlamaIndex's notices of events and spans. Out: the same, told to a `Listener` that is only weakly held. Knows
nothing of what they mean.
"""

from __future__ import annotations

import inspect
import weakref
from typing import Any, Protocol

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel, Field

from llama_index_ft_rag.concurrency import LockOwner

_ears = LockOwner()


class Listener(Protocol):
    """Who is told of events and spans."""

    def on_event(self, event: BaseEvent) -> None:
        """Take an event."""

    def on_span_start(
        self, span_id: str, arguments: inspect.BoundArguments, *, instance: Any, parent_id: str | None
    ) -> None:
        """Take the start of a span: a method of `instance`, called with `arguments`."""

    def on_span_end(self, span_id: str, *, result: Any = None, error: BaseException | None = None) -> None:
        """Take the end of a span, and what it returned or raised."""


def listen(listener: Listener) -> None:
    """Tell a listener of every event and span of the process, as long as it exists."""
    reference = weakref.ref(listener)
    events, spans = _EventEar(reference), _SpanEar(reference)
    weakref.finalize(listener, _take_off, events, spans).atexit = False
    root = get_dispatcher()
    with _ears.lock:
        # New lists: events may be on their way through the old ones.
        root.event_handlers = [*root.event_handlers, events]
        root.span_handlers = [*root.span_handlers, spans]


def _take_off(events: _EventEar, spans: _SpanEar) -> None:
    root = get_dispatcher()
    with _ears.lock:
        # Compared by identity: pydantic's equality would take two recorders for one.
        root.event_handlers = [handler for handler in root.event_handlers if handler is not events]
        root.span_handlers = [handler for handler in root.span_handlers if handler is not spans]


class _EventEar(BaseEventHandler):
    # A field, not a private attribute: those are found only after a failed look-up, and this is read on every event.
    listener: Any = Field(exclude=True, repr=False)

    def __init__(self, listener: weakref.ref[Listener]) -> None:
        BaseModel.__init__(self, listener=listener)

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:  # noqa: ARG002 - LlamaIndex's signature
        listener = self.listener()
        if listener is not None:
            listener.on_event(event)


class _SpanEar(BaseSpanHandler[BaseSpan]):
    """Overrides what the dispatcher calls, not the hooks behind it, which would keep spans of their own."""

    # A field, not a private attribute: those are found only after a failed look-up, and this is read on every event.
    listener: Any = Field(exclude=True, repr=False)

    def __init__(self, listener: weakref.ref[Listener]) -> None:
        BaseModel.__init__(self, listener=listener)

    def span_enter(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,  # noqa: ARG002 - LlamaIndex's signature
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's signature
    ) -> None:
        listener = self.listener()
        if listener is not None:
            listener.on_span_start(id_, bound_args, instance=instance, parent_id=parent_id)

    def span_exit(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any | None = None,  # noqa: ARG002 - LlamaIndex's signature
        result: Any | None = None,
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's signature
    ) -> None:
        listener = self.listener()
        if listener is not None:
            listener.on_span_end(id_, result=result)

    def span_drop(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any | None = None,  # noqa: ARG002 - LlamaIndex's signature
        err: BaseException | None = None,
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's signature
    ) -> None:
        listener = self.listener()
        if listener is not None:
            listener.on_span_end(id_, error=err or RuntimeError("span dropped"))

    def new_span(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing; part of LlamaIndex's interface."""

    def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing; part of LlamaIndex's interface."""

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing; part of LlamaIndex's interface."""
