"""What went wrong in the package that this one replaces, one test for each, in the order in which it was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from finetuning_service import (
    BASE,
    CREATE,
    KEY,
    NOT_YET,
    SUCCEEDED,
    UPLOAD,
    URL,
    FakeTime,
    Service,
    make_engine,
    make_validated,
    refusal,
    started,
    write_examples,
)

from llama_index_ft_rag.catalog import model_facts
from llama_index_ft_rag.errors import (
    ExamplesError,
    FileNotAcceptedError,
    JobCancelledError,
    JobFailedError,
    JobNotReadyError,
)
from llama_index_ft_rag.finetuning import (
    OpenAIFinetuneEngine,
)
from llama_index_ft_rag.prices import tuned_price


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def test_a_request_that_cannot_succeed_is_shown_and_not_repeated_for_ever(service: Service, data_path: Path) -> None:
    """A 400 about the model is raised after one try, without a pause; it was retried every 60 s and never shown."""
    time = FakeTime()
    service.refusals[CREATE] = [(400, refusal("Model gpt-9 is not available for fine-tuning"))] * 9
    engine = make_engine(service, data_path, time=time)

    with pytest.raises(openai.BadRequestError, match="gpt-9 is not available"):
        engine.finetune()

    assert (service.count(CREATE), time.naps) == (1, [])


def test_a_file_that_is_not_ready_yet_is_waited_for_with_a_deadline(service: Service, data_path: Path) -> None:
    """The one 400 that heals is repeated, and not for ever."""
    service.refusals[CREATE] = [(400, refusal(NOT_YET))] * 999
    engine = make_engine(service, data_path, file_timeout=60.0)

    with pytest.raises(FileNotAcceptedError, match="file file-1 is still uploaded after 60 s"):
        engine.finetune()

    assert service.made == (1, 0)


@pytest.mark.parametrize(
    ("look", "error", "message"),
    [
        ({"status": "failed", "error": {"code": "c", "message": "Line 4 is bad"}}, JobFailedError, "Line 4 is bad"),
        ({"status": "cancelled"}, JobCancelledError, "was cancelled"),
        ({"status": "queued"}, JobNotReadyError, "is queued"),
    ],
)
def test_a_failed_a_cancelled_and_a_waiting_job_are_told_apart(
    service: Service, data_path: Path, look: dict[str, Any], error: type[Exception], message: str
) -> None:
    """With the service's reason; all three had one text, "not ready yet", and are still the ValueError it was."""
    engine = started(service, data_path, look)

    with pytest.raises(error, match=message) as caught:
        engine.get_finetuned_model()

    assert isinstance(caught.value, ValueError)


def test_everything_a_job_can_be_asked_is_a_parameter(service: Service, data_path: Path) -> None:
    """Each of these was a TypeError, and a job was a model and a file."""
    engine = make_validated(
        service,
        data_path,
        hyperparameters={"n_epochs": 2},
        suffix="rag",
        seed=7,
        method="supervised",
        metadata={"team": "ir"},
        integrations=[{"type": "wandb", "wandb": {"project": "rag"}}],
        file_timeout=60.0,
    )

    engine.finetune()

    assert sorted(service.bodies[0]) == [
        "hyperparameters", "integrations", "metadata", "model", "seed", "suffix", "training_file", "validation_file",
    ]  # fmt: skip


def test_the_service_is_a_parameter(data_path: Path) -> None:
    """Its address and key came from the environment alone."""
    engine = OpenAIFinetuneEngine(BASE, data_path, base_url="http://a.invalid/v1", api_key=KEY)

    assert repr(engine).endswith("endpoint='http://a.invalid/v1')")


def test_a_job_can_be_waited_for_stopped_and_looked_into(service: Service, data_path: Path) -> None:
    """There was no wait, cancel, events or checkpoints."""
    service.checkpoints = [{"id": "c1", "fine_tuned_model_checkpoint": "ft:m:ckpt-step-1", "step_number": 1}]
    engine = started(service, data_path, SUCCEEDED)

    assert (engine.wait().status, engine.cancel().status) == ("succeeded", "cancelled")
    assert ([event.message for event in engine.events()], engine.checkpoints()[0].step) == (
        ["", "Created", "Step 1"],
        1,
    )


def test_finetune_twice_is_one_upload_and_one_job(service: Service, data_path: Path) -> None:
    """In one process and in two; it was two of each."""
    engine = make_engine(service, data_path)
    engine.finetune()
    engine.finetune()
    make_engine(service, data_path).finetune()

    assert (service.count(UPLOAD), service.count(CREATE)) == (1, 1)


def test_the_tuned_llm_asks_the_service_that_trained_it(
    service: Service, data_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says; the key went to api.openai.com while the training was elsewhere."""
    monkeypatch.setenv("OPENAI_API_BASE", "http://other.invalid/v1")
    llm: Any = started(service, data_path, SUCCEEDED).get_finetuned_model()

    assert (llm.complete("How?").text, llm.api_base) == ("Tuned.", URL)
    assert [str(request.url) for request in service.requests[-2:]] == [f"{URL}/chat/completions"] * 2


BAD_ROWS = {
    "no assistant": [{"role": "user", "content": "q"}],
    "bad role": [{"role": "robot", "content": "q"}, {"role": "assistant", "content": "a"}],
    "last from the user": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "q"}],
}


@pytest.mark.parametrize("messages", [pytest.param(rows, id=name) for name, rows in BAD_ROWS.items()])
def test_validation_blocks_what_it_finds(service: Service, data_path: Path, messages: list[dict[str, str]]) -> None:
    """Nothing is sent, and the line is named; errors were printed, if found at all, and the job was started."""
    with data_path.open("a") as stream:
        stream.write(json.dumps({"messages": messages}) + "\n")

    with pytest.raises(ExamplesError, match="13"):
        make_engine(service, data_path).finetune()

    assert service.calls == []


def test_a_single_example_blocks(service: Service, data_path: Path) -> None:
    """It was uploaded, and the service refused it later."""
    with pytest.raises(ExamplesError, match="10"):
        make_engine(service, write_examples(data_path, count=1)).finetune()

    assert service.calls == []


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
GOOD_ROWS: dict[str, list[dict[str, Any]]] = {
    "tool calls": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [CALL]}],
    "a weight": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 1}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, {"role": "assistant", "content": "a"}],
}


@pytest.mark.parametrize("messages", [pytest.param(rows, id=name) for name, rows in GOOD_ROWS.items()])
def test_valid_examples_of_every_kind_pass(service: Service, data_path: Path, messages: list[dict[str, Any]]) -> None:
    """Each of them ended in a TypeError."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    row: dict[str, Any] = {"messages": messages}
    if "tool_calls" in messages[-1]:
        row["tools"] = [tool]
    data_path.write_text(data_path.read_text() + json.dumps(row) + "\n")

    make_engine(service, data_path).finetune()

    assert service.made == (1, 1)


@pytest.mark.parametrize(
    "text", ["", "\n", "[1]\n", "{\n", "7\n"], ids=["empty", "blank", "a list", "torn", "a number"]
)
def test_a_file_that_holds_no_examples_is_one_sentence(service: Service, data_path: Path, text: str) -> None:
    """With the file's name; it was an IndexError, JSONDecodeError or TypeError without one."""
    data_path.write_text(text)

    with pytest.raises(ExamplesError, match=r"examples\.jsonl"):
        make_engine(service, data_path).finetune()

    assert service.calls == []


def test_training_needs_no_network_but_the_services(
    service: Service, data_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens are counted without a download; without the tables it died before the upload. The network is off here."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "nothing here"))

    make_engine(service, data_path).finetune()

    assert service.made == (1, 1)


def test_prices_and_limits_are_those_of_the_model_with_source_and_date() -> None:
    """One price of August 2023, one limit and one tokenizer were taken for every model."""
    facts = [model_facts(name) for name in ("gpt-3.5-turbo-0613", "gpt-4o-mini", "ft:gpt-4.1-mini:acme::1")]
    prices = [tuned_price(name) for name in ("gpt-4.1", "gpt-4.1-mini")]

    assert [(fact.max_example_tokens, fact.encoding) for fact in facts] == [
        (4096, "cl100k_base"),
        (65_536, "o200k_base"),
        (65_536, "o200k_base"),
    ]
    assert [price.training for price in prices if price] == [25.0, 5.0]
    assert all(price and price.source and price.as_of for price in prices)


PROGRAM = """
import logging, sys
root = logging.getLogger()
before = (root.level, list(root.handlers))
from llama_index_ft_rag import OpenAIFinetuneEngine
assert (root.level, list(root.handlers)) == before
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
logging.getLogger("app").info("hello")
"""


def test_importing_sets_up_no_logging_and_prints_nothing() -> None:
    """An application's lines come once; they came twice, on stdout."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "hello\n")


def test_training_prints_nothing(service: Service, data_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Least of all the examples; the first one went to stdout."""
    engine = make_engine(service, data_path, verbose=True)
    engine.finetune(wait=True)
    engine.get_finetuned_model()

    assert capsys.readouterr() == ("", "")
