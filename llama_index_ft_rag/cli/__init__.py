"""The `ft-rag` command.

In: arguments, environment, a terminal or none. Out: the run folder's files, plain words, an exit code: 0 done,
1 stopped with one sentence that says why, 2 wrong usage, 130 interrupted. Only this package prints.
"""

from __future__ import annotations

import sys

from llama_index_ft_rag.errors import FtRagError, MissingExtraError


def main() -> None:
    """Entry point of the `ft-rag` command."""
    try:
        from llama_index_ft_rag.cli.app import app
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] not in {"typer", "rich", "click", "jinja2"}:
            raise
        sys.exit(_failed(MissingExtraError("the ft-rag command", extra="cli", missing=str(exc.name))))
    try:
        app()
    except FtRagError as exc:
        sys.exit(_failed(exc))
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; what was computed is kept, and the same command continues\n")
        sys.exit(130)


def _failed(error: FtRagError) -> int:
    sys.stderr.write(f"ft-rag: {error}\n")
    return 1
