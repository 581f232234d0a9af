from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.prices import tuned_price
from llama_index_ft_rag.validation import FileReport, Problem, validate_file


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
        examples=10,
        format="chat",
        tokens=170,
        tokens_exact=True,
        longest_example_tokens=17,
        epochs=10,
        training_cost_usd=170 * 10 * 5 / 1e6,
        price=tuned_price("gpt-4.1-mini"),
        problems=(),
    )


def test_without_a_model_no_price_is_made_up(tmp_path: Path) -> None:
    """A file can be checked before a model is chosen; then its tokens are an estimate and have no price."""
    report = validate_file(write(tmp_path, *(line(number) for number in range(10))), n_epochs=2)

    assert (report.ok, report.tokens_exact, report.epochs) == (True, False, 2)
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
    pair = {"input": {"messages": [{"role": "user", "content": "Why?"}]}}
    for key in ("preferred_output", "non_preferred_output"):
        pair[key] = [{"role": "assistant", "content": key}]  # type: ignore[assignment]
    path = write(tmp_path, pair, line(1))

    report = validate_file(path, minimum=1, expected="chat")

    assert report.format == "preference"
    assert found(report) == [(2, "error", "mixed_formats"), (None, "error", "wrong_format")]


def test_a_file_larger_than_services_take_is_refused(tmp_path: Path) -> None:
    """Beyond 512 MB no upload is tried."""
    path = write(tmp_path, *(line(number) for number in range(10)))
    with path.open("r+b") as stream:
        stream.truncate(512_000_002)

    assert "too_large" in [problem.code for problem in validate_file(path).errors]


def test_the_report_reads_well(tmp_path: Path) -> None:
    """Counts, figures, errors and warnings, with the lines of equal problems together."""
    path = write(tmp_path, *({"text": "a", "label": str(n)} for n in range(3)), line(1), "", line(1))

    assert validate_file(path, model="gpt-4.1").render() == (
        f"{path}: NOT ready for training (4 errors, 2 warnings)\n"
        "  examples         5 (chat format)\n"
        "  tokens           34; the longest example has 17\n"
        "  epochs           20\n"
        "  training cost    $0.02 for all epochs\n"
        "  price            $25.00 per 1M tokens (OpenAI pricing page, fine-tuning table, as of 2026-06)\n"
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


REAL_FILES = {
    "ftjsonl/cookbook_toy_chat_fine_tuning.jsonl": ("chat", {"too_few"}),
    "ftjsonl/foundry_countdown_raw_first20.jsonl": ("unknown", {"wrong_schema"}),
    "ftjsonl/foundry_dpo_orca_first60.jsonl": ("preference", set()),
    "ftjsonl/foundry_gsm8k_chat_validation.jsonl": ("chat", set()),
    "ftjsonl/foundry_sarcasm_qa.jsonl": ("unknown", {"wrong_schema"}),
    "ftjsonl/foundry_stock_toolcall_training.jsonl": ("chat", set()),
    "ftjsonl/foundry_zava_rft_test_first12.jsonl": ("chat", {"last_not_assistant"}),
    "ftjsonl/foundry_zava_rft_test_fixed_first12.jsonl": ("chat", {"last_not_assistant"}),
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

    assert (report.examples, report.tokens, report.epochs, report.problems) == (65, 81_892, 3, ())
