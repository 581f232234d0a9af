"""A process killed at any moment loses at most the calls in flight, and its file goes on to be used."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from recording_programs import Nursery, open_nursery

from llama_index_ft_rag.recording import OpenAIFineTuningHandler, read_recording

AT_ONCE = {"chat": 1, "long_chat": 1, "stream": 1, "engine": 1, "threads": 3, "tasks": 3}
"""How many calls an app has in flight."""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, and killed with SIGKILL")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where apps are started."""
    with open_nursery() as nursery:
        yield nursery


def recorded(path: Path) -> dict[int, list[str]]:
    """Names of the recorded calls, by process."""
    found = defaultdict(list)
    for example in read_recording(path):
        [(pid, name)] = re.findall(r"\[(\d+) ([\w-]+)\]", example.messages[-2]["content"])
        found[int(pid)].append(name)
    return found


@pytest.mark.parametrize("moment", range(20))
def test_a_kill_loses_at_most_the_calls_in_flight(nursery: Nursery, tmp_path: Path, moment: int) -> None:
    """Every call that had returned is in the file, once, and the next process goes on in the same file."""
    path = tmp_path / "calls.jsonl"
    dice = random.Random(moment)
    app = list(AT_ONCE)[moment % len(AT_ONCE)]
    pid = nursery.start(app, path)
    nursery.listen_to(pid, lines=dice.randint(1, 12))
    time.sleep(dice.random() / 100)
    returned = nursery.kill(pid)
    next_pid = nursery.start("twice", path)
    nursery.wait(next_pid)

    found = recorded(path)
    assert len(found[pid]) == len({*found[pid]})
    assert returned <= {*found[pid]}
    assert len({*found[pid]} - returned) <= AT_ONCE[app]
    assert found[next_pid] == ["twice-0", "twice-1"]


def test_processes_that_share_a_file_survive_each_other(nursery: Nursery, tmp_path: Path) -> None:
    """Four apps append to one file and are killed one after the other, while the others go on."""
    path = tmp_path / "calls.jsonl"
    dice = random.Random(4)
    apps = {nursery.start(app, path): app for app in ("long_chat", "threads", "engine", "long_chat")}
    returned = {}
    for pid in apps:
        nursery.listen_to(pid, lines=len(nursery.said[pid]) + dice.randint(3, 12))
        time.sleep(dice.random() / 100)
        returned[pid] = nursery.kill(pid)

    found = recorded(path)
    for pid, app in apps.items():
        assert returned[pid] <= {*found[pid]}
        assert len(found[pid]) <= len(returned[pid]) + AT_ONCE[app]
    assert len([line for line in path.read_bytes().splitlines() if not is_whole(line)]) <= len(apps)


def test_a_handler_shows_what_a_killed_process_recorded(nursery: Nursery, tmp_path: Path) -> None:
    """An app that starts again on the same path has the calls of its first life."""
    path = tmp_path / "calls.jsonl"
    pid = nursery.start("chat", path)
    nursery.listen_to(pid, lines=3)
    nursery.kill(pid)

    assert OpenAIFineTuningHandler(path).examples(kinds=None) == read_recording(path)
    assert len(read_recording(path)) >= 2


def is_whole(line: bytes) -> bool:
    """Whether a line is a whole row."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
