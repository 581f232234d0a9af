"""What once went between LlamaIndex and the real service, sent through it again: the recorder keeps just that.

Nothing of these recordings is in the repository: they are read from the folder of test data, where there is one.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM, ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

from llama_index_ft_rag.offline.in_process import client_library
from llama_index_ft_rag.recording import OpenAIFineTuningHandler, RecordingSummary

FOLDER = Path(os.environ.get("FT_RAG_TEST_DATA") or ".") / "recordings" / "datadog-llamaindex"
pytestmark = [
    pytest.mark.skipif(
        "FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA names no folder with the data of the tests"
    ),
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the folder of test data holds no recordings of LlamaIndex"),
]
NOTHING = RecordingSummary(finished=0, failed={}, kinds={})


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """One request to the service and its answer."""

    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body of the answer, unpacked."""
        is_packed = self.headers.get("Content-Encoding") == "gzip"
        return (zlib.decompress(self.body, wbits=31) if is_packed else self.body).decode()

    @property
    def prompt(self) -> str:
        """What the user said last."""
        return self.request["messages"][-1]["content"]

    @property
    def messages(self) -> list[ChatMessage]:
        """The messages as LlamaIndex has them."""
        return [ChatMessage(**message) for message in self.request["messages"]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the service said, read without LlamaIndex."""

    content: str
    finish_reason: str
    usage: dict[str, int | None]

    @classmethod
    def of(cls, traffic: Traffic) -> Answer:
        """Read it from one body, or from the pieces of a stream."""
        if traffic.request["stream"]:
            lines = [line.removeprefix("data: ") for line in traffic.text.splitlines() if line.startswith("data: {")]
            choices = [json.loads(line)["choices"][0] for line in lines]
            content = "".join(choice["delta"].get("content") or "" for choice in choices)
            usage = {"prompt_tokens": None, "completion_tokens": None}
            return cls(content=content, finish_reason=choices[-1]["finish_reason"], usage=usage)
        body = json.loads(traffic.text)
        usage = {name: body["usage"][name] for name in ("prompt_tokens", "completion_tokens")}
        [choice] = body["choices"]
        return cls(content=choice["message"]["content"], finish_reason=choice["finish_reason"], usage=usage)


async def say(text: str) -> str:
    """Wait for nothing."""
    return text


async def read(stream: Awaitable[Any]) -> str:
    """All pieces of an async stream."""
    return "".join([piece.delta or "" async for piece in await stream])


async def words(response: Awaitable[Any]) -> str:
    """The text of an answer."""
    answer = await response
    return answer.text if hasattr(answer, "text") else answer.message.content


Way = Callable[[LLM, Traffic], Awaitable[str]]
CHATS: list[Way] = [
    lambda llm, traffic: say(llm.chat(traffic.messages).message.content or ""),
    lambda llm, traffic: words(llm.achat(traffic.messages)),
]
COMPLETIONS: list[Way] = [
    lambda llm, traffic: say(llm.complete(traffic.prompt).text),
    lambda llm, traffic: words(llm.acomplete(traffic.prompt)),
]
CHAT_STREAMS: list[Way] = [
    lambda llm, traffic: say("".join(piece.delta or "" for piece in llm.stream_chat(traffic.messages))),
    lambda llm, traffic: read(llm.astream_chat(traffic.messages)),
]
COMPLETION_STREAMS: list[Way] = [
    lambda llm, traffic: say("".join(piece.delta or "" for piece in llm.stream_complete(traffic.prompt))),
    lambda llm, traffic: read(llm.astream_complete(traffic.prompt)),
]
ANSWERED = [
    pytest.param(name, way, id=f"{name}, {mode}")
    for name, ways in {
        "completion": CHATS,
        "multi_turn": CHATS,
        "complete": COMPLETIONS,
        "chat_stream": CHAT_STREAMS,
        "complete_stream": COMPLETION_STREAMS,
    }.items()
    for mode, way in zip(("sync", "async"), ways, strict=True)
]


class Service:
    """Answers once more as it did, and keeps what it is asked."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.asked: list[dict[str, Any]] = []
        library = client_library()

        def answer(request: Any) -> Any:
            self.asked.append(json.loads(request.content))
            return library.Response(traffic.status, headers=traffic.headers, content=traffic.body)

        transport = library.MockTransport(answer)
        self.access = {
            "api_key": "not-a-key",
            "max_retries": 0,
            "http_client": openai.DefaultHttpxClient(transport=transport),
            "async_http_client": openai.DefaultAsyncHttpxClient(transport=transport),
        }

    def llm(self, recorder: Recorder) -> LLM:
        """The LLM that asked, with a recorder that listens."""
        request = self.traffic.request
        settings = {name: request[name] for name in ("model", "max_tokens", "temperature")}
        llm = OpenAI(**settings, **self.access, callback_manager=recorder.callback_manager)
        return recorder.handler.wrap(llm) if recorder.wraps else llm


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """A handler, and how it is told of calls."""

    handler: OpenAIFineTuningHandler
    callback_manager: CallbackManager
    wraps: bool


@pytest.fixture(params=["callbacks", "attached", "scope", "both", "wrapped", "both, wrapped"])
def recorder(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """A recorder that listens to nothing once the test is over."""
    handler = OpenAIFineTuningHandler()
    is_called_back = request.param.startswith(("callbacks", "both"))
    manager = CallbackManager([handler] if is_called_back else [])
    recorder = Recorder(handler=handler, callback_manager=manager, wraps=request.param.endswith("wrapped"))
    if request.param == "scope":
        with handler.recording(query_id="q1"):
            yield recorder
        return
    if request.param.startswith(("attached", "both")):
        handler.attach()
    yield recorder
    handler.detach()


def served(name: str) -> Service:
    """The service at the time of one recording."""
    recording = yaml.safe_load((FOLDER / f"llama_index_{name}.yaml").read_text(encoding="utf-8"))
    [interaction] = recording["interactions"]
    request, response = interaction["request"], interaction["response"]
    body = response["body"]["string"]
    headers = {name: values[0] for name, values in response["headers"].items()}
    traffic = Traffic(
        request=json.loads(request["body"]),
        status=response["status"]["code"],
        # The lengths are of bodies that were cleaned since.
        headers={name: headers[name] for name in ("Content-Type", "Content-Encoding") if name in headers},
        body=body if isinstance(body, bytes) else body.encode(),
    )
    return Service(traffic)


@pytest.mark.parametrize(("name", "way"), ANSWERED)
async def test_what_went_over_the_wire_is_what_is_recorded(recorder: Recorder, name: str, way: Way) -> None:
    """The request's messages and settings, and the answer, its reason to stop and its tokens, once."""
    service = served(name)
    text = await way(service.llm(recorder), service.traffic)

    request, answer = service.traffic.request, Answer.of(service.traffic)
    assert (service.asked, text) == ([request], answer.content)
    [call] = recorder.handler.examples(kinds=None)
    kept = {"messages", "tools", "model", "parameters", "usage", "finish_reason"}
    assert call.model_dump(include=kept) == {
        "messages": [*request["messages"], {"role": "assistant", "content": answer.content}],
        "tools": None,
        "model": request["model"],
        "parameters": {name: request[name] for name in ("temperature", "max_tokens")},
        "usage": answer.usage,
        "finish_reason": answer.finish_reason,
    }
    assert recorder.handler.summary().failed == {}


@pytest.mark.parametrize("way", CHATS, ids=["sync", "async"])
async def test_an_error_of_the_service_is_counted(recorder: Recorder, way: Way) -> None:
    """The app gets it unchanged, and no example is made of it."""
    service = served("chat_error")
    with pytest.raises(openai.AuthenticationError) as caught:
        await way(service.llm(recorder), service.traffic)

    assert service.asked == [service.traffic.request]
    assert caught.value.body == json.loads(service.traffic.text)["error"]
    assert recorder.handler.summary() == RecordingSummary(finished=0, failed={"AuthenticationError": 1}, kinds={})


@pytest.mark.parametrize("name", ["chat_stream", "complete_stream"])
def test_a_stream_that_is_left_is_counted(recorder: Recorder, name: str) -> None:
    """Who stops reading in the middle gets what was read, and no example is made of it."""
    service = served(name)
    llm, traffic = service.llm(recorder), service.traffic
    stream = llm.stream_chat(traffic.messages) if name == "chat_stream" else llm.stream_complete(traffic.prompt)
    read = [next(stream).delta, next(stream).delta]
    stream.close()

    assert Answer.of(traffic).content.startswith("".join(read))
    expected = RecordingSummary(finished=0, failed={"stream not read to its end": 1}, kinds={})
    assert recorder.handler.summary() == expected


@pytest.mark.parametrize("name", ["chat_stream", "complete_stream"])
async def test_an_async_stream_that_is_left_is_counted(recorder: Recorder, name: str) -> None:
    """The same in async code."""
    service = served(name)
    llm, traffic = service.llm(recorder), service.traffic
    asked = llm.astream_chat(traffic.messages) if name == "chat_stream" else llm.astream_complete(traffic.prompt)
    stream = await asked
    read = [(await anext(stream)).delta, (await anext(stream)).delta]
    await stream.aclose()

    assert Answer.of(traffic).content.startswith("".join(read))
    expected = RecordingSummary(finished=0, failed={"stream not read to its end": 1}, kinds={})
    assert recorder.handler.summary() == expected


async def test_embeddings_are_not_recorded(recorder: Recorder) -> None:
    """They pass by without a trace, sync and async."""
    service = served("openai_embedding")
    request = service.traffic.request
    embedding = OpenAIEmbedding(
        model_name=request["model"], **service.access, callback_manager=recorder.callback_manager
    )
    [text] = request["input"]
    vectors = embedding.get_text_embedding_batch([text]), await embedding.aget_text_embedding_batch([text])

    assert vectors[0] == vectors[1]
    assert [asked["input"] for asked in service.asked] == [[text], [text]]
    assert recorder.handler.summary() == NOTHING
