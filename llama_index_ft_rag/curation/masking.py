"""Examples with personal data -> the same examples with placeholders, and the map that leads back.

In: examples. Out: new examples in which `jane@example.com` has become `<EMAIL_ADDRESS_1>` wherever it stood, and what
each placeholder stands for, to be kept apart from them. This is no anonymisation: what `personal_data` does not find
stays, and whoever has the map has the data. Knows nothing of how personal data is found, of jobs or of files of
examples.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_index_ft_rag.curation.arguments import check_examples
from llama_index_ft_rag.curation.personal_data import DEFAULT_PHONE_REGIONS, Finder, make_finder
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.storage import write_json

# No placeholder holds another or a part of one, and none needs an escape in JSON: both make the way back exact.
_PLACEHOLDER = re.compile(r"<([A-Z][A-Z0-9_]*)_([0-9]+)>")
_JSON_STRING_OR_REST = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"|[^"]+', re.DOTALL)
_JSON_NUMBER = re.compile(r"-?[0-9][0-9.eE+-]*")
_JSON_CHARACTER = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|.", re.DOTALL)
_TEXT_FIELDS = ("content", "refusal", "reasoning_content", "reasoning")


@dataclass(frozen=True, kw_only=True)
class MaskedExamples:
    """What `mask_pii` made of a set of examples."""

    examples: list[TrainingExample]
    """One for each that came in, in the same order."""
    originals: dict[str, str]
    """Placeholder -> what it stands for, those handed in included. This is the personal data: `write_originals`."""
    counts: dict[str, int]
    """Kind of data -> how many places were masked."""
    hashes: dict[str, str]
    """`content_hash` of an example as it came in -> its hash now, to join scores and verdicts made before."""


def mask_pii(
    examples: Iterable[TrainingExample],
    *,
    analyzer: Any | None = None,
    entities: Collection[str] | None = None,
    score_threshold: float = 0.4,
    language: str = "en",
    phone_regions: Collection[str] = DEFAULT_PHONE_REGIONS,
    originals: Mapping[str, str] | None = None,
) -> MaskedExamples:
    """Replace personal data in messages, arguments of tool calls and questions by placeholders.

    The same text gets the same placeholder everywhere. Patterns find what has a pattern and nothing else, with no
    guarantee; names are found only by an `analyzer` with a model for them. Names of functions and of speakers,
    schemas of tools, images and all other provenance stay as they are.

    Args:
        examples: Never changed.
        analyzer: A Presidio `AnalyzerEngine`, or anything else with `analyze(text=..., language=..., entities=...)`
            whose results have `start`, `end`, `entity_type` and `score`; it is asked instead of our patterns, and
            whether it uses the network is its own affair.
        entities: Kinds to mask, by Presidio's names; by default `DEFAULT_ENTITIES`, and `PERSON` with an analyzer.
        score_threshold: Hits scored lower stay. Patterns without a checksum give 0.4 to 0.6.
        language: What the analyzer is told.
        phone_regions: Two-letter codes of the countries whose phone numbers are written without a country code.
        originals: The map of an earlier call. Its texts keep their placeholders, and a placeholder of it that
            stands in a text is left alone as masked already.

    Raises:
        ConfigurationError: If an argument would find nothing or is unknown, or `originals` is no such map.
        MissingExtraError: If no `analyzer` is given and Presidio is not installed.
    """
    find = make_finder(
        analyzer=analyzer,
        entities=entities,
        score_threshold=score_threshold,
        language=language,
        phone_regions=phone_regions,
    )
    rows = check_examples(examples)
    masker = _Masker(find, _checked(originals or {}, "originals"), taken=_placeholders_in(rows))
    masked = [_with_texts(example, masker.text, masker.arguments) for example in rows]
    return MaskedExamples(
        examples=masked,
        originals=masker.originals,
        counts=dict(sorted(masker.counts.items())),
        hashes={old.content_hash: new.content_hash for old, new in zip(rows, masked, strict=True)},
    )


def unmask_text(text: str, originals: Mapping[str, str]) -> str:
    """Put back what the placeholders of a text stand for; unknown ones stay.

    Of every text that `mask_pii` masked this gives the text before, to the character. One exception: a number in the
    arguments of a tool call comes back as a string of its digits.
    """
    return _PLACEHOLDER.sub(lambda match: originals.get(match[0], match[0]), text)


def unmask_examples(examples: Iterable[TrainingExample], originals: Mapping[str, str]) -> list[TrainingExample]:
    """Put back what the placeholders of examples stand for, as `unmask_text` does."""

    def unmask(text: str) -> str:
        return unmask_text(text, originals)

    return [_with_texts(example, unmask, unmask) for example in examples]


def write_originals(path: str | Path, originals: Mapping[str, str]) -> None:
    """Write the map as a file that only its owner may read. Keep it apart from the examples.

    A map that is there already is replaced only by one that still holds everything in it: without its map nothing
    leads back from masked examples.

    Raises:
        ConfigurationError: If there is no such folder, or what is there would be lost.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise ConfigurationError(f"{target.parent}: there is no such folder; create it, or choose another path")
    if target.exists():
        lost = [key for key, text in read_originals(target).items() if originals.get(key) != text]
        if lost:
            raise ConfigurationError(
                f"{target}: holds another map, and what {lost[0]} stands for would be lost with it; mask with"
                " originals=read_originals(...) of that file, or choose another path"
            )
    write_json(target, _checked(originals, str(target)))


def read_originals(path: str | Path) -> dict[str, str]:
    """Read what `write_originals` wrote.

    Raises:
        ConfigurationError: If the file is missing or holds no such map.
    """
    source = Path(path)
    try:
        value = json.loads(source.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(f"{source}: cannot be read ({exc.strerror}); pass the path of a map") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{source}: holds no map of placeholders; choose another path") from exc
    return _checked(value, str(source))


def _checked(originals: Any, name: str) -> dict[str, str]:
    if not isinstance(originals, Mapping) or not all(
        isinstance(key, str) and isinstance(text, str) and _PLACEHOLDER.fullmatch(key)
        for key, text in originals.items()
    ):
        raise ConfigurationError(
            f'{name}: holds no map of placeholders such as {{"<PERSON_1>": "Jane Doe"}}; choose another one'
        )
    return dict(originals)


class _Masker:
    """Masks one text after the other and remembers who got which placeholder."""

    def __init__(self, find: Finder, originals: dict[str, str], *, taken: set[str]) -> None:
        self.originals = originals
        self.counts: Counter[str] = Counter()
        self._find = find
        self._known = frozenset(originals)
        self._taken = taken | self._known
        self._given = {text: key for key, text in originals.items()}
        self._numbers: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """Mask any text; JSON is read as such, since an escape before a word is no part of the word."""
        return self._json(text, self._plain) if text.lstrip()[:1] in "{[" and _is_json(text) else self._plain(text)

    def arguments(self, text: str) -> str:
        """Mask the arguments of a call; JSON stays JSON."""
        return self._json(text, self._quoted_numbers) if _is_json(text) else self._plain(text)

    def _plain(self, text: str) -> str:
        return self._replaced(text, text, range(len(text) + 1))

    def _replaced(self, raw: str, text: str, places: Sequence[int]) -> str:
        """Mask `raw`, which reads as `text`; `places` say where each character of `text` begins in `raw`."""
        kept, end = [], 0
        for start, stop, entity in self._spans(text):
            kept += [raw[end : places[start]], self._placeholder(entity, raw[places[start] : places[stop]])]
            end = places[stop]
        return "".join([*kept, raw[end:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int, str]]:
        masked = [match.span() for match in _PLACEHOLDER.finditer(text) if match[0] in self._known]
        for hit in self._find(text):
            if not any(start <= hit.start and hit.end <= end for start, end in masked):
                yield hit.start, hit.end, hit.entity

    def _json(self, text: str, rest: Callable[[str], str]) -> str:
        return "".join(
            rest(match[0]) if match[1] is None else f'"{self._json_string(match[1])}"'
            for match in _JSON_STRING_OR_REST.finditer(text)
        )

    def _json_string(self, raw: str) -> str:
        if "\\" not in raw:
            return self._plain(raw)
        pieces = _JSON_CHARACTER.findall(raw)
        text = "".join(json.loads(f'"{piece}"') if piece[0] == "\\" else piece for piece in pieces)
        return self._replaced(raw, text, [0, *itertools.accumulate(map(len, pieces))])

    def _quoted_numbers(self, text: str) -> str:
        def masked(match: re.Match[str]) -> str:
            hit = next(self._spans(match[0]), None)
            return match[0] if hit is None else f'"{self._placeholder(hit[2], match[0])}"'

        return _JSON_NUMBER.sub(masked, text)

    def _placeholder(self, entity: str, original: str) -> str:
        if original not in self._given:
            self._given[original] = self._new_placeholder(entity)
            self.originals[self._given[original]] = original
        placeholder = self._given[original]
        self.counts[placeholder[1:-1].rpartition("_")[0]] += 1
        return placeholder

    def _new_placeholder(self, entity: str) -> str:
        name = re.sub(r"[^A-Z0-9_]", "_", entity.upper())
        name = name if name[:1].isalpha() else f"PII_{name}"
        while True:
            self._numbers[name] += 1
            placeholder = f"<{name}_{self._numbers[name]}>"
            if placeholder not in self._taken:
                return placeholder


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _placeholders_in(examples: Iterable[TrainingExample]) -> set[str]:
    found: set[str] = set()

    def look(text: str) -> str:
        found.update(match[0] for match in _PLACEHOLDER.finditer(text))
        return text

    for example in examples:
        _with_texts(example, look, look)
    return found


def _with_texts(
    example: TrainingExample, text: Callable[[str], str], arguments: Callable[[str], str]
) -> TrainingExample:
    """Copy an example with every text of it changed by one function and every tool call's arguments by another."""
    messages = [_message(message, text, arguments) for message in example.messages]
    question = None if example.question is None else text(example.question)
    return example.model_copy(update={"messages": messages, "question": question})


def _message(message: dict[str, Any], text: Callable[[str], str], arguments: Callable[[str], str]) -> dict[str, Any]:
    changed = dict(message)
    for field in _TEXT_FIELDS:
        if field in message:
            changed[field] = _content(message[field], text)
    if isinstance(message.get("tool_calls"), list):
        changed["tool_calls"] = [_call(call, text, arguments) for call in message["tool_calls"]]
    if "function_call" in message:
        changed["function_call"] = _function(message["function_call"], arguments)
    return changed


def _content(content: Any, text: Callable[[str], str]) -> Any:
    if isinstance(content, list):
        return [_part(part, text) for part in content]
    return text(content) if isinstance(content, str) else content


def _part(part: Any, text: Callable[[str], str]) -> Any:
    if not isinstance(part, dict):
        return _content(part, text)
    return {key: _content(value, text) if key in {"text", "refusal"} else value for key, value in part.items()}


def _call(call: Any, text: Callable[[str], str], arguments: Callable[[str], str]) -> Any:
    if not isinstance(call, dict):
        return call
    changed = dict(call)
    if "function" in call:
        changed["function"] = _function(call["function"], arguments)
    custom = call.get("custom")
    if isinstance(custom, dict) and "input" in custom:
        changed["custom"] = {**custom, "input": _content(custom["input"], text)}
    return changed


def _function(function: Any, arguments: Callable[[str], str]) -> Any:
    if not isinstance(function, dict) or function.get("arguments") is None:
        return function
    value = function["arguments"]
    if isinstance(value, str):
        return {**function, "arguments": arguments(value)}
    return {**function, "arguments": json.loads(arguments(json.dumps(value, ensure_ascii=False)))}
