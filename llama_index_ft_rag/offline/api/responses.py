"""The responses endpoints, plain and streamed.

In: request bodies and ids. Out: responses as the service shapes them. What is stored is kept in memory, the last
thousand of them: a backend that is started again has none, and one that goes on from a forgotten response is told
so. Knows nothing of how an answer is found.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.api.answers import Answer, ask
from llama_index_ft_rag.offline.api.chat_body import identity_of, read_body, read_delivery, seed_of
from llama_index_ft_rag.offline.api.chat_messages import find_beyond_text
from llama_index_ft_rag.offline.api.fields import required_text
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.api.response_events import make_response, stream_response
from llama_index_ft_rag.offline.api.response_input import check_calls, read_response_input
from llama_index_ft_rag.offline.api.response_settings import ResponseSettings, read_response_settings
from llama_index_ft_rag.offline.api.toy_limits import check_asked
from llama_index_ft_rag.offline.protocol import Request, Response, json_response, refuse, stable_hash
from llama_index_ft_rag.offline.responder import ChatRequest, Responder
from llama_index_ft_rag.offline.tokens import count_prompt_tokens

MAX_STORED = 1000


@dataclass(frozen=True, kw_only=True)
class _Stored:
    response: dict[str, Any]
    messages: list[dict[str, Any]]
    """The conversation so far, the answer included and all instructions left out."""


class Responses:
    """Answers the requests under `/v1/responses`."""

    def __init__(self, models: Models, responder: Responder, *, seed: int, now: Callable[[], int]) -> None:
        self._models = models
        self._responder = responder
        self._seed = seed
        self._now = now
        self._stored: OrderedDict[str, _Stored] = OrderedDict()
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def create(self, request: Request) -> Response:
        """Answer one request for a response."""
        body = read_body(request)
        model = required_text(body, "model")
        settings = read_response_settings(body)
        delivery = read_delivery(body)
        messages = [*self._messages_before(settings), *read_response_input(body.get("input"))]
        check_calls(messages)
        self._models.check(model, "responses")
        check_asked(model, body, find_beyond_text(messages) and "input")
        identity = identity_of(body, seed=self._seed)
        said = _with_instructions(settings, messages)
        answer = ask(
            self._responder,
            ChatRequest(
                model=model,
                messages=said,
                parameters=settings.parameters,
                endpoint="responses",
                seed=seed_of(identity, 0),
            ),
            max_tokens=settings.max_tokens,
        )
        response = make_response(
            answer,
            identity=self._told_apart(identity),
            model=model,
            created=self._now(),
            echo=settings.echo,
            input_tokens=count_prompt_tokens(said, settings.echo["tools"]),
        )
        if settings.store:
            self._store(_Stored(response=response, messages=[*messages, _spoken(answer)]))
        if delivery.stream:
            return stream_response(response)
        return json_response(response, tokens=response["usage"]["total_tokens"])

    def retrieve(self, request: Request, response_id: str) -> Response:
        """Return a stored response, as a stream of events again if that is asked for."""
        with self._lock:
            stored = self._stored.get(response_id)
        if stored is None:
            raise refuse(f"Response with id '{response_id}' not found.", status=404)
        if request.query.get("stream") == "true":
            return stream_response(stored.response)
        return json_response(stored.response)

    def delete(self, _request: Request, response_id: str) -> Response:
        """Forget a stored response."""
        with self._lock:
            stored = self._stored.pop(response_id, None)
        if stored is None:
            raise refuse(f"Response with id '{response_id}' not found.", status=404)
        return json_response({"id": response_id, "object": "response", "deleted": True})

    def _told_apart(self, identity: str) -> str:
        # What is kept must not take the place of an earlier answer to the same request.
        with self._lock:
            self._asked[identity] += 1
            return stable_hash(identity, self._asked[identity])

    def _messages_before(self, settings: ResponseSettings) -> Sequence[dict[str, Any]]:
        if settings.previous_id is None:
            return ()
        with self._lock:
            stored = self._stored.get(settings.previous_id)
        if stored is None:
            raise refuse(
                f"Previous response with id '{settings.previous_id}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        return stored.messages

    def _store(self, stored: _Stored) -> None:
        with self._lock:
            self._stored[stored.response["id"]] = stored
            self._stored.move_to_end(stored.response["id"])
            if len(self._stored) > MAX_STORED:
                self._stored.popitem(last=False)


def _with_instructions(settings: ResponseSettings, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if settings.instructions is None:
        return messages
    return [{"role": "system", "content": settings.instructions}, *messages]


def _spoken(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.content}
    if answer.refusal is not None:
        message["refusal"] = answer.refusal
    if answer.calls:
        message["tool_calls"] = [call.to_json() for call in answer.calls]
    return message
