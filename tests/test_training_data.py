"""`ft-rag curate` and `ft-rag export`: what they print and write, and one sentence for everything that goes wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llama_index_ft_rag import read_examples, read_pairs, unmask_text
from llama_index_ft_rag.cli import main

TEMPLATE = (
    "Context information is below.\n---------------------\n{context}\n---------------------\n"
    "Given the context information and not prior knowledge, answer the query.\nQuery: {question}\nAnswer: "
)
PLANTS = ("Bergen", "Oslo", "Turin", "Lyon", "Ghent", "Porto", "Riga", "Graz", "Cork", "Bath", "Kiel", "Vigo")
Run = Callable[..., tuple[int, str, str]]


def line(question: str, answer: str, *, context: str) -> dict[str, Any]:
    """One answer as LlamaIndex asks for it."""
    prompt = TEMPLATE.format(context=context, question=question)
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]}


def good_lines() -> list[dict[str, Any]]:
    """Twelve answers about twelve plants."""
    return [
        line(
            f"How many people work in {plant}?",
            f"The plant in {plant} has {200 + number} employees.",
            context=f"{plant} was opened in {1980 + number}. It has {200 + number} employees and {number + 2} halls.",
        )
        for number, plant in enumerate(PLANTS)
    ]


def table(out: str) -> str:
    """The output from the table on, which stands behind the examples."""
    return re.sub(r"\A.*?(?=^[\d,]+ (?:examples|lines): )", "", out, flags=re.DOTALL | re.MULTILINE)


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    """Write a training file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder of its own to be in, from which modules are imported."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ft_rag(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; gives its exit code, output and errors."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Twelve good examples, a refusal, a copy, and a line that is none."""
    refusal = line("Who audits it?", "The context does not provide the auditor.", context="Riga was opened in 1986.")
    good = good_lines()
    path = write(tmp_path / "calls.jsonl", [*good[:6], refusal, good[0], *good[6:]])
    path.write_text(path.read_text(encoding="utf-8") + '{"prompt": "a", "completion": "b"}', encoding="utf-8")
    return path


def test_curate_says_what_it_kept_and_why_not_the_rest(ft_rag: Run, calls: Path) -> None:
    """The table names every rule; the folder has the rest, whole, with all reasons and line numbers."""
    code, out, err = ft_rag("curate", calls, "--out", "curated")

    assert (code, err) == (0, "")
    assert table(out).startswith(
        "15 lines: 12 kept, 3 dropped\n\n"
        "rule        dropped    alone  means\n"
        "unreadable        1        1  the line is no chat example\n"
        "abstention        1        1  the answer as a whole declines to answer\n"
        "duplicate         1        1  an earlier example has the same messages and tools\n"
        "alone: no other rule refused them\n"
        "note: few contexts: 12 distinct ones among the examples kept; with fewer than 50"
    )
    assert out.endswith("\nwritten to curated\n")
    assert [example.to_line() for example in read_examples("curated/examples.jsonl")] == good_lines()
    dropped = [json.loads(row) for row in Path("curated/dropped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["number"], [reason["rule"] for reason in row["reasons"]]) for row in dropped] == [
        (7, ["abstention"]),
        (8, ["duplicate"]),
        (15, ["unreadable"]),
    ]
    assert dropped[2]["line"] == '{"prompt": "a", "completion": "b"}'


@pytest.mark.parametrize(("form", "name"), [("json", "curation.json"), ("markdown", "curation.md")])
def test_what_is_printed_is_what_is_written(ft_rag: Run, calls: Path, form: str, name: str) -> None:
    """A script that reads the output reads nothing but the file's content."""
    code, out, _ = ft_rag("curate", calls, "--out", "curated", "--format", form)

    assert code == 0
    assert out == Path("curated", name).read_text(encoding="utf-8")


def test_curating_again_changes_nothing(ft_rag: Run, calls: Path) -> None:
    """The same command gives the same bytes, and what was kept is kept."""
    options = ("--validation", "0.2", "--distractors", "1", "--seed", "3")
    ft_rag("curate", calls, "--out", "curated", *options)
    before = {path.name: path.read_bytes() for path in Path("curated").iterdir()}
    ft_rag("curate", calls, "--out", "curated", *options)
    _, out, _ = ft_rag("curate", "curated/examples.jsonl", "--out", "again")

    assert {path.name: path.read_bytes() for path in Path("curated").iterdir()} == before
    assert table(out).startswith("10 examples: 10 kept, 0 dropped\n")


def test_validation_leaks_and_rows_are_reported(ft_rag: Run, calls: Path) -> None:
    """A split, an evaluation question that is trained on, and distractors are each a sentence, and files follow."""
    Path("eval.txt").write_text("How many people work in Oslo?\nWho founded it?\n", encoding="utf-8")

    code, out, _ = ft_rag(
        "curate", calls, "--out", "curated", "--validation", "0.1", "--eval-questions", "eval.txt", "--distractors", "2"
    )

    tail = out[out.index("split:") :]
    assert code == 0
    assert tail == (
        "split: 11 to train on, 1 to validate with; 12 groups, the largest of 1\n"
        "leaks: 0 of 1 held-out items are tied to one of 11 in training\n\n"
        "evaluation questions\n"
        "leaks: 1 of 2 held-out items are tied to one of 11 in training\n"
        "      1  the same question\n"
        "  such as 'How many people work in Oslo?' (same_question)\n\n"
        "rows made for training: 11 distractors, 0 no answer, 0 unchanged\n\n"
        "written to curated\n"
    )
    assert len(read_examples("curated/examples.jsonl")) == 11
    assert len(read_examples("curated/validation.jsonl")) == 1
    assert {example.made_by for example in read_examples("curated/examples.jsonl")} == {"distractors"}


def test_rules_can_be_added_switched_off_and_fed_with_scores(ft_rag: Run, calls: Path) -> None:
    """A function of the app, a rule less, and a judge's scores decide together."""
    Path("my_rules.py").write_text("def about_cork(example):\n    return 'Cork' in example.answer\n", encoding="utf-8")
    scored = [example.content_hash for example in read_examples(write(Path("good.jsonl"), good_lines()))]
    rows = [{"content_hash": key, "score": place / 10} for place, key in enumerate(scored[:11])]
    write(Path("scores.jsonl"), rows)

    _, out, _ = ft_rag(
        *("curate", calls, "--out", "curated", "--without", "abstention", "--without", "duplicate"),
        *("--rule", "my_rules:about_cork", "--scores", "scores.jsonl", "--min-score", "0.2", "--near-duplicates", "0"),
    )

    assert table(out).partition("note: few")[0] == (
        "15 lines: 10 kept, 5 dropped\n\n"
        "rule        dropped    alone  means\n"
        "unreadable        1        1  the line is no chat example\n"
        "low_score         3        3  the judge's score is below the threshold\n"
        "about_cork        1        1  a rule of your own\n"
        "alone: no other rule refused them\n"
        "note: 2 of 14 examples have no score, and were not judged by it\n"
    )


def test_a_prompt_of_the_apps_own_is_read_by_its_template(ft_rag: Run) -> None:
    """With the template, a refine step's draft is found; without it, it is not."""
    template = "PASSAGES: {context_str}\nASKED: {query_str}\nSO FAR: {existing_answer}\nBETTER:"
    Path("refine.txt").write_text(template, encoding="utf-8")
    prompt = template.format(context_str="Oslo grew.", query_str="Where?", existing_answer="In Oslo.")
    steps = [{"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": "In Oslo."}]}]
    path = write(Path("calls.jsonl"), [*good_lines(), *steps])

    _, without, _ = ft_rag("curate", path, "--out", "without")
    _, out, _ = ft_rag("curate", path, "--out", "curated", "--template", "refine.txt")

    assert table(without).startswith("13 examples: 13 kept, 0 dropped\n")
    assert "repeated_draft        1        1" in out


def test_personal_data_is_masked_everywhere_and_the_map_leads_back(ft_rag: Run, calls: Path) -> None:
    """Kept and dropped examples hold placeholders, the same in the next command, and the map lies apart."""
    pytest.importorskip("presidio_analyzer", reason="the extra pii is not installed")
    secret = line("Who answers?", "Write to jane.doe@example.org.", context="Ask jane.doe@example.org in Oslo.")
    refusal = line("Whom?", "The context does not say whom.", context="Not bob.roe@example.org.")
    path = write(Path("calls.jsonl"), [*good_lines(), secret, refusal])
    Path("private").mkdir()

    _, _, err = ft_rag("curate", path, "--out", "curated", "--mask-pii", "private/map.json")
    ft_rag("curate", path, "--out", "again", "--mask-pii", "private/map.json", "--keep-abstentions", "0.1")

    originals = json.loads(Path("private/map.json").read_text(encoding="utf-8"))
    written = "".join(file.read_text(encoding="utf-8") for file in Path("curated").iterdir())
    answer = read_examples("curated/examples.jsonl")[-1].answer
    assert err == "note: masked EMAIL_ADDRESS at 3 places\n"
    assert "example.org" not in written
    assert answer == "Write to <EMAIL_ADDRESS_1>."
    assert unmask_text(answer, originals) == "Write to jane.doe@example.org."
    assert read_examples("again/examples.jsonl")[-2].answer == answer


def test_masking_reaches_lines_that_are_no_examples_and_finds_leaks_all_the_same(ft_rag: Run) -> None:
    """Lines, reasons and quoted questions are masked; what leaks is found by what was recorded."""
    pytest.importorskip("presidio_analyzer", reason="the extra pii is not installed")
    secret = line("Who is jane.doe@example.org?", "Jane leads it.", context="Ask jane.doe@example.org in Oslo.")
    path = write(Path("calls.jsonl"), [*good_lines(), secret, {"prompt": "bob.roe@example.org", "completion": "b"}])
    Path("own_rules.py").write_text(
        "def quoting(e):\n    return 'Jane' in e.answer and e.messages[0]['content'][-60:]\n"
    )
    Path("eval.txt").write_text("Who is jane.doe@example.org?\n", encoding="utf-8")

    _, out, _ = ft_rag("curate", path, "--out", "a", "--mask-pii", "private/map.json", "--eval-questions", "eval.txt")
    ft_rag("curate", path, "--out", "b", "--mask-pii", "private/map.json", "--rule", "own_rules:quoting")

    written = "".join(file.read_text(encoding="utf-8") for name in "ab" for file in Path(name).iterdir())
    assert "example.org" not in written + out
    assert "leaks: 1 of 1 held-out items" in out


def test_a_line_keeps_what_it_holds_besides_its_example(ft_rag: Run) -> None:
    """A dropped line is whole, keys of other tools included."""
    row = {**good_lines()[0], "reference": {"grade": 3}}
    ft_rag("curate", write(Path("calls.jsonl"), [*good_lines(), row]), "--out", "curated")

    (dropped,) = [json.loads(text) for text in Path("curated/dropped.jsonl").read_text("utf-8").splitlines()]
    assert dropped["other"] == {"reference": {"grade": 3}}


def test_torn_lines_of_a_recording_are_dropped_with_their_reason(ft_rag: Run) -> None:
    """What a killed process left behind counts, and is kept aside."""
    call = {"call_id": "c1", "query_id": "q", "kind": "answer", **good_lines()[0]}
    Path("calls.jsonl").write_text(json.dumps(call) + "\n" + json.dumps(call)[:50], encoding="utf-8")

    _, out, _ = ft_rag("curate", "calls.jsonl", "--out", "curated")

    assert table(out).startswith("2 lines: 1 kept, 1 dropped\n")
    assert "line 2 is torn" in Path("curated/dropped.jsonl").read_text(encoding="utf-8")


def test_nothing_left_is_said_and_the_reasons_are_kept(ft_rag: Run) -> None:
    """A file in another format ends with exit code 1, and every line of it stands in dropped.jsonl."""
    path = write(Path("pairs.jsonl"), [{"text": "a", "label": "b"}] * 3)

    code, out, err = ft_rag("curate", path, "--out", "curated")

    assert code == 1
    assert table(out).startswith("3 lines: 0 kept, 3 dropped\n")
    assert err == "ft-rag: pairs.jsonl: nothing is left to train on; dropped.jsonl in curated says why\n"
    assert len(Path("curated/dropped.jsonl").read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("missing.jsonl --out a", "missing.jsonl: cannot be read (there is no such file); pass the path"),
        (". --out a", ".: cannot be read (is no file); pass the path of a JSONL file"),
        ("good.jsonl --out a --without nothing", "without: there is no 'nothing'; it may name not_taught"),
        ("good.jsonl --out a --kinds answr", "kinds: there is no 'answr'; it may name answer, refine"),
        ("good.jsonl --out a --keep-abstentions 5", "keep_abstentions is 5.0; pass a number from 0 to 1"),
        ("good.jsonl --out a --near-duplicates 7", "near_duplicates is 7.0; pass a similarity above 0 and at most 1"),
        ("good.jsonl --out a --validation 2", "validation is 2.0; pass a share above 0 and below 1"),
        ("good.jsonl --out a --no-answer 2", "no_answer is 2.0; pass a"),
        ("good.jsonl --out a --rule nope", "--rule 'nope': not of the form package.module:function; write e.g."),
        ("good.jsonl --out a --rule json:nope", "--rule 'json:nope': module 'json' has no 'nope'; check the name"),
        ("good.jsonl --out a --rule json:__name__", "--rule json:__name__: is a str, not a function; check the name"),
        ("good.jsonl --out a --template gone.txt", "--template gone.txt: cannot be read (No such file or directory)"),
        ("good.jsonl --out a --scores good.jsonl", "good.jsonl line 1: is no score; each line must be such as"),
        ("good.jsonl --out good.jsonl", "good.jsonl: "),
        ("good.jsonl --out .", "examples.jsonl: was not written by a curation and would be lost; choose another"),
        ("empty.jsonl --out a", "empty.jsonl: holds no lines; pass a recording or a training file"),
        ("good.jsonl --out a --min-score 0.5", "min_score is 0.5 and there are no scores; pass scores, too"),
        ("good.jsonl --out a --validation 0.1 --may-part x", "--may-part x: is no tie; it may be same_example"),
        ("good.jsonl --out a --mask-pii a/map.json", "--mask-pii a/map.json: the map must lie apart from the examples"),
        ("good.jsonl --out a --eval-questions gone.txt", "gone.txt: "),
    ],
)
def test_what_curate_cannot_do_is_one_sentence(ft_rag: Run, arguments: str, sentence: str) -> None:
    """The thing, the value and the next step, and no folder is left behind."""
    write(Path("good.jsonl"), good_lines())
    write(Path("examples.jsonl"), good_lines())
    write(Path("empty.jsonl"), [])

    code, out, err = ft_rag("curate", *arguments.split())

    assert (code, out) == (1, "")
    assert err.startswith(f"ft-rag: {sentence}")
    assert err.count("\n") == 1
    assert not Path("a").exists()


def test_a_rule_that_fails_names_itself_and_the_example(ft_rag: Run) -> None:
    """An error in the app's own rule is one sentence, not a traceback."""
    Path("broken_rules.py").write_text("def broken(example):\n    return example.gone\n", encoding="utf-8")
    path = write(Path("good.jsonl"), good_lines())
    first = read_examples(path)[0].content_hash

    code, _, err = ft_rag("curate", path, "--out", "a", "--rule", "broken_rules:broken")

    assert code == 1
    assert err.startswith(f"ft-rag: the rule broken failed on the example {first}: AttributeError: ")
    assert not Path("a").exists()


@pytest.mark.parametrize("form", ["chat", "sharegpt", "alpaca"])
def test_export_writes_a_file_for_another_trainer(ft_rag: Run, form: str) -> None:
    """Every example is counted, and the file is named."""
    path = write(Path("good.jsonl"), good_lines())

    code, out, err = ft_rag("export", path, "--format", form, "--out", f"{form}.jsonl")

    assert (code, err) == (0, "")
    assert out.startswith(f"12 examples written to {form}.jsonl")
    assert Path(f"{form}.jsonl").is_file()


def test_export_writes_a_dataset_with_both_splits(ft_rag: Run) -> None:
    """The folder has a card and one file for each split."""
    path = write(Path("good.jsonl"), good_lines())

    code, out, _ = ft_rag("export", path, "--format", "datasets", "--validation", path, "--out", "dataset")

    assert code == 0
    assert out.startswith("24 examples written to dataset/README.md, ")
    assert sorted(file.name.partition("-")[0] for file in Path("dataset/data").iterdir()) == ["train", "validation"]


def test_export_says_what_a_format_cannot_express(ft_rag: Run) -> None:
    """What is left out is counted by reason on standard error."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    asked = {"role": "user", "content": "a"}
    row = {"messages": [asked, {"role": "assistant", "tool_calls": [call]}], "tools": [tool]}
    path = write(Path("mixed.jsonl"), [*good_lines(), row])

    _, out, err = ft_rag("export", path, "--format", "alpaca", "--out", "alpaca.jsonl")

    assert out.startswith("12 examples written to alpaca.jsonl")
    assert err.startswith("note: 1 left out: ")


def test_export_pairs_where_a_function_prefers_the_teacher(ft_rag: Run) -> None:
    """Only answers that the app's own function calls better make a pair; the rest is counted."""
    Path("my_taste.py").write_text(
        "def prefers(example, other):\n    return 'Oslo' in example.answer\n", encoding="utf-8"
    )
    teacher = write(Path("teacher.jsonl"), good_lines())
    others = good_lines()
    for row in others:
        row["messages"][1]["content"] = "Some."
    base = write(Path("base.jsonl"), others)

    code, out, err = ft_rag(
        "export",
        teacher,
        "--format",
        "preference",
        "--against",
        base,
        "--prefers",
        "my_taste:prefers",
        "--out",
        "p.jsonl",
    )

    (pair,) = read_pairs("p.jsonl")
    assert (code, out, err) == (0, "1 pairs written to p.jsonl\n", "note: 11 left out: other preferred\n")
    assert (pair.example.answer, pair.non_preferred["content"]) == ("The plant in Oslo has 201 employees.", "Some.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("good.jsonl --format preference --out p", "--format preference needs the other answers and who says which"),
        ("good.jsonl --format chat --out p --prefers a:b", "--against and --prefers go with --format preference, not"),
        ("gone.jsonl --format chat --out p", "gone.jsonl: cannot be read (No such file or directory); pass the path"),
        ("good.jsonl --format chat --out no/p", "no: there is no such folder; create it, or choose another path"),
        ("good.jsonl --format chat --out .", ".: "),
        ("good.jsonl --format sharegpt --out good.jsonl", "--out good.jsonl: is a file to be exported; choose another"),
        (
            "good.jsonl --format preference --against other.jsonl --prefers json:dumps --out other.jsonl",
            "--out other.jsonl",
        ),
        ("good.jsonl --format preference --against good.jsonl --prefers json:dumps --out p", "p: no pair to write (12"),
    ],
)
def test_what_export_cannot_do_is_one_sentence(ft_rag: Run, arguments: str, sentence: str) -> None:
    """The thing, the value and the next step, and no file is left behind."""
    write(Path("good.jsonl"), good_lines())
    write(Path("other.jsonl"), good_lines())

    code, out, err = ft_rag("export", *arguments.split())

    assert (code, out) == (1, "")
    assert err.startswith(f"ft-rag: {sentence}")
    assert err.count("\n") == 1
    assert not Path("p").exists()
