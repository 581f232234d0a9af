"""What `import llama_index_ft_rag` gives and leaves alone, and what is said where an optional package is missing."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.evaluation import BaseEvaluator

import llama_index_ft_rag
from llama_index_ft_rag import (
    BaseLLMFinetuneEngine,
    OpenAIFinetuneEngine,
    OpenAIFineTuningHandler,
    RagasEvaluator,
    errors,
)
from llama_index_ft_rag.errors import FtRagError

REPOSITORY = Path(__file__).parents[1]

OPTIONAL = ["ragas", "datasets", "langchain", "langchain_core", "langchain_community", "langchain_openai", "instructor"]
OPTIONAL += ["pandas", "scipy", "matplotlib", "torch", "transformers", "typer", "rich", "jinja2", "bs4", "pypdfium2"]

WATCHED_IMPORT = """
import json, logging, sys, warnings
import llama_index.core, llama_index.embeddings.openai, llama_index.llms.openai, llama_index.llms.openai_like
def state():
    names = [None, *sorted(logging.root.manager.loggerDict)]
    loggers = {str(name): logging.getLogger(name) for name in names if name is None or "ft_rag" in name}
    configured = {name: (logger.level, len(logger.handlers), logger.propagate) for name, logger in loggers.items()}
    return {"modules": sorted(sys.modules), "loggers": configured, "filters": len(warnings.filters)}
before = state()
from llama_index_ft_rag import *
print(json.dumps({"before": before, "after": state()}))
"""

# Each part is tried where none of the optional packages can be found. They are hidden only after the import:
# LlamaIndex itself brings jinja2.
WITHOUT_OPTIONAL = """
import json, os, sys
from pathlib import Path
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
import llama_index_ft_rag as ft
from llama_index_ft_rag import *
from llama_index_ft_rag.cli import main
from llama_index_ft_rag.errors import MissingExtraError
from llama_index_ft_rag.report import RunFacts

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name == "ragas":
            said["ragas tracks"] = os.environ.get("RAGAS_DO_NOT_TRACK")
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

said, hidden, folder = {}, set(json.loads(sys.argv[1])), Path(sys.argv[2])
for name in [name for name in sys.modules if name.partition(".")[0] in hidden]:
    del sys.modules[name]
sys.meta_path.insert(0, Nowhere())

def attempt(part, action):
    try:
        action()
    except MissingExtraError as exc:
        said[part] = str(exc)

def arm(name, value):
    ids = [f"q{number}" for number in range(9)]
    answers = [ft.Answer(question_id=id, question="How many?", arm=name, text="Nine.") for id in ids]
    return answers, [ft.Score(question_id=id, arm=name, metric="faithfulness", value=value, judge="j") for id in ids]

(folder / "a.pdf").write_bytes(b"%PDF-1.7")
arms = {"base": arm("base", 0.0), "tuned": arm("tuned", 1.0)}
answers, scores = ({name: both[part] for name, both in arms.items()} for part in (0, 1))
row = {"question": "How many?", "answer": "Nine.", "contexts": ["There are nine."]}
attempt("evaluate", lambda: ft.evaluate([row], llm=MockLLM(), embeddings=MockEmbedding(embed_dim=3)))
attempt("to_pandas", lambda: ft.EvaluationScores([], {}).to_pandas())
attempt("compare", lambda: ft.compare(answers, scores))
attempt("PDF", lambda: ft.load_documents([folder / "a.pdf"]))
attempt("report as HTML", lambda: ft.Report(None, RunFacts()).to_html())
attempt("report in the terminal", lambda: ft.Report(None, RunFacts()).render())
print(json.dumps(said))
main(["--version"])
"""


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    environment = {name: value for name, value in os.environ.items() if name != "RAGAS_DO_NOT_TRACK"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def watched_import() -> dict[str, Any]:
    """State of an interpreter with LlamaIndex and its OpenAI parts, before and after this package's import."""
    process = run_python(WATCHED_IMPORT)
    assert (process.returncode, process.stderr) == (0, "")
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def without_optional(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    """What each part says where its optional package is missing, and how `ft-rag` ends there."""
    process = run_python(WITHOUT_OPTIONAL, json.dumps(OPTIONAL), str(tmp_path_factory.mktemp("documents")))
    assert process.stdout, process.stderr
    return json.loads(process.stdout), f"{process.returncode} {process.stderr}"


def test_all_is_sorted_and_names_everything_public() -> None:
    """`from llama_index_ft_rag import X` works for exactly the documented names."""
    public = [name for name in dir(llama_index_ft_rag) if not name.startswith("_")]
    loaded = {name: getattr(llama_index_ft_rag, name) for name in public}

    assert llama_index_ft_rag.__all__ == sorted(public)
    assert not any(inspect.ismodule(value) for value in loaded.values())


def test_every_public_name_is_our_own() -> None:
    """Nothing of another package is passed off as part of this one."""
    foreign = [
        name
        for name in llama_index_ft_rag.__all__
        if not getattr(llama_index_ft_rag, name).__module__.startswith("llama_index_ft_rag.")
    ]

    assert foreign == []


@pytest.mark.parametrize(
    ("part", "place"),
    [
        (OpenAIFineTuningHandler, BaseCallbackHandler),
        (RagasEvaluator, BaseEvaluator),
        (OpenAIFinetuneEngine, BaseLLMFinetuneEngine),
    ],
)
def test_the_parts_fit_where_llama_index_expects_their_kind(part: type, place: type) -> None:
    """A callback manager takes the handler, a batch runner the evaluator, any code for engines our engine."""
    assert place in part.__mro__


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    """Who reads the tree at the top of `errors` knows every class to catch, and its bases."""
    for module in pkgutil.walk_packages(llama_index_ft_rag.__path__, "llama_index_ft_rag."):
        if not module.name.endswith("__main__"):  # that one runs the command
            importlib.import_module(module.name)

    assert drawn_errors(errors.__doc__ or "") == real_errors(FtRagError)


def test_the_import_brings_no_optional_package(watched_import: dict[str, Any]) -> None:
    """An app that only records pays for LlamaIndex and OpenAI, and for nothing else that is big."""
    added = set(watched_import["after"]["modules"]) - set(watched_import["before"]["modules"])

    assert {name.partition(".")[0] for name in added} & set(OPTIONAL) == set()


def test_the_import_brings_no_package_that_the_base_install_lacks(watched_import: dict[str, Any]) -> None:
    """Beyond LlamaIndex and OpenAI the import loads the database toolkit and Python's own modules."""
    before, after = ({n.partition(".")[0] for n in watched_import[when]["modules"]} for when in ("before", "after"))

    assert after - before - set(sys.stdlib_module_names) <= {"llama_index_ft_rag", "sqlalchemy", "numpy", "tiktoken"}


def test_the_import_leaves_logging_and_warnings_to_the_app(watched_import: dict[str, Any]) -> None:
    """No handler, no level, no filter: loggers of this package do what the app's configuration says."""
    before, after = watched_import["before"], watched_import["after"]
    of_package = {tuple(state) for name, state in after["loggers"].items() if "ft_rag" in name}

    assert (after["loggers"]["None"], after["filters"]) == (before["loggers"]["None"], before["filters"])
    assert of_package == {(0, 0, True)}


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    without_optional: tuple[dict[str, str], str],
) -> None:
    """Whoever uses a part whose package is missing gets one sentence to act on."""
    ragas, cli = (f'pip install "llama-index-ft-rag[{extra}]"' for extra in ("ragas", "cli"))
    said, _ = without_optional

    assert said == {
        "ragas tracks": "true",
        "evaluate": f"scoring with ragas needs ragas: {ragas}",
        "to_pandas": f"to_pandas() needs pandas: {ragas}",
        "compare": f"Comparing two arms needs scipy: {ragas}",
        "PDF": f"Reading PDF files needs pypdfium2: {cli}",
        "report as HTML": f"A report as HTML needs jinja2: {cli}",
        "report in the terminal": f"A report in the terminal needs rich: {cli}",
    }


def test_the_command_without_its_extra_says_what_to_install(without_optional: tuple[dict[str, str], str]) -> None:
    """`ft-rag` is on the path even of a base install; there it is one sentence and exit code 1."""
    _, command = without_optional

    assert command == '1 ft-rag: the ft-rag command needs typer: pip install "llama-index-ft-rag[cli]"\n'


def test_types_are_shipped() -> None:
    """A type checker reads this package's annotations."""
    assert files(llama_index_ft_rag).joinpath("py.typed").is_file()


def test_the_repository_holds_no_path_of_a_machine_and_no_key() -> None:
    """Whatever is published works elsewhere and gives nothing away."""
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("not in a git checkout: there is no list of published files")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    private = re.compile(
        r"(?<![\w.~}/-])/(?:home|root|Users|work)/\w|[A-Z]:\\Users\\|\bsk-(?:proj-|svcacct-|admin-|ant-)?\w{20,}"
    )

    found = {
        f"{name}: {match.group()}"
        for name in listed.stdout.split("\0")
        if name and (REPOSITORY / name).is_file()
        for match in private.finditer((REPOSITORY / name).read_text(encoding="utf-8", errors="replace"))
    }
    assert found == set()


def drawn_errors(drawing: str) -> set[tuple[str, str, str]]:
    """Name, parent and further base of each error in a tree drawn with lines."""
    found, path = set(), ["FtRagError"]
    for line in drawing.splitlines():
        match = re.match(r"(?P<lead>[\s│]*)[├└]── (?P<name>\w+)(?: \((?P<base>\w+)\))?", line)
        if match:
            depth = (len(match["lead"]) - 4) // 4 + 1
            path = [*path[:depth], match["name"]]
            found.add((match["name"], path[depth - 1], match["base"] or ""))
    return found


def real_errors(parent: type[Exception]) -> set[tuple[str, str, str]]:
    """Name, parent and further base of each class below an error."""
    return {
        entry
        for child in parent.__subclasses__()
        for entry in {(child.__name__, parent.__name__, further_base(child)), *real_errors(child)}
    }


def further_base(error: type[Exception]) -> str:
    """The base outside the tree, if a class has one."""
    return next((base.__name__ for base in error.__bases__ if not issubclass(base, FtRagError)), "")
