"""What a scripted responder can say over `/v1/responses`, and what the endpoint refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from calls import PIXEL, post, post_stream
from fakes import Capital, Script
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.openai import OpenAIResponses
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from llama_index_ft_rag.offline import (
    OFFLINE_URL,
    ApiFailure,
    ChatReply,
    OfflineBackend,
    ScriptedResponder,
    ToolCall,
    open_clients,
)

RESPONSES = "/v1/responses"
TOOL = {"type": "function", "name": "temperature", "parameters": {"type": "object", "properties": {}}, "strict": False}
CALL = ToolCall(name="temperature", arguments={"city": "Paris"}, id="call_1")
CALLED = {"type": "function_call", "call_id": "call_1", "name": "temperature", "arguments": "{}"}
RETURNED = {"type": "function_call_output", "call_id": "call_1", "output": "21"}
SCHEMA = {"type": "json_schema", "name": "capital", "schema": {"type": "object"}, "strict": True}

CONVERSATION = [
    {"role": "developer", "content": "Use the tool."},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "How warm is it here?"},
            {"type": "input_image", "image_url": PIXEL, "detail": "low"},
            {"type": "input_file", "file_id": "file-1"},
        ],
    },
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "I shall look.", "annotations": []}],
    },
    CALLED,
    {**CALLED, "call_id": "call_2"},
    RETURNED,
    {**RETURNED, "call_id": "call_2", "output": [{"type": "input_text", "text": "22"}]},
]
"""All that an input may hold."""

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture
def script() -> Script:
    """What is said."""
    return Script()


@pytest.fixture
def backend(script: Script) -> Iterator[OfflineBackend]:
    """A backend that follows the script."""
    with OfflineBackend(responder=ScriptedResponder(script), clock=lambda: 1.0) as opened:
        yield opened


def llama_index(backend: OfflineBackend, **settings: Any) -> OpenAIResponses:
    """LlamaIndex's own class with some settings."""
    return OpenAIResponses(
        model="gpt-4o-mini",
        api_base=OFFLINE_URL,
        api_key="k",
        max_retries=0,
        http_client=backend.http_client(),
        async_http_client=backend.async_http_client(),
        **settings,
    )


def saying(*answers: Any) -> OfflineBackend:
    """A backend that says these things in turn."""
    return OfflineBackend(responder=ScriptedResponder(answers))


def respond(backend: OfflineBackend, **fields: Any) -> dict:
    """One response that keeps to the types of the openai library, as plain JSON."""
    status, body = post(backend, RESPONSES, {"model": "gpt-4o", "input": "Which capital?", **fields})
    assert status == 200, body
    Response.model_validate(body)
    return body


def events(backend: OfflineBackend, **fields: Any) -> list[dict]:
    """The events of a stream that keeps to the types of the openai library and is numbered without a gap."""
    told = post_stream(backend, RESPONSES, {"model": "gpt-4o", "input": "Which capital?", **fields})
    for event in told:
        EVENT.validate_python(event)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    return told


def test_plain_response(backend: OfflineBackend) -> None:
    """A response has the service's shape: its output, the settings it was made with, and the counted usage."""
    body = respond(backend, instructions="Be brief.", temperature=0.5, metadata={"run": "1"}, user="u")
    item = body["output"][0]

    assert body["id"].startswith("resp_")
    assert item == {
        "id": item["id"],
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "It is Paris."}],
    }
    assert {name: value for name, value in body.items() if name not in {"id", "output"}} == {
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "background": False,
        "completed_at": 1,
        "error": None,
        "incomplete_details": None,
        "model": "gpt-4o",
        "instructions": "Be brief.",
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {"run": "1"},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": "u",
        "usage": {
            "input_tokens": 16,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 20,
        },
    }


def test_input_reaches_the_responder_as_a_chat(backend: OfflineBackend, script: Script) -> None:
    """Instructions, messages, parts, calls and what they returned become the messages of a chat."""
    respond(backend, instructions="Be brief.", input=CONVERSATION)

    function = {"name": "temperature", "arguments": "{}"}
    assert script.asked[0].endpoint == "responses"
    assert script.asked[0].messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Use the tool."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "How warm is it here?"},
                {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "I shall look."}],
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": function},
                {"id": "call_2", "type": "function", "function": function},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "21"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "22"}]},
    ]


def test_settings_reach_the_responder_as_those_of_a_chat(backend: OfflineBackend, script: Script) -> None:
    """One script serves both endpoints: tools, choices and formats look as in a chat."""
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "temperature"}]}
    named = {"type": "function", "name": "temperature"}
    respond(backend, tools=[TOOL], tool_choice=named, text={"format": SCHEMA}, temperature=0)
    respond(backend, tools=[TOOL], tool_choice=allowed, text={"format": {"type": "json_object"}})

    nested = {"type": "function", "function": {"name": "temperature"}}
    first, second = (request.parameters for request in script.asked)
    assert first == {
        "tools": [{"type": "function", "function": {key: TOOL[key] for key in ("name", "parameters", "strict")}}],
        "tool_choice": nested,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "capital", "schema": {"type": "object"}, "strict": True},
        },
        "text": {"format": SCHEMA},
        "temperature": 0,
    }
    assert second["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [nested]},
    }
    assert second["response_format"] == {"type": "json_object"}


def test_calls_and_text() -> None:
    """Calls are items of their own behind the text, and are counted; tools are repeated in their flat form."""
    with saying(ChatReply(content="I shall look.", tool_calls=[CALL, ToolCall(name="now")])) as backend:
        body = respond(backend, tools=[TOOL, {"type": "function", "name": "now"}])

    text, first, second = body["output"]
    assert text["content"][0]["text"] == "I shall look."
    assert first == {
        "id": first["id"],
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "temperature",
        "arguments": '{"city": "Paris"}',
    }
    assert (second["name"], second["arguments"], second["call_id"][:5]) == ("now", "{}", "call_")
    assert body["tools"] == [TOOL, {"type": "function", "name": "now", "strict": True}]
    assert body["usage"]["output_tokens"] == 18


def test_events_of_a_text(backend: OfflineBackend) -> None:
    """A stream builds its message part by part, and ends with the response that was not streamed."""
    told = events(backend, input="Which capital?")
    with OfflineBackend(responder=ScriptedResponder(["It is Paris."]), clock=lambda: 1.0) as another:
        whole = respond(another, input="Which capital?")
    item = told[-1]["response"]["output"][0]
    inside = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = item["content"][0]

    assert [{key: value for key, value in event.items() if key != "sequence_number"} for event in told[2:-1]] == [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **inside, "part": {**part, "text": ""}},
        *(
            {"type": "response.output_text.delta", **inside, "delta": piece, "logprobs": []}
            for piece in ["It", " is", " Paris", "."]
        ),
        {"type": "response.output_text.done", **inside, "text": "It is Paris.", "logprobs": []},
        {"type": "response.content_part.done", **inside, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]
    begun = {
        **told[-1]["response"],
        "status": "in_progress",
        "output": [],
        "usage": None,
        "completed_at": None,
    }
    assert [(event["type"], event["response"]) for event in (*told[:2], told[-1])] == [
        ("response.created", begun),
        ("response.in_progress", begun),
        ("response.completed", whole),
    ]


def test_events_of_calls_and_refusals() -> None:
    """Calls stream their arguments, refusals their text, each to its own end."""
    with saying(ChatReply(tool_calls=[CALL]), ChatReply(refusal="I cannot.")) as backend:
        called = events(backend, tools=[TOOL])[2:-1]
        refused = events(backend)[2:-1]

    assert (called[0]["item"]["arguments"], called[0]["item"]["name"]) == ("", "temperature")
    assert "".join(event["delta"] for event in called[1:-2]) == called[-2]["arguments"] == '{"city": "Paris"}'
    assert {event["type"] for event in called[1:-2]} == {"response.function_call_arguments.delta"}
    assert [event["type"].removeprefix("response.") for event in refused] == [
        "output_item.added",
        "content_part.added",
        *["refusal.delta"] * 3,
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    assert refused[-3]["refusal"] == "I cannot."


def test_the_client_puts_a_stream_together(backend: OfflineBackend) -> None:
    """The openai library's own stream helper follows every event, and parses what was asked for."""
    responses = open_clients(backend).sync.responses
    with responses.stream(model="gpt-4o", input="Which capital?", text_format=Capital) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    whole = responses.parse(model="gpt-4o", input="Which capital?", text_format=Capital)

    assert kinds[-1] == "response.completed"
    assert final.output_parsed == whole.output_parsed == Capital(city="Paris")


async def test_the_asynchronous_client_streams_calls(backend: OfflineBackend) -> None:
    """Calls stream to the asynchronous client too, with their arguments parsed."""
    tool = openai.pydantic_function_tool(Capital, name="temperature")["function"]
    responses = open_clients(backend).asynchronous.responses
    async with responses.stream(
        model="gpt-4o", input="How warm is it?", tools=[{"type": "function", **tool}]
    ) as stream:
        final = await stream.get_final_response()

    assert (final.output[0].name, final.output[0].arguments) == ("temperature", '{"city": "Paris"}')


def test_a_cut_response() -> None:
    """Output that meets its limit or a filter is incomplete, and says why, in a stream too."""
    with saying("word " * 20, "word " * 20, ChatReply(finish_reason="content_filter")) as backend:
        cut = respond(backend, max_output_tokens=16)
        told = events(backend, max_output_tokens=16)
        filtered = respond(backend)

    assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (cut["output"][0]["status"], cut["completed_at"]) == ("incomplete", None)
    assert cut["output"][0]["content"][0]["text"] == "word " * 15 + "word"
    assert told[-1]["type"] == "response.incomplete"
    assert (filtered["output"], filtered["incomplete_details"]) == ([], {"reason": "content_filter"})


def test_an_empty_answer_is_a_message() -> None:
    """A model that says nothing in so many words still has an output."""
    with saying("") as backend:
        assert respond(backend)["output"][0]["content"][0]["text"] == ""


def test_a_conversation_goes_on(backend: OfflineBackend, script: Script) -> None:
    """`previous_response_id` brings back what was said, calls included, without the instructions of then."""
    first = respond(backend, input="How warm is it?", instructions="Use the tool.", tools=[TOOL])
    call = first["output"][0]
    second = respond(
        backend,
        previous_response_id=first["id"],
        input=[{**RETURNED, "call_id": call["call_id"]}],
    )
    respond(backend, previous_response_id=second["id"], input="And tomorrow?")

    function = {"name": "temperature", "arguments": '{"city": "Paris"}'}
    assert second["output"][0]["content"][0]["text"] == "It is 21 degrees."
    assert script.asked[-1].messages == [
        {"role": "user", "content": "How warm is it?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call["call_id"], "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call["call_id"], "content": "21"},
        {"role": "assistant", "content": "It is 21 degrees."},
        {"role": "user", "content": "And tomorrow?"},
    ]


def test_a_refusal_is_remembered() -> None:
    """A conversation goes on from a refusal too."""
    with saying(ChatReply(refusal="I cannot."), "Then this.") as backend:
        first = respond(backend)
        second = respond(backend, previous_response_id=first["id"], input="And else?")

    assert first["output"][0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]
    assert second["output"][0]["content"][0]["text"] == "Then this."


def test_stored_responses(backend: OfflineBackend) -> None:
    """A stored response can be fetched, whole or as the same events, and deleted; then nothing knows it."""
    responses = open_clients(backend).sync.responses
    made = responses.create(model="gpt-4o", input="Which capital?")
    fetched = responses.retrieve(made.id)
    streamed = list(responses.retrieve(made.id, stream=True))
    responses.delete(made.id)

    assert fetched == made
    assert [event.type for event in streamed] == [event["type"] for event in events(backend)]
    for call in (responses.retrieve, responses.delete):
        with pytest.raises(openai.NotFoundError, match=f"Response with id '{made.id}' not found"):
            call(made.id)
    with pytest.raises(openai.BadRequestError, match=f"Previous response with id '{made.id}' not found") as caught:
        responses.create(model="gpt-4o", input="And?", previous_response_id=made.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_responses_that_are_not_kept(backend: OfflineBackend) -> None:
    """`store=False` keeps nothing, and of the others the last thousand are kept."""
    responses = open_clients(backend).sync.responses
    unkept = responses.create(model="gpt-4o", input="Which capital?", store=False)
    made = [respond(backend, input=f"Question {number}")["id"] for number in range(1001)]

    for gone in (unkept.id, made[0]):
        with pytest.raises(openai.NotFoundError):
            responses.retrieve(gone)
    assert responses.retrieve(made[1]).id == made[1]


def test_equal_requests_are_told_apart() -> None:
    """Two equal requests have ids and stored answers of their own; the ids are the same in every backend."""
    made = []
    for _ in range(2):
        with OfflineBackend(responder=ScriptedResponder(["I am A.", "I am B."])) as backend:
            first, second = respond(backend), respond(backend)
            kept = open_clients(backend).sync.responses.retrieve(first["id"]).output_text
            made.append((first["id"], second["id"]))

    assert kept == "I am A."
    assert made[0] == made[1]
    assert made[0][0] != made[0][1]


def item(**fields: Any) -> dict:
    """The input of a request with this one item."""
    return {"input": [fields]}


def part(role: str = "user", **fields: Any) -> dict:
    """The input of a request with a message of this one part."""
    return item(role=role, content=[fields])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 5}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input[0]"),
        (item(type="web_search_call", id="ws_1"), "input[0].type"),
        (item(role="tool", content="x"), "input[0].role"),
        (item(role="user", content=5), "input[0].content"),
        (item(role="user", content=[]), "input[0].content"),
        (part(type="output_text", text="x"), "input[0].content[0].type"),
        (part("assistant", type="input_text", text="x"), "input[0].content[0].type"),
        (part(type="input_text"), "input[0].content[0].text"),
        (part(type="input_image", file_id="file-1"), "input[0].content[0].image_url"),
        (part(type="input_image", image_url="ftp://x"), "input[0].content[0].image_url"),
        (part(type="input_image", image_url=PIXEL, detail="x"), "input[0].content[0].detail"),
        (part("assistant", type="refusal"), "input[0].content[0].refusal"),
        (item(type="function_call", call_id="c", name="f"), "input[0].arguments"),
        (item(**{**RETURNED, "output": 21}), "input[0].output"),
        ({"instructions": ["x"]}, "instructions"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "now"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.mode"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"text": "json"}, "text"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"verbosity": "chatty"}}, "text.verbosity"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"reasoning": "hard"}, "reasoning"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"truncation": "middle"}, "truncation"),
        ({"store": "yes"}, "store"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"temperature": 3}, "temperature"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
    ],
)
def test_bad_bodies(backend: OfflineBackend, fields: dict, param: str) -> None:
    """Each fault of a body, and each thing that the backend does not offer, is a 400 that names the parameter."""
    status, body = post(backend, RESPONSES, {"model": "gpt-4o", "input": "Which capital?", **fields})

    assert (status, body["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([RETURNED], "No tool call found for function call output with call_id call_1."),
        ([RETURNED, CALLED], "No tool call found for function call output with call_id call_1."),
        ([CALLED], "No tool output found for function call call_1."),
    ],
)
def test_calls_and_what_they_returned_belong_together(backend: OfflineBackend, items: list[dict], message: str) -> None:
    """A call without its output, or an output without its call, is refused as the service does."""
    status, body = post(backend, RESPONSES, {"model": "gpt-4o", "input": items})

    assert (status, body["error"]["message"], body["error"]["param"]) == (400, message, "input")


def test_what_is_taken(backend: OfflineBackend) -> None:
    """Settings without a meaning here are repeated or passed over."""
    body = respond(
        backend,
        reasoning={"effort": "low", "summary": "auto"},
        text={"verbosity": "low"},
        truncation="auto",
        include=["reasoning.encrypted_content"],
        max_tool_calls=2,
        tools=[],
        tool_choice="none",
        service_tier="flex",
        prompt_cache_key="k",
        stream_options=None,
    )

    assert (body["reasoning"], body["truncation"]) == ({"effort": "low", "summary": "auto"}, "auto")
    assert (body["text"]["verbosity"], body["tool_choice"], body["max_tool_calls"]) == ("low", "none", 2)


def test_a_failure_is_an_error_before_the_stream() -> None:
    """A responder's failure is a status code, in a stream too, and nothing is stored."""
    with saying(ApiFailure(message="slow down", status=429)) as backend:
        responses = open_clients(backend).sync.responses
        with pytest.raises(openai.RateLimitError, match="slow down"):
            responses.create(model="gpt-4o", input="x", stream=True)


def test_built_in_models_answer_in_text_only() -> None:
    """The toys answer here too, but refuse tools and images; the embedding model does not speak."""
    context = "Context: Harbor Light was founded in 1968.\nQuestion: When was Harbor Light founded?"
    shown = [{"role": "user", "content": [{"type": "input_image", "image_url": PIXEL, "detail": "auto"}]}]
    with OfflineBackend() as backend:
        responses = open_clients(backend).sync.responses
        answer = responses.create(model="offline-teacher", input=context).output_text
        with pytest.raises(openai.BadRequestError, match="cannot call tools"):
            responses.create(model="offline-teacher", input=context, tools=[TOOL])
        with pytest.raises(openai.BadRequestError, match="reads text only"):
            responses.create(model="offline-teacher", input=shown)
        with pytest.raises(openai.BadRequestError, match="cannot be used with the Responses API"):
            responses.create(model="offline-embedding", input=context)

    assert answer == "Harbor Light was founded in 1968."


def test_llama_index_goes_on_from_a_response(backend: OfflineBackend, script: Script) -> None:
    """LlamaIndex can leave the conversation to the backend, and show it images."""
    llm = llama_index(backend, track_previous_responses=True, instructions="Be brief.")
    llm.chat([ChatMessage("Which capital?")])
    blocks = [TextBlock(text="What is this?"), ImageBlock(url="https://example.org/a.png")]
    llm.chat([ChatMessage(role="user", blocks=blocks)])

    assert script.asked[-1].messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Which capital?"},
        {"role": "assistant", "content": "It is Paris."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "auto"}},
            ],
        },
    ]
