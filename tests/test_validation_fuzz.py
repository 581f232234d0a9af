from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llama_index_ft_rag.example_tokens import count_example_tokens
from llama_index_ft_rag.training_format import check_line
from llama_index_ft_rag.validation import validate_file

LINES = 100_000
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
QUESTION = {"role": "user", "content": [{"type": "text", "text": "Grüße, 水表?"}, IMAGE]}
ANSWER = {"role": "assistant", "content": "Four.", "weight": 1, "name": "bot"}
VALID: list[dict[str, Any]] = [
    {"messages": [{"role": "system", "content": "Be brief."}, QUESTION, ANSWER]},
    {"messages": [QUESTION, {"role": "assistant", "tool_calls": [CALL]}], "tools": [CALL], "parallel_tool_calls": True},
    {"input": {"messages": [{"role": "user", "content": "Why?"}]}, "preferred_output": [ANSWER],
     "non_preferred_output": [{"role": "assistant", "content": None, "refusal": "No."}]},
]  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, -1, 2**70, 0.5, "", " ", "assistant", "\ud800", "<|im_start|>", "\x00\x1b[31m", [], {}, [[]], [None],
    {"type": []}, {"role": {}}, CALL, IMAGE, QUESTION,
]  # fmt: skip
BYTES = (b"\xff", b"\x00", b'"', b"{", b"]", b"\\", b"\\ud83d", b"\r", b"1e999", b"NaN", b"\xef\xbb\xbf", b"[" * 3000)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "function", "name", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
rows = st.dictionaries(
    st.sampled_from(["messages", "tools", "functions", "input", "preferred_output", "non_preferred_output", "x"]),
    json_values | st.lists(st.dictionaries(st.sampled_from(list(ANSWER)), json_values), max_size=3),
)


def holders(value: Any) -> Iterator[Any]:
    """Every object and list inside a value, itself first."""
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from holders(inner)


def mutated(chance: random.Random) -> bytes:
    """A valid line in which one place is something else, or some bytes are."""
    row = json.loads(chance.choice(TEXTS))
    place = chance.choice([holder for holder in holders(row) if holder])
    key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
    action = chance.randrange(4)
    if action == 0:
        del place[key]
    elif action < 3:
        place[key] = chance.choice(VALUES)
    raw = json.dumps(row, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if action == 3:
        cut = chance.randrange(len(raw))
        raw = raw[:cut] + chance.choice(BYTES) + raw[cut + chance.randrange(3) :]
    return raw


TEXTS = [json.dumps(row) for row in VALID]


def test_a_hundred_thousand_broken_lines_crash_nothing(tmp_path: Path) -> None:
    """Every line that is not blank is counted as one; what is broken is reported with its place in the file."""
    chance = random.Random(0)
    path = tmp_path / "broken.jsonl"
    with path.open("wb") as stream:
        stream.writelines(mutated(chance) + b"\n" for _ in range(LINES))

    report = validate_file(path, model="gpt-4.1")

    assert report.examples + report.problem_counts["warning"].get("blank_line", 0) == LINES
    assert len(report.example_tokens) == LINES
    assert sum(report.example_tokens) == report.tokens
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
    assert max(map(len, report.render().splitlines()[1:])) <= 80


def test_each_broken_line_is_an_example_or_has_an_error() -> None:
    """None is passed over without a word."""
    chance = random.Random(1)
    silent = []
    for number in range(5_000):
        raw = mutated(chance)
        checked = check_line(raw, number=number)
        if checked.example is None and not any(problem.severity == "error" for problem in checked.problems):
            silent.append(raw)

    assert silent == []


@settings(max_examples=300, deadline=None)
@given(rows | json_values)
def test_no_json_value_crashes_the_check_or_the_count(value: Any) -> None:
    """Whatever JSON a line is, it is an example with a number of tokens, or it has an error."""
    checked = check_line(json.dumps(value).encode(), number=1)

    assert checked.example is not None or any(problem.severity == "error" for problem in checked.problems)
    assert checked.example is None or count_example_tokens(checked.example, model="gpt-4.1").tokens >= 3


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_crash_the_check(raw: bytes) -> None:
    """What is no JSON object is refused."""
    assert any(problem.severity == "error" for problem in check_line(raw, number=1).problems)
