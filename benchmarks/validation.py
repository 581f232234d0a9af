"""Measure validation: how fast a training file is checked and counted, and what memory that takes.

    python benchmarks/validation.py [--examples 100000] [--threads N] [--rounds 3] [--json]

The examples are made: a system prompt, a question about a context, an answer; about 5 KB each, words of the sample
report. The limit is tiktoken's `encode_ordinary_batch` on the same texts with the same number of threads, the reading
of the file not counted. Beside it what `validate_json` of llama-index-finetuning does, written anew from a description
of it: the whole file in memory, one thread, cl100k for every model, no check of what training needs. Each is measured
in a process of its own, in turn, after a small file; the best round counts. Exit code 1: an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from rows import MB, RSS_UNIT, Row, show

from llama_index_ft_rag import validate_file
from llama_index_ft_rag.sample import sample_report
from llama_index_ft_rag.validation.counting import usable_cores

MODEL = "gpt-4.1-mini"
CHARACTERS = 4_200
"""Of a context."""
AIM_FROM = 50_000
"""Examples from which the aims are judged: small files measure the start of threads."""
AT_ONCE = 1_000
"""Examples the limit is given together; their tokens as Python lists fill gigabytes otherwise."""
SYSTEM = (
    "You answer questions about annual reports. Use only the passages you are given, and no other knowledge. Never "
    "mention the passages themselves. If they do not hold the answer, say so in one sentence."
)


def main() -> int:
    """Measure, print, and tell whether all aims are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100_000, help="how many are made")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="by default one for each core")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "SMALL", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, small, file = options.worker
        print(json.dumps(measured_here(kind, Path(small), Path(file), options.threads)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        small, file = Path(folder, "small.jsonl"), Path(folder, "made.jsonl")
        write_made(small, 200, seed=1)
        write_made(file, options.examples, seed=0)
        size = file.stat().st_size / 1e6
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in WORKERS}
        for _ in range(options.rounds):
            for kind, measured in found.items():
                measured.append(in_a_process(kind, small, file, options.threads))
    note = (
        f"{options.examples:,} made examples, {size:,.0f} MB, {options.threads} threads; the best of {options.rounds}"
    )
    judged = options.examples >= AIM_FROM
    return show(list(rows_of(found, size, judged=judged)), as_json=options.json, note=note)


def rows_of(found: dict[str, list[dict[str, float]]], size: float, *, judged: bool) -> Iterator[Row]:
    """Speed beside the limit and beside the old check, and memory."""
    speed = {kind: size / min(row["seconds"] for row in rows) for kind, rows in found.items()}
    memory = {kind: max(row["growth"] for row in rows) / MB for kind, rows in found.items()}
    tokens = {kind: rows[0]["tokens"] for kind, rows in found.items()}
    ratio = speed["ours"] / speed["limit"]
    yield Row(
        name="checked and counted",
        value=round(speed["ours"], 1),
        unit="MB/s",
        peer="encode_ordinary_batch",
        peer_value=round(speed["limit"], 1),
        ratio=round(ratio, 2),
        aim="ratio >= 0.8" if judged else "-",
        met=ratio >= 0.8 if judged else None,
    )
    yield Row(
        name="the same beside the old check",
        value=round(speed["ours"], 1),
        unit="MB/s",
        peer="old validate_json, written anew",
        peer_value=round(speed["old"], 1),
        ratio=round(speed["ours"] / speed["old"], 2),
        aim="-",
        met=None,
    )
    yield Row(
        name="memory added by the file",
        value=round(memory["ours"], 1),
        unit="MB",
        peer="old validate_json, written anew",
        peer_value=round(memory["old"], 1),
        ratio=round(memory["ours"] / memory["old"], 3) if memory["old"] else None,
        aim="< 32 MB" if judged else "-",
        met=memory["ours"] < 32 if judged else None,
    )
    yield Row(
        name="tokens of all texts",
        value=tokens["ours"],
        unit="tokens",
        peer="encode_ordinary_batch, with the frame",
        peer_value=tokens["limit"],
        ratio=tokens["ours"] / tokens["limit"],
        aim="equal",
        met=tokens["ours"] == tokens["limit"],
    )


def in_a_process(kind: str, small: Path, file: Path, threads: int) -> dict[str, float]:
    """Measure one kind in a process of its own."""
    command = [sys.executable, __file__, "--threads", str(threads), "--worker", kind, str(small), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def measured_here(kind: str, small: Path, file: Path, threads: int) -> dict[str, float]:
    """Measure in this process, after a small file has loaded all tables."""
    work = WORKERS[kind]
    work(small, threads)
    before = peak()
    seconds, tokens = work(file, threads)
    return {"seconds": seconds, "tokens": tokens, "growth": peak() - before}


def ours(file: Path, threads: int) -> tuple[float, int]:
    """Validate: seconds and tokens."""
    started = time.perf_counter()
    report = validate_file(file, model=MODEL, threads=threads)
    assert set(report.problem_counts.get("error", {})) <= {"too_large"}, report.render()
    return time.perf_counter() - started, report.tokens


def limit(file: Path, threads: int) -> tuple[float, int]:
    """Encode the same texts, and nothing else in the time that is measured."""
    from llama_index_ft_rag.tokenizer import count_encoded

    count_encoded("loads the table from this machine", encoding="o200k_base")
    import tiktoken

    encoding = tiktoken.get_encoding("o200k_base")
    seconds, tokens = 0.0, 0
    with file.open(encoding="utf-8") as stream:
        while lines := list(islice(stream, AT_ONCE)):
            messages = [json.loads(line)["messages"] for line in lines]
            texts = [message["content"] for chat in messages for message in chat]
            started = time.perf_counter()
            encoded = encoding.encode_ordinary_batch(texts, num_threads=threads)
            seconds += time.perf_counter() - started
            tokens += sum(map(len, encoded)) + sum(3 + 4 * len(chat) for chat in messages)  # a role is one token
    return seconds, tokens


def old(file: Path, threads: int) -> tuple[float, int]:  # noqa: ARG001 - it knows one thread only
    """Count as the check of llama-index-finetuning does."""
    from llama_index_ft_rag.tokenizer import count_encoded

    count_encoded("loads the table from this machine", encoding="cl100k_base")
    import tiktoken

    started = time.perf_counter()
    encoding = tiktoken.get_encoding("cl100k_base")
    with file.open(encoding="utf-8") as stream:
        examples = [json.loads(line) for line in stream]
    tokens = 0
    for example in examples:
        for message in example["messages"]:
            tokens += 3 + sum(len(encoding.encode(value)) for value in message.values())
        tokens += 3
    return time.perf_counter() - started, tokens


WORKERS: dict[str, Callable[[Path, int], tuple[float, int]]] = {"limit": limit, "ours": ours, "old": old}


def peak() -> int:
    """Bytes this process had at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def write_made(path: Path, size: int, *, seed: int) -> None:
    """Write made examples as a training file."""
    chance = random.Random(seed)  # noqa: S311 - made data, no secret
    words = sample_report().read_text(encoding="utf-8").split()
    with path.open("w", encoding="utf-8") as stream:
        for _ in range(size):
            context = " ".join(chance.choices(words, k=CHARACTERS // 6))[:CHARACTERS]
            question, answer = (" ".join(chance.choices(words, k=k)) for k in (15, 40))
            asked = f"Context:\n{context}\n\nQuestion: {question}?\nAnswer:"
            roles = zip(("system", "user", "assistant"), (SYSTEM, asked, answer), strict=True)
            messages = [{"role": role, "content": content} for role, content in roles]
            stream.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
