from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llama_index_ft_rag.curation.masking import (
    mask_pii,
    read_originals,
    unmask_examples,
    unmask_text,
    write_originals,
)
from llama_index_ft_rag.errors import ConfigurationError, MissingExtraError
from llama_index_ft_rag.examples import TrainingExample, Usage, read_examples

pytest.importorskip("presidio_analyzer", reason="presidio-analyzer is not installed (extra pii)")

SHARED = Path(os.environ.get("FT_RAG_TEST_DATA", "unset"))
MAIL = "jane.doe@example.com"
CARD = "4111 1111 1111 1111"
TABLE_LINES = """2022 227.4 23
2021 256.9 26
31 2022 2021
(3) 0.38 0.33 0.30
(4) 0.65 (0.14) 0.97
058 551 447
2044 206 180
77 49 4 13 143
168 - (8) 160
2023 2024 2025
"""


@dataclass
class Result:
    """What an analyzer gives back."""

    start: int
    end: int
    entity_type: str
    score: float = 0.85


class WordAnalyzer:
    """Finds given words, as an analyzer with a model for names would."""

    def __init__(self, **words: str) -> None:
        self.words = words
        self.asked: list[tuple[str, list[str] | None]] = []

    def analyze(self, *, text: str, language: str, entities: list[str] | None) -> list[Result]:
        """Give every place of every word; like a model's, its text must be real Unicode."""
        assert text.encode()
        self.asked.append((language, entities))
        return [
            Result(start, start + len(word), entity)
            for entity, word in self.words.items()
            for start in range(len(text))
            if text.startswith(word, start)
        ]


class PlaceAnalyzer:
    """Takes fixed stretches of every text for personal data."""

    def __init__(self, *places: Result) -> None:
        self.places = places

    def analyze(self, *, text: str, language: str, entities: list[str] | None) -> list[Result]:
        """Give the stretches, wherever the text ends."""
        return list(self.places)


def chat(*contents: object, **fields: object) -> TrainingExample:
    """Return an example whose turns are the user's and the assistant's in turn."""
    roles = ["user", "assistant"] * len(contents)
    messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    return TrainingExample(messages=messages, **fields)


def call(arguments: object, name: str = "send") -> TrainingExample:
    """Return an example that ends in one tool call."""
    calls = [{"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}]
    return TrainingExample(messages=[{"role": "user", "content": "Do."}, {"role": "assistant", "tool_calls": calls}])


def masked_text(text: str, **options: object) -> str:
    """Return one text as masking leaves it."""
    return mask_pii([chat(text)], **options).examples[0].messages[0]["content"]


def arguments_of(row: TrainingExample) -> object:
    """Return the arguments of the call an example ends in."""
    return row.messages[-1]["tool_calls"][0]["function"]["arguments"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"Write to {MAIL}.", "Write to <EMAIL_ADDRESS_1>."),
        ("ops@mail.corp.internal", "<EMAIL_ADDRESS_1>"),
        ("Call (212) 456-7890 now", "Call <PHONE_NUMBER_1> now"),
        ("Call 4155552671 now", "Call <PHONE_NUMBER_1> now"),
        ("Ruf +49 30 901820 an", "Ruf <PHONE_NUMBER_1> an"),
        ("请拨打 +86 138 1234 5678。", "请拨打 <PHONE_NUMBER_1>。"),
        (f"card {CARD}, valid", "card <CREDIT_CARD_1>, valid"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN <IBAN_CODE_1>"),
        ("SSN 536-90-4399", "SSN <US_SSN_1>"),
        ("from 192.168.17.4 and 2001:0db8:85a3:0000:0000:8a2e:0370:7334", "from <IP_ADDRESS_1> and <IP_ADDRESS_2>"),
        (f"邮箱{MAIL}或bob@example.com。", "邮箱<EMAIL_ADDRESS_1>或<EMAIL_ADDRESS_2>。"),
        ("카드4111111111111111로", "카드<CREDIT_CARD_1>로"),
        ("サーバー192.168.17.4へ", "サーバー<IP_ADDRESS_1>へ"),
        ("to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "to <CRYPTO_1>"),
    ],
)
def test_what_has_the_pattern_of_personal_data_becomes_a_placeholder(text: str, masked: str) -> None:
    """Addresses, phone numbers, cards, accounts and machine addresses are masked; the words around them stay."""
    assert masked_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        TABLE_LINES,
        "fiscal years 2021, 2022 and 2023; page 162 of 169; Item 15(a)(2); Form 10-K; Section 13 or 15(d)",
        "$26.97 billion, up 0.2% from 26,914 million on January 29, 2023 (01/29/2023); 2,464,000,000 shares",
        "000-23985 94-3177549 333-108033 0001045810 67066G104 A100 H100 cost.So see www.example.com/a",
        "截至2023年1月29日，2022财年收入269.1亿元，同比增长0.2%，第10至15页",
        "Jane Doe of 1 Main Street",
        "install tool@1.2.3",
        "",
    ],
)
def test_figures_dates_money_links_and_names_stay(text: str) -> None:
    """What reports are full of is no personal data, and no pattern finds a name."""
    assert masked_text(text) == text


@pytest.mark.skipif(not SHARED.is_dir(), reason="FT_RAG_TEST_DATA does not name the shared data folder")
def test_nothing_in_the_training_file_of_2023_is_taken_for_personal_data() -> None:
    """64 recorded answers on an annual report, 430,000 characters of it: not one false alarm."""
    rows = read_examples(SHARED / "post" / "llm-finetuning_finetuning_events.jsonl")

    masked = mask_pii(rows)

    assert (masked.examples, masked.counts, masked.originals) == (rows, {}, {})


@pytest.mark.skipif(not SHARED.is_dir(), reason="FT_RAG_TEST_DATA does not name the shared data folder")
@pytest.mark.parametrize(
    ("report", "counts"),
    [
        ("nvidia-sec-10k-2022", {"EMAIL_ADDRESS": 2, "PHONE_NUMBER": 1}),
        ("financebench_BESTBUY_2023_10K", {"PHONE_NUMBER": 1}),
        ("financebench_BOEING_2022_10K", {"PHONE_NUMBER": 2}),
    ],
)
def test_in_a_whole_annual_report_only_the_company_itself_can_be_reached(report: str, counts: dict[str, int]) -> None:
    """Of thousands of lines of figures none is masked; the phone number on the cover is."""
    pypdfium2 = pytest.importorskip("pypdfium2")
    with pypdfium2.PdfDocument(SHARED / "tenk" / f"{report}.pdf") as document:
        pages = [page.get_textpage().get_text_range() for page in document]

    assert mask_pii([chat(page) for page in pages]).counts == counts


def test_one_text_has_one_placeholder_in_the_whole_set() -> None:
    """Numbers follow the order of appearance, and the map says what each stands for."""
    rows = [chat(f"Is b@example.com or {MAIL} right?", MAIL), chat("b@example.com", "Call (212) 456-7890.")]

    masked = mask_pii(rows)

    assert masked.examples == [
        chat("Is <EMAIL_ADDRESS_1> or <EMAIL_ADDRESS_2> right?", "<EMAIL_ADDRESS_2>"),
        chat("<EMAIL_ADDRESS_1>", "Call <PHONE_NUMBER_1>."),
    ]
    assert masked.originals == {
        "<EMAIL_ADDRESS_1>": "b@example.com",
        "<EMAIL_ADDRESS_2>": MAIL,
        "<PHONE_NUMBER_1>": "(212) 456-7890",
    }
    assert masked.counts == {"EMAIL_ADDRESS": 4, "PHONE_NUMBER": 1}


def test_the_question_is_masked_and_the_rest_of_the_provenance_stays() -> None:
    """Examples that came in are as they were, and a mapping of hashes joins old to new."""
    fields = {"query_id": "q1", "step": 1, "node_ids": [MAIL], "usage": Usage(prompt_tokens=3), "model": "gpt-4"}
    before = chat(f"Who is {MAIL}?", "Jane.", question=f"Who is {MAIL}?", **fields)
    copy = before.model_copy(deep=True)

    masked = mask_pii([before])

    after = chat("Who is <EMAIL_ADDRESS_1>?", "Jane.", question="Who is <EMAIL_ADDRESS_1>?", **fields)
    assert (masked.examples, before) == ([after], copy)
    assert masked.hashes == {before.content_hash: after.content_hash}


def test_every_text_of_a_message_is_masked_and_nothing_else() -> None:
    """Text parts, refusals, reasoning and the input of custom tools are texts; names, ids and images are not."""
    image = {"type": "image_url", "image_url": {"url": f"https://example.com/{MAIL}"}}
    odd = [{"id": MAIL}, None, {"custom": {"name": "m", "input": MAIL}}, {"function": None}]

    def row(place: str) -> TrainingExample:
        turn = {"role": "assistant", "content": None, "refusal": place, "reasoning_content": place, "name": MAIL}
        old_call = {"role": "assistant", "function_call": {"name": "f", "arguments": f'"{place}"'}, "weight": 0}
        calls = [*odd[:2], {"custom": {"name": "m", "input": place}}, odd[3]]
        content = [{"type": "text", "text": place}, image, place, {"type": "refusal", "refusal": place}]
        messages = [{"role": "user", "content": content}, {**turn, "tool_calls": calls}, old_call]
        return TrainingExample(messages=messages, tools=[{"type": "function", "function": {"description": MAIL}}])

    assert mask_pii([row(MAIL)]).examples == [row("<EMAIL_ADDRESS_1>")]


@pytest.mark.parametrize(
    ("arguments", "masked"),
    [
        (f'{{ "to":"{MAIL}","n": 1.50 }}', '{ "to":"<EMAIL_ADDRESS_1>","n": 1.50 }'),
        (
            r'{"body": "Dear all,\njane.doe@example.com \u2013 \"hi\""}',
            r'{"body": "Dear all,\n<EMAIL_ADDRESS_1> \u2013 \"hi\""}',
        ),
        (r'{"to": "jane.doe\u0040example.com"}', '{"to": "<EMAIL_ADDRESS_1>"}'),
        ('{"card": 4111111111111111, "n": [-2, true]}', '{"card": "<CREDIT_CARD_1>", "n": [-2, true]}'),
        ({"to": [MAIL], "n": 1}, {"to": ["<EMAIL_ADDRESS_1>"], "n": 1}),
        ('{"to": "a\nb", "card": 4111111111111111}', '{"to": "a\nb", "card": "<CREDIT_CARD_1>"}'),
        (f'{{"to": "{MAIL}', '{"to": "<EMAIL_ADDRESS_1>'),
        ("", ""),
        (None, None),
    ],
)
def test_arguments_of_a_call_stay_the_json_they_were(arguments: object, masked: object) -> None:
    """Escapes, spaces and numbers stay; a number that is masked becomes a string; broken JSON is masked as text."""
    assert mask_pii([call(arguments, name="mail_4155552671")]).examples == [call(masked, name="mail_4155552671")]


def test_a_character_that_json_writes_as_two_escapes_is_one() -> None:
    """An analyzer sees the text itself, and what it finds is replaced whole."""
    rows = [call(json.dumps({"to": "\u00fc 😀!"}))]

    masked = mask_pii(rows, analyzer=WordAnalyzer(PERSON="😀"))

    assert masked.examples == [call(r'{"to": "\u00fc <PERSON_1>!"}')]


def test_a_number_of_any_length_leaves_the_arguments_json() -> None:
    """Python reads no integer of more than 4,300 digits; the arguments are JSON all the same."""
    digits = "7" * 5000

    masked = mask_pii([call(f'{{"n": {digits}, "card": 4111111111111111}}')])

    assert masked.examples == [call(f'{{"n": {digits}, "card": "<CREDIT_CARD_1>"}}')]


def test_an_escape_before_a_word_in_json_is_no_part_of_the_word() -> None:
    """A tool's JSON result says the same address as the answer, although a line feed is written before it."""
    rows = [chat(json.dumps({"note": f"Contact:\n{MAIL}"}), f"It is {MAIL}.")]

    assert mask_pii(rows).examples == [chat('{"note": "Contact:\\n<EMAIL_ADDRESS_1>"}', "It is <EMAIL_ADDRESS_1>.")]


def test_a_placeholder_that_stands_in_some_text_is_never_given_out() -> None:
    """The number is skipped in the whole set, so that the way back cannot go wrong."""
    rows = [chat(MAIL, "An answer."), chat("What does <EMAIL_ADDRESS_1> mean?", "A placeholder.")]

    masked = mask_pii(rows)

    assert masked.originals == {"<EMAIL_ADDRESS_2>": MAIL}
    assert unmask_examples(masked.examples, masked.originals) == rows


def test_a_second_set_goes_on_with_the_map_of_the_first() -> None:
    """Training and validation agree, numbers go on, and the new map holds the old one."""
    first = mask_pii([chat(MAIL, "Yes.")])

    second = mask_pii([chat("b@example.com", MAIL)], originals=first.originals)

    assert second.examples == [chat("<EMAIL_ADDRESS_2>", "<EMAIL_ADDRESS_1>")]
    assert second.originals == {"<EMAIL_ADDRESS_1>": MAIL, "<EMAIL_ADDRESS_2>": "b@example.com"}
    assert first.originals == {"<EMAIL_ADDRESS_1>": MAIL}


def test_masking_what_is_masked_changes_nothing() -> None:
    """A placeholder of the map is left alone, also by an analyzer that takes its name for data."""
    first = mask_pii([chat(MAIL, "Yes.")])

    again = mask_pii(first.examples, originals=first.originals, analyzer=WordAnalyzer(PERSON="EMAIL"))

    assert (again.examples, again.originals, again.counts) == (first.examples, first.originals, {})


def test_an_analyzer_of_the_callers_own_finds_names() -> None:
    """It is asked for all it has; dates and places, which every report is made of, stay by default."""
    analyzer = WordAnalyzer(PERSON="Jane", DATE_TIME="2023", LOCATION="Paris")

    masked = mask_pii([chat("Jane saw Paris in 2023.")], analyzer=analyzer, language="fr")

    assert masked.examples == [chat("<PERSON_1> saw Paris in 2023.")]
    assert analyzer.asked == [("fr", None)]


def test_named_kinds_are_masked_and_no_others() -> None:
    """`entities` goes to the analyzer and holds for what comes back; with patterns it opens any kind of Presidio's."""
    analyzer = WordAnalyzer(PERSON="Jane", DATE_TIME="2023")

    assert masked_text("Jane in 2023", analyzer=analyzer, entities=["DATE_TIME"]) == "Jane in <DATE_TIME_1>"
    assert analyzer.asked == [("en", ["DATE_TIME"])]
    assert masked_text("(212) 456-7890 https://sec.gov", entities=["URL"]) == "(212) 456-7890 <URL_1>"


@pytest.mark.parametrize(
    ("places", "masked"),
    [
        ([Result(0, 4, "A"), Result(2, 8, "B")], "<B_1>89"),
        ([Result(0, 4, "A", 0.5), Result(0, 4, "B", 0.9)], "<B_1>456789"),
        ([Result(0, 4, "B"), Result(0, 4, "A")], "<A_1>456789"),
        ([Result(2, 4, "A"), Result(4, 6, "A")], "01<A_1><A_2>6789"),
        ([Result(0, 9, "A"), Result(1, 2, "B", 0.99)], "<A_1>9"),
        ([Result(0, 6, "A"), Result(1, 2, "B"), Result(3, 8, "B")], "<A_1>89"),
        ([Result(0, 4, "A", 0.39), Result(6, 4, "A"), Result(8, 99, "B"), Result(-3, 1, "A")], "<A_1>1234567<B_1>"),
    ],
)
def test_hits_that_overlap_are_masked_as_one(places: list[Result], masked: str) -> None:
    """The longest names it, then the best score, then the name; nothing of a shorter one stays readable."""
    assert masked_text("0123456789", analyzer=PlaceAnalyzer(*places), entities=["A", "B"]) == masked


@pytest.mark.parametrize(
    ("entity", "placeholder"),
    [("person name", "<PERSON_NAME_1>"), ("|im_end|", "<PII__IM_END__1>"), ("2fa", "<PII_2FA_1>"), ("人", "<PII___1>")],
)
def test_a_placeholder_has_one_shape_whatever_the_kind_is_called(entity: str, placeholder: str) -> None:
    """Capital letters, digits and underscores between angle brackets: no special token of any model."""
    masked = mask_pii([chat("abc")], analyzer=PlaceAnalyzer(Result(0, 3, entity)), entities=[entity])

    assert masked.originals == {placeholder: "abc"}


@pytest.mark.parametrize("filler", ["word ", "x", "中", "1, ", "a@", "\n", "(1", "\ud800"])
@pytest.mark.parametrize("length", [3970, 3985, 4000, 7600])
def test_an_address_is_found_wherever_it_stands_in_a_long_text(filler: str, length: int) -> None:
    """Long texts are read in windows; what lies across the edge of one is still found whole."""
    before = (filler * length)[:length] + " "
    text = f"{before}{MAIL} {filler * 2000}"

    assert masked_text(text) == text.replace(MAIL, "<EMAIL_ADDRESS_1>")


def test_a_phone_number_after_very_many_figures_is_found() -> None:
    """One line of 70,000 figures does not tire the search, which gives up at 65,535 in one go."""
    figures = "1 " * 70_000

    assert masked_text(f"{figures}(212) 456-7890") == f"{figures}<PHONE_NUMBER_1>"


REPEATABLE = settings(derandomize=True, database=None, deadline=None)
PLACES = st.lists(st.builds(Result, st.integers(0, 12), st.integers(0, 30), st.sampled_from(["A", "A_1", "B"])))
PIECES = st.sampled_from(
    ["<", ">", "<A_1>", "<A_2>", "<A_1", "_1>", '"', "\\", "\\n", '{"a": "', '"}', MAIL, CARD, "[7"]
)
TEXTS = st.lists(st.one_of(st.text(max_size=6), PIECES), max_size=8).map("".join)


@REPEATABLE
@given(TEXTS, PLACES)
@example('["<A_1>", 5]', [Result(2, 4, "A")])
@example("<A_<A_1>1>", [Result(1, 3, "A"), Result(9, 10, "A")])
def test_the_way_back_gives_every_text_to_the_character(text: str, places: list[Result]) -> None:
    """Whatever an analyzer takes for data, and whatever looks like a placeholder or like JSON in the text."""
    rows = [chat(text, text[::-1], question=text)]

    masked = mask_pii(rows, analyzer=PlaceAnalyzer(*places), entities=["A", "A_1", "B"])

    assert unmask_examples(masked.examples, masked.originals) == rows
    assert unmask_text(masked.examples[0].messages[0]["content"], masked.originals) == text


@settings(REPEATABLE, max_examples=25)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_the_way_back_from_patterns_gives_every_example(texts: list[str]) -> None:
    """The built-in patterns lose nothing either, and no example is lost or added."""
    rows = [chat(text, MAIL, question=text) for text in texts]

    masked = mask_pii(rows)

    assert unmask_examples(masked.examples, masked.originals) == rows


JSON = st.recursive(
    st.one_of(TEXTS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@REPEATABLE
@given(JSON, st.booleans(), PLACES)
def test_arguments_are_json_before_and_after(value: object, ascii_only: bool, places: list[Result]) -> None:
    """Numbers apart, which come back as strings, the arguments come back to the character."""
    raw = json.dumps(value, ensure_ascii=ascii_only)
    masked = mask_pii([call(raw)], analyzer=PlaceAnalyzer(*places), entities=["A", "A_1", "B"])

    json.loads(arguments_of(masked.examples[0]))
    back = arguments_of(unmask_examples(masked.examples, masked.originals)[0])
    assert with_strings(json.loads(back)) == with_strings(json.loads(raw))


def with_strings(value: object) -> object:
    """Return a JSON value with its numbers as strings."""
    if isinstance(value, dict):
        return {key: with_strings(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_strings(inner) for inner in value]
    return json.dumps(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def test_a_text_of_lone_surrogates_is_masked_and_found_again(tmp_path: Path) -> None:
    """Broken model output goes through, and through the file of the map."""
    text = f"\ud83d {MAIL} \udc00"

    masked = mask_pii([chat(text)], analyzer=WordAnalyzer(PERSON="jane"))
    write_originals(tmp_path / "originals.json", masked.originals)

    assert unmask_examples(masked.examples, read_originals(tmp_path / "originals.json")) == [chat(text)]


def test_the_map_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    """It can be read back, and a map that has grown may take its place."""
    path = tmp_path / "originals.json"
    first = {"<PERSON_1>": "Jane 王", "<PERSON_2>": "a\nb"}
    write_originals(path, first)
    write_originals(path, {**first, "<PERSON_3>": "Joe"})

    assert read_originals(path) == {**first, "<PERSON_3>": "Joe"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_map_is_never_overwritten_by_one_that_lacks_some_of_it(tmp_path: Path) -> None:
    """Its examples would have no way back; the file stays as it was."""
    path = tmp_path / "originals.json"
    write_originals(path, {"<PERSON_1>": "Jane", "<PERSON_2>": "Joe"})

    with pytest.raises(ConfigurationError, match=r"what <PERSON_2> stands for would be lost.*originals=read_originals"):
        write_originals(path, {"<PERSON_1>": "Jane", "<PERSON_2>": "Jim"})

    assert read_originals(path) == {"<PERSON_1>": "Jane", "<PERSON_2>": "Joe"}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"messages": []}', '{"<PERSON_1>": 1}', '{"PERSON_1": "Jane"}', "[" * 10**5]
)
def test_a_file_that_is_no_map_is_neither_read_nor_overwritten(tmp_path: Path, text: str) -> None:
    """A training file at the path by mistake survives."""
    path = tmp_path / "examples.jsonl"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=r"examples\.jsonl: holds no map of placeholders"):
        write_originals(path, {"<PERSON_1>": "Jane"})

    assert path.read_text() == text


def test_a_map_without_a_folder_or_a_file_is_named(tmp_path: Path) -> None:
    """The sentence says what is missing."""
    with pytest.raises(ConfigurationError, match=r"none: there is no such folder; create it"):
        write_originals(tmp_path / "none" / "originals.json", {})
    with pytest.raises(ConfigurationError, match=r"originals\.json: cannot be read \(No such file or directory\)"):
        read_originals(tmp_path / "originals.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entities": ["PERSON", "CRYPTO"]}, "PERSON: no pattern finds this; pass an analyzer that does"),
        ({"entities": []}, r"entities=\[\]: pass a list with at least one kind"),
        ({"entities": "URL", "analyzer": WordAnalyzer()}, "entities='URL': pass a list with at least one kind"),
        ({"score_threshold": 40}, "score_threshold is 40; pass a number from 0 to 1"),
        ({"phone_regions": ["UK"]}, "'UK' is no two-letter code of a country, such as 'US'"),
        ({"originals": {"Jane": "<PERSON_1>"}}, "originals: holds no map of placeholders"),
    ],
)
def test_options_that_would_mask_nothing_are_refused(options: dict[str, object], message: str) -> None:
    """A wrong name must not look like clean data."""
    with pytest.raises(ConfigurationError, match=message):
        mask_pii([chat(MAIL)], **options)


def test_phone_numbers_without_a_country_code_need_their_country() -> None:
    """Numbers of other countries are found when they are named; none are named, and the code is needed."""
    text = "13812345678 and +1 212 456 7890"

    assert masked_text(text) == "13812345678 and <PHONE_NUMBER_1>"
    assert masked_text(text, phone_regions=["CN"]) == "<PHONE_NUMBER_1> and <PHONE_NUMBER_2>"
    assert masked_text("(212) 456-7890 " + text, phone_regions=[]) == "(212) 456-7890 13812345678 and <PHONE_NUMBER_1>"


def run_alone(program: str, **variables: str) -> str:
    """Return what a program prints in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **variables}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_nothing_is_fetched_and_the_app_is_not_disturbed(tmp_path: Path) -> None:
    """With every socket forbidden and an empty cache: no call, no cache file, no word, root logger as it was."""
    program = """
import logging, socket, sys
from llama_index_ft_rag.curation.masking import mask_pii
from llama_index_ft_rag.examples import TrainingExample
assert not {"presidio_analyzer", "spacy", "tldextract"} & set(sys.modules)
def refuse(*arguments, **options): raise AssertionError("network")
socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
root = logging.getLogger()
before = (root.level, list(root.handlers), sys.excepthook)
masked = mask_pii([TrainingExample(messages=[{"role": "user", "content": "a@example.com"}])])
assert (root.level, root.handlers, sys.excepthook) == before
print(masked.originals)
"""

    assert run_alone(program, TLDEXTRACT_CACHE=str(tmp_path)) == "{'<EMAIL_ADDRESS_1>': 'a@example.com'}\n"
    assert list(tmp_path.rglob("*")) == []


def test_without_presidio_the_extra_is_named_and_an_analyzer_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the built-in patterns need the extra."""
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)

    assert masked_text("Jane", analyzer=WordAnalyzer(PERSON="Jane")) == "<PERSON_1>"
    with pytest.raises(MissingExtraError, match=r'needs presidio_analyzer: pip install "llama-index-ft-rag\[pii\]"'):
        mask_pii([])
