"""Unsloth: chat messages with their tools, and a Python script that trains on them.

In: examples and a plan. Out: rows, and the text of `train.py`. The loss is taken on the assistant's messages only.
Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping

from llama_index_ft_rag.exporting.trainer_form import TrainerForm, TrainingPlan
from llama_index_ft_rag.exporting.trl_script import READING, SCRIPT_FILE, script_settings, trl_row

_IMPORTS = '''"""Trains a LoRA adapter with Unsloth on the examples in this folder."""

import json
from pathlib import Path

from unsloth import FastLanguageModel  # first: it changes what the other two do
from unsloth.chat_templates import train_on_responses_only

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

'''

_SCRIPT = '''

def dataset(name):
    """Each row as the text that the model's chat template makes of it."""
    texts = [tokenizer.apply_chat_template(row["messages"], tools=row["tools"], tokenize=False) for row in read(name)]
    longest = max(len(tokenizer(text=text)["input_ids"]) for text in texts)
    if longest > MAX_LENGTH:
        raise SystemExit(f"{name}: the longest example has {longest} tokens; set MAX_LENGTH to that or more")
    return Dataset.from_dict({"text": texts})


model, tokenizer = FastLanguageModel.from_pretrained(model_name=MODEL, max_seq_length=MAX_LENGTH, load_in_4bit=True)
model = FastLanguageModel.get_peft_model(
    model,
    r=LORA_RANK,
    lora_alpha=LORA_ALPHA,
    lora_dropout=0,
    bias="none",
    use_gradient_checkpointing="unsloth",
    random_state=SEED,
)
trainer = SFTTrainer(
    model=model,
    processing_class=tokenizer,
    args=SFTConfig(
        output_dir=str(FOLDER / OUTPUT),
        num_train_epochs=EPOCHS,
        seed=SEED,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="cosine",
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=ROWS_PER_STEP,
        dataset_text_field="text",
        max_length=MAX_LENGTH,
        logging_steps=1,
        save_strategy="epoch",
        eval_strategy="epoch" if VALIDATION else "no",
        report_to="none",
    ),
    train_dataset=dataset(TRAIN),
    eval_dataset=dataset(VALIDATION) if VALIDATION else None,
)
# It finds in the chat template where the assistant speaks, and says what it found.
trainer = train_on_responses_only(trainer)
trainer.train()
model.save_pretrained(str(FOLDER / OUTPUT))
tokenizer.save_pretrained(str(FOLDER / OUTPUT))
'''


def unsloth_configuration(plan: TrainingPlan) -> Mapping[str, str]:
    """Write `train.py`."""
    settings = script_settings(plan, MAX_LENGTH=plan.sequence_length)
    return {SCRIPT_FILE: _IMPORTS + settings + "\n" + READING + _SCRIPT}


UNSLOTH = TrainerForm(
    title="Unsloth",
    row=trl_row,
    configuration=unsloth_configuration,
    install="pip install unsloth",
    command=f"python {SCRIPT_FILE}",
    default_model="unsloth/Qwen3-4B-Instruct-2507",
    versions="unsloth 2026.10.9, trl 1.15.0",
    sources=(
        "https://docs.unsloth.ai/get-started/fine-tuning-llms-guide",
        "https://github.com/unslothai/unsloth/blob/main/unsloth/chat_templates.py",
    ),
    notes=("The model is loaded in 4 bits; load_in_4bit=False trains on it as it is and needs more memory.",),
)
