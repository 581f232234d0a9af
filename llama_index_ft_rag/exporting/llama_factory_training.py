"""LLaMA-Factory: conversations in ShareGPT's form, their entries in `dataset_info.json`, and a YAML file.

In: examples and a plan. Out: rows, and the text of both files. Its own reading of OpenAI's format is not used: version
0.9.5 adds a sentence about thinking to every system prompt there. Knows nothing of files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.chat_rows import chat_row
from llama_index_ft_rag.exporting.configuration_text import yaml_text
from llama_index_ft_rag.exporting.llama_factory import DATASETS_FILE, dataset_name
from llama_index_ft_rag.exporting.sharegpt import finish_sharegpt, sharegpt_entry, sharegpt_row
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

CONFIGURATION_FILE = "llama_factory.yaml"
DEFAULT_MODEL = "Qwen/Qwen3-4B-Instruct-2507"


def llama_factory_row(example: TrainingExample) -> Row:
    """Write an example as a conversation.

    Raises:
        InexpressibleError: If LLaMA-Factory has no form for it.
    """
    chat_row(example, weights=False)  # ShareGPT's form alone would take older roles under a newer name
    return sharegpt_row(example)


def llama_factory_configuration(plan: TrainingPlan) -> Mapping[str, str]:
    """Write `dataset_info.json` and `llama_factory.yaml`.

    Raises:
        ConfigurationError: If the model's name holds what LLaMA-Factory would replace by a variable.
    """
    if "${" in plan.model:
        raise ConfigurationError(
            f"model {plan.model!r}: LLaMA-Factory reads ${{ as the beginning of a variable; rename the folder"
        )
    listed = {dataset_name(Path(name)): sharegpt_entry(name, rows) for name, rows in plan.rows.items()}
    settings = {
        "model_name_or_path": plan.model,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": LORA_RANK,
        "lora_alpha": LORA_ALPHA,
        "lora_target": "all",
        "dataset_dir": ".",
        "dataset": dataset_name(Path(TRAIN_FILE)),
        "eval_dataset": dataset_name(Path(VALIDATION_FILE)) if plan.has_validation else None,
        # Without a name it is taken from the tokenizer, which loses how tools are written.
        "template": "qwen3_nothink" if plan.model == DEFAULT_MODEL else None,
        "cutoff_len": plan.sequence_length,
        "output_dir": TRAINED_FOLDER,
        "logging_steps": 1,
        "save_strategy": "epoch",
        "eval_strategy": "epoch" if plan.has_validation else None,
        "report_to": "none",
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": ROWS_PER_STEP,
        "learning_rate": LEARNING_RATE,
        "num_train_epochs": float(plan.epochs),
        "lr_scheduler_type": "cosine",
        "bf16": True,
        "seed": plan.seed,
    }
    return {DATASETS_FILE: json.dumps(listed, indent=2) + "\n", CONFIGURATION_FILE: yaml_text(settings)}


LLAMA_FACTORY = TrainerForm(
    title="LLaMA-Factory",
    row=llama_factory_row,
    finish=finish_sharegpt,
    configuration=llama_factory_configuration,
    install="pip install llamafactory",
    command=f"llamafactory-cli train {CONFIGURATION_FILE}",
    default_model=DEFAULT_MODEL,
    versions="LLaMA-Factory 0.9.5",
    sources=(
        "https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md",
        "https://github.com/hiyouga/LLaMA-Factory/blob/main/examples/train_lora/qwen3_lora_sft.yaml",
    ),
    notes=(
        "It cuts an example off at cutoff_len without a word: look at its first log lines if your prompts are long.",
        f"For another model than {DEFAULT_MODEL} name its template in {CONFIGURATION_FILE}, such as template: llama3.",
    ),
)
