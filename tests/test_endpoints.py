"""One place makes every LLM, embedding and client, and all of them talk to the same service."""

import pytest
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike

from llama_index_ft_rag.endpoints import Endpoint, without_keys
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline import OfflineBackend
from llama_index_ft_rag.offline.responder import ScriptedResponder

LOCAL = Endpoint(base_url="http://127.0.0.1:1/v1", api_key="secret-key")


def test_a_model_that_llama_index_knows_gets_its_own_class():
    """OpenAI's names keep OpenAI's context window and tools."""
    llm = LOCAL.llm("gpt-4o-mini", temperature=0.3)

    assert type(llm) is OpenAI
    assert (llm.api_base, llm.api_key, llm.temperature) == ("http://127.0.0.1:1/v1", "secret-key", 0.3)


def test_a_scripted_backend_has_openai_s_models_as_they_are():
    """An app that calls tools with a model of OpenAI's is tested with that model, not with one that calls none."""
    with OfflineBackend(responder=ScriptedResponder(["x"])) as backend:
        llm = Endpoint.for_offline(backend).llm("gpt-4.1")

        assert type(llm) is OpenAI
        assert llm.metadata.is_function_calling_model
        assert llm.complete("?").text == "x"


def test_any_other_model_is_asked_as_a_chat_model():
    """Ollama's and vLLM's names work as they are."""
    llm = LOCAL.llm("qwen3:8b")

    assert type(llm) is OpenAILike
    assert (llm.is_chat_model, llm.metadata.context_window) == (True, 8192)


@pytest.mark.parametrize("suffix", ["acme:draft-1", "my-ft-team:"])
def test_any_suffix_of_a_tuned_model_works_in_an_engine(suffix):
    """LlamaIndex stumbles over "ft-" anywhere in the name; an engine must still be made with the model."""
    llm = LOCAL.llm(f"ft:gpt-4.1-mini-2025-04-14:{suffix}:39329c41")

    assert llm.metadata.is_chat_model
    assert llm.metadata.is_function_calling_model
    assert llm.metadata.context_window == 1047576


def test_a_context_window_that_is_asked_for_is_had():
    """LlamaIndex's own class would ignore it silently; refine depends on it."""
    llm = LOCAL.llm("gpt-4o-mini", context_window=2048)

    assert llm.metadata.context_window == 2048


def test_client_and_embedding_talk_to_the_same_service():
    """A tuned model is asked where it was made."""
    client, embedding = LOCAL.client(), LOCAL.embedding("nomic-embed-text")

    assert str(client.base_url) == "http://127.0.0.1:1/v1/"
    assert (embedding.api_base, embedding.model_name) == ("http://127.0.0.1:1/v1", "nomic-embed-text")


def test_one_number_says_how_often_a_request_is_sent_again():
    """A test or a batch that must not wait says 0 once, for LLMs, embeddings and the client."""
    endpoint = Endpoint(base_url="http://127.0.0.1:1/v1", api_key="secret-key", max_retries=0)
    made = endpoint.llm("gpt-4o-mini"), endpoint.llm("qwen3:8b"), endpoint.embedding("e"), endpoint.client()

    assert [each.max_retries for each in made] == [0, 0, 0, 0]
    assert [each.max_retries for each in (LOCAL.embedding("e"), LOCAL.client())] == [3, 2]


def test_the_key_is_not_shown():
    """Printing an endpoint into a log leaks nothing."""
    assert "secret-key" not in repr(LOCAL)


def test_the_environment_names_the_service(monkeypatch):
    """Key and address come from the usual variables."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    assert Endpoint.from_environment() == Endpoint(base_url="http://127.0.0.1:9/v1", api_key="k")


def test_a_missing_key_says_what_to_do(monkeypatch):
    """The error names the variable and the way without a key."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_BASE", raising=False)

    with pytest.raises(
        ConfigurationError, match=r"OPENAI_API_KEY is not set: export your key, or .* --backend offline"
    ):
        Endpoint.from_environment()


@pytest.mark.parametrize("url", ["localhost:11434", "file:///etc/passwd", "http://user:pass@127.0.0.1/v1"])
def test_an_address_that_cannot_be_kept_or_used_is_refused(url):
    """No other scheme, and no key inside the address, which would end up in run.json."""
    with pytest.raises(ConfigurationError, match="base URL"):
        Endpoint.from_environment(url)


def test_the_offline_backend_answers_in_process():
    """No socket is opened: the whole suite runs with the network blocked."""
    with OfflineBackend(responder=ScriptedResponder(["hello"])) as backend:
        endpoint = Endpoint.for_offline(backend)

        answer = endpoint.llm("any-name").complete("hi")

    assert str(answer) == "hello"
    assert endpoint.is_offline


def test_one_state_folder_has_one_backend_in_a_process(tmp_path):
    """A finished run's LLM stays usable while the folder is opened a second time."""
    first = Endpoint.for_offline(tmp_path / "offline").llm("offline-teacher")
    second = Endpoint.for_offline(tmp_path / "offline").llm("offline-teacher")

    assert str(first.complete("hi")) == str(second.complete("hi"))


def test_a_key_in_use_is_blotted_out_whatever_it_looks_like(monkeypatch):
    """Not every service's keys begin with sk-."""
    monkeypatch.setenv("FT_RAG_JUDGE_API_KEY", "0123456789abcdef")
    Endpoint(base_url="http://127.0.0.1:1/v1", api_key="gsk_topsecretvalue")

    text = without_keys("refused: gsk_topsecretvalue and 0123456789abcdef")

    assert text == "refused: [key] and [key]"


def test_a_key_that_a_service_quotes_is_blotted_out():
    """Errors are kept in journals and shown in reports."""
    text = without_keys("Incorrect API key provided: sk-proj-0123456789abcdef. See the docs.")

    assert text == "Incorrect API key provided: sk-... See the docs."
