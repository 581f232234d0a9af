"""The call matrix: the ways in which LlamaIndex asks an LLM, and what the recorder keeps of each.

The rows are data, `MATRIX` at the end of this file; the tests and `docs/call-matrix.md` are made from them.
"""

from __future__ import annotations

import base64
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import openai
from call_matrix_llms import (
    CHAT,
    CHAT_SERVER,
    COMPLETION_SERVER,
    COMPLETIONS,
    INSTRUCTED,
    PROMPTED,
    PROMPTED_COMPLETIONS,
    REASONING,
    REASONING_RESPONSES,
    RESPONSES,
    SILENT,
    TOOLS,
    WEATHER,
    WITH_OWN_TOOLS,
    Foreign,
    MakeLLM,
    Message,
    Parrot,
    Undecorated,
    by_a_plain_call,
    echo,
    going_on,
)
from calls import PIXEL
from fakes import Capital
from llama_index.core.base.llms.generic_utils import messages_to_prompt
from llama_index.core.base.llms.types import ImageBlock, TextBlock, ToolCallBlock
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.prompts import BasePromptTemplate, ChatPromptTemplate, PromptTemplate
from pydantic import ValidationError

from llama_index_ft_rag.recording import from_wire

Ask = Callable[[LLM], Any]
"""Makes one call; returns what the app gets, or an awaitable of it."""
Listening = Literal["callback manager", "attach", "both", "wrap"]
WAYS: tuple[Listening, ...] = get_args(Listening)


@dataclass(frozen=True, eq=False, kw_only=True)
class Row:
    """Calls of which the recorder keeps the same."""

    calls: Mapping[str, Ask]
    how: str = ""
    """What is special about these calls."""
    llm: MakeLLM
    roles: str = ""
    """Of the recorded messages; empty if the calls are not recorded."""
    on_the_wire: Callable[[list[Message]], list[Message]] = list
    """What becomes of the recorded messages on the wire."""
    heard: tuple[Listening, ...] = WAYS
    """Listening in which ways the recorder hears of the calls."""
    lacks: Collection[str] = ()
    """Settings that are sent, and recorded only from a wrapped LLM."""
    counted: str = ""
    """Why a call is not kept."""
    counted_too: Collection[str] = ()
    """What may be counted instead, by who tells of it and by the order in which Python lets go of things."""
    is_sent: bool = True
    """Whether a request reaches the service."""
    is_read: bool = True
    """Whether the app reads what it gets."""
    raises: type[Exception] | None = None
    """What reaches the app."""
    remarks: str = ""

    def render(self) -> str:
        """Return it as a row of the table."""
        call = ", ".join(f"`{name}`" for name in self.calls) + (f": {self.how}" if self.how else "")
        if self.counted:
            recorded = f"no, counted as `{self.counted}`"
        else:
            recorded = {WAYS: "once", ("wrap",): "only through `handler.wrap`"}.get(self.heard, "once, if attached")
        return f"| {call} | {recorded} | {self.roles or '–'} | {self.remarks} |"


# -- The calls


def asked(text: str = "Capital of France?") -> list[ChatMessage]:
    """A system message and a question."""
    return [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content=text)]


def chats(text: str = "Capital of France?", **settings: Any) -> dict[str, Ask]:
    """The four ways to chat."""
    return {
        "chat": lambda llm: llm.chat(asked(text), **settings),
        "achat": lambda llm: llm.achat(asked(text), **settings),
        "stream_chat": lambda llm: list(llm.stream_chat(asked(text), **settings)),
        "astream_chat": lambda llm: adrain(llm.astream_chat(asked(text), **settings)),
    }


def completions(text: str = "Capital of France?") -> dict[str, Ask]:
    """The four ways to complete."""
    return {
        "complete": lambda llm: llm.complete(text),
        "acomplete": lambda llm: llm.acomplete(text),
        "stream_complete": lambda llm: list(llm.stream_complete(text)),
        "astream_complete": lambda llm: adrain(llm.astream_complete(text)),
    }


def prompt() -> PromptTemplate:
    """A question with a gap."""
    return PromptTemplate("Capital of {country}?")


def chat_prompt() -> ChatPromptTemplate:
    """The same after a system message. Made anew for each call: LlamaIndex writes into its messages."""
    return ChatPromptTemplate([ChatMessage("Be brief.", role="system"), ChatMessage("Capital of {country}?")])


def predictions(template: Callable[[], BasePromptTemplate]) -> dict[str, Ask]:
    """The four ways to ask by a prompt template."""
    return {
        "predict": lambda llm: llm.predict(template(), country="France"),
        "apredict": lambda llm: llm.apredict(template(), country="France"),
        "stream": lambda llm: list(llm.stream(template(), country="France")),
        "astream": lambda llm: adrain(llm.astream(template(), country="France")),
    }


def with_tools(text: str = "Weather?", **options: Any) -> dict[str, Ask]:
    """The four ways to ask with tools."""

    def sent() -> dict[str, Any]:
        return {"user_msg": text, "chat_history": asked()[:1], **options}

    return {
        "chat_with_tools": lambda llm: llm.chat_with_tools([WEATHER], **sent()),
        "achat_with_tools": lambda llm: llm.achat_with_tools([WEATHER], **sent()),
        "stream_chat_with_tools": lambda llm: list(llm.stream_chat_with_tools([WEATHER], **sent())),
        "astream_chat_with_tools": lambda llm: adrain(llm.astream_chat_with_tools([WEATHER], **sent())),
    }


def streams(calls: Mapping[str, Ask]) -> dict[str, Ask]:
    """Of these calls the ones that stream."""
    return {name: ask for name, ask in calls.items() if "stream" in name}


def whole(calls: Mapping[str, Ask]) -> dict[str, Ask]:
    """Of these calls the ones that do not stream."""
    return {name: ask for name, ask in calls.items() if "stream" not in name}


def structured(calls: Mapping[str, Ask]) -> dict[str, Ask]:
    """The same calls, of a structured LLM."""
    return {f"as_structured_llm().{name}": _structured(ask) for name, ask in calls.items()}


def _structured(ask: Ask) -> Ask:
    return lambda llm: ask(llm.as_structured_llm(Capital))


QUESTION_ALONE: dict[str, Ask] = {
    "chat": lambda llm: llm.chat(asked()[1:]),
    "achat": lambda llm: llm.achat(asked()[1:]),
}
STRUCTURED: dict[str, Ask] = {
    "structured_predict": lambda llm: llm.structured_predict(Capital, chat_prompt(), country="France"),
    "astructured_predict": lambda llm: llm.astructured_predict(Capital, chat_prompt(), country="France"),
}
STRUCTURED_STREAMS: dict[str, Ask] = {
    "stream_structured_predict": lambda llm: list(
        llm.stream_structured_predict(Capital, chat_prompt(), country="France")
    ),
    "astream_structured_predict": lambda llm: adrain(
        llm.astream_structured_predict(Capital, chat_prompt(), country="France")
    ),
}
STRUCTURED_LLM = structured(chats())
STRUCTURED_COMPLETIONS = structured(whole(completions()))
PREDICT_AND_CALL: dict[str, Ask] = {
    "predict_and_call": lambda llm: llm.predict_and_call([WEATHER], "Weather?"),
    "apredict_and_call": lambda llm: llm.apredict_and_call([WEATHER], "Weather?"),
}
CLOSED: dict[str, Ask] = {
    "stream_chat": lambda llm: read_one(llm.stream_chat(asked())),
    "astream_chat": lambda llm: aread_one(llm.astream_chat(asked())),
}
UNREAD: dict[str, Ask] = {
    "stream_chat": lambda llm: llm.stream_chat(asked()),
    "astream_chat": lambda llm: llm.astream_chat(asked()),
}
DROPPED: dict[str, Ask] = {
    "stream_chat": lambda llm: drop(llm.stream_chat(asked())),
    "astream_chat": lambda llm: adrop(llm.astream_chat(asked())),
}
AFTER_A_TOOL: dict[str, Ask] = {
    "chat": lambda llm: llm.chat(after_a_tool()),
    "achat": lambda llm: llm.achat(after_a_tool()),
}
WITH_IMAGES: dict[str, Ask] = {
    "chat": lambda llm: llm.chat(with_images()),
    "achat": lambda llm: llm.achat(with_images()),
}


def after_a_tool() -> list[ChatMessage]:
    """A conversation in which a tool was called and has returned."""
    call = ToolCallBlock(tool_call_id="call_1", tool_name="weather", tool_kwargs='{"city": "Paris"}')
    return [
        ChatMessage("Weather?"),
        ChatMessage(role="assistant", blocks=[call]),
        ChatMessage(role="tool", content="It rains in Paris.", additional_kwargs={"tool_call_id": "call_1"}),
    ]


def with_images() -> list[ChatMessage]:
    """A question about two images."""
    pixel = base64.b64decode(PIXEL.partition(",")[2])
    images = [ImageBlock(url="https://example.com/a.png", detail="low"), ImageBlock(image=pixel, detail="high")]
    return [ChatMessage(role="user", blocks=[TextBlock(text="Where is it?"), *images])]


async def adrain(stream: Awaitable[AsyncIterator[Any]]) -> list[Any]:
    """Read an asynchronous stream to its end."""
    return [chunk async for chunk in await stream]


def read_one(stream: Any) -> Any:
    """Read one chunk, then close the stream."""
    first = next(stream)
    stream.close()
    return first


async def aread_one(stream: Awaitable[Any]) -> Any:
    """Read one chunk, then close the stream."""
    chunks = await stream
    first = await anext(chunks)
    await chunks.aclose()
    return first


def drop(stream: Any) -> None:
    """Let nobody hold a stream any more."""
    del stream
    gc.collect()


async def adrop(stream: Awaitable[Any]) -> None:
    """Let nobody hold a stream any more."""
    await stream
    gc.collect()


# -- The rows


def flattened(messages: list[Message]) -> list[Message]:
    """What a model that only completes is sent: one text."""
    return [{"role": "user", "content": messages_to_prompt([from_wire(message) for message in messages])}]


TWO = "user, assistant"
THREE = "system, user, assistant"
FOUR = "system, system, user, assistant"
AFTER_TOOL = "user, assistant, tool, assistant"
DEVELOPER = "a system message is sent as `developer`, and recorded as `system`"

MATRIX: dict[str, list[Row]] = {
    "`OpenAI`, a chat model": [
        Row(calls=chats(), llm=CHAT, roles=THREE),
        Row(calls=CLOSED, how="closed after one chunk", llm=CHAT, counted="stream not read to its end"),
        Row(
            calls=UNREAD,
            how="held, not read",
            llm=CHAT,
            counted="not finished",
            is_sent=False,
            is_read=False,
            remarks="nothing is sent",
        ),
        Row(
            calls=DROPPED,
            how="dropped, not read",
            llm=CHAT,
            counted="stream not read to its end",
            is_sent=False,
            is_read=False,
            remarks="nothing is sent",
        ),
        Row(calls=completions(), llm=CHAT, roles=TWO, remarks="the prompt is sent as a user message"),
        Row(calls=predictions(chat_prompt), llm=CHAT, roles=THREE),
        Row(calls=predictions(prompt), how="`LLM.system_prompt`", llm=PROMPTED, roles=THREE),
        Row(
            calls=QUESTION_ALONE,
            how="`LLM.system_prompt`",
            llm=PROMPTED,
            roles=TWO,
            remarks="LlamaIndex sends no system prompt here",
        ),
        Row(calls=WITH_IMAGES, how="images", llm=CHAT, roles=TWO, remarks="by address and by data"),
        Row(
            calls=chats(temperature=1.0, max_tokens=5, seed=1),
            how="settings at the LLM and at the call",
            llm=CHAT,
            roles=THREE,
            remarks="`parameters` says what was sent: of most settings the LLM's",
        ),
        Row(calls=chats(), how="a reasoning model", llm=REASONING, roles=THREE, remarks=DEVELOPER),
    ],
    "`OpenAI`, structured output": [
        Row(
            calls=STRUCTURED | STRUCTURED_STREAMS,
            how="a model that obeys a schema",
            llm=CHAT,
            roles=THREE,
            remarks="the schema is in `parameters`, as `response_format`",
        ),
        Row(
            calls=STRUCTURED | STRUCTURED_STREAMS,
            how="a model that calls tools",
            llm=TOOLS,
            roles=THREE,
            remarks="the schema is in `tools`",
        ),
        Row(
            calls=STRUCTURED_LLM,
            how="a model that obeys a schema",
            llm=CHAT,
            roles=THREE,
            remarks="the inner call, not the structured LLM's own",
        ),
        Row(calls=STRUCTURED_LLM, how="a model that calls tools", llm=TOOLS, roles=THREE, remarks="the inner call"),
        Row(calls=STRUCTURED_COMPLETIONS, llm=CHAT, roles=TWO, remarks="the inner call"),
    ],
    "`OpenAI`, tools": [
        Row(calls=with_tools(), llm=CHAT, roles=THREE, remarks="with `tools`; `parallel_tool_calls` is false"),
        Row(calls=with_tools(tool_required=True), how="`tool_required=True`", llm=CHAT, roles=THREE),
        Row(calls=with_tools(tool_choice="weather"), how="`tool_choice=`", llm=CHAT, roles=THREE),
        Row(calls=with_tools(strict=True), how="`strict=True`", llm=CHAT, roles=THREE),
        Row(
            calls=with_tools("Weather of both cities?", allow_parallel_tool_calls=True),
            how="two calls in one answer",
            llm=CHAT,
            roles=THREE,
            remarks="`parallel_tool_calls` is true",
        ),
        Row(
            calls=with_tools("Weather of both cities?"),
            how="two calls in one answer, and one is allowed",
            llm=CHAT,
            roles=THREE,
            remarks="both are recorded: the service said so; LlamaIndex shows the app one",
        ),
        Row(calls=PREDICT_AND_CALL, llm=CHAT, roles=TWO),
        Row(calls=AFTER_A_TOOL, how="after a tool has returned", llm=CHAT, roles=AFTER_TOOL),
        Row(
            calls=chats(),
            how="tools in `additional_kwargs`",
            llm=WITH_OWN_TOOLS,
            roles=THREE,
            remarks="LlamaIndex sends them with every call",
        ),
    ],
    "`OpenAI`, no answer": [
        Row(
            calls=chats("refuse this") | completions("refuse this"),
            how="HTTP 400",
            llm=CHAT,
            counted="BadRequestError",
            raises=openai.BadRequestError,
            remarks="the app gets `openai.BadRequestError`",
        ),
        Row(
            calls=chats("say nothing") | completions("say nothing"), how="empty text", llm=CHAT, counted="empty answer"
        ),
        Row(calls=streams(chats()), how="a stream without a chunk", llm=SILENT, counted="no response"),
        Row(
            calls=streams(completions()),
            how="a stream without a chunk",
            llm=SILENT,
            counted="no response",
            counted_too=("stream not read to its end", "ValidationError"),
            raises=ValidationError,
            remarks="the app gets LlamaIndex's own `ValidationError`; through `handler.wrap` that is what is counted; "
            "attached, a stream that is gone before its end was told counts as `stream not read to its end`",
        ),
    ],
    "`OpenAI`, a completion model (`/v1/completions`)": [
        Row(calls=completions(), llm=COMPLETIONS, roles=TWO, remarks="the prompt as a user message"),
        Row(
            calls=chats(),
            llm=COMPLETIONS,
            roles=THREE,
            on_the_wire=flattened,
            remarks="sent as one text, recorded as the chat it was",
        ),
        Row(calls=predictions(prompt), llm=COMPLETIONS, roles=TWO),
        Row(
            calls=predictions(prompt),
            how="`LLM.system_prompt`",
            llm=PROMPTED_COMPLETIONS,
            roles=TWO,
            remarks="LlamaIndex puts it before the prompt",
        ),
    ],
    "`OpenAILike`": [
        Row(calls=chats(), how="a chat model", llm=CHAT_SERVER, roles=THREE),
        Row(
            calls=completions(), how="a chat model", llm=CHAT_SERVER, roles=TWO, remarks="after `completion_to_prompt`"
        ),
        Row(calls=with_tools(), how="a chat model", llm=CHAT_SERVER, roles=THREE),
        Row(
            calls=completions(),
            how="a completion model",
            llm=COMPLETION_SERVER,
            roles=TWO,
            remarks="after `completion_to_prompt`",
        ),
        Row(
            calls=chats(),
            how="a completion model",
            llm=COMPLETION_SERVER,
            roles=TWO,
            remarks="LlamaIndex tells only of the one text that is sent",
        ),
    ],
    "`OpenAIResponses` (`/v1/responses`)": [
        Row(calls=chats(), llm=RESPONSES, roles=THREE, remarks=DEVELOPER),
        Row(calls=completions(), llm=RESPONSES, roles=TWO),
        Row(calls=predictions(chat_prompt), llm=RESPONSES, roles=THREE),
        Row(calls=chats(), how="`instructions`", llm=INSTRUCTED, roles=FOUR, remarks="the first message"),
        Row(calls=completions(), how="`instructions`", llm=INSTRUCTED, roles=THREE, remarks="the first message"),
        Row(
            calls=chats(instructions="Shout."),
            how="`instructions` with the call",
            llm=INSTRUCTED,
            roles=FOUR,
            remarks="they replace those of the LLM",
        ),
        Row(
            calls=with_tools(),
            llm=RESPONSES,
            roles=THREE,
            remarks="`tools` written as a chat has them, so that a training file may hold them",
        ),
        Row(calls=with_tools(tool_required=True), how="`instructions`", llm=INSTRUCTED, roles=FOUR),
        Row(calls=with_tools("Weather of both cities?"), how="two calls in one answer", llm=RESPONSES, roles=THREE),
        Row(calls=PREDICT_AND_CALL, llm=RESPONSES, roles=TWO),
        Row(calls=AFTER_A_TOOL, how="after a tool has returned", llm=RESPONSES, roles=AFTER_TOOL),
        Row(calls=WITH_IMAGES, how="images", llm=RESPONSES, roles=TWO, remarks="written as a chat has them"),
        Row(calls=chats(), how="a reasoning model", llm=REASONING_RESPONSES, roles=THREE),
        Row(calls=STRUCTURED_STREAMS, llm=RESPONSES, roles=THREE, remarks="the schema is in `tools`"),
        Row(calls=streams(STRUCTURED_LLM), llm=RESPONSES, roles=THREE, remarks="the inner call"),
        Row(
            calls=STRUCTURED,
            llm=RESPONSES,
            roles=THREE,
            heard=("wrap",),
            remarks="LlamaIndex tells nobody of them",
        ),
        Row(
            calls=whole(STRUCTURED_LLM),
            llm=RESPONSES,
            roles=THREE,
            heard=("attach", "both", "wrap"),
            lacks=("response_format", "tool_choice"),
            remarks="without the schema, and the answer as JSON made anew; as it was through `handler.wrap`",
        ),
        Row(
            calls=chats() | completions(),
            how="`previous_response_id`, `track_previous_responses`",
            llm=going_on,
            counted="goes on from a stored response",
            remarks="in `skipped`: the request does not hold what came before",
        ),
        Row(
            calls=chats("refuse this") | completions("refuse this"),
            how="HTTP 400",
            llm=RESPONSES,
            counted="BadRequestError",
            raises=openai.BadRequestError,
            remarks="the app gets `openai.BadRequestError`",
        ),
    ],
    "`CustomLLM` and `MockLLM`": [
        Row(
            calls=chats(),
            how="`CustomLLM`",
            llm=by_a_plain_call(Parrot),
            roles=THREE,
            on_the_wire=flattened,
            remarks="the app's call, not those it is made of",
        ),
        Row(calls=completions(), how="`CustomLLM`", llm=by_a_plain_call(Parrot), roles=TWO),
        Row(
            calls=chats("refuse this") | completions("refuse this"),
            how="`CustomLLM` that fails",
            llm=by_a_plain_call(Parrot),
            counted="ConnectionRefusedError",
            raises=ConnectionRefusedError,
            remarks="the app gets its own exception",
        ),
        Row(
            calls={"complete": lambda llm: llm.complete("Capital of France?")},
            how="`CustomLLM` whose author left the decorators out",
            llm=by_a_plain_call(Undecorated),
            roles=TWO,
            heard=("wrap",),
            remarks="LlamaIndex tells nobody of it",
        ),
        Row(calls=chats(), how="`MockLLM`", llm=echo, is_sent=False, roles=THREE, on_the_wire=flattened),
        Row(calls=completions(), how="`MockLLM`", llm=echo, is_sent=False, roles=TWO),
    ],
    "An LLM of another provider": [
        Row(calls=chats(), llm=by_a_plain_call(Foreign), roles=THREE),
        Row(
            calls=completions(),
            llm=by_a_plain_call(Foreign),
            roles=TWO,
            remarks="the app's call, not those it is made of",
        ),
        Row(calls=predictions(chat_prompt), llm=by_a_plain_call(Foreign), roles=THREE),
        Row(calls=STRUCTURED, llm=by_a_plain_call(Foreign), roles=THREE, remarks="the schema is in the prompt"),
        Row(
            calls=chats("refuse this") | completions("refuse this"),
            how="it fails",
            llm=by_a_plain_call(Foreign),
            counted="ConnectionRefusedError",
            raises=ConnectionRefusedError,
            remarks="the app gets its own exception",
        ),
    ],
}


def render() -> str:
    """Return the matrix as the sections of a document, one table each."""
    head = "| call | recorded | messages | remarks |\n|---|---|---|---|"
    return "\n".join(
        f"## {title}\n\n{head}\n" + "".join(f"{row.render()}\n" for row in rows) for title, rows in MATRIX.items()
    )
