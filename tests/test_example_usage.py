from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llama_index_ft_rag.example_tokens import count_example_tokens
from llama_index_ft_rag.example_usage import ExampleUsage, example_usage

QUESTION = {"role": "user", "content": "Which valves were replaced?"}
ANSWER = {"role": "assistant", "content": "Two of them."}
PROMPT_TOKENS = 3 + 3 + 1 + 5
ANSWER_TOKENS = 4


def write(folder: Path, *rows: Any) -> Path:
    """A file of these lines."""
    path = folder / "examples.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_prompt_and_answer_are_counted_apart(tmp_path: Path) -> None:
    """The question with the frame around it goes in, the words of the answer come out."""
    path = write(tmp_path, {"messages": [QUESTION, ANSWER]})

    assert example_usage(path, model="gpt-4.1") == ExampleUsage(
        prompt_tokens=PROMPT_TOKENS, completion_tokens=ANSWER_TOKENS, examples=1
    )


def test_the_last_answer_is_the_one_that_comes_out(tmp_path: Path) -> None:
    """Earlier turns and tools are sent again; what follows the last answer is not."""
    tools = [{"type": "function", "function": {"name": "valves"}}]
    path = write(tmp_path, {"messages": [QUESTION, ANSWER, QUESTION, ANSWER, QUESTION], "tools": tools})
    sent = {"messages": [QUESTION, ANSWER, QUESTION], "tools": tools}

    assert example_usage(path, model="gpt-4.1") == ExampleUsage(
        prompt_tokens=count_example_tokens(sent, model="gpt-4.1").tokens, completion_tokens=ANSWER_TOKENS, examples=1
    )


def test_of_a_preference_pair_the_preferred_answer_counts(tmp_path: Path) -> None:
    """It is the one a tuned model should give."""
    pair = {
        "input": {"messages": [QUESTION]},
        "preferred_output": [ANSWER],
        "non_preferred_output": [{"role": "assistant", "content": "I would rather not say anything about that."}],
    }

    assert example_usage(write(tmp_path, pair), model="gpt-4.1") == ExampleUsage(
        prompt_tokens=PROMPT_TOKENS, completion_tokens=ANSWER_TOKENS, examples=1
    )


def test_a_call_of_a_tool_is_an_answer(tmp_path: Path) -> None:
    """An answer without content still has tokens, those of its calls."""
    call = {"id": "c", "type": "function", "function": {"name": "valves", "arguments": "{}"}}
    path = write(tmp_path, {"messages": [QUESTION, {"role": "assistant", "tool_calls": [call]}]})

    usage = example_usage(path, model="gpt-4.1")

    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens > ANSWER_TOKENS) == (PROMPT_TOKENS, True)


def test_only_the_first_examples_are_looked_at(tmp_path: Path) -> None:
    """A mean needs no more, and a file may be large."""
    longer = {"messages": [QUESTION, QUESTION, ANSWER]}
    path = write(tmp_path, {"messages": [QUESTION, ANSWER]}, {"messages": [QUESTION, ANSWER]}, longer)

    assert example_usage(path, model="gpt-4.1", most=2) == ExampleUsage(
        prompt_tokens=PROMPT_TOKENS, completion_tokens=ANSWER_TOKENS, examples=2
    )


@pytest.mark.parametrize(
    "row",
    [
        "{",
        "[1]",
        "",
        "[" * 100_000,
        {"messages": None},
        {"messages": [QUESTION]},
        {"messages": [None, 3]},
        {"prompt": "a", "completion": "b"},
        {"input": {"messages": [QUESTION]}, "preferred_output": "yes"},
    ],
)
def test_lines_without_an_answer_are_passed_over(tmp_path: Path, row: Any) -> None:
    """Whatever stands in a file, counting does not fail; with nothing to count there is no number."""
    assert example_usage(write(tmp_path, row), model="gpt-4.1") is None
    assert example_usage(write(tmp_path, row, {"messages": [QUESTION, ANSWER]}), model="gpt-4.1") == ExampleUsage(
        prompt_tokens=PROMPT_TOKENS, completion_tokens=ANSWER_TOKENS, examples=1
    )


def test_a_file_that_is_gone_has_no_usage(tmp_path: Path) -> None:
    """An estimate goes on without it."""
    assert example_usage(tmp_path / "gone.jsonl", model="gpt-4.1") is None
