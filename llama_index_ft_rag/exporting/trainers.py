"""Training examples -> a folder that another trainer can start from: its data, its configuration, what to run.

In: examples, a folder, the name of a trainer. Out: the folder's files, private, and a `TrainerExport` that names every
example which that trainer cannot express. Nothing is sent or started. Knows nothing of where the examples come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import Literal, get_args

from llama_index_ft_rag.errors import ConfigurationError, ExamplesError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.axolotl import AXOLOTL
from llama_index_ft_rag.exporting.configuration_text import check_model_name
from llama_index_ft_rag.exporting.fireworks import FIREWORKS
from llama_index_ft_rag.exporting.left_out import LeftOut, convert_examples, require_some
from llama_index_ft_rag.exporting.llama_factory_training import LLAMA_FACTORY
from llama_index_ft_rag.exporting.together import TOGETHER
from llama_index_ft_rag.exporting.trainer_form import TRAIN_FILE, VALIDATION_FILE, Row, TrainerForm, TrainingPlan
from llama_index_ft_rag.exporting.trl_script import TRL
from llama_index_ft_rag.exporting.unsloth_script import UNSLOTH
from llama_index_ft_rag.storage import dump_row, make_private_folder, write_rows, write_text
from llama_index_ft_rag.tokenizer import count_encoded

Trainer = Literal["together", "fireworks", "axolotl", "llama-factory", "trl", "unsloth"]

README_FILE = "README.txt"
CHECKED = "2026-11-25"
"""When the versions and sources in the forms were looked at."""

_FORMS: Mapping[Trainer, TrainerForm] = {
    "together": TOGETHER,
    "fireworks": FIREWORKS,
    "axolotl": AXOLOTL,
    "llama-factory": LLAMA_FACTORY,
    "trl": TRL,
    "unsloth": UNSLOTH,
}
_ENCODING = "o200k_base"
_LONGEST_LOOKED_AT = 50
_LENGTH_STEP = 1024
_ROOM = 1.3
"""Our count is not that of the model's tokenizer, and its chat template adds to it."""


@dataclass(frozen=True, kw_only=True)
class TrainerExport:
    """What was written for a trainer, what was not, and what to do with it."""

    folder: Path
    trainer: Trainer
    model: str
    files: tuple[Path, ...]
    """Every file that was written."""
    written: int
    """Examples, those for validation included."""
    left_out: tuple[LeftOut, ...]
    next_step: str
    """The command to run within the folder."""


def export_for_trainer(
    examples: Sequence[TrainingExample],
    folder: str | Path,
    *,
    trainer: Trainer,
    model: str | None = None,
    validation: Sequence[TrainingExample] = (),
    epochs: int = 3,
    seed: int = 0,
) -> TrainerExport:
    """Write a folder with the examples and a configuration that another trainer can start from.

    An example that the trainer would refuse or train on differently is left out whole. Neither provenance nor
    `parallel_tool_calls` is written. A folder that holds an earlier export for the same trainer is written anew, and
    what the trainer put into it stays.

    Args:
        examples: What to train on.
        folder: A folder, new or empty, or one with an earlier export for the same trainer.
        trainer: For whom.
        model: The model to train, as the trainer knows it; by default a small one, named in the result.
        validation: What to validate with.
        epochs: How often the trainer goes over the examples.
        seed: Of the training, where the trainer takes one.

    Raises:
        ConfigurationError: If the arguments are wrong, or the folder holds something else or cannot be written.
        ExamplesError: If there is nothing to write, or fewer examples than the trainer takes.
        RunFolderError: If the folder cannot be made.
    """
    target = Path(folder)
    if trainer not in _FORMS:
        known = ", ".join(get_args(Trainer))
        raise ConfigurationError(f"{trainer!r}: there is no export for such a trainer; choose one of {known}")
    if epochs < 1:
        raise ConfigurationError(f"epochs {epochs}: is less than 1; pass how often to go over the examples")
    form = _FORMS[trainer]
    name = check_model_name(form.default_model if model is None else model)
    try:
        _check_folder(target, form)
    except OSError as exc:
        raise ConfigurationError(f"{target}: cannot be read ({exc.strerror}); choose another folder") from exc
    train = convert_examples(examples, form.row)
    held_out = convert_examples(validation, form.row, split="validation")
    left_out = (*train.left_out, *held_out.left_out)
    _require_enough(len(train.rows), train.left_out, form, trainer)
    rows = {TRAIN_FILE: form.finish(train.rows)}
    if held_out.rows:
        rows[VALIDATION_FILE] = form.finish(held_out.rows)
    plan = TrainingPlan(model=name, epochs=epochs, seed=seed, sequence_length=_sequence_length(rows), rows=rows)
    texts = {README_FILE: _readme(form, plan), **form.configuration(plan)}
    try:
        files = _write(target, texts, rows)
    except OSError as exc:
        raise ConfigurationError(f"{target}: cannot be written ({exc.strerror}); choose another folder") from exc
    written = sum(map(len, rows.values()))
    return TrainerExport(
        folder=target,
        trainer=trainer,
        model=name,
        files=files,
        written=written,
        left_out=left_out,
        next_step=form.command,
    )


def _check_folder(folder: Path, form: TrainerForm) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: is a file; pass a folder")
    if not any(folder.iterdir()):
        return
    try:
        first = (folder / README_FILE).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        first = ""
    if first != _headline(form):
        raise ConfigurationError(
            f"{folder}: holds something other than an export for {form.title}; choose a new folder, or empty this one"
        )


def _require_enough(written: int, left_out: Sequence[LeftOut], form: TrainerForm, trainer: Trainer) -> None:
    require_some(written, left_out, form=f"for {trainer}", other="trainer")
    if written < form.fewest:
        raise ExamplesError(
            f"{form.title} takes no fewer than {form.fewest} examples, and {written} can be written; "
            "add examples, or choose another trainer"
        )


def _sequence_length(rows: Mapping[str, Sequence[Row]]) -> int:
    """An estimate of the tokens that the longest row needs, rounded up."""
    texts = (dump_row(row) for split in rows.values() for row in split)
    longest = nlargest(_LONGEST_LOOKED_AT, texts, key=lambda text: len(text.encode()))
    tokens = max(count_encoded(text, encoding=_ENCODING).tokens for text in longest)
    return (int(tokens * _ROOM) // _LENGTH_STEP + 1) * _LENGTH_STEP


def _write(folder: Path, texts: Mapping[str, str], rows: Mapping[str, Sequence[Row]]) -> tuple[Path, ...]:
    make_private_folder(folder)
    for name, text in texts.items():  # README first: by it the next export knows the folder
        write_text(folder / name, text)
    for name, split in rows.items():
        write_rows(folder / name, split)
    if VALIDATION_FILE not in rows:
        (folder / VALIDATION_FILE).unlink(missing_ok=True)
    return tuple(folder / name for name in (*texts, *rows))


def _headline(form: TrainerForm) -> str:
    return f"Examples and configuration for {form.title}, written by llama-index-ft-rag"


def _readme(form: TrainerForm, plan: TrainingPlan) -> str:
    counts = ", ".join(f"{name} has {len(rows):,} examples" for name, rows in plan.rows.items())
    return "\n".join(
        [
            _headline(form),
            "",
            f"Model: {plan.model}",
            f"Data: {counts}",
            "",
            "Run in this folder:",
            "",
            f"    {form.install}",
            f"    {form.command}",
            "",
            *form.notes,
            "",
            f"Written for {form.versions}, and checked against these and their documentation on {CHECKED}; "
            "nothing was trained with it:",
            *(f"    {source}" for source in form.sources),
            "",
        ]
    )
