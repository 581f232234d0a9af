"""What an LLM call was for: the answer itself, a refine step, a tree step, a condensed question, ...

In: a call's messages and its place in its query. Out: its `CallKind`, read from how LlamaIndex's own
prompts begin and end, so that the documents quoted in between cannot change it. Knows nothing of how calls
are recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    ("answer", re.compile(r"^context information is below|using the provided context information")),
)
_IN_TAIL: tuple[tuple[CallKind, re.Pattern[str]], ...] = (
    ("refine", re.compile(r"(new|refined) answer:\s*$")),
    ("condense", re.compile(r"standalone question[:>]\s*$")),
    ("question_generation", re.compile(r"generate only questions based on the below query")),
)
_EARLIER_ANSWER = re.compile(r"\b(existing|original|previous) answer\b", re.IGNORECASE)


def classify(messages: Sequence[Mapping[str, Any]], *, step: int = 0, in_engine: bool | None = None) -> CallKind:
    """Tell what a finished call was for.

    Args:
        messages: The call's wire messages, the assistant's answer last.
        step: 0 for the first call of its query, 1 for the next, ...
        in_engine: Whether a query or chat engine made the call; `None` where that is unknown.
    """
    *asked, answer = messages
    users = [message for message in asked if message.get("role") == "user"]
    if not users:
        return "other"
    texts = [_text(message) for message in asked if message.get("role") == "system"] + [_text(users[-1])]
    for cues, parts in (
        (_IN_TAIL, [text[-_TAIL:] for text in texts]),
        (_IN_HEAD, [text[:_HEAD] for text in texts]),
    ):
        for kind, cue in cues:
            if any(cue.search(part) for part in parts):
                return kind
    if answer.get("tool_calls"):
        return "tool_turn"
    if step > 0 and len(asked) == 1 and _EARLIER_ANSWER.search(_text(users[0])):
        return "refine"
    return "other" if in_engine is False else "answer"


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content)
    return str(content or "").strip().lower()
