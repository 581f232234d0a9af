"""What a request to `/v1/responses` asks for beside its input.

In: the body. Out: the settings in the form in which the answer repeats them, and those that a responder reads in
the form of a chat; or the service's refusal. Knows nothing of what is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.api.chat_body import check_format, check_sampling, check_schema
from llama_index_ft_rag.offline.api.chat_tools import check_choice, check_function, read_tools
from llama_index_ft_rag.offline.api.fields import (
    choice_of,
    flag,
    integer,
    invalid_type,
    metadata_of,
    object_of,
    optional_text,
)
from llama_index_ft_rag.offline.protocol import refuse

LEAST_OUTPUT_TOKENS = 16

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
VERBOSITIES = ("low", "medium", "high")

_NOT_OFFERED = {
    "background": "answers at once",
    "conversation": "keeps responses, but no conversations",
    "prompt": "keeps no prompt templates",
}


@dataclass(frozen=True, kw_only=True)
class ResponseSettings:
    """The settings of one response."""

    echo: dict[str, Any]
    """As the response repeats them."""
    parameters: dict[str, Any]
    """As the responder gets them."""
    instructions: str | None
    max_tokens: int | None
    store: bool
    previous_id: str | None


def read_response_settings(body: Mapping[str, Any]) -> ResponseSettings:
    """Read everything but the model and the input.

    Raises:
        Refusal: If something is not as it should be, or the offline backend has no such thing.
    """
    for name, reason in _NOT_OFFERED.items():
        if body.get(name):
            raise refuse(f"The offline backend {reason}; leave '{name}' out.", param=name)
    check_sampling(body)
    format_ = _read_format(body)
    tools = _read_tools(body)
    echo = _echo(body, format_=format_, tools=tools)
    parameters = {key: value for key, value in body.items() if key not in {"model", "input", "instructions"}}
    if format_["type"] != "text":
        parameters["response_format"] = _chat_format(format_)
    if tools:
        parameters["tools"] = [_nested(tool) for tool in tools]
    if isinstance(body.get("tool_choice"), dict):
        parameters["tool_choice"] = _chat_choice(body["tool_choice"])
    return ResponseSettings(
        echo=echo,
        parameters=parameters,
        instructions=echo["instructions"],
        max_tokens=echo["max_output_tokens"],
        store=echo["store"],
        previous_id=echo["previous_response_id"],
    )


def _echo(body: Mapping[str, Any], *, format_: Mapping[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "instructions": optional_text(body, "instructions"),
        "max_output_tokens": _read_max_tokens(body),
        "max_tool_calls": integer(body, "max_tool_calls"),
        "metadata": metadata_of(body) or {},
        "parallel_tool_calls": flag(body, "parallel_tool_calls", default=True),
        "previous_response_id": optional_text(body, "previous_response_id"),
        "prompt_cache_key": optional_text(body, "prompt_cache_key"),
        "reasoning": _read_reasoning(body),
        "safety_identifier": optional_text(body, "safety_identifier"),
        "service_tier": "default",
        "store": flag(body, "store", default=True),
        "temperature": _or_one(body.get("temperature")),
        "text": {
            "format": format_,
            "verbosity": choice_of(object_of(body, "text"), "text.verbosity", VERBOSITIES) or "medium",
        },
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [{"strict": True, **_known(tool)} for tool in tools],
        "top_logprobs": 0,
        "top_p": _or_one(body.get("top_p")),
        "truncation": choice_of(body, "truncation", ("auto", "disabled")) or "disabled",
        "user": optional_text(body, "user"),
    }


def _read_format(body: Mapping[str, Any]) -> dict[str, Any]:
    given = object_of(body, "text").get("format")
    if given is None:
        return {"type": "text"}
    check_format(given, "text.format")
    if given["type"] != "json_schema":
        return {"type": given["type"]}
    check_schema(given, "text.format")
    if given.get("schema") is None:
        raise invalid_type("text.format.schema", "an object", None)
    return _known(given)


def _known(given: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a function or a schema what this backend does not check, so that it is not repeated either."""
    return {
        key: given[key] for key in ("type", "name", "description", "parameters", "schema", "strict") if key in given
    }


def _read_tools(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    tools = read_tools(body.get("tools"))
    names = [check_function(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    if body.get("tool_choice") is not None:
        check_choice(body["tool_choice"], names, nested=False)
    return tools


def _read_max_tokens(body: Mapping[str, Any]) -> int | None:
    limit = integer(body, "max_output_tokens")
    if limit is not None and limit < LEAST_OUTPUT_TOKENS:
        raise refuse(
            f"Invalid 'max_output_tokens': expected a value of at least {LEAST_OUTPUT_TOKENS}, but got {limit}.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )
    return limit


def _read_reasoning(body: Mapping[str, Any]) -> dict[str, Any]:
    asked = object_of(body, "reasoning")
    return {
        "effort": choice_of(asked, "reasoning.effort", EFFORTS),
        "summary": choice_of(asked, "reasoning.summary", ("auto", "concise", "detailed")),
    }


def _or_one(value: float | None) -> float:
    return 1.0 if value is None else value


def _nested(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}


def _chat_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    if choice["type"] == "function":
        return _nested(choice)
    allowed = {"mode": choice["mode"], "tools": [_nested(tool) for tool in choice["tools"]]}
    return {"type": "allowed_tools", "allowed_tools": allowed}


def _chat_format(format_: Mapping[str, Any]) -> dict[str, Any]:
    if format_["type"] != "json_schema":
        return dict(format_)
    return {"type": "json_schema", "json_schema": {key: value for key, value in format_.items() if key != "type"}}
