"""What a dataset folder says of itself: its README.md with the metadata that the Hugging Face Hub reads.

In: the rows of each split, what the caller knows of how they were chosen, what was left out. Out: the text of the
card. It says what the rows say and nothing else: licence, language and authors are not in them. Names and facts are
anybody's text and are shown without effect. Knows nothing of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llama_index_ft_rag.catalog import is_offline_model
from llama_index_ft_rag.errors import MissingExtraError
from llama_index_ft_rag.exporting.turns import LeftOutReason
from llama_index_ft_rag.hostile_text import markdown_text

Row = Mapping[str, Any]
Facts = Mapping[str, str | int | float]

COLUMNS: dict[str, str] = {
    "messages": "The conversation in the format of OpenAI's chat API; the last answer is the one to learn. Fields "
    "that a message does not have are null; what has no field of its own here is JSON in `other`.",
    "tools": "The tools that the model was offered, as JSON.",
    "parallel_tool_calls": "Whether it could call several at once.",
    "content_hash": "Identifies messages and tools: the first 16 hex digits of a SHA-256.",
    "query_id": "The calls of one query share it.",
    "step": "The place of the call within its query, from 0.",
    "kind": "What the call was for.",
    "question": "The user's question, without the prompt around it.",
    "node_ids": "Ids of the passages retrieved for the query.",
    "node_scores": "The retriever's score of each passage.",
    "model": "The model that gave the answer.",
    "parameters": "Settings of the call, as JSON.",
    "prompt_tokens": "Tokens of the prompt, as the provider counted them.",
    "completion_tokens": "Tokens of the answer, as the provider counted them.",
    "latency_s": "Seconds that the call took.",
    "finish_reason": "Why the model stopped.",
    "made_by": "What changed the recorded call into this row; null if it is as recorded.",
    "made_from": "`content_hash` of the row that it was made from.",
}
"""Each column of a row -> what it holds."""

_MOST_LISTED = 20
_LONGEST_NAME = 120
_LONGEST_FACT = 500
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_UNKNOWN = "not recorded"


def dataset_card(splits: Mapping[str, Sequence[Row]], *, facts: Facts, left_out: Iterable[LeftOutReason] = ()) -> str:
    """Write the card of a folder with the file `data/<split>-*.parquet` for each split.

    Raises:
        MissingExtraError: If huggingface_hub is not installed.
    """
    rows = [row for split in splits.values() for row in split]
    sections = [
        f"---\n{_metadata(splits)}\n---",
        "# Training examples",
        *_warning(rows),
        "Conversations for the training of chat models, exported by `llama-index-ft-rag`. They may hold passages of "
        "documents and questions of users: look at them before you pass them on.",
        _table(("Split", "Rows"), {split: len(rows) for split, rows in splits.items()}.items()),
        *_origin(rows),
        "## What the calls were for\n\n" + _table(("Kind", "Rows"), _counted(rows, "kind")),
        *_choice(facts, Counter(left_out)),
        "## Columns\n\n" + _table(("Column", "Holds"), COLUMNS.items(), escape=False),
        '## Loading\n\n```python\nfrom datasets import load_dataset\n\nload_dataset("path/to/this/folder")\n```',
    ]
    return "\n\n".join(sections) + "\n"


def _metadata(splits: Mapping[str, Sequence[Row]]) -> str:
    try:
        from huggingface_hub import DatasetCardData
    except ImportError as exc:
        raise MissingExtraError(
            "exporting to Hugging Face datasets", extra="datasets", missing="huggingface_hub"
        ) from exc
    count = sum(len(rows) for rows in splits.values())
    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    text: str = DatasetCardData(
        task_categories=["text-generation"],
        size_categories=[next((size for limit, size in _SIZES if count < limit), "10M<n<100M")],
        tags=["llama-index-ft-rag"],
        configs=[{"config_name": "default", "data_files": files}],
    ).to_yaml()
    return text


def _warning(rows: Sequence[Row]) -> list[str]:
    toys = [row for row in rows if row["model"] and is_offline_model(row["model"])]
    if not toys:
        return []
    return [
        f"> **{len(toys)} of {len(rows)} rows hold answers of toy models.** The readers of the offline backend, whose "
        "names hold `offline-`, show that a pipeline works; no model should learn from them."
    ]


def _origin(rows: Sequence[Row]) -> list[str]:
    models = _counted(rows, "model")
    made = Counter(row["made_by"] for row in rows if row["made_by"])
    text = ["## Who answered\n\n" + _table(("Model", "Rows"), models)]
    if any(row["model"] and not is_offline_model(row["model"]) for row in rows):
        text.append(
            "The answers are the output of these models, not checked facts. The terms of each model's provider say "
            "what its output may be used for."
        )
    if made:
        text.append("Some rows were changed after the call:\n\n" + _table(("Changed by", "Rows"), _listed(made)))
    return text


def _choice(facts: Facts, left_out: Counter[LeftOutReason]) -> list[str]:
    lines = [
        f"- {markdown_text(name, limit=_LONGEST_NAME)}: {markdown_text(str(value), limit=_LONGEST_FACT)}"
        for name, value in list(facts.items())[:_MOST_LISTED]
    ]
    if len(facts) > _MOST_LISTED:
        lines.append(f"- and {len(facts) - _MOST_LISTED} facts more")
    lines += [f"- Left out when exported, because {reason}: {count}" for reason, count in left_out.most_common()]
    return ["## How the rows were chosen\n\n" + "\n".join(lines)] if lines else []


def _counted(rows: Sequence[Row], column: str) -> list[tuple[str, int]]:
    return _listed(Counter(row[column] or _UNKNOWN for row in rows))


def _listed(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent first, the rest as one line."""
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = listed[_MOST_LISTED:]
    return [*listed[:_MOST_LISTED], *([(f"{len(rest)} more", sum(count for _, count in rest))] if rest else [])]


def _table(headings: tuple[str, str], lines: Iterable[tuple[str, object]], *, escape: bool = True) -> str:
    cells = [(markdown_text(name, limit=_LONGEST_NAME) if escape else f"`{name}`", str(value)) for name, value in lines]
    return "\n".join(f"| {left} | {right} |" for left, right in [headings, ("---", "---"), *cells])
