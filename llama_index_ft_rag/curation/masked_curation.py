"""A curation with personal data -> the same with placeholders in everything that is written of it.

In: `Curation`. Out: `MaskedCuration`: examples kept and dropped, lines that are none, and the texts of reasons, masked
together so that the same text has the same placeholder. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llama_index_ft_rag.curation.leaks import LeakReport
from llama_index_ft_rag.curation.masking import mask_pii
from llama_index_ft_rag.curation.outcome import Curation, Dropped, Reason, UnreadableLine
from llama_index_ft_rag.examples import TrainingExample


@dataclass(frozen=True, kw_only=True)
class MaskedCuration:
    """What `mask_curation` made."""

    curation: Curation
    originals: dict[str, str]
    """Placeholder -> what it stands for: the personal data."""
    counts: dict[str, int]
    """Kind of data -> how many places were masked."""


def mask_curation(
    curation: Curation, *, analyzer: Any | None = None, originals: Mapping[str, str] | None = None
) -> MaskedCuration:
    """Replace personal data in all that a curation holds, as `mask_pii` does; nothing that came in is changed.

    Args:
        curation: Curate first and mask then: scores and verdicts go by the hashes of the examples as they came in.
        analyzer: As for `mask_pii`.
        originals: The map of an earlier call, whose texts keep their placeholders.

    Raises:
        ConfigurationError: If `originals` is no such map.
        MissingExtraError: If no `analyzer` is given and Presidio is not installed.
    """
    texts = [_as_example(text) for text in _texts(curation)]
    examples = [*curation.kept, *(drop.example for drop in curation.dropped)]
    masked = mask_pii([*examples, *texts], analyzer=analyzer, originals=originals)
    made = iter(masked.examples)
    kept = [next(made) for _ in curation.kept]
    held = [next(made) for _ in curation.dropped]
    said = (example.messages[0]["content"] for example in made)
    return MaskedCuration(
        curation=replace(
            curation,
            kept=kept,
            dropped=[_dropped(drop, example, said) for drop, example in zip(curation.dropped, held, strict=True)],
            unreadable=[_unreadable(line, said) for line in curation.unreadable],
        ),
        originals=masked.originals,
        counts=masked.counts,
    )


def mask_leaks(leaks: LeakReport, *, originals: Mapping[str, str]) -> tuple[LeakReport, dict[str, str]]:
    """Mask the questions that a leak report quotes; the second value is the map with what was found in them."""
    asked = mask_pii([_as_example(text) for text in leaks.questions.values()], originals=originals)
    texts = (example.messages[0]["content"] for example in asked.examples)
    return replace(leaks, questions=dict(zip(leaks.questions, texts, strict=True))), asked.originals


def _texts(curation: Curation) -> Iterator[str]:
    """Every text beside the examples, in the order in which it is put back."""
    for drop in curation.dropped:
        yield from (reason.text for reason in drop.reasons)
    for line in curation.unreadable:
        yield line.text
        yield line.reason.text


def _as_example(text: str) -> TrainingExample:
    return TrainingExample(messages=[{"role": "user", "content": text}])


def _dropped(drop: Dropped, example: TrainingExample, said: Iterator[str]) -> Dropped:
    reasons = tuple(Reason(rule=reason.rule, text=next(said)) for reason in drop.reasons)
    # What a line holds besides its example may be anything, and is left out rather than searched.
    return replace(drop, example=example, reasons=reasons, other={})


def _unreadable(line: UnreadableLine, said: Iterator[str]) -> UnreadableLine:
    text = next(said)
    return replace(line, text=text, reason=Reason(rule=line.reason.rule, text=next(said)))
