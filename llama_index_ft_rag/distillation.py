"""The whole way in one run folder: from an engine that is good but expensive to a tuned one, and the proof.

In: an engine factory or documents, the names of teacher and student, a folder. Out: `Distilled`, and the folder
filled as the stages go. The same call again continues where the last one stopped. Knows nothing of the command
line.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM

from llama_index_ft_rag.comparison import Comparison
from llama_index_ft_rag.concurrency import run_sync
from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.engines import EngineFactory
from llama_index_ft_rag.errors import ConfigurationError, JobNotReadyError
from llama_index_ft_rag.ledger import LedgerTotal
from llama_index_ft_rag.plan import Plan, QuestionSource, make_plan
from llama_index_ft_rag.questions import Question
from llama_index_ft_rag.report import Report, write_report
from llama_index_ft_rag.run_folder import RunFolder, read_run
from llama_index_ft_rag.run_report import report_of_run
from llama_index_ft_rag.stages import OnStage, Stages

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """What a run leaves in your hands."""

    engine: BaseQueryEngine = field(repr=False)
    """Your engine with the tuned LLM inside."""
    llm: LLM = field(repr=False)
    """The tuned LLM."""
    comparison: Comparison | None = field(repr=False)
    """Base against tuned against teacher; `None` when the run was made without evaluation."""
    cost: Sequence[LedgerTotal] = field(repr=False)
    """Calls and tokens of the run, by stage, arm and model."""
    report: Report = field(repr=False)
    folder: Path

    def _repr_html_(self) -> str:
        """The report, where a notebook shows the result."""
        return self.report._repr_html_()


def distill(
    build_engine: EngineFactory | BaseQueryEngine | str | None = None,
    *,
    student: str | None = None,
    teacher: str | LLM | None = None,
    judge: str | LLM | None = None,
    embed_model: str | BaseEmbedding | None = None,
    documents: str | Path | Sequence[str | Path] | None = None,
    questions: Sequence[Question] | None = None,
    train_questions: QuestionSource = 40,
    eval_questions: QuestionSource = 40,
    out: str | Path,
    backend: str | None = None,
    endpoint: Endpoint | None = None,
    teacher_endpoint: Endpoint | None = None,
    student_endpoint: Endpoint | None = None,
    judge_endpoint: Endpoint | None = None,
    seed: int = 0,
    concurrency: int = 8,
    top_k: int = 2,
    chunk_size: int = 1024,
    hyperparameters: Mapping[str, Any] | None = None,
    on_stage: OnStage | None = None,
) -> Distilled:
    """Teach `student` to answer like `teacher` inside your query engine, and measure whether it does.

    Args:
        build_engine: Makes your query engine with a given LLM. A `RetrieverQueryEngine` may be passed instead
            and is rebuilt, never changed; so may a name such as `my_app.rag:build_engine`. Without it a
            `VectorStoreIndex` engine is made from `documents`.
        student: Name of the model to fine-tune.
        teacher: Name of the model whose answers are taught, or any LlamaIndex LLM.
        judge: Name of the model that scores, or any LlamaIndex LLM; the teacher if not given.
        embed_model: Name or LlamaIndex embedding, for the index made from `documents` and for scoring.
        documents: Files or folders (PDF, HTML, markdown, text) that questions are made from.
        questions: Questions with their splits; instead of `train_questions` and `eval_questions`.
        train_questions: How many to generate, a file, or the questions themselves.
        eval_questions: The same for evaluation; 0 leaves evaluation out.
        out: The run folder. The same call with the same folder continues.
        backend: `"openai"` (the default: any OpenAI-compatible service named by `OPENAI_BASE_URL` and
            `OPENAI_API_KEY`) or `"offline"` (built-in toy models, no key, nothing is charged).
        endpoint: A service instead of `backend`.
        teacher_endpoint: Another service for the teacher alone.
        student_endpoint: Another service for training and for the student alone.
        judge_endpoint: Another service for the judge alone.
        seed: Seed of the question split, the training job and the statistics.
        concurrency: How many questions are under way at once.
        top_k: Nodes retrieved per question by the engine made from `documents`.
        chunk_size: Tokens per node of that engine's index, and of the passages questions are made from.
        hyperparameters: Of the fine-tuning job: `n_epochs`, `batch_size`, `learning_rate_multiplier`.
        on_stage: Told about progress as `on_stage(stage, done, total)`.

    Raises:
        FtRagError: One sentence that names the thing, the value and the next step; what was computed stays.

    Example:
        >>> from llama_index_ft_rag import distill
        >>> from llama_index_ft_rag.sample import sample_report
        >>> result = distill(documents=sample_report(), backend="offline", out=tmp_path / "run",
        ...                  train_questions=12, eval_questions=4)
        >>> print(result.comparison.verdict)  # doctest: +SKIP
        >>> response = result.engine.query("How many people did the company employ?")
    """
    return run_sync(
        adistill(
            build_engine,
            student=student,
            teacher=teacher,
            judge=judge,
            embed_model=embed_model,
            documents=documents,
            questions=questions,
            train_questions=train_questions,
            eval_questions=eval_questions,
            out=out,
            backend=backend,
            endpoint=endpoint,
            teacher_endpoint=teacher_endpoint,
            student_endpoint=student_endpoint,
            judge_endpoint=judge_endpoint,
            seed=seed,
            concurrency=concurrency,
            top_k=top_k,
            chunk_size=chunk_size,
            hyperparameters=hyperparameters,
            on_stage=on_stage,
        )
    )


async def adistill(
    build_engine: EngineFactory | BaseQueryEngine | str | None = None,
    *,
    out: str | Path,
    backend: str | None = None,
    endpoint: Endpoint | None = None,
    on_stage: OnStage | None = None,
    **arguments: Any,
) -> Distilled:
    """Async twin of `distill`, with the same arguments."""
    main = endpoint or _endpoint_for(backend, Path(out))
    plan = make_plan(build_engine, endpoint=main, **arguments)
    return await run_plan(plan, out=out, on_stage=on_stage)


async def run_plan(plan: Plan, *, out: str | Path, on_stage: OnStage | None = None) -> Distilled:
    """Run all stages of a plan that `make_plan` worked out."""
    with RunFolder(out, identity=plan.identity(), settings=plan.settings()) as folder:
        stages = Stages(plan, folder, on_stage=on_stage or _ignore)
        try:
            return await _run_stages(stages)
        finally:
            stages.close()


async def _run_stages(stages: Stages) -> Distilled:
    plan = stages.plan
    await asyncio.to_thread(stages.preflight)
    nodes = stages.index()
    questions = await stages.questions(nodes)
    teacher_answers = await stages.teach(questions)
    stages.curate(teacher_answers)
    tuned = await asyncio.to_thread(stages.train)
    engine = stages.build(tuned)
    if plan.evaluate:
        await stages.evaluate(questions, tuned)
    report = report_of_run(stages.folder.path)
    write_report(report, stages.folder.path)
    return Distilled(
        engine=engine,
        llm=tuned,
        comparison=report.comparison,
        cost=stages.ledger.totals(),
        report=report,
        folder=stages.folder.path,
    )


def load_tuned_llm(folder: str | Path, **settings: Any) -> LLM:
    """The tuned LLM of a finished run, from its folder, at the service that made it.

    Args:
        folder: A run folder.
        settings: Handed to the LLM's constructor, such as `temperature`.

    Raises:
        RunFolderError: If there is no run in this folder.
        JobNotReadyError: If its fine-tuning job has not finished yet.
        ConfigurationError: If the service needs a key and the environment has none.
    """
    facts = read_run(folder)["facts"]
    model = facts.get("tuned_model")
    if not model:
        raise JobNotReadyError(f"{folder}: no tuned model yet; run the same `ft-rag run` command again to continue")
    if facts.get("training_offline"):
        return _endpoint_for("offline", Path(folder)).llm(model, **settings)
    endpoint = Endpoint.from_environment(facts["training_endpoint"], key_variable=facts["training_key_variable"])
    return endpoint.llm(model, **settings)


def _endpoint_for(backend: str | None, out: Path) -> Endpoint:
    if backend == "offline":
        return Endpoint.for_offline(out / "offline")
    if backend in (None, "openai"):
        return Endpoint.from_environment()
    raise ConfigurationError(f"backend {backend!r}: pass 'openai' or 'offline'")


def _ignore(stage: str, done: int, total: int) -> None:
    """Progress nobody asked for."""
