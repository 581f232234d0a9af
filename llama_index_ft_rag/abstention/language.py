"""What has to be known of a language to see that an answer declines, and the part a clause plays in an answer.

In: a clause, that is a sentence or a part of one, in lower case. Out: whether it declines, says something, or only
stands around what declines. Knows no language and nothing of whole answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

_MOST_OPENERS = 6
_NEVER = r"(?!)"
_LONGEST_CLAUSE = 500
"""Characters; it bounds the work, and what declines does so in fewer."""

Part = Literal["declines", "supports", "frames", "introduces", "accompanies", "says"]
"""What a clause does in an answer:

- declines: says that there is no answer.
- supports: lacks something. After a clause about the context it declines; alone it may be the answer.
- frames: says what the context is about, and nothing of what it says.
- introduces: may say something of it, unless the next clause tells what it lacks.
- accompanies: apologises, advises, asks for more.
- says: anything else, so the answer is one.
"""


@dataclass(frozen=True, kw_only=True)
class Language:
    """The patterns of one language, for text in lower case with straight quotes.

    The five named like a `Part` match the beginning of such a clause. None is there for the sake of completeness:
    each is needed by one of the answers in the tests.
    """

    cues: tuple[str, ...]
    """Each some words with spaces between them; a text that declines holds one of each."""
    spaced: bool = True
    """Whether its own texts have spaces between words; if not, a cue is any piece of text."""
    breaks: tuple[str, ...]
    """Where a new clause begins within a sentence; what matches belongs to neither side."""
    openers: tuple[str, ...]
    """What is passed over at the beginning of a clause: apologies, connectives, labels."""
    grounds: tuple[str, ...]
    """Passed over as well. They name the context, so that a clause that `supports` declines after them."""
    declining: tuple[str, ...]
    supporting: tuple[str, ...]
    framing: tuple[str, ...]
    introducing: tuple[str, ...]
    accompanying: tuple[str, ...]
    saying: tuple[str, ...]
    """Anywhere in a clause: it says something after all, whatever it begins with."""
    spellings: Mapping[int, int] = field(default_factory=dict)
    """Characters to read as others."""

    def may_decline(self, text: str, words: Set[str]) -> bool:
        """Say whether a text with these words holds the cues; cheap, because most answers do not decline."""
        if self.spaced:
            return not any(cues.isdisjoint(words) for cues in self._cues)
        return all(any(cue in text for cue in cues) for cues in self._cues)

    def clauses(self, sentence: str) -> list[str]:
        """Cut a sentence where a new statement begins."""
        return self._breaks.split(sentence.translate(self.spellings))

    def part_of(self, clause: str) -> Part:
        """Say what a clause does in an answer."""
        rest, grounded = self._without_openers(clause)
        if len(clause) > _LONGEST_CLAUSE or self._saying.search(rest):
            return "says"
        if self._declining.match(rest) or (grounded and self._declining.match(clause)):
            return "declines"
        if self._supporting.match(rest):
            return "declines" if grounded else "supports"
        if not rest:
            return "frames" if grounded else "accompanies"
        return next((part for pattern, part in self._others if pattern.match(rest)), "says")

    def _without_openers(self, clause: str) -> tuple[str, bool]:
        grounded = False
        for _ in range(_MOST_OPENERS):
            if found := self._grounds.match(clause):
                grounded = True
            else:
                found = self._openers.match(clause)
            if not found or not found.end():
                break
            clause = clause[found.end() :].lstrip(" ,，、")
        return clause, grounded

    @cached_property
    def _cues(self) -> tuple[frozenset[str], ...]:
        return tuple(frozenset(words.split()) for words in self.cues)

    # Compiling takes longer than a thousand answers, and most programs meet one language: each pattern waits for use.
    @cached_property
    def _breaks(self) -> re.Pattern[str]:
        return _any_of((r"\s*[;；]\s*", r"\s*[—―]+\s*", r"\s[–-]{1,2}\s", r"\.{3,}|…+", *self.breaks))

    @cached_property
    def _openers(self) -> re.Pattern[str]:
        return _any_of(self.openers)

    @cached_property
    def _grounds(self) -> re.Pattern[str]:
        return _any_of(self.grounds)

    @cached_property
    def _declining(self) -> re.Pattern[str]:
        return _any_of(self.declining)

    @cached_property
    def _supporting(self) -> re.Pattern[str]:
        return _any_of(self.supporting)

    @cached_property
    def _others(self) -> tuple[tuple[re.Pattern[str], Part], ...]:
        return (
            (_any_of(self.framing), "frames"),
            (_any_of(self.accompanying), "accompanies"),
            (_any_of(self.introducing), "introduces"),
        )

    @cached_property
    def _saying(self) -> re.Pattern[str]:
        return _any_of(self.saying)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or _NEVER)
