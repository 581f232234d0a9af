"""LlamaIndex chat messages and responses in OpenAI's wire format, and back.

In: `ChatMessage`s, `ChatResponse`s, `CompletionResponse`s of any LLM. Out: fresh JSON-able dicts that share
nothing with what came in, and the facts a response carries (tokens, finish reason). Knows nothing of who
asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    ChatResponse,
    CitableBlock,
    CitationBlock,
    CompletionResponse,
    ContentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.llms.openai.utils import to_openai_message_dict
from pydantic import BaseModel

from llama_index_ft_rag.examples import Usage

WireMessage = dict[str, Any]
"""One message as it goes over the wire: `role`, `content`, and what tools need."""

REPLAYED_LATENCY = "replayed_latency_s"
"""Key in `additional_kwargs` under which a replayed answer says how long it took the first time."""

UNKNOWN_USAGE = Usage()
_WIRE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "audio")
_FOREIGN_ROLES = {MessageRole.CHATBOT.value: "assistant", MessageRole.MODEL.value: "assistant"}


def to_wire(messages: Iterable[ChatMessage]) -> list[WireMessage]:
    """Convert messages to what an OpenAI-compatible service is sent: text, images, tool calls, tool results.

    Raises:
        ValueError: If a message holds something the chat format has no word for, such as a video.
    """
    return [_message_to_wire(message) for message in messages]


def prompt_to_wire(prompt: str) -> list[WireMessage]:
    """What a completion prompt becomes in the chat format: one user message."""
    return [{"role": "user", "content": prompt}]


def response_to_wire(response: ChatResponse | CompletionResponse) -> WireMessage:
    """Convert the answer to the assistant's message; its content is empty where it says nothing."""
    if isinstance(response, CompletionResponse):
        return {"role": "assistant", "content": response.text}
    message = {**_message_to_wire(response.message), "role": "assistant"}
    if not message.get("tool_calls"):
        message["content"] = message.get("content") or ""
    return message


def from_wire(message: Mapping[str, Any]) -> ChatMessage:
    """Make a `ChatMessage` of a wire message."""
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    blocks = [_part_to_block(part) for part in parts]
    for call in message.get("tool_calls") or []:
        function = call.get("function", {})
        blocks.append(
            ToolCallBlock(
                tool_call_id=call.get("id"),
                tool_name=function.get("name", ""),
                tool_kwargs=function.get("arguments", {}),
            )
        )
    rest = {key: message[key] for key in ("name", "tool_call_id") if key in message}
    return ChatMessage(role=message["role"], blocks=blocks, additional_kwargs=rest)


def tools_to_wire(tools: Sequence[Any] | None) -> list[dict[str, Any]] | None:
    """Tool definitions in wire format; LlamaIndex tools are converted, unknown things left out."""
    known = [_tool_to_wire(tool) for tool in tools or []]
    return [tool for tool in known if tool is not None] or None


def usage_of(response: ChatResponse | CompletionResponse) -> Usage:
    """The tokens that a response says it cost; unknown for most streams."""
    reported = response.additional_kwargs
    if response.raw is not None:  # a stream of the Responses API ends with an event that holds the response
        reported = _get(response.raw, "usage") or _get(_get(response.raw, "response"), "usage") or reported
    if not reported:
        return UNKNOWN_USAGE
    return Usage(
        prompt_tokens=_count(reported, "prompt_tokens", "input_tokens"),
        completion_tokens=_count(reported, "completion_tokens", "output_tokens"),
    )


def finish_reason_of(response: ChatResponse | CompletionResponse) -> str | None:
    """Why the model stopped (`stop`, `length`, ...), where the response says it."""
    if response.raw is None:
        return None
    choices = _get(response.raw, "choices")
    reason = _get(choices[0], "finish_reason") if isinstance(choices, list) and choices else None
    return reason if isinstance(reason, str) else None


def broke_off(response: ChatResponse | CompletionResponse) -> bool:
    """Whether this is the last chunk of a stream that ended without saying why the model stopped."""
    if response.raw is None:
        return False
    choices = _get(response.raw, "choices")
    last = choices[0] if isinstance(choices, list) and choices else None
    return _get(last, "delta") is not None and _get(last, "finish_reason") is None


def says_nothing(message: Mapping[str, Any]) -> bool:
    """Whether a wire message has neither text nor a call nor a sound."""
    return not any(message.get(key) for key in ("content", "tool_calls", "function_call", "audio"))


def plain(value: Any) -> Any:
    """A JSON-able copy of `value`; what JSON has no word for becomes the name of its type."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if issubclass(type(value), BaseModel):  # isinstance would look into the value, which is anybody's
        return plain(value.model_dump(exclude_none=True, warnings=False))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _message_to_wire(message: ChatMessage) -> WireMessage:
    if len(message.blocks) == 1 and not message.additional_kwargs and type(message.blocks[0]) is TextBlock:
        role = message.role.value
        return {"role": _FOREIGN_ROLES.get(role, role), "content": message.blocks[0].text}
    blocks = [known for block in message.blocks for known in _known_to_chat(block)]
    sent = dict(to_openai_message_dict(message.model_copy(update={"blocks": blocks})))
    wire = {key: plain(sent[key]) for key in _WIRE_KEYS if sent.get(key) is not None}
    wire["role"] = _FOREIGN_ROLES.get(wire["role"], wire["role"])
    if "tool_calls" in wire:
        wire["tool_calls"] = [_tool_call_to_wire(call) for call in wire["tool_calls"]]
    elif "content" not in wire and "audio" not in wire and "function_call" not in wire:
        wire["content"] = ""
    return wire


def _known_to_chat(block: ContentBlock) -> Sequence[ContentBlock]:
    """What the chat format has a word for in a block of another provider's."""
    if isinstance(block, CachePoint | CitationBlock):  # marks beside a text
        return []
    return block.content if isinstance(block, CitableBlock) else [block]


def _tool_call_to_wire(call: dict[str, Any]) -> dict[str, Any]:
    # Streams add an `index`, which training files may not carry.
    return {key: call[key] for key in ("id", "type", "function") if call.get(key) is not None}


def _tool_to_wire(tool: Any) -> dict[str, Any] | None:
    if isinstance(tool, Mapping):
        known = dict(plain(tool))
        if isinstance(known.get("function"), Mapping):
            return known
        if known.get("type") == "function" and "name" in known:  # as the Responses API has it
            return {"type": "function", "function": {key: known[key] for key in known if key != "type"}}
        return None
    metadata = getattr(tool, "metadata", None)
    if metadata is None or not hasattr(metadata, "to_openai_tool"):
        return None
    return dict(plain(metadata.to_openai_tool()))


def _part_to_block(part: Mapping[str, Any]) -> ContentBlock:
    if part.get("type") == "image_url":
        image = part["image_url"]
        return ImageBlock(url=image["url"], detail=image.get("detail"))
    return TextBlock(text=str(part.get("text", "")))


def _count(reported: Any, *names: str) -> int | None:
    for name in names:
        value = _get(reported, name)
        if isinstance(value, int):
            return value
    return None


def _get(value: Any, name: str) -> Any:
    """`value.name` or `value["name"]`: responses come as objects live and as dicts from a file."""
    if isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)
