"""The messages and tools of a training example -> what is wrong with them.

In: messages as a line of a training file has them. Out: findings, with the number of images. Knows nothing of the
lines and files they stand in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llama_index_ft_rag.training_problems import Findings, kind, show

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_MESSAGE_KEYS = {
    "role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal",
    "parallel_tool_calls", "audio",
}  # fmt: skip
_NOT_TRAINED = ("input_audio", "audio", "file", "input_file")
"""Parts a chat may have and a training file may not (OpenAI's schema of a line, 2025-03)."""
_SPECIAL = re.compile(r"<\|[a-z_]+\|>")
# Only fim_suffix is documented as refused (2026-02); the others are tokens of the same kind.
_REFUSED_TOKENS = {
    "<|endoftext|>", "<|endofprompt|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
    "<|im_start|>", "<|im_end|>", "<|im_sep|>",
}  # fmt: skip


def check_messages(messages: list[Any], found: Findings, *, text_only: bool = False) -> None:
    """Check every message, whatever is wrong with those before it."""
    for index, message in enumerate(messages, start=1):
        if isinstance(message, dict):
            check_message(message, f"message {index}", found, text_only=text_only)
        else:
            found.error("bad_message", f"message {index} is {kind(message)}, not an object with role and content")


def check_message(message: Mapping[str, Any], where: str, found: Findings, *, text_only: bool = False) -> None:
    """Check one message, which a sentence calls `where`; with `text_only`, images are refused too."""
    _check_role(message, where, found)
    _check_content(message, where, found, text_only=text_only)
    _check_calls(message, where, found)
    if "weight" in message:
        _check_weight(message, where, found)
    _check_texts(message, where, found)
    found.warn_of_keys(message, _MESSAGE_KEYS, where)


def check_tools(row: Mapping[str, Any], found: Findings) -> None:
    """Check the definitions of tools in a line, or in the input of a preference pair."""
    tools, functions = row.get("tools"), row.get("functions")
    if tools is not None and not (isinstance(tools, list) and all(_is_named(_function(tool)) for tool in tools)):
        found.error("bad_tools", "`tools` must be a list of objects, each with a named `function`")
    if functions is not None and not (isinstance(functions, list) and all(map(_is_named, functions))):
        found.error("bad_tools", "`functions` must be a list of objects, each with a `name`; `tools` replaces it")
    if not isinstance(row.get("parallel_tool_calls"), bool | None):
        found.error("bad_tools", "`parallel_tool_calls` must be true or false")


def has_answer(message: Mapping[str, Any]) -> bool:
    """Whether a message of the assistant says or calls anything."""
    content = message.get("content")
    if isinstance(content, str) and content.strip():
        return True
    return isinstance(content, list) or any(message.get(key) for key in ("tool_calls", "function_call", "refusal"))


def _check_role(message: Mapping[str, Any], where: str, found: Findings) -> None:
    role = message.get("role")
    if role not in _ROLES:
        found.error("bad_role", f"{where} has the role {show(role)}; allowed are {', '.join(_ROLES)}")
    elif role == "developer":
        found.warn("developer_role", f"{where} has the role developer, which older models refuse; use system")
    elif role == "tool" and not isinstance(message.get("tool_call_id"), str):
        found.error("bad_tool_message", f"{where} is a tool's reply without the `tool_call_id` it replies to")
    elif role == "function" and not isinstance(message.get("name"), str):
        found.error("bad_tool_message", f"{where} is a function's reply without the function's `name`")
    elif not isinstance(message.get("name"), str | None):
        found.error("bad_name", f"{where} has {kind(message['name'])} as name; it must be a text")


def _check_content(message: Mapping[str, Any], where: str, found: Findings, *, text_only: bool) -> None:
    content = message.get("content")
    if message.get("audio") is not None:
        found.error("unsupported_part", f"{where} has audio; training takes text and images only")
    if isinstance(content, str):
        return
    if content is None:
        calls = message.get("tool_calls") or message.get("function_call") or message.get("refusal")
        if not (message.get("role") == "assistant" and calls):
            found.error("missing_content", f"{where} has no content; only a message with tool calls may lack it")
    elif isinstance(content, list) and content:
        for part in content:
            _check_part(part, str(message.get("role")), where, found, text_only=text_only)
    else:
        found.error("bad_content", f"{where} has {kind(content)} as content; it must be text or a list of parts")


def _check_part(part: Any, role: str, where: str, found: Findings, *, text_only: bool) -> None:
    name = part.get("type") if isinstance(part, dict) else None
    if name == "image_url":
        found.images += 1
        _check_image(part.get("image_url"), role, where, found, text_only=text_only)
    elif name in _NOT_TRAINED:
        found.error("unsupported_part", f"{where} has a part of type {show(name)}; training takes text and images only")
    elif name not in ("text", "refusal") or not isinstance(part.get(name), str):
        found.error(
            "bad_content", f"{where} has a part of type {show(name)} without its text; parts are text or images"
        )


def _check_image(image: Any, role: str, where: str, found: Findings, *, text_only: bool) -> None:
    if text_only:
        found.error("image", f"{where} has an image; preference training takes text only")
    elif role != "user":
        found.error("image", f"{where} has an image; only the user's messages may have one")
    elif isinstance(image, str):  # chats of 2023 had it so, and got an answer
        found.warn(
            "image", f"{where} has an image's address as text; the format has `image_url` as an object with a `url`"
        )
    elif not isinstance(image, dict) or not isinstance(image.get("url"), str):
        found.error("image", f"{where} has an image without an address (`image_url` is an object with a `url`)")


def _check_calls(message: Mapping[str, Any], where: str, found: Findings) -> None:
    legacy = message.get("function_call")
    if legacy is not None and not (_is_named(legacy) and isinstance(legacy.get("arguments"), str)):
        found.error("bad_tool_calls", f"{where}: `function_call` must have a name, and arguments as JSON text")
    calls = message.get("tool_calls")
    if calls is None:
        return
    if message.get("role") != "assistant" or not isinstance(calls, list) or not calls:
        found.error("bad_tool_calls", f"{where}: `tool_calls` must be a list, in a message of the assistant")
        return
    for call in calls:
        function = _function(call)
        if not _is_named(function):
            found.error("bad_tool_calls", f"{where} has a tool call without a function name")
        elif not isinstance(function.get("arguments"), str):
            found.error("bad_tool_calls", f"{where} has a tool call whose arguments are no JSON text")
        elif not isinstance(call.get("id"), str):
            found.error("bad_tool_calls", f"{where} has a tool call without an id")


def _check_weight(message: Mapping[str, Any], where: str, found: Findings) -> None:
    weight = message["weight"]
    if isinstance(weight, bool) or not isinstance(weight, int) or weight not in (0, 1):
        found.error("bad_weight", f"{where} has the weight {show(weight)}; only 0 and 1 are allowed")
    elif message.get("role") != "assistant":
        found.error("bad_weight", f"{where} has a weight; only the assistant's messages may have one")


def _check_texts(message: Mapping[str, Any], where: str, found: Findings) -> None:
    tokens: set[str] = set()
    broken = False
    for text in _texts(message):
        if "<|" in text:
            tokens.update(_SPECIAL.findall(text))
        broken = broken or not (text.isascii() or _encodable(text))
    for token in sorted(tokens):
        if token in _REFUSED_TOKENS:
            found.error("special_token", f"{where} contains {token}, which services refuse; remove it")
        else:
            found.warn(
                "special_token", f"{where} contains {show(token)[1:-1]}, which looks like a token a service refuses"
            )
    if broken:
        found.warn("broken_text", f"{where} contains half a surrogate pair, which is no character")


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str))
    refusal = message.get("refusal")
    if isinstance(refusal, str):
        yield refusal
    calls = message.get("tool_calls")
    functions = [_function(call) for call in calls] if isinstance(calls, list) else []
    for function in (*functions, message.get("function_call")):
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            yield function["arguments"]


def _function(tool: Any) -> Any:
    return tool.get("function") if isinstance(tool, dict) else None


def _is_named(function: Any) -> bool:
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
