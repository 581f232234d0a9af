"""`ft-rag preflight` and `ft-rag finetune`: their options, and what they print.

In: a training file, a model's name, a service. Out: what is known beforehand; one job, and its tuned model. What is
done lives in `finetuning`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import openai
import typer

from llama_index_ft_rag.cli.failures import explain
from llama_index_ft_rag.cli.job_services import (
    BackendOption,
    BaseUrl,
    JsonOutput,
    State,
    poll_interval,
    training_endpoint,
)
from llama_index_ft_rag.cli.job_words import Bill, as_values, describe, json_text
from llama_index_ft_rag.cli.progress import Notices
from llama_index_ft_rag.cli.talk import err, out
from llama_index_ft_rag.cli.training_run import Trained, TrainingRun, shown
from llama_index_ft_rag.errors import ConfigurationError, FinetuneError, FtRagError
from llama_index_ft_rag.finetuning import OpenAIFinetuneEngine
from llama_index_ft_rag.finetuning.settings import Method
from llama_index_ft_rag.prices import PriceList

JOB = "The job"
MONEY = "Money"

File = Annotated[Path, typer.Argument(metavar="FILE", help="The training file (JSONL).")]
Model = Annotated[str, typer.Option("--model", metavar="MODEL", help="The model to fine-tune.")]
Validation = Annotated[
    Path | None, typer.Option("--validation", metavar="FILE", help="A file that is only measured on.")
]
Epochs = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="By default the service decides.", rich_help_panel=JOB)
]
MethodOption = Annotated[Method, typer.Option("--method", help="dpo takes preference pairs.", rich_help_panel=JOB)]
Teacher = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Whose answers are trained on: terms, price.", rich_help_panel=MONEY),
]
MaxCost = Annotated[
    float | None, typer.Option(metavar="USD", min=0, help="Of the training, at most.", rich_help_panel=MONEY)
]
Prices = Annotated[Path | None, typer.Option(metavar="FILE", help="Prices of your own.", rich_help_panel=MONEY)]


def preflight_command(
    file: File,
    model: Model,
    validation: Validation = None,
    method: MethodOption = "supervised",
    epochs: Epochs = None,
    teacher: Teacher = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
    json_output: JsonOutput = False,
) -> None:
    """Say all that can be known before a training is started; nothing is sent or charged."""
    endpoint = training_endpoint(model, backend=backend, base_url=base_url, state=state, beside=file)
    engine = OpenAIFinetuneEngine(
        model,
        file,
        client=endpoint.client(),
        method=method,
        hyperparameters={"n_epochs": epochs} if epochs else None,
        validation_path=validation,
        prices=_price_list(prices) if prices else None,
    )
    with Notices(err):
        found = engine.preflight(teacher=teacher, max_cost=max_cost)
    sys.stdout.write(json_text(found.to_dict()) if json_output else shown(found))
    raise typer.Exit(0 if found.ok else 1)


def finetune_command(
    file: File,
    model: Model,
    validation: Validation = None,
    job: Annotated[Path | None, typer.Option(metavar="FILE", help="The job record; by default FILE.job.json.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start the job and leave it.")] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Wait so long; by default a day.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Another job, although there is one.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending.")] = False,
    json_output: JsonOutput = False,
    method: MethodOption = "supervised",
    epochs: Epochs = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="By default the service decides.", rich_help_panel=JOB)
    ] = None,
    learning_rate_multiplier: Annotated[
        float | None, typer.Option(metavar="X", help="By default the service decides.", rich_help_panel=JOB)
    ] = None,
    beta: Annotated[
        float | None, typer.Option(metavar="X", help="Of dpo: how near it stays to the model.", rich_help_panel=JOB)
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Goes into the tuned model's name.", rich_help_panel=JOB)
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of the training.", rich_help_panel=JOB)] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A label for the job; repeatable.", rich_help_panel=JOB),
    ] = None,
    teacher: Teacher = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    base_url: BaseUrl = None,
    backend: BackendOption = None,
    state: State = None,
) -> None:
    """Fine-tune a model on a training file; the same command again continues."""
    if beta is not None and method != "dpo":
        raise ConfigurationError(f"--beta {beta:g}: goes with --method dpo; drop it, or name that method")
    record = job or Path(f"{file}.job.json")
    listed = _price_list(prices)
    endpoint = training_endpoint(model, backend=backend, base_url=base_url, state=state, beside=record)
    engine = OpenAIFinetuneEngine(
        model,
        file,
        client=endpoint.client(),
        method=method,
        hyperparameters=_given(
            n_epochs=epochs, batch_size=batch_size, learning_rate_multiplier=learning_rate_multiplier, beta=beta
        ),
        validation_path=validation,
        suffix=suffix,
        seed=seed,
        metadata=_labels(metadata or ()),
        max_cost=max_cost,
        prices=listed if prices else None,
        job_path=record,
        poll_interval=poll_interval(endpoint),
    )
    run = TrainingRun(engine=engine, endpoint=endpoint, model=model, file=file, record=record, base_url=base_url)
    try:
        ended = run.run(teacher=teacher, force=force, yes=yes, wait=not no_wait, timeout=timeout)
    except (FtRagError, openai.OpenAIError) as exc:
        if json_output:
            sys.stdout.write(json_text(failure_values(exc)))
        raise
    _conclude(ended, listed, json_output=json_output)


def _conclude(ended: Trained, prices: PriceList, *, json_output: bool) -> None:
    state, place = ended.outcome.state, ended.place
    bill = Bill(costs=ended.preflight.costs, prices=prices) if ended.preflight.costs is not None else None
    if json_output:
        told = as_values(state, place) | (bill.to_dict(state) if bill is not None else {})
        sys.stdout.write(json_text(told | {"job_record": str(place.record)}))
    else:
        out.print("\n".join(describe(state, place, bill=bill)))
    if ended.outcome.error is not None:
        raise FtRagError(ended.outcome.error)


def failure_values(error: FtRagError | openai.OpenAIError) -> dict[str, Any]:
    """What `--json` prints where there is no job to show."""
    said = explain(error) if isinstance(error, openai.OpenAIError) else str(error)
    known = error if isinstance(error, FinetuneError) else None
    return {
        "job_id": known.job_id if known else None,
        "status": known.status if known else None,
        "error": said,
        "reasons": list(getattr(error, "reasons", ())),
    }


def _price_list(path: Path | None) -> PriceList:
    return PriceList.builtin().with_file(path) if path is not None else PriceList.builtin()


def _given(**settings: float | None) -> dict[str, float] | None:
    return {name: value for name, value in settings.items() if value is not None} or None


def _labels(pairs: Iterable[str]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise ConfigurationError(f"--metadata {pair!r}: write it as KEY=VALUE")
        labels[key] = value
    return labels
