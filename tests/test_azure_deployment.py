"""Deployments at Azure: made once, waited for with an end, and removed.

No test here has talked to Azure: its management is a fake, written after the published library.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure_cloud import PLACE, TUNED, Azure, Management, held, trained
from finetuning_service import KEY, FakeTime

from llama_index_ft_rag.errors import (
    ConfigurationError,
    FinetuneError,
    JobNotReadyError,
    MissingExtraError,
    WaitTimeoutError,
)
from llama_index_ft_rag.finetuning import Checkpoint
from llama_index_ft_rag.finetuning.azure import AzureOpenAIFinetuneEngine
from llama_index_ft_rag.finetuning.azure_deployment import AzureDeployment

WANTED = {
    "sku": {"name": "standard", "capacity": 1},
    "properties": {"model": {"format": "OpenAI", "name": TUNED, "version": "1"}},
}
MADE = AzureDeployment(name="tuned", model=TUNED, sku="standard", capacity=1, state="Succeeded")


@pytest.fixture
def azure() -> Azure:
    """A resource that accepts everything and trains at once."""
    azure = Azure()
    azure.deployments = ["tuned"]
    return azure


@pytest.fixture
def time() -> FakeTime:
    """A clock that only sleeping moves."""
    return FakeTime()


@pytest.fixture
def engine(azure: Azure, tmp_path: Path, time: FakeTime) -> AzureOpenAIFinetuneEngine:
    """An engine whose job has succeeded."""
    return trained(azure, tmp_path, time=time)


def test_the_tuned_model_is_deployed_and_then_asked(
    azure: Azure, engine: AzureOpenAIFinetuneEngine, time: FakeTime
) -> None:
    """One request, some looks, and from then on the LLM asks the deployment."""
    management = Management()

    made = engine.deploy("tuned", **PLACE, management_client=management)
    answer = engine.get_finetuned_model().complete("How did revenue change?")

    assert (made, management.asked) == (MADE, [("create", "tuned", WANTED, False)])
    assert (time.naps, answer.text, azure.chats[-1]["model"]) == ([1.0, 2.0], "Tuned.", "tuned")


async def test_deploying_and_removing_can_be_awaited(engine: AzureOpenAIFinetuneEngine) -> None:
    """The twins do the same."""
    management = Management()

    made = await engine.adeploy("tuned", **PLACE, management_client=management)
    await engine.aundeploy("tuned", **PLACE, management_client=management)

    assert (made, management.held) == (MADE, [])
    assert management.asked == [("create", "tuned", WANTED, False), ("delete", "tuned", False)]


def test_kind_and_capacity_are_the_callers(engine: AzureOpenAIFinetuneEngine) -> None:
    """They decide what it costs, and go to Azure as they are."""
    management = Management()

    made = engine.deploy("tuned", **PLACE, management_client=management, sku="developertier", capacity=50)

    assert (made.sku, made.capacity) == ("developertier", 50)
    assert management.asked[0][2]["sku"] == {"name": "developertier", "capacity": 50}


def test_a_deployment_of_the_same_model_is_taken(engine: AzureOpenAIFinetuneEngine, time: FakeTime) -> None:
    """Whoever made it: nothing is asked for, and one that is still being made is waited for."""
    there = Management(held("tuned", TUNED, "Succeeded"), held("base", "gpt-4.1-mini", "Succeeded"))
    on_its_way = Management(held("Tuned", TUNED.upper(), "Creating", "Succeeded", sku="GlobalStandard", capacity=7))

    first = engine.deploy("tuned", **PLACE, management_client=there)
    second = engine.deploy("tuned", **PLACE, management_client=on_its_way)

    assert (first, there.asked, on_its_way.asked, time.naps) == (MADE, [], [], [1.0])
    assert (second.name, second.sku, second.capacity) == ("Tuned", "GlobalStandard", 7)


def test_another_models_deployment_is_left_alone(engine: AzureOpenAIFinetuneEngine) -> None:
    """Neither deploying nor removing touches it, and both say whose it is."""
    management = Management(held("tuned", "gpt-4.1", "Succeeded"))

    with pytest.raises(ConfigurationError) as deploying:
        engine.deploy("tuned", **PLACE, management_client=management)
    with pytest.raises(ConfigurationError) as removing:
        engine.undeploy("tuned", **PLACE, management_client=management)

    assert management.asked == []
    assert str(deploying.value) == (
        f"deployment tuned exists and serves gpt-4.1, not {TUNED}; choose another name, or remove it first"
    )
    assert str(removing.value) == (
        f"deployment tuned serves gpt-4.1, not {TUNED}, and is left alone; remove it with `az cognitiveservices account"
        " deployment delete --resource-group group --name acme --deployment-name tuned` if nobody needs it"
    )


def test_a_deployment_that_failed_is_asked_for_again_once(engine: AzureOpenAIFinetuneEngine) -> None:
    """What failed before may succeed now; what fails now is told, with where to look."""
    management = Management(held("tuned", TUNED, "Failed"))
    hopeless = Management(held("tuned", TUNED, "Canceled"))
    hopeless.states_of_new = ["Creating", "Failed"]

    assert engine.deploy("tuned", **PLACE, management_client=management) == MADE
    with pytest.raises(FinetuneError) as raised:
        engine.deploy("tuned", **PLACE, management_client=hopeless)

    assert (len(management.asked), len(hopeless.asked)) == (1, 1)
    assert str(raised.value) == (
        f"deployment tuned of {TUNED} ended as Failed; Azure's activity log of the account says why; remove it with `az"
        " cognitiveservices account deployment delete --resource-group group --name acme --deployment-name tuned` and"
        " deploy again"
    )


def test_a_deployment_that_is_being_removed_is_made_anew(engine: AzureOpenAIFinetuneEngine) -> None:
    """It is waited for until it is gone."""
    management = Management(held("tuned", TUNED, "Deleting", "Deleting", "Gone"))

    assert engine.deploy("tuned", **PLACE, management_client=management) == MADE
    assert management.asked == [("create", "tuned", WANTED, False)]


def test_waiting_for_a_deployment_ends(engine: AzureOpenAIFinetuneEngine, time: FakeTime) -> None:
    """The next call goes on waiting, and asks for nothing twice."""
    management = Management()
    management.states_of_new = ["Creating", "Creating", "Creating", "Creating", "Succeeded"]

    with pytest.raises(WaitTimeoutError) as raised:
        engine.deploy("tuned", **PLACE, management_client=management, timeout=3.0)
    waited = sum(time.naps)
    made = engine.deploy("tuned", **PLACE, management_client=management)

    assert (waited, made, len(management.asked)) == (3.0, MADE, 1)
    assert raised.value.status == "Creating"
    assert str(raised.value) == (
        "deployment tuned is Creating after 3 s; it goes on at Azure, call deploy() again to go on waiting (nothing is"
        " asked for twice)"
    )


def test_removing_is_waited_for_and_ends(engine: AzureOpenAIFinetuneEngine) -> None:
    """A deployment costs until it is gone, so this is no matter of asking alone."""
    management = Management(held("tuned", TUNED, "Succeeded"))
    management.states_of_old = ["Deleting"] * 4

    with pytest.raises(WaitTimeoutError, match=r"^deployment tuned is Deleting after 3 s; .* call undeploy\(\) again"):
        engine.undeploy("tuned", **PLACE, management_client=management, timeout=3.0)
    engine.undeploy("tuned", **PLACE, management_client=management)

    assert (management.held, management.asked) == ([], [("delete", "tuned", False)])


def test_removing_what_is_gone_does_nothing(engine: AzureOpenAIFinetuneEngine) -> None:
    """Developer deployments end by themselves."""
    management = Management()

    engine.undeploy("tuned", **PLACE, management_client=management)

    assert management.asked == []


def test_a_removed_deployment_is_not_asked_any_more(engine: AzureOpenAIFinetuneEngine) -> None:
    """The engine forgets it, and explains the step again."""
    management = Management()
    engine.deploy("tuned", **PLACE, management_client=management)

    engine.undeploy("tuned", **PLACE, management_client=management)

    with pytest.raises(ConfigurationError, match=r"^gpt-4\.1-mini-2025-04-14\.ft-0a1b2c has no deployment yet"):
        engine.get_finetuned_model()


def test_a_removed_deployment_that_is_made_anew_is_waited_for(
    azure: Azure, engine: AzureOpenAIFinetuneEngine, time: FakeTime
) -> None:
    """That the earlier one answered says nothing of the new one."""
    management = Management()
    engine.deploy("tuned", **PLACE, management_client=management)
    engine.get_finetuned_model()

    engine.undeploy("tuned", **PLACE, management_client=management)
    engine.deploy("tuned", **PLACE, management_client=management)
    before = len(azure.chats)
    engine.get_finetuned_model()

    assert len(azure.chats) == before + 1


def test_a_checkpoint_gets_a_deployment_of_its_own(engine: AzureOpenAIFinetuneEngine) -> None:
    """Azure may list it under a longer name; the tuned model's LLM does not ask it."""
    management = Management()

    made = engine.deploy("step-20", **PLACE, management_client=management, checkpoint=Checkpoint(model="ftchkpt-e559"))

    assert (made.name, made.model) == ("step-20", "ftchkpt-e559")
    with pytest.raises(ConfigurationError, match="has no deployment yet"):
        engine.get_finetuned_model()
    engine.undeploy("step-20", **PLACE, management_client=management, checkpoint="ftchkpt-e559")
    assert management.held == []


def test_nothing_is_deployed_before_there_is_a_model(azure: Azure, tmp_path: Path) -> None:
    """A job under way has none."""
    azure.job_looks = [{"status": "running"}]
    management = Management()

    with pytest.raises(JobNotReadyError):
        trained(azure, tmp_path).deploy("tuned", **PLACE, management_client=management)

    assert management.asked == []


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("", {}, "deployment '': no name for one; pass 1 to 64 letters"),
        ("a/b", {}, "deployment 'a/b': no name for one; pass 1 to 64 letters"),
        ("tuned", {"account": " "}, "account is empty: pass that of the Azure account where the model was trained"),
        ("tuned", {"timeout": -1.0}, "timeout=-1.0: below 0 or no number; pass a number of seconds"),
        ("tuned", {"checkpoint": ""}, r"the checkpoint has no name: pass one of checkpoints\(\)"),
    ],
    ids=["empty", "slash", "account", "timeout", "checkpoint"],
)
def test_what_is_no_deployment_is_refused_here(
    engine: AzureOpenAIFinetuneEngine, name: str, changed: dict[str, Any], message: str
) -> None:
    """Nothing of it is sent, whether it is to be made or removed."""
    management = Management(held("tuned", TUNED, "Succeeded"))

    for act in (engine.deploy, engine.undeploy):
        with pytest.raises(ConfigurationError, match=f"^{message}"):
            act(name, **{**PLACE, "management_client": management, **changed})

    assert management.asked == []


@pytest.mark.parametrize("missing", ["azure.mgmt.cognitiveservices", "azure.identity"])
def test_the_extra_is_named_where_it_is_missing(
    engine: AzureOpenAIFinetuneEngine, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Azure's management library is needed for this alone."""
    for module in ("azure", "azure.mgmt", "azure.mgmt.cognitiveservices", "azure.identity"):
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(__path__=[]))
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(MissingExtraError) as raised:
        engine.deploy("tuned", **PLACE)

    assert str(raised.value) == (
        "deploying at Azure needs azure-mgmt-cognitiveservices and azure-identity: pip install"
        ' "llama-index-ft-rag[azure]"'
    )


@pytest.mark.parametrize("given", [None, "a credential of mine"])
def test_the_management_client_is_made_and_closed(
    engine: AzureOpenAIFinetuneEngine, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    """With the credential that is given, or the one that Azure's library finds."""
    seen: list[str] = []

    @contextmanager
    def default_credential() -> Any:
        yield "the default credential"
        seen.append("credential closed")

    @contextmanager
    def client(credential: Any, subscription_id: str) -> Any:
        seen.append(f"{credential} for {subscription_id}")
        yield Management()
        seen.append("client closed")

    modules = {"azure.identity": SimpleNamespace(DefaultAzureCredential=default_credential)}
    modules["azure.mgmt.cognitiveservices"] = SimpleNamespace(CognitiveServicesManagementClient=client)
    for name, module in {"azure": SimpleNamespace(), "azure.mgmt": SimpleNamespace(), **modules}.items():
        monkeypatch.setitem(sys.modules, name, module)

    engine.deploy("tuned", **PLACE, credential=given)

    own = ["the default credential for s-1", "client closed", "credential closed"]
    assert seen == (own if given is None else ["a credential of mine for s-1", "client closed"])


def test_what_it_costs_is_said_where_it_is_seen(
    engine: AzureOpenAIFinetuneEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """A deployment that costs while nobody asks it is a warning; one that does not is none."""
    caplog.set_level(logging.WARNING, logger="llama_index_ft_rag.finetuning")

    engine.deploy("free", **PLACE, management_client=Management(), sku="developertier")
    engine.deploy("tuned", **PLACE, management_client=Management(), credential=KEY)

    assert caplog.messages == [
        f"Deployment tuned (standard) of {TUNED} costs by the hour, asked or not, until undeploy()"
    ]


def test_azures_own_errors_come_through(engine: AzureOpenAIFinetuneEngine) -> None:
    """It says itself which role or quota is missing."""

    class QuotaError(Exception):
        """As azure.core would raise it."""

    class Full(Management):
        def begin_create_or_update(self, *_: Any, **__: Any) -> None:
            raise QuotaError("(InsufficientQuota) This operation require 1 new capacity.")

    with pytest.raises(QuotaError, match="InsufficientQuota"):
        engine.deploy("tuned", **PLACE, management_client=Full())
