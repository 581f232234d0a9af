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
    if not _DRAFT_LABEL.search(text):
        return None
    for pattern in _REFINE:
        found = pattern.search(text)
        if found is not None:
            context = _EDGE_FENCES.sub("", found["context"].strip())
            return RefineTask(question=found["question"].strip(), context=context.strip(), draft=found["draft"].strip())
    return None


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
    for pattern in _CONTEXT_BLOCKS:
        found = pattern.search(text)
        if found is not None and found["context"].strip():
            return found["context"].strip(), f"{text[: found.start()]}\n{text[found.end() :]}"
    return "", text


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


_JSON_INPUT = re.compile(r"(?:^|\n)\s*input:\s*(?=\{)", re.IGNORECASE)
_FENCE = r"(?:-{5,}|={5,}|#{5,}|`{3,}\w*|\"{3}|'{3})"
_EDGE_FENCES = re.compile(rf"^{_FENCE}\s*\n|\n\s*{_FENCE}$")
_QUESTION_WORDS = r"(?:user'?s? |user |the |original )?(?:query|question)|(?:用户)?(?:问题|查询|提问)"
_QUESTION_LABEL = re.compile(rf"(?:^|\n)[ \t>*#]*(?:{_QUESTION_WORDS})(?: is)?\**\s*[:：]\**", re.IGNORECASE)
_ANSWER_WORDS = r"(?:your |new |final |refined |helpful )?(?:answer|response)|回答|答案|答"
_ANSWER_LABEL = re.compile(rf"\s*[>*#]*(?:{_ANSWER_WORDS})\**\s*[:：]", re.IGNORECASE)
_NEXT_LABEL = re.compile(rf"\n[ \t>*#]*(?:{_ANSWER_WORDS}|instructions?)\**\s*[:：]", re.IGNORECASE)
_CONTEXT_WORDS = (
    r"(?:new |retrieved |relevant )?(?:contexts?|documents?|sources?|passages?)(?: information)?|"
    r"上下文(?:信息)?|(?:参考)?资料|背景"
)
_CONTEXT_BLOCKS = (
    re.compile(r"<(?P<tag>contexts?|documents?|sources?)>(?P<context>.*)</(?P=tag)>", re.DOTALL | re.IGNORECASE),
    re.compile(
        rf"(?:^|\n)[ \t]*(?P<fence>{_FENCE})[ \t]*\n(?P<context>.*)\n[ \t]*{_FENCE}[ \t]*(?=\n|"
        rf"$)",
        re.DOTALL,
    ),
    re.compile(
        rf"(?:^|\n)[ \t>*#]*(?:[^\n:：]{{0,60}}\bthe )?(?:{_CONTEXT_WORDS})(?: is)?(?: below)?\**\s*[:：]\**"
        rf"(?P<context>.*?)(?=\n[ \t>*#]*(?:{_QUESTION_WORDS}|{_ANSWER_WORDS}|instructions?)(?: is)?\**\s*[:：]|"
        rf"$(?![\n\r]))",
        re.DOTALL | re.IGNORECASE,
    ),
)
_DRAFT_LABEL = re.compile(r"(?:original|existing|previous) answer|原答案|已有答案|原始答案", re.IGNORECASE)
_REFINE = (
    re.compile(
        r"New Context:(?P<context>.*)\n\s*Query:(?P<question>.*?)\n\s*Original Answer:(?P<draft>.*)"
        r"\n\s*New Answer:\s*$",
        re.DOTALL,
    ),
    re.compile(
        r"original (?:query|question) is as follows:(?P<question>.*?)\n"
        r".{0,40}?existing answer:(?P<draft>.*?)\n"
        rf"We have the opportunity to.*?\n{_FENCE}\n(?P<context>.*)\n{_FENCE}",
        re.DOTALL,
    ),
    re.compile(
        rf"(?:^|\n)(?:{_CONTEXT_WORDS})\s*[:：](?P<context>.*)\n(?:{_QUESTION_WORDS})\s*[:：](?P<question>.*?)"
        r"\n(?:(?:original|existing|previous) answer|原答案|已有答案|原始答案)\s*[:：](?P<draft>.*?)"
        rf"(?:\n(?:{_ANSWER_WORDS})\s*[:：]|$)",
        re.DOTALL | re.IGNORECASE,
    ),
)
_ASK_QUESTIONS = re.compile(
    r"\b(?:set ?up|generate|write|create|produce|make|formulate|ask|draft)\b[^.?\n]{0,40}?"
    r"(?:(?P<count>\d{1,3})\s+)?(?:[\w-]+ ){0,2}questions\b"
    r"|(?:生成|提出|写出|编写|设计|出)[^。？\n]{0,8}?(?P<chinese>\d{1,3}|[一二三四五六七八九十])\s*[个道条]\S{0,6}?(?:问题|题)",
    re.IGNORECASE,
)
_CHINESE_DIGITS = {digit: value for value, digit in enumerate("一二三四五六七八九十", start=1)}
_FOLLOW_UP = re.compile(
    r"\n\s*<?\s*Follow[ -]?Up (?:Message|Question|Input)\s*>?\s*:?\s*(?P<message>.*?)\n\s*<?\s*Standalone question",
    re.DOTALL | re.IGNORECASE,
)
