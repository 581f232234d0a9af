from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_index_ft_rag.errors import ConfigurationError, ExamplesError, MissingExtraError
from llama_index_ft_rag.examples import TrainingExample, Usage, read_examples
from llama_index_ft_rag.exporting import Export, LeftOut, export_examples

DATA = os.environ.get("FT_RAG_TEST_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="FT_RAG_TEST_DATA is not set: there are no real files to export")

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
PIPE = "\ud800"


def system(text: str) -> dict[str, Any]:
    """A message of the system."""
    return {"role": "system", "content": text}


def user(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def answer(text: str, **more: Any) -> dict[str, Any]:
    """An answer of the assistant."""
    return {"role": "assistant", "content": text, **more}


def calls(*arguments: str, **more: Any) -> dict[str, Any]:
    """A turn of the assistant that calls the tool `weather` once for each text."""
    made = [
        {"id": f"call_{number}", "type": "function", "function": {"name": "weather", "arguments": text}}
        for number, text in enumerate(arguments)
    ]
    return {"role": "assistant", "tool_calls": made, **more}


def result(text: str, number: int = 0) -> dict[str, Any]:
    """What a call of a tool gave."""
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": text}


def example(*messages: dict[str, Any], **more: Any) -> TrainingExample:
    """An example of these messages."""
    return TrainingExample(messages=list(messages), **more)


def plain() -> TrainingExample:
    """An example that every format can express."""
    return example(user("How much?"), answer("Five."))


def lines(path: Path) -> list[Any]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def exported(*examples: TrainingExample, format: str, folder: Path) -> list[Any]:  # noqa: A002
    """Export to a file and read its rows."""
    export_examples(examples, folder / "out.jsonl", format=format)
    return lines(folder / "out.jsonl")


SPEAKER = {"system": "system", "human": "user", "gpt": "assistant", "observation": "tool"}


def read_sharegpt(row: dict[str, Any]) -> list[Any]:
    """Who said what; for a call of tools, a list of names and arguments."""
    said: list[Any] = []
    for turn in row["conversations"]:
        assert list(turn) == ["from", "value"]
        if turn["from"] == "function_call":
            called = json.loads(turn["value"])
            called = called if isinstance(called, list) else [called]
            said.append(("assistant", [(call["name"], call["arguments"]) for call in called]))
        else:
            said.append((SPEAKER[turn["from"]], turn["value"]))
    return said


def read_alpaca(row: dict[str, Any]) -> list[Any]:
    """Who said what: instruction and input are one text, and the history comes before them."""
    said: list[Any] = [("system", row["system"])] if row.get("system") else []
    for question, reply in row.get("history", []):
        said += [("user", question), ("assistant", reply)]
    asked = "\n".join(text for text in (row["instruction"], row["input"]) if text)
    return [*said, ("user", asked), ("assistant", row["output"])]


def said_by(messages: list[dict[str, Any]]) -> list[Any]:
    """The same of messages in OpenAI's format."""
    said: list[Any] = []
    for message in messages:
        if message.get("tool_calls"):
            made = [call["function"] for call in message["tool_calls"]]
            said.append(("assistant", [(call["name"], json.loads(call["arguments"])) for call in made]))
        else:
            said.append((message["role"], message["content"]))
    return said


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
round_of_words = st.builds(lambda asked, told: [user(asked), answer(told)], text, text)
arguments = st.dictionaries(text, st.none() | st.booleans() | text | st.integers() | st.lists(text)).map(json.dumps)
round_with_tool = st.builds(
    lambda asked, sent, came, told: [user(asked), calls(sent), result(came), answer(told)],
    text,
    arguments,
    text,
    text,
)


def conversations(rounds: st.SearchStrategy[Any], **more: Any) -> st.SearchStrategy[TrainingExample]:
    """Examples of one to three rounds, with or without a system message."""
    return st.builds(
        lambda first, parts: example(*first, *(message for part in parts for message in part), **more),
        st.just([]) | text.filter(bool).map(lambda said: [system(said)]),
        st.lists(rounds, min_size=1, max_size=3),
    )


@given(st.lists(conversations(round_of_words | round_with_tool, tools=[WEATHER]), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None, derandomize=True, database=None)
def test_a_reader_of_sharegpt_finds_every_turn_again(examples: list[TrainingExample]) -> None:
    """Texts, calls with their arguments, results, the system prompt and the tools come back as they were."""
    with tempfile.TemporaryDirectory() as folder:
        rows = exported(*examples, format="sharegpt", folder=Path(folder))

    assert [read_sharegpt(row) for row in rows] == [said_by(given.messages) for given in examples]
    assert [json.loads(row["tools"]) for row in rows] == [[WEATHER["function"]]] * len(examples)


@given(st.lists(conversations(round_of_words), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None, derandomize=True, database=None)
def test_a_reader_of_alpaca_finds_every_turn_again(examples: list[TrainingExample]) -> None:
    """The last round is instruction and output, those before it are the history; only the order of rows may change."""
    with tempfile.TemporaryDirectory() as folder:
        rows = exported(*examples, format="alpaca", folder=Path(folder))

    assert sorted(map(read_alpaca, rows)) == sorted(said_by(given.messages) for given in examples)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["user", "assistant", "text", "{}", PIPE]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "function"]), inner, max_size=3)
    ),
    max_leaves=5,
)
some_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "robot"])},
    optional={
        "content": text | anything,
        "weight": anything,
        "name": anything,
        "tool_calls": anything,
        "function_call": anything,
        "refusal": anything,
    },
)
some_tool = st.fixed_dictionaries({}, optional={"type": anything, "function": anything})
some_example = st.builds(
    TrainingExample,
    messages=st.lists(some_message | st.sampled_from([user("?"), answer("!")]), max_size=4),
    tools=st.none() | st.lists(some_tool, max_size=2),
)


@given(st.lists(some_example, max_size=4), st.sampled_from(["sharegpt", "alpaca", "datasets"]))
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_every_example_is_either_written_or_left_out_with_a_reason(
    examples: list[TrainingExample], wanted: str
) -> None:
    """Whatever the messages hold, nothing is lost and nothing fails."""
    with tempfile.TemporaryDirectory() as folder:
        done = export_examples([*examples, plain()], Path(folder) / "out.jsonl", format=wanted)

    assert done.written + len(done.left_out) == len(examples) + 1
    assert [given.content_hash for given in (examples[missed.index] for missed in done.left_out)] == [
        missed.content_hash for missed in done.left_out
    ]


def test_sharegpt_names_the_speakers_as_llama_factory_does(tmp_path: Path) -> None:
    """The system prompt is a turn, calls and results have speakers of their own, and tools are bare functions."""
    (row,) = exported(
        example(
            system("Be brief."),
            user("Rain?"),
            calls('{"city": "Bonn"}'),
            result("yes"),
            answer("Yes."),
            tools=[{"type": "function", "function": {"name": "weather", "description": "Weather of a city"}}],
        ),
        format="sharegpt",
        folder=tmp_path,
    )

    assert row == {
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "Rain?"},
            {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Bonn"}}'},
            {"from": "observation", "value": "yes"},
            {"from": "gpt", "value": "Yes."},
        ],
        "tools": '[{"name": "weather", "description": "Weather of a city", '
        '"parameters": {"type": "object", "properties": {}}}]',
    }


def test_several_calls_in_one_turn_are_a_list_in_sharegpt(tmp_path: Path) -> None:
    """LLaMA-Factory reads one call as an object and several as a list of them."""
    (row,) = exported(
        example(user("Rain?"), calls('{"city": "Bonn"}', '{"city": "Köln"}'), tools=[WEATHER]),
        format="sharegpt",
        folder=tmp_path,
    )

    assert json.loads(row["conversations"][1]["value"]) == [
        {"name": "weather", "arguments": {"city": "Bonn"}},
        {"name": "weather", "arguments": {"city": "Köln"}},
    ]


def test_a_sharegpt_file_without_tools_has_no_other_column(tmp_path: Path) -> None:
    """Unsloth takes turns of exactly two texts, and Axolotl fails on an empty text as tools."""
    rows = exported(plain(), plain(), format="sharegpt", folder=tmp_path)

    assert rows == [{"conversations": [{"from": "human", "value": "How much?"}, {"from": "gpt", "value": "Five."}]}] * 2


def test_older_spellings_of_the_same_turns_are_understood(tmp_path: Path) -> None:
    """A developer's message is the system's, a text in one part is a text, and `function_call` is a call of a tool."""
    (row,) = exported(
        example(
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Rain?"}], "name": None},
            {"role": "assistant", "content": "", "function_call": {"name": "weather", "arguments": "{}"}},
            {"role": "function", "name": "weather", "content": "no"},
            answer("No.", weight=1, refusal=None),
        ),
        format="sharegpt",
        folder=tmp_path,
    )

    assert read_sharegpt(row) == [
        ("system", "Be brief."),
        ("user", "Rain?"),
        ("assistant", [("weather", {})]),
        ("tool", "no"),
        ("assistant", "No."),
    ]


PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TWO_PARTS = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
CUSTOM_TOOL = {"type": "custom", "custom": {"name": "shell"}}
NAMES_ONLY = {"type": "function", "function": {"name": "weather", "parameters": ["city"]}}
CUSTOM_CALL = {"id": "call_0", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
INEXPRESSIBLE: list[tuple[TrainingExample, str]] = [
    (example(user("?")), "it does not end with an answer of the assistant"),
    (example(), "it does not end with an answer of the assistant"),
    (
        example(system("."), answer("!")),
        "its turns do not alternate between the user's side and the assistant's",
    ),
    (
        example(user("?"), user("??"), answer("!")),
        "its turns do not alternate between the user's side and the assistant's",
    ),
    (
        example(result("5"), answer("!")),
        "its turns do not alternate between the user's side and the assistant's",
    ),
    (example(user("?"), system("."), answer("!")), "it has a system message that is not its first message"),
    (example(user("?"), {"role": "assistant"}), "it has a message without text"),
    (example({"role": "user", "content": TWO_PARTS}, answer("!")), "it has a message of several parts"),
    (example({"role": "user", "content": [PICTURE]}, answer("!")), "it has a message with parts that are no text"),
    (
        example({"role": "robot", "content": "?"}, answer("!")),
        "it has a message of a role that the format does not know",
    ),
    (example({**user("?"), "name": "Ada"}, answer("!")), "it has a message that names its speaker"),
    (
        example(user("?"), {"role": "assistant", "content": None, "refusal": "No."}),
        "it has a message with a field that the format does not know",
    ),
    (example(user("?"), answer("-", weight=0), user("?"), answer("!", weight=1)), "it weighs its answers"),
    (example(user("?"), calls("{}", content="Let me look.")), "it says something and calls a tool in one turn"),
    (
        example(user("?"), calls("{}", "{}"), result("1"), result("2", 1), answer("!")),
        "it has several tool results for one turn",
    ),
    (example(user("?"), answer("!"), tools=[CUSTOM_TOOL]), "it has a tool that is no function"),
    (example(user("?"), answer("!"), tools=[NAMES_ONLY]), "it has a tool that is no function"),
    (
        example(user("?"), {"role": "assistant", "tool_calls": [CUSTOM_CALL]}),
        "it has a tool call that is no function with arguments in JSON",
    ),
    (example(user("?"), calls("[]")), "it has a tool call that is no function with arguments in JSON"),
    (example(user("?"), calls("{")), "it has a tool call that is no function with arguments in JSON"),
    (example(user("?"), calls('{"n": NaN}')), "it has a tool call that is no function with arguments in JSON"),
    (example(user("?"), calls('{"n": 1e999}')), "it has a tool call that is no function with arguments in JSON"),
    (example(user(PIPE), answer("!")), "it has text that is no valid Unicode"),
]


@pytest.mark.parametrize(("given", "reason"), INEXPRESSIBLE)
def test_what_sharegpt_cannot_express_is_left_out_whole(given: TrainingExample, reason: str, tmp_path: Path) -> None:
    """The example is named by its place and content hash, with the reason, and no row is bent to fit."""
    done = export_examples([plain(), given], tmp_path / "out.jsonl", format="sharegpt")

    assert done == Export(
        path=tmp_path / "out.jsonl",
        format="sharegpt",
        files=(tmp_path / "out.jsonl", tmp_path / "dataset_info.json"),
        written=1,
        left_out=(LeftOut(index=1, content_hash=given.content_hash, reason=reason),),
    )
    assert len(lines(tmp_path / "out.jsonl")) == 1


def test_alpaca_has_system_and_history_only_where_an_example_needs_them(tmp_path: Path) -> None:
    """Single rounds are instruction, input and output; the prompt of ours is one text, so that input is empty."""
    assert exported(plain(), format="alpaca", folder=tmp_path) == [
        {"instruction": "How much?", "input": "", "output": "Five."}
    ]
    assert exported(
        plain(),
        example(system("Be brief."), user("Who?"), answer("Ada."), user("When?"), answer("1843.")),
        format="alpaca",
        folder=tmp_path,
    ) == [
        {"instruction": "When?", "input": "", "output": "1843.", "system": "Be brief.", "history": [["Who?", "Ada."]]},
        {"instruction": "How much?", "input": "", "output": "Five.", "system": "", "history": []},
    ]


def test_a_late_history_does_not_break_the_reading_of_a_long_alpaca_file(tmp_path: Path) -> None:
    """`datasets` takes types from the first 10 MB; the first row with a history therefore comes first."""
    datasets = pytest.importorskip("datasets")
    long = [example(user("x" * 4_000), answer(f"{number}")) for number in range(3_000)]
    late = example(user("Who?"), answer("Ada."), user("When?"), answer("1843."))

    export_examples([*long, late], tmp_path / "out.jsonl", format="alpaca")
    rows = datasets.load_dataset(
        "json", data_files=str(tmp_path / "out.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )

    assert [len(rows), rows[0]["history"], rows[1]["history"], rows[3_000]["output"]] == [
        3_001,
        [["Who?", "Ada."]],
        [],
        "2999",
    ]


def test_alpaca_leaves_out_what_has_tools(tmp_path: Path) -> None:
    """An example that offers tools is left out even if none is called, as the answer depends on the offer."""
    offered = example(user("Rain?"), answer("Which city?"), tools=[WEATHER])
    called = example(user("Rain?"), calls("{}"))
    done = export_examples([offered, plain(), called], tmp_path / "out.jsonl", format="alpaca")

    assert done.left_out == (
        LeftOut(index=0, content_hash=offered.content_hash, reason="it has tools"),
        LeftOut(index=2, content_hash=called.content_hash, reason="it has tools"),
    )


def test_exported_files_are_listed_for_llama_factory(tmp_path: Path) -> None:
    """`dataset_dir` and `dataset` are all that it needs; what the list held before stays."""
    listed = tmp_path / "dataset_info.json"
    listed.write_text('{"identity": {"file_name": "identity.json"}}', encoding="utf-8")
    tools = example(user("Rain?"), calls("{}"), tools=[WEATHER])

    export_examples([plain()], tmp_path / "first.jsonl", format="sharegpt")
    export_examples([plain(), tools], tmp_path / "with, tools.jsonl", format="sharegpt")
    export_examples([plain()], tmp_path / "first.jsonl", format="alpaca")

    assert json.loads(listed.read_text(encoding="utf-8")) == {
        "identity": {"file_name": "identity.json"},
        "first": {
            "file_name": "first.jsonl",
            "formatting": "alpaca",
            "columns": {"prompt": "instruction", "query": "input", "response": "output"},
        },
        "with_tools": {
            "file_name": "with, tools.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "tools": "tools"},
        },
    }


@pytest.mark.parametrize(
    ("held", "problem"),
    [
        ("{", "cannot be read"),
        ('{"builder_name": "json"}', "is no list of datasets for LLaMA-Factory; export to another folder"),
        ('{"out": {"hf_hub_url": "a/b"}}', "lists another dataset as 'out'; give the exported file another name"),
        ('{"out": {"file_name": "out.json"}}', "lists another dataset as 'out'; give the exported file another name"),
    ],
)
def test_a_list_that_the_export_would_spoil_is_refused_and_left_alone(held: str, problem: str, tmp_path: Path) -> None:
    """Another tool's file of the same name, or another dataset of the same name, is never overwritten."""
    listed = tmp_path / "dataset_info.json"
    listed.write_text(held, encoding="utf-8")

    with pytest.raises(ConfigurationError) as refused:
        export_examples([plain()], tmp_path / "out.jsonl", format="sharegpt")

    assert str(refused.value).startswith(f"{listed}: {problem}")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset_info.json"]
    assert listed.read_text(encoding="utf-8") == held


def test_chat_is_openais_format_with_everything_in_it(tmp_path: Path) -> None:
    """Weights, tools and images stay, and read back with the provenance beside it the examples are the same."""
    examples = [
        example(user("?"), answer("-", weight=0), user("?"), answer("!", weight=1), model="gpt-4", step=2),
        example({"role": "user", "content": [PICTURE]}, calls("{}"), tools=[WEATHER], parallel_tool_calls=False),
    ]
    done = export_examples(examples, tmp_path / "out.jsonl", format="chat")

    assert (done.written, done.left_out, [path.name for path in done.files]) == (
        2,
        (),
        ["out.jsonl", "out.provenance.jsonl"],
    )
    assert read_examples(tmp_path / "out.jsonl") == examples


def load(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Load an exported folder as its users do: rows by split."""
    datasets = pytest.importorskip("datasets")
    with tempfile.TemporaryDirectory() as cache:
        return {split: list(rows) for split, rows in datasets.load_dataset(str(folder), cache_dir=cache).items()}


def messages_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of a loaded row, as the card says that they are to be read."""
    return [
        {key: value for key, value in message.items() if value is not None and key != "other"}
        | json.loads(message["other"] or "{}")
        for message in row["messages"]
    ]


def without_nulls(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages without the fields that say nothing."""
    return [{key: value for key, value in message.items() if value is not None} for message in messages]


@given(st.lists(some_example | conversations(round_with_tool, tools=[WEATHER]), max_size=8))
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
def test_a_loaded_dataset_has_the_messages_and_tools_that_were_exported(examples: list[TrainingExample]) -> None:
    """The schema is the same whatever the messages hold; only text that is no Unicode is left out."""
    pytest.importorskip("pyarrow")
    examples = [*examples, plain()]
    with tempfile.TemporaryDirectory() as folder:
        done = export_examples(examples, Path(folder) / "out", format="datasets")
        rows = load(Path(folder) / "out")["train"]
    missed = {left.index for left in done.left_out}
    kept = [given for index, given in enumerate(examples) if index not in missed]

    assert {left.reason for left in done.left_out} <= {"it has text that is no valid Unicode"}
    assert [messages_of(row) for row in rows] == [without_nulls(given.messages) for given in kept]
    assert [json.loads(row["tools"] or "null") for row in rows] == [given.tools or None for given in kept]
    assert [row["content_hash"] for row in rows] == [given.content_hash for given in kept]


FULL = example(
    user("Context and how much?"),
    answer("Five."),
    tools=[WEATHER],
    parallel_tool_calls=True,
    query_id="q1",
    step=1,
    kind="refine",
    question="How much?",
    node_ids=["n1", "n2"],
    node_scores=[0.5, None],
    model="gpt-4",
    parameters={"temperature": 0.1},
    usage=Usage(prompt_tokens=10, completion_tokens=2),
    latency_s=1.5,
    finish_reason="stop",
    made_by="distractors",
    made_from="0123456789abcdef",
)


def test_a_loaded_dataset_has_all_that_is_known_of_an_example(tmp_path: Path) -> None:
    """Every field has its column, in both splits, and an unknown one is null."""
    pytest.importorskip("pyarrow")
    export_examples([FULL], tmp_path / "out", format="datasets", validation=[plain()])
    loaded = load(tmp_path / "out")
    (row,) = loaded["train"]
    (bare,) = loaded["validation"]

    assert {key: value for key, value in row.items() if key != "messages"} == {
        "tools": json.dumps([WEATHER]),
        "parallel_tool_calls": True,
        "content_hash": FULL.content_hash,
        "query_id": "q1",
        "step": 1,
        "kind": "refine",
        "question": "How much?",
        "node_ids": ["n1", "n2"],
        "node_scores": [0.5, None],
        "model": "gpt-4",
        "parameters": '{"temperature": 0.1}',
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "latency_s": 1.5,
        "finish_reason": "stop",
        "made_by": "distractors",
        "made_from": "0123456789abcdef",
    }
    assert {key: value for key, value in bare.items() if value not in (None, [])} == {
        "messages": bare["messages"],
        "content_hash": plain().content_hash,
        "kind": "other",
    }
    assert set(TrainingExample.model_fields) - {"usage"} <= row.keys()


def test_the_card_names_every_column(tmp_path: Path) -> None:
    """What the table of the card lists are the columns of the file, in their order."""
    pytest.importorskip("pyarrow")
    export_examples([plain()], tmp_path / "out", format="datasets")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    table = card.partition("| Column | Holds |")[2].partition("\n\n")[0]

    assert [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")] == list(
        load(tmp_path / "out")["train"][0]
    )


CARD = """---
size_categories:
- n<1K
task_categories:
- text-generation
tags:
- llama-index-ft-rag
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
  - split: validation
    path: data/validation-*.parquet
---

# Training examples

Conversations for the training of chat models, exported by `llama-index-ft-rag`. They may hold passages of documents \
and questions of users: look at them before you pass them on.

| Split | Rows |
| --- | --- |
| train | 2 |
| validation | 1 |

## Who answered

| Model | Rows |
| --- | --- |
| not recorded | 2 |
| gpt-4 | 1 |

The answers are the output of these models, not checked facts. The terms of each model's provider say what its output \
may be used for.

Some rows were changed after the call:

| Changed by | Rows |
| --- | --- |
| distractors | 1 |

## What the calls were for

| Kind | Rows |
| --- | --- |
| other | 2 |
| refine | 1 |

## How the rows were chosen

- Kept by curation: 3 of 5
- Left out when exported, because it has text that is no valid Unicode: 1

## Columns
"""


def test_the_card_says_what_the_rows_say_and_nothing_else(tmp_path: Path) -> None:
    """Rows, models, kinds, and how they were chosen where the caller knows it; no licence and no language."""
    pytest.importorskip("pyarrow")
    done = export_examples(
        [FULL, example(user(PIPE), answer("!")), plain()],
        tmp_path / "out",
        format="datasets",
        validation=[plain()],
        facts={"Kept by curation": "3 of 5"},
    )
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")

    assert card.partition("\n| Column | Holds |")[0] == CARD
    assert [path.relative_to(tmp_path).as_posix() for path in done.files] == [
        "out/README.md",
        "out/data/train-00000-of-00001.parquet",
        "out/data/validation-00000-of-00001.parquet",
    ]


def test_the_card_says_first_that_toy_models_answered(tmp_path: Path) -> None:
    """Nobody shall take the offline backend's answers for a teacher's."""
    pytest.importorskip("pyarrow")
    toys = [example(user("?"), answer("!"), model=name) for name in ("offline-teacher", "ft:offline-student:a:b:c")]
    export_examples([*toys, plain()], tmp_path / "out", format="datasets")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").partition("\n---\n\n")[2]

    assert text.splitlines()[:3] == [
        "# Training examples",
        "",
        "> **2 of 3 rows hold answers of toy models.** The readers of the offline backend, whose names hold "
        "`offline-`, show that a pipeline works; no model should learn from them.",
    ]


def test_names_and_facts_cannot_write_into_the_card(tmp_path: Path) -> None:
    """A model's name from a foreign file is text: no table, no metadata, no link, and no longer than a line."""
    pytest.importorskip("pyarrow")
    hostile = example(user("?"), answer("!"), model="a|b\n---\nlicense: mit <script> [x](http://y.z) " + "x" * 500)
    export_examples([hostile], tmp_path / "out", format="datasets", facts={"# Title\n": "`code` @all"})
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").splitlines()

    assert [line for line in card if line.startswith(("| a", "- #"))] == [
        "| a&#124;b --- license: mit &#60;script&#62; &#91;x&#93;(http://<!-- -->y.z) " + "x" * 73 + "… | 1 |",
        "- #<!-- --> Title: &#96;code&#96; @<!-- -->all",
    ]


def test_many_models_and_facts_are_cut_to_twenty_lines(tmp_path: Path) -> None:
    """A card stays readable whatever a file of anybody's holds."""
    pytest.importorskip("pyarrow")
    examples = [example(user("?"), answer("!"), model=f"model-{number:02}") for number in range(25)]
    export_examples(examples, tmp_path / "out", format="datasets", facts={f"fact {n}": n for n in range(21)})
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").splitlines()

    assert [line for line in card if line.startswith("| model-")] == [f"| model-{n:02} | 1 |" for n in range(20)]
    assert [line for line in card if " more" in line] == ["| 5 more | 5 |", "- and 1 facts more"]


def modes(folder: Path) -> dict[str, str]:
    """Every file and folder in a folder, with its mode."""
    return {path.relative_to(folder).as_posix(): oct(path.stat().st_mode & 0o777) for path in sorted(folder.rglob("*"))}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file modes")
def test_what_is_exported_is_private_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    """Prompts hold passages of documents: only their owner reads them."""
    pytest.importorskip("pyarrow")
    (tmp_path / "empty").mkdir(mode=0o755)
    export_examples([plain()], tmp_path / "out.jsonl", format="alpaca")
    export_examples([plain()], tmp_path / "empty", format="datasets")

    assert modes(tmp_path) == {
        "dataset_info.json": "0o600",
        "empty": "0o700",
        "empty/README.md": "0o600",
        "empty/data": "0o700",
        "empty/data/train-00000-of-00001.parquet": "0o600",
        "out.jsonl": "0o600",
    }


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file modes")
def test_a_list_that_others_read_stays_readable_to_them(tmp_path: Path) -> None:
    """The list of a shared LLaMA-Factory keeps its mode when a dataset is added."""
    (tmp_path / "dataset_info.json").write_text("{}", encoding="utf-8")
    (tmp_path / "dataset_info.json").chmod(0o644)
    export_examples([plain()], tmp_path / "out.jsonl", format="alpaca")

    assert modes(tmp_path) == {"dataset_info.json": "0o644", "out.jsonl": "0o600"}


def test_a_training_file_with_its_provenance_is_not_replaced_by_another_format(tmp_path: Path) -> None:
    """The provenance would then lie beside rows that it says nothing of."""
    export_examples([plain()], tmp_path / "out.jsonl", format="chat")
    with pytest.raises(ConfigurationError) as refused:
        export_examples([plain()], tmp_path / "out.jsonl", format="alpaca")

    assert str(refused.value) == (
        f"{tmp_path / 'out.jsonl'}: is a training file with its provenance beside it; choose another path"
    )


def test_a_second_export_to_the_same_file_replaces_it(tmp_path: Path) -> None:
    """The same command again gives the same files."""
    first = exported(plain(), plain(), format="sharegpt", folder=tmp_path)
    again = exported(plain(), plain(), format="sharegpt", folder=tmp_path)

    assert first == again


@pytest.mark.parametrize(
    ("path", "wanted", "problem"),
    [
        ("out.jsonl", "csv", "'csv': there is no such export format; choose one of chat, sharegpt, alpaca, datasets"),
        ("no/out.jsonl", "chat", "{folder}/no: there is no such folder; create it, or choose another path"),
        ("no/out", "datasets", "{folder}/no: there is no such folder; create it, or choose another path"),
        ("full", "chat", "{folder}/full: is a folder; choose another path"),
        ("full", "datasets", "{folder}/full: already holds something; choose a new folder, or empty this one"),
        (
            "calls.jsonl",
            "datasets",
            "{folder}/calls.jsonl: already holds something; choose a new folder, or empty this one",
        ),
        ("calls.jsonl", "chat", "{folder}/calls.jsonl: is a recording and would be overwritten; choose another path"),
        ("calls.jsonl", "alpaca", "{folder}/calls.jsonl: is a recording and would be overwritten; choose another path"),
        ("out.json", "sharegpt", "{folder}/out.json: trainers read this as JSON lines; let the name end in .jsonl"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_and_nothing_changes(
    path: str, wanted: str, problem: str, tmp_path: Path
) -> None:
    """One sentence with the path and the next step; recordings and full folders stay as they are."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "README.md").write_text("mine", encoding="utf-8")
    (tmp_path / "calls.jsonl").write_text('{"call_id": "1"}\n', encoding="utf-8")

    with pytest.raises(ConfigurationError) as refused:
        export_examples([plain()], tmp_path / path, format=wanted)

    assert str(refused.value).replace(os.sep, "/") == problem.format(folder=tmp_path.as_posix())
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["README.md", "calls.jsonl", "full"]


@pytest.mark.parametrize("wanted", ["chat", "alpaca", "datasets"])
def test_what_the_disk_refuses_is_said_in_one_sentence(wanted: str, tmp_path: Path) -> None:
    """A name too long for the disk: the path, what the system says, and the next step."""
    target = tmp_path / ("x" * 300 + ".jsonl")

    with pytest.raises(ConfigurationError) as refused:
        export_examples([plain()], target, format=wanted)

    assert str(refused.value).startswith(f"{target}: cannot be written (")
    assert str(refused.value).endswith("); choose another path")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows makes links for administrators only")
def test_a_folder_that_cannot_be_put_in_its_place_leaves_nothing_behind(tmp_path: Path) -> None:
    """A link to an empty folder is not replaced, and what was written beside it is removed again."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigurationError) as refused:
        export_examples([plain()], tmp_path / "out", format="datasets")

    assert str(refused.value) == f"{tmp_path / 'out'}: cannot be written (Not a directory); choose another path"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["elsewhere", "out"]


def test_validation_and_facts_belong_to_a_dataset_folder(tmp_path: Path) -> None:
    """A format with one file has no place for them; they are not dropped in silence."""
    with pytest.raises(ConfigurationError) as refused:
        export_examples([plain()], tmp_path / "out.jsonl", format="chat", validation=[plain()])

    assert str(refused.value) == (
        "validation and facts belong to the format 'datasets', not to 'chat'; export a second file instead"
    )


def test_an_export_with_nothing_in_it_is_refused_with_every_reason(tmp_path: Path) -> None:
    """An empty file would fail later, in a trainer, without a reason."""
    tools = example(user("Rain?"), calls("{}"), tools=[WEATHER])
    with pytest.raises(ExamplesError) as empty:
        export_examples([], tmp_path / "out.jsonl", format="chat")
    with pytest.raises(ExamplesError) as refused:
        export_examples([tools, example(user("?")), tools], tmp_path / "out.jsonl", format="alpaca")

    assert str(empty.value) == "there are no examples to export"
    assert str(refused.value) == (
        "no example can be written in the format 'alpaca': it has tools (2 of 3); "
        "it does not end with an answer of the assistant (1 of 3); choose another format"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["pyarrow", "huggingface_hub"])
def test_a_missing_package_is_named_before_anything_is_written(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtraError) as missing:
        export_examples([plain()], tmp_path / "out", format="datasets")

    assert str(missing.value) == (
        f'exporting to Hugging Face datasets needs {package}: pip install "llama-index-ft-rag[datasets]"'
    )
    assert list(tmp_path.iterdir()) == []


IMPORTED = """
import sys, threading
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting import export_examples

one = TrainingExample(messages=[{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}])
export_examples([one], sys.argv[1] + "/out.jsonl", format="sharegpt")
print("pyarrow" in sys.modules)
export_examples([one], sys.argv[1] + "/out", format="datasets")
print("datasets" in sys.modules, threading.active_count())
"""


def test_a_dataset_folder_is_written_without_datasets_itself(tmp_path: Path) -> None:
    """An export changes no setting of that library, fills no cache and starts no thread; a file needs no Arrow."""
    pytest.importorskip("pyarrow")
    command = [sys.executable, "-c", IMPORTED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("False\nFalse 1\n", "")


NOT_ALTERNATING = {"its turns do not alternate between the user's side and the assistant's": 1}
REAL = [
    ("ftjsonl/cookbook_toy_chat_fine_tuning.jsonl", "sharegpt", 4, NOT_ALTERNATING),
    ("ftjsonl/cookbook_toy_chat_fine_tuning.jsonl", "alpaca", 4, NOT_ALTERNATING),
    ("ftjsonl/cookbook_toy_chat_fine_tuning.jsonl", "datasets", 5, {}),
    ("ftjsonl/foundry_gsm8k_chat_validation.jsonl", "sharegpt", 50, {}),
    ("ftjsonl/foundry_gsm8k_chat_validation.jsonl", "alpaca", 50, {}),
    ("ftjsonl/foundry_stock_toolcall_training.jsonl", "sharegpt", 86, {}),
    ("ftjsonl/foundry_stock_toolcall_training.jsonl", "datasets", 86, {}),
    ("ftjsonl/foundry_zava_rft_test_first12.jsonl", "datasets", 10, {}),
    ("ftjsonl/foundry_zava_rft_test_fixed_first12.jsonl", "chat", 10, {}),
    ("ftjsonl/pirate_training_set.jsonl", "sharegpt", 10, {}),
    ("ftjsonl/pirate_training_set.jsonl", "alpaca", 10, {}),
    ("ftjsonl/ruby_sarcastic.jsonl", "sharegpt", 10, {}),
    ("ftjsonl/ruby_sarcastic.jsonl", "datasets", 10, {}),
    ("post/llm-finetuning_finetuning_events.jsonl", "chat", 65, {}),
    ("post/llm-finetuning_finetuning_events.jsonl", "sharegpt", 65, {}),
    ("post/llm-finetuning_finetuning_events.jsonl", "alpaca", 65, {}),
    ("post/llm-finetuning_finetuning_events.jsonl", "datasets", 65, {}),
]


@needs_data
@pytest.mark.parametrize(("name", "wanted", "written", "left_out"), REAL)
def test_real_files_are_exported_row_by_row(
    name: str, wanted: str, written: int, left_out: dict[str, int], tmp_path: Path
) -> None:
    """Files of several authors: what is written and what is left out, and why."""
    examples = read_examples(Path(str(DATA)) / name)
    done = export_examples(examples, tmp_path / "out.jsonl", format=wanted)

    assert (done.written, Counter(missed.reason for missed in done.left_out)) == (written, left_out)


@needs_data
@pytest.mark.parametrize("wanted", ["sharegpt", "alpaca"])
def test_the_posts_training_file_reads_back_turn_by_turn(wanted: str, tmp_path: Path) -> None:
    """Answers and refine steps of the post, with and without a system message, in their order."""
    examples = read_examples(Path(str(DATA)) / "post/llm-finetuning_finetuning_events.jsonl")
    rows = exported(*examples, format=wanted, folder=tmp_path)
    read = {"sharegpt": read_sharegpt, "alpaca": read_alpaca}[wanted]

    assert [read(row) for row in rows] == [said_by(given.messages) for given in examples]


@needs_data
@pytest.mark.parametrize("name", ["foundry_stock_toolcall_training", "cookbook_toy_chat_fine_tuning"])
def test_real_files_load_as_datasets_with_the_same_messages(name: str, tmp_path: Path) -> None:
    """Calls of tools and long conversations come back as they are in the file."""
    examples = read_examples(Path(str(DATA)) / f"ftjsonl/{name}.jsonl")
    export_examples(examples, tmp_path / "out", format="datasets")
    rows = load(tmp_path / "out")["train"]

    assert [messages_of(row) for row in rows] == [given.messages for given in examples]
    assert [json.loads(row["tools"] or "null") for row in rows] == [given.tools for given in examples]
