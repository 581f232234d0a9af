"""Streams that are read after, and elsewhere than, they were asked for: whose calls they are."""

from __future__ import annotations

from llama_index.core import Document, SummaryIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import MockLLM

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


def test_the_tokens_that_the_last_event_of_a_stream_names_are_kept() -> None:
    """A stream of the Responses API ends with an event that holds the whole response."""
    event = {"type": "response.completed", "response": {"usage": {"input_tokens": 7, "output_tokens": 4}}}
    usage = usage_of(ChatResponse(message=ChatMessage(role="assistant", content="Paris."), raw=event))

    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 4)
