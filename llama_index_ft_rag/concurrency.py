"""How work runs side by side: async inside, a thin synchronous door outside.

In: coroutines. Out: their results, in order. The synchronous door has an event loop on a thread of its own, so
it works inside a running loop and in notebooks, and never patches anybody's loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

CLEAN_UP_SECONDS = 30.0
"""How long an interrupted coroutine may take to end."""

OnProgress = Callable[[int, int], None]
"""Called as `on_progress(done, total)` after each finished item."""


def run_sync(coroutine: Coroutine[Any, Any, Out]) -> Out:
    """Run a coroutine to its end from synchronous code, whether or not a loop is already running here.

    All coroutines run on one loop that lives as long as the process: HTTP clients are bound to the loop they
    first ran on, and one that outlives its loop fails at the next call or complains when it is collected.
    An interrupt (Ctrl-C) cancels the coroutine, waits for its clean-up, and goes on to the caller.
    """
    if _inside.get():
        return _run_on_new_thread(coroutine)
    loop = _background_loop()
    outcome: Future[Out] = Future()
    tasks: list[asyncio.Task[Out]] = []

    def start() -> None:
        _inside.set(True)
        task = loop.create_task(coroutine)
        task.add_done_callback(lambda done: _hand_over(done, outcome))
        tasks.append(task)

    loop.call_soon_threadsafe(start)  # in a copy of the caller's context, so that its tags and scopes hold inside
    try:
        return outcome.result()
    except KeyboardInterrupt:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        wait([outcome], timeout=CLEAN_UP_SECONDS)
        raise


# Set for everything that runs on our loop, threads started from there included: it must not wait for the loop.
_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("ft_rag_inside_loop", default=False)
_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.Lock()


def _background_loop() -> asyncio.AbstractEventLoop:
    global _loop  # noqa: PLW0603 - one per process, made at first use
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_run_for_ever, args=(_loop,), name="ft-rag-loop", daemon=True).start()
        return _loop


def _run_for_ever(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
        except (KeyboardInterrupt, SystemExit):
            continue  # raised by a task, which keeps it and hands it over; others still need the loop


def _hand_over(task: asyncio.Task[Out], outcome: Future[Out]) -> None:
    if task.cancelled():
        outcome.set_exception(CancelledError())
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


def _run_on_new_thread(coroutine: Coroutine[Any, Any, Out]) -> Out:
    context = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ft-rag-nested") as pool:
        return pool.submit(context.run, asyncio.run, coroutine).result()


async def map_bounded(
    function: Callable[[In], Awaitable[Out]],
    items: Iterable[In],
    *,
    limit: int,
    on_progress: OnProgress | None = None,
) -> list[Out]:
    """Apply an async function to all items, at most `limit` at a time; results keep the order of the items.

    The first exception cancels what is still running and is raised; functions that may fail per item return
    their failure as a value.
    """
    work = list(items)
    bound = asyncio.Semaphore(max(1, limit))
    done = 0

    async def one(item: In) -> Out:
        nonlocal done
        async with bound:
            result = await function(item)
        done += 1
        if on_progress is not None:
            on_progress(done, len(work))
        return result

    tasks = [asyncio.ensure_future(one(item)) for item in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


_lock_owners: weakref.WeakSet[LockOwner] = weakref.WeakSet()


class LockOwner:
    """Has a reentrant lock, `lock`, that is open again in a forked child, whoever held it when the process forked."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _lock_owners.add(self)


def _open_locks() -> None:
    # In the child of a fork no other thread is left to release them.
    for owner in _lock_owners:
        owner.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_locks)
