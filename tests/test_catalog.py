from __future__ import annotations

from datetime import date

import pytest

from llama_index_ft_rag.catalog import (
    ModelFacts,
    TrainingOffer,
    WindDownStep,
    family,
    model_facts,
    no_new_jobs_from,
    training_offers,
    training_wind_down,
)
from llama_index_ft_rag.prices import base_price, tuned_price


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


def test_the_end_of_new_jobs_is_known() -> None:
    """From this day OpenAI takes no new fine-tuning job."""
    assert no_new_jobs_from() == date(2027, 1, 6)


def test_the_steps_of_the_wind_down_are_known() -> None:
    """Three days from which OpenAI takes no new job from ever more organisations."""
    source = "https://developers.openai.com/api/docs/deprecations"

    assert training_wind_down() == (
        WindDownStep(day=date(2026, 5, 7), closed_to="organisations that never fine-tuned a model", source=source),
        WindDownStep(
            day=date(2026, 7, 2),
            closed_to="organisations that asked no tuned model in the 60 days before",
            source=source,
        ),
        WindDownStep(day=date(2027, 1, 6), closed_to="everybody", source=source),
    )


def test_a_model_is_trained_where_and_as_its_services_say() -> None:
    """Azure trains longer than OpenAI, and keeps the tuned model longer."""
    assert training_offers("gpt-4.1-mini-2025-04-14") == (
        TrainingOffer(
            service="openai",
            methods=("supervised", "dpo"),
            images=False,
            no_new_jobs_from=date(2027, 1, 6),
            tuned_until=date(2027, 1, 14),
            customers="organisations that fine-tuned before and used a tuned model lately",
            source="OpenAI's guides to supervised fine-tuning and to direct preference optimization, and its"
            " deprecations page",
            as_of="2026-10",
        ),
        TrainingOffer(
            service="azure",
            methods=("supervised", "dpo"),
            images=False,
            no_new_jobs_from=date(2027, 4, 14),
            tuned_until=date(2027, 10, 14),
            customers="existing customers",
            source="Microsoft Foundry: fine-tuning models, and the retirement table",
            as_of="2026-07-07",
        ),
    )


@pytest.mark.parametrize(
    ("model", "offers"),
    [
        ("gpt-4.1", [("openai", ("supervised", "dpo"), False), ("azure", ("supervised", "dpo"), True)]),
        ("gpt-4.1-nano", [("azure", ("supervised", "dpo"), False)]),
        ("gpt-4o-2024-08-06", [("openai", ("supervised",), True), ("azure", ("supervised", "dpo"), True)]),
        ("gpt-4o-mini", [("openai", ("supervised",), False), ("azure", ("supervised",), False)]),
        ("ft:gpt-4o-mini-2024-07-18:a::b", [("openai", ("supervised",), False), ("azure", ("supervised",), False)]),
        ("offline-student", [("offline", ("supervised", "dpo"), False)]),
        ("gpt-3.5-turbo", []),
        ("gpt-6-sol", []),
        ("my-deployment", []),
    ],
)
def test_methods_and_images_depend_on_model_and_service(
    model: str, offers: list[tuple[str, tuple[str, ...], bool]]
) -> None:
    """At OpenAI preference pairs train gpt-4.1, and images gpt-4o alone; a dead model is trained nowhere."""
    assert [(offer.service, offer.methods, offer.images) for offer in training_offers(model)] == offers


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini", "offline-student"])
def test_what_is_tunable_is_offered(model: str) -> None:
    """A tuned model of OpenAI's stops on the day its base model does."""
    offer = training_offers(model)[0]

    assert model_facts(model).tunable is True
    assert offer.tuned_until == model_facts(model).shutdown_date
