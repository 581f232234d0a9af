from __future__ import annotations

from typing import Any

import pytest

from llama_index_ft_rag.curation import curate
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample

DECLINED = "The context does not provide information on this."


def example(question: str, answer: Any, *, finish_reason: str | None = "stop", **fields: Any) -> TrainingExample:
    """One question and its answer, finished unless said otherwise."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer, **fields}]
    return TrainingExample(messages=messages, finish_reason=finish_reason)


def test_good_examples_are_kept_in_order() -> None:
    """Nothing happens to examples without fault."""
    examples = [example("a", "1"), example("b", "2"), example("a", "3")]

    result = curate(examples)

    assert (result.kept, result.dropped) == (examples, [])


def test_each_drop_says_all_its_reasons() -> None:
    """A duplicate that is cut off as well says both, and the counts add up."""
    good, empty, declined = example("a", "1"), example("b", " "), example("c", DECLINED)
    short = example("d", "The sum is", finish_reason="length")

    result = curate([good, empty, declined, short, short])

    assert result.kept == [good]
    assert [(drop.example, drop.rules) for drop in result.dropped] == [
        (empty, ("empty_answer",)),
        (declined, ("abstention",)),
        (short, ("cut_off",)),
        (short, ("cut_off", "duplicate")),
    ]
    assert result.counts() == {
        "kept": 1, "dropped": 4, "abstention": 1, "cut_off": 2, "duplicate": 1, "empty_answer": 1,
    }  # fmt: skip


def test_only_the_first_of_equal_examples_is_kept() -> None:
    """Who asked, when and how fast makes no other example; the messages and tools do."""
    first = example("a", "1")
    again = first.model_copy(update={"query_id": "q2", "latency_s": 3.0})

    result = curate([first, again, example("a", "2")])

    assert result.kept == [first, example("a", "2")]
    assert [(drop.example, drop.rules) for drop in result.dropped] == [(again, ("duplicate",))]


@pytest.mark.parametrize(
    ("answer", "fields", "kept"),
    [
        (None, {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, True),
        (None, {"function_call": {"name": "f"}}, True),
        (None, {}, False),
        ([{"type": "text", "text": "Yes."}], {}, True),
        ([{"type": "text", "text": DECLINED}], {}, False),
    ],
)
def test_a_call_of_a_tool_is_an_answer(answer: Any, fields: dict[str, Any], *, kept: bool) -> None:
    """An answer may be text, parts of text or a tool call; without any of them it is empty."""
    assert bool(curate([example("a", answer, **fields)]).kept) is kept


def test_an_example_without_an_answer_is_empty() -> None:
    """A call that never came back is not trained on."""
    unanswered = TrainingExample(messages=[{"role": "user", "content": "a"}])
    blank = TrainingExample(messages=[])

    assert [drop.rules for drop in curate([unanswered, blank]).dropped] == [("empty_answer",), ("empty_answer",)]


def test_a_filtered_answer_is_cut_off() -> None:
    """An answer that the provider stopped is as unfinished as one that ran out of tokens."""
    assert curate([example("a", "It", finish_reason="content_filter")]).dropped[0].rules == ("cut_off",)


def test_a_share_of_the_abstentions_can_be_kept() -> None:
    """Half of what is kept may be refusals: two beside two others, the same two whatever the order, in place."""
    declined = [example(f"q{number}", DECLINED) for number in range(8)]
    mixed = [example("a", "1"), *declined, example("b", "2")]

    result = curate(mixed, keep_abstentions=0.5, seed=7)
    turned = curate(mixed[::-1], keep_abstentions=0.5, seed=7)

    assert (len(result.kept), len(result.dropped), result.kept_abstentions) == (4, 6, 2)
    assert result.kept == [one for one in mixed if one in result.kept] == turned.kept[::-1]
    assert curate(mixed, keep_abstentions=0.5, seed=8).kept != result.kept


def test_abstentions_with_another_fault_are_never_kept() -> None:
    """Keeping all abstentions keeps no duplicate and no torn one."""
    one, torn = example("a", DECLINED), example("b", DECLINED, finish_reason="length")

    result = curate([one, one, torn], keep_abstentions=1.0)

    assert result.kept == [one]
    assert [drop.rules for drop in result.dropped] == [("abstention", "duplicate"), ("cut_off", "abstention")]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    """A wrong share says what is expected."""
    with pytest.raises(ConfigurationError, match=r"pass a number from 0 to 1"):
        curate([], keep_abstentions=share)
