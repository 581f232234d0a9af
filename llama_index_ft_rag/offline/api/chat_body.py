"""Reading the body of a request that asks a model to say something: what the three endpoints check alike.

In: a request, or its body. Out: the values, or the service's refusal. What a body may hold and nothing here needs
is passed over. Knows nothing of messages, tools, or what becomes of the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.api.fields import flag, integer, invalid_type, missing, object_of, optional_text
from llama_index_ft_rag.offline.protocol import Request, parse_object, refuse, stable_hash

RESPONSE_FORMATS = ("text", "json_object", "json_schema")

MAX_DEPTH = 100
"""How deeply the objects and lists of a body may be nested."""

# These say how an answer travels, not what it is; they must not change it.
_TRANSPORT_FIELDS = {"stream", "stream_options", "n", "user", "metadata", "store", "safety_identifier"}

_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How an answer is to travel."""

    stream: bool
    include_usage: bool
    """Only with `stream`."""


def read_body(request: Request) -> dict[str, Any]:
    """Read the JSON object of a request body.

    Raises:
        Refusal: If it is none, or nested so deeply that what is made of it could not be written again.
    """
    body = parse_object(request.body)
    if request.body.count(b"[") + request.body.count(b"{") > MAX_DEPTH and _is_deeper(body, MAX_DEPTH):
        raise refuse(f"The body of a request is nested too deeply; at most {MAX_DEPTH} levels are read.")
    return body


def identity_of(body: Mapping[str, Any], *, seed: int) -> str:
    """Return what tells requests for different answers apart: the same for every way of delivery."""
    return stable_hash(seed, {key: value for key, value in body.items() if key not in _TRANSPORT_FIELDS})


def seed_of(identity: str, index: int) -> int:
    """Return the seed of one of the answers to a request."""
    return int(stable_hash(identity, index)[:15], 16)


def check_sampling(body: Mapping[str, Any]) -> None:
    """Refuse settings of the draw that no model has, and logprobs, which no responder has."""
    for name, (low, high) in _RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise invalid_type(name, f"a number from {low} to {high}", value)
    for name in ("logprobs", "top_logprobs"):
        if body.get(name):
            raise refuse("The offline backend has no logprobs; leave them out.", param=name)
    integer(body, "seed", minimum=None)


def read_delivery(body: Mapping[str, Any]) -> Delivery:
    """Read `stream` and `stream_options`."""
    stream = flag(body, "stream")
    if body.get("stream_options") is not None and not stream:
        raise refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    return Delivery(stream=stream, include_usage=flag(object_of(body, "stream_options"), "include_usage"))


def read_stop(value: Any) -> tuple[str, ...]:
    """Read `stop`."""
    texts = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list) or len(texts) > 4 or not all(isinstance(text, str) and text for text in texts):
        raise invalid_type("stop", "a text or a list of at most 4 texts", value)
    return tuple(texts)


def check_format(given: Any, where: str) -> None:
    """Refuse an output format that is none; `where` names it in the refusal."""
    if not isinstance(given, dict) or given.get("type") not in RESPONSE_FORMATS:
        raise invalid_type(where, f"an object with a type of {', '.join(RESPONSE_FORMATS)}", given)


def check_schema(given: Any, where: str) -> None:
    """Refuse the name and schema of a structured output that are none."""
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or not given["name"]:
        raise missing(f"{where}.name")
    object_of(given, f"{where}.schema")
    check_notes(given, where)


def check_notes(given: Mapping[str, Any], where: str) -> None:
    """Refuse a `description` or a `strict` that is none; functions and schemas may have both."""
    optional_text(given, f"{where}.description")
    flag(given, f"{where}.strict")


def _is_deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [child for parent in layer for child in _children(parent)]
        if not layer:
            return False
    return True


def _children(value: Any) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in children if isinstance(child, (dict, list))]
