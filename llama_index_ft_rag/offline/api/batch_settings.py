"""What a request for a batch asks for.

In: the JSON body of the request. Out: its settings, or a refusal. Knows nothing of the input file, which is
looked at later and fails the batch, not the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.api.fields import (
    LIFETIME_SECONDS,
    lifetime_of,
    metadata_of,
    required_choice,
    required_text,
)

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")
"""What the lines of a batch may call."""
COMPLETION_WINDOW = "24h"


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
    required_choice(body, "completion_window", [COMPLETION_WINDOW])
    return BatchSettings(
        input_file_id=required_text(body, "input_file_id"),
        endpoint=required_choice(body, "endpoint", ENDPOINTS),
        metadata=metadata_of(body),
        lifetime=lifetime_of(body, "output_expires_after") or LIFETIME_SECONDS[1],
    )
