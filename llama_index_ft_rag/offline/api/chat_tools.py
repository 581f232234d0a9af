"""Tools in requests: what may be defined, what may be chosen, and which message answers which call.

In: the body of a chat, or the parts of it that `/v1/responses` shares. Out: nothing, or the service's refusal.
Only functions are tools here. Knows nothing of what they do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index_ft_rag.offline.api.chat_body import check_notes
from llama_index_ft_rag.offline.api.fields import flag, invalid_type, missing
from llama_index_ft_rag.offline.protocol import Refusal, refuse

MAX_TOOLS = 128

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def check_tools(body: Mapping[str, Any]) -> None:
    """Refuse tools, functions and choices among them that do not fit together."""
    names = [
        check_function(tool.get("function"), f"tools[{index}].function")
        for index, tool in enumerate(read_tools(body.get("tools"), least=1))
    ]
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not names:
            raise refuse(
                f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.", param=name
            )
    flag(body, "parallel_tool_calls")
    if body.get("tool_choice") is not None:
        check_choice(body["tool_choice"], names, nested=True)
    _check_functions(body)


def read_tools(tools: Any, *, least: int = 0) -> list[dict[str, Any]]:
    """Return a list of tools, all functions."""
    if tools is None:
        return []
    if not isinstance(tools, list) or not least <= len(tools) <= MAX_TOOLS:
        raise invalid_type("tools", f"a list of {least} to {MAX_TOOLS} tools", tools)
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict) or tool.get("type") != "function":
            kind = tool.get("type") if isinstance(tool, dict) else tool
            raise invalid_type(f"tools[{index}].type", "'function', the only kind of tool of the offline backend", kind)
    return tools


def check_function(function: Any, where: str) -> str:
    """Refuse the definition of a function that is none, and return its name."""
    if not isinstance(function, dict):
        raise missing(where)
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid_type(f"{where}.name", "1 to 64 letters, digits, underscores and hyphens", name)
    if function.get("parameters") is not None and not isinstance(function["parameters"], dict):
        raise refuse(
            f"Invalid schema for function '{name}': its parameters are a JSON Schema of an object.",
            param=f"{where}.parameters",
            code="invalid_function_parameters",
        )
    check_notes(function, where)
    return name


def check_choice(choice: Any, names: Sequence[str], *, nested: bool) -> None:
    """Refuse a choice of something that is not among the tools.

    Args:
        choice: `none`, `auto`, `required`, or an object that names a function or some.
        names: Those of the tools.
        nested: Whether a function's name is under `function`, as in a chat, or beside its type.
    """
    if isinstance(choice, str):
        if choice not in {"none", "auto", "required"}:
            raise invalid_type("tool_choice", "none, auto, required or an object", choice)
        return
    for name in _chosen_names(choice, nested=nested):
        if name not in names:
            raise refuse(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")


def check_turns(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a conversation in which a tool answers what nobody called, or a call goes without an answer."""
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            _check_answer(message["tool_call_id"], open_calls, index, messages)
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            raise _unanswered(open_calls, index)
        open_calls = [call["id"] for call in message.get("tool_calls") or ()]
    if open_calls:
        raise _unanswered(open_calls, len(messages))


def _check_functions(body: Mapping[str, Any]) -> None:
    functions, choice = body.get("functions"), body.get("function_call")
    if functions is None:
        if choice is not None:
            message = (
                "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified."
            )
            raise refuse(message, param="function_call")
        return
    if not isinstance(functions, list) or not 1 <= len(functions) <= MAX_TOOLS:
        raise invalid_type("functions", f"a list of 1 to {MAX_TOOLS} functions", functions)
    names = [check_function(function, f"functions[{index}]") for index, function in enumerate(functions)]
    if choice is None or choice in ("none", "auto"):
        return
    if not isinstance(choice, dict) or choice.get("name") not in names:
        raise invalid_type("function_call", "none, auto or an object with the name of a function", choice)


def _chosen_names(choice: Any, *, nested: bool) -> list[str]:
    match choice:
        case {"type": "function"}:
            chosen = [choice]
        case {"type": "allowed_tools"}:
            allowed = choice.get("allowed_tools") if nested else choice
            if not isinstance(allowed, dict) or not isinstance(allowed.get("tools"), list):
                raise missing("tool_choice.tools")
            if allowed.get("mode") not in ("auto", "required"):
                raise invalid_type("tool_choice.mode", "auto or required", allowed.get("mode"))
            chosen = allowed["tools"]
        case _:
            raise invalid_type("tool_choice", "none, auto, required or an object that names a function", choice)
    return [_name_in(tool, nested=nested) for tool in chosen]


def _name_in(tool: Any, *, nested: bool) -> str:
    named = tool.get("function") if nested and isinstance(tool, dict) else tool
    if not isinstance(named, dict) or not isinstance(named.get("name"), str):
        raise invalid_type("tool_choice", "an object that names a function", tool)
    return str(named["name"])


def _check_answer(call_id: str, open_calls: Sequence[str], index: int, messages: Sequence[Mapping[str, Any]]) -> None:
    before = messages[index - 1] if index else {}
    if before.get("role") != "tool" and not before.get("tool_calls"):
        raise refuse(
            "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
            param=f"messages[{index}].role",
        )
    if call_id not in open_calls:
        raise refuse(
            f"Invalid parameter: 'tool_call_id' of '{call_id}' not found in 'tool_calls' of previous message.",
            param=f"messages[{index}].tool_call_id",
        )


def _unanswered(call_ids: Sequence[str], index: int) -> Refusal:
    return refuse(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(call_ids)}",
        param=f"messages[{index - 1}]",
    )
