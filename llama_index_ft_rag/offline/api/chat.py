"""The chat completions endpoint, plain and streamed.

In: a request body. Out: a completion with its usage, or the service's error. The reply is made whole before
the first byte goes out, so a failure is a status code, never a broken stream. Ids depend on the request
alone: the same request gets the same id. Knows nothing of how a reply is found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.api.answers import ask
from llama_index_ft_rag.offline.api.chat_body import (
    Delivery,
    check_format,
    check_sampling,
    check_schema,
    identity_of,
    read_body,
    read_delivery,
    read_stop,
    seed_of,
)
from llama_index_ft_rag.offline.api.chat_messages import find_beyond_text, find_problem
from llama_index_ft_rag.offline.api.chat_replies import SYSTEM_FINGERPRINT, chat_choices, chat_chunks, usage_of
from llama_index_ft_rag.offline.api.chat_tools import check_tools, check_turns
from llama_index_ft_rag.offline.api.fields import integer, missing, required_text
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.api.toy_limits import check_asked
from llama_index_ft_rag.offline.protocol import (
    Request,
    Response,
    event_stream,
    json_response,
    refuse,
)
from llama_index_ft_rag.offline.responder import ChatRequest, Responder
from llama_index_ft_rag.offline.tokens import count_prompt_tokens


@dataclass(frozen=True, kw_only=True)
class _Question:
    model: str
    messages: list[dict[str, Any]]
    parameters: dict[str, Any]
    n: int
    delivery: Delivery
    max_tokens: int | None
    stop: tuple[str, ...]

    @property
    def defined(self) -> list[Any]:
        """What the model may call."""
        return self.parameters.get("tools") or self.parameters.get("functions") or []

    @property
    def is_deprecated(self) -> bool:
        return bool(self.parameters.get("functions")) and not self.parameters.get("tools")


class Chat:
    """Answers `POST /v1/chat/completions`."""

    def __init__(self, models: Models, responder: Responder, *, seed: int, now: Callable[[], int]) -> None:
        self._models = models
        self._responder = responder
        self._seed = seed
        self._now = now

    def complete(self, request: Request) -> Response:
        """Answer one request for a completion."""
        body = read_body(request)
        question = _read_question(body)
        self._models.check(question.model, "chat/completions")
        check_asked(question.model, question.parameters, find_beyond_text(question.messages))
        identity = identity_of(body, seed=self._seed)
        answers = [
            ask(
                self._responder,
                ChatRequest(
                    model=question.model,
                    messages=question.messages,
                    parameters=question.parameters,
                    seed=seed_of(identity, index),
                ),
                max_tokens=question.max_tokens,
                stop=question.stop,
            )
            for index in range(question.n)
        ]
        head = {
            "id": f"chatcmpl-{identity[:24]}",
            "created": self._now(),
            "model": question.model,
            "service_tier": "default",
            "system_fingerprint": SYSTEM_FINGERPRINT,
        }
        usage = usage_of(count_prompt_tokens(question.messages, question.defined), answers)
        if question.delivery.stream:
            told = usage if question.delivery.include_usage else None
            chunks = chat_chunks(head, answers, told, deprecated=question.is_deprecated)
            return event_stream(chunks, tokens=usage["total_tokens"])
        choices = chat_choices(answers, deprecated=question.is_deprecated)
        completion = {**head, "object": "chat.completion", "choices": choices, "usage": usage}
        return json_response(completion, tokens=usage["total_tokens"])


def _read_question(body: Mapping[str, Any]) -> _Question:
    model = required_text(body, "model")
    if body.get("messages") is None:
        raise missing("messages")
    problem = find_problem(body["messages"])
    if problem is not None:
        raise refuse(f"Invalid value: {problem.where} {problem.reason}.", param=problem.where, code="invalid_value")
    check_turns(body["messages"])
    check_tools(body)
    check_sampling(body)
    _check_output(body)
    return _Question(
        model=model,
        messages=body["messages"],
        parameters={key: value for key, value in body.items() if key not in {"model", "messages"}},
        n=integer(body, "n", maximum=128) or 1,
        delivery=read_delivery(body),
        max_tokens=integer(body, "max_completion_tokens") or integer(body, "max_tokens"),
        stop=read_stop(body.get("stop")),
    )


def _check_output(body: Mapping[str, Any]) -> None:
    given = body.get("response_format")
    if given is not None:
        check_format(given, "response_format")
        if given["type"] == "json_schema":
            check_schema(given.get("json_schema"), "response_format.json_schema")
    modalities = body.get("modalities")
    if body.get("audio") is not None or modalities not in (None, ["text"]):
        raise refuse(
            "The offline backend answers in text only; leave 'audio' and its modality out.",
            param="audio" if body.get("audio") is not None else "modalities",
        )
