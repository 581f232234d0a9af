"""What is asked of a training job besides its files: method, hyperparameters, seed, suffix, labels.

In: what a user passes. Out: the same, checked as far as no service is needed for it, and the fields of a request.
Knows no files and no network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.training_format import TrainingFormat

Method = Literal["supervised", "dpo"]

_LONGEST_SUFFIX = 64
_LARGEST = 1e9
"""No hyperparameter is larger; one that is could not even be turned into a float."""
_MOST_METADATA, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """Everything in a request for a job but the model and the files.

    Raises:
        ConfigurationError: If no service would take it.
    """

    method: Method = "supervised"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """`n_epochs`, `batch_size`, `learning_rate_multiplier`, for `dpo` also `beta`, or what else a service takes."""
    seed: int | None = None
    suffix: str | None = None
    """Goes into the tuned model's name."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    integrations: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            known = " or ".join(repr(name) for name in get_args(Method))
            raise ConfigurationError(f"method={self.method!r}: pass {known}, the methods this package trains with")
        if self.suffix is not None and not 0 < len(self.suffix) <= _LONGEST_SUFFIX:
            raise ConfigurationError(
                f"suffix {self.suffix!r} has {len(self.suffix)} characters; pass 1 to {_LONGEST_SUFFIX}"
            )
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, int)):
            raise ConfigurationError(f"seed={self.seed!r}: pass a whole number")
        _check_json("suffix", self.suffix)
        _check_hyperparameters(self.hyperparameters)
        _check_metadata(self.metadata)
        _check_json("integrations", list(self.integrations))

    @property
    def format(self) -> TrainingFormat:
        """Format of the files that a job of this method reads."""
        return "preference" if self.method == "dpo" else "chat"

    @property
    def n_epochs(self) -> int | None:
        """The number of epochs asked for, where one was."""
        epochs = self.hyperparameters.get("n_epochs")
        return epochs if isinstance(epochs, int) else None

    def identity(self) -> dict[str, Any]:
        """What makes this another job; labels and integrations do not."""
        # 2.0 is 2, and "auto" is what a service does when nothing is said.
        given = {name: _plain(value) for name, value in self.hyperparameters.items() if value not in (None, "auto")}
        found = {"suffix": self.suffix, "seed": self.seed, "hyperparameters": given or None}
        if self.method != "supervised":
            found["method"] = self.method
        return {name: value for name, value in found.items() if value is not None}

    def body(self) -> dict[str, Any]:
        """The fields of the request, without those the caller said nothing about: not every service takes them."""
        body = self.identity()
        if self.method != "supervised":
            given = body.pop("hyperparameters", None)
            body["method"] = {"type": self.method, self.method: {"hyperparameters": given} if given else {}}
        # Else the older `hyperparameters` field: OpenAI still takes it, others only it.
        if self.metadata:
            body["metadata"] = dict(self.metadata)
        if self.integrations:
            body["integrations"] = [dict(one) for one in self.integrations]
        return body


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_hyperparameters(given: Mapping[str, Any]) -> None:
    _check_json("hyperparameters", dict(given))
    epochs = given.get("n_epochs", "auto")
    if epochs != "auto" and (isinstance(epochs, bool) or not isinstance(epochs, int) or not 1 <= epochs < _LARGEST):
        raise ConfigurationError(f"n_epochs={epochs!r}: pass a whole number from 1, or 'auto'")
    for name in ("batch_size", "learning_rate_multiplier", "beta"):
        value = given.get(name, "auto")
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value != "auto" and not (is_number and 0 < value < _LARGEST):
            raise ConfigurationError(f"{name}={value!r}: pass a number above 0, or 'auto'")


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) > _MOST_METADATA:
        raise ConfigurationError(f"metadata has {len(metadata)} entries; pass at most {_MOST_METADATA}")
    _check_json("metadata", dict(metadata))
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ConfigurationError(f"metadata {key!r}: {value!r}: pass texts only")
        if len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            raise ConfigurationError(
                f"metadata {key[:20]!r}: keys have at most {_LONGEST_KEY} characters, values {_LONGEST_VALUE}"
            )


def _check_json(name: str, value: Any) -> None:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{name}: cannot be sent as JSON ({exc}); pass plain values") from exc
