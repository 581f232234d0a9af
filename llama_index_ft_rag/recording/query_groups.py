"""What the calls of one query have in common.

In: questions and retrieved nodes as they become known. Out: a `QueryGroup`, in which the recorder counts them.
Knows nothing of LlamaIndex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_NODES = 100
"""How many nodes an app's own retrieving is remembered by, outside engines."""


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
    """The nodes last retrieved outside any engine, with their scores, by node id."""
    seen: int = 0
    """Calls that reached the recorder."""
    unseen: int = 0
    """Calls that were made and did not."""
    steps: int = 0
    """How many calls have started."""

    def add_nodes(self, nodes: Mapping[str, float | None]) -> None:
        """Remember nodes that were retrieved outside any engine, the last ones."""
        kept = {**{node_id: score for node_id, score in self.nodes.items() if node_id not in nodes}, **nodes}
        self.nodes = dict(list(kept.items())[-MOST_NODES:])
