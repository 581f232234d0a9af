"""Model name -> family, tokenizer, limits, shutdown date, and who trains it how.

In: a model name as a provider writes it, tuned or not. Out: facts. The data lie in `catalog.json` with their
sources; what is not there is `None`, never 0 or a guess. Knows no network, no clock and no prices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

TrainingService = Literal["openai", "azure", "offline"]
TrainingMethod = Literal["supervised", "dpo"]

_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4}|latest)")
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What is known of a model; `None` where nothing is."""

    family: str
    encoding: str = "o200k_base"
    exact_encoding: bool = False
    """Whether a source names this encoding; otherwise a count of tokens is an estimate."""
    context_window: int | None = None
    max_example_tokens: int | None = None
    """A longer training example is cut at its end, where the answer stands, without any error."""
    shutdown_date: date | None = None
    """Of the base model; its tuned models stop with it."""
    tunable: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainingOffer:
    """How one service trains a base model."""

    service: TrainingService
    methods: tuple[TrainingMethod, ...]
    images: bool
    """Whether training examples may hold images."""
    no_new_jobs_from: date | None
    """First day on which nobody can start a job; Azure may go on longer. `None`: no end is known."""
    tuned_until: date | None
    """Day on which tuned models stop to answer."""
    customers: str
    """Who may start a job until then."""
    source: str
    as_of: str
    """Day or month of the source."""


@dataclass(frozen=True, kw_only=True)
class WindDownStep:
    """A day from which OpenAI takes no new fine-tuning job from some organisations."""

    day: date
    closed_to: str
    source: str


def family(model: str) -> str:
    """Reduce a model name to its family: `ft:gpt-4.1-mini-2025-04-14:org::id` -> `gpt-4.1-mini`."""
    return _family(_base_name(model))


@lru_cache(maxsize=512)
def is_offline_model(model: str) -> bool:
    """Whether a model, tuned or not, is one of the offline backend's toys, which nobody is charged for."""
    return family(model).startswith("offline-")


def model_facts(model: str) -> ModelFacts:
    """Look up what is known of a model; for an unknown one, its probable encoding and nothing else."""
    catalog = _catalog()
    name = _base_name(model)
    known = catalog.families.get(_family(name))
    if known is None:
        encoding, exact = next(
            ((encoding, exact) for prefix, encoding, exact in catalog.encodings if name.startswith(prefix)),
            ("o200k_base", False),
        )
        return ModelFacts(family=_family(name), encoding=encoding, exact_encoding=exact)
    facts = {**known, **catalog.snapshots.get(name, {})}
    return ModelFacts(**{**facts, "shutdown_date": _day(facts["shutdown_date"])})


def training_offers(model: str) -> tuple[TrainingOffer, ...]:
    """The services known to train this model, or a model of its family; past offers are among them."""
    return _catalog().training.get(family(model), ())


def training_wind_down() -> tuple[WindDownStep, ...]:
    """The steps in which OpenAI ends fine-tuning, in the order of their days."""
    return _catalog().wind_down


def no_new_jobs_from() -> date:
    """Day from which OpenAI takes no new fine-tuning job from anybody."""
    return training_wind_down()[-1].day


@dataclass(frozen=True, kw_only=True)
class _Catalog:
    families: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, str]
    snapshots: Mapping[str, Mapping[str, Any]]
    encodings: Sequence[tuple[str, str, bool]]
    wind_down: tuple[WindDownStep, ...]
    training: Mapping[str, tuple[TrainingOffer, ...]]


@lru_cache(maxsize=1)
def _catalog() -> _Catalog:
    data = json.loads(files("llama_index_ft_rag").joinpath("catalog.json").read_text(encoding="utf-8"))
    return _Catalog(
        families={row["family"]: row for row in data["families"]},
        aliases=data["aliases"],
        snapshots=data["snapshots"],
        encodings=[tuple(row) for row in data["encodings"]],
        wind_down=tuple(WindDownStep(**{**row, "day": date.fromisoformat(row["day"])}) for row in data["wind_down"]),
        training=_training(data["training"]),
    )


def _training(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[TrainingOffer, ...]]:
    offers: dict[str, tuple[TrainingOffer, ...]] = {}
    for row in rows:
        known = {name: value for name, value in row.items() if name != "families"}
        days = {name: _day(row[name]) for name in ("no_new_jobs_from", "tuned_until")}
        offer = TrainingOffer(**{**known, **days, "methods": tuple(row["methods"])})
        for name in row["families"]:
            offers[name] = (*offers.get(name, ()), offer)
    return offers


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _base_name(model: str) -> str:
    """The name of the base model, with its snapshot, without `ft:` and what follows it."""
    name = model.strip().removeprefix("openai/")
    if name.startswith("ft:"):
        name = name.split(":")[1]
    for alias, known in _catalog().aliases.items():
        rest = name.removeprefix(alias)
        if rest != name and (not rest or _SNAPSHOT.fullmatch(rest)):
            return known + rest
    return name


def _family(name: str) -> str:
    known = [
        family
        for family in _catalog().families
        if name == family or (name.startswith(family) and _SNAPSHOT.fullmatch(name, len(family)))
    ]
    return max(known, key=len, default=_DATED.sub("", name))
