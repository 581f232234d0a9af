"""The training example, and the only reader and writer of `examples.jsonl` and its provenance file.

In: examples, wherever they come from. Out: `examples.jsonl` with nothing in it but what a provider accepts,
and beside it `examples.provenance.jsonl`, one row per example, joined by content hash. Knows nothing of
recording, curation or jobs.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llama_index_ft_rag.errors import ConfigurationError, ExamplesError
from llama_index_ft_rag.storage import read_rows, write_rows

logger = logging.getLogger(__name__)

CallKind = Literal[
    "answer",
    "refine",
    "tree_step",
    "condense",
    "selector",
    "sub_question",
    "hyde",
    "tool_turn",
    "judge",
    "question_generation",
    "other",
]
"""What an LLM call was for, within its query."""


_TRAINED_ON = ("messages", "tools", "parallel_tool_calls")
"""What a line of a training file holds; provenance never says it."""

RECORDING_BEGINNING = b'{"call_id"'
"""The first bytes of a recorder's file, which is no training file."""


class Usage(BaseModel):
    """Tokens of one call or a sum of calls, as the provider reported them; `None` where it said nothing."""

    model_config = ConfigDict(frozen=True)

    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=_add(self.prompt_tokens, other.prompt_tokens),
            completion_tokens=_add(self.completion_tokens, other.completion_tokens),
        )


def _add(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return left if right is None else right
    return left + right


class TrainingExample(BaseModel):
    """One finished LLM call: the messages that went over the wire and the assistant's answer to them.

    Only `messages`, `tools` and `parallel_tool_calls` reach `examples.jsonl`; the rest is provenance. Fields
    are empty where unknown.
    """

    model_config = ConfigDict(frozen=True)

    messages: list[dict[str, Any]]
    """OpenAI wire format, in order; the last one is the assistant's. A message may carry `weight` 0 or 1."""
    tools: list[dict[str, Any]] | None = None
    parallel_tool_calls: bool | None = None

    query_id: str | None = None
    """The calls of one query share it: the question id in a run, a root span id otherwise."""
    step: int | None = None
    """0 for the first call of its query, 1 for the next, ..."""
    kind: CallKind = "other"
    question: str | None = None
    """The user's question, not the prompt."""
    node_ids: list[str] = Field(default_factory=list)
    """Ids of the nodes retrieved for the query."""
    node_scores: list[float | None] = Field(default_factory=list)
    """What the retriever gave each of `node_ids`, in the same order; its unit is the retriever's."""
    model: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Settings the call was made with: temperature, tool_choice, response_format, ..."""
    usage: Usage = Usage()
    latency_s: float | None = None
    finish_reason: str | None = None
    made_by: str | None = None
    """What changed a recorded call into this example, such as `distractors`; `None` if it is as recorded."""
    made_from: str | None = None
    """Content hash of the example it was made from."""

    @property
    def content_hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the line a provider would see."""
        canonical = json.dumps(self.to_line(), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def prompt_hash(self) -> str:
        """The same for examples with the same messages before the last one and the same tools."""
        asked = [self.messages[:-1], self.tools or None, self.parallel_tool_calls]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def answer(self) -> str:
        """Text of the last message, its parts joined by line ends; empty where it only calls tools."""
        return message_text(self.messages[-1]) if self.messages else ""

    def to_line(self) -> dict[str, Any]:
        """The object a provider accepts as one line of a training file."""
        line: dict[str, Any] = {"messages": self.messages}
        if self.tools:
            line["tools"] = self.tools
            if self.parallel_tool_calls is not None:
                line["parallel_tool_calls"] = self.parallel_tool_calls
        return line

    def to_provenance(self) -> dict[str, Any]:
        """Everything the training line does not say, keyed by its content hash."""
        rest = self.model_dump(exclude={*_TRAINED_ON})
        return {"content_hash": self.content_hash, **rest}


def message_text(message: Mapping[str, Any]) -> str:
    """Text of a message in the wire format, its parts joined by line ends."""
    content = message.get("content")
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def provenance_path(path: Path) -> Path:
    """`examples.jsonl` -> `examples.provenance.jsonl`."""
    if not path.name:
        raise ConfigurationError(f"{path}: is a folder; pass the path of a JSONL file")
    return path.with_name(f"{path.stem}.provenance{path.suffix}")


def is_recording(path: Path) -> bool:
    """Whether a file begins as the file of a recorder does."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(RECORDING_BEGINNING)) == RECORDING_BEGINNING
    except (OSError, ValueError):
        return False


def write_examples(path: str | Path, examples: Iterable[TrainingExample], *, provenance: bool = True) -> int:
    """Write the training file and, beside it, its provenance; both atomically. Return the number of examples.

    Raises:
        ConfigurationError: If there is no such folder, or one of the two files is a recording.
    """
    target = Path(path)
    rows = list(examples)
    check_writable(target)
    if provenance:
        write_rows(provenance_path(target), (example.to_provenance() for example in rows))
    write_rows(target, (example.to_line() for example in rows))
    return len(rows)


def check_writable(path: Path) -> None:
    """Refuse to write a training file where it would do harm.

    Raises:
        ConfigurationError: If there is no such folder, or the file or its provenance would replace a recording.
    """
    for file in (path, provenance_path(path)):
        if is_recording(file):
            raise ConfigurationError(f"{file}: is a recording and would be overwritten; choose another path")
        if file.is_dir():
            raise ConfigurationError(f"{file}: is a folder; choose another path")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path.parent}: there is no such folder; create it, or choose another path")


def read_examples(path: str | Path) -> list[TrainingExample]:
    """Read a training file, ours or anybody's in the chat format; provenance is joined where it lies beside it.

    Raises:
        ExamplesError: If the file is missing, is not UTF-8, or a line is not an object with `messages`.
    """
    source = Path(path)
    known = read_provenance(source)
    return [join_provenance(_parse_line(source, number, line), known) for number, line in numbered_lines(source)]


def read_provenance(path: Path) -> dict[str, dict[str, Any]]:
    """What is known of the examples of a training file, by content hash; nothing where no such file lies beside it.

    Raises:
        ExamplesError: If there is a file and it cannot be read.
        ConfigurationError: If `path` has no file's name.
    """
    source = provenance_path(path)
    try:
        rows = read_rows(source, lost="what it said of an example is lost")
        return {str(row.pop("content_hash", "")): row for row in rows}
    except OSError as exc:
        raise ExamplesError(f"{source}: cannot be read ({exc.strerror}); remove it, or make it readable") from exc


def join_provenance(example: TrainingExample, known: Mapping[str, Mapping[str, Any]]) -> TrainingExample:
    """The example with all that is known of it; a row of provenance that cannot be used is named in the log."""
    rest = known.get(example.content_hash)
    if rest is None:
        return example
    fields = {name: value for name, value in rest.items() if name not in _TRAINED_ON}
    try:
        return TrainingExample.model_validate({**fields, **example.to_line()})
    except ValidationError as exc:
        fault = exc.errors()[0]
        logger.warning("the provenance of %s was left out: %s %s", example.content_hash, fault["loc"], fault["msg"])
        return example


def numbered_lines(source: Path) -> list[tuple[int, str]]:
    """The lines of a JSONL file that are not blank, each with its number from 1.

    Raises:
        ExamplesError: If the file is missing or is not UTF-8.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise ExamplesError(f"{source}: cannot be read ({exc.strerror}); pass the path of a JSONL file") from exc
    except UnicodeDecodeError as exc:
        raise ExamplesError(f"{source}: not UTF-8 at byte {exc.start}; save it as UTF-8") from exc
    # Only \n ends a line: str.splitlines would also cut at U+2028, which is legal inside a JSON string.
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _parse_line(source: Path, number: int, line: str) -> TrainingExample:
    advice = f"run `ft-rag validate {source}` to see every problem"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ExamplesError(f"{source} line {number}: not JSON ({str(exc)[:120]}); {advice}") from exc
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ExamplesError(f"{source} line {number}: no list of `messages`; {advice}")
    tools, parallel = row.get("tools"), row.get("parallel_tool_calls")
    try:
        example = TrainingExample(
            messages=messages,
            tools=tools if isinstance(tools, list) else None,
            parallel_tool_calls=parallel if isinstance(parallel, bool) else None,
        )
        _ = example.content_hash
    except (ValidationError, RecursionError) as exc:
        raise ExamplesError(f"{source} line {number}: is no example ({type(exc).__name__}); {advice}") from exc
    return example
