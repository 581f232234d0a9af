"""How long the examples of a training file are, and what the service does with those that are too long.

In: well-formed examples. Out: their tokens, and the same examples cut at their ends. The answer stands at the end:
an example that is cut loses it, and no error says so. Knows nothing of jobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.catalog import model_facts
from llama_index_ft_rag.offline.api.training_files import OUTPUTS, messages_of
from llama_index_ft_rag.offline.tokens import count_example_tokens, cut_tokens


@dataclass(frozen=True, kw_only=True)
class FittedExamples:
    """Examples as a model takes them."""

    lines: Sequence[dict[str, Any]]
    tokens: int
    """Of all examples, once."""
    limit: int | None
    """Tokens that an example may have; `None` where the model has no known limit."""
    cut: int
    """How many examples were longer."""


def fit_examples(lines: Sequence[dict[str, Any]], *, model: str) -> FittedExamples:
    """Cut the examples that are too long for a model, and count the tokens of all."""
    limit = model_facts(model).max_example_tokens
    lengths = [count_example_tokens(messages_of(line)) for line in lines]
    if limit is None or max(lengths) <= limit:
        return FittedExamples(lines=lines, tokens=sum(lengths), limit=limit, cut=0)
    fitted = [_cut(line, limit) if length > limit else line for line, length in zip(lines, lengths, strict=True)]
    return FittedExamples(
        lines=fitted,
        tokens=sum(min(length, limit) for length in lengths),
        limit=limit,
        cut=sum(length > limit for length in lengths),
    )


def _cut(line: dict[str, Any], limit: int) -> dict[str, Any]:
    if "messages" in line:
        return {**line, "messages": _cut_messages(line["messages"], limit)}
    asked = _cut_messages(line["input"]["messages"], limit)
    left = limit - count_example_tokens(asked)
    # An answer that is cut off whole stays as an empty one, so that the pair keeps its shape.
    outputs = {name: _cut_messages(line[name], left) or [{"role": "assistant", "content": ""}] for name in OUTPUTS}
    return {**line, "input": {**line["input"], "messages": asked}, **outputs}


def _cut_messages(messages: Sequence[Mapping[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Return the messages that fit, the last of them cut; what is no text is left out whole."""
    kept: list[dict[str, Any]] = []
    left = limit
    for message in messages:
        used = count_example_tokens([message])
        if used > left:
            content = message.get("content")
            rest = cut_tokens(content, left - count_example_tokens([{}])) if isinstance(content, str) else ""
            return [*kept, {**message, "content": rest}] if rest else kept
        kept.append(dict(message))
        left -= used
    return kept
