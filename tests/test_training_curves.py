"""How a training went: curves, checkpoints and progress, from what services tell of them."""

from __future__ import annotations

import base64
import math
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from finetuning_service import (
    KEY,
    SUCCEEDED,
    TUNED,
    Service,
    refusal,
    started,
    write_examples,
)

from llama_index_ft_rag.errors import (
    MissingExtraError,
)
from llama_index_ft_rag.finetuning import (
    Checkpoint,
    FinetuneEvent,
    OpenAIFinetuneEngine,
    TrainingProgress,
    read_progress,
)


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


HEADER = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
RESULTS = f"{HEADER}\n1,1.25,0.5,,\n2,1.0,0.625,1.5,0.5\n3,0.75,0.75,-1,-1\n"
CURVES = {
    "train_loss": [1.25, 1.0, 0.75],
    "train_mean_token_accuracy": [0.5, 0.625, 0.75],
    "valid_loss": [None, 1.5, None],
    "valid_mean_token_accuracy": [None, 0.5, None],
}


def trained(service: Service, data_path: Path, *events: dict[str, Any], results: Any = None) -> OpenAIFinetuneEngine:
    """An engine whose job has succeeded; the service's log is newest first."""
    service.events = [{"id": f"e{number}", **event} for number, event in enumerate(events)][::-1]
    files: list[str] = []
    if results is not None:
        service.contents["file-r"] = results
        files = ["file-r"]
    return started(service, data_path, {**SUCCEEDED, "result_files": files})


def metrics(step: int, **figures: Any) -> dict[str, Any]:
    """An event with figures, as OpenAI sends them."""
    return {"type": "metrics", "message": f"Step {step}/3", "data": {"step": step, "total_steps": 3, **figures}}


def columns(engine: OpenAIFinetuneEngine) -> dict[str, list[float | None]]:
    """The curves as lists, with None where nothing was measured."""
    frame = engine.metrics()
    return {name: [None if math.isnan(value) else value for value in frame[name]] for name in frame.columns}


def test_curves_come_from_the_events_alone(service: Service, data_path: Path) -> None:
    """One row per step, training and validation beside each other."""
    engine = trained(
        service,
        data_path,
        {"message": "Created"},
        metrics(1, train_loss=1.25, train_mean_token_accuracy=0.5),
        metrics(2, train_loss=1.0, valid_loss=1.5, full_valid_loss=1.375),
        {"message": "Done", "data": None},
    )

    frame = engine.metrics()

    assert (frame.index.name, list(frame.index)) == ("step", [1, 2])
    assert columns(engine) == {
        "train_loss": [1.25, 1.0],
        "train_mean_token_accuracy": [0.5, None],
        "valid_loss": [None, 1.5],
        "full_valid_loss": [None, 1.375],
    }


@pytest.mark.parametrize(
    "content",
    [
        RESULTS.encode(),
        base64.b64encode(RESULTS.encode()),
        base64.b64encode(RESULTS.encode()) + b"\n",
        base64.encodebytes(RESULTS.encode()),
        ("\ufeff" + RESULTS).encode(),
        RESULTS.replace("\n", "\r\n").encode(),
        RESULTS.removesuffix("\n").encode(),
    ],
    ids=["plain", "base64", "base64 with a line end", "base64 in lines", "BOM", "CRLF", "no last line end"],
)
def test_curves_come_from_the_result_file_alone(service: Service, data_path: Path, content: bytes) -> None:
    """A CSV, plain or in base64; -1 and empty cells are what was not measured."""
    assert columns(trained(service, data_path, results=content)) == CURVES


def test_where_both_tell_of_a_step_the_file_is_taken(service: Service, data_path: Path) -> None:
    """And what only one of them knows is kept."""
    results = b"step,train_loss\n1,1.2\n3,0.9\n"
    engine = trained(
        service, data_path, metrics(1, train_loss=9.0, valid_loss=2.0), metrics(2, train_loss=1.0), results=results
    )

    assert columns(engine) == {"train_loss": [1.2, 1.0, 0.9], "valid_loss": [2.0, None, None]}


HOSTILE = {
    "empty": (b"", []),
    "a page": (b"<html>", []),
    "only a header": (b"step,train_loss\n", []),
    "bytes": (bytes(range(256)), []),
    "zeros": (b"step,train_loss\n\x00\x00\n1,0.5\n", [0.5]),
    "too many cells": (b"step,train_loss\n1,0.5,7,8,9\n", [0.5]),
    "too few cells": (b"step,train_loss\n1\n2,0.5\n", [0.5]),
    "no numbers": (b"step,train_loss\none,two\n2,0.5\n", [0.5]),
    "no finite numbers": (b"step,train_loss\n1,nan\n2,inf\n3,-inf\n4,1e999\n5,0.5\n", [0.5]),
    "a formula": (b"step,train_loss\n1,=1+1\n2,0.5\n", [0.5]),
    "steps beyond whole numbers": (b"step,train_loss\n1.5,1\n-1,1\n,1\n2.0,0.5\n", [0.5]),
    "a step twice": (b"step,train_loss\n1,0.9\n1,0.5\n", [0.5]),
    "a header twice": (b"step,train_loss\n1,0.5\nstep,train_loss\n", [0.5]),
    "an endless cell": (b"step,train_loss\n1," + b"9" * 200_000 + b"\n", []),
    "an open quote": (b'step,train_loss\n1,0.5\n2,"x', [0.5]),
    "other columns": (b"step,reward,train_loss\n1,0.1,0.5\n", [0.5]),
}


@pytest.mark.parametrize(("content", "losses"), HOSTILE.values(), ids=HOSTILE)
def test_a_result_file_of_anything_breaks_nothing(
    service: Service, data_path: Path, content: bytes, losses: list[float]
) -> None:
    """What can be read as figures of a step is taken, the rest left out."""
    frame = trained(service, data_path, results=content).metrics()

    assert list(frame.get("train_loss", [])) == losses


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_without_the_result_file_the_events_tell(service: Service, data_path: Path, status: int) -> None:
    """It may be deleted, or not be given out."""
    engine = trained(service, data_path, metrics(1, train_loss=0.5), results=b"")
    service.refusals["GET", "/v1/files/file-r/content"] = [(status, refusal("no"))]

    assert columns(engine) == {"train_loss": [0.5]}


ODD_DATA = {
    "null": None,
    "a list": [1, 2],
    "a text": "step 1",
    "no step": {"train_loss": 0.1},
    "step null": {"step": None, "train_loss": 0.1},
    "step a text": {"step": "first", "train_loss": 0.1},
    "no figures": {"step": 7},
    "figures null": {"step": 7, "train_loss": None},
    "a figure true": {"step": 7, "train_loss": True},
    "a figure a list": {"step": 7, "train_loss": [0.1]},
}


@pytest.mark.parametrize("data", ODD_DATA.values(), ids=ODD_DATA)
def test_an_event_of_any_shape_breaks_no_curve(service: Service, data_path: Path, data: Any) -> None:
    """It has no part in it."""
    engine = trained(service, data_path, {"message": "odd", "data": data}, metrics(1, train_loss=0.5))

    assert (list(engine.metrics().index), columns(engine)) == ([1], {"train_loss": [0.5]})


def test_before_the_first_step_there_are_no_curves(service: Service, data_path: Path) -> None:
    """An empty table, not an error."""
    engine = started(service, data_path, {"status": "running"})
    service.events = []

    assert (engine.metrics().shape, engine.metrics().index.name) == ((0, 0), "step")


def test_without_pandas_the_error_says_what_to_install(
    service: Service, data_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else works without it."""
    engine = trained(service, data_path, metrics(1, train_loss=0.5))
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(MissingExtraError) as caught:
        engine.metrics()

    assert (caught.value.part, caught.value.missing) == ("metrics()", "pandas")
    assert read_progress(engine.events()) == TrainingProgress(step=1, total_steps=3, train_loss=0.5)


# --- checkpoints ---


def test_checkpoints_come_in_the_order_of_their_steps(service: Service, data_path: Path) -> None:
    """Whatever a service leaves out of them; one without a model's name is none."""
    service.page_size = 2
    service.checkpoints = [
        {"id": "c3", "fine_tuned_model_checkpoint": "ft:m:ckpt-step-20", "step_number": 20, "created_at": 1_760_000_000,
         "metrics": {"train_loss": 0.5, "valid_loss": 0.75, "step": 20, "full_valid_loss": None, "new_figure": 1}},
        {"id": "c2", "fine_tuned_model_checkpoint": "ft:m:ckpt-step-10", "step_number": 10, "metrics": None},
        {"id": "c1", "step_number": 5},
        {"id": "c0", "fine_tuned_model_checkpoint": "ft:m:ckpt", "step_number": None, "created_at": "soon"},
        {"id": "c9", "fine_tuned_model_checkpoint": ""},
    ]  # fmt: skip
    engine = started(service, data_path, SUCCEEDED)

    assert engine.checkpoints() == [
        Checkpoint(model="ft:m:ckpt-step-10", id="c2", step=10),
        Checkpoint(
            model="ft:m:ckpt-step-20",
            id="c3",
            step=20,
            created_at=datetime(2025, 10, 9, 8, 53, 20, tzinfo=timezone.utc),
            metrics={"train_loss": 0.5, "valid_loss": 0.75},
        ),
        Checkpoint(model="ft:m:ckpt", id="c0"),
    ]


def test_a_checkpoint_is_asked_like_the_tuned_model(service: Service, data_path: Path) -> None:
    """At the same endpoint with the same key, given as what `checkpoints()` returned or by its name."""
    name = f"{TUNED}:ckpt-step-10"
    service.checkpoints = [{"id": "c1", "fine_tuned_model_checkpoint": name, "step_number": 10}]
    engine = started(service, data_path, {"status": "running"})

    [checkpoint] = engine.checkpoints()
    llms: list[Any] = [engine.get_checkpoint_model(checkpoint, temperature=0.3), engine.get_checkpoint_model(name)]

    assert [llm.complete("How?").text for llm in llms] == ["Tuned.", "Tuned."]
    assert [(chat["model"], chat["temperature"]) for chat in service.chats] == [(name, 0.3), (name, 0.0)]
    assert service.requests[-1].headers["authorization"] == f"Bearer {KEY}"


# --- progress ---


def event(message: str, **data: Any) -> FinetuneEvent:
    """A line of a log."""
    return FinetuneEvent(created_at=None, level="info", message=message, data=data)


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([event("Step 90/90: training loss=0.00")], "step 90 of 90"),
        ([event("Step 10: training loss=0.50")], "step 10"),
        ([event("", step=1500, total_steps=3000, train_loss=0.51234)], "step 1,500 of 3,000, training loss 0.512"),
        ([event("", step=1, train_loss=0.5, valid_loss=0.75)], "step 1, training loss 0.500, validation loss 0.750"),
        ([event("", step=2), event("", step=1, train_loss=9.0)], "step 2"),
        ([event("Fine-tuning job started"), event("Step by step, loss", step=3)], "step 3"),
    ],
)
def test_progress_is_one_line(events: list[FinetuneEvent], line: str) -> None:
    """Of the furthest step, from figures or from what is written."""
    progress = read_progress(events)
    assert progress is not None

    assert progress.render() == line


def test_progress_says_when_the_service_expects_the_end() -> None:
    """In UTC."""
    finish = datetime(2026, 11, 25, 3, 4, tzinfo=timezone.utc)
    progress = read_progress([event("", step=1)], estimated_finish=finish)
    assert progress is not None

    assert progress.render() == "step 1, finish expected 2026-11-25 03:04 UTC"


@pytest.mark.parametrize("told", [[], [event("Created")], [event("The next Step 4 is yours")], [event("", step=-1)]])
def test_before_the_first_step_there_is_no_progress(told: list[FinetuneEvent]) -> None:
    """A sentence with a number in it is none."""
    assert read_progress(told) is None
