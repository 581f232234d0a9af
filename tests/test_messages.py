"""LlamaIndex messages in OpenAI's wire format, and back."""

from __future__ import annotations

import pytest
from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ChatMessage,
    ChatResponse,
    CitableBlock,
    CompletionResponse,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.recording.messages import (
    finish_reason_of,
    from_wire,
    plain,
    response_to_wire,
    to_wire,
    tools_to_wire,
    usage_of,
)

CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "How big?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        ],
    },
    {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "area", "arguments": '{"side": 3}'}}],
    },
    {"role": "tool", "content": "9", "tool_call_id": "c1"},
    {"role": "assistant", "content": "It is 9."},
]


def test_a_conversation_survives_the_way_there_and_back() -> None:
    """Text, images, tool calls and tool results are neither lost nor changed."""
    assert to_wire([from_wire(message) for message in CONVERSATION]) == CONVERSATION


def test_blocks_become_what_openai_is_sent() -> None:
    """Text alone is a string; a model's thoughts are not sent back."""
    message = ChatMessage(role="user", blocks=[TextBlock(text="a"), TextBlock(text="b")])
    thought = ChatMessage(role="assistant", blocks=[ThinkingBlock(content="hm"), TextBlock(text="c")])
    image = ChatMessage(role="user", blocks=[ImageBlock(url="https://example.com/a.png")])

    assert to_wire([message, thought, image]) == [
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": "c"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
        },
    ]


def test_a_video_has_no_word_in_the_chat_format() -> None:
    """It is refused, not silently left out."""
    with pytest.raises(ValueError, match="VideoBlock"):
        to_wire([ChatMessage(role="user", blocks=[VideoBlock(video=b"1234")])])


def test_foreign_role_names_become_assistant() -> None:
    """Other providers' words for the model are not accepted in training files."""
    assert to_wire([ChatMessage(role="model", content="a"), ChatMessage(role="chatbot", content="b")]) == [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]


def test_names_that_are_not_sent_are_not_kept() -> None:
    """LlamaIndex's OpenAI leaves a speaker's name out of what it sends, so the record does too."""
    assert to_wire([ChatMessage(role="user", content="a", additional_kwargs={"name": "Ann"})]) == [
        {"role": "user", "content": "a"}
    ]


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (CompletionResponse(text="a"), {"role": "assistant", "content": "a"}),
        (ChatResponse(message=ChatMessage(role="assistant", blocks=[])), {"role": "assistant", "content": ""}),
        (
            ChatResponse(
                message=ChatMessage(
                    role="assistant", blocks=[ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs={})]
                )
            ),
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
        ),
    ],
)
def test_responses_become_the_assistants_message(
    response: ChatResponse | CompletionResponse, message: dict[str, object]
) -> None:
    """Completions and chats alike; an answer without text has empty text unless it calls a tool."""
    assert response_to_wire(response) == message


def test_usage_and_finish_reason_are_found_where_providers_put_them() -> None:
    """In the raw response, as object or dict, or beside it; unknown stays unknown."""
    raw = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}, "choices": [{"finish_reason": "length"}]}
    told = CompletionResponse(text="a", raw=raw)
    beside = CompletionResponse(text="a", additional_kwargs={"input_tokens": 5, "output_tokens": 7})
    silent = CompletionResponse(text="a")

    assert [usage_of(response) for response in (told, beside, silent)] == [
        Usage(prompt_tokens=3, completion_tokens=2),
        Usage(prompt_tokens=5, completion_tokens=7),
        Usage(),
    ]
    assert [finish_reason_of(response) for response in (told, beside)] == ["length", None]


def test_unknown_tools_are_left_out() -> None:
    """Definitions in wire format are copied; an object that is no tool is not written down."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}

    assert tools_to_wire([tool, object()]) == [tool]
    assert tools_to_wire([object()]) is None


def test_plain_values_are_the_same_in_every_process() -> None:
    """What JSON cannot say becomes its type's name, never an address in memory."""
    assert plain({"a": (1, None), 2: object(), "t": TextBlock}) == {
        "a": [1, None],
        "2": "builtins.object",
        "t": "llama_index.core.base.llms.types.TextBlock",
    }


def test_marks_of_other_providers_beside_a_text_are_left_out() -> None:
    """Cache points and citations have no word in the chat format; the text they stand beside is what counts."""
    blocks = [TextBlock(text="Be brief."), CachePoint(cache_control=CacheControl(type="ephemeral"))]
    cited = [CitableBlock(title="a", source="b", content=[TextBlock(text="A fact.")])]

    assert to_wire([ChatMessage(role="system", blocks=blocks), ChatMessage(role="user", blocks=cited)]) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "A fact."},
    ]
