"""What a request for a batch asks for.

In: the JSON body of the request. Out: its settings, or a refusal. Knows nothing of the input file, which is
looked at later and fails the batch, not the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.protocol import invalid_type, read_metadata, refuse, required_text

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")
"""What the lines of a batch may call."""
COMPLETION_WINDOW = "24h"

# Where nothing else was asked for, the service keeps the files of a batch for as long as it keeps any.
_LIFETIME_SECONDS = (3600, 2_592_000)


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """A request for a batch, its shape checked."""

    input_file_id: str
    endpoint: str
    metadata: dict[str, str] | None
    lifetime: int
    """Seconds for which the output file and the error file are kept."""


def read_batch_settings(body: Mapping[str, Any]) -> BatchSettings:
    """Check the body of `POST /v1/batches`.

    Raises:
        Refusal: If a field is missing or wrong.
    """
    _one_of(body, "completion_window", [COMPLETION_WINDOW])
    return BatchSettings(
        input_file_id=required_text(body, "input_file_id"),
        endpoint=_one_of(body, "endpoint", ENDPOINTS),
        metadata=read_metadata(body),
        lifetime=_lifetime(body.get("output_expires_after")),
    )


def _one_of(body: Mapping[str, Any], name: str, supported: Sequence[str]) -> str:
    value = required_text(body, name)
    if value not in supported:
        *most, last = (f"'{item}'" for item in supported)
        known = f"{', '.join(most)}, and {last}" if most else last
        raise refuse(
            f"Invalid value: '{value}'. Supported values are: {known}.",
            param=name,
            code="invalid_value",
        )
    return value


def _lifetime(given: Any) -> int:
    low, high = _LIFETIME_SECONDS
    if given is None:
        return high
    if not isinstance(given, dict):
        raise invalid_type("output_expires_after", "an object", given)
    asked = {f"output_expires_after.{name}": value for name, value in given.items()}
    _one_of(asked, "output_expires_after.anchor", ["created_at"])
    seconds = asked.get("output_expires_after.seconds")
    if type(seconds) is not int or not low <= seconds <= high:
        raise invalid_type("output_expires_after.seconds", f"an integer from {low} to {high}", seconds)
    return seconds
