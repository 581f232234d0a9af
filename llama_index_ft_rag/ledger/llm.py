"""LLMs whose calls are written down in the ledger, and answered from it where they were paid for before.

In: any LlamaIndex LLM and an account. Out: an LLM of the same class with the same settings, so that prompts,
structured output and tools work as they do without it; only its eight ways of asking go through the ledger. The
given LLM is never changed; it sends what has to be sent. Knows nothing of what an answer means.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from functools import cache, partial
from typing import Any, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
)
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from pydantic import PrivateAttr

from llama_index_ft_rag.ledger.account import Account, chat_request, completion_request, model_settings
from llama_index_ft_rag.ledger.store import CallMethod, StoredAnswer
from llama_index_ft_rag.ledger.stored_responses import load_chat_response, load_completion_response
from llama_index_ft_rag.recording.messages import REPLAYED_LATENCY
from llama_index_ft_rag.recording.spans import inside_span

Chunk = TypeVar("Chunk", ChatResponse, CompletionResponse)


class LedgeredLLM(LLM):
    """The part of a wrapped LLM that asks; the rest is inherited from the class of the LLM inside."""

    _inner: LLM = PrivateAttr()
    _account: Account = PrivateAttr()

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer from the ledger, or ask and write down."""
        with self._account.entry("chat", self._chat_request(messages, kwargs)) as entry:
            if entry.stored is not None:
                return _stored_chat(entry.stored)
            response = self._inner.chat(messages, **kwargs)
            entry.keep(response)
        return response

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer from the ledger, or ask and write down."""
        with self._account.entry("chat", self._chat_request(messages, kwargs)) as entry:
            if entry.stored is not None:
                return _stored_chat(entry.stored)
            response = await self._inner.achat(messages, **kwargs)
            entry.keep(response)
        return response

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Answer from the ledger in one chunk, or ask when the first chunk is wanted."""
        request = self._chat_request(messages, kwargs)
        snapshot = [message.model_copy(deep=True) for message in messages]
        ask = partial(self._inner.stream_chat, snapshot, **kwargs)
        return _chunks(self._account, "chat", request, ask=ask, replay=_stored_chat)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Answer from the ledger in one chunk, or ask when the first chunk is wanted."""
        request = self._chat_request(messages, kwargs)
        snapshot = [message.model_copy(deep=True) for message in messages]
        ask = partial(self._inner.astream_chat, snapshot, **kwargs)
        return _achunks(self._account, "chat", request, ask=ask, replay=_stored_chat)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer from the ledger, or ask and write down."""
        with self._account.entry("complete", self._completion_request(prompt, formatted, kwargs)) as entry:
            if entry.stored is not None:
                return _stored_completion(entry.stored)
            response = self._inner.complete(prompt, formatted=formatted, **kwargs)
            entry.keep(response)
        return response

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer from the ledger, or ask and write down."""
        with self._account.entry("complete", self._completion_request(prompt, formatted, kwargs)) as entry:
            if entry.stored is not None:
                return _stored_completion(entry.stored)
            response = await self._inner.acomplete(prompt, formatted=formatted, **kwargs)
            entry.keep(response)
        return response

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Answer from the ledger in one chunk, or ask when the first chunk is wanted."""
        request = self._completion_request(prompt, formatted, kwargs)
        ask = partial(self._inner.stream_complete, prompt, formatted=formatted, **kwargs)
        return _chunks(self._account, "complete", request, ask=ask, replay=_stored_completion)

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """Answer from the ledger in one chunk, or ask when the first chunk is wanted."""
        request = self._completion_request(prompt, formatted, kwargs)
        ask = partial(self._inner.astream_complete, prompt, formatted=formatted, **kwargs)
        return _achunks(self._account, "complete", request, ask=ask, replay=_stored_completion)

    def _chat_request(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> str:
        return chat_request(messages, settings={**model_settings(self._inner), **kwargs})

    def _completion_request(self, prompt: str, formatted: bool, kwargs: Mapping[str, Any]) -> str:
        settings = {**model_settings(self._inner), "formatted": formatted, **kwargs}
        return completion_request(prompt, settings=settings)


def wrap_llm(inner: LLM, account: Account) -> LLM:
    """Make the LLM that asks through the ledger. `inner` keeps its own callbacks and rate limit."""
    # The inner LLM waits for the rate limiter, and only when something is sent.
    wrapped = inner.model_copy(update={"rate_limiter": None})
    private = {**(wrapped.__pydantic_private__ or {}), "_inner": inner, "_account": account}
    # A subclass of the LLM's own class: LlamaIndex chooses prompts and structured output by isinstance checks
    # and overridden methods, which a plain proxy would answer differently.
    object.__setattr__(wrapped, "__class__", _ledgered_class(type(inner)))
    object.__setattr__(wrapped, "__pydantic_private__", private)
    return wrapped


@cache
def _ledgered_class(kind: type[LLM]) -> type[LedgeredLLM]:
    if issubclass(kind, LedgeredLLM):
        return kind
    return type(f"Ledgered{kind.__name__}", (LedgeredLLM, kind), {"__module__": __name__})


def _chunks(
    account: Account,
    method: CallMethod,
    request: str,
    *,
    ask: Callable[[], Generator[Chunk, None, None]],
    replay: Callable[..., Chunk],
) -> Generator[Chunk, None, None]:
    span_id = active_span_id.get()

    def chunks() -> Generator[Chunk, None, None]:
        with account.entry(method, request) as entry:
            if entry.stored is not None:
                yield replay(entry.stored, is_stream=True)
                return
            with inside_span(span_id):
                stream = ask()
            last = None
            with closing(stream):
                for last in stream:
                    entry.has_begun = True
                    yield last
            entry.keep(last)

    return chunks()


def _achunks(
    account: Account,
    method: CallMethod,
    request: str,
    *,
    ask: Callable[[], Awaitable[AsyncGenerator[Chunk, None]]],
    replay: Callable[..., Chunk],
) -> AsyncGenerator[Chunk, None]:
    span_id = active_span_id.get()

    async def chunks() -> AsyncGenerator[Chunk, None]:
        with account.entry(method, request) as entry:
            if entry.stored is not None:
                yield replay(entry.stored, is_stream=True)
                return
            with inside_span(span_id):
                stream = await ask()
            last = None
            async with aclosing(stream):
                async for last in stream:
                    entry.has_begun = True
                    yield last
            entry.keep(last)

    return chunks()


def _stored_chat(stored: StoredAnswer, *, is_stream: bool = False) -> ChatResponse:
    response = load_chat_response(stored.response, is_stream=is_stream)
    response.additional_kwargs[REPLAYED_LATENCY] = stored.latency_s
    return response


def _stored_completion(stored: StoredAnswer, *, is_stream: bool = False) -> CompletionResponse:
    response = load_completion_response(stored.response, is_stream=is_stream)
    response.additional_kwargs[REPLAYED_LATENCY] = stored.latency_s
    return response
