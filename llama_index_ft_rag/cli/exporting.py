"""`ft-rag export`: its options, and what it prints.

In: files, or a folder that `ft-rag curate` or `ft-rag run` wrote. Out: a file in another format, or a folder for
another trainer, and what of the examples it cannot express. What is done lives in `exporting` and `curation`.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from llama_index_ft_rag.cli.talk import err, out
from llama_index_ft_rag.cli.training_data import named_function
from llama_index_ft_rag.curation import answers_from, preference_pairs, write_pairs
from llama_index_ft_rag.errors import ConfigurationError, ExamplesError
from llama_index_ft_rag.examples import TrainingExample, is_recording, read_examples
from llama_index_ft_rag.exporting import ExportFormat, LeftOut, Trainer, export_examples, export_for_trainer
from llama_index_ft_rag.hostile_text import one_line
from llama_index_ft_rag.recording import read_recording

FORMATS = "A file in another format"
TRAINERS = "A folder for another trainer"

_EXAMPLES_FILE = "examples.jsonl"
_VALIDATION_FILE = "validation.jsonl"


def export_command(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A recording, a training file (JSONL), or a folder with examples.jsonl."),
    ],
    place: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="Where to write; or say it with --out.", show_default=False)
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="A file; a folder for datasets and trainers.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Examples to validate with (datasets, trainers).")
    ] = None,
    form: Annotated[
        Literal["chat", "sharegpt", "alpaca", "datasets", "preference"] | None,
        typer.Option("--format", help="The format to write.", rich_help_panel=FORMATS),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The other answers to the same prompts (preference).", rich_help_panel=FORMATS
        ),
    ] = None,
    prefers: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Says whether FILE's answer is better (preference).",
            rich_help_panel=FORMATS,
        ),
    ] = None,
    trainer: Annotated[
        Trainer | None, typer.Option("--to", help="The trainer to write for.", rich_help_panel=TRAINERS)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="The model to train, as the trainer knows it.", rich_help_panel=TRAINERS),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Of the training; by default 3.", rich_help_panel=TRAINERS)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of the training; by default 0.", rich_help_panel=TRAINERS)
    ] = None,
) -> None:
    """Write training examples in another format, or with a configuration for another trainer."""
    if form is not None and trainer is not None:
        raise ConfigurationError(
            f"--format {form} and --to {trainer} exclude each other: a format is a data file, a trainer gets a folder "
            "with its configuration; keep one of them"
        )
    path = _place_to_write(file, place, target, trainer)
    held_out_file = validation or _validation_beside(file, trainer)
    source = file / _EXAMPLES_FILE if file.is_dir() else file
    _keep_sources((source, held_out_file, against), path)
    if trainer is not None:
        _refuse(f"--format preference, not with --to {trainer}", {"--against": against, "--prefers": prefers})
        _export_folder(trainer, source, path, held_out_file, model=model, epochs=epochs, seed=seed)
        return
    if form is None:
        raise ConfigurationError("nothing says what to write: add --format for a data file, or --to for a trainer")
    _refuse(f"--to, not with --format {form}", {"--model": model, "--epochs": epochs, "--seed": seed})
    if form == "preference":
        _export_pairs(_examples_of(source), path, against, prefers)
        return
    if against is not None or prefers is not None:
        raise ConfigurationError(f"--against and --prefers go with --format preference, not with {form}")
    _export_file(form, source, path, held_out_file)


def _place_to_write(file: Path, place: Path | None, target: Path | None, trainer: str | None) -> Path:
    if place is not None and target is not None:
        raise ConfigurationError(f"{place} and --out {target}: both say where to write; keep one of them")
    if path := place or target:
        return path
    if trainer is not None and file.is_dir():
        return file / trainer
    raise ConfigurationError("nothing says where to write: add --out and a path")


def _validation_beside(file: Path, trainer: str | None) -> Path | None:
    beside = file / _VALIDATION_FILE
    return beside if trainer is not None and file.is_dir() and beside.is_file() else None


def _keep_sources(sources: Sequence[Path | None], path: Path) -> None:
    written = [path, *(path / name for name in ("train.jsonl", _VALIDATION_FILE))]
    for source in sources:
        if source is not None and any(made.exists() and source.exists() and made.samefile(source) for made in written):
            raise ConfigurationError(f"--out {path}: is a file to be exported; choose another path")


def _refuse(place: str, options: dict[str, object]) -> None:
    if given := [option for option, value in options.items() if value is not None]:
        raise ConfigurationError(f"{given[0]}: goes with {place}; leave it out")


def _export_folder(
    trainer: Trainer,
    source: Path,
    folder: Path,
    validation: Path | None,
    *,
    model: str | None,
    epochs: int | None,
    seed: int | None,
) -> None:
    made = export_for_trainer(
        _examples_of(source),
        folder,
        trainer=trainer,
        model=model,
        validation=_examples_of(validation) if validation is not None else [],
        epochs=epochs if epochs is not None else 3,
        seed=seed if seed is not None else 0,
    )
    out.print(f"{made.written:,} examples written to {', '.join(one_line(str(path)) for path in made.files)}")
    out.print(f"trains {made.model}; next: cd {shlex.quote(one_line(str(folder)))} && {made.next_step}")
    _note_left_out(made.left_out)


def _export_file(form: ExportFormat, source: Path, path: Path, validation: Path | None) -> None:
    made = export_examples(
        _examples_of(source),
        path,
        format=form,
        validation=_examples_of(validation) if validation is not None else [],
        facts=_facts_beside(source) if form == "datasets" else None,
    )
    out.print(f"{made.written:,} examples written to {', '.join(one_line(str(path)) for path in made.files)}")
    _note_left_out(made.left_out)


def _note_left_out(left_out: Sequence[LeftOut]) -> None:
    for reason, count in Counter(left.reason for left in left_out).items():
        err.print(f"note: {count:,} left out: {reason.replace('_', ' ')}")


def _export_pairs(examples: Sequence[TrainingExample], target: Path, against: Path | None, prefers: str | None) -> None:
    if against is None or prefers is None:
        raise ConfigurationError(
            "--format preference needs the other answers and who says which is better: add --against FILE and "
            "--prefers MODULE:FUNCTION"
        )
    answers = answers_from(examples, _examples_of(against))
    found = preference_pairs(examples, answers, prefers=named_function("--prefers", prefers, "my_app.rules:prefers"))
    if not found.pairs:
        reasons = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in found.left_out.items())
        raise ExamplesError(f"{target}: no pair to write ({reasons or 'no examples'}); nothing was written")
    write_pairs(target, found.pairs)
    out.print(f"{len(found.pairs):,} pairs written to {one_line(str(target))}")
    for reason, count in found.left_out.items():
        err.print(f"note: {count:,} left out: {reason.replace('_', ' ')}")


def _examples_of(file: Path) -> list[TrainingExample]:
    """All examples of a file in which every line is one."""
    return read_recording(file) if is_recording(file) else read_examples(file)


def _facts_beside(file: Path) -> dict[str, int] | None:
    """How the examples were curated, where that is written beside them."""
    try:
        found = json.loads((file.parent / "curation.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    names = ("total", "kept", "dropped")
    return (
        {name: found[name] for name in names if isinstance(found.get(name), int)} if isinstance(found, dict) else None
    )
