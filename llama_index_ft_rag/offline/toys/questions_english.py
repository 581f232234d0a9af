"""An English sentence -> natural questions that it answers, the best one first, by patterns.

In: one sentence and what to call the company that says "we". Out: questions with a strength; none where no pattern
fits. Knows nothing of the text around the sentence and nothing of what is worth asking.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from llama_index_ft_rag.offline.toys.english_clauses import (
    AUXILIARIES,
    MODALS,
    Clause,
    Wording,
    cut_at_boundary,
    is_past,
    read_clause,
    third_person,
)
from llama_index_ft_rag.offline.toys.english_figures import FIGURE_RULES, when
from llama_index_ft_rag.offline.toys.english_patterns import (
    BE,
    BECAUSE,
    BROKEN,
    BY,
    CONDITION,
    COUNTED,
    EVENTS,
    HANDLES,
    LIFE,
    LOOSE_END,
    MONEY_OR_SHARE,
    OBJECT_END,
    OFFICER,
    PARTICIPLE,
    PERSON,
    SECOND_CLAUSE,
    WEAK,
)
from llama_index_ft_rag.offline.toys.text import content_tokens


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question and how sure it is to be a good one: 5 asks for a figure, a date or a name; 1 is the fallback."""

    text: str
    strength: int


def english_questions(sentence: str, *, wording: Wording) -> list[Asked]:
    """Return the questions that a sentence answers, strongest first."""
    texts = [
        (5, _officer(sentence, wording.company)),
        (4, _there_are(sentence)),
        (2, _condition(sentence, wording.company)),
    ]
    clause = read_clause(sentence, wording=wording)
    if clause is not None:
        texts += [(strength, rule(clause)) for strength, rule in _RULES]
        texts += [(5, rule(clause)) for rule in FIGURE_RULES]
    found = [Asked(text=_finish(text), strength=strength) for strength, text in texts if text]
    fit = [_weighed(asked) for asked in found if _reads_well(asked.text)]
    return sorted(fit, key=lambda asked: -asked.strength)


def _weighed(asked: Asked) -> Asked:
    """Trust a question less that names too little to be found without its context."""
    vague = asked.strength > 2 and len(_meaning(asked.text)) < 3 and not asked.text.startswith("Who")
    return Asked(text=asked.text, strength=2) if vague else asked


def _reason(clause: Clause) -> str:
    """`X fell because of Y` -> `Why did X fall?`."""
    found = BECAUSE.search(clause.rest)
    if found is None or clause.verb in MODALS:
        return ""
    what = cut_at_boundary(re.sub(MONEY_OR_SHARE, "", clause.rest[: found.start()])).strip(" ,")
    what = re.sub(r"\s+(?:by|to|from|of|and)$", "", re.sub(r"^(?:by|to) ", "", what))
    if clause.verb in AUXILIARIES:
        return f"Why {clause.verb} {clause.subject} {what}" if what else ""
    return f"Why {clause.do} {clause.subject} {clause.base} {what} {clause.time}"


def _cause(clause: Clause) -> str:
    """`The increase was driven by X` -> `What drove the increase?`."""
    found = re.match(r"(?:\w+ly )?(driven by|caused by|due to|attributable to|related to) ", clause.rest)
    if found is None or clause.verb not in BE:
        return ""
    if found[1] in ("driven by", "caused by"):
        return f"What {'drove' if found[1] == 'driven by' else 'caused'} {clause.subject}"
    return f"What {clause.verb} {clause.subject} {found[0]}"


def _who(clause: Clause) -> str:
    """`Jane Roe joined us in 2019` -> `Who joined the company in 2019?`."""
    if not PERSON.fullmatch(clause.subject) or not LIFE.search(f"{clause.verb} {clause.rest}"):
        return ""
    if clause.is_we or (clause.verb in BE and "founded" in clause.rest[:12]):
        return ""
    return f"Who {clause.verb} {re.split(r' (?:as|and) ', cut_at_boundary(clause.rest))[0]}"


def _where(clause: Clause) -> str:
    found = re.match(
        r"(headquartered|located|based|incorporated|manufactured|produced|assembled) (?:in|at|near) ", clause.rest
    )
    return f"Where {clause.verb} {clause.subject} {found[1]}" if found and clause.verb in AUXILIARIES else ""


def _definition(clause: Clause) -> str:
    """`Slipway is a tool for ...` -> `What is Slipway?`."""
    if clause.is_we or clause.verb not in ("is", "are") or not re.match(r"(?:a|an|the|one of)\b", clause.rest):
        return ""
    short = len(clause.subject.split()) <= 6 and "$" not in clause.subject
    return f"What {clause.verb} {clause.subject}" if short else ""


def _risk(clause: Clause) -> str:
    """`Late delivery could harm sales` -> `What could harm sales?`."""
    if clause.is_we or clause.verb not in ("could", "may", "might", "can") or re.match(r"(?:not|be)\b", clause.rest):
        return ""
    what = cut_at_boundary(clause.rest.removeprefix("also "))
    if SECOND_CLAUSE.search(what):
        what = what.split(", ")[0]
    return f"What {clause.verb} {what}"


def _manner(clause: Clause) -> str:
    """`X is measured using Y` -> `How is X measured?`; the same for `we` and a verb."""
    found = BY.search(clause.rest)
    if found is None or clause.verb in MODALS or clause.base in EVENTS | {"believe", "expect"}:
        return ""
    what = cut_at_boundary(clause.rest[: found.start()])
    if SECOND_CLAUSE.search(what):
        return ""
    asks = "When" if found["when"] else "How"
    if clause.verb in AUXILIARIES:
        return f"{asks} {clause.verb} {clause.subject} {what}" if PARTICIPLE.match(what) else ""
    return f"{asks} {clause.do} {clause.subject} {clause.base} {what}" if len(what.split()) > 1 else ""


def _agent(clause: Clause) -> str:
    """`X is reinforced by Y` -> `What is X reinforced by?`."""
    found = re.match(r"(?:\w+ly )?(?!being)\w+ed (?:primarily |mainly |largely )?by (?!\w+ing)", clause.rest)
    return f"What {clause.verb} {clause.subject} {found[0]}" if found and clause.verb in BE else ""


def _introduced(clause: Clause) -> str:
    """`In fiscal 2024, we opened X` -> `What did the company open in fiscal 2024?`."""
    if not clause.time or clause.verb in AUXILIARIES or not is_past(clause.verb):
        return ""
    direct = re.match(r"(?:the|a|an|its|our|new|two|three|several|[A-Z])\b", clause.rest)
    return f"What did {clause.subject} {clause.base} {clause.time}" if direct and clause.base in EVENTS else ""


def _officer(sentence: str, company: str) -> str:
    """`Jane Roe, 54, has been Chief Officer since 2019` -> `Who is the company's Chief Officer?`."""
    found = OFFICER.match(sentence)
    if found is None:
        return ""
    if found["verb"] == "became":
        return f"Who became {company}'s {found['title']}"
    return f"Who is {company}'s {found['title']}"


def _there_are(sentence: str) -> str:
    """`There are 12 docks in the port` -> `How many docks are there in the port?`."""
    found = re.match(r"(?:\w[^,]{0,60}, )?[Tt]here (are|were) ", sentence)
    counted = COUNTED.match(sentence, found.end()) if found else None
    if found is None or counted is None:
        return ""
    return f"How many {counted['what']} {found[1]} there {cut_at_boundary(sentence[counted.end() :])}"


def _object(clause: Clause) -> str:
    """`We rely on X` -> `What does the company rely on?`; `We use X for Y` -> `What does the company use for Y?`."""
    if clause.verb in BE:
        found = re.match(
            r"(?:\w+ly )?(subject to|based on|responsible for|dependent on|composed "
            r"of)\b",
            clause.rest,
        )
        return f"What {clause.verb} {clause.subject} {found[0]}" if found else ""
    if clause.verb in AUXILIARIES:
        return ""
    found = re.match(r"(?:\w+ly )?(?:on|upon|of|for)\b", clause.rest)
    if found:
        return f"What {clause.do} {clause.subject} {clause.base} {found[0]}"
    if clause.base == "include":
        return f"What {clause.do} {clause.subject} include"
    purpose = "as|for|to|in" if clause.base in ("use", "require", "design") else "as|for"
    tail = re.search(rf" (?:{purpose}) .*", cut_at_boundary(clause.rest))
    if clause.base not in HANDLES or tail is None or len(tail[0].split()) < 3:
        return ""
    return f"What {clause.do} {clause.subject} {clause.base}{tail[0]}"


def _belief(clause: Clause) -> str:
    """`We believe that X is ...` -> `What does the company believe about X?`."""
    if clause.base not in ("believe", "expect", "anticipate", "estimate", "intend", "plan"):
        return ""
    if re.match(r"(?:that )?to ", clause.rest):
        return (
            f"What {clause.do} {clause.subject} {clause.base} to do {when(clause, clause.rest)}" if clause.time else ""
        )
    found = re.match(
        r"(?:that )?((?:the|its|a|an) .+?|[A-Z].+?) (?:is|are|was|were|will|may|can|could|to|has|have|would)\b",
        clause.rest,
    )
    return f"What {clause.do} {clause.subject} {clause.base} about {found[1]}" if found else ""


def _topic(clause: Clause) -> str:
    """Ask what the report says about the subject, or about the object where the company is the subject."""
    about = clause.subject
    if clause.is_we or not content_tokens(about):
        if not re.match(r"(?:the|a|an|its|[A-Z]\w+)\b", clause.rest):
            return ""
        about = re.split(OBJECT_END, cut_at_boundary(clause.rest))[0]
    if not 2 <= len(about.split()) <= 10 or about.split()[0] in WEAK:
        return ""
    return f"What does the report say about {about}"


def _condition(sentence: str, company: str) -> str:
    found = CONDITION.match(sentence)
    if found is None or re.search(r"\b(?:this|these|it|they|such|any of)\b", found[1]):
        return ""
    its = f"{company}'s"
    return f"What happens if {third_person(found[1], its=its, it=company)}"


def _finish(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip(" ,;:.")
    return LOOSE_END.sub("", text) + "?"


def _reads_well(question: str) -> bool:
    words = question.split()
    balanced = question.count("“") == question.count("”") and question.count("(") == question.count(")")
    meaning = _meaning(question)
    short = words[0] in ("Who", "Where", "When", "How") or re.match(r"What is (?:an? |[A-Z])", question) is not None
    enough = len(meaning) >= (1 if short else 2)
    return balanced and enough and 3 <= len(words) <= 24 and len(question) <= 170 and not BROKEN.search(question)


def _meaning(question: str) -> list[str]:
    return [token for token in content_tokens(question) if token not in ("company", "report")]


_RULES: tuple[tuple[int, Callable[[Clause], str]], ...] = (
    (5, _who),
    (4, _cause),
    (4, _reason),
    (4, _where),
    (3, _introduced),
    (3, _manner),
    (3, _agent),
    (3, _risk),
    (3, _definition),
    (3, _object),
    (3, _belief),
    (1, _topic),
)
