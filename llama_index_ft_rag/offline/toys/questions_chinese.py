"""A Chinese sentence -> questions that it answers, the best one first, by patterns over its clauses.

In: one sentence. Out: questions with a strength, as `questions_english` gives them; none where no pattern fits.
Knows nothing of the text around the sentence.
"""

from __future__ import annotations

import re

from llama_index_ft_rag.offline.toys.questions_english import Asked


def chinese_questions(sentence: str) -> list[Asked]:
    """Return the questions that a sentence answers, strongest first."""
    text = re.sub(r"(?<=[\u3400-\u9fff]) (?=\d)|(?<=\d) (?=[\u3400-\u9fff])", "", sentence.strip()).strip("。！；; ")
    found: dict[str, Asked] = {}
    time = ""
    for clause in re.split(r"[，；,;](?!\d)", text):
        plain = _LEAD.sub("", clause).strip()
        dated = _TIME.search(plain)
        time = dated[0] if dated else time
        for strength, pattern, form in _PATTERNS:
            match = pattern.search(_TIME.sub("", plain, count=1) if "{time}" in form else plain)
            if match is None:
                continue
            parts = {name: _plain(part) for name, part in match.groupdict(default="").items()}
            asked = form.format(time=re.sub(r"^截至", "", time), **parts)
            if _reads_well(asked):
                found.setdefault(asked, Asked(text=asked, strength=strength))
    return sorted(found.values(), key=lambda asked: -asked.strength)


def _plain(part: str) -> str:
    return re.sub(r"本公司|我公司|我们|本集团", "公司", part.strip("、 "))


def _reads_well(question: str) -> bool:
    return (
        6 <= len(question) <= 60
        and not re.match(
            r"(?:其|该|此|这|它|他|她|上述|全部|每|合计|占|因此|比|计划|报告中关于(?:公司|对方|该.*)是)", question
        )
        and not re.search(r"年(?:全部|为|是|合计是|其他|比)", question)
        and question.count("“") == question.count("”")
    )


_LEAD = re.compile(
    r"^(?:此外|另外|同时|其中|因此|然而|但是|目前|例如|总体而言|与此同时|第[一二三四五六七八九十]+[，、,]?|并且|并|而|且|[一-龥]{1,3}[，、])(?=.{4})"
)
_TIME = re.compile(
    r"(?:截至)?(?:19|20)\d\d(?:财年|会计年度|年度?)(?:末|底|上半年|下半年|第[一二三四]季度|\d{1,2}月(?:\d{1,2}日|末|底)?)?|报告期内"
)
_WHAT = r"(?P<what>[^，,。；：:、\d]{2,24}?)"
_FIGURE = r"(?:约|近|超过|逾|大约)?(?:人民币|美元|港币|欧元)? ?\d[\d,.]* ?[万亿百]*"
_WHO = r"董事长|总经理|财务总监|首席[^，,。]{2,6}官|总裁|创始人"
_PATTERNS: tuple[tuple[int, re.Pattern[str], str], ...] = (
    (5, re.compile(rf"^{_WHAT}(?:为|是|达到|达|约为|共计|合计|总计|总额为){_FIGURE}"), "{time}{what}是多少？"),
    (
        5,
        re.compile(rf"^{_WHAT}占(?P<whole>[^，,。\d]{{2,12}}?)的? ?(?:约|近)?\d[\d.]*%"),
        "{time}{what}占{whole}的比例是多少？",
    ),
    (
        5,
        re.compile(
            rf"^{_WHAT}(?:较上年|较去年|同比|比上年|比上一年|比去年)?(?P<verb>增长|增加|下降|减少|上升|提高|降低)(?:了|约|至|到)*{_FIGURE}"
        ),
        "{time}{what}{verb}了多少？",
    ),
    (
        5,
        re.compile(
            rf"^{_WHAT}(?P<verb>共有|拥有|共|有|雇用|设有|开设|持有|交付|发电|用水|销往)(?:了)?(?P<thing>[^\d，。]{{0,8}}?){_FIGURE}(?P<unit>个?[\u4e00-\u9fff]{{1,6}})"
        ),
        "{time}{what}{verb}{thing}多少{unit}？",
    ),
    (
        5,
        re.compile(rf"^{_WHAT}(?P<verb>成立|创立|创办|设立|上市|注册|投产|竣工|启用)于(?:19|20)\d\d年"),
        "{what}是什么时候{verb}的？",
    ),
    (
        5,
        re.compile(
            rf"^{_WHAT}(?:于|在)(?:19|20)\d\d年[^，,。]{{0,8}}?(?P<verb>成立|创立|创办|设立|上市|注册|投产|竣工|投入使用)"
        ),
        "{what}是什么时候{verb}的？",
    ),
    (
        5,
        re.compile(r"^公司(?P<verb>起诉|收购|出售|启动|开设|推出|签署)了?(?P<thing>[^，,。；]{2,24})"),
        "公司什么时候{verb}了{thing}？",
    ),
    (5, re.compile(rf"(?P<title>{_WHO})(?:是|为)[\u4e00-\u9fff]{{2,4}}$"), "公司的{title}是谁？"),
    (4, re.compile(rf"^{_WHAT}(?:主要)?(?:是因为|是由于|得益于|受益于|归因于)"), "{what}的原因是什么？"),
    (4, re.compile(rf"^{_WHAT}(?:位于|坐落于|设在|座落于)"), "{what}位于哪里？"),
    (4, re.compile(rf"^{_WHAT}由(?P<by>[^，,。]{{2,20}})(?P<verb>提供|生产|供应|制造|承担)"), "{what}由谁{verb}？"),
    (
        4,
        re.compile(rf"^{_WHAT}(?:是|为)(?P<name>“[^”]+”|[^，,。的\d]{{2,12}}(?:集团|公司|银行|大学))"),
        "{what}是哪一个？",
    ),
    (4, re.compile(r"^公司在(?P<where>[^，,。]{2,10}?)设有"), "公司在{where}设有什么？"),
    (3, re.compile(rf"^{_WHAT}(?P<main>主要)?(?:包括|包含|分为)"), "{what}{main}包括哪些内容？"),
    (3, re.compile(rf"^{_WHAT}(?:取决于|较多依赖|依赖于?|依靠)"), "{what}依赖什么？"),
    (3, re.compile(rf"^{_WHAT}会(?P<verb>影响|推迟|导致|造成)"), "{what}会{verb}什么？"),
    (3, re.compile(r"^(?:如果|若|倘若|一旦)(?P<what>[^，,。]{4,24})$"), "如果{what}，会怎么样？"),
    (3, re.compile(rf"^{_WHAT}以(?P<by>[^，,。]{{2,12}})(?P<verb>结算|计价|计量)"), "{what}以什么{verb}？"),
    (1, re.compile(rf"^{_WHAT}(?=[已在将对与的是为由采可])"), "报告中关于{what}是怎么说的？"),
)
