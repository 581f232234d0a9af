"""What `ft-rag` says before and after a run, and its one question.

In: a plan or a result. Out: words on the terminal, in which names of files and models have no effect. Results go to
standard output, everything else to standard error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from rich.console import Console

from llama_index_ft_rag.distillation import Distilled
from llama_index_ft_rag.errors import ConfigurationError, FtRagError
from llama_index_ft_rag.hostile_text import one_line
from llama_index_ft_rag.plan import Plan, Role
from llama_index_ft_rag.report import Report

# A file may be called [bold]x.md or :smile:.txt, and is shown as it is called.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)

_MOST_NAMES = 5
_NARROWEST, _WIDEST = 40, 100


def show_plan(plan: Plan, folder: Path) -> None:
    """Say what the run will read and whom it will ask."""
    settings = plan.settings()
    names = list(dict.fromkeys(str(document.metadata.get("file_name", "?")) for document in plan.documents))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    _line("documents", (", ".join(names[:_MOST_NAMES]) or "the engine's own") + more)
    if plan.engine_name:
        _line("engine", plan.engine_name)
    _line("questions", f"{settings['train_questions']} to train on, {settings['eval_questions']} to compare on")
    _line("teacher", _place(plan.teacher))
    _line("student", _place(plan.student))
    if plan.evaluate:
        _line("judge", _place(plan.judge))
    if plan.embedding_service is not None and not plan.embedding_service.is_offline:
        _line("embeddings", f"{plan.embedding} at {plan.embedding_service.base_url}")
    _line("run folder", str(folder))
    err.print("")


def ask_before_spending(plan: Plan) -> None:
    """Say what will be sent and started, and go on only with a yes.

    Raises:
        ConfigurationError: If there is nobody to ask.
        FtRagError: If the answer is no.
    """
    asks = "Questions and passages of the documents are sent to these services."
    compares = " Student, tuned model and teacher answer, the judge scores." if plan.evaluate else ""
    err.print(f"{asks} The teacher makes and answers questions.{compares}")
    err.print(
        f"A fine-tuning job is started at {plan.student.endpoint}. "
        "Where these services charge, all of this costs money."
    )
    if not sys.stdin.isatty():
        raise ConfigurationError("there is no terminal to ask on whether to go ahead: add --yes")
    if not typer.confirm("Go ahead?", err=True):
        raise FtRagError("not started: no question was asked and no job was begun; the same command asks again")


def show_result(result: Distilled) -> None:
    """Print the report, where it lies, and how to use the tuned model."""
    sys.stdout.write("\n" + rendered(result.report) + "\n\n")
    if result.comparison is not None:
        out.print(f"Verdict: {result.comparison.verdict}")
    out.print(f"Report: {one_line(str(result.folder / 'report.html'))}\n")
    out.print("Use the tuned model:\n")
    out.print("    from llama_index_ft_rag import load_tuned_llm")
    out.print(f"    llm = load_tuned_llm({str(result.folder)!r})")
    out.print("    query_engine = index.as_query_engine(llm=llm)")


def rendered(report: Report) -> str:
    """The report as wide as the terminal, in its colours; plain and 80 columns wide where there is none."""
    width = max(_NARROWEST, min(out.width, _WIDEST)) if out.is_terminal else 80
    return report.render(width=width, color=out.is_terminal and not out.no_color).rstrip("\n")


def _place(role: Role) -> str:
    built_in = role.service is not None and role.service.is_offline
    return f"{role.model} (built in)" if built_in else f"{role.model} at {role.endpoint}"


def _line(name: str, value: str) -> None:
    err.print(f"{name:<11} {one_line(value)}")
