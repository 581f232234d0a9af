from __future__ import annotations

import importlib
import json
import logging
import re
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import openai
import pytest
from fakes import Time
from llama_index.core.llms import LLM, MockLLM

from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.errors import (
    ConfigurationError,
    ExamplesError,
    FileNotAcceptedError,
    FinetuneError,
    JobCancelledError,
    JobFailedError,
    JobNotReadyError,
    JobNotStartedError,
    TrainingNotAvailableError,
    WaitTimeoutError,
)
from llama_index_ft_rag.finetuning import BaseLLMFinetuneEngine, FinetuneEvent, OpenAIFinetuneEngine
from llama_index_ft_rag.finetuning.job import JobStore
from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder

# openai 2 speaks through httpx, openai 3 through httpx2; the fake service goes into whichever it is.
http = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.split(".")[0])

KEY = "sk-not-a-real-key"
BASE = "gpt-4.1-mini"
TUNED = "ft:gpt-4.1-mini:acme::1"
UPLOAD, CREATE = ("POST", "/v1/files"), ("POST", "/v1/fine_tuning/jobs")
NOT_YET = "File 'file-1' is still being processed and is not ready to be used for fine-tuning."


class Killed(BaseException):
    """The process ends here."""


class Service:
    """A fine-tuning service in memory: it keeps files and jobs and answers as told.

    Its replies are written after the published API, not recorded.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.files: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        self.uploads: list[bytes] = []
        self.file_statuses = ["processed"]
        self.job_looks: list[dict[str, Any]] = [{"status": "succeeded", "fine_tuned_model": TUNED}]
        self.refusals: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.before: Callable[[int], None] = lambda call: None
        self.after: Callable[[int], None] = lambda call: None

    def client(self, **settings: Any) -> openai.OpenAI:
        """A client whose requests end here."""
        settings = {"base_url": "http://proxy.invalid/v1", "api_key": KEY, "max_retries": 0, **settings}
        transport = http.MockTransport(self.handle)
        return openai.OpenAI(http_client=openai.DefaultHttpxClient(transport=transport), **settings)

    def handle(self, request: Any) -> Any:
        """Answer one request."""
        call = (request.method, request.url.path)
        self.calls.append(call)
        self.before(len(self.calls))
        refusals = self.refusals.get(call)
        status, body = refusals.pop(0) if refusals else (200, self.answer(call, request))
        self.after(len(self.calls))
        if isinstance(body, str):
            return http.Response(status, text=body, headers={"content-type": "text/html"})
        return http.Response(status, json=body)

    def answer(self, call: tuple[str, str], request: Any) -> dict[str, Any]:
        """Do what is asked."""
        _, path = call
        if call == UPLOAD:
            return self.upload(request.read())
        if call == CREATE:
            return self.create(json.loads(request.read()))
        # Each list begins with an entry that lacks everything: fields that the SDK calls required may be missing.
        lists = {"/v1/files": [{"id": "?"}, *self.files], "/v1/fine_tuning/jobs": [{"id": "?"}, *self.jobs]}
        if path in lists or path.endswith("/events"):
            return {"object": "list", "data": lists.get(path, EVENTS), "has_more": False}
        if path.startswith("/v1/files/"):
            details = {"status": next_of(self.file_statuses), "status_details": "line 3 is not JSON"}
            return {**self.named(self.files, path), **details}
        if path.endswith("/cancel"):
            return {**self.named(self.jobs, path.removesuffix("/cancel")), "status": "cancelled"}
        return {**self.named(self.jobs, path), **next_of(self.job_looks)}

    def upload(self, content: bytes) -> dict[str, Any]:
        """Keep a file."""
        name = re.search(rb'filename="([^"]*)"', content)
        assert name is not None
        self.uploads.append(content)
        number = len(self.files) + 1
        self.files.append({"id": f"file-{number}", "filename": name[1].decode(), "status": "uploaded"})
        return self.files[-1]

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Keep a job."""
        self.bodies.append(body)
        # `error` is {} on a healthy job: the published examples show it so.
        job = {"id": f"job-{len(self.jobs) + 1}", "status": "validating_files", "error": {}}
        self.jobs.append({**job, "model": body["model"], "training_file": body["training_file"]})
        return self.jobs[-1]

    def named(self, things: list[dict[str, Any]], path: str) -> dict[str, Any]:
        """The file or job that a path ends in; one made elsewhere where it is not known."""
        name = path.rsplit("/", 1)[1]
        return next((thing for thing in things if thing["id"] == name), {"id": name, "error": {}})

    def count(self, call: tuple[str, str]) -> int:
        """How often something was asked."""
        return self.calls.count(call)


def next_of(replies: list[Any]) -> Any:
    """The next reply; the last one over and over."""
    return replies.pop(0) if len(replies) > 1 else replies[0]


EVENTS = [
    {"id": "e2", "created_at": 1760000060, "level": "info", "message": "Step 1", "data": {"train_loss": 0.5}},
    {"id": "e1", "created_at": 1760000000, "level": "warn", "message": "Created", "data": None},
    {"id": "e0", "created_at": 10**18},
]


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def write_examples(path: Path, *, answer: str = "It grew.", count: int = 12) -> Path:
    """Write a training file."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"How did revenue change in year {number}?"},
                {"role": "assistant", "content": f"{answer} ({number})"},
            ]
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_engine(
    service: Service, data_path: Path, *, time: Time | None = None, **settings: Any
) -> OpenAIFinetuneEngine:
    """An engine that talks to the fake service and does not sleep."""
    time = time or Time()
    settings = {"client": service.client(), "sleep": time.sleep, "clock": time.clock, **settings}
    return OpenAIFinetuneEngine(settings.pop("base_model", BASE), data_path, **settings)


def refusal(message: str, *, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The body of an error answer."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def started(service: Service, data_path: Path, *looks: dict[str, Any], **settings: Any) -> OpenAIFinetuneEngine:
    """An engine whose job is started and will be seen like `looks`."""
    service.job_looks = list(looks)
    engine = make_engine(service, data_path, **settings)
    engine.finetune()
    return engine


def job_record(data_path: Path) -> dict[str, Any]:
    """What lies in the job record."""
    record: dict[str, Any] = json.loads(Path(f"{data_path}.job.json").read_text())
    return record


# --- sending ---


def test_it_is_a_finetune_engine() -> None:
    """The class keeps the two methods of the interface it had in LlamaIndex."""
    assert BaseLLMFinetuneEngine in OpenAIFinetuneEngine.__mro__


def test_everything_asked_for_reaches_the_job(service: Service, data_path: Path, tmp_path: Path) -> None:
    """Hyperparameters, suffix, seed, validation file and metadata are in the one job that is created."""
    validation = write_examples(tmp_path / "validation.jsonl", answer="It fell.", count=3)
    engine = make_engine(
        service,
        data_path,
        suffix="rag",
        seed=7,
        hyperparameters={"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5},
        validation_path=validation,
        metadata={"team": "ir"},
    )

    engine.finetune()

    assert service.bodies == [
        {
            "model": BASE,
            "training_file": "file-1",
            "validation_file": "file-2",
            "suffix": "rag",
            "seed": 7,
            "hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5},
            "metadata": {"team": "ir"},
        }
    ]
    assert [path.read_bytes() in upload for path, upload in zip((data_path, validation), service.uploads, strict=True)]


def test_without_settings_the_job_is_model_and_file(service: Service, data_path: Path) -> None:
    """Nothing is sent that the caller did not ask for: not every service takes it."""
    make_engine(service, data_path).finetune()

    assert service.bodies == [{"model": BASE, "training_file": "file-1"}]


def test_calling_finetune_twice_starts_one_job(service: Service, data_path: Path) -> None:
    """The second call sends nothing at all."""
    engine = make_engine(service, data_path)
    engine.finetune()
    sent = list(service.calls)

    engine.finetune()

    assert service.calls == sent


def test_another_process_continues_the_job(service: Service, data_path: Path) -> None:
    """A new engine for the same file and settings has the job at once, with or without calling finetune()."""
    make_engine(service, data_path).finetune()

    assert make_engine(service, data_path).get_current_job().id == "job-1"
    make_engine(service, data_path).finetune()
    assert (service.count(UPLOAD), service.count(CREATE)) == (1, 1)


def network_calls(tmp_path: Path) -> int:
    """How many requests a whole finetune() makes."""
    service = Service()
    service.file_statuses = ["uploaded", "processed"]
    folder = tmp_path / "count"
    folder.mkdir()
    make_validated(service, write_examples(folder / "examples.jsonl")).finetune()
    return len(service.calls)


def make_validated(service: Service, data_path: Path, **settings: Any) -> OpenAIFinetuneEngine:
    """An engine with a validation file."""
    validation = write_examples(data_path.with_name("validation.jsonl"), answer="It fell.")
    return make_engine(service, data_path, validation_path=validation, **settings)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(1, 10))
def test_killed_at_any_call_and_started_again_nothing_is_sent_twice(
    service: Service, data_path: Path, tmp_path: Path, call: int, moment: str
) -> None:
    """Whether the service had received the request or not, two files and one job are there in the end."""
    assert call <= network_calls(tmp_path) == 9

    def kill(number: int) -> None:
        if number == call:
            raise Killed

    service.file_statuses = ["uploaded", "processed"]
    setattr(service, moment, kill)
    with pytest.raises(Killed):
        make_validated(service, data_path).finetune()

    make_validated(service, data_path).finetune()

    assert [file["filename"].split("-")[0] for file in service.files] == ["examples", "validation"]
    assert [job["training_file"] for job in service.jobs] == ["file-1"]
    assert job_record(data_path)["job_id"] == "job-1"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", [UPLOAD, CREATE])
def test_a_lost_answer_is_looked_for_before_anything_is_sent_again(
    service: Service, data_path: Path, write: tuple[str, str], moment: str
) -> None:
    """A connection that breaks during a write is mended in the same call, with one file and one job."""

    def break_once(_: int) -> None:
        if service.calls[-1] == write and service.count(write) == 1:
            raise http.ConnectError("connection reset")

    setattr(service, moment, break_once)

    make_engine(service, data_path).finetune()

    assert (len(service.files), len(service.jobs)) == (1, 1)


def test_a_service_that_stays_down_is_not_asked_for_ever(service: Service, data_path: Path) -> None:
    """After two pauses its own error is raised; a later call goes on from there."""
    service.refusals[UPLOAD] = [(500, refusal("overloaded"))] * 3
    time = Time()
    engine = make_engine(service, data_path, time=time)

    with pytest.raises(openai.InternalServerError):
        engine.finetune()
    engine.finetune()

    assert time.naps == [2.0, 8.0]
    assert (len(service.files), len(service.jobs)) == (1, 1)


def test_other_settings_start_another_job_and_keep_the_earlier_record(service: Service, data_path: Path) -> None:
    """Going back to the earlier settings finds their job again and pays for nothing."""
    for seed in (1, 2, 1):
        make_engine(service, data_path, seed=seed).finetune()

    assert [job["id"] for job in service.jobs] == ["job-1", "job-2"]
    assert job_record(data_path)["job_id"] == "job-1"
    assert len(list(data_path.parent.glob("*.job*.json"))) == 2


def test_a_changed_file_starts_another_job(service: Service, data_path: Path) -> None:
    """The content counts, not the name."""
    engine = make_engine(service, data_path)
    engine.finetune()
    write_examples(data_path, answer="It doubled.")

    engine.finetune()

    assert (len(service.files), engine.get_current_job().id) == (2, "job-2")


def test_labels_do_not_make_it_another_job(service: Service, data_path: Path) -> None:
    """Metadata may change without training again."""
    for team in ("a", "b"):
        make_engine(service, data_path, metadata={"team": team}).finetune()

    assert len(service.jobs) == 1


def test_two_engines_at_the_same_time_start_one_job(service: Service, data_path: Path) -> None:
    """The second one waits until the first has submitted, and continues with its job; the lock is private."""
    uploading, waiting = threading.Event(), threading.Event()

    def hold_upload(_: int) -> None:
        if service.calls[-1] == UPLOAD:
            uploading.set()
            assert waiting.wait(60)

    def nap(_: float) -> None:
        waiting.set()
        first.join(60)

    service.before = hold_upload
    first = threading.Thread(target=make_engine(service, data_path).finetune)
    first.start()
    assert uploading.wait(60)
    second = make_engine(service, data_path, sleep=nap)
    second.finetune()
    first.join(60)

    assert (len(service.files), len(service.jobs), second.get_current_job().id) == (1, 1, "job-1")
    assert Path(f"{data_path}.job.json.lock").stat().st_mode & 0o777 == 0o600


def test_a_submission_that_never_ends_is_not_waited_for_for_ever(service: Service, data_path: Path) -> None:
    """The error names the record and what to do; nothing was sent."""
    record_path = Path(f"{data_path}.job.json")
    lock = JobStore(record_path).try_lock()
    assert lock is not None
    engine = make_engine(service, data_path, file_timeout=3.0)

    with pytest.raises(FinetuneError) as caught:
        engine.finetune()
    lock.close()

    assert service.calls == []
    assert str(caught.value) == (
        f"{record_path}: another process is still submitting this job after 3 s; wait for it and start again (its"
        " job is continued), or pass a longer file_timeout"
    )


def test_a_job_whose_record_was_lost_is_continued(service: Service, data_path: Path) -> None:
    """Files and jobs that the service lists for the same content and settings are not made twice."""
    settings: dict[str, Any] = {"seed": 7, "suffix": "rag", "hyperparameters": {"n_epochs": 2, "batch_size": "auto"}}
    make_validated(service, data_path, **settings).finetune()
    # As OpenAI shows it: the snapshot's name, and figures in place of "auto".
    told = {"n_epochs": 2, "batch_size": 4}
    service.jobs[0].update(model=f"{BASE}-2025-04-14", seed=7, user_provided_suffix="rag", hyperparameters=told)
    service.jobs[0].update(status="succeeded", fine_tuned_model=TUNED, validation_file="file-2")
    Path(f"{data_path}.job.json").unlink()

    engine = make_validated(service, data_path, **settings)
    engine.finetune()

    assert (len(service.files), len(service.jobs), engine.get_current_job().id) == (2, 1, "job-1")


@pytest.mark.parametrize(
    "job",
    [
        {"status": "failed"},
        {"status": "cancelled"},
        {"status": "succeeded", "fine_tuned_model": None},
        {"model": "gpt-4.1"},
        {"seed": 8},
        {"user_provided_suffix": "other"},
        {"hyperparameters": {"n_epochs": 3}},
        {"validation_file": "file-9"},
    ],
    ids=lambda job: next(iter(job.items()))[0] + "-" + str(next(iter(job.values()))),
)
def test_a_listed_job_that_is_lost_or_another_is_not_continued(
    service: Service, data_path: Path, job: dict[str, Any]
) -> None:
    """With the record gone, a new job is started on the file that is there."""
    settings: dict[str, Any] = {"seed": 7, "suffix": "rag", "hyperparameters": {"n_epochs": 2}}
    make_validated(service, data_path, **settings).finetune()
    service.jobs[0].update(job)
    Path(f"{data_path}.job.json").unlink()

    make_validated(service, data_path, **settings).finetune()

    assert (len(service.files), len(service.jobs)) == (2, 2)
    assert job_record(data_path)["job_id"] == "job-2"


def test_other_settings_start_another_job_when_the_record_was_lost(service: Service, data_path: Path) -> None:
    """A job of the same file with another seed is not mistaken for this one."""
    make_engine(service, data_path, seed=1).finetune()
    Path(f"{data_path}.job.json").unlink()

    make_engine(service, data_path, seed=2).finetune()

    assert [body["seed"] for body in service.bodies] == [1, 2]


@pytest.mark.parametrize("status", [403, 404, 405, 501])
def test_a_service_without_lists_can_train(service: Service, data_path: Path, status: int) -> None:
    """Where there is nothing to search, the file and the job are sent."""
    service.refusals["GET", "/v1/files"] = [(status, refusal("not here"))]
    service.refusals["GET", "/v1/fine_tuning/jobs"] = [(status, refusal("not here"))]

    make_engine(service, data_path).finetune()

    assert (len(service.files), len(service.jobs)) == (1, 1)


def test_a_list_that_fails_otherwise_stops_before_anything_is_sent(service: Service, data_path: Path) -> None:
    """A wrong key is the service's own error."""
    service.refusals["GET", "/v1/files"] = [(401, refusal("wrong key"))]

    with pytest.raises(openai.AuthenticationError):
        make_engine(service, data_path).finetune()

    assert service.count(UPLOAD) == 0


NO_API = "http://proxy.invalid/v1 did not answer like the OpenAI API; check the base URL"


@pytest.mark.parametrize("reply", ["<html>Please log in</html>", [], None, {}], ids=["html", "list", "null", "empty"])
@pytest.mark.parametrize(
    "call", [UPLOAD, CREATE, ("GET", "/v1/files"), ("GET", "/v1/fine_tuning/jobs"), ("GET", "/v1/files/file-1")]
)
def test_a_reply_of_something_else_is_one_sentence_and_nothing_is_sent_twice(
    service: Service, data_path: Path, call: tuple[str, str], reply: Any
) -> None:
    """A proxy answered in the service's place, after the request had arrived: the next call finds what is there."""
    answer = service.answer

    def disguise(asked: tuple[str, str], request: Any) -> Any:
        made = answer(asked, request)
        return reply if asked == call and service.count(call) == 1 else made

    service.answer = disguise  # type: ignore[method-assign]
    engine = make_engine(service, data_path)

    with pytest.raises(FinetuneError) as caught:
        engine.finetune()
    engine.finetune()

    assert str(caught.value) == NO_API
    assert (len(service.files), len(service.jobs)) == (1, 1)


@pytest.mark.parametrize("ask", ["wait", "get_current_job", "get_finetuned_model", "cancel", "events"])
def test_a_page_in_place_of_the_job_is_one_sentence(service: Service, data_path: Path, ask: str) -> None:
    """Whatever is asked about the job."""
    engine = started(service, data_path, {"status": "running"})
    calls = [("GET", ""), ("POST", "/cancel"), ("GET", "/events")]
    service.refusals = {(method, f"/v1/fine_tuning/jobs/job-1{end}"): [(200, "<html>")] for method, end in calls}

    with pytest.raises(FinetuneError) as caught:
        getattr(engine, ask)()

    assert str(caught.value) == NO_API


def test_a_reply_that_is_cut_off_is_one_sentence(service: Service, data_path: Path) -> None:
    """It says that it is JSON and is not."""
    client = openai.OpenAI(
        base_url="http://proxy.invalid/v1",
        api_key=KEY,
        http_client=openai.DefaultHttpxClient(
            transport=http.MockTransport(
                lambda _: http.Response(200, content=b'{"data": [', headers={"content-type": "application/json"})
            )
        ),
    )

    with pytest.raises(FinetuneError) as caught:
        make_engine(service, data_path, client=client).finetune()

    assert str(caught.value) == NO_API


def test_start_job_id_attaches_to_a_job(service: Service, tmp_path: Path) -> None:
    """Nothing is uploaded or created, and the training file need not be there."""
    engine = make_engine(service, tmp_path / "gone.jsonl", start_job_id="job-9")

    engine.finetune()

    assert engine.wait().id == "job-9"
    assert service.calls == [("GET", "/v1/fine_tuning/jobs/job-9")]


# --- the training file ---


def test_a_file_with_errors_is_never_uploaded(service: Service, data_path: Path) -> None:
    """Validation stops before anything is sent."""
    row = {"messages": [{"role": "user", "content": "no answer to this"}]}
    data_path.write_text(data_path.read_text() + json.dumps(row) + "\n")
    engine = make_engine(service, data_path)

    with pytest.raises(ExamplesError, match="13"):
        engine.finetune()

    assert (service.calls, list(data_path.parent.glob("*.job.json"))) == ([], [])


def test_validation_can_be_switched_off(service: Service, data_path: Path) -> None:
    """With `validate_json=False` the service is the judge."""
    write_examples(data_path, count=2)

    make_engine(service, data_path, validate_json=False).finetune()

    assert len(service.jobs) == 1


def test_a_file_being_processed_is_waited_for(service: Service, data_path: Path) -> None:
    """The job is created when the file is ready, and the one 400 that says it is not leads to another try."""
    service.file_statuses = ["uploaded", "uploaded", "processed"]
    service.refusals[CREATE] = [(400, refusal(NOT_YET))]
    time = Time()

    make_engine(service, data_path, time=time, poll_interval=3.0).finetune()

    assert (time.naps, len(service.jobs)) == ([3.0, 3.0, 3.0], 1)


@pytest.mark.parametrize("refuses_job", [False, True])
def test_a_file_that_is_never_ready_is_not_waited_for_for_ever(
    service: Service, data_path: Path, refuses_job: bool
) -> None:
    """The deadline names the file; a later call waits again and does not upload again."""
    service.file_statuses = ["processed" if refuses_job else "uploaded"]
    service.refusals[CREATE] = [(400, refusal(NOT_YET))] * 4
    engine = make_engine(service, data_path, file_timeout=12.0)

    with pytest.raises(FileNotAcceptedError) as caught:
        engine.finetune()
    service.file_statuses = ["processed"]
    service.refusals = {}
    engine.finetune()

    assert caught.value.file_id == "file-1"
    assert str(caught.value).startswith("file file-1 is still uploaded after 12 s; call finetune() again")
    assert (len(service.files), len(service.jobs)) == (1, 1)


def test_a_refused_file_says_why(service: Service, data_path: Path) -> None:
    """The service's own reason is in the error, and no job is created."""
    service.file_statuses = ["error"]
    engine = make_engine(service, data_path)

    with pytest.raises(FileNotAcceptedError, match=r"file file-1 was refused \(error\): line 3 is not JSON"):
        engine.finetune()

    assert service.count(CREATE) == 0


def test_a_file_that_was_deleted_meanwhile_says_what_to_do(service: Service, data_path: Path) -> None:
    """The record names a file that is gone: the error says which record to move away."""
    service.refusals[CREATE] = [(403, refusal("not yet", code="training_not_available"))]
    engine = make_engine(service, data_path)
    with pytest.raises(TrainingNotAvailableError):
        engine.finetune()
    service.refusals["GET", "/v1/files/file-1"] = [(404, refusal("No such File object"))]

    with pytest.raises(FileNotAcceptedError) as caught:
        engine.finetune()

    assert str(caught.value) == (
        f"file file-1 is no longer at http://proxy.invalid/v1; move {data_path}.job.json away and call finetune()"
        " to upload it again"
    )


def test_a_real_refusal_of_the_job_is_shown_at_once(service: Service, data_path: Path) -> None:
    """Any other 400 is raised after one try without a pause, and the uploaded file's id is kept."""
    service.refusals[CREATE] = [
        (400, refusal("Model gpt-9 is not available for fine-tuning", code="model_not_available"))
    ]
    time = Time()
    engine = make_engine(service, data_path, time=time)

    with pytest.raises(openai.BadRequestError, match="gpt-9 is not available"):
        engine.finetune()

    assert (service.count(CREATE), time.naps) == (1, [])
    assert job_record(data_path)["file_id"] == "file-1"


def test_an_exhausted_quota_is_shown_at_once(service: Service, data_path: Path) -> None:
    """A 429 that waiting cannot cure is not tried again."""
    service.refusals[CREATE] = [(429, refusal("You exceeded your current quota", code="insufficient_quota"))]
    engine = make_engine(service, data_path, client=service.client(max_retries=2))

    with pytest.raises(openai.RateLimitError):
        engine.finetune()

    assert service.count(CREATE) == 1


def test_training_that_is_not_available_says_what_to_do(service: Service, data_path: Path) -> None:
    """The error says that nothing was charged, which file is there, and where it can be used instead."""
    service.refusals[CREATE] = [(403, refusal("OpenAI is winding down", code="training_not_available"))]
    engine = make_engine(service, data_path)

    with pytest.raises(TrainingNotAvailableError) as caught:
        engine.finetune()

    assert str(caught.value) == (
        "http://proxy.invalid/v1 no longer lets this organisation create fine-tuning jobs (403"
        " training_not_available); nothing was trained and nothing was charged, the training file stays uploaded"
        " as file-1. The same file can be used with Azure OpenAI (client=openai.AzureOpenAI(...)), with an"
        " OpenAI-compatible service (base_url=..., api_key=...), or to train open weights"
    )


def test_another_403_is_the_services_own(service: Service, data_path: Path) -> None:
    """Only the one known reason is translated."""
    service.refusals[CREATE] = [(403, refusal("wrong project", code="forbidden"))]
    engine = make_engine(service, data_path)

    with pytest.raises(openai.PermissionDeniedError, match="wrong project"):
        engine.finetune()


def test_warnings_of_the_validation_are_logged_and_stop_nothing(
    service: Service, data_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A repeated example is worth a word, not a refusal."""
    data_path.write_text(data_path.read_text() * 2)

    make_engine(service, data_path).finetune()

    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert 0 < len(told) <= 10
    assert all(message.startswith(f"{data_path} line ") for message in told)
    assert len(service.jobs) == 1


# --- waiting ---


def test_wait_returns_the_finished_job_and_reports_each_status_once(service: Service, data_path: Path) -> None:
    """`error: {}` on a healthy job is no failure, and statuses the SDK does not list are not an end."""
    statuses = ["created", "queued", "running", "running", "pausing", "paused", "running"]
    looks: list[dict[str, Any]] = [{"status": status} for status in statuses]
    engine = started(
        service, data_path, *looks, {"status": "succeeded", "fine_tuned_model": TUNED, "trained_tokens": 99}
    )
    seen: list[str] = []

    job = engine.wait(on_status=lambda job: seen.append(job.status))

    assert job.fine_tuned_model == TUNED
    assert seen == ["created", "queued", "running", "pausing", "paused", "running", "succeeded"]
    assert engine.trained_tokens == 99
    assert {name: job_record(data_path)[name] for name in ("status", "tuned_model", "trained_tokens")} == {
        "status": "succeeded",
        "tuned_model": TUNED,
        "trained_tokens": 99,
    }


@pytest.mark.parametrize(
    ("timeout", "poll_interval", "naps"),
    [
        (50.0, 20.0, [1.0, 2.0, 4.0, 8.0, 16.0, 19.0]),
        (None, 3600.0, [2.0**power for power in range(12)] + [3600.0] * 22 + [3105.0]),
    ],
)
def test_wait_ends_at_its_deadline(
    data_path: Path, timeout: float | None, poll_interval: float, naps: list[float]
) -> None:
    """Without a timeout it is a day; the error is a TimeoutError that names job and status."""
    time = Time()
    engine = started(Service(), data_path, {"status": "paused"}, time=time, poll_interval=poll_interval)

    with pytest.raises(TimeoutError) as caught:
        engine.wait(timeout)

    assert isinstance(caught.value, WaitTimeoutError)
    assert (caught.value.job_id, caught.value.status, time.naps) == ("job-1", "paused", naps)


def test_wait_ends_even_when_the_clock_stands_still(service: Service, data_path: Path) -> None:
    """Time slept counts towards the deadline."""
    engine = started(service, data_path, {"status": "queued"}, clock=lambda: 0.0)

    with pytest.raises(WaitTimeoutError):
        engine.wait(60)

    assert service.count(("GET", "/v1/fine_tuning/jobs/job-1")) == 8


def test_wait_survives_a_short_outage(service: Service, data_path: Path) -> None:
    """Five failed looks in a row are tolerated."""
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": TUNED})
    service.refusals["GET", "/v1/fine_tuning/jobs/job-1"] = [(503, refusal("down"))] * 5

    assert engine.wait().status == "succeeded"


@pytest.mark.parametrize(
    ("reply", "error", "looks"),
    [
        ((503, refusal("down")), openai.InternalServerError, 6),
        ((429, refusal("pay", code="insufficient_quota")), openai.RateLimitError, 1),
        ((404, refusal("no such job", code="fine_tune_not_found")), openai.NotFoundError, 1),
    ],
    ids=["long outage", "no quota", "unknown job"],
)
def test_wait_shows_what_does_not_heal(
    service: Service, data_path: Path, reply: tuple[int, dict[str, Any]], error: type[Exception], looks: int
) -> None:
    """The service's own error comes through."""
    engine = started(service, data_path, {"status": "running"})
    service.refusals["GET", "/v1/fine_tuning/jobs/job-1"] = [reply] * 10

    with pytest.raises(error):
        engine.wait()

    assert service.count(("GET", "/v1/fine_tuning/jobs/job-1")) == looks


# --- the end of a job ---

FAILED = {
    "status": "failed",
    "error": {"code": "invalid_training_file", "message": "Line 4 is bad", "param": "training_file"},
}


@pytest.mark.parametrize("ask", [OpenAIFinetuneEngine.wait, OpenAIFinetuneEngine.get_finetuned_model])
def test_a_failed_job_says_why(service: Service, data_path: Path, ask: Callable[[OpenAIFinetuneEngine], Any]) -> None:
    """Code, message and parameter of the service are in the error, which is a ValueError, and in the record."""
    engine = started(service, data_path, FAILED)

    with pytest.raises(ValueError, match=r"job job-1 failed: Line 4 is bad \(code invalid_training_file") as caught:
        ask(engine)

    assert isinstance(caught.value, JobFailedError)
    assert vars(caught.value) == {
        "job_id": "job-1",
        "status": "failed",
        "code": "invalid_training_file",
        "param": "training_file",
        "lines": (4,),
    }
    assert job_record(data_path)["error_message"] == "Line 4 is bad"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_lost_job_names_the_record_to_move_away(service: Service, data_path: Path, status: str) -> None:
    """In the library and on the command line; having done that, the same file is trained on again."""
    record_path = data_path.with_name("job.json")
    engine = started(service, data_path, {"status": status, "error": {}}, job_path=record_path)
    service.jobs[0]["status"] = status

    with pytest.raises(FinetuneError) as caught:
        engine.wait()
    record_path.rename(data_path.with_name("earlier.json"))
    engine.finetune()

    assert (
        str(caught.value)
        == {
            "failed": "job job-1 failed: the service gave no reason; look at events(), correct the training file and"
            " call finetune() or run the command again (to train on the same file again, call finetune(force=True),"
            f" or move {record_path} away first)",
            "cancelled": "job job-1 was cancelled and will have no tuned model; to start a new one, call"
            f" finetune(force=True), or move {record_path} away and run the command again",
        }[status]
    )
    assert (len(service.files), engine.get_current_job().id) == (1, "job-2")


def test_a_job_attached_to_has_no_record_to_name(service: Service, data_path: Path) -> None:
    """The advice stays true without one."""
    service.job_looks = [FAILED]

    with pytest.raises(JobFailedError, match=r"move its job record away first\)"):
        make_engine(service, data_path, start_job_id="job-9").wait()


def test_a_job_that_failed_without_a_reason_says_so(service: Service, data_path: Path) -> None:
    """An empty error object is not shown as a reason."""
    engine = started(service, data_path, {"status": "failed", "error": {}})

    with pytest.raises(JobFailedError, match="job job-1 failed: the service gave no reason; look at events"):
        engine.wait()


@pytest.mark.parametrize("status", ["cancelled", "canceled"])
def test_a_cancelled_job_says_so(service: Service, data_path: Path, status: str) -> None:
    """It is not waited for, and never handed out."""
    engine = started(service, data_path, {"status": status})

    with pytest.raises(JobCancelledError, match="job job-1 was cancelled"):
        engine.wait()
    with pytest.raises(JobCancelledError):
        engine.get_finetuned_model()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({}, "may have blocked it;"),
        ({"message": "Blocked", "code": "safety"}, r"blocked it \(Blocked \(code safety\)\);"),
    ],
)
def test_a_blocked_model_is_a_failure(service: Service, data_path: Path, error: dict[str, str], reason: str) -> None:
    """A job can succeed and its model be withheld."""
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": None, "error": error})

    with pytest.raises(JobFailedError, match=reason):
        engine.wait()


@pytest.mark.parametrize("status", ["queued", "paused"])
def test_a_job_under_way_says_to_wait(service: Service, data_path: Path, status: str) -> None:
    """The error names the status."""
    engine = started(service, data_path, {"status": status})

    with pytest.raises(JobNotReadyError) as caught:
        engine.get_finetuned_model()

    assert str(caught.value) == f"job job-1 is {status}, its model is not there yet: call wait() first"


@pytest.mark.parametrize("ask", ["wait", "get_current_job", "get_finetuned_model", "cancel", "events"])
def test_without_a_job_there_is_nothing_to_ask(service: Service, data_path: Path, ask: str) -> None:
    """No request is made."""
    engine = make_engine(service, data_path)

    with pytest.raises(JobNotStartedError, match=r"examples\.jsonl: call finetune\(\) first"):
        getattr(engine, ask)()

    assert service.calls == []


# --- the tuned LLM ---


def test_the_tuned_llm_goes_where_it_was_trained(service: Service, data_path: Path) -> None:
    """Same endpoint, same key, same headers, and the caller's settings."""
    client = service.client(organization="org-1", default_headers={"X-Gateway": "eu"})
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": TUNED}, client=client)

    llm: Any = engine.get_finetuned_model(temperature=0.3)

    assert (llm.model, llm.api_base, llm.api_key, llm.temperature) == (TUNED, "http://proxy.invalid/v1", KEY, 0.3)
    assert llm.default_headers == {"OpenAI-Organization": "org-1", "X-Gateway": "eu"}


@pytest.mark.parametrize(("asked", "window"), [({}, 1_047_576), ({"context_window": 4321}, 4321)])
def test_a_tuned_model_that_llama_index_does_not_know_gets_its_base_models_window(
    service: Service, data_path: Path, asked: dict[str, int], window: int
) -> None:
    """Other services name their tuned models as they like; prompts are still packed to the right size."""
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": "acme-lora-7"})

    llm: Any = engine.get_finetuned_model(**asked)

    assert (llm.model, llm.api_base, llm.api_key) == ("acme-lora-7", "http://proxy.invalid/v1", KEY)
    assert (llm.metadata.context_window, llm.metadata.is_chat_model) == (window, True)


def test_make_llm_decides_how_the_tuned_model_is_asked(service: Service, data_path: Path) -> None:
    """It gets the model's name and the caller's settings, and nothing else."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def make_llm(model: str, **settings: Any) -> LLM:
        asked.append((model, settings))
        return MockLLM()

    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": TUNED}, make_llm=make_llm)

    llm = engine.get_finetuned_model(temperature=0.3)

    assert isinstance(llm, MockLLM)
    assert asked == [(TUNED, {"temperature": 0.3})]


def test_an_azure_client_needs_make_llm(service: Service, data_path: Path) -> None:
    """A tuned model there answers under the name of a deployment, which nobody but the caller knows."""
    azure = openai.AzureOpenAI(
        base_url="http://proxy.invalid/v1",
        api_key=KEY,
        api_version="2024-10-21",
        http_client=openai.DefaultHttpxClient(transport=http.MockTransport(service.handle)),
    )
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": TUNED}, client=azure)

    with pytest.raises(ConfigurationError, match="use AzureOpenAIFinetuneEngine with deployment="):
        engine.get_finetuned_model()


async def test_a_client_in_this_process_is_asked_by_the_tuned_llm_too(data_path: Path) -> None:
    """It has no address that another client could reach, so the LLM asks through it, with await on threads."""
    with OfflineBackend(responder=ScriptedResponder(["yes", "Tuned.", "Tuned.", "Tuned."])) as backend:
        client = Endpoint.for_offline(backend).client()
        engine = OpenAIFinetuneEngine(BASE, data_path, client=client, poll_interval=0.0)
        engine.finetune()
        engine.wait()

        llm = engine.get_finetuned_model()

        assert llm.complete("How?").text == "Tuned."
        assert (await llm.acomplete("How?")).text == "Tuned."
        assert [chunk.text async for chunk in await llm.astream_complete("How?")][-1] == "Tuned."


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


# --- the rest of the surface ---


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


def test_cancel_stops_the_job(service: Service, data_path: Path) -> None:
    """The cancelled job is returned and noted in the record."""
    engine = started(service, data_path, {"status": "running"})

    assert engine.cancel().status == "cancelled"
    assert job_record(data_path)["status"] == "cancelled"


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


def test_trained_tokens_are_asked_for_where_not_known(service: Service, data_path: Path) -> None:
    """None until the service says."""
    engine = started(service, data_path, {"status": "running"}, {"status": "succeeded", "trained_tokens": 5})

    assert [engine.trained_tokens, engine.trained_tokens, engine.trained_tokens] == [None, 5, 5]


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "http://a.invalid/v1"}, "both a client and base_url"),
        ({"api_key": "k"}, "both a client and base_url"),
        ({"suffix": "s" * 65}, "has 65 characters; pass 1 to 64"),
        ({"poll_interval": -1.0}, "poll_interval=-1.0: below 0"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_sent(
    service: Service, data_path: Path, settings: dict[str, Any], message: str
) -> None:
    """The constructor says what is wrong."""
    with pytest.raises(ConfigurationError, match=message):
        make_engine(service, data_path, **settings)


def test_base_url_and_key_make_the_client(data_path: Path) -> None:
    """The positional arguments are those of the retired package; the service's address is a new one."""
    engine = OpenAIFinetuneEngine(BASE, str(data_path), True, None, False, base_url="http://a.invalid/v1", api_key=KEY)

    assert repr(engine) == (
        f"OpenAIFinetuneEngine(base_model='{BASE}', data_path='{data_path}', endpoint='http://a.invalid/v1')"
    )


def test_a_record_that_cannot_be_read_stops_before_anything_is_sent(service: Service, data_path: Path) -> None:
    """It may name a job that was paid for."""
    Path(f"{data_path}.job.json").write_text("{")
    engine = make_engine(service, data_path)

    with pytest.raises(FinetuneError, match="not a job record"):
        engine.finetune()

    assert service.calls == []
