"""Chat in all its forms, and embeddings, through the package's own parts, replayed from cassettes.

The recorder listens where an answer comes, so that what it keeps is held against what went over the wire.
"""

import json

import openai
import pytest
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llama_index_ft_rag import Endpoint, OpenAIFineTuningHandler
from llama_index_ft_rag.offline import ChatReply, ChatRequest, ScriptedResponder, ToolCall

QUESTION = "Context: The mill opened in 1968. Query: When did the mill open?"
MESSAGES = [ChatMessage(role="user", content=QUESTION)]
PIXEL = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


class Opening(BaseModel):
    """When something opened."""

    year: int


def as_a_model_would(request: ChatRequest) -> ChatReply:
    """Call the tool, tell what it said, fill in the form, or see the picture."""
    if request.messages[-1]["role"] == "tool":
        return ChatReply(content="It rains in Oslo.")
    tools = [tool["function"]["name"] for tool in request.parameters.get("tools") or []]
    if "weather" in tools:
        return ChatReply(tool_calls=[ToolCall(name="weather", arguments={"town": "Oslo"})])
    if "Opening" in tools:
        return ChatReply(tool_calls=[ToolCall(name="Opening", arguments={"year": 1968})])
    return ChatReply(content="One dot.")


scripted = pytest.mark.offline_service(
    responder=ScriptedResponder(as_a_model_would), models={"teacher": "scripted-model"}
)


def weather(town: str) -> str:
    """Tell the weather in a town."""
    return f"rain in {town}"


@pytest.fixture
def endpoint(service):
    """The service as the package's parts see it; each request is sent once."""
    return Endpoint(base_url=service.url, api_key=service.key, max_retries=0)


@pytest.fixture
def llm(endpoint, service):
    """The teacher."""
    return endpoint.llm(service.models["teacher"])


@pytest.fixture
def scripted_llm(endpoint, service):
    """A model that calls tools."""
    return endpoint.llm(service.models["teacher"], is_function_calling_model=True)


@pytest.fixture
def handler():
    """A recorder that listens."""
    attached = OpenAIFineTuningHandler()
    attached.attach()
    yield attached
    attached.detach()


def recorded(handler) -> list[list[dict]]:
    """The messages of all calls that were kept."""
    return [example.messages for example in handler.examples(kinds=None)]


def exchange(answer: str) -> list[dict]:
    """The question about the mill, and an answer."""
    return [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": answer}]


@pytest.mark.vcr
def test_complete_and_chat(llm, handler):
    """Both give the model's words, and both are recorded with them."""
    completed, chatted = llm.complete(QUESTION).text, llm.chat(MESSAGES).message.content

    assert "1968" in completed
    assert recorded(handler) == [exchange(completed), exchange(chatted)]


@pytest.mark.vcr
async def test_complete_and_chat_in_async_code(llm, handler):
    """The asynchronous calls do the same."""
    completed, chatted = (await llm.acomplete(QUESTION)).text, (await llm.achat(MESSAGES)).message.content

    assert "1968" in completed
    assert recorded(handler) == [exchange(completed), exchange(chatted)]


@pytest.mark.vcr
def test_streams(llm, handler):
    """The pieces of a stream add up to the answer that is recorded."""
    completed = "".join(piece.delta or "" for piece in llm.stream_complete(QUESTION))
    chatted = "".join(piece.delta or "" for piece in llm.stream_chat(MESSAGES))

    assert "1968" in completed
    assert recorded(handler) == [exchange(completed), exchange(chatted)]


@pytest.mark.vcr
async def test_async_streams(llm, handler):
    """The asynchronous streams do the same."""
    completed = "".join([piece.delta or "" async for piece in await llm.astream_complete(QUESTION)])
    chatted = "".join([piece.delta or "" async for piece in await llm.astream_chat(MESSAGES)])

    assert "1968" in completed
    assert recorded(handler) == [exchange(completed), exchange(chatted)]


@pytest.mark.vcr
def test_a_stream_that_is_left(llm, handler):
    """Who stops reading gets what was read; the recorder keeps nothing of it."""
    stream = llm.stream_chat(MESSAGES)
    next(stream)
    stream.close()

    assert recorded(handler) == []


@pytest.mark.vcr
@scripted
def test_a_tool_call_and_its_answer(scripted_llm, handler):
    """The tool is called with the model's arguments, and the call is recorded with them."""
    tool = FunctionTool.from_defaults(fn=weather)
    answer = scripted_llm.predict_and_call([tool], "What is the weather in Oslo?")
    [messages] = recorded(handler)

    assert str(answer) == "rain in Oslo"
    [call] = messages[-1]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("weather", {"town": "Oslo"})


@pytest.mark.vcr
@scripted
def test_a_streamed_tool_call(scripted_llm, handler):
    """A call that comes in pieces is whole in the end, and in the record."""
    tool = FunctionTool.from_defaults(fn=weather)
    *_, last = scripted_llm.stream_chat_with_tools([tool], "What is the weather in Oslo?")
    [call] = scripted_llm.get_tool_calls_from_response(last)
    [messages] = recorded(handler)

    assert (call.tool_name, call.tool_kwargs) == ("weather", {"town": "Oslo"})
    assert messages[-1]["tool_calls"][0]["function"]["name"] == "weather"


@pytest.mark.vcr
@scripted
def test_a_structured_answer(scripted_llm):
    """A schema goes in, an object comes out."""
    reply = scripted_llm.as_structured_llm(Opening).complete(QUESTION)

    assert reply.raw == Opening(year=1968)


@pytest.mark.vcr
@scripted
def test_a_question_about_a_picture(scripted_llm, handler):
    """An image goes to the model beside the text, and into the record as it went."""
    blocks = [TextBlock(text="What is this?"), ImageBlock(image=PIXEL, image_mimetype="image/png")]
    reply = scripted_llm.chat([ChatMessage(role="user", blocks=blocks)])
    [messages] = recorded(handler)

    assert reply.message.content == "One dot."
    assert [part["type"] for part in messages[0]["content"]] == ["text", "image_url"]


@pytest.mark.vcr
def test_a_model_that_does_not_exist(endpoint, handler):
    """The service's own error reaches the caller, and is no example."""
    with pytest.raises(openai.NotFoundError) as caught:
        endpoint.llm("no-such-model").complete(QUESTION)

    assert caught.value.code == "model_not_found"
    assert recorded(handler) == []


@pytest.mark.vcr
async def test_embeddings(endpoint, service):
    """Texts and queries are embedded, in async code too, near what they are about."""
    embedding = endpoint.embedding(service.models["embedding"])
    mill, harbour = embedding.get_text_embedding_batch(["The mill opened in 1968.", "The harbour has 14 docks."])
    query = await embedding.aget_query_embedding("When did the mill open?")

    assert embedding.similarity(query, mill) > embedding.similarity(query, harbour)
