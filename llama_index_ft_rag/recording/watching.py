"""From what an LLM event carries to a recorded call; the part that both fronts of the recorder share.

In: the parts of start, end and error events. Out: `RecordedCalls` filled with snapshots taken at the start.
Never raises: a call that cannot be recorded is counted, and logged the first time. Knows nothing of where
events come from.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse

from llama_index_ft_rag.recording.messages import (
    BROKE_OFF,
    REPLAYED_LATENCY,
    broke_off,
    finish_reason_of,
    prompt_to_wire,
    response_to_wire,
    to_wire,
    tools_to_wire,
    usage_of,
)
from llama_index_ft_rag.recording.recorded_calls import (
    CallAnswer,
    QueryScope,
    RecordedCall,
    RecordedCalls,
    probably_serves,
)

logger = logging.getLogger(__name__)

# Calls started in this context; some have ended since. A call made by another one finds it here.
_started_here: ContextVar[tuple[RecordedCall, ...]] = ContextVar("ft_rag_started_here", default=())


class CallWatcher:
    """Turns the starts and ends of LLM calls into recorded calls."""

    def __init__(self) -> None:
        self.calls = RecordedCalls()
        self._complained: set[str] = set()

    def start(
        self,
        call_id: str,
        request: Sequence[ChatMessage] | str,
        *,
        settings: Mapping[str, Any],
        model: Mapping[str, Any],
        scope: QueryScope | None = None,
        in_engine: bool | None = None,
    ) -> None:
        """Take a snapshot of a call that is about to be sent: the app may change its messages afterwards."""
        messages = prompt_to_wire(request) if isinstance(request, str) else to_wire(request)
        open_here = [call for call in _started_here.get() if call.is_open]
        around = [call for call in open_here if self.calls.is_open(call.call_id)]
        parallel = settings.get("parallel_tool_calls")
        name = model.get("model_name") or model.get("model")
        call = RecordedCall(
            call_id=call_id,
            messages=messages,
            tools=tools_to_wire(settings.get("tools")),
            parallel_tool_calls=parallel if isinstance(parallel, bool) else None,
            model=name if isinstance(name, str) else None,
            scope=scope,
            in_engine=in_engine,
            inside=probably_serves(messages, around),
        )
        self.calls.start(call)
        _started_here.set((*open_here, call))

    def end(self, call_id: str, response: Any) -> None:
        """Keep a finished call's answer."""
        if not isinstance(response, ChatResponse | CompletionResponse):
            self.calls.fail(call_id, "no response")
            return
        if broke_off(response):
            self.calls.fail(call_id, BROKE_OFF)
            return
        try:
            message = response_to_wire(response)
        except ValueError:
            self.calls.fail(call_id, "not expressible in the chat format")
            return
        latency = response.additional_kwargs.get(REPLAYED_LATENCY)
        answer = CallAnswer(
            message=message,
            usage=usage_of(response),
            finish_reason=finish_reason_of(response),
            latency_s=latency if isinstance(latency, float) else None,
        )
        self.calls.finish(call_id, answer)

    def error(self, call_id: str, error: BaseException) -> None:
        """Drop a call that raised, was cancelled, or whose stream was closed before its end."""
        if isinstance(error, GeneratorExit):
            reason = "stream closed early"
        elif isinstance(error, asyncio.CancelledError):
            reason = "cancelled"
        else:
            reason = type(error).__name__
        self.calls.fail(call_id, reason)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep the recorder's own failures away from the app it watches."""
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - a recorder that raises would break the app it only watches
            reason = f"not recordable: {type(exc).__name__}"
            self.calls.count(reason)
            if reason not in self._complained:
                self._complained.add(reason)
                logger.warning("a LLM call could not be recorded and is left out (%s): %s", type(exc).__name__, exc)
