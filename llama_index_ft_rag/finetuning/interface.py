"""What every trainer looks like, whichever service or machine does the training.

In: a training file that was validated. Out: a LlamaIndex LLM that answers with the tuned model. Knows nothing
of how a service is spoken to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from llama_index.core.llms import LLM


class BaseLLMFinetuneEngine(ABC):
    """Train a model, then hand it over as an LLM.

    The same two methods as the interface of that name in the retired `llama-index-finetuning`; subclass it to
    add a trainer of your own.
    """

    @abstractmethod
    def finetune(self) -> None:
        """Start the training, or continue with the one already started; may return before it is finished."""

    @abstractmethod
    def get_finetuned_model(self, **model_kwargs: Any) -> LLM:
        """Make an LLM of the tuned model; `model_kwargs` go to its constructor."""


class SavesFinetuningEvents(Protocol):
    """Anything that can write the LLM calls it saw to a training file, such as `OpenAIFineTuningHandler`."""

    def save_finetuning_events(self, path: str) -> None:
        """Write the training file."""


@dataclass(frozen=True, kw_only=True)
class FinetuneEvent:
    """One line of a training job's own log."""

    created_at: datetime | None
    level: str
    """`info`, `warn` or `error`, as the service names them."""
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)
    """Figures the service sent along, such as `step` and `train_loss`."""
