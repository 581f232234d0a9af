"""How fast the offline backend answers, through both doors, and what a large upload costs in memory.

    python benchmarks/offline.py           a table
    python benchmarks/offline.py --json    one object with the same rows

The responder is a scripted one: what is measured is the backend, not the toy models. Each measurement stands
beside a peer in the same run: for the loopback door the standard library's server with one constant answer,
for the door in process the openai client with a transport that answers by itself.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import openai
from offline_worker import QUESTION, TEXTS
from rows import MB, Row, show

WORKER = Path(__file__).with_name("offline_worker.py")
BODIES = {
    "chat": ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}),
    "embeddings": ("/v1/embeddings", {"model": "m", "input": TEXTS}),
}
LEAST_PER_SECOND = 500
MOST_GROWTH_MB = 32
PEERS = "peer: the standard library's server with a constant answer; in process: the openai client with one"


@dataclass(frozen=True, kw_only=True)
class Load:
    """How a server did under many requests at once."""

    per_second: float
    """Requests."""
    cpu_s: float
    """The server's processor seconds per request."""

    @classmethod
    def median(cls, rounds: Sequence[Load]) -> Load:
        """Return the median of each figure."""
        return cls(
            per_second=statistics.median(load.per_second for load in rounds),
            cpu_s=statistics.median(load.cpu_s for load in rounds),
        )


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What an upload took."""

    seconds: float
    growth_mb: float
    """By how much it raised the peak memory of who received it."""


class Server:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - both are pipes
        self._input, self._output = process.stdin, process.stdout
        self.url = self._output.readline().strip()

    def used(self) -> dict[str, float]:
        """Processor seconds and peak memory so far."""
        print(file=self._input, flush=True)
        result: dict[str, float] = json.loads(self._output.readline())
        return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 0 if nothing missed its aim."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="ft-rag-benchmark-") as name:
        upload = _write_upload(Path(name) / "large.jsonl", options.upload_mb)
        with _serving("serve-ours") as ours, _serving("serve-peer") as peer:
            rows = _loopback(ours, peer, options)
            rows += _upload_rows(upload, "loopback", _upload(ours, upload), _upload(peer, upload))
        rows += _in_process(upload, options)
    return show(rows, as_json=options.json, note=PEERS)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--requests", type=int, default=4000, help="per endpoint, door and round")
    parser.add_argument("--clients", type=int, default=32, help="connections at once through the loopback door")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured; the median counts")
    parser.add_argument("--upload-mb", type=int, default=100, help="size of the uploaded file")
    return parser.parse_args(arguments)


def _loopback(ours: Server, peer: Server, options: argparse.Namespace) -> list[Row]:
    rows = []
    for name, (path, body) in BODIES.items():
        # In turn, so that what else the machine does slows both.
        rounds: dict[Server, list[Load]] = {ours: [], peer: []}
        for server in [ours, peer] * options.rounds:
            rounds[server].append(_load(server, path, body, options))
        mine, peers = Load.median(rounds[ours]), Load.median(rounds[peer])
        wanted = LEAST_PER_SECOND if name == "chat" else None
        rows += [
            _row(
                f"{name} per second, loopback, {options.clients} clients",
                mine.per_second,
                peers.per_second,
                unit="1/s",
                aim=f">= {wanted}" if wanted else "-",
                met=mine.per_second >= wanted if wanted else None,
            ),
            _row(f"{name}: server's CPU per request, loopback", mine.cpu_s * 1000, peers.cpu_s * 1000, unit="ms"),
        ]
    return rows


def _load(server: Server, path: str, body: Any, options: argparse.Namespace) -> Load:
    """Send requests over many connections at once."""
    share = max(1, options.requests // options.clients)
    data = json.dumps(body).encode()
    failures: list[Exception] = []

    def client() -> None:
        connection = _connect(server)
        try:
            for _ in range(share):
                connection.request("POST", path, data, {"authorization": "Bearer k"})
                response = connection.getresponse()
                response.read()
                assert response.status == 200, response.status
        except (OSError, http.client.HTTPException, AssertionError) as exc:
            failures.append(exc)
        finally:
            connection.close()

    before = server.used()["cpu_s"]
    started = time.perf_counter()
    threads = [Thread(target=client) for _ in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if failures:
        sys.exit(f"{path}: {len(failures)} of {options.clients} clients failed, the first with {failures[0]!r}")
    done = share * options.clients
    return Load(per_second=done / seconds, cpu_s=(server.used()["cpu_s"] - before) / done)


def _upload(server: Server, upload: Path) -> Upload:
    before = server.used()["peak_mb"]
    started = time.perf_counter()
    with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        client.files.create(file=upload, purpose="fine-tune")
    return Upload(seconds=time.perf_counter() - started, growth_mb=server.used()["peak_mb"] - before)


def _in_process(upload: Path, options: argparse.Namespace) -> list[Row]:
    rounds: dict[str, list[dict[str, float]]] = {"call-ours": [], "call-peer": []}
    for kind in [*rounds] * options.rounds:
        rounds[kind].append(_call(kind, str(max(1, options.requests // 10)), str(upload)))
    mine, peers = _medians(rounds["call-ours"]), _medians(rounds["call-peer"])
    rows = [
        _row(f"{name}: CPU per request with its client, in process", mine[name] * 1000, peers[name] * 1000, unit="ms")
        for name in BODIES
    ]
    uploads = (Upload(seconds=side["upload"], growth_mb=side["growth_mb"]) for side in (mine, peers))
    return [*rows, *_upload_rows(upload, "in process", *uploads)]


def _medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def _upload_rows(upload: Path, door: str, mine: Upload, peers: Upload) -> list[Row]:
    size = upload.stat().st_size / MB
    return [
        _row(f"upload of {size:.0f} MB, {door}", mine.seconds, peers.seconds, unit="s"),
        _row(
            f"memory added by the upload of {size:.0f} MB, {door}",
            mine.growth_mb,
            peers.growth_mb,
            unit="MB",
            aim=f"< {MOST_GROWTH_MB}",
            met=mine.growth_mb < MOST_GROWTH_MB,
            with_ratio=False,
        ),
    ]


def _row(
    name: str,
    value: float,
    peer_value: float,
    *,
    unit: str,
    aim: str = "-",
    met: bool | None = None,
    with_ratio: bool = True,
) -> Row:
    return Row(
        name=name,
        value=round(value, 3),
        unit=unit,
        peer=PEERS,
        peer_value=round(peer_value, 3),
        ratio=round(value / peer_value, 3) if with_ratio and peer_value else None,
        aim=aim,
        met=met,
    )


@contextmanager
def _serving(kind: str) -> Iterator[Server]:
    command = [sys.executable, str(WORKER), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Server(process)  # leaving closes its standard input, which ends it


def _call(*arguments: str) -> dict[str, float]:
    output = subprocess.run([sys.executable, str(WORKER), *arguments], check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(output.stdout)
    return result


def _connect(server: Server) -> http.client.HTTPConnection:
    address = urlsplit(server.url)
    return http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)


def _write_upload(path: Path, size_mb: int) -> Path:
    line = json.dumps({"messages": [{"role": "user", "content": "x" * 900}]}) + "\n"
    with path.open("w", encoding="ascii") as file:
        for _ in range(-(-size_mb * MB // len(line))):
            file.write(line)
    return path


if __name__ == "__main__":
    sys.exit(main())
