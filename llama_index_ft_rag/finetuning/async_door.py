"""An asynchronous face of a synchronous client, for the calls that LlamaIndex makes of one.

In: an `openai.OpenAI` client whose way to the service (a proxy, a key that changes, an Azure deployment) cannot be
read from it. Out: something LlamaIndex takes for an `AsyncOpenAI`: the same requests, made by the client on threads.
Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

import openai


class ThreadedClient:
    """Makes the requests of an asynchronous client through a synchronous one.

    Args:
        client: Its connections, key, headers and retries are the ones that are used.
    """

    def __init__(self, client: openai.OpenAI) -> None:
        self.chat = _Chat(client)
        self.completions = _Create(client.completions.create)


class _Chat:
    def __init__(self, client: openai.OpenAI) -> None:
        self.completions = _Create(client.chat.completions.create)


class _Create:
    def __init__(self, create: Callable[..., Any]) -> None:
        self._create = create

    async def create(self, **request: Any) -> Any:
        reply = await asyncio.to_thread(self._create, **request)
        return _ThreadedStream(reply) if request.get("stream") else reply


class _ThreadedStream:
    """A stream of chunks, each of them waited for on a thread."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[Any]:
        chunks = iter(self._stream)
        end = object()
        try:
            while (chunk := await asyncio.to_thread(next, chunks, end)) is not end:
                yield chunk
        finally:
            await self.close()

    async def __aenter__(self) -> _ThreadedStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        await asyncio.to_thread(self._stream.close)
