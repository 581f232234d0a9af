from __future__ import annotations

import pytest
from arms import answer, answers

from llama_index_ft_rag.comparison.money import ArmMoney, BreakEven, arm_money, break_even
from llama_index_ft_rag.examples import TrainingExample, Usage
from llama_index_ft_rag.prices import Price, PriceEntry, PriceList

PRICE = Price(input=2.0, output=8.0, source="a price list", as_of="2026-11-01")
SILENT = TrainingExample(messages=[])


def priced(arm: str, usd: float | None) -> ArmMoney:
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


def test_usage_becomes_a_price_per_1000_questions() -> None:
    """Two answers of 100 tokens in and 10 out at $2 and $8 per million cost $0.28 per 1,000 questions."""
    assert arm_money("tuned", answers("tuned", ["a", "b"], model="m"), price=PRICE) == ArmMoney(
        arm="tuned",
        model="m",
        questions=2,
        usage=Usage(prompt_tokens=200, completion_tokens=20),
        prompt_tokens_per_question=100.0,
        completion_tokens_per_question=10.0,
        usd_per_1000_questions=pytest.approx(0.28),
        price="priced",
        price_source="a price list, as of 2026-11-01",
    )


def test_answers_without_usage_do_not_make_an_arm_cheaper() -> None:
    """Means are over the answers that came with a count."""
    silent = answer("tuned", 1, usage=Usage())
    money = arm_money("tuned", [answer("tuned", 0), silent], price=PRICE)

    assert (money.questions, money.prompt_tokens_per_question) == (1, 100.0)


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"model": "a-model-nobody-knows"}, "no price known"),
        ({}, "no price known"),
        ({"usage": Usage()}, "no usage reported"),
    ],
)
def test_an_unknown_price_is_no_price(fields: dict[str, object], state: str) -> None:
    """It says why, and is never 0."""
    money = arm_money("base", answers("base", ["a"], **fields))

    assert (money.usd_per_1000_questions, money.price) == (None, state)


def test_offline_nothing_is_charged_and_tokens_are_counted() -> None:
    """Offline answers have tokens and no price, even where the catalog knows the model's name."""
    money = arm_money("tuned", answers("tuned", ["a"], model="gpt-4.1"), offline=True)

    assert (money.usd_per_1000_questions, money.price) == (None, "offline: nothing is charged")
    assert money.prompt_tokens_per_question == 100.0


def test_a_tuned_model_has_the_price_of_a_tuned_model() -> None:
    """`ft:` models are looked up among the tuned prices, others among the base prices."""
    base = arm_money("base", answers("base", ["a"], model="gpt-4.1-mini"))
    tuned = arm_money("tuned", answers("tuned", ["a"], model="ft:gpt-4.1-mini:org::id"))

    assert base.usd_per_1000_questions is not None
    assert tuned.usd_per_1000_questions is not None
    assert tuned.usd_per_1000_questions > base.usd_per_1000_questions


def test_break_even() -> None:
    """$3 of training at a saving of $2 per 1,000 questions is paid back after 1,500 questions."""
    assert break_even(priced("tuned", 1.0), priced("teacher", 3.0), training_usd=3.0) == BreakEven(
        arm="tuned", against="teacher", training_usd=3.0, saving_usd_per_1000_questions=2.0, questions=1500
    )


def test_a_dearer_model_never_breaks_even() -> None:
    """No saving, no number of questions."""
    even = break_even(priced("tuned", 3.0), priced("base", 1.0), training_usd=3.0)

    assert even is not None
    assert even.questions is None


@pytest.mark.parametrize(("new", "old", "training"), [(None, 1.0, 1.0), (1.0, None, 1.0), (1.0, 2.0, None)])
def test_break_even_needs_all_three_prices(new: float | None, old: float | None, training: float | None) -> None:
    """Where one is unknown there is no answer."""
    assert break_even(priced("tuned", new), priced("teacher", old), training_usd=training) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"usage": Usage(prompt_tokens=100)},
        {"calls": [TrainingExample(messages=[], usage=Usage(prompt_tokens=100, completion_tokens=10)), SILENT]},
    ],
)
def test_half_a_count_does_not_make_an_arm_cheaper(fields: dict[str, object]) -> None:
    """An answer of which a part was not counted, the output or a whole call, is left out."""
    money = arm_money("tuned", [answer("tuned", 0), answer("tuned", 1, **fields)], price=PRICE)

    assert (money.questions, money.usd_per_1000_questions) == (1, pytest.approx(0.28))


def test_an_arm_can_be_priced_by_another_list() -> None:
    """The model of the answers is looked up in the list that was passed; a price of the arm's own goes before it."""
    prices = PriceList(entries=(PriceEntry(family="m", kind="base", price=PRICE),))
    other = Price(input=20.0, output=80.0, source="another", as_of="2026-11-01")
    given = answers("tuned", ["a", "b"], model="m")

    assert arm_money("tuned", given, prices=prices).usd_per_1000_questions == pytest.approx(0.28)
    assert arm_money("tuned", given, prices=prices, price=other).usd_per_1000_questions == pytest.approx(2.8)
    assert arm_money("tuned", given).price == "no price known"
