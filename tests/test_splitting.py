"""Training and validation are parted so that nothing validated with was learnt, and always in the same way."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_index_ft_rag.curation import TIES, Split, find_leaks, split_examples
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample

EXACT = ("same_example", "same_query", "same_question", "same_source")
NAMES = ["ash", "birch", "cedar", "elm", "fir", "holly", "larch", "maple", "oak", "pine"]


def taught(name: str, **facts: Any) -> TrainingExample:
    """An example about something that no other one is about."""
    question = facts.pop("question", f"What grows on a {name}?")
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": f"A {name} has seeds."}]
    return TrainingExample(messages=messages, question=question, **facts)


ALONE = [taught(name) for name in NAMES]
STEEL = "The steel frame was rolled in the old works beside the river and painted green by hand last spring"


def said(question: str, answer: str) -> TrainingExample:
    """An example with this answer."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return TrainingExample(messages=messages)


SIBLINGS = {
    "same_example": (taught("yew", query_id="a"), taught("yew", query_id="b")),
    "same_query": (taught("yew", query_id="q"), taught("rowan", query_id="q")),
    "same_question": (taught("yew", question="Who plants it?"), taught("rowan", question="who plants it")),
    "near_question": (taught("yew", question="Who plants the trees?"), taught("rowan", question="Who plants trees?")),
    "near_example": (said("Say it.", STEEL), said("Say it.", f"{STEEL} again")),
    "same_source": (taught("yew", node_ids=["n1", "n2"]), taught("rowan", node_ids=["n2"])),
}


def sides(split: Split, *examples: TrainingExample) -> set[str]:
    """On which sides these examples are."""
    found = {"train" for example in examples if example in split.train}
    return found | {"validation" for example in examples if example in split.validation}


@pytest.mark.parametrize("tie", SIBLINGS)
def test_siblings_stay_together_by_each_tie(tie: Any) -> None:
    """Whatever the seed; without the tie they are parted sooner or later, unless they take the same turn anyway."""
    one, other = SIBLINGS[tie]
    given_examples = [one, *ALONE, other]

    splits = [split_examples(given_examples, validation=0.5, seed=seed, together=[tie]) for seed in range(20)]
    apart = [split_examples(given_examples, validation=0.5, seed=seed, together=[]) for seed in range(20)]

    assert {len(sides(split, one, other)) for split in splits} == {1}
    assert {len(split.validation) for split in splits} == {6}
    assert {frozenset(sides(split, one)) for split in splits} == {frozenset({"train"}), frozenset({"validation"})}
    assert any(len(sides(split, one, other)) == 2 for split in apart) == (tie != "same_example")


def test_siblings_of_siblings_stay_together() -> None:
    """A chain through a query, a node and a question is one group, though its ends have nothing in common."""
    chain = [
        taught("yew", query_id="q"),
        taught("rowan", query_id="q", node_ids=["n"]),
        taught("alder", node_ids=["n"], question="Who plants it?"),
        taught("willow", question="Who plants it?"),
    ]

    splits = [split_examples([*chain, *ALONE], validation=0.4, seed=seed) for seed in range(20)]

    assert {len(sides(split, *chain)) for split in splits} == {1}
    assert {(split.groups, split.largest_group) for split in splits} == {(11, 4)}
    assert all(split.leaks.ok for split in splits)


def test_the_order_is_kept_on_both_sides() -> None:
    """Each side has its examples as they came."""
    split = split_examples(ALONE, validation=0.3, seed=4)

    assert split.train == [example for example in ALONE if example in split.train]
    assert split.validation == [example for example in ALONE if example in split.validation]
    assert (len(split.train), len(split.validation)) == (7, 3)


def test_the_seed_decides_and_the_order_does_not() -> None:
    """Ten other orders give the same sides, ten other seeds several."""
    rng = random.Random(5)
    mixed = [*ALONE, *SIBLINGS["same_query"], *SIBLINGS["same_source"]]

    def validated(seed: int) -> frozenset[str]:
        given_examples = rng.sample(mixed, len(mixed))
        found = split_examples(given_examples, validation=0.3, seed=seed).validation
        return frozenset(example.content_hash for example in found)

    assert len({validated(7) for _ in range(10)}) == 1
    assert len({validated(seed) for seed in range(10)}) > 5


@pytest.mark.parametrize(
    ("share", "taken"),
    [(0.0001, 1), (0.1, 1), (0.19, 1), (0.2, 2), (0.29, 2), (0.3, 3), (0.7, 7), (0.95, 9), (0.999_999_999_999, 9)],
)
def test_the_share_is_approached_from_below(share: float, taken: int) -> None:
    """At least one is taken and at least one is left, of ten that belong to nobody."""
    split = split_examples(ALONE, validation=share)

    assert len(split.validation) == taken
    assert (split.notice, split.leaks.ok) == (None, True)


def test_a_group_that_does_not_fit_is_left_and_smaller_ones_taken() -> None:
    """Three of eleven are wanted: the group of five stays where it is, whatever the seed."""
    family = [taught(name, query_id="q") for name in NAMES[:5]]

    splits = [split_examples([*family, *ALONE[5:]], validation=0.3, seed=seed) for seed in range(10)]

    assert {len(split.validation) for split in splits} == {3}
    assert {frozenset(sides(split, *family)) for split in splits} == {frozenset({"train"})}


def one_source() -> list[TrainingExample]:
    """Ten examples, each with a node of the one before it."""
    return [taught(name, node_ids=[f"n{place}", f"n{place + 1}"]) for place, name in enumerate(NAMES)]


def test_what_cannot_be_parted_is_not_parted() -> None:
    """All are trained on, nothing leaks, and the notice says what to do."""
    split = split_examples(one_source(), validation=0.3)

    assert (split.train, split.validation) == (one_source(), [])
    assert (split.groups, split.largest_group, split.leaks.ok) == (1, 10, True)
    assert split.notice == (
        "0 instead of 3 examples to validate with: 10 of 10 belong together, most by same_source; without same_source "
        "in together= (--may-part same_source on the command line) more can be parted, and the leak report says at "
        "what cost"
    )


def test_parted_all_the_same_the_report_says_at_what_cost() -> None:
    """Each validation example that shares a node with a training example is counted."""
    together = [tie for tie in TIES if tie != "same_source"]
    split = split_examples(one_source(), validation=0.3, together=together)
    nodes = {node for example in split.train for node in example.node_ids}

    assert (len(split.train), len(split.validation), split.notice) == (7, 3, None)
    assert split.leaks.counts() == {"same_source": sum(not nodes.isdisjoint(e.node_ids) for e in split.validation)}
    assert split.leaks == find_leaks(split.train, split.validation)
    assert not split.leaks.ok


def test_a_notice_names_the_tie_that_holds_a_set_together() -> None:
    """One recording block around many questions makes them one query."""
    examples = [taught(name, query_id="q") for name in NAMES]

    assert split_examples(examples, validation=0.3, together=["same_query"]).notice == (
        "0 instead of 3 examples to validate with: 10 of 10 belong together, most by same_query; without same_query "
        "in together= (--may-part same_query on the command line) more can be parted, and the leak report says at "
        "what cost"
    )


@pytest.mark.parametrize(
    ("examples", "train", "validation", "notice"),
    [
        ([], 0, 0, None),
        (ALONE[:1], 1, 0, "a single example cannot be parted"),
        (ALONE[:2], 1, 1, None),
        (
            [ALONE[0], ALONE[0]],
            2,
            0,
            "0 instead of 1 examples to validate with: 2 of 2 belong together, most by same_example; without "
            "same_example in together= (--may-part same_example on the command line) more can be parted, and the leak "
            "report says at what cost",
        ),
    ],
)
def test_few_examples_are_parted_as_far_as_they_can_be(
    examples: list[TrainingExample], train: int, validation: int, notice: str | None
) -> None:
    """There is always something to train on, if there is anything."""
    split = split_examples(examples, validation=0.5)

    assert (len(split.train), len(split.validation), split.notice) == (train, validation, notice)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), True])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    """All or nothing is no split."""
    with pytest.raises(ConfigurationError) as caught:
        split_examples(ALONE, validation=share)

    assert str(caught.value) == f"validation is {share!r}; pass a share above 0 and below 1"


def test_other_arguments_that_are_none_are_refused() -> None:
    """Before anything is parted, with what can be passed."""
    with pytest.raises(
        ConfigurationError, match="together: there is no 'same_node'; it may name same_example, same_query"
    ):
        split_examples([], together=["same_node"])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="near_duplicates is 2; pass a similarity above 0 and at most 1"):
        split_examples([], near_duplicates=2)


def test_a_split_can_be_read() -> None:
    """As text, as markdown and as values of JSON, with its notice and its leaks."""
    split = split_examples(one_source(), validation=0.3)
    said_of_it = "10 to train on, 0 to validate with; 1 groups, the largest of 10"

    assert split.render() == (
        f"split: {said_of_it}\nnote: {split.notice}\nleaks: 0 of 0 held-out items are tied to one of 10 in training\n"
    )
    assert split.to_markdown() == (
        f"## Split\n\n{said_of_it}.\n\n> {split.notice}\n\n"
        "## Leaks\n\n0 of 0 held-out items are tied to one of 10 in training.\n"
    )
    assert split.to_dict() == {
        "train": 10, "validation": 0, "groups": 1, "largest_group": 10, "notice": split.notice,
        "leaks": {"train": 10, "held_out": 0, "counts": {}, "leaks": [], "notice": None},
    }  # fmt: skip


def test_a_split_without_a_notice_has_no_line_for_it() -> None:
    """Neither as text nor as markdown."""
    split = split_examples(ALONE, validation=0.3)

    assert split.render() == (
        "split: 7 to train on, 3 to validate with; 10 groups, the largest of 1\n"
        "leaks: 0 of 3 held-out items are tied to one of 7 in training\n"
    )
    assert split.to_markdown() == (
        "## Split\n\n7 to train on, 3 to validate with; 10 groups, the largest of 1.\n\n"
        "## Leaks\n\n0 of 3 held-out items are tied to one of 7 in training.\n"
    )


letters = st.sampled_from("abcdef")
examples_of_any_kin = st.lists(
    st.builds(
        lambda name, question, query, nodes: taught(name, question=question, query_id=query, node_ids=nodes),
        st.sampled_from(NAMES),
        st.sampled_from([f"Who plants the {name}?" for name in NAMES] + ["who plants the oak"]),
        st.none() | letters,
        st.lists(letters, max_size=2),
    ),
    max_size=25,
)


def have_in_common(one: TrainingExample, other: TrainingExample) -> set[str]:
    """The ties that need no search, done the long way."""
    ties = {
        "same_example": one.to_line() == other.to_line(),
        "same_query": one.query_id is not None and one.query_id == other.query_id,
        "same_question": str(one.question).strip("?").lower() == str(other.question).strip("?").lower(),
        "same_source": not set(one.node_ids).isdisjoint(other.node_ids),
    }
    return {tie for tie, holds in ties.items() if holds}


@settings(max_examples=150, deadline=None)
@given(
    examples_of_any_kin,
    st.sets(st.sampled_from(EXACT)),
    st.floats(0.01, 0.99),
    st.integers(),
    st.randoms(use_true_random=False),
)
def test_no_tie_goes_across(
    given_examples: list[TrainingExample], together: Any, share: float, seed: int, rng: random.Random
) -> None:
    """Both sides are what came in; nothing kept together is on both; another order gives the same sides."""
    split = split_examples(given_examples, validation=share, seed=seed, together=together)
    shuffled = rng.sample(given_examples, len(given_examples))
    again = split_examples(shuffled, validation=share, seed=seed, together=together)

    def counted(examples: list[TrainingExample]) -> Counter[str]:
        return Counter(example.model_dump_json() for example in examples)

    assert counted(split.train) + counted(split.validation) == counted(given_examples)
    assert len(split.validation) <= max(1, share * len(given_examples))
    assert split.train or not given_examples
    for one in split.train:
        for other in split.validation:
            assert not have_in_common(one, other) & together
    assert Counter(e.content_hash for e in again.train) == Counter(e.content_hash for e in split.train)


@settings(max_examples=100, deadline=None)
@given(examples_of_any_kin, st.floats(0.01, 0.99), st.integers())
def test_the_leak_report_counts_what_each_with_each_finds(
    given_examples: list[TrainingExample], share: float, seed: int
) -> None:
    """Of what was not kept together, every validation example that is tied to a training example is counted."""
    split = split_examples(given_examples, validation=share, seed=seed, together=[])

    leaking = {
        (tie, place)
        for place, other in enumerate(split.validation)
        for one in split.train
        for tie in have_in_common(one, other)
    }
    assert {(leak.tie, leak.held_out) for leak in split.leaks.leaks if leak.tie in EXACT} == leaking


def test_groups_are_those_that_each_with_each_gives() -> None:
    """As many groups, and as large, as walking from one example to the next finds among fifty."""
    rng = random.Random(3)
    examples = [
        taught(f"{one}{other}", query_id=str(rng.randrange(30)), node_ids=[str(rng.randrange(40))])
        for one, other in rng.sample(list(permutations(NAMES, 2)), 50)
    ]
    reached = {place: {place} for place in range(50)}
    for one, other in combinations(range(50), 2):
        if have_in_common(examples[one], examples[other]) and reached[one] is not reached[other]:
            reached[one] |= reached[other]
            for place in reached[other]:
                reached[place] = reached[one]

    split = split_examples(examples, validation=0.2)

    groups = {id(group): group for group in reached.values()}
    assert split.groups == len(groups)
    assert split.largest_group == max(map(len, groups.values()))


def test_a_crowd_of_look_alikes_stays_together() -> None:
    """Many near copies of one text, each with other words changed, are one group."""
    words = [f"word{chr(97 + place % 26)}{chr(97 + place // 26)}" for place in range(150)]
    crowd = []
    for place in range(400):
        changed = list(words)
        changed[place % 150], changed[(7 * place + 3) % 150] = f"x{chr(97 + place % 26)}", f"y{chr(97 + place // 26)}"
        messages = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": " ".join(changed)}]
        crowd.append(TrainingExample(messages=messages))

    split = split_examples(crowd, validation=0.3, together=["near_example"])

    assert find_leaks(split.train, split.validation, ties=["near_example"]).ok
    assert split.leaks.counts().get("near_example") is None
