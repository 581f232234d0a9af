"""Model name -> dated prices; usage -> cost.

In: a model name as a provider writes it, tuned or not, and counts of tokens. Out: a `Price` with its source and
date, and money. What is not known is `None`, never 0 or a guess. Knows no network and no clock: where a day
matters, it is passed in.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, Protocol

from llama_index_ft_rag.catalog import family, is_offline_model
from llama_index_ft_rag.price_files import is_day, is_month, read_price_rows

PriceKind = Literal["base", "tuned"]

STALE_AFTER_DAYS = 180
"""OpenAI's list got new entries four times between July and October 2026: half a year without a look is long."""


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
    holds_until: str | None = None
    """Last day for which the source announced it, where it did."""

    def is_stale(self, today: date) -> bool:
        """Whether it may have changed: older than `STALE_AFTER_DAYS`, or past the day it was announced for."""
        return self.stale_because(today) is not None

    def stale_because(self, today: date) -> str | None:
        """Why it may have changed, as the end of a sentence; `None` if it is fresh, or has no date."""
        if self.holds_until is not None and str(today) > self.holds_until:
            return f"was announced to hold through {self.holds_until}, which is past"
        day = _last_day(self.as_of)
        if day is not None and (today - day).days > STALE_AFTER_DAYS:
            return f"is as of {self.as_of}, more than {STALE_AFTER_DAYS} days ago"
        return None


@dataclass(frozen=True, kw_only=True)
class PriceEntry:
    """One line of a price list."""

    family: str
    kind: PriceKind
    price: Price


@dataclass(frozen=True, kw_only=True)
class PriceList:
    """Prices of many models, old and new ones.

    The built-in list is OpenAI's. For another service, or for your own contract, read a file in the same form:
    `PriceList.builtin().with_file("prices.json")`.
    """

    entries: tuple[PriceEntry, ...]
    """The first one that fits a question answers it."""

    @classmethod
    def builtin(cls) -> PriceList:
        """The list that comes with this package."""
        return _builtin()

    @classmethod
    def read(cls, path: str | Path) -> PriceList:
        """Read a file and nothing else: what it does not list has no price.

        Raises:
            ConfigurationError: If the file cannot be read or an entry is wrong.
        """
        return cls(entries=_newest_first(read_price_rows(Path(path))))

    def with_file(self, path: str | Path) -> PriceList:
        """This list with the entries of a file before its own, whatever their dates.

        Raises:
            ConfigurationError: If the file cannot be read or an entry is wrong.
        """
        return PriceList(entries=(*PriceList.read(path).entries, *self.entries))

    def base(self, model: str, on: date | str | None = None) -> Price | None:
        """Price of using the untuned model of this family.

        Args:
            model: Any name of a model of the family.
            on: Look up what was in force on that day; the newest price without it.
        """
        return self._price(model, "base", on)

    def tuned(self, model: str, on: date | str | None = None) -> Price | None:
        """Price of training this family (`training`) and of using a tuned model of it (the other rates)."""
        return self._price(model, "tuned", on)

    def of(self, model: str, on: date | str | None = None) -> Price | None:
        """Price of using this very model: that of a tuned one for `ft:...`, that of its base for others."""
        return self.tuned(model, on) if model.startswith("ft:") else self.base(model, on)

    def _price(self, model: str, kind: PriceKind, on: date | str | None) -> Price | None:
        if is_offline_model(model):
            return _OFFLINE_PRICE
        wanted = family(model)
        for entry in self.entries:
            if (entry.family, entry.kind) == (wanted, kind) and (on is None or entry.price.as_of <= str(on)):
                return entry.price
        return None


def base_price(model: str, *, on: date | str | None = None) -> Price | None:
    """Price of using the untuned model of this family, in the built-in list."""
    return PriceList.builtin().base(model, on)


def tuned_price(model: str, *, on: date | str | None = None) -> Price | None:
    """Price of training this family and of using a tuned model of it, in the built-in list."""
    return PriceList.builtin().tuned(model, on)


def price_notice(price: Price | None, *, today: date, name: str = "this model") -> str | None:
    """Say in one sentence that a price may have changed since it was written down; `None` if it is fresh.

    Args:
        price: The price; nothing is said of one that is not known.
        today: The day to judge it on.
        name: What it is the price of.
    """
    why = price.stale_because(today) if price else None
    if price is None or why is None:
        return None
    return f"The price of {name} {why} ({price.source}): look it up, and pass the present one in a price file."


def cost_usd(usage: TokenUsage, price: Price | None, *, batch: bool = False) -> float | None:
    """What these tokens cost; `None` where a count or a rate is missing. No cache discount.

    Args:
        usage: The tokens.
        price: The rates.
        batch: Use the rates of the provider's batch service.
    """
    if price is None:
        return None
    rate_in, rate_out = (price.batch_input, price.batch_output) if batch else (price.input, price.output)
    if usage.prompt_tokens is None or rate_in is None:
        return None
    cost = usage.prompt_tokens * rate_in
    if usage.completion_tokens is None:
        # An embedding has no output and no price for it; of a chat call the larger part would be missing.
        return cost / 1e6 if rate_out is None else None
    if rate_out is None:
        return None if usage.completion_tokens else cost / 1e6
    return (cost + usage.completion_tokens * rate_out) / 1e6


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


def dollars(value: float) -> str:
    """USD with two decimals, or with two significant digits below ten cents."""
    if value == 0 or abs(value) >= 0.1:
        return f"${value:,.2f}"
    return f"${value:.2g}" if abs(value) >= 0.0001 else f"${value:.1e}"


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
def _builtin() -> PriceList:
    with as_file(files("llama_index_ft_rag").joinpath("prices.json")) as path:
        return PriceList.read(path)


def _newest_first(rows: Iterable[Mapping[str, Any]]) -> tuple[PriceEntry, ...]:
    entries = [
        PriceEntry(
            family=family(row["family"]),
            kind=row["kind"],
            price=Price(**{name: value for name, value in row.items() if name not in ("family", "kind")}),
        )
        for row in rows
    ]
    return tuple(sorted(entries, key=lambda entry: entry.price.as_of, reverse=True))


def _last_day(as_of: str) -> date | None:
    """The day a price was certainly known: of a month its last one; `None` for words."""
    if is_day(as_of):
        return date.fromisoformat(as_of)
    if not is_month(as_of):
        return None
    year, month = int(as_of[:4]), int(as_of[5:])
    return date(year, month, calendar.monthrange(year, month)[1])
