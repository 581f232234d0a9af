from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from llama_index_ft_rag.break_even import BreakEven
from llama_index_ft_rag.cost_estimate import CostEstimate, QuestionUsage, RoleCost, estimate_costs
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.prices import Price, PriceEntry, PriceList, base_price, tuned_price
from llama_index_ft_rag.validation import FileReport, validate_file

POST = PriceList(
    entries=tuple(entry for entry in PriceList.builtin().entries if entry.price.as_of == "2023-08-22"),
)
"""The prices of the blog post."""


def report(folder: Path, *, model: str | None = "gpt-4.1-mini", rows: int = 10) -> FileReport:
    """A checked file of examples of 17 tokens, 13 of them before the answer and 2 in it."""
    lines = [
        {"messages": [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": "Four."}]}
        for n in range(rows)
    ]
    path = folder / "examples.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return validate_file(path, model=model)


def question(**fields: Any) -> dict[str, float]:
    """2,000 tokens in and 100 out."""
    return {"prompt_tokens_per_question": 2_000, "completion_tokens_per_question": 100, **fields}


def test_training_and_questions_are_priced_before_anything_is_paid() -> None:
    """A million tokens three times, and 1,000 questions of 2,000 tokens in and 100 out, now and in batches."""
    estimate = estimate_costs(1_000_000, student="gpt-4.1-mini", teacher="gpt-4.1", epochs=3, **question())

    assert estimate == CostEstimate(
        student="gpt-4.1-mini",
        teacher="gpt-4.1",
        training_tokens=1_000_000,
        training_tokens_exact=True,
        epochs=3,
        training_usd=15.0,
        usage=QuestionUsage(prompt_tokens=2_000, completion_tokens=100, source="given"),
        costs=(
            RoleCost(
                role="base",
                model="gpt-4.1-mini",
                usd_per_1000_questions=pytest.approx(0.96),
                batch_usd_per_1000_questions=pytest.approx(0.48),
                price=base_price("gpt-4.1-mini"),
            ),
            RoleCost(
                role="tuned",
                model="gpt-4.1-mini",
                usd_per_1000_questions=pytest.approx(1.92),
                batch_usd_per_1000_questions=pytest.approx(0.96),
                price=tuned_price("gpt-4.1-mini"),
            ),
            RoleCost(
                role="teacher",
                model="gpt-4.1",
                usd_per_1000_questions=pytest.approx(4.8),
                batch_usd_per_1000_questions=pytest.approx(2.4),
                price=base_price("gpt-4.1"),
            ),
        ),
        against_base=BreakEven(
            arm="tuned",
            against="base",
            training_usd=15.0,
            saving_usd_per_1000_questions=pytest.approx(-0.96),
            questions=None,
        ),
        against_teacher=BreakEven(
            arm="tuned",
            against="teacher",
            training_usd=15.0,
            saving_usd_per_1000_questions=pytest.approx(2.88),
            questions=5209,
        ),
    )


def test_the_cost_table_of_the_blog_post_comes_out() -> None:
    """Tuned is 8 times base, gpt-4 is 2.5 and 3.75 times tuned and 20 and 30 times base; $0.641264 an epoch."""
    estimates = [
        estimate_costs(
            80_158,
            student="gpt-3.5-turbo",
            teacher="gpt-4",
            epochs=1,
            prompt_tokens_per_question=prompt,
            completion_tokens_per_question=completion,
            prices=POST,
        )
        for prompt, completion in ((1_000, 0), (0, 1_000))
    ]
    costs = [[row.usd_per_1000_questions for row in estimate.costs] for estimate in estimates]

    assert costs == [pytest.approx([1.5, 8 * 1.5, 20 * 1.5]), pytest.approx([2.0, 8 * 2.0, 30 * 2.0])]
    assert costs[0][2] == pytest.approx(2.5 * (costs[0][1] or 0))
    assert costs[1][2] == pytest.approx(3.75 * (costs[1][1] or 0))
    assert [estimate.training_usd for estimate in estimates] == [pytest.approx(0.641264, abs=1e-9)] * 2


def test_a_checked_file_says_how_much_is_trained(tmp_path: Path) -> None:
    """Tokens, model and expected epochs come from the report; the tokens of a question from its examples."""
    estimate = estimate_costs(report(tmp_path))

    assert (estimate.student, estimate.training_tokens, estimate.epochs) == ("gpt-4.1-mini", 170, 10)
    assert estimate.training_usd == pytest.approx(170 * 10 * 5 / 1e6)
    assert estimate.usage == QuestionUsage(prompt_tokens=11, completion_tokens=2, source="training examples")
    assert estimate.notes == (
        "Tokens of a question are those of the mean training example, one call a question. A model that reasons is"
        " charged for its hidden reasoning, too, and another model's tokenizer counts otherwise.",
    )


def test_what_is_given_goes_before_what_the_examples_say(tmp_path: Path) -> None:
    """Epochs, student and either count of tokens can be set; the rest is still an estimate."""
    estimate = estimate_costs(report(tmp_path), student="gpt-4.1", epochs=2, prompt_tokens_per_question=500)

    assert (estimate.student, estimate.epochs, estimate.training_usd) == ("gpt-4.1", 2, pytest.approx(0.0085))
    assert estimate.usage == QuestionUsage(prompt_tokens=500, completion_tokens=2, source="training examples")


def test_what_is_not_known_is_said_and_is_never_0() -> None:
    """A model of no list has no price at all, and tokens without examples say nothing of a question."""
    estimate = estimate_costs(1_000, student="my-model", teacher="big-model", epochs=2, today=date(2030, 1, 1))

    assert estimate.training_usd is None
    assert (estimate.against_base, estimate.against_teacher) == (None, None)
    assert {row.usd_per_1000_questions for row in estimate.costs} == {None}
    assert estimate.usage == QuestionUsage(prompt_tokens=None, completion_tokens=None, source="not known")
    assert estimate.notes == (
        "No price is known for base (my-model), tuned (my-model), teacher (big-model): pass prices in a price file.",
    )


def test_a_price_of_use_without_a_price_of_training_is_half_known() -> None:
    """Questions have a price, training has none, and when it pays is not known."""
    sold = Price(input=1.0, output=2.0, source="a list", as_of="2026-11")
    prices = PriceList(entries=tuple(PriceEntry(family="m", kind=kind, price=sold) for kind in ("base", "tuned")))

    estimate = estimate_costs(1_000, student="m", epochs=1, prices=prices, **question())

    assert (estimate.training_usd, estimate.against_base) == (None, None)
    assert estimate.notes == ("No price is known for training m: pass one in a price file.",)


def test_an_empty_file_trains_nothing_and_has_no_price(tmp_path: Path) -> None:
    """No tokens are no price of $0."""
    estimate = estimate_costs(report(tmp_path, rows=0), **question())

    assert estimate.training_usd is None
    assert estimate.notes == ("No example could be read, so nothing is known of the training.",)


def test_pairs_of_answers_are_counted_whole(tmp_path: Path) -> None:
    """What a service charges for a preference file is not published, and the estimate says so."""
    pair = {
        "input": {"messages": [{"role": "user", "content": "Why?"}]},
        "preferred_output": [{"role": "assistant", "content": "Because."}],
        "non_preferred_output": [{"role": "assistant", "content": "No."}],
    }
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(pair) + "\n", encoding="utf-8")

    estimate = estimate_costs(validate_file(path, model="gpt-4.1"), **question())

    assert estimate.notes == (
        "How services count the tokens of preference pairs is not known; here both answers are counted.",
    )


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("https://mine.openai.azure.com/openai/v1", "mine.openai.azure.com"),
        ("http://127.0.0.1:8000/v1", "127.0.0.1"),
        ("my-service", "my-service"),
        ("http://[", "http://["),
        ("https://api.openai.com/v1", None),
        ("https://eu.api.openai.com/v1", None),
        (None, None),
    ],
)
def test_another_service_has_other_prices(endpoint: str | None, host: str | None) -> None:
    """The list is OpenAI's; elsewhere the estimate says so, unless prices were passed."""
    settings: dict[str, Any] = {"student": "gpt-4.1-mini", "epochs": 1, "endpoint": endpoint, **question()}
    note = f"These are prices of OpenAI's list; {host} has prices of its own: pass them in a price file."

    assert estimate_costs(1_000, **settings).notes == ((note,) if host else ())
    assert estimate_costs(1_000, prices=PriceList.builtin(), **settings).notes == ()


def test_the_offline_backend_is_free_wherever_it_is_asked() -> None:
    """Toy models cost nothing, which is known, so there is nothing to note."""
    estimate = estimate_costs(
        1_000, student="offline-student", teacher="offline-teacher", epochs=1, endpoint="http://h/v1", **question()
    )

    assert (estimate.training_usd, [row.usd_per_1000_questions for row in estimate.costs]) == (0.0, [0.0, 0.0, 0.0])
    assert estimate.notes == ()


def test_old_prices_are_told_once_per_source() -> None:
    """On a day that is passed in; without one nothing is said about their age."""
    settings: dict[str, Any] = {"student": "gpt-4.1-mini", "teacher": "gpt-4.1", "epochs": 1, **question()}
    end = "more than 180 days ago (OpenAI pricing page{}): look it up, and pass the present one in a price file."

    assert estimate_costs(1_000, **settings, today=date(2027, 1, 1)).notes == (
        f"The price of base (gpt-4.1-mini), teacher (gpt-4.1) is as of 2026-06, {end.format('')}",
        f"The price of tuned (gpt-4.1-mini) is as of 2026-06, {end.format(', fine-tuning table')}",
    )
    assert estimate_costs(1_000, **settings, today=date(2026, 11, 25)).notes == ()


def test_a_tuned_student_is_compared_with_itself() -> None:
    """Training a tuned model further starts from the price of tuned ones."""
    estimate = estimate_costs(1_000, student="ft:gpt-4.1-mini-2025-04-14:a::b", epochs=1, **question())

    assert [row.price for row in estimate.costs] == [tuned_price("gpt-4.1-mini")] * 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"epochs": 1}, "no student model: name the one to be trained (student=...)"),
        ({"student": "m"}, "a number of tokens says nothing of epochs: pass epochs=..., as in epochs=3"),
        ({"student": "m", "epochs": 0}, "epochs: 0 is below 1; pass 1 or more"),
        (
            {"student": "m", "epochs": 1, **question(prompt_tokens_per_question=-1)},
            "prompt_tokens_per_question: -1 is below 0; pass 0 or more",
        ),
        (
            {"student": "m", "epochs": 1, **question(completion_tokens_per_question=float("nan"))},
            "completion_tokens_per_question: nan is below 0; pass 0 or more",
        ),
    ],
)
def test_a_question_without_an_answer_is_refused(arguments: dict[str, Any], problem: str) -> None:
    """One sentence with the thing, the value and what to pass."""
    with pytest.raises(ConfigurationError) as caught:
        estimate_costs(1_000, **arguments)

    assert str(caught.value) == problem


def test_fewer_tokens_than_none_are_refused() -> None:
    """A count below 0 is a mistake, not a discount."""
    with pytest.raises(ConfigurationError) as caught:
        estimate_costs(-5, student="m", epochs=1)

    assert str(caught.value) == "training tokens: -5 is below 0; pass 0 or more"


def test_the_estimate_is_readable(tmp_path: Path) -> None:
    """What is a guess says so; names, sources and notes are on 80 columns."""
    estimate = estimate_costs(report(tmp_path), teacher="gpt-6-astra")

    assert estimate.render() == (
        "Costs before the job, in USD (estimates)\n"
        "  training          170 tokens x 10 epochs: $0.0085 ($5.00 per 1M tokens)\n"
        "  per question      about 11 tokens in, 2 out (an estimate: means of the\n"
        "                    training examples)\n"
        "  1,000 questions   base (gpt-4.1-mini): $0.0076, in batches $0.0038\n"
        "                    tuned (gpt-4.1-mini): $0.015, in batches $0.0076\n"
        "                    teacher (gpt-6-astra): $0.21, in batches $0.10\n"
        "  pays for itself   against base never: a question costs no less than with base\n"
        "                    against the teacher after 44 questions\n"
        "  prices            OpenAI pricing page, as of 2026-06\n"
        "                    OpenAI pricing page, fine-tuning table, as of 2026-06\n"
        "                    OpenAI pricing page, as of 2026-09-03\n"
        "  note              Tokens of a question are those of the mean training example,\n"
        "                    one call a question. A model that reasons is charged for its\n"
        "                    hidden reasoning, too, and another model's tokenizer counts\n"
        "                    otherwise.\n"
    )


def test_an_estimate_of_nothing_known_is_readable(tmp_path: Path) -> None:
    """Each line says that it is not known; a tokenizer that is a guess makes the count one."""
    checked = report(tmp_path, model="my-model")
    checked.path.unlink()
    sold = Price(input=1.0, output=2.0, source="a list", as_of="2026-11")
    known = PriceEntry(family="my-model", kind="base", price=sold)

    assert estimate_costs(checked).render() == (
        "Costs before the job, in USD (estimates)\n"
        "  training          about 170 tokens x 10 epochs: not known\n"
        "  per question      not known: pass the tokens of a question\n"
        "  1,000 questions   base (my-model): not known\n"
        "                    tuned (my-model): not known\n"
        "  pays for itself   against base not known\n"
        "  note              No price is known for base (my-model), tuned (my-model):\n"
        "                    pass prices in a price file.\n"
    )
    half = estimate_costs(1_000, student="my-model", epochs=1, prices=PriceList(entries=(known,)), **question())
    assert "base (my-model): $2.20, in batches not known" in half.render()
    assert "per question      2,000 tokens in, 100 out\n" in half.render()
    assert "1,000 tokens x 1 epoch: not known" in half.render()


def test_an_estimate_goes_into_json() -> None:
    """Every value of it, prices and their sources among them."""
    estimate = estimate_costs(1_000, student="gpt-4.1-mini", epochs=1, **question())
    again = json.loads(json.dumps(estimate.to_dict()))

    assert (again["training_usd"], again["against_base"]["questions"]) == (0.005, None)
    assert again["costs"][1]["price"]["source"] == "OpenAI pricing page, fine-tuning table"


@pytest.mark.skipif("FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA is not set")
def test_the_post_s_own_file_has_an_estimate() -> None:
    """65 examples at the prices of 2023: what three epochs cost, 79 questions to gpt-4 cost more."""
    path = Path(os.environ["FT_RAG_TEST_DATA"]) / "post" / "llm-finetuning_finetuning_events.jsonl"

    estimate = estimate_costs(validate_file(path, model="gpt-3.5-turbo"), teacher="gpt-4", prices=POST)

    assert (estimate.training_tokens, estimate.epochs, estimate.training_usd) == (81_892, 3, pytest.approx(1.965408))
    assert estimate.usage == QuestionUsage(
        prompt_tokens=pytest.approx(1161.14, abs=0.01),
        completion_tokens=pytest.approx(94.74, abs=0.01),
        source="training examples",
    )
    assert estimate.against_teacher is not None
    assert estimate.against_teacher.questions == 79


def test_of_two_prices_of_one_source_the_expired_one_is_named(tmp_path: Path) -> None:
    """Each price has a last day of its own, which the other says nothing of."""
    common = {"family": "gpt-4.1-mini", "source": "my contract", "as_of": "2026-10"}
    rows = [
        {**common, "kind": "base", "input": 1.0, "output": 2.0},
        {**common, "kind": "tuned", "input": 1.0, "output": 2.0, "training": 5.0, "holds_until": "2026-10-31"},
    ]
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"prices": rows}))

    estimate = estimate_costs(
        1000, student="gpt-4.1-mini", epochs=1, prices=PriceList.read(path), today=date(2026, 11, 20)
    )

    assert [note for note in estimate.notes if "2026-10-31" in note and "base" not in note] != []
