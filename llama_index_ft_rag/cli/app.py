"""The commands of `ft-rag` and their options; what they do lives in the modules they call."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

import llama_index_ft_rag
from llama_index_ft_rag.cli.progress import StageProgress
from llama_index_ft_rag.concurrency import run_sync
from llama_index_ft_rag.distill import Distilled, run_plan
from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.errors import ConfigurationError, FtRagError
from llama_index_ft_rag.offline import OfflineBackend, serve
from llama_index_ft_rag.plan import OFFLINE_MODELS, Plan, QuestionSource, make_plan
from llama_index_ft_rag.run_report import report_of_run
from llama_index_ft_rag.sample import sample_report
from llama_index_ft_rag.validation import validate_file

Backend = Literal["openai", "offline"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Teach a cheaper model to do the job of your LlamaIndex query engine, and prove whether it worked.",
)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Teach a cheaper model to do the job of your LlamaIndex query engine, and prove whether it worked."""
    if version:
        out.print(f"ft-rag {llama_index_ft_rag.__version__}")
        raise typer.Exit


@app.command()
def run(
    documents: Annotated[list[Path] | None, typer.Argument(help="Files or folders: PDF, HTML, markdown, text.")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="The run folder; the same one continues.")] = None,
    engine: Annotated[str | None, typer.Option(help="Your engine factory, package.module:factory.")] = None,
    backend: Annotated[
        Backend | None, typer.Option(help="Where models are asked; by default openai if there is a key.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Any OpenAI-compatible service.")] = None,
    teacher: Annotated[str | None, typer.Option(help="The good but expensive model.")] = None,
    student: Annotated[str | None, typer.Option(help="The model to fine-tune.")] = None,
    judge: Annotated[str | None, typer.Option(help="The model that scores; by default the teacher.")] = None,
    embed_model: Annotated[str | None, typer.Option(help="The embedding model.")] = None,
    teacher_base_url: Annotated[str | None, typer.Option(help="Another service for the teacher.")] = None,
    student_base_url: Annotated[str | None, typer.Option(help="Another service for training and the student.")] = None,
    judge_base_url: Annotated[str | None, typer.Option(help="Another service for the judge.")] = None,
    train_questions: Annotated[str, typer.Option(metavar="N|FILE", help="How many to make, or a file.")] = "40",
    eval_questions: Annotated[str, typer.Option(metavar="N|FILE", help="How many to make, or a file.")] = "40",
    no_eval: Annotated[bool, typer.Option("--no-eval", help="Train only; compare nothing.")] = False,
    top_k: Annotated[int, typer.Option(min=1, help="Nodes retrieved per question.")] = 2,
    chunk_size: Annotated[int, typer.Option(min=64, help="Tokens per passage of the index.")] = 1024,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of the job; by default the service decides.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Questions under way at once.")] = 8,
    seed: Annotated[int, typer.Option(help="Seed of splits, job and statistics.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending.")] = False,
) -> None:
    """Run the whole loop on documents, or on your own engine, into one folder."""
    if folder is None:
        raise ConfigurationError("no run folder: name one with --out, such as --out runs/first")
    urls = [base_url, teacher_base_url, student_base_url, judge_base_url]
    endpoint = _main_endpoint(backend, base_url, folder, own_urls=any(urls))
    plan = make_plan(
        engine,
        endpoint=endpoint,
        student=student,
        teacher=teacher,
        judge=judge,
        teacher_endpoint=_role_endpoint("teacher", teacher_base_url, endpoint),
        student_endpoint=_role_endpoint("student", student_base_url, endpoint),
        judge_endpoint=_role_endpoint("judge", judge_base_url, endpoint),
        embed_model=embed_model,
        documents=list(documents) if documents else None,
        train_questions=_question_source(train_questions),
        eval_questions=0 if no_eval else _question_source(eval_questions),
        seed=seed,
        concurrency=concurrency,
        top_k=top_k,
        chunk_size=chunk_size,
        hyperparameters={"n_epochs": epochs} if epochs else None,
    )
    _show_plan(plan, folder)
    if not plan.offline and not yes:
        _ask_before_spending()
    _finish(_run(plan, folder))


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="The run folder; the same one continues.")] = Path("runs/demo"),
    train_questions: Annotated[int, typer.Option(min=10, help="Training questions to make.")] = 40,
    eval_questions: Annotated[int, typer.Option(min=1, help="Evaluation questions to make.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of splits, job and statistics.")] = 0,
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
    )
    _show_plan(plan, folder)
    _finish(_run(plan, folder))


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="A training file (JSONL).")],
    model: Annotated[str, typer.Option(help="The model to fine-tune, for its limits and prices.")] = "gpt-4.1-mini",
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say every reason why a service would refuse a training file; nothing is sent."""
    report = validate_file(file, model=model)
    if json_output:
        out.print_json(data=report.to_dict())
    else:
        out.print(report.render(), markup=False)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    form: Annotated[
        Literal["text", "markdown", "json", "html"], typer.Option("--format", help="What to print.")
    ] = "text",
) -> None:
    """Print the report of a finished run."""
    made = report_of_run(folder)
    texts = {"markdown": made.to_markdown, "html": made.to_html, "text": made.render}
    if form == "json":
        out.print_json(data=made.to_dict())
    else:
        sys.stdout.write(texts[form]() + "\n")


@app.command("serve-offline")
def serve_offline(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8321,
    state: Annotated[Path | None, typer.Option(help="Folder of files and jobs; by default a temporary one.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the built-in models.")] = 0,
) -> None:
    """Serve the offline backend on 127.0.0.1, for anything that speaks the OpenAI API."""
    with OfflineBackend(state, seed=seed) as backend, serve(backend, port=port) as server:
        out.print(f"offline backend (toy models) at {server.url}")
        out.print(f"  export OPENAI_BASE_URL={server.url} OPENAI_API_KEY=offline")
        out.print(f"  models: {', '.join([*OFFLINE_MODELS.values(), 'offline-embedding'])}; stop with Ctrl-C")
        threading.Event().wait()


def _run(plan: Plan, folder: Path) -> Distilled:
    with StageProgress(err) as progress:
        return run_sync(run_plan(plan, out=folder, on_stage=progress.on_stage))


def _finish(result: Distilled) -> None:
    sys.stdout.write("\n" + result.report.render() + "\n")
    out.print(f"Report: {result.folder / 'report.html'}\n")
    out.print("Use the tuned model:\n")
    out.print("    from llama_index_ft_rag import load_tuned_llm", markup=False)
    out.print(f'    llm = load_tuned_llm("{result.folder}")', markup=False)
    out.print("    query_engine = index.as_query_engine(llm=llm)", markup=False)


def _main_endpoint(backend: Backend | None, base_url: str | None, folder: Path, *, own_urls: bool) -> Endpoint:
    if backend == "offline" and own_urls:
        raise ConfigurationError("--backend offline and a base URL exclude each other: drop one of them")
    has_service = own_urls or os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")
    if backend == "openai" or (backend is None and has_service):
        return Endpoint.from_environment(base_url)
    if backend is None:
        err.print(
            "No OPENAI_API_KEY in the environment: running on the built-in offline models, which are toys. "
            "Nothing is sent or charged."
        )
    return Endpoint.for_offline(folder / "offline")


def _role_endpoint(role: str, base_url: str | None, main: Endpoint) -> Endpoint | None:
    if base_url is None:
        return None
    # The main key never goes to another host: each role's service has its own variable.
    same_host = base_url.rstrip("/") == main.base_url.rstrip("/")
    variable = "OPENAI_API_KEY" if same_host else f"FT_RAG_{role.upper()}_API_KEY"
    return Endpoint.from_environment(base_url, key_variable=variable)


def _question_source(value: str) -> QuestionSource:
    return int(value) if value.lstrip("+-").isdigit() else Path(value)


def _show_plan(plan: Plan, folder: Path) -> None:
    names = dict.fromkeys(str(document.metadata.get("file_name", "?")) for document in plan.documents)
    source = ", ".join(names) or "the engine's own documents"
    settings = plan.settings()
    err.print(f"documents   {source}")
    if plan.engine_name:
        err.print(f"engine      {plan.engine_name}")
    err.print(f"teacher     {plan.teacher.model} at {plan.teacher.endpoint}")
    err.print(f"student     {plan.student.model} at {plan.student.endpoint}")
    err.print(f"judge       {plan.judge.model} at {plan.judge.endpoint}")
    err.print(f"questions   {settings['train_questions']} to train, {settings['eval_questions']} to evaluate")
    err.print(f"run folder  {folder}\n")


def _ask_before_spending() -> None:
    if not sys.stdin.isatty():
        raise FtRagError("this run calls paid services and there is no terminal to ask on: add --yes to go ahead")
    typer.confirm("The run calls these services and starts a fine-tuning job there. Go ahead?", abort=True)
