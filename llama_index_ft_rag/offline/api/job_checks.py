"""Whether a fine-tuning job may be created: all that can be said before its files are read.

In: the settings of a request, files, models, the account's conditions and its jobs. Out: nothing, or the refusal.
Reading the settings comes before all this. Known of the service's order: an upload succeeds where jobs are closed
to an organisation, so that is checked here; the limit of active jobs names the model, so it comes after it. That
permission comes first, and the files before the model, is a guess. Knows nothing of what happens to a job later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llama_index_ft_rag.offline.api.files import Files
from llama_index_ft_rag.offline.api.job_settings import JobSettings
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.protocol import Refusal, refuse
from llama_index_ft_rag.offline.service_errors import (
    too_many_active_jobs,
    training_not_available,
    training_not_on_free_plan,
)

PENDING = ("validating_files", "queued")
OPEN_STATUSES = (*PENDING, "running")
"""A job in one of these counts against the limit, and moves on when it is looked at."""


def check_new_job(
    settings: JobSettings,
    *,
    files: Files,
    models: Models,
    conditions: ServiceConditions,
    jobs: Callable[[], Sequence[dict[str, Any]]],
) -> None:
    """Refuse a job that the account, its files, the model or its other jobs do not allow.

    Args:
        settings: What is asked for.
        files: The account's files.
        models: All models.
        conditions: What the account may do.
        jobs: Reads the account's jobs, which may be many, where their number matters.

    Raises:
        Refusal: For the first reason there is.
    """
    _check_permission(conditions)
    _check_file(files, settings.training_file, "training_file")
    if settings.validation_file is not None:
        _check_file(files, settings.validation_file, "validation_file")
    if not models.is_tunable(settings.model):
        raise refuse(
            f"Model {settings.model} is not available for fine-tuning or does not exist.", code="model_not_available"
        )
    if conditions.max_active_jobs is not None:
        _check_active_jobs(settings.model, conditions.max_active_jobs, jobs())


def _check_permission(conditions: ServiceConditions) -> None:
    if conditions.training == "closed":
        raise Refusal(training_not_available())
    if conditions.training == "free_plan":
        raise Refusal(training_not_on_free_plan())


def _check_file(files: Files, file_id: str, param: str) -> None:
    record = files.look_at(file_id)
    if record is None:
        raise refuse(f"No file with ID: {file_id}", param=param)
    if record["purpose"] != "fine-tune":
        raise refuse(f"File {file_id} has purpose '{record['purpose']}'; a job needs one for 'fine-tune'.", param=param)


def _check_active_jobs(model: str, limit: int, jobs: Sequence[dict[str, Any]]) -> None:
    statuses = [job["status"] for job in jobs if job["model"] == model]
    running, pending = statuses.count("running"), sum(status in PENDING for status in statuses)
    if running + pending >= limit:
        raise Refusal(too_many_active_jobs(model, limit=limit, running=running, pending=pending))
