from __future__ import annotations

import pytest

from llama_index_ft_rag.example_tokens import count_example_tokens, count_tokens
from llama_index_ft_rag.tokenizer import TokenCount


def test_text_is_counted_with_the_tokenizer_of_the_family() -> None:
    """A tuned gpt-4.1 counts as gpt-4.1 does; for a model nobody documents the count is an estimate."""
    text = "Rohre und Zähler, 水表和传感器"

    assert count_tokens(text, model="ft:gpt-4.1:acme::x") == count_tokens(text, model="gpt-4.1")
    assert count_tokens(text, model="gpt-4.1") != count_tokens(text, model="gpt-4")
    assert count_tokens(text, model="gpt-6-sol").exact is False


def test_an_example_counts_its_texts_and_the_frame_around_them() -> None:
    """Three tokens a message, one a name, three for the whole, and every text, role and name."""
    line = {"messages": [{"role": "user", "name": "ann", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}

    assert count_example_tokens(line, model="gpt-4.1") == TokenCount(tokens=3 + 2 * 3 + 1 + 5, exact=True)


def test_tools_and_tool_calls_count() -> None:
    """Definitions and calls of tools are tokens like any other; no content is no tokens."""
    call = {"id": "c", "type": "function", "function": {"name": "price", "arguments": "{}"}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    bare = count_example_tokens({"messages": [{"role": "assistant", "content": None}]}, model="gpt-4.1")
    called = count_example_tokens({"messages": messages}, model="gpt-4.1")
    tools = [{"type": "function", "function": {"name": "price"}}]
    defined = count_example_tokens({"messages": messages, "tools": tools}, model="gpt-4.1")

    assert bare.tokens < called.tokens < defined.tokens


def test_both_answers_of_a_preference_pair_count() -> None:
    """A preference example is as long as its question and both of its answers."""
    pair = {
        "input": {"messages": [{"role": "user", "content": "Why?"}]},
        "preferred_output": [{"role": "assistant", "content": "Because."}],
        "non_preferred_output": [{"role": "assistant", "content": "No."}],
    }

    assert count_example_tokens(pair, model="gpt-4.1") == TokenCount(tokens=3 * 3 + 3 * 3 + 3 + 2 + 2 + 2, exact=True)


def deeply_nested() -> list[object]:
    """A list in a list in a list, deeper than Python recurses."""
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "messages",
    [None, "text", [None, 3], [{"role": None, "content": 7}], [{"content": [None, {"type": "image_url"}, "x"]}]],
)
def test_counting_never_fails(messages: object) -> None:
    """Whatever stands in a line, counting its tokens gives a number."""
    assert count_example_tokens({"messages": messages}, model="gpt-4.1").tokens >= 0


def test_an_image_makes_the_count_an_estimate() -> None:
    """What is no text cannot be counted here, and the count says so; a deep nest is no text either."""
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    parts = [{"type": "text", "text": "Look"}, image, deeply_nested()]

    count = count_example_tokens({"messages": [{"role": "user", "content": parts}]}, model="gpt-4.1")

    assert count == TokenCount(tokens=3 + 3 + 1 + 1, exact=False)
