"""Azure in memory: its fine-tuning API with deployments, and the management of an account; used by two test modules.

Written after the published APIs, not recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
from finetuning_service import KEY, FakeTime, Service, http, refusal, write_examples

from llama_index_ft_rag.finetuning.azure import AzureOpenAIFinetuneEngine

RESOURCE = "https://acme.openai.azure.com"
BASE = "gpt-4.1-mini-2025-04-14"
TUNED = f"{BASE}.ft-0a1b2c"
SUCCEEDED = {"status": "succeeded", "fine_tuned_model": TUNED, "model": BASE}
NO_DEPLOYMENT = refusal(
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes,"
    " please wait a moment and try again.",
    code="DeploymentNotFound",
)
PLACE: dict[str, Any] = {"subscription_id": "s-1", "resource_group": "group", "account": "acme"}


class Azure(Service):
    """A resource: the service of the other tests under Azure's paths, where deployments answer and models do not."""

    def __init__(self) -> None:
        super().__init__()
        self.job_looks = [SUCCEEDED]
        self.deployments: list[str] = []
        self.model: dict[str, Any] = {}

    def azure_client(self, **settings: Any) -> openai.AzureOpenAI:
        """A client of the dated API."""
        given = {"azure_endpoint": RESOURCE, "api_key": KEY, "api_version": "2025-04-01-preview", "max_retries": 0}
        transport = http.MockTransport(self.handle)
        settings = {**given, **settings}
        return openai.AzureOpenAI(http_client=openai.DefaultHttpxClient(transport=transport), **settings)

    def async_azure_client(self) -> openai.AsyncAzureOpenAI:
        """Its asynchronous twin."""
        given = {"azure_endpoint": RESOURCE, "api_key": KEY, "api_version": "2025-04-01-preview", "max_retries": 0}
        transport = http.MockTransport(self.handle)
        return openai.AsyncAzureOpenAI(http_client=openai.DefaultAsyncHttpxClient(transport=transport), **given)

    def undated_client(self) -> openai.OpenAI:
        """A client of the API without dates."""
        return self.client(base_url=f"{RESOURCE}/openai/v1/")

    def answer(self, call: tuple[str, str], request: Any) -> Any:
        """Do what is asked, under Azure's paths."""
        method, path = call
        rest = path.removeprefix("/openai").removeprefix("/v1")
        if rest.endswith("/chat/completions"):
            body = json.loads(request.content)
            name = rest.split("/")[2] if rest.startswith("/deployments/") else body["model"]
            return self.chat(body) if name in self.deployments else http.Response(404, json=NO_DEPLOYMENT)
        if rest.startswith("/models/"):
            return {"id": rest.split("/")[2], "object": "model", **self.model}
        return super().answer((method, f"/v1{rest}"), request)


class Management:
    """The management of an account: a deployment shows its states one after the other, the last one for good."""

    def __init__(self, *held: Any) -> None:
        self.deployments = self
        self.held: list[Any] = list(held)
        self.asked: list[Any] = []
        self.states_of_new = ["Creating", "Succeeded"]
        self.states_of_old = ["Deleting"]

    def list(self, group: str, account: str) -> Any:
        """The deployments now."""
        assert (group, account) == ("group", "acme")
        for one in self.held:
            state = one.states.pop(0) if len(one.states) > 1 else one.states[0]
            one.properties.provisioning_state = state
        # A last look at what is on its way out, then it is gone.
        shown, self.held = self.held, [one for one in self.held if one.states != ["Gone"]]
        return iter([one for one in shown if one.properties.provisioning_state != "Gone"])

    def begin_create_or_update(self, group: str, account: str, name: str, body: Any, *, polling: bool) -> None:
        """Make a deployment, or make it anew."""
        self.asked.append(("create", name, body, polling))
        self.held = [one for one in self.held if one.name != name]
        model, sku = body["properties"]["model"]["name"], body["sku"]
        self.held.append(held(name, model, *self.states_of_new, sku=sku["name"], capacity=sku["capacity"]))

    def begin_delete(self, group: str, account: str, name: str, *, polling: bool) -> None:
        """Remove a deployment."""
        self.asked.append(("delete", name, polling))
        for one in self.held:
            one.states = [*self.states_of_old, "Gone"] if one.name == name else one.states


def held(name: str, model: str, *states: str, sku: str = "standard", capacity: int = 1) -> Any:
    """A deployment as the management library shows it."""
    properties = SimpleNamespace(model=SimpleNamespace(name=model), provisioning_state=None)
    kind = SimpleNamespace(name=sku, capacity=capacity)
    return SimpleNamespace(name=name, properties=properties, sku=kind, states=list(states))


def make_azure_engine(
    azure: Azure, data_path: Path | None, *, time: FakeTime | None = None, **settings: Any
) -> AzureOpenAIFinetuneEngine:
    """An engine that talks to the fake resource and does not sleep."""
    time = time or FakeTime()
    pacing = {"sleep": time.sleep, "async_sleep": time.asleep, "clock": time.clock}
    settings = {"client": azure.azure_client(), **pacing, **settings}
    return AzureOpenAIFinetuneEngine(settings.pop("base_model", BASE), data_path, **settings)


def trained(azure: Azure, folder: Path, **settings: Any) -> AzureOpenAIFinetuneEngine:
    """An engine whose job has succeeded."""
    engine = make_azure_engine(azure, write_examples(folder / "examples.jsonl"), **settings)
    engine.finetune()
    return engine
