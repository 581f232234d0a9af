"""What a training run would cost, as figures and as text.

In: figures that somebody worked out. Out: `CostEstimate`, which renders itself. Knows nothing of files, price
lists or how the figures came about.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from llama_index_ft_rag.break_even import BreakEven
from llama_index_ft_rag.prices import Price, dollars

PricedRole = Literal["base", "tuned", "teacher"]
UsageFrom = Literal["given", "training examples", "not known"]

_WIDTH, _INDENT = 80, 20


@dataclass(frozen=True, kw_only=True)
class QuestionUsage:
    """Tokens of one question, all its calls together."""

    prompt_tokens: float | None
    completion_tokens: float | None
    source: UsageFrom
    """`training examples` marks an estimate: one call a question, as long as the mean example."""


@dataclass(frozen=True, kw_only=True)
class RoleCost:
    """What 1,000 questions cost with one model."""

    role: PricedRole
    model: str
    """The base model's name for the tuned one, which has none yet."""
    usd_per_1000_questions: float | None
    batch_usd_per_1000_questions: float | None
    """Through the provider's batch service."""
    price: Price | None

    @property
    def name(self) -> str:
        """Role and model, for people."""
        return f"{self.role} ({self.model})"


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """What a training run would cost, and when it would have paid for itself."""

    student: str
    teacher: str | None
    training_tokens: int
    """In one pass over the file."""
    training_tokens_exact: bool
    epochs: int
    training_usd: float | None
    """All epochs together."""
    usage: QuestionUsage
    costs: tuple[RoleCost, ...]
    """Base, tuned, and teacher if one was named."""
    against_base: BreakEven | None
    against_teacher: BreakEven | None
    notes: tuple[str, ...] = ()

    def render(self) -> str:
        """Readable text, at most 80 columns wide where words allow it."""
        lines = ["Costs before the job, in USD (estimates)"]
        named = ""
        for name, value in self._facts():
            lines.append(_entry(name if name != named else "", value))
            named = name
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        return asdict(self)

    def _facts(self) -> Iterator[tuple[str, str]]:
        about = "" if self.training_tokens_exact else "about "
        size = f"{about}{self.training_tokens:,} tokens x {_plural(self.epochs, 'epoch')}"
        yield "training", f"{size}: {self._training_words(about)}"
        yield "per question", self._usage_words()
        for row in self.costs:
            yield "1,000 questions", f"{row.name}: {_cost_words(row)}"
        yield "pays for itself", f"against base {self._payback_words('base', self.against_base)}"
        if self.teacher is not None:
            yield "pays for itself", f"against the teacher {self._payback_words('teacher', self.against_teacher)}"
        for source in dict.fromkeys(f"{row.price.source}, as of {row.price.as_of}" for row in self.costs if row.price):
            yield "prices", source
        for note in self.notes:
            yield "note", note

    def _training_words(self, about: str) -> str:
        price = next((row.price for row in self.costs if row.role == "tuned"), None)
        if self.training_usd is None or price is None or price.training is None:
            return "not known"
        return f"{about}{dollars(self.training_usd)} ({dollars(price.training)} per 1M tokens)"

    def _usage_words(self) -> str:
        prompt, completion = self.usage.prompt_tokens, self.usage.completion_tokens
        if prompt is None or completion is None:
            return "not known: pass the tokens of a question"
        guess = self.usage.source == "training examples"
        words = f"{'about ' if guess else ''}{prompt:,.0f} tokens in, {completion:,.0f} out"
        return f"{words} (an estimate: means of the training examples)" if guess else words

    def _payback_words(self, role: PricedRole, even: BreakEven | None) -> str:
        if even is None:
            return "not known"
        if even.questions is None:
            return f"never: a question costs no less than with {role}"
        return f"after {_plural(even.questions, 'question')}"


def _cost_words(row: RoleCost) -> str:
    now, batch = row.usd_per_1000_questions, row.batch_usd_per_1000_questions
    if now is None and batch is None:
        return "not known"
    return f"{_or_unknown(now)}, in batches {_or_unknown(batch)}"


def _or_unknown(usd: float | None) -> str:
    return "not known" if usd is None else dollars(usd)


def _entry(name: str, value: str) -> str:
    first = f"  {name:<{_INDENT - 2}}"
    return textwrap.fill(
        value,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
