"""The life of fine-tuning jobs, replayed from cassettes: no service, no network, no key."""

import json
import time
from pathlib import Path

import openai
import pytest

from llama_index_ft_rag import OpenAIFinetuneEngine, TrainingExample, write_examples
from llama_index_ft_rag.errors import JobFailedError, TrainingNotAvailableError
from llama_index_ft_rag.offline import ServiceConditions

PROMPT = (
    "Context information is below.\n---------------------\n{context}\n---------------------\n"
    "Given the context information and not prior knowledge, answer the query.\nQuery: {question}\nAnswer: "
)
CONTEXT = "The {n} department employed {n}0 people in fiscal 2025. Its revenue was ${n}.5 million."
QUESTION = "How many people did the {n} department employ?"
ANSWER = "The {n} department employed {n}0 people in fiscal 2025."
OTHER_ANSWER = "Its revenue was ${n}.5 million."


def ask(number: int) -> list[dict]:
    """The prompt about one department."""
    content = PROMPT.format(context=CONTEXT.format(n=number), question=QUESTION.format(n=number))
    return [{"role": "user", "content": content}]


def training_file(path: Path, *, examples: int) -> Path:
    """So many questions and answers about an invented company."""
    made = [
        TrainingExample(messages=[*ask(number), {"role": "assistant", "content": ANSWER.format(n=number)}])
        for number in range(2, 2 + examples)
    ]
    write_examples(path, made, provenance=False)
    return path


def preference_lines(pairs: int) -> bytes:
    """The right answer preferred over another sentence of the context."""
    rows = [
        {
            "input": {"messages": ask(number), "tools": [], "parallel_tool_calls": True},
            "preferred_output": [{"role": "assistant", "content": ANSWER.format(n=number)}],
            "non_preferred_output": [{"role": "assistant", "content": OTHER_ANSWER.format(n=number)}],
        }
        for number in range(2, 2 + pairs)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def make_client(service) -> openai.OpenAI:
    """A client that asks once."""
    return openai.OpenAI(base_url=service.url, api_key=service.key, max_retries=0)


def pause(service, record_mode) -> float:
    """Seconds between two looks: only a real service, while it is being recorded, needs time."""
    return 0.0 if record_mode == "none" or service.is_offline else 20.0


def make_engine(service, record_mode, path: Path, **settings) -> OpenAIFinetuneEngine:
    """An engine that waits no longer than it has to."""
    return OpenAIFinetuneEngine(
        service.models["student"],
        path,
        client=make_client(service),
        poll_interval=pause(service, record_mode),
        **settings,
    )


@pytest.mark.vcr
def test_a_job_from_upload_to_answer(service, record_mode, tmp_path):
    """Upload, job, events, tuned LLM, and its answer to a question."""
    engine = make_engine(service, record_mode, training_file(tmp_path / "examples.jsonl", examples=12), seed=7)

    engine.finetune()
    job = engine.wait()
    llm = engine.get_finetuned_model(max_retries=0)
    answer = llm.complete(ask(40)[0]["content"])

    assert job.status == "succeeded"
    assert llm.metadata.model_name == job.fine_tuned_model
    assert any("train_loss" in event.data for event in engine.events())
    assert "400" in str(answer)


@pytest.mark.vcr
def test_a_preference_job(service, record_mode):
    """Pairs go in, `method` is told back, checkpoints and a model come out, and the model answers."""
    client = make_client(service)
    uploaded = client.files.create(file=("pairs.jsonl", preference_lines(12)), purpose="fine-tune")
    method = {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2, "beta": 0.1}}}
    job = client.fine_tuning.jobs.create(
        model=service.models["student"], training_file=uploaded.id, method=method, seed=7
    )

    client.files.wait_for_processing(uploaded.id, poll_interval=pause(service, record_mode))
    for _ in range(500):
        if job.status in ("succeeded", "failed", "cancelled"):
            break
        time.sleep(pause(service, record_mode))
        job = client.fine_tuning.jobs.retrieve(job.id)
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))
    answer = client.chat.completions.create(model=job.fine_tuned_model, messages=ask(40))

    assert (job.status, job.method.type, job.method.dpo.hyperparameters.beta) == ("succeeded", "dpo", 0.1)
    assert [checkpoint.fine_tuning_job_id for checkpoint in checkpoints] == [job.id] * 2
    assert "400" in answer.choices[0].message.content


@pytest.mark.vcr
def test_a_job_that_is_cancelled(service, record_mode, tmp_path):
    """A cancelled job says so, and has no model."""
    engine = make_engine(service, record_mode, training_file(tmp_path / "examples.jsonl", examples=12), seed=8)
    engine.finetune()

    job = engine.cancel()

    assert (job.status, job.fine_tuned_model) == ("cancelled", None)


@pytest.mark.vcr
def test_a_job_that_fails(service, record_mode, tmp_path):
    """Nine examples are one too few: the service's own reason reaches the user."""
    path = training_file(tmp_path / "examples.jsonl", examples=9)
    engine = make_engine(service, record_mode, path, validate_json=False)
    engine.finetune()

    with pytest.raises(JobFailedError, match="must have at least 10 examples") as caught:
        engine.wait()

    assert (caught.value.code, caught.value.param) == ("invalid_n_examples", "training_file")


@pytest.mark.vcr
@pytest.mark.offline_service(conditions=ServiceConditions(training="closed"))
def test_an_organisation_that_may_not_train(service, record_mode, tmp_path):
    """The upload still works, the job does not, and the error says that nothing was charged."""
    engine = make_engine(service, record_mode, training_file(tmp_path / "examples.jsonl", examples=12))

    with pytest.raises(TrainingNotAvailableError, match="charged") as caught:
        engine.finetune()

    assert caught.value.file_id.startswith("file-")
