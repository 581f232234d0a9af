"""What every cassette keeps to: it says what it is, names nobody, and exactly one test needs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cassette_files import CASSETTES, OFFLINE_SOURCE, SECRETS
from vcr.serializers import yamlserializer

TESTS = Path(__file__).parent
REPLAYED = sorted(path.stem for path in TESTS.glob("test_replayed_*.py"))
FILES = sorted(CASSETTES.rglob("*.yaml"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in FILES]
LOOP = "test_replayed_loop/test_the_whole_loop_on_ten_questions"

RUN_TWICE_AND_MORE = """
import json, os, pathlib, pytest, shutil, sys

class Failed:
    def __init__(self):
        self.names = set()
    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.names.add(report.nodeid.rpartition("/")[2].replace(".py::", "/"))

folder, *arguments = sys.argv[1:]
os.environ["FT_RAG_CASSETTES"] = folder
outcomes = {}
for path in sorted(pathlib.Path(folder).rglob("*.yaml")):
    name = f"{path.parent.name}/{path.stem}"
    path.rename(f"{path}.away")
    failed = Failed()
    # The loop takes seconds: it runs where its own cassette is away, and once where another one is.
    loop = [] if "whole_loop" in name or not outcomes else ["--deselect", "tests/test_replayed_loop.py"]
    pytest.main([*arguments, *loop], plugins=[failed])
    pathlib.Path(f"{path}.away").rename(path)
    outcomes[name] = sorted(failed.names)
print("\\n" + json.dumps(outcomes))
"""


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_cassette_states_its_source(path):
    """Its first lines say what answered, where, and under which model names; what is a toy is called one."""
    head = path.read_text(encoding="utf-8").partition("interactions:")[0]
    source = yaml.safe_load(head)["source"]

    assert list(source) == ["recorded_from", "url", "models"]
    assert source["recorded_from"] in {OFFLINE_SOURCE, "OpenAI"}
    assert (source["recorded_from"] == OFFLINE_SOURCE) == source["url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_cassette_names_nobody(path):
    """No key, cookie, organisation, client or machine is in it, in neither direction."""
    found = SECRETS.findall(path.read_text(encoding="utf-8"))

    assert found == []


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_cassette_keeps_few_headers(path):
    """Only the headers that decide how a message is read are kept."""
    interactions = yamlserializer.deserialize(path.read_text(encoding="utf-8"))["interactions"]
    kept = {
        name.lower()
        for interaction in interactions
        for side in ("request", "response")
        for name in interaction[side]["headers"]
    }

    assert interactions
    assert kept <= {"accept", "content-type", "retry-after", "retry-after-ms"}


def test_the_search_for_secrets_finds_them():
    """What the search looks for is found where it stands."""
    leaks = ["sk-abcdef123", "Bearer x", "Set-Cookie: a", "org-AbC123", "openai-organization", "x-stainless-os"]

    assert [leak for leak in leaks if not SECRETS.search(leak)] == []
    assert SECRETS.search("organization_id: org-scrubbed, organised, risk-averse") is None


def test_without_a_cassette_exactly_its_test_fails(tmp_path):
    """Taking any one cassette away fails the test of its name and no other; so none is unused, and none is shared."""
    folder = tmp_path / "cassettes"
    shutil.copytree(CASSETTES, folder)
    modules = [f"tests/{module}.py" for module in REPLAYED]
    command = [sys.executable, "-c", RUN_TWICE_AND_MORE, str(folder), "-q", "-p", "no:cacheprovider", *modules]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    process = subprocess.run(
        command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    outcomes = json.loads(process.stdout.splitlines()[-1])

    assert outcomes == {name: [name] for name in NAMES}
