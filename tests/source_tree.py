"""Reads the modules of a source tree and what they import, without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path


def modules(source: Path) -> dict[str, Path]:
    """The modules of a package by dotted name, without the package's own; `__init__` is that of the package."""
    names = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        is_subpackage = parts[-1] == "__init__" and len(parts) > 1
        names[".".join(parts[:-1] if is_subpackage else parts)] = path
    return names


def imported_names(path: Path, *, package: Sequence[str]) -> Iterator[str]:
    """The dotted names that a file imports, wherever the import stands; of `from x import y` it is `x.y`.

    Args:
        path: The file.
        package: The package it is in, for relative imports.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith("import_module"):
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value
