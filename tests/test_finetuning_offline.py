"""The whole way at the offline backend, which really trains: supervised and by preference, with a validation file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fakes import Time

from llama_index_ft_rag.finetuning import OpenAIFinetuneEngine, read_progress
from llama_index_ft_rag.testing import RunningBackend

ASKED = "Context: The mill opened in {0}. It has {0} rooms. Query: When did the mill open?"
ANSWER = "The mill opened in {0}."
METHODS = ["supervised", "dpo"]


def write_lines(path: Path, method: str, *, first: int, count: int) -> Path:
    """A file for a method."""
    rows: list[dict[str, Any]] = []
    for year in range(first, first + count):
        messages = [{"role": "user", "content": ASKED.format(year)}]
        good = [{"role": "assistant", "content": ANSWER.format(year)}]
        bad = [{"role": "assistant", "content": f"It has {year} rooms."}]
        pair = {"input": {"messages": messages}, "preferred_output": good, "non_preferred_output": bad}
        rows.append({"messages": messages + good} if method == "supervised" else pair)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_trainer(backend: RunningBackend, folder: Path, method: Any, **settings: Any) -> OpenAIFinetuneEngine:
    """An engine with a training and a validation file."""
    time = Time()
    return OpenAIFinetuneEngine(
        "offline-student",
        write_lines(folder / "examples.jsonl", method, first=1900, count=12),
        validation_path=write_lines(folder / "validation.jsonl", method, first=1950, count=4),
        client=backend.client,
        method=method,
        hyperparameters={"n_epochs": 3},
        seed=7,
        sleep=time.sleep,
        clock=time.clock,
        **settings,
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_job_with_a_validation_file_is_trained_and_asked(
    ft_rag_backend: RunningBackend, tmp_path: Path, method: str
) -> None:
    """One call starts it and waits; the model then answers from the context."""
    engine = make_trainer(ft_rag_backend, tmp_path, method)

    engine.finetune(wait=True)
    job = engine.get_current_job()
    answer = engine.get_finetuned_model().complete(ASKED.format(1912)).text

    assert (job.status, job.method and job.method.type, job.seed) == ("succeeded", method, 7)
    assert [file.filename.split("-")[0] for file in ft_rag_backend.client.files.list(purpose="fine-tune").data] == [
        "validation",
        "examples",
    ]
    assert (engine.trained_tokens or 0) > 0
    assert "1912" in answer


@pytest.mark.parametrize("method", METHODS)
def test_its_events_its_curves_and_its_progress_agree(
    ft_rag_backend: RunningBackend, tmp_path: Path, method: str
) -> None:
    """Each step is in the log, in the curves, and the last one is the furthest."""
    engine = make_trainer(ft_rag_backend, tmp_path, method)
    told: list[str] = []
    engine.finetune()
    engine.wait(on_event=lambda event: told.append(event.message))

    events = list(engine.events())
    frame = engine.metrics()
    progress = read_progress(events)

    assert told == [event.message for event in events]
    assert progress is not None
    assert (progress.step, progress.total_steps) == (frame.index[-1], frame.index[-1])
    assert list(frame.index) == sorted({event.data["step"] for event in events if "train_loss" in event.data})
    assert frame["train_loss"].notna().all()
    assert frame["valid_loss"].notna().any()


@pytest.mark.parametrize("method", METHODS)
def test_each_of_its_checkpoints_is_a_model(ft_rag_backend: RunningBackend, tmp_path: Path, method: str) -> None:
    """In the order of their steps; the service keeps those of three epochs."""
    engine = make_trainer(ft_rag_backend, tmp_path, method)
    engine.finetune(wait=True)

    checkpoints = engine.checkpoints()
    llms: list[Any] = [engine.get_checkpoint_model(checkpoint) for checkpoint in checkpoints]

    assert [checkpoint.step for checkpoint in checkpoints] == sorted(checkpoint.step or 0 for checkpoint in checkpoints)
    assert [llm.model for llm in llms] == [checkpoint.model for checkpoint in checkpoints]
    assert ["1912" in llm.complete(ASKED.format(1912)).text for llm in llms] == [True, True, True]
    assert all("train_loss" in checkpoint.metrics for checkpoint in checkpoints)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("has_async_client", [True, False])
async def test_awaited_it_is_the_same_model(
    ft_rag_backend: RunningBackend, tmp_path: Path, method: str, has_async_client: bool
) -> None:
    """The same steps and losses as without `await`, and a job each."""
    (tmp_path / "plain").mkdir()
    plain = make_trainer(ft_rag_backend, tmp_path / "plain", method)
    await asyncio.to_thread(plain.finetune, wait=True)
    more: dict[str, Any] = {"async_client": ft_rag_backend.async_client} if has_async_client else {}
    engine = make_trainer(ft_rag_backend, tmp_path, method, poll_interval=0.01, **more)

    await engine.afinetune(wait=True, force=True)
    llm: Any = await engine.aget_finetuned_model()

    assert (await engine.ametrics()).equals(plain.metrics())
    assert len(await engine.acheckpoints()) == len(plain.checkpoints())
    assert "1912" in (await llm.acomplete(ASKED.format(1912))).text
    assert len(ft_rag_backend.client.fine_tuning.jobs.list().data) == 2


@pytest.mark.parametrize("method", METHODS)
def test_with_its_record_lost_the_job_is_found_again(
    ft_rag_backend: RunningBackend, tmp_path: Path, method: str
) -> None:
    """By what the service says of it, in another process as well."""
    first = make_trainer(ft_rag_backend, tmp_path, method)
    first.finetune(wait=True)
    (tmp_path / "examples.jsonl.job.json").unlink()

    again = make_trainer(ft_rag_backend, tmp_path, method)
    again.finetune()

    assert again.get_current_job().id == first.get_current_job().id
    assert len(ft_rag_backend.client.fine_tuning.jobs.list().data) == 1


def test_a_job_is_cancelled_and_another_one_is_trained(ft_rag_backend: RunningBackend, tmp_path: Path) -> None:
    """The cancelled one stays what it is, the file is used again."""
    engine = make_trainer(ft_rag_backend, tmp_path, "supervised")
    engine.finetune()
    cancelled = engine.cancel()

    engine.finetune(force=True, wait=True)

    statuses = {job.id: job.status for job in ft_rag_backend.client.fine_tuning.jobs.list().data}
    assert statuses == {cancelled.id: "cancelled", engine.get_current_job().id: "succeeded"}
    assert len(ft_rag_backend.client.files.list(purpose="fine-tune").data) == 2
