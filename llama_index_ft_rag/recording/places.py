"""Where in an app a call is made: what for, on which question, from which nodes.

In: the span of a call and the spans around it. Out: what they say about the call. Knows nothing of events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from llama_index.core.prompts import PromptType

from llama_index_ft_rag.examples import CallKind
from llama_index_ft_rag.recording.call_kinds import CallPlace
from llama_index_ft_rag.recording.query_groups import QueryGroup
from llama_index_ft_rag.recording.spans import Span

_TEMPLATE_KINDS: dict[PromptType, CallKind] = {
    PromptType.QUESTION_ANSWER: "answer",
    PromptType.REFINE: "refine",
    PromptType.SINGLE_SELECT: "selector",
    PromptType.MULTI_SELECT: "selector",
    PromptType.SUB_QUESTION: "sub_question",
    PromptType.DECOMPOSE: "sub_question",
    PromptType.CHOICE_SELECT: "selector",
    PromptType.KEYWORD_EXTRACT: "selector",
    PromptType.QUERY_KEYWORD_EXTRACT: "selector",
    PromptType.TEXT_TO_SQL: "other",
}


def place_of(links: Sequence[Span], *, is_meant: bool | None) -> CallPlace:
    """Read from the spans around a call what it is for.

    Args:
        links: The call's own span and the spans around it, innermost first.
        is_meant: What to think of a call that no engine makes: `True` if the app asked for just this one to be
            recorded, `False` if for all of the process, `None` if for all of one LLM.
    """
    kind: CallKind | None = None
    is_in_synthesizer = is_in_agent = is_in_engine = is_structured = False
    for link in links:
        if kind is None and not is_in_engine and not (link.is_engine and is_in_synthesizer):
            kind = link.purpose or link.template_kind
        if link.role == "llm" and "structured_predict" in link.method:
            is_structured = True
        if link.role == "synthesizer" and not is_in_engine:
            is_in_synthesizer = True
        if link.is_engine:
            is_in_agent = is_in_agent or (link.role == "agent" and not is_in_engine)
            is_in_engine = True
    return _place(
        kind,
        is_in_engine or is_meant,
        is_in_synthesizer=is_in_synthesizer,
        is_in_agent=is_in_agent,
        is_structured=is_structured,
    )


def kind_told_by_template(template: Any, arguments: Mapping[str, Any] | None) -> CallKind | None:
    """What a prompt template is for; `None` where neither its type nor its variables say it."""
    variables = {*getattr(template, "template_vars", ()), *(arguments or ())}
    if "existing_answer" in variables:
        return "refine"
    if {"chat_history", "question"} <= variables:
        return "condense"
    prompt_type = getattr(template, "metadata", {}).get("prompt_type")
    return _TEMPLATE_KINDS.get(prompt_type) if isinstance(prompt_type, PromptType) else None


def question_of(links: Sequence[Span], group: QueryGroup) -> str | None:
    """The user's question: the group's own, or what the outermost engine was asked."""
    if group.question is not None:
        return group.question
    asked = [link.question for link in links if link.question is not None]
    return asked[-1] if asked else None


def nodes_of(links: Sequence[Span], group: QueryGroup) -> dict[str, float | None]:
    """The nodes retrieved for the nearest engine around a call; where it has none of its own, all of the query.

    Where an app hands nodes to a synthesizer itself, in a workflow or outside any engine, it is those; else, outside
    engines, the ones last retrieved.
    """
    engines = [link for link in links if link.is_engine]
    handed = next((link.nodes for link in links if link.nodes and not link.is_engine), None)
    if engines and not (handed and engines[0].role in ("agent", "workflow")):
        return next((link.nodes for link in engines if link.nodes), engines[-1].found or {})
    return handed or group.nodes


def outside_judge(links: Sequence[Span]) -> Sequence[Span]:
    """The spans around a judge's call that are not the judge's own.

    An evaluator asks an engine that it has just built over the contexts to judge: neither the question it asks it nor
    the nodes found there are those of the query.
    """
    own = next((link for link in links if link.is_engine), None)
    if own is None:
        return links
    last = max(place for place, link in enumerate(links) if link.instance is own.instance)
    around = links[last + 1 :]
    for link in around:
        if link.found:
            link.found = {node: score for node, score in link.found.items() if node not in (own.nodes or {})}
    return around


def tree_around(links: Sequence[Span]) -> Span | None:
    """The outermost span of the tree summary that a call is a step of."""
    trees = [link for link in links if link.purpose == "tree_step"]
    return trees[-1] if trees else None


@lru_cache
def _place(
    kind: CallKind | None,
    is_in_engine: bool | None,
    *,
    is_in_synthesizer: bool,
    is_in_agent: bool,
    is_structured: bool,
) -> CallPlace:
    return CallPlace(
        is_in_engine=is_in_engine,
        is_in_synthesizer=is_in_synthesizer,
        is_in_agent=is_in_agent,
        is_structured=is_structured,
        kind=kind,
    )
