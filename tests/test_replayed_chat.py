"""Chat in all its forms, and embeddings, replayed from cassettes: no service, no network, no key."""

import base64
import struct

import openai
import pytest
from llama_index.core.llms import ChatMessage
from pydantic import BaseModel

from llama_index_ft_rag import Endpoint
from llama_index_ft_rag.offline import ChatReply, ChatRequest, ScriptedResponder, ToolCall

QUESTION = "Context: The mill opened in 1968. Query: When did the mill open?"
MESSAGES = [{"role": "user", "content": QUESTION}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather in a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class Opening(BaseModel):
    """When something opened."""

    year: int


def as_a_model_would(request: ChatRequest) -> ChatReply:
    """Call the tool, tell what it said, read the year, or see the picture."""
    last = request.messages[-1]
    if last["role"] == "tool":
        return ChatReply(content="It rains in Oslo.")
    if request.parameters.get("tools"):
        return ChatReply(tool_calls=[ToolCall(name="weather", arguments={"town": "Oslo"})])
    if request.parameters.get("response_format"):
        return ChatReply(content='{"year": 1968}')
    return ChatReply(content="One dot.")


scripted = pytest.mark.offline_service(
    responder=ScriptedResponder(as_a_model_would), models={"teacher": "scripted-model"}
)


def make_client(service) -> openai.OpenAI:
    """A client that asks once."""
    return openai.OpenAI(base_url=service.url, api_key=service.key, max_retries=0)


def make_async_client(service) -> openai.AsyncOpenAI:
    """The same, asynchronous."""
    return openai.AsyncOpenAI(base_url=service.url, api_key=service.key, max_retries=0)


def make_endpoint(service) -> Endpoint:
    """The service as our package's other parts see it, asked once."""
    return Endpoint(base_url=service.url, api_key=service.key, max_retries=0)


def make_llm(service):
    """The teacher as a LlamaIndex LLM."""
    return make_endpoint(service).llm(service.models["teacher"])


@pytest.mark.vcr
def test_a_plain_completion(service):
    """The answer comes with its usage."""
    reply = make_client(service).chat.completions.create(model=service.models["teacher"], messages=MESSAGES)

    assert "1968" in reply.choices[0].message.content
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


@pytest.mark.vcr
async def test_an_async_completion(service):
    """The asynchronous client gets the same."""
    reply = await make_async_client(service).chat.completions.create(model=service.models["teacher"], messages=MESSAGES)

    assert "1968" in reply.choices[0].message.content


@pytest.mark.vcr
def test_a_stream(service):
    """Pieces add up to the answer, and the usage comes last."""
    stream = make_client(service).chat.completions.create(
        model=service.models["teacher"], messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)

    assert "1968" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.completion_tokens > 0


@pytest.mark.vcr
async def test_an_async_stream(service):
    """The asynchronous stream gives the same pieces."""
    stream = await make_async_client(service).chat.completions.create(
        model=service.models["teacher"], messages=MESSAGES, stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "1968" in "".join(pieces)


@pytest.mark.vcr
def test_several_choices(service):
    """`n` answers come in one reply."""
    reply = make_client(service).chat.completions.create(model=service.models["teacher"], messages=MESSAGES, n=2)

    assert [choice.index for choice in reply.choices] == [0, 1]


@pytest.mark.vcr
@scripted
def test_a_tool_call_and_its_follow_up(service):
    """The model calls the tool, is told the result, and answers."""
    create = make_client(service).chat.completions.create
    asked = [{"role": "user", "content": "What is the weather in Oslo?"}]
    first = create(model=service.models["teacher"], messages=asked, tools=[WEATHER])
    call = first.choices[0].message.tool_calls[0]
    told = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    turn = {"role": "assistant", "tool_calls": [call.model_dump()]}
    second = create(model=service.models["teacher"], messages=[*asked, turn, told], tools=[WEATHER])

    assert (first.choices[0].finish_reason, call.function.name) == ("tool_calls", "weather")
    assert second.choices[0].message.content == "It rains in Oslo."


@pytest.mark.vcr
@scripted
def test_a_streamed_tool_call(service):
    """The pieces of a call's arguments add up to JSON."""
    asked = [{"role": "user", "content": "What is the weather in Oslo?"}]
    stream = make_client(service).chat.completions.create(
        model=service.models["teacher"], messages=asked, tools=[WEATHER], stream=True
    )
    deltas = [chunk.choices[0].delta for chunk in stream]
    calls = [call for delta in deltas for call in delta.tool_calls or []]

    assert calls[0].function.name == "weather"
    assert "".join(call.function.arguments or "" for call in calls) == '{"town": "Oslo"}'


@pytest.mark.vcr
@scripted
def test_a_structured_answer(service):
    """A schema goes in, an object comes out."""
    reply = make_client(service).chat.completions.parse(
        model=service.models["teacher"], messages=MESSAGES, response_format=Opening
    )

    assert reply.choices[0].message.parsed == Opening(year=1968)


@pytest.mark.vcr
@scripted
def test_a_question_about_a_picture(service):
    """An image part goes to the model beside the text."""
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    reply = make_client(service).chat.completions.create(
        model=service.models["teacher"], messages=[{"role": "user", "content": parts}]
    )

    assert reply.choices[0].message.content == "One dot."


@pytest.mark.vcr
def test_a_model_that_does_not_exist(service):
    """The service's own error reaches the caller."""
    with pytest.raises(openai.NotFoundError) as caught:
        make_client(service).chat.completions.create(model="no-such-model", messages=MESSAGES)

    assert caught.value.code == "model_not_found"


@pytest.mark.vcr
def test_a_llama_index_llm(service):
    """`complete` and `chat` of a LlamaIndex LLM give the model's words."""
    llm = make_llm(service)

    assert "1968" in llm.complete(QUESTION).text
    assert "1968" in llm.chat([ChatMessage(role="user", content=QUESTION)]).message.content


@pytest.mark.vcr
async def test_a_llama_index_llm_in_async_code(service):
    """`acomplete`, `achat` and both streams do too."""
    llm = make_llm(service)
    messages = [ChatMessage(role="user", content=QUESTION)]
    completed = [piece.delta async for piece in await llm.astream_complete(QUESTION)]
    chatted = [piece.delta async for piece in await llm.astream_chat(messages)]

    assert "1968" in (await llm.acomplete(QUESTION)).text
    assert "1968" in (await llm.achat(messages)).message.content
    assert all("1968" in "".join(piece or "" for piece in pieces) for pieces in (completed, chatted))


@pytest.mark.vcr
def test_embeddings_in_both_encodings(service):
    """Numbers and base64 say the same."""
    create = make_client(service).embeddings.create
    texts = ["The mill opened in 1968.", "The harbour has 14 docks."]
    plain = create(model=service.models["embedding"], input=texts, encoding_format="float")
    packed = create(model=service.models["embedding"], input=texts, encoding_format="base64")

    for one, other in zip(plain.data, packed.data, strict=True):
        raw = base64.b64decode(other.embedding)
        assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(one.embedding, abs=1e-3)


@pytest.mark.vcr
async def test_a_llama_index_embedding(service):
    """Queries and texts are embedded, in async code too."""
    embedding = make_endpoint(service).embedding(service.models["embedding"])
    text = embedding.get_text_embedding("The mill opened in 1968.")
    query = await embedding.aget_query_embedding("When did the mill open?")

    assert len(text) == len(query) > 0
