"""The recorder: turns the finished LLM calls of any LlamaIndex app into training examples.

In: LLM events, through a `CallbackManager` (the classic way) or the instrumentation dispatcher (`attach`,
`recording`), which sees every call whichever way the engine was built. Out: `TrainingExample`s, kept in memory or in a
file, and a count of what was not kept and why. Changes nothing it is shown, never raises into the app. Knows nothing
of jobs.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypedDict, TypeVar, cast
from uuid import uuid4

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.llms import LLM
from llama_index.core.llms.structured_llm import StructuredLLM

from llama_index_ft_rag.errors import ConfigurationError, EmptyRecordingError
from llama_index_ft_rag.examples import CallKind, TrainingExample, provenance_path, write_examples
from llama_index_ft_rag.recording.dispatching import DispatcherFront
from llama_index_ft_rag.recording.doctor import AttachDoctor
from llama_index_ft_rag.recording.journal import Journal
from llama_index_ft_rag.recording.kept_rows import KeptInMemory, Where, chosen, to_examples
from llama_index_ft_rag.recording.messages import from_wire
from llama_index_ft_rag.recording.query_groups import QueryGroup
from llama_index_ft_rag.recording.reasons import GOES_ON, NO_ROOM, NOT_FINISHED, NOT_READ, NOT_SAMPLED, NOT_WRITTEN
from llama_index_ft_rag.recording.recorded_calls import RecordedCalls, RecordingSummary
from llama_index_ft_rag.recording.scopes import carry_scopes
from llama_index_ft_rag.recording.watching import CallWatcher
from llama_index_ft_rag.recording.wrapping import wrap_llm

logger = logging.getLogger(__name__)

FOR_TRAINING: frozenset[CallKind] = frozenset({"answer", "refine"})
"""Kinds of calls that `examples` returns by default: the ones that answer a question."""

NEVER_SAVED: frozenset[CallKind] = frozenset(
    {"judge", "question_generation", "condense", "selector", "sub_question", "hyde"}
)
"""Kinds of calls that `save_finetuning_events` leaves out by default: they prepare or judge answers."""

_CURES = {
    NOT_SAMPLED: "raise sampling_rate",
    NO_ROOM: "raise max_bytes",
    NOT_WRITTEN: "give the recorder a path that can be written; the log says what is wrong with this one",
    GOES_ON: "send the whole conversation instead of previous_response_id",
}

P = ParamSpec("P")
R = TypeVar("R")


class FinetuningEvent(TypedDict):
    """One finished call, in the shape `get_finetuning_events` always had."""

    messages: list[ChatMessage]
    response: ChatMessage


class OpenAIFineTuningHandler(BaseCallbackHandler):
    """Record LLM calls and save them in OpenAI's fine-tuning format.

    Use it in one of two ways. `CallbackManager([handler])` on `Settings`, set before the engine is built, is
    the classic one. `handler.attach()`, or `with handler.recording(query_id=...)` around a query, works at any
    time and with any engine. Used both ways at once, a call is recorded once.

    Args:
        path: Where finished calls are kept, one line each, on disk before the app goes on; several processes may
            share it. By default they are kept in memory.
        sampling_rate: Share of queries that are kept, from 0 to 1; a query is kept whole or not at all.
        max_bytes: How large the file, or what is kept in memory, may become; calls that do not fit are counted.

    Raises:
        ConfigurationError: If a number is out of its range, or the file holds something else than a recording. A
            file that cannot be written stops the recording instead, with one line in the log.

    Example:
        >>> from llama_index.core.llms import ChatMessage, MockLLM
        >>> handler = OpenAIFineTuningHandler()
        >>> with handler.recording(query_id="q1", question="Why?"):
        ...     _ = MockLLM().complete("Why?")
        >>> [message["role"] for message in handler.calls_of("q1")[0].messages]
        ['user', 'assistant']
    """

    def __init__(
        self, path: str | Path | None = None, *, sampling_rate: float = 1.0, max_bytes: int | None = None
    ) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        _check(path, sampling_rate, max_bytes)
        self._journal = Journal(Path(path), max_bytes=max_bytes) if path is not None else None
        self._calls = RecordedCalls(self._journal or KeptInMemory(max_bytes=max_bytes))
        self._watcher = CallWatcher(self._calls)
        self._is_cleared = False
        self._doctor = AttachDoctor(self)
        self._dispatcher = DispatcherFront(self._watcher, self._doctor, sampling_rate=sampling_rate)

    def __copy__(self) -> OpenAIFineTuningHandler:
        """Return itself: a copy of an LLM or an engine is heard by the same handler."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> OpenAIFineTuningHandler:
        """Return itself: a copy of an LLM or an engine is heard by the same handler."""
        return self

    def attach(self) -> None:
        """Record every LLM call of this process from now on, however its engine was built."""
        self._dispatcher.attach()

    def detach(self) -> None:
        """End what `attach` began; what was recorded stays."""
        self._dispatcher.detach()

    @contextmanager
    def recording(self, query_id: str | None = None, *, question: str | None = None) -> Iterator[None]:
        """Record the calls made inside, tasks and `asyncio.to_thread` included, as the calls of one query.

        Many may be open at once, one per task. A stream that an engine returns inside belongs to it wherever it is
        read. A thread of your own has to be told: see `carry`. Calls outside are not recorded unless `attach` was
        called.

        Args:
            query_id: What `calls_of` finds them by; a fresh id by default.
            question: The user's question, kept with each call.
        """
        group = QueryGroup(query_id=query_id or uuid4().hex, question=question, is_explicit=True)
        with self._dispatcher.scope(group):
            yield

    def carry(self, function: Callable[P, R]) -> Callable[P, R]:
        """Make a function that, on whatever thread it is called, runs inside the `recording` that is open here.

        Raises:
            ConfigurationError: If it is no function.

        Example:
            >>> from concurrent.futures import ThreadPoolExecutor
            >>> from llama_index.core.llms import MockLLM
            >>> handler = OpenAIFineTuningHandler()
            >>> with handler.recording(query_id="q1"), ThreadPoolExecutor() as pool:
            ...     _ = list(pool.map(handler.carry(MockLLM().complete), ["Why?", "How?"]))
            >>> len(handler.calls_of("q1"))
            2
        """
        if not callable(function):
            raise ConfigurationError(f"carry({function!r}): pass the function itself, not what it returned")
        context = contextvars.copy_context()
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", carry_scopes(function))

        @functools.wraps(function)
        def carried(*args: P.args, **kwargs: P.kwargs) -> R:
            # A copy each time: one context cannot be entered by two threads at once.
            return context.copy().run(function, *args, **kwargs)

        return carried

    def wrap(self, llm: LLM) -> LLM:
        """Make an LLM of the same class and settings whose every call this handler records.

        For the calls that LlamaIndex announces to nobody: structured predictions of `OpenAIResponses`, and LLM classes
        without the callback decorators. The given LLM is never changed.
        """
        if not isinstance(llm, LLM):
            raise ConfigurationError(f"wrap({llm!r}): pass an LLM of LlamaIndex")
        wrapped = wrap_llm(llm)
        self._dispatcher.adopt(wrapped.llm if isinstance(wrapped, StructuredLLM) else wrapped)
        return wrapped

    def examples(
        self, *, kinds: Collection[CallKind] | None = FOR_TRAINING, where: Where | None = None
    ) -> list[TrainingExample]:
        """The finished calls of these kinds, in the order they started.

        Args:
            kinds: What the calls were for; `None` for all.
            where: Called with each example; keeps those it says yes to.
        """
        return chosen((example for _, example in self._recorded()), kinds=kinds, where=where)

    def calls_of(self, query_id: str) -> list[TrainingExample]:
        """All finished calls of one query, of every kind, in the order they started."""
        return [example for _, example in to_examples(self._calls.rows(query_id))]

    def failures_of(self, query_id: str) -> list[str]:
        """Why calls of one query failed, whether or not its engine told anybody."""
        return self._calls.failures_of(query_id)

    def summary(self) -> RecordingSummary:
        """Count the calls this handler kept and, by reason, those not kept."""
        return self._calls.summary()

    def clear(self) -> None:
        """Forget everything recorded; recording goes on. A file keeps what is in it; it is not shown any more."""
        self._is_cleared = self._is_cleared or any(self._recorded())
        self._calls.clear()

    def get_finetuning_events(self) -> dict[str, FinetuningEvent]:
        """The finished calls by event id, each with its `messages` and its `response`."""
        events: dict[str, FinetuningEvent] = {}
        for call_id, example in self._recorded():
            *messages, response = [from_wire(message) for message in example.messages]
            event_id = call_id if call_id not in events else f"{call_id}#{len(events)}"
            events[event_id] = {"messages": messages, "response": response}
        return events

    def save_finetuning_events(
        self, path: str | Path, *, kinds: Collection[CallKind] | None = None, where: Where | None = None
    ) -> None:
        """Write the finished calls to a training file, its provenance beside it; both replace what was there.

        Args:
            path: The training file.
            kinds: What the calls were for. By default all that answer: `NEVER_SAVED` are left out.
            where: Called with each example; keeps those it says yes to.

        Raises:
            EmptyRecordingError: If there is nothing to save; says why, and no file is touched.
            ConfigurationError: If `path` is the recording itself.
        """
        written = [os.path.realpath(file) for file in (path, provenance_path(Path(path)))]
        if self._journal is not None and os.path.realpath(self._journal.path) in written:
            raise ConfigurationError(
                f"{path}: would overwrite the recording; save the training file under another name"
            )
        recorded = [example for _, example in self._recorded()]
        wanted = [example for example in recorded if kinds is not None or example.kind not in NEVER_SAVED]
        examples = chosen(wanted, kinds=kinds, where=where)
        if not examples:
            raise EmptyRecordingError(f"nothing to save: {self._why_empty(recorded, kinds)}")
        count = write_examples(path, examples)
        self._doctor.is_off_duty = True  # it has done its work, or was made to read another one's file
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
        if event_type != CBEventType.LLM:
            self._doctor.has_other_events = True
        elif payload:
            try:
                request = payload.get(EventPayload.MESSAGES, payload.get(EventPayload.PROMPT))
                self._dispatcher.start_callback(
                    event_id,
                    request if isinstance(request, str) else list(request or []),
                    settings=payload.get(EventPayload.ADDITIONAL_KWARGS) or {},
                    model=payload.get(EventPayload.SERIALIZED) or {},
                )
            except Exception as exc:  # noqa: BLE001 - the app must not hear of it
                self._watcher.complain(exc)
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
        try:
            error = end.get(EventPayload.EXCEPTION)
            if isinstance(error, BaseException):
                self._watcher.error(event_id, error)
            else:
                self._watcher.end(
                    event_id,
                    end.get(EventPayload.RESPONSE, end.get(EventPayload.COMPLETION)),
                    request=end.get(EventPayload.MESSAGES, end.get(EventPayload.PROMPT)),
                )
        except Exception as exc:  # noqa: BLE001 - the app must not hear of it
            self._watcher.complain(exc)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing; part of LlamaIndex's interface."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Do nothing; part of LlamaIndex's interface."""

    def _recorded(self) -> Iterator[tuple[str, TrainingExample]]:
        return to_examples(self._calls.rows())

    def _why_empty(self, recorded: Sequence[TrainingExample], kinds: Collection[CallKind] | None) -> str:
        summary = self.summary()
        if recorded:
            found = {example.kind for example in recorded}
            is_refine_missing = kinds is not None and "refine" in kinds and "refine" not in found
            return (self._doctor.why_no_refine() if is_refine_missing else None) or (
                f"of {len(recorded)} recorded calls ({', '.join(sorted(found))}) none was chosen; choose with "
                "kinds=... and where=..., and look at handler.examples(kinds=None)"
            )
        advice = [_CURES[reason] for reason in sorted(summary.skipped)]
        if summary.failed:
            has_streams = bool({NOT_READ, NOT_FINISHED} & summary.failed.keys())
            advice.insert(0, "read streamed answers to their end" if has_streams else "look into these failures")
        if advice:
            state = "were seen, but none finished" if not summary.skipped else "were seen, but none was kept"
            return f"LLM calls {state} ({_counted({**summary.failed, **summary.skipped})}): {'; '.join(advice)}"
        if self._is_cleared:
            return "no LLM call was recorded since handler.clear(); ask something first, or save before clearing"
        return self._doctor.why_nothing()


def _check(path: object, sampling_rate: object, max_bytes: object) -> None:
    if path is not None and (not isinstance(path, str | os.PathLike) or not os.fspath(path)):
        raise ConfigurationError(f"path={path!r}: pass the path of the file to record into, or None to keep in memory")
    if isinstance(sampling_rate, bool) or not isinstance(sampling_rate, int | float) or not 0 <= sampling_rate <= 1:
        raise ConfigurationError(f"sampling_rate={sampling_rate!r}: pass a number from 0 to 1")
    if max_bytes is not None and (isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes <= 0):
        raise ConfigurationError(f"max_bytes={max_bytes!r}: pass a positive number of bytes, or None for no limit")


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items()))
