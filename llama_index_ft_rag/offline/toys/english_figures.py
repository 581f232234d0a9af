"""The questions of `questions_english` that ask for a figure or a date.

In: a clause. Out: the words of a question, or an empty string where the clause has no such figure. Knows nothing of
other questions.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from llama_index_ft_rag.offline.toys.english_clauses import AUXILIARIES, MOVES, Clause, cut_at_boundary, is_past
from llama_index_ft_rag.offline.toys.english_patterns import (
    AMOUNT,
    BE,
    COMPARED,
    COUNTED,
    DATED,
    EVENTS,
    EXACT,
    HELD,
    PAYS,
    PERIOD,
    SHARE,
    SIZED,
    WEAK,
)
from llama_index_ft_rag.offline.toys.text import content_tokens


def _figure(clause: Clause) -> str:
    """`Revenue was $3 million in 2024` -> `What was revenue in 2024?`."""
    found = AMOUNT.match(clause.rest)
    if clause.is_we or clause.verb not in BE or found is None:
        return ""
    return f"What {clause.verb} {clause.subject} {when(clause, clause.rest[found.end() :])}"


def _total(clause: Clause) -> str:
    """`Revenue totaled $3 million` -> `What was revenue?`."""
    if clause.is_we or clause.base not in ("total", "reach", "amount", "exceed"):
        return ""
    found = AMOUNT.match(clause.rest)
    verb = "were" if is_plural(clause.subject) else "was"
    return f"What {verb} {clause.subject} {when(clause, clause.rest[found.end() :])}" if found else ""


def _change(clause: Clause) -> str:
    """`Revenue grew 8% in 2024` -> `By how much did revenue grow in 2024?`."""
    if clause.base not in MOVES or not AMOUNT.match(clause.rest):
        return ""
    return f"By how much {clause.do} {clause.subject} {clause.base} {when(clause, clause.rest)}"


def _count(clause: Clause) -> str:
    """`We had 26 offices` -> `How many offices did the company have?`."""
    found = COUNTED.match(clause.rest)
    if (
        clause.base
        not in (
            "had",
            "has",
            "have",
            "employ",
            "operate",
            "own",
            "lease",
            "open",
            "serve",
            "hire",
            "hold",
            "occupy",
            "cover",
            "install",
            "complete",
            "win",
            "sell",
            "ship",
            "produce",
        )
        or found is None
    ):
        return ""
    do = "did" if is_past(clause.verb) else "does" if clause.is_we or not is_plural(clause.subject) else "do"
    base = "have" if clause.base in AUXILIARIES else clause.base
    return f"How many {found['what']} {do} {clause.subject} {base} {when(clause, clause.rest[found.end() :])}"


def _spent(clause: Clause) -> str:
    """`We invested $3 million in research` -> `How much did the company invest in research?`."""
    found = AMOUNT.match(clause.rest)
    paid = re.match(r"(\w+(?:ed|id|nt)) ", clause.rest) if clause.verb in ("has", "have") else None
    if paid and (found := AMOUNT.match(clause.rest, paid.end())) and "$" in found[0]:
        tail = cut_at_boundary(clause.rest[found.end() :].strip())
        return f"How much {clause.verb} {clause.subject} {paid[1]} {tail}"
    if clause.base not in PAYS or found is None or "$" not in found[0]:
        return ""
    tail = cut_at_boundary(clause.rest[found.end() :].strip())
    return f"How much {clause.do} {clause.subject} {clause.base} {tail} {clause.time}"


def _sized(clause: Clause) -> str:
    """`... a charge of $3 million ...` -> `How large was the charge?`."""
    found = SIZED.search(clause.rest)
    if found is None or found["what"].split()[0] in WEAK or len(content_tokens(found["what"])) < 2:
        return ""
    verb = "were" if is_plural(found["what"]) else "was"
    return f"How large {verb} the {found['what']} {when(clause, clause.rest[found.end() :])}"


def _held(clause: Clause) -> str:
    """`We had $3 million of cash` -> `How much cash did the company have?`."""
    found = HELD.match(clause.rest)
    if found is None or clause.verb not in ("had", "has"):
        return ""
    do = "did" if clause.verb == "had" else "does"
    return f"How much {found['what']} {do} {clause.subject} have {when(clause, clause.rest)}"


def _share(clause: Clause) -> str:
    """`X accounted for 40% of revenue` -> `What share of revenue did X account for?`."""
    found = SHARE.match(clause.rest) if clause.base in ("account", "represent") else None
    whole = when(clause, clause.rest)
    return f"What share of {found['of']} {clause.do} {clause.subject} {clause.base} for {whole}" if found else ""


def _date(clause: Clause) -> str:
    """`It was founded in 1993` -> `When was it founded?`; `In May 2022, we sold X` -> `When did ... sell X?`."""
    dated = DATED.search(clause.rest)
    if clause.time and EXACT.search(clause.time):
        what = cut_at_boundary(clause.rest)
    elif dated and not clause.time:
        what = cut_at_boundary(clause.rest[: dated.start()])
    else:
        return ""
    if clause.verb in ("was", "were") and re.match(r"(?:\w+ )?\w+(?:ed|built|sold|held)\b", what):
        return f"When {clause.verb} {clause.subject} {what}"
    if clause.verb not in AUXILIARIES and is_past(clause.verb) and clause.base in EVENTS and what.strip():
        return f"When did {clause.subject} {clause.base} {what}"
    return ""


def when(clause: Clause, rest: str) -> str:
    """Return the time a clause speaks of, from its beginning or from the words after its figure."""
    found = PERIOD.search(COMPARED.split(rest, maxsplit=1)[0])
    return clause.time or (found[0] if found else "")


def is_plural(subject: str) -> bool:
    """Say whether the head of a subject looks like a plural."""
    head = re.split(r" (?:of|in|for|from|to|on|at|with) ", subject)[0]
    return head.endswith("s") and not head.endswith(("ss", "us", "'s"))


FIGURE_RULES: tuple[Callable[[Clause], str], ...] = (
    _figure,
    _total,
    _change,
    _count,
    _spent,
    _sized,
    _held,
    _share,
    _date,
)
