"""A chat request -> what it asks for: an answer, a refinement, questions, or a step of the judge.

In: the messages as they came over the wire, made by LlamaIndex's prompts, by ragas, or by a user's own
templates. Out: one task with its question, context and draft cut out. Knows nothing of how a task is done.
Where a prompt is not known, common cues (`Context:`, `Question:`, fences, tags) are tried; a request without any
context becomes a question with an empty one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AnswerTask:
    """Answer a question from a context."""

    question: str
    context: str
    """Empty where none was found."""


@dataclass(frozen=True, kw_only=True)
class RefineTask:
    """Keep a draft, or write a better answer from new context."""

    question: str
    context: str
    draft: str


@dataclass(frozen=True, kw_only=True)
class QuestionsTask:
    """Write questions that a context answers."""

    context: str
    count: int


@dataclass(frozen=True, kw_only=True)
class RewriteTask:
    """Say a follow-up message as a question of its own."""

    message: str


@dataclass(frozen=True, kw_only=True)
class StatementsTask:
    """ragas faithfulness, step 1: take an answer apart."""

    question: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class VerdictsTask:
    """ragas faithfulness, step 2: judge statements against a context."""

    context: str
    statements: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RelevanceTask:
    """ragas answer relevancy: guess the question behind an answer."""

    response: str


JudgeTask = StatementsTask | VerdictsTask | RelevanceTask
Task = AnswerTask | RefineTask | QuestionsTask | RewriteTask | JudgeTask


def read_request(messages: Sequence[Mapping[str, Any]]) -> Task:
    """Say what a chat request asks for."""
    users = [_content(message) for message in messages if message.get("role") == "user"]
    for text in reversed(users):  # a client that asks again for better JSON puts its complaint after the prompt
        judged = _judge_task(text)
        if judged is not None:
            return judged
    last = users[-1] if users else ""
    return _refine_task(last) or _questions_task(last) or _rewrite_task(last) or _answer_task(messages, last)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content.replace("\r\n", "\n")
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str)).replace("\r\n", "\n")


def _judge_task(text: str) -> JudgeTask | None:
    marks = list(_JSON_INPUT.finditer(text)) if "JSON" in text else []
    if not marks:
        return None
    try:
        data, _ = json.JSONDecoder().raw_decode(text, marks[-1].end())
    except (json.JSONDecodeError, RecursionError):
        return None
    match data:
        case {"context": str(context), "statements": list(statements), **rest} if not rest:
            return VerdictsTask(context=context, statements=tuple(str(item) for item in statements))
        case {"question": str(question), "answer": str(answer), **rest} if not rest:
            return StatementsTask(question=question, answer=answer)
        case {"response": str(response), **rest} if not rest:
            return RelevanceTask(response=response)
    return None


def _questions_task(text: str) -> QuestionsTask | None:
    context, rest = _cut_context(text)
    if not context:
        return None
    asked = list(_ASK_QUESTIONS.finditer(rest))
    if not asked:
        return None
    digits = next((number for match in asked if (number := match["count"] or match["chinese"])), "")
    count = int(digits) if digits.isdigit() else _CHINESE_DIGITS.get(digits, 10)
    return QuestionsTask(context=context, count=max(1, min(count, 100)))


def _refine_task(text: str) -> RefineTask | None:
    # Labels are found one by one, never by one pattern over the whole prompt: a document that repeats them by the
    # thousand would keep that pattern busy for hours.
    draft = _last(_DRAFT_LABEL, text)
    if draft is None:
        return _old_refine_task(text)
    question = _last(_QUESTION_LABEL, text[: draft.start()])
    context = _NEW_CONTEXT.search(text) or _CONTEXT_LABEL.search(text)
    if question is None or context is None or context.end() > question.start():
        return None
    return RefineTask(
        question=text[question.end() : draft.start()].strip(),
        context=_without_fences(text[context.end() : question.start()]),
        draft=_NEXT_LABEL.split(text[draft.end() :], maxsplit=1)[0].strip(),
    )


def _old_refine_task(text: str) -> RefineTask | None:
    """Read LlamaIndex's completion-style refine prompt, which puts the context last."""
    _, mark, tail = text.partition("is as follows:")
    question, given, tail = tail.partition("\nWe have provided an existing answer:")
    draft, offered, tail = tail.partition("\nWe have the opportunity to")
    if not (mark and given and offered):
        return None
    context, _ = _cut_context(tail)
    return RefineTask(question=question.strip(), context=context, draft=draft.strip())


def _rewrite_task(text: str) -> RewriteTask | None:
    found = _FOLLOW_UP.search(text) if "standalone question" in text.lower() else None
    return RewriteTask(message=found["message"].strip()) if found else None


def _answer_task(messages: Sequence[Mapping[str, Any]], last: str) -> AnswerTask:
    context, rest = _cut_context(last)
    if context:
        return AnswerTask(question=_find_question(rest), context=context)
    for message in reversed(messages):
        if message.get("role") in ("system", "developer"):
            context, _ = _cut_context(_content(message))
            if context:
                return AnswerTask(question=_find_question(last), context=context)
    return AnswerTask(question=_find_question(last), context="")


def _cut_context(text: str) -> tuple[str, str]:
    """Return the context block of a prompt and the prompt without it; the first is empty where none is seen."""
    blocks = [block for block in (_tagged(text), _fenced(text)) if block is not None]
    block = min(blocks, key=lambda found: found.start) if blocks else _labelled(text)
    if block is None or not block.text:
        return "", text
    return block.text, f"{text[: block.start]}\n{text[block.end :]}"


@dataclass(frozen=True, kw_only=True)
class _Block:
    text: str
    start: int
    end: int


def _tagged(text: str) -> _Block | None:
    opened = _OPEN_TAG.search(text)
    if opened is None:
        return None
    closing = f"</{opened[1]}>"
    end = text.rfind(closing, opened.end())
    if end < 0:
        return None
    return _Block(text=text[opened.end() : end].strip(), start=opened.start(), end=end + len(closing))


def _fenced(text: str) -> _Block | None:
    """Return what stands between the first and the last fence: a document may have such lines of its own."""
    fences = list(_FENCE_LINE.finditer(text))
    if len(fences) < 2:
        return None
    first, last = fences[0], fences[-1]
    return _Block(text=text[first.end() : last.start()].strip(), start=first.start(), end=last.end())


def _labelled(text: str) -> _Block | None:
    label = _CONTEXT_LABEL.search(text)
    if label is None:
        return None
    end = _last(_QUESTION_LABEL, text, label.end()) or _last(_NEXT_LABEL, text, label.end())
    stop = end.start() if end else len(text)
    return _Block(text=text[label.end() : stop].strip(), start=label.start(), end=stop)


def _last(pattern: re.Pattern[str], text: str, start: int = 0) -> re.Match[str] | None:
    return max(pattern.finditer(text, start), key=lambda found: found.start(), default=None)


def _without_fences(context: str) -> str:
    return _EDGE_FENCES.sub("", context.strip()).strip()


def _find_question(rest: str) -> str:
    labelled = list(_QUESTION_LABEL.finditer(rest))
    if labelled:
        tail = rest[labelled[-1].end() :]
        return _NEXT_LABEL.split(tail, maxsplit=1)[0].strip()
    lines = [line.strip() for line in rest.splitlines() if line.strip() and not _ANSWER_LABEL.match(line)]
    if len(lines) > 3:  # instructions around it: the line that asks is the question
        asking = [line for line in lines if line.endswith(("?", "？"))]
        return (asking or lines)[-1]
    return " ".join(lines)


_JSON_INPUT = re.compile(r"(?:^|\n)[ \t]*input:\s*(?=\{)", re.IGNORECASE)
_FENCE = r"(?:-{5,}|={5,}|#{5,}|`{3,}\w*|\"{3}|'{3})"
_EDGE_FENCES = re.compile(rf"^{_FENCE}\s*\n|\n[ \t]*{_FENCE}$")
_QUESTION_WORDS = r"(?:user'?s? |user |the |original )?(?:query|question)|(?:用户)?(?:问题|查询|提问)"
_QUESTION_LABEL = re.compile(rf"(?:^|\n)[ \t>*#]*(?:{_QUESTION_WORDS})(?: is)?\**\s*[:：]\**", re.IGNORECASE)
_ANSWER_WORDS = r"(?:your |new |final |refined |helpful )?(?:answer|response)|回答|答案|答"
_ANSWER_LABEL = re.compile(rf"\s*[>*#]*(?:{_ANSWER_WORDS})\**\s*[:：]", re.IGNORECASE)
_NEXT_LABEL = re.compile(rf"\n[ \t>*#]*(?:{_ANSWER_WORDS}|instructions?)\**\s*[:：]", re.IGNORECASE)
_CONTEXT_WORDS = (
    r"(?:new |retrieved |relevant )?(?:contexts?|documents?|sources?|passages?)(?: information)?|"
    r"上下文(?:信息)?|(?:参考)?资料|背景"
)
_OPEN_TAG = re.compile(r"<(contexts?|documents?|sources?)>", re.IGNORECASE)
_FENCE_LINE = re.compile(rf"^[ \t]*{_FENCE}[ \t]*$", re.MULTILINE)
_CONTEXT_LABEL = re.compile(
    rf"(?:^|\n)[ \t>*#]*(?:[^\n:：]{{0,60}}\bthe )?(?:{_CONTEXT_WORDS})(?: is)?(?: below)?\**\s*[:：]\**", re.IGNORECASE
)
_NEW_CONTEXT = re.compile(r"New Context:")
_DRAFT_LABEL = re.compile(
    r"\n[ \t]*(?:(?:original|existing|previous) answer|原答案|已有答案|原始答案)\s*[:：]", re.IGNORECASE
)
_ASK_QUESTIONS = re.compile(
    r"\b(?:set ?up|generate|write|create|produce|make|formulate|ask|draft)\b[^.?\n]{0,40}?"
    r"(?:(?P<count>\d{1,3})\s+)?(?:[\w-]+ ){0,2}questions\b"
    r"|(?:生成|提出|写出|编写|设计|出)[^。？\n]{0,8}?(?P<chinese>\d{1,3}|[一二三四五六七八九十])\s*[个道条]\S{0,6}?(?:问题|题)",
    re.IGNORECASE,
)
_CHINESE_DIGITS = {digit: value for value, digit in enumerate("一二三四五六七八九十", start=1)}
_FOLLOW_UP = re.compile(
    r"\n[ \t]*<?[ \t]*Follow[ -]?Up (?:Message|Question|Input)[ \t]*>?[ \t]*:?\s*(?P<message>.*?)"
    r"\n[ \t]*<?[ \t]*Standalone question",
    re.DOTALL | re.IGNORECASE,
)
