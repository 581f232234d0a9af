from __future__ import annotations

import json
import os
import threading
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llama_index_ft_rag.cli import main
from llama_index_ft_rag.errors import ConfigurationError, ExamplesError
from llama_index_ft_rag.prices import tuned_price
from llama_index_ft_rag.validation import FileReport, Problem, validate_file

FEW = Problem(
    line=None,
    code="few_examples",
    message="has 10 examples; OpenAI's guide recommends to begin with 50, and saw improvements with 50 to 100",
    severity="note",
)


def pair(number: int) -> dict[str, Any]:
    """A good preference pair."""
    outputs = {key: [{"role": "assistant", "content": key}] for key in ("preferred_output", "non_preferred_output")}
    return {"input": {"messages": [{"role": "user", "content": f"Question {number}?"}]}, **outputs}


def line(number: int, answer: str = "Four.") -> dict[str, Any]:
    """A good example of 17 tokens; its number makes it another one."""
    question = {"role": "user", "content": f"Question {number}?"}
    return {"messages": [question, {"role": "assistant", "content": answer}]}


def write(folder: Path, *rows: Any, end: str = "\n") -> Path:
    """A file of these lines."""
    path = folder / "examples.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + end, encoding="utf-8")
    return path


def found(report: FileReport) -> list[tuple[int | None, str, str]]:
    """Line, severity and code of each problem."""
    return [(problem.line, problem.severity, problem.code) for problem in report.problems]


def test_a_good_file_is_counted_and_priced(tmp_path: Path) -> None:
    """Ten examples of the same length: tokens, expected epochs and the price of all of them."""
    path = write(tmp_path, *(line(number) for number in range(10)))

    assert validate_file(path, model="gpt-4.1-mini-2025-04-14") == FileReport(
        path=path,
        model="gpt-4.1-mini-2025-04-14",
        size_bytes=path.stat().st_size,
        examples=10,
        format="chat",
        tokens=170,
        tokens_exact=True,
        example_tokens=array("I", [17] * 10),
        longest_example_tokens=17,
        longest_example_line=1,
        epochs=10,
        training_cost_usd=170 * 10 * 5 / 1e6,
        price=tuned_price("gpt-4.1-mini"),
        problems=(FEW,),
        problem_counts={"note": {"few_examples": 1}},
    )


def test_without_a_model_no_price_is_made_up(tmp_path: Path) -> None:
    """A file can be checked before a model is chosen; then its tokens are an estimate and have no price."""
    report = validate_file(write(tmp_path, *(line(number) for number in range(10))), n_epochs=2)

    assert (report.ok, report.tokens_exact, report.epochs) == (True, False, 2)
    assert report.estimate_because == "no model was named"
    assert (report.price, report.training_cost_usd) == (None, None)
    assert "not known: no model was named" in report.render()


def test_all_problems_of_a_file_come_with_their_lines(tmp_path: Path) -> None:
    """One pass finds every problem; blank and repeated lines are warnings."""
    path = write(tmp_path, line(1), "{", "", line(1), {"messages": []}, "[]")

    report = validate_file(path)

    assert (report.ok, report.examples) == (False, 5)
    assert found(report) == [
        (2, "error", "not_json"),
        (3, "warning", "blank_line"),
        (4, "warning", "duplicate"),
        (5, "error", "no_messages"),
        (6, "error", "not_object"),
        (None, "error", "too_few"),
    ]


def test_all_errors_are_raised_as_one(tmp_path: Path) -> None:
    """The one error lists every reason with its lines and leaves the warnings out."""
    path = write(tmp_path, *({"prompt": "a", "completion": str(n)} for n in range(12)), "")

    with pytest.raises(ExamplesError) as caught:
        validate_file(path).raise_for_errors()

    assert str(caught.value) == (
        f"{path} cannot be used for training, 12 errors:\n"
        "  lines 1-12: has `prompt`, `completion` (the old format for completion models);\n"
        "    it needs `messages`, a list of chat messages that ends with the answer\n"
        "    [wrong_schema]"
    )


def test_a_file_with_warnings_alone_raises_nothing(tmp_path: Path) -> None:
    """Warnings stop no upload."""
    report = validate_file(write(tmp_path, *(line(1) for _ in range(10))))

    report.raise_for_errors()

    assert (report.ok, len(report.warnings), report.errors) == (True, 9, ())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [(None, "error", "empty_file")]),
        (b"\n \n", [(1, "warning", "blank_line"), (2, "warning", "blank_line"), (None, "error", "empty_file")]),
        ('{"messages": []}'.encode("utf-16"), [(None, "error", "not_utf8")]),
        (
            b"\xef\xbb\xbf" + json.dumps(line(1)).encode() + b"\r\n",
            [(1, "warning", "byte_order_mark"), (None, "error", "too_few")],
        ),
        (b'{"a": "\xff"}', [(1, "error", "not_utf8"), (None, "error", "too_few")]),
    ],
)
def test_a_file_that_is_no_utf8_text_is_refused(
    tmp_path: Path, data: bytes, expected: list[tuple[int | None, str, str]]
) -> None:
    """Empty files and other encodings are named; a byte order mark is a warning, a carriage return none."""
    path = tmp_path / "examples.jsonl"
    path.write_bytes(data)

    assert found(validate_file(path)) == expected


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_path_that_cannot_be_read_is_an_error_at_once(tmp_path: Path, name: str) -> None:
    """A missing file or a folder has no report."""
    with pytest.raises(ExamplesError, match=r"cannot be read \(.*\); pass the path of a JSONL file"):
        validate_file(tmp_path / name)


def test_a_validation_file_that_is_missing_is_an_error_at_once(tmp_path: Path) -> None:
    """It is said before the training file is read."""
    with pytest.raises(ExamplesError, match=r"validation\.jsonl: cannot be read \(No such file or directory\)"):
        validate_file(write(tmp_path, line(1)), validation=tmp_path / "validation.jsonl")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    """What another program writes needs no file of its own."""
    file, pipe = write(tmp_path, *map(line, range(10))), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(file.read_bytes()))
    writer.start()

    report = validate_file(pipe)
    writer.join()

    assert report == replace(validate_file(file), path=pipe)


def test_fewer_examples_may_be_allowed(tmp_path: Path) -> None:
    """A service with another minimum, or a validation file, needs fewer than ten."""
    path = write(tmp_path, line(1), line(2), line(3), end="")

    assert validate_file(path, minimum=3).ok
    assert validate_file(path).errors == (
        Problem(line=None, code="too_few", message="has 3 examples; at least 10 are needed"),
    )


def test_an_example_too_long_for_the_model_is_a_warning(tmp_path: Path) -> None:
    """The service would cut off the answer without a word, so the report says it."""
    rows = [line(number) for number in range(9)] + [line(9, "many words here " * 2_000)]

    report = validate_file(write(tmp_path, *rows), model="gpt-3.5-turbo-0613")

    assert report.warnings == (
        Problem(
            line=10,
            code="too_long",
            message="has 6,016 tokens and gpt-3.5-turbo-0613 takes 4,096: its end, the answer, is cut off",
            severity="warning",
        ),
    )


def test_formats_do_not_mix(tmp_path: Path) -> None:
    """The first recognised line decides the format of the file, and a job may ask for another."""
    path = write(tmp_path, pair(1), line(1))

    report = validate_file(path, minimum=1, expected="chat")

    assert report.format == "preference"
    assert [problem.code for problem in report.errors] == ["mixed_formats", "wrong_format"]


def test_a_file_larger_than_services_take_is_refused(tmp_path: Path) -> None:
    """Beyond 512 MB no upload is tried."""
    path = write(tmp_path, *(line(number) for number in range(10)))
    with path.open("r+b") as stream:
        stream.truncate(512_000_002)

    assert validate_file(path).errors == (
        Problem(
            line=11,
            code="line_too_long",
            message="is longer than 32 MB and was not read; one line holds one example",
        ),
        Problem(
            line=None,
            code="too_large",
            message="has 513 MB; at most 512 MB are taken as a file, and 8 GB in parts (OpenAI's Uploads API)",
        ),
    )


def test_the_report_reads_well(tmp_path: Path) -> None:
    """Counts, figures, errors and warnings, with the lines of equal problems together."""
    path = write(tmp_path, *({"text": "a", "label": str(n)} for n in range(3)), line(1), "", line(1))

    assert validate_file(path, model="gpt-4.1").render() == (
        f"{path}: NOT ready for training (4 errors, 2 warnings)\n"
        "  examples         5 (chat format, for supervised training)\n"
        "  tokens           34\n"
        "  per example      17 (p5), 17 (p50), 17 (p95); 17 (longest, line 4)\n"
        "  epochs           20\n"
        "  training cost    $0.017 for all epochs\n"
        "  price            $25.00 per 1M tokens (OpenAI pricing page, fine-tuning table,\n"
        "                   as of 2026-06)\n"
        "errors\n"
        "  lines 1-3: has `text`, `label` (a format for classifiers); it needs\n"
        "    `messages`, a list of chat messages that ends with the answer [wrong_schema]\n"
        "  the file: has 5 examples; at least 10 are needed [too_few]\n"
        "warnings\n"
        "  line 5: is blank; some services refuse blank lines [blank_line]\n"
        "  line 6: says the same as line 4 [duplicate]\n"
    )


def test_many_problems_of_a_kind_are_cut_short(tmp_path: Path) -> None:
    """A report stays readable when a thousand lines are wrong in different ways and places."""
    rows = [{f"key{number}": 1} for number in range(500)] + [line(number) if number % 2 else "" for number in range(40)]

    text = validate_file(write(tmp_path, *rows)).render()

    assert "  and 495 more of the kind [wrong_schema]\n" in text
    assert "  lines 501, 503, 505, 507, 509, 511, 513, 515, ...: is blank" in text


def test_an_unreadable_file_has_no_price(tmp_path: Path) -> None:
    """No cost is shown where no example could be read, and an unknown model has none either."""
    assert "not known: no example could be read" in validate_file(write(tmp_path, "{"), model="gpt-4.1").render()
    assert "not known: no price for my-model" in validate_file(write(tmp_path, line(1)), model="my-model").render()


def test_the_report_is_json_able(tmp_path: Path) -> None:
    """A program gets everything a reader gets."""
    value = validate_file(write(tmp_path, "{}"), model="gpt-4.1").to_dict()

    assert json.loads(json.dumps(value)) == value
    assert (value["ok"], value["examples"], len(value["problems"])) == (False, 1, 2)


def test_every_number_of_examples_has_its_advice(tmp_path: Path) -> None:
    """Below 10 an error, below 50 and below 1,000 a note of its own, and nothing above."""
    advice = {}
    for number in (9, 10, 49, 50, 999, 1000):
        report = validate_file(write(tmp_path, *map(line, range(number))))
        advice[number] = [(problem.severity, problem.code) for problem in report.problems]

    assert advice == {
        9: [("error", "too_few")],
        10: [("note", "few_examples")],
        49: [("note", "few_examples")],
        50: [("note", "under_1000")],
        999: [("note", "under_1000")],
        1000: [],
    }


def test_the_format_says_which_job_takes_the_file(tmp_path: Path) -> None:
    """Chats are for supervised jobs, pairs for DPO, and examples for a grader for none."""
    graded = {"messages": [{"role": "user", "content": "2 + 2?"}], "reference": "4"}

    methods = [validate_file(write(tmp_path, row)).methods for row in (line(1), pair(1), graded, {"text": "x"})]

    assert methods == [("supervised",), ("dpo",), (), ()]


def test_each_example_has_its_tokens_by_line(tmp_path: Path) -> None:
    """Blank and wrong lines have none; percentiles are those of real examples, by nearest rank."""
    rows = [line(0), "", "{", *(line(number, "word " * number) for number in range(1, 20))]

    report = validate_file(write(tmp_path, *rows), model="gpt-4.1", threads=2)

    assert list(report.example_tokens) == [17, 0, 0, *(16 + number for number in range(1, 20))]
    assert report.token_percentiles == {"p5": 17, "p50": 25, "p95": 34}
    assert (report.longest_example_tokens, report.longest_example_line) == (35, 22)


def test_any_number_of_threads_gives_the_same_report(tmp_path: Path) -> None:
    """Counts and problems come in the order of the lines, however many threads count."""
    rows = [line(n, "word " * (n * 97 % 3000)) if n % 7 else {"messages": [n]} for n in range(400)]
    path = write(tmp_path, *rows)

    one, four = (validate_file(path, model="gpt-3.5-turbo-0613", threads=threads) for threads in (1, 4))

    assert one == four
    assert one.problem_counts["error"] == {"bad_message": 58, "last_not_assistant": 58}


def test_at_least_one_thread_is_needed(tmp_path: Path) -> None:
    """A number nobody can mean is refused by its name."""
    with pytest.raises(ConfigurationError, match=r"threads=0: at least one thread is needed"):
        validate_file(write(tmp_path, line(1)), threads=0)


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    """Those that counted end with the report."""
    validate_file(write(tmp_path, *map(line, range(500))), threads=4)

    left = [thread for thread in threading.enumerate() if thread.name.startswith("ft-rag-count")]
    for thread in left:
        thread.join(timeout=10)

    assert not any(thread.is_alive() for thread in left)


def test_of_millions_of_problems_a_thousand_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    """A file of another kind gives a short report with true numbers."""
    path = write(tmp_path, *({"text": "a", "label": number // 2} for number in range(5000)))

    report = validate_file(path)

    assert report.problem_counts == {"error": {"wrong_schema": 5000}, "warning": {"duplicate": 2500}}
    assert (len(report.errors), len(report.warnings), report.count("error")) == (1000, 1000, 5000)
    assert report.render().startswith(f"{path}: NOT ready for training (5,000 errors, 2,500 warnings)\n")
    assert "and 4,000 more of the kind [wrong_schema]\n" in report.render()


def test_images_are_counted_and_make_the_tokens_an_estimate(tmp_path: Path) -> None:
    """What an image costs is not known before the job."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/meter.png"}}
    rows = [line(number) for number in range(10)]
    rows[3]["messages"][0]["content"] = [image, image]

    report = validate_file(write(tmp_path, *rows), model="gpt-4o")

    assert (report.ok, report.images, report.tokens_exact) == (True, 2, False)
    assert "  images           2\n" in report.render()
    assert "  estimated        images are not counted\n" in report.render()


@pytest.mark.parametrize(
    ("model", "answer", "because"),
    [
        ("gpt-4.1", "Four.", None),
        ("gpt-6-sol", "Four.", "no source names the tokenizer of gpt-6-sol"),
        ("gpt-4.1", "好" * 250_000, "no tokenizer's table on this machine, or a text too long to count in one piece"),
    ],
)
def test_an_estimate_says_why_it_is_one(tmp_path: Path, model: str, answer: str, because: str | None) -> None:
    """Where the tokenizer is known the count is exact."""
    report = validate_file(write(tmp_path, line(1, answer)), model=model)

    assert (report.tokens_exact, report.estimate_because) == (because is None, because)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_breaks_off_is_an_error() -> None:
    """A disk or a network that fails in the middle gives no report of half a file."""
    with pytest.raises(ExamplesError, match=r"/proc/self/mem: cannot be read \(.*\); pass the path of a JSONL file"):
        validate_file("/proc/self/mem")


def test_windows_line_ends_are_fine(tmp_path: Path) -> None:
    """A carriage return is white space in JSON, so nothing is said."""
    path = tmp_path / "examples.jsonl"
    path.write_bytes(b"".join(json.dumps(line(number)).encode() + b"\r\n" for number in range(10)))

    report = validate_file(path)

    assert (report.problems, report.notes) == ((FEW,), (FEW,))


def test_an_example_in_both_files_is_an_error_of_the_validation_file(tmp_path: Path) -> None:
    """Written in another order or with other spaces, it is still the same example."""
    training = write(tmp_path, *map(line, range(20)))
    held_out = tmp_path / "validation.jsonl"
    same = json.dumps({"messages": [dict(reversed(m.items())) for m in line(7)["messages"]]}, indent=None)
    held_out.write_text(f"{json.dumps(line(99))}\n{same}\n", encoding="utf-8")

    report = validate_file(training, validation=held_out)

    assert report.validation is not None
    assert (report.ok, report.errors, report.validation.purpose) == (False, (), "validation")
    assert report.validation.problems == (
        Problem(
            line=2,
            code="in_training",
            message="stands in line 8 of the training file too; the two must share no example",
        ),
    )


def test_a_validation_file_may_be_small_and_costs_nothing(tmp_path: Path) -> None:
    """It is checked as the training file is, in the same format, and is reported below it."""
    training = write(tmp_path, *map(line, range(10)))
    held_out = tmp_path / "validation.jsonl"
    held_out.write_text(json.dumps(line(99)) + "\n", encoding="utf-8")

    report = validate_file(training, model="gpt-4.1", validation=held_out)

    assert report.ok
    assert report.render().partition("\n\n")[2] == (
        f"{held_out}: ready for validation (0 errors, 0 warnings)\n"
        "  examples         1 (chat format, for supervised training)\n"
        "  tokens           17\n"
        "  per example      17 (p5), 17 (p50), 17 (p95); 17 (longest, line 1)\n"
        "  cost             none: tokens of a validation file are not charged\n"
    )


def test_the_errors_of_both_files_are_raised_as_one(tmp_path: Path) -> None:
    """A validation file in another format is refused with the training file's name beside its own."""
    training = write(tmp_path, *map(line, range(9)))
    held_out = tmp_path / "validation.jsonl"
    held_out.write_text(json.dumps(pair(1)) + "\n", encoding="utf-8")

    with pytest.raises(ExamplesError) as caught:
        validate_file(training, validation=held_out).raise_for_errors()

    assert str(caught.value) == (
        f"{training} cannot be used for training, 1 error:\n"
        "  the file: has 9 examples; at least 10 are needed [too_few]\n"
        f"{held_out} cannot be used for validation, 1 error:\n"
        "  the file: is in the preference format; this job needs the chat format\n"
        "    [wrong_format]"
    )


def test_the_command_takes_both_files_and_the_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says whether the job may be begun, the object why not."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, *map(line, range(10)))
    Path("validation.jsonl").write_text(json.dumps(line(3)) + "\n", encoding="utf-8")
    arguments = ["validate", "examples.jsonl", "--validation", "validation.jsonl", "--method", "dpo", "--json"]

    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--threads", "1"])

    value = json.loads(capsys.readouterr().out)
    assert (ended.value.code, value["ok"], value["methods"]) == (1, False, ["supervised"])
    assert value["problem_counts"]["error"] == {"wrong_format": 1}
    assert value["validation"]["problem_counts"]["error"] == {"wrong_format": 1, "in_training": 1}


REAL_FILES = {
    "ftjsonl/cookbook_toy_chat_fine_tuning.jsonl": ("chat", {"too_few"}),
    "ftjsonl/foundry_countdown_raw_first20.jsonl": ("unknown", {"wrong_schema"}),
    "ftjsonl/foundry_dpo_orca_first60.jsonl": ("preference", set()),
    "ftjsonl/foundry_gsm8k_chat_validation.jsonl": ("chat", set()),
    "ftjsonl/foundry_sarcasm_qa.jsonl": ("unknown", {"wrong_schema"}),
    "ftjsonl/foundry_stock_toolcall_training.jsonl": ("chat", set()),
    "ftjsonl/foundry_zava_rft_test_first12.jsonl": ("chat", {"reinforcement_format"}),
    "ftjsonl/foundry_zava_rft_test_fixed_first12.jsonl": ("chat", {"reinforcement_format"}),
    "ftjsonl/pirate_training_set.jsonl": ("chat", set()),
    "ftjsonl/ruby_sarcastic.jsonl": ("chat", set()),
    "ftjsonl/ruby_sentiment.jsonl": ("unknown", {"wrong_schema", "too_few"}),
    "ftjsonl/ruby_train.jsonl": ("unknown", {"wrong_schema", "too_few"}),
    "post/llm-finetuning_finetuning_events.jsonl": ("chat", set()),
}


@pytest.mark.skipif("FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder")
@pytest.mark.parametrize("name", REAL_FILES)
def test_real_files_pass_or_are_refused_for_the_right_reason(name: str) -> None:
    """Training files found in public pass where they are right and are refused for what is wrong in them."""
    report = validate_file(Path(os.environ["FT_RAG_TEST_DATA"]) / name, model="gpt-4.1-mini")

    assert (report.format, {problem.code for problem in report.errors}) == REAL_FILES[name]


@pytest.mark.skipif("FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder")
def test_the_committed_file_of_the_blog_post_costs_what_it_did() -> None:
    """65 examples, 81,892 tokens as the models of 2023 count them."""
    path = Path(os.environ["FT_RAG_TEST_DATA"]) / "post" / "llm-finetuning_finetuning_events.jsonl"
    report = validate_file(path, model="gpt-3.5-turbo-0613")

    assert (report.examples, report.tokens, report.epochs, report.warnings) == (65, 81_892, 3, ())


def table_in_the_docs() -> dict[str, str]:
    """What the page says of each file."""
    page = (Path(__file__).parents[1] / "docs" / "validation.md").read_text(encoding="utf-8")
    rows = [row.strip("|").split("|") for row in page.splitlines() if row.startswith("| `") and ".jsonl" in row]
    return {cells[0].strip().strip("`"): " | ".join(cell.strip() for cell in cells[1:]) for cells in rows}


def row_of(report: FileReport) -> str:
    """The same, from a report."""
    codes = [f"{code} {number:,}" for counts in report.problem_counts.values() for code, number in counts.items()]
    ready = "ready" if report.ok else "refused"
    return f"{report.examples} | {report.format} | {report.tokens:,} | {ready} | {', '.join(codes) or 'nothing'}"


@pytest.mark.skipif("FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder")
def test_the_docs_say_what_each_real_file_gives() -> None:
    """Every line of the page's table is what the command finds."""
    folder = Path(os.environ["FT_RAG_TEST_DATA"])

    assert table_in_the_docs() == {
        Path(name).name: row_of(validate_file(folder / name, model="gpt-4.1-mini")) for name in REAL_FILES
    }
