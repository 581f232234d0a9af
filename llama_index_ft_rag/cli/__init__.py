"""The `ft-rag` command.

In: arguments, environment, a terminal or none. Out: the run folder's files, plain words, an exit code: 0 done,
1 stopped with one sentence that says why, 2 wrong usage, 130 interrupted. Only this package prints.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import openai

from llama_index_ft_rag.cli.failures import STOPPED, explain, without_keys
from llama_index_ft_rag.errors import FtRagError, MissingExtraError

# A minus that became a question mark would turn a loss into a gain.
_NEAREST = {"−": "-", "–": "-", "—": "-", "─": "-", "━": "=", "│": "|", "…": "...", "’": "'", "×": "x"}
_WHEN_STOPPED = {
    **dict.fromkeys(("curate", "export", "validate"), "stopped; nothing was written"),
    "preflight": "stopped; nothing was sent",
    "finetune": "stopped; what was sent is noted in the job record, and the same command continues",
    "job": "stopped; `ft-rag job show` says how the job is now",
}
"""What is true of commands that keep no run folder."""
_EXTRA = frozenset({"typer", "rich", "click"})


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the `ft-rag` command; ends the process with its exit code.

    Args:
        arguments: Instead of those of this process.
    """
    _accept_every_letter()
    code = _run(arguments)
    # A small output reaches a reader that has gone away only now; unflushed it would be a traceback at exit.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        _import_app()(arguments, prog_name="ft-rag")
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        return _stopped(arguments) if code == 130 else code
    except KeyboardInterrupt:
        return _stopped(arguments)
    except FtRagError as exc:
        return _failed(str(exc))
    except openai.OpenAIError as exc:
        return _failed(explain(exc))
    except OSError as exc:
        return _failed(
            f"{exc.filename or 'the system'}: {exc.strerror or exc}; what was computed is kept, "
            "and the same command continues once this is mended"
        )
    return 0


def _import_app() -> Callable[..., Any]:
    try:
        from llama_index_ft_rag.cli.app import app
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise MissingExtraError("the ft-rag command", extra="cli", missing=str(exc.name)) from exc
    return app


def _failed(sentence: str) -> int:
    sys.stderr.write(f"ft-rag: {without_keys(sentence)}\n")
    return 1


def _stopped(arguments: Sequence[str] | None) -> int:
    command = next(iter(sys.argv[1:] if arguments is None else arguments), "")
    sys.stderr.write(f"\nft-rag: {_WHEN_STOPPED.get(command, STOPPED)}\n")
    return 130


def _accept_every_letter() -> None:
    """Let a terminal that knows fewer letters show others in their place, instead of failing."""
    codecs.register_error("ft-rag-nearest", _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ft-rag-nearest")


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_NEAREST.get(letter, "?") for letter in letters), error.end
