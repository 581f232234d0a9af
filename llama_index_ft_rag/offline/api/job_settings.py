"""What a request for a fine-tuning job asks for.

In: the JSON body of the request. Out: its settings, or a refusal. Knows nothing of files, models or training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.protocol import invalid_type, refuse, required_text

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """A request for a job, its shape checked."""

    model: str
    training_file: str
    validation_file: str | None
    n_epochs: int | None
    """`None`: the service chooses."""
    ignored: tuple[str, ...]
    """Hyperparameters that were set and that the offline trainers do not have."""
    hyperparameters: dict[str, Any]
    """As they are reported back; `auto` where nothing was said."""
    suffix: str | None
    seed: int | None
    metadata: dict[str, str] | None


def read_settings(body: Mapping[str, Any]) -> JobSettings:
    """Check the body of `POST /v1/fine_tuning/jobs`.

    Raises:
        Refusal: If a field is missing, wrong, or asks for something that does not exist offline.
    """
    given = _hyperparameters(body)
    if body.get("integrations"):
        raise refuse("The offline backend has no integrations; leave integrations out.", param="integrations")
    n_epochs = _number(given, "n_epochs", 50)
    batch_size = _number(given, "batch_size", 256)
    rate = _rate(given)
    return JobSettings(
        model=required_text(body, "model"),
        training_file=required_text(body, "training_file"),
        validation_file=_optional_text(body, "validation_file"),
        n_epochs=n_epochs,
        ignored=tuple(
            name
            for name, value in (("batch_size", batch_size), ("learning_rate_multiplier", rate))
            if value is not None
        ),
        hyperparameters={
            "n_epochs": n_epochs or AUTO,
            "batch_size": batch_size or AUTO,
            "learning_rate_multiplier": rate or AUTO,
        },
        suffix=_suffix(body),
        seed=_seed(body),
        metadata=_metadata(body),
    )


def default_epochs(n_examples: int) -> int:
    """Choose the epochs that `auto` means: 3, more for few examples, fewer for very many."""
    if n_examples * 3 < 100:
        return min(25, max(1, 100 // n_examples))
    if n_examples * 3 > 25_000:
        return max(1, 25_000 // n_examples)
    return 3


def _hyperparameters(body: Mapping[str, Any]) -> Mapping[str, Any]:
    method = body.get("method")
    if method is None:
        return _object(body.get("hyperparameters"), "hyperparameters")
    kind = _object(method, "method").get("type")
    if kind != "supervised":
        raise refuse(
            f"The offline backend trains with method 'supervised' only, not {kind!r}.",
            param="method",
            code="unsupported_method",
        )
    settings = _object(method.get("supervised"), "method.supervised")
    # `hyperparameters` beside `method` is the deprecated place, and loses.
    return _object(settings.get("hyperparameters"), "method.supervised.hyperparameters")


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_type(name, "an object", value)
    return value


def _number(given: Mapping[str, Any], name: str, maximum: int) -> int | None:
    value = given.get(name)
    if value is None or value == AUTO:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise invalid_type(f"hyperparameters.{name}", f"'auto' or an integer from 1 to {maximum}", value)
    return value


def _rate(given: Mapping[str, Any]) -> float | None:
    value = given.get("learning_rate_multiplier")
    if value is None or value == AUTO:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise invalid_type("hyperparameters.learning_rate_multiplier", "'auto' or a number above 0", value)
    return value


def _optional_text(body: Mapping[str, Any], name: str) -> str | None:
    return None if body.get(name) is None else required_text(body, name)


def _suffix(body: Mapping[str, Any]) -> str | None:
    suffix = _optional_text(body, "suffix")
    if suffix is not None and len(suffix) > 64:
        raise refuse(f"Invalid 'suffix': at most 64 characters, but it has {len(suffix)}.", param="suffix")
    return suffix


def _seed(body: Mapping[str, Any]) -> int | None:
    seed = body.get("seed")
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise invalid_type("seed", "an integer from 0 to 2147483647", seed)
    return seed


def _metadata(body: Mapping[str, Any]) -> dict[str, str] | None:
    given = body.get("metadata")
    if given is None:
        return None
    if not isinstance(given, dict) or len(given) > 16:
        raise invalid_type("metadata", "an object with at most 16 pairs", given)
    for key, value in given.items():
        if len(key) > 64 or not isinstance(value, str) or len(value) > 512:
            raise invalid_type("metadata", "keys of at most 64 and texts of at most 512 characters", {key: value})
    return dict(given)
