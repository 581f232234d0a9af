"""What real services once answered, sent to the trainer again: each recording of a file, a job or a log.

Nothing of these recordings is in the repository: they are read from the folder of test data, where there is one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from finetuning_service import (
    BASE,
    CREATE,
    EVENTS_OF_JOB,
    FILE,
    JOB,
    JOBS,
    UPLOAD,
    FakeTime,
    Service,
    job_record,
    make_engine,
    started,
    write_examples,
)

from llama_index_ft_rag.errors import (
    FileNotAcceptedError,
    JobCancelledError,
    JobFailedError,
    JobNotReadyError,
    WaitTimeoutError,
)
from llama_index_ft_rag.finetuning import OpenAIFinetuneEngine, read_progress

FOLDER = Path(os.environ.get("FT_RAG_TEST_DATA") or ".") / "recordings"
RUBY, SDK = FOLDER / "ruby-openai", FOLDER / "finetune-sdk-outputs"
pytestmark = [
    pytest.mark.skipif(
        "FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA names no folder with the data of the tests"
    ),
    pytest.mark.skipif(not RUBY.is_dir() or not SDK.is_dir(), reason="the folder of test data holds no job recordings"),
]
FILE_OF = {
    "files_content.yml", "files_delete.yml", "files_retrieve.yml", "files_upload_file.yml", "finetunes_cancel.yml",
    "finetunes_create.yml", "finetunes_event_list.yml", "finetunes_files_upload.yml", "finetunes_list.yml",
    "finetunes_retrieve.yml", "finetunes_retrieve_for_create.yml",
}  # fmt: skip
HISTORY = {
    "files_delete_2023.yml", "files_retrieve_uploaded_and_processed.yml", "files_upload_status_uploaded.yml",
    "jobs_cancel_200_cancelled.yml", "jobs_create_200_status_created.yml", "jobs_create_429_2023-10-31.yml",
    "jobs_events_200.yml", "jobs_list_061e290.yml", "jobs_list_a67fb82.yml", "jobs_retrieve_200_created.yml",
    "legacy_cancel_200.yml", "legacy_cancel_400_already_succeeded.yml", "legacy_create_400_bad_base_model.yml",
    "legacy_create_400_no_file.yml", "legacy_retrieve_succeeded_with_events.yml", "models_delete_404.yml",
}  # fmt: skip
OUTPUTS = {
    "files_upload_400_not_jsonl_2023-03.json", "job_events_early.json", "job_failed_invalid_n_examples.json",
    "job_running.json", "job_succeeded.json", "jobs_list_mixed.json", "post_job_running_run1.json",
    "post_job_running_run2.json", "wandb_cookbook_events.json",
}  # fmt: skip
CANCEL = ("POST", "/v1/fine_tuning/jobs/job-1/cancel")


@pytest.fixture
def service() -> Service:
    """A service whose answers are replaced by recorded ones."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def recorded(name: str) -> list[tuple[int, bytes]]:
    """Status and body of each answer in a file."""
    if name.endswith(".json"):
        body = json.loads((SDK / name).read_text(encoding="utf-8"))["body"]
        return [(400 if "error" in body and "id" not in body else 200, json.dumps(body).encode())]
    path = RUBY / "history" / name if name in HISTORY else RUBY / name
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["http_interactions"]
    answers = [interaction["response"] for interaction in found]
    return [(answer["status"]["code"], as_bytes(answer["body"]["string"])) for answer in answers]


def as_bytes(text: str | bytes) -> bytes:
    """A recorded body as it was sent."""
    return text.encode() if isinstance(text, str) else text


def serve(service: Service, call: tuple[str, str], name: str, *, number: int = 0) -> dict[str, Any]:
    """Let a request be answered with a recorded answer, over and over; return its body."""
    status, body = recorded(name)[number]
    service.refusals[call] = [(status, body)] * 99
    told: dict[str, Any] = json.loads(body)
    return told


def job_of(service: Service, data_path: Path, name: str) -> OpenAIFinetuneEngine:
    """An engine whose job is seen as it was recorded."""
    engine = started(service, data_path, {"status": "running"})
    serve(service, JOB, name)
    return engine


def test_every_recording_is_known_here() -> None:
    """A new one fails here until a test reads it."""
    assert {path.name for path in RUBY.glob("*.yml")} == FILE_OF
    assert {path.name for path in (RUBY / "history").glob("*.yml")} == HISTORY
    assert {path.name for path in SDK.glob("*.json")} == OUTPUTS


# --- files ---


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("files_upload_file.yml", 0),
        ("finetunes_files_upload.yml", 0),
        ("files_upload_status_uploaded.yml", 0),
        ("files_upload_status_uploaded.yml", 1),
    ],
)
def test_a_recorded_upload_is_the_file_that_is_trained_on(
    service: Service, data_path: Path, name: str, number: int
) -> None:
    """Its id goes into the record and into the job, whether it was processed already or not."""
    file = serve(service, UPLOAD, name, number=number)

    make_engine(service, data_path).finetune()

    assert service.bodies == [{"model": BASE, "training_file": file["id"]}]
    assert (job_record(data_path)["file_id"], service.count(UPLOAD)) == (file["id"], 1)


@pytest.mark.parametrize(
    ("name", "number", "is_ready"),
    [
        ("files_retrieve.yml", 0, False),
        ("finetunes_retrieve_for_create.yml", 0, True),
        ("files_retrieve_uploaded_and_processed.yml", 0, False),
        ("files_retrieve_uploaded_and_processed.yml", 1, True),
    ],
)
def test_a_recorded_look_at_a_file_says_whether_it_is_ready(
    service: Service, data_path: Path, name: str, number: int, is_ready: bool
) -> None:
    """`uploaded` is waited for, until the deadline; `processed` is not."""
    serve(service, FILE, name, number=number)
    time = FakeTime()
    engine = make_engine(service, data_path, time=time, file_timeout=10.0)

    if not is_ready:
        with pytest.raises(FileNotAcceptedError, match="file file-1 is still uploaded after 10 s"):
            engine.finetune()
    else:
        engine.finetune()

    assert (len(service.jobs), sum(time.naps)) == ((1, 0) if is_ready else (0, 10))


def test_a_recorded_refusal_of_a_file_is_shown_with_its_text(service: Service, data_path: Path) -> None:
    """At once, and no job is asked for."""
    told = serve(service, UPLOAD, "files_upload_400_not_jsonl_2023-03.json")

    with pytest.raises(openai.BadRequestError) as caught:
        make_engine(service, data_path).finetune()

    assert told["error"]["message"] in str(caught.value)
    assert (service.count(UPLOAD), service.count(CREATE)) == (1, 0)


@pytest.mark.parametrize(
    ("name", "number"), [("files_delete.yml", 0), *[("files_delete_2023.yml", number) for number in range(6)]]
)
def test_a_file_that_was_deleted_has_no_status(service: Service, data_path: Path, name: str, number: int) -> None:
    """The answer to a deletion in place of a look: the service judges when the job is created."""
    serve(service, FILE, name, number=number)

    make_engine(service, data_path).finetune()

    assert service.made == (1, 1)


def test_a_recorded_file_in_place_of_results_gives_no_curves(service: Service, data_path: Path) -> None:
    """It is no table of steps."""
    [(_, content)] = recorded("files_content.yml")
    service.contents["file-r"] = content
    service.events = []
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": "m", "result_files": ["file-r"]})

    assert engine.metrics().empty


# --- jobs ---


@pytest.mark.parametrize(
    ("name", "status"),
    [("finetunes_create.yml", "validating_files"), ("jobs_create_200_status_created.yml", "created")],
)
def test_a_recorded_new_job_is_taken_on(service: Service, data_path: Path, name: str, status: str) -> None:
    """With `error: {}` or without an error, with a seed or without, in a status that the SDK knows or not."""
    job = serve(service, CREATE, name)
    engine = make_engine(service, data_path)
    engine.finetune()
    service.refusals["GET", f"/v1/fine_tuning/jobs/{job['id']}"] = [(200, json.dumps(job).encode())] * 99

    with pytest.raises(JobNotReadyError) as caught:
        engine.get_finetuned_model()

    assert (job["status"], caught.value.status, caught.value.job_id) == (status, status, job["id"])
    assert (job_record(data_path)["job_id"], job_record(data_path)["error_message"]) == (job["id"], None)


def test_a_recorded_limit_of_active_jobs_is_tried_again_and_shown(service: Service, data_path: Path) -> None:
    """Jobs end: it may heal, so it is asked three times; then the service's text is the error's."""
    told = serve(service, CREATE, "jobs_create_429_2023-10-31.yml")
    time = FakeTime()

    with pytest.raises(openai.RateLimitError) as caught:
        make_engine(service, data_path, time=time).finetune()

    assert (caught.value.code, service.count(CREATE), time.naps) == ("rate_limit_exceeded", 3, [2.0, 8.0])
    assert told["error"]["message"] in str(caught.value)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("job_running.json", "running"),
        ("post_job_running_run1.json", "running"),
        ("post_job_running_run2.json", "running"),
        ("jobs_retrieve_200_created.yml", "created"),
    ],
)
def test_a_recorded_job_under_way_is_waited_for(service: Service, data_path: Path, name: str, status: str) -> None:
    """Also the post's, which have neither error nor seed."""
    engine = job_of(service, data_path, name)

    with pytest.raises(WaitTimeoutError) as caught:
        engine.wait(5)
    with pytest.raises(JobNotReadyError, match=f" is {status}, its model is not there yet: call wait"):
        engine.get_finetuned_model()

    assert caught.value.status == status


def test_a_recorded_failure_says_why(service: Service, data_path: Path) -> None:
    """Code, text and parameter are the service's."""
    engine = job_of(service, data_path, "job_failed_invalid_n_examples.json")

    with pytest.raises(JobFailedError, match=r"Training file has 7 example\(s\), but must have at least 10") as caught:
        engine.wait()

    assert (caught.value.code, caught.value.param, caught.value.lines) == ("invalid_n_examples", "training_file", ())


def test_a_recorded_success_is_a_tuned_model(service: Service, data_path: Path) -> None:
    """Its `error: {}` is none; its model is asked, and its tokens are the bill's."""
    engine = job_of(service, data_path, "job_succeeded.json")

    job = engine.wait()

    assert engine.get_finetuned_model().complete("How?").text == "Tuned."
    assert {chat["model"] for chat in service.chats} == {job.fine_tuned_model}
    assert job_record(data_path)["finished_at"] == "2024-12-29T13:57:53Z"
    assert (engine.trained_tokens, job_record(data_path)["tuned_model"]) == (4480, job.fine_tuned_model)


def test_a_recorded_cancellation_is_an_end(service: Service, data_path: Path) -> None:
    """The cancelled job comes back, and is never waited for."""
    engine = started(service, data_path, {"status": "running"})
    serve(service, CANCEL, "jobs_cancel_200_cancelled.yml")
    serve(service, JOB, "jobs_cancel_200_cancelled.yml")

    assert engine.cancel().status == "cancelled"
    with pytest.raises(JobCancelledError):
        engine.wait()


@pytest.mark.parametrize(
    ("name", "call", "ask"),
    [
        ("finetunes_retrieve.yml", JOB, OpenAIFinetuneEngine.get_current_job),
        ("finetunes_retrieve.yml", JOB, OpenAIFinetuneEngine.wait),
        ("finetunes_cancel.yml", CANCEL, OpenAIFinetuneEngine.cancel),
        ("finetunes_event_list.yml", EVENTS_OF_JOB, OpenAIFinetuneEngine.events),
    ],
)
def test_a_recorded_unknown_job_is_the_services_own_error(
    service: Service, data_path: Path, name: str, call: tuple[str, str], ask: Any
) -> None:
    """404 `fine_tune_not_found`, once."""
    engine = started(service, data_path, {"status": "running"})
    serve(service, call, name)

    with pytest.raises(openai.NotFoundError) as caught:
        ask(engine)

    assert (caught.value.code, caught.value.param, service.count(call)) == ("fine_tune_not_found", "fine_tune_id", 1)


@pytest.mark.parametrize("name", ["finetunes_list.yml", "jobs_list_mixed.json"])
def test_a_recorded_list_of_other_jobs_holds_none_of_this_file(service: Service, data_path: Path, name: str) -> None:
    """Whatever they were, a new job is started; a list of many is read on after its last."""
    listed = serve(service, JOBS, name)
    service.refusals[JOBS] = service.refusals[JOBS][:1]

    make_engine(service, data_path).finetune()

    lists = [request.url.params for request in service.requests if (request.method, request.url.path) == JOBS]
    pages = [{"limit": "100"}] + ([{"limit": "100", "after": listed["data"][-1]["id"]}] if listed["has_more"] else [])
    assert [dict(asked) for asked in lists] == pages
    assert (len(service.jobs), job_record(data_path)["job_id"]) == (1, "job-1")


@pytest.mark.parametrize(("number", "is_continued"), [(0, True), (1, False)], ids=["running", "failed"])
def test_a_recorded_job_of_this_file_is_continued_if_it_lives(
    service: Service, data_path: Path, number: int, is_continued: bool
) -> None:
    """Asked for by the undated name of its model; its seed and epochs were the service's choice."""
    listed = serve(service, JOBS, "jobs_list_mixed.json")
    serve(service, UPLOAD, "finetunes_files_upload.yml")
    job = listed["data"][number]
    upload = json.loads(service.refusals[UPLOAD][0][1])
    upload["id"] = job["training_file"]
    service.refusals[UPLOAD] = [(200, json.dumps(upload).encode())]

    make_engine(service, data_path, base_model="gpt-4o-mini").finetune()

    assert service.count(CREATE) == (0 if is_continued else 1)
    assert job_record(data_path)["job_id"] == (job["id"] if is_continued else "job-1")


# --- logs ---


@pytest.mark.parametrize(
    ("name", "count", "levels"),
    [
        ("jobs_events_200.yml", 1, {"info"}),
        ("jobs_list_061e290.yml", 1, {"info"}),
        ("jobs_list_a67fb82.yml", 1, {"info"}),
        ("job_events_early.json", 4, {"info"}),
        ("wandb_cookbook_events.json", 5, {"info"}),
    ],
)
def test_a_recorded_log_is_told_in_order_and_once(
    service: Service, data_path: Path, name: str, count: int, levels: set[str]
) -> None:
    """Oldest first, at once and while waiting."""
    engine = started(service, data_path, {"status": "running"}, {"status": "running"}, {"status": "failed"})
    told = serve(service, EVENTS_OF_JOB, name)["data"][::-1]
    live: list[str] = []

    with pytest.raises(JobFailedError):
        engine.wait(on_event=lambda event: live.append(event.message))
    events = list(engine.events())

    assert [event.message for event in events] == live == [event["message"] for event in told]
    assert [event.created_at.timestamp() for event in events if event.created_at] == [e["created_at"] for e in told]
    assert (len(events), {event.level for event in events}) == (count, levels)


def test_a_recorded_log_gives_curves_and_progress(service: Service, data_path: Path) -> None:
    """The figures of the last three of 90 steps."""
    engine = started(service, data_path, {"status": "running"})
    serve(service, EVENTS_OF_JOB, "wandb_cookbook_events.json")

    frame = engine.metrics()
    progress = read_progress(engine.events())

    assert progress is not None
    assert (progress.step, progress.total_steps) == (90, 90)
    assert (list(frame.index), list(frame["train_mean_token_accuracy"])) == ([88, 89, 90], [1.0, 1.0, 1.0])


# --- the API before jobs ---


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("legacy_create_400_bad_base_model.yml", [0, 1]), ("legacy_create_400_no_file.yml", [0])],
)
def test_a_recorded_refusal_of_a_job_is_shown_at_once(
    service: Service, data_path: Path, name: str, numbers: list[int]
) -> None:
    """With its text, after one request each."""
    for number in numbers:
        told = serve(service, CREATE, name, number=number)
        with pytest.raises(openai.BadRequestError) as caught:
            make_engine(service, data_path).finetune()
        assert told["error"]["message"] in str(caught.value)

    assert (service.count(CREATE), len(service.jobs)) == (len(numbers), 0)


@pytest.mark.parametrize("number", range(5))
def test_a_recorded_job_of_the_old_kind_is_read_all_the_same(service: Service, data_path: Path, number: int) -> None:
    """`pending` is under way; a model that it has is its model."""
    engine = started(service, data_path, {"status": "running"})
    job = serve(service, JOB, "legacy_retrieve_succeeded_with_events.yml", number=number)

    if job["status"] == "pending":
        with pytest.raises(JobNotReadyError, match=f"job {job['id']} is pending"):
            engine.get_finetuned_model()
    else:
        assert engine.wait().fine_tuned_model == job["fine_tuned_model"]


@pytest.mark.parametrize(
    ("name", "number"),
    [("legacy_cancel_200.yml", number) for number in range(6)]
    + [("legacy_cancel_400_already_succeeded.yml", number) for number in (0, 1, 2, 3, 4)],
)
def test_a_recorded_cancellation_of_the_old_kind_is_read(
    service: Service, data_path: Path, name: str, number: int
) -> None:
    """Done, or refused with the service's text."""
    engine = started(service, data_path, {"status": "running"})
    told = serve(service, CANCEL, name, number=number)

    if "error" in told:
        with pytest.raises(openai.BadRequestError, match="already has status"):
            engine.cancel()
    else:
        assert engine.cancel().status == told["status"] == "cancelled"


@pytest.mark.parametrize("number", range(3))
def test_a_recorded_unknown_model_is_waited_for_like_one_that_is_being_loaded(
    service: Service, data_path: Path, number: int
) -> None:
    """It is what a service says of a fresh one; a deadline ends it."""
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": "abc"}, model_timeout=5.0)
    serve(service, ("POST", "/v1/chat/completions"), "models_delete_404.yml", number=number)

    with pytest.raises(JobNotReadyError, match="but abc does not answer after 5 s"):
        engine.get_finetuned_model()
