"""Recorded examples -> those worth training on, and those dropped with their reasons.

In: `TrainingExample`s. Out: `Curation`, in the order given; nothing is changed and nothing vanishes. Knows
nothing of files or jobs.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from llama_index_ft_rag.abstention import is_abstention
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample

__all__ = ["Curation", "DropReason", "Dropped", "curate", "is_abstention"]

DropReason = Literal["duplicate", "abstention", "empty_answer", "cut_off"]
"""Why an example is not trained on.

- duplicate: an earlier example has the same messages and tools.
- abstention: the answer as a whole declines to answer.
- empty_answer: the answer has neither text nor a tool call.
- cut_off: the call ended at its length limit or was stopped by a filter.
"""

_UNFINISHED = {"length", "max_tokens", "content_filter"}


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """An example that is left out."""

    example: TrainingExample
    reasons: tuple[DropReason, ...]
    """All that apply, at least one."""


@dataclass(frozen=True, kw_only=True)
class Curation:
    """What was kept and what was dropped; together they are what came in."""

    kept: list[TrainingExample]
    dropped: list[Dropped]
    kept_abstentions: int = 0
    """How many of those kept are abstentions, kept on purpose."""

    def counts(self) -> dict[str, int]:
        """Number of examples kept and dropped, and of drops by reason; a drop with two reasons is in both."""
        reasons = Counter(reason for dropped in self.dropped for reason in dropped.reasons)
        return {"kept": len(self.kept), "dropped": len(self.dropped), **dict(sorted(reasons.items()))}


def curate(examples: Iterable[TrainingExample], *, keep_abstentions: float = 0.0, seed: int = 0) -> Curation:
    """Part the examples worth training on from the others.

    Args:
        examples: In any order; it is kept.
        keep_abstentions: Share of the abstentions with no other fault to keep, from 0 to 1, so that the student
            learns to decline too.
        seed: Decides which ones; the same examples and seed give the same choice in any order.

    Raises:
        ConfigurationError: If `keep_abstentions` is no share.
    """
    if not 0.0 <= keep_abstentions <= 1.0:
        raise ConfigurationError(f"keep_abstentions is {keep_abstentions!r}; pass a share from 0 to 1")
    judged = _judge(examples)
    pardoned = _pardoned(judged, share=keep_abstentions, seed=seed)
    kept: list[TrainingExample] = []
    dropped: list[Dropped] = []
    for index, one in enumerate(judged):
        if one.reasons and index not in pardoned:
            dropped.append(Dropped(example=one.example, reasons=one.reasons))
        else:
            kept.append(one.example)
    return Curation(kept=kept, dropped=dropped, kept_abstentions=len(pardoned))


@dataclass(frozen=True, kw_only=True)
class _Judged:
    example: TrainingExample
    content_hash: str
    reasons: tuple[DropReason, ...]


def _judge(examples: Iterable[TrainingExample]) -> list[_Judged]:
    seen: set[str] = set()
    judged = []
    for example in examples:
        content_hash = example.content_hash
        reasons = _reasons(example, duplicate=content_hash in seen)
        seen.add(content_hash)
        judged.append(_Judged(example=example, content_hash=content_hash, reasons=reasons))
    return judged


def _reasons(example: TrainingExample, *, duplicate: bool) -> tuple[DropReason, ...]:
    reasons: list[DropReason] = []
    if duplicate:
        reasons.append("duplicate")
    if not _has_answer(example):
        reasons.append("empty_answer")
    elif is_abstention(_answer_text(example)):
        reasons.append("abstention")
    if example.finish_reason in _UNFINISHED:
        reasons.append("cut_off")
    return tuple(reasons)


def _has_answer(example: TrainingExample) -> bool:
    if not example.messages or example.messages[-1].get("role") != "assistant":
        return False
    last = example.messages[-1]
    return bool(_answer_text(example).strip() or last.get("tool_calls") or last.get("function_call"))


def _answer_text(example: TrainingExample) -> str:
    content = example.messages[-1].get("content")
    if not isinstance(content, list):
        return example.answer
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _pardoned(judged: Sequence[_Judged], *, share: float, seed: int) -> set[int]:
    """Indexes of the abstentions that are kept on purpose."""
    candidates = [index for index, one in enumerate(judged) if one.reasons == ("abstention",)]
    candidates.sort(key=lambda index: hashlib.sha256(f"{seed}:{judged[index].content_hash}".encode()).digest())
    return set(candidates[: round(share * len(candidates))])
