"""`examples.jsonl` holds what a provider accepts; the rest lies beside it and finds its way back."""

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.examples import (
    TrainingExample,
    Usage,
    join_provenance,
    read_examples,
    read_provenance,
    write_examples,
)

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


def with_provenance(folder, *rows):
    """A training file of one example, and these rows of provenance beside it."""
    write_examples(folder / "examples.jsonl", [TrainingExample(messages=MESSAGES)])
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / "examples.provenance.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder / "examples.jsonl"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"kind": "nonsense"}, "('kind',) Input should be 'answer', 'refine', "),
        ({"node_ids": "n1"}, "('node_ids',) Input should be a valid list"),
        ({"node_ids": [1]}, "('node_ids', 0) Input should be a valid string"),
        ({"usage": 5}, "('usage',) Input should be a valid dictionary or instance of Usage"),
        ({"parameters": None}, "('parameters',) Input should be a valid dictionary"),
        ({"step": {}}, "('step',) Input should be a valid integer"),
    ],
)
def test_provenance_that_cannot_be_used_is_left_out_with_one_line_in_the_log(tmp_path, caplog, facts, said):
    """The example is read without it; the log names the example and what is wrong."""
    path = with_provenance(tmp_path, {"content_hash": EXAMPLE.content_hash, "query_id": "q", **facts})

    with caplog.at_level(logging.INFO):
        examples = read_examples(path)

    assert examples == [TrainingExample(messages=MESSAGES)]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"the provenance of {EXAMPLE.content_hash} was left out: {said}")


@pytest.mark.parametrize("row", ["{", "[1]", "7", "null"])
def test_a_broken_row_of_provenance_spoils_no_other(tmp_path, row):
    """What is no row is passed over, and what follows it is joined."""
    known = {"content_hash": EXAMPLE.content_hash, "query_id": "q", "no_such_field": [1]}

    assert read_examples(with_provenance(tmp_path, row, known)) == [
        TrainingExample(messages=MESSAGES, query_id="q"),
    ]


@pytest.mark.parametrize("key", [{}, {"content_hash": None}, {"content_hash": 7}, {"content_hash": ["a"]}])
def test_provenance_of_no_example_is_joined_to_none(tmp_path, key):
    """A row without a hash, or with something else in its place, belongs to nobody."""
    path = with_provenance(tmp_path, {**key, "query_id": "q"})

    assert read_examples(path) == [TrainingExample(messages=MESSAGES)]


def test_provenance_never_changes_what_is_trained_on():
    """Messages and tools are those of the training file, whatever a row says."""
    example = TrainingExample(messages=MESSAGES)
    row = {"query_id": "q", "messages": [], "tools": [{"type": "function"}], "parallel_tool_calls": True}

    joined = join_provenance(example, {example.content_hash: row})

    assert joined == TrainingExample(messages=MESSAGES, query_id="q")


def test_no_provenance_is_no_knowledge(tmp_path):
    """A training file of others has none, and an example that is not in it stays as it is."""
    assert read_provenance(tmp_path / "theirs.jsonl") == {}
    assert join_provenance(EXAMPLE, {"0" * 16: {"query_id": "q"}}) == EXAMPLE


def test_what_is_known_is_keyed_by_content_hash(tmp_path):
    """All that the training line does not say, under the hash of that line."""
    path = tmp_path / "examples.jsonl"
    write_examples(path, [EXAMPLE])

    known = read_provenance(path)

    rest = EXAMPLE.model_dump(exclude={"messages", "tools", "parallel_tool_calls"})
    assert known == {EXAMPLE.content_hash: rest}
    assert join_provenance(TrainingExample(messages=MESSAGES), known) == EXAMPLE


def test_provenance_that_cannot_be_read_at_all_is_named(tmp_path):
    """To go on without it would lose what belongs together, and nobody would know."""
    path = with_provenance(tmp_path)
    (tmp_path / "examples.provenance.jsonl").unlink()
    (tmp_path / "examples.provenance.jsonl").mkdir()

    with pytest.raises(ExamplesError, match=r"examples\.provenance\.jsonl: cannot be read \(Is a directory\)"):
        read_examples(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from(sorted(TrainingExample.model_fields)) | st.text(), values), max_size=3
    ),
    raw=st.binary(max_size=30),
)
def test_no_provenance_crashes_a_reader(tmp_path_factory, rows, raw):
    """Whatever lies in the file beside it, the training file is read, and what is trained on is as it was."""
    folder = tmp_path_factory.mktemp("provenance")
    path = with_provenance(folder, *({**row, "content_hash": EXAMPLE.content_hash} for row in rows))
    with (folder / "examples.provenance.jsonl").open("ab") as stream:
        stream.write(raw)

    assert [example.to_line() for example in read_examples(path)] == [{"messages": MESSAGES}]
