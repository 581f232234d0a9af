"""One training, from its file to its job: what is checked, sent, found again, and handed to the life of the job.

In: a base model, files, settings and where all of it goes. Out: conversations that submit the job once and lead to
its life. Knows nothing of sync and async, and nothing of LLMs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from llama_index_ft_rag.cost_estimate import estimate_costs
from llama_index_ft_rag.errors import ConfigurationError, ExamplesError, JobNotStartedError
from llama_index_ft_rag.finetuning.job import DataFile, JobPlan, JobRecord, JobStore, check_regular
from llama_index_ft_rag.finetuning.lifecycle import JobLife
from llama_index_ft_rag.finetuning.local_checks import check_cost, check_dates, check_file, check_teacher
from llama_index_ft_rag.finetuning.preflight import Preflight
from llama_index_ft_rag.finetuning.service_checks import check_service
from llama_index_ft_rag.finetuning.settings import JobSettings
from llama_index_ft_rag.finetuning.submission import Submission
from llama_index_ft_rag.finetuning.talk import Talk, work
from llama_index_ft_rag.finetuning.waiting import Pacing
from llama_index_ft_rag.prices import PriceList
from llama_index_ft_rag.validation import FileReport, validate_file

logger = logging.getLogger(__name__)

_WARNINGS_AT_MOST = 10


@dataclass(kw_only=True)
class Training:
    """What is to be trained where, and how far it got."""

    provider: str
    endpoint: str
    """Address of the service, without credentials."""
    base_model: str
    data_path: Path | None
    """`None` where a job is only attached to."""
    validation_path: Path | None
    settings: JobSettings
    store: JobStore | None
    pacing: Pacing
    level: int
    validate: bool = True
    start_job_id: str | None = None
    max_cost: float | None = None
    """The most the training may cost, in USD, as estimated beforehand."""
    prices: PriceList | None = None
    today: Callable[[], date] = date.today
    _life: JobLife | None = None

    def __post_init__(self) -> None:
        _check_limit(self.max_cost)
        if self.start_job_id is None and not self.base_model.strip():
            raise ConfigurationError("base_model is empty: name the model to tune")

    def submit(self, *, force: bool = False) -> Talk[None]:
        """Check the files, send them and start the job; do nothing of it twice."""
        if self.start_job_id is not None or self.store is None:
            logger.log(self.level, "Attached to job %s; no other one is started", self.life().job_id)
            return
        plan = yield from work(self._plan)
        record = self.store.find(plan)
        if force or record is None or record.job_id is None:
            yield from work(self._check_here)
            if (yield from work(self._plan)).upload_names() != plan.upload_names():
                raise ExamplesError(f"{self.data_path}: changed while it was checked; call finetune() again")
        submission = Submission(
            plan=plan, settings=self.settings, store=self.store, pacing=self.pacing, level=self.level
        )
        self._life = self._life_of((yield from submission.run(force=force)))

    def life(self) -> JobLife:
        """The job's life.

        Raises:
            JobNotStartedError: If there is no job yet.
        """
        if self._life is not None:
            return self._life
        if self.start_job_id is not None:
            self._life = JobLife(self.start_job_id, endpoint=self.endpoint, pacing=self.pacing, level=self.level)
            return self._life
        record = self.store.find(self._plan()) if self.store is not None else None
        if record is None or record.job_id is None:
            raise JobNotStartedError(
                f"no job was started for {self.data_path}: call finetune() first, or pass start_job_id"
            )
        self._life = self._life_of(record)
        return self._life

    def preflight(self, *, teacher: str | None = None, max_cost: float | None = None) -> Talk[Preflight]:
        """Look at everything that can be known before anything is sent; see `OpenAIFinetuneEngine.preflight`."""
        _check_limit(max_cost)
        found = yield from work(lambda: self._look_here(teacher=teacher, max_cost=max_cost))
        asked = yield from check_service(self.base_model, endpoint=self.endpoint, today=self.today())
        # What the service itself says of the model is later news than the catalog.
        is_told = any(check.about_shutdown for check in asked)
        here = [check for check in found.checks if not (is_told and check.about_shutdown)]
        return replace(found, checks=(*here, *asked))

    def _check_here(self) -> None:
        found = self._look_here(teacher=None, max_cost=self.max_cost)
        if not self.validate:
            others = tuple(check for check in found.checks if check.name not in ("training file", "validation file"))
            found = replace(found, reports=(), checks=others)
        found.raise_for_errors()
        for report in found.reports:
            for problem in report.warnings[:_WARNINGS_AT_MOST]:
                logger.warning("%s line %s: %s", report.path, problem.line, problem.message)
            logger.log(self.level, "%s: %d examples, %d tokens", report.path, report.examples, report.tokens)

    def _look_here(self, *, teacher: str | None, max_cost: float | None) -> Preflight:
        reports = self._reports()
        costs = estimate_costs(
            reports[0],
            student=self.base_model,
            teacher=teacher,
            prices=self.prices,
            endpoint=self.endpoint,
            today=self.today(),
        )
        checks = [check_file(report, validation=index > 0) for index, report in enumerate(reports)]
        checks += check_cost(costs, max_cost=max_cost)
        checks += check_dates(self.base_model, self.settings.method, endpoint=self.endpoint, today=self.today())
        checks += check_teacher(teacher)
        return Preflight(
            base_model=self.base_model,
            endpoint=self.endpoint,
            checks=tuple(checks),
            reports=tuple(reports),
            costs=costs,
        )

    def _reports(self) -> list[FileReport]:
        assert self.data_path is not None, "what is validated is a file"
        for path in (self.data_path, self.validation_path):
            if path is not None:
                check_regular(path)
        report = validate_file(
            self.data_path,
            model=self.base_model,
            n_epochs=self.settings.n_epochs,
            expected=self.settings.format,
            validation=self.validation_path,
            prices=self.prices,
        )
        return [report] if report.validation is None else [report, report.validation]

    def _life_of(self, record: JobRecord) -> JobLife:
        return JobLife(
            str(record.job_id),
            endpoint=self.endpoint,
            pacing=self.pacing,
            level=self.level,
            store=self.store,
            record=record,
        )

    def _plan(self) -> JobPlan:
        assert self.data_path is not None, "a training that sends something has a file"
        return JobPlan(
            provider=self.provider,
            endpoint=self.endpoint,
            base_model=self.base_model,
            training=DataFile.read(self.data_path),
            validation=DataFile.read(self.validation_path) if self.validation_path is not None else None,
            settings=self.settings.identity(),
        )


def _check_limit(max_cost: float | None) -> None:
    if max_cost is not None and not max_cost >= 0:
        raise ConfigurationError(f"max_cost={max_cost}: no amount of money; pass USD from 0")
