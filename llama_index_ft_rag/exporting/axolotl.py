"""Axolotl: chat messages with their tools as JSON text, and a YAML file.

In: examples and a plan. Out: rows and the text of `axolotl.yaml`. Weights become the field `train` of a message.
Knows nothing of files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.chat_rows import chat_row, every_field_first
from llama_index_ft_rag.exporting.configuration_text import yaml_text
from llama_index_ft_rag.exporting.trainer_form import (
    LEARNING_RATE,
    LORA_ALPHA,
    LORA_RANK,
    ROWS_PER_STEP,
    TRAIN_FILE,
    TRAINED_FOLDER,
    VALIDATION_FILE,
    Row,
    TrainerForm,
    TrainingPlan,
)

CONFIGURATION_FILE = "axolotl.yaml"


def axolotl_row(example: TrainingExample) -> Row:
    """Write an example as Axolotl's `chat_template` strategy reads it.

    Raises:
        InexpressibleError: If it has no form for it.
    """
    row = chat_row(example, weights=True)
    for message in row["messages"]:
        if "weight" in message:
            message["train"] = message.pop("weight") == 1
    # As text: the schemas of different tools have no common type, and Arrow would mix their fields.
    tools = json.dumps(row.pop("tools", []), ensure_ascii=False)
    return {**row, "tools": tools}


def finish_axolotl(rows: Sequence[Row]) -> list[Row]:
    """Leave out the column `tools` where no row has any."""
    if all(row["tools"] == "[]" for row in rows):
        rows = [{"messages": row["messages"]} for row in rows]
    return every_field_first(rows)


def axolotl_configuration(plan: TrainingPlan) -> Mapping[str, str]:
    """Write `axolotl.yaml`."""
    settings = {
        "base_model": plan.model,
        "datasets": [_dataset(TRAIN_FILE, plan)],
        "test_datasets": [_dataset(VALIDATION_FILE, plan)] if plan.has_validation else None,
        "dataset_prepared_path": "prepared",
        "output_dir": TRAINED_FOLDER,
        "sequence_len": plan.sequence_length,
        # The default drops longer examples with no more than a line in the log.
        "excess_length_strategy": "raise",
        "sample_packing": False,
        "adapter": "lora",
        "lora_r": LORA_RANK,
        "lora_alpha": LORA_ALPHA,
        "lora_dropout": 0.05,
        "lora_target_linear": True,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": ROWS_PER_STEP,
        "num_epochs": plan.epochs,
        "optimizer": "adamw_torch",
        "lr_scheduler": "cosine",
        "learning_rate": LEARNING_RATE,
        "bf16": "auto",
        "gradient_checkpointing": True,
        "attn_implementation": "sdpa",
        "logging_steps": 1,
        "saves_per_epoch": 1,
        "evals_per_epoch": 1 if plan.has_validation else None,
        "seed": plan.seed,
    }
    return {CONFIGURATION_FILE: yaml_text(settings)}


def _dataset(file_name: str, plan: TrainingPlan) -> dict[str, Any]:
    return {
        "path": file_name,
        "ds_type": "json",
        "split": "train",
        "type": "chat_template",
        "chat_template": "tokenizer_default",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
        **({"field_tools": "tools"} if any("tools" in row for row in plan.rows[file_name]) else {}),
        **({"message_field_training": "train"} if plan.has_field("train") else {}),
    }


AXOLOTL = TrainerForm(
    title="Axolotl",
    row=axolotl_row,
    finish=finish_axolotl,
    configuration=axolotl_configuration,
    install="pip install axolotl",
    command=f"axolotl train {CONFIGURATION_FILE}",
    default_model="Qwen/Qwen3-4B-Instruct-2507",
    versions="axolotl 0.19.0",
    sources=(
        "https://docs.axolotl.ai/docs/dataset-formats/conversation.html",
        "https://docs.axolotl.ai/docs/config-reference.html",
    ),
    notes=("Messages are written with the chat template of the model's tokenizer; a base model may have none.",),
)
