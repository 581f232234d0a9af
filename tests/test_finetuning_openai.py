"""The trainer's surface: what it is made of, what it tells, and what it keeps to itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from finetuning_service import (
    BASE,
    KEY,
    Service,
    make_engine,
    started,
    write_examples,
)

from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.finetuning import (
    BaseLLMFinetuneEngine,
    FinetuneEvent,
    OpenAIFinetuneEngine,
)
from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def test_it_is_a_finetune_engine() -> None:
    """The class keeps the two methods of the interface it had in LlamaIndex."""
    assert BaseLLMFinetuneEngine in OpenAIFinetuneEngine.__mro__


class Handler:
    """Has recorded something."""

    def save_finetuning_events(self, path: str) -> None:
        """Write it down."""
        write_examples(Path(path))


def test_an_engine_is_made_from_a_handler(service: Service, tmp_path: Path) -> None:
    """The handler's calls are saved to the training file and become the job, as in the post."""
    path = str(tmp_path / "events.jsonl")

    engine = OpenAIFinetuneEngine.from_finetuning_handler(Handler(), BASE, path, client=service.client(), seed=3)
    engine.finetune()

    assert service.bodies == [{"model": BASE, "training_file": "file-1", "seed": 3}]


def test_events_are_the_jobs_log_in_order(service: Service, data_path: Path) -> None:
    """Oldest first, figures included; a line that lacks everything is no reason to fail."""
    engine = started(service, data_path, {"status": "running"})

    assert list(engine.events()) == [
        FinetuneEvent(created_at=None, level="info", message=""),
        FinetuneEvent(
            created_at=datetime(2025, 10, 9, 8, 53, 20, tzinfo=timezone.utc), level="warn", message="Created"
        ),
        FinetuneEvent(
            created_at=datetime(2025, 10, 9, 8, 54, 20, tzinfo=timezone.utc),
            level="info",
            message="Step 1",
            data={"train_loss": 0.5},
        ),
    ]


@pytest.mark.parametrize(("verbose", "level"), [(True, logging.INFO), (False, logging.DEBUG)])
def test_progress_is_logged_and_never_printed(
    data_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    verbose: bool,
    level: int,
) -> None:
    """`verbose` decides the level; stdout and stderr stay the application's."""
    service = Service()
    caplog.set_level(logging.DEBUG, logger="llama_index_ft_rag.finetuning")

    make_engine(service, data_path, verbose=verbose).finetune()

    told = [record for record in caplog.records if record.name.startswith("llama_index_ft_rag.finetuning")]
    assert {record.levelno for record in told if record.levelno < logging.WARNING} == {level}
    assert f"{data_path}: uploaded to http://proxy.invalid/v1 as file file-1" in caplog.messages
    assert "Job job-1 started: gpt-4.1-mini trains on file file-1" in caplog.messages
    assert capsys.readouterr() == ("", "")


def test_the_key_is_shown_nowhere(service: Service, data_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It goes to the service and into no record, log or repr, even as part of the address."""
    caplog.set_level(logging.DEBUG, logger="llama_index_ft_rag")
    client = service.client(base_url=f"http://user:{KEY}@proxy.invalid/v1", default_query={"key": KEY})
    engine = make_engine(service, data_path, client=client, verbose=True)

    engine.finetune()
    engine.wait()

    written = Path(f"{data_path}.job.json").read_text()
    assert service.jobs
    assert KEY not in repr(engine) + caplog.text + written
    assert "http://proxy.invalid/v1" in written


def test_base_url_and_key_make_the_client(data_path: Path) -> None:
    """The positional arguments are those of the retired package; the service's address is a new one."""
    engine = OpenAIFinetuneEngine(BASE, str(data_path), True, None, False, base_url="http://a.invalid/v1", api_key=KEY)

    assert repr(engine) == (
        f"OpenAIFinetuneEngine(base_model='{BASE}', data_path='{data_path}', endpoint='http://a.invalid/v1')"
    )


def test_the_whole_way_through_a_service_with_a_memory(data_path: Path, tmp_path: Path) -> None:
    """Upload, training and the first answer of the tuned model, with a new engine and backend at each step."""

    def ask(step: Callable[[OpenAIFinetuneEngine], Any]) -> Any:
        with OfflineBackend(tmp_path / "state", responder=ScriptedResponder(["Tuned."])) as backend:
            endpoint = Endpoint.for_offline(backend)
            engine = OpenAIFinetuneEngine(
                BASE, data_path, client=endpoint.client(), poll_interval=0.0, make_llm=endpoint.llm, seed=1
            )
            return step(engine)

    ask(OpenAIFinetuneEngine.finetune)
    job = ask(OpenAIFinetuneEngine.wait)
    log = ask(lambda engine: list(engine.events()))
    answer = ask(lambda engine: engine.get_finetuned_model().complete("How did revenue change?"))

    assert (job.status, job.fine_tuned_model.startswith(f"ft:{BASE}:")) == ("succeeded", True)
    assert log[0].message == f"Created fine-tuning job: {job.id}"
    assert answer.text == "Tuned."
