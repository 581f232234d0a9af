"""`ft-rag curate`: its options, and what it prints.

In: files. Out: a folder of training data, and a table of what was kept and why the rest was not. What is done lives
in `curation`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from llama_index_ft_rag.cli.talk import err, out
from llama_index_ft_rag.curation import (
    TAUGHT_KINDS,
    TIES,
    Curation,
    LeakReport,
    RaftRows,
    Split,
    add_distractors,
    curate,
    find_leaks,
    mask_curation,
    mask_leaks,
    read_example_scores,
    read_lines,
    read_originals,
    split_examples,
    write_curation,
    write_originals,
)
from llama_index_ft_rag.curation.curate import NEAR_DUPLICATES
from llama_index_ft_rag.engines import import_named
from llama_index_ft_rag.errors import ConfigurationError, ExamplesError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.hostile_text import one_line
from llama_index_ft_rag.questions import read_questions
from llama_index_ft_rag.storage import make_private_folder

RULES = "Rules"
AFTERWARDS = "Afterwards"

File = Annotated[Path, typer.Argument(metavar="FILE", help="A recording, or a training file (JSONL).")]


def curate_command(
    file: File,
    folder: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the files go; what is there is replaced.")
    ],
    keep_abstentions: Annotated[
        float, typer.Option(metavar="SHARE", help="Abstentions among what is kept, at most.", rich_help_panel=RULES)
    ] = 0.0,
    near_duplicates: Annotated[
        float | None,
        typer.Option(
            metavar="SIMILARITY",
            help="Of two near duplicates, from 0 to 1; 0: off.",
            rich_help_panel=RULES,
            show_default=str(NEAR_DUPLICATES),
        ),
    ] = None,
    student: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Drop what is too long for it.", rich_help_panel=RULES)
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Drop what is longer.", rich_help_panel=RULES)
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSONL rows with content_hash and score.", rich_help_panel=RULES),
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Drop what scores lower.", rich_help_panel=RULES)
    ] = None,
    max_per_context: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Examples about the same context, at most.", rich_help_panel=RULES),
    ] = None,
    kinds: Annotated[
        str,
        typer.Option(metavar="KINDS", help="Kinds of calls to train on, or all.", rich_help_panel=RULES),
    ] = ",".join(TAUGHT_KINDS),
    rules: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="MODULE:FUNCTION", help="A rule of yours; repeatable.", rich_help_panel=RULES),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Not this rule; repeatable.", rich_help_panel=RULES),
    ] = None,
    templates: Annotated[
        list[Path] | None,
        typer.Option("--template", metavar="FILE", help="A prompt of yours; repeatable.", rich_help_panel=RULES),
    ] = None,
    validation: Annotated[
        float, typer.Option(metavar="SHARE", help="Split off to validate with.", rich_help_panel=AFTERWARDS)
    ] = 0.0,
    may_part: Annotated[
        list[str] | None,
        typer.Option(metavar="TIE", help="What a split may part; repeatable.", rich_help_panel=AFTERWARDS),
    ] = None,
    eval_questions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Report which of these are trained on.", rich_help_panel=AFTERWARDS),
    ] = None,
    distractors: Annotated[
        int, typer.Option(metavar="N", min=0, help="Foreign passages for each example.", rich_help_panel=AFTERWARDS)
    ] = 0,
    no_answer: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Take the passages from so many; they refuse.", rich_help_panel=AFTERWARDS),
    ] = 0.0,
    pii_map: Annotated[
        Path | None,
        typer.Option("--mask-pii", metavar="MAP", help="Mask; this file leads back.", rich_help_panel=AFTERWARDS),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of all that is chosen by chance.")] = 0,
    form: Annotated[Literal["text", "markdown", "json"], typer.Option("--format", help="What to print.")] = "text",
) -> None:
    """Part the examples worth training on from the others, and say why."""
    shapes = [_text_of(path, "--template") for path in templates or ()]
    chosen = list(without or ())
    curation = curate(
        read_lines(file),
        keep_abstentions=keep_abstentions,
        seed=seed,
        near_duplicates="auto" if near_duplicates is None else near_duplicates or None,
        student=student,
        max_tokens=max_tokens,
        scores=read_example_scores(scores) if scores is not None else None,
        min_score=min_score,
        max_per_context=max_per_context,
        kinds=None if kinds == "all" else [kind.strip() for kind in kinds.split(",")],  # type: ignore[misc]
        rules=[named_function("--rule", name, "my_app.rules:too_short") for name in rules or ()],
        without=chosen,
        templates=shapes,
    )
    if not curation.total:
        raise ExamplesError(f"{file}: holds no lines; pass a recording or a training file")
    similarity = near_duplicates or NEAR_DUPLICATES
    split = None
    if validation or may_part:
        together = [tie for tie in TIES if tie not in _known_ties(may_part or ())]
        split = split_examples(
            curation.kept,
            validation=validation,
            seed=seed,
            together=together,
            near_duplicates=similarity,
            templates=shapes,
        )
    training = split.train if split is not None else curation.kept
    leaks = None
    if eval_questions is not None:
        held_out = read_questions(eval_questions, split="eval")
        leaks = find_leaks(training, held_out, near_duplicates=similarity, templates=shapes)
    if pii_map is not None:
        # At the end: scores, siblings and leaks are found by what was recorded.
        curation, split, leaks = _masked(curation, split, leaks, pii_map=pii_map, folder=folder)
        training = split.train if split is not None else curation.kept
    rows = _rows(training, distractors, no_answer, seed=seed, templates=shapes)
    written = write_curation(curation, folder, split=split, leaks=leaks, rows=rows, source=file)
    sys.stdout.write(written.describe(form))
    if form == "text":
        out.print(f"\nwritten to {one_line(str(folder))}")
    if not curation.kept:
        raise ExamplesError(f"{file}: nothing is left to train on; dropped.jsonl in {folder} says why")


def _known_ties(names: Sequence[str]) -> Sequence[str]:
    if unknown := [name for name in names if name not in TIES]:
        raise ConfigurationError(f"--may-part {unknown[0]}: is no tie; it may be {', '.join(TIES)}")
    return names


def _rows(
    training: Sequence[TrainingExample], distractors: int, no_answer: float, *, seed: int, templates: Sequence[str]
) -> RaftRows | None:
    if not distractors and not no_answer:
        return None
    return add_distractors(
        training,
        distractors=distractors or 1,
        probability=1.0 if distractors else 0.0,
        no_answer=no_answer,
        templates=templates,
        seed=seed,
    )


def _masked(
    curation: Curation, split: Split | None, leaks: LeakReport | None, *, pii_map: Path, folder: Path
) -> tuple[Curation, Split | None, LeakReport | None]:
    """All of it with personal data masked; the map is written before anything else."""
    if pii_map.resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(
            f"--mask-pii {pii_map}: the map must lie apart from the examples; choose another folder"
        )
    make_private_folder(pii_map.absolute().parent)
    masked = mask_curation(curation, originals=read_originals(pii_map) if pii_map.exists() else None)
    originals = masked.originals
    if split is not None:
        made = {id(before): after for before, after in zip(curation.kept, masked.curation.kept, strict=True)}
        inner, originals = mask_leaks(split.leaks, originals=originals)
        split = replace(
            split,
            train=[made[id(example)] for example in split.train],
            validation=[made[id(example)] for example in split.validation],
            leaks=inner,
        )
    if leaks is not None:
        leaks, originals = mask_leaks(leaks, originals=originals)
    write_originals(pii_map, originals)
    for entity, count in masked.counts.items():
        err.print(f"note: masked {entity} at {count:,} {'place' if count == 1 else 'places'}")
    return masked.curation, split, leaks


def named_function(option: str, name: str, example: str) -> Callable[..., Any]:
    """The function that an option names.

    Args:
        option: As it is written on the command line.
        name: `MODULE:FUNCTION`.
        example: What a name looks like.

    Raises:
        ConfigurationError: If there is no such function.
    """
    function = import_named(name, what=option, example=example)
    if not callable(function):
        raise ConfigurationError(f"{option} {name}: is a {type(function).__name__}, not a function; check the name")
    return function  # type: ignore[no-any-return]


def _text_of(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        why = getattr(exc, "strerror", None) or "not UTF-8"
        raise ConfigurationError(f"{option} {path}: cannot be read ({why}); pass a text file") from exc
