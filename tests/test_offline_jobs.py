"""Fine-tuning jobs of the offline backend, through the openai client."""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline import (
    ApiFailure,
    ChatReply,
    ChatRequest,
    OfflineBackend,
    Request,
    ScriptedResponder,
    ServiceConditions,
    TrainRequest,
    TrainStep,
    open_clients,
)
from llama_index_ft_rag.offline.api.job_fates import JobFate


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


class Slow(Learner):
    """Trains until it may end."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_end = threading.Event(), threading.Event()

    def train(self, request: TrainRequest, on_step: Callable[[TrainStep], None]) -> dict[str, Any] | ApiFailure:
        self.begun.set()
        assert self.may_end.wait(10)
        return super().train(request, on_step)


class Student(ScriptedResponder):
    """Takes one step per epoch, and answers with the epoch that its weights are from."""

    def __init__(self, *, models: list[str] | None = None) -> None:
        super().__init__(self.answer, models=models)
        self.asked: list[TrainRequest] = []

    def answer(self, request: ChatRequest) -> ChatReply:
        return ChatReply(content=f"epoch {self.loaded[request.model]['epoch']}")

    def train(self, request: TrainRequest, on_step: Callable[[TrainStep], None]) -> dict[str, Any]:
        self.asked.append(request)
        for epoch in range(1, request.n_epochs + 1):
            measured = {"valid_loss": 2 / epoch, "valid_accuracy": 0.5} if request.validation_lines else {}
            on_step(
                TrainStep(
                    step=epoch,
                    total_steps=request.n_epochs,
                    epoch=epoch,
                    train_loss=1 / epoch,
                    train_accuracy=0.75,
                    weights={"epoch": epoch},
                    **measured,
                )
            )
        return {"epoch": request.n_epochs}


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


def start_fated(backend: OfflineBackend, fate: dict[str, Any], **settings: Any) -> str:
    """Create a job the way a fault lets it be created; return its id."""
    uploaded = open_clients(backend).sync.files.create(file=training_file(), purpose="fine-tune")
    body = json.dumps({"model": "offline-student", "training_file": uploaded.id, **settings}).encode()
    headers = {"authorization": "Bearer k"}
    request = Request(method="POST", path="/v1/fine_tuning/jobs", headers=headers, body=body, orders={"job_fate": fate})
    return json.loads(b"".join(backend.handle(request).body))["id"]


def look(client: openai.OpenAI, job: FineTuningJob, *, times: int) -> FineTuningJob:
    """Look at a job so many times."""
    for _ in range(times):
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def method(kind: str, **hyperparameters: Any) -> dict[str, Any]:
    """A training method as a request asks for it."""
    return {"type": kind, kind: {"hyperparameters": hyperparameters}}


@pytest.fixture
def student() -> Student:
    """One step per epoch."""
    return Student()


@pytest.fixture
def scripted(student: Student) -> Iterator[openai.OpenAI]:
    """A client of a backend that answers to any model name, at a fixed time."""
    with OfflineBackend(responder=student, clock=lambda: 1_800_000_000.0) as backend:
        yield open_clients(backend).sync


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
    assert client.files.content(result).text == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,0.75,0.5,,\n2,0.25,,,\n"
    )


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
    with pytest.raises(openai.BadRequestError, match='already has status "cancelled"'):
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
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "q", "completion": "a"}, "has no messages: expected chat messages"),
        ({"input": {}, "preferred_output": []}, "is a preference pair, but the job's method is supervised"),
        ({"messages": []}, "cannot be read: messages is empty; at least one message is needed"),
        (
            {"messages": [USER, {"role": "assistant", "content": None}]},
            "cannot be read: messages[1].content is missing; only a tool call or a refusal may go without",
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
        (
            {"messages": [{**USER, "content": [SOUND]}, ANSWER]},
            "holds a part of type input_audio; only texts and images can be trained on",
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
    row = {
        "messages": [parts, tool_turn, {"role": "tool", "tool_call_id": "c", "content": "r"}, {**ANSWER, "weight": 1}]
    }

    assert finish(client, start(client, training_file(10, bad={1: row}))).status == "succeeded"


def test_validation_file(scripted: openai.OpenAI) -> None:
    """A validation file may be short; what was measured on it is in the events and in the result file."""
    measured_on = scripted.files.create(file=training_file(1), purpose="fine-tune").id
    job = finish(scripted, start(scripted, validation_file=measured_on, method=method("supervised", n_epochs=2)))
    events = list(scripted.fine_tuning.jobs.list_events(job.id))
    [last, _] = [event for event in events if event.type == "metrics"]

    assert events[-2].message == f"Validating training file: {job.training_file} and validation file: {measured_on}"
    assert last.message == "Step 2/2: training loss=0.50, validation loss=1.00, full validation loss=1.00"
    assert last.data == {
        "step": 2,
        "train_loss": 0.5,
        "train_mean_token_accuracy": 0.75,
        "valid_loss": 1.0,
        "valid_mean_token_accuracy": 0.5,
        "full_valid_loss": 1.0,
        "full_valid_mean_token_accuracy": 0.5,
        "total_steps": 2,
    }
    assert scripted.files.content(job.result_files[0]).text == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,1.0,0.75,2.0,0.5\n2,0.5,0.75,1.0,0.5\n"
    )


def test_bad_validation_file(client: openai.OpenAI) -> None:
    """A validation file is checked as the training file is, and the error names it."""
    bad = client.files.create(file=training_file(1, bad={1: {}}), purpose="fine-tune").id
    job = finish(client, start(client, validation_file=bad))

    assert job.error.to_dict() == {
        "code": "invalid_validation_file",
        "message": "Invalid file format. Example 1 has no messages: expected chat messages",
        "param": "validation_file",
    }


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
        ({"method": method("supervised", n_epochs=51)}, "method.supervised.hyperparameters.n_epochs"),
        ({"method": method("dpo", beta=0)}, "method.dpo.hyperparameters.beta"),
        ({"method": method("dpo", beta=2.5)}, "method.dpo.hyperparameters.beta"),
        ({"method": method("dpo", beta=True)}, "method.dpo.hyperparameters.beta"),
        ({"method": method("reinforcement")}, "method"),
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
    for call in (jobs.retrieve, jobs.cancel, jobs.pause, jobs.resume, jobs.list_events, jobs.checkpoints.list):
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
    first = finish(client, start(client, method=method("supervised", n_epochs=2)))
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


@pytest.mark.parametrize("turn", ["cancel", "pause"])
def test_others_are_answered_while_a_job_trains(turn: str) -> None:
    """A training holds up nobody: files are listed, the job is told, and who ends or pauses it has the last word."""
    learner = Slow()
    with OfflineBackend(responder=learner) as backend, ThreadPoolExecutor(1) as pool:
        client = open_clients(backend).sync
        job = look(client, start(client), times=2)
        training = pool.submit(client.fine_tuning.jobs.retrieve, job.id)
        learner.begun.wait(10)
        try:
            files = [file.id for file in client.files.list()]
            told = client.fine_tuning.jobs.retrieve(job.id).status
            turned = getattr(client.fine_tuning.jobs, turn)(job.id).status
        finally:
            learner.may_end.set()
        trained = training.result(10)

        assert (files, told, trained.status) == ([job.training_file], "running", turned)
        assert (trained.fine_tuned_model, learner.loaded, len(list(client.files.list()))) == (None, {}, 1)


def test_job_that_was_paused_while_it_trained_trains_again() -> None:
    """What was thrown away is made again, with the same weights as of a job that nobody stopped."""
    learner = Slow()
    with OfflineBackend(responder=learner) as backend, ThreadPoolExecutor(1) as pool:
        client = open_clients(backend).sync
        job = look(client, start(client), times=2)
        training = pool.submit(client.fine_tuning.jobs.retrieve, job.id)
        learner.begun.wait(10)
        client.fine_tuning.jobs.pause(job.id)
        client.fine_tuning.jobs.resume(job.id)
        learner.may_end.set()
        statuses = [training.result(10).status]
        statuses += [client.fine_tuning.jobs.retrieve(job.id).status for _ in range(2)]
    undisturbed = Learner()
    with OfflineBackend(responder=undisturbed) as backend:
        client = open_clients(backend).sync
        finish(client, start(client))

    assert statuses == ["queued", "running", "succeeded"]
    assert learner.loaded == undisturbed.loaded


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


def test_a_request_in_vain_says_what_exists(client: openai.OpenAI) -> None:
    """Reinforcement is the one method that cannot be had here, and the refusal names those that can."""
    with pytest.raises(openai.BadRequestError) as caught:
        start(client, method=method("reinforcement"))

    assert caught.value.code == "unsupported_method"
    assert caught.value.body["message"] == (
        "The offline backend trains with method 'supervised' or 'dpo', not 'reinforcement'."
    )


def test_checkpoints(scripted: openai.OpenAI) -> None:
    """The last three epochs leave a model each, told newest first; the last of them is the job's own."""
    job = finish(scripted, start(scripted, suffix="run", method=method("supervised", n_epochs=5)))
    newest, middle, oldest = scripted.fine_tuning.jobs.checkpoints.list(job.id)

    assert newest.to_dict() == {
        "object": "fine_tuning.job.checkpoint",
        "id": newest.id,
        "created_at": 1_800_000_000,
        "fine_tuned_model_checkpoint": job.fine_tuned_model,
        "fine_tuning_job_id": job.id,
        "metrics": {"step": 5, "train_loss": 0.2, "train_mean_token_accuracy": 0.75},
        "step_number": 5,
    }
    assert re.fullmatch("ft:offline-student:ft-rag:run:[0-9a-f]{8}:ckpt-step-4", middle.fine_tuned_model_checkpoint)
    assert oldest.step_number == 3
    assert [event.message for event in scripted.fine_tuning.jobs.list_events(job.id, limit=4)][1:4] == [
        f"New fine-tuned model created: {job.fine_tuned_model}",
        f"Checkpoint created at step 4 with Snapshot ID: {middle.fine_tuned_model_checkpoint}",
        f"Checkpoint created at step 3 with Snapshot ID: {oldest.fine_tuned_model_checkpoint}",
    ]


def test_a_checkpoint_answers_with_its_own_weights(tmp_path: Path) -> None:
    """The models of earlier epochs are listed and answer as they were then, after a restart too."""
    with OfflineBackend(tmp_path, responder=Student()) as backend:
        client = open_clients(backend).sync
        job = finish(client, start(client, method=method("supervised", n_epochs=3)))
    with OfflineBackend(tmp_path, responder=Student(models=[])) as backend:
        client = open_clients(backend).sync
        models = [item.fine_tuned_model_checkpoint for item in client.fine_tuning.jobs.checkpoints.list(job.id)]
        replies = [client.chat.completions.create(model=model, messages=[USER]) for model in models]
        listed = {model.id for model in client.models.list()}

    assert [reply.choices[0].message.content for reply in replies] == ["epoch 3", "epoch 2", "epoch 1"]
    assert listed == set(models)


def test_a_checkpoint_can_be_trained_further(scripted: openai.OpenAI, student: Student) -> None:
    """A job may start from a checkpoint as from any tuned model."""
    first = finish(scripted, start(scripted))
    middle = scripted.fine_tuning.jobs.checkpoints.list(first.id).data[1].fine_tuned_model_checkpoint
    again = scripted.fine_tuning.jobs.create(model=middle, training_file=first.training_file)

    assert finish(scripted, again).fine_tuned_model.startswith("ft:offline-student:ft-rag::")
    assert student.asked[1].base_model == middle


def test_checkpoints_page_by_page(scripted: openai.OpenAI) -> None:
    """A page says whether there are more; an unfinished job has none."""
    job = finish(scripted, start(scripted))
    page = scripted.fine_tuning.jobs.checkpoints.list(job.id, limit=2)
    rest = scripted.fine_tuning.jobs.checkpoints.list(job.id, after=page.data[-1].id)

    assert ([item.step_number for item in page.data], page.has_more) == ([10, 9], True)
    assert ([item.step_number for item in rest.data], rest.has_more) == ([8], False)
    assert list(scripted.fine_tuning.jobs.checkpoints.list(start(scripted).id)) == []


def test_a_training_without_steps_leaves_no_checkpoint() -> None:
    """A trainer that reports nothing makes a model all the same."""
    with OfflineBackend(responder=ScriptedResponder(["Yes."], losses=())) as backend:
        client = open_clients(backend).sync
        job = finish(client, start(client))
        checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))

    assert (job.status, checkpoints) == ("succeeded", [])


def test_pause_and_resume(client: openai.OpenAI) -> None:
    """A paused job does not move on when it is looked at; a resumed one queues again, and ends as any other."""
    job = look(client, start(client, hyperparameters={"batch_size": 4}), times=2)
    paused = client.fine_tuning.jobs.pause(job.id)
    later = look(client, job, times=3)
    resumed = client.fine_tuning.jobs.resume(job.id)
    looks = [look(client, job, times=1).status for _ in range(2)]

    assert [job.status, paused.status, later.status, resumed.status] == ["running", "paused", "paused", "queued"]
    assert looks == ["running", "succeeded"]
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
    assert messages[::-1][2:8] == [
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        "The offline trainers do not use batch_size",
        "Fine-tuning job paused",
        "Fine-tuning job resumed",
        "Fine-tuning job started",
    ]


@pytest.mark.parametrize(("looks", "status"), [(0, "validating_files"), (1, "queued"), (3, "succeeded")])
def test_only_a_running_job_can_be_paused(client: openai.OpenAI, looks: int, status: str) -> None:
    """Elsewhere a pause and a resumption are 400, and the job goes on as if nobody had asked."""
    job = look(client, start(client), times=looks)
    for call in (client.fine_tuning.jobs.pause, client.fine_tuning.jobs.resume):
        with pytest.raises(openai.BadRequestError, match=f'has status "{status}"'):
            call(job.id)

    assert finish(client, job).status == "succeeded"


def test_a_paused_job_survives_a_restart_and_can_be_cancelled(tmp_path: Path) -> None:
    """A pause is kept in the state folder; a paused job can be ended like one under way."""
    with OfflineBackend(tmp_path, responder=Learner()) as backend:
        client = open_clients(backend).sync
        job = look(client, start(client), times=2)
        client.fine_tuning.jobs.pause(job.id)
    with OfflineBackend(tmp_path, responder=Learner()) as backend:
        client = open_clients(backend).sync
        paused = look(client, job, times=2)
        cancelled = client.fine_tuning.jobs.cancel(job.id)

    assert (paused.status, cancelled.status, cancelled.fine_tuned_model) == ("paused", "cancelled", None)


def test_list_by_metadata(client: openai.OpenAI) -> None:
    """A list can be asked for the jobs of some metadata, for several pairs at once, or for those without any."""
    both = start(client, metadata={"team": "a", "run": "1"})
    one = start(client, metadata={"team": "a"})
    plain = start(client)
    jobs = client.fine_tuning.jobs

    assert [job.id for job in jobs.list(metadata={"team": "a"}, limit=1)] == [one.id, both.id]
    assert [job.id for job in jobs.list(metadata={"team": "a", "run": "1"})] == [both.id]
    assert [job.id for job in jobs.list(extra_query={"metadata": "null"})] == [plain.id]
    assert jobs.list(limit=2).has_more is True


def test_names_depend_on_data_and_settings() -> None:
    """Another file or other settings give a job another id and its model another name; the same give the same."""
    runs = [(training_file(10), 2), (training_file(10), 2), (training_file(11), 2), (training_file(10), 3)]
    ids, models = [], []
    for data, n_epochs in runs:
        with OfflineBackend(responder=Learner()) as backend:
            client = open_clients(backend).sync
            job = finish(client, start(client, data, hyperparameters={"n_epochs": n_epochs}))
        ids.append(job.id)
        models.append(job.fine_tuned_model)

    assert (ids[0], models[0]) == (ids[1], models[1])
    assert (len(set(ids)), len(set(models))) == (3, 3)


@pytest.mark.parametrize(
    ("training", "error", "code", "message"),
    [
        ("closed", openai.PermissionDeniedError, "training_not_available", "OpenAI is winding down the fine-tuning"),
        ("free_plan", openai.RateLimitError, "exceeded_quota", "Fine-tuning jobs cannot be created on an Explore plan"),
    ],
)
def test_an_account_without_permission(
    training: Any, error: type[openai.APIStatusError], code: str, message: str
) -> None:
    """Where an account may not train, the upload still succeeds, and the job is refused whatever it asks for."""
    with OfflineBackend(responder=Learner(), conditions=ServiceConditions(training=training)) as backend:
        client = open_clients(backend).sync
        uploaded = client.files.create(file=training_file(), purpose="fine-tune")
        for file_id in (uploaded.id, "file-gone"):
            with pytest.raises(error, match=message) as caught:
                client.fine_tuning.jobs.create(model="offline-student", training_file=file_id)
        jobs = list(client.fine_tuning.jobs.list())

    assert (caught.value.code, caught.value.type, caught.value.param) == (code, "invalid_request_error", None)
    assert jobs == []


def test_too_many_active_jobs() -> None:
    """One job more than may be under way for a model is 429; paused and finished ones do not count."""
    with OfflineBackend(responder=Student(), conditions=ServiceConditions(max_active_jobs=2)) as backend:
        client = open_clients(backend).sync
        first, second = start(client), start(client)
        look(client, first, times=2)
        with pytest.raises(openai.RateLimitError) as caught:
            start(client)
        client.fine_tuning.jobs.pause(first.id)
        third = start(client)

    assert third.status == second.status == "validating_files"
    assert caught.value.body == {
        "message": "This fine-tune request has been rate-limited. Your organization has reached the maximum of "
        "2 active requests (1 running, 1 pending) for the model 'offline-student'.",
        "type": "invalid_request_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }


def test_a_model_that_was_shut_down_cannot_be_tuned() -> None:
    """From the day on which a model ends, it and what was tuned from it take no new job."""
    conditions = ServiceConditions(shutdown_dates={"gpt-4": "2026-10-23"})
    with OfflineBackend(responder=Student(), conditions=conditions, clock=lambda: 1_800_000_000.0) as backend:
        client = open_clients(backend).sync
        uploaded = client.files.create(file=training_file(), purpose="fine-tune")
        with pytest.raises(openai.BadRequestError, match="gpt-4 is not available for fine-tuning") as caught:
            client.fine_tuning.jobs.create(model="gpt-4", training_file=uploaded.id)

    assert caught.value.code == "model_not_available"


def flagged(words: str, count: int) -> bytes:
    """A training file of 20 lines, of which the first so many say something."""
    row = {"messages": [USER, {**ANSWER, "content": f"It is {words}."}]}
    return training_file(20, bad=dict.fromkeys(range(1, count + 1), row))


@pytest.mark.parametrize(
    ("count", "ending"),
    [
        (2, "uploading the file again. Flagged lines: 1, 2"),
        (11, "violates OpenAI's usage policies in the following categories: hate."),
    ],
)
def test_moderation(count: int, ending: str) -> None:
    """A file that holds flagged words fails its job; a few lines are named, of many lines the categories."""
    conditions = ServiceConditions(flagged_words={"hate": ["foul", "vile"], "violence": ["axe"]})
    with OfflineBackend(responder=Learner(), conditions=conditions) as backend:
        client = open_clients(backend).sync
        job = finish(client, start(client, flagged("VILE", count)))

    assert (job.status, job.error.code, job.error.param) == ("failed", "invalid_training_file", "training_file")
    assert job.error.message.startswith("The job failed due to an invalid training file. This ")
    assert job.error.message.endswith(ending)


def test_moderation_looks_at_whole_words() -> None:
    """A flagged word inside another one is no reason; in Chinese, which has no spaces, it is."""
    conditions = ServiceConditions(flagged_words={"violence": ["axe", "斧头"]})
    with OfflineBackend(responder=Learner(), conditions=conditions) as backend:
        client = open_clients(backend).sync
        jobs = [finish(client, start(client, flagged(text, 1))) for text in ("relaxed", "一把斧头啊")]

    assert [job.status for job in jobs] == ["succeeded", "failed"]


def test_examples_that_are_too_long_are_cut(scripted: openai.OpenAI, student: Student) -> None:
    """What a model cannot take of an example is cut off at its end, unbilled and without an error."""
    long_prompt = {"messages": [{**USER, "content": "word " * 20_000}, ANSWER]}
    long_answer = {"messages": [USER, {**ANSWER, "content": "word " * 20_000}]}
    data = training_file(12, bad={1: long_prompt, 2: long_answer})
    uploaded = scripted.files.create(file=data, purpose="fine-tune")
    job = scripted.fine_tuning.jobs.create(model="gpt-3.5-turbo", training_file=uploaded.id)
    ended = finish(scripted, job)
    first, second = student.asked[0].lines[:2]

    assert [message["role"] for message in first["messages"]] == ["user"]
    assert [len(message["content"]) for message in second["messages"]] == [1, 16_378 * 5 - 1]
    assert ended.trained_tokens == (2 * 16_385 + 10 * 8) * 8
    assert "2 example(s) of the training_file have more than 16385 tokens and were cut" in [
        event.message for event in scripted.fine_tuning.jobs.list_events(job.id)
    ]


def test_a_job_that_fails_at_a_step() -> None:
    """A fault can end a training at a step: the steps up to it are in the events, and there is no model."""
    fate = {"fails_at_step": 2, "message": "out of memory", "code": "server_error"}
    with OfflineBackend(responder=Student()) as backend:
        client = open_clients(backend).sync
        job = client.fine_tuning.jobs.retrieve(start_fated(backend, fate))
        job = finish(client, job)
        steps = [event.data["step"] for event in client.fine_tuning.jobs.list_events(job.id) if event.type == "metrics"]

    assert (job.status, job.fine_tuned_model, job.result_files, steps) == ("failed", None, [], [2, 1])
    assert job.error.to_dict() == {"code": "server_error", "message": "out of memory", "param": None}
    assert "fate" not in job.to_dict()


def test_a_job_that_is_to_fail_later_than_it_ends() -> None:
    """A training with fewer steps than the fault expects fails after its last one."""
    with OfflineBackend(responder=Student()) as backend:
        client = open_clients(backend).sync
        job = finish(client, client.fine_tuning.jobs.retrieve(start_fated(backend, {"fails_at_step": 500})))

    assert (job.status, job.error.message) == ("failed", "The job failed due to an internal error")


@pytest.mark.parametrize("status", ["validating_files", "queued", "running"])
def test_a_job_that_never_ends(tmp_path: Path, status: str) -> None:
    """A fault can hold a job in a status, across a restart too; it can still be cancelled."""
    with OfflineBackend(tmp_path, responder=Student()) as backend:
        client = open_clients(backend).sync
        job = finish(client, client.fine_tuning.jobs.retrieve(start_fated(backend, {"stays": status})))
    with OfflineBackend(tmp_path, responder=Student()) as backend:
        client = open_clients(backend).sync
        later = finish(client, job)
        cancelled = client.fine_tuning.jobs.cancel(job.id)

    assert (job.status, later.status, cancelled.status) == (status, status, "cancelled")


def test_a_job_whose_model_is_kept_back() -> None:
    """A fault can let a job succeed without a model; an event of its own type says that safety checks did it."""
    with OfflineBackend(responder=Student()) as backend:
        client = open_clients(backend).sync
        job = finish(client, client.fine_tuning.jobs.retrieve(start_fated(backend, {"no_model": True})))
        events = {event.type: event for event in client.fine_tuning.jobs.list_events(job.id)}
        checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))
        models = list(client.models.list())

    assert (job.status, job.fine_tuned_model, len(job.result_files)) == ("succeeded", None, 1)
    assert (events["moderation_checks"].level, events["moderation_checks"].data["blocked"]) == ("error", True)
    assert (checkpoints, models) == ([], [])


@pytest.mark.parametrize("fate", [{"fails_at_step": 0}, {"stays": "paused"}, {"explodes": True}])
def test_a_fate_that_no_job_can_have(fate: dict[str, Any]) -> None:
    """A fault that asks for the impossible is an error that says what is possible."""
    with pytest.raises(ConfigurationError, match="job_fate: "):
        JobFate.from_json(fate)


def test_a_fate_can_be_kept() -> None:
    """A fate goes through JSON unchanged."""
    fate = JobFate(fails_at_step=3, message="no", code="server_error", stays="queued", no_model=True)

    assert JobFate.from_json(json.loads(json.dumps(fate.to_json()))) == fate
