"""A judge and an embedding model by rule, for the tests of scoring: no network, the same reply every time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from pydantic import Field, PrivateAttr

HANG = object()
"""A scripted reply that never comes."""


class RuleJudge(CustomLLM):
    """Reads ragas' prompts by their first words; a sentence is a statement, supported if a context has it.

    `script` holds raw replies or exceptions per kind of prompt that come before the rules.
    """

    model: str = "rule-judge"
    script: dict[str, list[Any]] = Field(default_factory=dict)
    finish_reason: str = "stop"
    # Private, because a ledger takes every field of a model for a setting of it.
    _asked: list[str] = PrivateAttr(default_factory=list)
    _messages: list[list[tuple[str, str]]] = PrivateAttr(default_factory=list)

    @property
    def asked(self) -> list[str]:
        """The kinds of the prompts so far."""
        return self._asked

    @property
    def messages(self) -> list[list[tuple[str, str]]]:
        """Roles and texts of each request so far."""
        return self._messages

    @property
    def metadata(self) -> LLMMetadata:
        """Name the model."""
        return LLMMetadata(model_name=self.model)

    async def achat(self, messages: Any, **kwargs: Any) -> ChatResponse:
        """Reply by script, else by rule."""
        prompt = messages[0].content
        kind = _kind(prompt)
        self.asked.append(kind)
        self.messages.append([(message.role.value, message.content) for message in messages])
        scripted = self.script.get(kind, [])
        reply = scripted.pop(0) if scripted else json.dumps(_by_rule(kind, _input(prompt)))
        if isinstance(reply, BaseException):
            raise reply
        if reply is HANG:
            await asyncio.Event().wait()
        return ChatResponse(
            message=ChatMessage(role=MessageRole.ASSISTANT, content=reply),
            raw={"choices": [{"finish_reason": self.finish_reason}]},
            additional_kwargs={"prompt_tokens": 100, "completion_tokens": 10},
        )

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Refuse: the judge is asked through `achat`."""
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Refuse: the judge is asked through `achat`."""
        raise NotImplementedError


class LetterEmbedding(BaseEmbedding):
    """Counts letters."""

    model_name: str = "letters"
    _requests: list[list[str]] = PrivateAttr(default_factory=list)

    @property
    def requests(self) -> list[list[str]]:
        """The texts of each request so far."""
        return self._requests

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        self.requests.append(list(texts))
        return [[float(text.lower().count(chr(code))) for code in range(97, 123)] for text in texts]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._get_text_embeddings(texts)


def verdicts(*values: int) -> str:
    """A judge's reply to the second prompt of faithfulness."""
    items = [{"statement": f"s{i}", "reason": "r", "verdict": value} for i, value in enumerate(values)]
    return json.dumps({"statements": items})


def _kind(prompt: str) -> str:
    start = prompt[:100]
    if start.startswith("Given a question and an answer"):
        return "statements"
    if start.startswith("Your task is to judge the faithfulness"):
        return "verdicts"
    return "question" if start.startswith("Generate a question") else "other"


def _input(prompt: str) -> dict[str, Any]:
    return json.loads(prompt.rsplit("\ninput: ", 1)[1].rsplit("\nOutput:", 1)[0])


def _by_rule(kind: str, case: dict[str, Any]) -> dict[str, Any]:
    if kind == "statements":
        return {"statements": [part.strip() for part in case["answer"].split(".") if part.strip()]}
    if kind == "verdicts":
        found = [(text, int(text in case["context"])) for text in case["statements"]]
        return {"statements": [{"statement": s, "reason": "by rule", "verdict": v} for s, v in found]}
    if kind == "question":
        answer = case["response"]
        return {"question": f"What about {answer}", "noncommittal": int("not provide" in answer)}
    return {}
