"""What is written of a curation: private, whole, the same for the same input, and harmless to look at."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from llama_index_ft_rag.curation import (
    Curation,
    Dropped,
    Reason,
    UnreadableLine,
    add_distractors,
    curate,
    dropped_rows,
    find_leaks,
    read_lines,
    split_examples,
    write_curation,
)
from llama_index_ft_rag.errors import ConfigurationError, RunFolderError
from llama_index_ft_rag.examples import TrainingExample, read_examples, write_examples
from llama_index_ft_rag.questions import Question

NAMES = [
    "curation.json",
    "curation.md",
    "dropped.jsonl",
    "examples.jsonl",
    "examples.provenance.jsonl",
]
VALIDATION = ["validation.jsonl", "validation.provenance.jsonl"]

needs_data = pytest.mark.skipif(
    "FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder"
)


def taught(question: str, answer: str = "It is made of steel.", **facts: Any) -> TrainingExample:
    """An example that asks this and is answered so."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return TrainingExample(messages=messages, question=question, **facts)


GOOD = [taught(f"What is part {name} made of?", f"Of {name}.", query_id=name) for name in ("ash", "brass", "clay")]
EMPTY = taught("What is it made of?", " ", finish_reason="length")
MIXED = [GOOD[0], EMPTY, GOOD[1], GOOD[0], GOOD[2]]


def rows_of(path: Path) -> list[Any]:
    """The rows of a JSONL file, read as JSON that has no more than JSON has."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return [json.loads(line, parse_constant=refuse) for line in path.read_bytes().split(b"\n")[:-1]]


def contents(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_kept_lies_in_the_folder_in_its_order(tmp_path: Path) -> None:
    """It is read back with its provenance, and the table lies beside it in two forms."""
    curation = curate(MIXED)

    write_curation(curation, tmp_path / "out")

    assert list(contents(tmp_path / "out")) == NAMES
    assert read_examples(tmp_path / "out" / "examples.jsonl") == GOOD
    assert (tmp_path / "out" / "curation.md").read_text("utf-8") == curation.to_markdown()
    assert json.loads((tmp_path / "out" / "curation.json").read_text("utf-8")) == {
        **curation.to_dict(), "split": None, "evaluation_leaks": None, "rows": None,
    }  # fmt: skip


def test_the_folder_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """The examples may hold what documents of the house say."""
    write_curation(curate(GOOD), tmp_path / "out", split=split_examples(GOOD, validation=0.4))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert modes == dict.fromkeys([*NAMES, *VALIDATION], 0o600)


def test_a_drop_is_written_whole_with_every_reason(tmp_path: Path) -> None:
    """With its number, what is known of it, and a line that is no example as it stood."""
    unreadable = UnreadableLine(number=2, text='{"a": \ufffd', reason=Reason(rule="unreadable", text="is not JSON"))
    reasons = (Reason(rule="cut_off", text="ended"), Reason(rule="mine", text="\ud800 ```"))
    curation = Curation(kept=[], dropped=[Dropped(example=EMPTY, reasons=reasons, number=3)], unreadable=[unreadable])

    write_curation(curation, tmp_path)

    first, second = rows_of(tmp_path / "dropped.jsonl")
    assert first == {
        "number": 2, "reasons": [{"rule": "unreadable", "text": "is not JSON"}], "line": '{"a": \ufffd',
    }  # fmt: skip
    assert second == {
        "number": 3,
        "reasons": [{"rule": "cut_off", "text": "ended"}, {"rule": "mine", "text": "\ud800 ```"}],
        "messages": EMPTY.messages,
        **EMPTY.to_provenance(),
    }
    assert [first, second] == json.loads(json.dumps(list(dropped_rows(curation))))


def test_nothing_dropped_is_an_empty_file(tmp_path: Path) -> None:
    """Then nobody asks whether it was forgotten; the same holds of nothing kept."""
    write_curation(curate(GOOD), tmp_path / "good")
    write_curation(curate([]), tmp_path / "none")

    assert contents(tmp_path / "good")["dropped.jsonl"] == b""
    assert contents(tmp_path / "none")["examples.jsonl"] == b""


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """In another folder and over the first one; nothing depends on the time or the place."""
    for folder in ("one", "two", "one"):
        curation = curate(MIXED)
        write_curation(curation, tmp_path / folder, split=split_examples(curation.kept, validation=0.4))

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@needs_data
@pytest.mark.parametrize("name", ["post/llm-finetuning_finetuning_events", "ftjsonl/foundry_stock_toolcall_training"])
def test_what_was_kept_of_real_files_is_kept_again(tmp_path: Path, name: str) -> None:
    """Curated once more, nothing is dropped, and both files are the same to the byte."""
    source = Path(os.environ["FT_RAG_TEST_DATA"]) / f"{name}.jsonl"
    write_curation(curate(read_lines(source), keep_abstentions=0.1), tmp_path / "one", source=source)

    again = curate(read_lines(tmp_path / "one" / "examples.jsonl"), keep_abstentions=0.1)
    write_curation(again, tmp_path / "two")

    assert again.dropped == []
    for file in ("examples.jsonl", "examples.provenance.jsonl"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_what_one_validates_with_lies_beside_what_one_trains_on(tmp_path: Path) -> None:
    """Each side has its provenance, and the reports say how they were parted."""
    split = split_examples(GOOD, validation=0.4)

    write_curation(curate(GOOD), tmp_path, split=split)

    assert list(contents(tmp_path)) == [*NAMES, *VALIDATION]
    assert read_examples(tmp_path / "examples.jsonl") == split.train
    assert read_examples(tmp_path / "validation.jsonl") == split.validation
    assert json.loads(contents(tmp_path)["curation.json"])["split"] == split.to_dict()
    assert contents(tmp_path)["curation.md"].decode().endswith(split.to_markdown())


def test_what_an_earlier_curation_validated_with_goes(tmp_path: Path) -> None:
    """Without a split all of it is trained on, and a validation file beside it would be no test."""
    write_curation(curate(GOOD), tmp_path, split=split_examples(GOOD, validation=0.4))
    write_curation(curate(GOOD), tmp_path)

    assert list(contents(tmp_path)) == NAMES


def test_what_was_made_of_the_examples_is_written_instead_and_reported(tmp_path: Path) -> None:
    """Rows with distractors are trained on in the place of the examples; leaks of evaluation questions are told."""
    split = split_examples(GOOD, validation=0.4)
    rows = add_distractors(split.train, distractors=1)
    leaks = find_leaks(split.train, [Question.make(str(split.train[0].question), split="eval")])

    made = write_curation(curate(GOOD), tmp_path, split=split, rows=rows, leaks=leaks)

    assert read_examples(tmp_path / "examples.jsonl") == rows.examples
    assert contents(tmp_path)["curation.md"].decode() == made.describe("markdown")
    assert contents(tmp_path)["curation.json"].decode() == made.describe("json")
    report = json.loads(made.describe("json"))
    assert (report["evaluation_leaks"], report["rows"]) == (leaks.to_dict(), rows.counts())


def test_the_folder_of_a_run_is_refused(tmp_path: Path) -> None:
    """Its training file would be lost; nothing in it is touched."""
    (tmp_path / "run.json").write_text("{}")
    write_examples(tmp_path / "examples.jsonl", GOOD)
    before = contents(tmp_path)

    with pytest.raises(ConfigurationError) as caught:
        write_curation(curate(GOOD), tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}: is the folder of a run, whose examples.jsonl would be lost; choose another"
    )
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["examples.jsonl", "validation.jsonl", "dropped.jsonl", "curation.json"])
@pytest.mark.parametrize("how", ["as it is", "relative", "through a link to it", "through a link to its folder"])
def test_the_source_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: str) -> None:
    """Whatever the file is called and however it is named, it stays as it is, and nothing is written."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.chdir(folder)
    source = folder / name
    write_examples(source, MIXED, provenance=False)
    (tmp_path / "link.jsonl").symlink_to(source)
    (tmp_path / "other").symlink_to(folder)
    named = {
        "as it is": source,
        "relative": Path(name),
        "through a link to it": tmp_path / "link.jsonl",
        "through a link to its folder": tmp_path / "other" / name,
    }[how]
    before = contents(folder)

    with pytest.raises(ConfigurationError) as caught:
        write_curation(curate(read_lines(named)), "." if how == "relative" else folder, source=named)

    assert str(caught.value) == f"{named}: would be overwritten by what is kept of it; choose another folder"
    assert contents(folder) == before


def test_a_source_beside_what_is_written_is_fine(tmp_path: Path) -> None:
    """Only its own name would be in the way."""
    source = tmp_path / "calls.jsonl"
    write_examples(source, MIXED)
    before = source.read_bytes()

    write_curation(curate(read_lines(source)), tmp_path, source=source)

    assert source.read_bytes() == before
    assert read_examples(tmp_path / "examples.jsonl") == GOOD


def test_a_recording_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """It cannot be had again; it is found before anything else is written."""
    (tmp_path / "dropped.jsonl").write_bytes(b'{"call_id": 1}\n')
    before = contents(tmp_path)

    with pytest.raises(ConfigurationError, match=r"dropped\.jsonl: is a recording and would be overwritten"):
        write_curation(curate(GOOD), tmp_path)

    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["examples.provenance.jsonl", "dropped.jsonl", "curation.md", "validation.jsonl"])
def test_a_folder_in_the_place_of_a_file_stops_it_before_anything_is_written(tmp_path: Path, name: str) -> None:
    """What an earlier curation wrote stays whole, the other files too."""
    write_curation(curate(MIXED), tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    with pytest.raises(ConfigurationError) as caught:
        write_curation(curate(GOOD[:1]), tmp_path)

    assert str(caught.value) == f"{tmp_path / name}: is a folder and would be overwritten; choose another folder"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    """It is named with what to do, and stays."""
    (tmp_path / "out").write_text("mine")

    with pytest.raises(RunFolderError) as caught:
        write_curation(curate(GOOD), tmp_path / "out")

    assert str(caught.value) == (
        f"{tmp_path / 'out'}: this folder cannot be written (File exists); choose another folder "
        "(--out on the command line)"
    )
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    """It is named with what to do; what is in it stays."""
    write_curation(curate(MIXED), tmp_path / "out")
    before = contents(tmp_path / "out")
    (tmp_path / "out").chmod(0o500)

    with pytest.raises(RunFolderError) as caught:
        write_curation(curate(GOOD[:1]), tmp_path / "out")

    assert str(caught.value) == (
        f"{tmp_path / 'out'}: this folder cannot be written (Permission denied); choose another folder "
        "(--out on the command line)"
    )
    assert contents(tmp_path / "out") == before


def test_a_disk_that_fills_up_leaves_an_earlier_curation_whole(tmp_path: Path) -> None:
    """No file of it is replaced, nothing else is left there, and the sentence says what to do."""
    resource = pytest.importorskip("resource")
    write_curation(curate(GOOD), tmp_path)
    before = contents(tmp_path)
    large = taught("What is it made of?", "steel " * 2_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, limits[1]))
    try:
        with pytest.raises(RunFolderError) as caught:
            write_curation(curate([EMPTY, large]), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert str(caught.value) == (f"{tmp_path}: cannot be written (File too large); make room, or choose another folder")
    assert contents(tmp_path) == before


HOSTILE = [
    "```\n</pre><script>alert(1)</script>\n```",
    "</details>\n\n# Heading\n\n<img src=x onerror=alert(1)>\n\n@someone #1 https://example.com",
    "| a | b |\n|---|---|\n\n- [x](javascript:alert(1))\r\n\r\n~~~\r<b>\u2028<i>\x85<u>\x0b<s>\x0c<a>",
    "\ud800 <b>\u202e",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["question", "answer", "role", "list role", "reason", "tool", "leak"])
def test_nothing_an_example_says_leaves_its_place_in_the_markdown(tmp_path: Path, text: str, place: str) -> None:
    """Read as GitHub reads it, the file has no HTML, link, image or heading that we did not write."""
    markdown_it = pytest.importorskip("markdown_it")
    roles = {"role": text, "list role": f"- {text}"}
    messages = [
        {"role": roles.get(place, "user"), "content": text if place != "answer" else "q"},
        {"role": "assistant", "content": text, "tool_calls": [{"function": {"name": text}}] if place == "tool" else []},
    ]
    hostile = TrainingExample(messages=messages, question=text if place == "leak" else None)
    reasons = (Reason(rule="mine", text=text if place == "reason" else "said"),)
    curation = Curation(kept=[hostile], kept_numbers=[1], dropped=[Dropped(example=hostile, reasons=reasons, number=2)])
    leaks = find_leaks([hostile], [hostile])

    write_curation(curation, tmp_path, leaks=leaks)

    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse((tmp_path / "curation.md").read_text("utf-8"))
    kinds = {token.type for token in (*tokens, *(child for token in tokens for child in token.children or ()))}
    html = {child.content for token in tokens for child in token.children or () if child.type == "html_inline"}
    assert kinds & {"html_block", "link_open", "image", "fence", "s_open", "em_open"} == set()
    assert html <= {"<!-- -->"}
    assert [token.type for token in tokens].count("heading_open") == 7
    assert [token.type for token in tokens].count("list_item_open") == (place == "leak")


def test_half_a_character_is_written_everywhere(tmp_path: Path) -> None:
    """Lone surrogates in question, answer and reasons spoil no file, and come back as they were."""
    broken = taught("Is \ud800 it?", "It is \udfff.", query_id="\ud801")
    reasons = (Reason(rule="mine", text="\udc00"),)
    curation = Curation(kept=[broken], kept_numbers=[1], dropped=[Dropped(example=broken, reasons=reasons, number=2)])

    write_curation(curation, tmp_path, leaks=find_leaks([broken], [broken]))

    assert rows_of(tmp_path / "examples.jsonl") == [broken.to_line()]
    assert rows_of(tmp_path / "dropped.jsonl")[0]["reasons"] == [{"rule": "mine", "text": "\udc00"}]
    assert read_examples(tmp_path / "examples.jsonl")[0].messages == broken.messages
