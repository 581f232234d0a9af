"""What differs from one trainer to the next: `TrainerForm`, and what all of their configurations are made of.

In: nothing. Out: types, and the settings that every configuration starts from. Each trainer's own module fills a
`TrainerForm`; knows nothing of any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.examples import TrainingExample

Row = dict[str, Any]

TRAIN_FILE = "train.jsonl"
VALIDATION_FILE = "validation.jsonl"
TRAINED_FOLDER = "trained"
"""Where a trainer on one's own machine puts its result, within the exported folder."""

LORA_RANK = 16
LORA_ALPHA = 32
LEARNING_RATE = 0.0001
ROWS_PER_STEP = 8
"""Starting points for LoRA on some hundred examples, not tuned to any data; the files are there to be edited."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What a configuration has to say."""

    model: str
    epochs: int
    seed: int
    sequence_length: int
    """Tokens that the longest example should need, an estimate with room to spare."""
    rows: Mapping[str, Sequence[Row]]
    """The file of each split that has rows, with its rows."""

    @property
    def has_validation(self) -> bool:
        """Whether there is a file to validate with."""
        return VALIDATION_FILE in self.rows

    def has_field(self, field: str) -> bool:
        """Whether a message of any row has this field."""
        return any(field in message for rows in self.rows.values() for row in rows for message in row["messages"])


@dataclass(frozen=True, kw_only=True)
class TrainerForm:
    """How one trainer takes its data and settings, and where that is written."""

    title: str
    row: Callable[[TrainingExample], Row]
    """Raises `InexpressibleError` for an example that the trainer would refuse or train on differently."""
    finish: Callable[[Sequence[Row]], list[Row]] = list
    """What is done to all rows of a file."""
    configuration: Callable[[TrainingPlan], Mapping[str, str]]
    """The other files, each with its text."""
    install: str
    command: str
    """What to run within the folder."""
    default_model: str
    versions: str
    """Of what the files were written for."""
    sources: tuple[str, ...]
    """Where the format is described."""
    fewest: int = 1
    """Examples that the trainer takes at least."""
    notes: tuple[str, ...] = ()
    """What a user has to know before the command is run, a sentence each."""
