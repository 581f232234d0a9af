"""One line of a training file -> its format and what is wrong with it.

In: the bytes of a line. Out: `CheckedLine`, with the parsed object where its format was recognised and every
problem found. The rules are those by which a service refuses a file, with those a careful reader would add as
warnings. Knows nothing of files, models or tokens.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from llama_index_ft_rag.training_messages import check_message, check_messages, check_tools, has_answer
from llama_index_ft_rag.training_problems import Findings, Problem, Severity, kind, listed, show

__all__ = ["CheckedLine", "Problem", "Severity", "TrainingFormat", "check_example", "check_line"]

TrainingFormat = Literal["chat", "preference", "unknown"]

_LINE_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}
_PAIR_KEYS = {"input", "preferred_output", "non_preferred_output"}
_OTHER_FORMATS: tuple[tuple[set[str], str], ...] = (
    ({"prompt", "completion"}, "the old format for completion models"),
    ({"preferred_completion"}, "the preference format has `preferred_output` and `non_preferred_output`"),
    ({"question", "answer"}, "questions and answers that are no chat yet"),
    ({"instruction", "output"}, "the instruction format of other trainers"),
    ({"conversations"}, "the conversation format of other trainers"),
    ({"contents"}, "another provider's format"),
    ({"text", "label"}, "a format for classifiers"),
    ({"input"}, "a preference pair lacks `preferred_output` and `non_preferred_output`"),
)


@dataclass(frozen=True, kw_only=True)
class CheckedLine:
    """What one line turned out to be."""

    format: TrainingFormat
    example: Mapping[str, Any] | None
    """The parsed object, where its format was recognised."""
    fingerprint: bytes
    """Equal for two lines that say the same, however they are spaced."""
    problems: tuple[Problem, ...]
    images: int = 0


def check_line(raw: bytes, *, number: int) -> CheckedLine:
    """Check one line, without its line end, as the training example it should be."""
    found = Findings(number)
    row = _parse(raw, found)
    if row is not None and "call_id" in row:
        found.error("recording", "is a line of a recording; write the training file with save_finetuning_events")
        row = None
    form = _recognise(row, found) if row is not None else "unknown"
    if row is not None and form == "chat":
        _check_chat(row, found)
    elif row is not None and form == "preference":
        _check_preference(row, found)
    return CheckedLine(
        format=form,
        example=row if form != "unknown" else None,
        fingerprint=_fingerprint(raw, row),
        problems=tuple(found.problems),
        images=found.images,
    )


def check_example(row: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Check a chat example that is no line of a file yet."""
    found = Findings(None)
    _check_chat(row, found)
    return tuple(found.problems)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is larger than a number can be")
    return number


# Made once: json.loads and json.dumps with arguments make a new one for each line.
_decode = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite).decode
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def _parse(raw: bytes, found: Findings) -> dict[str, Any] | None:
    try:
        row = _decode(raw.decode("utf-8"))
    except UnicodeDecodeError as exc:
        found.error("not_utf8", f"is not UTF-8 (byte {exc.start + 1}); save the file as UTF-8")
    except json.JSONDecodeError as exc:
        found.error("not_json", f"is not JSON ({exc.msg}, column {exc.colno}); each line must be one JSON object")
    except (ValueError, RecursionError) as exc:
        found.error("not_json", f"is not JSON a service would read ({str(exc)[:80]})")
    else:
        if isinstance(row, dict):
            return row
        found.error("not_object", f"is {kind(row)}; each line must be one JSON object with `messages`")
    return None


def _recognise(row: Mapping[str, Any], found: Findings) -> TrainingFormat:
    if "messages" in row:
        return "chat"
    if "input" in row and ("preferred_output" in row or "non_preferred_output" in row):
        return "preference"
    names = listed(row) if row else "nothing"
    hint = next((f" ({text})" for keys, text in _OTHER_FORMATS if keys <= row.keys()), "")
    found.error(
        "wrong_schema",
        f"has {names}{hint}; it needs `messages`, a list of chat messages that ends with the answer",
    )
    return "unknown"


def _check_chat(row: Mapping[str, Any], found: Findings) -> None:
    check_tools(row, found)
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        found.warn_of_keys(row, _LINE_KEYS, "the line")
        found.error("no_messages", "`messages` must be a list with at least one message")
        return
    assistants = [m for m in messages if isinstance(m, dict) and m.get("role") == "assistant"]
    graded = {key: value for key, value in row.items() if key not in _LINE_KEYS and value is not None}
    if graded and not assistants:
        found.error(
            "reinforcement_format",
            f"has {listed(graded)} and no message of the assistant: only a reinforcement job would take it, and since "
            "2026-10 OpenAI has no model for those; supervised training needs the answer as the last message",
        )
    elif graded:
        found.warn_of_keys(row, _LINE_KEYS, "the line")
    check_messages(messages, found)
    asked = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    if asked and all(isinstance(m.get("content"), str) and not m["content"].strip() for m in asked):
        found.warn("empty_prompt", "asks nothing: every message of the user is empty")
    if assistants:
        _check_end(messages[-1], assistants, found)
    elif not graded:
        found.error(
            "last_not_assistant",
            "has no message of the assistant; supervised training needs the answer as the last message",
        )


def _check_end(last: Any, assistants: list[dict[str, Any]], found: Findings) -> None:
    if last is not assistants[-1]:
        role = last.get("role") if isinstance(last, dict) else None
        found.error(
            "last_not_assistant",
            f"ends with a message of {show(role)}; the assistant's answer must be the last one",
        )
    elif not has_answer(last):
        found.warn("empty_answer", "ends with an empty answer; the model would learn to say nothing")
    if all(message.get("weight") == 0 for message in assistants):
        found.warn("nothing_trained", "gives every answer the weight 0, so that nothing is learned from it")


def _check_preference(row: Mapping[str, Any], found: Findings) -> None:
    found.warn_of_keys(row, _PAIR_KEYS, "the line")
    question = row["input"]
    messages = question.get("messages") if isinstance(question, dict) else None
    if isinstance(messages, list) and messages:
        check_tools(question, found)
        check_messages(messages, found, text_only=True)
    else:
        found.error("no_messages", "`input` must be an object with a list of `messages`")
    for key in ("preferred_output", "non_preferred_output"):
        _check_output(row.get(key), key, found)
    if row.get("preferred_output") == row.get("non_preferred_output") and not found.problems:
        found.warn("same_outputs", "prefers an answer to itself, from which nothing is learned")


def _check_output(output: Any, key: str, found: Findings) -> None:
    if not isinstance(output, list) or len(output) != 1 or not isinstance(output[0], dict):
        found.error("bad_preference", f"`{key}` must be a list with one message of the assistant")
    elif output[0].get("role") != "assistant":
        found.error("bad_preference", f"`{key}` has the role {show(output[0].get('role'))}, not 'assistant'")
    else:
        check_message(output[0], f"`{key}`", found, text_only=True)


def _fingerprint(raw: bytes, row: Mapping[str, Any] | None) -> bytes:
    canonical = raw
    if row is not None:
        try:
            canonical = _encode(row).encode("utf-8", errors="surrogatepass")
        except RecursionError:  # pragma: no cover - depends on how deep this Python parses and writes
            canonical = raw  # such a line is refused anyway
    return hashlib.blake2b(canonical, digest_size=16).digest()
