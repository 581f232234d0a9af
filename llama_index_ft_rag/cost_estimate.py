"""A checked training file and the models of a run -> what training and asking will cost, before anything is paid.

In: a `FileReport` or a number of tokens, the names of student and teacher, and a price list. Out: `CostEstimate`.
What is not known is `None` and said, never 0. Knows no network and no clock, and not what a job really used: the
job's own `trained_tokens` is the truth afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from llama_index_ft_rag.break_even import BreakEven, paid_back
from llama_index_ft_rag.catalog import is_offline_model
from llama_index_ft_rag.cost_figures import CostEstimate, PricedRole, QuestionUsage, RoleCost
from llama_index_ft_rag.endpoints import OPENAI_URL
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.example_usage import example_usage
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.offline import OFFLINE_URL
from llama_index_ft_rag.prices import Price, PriceList, cost_usd, price_notice, training_cost_usd
from llama_index_ft_rag.validation import FileReport

__all__ = ["CostEstimate", "QuestionUsage", "RoleCost", "estimate_costs"]

_OPENAI_HOST = urlsplit(OPENAI_URL).hostname or ""


def estimate_costs(
    training: FileReport | int,
    *,
    student: str | None = None,
    teacher: str | None = None,
    epochs: int | None = None,
    prompt_tokens_per_question: float | None = None,
    completion_tokens_per_question: float | None = None,
    prices: PriceList | None = None,
    endpoint: str | None = None,
    today: date | None = None,
) -> CostEstimate:
    """Estimate what training and 1,000 questions cost.

    Args:
        training: A checked file, or the tokens of one pass over it.
        student: The model to train; the one the file was checked for without it.
        teacher: The model it would replace.
        epochs: How often the file is seen; for a checked file those of its report without it.
        prompt_tokens_per_question: What a question sends, all its calls together. Where one of the two counts is
            missing, it is taken from the training examples.
        completion_tokens_per_question: What comes back.
        prices: Instead of the built-in list.
        endpoint: Address of the service that trains and answers, if it is not OpenAI.
        today: Day on which prices are judged as fresh or old; nothing is said about their age without it.

    Raises:
        ConfigurationError: If no student is named, tokens are given without epochs, or a number is below 0.
    """
    job = _job(training, student=student, epochs=epochs)
    listed = prices or PriceList.builtin()
    usage = _usage(job, prompt_tokens_per_question, completion_tokens_per_question)
    costs = tuple(_role_costs(job.student, teacher, usage, listed))
    price = listed.tuned(job.student)
    usd = training_cost_usd(job.tokens, epochs=job.epochs, price=price) if job.tokens else None
    notes = [
        *_unknown(job, costs, usd),
        *_about_usage(job, usage),
        *_about_prices(job, endpoint=endpoint, given=prices is not None),
        *_about_age(costs, today=today),
    ]
    return CostEstimate(
        student=job.student,
        teacher=teacher,
        training_tokens=job.tokens,
        training_tokens_exact=job.exact,
        epochs=job.epochs,
        training_usd=usd,
        usage=usage,
        costs=costs,
        against_base=_break_even(costs, "base", usd),
        against_teacher=_break_even(costs, "teacher", usd),
        notes=tuple(notes),
    )


@dataclass(frozen=True, kw_only=True)
class _Job:
    student: str
    tokens: int
    exact: bool
    epochs: int
    report: FileReport | None


def _job(training: FileReport | int, *, student: str | None, epochs: int | None) -> _Job:
    report = training if isinstance(training, FileReport) else None
    model = student or (report.model if report else None)
    if model is None:
        raise ConfigurationError("no student model: name the one to be trained (student=...)")
    _refuse_below(1, "epochs", epochs)
    if isinstance(training, FileReport):
        rounds = training.epochs if epochs is None else epochs
        return _Job(student=model, tokens=training.tokens, exact=training.tokens_exact, epochs=rounds, report=training)
    if epochs is None:
        raise ConfigurationError("a number of tokens says nothing of epochs: pass epochs=..., as in epochs=3")
    _refuse_below(0, "training tokens", training)
    return _Job(student=model, tokens=training, exact=True, epochs=epochs, report=None)


def _refuse_below(least: int, name: str, value: float | None) -> None:
    if value is not None and not value >= least:
        raise ConfigurationError(f"{name}: {value} is below {least}; pass {least} or more")


def _usage(job: _Job, prompt: float | None, completion: float | None) -> QuestionUsage:
    _refuse_below(0, "prompt_tokens_per_question", prompt)
    _refuse_below(0, "completion_tokens_per_question", completion)
    if prompt is not None and completion is not None:
        return QuestionUsage(prompt_tokens=prompt, completion_tokens=completion, source="given")
    seen = example_usage(job.report.path, model=job.student) if job.report else None
    if seen is None:
        return QuestionUsage(prompt_tokens=prompt, completion_tokens=completion, source="not known")
    return QuestionUsage(
        prompt_tokens=seen.prompt_tokens if prompt is None else prompt,
        completion_tokens=seen.completion_tokens if completion is None else completion,
        source="training examples",
    )


def _role_costs(student: str, teacher: str | None, usage: QuestionUsage, prices: PriceList) -> Iterator[RoleCost]:
    yield _role_cost("base", student, usage, prices.of(student))
    yield _role_cost("tuned", student, usage, prices.tuned(student))
    if teacher is not None:
        yield _role_cost("teacher", teacher, usage, prices.of(teacher))


def _role_cost(role: PricedRole, model: str, usage: QuestionUsage, price: Price | None) -> RoleCost:
    thousand = Usage(
        prompt_tokens=_times_1000(usage.prompt_tokens), completion_tokens=_times_1000(usage.completion_tokens)
    )
    return RoleCost(
        role=role,
        model=model,
        usd_per_1000_questions=cost_usd(thousand, price),
        batch_usd_per_1000_questions=cost_usd(thousand, price, batch=True),
        price=price,
    )


def _times_1000(tokens: float | None) -> int | None:
    return None if tokens is None else round(1000 * tokens)


def _break_even(costs: Sequence[RoleCost], against: PricedRole, training_usd: float | None) -> BreakEven | None:
    by_role = {row.role: row.usd_per_1000_questions for row in costs}
    return paid_back(
        "tuned",
        against,
        training_usd=training_usd,
        usd_per_1000_questions=by_role.get("tuned"),
        against_usd_per_1000_questions=by_role.get(against),
    )


def _unknown(job: _Job, costs: Sequence[RoleCost], training_usd: float | None) -> Iterator[str]:
    unpriced = [row.name for row in costs if row.price is None]
    if unpriced:
        yield f"No price is known for {', '.join(unpriced)}: pass prices in a price file."
    if not job.tokens:
        yield "No example could be read, so nothing is known of the training."
    elif training_usd is None and not any(row.role == "tuned" and row.price is None for row in costs):
        yield f"No price is known for training {job.student}: pass one in a price file."


def _about_usage(job: _Job, usage: QuestionUsage) -> Iterator[str]:
    if usage.source == "training examples":
        yield (
            "Tokens of a question are those of the mean training example, one call a question. A model that reasons is"
            " charged for its hidden reasoning, too, and another model's tokenizer counts otherwise."
        )
    if job.report and job.report.format == "preference":
        yield "How services count the tokens of preference pairs is not known; here both answers are counted."


def _about_prices(job: _Job, *, endpoint: str | None, given: bool) -> Iterator[str]:
    if endpoint is None or given or is_offline_model(job.student):
        return
    host = _host(endpoint)
    if host == urlsplit(OFFLINE_URL).hostname:
        return  # nothing is charged there, whatever the model is called
    if host != _OPENAI_HOST and not host.endswith(f".{_OPENAI_HOST}"):
        yield f"These are prices of OpenAI's list; {host} has prices of its own: pass them in a price file."


def _about_age(costs: Sequence[RoleCost], *, today: date | None) -> Iterator[str]:
    if today is None:
        return
    by_source: dict[tuple[str, str, str | None], list[RoleCost]] = {}
    for row in costs:
        if row.price is not None:
            key = (row.price.source, row.price.as_of, row.price.stale_because(today))
            by_source.setdefault(key, []).append(row)
    notices = (
        price_notice(rows[0].price, today=today, name=", ".join(row.name for row in rows))
        for rows in by_source.values()
    )
    yield from (notice for notice in notices if notice)


def _host(endpoint: str) -> str:
    try:
        return urlsplit(endpoint).hostname or endpoint
    except ValueError:
        return endpoint
