"""The life of a job replays from a cassette: no service, no network, no key."""

import re
from pathlib import Path

import openai
import pytest

from llama_index_ft_rag import OpenAIFinetuneEngine, TrainingExample, write_examples
from llama_index_ft_rag.offline import OfflineBackend, serve

PORT = 8321
CASSETTES = Path(__file__).parent.parent / "cassettes"


@pytest.fixture
def service(record_mode, tmp_path):
    """Where the cassettes were recorded: the offline backend's loopback door, up only while recording."""
    url = f"http://127.0.0.1:{PORT}/v1"
    if record_mode == "none":
        yield url
        return
    with OfflineBackend(tmp_path / "service", clock=lambda: 1_760_000_000.0) as backend, serve(backend, port=PORT):
        yield url


def training_file(path: Path, *, examples: int) -> Path:
    """So many questions and answers about an invented company."""
    context = "The {n} department employed {n}0 people in fiscal 2025. Its revenue was ${n}.5 million."
    prompt = (
        "Context information is below.\n---------------------\n{context}\n---------------------\n"
        "Given the context information and not prior knowledge, answer the query.\n"
        "Query: How many people did the {n} department employ?\nAnswer: "
    )
    made = []
    for number in range(2, 2 + examples):
        question = prompt.format(context=context.format(n=number), n=number)
        answer = f"The {number} department employed {number}0 people in fiscal 2025."
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        made.append(TrainingExample(messages=messages))
    write_examples(path, made, provenance=False)
    return path


def make_engine(service: str, path: Path, **settings) -> OpenAIFinetuneEngine:
    """An engine that never waits, as replies come from a file."""
    client = openai.OpenAI(base_url=service, api_key="not-recorded", max_retries=0)
    return OpenAIFinetuneEngine("offline-student", path, client=client, poll_interval=0.0, **settings)


@pytest.mark.vcr
def test_a_job_from_upload_to_answer(service, tmp_path):
    """Upload, job, tuned LLM, and its answer to a question."""
    engine = make_engine(service, training_file(tmp_path / "examples.jsonl", examples=12), seed=7)

    engine.finetune()
    job = engine.wait()
    llm = engine.get_finetuned_model(max_retries=0)
    answer = llm.complete("Context: The Harbour department employed 120 people.\nQuestion: How many people?")

    assert job.status == "succeeded"
    assert llm.metadata.model_name == job.fine_tuned_model
    assert str(answer) == "The Harbour department employed 120 people."


@pytest.mark.vcr
def test_a_job_that_is_cancelled(service, tmp_path):
    """A cancelled job says so, and has no model."""
    engine = make_engine(service, training_file(tmp_path / "examples.jsonl", examples=12), seed=8)
    engine.finetune()

    job = engine.cancel()

    assert (job.status, job.fine_tuned_model) == ("cancelled", None)


def test_no_cassette_holds_a_key_or_an_organisation():
    """What was filtered at recording is looked for again in the files."""
    secrets = re.compile(r"sk-[A-Za-z0-9_-]{16,}|Bearer |authorization|openai-organization|not-recorded", re.IGNORECASE)

    found = [path.name for path in CASSETTES.rglob("*.yaml") if secrets.search(path.read_text(encoding="utf-8"))]

    assert found == []


def test_every_cassette_belongs_to_a_test_here():
    """A cassette nobody replays proves nothing."""
    tests = {f"{name}.yaml" for name in globals() if name.startswith("test_a_job")}

    assert {path.name for path in (CASSETTES / "test_cassettes").iterdir()} == tests
