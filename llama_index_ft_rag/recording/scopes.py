"""The blocks an app opens with `handler.recording()`, as the running code sees them.

In: who opened a block, and the group of its calls. Out: the group that a call made here and now belongs to; tasks and
copied contexts see what was open when they began, until it is closed. Knows nothing of calls.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from llama_index_ft_rag.recording.query_groups import QueryGroup

P = ParamSpec("P")
R = TypeVar("R")

# Outermost first, each with its owner.
_scopes: ContextVar[tuple[tuple[object, QueryGroup], ...]] = ContextVar("ft_rag_scopes", default=())


@contextmanager
def open_scope(owner: object, group: QueryGroup) -> Iterator[None]:
    """Make the code inside belong to a group; what begins inside stays with it when the block is over."""
    _scopes.set((*_scopes.get(), (owner, group)))
    try:
        yield
    finally:
        group.is_over = True
        # No token is reset: a generator may be left in another context than it was entered in.
        _scopes.set(tuple(scope for scope in _scopes.get() if not scope[1].is_over))


def scope_here(owner: object) -> QueryGroup | None:
    """The innermost open group of an owner."""
    scopes = _scopes.get()
    if not scopes:
        return None
    return next((group for opened_by, group in reversed(scopes) if opened_by is owner and not group.is_over), None)


def carry_scopes(function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Make a coroutine function that, on whatever loop it runs, sees the scopes that are open here."""
    scopes = _scopes.get()

    @functools.wraps(function)
    async def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        before = _scopes.get()
        _scopes.set((*before, *scopes))
        try:
            return await function(*args, **kwargs)
        finally:
            _scopes.set(before)

    return carried
