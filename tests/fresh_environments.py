"""Virtual environments of their own, and the wheel to put into them.

In: what to install. Out: an environment whose Python can be run. Building the wheel needs no network; installing
anything else does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]

NO_REGISTRY = (
    None
    if os.environ.get("FT_RAG_TEST_REGISTRY") == "1"
    else "FT_RAG_TEST_REGISTRY is not 1: a fresh environment is downloaded from the package registry"
)
"""Why nothing can be installed; `None` where it can."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment."""

    python: Path

    def run(self, *arguments: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
        """Run its Python, with more variables than ours; return what it printed."""
        process = subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env={**os.environ, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert process.returncode == 0, process.stderr[-3000:]
        return process.stdout

    def install(self, *arguments: str) -> None:
        """Install packages."""
        self.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)

    def versions(self) -> dict[str, str]:
        """What is installed, by canonical name."""
        listed = json.loads(self.run("-m", "pip", "list", "--format", "json"))
        return {str(canonicalize_name(entry["name"])): entry["version"] for entry in listed}


def make_environment(folder: Path) -> Environment:
    """Make an environment with nothing but pip in it, or skip the test where that cannot be done."""
    pytest.importorskip("ensurepip", reason="this Python makes no virtual environments with pip in them")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
    return Environment(python=folder / ("Scripts" if os.name == "nt" else "bin") / "python")


def build_wheel(folder: Path) -> Path:
    """Build the wheel as for a release, without the network."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(REPOSITORY)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    (built,) = folder.glob("*.whl")
    return built
