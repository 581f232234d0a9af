"""Questions through a query engine: answers with their contexts, prompts and usage.

In: questions and any LlamaIndex query engine. Out: one `Answer` per question and arm, kept in a journal as soon
as it is there. An engine's failure is an outcome with its reason, never a text that gets scored. Knows nothing
of judges and of what an arm's name means.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import RESPONSE_TYPE, AsyncStreamingResponse, StreamingResponse
from llama_index.core.schema import MetadataMode
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llama_index_ft_rag.concurrency import OnProgress, map_bounded
from llama_index_ft_rag.endpoints import without_keys
from llama_index_ft_rag.examples import TrainingExample, Usage
from llama_index_ft_rag.questions import Question
from llama_index_ft_rag.recording import OpenAIFineTuningHandler
from llama_index_ft_rag.recording.reasons import BROKE_OFF, EMPTY_ANSWER
from llama_index_ft_rag.storage import append_row, read_rows

logger = logging.getLogger(__name__)

EMPTY_RESPONSE = "Empty Response"
"""What LlamaIndex answers without an answer: nothing retrieved, an empty reply, or an error that `Refine` hides."""

REFUSALS = {"en": "The context does not provide this information.", "zh": "根据所提供的资料无法回答这个问题。"}
"""What the always-refuse arm says; a student that learns only to say this has learnt nothing."""


class Answer(BaseModel):
    """What one arm said to one question, or why it said nothing."""

    model_config = ConfigDict(frozen=True)

    question_id: str
    question: str
    arm: str
    """Name of who answered: `base`, `tuned`, `teacher`, or any other."""
    text: str | None
    """`None` when the engine failed; see `error`."""
    contexts: list[str] = Field(default_factory=list)
    """Texts of the retrieved nodes, as a language model sees them, in the engine's order."""
    node_ids: list[str] = Field(default_factory=list)
    calls: list[TrainingExample] = Field(default_factory=list)
    """The LLM calls behind the answer, in order."""
    usage: Usage = Usage()
    latency_s: float | None = None
    model: str | None = None
    error: str | None = None


async def answer_questions(
    questions: Sequence[Question],
    engine: BaseQueryEngine,
    *,
    arm: str,
    journal: Path | None = None,
    concurrency: int = 8,
    timeout: float = 300.0,
    on_progress: OnProgress | None = None,
) -> list[Answer]:
    """Ask a query engine all questions and return their answers in the order of the questions.

    Args:
        questions: What to ask.
        engine: Any LlamaIndex query engine.
        arm: Name under which the answers are kept.
        journal: File of the answers given so far; questions answered in it are not asked again, failed ones are.
        concurrency: How many questions are under way at once.
        timeout: Seconds after which a question counts as failed.
        on_progress: Called after each question.
    """
    known = {answer.question_id: answer for answer in read_answers(journal)} if journal else {}
    handler = OpenAIFineTuningHandler()

    async def one(question: Question) -> Answer:
        before = known.get(question.id)
        if before is not None and before.error is None:
            return before
        answer = await _ask(question, engine, arm=arm, handler=handler, timeout=timeout)
        if journal is not None:
            append_row(journal, answer.model_dump(mode="json"))
        return answer

    handler.attach()
    try:
        return await map_bounded(one, questions, limit=concurrency, on_progress=on_progress)
    finally:
        handler.detach()


def refuse(answers: Sequence[Answer], *, arm: str = "always-refuse") -> list[Answer]:
    """The arm that never answers: a refusal in the question's language, with the contexts of the answers given."""
    return [
        Answer(
            question_id=answer.question_id,
            question=answer.question,
            arm=arm,
            text=REFUSALS["zh" if any("\u4e00" <= letter <= "\u9fff" for letter in answer.question) else "en"],
            contexts=answer.contexts,
            node_ids=answer.node_ids,
        )
        for answer in answers
    ]


def read_answers(path: Path) -> list[Answer]:
    """Read a journal of answers; where a question was asked again, its last answer counts."""
    latest: dict[str, Answer] = {}
    for row in read_rows(path):
        try:
            answer = Answer.model_validate(row)
        except ValidationError:
            logger.warning("%s has a row that is no answer; it was skipped and its work is done again", path)
            continue
        latest[answer.question_id] = answer
    return list(latest.values())


async def _ask(
    question: Question, engine: BaseQueryEngine, *, arm: str, handler: OpenAIFineTuningHandler, timeout: float
) -> Answer:
    started = time.monotonic()
    query_id = f"{arm}/{question.id}"
    text: str | None = None
    error: str | None = None
    response: RESPONSE_TYPE | None = None
    with handler.recording(query_id=query_id, question=question.text):
        try:
            response = await asyncio.wait_for(engine.aquery(question.text), timeout)
            text = await _full_text(response)
        except asyncio.TimeoutError:
            error = f"no answer within {timeout:g} s"
        except Exception as exc:  # noqa: BLE001 - the one guard of an answering run: the failure is the outcome
            error = without_keys(f"{type(exc).__name__}: {exc}")
            logger.warning("%s: question %s failed: %s", arm, question.id, error)
    calls = handler.calls_of(query_id)
    failures = handler.failures_of(query_id)
    if error is None and (_says_nothing(text) or BROKE_OFF in failures):
        error = _swallowed_failure(failures, calls)
        text = text if error is None else None
    nodes = response.source_nodes if response is not None else []
    return Answer(
        question_id=question.id,
        question=question.text,
        arm=arm,
        text=text,
        contexts=[node.node.get_content(metadata_mode=MetadataMode.LLM) for node in nodes],
        node_ids=[node.node.node_id for node in nodes],
        calls=calls,
        usage=sum((call.usage for call in calls), Usage()),
        latency_s=round(time.monotonic() - started, 3),
        model=calls[-1].model if calls else None,
        error=error,
    )


def _says_nothing(text: str | None) -> bool:
    return text is None or text.strip() in ("", EMPTY_RESPONSE)


def _swallowed_failure(failures: Sequence[str], calls: Sequence[TrainingExample]) -> str | None:
    """Why an answer is empty although its engine raised nothing; `None` where nothing was found to answer from."""
    if failures and failures[-1] != EMPTY_ANSWER:
        return f"a call to the model failed: {failures[-1]}"
    return "the model gave no text" if failures or calls else None


async def _full_text(response: RESPONSE_TYPE) -> str:
    """The whole answer, of streaming engines too: a stream that nobody drains was never asked."""
    if isinstance(response, AsyncStreamingResponse):
        response = await response.get_response()
    elif isinstance(response, StreamingResponse):
        response = response.get_response()
    # Without a text, str() of a response is the word "None".
    return str(response) if response.response else ""
