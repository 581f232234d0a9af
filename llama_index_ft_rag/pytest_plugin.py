"""The fixtures that pytest finds by itself where this package is installed.

In: what a user's own fixtures say. Out: `ft_rag_backend`, a running offline backend per test. Loaded at the
start of every pytest run, so it imports nothing that a run without these fixtures would pay for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from llama_index_ft_rag.offline.conditions import ServiceConditions
    from llama_index_ft_rag.offline.responder import Responder
    from llama_index_ft_rag.testing.running import RunningBackend


@pytest.fixture
def ft_rag_responder() -> Responder | None:
    """What the models of `ft_rag_backend` say; override it, `None` takes the built-in toy readers."""
    return None


@pytest.fixture
def ft_rag_conditions() -> ServiceConditions | None:
    """What the account of `ft_rag_backend` may do, and how much of it; override it, `None` limits nothing."""
    return None


@pytest.fixture
def ft_rag_backend(
    ft_rag_responder: Responder | None, ft_rag_conditions: ServiceConditions | None
) -> Iterator[RunningBackend]:
    """An offline backend with faults, clients and an address, for one test."""
    from llama_index_ft_rag.testing.running import RunningBackend

    with RunningBackend(responder=ft_rag_responder, conditions=ft_rag_conditions) as running:
        yield running
