"""Files that others wrote are read line by line, and no line is lost on the way to the folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from llama_index.core import Document, SummaryIndex
from llama_index.core.llms import MockLLM

from llama_index_ft_rag.curation import ReadLines, Reason, UnreadableLine, curate, read_lines, write_curation
from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.examples import TrainingExample, write_examples
from llama_index_ft_rag.recording import OpenAIFineTuningHandler, read_recording

SYSTEM = {"role": "system", "content": "Answer from the context."}
ASKED = {"role": "user", "content": "Who leads Ünlü & Söhne?"}
SAID = {"role": "assistant", "content": "Ana does."}
PLAIN = TrainingExample(messages=[ASKED, SAID])
WITH_SYSTEM = TrainingExample(messages=[SYSTEM, ASKED, SAID])
TOOL = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}}

needs_data = pytest.mark.skipif(
    "FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder"
)

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")


def line(**more: Any) -> bytes:
    """A line of a training file, with more keys in it."""
    return json.dumps({"messages": [ASKED, SAID], **more}).encode()


def written(folder: Path, data: bytes, name: str = "theirs.jsonl") -> Path:
    """A file that holds this."""
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_file_of_the_2023_class_is_read(tmp_path: Path) -> None:
    """Some of its lines have a system message, refine steps have none, and the last line has no end."""
    lines = [json.dumps(WITH_SYSTEM.to_line()), json.dumps(PLAIN.to_line())]

    read = read_lines(written(tmp_path, "\n".join(lines).encode()))

    assert read == ReadLines(examples=[WITH_SYSTEM, PLAIN], numbers=[1, 2])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-with-mark", "utf-16-be-with-mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_how_a_file_is_encoded_and_its_lines_end_does_not_matter(tmp_path: Path, encoding: str, end: str) -> None:
    """A byte order mark, UTF-16 as Windows writes it, Windows line ends and blank lines change no example."""
    text = json.dumps(PLAIN.to_line(), ensure_ascii=False)
    mark = "\ufeff" if encoding.endswith("-with-mark") else ""
    data = f"{mark}{text}{end}  {end}{end}{text}".encode(encoding.removesuffix("-with-mark"))

    assert read_lines(written(tmp_path, data)) == ReadLines(examples=[PLAIN, PLAIN], numbers=[1, 4])


def test_files_put_together_keep_a_mark_in_their_middle(tmp_path: Path) -> None:
    """`cat` leaves the byte order mark of the second file where it was; a line of nothing else is blank."""
    data = b"\xef\xbb\xbf" + line() + b"\n\xef\xbb\xbf" + line() + b"\n\xef\xbb\xbf\n"

    assert read_lines(written(tmp_path, data)) == ReadLines(examples=[PLAIN, PLAIN], numbers=[1, 2])


DEEP = b'{"messages": ' + b"[" * 101 + b"]" * 101 + b"}"
NO_MESSAGES = "it needs `messages`, a list of chat messages that ends with the answer"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ('{"messages": "é"}'.encode("latin-1"), "is not UTF-8 (byte 15); save the file as UTF-8"),
        (line()[:28], "is not JSON (Unterminated string starting at, column 24); each line must be one JSON object"),
        (line(x=float("nan")), "is not JSON a service would read (NaN is no JSON number)"),
        (
            line()[:-1] + b', "x": 1e999}',
            "is not JSON a service would read (1e999 is larger than a number can be)",
        ),
        (b"[1]", "is a list; each line must be one JSON object with `messages`"),
        (DEEP, "is nested more than 100 levels deep"),
        (b'{"prompt": "p", "completion": "c"}', None),
        (b"{}", f"has nothing; {NO_MESSAGES}"),
        (line(functions=[{"name": "f"}]), "has `functions`, the old form of `tools`; write them as `tools` first"),
        (line(tools={"a": 1}), "`tools` must be a list of objects, each with a named `function`"),
        (line(tools=[TOOL], parallel_tool_calls="yes"), "`parallel_tool_calls` must be true or false"),
        (b'{"messages": "hello"}', "`messages` must be a list with at least one message"),
        (b'{"input": {}, "preferred_output": []}', "is a preference pair, which is no chat example"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_example_is_kept_beside_the_others_with_what_it_is(
    tmp_path: Path, raw: bytes, reason: str | None
) -> None:
    """It has its number and its text, and the lines around it are read."""
    reason = reason or f"has `prompt`, `completion` (the old format for completion models); {NO_MESSAGES}"

    read = read_lines(written(tmp_path, line() + b"\n" + raw + b"\n" + line()))

    refused = UnreadableLine(
        number=2, text=raw.decode("utf-8", "replace"), reason=Reason(rule="unreadable", text=reason)
    )
    assert read == ReadLines(examples=[PLAIN, PLAIN], numbers=[1, 3], unreadable=[refused])


def test_numbers_beyond_what_python_reads_spoil_their_line_only(tmp_path: Path) -> None:
    """A number of five thousand digits is refused as JSON that no service would read."""
    read = read_lines(written(tmp_path, line()[:-1] + b', "n": ' + b"9" * 5000 + b"}\n" + line()))

    assert (read.examples, read.numbers) == ([PLAIN], [2])
    assert [(refused.number, refused.reason.text[:35]) for refused in read.unreadable] == [
        (1, "is not JSON a service would read (E")
    ]


@pytest.mark.parametrize("levels", [98, 99, 500, 985, 990, 1_000, 5_000, 100_000])
@pytest.mark.parametrize("shape", [(b"[", b"]"), (b'{"a":', b"}")])
def test_no_nesting_is_too_deep_to_be_told(tmp_path: Path, levels: int, shape: tuple[bytes, bytes]) -> None:
    """What is nested deeper than a training file needs is refused before anything recurses into it."""
    start, end = shape
    deep = line()[:-1] + b', "deep": ' + start * levels + b"1" * (start != b"[") + end * levels + b"}"

    read = read_lines(written(tmp_path, deep))

    assert len(read.examples) == (levels < 100)
    assert curate(read, near_duplicates=None).total == 1


def test_brackets_in_a_text_are_no_nesting(tmp_path: Path) -> None:
    """Code and escaped quotes in an answer count for nothing."""
    messages = [ASKED, {"role": "assistant", "content": '"' + "[{" * 500 + "\\"}]
    data = json.dumps({"messages": messages}).encode()

    assert read_lines(written(tmp_path, data)).examples == [TrainingExample(messages=messages)]


def test_half_a_character_survives_the_way_into_the_folder(tmp_path: Path) -> None:
    """A lone surrogate, as broken model output has it, is escaped in the file as it was."""
    messages = [{"role": "user", "content": "a\ud800b"}, {"role": "assistant", "content": "\udc00"}]
    source = written(tmp_path, json.dumps({"messages": messages}).encode())

    write_curation(curate(read_lines(source)), tmp_path / "out", source=source)

    assert read_lines(tmp_path / "out" / "examples.jsonl").examples == [TrainingExample(messages=messages)]


@pytest.mark.parametrize(
    ("lines", "have", "keys"), [(1, "1 line has", "`id`"), (2, "2 lines have", "`id`, `metadata`")]
)
def test_keys_that_no_training_file_has_are_told(tmp_path: Path, lines: int, have: str, keys: str) -> None:
    """They are not written again, and the reader should know before the source is thrown away."""
    data = b"\n".join([*[line(id=7), line(metadata={})][:lines], line(tools=[TOOL], parallel_tool_calls=True)])

    curation = curate(read_lines(written(tmp_path, data)), without=["duplicate"], near_duplicates=None)

    assert len(curation.kept) == lines + 1
    assert curation.notices == (
        f"{have} keys that no training file may have ({keys}); what is kept is written without",
    )


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    """Neither has one of blank lines; that there is nothing to train on is not for the reader to say."""
    assert read_lines(written(tmp_path, b"")) == ReadLines(examples=[], numbers=[])
    assert read_lines(written(tmp_path, b"\n \r\n\t\n")) == ReadLines(examples=[], numbers=[])


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("none.jsonl", "there is no such file"),
        ("", "is no file"),
        (".", "is no file"),
        ("/", "is no file"),
        ("a\0b", "there is no such file"),
        pytest.param("pipe", "is no file", marks=needs_pipes),
        ("x" * 5000, "File name too long|there is no such file"),
    ],
)
def test_what_cannot_be_read_at_all_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, why: str
) -> None:
    """It names the path, the reason and what to pass; a pipe could be read once only and is refused, too."""
    monkeypatch.chdir(tmp_path)
    if path == "pipe":
        os.mkfifo(path)

    with pytest.raises(ExamplesError) as caught:
        read_lines(path)

    said = [f"{Path(path)}: cannot be read ({one}); pass the path of a JSONL file" for one in why.split("|")]
    assert str(caught.value) in said


def test_provenance_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """To read the examples without would lose what belongs together, and nobody would know."""
    (tmp_path / "theirs.provenance.jsonl").mkdir()

    with pytest.raises(ExamplesError, match=r"theirs\.provenance\.jsonl: cannot be read \(Is a directory\)"):
        read_lines(written(tmp_path, line()))


def test_what_is_known_of_an_example_is_joined(tmp_path: Path) -> None:
    """The folder of an earlier curation, or of the recorder, is read with its queries, nodes and kinds."""
    known = PLAIN.model_copy(update={"query_id": "q1", "step": 0, "kind": "answer", "node_ids": ["n1"]})
    write_examples(tmp_path / "ours.jsonl", [known, WITH_SYSTEM])

    assert read_lines(tmp_path / "ours.jsonl") == ReadLines(examples=[known, WITH_SYSTEM], numbers=[1, 2])


def test_a_recorders_file_is_read_as_its_calls(tmp_path: Path) -> None:
    """The recorder of an engine writes more than a training file; each of its calls is an example."""
    path = tmp_path / "calls.jsonl"
    handler = OpenAIFineTuningHandler(path)
    index = SummaryIndex.from_documents([Document(text="Ana leads it."), Document(text="Bo left.")])
    with handler.recording():
        for question in ("Who leads?", "Who left?"):
            index.as_query_engine(llm=MockLLM()).query(question)

    read = read_lines(path)

    assert read == ReadLines(examples=read_recording(path), numbers=[1, 2])
    assert [(call.question, call.kind, len(call.node_ids)) for call in read.examples] == [
        ("Who leads?", "answer", 2),
        ("Who left?", "answer", 2),
    ]


texts = st.text(st.characters())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
messages = st.dictionaries(st.sampled_from(["name", "weight", "tool_calls", "refusal"]) | texts, values, max_size=2)
messages = st.builds(
    lambda role, content, more: {**more, "role": role, "content": content},
    st.sampled_from(["system", "user", "assistant", "tool"]) | values,
    texts | values,
    messages,
)
rows = st.builds(
    lambda messages, more: {**more, "messages": messages},
    st.lists(messages, max_size=3),
    st.dictionaries(st.sampled_from(["tools", "parallel_tool_calls", "functions"]) | texts, values, max_size=2),
)


def reproduced(folder: Path, source: Path) -> dict[int, Any]:
    """What stands in the folder of each line of the source, by its number: the row, or the text of what is none."""
    curation = curate(read_lines(source))
    write_curation(curation, folder, source=source)
    kept = (folder / "examples.jsonl").read_bytes().split(b"\n")[:-1]
    found: dict[int, Any] = dict(zip(curation.kept_numbers, map(json.loads, kept), strict=True))
    for row in map(json.loads, (folder / "dropped.jsonl").read_bytes().split(b"\n")[:-1]):
        assert row["number"] not in found
        assert row["reasons"]
        found[row["number"]] = row["line"] if "line" in row else {key: row[key] for key in WRITTEN if key in row}
    assert curation.total == len(found)
    return found


WRITTEN = ("messages", "tools", "parallel_tool_calls")


@settings(max_examples=200, deadline=None)
@given(st.lists(rows | values, max_size=6))
def test_every_line_of_json_is_found_again(tmp_path_factory: pytest.TempPathFactory, given_rows: list[Any]) -> None:
    """Whatever JSON a file holds, each line is in the folder once: kept, dropped, or as the text it was."""
    folder = tmp_path_factory.mktemp("json")
    lines = [json.dumps(row) for row in given_rows]
    source = written(folder, "\n".join(lines).encode())

    found = reproduced(folder / "out", source)

    for number, (row, text) in enumerate(zip(given_rows, lines, strict=True), start=1):
        if isinstance(found[number], str):
            assert found[number] == text
        else:
            tools = {key: row[key] for key in WRITTEN[1:] if key in row and row.get("tools")}
            tools = {key: value for key, value in tools.items() if value is not None}
            assert found[number] == {"messages": row["messages"], **tools}
    assert len(found) == len(given_rows)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.lists(st.binary(max_size=40) | st.just(line()), max_size=6).map(b"\n".join))
@example(b'{"call_id"')
@example(b"\xff\xfe{\n\0}\0\n\0\x0a")
@example(b"\xef\xbb\xbf\n\xff")
def test_every_line_of_any_bytes_is_counted(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever a file holds, it is read, and each line that is not blank is kept or dropped."""
    folder = tmp_path_factory.mktemp("bytes")
    source = written(folder, data)

    found = reproduced(folder / "out", source)

    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    lines = data.decode("utf-16", "backslashreplace").encode().split(b"\n") if wide else data.split(b"\n")
    filled = {n for n, raw in enumerate(lines, start=1) if raw.strip().removeprefix(b"\xef\xbb\xbf").strip()}
    if not data.startswith(b'{"call_id"'):
        assert set(found) == filled


REAL = {
    "ftjsonl/cookbook_toy_chat_fine_tuning.jsonl": {"kept": 5, "dropped": 0},
    "ftjsonl/foundry_countdown_raw_first20.jsonl": {"kept": 0, "dropped": 20, "unreadable": 20},
    "ftjsonl/foundry_dpo_orca_first60.jsonl": {"kept": 0, "dropped": 60, "unreadable": 60},
    "ftjsonl/foundry_gsm8k_chat_validation.jsonl": {"kept": 50, "dropped": 0},
    "ftjsonl/foundry_sarcasm_qa.jsonl": {"kept": 0, "dropped": 500, "unreadable": 500},
    "ftjsonl/foundry_stock_toolcall_training.jsonl": {"kept": 59, "dropped": 27, "abstention": 27},
    "ftjsonl/foundry_zava_rft_test_first12.jsonl": {"kept": 0, "dropped": 10, "empty_answer": 10},
    "ftjsonl/foundry_zava_rft_test_fixed_first12.jsonl": {"kept": 0, "dropped": 10, "empty_answer": 10},
    "ftjsonl/pirate_training_set.jsonl": {"kept": 10, "dropped": 0},
    "ftjsonl/ruby_sarcastic.jsonl": {"kept": 10, "dropped": 0},
    "ftjsonl/ruby_sentiment.jsonl": {"kept": 0, "dropped": 2, "unreadable": 2},
    "ftjsonl/ruby_train.jsonl": {"kept": 0, "dropped": 3, "unreadable": 3},
    "post/llm-finetuning_finetuning_events.jsonl": {"kept": 47, "dropped": 18, "abstention": 18, "repeated_draft": 8},
}


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_what_comes_of_each_real_file(tmp_path: Path, name: str) -> None:
    """The documentation has the same table; each line of each file is found again in the folder."""
    source = Path(os.environ["FT_RAG_TEST_DATA"]) / name

    curation = curate(read_lines(source))
    found = reproduced(tmp_path, source)

    assert curation.counts() == REAL[name]
    assert set(found) == set(range(1, REAL[name]["kept"] + REAL[name]["dropped"] + 1))


def test_the_documentation_has_the_same_table() -> None:
    """Its rows stand in the order of the table here but for the post's file, which is first; a row may be for two."""
    page = (Path(__file__).parents[1] / "docs" / "curation.md").read_text(encoding="utf-8")
    section = page.partition("## What comes of real files")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in section.splitlines() if row.startswith("| ")][1:]
    told = sorted((int(row[2].split()[0]), int(row[3])) for row in rows)
    counts = [REAL[name] for name in REAL if "fixed" not in name]

    assert told == sorted((count["kept"] + count["dropped"], count["kept"]) for count in counts)


@needs_data
def test_the_table_of_real_files_is_whole() -> None:
    """No file of the folder is left out of it."""
    files = (Path(os.environ["FT_RAG_TEST_DATA"]) / "ftjsonl").iterdir()

    assert {f"ftjsonl/{file.name}" for file in files} == {name for name in REAL if name.startswith("ftjsonl/")}
