"""What is sent to start a job, what is not sent twice, and what is found again."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import openai
import pytest
from finetuning_service import (
    BASE,
    CREATE,
    FILES,
    JOBS,
    TUNED,
    UPLOAD,
    FakeTime,
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

from llama_index_ft_rag.errors import (
    FinetuneError,
)
from llama_index_ft_rag.finetuning.job import JobStore


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def test_without_settings_the_job_is_model_and_file(service: Service, data_path: Path) -> None:
    """Nothing is sent that the caller did not ask for: not every service takes it."""
    make_engine(service, data_path).finetune()

    assert service.bodies == [{"model": BASE, "training_file": "file-1"}]


def test_calling_finetune_twice_starts_one_job(service: Service, data_path: Path) -> None:
    """The second call sends nothing at all."""
    engine = make_engine(service, data_path)
    engine.finetune()
    sent = list(service.calls)

    engine.finetune()

    assert service.calls == sent


def test_another_process_continues_the_job(service: Service, data_path: Path) -> None:
    """A new engine for the same file and settings has the job at once, with or without calling finetune()."""
    make_engine(service, data_path).finetune()

    assert make_engine(service, data_path).get_current_job().id == "job-1"
    make_engine(service, data_path).finetune()
    assert (service.count(UPLOAD), service.count(CREATE)) == (1, 1)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", [UPLOAD, CREATE])
def test_a_lost_answer_is_looked_for_before_anything_is_sent_again(
    service: Service, data_path: Path, write: tuple[str, str], moment: str
) -> None:
    """A connection that breaks during a write is mended in the same call, with one file and one job."""

    def break_once(_: int) -> None:
        if service.calls[-1] == write and service.count(write) == 1:
            raise http.ConnectError("connection reset")

    setattr(service, moment, break_once)

    make_engine(service, data_path).finetune()

    assert (len(service.files), len(service.jobs)) == (1, 1)


def test_a_service_that_stays_down_is_not_asked_for_ever(service: Service, data_path: Path) -> None:
    """After two pauses its own error is raised; a later call goes on from there."""
    service.refusals[UPLOAD] = [(500, refusal("overloaded"))] * 3
    time = FakeTime()
    engine = make_engine(service, data_path, time=time)

    with pytest.raises(openai.InternalServerError):
        engine.finetune()
    engine.finetune()

    assert time.naps == [2.0, 8.0]
    assert (len(service.files), len(service.jobs)) == (1, 1)


def test_other_settings_start_another_job_and_keep_the_earlier_record(service: Service, data_path: Path) -> None:
    """Going back to the earlier settings finds their job again and pays for nothing."""
    for seed in (1, 2, 1):
        make_engine(service, data_path, seed=seed).finetune()

    assert [job["id"] for job in service.jobs] == ["job-1", "job-2"]
    assert job_record(data_path)["job_id"] == "job-1"
    assert len(list(data_path.parent.glob("*.job*.json"))) == 2


def test_a_changed_file_starts_another_job(service: Service, data_path: Path) -> None:
    """The content counts, not the name."""
    engine = make_engine(service, data_path)
    engine.finetune()
    write_examples(data_path, answer="It doubled.")

    engine.finetune()

    assert (len(service.files), engine.get_current_job().id) == (2, "job-2")


def test_labels_do_not_make_it_another_job(service: Service, data_path: Path) -> None:
    """Metadata may change without training again."""
    for team in ("a", "b"):
        make_engine(service, data_path, metadata={"team": team}).finetune()

    assert len(service.jobs) == 1


def test_two_engines_at_the_same_time_start_one_job(service: Service, data_path: Path) -> None:
    """The second one waits until the first has submitted, and continues with its job; the lock is private."""
    uploading, waiting = threading.Event(), threading.Event()

    def hold_upload(_: int) -> None:
        if service.calls[-1] == UPLOAD:
            uploading.set()
            assert waiting.wait(60)

    def nap(_: float) -> None:
        waiting.set()
        first.join(60)

    service.before = hold_upload
    first = threading.Thread(target=make_engine(service, data_path).finetune)
    first.start()
    assert uploading.wait(60)
    second = make_engine(service, data_path, sleep=nap)
    second.finetune()
    first.join(60)

    assert (len(service.files), len(service.jobs), second.get_current_job().id) == (1, 1, "job-1")
    assert Path(f"{data_path}.job.json.lock").stat().st_mode & 0o777 == 0o600


def test_a_submission_that_never_ends_is_not_waited_for_for_ever(service: Service, data_path: Path) -> None:
    """The error names the record and what to do; nothing was sent."""
    record_path = Path(f"{data_path}.job.json")
    lock = JobStore(record_path).try_lock()
    assert lock is not None
    engine = make_engine(service, data_path, file_timeout=3.0)

    with pytest.raises(FinetuneError) as caught:
        engine.finetune()
    lock.close()

    assert service.calls == []
    assert str(caught.value) == (
        f"{record_path}: another process is still submitting this job after 3 s; wait for it and start again (its"
        " job is continued), or pass a longer file_timeout"
    )


def test_a_job_whose_record_was_lost_is_continued(service: Service, data_path: Path) -> None:
    """Files and jobs that the service lists for the same content and settings are not made twice."""
    settings: dict[str, Any] = {"seed": 7, "suffix": "rag", "hyperparameters": {"n_epochs": 2, "batch_size": "auto"}}
    make_validated(service, data_path, **settings).finetune()
    # As OpenAI shows it: the snapshot's name, and figures in place of "auto".
    told = {"n_epochs": 2, "batch_size": 4}
    service.jobs[0].update(model=f"{BASE}-2025-04-14", seed=7, user_provided_suffix="rag", hyperparameters=told)
    service.jobs[0].update(status="succeeded", fine_tuned_model=TUNED, validation_file="file-2")
    Path(f"{data_path}.job.json").unlink()

    engine = make_validated(service, data_path, **settings)
    engine.finetune()

    assert (len(service.files), len(service.jobs), engine.get_current_job().id) == (2, 1, "job-1")


@pytest.mark.parametrize(
    "job",
    [
        {"status": "failed"},
        {"status": "cancelled"},
        {"status": "succeeded", "fine_tuned_model": None},
        {"model": "gpt-4.1"},
        {"seed": 8},
        {"user_provided_suffix": "other"},
        {"hyperparameters": {"n_epochs": 3}},
        {"validation_file": "file-9"},
    ],
    ids=lambda job: next(iter(job.items()))[0] + "-" + str(next(iter(job.values()))),
)
def test_a_listed_job_that_is_lost_or_another_is_not_continued(
    service: Service, data_path: Path, job: dict[str, Any]
) -> None:
    """With the record gone, a new job is started on the file that is there."""
    settings: dict[str, Any] = {"seed": 7, "suffix": "rag", "hyperparameters": {"n_epochs": 2}}
    make_validated(service, data_path, **settings).finetune()
    service.jobs[0].update(job)
    Path(f"{data_path}.job.json").unlink()

    make_validated(service, data_path, **settings).finetune()

    assert (len(service.files), len(service.jobs)) == (2, 2)
    assert job_record(data_path)["job_id"] == "job-2"


def test_other_settings_start_another_job_when_the_record_was_lost(service: Service, data_path: Path) -> None:
    """A job of the same file with another seed is not mistaken for this one."""
    make_engine(service, data_path, seed=1).finetune()
    Path(f"{data_path}.job.json").unlink()

    make_engine(service, data_path, seed=2).finetune()

    assert [body["seed"] for body in service.bodies] == [1, 2]


@pytest.mark.parametrize("status", [403, 404, 405, 501])
def test_a_service_without_lists_can_train(service: Service, data_path: Path, status: int) -> None:
    """Where there is nothing to search, the file and the job are sent."""
    service.refusals["GET", "/v1/files"] = [(status, refusal("not here"))]
    service.refusals["GET", "/v1/fine_tuning/jobs"] = [(status, refusal("not here"))]

    make_engine(service, data_path).finetune()

    assert (len(service.files), len(service.jobs)) == (1, 1)


def test_a_list_that_fails_otherwise_stops_before_anything_is_sent(service: Service, data_path: Path) -> None:
    """A wrong key is the service's own error."""
    service.refusals["GET", "/v1/files"] = [(401, refusal("wrong key"))]

    with pytest.raises(openai.AuthenticationError):
        make_engine(service, data_path).finetune()

    assert service.count(UPLOAD) == 0


def test_start_job_id_attaches_to_a_job(service: Service, tmp_path: Path) -> None:
    """Nothing is uploaded or created, and the training file need not be there."""
    engine = make_engine(service, tmp_path / "gone.jsonl", start_job_id="job-9")

    engine.finetune()

    assert engine.wait().id == "job-9"
    assert service.calls == [("GET", "/v1/fine_tuning/jobs/job-9")]


def test_a_record_that_cannot_be_read_stops_before_anything_is_sent(service: Service, data_path: Path) -> None:
    """It may name a job that was paid for."""
    Path(f"{data_path}.job.json").write_text("{")
    engine = make_engine(service, data_path)

    with pytest.raises(FinetuneError, match="not a job record"):
        engine.finetune()

    assert service.calls == []


# --- another job on purpose ---


def test_force_starts_another_job_on_the_same_file(service: Service, data_path: Path) -> None:
    """The file is not uploaded again; from then on the new job is the one that is asked about."""
    engine = make_engine(service, data_path)
    engine.finetune()
    engine.finetune(force=True)

    assert (service.made, engine.get_current_job().id) == ((1, 2), "job-2")
    assert make_engine(service, data_path).get_current_job().id == "job-2"
    engine.finetune()
    assert service.made == (1, 2)


def test_force_keeps_the_earlier_record(service: Service, data_path: Path) -> None:
    """Beside the new one."""
    engine = make_engine(service, data_path)
    for _ in range(3):
        engine.finetune(force=True)

    records = sorted(data_path.parent.glob("*.job*.json"))
    assert sorted(json.loads(path.read_text())["job_id"] for path in records) == ["job-1", "job-2", "job-3"]
    assert job_record(data_path)["job_id"] == "job-3"


def test_force_needs_no_job_before(service: Service, data_path: Path) -> None:
    """It is then as without."""
    make_engine(service, data_path).finetune(force=True)

    assert service.made == (1, 1)


@pytest.mark.parametrize("status", ["running", "failed", "succeeded"])
def test_force_with_a_lost_record_starts_another_job(service: Service, data_path: Path, status: str) -> None:
    """What the service lists is the earlier one, whatever became of it."""
    make_engine(service, data_path).finetune()
    service.jobs[0]["status"] = status
    record_path(data_path).unlink()

    make_engine(service, data_path).finetune(force=True)

    assert (service.made, job_record(data_path)["job_id"]) == ((1, 2), "job-2")


def test_force_with_a_lost_record_counts_also_after_an_attempt_without(service: Service, data_path: Path) -> None:
    """An attempt that stopped before the job was asked for leaves nothing that would have to be continued."""
    make_engine(service, data_path).finetune()
    record_path(data_path).unlink()
    service.refusals[JOBS] = [(500, refusal("down"))]
    engine = make_engine(service, data_path)
    with pytest.raises(openai.InternalServerError):
        engine.finetune()

    engine.finetune(force=True)

    assert (service.made, job_record(data_path)["job_id"]) == ((1, 2), "job-2")


def test_force_works_at_a_service_without_lists(service: Service, data_path: Path) -> None:
    """The file of the earlier job is not known there, and sent again."""
    for listed in (FILES, JOBS):
        service.refusals[listed] = [(404, refusal("no lists here"))] * 9
    engine = make_engine(service, data_path)

    engine.finetune()
    engine.finetune(force=True)

    assert (len(service.jobs), engine.get_current_job().id) == (2, "job-2")


def test_news_of_the_earlier_job_leave_the_forced_ones_record_alone(service: Service, data_path: Path) -> None:
    """An engine that waits for the earlier job meanwhile, in another process, goes on writing beside it."""
    waiting = make_engine(service, data_path)
    waiting.finetune()
    make_engine(service, data_path).finetune(force=True)

    assert waiting.wait().id == "job-1"

    assert (job_record(data_path)["job_id"], job_record(data_path)["status"]) == ("job-2", None)
    [earlier] = data_path.parent.glob("examples.jsonl.job.*.json")
    record = json.loads(earlier.read_text())
    assert (record["job_id"], record["status"], record["tuned_model"]) == ("job-1", "succeeded", TUNED)


# --- a lost record ---


@pytest.mark.parametrize(
    "method",
    [
        {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2, "beta": 0.1}}},
        {"type": "dpo", "dpo": {"hyperparameters": None}},
        {"type": "dpo", "dpo": None},
        {"type": "dpo"},
    ],
    ids=["all", "no hyperparameters", "empty", "its name alone"],
)
def test_a_preference_job_whose_record_was_lost_is_continued(
    service: Service, data_path: Path, method: dict[str, Any]
) -> None:
    """`method` says what it was asked, as far as it says anything."""
    asked = {"n_epochs": 2, "beta": 0.1}
    make_preferring(service, data_path, hyperparameters=asked).finetune()
    service.jobs[0].update(method=method, hyperparameters=None, validation_file="file-2")
    record_path(data_path).unlink()

    make_preferring(service, data_path, hyperparameters=asked).finetune()

    assert service.made == (2, 1)


@pytest.mark.parametrize(
    "method",
    [{"type": "supervised"}, {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.5}}}, {"type": "reinforcement"}],
    ids=["supervised", "another beta", "reinforcement"],
)
def test_a_job_of_another_method_is_not_continued(service: Service, data_path: Path, method: dict[str, Any]) -> None:
    """Not even on the same file."""
    make_preferring(service, data_path, hyperparameters={"beta": 0.1}).finetune()
    service.jobs[0].update(method=method)
    record_path(data_path).unlink()

    make_preferring(service, data_path, hyperparameters={"beta": 0.1}).finetune()

    assert service.made == (2, 2)


def test_a_job_far_down_the_list_is_found(service: Service, data_path: Path) -> None:
    """Page by page."""
    make_engine(service, data_path).finetune()
    others = [{"id": f"other-{number}", "training_file": "file-9"} for number in range(250)]
    service.jobs[:0] = others
    service.files[:0] = [{"id": f"file-0{number}", "filename": f"{number}.jsonl"} for number in range(250)]
    service.page_size = 100
    record_path(data_path).unlink()

    make_engine(service, data_path).finetune()

    assert (len(service.jobs), len(service.files), service.count(UPLOAD)) == (251, 251, 1)


def test_a_list_that_repeats_itself_is_not_read_for_ever(service: Service, data_path: Path) -> None:
    """A page that says there are more and gives the same again is the last one."""
    page = service.page

    def repeat(found: list[dict[str, Any]], query: Any) -> dict[str, Any]:
        return {**page(found, query), "has_more": True}

    service.page = repeat  # type: ignore[method-assign]
    service.page_size = 1

    make_engine(service, data_path).finetune()

    assert service.made == (1, 1)


def test_a_refused_upload_is_not_taken_for_the_file(service: Service, data_path: Path) -> None:
    """A file of the same content that the service refused, or deleted, is uploaded again."""
    make_engine(service, data_path).finetune()
    record_path(data_path).unlink()
    service.jobs.clear()
    service.files[0]["status"] = "error"

    make_engine(service, data_path).finetune()

    assert [file["id"] for file in service.files] == ["file-1", "file-2"]
    assert service.bodies[-1]["training_file"] == "file-2"


def test_a_record_that_vanishes_while_waiting_changes_nothing(service: Service, data_path: Path) -> None:
    """The engine knows its job, and writes the record anew."""
    engine = make_engine(service, data_path)
    engine.finetune()
    record_path(data_path).unlink()

    assert engine.wait().id == "job-1"
    assert (job_record(data_path)["job_id"], job_record(data_path)["status"]) == ("job-1", "succeeded")
