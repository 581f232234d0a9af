"""Fine-tuning jobs of the offline backend, through the openai client."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from llama_index_ft_rag.offline import (
    ApiFailure,
    ChatReply,
    ChatRequest,
    OfflineBackend,
    Request,
    ScriptedResponder,
    TrainRequest,
    TrainStep,
    open_clients,
)


class Learner(ScriptedResponder):
    """Learns the last answer by heart; its weights depend on seed, epochs and lines, as real ones do."""

    def __init__(self, *, interruptions: int = 0, failure: ApiFailure | None = None) -> None:
        super().__init__(self.answer)
        self.interruptions = interruptions
        self.failure = failure

    def models(self) -> list[str]:
        return ["offline-teacher", "offline-student"]

    def answer(self, request: ChatRequest) -> ChatReply:
        weights = self.loaded.get(request.model, {})
        return ChatReply(content=str(weights.get("answer", "untrained")))

    def train(self, request: TrainRequest, on_step: Callable[[TrainStep], None]) -> dict[str, Any] | ApiFailure:
        generator = random.Random(request.seed)
        on_step(TrainStep(step=1, total_steps=2, epoch=1, train_loss=0.75, train_accuracy=0.5))
        if self.interruptions:
            self.interruptions -= 1
            raise KeyboardInterrupt
        if self.failure is not None:
            return self.failure
        on_step(TrainStep(step=2, total_steps=2, epoch=request.n_epochs, train_loss=0.25))
        weights = [generator.random() * len(line["messages"]) for line in request.lines]
        return {"weights": weights, "answer": request.lines[-1]["messages"][-1]["content"], "base": request.base_model}


def training_file(count: int = 10, *, bad: dict[int, object] | None = None) -> bytes:
    """Make a training file of `count` lines, some of them replaced."""
    rows: list[object] = [
        {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}]}
        for n in range(1, count + 1)
    ]
    for number, row in (bad or {}).items():
        rows[number - 1] = row
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def start(client: openai.OpenAI, data: bytes | None = None, **settings: Any) -> FineTuningJob:
    """Upload a training file and create a job on it."""
    uploaded = client.files.create(file=("train.jsonl", data or training_file()), purpose="fine-tune")
    return client.fine_tuning.jobs.create(model="offline-student", training_file=uploaded.id, **settings)


def finish(client: openai.OpenAI, job: FineTuningJob) -> FineTuningJob:
    """Look at a job until it has ended."""
    for _ in range(5):
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    """A client of a backend that learns, at a fixed time."""
    with OfflineBackend(responder=Learner(), clock=lambda: 1_800_000_000.0) as backend:
        yield open_clients(backend).sync


def test_a_job_from_start_to_end(client: openai.OpenAI) -> None:
    """Each look moves a job on by one state; in the end its model answers, and its object says all."""
    job = start(client, suffix="My Run!", metadata={"a": "b"})
    looks = [client.fine_tuning.jobs.retrieve(job.id) for _ in range(4)]
    last = looks[-1]

    assert job.status == "validating_files"
    assert [look.status for look in looks] == ["queued", "running", "succeeded", "succeeded"]
    assert last.fine_tuned_model.rpartition(":")[0] == "ft:offline-student:ft-rag:my-run-"
    assert (last.hyperparameters.n_epochs, last.trained_tokens, last.error.code) == (10, 800, None)
    assert (last.created_at, last.finished_at, last.metadata) == (1_800_000_000, 1_800_000_000, {"a": "b"})
    reply = client.chat.completions.create(model=last.fine_tuned_model, messages=[{"role": "user", "content": "q"}])
    assert reply.choices[0].message.content == "a10"


def test_events_tell_the_training(client: openai.OpenAI) -> None:
    """Events come newest first, page by page, with the losses as metrics; asking for them moves nothing."""
    job = finish(client, start(client, hyperparameters={"n_epochs": 2, "batch_size": 4}))
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=3))

    assert [(event.level, event.type, event.message) for event in reversed(events)] == [
        ("info", "message", f"Created fine-tuning job: {job.id}"),
        ("info", "message", f"Validating training file: {job.training_file}"),
        ("info", "message", "Files validated, moving job to queued state"),
        ("info", "message", "Fine-tuning job started"),
        ("warn", "message", "The offline trainers do not use batch_size"),
        ("info", "metrics", "Step 1/2: training loss=0.75"),
        ("info", "metrics", "Step 2/2: training loss=0.25"),
        ("info", "message", f"New fine-tuned model created: {job.fine_tuned_model}"),
        ("info", "message", "Fine-tuning job successfully completed"),
    ]
    assert events[3].data == {"step": 1, "total_steps": 2, "train_loss": 0.75, "train_mean_token_accuracy": 0.5}
    assert len({event.id for event in events}) == 9


def test_result_file(client: openai.OpenAI) -> None:
    """A succeeded job leaves its metrics as a file."""
    job = finish(client, start(client))
    [result] = job.result_files

    assert client.files.retrieve(result).purpose == "fine-tune-results"
    assert client.files.content(result).text == "step,train_loss,train_accuracy\n1,0.75,0.5\n2,0.25,\n"


async def test_async_job() -> None:
    """The asynchronous client does the same."""
    with OfflineBackend(responder=Learner()) as backend:
        client = open_clients(backend).asynchronous
        uploaded = await client.files.create(file=training_file(), purpose="fine-tune")
        job = await client.fine_tuning.jobs.create(model="offline-student", training_file=uploaded.id)
        statuses = [(await client.fine_tuning.jobs.retrieve(job.id)).status for _ in range(3)]

    assert statuses == ["queued", "running", "succeeded"]


def test_list_moves_nothing(client: openai.OpenAI) -> None:
    """A list shows the jobs, newest first, as they are."""
    first, second = start(client), start(client)
    jobs = list(client.fine_tuning.jobs.list(limit=1))

    assert [(job.id, job.status) for job in jobs] == [
        (second.id, "validating_files"),
        (first.id, "validating_files"),
    ]


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_cancel(client: openai.OpenAI, looks: int) -> None:
    """A job can be cancelled until it has ended, has no model then, and stays so."""
    job = start(client)
    for _ in range(looks):
        client.fine_tuning.jobs.retrieve(job.id)
    client.fine_tuning.jobs.cancel(job.id)
    later = client.fine_tuning.jobs.retrieve(job.id)

    assert (later.status, later.fine_tuned_model, later.finished_at) == ("cancelled", None, 1_800_000_000)
    with pytest.raises(openai.BadRequestError, match="already completed"):
        client.fine_tuning.jobs.cancel(job.id)


def test_too_few_examples(client: openai.OpenAI) -> None:
    """Nine examples fail the job, not the request, with the service's code, param and words."""
    job = finish(client, start(client, training_file(9)))

    assert (job.status, job.fine_tuned_model, job.trained_tokens) == ("failed", None, None)
    assert job.error.to_dict() == {
        "code": "invalid_n_examples",
        "message": "Training file has 9 example(s), but must have at least 10 examples",
        "param": "training_file",
    }


USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "q", "completion": "a"}, "has no messages: expected chat messages"),
        ({"input": {}, "preferred_output": []}, "is a preference pair, but the job's method is supervised"),
        ({"messages": []}, "cannot be read: messages is empty; at least one message is needed"),
        (
            {"messages": [USER, {"role": "assistant", "content": None}]},
            "cannot be read: messages[1].content is missing; only a tool call may go without",
        ),
        ({"messages": [USER]}, "does not end with a message from the assistant"),
        (
            {"messages": [{**USER, "weight": 1}, ANSWER]},
            "has a weight on a message from the user; only the assistant's may have one",
        ),
        ({"messages": [USER, {**ANSWER, "weight": 0.5}]}, "has a weight other than 0 or 1"),
        (
            {"messages": [USER, {**ANSWER, "content": "x <|fim_suffix|>"}]},
            "message contains an invalid token: <|fim_suffix|>",
        ),
    ],
)
def test_bad_example_is_named(client: openai.OpenAI, row: object, reason: str) -> None:
    """A file with an example that is no chat to learn from fails the job, which names the example."""
    job = finish(client, start(client, training_file(12, bad={7: row})))

    assert (job.status, job.error.code, job.error.param) == ("failed", "invalid_training_file", "training_file")
    assert job.error.message == f"Invalid file format. Example 7 {reason}"


def test_weights_and_tool_calls_are_fine(client: openai.OpenAI) -> None:
    """Assistant turns with a weight, with text parts, or with tool calls and no content are accepted."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tool_turn = {"role": "assistant", "tool_calls": [call]}
    parts = {"role": "user", "content": [{"type": "text", "text": "q"}]}
    row = {"messages": [parts, tool_turn, {"role": "tool", "content": "r"}, {**ANSWER, "weight": 1}]}

    assert finish(client, start(client, training_file(10, bad={1: row}))).status == "succeeded"


def test_validation_file(client: openai.OpenAI) -> None:
    """A validation file is checked, may be short, and the job says that it gives no metrics."""
    good = client.files.create(file=training_file(1), purpose="fine-tune").id
    bad = client.files.create(file=training_file(1, bad={1: {}}), purpose="fine-tune").id
    used = finish(client, start(client, validation_file=good))
    failed = finish(client, start(client, validation_file=bad))

    messages = [event.message for event in client.fine_tuning.jobs.list_events(used.id)]
    assert "The offline backend computes no validation metrics" in messages
    assert (used.status, failed.error.code, failed.error.param) == (
        "succeeded",
        "invalid_validation_file",
        "validation_file",
    )


@pytest.mark.parametrize("looks", [0, 2])
def test_training_file_deleted_meanwhile(client: openai.OpenAI, looks: int) -> None:
    """A job whose file is deleted before it was read fails, and says so."""
    job = start(client)
    for _ in range(looks):
        client.fine_tuning.jobs.retrieve(job.id)
    client.files.delete(job.training_file)
    failed = finish(client, job)

    assert (failed.status, failed.error.code) == ("failed", "invalid_training_file")
    assert failed.error.message == f"File {job.training_file} was deleted before the job could read it"


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"training_file": "file-gone"}, "training_file"),
        ({"validation_file": "file-gone"}, "validation_file"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"metadata": {"k": "v" * 513}}, "metadata"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "metadata"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": 3}, "hyperparameters"),
        ({"hyperparameters": {"learning_rate_multiplier": 0}}, "hyperparameters.learning_rate_multiplier"),
        ({"method": {"type": "dpo", "dpo": {}}}, "method"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations"),
    ],
)
def test_refused_requests(client: openai.OpenAI, settings: dict[str, Any], param: str) -> None:
    """What is wrong or does not exist offline is a 400 that names the parameter, and makes no job."""
    uploaded = client.files.create(file=training_file(), purpose="fine-tune")
    body = {"model": "offline-student", "training_file": uploaded.id, **settings}
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.jobs.create(**body)

    assert caught.value.param == param
    assert list(client.fine_tuning.jobs.list()) == []


def test_wrong_purpose(client: openai.OpenAI) -> None:
    """A file that was not uploaded for fine-tuning cannot be trained on."""
    uploaded = client.files.create(file=training_file(), purpose="user_data")
    with pytest.raises(openai.BadRequestError, match="has purpose 'user_data'"):
        client.fine_tuning.jobs.create(model="offline-student", training_file=uploaded.id)


@pytest.mark.parametrize("model", ["gpt-9", "offline-teacher"])
def test_model_that_cannot_be_tuned(client: openai.OpenAI, model: str) -> None:
    """Unknown models, and known ones that do not learn, are refused; an unknown file is told first."""
    uploaded = client.files.create(file=training_file(), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError) as by_model:
        client.fine_tuning.jobs.create(model=model, training_file=uploaded.id)
    with pytest.raises(openai.BadRequestError) as by_file:
        client.fine_tuning.jobs.create(model=model, training_file="file-gone")

    assert by_model.value.code == "model_not_available"
    assert (by_file.value.param, by_file.value.body["message"]) == ("training_file", "No file with ID: file-gone")


def test_unknown_job(client: openai.OpenAI) -> None:
    """A job that does not exist is 404 `fine_tune_not_found` for every request."""
    jobs = client.fine_tuning.jobs
    for call in (jobs.retrieve, jobs.cancel, jobs.list_events):
        with pytest.raises(openai.NotFoundError, match="Could not find fine tune: ftjob-1") as caught:
            call("ftjob-1")
        assert (caught.value.code, caught.value.param) == ("fine_tune_not_found", "fine_tune_id")


def test_trainer_refuses() -> None:
    """A training that fails ends the job as failed, with the trainer's code."""
    failure = ApiFailure(message="The job failed due to an internal error", code="server_error")
    with OfflineBackend(responder=Learner(failure=failure)) as backend:
        client = open_clients(backend).sync
        job = finish(client, start(client))

    assert job.status == "failed"
    assert job.error.to_dict() == {
        "code": "server_error",
        "message": "The job failed due to an internal error",
        "param": None,
    }


def test_method_and_epochs(client: openai.OpenAI) -> None:
    """`method` carries hyperparameters too; a tuned model can be tuned on; many examples get few epochs."""
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    first = finish(client, start(client, method=method))
    again = client.fine_tuning.jobs.create(
        model=first.fine_tuned_model,
        training_file=client.files.create(file=training_file(50), purpose="fine-tune").id,
        hyperparameters={"learning_rate_multiplier": 0.5},
    )
    second = finish(client, again)

    assert (first.hyperparameters.n_epochs, second.hyperparameters.n_epochs) == (2, 3)
    assert second.fine_tuned_model.startswith("ft:offline-student:ft-rag::")
    assert second.fine_tuned_model != first.fine_tuned_model


def test_epochs_of_a_large_file(client: openai.OpenAI) -> None:
    """Very many examples are seen fewer than three times."""
    assert finish(client, start(client, training_file(9000))).hyperparameters.n_epochs == 2


def test_deleted_tuned_model(client: openai.OpenAI) -> None:
    """A tuned model is listed and answers until it is deleted."""
    model = finish(client, start(client)).fine_tuned_model
    listed = [item.id for item in client.models.list()]
    owner = client.models.retrieve(model).owned_by
    client.models.delete(model)

    assert (listed[-1], owner) == (model, "org-offline")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=model, messages=[USER])


def test_restart_continues(tmp_path: Path) -> None:
    """A backend opened again goes on where the job stood, and serves the tuned model after that too."""
    statuses = []
    with OfflineBackend(tmp_path, responder=Learner()) as backend:
        job = start(open_clients(backend).sync)
    for _ in range(3):
        with OfflineBackend(tmp_path, responder=Learner()) as backend:
            job = open_clients(backend).sync.fine_tuning.jobs.retrieve(job.id)
            statuses.append(job.status)
    with OfflineBackend(tmp_path, responder=Learner()) as backend:
        reply = open_clients(backend).sync.chat.completions.create(model=job.fine_tuned_model, messages=[USER])

    assert statuses == ["queued", "running", "succeeded"]
    assert reply.choices[0].message.content == "a10"


def test_killed_training_runs_again_to_the_same_weights(tmp_path: Path) -> None:
    """A training that was killed leaves no trace, and runs again to the weights of one that was not."""
    calm, killed, successor = Learner(), Learner(interruptions=1), Learner()
    with OfflineBackend(tmp_path / "calm", responder=calm) as backend:
        client = open_clients(backend).sync
        expected = finish(client, start(client))
    with OfflineBackend(tmp_path / "killed", responder=killed) as backend:
        client = open_clients(backend).sync
        job = start(client)
        with pytest.raises(KeyboardInterrupt):
            finish(client, job)
    with OfflineBackend(tmp_path / "killed", responder=successor) as backend:
        client = open_clients(backend).sync
        [stopped] = client.fine_tuning.jobs.list()
        ended = finish(client, job)
        losses = [event.message for event in client.fine_tuning.jobs.list_events(job.id) if event.type == "metrics"]

    assert (stopped.status, killed.loaded) == ("running", {})
    assert successor.loaded == calm.loaded == {expected.fine_tuned_model: calm.loaded[ended.fine_tuned_model]}
    assert losses == ["Step 2/2: training loss=0.25", "Step 1/2: training loss=0.75"]


def test_seed_decides(client: openai.OpenAI) -> None:
    """A job keeps the seed it is given; without one it gets its own, which the backend's seed decides."""
    given = start(client, seed=42)
    seeds = []
    for seed in (1, 1, 2):
        with OfflineBackend(responder=Learner(), seed=seed) as backend:
            seeds.append(start(open_clients(backend).sync).seed)

    assert given.seed == 42
    assert seeds[0] == seeds[1] != seeds[2]


def test_two_runs_are_byte_identical() -> None:
    """With the same seed and clock, two backends answer the same requests with the same bytes."""
    transcripts = []
    for _ in range(2):
        with OfflineBackend(responder=Learner(), seed=3, clock=lambda: 5.0) as backend:
            client = open_clients(backend).sync
            job = finish(client, start(client))
            paths = ("files", "models", "fine_tuning/jobs", f"fine_tuning/jobs/{job.id}/events")
            headers = {"authorization": "Bearer k"}
            requests = [Request(method="GET", path=f"/v1/{path}", headers=headers) for path in paths]
            transcripts.append([b"".join(backend.handle(request).body) for request in requests])

    assert transcripts[0] == transcripts[1]
