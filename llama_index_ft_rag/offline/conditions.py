"""The conditions under which the offline backend works: what an account may do, and how much of it.

In: what a user sets. Out: the same, for the endpoints to keep to. These are states of a service, as its
customers meet them; what goes wrong for a moment is a fault instead. Knows nothing of requests.
"""

from __future__ import annotations

import re
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
    """`closed`: creating a job is 403 `training_not_available`, as for new organisations since 2026-05-07."""
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
        if self.training not in get_args(Training):
            raise _refused("training", self.training, f"pass one of {', '.join(get_args(Training))}")
        for name in ("max_active_jobs", "requests_per_minute", "tokens_per_minute", "quota_tokens"):
            value = getattr(self, name)
            if value is not None and not _is_count(value):
                raise _refused(name, value, "pass a whole number from 0, or None for no limit")
        if not _is_count(self.max_file_bytes):
            raise _refused("max_file_bytes", self.max_file_bytes, "pass a whole number of bytes")
        _check_dates(self.shutdown_dates)
        _check_words(self.flagged_words)


def _check_dates(dates: object) -> None:
    if not isinstance(dates, Mapping):
        raise _refused("shutdown_dates", dates, "pass a dict, as {'gpt-4': '2026-10-23'}")
    if not all(_is_date(day) for day in dates.values()):
        raise _refused("shutdown_dates", dict(dates), "write a date as '2026-10-23'")


def _check_words(flagged: object) -> None:
    if not isinstance(flagged, Mapping):
        raise _refused("flagged_words", flagged, "pass a dict, as {'hate': ['foul']}")
    for words in flagged.values():
        if isinstance(words, str):
            raise _refused("flagged_words", dict(flagged), f"write a list of words as [{words!r}]")


def _refused(name: str, value: object, cure: str) -> ConfigurationError:
    return ConfigurationError(f"ServiceConditions({name}={value!r}): {cure}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_date(value: object) -> bool:
    # Not fromisoformat alone: which other spellings it takes depends on the version of Python.
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
