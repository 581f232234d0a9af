"""The README and the docs: their code runs, their links lead somewhere, their figures are the committed ones."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from llama_index_ft_rag import read_questions, read_recording
from llama_index_ft_rag.offline import (
    ApiFailure,
    ChatReply,
    ChatRequest,
    OfflineBackend,
    Request,
    Response,
    TrainRequest,
    TrainStep,
    serve,
)
from llama_index_ft_rag.offline.toys.readers import BuiltInResponder
from llama_index_ft_rag.recording import RecordingSummary
from llama_index_ft_rag.sample import sample_report

ROOT = Path(__file__).resolve().parent.parent
README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
TESTING = ROOT / "docs" / "testing.md"
"""Its examples are test files."""
PAGES = [README, CHINESE, ROOT / "CHANGELOG.md", *DOCS]

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
OPTION = re.compile(r"--[a-z][a-z-]+")
OTHERS_OPTIONS = {"--api-key", "--group"}
"""Options on these pages that belong to other commands than ours."""

QUESTIONS = [
    "Who is the chief executive officer?",
    "How many people did the company employ?",
    "What was annual recurring revenue from Basin subscriptions at September 30, 2025?",
    "What are standard payment terms?",
    "By how much did operating income rise?",
    "What did investing activities use in fiscal 2025?",
    "What was research and development expense?",
    "What were restructuring charges in fiscal 2025?",
    "Where is the company's headquarters?",
    "What is the net retention rate of Basin customers?",
    "What was revenue in fiscal 2025?",
    "Which products does the Metering segment sell?",
    "How many patents does the company hold?",
    "What dividends were paid in fiscal 2025?",
]


class AnyName:
    """The built-in toy models, under the names that the pages use."""

    def __init__(self) -> None:
        self._inner = BuiltInResponder()

    def models(self) -> None:
        """Accept any name."""

    def chat(self, request: ChatRequest) -> ChatReply | ApiFailure:
        """Let the teacher answer for every model that was not tuned here."""
        model = request.model if request.model.startswith("ft:") else "offline-teacher"
        return self._inner.chat(ChatRequest(model=model, messages=request.messages, parameters=request.parameters))

    def embed(self, texts: Sequence[str], *, model: str) -> list[list[float]]:
        """Embed."""
        return self._inner.embed(texts, model=model)

    def train(self, request: TrainRequest, on_step: Callable[[TrainStep], None]) -> dict[str, Any] | ApiFailure:
        """Train the toy student, whatever it is called."""
        return self._inner.train(replace(request, base_model="offline-student"), on_step)

    def load(self, model_id: str, weights: dict[str, Any]) -> None:
        """Make a tuned model answer."""
        self._inner.load(model_id, weights)


class Hurried:
    """A backend whose files and jobs are done at the first look, so that nobody waits 20 seconds for the next."""

    def __init__(self, backend: OfflineBackend) -> None:
        self._backend = backend

    def handle(self, request: Request) -> Response:
        """Look as often as it takes."""
        looks = 8 if request.method == "GET" and "/jobs/" in request.path else 1
        return [self._backend.handle(request) for _ in range(looks)][-1]


SETUP = f"""
from llama_index.core import Settings, VectorStoreIndex
from llama_index_ft_rag import Endpoint, load_documents

service = Endpoint.from_environment()
Settings.embed_model = service.embedding("text-embedding-3-small")
index = VectorStoreIndex.from_documents(load_documents(["reports"]))
query_engine = index.as_query_engine(llm=service.llm("gpt-4.1"), similarity_top_k=2)
questions = {QUESTIONS!r}
"""
"""What a reader of the pages has already: an app with an index."""

EXISTING_APP = f"""
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex

index = VectorStoreIndex.from_documents(SimpleDirectoryReader("reports").load_data())
questions = {QUESTIONS!r}

from llama_index.llms.openai import OpenAI

query_engine = index.as_query_engine(llm=OpenAI(model="gpt-4.1"), similarity_top_k=2)
for question in questions:
    print(query_engine.query(question))
"""
"""An app that knows nothing of this package."""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment that names a service, and a folder of documents beside it."""
    (tmp_path / "reports").mkdir()
    shutil.copy(sample_report(), tmp_path / "reports" / "annual_report.md")
    with OfflineBackend(responder=AnyName()) as backend, serve(Hurried(backend)) as server:
        urls = dict.fromkeys(("OPENAI_BASE_URL", "OPENAI_API_BASE"), server.url)
        yield {**os.environ, **urls, "OPENAI_API_KEY": "offline"}


def test_the_diff_of_the_recorder_makes_an_app_record(tmp_path: Path, environment: dict[str, str]) -> None:
    """An app that exists says the same with the diff, then what was recorded; each call is a line of the file."""
    before = run_python([EXISTING_APP], tmp_path, environment)
    files_before = sorted(path.name for path in tmp_path.iterdir())
    after = run_python([with_diff(EXISTING_APP, code_of(README, "diff")[1])], tmp_path, environment)

    assert files_before == ["app.py", "reports"]
    assert (before.returncode, before.stderr) == (after.returncode, after.stderr) == (0, "")
    assert after.stdout == f"{before.stdout}{RecordingSummary(finished=14, failed={}, kinds={'answer': 14})}\n"
    recorded = read_recording(tmp_path / "calls.jsonl")
    assert [(call.kind, call.question) for call in recorded] == [("answer", question) for question in QUESTIONS]
    assert "".join(f"{call.answer}\n" for call in recorded) == before.stdout


def test_the_diff_and_the_python_of_the_readme_run(tmp_path: Path, environment: dict[str, str]) -> None:
    """The diff of the first screen leaves an engine that answers, and all Python below it runs in its order."""
    distilling, recording = code_of(README, "diff")
    after = "\n".join(line[1:] for line in distilling.splitlines() if not line.startswith("-"))
    asking = f"print(engine.query({QUESTIONS[0]!r}))"

    run_python([with_diff(EXISTING_APP, recording)], tmp_path, environment)
    done = run_python([SETUP, after, asking, *code_of(README, "python")], tmp_path, environment)

    assert (done.returncode, done.stderr[-2000:] if done.returncode else "") == (0, "")
    verdict, answer = done.stdout.splitlines()[:2]
    assert "on 40 questions" in verdict.lower()
    assert answer


@pytest.mark.parametrize(
    "page",
    [page for page in DOCS if "```python" in page.read_text("utf-8") and page != TESTING],
    ids=lambda page: page.name,
)
def test_python_of_the_docs_runs(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Who copies the Python of a page, in its order, into an app with an index gets no error."""
    done = run_python([SETUP, *code_of(page, "python")], tmp_path, environment)

    assert (done.returncode, done.stderr[-2000:] if done.returncode else "") == (0, "")


def test_tests_of_the_docs_pass(tmp_path: Path) -> None:
    """Who copies an example of the page on testing into a file and calls pytest sees it pass."""
    for number, block in enumerate(code_of(TESTING, "python"), start=1):
        (tmp_path / f"test_example_{number}.py").write_text(block, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error::ResourceWarning"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    assert (done.returncode, done.stdout.splitlines()[-1].partition(" in ")[0]) == (0, "6 passed"), done.stdout


def test_question_files_are_read_as_the_readme_says(tmp_path: Path) -> None:
    """One question per line, or JSONL with `question` or `text`."""
    (tmp_path / "a.txt").write_text("Why?\n\nHow?\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"question": "Why?"}\n{"text": "How?"}\n', encoding="utf-8")

    read = [[question.text for question in read_questions(tmp_path / name)] for name in ("a.txt", "b.jsonl")]

    assert read == [["Why?", "How?"], ["Why?", "How?"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    """No link or picture of a page points at nothing, sections of the same page included."""
    text = page.read_text(encoding="utf-8")
    headings = {anchor_of(line) for line in text.splitlines() if line.startswith("#")}
    targets = [next(filter(None, match)) for match in LINK.findall(FENCED.sub("", text))]
    local = [target for target in targets if not target.startswith(("http://", "https://"))]

    broken = [
        target
        for target in local
        if not (target[1:] in headings if target.startswith("#") else (page.parent / target.partition("#")[0]).exists())
    ]

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_on_the_pages_exist(page: Path) -> None:
    """Every `--option` that a page names is one that `ft-rag` has."""
    from llama_index_ft_rag.cli.app import app

    commands = getattr(get_command(app), "commands", {}).values()
    known = {name for command in commands for parameter in command.params for name in parameter.opts}

    assert set(OPTION.findall(page.read_text(encoding="utf-8"))) - known - OTHERS_OPTIONS <= {"--version", "--help"}


@pytest.mark.parametrize(("page", "language"), [(README, "en"), (CHINESE, "zh")], ids=["en", "zh"])
def test_figures_are_the_committed_ones(page: Path, language: str) -> None:
    """Verdict and table of both READMEs are what `docs/make_picture.py` makes of `docs/demo.json`."""
    script = make_picture()
    figures = json.loads((ROOT / "docs" / "demo.json").read_text(encoding="utf-8"))
    text = page.read_text(encoding="utf-8")

    assert script.with_block(text, script.demo_block(figures, language)) == text


def test_the_script_makes_these_figures_from_a_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ft-rag demo` on this checkout, with the defaults, gives the figures that are committed."""
    from llama_index_ft_rag.cli.app import app

    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["demo", "--out", "run"], catch_exceptions=False)
    report = json.loads(Path("run/report.json").read_text(encoding="utf-8"))

    assert make_picture().figures_of(report) == json.loads((ROOT / "docs" / "demo.json").read_text(encoding="utf-8"))


def test_both_readmes_have_the_same_code_and_links() -> None:
    """The Chinese README leaves out no command, no code, no link and no section of the English one."""
    pages = [page.read_text(encoding="utf-8") for page in (README, CHINESE)]
    code = [
        [(kind, without_comments(body)) for kind, body in FENCED.findall(text) if kind != "mermaid"] for text in pages
    ]
    links = [{target for target, _ in LINK.findall(text) if not target.startswith(("#", "README"))} for text in pages]
    shapes = [[line.count("|") for line in text.splitlines() if line.startswith("|")] for text in pages]
    sections = [
        [line.count("#") for line in FENCED.sub("", text).splitlines() if line.startswith("#")] for text in pages
    ]

    assert code[0] == code[1]
    assert links[0] == links[1]
    assert shapes[0] == shapes[1]
    assert sections[0] == sections[1]


@pytest.mark.parametrize("name", ["report-light.png", "report-dark.png"])
def test_pictures_are_small(name: str) -> None:
    """The pictures load at once: they are PNG and below 250 kB."""
    picture = (ROOT / "docs" / name).read_bytes()

    assert picture[:4] == b"\x89PNG"
    assert len(picture) < 250_000


def code_of(page: Path, kind: str) -> list[str]:
    """The fenced blocks of one kind."""
    return [body for found, body in FENCED.findall(page.read_text(encoding="utf-8")) if found == kind]


def with_diff(app: str, diff: str) -> str:
    """The app with the diff applied."""
    lines = diff.splitlines()
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    assert before in app
    return app.replace(before, "\n".join(line[1:] for line in lines if not line.startswith("-")))


def run_python(blocks: Sequence[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run blocks of code as one script, in a process and a folder of its own."""
    script = folder / "app.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    command = [sys.executable, str(script)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def without_comments(code: str) -> str:
    """Code as it runs: comments may be translated."""
    return "\n".join(re.sub(r"\s*#.*$", "", line) for line in code.splitlines())


def anchor_of(heading: str) -> str:
    """The name by which GitHub links to a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower())
    return words.replace(" ", "-")


def make_picture() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("make_picture", ROOT / "docs" / "make_picture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
