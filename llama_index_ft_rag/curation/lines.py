"""A file of examples, whoever wrote it -> examples, and the lines that are none with what they are instead.

In: a training file in the chat format or a recorder's file. Out: `ReadLines`. Byte order marks, UTF-16, Windows line
ends, blank lines and a missing last line end do not matter; a line that cannot be read is kept beside the others.
Knows no rules.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llama_index_ft_rag.curation.outcome import Reason, UnreadableLine
from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.examples import TrainingExample, is_recording, join_provenance, read_provenance
from llama_index_ft_rag.recording import read_recording
from llama_index_ft_rag.training_format import CheckedLine, check_line

_WRITTEN = {"messages", "tools", "parallel_tool_calls"}
_DEEPEST = 100
"""Levels of nesting. No training file needs them, and how many Python reads and writes depends on who calls."""
_NESTING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{\]}]', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class ReadLines:
    """What is in a file."""

    examples: list[TrainingExample]
    numbers: list[int]
    """The line of each example, from 1; in a recording, its place among the calls."""
    unreadable: list[UnreadableLine] = field(default_factory=list)
    notices: tuple[str, ...] = ()


def read_lines(path: str | Path) -> ReadLines:
    """Read every line of a file; what is known of an example is joined where its provenance lies beside the file.

    Raises:
        ExamplesError: If the file cannot be read.
    """
    source = Path(path)
    try:
        _refuse_what_is_no_file(source)
        if is_recording(source):
            examples = read_recording(source)
            return ReadLines(examples=examples, numbers=list(range(1, len(examples) + 1)))
        known = read_provenance(source)
        read = ReadLines(examples=[], numbers=[])
        with_more = sum(_add(read, number, line, known) for number, line in _lines(source) if line)
    except OSError as exc:
        file = exc.filename or source
        raise ExamplesError(f"{file}: cannot be read ({exc.strerror}); pass the path of a JSONL file") from exc
    notices = () if not with_more else (_notice(with_more),)
    return ReadLines(examples=read.examples, numbers=read.numbers, unreadable=read.unreadable, notices=notices)


def _refuse_what_is_no_file(source: Path) -> None:
    """A pipe is none either: to see whether it is a recording, its first bytes are read, and then they are gone."""
    if not source.is_file():
        what = "is no file" if source.exists() else "there is no such file"
        raise ExamplesError(f"{source}: cannot be read ({what}); pass the path of a JSONL file")


def _lines(source: Path) -> Iterator[tuple[int, bytes]]:
    """The lines as UTF-8, from 1, without white space at their ends; in files put together, any may have its mark."""
    with source.open("rb") as stream:
        wide = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        if not wide:
            stream.seek(0)
            for number, raw in enumerate(stream, start=1):
                yield number, raw.strip().removeprefix(codecs.BOM_UTF8).strip()
    if wide:
        # What is no UTF-16 becomes an escape that JSON does not know, so that no text is changed without a word.
        with source.open(encoding="utf-16", errors="backslashreplace", newline="\n") as text:
            for number, line in enumerate(text, start=1):
                yield number, line.encode("utf-8").strip()


def _add(read: ReadLines, number: int, line: bytes, known: Mapping[str, Mapping[str, Any]]) -> bool:
    """Add a line; say whether it has keys that no example keeps."""
    checked = None if _is_too_deep(line) else check_line(line, number=number)
    found = f"is nested more than {_DEEPEST} levels deep" if checked is None else _example(checked)
    if isinstance(found, str):
        text = line.decode("utf-8", errors="replace")
        read.unreadable.append(UnreadableLine(number=number, text=text, reason=Reason(rule="unreadable", text=found)))
        return False
    read.examples.append(join_provenance(found, known))
    read.numbers.append(number)
    return checked is not None and not _WRITTEN.issuperset(checked.example or ())


def _example(checked: CheckedLine) -> TrainingExample | str:
    """The example, or why there is none."""
    row = checked.example
    if checked.format == "preference":
        return "is a preference pair, which is no chat example"
    if row is not None and row.get("functions"):
        return "has `functions`, the old form of `tools`; write them as `tools` first"
    said = [problem.message for problem in checked.problems if problem.severity == "error"]
    if row is None:
        return "; ".join(said) or "is no chat example"
    try:
        return TrainingExample.model_validate({key: row[key] for key in _WRITTEN if key in row}, strict=True)
    except ValidationError as exc:
        fault = exc.errors()[0]
        return "; ".join(said) or f"`{'.'.join(map(str, fault['loc']))}`: {fault['msg']}"


def _is_too_deep(line: bytes) -> bool:
    if line.count(b"[") + line.count(b"{") <= _DEEPEST:
        return False
    depth = 0
    for found in _NESTING.finditer(line):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found.group(), 0)
        if depth > _DEEPEST:
            return True
    return False


def _notice(with_more: int) -> str:
    have = "line has" if with_more == 1 else "lines have"
    return f"{with_more:,} {have} more keys than a training file may have; what was kept is written without"
