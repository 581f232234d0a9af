"""LLM responses as JSON text, and back, so that an answer from a file behaves like the live one.

In: `ChatResponse`s and `CompletionResponse`s. Out: JSON text. OpenAI's own objects inside them (the raw response,
tool calls) come back as objects of the same class, chosen from a fixed list; nothing else is ever instantiated.
Knows nothing of where the text is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall
from pydantic import BaseModel

from llama_index_ft_rag.recording.messages import plain

_CLASS_KEY = "__openai_class__"
_CLASSES = {
    kind.__name__: kind
    for kind in (
        ChatCompletion,
        ChatCompletionChunk,
        ChatCompletionMessageFunctionToolCall,
        ChoiceDeltaToolCall,
        Completion,
    )
}


def dump_response(response: ChatResponse | CompletionResponse) -> str:
    """Write a response as JSON text."""
    stored: dict[str, Any] = {
        "additional_kwargs": _pack(response.additional_kwargs),
        "raw": _pack(response.raw),
        "logprobs": plain(response.logprobs),
    }
    if isinstance(response, CompletionResponse):
        stored["text"] = response.text
    else:
        message = response.message
        stored["message"] = {
            **message.model_dump(mode="json", exclude={"additional_kwargs"}),
            "additional_kwargs": _pack(message.additional_kwargs),
        }
    return json.dumps(stored)


def load_chat_response(text: str, *, is_stream: bool = False) -> ChatResponse:
    """Read a chat response; as the one chunk of a stream it carries the whole text as its `delta`."""
    stored = _unpack(json.loads(text))
    message = ChatMessage.model_validate(stored.pop("message"))
    return ChatResponse(message=message, delta=message.content or "" if is_stream else None, **stored)


def load_completion_response(text: str, *, is_stream: bool = False) -> CompletionResponse:
    """Read a completion response; as the one chunk of a stream it carries the whole text as its `delta`."""
    stored = _unpack(json.loads(text))
    return CompletionResponse(delta=stored["text"] if is_stream else None, **stored)


def _pack(value: Any) -> Any:
    if isinstance(value, BaseModel):
        name = type(value).__name__
        if _CLASSES.get(name) is not type(value):
            return plain(value)
        return {_CLASS_KEY: name, "data": value.model_dump(mode="json", exclude_unset=True, warnings=False)}
    if isinstance(value, Mapping):
        return {str(key): _pack(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item) for item in value]
    return plain(value)


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        kind = _CLASSES.get(str(value.get(_CLASS_KEY)))
        if kind is not None:
            # construct, not validate: services leave out what the class calls required.
            return kind.construct(**value["data"])
        return {key: _unpack(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    return value
