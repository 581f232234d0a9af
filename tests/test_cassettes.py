"""What every cassette keeps to: it says what it is, names nobody, and exactly one test needs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cassette_files import CASSETTES, KEPT_HEADERS, OFFLINE_SOURCE, SECRETS, without_identity
from vcr.request import Request
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
        name
        for interaction in interactions
        for side in ("request", "response")
        for name in interaction[side]["headers"]
    }

    assert interactions
    assert [name for name in kept if not KEPT_HEADERS.fullmatch(name)] == []


def test_the_search_for_secrets_finds_them():
    """What the search looks for is found where it stands."""
    leaks = ["sk-abcdef123", "Bearer x", "Set-Cookie: a", "org-AbC123", "openai-organization", "x-stainless-os"]
    leaks.append("ft:gpt-4.1-mini:my-team:suffix:id")

    assert [leak for leak in leaks if not SECRETS.search(leak)] == []
    assert SECRETS.search("org-scrubbed, organised, risk-averse, ft:gpt-4.1:scrubbed::id, ft:a:ft-rag::id") is None


def test_organisations_are_scrubbed_in_both_directions():
    """An organisation's id and its name in a tuned model's name are replaced in address, request and reply."""
    tuned = "ft:gpt-4.1-mini:my-team:suffix:id"
    address = f"https://api.openai.com/v1/models/{tuned}"
    sent = Request("POST", address, f'{{"model": "{tuned}"}}', {"Authorization": "Bearer k", "Accept": "a"})
    reply = {"headers": {"openai-organization": ["x"]}, "body": {"string": b'{"organization_id": "org-AbC123"}'}}
    request, response = without_identity(sent), without_identity(reply)

    assert request.uri == "https://api.openai.com/v1/models/ft:gpt-4.1-mini:scrubbed:suffix:id"
    assert request.body == b'{"model": "ft:gpt-4.1-mini:scrubbed:suffix:id"}'
    assert dict(request.headers) == {"Accept": "a"}
    assert response == {"headers": {}, "body": {"string": b'{"organization_id": "org-scrubbed"}'}}


def test_recording_from_openai_leaves_scripted_cassettes_alone():
    """Only what the real service can be asked for is chosen to be recorded; a misspelt service is an error."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "--record-mode=rewrite",
        "-p",
        "no:cacheprovider",
    ]

    def collect(backend):
        environment = {**os.environ, "FT_RAG_CASSETTE_BACKEND": backend}
        arguments = [*command, "tests/test_replayed_jobs.py"]
        return subprocess.run(
            arguments, cwd=TESTS.parent, env=environment, capture_output=True, text=True, timeout=100, check=False
        )

    chosen, misspelt = collect("openai").stdout, collect("opneai").stderr

    assert "test_a_preference_job" in chosen
    assert "test_an_organisation_that_may_not_train" not in chosen
    assert "BACKEND=opneai: cassettes are recorded from 'offline' or 'openai'" in misspelt


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
