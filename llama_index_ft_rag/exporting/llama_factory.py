"""LLaMA-Factory's list of datasets, `dataset_info.json`, in the folder of an exported file.

In: a folder and the entry of a file. Out: the list with that entry and with all that it held before, so that
`dataset_dir: <folder>` and `dataset: <name>` are all a training needs. Knows nothing of what the file holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.storage import write_text

DATASETS_FILE = "dataset_info.json"

_SOURCES = {"file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"}
_NOT_IN_A_NAME = re.compile(r"[^\w.-]+")


def dataset_name(file: Path) -> str:
    """The name under which a file is listed: its own without the ending, and without what `dataset:` would cut at."""
    return _NOT_IN_A_NAME.sub("_", file.stem)


def read_datasets(folder: Path, *, file: Path) -> dict[str, Any]:
    """Read the list, empty where there is none, and check that `file` has its place in it.

    Raises:
        ConfigurationError: If the file of that name is no such list, or lists another dataset under the same name.
    """
    path = folder / DATASETS_FILE
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{path}: cannot be read ({exc}); export to another folder") from exc
    if not isinstance(listed, dict) or not all(_is_entry(entry) for entry in listed.values()):
        raise ConfigurationError(f"{path}: is no list of datasets for LLaMA-Factory; export to another folder")
    known = listed.get(dataset_name(file), {"file_name": file.name})
    if _SOURCES & known.keys() != {"file_name"} or known["file_name"] != file.name:
        raise ConfigurationError(
            f"{path}: lists another dataset as {dataset_name(file)!r}; give the exported file another name"
        )
    return listed


def list_dataset(folder: Path, listed: Mapping[str, Any], *, file: Path, entry: Mapping[str, Any]) -> Path:
    """Write the list with the entry of a file; return its path."""
    path = folder / DATASETS_FILE
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    write_text(path, json.dumps({**listed, dataset_name(file): entry}, indent=2) + "\n")
    if mode is not None:  # a list that others read stays one that they can read
        path.chmod(mode)
    return path


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(_SOURCES & entry.keys())
