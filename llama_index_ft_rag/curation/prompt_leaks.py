"""An answer -> whether it speaks of the prompt it was given: the context, the draft, the rules.

In: the text of an answer, English or Chinese. Out: the words that give it away. The student would learn to speak of a
context that its users never see. What a document may say as well, such as "the context is cancelled" in a manual,
passes: a good example lost is worse than a leak kept. Knows nothing of prompts; whether the answer declines is
another question.
"""

from __future__ import annotations

import re

# Where a clause begins; a fee "calculated based on the information provided" is no leak.
_CLAUSE = (
    r"(?:^|(?<=[.!?;:,(\n—–*_\"'“>-])|(?<=[.!?;:,(—–*>-]\s)|(?<=\band\s)|(?<=\bbut\s)|(?<=\bso\s)|(?<=\bthat\s)"
    r"|(?<=\bthus\s)|(?<=\btherefore\s)|(?<=\bhowever\s)|(?<=\bbecause\s))"
)
_ZH_CLAUSE = r"(?:^|(?<=[。！？；：，、,.:;!?（(\n\s]))"
_GIVEN = r"(?:provided|given|supplied|above|retrieved)"
_ANY_GIVEN = r"(?:provided|given|supplied|above|retrieved|following|new|additional|present|available)"
_PASSAGES = r"(?:contexts?|passages?|excerpts?|snippets?)"
_PAPERS = rf"(?:context information|search results?|{_PASSAGES})"
_SAYING = (
    r"(?:based (?:up)?on|according to|per|from|given"
    r"|as (?:stated|mentioned|described|noted|outlined|given|per) (?:in|by)|as per)"
)
_INFORMATION = r"(?:information|details?|mention|figures?|explanation|specifics|examples?|reasons?)"
_ANY = (
    r"(?: (?:no|any|some|enough|sufficient|detailed|specific|further|more|new|additional|relevant|limited|several"
    r"|the following|a few))*"
)
_SAYS = (
    r"(?:(?:states?|mentions?|says?|shows?|reveals?|indicates?|suggests?|describes?|explains?|lists?|outlines?"
    r"|discusses|notes) "
    rf"|(?:only |also )?(?:provides?|contains?|includes?|gives?){_ANY} {_INFORMATION}\b"
    r"|(?:does not|doesn['’]t|do not|don['’]t) (?:explicitly |specifically |directly |clearly )?"
    r"(?:provide|mention|state|specify|say|give|contain|include|indicate|discuss|address|describe|explain|list"
    r"|disclose|detail)\b)"
)
# "the context of the merger" and "in this context" are what any report may say.
_NO_FIGURE_OF_SPEECH = r"(?! (?:of|in which|for|menu|switch|manager|object|window)\b)"
_LEAKS = re.compile(
    "|".join(
        (
            rf"\bthe {_GIVEN} {_PAPERS}{_NO_FIGURE_OF_SPEECH}\b",
            rf"\b{_SAYING} (?:the|this|your) {_ANY_GIVEN} {_PAPERS}{_NO_FIGURE_OF_SPEECH}\b",
            rf"{_CLAUSE}{_SAYING} (?:the|this|your) {_PAPERS}{_NO_FIGURE_OF_SPEECH}\b",
            rf"{_CLAUSE}{_SAYING} (?:the|this|your) {_GIVEN} (?:information|documents?|text|sources?|data)\b",
            rf"{_CLAUSE}{_SAYING} the (?:information|context|text) (?:that (?:is|was) )?(?:provided|given|supplied)\b"
            r"(?! (?:by|to|for|under|on|in|pursuant)\b)",
            rf"{_CLAUSE}the {_INFORMATION} (?:provided |given |available |contained )?(?:in|from|within) "
            rf"(?:the|this|your) (?:{_ANY_GIVEN} )?{_PASSAGES}{_NO_FIGURE_OF_SPEECH}\b",
            rf"\b(?:the|this) (?:{_ANY_GIVEN} )?{_PASSAGES} {_SAYS}",
            r"\bthe context information\b",
            rf"{_CLAUSE}(?:in|looking at|with) the (?:new )?context,",
            rf"{_CLAUSE}the provided (?:document|information|text)s? (?:states?|mentions?|indicates?|shows?|says?)\b",
            r"\bin the (?:context|text|passage)s? (?:provided|given|above|supplied)\b",
            r"\bthe (?:original|existing) answer\b(?! to the (?:complaint|petition|claim|lawsuit))",
            r"\bthe (?:original|existing|previous) (?:query|response|answer) (?:still |already )?(?:remains|stands"
            r"|is (?:still|correct|accurate|valid|sufficient))\b",
            r"\b(?:refined|new|original|existing) answer:",
            r"\bnot prior knowledge\b",
            r"\b(?:as|i['’]m|i am) an? (?:(?:ai|artificial intelligence|large) (?:language )?|language )"
            r"(?:model|assistant),? i\b",
            r"\bexpert q ?& ?a system\b",
            rf"{_ZH_CLAUSE}(?:根据|基于|依据|按照|从)(?:以上|上述|所|您|当前|该|这些|新)?"
            r"(?:提供|给定|给出|已知|检索到)?的?(?:上下文|语境|背景信息|参考资料)"
            r"(?!菜单|切换|管理|环境|对象|变量|无关)",
            rf"{_ZH_CLAUSE}(?:根据|基于|依据|按照)(?:以上|上述|所|您)?(?:提供|给定|给出|检索到)的?"
            r"(?:信息|资料|文档|文本|材料|内容)",
            r"(?:提供|给定|给出|检索到)的上下文",
            r"上下文(?:信息)?(?:中|里)?(?:(?:没有|并未|并没有|未)(?:明确|具体|直接)?)?"
            r"(?:提到|提及|说明|指出|表明|给出|包含(?:任何|相关))",
            r"(?:原|原始|原有|现有)(?:答案|回答)(?:是|为|中|：|仍)",
        )
    ),
    re.IGNORECASE,
)
_HINTS = (
    "context", "passage", "excerpt", "snippet", "search result", "provided", "given", "supplied", "above", "retrieved",
    "original", "existing", "previous", "answer:", "prior knowledge", "model", "assistant", "expert q",
    "上下文", "语境", "背景信息", "参考资料", "提供", "给定", "给出", "检索", "答案", "回答",
)  # fmt: skip
"""One of them is in whatever the patterns find, and most answers have none; looking for them is quick."""


def leaked_words(answer: str) -> str | None:
    """The first words of an answer that speak of its prompt, or `None`.

    >>> leaked_words("Based on the provided context, revenue rose.")
    'Based on the provided context'
    >>> leaked_words("In the context of the merger, revenue rose.")
    """
    lowered = answer.lower()
    found = _LEAKS.search(answer) if any(hint in lowered for hint in _HINTS) else None
    return found.group(0).strip() if found else None
