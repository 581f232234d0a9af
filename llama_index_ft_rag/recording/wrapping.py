"""LLMs whose every call is announced, so that a recorder hears also of those LlamaIndex is silent about.

In: any LlamaIndex LLM. Out: an LLM of the same class with the same settings, whose calls are announced to the
dispatcher and to callbacks: also where its author left that out, and structured predictions of `OpenAIResponses`,
which llms-openai 0.8.3 keeps to itself. The given LLM is never changed; it sends what has to be sent. Knows nothing
of who listens.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping, Sequence
from copy import copy
from functools import cache
from typing import Any, TypeVar

import openai
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    MessageRole,
)
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.prompts import BasePromptTemplate
from llama_index.llms.openai import OpenAIResponses
from pydantic import BaseModel, PrivateAttr

from llama_index_ft_rag.recording.spans import inside_span

Chunk = TypeVar("Chunk", ChatResponse, CompletionResponse)
Copied = TypeVar("Copied")


class AnnouncedLLM(LLM):
    """The part of a wrapped LLM that asks; the rest is inherited from the class of the LLM inside.

    What the LLM inside announces itself is a call inside a call. It gets its arguments as they came: it may know
    fewer of them than LlamaIndex does.
    """

    _announced: LLM = PrivateAttr()

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Ask the LLM inside, and announce it."""
        return self._announced.chat(messages, **kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Do what `chat` does, async."""
        return await self._announced.achat(messages, **kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Ask for a stream, and announce it."""
        return _generator(self._announced.stream_chat(messages, **kwargs))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Do what `stream_chat` does, async."""
        return _async_generator(await self._announced.astream_chat(messages, **kwargs))

    @llm_completion_callback()
    def complete(self, *args: Any, **kwargs: Any) -> CompletionResponse:
        """Ask the LLM inside, and announce it."""
        return self._announced.complete(*args, **kwargs)

    @llm_completion_callback()
    async def acomplete(self, *args: Any, **kwargs: Any) -> CompletionResponse:
        """Do what `complete` does, async."""
        return await self._announced.acomplete(*args, **kwargs)

    @llm_completion_callback()
    def stream_complete(self, *args: Any, **kwargs: Any) -> CompletionResponseGen:
        """Ask for a stream, and announce it."""
        return _generator(self._announced.stream_complete(*args, **kwargs))

    @llm_completion_callback()
    async def astream_complete(self, *args: Any, **kwargs: Any) -> CompletionResponseAsyncGen:
        """Do what `stream_complete` does, async."""
        return _async_generator(await self._announced.astream_complete(*args, **kwargs))


class AnnouncedResponses(AnnouncedLLM):
    """The same for `OpenAIResponses`, whose structured predictions send their request themselves, in silence."""

    def structured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """Ask the service, and announce what is sent and what came back."""
        client, heard, span_id = _private(self._announced, "_client"), _HeardPrompt(prompt), active_span_id.get()

        def parse(**sent: Any) -> Any:
            responses = []

            @llm_chat_callback()
            def asked(*_: Any, **__: Any) -> ChatResponse:
                responses.append(client.responses.parse(**sent))
                return _to_chat_response(responses[-1])

            with inside_span(span_id):
                asked(self, heard.messages, **_settings_of(sent))
            return responses[0]

        twin = self._twin(_client=_with_parse(client, parse))
        return twin.structured_predict(output_cls, heard.prompt, llm_kwargs, **prompt_args)

    async def astructured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """Do what `structured_predict` does, async."""
        client, heard, span_id = _private(self._announced, "_aclient"), _HeardPrompt(prompt), active_span_id.get()

        async def parse(**sent: Any) -> Any:
            responses = []

            @llm_chat_callback()
            async def asked(*_: Any, **__: Any) -> ChatResponse:
                responses.append(await client.responses.parse(**sent))
                return _to_chat_response(responses[-1])

            with inside_span(span_id):
                await asked(self, heard.messages, **_settings_of(sent))
            return responses[0]

        twin = self._twin(_aclient=_with_parse(client, parse))
        return await twin.astructured_predict(output_cls, heard.prompt, llm_kwargs, **prompt_args)

    def _twin(self, **client: Any) -> LLM:
        """The LLM inside with another client; what it announces itself goes to the callbacks of this one."""
        twin = self._announced.model_copy(update={"callback_manager": self.callback_manager})
        _add_private(twin, **client)
        return twin


def wrap_llm(inner: LLM) -> LLM:
    """Make the LLM whose calls are all announced. `inner` keeps its own callbacks and rate limit."""
    if isinstance(inner, AnnouncedLLM):
        return inner
    if isinstance(inner, StructuredLLM):
        return inner.model_copy(update={"llm": wrap_llm(inner.llm)})
    # The inner LLM waits for the rate limiter.
    wrapped = inner.model_copy(update={"rate_limiter": None})
    # A subclass of the LLM's own class: LlamaIndex chooses prompts and structured output by isinstance checks
    # and overridden methods, which a plain proxy would answer differently.
    object.__setattr__(wrapped, "__class__", _announced_class(type(inner)))
    _add_private(wrapped, _announced=inner)
    return wrapped


@cache
def _announced_class(kind: type[LLM]) -> type[AnnouncedLLM]:
    part = AnnouncedResponses if issubclass(kind, OpenAIResponses) else AnnouncedLLM
    return type(f"Announced{kind.__name__}", (part, kind), {"__module__": __name__})


class _HeardPrompt:
    """A prompt that remembers the messages it was last made into."""

    def __init__(self, prompt: BasePromptTemplate) -> None:
        self.messages: list[ChatMessage] = []

        def format_messages(*args: Any, **kwargs: Any) -> list[ChatMessage]:
            self.messages = prompt.format_messages(*args, **kwargs)
            return self.messages

        self.prompt = _with_members(prompt, format_messages=format_messages)


def _with_parse(client: Any, parse: Any) -> Any:
    """The same OpenAI client, of the same class, with another `responses.parse`."""
    return _with_members(client, responses=_with_members(client.responses, parse=parse))


def _with_members(value: Copied, **members: Any) -> Copied:
    twin = copy(value)
    vars(twin).update(members)  # not setattr: a pydantic model takes only what is in its class
    return twin


def _private(llm: LLM, name: str) -> Any:
    return (llm.__pydantic_private__ or {})[name]


def _add_private(llm: LLM, **members: Any) -> None:
    # Not setattr: the class of a wrapped LLM was changed after it was made.
    object.__setattr__(llm, "__pydantic_private__", {**(llm.__pydantic_private__ or {}), **members})


def _settings_of(sent: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent beside the messages, its schema as a chat would have it."""
    settings = {name: value for name, value in sent.items() if name not in ("model", "input")}
    kind = settings.get("text_format")
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        del settings["text_format"]
        function = openai.pydantic_function_tool(kind)["function"]
        schema = {"schema": function.get("parameters"), "name": function["name"], "strict": True}
        settings["response_format"] = {"type": "json_schema", "json_schema": schema}
    return settings


def _to_chat_response(response: Any) -> ChatResponse:
    message = ChatMessage(role=MessageRole.ASSISTANT, content=response.output_text)
    # As a dict: openai's parsed responses cannot be dumped without warnings, and a listener may dump what it is shown.
    return ChatResponse(
        message=message,
        raw=response.model_dump(warnings=False),
        additional_kwargs={"usage": response.usage},
    )


def _generator(stream: Iterable[Chunk]) -> Generator[Chunk, None, None]:
    """A stream of any type as what LlamaIndex takes for one."""
    yield from stream


async def _async_generator(stream: AsyncIterable[Chunk]) -> AsyncGenerator[Chunk, None]:
    """A stream of any type as what LlamaIndex takes for one."""
    try:
        async for chunk in stream:
            yield chunk
    finally:  # a stream that is left early is closed here and now, as `yield from` does it above
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
