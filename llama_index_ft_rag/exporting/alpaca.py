"""Training examples -> rows of the Alpaca format: instruction, input, output, and system and history where needed.

In: examples. Out: rows in which `input` is empty, since a prompt of ours is one text, and trainers join the two
each in their own way. `history` is LLaMA-Factory's: other trainers read the last round alone. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.turns import InexpressibleError, read_conversation

Row = dict[str, Any]

_COLUMNS = {"prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history"}
"""LLaMA-Factory's name of a column -> ours."""


def alpaca_row(example: TrainingExample) -> Row:
    """Write an example as an instruction and its answer.

    Raises:
        InexpressibleError: If the format has no form for it.
    """
    conversation = read_conversation(example.messages)
    if example.tools or any(turn.kind in ("calls", "result") for turn in conversation.turns):
        raise InexpressibleError("it has tools")
    texts = [turn.text for turn in conversation.turns]
    return {
        "instruction": texts[-2],
        "input": "",
        "output": texts[-1],
        "system": conversation.system or "",
        "history": [list(texts[start : start + 2]) for start in range(0, len(texts) - 2, 2)],
    }


def finish_alpaca(rows: Sequence[Row]) -> list[Row]:
    """Leave out the columns that no row needs; where some have a history, the first of those becomes the first row.

    `datasets` takes the type of a column from the first 10 MB of a file and fails on a history after a stretch of
    empty ones.
    """
    unused = {column for column in ("system", "history") if not any(row[column] for row in rows)}
    finished = [{column: row[column] for column in row if column not in unused} for row in rows]
    if "history" not in unused:
        first = next(number for number, row in enumerate(finished) if row["history"])
        finished.insert(0, finished.pop(first))
    return finished


def alpaca_entry(file_name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Say to LLaMA-Factory which column is which."""
    columns = {theirs: ours for theirs, ours in _COLUMNS.items() if ours in rows[0]}
    return {"file_name": file_name, "formatting": "alpaca", "columns": columns}
