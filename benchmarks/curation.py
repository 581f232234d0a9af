"""Measure curation: seconds, memory and growth on many examples, and how many near duplicates are found.

    python benchmarks/curation.py [--examples 10000,30000,100000] [--truth 2000] [--json]

The examples are made: 300 words each, one in five a copy of an earlier one with some words changed. Seconds and memory
are those of a process of its own that reads the file, curates it with the search for near duplicates and writes the
folder, as `ft-rag curate` does. Recall is against every pair compared in plain Python. Exit code 1: an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT
from rows import MB, RSS_UNIT, Row, show

from llama_index_ft_rag import TrainingExample, curate
from llama_index_ft_rag.curation import read_lines, write_curation

WORDS = 300
QUESTION = 20
"""Words of the question among them."""
ANSWER = 80
"""Words of the answer among them; the others are the context."""
COPIES = 5
"""One example in so many is a copy of an earlier one with words changed."""
AT = 0.9


def main() -> int:
    """Measure, print, and tell whether all aims are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", default="10000,30000,100000", help="numbers of examples, separated by commas")
    parser.add_argument("--truth", type=int, default=2000, help="examples of which every pair is compared")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--worker", nargs=2, metavar=("FILE", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measured_here(*map(Path, options.worker))))
        return 0
    rows = [*rows_of_size(sorted(map(int, options.examples.split(",")))), row_of_recall(options.truth)]
    note = (
        f"made examples of {WORDS} words; one process each, interpreter start, reading and writing included; "
        "growth is without the start"
    )
    return show(rows, as_json=options.json, note=note)


def rows_of_size(sizes: list[int]) -> Iterator[Row]:
    """Seconds and memory for each number of examples, and how the seconds grow."""
    seconds: dict[int, float] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "made.jsonl")
            write_made(source, size)
            started = time.perf_counter()
            command = [sys.executable, __file__, "--worker", str(source), str(Path(folder, "out"))]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            whole = time.perf_counter() - started
        found = json.loads(done.stdout)
        seconds[size] = found["seconds"]
        largest = size == 100_000
        yield Row(
            name=f"{size:,} examples, seconds",
            value=round(whole, 1),
            unit="s",
            aim="< 90" if largest else "-",
            met=whole < 90 if largest else None,
        )
        peak = found["peak_bytes"] / MB
        yield Row(
            name=f"{size:,} examples, peak memory",
            value=round(peak),
            unit="MB",
            aim="< 1024" if largest else "-",
            met=peak < 1024 if largest else None,
        )
        yield Row(name=f"{size:,} examples, near duplicates", value=found["near"], unit="", aim="-", met=None)
    if len(sizes) > 1:
        small, large = sizes[0], sizes[-1]
        growth = (seconds[large] / large) / (seconds[small] / small)
        yield Row(
            name=f"seconds per example, {large:,} against {small:,}",
            value=round(growth, 2),
            unit="times",
            aim="<= 1.25",
            met=growth <= 1.25,
        )


def row_of_recall(size: int) -> Row:
    """How many of those that every pair compared calls near duplicates are dropped.

    Compared here in plain Python and not by the code that is measured: question with answer, and everything, both as
    sets of three words in a row.
    """
    examples = list(made(size))
    known = [(triples(example.question or "", example.answer), triples(*texts(example))) for example in examples]
    kept: list[int] = []
    truth: set[int] = set()
    for place in range(size):
        own, everything = known[place]
        alike = (
            earlier
            for earlier in kept
            if jaccard(known[earlier][0], own) >= AT and jaccard(known[earlier][1], everything) >= AT
        )
        if next(alike, None) is not None:
            truth.add(place)
        else:
            kept.append(place)
    found = {drop.number - 1 for drop in curate(examples, near_duplicates=AT).dropped}
    wrong, recall = len(found - truth), len(found & truth) / len(truth)
    return Row(
        name=f"near duplicates found, of {len(truth):,} among {size:,} ({wrong} wrong)",
        value=round(recall, 4),
        unit="recall",
        aim=">= 0.95",
        met=recall >= 0.95 and not wrong,
    )


def texts(example: TrainingExample) -> Iterator[str]:
    """The messages' texts."""
    return (message["content"] for message in example.messages)


def triples(*parts: str) -> frozenset[tuple[str, ...]]:
    """Three words in a row, each once."""
    words = re.findall(r"\w+", "\n".join(parts))
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def jaccard(left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]) -> float:
    """What two sets share, of all that is in them."""
    return len(left & right) / len(left | right)


def measured_here(source: Path, folder: Path) -> dict[str, float]:
    """Read, curate and write in this process."""
    started = time.perf_counter()
    curation = curate(read_lines(source))
    write_curation(curation, folder)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
    return {"seconds": seconds, "peak_bytes": peak, "near": curation.counts().get("near_duplicate", 0)}


def made(size: int) -> Iterator[TrainingExample]:
    """Examples of 300 words, some of them copies with words changed; no word holds a figure."""
    chance = random.Random(0)  # noqa: S311 - made data, no secret
    vocabulary = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(20_000)]
    earlier: list[list[str]] = []
    for place in range(size):
        if place % COPIES == COPIES - 1:
            words = list(chance.choice(earlier))
            for spot in chance.sample(range(WORDS), chance.randint(1, 12)):
                words[spot] = chance.choice(vocabulary)
        else:
            words = chance.choices(vocabulary, k=WORDS)
            if len(earlier) < 1000:
                earlier.append(words)
        yield example_of(words)


def example_of(words: list[str]) -> TrainingExample:
    """A question about a context, in LlamaIndex's prompt, and its answer."""
    question, context, answer = words[:QUESTION], words[QUESTION:-ANSWER], words[-ANSWER:]
    asked = DEFAULT_TEXT_QA_PROMPT.format(context_str=" ".join(context), query_str=" ".join(question))
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": " ".join(answer)}]
    return TrainingExample(messages=messages, question=" ".join(question), finish_reason="stop")


def write_made(path: Path, size: int) -> None:
    """Write made examples as a training file."""
    with path.open("w", encoding="utf-8") as stream:
        for example in made(size):
            stream.write(json.dumps(example.to_line()) + "\n")


if __name__ == "__main__":
    sys.exit(main())
