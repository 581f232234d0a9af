"""Checks before a training for which the service is asked, with requests that cost and change nothing.

In: a client's conversation. Out: checks of the key, the model and the organisation. What a service does not tell is
a warning, no error: not all of them list their models or jobs. Knows nothing of files and prices.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import openai

from llama_index_ft_rag.catalog import training_wind_down
from llama_index_ft_rag.errors import FinetuneError
from llama_index_ft_rag.finetuning.client import public_url
from llama_index_ft_rag.finetuning.listing import answer_of, listed
from llama_index_ft_rag.finetuning.local_checks import check_dates, check_shutdown, is_openai
from llama_index_ft_rag.finetuning.preflight import Check
from llama_index_ft_rag.finetuning.settings import Method
from llama_index_ft_rag.finetuning.talk import Talk, hold


def ask_service(
    client: openai.OpenAI, base_model: str, *, method: Method = "supervised", today: Callable[[], date] = date.today
) -> list[Check]:
    """Make the checks for which nothing but the service and the model's name is needed."""
    day, endpoint = today(), public_url(client)
    here = list(check_dates(base_model, method, endpoint=endpoint, today=day))
    return here + hold(check_service(base_model, endpoint=endpoint, today=day), client=client)


def check_service(base_model: str, *, endpoint: str, today: date) -> Talk[list[Check]]:
    """Ask whether the key works, the model is there, and jobs can be created as far as can be known."""
    try:
        checks = yield from _check_model(base_model, endpoint=endpoint, today=today)
    except (openai.AuthenticationError, openai.APIConnectionError, FinetuneError) as exc:
        return [_not_reached(exc, endpoint)]
    if not any(check.name == "key" for check in checks):
        checks.insert(0, Check(name="key", level="ok", message=f"{endpoint} takes it"))
    return checks + (yield from _check_jobs(endpoint=endpoint, today=today))


def _check_model(base_model: str, *, endpoint: str, today: date) -> Talk[list[Check]]:
    try:
        model = yield from answer_of(lambda client: client.models.retrieve(base_model), endpoint=endpoint)
    except openai.NotFoundError as exc:
        is_sure = exc.code == "model_not_found" or is_openai(endpoint)
        return (yield from _missing_model(base_model, endpoint=endpoint, is_sure=is_sure))
    except openai.AuthenticationError:
        raise
    except openai.APIStatusError as exc:
        message = f"{endpoint} does not say whether it has {base_model} ({exc.status_code})"
        return [Check(name="model", level="warning", message=message)]
    told = list(check_shutdown(base_model, _shutdown_date(model), today=today))
    return told or [Check(name="model", level="ok", message=f"{endpoint} has {base_model}")]


def _missing_model(base_model: str, *, endpoint: str, is_sure: bool) -> Talk[list[Check]]:
    """It may be missing, or the service may not answer about single models, or to more names than it lists."""
    try:
        models = yield from listed(lambda client, **query: client.models.list(**query), endpoint=endpoint)
    except (openai.APIStatusError, FinetuneError):
        message = f"{endpoint} lists no models, so it is not known whether it has {base_model}"
        return [Check(name="model", level="warning", message=message)]
    names = [str(getattr(model, "id", "")) for model in models]
    if base_model in names:
        return [Check(name="model", level="ok", message=f"{endpoint} lists {base_model}")]
    if not is_sure:
        message = f"{endpoint} does not list {base_model!r}; going on in case it takes that name"
        return [Check(name="model", level="warning", message=message)]
    near = difflib.get_close_matches(base_model, names, n=3) or names[:3]
    message = f"{endpoint} has no model {base_model!r}; it has {', '.join(near) or 'none'}: name one of them"
    return [Check(name="model", level="error", message=message)]


def _check_jobs(*, endpoint: str, today: date) -> Talk[list[Check]]:
    try:
        jobs = yield from answer_of(
            lambda client: client.fine_tuning.jobs.list(limit=1), endpoint=endpoint, field="data"
        )
    except openai.APIStatusError as exc:
        if exc.code == "training_not_available":
            message = f"{endpoint} lets this organisation create no jobs (403 training_not_available)"
            return [Check(name="organisation", level="error", message=message)]
        said = "this key may not see jobs" if exc.status_code in (401, 403) else "no fine-tuning jobs are known there"
        message = f"{endpoint}: {said} ({exc.status_code}); whether it lets you train shows only when a job is created"
        return [Check(name="organisation", level="warning", message=message)]
    except (openai.APIConnectionError, FinetuneError) as exc:
        return [Check(name="organisation", level="warning", message=f"{endpoint}: jobs could not be listed ({exc})")]
    return list(_told_by_jobs(bool(jobs.data), endpoint=endpoint, today=today))


def _told_by_jobs(has_some: bool, *, endpoint: str, today: date) -> Iterator[Check]:
    if not is_openai(endpoint):
        yield Check(name="organisation", level="ok", message=f"{endpoint} lists fine-tuning jobs")
        return
    steps = training_wind_down()
    if today >= steps[-1].day:
        return  # closed to everybody, which `check_dates` says
    closed = "; ".join(
        f"{'since' if step.day <= today else 'from'} {step.day} not {step.closed_to}" for step in steps[:-1]
    )
    if has_some:
        message = f"has trained before; OpenAI still takes jobs until {steps[-1].day}, but {closed}"
    else:
        message = f"has no fine-tuning job, and OpenAI takes new ones {closed}: expect 403 training_not_available"
    yield Check(name="organisation", level="warning", message=message)


def _not_reached(error: Exception, endpoint: str) -> Check:
    if isinstance(error, openai.AuthenticationError):
        message = f"{endpoint} refuses it ({error.status_code}); check OPENAI_API_KEY, or the api_key that is passed"
        return Check(name="key", level="error", message=message)
    message = str(error)
    if isinstance(error, openai.APIConnectionError):
        message = f"{endpoint} cannot be reached; check the address and that the service is running"
    return Check(name="service", level="error", message=f"{message} (key, model and organisation were not checked)")


def _shutdown_date(model: Any) -> date | None:
    """What `/v1/models` says since 2026; openai 2 has no field for it and hands it on all the same."""
    told = getattr(model, "shutdown_date", None)
    try:
        return date.fromisoformat(str(told)[:10]) if told else None
    except ValueError:
        return None
