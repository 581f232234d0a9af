"""The report of a run, made from its folder alone.

In: a run folder, finished or not. Out: a `Report` of what is there. Asks nobody and pays nothing, so that it can
be made again at any time, on any machine. Knows nothing of how the files came about.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llama_index_ft_rag.answering import Answer, read_answers
from llama_index_ft_rag.catalog import is_offline_model
from llama_index_ft_rag.comparison import Comparison, compare
from llama_index_ft_rag.errors import RunFolderError
from llama_index_ft_rag.offline import OFFLINE_URL
from llama_index_ft_rag.prices import base_price, price_notice, training_cost_usd, tuned_price
from llama_index_ft_rag.questions import Question, read_questions
from llama_index_ft_rag.report import JobFacts, LossPoint, Report, RunFacts
from llama_index_ft_rag.run_folder import read_run
from llama_index_ft_rag.scoring import Score, current_scores, read_scores
from llama_index_ft_rag.validation import validate_file

CONTROL = "always-refuse"
ARMS = ("base", "tuned", "teacher", CONTROL)

MOST_LOSS_POINTS = 200
"""A loss curve keeps no more points than a plot can show."""

_PACKAGES = ("llama-index-ft-rag", "llama-index-core", "llama-index-llms-openai", "openai", "ragas")


def report_of_run(folder: str | Path, *, today: date | None = None) -> Report:
    """Make the report of a run folder.

    Args:
        folder: Where the run lies.
        today: Day on which prices are judged as fresh or old; the day on which the run began without it.

    Raises:
        RunFolderError: If there is no run, or it has not come to its tuned model yet.
    """
    path = Path(folder)
    run = read_run(path)
    if "job" not in run["facts"]:
        raise RunFolderError(f"{path}: this run has no tuned model yet; run its `ft-rag run` command again to continue")
    questions = read_questions(path / "questions.jsonl")
    asked = {question.id: question for question in questions if question.split == "eval"}
    job = JobFacts(**{**run["facts"]["job"], "loss": _loss_points(run["facts"]["job"].get("loss", ()))})
    offline = _is_offline(run)
    comparison = _comparison(path, run, asked, training_usd=job.training_usd, offline=offline)
    notes = _price_notes(run, today or _day_of(run))
    return Report(comparison=comparison, run=_run_facts(run, questions, job, offline=offline, money_notes=notes))


def job_facts(job: Any, events: Sequence[Any], *, examples: str | Path | None = None) -> dict[str, Any]:
    """What `run.json` keeps of a finished job: who, how long, how many tokens, how the loss fell.

    Args:
        job: The service's job object; fields may be missing.
        events: The job's events, as `OpenAIFinetuneEngine.events()` returns them.
        examples: The training file; its tokens, counted here, are shown beside those the service billed.

    Raises:
        ExamplesError: If the training file cannot be read.
    """
    model = str(getattr(job, "model", ""))
    trained = getattr(job, "trained_tokens", None)
    epochs = getattr(getattr(job, "hyperparameters", None), "n_epochs", None)
    losses = [
        {"step": event.data["step"], "loss": event.data["train_loss"]}
        for event in events
        if isinstance(event.data, Mapping) and {"step", "train_loss"} <= event.data.keys()
    ]
    losses.sort(key=lambda point: point["step"])
    tokens = validate_file(examples, model=model).tokens if examples is not None else None
    return {
        "id": job.id,
        "status": job.status,
        "base_model": model,
        "tuned_model": job.fine_tuned_model,
        "epochs": epochs if isinstance(epochs, int) else None,
        "trained_tokens": trained,
        "estimated_tokens": tokens * epochs if tokens is not None and isinstance(epochs, int) else None,
        # `trained_tokens` counts every epoch already.
        "training_usd": training_cost_usd(trained, epochs=1, price=tuned_price(model)) if trained else None,
        "loss": losses[:: max(1, -(-len(losses) // MOST_LOSS_POINTS))],
    }


def _comparison(
    path: Path, run: Mapping[str, Any], asked: Mapping[str, Question], *, training_usd: float | None, offline: bool
) -> Comparison | None:
    answers: dict[str, list[Answer]] = {}
    scores: dict[str, list[Score]] = {}
    for arm in ARMS:
        given = [row for row in read_answers(path / f"answers-{arm}.jsonl") if row.question_id in asked]
        if given:
            answers[arm] = given
            scores[arm] = current_scores(read_scores(path / f"scores-{arm}.jsonl"), given)
    if not {"base", "tuned"} <= answers.keys():
        return None
    return compare(
        answers,
        scores,
        questions={question.id: question.text for question in asked.values()},
        sources={question.id: question.source for question in asked.values()},
        clusters={question.id: question.node_id for question in asked.values()},
        training_usd=training_usd,
        offline=offline,
        free_arms=_free_arms(run),
        seed=run["identity"]["seed"],
    )


def _price_notes(run: Mapping[str, Any], today: date | None) -> list[str]:
    """What is to be said about the age of the prices behind the report, a sentence for each."""
    if today is None:
        return []
    student = run["settings"]["student"]
    teacher = run["identity"]["teacher"].partition(" at ")[0]
    free = _free_arms(run)
    prices = {
        **({} if "tuned" in free else {student: base_price(student), f"tuned {student}": tuned_price(student)}),
        **({} if "teacher" in free else {teacher: base_price(teacher)}),
    }
    notices = (price_notice(price, today=today, name=name) for name, price in prices.items())
    return [notice for notice in notices if notice]


def _day_of(run: Mapping[str, Any]) -> date | None:
    created = run.get("created")
    return datetime.fromisoformat(created).date() if created else None


def _run_facts(
    run: Mapping[str, Any],
    questions: Sequence[Question],
    job: JobFacts,
    *,
    offline: bool,
    money_notes: Sequence[str],
) -> RunFacts:
    identity, settings, facts = run["identity"], run["settings"], run["facts"]
    counts = facts.get("examples", {})
    teacher = identity["teacher"].partition(" at ")[0]
    models = {
        "teacher": teacher,
        "student": settings["student"],
        "tuned": job.tuned_model or "",
        "judge": settings["judge"],
        "embedding": settings["embedding"],
    }
    if identity.get("engine"):
        models["engine"] = identity["engine"]
    return RunFacts(
        title=f"Can {settings['student']} do the job of {teacher}?",
        documents=list(identity["documents"]),
        models=models,
        backend="offline" if offline else "openai",
        seed=identity["seed"],
        created=run.get("created"),
        command=settings.get("command"),
        train_questions=sum(question.split == "train" for question in questions),
        eval_questions=sum(question.split == "eval" for question in questions),
        recorded=counts.get("recorded"),
        kept=counts.get("kept"),
        dropped=counts.get("dropped", {}),
        job=job,
        money_notes=money_notes,
        versions=_versions(),
        seconds=facts.get("seconds", {}),
    )


def _is_offline(run: Mapping[str, Any]) -> bool:
    """Whether toy models took part: by their names, which a server keeps, or by the backend in this process."""
    settings = run["settings"]
    others = {settings["judge"]: settings["judge_endpoint"], settings["embedding"]: None}
    return len(_free_arms(run)) > 1 or any(_is_free(model, place) for model, place in others.items())


def _free_arms(run: Mapping[str, Any]) -> list[str]:
    """The arms answered by toy models, which nobody is charged for; the control asks no model at all."""
    settings, facts = run["settings"], run["facts"]
    teacher, _, teacher_endpoint = run["identity"]["teacher"].partition(" at ")
    tuned = facts.get("tuned_model") or settings["student"]
    student_is_free = _is_free(settings["student"], settings["student_endpoint"]) or _is_free(tuned, None)
    student_is_free = student_is_free or bool(facts.get("training_offline"))
    teacher_is_free = _is_free(teacher, teacher_endpoint)
    return [CONTROL, *(("base", "tuned") if student_is_free else ()), *(("teacher",) if teacher_is_free else ())]


def _is_free(model: str, endpoint: str | None) -> bool:
    return is_offline_model(model) or endpoint == OFFLINE_URL


def _loss_points(points: Sequence[Mapping[str, Any]]) -> list[LossPoint]:
    return [LossPoint(step=point["step"], loss=point["loss"]) for point in points]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
