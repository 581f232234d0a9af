"""Batches of the offline backend, through the openai client."""

from __future__ import annotations

import io
import json
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch

from llama_index_ft_rag.offline import (
    ApiFailure,
    ChatRequest,
    ConnectionLost,
    OfflineBackend,
    Refusal,
    Request,
    Response,
    ScriptedResponder,
    ServiceConditions,
    open_clients,
)
from llama_index_ft_rag.offline.api.batch_input import check_batch_input
from llama_index_ft_rag.offline.protocol import Handler
from llama_index_ft_rag.testing import Fault

CHAT = "/v1/chat/completions"
START = 1_800_000_000
DAY = 24 * 60 * 60
SERVER_ERROR = {
    "error": {
        "message": "The server had an error while processing your request. Sorry about that!",
        "type": "server_error",
        "param": None,
        "code": None,
    }
}


class Clock:
    """Stands still until a test moves it, and may let something happen when it is read."""

    def __init__(self) -> None:
        self.time = float(START)
        self.interrupt: Callable[[], object] | None = None

    def __call__(self) -> float:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            interrupt()
        return self.time


@dataclass(frozen=True, kw_only=True)
class Trouble(Fault):
    """A fault that does what a test says."""

    happen: Callable[[Request, Handler], Response]
    name: str = "trouble"
    route: str = f"POST {CHAT}"

    def strike(self, request: Request, proceed: Handler) -> Response:
        return self.happen(request, proceed)


def echo(request: ChatRequest) -> str:
    """Repeat the question, so that each answer names its line."""
    return f"{request.messages[-1]['content']}!"


def chat_line(number: int, **changes: Any) -> dict[str, Any]:
    """One good line, or one that is not."""
    body = {"model": "gpt-4", "messages": [{"role": "user", "content": f"q{number}"}]}
    line = {"custom_id": f"r{number}", "method": "POST", "url": CHAT, "body": body, **changes}
    return {key: value for key, value in line.items() if value is not None}


def start(client: openai.OpenAI, lines: int | list[Any] | bytes, *, endpoint: Any = CHAT, **settings: Any) -> Batch:
    """Upload lines and make a batch of them."""
    if isinstance(lines, int):
        lines = [chat_line(number) for number in range(1, lines + 1)]
    data = lines if isinstance(lines, bytes) else "".join(json.dumps(line) + "\n" for line in lines).encode()
    uploaded = client.files.create(file=("in.jsonl", data), purpose="batch")
    return client.batches.create(input_file_id=uploaded.id, endpoint=endpoint, completion_window="24h", **settings)


def look(client: openai.OpenAI, batch: Batch, times: int = 1) -> Batch:
    """Look at a batch so many times."""
    for _ in range(times):
        batch = client.batches.retrieve(batch.id)
    return batch


def finish(client: openai.OpenAI, batch: Batch) -> Batch:
    """Look at a small batch until it has ended."""
    return look(client, batch, 8)


def read(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """The lines of an output or error file; none where there is no file."""
    return [] if file_id is None else [json.loads(line) for line in client.files.content(file_id).iter_lines()]


def answers(client: openai.OpenAI, batch: Batch) -> dict[str, str]:
    """What was said, by custom id, in the order of the output file."""
    lines = read(client, batch.output_file_id)
    return {line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"] for line in lines}


def failures(client: openai.OpenAI, batch: Batch) -> dict[str, Any]:
    """Why there is no answer, by custom id, in the order of the error file: status and message, or code."""
    return {
        line["custom_id"]: line["error"]["code"]
        if line["response"] is None
        else (line["response"]["status_code"], line["response"]["body"]["error"]["message"])
        for line in read(client, batch.error_file_id)
    }


def counts(batch: Batch) -> tuple[int, int, int]:
    """Lines in all, answered, and failed."""
    return batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves."""
    return Clock()


@pytest.fixture
def backend(clock: Clock) -> Iterator[OfflineBackend]:
    """A backend that repeats what it is asked."""
    with OfflineBackend(responder=ScriptedResponder(echo), clock=clock) as opened:
        yield opened


@pytest.fixture
def client(backend: OfflineBackend) -> openai.OpenAI:
    """A client of that backend."""
    return open_clients(backend).sync


def test_a_batch_from_start_to_end(client: openai.OpenAI) -> None:
    """Its lines are answered in at most four looks; in the end the batch object says all."""
    batch = start(client, 5, metadata={"a": "b"})
    looks = [look(client, batch) for _ in range(6)]
    last = looks[-1]

    assert [(seen.status, *counts(seen)) for seen in [batch, *looks]] == [
        ("validating", 0, 0, 0),
        ("in_progress", 5, 0, 0),
        ("in_progress", 5, 2, 0),
        ("in_progress", 5, 4, 0),
        ("finalizing", 5, 5, 0),
        ("completed", 5, 5, 0),
        ("completed", 5, 5, 0),
    ]
    assert last.to_dict() == {
        "id": batch.id,
        "object": "batch",
        "endpoint": CHAT,
        "model": "gpt-4",
        "errors": None,
        "input_file_id": batch.input_file_id,
        "completion_window": "24h",
        "status": "completed",
        "output_file_id": last.output_file_id,
        "error_file_id": None,
        "created_at": START,
        "in_progress_at": START,
        "expires_at": START + DAY,
        "finalizing_at": START,
        "completed_at": START,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 5, "completed": 5, "failed": 0},
        "usage": {
            "input_tokens": 35,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 45,
        },
        "metadata": {"a": "b"},
    }
    assert batch.model is None
    assert answers(client, last) == {"r1": "q1!", "r2": "q2!", "r3": "q3!", "r4": "q4!", "r5": "q5!"}


def test_an_output_line_holds_what_the_endpoint_answers(client: openai.OpenAI) -> None:
    """The body of a line is that of the same request sent alone, with its request id."""
    batch = finish(client, start(client, [chat_line(1)]))
    alone = client.chat.completions.with_raw_response.create(**chat_line(1)["body"])
    [line] = read(client, batch.output_file_id)

    assert line == {
        "id": line["id"],
        "custom_id": "r1",
        "response": {"status_code": 200, "request_id": line["response"]["request_id"], "body": json.loads(alone.text)},
        "error": None,
    }
    assert (line["id"][:10], line["response"]["request_id"][:4]) == ("batch_req_", "req_")


async def test_async_batch(backend: OfflineBackend) -> None:
    """The asynchronous client does the same."""
    client = open_clients(backend).asynchronous
    uploaded = await client.files.create(file=json.dumps(chat_line(1)).encode(), purpose="batch")
    batch = await client.batches.create(input_file_id=uploaded.id, endpoint=CHAT, completion_window="24h")
    statuses = [(await client.batches.retrieve(batch.id)).status for _ in range(3)]
    listed = [item.id async for item in client.batches.list()]
    with pytest.raises(openai.ConflictError):
        await client.batches.cancel(batch.id)

    assert (statuses, listed) == (["in_progress", "finalizing", "completed"], [batch.id])


def without_ids(value: Any) -> Any:
    """An answer without its ids: equal requests for a response are told apart."""
    if isinstance(value, dict):
        return {name: without_ids(part) for name, part in value.items() if name != "id"}
    return [without_ids(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("endpoint", "body", "tokens"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "one two"}]}, (8, 3)),
        ("/v1/completions", {"prompt": "one two"}, (2, 3)),
        ("/v1/responses", {"input": "one two"}, (8, 3)),
        ("/v1/embeddings", {"input": ["one two", "three"]}, (3, 0)),
    ],
)
def test_every_endpoint_of_a_batch(
    client: openai.OpenAI, endpoint: str, body: dict[str, Any], tokens: tuple[int, int]
) -> None:
    """What may be batched is answered as it is alone; its usage is counted in the batch's own names."""
    line = chat_line(1, url=endpoint, body={"model": "m", **body})
    batch = finish(client, start(client, [line], endpoint=endpoint))
    [written] = read(client, batch.output_file_id)

    alone = client.post(endpoint.removeprefix("/v1"), body=line["body"], cast_to=dict[str, Any])
    assert without_ids(written["response"]["body"]) == without_ids(alone)
    assert (batch.usage.input_tokens, batch.usage.output_tokens) == tokens
    assert batch.usage.total_tokens == sum(tokens)


def test_files_of_a_batch(client: openai.OpenAI, clock: Clock) -> None:
    """Output files are named after the batch, and gone after thirty days or what was asked for."""
    usual = finish(client, start(client, 1))
    short = finish(client, start(client, 1, output_expires_after={"anchor": "created_at", "seconds": 3600}))
    files = [client.files.retrieve(batch.output_file_id) for batch in (usual, short)]
    clock.time += 3600

    assert [(file.filename, file.purpose, file.expires_at) for file in files] == [
        (f"{usual.id}_output.jsonl", "batch_output", START + 30 * DAY),
        (f"{short.id}_output.jsonl", "batch_output", START + 3600),
    ]
    with pytest.raises(openai.NotFoundError):
        client.files.content(short.output_file_id)


def refused(_request: Request, _proceed: object) -> Response:
    """An error of the service."""
    raise Refusal(ApiFailure(message="Overloaded.", status=503, type="server_error"))


def lost(_request: Request, _proceed: object) -> Response:
    """No answer."""
    raise ConnectionLost


def torn(request: Request, proceed: Handler) -> Response:
    """Half an answer."""

    def half() -> Iterator[bytes]:
        yield b'{"id": '
        raise ConnectionLost

    return replace(proceed(request), body=half())


def garbled(request: Request, proceed: Handler) -> Response:
    """An answer that is no JSON."""
    return replace(proceed(request), body=[b'{"id": '])


def gateway(_request: Request, _proceed: object) -> Response:
    """What a proxy says."""
    return Response(status=502, headers={"content-type": "text/html"}, body=[b"<html>"])


def test_partial_failure(backend: OfflineBackend, client: openai.OpenAI) -> None:
    """Lines that fail go to the error file with what was answered; the others are not touched."""
    backend.faults.add(Trouble(happen=refused), where=lambda request: b'"q2"' in request.body)
    batch = finish(client, start(client, [chat_line(1), chat_line(2), chat_line(3, body={"model": "gpt-4"})]))
    second, third = read(client, batch.error_file_id)

    assert (batch.status, counts(batch), answers(client, batch)) == ("completed", (3, 1, 2), {"r1": "q1!"})
    assert (second, third["response"]["status_code"], third["response"]["body"]["error"]["param"]) == (
        {
            "id": second["id"],
            "custom_id": "r2",
            "response": {
                "status_code": 503,
                "request_id": second["response"]["request_id"],
                "body": {
                    "error": {"message": "Overloaded.", "type": "server_error", "param": None, "code": None},
                },
            },
            "error": None,
        },
        400,
        "messages",
    )
    assert client.files.retrieve(batch.error_file_id).filename == f"{batch.id}_error.jsonl"


@pytest.mark.parametrize(("trouble", "status"), [(lost, 500), (torn, 500), (garbled, 500), (gateway, 502)])
def test_a_line_without_a_whole_answer(
    backend: OfflineBackend, client: openai.OpenAI, trouble: Callable[..., Response], status: int
) -> None:
    """A lost connection or a broken body costs its line, not the batch."""
    backend.faults.add(Trouble(happen=trouble))
    batch = finish(client, start(client, 2))
    [failed] = read(client, batch.error_file_id)

    assert (failed["custom_id"], failed["response"]["status_code"], failed["response"]["body"]) == (
        "r1",
        status,
        SERVER_ERROR,
    )
    assert answers(client, batch) == {"r2": "q2!"}


def test_a_line_that_is_never_answered(backend: OfflineBackend, client: openai.OpenAI) -> None:
    """A hang is a line that timed out, and nobody waits for it."""
    backend.faults.add(Trouble(happen=lambda request, proceed: replace(proceed(request), delay=math.inf)))
    batch = finish(client, start(client, 2))
    [failed] = read(client, batch.error_file_id)

    assert (failed["custom_id"], failed["response"]) == ("r1", None)
    assert failed["error"] == {"code": "request_timeout", "message": "This request got no answer in time."}


def test_usage_of_an_odd_answer(backend: OfflineBackend, client: openai.OpenAI) -> None:
    """Tokens that an answer does not tell are not counted."""
    odd = [b'{"usage": {"prompt_tokens": "many", "completion_tokens_details": 3}}', b'["no usage"]']
    backend.faults.add(Trouble(happen=lambda request, proceed: replace(proceed(request), body=[odd.pop()])), times=2)
    batch = finish(client, start(client, 2))

    assert (counts(batch), batch.usage.total_tokens) == ((2, 2, 0), 0)


def test_nothing_but_failures(backend: OfflineBackend, client: openai.OpenAI) -> None:
    """A batch of which every line failed is completed, without an output file."""
    backend.faults.add(Trouble(happen=refused), times=None)
    batch = finish(client, start(client, 2))

    assert (batch.status, batch.output_file_id, counts(batch)) == ("completed", None, (2, 0, 2))
    assert failures(client, batch) == {"r1": (503, "Overloaded."), "r2": (503, "Overloaded.")}


def test_rate_limits_count_lines(backend: OfflineBackend, client: openai.OpenAI) -> None:
    """The conditions of the account are those of each line."""
    backend.conditions = ServiceConditions(requests_per_minute=2)
    batch = finish(client, start(client, 3))
    [failed] = read(client, batch.error_file_id)

    assert list(answers(client, batch)) == ["r1", "r2"]
    assert (failed["response"]["status_code"], failed["response"]["body"]["error"]["code"]) == (
        429,
        "rate_limit_exceeded",
    )


GARBAGE = [
    ({"custom_id": None}, "missing_required_parameter", "Missing required parameter: 'custom_id'.", "custom_id"),
    ({"method": None}, "missing_required_parameter", "Missing required parameter: 'method'.", "method"),
    ({"url": None}, "missing_required_parameter", "Missing required parameter: 'url'.", "url"),
    (
        {"body": {**chat_line(1)["body"], "stream": True}},
        "streaming_unsupported",
        "Streaming is not supported in the Batch API.",
        "body.stream",
    ),
    ({"body": None}, "missing_required_parameter", "Missing required parameter: 'body'.", "body"),
    ({"custom_id": ["r2"]}, "invalid_type", "Invalid type for 'custom_id': expected a string.", "custom_id"),
    ({"body": "q"}, "invalid_type", "Invalid type for 'body': expected an object.", "body"),
    ({"method": {}}, "invalid_method", "The method of a request in a batch is 'POST'.", "method"),
    (
        {"url": "/v1/embeddings"},
        "invalid_url",
        "The URL provided for this request does not match the batch endpoint.",
        "url",
    ),
    (
        {"custom_id": "r1"},
        "duplicate_custom_id",
        "The custom_id for this request is a duplicate of another request; each must be unique.",
        "custom_id",
    ),
    ({"body": {"messages": []}}, "invalid_request", "Model parameter is required.", "body.model"),
    (
        {"body": {"model": "gpt-5"}},
        "mismatched_model",
        "The model `gpt-5` provided for this request is not `gpt-4`, the one of the rest of the batch; "
        "a batch asks one model.",
        "body.model",
    ),
]


@pytest.mark.parametrize(("changes", "code", "message", "param"), GARBAGE)
def test_a_bad_line_fails_the_batch(
    client: openai.OpenAI, changes: dict[str, Any], code: str, message: str, param: str
) -> None:
    """One bad line is named by its number in the file, and none is answered."""
    lines = [chat_line(1), chat_line(2, **changes)]
    batch = start(client, "\n\n".join(json.dumps(line) for line in lines).encode())
    failed = look(client, batch)

    assert (failed.status, failed.failed_at, failed.output_file_id, counts(failed)) == (
        "failed",
        START,
        None,
        (0, 0, 0),
    )
    assert failed.errors.to_dict() == {
        "object": "list",
        "data": [{"code": code, "message": message, "param": param, "line": 3}],
    }


def test_every_bad_line_is_told(client: openai.OpenAI) -> None:
    """All that is wrong with a file is told at once, up to a hundred errors."""
    few = look(client, start(client, [{"custom_id": "a", "url": CHAT}, {}]))
    many = look(client, start(client, [{} for _ in range(1000)]))

    assert [(error.line, error.param) for error in few.errors.data] == [
        (1, "method"),
        (1, "body"),
        (2, "custom_id"),
        (2, "method"),
        (2, "url"),
        (2, "body"),
    ]
    assert [error.line for error in many.errors.data] == [line for line in range(1, 26) for _ in range(4)]


def test_lines_that_are_no_objects() -> None:
    """Lines that no upload lets through would fail a batch all the same."""
    content = io.BytesIO(b"\xef\xbb\xbf" + json.dumps(chat_line(1)).encode() + b"\n[1]\n{\n")

    message = "This line is not parseable as valid JSON."
    assert check_batch_input(content, endpoint=CHAT).errors == [
        {"code": "invalid_json_line", "message": message, "param": None, "line": 2},
        {"code": "invalid_json_line", "message": message, "param": None, "line": 3},
    ]


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"\n \n", "empty_file", "The batch input file has no requests."),
        (
            b"".join(
                b'{"custom_id":"%d","method":"POST","url":"%b","body":{"model":"m"}}\n' % (n, CHAT.encode())
                for n in range(50_001)
            ),
            "too_many_tasks",
            "The batch input file has too many requests; at most 50000 are taken.",
        ),
    ],
    ids=["empty", "too many"],
)
def test_too_few_and_too_many_lines(client: openai.OpenAI, data: bytes, code: str, message: str) -> None:
    """A batch has one request at least and 50,000 at most."""
    failed = look(client, start(client, data))

    assert failed.status == "failed"
    assert [error.to_dict() for error in failed.errors.data] == [
        {"code": code, "message": message, "param": None, "line": None}
    ]


def test_input_files_that_are_none(client: openai.OpenAI) -> None:
    """A file that does not exist, or is for something else, fails the batch, not the request."""
    other = client.files.create(file=json.dumps(chat_line(1)).encode(), purpose="user_data").id
    for file_id in ("file-gone", other):
        batch = client.batches.create(input_file_id=file_id, endpoint=CHAT, completion_window="24h")
        failed = look(client, batch)

        assert (batch.status, failed.status) == ("validating", "failed")
        assert [error.to_dict() for error in failed.errors.data] == [
            {
                "code": "invalid_request",
                "message": f"Cannot find file {file_id} with purpose 'batch', or organization org-offline "
                "does not have access to it.",
                "param": "file_id",
                "line": None,
            }
        ]


def test_input_file_deleted_meanwhile(client: openai.OpenAI) -> None:
    """A batch whose file is deleted in the middle fails, and what was done is not lost."""
    batch = look(client, start(client, 4), 2)
    client.files.delete(batch.input_file_id)
    failed = look(client, batch)

    assert (failed.status, failed.errors.data[0].code, failed.error_file_id) == ("failed", "invalid_request", None)
    assert (counts(failed), answers(client, failed)) == ((4, 1, 0), {"r1": "q1!"})


@pytest.mark.parametrize(
    ("settings", "param", "message"),
    [
        (
            {"endpoint": "/v1/moderations"},
            "endpoint",
            "Invalid value: '/v1/moderations'. Supported values are: "
            "'/v1/chat/completions', '/v1/completions', '/v1/embeddings', and '/v1/responses'.",
        ),
        (
            {"completion_window": "1h"},
            "completion_window",
            "Invalid value: '1h'. Supported values are: '24h'.",
        ),
        ({"input_file_id": None}, "input_file_id", "Missing required parameter: 'input_file_id'."),
        (
            {"metadata": {str(number): "v" for number in range(17)}},
            "metadata",
            "Invalid value for 'metadata': expected an object with at most 16 pairs",
        ),
        (
            {"metadata": {"tags": ["a"]}},
            "metadata",
            "Invalid value for 'metadata': expected keys of at most 64 and texts of at most 512 characters, "
            'but got {"tags": ["a"]}.',
        ),
        (
            {"output_expires_after": 3600},
            "output_expires_after",
            "Invalid value for 'output_expires_after': expected an object, but got 3600.",
        ),
        (
            {"output_expires_after": {"anchor": "completed_at", "seconds": 3600}},
            "output_expires_after.anchor",
            "Invalid value: 'completed_at'. Supported values are: 'created_at'.",
        ),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 60}},
            "output_expires_after.seconds",
            "Invalid value for 'output_expires_after.seconds': expected an integer from 3600 to 2592000, but got 60.",
        ),
    ],
)
def test_refused_requests(client: openai.OpenAI, settings: dict[str, Any], param: str, message: str) -> None:
    """What cannot be is a 400 that names the parameter, and makes no batch."""
    body = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h", **settings}
    with pytest.raises(openai.BadRequestError) as caught:
        client.batches.create(**body)

    assert caught.value.param == param
    assert caught.value.body["message"].startswith(message)
    assert list(client.batches.list()) == []


def test_unknown_batch(client: openai.OpenAI) -> None:
    """A batch that does not exist is a 404 for every request."""
    for call in (client.batches.retrieve, client.batches.cancel):
        with pytest.raises(openai.NotFoundError, match="No batch found with id 'batch_1'"):
            call("batch_1")


def test_list_in_pages(client: openai.OpenAI) -> None:
    """Batches are listed newest first, page by page, as they are: a list moves none of them on."""
    ids = [start(client, 1).id for _ in range(5)]
    pages = [page.data for page in client.batches.list(limit=2).iter_pages()]

    assert [[batch.id for batch in page] for page in pages] == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    assert {batch.status for page in pages for batch in page} == {"validating"}
    assert [batch.id for batch in client.batches.list(after=ids[1])] == [ids[0]]
    with pytest.raises(openai.BadRequestError):
        client.batches.list(limit=101)


@pytest.mark.parametrize(
    ("looks", "done", "given_up"),
    [
        (0, [], []),
        (1, [], ["r1", "r2", "r3", "r4"]),
        (3, ["r1", "r2"], ["r3", "r4"]),
        (5, ["r1", "r2", "r3", "r4"], []),
    ],
)
def test_cancel(client: openai.OpenAI, looks: int, done: list[str], given_up: list[str]) -> None:
    """A batch can be cancelled until it has ended; it keeps what was done, and says what was not."""
    batch = look(client, start(client, 4), looks)
    cancelling = client.batches.cancel(batch.id)
    again = client.batches.cancel(batch.id)
    cancelled = look(client, batch)

    assert [seen.status for seen in (cancelling, again, cancelled)] == ["cancelling", "cancelling", "cancelled"]
    assert (cancelled.cancelling_at, cancelled.cancelled_at, cancelled.completed_at) == (START, START, None)
    assert (list(answers(client, cancelled)), failures(client, cancelled)) == (
        done,
        dict.fromkeys(given_up, "batch_cancelled"),
    )
    assert counts(cancelled) == (len(done) + len(given_up), len(done), len(given_up))
    assert client.batches.cancel(batch.id) == cancelled


def test_cancel_without_an_input_file(client: openai.OpenAI) -> None:
    """A batch whose file is gone can be cancelled too; nobody knows then what was not done."""
    batch = look(client, start(client, 4), 2)
    client.files.delete(batch.input_file_id)
    client.batches.cancel(batch.id)
    cancelled = look(client, batch)

    assert (cancelled.status, counts(cancelled), cancelled.error_file_id) == ("cancelled", (4, 1, 0), None)


def test_what_has_ended_cannot_be_cancelled(client: openai.OpenAI) -> None:
    """Cancelling a completed or failed batch is a conflict."""
    for lines, status in ((1, "completed"), ([{}], "failed")):
        batch = finish(client, start(client, lines))
        with pytest.raises(openai.ConflictError) as caught:
            client.batches.cancel(batch.id)

        assert caught.value.body["message"] == f"Cannot cancel a batch with status '{status}'."


@pytest.mark.parametrize(
    ("looks", "status", "done", "given_up"),
    [
        (0, "expired", [], ["r1", "r2", "r3", "r4"]),
        (3, "expired", ["r1", "r2"], ["r3", "r4"]),
        (5, "completed", ["r1", "r2", "r3", "r4"], []),
    ],
)
def test_expiry(
    client: openai.OpenAI, clock: Clock, looks: int, status: str, done: list[str], given_up: list[str]
) -> None:
    """After a day a batch expires with what was done; one whose lines are all answered is completed."""
    batch = look(client, start(client, 4), looks)
    clock.time += DAY - 1
    early = client.batches.list().data[0]
    clock.time += 1
    last = look(client, batch)

    assert (early.status, last.status) == (batch.status, status)
    assert (last.expired_at, last.completed_at) == ((START + DAY, None) if status == "expired" else (None, START + DAY))
    assert (list(answers(client, last)), failures(client, last)) == (done, dict.fromkeys(given_up, "batch_expired"))
    assert counts(last) == (4, len(done), len(given_up))


def test_an_expired_line_says_so(client: openai.OpenAI, clock: Clock) -> None:
    """A line that was not reached in time has an error instead of a response."""
    batch = look(client, start(client, [chat_line(1)]))
    clock.time += DAY
    [line] = read(client, look(client, batch).error_file_id)

    assert line == {
        "id": line["id"],
        "custom_id": "r1",
        "response": None,
        "error": {
            "code": "batch_expired",
            "message": "This request could not be executed before the completion window expired.",
        },
    }


def test_cancelled_while_it_expires(client: openai.OpenAI, clock: Clock) -> None:
    """A batch that was told to be cancelling ends as cancelled, whatever a look at that moment saw."""
    batch = look(client, start(client, 4), 2)
    clock.time += DAY
    clock.interrupt = lambda: client.batches.cancel(batch.id)
    seen = [look(client, batch).status for _ in range(2)]

    assert seen == ["cancelling", "cancelled"]


def test_several_looks_at_once(clock: Clock) -> None:
    """While one look answers lines, others see how the batch stands, and may cancel it without losing anything."""
    seen: list[Batch] = []

    def nosy(request: ChatRequest) -> str:
        other = threading.Thread(target=lambda: seen.append(client.batches.retrieve(batch.id)))
        other.start()
        other.join()
        if request.messages[-1]["content"] == "q3":
            seen.append(client.batches.cancel(batch.id))
        return "x"

    with OfflineBackend(responder=ScriptedResponder(nosy), clock=clock) as backend:
        client = open_clients(backend).sync
        batch = start(client, 8)
        looks = [look(client, batch) for _ in range(4)]
        last = looks[-1]

        assert [(other.status, *counts(other)) for other in seen] == [
            ("in_progress", 8, 0, 0),
            ("in_progress", 8, 0, 0),
            ("in_progress", 8, 2, 0),
            ("cancelling", 8, 2, 0),
            ("cancelling", 8, 2, 0),
        ]
        assert [(other.status, *counts(other)) for other in looks] == [
            ("in_progress", 8, 0, 0),
            ("in_progress", 8, 2, 0),
            ("cancelling", 8, 4, 0),
            ("cancelled", 8, 4, 4),
        ]
        assert list(answers(client, last)) == ["r1", "r2", "r3", "r4"]


def test_cancelled_at_the_last_line(clock: Clock) -> None:
    """A batch that is cancelled while its last line is answered ends as cancelled, with all its answers."""

    def cancelling(request: ChatRequest) -> str:
        if request.messages[-1]["content"] == "q2":
            client.batches.cancel(batch.id)
        return echo(request)

    with OfflineBackend(responder=ScriptedResponder(cancelling), clock=clock) as backend:
        client = open_clients(backend).sync
        batch = start(client, 2)
        looks = [look(client, batch) for _ in range(4)]

        assert [seen.status for seen in looks] == ["in_progress", "in_progress", "cancelling", "cancelled"]
        assert (answers(client, looks[-1]), looks[-1].error_file_id) == ({"r1": "q1!", "r2": "q2!"}, None)


def run(folder: Path, *, restarts: bool, kill: bool = False) -> tuple[str, str]:
    """Take a batch with a failing line to its end; return its output and its errors."""
    reached: list[str] = []

    def script(request: ChatRequest) -> str:
        reached.append(request.messages[-1]["content"])
        if kill and reached == ["q1", "q2", "q3", "q4"]:
            raise KeyboardInterrupt
        return echo(request)

    lines = [chat_line(number) for number in range(1, 9)]
    lines[4]["body"]["messages"] = []
    batch = None
    for _ in range(8 if restarts else 1):
        with OfflineBackend(folder, responder=ScriptedResponder(script), clock=lambda: 1.0) as backend:
            client = open_clients(backend).sync
            batch = batch or start(client, lines)
            try:
                batch = look(client, batch, 1 if restarts else 8)
            except KeyboardInterrupt:
                continue
            if batch.status == "completed":
                return client.files.content(batch.output_file_id).text, client.files.content(batch.error_file_id).text
    raise AssertionError(batch)


def test_restart_continues(tmp_path: Path) -> None:
    """A batch goes on where it stood, or runs a look that was killed again, to the same files byte by byte."""
    calm = run(tmp_path / "calm", restarts=False)
    restarted = run(tmp_path / "restarted", restarts=True)
    killed = run(tmp_path / "killed", restarts=True, kill=True)

    assert calm == restarted == killed
    assert [text.count("\n") for text in calm] == [7, 1]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Once a batch has ended, its state folder holds the input and the output, and no halves of them."""
    with OfflineBackend(tmp_path, responder=ScriptedResponder(echo)) as backend:
        client = open_clients(backend).sync
        batch = finish(client, start(client, 8))

        kept = sorted(path.name for path in (tmp_path / "contents").iterdir())
        assert kept == sorted([f"{batch.input_file_id}.content", f"{batch.output_file_id}.content"])
