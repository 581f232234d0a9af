"""Training examples -> rows of the ShareGPT format, as LLaMA-Factory, Axolotl and Unsloth read it.

In: examples. Out: rows with `conversations`, a list of `from` and `value`, and with `tools` as JSON text where an
example has any. The system prompt is the first turn and no column: that is the one place where all three look for it
(Unsloth reads no other column, Axolotl makes an empty system turn of an empty column). Knows nothing of files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.turns import Turn, TurnKind, function_schemas, read_conversation

Row = dict[str, Any]

_SPEAKERS: dict[TurnKind, str] = {
    "user": "human",
    "answer": "gpt",
    "calls": "function_call",
    "result": "observation",
}


def sharegpt_row(example: TrainingExample) -> Row:
    """Write an example as a conversation.

    Raises:
        InexpressibleError: If the format has no form for it.
    """
    conversation = read_conversation(example.messages)
    said = [{"from": _SPEAKERS[turn.kind], "value": _value(turn)} for turn in conversation.turns]
    if conversation.system is not None:
        said.insert(0, {"from": "system", "value": conversation.system})
    tools = function_schemas(example.tools)
    return {"conversations": said, "tools": _json(tools) if tools else ""}


def finish_sharegpt(rows: Sequence[Row]) -> list[Row]:
    """Leave out the column `tools` where no row has any: Axolotl reads no file in which it is text."""
    if any(row["tools"] for row in rows):
        return list(rows)
    return [{"conversations": row["conversations"]} for row in rows]


def sharegpt_entry(file_name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Say to LLaMA-Factory which column is which; who speaks is named as it expects by itself."""
    columns = {"messages": "conversations"}
    if "tools" in rows[0]:
        columns["tools"] = "tools"
    return {"file_name": file_name, "formatting": "sharegpt", "columns": columns}


def _value(turn: Turn) -> str:
    if turn.kind != "calls":
        return turn.text
    calls = [{"name": call.name, "arguments": call.arguments} for call in turn.calls]
    return _json(calls[0] if len(calls) == 1 else calls)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
