"""The third witness: the openai client itself, which calls all that is served.

In: a Python that has openai and this package. Out: a column. The calls run as a program, so that the openai
of another environment can make them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from fresh_environments import Environment
from packaging.requirements import Requirement

from conformance.table import Column, cell_of

ALSO_NEEDED = ("numpy",)
"""What the package's offline parts import beside openai and what that brings."""

_TESTS = Path(__file__).parents[1]


def ends_of_the_declared_range() -> dict[str, str]:
    """Return what to ask the registry for: the lowest openai that the package allows, and the newest."""
    declared = next(
        requirement
        for requirement in map(Requirement, requires("llama-index-ft-rag") or ())
        if requirement.name == "openai"
    )
    bounds = {bound.operator: bound.version for bound in declared.specifier}
    return {"lowest": f"openai=={bounds['>=']}", "newest": f"openai<{bounds['<']}"}


def make_calls(environment: Environment) -> Mapping[str, Any]:
    """Make all calls with an environment's client; return what `client_calls` found."""
    found: dict[str, Any] = json.loads(environment.run("-m", "conformance.client_calls", cwd=_TESTS))
    return found


def witness(name: str, found: Mapping[str, Any]) -> Column:
    """Make the column of what `client_calls` found."""
    cells = {operation: cell_of(problems=problems) for operation, problems in found["problems"].items()}
    return Column(witness=name, cells=cells)
