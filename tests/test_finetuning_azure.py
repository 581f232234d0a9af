"""Fine-tuning at Azure: the same job under Azure's paths, and an LLM that is asked under a deployment's name.

No test here has talked to Azure: the resource is a fake, written after the published API.
"""

from __future__ import annotations

import json
import logging
from datetime import date
from pathlib import Path
from typing import Any

import openai
import pytest
from azure_cloud import BASE, NO_DEPLOYMENT, RESOURCE, TUNED, Azure, make_azure_engine, trained
from fakes import Capital
from finetuning_service import KEY, FakeTime, http, job_record, refusal, write_examples
from llama_index.core.llms import LLM, MockLLM
from llama_index.core.prompts import PromptTemplate

from llama_index_ft_rag.errors import ConfigurationError, FinetuneError, JobNotReadyError
from llama_index_ft_rag.finetuning import Checkpoint, OpenAIFinetuneEngine
from llama_index_ft_rag.finetuning.azure import AzureOpenAIFinetuneEngine

CHAT = ("POST", "/openai/deployments/tuned/chat/completions")
FROM_ENVIRONMENT = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION", "AZURE_OPENAI_AD_TOKEN")
DENIED = {
    "error": {
        "code": "401",
        "message": "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid"
        " key for an active subscription and use a correct regional API endpoint for your resource.",
    }
}
NO_ROLE = {
    "error": {
        "code": "PermissionDenied",
        "message": "The principal `p` lacks the required data action `Microsoft.CognitiveServices/accounts/OpenAI/"
        "files/write` to perform `POST /openai/files` operation.",
    }
}
NO_ROUTE = {"error": {"code": "404", "message": "Resource not found"}}
NOT_TUNABLE = {"error": {"code": "invalidPayload", "message": "The specified base model does not support fine-tuning."}}


@pytest.fixture
def azure() -> Azure:
    """A resource that accepts everything, trains at once and has the deployment `tuned`."""
    azure = Azure()
    azure.deployments = ["tuned"]
    return azure


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no Azure resource."""
    for name in FROM_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_whole_way_at_azure(azure: Azure, tmp_path: Path) -> None:
    """Upload, training and the first answer go under Azure's paths, with its key and API version."""
    engine = trained(azure, tmp_path)

    job = engine.wait()
    answer = engine.get_finetuned_model(deployment="tuned", temperature=0.3).complete("How did revenue change?")

    assert (job.fine_tuned_model, answer.text) == (TUNED, "Tuned.")
    assert azure.calls == [
        ("GET", "/openai/files"),
        ("POST", "/openai/files"),
        ("GET", "/openai/fine_tuning/jobs"),
        ("GET", "/openai/files/file-1"),
        ("POST", "/openai/fine_tuning/jobs"),
        ("GET", "/openai/fine_tuning/jobs/job-1"),
        ("GET", "/openai/fine_tuning/jobs/job-1"),
        CHAT,
        CHAT,
    ]
    assert {request.url.params["api-version"] for request in azure.requests} == {"2025-04-01-preview"}
    assert {request.headers["api-key"] for request in azure.requests} == {KEY}


def test_the_api_without_dates_does_as_well(azure: Azure, tmp_path: Path) -> None:
    """A plain client of the address that ends in /openai/v1/ asks the deployment as its model."""
    engine = trained(azure, tmp_path, client=azure.undated_client(), deployment="tuned")

    answer = engine.get_finetuned_model().complete("How did revenue change?")

    assert answer.text == "Tuned."
    assert azure.calls[-1] == ("POST", "/openai/v1/chat/completions")
    assert azure.chats[-1]["model"] == "tuned"


def test_another_version_of_the_api_starts_no_other_job(azure: Azure, tmp_path: Path) -> None:
    """The record names the resource and Azure, so that a newer client continues the job of an older one."""
    trained(azure, tmp_path)

    again = trained(azure, tmp_path, client=azure.undated_client())

    assert (azure.made, again.wait().id) == ((1, 1), "job-1")
    record = job_record(tmp_path / "examples.jsonl")
    assert (record["provider"], record["endpoint"]) == ("azure", RESOURCE)


def test_the_provider_makes_another_job(azure: Azure, tmp_path: Path) -> None:
    """What was trained through the engine for OpenAI's API is not taken for a job of this one."""
    data_path = write_examples(tmp_path / "examples.jsonl")
    OpenAIFinetuneEngine(BASE, data_path, client=azure.azure_client()).finetune()
    first = job_record(data_path)["settings_hash"]

    make_azure_engine(azure, data_path).finetune()

    assert job_record(data_path)["settings_hash"] != first


def test_the_training_type_goes_into_the_job(azure: Azure, tmp_path: Path) -> None:
    """It is sent as Azure names it, and another one is another job."""
    trained(azure, tmp_path, training_type="GlobalStandard", seed=3)
    trained(azure, tmp_path, training_type="developerTier", seed=3)

    shared = {"model": BASE, "seed": 3}
    assert azure.bodies == [
        {**shared, "training_file": "file-1", "trainingType": "GlobalStandard"},
        {**shared, "training_file": "file-2", "trainingType": "developerTier"},
    ]


def test_arguments_make_the_client(nothing_set: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Address, key and version are enough, and the address is shown without the path of one API."""
    engine = AzureOpenAIFinetuneEngine(
        BASE, tmp_path / "e.jsonl", azure_endpoint=f"{RESOURCE}/", api_key=KEY, api_version="2024-10-21"
    )

    assert repr(engine) == (
        f"AzureOpenAIFinetuneEngine(base_model='{BASE}', data_path='{tmp_path / 'e.jsonl'}', endpoint='{RESOURCE}')"
    )


@pytest.mark.parametrize(
    ("endpoint", "version"), [(RESOURCE, "2024-10-21"), (f"{RESOURCE}/openai/v1/", None)], ids=["dated", "undated"]
)
def test_the_environment_makes_the_client(
    nothing_set: pytest.MonkeyPatch, tmp_path: Path, endpoint: str, version: str | None
) -> None:
    """The variables are those of the openai library; the address without dates needs no version."""
    nothing_set.setenv("AZURE_OPENAI_ENDPOINT", endpoint)
    nothing_set.setenv("AZURE_OPENAI_API_KEY", KEY)
    if version is not None:
        nothing_set.setenv("OPENAI_API_VERSION", version)

    engine = AzureOpenAIFinetuneEngine(BASE, tmp_path / "e.jsonl")

    assert f"endpoint='{RESOURCE}'" in repr(engine)


def test_a_token_provider_makes_a_client(nothing_set: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key is needed, and the token is asked for only when something is sent."""
    asked: list[str] = []

    def token() -> str:
        asked.append("token")
        return "a-token"

    engine = AzureOpenAIFinetuneEngine(
        BASE, tmp_path / "e.jsonl", azure_endpoint=RESOURCE, azure_ad_token_provider=token, api_version="2024-10-21"
    )

    assert (f"endpoint='{RESOURCE}'" in repr(engine), asked) == (True, [])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {},
            "not given, and not in the environment: azure_endpoint= or AZURE_OPENAI_ENDPOINT; api_key= or"
            " AZURE_OPENAI_API_KEY, or azure_ad_token_provider=; api_version= or OPENAI_API_VERSION, such as"
            " 2024-10-21; or pass client=",
        ),
        (
            {"azure_endpoint": RESOURCE, "api_key": KEY},
            "not given, and not in the environment: api_version= or OPENAI_API_VERSION, such as 2024-10-21; or pass"
            " client=",
        ),
        (
            {"azure_endpoint": f"user:{KEY}@acme", "api_key": KEY, "api_version": "v"},
            "azure_endpoint 'acme': not an address; pass one like https://example.openai.azure.com",
        ),
        (
            {"api_key": KEY, "azure_ad_token_provider": lambda: KEY},
            "both api_key and azure_ad_token_provider were given; pass one or the other",
        ),
        (
            {"client": Azure().azure_client(), "api_version": "v"},
            "both a client and api_version were given; pass one or the other",
        ),
        (
            {"base_url": RESOURCE},
            "base_url: Azure's address is passed as azure_endpoint=..., or in a client=...",
        ),
        (
            {"client": Azure().azure_client(azure_deployment="base")},
            "client: is bound to one deployment, which would answer in the tuned model's place; make it without"
            " azure_deployment",
        ),
        (
            {"client": Azure().azure_client(), "deployment": "../base"},
            "deployment '../base': no name for one; pass 1 to 64 letters, digits, '-', '_' or '.', a letter or digit"
            " first",
        ),
    ],
    ids=["nothing", "no version", "no address", "two secrets", "two clients", "base_url", "bound client", "name"],
)
def test_what_makes_no_client_is_said(
    nothing_set: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    """One sentence names all that is missing or wrong, and no secret."""
    with pytest.raises(ConfigurationError) as raised:
        AzureOpenAIFinetuneEngine(BASE, tmp_path / "e.jsonl", **given)

    assert str(raised.value) == message


def test_without_a_deployment_the_step_is_explained(azure: Azure, tmp_path: Path) -> None:
    """What a deployment is and costs, and both ways to make it, with the names that are known filled in."""
    engine = trained(azure, tmp_path)

    with pytest.raises(ConfigurationError) as raised:
        engine.get_finetuned_model()

    assert str(raised.value) == (
        f"{TUNED} has no deployment yet, and Azure answers under the name of a deployment only. It costs by the hour"
        " and the token (standard, globalstandard), or by the token alone and lives for 24 hours (developertier)."
        " Make one with deploy('NAME', subscription_id=..., resource_group=..., account='acme'), or with `az"
        " cognitiveservices account deployment create --resource-group GROUP --name acme --deployment-name NAME"
        f" --model-name {TUNED} --model-version 1 --model-format OpenAI --sku-name Standard --sku-capacity 1`; then"
        " pass deployment='NAME'"
    )


def test_a_job_under_way_comes_before_its_deployment(azure: Azure, tmp_path: Path) -> None:
    """Nothing is asked of a deployment while there is no model."""
    azure.job_looks = [{"status": "pending"}]
    engine = trained(azure, tmp_path)

    with pytest.raises(JobNotReadyError, match=r"^job job-1 is pending, its model is not there yet: call wait\(\)"):
        engine.get_finetuned_model(deployment="tuned")

    assert azure.count(CHAT) == 0


def test_a_fresh_deployment_is_waited_for(azure: Azure, tmp_path: Path) -> None:
    """For some minutes Azure does not know it; once it has answered it is not asked again."""
    time = FakeTime()
    engine = trained(azure, tmp_path, time=time)
    azure.refusals[CHAT] = [(404, NO_DEPLOYMENT)] * 3

    engine.get_finetuned_model(deployment="tuned")
    engine.get_finetuned_model(deployment="tuned")

    assert (time.naps, azure.count(CHAT)) == ([1.0, 2.0, 4.0], 4)


def test_another_deployment_is_waited_for_again(azure: Azure, tmp_path: Path) -> None:
    """That one deployment answered says nothing of the next, in this process or another."""
    trained(azure, tmp_path).get_finetuned_model(deployment="tuned")
    azure.deployments = ["second"]

    again = trained(azure, tmp_path, model_timeout=0.0)
    again.get_finetuned_model(deployment="second")

    with pytest.raises(JobNotReadyError):
        again.get_finetuned_model(deployment="tuned")


def test_a_deployment_that_never_comes_is_told_from_a_model_that_loads(azure: Azure, tmp_path: Path) -> None:
    """The wait has an end, and its error names the deployment, which may be a slip of the pen."""
    engine = trained(azure, tmp_path, model_timeout=30.0)

    with pytest.raises(JobNotReadyError) as raised:
        engine.get_finetuned_model(deployment="tunde")

    assert (raised.value.job_id, raised.value.status) == ("job-1", "succeeded")
    assert str(raised.value) == (
        f"job job-1 has succeeded, but {RESOURCE} knows no deployment 'tunde' after 30 s (DeploymentNotFound): check"
        " the name and that it is this resource's, or make it with deploy(); Azure removes a deployment that is not"
        " used"
    )


def test_a_deployment_that_is_too_slow_is_no_unknown_one(azure: Azure, tmp_path: Path) -> None:
    """A time-out says nothing of its name."""
    engine = trained(azure, tmp_path, model_timeout=0.0)

    def too_late(call: int) -> None:
        if azure.calls[-1] == CHAT:
            raise http.ReadTimeout("too late")

    azure.before = too_late

    with pytest.raises(JobNotReadyError, match=r"^job job-1 has succeeded, but tuned does not answer after 0 s"):
        engine.get_finetuned_model(deployment="tuned")


@pytest.mark.parametrize(("asked", "window"), [({}, 1_047_576), ({"context_window": 4321}, 4321)])
def test_the_llm_can_do_what_its_base_model_can(
    azure: Azure, tmp_path: Path, asked: dict[str, int], window: int
) -> None:
    """A deployment may bear the name of another model, which says nothing of what answers there."""
    azure.deployments = ["gpt-4"]
    azure.message = {"role": "assistant", "content": '{"city": "Paris"}'}
    engine = trained(azure, tmp_path, deployment="gpt-4")

    llm: Any = engine.get_finetuned_model(**asked)
    answer = llm.structured_predict(Capital, PromptTemplate("Which city?"))

    assert (llm.model, llm.metadata.context_window, llm.metadata.is_function_calling_model) == ("gpt-4", window, True)
    assert answer == Capital(city="Paris")
    assert azure.chats[-1]["response_format"]["type"] == "json_schema"


def test_an_unknown_base_model_gets_a_small_window(azure: Azure, tmp_path: Path) -> None:
    """What nobody knows is not promised."""
    engine = trained(azure, tmp_path, base_model="Ministral-3B", deployment="tuned")

    llm: Any = engine.get_finetuned_model()

    assert (llm.metadata.context_window, llm.metadata.is_function_calling_model) == (8192, False)


def test_a_model_that_was_tuned_before_keeps_its_bases_window(azure: Azure, tmp_path: Path) -> None:
    """Azure's way to name a tuned model is understood where it is tuned on."""
    engine = trained(azure, tmp_path, base_model=f"{BASE}.ft-77aa", deployment="tuned")

    assert engine.get_finetuned_model().metadata.context_window == 1_047_576


def test_a_job_made_elsewhere_tells_its_base_model(azure: Azure, tmp_path: Path) -> None:
    """Attached to by its id alone, the engine asks the service what was tuned."""
    engine = AzureOpenAIFinetuneEngine.from_job("job-9", client=azure.azure_client(), deployment="tuned")

    assert engine.get_finetuned_model().metadata.context_window == 1_047_576


async def test_everything_can_be_awaited(azure: Azure, tmp_path: Path) -> None:
    """With an asynchronous client of Azure's, and the LLM of both goes through both."""
    data_path = write_examples(tmp_path / "examples.jsonl")
    engine = make_azure_engine(azure, data_path, async_client=azure.async_azure_client())

    await engine.afinetune(wait=True)
    llm = await engine.aget_finetuned_model(deployment="tuned")
    answer = await llm.acomplete("How did revenue change?")

    assert (answer.text, azure.made, azure.count(CHAT)) == ("Tuned.", (1, 1), 2)


async def test_without_an_asynchronous_client_the_llm_is_awaited_on_threads(azure: Azure, tmp_path: Path) -> None:
    """A token that changes and a deployment's path cannot be read from a client, so that one is asked itself."""
    engine = trained(azure, tmp_path, deployment="tuned")

    llm = engine.get_finetuned_model()

    assert (await llm.acomplete("How?")).text == "Tuned."
    assert [chunk.text async for chunk in await llm.astream_complete("How?")][-1] == "Tuned."


@pytest.mark.parametrize(("deployment", "asked_as"), [(None, TUNED), ("tuned", "tuned")], ids=["model", "deployment"])
def test_make_llm_decides_how_the_tuned_model_is_asked(
    azure: Azure, tmp_path: Path, deployment: str | None, asked_as: str
) -> None:
    """It gets the deployment's name, or the model's where there is none."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def make_llm(model: str, **settings: Any) -> LLM:
        asked.append((model, settings))
        return MockLLM()

    engine = trained(azure, tmp_path, make_llm=make_llm, deployment=deployment)

    assert isinstance(engine.get_finetuned_model(temperature=0.3), MockLLM)
    assert asked == [(asked_as, {"temperature": 0.3})]


def test_a_checkpoint_is_asked_under_its_own_deployment(azure: Azure, tmp_path: Path) -> None:
    """That of the tuned model is not taken for it."""
    engine = trained(azure, tmp_path, deployment="tuned")
    checkpoint = Checkpoint(model="ftchkpt-e559")

    llm: Any = engine.get_checkpoint_model(checkpoint, deployment="step-20")

    assert (llm.model, llm.metadata.context_window) == ("step-20", 1_047_576)
    with pytest.raises(ConfigurationError, match=r"^ftchkpt-e559 has no deployment yet"):
        engine.get_checkpoint_model(checkpoint)
    with pytest.raises(ConfigurationError, match=r"^the checkpoint has no name: pass one of checkpoints\(\)$"):
        engine.get_checkpoint_model("")


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (
            401,
            DENIED,
            ConfigurationError,
            f"{RESOURCE} denies access (401): the key or token is wrong, expired, or another resource's; check"
            " AZURE_OPENAI_API_KEY, or what was passed, and that the address is that resource's",
        ),
        (
            401,
            NO_ROLE,
            ConfigurationError,
            f"{RESOURCE} knows the token, but its owner may not do this (401 PermissionDenied): give them a role for it"
            " on the resource, such as Cognitive Services OpenAI Contributor, and wait some minutes",
        ),
        (
            404,
            NO_ROUTE,
            FinetuneError,
            f"{RESOURCE} answers 404 Resource not found to files and jobs: the address or the api_version is wrong, or"
            " fine-tuning is not offered in the resource's region; try api_version='2024-10-21', else a resource in a"
            " region that Microsoft lists for fine-tuning",
        ),
        (
            400,
            NOT_TUNABLE,
            FinetuneError,
            f"{RESOURCE} does not tune {BASE} in this way (400): name the dated model, such as gpt-4.1-mini-2025-04-14;"
            " pass training_type='GlobalStandard'; or use a resource in a region that tunes it",
        ),
    ],
    ids=["key", "role", "region", "model"],
)
def test_azures_terse_refusals_become_sentences(
    azure: Azure, tmp_path: Path, status: int, body: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """Each says what may be wrong and what to do; Azure's own answer is its cause."""
    engine = make_azure_engine(azure, write_examples(tmp_path / "examples.jsonl"))
    azure.refusals[("POST", "/openai/files")] = [(status, body)]

    with pytest.raises(kind) as raised:
        engine.finetune()

    assert str(raised.value) == message
    assert isinstance(raised.value.__cause__, openai.APIStatusError)


def test_an_address_without_fine_tuning_is_named_the_second_time_too(azure: Azure, tmp_path: Path) -> None:
    """Not only the upload is refused there, but the list that is searched before the next one."""
    engine = make_azure_engine(azure, write_examples(tmp_path / "examples.jsonl"))
    azure.refusals = {(method, "/openai/files"): [(404, NO_ROUTE)] * 9 for method in ("GET", "POST")}

    for _ in range(2):
        with pytest.raises(FinetuneError, match="answers 404 Resource not found to files and jobs"):
            engine.finetune()


async def test_what_is_awaited_is_explained_as_well(azure: Azure, tmp_path: Path) -> None:
    """The sentences do not depend on how the engine is called."""
    engine = make_azure_engine(azure, write_examples(tmp_path / "examples.jsonl"))
    azure.refusals[("POST", "/openai/files")] = [(401, DENIED)]

    with pytest.raises(ConfigurationError, match=r"denies access \(401\)"):
        await engine.afinetune()


def test_what_azure_says_well_itself_comes_through(azure: Azure, tmp_path: Path) -> None:
    """Only what needs a word of explanation gets one."""
    engine = make_azure_engine(azure, write_examples(tmp_path / "examples.jsonl"))
    azure.refusals[("POST", "/openai/fine_tuning/jobs")] = [(400, refusal("Too long a suffix.", code="invalidPayload"))]

    with pytest.raises(openai.BadRequestError, match="Too long a suffix"):
        engine.finetune()


def told(azure: Azure, folder: Path, *, day: date = date(2026, 11, 25), **settings: Any) -> list[tuple[str, str]]:
    """What a preflight says of the model."""
    data_path = write_examples(folder / "examples.jsonl")
    found = make_azure_engine(azure, data_path, today=lambda: day, **settings).preflight()
    return [(check.level, check.message) for check in found.checks if check.name == "model"]


def test_preflight_tells_what_azure_announced(azure: Azure, tmp_path: Path) -> None:
    """Its dates are later than OpenAI's, and hold for those who were customers."""
    assert told(azure, tmp_path) == [
        ("ok", f"{RESOURCE} has {BASE}"),
        (
            "ok",
            f"Azure announced jobs for {BASE} until 2027-04-14 at least and deployments until 2027-10-14, for existing"
            " customers (2026-07-07)",
        ),
    ]
    assert [level for level, _ in told(azure, tmp_path, day=date(2027, 5, 1))] == ["ok", "warning"]


@pytest.mark.parametrize(
    ("base_model", "method", "message"),
    [
        ("gpt-9", "supervised", "gpt-9 is not among the models that Azure is known to tune; ask for one that is"),
        ("gpt-4o-mini", "dpo", "Azure is known to train gpt-4o-mini with supervised, not with dpo"),
    ],
)
def test_preflight_warns_of_what_azure_is_not_known_to_train(
    azure: Azure, tmp_path: Path, base_model: str, method: str, message: str
) -> None:
    """What is known has a date, so this is no error."""
    assert ("warning", message) in told(azure, tmp_path, base_model=base_model, method=method)


def test_preflight_reads_what_the_resource_says_of_the_model(azure: Azure, tmp_path: Path) -> None:
    """Whether it can be tuned in this region, and until when."""
    azure.model = {"capabilities": {"fine_tune": False}, "deprecation": {"fine_tune": 1_800_000_000}}

    assert told(azure, tmp_path)[2:] == [
        (
            "error",
            f"this resource cannot tune {BASE}; name another model, or use a resource in another region",
        ),
        ("ok", f"this resource tunes {BASE} until 2027-01-15"),
    ]
    assert told(azure, tmp_path, day=date(2027, 1, 15))[-1][0] == "error"


def test_preflight_takes_a_model_that_says_nothing(azure: Azure, tmp_path: Path) -> None:
    """Fields of another shape are no reason to fail."""
    azure.model = {"capabilities": None, "deprecation": {"fine_tune": 10**18}}

    assert [level for level, _ in told(azure, tmp_path)] == ["ok", "ok"]


async def test_preflight_names_azures_key(azure: Azure, tmp_path: Path) -> None:
    """Where the key is refused nothing more is asked, and the variable named is the one that is read."""
    azure.refusals[("GET", f"/openai/models/{BASE}")] = [(401, DENIED)] * 2
    engine = make_azure_engine(azure, write_examples(tmp_path / "examples.jsonl"))

    found = engine.preflight()
    awaited = await engine.apreflight()

    assert awaited == found
    assert [check.message for check in found.errors] == [
        f"{RESOURCE} refuses it (401); check AZURE_OPENAI_API_KEY, or the api_key that is passed"
    ]


def test_preflight_survives_a_resource_that_does_not_name_models(azure: Azure, tmp_path: Path) -> None:
    """What was not answered is a warning, as elsewhere."""
    azure.refusals[("GET", f"/openai/models/{BASE}")] = [(403, refusal("No."))] * 2

    assert told(azure, tmp_path)[0] == ("warning", f"{RESOURCE} does not say whether it has {BASE} (403)")


def test_the_key_is_shown_nowhere(azure: Azure, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It goes to Azure and into no record, log or repr."""
    caplog.set_level(logging.DEBUG, logger="llama_index_ft_rag")

    engine = trained(azure, tmp_path, verbose=True, deployment="tuned")
    engine.wait()
    engine.get_finetuned_model()

    written = json.dumps(job_record(tmp_path / "examples.jsonl"))
    assert KEY not in repr(engine) + caplog.text + written
