from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from llama_index_ft_rag.prices import (
    Price,
    PriceEntry,
    PriceList,
    base_price,
    cost_usd,
    default_epochs,
    dollars,
    price_notice,
    training_cost_usd,
    tuned_price,
)


@dataclass(frozen=True)
class Tokens:
    prompt_tokens: int | None
    completion_tokens: int | None


def test_the_newest_price_is_in_force_and_older_ones_can_be_looked_up() -> None:
    """A price has a date; asking for a day gives what held then, and nothing before the first one."""
    now, then = base_price("gpt-3.5-turbo"), base_price("gpt-3.5-turbo", on=date(2023, 9, 30))

    assert now is not None
    assert then is not None
    assert (now.input, now.output, now.as_of) == (0.5, 1.5, "2026-06")
    assert (then.input, then.output, then.as_of) == (1.5, 2.0, "2023-08-22")
    assert base_price("gpt-3.5-turbo", on="2023-01-01") is None


def test_the_prices_of_the_blog_post_have_its_ratios() -> None:
    """In 2023 the tuned model cost 8 times its base, and gpt-4 cost 2.5 and 3.75 times the tuned model."""
    base = base_price("gpt-3.5-turbo", on="2023-09")
    tuned = tuned_price("gpt-3.5-turbo", on="2023-09")
    teacher = base_price("gpt-4", on="2023-09")

    assert base is not None
    assert tuned is not None
    assert teacher is not None
    assert (tuned.input, tuned.output) == (8 * (base.input or 0), 8 * (base.output or 0))
    assert (teacher.input, teacher.output) == (2.5 * (tuned.input or 0), 3.75 * (tuned.output or 0))
    assert (teacher.input, teacher.output) == (20 * (base.input or 0), 30 * (base.output or 0))


def test_the_training_price_printed_by_the_blog_post_comes_out() -> None:
    """80,158 tokens at $0.008 per 1,000 cost $0.641264 per epoch."""
    price = tuned_price("gpt-3.5-turbo", on="2023-09")

    assert training_cost_usd(80_158, epochs=1, price=price) == pytest.approx(0.641264, abs=1e-9)


def test_the_published_fine_tuning_prices_are_there() -> None:
    """A tuned gpt-4.1-mini has its training, use, cache and batch prices, with source and date."""
    assert tuned_price("gpt-4.1-mini") == Price(
        input=0.8,
        cached_input=0.2,
        output=3.2,
        training=5.0,
        batch_input=0.4,
        batch_output=1.6,
        source="OpenAI pricing page, fine-tuning table",
        as_of="2026-06",
    )


@pytest.mark.parametrize("model", ["offline-teacher", "offline-embedding", "ft:offline-student:ft-rag::0a1b2c3d"])
def test_the_offline_backend_costs_nothing_and_says_why(model: str) -> None:
    """An offline model has a price of 0, which is not the same as having none."""
    price = tuned_price(model)

    assert price == base_price(model)
    assert cost_usd(Tokens(1_000, 10), price) == 0.0
    assert price is not None
    assert price.source == "offline backend: nothing is charged"


@pytest.mark.parametrize(
    ("usage", "model", "expected"),
    [
        (Tokens(1_000_000, 100_000), "gpt-4.1", 2.8),
        (Tokens(1_000_000, None), "gpt-4.1", None),
        (Tokens(None, 5), "gpt-4.1", None),
        (Tokens(1_000_000, None), "text-embedding-3-small", 0.02),
        (Tokens(1_000_000, 0), "text-embedding-3-small", 0.02),
        (Tokens(1_000_000, 7), "text-embedding-3-small", None),
        (Tokens(10, 10), "my-deployment", None),
    ],
)
def test_a_cost_is_known_only_where_all_its_parts_are(usage: Tokens, model: str, expected: float | None) -> None:
    """A missing count or price makes the cost unknown, never 0 and never too small."""
    assert cost_usd(usage, base_price(model)) == (None if expected is None else pytest.approx(expected))


def test_no_training_price_means_no_training_cost() -> None:
    """A base price has no training price in it, so no cost comes of it."""
    assert training_cost_usd(1_000, epochs=3, price=base_price("gpt-4.1")) is None
    assert training_cost_usd(1_000, epochs=3, price=None) is None


@pytest.mark.parametrize(
    ("examples", "epochs"), [(0, 25), (1, 25), (10, 10), (33, 3), (50, 3), (65, 3), (10_000, 2), (100_000, 1)]
)
def test_epochs_follow_from_the_number_of_examples(examples: int, epochs: int) -> None:
    """Small files are seen more often and large ones less often than three times."""
    assert default_epochs(examples) == epochs


def test_a_batch_is_priced_by_the_batch_rates() -> None:
    """Half of the price where the list says so, and no price where the list has no batch rates."""
    tokens = Tokens(1_000_000, 100_000)

    assert cost_usd(tokens, base_price("gpt-4.1"), batch=True) == pytest.approx(1.4)
    assert cost_usd(tokens, base_price("gpt-3.5-turbo", on="2023-09"), batch=True) is None


def price_file(folder: Path, **fields: object) -> Path:
    """A price file of one entry."""
    entry = {"family": "gpt-4.1", "kind": "tuned", "source": "our contract", "as_of": "2026-01", **fields}
    path = folder / "prices.json"
    path.write_text(json.dumps({"prices": [entry]}), encoding="utf-8")
    return path


def test_a_file_goes_before_the_built_in_list(tmp_path: Path) -> None:
    """Whatever its date, the user's price is in force; what the file does not list is looked up as before."""
    path = price_file(tmp_path, input=2.5, output=10.0, training=20.0)
    prices = PriceList.builtin().with_file(path)

    assert prices.tuned("gpt-4.1-2025-04-14") == Price(
        input=2.5, output=10.0, training=20.0, source="our contract", as_of="2026-01"
    )
    assert prices.base("gpt-4.1") == base_price("gpt-4.1")
    assert PriceList.builtin().tuned("gpt-4.1") == tuned_price("gpt-4.1")


def test_a_file_alone_prices_what_it_lists_and_nothing_else(tmp_path: Path) -> None:
    """At another service OpenAI's prices do not hold; a deployment is found by the name it is asked by."""
    prices = PriceList.read(price_file(tmp_path, family="my-deployment", kind="base", input=1.0))
    price = Price(input=1.0, source="our contract", as_of="2026-01")

    assert prices == PriceList(entries=(PriceEntry(family="my-deployment", kind="base", price=price),))
    assert (prices.of("my-deployment"), prices.base("gpt-4.1")) == (price, None)


def test_a_file_knows_old_prices_too(tmp_path: Path) -> None:
    """Before the first day of the file, the built-in list answers."""
    prices = PriceList.builtin().with_file(price_file(tmp_path, family="gpt-3.5-turbo", training=1.0))

    assert prices.tuned("gpt-3.5-turbo", on=date(2026, 2, 1)) == Price(
        training=1.0, source="our contract", as_of="2026-01"
    )
    assert prices.tuned("gpt-3.5-turbo", on="2023-09") == tuned_price("gpt-3.5-turbo", on="2023-09")


def test_a_model_is_priced_as_what_it_is() -> None:
    """A tuned model by its name has the price of tuned ones, any other that of its base."""
    prices = PriceList.builtin()

    assert prices.of("ft:gpt-4.1-mini-2025-04-14:acme::x") == tuned_price("gpt-4.1-mini")
    assert prices.of("gpt-4.1-mini-2025-04-14") == base_price("gpt-4.1-mini")


PRICE = Price(input=1.0, source="a list", as_of="2026-06-30")


@pytest.mark.parametrize(
    ("price", "today", "stale"),
    [
        (PRICE, date(2026, 12, 27), False),
        (PRICE, date(2026, 12, 28), True),
        (Price(source="a list", as_of="2026-06"), date(2026, 12, 27), False),
        (Price(source="a list", as_of="2026-06"), date(2026, 12, 28), True),
        (Price(source="a list", as_of="2026-11-01", holds_until="2026-11-21"), date(2026, 11, 21), False),
        (Price(source="a list", as_of="2026-11-01", holds_until="2026-11-21"), date(2026, 11, 22), True),
        (Price(source="a contract", as_of="any day"), date(2036, 1, 1), False),
    ],
)
def test_a_price_gets_old(price: Price, today: date, stale: bool) -> None:
    """After 180 days, a month counted to its end, or past the day for which it was announced; words never do."""
    assert price.is_stale(today) is stale
    assert (price_notice(price, today=today) is not None) is stale


def test_an_old_price_says_so_in_a_sentence() -> None:
    """Why, from where, and what to do; nothing is said of a price that is not known."""
    assert price_notice(PRICE, today=date(2027, 1, 1), name="gpt-x") == (
        "The price of gpt-x is as of 2026-06-30, more than 180 days ago (a list): look it up, and pass the present one"
        " in a price file."
    )
    assert price_notice(base_price("gpt-5.6-sol"), today=date(2026, 11, 25), name="gpt-5.6-sol") == (
        "The price of gpt-5.6-sol was announced to hold through 2026-11-21, which is past (OpenAI pricing page): look"
        " it up, and pass the present one in a price file."
    )
    assert price_notice(None, today=date(2027, 1, 1)) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "$0.00"), (0.641264, "$0.64"), (1234.5, "$1,234.50"), (0.0123, "$0.012"), (0.0000123, "$1.2e-05")],
)
def test_money_is_shown_with_as_many_digits_as_it_needs(value: float, shown: str) -> None:
    """Cents, and below ten cents two significant digits."""
    assert dollars(value) == shown
