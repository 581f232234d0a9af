"""Fine-tuning at OpenAI, or at any service that speaks its fine-tuning API.

In: a base model's name and a training file. Out: one job, watched to its end, and an LLM of the tuned
model that is asked where it was trained. Knows nothing of how the examples came about or whether the model is
better.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import openai
from llama_index.core.llms import LLM
from openai.types.fine_tuning import FineTuningJob

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.finetuning.async_twins import AsyncTwins
from llama_index_ft_rag.finetuning.client import public_url, sync_client_like
from llama_index_ft_rag.finetuning.curves import Checkpoint, curve_frame
from llama_index_ft_rag.finetuning.interface import (
    BaseLLMFinetuneEngine,
    FinetuneEvent,
    SavesFinetuningEvents,
)
from llama_index_ft_rag.finetuning.job import JobStore
from llama_index_ft_rag.finetuning.lifecycle import OnEvent, OnStatus
from llama_index_ft_rag.finetuning.outcome import read_job
from llama_index_ft_rag.finetuning.preflight import Preflight
from llama_index_ft_rag.finetuning.settings import JobSettings, Method
from llama_index_ft_rag.finetuning.talk import Talk, hold
from llama_index_ft_rag.finetuning.training import Training
from llama_index_ft_rag.finetuning.waiting import Pacing
from llama_index_ft_rag.prices import PriceList

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


class OpenAIFinetuneEngine(AsyncTwins, BaseLLMFinetuneEngine):
    """Fine-tune a model through the OpenAI API.

    `finetune()` sends the file and starts the job, once: what was announced, sent and answered is kept in a
    job record, so that a second call, or another process, continues. Another file or other settings start
    another job, and the earlier record is kept beside the new one. Where the record is lost, a job of the same
    file and settings that the service lists is continued, unless it failed or was cancelled.

    Whatever waits on the network has an asynchronous twin: `afinetune`, `await_job` (of `wait`), `acancel`, ...

    Args:
        base_model: Name of the model to tune.
        data_path: The training file, JSONL: chat examples, or preference pairs for `method="dpo"`.
        verbose: Log progress at INFO rather than DEBUG.
        start_job_id: Attach to a job that exists instead of starting one.
        validate_json: Validate the files first; errors stop before anything is sent.
        client: The API client to use; else one is made from `base_url` and `api_key`, or the environment.
        async_client: Its asynchronous twin; without it, async calls are made by `client` on threads.
        base_url: Address of the service.
        api_key: Key for the service.
        method: `supervised`, or `dpo` for preference pairs.
        hyperparameters: `n_epochs`, `batch_size`, `learning_rate_multiplier`, for `dpo` also `beta`, or what else
            the service takes.
        validation_path: A second file that is only measured on.
        suffix: Goes into the tuned model's name.
        seed: Seed of the training.
        metadata: Labels for the job; they do not make it another job.
        integrations: Where the service shall report to, as `[{"type": "wandb", "wandb": {"project": "..."}}]`.
        max_cost: The most the training may cost, in USD, as estimated beforehand; `finetune()` refuses to start a
            dearer one, or one whose price is not known.
        prices: Instead of the built-in list, which is OpenAI's.
        job_path: Where the job record is kept; by default `<data_path>.job.json`.
        poll_interval: Seconds between two looks at a job, at most; the first ones follow faster.
        file_timeout: Seconds the service may take to process the file, or another process to start the job.
        model_timeout: Seconds the service may take to load the tuned model once it is finished.
        sleep: Replaces `time.sleep`.
        async_sleep: Replaces `asyncio.sleep`.
        clock: Replaces `time.monotonic`.
        today: Replaces `date.today`, for dates of models and prices.
        make_llm: Called as `make_llm(model, **model_kwargs)` to make the tuned LLM in another way.

    Raises:
        ConfigurationError: If an argument is wrong.
    """

    def __init__(
        self,
        base_model: str,
        data_path: str | Path | None,
        verbose: bool = False,
        start_job_id: str | None = None,
        validate_json: bool = True,
        *,
        client: openai.OpenAI | None = None,
        async_client: openai.AsyncOpenAI | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        method: Method = "supervised",
        hyperparameters: Mapping[str, Any] | None = None,
        validation_path: str | Path | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        integrations: Sequence[Mapping[str, Any]] | None = None,
        max_cost: float | None = None,
        prices: PriceList | None = None,
        job_path: str | Path | None = None,
        poll_interval: float = 20.0,
        file_timeout: float = 1800.0,
        model_timeout: float = 900.0,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = date.today,
        make_llm: Callable[..., LLM] | None = None,
    ) -> None:
        if (client or async_client) and (base_url is not None or api_key is not None):
            raise ConfigurationError("both a client and base_url or api_key were given; pass one or the other")
        if data_path is None and start_job_id is None:
            raise ConfigurationError("neither data_path nor start_job_id was given; pass the training file")
        self.base_model = base_model
        self.data_path = Path(data_path) if data_path is not None else None
        self.validate_json = validate_json
        self.start_job_id = start_job_id
        self._client = client or (
            sync_client_like(async_client) if async_client else openai.OpenAI(base_url=base_url, api_key=api_key)
        )
        self._async_client = async_client
        self._make_llm = make_llm
        self._pacing = Pacing(
            poll_interval=poll_interval,
            file_timeout=file_timeout,
            model_timeout=model_timeout,
            sleep=sleep,
            async_sleep=async_sleep,
            clock=clock,
        )
        self._training = Training(
            provider=self.provider,
            endpoint=public_url(self._client),
            base_model=base_model,
            data_path=self.data_path,
            validation_path=Path(validation_path) if validation_path is not None else None,
            settings=JobSettings(
                method=method,
                hyperparameters=hyperparameters or {},
                seed=seed,
                suffix=suffix,
                metadata=metadata or {},
                integrations=integrations or (),
            ),
            store=_store(job_path, data_path),
            pacing=self._pacing,
            level=logging.INFO if verbose else logging.DEBUG,
            validate=validate_json,
            start_job_id=start_job_id,
            max_cost=max_cost,
            prices=prices,
            today=today,
        )

    provider = "openai"
    """Which kind of API this engine speaks; part of what makes one job another."""

    @classmethod
    def from_finetuning_handler(
        cls,
        finetuning_handler: SavesFinetuningEvents,
        base_model: str,
        data_path: str | Path,
        **kwargs: Any,
    ) -> OpenAIFinetuneEngine:
        """Save what a handler has recorded to `data_path` and make an engine for that file."""
        finetuning_handler.save_finetuning_events(str(data_path))
        return cls(base_model, data_path, **kwargs)

    @classmethod
    def from_job(cls, job_id: str, *, base_model: str = "", **kwargs: Any) -> OpenAIFinetuneEngine:
        """Make an engine for a job that exists, wherever it was started; `kwargs` go to the constructor.

        Raises:
            ConfigurationError: If the id is empty.
        """
        engine = cls(base_model, None, start_job_id=job_id, **kwargs)
        engine._training.life()
        return engine

    def __repr__(self) -> str:
        what = f"data_path={str(self.data_path)!r}" if self.data_path else f"start_job_id={self.start_job_id!r}"
        return f"{type(self).__name__}(base_model={self.base_model!r}, {what}, endpoint={self._training.endpoint!r})"

    def preflight(self, *, teacher: str | None = None, max_cost: float | None = None) -> Preflight:
        """Look at all that can be known before anything is sent: nothing is uploaded, started or charged.

        The files are validated, the training is priced, and the service is asked whether it takes the key and has the
        model, and which jobs the organisation has. Whether it may create one shows for certain only when it does.

        Args:
            teacher: Name of the model whose answers are trained on: what its terms say is noted, and its price is set
                against the tuned model's.
            max_cost: Instead of the engine's.

        Raises:
            ExamplesError: If a file cannot be read. Everything else is in the result.
        """
        limit = self._training.max_cost if max_cost is None else max_cost
        return self._hold(self._training.preflight(teacher=teacher, max_cost=limit))

    def finetune(self, *, wait: bool = False, force: bool = False) -> None:
        """Check the files, upload them and start the job; do nothing of it twice. Returns while the job runs.

        Args:
            wait: Wait until the job has succeeded, as `wait()` does.
            force: Start another job although there is one of the same file and settings.

        Raises:
            ExamplesError: If validation found errors; nothing was sent.
            PreflightError: If it would cost more than `max_cost`, or the model is known to be gone; nothing was sent.
            FileNotAcceptedError: If the service refused the file or did not process it in time.
            TrainingNotAvailableError: If the organisation may not create jobs; nothing was charged.
            FinetuneError: If another process is submitting the same for too long, or what answers is no such
                service.
            openai.APIError: Whatever else the service answered.
        """
        self._hold(self._training.submit(force=force))
        if wait:
            self.wait()

    def wait(
        self,
        timeout: float | None = None,
        on_status: OnStatus | None = None,
        *,
        on_event: OnEvent | None = None,
        on_end: OnStatus | None = None,
    ) -> FineTuningJob:
        """Wait until the job has succeeded.

        Args:
            timeout: Seconds to wait; by default 24 hours.
            on_status: Called with the job when it is first seen and when its status or expected finish has changed.
            on_event: Called with each new line of the job's own log; see `read_progress` for the steps in it.
            on_end: Called once with the job when it has ended, well or not.

        Raises:
            JobFailedError: If the job failed, or succeeded without releasing a model.
            JobCancelledError: If it was cancelled.
            WaitTimeoutError: If it was not finished in time; it goes on.
        """
        return self._hold(self._waiting(timeout, on_status, on_event, on_end))

    def get_current_job(self) -> FineTuningJob:
        """Ask the service for the job as it is now.

        Raises:
            JobNotStartedError: If there is none yet.
            FinetuneError: If what answers is no such service.
        """
        return self._hold(self._training.life().current())

    def get_finetuned_model(self, **model_kwargs: Any) -> LLM:
        """Make an LLM of the tuned model, at the endpoint where it was trained and with the same key.

        Right after the training a service may not have loaded the model yet: it is asked for one token until it
        answers, `model_timeout` seconds at most.

        Args:
            **model_kwargs: For the LLM's constructor, such as `temperature`, or `context_window` where it is not
                that of the base model.

        Raises:
            JobNotStartedError: If there is no job yet.
            JobNotReadyError: If the job is still under way, or its model was not loaded in time.
            JobFailedError: If the job failed, or succeeded without releasing a model.
            JobCancelledError: If the job was cancelled.
        """
        return self._hold(self._tuned_llm(model_kwargs))

    def get_checkpoint_model(self, checkpoint: Checkpoint | str, **model_kwargs: Any) -> LLM:
        """Make an LLM of a checkpoint, one of `checkpoints()` or its model's name."""
        name = checkpoint if isinstance(checkpoint, str) else checkpoint.model
        if not name.strip():
            raise ConfigurationError("the checkpoint has no name: pass one of checkpoints()")
        return self._llm(name, None, model_kwargs)

    def cancel(self) -> FineTuningJob:
        """Cancel the job. What it has trained so far may be charged."""
        return self._hold(self._training.life().cancel())

    def pause(self) -> FineTuningJob:
        """Pause the job; `resume()` goes on with it. Not every service can."""
        return self._hold(self._training.life().pause())

    def resume(self) -> FineTuningJob:
        """Go on with a paused job."""
        return self._hold(self._training.life().resume())

    def events(self) -> Iterator[FinetuneEvent]:
        """Yield the lines of the job's own log so far, oldest first."""
        return iter(self._hold(self._training.life().events()))

    def checkpoints(self) -> list[Checkpoint]:
        """Fetch the states of the training that the service kept, in the order of their steps.

        OpenAI keeps those of the last three epochs.
        """
        return self._hold(self._training.life().checkpoints())

    def curves(self) -> list[dict[str, float | int]]:
        """Fetch the figures of each step, from the job's log and its result file; see `metrics` for a DataFrame.

        Returns:
            One row per step, in their order: `step`, `train_loss`, `valid_loss` and what else is known of it.
        """
        return self._hold(self._training.life().curves())

    def metrics(self) -> pd.DataFrame:
        """Fetch the curves of the training: one row per step, with its training and validation losses.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        return curve_frame(self.curves())

    @property
    def trained_tokens(self) -> int | None:
        """Tokens the service says it trained on and charges for; None until the job has succeeded."""
        record = self._training.life().record
        if record is not None and record.trained_tokens is not None:
            return record.trained_tokens
        return read_job(self.get_current_job()).trained_tokens

    def _hold(self, talk: Talk[T]) -> T:
        return hold(talk, client=self._client, sleep=self._pacing.sleep)


def _store(job_path: str | Path | None, data_path: str | Path | None) -> JobStore | None:
    if job_path is not None:
        return JobStore(Path(job_path))
    return JobStore(Path(f"{data_path}.job.json")) if data_path is not None else None
