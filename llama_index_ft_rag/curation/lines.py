"""A file of examples, whoever wrote it -> examples, and the lines that are none with what they are instead.

In: a training file in the chat format or a recorder's file. Out: `ReadLines`. Byte order marks, UTF-16, Windows line
ends, blank lines and a missing last line end do not matter; a line that cannot be read is kept beside the others.
Knows no rules.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llama_index_ft_rag.curation.outcome import Reason, UnreadableLine
from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.examples import TrainingExample, is_recording, join_provenance, read_provenance
from llama_index_ft_rag.recording import read_recording
from llama_index_ft_rag.recording.kept_rows import to_examples
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
    """The line of each example, from 1; in a recording, its place among the calls, which come before
    the lines that are none."""
    unreadable: list[UnreadableLine] = field(default_factory=list)
    notices: tuple[str, ...] = ()
    other: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By number, what a line holds besides an example, such as the reference of a grader."""


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
            numbers = list(range(1, len(examples) + 1))
            return ReadLines(examples=examples, numbers=numbers, unreadable=[*_no_calls(source, len(examples))])
        known = read_provenance(source)
        read = ReadLines(examples=[], numbers=[])
        for number, line in _lines(source):
            if line:
                _add(read, number, line, known)
    except OSError as exc:
        file = exc.filename or source
        raise ExamplesError(f"{file}: cannot be read ({exc.strerror}); pass the path of a JSONL file") from exc
    return replace(read, notices=(_notice(read.other),)) if read.other else read


def _no_calls(source: Path, calls: int) -> Iterator[UnreadableLine]:
    """The lines of a recording that hold no call, as a killed process or a full disk leaves them, behind the calls."""
    found = 0
    for number, line in _lines(source):
        try:
            row = json.loads(line) if line else {}
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or ("messages" in row and not any(to_examples([row]))):
            found += 1
            reason = Reason(rule="unreadable", text=f"line {number} is torn, or holds no finished call")
            yield UnreadableLine(number=calls + found, text=line.decode("utf-8", errors="replace"), reason=reason)


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


def _add(read: ReadLines, number: int, line: bytes, known: Mapping[str, Mapping[str, Any]]) -> None:
    checked = None if _is_too_deep(line) else check_line(line, number=number)
    found = f"is nested more than {_DEEPEST} levels deep" if checked is None else _example(checked)
    if isinstance(found, str):
        text = line.decode("utf-8", errors="replace")
        read.unreadable.append(UnreadableLine(number=number, text=text, reason=Reason(rule="unreadable", text=found)))
        return
    read.examples.append(join_provenance(found, known))
    read.numbers.append(number)
    row = checked.example if checked is not None and checked.example is not None else {}
    if other := {key: value for key, value in row.items() if key not in _WRITTEN}:
        read.other[number] = other


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


def _notice(other: Mapping[int, Mapping[str, Any]]) -> str:
    keys = ", ".join(f"`{key[:40]}`" for key in list(dict.fromkeys(key for more in other.values() for key in more))[:5])
    have = "line has" if len(other) == 1 else "lines have"
    return f"{len(other):,} {have} keys that no training file may have ({keys}); what is kept is written without"
