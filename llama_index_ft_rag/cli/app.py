"""The commands of `ft-rag` and their options; what they do lives in the modules they call."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

import llama_index_ft_rag
from llama_index_ft_rag.cli.exporting import export_command
from llama_index_ft_rag.cli.job_commands import job_app
from llama_index_ft_rag.cli.progress import StageProgress
from llama_index_ft_rag.cli.services import Backend, check_services, main_endpoint, role_endpoint
from llama_index_ft_rag.cli.talk import ask_before_spending, err, out, rendered, show_plan, show_result
from llama_index_ft_rag.cli.training_data import curate_command
from llama_index_ft_rag.cli.training_jobs import finetune_command, preflight_command
from llama_index_ft_rag.cli.validating import validate_command
from llama_index_ft_rag.concurrency import run_sync
from llama_index_ft_rag.distillation import Distilled, run_plan
from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline import OFFLINE_MODELS, OfflineBackend, serve
from llama_index_ft_rag.plan import Plan, QuestionSource, make_plan
from llama_index_ft_rag.run_report import report_of_run
from llama_index_ft_rag.sample import sample_report

MODELS = "Models"
SERVICES = "Services"
QUESTIONS = "Questions"
DETAILS = "Details"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Teach a cheaper model to do the job of your LlamaIndex query engine, and prove whether it worked.",
    epilog="Start with: ft-rag demo (no key, no network, half a minute)",
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Teach a cheaper model to do the job of your LlamaIndex query engine, and prove whether it worked."""
    if version:
        out.print(f"ft-rag {llama_index_ft_rag.__version__}")
        raise typer.Exit


@app.command(epilog="Such as: ft-rag run report.pdf --out runs/first --teacher MODEL --student MODEL")
def run(
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="The run folder; the same one continues.")],
    documents: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DOCUMENTS", help="Files or folders: PDF, HTML, markdown, text.", show_default=False),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="MODULE:FACTORY", help="Your own engine, as a function of an LLM.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending.")] = False,
    teacher: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The good but expensive model.", rich_help_panel=MODELS)
    ] = None,
    student: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model to fine-tune.", rich_help_panel=MODELS)
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="The model that scores; by default the teacher.", rich_help_panel=MODELS),
    ] = None,
    embed_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The embedding model.", rich_help_panel=MODELS)
    ] = None,
    train_questions: Annotated[
        str,
        typer.Option(metavar="N|FILE", help="To train on: how many to make, or a file.", rich_help_panel=QUESTIONS),
    ] = "40",
    eval_questions: Annotated[
        str,
        typer.Option(metavar="N|FILE", help="To compare on: how many to make, or a file.", rich_help_panel=QUESTIONS),
    ] = "40",
    no_eval: Annotated[
        bool, typer.Option("--no-eval", help="Train only; compare nothing.", rich_help_panel=QUESTIONS)
    ] = False,
    backend: Annotated[
        Backend | None,
        typer.Option(help="By default openai if there is a key, else offline.", rich_help_panel=SERVICES),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Any OpenAI-compatible service (OPENAI_API_KEY).", rich_help_panel=SERVICES),
    ] = None,
    teacher_base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The teacher's own (FT_RAG_TEACHER_API_KEY).", rich_help_panel=SERVICES),
    ] = None,
    student_base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The student's own, training too (FT_RAG_STUDENT_API_KEY).", rich_help_panel=SERVICES
        ),
    ] = None,
    judge_base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The judge's own (FT_RAG_JUDGE_API_KEY).", rich_help_panel=SERVICES),
    ] = None,
    top_k: Annotated[
        int, typer.Option(metavar="N", min=1, help="Passages retrieved per question.", rich_help_panel=DETAILS)
    ] = 2,
    chunk_size: Annotated[
        int, typer.Option(metavar="N", min=64, help="Tokens per passage of the index.", rich_help_panel=DETAILS)
    ] = 1024,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Of the job; by default the service decides.", rich_help_panel=DETAILS),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(metavar="N", min=1, max=256, help="Questions under way at once.", rich_help_panel=DETAILS)
    ] = 8,
    seed: Annotated[int, typer.Option(metavar="N", help="Of splits, job and statistics.", rich_help_panel=DETAILS)] = 0,
) -> None:
    """Run the whole loop on documents, or on your own engine, into one folder."""
    if not (documents or engine):
        raise ConfigurationError("nothing to run on: name documents, or your own engine with --engine module:factory")
    role_urls = [url for url in (teacher_base_url, student_base_url, judge_base_url) if url]
    endpoint = main_endpoint(backend, base_url, folder, role_urls=role_urls)
    if backend is None and endpoint.is_offline:
        err.print(
            "No OPENAI_API_KEY in the environment: running on the built-in offline models, which are toys. "
            "Nothing is sent or charged.\n"
        )
    plan = make_plan(
        engine,
        endpoint=endpoint,
        student=student,
        teacher=teacher,
        judge=judge,
        teacher_endpoint=role_endpoint("teacher", teacher_base_url, endpoint),
        student_endpoint=role_endpoint("student", student_base_url, endpoint),
        judge_endpoint=role_endpoint("judge", judge_base_url, endpoint),
        embed_model=embed_model,
        documents=list(documents) if documents else None,
        train_questions=_question_source("--train-questions", train_questions),
        eval_questions=0 if no_eval else _question_source("--eval-questions", eval_questions),
        seed=seed,
        concurrency=concurrency,
        top_k=top_k,
        chunk_size=chunk_size,
        hyperparameters={"n_epochs": epochs} if epochs else None,
        command=shlex.join(["ft-rag", *sys.argv[1:]]),
    )
    show_plan(plan, folder)
    for notice in check_services(plan):
        err.print(f"note: {notice}")
    if plan.charged and not yes:
        ask_before_spending(plan)
    show_result(_run(plan, folder))


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The run folder; the same one continues.")
    ] = Path("runs/demo"),
    train_questions: Annotated[int, typer.Option(metavar="N", min=10, help="Training questions to make.")] = 40,
    eval_questions: Annotated[int, typer.Option(metavar="N", min=1, help="Evaluation questions to make.")] = 40,
    seed: Annotated[int, typer.Option(metavar="N", help="Of splits, job and statistics.")] = 0,
) -> None:
    """Run the whole loop on the sample report with the built-in models: no key, no network, nothing charged."""
    plan = make_plan(
        None,
        endpoint=Endpoint.for_offline(folder / "offline"),
        student=None,
        teacher=None,
        documents=sample_report(),
        train_questions=train_questions,
        eval_questions=eval_questions,
        seed=seed,
        chunk_size=256,  # the sample is short: smaller passages give more of them to ask about
        command=shlex.join(["ft-rag", *sys.argv[1:]]),
    )
    show_plan(plan, folder)
    show_result(_run(plan, folder))


app.command(name="validate")(validate_command)
app.command(name="curate")(curate_command)
app.command(name="export")(export_command)
app.command(name="preflight", epilog="Such as: ft-rag preflight examples.jsonl --model MODEL")(preflight_command)
app.command(name="finetune", epilog="Such as: ft-rag finetune examples.jsonl --model MODEL --max-cost 5")(
    finetune_command
)
app.add_typer(job_app, name="job")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")],
    form: Annotated[
        Literal["text", "markdown", "json", "html"], typer.Option("--format", help="What to print.")
    ] = "text",
) -> None:
    """Print the report of a finished run."""
    made = report_of_run(folder)
    texts: dict[str, Callable[[], str]] = {
        "markdown": made.to_markdown,
        "html": made.to_html,
        "text": lambda: rendered(made),
        "json": lambda: json.dumps(made.to_dict(), ensure_ascii=False, indent=2),
    }
    sys.stdout.write(texts[form]().rstrip("\n") + "\n")


@app.command("serve-offline")
def serve_offline(
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 picks a free one.")] = 8321,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of files and jobs; by default a temporary one.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the built-in models.")] = 0,
) -> None:
    """Serve the offline backend on 127.0.0.1, for anything that speaks the OpenAI API."""
    # Without this a service manager's stop would leave the temporary folder behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with OfflineBackend(state, seed=seed) as backend, serve(backend, port=port) as server:
            out.print(f"offline backend (toy models) at {server.url}")
            # LlamaIndex's own OpenAI classes read OPENAI_API_BASE, everybody else OPENAI_BASE_URL.
            url = server.url
            out.print(f"  export OPENAI_API_KEY=offline OPENAI_BASE_URL={url} OPENAI_API_BASE={url}")
            out.print(f"  models: {', '.join(OFFLINE_MODELS)}; stop with Ctrl-C")
            sys.stdout.flush()
            threading.Event().wait()
    except KeyboardInterrupt:
        err.print("stopped")


def _run(plan: Plan, folder: Path) -> Distilled:
    with StageProgress(err) as progress:
        return run_sync(run_plan(plan, out=folder, on_stage=progress.on_stage))


def _question_source(option: str, value: str) -> QuestionSource:
    if re.fullmatch(r"[+-]?\d{1,18}", value):
        return int(value)
    if not Path(value).exists():
        raise ConfigurationError(f"{option} {value}: neither a number nor a file that exists; check the path")
    return Path(value)
