"""A process that is killed between any two calls, and started again: one file per content and one job in the end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finetuning_service import (
    CREATE,
    FILES,
    JOBS,
    UPLOAD,
    Killed,
    Service,
    http,
    job_record,
    make_engine,
    make_preferring,
    make_validated,
    record_path,
    refusal,
    write_examples,
)

from llama_index_ft_rag.errors import FinetuneError
from llama_index_ft_rag.finetuning import OpenAIFinetuneEngine

Make = Callable[..., OpenAIFinetuneEngine]
MAKERS: dict[str, Make] = {"supervised": make_engine, "validated": make_validated, "dpo": make_preferring}
CALLS = {"supervised": 6, "validated": 9, "dpo": 9}
"""How many requests a whole finetune() makes: each list, each upload, each look at a file, and the job."""
FORCED_CALLS = 5
"""The file's list, the jobs that are there, the list before the job, a look at the file, and the job."""
WAYS = ("plain", "awaited", "threads")


@pytest.fixture
def service() -> Service:
    """A service that takes a moment to process a file."""
    service = Service()
    service.file_statuses = ["uploaded", "processed"]
    return service


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def finetune(make: Make, service: Service, data_path: Path, *, way: str = "plain", **asked: Any) -> None:
    """Do as a new process would: make an engine and start the job, or go on with it."""
    if way == "plain":
        make(service, data_path).finetune(**asked)
        return
    settings = {"async_client": service.async_client()} if way == "awaited" else {}
    asyncio.run(make(service, data_path, **settings).afinetune(**asked))


def kill_at(service: Service, call: int, moment: str) -> None:
    """Kill the process when a request is sent, or when it is answered."""
    first = len(service.calls)

    def kill(number: int) -> None:
        if number == first + call:
            raise Killed

    setattr(service, moment, kill)


def forced_over_a_job(service: Service, data_path: Path) -> None:
    """A job is there already."""
    make_engine(service, data_path).finetune()
    service.calls.clear()
    service.file_statuses = ["processed"]


@pytest.mark.parametrize("kind", CALLS)
def test_the_number_of_calls_is_known(service: Service, data_path: Path, kind: str) -> None:
    """So that the tests below kill at each of them."""
    finetune(MAKERS[kind], service, data_path)

    assert len(service.calls) == CALLS[kind]


def test_the_number_of_calls_for_another_job_is_known(service: Service, data_path: Path) -> None:
    """It uses the file that is there."""
    forced_over_a_job(service, data_path)

    finetune(make_engine, service, data_path, force=True)

    assert service.calls == [FILES, JOBS, JOBS, ("GET", "/v1/files/file-1"), CREATE]
    assert (len(service.calls), service.made) == (FORCED_CALLS, (1, 2))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("kind", "call"), [(kind, call + 1) for kind in CALLS for call in range(CALLS[kind])])
def test_killed_at_any_call_and_started_again_nothing_is_sent_twice(
    service: Service, data_path: Path, kind: str, call: int, moment: str, way: str
) -> None:
    """Whether the service had received the request or not, each file and one job are there in the end."""
    kill_at(service, call, moment)
    with pytest.raises(Killed):
        finetune(MAKERS[kind], service, data_path, way=way)

    finetune(MAKERS[kind], service, data_path, way=way)

    names = ["examples"] if kind == "supervised" else ["examples", "validation"]
    assert [file["filename"].split("-")[0] for file in service.files] == names
    assert [job["training_file"] for job in service.jobs] == ["file-1"]
    assert job_record(data_path)["job_id"] == "job-1"


@pytest.mark.parametrize("asks_again", [True, False])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(1, FORCED_CALLS + 1))
def test_another_job_that_is_killed_on_its_way_is_continued(
    service: Service, data_path: Path, call: int, moment: str, asks_again: bool
) -> None:
    """It becomes one job besides the one that was there, with `force` given again or not."""
    forced_over_a_job(service, data_path)
    kill_at(service, call, moment)
    with pytest.raises(Killed):
        finetune(make_engine, service, data_path, force=True)

    finetune(make_engine, service, data_path, force=asks_again)

    assert [job["training_file"] for job in service.jobs] == ["file-1", "file-1"]
    assert (len(service.files), job_record(data_path)["job_id"]) == (1, "job-2")


@pytest.mark.parametrize("first", range(1, CALLS["supervised"] + 1))
@pytest.mark.parametrize("second", range(1, CALLS["supervised"] + 1))
def test_killed_twice_it_is_still_one_job(service: Service, data_path: Path, first: int, second: int) -> None:
    """The second kill comes while the first one is being mended."""
    for call in (first, second):
        kill_at(service, call, "after")
        try:
            finetune(make_engine, service, data_path)
        except Killed:
            continue

    service.after = lambda _: None
    finetune(make_engine, service, data_path)

    assert (service.made, job_record(data_path)["job_id"]) == ((1, 1), "job-1")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(1, CALLS["supervised"] + 1))
def test_killed_and_the_record_lost_it_is_still_one_job(
    service: Service, data_path: Path, call: int, moment: str
) -> None:
    """What is at the service is found by content and settings."""
    kill_at(service, call, moment)
    with pytest.raises(Killed):
        finetune(make_engine, service, data_path)
    record_path(data_path).unlink(missing_ok=True)

    finetune(make_engine, service, data_path)

    assert (service.made, job_record(data_path)["job_id"]) == ((1, 1), "job-1")


@pytest.mark.parametrize("call", range(1, CALLS["supervised"] + 1))
@pytest.mark.parametrize("trouble", ["broken", "limited", "failed", "gateway", "cut"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_trouble_at_any_call_ends_in_one_job_or_one_error(
    service: Service, data_path: Path, call: int, trouble: str, moment: str
) -> None:
    """What does not heal in the same call is mended by the next one; nothing is sent twice."""
    reply: Any = {
        "limited": http.Response(429, json=refusal("slower", code="rate_limit_exceeded")),
        "failed": http.Response(500, json=refusal("failed", kind="server_error")),
        "gateway": http.Response(502, text="<html>Bad gateway</html>", headers={"content-type": "text/html"}),
        "cut": http.Response(200, content=b'{"id": "fi', headers={"content-type": "application/json"}),
    }
    answer = service.answer
    struck: list[tuple[str, str]] = []

    def disturb(asked: tuple[str, str], request: Any) -> Any:
        made = answer(asked, request) if moment == "after" or len(service.calls) != call else None
        if len(service.calls) != call:
            return made
        struck.append(asked)
        if trouble == "broken":
            raise http.ReadError("connection reset")
        return reply[trouble]

    service.answer = disturb  # type: ignore[method-assign]
    ended = try_to_finetune(service, data_path)
    finetune(make_engine, service, data_path)

    assert (len(struck), service.made, job_record(data_path)["job_id"]) == (1, (1, 1), "job-1")
    assert ended == "" or trouble in ended


def try_to_finetune(service: Service, data_path: Path) -> str:
    """Start the job, and say what went wrong if it did."""
    told = {"InternalServerError": "failed, gateway", "RateLimitError": "limited", "APIConnectionError": "broken"}
    try:
        finetune(make_engine, service, data_path)
    except FinetuneError:
        return "cut"
    except Exception as exc:  # noqa: BLE001 - its name is looked at
        return told.get(type(exc).__name__, repr(exc))
    return ""


@pytest.mark.parametrize("call", [UPLOAD, CREATE])
def test_killed_at_a_service_without_lists_it_is_one_clear_error(
    service: Service, data_path: Path, call: tuple[str, str]
) -> None:
    """Nobody can tell whether the write arrived: the error says where to look and how to go on, and sends nothing."""
    for listed in (FILES, JOBS):
        service.refusals[listed] = [(404, refusal("no lists here"))] * 9

    def kill(_: int) -> None:
        if service.calls[-1] == call:
            raise Killed

    service.after = kill
    with pytest.raises(Killed):
        finetune(make_engine, service, data_path)

    with pytest.raises(FinetuneError) as caught:
        finetune(make_engine, service, data_path)

    assert str(caught.value).startswith("http://proxy.invalid/v1 has no list to search (404), and ")
    assert str(record_path(data_path)) in str(caught.value)
    assert service.count(call) == 1


def test_a_copied_folder_continues_with_the_same_job(service: Service, data_path: Path, tmp_path: Path) -> None:
    """The record goes with the file, and names no place."""
    finetune(make_engine, service, data_path)
    (tmp_path / "copy").mkdir()
    copied = Path(shutil.copy(data_path, tmp_path / "copy"))
    shutil.copy(record_path(data_path), tmp_path / "copy")

    finetune(make_engine, service, copied)

    assert (service.made, job_record(copied)["job_id"]) == ((1, 1), "job-1")
