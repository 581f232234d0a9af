"""Questions through an engine: what fails is an outcome, and what was answered is not asked again."""

import json

import pytest
from fakes import Saying
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import Response
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import CompletionResponse
from llama_index.core.schema import TextNode

from llama_index_ft_rag.answering import answer_questions, read_answers
from llama_index_ft_rag.questions import Question

QUESTIONS = [Question.make("Why?"), Question.make("When?")]


class Engine(BaseQueryEngine):
    """Says the question again, or fails with what it is told to."""

    def __init__(self, failure=None):
        super().__init__(callback_manager=CallbackManager([]))
        self.failure = failure
        self.asked = []

    def _query(self, query_bundle):
        self.asked.append(query_bundle.query_str)
        if self.failure is not None:
            raise self.failure
        return Response(response=f"You ask: {query_bundle.query_str}")

    async def _aquery(self, query_bundle):
        return self._query(query_bundle)

    def _get_prompt_modules(self):
        return {}


async def test_what_was_answered_is_not_asked_again(tmp_path):
    """An interrupted run goes on where it stopped."""
    journal, engine = tmp_path / "answers.jsonl", Engine()
    await answer_questions(QUESTIONS[:1], engine, arm="base", journal=journal)

    found = await answer_questions(QUESTIONS, engine, arm="base", journal=journal)

    assert [answer.text for answer in found] == ["You ask: Why?", "You ask: When?"]
    assert engine.asked == ["Why?", "When?"]


async def test_a_failure_is_an_outcome_without_a_key(tmp_path):
    """The reason is kept and shown, so a key that the service quotes is not part of it."""
    journal = tmp_path / "answers.jsonl"
    engine = Engine(RuntimeError("Incorrect API key provided: sk-proj-0123456789abcdef"))

    [answer] = await answer_questions(QUESTIONS[:1], engine, arm="base", journal=journal)

    assert (answer.text, answer.error) == (None, "RuntimeError: Incorrect API key provided: sk-...")
    assert "0123456789" not in journal.read_text()


class Broken(Saying):
    """An LLM that raises what LlamaIndex's Refine hides, or says nothing at all."""

    error: str | None = None

    def complete(self, prompt, formatted=False, **kwargs):
        if self.error is not None:
            raise ValueError(self.error)
        return CompletionResponse(text="")


@pytest.mark.parametrize(
    ("error", "reason"),
    [("content blocked", "a call to the model failed: ValueError"), (None, "the model gave no text")],
)
async def test_a_failure_that_the_engine_hides_is_no_answer(error, reason):
    """An "Empty Response" in place of an error would be scored as a refusal, and move the verdict."""
    index = VectorStoreIndex([TextNode(text="A fact.")], embed_model=MockEmbedding(embed_dim=4))
    engine = index.as_query_engine(llm=Broken(text="", error=error))

    [answer] = await answer_questions(QUESTIONS[:1], engine, arm="base")

    assert (answer.text, answer.error) == (None, reason)


async def test_a_failed_question_is_asked_again(tmp_path):
    """The last answer counts."""
    journal = tmp_path / "answers.jsonl"
    await answer_questions(QUESTIONS[:1], Engine(RuntimeError("no")), arm="base", journal=journal)
    await answer_questions(QUESTIONS[:1], Engine(), arm="base", journal=journal)

    assert [answer.text for answer in read_answers(journal)] == ["You ask: Why?"]


def test_a_row_that_is_no_answer_is_skipped(tmp_path):
    """A journal of another version costs its work, not a traceback."""
    journal = tmp_path / "answers.jsonl"
    fits = {"question_id": "q1", "question": "Why?", "arm": "base", "text": "So."}
    rows = [{"question_id": "q0"}, {"other": 1}, fits]
    journal.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    assert [answer.question_id for answer in read_answers(journal)] == ["q1"]
