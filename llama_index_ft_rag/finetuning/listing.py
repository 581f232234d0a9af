"""Asking a service so that its reply can be trusted, one thing at a time or a whole list.

In: a request. Out: the reply, if it has the field that everything else hangs on; of a list, what is looked for.
Knows nothing of files and jobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import openai

from llama_index_ft_rag.errors import FinetuneError
from llama_index_ft_rag.finetuning.talk import Talk, ask

T = TypeVar("T")

TRANSIENT = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)
"""Errors that may heal by themselves; see `may_heal`."""

MOST_LISTED = 10_000
_NEVER_HEALS = ("insufficient_quota", "exceeded_quota", "billing_hard_limit_reached")


def may_heal(error: openai.APIError) -> bool:
    """Whether doing the same again later can help; an exhausted quota answers 429 too and cannot heal."""
    return isinstance(error, TRANSIENT) and error.code not in _NEVER_HEALS


def answer_of(call: Callable[[openai.OpenAI], T], *, endpoint: str, field: str = "id") -> Talk[T]:
    """Ask a service, and take the reply only if it has the field that everything else hangs on.

    Raises:
        FinetuneError: If it has not; the SDK hands over a proxy's HTML page as a plain string.
    """
    problem = FinetuneError(f"{endpoint} did not answer like the OpenAI API; check the base URL")
    try:
        reply = yield from ask(call)
    except (json.JSONDecodeError, AttributeError) as exc:  # the SDK trips over a list that is no list itself
        raise problem from exc
    if getattr(reply, field, None) in (None, ""):
        raise problem
    return reply


def listed(
    page: Callable[..., Any], *, endpoint: str, until: Callable[[Any], bool] = lambda _: False, **query: Any
) -> Talk[list[Any]]:
    """Read a list page by page until an item is `until`, which then comes last, or to its end.

    Args:
        page: Called as `page(client, after=..., **query)`.
        endpoint: Where, for the error.
        until: Says that the rest is not needed.
        **query: For the request.

    Raises:
        FinetuneError: If what answers is no such service.
    """
    found: list[Any] = []
    while len(found) < MOST_LISTED:
        after = {"after": found[-1].id} if found else {}
        reply = yield from answer_of(
            lambda client, after=after: page(client, **query, **after),  # type: ignore[misc]
            endpoint=endpoint,
            field="data",
        )
        for item in reply.data if isinstance(reply.data, list) else ():
            found.append(item)
            if until(item):
                return found
        is_last = not reply.data or not getattr(reply, "has_more", False) or not getattr(found[-1], "id", None)
        if is_last or found[-1].id == after.get("after"):
            break
    return found
