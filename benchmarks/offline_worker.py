"""One process of `offline.py`: a server until its standard input ends, or a client that calls in its own process.

    python benchmarks/offline_worker.py serve-ours         prints its address, then what it used
    python benchmarks/offline_worker.py serve-peer
    python benchmarks/offline_worker.py call-ours N FILE   N chats and N embeddings, one upload; prints what they took
    python benchmarks/offline_worker.py call-peer N FILE

The peers are what is left without the backend: the standard library's threading server with one constant
answer, and the openai client with a transport that answers the same.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import openai
from rows import MB, RSS_UNIT

from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder, serve
from llama_index_ft_rag.offline.in_process import client_library

QUESTION = "What is the capital of France, and how many people live there? " * 5
TEXTS = [f"The {number} department employed {number} people." for number in range(16)]
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "It is Paris."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
VECTORS = [{"object": "embedding", "index": number, "embedding": [0.25] * 8} for number in range(len(TEXTS))]
ANSWERS = {
    "/v1/chat/completions": CHAT,
    "/v1/embeddings": {"object": "list", "model": "m", "data": VECTORS, "usage": {"prompt_tokens": 1}},
    "/v1/models": {"object": "list", "data": []},
    "/v1/files": {"id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "f", "purpose": "p"},
}


class Constant(BaseHTTPRequestHandler):
    """Reads what it is sent and answers the same thing again and again."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Read the body in blocks and answer."""
        left = int(self.headers["content-length"])
        while left > 0:
            left -= len(self.rfile.read(min(left, MB)))
        body = json.dumps(ANSWERS[self.path]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of http.server
        """Say nothing."""


class ConstantServer(ThreadingHTTPServer):
    """Takes as many connections at once as ours does."""

    daemon_threads = True
    request_queue_size = 128


def main(kind: str, *arguments: str) -> None:
    """Do what the first argument says."""
    with ours() as backend:
        if kind == "serve-ours":
            with serve(backend) as server:
                wait(server.url)
        elif kind == "serve-peer":
            peer = ConstantServer(("127.0.0.1", 0), Constant)
            Thread(target=peer.serve_forever, daemon=True).start()
            wait(f"http://127.0.0.1:{peer.server_address[1]}/v1")
        else:
            http_client = backend.http_client() if kind == "call-ours" else constant_client()
            client = openai.OpenAI(base_url="http://offline.invalid/v1", api_key="k", http_client=http_client)
            call(client, int(arguments[0]), Path(arguments[1]))


@contextmanager
def ours() -> Iterator[OfflineBackend]:
    """A backend that always says the same."""
    with OfflineBackend(responder=ScriptedResponder(["It is Paris."])) as backend:
        yield backend


def wait(url: str) -> None:
    """Serve; whenever a line comes in, print the processor time and the peak memory so far."""
    print(url, flush=True)
    for _ in sys.stdin:
        print(json.dumps(used()), flush=True)


def call(client: openai.OpenAI, requests: int, upload: Path) -> None:
    """Call each endpoint and print the processor seconds of each, and by how much the upload raised the peak memory."""
    messages: Any = [{"role": "user", "content": QUESTION}]
    calls: dict[str, Callable[[], object]] = {
        "chat": lambda: client.chat.completions.create(model="m", messages=messages),
        "embeddings": lambda: client.embeddings.create(model="m", input=TEXTS, encoding_format="float"),
    }
    client.models.list()  # what the first request imports is not the upload's
    # The upload comes first: what the calls need would hide how far it raises the peak.
    before = used()["peak_mb"]
    started = time.perf_counter()
    client.files.create(file=upload, purpose="fine-tune")
    result = {"upload": time.perf_counter() - started, "growth_mb": used()["peak_mb"] - before}
    for name, once in calls.items():
        once()
        started = time.process_time()
        for _ in range(requests):
            once()
        result[name] = (time.process_time() - started) / requests
    print(json.dumps(result))


def constant_client() -> Any:
    """The openai client's own HTTP client, with a transport that answers by itself."""
    library: Any = client_library()

    class Transport(library.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            for _ in request.stream:
                pass
            return library.Response(200, json=ANSWERS[request.url.path])

    return openai.DefaultHttpxClient(transport=Transport())


def used() -> dict[str, float]:
    """Processor seconds and peak memory of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss * RSS_UNIT / MB}


if __name__ == "__main__":
    main(*sys.argv[1:])
