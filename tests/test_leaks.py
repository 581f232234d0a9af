"""What held-out examples and questions have in common with what is trained on, and what they have not."""

from __future__ import annotations

import os
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from curated import answered
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_index_ft_rag.curation import TIES, Leak, LeakReport, find_leaks, read_lines
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.questions import Question, read_questions

needs_data = pytest.mark.skipif(
    "FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder"
)
PROMPT = (
    "Context information is below.\n---------------------\n{context}\n---------------------\n"
    "Given the context information and not prior knowledge, answer the query.\nQuery: {question}\nAnswer: "
)


def asked(text: str, **facts: Any) -> Question:
    """A question to evaluate with."""
    return Question.make(text, split="eval", **facts)


def taught(question: str, answer: str = "Yes.", *, context: str | None = None, **facts: Any) -> TrainingExample:
    """An example that asks this, in a prompt of LlamaIndex's if there is a context."""
    text = question if context is None else PROMPT.format(context=context, question=question)
    return TrainingExample(
        messages=[{"role": "user", "content": text}, {"role": "assistant", "content": answer}],
        question=question if context is None else None,
        **facts,
    )


def ties_of(train: Any, held_out: Any, **settings: Any) -> list[str]:
    """What ties a single item to a single other one."""
    return [leak.tie for leak in find_leaks([train], [held_out], **settings).leaks]


SAID = "The steel frame was rolled in the old works beside the river and painted green by hand last spring"


@pytest.mark.parametrize(
    ("train", "held_out", "ties"),
    [
        (taught("Who?", "Ana."), taught("Where?", "Rome."), []),
        (taught("Who?"), taught("Who?"), ["same_example", "same_question"]),
        (taught("Who?", query_id="q"), taught("Where?", query_id="q"), ["same_query"]),
        (taught("Who leads it?"), taught("who LEADS it", "No."), ["same_question"]),
        (taught("Who?", node_ids=["a", "b"]), taught("Where?", node_ids=["b", "c"]), ["same_source"]),
        (taught("Who?", node_ids=["a"]), taught("Where?", node_ids=[]), []),
        (taught("Who?", context="Ana."), taught("Where?", context="Ana."), ["same_source"]),
        (taught("Who?", context="Ana."), taught("Where?", context="Ana. Bo."), []),
        (taught("Who?", context=" "), taught("Where?", context=" "), []),
        (taught("Why?", SAID), taught("Why?", f"{SAID}."), ["same_question", "near_example"]),
        (taught("Why?", SAID), taught("Why?", f"{SAID} 2"), ["same_question"]),
        (taught("Who leads it?"), asked("Who leads it?"), ["same_question"]),
        (taught("Who leads it?", context="Ana."), asked("Who leads it?"), ["same_question"]),
        (taught("Who leads the whole house?"), asked("Who is leading the whole house?"), ["near_question"]),
        (taught("Who?", node_ids=["a"]), asked("Where?", node_id="a"), ["same_source"]),
        (taught("Who?", node_ids=["a"]), asked("Where?"), []),
        (asked("Who?", node_id="a"), asked("Where?", node_id="a"), ["same_source"]),
        (asked("Who?"), asked("?"), []),
        (taught("", SAID), asked(""), []),
    ],
)
def test_what_ties_two_items(train: Any, held_out: Any, ties: list[str]) -> None:
    """Each tie is found where it is, and none where it is not; examples and questions go together."""
    assert ties_of(train, held_out) == ties
    assert ties_of(held_out, train) == ties


NEAR = [
    ("Can a holder defer the payment of a cash award?", "Can a holder elect to defer the payment of a cash award?"),
    ("What restrictions can the board impose on the award?", "Can the board impose restrictions on the award?"),
    ("What happens if a contract terminates due to fire?", "What happens if a contract is terminated due to fire?"),
    ("How could third parties affect demand for products?", "How could third parties affect product demand?"),
    ("What is the tallest building in the town?", "What's the tallest building in the town?"),
    ("What policies apply to the lease in 2022?", "Which policy applies to the lease in 2022?"),
    ("公司的研发费用是多少？", "公司的研发费用为多少？"),
    ("请问公司在哪些国家有工厂？", "公司在哪些国家有工厂呢？"),
]
OTHERS = [
    ("What is a stock award and how is it granted?", "What is a cash award and how is it granted?"),
    ("What risks come from overestimating the demand?", "What risks come from underestimating the demand?"),
    ("How is basic income per share computed?", "How is diluted income per share computed?"),
    ("What was the revenue of the group in 2021?", "What was the revenue of the group in 2022?"),
    ("What was the price of a share of Ash Mining?", "What was the price of a share of Oak Mining?"),
    ("When was the first factory of the group opened in Rome?", "Where was the first factory of the group opened?"),
    ("When was the first factory opened in Rome?", "Why was the first factory opened in Rome?"),
    ("Which costs are included in the total of the segment?", "Which costs are not included in the total of it?"),
    ("Which costs are included in the segment total?", "Which costs aren't included in the segment total?"),
    ("What is the largest lake?", "What is the largest lake in the north of Italy by its volume of water?"),
    ("公司的研发费用是多少？", "公司的销售费用是多少？"),
    ("哪些费用计入总额？", "哪些费用不计入总额？"),
]


@pytest.mark.parametrize(("one", "other"), NEAR)
def test_a_question_in_other_words_is_nearly_the_same(one: str, other: str) -> None:
    """Function words, endings, the order of the words, or a word more do not make it another question."""
    assert ties_of(asked(one), asked(other)) == ["near_question"]
    assert ties_of(asked(other), asked(one)) == ["near_question"]


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_a_question_about_something_else_is_not_nearly_the_same(one: str, other: str) -> None:
    """One word in the place of another, another number, or a `not` asks something else in the same wording."""
    assert ties_of(asked(one), asked(other)) == []
    assert ties_of(asked(other), asked(one)) == []


def test_where_only_near_ones_are_looked_for_the_same_are_near() -> None:
    """Nothing falls between two ties because only one of them was asked for."""
    assert ties_of(taught("Who?"), taught("who", "No."), ties=["near_question"]) == ["near_question"]
    assert ties_of(taught("Who?"), taught("Who?"), ties=["near_example"]) == ["near_example"]
    assert ties_of(taught("Who?"), taught("Who?"), ties=["near_question", "same_example"]) == [
        "same_example",
        "near_question",
    ]


def test_a_report_names_for_each_held_out_item_the_first_training_item() -> None:
    """Its places are those in the lists that were given; what leaks twice is named once for each tie."""
    train = [taught("Who?", node_ids=["a"]), taught("Where?", node_ids=["a"]), taught("Where?", "Rome.")]
    held_out = [asked("When?"), asked("where?", node_id="a")]

    assert find_leaks(train, held_out) == LeakReport(
        train=3,
        held_out=2,
        leaks=(Leak(tie="same_question", train=1, held_out=1), Leak(tie="same_source", train=0, held_out=1)),
        questions={1: "where?"},
    )


def test_the_same_wording_on_both_sides_hides_no_near_one() -> None:
    """A held-out question that is trained on may be near another training question as well."""
    train = [asked("How is the award paid?"), asked("How is the award paid out?")]
    held_out = [asked("How is the award paid?"), asked("How is the award being paid?")]

    assert find_leaks(train, held_out).leaks == (
        Leak(tie="same_question", train=0, held_out=0),
        Leak(tie="near_question", train=1, held_out=0),
        Leak(tie="near_question", train=0, held_out=1),
    )


def test_only_the_ties_that_are_asked_for_are_looked_for() -> None:
    """All others are left alone."""
    one = taught("Who?", query_id="q", node_ids=["a"])

    assert [leak.tie for leak in find_leaks([one], [one], ties=["same_source", "same_query"]).leaks] == [
        "same_query",
        "same_source",
    ]
    assert find_leaks([one], [one], ties=[]).ok


def test_the_callers_own_prompts_are_read() -> None:
    """Without their template neither question nor context is known."""
    template = "Read {context_str} and say: {query_str} Now!"
    train = TrainingExample(messages=[{"role": "user", "content": "Read Ana did. and say: Who? Now!"}])

    assert ties_of(train, asked("who")) == []
    assert ties_of(train, asked("who"), templates=[template]) == ["same_question"]


@pytest.mark.parametrize("similarity", [0, -0.5, 1.5, float("nan")])
def test_a_similarity_that_is_none_is_refused(similarity: float) -> None:
    """It is named with what to pass."""
    with pytest.raises(ConfigurationError) as caught:
        find_leaks([], [], near_duplicates=similarity)

    assert str(caught.value) == f"near_duplicates is {similarity!r}; pass a similarity above 0 and at most 1"


def test_a_tie_that_is_none_is_refused() -> None:
    """The others are listed."""
    with pytest.raises(ConfigurationError) as caught:
        find_leaks([], [], ties=["same_node"])  # type: ignore[list-item]

    assert str(caught.value) == f"ties: there is no 'same_node'; it may name {', '.join(TIES)}"


TRAIN = [taught("Who leads it?", node_ids=["a"]), taught("Where is it?")]
HELD_OUT = [asked("who leads it", node_id="a"), asked("Why?"), asked("Where | is *it*\x1b[m", node_id="b")]


def test_a_report_can_be_read() -> None:
    """It says how many leak, by what, and which for example; what questions say moves no cursor."""
    assert find_leaks(TRAIN, HELD_OUT).render() == (
        "leaks: 2 of 3 held-out items are tied to one of 2 in training\n"
        "      1  the same question\n"
        "      1  nearly the same question\n"
        "      1  the same retrieved node or context\n"
        "  such as 'who leads it' (same_question, same_source)\n"
        "  such as 'Where | is *it*\ufffd[m' (near_question)\n"
    )


def test_a_report_can_stand_in_a_pull_request() -> None:
    """As a table, with questions in which no markdown works."""
    assert find_leaks(TRAIN, HELD_OUT).to_markdown() == (
        "## Leaks\n\n2 of 3 held-out items are tied to one of 2 in training.\n\n"
        "| tie | held-out items |\n|---|---:|\n| the same question | 1 |\n| nearly the same question | 1 |\n"
        "| the same retrieved node or context | 1 |\n\n"
        "- who leads it\n- Where &#124; is &#42;it&#42;\ufffd&#91;m\n"
    )


def test_a_report_can_be_stored() -> None:
    """As values of JSON, with every leak."""
    assert find_leaks(TRAIN, HELD_OUT).to_dict() == {
        "train": 2,
        "held_out": 3,
        "counts": {"same_question": 1, "near_question": 1, "same_source": 1},
        "leaks": [
            {"tie": "same_question", "train": 0, "held_out": 0},
            {"tie": "same_source", "train": 0, "held_out": 0},
            {"tie": "near_question", "train": 1, "held_out": 2},
        ],
        "notice": None,
    }


def test_a_report_without_leaks_says_so() -> None:
    """Nothing is left to show."""
    report = find_leaks(TRAIN, [asked("Why?")])

    assert report.ok
    assert report.render() == "leaks: 0 of 1 held-out items are tied to one of 2 in training\n"
    assert report.to_markdown() == "## Leaks\n\n0 of 1 held-out items are tied to one of 2 in training.\n"


def one_by_one(train: list[Any], held_out: list[Any]) -> set[tuple[str, int, int]]:
    """What ties each held-out item to the first training item, with each pair looked at alone."""
    found: dict[tuple[str, int], int] = {}
    for (place, left), (other, right) in product(enumerate(train), enumerate(held_out)):
        for tie in ties_of(left, right):
            found.setdefault((tie, other), place)
    return {(tie, place, other) for (tie, other), place in found.items()}


VOCABULARY = "who how the is not paid award awards cash stock share 2021 2022 granted"
words = st.sampled_from(VOCABULARY.split())
questions = st.lists(st.lists(words, max_size=7).map(" ".join).map(asked), max_size=8)


@settings(max_examples=200, deadline=None)
@given(questions, questions)
def test_no_question_is_overlooked_among_others(train: list[Question], held_out: list[Question]) -> None:
    """All together give what each pair gives alone."""
    found = {(leak.tie, leak.train, leak.held_out) for leak in find_leaks(train, held_out).leaks}

    assert found == one_by_one(train, held_out)


def said_nearly_the_same(left: TrainingExample, right: TrainingExample, least: float) -> bool:
    """Jaccard similarity of word 3-grams, of question with answer and of everything, done the long way."""

    def similarity(one: str, other: str) -> float:
        sets = []
        for text in (one, other):
            parts = re.findall(r"\w+", text)
            sets.append({tuple(parts[at : at + 3]) for at in range(len(parts) - 2)})
        return len(sets[0] & sets[1]) / len(sets[0] | sets[1])

    own = [f"{example.question}\n{example.answer}" for example in (left, right)]
    everything = ["\n".join(m["content"] for m in example.messages) for example in (left, right)]
    return min(similarity(*own), similarity(*everything)) >= least


def changed(rng: Any, text: str, changes: int) -> str:
    """A text with some of its words replaced."""
    parts = text.split()
    for _ in range(changes):
        parts[rng.randrange(len(parts))] = rng.choice("abcdefghij") * 3
    return " ".join(parts)


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([0.5, 0.7, 0.9, 1.0]))
def test_near_examples_are_those_that_comparing_each_with_each_finds(rng: Any, least: float) -> None:
    """None is missed and none made up, whatever the similarity and however many there are of a kind."""
    kinds = [" ".join(rng.choices([f"word{letter}" for letter in "abcdefghijklmnop"], k=40)) for _ in range(3)]
    made = [
        taught(
            changed(rng, "who paid the award to the holders", rng.randrange(2)), changed(rng, kind, rng.randrange(4))
        )
        for kind in kinds * 8
    ]
    train, held_out = made[::2], made[1::2]

    found = find_leaks(train, held_out, ties=["near_example"], near_duplicates=least).leaks

    expected: dict[int, int] = {}
    for (place, left), (other, right) in product(enumerate(train), enumerate(held_out)):
        if said_nearly_the_same(left, right, least):
            expected.setdefault(other, place)
    assert {leak.held_out: leak.train for leak in found} == expected


def test_a_leak_in_a_crowd_of_one_pattern_is_found() -> None:
    """A thousand questions that differ in a name are a thousand questions; the one that is asked again is found."""
    names = [f"{first}{last}" for first in "bdfgklmnprst" for last in ("ana", "elo", "iru", "oma", "uxi")]
    train = [
        asked(f"What was the total revenue of the {one} and {other} company in the last fiscal year?")
        for one, other in product(names, names)
        if one < other
    ]
    again = asked(f"What was {train[1500].text.removeprefix('What was ').removesuffix('?')} then?")

    assert find_leaks(train, [again]).leaks == (Leak(tie="near_question", train=1500, held_out=0),)


POST = ("llm-finetuning_train_questions", "llm-finetuning_eval_questions")
RUN = ("train_questions_notebook_run_40", "eval_questions_notebook_run_40")


def questions_of(name: str) -> list[Question]:
    """The questions of one of the post's files."""
    return read_questions(Path(os.environ["FT_RAG_TEST_DATA"]) / "post" / f"{name}.txt")


@needs_data
@pytest.mark.parametrize(
    ("train", "held_out", "counts"),
    [
        (*POST, {}),
        (*RUN, {}),
        (POST[0], RUN[1], {}),
        (RUN[0], POST[1], {}),
        (POST[0], RUN[0], {"same_question": 12, "near_question": 3}),
        (POST[1], RUN[1], {"same_question": 19, "near_question": 8}),
    ],
)
def test_the_questions_of_the_post_were_parted_well(train: str, held_out: str, counts: dict[str, int]) -> None:
    """No evaluation question is a training question; those of its two runs are often the same or reworded."""
    assert find_leaks(questions_of(train), questions_of(held_out)).counts() == counts


@needs_data
def test_the_training_file_of_the_post_holds_its_own_questions() -> None:
    """All 40, by the question in the prompt, and none of those it is evaluated with."""
    path = Path(os.environ["FT_RAG_TEST_DATA"]) / "post" / "llm-finetuning_finetuning_events.jsonl"
    examples = read_lines(path).examples

    assert find_leaks(examples, questions_of(POST[0])).counts() == {"same_question": 40}
    assert find_leaks(examples, questions_of(POST[1])).counts() == {}
    assert find_leaks(examples, questions_of(RUN[0])).counts() == {"same_question": 12, "near_question": 3}


@needs_data
def test_the_rewordings_of_the_post_are_those_a_reader_finds() -> None:
    """Between its two runs, by line numbers from 0: each asks the same in other words."""
    pairs = {
        names: [(leak.train, leak.held_out) for leak in find_leaks(*map(questions_of, names)).leaks
                if leak.tie == "near_question"]
        for names in ((POST[0], RUN[0]), (RUN[1], POST[1]))
    }  # fmt: skip

    assert list(pairs.values()) == [
        [(3, 3), (21, 21), (33, 33)],
        [(5, 5), (21, 24), (24, 26), (25, 27), (28, 29), (30, 30), (35, 32), (38, 35)],
    ]


def test_the_same_context_is_one_source_with_and_without_node_ids() -> None:
    """A file that knows no nodes leaks into one that does, and an index that was made again into the old one."""
    examples = [answered("Who?", "Ana.", context="The same passage.", node_ids=nodes) for nodes in ([], ["n1"], ["n2"])]

    assert find_leaks(examples[:1], examples[1:], ties=["same_source"]).counts() == {"same_source": 2}
