"""The word lists and patterns by which `questions_english` recognises figures, dates, reasons and people.

In and out: nothing; these are constants. The patterns match the rest of a clause, from the word after its verb.
"""

from __future__ import annotations

import re

from llama_index_ft_rag.offline.toys.text import word_set

COMPARED = re.compile(r", (?!\d{4})| (?:compared|versus|against|from|that|which|under|after|before|with) ")
SECOND_CLAUSE = re.compile(r", (?!\w+(?:,| and| or)|(?:and|or) [\w-]+(?: [\w-]+)?$)")
CONDITION = re.compile(
    r"(?:\w+, )?[Ii]f ((?:we|our|the|a|an|any|one|more|[a-z]+s|[A-Z]\w+) [^,]{10,110}), (?!\w+(?: \w+)?(?:,| and| or) )"
)
OFFICER = re.compile(
    r"[A-Z][\w'’-]+(?: [A-Z][\w.'’-]+){1,3},? (?:(?:age )?\d\d, )?(?P<verb>is|has been|became|serves as|has "
    r"served as|was appointed|was named) "
    r"(?:our |its |the company's )?(?P<title>[A-Z][a-z]+(?: (?:and |of |for )?[A-Z][a-z]+)+)"
)
BROKEN = re.compile(
    r"\b(?:this|these|such|those)\b|—| - |\bwhat could .{0,12}\?|\bbased\?|\b(?:a|an|the|its|our|"
    r"we)\?",
    re.IGNORECASE,
)
LOOSE_END = re.compile(
    r"(?:,? (?:and|or|the|a|an|its|approximately|about|primarily|mainly|largely|that|which|when|with|as|compared|"
    r"related|such))+$"
)
UNIT = r"(?: ?(?:million|billion|trillion|thousand|percentage points?|percent|basis points|%))?"
AMOUNT_TEXT = (
    rf"(?:(?:by|approximately|about|roughly|nearly|over|more than|around|only|almost|to|"
    rf"of) )*(?:US)?[$€£]?\d+(?:[.,]\d+)*{UNIT}"
)
AMOUNT = re.compile(AMOUNT_TEXT)
MONEY_OR_SHARE = (
    r"(?:(?:by|approximately|about|nearly|over|more than|to|of) )*"
    r"(?:[$€£]\d+(?:[.,]\d+)*(?: ?(?:million|billion|thousand))?|\d+(?:[.,]\d+)*(?: ?%| percent(?:age points?)?| "
    r"basis points))"
)
SIZED = re.compile(
    rf"(?:^(?!(?:an?|the|its) )|\b(?:an?|the|its) )(?P<what>(?!\w+ed )(?:(?!at |in |of |for |to |on |with |and |"
    rf"because |a |an |by |that |as |from |it |than )[a-z-]+ ){{0,4}}[a-z-]+) "
    rf"of (?:approximately |about |up to )?[$€£]\d+(?:[.,]\d+)*{UNIT}"
)
SHARE = re.compile(
    r"(?:for )?(?:approximately |about |nearly |over |more than )?\d[\d.]*%(?: and \d[\d.]*%)? "
    r"of (?P<of>(?:[\w'’-]+ ){0,3}?[\w'’-]+)(?= in | for | during | at |[,.;]|$)"
)
HELD = re.compile(
    rf"(?:approximately |about |over )?[$€£]\d+(?:[.,]\d+)*{UNIT} (?:of|in) (?P<what>[a-z][\w -]+?(?:, [\w -]+? "
    rf"and [\w -]+?)?)(?= as of| at| in| on| to| under| outstanding|[,.;]|$)"
)
COUNTED = re.compile(
    r"(?:(?:approximately|about|over|more than|nearly|around|a total of|some) )*"
    r"(?:[1-9][\d,]*|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve) "
    r"(?P<what>(?:(?!and |or |in |of |at |to )[\w-]+ ){0,3}?(?:square feet|square metres|people|staff|"
    r"[\w-]{2,}s))\b(?! (?:million|billion|of))"
)
MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
YEAR = r"(?:fiscal (?:year )?)?(?:19|20)\d\d\b"
PERIOD = re.compile(
    rf"\b(?:in|during|for|as of|at|at the end of|by|since|on) (?:the )?(?:(?:year|quarter|end|first|second|third|"
    rf"fourth|half|of|"
    rf"ended) )*(?:{MONTH} (?:\d{{1,2}}, )?)?{YEAR}"
)
DATED = re.compile(
    rf"\b(?:in|on|at|since) (?:the (?:\w+ ){{1,3}}of )?(?:(?:early|late|"
    rf"mid-?) ?)?(?:{MONTH} (?:\d{{1,2}}, )?)?(?:{YEAR}|(?<=on ){MONTH} \d)"
)
EXACT = re.compile(rf"^(?:in|on|during|at) .*{MONTH}|\b(?:in|on) (?:19|20)\d\d|quarter")
BECAUSE = re.compile(
    r",? (?:(?:primarily|mainly|largely|partly|mostly|principally) )?(?:because|due to|as a result of|owing to)\b"
)
BY = re.compile(
    r" (?:(?P<when>only if|if|when|once|upon)|by (?=\w+ing\b)|using|through|(?:solely |"
    r"primarily )?based (?:solely |primarily )?on|"
    r"at (?=(?:the lower|fair|cost|historical|exchange|end))|over (?=the|a|its|their)|on the basis of) "
)
PARTICIPLE = re.compile(r"(?:not )?(?:\w+ly )?\w+(?:ed|sold|held|paid|made|built)\b")
BE = ("is", "are", "was", "were")
OBJECT_END = r" (?:if|when|to|that|by|as|from|is|are|was|were|may|could|will|has|have|at|using|through|with) "
PERSON = re.compile(
    r"(?:(?:Mr|Ms|Mrs|Dr)\. ?)?[A-Z][a-z'-]+(?: [A-Z]\.)?(?: (?:van|de|von|al|der))*(?: [A-Z][A-Za-z'-]+){1,2}"
)
LIFE = re.compile(
    r"\b(?:joined|served|serves|founded|co-founded|appointed|named|holds|held|chairs|president|officer|director|"
    r"chair|founder|head of)\b",
    re.IGNORECASE,
)
PAYS = word_set(
    """
    spend pay invest receive return earn generate raise incur recognize record contribute donate repurchase
    """
)
EVENTS = word_set(
    """
    announce acquire complete open launch enter introduce begin start join form establish sign sell close
    purchase issue release found co-found declare adopt build incorporate appoint file publish finish install
    win
    """
)
HANDLES = word_set("use provide offer apply employ develop design maintain require record treat")
WEAK = word_set(
    """
    total portion number majority amount result addition value minimum maximum fair it this that these its no such
    any
    """
)
