"""How work runs side by side: async inside, a thin synchronous door outside.

In: coroutines. Out: their results, in order. The synchronous door runs its own event loop on a thread of its
own, so it works inside a running loop and in notebooks, and never patches anybody's loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

OnProgress = Callable[[int, int], None]
"""Called as `on_progress(done, total)` after each finished item."""


def run_sync(coroutine: Coroutine[Any, Any, Out]) -> Out:
    """Run a coroutine to its end from synchronous code, whether or not a loop is already running here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    return _run_on_thread(coroutine)


def _run_on_thread(coroutine: Coroutine[Any, Any, Out]) -> Out:
    results: list[Out] = []
    errors: list[BaseException] = []
    context = contextvars.copy_context()

    def target() -> None:
        try:
            results.append(context.run(asyncio.run, coroutine))
        except BaseException as exc:  # noqa: BLE001 - handed to the calling thread, which raises it
            errors.append(exc)

    thread = threading.Thread(target=target, name="ft-rag-loop", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


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
