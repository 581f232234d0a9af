"""What a scripted responder can say over `/v1/completions`, and what the endpoint refuses."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from calls import post, post_stream
from llama_index.llms.openai import OpenAI
from openai.types import Completion

from llama_index_ft_rag.offline import (
    OFFLINE_URL,
    ApiFailure,
    ChatReply,
    ChatRequest,
    OfflineBackend,
    ScriptedResponder,
    ToolCall,
    open_clients,
)

COMPLETIONS = "/v1/completions"


def saying(*answers: Any) -> OfflineBackend:
    """A backend that says these things in turn."""
    return OfflineBackend(responder=ScriptedResponder(answers), clock=lambda: 1.0)


def complete(backend: OfflineBackend, **fields: Any) -> dict:
    """One completion that keeps to the types of the openai library, as plain JSON."""
    status, body = post(backend, COMPLETIONS, {"model": "gpt-3.5-turbo-instruct", "prompt": "Once", **fields})
    assert status == 200, body
    Completion.model_validate(body)
    return body


def texts(backend: OfflineBackend, **fields: Any) -> list[str]:
    """The texts of a completion's choices."""
    return [choice["text"] for choice in complete(backend, **fields)["choices"]]


def test_plain_completion() -> None:
    """A completion has the service's shape and counted usage."""
    with saying(" upon a time.") as backend:
        body = complete(backend)

    assert {name: value for name, value in body.items() if name != "id"} == {
        "object": "text_completion",
        "created": 1,
        "model": "gpt-3.5-turbo-instruct",
        "system_fingerprint": "fp_offline_toy",
        "choices": [{"index": 0, "text": " upon a time.", "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 4,
            "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


def test_a_responder_can_tell_a_completion_from_a_chat() -> None:
    """A prompt reaches the responder as one message from the user, marked as a completion."""
    asked: list[ChatRequest] = []

    def script(request: ChatRequest) -> str:
        asked.append(request)
        return "x"

    with OfflineBackend(responder=ScriptedResponder(script)) as backend:
        complete(backend, prompt=["Once", [318, 1212]], suffix="the end", temperature=0)

    assert [(request.messages, request.endpoint, request.parameters) for request in asked] == [
        ([{"role": "user", "content": prompt}], "completions", {"suffix": "the end", "temperature": 0})
        for prompt in ("Once", "318 1212")
    ]
    assert asked[0].seed != asked[1].seed


@pytest.mark.parametrize(
    ("prompt", "echoed"),
    [
        ("Once", ["Once"]),
        (["Once", "Twice"], ["Once", "Twice"]),
        ([1, 2], ["1 2"]),
        ([[1, 2], [3]], ["1 2", "3"]),
        ("", [""]),
        (None, ["<|endoftext|>"]),
    ],
)
def test_prompts(prompt: object, echoed: list[str]) -> None:
    """A text, texts, token ids, lists of them and nothing at all are completed; `echo` puts the prompt in front."""
    with saying("!") as backend:
        assert texts(backend, prompt=prompt, echo=True) == [f"{text}!" for text in echoed]


def test_choices_come_prompt_by_prompt() -> None:
    """`n` completions of the first prompt come before those of the second, and the tokens of all are counted."""
    with saying("a", "b", "c", "d e") as backend:
        body = complete(backend, prompt=["Once", "Twice upon"], n=2)

    assert [(choice["index"], choice["text"]) for choice in body["choices"]] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
        (3, "d e"),
    ]
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (3, 5)


@pytest.mark.parametrize(
    ("limits", "text", "reason"),
    [
        ({}, "word " * 15 + "word", "length"),
        ({"max_tokens": 40}, "word " * 20, "stop"),
        ({"max_tokens": 2}, "word word", "length"),
        ({"max_tokens": 0}, "", "length"),
        ({"stop": [" w"]}, "word", "stop"),
    ],
)
def test_limits(limits: dict, text: str, reason: str) -> None:
    """Who does not ask for more gets the service's 16 tokens; `stop` ends a text before it."""
    with saying("word " * 20) as backend:
        choice = complete(backend, **limits)["choices"][0]

    assert (choice["text"], choice["finish_reason"]) == (text, reason)


def test_stream() -> None:
    """Chunks have the shape of completions, choice by choice, the echo first and the usage last if asked for."""
    with saying(" upon a time.", "!") as backend:
        fields = {"model": "m", "prompt": "Once", "n": 2, "echo": True, "stream_options": {"include_usage": True}}
        *chunks, last = post_stream(backend, COMPLETIONS, fields)

    for chunk in (chunk for chunk in chunks if chunk["choices"][0]["finish_reason"]):
        Completion.model_validate(chunk)
    assert [(chunk["choices"][0]["index"], chunk["choices"][0]["text"]) for chunk in chunks] == [
        *((0, piece) for piece in ["Once", " upon", " a", " time", ".", ""]),
        *((1, piece) for piece in ["Once", "!", ""]),
    ]
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 6)


async def test_both_clients() -> None:
    """The clients of the openai library read whole completions and streams; the same request has the same id."""
    with saying(" upon a time.") as backend:
        clients = open_clients(backend)
        whole = clients.sync.completions.create(model="m", prompt="Once")
        stream = await clients.asynchronous.completions.create(model="m", prompt="Once", stream=True)
        chunks = [chunk async for chunk in stream]

    assert {chunk.id for chunk in chunks} == {whole.id}
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text == " upon a time."


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["x", 5]}, "prompt"),
        ({"prompt": {"text": "x"}}, "prompt"),
        ({"prompt": ["x"] * 2049}, "prompt"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": False}, "max_tokens"),
        ({"n": 129}, "n"),
        ({"n": 2, "best_of": 1}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"best_of": 21}, "best_of"),
        ({"echo": 1}, "echo"),
        ({"suffix": 1}, "suffix"),
        ({"logprobs": 0}, "logprobs"),
        ({"logprobs": 5}, "logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_bad_bodies(fields: dict, param: str) -> None:
    """Each fault of a body is a 400 that names the parameter."""
    with saying("x") as backend:
        status, body = post(backend, COMPLETIONS, {"model": "m", "prompt": "Once", **fields})

    assert (status, body["error"]["param"]) == (400, param)


def test_what_is_taken() -> None:
    """Settings without a meaning here are passed over, as are those of an only choice."""
    with saying("x") as backend:
        assert texts(backend, best_of=1, logit_bias={"50256": -100}, user="u", seed=1, presence_penalty=1) == ["x"]
        assert texts(backend, n=1, best_of=3, logprobs=None, suffix=None, stop=None) == ["x"]


def test_built_in_models_are_chat_models() -> None:
    """The toys are not asked here: 404, as for the service's chat models; an unknown name is 404 as everywhere."""
    with OfflineBackend() as backend:
        completions = open_clients(backend).sync.completions
        with pytest.raises(openai.NotFoundError, match="not supported in the v1/completions endpoint") as caught:
            completions.create(model="offline-teacher", prompt="Once")
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            completions.create(model="davinci-002", prompt="Once")

    assert caught.value.param == "model"


def test_only_text_can_be_said(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is an error as everywhere; a tool call is a mistake of the script."""
    failure = ApiFailure(message="slow down", status=429)
    with saying(failure, ChatReply(tool_calls=[ToolCall(name="f")])) as backend:
        statuses = [post(backend, COMPLETIONS, {"model": "m", "prompt": "Once"}).status for _ in range(2)]

    assert statuses == [429, 500]
    assert (
        "A tool call or a refusal was said at /v1/completions, where there is only text; "
        "return text, or ask at /v1/chat/completions"
    ) in caplog.text


def test_llama_index_completes() -> None:
    """LlamaIndex asks instruct models here, whole and streamed."""
    with saying(" upon a time.") as backend:
        llm = OpenAI(
            model="gpt-3.5-turbo-instruct",
            max_tokens=9,  # or it would count the prompt with a tokenizer that it has to download
            api_base=OFFLINE_URL,
            api_key="k",
            max_retries=0,
            http_client=backend.http_client(),
        )

        assert llm.complete("Once").text == " upon a time."
        assert [piece.delta for piece in llm.stream_complete("Once")] == [" upon", " a", " time", ".", ""]
