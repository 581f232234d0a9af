"""How much two answers say the same words: token F1, in English and Chinese.

In: two texts, or the texts of an arm and of the teacher. Out: a number from 0 to 1 per question, and their
means split by whether the teacher answered or abstained. Knows nothing of judges; agreement with a teacher is
not correctness.
"""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+(?:[.,'][^\W_{_CJK}]+)*")
"""One token per CJK character, one per word elsewhere; "1,234.5" and "don't" stay whole."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far one arm's answers agree with the teacher's, on the questions both replied to."""

    arm: str
    n: int
    mean: float | None
    """Over all `n`; refusing what the teacher answered is 0, and so is answering what the teacher refused."""
    answerable: int
    """Questions that the teacher answered."""
    answerable_mean: float | None
    teacher_abstained: int
    """Questions that the teacher refused."""
    also_abstained: int
    """Of these, how many the arm refused too."""


def token_f1(answer: str, reference: str) -> float:
    """Harmonic mean of the shares of tokens that two texts have in common, counted with repeats; 0 to 1."""
    left, right = Counter(_tokens(answer)), Counter(_tokens(reference))
    if not left or not right:
        return float(not left and not right)
    common = (left & right).total()
    return 2 * common / (left.total() + right.total())


def agreement_values(
    texts: Mapping[str, str], teacher: Mapping[str, str], *, is_abstention: Callable[[str], bool]
) -> dict[str, float]:
    """Agreement per question id, for the questions in both mappings."""
    return {
        question: _agreement(texts[question], reference, is_abstention)
        for question, reference in teacher.items()
        if question in texts
    }


def summarize_agreement(
    arm: str, values: Mapping[str, float], teacher: Mapping[str, str], *, is_abstention: Callable[[str], bool]
) -> Agreement:
    """Put an arm's per-question agreement into one row."""
    refused = [value for question, value in values.items() if is_abstention(teacher[question])]
    answered = [value for question, value in values.items() if not is_abstention(teacher[question])]
    return Agreement(
        arm=arm,
        n=len(values),
        mean=statistics.fmean(values.values()) if values else None,
        answerable=len(answered),
        answerable_mean=statistics.fmean(answered) if answered else None,
        teacher_abstained=len(refused),
        also_abstained=sum(value == 1.0 for value in refused),
    )


def _agreement(text: str, reference: str, is_abstention: Callable[[str], bool]) -> float:
    # Two refusals share few words and mean the same; a refusal and an answer share some and do not.
    refused, teacher_refused = is_abstention(text), is_abstention(reference)
    if refused or teacher_refused:
        return float(refused and teacher_refused)
    return token_f1(text, reference)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
