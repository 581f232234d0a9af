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
_BEGINNINGS: dict[str, CallKind] = {
    "context information is below": "answer",
    "the original query is as follows": "refine",
    "given the following conversation between": "condense",
    "given a conversation (between": "condense",
    "some choices are given below": "selector",
    "given a user question, and a list of tools": "sub_question",
    "please write a passage to answer the question": "hyde",
    "context information from multiple sources is below": "tree_step",
    "please tell if a given piece of information is supported": "judge",
    "your task is to evaluate if the response": "judge",
    "your task is to evaluate if the retrieved context": "judge",
    "you are an expert evaluation system": "judge",
    "please act as an impartial judge": "judge",
    "here is the original query:": "judge",
    "we want to understand if the following": "judge",
    "given a question and an answer, analyze the complexity": "judge",
    "your task is to judge the faithfulness": "judge",
    "generate a question for the given answer and identify": "judge",
}
_IN_HEAD: dict[str, CallKind] = {
    "strictly operates in two modes when refining": "refine",
    "using the provided context information": "answer",
}
_ENDINGS: dict[str, CallKind] = {
    "new answer:": "refine",
    "refined answer:": "refine",
    "standalone question:": "condense",
    "standalone question>": "condense",
}
_GENERATES_QUESTIONS = "generate only questions based on the below query.\n"
_ALL_BEGINNINGS = tuple(_BEGINNINGS)
_ALL_ENDINGS = tuple(_ENDINGS)
_ACTION = re.compile(r"^\s*action\s*:|<execute>", re.IGNORECASE | re.MULTILINE)
_EARLIER_ANSWERS = ("existing answer", "original answer", "previous answer")


@dataclass(frozen=True, kw_only=True)
class CallPlace:
    """Where in an app a call was made, as far as that is known."""

    is_in_engine: bool | None = None
    """Whether a query or chat engine, an agent or a workflow made it, or the app asked for just this call to be
    recorded; `None` where that is unknown."""
    is_in_synthesizer: bool = False
    """Whether it wrote an answer from contexts."""
    is_in_agent: bool = False
    """Whether it is an agent's turn."""
    is_structured: bool = False
    """Whether a tool call is only the form in which it is answered."""
    kind: CallKind | None = None
    """What it was for, where the code that made the call or its prompt template says so."""


UNKNOWN_PLACE = CallPlace()


def kind_asked(
    asked: Sequence[Mapping[str, Any]], *, place: CallPlace, step: int, question: str | None = None
) -> CallKind | None:
    """What a call is for, as far as that is known before it is answered.

    Args:
        asked: The call's wire messages.
        place: Where it was made.
        step: 0 for the first call of its query, 1 for the next, ...
        question: What the user asked; where a message says just that, it is no prompt of LlamaIndex's.
    """
    if place.kind not in (None, "refine"):
        return place.kind
    told = None if place.is_in_agent else _kind_told_by_prompt(asked, step, question)
    if told == "judge":  # an evaluator asks through an engine and a refine template of its own
        return told
    return place.kind or told or ("answer" if place.is_in_synthesizer else None)


def kind_answered(answer: Mapping[str, Any], *, place: CallPlace) -> CallKind:
    """What a call was for whose request did not tell."""
    if not place.is_structured and answer.get("tool_calls"):
        return "tool_turn"
    if place.is_in_agent and _ACTION.search(_text(answer)):
        return "tool_turn"
    return "other" if place.is_in_engine is False else "answer"


def _kind_told_by_prompt(asked: Sequence[Mapping[str, Any]], step: int, question: str | None) -> CallKind | None:
    user = next((message for message in reversed(asked) if message["role"] == "user"), None)
    if user is None:
        return "other"
    text = _text(user)
    if question is not None and text.strip() == question.strip():
        return None
    kind = _kind_told_by(text)
    if kind is not None:
        return kind
    for message in asked:
        if message["role"] == "system":
            kind = _kind_told_by(_text(message))
            if kind is not None:
                return kind
    if step > 0 and len(asked) == 1:
        lowered = text.lower()
        if any(words in lowered for words in _EARLIER_ANSWERS):
            return "refine"
    return None


def _kind_told_by(text: str) -> CallKind | None:
    tail = text[-_TAIL:].rstrip().lower()
    if tail.endswith(_ALL_ENDINGS):
        for ending, kind in _ENDINGS.items():
            if tail.endswith(ending):
                return kind
    if _GENERATES_QUESTIONS in tail:
        return "question_generation"
    head = text[: 2 * _HEAD].lstrip()[:_HEAD].lower()
    if head.startswith(_ALL_BEGINNINGS):
        for beginning, kind in _BEGINNINGS.items():
            if head.startswith(beginning):
                return kind
    for words, kind in _IN_HEAD.items():
        if words in head:
            return kind
    return None


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content)
    return str(content or "")
