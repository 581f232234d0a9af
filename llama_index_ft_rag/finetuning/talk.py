"""A conversation with a service, described once and held synchronously or asynchronously.

In: a generator that yields what it wants done (ask the service, pause, work on this machine) and is sent the
outcome, or thrown the error. Out: what the generator returns. Knows nothing of what is talked about.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import openai

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request; called with the client, whose asynchronous twin returns an awaitable of the same."""

    call: Callable[[Any], Any]
    is_write: bool = False
    """Whether it makes something at the service; nobody else may write before it is answered."""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A pause in seconds."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """Work on this machine that takes a while, such as reading a large file."""

    function: Callable[[], Any]


Step = Ask | Pause | Work
Talk = Generator[Step, Any, T]
"""A conversation that ends with a `T`; compose them with `yield from`."""


def ask(call: Callable[[openai.OpenAI], T], *, is_write: bool = False) -> Talk[T]:
    """Ask the service."""
    reply: T = yield Ask(call=call, is_write=is_write)
    return reply


def pause(seconds: float) -> Talk[None]:
    """Let time pass."""
    yield Pause(seconds=seconds)


def work(function: Callable[[], T]) -> Talk[T]:
    """Do something on this machine without holding up an event loop."""
    result: T = yield Work(function=function)
    return result


def hold(talk: Talk[T], *, client: openai.OpenAI, sleep: Callable[[float], None] = time.sleep) -> T:
    """Hold a conversation here and now."""

    def do(step: Step) -> Any:
        if isinstance(step, Ask):
            return step.call(client)
        return sleep(step.seconds) if isinstance(step, Pause) else step.function()

    try:
        step = next(talk)
        while True:
            try:
                outcome = do(step)
            except BaseException as exc:  # noqa: BLE001 - handed on; an interrupt too, so that locks are freed
                step = talk.throw(exc)
            else:
                step = talk.send(outcome)
    except StopIteration as end:
        result: T = end.value
        return result


async def ahold(
    talk: Talk[T],
    *,
    client: openai.OpenAI,
    async_client: openai.AsyncOpenAI | None = None,
    async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Hold a conversation on the running event loop; without an asynchronous client its requests go to threads.

    Cancelled, it ends at once, unless a write is on its way: that cannot be taken back, so its answer comes first.
    """

    async def do(step: Step) -> Any:
        if isinstance(step, Pause):
            return await async_sleep(step.seconds)
        if isinstance(step, Ask):
            reply = asyncio.to_thread(step.call, client) if async_client is None else step.call(async_client)
            return await (_to_its_end(reply) if step.is_write else reply)
        return await asyncio.to_thread(step.function)

    try:
        step = next(talk)
        while True:
            try:
                outcome = await do(step)
            except BaseException as exc:  # noqa: BLE001 - handed on; being cancelled too, as above
                step = talk.throw(exc)
            else:
                step = talk.send(outcome)
    except StopIteration as end:
        result: T = end.value
        return result


async def _to_its_end(reply: Awaitable[T]) -> T:
    answered = asyncio.ensure_future(reply)
    try:
        return await asyncio.shield(answered)
    except asyncio.CancelledError:
        while not answered.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({answered})
        raise
