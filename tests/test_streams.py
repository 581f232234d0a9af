"""Streams that are read after, and elsewhere than, they were asked for: whose calls they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llama_index.core import Document, SummaryIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM, MockLLM
from llama_index.core.llms.callbacks import llm_chat_callback

from llama_index_ft_rag.recording import OpenAIFineTuningHandler
from llama_index_ft_rag.recording.messages import usage_of


def streaming_engine() -> BaseQueryEngine:
    """An engine whose answers are sent for when they are read."""
    index = SummaryIndex.from_documents([Document(text="A fact.")])
    return index.as_query_engine(llm=MockLLM(is_chat_model=True), streaming=True)


def test_a_stream_of_one_query_read_inside_another_stays_with_its_own() -> None:
    """It is asked for when it is read, and belongs to where it came from."""
    handler, engine = OpenAIFineTuningHandler(), streaming_engine()
    with handler.recording("A", question="qa"):
        response = engine.query("q in A")
    with handler.recording("B", question="qb"):
        list(response.response_gen)

    assert [(call.query_id, call.question) for call in handler.examples(kinds=None)] == [("A", "qa")]


class ReadsItself(CustomLLM):
    """An LLM whose chat reads a stream that it makes itself, and announces one call from inside it."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="reads-itself")

    @llm_chat_callback()
    def _ask(self, messages: Sequence[ChatMessage]) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content="Paris."), delta="Paris.")

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Iterator[ChatResponse]:
        yield self._ask(messages)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return list(self.stream_chat(messages))[-1]

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    stream_complete = complete


def test_a_call_that_reads_a_stream_of_its_own_making_ends() -> None:
    """The stream came from inside the call that reads it."""
    handler = OpenAIFineTuningHandler()
    messages = [ChatMessage(role="user", content="Capital?")]
    ReadsItself().chat(messages)
    with handler.recording("q1"):
        ReadsItself().chat(messages)

    assert [call.answer for call in handler.calls_of("q1")] == ["Paris."]


def test_the_tokens_that_the_last_event_of_a_stream_names_are_kept() -> None:
    """A stream of the Responses API ends with an event that holds the whole response."""
    event = {"type": "response.completed", "response": {"usage": {"input_tokens": 7, "output_tokens": 4}}}
    usage = usage_of(ChatResponse(message=ChatMessage(role="assistant", content="Paris."), raw=event))

    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 4)
