"""Whether an answer, as a whole, declines to answer.

In: the text of an answer. Out: yes or no. Only an answer of which every clause declines, or stands around one that
does, counts: one that answers and adds a caveat, or says what is missing and then answers from what is there, does
not. In doubt it is an answer. Knows no words; those of each language are in its module.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from llama_index_ft_rag.abstention.chinese import CHINESE
from llama_index_ft_rag.abstention.english import ENGLISH
from llama_index_ft_rag.abstention.french import FRENCH
from llama_index_ft_rag.abstention.german import GERMAN
from llama_index_ft_rag.abstention.japanese import JAPANESE
from llama_index_ft_rag.abstention.language import Language, Part
from llama_index_ft_rag.abstention.spanish import SPANISH

_LANGUAGES = (ENGLISH, CHINESE, GERMAN, FRENCH, SPANISH, JAPANESE)
_LONGEST = 1500
"""Characters; what is longer says something."""
_END_OF_REASONING = "</think>"
"""Some models think aloud first, and nothing of it is the answer."""

# A short form is no end of a sentence: some never, the forms of companies not before a small letter.
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\b(?:e\.g|i\.e|z\.[Bb]|d\.h)\.)"
    r"(?!(?<=\b(?:Inc|Ltd)\.)\s+[a-z(])(?!(?<=\bCorp\.)\s+[a-z(])(?!(?<=\bCo\.)\s+[a-z(])"
    r"[)\]]*\s+|(?<=[。！？])[)\]）]*|\n+"
)
_CITATION = re.compile(r"\s*[\[【](?:\d{1,3}|[a-z]{1,3}\d{1,3})(?:\s*[,;†-][^\[\]【】]{0,20})?[\]】]")
_SPACES = re.compile(r"[ \t]{2,}")
_AROUND = " \t\r.,:!?。，、！？_#>()-•·"
_BETWEEN_WORDS = str.maketrans(dict.fromkeys(".,:;!?*\"'()[]_`’", " "))
_SPELLINGS = str.maketrans(
    {
        **dict.fromkeys("’‘ʼ＇", "'"),
        **dict.fromkeys("\u00a0\u2009\u202f\u3000", " "),
        **dict.fromkeys('*`"“”„«»「」『』\u00ad\u200b\ufeff'),
        "\u2011": "-",
    }
)


def is_abstention(text: str) -> bool:
    """Say whether an answer, as a whole, declines to answer.

    >>> is_abstention("The context does not provide information on goodwill.")
    True
    >>> is_abstention("The context does not give a total, but it lists 3.2 and 4.1 million.")
    False
    """
    text = text.rpartition(_END_OF_REASONING)[2]
    if len(text) > _LONGEST:
        return False
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    lower = text.lower()
    words = set(lower.translate(_BETWEEN_WORDS).split())
    return any(_declines(text, language) for language in _LANGUAGES if language.may_decline(lower, words))


def _declines(text: str, language: Language) -> bool:
    declined = framed = introduced = False
    for part in _parts(text, language):
        if part == "says":
            return False
        if part == "declines" or (part == "supports" and framed):
            declined, introduced = True, False
        elif part == "introduces":
            introduced = True
        framed = framed or part in ("frames", "introduces")
    return declined and not introduced


def _parts(text: str, language: Language) -> Iterator[Part]:
    for sentence in _sentences(text):
        plain = _CITATION.sub("", _SPACES.sub(" ", sentence.translate(_SPELLINGS).lower()))
        for clause in language.clauses(plain):
            if bare := clause.strip(_AROUND):
                yield language.part_of(bare)


def _sentences(text: str) -> Iterator[str]:
    """One after the other: most answers say something in the first."""
    begin = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[begin : end.start()]
        begin = end.end()
    yield text[begin:]
