"""What the calls of the openai client are written with, once for its synchronous and its asynchronous kind.

In: a client of either kind. Out: what it returned, awaited where it must be; or the complaint of an `expect`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import openai

from llama_index_ft_rag.offline import ChatReply, ChatRequest, OfflineBackend, ToolCall

MODEL = "scripted"
QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "Paris, says the script."
LINE = b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
TRAINING = ("train.jsonl", LINE * 12)
_BATCH_LINE = {
    "custom_id": "1",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": MODEL, "messages": QUESTION},
}

Call = Callable[["Api"], Awaitable[None]]
CALLS: list[tuple[str, str, Call]] = []
"""Method of the client, operation, and the call itself."""


def answer(request: ChatRequest) -> str | ChatReply:
    """Say a fixed text, fill a form, or call a tool, as the request asks for."""
    if request.parameters.get("tools"):
        return ChatReply(tool_calls=[ToolCall(name="find", arguments={"city": "Paris"})])
    if request.parameters.get("response_format"):
        return '{"city": "Paris"}'
    return ANSWER


class Api:
    """One client of one backend."""

    def __init__(self, client: Any, backend: OfflineBackend) -> None:
        self.client = client
        self.backend = backend

    async def __call__(self, value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    async def each(self, value: Any) -> list[Any]:
        """List the items of a stream, or of all pages of a list."""
        value = value if hasattr(value, "__aiter__") else await self(value)
        return [item async for item in value] if hasattr(value, "__aiter__") else list(value)

    @asynccontextmanager
    async def opened(self, manager: Any) -> AsyncIterator[Any]:
        """Enter a context manager."""
        if hasattr(manager, "__aenter__"):
            async with manager as opened:
                yield opened
        else:
            with manager as opened:
                yield opened

    async def refused(self, kind: type[openai.APIStatusError], code: str | None, call: Callable[[], Any]) -> None:
        """Expect an error of a class, with its status and a code."""
        try:
            await self(call())
        except openai.APIStatusError as error:
            expect((type(error), error.code), (kind, code))
        else:
            raise AssertionError(f"no {kind.__name__}")

    async def upload(self, *, purpose: str = "fine-tune") -> str:
        """Upload a file; return its id."""
        lines = TRAINING[1] if purpose == "fine-tune" else json.dumps(_BATCH_LINE).encode()
        return str((await self(self.client.files.create(file=("f.jsonl", lines), purpose=purpose))).id)

    async def job(self, *, looks: int = 0) -> Any:
        """Make a job and look at it so often."""
        jobs = self.client.fine_tuning.jobs
        job = await self(jobs.create(model=MODEL, training_file=await self.upload()))
        for _ in range(looks):
            job = await self(jobs.retrieve(job.id))
        return job

    async def batch(self) -> Any:
        """Make a batch."""
        return await self(
            self.client.batches.create(
                input_file_id=await self.upload(purpose="batch"),
                endpoint="/v1/chat/completions",
                completion_window="24h",
            )
        )


def call(method: str, operation: str) -> Callable[[Call], Call]:
    """Add a call to the list."""

    def add(made: Call) -> Call:
        CALLS.append((method, operation, made))
        return made

    return add


def expect(found: Any, wanted: Any) -> None:
    """Complain about a difference."""
    if found != wanted:
        raise AssertionError(f"{found!r} and not {wanted!r}")
