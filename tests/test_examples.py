"""`examples.jsonl` holds what a provider accepts; the rest lies beside it and finds its way back."""

import json

import pytest

from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.examples import TrainingExample, Usage, read_examples, write_examples

MESSAGES = [{"role": "user", "content": "Who leads it?"}, {"role": "assistant", "content": "玛丽亚."}]
EXAMPLE = TrainingExample(
    messages=MESSAGES,
    query_id="q1",
    step=0,
    kind="answer",
    question="Who leads it?",
    node_ids=["n1"],
    model="teacher",
    usage=Usage(prompt_tokens=5, completion_tokens=2),
)


def test_a_file_reads_back_as_it_was_written(tmp_path):
    """Messages and provenance survive the way through the two files."""
    path = tmp_path / "examples.jsonl"

    count = write_examples(path, [EXAMPLE])

    assert count == 1
    assert read_examples(path) == [EXAMPLE]


def test_the_training_file_holds_nothing_a_provider_refuses(tmp_path):
    """Only `messages` and tools reach the uploaded file."""
    path = tmp_path / "examples.jsonl"

    write_examples(path, [EXAMPLE])

    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [{"messages": MESSAGES}]
    assert [item.name for item in sorted(tmp_path.iterdir())] == ["examples.jsonl", "examples.provenance.jsonl"]


def test_tools_are_part_of_the_line():
    """A tool-calling example without its tools could not be learnt from."""
    tools = [{"type": "function", "function": {"name": "lookup"}}]
    example = TrainingExample(messages=MESSAGES, tools=tools, parallel_tool_calls=False)

    assert example.to_line() == {"messages": MESSAGES, "tools": tools, "parallel_tool_calls": False}


def test_files_of_others_are_read(tmp_path):
    """BOM, CRLF, blank lines, a missing newline at the end and U+2028 inside a string are all fine."""
    path = tmp_path / "theirs.jsonl"
    messages = [{"role": "user", "content": "a\u2028b"}, {"role": "assistant", "content": "c"}]
    line = json.dumps({"messages": messages}, ensure_ascii=False)
    path.write_bytes(f"\ufeff{line}\r\n\r\n{line}".encode())

    assert read_examples(path) == [TrainingExample(messages=messages)] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"messages": [', r"line 1: not JSON"),
        (b'{"prompt": "x"}', r"line 1: no list of `messages`; run `ft-rag validate"),
        (b"[1]", r"line 1: no list of `messages`"),
        (b"\xff\xfe\x00", r"not UTF-8 at byte 0"),
    ],
)
def test_an_unreadable_file_is_named_with_its_line(tmp_path, content, message):
    """The error says where to look."""
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)

    with pytest.raises(ExamplesError, match=message):
        read_examples(path)


def test_a_missing_file_is_named(tmp_path):
    """The path that was passed is in the message."""
    with pytest.raises(ExamplesError, match=r"none\.jsonl: cannot be read"):
        read_examples(tmp_path / "none.jsonl")


def test_usage_adds_up_and_unknown_stays_unknown():
    """Nothing reported is not zero tokens."""
    known = Usage(prompt_tokens=3, completion_tokens=1)

    assert known + known == Usage(prompt_tokens=6, completion_tokens=2)
    assert known + Usage() == known
    assert Usage() + Usage() == Usage()


def test_equal_lines_have_equal_hashes():
    """Provenance does not change what the example is."""
    assert EXAMPLE.content_hash == TrainingExample(messages=MESSAGES).content_hash
