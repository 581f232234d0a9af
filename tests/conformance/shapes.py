"""Shapes of answers: which keys they have, and of which JSON type each value is.

In: JSON values, or streams of them. Out: what one has and another lacks. Values never matter; null goes with
every type.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Shape = Mapping[str, set[str]]
"""Names of JSON types by path, such as `choices[].message.content`."""

_NO_CHOICE = 1_000_000
"""Sorts the chunk that has only the usage behind the choices."""
_TYPES = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string"}


def shape_of(*values: Any) -> Shape:
    """Return the shape that some values have together."""
    found: dict[str, set[str]] = defaultdict(set)
    for value in values:
        for path, kind in _walk(value, ""):
            found[path].add(kind)
    return found


def differences(recorded: Shape, ours: Shape) -> list[str]:
    """Tell what the recorded shape has and ours lacks; what is inside of something missing is not told again."""
    found: list[str] = []
    missing: list[str] = []
    for path, kinds in recorded.items():
        if any(path.startswith((f"{parent}.", f"{parent}[")) for parent in missing):
            continue
        wanted = kinds - {"null"}
        given = ours.get(path, set()) - {"null"}
        if path not in ours:
            missing.append(path)
            found.append(f"no {path}")
        elif wanted and given and not wanted & given:
            found.append(f"{path} is {_or(given)}, not {_or(wanted)}")
        if not given:
            missing.append(path)
    return found


def read_events(body: bytes) -> tuple[list[Any], bool]:
    """Return the chunks of an event stream, and whether it ended as one should."""
    events = [line.removeprefix("data: ") for line in body.decode("utf-8").splitlines() if line.startswith("data: ")]
    is_ended = bool(events) and events[-1] == "[DONE]"
    return [json.loads(event) for event in events if event != "[DONE]"], is_ended


def chunks_by_kind(chunks: Sequence[Any]) -> dict[str, list[Any]]:
    """Sort the chunks of a streamed chat by what they bring."""
    found: dict[str, list[Any]] = defaultdict(list)
    for chunk in chunks:
        found[_kind(chunk)].append(chunk)
    return found


def courses(chunks: Sequence[Any]) -> list[str]:
    """Tell, for each choice of a streamed chat, the kinds of its chunks in order, repetitions once."""
    kinds: dict[int, list[str]] = defaultdict(list)
    for chunk in chunks:
        index = chunk["choices"][0]["index"] if chunk["choices"] else _NO_CHOICE
        kind = _kind(chunk)
        if kinds[index][-1:] != [kind]:
            kinds[index].append(kind)
    return [", ".join(kinds[index]) for index in sorted(kinds)]


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if path:
            yield path, "object"
        for key, item in value.items():
            yield from _walk(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        yield path, "list"
        for item in value:
            yield from _walk(item, f"{path}[]")
    else:
        yield path, _TYPES[type(value)]


def _kind(chunk: Mapping[str, Any]) -> str:
    if not chunk["choices"]:
        return "usage"
    choice = chunk["choices"][0]
    delta = choice["delta"]
    if choice.get("finish_reason"):
        return "end"
    calls = delta.get("tool_calls")
    parts = ["role"] if "role" in delta else []
    if calls:
        parts.append("tool call" if "id" in calls[0] else "arguments")
    return " with ".join(parts) or "text"


def _or(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))
