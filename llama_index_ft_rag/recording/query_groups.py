"""What the calls of one query have in common.

In: questions and retrieved nodes as they become known. Out: a `QueryGroup` that numbers its calls. Knows nothing
of LlamaIndex.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(eq=False, kw_only=True)
class QueryGroup:
    """The calls of one query, or of everything inside one `with handler.recording():`."""

    query_id: str
    question: str | None = None
    is_explicit: bool = False
    """Whether the app opened it, with `handler.recording()`."""
    is_over: bool = False
    """Whether the app has closed it; what began inside still belongs to it."""
    is_sampled: bool = True
    """Whether its calls are kept; a query is kept whole or not at all."""
    nodes: dict[str, float | None] = field(default_factory=dict)
    """Every node retrieved so far, with its score, by node id."""
    seen: int = 0
    """Calls that reached the recorder."""
    unseen: int = 0
    """Calls that were made and did not."""
    steps: int = 0
    """How many calls have started."""

    def add_nodes(self, nodes: Mapping[str, float | None]) -> None:
        """Remember nodes that were retrieved for the query."""
        self.nodes = {**self.nodes, **nodes}

    def drop_nodes(self, nodes: Iterable[str]) -> None:
        """Forget nodes that turned out not to be the query's."""
        dropped = set(nodes)
        self.nodes = {node_id: score for node_id, score in self.nodes.items() if node_id not in dropped}
