"""Training examples -> a file or folder in the format of another trainer.

In: examples, a path, the name of a format. Out: the file, written whole or not at all and private, and an `Export`
that counts what was written and names every example that the format cannot express, with the reason. Knows nothing
of where the examples come from.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample, check_writable, provenance_path, write_examples
from llama_index_ft_rag.exporting.alpaca import alpaca_entry, alpaca_row, finish_alpaca
from llama_index_ft_rag.exporting.card import Facts, dataset_card
from llama_index_ft_rag.exporting.left_out import LeftOut, Row, Split, convert_examples, require_some
from llama_index_ft_rag.exporting.llama_factory import list_dataset, read_datasets
from llama_index_ft_rag.exporting.parquet import dataset_row, parquet_file
from llama_index_ft_rag.exporting.sharegpt import finish_sharegpt, sharegpt_entry, sharegpt_row
from llama_index_ft_rag.storage import write_bytes, write_rows, write_text

ExportFormat = Literal["chat", "sharegpt", "alpaca", "datasets"]


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was written and what was not."""

    path: Path
    format: ExportFormat
    files: tuple[Path, ...]
    """Every file that was written."""
    written: int
    """Examples, those for validation included."""
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, kw_only=True)
class _LineFormat:
    """A format with one line for each example."""

    row: Callable[[TrainingExample], Row]
    finish: Callable[[Sequence[Row]], list[Row]]
    entry: Callable[[str, Sequence[Row]], dict[str, Any]]


_LINE_FORMATS: dict[str, _LineFormat] = {
    "sharegpt": _LineFormat(row=sharegpt_row, finish=finish_sharegpt, entry=sharegpt_entry),
    "alpaca": _LineFormat(row=alpaca_row, finish=finish_alpaca, entry=alpaca_entry),
}


def export_examples(
    examples: Sequence[TrainingExample],
    path: str | Path,
    *,
    format: ExportFormat,  # noqa: A002 - the word for it, on the command line too
    validation: Sequence[TrainingExample] = (),
    facts: Facts | None = None,
) -> Export:
    """Write examples as another trainer reads them.

    `chat` is OpenAI's JSONL with its provenance file; `sharegpt` and `alpaca` are JSONL, listed for LLaMA-Factory in
    the `dataset_info.json` beside it; `datasets` is a folder for `datasets.load_dataset`. An example that a format
    cannot express is left out whole. Of what is no part of a conversation, `sharegpt` and `alpaca` carry nothing:
    neither provenance nor `parallel_tool_calls`.

    Args:
        examples: What to write.
        path: The file; for `datasets` a folder, new or empty.
        format: Of whom it shall be read.
        validation: For `datasets` only: a second split.
        facts: For `datasets` only: what its card says of how the examples were chosen.

    Raises:
        ConfigurationError: If the arguments are wrong or the path cannot be written.
        ExamplesError: If there is nothing to write.
        MissingExtraError: If pyarrow or huggingface_hub is not installed, which `datasets` needs.
    """
    target = Path(path)
    if format not in get_args(ExportFormat):
        known = ", ".join(get_args(ExportFormat))
        raise ConfigurationError(f"{format!r}: there is no such export format; choose one of {known}")
    if format != "datasets" and (validation or facts):
        raise ConfigurationError(
            f"validation and facts belong to the format 'datasets', not to {format!r}; export a second file instead"
        )
    if not target.parent.is_dir():
        raise ConfigurationError(f"{target.parent}: there is no such folder; create it, or choose another path")
    try:
        if format == "datasets":
            return _export_folder({"train": examples, "validation": validation}, target, facts=facts or {})
        return _export_file(examples, target, format=format)
    except OSError as exc:
        raise ConfigurationError(f"{target}: cannot be written ({exc.strerror}); choose another path") from exc


def _export_file(examples: Sequence[TrainingExample], target: Path, *, format: ExportFormat) -> Export:  # noqa: A002
    check_writable(target)
    if format == "chat":
        _require_some(len(examples), (), format=format)
        written = write_examples(target, examples)
        files = (target, provenance_path(target))
        return Export(path=target, format=format, files=files, written=written, left_out=())
    if target.suffix != ".jsonl":  # by which trainers tell the type of a file
        raise ConfigurationError(f"{target}: trainers read this as JSON lines; let the name end in .jsonl")
    if provenance_path(target).exists():
        raise ConfigurationError(f"{target}: is a training file with its provenance beside it; choose another path")
    kind = _LINE_FORMATS[format]
    listed = read_datasets(target.parent, file=target)
    converted = convert_examples(examples, kind.row)
    _require_some(len(converted.rows), converted.left_out, format=format)
    rows = kind.finish(converted.rows)
    write_rows(target, rows)
    list_file = list_dataset(target.parent, listed, file=target, entry=kind.entry(target.name, rows))
    return Export(path=target, format=format, files=(target, list_file), written=len(rows), left_out=converted.left_out)


def _export_folder(given: Mapping[Split, Sequence[TrainingExample]], target: Path, *, facts: Facts) -> Export:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target}: already holds something; choose a new folder, or empty this one")
    splits: dict[str, Sequence[Row]] = {}
    left_out: list[LeftOut] = []
    for split, examples in given.items():
        converted = convert_examples(examples, dataset_row, split=split)
        left_out += converted.left_out
        if converted.rows:
            splits[split] = converted.rows
    written = sum(len(rows) for rows in splits.values())
    _require_some(written, left_out, format="datasets")
    card = dataset_card(splits, facts=facts, left_out=[missed.reason for missed in left_out])
    files = {f"data/{split}-00000-of-00001.parquet": parquet_file(rows) for split, rows in splits.items()}
    _place_folder(target, card, files)
    names = tuple(target / name for name in ("README.md", *files))
    return Export(path=target, format="datasets", files=names, written=written, left_out=tuple(left_out))


def _place_folder(target: Path, card: str, files: Mapping[str, bytes]) -> None:
    """Write a folder under a temporary name, then rename it into place."""
    made = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        (made / "data").mkdir(mode=0o700)
        for name, data in files.items():
            write_bytes(made / name, data)
        write_text(made / "README.md", card)
        if target.exists():
            target.rmdir()
        made.rename(target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _require_some(written: int, left_out: Sequence[LeftOut], *, format: ExportFormat) -> None:  # noqa: A002
    require_some(written, left_out, form=f"in the format {format!r}", other="format")
