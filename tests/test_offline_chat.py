"""What a scripted responder can say over `/v1/chat/completions`, and what the endpoint refuses."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from calls import PIXEL, post, post_stream
from fakes import Capital, Script
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline import (
    OFFLINE_URL,
    ApiFailure,
    ChatReply,
    OfflineBackend,
    ScriptedResponder,
    ToolCall,
    open_clients,
)

CHAT = "/v1/chat/completions"
QUESTION = {"role": "user", "content": "How warm is it?"}
FUNCTION = {"name": "temperature", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOL = {"type": "function", "function": FUNCTION}
CALL = ToolCall(name="temperature", arguments={"city": "Paris"}, id="call_1")
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "temperature", "arguments": "{}"}}],
}
RETURNED = {"role": "tool", "tool_call_id": "call_1", "content": "21"}


@pytest.fixture
def script() -> Script:
    """What is said to LlamaIndex."""
    return Script()


@pytest.fixture
def llm(script: Script) -> Iterator[OpenAI]:
    """LlamaIndex's own class over a backend."""
    with OfflineBackend(responder=ScriptedResponder(script)) as backend:
        yield OpenAI(
            model="gpt-4o-mini",
            api_base=OFFLINE_URL,
            api_key="k",
            max_retries=0,
            http_client=backend.http_client(),
            async_http_client=backend.async_http_client(),
        )


def saying(*answers: Any, seed: int = 0) -> OfflineBackend:
    """A backend that says these things in turn."""
    return OfflineBackend(responder=ScriptedResponder(answers), seed=seed)


def ask(backend: OfflineBackend, **fields: Any) -> dict:
    """One completion that keeps to the types of the openai library, as plain JSON."""
    status, body = post(backend, CHAT, {"model": "gpt-4o", "messages": [QUESTION], **fields})
    assert status == 200, body
    ChatCompletion.model_validate(body)
    return body


def deltas(backend: OfflineBackend, **fields: Any) -> list[dict]:
    """The deltas of a stream that keeps to the types of the openai library."""
    chunks = post_stream(backend, CHAT, {"model": "gpt-4o", "messages": [QUESTION], **fields})
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def refusal(backend: OfflineBackend, **fields: Any) -> tuple[int, str | None, str]:
    """Status, parameter and message of a refused request."""
    status, body = post(backend, CHAT, {"model": "gpt-4o", "messages": [QUESTION], **fields})
    return status, body["error"]["param"], body["error"]["message"]


def test_tool_calls_of_a_completion() -> None:
    """A completion with calls has no content, the arguments as JSON text, and its own finish reason."""
    with saying(ChatReply(tool_calls=[CALL])) as backend:
        choices = ask(backend, tools=[TOOL])["choices"]

    assert choices == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "annotations": [],
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "temperature", "arguments": '{"city": "Paris"}'},
                    }
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ]


def test_ids_of_calls_come_from_the_request() -> None:
    """Calls without an id get the same one for the same request, and different ones within and across requests."""

    def ids(backend: OfflineBackend, **fields: Any) -> list[str]:
        choices = ask(backend, tools=[TOOL], **fields)["choices"]
        return [call["id"] for choice in choices for call in choice["message"]["tool_calls"]]

    reply = ChatReply(tool_calls=[ToolCall(name="temperature"), ToolCall(name="temperature")])
    with saying(reply) as backend, saying(reply, seed=1) as seeded:
        first, again = ids(backend), ids(backend)
        others = [*first, *ids(backend, n=2)[2:], *ids(backend, temperature=0), *ids(seeded)]

    assert first == again
    assert len(set(others)) == 8
    assert {len(name) for name in others} == {len("call_") + 24}


def test_content_beside_calls() -> None:
    """A model may speak and call at once."""
    with saying(ChatReply(content="I shall look.", tool_calls=[CALL])) as backend:
        message = ask(backend, tools=[TOOL])["choices"][0]["message"]
        told = deltas(backend, tools=[TOOL])

    assert (message["content"], len(message["tool_calls"])) == ("I shall look.", 1)
    assert "".join(delta.get("content") or "" for delta in told) == "I shall look."
    assert told[0] == {"role": "assistant", "content": "", "refusal": None}


def test_arguments_may_be_broken() -> None:
    """A script can give arguments that are no JSON, as models do."""
    with saying(ChatReply(tool_calls=[ToolCall(name="temperature", arguments='{"city": ')])) as backend:
        call = ask(backend, tools=[TOOL])["choices"][0]["message"]["tool_calls"][0]

    assert call["function"]["arguments"] == '{"city": '


def test_a_single_call_is_streamed_with_the_role() -> None:
    """The first delta names the call with empty arguments, which then come in pieces."""
    with saying(ChatReply(tool_calls=[CALL])) as backend:
        first, *rest = deltas(backend, tools=[TOOL])

    named = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "temperature", "arguments": ""}}
    assert first == {"role": "assistant", "content": None, "refusal": None, "tool_calls": [named]}
    assert rest == [
        *(
            {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
            for piece in ["{", '"', "city", '"', ":", ' "', "Paris", '"', "}"]
        ),
        {},
    ]


def test_several_calls_are_streamed_one_after_the_other() -> None:
    """Each call is named by a delta of its own once the role is told."""
    with saying(ChatReply(tool_calls=[CALL, ToolCall(name="now", id="call_2")])) as backend:
        told = deltas(backend, tools=[TOOL])

    named = [delta["tool_calls"][0] for delta in told if "id" in delta.get("tool_calls", [{}])[0]]
    assert told[0] == {"role": "assistant", "content": None, "refusal": None}
    assert [(call["index"], call["id"], call["function"]["name"]) for call in named] == [
        (0, "call_1", "temperature"),
        (1, "call_2", "now"),
    ]


def test_the_client_puts_streamed_calls_together() -> None:
    """The openai library's own stream helper ends with the completion that was not streamed."""
    with saying(ChatReply(tool_calls=[CALL, ToolCall(name="now", arguments={"zone": "UTC"})])) as backend:
        tools = [
            openai.pydantic_function_tool(Capital, name="temperature"),
            {"type": "function", "function": {"name": "now", "strict": True, "parameters": {}}},
        ]
        completions = open_clients(backend).sync.chat.completions
        with completions.stream(model="gpt-4o", messages=[QUESTION], tools=tools) as stream:
            final = stream.get_final_completion()

    calls = final.choices[0].message.tool_calls
    assert final.choices[0].finish_reason == "tool_calls"
    assert [call.function.parsed_arguments for call in calls] == [Capital(city="Paris"), {"zone": "UTC"}]


async def test_the_asynchronous_client_streams_calls() -> None:
    """Calls stream to the asynchronous client too, with usage at the end."""
    strict = openai.pydantic_function_tool(Capital, name="temperature")
    with saying(ChatReply(tool_calls=[CALL])) as backend:
        completions = open_clients(backend).asynchronous.chat.completions
        async with completions.stream(
            model="gpt-4o", messages=[QUESTION], tools=[strict], stream_options={"include_usage": True}
        ) as stream:
            final = await stream.get_final_completion()

    assert final.choices[0].message.tool_calls[0].function.arguments == '{"city": "Paris"}'
    assert final.usage.completion_tokens == 11


def test_deprecated_functions() -> None:
    """A request with `functions` gets the one call that this form can tell, whole and streamed."""
    with saying(ChatReply(tool_calls=[CALL, CALL])) as backend:
        choice = ask(backend, functions=[FUNCTION], function_call="auto")["choices"][0]
        told = deltas(backend, functions=[FUNCTION], function_call={"name": "temperature"})
        plain = ask(backend, functions=[FUNCTION], tools=[TOOL])["choices"][0]

    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "temperature", "arguments": '{"city": "Paris"}'}
    assert told[0]["function_call"] == {"name": "temperature", "arguments": ""}
    assert "".join(delta["function_call"]["arguments"] for delta in told[:-1]) == '{"city": "Paris"}'
    assert (plain["finish_reason"], len(plain["message"]["tool_calls"])) == ("tool_calls", 2)


def test_a_refusal() -> None:
    """A model's refusal has its own field, counts as tokens, and streams."""
    with saying(ChatReply(refusal="I cannot help.")) as backend:
        body = ask(backend)
        told = deltas(backend)
        parsed = open_clients(backend).sync.chat.completions.parse(
            model="gpt-4o", messages=[QUESTION], response_format=Capital
        )

    message = body["choices"][0]["message"]
    assert (message["content"], message["refusal"], body["usage"]["completion_tokens"]) == (None, "I cannot help.", 4)
    assert told == [
        {"role": "assistant", "content": None, "refusal": ""},
        *({"refusal": piece} for piece in ["I", " cannot", " help", "."]),
        {},
    ]
    assert (parsed.choices[0].message.parsed, parsed.choices[0].message.refusal) == (None, "I cannot help.")


def test_a_filtered_answer() -> None:
    """A content filter may keep everything back."""
    with saying(ChatReply(finish_reason="content_filter")) as backend:
        choice = ask(backend)["choices"][0]

    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "content_filter")


def test_structured_output() -> None:
    """`parse` reads a scripted answer into a pydantic model, and an answer that was cut is its usual error."""
    with saying('{"city": "Paris"}') as backend:
        parse = open_clients(backend).sync.chat.completions.parse
        whole = parse(model="gpt-4o", messages=[QUESTION], response_format=Capital)
        with pytest.raises(openai.LengthFinishReasonError):
            parse(model="gpt-4o", messages=[QUESTION], response_format=Capital, max_tokens=3)

    assert whole.choices[0].message.parsed == Capital(city="Paris")


@pytest.mark.parametrize(
    ("limit", "said", "reason"),
    [
        (2, ("It is", []), "length"),
        (4, ("It is warm", []), "length"),
        (6, ("It is warm", [("temperature", "{")]), "length"),
        (99, ("It is warm", [("temperature", '{"city": "Paris"}'), ("now", "{}")]), "tool_calls"),
    ],
)
def test_a_limit_holds_for_calls(limit: int, said: tuple, reason: str) -> None:
    """Text and calls share the token limit; what does not fit is cut, and a call without a whole name is left out."""
    reply = ChatReply(content="It is warm", tool_calls=[CALL, ToolCall(name="now")])
    with saying(reply) as backend:
        body = ask(backend, tools=[TOOL], max_completion_tokens=limit)

    choice = body["choices"][0]
    calls = [call["function"] for call in choice["message"].get("tool_calls", [])]
    assert (choice["message"]["content"], [(call["name"], call["arguments"]) for call in calls]) == said
    assert choice["finish_reason"] == reason
    assert body["usage"]["completion_tokens"] == min(limit, 17)


def test_tools_and_images_are_counted() -> None:
    """Definitions of tools count by their JSON, and an image 85 tokens, whatever its size."""
    image = {"type": "image_url", "image_url": {"url": PIXEL}}

    def prompt_tokens(backend: OfflineBackend, **fields: Any) -> int:
        return ask(backend, **fields)["usage"]["prompt_tokens"]

    with saying("x") as backend:
        plain = prompt_tokens(backend)
        with_tool = prompt_tokens(backend, tools=[{"type": "function", "function": {"name": "now"}}])
        with_images = prompt_tokens(backend, messages=[{"role": "user", "content": [image, image]}])

    assert (plain, with_tool - plain, with_images) == (11, 27, 3 + 3 + 2 * 85)


def test_images_reach_the_responder_unchanged() -> None:
    """Parts of a message are handed on as they came."""
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    script = Script()
    with OfflineBackend(responder=ScriptedResponder(script)) as backend:
        ask(backend, messages=[{"role": "user", "content": parts}])

    assert script.asked[0].messages == [{"role": "user", "content": parts}]
    assert script.asked[0].endpoint == "chat/completions"


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "temperature"}}},
        {
            "tools": [TOOL],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "temperature"}}],
                },
            },
        },
        {"messages": [QUESTION, CALLED, RETURNED, QUESTION]},
        {"messages": [QUESTION, {"role": "assistant", "content": None, "refusal": "No."}, QUESTION]},
        {"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, QUESTION]},
        {
            "messages": [
                {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": None},
            ]
        },
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}
            ]
        },
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": None}}},
        {
            "modalities": ["text"],
            "reasoning_effort": "low",
            "verbosity": "low",
            "service_tier": "flex",
            "prediction": {"type": "content", "content": "x"},
            "web_search_options": {},
            "logit_bias": {"1": -100},
            "logprobs": False,
            "store": True,
            "metadata": {"a": "b"},
            "prompt_cache_key": "k",
            "safety_identifier": "s",
            "moderation": None,
        },
    ],
)
def test_what_a_scripted_model_takes(fields: dict) -> None:
    """What the service takes is taken, and what has no meaning here is passed over."""
    with saying("Fine.") as backend:
        assert ask(backend, **fields)["choices"][0]["message"]["content"] == "Fine."


def user(*parts: dict) -> dict:
    """The messages of a request with these parts."""
    return {"messages": [{"role": "user", "content": list(parts)}]}


def image(**fields: Any) -> dict:
    """A part with an image."""
    return {"type": "image_url", "image_url": fields}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (user({"type": "video"}), "messages[0].content[0].type"),
        (user({"type": "image_url"}), "messages[0].content[0].image_url"),
        (user({"type": "image_url", "image_url": PIXEL}), "messages[0].content[0].image_url"),
        (user(image(url=5)), "messages[0].content[0].image_url.url"),
        (user(image(url="file:///etc/passwd")), "messages[0].content[0].image_url.url"),
        (user(image(url="data:text/plain;base64,AAAA")), "messages[0].content[0].image_url.url"),
        (user(image(url="data:image/png;base64,\u00e9")), "messages[0].content[0].image_url.url"),
        (user(image(url=PIXEL, detail="sharp")), "messages[0].content[0].image_url.detail"),
        (user({"type": "input_audio"}), "messages[0].content[0].input_audio"),
        (
            user({"type": "input_audio", "input_audio": {"data": "", "format": []}}),
            "messages[0].content[0].input_audio.format",
        ),
        (user({"type": "file", "file": "file-1"}), "messages[0].content[0].file"),
        ({"messages": [{"role": "system", "content": [image(url=PIXEL)]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
        ({"messages": [{**CALLED, "tool_calls": "x"}]}, "messages[0].tool_calls"),
        ({"messages": [{**CALLED, "tool_calls": [{"type": "custom"}]}]}, "messages[0].tool_calls[0]"),
        ({"messages": [{**CALLED, "tool_calls": [{"type": "function"}]}]}, "messages[0].tool_calls[0].id"),
        (
            {"messages": [{**CALLED, "tool_calls": [{"type": "function", "id": "1", "function": {"name": "f"}}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"messages": [{"role": "assistant", "function_call": "f"}]}, "messages[0].function_call"),
        ({"messages": [{"role": "tool", "content": "21"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "function", "content": "21"}]}, "messages[0].name"),
        ({"tools": []}, "tools"),
        ({"tools": [TOOL] * 129}, "tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"tools": ["x"]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]},
            "tools[0].function.strict",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "description": 1}}]},
            "tools[0].function.description",
        ),
        ({"tools": [TOOL], "tool_choice": "always"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {}}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": []}}},
            "tool_choice.mode",
        ),
        ({"tools": [TOOL], "parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls"),
        ({"functions": []}, "functions"),
        ({"functions": [{}]}, "functions[0].name"),
        ({"functions": [FUNCTION], "function_call": {"name": "other"}}, "function_call"),
        ({"function_call": "auto"}, "function_call"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": 1}}},
            "response_format.json_schema.schema",
        ),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"top_logprobs": 2}, "top_logprobs"),
    ],
)
def test_bad_parts_and_tools(fields: dict, param: str) -> None:
    """Each fault of messages, tools and formats is a 400 that names its place."""
    with saying("x") as backend:
        assert refusal(backend, **fields)[:2] == (400, param)


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        (
            {"messages": [QUESTION, RETURNED]},
            "messages[1].role",
            "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
        ),
        (
            {"messages": [CALLED, {**RETURNED, "tool_call_id": "call_2"}]},
            "messages[1].tool_call_id",
            "Invalid parameter: 'tool_call_id' of 'call_2' not found in 'tool_calls' of previous message.",
        ),
        (
            {"messages": [CALLED, RETURNED, RETURNED]},
            "messages[2].tool_call_id",
            "Invalid parameter: 'tool_call_id' of 'call_1' not found in 'tool_calls' of previous message.",
        ),
        (
            {"messages": [QUESTION, CALLED, QUESTION]},
            "messages[1]",
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: call_1",
        ),
        (
            {"messages": [QUESTION, CALLED]},
            "messages[1]",
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: call_1",
        ),
        (
            {"tool_choice": "auto"},
            "tool_choice",
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "now"}}},
            "tool_choice",
            "Tool choice 'now' not found in 'tools' parameter.",
        ),
    ],
)
def test_what_does_not_fit_together(fields: dict, param: str, message: str) -> None:
    """Answers without calls, calls without answers and choices of nothing are refused as the service does."""
    with saying("x") as backend:
        assert refusal(backend, **fields) == (400, param, message)


@pytest.mark.parametrize("depth", [150, 900])
def test_deep_bodies(depth: int) -> None:
    """A body that JSON could hold and nobody could write again is refused, not an error of the server."""
    nested: Any = {}
    for _ in range(depth):
        nested = {"a": nested}
    with saying("x") as backend:
        assert refusal(backend, metadata=nested)[:2] == (400, None)
        assert ask(backend, tools=[TOOL] * 60)["choices"][0]["message"]["content"] == "x"


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"tools": [TOOL]}, "tools", "The offline model offline-teacher cannot call tools; leave 'tools' out."),
        (
            {"functions": [FUNCTION]},
            "functions",
            "The offline model offline-teacher cannot call tools; leave 'functions' out.",
        ),
        (
            user({"type": "text", "text": "What is this?"}, image(url=PIXEL)),
            "messages[0].content[1]",
            "The offline model offline-teacher reads text only; leave out the image, sound or file at "
            "messages[0].content[1].",
        ),
    ],
)
def test_built_in_models_read_text_only(fields: dict, param: str, message: str) -> None:
    """The toys refuse tools, functions and images rather than pass them over, and follow past calls."""
    with OfflineBackend() as backend:
        assert refusal(backend, model="offline-teacher", **fields) == (400, param, message)
        assert ask(backend, model="offline-teacher", messages=[QUESTION, CALLED, RETURNED])["choices"]


def test_replies_of_every_kind_in_turn() -> None:
    """A list may hold texts, replies and failures, said one after the other."""
    failure = ApiFailure(message="slow down", status=429, code="rate_limit_exceeded")
    with saying(ChatReply(tool_calls=[CALL]), failure, "It is 21 degrees.") as backend:
        reasons = [ask(backend, tools=[TOOL])["choices"][0]["finish_reason"]]
        limited = post(backend, CHAT, {"model": "gpt-4o", "messages": [QUESTION]})
        reasons.append(ask(backend)["choices"][0]["finish_reason"])

    assert (reasons, limited.status) == (["tool_calls", "stop"], 429)


def test_a_script_must_say_something(caplog: pytest.LogCaptureFixture) -> None:
    """A reply without content and a script that returns something else are named as mistakes of the script."""
    with pytest.raises(ConfigurationError, match=r"^ChatReply\(\) says nothing"):
        ChatReply()
    with saying({"content": "Paris"}) as backend:
        status = post(backend, CHAT, {"model": "gpt-4o", "messages": [QUESTION]}).status

    assert status == 500
    assert "A script returned {'content': 'Paris'}: return a text, a ChatReply or an ApiFailure" in caplog.text


def test_llama_index_shows_images(llm: OpenAI, script: Script) -> None:
    """Image blocks reach the responder as addresses."""
    content = base64.b64decode(PIXEL.partition(",")[2])
    blocks = [TextBlock(text="What is this?"), ImageBlock(image=content, image_mimetype="image/png")]

    assert llm.chat([ChatMessage(role="user", blocks=blocks)]).message.content == "It is Paris."
    assert script.asked[0].messages[0]["content"][1] == {"type": "image_url", "image_url": {"url": PIXEL}}
