"""A model's answer -> whether it declines to answer.

In: the text of an answer, English or Chinese. Out: yes or no. Only an answer that declines as a whole counts: one
that answers and adds a caveat, or says what is missing and then answers from what is there, does not. Knows
nothing of questions: that the company does not disclose something is an answer.
"""

from __future__ import annotations

import re

_LONGEST = 1500
"""Characters; what is longer says something."""

_HOW = r"(?:(?:explicitly|specifically|directly|clearly|actually|currently|further|also|seem to|appear to) ){0,2}"
_GIVEN = r"(?:(?:provided|given|available|supplied|above|retrieved|current|present|specific|new|original) ){0,2}"
# What is put before the model: that it lacks something says that the model cannot answer.
_PAPERS = r"(?:information|documents?|materials?|sources?)"
_CONTEXT = (
    r"(?:(?:contexts?|passages?|excerpts?|snippets?|texts?|search results?)(?: information)?"
    r"(?: (?:you )?(?:provided|given|available|supplied))?"
    rf"|(?:provided|given|available|supplied|retrieved) {_PAPERS}"
    rf"|{_PAPERS} (?:you )?(?:provided|given|available|supplied))"
)
_THE_CONTEXT = rf"(?:the|this|that|your|(?:any|none) of the) {_GIVEN}{_CONTEXT}"
_NOT = (
    r"(?:(?:do|does|did|can|could)(?: not|n['’]t)|cannot"
    r"|(?:is|are|was|were)(?: not|n['’]t) (?:sufficient|enough|clear))"
)
_CANNOT = r"(?:can ?not|can['’]t|could not|couldn['’]t)"
_INFORMATION = r"(?:information|details?|mention|specifics|explanation|answer)"
_ENOUGH = r"(?:(?:any|enough|sufficient|specific|explicit|direct|clear|relevant|further|the) )*"
_SAID = (
    r"(?:specified|mentioned|stated|provided|given|disclosed|found|available|described|discussed|detailed"
    r"|addressed|present|included|contained|covered|explained|clear)"
)
_KNOW = r"(?:answer|determine|say|tell|know|find|locate|provide|give|see|identify|confirm|conclude|respond|assist|help)"
_KNOWN = r"(?:answered|determined|found|known|given|provided|derived|inferred|identified)"
# A report that lacks something may be a fact about the report, unless what it lacks is information.
_REPORT = rf"(?:{_PAPERS}|report|filing|annual report|10-k|file|page|section|article|paper|content|data)"
_LACKS = (
    rf"(?:mention|specify|state|say|address|discuss|(?:provide|contain|include|give|offer) {_ENOUGH}{_INFORMATION})\b"
)
_IN_CONTEXT = rf"(?:in|by|within|from|with|using|based on|given) (?:the|this|your) {_GIVEN}(?:{_CONTEXT}|{_REPORT})\b"

_DECLINES = (
    rf"{_THE_CONTEXT} {_NOT} ",
    rf"{_THE_CONTEXT} (?:lacks?|omits?|(?:contain|provide|give|include|make|ha|say)(?:s|ve)? (?:no|nothing)|fails? to"
    r"|is (?:silent|insufficient|unclear|limited))\b",
    rf"none of the {_GIVEN}{_CONTEXT} (?:provide|contain|mention|include|address|discuss|answer|specif|state)",
    rf"(?:the|this|that) {_GIVEN}{_REPORT} {_NOT} {_HOW}{_LACKS}",
    rf"there (?:is|are|was|were)(?: no| not|n['’]t) {_ENOUGH}{_INFORMATION}\b",
    rf"(?:no|not|insufficient) {_ENOUGH}(?:information|details?|mention|context)\b(?! (?:security|technology))",
    rf"(?:it|this|that|the answer)(?:['’]s| is| was) not {_HOW}(?:specified|mentioned|stated|clear)\b",
    rf"it(?:['’]s| is) (?:not possible|impossible) to {_HOW}(?:answer|determine|say|tell|know|find)\b",
    rf"(?:it|this|that|(?:the|this) (?:answer|question|query)) {_CANNOT} be {_HOW}{_KNOWN}\b",
    rf"[^.!?]{{1,200}}?\b(?:is|are|was|were)(?: not|n['’]t) {_HOW}{_SAID} {_IN_CONTEXT}",
    rf"[^.!?]{{1,200}}?\b{_CANNOT} be {_HOW}{_KNOWN} {_IN_CONTEXT}",
    r"i (?:do not|don['’]t|did not|didn['’]t) (?:know|have|see|find)\b",
    rf"(?:i|we) (?:{_CANNOT}|(?:am|was|are|were) (?:unable|not able) to) {_HOW}{_KNOW}\b",
    rf"(?:i['’]m )?(?:unable|not able) to {_HOW}{_KNOW}\b",
    rf"(?:not |un)(?:known|specified|mentioned|stated|provided|available|clear)(?: {_IN_CONTEXT})?$",
    r"(?:n/?a|no answer|empty response|can(?:not|['’]t) answer(?: (?:this|the|that) (?:question|query))?)$",
)
_TRAILERS = (
    r"please\b",
    r"(?:more|additional|further|other) (?:specific )?(?:information|context|details?|sources?)\b",
    r"(?:if|should) (?:you|there)\b",
    r"(?:you|one) (?:may|might|should|could|would|can)\b",
    r"(?:i|we) (?:recommend|suggest|would need|need|advise|apologi[sz]e)\b",
    r"(?:i['’]m|i am) sorry\b",
    r"(?:let me know|feel free|would you|could you)\b",
    r"it (?:is|would be|may be|might be) (?:recommended|advisable|best|necessary|helpful)\b",
    r"to (?:answer|determine|find out|provide) ",
    rf"(?:it|the {_GIVEN}{_CONTEXT}|they) (?:only|primarily|mainly|mostly|merely|just|instead) ",
)
_OPENERS = (
    r"(?:i['’]m|i am|we are|we['’]re)?\s*(?:very |so )?sorry(?:,? but|,? however,?|,)\s*",
    r"(?:my apologies|apologies|i apologi[sz]e|regrettably|unfortunately|sadly)(?:,? but|,)?\s*",
    r"(?:therefore|thus|hence|so|as such|consequently|as a result|additionally|also|moreover|furthermore)\s*,?\s+",
    r"(?:based (?:up)?on|according to|from|given|in|within|with) (?:only )?(?:the|this|your) [^,.]{1,80},\s*",
    r"(?:answer|response)\s*:\s*",
)
# The sentence goes on to say something after all.
_GOES_ON = re.compile(
    r"[,;–—-]\s*(?:but|however|although|though|nevertheless|yet)\b"
    r"|\b(?:but|however)\s+(?:it|the|there|they|does|states?|mentions?|indicates?|suggests?|we|one)\b",
    re.IGNORECASE,
)

_ZH_CONTEXT = (
    r"(?:(?:根据|基于|依据|从|按照|在)?(?:以上|上述|所|已|您|当前|现有|该|此|本|这些)?(?:提供|给定|给出|已知|检索到)?的?"
    r"(?:上下文|语境|背景|信息|资料|文档|文本|材料|内容|段落|文中|文章|原文|报告|年报|文件)"
    r"(?:信息|内容|资料)?(?:中|里|内)?(?:来看)?[，,]?)"
)
_ZH_NOT = r"(?:并|也|均|都|还|尚|暂|似乎|里)?(?:没有|没|未能?|未曾|无法|不能|不足以|不包含|不包括|不含|无)"
_ZH_SAID = (
    r"(?:明确|具体|直接|详细)?地?(?:提供|提及|提到|说明|包含|包括|给出|涉及|披露|指出|描述|显示|列出|载明|谈及"
    r"|讨论|找到|足够|任何|相关|回答|确定|得知|判断|得出|获知|看出|推断)"
)
_ZH_UNSAID = r"(?:并?没有|并?未)(?:被)?(?:明确|具体)?(?:提及|提到|说明|给出|提供|披露)"
_ZH_DECLINES = (
    rf"{_ZH_CONTEXT}我?{_ZH_NOT}{_ZH_SAID}",
    rf"{_ZH_CONTEXT}[^。！？]{{1,40}}{_ZH_UNSAID}$",
    rf"[^。！？]{{1,60}}?在?所?(?:提供|给定)?的?(?:上下文|文中|原文|文档|资料)(?:信息)?[中里]?{_ZH_UNSAID}",
    r"(?:我们?)?(?:无法|不能|难以)(?:根据[^，。]{1,30})?(?:准确|直接)?"
    r"(?:回答|确定|得知|判断|找到|提供|获知|得出|答复)",
    r"(?:我们?)?并?不(?:知道|清楚|了解|确定)",
    r"(?:我们?)?没有(?:找到|足够的?|相关的?|任何)*(?:信息|内容|资料|依据|上下文|提及|提到)",
    r"(?:相关)?(?:信息|资料|内容)不足",
    r"暂无(?:相关)?(?:信息|资料|数据)",
    r"(?:文中|原文|其中)?并?未(?:明确|具体)?(?:提及|提到|说明|披露|找到|给出)",
    r"未知$",
)
_ZH_TRAILERS = (r"请", r"建议", r"如需", r"如果", r"若", r"需要(?:更多|查阅|参考)", r"您可以", r"可以(?:查阅|参考)")
_ZH_OPENERS = (
    r"(?:非常|很|十分)?(?:抱歉|对不起|遗憾|不好意思)[，,。！]?(?:但是?|不过)?[，,]?",
    r"(?:因此|所以|故|由此|综上|总之)[，,]?",
    r"(?:答案?|回答)[：:]\s*",
)
_ZH_GOES_ON = re.compile(r"[，,；;](?:但是?|不过|然而|可是|却)")

_DECLINING = re.compile("|".join(f"(?:{p})" for p in (*_DECLINES, *_ZH_DECLINES)), re.IGNORECASE)
_TRAILING = re.compile("|".join(f"(?:{p})" for p in (*_TRAILERS, *_ZH_TRAILERS)), re.IGNORECASE)
_OPENING = re.compile("|".join(f"(?:{p})" for p in (*_OPENERS, *_ZH_OPENERS)), re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？])|\n+")


def is_abstention(text: str) -> bool:
    """Say whether an answer, as a whole, declines to answer.

    >>> is_abstention("The context does not provide information on goodwill.")
    True
    >>> is_abstention("The context does not give a total, but it lists 3.2 and 4.1 million.")
    False
    """
    if len(text) > _LONGEST:
        return False
    sentences = [part.strip(" \t\r*_#>\"'“”.!?。！？") for part in _SENTENCE_END.split(text)]
    sentences = [sentence for sentence in sentences if sentence]
    declined = False
    for sentence in sentences:
        if _declines(sentence):
            declined = True
        elif not _TRAILING.match(_without_opener(sentence)):
            return False
    return declined


def _declines(sentence: str) -> bool:
    rest = _without_opener(sentence)
    candidates = (sentence, rest) if rest != sentence else (sentence,)
    if not any(_DECLINING.match(candidate) for candidate in candidates):
        return False
    return not (_GOES_ON.search(rest) or _ZH_GOES_ON.search(rest))


def _without_opener(sentence: str) -> str:
    """Drop apologies and references to the context, as often as they follow each other."""
    while (found := _OPENING.match(sentence)) and found.end():
        sentence = sentence[found.end() :].lstrip()
    return sentence
