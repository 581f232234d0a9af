"""A text -> where personal data stands in it, by Presidio's pattern recognisers or by an analyzer of the caller's own.

In: a text. Out: hits that do not overlap. Patterns find what has a pattern (an e-mail address, a card number) and
nothing else: no names, no addresses of houses, and no guarantee that every number was seen. No spaCy model is loaded
and nothing is fetched. Knows nothing of examples, and nothing of what becomes of a hit.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.curation.arguments import check_number
from llama_index_ft_rag.errors import ConfigurationError, MissingExtraError

DEFAULT_ENTITIES = (
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "IBAN_CODE",
    "US_SSN",
    "US_ITIN",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "CRYPTO",
)
"""Kinds with a checksum or a shape that prose and tables of figures do not have.

Left out on purpose: `URL` (documents are full of harmless ones, and "cost.So" passes for one), `DATE_TIME`, and the
numbers of single countries: to some of them "2023 2024 2025" or "10 to 15" is a valid number.
"""

DEFAULT_PHONE_REGIONS = ("US", "GB", "DE", "FR")
"""Countries whose numbers are found without their country code, `US` with all of North America; with the code
(`+86 ...`), those of every country are. Numbers of India and China without it look like any ten or eleven digits.
"""

PERSON = "PERSON"
"""Sought beside the default kinds where the analyzer is the caller's: no pattern finds a name."""

# Digits grouped as the country groups them. Presidio's own setting, 1, takes columns of figures for phone numbers: of
# its 37 hits in four annual reports 5 were some. With this one and our countries there were 5 hits, and all were.
_STRICT_GROUPING = 2
# The phone matcher gives up after 65,535 numbers, and a regular expression after a minute, both without an error.
_WINDOW = 4000
_OVERLAP = 400
# Thai, Japanese, Chinese and Korean: words without spaces between them, which to a pattern are letters of the address
# or the number beside them. The search sees a full stop in place of each: no pattern takes that for a separator.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003fffd]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One stretch of a text that was taken for personal data."""

    start: int
    end: int
    entity: str
    score: float


Finder = Callable[[str], list[Hit]]
"""Gives the hits of a text in order; no two of them overlap."""


def make_finder(
    *,
    analyzer: Any | None = None,
    entities: Collection[str] | None = None,
    score_threshold: float = 0.4,
    language: str = "en",
    phone_regions: Collection[str] = DEFAULT_PHONE_REGIONS,
) -> Finder:
    """Build what finds personal data; see `mask_pii` for the arguments.

    Raises:
        ConfigurationError: If an argument would find nothing or is unknown.
        MissingExtraError: If Presidio is needed and not installed.
    """
    _check(entities, score_threshold)
    wanted = frozenset(DEFAULT_ENTITIES if entities is None else entities)
    if analyzer is not None:
        wanted = wanted if entities is not None else wanted | {PERSON}
        asked = None if entities is None else sorted(wanted)
        search = _analyzer_search(analyzer, asked, language)
    else:
        search = _pattern_search(_recognizers(wanted, phone_regions, explicit=entities is not None))

    def find(text: str) -> list[Hit]:
        hits = (hit for hit in search(text) if hit.score >= score_threshold and hit.entity in wanted)
        return _without_overlaps(hits)

    return find


def _check(entities: Collection[str] | None, score_threshold: float) -> None:
    if isinstance(entities, str) or (entities is not None and not entities):
        raise ConfigurationError(
            f"entities={entities!r}: pass a list with at least one kind, such as ['EMAIL_ADDRESS'],"
            " or leave it out for the default kinds"
        )
    check_number("score_threshold", score_threshold, least=0, most=1)


def _analyzer_search(analyzer: Any, asked: list[str] | None, language: str) -> Callable[[str], Iterable[Hit]]:
    def search(text: str) -> Iterator[Hit]:
        # Half a character, from broken model output, makes models fail that encode the text.
        whole = _SURROGATE.sub("\ufffd", text)
        # With entities=None the analyzer gives all it has; naming kinds it lacks would fill its log with warnings.
        for result in analyzer.analyze(text=whole, language=language, entities=asked):
            start, end = max(0, int(result.start)), min(len(text), int(result.end))
            if start < end:
                yield Hit(start=start, end=end, entity=str(result.entity_type), score=float(result.score))

    return search


def _pattern_search(recognizers: list[Any]) -> Callable[[str], Iterable[Hit]]:
    def search(text: str) -> Iterator[Hit]:
        for offset, window in _windows(text):
            words = _UNSPACED.sub("。", window)
            for recognizer in recognizers:
                for result in recognizer.analyze(words, recognizer.supported_entities):
                    yield Hit(
                        start=offset + result.start,
                        end=offset + result.end,
                        entity=result.entity_type,
                        score=result.score,
                    )

    return search


def _windows(text: str) -> Iterator[tuple[int, str]]:
    """Cut a long text at ends of lines; a long line at spaces, its windows overlapping by more than any pattern."""
    start = 0
    while len(text) - start > _WINDOW:
        end = text.rfind("\n", start, start + _WINDOW) + 1
        following = end
        if end <= start:
            limit = start + _WINDOW
            end = max(text.rfind(" ", limit - _OVERLAP, limit), 0) or limit
            space = text.find(" ", end - _OVERLAP, end - _OVERLAP // 2)
            following = space + 1 if space >= 0 else end - _OVERLAP
        yield start, text[start:end]
        start = following
    yield start, text[start:]


def _without_overlaps(hits: Iterable[Hit]) -> list[Hit]:
    """Join hits that overlap into one, named after the longest: nothing of a shorter one may stay readable."""
    joined: list[list[Hit]] = []
    end = 0
    for hit in sorted(hits, key=lambda hit: (hit.start, hit.end, hit.entity, hit.score)):
        if joined and hit.start < end:
            joined[-1].append(hit)
        else:
            joined.append([hit])
        end = max(end, hit.end)
    return [_union(group) for group in joined]


def _union(group: list[Hit]) -> Hit:
    best = min(group, key=lambda hit: (hit.start - hit.end, -hit.score, hit.entity))
    return Hit(
        start=min(hit.start for hit in group),
        end=max(hit.end for hit in group),
        entity=best.entity,
        score=best.score,
    )


def _recognizers(wanted: frozenset[str], phone_regions: Collection[str], *, explicit: bool) -> list[Any]:
    try:
        from presidio_analyzer import PatternRecognizer, predefined_recognizers
    except ImportError as exc:
        raise MissingExtraError("masking personal data", extra="pii", missing="presidio_analyzer") from exc

    classes = (value for _, value in sorted(vars(predefined_recognizers).items()) if inspect.isclass(value))
    makers = [(_entity_of(cls), cls) for cls in classes if issubclass(cls, PatternRecognizer)]
    unknown = wanted - {entity for entity, _ in makers} - {"PHONE_NUMBER"}
    if explicit and unknown:
        raise ConfigurationError(
            f"{', '.join(sorted(unknown))}: no pattern finds this; pass an analyzer that does, or choose from"
            f" {', '.join(DEFAULT_ENTITIES)} and the other kinds of Presidio's pattern recognisers"
        )
    made: list[Any] = [cls() for entity, cls in makers if entity in wanted]
    for recognizer in made:
        if recognizer.supported_entities == ["EMAIL_ADDRESS"]:
            recognizer.validate_result = _address_check()
    return [*made, _phone_recognizer(phone_regions)] if "PHONE_NUMBER" in wanted else made


def _entity_of(cls: type) -> str:
    parameter = inspect.signature(cls).parameters.get("supported_entity")
    return "" if parameter is None else str(parameter.default)


def _phone_recognizer(regions: Collection[str]) -> Any:
    from phonenumbers import SUPPORTED_REGIONS
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    unknown = sorted(set(regions) - set(SUPPORTED_REGIONS))
    if unknown:
        raise ConfigurationError(f"phone_regions: {unknown[0]!r} is no two-letter code of a country, such as 'US'")
    # "ZZ" is no country: then only numbers with their country code are found.
    return PhoneRecognizer(supported_regions=tuple(regions) or ("ZZ",), leniency=_STRICT_GROUPING)


def _address_check() -> Callable[[str], bool | None]:
    from tldextract import TLDExtract

    # Presidio's own check downloads the list of public suffixes at its first use; this one reads the packaged list.
    suffixes = TLDExtract(suffix_list_urls=(), cache_dir=None)

    def check(address: str) -> bool | None:
        """Yes with a public suffix; undecided, which keeps the pattern's 0.5, for names of an internal network."""
        domain = address.rpartition("@")[2]
        if suffixes(domain).fqdn:
            return True
        return None if domain.rpartition(".")[2].isalpha() else False

    return check
