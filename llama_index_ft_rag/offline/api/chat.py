"""The chat completions endpoint, plain and streamed.

In: a request body. Out: a completion with its usage, or the service's error. The reply is made whole before
the first byte goes out, so a failure is a status code, never a broken stream. Ids depend on the request
alone: the same request gets the same id. Knows nothing of how a reply is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llama_index_ft_rag.offline.api.chat_messages import find_problem
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.protocol import (
    Refusal,
    Request,
    Response,
    event_stream,
    invalid_type,
    json_response,
    parse_object,
    refuse,
    required_text,
    stable_hash,
)
from llama_index_ft_rag.offline.responder import (
    ApiFailure,
    ChatReply,
    ChatRequest,
    Responder,
    offline_family,
)
from llama_index_ft_rag.offline.tokens import count_prompt_tokens, count_tokens, cut_tokens, split_tokens

SYSTEM_FINGERPRINT = "fp_offline_toy"

RESPONSE_FORMATS = ("text", "json_object", "json_schema")

_TOOL_FIELDS = ("tools", "functions")

# These say how an answer travels, not what it is; they must not change it.
_TRANSPORT_FIELDS = {"stream", "stream_options", "n", "user", "metadata", "store", "safety_identifier"}


@dataclass(frozen=True, kw_only=True)
class _Question:
    model: str
    messages: list[dict[str, Any]]
    parameters: dict[str, Any]
    n: int
    stream: bool
    include_usage: bool
    max_tokens: int | None
    stop: tuple[str, ...]


class Chat:
    """Answers `POST /v1/chat/completions`."""

    def __init__(self, models: Models, responder: Responder, *, seed: int, now: Callable[[], int]) -> None:
        self._models = models
        self._responder = responder
        self._seed = seed
        self._now = now

    def complete(self, request: Request) -> Response:
        """Answer one request for a completion."""
        body = parse_object(request.body)
        question = _read_question(body)
        self._models.check_chat(question.model)
        _check_tools(question)
        identity = {key: value for key, value in body.items() if key not in _TRANSPORT_FIELDS}
        replies = [self._reply(question, identity, index) for index in range(question.n)]
        head = {
            "id": "chatcmpl-" + stable_hash(self._seed, identity)[:24],
            "created": self._now(),
            "model": question.model,
            "service_tier": "default",
            "system_fingerprint": SYSTEM_FINGERPRINT,
        }
        usage = _usage(question.messages, replies)
        if question.stream:
            chunks = _chunks(head, replies, usage if question.include_usage else None)
            return event_stream(chunks, tokens=usage["total_tokens"])
        choices = [_choice(index, reply) for index, reply in enumerate(replies)]
        completion = {**head, "object": "chat.completion", "choices": choices, "usage": usage}
        return json_response(completion, tokens=usage["total_tokens"])

    def _reply(self, question: _Question, identity: Mapping[str, Any], index: int) -> ChatReply:
        reply = self._responder.chat(
            ChatRequest(
                model=question.model,
                messages=question.messages,
                parameters=question.parameters,
                seed=int(stable_hash(self._seed, identity, index)[:15], 16),
            )
        )
        if isinstance(reply, ApiFailure):
            raise Refusal(reply)
        return _bound(reply, question)


def _read_question(body: Mapping[str, Any]) -> _Question:
    model = required_text(body, "model")
    if body.get("messages") is None:
        raise refuse("Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter")
    problem = find_problem(body["messages"])
    if problem is not None:
        raise refuse(f"Invalid value: {problem.where} {problem.reason}.", param=problem.where, code="invalid_value")
    _check_sampling(body)
    _check_response_format(body.get("response_format"))
    stream = _flag(body, "stream")
    return _Question(
        model=model,
        messages=body["messages"],
        parameters={key: value for key, value in body.items() if key not in {"model", "messages"}},
        n=_integer(body, "n", maximum=128) or 1,
        stream=stream,
        include_usage=_include_usage(body.get("stream_options"), stream=stream),
        max_tokens=_integer(body, "max_completion_tokens") or _integer(body, "max_tokens"),
        stop=_stop(body.get("stop")),
    )


def _check_tools(question: _Question) -> None:
    if offline_family(question.model) is None:
        return
    for name in _TOOL_FIELDS:
        if question.parameters.get(name):
            raise refuse(
                f"The offline model {question.model} cannot call tools; leave '{name}' out.",
                param=name,
                code="unsupported_parameter",
            )


def _check_sampling(body: Mapping[str, Any]) -> None:
    for name, low, high in (
        ("temperature", 0, 2),
        ("top_p", 0, 1),
        ("presence_penalty", -2, 2),
        ("frequency_penalty", -2, 2),
    ):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise invalid_type(name, f"a number from {low} to {high}", value)
    if body.get("logprobs"):
        raise refuse("The offline backend has no logprobs; leave them out.", param="logprobs")
    seed = body.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise invalid_type("seed", "an integer", seed)


def _check_response_format(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict) or value.get("type") not in RESPONSE_FORMATS:
        raise invalid_type("response_format", f"an object with a type of {', '.join(RESPONSE_FORMATS)}", value)


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid_type(name, "true or false", value)
    return bool(value)


def _integer(body: Mapping[str, Any], name: str, *, maximum: int | None = None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or (maximum and value > maximum):
        raise invalid_type(name, f"an integer from 1 to {maximum}" if maximum else "an integer above 0", value)
    return value


def _include_usage(options: Any, *, stream: bool) -> bool:
    if options is None:
        return False
    if not stream:
        raise refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    if not isinstance(options, dict):
        raise invalid_type("stream_options", "an object", options)
    return _flag(options, "include_usage")


def _stop(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list) or len(texts) > 4 or not all(isinstance(text, str) and text for text in texts):
        raise invalid_type("stop", "a text or a list of at most 4 texts", value)
    return tuple(texts)


def _bound(reply: ChatReply, question: _Question) -> ChatReply:
    content = reply.content or ""
    ends = [place for place in map(content.find, question.stop) if place >= 0]
    if ends:
        reply = replace(reply, content=content[: min(ends)])
    if question.max_tokens is None:
        return reply
    content = reply.content or ""
    cut = cut_tokens(content, question.max_tokens)
    return reply if cut == content else replace(reply, content=cut, finish_reason="length")


def _usage(messages: Sequence[Mapping[str, Any]], replies: Sequence[ChatReply]) -> dict[str, Any]:
    prompt = count_prompt_tokens(messages)
    completion = sum(count_tokens(reply.content or "") for reply in replies)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(index: int, reply: ChatReply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.content, "refusal": None, "annotations": []}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}


def _chunks(
    head: Mapping[str, Any], replies: Sequence[ChatReply], usage: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    base = {**head, "object": "chat.completion.chunk"}
    if usage is not None:
        base["usage"] = None
    for index, reply in enumerate(replies):
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
        deltas.extend({"content": piece} for piece in split_tokens(reply.content or ""))
        for delta in deltas:
            yield {**base, "choices": [_delta(index, delta)]}
        yield {**base, "choices": [{**_delta(index, {}), "finish_reason": reply.finish_reason}]}
    if usage is not None:
        yield {**base, "choices": [], "usage": usage}


def _delta(index: int, delta: Mapping[str, Any]) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
