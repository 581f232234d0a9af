"""Waiting for a job: what is told meanwhile, and how it ends."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import openai
import pytest
from finetuning_service import (
    EVENTS,
    EVENTS_OF_JOB,
    JOB,
    SUCCEEDED,
    TUNED,
    FakeTime,
    Service,
    http,
    job_record,
    make_engine,
    refusal,
    started,
    without_blanks,
    write_examples,
)

from llama_index_ft_rag.errors import (
    ConfigurationError,
    JobCancelledError,
    JobFailedError,
    WaitTimeoutError,
)
from llama_index_ft_rag.finetuning import (
    FinetuneEvent,
)


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def test_wait_returns_the_finished_job_and_reports_each_status_once(service: Service, data_path: Path) -> None:
    """`error: {}` on a healthy job is no failure, and statuses the SDK does not list are not an end."""
    statuses = ["created", "queued", "running", "running", "pausing", "paused", "running"]
    looks: list[dict[str, Any]] = [{"status": status} for status in statuses]
    engine = started(
        service, data_path, *looks, {"status": "succeeded", "fine_tuned_model": TUNED, "trained_tokens": 99}
    )
    seen: list[str] = []

    job = engine.wait(on_status=lambda job: seen.append(job.status))

    assert job.fine_tuned_model == TUNED
    assert seen == ["created", "queued", "running", "pausing", "paused", "running", "succeeded"]
    assert engine.trained_tokens == 99
    assert {name: job_record(data_path)[name] for name in ("status", "tuned_model", "trained_tokens")} == {
        "status": "succeeded",
        "tuned_model": TUNED,
        "trained_tokens": 99,
    }


@pytest.mark.parametrize(
    ("timeout", "poll_interval", "naps"),
    [
        (50.0, 20.0, [1.0, 2.0, 4.0, 8.0, 16.0, 19.0]),
        (None, 3600.0, [2.0**power for power in range(12)] + [3600.0] * 22 + [3105.0]),
    ],
)
def test_wait_ends_at_its_deadline(
    data_path: Path, timeout: float | None, poll_interval: float, naps: list[float]
) -> None:
    """Without a timeout it is a day; the error is a TimeoutError that names job and status."""
    time = FakeTime()
    engine = started(Service(), data_path, {"status": "paused"}, time=time, poll_interval=poll_interval)

    with pytest.raises(TimeoutError) as caught:
        engine.wait(timeout)

    assert isinstance(caught.value, WaitTimeoutError)
    assert (caught.value.job_id, caught.value.status, time.naps) == ("job-1", "paused", naps)


def test_wait_ends_even_when_the_clock_stands_still(service: Service, data_path: Path) -> None:
    """Time slept counts towards the deadline."""
    engine = started(service, data_path, {"status": "queued"}, clock=lambda: 0.0)

    with pytest.raises(WaitTimeoutError):
        engine.wait(60)

    assert service.count(("GET", "/v1/fine_tuning/jobs/job-1")) == 8


def test_wait_survives_a_short_outage(service: Service, data_path: Path) -> None:
    """Five failed looks in a row are tolerated."""
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": TUNED})
    service.refusals["GET", "/v1/fine_tuning/jobs/job-1"] = [(503, refusal("down"))] * 5

    assert engine.wait().status == "succeeded"


@pytest.mark.parametrize(
    ("reply", "error", "looks"),
    [
        ((503, refusal("down")), openai.InternalServerError, 6),
        ((429, refusal("pay", code="insufficient_quota")), openai.RateLimitError, 1),
        ((404, refusal("no such job", code="fine_tune_not_found")), openai.NotFoundError, 1),
    ],
    ids=["long outage", "no quota", "unknown job"],
)
def test_wait_shows_what_does_not_heal(
    service: Service, data_path: Path, reply: tuple[int, dict[str, Any]], error: type[Exception], looks: int
) -> None:
    """The service's own error comes through."""
    engine = started(service, data_path, {"status": "running"})
    service.refusals["GET", "/v1/fine_tuning/jobs/job-1"] = [reply] * 10

    with pytest.raises(error):
        engine.wait()

    assert service.count(("GET", "/v1/fine_tuning/jobs/job-1")) == looks


# --- what is told while waiting ---


class Log(list[dict[str, Any]]):
    """The log of a job at the service: newest first, and growing."""

    def write(self, *messages: str, **more: Any) -> None:
        """Add lines."""
        for message in messages:
            self.insert(0, {"id": f"e-{len(self)}", "created_at": 1_760_000_000, "message": message, **more})


def growing(service: Service, *written: list[str]) -> Log:
    """Lines that are there at the first look at the log, at the second, and so on."""
    log, left = Log(), list(written)
    service.events = log

    def write(_: int) -> None:
        if service.calls[-1] == JOB and left:
            log.write(*left.pop(0))

    service.before = write
    return log


@pytest.mark.parametrize("page_size", [None, 1, 2, 3])
def test_each_event_is_told_once_and_in_order(service: Service, data_path: Path, page_size: int | None) -> None:
    """Over several looks, and over several pages."""
    service.page_size = page_size
    running = {"status": "running"}
    engine = started(service, data_path, running, running, running, SUCCEEDED)
    growing(service, ["a", "b", "c"], [], ["d"], ["e", "f"])
    told: list[str] = []

    engine.wait(on_event=lambda event: told.append(event.message))

    assert told == ["a", "b", "c", "d", "e", "f"]


def test_only_new_events_are_asked_for(service: Service, data_path: Path) -> None:
    """A long log is not read again at each look."""
    service.page_size = 2
    engine = started(service, data_path, *[{"status": "running"}] * 4, SUCCEEDED)
    growing(service, list("abcdefgh"))

    engine.wait(on_event=lambda _: None)

    assert service.count(EVENTS_OF_JOB) == 4 + 4


@pytest.mark.parametrize("blank", [..., None, ""], ids=["missing", "null", "empty"])
def test_events_without_ids_are_told_once_too(service: Service, data_path: Path, blank: Any) -> None:
    """They are known by what they say and when."""
    log = Log()
    log.write("a", "b")
    shown = [without_blanks({**event, "id": blank, "created_at": blank}) for event in log]
    service.events = shown
    engine = started(service, data_path, {"status": "queued"}, {"status": "running"}, {"status": "running"}, SUCCEEDED)
    told: list[str] = []

    engine.wait(on_event=lambda event: told.append(event.message))

    assert told == ["a", "b"]


def test_a_service_without_a_log_is_waited_for_all_the_same(service: Service, data_path: Path) -> None:
    """The job goes on and ends; there is nothing to tell."""
    engine = started(service, data_path, {"status": "running"}, SUCCEEDED)
    service.refusals[EVENTS_OF_JOB] = [(404, refusal("no such path"))] * 9
    told: list[FinetuneEvent] = []

    assert (engine.wait(on_event=told.append).status, told) == ("succeeded", [])


def test_events_missed_in_an_outage_are_told_later(service: Service, data_path: Path) -> None:
    """None is lost and none comes twice."""
    engine = started(service, data_path, {"status": "running"}, {"status": "running"}, SUCCEEDED)
    growing(service, ["a"], ["b"], ["c"])
    service.refusals[EVENTS_OF_JOB] = [(503, refusal("down"))] * 2
    told: list[str] = []

    engine.wait(on_event=lambda event: told.append(event.message))

    assert told == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("look", "error"),
    [
        (SUCCEEDED, None),
        ({"status": "failed"}, JobFailedError),
        ({"status": "cancelled"}, JobCancelledError),
        ({"status": "canceled"}, JobCancelledError),
        ({"status": "succeeded", "fine_tuned_model": None}, JobFailedError),
    ],
)
def test_the_end_is_told_once_before_it_is_raised(
    service: Service, data_path: Path, look: dict[str, Any], error: type[Exception] | None
) -> None:
    """Well or not, after the last event; the post waited for an e-mail."""
    engine = started(service, data_path, {"status": "running"}, look)
    growing(service, ["a"], ["b"])
    told: list[str] = []

    def wait() -> None:
        engine.wait(
            on_status=lambda job: told.append(job.status),
            on_event=lambda event: told.append(event.message),
            on_end=lambda job: told.append(f"end: {job.status}"),
        )

    if error is None:
        wait()
    else:
        with pytest.raises(error):
            wait()

    assert told == ["a", "running", "b", look["status"], f"end: {look['status']}"]


def test_an_end_that_is_not_reached_is_not_told(service: Service, data_path: Path) -> None:
    """A wait that times out is no end of the job."""
    engine = started(service, data_path, {"status": "running"})
    ended: list[Any] = []

    with pytest.raises(WaitTimeoutError):
        engine.wait(5, on_end=ended.append)

    assert ended == []


@pytest.mark.parametrize("callback", ["on_status", "on_event", "on_end"])
def test_what_a_callback_raises_comes_through(service: Service, data_path: Path, callback: str) -> None:
    """It is the caller's own; the job goes on."""
    engine = started(service, data_path, SUCCEEDED)
    asked: dict[str, Any] = {callback: lambda _: 1 // 0}

    with pytest.raises(ZeroDivisionError):
        engine.wait(**asked)

    assert engine.wait().status == "succeeded"


# --- how waiting ends ---


@pytest.mark.parametrize("timeout", [math.nan, -1, -0.001, -math.inf])
def test_what_is_no_time_is_refused(service: Service, data_path: Path, timeout: float) -> None:
    """Before anything is asked."""
    engine = started(service, data_path, SUCCEEDED)
    service.calls.clear()

    with pytest.raises(ConfigurationError, match="below 0 or no number; pass a number of seconds"):
        engine.wait(timeout)

    assert service.calls == []


@pytest.mark.parametrize("timeout", [0, 0.0])
def test_no_time_at_all_is_one_look(service: Service, data_path: Path, timeout: float) -> None:
    """A finished job is returned, any other is a timeout."""
    engine = started(service, data_path, {"status": "running"}, SUCCEEDED)

    with pytest.raises(WaitTimeoutError, match="job job-1 is running after 0 s"):
        engine.wait(timeout)

    assert engine.wait(timeout).status == "succeeded"


def test_an_interrupt_ends_the_wait_and_leaves_the_job(service: Service, data_path: Path) -> None:
    """Control-C comes through at once; the next wait goes on."""
    engine = started(service, data_path, {"status": "running"}, SUCCEEDED, sleep=interrupt)

    with pytest.raises(KeyboardInterrupt):
        engine.wait()

    assert make_engine(service, data_path).wait().status == "succeeded"
    assert service.made == (1, 1)


def interrupt(_: float) -> None:
    """The user presses Control-C."""
    raise KeyboardInterrupt


def test_an_interrupt_during_the_submission_frees_it(service: Service, data_path: Path) -> None:
    """Somebody else can go on at once."""
    service.file_statuses = ["uploaded", "processed"]
    with pytest.raises(KeyboardInterrupt):
        make_engine(service, data_path, sleep=interrupt).finetune()

    make_engine(service, data_path, file_timeout=0.0).finetune()

    assert service.made == (1, 1)


@pytest.mark.parametrize("error", [http.ConnectError, http.ReadTimeout, http.RemoteProtocolError, http.ReadError])
def test_a_lost_connection_while_waiting_is_survived(service: Service, data_path: Path, error: type[Exception]) -> None:
    """Five in a row, and five again after one that worked; the sixth in a row is raised."""
    engine = started(service, data_path, {"status": "running"}, SUCCEEDED)
    breaks = [True] * 5 + [False] + [True] * 5

    def lose(_: int) -> None:
        if breaks and breaks.pop(0):
            raise error("lost")

    service.before = lose
    assert engine.wait().status == "succeeded"

    breaks.extend([True] * 6)
    with pytest.raises(openai.APIConnectionError):
        engine.wait()


def test_an_outage_does_not_move_the_deadline(service: Service, data_path: Path) -> None:
    """Time spent on failed looks counts."""
    time = FakeTime()
    engine = started(service, data_path, {"status": "running"}, time=time)
    service.refusals[JOB] = [(502, "<html>"), (502, "<html>")]

    with pytest.raises(WaitTimeoutError, match="job job-1 is running after 10 s"):
        engine.wait(10)

    assert sum(time.naps) == 10


def test_a_job_that_was_never_seen_times_out_as_unknown(service: Service, data_path: Path) -> None:
    """The status is not made up."""
    engine = started(service, data_path, {"status": "running"})
    service.refusals[JOB] = [(503, refusal("down"))] * 9

    with pytest.raises(WaitTimeoutError) as caught:
        engine.wait(2)

    assert (caught.value.status, caught.value.job_id) == ("unknown", "job-1")


def test_a_log_that_repeats_its_page_is_told_once(service: Service, data_path: Path) -> None:
    """A service may say that there are more lines, and give the same again."""
    engine = started(service, data_path, {"status": "running"}, SUCCEEDED)
    page = service.page

    def repeat(found: list[dict[str, Any]], query: Any) -> dict[str, Any]:
        return {**page(found, {}), "has_more": True}

    service.page = repeat  # type: ignore[method-assign]
    service.events = EVENTS[:2]
    told: list[str] = []

    engine.wait(on_event=lambda event: told.append(event.message))

    assert told == ["Created", "Step 1"] == [event.message for event in engine.events()]
