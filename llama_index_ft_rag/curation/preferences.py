"""Preference pairs: a teacher's answer before the base model's, only where somebody says that it is the better one.

In: examples, the base model's answers to the same prompts, and who says which is better. Out: `Preferences`, and
files in OpenAI's preference format with their provenance beside them, ours and anybody's. Pairs are text only, as
training on preferences is. Knows nothing of models: who was asked, and how, is not its business.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llama_index_ft_rag.errors import ConfigurationError, ExamplesError
from llama_index_ft_rag.examples import (
    TrainingExample,
    check_writable,
    join_provenance,
    numbered_lines,
    provenance_path,
    read_provenance,
)
from llama_index_ft_rag.storage import dump_row, write_rows
from llama_index_ft_rag.training_format import check_line

NoPair = Literal["not_text", "no_answer", "same_answer", "not_trainable", "other_preferred", "undecided"]
"""Why there is no pair of an example and another answer.

- not_text: the teacher's message is something else than text, or the prompt holds more than text.
- no_answer: one of the two answers is missing or empty.
- same_answer: both say the same, white space around it aside.
- not_trainable: a service would refuse the line, for a special token in it for instance.
- other_preferred: the other answer is the better one.
- undecided: nobody says which is better, or it is a tie.
"""

Prefer = Callable[[TrainingExample, str], "bool | None"]
"""Called with an example and the other answer: `True` if the example's own is better, `False` if the other is."""

_NOT_TEXT = ("tool_calls", "function_call", "refusal", "audio")
_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class PreferencePair:
    """Two answers to one prompt."""

    example: TrainingExample
    """Prompt and preferred answer."""
    non_preferred: dict[str, Any]
    """The assistant's message that is not to be learnt from."""

    def to_line(self) -> dict[str, Any]:
        """The object a provider accepts as one line of a preference file."""
        *prompt, preferred = self.example.messages
        asked: dict[str, Any] = {"messages": prompt}
        if self.example.tools is not None:
            asked["tools"] = self.example.tools
        if self.example.parallel_tool_calls is not None:
            asked["parallel_tool_calls"] = self.example.parallel_tool_calls
        # A weight says which answers of a chat are trained on; here that is known.
        answer = {key: value for key, value in preferred.items() if key != "weight"}
        return {"input": asked, "preferred_output": [answer], "non_preferred_output": [self.non_preferred]}

    def to_provenance(self) -> dict[str, Any]:
        """What is known of the example, keyed by the content hash it has when it is read from the line."""
        return {**self.example.to_provenance(), "content_hash": _example_in(self.to_line()).content_hash}


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """Pairs in the order of their examples, and how many examples gave none; together they are what came in."""

    pairs: list[PreferencePair]
    left_out: dict[NoPair, int]
    """Number of examples by reason."""

    def counts(self) -> dict[str, int]:
        """Number of pairs, of examples that gave none, and of these by reason."""
        by_reason: dict[str, int] = dict(self.left_out.items())
        return {"pairs": len(self.pairs), "left_out": sum(by_reason.values()), **by_reason}


def preference_pairs(
    examples: Iterable[TrainingExample],
    answers: Mapping[str, str],
    *,
    prefers: Mapping[str, bool | None] | Prefer,
) -> Preferences:
    """Pair each example's answer with another one to the same prompt, where the example's own is said to be better.

    Args:
        examples: With the teacher's answers.
        answers: The other answers, by the content hash of the example.
        prefers: Verdicts by content hash, or who gives them: `True` if the example's own answer is better, `False`
            if the other is, `None` if that is undecided. It is not asked about answers that can make no pair.

    Raises:
        ConfigurationError: If a verdict is neither of the three.
    """
    pairs: list[PreferencePair] = []
    left_out: Counter[NoPair] = Counter()
    for example in examples:
        key = example.content_hash
        other = answers.get(key)
        outcome = pair_or_reason(example, other)
        if isinstance(outcome, PreferencePair):
            verdict = prefers.get(key) if isinstance(prefers, Mapping) else prefers(example, other or "")
            outcome = _decided(outcome, verdict, key)
        if isinstance(outcome, PreferencePair):
            pairs.append(outcome)
        else:
            left_out[outcome] += 1
    return Preferences(pairs=pairs, left_out=dict(sorted(left_out.items())))


def answers_from(examples: Iterable[TrainingExample], others: Iterable[TrainingExample]) -> dict[str, str]:
    """Take the other answers out of examples with the same prompts, by the content hash of the first ones.

    Args:
        examples: With the teacher's answers.
        others: With the other answers; of several to one prompt the first counts.
    """
    answers: dict[str, str] = {}
    for other in others:
        if other.messages and other.messages[-1].get("role") == "assistant":
            answers.setdefault(other.prompt_hash, other.answer)
    return {one.content_hash: answers[one.prompt_hash] for one in examples if one.prompt_hash in answers}


def pair_or_reason(example: TrainingExample, other: str | None) -> PreferencePair | NoPair:
    """The pair that an example and another answer make if the example's own is the better one, or why none."""
    if not is_text(example):
        return "not_text"
    if not isinstance(other, str) or not other.strip() or not example.answer.strip():
        return "no_answer"
    if example.answer.strip() == other.strip():
        return "same_answer"
    pair = PreferencePair(example=example, non_preferred={"role": "assistant", "content": other})
    return "not_trainable" if _errors(pair.to_line(), number=1) else pair


def is_text(example: TrainingExample) -> bool:
    """Whether prompt and answer are text, which the answer may lack; a prompt may hold tool calls."""
    *prompt, last = example.messages or [{}]
    if last.get("role") != "assistant" or any(last.get(key) for key in _NOT_TEXT):
        return False
    if not isinstance(last.get("content"), str | None):
        return False
    parts = [part for message in prompt if isinstance(message.get("content"), list) for part in message["content"]]
    return all(isinstance(part, dict) and part.get("type") == "text" for part in parts)


def prefer_by_score(
    scores: Mapping[str, float | None], other_scores: Mapping[str, float | None], *, margin: float
) -> Prefer:
    """Make a `prefers` of two sets of scores; an example without both of its scores is undecided.

    Args:
        scores: Of the examples' own answers, by content hash.
        other_scores: Of the other answers, by the same keys.
        margin: By how much a score must be above the other to decide; more than this, not as much.

    Raises:
        ConfigurationError: If `margin` is negative or no number.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise ConfigurationError(f"margin is {margin!r}; pass 0 or more, in the unit of the scores")

    def prefers(example: TrainingExample, _other: str) -> bool | None:
        key = example.content_hash
        score, other_score = scores.get(key), other_scores.get(key)
        if score is None or other_score is None:
            return None
        difference = score - other_score
        # Asked this way round, a score that is no number decides nothing.
        return bool(difference > 0) if abs(difference) > margin else None

    return prefers


def write_pairs(path: str | Path, pairs: Iterable[PreferencePair]) -> int:
    """Write a preference file and, beside it, its provenance; both atomically. Return the number of pairs.

    Raises:
        ConfigurationError: If there is no such folder, or the file or its provenance would replace a recording.
        ExamplesError: If a service would refuse a line; nothing is written then.
    """
    target = Path(path)
    rows = list(pairs)
    check_writable(target)
    lines = [row.to_line() for row in rows]
    problems = [f"pair {n} {text}" for n, line in enumerate(lines, start=1) for text in _errors(line, number=n)]
    if problems:
        more = f" (and {len(problems) - _MOST_NAMED} more)" if len(problems) > _MOST_NAMED else ""
        raise ExamplesError(f"{target} was not written: {'; '.join(problems[:_MOST_NAMED])}{more}")
    write_rows(provenance_path(target), (row.to_provenance() for row in rows))
    write_rows(target, lines)
    return len(rows)


def read_pairs(path: str | Path) -> list[PreferencePair]:
    """Read a preference file, ours or anybody's; provenance is joined where it lies beside it.

    Raises:
        ExamplesError: If the file is missing, is not UTF-8, or a line is no preference pair.
    """
    source = Path(path)
    known = read_provenance(source)
    pairs = []
    for number, text in numbered_lines(source):
        line = _parse_line(source, number, text)
        read = _example_in(line)
        # Joining goes by the chat format, in which an empty list of tools is none.
        as_read = {"tools": read.tools, "parallel_tool_calls": read.parallel_tool_calls}
        example = join_provenance(read, known).model_copy(update=as_read)
        pairs.append(PreferencePair(example=example, non_preferred=line["non_preferred_output"][0]))
    return pairs


def _decided(pair: PreferencePair, verdict: object, key: str) -> PreferencePair | NoPair:
    if verdict is None:
        return "undecided"
    if not isinstance(verdict, bool):
        # What is merely true, a score for instance, would make a pair that nobody asked for.
        raise ConfigurationError(
            f"prefers said {verdict!r:.60} ({type(verdict).__name__}) of example {key}; it must say True, False or None"
        )
    return pair if verdict else "other_preferred"


def _errors(line: Mapping[str, Any], *, number: int) -> list[str]:
    checked = check_line(dump_row(line).encode().rstrip(b"\n"), number=number)
    return [problem.message for problem in checked.problems if problem.severity == "error"]


def _example_in(line: Mapping[str, Any]) -> TrainingExample:
    asked = line["input"]
    parallel = asked.get("parallel_tool_calls")
    return TrainingExample(
        messages=[*asked["messages"], line["preferred_output"][0]],
        tools=asked.get("tools"),
        parallel_tool_calls=parallel if isinstance(parallel, bool) else None,
    )


def _parse_line(source: Path, number: int, text: str) -> dict[str, Any]:
    advice = f"run `ft-rag validate {source}` to see every problem"
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as exc:  # besides broken JSON: numbers or nesting beyond what Python reads
        raise ExamplesError(f"{source} line {number}: not JSON ({exc}); {advice}") from exc
    fault = _fault(line)
    if fault is not None:
        raise ExamplesError(f"{source} line {number}: no preference pair, as {fault}; {advice}")
    return dict(line)


def _fault(line: Any) -> str | None:
    """What keeps a JSON value from being a pair."""
    asked = line.get("input") if isinstance(line, dict) else None
    if not isinstance(asked, dict) or not asked.get("messages") or not _are_objects(asked["messages"]):
        return "`input` has no list of `messages`"
    if asked.get("tools") is not None and not _are_objects(asked["tools"]):
        return "`tools` is no list of objects"
    for key in ("preferred_output", "non_preferred_output"):
        output = line.get(key)
        if not _are_objects(output) or [message.get("role") for message in output] != ["assistant"]:
            return f"`{key}` is no list with one message of the assistant"
    return None


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
