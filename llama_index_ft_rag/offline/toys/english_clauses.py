"""An English sentence -> subject, verb and rest, by word lists: enough for the plain prose of reports.

In: one sentence, and what "we" is to be called. Out: a `Clause`, or None where the shape is not a simple one; it
rather gives up than guesses. Knows nothing of questions.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

from llama_index_ft_rag.offline.toys.text import word_set

AUXILIARIES = word_set("is are was were will would can could may might must should has have had")
MODALS = word_set("will would can could may might must should")


@dataclass(frozen=True, kw_only=True)
class Clause:
    """One simple clause in the third person."""

    subject: str
    """As it stands inside a sentence: `the company's revenue`."""
    adverb: str
    """One before the verb, or empty."""
    verb: str
    """As written: an auxiliary, or the form of a known verb."""
    base: str
    """Its infinitive; auxiliaries stand for themselves."""
    rest: str
    """What follows the verb, without the full stop."""
    time: str
    """A leading time phrase (`in fiscal 2024`), or empty."""
    is_we: bool
    """Whether the subject is the company, named or as `we`."""

    @property
    def do(self) -> str:
        """`did`, `does` or `do`, whichever its questions need."""
        if self.verb in _PAST:
            return "did"
        return "does" if self.is_we or self.verb != self.base else "do"


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What the text around a sentence says of its words."""

    company: str = "the company"
    """What "we" is called in a question."""
    common: frozenset[str] = frozenset()
    """Words that also stand there in lower case, and so are no names."""
    names: frozenset[str] = frozenset()
    """Words with a capital in the middle of a sentence."""


@lru_cache(maxsize=256)
def read_wording(text: str) -> Wording:
    """Look through a text for its names, its common words and the company that it speaks of."""
    companies = Counter(found[1] for found in _ACTING.finditer(text) if found[1].split()[0] not in _NO_COMPANY)
    name, times = companies.most_common(1)[0] if companies else ("", 0)
    known = times >= 2 and text.count(name) >= 3
    return Wording(
        company=name if known else "the company",
        common=frozenset(re.findall(r"\b[a-z]{2,}\b", text)),
        names=frozenset(re.findall(r"(?<=[a-z,] )[A-Z]\w+", text)),
    )


def read_clause(sentence: str, *, wording: Wording) -> Clause | None:
    """Take a sentence apart."""
    company = wording.company
    text, time = _lead(_plain(sentence))
    words = text.split()
    if len(words) < 4 or not words[0][0].isupper():
        return None
    clause = _we_clause(words, company) if words[0] == "We" else _named_clause(words)
    if clause is None:
        return None
    subject = clause.subject if clause.is_we else _inside(clause.subject, wording)
    its = "its" if clause.is_we or subject == company else f"{company}'s"
    it = "it" if clause.is_we or subject == company else company
    return replace(
        clause,
        is_we=clause.is_we or subject == company,
        subject=third_person(subject, its=f"{company}'s", it=company),
        rest=third_person(clause.rest.rstrip(" .;:"), its=its, it=it),
        time=third_person(time, its=its, it=it),
    )


def third_person(text: str, *, its: str, it: str) -> str:
    """Turn `we`, `us`, `our` into the words given."""
    text = re.sub(r"\b(?:[Oo]ur|[Oo]urs)\b", its, text)
    if its.endswith("'s"):
        head, mark, tail = text.partition(its)
        text = head + mark + tail.replace(its, "its")
    text = re.sub(r"\bus\b", it, text)
    return re.sub(r"\b[Ww]e (\w+ly )?(\w+)", lambda found: f"{it} {found[1] or ''}{_singular(found[2])}", text)


def cut_at_boundary(text: str) -> str:
    """Cut a phrase before a comma or word that opens another clause; commas of a list stay."""
    found = _BOUNDARY.search(text)
    return text[: found.start()].rstrip(" ,;:—-") if found else text


def is_past(verb: str) -> bool:
    """Say whether a form is a past one."""
    return verb in _PAST or verb in ("was", "were", "had")


def _plain(sentence: str) -> str:
    text = re.sub(r"\s*\([^()]*\)", "", sentence)
    text = re.sub(r"^[A-Z][\w&, ]{2,60} [-–—] (?=(?:The|We|Our|In|During)\b)", "", text)
    text = re.sub(r",? or (?:the )?[\"“]?[A-Z][A-Za-z]*[A-Z]+s?[\"”]?(?=[,. ])(,)?", "", text)
    text = re.sub(r",? (Inc|Corp|Ltd|Co)\.?,?(?= )", r" \1", text)
    text = re.sub(r"\b(in|of|at|near) ([A-Z]\w+(?: [A-Z]\w+)?), [A-Z]\w+,(?= [a-z])", r"\1 \2", text)
    text = _CONNECTIVE.sub("", text).strip()
    return text[:1].upper() + text[1:]


def _lead(text: str) -> tuple[str, str]:
    """Move a leading time phrase out; drop another leading phrase that ends in a comma."""
    found = _TIME_LEAD.match(text)
    if found:
        return found["main"][:1].upper() + found["main"][1:], found["time"][:1].lower() + found["time"][1:]
    found = _OTHER_LEAD.match(text)
    if found:
        return found["main"][:1].upper() + found["main"][1:], ""
    return text, ""


def _we_clause(words: list[str], company: str) -> Clause | None:
    place = 1
    while place < len(words) - 1 and (words[place].endswith("ly") or words[place] in _ADVERBS):
        place += 1
    verb = words[place]
    base = verb if verb in AUXILIARIES else _FORMS.get(verb)
    if base is None:
        return None
    verb = {"are": "is", "were": "was", "have": "has"}.get(verb, verb)
    if base in ("are", "were", "have"):
        base = verb
    return _clause(company, " ".join(words[1:place]), verb, base, words[place + 1 :], is_we=True)


def _named_clause(words: list[str]) -> Clause | None:
    if words[0].lower() in _CONTEXT_BOUND:
        return None
    for place in range(1, min(len(words) - 1, 16)):
        word, before = words[place], words[place - 1]
        after = next((later for later in words[place + 1 :] if not later.endswith("ly")), ".")
        if word.lower() in _SUBORDINATE or before.endswith((",", ";", ":")):
            return None
        base = word if word in AUXILIARIES else _verb_here(word, before, after)
        if base is None:
            continue
        adverb = before if place > 1 and (before.endswith("ly") or before in _ADVERBS) else ""
        subject = " ".join(words[: place - 1] if adverb else words[:place])
        if subject.split()[-1].lower() in _NOT_A_HEAD:
            if word in AUXILIARIES:
                return None
            continue
        return _clause(subject, adverb, word, base, words[place + 1 :], is_we=False)
    return None


def _verb_here(word: str, before: str, after: str) -> str | None:
    """Return the infinitive where a word stands like a verb: reports are full of nouns that look like one."""
    base = _FORMS.get(word)
    if base is None or word == "related":
        return None
    if base in MOVES and word in _PAST:
        return base
    follows = after.lower()
    if base in _PREPOSITIONAL:
        opens = follows == _PREPOSITIONAL[base]
    else:
        opens = follows in _OPENERS or after[0].isupper() or after[0] in "$€£0123456789"
    plural_subject = before.endswith("s") and not before.endswith(("ss", "us", "'s", "’s"))
    agrees = word in _PAST or (plural_subject if word == base else not plural_subject)
    return base if agrees and opens else None


def _singular(verb: str) -> str:
    """Return the form that goes with `the company` for one that went with `we`."""
    known = _FORMS.get(verb)
    if verb in AUXILIARIES or verb.endswith("ed") or known not in (verb, None):
        return _SINGULAR.get(verb, verb)
    return _regular(verb)[0]


def _clause(subject: str, adverb: str, verb: str, base: str, rest: list[str], *, is_we: bool) -> Clause:
    return Clause(subject=subject, adverb=adverb, verb=verb, base=base, rest=" ".join(rest), time="", is_we=is_we)


def _inside(subject: str, wording: Wording) -> str:
    words = subject.split()
    first = words[0]
    bare = first.rstrip("'’")
    named = re.match(r"\S+ (?:(?:and|&) )?[A-Z]", subject) is not None
    plain = bare[1:].islower() and "'" not in bare and "’" not in bare and not named
    in_phrase = len(words) > 1 and words[1].islower() and first not in wording.names
    if first.lower() in _DETERMINERS or (plain and (bare.lower() in wording.common | _NOUNS or in_phrase)):
        return subject[:1].lower() + subject[1:]
    return subject


def _regular(base: str) -> tuple[str, str]:
    """Return the third person and the past of a regular verb."""
    if base.endswith("y") and base[-2] not in "aeiou":
        return f"{base[:-1]}ies", f"{base[:-1]}ied"
    third = f"{base}es" if base.endswith(("s", "sh", "ch", "x", "z")) else f"{base}s"
    if base.endswith("e"):
        return third, f"{base}d"
    doubled = base in ("plan", "ship", "refer", "defer", "transfer", "incur", "submit", "permit", "commit")
    return third, f"{base}{base[-1]}ed" if doubled else f"{base}ed"


MOVES = word_set(
    """
    increase decrease grow rise fall decline drop improve widen narrow double shrink climb
    """
)
_REGULAR = word_set(
    """
    accelerate accept account achieve acquire address adopt affect allow amortize amount announce anticipate
    apply appoint assess attract award base begin believe benefit calculate capitalize cause change charge
    classify climb close co-found combine compete complete comply compute conduct consider consist continue
    contribute convert cover create decide declare decline decrease defer define deliver depend depreciate
    describe design designate determine develop disclose distribute donate double drop earn employ enable
    encourage enter establish estimate evaluate exceed exclude expand expect expense experience face file
    finance finish focus form fund generate grant harm hedge help hire identify impact improve include
    incorporate increase incur install integrate intend introduce invest issue join launch lease license limit
    list maintain manage manufacture measure monitor narrow obtain occupy offer open operate own perform pioneer
    plan prevent produce promote propose protect provide publish purchase pursue raise reach receive recognize
    record recycle reduce refer reflect relate release rely remain rent replace report repurchase require
    resolve respond restrict result retain return review satisfy serve settle ship sign start strengthen support
    target test total track transfer translate transport treat use value view widen work
    """
)
_IRREGULAR = {
    "buy": "bought", "build": "built", "drive": "drove", "fall": "fell", "grow": "grew", "hold": "held",
    "lead": "led", "lose": "lost", "make": "made", "meet": "met", "pay": "paid", "rise": "rose", "run": "ran",
    "seek": "sought", "sell": "sold", "shrink": "shrank", "spend": "spent", "take": "took", "win": "won",
    "become": "became", "begin": "began", "keep": "kept", "give": "gave",
}  # fmt: skip
_FORMS: dict[str, str] = {}
_PAST: set[str] = set()
for _base in [*_REGULAR, *_IRREGULAR]:
    _third, _past = _regular(_base)
    _past = _IRREGULAR.get(_base, _past)
    _FORMS.update({_base: _base, _third: _base, _past: _base})
    _PAST.add(_past)
_SINGULAR = {"are": "is", "were": "was", "have": "has"}
_NOUNS = word_set(
    """
    revenue sales income profit earnings cash debt inventory inventories goodwill depreciation amortization costs
    expenses demand supply competition growth backlog turnover employees customers suppliers management shareholders
    stockholders dividends research marketing manufacturing margin margins products services prices
    """
)
_ADVERBS = word_set("also not then now often further never still always first both")
_DETERMINERS = word_set(
    """
    the a an our its their this these that those each all some most many any certain other such no one two three
    four five six seven eight nine ten
    """
)
_NOT_A_HEAD = _DETERMINERS | word_set("of in on at to for from by with and or as than currently newly")
_CONTEXT_BOUND = word_set(
    """
    examples example it its this these they their that those he she his her such there here if when while
    although because since no nobody none about at during after before over refer see note to for as in on with
    from by under both some others another each
    """
)
_SUBORDINATE = word_set(
    """
    that which who whom whose where when while if because although as unless whether whereas than what how
    """
)
_OPENERS = _DETERMINERS | word_set("that approximately about more over new both how")
_PREPOSITIONAL = {
    "consist": "of", "rely": "on", "depend": "on", "result": "in", "account": "for", "amount": "to", "lead": "to",
    "relate": "to", "refer": "to", "focus": "on", "invest": "in", "compete": "with", "contribute": "to",
}  # fmt: skip
_ACTING = re.compile(
    r"\b([A-Z][A-Za-z-]+(?: [A-Z][A-Za-z-]+)?) (?:employe?[sd]|owns|operates|sells|expects|believes|announced|"
    r"acquired|agreed|"
    r"reported|sued|held|bought|hired|invested|leases|competes|designs|develops|recorded|paid|reported|was "
    r"founded|was incorporated|"
    r"is headquartered)\b"
)
_NO_COMPANY = word_set("The We It They This That These Those He She Management Our A An In On At")
_CONNECTIVE = re.compile(
    r"(?:Additionally|In addition|However|For example|For instance|As a result|Therefore|Further|Furthermore|"
    r"Moreover|"
    r"Finally|Also|Today|Currently|Similarly|Accordingly|Consequently|Generally|Historically|Meanwhile|Separately|"
    r"In particular|Specifically|Overall|And|But),?\s+(?=[A-Za-z])"
)
_WHEN = (
    r"(?:\d{4}|quarter|year|half|month|January|February|March|April|May|June|July|August|September|October|"
    r"November|December)"
)
_TIME_LEAD = re.compile(
    rf"(?P<time>(?:In|During|As of|At|On|By|Since|Over|Throughout|For|After|"
    rf"Before) (?:[^,]{{0,50}}?\b{_WHEN}[^,]{{0,30}}?"
    r"(?:\d{1,2}, \d{4})?)),? (?P<main>(?:we|our|the|a|an|[A-Z])\b.*)",
    re.DOTALL,
)
_OTHER_LEAD = re.compile(
    r"(?:Based on|While|Although|Though|Despite|With|In|As|To|Under|Through|By|For|Headquartered|Founded|Following|"
    r"Including|Fueled|Driven|Given|Unlike|Because of|Due to|"
    r"Since) [^,]{3,120}(?:, [A-Z][a-z]+)?, (?P<main>(?:we|our|the|a|[A-Z])\b.*)",
    re.DOTALL,
)
_BOUNDARY = re.compile(
    r"[,;:]? (?:which|who|where|whereas|while|although|but|including|such as|so that|compared|versus|"
    r"respectively|and we|and they|and therefore|"
    r"and our|and it|and the company|and is|and are|and was|and were|and has|and have|and may|and could|and will)\b"
    r"|, (?:so|as|with|resulting|due|primarily|driven|reflecting|up|down|net|an|a|the|and expect|and plan|and sold|"
    r"\w+ing|"
    r"representing|or|in|on|for|from|at|of|to|if|when|because|since|per|based|partially|mainly|largely)\b"
    r"|[;:—]| – | and (?=[$€£]\d)| and began\b| and (?:\w+ly )?\w+ed (?:the|a|an|our|its|in|to|from|by)\b"
)
