"""A fine-tuning service in memory, and engines that talk to it; used by the tests of the trainer.

Its replies are written after the published API, not recorded.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openai
from fakes import Time

from llama_index_ft_rag.finetuning import OpenAIFinetuneEngine

# openai 2 speaks through httpx, openai 3 through httpx2; the fake service goes into whichever it is.
http = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.split(".")[0])

KEY = "sk-not-a-real-key"
URL = "http://proxy.invalid/v1"
BASE = "gpt-4.1-mini"
TUNED = "ft:gpt-4.1-mini:acme::1"
UPLOAD, CREATE, CHAT = ("POST", "/v1/files"), ("POST", "/v1/fine_tuning/jobs"), ("POST", "/v1/chat/completions")
FILES, JOBS = ("GET", "/v1/files"), ("GET", "/v1/fine_tuning/jobs")
FILE, JOB = ("GET", "/v1/files/file-1"), ("GET", "/v1/fine_tuning/jobs/job-1")
EVENTS_OF_JOB = ("GET", "/v1/fine_tuning/jobs/job-1/events")
NOT_YET = "File 'file-1' is still being processed and is not ready to be used for fine-tuning."
NO_API = f"{URL} did not answer like the OpenAI API; check the base URL"
SUCCEEDED = {"status": "succeeded", "fine_tuned_model": TUNED}
EVENTS = [
    {"id": "e2", "created_at": 1760000060, "level": "info", "message": "Step 1", "data": {"train_loss": 0.5}},
    {"id": "e1", "created_at": 1760000000, "level": "warn", "message": "Created", "data": None},
    {"id": "e0", "created_at": 10**18},
]


class Killed(BaseException):
    """The process ends here."""


class FakeTime(Time):
    """A clock that only sleeping moves, with `await` too."""

    async def asleep(self, seconds: float) -> None:
        """Move the clock, and let others run."""
        self.sleep(seconds)
        await asyncio.sleep(0)


class Service:
    """Keeps files and jobs, and answers as told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.requests: list[Any] = []
        self.files: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        self.uploads: list[bytes] = []
        self.chats: list[dict[str, Any]] = []
        self.file_statuses: list[Any] = ["processed"]
        self.file_details: Any = "line 3 is not JSON"
        self.job_looks: list[dict[str, Any]] = [SUCCEEDED]
        """What the next looks at a job show; a field that is `...` is left out of the reply."""
        self.events: list[dict[str, Any]] = list(EVENTS)
        self.checkpoints: list[dict[str, Any]] = []
        self.contents: dict[str, bytes] = {}
        self.page_size: int | None = None
        self.message: dict[str, Any] = {"role": "assistant", "content": "Tuned."}
        self.refusals: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.before: Callable[[int], None] = lambda call: None
        self.after: Callable[[int], None] = lambda call: None

    def client(self, kind: type[openai.OpenAI] = openai.OpenAI, **settings: Any) -> Any:
        """A client whose requests end here."""
        settings = {"base_url": URL, "api_key": KEY, "max_retries": 0, **settings}
        transport = http.MockTransport(self.handle)
        return kind(http_client=openai.DefaultHttpxClient(transport=transport), **settings)

    def async_client(self, **settings: Any) -> openai.AsyncOpenAI:
        """Its asynchronous twin."""
        settings = {"base_url": URL, "api_key": KEY, "max_retries": 0, **settings}
        transport = http.MockTransport(self.handle)
        return openai.AsyncOpenAI(http_client=openai.DefaultAsyncHttpxClient(transport=transport), **settings)

    def handle(self, request: Any) -> Any:
        """Answer one request."""
        call = (request.method, request.url.path)
        self.calls.append(call)
        self.requests.append(request)
        self.before(len(self.calls))
        refusals = self.refusals.get(call)
        status, body = refusals.pop(0) if refusals else (200, self.answer(call, request))
        self.after(len(self.calls))
        if isinstance(body, str):
            return http.Response(status, text=body, headers={"content-type": "text/html"})
        if isinstance(body, http.Response):
            return body
        # Escaped by json.dumps: a service may send half a surrogate pair, which the library's own writer refuses.
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return http.Response(status, content=content, headers={"content-type": "application/json"})

    def answer(self, call: tuple[str, str], request: Any) -> Any:
        """Do what is asked."""
        _, path = call
        doing = {
            UPLOAD: lambda: self.upload(request.content),
            CREATE: lambda: self.create(json.loads(request.content)),
            CHAT: lambda: self.chat(json.loads(request.content)),
        }
        if call in doing:
            return doing[call]()
        if (listed := self.listed(path)) is not None:
            return self.page(listed, request.url.params)
        if path.endswith("/content"):
            return http.Response(200, content=self.contents[path.split("/")[-2]])
        if path.startswith("/v1/files/"):
            shown = {"status": next_of(self.file_statuses), "status_details": self.file_details}
            return without_blanks({**self.named(self.files, path), **shown})
        for act, status in (("cancel", "cancelled"), ("pause", "paused"), ("resume", "queued")):
            if path.endswith(f"/{act}"):
                return {**self.named(self.jobs, path.removesuffix(f"/{act}")), "status": status}
        return without_blanks({**self.named(self.jobs, path), **next_of(self.job_looks)})

    def listed(self, path: str) -> list[dict[str, Any]] | None:
        """What a list holds; `None` where a path is none."""
        # Lists begin with an entry that lacks everything: fields that the SDK calls required may be missing.
        lists = {FILES[1]: [{"id": "?"}, *self.files], JOBS[1]: [{"id": "?"}, *self.jobs]}
        if path.endswith("/checkpoints"):
            return self.checkpoints
        return self.events if path.endswith("/events") else lists.get(path)

    def page(self, found: list[dict[str, Any]], query: Any) -> dict[str, Any]:
        """One page of a list."""
        ids = [one.get("id") for one in found]
        start = ids.index(query["after"]) + 1 if "after" in query and query["after"] in ids else 0
        end = len(found) if self.page_size is None else start + self.page_size
        return {"object": "list", "data": found[start:end], "has_more": end < len(found)}

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

    def chat(self, body: dict[str, Any]) -> Any:
        """Say something, in one piece or as a stream."""
        self.chats.append(body)
        reply = {"id": "chat-1", "created": 1, "model": body["model"], "object": "chat.completion"}
        if not body.get("stream"):
            return {**reply, "choices": [{"index": 0, "finish_reason": "stop", "message": self.message}]}
        chunk = {**reply, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": self.message}]}
        text = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        return http.Response(200, text=text, headers={"content-type": "text/event-stream"})

    def named(self, things: list[dict[str, Any]], path: str) -> dict[str, Any]:
        """The file or job that a path ends in; one made elsewhere where it is not known."""
        name = path.rsplit("/", 1)[1]
        return next((thing for thing in things if thing["id"] == name), {"id": name, "error": {}})

    def count(self, call: tuple[str, str]) -> int:
        """How often something was asked."""
        return self.calls.count(call)

    @property
    def made(self) -> tuple[int, int]:
        """How many files and jobs there are."""
        return len(self.files), len(self.jobs)


def next_of(replies: list[Any]) -> Any:
    """The next reply; the last one over and over."""
    return replies.pop(0) if len(replies) > 1 else replies[0]


def without_blanks(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply without the fields that are `...`."""
    return {name: value for name, value in reply.items() if value is not ...}


def write_examples(path: Path, *, answer: str = "It grew.", count: int = 12) -> Path:
    """Write a training file that validation accepts."""
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


def write_pairs(path: Path, *, better: str = "It grew.", worse: str = "No idea.") -> Path:
    """Write a file of preference pairs that validation accepts."""
    rows = [
        {
            "input": {"messages": [{"role": "user", "content": f"How did revenue change in year {number}?"}]},
            "preferred_output": [{"role": "assistant", "content": f"{better} ({number})"}],
            "non_preferred_output": [{"role": "assistant", "content": worse}],
        }
        for number in range(12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_engine(
    service: Service, data_path: Path | None, *, time: FakeTime | None = None, **settings: Any
) -> OpenAIFinetuneEngine:
    """An engine that talks to the fake service and does not sleep."""
    time = time or FakeTime()
    pacing = {"sleep": time.sleep, "async_sleep": time.asleep, "clock": time.clock}
    # Models are shut down at dates, and a test is about none of them.
    settings = {"client": service.client(), "today": lambda: date(2026, 11, 25), **pacing, **settings}
    return OpenAIFinetuneEngine(settings.pop("base_model", BASE), data_path, **settings)


def make_validated(service: Service, data_path: Path, **settings: Any) -> OpenAIFinetuneEngine:
    """An engine with a validation file."""
    validation = write_examples(data_path.with_name("validation.jsonl"), answer="It fell.")
    return make_engine(service, data_path, validation_path=validation, **settings)


def make_preferring(service: Service, data_path: Path, **settings: Any) -> OpenAIFinetuneEngine:
    """An engine that trains on preference pairs, with a validation file."""
    validation = write_pairs(data_path.with_name("validation.jsonl"), better="It fell.")
    write_pairs(data_path)
    return make_engine(service, data_path, validation_path=validation, method="dpo", **settings)


def refusal(
    message: str, *, code: str | None = None, param: str | None = None, kind: str = "invalid_request_error"
) -> dict[str, Any]:
    """The body of an error answer."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def started(service: Service, data_path: Path, *looks: dict[str, Any], **settings: Any) -> OpenAIFinetuneEngine:
    """An engine whose job is started and will be seen like `looks`."""
    service.job_looks = list(looks)
    engine = make_engine(service, data_path, **settings)
    engine.finetune()
    return engine


def record_path(data_path: Path) -> Path:
    """Where the job record lies."""
    return Path(f"{data_path}.job.json")


def job_record(data_path: Path) -> dict[str, Any]:
    """What lies in the job record."""
    record: dict[str, Any] = json.loads(record_path(data_path).read_text())
    return record
