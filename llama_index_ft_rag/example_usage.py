"""A training file -> the tokens of its prompts and of its answers, as a guess at what a question will use.

In: the path of a training file in the chat or the preference format, right or wrong. Out: `ExampleUsage`, means per
example over the first ones. Lines that cannot be read are passed over. Knows nothing of prices or of what is wrong
with a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from llama_index_ft_rag.example_tokens import count_example_tokens

MOST_EXAMPLES = 1000
"""So many are enough for a mean, and a file may have gigabytes."""

_BARE_ANSWER: Mapping[str, Any] = {"role": "assistant"}


@dataclass(frozen=True, kw_only=True)
class ExampleUsage:
    """Mean tokens of the examples looked at."""

    prompt_tokens: float
    """Everything before the last answer, tools among it."""
    completion_tokens: float
    """The last answer; of a preference pair the preferred one."""
    examples: int


def example_usage(path: str | Path, *, model: str, most: int = MOST_EXAMPLES) -> ExampleUsage | None:
    """Count the tokens before and in the answers of a training file; `None` where no example can be read.

    Args:
        path: A JSONL file.
        model: The model whose tokenizer counts.
        most: How many examples to look at, from the first on.
    """
    counts = list(islice(_counts(Path(path), model), most))
    if not counts:
        return None
    return ExampleUsage(
        prompt_tokens=sum(prompt for prompt, _ in counts) / len(counts),
        completion_tokens=sum(completion for _, completion in counts) / len(counts),
        examples=len(counts),
    )


def _counts(path: Path, model: str) -> Iterator[tuple[int, int]]:
    bare = count_example_tokens({"messages": [_BARE_ANSWER]}, model=model).tokens
    for example in _examples(path):
        answer = _last_answer(example)
        if answer is None:
            continue
        prompt, reply = answer
        # The frame that the format puts before a reply is part of the prompt, so it stays there.
        reply_tokens = count_example_tokens({"messages": [reply]}, model=model).tokens - bare
        yield count_example_tokens(prompt, model=model).tokens, max(0, reply_tokens)


def _examples(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open("rb") as stream:
            for line in stream:
                try:
                    example = json.loads(line.decode("utf-8-sig", errors="replace"))
                except (ValueError, RecursionError):
                    continue
                if isinstance(example, Mapping):
                    yield example
    except OSError:
        return


def _last_answer(example: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """What stands before the last answer, as a line of its own, and the answer."""
    pair = example.get("input")
    if isinstance(pair, Mapping):
        replies = _assistant(example.get("preferred_output"))
        return ({"messages": pair.get("messages"), "tools": pair.get("tools")}, replies[-1]) if replies else None
    messages = example.get("messages")
    replies = _assistant(messages)
    if not isinstance(messages, list) or not replies:
        return None
    end = max(index for index, message in enumerate(messages) if message is replies[-1])
    return {**example, "messages": messages[:end]}, replies[-1]


def _assistant(messages: Any) -> list[Mapping[str, Any]]:
    if not isinstance(messages, list):
        return []
    return [message for message in messages if isinstance(message, Mapping) and message.get("role") == "assistant"]
