"""Together: chat messages with their tools, and the command that uploads them and starts the job.

In: examples and a plan. Out: rows, and the text of `start.sh`. The command itself shows the price and asks before it
starts anything. No key is written: it reads `TOGETHER_API_KEY`. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.chat_rows import alternating_chat_row
from llama_index_ft_rag.exporting.configuration_text import shell_word
from llama_index_ft_rag.exporting.trainer_form import TRAIN_FILE, VALIDATION_FILE, Row, TrainerForm, TrainingPlan

SCRIPT_FILE = "start.sh"


def together_row(example: TrainingExample) -> Row:
    """Write an example as Together's conversational format.

    Raises:
        InexpressibleError: If it has no form for it.
    """
    return alternating_chat_row(example, weights=True)


def together_configuration(plan: TrainingPlan) -> Mapping[str, str]:
    """Write `start.sh`."""
    options = [f"--training-file={TRAIN_FILE}"]
    if plan.has_validation:
        options += [f"--validation-file={VALIDATION_FILE}", f"--n-evals={plan.epochs}"]
    options += [f"--model={plan.model}", f"--n-epochs={plan.epochs}", f"--random-seed={plan.seed}"]
    lines = [
        "#!/usr/bin/env bash",
        "# Uploads the examples in this folder to Together, shows the price of the job, and asks before it is started.",
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")"',
        ': "${TOGETHER_API_KEY:?export your key in TOGETHER_API_KEY first}"',
        " \\\n    ".join(["tg fine-tuning create", *(shell_word(option) for option in options)]),
    ]
    return {SCRIPT_FILE: "\n".join(lines) + "\n"}


TOGETHER = TrainerForm(
    title="Together",
    row=together_row,
    configuration=together_configuration,
    install='pip install "together>=3"',
    command=f"bash {SCRIPT_FILE}",
    default_model="Qwen/Qwen3-8B",
    versions="together 3.1.1",
    sources=(
        "https://docs.together.ai/docs/fine-tuning/data-preparation",
        "https://docs.together.ai/docs/fine-tuning/function-calling",
        "https://docs.together.ai/docs/fine-tuning/supported-models",
    ),
    notes=(
        "Export your key in TOGETHER_API_KEY. The examples are sent to Together, and the job costs money.",
        "Not every model of its list trains with tools, and not every one can be deployed afterwards: look first.",
    ),
)
