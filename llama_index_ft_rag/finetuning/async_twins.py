"""The methods of an engine that wait on the network, for use with `await`.

In: what a training and its job can be asked. Out: the same answers as the methods without the `a`, on the running
event loop. Knows nothing of which service it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import openai
from llama_index.core.llms import LLM
from openai.types.fine_tuning import FineTuningJob

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.finetuning.client import llm_like_client
from llama_index_ft_rag.finetuning.curves import Checkpoint, curve_frame
from llama_index_ft_rag.finetuning.interface import FinetuneEvent
from llama_index_ft_rag.finetuning.lifecycle import OnEvent, OnStatus
from llama_index_ft_rag.finetuning.preflight import Preflight
from llama_index_ft_rag.finetuning.talk import Talk, ahold
from llama_index_ft_rag.finetuning.training import Training
from llama_index_ft_rag.finetuning.waiting import Pacing, check_seconds

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

DEFAULT_WAIT_SECONDS = 24 * 60 * 60.0
_ENDED = ("succeeded", "failed", "cancelled", "canceled")


class AsyncTwins:
    """What an engine has in common with itself when awaited; see `OpenAIFinetuneEngine` for what each does."""

    base_model: str
    _client: openai.OpenAI
    _async_client: openai.AsyncOpenAI | None
    _pacing: Pacing
    _training: Training
    _make_llm: Callable[..., LLM] | None

    async def apreflight(self, *, teacher: str | None = None, max_cost: float | None = None) -> Preflight:
        """Do what `preflight` does."""
        limit = self._training.max_cost if max_cost is None else max_cost
        return await self._ahold(self._training.preflight(teacher=teacher, max_cost=limit))

    async def afinetune(self, *, wait: bool = False, force: bool = False) -> None:
        """Do what `finetune` does."""
        await self._ahold(self._training.submit(force=force))
        if wait:
            await self.await_job()

    async def await_job(
        self,
        timeout: float | None = None,
        on_status: OnStatus | None = None,
        *,
        on_event: OnEvent | None = None,
        on_end: OnStatus | None = None,
    ) -> FineTuningJob:
        """Do what `wait` does."""
        return await self._ahold(self._waiting(timeout, on_status, on_event, on_end))

    async def aget_current_job(self) -> FineTuningJob:
        """Do what `get_current_job` does."""
        return await self._ahold(self._training.life().current())

    async def aget_finetuned_model(self, **model_kwargs: Any) -> LLM:
        """Do what `get_finetuned_model` does."""
        return await self._ahold(self._tuned_llm(model_kwargs))

    async def acancel(self) -> FineTuningJob:
        """Do what `cancel` does."""
        return await self._ahold(self._training.life().cancel())

    async def apause(self) -> FineTuningJob:
        """Do what `pause` does."""
        return await self._ahold(self._training.life().pause())

    async def aresume(self) -> FineTuningJob:
        """Do what `resume` does."""
        return await self._ahold(self._training.life().resume())

    async def aevents(self) -> AsyncIterator[FinetuneEvent]:
        """Do what `events` does."""
        for event in await self._ahold(self._training.life().events()):
            yield event

    async def acheckpoints(self) -> list[Checkpoint]:
        """Do what `checkpoints` does."""
        return await self._ahold(self._training.life().checkpoints())

    async def acurves(self) -> list[dict[str, float | int]]:
        """Do what `curves` does."""
        return await self._ahold(self._training.life().curves())

    async def ametrics(self) -> pd.DataFrame:
        """Do what `metrics` does."""
        return curve_frame(await self.acurves())

    async def _ahold(self, talk: Talk[T]) -> T:
        return await ahold(
            talk, client=self._client, async_client=self._async_client, async_sleep=self._pacing.async_sleep
        )

    def _waiting(
        self,
        timeout: float | None,
        on_status: OnStatus | None,
        on_event: OnEvent | None,
        on_end: OnStatus | None,
    ) -> Talk[FineTuningJob]:
        seconds = DEFAULT_WAIT_SECONDS if timeout is None else timeout
        check_seconds("timeout", seconds)

        def tell(job: FineTuningJob) -> None:
            if on_status is not None:
                on_status(job)
            if on_end is not None and job.status in _ENDED:
                on_end(job)

        return (yield from self._training.life().wait(seconds, on_status=tell, on_event=on_event))

    def _tuned_llm(self, model_kwargs: dict[str, Any]) -> Talk[LLM]:
        is_deployed = isinstance(self._client, openai.AzureOpenAI)
        state = yield from self._training.life().tuned_model(until_it_answers=not is_deployed)
        assert state.tuned_model is not None, "a job without a model is an error"
        return self._llm(state.tuned_model, state.base_model, model_kwargs)

    def _llm(self, name: str, told_base: str | None, model_kwargs: dict[str, Any]) -> LLM:
        if self._make_llm is not None:
            return self._make_llm(name, **model_kwargs)
        if isinstance(self._client, openai.AzureOpenAI):
            raise ConfigurationError(
                f"{name}: on Azure a tuned model answers under the name of a deployment; use AzureOpenAIFinetuneEngine"
                " with deployment=..., or pass make_llm=lambda model, **kwargs: ..."
            )
        base_model = self.base_model or told_base
        return llm_like_client(self._client, self._async_client, name, base_model, model_kwargs)
