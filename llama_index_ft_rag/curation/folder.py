"""A curation -> a folder: what to train on, what not and why, and the table.

In: `Curation` and what followed it, and where it goes. Out: `examples.jsonl` with its provenance, `dropped.jsonl`,
`curation.md`, `curation.json`, and `validation.jsonl` where there is a split. Knows nothing of rules.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index_ft_rag.curation.describing import CuratedData
from llama_index_ft_rag.curation.distractors import RaftRows
from llama_index_ft_rag.curation.leaks import LeakReport
from llama_index_ft_rag.curation.outcome import Curation
from llama_index_ft_rag.curation.splitting import Split
from llama_index_ft_rag.errors import ConfigurationError, RunFolderError
from llama_index_ft_rag.examples import is_recording, write_examples
from llama_index_ft_rag.storage import make_private_folder, write_rows, write_text

_WRITTEN = (
    "curation.json", "curation.md", "validation.provenance.jsonl", "validation.jsonl",
    "examples.provenance.jsonl", "examples.jsonl", "dropped.jsonl",
)  # fmt: skip


def write_curation(
    curation: Curation,
    folder: str | Path,
    *,
    split: Split | None = None,
    leaks: LeakReport | None = None,
    rows: RaftRows | None = None,
    source: str | Path | None = None,
) -> CuratedData:
    """Write a curation into a folder, private to its owner; what an earlier one left there is replaced.

    Args:
        curation: What was kept and dropped.
        folder: Made if it is not there.
        split: Of what was kept; by default all of it is trained on.
        leaks: What evaluation questions have in common with what is trained on.
        rows: What is trained on instead of the training examples themselves.
        source: The file the examples came from, which must not be one that is written.

    Raises:
        ConfigurationError: If the folder is that of a run, or a file would be overwritten that is still needed.
        RunFolderError: If the folder cannot be written.
    """
    target = Path(folder)
    made = CuratedData(curation=curation, split=split, leaks=leaks, rows=rows)
    _refuse_what_is_needed(target, source)
    make_private_folder(target)
    try:
        _write(target, made)
    except OSError as exc:
        raise RunFolderError(
            f"{exc.filename or target}: cannot be written ({exc.strerror}); make room, or choose another folder"
        ) from exc
    return made


def dropped_rows(curation: Curation) -> Iterator[dict[str, Any]]:
    """What `dropped.jsonl` says: all of each example, with every reason; a line that is no example as it stood."""
    rows: list[tuple[int, dict[str, Any]]] = []
    for drop in curation.dropped:
        reasons = [{"rule": reason.rule, "text": reason.text} for reason in drop.reasons]
        rest = {**drop.example.to_line(), **drop.example.to_provenance()}
        other = {"other": drop.other} if drop.other else {}
        rows.append((drop.number, {"number": drop.number, "reasons": reasons, **rest, **other}))
    for line in curation.unreadable:
        reasons = [{"rule": line.reason.rule, "text": line.reason.text}]
        rows.append((line.number, {"number": line.number, "reasons": reasons, "line": line.text}))
    yield from (row for _, row in sorted(rows, key=lambda pair: pair[0]))


def _write(target: Path, data: CuratedData) -> None:
    """Write all files aside and then move them into place, so that a full disk leaves an earlier curation whole."""
    aside = Path(tempfile.mkdtemp(dir=target, prefix=".curation-"))
    try:
        write_text(aside / "curation.json", data.describe("json"))
        write_text(aside / "curation.md", data.describe("markdown"))
        write_rows(aside / "dropped.jsonl", dropped_rows(data.curation))
        write_examples(aside / "examples.jsonl", data.training)
        if data.validation:
            write_examples(aside / "validation.jsonl", data.validation)
        # First of all: what an earlier curation validated with may be trained on now.
        for name in _WRITTEN:
            if not (aside / name).exists():
                (target / name).unlink(missing_ok=True)
        for name in _WRITTEN:
            if (aside / name).exists():
                (aside / name).replace(target / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _refuse_what_is_needed(target: Path, source: str | Path | None) -> None:
    """Refuse before anything is written, so that nothing is replaced by halves."""
    if (target / "run.json").exists():
        raise ConfigurationError(
            f"{target}: is the folder of a run, whose examples.jsonl would be lost; choose another"
        )
    for file in (target / name for name in _WRITTEN):
        if source is not None and file.exists() and Path(source).exists() and file.samefile(source):
            raise ConfigurationError(f"{source}: would be overwritten by what is kept of it; choose another folder")
        if file.is_dir() or is_recording(file):
            what = "folder" if file.is_dir() else "recording"
            raise ConfigurationError(f"{file}: is a {what} and would be overwritten; choose another folder")
    held = [target / name for name in _WRITTEN if (target / name).exists()]
    if held and not (target / "curation.json").exists():
        raise ConfigurationError(f"{held[0]}: was not written by a curation and would be lost; choose another folder")
