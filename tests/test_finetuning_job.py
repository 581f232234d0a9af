from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from llama_index_ft_rag.errors import ExamplesError, FinetuneError
from llama_index_ft_rag.finetuning.job import DataFile, JobPlan, JobRecord, JobStore

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


class Clock:
    """Each look at it is a minute later than the one before."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> datetime:
        """The time now."""
        self.looks += 1
        return NOON + timedelta(minutes=self.looks)


def plan(
    content: bytes = b"{}\n",
    *,
    seed: int = 1,
    endpoint: str = "https://a.example/v1",
    name: str = "examples.jsonl",
) -> JobPlan:
    """A plan like any other but for what is given."""
    return JobPlan(
        provider="openai",
        endpoint=endpoint,
        base_model="gpt-4.1-mini",
        training=DataFile(path=Path(name), content=content),
        settings={"seed": seed},
    )


def names(folder: Path) -> list[str]:
    """Names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_new_record_is_on_disk_before_anything_is_done(tmp_path: Path) -> None:
    """`open` writes the plan's hashes, settings and time, privately."""
    path = tmp_path / "job.json"

    record = JobStore(path, now=Clock()).open(plan())

    assert JobRecord.model_validate_json(path.read_bytes()) == record
    assert record == JobRecord(
        provider="openai",
        endpoint="https://a.example/v1",
        base_model="gpt-4.1-mini",
        settings={"seed": 1},
        file_hash=plan().file_hash,
        settings_hash=plan().settings_hash,
        created_at=NOON + timedelta(minutes=1),
        updated_at=NOON + timedelta(minutes=2),
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_process_finds_the_record_as_it_was_left(tmp_path: Path) -> None:
    """What was saved is what `open` and `find` return."""
    path = tmp_path / "job.json"
    first = JobStore(path)
    saved = first.save(first.open(plan()), file_id="file-1", intent="create_job")

    assert JobStore(path).open(plan()) == saved
    assert JobStore(path).find(plan()) == saved


def test_the_time_of_submission_is_when_the_job_id_became_known(tmp_path: Path) -> None:
    """`submitted_at` is set with `job_id` and not moved by later news."""
    store = JobStore(tmp_path / "job.json", now=Clock())
    record = store.save(store.open(plan()), job_id="job-1")

    later = store.save(record, status="running")

    assert (record.submitted_at, later.submitted_at) == (NOON + timedelta(minutes=3), record.submitted_at)
    assert later.updated_at == NOON + timedelta(minutes=5)


@pytest.mark.parametrize(
    "other",
    [plan(b"[]\n"), plan(seed=2), plan(endpoint="https://b.example/v1")],
    ids=["file", "seed", "endpoint"],
)
def test_another_plan_gets_a_record_of_its_own_and_the_earlier_one_stays(tmp_path: Path, other: JobPlan) -> None:
    """The earlier record is renamed with its hashes, and found again by its plan."""
    store = JobStore(tmp_path / "job.json")
    earlier = store.save(store.open(plan()), job_id="job-1")

    record = store.open(other)

    assert record.job_id is None
    assert names(tmp_path) == [f"job.{plan().file_hash[:12]}-{plan().settings_hash[:8]}.json", "job.json"]
    assert store.find(plan()) == earlier


def test_going_back_to_earlier_settings_brings_their_record_back(tmp_path: Path) -> None:
    """Flipping a setting and flipping it back pays for nothing twice."""
    store = JobStore(tmp_path / "job.json")
    earlier = store.save(store.open(plan()), job_id="job-1")
    store.open(plan(seed=2))

    assert store.open(plan()) == earlier
    assert names(tmp_path) == [
        f"job.{plan().file_hash[:12]}-{plan(seed=2).settings_hash[:8]}.json",
        "job.json",
    ]


def test_two_archived_records_of_one_plan_are_both_kept(tmp_path: Path) -> None:
    """A copied record does not overwrite the one that is there."""
    store = JobStore(tmp_path / "job.json")
    store.open(plan())
    archived = f"job.{plan().file_hash[:12]}-{plan().settings_hash[:8]}"
    (tmp_path / f"{archived}.json").write_bytes(store.path.read_bytes())

    store.open(plan(seed=2))

    assert names(tmp_path) == [f"{archived}.2.json", f"{archived}.json", "job.json"]


def test_news_of_an_archived_job_do_not_overwrite_the_current_record(tmp_path: Path) -> None:
    """An engine whose record was put aside by another one goes on writing to the one put aside."""
    store = JobStore(tmp_path / "job.json")
    first = store.save(store.open(plan()), job_id="job-1")
    second = store.open(plan(seed=2))

    news = store.save(first, status="succeeded")

    assert store.find(plan(seed=2)) == second
    assert store.find(plan()) == news


@pytest.mark.parametrize("content", ["{", '{"job_id": "job-1"}', '{"schema_version": 2}'])
def test_a_record_that_cannot_be_read_is_left_alone(tmp_path: Path, content: str) -> None:
    """It may name a paid job, so nothing is started over it."""
    path = tmp_path / "job.json"
    path.write_text(content)

    with pytest.raises(FinetuneError, match=r"job\.json: not a job record that this version can read"):
        JobStore(path).open(plan())

    assert path.read_text() == content


def test_one_lock_at_a_time(tmp_path: Path) -> None:
    """It is private, keeps others out until it is closed, and lies beside the record."""
    path = tmp_path / "runs" / "job.json"
    held = JobStore(path).try_lock()
    refused = JobStore(path).try_lock()
    assert held is not None
    held.close()
    again = JobStore(path).try_lock()
    assert again is not None
    again.close()

    assert refused is None
    assert [(file.name, file.stat().st_mode & 0o777) for file in path.parent.iterdir()] == [("job.json.lock", 0o600)]


def test_a_folder_that_cannot_lock_is_named(tmp_path: Path) -> None:
    """Submitting without a lock could train twice."""
    (tmp_path / "job.json.lock").mkdir()

    with pytest.raises(FinetuneError, match=r"job\.json\.lock: cannot be locked \(.*\); check the disk or choose"):
        JobStore(tmp_path / "job.json").try_lock()


def test_the_upload_name_says_content_and_settings() -> None:
    """The name is plain ASCII whatever the file is called, and another one for other content or settings."""
    odd = plan(name="my 10-K, évaluation.jsonl")

    assert odd.upload_name(odd.training) == f"my_10-K_valuation-{odd.file_hash[:12]}-{odd.settings_hash[:8]}.jsonl"
    assert len({one.upload_name(one.training) for one in (plan(), plan(b"[]\n"), plan(seed=2))}) == 3


def test_a_validation_file_makes_it_another_job() -> None:
    """The hash of the settings covers the validation file's content, not its name."""
    validation = [DataFile(path=Path(name), content=b"v") for name in ("a.jsonl", "b.jsonl")]
    with_a, with_b = (
        JobPlan(provider="p", endpoint="e", base_model="m", training=plan().training, validation=file)
        for file in validation
    )
    without = JobPlan(provider="p", endpoint="e", base_model="m", training=plan().training)

    assert with_a.settings_hash == with_b.settings_hash != without.settings_hash


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error says which file and what to do."""
    path = tmp_path / "none.jsonl"

    with pytest.raises(ExamplesError) as caught:
        DataFile.read(path)

    assert str(caught.value) == (f"{path}: cannot be read (No such file or directory); pass the path of a JSONL file")


def test_the_record_is_plain_json(tmp_path: Path) -> None:
    """Other programs read it without this package."""
    store = JobStore(tmp_path / "job.json", now=Clock())

    store.save(store.open(plan()), job_id="job-1", status="queued")

    row = json.loads(store.path.read_text())
    assert {name: row[name] for name in ("schema_version", "job_id", "status", "submitted_at", "settings")} == {
        "schema_version": 1,
        "job_id": "job-1",
        "status": "queued",
        "submitted_at": "2026-11-22T12:03:00Z",
        "settings": {"seed": 1},
    }


def test_news_of_a_job_before_a_forced_one_go_to_its_own_record(tmp_path: Path) -> None:
    """One plan has several jobs then: each has a record, and none is written over another's."""
    store = JobStore(tmp_path / "job [1].json")
    records = [store.save(store.open(plan()), job_id="job-1")]
    for number in (2, 3):
        records.append(store.save(store.renew(records[-1], plan()), job_id=f"job-{number}"))

    news = [store.save(record, status=f"of {record.job_id}") for record in records]

    archived = f"job [1].{plan().file_hash[:12]}-{plan().settings_hash[:8]}"
    assert names(tmp_path) == [f"{archived}.2.json", f"{archived}.json", "job [1].json"]
    on_disk = [tmp_path / name for name in (f"{archived}.json", f"{archived}.2.json", "job [1].json")]
    assert [JobRecord.model_validate_json(path.read_bytes()) for path in on_disk] == news


def test_news_of_a_job_whose_record_is_gone_do_not_overwrite_a_forced_one(tmp_path: Path) -> None:
    """They get a record beside it."""
    store = JobStore(tmp_path / "job.json")
    first = store.save(store.open(plan()), job_id="job-1")
    forced = store.renew(first, plan())
    archived = tmp_path / f"job.{plan().file_hash[:12]}-{plan().settings_hash[:8]}.json"
    archived.unlink()

    news = store.save(first, status="succeeded")

    assert JobRecord.model_validate_json(archived.read_bytes()) == news
    assert store.find(plan()) == forced


def test_a_renewed_record_is_of_the_same_plan_and_forced(tmp_path: Path) -> None:
    """The earlier one is kept, with its job."""
    store = JobStore(tmp_path / "job.json", now=Clock())
    first = store.save(store.open(plan()), job_id="job-1")

    forced = store.renew(first, plan())

    assert (forced.belongs_to(plan()), forced.forced, forced.job_id, forced.earlier_jobs) == (True, True, None, None)
    assert len(names(tmp_path)) == 2
