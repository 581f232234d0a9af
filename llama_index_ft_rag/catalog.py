"""Model name -> family, tokenizer, limits, shutdown date and dated prices; usage -> cost.

In: a model name as a provider writes it, tuned or not, and counts of tokens. Out: facts, prices and money.
The data lie in `catalog.json`, each price with its source and its date; what is not there is `None`, never 0
or a guess. Knows no network and no clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, Protocol

from llama_index_ft_rag.tokenizer import TokenCount, count_encoded

__all__ = [
    "ModelFacts",
    "Price",
    "TokenCount",
    "base_price",
    "cost_usd",
    "count_example_tokens",
    "count_tokens",
    "default_epochs",
    "family",
    "model_facts",
    "no_new_jobs_from",
    "training_cost_usd",
    "tuned_price",
]

_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4}|latest)")
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_OFFLINE = "offline-"
# OpenAI's chat format adds these to every message, to a message with a name, and to the whole.
_PER_MESSAGE, _PER_NAME, _PER_EXAMPLE = 3, 1, 3


class TokenUsage(Protocol):
    """Anything that knows how many tokens went in and came out."""

    @property
    def prompt_tokens(self) -> int | None: ...

    @property
    def completion_tokens(self) -> int | None: ...


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
    down = facts.pop("shutdown_date")
    return ModelFacts(**facts, shutdown_date=date.fromisoformat(down) if down else None)


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


def count_tokens(text: str, *, model: str) -> TokenCount:
    """Count the tokens of a text as this model sees it; exact only where its encoding is known."""
    facts = model_facts(model)
    count = count_encoded(text, encoding=facts.encoding)
    return count if facts.exact_encoding else TokenCount(tokens=count.tokens, exact=False)


def count_example_tokens(line: Mapping[str, Any], *, model: str) -> TokenCount:
    """Count the tokens of one training line in chat or preference format; no content makes this fail.

    Images count as nothing and make the count an estimate.
    """
    facts = model_facts(model)
    total = TokenCount(tokens=0, exact=facts.exact_encoding)
    for messages, tools in _conversations(line):
        total += TokenCount(tokens=_PER_EXAMPLE, exact=True)
        for text in _texts(messages, tools):
            total += count_encoded(text, encoding=facts.encoding) if text is not None else _UNCOUNTED
        named = sum(1 for message in messages if message.get("name"))
        total += TokenCount(tokens=_PER_MESSAGE * len(messages) + _PER_NAME * named, exact=True)
    return total


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


def no_new_jobs_from() -> date:
    """Day from which OpenAI takes no new fine-tuning job from anybody."""
    return _catalog().no_new_jobs_from


_UNCOUNTED = TokenCount(tokens=0, exact=False)


@dataclass(frozen=True, kw_only=True)
class _Catalog:
    families: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, str]
    snapshots: Mapping[str, Mapping[str, Any]]
    encodings: Sequence[tuple[str, str, bool]]
    prices: Mapping[tuple[str, str], Sequence[Price]]
    """By family and kind, oldest first."""
    no_new_jobs_from: date


@lru_cache(maxsize=1)
def _catalog() -> _Catalog:
    data = json.loads(files("llama_index_ft_rag").joinpath("catalog.json").read_text(encoding="utf-8"))
    prices: dict[tuple[str, str], list[Price]] = {}
    for row in sorted(data["prices"], key=lambda row: str(row["as_of"])):
        key = (row.pop("family"), row.pop("kind"))
        prices.setdefault(key, []).append(Price(**row))
    return _Catalog(
        families={row["family"]: row for row in data["families"]},
        aliases=data["aliases"],
        snapshots=data["snapshots"],
        encodings=[tuple(row) for row in data["encodings"]],
        prices=prices,
        no_new_jobs_from=date.fromisoformat(data["no_new_jobs_from"]),
    )


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


def _price(family: str, kind: Literal["base", "tuned"], on: date | str | None) -> Price | None:
    if family.startswith(_OFFLINE) and family in _catalog().families:
        return _OFFLINE_PRICE
    rows = _catalog().prices.get((family, kind), ())
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


def _conversations(line: Mapping[str, Any]) -> Iterator[tuple[list[Mapping[str, Any]], Any]]:
    """The messages and tools a line is trained on: one conversation, or three lists of a preference pair."""
    pair = line.get("input")
    if not isinstance(pair, Mapping):
        yield _messages(line.get("messages")), line.get("tools") or line.get("functions")
        return
    yield _messages(pair.get("messages")), pair.get("tools")
    for key in ("preferred_output", "non_preferred_output"):
        yield _messages(line.get(key)), None


def _messages(value: Any) -> list[Mapping[str, Any]]:
    return [message for message in value if isinstance(message, Mapping)] if isinstance(value, list) else []


def _texts(messages: Sequence[Mapping[str, Any]], tools: Any) -> Iterator[str | None]:
    """Every text a provider would tokenize; `None` for a part that is no text."""
    if tools:
        yield _as_text(tools)
    for message in messages:
        for key in ("role", "name", "content", "refusal", "tool_calls", "function_call"):
            value = message.get(key)
            if key == "content" and isinstance(value, list):
                yield from (_part_text(part) for part in value)
            elif value is not None:
                yield _as_text(value)


def _part_text(part: Any) -> str | None:
    if not isinstance(part, Mapping):
        return _as_text(part)
    text = part.get("text", part.get("refusal"))
    return text if isinstance(text, str) else None


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, TypeError, ValueError):
        return ""  # nested too deeply, or with itself inside: no service would accept it either
