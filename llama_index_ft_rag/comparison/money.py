"""What an arm costs: tokens per question, USD per 1,000 questions, and when training has paid for itself.

In: the answers of an arm with their usage, and a price. Out: `ArmMoney` and `BreakEven`. An unknown price is
`None`, never 0. Knows nothing of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llama_index_ft_rag.answering import Answer
from llama_index_ft_rag.break_even import BreakEven, paid_back
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.prices import Price, PriceList, cost_usd

__all__ = ["ArmMoney", "BreakEven", "PriceState", "arm_money", "break_even"]

PriceState = Literal["priced", "no price known", "no usage reported", "offline: nothing is charged"]


@dataclass(frozen=True, kw_only=True)
class ArmMoney:
    """What one arm used, and what that costs."""

    arm: str
    model: str | None
    questions: int
    """Answers whose every call came with both counts of tokens; the other numbers are about these."""
    usage: Usage
    """Sum over them."""
    prompt_tokens_per_question: float | None
    completion_tokens_per_question: float | None
    usd_per_1000_questions: float | None
    price: PriceState
    """Why there is a price or none."""
    price_source: str | None = None
    """Where the price comes from and as of when."""


def arm_money(
    arm: str,
    answers: Sequence[Answer],
    *,
    price: Price | None = None,
    prices: PriceList | None = None,
    offline: bool = False,
) -> ArmMoney:
    """Add up what an arm used, and price it.

    Args:
        arm: Its name.
        answers: What it answered, with the usage that was reported.
        price: The arm's price, where the caller knows it.
        prices: Where the price of the answers' model is looked up otherwise; the built-in list without it.
        offline: Whether nobody is charged for this arm.
    """
    counted = [answer for answer in answers if _has_tokens(answer)]
    usage = sum((answer.usage for answer in counted), Usage())
    model = next((answer.model for answer in answers if answer.model), None)
    price = None if offline else price or _listed_price(model, prices or PriceList.builtin())
    usd = cost_usd(usage, price) if counted else None
    return ArmMoney(
        arm=arm,
        model=model,
        questions=len(counted),
        usage=usage,
        prompt_tokens_per_question=_per_question(usage.prompt_tokens, len(counted)),
        completion_tokens_per_question=_per_question(usage.completion_tokens, len(counted)),
        usd_per_1000_questions=None if usd is None else 1000 * usd / len(counted),
        price=_price_state(usd, counted=bool(counted), offline=offline),
        price_source=f"{price.source}, as of {price.as_of}" if price else None,
    )


def break_even(tuned: ArmMoney, against: ArmMoney, *, training_usd: float | None) -> BreakEven | None:
    """Set the training cost against the saving per question; `None` where a price is unknown."""
    return paid_back(
        tuned.arm,
        against.arm,
        training_usd=training_usd,
        usd_per_1000_questions=tuned.usd_per_1000_questions,
        against_usd_per_1000_questions=against.usd_per_1000_questions,
    )


def _listed_price(model: str | None, prices: PriceList) -> Price | None:
    return None if model is None else prices.of(model)


def _price_state(usd: float | None, *, counted: bool, offline: bool) -> PriceState:
    if offline:
        return "offline: nothing is charged"
    if not counted:
        return "no usage reported"
    return "priced" if usd is not None else "no price known"


def _has_tokens(answer: Answer) -> bool:
    # A call that reported nothing adds nothing to the answer's sum, which would make the arm look cheap.
    reported = [answer.usage, *(call.usage for call in answer.calls)]
    return all(usage.prompt_tokens is not None and usage.completion_tokens is not None for usage in reported)


def _per_question(tokens: int | None, questions: int) -> float | None:
    return tokens / questions if tokens is not None and questions else None
