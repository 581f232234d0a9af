from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_index_ft_rag.example_tokens import ExampleParts
from llama_index_ft_rag.validation.counting import ExampleOfLine, count_examples
from llama_index_ft_rag.validation.repeats import Fingerprints, Repeat, Repeats

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory in KiB, and POSIX signals")

GROWTH = """if True:
    import resource, sys
    from llama_index_ft_rag import validate_file

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    validate_file(sys.argv[1], model="gpt-4.1")
    before = peak()
    report = validate_file(sys.argv[2], model="gpt-4.1", threads=2)
    print(peak() - before, report.examples, report.problem_counts)
"""
"""Peak memory in MB that a second file adds to a first, small one."""


def write_lines(path: Path, number: int, *, words: int = 800) -> Path:
    """So many different examples of some kilobytes."""
    with path.open("w", encoding="utf-8") as stream:
        for place in range(number):
            asked = {"role": "user", "content": f"{place} " + "meter pipe valve " * (words // 3)}
            stream.write(json.dumps({"messages": [asked, {"role": "assistant", "content": "Four."}]}) + "\n")
    return path


def growth(small: Path, large: Path) -> tuple[int, str]:
    """Megabytes the large file added, and what was found in it."""
    done = subprocess.run([sys.executable, "-c", GROWTH, small, large], capture_output=True, text=True, check=True)
    added, _, found = done.stdout.strip().partition(" ")
    return int(added), found


def test_a_large_file_is_read_in_flat_memory(tmp_path: Path) -> None:
    """A file of 45 MB adds a fraction of its size: lines are checked, counted and forgotten."""
    small, large = (write_lines(tmp_path / f"{n}.jsonl", n) for n in (500, 10_000))

    added, found = growth(small, large)

    assert found == "10000 {}"
    assert added < 12


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path: Path) -> None:
    """Hundreds of megabytes in one line are an error, and the line after them is read as ever."""
    small = write_lines(tmp_path / "small.jsonl", 10)
    large = tmp_path / "large.jsonl"
    with large.open("wb") as stream:
        stream.truncate(600_000_000)  # takes no room on the disk
        stream.seek(0, os.SEEK_END)
        stream.write(b"\n" + small.read_bytes().splitlines()[0] + b"\n")

    added, found = growth(small, large)

    assert found == "2 {'error': {'line_too_long': 1, 'too_few': 1, 'too_large': 1}}"
    assert added < 100


def test_a_million_equal_lines_are_told_from_a_million_different_ones() -> None:
    """Eight bytes a line are enough to find each repeat and the first line that says it."""
    said = Fingerprints()
    for number in range(1_000_000):
        said.add(number.to_bytes(8, "big") if number != 700_000 else (3).to_bytes(8, "big"))
    said.add(None)
    said.add((5).to_bytes(8, "big"))

    repeats = said.repeats(most=10)

    assert repeats == Repeats(count=2, first=(Repeat(line=700_001, first=4), Repeat(line=1_000_002, first=6)))


def test_an_interrupt_ends_the_command_at_once(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a file leaves one line and exit code 130, and waits for no count."""
    pipe = tmp_path / "endless.jsonl"
    os.mkfifo(pipe)
    text = write_lines(tmp_path / "lines.jsonl", 200).read_bytes()
    command = [sys.executable, "-m", "llama_index_ft_rag.cli", "validate", str(pipe)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    while text and process.poll() is None:  # a pipe holds 64 kB: when the rest is in, the command is reading it
        try:
            text = text[os.write(end, text) :]
        except BlockingIOError:
            time.sleep(0.01)

    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    os.close(end)

    assert (process.returncode, output, errors) == (130, "", "\nft-rag: stopped; nothing was written\n")


def test_whatever_ends_the_reading_ends_the_counting() -> None:
    """An interrupt between two lines is not held back by what is still to be counted."""

    def interrupted() -> Iterator[ExampleOfLine]:
        yield ExampleOfLine(line=1, parts=ExampleParts(texts=["text"], frame_tokens=3, uncounted=0))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(count_examples(interrupted(), encoding="o200k_base", threads=2))


def test_what_goes_wrong_on_a_thread_is_raised_here() -> None:
    """A count that fails is not a count of nothing."""
    broken = ExampleOfLine(line=1, parts=ExampleParts(texts=[b"no text" * 200], frame_tokens=3, uncounted=0))  # type: ignore[list-item]

    with pytest.raises(TypeError):
        list(count_examples([broken], encoding="o200k_base", threads=2))
