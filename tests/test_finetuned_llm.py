"""The LLM of a tuned model: where it asks, with what, and what it can do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from finetuning_service import (
    BASE,
    CHAT,
    KEY,
    SUCCEEDED,
    TUNED,
    URL,
    FakeTime,
    Service,
    http,
    make_engine,
    refusal,
    started,
    write_examples,
)
from llama_index.core.llms import LLM, ChatMessage, MockLLM
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.errors import (
    ConfigurationError,
    JobNotReadyError,
)
from llama_index_ft_rag.finetuning import (
    OpenAIFinetuneEngine,
)
from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder, serve


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


def test_the_tuned_llm_goes_where_it_was_trained(service: Service, data_path: Path) -> None:
    """Same endpoint, same key, same headers, and the caller's settings."""
    client = service.client(organization="org-1", default_headers={"X-Gateway": "eu"})
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": TUNED}, client=client)

    llm: Any = engine.get_finetuned_model(temperature=0.3)

    assert (llm.model, llm.api_base, llm.api_key, llm.temperature) == (TUNED, "http://proxy.invalid/v1", KEY, 0.3)
    assert llm.default_headers == {"OpenAI-Organization": "org-1", "X-Gateway": "eu"}


@pytest.mark.parametrize(("asked", "window"), [({}, 1_047_576), ({"context_window": 4321}, 4321)])
def test_a_tuned_model_that_llama_index_does_not_know_gets_its_base_models_window(
    service: Service, data_path: Path, asked: dict[str, int], window: int
) -> None:
    """Other services name their tuned models as they like; prompts are still packed to the right size."""
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": "acme-lora-7"})

    llm: Any = engine.get_finetuned_model(**asked)

    assert (llm.model, llm.api_base, llm.api_key) == ("acme-lora-7", "http://proxy.invalid/v1", KEY)
    assert (llm.metadata.context_window, llm.metadata.is_chat_model) == (window, True)


def test_make_llm_decides_how_the_tuned_model_is_asked(service: Service, data_path: Path) -> None:
    """It gets the model's name and the caller's settings, and nothing else."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def make_llm(model: str, **settings: Any) -> LLM:
        asked.append((model, settings))
        return MockLLM()

    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": TUNED}, make_llm=make_llm)

    llm = engine.get_finetuned_model(temperature=0.3)

    assert isinstance(llm, MockLLM)
    assert asked == [(TUNED, {"temperature": 0.3})]


def test_an_azure_client_needs_make_llm(service: Service, data_path: Path) -> None:
    """A tuned model there answers under the name of a deployment, which nobody but the caller knows."""
    azure = openai.AzureOpenAI(
        base_url="http://proxy.invalid/v1",
        api_key=KEY,
        api_version="2024-10-21",
        http_client=openai.DefaultHttpxClient(transport=http.MockTransport(service.handle)),
    )
    engine = started(service, data_path, {"status": "succeeded", "fine_tuned_model": TUNED}, client=azure)

    with pytest.raises(ConfigurationError, match="use AzureOpenAIFinetuneEngine with deployment="):
        engine.get_finetuned_model()


async def test_a_client_in_this_process_is_asked_by_the_tuned_llm_too(data_path: Path) -> None:
    """It has no address that another client could reach, so the LLM asks through it, with await on threads."""
    with OfflineBackend(responder=ScriptedResponder(["yes", "Tuned.", "Tuned.", "Tuned."])) as backend:
        client = Endpoint.for_offline(backend).client()
        engine = OpenAIFinetuneEngine(BASE, data_path, client=client, poll_interval=0.0)
        engine.finetune()
        engine.wait()

        llm = engine.get_finetuned_model()

        assert llm.complete("How?").text == "Tuned."
        assert (await llm.acomplete("How?")).text == "Tuned."
        assert [chunk.text async for chunk in await llm.astream_complete("How?")][-1] == "Tuned."


# --- the same way as the client's ---

SETTINGS: dict[str, Any] = {
    "organization": "org-1",
    "project": "proj-1",
    "default_headers": {"X-Gateway": "eu"},
    "default_query": {"api-version": "7"},
    "timeout": 7.5,
}


class City(BaseModel):
    """A structured answer."""

    city: str


PROMPT = PromptTemplate("Where?")


async def once(llm: Any, way: str) -> Any:
    """Ask once."""
    message = ChatMessage(role="user", content="Where?")
    if way.startswith("async"):
        return await once_awaited(llm, way, message)
    return {
        "chat": lambda: llm.chat([message]).message.content,
        "complete": lambda: llm.complete("Where?").text,
        "stream": lambda: [chunk.message.content for chunk in llm.stream_chat([message])][-1],
        "structured": lambda: llm.structured_predict(City, PROMPT),
        "structured llm": lambda: llm.as_structured_llm(City).complete("Where?").raw,
    }[way]()


async def once_awaited(llm: Any, way: str, message: ChatMessage) -> Any:
    """Ask once, with `await`."""
    if way == "async stream":
        return [chunk.message.content async for chunk in await llm.astream_chat([message])][-1]
    if way == "async structured":
        return await llm.astructured_predict(City, PROMPT)
    return (await llm.achat([message])).message.content


WAYS = ["chat", "complete", "stream", "structured", "structured llm", "async chat", "async stream", "async structured"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("has_async_client", [True, False])
async def test_every_way_of_asking_takes_the_clients_way(
    service: Service, data_path: Path, way: str, has_async_client: bool
) -> None:
    """Address, query, key, organisation, project, headers, time limit and proxy are the client's."""
    more = {"async_client": service.async_client(**SETTINGS)} if has_async_client else {}
    engine = started(service, data_path, SUCCEEDED, client=service.client(**SETTINGS), **more)
    llm = engine.get_finetuned_model()
    service.message = {"role": "assistant", "content": '{"city": "Paris"}'}
    service.calls.clear()

    answer = await once(llm, way)

    request = service.requests[-1]
    assert service.calls == [CHAT]
    assert str(request.url) == f"{URL}/chat/completions?api-version=7"
    headers = ("authorization", "openai-organization", "openai-project", "x-gateway")
    assert [request.headers[name] for name in headers] == [f"Bearer {KEY}", "org-1", "proj-1", "eu"]
    assert request.extensions["timeout"]["read"] == 7.5
    assert answer in ('{"city": "Paris"}', City(city="Paris"))


class Recorder:
    """A service on this machine that keeps what it is asked."""

    def __init__(self) -> None:
        self.backend = OfflineBackend(responder=ScriptedResponder(["Tuned."] * 9))
        self.requests: list[Any] = []

    def handle(self, request: Any) -> Any:
        """Answer one request."""
        self.requests.append(request)
        return self.backend.handle(request)


@pytest.mark.parametrize("way", ["chat", "stream", "async chat", "async stream"])
async def test_a_plain_client_gets_a_twin_that_goes_the_same_way(data_path: Path, way: str) -> None:
    """Over a real socket."""
    recorder = Recorder()
    with recorder.backend, serve(recorder) as server:
        client = openai.OpenAI(base_url=server.url, api_key="offline", **SETTINGS)
        engine = OpenAIFinetuneEngine(BASE, data_path, client=client)
        llm = engine.get_checkpoint_model(TUNED)

        answer = await once(llm, way)

    [request] = recorder.requests
    assert (answer, request.path, request.query) == ("Tuned.", "/v1/chat/completions", {"api-version": "7"})
    headers = ("authorization", "openai-organization", "openai-project", "x-gateway")
    assert [request.headers[name] for name in headers] == ["Bearer offline", "org-1", "proj-1", "eu"]


async def test_a_key_that_changes_is_asked_for_at_each_request(service: Service, data_path: Path) -> None:
    """By the trainer and by its LLM, with and without `await`, before and after the client was used."""
    keys = [f"key-{number}" for number in range(99)]
    client = service.client(api_key=lambda: keys.pop(0))
    engine = started(service, data_path, SUCCEEDED, client=client)
    llm: Any = engine.get_finetuned_model()
    llm.complete("How?")
    await llm.acomplete("How?")

    sent = [request.headers["authorization"] for request in service.requests]
    assert sent == [f"Bearer key-{number}" for number in range(len(service.requests))]
    assert len(sent) == 9


@pytest.mark.parametrize(
    "given",
    ["api_key", "api_base", "api_version", "http_client", "async_http_client", "openai_client", "async_openai_client",
     "reuse_client"],
)  # fmt: skip
def test_what_belongs_to_the_client_is_refused(service: Service, data_path: Path, given: str) -> None:
    """It would lead the LLM elsewhere; the error says where it goes."""
    engine = started(service, data_path, SUCCEEDED)

    with pytest.raises(ConfigurationError) as caught:
        engine.get_finetuned_model(**{given: None})

    assert str(caught.value) == f"{given}: belongs to the client; pass client=openai.OpenAI(...) to the engine"


def test_the_callers_settings_reach_the_service(service: Service, data_path: Path) -> None:
    """Temperature, limits, headers and time limit of the LLM go with each request; the client's headers stay."""
    client = service.client(default_headers={"X-Gateway": "eu"})
    engine = started(service, data_path, SUCCEEDED, client=client)

    llm = engine.get_finetuned_model(
        temperature=0.3, max_tokens=9, timeout=2.5, default_headers={"X-App": "rag"}, additional_kwargs={"seed": 3}
    )
    llm.complete("How?")

    chat, request = service.chats[-1], service.requests[-1]
    assert (chat["temperature"], chat["max_tokens"], chat["seed"]) == (0.3, 9, 3)
    assert (request.headers["x-app"], request.headers["x-gateway"]) == ("rag", "eu")
    assert request.extensions["timeout"]["read"] == 2.5


# --- structured answers ---


@pytest.mark.parametrize("way", ["structured", "structured llm", "async structured"])
@pytest.mark.parametrize(
    ("base_model", "tuned"),
    [(BASE, TUNED), ("gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini-2024-07-18:acme::1")],
)
async def test_a_tuned_model_obeys_a_schema_where_its_base_does(
    service: Service, data_path: Path, way: str, base_model: str, tuned: str
) -> None:
    """The schema is sent as `response_format`, which the service enforces."""
    engine = started(service, data_path, {**SUCCEEDED, "fine_tuned_model": tuned}, base_model=base_model)
    llm = engine.get_finetuned_model()
    service.message = {"role": "assistant", "content": '{"city": "Paris"}'}

    answer = await once(llm, way)

    form = service.chats[-1]["response_format"]
    assert (form["type"], form["json_schema"]["schema"]["required"]) == ("json_schema", ["city"])
    assert (answer, service.chats[-1].get("tools")) == (City(city="Paris"), None)


@pytest.mark.parametrize("way", ["structured", "async structured"])
async def test_a_tuned_model_calls_a_tool_where_its_base_obeys_no_schema(
    service: Service, data_path: Path, way: str
) -> None:
    """So that the answer is structured all the same."""
    tuned = {**SUCCEEDED, "fine_tuned_model": "ft:gpt-3.5-turbo-0125:acme::1"}
    engine = started(service, data_path, tuned, base_model="gpt-3.5-turbo-0125")
    llm = engine.get_finetuned_model()
    function = {"name": "City", "arguments": '{"city": "Paris"}'}
    call = {"id": "call-1", "type": "function", "function": function}
    service.message = {"role": "assistant", "content": None, "tool_calls": [call]}

    answer = await once(llm, way)

    [tool] = service.chats[-1]["tools"]
    assert (tool["function"]["name"], service.chats[-1].get("response_format")) == ("City", None)
    assert answer == City(city="Paris")


# --- copies ---

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "model_copy": lambda llm: llm.model_copy(),
    "pickle": lambda llm: pickle.loads(pickle.dumps(llm)),
}


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("is_used", [False, True])
def test_a_copy_of_the_llm_goes_to_the_same_place(data_path: Path, kind: str, is_used: bool) -> None:
    """With the same key, organisation and headers; LlamaIndex and process pools make such. None of its LLMs that was
    used can be copied deeply.
    """
    recorder = Recorder()
    with recorder.backend, serve(recorder) as server:
        settings = {name: SETTINGS[name] for name in ("organization", "project", "default_headers", "timeout")}
        client = openai.OpenAI(base_url=server.url, api_key="offline", **settings)
        llm = OpenAIFinetuneEngine(BASE, data_path, client=client).get_checkpoint_model(TUNED)
        if is_used:
            llm.complete("How?")

        copied = COPIES[kind](llm)
        answer = copied.complete("How?").text

    request = recorder.requests[-1]
    assert (answer, copied.metadata) == ("Tuned.", llm.metadata)
    headers = ("authorization", "openai-organization", "openai-project", "x-gateway")
    assert [request.headers[name] for name in headers] == ["Bearer offline", "org-1", "proj-1", "eu"]


@pytest.mark.parametrize("kind", ["copy", "model_copy"])
async def test_a_copy_asks_through_the_same_proxy(service: Service, data_path: Path, kind: str) -> None:
    """A shallow one shares the clients."""
    llm = started(service, data_path, SUCCEEDED).get_finetuned_model()

    copied = COPIES[kind](llm)

    assert (copied.complete("How?").text, (await copied.acomplete("How?")).text) == ("Tuned.", "Tuned.")
    assert service.count(CHAT) == 3


# --- a model that is still being loaded ---

NOT_FOUND = (404, refusal(f"The model '{TUNED}' does not exist", code="model_not_found"))


@pytest.mark.parametrize("misses", [1, 4])
def test_a_model_that_is_being_loaded_is_waited_for(service: Service, data_path: Path, misses: int) -> None:
    """Asked for one token, until it answers; another process need not ask again."""
    time = FakeTime()
    engine = started(service, data_path, SUCCEEDED, time=time)
    service.refusals[CHAT] = [NOT_FOUND] * misses

    engine.get_finetuned_model()
    engine.get_finetuned_model()
    make_engine(service, data_path).get_finetuned_model()

    assert service.chats == [{"model": TUNED, "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 1}]
    assert (service.count(CHAT), time.naps) == (misses + 1, [1.0, 2.0, 4.0, 8.0][:misses])


def test_a_model_that_is_never_loaded_is_not_waited_for_for_ever(service: Service, data_path: Path) -> None:
    """The error names the model and says what to do."""
    engine = started(service, data_path, SUCCEEDED, model_timeout=10.0)
    service.refusals[CHAT] = [NOT_FOUND] * 99

    with pytest.raises(JobNotReadyError) as caught:
        engine.get_finetuned_model()

    assert str(caught.value) == (
        f"job job-1 has succeeded, but {TUNED} does not answer after 10 s; services load a fresh model for some"
        " minutes: call get_finetuned_model() again later, or pass a longer model_timeout"
    )
    assert (caught.value.job_id, caught.value.status) == ("job-1", "succeeded")


def test_a_model_that_is_too_slow_at_first_is_waited_for(service: Service, data_path: Path) -> None:
    """A time limit that passes is a sign of loading, however often."""
    engine = started(service, data_path, SUCCEEDED)

    def late(_: int) -> None:
        if service.calls[-1] == CHAT and service.count(CHAT) < 9:
            raise http.ReadTimeout("late")

    service.before = late

    assert engine.get_finetuned_model().metadata.model_name == TUNED
    assert service.count(CHAT) == 9


@pytest.mark.parametrize(
    ("refused", "error", "times"),
    [
        ((401, refusal("wrong key", code="invalid_api_key")), openai.AuthenticationError, 1),
        ((403, refusal("not yours")), openai.PermissionDeniedError, 1),
        ((429, refusal("pay", code="insufficient_quota")), openai.RateLimitError, 1),
        ((429, refusal("slower", code="rate_limit_exceeded")), openai.RateLimitError, 6),
        ((500, refusal("failed", kind="server_error")), openai.InternalServerError, 6),
        ((502, "<html>"), openai.InternalServerError, 6),
    ],
    ids=["wrong key", "forbidden", "no quota", "rate limit", "server error", "bad gateway"],
)
def test_what_no_loading_explains_is_shown(
    service: Service, data_path: Path, refused: tuple[int, Any], error: type[Exception], times: int
) -> None:
    """The service's own error, at once or after some tries."""
    engine = started(service, data_path, SUCCEEDED)
    service.refusals[CHAT] = [refused] * 99

    with pytest.raises(error):
        engine.get_finetuned_model()

    assert service.count(CHAT) == times


@pytest.mark.parametrize("message", ["Unsupported parameter: 'max_tokens'", "This is not a chat model"])
def test_a_model_that_objects_to_the_question_is_there(service: Service, data_path: Path, message: str) -> None:
    """Only a model that is loaded can be asked wrongly."""
    engine = started(service, data_path, SUCCEEDED)
    service.refusals[CHAT] = [(400, refusal(message))]

    assert engine.get_finetuned_model().complete("How?").text == "Tuned."


async def test_a_loading_model_is_waited_for_without_holding_up_the_loop(service: Service, data_path: Path) -> None:
    """With an asynchronous client, and on threads."""
    for more in ({"async_client": service.async_client()}, {}):
        service.refusals[CHAT] = [NOT_FOUND] * 3
        engine = make_engine(service, write_examples(data_path, answer=str(more)), **more)
        await engine.afinetune()

        llm: Any = await engine.aget_finetuned_model()

        assert (await llm.acomplete("How?")).text == "Tuned."
