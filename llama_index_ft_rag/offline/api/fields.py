"""Reading the fields of a JSON body: one way for all endpoints.

In: an object, and the name of a field in it. Out: the value, or the service's refusal. A name may say where the
object is found: `text.verbosity` is the field `verbosity` of the object under `text`. Knows nothing of what the
values mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index_ft_rag.offline.protocol import Refusal, refuse

LIFETIME_SECONDS = (3600, 2_592_000)
"""How long a file may be kept whose end was asked for; the longest is what files of batches get unasked."""


def missing(name: str) -> Refusal:
    """Make the refusal of a body without a field that it must have."""
    return refuse(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def invalid_type(name: str, expected: str, value: Any) -> Refusal:
    """Make the refusal of a field of the wrong type or value."""
    shown = json.dumps(value)[:80]
    return refuse(
        f"Invalid value for '{name}': expected {expected}, but got {shown}.", param=name, code="invalid_value"
    )


def required_text(body: Mapping[str, Any], name: str) -> str:
    """Read a field that must be a text that is not empty, and that can be looked up: JSON may hold half a character."""
    value = _field(body, name)
    if value is None:
        raise missing(name)
    if not isinstance(value, str) or not value:
        raise invalid_type(name, "a non-empty string", value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise invalid_type(name, "whole characters, without surrogates", value) from exc
    return value


def any_text(body: Mapping[str, Any], name: str) -> str:
    """Read a field that must be a text, which may be empty."""
    value = _field(body, name)
    if not isinstance(value, str):
        raise invalid_type(name, "a text", value)
    return value


def optional_text(body: Mapping[str, Any], name: str, *, may_be_empty: bool = True) -> str | None:
    """Read a field that is a text, or missing."""
    if _field(body, name) is None:
        return None
    return any_text(body, name) if may_be_empty else required_text(body, name)


def flag(body: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Read a field that is true or false, or missing."""
    value = _field(body, name)
    if value is not None and not isinstance(value, bool):
        raise invalid_type(name, "true or false", value)
    return default if value is None else value


def integer(body: Mapping[str, Any], name: str, *, minimum: int | None = 1, maximum: int | None = None) -> int | None:
    """Read a field that is an integer, or missing."""
    value = _field(body, name)
    if value is None:
        return None
    if type(value) is not int or (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise invalid_type(name, f"an integer{_bounds(minimum, maximum)}", value)
    return value


def choice_of(body: Mapping[str, Any], name: str, choices: Sequence[str]) -> str | None:
    """Read a field that is one of some words, or missing."""
    value = _field(body, name)
    if value is None:
        return None
    if not isinstance(value, str) or value not in choices:
        raise invalid_type(name, f"one of {', '.join(choices)}", value)
    return value


def required_choice(body: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    """Read a field that must be one of some words."""
    value = required_text(body, name)
    if value not in choices:
        *most, last = (f"'{choice}'" for choice in choices)
        known = f"{', '.join(most)}, and {last}" if most else last
        message = f"Invalid value: '{value}'. Supported values are: {known}."
        raise refuse(message, param=name, code="invalid_value")
    return value


def object_of(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Read a field that is an object; an empty one where it is missing."""
    value = _field(body, name)
    if value is not None and not isinstance(value, dict):
        raise invalid_type(name, "an object", value)
    return value or {}


def metadata_of(body: Mapping[str, Any]) -> dict[str, str] | None:
    """Read the labels that a client gives to what it makes; `None` where there are none."""
    given = body.get("metadata")
    if given is None:
        return None
    if not isinstance(given, dict) or len(given) > 16:
        raise invalid_type("metadata", "an object with at most 16 pairs", given)
    for key, value in given.items():
        if len(key) > 64 or not isinstance(value, str) or len(value) > 512:
            raise invalid_type("metadata", "keys of at most 64 and texts of at most 512 characters", {key: value})
    return dict(given)


def lifetime_of(body: Mapping[str, Any], name: str) -> int | None:
    """Read how many seconds after its making a file ends, which an object with an anchor says, or nothing."""
    if _field(body, name) is None:
        return None
    asked = object_of(body, name)
    required_choice(asked, f"{name}.anchor", ["created_at"])
    low, high = LIFETIME_SECONDS
    seconds = integer(asked, f"{name}.seconds", minimum=low, maximum=high)
    if seconds is None:
        raise missing(f"{name}.seconds")
    return seconds


def texts_of(body: Mapping[str, Any], name: str, *, most: int, may_be_empty: bool) -> list[str]:
    """Read a field that must be a text or a list of texts; each may be a list of token ids instead.

    There is no tokenizer here: token ids become the words "1212 318 ...".
    """
    given = _field(body, name)
    inputs = [given] if isinstance(given, str) or _is_token_ids(given) else given
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= most:
        raise invalid_type(name, f"a text or a list of 1 to {most} texts", given)
    return [_text_of_input(item, name, may_be_empty=may_be_empty) for item in inputs]


def _field(body: Mapping[str, Any], name: str) -> Any:
    return body.get(name.rpartition(".")[2])


def _bounds(minimum: int | None, maximum: int | None) -> str:
    if maximum is not None:
        return f" from {minimum} to {maximum}"
    return {None: "", 0: " not below 0", 1: " above 0"}.get(minimum, f" of at least {minimum}")


def _text_of_input(item: Any, name: str, *, may_be_empty: bool) -> str:
    if _is_token_ids(item):
        return " ".join(map(str, item))
    if not isinstance(item, str) or not (item or may_be_empty):
        raise invalid_type(name, f"texts{'' if may_be_empty else ' that are not empty'}, or lists of token ids", item)
    return item


def _is_token_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)
