"""What a request for a fine-tuning job asks for.

In: the JSON body of the request. Out: its settings, or a refusal. Knows nothing of files, models or training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llama_index_ft_rag.offline.api.fields import (
    integer,
    invalid_type,
    metadata_of,
    object_of,
    optional_text,
    required_text,
)
from llama_index_ft_rag.offline.protocol import refuse
from llama_index_ft_rag.offline.responder import TrainingMethod

AUTO = "auto"

_NOT_USED = ("batch_size", "learning_rate_multiplier")


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """A request for a job, its shape checked."""

    model: str
    training_file: str
    validation_file: str | None
    method: TrainingMethod
    hyperparameters: dict[str, Any]
    """As they are reported back; `auto` where nothing was said."""
    suffix: str | None
    seed: int | None
    metadata: dict[str, str] | None

    @property
    def ignored(self) -> list[str]:
        """Hyperparameters that were set and that the offline trainers do not have."""
        return [name for name in _NOT_USED if self.hyperparameters[name] != AUTO]


def read_job_settings(body: Mapping[str, Any]) -> JobSettings:
    """Check the body of `POST /v1/fine_tuning/jobs`.

    Raises:
        Refusal: If a field is missing, wrong, or asks for something that does not exist offline.
    """
    asked = _asked_method(body)
    if body.get("integrations"):
        raise refuse("The offline backend has no integrations; leave integrations out.", param="integrations")
    return JobSettings(
        model=required_text(body, "model"),
        training_file=required_text(body, "training_file"),
        validation_file=optional_text(body, "validation_file", may_be_empty=False),
        method=asked.method,
        hyperparameters=asked.hyperparameters(),
        suffix=_suffix(body),
        seed=integer(body, "seed", minimum=0, maximum=2**31 - 1),
        metadata=metadata_of(body),
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The method of a body, with its hyperparameters as they came."""

    method: TrainingMethod = "supervised"
    given: Mapping[str, Any] = field(default_factory=dict)
    place: str = "hyperparameters"
    """Where in the body they were found."""

    def hyperparameters(self) -> dict[str, Any]:
        """Check them, and put `auto` where nothing was said."""
        checked: dict[str, Any] = {
            "n_epochs": self._whole("n_epochs", maximum=50),
            "batch_size": self._whole("batch_size", maximum=256),
            "learning_rate_multiplier": self._above_zero("learning_rate_multiplier"),
        }
        return {"beta": self._above_zero("beta", maximum=2), **checked} if self.method == "dpo" else checked

    def _whole(self, name: str, *, maximum: int) -> int | str:
        value = self.given.get(name)
        if value is None or value == AUTO:
            return AUTO
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
            raise invalid_type(f"{self.place}.{name}", f"'auto' or an integer from 1 to {maximum}", value)
        return value

    def _above_zero(self, name: str, *, maximum: float | None = None) -> float | str:
        value = self.given.get(name)
        if value is None or value == AUTO:
            return AUTO
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or value <= 0 or (maximum is not None and value > maximum):
            bound = "" if maximum is None else f" and at most {maximum:g}"
            raise invalid_type(f"{self.place}.{name}", f"'auto' or a number above 0{bound}", value)
        return value  # type: ignore[no-any-return]  # checked just above


def _asked_method(body: Mapping[str, Any]) -> _Asked:
    method = object_of(body, "method")
    if body.get("method") is None:
        # The deprecated place; it loses where there is a `method`.
        return _Asked(given=object_of(body, "hyperparameters"))
    kind = method.get("type")
    if kind not in ("supervised", "dpo"):
        raise refuse(
            f"The offline backend trains with method 'supervised' or 'dpo', not {kind!r}.",
            param="method",
            code="unsupported_method",
        )
    place = f"method.{kind}.hyperparameters"
    settings = object_of(method, f"method.{kind}")
    return _Asked(method=kind, given=object_of(settings, place), place=place)


def _suffix(body: Mapping[str, Any]) -> str | None:
    suffix = optional_text(body, "suffix", may_be_empty=False)
    if suffix is not None and len(suffix) > 64:
        raise refuse(f"Invalid 'suffix': at most 64 characters, but it has {len(suffix)}.", param="suffix")
    return suffix
