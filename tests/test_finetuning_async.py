"""The trainer with `await`: the same results, and cancelling in the middle."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from finetuning_service import (
    BASE,
    CREATE,
    JOB,
    KEY,
    TUNED,
    UPLOAD,
    URL,
    FakeTime,
    Service,
    http,
    job_record,
    make_engine,
    write_examples,
)

from llama_index_ft_rag.errors import (
    ConfigurationError,
    WaitTimeoutError,
)
from llama_index_ft_rag.finetuning import (
    FinetuneEvent,
    OpenAIFinetuneEngine,
)
from llama_index_ft_rag.testing import RunningBackend


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


WAYS = ["awaited", "threads"]
CHECKPOINTS = [{"id": "c1", "fine_tuned_model_checkpoint": f"{TUNED}:ckpt-step-9", "step_number": 9, "metrics": {}}]


def make_awaited(service: Service, data_path: Path, way: str, **settings: Any) -> OpenAIFinetuneEngine:
    """An engine with an asynchronous client, or one that asks on threads."""
    if way == "awaited":
        settings["async_client"] = service.async_client()
    return make_engine(service, data_path, **settings)


async def settle(until: Callable[[], bool]) -> None:
    """Let others run until something has happened."""
    for _ in range(3000):
        if until():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


async def all_of(engine: OpenAIFinetuneEngine) -> list[FinetuneEvent]:
    """The events, awaited."""
    return [event async for event in engine.aevents()]


async def text_of(llm: Any) -> tuple[str, str]:
    """Which model an LLM is, and what it says."""
    return llm.model, (await llm.acomplete("How?")).text


TWINS: dict[str, tuple[Callable[[OpenAIFinetuneEngine], Any], Callable[[OpenAIFinetuneEngine], Any]]] = {
    "current": (lambda e: e.get_current_job(), lambda e: e.aget_current_job()),
    "wait": (lambda e: e.wait(), lambda e: e.await_job()),
    "cancel": (lambda e: e.cancel(), lambda e: e.acancel()),
    "pause": (lambda e: e.pause(), lambda e: e.apause()),
    "resume": (lambda e: e.resume(), lambda e: e.aresume()),
    "events": (lambda e: list(e.events()), all_of),
    "checkpoints": (lambda e: e.checkpoints(), lambda e: e.acheckpoints()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("twin", TWINS)
async def test_a_twin_returns_what_its_twin_returns(service: Service, data_path: Path, twin: str, way: str) -> None:
    """And asks for the same things in the same order."""
    service.checkpoints = CHECKPOINTS
    service.page_size = 2
    engine = make_awaited(service, data_path, way)
    await engine.afinetune()
    plain, awaited = TWINS[twin]

    service.calls.clear()
    told = await awaited(engine)
    asked = list(service.calls)
    service.calls.clear()

    assert told == plain(engine)
    assert asked == service.calls != []


@pytest.mark.parametrize("way", WAYS)
async def test_the_curves_are_the_same(service: Service, data_path: Path, way: str) -> None:
    """As a DataFrame."""
    service.events = [{"id": "e1", "data": {"step": 1, "train_loss": 0.5}}]
    engine = make_awaited(service, data_path, way)
    await engine.afinetune()

    awaited = await engine.ametrics()

    assert awaited.to_dict() == engine.metrics().to_dict() == {"train_loss": {1: 0.5}}


@pytest.mark.parametrize("way", WAYS)
async def test_the_whole_way_awaited_is_the_whole_way(service: Service, data_path: Path, way: str) -> None:
    """The same requests as without `await`, and an LLM that answers."""
    service.file_statuses = ["uploaded", "processed"]
    engine = make_awaited(service, data_path, way)
    await engine.afinetune(wait=True)
    llm = await engine.aget_finetuned_model()
    asked = list(service.calls)

    other = Service()
    other.file_statuses = ["uploaded", "processed"]
    plain = make_engine(other, write_examples(data_path.with_name("plain.jsonl")))
    plain.finetune(wait=True)
    plain.get_finetuned_model()

    assert asked == other.calls
    assert await text_of(llm) == (TUNED, "Tuned.")


@pytest.mark.parametrize("way", WAYS)
async def test_another_job_can_be_awaited(service: Service, data_path: Path, way: str) -> None:
    """`force` starts one although there is one."""
    engine = make_awaited(service, data_path, way)
    await engine.afinetune()

    await engine.afinetune(force=True)

    assert (service.made, (await engine.aget_current_job()).id) == ((1, 2), "job-2")


def test_an_asynchronous_client_alone_serves_both(data_path: Path) -> None:
    """Its synchronous twin goes to the same place with the same key, organisation and headers."""
    client = openai.AsyncOpenAI(base_url=URL, api_key=KEY, organization="org-1", default_headers={"X-Gateway": "eu"})

    engine = OpenAIFinetuneEngine(BASE, data_path, async_client=client)

    assert repr(engine) == f"OpenAIFinetuneEngine(base_model='{BASE}', data_path='{data_path}', endpoint='{URL}')"
    assert (engine.get_checkpoint_model(TUNED).api_base, engine.get_checkpoint_model(TUNED).api_key) == (URL, KEY)  # type: ignore[attr-defined]


async def changing_key() -> str:
    """A key that is asked for anew each time."""
    return KEY


@pytest.mark.parametrize("is_used", [False, True])
async def test_an_asynchronous_client_whose_key_changes_wants_its_twin(
    ft_rag_backend: RunningBackend, data_path: Path, is_used: bool
) -> None:
    """A twin with the key of the moment would be refused later; used before or not."""
    client = openai.AsyncOpenAI(base_url=ft_rag_backend.url, api_key=changing_key)
    if is_used:
        await client.files.list()

    with pytest.raises(ConfigurationError, match="pass client=, its synchronous twin, as well"):
        OpenAIFinetuneEngine(BASE, data_path, async_client=client)
    await client.close()


def test_an_asynchronous_client_behind_a_proxy_wants_its_twin(service: Service, data_path: Path) -> None:
    """One that would go elsewhere is not made up."""
    with pytest.raises(ConfigurationError, match="pass client=, its synchronous twin, as well"):
        OpenAIFinetuneEngine(BASE, data_path, async_client=service.async_client())


async def test_the_plain_methods_work_inside_a_running_loop(service: Service, data_path: Path) -> None:
    """As in a notebook; they hold it up, and end."""
    engine = make_engine(service, data_path)

    engine.finetune(wait=True)

    assert engine.get_finetuned_model().complete("How?").text == "Tuned."


@pytest.mark.parametrize("way", WAYS)
async def test_an_awaited_wait_ends_at_its_deadline(service: Service, data_path: Path, way: str) -> None:
    """With the same error after the same naps."""
    time = FakeTime()
    service.job_looks = [{"status": "paused"}]
    engine = make_awaited(service, data_path, way, time=time)
    await engine.afinetune()

    with pytest.raises(WaitTimeoutError, match="job job-1 is paused after 10 s; it goes on at the service"):
        await engine.await_job(10)

    assert time.naps == [1.0, 2.0, 4.0, 3.0]


@pytest.mark.parametrize("timeout", [math.nan, -1.0])
async def test_an_awaited_wait_refuses_what_is_no_time(service: Service, data_path: Path, timeout: float) -> None:
    """Before it asks anything."""
    engine = make_engine(service, data_path)
    await engine.afinetune()
    service.calls.clear()

    with pytest.raises(ConfigurationError, match="below 0 or no number"):
        await engine.await_job(timeout)

    assert service.calls == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_wait_that_is_cancelled_ends_at_once(service: Service, data_path: Path, way: str) -> None:
    """In the pause between two looks, however long it is."""
    service.job_looks = [{"status": "running"}]
    engine = make_awaited(service, data_path, way, async_sleep=asyncio.sleep, poll_interval=3600.0)
    await engine.afinetune()
    waiting = asyncio.create_task(engine.await_job())
    await settle(lambda: service.count(JOB) > 0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 10)


async def test_a_wait_whose_look_hangs_on_a_thread_is_cancelled_at_once(service: Service, data_path: Path) -> None:
    """A look changes nothing at the service: nobody waits for its answer."""
    engine = make_engine(service, data_path)
    await engine.afinetune()
    release = threading.Event()
    service.before = lambda _: service.calls[-1] == JOB and release.wait(60) and None
    waiting = asyncio.create_task(engine.await_job())
    await settle(lambda: service.count(JOB) > 0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert not release.is_set()
    release.set()


@pytest.mark.parametrize("write", [UPLOAD, CREATE])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_cancelled_during_a_write_on_a_thread_and_started_again_it_is_one_job(
    service: Service, data_path: Path, write: tuple[str, str], moment: str
) -> None:
    """The thread's request cannot be taken back: nobody else submits until it is answered."""
    release = threading.Event()

    def hold(_: int) -> None:
        if service.calls[-1] == write:
            if service.count(write) > 1:
                release.set()
            assert release.wait(60)

    async def nap(_: float) -> None:
        release.set()
        await asyncio.sleep(0.01)

    setattr(service, moment, hold)
    first = asyncio.create_task(make_engine(service, data_path).afinetune())
    await settle(lambda: service.count(write) > 0)
    first.cancel()
    await make_engine(service, data_path, async_sleep=nap).afinetune()

    with pytest.raises(asyncio.CancelledError):
        await first
    assert (service.made, job_record(data_path)["job_id"]) == ((1, 1), "job-1")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(1, 6))
async def test_cancelled_at_any_call_and_started_again_it_is_one_job(
    service: Service, data_path: Path, call: int, moment: str
) -> None:
    """With an asynchronous client: a write that is on its way arrives, a look is given up."""
    reached, release = asyncio.Event(), asyncio.Event()

    async def handle(request: Any) -> Any:
        reply = service.handle(request) if moment == "after" else None
        if len(service.calls) == (call if moment == "after" else call - 1):
            reached.set()
            await release.wait()
        return reply or service.handle(request)

    client = openai.AsyncOpenAI(
        base_url=URL,
        api_key=KEY,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(transport=http.MockTransport(handle)),
    )
    engine = make_engine(service, data_path, async_client=client)
    first = asyncio.create_task(engine.afinetune())
    await reached.wait()
    first.cancel()
    asyncio.get_running_loop().call_later(0.05, release.set)
    with pytest.raises(asyncio.CancelledError):
        await first

    await engine.afinetune()

    assert (service.made, job_record(data_path)["job_id"]) == ((1, 1), "job-1")


@pytest.mark.parametrize("way", WAYS)
async def test_tasks_that_start_at_once_start_one_job(service: Service, data_path: Path, way: str) -> None:
    """On one engine, and on engines of their own."""
    engine = make_awaited(service, data_path, way)

    await asyncio.gather(
        engine.afinetune(), engine.afinetune(), *(make_awaited(service, data_path, way).afinetune() for _ in range(3))
    )

    assert (service.made, (await engine.aget_current_job()).id) == ((1, 1), "job-1")


async def test_a_write_that_fails_while_it_is_cancelled_is_cancelled(service: Service, data_path: Path) -> None:
    """The error of the abandoned request disturbs nobody; the next call mends it."""
    release = threading.Event()

    def fail_late(_: int) -> None:
        if service.calls[-1] == CREATE and service.count(CREATE) == 1:
            assert release.wait(60)
            raise http.ConnectError("connection reset")

    service.before = fail_late
    first = asyncio.create_task(make_engine(service, data_path).afinetune())
    await settle(lambda: service.count(CREATE) > 0)
    first.cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await first

    await make_engine(service, data_path).afinetune()

    assert service.made == (1, 1)
