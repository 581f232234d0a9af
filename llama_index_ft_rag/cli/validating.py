"""`ft-rag validate`: its options, and what it prints.

In: a training file, and a validation file. Out: a report on standard output, and an exit code. What is done lives in
`validation`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from llama_index_ft_rag.training_format import TrainingFormat
from llama_index_ft_rag.validation import TrainingMethod, validate_file

_FORMATS: Mapping[TrainingMethod, TrainingFormat] = {"supervised": "chat", "dpo": "preference"}


def validate_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A training file (JSONL).")],
    validation: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The validation file, which must share no example.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model to fine-tune, for its limits and prices.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Of the job, for its price.")] = None,
    method: Annotated[
        TrainingMethod | None, typer.Option(help="Of the job; by default whichever takes the file.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="That count tokens; by default one for each core.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say every reason why a service would refuse a training file; nothing is sent."""
    report = validate_file(
        file,
        model=model,
        n_epochs=epochs,
        expected=_FORMATS[method] if method else None,
        validation=validation,
        threads=threads,
    )
    text = json.dumps(report.to_dict(), ensure_ascii=False, indent=2) + "\n" if json_output else report.render()
    sys.stdout.write(text)
    raise typer.Exit(0 if report.ok else 1)
