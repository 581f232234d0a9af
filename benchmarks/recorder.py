"""What recording adds to an LLM call, in time and in memory, with a prompt of 8 kB.

    python benchmarks/recorder.py             a table
    python benchmarks/recorder.py --json      one object with the same rows
    python benchmarks/recorder.py --no-peer   without the handler of llama-index-finetuning

Two peers in the same run: the floor, `json.dumps`, append and flush, after each call, of the very row that the recorder
writes; and the handler of llama-index-finetuning, installed whole, once, in an environment of its own (133 packages,
6 GB) with our version of LlamaIndex's core. Each is measured against the same calls without it, in the same process,
in turn. Time added = the median of the differences; half of the rounds lie within the spread.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rows import Row, show

WORKER = Path(__file__).with_name("recorder_worker.py")
FLOOR = "json.dumps, append and flush of the same row"
OLD = "llama-index-finetuning 0.4.2"
OLD_NEEDS = ["llama-index-finetuning==0.4.2", "mistralai<2"]
SAME = ("llama-index-core", "llama-index-instrumentation")
"""Of these the old handler gets our versions: LlamaIndex itself is the largest part of what is measured."""
BUILT = "requirements.txt"
"""Says what is in the folder of the old handler's environment, once all of it is there."""
MOST_TIMES_THE_FLOOR = 2
MOST_GROWTH_MB = 20

Rounds = dict[str, list[float]]
"""Microseconds per call of each round, by the way of recording."""


class CannotBuildError(Exception):
    """Why there is no old handler to compare with."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What many rounds measured."""

    median: float
    spread: float
    """From the first to the third quartile."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Sum rounds up."""
        first, median, third = statistics.quantiles(values, n=4)
        return cls(median=median, spread=third - first)

    @classmethod
    def added(cls, rounds: Rounds, way: str) -> Figure:
        """Return by how much a call costs more than one without a handler in the same round."""
        return cls.of([mine - none for mine, none in zip(rounds[way], rounds["none"], strict=True)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 0 if nothing that was measured missed its aim."""
    options = _options(arguments)
    old = None
    try:
        old = _build(options)
    except CannotBuildError as exc:
        print(f"skipped: {OLD}: {exc}", file=sys.stderr)
    versions = " and ".join(f"{name} {version}" for name, version in _versions().items())
    note = f"us: microseconds; peer of the file: {FLOOR}; else {OLD}; all on {versions}"
    rows = [*_time_rows(old, options), *_memory_rows(old, options)]
    return show(rows, as_json=options.json, note=note)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llama-index-ft-rag" / "old-handler"
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=300, help="how often each way is measured, at least 2")
    parser.add_argument("--calls", type=int, default=20, help="measured calls per way and round")
    parser.add_argument("--memory-calls", type=int, default=100_000, help="recorded calls; 9 kB of disk each")
    parser.add_argument("--peer-env", type=Path, default=cache, help=f"environment of {OLD} (default: %(default)s)")
    parser.add_argument("--no-peer", action="store_true", help="measure ours only")
    return parser.parse_args(arguments)


def _build(options: argparse.Namespace) -> Path:
    """Make the environment of the old handler unless it is there, and return its interpreter."""
    if options.no_peer or os.environ.get("CI"):
        raise CannotBuildError("not asked for" if options.no_peer else "its 6 GB are not installed in CI")
    folder: Path = options.peer_env.absolute()
    environment = folder / "environment"
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    needs = [*OLD_NEEDS, *(f"{name}=={version}" for name, version in _versions().items())]
    built = folder / BUILT
    if built.is_file() and built.read_text(encoding="utf-8").split() == needs:
        return python
    if folder.exists() and any(folder.iterdir()) and not built.is_file():
        raise CannotBuildError(f"{folder} holds something else; name another folder with --peer-env")
    print(f"installing {OLD} in {folder}: 133 packages, 6 GB", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    built.write_text("not all of it\n", encoding="utf-8")
    shutil.rmtree(environment, ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        _run(uv, "venv", "-q", "--python", sys.executable, str(environment))
        _run(uv, "pip", "install", "-q", "--python", str(python), *needs)
    else:
        _run(sys.executable, "-m", "venv", str(environment))
        _run(str(python), "-m", "pip", "install", "-q", *needs)
    built.write_text("\n".join(needs) + "\n", encoding="utf-8")
    return python


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in SAME}


def _run(*command: str) -> None:
    # uv's hard links make nltk, which llama-index-core uses, refuse its own files.
    environment = {**os.environ, "UV_LINK_MODE": "copy"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuildError(f"`{' '.join(command)}` failed: {_last_line(done.stderr)}")


def _time_rows(old: Path | None, options: argparse.Namespace) -> list[Row]:
    calls = str(options.calls)
    rounds: dict[str, Rounds] = {"ours": {}, "old": {}}
    with ExitStack() as stack:
        workers = {"ours": stack.enter_context(_worker(Path(sys.executable), "time", "ours", calls))}
        if old is not None:
            workers["old"] = stack.enter_context(_worker(old, "time", "old", calls))
        for _ in range(options.rounds):  # in turn, so that what else the machine does slows both
            for kind, worker in workers.items():
                for way, value in worker.measure().items():
                    rounds[kind].setdefault(way, []).append(value)
    floor = Figure.added(rounds["ours"], "floor")
    theirs = Figure.added(rounds["old"], "memory, callbacks") if old is not None else None
    rows = [
        _row("a call without a handler", Figure.of(rounds["ours"]["none"]).median),
        _row("the floor in a loop of its own", Figure.of(rounds["ours"]["floor alone"]).median),
    ]
    for way in ("file, attach()", "file, callbacks"):
        rows += _added_rows(way, Figure.added(rounds["ours"], way), FLOOR, floor, limit=MOST_TIMES_THE_FLOOR)
    for way in ("memory, attach()", "memory, callbacks"):
        rows += _added_rows(way, Figure.added(rounds["ours"], way), OLD, theirs, limit=1)
    return [*rows, *_added_rows("handler made, not used", Figure.added(rounds["ours"], "unused"), None, None)]


def _added_rows(
    way: str, mine: Figure, peer: str | None, peers: Figure | None, *, limit: float | None = None
) -> list[Row]:
    ratio = mine.median / peers.median if peers else None
    return [
        _row(
            f"added per call: {way}",
            mine.median,
            peer=peer,
            peer_value=peers.median if peers else None,
            ratio=ratio,
            aim=f"ratio <= {limit:g}" if limit else "-",
            met=ratio <= limit if ratio is not None and limit else None,
        ),
        _row("  its spread", mine.spread, peer=peer, peer_value=peers.spread if peers else None),
    ]


def _memory_rows(old: Path | None, options: argparse.Namespace) -> list[Row]:
    ours = Path(sys.executable)
    theirs = _growth(old, "old memory, callbacks", options.memory_calls) if old is not None else None
    rows = []
    for way in ("file, attach()", "file, callbacks"):
        mine = _growth(ours, f"ours {way}", options.memory_calls)
        rows.append(
            _row(
                f"memory added by {options.memory_calls} calls: {way}",
                mine,
                unit="MB",
                peer=OLD,
                peer_value=theirs,
                aim=f"< {MOST_GROWTH_MB}",
                met=mine < MOST_GROWTH_MB,
            )
        )
    return rows


def _growth(python: Path, kind: str, calls: int) -> float:
    with _worker(python, "memory", kind, str(calls)) as worker:
        return worker.measure()["growth_mb"]


def _row(
    name: str,
    value: float,
    *,
    unit: str = "us",
    peer: str | None = None,
    peer_value: float | None = None,
    ratio: float | None = None,
    aim: str = "-",
    met: bool | None = None,
) -> Row:
    return Row(
        name=name,
        value=round(value, 1),
        unit=unit,
        peer=peer,
        peer_value=None if peer_value is None else round(peer_value, 1),
        ratio=None if ratio is None else round(ratio, 2),
        aim=aim,
        met=met,
    )


class Worker:
    """A process that measures whenever it is told to."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self._process, self._errors = process, errors
        if self._answer() != _versions():
            sys.exit(f"{self._process.args!r} measures another version of LlamaIndex than {_versions()}")

    def measure(self) -> dict[str, float]:
        """Return the figures of one more round."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        figures: dict[str, float] = self._answer()
        return figures

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._process.args!r} failed: {_last_line(self._errors.read_text())}")
        return json.loads(line)


@contextmanager
def _worker(python: Path, *arguments: str) -> Iterator[Worker]:
    with tempfile.TemporaryDirectory(prefix="ft-rag-benchmark-") as name:
        errors = Path(name) / "stderr.txt"
        command = [str(python), str(WORKER), *arguments, name]
        with (
            errors.open("w") as stderr,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
            ) as process,
        ):
            yield Worker(process, errors)  # leaving closes its standard input, which ends it


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


if __name__ == "__main__":
    sys.exit(main())
