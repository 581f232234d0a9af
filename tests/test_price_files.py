from __future__ import annotations

import json
from pathlib import Path

import pytest

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.price_files import is_day, is_month, read_price_rows

ENTRY = {"family": "my-model", "kind": "base", "source": "our contract", "as_of": "2026-11-01"}


def write(folder: Path, *entries: object) -> Path:
    """A price file with these entries."""
    path = folder / "prices.json"
    path.write_text(json.dumps({"prices": entries}), encoding="utf-8")
    return path


def test_rates_that_are_left_out_are_not_known(tmp_path: Path) -> None:
    """An entry needs a model, a kind, a source and a date; a rate is a number or `None`, never 0 by itself."""
    assert read_price_rows(write(tmp_path, {**ENTRY, "input": 1, "output": 0})) == [
        {
            "family": "my-model",
            "kind": "base",
            "source": "our contract",
            "as_of": "2026-11-01",
            "input": 1,
            "cached_input": None,
            "output": 0,
            "training": None,
            "batch_input": None,
            "batch_output": None,
            "holds_until": None,
        }
    ]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"price": 3}, "'price' is no field; use family, kind, source, as_of, input, cached_input, output, training,"),
        ({"source": None}, "'source' is missing or no text; every entry needs family, kind, source, as_of"),
        ({"source": " "}, "'source' is missing or no text"),
        ({"kind": "sold"}, "'kind' is 'sold'; write 'base' for a model as it is sold, 'tuned' for what is trained"),
        ({"as_of": "June"}, "'as_of' is 'June'; write the day or month of the source, as in 2026-06-30 or 2026-06"),
        ({"as_of": "2026-13"}, "'as_of' is '2026-13'; write the day or month"),
        ({"holds_until": "2026-06"}, "'holds_until' is '2026-06'; write a day, as in 2026-12-31, or leave it out"),
        ({"input": "1.50"}, "'input' is '1.50'; write USD per 1 million tokens, or leave it out where it is not known"),
        ({"output": -1}, "'output' is -1; write USD per 1 million tokens"),
        ({"output": True}, "'output' is True; write USD per 1 million tokens"),
        ({"training": float("nan")}, "'training' is nan; write USD per 1 million tokens"),
    ],
)
def test_a_wrong_entry_is_named_with_its_field(tmp_path: Path, fields: dict[str, object], problem: str) -> None:
    """One sentence: the file, which entry, whose price, which field, what to write."""
    path = write(tmp_path, {**ENTRY, "as_of": "2026-10"}, {**ENTRY, **fields})
    kind = fields.get("kind", "base")

    with pytest.raises(ConfigurationError) as caught:
        read_price_rows(path)

    assert str(caught.value).startswith(f"{path}: entry 2 (my-model, {kind}): {problem}")


def test_an_entry_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Two prices of one model and one day: nobody could tell which one holds."""
    path = write(tmp_path, {**ENTRY, "input": 1.0}, {**ENTRY, "input": 2.0})

    with pytest.raises(ConfigurationError) as caught:
        read_price_rows(path)

    assert str(caught.value) == f"{path}: entry 2 (my-model, base): entry 1 has the same family, kind and as_of"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "is not JSON ("),
        (b"\xff\xfe", "is not JSON ("),
        (b"[" * 100_000, "is not JSON ("),
        (b"[]", 'has no list "prices"; write {"prices": [{"family": '),
        (b'{"prices": {}}', 'has no list "prices"; write '),
        (b'{"prices": [3]}', 'entry 1 is no object; write {"family": '),
        (b'{"prices": [{"kind": 1}]}', "entry 1: 'family' is missing or no text"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    """The sentence shows what a price file looks like."""
    path = tmp_path / "prices.json"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        read_price_rows(path)

    assert str(caught.value).startswith(f"{path}: {problem}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path and what to pass."""
    with pytest.raises(ConfigurationError) as caught:
        read_price_rows(tmp_path / "gone.json")

    assert str(caught.value) == (
        f"{tmp_path / 'gone.json'}: cannot be read (No such file or directory); pass the path of a price file"
    )


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    path = write(tmp_path, ENTRY)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert [row["family"] for row in read_price_rows(path)] == ["my-model"]


@pytest.mark.parametrize(
    ("value", "day", "month"),
    [
        ("2026-06-30", True, False),
        ("2026-06", False, True),
        ("2026-06-31", False, False),
        ("2026-00", False, False),
        ("any day", False, False),
        (None, False, False),
    ],
)
def test_days_and_months_are_told_apart(value: object, day: bool, month: bool) -> None:
    """Only dates that exist count."""
    assert (is_day(value), is_month(value)) == (day, month)
