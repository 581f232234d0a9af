"""What is published: the content of the built wheel, and what installing it does to an app that is there already."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from fresh_environments import NO_REGISTRY, REPOSITORY, Environment, build_wheel, make_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from source_tree import imported_names, modules

SOURCE = REPOSITORY / "llama_index_ft_rag"
DATA_FILES = {"catalog.json", "prices.json", "provider_terms.json", "py.typed", "report/templates/report.html.j2"}
DATA_FILES |= {"sample/annual_report.md", "sample/annual_report.zh.md"}

# An app of today that records and answers with OpenAI, and uses pandas for its own purposes.
PINNED_APP = ["llama-index-core==0.14.25", "llama-index-llms-openai==0.8.3", "openai==2.54.0", "pandas==3.1.1"]
ADDED_BY_BASE = {"llama-index-ft-rag", "llama-index-embeddings-openai", "llama-index-llms-openai-like"}
# instructor, which ragas needs, asks for jiter<0.15; openai, which brings jiter, works with it too.
CHANGED_BY_ALL = {"jiter"}

needs_registry = pytest.mark.skipif(NO_REGISTRY is not None, reason=str(NO_REGISTRY))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as for a release."""
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the pinned app and without this package."""
    made = make_environment(tmp_path_factory.mktemp("app"))
    made.install(*PINNED_APP)
    return made


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Modules, prices, templates, samples and the marker of types are installed; tests and docs are not."""
    sources = {
        f"llama_index_ft_rag/{path.relative_to(SOURCE).as_posix()}"
        for path in SOURCE.rglob("*")
        if path.suffix == ".py" or path.relative_to(SOURCE).as_posix() in DATA_FILES
    }
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}

    names = set(zipfile.ZipFile(wheel).namelist())
    assert names == sources | {f"llama_index_ft_rag-{version_of(wheel)}.dist-info/{name}" for name in about}
    assert {f"llama_index_ft_rag/{name}" for name in DATA_FILES} <= names


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Name, Pythons, licence, extras and the command are what a registry shows and pip acts on."""
    about = metadata(wheel)

    assert {key: about.get_all(key) for key in ("Name", "License-Expression", "License-File", "Provides-Extra")} == {
        "Name": ["llama-index-ft-rag"],
        "License-Expression": ["MIT"],
        "License-File": ["LICENSE"],
        "Provides-Extra": ["all", "azure", "cli", "curation", "datasets", "pii", "ragas"],
    }
    assert set(str(about["Requires-Python"]).split(",")) == {">=3.10", "<3.15"}
    assert read(wheel, "entry_points.txt").split() == [
        "[console_scripts]",
        "ft-rag",
        "=",
        "llama_index_ft_rag.cli:main",
        "[pytest11]",
        "ft_rag",
        "=",
        "llama_index_ft_rag.pytest_plugin",
    ]


def test_all_is_the_sum_of_the_other_extras_but_two(wheel: Path) -> None:
    """`[all]` needs no upkeep of its own and misses nothing but what brings spaCy, and what deploys at Azure."""
    wanted: dict[str, set[str]] = {name: set() for name in metadata(wheel).get_all("Provides-Extra", [])}
    for line in metadata(wheel).get_all("Requires-Dist", []):
        requirement, _, extra = line.partition("; extra == ")
        if extra:
            wanted[extra.strip("'\"")].add(requirement.strip())

    assert wanted.pop("all") == set.union(*(wanted[name] for name in wanted if name not in ("pii", "azure")))


def test_what_is_imported_is_required_and_nothing_else(wheel: Path) -> None:
    """No part works only because another package happens to bring what it needs."""
    required = {canonicalize_name(Requirement(line).name) for line in metadata(wheel).get_all("Requires-Dist", [])}
    imported = {
        distribution(name)
        for path in modules(SOURCE).values()
        for name in imported_names(path, package=["llama_index_ft_rag"])
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "llama_index_ft_rag"}
    }

    # ragas requires langchain-community without the bound that it needs; pytest loads our plugin, never we pytest.
    assert required == imported - {"pytest"} | {"langchain-community"}


@needs_registry
def test_installing_the_wheel_changes_no_version_of_an_existing_app(wheel: Path, app: Environment) -> None:
    """The base install adds three small packages to an app and leaves each installed one as it was."""
    before = app.versions()

    app.install(str(wheel))

    after = app.versions()
    sys.stdout.write(f"added: {sorted(set(after) - set(before))}\n")
    assert {name: after.get(name) for name in before} == before
    assert set(after) - set(before) == ADDED_BY_BASE
    assert app.run("-c", "import llama_index_ft_rag as ft; print(ft.__version__)").strip() == version_of(wheel)


@needs_registry
def test_what_all_changes_in_an_existing_app_is_known(wheel: Path, app: Environment) -> None:
    """`[all]` brings ragas and its many packages; of what was installed it moves at most the named ones."""
    before = app.versions()

    report = app.run("-m", "pip", "install", "--quiet", "--dry-run", "--report", "-", f"{wheel}[all]")

    planned = {canonicalize_name(item["metadata"]["name"]): item["metadata"] for item in json.loads(report)["install"]}
    changed = {name: (before[name], planned[name]["version"]) for name in set(planned) & set(before)}
    changed.pop("llama-index-ft-rag", None)
    sys.stdout.write(f"changed: {changed}, added: {len(planned) - len(changed)}\n")
    assert set(changed) <= CHANGED_BY_ALL


def version_of(wheel: Path) -> str:
    """The version in a wheel's file name."""
    return wheel.name.split("-")[1]


def read(wheel: Path, name: str) -> str:
    """A text of a wheel's own description."""
    path = f"llama_index_ft_rag-{version_of(wheel)}.dist-info/{name}"
    return zipfile.ZipFile(wheel).read(path).decode("utf-8")


def metadata(wheel: Path) -> Message[Any, Any]:
    """A wheel's metadata."""
    return Parser().parsestr(read(wheel, "METADATA"))


def distribution(imported: str) -> str:
    """The registry's name of what a dotted name is imported from."""
    if imported.startswith("llama_index.core."):
        return "llama-index-core"
    if imported.startswith("llama_index."):
        return "-".join(re.split(r"[._]", ".".join(imported.split(".")[:3])))
    if imported.startswith("azure."):
        return imported.replace(".", "-")
    return {"yaml": "pyyaml"}.get(imported, str(canonicalize_name(imported.partition(".")[0])))
