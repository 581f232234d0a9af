"""The input of `/v1/responses` as the messages of a chat.

In: a text, or items: messages in parts, calls of functions and what they returned. Out: messages as
`/v1/chat/completions` takes them, or the service's refusal. Reasoning items are passed over: no model here
reasons. Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index_ft_rag.offline.api.answers import Call
from llama_index_ft_rag.offline.api.content_parts import DETAILS, find_in_address
from llama_index_ft_rag.offline.api.fields import any_text, choice_of, invalid_type, missing
from llama_index_ft_rag.offline.protocol import refuse

INPUT_ROLES = ("user", "system", "developer", "assistant")

_INPUT_PARTS = ("input_text", "input_image", "input_file")
_OUTPUT_PARTS = ("output_text", "refusal")


def read_response_input(given: Any) -> list[dict[str, Any]]:
    """Return the messages that an input stands for.

    Raises:
        Refusal: If it is none.
    """
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise invalid_type("input", "a text or a list of items", given)
    messages: list[dict[str, Any]] = []
    for index, item in enumerate(given):
        _add_item(messages, item, f"input[{index}]")
    return messages


def check_calls(messages: Sequence[dict[str, Any]]) -> None:
    """Refuse a conversation in which a call and what it returned are not both there, in this order."""
    unanswered: dict[str, None] = {}
    for message in messages:
        for call in message.get("tool_calls") or ():
            unanswered[call["id"]] = None
        if message["role"] != "tool":
            continue
        call_id = message["tool_call_id"]
        if call_id not in unanswered:
            raise refuse(f"No tool call found for function call output with call_id {call_id}.", param="input")
        del unanswered[call_id]
    for call_id in unanswered:
        raise refuse(f"No tool output found for function call {call_id}.", param="input")


def _add_item(messages: list[dict[str, Any]], item: Any, where: str) -> None:
    if not isinstance(item, dict):
        raise invalid_type(where, "an item", item)
    match item.get("type", "message"):
        case "message":
            messages.append(_message(item, where))
        case "function_call":
            _add_call(messages, item, where)
        case "function_call_output":
            call_id, output = any_text(item, f"{where}.call_id"), item.get("output")
            content = output if isinstance(output, str) else _parts(output, f"{where}.output", _INPUT_PARTS)
            messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        case "reasoning":
            return
        case kind:
            raise invalid_type(f"{where}.type", "message, function_call or function_call_output", kind)


def _message(item: dict[str, Any], where: str) -> dict[str, Any]:
    role, content = item.get("role"), item.get("content")
    if role not in INPUT_ROLES:
        raise invalid_type(f"{where}.role", f"one of {', '.join(INPUT_ROLES)}", role)
    if isinstance(content, str):
        return {"role": role, "content": content}
    allowed = _OUTPUT_PARTS if role == "assistant" else _INPUT_PARTS
    return {"role": role, "content": _parts(content, f"{where}.content", allowed)}


def _add_call(messages: list[dict[str, Any]], item: dict[str, Any], where: str) -> None:
    name, arguments = any_text(item, f"{where}.name"), any_text(item, f"{where}.arguments")
    call = Call(id=any_text(item, f"{where}.call_id"), name=name, arguments=arguments)
    # In a chat one message from the assistant holds what it says and all that it calls.
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(call.to_json())


def _parts(content: Any, where: str, allowed: Sequence[str]) -> list[dict[str, Any]]:
    if not isinstance(content, list) or not content:
        raise invalid_type(where, "a text or a list of parts", content)
    return [_part(part, f"{where}[{index}]", allowed) for index, part in enumerate(content)]


def _part(part: Any, where: str, allowed: Sequence[str]) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in allowed:
        raise invalid_type(f"{where}.type", " or ".join(allowed), kind)
    match kind:
        case "input_image":
            return {"type": "image_url", "image_url": _image(part, where)}
        case "input_file":
            return {"type": "file", "file": {key: value for key, value in part.items() if key != "type"}}
        case "refusal":
            return {"type": "refusal", "refusal": any_text(part, f"{where}.refusal")}
        case _:
            return {"type": "text", "text": any_text(part, f"{where}.text")}


def _image(part: dict[str, Any], where: str) -> dict[str, Any]:
    problem = find_in_address(part.get("image_url"), f"{where}.image_url")
    if problem is not None:
        raise refuse(f"Invalid value: {problem.where} {problem.reason}.", param=problem.where, code="invalid_value")
    return {"url": part["image_url"], "detail": choice_of(part, f"{where}.detail", DETAILS) or "auto"}
