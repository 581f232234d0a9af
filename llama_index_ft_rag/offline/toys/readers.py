"""The built-in models of the offline backend, as one responder.

In: chat requests, texts and training lines. Out: what the toy readers, the rule-based judge, the question writer and
the hashed embedding say. Every model does every kind of task; only answering depends on which one is asked. Same
input, same output, in every process. None of this is a language model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from llama_index_ft_rag.offline.responder import ApiFailure, ChatReply, ChatRequest, TrainRequest, TrainStep
from llama_index_ft_rag.offline.toys.embedding import embed_texts
from llama_index_ft_rag.offline.toys.imitation import train_reader
from llama_index_ft_rag.offline.toys.judge import judge
from llama_index_ft_rag.offline.toys.lessons import read_lessons
from llama_index_ft_rag.offline.toys.preference import read_pairs, train_preferences
from llama_index_ft_rag.offline.toys.prompts import (
    AnswerTask,
    QuestionsTask,
    RefineTask,
    RewriteTask,
    read_request,
)
from llama_index_ft_rag.offline.toys.question_writer import write_questions
from llama_index_ft_rag.offline.toys.reader import STUDENT, TEACHER, Reader

TEACHER_MODEL = "offline-teacher"
STUDENT_MODEL = "offline-student"
JUDGE_MODEL = "offline-judge"
EMBEDDING_MODEL = "offline-embedding"


class BuiltInResponder:
    r"""The toy models behind the offline backend.

    Args:
        seed: Mixed into the order in which a training visits its lines; answers do not depend on it.

    Example:
        >>> responder = BuiltInResponder(seed=0)
        >>> prompt = "Context: Harbor Light was founded in 1968.\nQuestion: When was Harbor Light founded?"
        >>> messages = [{"role": "user", "content": prompt}]
        >>> responder.chat(ChatRequest(model="offline-teacher", messages=messages)).content
        'Harbor Light was founded in 1968.'
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._readers: dict[str, Reader] = {TEACHER_MODEL: TEACHER, JUDGE_MODEL: TEACHER, STUDENT_MODEL: STUDENT}
        self._lock = threading.Lock()

    def models(self) -> Sequence[str]:
        """Names that answer, tuned ones aside."""
        return (TEACHER_MODEL, STUDENT_MODEL, JUDGE_MODEL, EMBEDDING_MODEL)

    def chat(self, request: ChatRequest) -> ChatReply | ApiFailure:
        """Answer one request."""
        reader = self._reader(request.model)
        if reader is None:
            return ApiFailure(
                message=f"The model '{request.model}' does not exist; ask GET /v1/models for those that do.",
                status=404,
                code="model_not_found",
                param="model",
            )
        return ChatReply(content=_say(reader, request))

    def embed(self, texts: Sequence[str], *, model: str) -> list[list[float]]:  # noqa: ARG002 - one embedding only
        """Return one vector per text, in order."""
        return embed_texts(texts)

    def train(self, request: TrainRequest, on_step: Callable[[TrainStep], None]) -> dict[str, Any] | ApiFailure:
        """Train a copy of a reader on chat lines or preference pairs and return its weights."""
        base = self._reader(request.base_model)
        if base is None:
            return ApiFailure(
                message=f"Model {request.base_model} cannot be fine-tuned.", code="model_not_available", param="model"
            )
        seed = self._seed ^ request.seed
        if request.method == "dpo":
            pairs = read_pairs(request.lines)
            if not pairs:
                return _useless(request, "two answers of which each takes something else from the context")
            tuned = train_preferences(
                pairs,
                base=base,
                beta=request.beta,
                seed=seed,
                n_epochs=request.n_epochs,
                on_step=on_step,
                validation=read_pairs(request.validation_lines),
            )
            return {**tuned.to_weights(), "lines": len(request.lines), "lines_used": len(pairs)}
        lessons = read_lessons(request.lines)
        if not lessons:
            return _useless(request, "an answer")
        tuned = train_reader(
            lessons,
            base=base,
            seed=seed,
            n_epochs=request.n_epochs,
            on_step=on_step,
            validation=read_lessons(request.validation_lines),
        )
        return {**tuned.to_weights(), "lines": len(request.lines), "lines_used": len(lessons)}

    def load(self, model_id: str, weights: dict[str, Any]) -> None:
        """Make a tuned model answer.

        Raises:
            OfflineBackendError: If the weights are not those of an offline reader.
        """
        reader = Reader.from_weights(weights)
        with self._lock:
            self._readers[model_id] = reader

    def _reader(self, model: str) -> Reader | None:
        with self._lock:
            return self._readers.get(model)


def _useless(request: TrainRequest, answers: str) -> ApiFailure:
    return ApiFailure(
        message=(
            f"None of the {len(request.lines)} lines has a context, a question and {answers}, which is all that an "
            "offline reader can learn from; record them from a query engine."
        ),
        code="invalid_training_file",
        param="training_file",
    )


def _say(reader: Reader, request: ChatRequest) -> str:
    match read_request(request.messages):
        case AnswerTask(question=question, context=context):
            return reader.answer(question, context)
        case RefineTask(question=question, context=context, draft=draft):
            return reader.refine(question, context, draft)
        case QuestionsTask(context=context, count=count):
            return write_questions(context, count=count)
        case RewriteTask(message=message):
            return message
        case judged:
            return judge(judged)
