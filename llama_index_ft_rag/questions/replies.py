"""What an LLM wrote in, the questions in it out.

Numbers, bullets, quotes, markdown, preambles, chatter and answers are not part of a question. Knows nothing of what
was asked for.
"""

from __future__ import annotations

import re

from llama_index_ft_rag.questions.wording import han_count

LONGEST_QUESTION = 400
"""Longer lines, in characters, of what an LLM wrote are no questions."""

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(
    r"\s*(?:[-*•‣▪–—>#|]+(?=\s|\*|$)|\(?\d{1,3}\s*(?:[.):：）](?!\d)|[、])|\d{1,3}\s+[-|]\s|[([]?[a-zA-Z][.)\]]\s"
    r"|(?:Q|Question|问题?)\s*\d{0,3}\s*[.):：）、]|第?[一二三四五六七八九十]{1,3}[、.：])\s*",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"(?:sure|certainly|of course|okay|ok|here (?:are|is)|below are|the following)\b[^?？]{0,200}?[:：]\s*",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"(?:would you like|do you (?:want|need)|shall i|should i|can i help|is there anything else|need more|"
    r"how (?:can|may) i (?:help|assist)|您?(?:是否)?(?:还)?需要我|还有什么(?:可以|需要))",
    re.IGNORECASE,
)
_ANSWER_AFTER = re.compile(r"([?？؟])[\"'”’*_)）]*\s*(?:[(（\[]|[-–—]\s|(?:answer|a|答案?)\s*[:：]).*\Z", re.IGNORECASE)
_ASKS_IN_ENGLISH = re.compile(r"(?:what|how|why|when|where|who|whom|whose|which)\b.*[^.:;!,]\Z", re.IGNORECASE)
_ASKS_IN_CHINESE = re.compile(r"什么|多少|如何|怎么|怎样|为何|哪|是谁|几个|是否|[吗呢]")
_WRAPPING = " \t\"'“”‘’`*_|,，「」『』[]"


def questions_in(reply: str) -> list[str]:
    """Return the questions among the lines of a reply, without numbers, bullets, quotes and markdown."""
    lines = (_bare(line) for line in _THOUGHT.sub("", reply).splitlines())
    return [line for line in lines if _is_question(line)]


def _bare(line: str) -> str:
    text = line.replace("**", "").strip(_WRAPPING)
    for pattern in (_LABEL, _LABEL, _PREAMBLE, _LABEL):
        match = pattern.match(text)
        text = text[match.end() :].strip(_WRAPPING) if match else text
    return " ".join(_ANSWER_AFTER.sub(r"\1", text).split())


def _is_question(text: str) -> bool:
    chinese = han_count(text)
    if len(text) > LONGEST_QUESTION or (len(text.split()) < 3 and chinese < 4) or _CHATTER.match(text):
        return False
    if text.endswith(("?", "？", "؟", "か。")):
        return True
    if chinese * 2 > len(text):
        return _ASKS_IN_CHINESE.search(text) is not None and not text.endswith((":", "："))
    return _ASKS_IN_ENGLISH.fullmatch(text) is not None
