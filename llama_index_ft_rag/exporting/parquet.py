"""Training examples -> a Parquet file whose columns are the same whatever the examples hold.

In: examples. Out: rows, and the bytes of a file with an explicit schema and without the metadata of any version of
`datasets`: files with those of version 4 cannot be read by version 3. What is free in form (tool schemas, settings of
a call, rare fields of a message) is JSON text. Knows nothing of splits and folders.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index_ft_rag.errors import MissingExtraError
from llama_index_ft_rag.examples import TrainingExample

Row = dict[str, Any]

_TEXT_FIELDS = ("role", "content", "name", "tool_call_id")
_CALL_FIELDS = {"id", "type", "function"}


def dataset_row(example: TrainingExample) -> Row:
    """Write an example, all of it, as a row."""
    return {
        "messages": [_message(message) for message in example.messages],
        "tools": _json(example.tools) if example.tools else None,
        "parallel_tool_calls": example.parallel_tool_calls,
        "content_hash": example.content_hash,
        "query_id": example.query_id,
        "step": example.step,
        "kind": example.kind,
        "question": example.question,
        "node_ids": example.node_ids,
        "node_scores": example.node_scores,
        "model": example.model,
        "parameters": _json(example.parameters) if example.parameters else None,
        "prompt_tokens": example.usage.prompt_tokens,
        "completion_tokens": example.usage.completion_tokens,
        "latency_s": example.latency_s,
        "finish_reason": example.finish_reason,
        "made_by": example.made_by,
        "made_from": example.made_from,
    }


def parquet_file(rows: Sequence[Row]) -> bytes:
    """The bytes of a Parquet file with these rows.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
        import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]
    except ImportError as exc:
        raise MissingExtraError("exporting to Hugging Face datasets", extra="datasets", missing="pyarrow") from exc
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=_schema(pa)), file)
    return file.getvalue()


def _schema(pa: Any) -> Any:
    text, count, number = pa.string(), pa.int64(), pa.float64()
    call = {"id": text, "type": text, "function": pa.struct({"name": text, "arguments": text})}
    message = dict.fromkeys(_TEXT_FIELDS, text) | {
        "weight": pa.int8(),
        "tool_calls": pa.list_(pa.struct(call)),
        "other": text,
    }
    columns = {
        "messages": pa.list_(pa.struct(message)),
        "tools": text,
        "parallel_tool_calls": pa.bool_(),
        "content_hash": text,
        "query_id": text,
        "step": count,
        "kind": text,
        "question": text,
        "node_ids": pa.list_(text),
        "node_scores": pa.list_(number),
        "model": text,
        "parameters": text,
        "prompt_tokens": count,
        "completion_tokens": count,
        "latency_s": number,
        "finish_reason": text,
        "made_by": text,
        "made_from": text,
    }
    return pa.schema(columns)


def _message(message: Mapping[str, Any]) -> Row:
    """The fields that have a column of their own, and what is left of the message as JSON text."""
    row = {field: value for field, value in message.items() if _has_column(field, value)}
    rest = {field: value for field, value in message.items() if value is not None and field not in row}
    return {**row, "other": _json(rest)} if rest else row


def _has_column(field: str, value: Any) -> bool:
    if field in _TEXT_FIELDS:
        return isinstance(value, str)
    if field == "weight":
        return type(value) is int and value in (0, 1)
    return field == "tool_calls" and isinstance(value, list) and all(_is_plain_call(call) for call in value)


def _is_plain_call(call: Any) -> bool:
    function = call.get("function") if isinstance(call, Mapping) else None
    return (
        isinstance(function, Mapping)
        and call.keys() <= _CALL_FIELDS
        and function.keys() == {"name", "arguments"}
        and all(isinstance(text, str) for text in (*function.values(), call.get("id", ""), call.get("type", "")))
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
