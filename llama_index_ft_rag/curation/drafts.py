"""Refine steps: which draft one was asked to improve, and whether its answer adds anything to it.

In: examples in the order their calls started. Out: the draft, and the examples that wrote it. Where no known template
names the draft, every earlier answer of the same recorded query that the prompt quotes word for word is one. Knows
nothing of scores.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from itertools import islice

from llama_index_ft_rag.curation.prompt_parts import PromptParts
from llama_index_ft_rag.examples import TrainingExample

_SHORTEST_QUOTE = 40
"""Characters; a shorter answer may stand by chance in a prompt that is not known to refine it."""
_MOST_WRITERS = 100
_MOST_ANSWERS = 200
_ANSWER = r"(?:the|my|your) (?:original|existing|previous|given|initial|earlier|provided|current|above|draft) answer"
# A "previous response" may be to anybody's letter.
_RESPONSE = r"(?:the|my) (?:original|existing|previous) response"
_NEW = r"(?:the|this) (?:new|additional|given|provided|further)"
_NOTES = r"(?:the|this) (?:new|additional|further) (?:context|information|passages?|text)"
_NOT = r"(?:(?:does|did|do)(?: not|n['’]t))"
_CHANGE = r"(?:change|refine|update|modify|rewrite|revise|alter|improve)"
_CHANGES = r"(?:changes?|updates?|modifications?|refinements?|improvements?)"
_NEEDED = r"(?:(?:is|are|was|were) )?(?:needed|necessary|required)"
_FIRST = (
    r"(?:(?:therefore|thus|so|hence|consequently|as such|as a result|overall|since|as|because),? "
    rf"|(?:given|based on|considering|in light of|despite|after reviewing) {_NEW} (?:context|information),? ){{0,3}}"
)
_ZH_ANSWER = r"(?:原|原始|原有的?|原来的|之前的?|先前的?|现有的?|已有的?)(?:答案|回答|答复)"
_ZH_NEW = r"(?:新|新增|补充|额外)的?(?:上下文|背景信息|背景|信息|资料|内容)(?:中|里)?"
_ZH_CHANGE = r"(?:无需|不需要|没有必要)(?:再)?(?:修改|更新|改动|完善|调整)"
_STANDS = re.compile(
    rf"{_FIRST}(?:"
    + "|".join(
        (
            rf"{_ANSWER} (?:(?:still|already|also|fully|completely|entirely|remains|is|stands|holds) ){{0,3}}(?:valid"
            r"|correct|accurate|sufficient|applicable|relevant|unchanged|the same|complete|adequate|as it is|as is)\b",
            rf"{_ANSWER} (?:still )?(?:remains|stands|holds|applies|suffices)\b",
            rf"{_RESPONSE} (?:remains|stands|is still|still)\b",
            r"the answer (?:still )?remains (?:the same|unchanged|valid|correct|accurate)\b",
            r"the (?:refined|updated|revised) answer (?:is|remains) (?:the same|unchanged|identical)\b",
            rf"{_NEW} context (?:{_NOT}|(?:is|was)(?: not|n['’]t)|(?:adds?|contains?|provides?|offers?|has) no)\b",
            rf"{_NOTES} {_NOT} (?:{_CHANGE}|affect|impact|add|contradict|relate|pertain|help)\b",
            rf"{_NOTES} (?:adds?|offers?|provides?) (?:no|nothing) (?:new|further|additional|more|relevant|other)\b",
            r"there is no (?:new|additional|further) (?:information|context|details?)\b",
            rf"(?:there is|i see) no (?:need|reason) to {_CHANGE} {_ANSWER}",
            rf"no (?:further |additional )?{_CHANGES} (?:{_NEEDED} )?(?:to|of) {_ANSWER}",
            rf"no (?:further |additional )?refinements? {_NEEDED}",
            rf"no (?:further |additional )?{_CHANGES} {_NEEDED}$",
            r"the answer (?:does not|doesn['’]t) change$",
            rf"{_ANSWER} (?:should|can) (?:stand|remain)\b",
            rf"{_NOTES} (?:is|are) (?:not relevant|irrelevant)\b",
            rf"{_NOTES} (?:confirms?|supports?) {_ANSWER}$",
            r"答案(?:保持)?不变$",
            rf"(?:i|we) (?:will |would |shall |can )?(?:repeat|keep|return|stand by) {_ANSWER}",
            rf"(?:here is |repeating |returning |keeping )?{_ANSWER}(?: is| was)?$",
            rf"{_ZH_ANSWER}(?:仍然?|依然|依旧|已经?|还)?是?(?:正确|准确|有效|适用|成立|完整|充分|足够|保持不变|不变"
            rf"|{_ZH_CHANGE})",
            rf"{_ZH_ANSWER}(?:是|为|如下)?$",
            rf"{_ZH_NEW}(?:并)?(?:(?:没有|未)(?:提供|提及|提到|包含|改变|影响|涉及|增加|补充|说明)"
            r"|没有(?:新的|更多|任何|相关)|不(?:影响|改变)|无关|与.{1,20}无关)",
            rf"{_ZH_CHANGE}(?:{_ZH_ANSWER}|答案|回答|$)",
            rf"(?:因此|所以|故)?我?将?(?:维持|保持|重复|沿用|返回){_ZH_ANSWER}",
            rf"(?:根据|基于|鉴于|考虑到){_ZH_NEW}$",
            r"(?:因此|所以|故|综上所述?|总之)$",
        )
    )
    + ")",
    re.IGNORECASE,
)
# What comes behind may say something after all.
_CLAUSE_END = re.compile(
    r";\s+|[，；]|(?:,\s+|\s+)(?:so|and|therefore|thus|hence|since|because|but|however|although|though|yet|except"
    r"|whereas|as(?=\s+(?:the|this|it|no)\b))\b,?\s*|,\s+(?:with|which|where|while|including|namely)\b\s*",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_LABEL = re.compile(
    r"^(?:based on the new (?:context|information),? )?(?:the )?(?:refined|new|updated|final|revised) answer"
    r"(?: (?:is|remains))?[:：]? ?|^based on the new (?:context|information),? ",
    re.IGNORECASE,
)
# A point inside a number, a sign and a currency are facts.
_NO_FACT = re.compile(r"[\s*_#>\"'“”‘’`]+|[.,;:!?。！？，；：、](?!\d)")
_BLANKS = re.compile(r"[^\S\n]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？])|[:：]?\n+|(?<=[:：])\s+")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An answer that a refine step was asked to improve."""

    text: str
    written_by: tuple[int, ...]
    """Places, from 0, of the last hundred examples before it whose answer it is; none if no example given wrote it."""


@dataclass
class DraftFinder:
    """Finds the drafts of examples that come one after another; each is remembered for the later ones."""

    _by_query: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    _by_text: dict[bytes, list[int]] = field(default_factory=dict)
    _count: int = 0

    def find(self, example: TrainingExample, parts: PromptParts | None) -> tuple[Draft, ...]:
        """The drafts of an example, mostly one; none if it refines nothing. A prompt may quote several answers."""
        drafts = self._find(example, parts)
        answer = example.answer.strip()
        if example.query_id is not None and answer:
            self._by_query.setdefault(example.query_id, {}).setdefault(answer, []).append(self._count)
        self._by_text.setdefault(_key(example.query_id, answer), []).append(self._count)
        self._count += 1
        return drafts

    def _find(self, example: TrainingExample, parts: PromptParts | None) -> tuple[Draft, ...]:
        if parts is not None and parts.draft:
            written_by = self._by_text.get(_key(example.query_id, parts.draft), ())
            return (Draft(text=parts.draft, written_by=tuple(written_by[-_MOST_WRITERS:])),)
        if parts is not None or example.query_id is None or example.kind not in ("refine", "other"):
            return ()
        asked = next((m.get("content") for m in reversed(example.messages) if m.get("role") == "user"), None)
        if not isinstance(asked, str):
            return ()
        shortest = 1 if example.kind == "refine" else _SHORTEST_QUOTE
        return tuple(
            Draft(text=answer, written_by=tuple(places[-_MOST_WRITERS:]))
            for answer, places in islice(reversed(self._by_query.get(example.query_id, {}).items()), _MOST_ANSWERS)
            if len(answer) >= shortest and answer in asked
        )


def repeats_draft(answer: str, draft: str) -> str | None:
    """Say how an answer adds nothing to its draft; `None` if it changes it."""
    if _evened(answer) == _evened(draft):
        return "repeats its draft"
    known = {_evened(sentence) for sentence in _sentences(draft)}
    known.add("")  # of a sentence that is a label and nothing else
    added = [sentence for sentence in _sentences(answer) if _evened(_LABEL.sub("", sentence)) not in known]
    if not added and _sentences(answer):
        return "repeats its draft" if len(_sentences(answer)) >= len(known) - 1 else None
    if {*_NUMBER.findall(" ".join(added))} - {*_NUMBER.findall(draft)}:
        return None  # a figure that the draft does not have
    clauses = [clause for sentence in added for clause in _CLAUSE_END.split(sentence) if clause.strip()]
    if clauses and all(_STANDS.match(clause) for clause in clauses):
        return "only says that the draft stands"
    return None


def _sentences(text: str) -> list[str]:
    even = _BLANKS.sub(" ", text)
    parts = (part.strip(" *_#>\"'“”.!?。！？:：") for part in _SENTENCE_END.split(even))
    return [part for part in parts if _evened(part)]


def _evened(text: str) -> str:
    """The text without what changes no fact: case, white space, quotation marks, emphasis, ends of sentences."""
    return _NO_FACT.sub("", unicodedata.normalize("NFKC", text).casefold())


def _key(query_id: str | None, answer: str) -> bytes:
    text = f"{query_id or ''}\0{answer.strip()}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
