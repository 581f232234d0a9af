"""How a job ends, and what the trainer says about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from finetuning_service import (
    SUCCEEDED,
    TUNED,
    URL,
    Service,
    job_record,
    make_engine,
    started,
    write_examples,
)

from llama_index_ft_rag.errors import (
    ConfigurationError,
    FileNotAcceptedError,
    FinetuneError,
    JobCancelledError,
    JobFailedError,
    JobNotReadyError,
    JobNotStartedError,
    WaitTimeoutError,
)
from llama_index_ft_rag.finetuning import (
    FinetuneEvent,
    OpenAIFinetuneEngine,
)


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


FAILED = {
    "status": "failed",
    "error": {"code": "invalid_training_file", "message": "Line 4 is bad", "param": "training_file"},
}


@pytest.mark.parametrize("ask", [OpenAIFinetuneEngine.wait, OpenAIFinetuneEngine.get_finetuned_model])
def test_a_failed_job_says_why(service: Service, data_path: Path, ask: Callable[[OpenAIFinetuneEngine], Any]) -> None:
    """Code, message and parameter of the service are in the error, which is a ValueError, and in the record."""
    engine = started(service, data_path, FAILED)

    with pytest.raises(ValueError, match=r"job job-1 failed: Line 4 is bad \(code invalid_training_file") as caught:
        ask(engine)

    assert isinstance(caught.value, JobFailedError)
    assert vars(caught.value) == {
        "job_id": "job-1",
        "status": "failed",
        "code": "invalid_training_file",
        "param": "training_file",
        "lines": (4,),
    }
    assert job_record(data_path)["error_message"] == "Line 4 is bad"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_lost_job_names_the_record_to_move_away(service: Service, data_path: Path, status: str) -> None:
    """In the library and on the command line; having done that, the same file is trained on again."""
    record_path = data_path.with_name("job.json")
    engine = started(service, data_path, {"status": status, "error": {}}, job_path=record_path)
    service.jobs[0]["status"] = status

    with pytest.raises(FinetuneError) as caught:
        engine.wait()
    record_path.rename(data_path.with_name("earlier.json"))
    engine.finetune()

    assert (
        str(caught.value)
        == {
            "failed": "job job-1 failed: the service gave no reason; look at events(), correct the training file and"
            " call finetune() or run the command again (to train on the same file again, call finetune(force=True),"
            f" or move {record_path} away first)",
            "cancelled": "job job-1 was cancelled and will have no tuned model; to start a new one, call"
            f" finetune(force=True), or move {record_path} away and run the command again",
        }[status]
    )
    assert (len(service.files), engine.get_current_job().id) == (1, "job-2")


def test_a_job_attached_to_has_no_record_to_name(service: Service, data_path: Path) -> None:
    """The advice stays true without one."""
    service.job_looks = [FAILED]

    with pytest.raises(JobFailedError, match=r"move its job record away first\)"):
        make_engine(service, data_path, start_job_id="job-9").wait()


def test_a_job_that_failed_without_a_reason_says_so(service: Service, data_path: Path) -> None:
    """An empty error object is not shown as a reason."""
    engine = started(service, data_path, {"status": "failed", "error": {}})

    with pytest.raises(JobFailedError, match="job job-1 failed: the service gave no reason; look at events"):
        engine.wait()


@pytest.mark.parametrize("status", ["cancelled", "canceled"])
def test_a_cancelled_job_says_so(service: Service, data_path: Path, status: str) -> None:
    """It is not waited for, and never handed out."""
    engine = started(service, data_path, {"status": status})

    with pytest.raises(JobCancelledError, match="job job-1 was cancelled"):
        engine.wait()
    with pytest.raises(JobCancelledError):
        engine.get_finetuned_model()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({}, "may have blocked it;"),
        ({"message": "Blocked", "code": "safety"}, r"blocked it \(Blocked \(code safety\)\);"),
    ],
)
def test_a_blocked_model_is_a_failure(service: Service, data_path: Path, error: dict[str, str], reason: str) -> None:
    """A job can succeed and its model be withheld."""
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": None, "error": error})

    with pytest.raises(JobFailedError, match=reason):
        engine.wait()


@pytest.mark.parametrize("status", ["queued", "paused"])
def test_a_job_under_way_says_to_wait(service: Service, data_path: Path, status: str) -> None:
    """The error names the status."""
    engine = started(service, data_path, {"status": status})

    with pytest.raises(JobNotReadyError) as caught:
        engine.get_finetuned_model()

    assert str(caught.value) == f"job job-1 is {status}, its model is not there yet: call wait() first"


@pytest.mark.parametrize("ask", ["wait", "get_current_job", "get_finetuned_model", "cancel", "events"])
def test_without_a_job_there_is_nothing_to_ask(service: Service, data_path: Path, ask: str) -> None:
    """No request is made."""
    engine = make_engine(service, data_path)

    with pytest.raises(JobNotStartedError, match=r"examples\.jsonl: call finetune\(\) first"):
        getattr(engine, ask)()

    assert service.calls == []


def test_cancel_stops_the_job(service: Service, data_path: Path) -> None:
    """The cancelled job is returned and noted in the record."""
    engine = started(service, data_path, {"status": "running"})

    assert engine.cancel().status == "cancelled"
    assert job_record(data_path)["status"] == "cancelled"


def test_trained_tokens_are_asked_for_where_not_known(service: Service, data_path: Path) -> None:
    """None until the service says."""
    engine = started(service, data_path, {"status": "running"}, {"status": "succeeded", "trained_tokens": 5})

    assert [engine.trained_tokens, engine.trained_tokens, engine.trained_tokens] == [None, 5, 5]


# --- every status ---

UNDER_WAY = ["validating_files", "queued", "running", "created", "pausing", "paused", "brand_new_in_2027", "Succeeded"]
NO_STATUS = {"missing": ..., "null": None, "empty": ""}


@pytest.mark.parametrize(
    ("status", "told"),
    [(status, status) for status in UNDER_WAY]
    + [pytest.param(told, "unknown", id=name) for name, told in NO_STATUS.items()],
)
def test_a_status_that_is_no_end_is_waited_for(service: Service, data_path: Path, status: Any, told: str) -> None:
    """Also one that nobody knows, and none at all: no crash, no model, and a wait that ends at its deadline."""
    engine = started(service, data_path, {"status": status})
    ended: list[Any] = []

    with pytest.raises(WaitTimeoutError) as late:
        engine.wait(5, on_end=ended.append)
    with pytest.raises(JobNotReadyError) as caught:
        engine.get_finetuned_model()

    assert (late.value.job_id, late.value.status) == ("job-1", told)
    assert vars(caught.value) == {"job_id": "job-1", "status": told, "estimated_finish": None}
    assert (ended, engine.get_current_job().id, job_record(data_path)["status"]) == ([], "job-1", told)


@pytest.mark.parametrize(
    ("status", "error"),
    [("failed", JobFailedError), ("cancelled", JobCancelledError), ("canceled", JobCancelledError)],
)
@pytest.mark.parametrize("ask", ["wait", "get_finetuned_model"])
def test_a_status_that_is_a_bad_end_is_an_error_at_once(
    service: Service, data_path: Path, status: str, error: type[FinetuneError], ask: str
) -> None:
    """It is a ValueError too, as in old code, and names job and status; the job can still be looked at."""
    engine = started(service, data_path, {"status": status})

    with pytest.raises(error) as caught:
        getattr(engine, ask)()

    assert isinstance(caught.value, ValueError)
    assert (caught.value.job_id, caught.value.status) == ("job-1", status)
    assert engine.get_current_job().status == status


def test_the_one_good_end_gives_the_model(service: Service, data_path: Path) -> None:
    """`succeeded`, with a model's name."""
    engine = started(service, data_path, SUCCEEDED)

    assert (engine.wait().status, engine.get_finetuned_model().metadata.model_name) == ("succeeded", TUNED)


# --- what services write about a failure ---

WHY = [
    ("invalid_training_file", "The job failed due to an invalid training file. Line 4 is bad", (4,)),
    ("invalid_training_file", "Unexpected file format, expected either prompt/completion pairs or chat messages.", ()),
    ("invalid_training_file", "Invalid file format. Example 6174 message contains an invalid token", (6174,)),
    ("invalid_training_file", "This file failed moderation safety checks. Flagged lines: 4, 13, 14..", (4, 13, 14)),
    ("invalid_training_file", "blocked because too many examples were flagged by our moderation API: hate.", ()),
    ("invalid_n_examples", "Training file has 7 example(s), but must have at least 10 examples", ()),
    ("server_error", "The job failed due to an internal error.", ()),
    ("exceeded_quota", "Creating this fine-tuning job would exceed your quota", ()),
    ("invalid_file_format", "line contains invalid json: expected ident (line 1273)", (1273,)),
    (None, "No code at all", ()),
]


@pytest.mark.parametrize(("code", "message", "lines"), WHY)
def test_a_failures_code_text_and_lines_are_in_the_error(
    service: Service, data_path: Path, code: str | None, message: str, lines: tuple[int, ...]
) -> None:
    """As the service wrote them; the line numbers can be read by a program."""
    error = {"code": code, "message": message, "param": "training_file"}
    engine = started(service, data_path, {"status": "failed", "error": error})

    with pytest.raises(JobFailedError, match=r"^job job-1 failed: ") as caught:
        engine.wait()

    assert message in str(caught.value)
    assert (caught.value.code, caught.value.param, caught.value.lines) == (code, "training_file", lines)
    assert [job_record(data_path)[name] for name in ("error_code", "error_message")] == [code, message]


@pytest.mark.parametrize(
    ("details", "lines"),
    [
        ("The file cannot be parsed. Error: line contains invalid json: expected ident (line 1273)", (1273,)),
        ("lines 3, 7 and 9 are too long", (3, 7, 9)),
        (None, ()),
        ("", ()),
        ({"message": "odd"}, ()),
    ],
)
@pytest.mark.parametrize("status", ["error", "failed", "deleted"])
def test_a_refused_file_says_which_lines(
    service: Service, data_path: Path, status: str, details: Any, lines: tuple[int, ...]
) -> None:
    """Where the service names any; without a reason the error says that there is none."""
    service.file_statuses, service.file_details = [status], details
    engine = make_engine(service, data_path)

    with pytest.raises(FileNotAcceptedError) as caught:
        engine.finetune()

    assert str(caught.value) == (
        f"file file-1 was refused ({status}): {details or 'the service gave no reason'};"
        " correct it and call finetune() again"
    )
    assert (caught.value.file_id, caught.value.lines, len(service.jobs)) == ("file-1", lines, 0)


@pytest.mark.parametrize("statuses", [["processed"], [...], [None], ["uploaded", "pending", "running", "processed"]])
def test_a_file_is_ready_when_the_service_says_so_or_says_nothing(
    service: Service, data_path: Path, statuses: list[Any]
) -> None:
    """The field is deprecated and may be missing; any other status is not the end."""
    service.file_statuses = statuses

    make_engine(service, data_path).finetune()

    assert service.made == (1, 1)


# --- job objects of every shape ---

NO_ERRORS = {
    "empty": {},
    "all null": {"code": None, "message": None, "param": None},
    "null": None,
    "missing": ...,
    "empty texts": {"code": "", "message": "", "param": ""},
    "a text": "nothing",
    "numbers": {"code": 0, "message": 0},
}


@pytest.mark.parametrize("error", NO_ERRORS.values(), ids=NO_ERRORS)
def test_an_error_without_a_text_is_no_error(service: Service, data_path: Path, error: Any) -> None:
    """A healthy job may carry one: it runs on, succeeds, and its record holds none."""
    engine = started(service, data_path, {"status": "running", "error": error}, {**SUCCEEDED, "error": error})

    assert engine.wait().fine_tuned_model == TUNED
    assert [job_record(data_path)[name] for name in ("error_code", "error_message")] == [None, None]


@pytest.mark.parametrize("error", NO_ERRORS.values(), ids=NO_ERRORS)
def test_a_failure_without_a_text_says_that_there_is_none(service: Service, data_path: Path, error: Any) -> None:
    """Nothing is made up, and nothing like `None` is shown."""
    engine = started(service, data_path, {"status": "failed", "error": error})

    with pytest.raises(JobFailedError, match=r"job job-1 failed: the service gave no reason; look at events") as caught:
        engine.wait()

    assert (caught.value.code, caught.value.param, "None" in str(caught.value)) == (None, None, False)


SHAPES = {
    "of 2023, without error, seed and method": {"error": ..., "hyperparameters": {"n_epochs": 3}},
    "hyperparameters null": {"hyperparameters": None, "method": {"type": "supervised", "supervised": None}},
    "hyperparameters auto": {"hyperparameters": {"n_epochs": "auto", "batch_size": "auto"}},
    "seed null": {"seed": None, "metadata": None, "integrations": None, "validation_file": None},
    "method of preferences": {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}},
    "method null": {"method": None},
    "method of a kind to come": {"method": {"type": "reinforcement", "reinforcement": {}}},
    "result files null": {"result_files": None},
    "result files blank": {"result_files": ["", None]},
    "tokens null": {"trained_tokens": None, "finished_at": None, "estimated_finish": None},
    "times beyond time": {"created_at": 10**30, "finished_at": 10**30, "estimated_finish": -(10**30)},
    "times as texts": {"finished_at": "soon", "estimated_finish": "later"},
    "fields to come": {"usage": {"gpu_hours": 3}, "object": "fine_tuning.job.v2"},
    "nothing but the id": dict.fromkeys(("error", "model", "training_file", "object"), ...),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_job_of_any_shape_is_read(service: Service, data_path: Path, shape: dict[str, Any]) -> None:
    """While it runs, and when it has succeeded."""
    engine = started(service, data_path, {"status": "running", **shape}, {**SUCCEEDED, **shape})

    with pytest.raises(JobNotReadyError):
        engine.get_finetuned_model()

    assert engine.wait().fine_tuned_model == TUNED
    assert engine.get_finetuned_model().metadata.model_name == TUNED
    assert (list(engine.metrics().columns), engine.trained_tokens) == ([], None)


def test_a_job_under_way_says_when_the_service_expects_its_end(service: Service, data_path: Path) -> None:
    """In the text, and as a time in UTC."""
    engine = started(service, data_path, {"status": "running", "estimated_finish": 1_760_000_000})

    with pytest.raises(JobNotReadyError) as caught:
        engine.get_finetuned_model()

    assert str(caught.value) == (
        "job job-1 is running, its model is not there yet (the service expects 2025-10-09 08:53 UTC): call wait() first"
    )
    assert caught.value.estimated_finish == datetime(2025, 10, 9, 8, 53, 20, tzinfo=timezone.utc)


@pytest.mark.parametrize("model", [None, "", ...], ids=["null", "empty", "missing"])
def test_a_success_without_a_model_is_a_failure(service: Service, data_path: Path, model: Any) -> None:
    """The service's safety checks may withhold it; `events()` tells of them, whatever their type."""
    service.events = [
        {"id": "e1", "type": "moderation_checks", "level": "warn", "message": "Checks failed", "data": {"hate": True}}
    ]
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": model})

    with pytest.raises(JobFailedError, match="no tuned model was released; the service"):
        engine.get_finetuned_model()

    assert list(engine.events()) == [
        FinetuneEvent(created_at=None, level="warn", message="Checks failed", data={"hate": True})
    ]


# --- ids ---


@pytest.mark.parametrize("job_id", ["", " ", "\t\n"])
def test_an_empty_job_id_never_leaves_the_machine(service: Service, data_path: Path, job_id: str) -> None:
    """It would ask for the list of all jobs."""
    with pytest.raises(ConfigurationError, match="the job id is empty: pass one like ftjob-"):
        OpenAIFinetuneEngine.from_job(job_id, client=service.client())
    with pytest.raises(ConfigurationError, match="the job id is empty"):
        make_engine(service, data_path, start_job_id=job_id).finetune()

    assert service.calls == []


@pytest.mark.parametrize("job_id", ["..", ".", "../files", "a/b", "a?b=c", "a#b", "%2e%2e", "a\\b", "a b", "ä\n"])
def test_a_job_id_that_leads_elsewhere_never_leaves_the_machine(service: Service, job_id: str) -> None:
    """`../files` would be another address of the service."""
    with pytest.raises(ConfigurationError) as caught:
        OpenAIFinetuneEngine.from_job(job_id, client=service.client()).get_current_job()

    assert str(caught.value) == f"job id {job_id!r}: no id of a job; pass one like ftjob-..., as job.json shows it"
    assert service.calls == []


@pytest.mark.parametrize("job_id", ["ftjob-Ab_1", "ft:job.7", "3f2c-11", "projects.1:jobs@2", "job~1"])
def test_job_ids_of_any_service_are_asked_for_as_they_are(service: Service, job_id: str) -> None:
    """Letters, digits and the signs that mean nothing in an address."""
    engine = OpenAIFinetuneEngine.from_job(job_id, client=service.client())

    assert engine.get_current_job().id == job_id
    assert service.calls == [("GET", f"/v1/fine_tuning/jobs/{job_id}")]


def test_an_engine_of_a_job_id_does_all_but_start(service: Service) -> None:
    """It needs neither file nor base model, and writes no record."""
    engine = OpenAIFinetuneEngine.from_job("job-9", client=service.client())

    engine.finetune()

    assert (engine.wait().id, engine.cancel().status, engine.pause().status) == ("job-9", "cancelled", "paused")
    assert (engine.resume().status, len(list(engine.events()))) == ("queued", 3)
    assert engine.get_finetuned_model().complete("How?").text == "Tuned."
    assert repr(engine) == f"OpenAIFinetuneEngine(base_model='', start_job_id='job-9', endpoint='{URL}')"
    assert service.made == (0, 0)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_of_a_checkpoint_is_refused(service: Service, data_path: Path, name: str) -> None:
    """An LLM of no name would ask for nothing."""
    engine = make_engine(service, data_path)

    with pytest.raises(ConfigurationError, match="the checkpoint has no name"):
        engine.get_checkpoint_model(name)
