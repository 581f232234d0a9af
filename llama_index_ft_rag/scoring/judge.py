"""A LlamaIndex LLM and embedding model in the shape in which ragas' metrics call their judge.

In: a prompt and the pydantic model its reply has to fit. Out: the reply, read and checked, or
`UnusableReplyError`. Knows neither ragas nor what a score is, and never writes onto the LLM it was given:
temperature and limits are the judge's own settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM
from pydantic import BaseModel, ValidationError

from llama_index_ft_rag.concurrency import run_sync
from llama_index_ft_rag.errors import UnusableReplyError
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.recording.messages import finish_reason_of, usage_of

Reply = TypeVar("Reply", bound=BaseModel)

CheckReply = Callable[[BaseModel, Sequence[BaseModel]], "str | None"]
"""Called with a reply and the replies before it; says in one sentence what is wrong with it, if anything."""

MAX_TRIES = 3
"""How often one prompt is sent before its reply counts as unusable."""

_MAX_VALUES = 50
_MAX_QUOTED = 4000
_JSON_START = re.compile(r"[{\[]")
_REASONING_ENDS = "</think>"


@dataclass(kw_only=True)
class JudgeLog:
    """What a judge was asked so far: it also tells what an evaluation cost that failed halfway."""

    calls: int = 0
    """Requests sent to the LLM, failed ones and second tries included; embeddings are not counted."""
    usage: Usage = field(default_factory=Usage)
    replies: list[BaseModel] = field(default_factory=list)
    """Usable replies in the order in which they came."""


class JudgeLLM:
    """A LlamaIndex LLM with the two methods of ragas' `InstructorBaseRagasLLM`."""

    def __init__(self, llm: LLM, log: JudgeLog, *, check: CheckReply) -> None:
        self._llm = llm
        self._log = log
        self._check = check

    def generate(self, prompt: str, response_model: type[Reply]) -> Reply:
        """Do what `agenerate` does, from synchronous code."""
        return run_sync(self.agenerate(prompt, response_model))

    async def agenerate(self, prompt: str, response_model: type[Reply]) -> Reply:
        """Send a prompt and read the reply; an unusable one is sent back with what is wrong, at most twice.

        Raises:
            UnusableReplyError: If no reply could be used, or one was cut off at the judge's token limit.
        """
        question = ChatMessage(role=MessageRole.USER, content=prompt)
        messages = [question]
        problem = ""
        for _ in range(MAX_TRIES):
            response = await self._ask(messages)
            text = response.message.content or ""
            try:
                reply = read_reply(text, response_model)
                return keep_reply(reply, self._log, self._check)
            except UnusableReplyError as exc:
                if finish_reason_of(response) == "length":
                    raise UnusableReplyError(
                        "the judge's reply could not be parsed because it was cut off at the judge's token "
                        "limit; raise max_tokens of the judge LLM"
                    ) from exc
                problem = str(exc)
                messages = [question, *_second_try(text, problem)]
        raise UnusableReplyError(f"{problem} (asked {MAX_TRIES} times)")

    async def _ask(self, messages: list[ChatMessage]) -> ChatResponse:
        self._log.calls += 1
        response = await self._llm.achat(messages)
        self._log.usage += usage_of(response)
        return response


class WatchedLLM:
    """A ragas LLM that came with a metric object: same calls, counted and checked, without second tries."""

    def __init__(self, llm: Any, log: JudgeLog, *, check: CheckReply) -> None:
        self._llm = llm
        self._log = log
        self._check = check

    def generate(self, prompt: str, response_model: type[Reply]) -> Reply:
        """Do what `agenerate` does, through the LLM's synchronous door."""
        self._log.calls += 1
        reply: Reply = self._llm.generate(prompt, response_model)
        return keep_reply(reply, self._log, self._check)

    async def agenerate(self, prompt: str, response_model: type[Reply]) -> Reply:
        """Hand the prompt on and check the reply.

        Raises:
            UnusableReplyError: If the reply fails its check.
        """
        self._log.calls += 1
        reply: Reply = await self._llm.agenerate(prompt, response_model)
        return keep_reply(reply, self._log, self._check)


class JudgeEmbedding:
    """A LlamaIndex embedding model with the four methods of ragas' `BaseRagasEmbedding`."""

    def __init__(self, embed_model: BaseEmbedding) -> None:
        self._embed_model = embed_model

    def embed_text(self, text: str, **_: Any) -> list[float]:
        """Embed one text."""
        return self._embed_model.get_text_embedding(text)

    def embed_texts(self, texts: list[str], **_: Any) -> list[list[float]]:
        """Embed several texts with one request per batch of the model."""
        return self._embed_model.get_text_embedding_batch(texts)

    async def aembed_text(self, text: str, **_: Any) -> list[float]:
        """Embed one text."""
        return await self._embed_model.aget_text_embedding(text)

    async def aembed_texts(self, texts: list[str], **_: Any) -> list[list[float]]:
        """Embed several texts with one request per batch of the model."""
        return await self._embed_model.aget_text_embedding_batch(texts)


def read_reply(text: str, response_model: type[Reply]) -> Reply:
    """Read the JSON object in a judge's reply, whatever fences, reasoning or chatter stand around it.

    A bare list stands for the object where the model has a single field.

    Raises:
        UnusableReplyError: If nothing in it fits the model.
    """
    problem = "there is no JSON object in it" if text.strip() else "it is empty"
    objects: list[Reply] = []
    lists: list[Reply] = []
    for value in _json_values(text.rpartition(_REASONING_ENDS)[2]):
        fitting, misfit = _fit(value, response_model)
        problem = misfit or problem
        if fitting is not None:
            (lists if isinstance(value, list) else objects).append(fitting)
    usable = objects or lists
    if not usable:
        raise UnusableReplyError(f"the judge's reply could not be parsed: {problem}")
    return usable[-1]  # what stands before the last one is thinking aloud


def keep_reply(reply: Reply, log: JudgeLog, check: CheckReply) -> Reply:
    """Write a reply into the log and return it, if its check finds nothing wrong."""
    problem = check(reply, log.replies)
    if problem is not None:
        raise UnusableReplyError(problem)
    log.replies.append(reply)
    return reply


def _fit(value: Any, response_model: type[Reply]) -> tuple[Reply | None, str | None]:
    fields = list(response_model.model_fields)
    if isinstance(value, list):
        value = {fields[0]: value} if len(fields) == 1 else None
    try:
        return response_model.model_validate(value), None
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return None, f"{where}: {first['msg']}" if where else first["msg"]


def _json_values(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    start = _JSON_START.search(text)
    for _ in range(_MAX_VALUES):
        if start is None:
            return
        try:
            value, end = decoder.raw_decode(text, start.start())
            yield value
        except (ValueError, RecursionError):
            end = start.end()
        start = _JSON_START.search(text, end)


def _second_try(reply: str, problem: str) -> list[ChatMessage]:
    quoted = reply[:_MAX_QUOTED] or "(nothing)"
    return [
        ChatMessage(role=MessageRole.ASSISTANT, content=quoted),
        ChatMessage(
            role=MessageRole.USER,
            content=f"That cannot be used: {problem}. Reply with the complete JSON object and nothing else.",
        ),
    ]
