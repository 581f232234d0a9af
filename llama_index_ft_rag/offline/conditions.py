"""The conditions under which the offline backend works: what an account may do, and how much of it.

In: what a user sets. Out: the same, for the endpoints to keep to. These are states of a service, as its
customers meet them; what goes wrong for a moment is a fault instead. Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, get_args

from llama_index_ft_rag.errors import ConfigurationError

MB = 1024 * 1024

Training = Literal["open", "closed", "free_plan"]


@dataclass(frozen=True, kw_only=True)
class ServiceConditions:
    """An account, and the models of a service, on a given day.

    By default nothing is limited that a small test could reach.

    Raises:
        ConfigurationError: If a value cannot be.

    Example:
        >>> ServiceConditions(training="closed", shutdown_dates={"gpt-4": "2026-10-23"}).training
        'closed'
    """

    training: Training = "open"
    """`closed`: creating a job is 403 `training_not_available`, as for most organisations since 2026."""
    max_active_jobs: int | None = None
    """Jobs that may be under way at once; one more is 429 `rate_limit_exceeded`."""
    requests_per_minute: int | None = None
    """Per model, for calls of a model; one more is 429 `rate_limit_exceeded` with `Retry-After`."""
    tokens_per_minute: int | None = None
    """Per model, counted when an answer is made: the request after the limit was passed is refused."""
    quota_tokens: int | None = None
    """Tokens until the account is used up; from then on every call of a model is 429 `insufficient_quota`."""
    max_file_bytes: int = 512 * MB
    """Largest upload, in bytes; one more byte is 413."""
    shutdown_dates: Mapping[str, str] = field(default_factory=dict)
    """ISO dates by model name. From its date on a model, and what was tuned from it, answers 404."""
    flagged_words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Words by moderation category, as `{"hate": ["foul"]}`: a training file that holds one fails its job."""

    def __post_init__(self) -> None:
        for name in ("max_active_jobs", "requests_per_minute", "tokens_per_minute", "quota_tokens", "max_file_bytes"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigurationError(f"ServiceConditions({name}={value}): cannot be below 0")
        for category, words in self.flagged_words.items():
            if isinstance(words, str):
                raise ConfigurationError(
                    f"ServiceConditions(flagged_words={{{category!r}: {words!r}}}): not a list of words; "
                    f"write it as [{words!r}]"
                )
        if self.training not in get_args(Training):
            allowed = ", ".join(get_args(Training))
            raise ConfigurationError(f"ServiceConditions(training={self.training!r}): pass one of {allowed}")
        for model, day in self.shutdown_dates.items():
            try:
                date.fromisoformat(day)
            except ValueError as exc:
                raise ConfigurationError(
                    f"ServiceConditions(shutdown_dates={{{model!r}: {day!r}}}): not a date; write it as '2026-10-23'"
                ) from exc
