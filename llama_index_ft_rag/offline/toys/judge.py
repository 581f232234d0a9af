"""The rule-based judge behind the offline backend: it fills in ragas' forms by counting words.

In: one judge task as `prompts` recognises it. Out: JSON text in the form that ragas asked for. A toy: a statement
counts as supported where its words and all its numbers stand close together in the context, and the question behind
an answer is its first sentence turned around. Its scores show that a pipeline works, not how good an answer is.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from llama_index_ft_rag.offline.toys.prompts import JudgeTask, StatementsTask, VerdictsTask
from llama_index_ft_rag.offline.toys.question_writer import question_behind
from llama_index_ft_rag.offline.toys.text import (
    abstains,
    content_tokens,
    numbers,
    split_prose,
    split_sentences,
    tokens,
)


def judge(task: JudgeTask) -> str:
    """Return the JSON text that answers a step of ragas."""
    if isinstance(task, StatementsTask):
        return _dump({"statements": take_apart(task.answer)})
    if isinstance(task, VerdictsTask):
        return _dump({"statements": [_verdict(statement, task.context) for statement in task.statements]})
    return _dump({"question": question_behind(task.response), "noncommittal": int(abstains(task.response))})


def take_apart(answer: str) -> list[str]:
    """Return the sentences of an answer as statements; a leading pronoun becomes the subject before it."""
    statements: list[str] = []
    subject = ""
    for line in answer.splitlines():
        for sentence in split_prose(line):
            statement = re.sub(r"^(?:[•●*–-]|\d{1,2}[.)])\s+", "", sentence)
            if not tokens(statement):
                continue
            pronoun = _PRONOUN.match(statement)
            if pronoun and subject:
                own = f"{subject}'s" if (pronoun[1] or "").lower() in ("its", "their", "his", "her") else subject
                statement = f"{own}{' ' if subject.isascii() else ''}{statement[pronoun.end() :]}"
            else:
                found = _SUBJECT.match(statement)
                subject = (found[1] or found[2]).strip() if found else subject
            statements.append(statement)
    return statements


def supported_share(statement: str, context: str) -> float:
    """Return the share of a statement's content words in the best few neighbouring sentences of the context."""
    wanted = frozenset(content_tokens(statement)) or frozenset(tokens(statement))
    if not wanted:
        return 0.0
    passages = _passages(context)
    return max((len(wanted & passage) / len(wanted) for passage in passages), default=0.0)


def _verdict(statement: str, context: str) -> dict[str, str | int]:
    missing = [number for number in numbers(statement) if number not in _all_tokens(context)]
    share = supported_share(statement, context)
    refuses = abstains(statement)
    supported = share >= 0.75 and not missing and not refuses
    if refuses:
        reason = "The statement says that something is not known; it makes no claim that the context could support."
    elif missing:
        reason = f"Not in the context: {', '.join(missing[:5])}."
    else:
        reason = f"{round(100 * share)} % of its content words stand together in one passage of the context."
    return {"statement": statement, "reason": reason, "verdict": int(supported)}


@lru_cache(maxsize=256)
def _passages(context: str) -> tuple[frozenset[str], ...]:
    """Return the words of every run of three sentences."""
    words = [frozenset(tokens(sentence.text)) for sentence in split_sentences(context)]
    return tuple(frozenset().union(*words[start : start + 3]) for start in range(max(1, len(words) - 2)))


@lru_cache(maxsize=256)
def _all_tokens(context: str) -> frozenset[str]:
    return frozenset(tokens(context))


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


_PRONOUN = re.compile(r"(It|They|He|She|Its|Their|His|Her) (?=[a-z])|(它|他们|它们|他|她|其)(?=[\u3400-\u9fff])")
_SUBJECT = re.compile(
    r"((?:[\w'’&$%.-]+ ){1,8}?)(?=(?:is|are|was|were|has|have|had|will|can|could|may|increased|decreased|grew|"
    r"rose|fell|"
    r"includes?|provides?|uses?)\b)|([\u3400-\u9fff]{2,12}?)(?=是|为|有|在|于|成立|拥有|设有|位于|增长|下降)"
)
