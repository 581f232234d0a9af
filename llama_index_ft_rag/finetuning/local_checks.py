"""Checks before a training for which nobody has to be asked: files, price, dates, the teacher's terms.

In: validated files, names, a price list, a day. Out: checks. Knows no network, no clock and no key.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from urllib.parse import urlsplit

from llama_index_ft_rag.catalog import is_offline_model, model_facts, training_offers, training_wind_down
from llama_index_ft_rag.cost_estimate import CostEstimate
from llama_index_ft_rag.endpoints import OPENAI_URL
from llama_index_ft_rag.finetuning.preflight import Check, CheckName, Level
from llama_index_ft_rag.finetuning.settings import Method
from llama_index_ft_rag.prices import dollars
from llama_index_ft_rag.provider_terms import TermsVerdict, teacher_terms
from llama_index_ft_rag.validation import FileReport

NEAR_DAYS = 90
"""A model that is shut down sooner is hardly worth training: OpenAI gave three months' notice in 2026."""

_OPENAI_HOST = urlsplit(OPENAI_URL).netloc
_TERMS: dict[TermsVerdict, Level] = {
    "allowed": "ok", "restricted": "warning", "forbidden": "warning", "unknown": "warning",
}  # fmt: skip


def is_openai(endpoint: str) -> bool:
    """Whether an address is OpenAI's own, or one of its regions'."""
    host = urlsplit(endpoint).netloc
    return host == _OPENAI_HOST or host.endswith(f".{_OPENAI_HOST}")


def check_file(report: FileReport, *, validation: bool = False) -> Check:
    """Say whether a file may be uploaded."""
    name: CheckName = "validation file" if validation else "training file"
    counts = f"{report.examples:,} examples, {'' if report.tokens_exact else 'about '}{report.tokens:,} tokens"
    if report.errors:
        first = report.errors[0]
        where = f"line {first.line} " if first.line else ""
        more = f" (and {report.count('error') - 1:,} more)" if report.count("error") > 1 else ""
        message = f"{report.path}: {where}{first.message}{more}; `ft-rag validate` shows all of it"
        return Check(name=name, level="error", message=message)
    if report.warnings:
        message = f"{report.path}: {counts}; {report.count('warning'):,} warnings, which `ft-rag validate` shows"
        return Check(name=name, level="warning", message=message)
    return Check(name=name, level="ok", message=f"{report.path}: {counts}")


def check_cost(costs: CostEstimate, *, max_cost: float | None) -> Iterator[Check]:
    """Set the estimated price of the training against the most it may cost, in USD."""
    limit = "" if max_cost is None else f"max_cost={max_cost:g}"
    about = f"training costs about {dollars(costs.training_usd)}" if costs.training_usd is not None else None
    if about is None and max_cost is not None:
        message = (
            f"the price of training {costs.student} is not known, so {limit} cannot be kept; pass"
            " prices of your own, or leave max_cost out"
        )
        yield Check(name="cost", level="error", message=message)
    elif about is None:
        yield Check(name="cost", level="warning", message=f"the price of training {costs.student} is not known")
    elif max_cost is not None and costs.training_usd is not None and costs.training_usd > max_cost:
        message = f"{about}, more than {limit}; train on fewer examples or epochs, or allow more"
        yield Check(name="cost", level="error", message=message)
    else:
        allowed = f", of {dollars(max_cost)} allowed" if max_cost is not None else ""
        yield Check(name="cost", level="ok", message=f"{about}{allowed}")


def check_dates(base_model: str, method: Method, *, endpoint: str, today: date) -> Iterator[Check]:
    """Say what is known of this model and of OpenAI's own training on a day; of other services nothing is."""
    if not is_openai(endpoint):
        return
    yield from check_shutdown(base_model, model_facts(base_model).shutdown_date, today=today)
    offer = next((one for one in training_offers(base_model) if one.service == "openai"), None)
    if offer is None:
        message = f"{base_model} is not among the models that OpenAI is known to train; ask for one that is"
        yield Check(name="model", level="warning", message=message)
    elif method not in offer.methods:
        message = f"OpenAI is known to train {base_model} with {' or '.join(offer.methods)}, not with {method}"
        yield Check(name="model", level="warning", message=message)
    last = training_wind_down()[-1]
    if today >= last.day:
        message = (
            f"OpenAI takes no new fine-tuning job since {last.day}; use Azure (AzureOpenAIFinetuneEngine), a service"
            " with the same API (base_url=...), or `ft-rag export --to` another trainer"
        )
        yield Check(name="organisation", level="error", message=message)


def check_shutdown(model: str, day: date | None, *, today: date) -> Iterator[Check]:
    """Say whether a model, and what is tuned from it, is gone on a day, or soon will be."""
    if day is None:
        return
    if day <= today:
        message = f"{model} was shut down on {day}, and what was tuned from it; name another base model"
        yield Check(name="model", level="error", message=message, about_shutdown=True)
    elif (day - today).days <= NEAR_DAYS:
        message = f"{model} is shut down on {day}, in {(day - today).days} days, and what is tuned from it with it"
        yield Check(name="model", level="warning", message=message, about_shutdown=True)


def check_teacher(teacher: str | None) -> Iterator[Check]:
    """Say what the teacher's terms are known to say of training on its answers."""
    if teacher is None:
        return
    terms = teacher_terms(teacher)
    level: Level = "ok" if is_offline_model(teacher) else _TERMS[terms.verdict]
    yield Check(name="teacher", level=level, message=terms.render(teacher))
