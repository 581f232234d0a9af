"""One training, from its file to its job: what is checked, sent, found again, and handed to the life of the job.

In: a base model, files, settings and where all of it goes. Out: conversations that submit the job once and lead to
its life. Knows nothing of sync and async, and nothing of LLMs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from llama_index_ft_rag.errors import JobNotStartedError
from llama_index_ft_rag.finetuning.job import DataFile, JobPlan, JobRecord, JobStore
from llama_index_ft_rag.finetuning.lifecycle import JobLife
from llama_index_ft_rag.finetuning.settings import JobSettings
from llama_index_ft_rag.finetuning.submission import Submission
from llama_index_ft_rag.finetuning.talk import Talk, work
from llama_index_ft_rag.finetuning.waiting import Pacing
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
    _life: JobLife | None = None

    def submit(self, *, force: bool = False) -> Talk[None]:
        """Check the files, send them and start the job; do nothing of it twice."""
        if self.start_job_id is not None or self.store is None:
            logger.log(self.level, "Attached to job %s; no other one is started", self.start_job_id)
            return
        plan = yield from work(self._plan)
        record = self.store.find(plan)
        if force or record is None or record.job_id is None:
            yield from work(self._check)
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

    def reports(self) -> list[FileReport]:
        """Validate the training file and, where there is one, the validation file.

        Raises:
            ExamplesError: If one cannot be read.
        """
        reports = []
        for path, minimum in ((self.data_path, 10), (self.validation_path, 1)):
            if path is not None:
                reports.append(
                    validate_file(
                        path,
                        model=self.base_model,
                        minimum=minimum,
                        n_epochs=self.settings.n_epochs,
                        expected=self.settings.format,
                    )
                )
        return reports

    def _check(self) -> None:
        if not self.validate:
            return
        for report in self.reports():
            report.raise_for_errors()
            for problem in report.warnings[:_WARNINGS_AT_MOST]:
                logger.warning("%s line %s: %s", report.path, problem.line, problem.message)
            logger.log(self.level, "%s: %d examples, %d tokens", report.path, report.examples, report.tokens)

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
