"""Plain text in English or Chinese -> sentences and tokens, as the toy models read them.

In: the text of a page or a context block, with hard line breaks, bullets, table rows and `page_label:` lines.
Out: sentences without those lines, each with its kind and the heading above it; and lower-case, lightly
stemmed tokens (Chinese: pairs of characters). Knows no grammar and no language but these two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

SentenceKind = Literal["prose", "bullet", "heading", "table"]


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence, list item, heading or table row."""

    text: str
    kind: SentenceKind
    heading: str = ""
    """The nearest heading above it; empty where there is none."""


def split_sentences(text: str) -> tuple[Sentence, ...]:
    """Cut a text into sentences; hard-wrapped lines are joined, metadata lines and page furniture dropped."""
    found: list[Sentence] = []
    heading = ""
    for unit in _units(text):
        if unit.kind == "heading":
            heading = unit.text
            found.append(unit)
            continue
        pieces = [unit.text] if unit.kind == "table" else split_prose(unit.text)
        found.extend(Sentence(text=piece, kind=unit.kind, heading=heading) for piece in pieces)
    return tuple(found)


def split_prose(paragraph: str) -> list[str]:
    """Cut one paragraph at sentence ends; abbreviations, initials and decimals do not end a sentence."""
    pieces = []
    start = 0
    for match in _SENTENCE_END.finditer(paragraph):
        if match[0][0] == "." and _is_abbreviation(paragraph, match.start(), match.end()):
            continue
        pieces.extend(_clauses(paragraph[start : match.end()].strip()))
        start = match.end()
    pieces.extend(_clauses(paragraph[start:].strip()))
    return [piece for piece in pieces if piece]


def tokens(text: str) -> list[str]:
    """Return every token in order: stemmed words, plain numbers (`1,703.50%` -> `1703.5`), Chinese pairs."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    found: list[str] = []
    for raw in _TOKEN.findall(text.lower()):
        first = raw[0]
        if first.isdigit():
            found.append(_plain_number(raw))
        elif first >= _CJK_FIRST and _CJK_RUN.match(raw):
            found.extend(_pairs(raw))
        else:
            found.append(_stem(raw))
    return found


def content_tokens(text: str) -> list[str]:
    """Return the tokens that carry meaning: no articles, auxiliaries, question words or Chinese particles."""
    return [token for token in tokens(text) if not is_stop(token)]


@lru_cache(maxsize=1 << 16)
def is_stop(token: str) -> bool:
    """Say whether a token carries no meaning of its own."""
    if _CJK_RUN.match(token):
        return any(character in _CJK_STOP for character in token)
    return token in _STOP_STEMS or (len(token) == 1 and not token.isdigit())


def numbers(text: str) -> list[str]:
    """Return the numbers of a text in plain form, in order."""
    return [token for token in tokens(text) if token[0].isdigit()]


def is_chinese(text: str) -> bool:
    """Say whether a text is mainly Chinese: a fifth of its letters are enough, as names stay Latin."""
    letters = sum(1 for character in text if character.isalpha())
    return letters > 0 and 5 * len(_CJK_CHARACTER.findall(text)) >= letters


def abstains(text: str) -> bool:
    """Say whether an answer refuses: it says that the context or the model does not know."""
    return not text.strip() or _ABSTENTION.search(text[:400]) is not None


def word_set(words: str) -> frozenset[str]:
    """Return the words of a list written as prose."""
    return frozenset(words.split())


def _units(text: str) -> Iterator[Sentence]:
    """Yield headings, table rows, list items and whole paragraphs, with wrapped lines joined."""
    held: list[str] = []
    kind: SentenceKind = "prose"
    lines = [_clean(line) for line in text.replace("\ufffe", "-").replace("\u00ad", "").splitlines()]
    lines = [line for line in lines if not _is_furniture(line)]
    for line, following in zip(lines, _following(lines), strict=True):
        line_kind = _line_kind(line, following, open_paragraph=_is_open(held)) if line else None
        if line_kind == "more":
            held.append(line)
            continue
        if held:
            yield Sentence(text=_join(held), kind=kind)
        held, kind = [], "prose"
        if line_kind in ("heading", "table"):
            yield Sentence(text=line.lstrip("# ").rstrip(), kind=line_kind)
        elif line_kind == "bullet":
            held, kind = [_BULLET.sub("", line, count=1)], "bullet"
        elif line_kind == "prose":
            held = [line]
    if held:
        yield Sentence(text=_join(held), kind=kind)


def _is_furniture(line: str) -> bool:
    """Say whether a line belongs to the page or the index, not to the text."""
    return len(line) <= 300 and (_METADATA.match(line) or _FURNITURE.match(line)) is not None


def _following(lines: list[str]) -> list[str]:
    """Return, for each line, the next one that is not blank."""
    later = [""]
    for line in reversed(lines[1:]):
        later.append(line or later[-1])
    return later[::-1][: len(lines)]


def _line_kind(line: str, following: str, *, open_paragraph: bool) -> SentenceKind | Literal["more"]:
    if line.startswith("#"):
        return "heading"
    if open_paragraph and line[0].islower():
        return "more"
    if _is_table_row(line):
        return "table"
    if _BULLET.match(line) and not (open_paragraph and line[0].isdigit()):
        return "bullet"
    if open_paragraph:
        return "more"
    return "heading" if _is_heading(line, following) else "prose"


def _is_open(held: list[str]) -> bool:
    return bool(held) and not _CLOSED.search(held[-1])


def _is_heading(line: str, following: str) -> bool:
    if len(line) > 80 or _CLOSED.search(line) or line[-1] in ",，、" or not following:
        return False
    if _CJK_RUN.match(line):
        return len(line) <= 20
    words = [word for word in re.findall(r"[^\W\d_][\w'’-]*", line) if word.lower() not in _STOP_WORDS]
    capital = sum(1 for word in words if word[0].isupper())
    return bool(words) and capital >= 0.6 * len(words) and not following[0].islower()


def _is_table_row(line: str) -> bool:
    if line.startswith("|") or _RULE.match(line):
        return True
    figures = len(_FIGURE.findall(line))
    words = len(_WORD.findall(line)) + len(_CJK_CHARACTER.findall(line)) // 2
    if figures >= 3:
        return words <= 3 * figures and not _PROSE_END.search(line)
    if figures == 0:
        return _UNIT_NOTE.match(line) is not None
    return words <= 4 * figures and len(line) < 60 and not _PROSE_END.search(line) and words < 8


def _clean(line: str) -> str:
    return re.sub(r"\s+", " ", line.replace("**", "")).strip()


def _join(lines: list[str]) -> str:
    text = lines[0]
    for line in lines[1:]:
        both_chinese = text[-1] >= _CJK_FIRST and line[0] >= _CJK_FIRST
        text += line if both_chinese else f" {line}"
    return text


def _clauses(sentence: str) -> list[str]:
    """Cut a sentence that is too long to quote, as lawyers write them, at its semicolons."""
    return [sentence] if len(sentence) <= 500 else re.split(r"(?<=[;；])\s*", sentence)


def _is_abbreviation(text: str, dot: int, end: int) -> bool:
    word = re.search(r"[\w.&]*$", text[max(0, dot - 12) : dot])
    before = word[0].lower() if word else ""
    if before in _ABBREVIATIONS or _LABEL_END.search(text[max(0, dot - 16) : dot]):
        return True
    starter = re.match(r"[\w’']+", text[end:])
    starts_anew = starter is not None and starter[0].lower() in _SENTENCE_STARTERS
    if before in _COMPANY_ENDINGS or re.fullmatch(r"(?:[a-z]\.)+[a-z]", before):
        return not starts_anew
    return re.fullmatch(r"[a-z]", before) is not None and not starts_anew


def _plain_number(raw: str) -> str:
    value = raw.rstrip("%").replace(",", "")
    if value.count(".") == 1:
        value = value.rstrip("0").rstrip(".")
    return value


def _pairs(run: str) -> list[str]:
    if len(run) == 1:
        return [run]
    return [run[index : index + 2] for index in range(len(run) - 1)]


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    word = re.sub(r"['’].*$", "", word)
    if len(word) <= 3:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending, least in (("ing", 6), ("ed", 5)):
        if word.endswith(ending) and len(word) >= least and re.search(r"[aeiouy]", word[: -len(ending)]):
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


_CJK_FIRST = "\u2e80"
_CJK = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_CJK_RUN = re.compile(f"[{_CJK}]+")
_CJK_CHARACTER = re.compile(f"[{_CJK}]")
_CJK_STOP = frozenset("的了是在和与及或为吗呢什么多少哪谁怎何其该被把将于而也都就并等请")
_TOKEN = re.compile(rf"\d+(?:[.,]\d+)*%?|[{_CJK}]+|[^\W\d_{_CJK}]+(?:['’][^\W\d_]+)?")
_SENTENCE_END = re.compile(
    r"[.!?][\"')\]”’]{0,3}\s+(?=[\"'(“‘\[]{0,3}[^\W_a-z])"
    r"|(?<=[a-z)])\.(?=[A-Z][a-z’']*[ ,])"  # some PDF extractors glue sentences
    r"|[。！？]+[”’」』）\"]{0,3}"
)
_ABBREVIATIONS = word_set(
    """
    mr mrs ms dr prof st vs no nos vol fig sec art e.g i.e cf etc approx est jan feb mar apr jun jul aug sep
    sept oct nov dec dept p pp rev gen sen rep
    """
)
_LABEL_END = re.compile(r"\b(?:Item|Part|Section)\s+\w{1,4}$")
_COMPANY_ENDINGS = word_set("inc corp co ltd llc plc bros")
_SENTENCE_STARTERS = word_set(
    """
    the a an we our in on at as for this that these those it its they their he she if when while although
    however additionally there under during after before such each all
    """
)
_METADATA = re.compile(r"[a-z]+(?:_[a-z0-9]+)+\s*:\s?")
_FURNITURE = re.compile(
    r"(?:table of contents|目录|\(?continued\)?|page \d+(?: of \d+)?|第 ?\d+ ?页.*|[-–— ]*\d{1,4}[-–— ]*|"
    r".*(?:\. ?){5,}\s*\d*)$",
    flags=re.IGNORECASE,
)
_BULLET = re.compile(r"(?:[•●▪◦‣·▶]\s*|[*–—-]\s+|\(?\d{1,2}[.)]\s+|\([a-z]\)\s+|[（(][一二三四五六七八九十]+[)）]\s*)")
_CLOSED = re.compile(r"[.!?。！？;；:：][\"')\]”’」）]*$")
_PROSE_END = re.compile(r"[\w)%][.;:]$|[。；]$")
_RULE = re.compile(r"[-=_*\s|+]+$")
_FIGURE = re.compile(r"\(?\$?\s?\d[\d,.]*\)?\s?%?|—")
_WORD = re.compile(r"[^\W\d_]{2,}")
_UNIT_NOTE = re.compile(r"\(?(?:in (?:millions|thousands|billions)|单位|unaudited|year ended).*\)?$", re.IGNORECASE)
_STOP_WORDS = word_set(
    """
    a an the this that these those and or but nor of in on at to for from by with as into onto over under
    between about than then so such is are was were be been being am do does did doing done has have had having
    will would shall should can could may might must not no it its itself they them their he she his her him we
    us our ours you your i me my who whom whose what which when where why how there here if while also any some
    each other more most all both only own same s t much many did please tell say
    """
)
_STOP_STEMS = _STOP_WORDS | frozenset(_stem(word) for word in _STOP_WORDS)
_ABSTENTION = re.compile(
    r"(?:does|do|did|is|are|was|were|has|have)(?: not|n['’]t) (?:\w+ ){0,3}?"
    r"(?:provide|provided|mention|mentioned|contain|specify|specified|state|stated|include|say|disclose|disclosed|"
    r"available|given|found|clear)\b.{0,60}?(?:information|detail|context|text|answer|question|$|\.)"
    r"|\b(?:context|text|document|information|passage)\b[^.]{0,60}\b(?:does|do|is|are)(?: not|n['’]t)\b"
    r"|\bno (?:\w+ ){0,2}information\b|(?:i|we) (?:do not|don['’]t|cannot|can['’]t|am unable|are unable)"
    r" (?:\w+ )?(?:know|answer|determine|find|to)"
    r"|\bi(?:['’]m| am) (?:not sure|unable|unaware)|\bcannot be (?:determined|answered)|\bit depends\b"
    r"|(?:没有|并未|未|无法|不能)(?:明确)?(?:提供|提及|提到|说明|包含|给出|回答|确定|找到)|不知道|不清楚|没有(?:相关|足够)?的?信息",
    flags=re.IGNORECASE,
)
