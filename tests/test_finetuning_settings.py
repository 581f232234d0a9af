"""What can be asked of a job, and what is refused before anything is sent."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from finetuning_service import (
    BASE,
    Service,
    make_engine,
    make_preferring,
    write_examples,
    write_pairs,
)

from llama_index_ft_rag.errors import (
    ConfigurationError,
    ExamplesError,
)


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def test_everything_asked_for_reaches_the_job(service: Service, data_path: Path, tmp_path: Path) -> None:
    """Hyperparameters, suffix, seed, validation file and metadata are in the one job that is created."""
    validation = write_examples(tmp_path / "validation.jsonl", answer="It fell.", count=3)
    engine = make_engine(
        service,
        data_path,
        suffix="rag",
        seed=7,
        hyperparameters={"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5},
        validation_path=validation,
        metadata={"team": "ir"},
    )

    engine.finetune()

    assert service.bodies == [
        {
            "model": BASE,
            "training_file": "file-1",
            "validation_file": "file-2",
            "suffix": "rag",
            "seed": 7,
            "hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5},
            "metadata": {"team": "ir"},
        }
    ]
    assert [path.read_bytes() in upload for path, upload in zip((data_path, validation), service.uploads, strict=True)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "http://a.invalid/v1"}, "both a client and base_url"),
        ({"api_key": "k"}, "both a client and base_url"),
        ({"suffix": "s" * 65}, "has 65 characters; pass 1 to 64"),
        ({"poll_interval": -1.0}, "poll_interval=-1.0: below 0"),
        ({"poll_interval": math.nan}, "poll_interval=nan: below 0 or no number"),
        ({"file_timeout": -5.0}, "file_timeout=-5.0: below 0"),
        ({"model_timeout": math.nan}, "model_timeout=nan: below 0"),
        ({"suffix": ""}, "suffix '' has 0 characters"),
        ({"seed": True}, "seed=True: pass a whole number"),
        ({"seed": 1.5}, "seed=1.5: pass a whole number"),
        ({"method": "reinforcement"}, "method='reinforcement': pass 'supervised' or 'dpo'"),
        ({"hyperparameters": {"n_epochs": 0}}, "n_epochs=0: pass a whole number from 1, or 'auto'"),
        ({"hyperparameters": {"n_epochs": True}}, "n_epochs=True: pass a whole number"),
        ({"hyperparameters": {"n_epochs": 1.5}}, "n_epochs=1.5: pass a whole number"),
        ({"hyperparameters": {"batch_size": 0}}, "batch_size=0: pass a number above 0, or 'auto'"),
        ({"hyperparameters": {"beta": -0.1}}, "beta=-0.1: pass a number above 0"),
        ({"hyperparameters": {"learning_rate_multiplier": math.nan}}, "hyperparameters: cannot be sent as JSON"),
        ({"hyperparameters": {"learning_rate_multiplier": "high"}}, "learning_rate_multiplier='high': pass a number"),
        ({"hyperparameters": {"peft": {1, 2}}}, "hyperparameters: cannot be sent as JSON"),
        ({"metadata": {f"k{n}": "v" for n in range(17)}}, "metadata has 17 entries; pass at most 16"),
        ({"metadata": {"k" * 65: "v"}}, "keys have at most 64 characters, values 512"),
        ({"metadata": {"k": "v" * 513}}, "keys have at most 64 characters, values 512"),
        ({"metadata": {"k": 1}}, "metadata 'k': 1: pass texts only"),
        ({"integrations": [{"type": "wandb", "wandb": {1, 2}}]}, "integrations: cannot be sent as JSON"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_sent(
    service: Service, data_path: Path, settings: dict[str, Any], message: str
) -> None:
    """The constructor says what is wrong."""
    with pytest.raises(ConfigurationError, match=message):
        make_engine(service, data_path, **settings)


def test_a_file_or_a_job_is_needed(service: Service) -> None:
    """One of them."""
    with pytest.raises(ConfigurationError, match="neither data_path nor start_job_id was given"):
        make_engine(service, None)


METHODS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "supervised, nothing said": ({}, {}),
    "supervised, some of it": (
        {"hyperparameters": {"n_epochs": "auto", "lora_rank": 16}},
        {"hyperparameters": {"lora_rank": 16}},
    ),
    "integrations": (
        {"integrations": [{"type": "wandb", "wandb": {"project": "rag"}}]},
        {"integrations": [{"type": "wandb", "wandb": {"project": "rag"}}]},
    ),
    "nothing in them": ({"integrations": [], "metadata": {}, "hyperparameters": {}}, {}),
    "longest of all": (
        {"suffix": "s" * 64, "metadata": {"k" * 64: "v" * 512}},
        {"suffix": "s" * 64, "metadata": {"k" * 64: "v" * 512}},
    ),
}


@pytest.mark.parametrize(("asked", "sent"), METHODS.values(), ids=METHODS)
def test_a_job_is_asked_for_with_what_was_said_and_no_more(
    service: Service, data_path: Path, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    """Fields that nobody gave are left out; hyperparameters of other services go through."""
    make_engine(service, data_path, **asked).finetune()

    assert service.bodies == [{"model": BASE, "training_file": "file-1", **sent}]


@pytest.mark.parametrize(
    ("given", "sent"),
    [({}, {}), ({"n_epochs": 2, "beta": 0.1}, {"hyperparameters": {"n_epochs": 2, "beta": 0.1}})],
    ids=["nothing", "epochs and beta"],
)
def test_a_preference_job_says_its_method(
    service: Service, data_path: Path, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    """With its hyperparameters inside, not in the older field."""
    make_preferring(service, data_path, hyperparameters=given, seed=3).finetune()

    method = {"type": "dpo", "dpo": sent}
    assert service.bodies == [
        {"model": BASE, "training_file": "file-1", "validation_file": "file-2", "seed": 3, "method": method}
    ]


def test_a_file_of_the_other_format_is_refused_before_it_is_sent(service: Service, data_path: Path) -> None:
    """Chat examples are nothing for a preference job, pairs nothing for a supervised one."""
    with pytest.raises(ExamplesError):
        make_engine(service, data_path, method="dpo").finetune()
    with pytest.raises(ExamplesError):
        make_engine(service, write_pairs(data_path)).finetune()

    assert service.calls == []


def test_a_validation_file_with_errors_is_refused_before_anything_is_sent(service: Service, data_path: Path) -> None:
    """It is looked at as closely as the training file."""
    validation = data_path.with_name("validation.jsonl")
    validation.write_text('{"messages": []}\n')

    with pytest.raises(ExamplesError, match=r"validation\.jsonl"):
        make_engine(service, data_path, validation_path=validation).finetune()

    assert service.calls == []


@pytest.mark.parametrize("missing", ["data", "validation"])
def test_a_file_that_is_not_there_is_named(service: Service, data_path: Path, missing: str) -> None:
    """Nothing is sent."""
    gone = data_path.with_name("gone.jsonl")
    engine = make_engine(
        service, gone if missing == "data" else data_path, validation_path=gone if missing == "validation" else None
    )

    with pytest.raises(ExamplesError, match=r"gone\.jsonl: cannot be read"):
        engine.finetune()

    assert service.calls == []
