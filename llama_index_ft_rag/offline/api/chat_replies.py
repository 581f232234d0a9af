"""Chat completions in the service's shape, whole and in pieces.

In: what a model says. Out: the choices of a completion, the chunks of a stream, the usage. Functions of the
deprecated kind are called one at a time, so only the first call is told there. Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llama_index_ft_rag.offline.api.answers import Answer
from llama_index_ft_rag.offline.tokens import split_tokens

SYSTEM_FINGERPRINT = "fp_offline_toy"


def usage_of(prompt_tokens: int, answers: Sequence[Answer]) -> dict[str, Any]:
    """Count the tokens of a request and of all its answers."""
    completion_tokens = sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def chat_choices(answers: Sequence[Answer], *, deprecated: bool) -> list[dict[str, Any]]:
    """Return the choices of a completion.

    Args:
        answers: One per choice.
        deprecated: Whether the request had `functions`, the form before `tools`.
    """
    return [
        {
            "index": index,
            "message": _message(answer, deprecated=deprecated),
            "logprobs": None,
            "finish_reason": _reason(answer, deprecated=deprecated),
        }
        for index, answer in enumerate(answers)
    ]


def chat_chunks(
    head: Mapping[str, Any], answers: Sequence[Answer], usage: Mapping[str, Any] | None, *, deprecated: bool
) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a stream, one choice after the other, and the usage last, if there is any."""
    base = {**head, "object": "chat.completion.chunk"}
    if usage is not None:
        base["usage"] = None
    for index, answer in enumerate(answers):
        for delta in _function_deltas(answer) if deprecated and answer.calls else _deltas(answer):
            yield {**base, "choices": [_delta(index, delta)]}
        last = {**_delta(index, {}), "finish_reason": _reason(answer, deprecated=deprecated)}
        yield {**base, "choices": [last]}
    if usage is not None:
        yield {**base, "choices": [], "usage": usage}


def _message(answer: Answer, *, deprecated: bool) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.content,
        "refusal": answer.refusal,
        "annotations": [],
    }
    if answer.calls and deprecated:
        first = answer.calls[0]
        message["function_call"] = {"name": first.name, "arguments": first.arguments}
    elif answer.calls:
        message["tool_calls"] = [call.to_json() for call in answer.calls]
    return message


def _reason(answer: Answer, *, deprecated: bool) -> str:
    return "function_call" if deprecated and answer.finish_reason == "tool_calls" else answer.finish_reason


def _deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    first: dict[str, Any] = {"role": "assistant", "content": answer.content and "", "refusal": answer.refusal and ""}
    calls = [{"index": index, **replace(call, arguments="").to_json()} for index, call in enumerate(answer.calls)]
    if len(calls) == 1 and answer.content is None:
        # As recorded from the service: a single call is named together with the role, several come after it.
        first["tool_calls"] = [calls[0]]
    yield first
    yield from ({"content": piece} for piece in split_tokens(answer.content or ""))
    yield from ({"refusal": piece} for piece in split_tokens(answer.refusal or ""))
    for index, call in enumerate(answer.calls):
        if "tool_calls" not in first:
            yield {"tool_calls": [calls[index]]}
        for piece in split_tokens(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _function_deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    call = answer.calls[0]
    named = {"name": call.name, "arguments": ""}
    yield {"role": "assistant", "content": answer.content, "refusal": None, "function_call": named}
    yield from ({"function_call": {"arguments": piece}} for piece in split_tokens(call.arguments))


def _delta(index: int, delta: Mapping[str, Any]) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
