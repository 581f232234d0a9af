"""A context -> questions that it answers, as a numbered list in the language of the text, by rules.

In: the text of one or more chunks and how many questions are wanted. Out: distinct questions in the order of the
text, fewer where it says too little; no preamble. A toy: it turns single sentences around, and passes over
boilerplate, tables and sentences that it cannot take apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llama_index_ft_rag.offline.toys.english_clauses import read_wording
from llama_index_ft_rag.offline.toys.questions_chinese import chinese_questions
from llama_index_ft_rag.offline.toys.questions_english import Asked, english_questions
from llama_index_ft_rag.offline.toys.text import (
    Sentence,
    abstains,
    content_tokens,
    is_chinese,
    split_prose,
    split_sentences,
)


def write_questions(context: str, *, count: int) -> str:
    """Return up to `count` questions, one numbered line each."""
    chosen = pick_questions(context, count=count)
    return "\n".join(f"{number}. {question}" for number, question in enumerate(chosen, start=1))


def pick_questions(context: str, *, count: int) -> list[str]:
    """Return up to `count` distinct questions: the surest ones, in the order of the text.

    "What does the report say about ..." is asked only to fill the list up to half of its length.
    """
    offers = sorted(_offers(context), key=lambda offer: (offer.turn, -offer.asked.strength, offer.place))
    taken: list[_Offer] = []
    for offer in offers:
        room = max(3, (count + 1) // 2) if offer.turn == 2 else count
        if len(taken) < min(room, count) and not any(_alike(offer, other) for other in taken):
            taken.append(offer)
    return [offer.asked.text for offer in sorted(taken, key=lambda offer: (offer.place, offer.rank))]


def question_behind(answer: str) -> str:
    """Guess the question that an answer answers: the best one of its first sentence that has any."""
    wording = read_wording(answer)
    for sentence in split_prose(answer):
        asked = _questions_of(sentence, answer) if len(sentence) <= 600 and not abstains(sentence) else []
        if asked:
            return asked[0].text
    topic = " ".join(answer.split()[:12]).strip(" .,;:。，；")
    if is_chinese(answer):
        return f"关于{answer.strip()[:20].strip('。，；')}，有什么说明？"
    return f"What does {wording.company} say about {topic[:1].lower()}{topic[1:]}?"


@dataclass(frozen=True, kw_only=True)
class _Offer:
    asked: Asked
    place: int
    rank: int
    words: frozenset[str]

    @property
    def turn(self) -> int:
        """When it is considered: the best of its sentence, another good one, or the dull fallback."""
        if self.asked.strength == 1:
            return 2
        return 0 if self.rank == 0 else 1


def _offers(context: str) -> list[_Offer]:
    found = []
    for place, sentence in enumerate(split_sentences(context)):
        if not _is_informative(sentence):
            continue
        for rank, asked in enumerate(_questions_of(sentence.text, context)[:3]):
            found.append(_Offer(asked=asked, place=place, rank=rank, words=frozenset(content_tokens(asked.text))))
    return found


def _questions_of(sentence: str, around: str) -> list[Asked]:
    if is_chinese(sentence):
        return chinese_questions(sentence)
    return english_questions(sentence, wording=read_wording(around))


def _is_informative(sentence: Sentence) -> bool:
    text = sentence.text
    if sentence.kind not in ("prose", "bullet") or len(text) > 600 or _BOILERPLATE.search(text):
        return False
    return text.endswith(("。", "！", "；")) if is_chinese(text) else text.endswith((".", ";", '."', ".”"))


def _alike(left: _Offer, right: _Offer) -> bool:
    shared = len(left.words & right.words)
    return (shared >= 0.75 * max(1, min(len(left.words), len(right.words))) and left.place == right.place) or (
        shared >= 0.85 * max(1, len(left.words | right.words))
    )


_BOILERPLATE = re.compile(
    r"forward-looking|refer to|see (?:note|item|part|section|“)|incorporated (?:herein )?by reference|this "
    r"annual report|"
    r"table of contents|as follows|following table|set forth|hereby|pursuant to|safe harbor|fictional|all rights "
    r"reserved|"
    r"for additional information|the accompanying|undersigned|参见|详见|请参阅|如下表|前瞻性|虚构|编造",
    re.IGNORECASE,
)
