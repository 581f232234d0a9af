"""What came of a curation: the examples kept, those dropped with their reasons, and the table that says so.

In: examples and reasons. Out: `Curation`, as text, markdown or JSON. Knows nothing of how a rule decides.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llama_index_ft_rag.curation.showing import (
    Shown,
    TableRow,
    markdown_examples,
    markdown_table,
    text_examples,
    text_table,
)
from llama_index_ft_rag.examples import TrainingExample

RULES = {
    "unreadable": "the line is no chat example",
    "not_taught": "the call was for something else than what the student is taught",
    "not_trainable": "a service would refuse it",
    "special_token": "a text holds a special token, which services refuse",
    "empty_answer": "neither text nor a tool call",
    "cut_off": "the answer ended at its length limit, or a filter stopped it",
    "abstention": "the answer as a whole declines to answer",
    "repeated_draft": "a refine step repeats its draft, or only says that it stands",
    "made_worse": "a refine step scores lower than its draft",
    "prompt_leak": "the answer speaks of its prompt",
    "too_long": "more tokens than the student takes; its end, the answer, would be cut off",
    "low_score": "the judge's score is below the threshold",
    "duplicate": "an earlier example has the same messages and tools",
    "near_duplicate": "an earlier example says nearly the same",
    "crowded_context": "enough earlier examples have the same context",
}
"""Every rule, in the order in which reasons are given, and what it says of an example. A caller's come after them."""

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an example is not trained on."""

    rule: str
    """One of `RULES`, or the name of a rule of the caller's."""
    text: str
    """What is wrong with this one, such as `scores 0.41, below 0.80`."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """An example that is left out."""

    example: TrainingExample
    reasons: tuple[Reason, ...]
    """All that apply, at least one."""
    number: int
    """Its place among those that came in, from 1; in a file, its line."""
    other: Mapping[str, Any] = field(default_factory=dict)
    """What its line holds besides an example."""

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules that refused it."""
        return tuple(reason.rule for reason in self.reasons)


@dataclass(frozen=True, kw_only=True)
class UnreadableLine:
    """A line of a file that is no example at all."""

    number: int
    text: str
    """As it stands in the file; what is not UTF-8 is replaced."""
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class Curation:
    """What was kept and what was dropped; together they are what came in."""

    kept: list[TrainingExample]
    dropped: list[Dropped]
    kept_numbers: list[int] = field(default_factory=list)
    """For each of those kept, its place among what came in, from 1; in a file, its line."""
    unreadable: list[UnreadableLine] = field(default_factory=list)
    """Lines of a file that are no examples; they count as dropped."""
    kept_abstentions: int = 0
    """How many of those kept are abstentions, kept on purpose."""
    notices: tuple[str, ...] = ()
    """What a reader should know before training on what was kept."""

    @property
    def total(self) -> int:
        """How many came in."""
        return len(self.kept) + len(self.dropped) + len(self.unreadable)

    def counts(self) -> dict[str, int]:
        """Number of examples kept and dropped, and of drops by rule; a drop with two reasons is in both."""
        found = Counter(reason.rule for reasons in self._reasons() for reason in reasons)
        dropped = len(self.dropped) + len(self.unreadable)
        return {"kept": len(self.kept), "dropped": dropped, **{name: found[name] for name in _in_order(found)}}

    def table(self) -> list[TableRow]:
        """One row per rule that refused something."""
        all_reasons = [sorted({reason.rule for reason in reasons}) for reasons in self._reasons()]
        found = Counter(rule for rules in all_reasons for rule in rules)
        alone = Counter(rules[0] for rules in all_reasons if len(rules) == 1)
        return [
            TableRow(rule=name, dropped=found[name], alone=alone[name], means=RULES.get(name, "a rule of your own"))
            for name in _in_order(found)
        ]

    def render(self, *, shown: int = _SHOWN) -> str:
        """Readable text, 80 columns wide where words allow it.

        Args:
            shown: How many of those kept, and how many of those dropped, are shown.
        """
        return "\n".join(part for part in (self.render_table(), self.render_examples(shown=shown)) if part)

    def render_table(self) -> str:
        """What was kept and why the rest was not, as text."""
        return "\n".join([self._headline(), "", *text_table(self.table()), *self._notes()]) + "\n"

    def render_examples(self, *, shown: int = _SHOWN) -> str:
        """Some of those kept and of those dropped, as text; empty where there are none."""
        blocks = ["\n".join(text_examples(title, some)) for title, some in self._shown(shown)]
        return "\n\n".join(blocks) + "\n" if blocks else ""

    def to_markdown(self, *, shown: int = _SHOWN) -> str:
        """The same as markdown, with the examples shown whole."""
        parts = [f"# {self._headline()}", markdown_table(self.table()), *(f"> {notice}" for notice in self.notices)]
        parts += [markdown_examples(title, some) for title, some in self._shown(shown)]
        return "\n\n".join(part for part in parts if part) + "\n"

    def to_dict(self, *, shown: int = _SHOWN) -> dict[str, Any]:
        """The same as JSON-able values."""
        return {
            "total": self.total,
            **{name: self.counts()[name] for name in ("kept", "dropped")},
            "kept_abstentions": self.kept_abstentions,
            "rules": [row.to_dict() for row in self.table()],
            "notices": list(self.notices),
            "shown": {title.lower(): [one.to_dict() for one in some] for title, some in self._shown(shown)},
        }

    def _headline(self) -> str:
        kept = f"{len(self.kept):,} kept"
        if self.kept_abstentions:
            kept += f" ({self.kept_abstentions:,} abstentions among them, on purpose)"
        what = "lines" if self.unreadable else "examples"
        return f"{self.total:,} {what}: {kept}, {len(self.dropped) + len(self.unreadable):,} dropped"

    def _notes(self) -> Iterable[str]:
        for notice in self.notices:
            yield from textwrap.wrap(f"note: {notice}", 80, subsequent_indent="  ")

    def _reasons(self) -> Iterable[Sequence[Reason]]:
        yield from (drop.reasons for drop in self.dropped)
        yield from ((line.reason,) for line in self.unreadable)

    def _shown(self, most: int) -> list[tuple[str, list[Shown]]]:
        kept = [
            Shown(number=number, reasons=(), example=example)
            for number, example in zip(self.kept_numbers, self.kept, strict=False)
        ]
        unread = [
            Shown(number=line.number, reasons=_said((line.reason,)), example=line.text)
            for line in self.unreadable[: min(most, 1 if self.dropped else most)]
        ]
        refused = [
            Shown(number=drop.number, reasons=_said(drop.reasons), example=drop.example)
            for drop in _one_of_each_rule(self.dropped, most - len(unread))
        ]
        dropped = sorted([*refused, *unread], key=lambda one: one.number)
        pairs = [("Kept", _spread(kept, most)), ("Dropped", dropped)]
        return [(title, some) for title, some in pairs if some]


def _said(reasons: Iterable[Reason]) -> tuple[str, ...]:
    return tuple(f"{reason.rule}: {reason.text}" for reason in reasons)


def _in_order(names: Iterable[str]) -> list[str]:
    order = {name: place for place, name in enumerate(RULES)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def _spread(some: Sequence[Shown], most: int) -> list[Shown]:
    """`most` of them, evenly from first to last."""
    if len(some) <= most:
        return list(some)
    return [some[index * (len(some) - 1) // max(most - 1, 1)] for index in range(most)]


def _one_of_each_rule(dropped: Sequence[Dropped], most: int) -> list[Dropped]:
    """The first of each rule, the rarest rule first, then the others in order; shown in the order they came in."""
    found = Counter(rule for drop in dropped for rule in drop.rules)
    chosen: list[int] = []
    for rule, _ in sorted(found.items(), key=lambda item: (item[1], item[0])):
        first = next(index for index, drop in enumerate(dropped) if rule in drop.rules)
        if first not in chosen:
            chosen.append(first)
    chosen += [index for index in range(min(len(dropped), 2 * most)) if index not in chosen]
    return [dropped[index] for index in sorted(chosen[:most])]
