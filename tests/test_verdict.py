from __future__ import annotations

from dataclasses import replace

import pytest

from llama_index_ft_rag.comparison.money import ArmMoney
from llama_index_ft_rag.comparison.paired import PairedDifference
from llama_index_ft_rag.comparison.verdict import cost_clause, dollars, interval, outcome, signed, verdict_sentence
from llama_index_ft_rag.examples import Usage

BETTER = PairedDifference(
    metric="faithfulness",
    base_arm="base",
    arm="tuned",
    n=40,
    difference=0.1,
    low=0.02,
    high=0.18,
    p_value=0.01,
    p_adjusted=0.02,
    wins=20,
    losses=5,
    ties=15,
    verdict="better",
    minimum_detectable=0.11,
    questions_needed=50,
)
NONE = replace(
    BETTER, metric="answer_relevancy", difference=-0.003, low=-0.01, high=0.004, verdict="no difference shown"
)


def sentence(rows: list[PairedDifference], *, planned: int = 40, **options: object) -> str:
    """The verdict on base against tuned."""
    return verdict_sentence(rows, base="base", candidate="tuned", planned=planned, **options)  # type: ignore[arg-type]


def money(arm: str, usd: float | None) -> ArmMoney:
    """An arm of which only the price matters."""
    return ArmMoney(
        arm=arm,
        model=None,
        questions=1,
        usage=Usage(),
        prompt_tokens_per_question=None,
        completion_tokens_per_question=None,
        usd_per_1000_questions=usd,
        price="priced",
    )


def test_what_is_better_comes_first() -> None:
    """One sentence names n, the metrics, the differences and their intervals."""
    assert sentence([NONE, BETTER]) == (
        "On 40 questions, tuned is better than base in faithfulness (+0.100, 95 % interval +0.020 to +0.180); "
        "no difference shown between base and tuned in answer relevancy (−0.003, 95 % interval −0.010 to +0.004)."
    )


def test_no_difference_says_what_would_settle_it() -> None:
    """It names the difference this many questions would miss, and how many the one seen needs."""
    row = replace(NONE, minimum_detectable=0.12, questions_needed=230)

    assert sentence([row]) == (
        "On 40 questions, no difference shown between base and tuned in answer relevancy "
        "(−0.003, 95 % interval −0.010 to +0.004); with this many questions a true difference in answer relevancy "
        "below 0.12 would probably be missed, and one as small as the one seen needs about 230 questions."
    )


def test_few_questions_are_warned_about() -> None:
    """Fewer than 20 evaluation questions put a warning into the verdict; different n stand beside their metric."""
    assert sentence([replace(BETTER, n=12), replace(NONE, n=11, minimum_detectable=None)], planned=12) == (
        "Tuned is better than base in faithfulness (+0.100, 95 % interval +0.020 to +0.180, n = 12); no difference "
        "shown between base and tuned in answer relevancy (−0.003, 95 % interval −0.010 to +0.004, n = 11); warning: "
        "12 questions to evaluate on, fewer than 20, cannot settle it."
    )


def test_offline_runs_say_so_in_the_verdict() -> None:
    """The sentence carries the label wherever it is quoted, and the change in cost where it is known."""
    assert sentence([replace(BETTER, difference=-0.1, verdict="worse")], offline=True, cost="it costs less") == (
        "Offline toy run: on 40 questions, tuned is worse than base in faithfulness "
        "(−0.100, 95 % interval +0.020 to +0.180); it costs less."
    )


def test_nothing_scored_is_said() -> None:
    """No scores at all, one pair alone, and different judges each have their own words."""
    alone = replace(BETTER, n=1, low=None, high=None, verdict="too few")
    other_judges = replace(BETTER, n=0, difference=None, low=None, high=None, verdict="not comparable")

    assert sentence([]) == "Nothing can be said: no question was scored for both base and tuned."
    assert sentence([alone]) == (
        "On 1 question, too few questions were scored in both base and tuned to say anything about "
        "faithfulness (+0.100)."
    )
    assert sentence([other_judges]) == "The scores of base and tuned come from different judges and are not compared."


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        (["better", "no difference shown"], "better"),
        (["better", "worse"], "mixed"),
        (["worse", "too few"], "worse"),
        (["no difference shown", "too few"], "no difference shown"),
        (["not comparable"], "not comparable"),
        ([], "too few"),
    ],
)
def test_outcome_is_one_word_for_all_metrics(verdicts: list[str], word: str) -> None:
    """Better in one metric and worse in another is mixed."""
    assert outcome([replace(BETTER, verdict=verdict) for verdict in verdicts]) == word  # type: ignore[arg-type]


def test_cost_clause() -> None:
    """Both prices and the change; nothing where one is unknown."""
    assert cost_clause(money("tuned", 0.5), money("teacher", 2.0)) == (
        "1,000 questions cost $0.50 with tuned and $2.00 with teacher, 75% less"
    )
    assert cost_clause(money("tuned", 3.0), money("base", 2.0)) == (
        "1,000 questions cost $3.00 with tuned and $2.00 with base, 50% more"
    )
    assert cost_clause(money("tuned", 2.0), money("base", 2.0)) == (
        "1,000 questions cost $2.00 with tuned and $2.00 with base"
    )
    assert cost_clause(money("tuned", None), money("base", 2.0)) is None
    assert cost_clause(None, money("base", 2.0)) is None


def test_numbers_in_words() -> None:
    """Signs are real ones, 0 has none, and small sums keep two digits."""
    assert [signed(0.0491), signed(-0.0491), signed(-0.0001)] == ["+0.049", "−0.049", "0.000"]
    assert [dollars(1234.5), dollars(0.0123), dollars(0.000012), dollars(0)] == [
        "$1,234.50",
        "$0.012",
        "$1.2e-05",
        "$0.00",
    ]
    assert [interval(BETTER), interval(replace(BETTER, low=None))] == ["+0.020 to +0.180", ""]
