"""How curation asks models: many requests side by side, each of which may fail without harm to the others.

In: examples and any LlamaIndex LLM. Out: `Replies` by content hash, which say of each example without a reply why it
has none. The base model's answers to the examples' own prompts are asked for here; the judges' questions are not.
Knows nothing of what is done with a reply.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from llama_index.core.llms import LLM

from llama_index_ft_rag.concurrency import OnProgress, map_bounded, run_sync
from llama_index_ft_rag.curation.preferences import is_text
from llama_index_ft_rag.endpoints import without_keys
from llama_index_ft_rag.errors import UnusableReplyError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.recording.messages import finish_reason_of, from_wire, response_to_wire

logger = logging.getLogger(__name__)

Out = TypeVar("Out")

_MOST_REASON = 300
_CUT_OFF_BY = {"length": "its token limit", "max_tokens": "its token limit", "content_filter": "a filter"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Replies(Mapping[str, Out]):
    """What was replied, by the content hash of the example, in the order of the examples; compares as a mapping."""

    found: Mapping[str, Out]
    failures: Mapping[str, str]
    """Why an example that was asked about has no reply, by content hash."""

    def __getitem__(self, content_hash: str) -> Out:
        return self.found[content_hash]

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def failure_counts(self) -> dict[str, int]:
        """Number of examples without a reply, by the reason, the most frequent one first."""
        return dict(sorted(Counter(self.failures.values()).items(), key=lambda item: (-item[1], item[0])))


Answers = Replies[str]
"""The texts of a model's answers."""


@dataclass(frozen=True, kw_only=True)
class Request(Generic[Out]):
    """Something to ask a model about an example."""

    content_hash: str
    key: str
    """Requests that share it are sent once."""
    ask: Callable[[], Awaitable[Out]]
    """Sends it and reads the reply; raises `UnusableReplyError` where it cannot be used."""


async def aanswer_prompts(
    examples: Iterable[TrainingExample],
    llm: LLM,
    *,
    concurrency: int = 8,
    timeout: float = 300.0,
    on_progress: OnProgress | None = None,
) -> Answers:
    """Let a model answer each example's own prompt, a prompt of several examples once.

    An example whose own answer is no text is not asked about, as no preference pair can be made of it. A recorder
    that is attached to this process would take these answers for a teacher's: detach it first.

    Args:
        examples: In any order; it is kept.
        llm: The base model. Tools of an example are passed on as `tools=`, in OpenAI's format.
        concurrency: The most calls in flight.
        timeout: Seconds after which a prompt counts as failed.
        on_progress: Called after each prompt.
    """
    requests = [
        Request(content_hash=example.content_hash, key=example.prompt_hash, ask=partial(_answer, llm, example))
        for example in examples
        if is_text(example) and example.answer.strip()
    ]
    return await ask_all(requests, what="answers", concurrency=concurrency, timeout=timeout, on_progress=on_progress)


def answer_prompts(
    examples: Iterable[TrainingExample],
    llm: LLM,
    *,
    concurrency: int = 8,
    timeout: float = 300.0,
    on_progress: OnProgress | None = None,
) -> Answers:
    """Do what `aanswer_prompts` does, from synchronous code."""
    return run_sync(aanswer_prompts(examples, llm, concurrency=concurrency, timeout=timeout, on_progress=on_progress))


async def ask_all(
    requests: Sequence[Request[Out]],
    *,
    what: str,
    concurrency: int,
    timeout: float,
    on_progress: OnProgress | None,
) -> Replies[Out]:
    """Send all requests and gather the replies, in the order of the requests.

    Args:
        requests: One per example, or more for the same one.
        what: What is asked for, for the log.
        concurrency: The most requests in flight.
        timeout: Seconds after which a request counts as failed.
        on_progress: Called after each request that was sent.
    """
    first = {request.key: request for request in reversed(requests)}
    sent = [request for request in requests if first[request.key] is request]
    outcomes = await map_bounded(
        lambda request: _guarded(request.ask, timeout), sent, limit=concurrency, on_progress=on_progress
    )
    by_key = {request.key: outcome for request, outcome in zip(sent, outcomes, strict=True)}
    found: dict[str, Out] = {}
    failures: dict[str, str] = {}
    for request in requests:
        outcome = by_key[request.key]
        if isinstance(outcome, _Failure):
            failures[request.content_hash] = outcome.reason
        else:
            found[request.content_hash] = outcome
    replies = Replies(found=found, failures=failures)
    if failures:
        told = "; ".join(f"{count} x {reason}" for reason, count in replies.failure_counts().items())
        logger.warning("%s: %s of %s are missing: %s", what, len(failures), len(failures) + len(found), told)
    return replies


@dataclass(frozen=True, kw_only=True)
class _Failure:
    reason: str


async def _guarded(ask: Callable[[], Awaitable[Out]], timeout: float) -> Out | _Failure:
    try:
        return await asyncio.wait_for(ask(), timeout)
    except asyncio.TimeoutError:
        return _Failure(reason=f"no reply within {timeout:g} s")
    except UnusableReplyError as exc:
        return _Failure(reason=str(exc))
    except Exception as exc:  # noqa: BLE001 - one failed call must not lose the others' replies
        return _Failure(reason=without_keys(f"{type(exc).__name__}: {exc}")[:_MOST_REASON])


async def _answer(llm: LLM, example: TrainingExample) -> str:
    settings = {"tools": example.tools, "parallel_tool_calls": example.parallel_tool_calls} if example.tools else {}
    given = {name: value for name, value in settings.items() if value is not None}
    response = await llm.achat([from_wire(message) for message in example.messages[:-1]], **given)
    cut_off_by = _CUT_OFF_BY.get(finish_reason_of(response) or "")
    if cut_off_by is not None:
        raise UnusableReplyError(f"the answer was cut off by {cut_off_by}")
    message = response_to_wire(response)
    if message.get("tool_calls") or message.get("function_call"):
        raise UnusableReplyError("the model called a tool instead of answering")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        raise UnusableReplyError("the model gave no text")
    return content
