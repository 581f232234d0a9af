"""The deployments of an Azure account: the step between a tuned model and its first answer.

In: a client of Azure's management library, or credentials to make one, and the name of a model. Out: a deployment that
serves the model, or one that is gone. Knows nothing of jobs and LLMs; see `docs/azure.md` for what a deployment costs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from llama_index_ft_rag.errors import ConfigurationError, FinetuneError, MissingExtraError, WaitTimeoutError
from llama_index_ft_rag.finetuning.talk import Talk, work
from llama_index_ft_rag.finetuning.waiting import Pacing, check_seconds

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_LOST = ("Failed", "Canceled", "Disabled")
# A tuned model has this one version (Microsoft's guide to deploying fine-tuned models, 2026-02).
_MODEL_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class AzureDeployment:
    """A model under a name, as an Azure account has it."""

    name: str
    model: str
    sku: str
    """Decides what it costs: `standard` and `globalstandard` by the hour, `developertier` by the token alone."""
    capacity: int
    """For most kinds in thousands of tokens per minute."""
    state: str
    """`Succeeded` once it answers."""


@dataclass(frozen=True, kw_only=True)
class DeploymentPlace:
    """One account's deployments, through Azure's management library."""

    resource_group: str
    account: str
    client: Any = field(repr=False)
    """A `CognitiveServicesManagementClient`."""

    def find(self, name: str) -> AzureDeployment | None:
        """Look for a deployment."""
        # A list, not `get`: that one raises an error of a library which may not be installed.
        listed = self.client.deployments.list(self.resource_group, self.account)
        return next((_read(one) for one in listed if str(one.name).lower() == name.lower()), None)

    def create(self, wanted: AzureDeployment) -> None:
        """Ask for a deployment; it takes some minutes."""
        model = {"format": "OpenAI", "name": wanted.model, "version": _MODEL_VERSION}
        self.client.deployments.begin_create_or_update(
            self.resource_group,
            self.account,
            wanted.name,
            {"sku": {"name": wanted.sku, "capacity": wanted.capacity}, "properties": {"model": model}},
            polling=False,
        )

    def delete(self, name: str) -> None:
        """Ask for a deployment's end; the model stays."""
        self.client.deployments.begin_delete(self.resource_group, self.account, name, polling=False)

    def delete_command(self, name: str) -> str:
        """The same for a shell."""
        return (
            f"az cognitiveservices account deployment delete --resource-group {self.resource_group} --name"
            f" {self.account} --deployment-name {name}"
        )


@dataclass(frozen=True, kw_only=True)
class AzureAccount:
    """An account, and what its management is reached with.

    Raises:
        ConfigurationError: If a name is empty.
    """

    subscription_id: str
    resource_group: str
    account: str
    credential: Any = field(default=None, repr=False)
    management_client: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("subscription_id", "resource_group", "account"):
            if not getattr(self, name).strip():
                raise ConfigurationError(f"{name} is empty: pass that of the Azure account where the model was trained")

    @contextmanager
    def deployments(self) -> Iterator[DeploymentPlace]:
        """Reach the deployments, with the client that was given, or one that is made for the time being.

        Raises:
            MissingExtraError: If Azure's management library is not installed.
        """
        with ExitStack() as made:
            client = self.management_client
            if client is None:
                try:
                    management = import_module("azure.mgmt.cognitiveservices")
                    identity = import_module("azure.identity")
                except ImportError as exc:
                    missing = "azure-mgmt-cognitiveservices and azure-identity"
                    raise MissingExtraError("deploying at Azure", extra="azure", missing=missing) from exc
                credential = self.credential or made.enter_context(identity.DefaultAzureCredential())
                kind = management.CognitiveServicesManagementClient
                client = made.enter_context(kind(credential, self.subscription_id))
            yield DeploymentPlace(resource_group=self.resource_group, account=self.account, client=client)


def check_deployment_name(name: str) -> str:
    """Return the name; it goes into addresses.

    Raises:
        ConfigurationError: If Azure has no such names.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"deployment {name!r}: no name for one; pass 1 to 64 letters, digits, '-', '_' or '.', a letter or digit"
            " first"
        )
    return name


def deployed(
    place: DeploymentPlace, wanted: AzureDeployment, *, pacing: Pacing, timeout: float
) -> Talk[AzureDeployment]:
    """Have a model deployed, once, and wait until it is; one of the same model that is there is taken.

    Raises:
        ConfigurationError: If another model has that name.
        FinetuneError: If Azure gave up on it.
        WaitTimeoutError: If it was not there in time.
    """
    check_seconds("timeout", timeout)
    deadline, intervals = pacing.deadline(timeout), pacing.intervals()
    is_asked = False
    while True:
        found = yield from work(lambda: place.find(wanted.name))
        if found is not None and found.state == "Succeeded" and (is_asked or _is_same(found, wanted.model)):
            return found
        if found is not None and not is_asked and not _is_same(found, wanted.model):
            raise _is_taken(found, wanted.model)
        if is_asked and found is not None and found.state in _LOST:
            raise FinetuneError(
                f"deployment {found.name} of {wanted.model} ended as {found.state}; Azure's activity log of the account"
                f" says why; remove it with `{place.delete_command(found.name)}` and deploy again"
            )
        if not is_asked and (found is None or found.state in _LOST):
            yield from work(lambda: place.create(wanted))
            is_asked = True
        if not (yield from deadline.pause(next(intervals))):
            raise _not_in_time(wanted.name, found.state if found else "not listed", timeout, "deploy")


def undeployed(place: DeploymentPlace, name: str, model: str, *, pacing: Pacing, timeout: float) -> Talk[None]:
    """Have a model's deployment removed, and wait until it is.

    Raises:
        ConfigurationError: If another model has that name.
        WaitTimeoutError: If it was not gone in time.
    """
    check_seconds("timeout", timeout)
    deadline, intervals = pacing.deadline(timeout), pacing.intervals()
    is_asked = False
    while (found := (yield from work(lambda: place.find(name)))) is not None:
        if not is_asked and not _is_same(found, model):
            raise ConfigurationError(
                f"deployment {name} serves {found.model}, not {model}, and is left alone; remove it with"
                f" `{place.delete_command(name)}` if nobody needs it"
            )
        if not is_asked and found.state != "Deleting":
            yield from work(lambda: place.delete(name))
        is_asked = True
        if not (yield from deadline.pause(next(intervals))):
            raise _not_in_time(name, found.state, timeout, "undeploy")


def _read(deployment: Any) -> AzureDeployment:
    properties, sku = deployment.properties, deployment.sku
    state = getattr(properties, "provisioning_state", None)
    return AzureDeployment(
        name=str(deployment.name),
        model=str(getattr(getattr(properties, "model", None), "name", None) or "an unnamed model"),
        sku=str(getattr(sku, "name", None) or "unknown"),
        capacity=int(getattr(sku, "capacity", None) or 0),
        state=str(getattr(state, "value", state) or "unknown"),
    )


def _is_same(found: AzureDeployment, model: str) -> bool:
    return found.model.lower() == model.lower()


def _is_taken(found: AzureDeployment, model: str) -> ConfigurationError:
    return ConfigurationError(
        f"deployment {found.name} exists and serves {found.model}, not {model}; choose another name, or remove it first"
    )


def _not_in_time(name: str, state: str, seconds: float, method: str) -> WaitTimeoutError:
    return WaitTimeoutError(
        f"deployment {name} is {state} after {seconds:g} s; it goes on at Azure, call {method}() again to go on"
        " waiting (nothing is asked for twice)",
        status=state,
    )
