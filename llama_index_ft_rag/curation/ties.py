"""Examples or questions -> which of them belong together, and why.

In: training examples and questions. Out: pairs that are tied by the same messages, query, question or source, or by
nearly the same wording. Knows nothing of what is done with those that belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from llama_index_ft_rag.curation.arguments import check_names
from llama_index_ft_rag.curation.near_duplicates import compare_all
from llama_index_ft_rag.curation.near_pairs import Pair, Skip, near_examples, near_questions
from llama_index_ft_rag.curation.prompt_parts import read_prompt
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.questions import Question
from llama_index_ft_rag.questions.wording import folded

Tie = Literal["same_example", "same_query", "same_question", "near_question", "near_example", "same_source"]
"""What two items have in common.

- same_example: all messages and tools.
- same_query: the recorded query, such as an answer and its refine steps.
- same_question: the question, but for case and punctuation.
- near_question: nearly the same words in the question and the same numbers, with no word of content replaced by
  another; function words are known of English and Chinese.
- near_example: nearly the same words in question and answer, and in everything.
- same_source: a retrieved node, or the whole context.
"""

TIES: tuple[Tie, ...] = (
    "same_example",
    "same_query",
    "same_question",
    "near_question",
    "near_example",
    "same_source",
)
NEAR_QUESTIONS = 0.7
"""Jaccard similarity of word stems from which two questions are nearly the same. Among 759 real questions, read one by
one: of 52 pairs of words alike by at least 0.8, 37 ask about something else; of 27 pairs found so, in which no word is
replaced, 16 ask the same and 11 add a word that narrows it down."""

Item = TrainingExample | Question


@dataclass(frozen=True, kw_only=True)
class Tied:
    """Two items that belong together, by their places from 0, the lower one first."""

    tie: Tie
    first: int
    second: int


def tied(
    items: Sequence[Item],
    *,
    ties: Iterable[Tie] = TIES,
    near_duplicates: float = 0.9,
    templates: Iterable[str] = (),
    skip: Skip = lambda first, second: False,  # noqa: ARG005
    on_crowd: Callable[[], None] = lambda: None,
) -> Iterator[Tied]:
    """Yield pairs of items that belong together: for what is the same each item with the first that has it too.

    Args:
        items: Examples or questions.
        ties: What to look for. Where nearly the same is looked for and the same is not, the same counts as nearly.
        near_duplicates: Similarity from which two examples say nearly the same.
        templates: The caller's own prompts, as for `curate`.
        skip: Says of two places, the lower one first, that it does not matter whether they are tied.
        on_crowd: Called where too many examples look alike to compare all of them.

    Raises:
        ConfigurationError: If there is no such tie, or the similarity is none.
    """
    wanted, shapes = check_names("ties", ties, known=TIES), tuple(templates)
    if not 0.0 < near_duplicates <= 1.0:
        raise ConfigurationError(f"near_duplicates is {near_duplicates!r}; pass a similarity above 0 and at most 1")
    for tie, keys_of in _SAME.items():
        if tie in wanted:
            yield from _same(tie, ([*keys_of(item, shapes)] for item in items))
    if "near_question" in wanted:
        yield from _near_questions(items, shapes, skip, with_same="same_question" not in wanted)
    if "near_example" in wanted:
        yield from _near_examples(
            items, near_duplicates, shapes, skip, on_crowd, with_same="same_example" not in wanted
        )


def question_of(item: Item, *, templates: Iterable[str] = ()) -> str | None:
    """The question an item is about, where it is recorded or stands in a known prompt."""
    if isinstance(item, Question):
        return item.text
    if item.question is not None:
        return item.question
    parts = read_prompt(item.messages, templates=templates)
    return parts.question if parts is not None else None


def _same(tie: Tie, keys: Iterable[list[Hashable]]) -> Iterator[Tied]:
    first: dict[Hashable, int] = {}
    for place, own in enumerate(keys):
        for key in own:
            if first.setdefault(key, place) != place:
                yield Tied(tie=tie, first=first[key], second=place)


def _near_questions(
    items: Sequence[Item], templates: tuple[str, ...], skip: Skip, *, with_same: bool
) -> Iterator[Tied]:
    texts = [question_of(item, templates=templates) or "" for item in items]
    foldings = [folded(text) for text in texts]
    if with_same:
        yield from _same("near_question", ([wording] if wording else [] for wording in foldings))
    places = _places(texts)
    firsts = [held[0] for held in places]
    pairs = near_questions([texts[first] for first in firsts], threshold=NEAR_QUESTIONS, skip=_all_of(places, skip))
    apart = (pair for pair in pairs if foldings[firsts[pair.first]] != foldings[firsts[pair.second]])
    yield from _spread("near_question", apart, places)


def _near_examples(
    items: Sequence[Item],
    threshold: float,
    templates: tuple[str, ...],
    skip: Skip,
    on_crowd: Callable[[], None],
    *,
    with_same: bool,
) -> Iterator[Tied]:
    hashes = [item.content_hash if isinstance(item, TrainingExample) else "" for item in items]
    if with_same:
        yield from _same("near_example", ([content_hash] if content_hash else [] for content_hash in hashes))
    places = _places(hashes)
    examples = [item for item in (items[held[0]] for held in places) if isinstance(item, TrainingExample)]
    compared = lru_cache(maxsize=512)(compare_all(examples, templates=templates))
    pairs = near_examples(len(examples), compared, threshold=threshold, skip=_all_of(places, skip), on_crowd=on_crowd)
    yield from _spread("near_example", pairs, places)


def _places(keys: Sequence[str]) -> list[list[int]]:
    """Where each key stands, in the order they come first; an empty one stands nowhere."""
    found: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        if key:
            found.setdefault(key, []).append(place)
    return list(found.values())


def _all_of(places: Sequence[Sequence[int]], skip: Skip) -> Skip:
    """The same of keys instead of places: whether no place of the one and of the other matter."""

    def skipped(first: int, second: int) -> bool:
        here, there = places[first], places[second]
        return all(skip(min(pair), max(pair)) for pair in {(here[0], there[-1]), (here[-1], there[0])})

    return skipped


def _spread(tie: Tie, pairs: Iterable[Pair], places: Sequence[Sequence[int]]) -> Iterator[Tied]:
    """Tie each place of either key to the first of the other."""
    for found in pairs:
        here, there = places[found.first], places[found.second]
        both = {*((here[0], place) for place in there), *((place, there[0]) for place in here)}
        for one, other in sorted((min(pair), max(pair)) for pair in both):
            yield Tied(tie=tie, first=one, second=other)


def _hashes(item: Item, templates: tuple[str, ...]) -> Iterator[Hashable]:  # noqa: ARG001 - one shape for all
    if isinstance(item, TrainingExample):
        yield item.content_hash


def _queries(item: Item, templates: tuple[str, ...]) -> Iterator[Hashable]:  # noqa: ARG001 - one shape for all
    if isinstance(item, TrainingExample) and item.query_id is not None:
        yield item.query_id


def _questions(item: Item, templates: tuple[str, ...]) -> Iterator[Hashable]:
    wording = folded(question_of(item, templates=templates) or "")
    if wording:
        yield wording


def _sources(item: Item, templates: tuple[str, ...]) -> Iterator[Hashable]:
    if isinstance(item, Question):
        if item.node_id is not None:
            yield item.node_id
    else:
        yield from item.node_ids
        parts = read_prompt(item.messages, templates=templates)
        if parts is not None and parts.context.strip():
            yield parts.context_key


_SAME: dict[Tie, Callable[[Item, tuple[str, ...]], Iterator[Hashable]]] = {
    "same_example": _hashes,
    "same_query": _queries,
    "same_question": _questions,
    "same_source": _sources,
}
