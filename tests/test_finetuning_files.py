"""The training file: validated, uploaded, waited for, refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from finetuning_service import (
    CREATE,
    NOT_YET,
    FakeTime,
    Service,
    make_engine,
    refusal,
    write_examples,
)

from llama_index_ft_rag.errors import (
    ExamplesError,
    FileNotAcceptedError,
    TrainingNotAvailableError,
)


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def test_a_file_with_errors_is_never_uploaded(service: Service, data_path: Path) -> None:
    """Validation stops before anything is sent."""
    row = {"messages": [{"role": "user", "content": "no answer to this"}]}
    data_path.write_text(data_path.read_text() + json.dumps(row) + "\n")
    engine = make_engine(service, data_path)

    with pytest.raises(ExamplesError, match="13"):
        engine.finetune()

    assert (service.calls, list(data_path.parent.glob("*.job.json"))) == ([], [])


def test_validation_can_be_switched_off(service: Service, data_path: Path) -> None:
    """With `validate_json=False` the service is the judge."""
    write_examples(data_path, count=2)

    make_engine(service, data_path, validate_json=False).finetune()

    assert len(service.jobs) == 1


def test_a_file_being_processed_is_waited_for(service: Service, data_path: Path) -> None:
    """The job is created when the file is ready, and the one 400 that says it is not leads to another try."""
    service.file_statuses = ["uploaded", "uploaded", "processed"]
    service.refusals[CREATE] = [(400, refusal(NOT_YET))]
    time = FakeTime()

    make_engine(service, data_path, time=time, poll_interval=3.0).finetune()

    assert (time.naps, len(service.jobs)) == ([3.0, 3.0, 3.0], 1)


@pytest.mark.parametrize("refuses_job", [False, True])
def test_a_file_that_is_never_ready_is_not_waited_for_for_ever(
    service: Service, data_path: Path, refuses_job: bool
) -> None:
    """The deadline names the file; a later call waits again and does not upload again."""
    service.file_statuses = ["processed" if refuses_job else "uploaded"]
    service.refusals[CREATE] = [(400, refusal(NOT_YET))] * 4
    engine = make_engine(service, data_path, file_timeout=12.0)

    with pytest.raises(FileNotAcceptedError) as caught:
        engine.finetune()
    service.file_statuses = ["processed"]
    service.refusals = {}
    engine.finetune()

    assert caught.value.file_id == "file-1"
    assert str(caught.value).startswith("file file-1 is still uploaded after 12 s; call finetune() again")
    assert (len(service.files), len(service.jobs)) == (1, 1)


def test_a_refused_file_says_why(service: Service, data_path: Path) -> None:
    """The service's own reason is in the error, and no job is created."""
    service.file_statuses = ["error"]
    engine = make_engine(service, data_path)

    with pytest.raises(FileNotAcceptedError, match=r"file file-1 was refused \(error\): line 3 is not JSON"):
        engine.finetune()

    assert service.count(CREATE) == 0


def test_a_file_that_was_deleted_meanwhile_says_what_to_do(service: Service, data_path: Path) -> None:
    """The record names a file that is gone: the error says which record to move away."""
    service.refusals[CREATE] = [(403, refusal("not yet", code="training_not_available"))]
    engine = make_engine(service, data_path)
    with pytest.raises(TrainingNotAvailableError):
        engine.finetune()
    service.refusals["GET", "/v1/files/file-1"] = [(404, refusal("No such File object"))]

    with pytest.raises(FileNotAcceptedError) as caught:
        engine.finetune()

    assert str(caught.value) == (
        f"file file-1 is no longer at http://proxy.invalid/v1; move {data_path}.job.json away and call finetune()"
        " to upload it again"
    )


def test_warnings_of_the_validation_are_logged_and_stop_nothing(
    service: Service, data_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A repeated example is worth a word, not a refusal."""
    data_path.write_text(data_path.read_text() * 2)

    make_engine(service, data_path).finetune()

    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert 0 < len(told) <= 10
    assert all(message.startswith(f"{data_path} line ") for message in told)
    assert len(service.jobs) == 1
