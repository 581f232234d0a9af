"""One job for the same content and settings, whatever they are called, and a record that can always be read again."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import Time
from finetuning_service import CREATE, UPLOAD, Service, http, make_engine, write_examples

from llama_index_ft_rag.errors import ConfigurationError, ExamplesError, FinetuneError, JobFailedError


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def test_a_job_that_takes_effect_after_its_request_timed_out_is_the_only_one(service: Service, data_path: Path) -> None:
    """The request that timed out is not sent again; what it started late is found."""
    late: list[dict[str, Any]] = []
    time = Time()

    def lose(_: int) -> None:
        if service.calls[-1] == CREATE and service.count(CREATE) == 1:
            late.append(service.jobs.pop())
            raise http.ReadTimeout("too slow")

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if sum(time.naps) >= 10 and late:
            service.jobs.append(late.pop())

    service.after = lose
    make_engine(service, data_path, sleep=sleep, clock=time.clock).finetune()

    assert (service.count(CREATE), len(service.jobs)) == (1, 1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"learning_rate_multiplier": 2}, {"learning_rate_multiplier": 2.0}),
        ({"n_epochs": "auto"}, {}),
    ],
)
def test_settings_that_say_the_same_are_the_same_job(
    service: Service, data_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """2.0 is 2, and what is left to the service is left out."""
    for hyperparameters in (first, second):
        make_engine(service, data_path, hyperparameters=hyperparameters).finetune()

    assert (service.count(UPLOAD), service.count(CREATE)) == (1, 1)


def test_a_file_under_another_name_is_the_same_file(service: Service, data_path: Path) -> None:
    """Its content counts: file and job are found at the service, without any record."""
    make_engine(service, data_path).finetune()
    copy = shutil.copy(data_path, data_path.with_name("renamed.jsonl"))

    make_engine(service, Path(copy)).finetune()

    assert (service.count(UPLOAD), service.count(CREATE)) == (1, 1)


def test_a_record_can_be_read_again_whatever_a_service_said(service: Service, data_path: Path) -> None:
    """Half a character in a message is replaced, and a key that it quotes is blotted out, in error and record."""
    engine = make_engine(service, data_path)
    engine.finetune()
    service.job_looks = [{"status": "failed", "error": {"code": "x", "message": "bad \ud800 sk-secretsecret123"}}]

    with pytest.raises(JobFailedError, match=r"bad \? sk-\.\.\.") as caught:
        engine.wait()

    assert "secretsecret" not in str(caught.value) + Path(f"{data_path}.job.json").read_text()
    assert make_engine(service, data_path).get_current_job().id == "job-1"


@pytest.mark.parametrize("job_id", [5, ["a"], "a\ud800", "a\nb"])
def test_an_id_that_cannot_be_written_down_is_no_answer(service: Service, data_path: Path, job_id: Any) -> None:
    """One sentence, and a record that the next call goes on from."""
    service.refusals[CREATE] = [(200, {"id": job_id, "status": "queued"})]

    with pytest.raises(FinetuneError, match="did not answer like the OpenAI API"):
        make_engine(service, data_path).finetune()
    make_engine(service, data_path).finetune()

    assert len(service.jobs) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"suffix": "a\udcff"},
        {"metadata": {"a": "\udcff"}},
        {"hyperparameters": {"learning_rate_multiplier": 10**400}},
        {"hyperparameters": {"n_epochs": 10**400}},
        {"max_cost": float("nan")},
        {"max_cost": -1.0},
        {"base_model": " "},
    ],
)
def test_what_no_service_could_take_is_refused_by_the_constructor(
    service: Service, data_path: Path, settings: dict[str, Any]
) -> None:
    """Nothing is sent, and no record is written."""
    with pytest.raises(ConfigurationError):
        make_engine(service, data_path, **settings)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_refused_at_once(service: Service, tmp_path: Path) -> None:
    """It can be read once, and a training file is checked, then sent."""
    os.mkfifo(tmp_path / "pipe.jsonl")

    for ask in ("finetune", "preflight"):
        with pytest.raises(ExamplesError, match="is no regular file"):
            getattr(make_engine(service, tmp_path / "pipe.jsonl"), ask)()


def test_a_page_in_place_of_the_first_answer_is_no_answer(service: Service, data_path: Path) -> None:
    """A proxy's login page does not make the tuned model one that answers."""
    engine = make_engine(service, data_path)
    engine.finetune()
    service.refusals["POST", "/v1/chat/completions"] = [(200, "<html>login</html>")]

    with pytest.raises(FinetuneError, match="did not answer like the OpenAI API"):
        engine.get_finetuned_model()
