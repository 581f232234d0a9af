"""The recorder: turns the finished LLM calls of any LlamaIndex app into training examples.

In: LLM events, through a `CallbackManager` (the classic way) or the instrumentation dispatcher (`attach`,
`recording`), which sees every call whichever way the engine was built. Out: `TrainingExample`s, and a count
of what was not kept and why. Changes nothing it is shown, never raises into the app. Knows nothing of jobs.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict
from uuid import uuid4

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler

from llama_index_ft_rag.errors import EmptyRecordingError
from llama_index_ft_rag.examples import CallKind, TrainingExample, write_examples
from llama_index_ft_rag.recording.dispatching import DispatcherFront
from llama_index_ft_rag.recording.messages import from_wire
from llama_index_ft_rag.recording.recorded_calls import QueryScope, RecordingSummary
from llama_index_ft_rag.recording.watching import CallWatcher

logger = logging.getLogger(__name__)

NEVER_SAVED: frozenset[CallKind] = frozenset({"judge", "question_generation"})
"""Kinds of calls that `save_finetuning_events` leaves out: they are not part of answering a query."""


class FinetuningEvent(TypedDict):
    """One finished call, in the shape `get_finetuning_events` always had."""

    messages: list[ChatMessage]
    response: ChatMessage


class OpenAIFineTuningHandler(BaseCallbackHandler):
    """Record LLM calls and save them in OpenAI's fine-tuning format.

    Use it in one of two ways. `CallbackManager([handler])` on `Settings`, set before the engine is built, is
    the classic one. `handler.attach()`, or `with handler.recording(query_id=...)` around a query, works at any
    time and with any engine, groups the calls of a query, and knows the retrieved nodes; while it is active it
    alone records, so that using both ways records nothing twice.

    Example:
        >>> from llama_index.core.llms import ChatMessage, MockLLM
        >>> handler = OpenAIFineTuningHandler()
        >>> with handler.recording(query_id="q1", question="Why?"):
        ...     _ = MockLLM().complete("Why?")
        >>> [message["role"] for message in handler.calls_of("q1")[0].messages]
        ['user', 'assistant']
    """

    def __init__(self) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self._watcher = CallWatcher()
        self._dispatcher = DispatcherFront(self._watcher)

    def attach(self) -> None:
        """Record every LLM call of this process from now on, however its engine was built."""
        self._dispatcher.attach()

    def detach(self) -> None:
        """End what `attach` began; what was recorded stays."""
        self._dispatcher.detach()

    @contextmanager
    def recording(self, *, query_id: str | None = None, question: str | None = None) -> Iterator[None]:
        """Record the calls made inside, tasks and `asyncio.to_thread` included, as the calls of one query.

        Many may be open at once, one per task. Streams have to be read inside: LlamaIndex sends the request
        when the first chunk is asked for. Calls outside are not recorded unless `attach` was called.

        Args:
            query_id: What `calls_of` finds them by; a fresh id by default.
            question: The user's question, kept with each call.
        """
        with self._dispatcher.scope(QueryScope(query_id=query_id or uuid4().hex, question=question)):
            yield

    def examples(self, *, kinds: Collection[CallKind] | None = ("answer", "refine")) -> list[TrainingExample]:
        """The finished calls of these kinds, in the order they started; `None` for all."""
        recorded = self._watcher.calls.examples().values()
        return [example for example in recorded if kinds is None or example.kind in kinds]

    def calls_of(self, query_id: str) -> list[TrainingExample]:
        """All finished calls of one query, of every kind, in the order they started."""
        return list(self._watcher.calls.examples(query_id).values())

    def failures_of(self, query_id: str) -> list[str]:
        """Why calls of one query failed, whether or not its engine told anybody."""
        return self._watcher.calls.failures_of(query_id)

    def summary(self) -> RecordingSummary:
        """Count the calls kept and, by reason, those not kept."""
        return self._watcher.calls.summary()

    def clear(self) -> None:
        """Forget everything recorded; recording goes on."""
        self._watcher.calls.clear()
        self._dispatcher.clear()

    def get_finetuning_events(self) -> dict[str, FinetuningEvent]:
        """The finished calls by event id, each with its `messages` and its `response`."""
        events: dict[str, FinetuningEvent] = {}
        for event_id, example in self._watcher.calls.examples().items():
            *messages, response = [from_wire(message) for message in example.messages]
            events[event_id] = {"messages": messages, "response": response}
        return events

    def save_finetuning_events(self, path: str | Path) -> None:
        """Write all finished calls to a training file, its provenance beside it; both replace what was there.

        Calls of judges and question generators (`NEVER_SAVED`) are left out. Write a choice of your own with
        `write_examples(path, handler.examples(kinds=...))`.

        Raises:
            EmptyRecordingError: If there is nothing to save; says why, and no file is touched.
        """
        examples = [example for example in self.examples(kinds=None) if example.kind not in NEVER_SAVED]
        if not examples:
            raise EmptyRecordingError(_why_empty(self.summary()))
        count = write_examples(path, examples)
        logger.info("wrote %d examples to %s", count, path)

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",  # noqa: ARG002 - LlamaIndex's signature
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's signature
    ) -> str:
        """Take a snapshot of an LLM call's request."""
        if event_type == CBEventType.LLM and payload and not self._dispatcher.takes_call_here():
            request = payload.get(EventPayload.MESSAGES, payload.get(EventPayload.PROMPT))
            with self._watcher.guarded():
                self._watcher.start(
                    event_id,
                    request if isinstance(request, str) else list(request or []),
                    settings=payload.get(EventPayload.ADDITIONAL_KWARGS) or {},
                    model=payload.get(EventPayload.SERIALIZED) or {},
                )
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's signature
    ) -> None:
        """Keep an LLM call's answer, or count why there is none."""
        if event_type != CBEventType.LLM:
            return
        end = payload or {}
        with self._watcher.guarded():
            error = end.get(EventPayload.EXCEPTION)
            if isinstance(error, BaseException):
                self._watcher.error(event_id, error)
            else:
                self._watcher.end(event_id, end.get(EventPayload.RESPONSE, end.get(EventPayload.COMPLETION)))

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing; part of LlamaIndex's interface."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Do nothing; part of LlamaIndex's interface."""


def _why_empty(summary: RecordingSummary) -> str:
    if summary.failed:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in sorted(summary.failed.items()))
        return (
            f"nothing to save: LLM calls were seen, but none finished ({reasons}); "
            "look into these failures, and read streamed answers to their end"
        )
    if summary.finished:
        kinds = ", ".join(sorted(summary.kinds))
        return f"nothing to save: all recorded calls are {kinds}; choose with handler.examples(kinds=...)"
    return (
        "nothing to save: no LLM call reached this handler. Engines replace a callback manager set on the LLM, "
        "and one put on Settings after the engine was built is not seen; call handler.attach() before the first "
        "query, or put `with handler.recording():` around it, and use the same handler object here"
    )
