"""Calls of the openai client that ask a model: chats, completions, responses, embeddings."""

# ruff: noqa: D103 - the name of a call says what it does

from __future__ import annotations

import base64
import json
from typing import Any

import openai
from pydantic import BaseModel

from conformance.client_api import ANSWER, MODEL, QUESTION, Api, call, expect
from llama_index_ft_rag.offline import ServiceConditions

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {"type": "function", "function": {"name": "find", "strict": True, "parameters": PARAMETERS}}


@call("chat.completions.create", "POST /v1/chat/completions")
async def chat(api: Api) -> None:
    reply = await api(api.client.chat.completions.create(model=MODEL, messages=QUESTION, n=2))
    expect([choice.message.content for choice in reply.choices], [ANSWER, ANSWER])
    expect(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens)


@call("chat.completions.create", "POST /v1/chat/completions")
async def chat_as_a_raw_response(api: Api) -> None:
    raw = await api(api.client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION))
    expect((raw.status_code, raw.parse().choices[0].message.content), (200, ANSWER))
    expect(raw.headers["x-request-id"].startswith("req_"), True)


@call("chat.completions.create", "POST /v1/chat/completions")
async def chat_as_a_stream(api: Api) -> None:
    options: Any = {"include_usage": True}
    stream = api.client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True, stream_options=options)
    chunks = await api.each(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    expect((said, chunks[-1].usage.total_tokens > 0), (ANSWER, True))


@call("chat.completions.create", "POST /v1/chat/completions")
async def chat_with_a_tool(api: Api) -> None:
    reply = await api(api.client.chat.completions.create(model=MODEL, messages=QUESTION, tools=[TOOL]))
    choice = reply.choices[0]
    made = choice.message.tool_calls[0]
    expect((choice.finish_reason, made.function.name), ("tool_calls", "find"))
    messages = [*QUESTION, choice.message, {"role": "tool", "tool_call_id": made.id, "content": "Paris"}]
    after = await api(api.client.chat.completions.create(model=MODEL, messages=messages))
    expect(after.choices[0].message.content, ANSWER)


@call("chat.completions.create", "POST /v1/chat/completions")
async def chat_of_an_unknown_model(api: Api) -> None:
    await api.refused(
        openai.NotFoundError,
        "model_not_found",
        lambda: api.client.chat.completions.create(model="gone", messages=QUESTION),
    )


@call("chat.completions.create", "POST /v1/chat/completions")
async def chat_without_messages(api: Api) -> None:
    try:
        await api(api.client.chat.completions.create(model=MODEL, messages=[]))
    except openai.BadRequestError as error:
        expect((error.status_code, error.param), (400, "messages"))
    else:
        raise AssertionError("no BadRequestError")


@call("chat.completions.create", "POST /v1/chat/completions")
async def chat_without_a_key(api: Api) -> None:
    headers = {"Authorization": "Basic none"}
    await api.refused(
        openai.AuthenticationError,
        "invalid_api_key",
        lambda: api.client.chat.completions.create(model=MODEL, messages=QUESTION, extra_headers=headers),
    )


@call("chat.completions.create", "POST /v1/chat/completions")
async def chat_beyond_the_rate_limit(api: Api) -> None:
    api.backend.conditions = ServiceConditions(requests_per_minute=0)
    await api.refused(
        openai.RateLimitError,
        "rate_limit_exceeded",
        lambda: api.client.chat.completions.create(model=MODEL, messages=QUESTION),
    )


@call("chat.completions.create", "POST /v1/chat/completions")
async def chat_beyond_the_quota(api: Api) -> None:
    api.backend.conditions = ServiceConditions(quota_tokens=0)
    await api.refused(
        openai.RateLimitError,
        "insufficient_quota",
        lambda: api.client.chat.completions.create(model=MODEL, messages=QUESTION),
    )


@call("chat.completions.stream", "POST /v1/chat/completions")
async def chat_as_a_managed_stream(api: Api) -> None:
    async with api.opened(api.client.chat.completions.stream(model=MODEL, messages=QUESTION)) as stream:
        kinds = {event.type for event in await api.each(stream)}
        final = await api(stream.get_final_completion())
    expect({"content.delta", "content.done"} <= kinds, True)
    expect(final.choices[0].message.content, ANSWER)


@call("chat.completions.stream", "POST /v1/chat/completions")
async def chat_with_a_tool_as_a_managed_stream(api: Api) -> None:
    managed = api.client.chat.completions.stream(model=MODEL, messages=QUESTION, tools=[TOOL])
    async with api.opened(managed) as stream:
        await api.each(stream)
        final = await api(stream.get_final_completion())
    function = final.choices[0].message.tool_calls[0].function
    expect((function.name, json.loads(function.arguments)), ("find", {"city": "Paris"}))


class Capital(BaseModel):
    """A structured answer."""

    city: str


@call("chat.completions.parse", "POST /v1/chat/completions")
async def chat_that_is_parsed(api: Api) -> None:
    parsing = api.client.chat.completions.parse(model=MODEL, messages=QUESTION, response_format=Capital)
    expect((await api(parsing)).choices[0].message.parsed, Capital(city="Paris"))


@call("completions.create", "POST /v1/completions")
async def completion(api: Api) -> None:
    reply = await api(api.client.completions.create(model=MODEL, prompt="The capital of France is"))
    expect((reply.object, reply.choices[0].text), ("text_completion", ANSWER))


@call("completions.create", "POST /v1/completions")
async def completion_as_a_stream(api: Api) -> None:
    chunks = await api.each(api.client.completions.create(model=MODEL, prompt="q", stream=True))
    expect("".join(choice.text for chunk in chunks for choice in chunk.choices), ANSWER)


@call("responses.create", "POST /v1/responses")
async def response(api: Api) -> None:
    first = await api(api.client.responses.create(model=MODEL, input="q", instructions="Be brief."))
    second = await api(api.client.responses.create(model=MODEL, input="and?", previous_response_id=first.id))
    expect((first.output_text, first.status, second.output_text), (ANSWER, "completed", ANSWER))


@call("responses.create", "POST /v1/responses")
async def response_as_a_stream(api: Api) -> None:
    events = await api.each(api.client.responses.create(model=MODEL, input="q", stream=True))
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    expect((events[0].type, said, events[-1].type), ("response.created", ANSWER, "response.completed"))


@call("responses.create", "POST /v1/responses")
async def response_with_a_tool(api: Api) -> None:
    tool: Any = {"type": "function", "name": "find", "strict": True, "parameters": PARAMETERS}
    reply = await api(api.client.responses.create(model=MODEL, input="q", tools=[tool]))
    expect([(item.type, item.name) for item in reply.output], [("function_call", "find")])


@call("responses.stream", "POST /v1/responses")
async def response_as_a_managed_stream(api: Api) -> None:
    async with api.opened(api.client.responses.stream(model=MODEL, input="q")) as stream:
        await api.each(stream)
        final = await api(stream.get_final_response())
    expect(final.output_text, ANSWER)


@call("responses.parse", "POST /v1/responses")
async def response_that_is_parsed(api: Api) -> None:
    parsed = await api(api.client.responses.parse(model=MODEL, input="q", text_format=Capital))
    expect(parsed.output_parsed, Capital(city="Paris"))


@call("responses.retrieve", "GET /v1/responses/*")
async def retrieval_of_a_response(api: Api) -> None:
    made = await api(api.client.responses.create(model=MODEL, input="q"))
    expect((await api(api.client.responses.retrieve(made.id))).output_text, ANSWER)


@call("responses.delete", "DELETE /v1/responses/*")
async def deletion_of_a_response(api: Api) -> None:
    made = await api(api.client.responses.create(model=MODEL, input="q"))
    await api(api.client.responses.delete(made.id))
    await api.refused(openai.NotFoundError, None, lambda: api.client.responses.retrieve(made.id))


@call("embeddings.create", "POST /v1/embeddings")
async def embeddings_as_base64(api: Api) -> None:
    both = await api(api.client.embeddings.create(model=MODEL, input=["a", "b"]))
    one = await api(api.client.embeddings.create(model=MODEL, input="b", dimensions=3))
    expect([len(item.embedding) for item in (*both.data, *one.data)], [8, 8, 3])


@call("embeddings.create", "POST /v1/embeddings")
async def embeddings_in_both_encodings(api: Api) -> None:
    made = api.client.embeddings.create
    numbers = await api(made(model=MODEL, input="a", encoding_format="float"))
    text = await api(made(model=MODEL, input="a", encoding_format="base64"))
    packed = base64.b64decode(text.data[0].embedding)
    expect((len(numbers.data[0].embedding), len(packed)), (8, 4 * 8))


@call("embeddings.create", "POST /v1/embeddings")
async def embeddings_of_an_unknown_model(api: Api) -> None:
    await api.refused(
        openai.NotFoundError, "model_not_found", lambda: api.client.embeddings.create(model="gone", input="a")
    )
