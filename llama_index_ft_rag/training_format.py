"""One line of a training file -> its format and what is wrong with it.

In: the bytes of a line. Out: `CheckedLine`, with the parsed object where its format was recognised and every
problem found. The rules are those by which a service refuses a file, with those a careful reader would add as
warnings. Knows nothing of files, models or tokens.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

Severity = Literal["error", "warning"]
"""An error makes a service refuse the file, or train on the wrong thing; a warning should be read."""
TrainingFormat = Literal["chat", "preference", "unknown"]

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_LINE_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}
_PAIR_KEYS = {"input", "preferred_output", "non_preferred_output"}
_MESSAGE_KEYS = {
    "role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal",
    "parallel_tool_calls",
}  # fmt: skip
_PARTS = ("text", "image_url", "refusal")
_SPECIAL = re.compile(r"<\|[a-z_]+\|>")
# Only fim_suffix is documented as refused (2026-02); the others are tokens of the same kind.
_REFUSED_TOKENS = {
    "<|endoftext|>", "<|endofprompt|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
    "<|im_start|>", "<|im_end|>", "<|im_sep|>",
}  # fmt: skip
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
class Problem:
    """One thing that is wrong with a training file."""

    line: int | None
    """Counted from 1; `None` for the file as a whole."""
    code: str
    message: str
    severity: Severity = "error"


@dataclass(frozen=True, kw_only=True)
class CheckedLine:
    """What one line turned out to be."""

    format: TrainingFormat
    example: Mapping[str, Any] | None
    """The parsed object, where its format was recognised."""
    fingerprint: bytes
    """Equal for two lines that say the same, however they are spaced."""
    problems: tuple[Problem, ...]


def check_line(raw: bytes, *, number: int) -> CheckedLine:
    """Check one line, without its line end, as the training example it should be."""
    notes = _Notes(number)
    row = _parse(raw, notes)
    if row is not None and "call_id" in row:
        notes.error("recording", "is a line of a recording; write the training file with save_finetuning_events")
        row = None
    kind = _recognise(row, notes) if row is not None else "unknown"
    if row is not None and kind == "chat":
        _check_chat(row, notes)
    elif row is not None and kind == "preference":
        _check_preference(row, notes)
    return CheckedLine(
        format=kind,
        example=row if kind != "unknown" else None,
        fingerprint=_fingerprint(raw, row),
        problems=tuple(notes.problems),
    )


def check_example(row: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Check a chat example that is no line of a file yet."""
    notes = _Notes(None)
    _check_chat(row, notes)
    return tuple(notes.problems)


@dataclass
class _Notes:
    """Collects the problems of one line."""

    line: int | None
    problems: list[Problem] = field(default_factory=list)

    def error(self, code: str, message: str) -> None:
        self.problems.append(Problem(line=self.line, code=code, message=message))

    def warn(self, code: str, message: str) -> None:
        self.problems.append(Problem(line=self.line, code=code, message=message, severity="warning"))


def _parse(raw: bytes, notes: _Notes) -> dict[str, Any] | None:
    try:
        row = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError as exc:
        notes.error("not_utf8", f"is not UTF-8 (byte {exc.start + 1}); save the file as UTF-8")
    except json.JSONDecodeError as exc:
        notes.error("not_json", f"is not JSON ({exc.msg}, column {exc.colno}); each line must be one JSON object")
    except (ValueError, RecursionError) as exc:
        notes.error("not_json", f"is not JSON a service would read ({str(exc)[:80]})")
    else:
        if isinstance(row, dict):
            return row
        notes.error("not_object", f"is {_kind(row)}; each line must be one JSON object with `messages`")
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is larger than a number can be")
    return number


def _recognise(row: Mapping[str, Any], notes: _Notes) -> TrainingFormat:
    if "messages" in row:
        return "chat"
    if "input" in row and ("preferred_output" in row or "non_preferred_output" in row):
        return "preference"
    found = _listed(row) if row else "nothing"
    hint = next((f" ({text})" for keys, text in _OTHER_FORMATS if keys <= row.keys()), "")
    notes.error(
        "wrong_schema",
        f"has {found}{hint}; it needs `messages`, a list of chat messages that ends with the answer",
    )
    return "unknown"


def _check_chat(row: Mapping[str, Any], notes: _Notes) -> None:
    _warn_of_keys(row, _LINE_KEYS, "the line", notes)
    _check_tools(row.get("tools"), notes)
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        notes.error("no_messages", "`messages` must be a list with at least one message")
        return
    _check_messages(messages, notes)
    assistants = [m for m in messages if isinstance(m, dict) and m.get("role") == "assistant"]
    if not assistants:
        notes.error(
            "last_not_assistant",
            "has no message of the assistant; supervised training needs the answer as the last message",
        )
    elif messages[-1] is not assistants[-1]:
        role = messages[-1].get("role") if isinstance(messages[-1], dict) else None
        notes.error(
            "last_not_assistant",
            f"ends with a message of {_show(role)}; the assistant's answer must be the last one",
        )
    elif not _has_answer(messages[-1]):
        notes.warn("empty_answer", "ends with an empty answer; the model would learn to say nothing")
    if assistants and all(message.get("weight") == 0 for message in assistants):
        notes.warn("nothing_trained", "gives every answer the weight 0, so that nothing is learned from it")


def _check_preference(row: Mapping[str, Any], notes: _Notes) -> None:
    _warn_of_keys(row, _PAIR_KEYS, "the line", notes)
    question = row["input"]
    messages = question.get("messages") if isinstance(question, dict) else None
    if isinstance(messages, list) and messages:
        _check_tools(question.get("tools"), notes)
        _check_messages(messages, notes)
    else:
        notes.error("no_messages", "`input` must be an object with a list of `messages`")
    for key in ("preferred_output", "non_preferred_output"):
        output = row.get(key)
        if not isinstance(output, list) or len(output) != 1 or not isinstance(output[0], dict):
            notes.error("bad_preference", f"`{key}` must be a list with one message of the assistant")
        elif output[0].get("role") != "assistant":
            notes.error("bad_preference", f"`{key}` has the role {_show(output[0].get('role'))}, not 'assistant'")
        else:
            _check_message(output[0], f"`{key}`", notes)


def _check_messages(messages: list[Any], notes: _Notes) -> None:
    for index, message in enumerate(messages, start=1):
        if isinstance(message, dict):
            _check_message(message, f"message {index}", notes)
        else:
            notes.error("bad_message", f"message {index} is {_kind(message)}, not an object with role and content")


def _check_message(message: Mapping[str, Any], where: str, notes: _Notes) -> None:
    role = message.get("role")
    if role not in _ROLES:
        notes.error("bad_role", f"{where} has the role {_show(role)}; allowed are {', '.join(_ROLES)}")
    elif role == "developer":
        notes.warn("developer_role", f"{where} has the role developer, which older models refuse; use system")
    elif role == "tool" and not isinstance(message.get("tool_call_id"), str):
        notes.error("bad_tool_message", f"{where} is a tool's reply without the `tool_call_id` it replies to")
    _check_content(message, where, notes)
    _check_calls(message, where, notes)
    _check_weight(message, where, notes)
    _check_tokens(message, where, notes)
    _warn_of_keys(message, _MESSAGE_KEYS, where, notes)


def _check_content(message: Mapping[str, Any], where: str, notes: _Notes) -> None:
    content = message.get("content")
    if isinstance(content, str):
        return
    if content is None:
        calls = message.get("tool_calls") or message.get("function_call") or message.get("refusal")
        if not (message.get("role") == "assistant" and calls):
            notes.error("missing_content", f"{where} has no content; only a message with tool calls may lack it")
    elif isinstance(content, list) and content:
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind not in _PARTS or (kind == "text" and not isinstance(part.get("text"), str)):
                notes.error("bad_content", f"{where} has a part of type {_show(kind)}; text and image_url are taken")
    else:
        notes.error("bad_content", f"{where} has {_kind(content)} as content; it must be text or a list of parts")


def _check_calls(message: Mapping[str, Any], where: str, notes: _Notes) -> None:
    calls = message.get("tool_calls")
    if calls is None:
        return
    if message.get("role") != "assistant" or not isinstance(calls, list) or not calls:
        notes.error("bad_tool_calls", f"{where}: `tool_calls` must be a list, in a message of the assistant")
        return
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            notes.error("bad_tool_calls", f"{where} has a tool call without a function name")
        elif not isinstance(function.get("arguments"), str):
            notes.error("bad_tool_calls", f"{where} has a tool call whose arguments are no JSON text")
        elif not isinstance(call.get("id"), str):
            notes.error("bad_tool_calls", f"{where} has a tool call without an id")


def _check_weight(message: Mapping[str, Any], where: str, notes: _Notes) -> None:
    if "weight" not in message:
        return
    weight = message["weight"]
    if isinstance(weight, bool) or not isinstance(weight, int) or weight not in (0, 1):
        notes.error("bad_weight", f"{where} has the weight {_show(weight)}; only 0 and 1 are allowed")
    elif message.get("role") != "assistant":
        notes.error("bad_weight", f"{where} has a weight; only the assistant's messages may have one")


def _check_tokens(message: Mapping[str, Any], where: str, notes: _Notes) -> None:
    found = {token for text in _message_texts(message) if "<|" in text for token in _SPECIAL.findall(text)}
    for token in sorted(found):
        if token in _REFUSED_TOKENS:
            notes.error("special_token", f"{where} contains {token}, which services refuse; remove it")
        else:
            notes.warn("special_token", f"{where} contains {token}, which looks like a token a service refuses")
    if any(not _encodable(text) for text in _message_texts(message)):
        notes.warn("broken_text", f"{where} contains half a surrogate pair, which is no character")


def _check_tools(tools: Any, notes: _Notes) -> None:
    if tools is None:
        return
    named = isinstance(tools, list) and all(
        isinstance(tool, dict)
        and isinstance(tool.get("function"), dict)
        and isinstance(tool["function"].get("name"), str)
        for tool in tools
    )
    if not named:
        notes.error("bad_tools", "`tools` must be a list of objects, each with a named `function`")


def _warn_of_keys(row: Mapping[str, Any], known: set[str], where: str, notes: _Notes) -> None:
    unknown = {key: row[key] for key in row if key not in known and row[key] is not None}
    if unknown:
        notes.warn("unknown_key", f"{where} has {_listed(unknown)}, which the format does not know")


def _message_texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str))
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            yield function["arguments"]


def _has_answer(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if isinstance(content, str) and content.strip():
        return True
    return isinstance(content, list) or any(message.get(key) for key in ("tool_calls", "function_call", "refusal"))


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _fingerprint(raw: bytes, row: Mapping[str, Any] | None) -> bytes:
    canonical = raw
    if row is not None:
        try:
            canonical = json.dumps(row, sort_keys=True, separators=(",", ":")).encode("ascii")
        except RecursionError:  # pragma: no cover - depends on how deep this Python parses and writes
            canonical = raw  # such a line is refused anyway
    return hashlib.blake2b(canonical, digest_size=16).digest()


def _listed(row: Mapping[str, Any]) -> str:
    names = [f"`{str(key)[:40]!r}`".replace("'", "") for key in list(row)[:5]]
    more = f" and {len(row) - 5} more" if len(row) > 5 else ""
    return ", ".join(names) + more


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "a truth value", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
