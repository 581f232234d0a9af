"""TRL: chat messages with their tools, and a Python script that trains on them.

In: examples and a plan. Out: rows, and the text of `train.py`. The loss is taken on the assistant's messages only.
Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.chat_rows import chat_row
from llama_index_ft_rag.exporting.configuration_text import python_text
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

SCRIPT_FILE = "train.py"

READING = '''
def read(name):
    """The rows of a file; arguments of tool calls are objects here, as chat templates expect them."""
    rows = []
    for line in (FOLDER / name).read_text(encoding="utf-8").split("\\n"):
        if not line.strip():
            continue
        row = json.loads(line)
        for message in row["messages"]:
            for call in message.get("tool_calls", []):
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        rows.append({"messages": row["messages"], "tools": row.get("tools")})
    return rows
'''
"""What both scripts read their rows with."""

_SCRIPT = '''

def dataset(name):
    """The rows as they are: Arrow would give every call the arguments of all the others."""
    return Dataset.from_list(read(name), features=Features({"messages": List(Json()), "tools": Json()}))


trainer = SFTTrainer(
    model=MODEL,
    args=SFTConfig(
        output_dir=str(FOLDER / OUTPUT),
        num_train_epochs=EPOCHS,
        seed=SEED,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="cosine",
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=ROWS_PER_STEP,
        # The default cuts every example off after 1,024 tokens, and its answer stands at the end.
        max_length=None,
        # TRL knows the templates of many models for this; for another one it says so and stops.
        assistant_only_loss=True,
        logging_steps=1,
        save_strategy="epoch",
        eval_strategy="epoch" if VALIDATION else "no",
        report_to="none",
    ),
    train_dataset=dataset(TRAIN),
    eval_dataset=dataset(VALIDATION) if VALIDATION else None,
    peft_config=LoraConfig(
        r=LORA_RANK, lora_alpha=LORA_ALPHA, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM"
    ),
)
trainer.train()
trainer.save_model()
'''


def trl_row(example: TrainingExample) -> Row:
    """Write an example as its messages and its tools.

    Raises:
        InexpressibleError: If TRL has no form for it.
    """
    return chat_row(example, weights=False)


def trl_configuration(plan: TrainingPlan) -> Mapping[str, str]:
    """Write `train.py`."""
    imports = (
        '"""Trains a LoRA adapter with TRL on the examples in this folder."""\n\n'
        "import json\nfrom pathlib import Path\n\n"
        "from datasets import Dataset, Features, Json, List\n"
        "from peft import LoraConfig\n"
        "from trl import SFTConfig, SFTTrainer\n\n"
    )
    return {SCRIPT_FILE: imports + script_settings(plan) + "\n" + READING + _SCRIPT}


def script_settings(plan: TrainingPlan, **more: int) -> str:
    """The lines at the top of a script that say what is trained on what."""
    settings: dict[str, str | int | float | None] = {
        "MODEL": plan.model,
        "TRAIN": TRAIN_FILE,
        "VALIDATION": VALIDATION_FILE if plan.has_validation else None,
        "OUTPUT": TRAINED_FOLDER,
        "EPOCHS": plan.epochs,
        "SEED": plan.seed,
        "LEARNING_RATE": LEARNING_RATE,
        "ROWS_PER_STEP": ROWS_PER_STEP,
        "LORA_RANK": LORA_RANK,
        "LORA_ALPHA": LORA_ALPHA,
        **more,
    }
    lines = [f"{name} = {python_text(value)}" for name, value in settings.items()]
    return "\n".join(["FOLDER = Path(__file__).resolve().parent", *lines]) + "\n"


TRL = TrainerForm(
    title="TRL",
    row=trl_row,
    configuration=trl_configuration,
    install='pip install "trl>=1.16" peft',
    command=f"python {SCRIPT_FILE}",
    default_model="Qwen/Qwen3-4B-Instruct-2507",
    versions="trl 1.16.0, datasets 5.2.0, peft 0.21.2",
    sources=(
        "https://huggingface.co/docs/trl/sft_trainer",
        "https://huggingface.co/docs/trl/dataset_formats",
    ),
    notes=(
        "No example is cut off, so the longest one decides how much memory is needed.",
        "Where TRL does not know a model's chat template, it stops; assistant_only_loss=False trains on prompts too.",
    ),
)
