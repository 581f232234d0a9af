"""What an LLM call was for: the answer itself, a refine step, a tree step, a condensed question, ...

In: a call's messages and where in the app it was made. Out: its `CallKind`, from the code that made the call and
its prompt template where they say it, else from how LlamaIndex's own prompts begin and end, so that the documents
quoted in between cannot change it. Knows nothing of how calls are recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.examples import CallKind

# A default prompt says what it is in its first or its last words; everything between may be a document.
_HEAD = 320
_TAIL = 600
_IN_HEAD: tuple[tuple[CallKind, re.Pattern[str]], ...] = (
    ("refine", re.compile(r"strictly operates in two modes when refining|^the original query is as follows")),
    ("condense", re.compile(r"^given the following conversation between|^given a conversation \(between")),
    ("selector", re.compile(r"^some choices are given below")),
    ("sub_question", re.compile(r"^given a user question, and a list of tools")),
    ("hyde", re.compile(r"^please write a passage to answer the question")),
    ("tree_step", re.compile(r"^context information from multiple sources is below")),
    (
        "judge",
        re.compile(
            r"^please tell if a given piece of information is supported"
            r"|^your task is to evaluate if the (response|retrieved context)"
            r"|^you are an expert evaluation system"
            r"|^please act as an impartial judge"
            r"|^here is the original query:"
        ),
    ),
    ("answer", re.compile(r"^context information is below|using the provided context information")),
)
_IN_TAIL: tuple[tuple[CallKind, re.Pattern[str]], ...] = (
    ("refine", re.compile(r"(new|refined) answer:\s*$")),
    ("condense", re.compile(r"standalone question[:>]\s*$")),
    ("question_generation", re.compile(r"generate only questions based on the below query")),
)
_ACTION = re.compile(r"^\s*action\s*:", re.IGNORECASE | re.MULTILINE)
_EARLIER_ANSWER = re.compile(r"\b(existing|original|previous) answer\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class CallPlace:
    """Where in an app a call was made, as far as that is known."""

    is_in_engine: bool | None = None
    """Whether a query or chat engine, an agent or a workflow made it; `None` where that is unknown."""
    is_in_synthesizer: bool = False
    """Whether it wrote an answer from contexts."""
    is_in_agent: bool = False
    """Whether it is an agent's turn."""
    kind: CallKind | None = None
    """What it was for, where the code that made the call or its prompt template says so."""


UNKNOWN_PLACE = CallPlace()


def classify(messages: Sequence[Mapping[str, Any]], *, place: CallPlace = UNKNOWN_PLACE, step: int = 0) -> CallKind:
    """Tell what a finished call was for.

    Args:
        messages: The call's wire messages, the assistant's answer last.
        place: Where it was made.
        step: 0 for the first call of its query, 1 for the next, ...
    """
    if place.kind is not None:
        return place.kind
    *asked, answer = messages
    told = _kind_told_by_prompt(asked, step)
    if told is not None:
        return told
    if place.is_in_synthesizer:
        return "answer"
    if answer.get("tool_calls") or (place.is_in_agent and _ACTION.search(_text(answer))):
        return "tool_turn"
    return "other" if place.is_in_engine is False else "answer"


def _kind_told_by_prompt(asked: Sequence[Mapping[str, Any]], step: int) -> CallKind | None:
    user = next((message for message in reversed(asked) if message.get("role") == "user"), None)
    if user is None:
        return "other"
    texts = [_text(message) for message in asked if message.get("role") == "system"] + [_text(user)]
    for cues, parts in (
        (_IN_TAIL, [text[-_TAIL:].rstrip().lower() for text in texts]),
        (_IN_HEAD, [text[: 2 * _HEAD].lstrip()[:_HEAD].lower() for text in texts]),
    ):
        for kind, cue in cues:
            if any(cue.search(part) for part in parts):
                return kind
    if step > 0 and len(asked) == 1 and _EARLIER_ANSWER.search(texts[0]):
        return "refine"
    return None


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content)
    return str(content or "")
