"""The LLM calls a recorder has seen: open, finished, or failed with a reason.

In: snapshots of requests at their start, and their ends. Out: `TrainingExample`s of the calls that
finished, grouped by query, in the order they started, and a count of everything that was not kept.
Thread-safe. Knows nothing of LlamaIndex's events.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from llama_index_ft_rag.examples import TrainingExample, Usage
from llama_index_ft_rag.recording.call_kinds import classify
from llama_index_ft_rag.recording.messages import WireMessage


@dataclass(frozen=True, kw_only=True)
class RecordingSummary:
    """What a recorder kept and what it did not."""

    finished: int
    """Calls kept as examples."""
    failed: dict[str, int]
    """Calls not kept, by reason; `not finished` are those still open, streams nobody read among them."""
    kinds: dict[str, int]
    """Finished calls by what they were for."""


@dataclass(eq=False, kw_only=True)
class QueryScope:
    """What the calls of one query have in common."""

    query_id: str
    question: str | None = None
    node_ids: list[str] = field(default_factory=list)


@dataclass(eq=False, kw_only=True)
class RecordedCall:
    """One LLM call: its request as it was at its start and, once finished, its answer."""

    call_id: str
    messages: list[WireMessage]
    tools: list[dict[str, Any]] | None = None
    parallel_tool_calls: bool | None = None
    model: str | None = None
    scope: QueryScope | None = None
    in_engine: bool | None = None
    inside: RecordedCall | None = None
    """The open call that this one probably serves; where that one finishes, this one is not shown."""
    is_open: bool = True
    started: float = field(default_factory=time.monotonic)
    answer: CallAnswer | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the call finished and no call around it did."""
        outer = self.inside
        while outer is not None:
            if outer.answer is not None:
                return False
            outer = outer.inside
        return self.answer is not None


@dataclass(frozen=True, kw_only=True)
class CallAnswer:
    """What came back for a call."""

    message: WireMessage
    usage: Usage = field(default_factory=Usage)
    finish_reason: str | None = None
    latency_s: float | None = None
    """Where known better than by the clock: an answer replayed from a ledger took longer the first time."""


class RecordedCalls:
    """The calls of one recorder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, RecordedCall] = {}
        # All calls that may still be shown, in the order they started.
        self._calls: list[RecordedCall] = []
        self._by_query: dict[str, list[RecordedCall]] = {}
        self._failed: Counter[str] = Counter()
        self._failed_by_query: dict[str, list[str]] = {}

    def start(self, call: RecordedCall) -> None:
        """Take a call whose request is about to be sent."""
        with self._lock:
            self._open[call.call_id] = call
            self._calls.append(call)
            if call.scope is not None:
                self._by_query.setdefault(call.scope.query_id, []).append(call)

    def finish(self, call_id: str, answer: CallAnswer) -> None:
        """Keep the answer of an open call; an unknown id is ignored."""
        with self._lock:
            call = self._open.pop(call_id, None)
            if call is None:
                return
            if answer.latency_s is None:
                answer = replace(answer, latency_s=round(time.monotonic() - call.started, 6))
            call.answer = answer
            call.is_open = False

    def fail(self, call_id: str, reason: str) -> None:
        """Drop an open call for a reason; an unknown id is ignored."""
        with self._lock:
            call = self._open.pop(call_id, None)
            if call is None:
                return
            call.is_open = False
            self._calls.remove(call)
            if call.scope is not None:
                self._by_query[call.scope.query_id].remove(call)
            # A nested call fails together with the one around it: that is one failure.
            if call.inside is None:
                self._failed[reason] += 1
                if call.scope is not None:
                    self._failed_by_query.setdefault(call.scope.query_id, []).append(reason)

    def failures_of(self, query_id: str) -> list[str]:
        """Why calls of a query failed, in the order in which they did."""
        with self._lock:
            return list(self._failed_by_query.get(query_id, ()))

    def count(self, reason: str) -> None:
        """Count something that was not recorded at all."""
        with self._lock:
            self._failed[reason] += 1

    def is_open(self, call_id: str) -> bool:
        """Whether this call was started and has not ended."""
        with self._lock:
            return call_id in self._open

    def clear(self) -> None:
        """Forget everything; the ends of calls now open are ignored."""
        with self._lock:
            self._open.clear()
            self._calls.clear()
            self._by_query.clear()
            self._failed.clear()
            self._failed_by_query.clear()

    def examples(self, query_id: str | None = None) -> dict[str, TrainingExample]:
        """The finished calls, of all queries or of one, by call id, in the order they started."""
        with self._lock:
            calls = self._calls if query_id is None else self._by_query.get(query_id, [])
            shown = [call for call in calls if call.is_shown]
        steps: Counter[str] = Counter()
        examples: dict[str, TrainingExample] = {}
        for call in shown:
            step = None
            if call.scope is not None:
                step = steps[call.scope.query_id]
                steps[call.scope.query_id] += 1
            examples[call.call_id] = _to_example(call, step)
        return _name_tree_roots(examples)

    def summary(self) -> RecordingSummary:
        """Count what was kept and what was not."""
        kinds: Counter[str] = Counter(example.kind for example in self.examples().values())
        with self._lock:
            failed = dict(self._failed)
            unfinished = sum(1 for call in self._open.values() if call.inside is None)
        if unfinished:
            failed["not finished"] = unfinished
        return RecordingSummary(finished=kinds.total(), failed=failed, kinds=dict(kinds))


def probably_serves(messages: list[WireMessage], candidates: Iterable[RecordedCall]) -> RecordedCall | None:
    """The call among `candidates`, innermost last, that a call with these messages probably serves.

    A completion-style LLM answers a chat by completing a prompt that quotes all of its messages, an async
    method by calling the sync one with the same messages; no event links the two.
    """
    prompt = messages[0].get("content") if len(messages) == 1 else None
    for call in reversed(list(candidates)):
        texts = [message.get("content") for message in call.messages]
        if call.messages == messages:
            return call
        if isinstance(prompt, str) and all(isinstance(text, str) and text and text in prompt for text in texts):
            return call
    return None


def _to_example(call: RecordedCall, step: int | None) -> TrainingExample:
    assert call.answer is not None
    messages = [*call.messages, call.answer.message]
    scope = call.scope
    return TrainingExample(
        messages=messages,
        tools=call.tools,
        parallel_tool_calls=call.parallel_tool_calls,
        query_id=scope.query_id if scope else None,
        step=step,
        kind=classify(messages, step=step or 0, in_engine=call.in_engine),
        question=scope.question if scope else None,
        node_ids=list(scope.node_ids) if scope else [],
        model=call.model,
        usage=call.answer.usage,
        latency_s=call.answer.latency_s,
        finish_reason=call.answer.finish_reason,
    )


def _name_tree_roots(examples: dict[str, TrainingExample]) -> dict[str, TrainingExample]:
    """A tree's leaves and its root have the same prompt; the last one of a query is its root, the answer."""
    last: dict[str, str] = {}
    for call_id, example in examples.items():
        if example.kind == "tree_step":
            last[example.query_id or call_id] = call_id
    for call_id in last.values():
        examples[call_id] = examples[call_id].model_copy(update={"kind": "answer"})
    return examples
