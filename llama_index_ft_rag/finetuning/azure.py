"""Fine-tuning at Azure OpenAI, where a tuned model answers only after it was deployed.

In: a base model's name, a training file, an Azure client or what makes one. Out: one job, as at OpenAI, then a
deployment, and an LLM that is asked under the deployment's name. Knows nothing of how the examples came about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import openai
from llama_index.core.llms import LLM
from llama_index.llms.openai.utils import is_function_calling_model, is_json_schema_supported

from llama_index_ft_rag.catalog import model_facts
from llama_index_ft_rag.endpoints import UNKNOWN_CONTEXT_WINDOW
from llama_index_ft_rag.errors import ConfigurationError, JobNotReadyError
from llama_index_ft_rag.finetuning.azure_deploying import AzureDeploying, model_name
from llama_index_ft_rag.finetuning.azure_deployment import check_deployment_name
from llama_index_ft_rag.finetuning.azure_service import (
    account_of,
    base_name,
    check_azure_client,
    check_azure_model,
    explained,
    make_azure_client,
    resource_url,
)
from llama_index_ft_rag.finetuning.client import llm_like_client
from llama_index_ft_rag.finetuning.curves import Checkpoint
from llama_index_ft_rag.finetuning.preflight import Preflight
from llama_index_ft_rag.finetuning.settings import JobSettings
from llama_index_ft_rag.finetuning.talk import Talk

T = TypeVar("T")


class AzureOpenAIFinetuneEngine(AzureDeploying):
    """Fine-tune a model at Azure OpenAI; everything works as in `OpenAIFinetuneEngine`, and then comes a deployment.

    The tuned model has to be deployed, by `deploy()` or elsewhere, before `get_finetuned_model()` can ask it. A
    deployment may cost by the hour whether it is asked or not: see `deploy()`, and `undeploy()` it when done.

    Args:
        base_model: Name of the model to tune, as the resource has it, such as `gpt-4.1-mini-2025-04-14`.
        data_path: The training file.
        verbose: Log progress at INFO rather than DEBUG.
        start_job_id: Attach to a job that exists instead of starting one.
        validate_json: Validate the files first.
        client: The client to use: `AzureOpenAI(...)`, or `OpenAI(base_url="https://X.openai.azure.com/openai/v1/")`.
            Without one it is made of the next four, or of AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and
            OPENAI_API_VERSION.
        async_client: Its asynchronous twin.
        azure_endpoint: Address of the resource; where it ends in `/openai/v1`, no API version is needed.
        api_key: Key of the resource.
        api_version: Version of the API, such as `2024-10-21`.
        azure_ad_token_provider: Gives a token for each request, instead of a key.
        deployment: Name of the deployment under which the tuned model is asked, where there will be one.
        training_type: Where Azure trains: `Standard` keeps the data in the region, `GlobalStandard` and
            `developerTier` are cheaper. Not every model has each, and dated API versions know it from 2025 on.
        **settings: Everything else that `OpenAIFinetuneEngine` takes: `suffix`, `max_cost`, `model_timeout`, ...

    Raises:
        ConfigurationError: If an argument is wrong, or what makes a client is missing.
    """

    provider = "azure"

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
        azure_endpoint: str | None = None,
        api_key: str | None = None,
        api_version: str | None = None,
        azure_ad_token_provider: Callable[[], str] | None = None,
        deployment: str | None = None,
        training_type: str | None = None,
        **settings: Any,
    ) -> None:
        given = {
            "azure_endpoint": azure_endpoint,
            "api_key": api_key,
            "api_version": api_version,
            "azure_ad_token_provider": azure_ad_token_provider,
        }
        superfluous = [name for name, value in given.items() if value is not None]
        if (client or async_client) and superfluous:
            raise ConfigurationError(f"both a client and {superfluous[0]} were given; pass one or the other")
        if "base_url" in settings:
            raise ConfigurationError("base_url: Azure's address is passed as azure_endpoint=..., or in a client=...")
        if client is None and async_client is None:
            client = make_azure_client(**given)  # type: ignore[arg-type]
        super().__init__(
            base_model,
            data_path,
            verbose,
            start_job_id,
            validate_json,
            client=client,
            async_client=async_client,
            **settings,
        )
        check_azure_client(self._client)
        self._deployment = None if deployment is None else check_deployment_name(deployment)
        self._training.endpoint = resource_url(self._client)
        self._training.settings = _AzureSettings.of(self._training.settings, training_type)

    def preflight(self, *, teacher: str | None = None, max_cost: float | None = None) -> Preflight:
        """Do what it does at OpenAI, and look at what this resource says of the model, and Azure's announced dates."""
        found = super().preflight(teacher=teacher, max_cost=max_cost)
        return self._hold(self._looked_at(found))

    async def apreflight(self, *, teacher: str | None = None, max_cost: float | None = None) -> Preflight:
        """Do what `preflight` does."""
        return await self._ahold(self._looked_at(await super().apreflight(teacher=teacher, max_cost=max_cost)))

    def get_finetuned_model(self, *, deployment: str | None = None, **model_kwargs: Any) -> LLM:
        """Make an LLM of the tuned model, asked under its deployment's name through the very client.

        A deployment made in the last minutes may not be known yet: it is waited for, `model_timeout` seconds at most.

        Args:
            deployment: Its name; by default the engine's, or that of the last `deploy()`.
            **model_kwargs: For the LLM's constructor, such as `temperature`.

        Raises:
            ConfigurationError: If there is no deployment; the message says how to make one.
            JobNotStartedError: If there is no job yet.
            JobNotReadyError: If the job is still under way, or the deployment did not answer in time.
            JobFailedError: If the job failed, or succeeded without releasing a model.
            JobCancelledError: If the job was cancelled.
        """
        return self._hold(self._deployed_llm(deployment, model_kwargs))

    async def aget_finetuned_model(self, *, deployment: str | None = None, **model_kwargs: Any) -> LLM:
        """Do what `get_finetuned_model` does."""
        return await self._ahold(self._deployed_llm(deployment, model_kwargs))

    def get_checkpoint_model(
        self, checkpoint: Checkpoint | str, *, deployment: str | None = None, **model_kwargs: Any
    ) -> LLM:
        """Make an LLM of a checkpoint that is deployed; see `deploy(..., checkpoint=...)`.

        Raises:
            ConfigurationError: If no deployment is named.
        """
        if deployment is None and self._make_llm is None:
            raise self._has_no_deployment(model_name(checkpoint))
        return self._llm(
            check_deployment_name(deployment) if deployment else model_name(checkpoint), None, model_kwargs
        )

    def _deployed_llm(self, deployment: str | None, model_kwargs: dict[str, Any]) -> Talk[LLM]:
        name = self._deployment if deployment is None else check_deployment_name(deployment)
        life = self._training.life()
        if name is None:
            state = yield from life.tuned_model(until_it_answers=False)
            if self._make_llm is None:
                raise self._has_no_deployment(str(state.tuned_model))
            return self._make_llm(str(state.tuned_model), **model_kwargs)
        try:
            state = yield from life.tuned_model(until_it_answers=True, asked_as=name)
        except JobNotReadyError as exc:
            if not isinstance(exc.__cause__, openai.NotFoundError):
                raise
            raise JobNotReadyError(
                f"job {exc.job_id} has succeeded, but {self._training.endpoint} knows no deployment {name!r} after"
                f" {self._pacing.model_timeout:g} s ({exc.__cause__.code}): check the name and that it is this"
                " resource's, or make it with deploy(); Azure removes a deployment that is not used",
                job_id=exc.job_id,
                status=exc.status,
            ) from exc
        return self._llm(name, state.base_model, model_kwargs)

    def _llm(self, name: str, told_base: str | None, model_kwargs: dict[str, Any]) -> LLM:
        if self._make_llm is not None:
            return self._make_llm(name, **model_kwargs)
        base_model = base_name(self.base_model or told_base or "")
        # The name of a deployment says nothing of the model: all that depends on the model is said here.
        abilities = {
            "context_window": model_facts(base_model).context_window or UNKNOWN_CONTEXT_WINDOW,
            "is_function_calling_model": base_model.startswith("gpt-") and is_function_calling_model(base_model),
            "should_use_structured_outputs": is_json_schema_supported(base_model),
        }
        return llm_like_client(self._client, self._async_client, name, base_model, {**abilities, **model_kwargs})

    def _looked_at(self, found: Preflight) -> Talk[Preflight]:
        checks = [replace(one, message=_with_azures_key(one.message)) for one in found.checks]
        if not any(one.name == "key" and one.level == "error" for one in checks):
            method = self._training.settings.method
            checks += yield from check_azure_model(self.base_model, method, today=self._training.today())
        return replace(found, checks=tuple(checks))

    def _has_no_deployment(self, model: str) -> ConfigurationError:
        account = account_of(self._training.endpoint)
        return ConfigurationError(
            f"{model} has no deployment yet, and Azure answers under the name of a deployment only. It costs by the"
            " hour and the token (standard, globalstandard), or by the token alone and lives for 24 hours"
            f" (developertier). Make one with deploy('NAME', subscription_id=..., resource_group=...,"
            f" account='{account}'), or with `az cognitiveservices account deployment create --resource-group GROUP"
            f" --name {account} --deployment-name NAME --model-name {model} --model-version 1 --model-format OpenAI"
            " --sku-name Standard --sku-capacity 1`; then pass deployment='NAME'"
        )

    def _hold(self, talk: Talk[T]) -> T:
        return super()._hold(self._explained(talk))

    async def _ahold(self, talk: Talk[T]) -> T:
        return await super()._ahold(self._explained(talk))

    def _explained(self, talk: Talk[T]) -> Talk[T]:
        return explained(talk, address=self._training.endpoint, base_model=self.base_model)


@dataclass(frozen=True, kw_only=True)
class _AzureSettings(JobSettings):
    """Settings of a job, and where Azure trains."""

    training_type: str | None = None

    @classmethod
    def of(cls, settings: JobSettings, training_type: str | None) -> _AzureSettings:
        return cls(**vars(settings), training_type=training_type)

    def identity(self) -> dict[str, Any]:
        found = super().identity()
        return found if self.training_type is None else {**found, "training_type": self.training_type}

    def body(self) -> dict[str, Any]:
        body = super().body()
        training_type = body.pop("training_type", None)
        # The SDK has no name for this field, and sends what is in extra_body beside the others.
        return body if training_type is None else {**body, "extra_body": {"trainingType": training_type}}


def _with_azures_key(message: str) -> str:
    return message.replace("check OPENAI_API_KEY", "check AZURE_OPENAI_API_KEY")
