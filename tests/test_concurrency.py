"""Work runs side by side, bounded, from synchronous code and inside running loops."""

import asyncio
import contextvars

import pytest

from llama_index_ft_rag.concurrency import map_bounded, run_sync


async def _double(number):
    await asyncio.sleep(0)
    return 2 * number


def test_results_keep_the_order_of_the_items():
    """Whoever finishes first, the first result belongs to the first item."""

    async def later_first(number):
        for _ in range(10 - number):
            await asyncio.sleep(0)
        return number

    assert run_sync(map_bounded(later_first, range(5), limit=5)) == [0, 1, 2, 3, 4]


def test_no_more_than_the_limit_run_at_once():
    """A limit of 3 is never exceeded, and is used."""
    running, peak = 0, 0

    async def watch(_):
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0)
        running -= 1

    run_sync(map_bounded(watch, range(20), limit=3))

    assert peak == 3


def test_progress_is_told_after_each_item():
    """A caller can draw a bar."""
    seen = []

    run_sync(map_bounded(_double, [1, 2, 3], limit=1, on_progress=lambda done, total: seen.append((done, total))))

    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_first_failure_is_raised_and_stops_the_rest():
    """Nothing goes on working after the caller was told of the failure."""
    finished = []

    async def fail_at_one(number):
        if number == 1:
            raise ValueError("one")
        await asyncio.sleep(0.01)
        finished.append(number)

    with pytest.raises(ValueError, match="one"):
        run_sync(map_bounded(fail_at_one, range(4), limit=4))

    assert finished == []


async def test_the_synchronous_door_works_inside_a_running_loop():
    """A notebook has a loop running already."""
    assert run_sync(_double(21)) == 42


def test_all_synchronous_calls_share_one_loop():
    """An HTTP client made in one call works in the next: it is bound to its loop."""

    async def loop():
        return asyncio.get_running_loop()

    assert run_sync(loop()) is run_sync(loop())


def test_a_synchronous_call_from_inside_our_own_loop_works():
    """A user's tool that calls a synchronous function of ours, inside an asynchronous one, does not hang."""

    async def outer():
        return run_sync(_double(4))

    assert run_sync(outer()) == 8


def test_an_exit_inside_reaches_the_caller_and_the_next_call_works():
    """A user's engine that calls sys.exit() does not leave later calls waiting for ever."""

    async def leave():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        run_sync(leave())

    assert run_sync(_double(2)) == 4


def test_a_synchronous_call_from_a_thread_of_ours_works():
    """Code that runs on a worker thread of our loop may call a synchronous function of ours."""

    async def outer():
        return await asyncio.to_thread(lambda: run_sync(_double(5)))

    assert run_sync(outer()) == 10


def test_scopes_of_the_caller_hold_inside():
    """Context variables set by the caller are seen by the coroutine."""
    scope = contextvars.ContextVar("scope", default="none")
    scope.set("caller")

    async def read():
        return scope.get()

    assert run_sync(read()) == "caller"


async def test_an_exception_crosses_the_thread():
    """What went wrong inside reaches the caller as it is."""

    async def fail():
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        run_sync(fail())
