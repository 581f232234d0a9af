"""Asking a service so that its reply can be trusted, one thing at a time or a whole list.

In: a request. Out: the reply, if it has the field that everything else hangs on; of a list, what is looked for.
Knows nothing of files and jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import openai

from llama_index_ft_rag.errors import FinetuneError, FtRagError
from llama_index_ft_rag.finetuning.talk import Talk, ask

T = TypeVar("T")

TRANSIENT = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)
"""Errors that may heal by themselves; see `may_heal`."""

HAS_NO_LIST = (403, 404, 405, 501)
"""What a service answers that has no such list, or lets nobody see it."""

MOST_LISTED = 10_000
_NEVER_HEALS = ("insufficient_quota", "exceeded_quota", "billing_hard_limit_reached")


def may_heal(error: openai.APIError) -> bool:
    """Whether doing the same again later can help; an exhausted quota answers 429 too and cannot heal."""
    return isinstance(error, TRANSIENT) and error.code not in _NEVER_HEALS


def is_name(value: object) -> bool:
    """Whether a value can be an id: a text with something in it that can be written down."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def answer_of(
    call: Callable[[openai.OpenAI], T], *, endpoint: str, field: str = "id", is_write: bool = False
) -> Talk[T]:
    """Ask a service, and take the reply only if it has the field that everything else hangs on.

    Raises:
        FinetuneError: If it has not; the SDK hands over a proxy's HTML page as a plain string.
    """
    try:
        reply = yield from ask(call, is_write=is_write)
    # The SDK trips over a list that is no list itself, and over what is no text.
    except (ValueError, RecursionError, AttributeError) as exc:
        if isinstance(exc, FtRagError):
            raise
        raise _is_no_api(endpoint) from exc
    told = getattr(reply, field, None)
    if told is None or (field == "id" and not is_name(told)):
        raise _is_no_api(endpoint)
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
        if not isinstance(reply.data, list):
            raise _is_no_api(endpoint)
        last = getattr(reply.data[-1], "id", None) if reply.data else None
        if last is not None and last == after.get("after"):
            break  # the same page again
        for item in reply.data:
            found.append(item)
            if until(item):
                return found
        if not last or not getattr(reply, "has_more", False):
            break
    return found


def _is_no_api(endpoint: str) -> FinetuneError:
    return FinetuneError(f"{endpoint} did not answer like the OpenAI API; check the base URL")
