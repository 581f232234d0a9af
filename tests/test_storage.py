"""Files are written whole or line by line, private, and read back without what a killed process tore."""

import json
import logging
import stat

import pytest

from llama_index_ft_rag.errors import RunFolderError
from llama_index_ft_rag.storage import append_row, make_private_folder, read_rows, write_json, write_rows


def test_a_journal_reads_back_what_was_appended(tmp_path):
    """Rows come back in order, non-ASCII text included."""
    path = tmp_path / "journal.jsonl"

    append_row(path, {"text": "你好"})
    append_row(path, {"text": "second"})

    assert list(read_rows(path)) == [{"text": "你好"}, {"text": "second"}]


def test_a_torn_last_line_is_skipped_and_said(tmp_path, caplog):
    """A process killed while writing loses its last line, not the file."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"n": 1}\n{"n": 2', encoding="utf-8")

    with caplog.at_level(logging.WARNING):
        rows = list(read_rows(path))

    assert rows == [{"n": 1}]
    assert "line 2 is torn and was skipped" in caplog.text


def test_appending_after_a_torn_line_does_not_join_it(tmp_path):
    """The row after a torn one stands on a line of its own."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"n": 1}\n{"n": 2', encoding="utf-8")

    append_row(path, {"n": 3})

    assert list(read_rows(path)) == [{"n": 1}, {"n": 3}]


def test_a_missing_journal_is_empty(tmp_path):
    """Nothing was written yet is not an error."""
    assert list(read_rows(tmp_path / "none.jsonl")) == []


def test_files_are_private(tmp_path):
    """Answers and documents are nobody else's business."""
    append_row(tmp_path / "journal.jsonl", {})
    write_json(tmp_path / "run.json", {})
    folder = make_private_folder(tmp_path / "run")

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "journal.jsonl", tmp_path / "run.json", folder)]
    assert modes == [0o600, 0o600, 0o700]


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    """A row that cannot be written does not cost what was there."""
    path = tmp_path / "rows.jsonl"
    write_rows(path, [{"n": 1}])

    with pytest.raises(TypeError):
        write_rows(path, [{"n": object()}])

    assert [item.name for item in tmp_path.iterdir()] == ["rows.jsonl"]
    assert list(read_rows(path)) == [{"n": 1}]


def test_broken_unicode_from_a_model_is_still_written(tmp_path):
    """A lone surrogate in an answer is escaped instead of crashing the run."""
    write_json(tmp_path / "whole.json", {"text": "\ud800"})
    append_row(tmp_path / "journal.jsonl", {"text": "\ud800"})

    assert json.loads((tmp_path / "whole.json").read_text()) == {"text": "\ud800"}
    assert list(read_rows(tmp_path / "journal.jsonl")) == [{"text": "\ud800"}]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """The error says which folder and what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(RunFolderError, match=r"file/run: this folder cannot be written .* choose another folder"):
        make_private_folder(tmp_path / "file" / "run")


def test_a_row_that_python_cannot_read_is_skipped(tmp_path):
    """A number of a million digits or endless brackets cost one line, not the journal."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"n": ' + "[" * 200_000 + '\n{"n": 1' + "0" * 5000 + '}\n{"n": 2}\n', encoding="utf-8")

    assert list(read_rows(path))[-1] == {"n": 2}
