"""The rules by which a single example is judged, each with its name and what it says of an example it refuses.

In: a `Candidate`. Out: why it should not be trained on, or nothing. What is judged by looking at the other examples,
such as duplicates, is not here. Knows nothing of files, or of what was decided about other examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.curation.drafts import Draft, repeats_draft
from llama_index_ft_rag.curation.prompt_leaks import leaked_words
from llama_index_ft_rag.curation.prompt_parts import PromptParts
from llama_index_ft_rag.example_tokens import count_example_tokens
from llama_index_ft_rag.examples import CallKind, TrainingExample
from llama_index_ft_rag.training_format import Problem

_UNFINISHED = {
    "length": "ended at its length limit",
    "max_tokens": "ended at its length limit",
    "max_output_tokens": "ended at its length limit",
    "content_filter": "was stopped by a filter",
    "safety": "was stopped by a filter",
    "recitation": "was stopped by a filter",
    "blocklist": "was stopped by a filter",
    "prohibited_content": "was stopped by a filter",
    "guardrail_intervened": "was stopped by a filter",
    "model_length": "ended at its length limit",
    "incomplete": "is incomplete",
    "error": "ended with an error",
}
_OPEN_MODELS = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>",
    "<|python_tag|>", "<|start|>", "<|return|>", "<start_of_turn>", "<end_of_turn>", "[/INST]",
)  # fmt: skip
_SAID_ELSEWHERE = ("special_token", "last_not_assistant", "no_messages")
"""Problems that have a rule of their own."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An example, and what is known of it."""

    example: TrainingExample
    content_hash: str
    answer: str
    """All text of the last message, if it is the assistant's."""
    declines: bool = False
    """Whether the answer, as a whole, declines to answer."""
    is_judged: bool = False
    """Whether a judge said so, and not patterns."""
    problems: tuple[Problem, ...] = ()
    """Why a service would refuse it."""
    parts: PromptParts | None = None
    drafts: tuple[Draft, ...] = ()
    """What it was asked to improve, if it is a refine step."""
    score: float | None = None
    draft_score: float | None = None
    """The best score of an example whose answer is a draft."""


Check = Callable[[Candidate], str | None]
"""Says what is wrong with an example, or `None`."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A check with a name."""

    name: str
    check: Check


def not_taught(candidate: Candidate, *, kinds: frozenset[CallKind]) -> str | None:
    """The call was for something else than what the student is taught; an unknown kind passes."""
    kind = candidate.example.kind
    return None if kind in kinds or kind == "other" else f"is a call of the kind {kind}, which is not taught"


def not_trainable(candidate: Candidate) -> str | None:
    """A service would refuse the example, or the whole file for it."""
    said = [p.message for p in candidate.problems if p.severity == "error" and p.code not in _SAID_ELSEWHERE]
    return "; ".join(said) or None


def special_token(candidate: Candidate) -> str | None:
    """A text holds a token that is a model's own, for which services refuse the file or which ends an answer."""
    said = [p.message for p in candidate.problems if p.severity == "error" and p.code == "special_token"]
    text = "\0".join(str(message.get("content")) for message in candidate.example.messages)
    said += [f"contains {token}, a token of open models" for token in _OPEN_MODELS if token in text]
    return "; ".join(said) or None


def empty_answer(candidate: Candidate) -> str | None:
    """The answer has neither text nor a tool call."""
    messages = candidate.example.messages
    last: Mapping[str, Any] = messages[-1] if messages else {}
    if last.get("role") != "assistant":
        return "has no answer"
    said = candidate.answer.strip() or any(last.get(key) for key in ("tool_calls", "function_call", "refusal"))
    return None if said else "has an empty answer"


def abstention(candidate: Candidate) -> str | None:
    """The answer, as a whole, declines to answer; a judge's word comes before the patterns'."""
    if not candidate.declines or candidate.example.made_by == "no_answer":
        return None  # a row made to decline is wanted
    return "declines to answer, says the judge" if candidate.is_judged else "declines to answer"


def cut_off(candidate: Candidate) -> str | None:
    """The answer is not whole."""
    how = _UNFINISHED.get((candidate.example.finish_reason or "").lower().rpartition(".")[2])
    return f"{how} (finish_reason {candidate.example.finish_reason})" if how else None


def repeated_draft(candidate: Candidate) -> str | None:
    """A refine step adds nothing: its answer is the draft, or only says that the draft stands."""
    if not candidate.answer.strip() or candidate.example.made_by == "no_answer":
        return None
    said = (repeats_draft(candidate.answer, draft.text) for draft in candidate.drafts)
    return next((text for text in said if text), None)


def made_worse(candidate: Candidate, *, by: float) -> str | None:
    """A refine step scores lower than its draft. A score says nothing about one that declines."""
    score, before = candidate.score, candidate.draft_score
    if candidate.declines or score is None or before is None or score >= before - by:
        return None
    return f"made its draft worse: {before:.2f} became {score:.2f}"


def prompt_leak(candidate: Candidate) -> str | None:
    """The answer speaks of the prompt. One that declines often does; it is an abstention, and no leak on top."""
    words = None if candidate.declines else leaked_words(candidate.answer)
    if words and candidate.parts is not None and words.casefold() in candidate.parts.context.casefold():
        return None  # the document's own words
    return f"speaks of its prompt: “{words}”" if words else None


def too_long(candidate: Candidate, *, model: str, limit: int) -> str | None:
    """The example has more tokens than the student takes; what is too much is cut off its end, the answer."""
    if _most_tokens(candidate.example) <= limit:
        return None
    count = count_example_tokens(candidate.example.to_line(), model=model)
    about = "" if count.exact else "about "
    return f"has {about}{count.tokens:,} tokens; {limit:,} are taken" if count.tokens > limit else None


def low_score(candidate: Candidate, *, minimum: float) -> str | None:
    """The judge's score is below the threshold; an example without a score passes, and so does one that declines."""
    if candidate.declines or candidate.score is None or candidate.score >= minimum:
        return None
    return f"scores {candidate.score:.2f}, below {minimum:.2f}"


def _most_tokens(example: TrainingExample) -> int:
    """More than an example can have: no token is shorter than a byte. Most examples need no counting."""
    return 64 + 16 * len(example.messages) + len(str(example.to_line()).encode("utf-8", "replace"))
