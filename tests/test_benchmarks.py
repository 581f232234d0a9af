"""The scripts in benchmarks/ run and print what the documentation quotes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = ("--questions", "16", "--rounds", "1")
FIELDS = {"name", "value", "unit", "peer", "peer_value", "ratio", "aim", "met"}


def run_loop(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script on its smallest input, without a long report."""
    environment = {name: value for name, value in os.environ.items() if name != "FT_RAG_TEST_DATA"}
    command = [sys.executable, str(BENCHMARKS / "loop.py"), *SMALL, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="this platform does not tell the memory of a process")
def test_the_loop_is_measured_in_one_object_of_rows():
    """Every row has all fields; what was not measured is null, and the same seed gives the same result."""
    process = run_loop("--json")
    rows = {row["name"]: row for row in json.loads(process.stdout)["rows"]}

    assert all(set(row) == FIELDS for row in rows.values())
    assert {name: row["value"] is not None for name, row in rows.items()} == {
        "ft-rag demo": True,
        "same seed, two processes: same questions, examples, scores": True,
        "ft-rag run on a long report": False,
        "peak memory of that run": False,
        **{
            f"import {what} of {part}": True
            for part in ("llama_index_ft_rag", "its handler", "all of it")
            for what in ("time", "memory")
        },
    }
    assert rows["same seed, two processes: same questions, examples, scores"]["met"] is True
    assert process.stderr == "skipped: no long report; name one with --pdf or FT_RAG_TEST_DATA\n"


def test_the_offline_backend_is_measured_beside_its_peers():
    """Every row has all fields and a peer from the same run; a large upload adds less memory than its size."""
    command = [sys.executable, str(BENCHMARKS / "offline.py"), "--json", "--requests=64", "--clients=4", "--rounds=1"]
    process = subprocess.run([*command, "--upload-mb=40"], capture_output=True, text=True, timeout=300, check=False)
    rows = {row["name"]: row for row in json.loads(process.stdout)["rows"]}

    assert all(set(row) == FIELDS and row["peer_value"] is not None for row in rows.values())
    assert {name for name, row in rows.items() if row["aim"] != "-"} == {
        "chat per second, loopback, 4 clients",
        "memory added by the upload of 40 MB, loopback",
        "memory added by the upload of 40 MB, in process",
    }
    assert all(rows[f"memory added by the upload of 40 MB, {door}"]["met"] for door in ("loopback", "in process"))
    assert process.stderr == ""


def test_the_recorder_is_measured_against_the_floor_in_the_same_run():
    """Every way of recording has its time beside the floor's; what it keeps in a file does not grow in memory."""
    sizes = ("--rounds=3", "--calls=4", "--memory-calls=400", "--no-peer")
    command = [sys.executable, str(BENCHMARKS / "recorder.py"), "--json", *sizes]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    rows = [row for row in json.loads(process.stdout)["rows"] if row["name"] != "  its spread"]

    assert all(set(row) == FIELDS and row["value"] is not None for row in rows)
    assert [(row["name"], row["unit"], row["aim"], row["peer_value"] is not None) for row in rows] == [
        ("a call without a handler", "us", "-", False),
        ("the floor in a loop of its own", "us", "-", False),
        ("added per call: file, attach()", "us", "ratio <= 2", True),
        ("added per call: file, callbacks", "us", "ratio <= 2", True),
        ("added per call: memory, attach()", "us", "ratio <= 1", False),
        ("added per call: memory, callbacks", "us", "ratio <= 1", False),
        ("added per call: handler made, not used", "us", "-", False),
        ("memory added by 400 calls: file, attach()", "MB", "< 20", False),
        ("memory added by 400 calls: file, callbacks", "MB", "< 20", False),
    ]
    assert [row["met"] for row in rows[-2:]] == [True, True]
    assert process.stderr == "skipped: llama-index-finetuning 0.4.2: not asked for\n"


def test_curation_is_measured_against_every_pair_compared():
    """Every row has all fields, and the recall is that against a search that compares all."""
    command = [sys.executable, str(BENCHMARKS / "curation.py"), "--json", "--examples=100,200", "--truth=300"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    rows = {row["name"]: row for row in json.loads(process.stdout)["rows"]}
    recall = [row for name, row in rows.items() if name.startswith("near duplicates found, of ")]

    assert all(set(row) == FIELDS for row in rows.values())
    assert [(row["value"], row["met"]) for row in recall] == [(1.0, True)]
    assert process.stderr == ""


def test_validation_is_measured_beside_the_limit_and_the_old_check():
    """Every row has all fields; the limit counts the same tokens, and a small file is judged by nothing else."""
    command = [
        sys.executable,
        str(BENCHMARKS / "validation.py"),
        "--json",
        "--examples=400",
        "--threads=2",
        "--rounds=1",
    ]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    rows = json.loads(process.stdout)["rows"]

    assert all(set(row) == FIELDS and row["peer_value"] is not None for row in rows)
    assert [(row["name"], row["aim"], row["met"]) for row in rows] == [
        ("checked and counted", "-", None),
        ("the same beside the old check", "-", None),
        ("memory added by the file", "-", None),
        ("tokens of all texts", "equal", True),
    ]
    assert (process.returncode, process.stderr) == (0, "")
