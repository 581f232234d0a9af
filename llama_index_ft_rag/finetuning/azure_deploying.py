"""The methods of an Azure engine that make deployments and remove them, with and without `await`.

In: a name, and an account with a way to its management. Out: the tuned model deployed, or its deployment gone. Knows
nothing of how the model is asked.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.finetuning.azure_deployment import (
    AzureAccount,
    AzureDeployment,
    check_deployment_name,
    deployed,
    undeployed,
)
from llama_index_ft_rag.finetuning.curves import Checkpoint
from llama_index_ft_rag.finetuning.openai import OpenAIFinetuneEngine
from llama_index_ft_rag.finetuning.talk import Talk, work

logger = logging.getLogger(__name__)

DEPLOY_TIMEOUT = 3600.0
_FREE_WHEN_IDLE = "developertier"


class AzureDeploying(OpenAIFinetuneEngine):
    """An engine whose models have to be deployed; see `AzureOpenAIFinetuneEngine`."""

    _deployment: str | None = None

    def deploy(
        self,
        name: str,
        *,
        subscription_id: str,
        resource_group: str,
        account: str,
        checkpoint: Checkpoint | str | None = None,
        sku: str = "standard",
        capacity: int = 1,
        credential: Any = None,
        management_client: Any = None,
        timeout: float = DEPLOY_TIMEOUT,
    ) -> AzureDeployment:
        """Deploy the tuned model, through Azure's management library, and wait until it is; that costs money.

        A `standard` or `globalstandard` deployment is charged by the hour from now on, asked or not, besides the
        tokens; Azure removes one that nobody asked for 15 days. A `developertier` one is charged by the token alone,
        and removed after 24 hours. The model itself stays, free of charge.

        A deployment of that name is taken where it serves the same model. From then on `get_finetuned_model()` asks
        it. Needs the extra `azure`, and a role that may write deployments.

        Args:
            name: Of the deployment.
            subscription_id: Of the account.
            resource_group: Of the account.
            account: Name of the Azure OpenAI or Foundry account; the one where the model was trained.
            checkpoint: Deploy this one instead; ask it with `get_checkpoint_model`.
            sku: Kind of deployment.
            capacity: For most kinds in thousands of tokens per minute.
            credential: One of `azure.identity`; by default `DefaultAzureCredential()`, which finds that of `az login`.
            management_client: A `CognitiveServicesManagementClient` of your own, for another cloud or a proxy.
            timeout: Seconds to wait.

        Raises:
            MissingExtraError: If the extra is not installed.
            ConfigurationError: If the name is none, or another model has it.
            JobNotReadyError: If the job is still under way.
            FinetuneError: If Azure gave up on the deployment.
            WaitTimeoutError: If it was not there in time; it goes on.
            azure.core.exceptions.AzureError: Whatever else Azure answered: no role, no quota.
        """
        place = AzureAccount(
            subscription_id=subscription_id,
            resource_group=resource_group,
            account=account,
            credential=credential,
            management_client=management_client,
        )
        return self._hold(self._deploying(place, _wish(name, checkpoint, sku, capacity), timeout))

    async def adeploy(
        self,
        name: str,
        *,
        subscription_id: str,
        resource_group: str,
        account: str,
        checkpoint: Checkpoint | str | None = None,
        sku: str = "standard",
        capacity: int = 1,
        credential: Any = None,
        management_client: Any = None,
        timeout: float = DEPLOY_TIMEOUT,
    ) -> AzureDeployment:
        """Do what `deploy` does."""
        place = AzureAccount(
            subscription_id=subscription_id,
            resource_group=resource_group,
            account=account,
            credential=credential,
            management_client=management_client,
        )
        return await self._ahold(self._deploying(place, _wish(name, checkpoint, sku, capacity), timeout))

    def undeploy(
        self,
        name: str,
        *,
        subscription_id: str,
        resource_group: str,
        account: str,
        checkpoint: Checkpoint | str | None = None,
        credential: Any = None,
        management_client: Any = None,
        timeout: float = DEPLOY_TIMEOUT,
    ) -> None:
        """Remove the tuned model's deployment, and with it what it costs by the hour; the model itself stays.

        Does nothing where there is none of that name. The arguments are those of `deploy()`.

        Raises:
            MissingExtraError: If the extra is not installed.
            ConfigurationError: If it serves another model; it is left alone.
            WaitTimeoutError: If it was not gone in time; that goes on.
            azure.core.exceptions.AzureError: Whatever else Azure answered.
        """
        place = AzureAccount(
            subscription_id=subscription_id,
            resource_group=resource_group,
            account=account,
            credential=credential,
            management_client=management_client,
        )
        self._hold(self._undeploying(place, check_deployment_name(name), checkpoint, timeout))

    async def aundeploy(
        self,
        name: str,
        *,
        subscription_id: str,
        resource_group: str,
        account: str,
        checkpoint: Checkpoint | str | None = None,
        credential: Any = None,
        management_client: Any = None,
        timeout: float = DEPLOY_TIMEOUT,
    ) -> None:
        """Do what `undeploy` does."""
        place = AzureAccount(
            subscription_id=subscription_id,
            resource_group=resource_group,
            account=account,
            credential=credential,
            management_client=management_client,
        )
        await self._ahold(self._undeploying(place, check_deployment_name(name), checkpoint, timeout))

    def _deploying(self, place: AzureAccount, wish: AzureDeployment, timeout: float) -> Talk[AzureDeployment]:
        with ExitStack() as opened:
            deployments = yield from work(lambda: opened.enter_context(place.deployments()))
            wanted = replace(wish, model=wish.model or (yield from self._tuned_name()))
            made = yield from deployed(deployments, wanted, pacing=self._pacing, timeout=timeout)
        if made.sku.lower() != _FREE_WHEN_IDLE:
            # Whoever forgets a deployment pays for it: this is said at a level that is seen.
            logger.warning(
                "Deployment %s (%s) of %s costs by the hour, asked or not, until undeploy()",
                made.name,
                made.sku,
                made.model,
            )
        if not wish.model:
            self._deployment = made.name
        return made

    def _undeploying(
        self, place: AzureAccount, name: str, checkpoint: Checkpoint | str | None, timeout: float
    ) -> Talk[None]:
        life = self._training.life()
        with ExitStack() as opened:
            deployments = yield from work(lambda: opened.enter_context(place.deployments()))
            model = model_name(checkpoint) if checkpoint is not None else (yield from self._tuned_name())
            yield from undeployed(deployments, name, model, pacing=self._pacing, timeout=timeout)
        life.forget(name)
        if self._deployment == name:
            self._deployment = None

    def _tuned_name(self) -> Talk[str]:
        state = yield from self._training.life().tuned_model(until_it_answers=False)
        return str(state.tuned_model)


def model_name(checkpoint: Checkpoint | str) -> str:
    """Name of a checkpoint as a model.

    Raises:
        ConfigurationError: If it is empty.
    """
    name = checkpoint if isinstance(checkpoint, str) else checkpoint.model
    if not name.strip():
        raise ConfigurationError("the checkpoint has no name: pass one of checkpoints()")
    return name


def _wish(name: str, checkpoint: Checkpoint | str | None, sku: str, capacity: int) -> AzureDeployment:
    """What is asked for; without a checkpoint the model is the tuned one, whose name the job knows."""
    return AzureDeployment(
        name=check_deployment_name(name),
        model=model_name(checkpoint) if checkpoint is not None else "",
        sku=sku,
        capacity=capacity,
        state="wanted",
    )
