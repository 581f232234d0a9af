"""Real processes that train at a real socket: killed with SIGKILL at a request, or started at once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from finetuning_programs import Trainers, open_trainers
from finetuning_service import job_record, write_examples, write_pairs

from llama_index_ft_rag.testing import RunningBackend, hang

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, and killed with SIGKILL")


@pytest.fixture(scope="module")
def trainers() -> Iterator[Trainers]:
    """Where processes are started."""
    with open_trainers() as trainers:
        yield trainers


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def wait_for_the_hang(backend: RunningBackend) -> None:
    """Wait until a process waits for an answer that does not come."""
    deadline = time.monotonic() + 60
    while not backend.faults.log:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def at_the_service(backend: RunningBackend) -> tuple[int, list[str]]:
    """How many files there are, and which jobs."""
    files = backend.client.files.list(purpose="fine-tune").data
    return len(files), [job.id for job in backend.client.fine_tuning.jobs.list().data]


@pytest.mark.parametrize("took_effect", [True, False])
@pytest.mark.parametrize("call", range(5))
def test_killed_at_a_request_and_started_again_it_is_one_job(
    ft_rag_backend: RunningBackend, trainers: Trainers, data_path: Path, call: int, took_effect: bool
) -> None:
    """Each of the five requests, before or after the service has done what it asks."""
    ft_rag_backend.faults.add(hang(took_effect=took_effect), route="*", skip=call)
    killed = trainers.start(ft_rag_backend.url, data_path)
    wait_for_the_hang(ft_rag_backend)

    assert trainers.kill(killed) == -9
    assert trainers.end_of(trainers.start(ft_rag_backend.url, data_path)) == 0

    assert at_the_service(ft_rag_backend) == (1, [job_record(data_path)["job_id"]])


@pytest.mark.parametrize("call", [4, 8])
def test_a_preference_job_that_is_killed_is_one_job(
    ft_rag_backend: RunningBackend, trainers: Trainers, data_path: Path, call: int
) -> None:
    """With a validation file, at its upload and when the job is created."""
    write_pairs(data_path)
    write_pairs(data_path.with_name("validation.jsonl"), better="It fell.")
    ft_rag_backend.faults.add(hang(took_effect=True), route="*", skip=call - 1)
    killed = trainers.start(ft_rag_backend.url, data_path, prefers=True)
    wait_for_the_hang(ft_rag_backend)

    assert trainers.kill(killed) == -9
    assert trainers.end_of(trainers.start(ft_rag_backend.url, data_path, prefers=True)) == 0

    assert [f"{strike.method} {strike.path}" for strike in ft_rag_backend.faults.log] == [
        {4: "POST /v1/files", 8: "POST /v1/fine_tuning/jobs"}[call]
    ]
    assert at_the_service(ft_rag_backend) == (2, [job_record(data_path)["job_id"]])


def test_another_job_that_is_killed_is_one_more_job(
    ft_rag_backend: RunningBackend, trainers: Trainers, data_path: Path
) -> None:
    """Killed while the forced job is created, and started again."""
    assert trainers.end_of(trainers.start(ft_rag_backend.url, data_path)) == 0
    ft_rag_backend.faults.add(hang(took_effect=True), route="POST /v1/fine_tuning/jobs")
    killed = trainers.start(ft_rag_backend.url, data_path, force=True)
    wait_for_the_hang(ft_rag_backend)

    assert trainers.kill(killed) == -9
    assert trainers.end_of(trainers.start(ft_rag_backend.url, data_path, force=True)) == 0

    files, jobs = at_the_service(ft_rag_backend)
    assert (files, len(jobs), jobs[0]) == (1, 2, job_record(data_path)["job_id"])


def test_processes_that_start_at_once_start_one_job(
    ft_rag_backend: RunningBackend, trainers: Trainers, data_path: Path
) -> None:
    """One of them submits, the others continue with its job."""
    pids = [trainers.start(ft_rag_backend.url, data_path) for _ in range(4)]

    assert [trainers.end_of(pid) for pid in pids] == [0, 0, 0, 0]

    assert at_the_service(ft_rag_backend) == (1, [job_record(data_path)["job_id"]])


def test_a_process_that_dies_while_another_waits_hands_over(
    ft_rag_backend: RunningBackend, trainers: Trainers, data_path: Path
) -> None:
    """Its lock vanishes with it; the one that waited finishes what was begun."""
    ft_rag_backend.faults.add(hang(took_effect=True), route="POST /v1/files")
    first = trainers.start(ft_rag_backend.url, data_path)
    wait_for_the_hang(ft_rag_backend)
    second = trainers.start(ft_rag_backend.url, data_path)

    assert trainers.kill(first) == -9
    assert trainers.end_of(second) == 0

    assert at_the_service(ft_rag_backend) == (1, [job_record(data_path)["job_id"]])
