"""The recorder's file: private, whole line by line, shared by processes, and never in the app's way."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from llama_index.core.callbacks import CallbackManager
from recording_programs import Nursery, Yes, open_nursery

from llama_index_ft_rag.errors import ConfigurationError, EmptyRecordingError, ExamplesError
from llama_index_ft_rag.recording import OpenAIFineTuningHandler, read_recording


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where apps are started that need a process of their own."""
    with open_nursery() as nursery:
        yield nursery


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the recording is."""
    return tmp_path / "calls.jsonl"


def app(path: Path, *, max_bytes: int | None = None) -> tuple[OpenAIFineTuningHandler, Yes]:
    """A recorder and the LLM that it listens to."""
    handler = OpenAIFineTuningHandler(path, max_bytes=max_bytes)
    return handler, Yes(callback_manager=CallbackManager([handler]))


def recorded(path: Path, *prompts: str) -> OpenAIFineTuningHandler:
    """A recorder that has heard these prompts."""
    handler, llm = app(path)
    for prompt in prompts:
        llm.complete(prompt)
    return handler


def shown(source: OpenAIFineTuningHandler | Path) -> list[str]:
    """The prompts in a recorder, or in a file."""
    examples = read_recording(source) if isinstance(source, Path) else source.examples(kinds=None)
    return [example.messages[0]["content"] for example in examples]


# -- Lines


@pytest.mark.parametrize(
    "text", ["Größe 你好 🦙", "a\u2028b\u2029c\x85d", "tab\tnull\x00\r\nend", "lone \ud800 surrogate", '"\\']
)
def test_any_text_comes_back_as_it_was(path: Path, text: str) -> None:
    """One call is one line of UTF-8, whatever is said in it."""
    recorded(path, text, "next")

    assert shown(path) == [text, "next"]
    assert len(path.read_bytes().decode("utf-8").split("\n")) == 3


def test_a_torn_last_line_is_skipped_and_named(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A killed process may leave half a line; the log says which."""
    recorded(path, "one", "two", "three")
    path.write_bytes(path.read_bytes()[:-20])
    with caplog.at_level(logging.WARNING):
        found = shown(path)

    assert found == ["one", "two"]
    assert [record.message for record in caplog.records] == [
        f"{path} line 3 is torn and was skipped; the call it held is lost"
    ]


@pytest.mark.parametrize(("cut", "found"), [(1, ["ö", "whole"]), (2, ["whole"]), (200, ["whole"]), (-25, ["whole"])])
def test_a_torn_line_is_sealed_off_by_the_next_append(path: Path, cut: int, found: list[str]) -> None:
    """The call after it is whole, wherever the line was torn; one that lacks its end alone is no loss."""
    recorded(path, "ö")
    path.write_bytes(path.read_bytes()[:-cut])
    recorded(path, "whole")

    assert shown(path) == found
    assert len(path.read_bytes().splitlines()) == 2


def test_processes_and_threads_append_at_once(nursery: Nursery, path: Path) -> None:
    """Four processes of four threads each: every line is whole, and every call is there once."""
    apps = [nursery.start("many", path) for _ in range(4)]
    returned = {(pid, name) for pid in apps for name in nursery.wait(pid)}
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    found = [re.findall(r"\[(\d+) ([\w-]+)\]", row["messages"][0]["content"]) for row in rows]

    assert len(found) == len(returned) == 4 * 4 * 20
    assert {(int(pid), name) for [(pid, name)] in found} == returned


def test_a_fork_while_others_record_does_not_hang(nursery: Nursery, path: Path) -> None:
    """A child records into the same file, whatever its parent's threads were doing when it was forked."""
    pid = nursery.start("forks", path)
    children = {f"child-{number}" for number in range(20)}

    assert nursery.wait(pid) == children
    assert {re.findall(r" ([\w-]+)\]", prompt)[0] for prompt in shown(path)} >= children


def test_reading_while_others_write_shows_whole_calls(path: Path) -> None:
    """A reader never sees half a call, nor a call twice."""
    handler, llm = app(path)
    writer = threading.Thread(target=lambda: [llm.complete(str(number)) for number in range(200)])
    writer.start()
    while writer.is_alive():
        found = shown(handler)
        assert found == [str(number) for number in range(len(found))]
    writer.join()

    assert shown(handler) == [str(number) for number in range(200)]


# -- The file


def test_the_file_and_its_folder_are_private(tmp_path: Path) -> None:
    """Prompts are nobody else's business; a folder that was there keeps its mode."""
    tmp_path.chmod(0o755)
    path = tmp_path / "new" / "calls.jsonl"
    recorded(path, "one")

    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, tmp_path)]
    assert modes == [0o600, 0o700, 0o755]


def test_a_file_that_is_moved_away_is_begun_anew(path: Path) -> None:
    """Log rotation: what comes later is in a new file under the old name, private again."""
    handler, llm = app(path)
    llm.complete("one")
    path.rename(path.with_suffix(".1"))
    llm.complete("two")

    assert (shown(path.with_suffix(".1")), shown(path), shown(handler)) == (["one"], ["two"], ["two"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_deleted_or_emptied_is_begun_anew(path: Path) -> None:
    """Nobody has to tell the app."""
    handler, llm = app(path)
    llm.complete("one")
    path.unlink()
    llm.complete("two")
    path.write_bytes(b"")
    llm.complete("three")

    assert shown(handler) == ["three"]


def test_a_relative_path_holds_when_the_app_changes_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is meant from where the app was when it made the handler."""
    monkeypatch.chdir(tmp_path)
    handler, llm = app(Path("calls.jsonl"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    llm.complete("one")

    assert shown(handler) == shown(tmp_path / "calls.jsonl") == ["one"]


def test_a_handler_started_again_shows_what_was_there(path: Path) -> None:
    """The file outlives its handler; a summary counts what this one has seen."""
    recorded(path, "one")
    again = recorded(path, "two")

    assert shown(again) == ["one", "two"]
    assert [event["messages"][0].content for event in again.get_finetuning_events().values()] == ["one", "two"]
    assert again.summary().finished == 1


def test_clear_shows_no_more_what_stays_in_the_file(path: Path) -> None:
    """Recording goes on behind it."""
    handler, llm = app(path)
    llm.complete("one")
    handler.clear()
    assert (shown(handler), handler.summary().finished) == ([], 0)
    llm.complete("two")

    assert (shown(handler), shown(path)) == (["two"], ["one", "two"])


@pytest.mark.parametrize(
    "rotate", [lambda path: path.rename(path.with_suffix(".1")), lambda path: os.truncate(path, 0)]
)
def test_clear_holds_for_the_file_it_was_said_of(path: Path, rotate: Callable[[Path], object]) -> None:
    """What is in a new file came later, however long the old one was."""
    handler, llm = app(path)
    llm.complete("one " * 100)
    handler.clear()
    rotate(path)
    llm.complete("two")

    assert shown(handler) == ["two"]


def test_no_recording_is_named(path: Path) -> None:
    """A wrong path is told apart from an empty recording."""
    with pytest.raises(ExamplesError, match=f"{path}: no such recording"):
        read_recording(path)
    OpenAIFineTuningHandler(path)

    assert read_recording(path) == []


# -- Files of others


@pytest.mark.parametrize(
    "content",
    [
        b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n',
        b"# A text\n\nwith lines.\n",
        b'[{"call_id": "1"}]\n',
        b"SQLite format 3\x00\x10\x00\x01\x01",
        b"\n",
        b"\x00" * 4096,
    ],
)
def test_a_file_of_another_kind_is_refused(path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A training file, a text, a database: nothing is written into what is no recording."""
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"calls\.jsonl: holds something else than a recording"):
        OpenAIFineTuningHandler(path)

    assert path.read_bytes() == content
    assert caplog.records == []


@pytest.mark.parametrize("name", ["calls.jsonl", "link.jsonl", "events.jsonl"])
def test_saving_onto_the_recording_is_refused(tmp_path: Path, name: str) -> None:
    """The training file, and the provenance beside it, need names of their own."""
    recording = tmp_path / ("events.provenance.jsonl" if name == "events.jsonl" else "calls.jsonl")
    handler = recorded(recording, "one")
    (tmp_path / "link.jsonl").symlink_to(recording)
    with pytest.raises(ConfigurationError, match="would overwrite the recording"):
        handler.save_finetuning_events(tmp_path / name)

    assert shown(handler) == ["one"]


def test_a_training_file_is_saved_whole_or_not_at_all(tmp_path: Path, path: Path) -> None:
    """It replaces what was there at once, and a failure on the way leaves the old one and no litter."""
    handler = recorded(path, "one")
    target = tmp_path / "events.jsonl"
    target.write_text("old")
    with target.open() as old:
        with pytest.raises(ZeroDivisionError):
            handler.save_finetuning_events(target, where=lambda example: 1 / 0)
        assert target.read_text() == "old"
        handler.save_finetuning_events(target)
        assert old.read() == "old"

    assert [json.loads(line)["messages"][0]["content"] for line in target.read_text().splitlines()] == ["one"]
    assert {each.name for each in tmp_path.iterdir()} == {"calls.jsonl", "events.jsonl", "events.provenance.jsonl"}


# -- Never in the app's way


@pytest.mark.parametrize("place", ["a folder", "below a file", "a name too long", "a link to itself"])
def test_what_cannot_be_written_stops_the_recording(
    tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log, the app goes on, and the calls are counted."""
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    paths = {
        "a folder": ".",
        "below a file": "file/calls.jsonl",
        "a name too long": "x" * 300,
        "a link to itself": "loop",
    }
    handler, llm = app(tmp_path / paths[place])
    answers = [llm.complete("Go on?").text for _ in range(3)]

    assert answers == ["yes"] * 3
    [record] = caplog.records
    assert "nothing more is recorded, the app goes on (" in record.message
    assert record.message.endswith("give the recorder a path that can be written")
    assert (handler.summary().finished, handler.summary().skipped) == (0, {"not written to the file": 3})
    assert handler.examples(kinds=None) == []
    with pytest.raises(EmptyRecordingError, match="3 x not written to the file"):
        handler.save_finetuning_events(tmp_path / "events.jsonl")


def test_what_is_no_file_stops_the_recording(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A pipe would never end to be read."""
    os.mkfifo(path)
    made: list[OpenAIFineTuningHandler] = []
    thread = threading.Thread(target=lambda: made.append(recorded(path, "Go on?")), daemon=True)
    thread.start()
    thread.join(10)

    assert [handler.summary().skipped for handler in made] == [{"not written to the file": 1}]
    assert len(caplog.records) == 1


def test_a_full_disk_stops_the_recording(nursery: Nursery, path: Path) -> None:
    """A call that fits only in part leaves nothing behind; one line in the log, and every call returns."""
    pid = nursery.start("full_disk", path)
    said = nursery.wait(pid)
    kept = len(shown(path))

    assert {f"full-{number}" for number in range(100)} <= said
    assert nursery.said[pid].count("ERROR") == 1
    assert f"skipped {{'not written to the file': {100 - kept}}}" in said
    assert 0 < kept < 100
    assert path.read_bytes().endswith(b"}\n")


def test_a_file_that_cannot_be_written_any_more_stops_the_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was recorded before stays readable for the app."""
    path = tmp_path / "folder" / "calls.jsonl"
    handler, llm = app(path)
    llm.complete("one")
    path.unlink()
    path.mkdir()
    llm.complete("two")
    path.rmdir()
    llm.complete("three")

    assert (handler.summary().finished, handler.summary().skipped) == (1, {"not written to the file": 2})
    assert len(caplog.records) == 1


@pytest.mark.parametrize("kind", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_lock_that_others_hold_does_not_hold_up_the_app(path: Path, kind: int) -> None:
    """A backup, or an app that was stopped in the middle of a write, may hold it for ever."""
    handler, llm = app(path)
    llm.complete("one")
    with path.open("rb") as other:
        fcntl.flock(other, kind)
        thread = threading.Thread(target=llm.complete, args=("two",), daemon=True)
        thread.start()
        thread.join(10)
        is_held_up = thread.is_alive()

    thread.join()
    assert not is_held_up
    assert handler.summary().finished + sum(handler.summary().skipped.values()) == 2


def test_an_app_that_closes_all_descriptors_keeps_its_own_files(tmp_path: Path) -> None:
    """As daemons do: the number that was the recording's is then another file's, and is left alone."""
    handler = recorded(tmp_path / "calls.jsonl", "one")
    numbers = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
    mine = next(number for number in numbers if _is_same(number, tmp_path / "calls.jsonl"))
    os.close(mine)
    others = os.open(tmp_path / "others.txt", os.O_RDWR | os.O_CREAT)
    with handler.recording():
        Yes().complete("two")

    assert (others, os.fstat(others).st_size) == (mine, 0)
    assert [call.messages[0]["content"] for call in handler.examples()] == ["one", "two"]
    os.close(others)


def test_a_file_of_others_under_our_name_ends_the_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Calls are counted from then on, and what is not ours stays as it is, also when ours comes back."""
    path = tmp_path / "calls.jsonl"
    handler = recorded(path, "one")
    path.rename(tmp_path / "rotated")
    path.write_text("not ours")
    with handler.recording():
        Yes().complete("two")
        path.rename(tmp_path / "others")
        (tmp_path / "rotated").rename(path)
        Yes().complete("three")

    assert (tmp_path / "others").read_text() == "not ours"
    assert handler.summary().skipped == {"not written to the file": 2}
    assert len(caplog.records) == 1


CLOSES_EVERYTHING = """
import gc
import os
from recording_programs import *

path, is_forked, is_called = Path(sys.argv[1]), sys.argv[2] == "forked", sys.argv[3] == "called"
handler = OpenAIFineTuningHandler(path)
llm = Yes(callback_manager=CallbackManager([handler]))
llm.complete("one")
if is_forked and (child := os.fork()):
    sys.exit(os.waitpid(child, 0)[1])
os.closerange(3, 256)
others = [path.with_name(f"other-{number}").open("w") for number in range(20)]
if is_called:
    llm.complete("two")
del handler, llm
gc.collect()
for other in others:
    other.write("of the app")
    other.close()
"""


@pytest.mark.parametrize("way", ["forked", "not forked"])
@pytest.mark.parametrize("use", ["called", "let go"])
def test_files_that_take_the_number_of_its_own_are_left_alone(path: Path, way: str, use: str) -> None:
    """A daemon closes what is open and opens files of its own; none is written into, and none is closed."""
    command = [sys.executable, "-c", CLOSES_EVERYTHING, str(path), way, use]
    run = subprocess.run(command, cwd=Path(__file__).parent, check=False, capture_output=True, text=True)
    others = {other.read_text() for other in path.parent.glob("other-*")}

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert others == {"of the app"}
    assert shown(path) == (["one", "two"] if use == "called" else ["one"])


def _is_same(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except OSError:
        return False
