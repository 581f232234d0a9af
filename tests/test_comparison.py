from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from arms import answer, answers, scores

from llama_index_ft_rag.answering import Answer
from llama_index_ft_rag.comparison import ArmAnswers, ArmMetric, compare
from llama_index_ft_rag.comparison.agreement import Agreement
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.prices import Price
from llama_index_ft_rag.scoring import Score

REFUSAL = "The context does not provide this information."
LOW = [0.2, 0.1, 0.3, 0.2, 0.4, 0.2, 0.3, 0.1]
HIGH = [0.9, 0.8, 0.7, 0.9, 1.0, 0.8, 0.9, 0.6]


def post_scores(run: str) -> list[list[str]]:
    """Rows of one published table: question, answer, contexts, relevancy, faithfulness."""
    folder = os.environ.get("FT_RAG_TEST_DATA")
    if not folder:
        pytest.skip("FT_RAG_TEST_DATA does not name the folder with the published scores")
    tables = json.loads((Path(folder) / "post" / "extracted_ragas_tables.json").read_text())
    rows: list[list[str]] = tables[run][1:]
    return rows


def test_the_published_run_shows_no_difference() -> None:
    """The 2023 post's own scores: +.049 faithfulness on 36 questions, and an interval that includes 0."""
    given: dict[str, list[Answer]] = {}
    found: dict[str, list[Score]] = {}
    for arm, run in (("base", "23"), ("tuned", "47")):
        rows = post_scores(run)
        given[arm] = answers(arm, [row[2] for row in rows])
        found[arm] = scores(arm, [float(row[5]) for row in rows])
        found[arm] += scores(arm, [float(row[4]) for row in rows], metric="answer_relevancy")
    faithfulness, relevancy = compare(given, found).differences

    assert faithfulness.difference == pytest.approx(0.049, abs=5e-4)
    assert (faithfulness.low, faithfulness.high) == pytest.approx((-0.039, 0.137), abs=1e-3)
    assert faithfulness.p_value == pytest.approx(0.28, abs=0.01)
    assert (faithfulness.wins, faithfulness.losses, faithfulness.ties) == (8, 6, 22)
    assert relevancy.difference == pytest.approx(-0.003, abs=5e-4)
    assert [faithfulness.verdict, relevancy.verdict] == ["no difference shown", "no difference shown"]


def test_a_gain_is_told_in_one_sentence() -> None:
    """The verdict names n, the difference, its interval, the cost, and warns about few questions."""
    comparison = compare(
        {arm: answers(arm, ["text"] * 8) for arm in ("base", "tuned")},
        {"base": scores("base", LOW), "tuned": scores("tuned", HIGH)},
        prices={
            "base": Price(input=1.0, output=1.0, source="s", as_of="d"),
            "tuned": Price(input=2.0, output=2.0, source="s", as_of="d"),
        },
    )

    assert comparison.outcome == "better"
    assert comparison.verdict == (
        "On 8 questions, tuned is better than base in faithfulness (+0.600, 95 % interval +0.511 to +0.689); "
        "1,000 questions cost $0.22 with tuned and $0.11 with base, 100% more; "
        "warning: 8 questions to evaluate on, fewer than 20, cannot settle it."
    )


def test_invalid_is_never_zero() -> None:
    """What could not be scored is in its own count with its reason, and in neither mean nor difference."""
    comparison = compare(
        {"base": answers("base", ["a"] * 4), "tuned": answers("tuned", ["a"] * 4)},
        {"base": scores("base", [0.5, None, 0.5, float("nan")]), "tuned": scores("tuned", [1.0, 1.0, 1.0])},
    )

    assert comparison.arm_metrics == [
        ArmMetric(
            arm="base",
            metric="faithfulness",
            planned=4,
            scored=2,
            invalid=2,
            invalid_reasons={"the judge's reply was cut off": 1, "the score is not a number": 1},
            mean=0.5,
        ),
        ArmMetric(arm="tuned", metric="faithfulness", planned=4, scored=3, invalid=0, invalid_reasons={}, mean=1.0),
    ]
    assert [(row.n, row.difference) for row in comparison.differences] == [(2, 0.5)]


def test_repeats_are_averaged_before_questions_are_compared() -> None:
    """Three judgements of one question are one question; an invalid repeat does not spoil the others."""
    repeats = [
        Score(question_id="q0", arm="base", metric="faithfulness", value=value, repeat=repeat, judge="j1")
        for repeat, value in enumerate([0.0, 1.0, None])
    ]
    comparison = compare({}, {"base": repeats, "tuned": scores("tuned", [1.0])})

    assert comparison.differences[0].n == 1
    assert comparison.differences[0].difference == 0.5
    assert comparison.rows[0].scores["base"]["faithfulness"].repeats == 2


def test_a_question_scored_again_counts_once() -> None:
    """A journal may hold a failed score and its retry: the retry counts."""
    comparison = compare(
        {}, {"base": [*scores("base", [None, 0.5]), *scores("base", [0.25])], "tuned": scores("tuned", [1.0, 1.0])}
    )

    assert [row.mean for row in comparison.arm_metrics] == [0.375, 1.0]


def test_different_judges_are_not_compared() -> None:
    """Scores of another judge, prompt or version give no difference, and the verdict says so."""
    comparison = compare({}, {"base": scores("base", LOW), "tuned": scores("tuned", HIGH, judge="j2")})

    assert comparison.differences[0].verdict == "not comparable"
    assert comparison.verdict.startswith("The scores of base and tuned come from different judges")
    assert comparison.judges == {"faithfulness": ["j1", "j2"]}
    assert comparison.notes == [
        "Scores of more than one judge were found; arms are compared only where the same judges scored both."
    ]


def test_arms_are_paired_with_base_and_teacher() -> None:
    """Candidate against base and teacher, teacher and other arms against base, controls against nobody."""
    arms = ["base", "tuned", "teacher", "checkpoint", "always-refuse"]
    comparison = compare(
        {arm: answers(arm, ["same words"] * 2) for arm in arms}, {arm: scores(arm, [0.1, 0.9]) for arm in arms}
    )
    pairs = list(dict.fromkeys((row.base_arm, row.arm) for row in comparison.differences))

    assert pairs == [("base", "tuned"), ("teacher", "tuned"), ("base", "teacher"), ("base", "checkpoint")]


def test_agreement_with_the_teacher_is_split_by_whether_it_answered() -> None:
    """Held-out agreement over all questions, over the answerable ones, and joint refusals."""
    comparison = compare(
        {
            "base": answers("base", ["a b", "x", "anything"]),
            "tuned": answers("tuned", ["a b", REFUSAL, REFUSAL]),
            "teacher": answers("teacher", ["a b", "c d", REFUSAL]),
        },
        {},
    )

    assert comparison.metrics == ["agreement_with_teacher"]
    assert comparison.agreement == [
        Agreement(
            arm="base",
            n=3,
            mean=pytest.approx(1 / 3),
            answerable=2,
            answerable_mean=0.5,
            teacher_abstained=1,
            also_abstained=0,
        ),
        Agreement(
            arm="tuned",
            n=3,
            mean=pytest.approx(2 / 3),
            answerable=2,
            answerable_mean=0.5,
            teacher_abstained=1,
            also_abstained=1,
        ),
    ]


def test_abstentions_and_failures_have_their_own_counts() -> None:
    """A refusal is an answer that abstained; a failed engine answered nothing; both are found without a judge."""
    failed = answer("tuned", 2, None, error="TimeoutError: no answer within 300 s")
    comparison = compare(
        {"base": answers("base", ["a", "b", "c"]), "tuned": [*answers("tuned", ["a", REFUSAL]), failed]}, {}
    )

    assert comparison.arm_answers[1] == ArmAnswers(
        arm="tuned", planned=3, answered=2, abstained=1, failed={"TimeoutError: no answer within 300 s": 1}
    )


def test_flags_say_what_to_look_at() -> None:
    """Each question carries what is odd about it and in which arms; a control arm is no reason for a flag."""
    comparison = compare(
        {
            "base": answers("base", ["one two three", "one two three", "x", "x"]),
            "tuned": answers("tuned", ["one two three", REFUSAL, None]),
            "always-refuse": answers("always-refuse", [REFUSAL] * 4),
        },
        {"base": scores("base", [0.5, 0.9, 0.5]), "tuned": scores("tuned", [0.7, 0.1, None])},
    )

    assert [row.flags for row in comparison.rows] == [
        {"better than base": ["tuned"]},
        {"worse than base": ["tuned"], "abstained": ["tuned"], "answers differ": ["base", "tuned"]},
        {"invalid": ["tuned"], "no answer": ["tuned"]},
        {"no answer": ["tuned"]},
    ]


def test_a_small_drop_is_no_flag() -> None:
    """A difference of up to .05 is within what a judge says on another day."""
    comparison = compare({}, {"base": scores("base", [0.9]), "tuned": scores("tuned", [0.86])})

    assert comparison.rows[0].flags == {}


def test_offline_agreement_decides_and_base_is_labelled() -> None:
    """Offline the judge is a set of rules: its gain is shown, and the verdict is about agreement."""
    comparison = compare(
        {arm: answers(arm, ["a b c"] * 8) for arm in ("base", "tuned", "teacher")},
        {"base": scores("base", LOW), "tuned": scores("tuned", HIGH)},
        offline=True,
    )

    assert comparison.metrics == ["agreement_with_teacher", "faithfulness"]
    assert [row.metric for row in comparison.headline] == ["agreement_with_teacher"]
    assert comparison.outcome == "no difference shown"
    assert comparison.label("base") == "base (BM25 reader, untrained)"
    assert comparison.label("tuned") == "tuned"


def test_break_even_is_counted_against_the_teacher() -> None:
    """Training replaces the teacher, so its price is what is saved."""
    prices = {
        arm: Price(input=usd, output=usd, source="s", as_of="d")
        for arm, usd in (("base", 1.0), ("tuned", 2.0), ("teacher", 12.0))
    }
    comparison = compare({arm: answers(arm, ["a"] * 2) for arm in prices}, {}, prices=prices, training_usd=1.1)

    assert comparison.break_even is not None
    assert (comparison.break_even.against, comparison.break_even.questions) == ("teacher", 1000)


def test_questions_from_one_passage_are_pointed_out() -> None:
    """The intervals treat questions as independent; where they share a passage, a note says so."""
    comparison = compare(
        {"base": answers("base", ["a", "b"])},
        {},
        sources={"q0": "report.pdf p. 1", "q1": "report.pdf p. 1"},
        clusters={"q0": "node 1", "q1": "node 1"},
    )

    assert comparison.rows[0].source == "report.pdf p. 1"
    assert comparison.notes == [
        "The 2 questions come from 1 passage; the intervals treat them as independent and are a little too narrow."
    ]


def test_contexts_are_those_of_the_candidate() -> None:
    """They are taken from the candidate's answer, or from whoever has some."""
    comparison = compare(
        {
            "base": answers("base", ["a", "b"], contexts=["of base"]),
            "tuned": [answer("tuned", 0, contexts=["of tuned"]), answer("tuned", 1)],
        },
        {},
    )

    assert [row.contexts for row in comparison.rows] == [["of tuned"], ["of base"]]


def test_nothing_to_compare_is_no_error() -> None:
    """A run stopped before any arm was scored has a verdict too."""
    comparison = compare({"base": answers("base", ["a"])}, {})

    assert comparison.outcome == "too few"
    assert comparison.verdict == (
        "Nothing can be said: no question was scored for both base and tuned; "
        "warning: 1 question to evaluate on, fewer than 20, cannot settle it."
    )


def test_an_arm_is_not_compared_with_itself() -> None:
    """The same name for both is a mistake worth telling."""
    with pytest.raises(ConfigurationError, match="base and candidate are both 'tuned': name two different arms"):
        compare({}, {}, base="tuned")


def test_a_comparison_is_json() -> None:
    """Everything in it can be written as JSON, the verdict first."""
    comparison = compare(
        {arm: answers(arm, ["a"]) for arm in ("base", "tuned")},
        {"base": scores("base", [0.5]), "tuned": scores("tuned", [None])},
    )
    found = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))

    assert list(found)[:2] == ["verdict", "outcome"]
    assert found["rows"][0]["scores"]["tuned"]["faithfulness"] == {
        "value": None,
        "invalid_reason": "the judge's reply was cut off",
        "repeats": 0,
        "statements": [],
    }
    assert found["money"][0]["usage"] == {"prompt_tokens": 100, "completion_tokens": 10}


def test_passages_are_counted_over_the_questions_that_have_one() -> None:
    """A question of the user's own comes from no passage; it does not make the others dependent."""
    given = {"base": answers("base", ["a", "b", "c"])}
    apart = compare(given, {}, clusters={"q0": "node 1", "q1": "node 2"})
    together = compare(given, {}, clusters={"q0": "node 1", "q1": "node 1"})

    assert apart.notes == []
    assert together.notes == [
        "2 of the 3 questions come from 1 passage; the intervals treat them as independent and are a little too narrow."
    ]


def test_questions_nobody_was_asked_yet_count_as_planned() -> None:
    """A run stopped half-way does not pass for a small one."""
    comparison = compare(
        {arm: answers(arm, ["a"]) for arm in ("base", "tuned")}, {}, questions={"q0": "Question 0?", "q1": "Why?"}
    )

    assert (comparison.planned, [row.question for row in comparison.rows]) == (2, ["Question 0?", "Why?"])
