"""The two doors of the offline backend: in this process, and over loopback."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import openai
import pytest
from calls import LINE

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline import (
    ChatRequest,
    LoopbackServer,
    OfflineBackend,
    ScriptedResponder,
    open_clients,
    serve,
)
from llama_index_ft_rag.testing import hang

KEY = {"Authorization": "Bearer any"}


def echo(request: ChatRequest) -> str:
    """Say the last message again."""
    return str(request.messages[-1]["content"])


@pytest.fixture
def backend() -> Iterator[OfflineBackend]:
    """A backend that echoes."""
    with OfflineBackend(responder=ScriptedResponder(echo), clock=lambda: 5.0) as opened:
        yield opened


@pytest.fixture
def server(backend: OfflineBackend) -> Iterator[LoopbackServer]:
    """That backend over loopback."""
    with serve(backend, max_request_bytes=10_000) as running:
        yield running


@pytest.fixture(params=["in process", "loopback"])
def client(request: pytest.FixtureRequest, backend: OfflineBackend) -> Iterator[openai.OpenAI]:
    """A client at either door."""
    if request.param == "loopback":
        with (
            serve(backend) as running,
            openai.OpenAI(base_url=running.url, api_key="any", max_retries=0) as opened,
        ):
            yield opened
    else:
        with openai.OpenAI(
            base_url="http://offline.invalid/v1",
            api_key="any",
            max_retries=0,
            http_client=backend.http_client(),
        ) as opened:
            yield opened


def ask(text: str) -> list[dict[str, str]]:
    """Make the messages of a question."""
    return [{"role": "user", "content": text}]


def raw(server: LoopbackServer, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> int:
    """Send a request as no openai client would, and return the status."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.putrequest(method, path, skip_host="host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    json.loads(response.read())
    connection.close()
    return response.status


def test_same_way_through_both_doors(client: openai.OpenAI) -> None:
    """Upload, job, tuned model, stream and embeddings work alike through either door."""
    uploaded = client.files.create(file=("train.jsonl", LINE * 10), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="student", training_file=uploaded.id)
    statuses = [client.fine_tuning.jobs.retrieve(job.id).status for _ in range(3)]
    tuned = client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model
    stream = client.chat.completions.create(model=tuned, messages=ask("Grüße, 世界!"), stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert statuses == ["queued", "running", "succeeded"]
    assert client.files.content(uploaded.id).content == LINE * 10
    assert client.models.retrieve(tuned).id == tuned
    assert text == "Grüße, 世界!"
    assert len(client.embeddings.create(model="e", input=["a", "b"]).data) == 2


def test_errors_through_both_doors(client: openai.OpenAI) -> None:
    """An error keeps its status, body and request id through either door."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.files.retrieve("file-gone")

    assert caught.value.body == {
        "message": "No such File object: file-gone",
        "type": "invalid_request_error",
        "param": "id",
        "code": None,
    }
    assert caught.value.request_id.startswith("req_")


async def test_async_through_loopback(server: LoopbackServer) -> None:
    """The asynchronous client reaches the server too."""
    async with openai.AsyncOpenAI(base_url=server.url, api_key="any", max_retries=0) as client:
        reply = await client.chat.completions.create(model="m", messages=ask("hello"))

    assert reply.choices[0].message.content == "hello"


def test_many_at_once(client: openai.OpenAI) -> None:
    """Threads that ask at the same time get their own answers, and files get their own ids."""

    def one(number: int) -> tuple[str | None, str]:
        reply = client.chat.completions.create(model="m", messages=ask(str(number)))
        return reply.choices[0].message.content, client.files.create(file=LINE, purpose="fine-tune").id

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, range(40)))

    assert [text for text, _ in results] == [str(number) for number in range(40)]
    assert len({file_id for _, file_id in results}) == 40


def test_many_that_come_at_the_same_moment(server: LoopbackServer) -> None:
    """64 clients that connect at once are all answered, none of them turned away."""
    together = threading.Barrier(64)

    def one(_: int) -> int:
        together.wait(10)
        return raw(server, "GET", "/v1/models", KEY)

    with ThreadPoolExecutor(64) as pool:
        statuses = list(pool.map(one, range(64)))

    assert statuses == [200] * 64


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "example.com", ""])
def test_loopback_only(backend: OfflineBackend, host: str) -> None:
    """A host that others could reach is refused."""
    with pytest.raises(ConfigurationError, match="not a loopback address"):
        serve(backend, host=host)


def test_a_port_that_is_none(backend: OfflineBackend) -> None:
    """A port outside of the range is told like one that is taken."""
    with pytest.raises(ConfigurationError, match="port 70000: not a port; pass one from 1 to 65535"):
        serve(backend, port=70_000)


def test_address_and_port(backend: OfflineBackend) -> None:
    """The URL names the port; a taken port is an error, and free again after close."""
    with serve(backend, host="localhost") as running:
        port = urlsplit(running.url).port
        with pytest.raises(ConfigurationError, match=f"port {port} on 127.0.0.1"):
            serve(backend, port=port)
    with serve(backend, port=port) as again:
        url = again.url

    assert url == f"http://127.0.0.1:{port}/v1"


def test_close_ends_kept_connections(backend: OfflineBackend) -> None:
    """After close nothing answers any more, not even on a connection that was kept open."""
    running = serve(backend)
    client = openai.OpenAI(base_url=running.url, api_key="any", max_retries=0)
    client.models.list()
    running.close()

    with client, pytest.raises(openai.APIConnectionError):
        client.models.list()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (KEY, 200),
        ({}, 401),
        ({**KEY, "host": "evil.example:80"}, 403),
        ({**KEY, "host": "LOCALHOST:80"}, 200),
        ({**KEY, "Content-Length": "x"}, 400),
        ({**KEY, "Content-Length": "10001"}, 413),
        ({**KEY, "Content-Length": "9" * 30}, 413),
        ({**KEY, "Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_hostile_requests(server: LoopbackServer, headers: dict[str, str], status: int) -> None:
    """Requests from foreign pages, of unknown length or too large are refused unread."""
    assert raw(server, "GET", "/v1/models?limit=5", headers) == status


def test_other_methods(server: LoopbackServer) -> None:
    """A method that the API does not have gets a JSON error."""
    assert raw(server, "PUT", "/v1/models", KEY) == 405


def test_backend_closed_under_the_server(caplog: pytest.LogCaptureFixture) -> None:
    """A server whose backend was closed hangs up and logs why, and goes on running."""
    backend = OfflineBackend(responder=ScriptedResponder(echo))
    with serve(backend) as running:
        backend.close()
        with pytest.raises(http.client.RemoteDisconnected):
            raw(running, "GET", "/v1/models", KEY)

    assert "This offline backend was closed" in caplog.text


def test_client_that_hangs_up(server: LoopbackServer) -> None:
    """A client that goes away in the middle of a request harms nobody else."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as rude:
        rude.sendall(b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\nhalf")

    assert raw(server, "GET", "/v1/models", KEY) == 200


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"BREW /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", b"501"),
        (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"400"),
        (
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: -1\r\n\r\n{}",
            b"400",
        ),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"414"),
    ],
    ids=["no such method", "two hosts", "two lengths", "long address"],
)
def test_requests_that_are_none(server: LoopbackServer, start: bytes, status: bytes) -> None:
    """What cannot be read in one way only is refused, in the form in which the API refuses."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(start)
        reply = b"".join(iter(lambda: connection.recv(65536), b""))

    assert reply.split()[1] == status
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"


def test_half_a_request_is_none(server: LoopbackServer, backend: OfflineBackend) -> None:
    """A body that ends before its length is not answered, even if it could be read."""
    address = urlsplit(server.url)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
    body = json.dumps({"model": "m", "messages": ask("hi")}).encode()
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % (len(body) + 9) + body)
        connection.shutdown(socket.SHUT_WR)

        assert connection.recv(100) == b""


def test_head(server: LoopbackServer) -> None:
    """HEAD gets a status and headers, and no body that would be taken for the next answer."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    statuses = []
    for method in ("HEAD", "GET"):
        connection.request(method, "/v1/models", headers=KEY)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()

    assert statuses == [405, 200]


def test_a_reply_kept_back_ends_with_its_client(server: LoopbackServer, backend: OfflineBackend) -> None:
    """A hanging request does not hold a thread after its client has given up."""
    before = threading.active_count()
    backend.faults.add(hang())
    client = openai.OpenAI(base_url=server.url, api_key="any", max_retries=0, timeout=0.05)
    with client, pytest.raises(openai.APITimeoutError):
        client.models.list()
    for _ in range(200):
        if threading.active_count() <= before:
            break
        time.sleep(0.02)

    assert threading.active_count() <= before


def test_a_hang_in_process_costs_no_time(backend: OfflineBackend) -> None:
    """A client with the usual limit of ten minutes meets it as a timeout, without waiting for it."""
    backend.faults.add(hang())
    started = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        open_clients(backend).sync.models.list()

    assert time.monotonic() - started < 60
