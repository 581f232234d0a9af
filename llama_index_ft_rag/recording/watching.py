"""From what an LLM event carries to a recorded call; the part that both fronts of the recorder share.

In: the parts of start, end and error events. Out: `RecordedCalls` filled with snapshots taken at the start.
A call that cannot be recorded is counted, and logged the first time. Knows nothing of where events come from.
"""

from __future__ import annotations

import asyncio
import logging
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse

from llama_index_ft_rag.recording.call_kinds import kind_asked
from llama_index_ft_rag.recording.log_lines import say
from llama_index_ft_rag.recording.messages import (
    REPLAYED_LATENCY,
    UNKNOWN_USAGE,
    WireMessage,
    broke_off,
    finish_reason_of,
    prompt_to_wire,
    response_to_wire,
    says_nothing,
    to_wire,
    tools_to_wire,
    usage_of,
)
from llama_index_ft_rag.recording.places import nodes_of, outside_judge, place_of, question_of
from llama_index_ft_rag.recording.query_groups import QueryGroup
from llama_index_ft_rag.recording.reasons import (
    BROKE_OFF,
    CANCELLED,
    EMPTY_ANSWER,
    GOES_ON,
    NO_RESPONSE,
    NOT_EXPRESSIBLE,
    NOT_READ,
)
from llama_index_ft_rag.recording.recorded_calls import CallAnswer, RecordedCall, RecordedCalls
from llama_index_ft_rag.recording.sent_settings import goes_on, instructions_sent, parameters_in, settings_sent
from llama_index_ft_rag.recording.spans import Span

logger = logging.getLogger(__name__)

Told = TypeVar("Told")

Request = Sequence[ChatMessage] | str
"""The messages of a chat or the prompt of a completion."""


class CallWatcher:
    """Turns the starts and ends of LLM calls into recorded calls."""

    def __init__(self, calls: RecordedCalls) -> None:
        self.calls = calls
        self._complained: set[str] = set()

    def start(
        self,
        call_id: str,
        request: Request,
        *,
        settings: Mapping[str, Any],
        model: Mapping[str, Any],
        links: Sequence[Span],
        group: QueryGroup,
        is_meant: bool | None,
        replaces: Sequence[RecordedCall] = (),
    ) -> RecordedCall:
        """Take a snapshot of a call that is about to be sent: the app may change its messages afterwards.

        Args:
            call_id: By which its end will be known.
            request: What is asked.
            settings: What was passed to the LLM beside it.
            model: What the LLM says of itself.
            links: The call's own span and the spans around it, innermost first.
            group: The query it belongs to.
            is_meant: What to think of it if no engine made it; see `place_of`.
            replaces: Open calls on whose behalf it is made and which are none themselves.

        Raises:
            ValueError: If it holds something that the chat format has no word for.
        """
        sent = settings_sent(links[0], settings)
        parallel = sent.get("parallel_tool_calls")
        name = model.get("model_name") or model.get("model")
        messages = instructions_sent(links[0], sent) + _snapshot(request)
        place = place_of(links, is_meant=is_meant)
        call = RecordedCall(
            call_id=call_id,
            messages=messages,
            request=request,
            group=group,
            place=place,
            has_own_id=links[0].is_asked and links[0].role in ("llm", "wrapper"),
            tools=tools_to_wire(sent.get("tools")),
            parallel_tool_calls=parallel if isinstance(parallel, bool) else None,
            parameters=parameters_in(sent),
            model=name if isinstance(name, str) else None,
        )
        if goes_on(links[0], sent):
            call.left_out = GOES_ON
        self.calls.start(call, replaces=replaces)
        call.question = question_of(links, group)
        call.kind = kind_asked(messages, place=place, step=call.step, question=call.question)
        if call.kind == "judge":
            links = outside_judge(links)
            call.question = question_of(links, group)
        call.nodes = nodes_of(links, group)
        return call

    def end(self, call_id: str, response: Any, *, request: Request | None = None) -> None:
        """Keep a finished call's answer. The id of a call that is not open is ignored."""
        call = self.calls.find_open(call_id, fit=lambda call: _fit(request, call))
        if call is None:
            return
        try:
            self._finish(call, response)
        except Exception as exc:  # noqa: BLE001 - the app must not hear of it
            self.calls.fail(call, self._log(exc))

    def _finish(self, call: RecordedCall, response: Any) -> None:
        if not isinstance(response, ChatResponse | CompletionResponse):
            self.calls.fail(call, NO_RESPONSE)
            return
        if _told(broke_off, response, otherwise=False):
            self.calls.fail(call, BROKE_OFF)
            return
        try:
            message = response_to_wire(response)
        except ValueError:
            self.calls.fail(call, NOT_EXPRESSIBLE)
            return
        if says_nothing(message):
            self.calls.fail(call, EMPTY_ANSWER)
            return
        latency = response.additional_kwargs.get(REPLAYED_LATENCY)
        answer = CallAnswer(
            message=message,
            usage=_told(usage_of, response, otherwise=UNKNOWN_USAGE),
            finish_reason=_told(finish_reason_of, response, otherwise=None),
            latency_s=latency if isinstance(latency, float) else None,
        )
        self.calls.finish(call, answer)

    def error(self, call: RecordedCall | str, error: BaseException) -> None:
        """Drop a call that raised, was cancelled, or whose stream was closed before its end."""
        if isinstance(call, str):
            found = self.calls.find_open(call, fit=lambda _: 1)
            if found is None:
                return
            call = found
        if isinstance(error, GeneratorExit):
            reason = NOT_READ
        elif isinstance(error, asyncio.CancelledError):
            reason = CANCELLED
        else:
            reason = type(error).__name__
        self.calls.fail(call, reason)

    def complain(self, error: Exception) -> None:
        """Count a failure of the recorder's own, and log the first of its kind; the app must not hear of it."""
        self.calls.count(self._log(error))

    def _log(self, error: Exception) -> str:
        reason = f"not recordable: {type(error).__name__}"
        if reason not in self._complained:
            self._complained.add(reason)
            say(
                logger,
                logging.WARNING,
                "an LLM call could not be recorded and is left out (%s): %s",
                type(error).__name__,
                error,
            )
        return reason


def _told(read: Callable[[ChatResponse | CompletionResponse], Told], response: Any, *, otherwise: Told) -> Told:
    """What a response says of itself; its raw form is anybody's object, and may raise at a look."""
    try:
        return read(response)
    except Exception:  # noqa: BLE001
        return otherwise


def _snapshot(request: Request) -> list[WireMessage]:
    if not request:
        raise ValueError("it asks nothing")
    return prompt_to_wire(request) if isinstance(request, str) else to_wire(request)


def _fit(request: Request | None, call: RecordedCall) -> int:
    """How well an end's request fits that of a call: by its objects, for an app may have changed what they say."""
    if request is None or call.has_own_id:
        return 1
    if isinstance(request, str) or isinstance(call.request, str):
        return 2 if request == call.request else 0
    if len(request) < len(call.request) or not all(map(operator.is_, request, call.request)):
        return 0
    # Others may have appended the answer to the app's list meanwhile: then the longest beginning is meant.
    return 1 + len(call.request) + (len(request) == len(call.request))
