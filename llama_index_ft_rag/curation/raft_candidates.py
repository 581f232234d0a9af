"""Examples -> what their prompts say of question and context, and why no RAFT row can be made of some.

In: `TrainingExample`s. Out: candidates with a question, a context and an answer in words, and for every other example
the reason. Examples of one query, or of one question, are seen as one matter: what was retrieved for one of them is no
stranger to the others. Knows nothing of how rows are made.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from llama_index_ft_rag.abstention import is_abstention
from llama_index_ft_rag.curation.passage_pool import OwnPassages, Passage, says_something, split_context
from llama_index_ft_rag.curation.prompt_parts import PromptParts, read_prompt
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.questions.wording import folded

LeftOutReason = Literal[
    "unknown_prompt",
    "other_call",
    "already_made",
    "no_context",
    "numbered_sources",
    "earlier_answers",
    "no_text_answer",
    "abstention",
    "conversation",
    "untestable",
    "few_passages",
    "too_long",
]
"""Why no row was made of an example.

- unknown_prompt: no known template made its prompt.
- other_call: it does not answer a question from a context, but writes a summary, a question or a verdict.
- already_made: it is such a row.
- no_context: nothing had been retrieved.
- numbered_sources: its answer may cite its passages by number, and more passages would shift the numbers.
- earlier_answers: its context is made of answers to the same question, as the later steps of a tree are.
- no_text_answer: there is no answer in words, or in a refine step no draft to return to.
- abstention: it declines already, and another passage may hold what its own lacks.
- conversation: the context cannot be taken away, as earlier turns may tell the answer.
- untestable: the context cannot be taken away, as the question has no words by which to tell what answers it.
- few_passages: there are not enough passages that are foreign to it and do not seem to hold its answer.
- too_long: those there are do not fit into `max_context_chars`.
"""

ROWS = ("distractors", "no_answer")
"""What `made_by` says of a row."""
_OTHER_KINDS = ("condense", "selector", "sub_question", "hyde", "judge", "question_generation")
_NUMBERED = re.compile(r"^(?:Source|Document) \d+:[ \t]*$", re.MULTILINE)
_MOST_RELATED = 20
"""Examples of the same question that are looked at."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An example, and what its prompt says."""

    example: TrainingExample
    content_hash: str
    parts: PromptParts | None
    askers: frozenset[str]
    """Keys that the examples of one question share."""

    @classmethod
    def of(cls, example: TrainingExample, templates: tuple[str, ...]) -> Candidate:
        """Read an example's prompt."""
        parts = read_prompt(example.messages, templates=templates)
        content_hash = example.content_hash
        questions = (folded(text) for text in (example.question, parts and parts.question) if text)
        keys = {f"question {question}" for question in questions if question}
        if example.query_id is not None:
            keys.add(f"query {example.query_id}")
        return cls(
            example=example,
            content_hash=content_hash,
            parts=parts,
            askers=frozenset(keys or {f"example {content_hash}"}),
        )

    @property
    def context(self) -> str:
        """What was retrieved; empty where that is unknown."""
        return self.parts.context if self.parts is not None else ""

    @property
    def question(self) -> str:
        """What the prompt asks; empty where that is unknown."""
        return (self.parts.question if self.parts is not None else None) or ""

    @property
    def draft(self) -> str | None:
        """The answer that a refine step was asked to improve."""
        return self.parts.draft if self.parts is not None else None


class Candidates:
    """The examples, and how they are related."""

    def __init__(self, examples: Iterable[TrainingExample], *, templates: tuple[str, ...]) -> None:
        self.all: Sequence[Candidate] = [Candidate.of(example, templates) for example in examples]
        self._by_asker: dict[str, list[Candidate]] = defaultdict(list)
        for one in self.all:
            for asker in one.askers:
                self._by_asker[asker].append(one)
        for related in self._by_asker.values():
            related.sort(key=lambda one: one.content_hash)

    def passages(self) -> Iterator[Passage]:
        """What was retrieved for any of them, as far as that is known."""
        known = [one for one in self.all if self._why_no_passages(one) is None]
        # A refine step is often shown the rest of a passage that was too long for the step before.
        whole = [one for one in known if one.draft is None] or known
        return (Passage(text=text, askers=one.askers) for one in whole for text in split_context(one.context))

    def why_not(self, one: Candidate, *, without_context: bool) -> LeftOutReason | None:
        """Why no row can be made of an example, whatever other passages there are.

        Args:
            one: The example.
            without_context: Whether the row is to lose its own passages.
        """
        checks = (*_NO_TARGET, *_NO_REFUSAL) if without_context else _NO_TARGET
        return self._why_no_passages(one) or _first(checks, one)

    def own_passages(self, one: Candidate, *, common_terms: frozenset[str]) -> OwnPassages:
        """What must not be given to an example as another's.

        Args:
            one: The example.
            common_terms: Words that most passages have.
        """
        related = [*self._related(one)]
        return OwnPassages(
            askers=one.askers,
            node_ids=frozenset(node_id for other in related for node_id in other.example.node_ids),
            contexts=tuple(dict.fromkeys(other.context for other in related if other.context.strip())),
            question=one.question,
            answer=one.example.answer,
            common_terms=common_terms,
        )

    def _related(self, one: Candidate) -> Iterator[Candidate]:
        yield one
        for asker in sorted(one.askers):
            yield from islice(self._by_asker[asker], _MOST_RELATED)

    def _why_no_passages(self, one: Candidate) -> LeftOutReason | None:
        return _first(_NO_PASSAGES, one) or ("earlier_answers" if self._is_made_of_answers(one) else None)

    def _is_made_of_answers(self, one: Candidate) -> bool:
        context = f"\n\n{one.context}\n\n"
        others = (other for other in self._related(one) if other.content_hash != one.content_hash)
        answers = (other.example.answer.strip() for other in others)
        return any(answer and f"\n\n{answer}\n\n" in context for answer in answers)


_Check = tuple[LeftOutReason, Callable[[Candidate], bool]]


def _answers_of(one: Candidate) -> list[Mapping[str, Any]]:
    return [message for message in one.example.messages if message.get("role") == "assistant"]


def _has_no_text(one: Candidate) -> bool:
    return one.example.messages[-1].get("role") != "assistant" or not one.example.answer.strip()


_NO_PASSAGES: tuple[_Check, ...] = (
    ("unknown_prompt", lambda one: one.parts is None),
    ("other_call", lambda one: one.example.kind in _OTHER_KINDS or not one.question.strip()),
    ("already_made", lambda one: one.example.made_by in ROWS),
    ("no_context", lambda one: not one.context.strip()),
    ("numbered_sources", lambda one: _NUMBERED.search(one.context) is not None),
)
_NO_TARGET: tuple[_Check, ...] = (
    ("no_text_answer", _has_no_text),
    ("abstention", lambda one: is_abstention(one.example.answer)),
)
_NO_REFUSAL: tuple[_Check, ...] = (
    ("no_text_answer", lambda one: one.draft == ""),
    ("conversation", lambda one: len(_answers_of(one)) > 1),
    ("untestable", lambda one: not says_something(one.question)),
)


def _first(checks: Iterable[_Check], one: Candidate) -> LeftOutReason | None:
    return next((reason for reason, holds in checks if holds(one)), None)
