"""One `ft-rag finetune`, step by step: what is known, the question, the job, the waiting.

In: an engine, and whom it asks. Out: `Trained`, a job as it was left. Knows nothing of options and of what is printed
at the end.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import openai
import typer
from openai.types.fine_tuning import FineTuningJob

from llama_index_ft_rag.catalog import is_offline_model
from llama_index_ft_rag.cli.job_progress import JobProgress, Outcome, stopped_waiting, watch
from llama_index_ft_rag.cli.job_services import JobPlace
from llama_index_ft_rag.cli.job_words import harmless
from llama_index_ft_rag.cli.progress import Notices
from llama_index_ft_rag.cli.talk import err
from llama_index_ft_rag.endpoints import Endpoint, without_keys
from llama_index_ft_rag.errors import ConfigurationError, FtRagError, JobNotStartedError, PreflightError
from llama_index_ft_rag.finetuning import OpenAIFinetuneEngine, Preflight
from llama_index_ft_rag.finetuning.outcome import read_job
from llama_index_ft_rag.hostile_text import without_controls
from llama_index_ft_rag.prices import dollars


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A job as `ft-rag finetune` left it."""

    place: JobPlace
    outcome: Outcome
    preflight: Preflight


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What is to be trained where."""

    engine: OpenAIFinetuneEngine
    endpoint: Endpoint
    model: str
    file: Path
    record: Path
    base_url: str | None = None
    """The address, where an option named it."""

    def run(self, *, teacher: str | None, force: bool, yes: bool, wait: bool, timeout: float | None) -> Trained:
        """Look, ask, start the job or continue with it, and wait.

        Raises:
            PreflightError: If something forbids the job; nothing was sent.
            FtRagError: If the answer is no, or whatever stops a submission.
        """
        with Notices(err):
            before = None if force else self._earlier_job()
            preflight = self.engine.preflight(teacher=teacher)
            if before is None:
                self._make_sure(preflight, yes=yes)
        place: JobPlace | None = None

        def when_stopped() -> str:
            return stopped_waiting(place) if place is not None else self._stopped_before()

        with JobProgress(err, when_stopped=when_stopped) as progress:
            progress.on_step("sending" if before is None else f"continuing with job {harmless(before.id)}")
            self.engine.finetune(force=force)
            job = self.engine.get_current_job()
            place = self._place(job)
            if wait:
                outcome = watch(self.engine, place, progress, job=job, timeout=timeout)
            else:
                progress.on_status(job)
                outcome = Outcome(state=read_job(job))
        return Trained(place=place, outcome=outcome, preflight=preflight)

    def _make_sure(self, preflight: Preflight, *, yes: bool) -> None:
        err.print(shown(preflight))
        if not preflight.ok:
            raise PreflightError(
                "nothing was sent: mend what is marked ERROR above, and run the same command again",
                reasons=[check.message for check in preflight.errors],
            )
        if not (yes or is_offline_model(self.model)):
            self._ask(preflight)

    def _earlier_job(self) -> FineTuningJob | None:
        try:
            return self.engine.get_current_job()
        except JobNotStartedError:
            return None
        except openai.NotFoundError as exc:
            raise FtRagError(
                f"{self.record}: {self.endpoint.base_url} does not know its job any more; --force starts another"
            ) from exc

    def _ask(self, preflight: Preflight) -> None:
        usd = preflight.costs.training_usd if preflight.costs is not None else None
        price = f"it costs about {dollars(usd)}" if usd is not None else "what it costs is not known here"
        err.print(
            f"{harmless(str(self.file))} is sent to {self.endpoint.base_url}, and a fine-tuning job of"
            f" {harmless(self.model)} is started there: {price}."
        )
        if not sys.stdin.isatty():
            raise ConfigurationError("there is no terminal to ask on whether to go ahead: add --yes")
        if not typer.confirm("Go ahead?", err=True):
            raise FtRagError("not started: nothing was sent; the same command asks again")

    def _place(self, job: FineTuningJob) -> JobPlace:
        return JobPlace(
            job_id=job.id,
            endpoint=self.endpoint,
            base_model=self.model,
            base_url=self.base_url,
            record=self.record,
        )

    def _stopped_before(self) -> str:
        return f"stopped; what was sent is noted in {self.record}, and the same command continues"


def shown(preflight: Preflight) -> str:
    """A preflight as text in which nothing that a service said has an effect."""
    return without_controls(without_keys(preflight.render()))
