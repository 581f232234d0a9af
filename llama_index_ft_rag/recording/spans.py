"""Which span runs inside which, and what each of them is there for.

In: LlamaIndex's span notices. Out: `Span`s, each with its parent, so that an LLM call can tell by whom and what for
it was made. A span is forgotten when it ends, unless one inside it still runs. What the recorder makes of a span is
noted on it; this module decides nothing of that.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.schema import NodeWithScore, QueryBundle
from pydantic import BaseModel

from llama_index_ft_rag.examples import CallKind
from llama_index_ft_rag.recording.query_groups import QueryGroup
from llama_index_ft_rag.recording.recorded_calls import RecordedCall

SpanRole = Literal["engine", "agent", "workflow", "synthesizer", "retriever", "llm", "wrapper", "other"]
"""`llm` is a model; a `wrapper` asks another LLM, whose call counts where that one announces it."""

# By class name, so that nothing is imported for the sake of an isinstance check; a subclass comes before its bases.
_ROLES: dict[str, SpanRole] = {
    "StructuredLLM": "wrapper",
    "AnnouncedLLM": "wrapper",
    "BaseLLM": "llm",
    "BaseWorkflowAgent": "agent",
    "Workflow": "workflow",
    "BaseQueryEngine": "engine",
    "BaseChatEngine": "engine",
    "BaseSynthesizer": "synthesizer",
    "BaseRetriever": "retriever",
}
_PURPOSES: dict[str, CallKind] = {
    "BaseSelector": "selector",
    "BaseQuestionGenerator": "sub_question",
    "HyDEQueryTransform": "hyde",
    "BaseQueryTransform": "sub_question",
    "TreeSummarize": "tree_step",
    "QueryFusionRetriever": "sub_question",
    "BaseRetriever": "selector",
    "BaseNodePostprocessor": "selector",
    # Its answers go through a synthesizer; what it asks by itself is the condensing.
    "CondensePlusContextChatEngine": "condense",
    "MultiModalCondensePlusContextChatEngine": "condense",
}
_QUESTION_ARGUMENTS = ("str_or_query_bundle", "query_bundle", "message", "user_msg", "query", "question")


@dataclass(eq=False, slots=True, kw_only=True)
class Span:
    """One span of LlamaIndex's instrumentation."""

    span_id: str
    parent: Span | None = None
    instance: Any = None
    role: SpanRole = "other"
    purpose: CallKind | None = None
    """What LLM calls made inside are for, where its class says so."""
    template_kind: CallKind | None = None
    """What LLM calls made inside are for, where the prompt template says so."""
    group: QueryGroup | None = None
    """The group that calls inside belong to, unless one further inside has its own."""
    question: str | None = None
    nodes: dict[str, float | None] | None = None
    """Nodes retrieved directly for this engine, or handed to this synthesizer."""
    found: dict[str, float | None] | None = None
    """Of an outermost engine: all nodes retrieved inside."""
    call: RecordedCall | None = None
    """The recorded call that this span is, or is a part of."""
    owns_call: bool = False
    """Whether the span is the recorded call itself."""
    is_asked: bool = False
    """Whether this span is an LLM call that was announced."""
    has_announced: bool = False
    """Whether an LLM call was announced inside."""
    is_settled: bool = False
    """Whether it is decided if that call is recorded."""
    last_tree_call: RecordedCall | None = None
    """Of a tree summary: its last call so far."""
    last_missed_llm: Any = None
    """Of an engine: the LLM of the last call inside that nobody asked to record."""

    @property
    def method(self) -> str:
        """Name of the method that runs in this span."""
        return self.span_id.partition("-")[0].rpartition(".")[2]

    @property
    def is_engine(self) -> bool:
        """Whether a query or chat engine, an agent or a workflow runs in this span."""
        return self.role in ("engine", "agent", "workflow")

    def chain(self) -> Iterator[Span]:
        """This span and the ones around it, innermost first."""
        span: Span | None = self
        while span is not None:
            yield span
            span = span.parent


class RunningSpans:
    """The spans that run now, by id. Thread-safe: single operations on a dict are."""

    def __init__(self) -> None:
        self._spans: dict[str, Span] = {}

    def enter(
        self,
        span_id: str,
        arguments: inspect.BoundArguments,
        *,
        instance: Any,
        parent_id: str | None,
        group: QueryGroup | None,
    ) -> None:
        """Remember a span that begins."""
        role, purpose = _role_and_purpose(instance.__class__)
        span = Span(span_id=span_id, instance=instance, role=role, purpose=purpose, group=group)
        if span.is_engine or role == "synthesizer":
            span.question = _question_in(arguments.arguments)
            span.nodes = _nodes_in(arguments.arguments)
        if parent_id is not None:
            span.parent = self._spans.get(parent_id)
        self._spans[span_id] = span

    def leave(self, span_id: str) -> Span | None:
        """Forget a span that ended, and return what was known of it."""
        return self._spans.pop(span_id, None)

    def find(self, span_id: str | None) -> Span | None:
        """The span that runs under this id, if one does."""
        return self._spans.get(span_id) if span_id is not None else None


@contextmanager
def inside_span(span_id: str | None) -> Iterator[None]:
    """Do something as if it were done in the span that asked for it, so that both are seen as one call."""
    token = active_span_id.set(span_id)
    try:
        yield
    finally:
        active_span_id.reset(token)


@lru_cache(maxsize=1024)
def _role_and_purpose(kind: type) -> tuple[SpanRole, CallKind | None]:
    names = [base.__name__ for base in kind.__mro__ if base.__module__.startswith(("llama_index", "workflows"))]
    role: SpanRole = next((_ROLES[name] for name in names if name in _ROLES), "other")
    return role, next((_PURPOSES[name] for name in names if name in _PURPOSES), None)


def _question_in(arguments: Mapping[str, Any]) -> str | None:
    named = {**arguments.get("kwargs", {}), **arguments}
    start = named.get("start_event")  # what an agent or a workflow is run with
    asked = next((named[name] for name in _QUESTION_ARGUMENTS if named.get(name) is not None), None)
    if asked is None and isinstance(start, BaseModel):
        asked = next((found for name in _QUESTION_ARGUMENTS if (found := getattr(start, name, None)) is not None), None)
        said = getattr(start, "chat_history", None)
        if asked is None and isinstance(said, list):
            asked = next((m for m in reversed(said) if isinstance(m, ChatMessage) and m.role == "user"), None)
    if isinstance(asked, QueryBundle):
        return asked.query_str
    if isinstance(asked, ChatMessage):
        return asked.content
    return asked if isinstance(asked, str) else None


def _nodes_in(arguments: Mapping[str, Any]) -> dict[str, float | None] | None:
    nodes = arguments.get("nodes")
    if not isinstance(nodes, list):
        return None
    return {node.node_id: node.score for node in nodes if isinstance(node, NodeWithScore)}
