from __future__ import annotations

import math
import sys
import tracemalloc

import pytest

from llama_index_ft_rag.comparison.paired import PairedDifference, adjust, not_comparable, paired_difference
from llama_index_ft_rag.errors import MissingExtraError


def difference(base: list[float], arm: list[float], *, metric: str = "faithfulness") -> PairedDifference:
    """Compare two lists of scores of the same questions."""
    return paired_difference(
        {f"q{n}": value for n, value in enumerate(base)},
        {f"q{n}": value for n, value in enumerate(arm)},
        metric=metric,
        base_arm="base",
        arm_name="tuned",
    )


def test_interval_and_p_are_those_of_the_textbook() -> None:
    """Student's sleep data of 1908, first drug: the interval that R's t.test prints, and p over all sign flips."""
    row = difference([0.0] * 10, [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])

    assert row.difference == pytest.approx(0.75)
    assert (row.low, row.high) == pytest.approx((-0.5297804, 2.0297804), abs=1e-7)
    assert row.p_value == pytest.approx(0.23828125)
    assert (row.n, row.wins, row.losses, row.ties) == (10, 5, 4, 1)
    assert row.verdict == "no difference shown"


def test_a_clear_gain_is_better_and_its_mirror_worse() -> None:
    """The verdict has the sign of the difference, and swapping the arms swaps it."""
    low, high = [0.1, 0.2, 0.3, 0.2, 0.1, 0.3, 0.2, 0.1], [0.8, 0.9, 0.7, 0.9, 1.0, 0.8, 0.9, 0.6]

    assert difference(low, high).verdict == "better"
    assert difference(high, low).verdict == "worse"


def test_only_questions_in_both_arms_count() -> None:
    """A question that one arm has no value for is left out of n and of the mean."""
    row = paired_difference(
        {"a": 0.0, "b": 0.5, "only base": 0.0},
        {"a": 1.0, "b": 0.5, "only tuned": 1.0},
        metric="faithfulness",
        base_arm="base",
        arm_name="tuned",
    )

    assert (row.n, row.difference, row.wins, row.ties) == (2, 0.5, 1, 1)


def test_identical_scores_show_no_difference() -> None:
    """Zero everywhere is a difference of exactly 0 with p = 1, not a division by zero."""
    row = difference([0.5, 0.7, 1.0], [0.5, 0.7, 1.0])

    assert row == PairedDifference(
        metric="faithfulness",
        base_arm="base",
        arm="tuned",
        n=3,
        difference=0.0,
        low=0.0,
        high=0.0,
        p_value=1.0,
        p_adjusted=1.0,
        wins=0,
        losses=0,
        ties=3,
        verdict="no difference shown",
        minimum_detectable=None,
        questions_needed=None,
    )


@pytest.mark.parametrize(("n", "verdict"), [(5, "no difference shown"), (6, "better")])
def test_equal_gains_are_believed_from_six_questions_on(n: int, verdict: str) -> None:
    """Where every question gains the same, the interval is a point, and the sign-flip p (2 / 2^n) decides."""
    row = difference([0.1] * n, [0.3] * n)

    assert (row.verdict, row.p_value) == (verdict, pytest.approx(2 / 2**n))
    assert row.low == row.high == pytest.approx(0.2)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([0.4], 1)])
def test_fewer_than_two_pairs_are_too_few(values: list[float], n: int) -> None:
    """No interval, no p and no verdict come out of one question or none."""
    row = difference(values, [1.0] * n)

    assert (row.n, row.low, row.high, row.p_value, row.verdict) == (n, None, None, None, "too few")


def test_one_question_that_differs_proves_nothing() -> None:
    """A single untied question has p = 1: its sign could as well have been the other one."""
    assert difference([0.0, 1.0, 1.0], [1.0, 1.0, 1.0]).p_value == 1.0


def test_many_questions_give_the_same_p_each_time() -> None:
    """Beyond what can be counted out, sign flips are drawn from a fixed seed."""
    base = [n % 7 / 7 for n in range(40)]
    arm = [n % 5 / 5 for n in range(40)]

    assert difference(base, arm) == difference(base, arm)


def test_the_smallest_detectable_difference_is_blooms() -> None:
    """(t.975 + t.80) * s / sqrt(n): for s = .3 and n = 40 that is .136."""
    row = difference([0.0] * 40, [0.3, -0.3] * 20)

    assert row.minimum_detectable == pytest.approx(0.1383, abs=5e-4)


def test_holm_multiplies_the_smallest_p_by_the_number_of_metrics() -> None:
    """Two metrics tested together: a p of .031 alone is .0625 with its neighbour, so no longer a difference."""
    gain = difference([0.1] * 6, [0.3] * 6)
    none = difference([0.1, 0.2, 0.3], [0.2, 0.1, 0.3], metric="answer_relevancy")
    adjusted = adjust([none, gain])

    assert [row.p_adjusted for row in adjusted] == [1.0, 0.0625]
    assert [row.verdict for row in adjusted] == ["no difference shown", "no difference shown"]


def test_without_scipy_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics come with the `ragas` extra."""
    monkeypatch.setitem(sys.modules, "scipy", None)

    with pytest.raises(MissingExtraError, match=r'needs scipy: pip install "llama-index-ft-rag\[ragas\]"'):
        difference([0.1, 0.2, 0.3], [0.3, 0.2, 0.6])


def test_scores_of_different_judges_are_not_compared() -> None:
    """Neither a number nor a verdict, and Holm's correction leaves it alone."""
    row = not_comparable(metric="faithfulness", base_arm="base", arm_name="tuned")

    assert (row.verdict, row.n, row.difference) == ("not comparable", 0, None)
    assert adjust([row]) == [row]


def test_many_questions_do_not_need_memory_without_end() -> None:
    """16,384 sign flips of 1,000 differences at once would take a gigabyte and more; they are drawn in batches."""
    tracemalloc.start()
    try:
        found = paired_difference(
            {f"q{n}": 0.0 for n in range(1_000)},
            {f"q{n}": math.sin(n) for n in range(1_000)},
            metric="m",
            base_arm="base",
            arm_name="tuned",
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found.verdict == "no difference shown"
    assert peak < 300_000_000
