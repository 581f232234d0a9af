from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from llama_index_ft_rag.catalog import ModelFacts, family, model_facts, no_new_jobs_from
from llama_index_ft_rag.example_tokens import count_example_tokens, count_tokens
from llama_index_ft_rag.prices import Price, base_price, cost_usd, default_epochs, training_cost_usd, tuned_price
from llama_index_ft_rag.tokenizer import TokenCount


@dataclass(frozen=True)
class Tokens:
    prompt_tokens: int | None
    completion_tokens: int | None


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4.1-mini", "gpt-4.1-mini"),
        ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
        ("ft:gpt-4.1-mini-2025-04-14:acme:reports:AbC123", "gpt-4.1-mini"),
        ("ft:gpt-4.1-mini-2025-04-14:acme:reports:AbC123:ckpt-step-40", "gpt-4.1-mini"),
        ("ft:gpt-3.5-turbo-0613:personal::7qGxx", "gpt-3.5-turbo"),
        ("gpt-35-turbo-0613", "gpt-3.5-turbo"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4-1106-preview", "gpt-4-turbo"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-9-2028-01-01", "gpt-9"),
        ("offline-teacher", "offline-teacher"),
        ("ft:offline-student:ft-rag:demo:0a1b2c3d", "offline-student"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"),
        ("", ""),
    ],
)
def test_any_name_of_a_model_leads_to_its_family(model: str, expected: str) -> None:
    """Snapshots, tuned models, checkpoints and Azure's spelling all belong to the family they come from."""
    assert family(model) == expected


def test_a_tuned_model_has_the_facts_of_its_base() -> None:
    """Limits, tokenizer and shutdown date of a tuned model are those of its base model."""
    assert model_facts("ft:gpt-4.1-mini-2025-04-14:acme::x") == ModelFacts(
        family="gpt-4.1-mini",
        encoding="o200k_base",
        exact_encoding=True,
        context_window=1_047_576,
        max_example_tokens=65_536,
        shutdown_date=date(2027, 1, 14),
        tunable=True,
    )


def test_a_snapshot_may_have_limits_of_its_own() -> None:
    """The models of the blog post took examples of 4,096 tokens, later ones of the family four times as many."""
    assert model_facts("gpt-3.5-turbo-0613").max_example_tokens == 4_096
    assert model_facts("gpt-3.5-turbo").max_example_tokens == 16_385


def test_an_unknown_model_has_a_probable_tokenizer_and_nothing_else() -> None:
    """Nothing is made up for a model the catalog does not list."""
    assert model_facts("gpt-4-32k") == ModelFacts(family="gpt-4-32k", encoding="cl100k_base", exact_encoding=True)
    assert model_facts("my-deployment") == ModelFacts(family="my-deployment")
    assert (base_price("my-deployment"), tuned_price("my-deployment")) == (None, None)


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


def test_text_is_counted_with_the_tokenizer_of_the_family() -> None:
    """A tuned gpt-4.1 counts as gpt-4.1 does; for a model nobody documents the count is an estimate."""
    text = "Rohre und Zähler, 水表和传感器"

    assert count_tokens(text, model="ft:gpt-4.1:acme::x") == count_tokens(text, model="gpt-4.1")
    assert count_tokens(text, model="gpt-4.1") != count_tokens(text, model="gpt-4")
    assert count_tokens(text, model="gpt-6-sol").exact is False


def test_an_example_counts_its_texts_and_the_frame_around_them() -> None:
    """Three tokens a message, one a name, three for the whole, and every text, role and name."""
    line = {"messages": [{"role": "user", "name": "ann", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}

    assert count_example_tokens(line, model="gpt-4.1") == TokenCount(tokens=3 + 2 * 3 + 1 + 5, exact=True)


def test_tools_and_tool_calls_count() -> None:
    """Definitions and calls of tools are tokens like any other; no content is no tokens."""
    call = {"id": "c", "type": "function", "function": {"name": "price", "arguments": "{}"}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    bare = count_example_tokens({"messages": [{"role": "assistant", "content": None}]}, model="gpt-4.1")
    called = count_example_tokens({"messages": messages}, model="gpt-4.1")
    tools = [{"type": "function", "function": {"name": "price"}}]
    defined = count_example_tokens({"messages": messages, "tools": tools}, model="gpt-4.1")

    assert bare.tokens < called.tokens < defined.tokens


def test_both_answers_of_a_preference_pair_count() -> None:
    """A preference example is as long as its question and both of its answers."""
    pair = {
        "input": {"messages": [{"role": "user", "content": "Why?"}]},
        "preferred_output": [{"role": "assistant", "content": "Because."}],
        "non_preferred_output": [{"role": "assistant", "content": "No."}],
    }

    assert count_example_tokens(pair, model="gpt-4.1") == TokenCount(tokens=3 * 3 + 3 * 3 + 3 + 2 + 2 + 2, exact=True)


def deeply_nested() -> list[object]:
    """A list in a list in a list, deeper than Python recurses."""
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "messages",
    [None, "text", [None, 3], [{"role": None, "content": 7}], [{"content": [None, {"type": "image_url"}, "x"]}]],
)
def test_counting_never_fails(messages: object) -> None:
    """Whatever stands in a line, counting its tokens gives a number."""
    assert count_example_tokens({"messages": messages}, model="gpt-4.1").tokens >= 0


def test_an_image_makes_the_count_an_estimate() -> None:
    """What is no text cannot be counted here, and the count says so; a deep nest is no text either."""
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    parts = [{"type": "text", "text": "Look"}, image, deeply_nested()]

    count = count_example_tokens({"messages": [{"role": "user", "content": parts}]}, model="gpt-4.1")

    assert count == TokenCount(tokens=3 + 3 + 1 + 1, exact=False)


@pytest.mark.parametrize(
    ("examples", "epochs"), [(0, 25), (1, 25), (10, 10), (33, 3), (50, 3), (65, 3), (10_000, 2), (100_000, 1)]
)
def test_epochs_follow_from_the_number_of_examples(examples: int, epochs: int) -> None:
    """Small files are seen more often and large ones less often than three times."""
    assert default_epochs(examples) == epochs


def test_the_end_of_new_jobs_is_known() -> None:
    """From this day OpenAI takes no new fine-tuning job."""
    assert no_new_jobs_from() == date(2027, 1, 6)
