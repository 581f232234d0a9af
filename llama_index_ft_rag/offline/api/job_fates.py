"""What is to become of a fine-tuning job, where a fault decides it instead of the training.

In: the order that came with the request for the job, as JSON. Out: a `JobFate`, which is kept with the job and
never shown. Knows nothing of how a job is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from llama_index_ft_rag.errors import ConfigurationError

StatusToStayIn = Literal["validating_files", "queued", "running"]


@dataclass(frozen=True, kw_only=True)
class JobFate:
    """How a job ends, or that it does not; without any of it the training decides.

    Raises:
        ConfigurationError: If a value cannot be.
    """

    fails_at_step: int | None = None
    """The last training step that is reported; a training with fewer steps fails after its last one."""
    message: str = "The job failed due to an internal error"
    code: str = "server_error"
    stays: StatusToStayIn | None = None
    """A status that the job never leaves by itself; it can still be cancelled."""
    no_model: bool = False
    """It succeeds, and safety checks keep its model back."""

    def __post_init__(self) -> None:
        if self.fails_at_step is not None and self.fails_at_step < 1:
            raise ConfigurationError(f"job_fate: fails_at_step={self.fails_at_step}; steps count from 1")
        statuses = get_args(StatusToStayIn)
        if self.stays is not None and self.stays not in statuses:
            raise ConfigurationError(f"job_fate: stays={self.stays!r}; choose one of {', '.join(statuses)}")

    @classmethod
    def from_json(cls, order: Mapping[str, Any]) -> JobFate:
        """Read what `to_json` wrote, or a part of it.

        Raises:
            ConfigurationError: If it says what no job can do.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(order.keys() - known)
        if unknown:
            raise ConfigurationError(f"job_fate: unknown {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return cls(**order)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)
