"""What a run will use and do, worked out before anything is asked or paid.

In: what the user passed to `distill` or `ft-rag run`. Out: a `Plan` with the engine factory, the models of the
three roles and their endpoints, and the questions wanted. Raises on everything that can be known to be wrong
now. Knows nothing of the run folder's state.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from llama_index.core.schema import Document

from llama_index_ft_rag.documents import load_documents
from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.engines import EngineFactory, as_engine_factory, import_factory
from llama_index_ft_rag.errors import ConfigurationError, QuestionError
from llama_index_ft_rag.questions import Question, read_questions
from llama_index_ft_rag.questions.wording import folded

OFFLINE_MODELS = {"teacher": "offline-teacher", "student": "offline-student", "judge": "offline-judge"}

_TOYS = {**OFFLINE_MODELS, "embedding": "offline-embedding"}

QuestionSource = int | str | Path | Sequence[str]
"""How many to generate, a file to read, or the questions themselves."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """One model of a run: its name, where it is asked, and the LLM that asks it."""

    model: str
    endpoint: str
    """Address of the service; `llama-index` for an LLM object the caller passed."""
    make_llm: Callable[[], LLM] = field(repr=False)
    """Makes the LLM; nothing is opened or asked before."""
    service: Endpoint | None = field(default=None, repr=False)
    """Where it is asked; `None` for an LLM object the caller passed."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a run needs to know before it starts."""

    documents: tuple[Document, ...] = field(repr=False)
    """What was read; several per file where it has pages."""
    engine_name: str | None
    """How the caller's own engine is called in `run.json`; `None`: one is made from the documents."""
    engine_source: str | None
    """Hash of the file that defines the caller's factory: an engine that was mended answers anew."""
    engine_factory: EngineFactory | None = field(repr=False)
    source_engine: BaseQueryEngine | None = field(repr=False)
    """The engine object passed, if one was: its nodes serve when there are no documents."""
    teacher: Role
    student: Role
    judge: Role
    embedding: str
    embedding_service: Endpoint | None = field(repr=False)
    """`None`: the caller passed an embedding."""
    make_embedding: Callable[[], BaseEmbedding] = field(repr=False)
    training_endpoint: Endpoint = field(repr=False)
    train_questions: int | tuple[Question, ...]
    eval_questions: int | tuple[Question, ...]
    seed: int
    concurrency: int
    top_k: int
    chunk_size: int
    """Tokens per node of the index made from documents, and of the passages questions are made from."""
    hyperparameters: Mapping[str, Any]
    command: str | None
    """The command line that asks for this run."""

    @property
    def evaluate(self) -> bool:
        """Whether base and tuned are compared at all."""
        return bool(self.eval_questions)

    @property
    def charged(self) -> bool:
        """Whether anybody but the built-in toy models is asked."""
        names = [self.teacher.model, self.student.model, *(model for _, model in self.asked())]
        return not all(_is_toy(name) for name in names)

    def asked(self) -> Iterator[tuple[Endpoint, str]]:
        """The services that this run asks over a network, each with a model it needs there."""
        pairs = [(self.teacher.service, self.teacher.model), (self.student.service, self.student.model)]
        if self.evaluate:
            pairs.append((self.judge.service, self.judge.model))
        if self.evaluate or self.engine_factory is None:
            pairs.append((self.embedding_service, self.embedding))
        for service, model in dict.fromkeys(pairs):
            if service is not None and not service.is_offline:
                yield service, model

    def identity(self) -> dict[str, Any]:
        """What makes this run another than the one already in a folder."""
        return {
            "documents": _content_hashes(self.documents),
            "engine": self.engine_name,
            "teacher": f"{self.teacher.model} at {self.teacher.endpoint}",
            "seed": self.seed,
        }

    def settings(self) -> dict[str, Any]:
        """What `run.json` says about the run, secrets not among it."""
        return {
            "student": self.student.model,
            "student_endpoint": self.student.endpoint,
            "judge": self.judge.model,
            "judge_endpoint": self.judge.endpoint,
            "embedding": self.embedding,
            "train_questions": question_count(self.train_questions),
            "eval_questions": question_count(self.eval_questions),
            "top_k": self.top_k,
            "chunk_size": self.chunk_size,
            "hyperparameters": dict(self.hyperparameters),
            "command": self.command,
        }


def make_plan(
    engine: EngineFactory | BaseQueryEngine | str | None,
    *,
    endpoint: Endpoint,
    student: str | None,
    teacher: str | LLM | None,
    judge: str | LLM | None = None,
    teacher_endpoint: Endpoint | None = None,
    student_endpoint: Endpoint | None = None,
    judge_endpoint: Endpoint | None = None,
    embed_model: str | BaseEmbedding | None = None,
    documents: str | Path | Sequence[str | Path] | None = None,
    questions: Sequence[Question] | None = None,
    train_questions: QuestionSource = 40,
    eval_questions: QuestionSource = 40,
    seed: int = 0,
    concurrency: int = 8,
    top_k: int = 2,
    chunk_size: int = 1024,
    hyperparameters: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> Plan:
    """Work out a run.

    Raises:
        ConfigurationError: If there is neither an engine nor documents, or a role has no model or an unknown one.
        EngineError: If `engine` cannot be used.
        DocumentError: If a document is missing.
        QuestionError: If a question file cannot be read, or there is nothing to train on.
    """
    if engine is None and documents is None:
        raise ConfigurationError("neither an engine nor documents: pass build_engine, documents=[...], or both")
    teacher_role = _role("teacher", teacher, teacher_endpoint or endpoint)
    train, evaluation = _question_sources(questions, train_questions, eval_questions)
    if not train:
        raise QuestionError("no training questions: pass some with --train-questions N|FILE")
    return Plan(
        documents=tuple(load_documents(documents)) if documents is not None else (),
        engine_name=_engine_name(engine),
        engine_source=_engine_source(engine),
        engine_factory=as_engine_factory(engine) if engine is not None else None,
        source_engine=engine if isinstance(engine, BaseQueryEngine) else None,
        teacher=teacher_role,
        student=_role("student", student, student_endpoint or endpoint),
        judge=_judge_role(judge, judge_endpoint or endpoint, teacher_role),
        embedding=_embedding_name(embed_model, endpoint),
        embedding_service=None if isinstance(embed_model, BaseEmbedding) else endpoint,
        make_embedding=_embedding_maker(embed_model, endpoint),
        training_endpoint=student_endpoint or endpoint,
        train_questions=train,
        eval_questions=evaluation,
        seed=seed,
        concurrency=concurrency,
        top_k=top_k,
        chunk_size=chunk_size,
        hyperparameters=dict(hyperparameters or {}),
        command=command,
    )


def question_count(source: int | tuple[Question, ...]) -> int:
    """How many questions are wanted, or given."""
    return source if isinstance(source, int) else len(source)


def _role(role: str, model: str | LLM | None, endpoint: Endpoint) -> Role:
    if isinstance(model, LLM):
        return Role(model=model.metadata.model_name, endpoint="llama-index", make_llm=lambda: model)
    name = model or (OFFLINE_MODELS[role] if endpoint.is_offline else None)
    if name is None:
        raise ConfigurationError(f"no {role} model: name one with --{role} ({role}=... from Python)")
    _refuse_unknown_toy(role, name, endpoint)
    return Role(model=name, endpoint=endpoint.base_url, make_llm=lambda: endpoint.llm(name), service=endpoint)


def _judge_role(judge: str | LLM | None, judge_endpoint: Endpoint, teacher: Role) -> Role:
    if judge is None and not judge_endpoint.is_offline:
        # The model known to be good is the best judge at hand; the report says that it judges its own kind.
        return teacher
    return _role("judge", judge, judge_endpoint)


def _refuse_unknown_toy(role: str, model: str, endpoint: Endpoint) -> None:
    """Refuse a model that the built-in backend does not have; one with a responder of its own may have any."""
    if not isinstance(endpoint.offline, Path):
        return
    known = {*OFFLINE_MODELS.values()} if role in ("teacher", "judge") else {_TOYS[role]}
    if model not in known and not (role != "embedding" and _is_toy(model)):
        raise ConfigurationError(
            f"the offline backend has no {role} model {model!r}: set OPENAI_API_KEY or name a "
            f"service that has it, or use {_TOYS[role]}"
        )


def _is_toy(model: str) -> bool:
    return model in _TOYS.values() or model.startswith(f"ft:{OFFLINE_MODELS['student']}:")


def _embedding_name(embed_model: str | BaseEmbedding | None, endpoint: Endpoint) -> str:
    if isinstance(embed_model, BaseEmbedding):
        return embed_model.model_name
    name = embed_model or endpoint.default_embedding
    _refuse_unknown_toy("embedding", name, endpoint)
    return name


def _embedding_maker(embed_model: str | BaseEmbedding | None, endpoint: Endpoint) -> Callable[[], BaseEmbedding]:
    if isinstance(embed_model, BaseEmbedding):
        return lambda: embed_model
    return lambda: endpoint.embedding(embed_model)


def _question_sources(
    questions: Sequence[Question] | None, train: QuestionSource, evaluation: QuestionSource
) -> tuple[int | tuple[Question, ...], int | tuple[Question, ...]]:
    if questions is not None:
        given = [tuple(question for question in questions if question.split == split) for split in ("train", "eval")]
        _refuse_overlap(given[0], given[1])
        return given[0], given[1]
    trained, evaluated = _question_source(train, "train"), _question_source(evaluation, "eval")
    _refuse_overlap(trained, evaluated)
    return trained, evaluated


def _refuse_overlap(train: int | tuple[Question, ...], evaluation: int | tuple[Question, ...]) -> None:
    """A question that was trained on measures memory, not skill."""
    if isinstance(train, int) or isinstance(evaluation, int):
        return
    trained = {folded(question.text) for question in train}
    both = [question.text for question in evaluation if folded(question.text) in trained]
    if both:
        raise QuestionError(
            f"{len(both)} questions are both trained and evaluated on, such as {both[0]!r}: "
            "take them out of one of the two sets"
        )


def _question_source(source: QuestionSource, split: Any) -> int | tuple[Question, ...]:
    if isinstance(source, int):
        if source < 0:
            raise ConfigurationError(f"{split} questions: {source} is negative; pass a number from 0, or a file")
        return source
    if isinstance(source, (str, Path)):
        return tuple(read_questions(source, split=split))
    made = [Question.make(text, split=split) for text in source]
    return tuple({question.id: question for question in made}.values())  # the same question twice is one


def _engine_name(engine: object) -> str | None:
    if engine is None or isinstance(engine, str):
        return engine
    if isinstance(engine, BaseQueryEngine):
        return type(engine).__name__
    return f"{getattr(engine, '__module__', '?')}:{getattr(engine, '__qualname__', type(engine).__name__)}"


def _engine_source(engine: object) -> str | None:
    factory = import_factory(engine) if isinstance(engine, str) else engine
    if factory is None or isinstance(factory, BaseQueryEngine):
        return None
    try:
        source = inspect.getsourcefile(inspect.unwrap(factory))  # type: ignore[arg-type]  # TypeError: no function
    except TypeError:
        return None
    if source is None or not Path(source).is_file():
        return None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()[:16]


def _content_hashes(documents: Sequence[Document]) -> dict[str, str]:
    digests: dict[str, Any] = {}
    for document in documents:
        name = str(document.metadata.get("file_name", document.doc_id))
        digests.setdefault(name, hashlib.sha256()).update(document.get_content().encode("utf-8", "replace") + b"\0")
    return {name: digest.hexdigest()[:16] for name, digest in digests.items()}
