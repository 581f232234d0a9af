"""A file of scores of examples -> scores by content hash, and back.

In: JSONL rows with `content_hash` and `score`, whoever scored. Out: what `curate` takes. An example that could not be
scored has no score, never 0. Knows nothing of judges.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.examples import check_writable, numbered_lines
from llama_index_ft_rag.storage import write_rows


def read_example_scores(path: str | Path) -> dict[str, float | None]:
    """Read scores by content hash; of an example that is scored twice the last one counts.

    Raises:
        ExamplesError: If the file cannot be read, or a line of it is no score.
    """
    source = Path(path)
    scores: dict[str, float | None] = {}
    for number, line in numbered_lines(source):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        key = row.get("content_hash") if isinstance(row, dict) else None
        score = row.get("score") if isinstance(row, dict) else ""
        if not isinstance(key, str) or not _is_score(score):
            raise ExamplesError(
                f'{source} line {number}: is no score; each line must be such as {{"content_hash": "…", "score": 0.8}}'
            )
        scores[key] = None if score is None else float(score)
    return scores


def write_example_scores(path: str | Path, scores: Mapping[str, float | None]) -> None:
    """Write scores by content hash.

    Raises:
        ConfigurationError: If there is no such folder, or a recording would be overwritten.
    """
    check_writable(Path(path))
    write_rows(Path(path), ({"content_hash": key, "score": score} for key, score in scores.items()))


def _is_score(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
