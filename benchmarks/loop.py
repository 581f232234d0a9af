"""How long the whole loop takes, how much memory it needs, whether it repeats itself, and what the import costs.

    python benchmarks/loop.py                  a table
    python benchmarks/loop.py --json           one object with the same rows
    python benchmarks/loop.py --pdf REPORT     with a long report; by default the one in the folder FT_RAG_TEST_DATA

Everything runs in processes of its own on the offline backend: no key, no network. The loop has no peer, only aims;
each import stands beside that of LlamaIndex's core and its OpenAI models, which an app that uses us has anyway.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rows import MB, RSS_UNIT, Row, show

# A part is imported when it is first asked for: the bare import is nearly nothing, so the parts are measured too.
OURS = {
    "llama_index_ft_rag": "import llama_index_ft_rag",
    "its handler": "from llama_index_ft_rag import OpenAIFineTuningHandler; import llama_index.llms.openai",
    "all of it": "from llama_index_ft_rag import *; import llama_index.llms.openai",
}
"""The bare import, and the parts as an app imports them that has LlamaIndex anyway."""
PEER = "import llama_index.core, llama_index.llms.openai"
MEASURED_IMPORT = (
    "import resource, time; started = time.perf_counter(); {statement}; "
    "print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
)
SAME_FILES = ("questions.jsonl", "examples.jsonl", *(f"scores-{arm}.jsonl" for arm in ("base", "tuned", "teacher")))


@dataclass(frozen=True, kw_only=True)
class Process:
    """What a finished process needed."""

    seconds: float
    peak_mb: float

    @classmethod
    def median(cls, processes: Sequence[Process]) -> Process:
        """Return the median of each figure."""
        return cls(
            seconds=statistics.median(process.seconds for process in processes),
            peak_mb=statistics.median(process.peak_mb for process in processes),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 0 if nothing that was measured missed its aim."""
    options = _options(arguments)
    pdf = options.pdf or _test_pdf()
    with tempfile.TemporaryDirectory(prefix="ft-rag-benchmark-") as name:
        folder = Path(name)
        rows = [*_demo(folder, options), *_long_report(folder, pdf, options), *_imports(options.rounds)]
    return show(rows, as_json=options.json, note=f"peer of the imports: {PEER}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--pdf", type=Path, help="a long report (PDF)")
    parser.add_argument("--questions", type=int, default=40, help="questions to train on, and as many to compare on")
    parser.add_argument("--rounds", type=int, default=5, help="how often each import is measured")
    return parser.parse_args(arguments)


def _test_pdf() -> Path | None:
    data = os.environ.get("FT_RAG_TEST_DATA")
    return Path(data) / "tenk" / "nvidia-sec-10k-2022.pdf" if data else None


def _demo(folder: Path, options: argparse.Namespace) -> list[Row]:
    questions = [f"--train-questions={options.questions}", f"--eval-questions={options.questions}"]
    runs = [_ft_rag("demo", "--out", str(folder / out), *questions) for out in ("demo", "again")]
    same = all(_content(folder / "demo" / name) == _content(folder / "again" / name) for name in SAME_FILES)
    return [
        _below("ft-rag demo", runs[0].seconds, unit="s", limit=30),
        Row(
            name="same seed, two processes: same questions, examples, scores",
            value=float(same),
            unit="1 = yes",
            aim="1",
            met=same,
        ),
    ]


def _long_report(folder: Path, pdf: Path | None, options: argparse.Namespace) -> list[Row]:
    names = ("ft-rag run on a long report", "peak memory of that run")
    if pdf is None or not pdf.is_file():
        print("skipped: no long report; name one with --pdf or FT_RAG_TEST_DATA", file=sys.stderr)
        return [
            Row(name=name, value=None, unit=unit, aim=aim, met=None)
            for name, unit, aim in zip(names, ("s", "MB"), ("< 60", "< 1024"), strict=True)
        ]
    questions = [f"--train-questions={options.questions}", f"--eval-questions={options.questions}"]
    run = _ft_rag("run", str(pdf), "--out", str(folder / "run"), "--backend", "offline", *questions)
    return [
        _below(names[0], run.seconds, unit="s", limit=60),
        _below(names[1], run.peak_mb, unit="MB", limit=1024),
    ]


def _imports(rounds: int) -> list[Row]:
    """Each import and its peer in turn, so that what else the machine does slows both."""
    for statement in (*OURS.values(), PEER):
        _measure_import(statement)  # the first one compiles
    return [row for what, statement in OURS.items() for row in _import_rows(what, statement, rounds)]


def _import_rows(imported: str, statement: str, rounds: int) -> list[Row]:
    measured: dict[str, list[Process]] = {statement: [], PEER: []}
    for each in [statement, PEER] * rounds:
        measured[each].append(_measure_import(each))
    mine, peers = Process.median(measured[statement]), Process.median(measured[PEER])
    return [
        _beside_peer(f"import time of {imported}", mine.seconds, peers.seconds, unit="s"),
        _beside_peer(f"import memory of {imported}", mine.peak_mb, peers.peak_mb, unit="MB"),
    ]


def _beside_peer(name: str, value: float, peer_value: float, *, unit: str) -> Row:
    ratio = value / peer_value
    return Row(
        name=name,
        value=round(value, 3),
        unit=unit,
        peer=PEER,
        peer_value=round(peer_value, 3),
        ratio=round(ratio, 3),
        aim="ratio < 1.1",
        met=ratio < 1.1,
    )


def _measure_import(statement: str) -> Process:
    command = [sys.executable, "-c", MEASURED_IMPORT.format(statement=statement)]
    seconds, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return Process(seconds=float(seconds), peak_mb=int(peak) * RSS_UNIT / MB)


def _ft_rag(*arguments: str) -> Process:
    """Run the command to its end; its output is shown only if it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        command = [sys.executable, "-m", "llama_index_ft_rag.cli", *arguments]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        # wait4 tells the peak memory of this one process; the module `resource` only that of the largest so far.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            output.seek(0)
            sys.exit(f"ft-rag {' '.join(arguments)} ended with {process.returncode}:\n{output.read().decode()}")
    return Process(seconds=seconds, peak_mb=usage.ru_maxrss * RSS_UNIT / MB)


def _content(path: Path) -> list[str]:
    """The lines of a file, sorted: what ran side by side is written in the order in which it ended."""
    return sorted(path.read_text(encoding="utf-8").splitlines())


def _below(name: str, value: float, *, unit: str, limit: float) -> Row:
    return Row(name=name, value=round(value, 1), unit=unit, aim=f"< {limit:g}", met=value < limit)


if __name__ == "__main__":
    sys.exit(main())
