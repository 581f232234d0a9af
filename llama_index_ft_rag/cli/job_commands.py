"""`ft-rag job`: look at a fine-tuning job, wait for it, stop it, and see how it went.

In: a job's id, or its record. Out: words or JSON, and an exit code. What is done lives in `finetuning`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import openai
import typer
from openai.types.fine_tuning import FineTuningJob

from llama_index_ft_rag.cli.job_progress import JobProgress, stopped_waiting, watch
from llama_index_ft_rag.cli.job_services import BackendOption, BaseUrl, JobPlace, JsonOutput, State, find_job
from llama_index_ft_rag.cli.job_words import as_values, describe, event_line, event_values, harmless, json_text, table
from llama_index_ft_rag.cli.progress import Notices
from llama_index_ft_rag.cli.talk import err, out
from llama_index_ft_rag.errors import FtRagError, JobCancelledError, JobFailedError
from llama_index_ft_rag.finetuning import FinetuneEvent, OpenAIFinetuneEngine
from llama_index_ft_rag.finetuning.outcome import JobState, read_job

job_app = typer.Typer(
    no_args_is_help=True,
    help="Look at a fine-tuning job, wait for it, or stop it.",
    epilog="Such as: ft-rag job show ftjob-... or: ft-rag job wait examples.jsonl.job.json",
)

Job = Annotated[str, typer.Argument(metavar="ID", help="The job's id, or its record (job.json).")]
Timeout = Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="At most; by default a day.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


@job_app.command()
def show(
    job: Job,
    json_output: JsonOutput = False,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
) -> None:
    """Show a job: its status, its model or its error, and what to do next."""
    place = find_job(job, backend=backend, base_url=base_url, state=state)
    _act(place, OpenAIFinetuneEngine.get_current_job, "shown", json_output=json_output)


@job_app.command()
def wait(
    job: Job,
    timeout: Timeout = None,
    json_output: JsonOutput = False,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
) -> None:
    """Wait until a job has ended; exit code 1 if it has no tuned model."""
    place = find_job(job, backend=backend, base_url=base_url, state=state)
    with (
        _asking(place, "waited for") as engine,
        JobProgress(err, when_stopped=lambda: stopped_waiting(place)) as progress,
    ):
        ended = watch(engine, place, progress, job=engine.get_current_job(), timeout=timeout)
    _print(ended.state, place, json_output=json_output)
    if ended.error is not None:
        raise FtRagError(ended.error)


@job_app.command()
def events(
    job: Job,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job has ended.")] = False,
    timeout: Timeout = None,
    json_output: JsonLines = False,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
) -> None:
    """Print a job's own log, oldest line first."""
    place = find_job(job, backend=backend, base_url=base_url, state=state)

    def tell(event: FinetuneEvent) -> None:
        line = f"{event_line(event)}\n"
        sys.stdout.write(json_text(event_values(event), indent=None) if json_output else line)
        sys.stdout.flush()

    with _asking(place, "followed") as engine, Notices(err):
        if not follow:
            for event in engine.events():
                tell(event)
            return
        try:
            engine.wait(timeout, on_event=tell)
        except (JobFailedError, JobCancelledError) as exc:
            err.print(f"job {harmless(place.job_id)} has ended as {harmless(exc.status or 'failed')}")


@job_app.command()
def metrics(
    job: Job,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json_output: JsonOutput = False,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
) -> None:
    """Print the losses of each step."""
    place = find_job(job, backend=backend, base_url=base_url, state=state)
    with _asking(place, "measured") as engine, Notices(err):
        rows = engine.curves()
    names = ["step", *dict.fromkeys(name for row in rows for name in row if name != "step")]
    if json_output:
        sys.stdout.write(json_text({"job_id": place.job_id, "steps": rows}))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([names, *([row.get(name, "") for name in names] for row in rows)])
    elif rows:
        cells = [[str(row["step"]), *(_figure(row.get(name)) for name in names[1:])] for row in rows]
        out.print("\n".join(table(names, cells)))
    else:
        err.print(f"job {harmless(place.job_id)}: the service tells no figures of it yet")


@job_app.command()
def checkpoints(
    job: Job,
    json_output: JsonOutput = False,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
) -> None:
    """Print the states of the training that the service kept, each of them a model."""
    place = find_job(job, backend=backend, base_url=base_url, state=state)
    with _asking(place, "looked at") as engine, Notices(err):
        kept = engine.checkpoints()
    if json_output:
        values = [
            {
                "model": one.model,
                "id": one.id,
                "step": one.step,
                "created_at": one.created_at.isoformat() if one.created_at else None,
                "metrics": dict(one.metrics),
            }
            for one in kept
        ]
        sys.stdout.write(json_text({"job_id": place.job_id, "checkpoints": values}))
    elif kept:
        names = list(dict.fromkeys(name for one in kept for name in one.metrics))
        rows = [
            [
                harmless(one.model),
                harmless(one.id or "-"),
                str(one.step or "-"),
                *(_figure(one.metrics.get(name)) for name in names),
            ]
            for one in kept
        ]
        out.print("\n".join(table(["model", "id", "step", *names], rows)))
    else:
        err.print(f"job {harmless(place.job_id)}: the service kept no checkpoints of it, or has none yet")


@job_app.command()
def cancel(
    job: Job,
    json_output: JsonOutput = False,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
) -> None:
    """Cancel a job; what it has trained so far may be charged."""
    place = find_job(job, backend=backend, base_url=base_url, state=state)
    _act(place, OpenAIFinetuneEngine.cancel, "cancelled", json_output=json_output)


@job_app.command()
def pause(
    job: Job,
    json_output: JsonOutput = False,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
) -> None:
    """Pause a job; not every service can."""
    place = find_job(job, backend=backend, base_url=base_url, state=state)
    _act(place, OpenAIFinetuneEngine.pause, "paused", json_output=json_output)


@job_app.command()
def resume(
    job: Job,
    json_output: JsonOutput = False,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
) -> None:
    """Go on with a paused job."""
    place = find_job(job, backend=backend, base_url=base_url, state=state)
    _act(place, OpenAIFinetuneEngine.resume, "resumed", json_output=json_output)


def _act(
    place: JobPlace, call: Callable[[OpenAIFinetuneEngine], FineTuningJob], done: str, *, json_output: bool
) -> None:
    with _asking(place, done) as engine, Notices(err):
        state = read_job(call(engine))
    _print(state, place, json_output=json_output)


def _print(state: JobState, place: JobPlace, *, json_output: bool) -> None:
    if json_output:
        sys.stdout.write(json_text(as_values(state, place)))
    else:
        out.print("\n".join(describe(state, place)))


@contextmanager
def _asking(place: JobPlace, done: str) -> Iterator[OpenAIFinetuneEngine]:
    """The engine of a job; what the service refuses about it becomes one sentence."""
    try:
        yield place.engine()
    except openai.NotFoundError as exc:
        raise FtRagError(
            f"{place.endpoint.base_url} knows no job {harmless(place.job_id)!r}, or cannot do this with one"
            f" ({_said(exc)}); check the id and the service"
        ) from exc
    except (openai.BadRequestError, openai.ConflictError) as exc:
        raise FtRagError(f"job {harmless(place.job_id)} was not {done}: {_said(exc)}") from exc


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return harmless(message).rstrip(".") if isinstance(message, str) and message else str(error.status_code)


def _figure(value: float | int | None) -> str:
    return "" if value is None else f"{value:.4f}"
