"""A job, its log and its figures -> words for a terminal, or values for JSON.

In: what a service says of a job. Out: text in which nothing of it has an effect, and plain values. Asks nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_index_ft_rag.cli.failures import without_keys
from llama_index_ft_rag.cli.job_services import JobPlace, is_openai_default
from llama_index_ft_rag.cost_estimate import CostEstimate
from llama_index_ft_rag.finetuning import FinetuneEvent
from llama_index_ft_rag.finetuning.outcome import JobState
from llama_index_ft_rag.hostile_text import one_line
from llama_index_ft_rag.prices import PriceList, dollars, training_cost_usd

CANCELLED = ("cancelled", "canceled")
_PAUSED = ("paused", "pausing")
_LONGEST = 500
_NAME_WIDTH = 11
# What JSON allows unescaped in a text, and a terminal obeys.
_SPECIAL = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What a training was expected to take, beside what it took."""

    costs: CostEstimate
    prices: PriceList

    @property
    def estimated_tokens(self) -> int:
        """In all epochs together."""
        return self.costs.training_tokens * self.costs.epochs

    def usd(self, state: JobState) -> float | None:
        """Price of the tokens that the service says it trained on; `None` where one of both is not known."""
        if state.trained_tokens is None:
            return None
        price = self.prices.tuned(self.costs.student)
        return training_cost_usd(state.trained_tokens, epochs=1, price=price)

    def lines(self, state: JobState) -> Iterator[str]:
        """Tokens and price, each beside its estimate."""
        about = "" if self.costs.training_tokens_exact else "about "
        expected = f"{about}{self.estimated_tokens:,} estimated"
        trained = f"{state.trained_tokens:,} tokens ({expected})" if state.trained_tokens is not None else expected
        yield from _entry("trained", trained)
        usd, before = self.usd(state), self.costs.training_usd
        if before is not None:
            expected = f"{dollars(before)} estimated"
            yield from _entry("price", f"{dollars(usd)} ({expected})" if usd is not None else expected)

    def to_dict(self, state: JobState) -> dict[str, Any]:
        """The same as JSON-able values."""
        return {
            "estimated_tokens": self.estimated_tokens,
            "training_usd": self.usd(state),
            "estimated_usd": self.costs.training_usd,
        }


def harmless(text: str) -> str:
    """One line of what a service says."""
    return one_line(without_keys(text), limit=_LONGEST)


def error_of(state: JobState) -> str | None:
    """Why a job that has ended, and was not cancelled, has no model; `None` where that is not so."""
    lost = state.status == "succeeded" and state.tuned_model is None
    if state.status != "failed" and not lost:
        return None
    details = " ".join(f"({detail})" for detail in (state.error_code, state.error_param) if detail)
    missing = "no tuned model was released; the service's safety checks may have blocked it"
    reason = state.error_message or (missing if lost else "the service gave no reason")
    return harmless(f"{reason} {details}".rstrip()).rstrip(".")


def next_step(state: JobState, place: JobPlace) -> str | None:
    """What to do about a job as it is; `None` where its model is there."""
    if state.status in CANCELLED:
        return "`ft-rag finetune` with --force starts another job of the same file"
    if error_of(state) is not None:
        return (
            f"`{place.command('events')}` shows its log; mend the training file and run `ft-rag finetune` again, or"
            " start another job of the same file with --force"
        )
    if state.status == "succeeded":
        return None
    return f"`{place.command('resume' if state.status in _PAUSED else 'wait')}`"


def describe(state: JobState, place: JobPlace, *, bill: Bill | None = None) -> Iterator[str]:
    """Everything that is known of a job, line by line."""
    yield from _entry("job", state.job_id)
    yield from _entry("status", state.status)
    yield from _entry("model", state.base_model)
    yield from _entry("method", state.method)
    yield from _entry("tuned model", state.tuned_model)
    if bill is not None:
        yield from bill.lines(state)
    elif state.trained_tokens is not None:
        yield from _entry("trained", f"{state.trained_tokens:,} tokens")
    if not state.is_finished and state.estimated_finish is not None:
        yield from _entry("expected", f"{state.estimated_finish:%Y-%m-%d %H:%M} UTC, says the service")
    yield from _entry("finished", f"{state.finished_at:%Y-%m-%d %H:%M} UTC" if state.finished_at else None)
    yield from _entry("error", error_of(state))
    yield from _entry("next", next_step(state, place))
    if state.status == "succeeded" and state.tuned_model is not None:
        yield "\nUse the tuned model:\n"
        yield from how_to_use(state, place)


def how_to_use(state: JobState, place: JobPlace) -> Iterator[str]:
    """Three lines of Python that make an LLM of the tuned model."""
    offline = place.endpoint.offline
    if isinstance(offline, Path):
        name, maker = "Endpoint", f"Endpoint.for_offline({str(offline)!r}).llm({state.tuned_model!r})"
    else:
        base = place.base_model or state.base_model or ""
        url = "" if is_openai_default(place.endpoint) else f", base_url={place.endpoint.base_url!r}"
        name = "OpenAIFinetuneEngine"
        maker = f"{name}.from_job({state.job_id!r}, base_model={base!r}{url}).get_finetuned_model()"
    yield f"    from llama_index_ft_rag import {name}"
    yield f"    llm = {one_line(maker)}"
    yield "    query_engine = index.as_query_engine(llm=llm)"


def as_values(state: JobState, place: JobPlace) -> dict[str, Any]:
    """A job as JSON-able values."""
    return {
        "job_id": state.job_id,
        "status": state.status,
        "base_model": state.base_model,
        "method": state.method,
        "tuned_model": state.tuned_model,
        "trained_tokens": state.trained_tokens,
        "estimated_finish": state.estimated_finish.isoformat() if state.estimated_finish else None,
        "finished_at": state.finished_at.isoformat() if state.finished_at else None,
        "error": error_of(state),
        "error_code": state.error_code,
        "error_param": state.error_param,
        "endpoint": place.endpoint.base_url,
    }


def event_line(event: FinetuneEvent) -> str:
    """A line of a job's own log."""
    time = f"{event.created_at:%Y-%m-%d %H:%M:%S}" if event.created_at else "-" * 19
    level = "" if event.level == "info" else f"{harmless(event.level)}: "
    return f"{time}  {level}{harmless(event.message)}"


def event_values(event: FinetuneEvent) -> dict[str, Any]:
    """A line of a job's own log as JSON-able values."""
    return {
        "created_at": event.created_at.isoformat() if event.created_at else None,
        "level": event.level,
        "message": event.message,
        "data": dict(event.data),
    }


def json_text(values: dict[str, Any], *, indent: int | None = 2) -> str:
    """One JSON object, in which no letter of a service moves a terminal's cursor."""
    # A loss that is no number any more has no JSON of its own.
    strict = json.loads(json.dumps(values), parse_constant=lambda _: None)
    text = json.dumps(strict, ensure_ascii=False, indent=indent)
    return _SPECIAL.sub(lambda found: f"\\u{ord(found.group()):04x}", text) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns that stand below each other, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([first.strip().ljust(widths[0]), *others]).rstrip()


def _entry(name: str, value: str | None) -> Iterator[str]:
    if value:
        yield f"{name:<{_NAME_WIDTH}} {harmless(value)}"
