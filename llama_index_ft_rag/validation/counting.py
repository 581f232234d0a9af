"""Examples -> their numbers of tokens, counted on several threads, in the order in which they came.

In: examples taken apart, each with its line. Out: a count for each. tiktoken lets other threads run while it counts, so
one thread can read and check while these count; only a few examples for each of them are held at a time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.example_tokens import ExampleParts
from llama_index_ft_rag.tokenizer import TokenCount, count_all_encoded

_BATCH_CHARACTERS = 64_000
_BATCH_EXAMPLES = 1_000


@dataclass(frozen=True, kw_only=True)
class ExampleOfLine:
    """An example that is to be counted."""

    line: int
    parts: ExampleParts


@dataclass(frozen=True, kw_only=True)
class CountOfLine:
    """How many tokens the example of a line has."""

    line: int
    count: TokenCount


def usable_cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows do not tell
        return os.cpu_count() or 1


def count_examples(
    examples: Iterable[ExampleOfLine], *, encoding: str, threads: int
) -> Generator[CountOfLine, None, None]:
    """Yield a count for each example, in order; whatever ends the loop over them ends the threads too.

    Raises:
        ConfigurationError: If there is not at least one thread.
    """
    if threads < 1:
        raise ConfigurationError(f"threads={threads}: at least one thread is needed; leave it out to use every core")
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ft-rag-count")
    under_way: deque[Future[list[CountOfLine]]] = deque()
    try:
        for batch in _batches(examples):
            under_way.append(pool.submit(_count, batch, encoding))
            if len(under_way) > 2 * threads:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    finally:
        # Not waited for: after Ctrl-C nobody wants the counts, and what runs is a fraction of a second.
        pool.shutdown(wait=False, cancel_futures=True)


def _batches(examples: Iterable[ExampleOfLine]) -> Iterator[list[ExampleOfLine]]:
    batch: list[ExampleOfLine] = []
    characters = 0
    for example in examples:
        batch.append(example)
        characters += sum(map(len, example.parts.texts))
        if characters >= _BATCH_CHARACTERS or len(batch) >= _BATCH_EXAMPLES:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _count(batch: Sequence[ExampleOfLine], encoding: str) -> list[CountOfLine]:
    return [CountOfLine(line=example.line, count=_tokens(example.parts, encoding)) for example in batch]


def _tokens(parts: ExampleParts, encoding: str) -> TokenCount:
    count = count_all_encoded(parts.texts, encoding=encoding)
    return TokenCount(tokens=count.tokens + parts.frame_tokens, exact=count.exact and not parts.uncounted)
