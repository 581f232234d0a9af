"""What the call matrix asks: a service that notes what reaches it, and LLMs of every sort that ask it.

In: nothing. Out: functions that make an LLM of a service and a callback manager. Most ask over HTTP; LLMs of an app's
own have no wire and ask by a plain call, which is noted as well. Knows nothing of recorders.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM, ChatMessage, ChatResponse, CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai_like import OpenAILike
from pydantic import Field

from llama_index_ft_rag.offline import ApiFailure, ChatReply, ChatRequest, ScriptedResponder, ToolCall
from llama_index_ft_rag.testing import Fault, RunningBackend, empty_body

Message = dict[str, Any]
MakeLLM = Callable[["Service", CallbackManager], LLM]


class Service:
    """Says what there is to say, and notes both what it was asked and what it said."""

    def __init__(self) -> None:
        self.asked: list[ChatRequest] = []
        self.said: list[Message] = []
        self.backend = RunningBackend(responder=ScriptedResponder(self.answer), clock=lambda: 1_760_000_000.0)

    def answer(self, request: ChatRequest) -> ChatReply | ApiFailure:
        """Answer a request over HTTP."""
        self.asked.append(request)
        if "refuse this" in str(request.messages):
            return ApiFailure(message="no", status=400)
        reply = _reply_to(request)
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in reply.tool_calls
        ]
        said = {"tool_calls": calls} if calls else {"content": reply.content}
        self.said.append({"role": "assistant", **said})
        return reply

    def text_for(self, messages: Sequence[Message], *, model: str) -> str:
        """Answer an LLM that asks by a plain call."""
        reply = self.answer(ChatRequest(model=model, messages=list(messages)))
        if isinstance(reply, ApiFailure):
            raise ConnectionRefusedError(reply.message)
        return reply.content or ""


def _reply_to(request: ChatRequest) -> ChatReply:
    asked = str(request.messages)
    tools = request.parameters.get("tools")
    if "say nothing" in asked:
        return ChatReply(content="")
    if "response_format" in request.parameters or "JSON schema" in asked:
        return ChatReply(content='{"city":"Paris"}')
    if not tools or request.messages[-1]["role"] == "tool":
        return ChatReply(content="It is Paris.")
    cities = ["Paris", "Lyon"] if "both cities" in asked else ["Paris"]
    name = tools[0]["function"]["name"]
    return ChatReply(
        tool_calls=[
            ToolCall(id=f"call_{number}", name=name, arguments=f'{{"city": "{city}"}}')
            for number, city in enumerate(cities, start=1)
        ]
    )


class Parrot(CustomLLM):
    """An app's own completion-style LLM."""

    service: Any = Field(exclude=True)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="own")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.service.text_for([{"role": "user", "content": prompt}], model="own"))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        def chunks() -> Iterator[CompletionResponse]:
            text = self.service.text_for([{"role": "user", "content": prompt}], model="own")
            for end in range(1, len(text) + 1):
                yield CompletionResponse(text=text[:end], delta=text[end - 1])

        return chunks()


class Undecorated(Parrot):
    """One whose author left LlamaIndex's decorators out."""

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.service.text_for([{"role": "user", "content": prompt}], model="own"))


class Foreign(LLM):
    """A chat LLM of another provider, which completes by chatting and is asynchronous where it must be."""

    service: Any = Field(exclude=True)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="own", is_chat_model=True)

    def _text(self, messages: Sequence[ChatMessage]) -> str:
        sent = [{"role": message.role.value, "content": message.content} for message in messages]
        return self.service.text_for(sent, model="own")

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content=self._text(messages)))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self.chat(messages)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Iterator[ChatResponse]:
        def chunks() -> Iterator[ChatResponse]:
            text = self._text(messages)
            for end in range(1, len(text) + 1):
                yield ChatResponse(message=ChatMessage(role="assistant", content=text[:end]), delta=text[end - 1])

        return chunks()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncIterator[ChatResponse]:
        return _later(self.stream_chat(messages))

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.chat([ChatMessage(prompt)]).message.content or "")

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self.complete(prompt)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        def chunks() -> Iterator[CompletionResponse]:
            for chunk in self.stream_chat([ChatMessage(prompt)]):
                yield CompletionResponse(text=chunk.message.content or "", delta=chunk.delta)

        return chunks()

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, **kwargs: Any) -> AsyncIterator[CompletionResponse]:
        return _later(self.stream_complete(prompt))


async def _later(chunks: Iterator[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


def over_http(
    kind: type[LLM] = OpenAI,
    *,
    model: str = "gpt-4o-mini",
    fault: Callable[[], Fault] | None = None,
    **settings: Any,
) -> MakeLLM:
    """An LLM that asks the service over HTTP."""

    def make(service: Service, manager: CallbackManager) -> LLM:
        if fault is not None:
            service.backend.faults.add(fault())
        return kind(
            model=model,
            api_base=service.backend.base_url,
            api_key="offline",
            max_retries=0,
            http_client=service.backend.http_client(),
            async_http_client=service.backend.async_http_client(),
            callback_manager=manager,
            **settings,
        )

    return make


def echo(service: Service, manager: CallbackManager) -> LLM:
    """An LLM that asks nobody: it says what it is asked."""
    return MockLLM(callback_manager=manager)


def going_on(service: Service, manager: CallbackManager) -> LLM:
    """An LLM that goes on from a response which the service has stored."""
    stored = service.backend.client.responses.create(model="gpt-4o-mini", input="I am in France.")
    service.asked.clear()
    service.said.clear()
    return over_http(OpenAIResponses, previous_response_id=stored.id)(service, manager)


def by_a_plain_call(kind: type[LLM]) -> MakeLLM:
    """An LLM that asks the service without HTTP."""
    return lambda service, manager: kind(service=service, callback_manager=manager)


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It rains in {city}."


WEATHER = FunctionTool.from_defaults(weather)
CHAT = over_http(temperature=0.25, max_tokens=64, additional_kwargs={"seed": 7})
PROMPTED = over_http(system_prompt="Be brief.")
TOOLS = over_http(model="gpt-3.5-turbo")
SILENT = over_http(fault=empty_body)
WITH_OWN_TOOLS = over_http(
    additional_kwargs={"tools": [WEATHER.metadata.to_openai_tool()], "parallel_tool_calls": False}
)
REASONING = over_http(model="gpt-5-mini", max_tokens=64, reasoning_effort="low")
COMPLETIONS = over_http(model="gpt-3.5-turbo-instruct", temperature=0.25, max_tokens=64)
PROMPTED_COMPLETIONS = over_http(model="gpt-3.5-turbo-instruct", max_tokens=64, system_prompt="Be brief.")
CHAT_SERVER = over_http(
    OpenAILike, model="own", is_chat_model=True, is_function_calling_model=True, completion_to_prompt="<s>{}".format
)
COMPLETION_SERVER = over_http(OpenAILike, model="own", completion_to_prompt="<s>{}".format)
RESPONSES = over_http(OpenAIResponses, temperature=0.25, max_output_tokens=64)
REASONING_RESPONSES = over_http(OpenAIResponses, model="gpt-5-mini", reasoning_options={"effort": "low"})
INSTRUCTED = over_http(OpenAIResponses, instructions="Answer in French.")
