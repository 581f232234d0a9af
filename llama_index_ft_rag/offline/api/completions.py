"""The completions endpoint of models older than chat, plain and streamed.

In: a request body with one prompt or several. Out: completions, one per prompt and choice. The built-in models are
chat models and answer nothing here. Knows nothing of how a completion is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline.api.answers import Answer, ask
from llama_index_ft_rag.offline.api.chat_body import (
    Delivery,
    check_sampling,
    identity_of,
    read_body,
    read_delivery,
    read_stop,
    seed_of,
)
from llama_index_ft_rag.offline.api.chat_replies import SYSTEM_FINGERPRINT, usage_of
from llama_index_ft_rag.offline.api.fields import flag, integer, optional_text, required_text, texts_of
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.protocol import (
    Request,
    Response,
    event_stream,
    json_response,
    refuse,
)
from llama_index_ft_rag.offline.responder import ChatRequest, Responder
from llama_index_ft_rag.offline.tokens import count_tokens, split_tokens

MAX_PROMPTS = 2048
DEFAULT_MAX_TOKENS = 16
"""As published: who does not ask for more gets no more."""
EMPTY_PROMPT = "<|endoftext|>"
"""What a missing prompt stands for."""


@dataclass(frozen=True, kw_only=True)
class _Question:
    model: str
    prompts: list[str]
    parameters: dict[str, Any]
    n: int
    echo: bool
    delivery: Delivery
    max_tokens: int
    stop: tuple[str, ...]


class Completions:
    """Answers `POST /v1/completions`."""

    def __init__(self, models: Models, responder: Responder, *, seed: int, now: Callable[[], int]) -> None:
        self._models = models
        self._responder = responder
        self._seed = seed
        self._now = now

    def complete(self, request: Request) -> Response:
        """Complete each prompt of one request."""
        body = read_body(request)
        question = _read_question(body)
        self._models.check(question.model, "completions")
        identity = identity_of(body, seed=self._seed)
        asked = [prompt for prompt in question.prompts for _ in range(question.n)]
        answers = [self._answer(question, prompt, seed_of(identity, index)) for index, prompt in enumerate(asked)]
        head = {
            "id": f"cmpl-{identity[:24]}",
            "object": "text_completion",
            "created": self._now(),
            "model": question.model,
            "system_fingerprint": SYSTEM_FINGERPRINT,
        }
        usage = usage_of(sum(map(count_tokens, question.prompts)), answers)
        echoes = asked if question.echo else [""] * len(asked)
        if question.delivery.stream:
            chunks = _chunks(head, answers, echoes, usage if question.delivery.include_usage else None)
            return event_stream(chunks, tokens=usage["total_tokens"])
        choices = [
            _choice(index, echo + (answer.content or ""), answer.finish_reason)
            for index, (answer, echo) in enumerate(zip(answers, echoes, strict=True))
        ]
        return json_response({**head, "choices": choices, "usage": usage}, tokens=usage["total_tokens"])

    def _answer(self, question: _Question, prompt: str, seed: int) -> Answer:
        answer = ask(
            self._responder,
            ChatRequest(
                model=question.model,
                messages=[{"role": "user", "content": prompt}],
                parameters=question.parameters,
                endpoint="completions",
                seed=seed,
            ),
            max_tokens=question.max_tokens,
            stop=question.stop,
        )
        if answer.calls or answer.refusal is not None:
            raise ConfigurationError(
                "A tool call or a refusal was said at /v1/completions, where there is only text; "
                "return text, or ask at /v1/chat/completions"
            )
        return answer


def _read_question(body: Mapping[str, Any]) -> _Question:
    model = required_text(body, "model")
    prompts = _read_prompts(body)
    check_sampling(body)
    if body.get("logprobs") is not None:
        raise refuse("The offline backend has no logprobs; leave them out.", param="logprobs")
    optional_text(body, "suffix")
    n = integer(body, "n", maximum=128) or 1
    delivery = read_delivery(body)
    _check_best_of(integer(body, "best_of", maximum=20), n, stream=delivery.stream)
    return _Question(
        model=model,
        prompts=prompts,
        parameters={key: value for key, value in body.items() if key not in {"model", "prompt"}},
        n=n,
        echo=flag(body, "echo"),
        delivery=delivery,
        max_tokens=_read_max_tokens(body),
        stop=read_stop(body.get("stop")),
    )


def _read_max_tokens(body: Mapping[str, Any]) -> int:
    limit = integer(body, "max_tokens", minimum=0)  # one may ask for nothing, to have the prompt echoed
    return DEFAULT_MAX_TOKENS if limit is None else limit


def _read_prompts(body: Mapping[str, Any]) -> list[str]:
    if body.get("prompt") is None:
        return [EMPTY_PROMPT]
    return texts_of(body, "prompt", most=MAX_PROMPTS, may_be_empty=True)


def _check_best_of(best_of: int | None, n: int, *, stream: bool) -> None:
    if best_of is None:
        return
    if best_of < n:
        raise refuse(f"You asked for n={n} completions out of best_of={best_of}.", param="best_of")
    if stream and best_of > 1:
        raise refuse("The best of several completions cannot be streamed; leave 'best_of' out.", param="best_of")


def _chunks(
    head: Mapping[str, Any], answers: Sequence[Answer], echoes: Sequence[str], usage: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    base = head if usage is None else {**head, "usage": None}
    for index, (answer, echo) in enumerate(zip(answers, echoes, strict=True)):
        for piece in ([echo] if echo else []) + list(split_tokens(answer.content or "")):
            yield {**base, "choices": [_choice(index, piece, None)]}
        yield {**base, "choices": [_choice(index, "", answer.finish_reason)]}
    if usage is not None:
        yield {**head, "choices": [], "usage": usage}


def _choice(index: int, text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
