"""LlamaIndex's own classes over the offline backend, at both endpoints at which they ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes import Capital, Script
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llama_index_ft_rag.offline import OFFLINE_URL, OfflineBackend, ScriptedResponder


@pytest.fixture
def script() -> Script:
    """What is said to LlamaIndex."""
    return Script()


@pytest.fixture(params=[OpenAI, OpenAIResponses])
def llm(request: pytest.FixtureRequest, script: Script) -> Iterator[OpenAI | OpenAIResponses]:
    """One of the classes over a backend."""
    with OfflineBackend(responder=ScriptedResponder(script)) as backend:
        yield request.param(
            model="gpt-4o-mini",
            api_base=OFFLINE_URL,
            api_key="k",
            max_retries=0,
            http_client=backend.http_client(),
            async_http_client=backend.async_http_client(),
        )


def temperature(city: str) -> int:
    """Tell how warm it is."""
    return len(city) + 16


def test_calls_tools(llm: OpenAI | OpenAIResponses, script: Script) -> None:
    """LlamaIndex calls a function, and goes on from what it returned."""
    tool = FunctionTool.from_defaults(temperature)
    called = llm.chat_with_tools([tool], "How warm is it?")
    call_id = llm.get_tool_calls_from_response(called)[0].tool_id
    returned = ChatMessage(role="tool", content="21", additional_kwargs={"tool_call_id": call_id})

    assert llm.predict_and_call([tool], "How warm is it?").response == "21"
    assert llm.chat([ChatMessage("How warm is it?"), called.message, returned]).message.content == "It is 21 degrees."
    assert [message["role"] for message in script.asked[-1].messages] == ["user", "assistant", "tool"]


def test_streams(llm: OpenAI | OpenAIResponses) -> None:
    """LlamaIndex streams texts, and tool calls to their end."""
    pieces = [chunk.delta for chunk in llm.stream_chat([ChatMessage("Which capital?")])]
    *_, last = llm.stream_chat_with_tools([FunctionTool.from_defaults(temperature)], "How warm is it?")
    selection = llm.get_tool_calls_from_response(last)[0]

    assert "".join(pieces) == "It is Paris."
    assert (selection.tool_name, selection.tool_kwargs) == ("temperature", {"city": "Paris"})


async def test_asks_for_structure(llm: OpenAI | OpenAIResponses) -> None:
    """LlamaIndex reads a pydantic model from a scripted answer, in both of its ways."""
    prompt = PromptTemplate("Which is the capital of {country}?")

    assert llm.structured_predict(Capital, prompt, country="France") == Capital(city="Paris")
    assert await llm.astructured_predict(Capital, prompt, country="France") == Capital(city="Paris")
