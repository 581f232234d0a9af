"""The LLM calls a recorder has seen: open, finished, or failed with a reason.

In: snapshots of requests at their start, and their ends. Out: one row for each call that finished, handed to a
`Keeper`, and a count of everything that was not kept. Thread-safe. Knows nothing of LlamaIndex's events, nor where
rows are kept.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from llama_index_ft_rag.concurrency import LockOwner
from llama_index_ft_rag.examples import CallKind, Usage
from llama_index_ft_rag.recording.call_kinds import CallPlace, kind_answered
from llama_index_ft_rag.recording.messages import WireMessage
from llama_index_ft_rag.recording.query_groups import QueryGroup
from llama_index_ft_rag.recording.reasons import NO_RESPONSE, NOT_FINISHED, NOT_READ, NOT_SAMPLED

MOST_OPEN = 10_000
"""How many calls may be open at once; past that, the oldest counts as not finished."""
MOST_FAILED_QUERIES = 1_000
"""Of how many queries the failures are remembered by name; all are counted."""

Row = dict[str, Any]
"""A finished call as it is kept: `call_id`, `started_at` (Unix seconds), and the fields of a `TrainingExample`."""


class Keeper(Protocol):
    """Where finished calls are kept."""

    def keep(self, row: Row, *, number: int) -> str | None:
        """Keep a call, the `number`-th that started; return why it was not kept, or `None`."""

    def rename(self, call_id: str, kind: CallKind) -> None:
        """Change what a kept call was for."""

    def rows(self, query_id: str | None = None) -> list[Row]:
        """The calls kept, of all queries or of one, in the order they started."""

    def clear(self) -> None:
        """Show nothing of what was kept so far."""


@dataclass(frozen=True, kw_only=True)
class RecordingSummary:
    """What a recorder kept and what it did not."""

    finished: int
    """Calls kept as examples."""
    failed: dict[str, int]
    """Calls not kept, by reason; `not finished` are those still open, streams nobody read among them."""
    kinds: dict[str, int]
    """Finished calls by what they were for."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Calls that finished and were left out, by reason: not sampled, no room, file not writable."""


class CallAnswer(NamedTuple):
    """What came back for a call."""

    message: WireMessage
    usage: Usage = Usage()
    finish_reason: str | None = None
    latency_s: float | None = None
    """Where known better than by the clock: an answer replayed from a ledger took longer the first time."""


@dataclass(eq=False, slots=True, kw_only=True)
class RecordedCall:
    """One LLM call whose request was seen: a snapshot, taken at its start."""

    call_id: str
    messages: list[WireMessage]
    request: Sequence[Any] | str
    """The very objects that were asked with, by which an end is known to be this call's."""
    group: QueryGroup
    place: CallPlace
    has_own_id: bool = False
    """Whether no other call can have its id."""
    tools: list[dict[str, Any]] | None = None
    parallel_tool_calls: bool | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    model: str | None = None
    question: str | None = None
    nodes: dict[str, float | None] = field(default_factory=dict)
    step: int = 0
    number: int = 0
    is_open: bool = True
    is_superseded: bool = False
    """Whether another LLM was asked on its behalf, whose call is the one that counts."""
    stand_in: RecordedCall | None = None
    """That call."""
    has_ended_silently: Callable[[], bool] | None = None
    """Of a stream: whether it was read to its end, although nothing said so."""
    left_out: str | None = None
    """Why it is not kept even when it finishes."""
    kind: CallKind | None = None
    """What it is for, where that is known before it is answered."""
    started: float = field(default_factory=time.monotonic)
    started_at: float = field(default_factory=time.time)


class RecordedCalls(LockOwner):
    """The calls of one recorder."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        super().__init__()
        self._numbers = itertools.count()
        self._cleared_before = 0
        self._open: dict[str, list[RecordedCall]] = {}
        self._count_open = 0
        self._kinds: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._failed_by_query: OrderedDict[str, list[str]] = OrderedDict()
        # Filled by finalizers, which may run in the middle of anything: they take no lock.
        self._abandoned: deque[RecordedCall] = deque()

    def start(self, call: RecordedCall, *, replaces: Sequence[RecordedCall] = ()) -> None:
        """Take a call whose request is about to be sent, in the place of calls that only asked for it."""
        with self.lock:
            self._drop_abandoned()
            if self._count_open >= MOST_OPEN:
                self.fail(next(iter(self._open.values()))[0], NOT_FINISHED)
            call.number = next(self._numbers)
            steps = [replaced.step for replaced in replaces if not replaced.is_superseded]
            call.step = steps[0] if steps else call.group.steps
            call.group.steps += not steps
            for replaced in replaces:
                replaced.is_superseded, replaced.stand_in = True, call
            call.group.seen += 1
            self._open.setdefault(call.call_id, []).append(call)
            self._count_open += 1

    def find_open(self, call_id: str, *, fit: Callable[[RecordedCall], int]) -> RecordedCall | None:
        """The open call with this id that fits best, the latest if several do; one whose fit is 0 does not."""
        with self.lock:
            calls = self._open.get(call_id)
            if calls is None:
                return None
            fits = [(fit(call), call) for call in reversed(calls)]
        if len(fits) == 1:
            return fits[0][1] if fits[0][0] else None
        best, call = max(fits, key=lambda found: found[0], default=(0, None))
        return call if best else None

    def finish(self, call: RecordedCall, answer: CallAnswer) -> None:
        """Keep a call and its answer; a call that is not open any more is ignored."""
        with self.lock:
            if not self._close(call) or call.is_superseded:
                return
            row = _to_row(call, answer)
            reason = call.left_out or (None if call.group.is_sampled else NOT_SAMPLED)
            reason = reason or self.keeper.keep(row, number=call.number)
            if reason is not None:
                self._skipped[reason] += 1
                return
            call.kind = row["kind"]
            self._kinds[row["kind"]] += 1

    def fail(self, call: RecordedCall, reason: str) -> None:
        """Drop a call for a reason; a call that is not open any more is ignored."""
        with self.lock:
            if not self._close(call):
                return
            if call.is_superseded:
                if call.stand_in is not None:  # its stream is left together with the one around it
                    self.fail(call.stand_in, reason)
                return
            self._failed[reason] += 1
            failures = self._failed_by_query.setdefault(call.group.query_id, [])
            failures.append(reason)
            if len(self._failed_by_query) > MOST_FAILED_QUERIES:
                self._failed_by_query.popitem(last=False)

    def drop_abandoned(self) -> None:
        """Drop the calls whose streams are gone."""
        if self._abandoned:
            with self.lock:
                self._drop_abandoned()

    def abandon(self, call: RecordedCall) -> None:
        """Drop a call whose stream nobody holds any more, at the next chance. Takes no lock."""
        if call.is_open:
            self._abandoned.append(call)

    def rename(self, call: RecordedCall, kind: CallKind) -> None:
        """Say what a call was for, once that is known; it may have finished already."""
        with self.lock:
            if call.number < self._cleared_before:
                return
            if call.is_open:
                call.kind = kind
            elif call.kind is not None and call.kind != kind:
                self._kinds[call.kind] -= 1
                self._kinds[kind] += 1
                call.kind = kind
                self.keeper.rename(call.call_id, kind)

    def count(self, reason: str) -> None:
        """Count something that was not recorded at all."""
        with self.lock:
            self._failed[reason] += 1

    def failures_of(self, query_id: str) -> list[str]:
        """Why calls of a query failed, in the order in which they did."""
        with self.lock:
            self._drop_abandoned()
            self._drop_ended()
            return list(self._failed_by_query.get(query_id, ()))

    def rows(self, query_id: str | None = None) -> list[Row]:
        """The finished calls, of all queries or of one, in the order they started."""
        with self.lock:
            return self.keeper.rows(query_id)

    def summary(self) -> RecordingSummary:
        """Count what was kept and what was not."""
        with self.lock:
            self._drop_abandoned()
            self._drop_ended()
            failed = Counter(self._failed)
            failed[NOT_FINISHED] += sum(not call.is_superseded for calls in self._open.values() for call in calls)
            kinds = +self._kinds
            return RecordingSummary(
                finished=kinds.total(), failed=dict(+failed), kinds=dict(kinds), skipped=dict(self._skipped)
            )

    def clear(self) -> None:
        """Forget everything; the ends of calls now open are ignored."""
        with self.lock:
            for calls in self._open.values():
                for call in calls:
                    call.is_open = False
            self._open.clear()
            self._count_open = 0
            self._cleared_before = next(self._numbers)
            self._abandoned.clear()
            self._kinds.clear()
            self._failed.clear()
            self._skipped.clear()
            self._failed_by_query.clear()
            self.keeper.clear()

    def _close(self, call: RecordedCall) -> bool:
        if not call.is_open:
            return False
        call.is_open = False
        call.request, call.has_ended_silently = (), None  # holds on to nothing of the app
        self._count_open -= 1
        calls = self._open[call.call_id]
        calls.remove(call)
        if not calls:
            del self._open[call.call_id]
        return True

    def _drop_abandoned(self) -> None:
        while self._abandoned:
            self.fail(self._abandoned.popleft(), NOT_READ)

    def _drop_ended(self) -> None:
        calls = [call for calls in self._open.values() for call in calls]
        for call in calls:
            if call.has_ended_silently is not None and call.has_ended_silently():
                self.fail(call, NO_RESPONSE)


def _to_row(call: RecordedCall, answer: CallAnswer) -> Row:
    messages = [*call.messages, answer.message]
    latency = answer.latency_s
    row: Row = {"call_id": call.call_id, "started_at": round(call.started_at, 6), "messages": messages}
    if call.tools:
        row["tools"] = call.tools
    if call.parallel_tool_calls is not None:
        row["parallel_tool_calls"] = call.parallel_tool_calls
    row["query_id"] = call.group.query_id
    row["step"] = call.step
    row["kind"] = call.kind or kind_answered(answer.message, place=call.place)
    row["question"] = call.question
    row["node_ids"] = list(call.nodes)
    row["node_scores"] = list(call.nodes.values())
    row["model"] = call.model
    row["parameters"] = call.parameters
    row["usage"] = {
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }
    row["latency_s"] = round(time.monotonic() - call.started, 6) if latency is None else latency
    row["finish_reason"] = answer.finish_reason
    return row
