"""LLM responses as JSON text, and back."""

from __future__ import annotations

import json

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, ToolCallBlock
from openai.types.chat import ChatCompletion, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_message_function_tool_call import Function

from llama_index_ft_rag.ledger.stored_responses import dump_response, load_chat_response, load_completion_response

CALL = ChatCompletionMessageFunctionToolCall(
    id="c1", type="function", function=Function(name="area", arguments='{"side": 3}')
)


def test_a_chat_response_comes_back_as_it_was() -> None:
    """With its tool calls and the provider's own objects in it, even when the provider left required fields out."""
    response = ChatResponse(
        message=ChatMessage(
            role="assistant",
            blocks=[ToolCallBlock(tool_call_id="c1", tool_name="area", tool_kwargs='{"side": 3}')],
            additional_kwargs={"tool_calls": [CALL]},
        ),
        raw=ChatCompletion.construct(id="r1", model="m", usage=None),
        additional_kwargs={"prompt_tokens": 3},
    )
    loaded = load_chat_response(dump_response(response))

    assert loaded == response
    assert loaded.message.additional_kwargs["tool_calls"][0].function.name == "area"


def test_a_stream_replays_as_one_chunk_with_the_whole_text() -> None:
    """Token streams are made of deltas, so the chunk needs one."""
    chat = dump_response(ChatResponse(message=ChatMessage(role="assistant", content="All of it"), delta="it"))
    completion = dump_response(CompletionResponse(text="All of it", delta="it"))

    assert load_chat_response(chat, is_stream=True).delta == "All of it"
    assert load_completion_response(completion, is_stream=True).delta == "All of it"
    assert load_completion_response(completion).delta is None


def test_nothing_but_known_classes_is_made_of_a_file() -> None:
    """A name in the file that is not on the list stays data."""
    stored = {"text": "a", "additional_kwargs": {}, "logprobs": None}
    hostile = json.dumps({**stored, "raw": {"__openai_class__": "os.system", "data": {"command": "true"}}})
    foreign = dump_response(CompletionResponse(text="a", raw=ChatMessage(role="user", content="b")))

    raw = load_completion_response(hostile).raw
    assert raw == {"__openai_class__": "os.system", "data": {"command": "true"}}
    assert isinstance(load_completion_response(foreign).raw, dict)
