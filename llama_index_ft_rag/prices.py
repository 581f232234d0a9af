"""Model name -> dated prices; usage -> cost.

In: a model name as a provider writes it, tuned or not, and counts of tokens. Out: a `Price` with its source and
date, and money. What is not known is `None`, never 0 or a guess. Knows no network and no clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Literal, Protocol

from llama_index_ft_rag.catalog import family, is_offline_model


class TokenUsage(Protocol):
    """Anything that knows how many tokens went in and came out."""

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens that went in."""

    @property
    def completion_tokens(self) -> int | None:
        """Tokens that came out."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """USD per 1 million tokens; `None` where a rate is not known or the thing is not sold."""

    input: float | None = None
    cached_input: float | None = None
    output: float | None = None
    training: float | None = None
    batch_input: float | None = None
    batch_output: float | None = None
    source: str
    as_of: str
    """Day or month, as in 2026-06."""


def base_price(model: str, *, on: date | str | None = None) -> Price | None:
    """Price of using the untuned model of this family.

    Args:
        model: Any name of a model of the family.
        on: Look up what was in force on that day; the newest price without it.
    """
    return _price(family(model), "base", on)


def tuned_price(model: str, *, on: date | str | None = None) -> Price | None:
    """Price of training this family (`training`) and of using a tuned model of it (the other rates)."""
    return _price(family(model), "tuned", on)


def cost_usd(usage: TokenUsage, price: Price | None) -> float | None:
    """What these tokens cost; `None` where a count or a rate is missing. No batch or cache discount."""
    if price is None or usage.prompt_tokens is None or price.input is None:
        return None
    cost = usage.prompt_tokens * price.input
    if usage.completion_tokens is None:
        # An embedding has no output and no price for it; of a chat call the larger part would be missing.
        return cost / 1e6 if price.output is None else None
    if price.output is None:
        return None if usage.completion_tokens else cost / 1e6
    return (cost + usage.completion_tokens * price.output) / 1e6


def training_cost_usd(tokens: int, *, epochs: int, price: Price | None) -> float | None:
    """What training on so many tokens costs; each epoch is charged."""
    if price is None or price.training is None:
        return None
    return tokens * epochs * price.training / 1e6


def default_epochs(n_examples: int) -> int:
    """How many epochs to expect: 3, moved within 1 to 25 so that 100 to 25,000 examples are seen.

    OpenAI's cookbook estimates them so; what the service really chooses stands in the job.
    """
    examples = max(1, n_examples)
    if examples * 3 < 100:
        return min(25, 100 // examples)
    if examples * 3 > 25_000:
        return max(1, 25_000 // examples)
    return 3


def _price(family: str, kind: Literal["base", "tuned"], on: date | str | None) -> Price | None:
    if is_offline_model(family):
        return _OFFLINE_PRICE
    rows = _price_lists().get((family, kind), ())
    return next((row for row in reversed(rows) if on is None or row.as_of <= str(on)), None)


_OFFLINE_PRICE = Price(
    input=0.0,
    cached_input=0.0,
    output=0.0,
    training=0.0,
    batch_input=0.0,
    batch_output=0.0,
    source="offline backend: nothing is charged",
    as_of="any day",
)


@lru_cache(maxsize=1)
def _price_lists() -> Mapping[tuple[str, str], Sequence[Price]]:
    """By family and kind, oldest first."""
    data = json.loads(files("llama_index_ft_rag").joinpath("prices.json").read_text(encoding="utf-8"))
    lists: dict[tuple[str, str], list[Price]] = {}
    for row in sorted(data["prices"], key=lambda row: str(row["as_of"])):
        key = (row.pop("family"), row.pop("kind"))
        lists.setdefault(key, []).append(Price(**row))
    return lists
