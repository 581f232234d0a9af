"""The stages of a run, each continuing from what the run folder already holds.

In: a plan and an open run folder. Out: questions, answers, examples, a tuned LLM, a comparison, a report; each
in its file. A stage whose inputs changed runs again, and so do the later ones; the ledger makes sure that no
call is paid for twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.llms import LLM
from llama_index.core.schema import BaseNode

from llama_index_ft_rag.answering import Answer, answer_questions, refuse
from llama_index_ft_rag.concurrency import OnProgress
from llama_index_ft_rag.curation import curate, dropped_rows
from llama_index_ft_rag.documents import split_documents
from llama_index_ft_rag.engines import EngineFactory, index_nodes, nodes_behind, reopen_index
from llama_index_ft_rag.errors import EngineError, ExamplesError, JobNotReadyError, PreflightError, QuestionError
from llama_index_ft_rag.examples import write_examples
from llama_index_ft_rag.finetuning import FinetuneEvent, OpenAIFinetuneEngine, ask_service
from llama_index_ft_rag.ledger import Ledger
from llama_index_ft_rag.plan import Plan, Role, question_count
from llama_index_ft_rag.questions import Question, generate_train_and_eval, read_questions, write_questions
from llama_index_ft_rag.run_folder import RunFolder, fingerprint_of
from llama_index_ft_rag.run_report import CONTROL, job_facts
from llama_index_ft_rag.scoring import check_installed, score_answers
from llama_index_ft_rag.storage import write_rows
from llama_index_ft_rag.validation import MINIMUM_EXAMPLES

logger = logging.getLogger(__name__)

METRICS = ("faithfulness", "answer_relevancy")

OnStage = Callable[[str, int, int], None]
"""Called as `on_stage(stage, done, total)` when a stage begins, moves and ends."""


class Stages:
    """The stages in their order; call them in it."""

    def __init__(self, plan: Plan, folder: RunFolder, *, on_stage: OnStage) -> None:
        self.plan = plan
        self.folder = folder
        self.ledger = Ledger(folder.file("ledger.db"))
        self._on_stage = on_stage
        self._closed = threading.Event()
        self._embed_model = plan.make_embedding()
        self._index: VectorStoreIndex | None = None
        self._fingerprint = fingerprint_of(plan.identity())

    def close(self) -> None:
        """Stop waiting for the job, if that is under way, and close the ledger."""
        self._closed.set()
        self.ledger.close()

    def preflight(self) -> None:
        """Ask whether the run can come to its end, before anything is paid; of a job only where none is on record.

        Raises:
            MissingExtraError: If what scores the answers is not installed.
            PreflightError: If it is known that the student cannot be trained.
        """
        if self.plan.evaluate:
            check_installed()
        if self.folder.file("job.json").exists():
            return
        student, endpoint = self.plan.student.model, self.plan.training_endpoint
        checks = ask_service(endpoint.client(), student)
        for check in checks:
            if check.level == "warning":
                logger.warning("training %s: %s", student, check.message)
        reasons = [check.message for check in checks if check.level == "error"]
        if reasons:
            raise PreflightError(
                f"{student} cannot be trained, so nothing was asked: {'; '.join(reasons)}", reasons=reasons
            )

    def index(self) -> list[BaseNode]:
        """Read the documents and, unless the caller has an engine of its own, index them."""
        plan = self.plan
        if plan.engine_factory is not None:
            # Made before anything is paid: a factory that cannot work says so now.
            engine = plan.engine_factory(plan.teacher.make_llm())
            if not plan.documents:
                return nodes_behind(plan.source_engine or engine)
        with self._stage("index", total=1):
            nodes = split_documents(list(plan.documents), chunk_size=plan.chunk_size)
            if plan.engine_factory is None:
                self._begin("index", {"embedding": plan.embedding, "chunk_size": plan.chunk_size}, ["index"])
                embed_model = self.ledger.wrap_embedding(self._embed_model, stage="index", endpoint=plan.embedding)
                self._index = index_nodes(nodes, embed_model=embed_model, folder=self.folder.file("index"))
        return nodes

    async def questions(self, nodes: Sequence[BaseNode]) -> list[Question]:
        """Read the questions made before, or make them."""
        plan, path = self.plan, self.folder.file("questions.jsonl")
        wanted = [_wanted(plan.train_questions), _wanted(plan.eval_questions)]
        trained_on = fingerprint_of([self._fingerprint, wanted[0], plan.chunk_size])
        kept = self._training_questions_so_far(path, trained_on)
        self._begin("questions", {"wanted": wanted, "chunk_size": plan.chunk_size}, [path.name])
        with self._stage(
            "questions", total=question_count(plan.train_questions) + question_count(plan.eval_questions)
        ) as on_progress:
            if path.exists():
                questions = read_questions(path)
            else:
                questions = await self._make_questions(nodes, kept, on_progress)
                write_questions(path, questions)
        self.folder.note("training_questions", trained_on)
        if not any(question.split == "train" for question in questions):
            raise QuestionError("no training questions: pass some with --train-questions N|FILE")
        return questions

    async def teach(self, questions: Sequence[Question]) -> list[Answer]:
        """Let the teacher answer the training questions; its calls are the examples."""
        inputs = {"top_k": self.plan.top_k, "engine": self.plan.engine_source}
        self._begin("answers", inputs, ["answers-teacher.jsonl"])
        asked = [question for question in questions if question.split == "train"]
        answers = await self._answer("teacher", self.plan.teacher, asked, stage="teaching")
        if not any(answer.calls for answer in answers if answer.error is None):
            failed = next((answer.error for answer in answers if answer.error), None)
            cause = failed or "no call came through the LLM it was given; use the factory's `llm` argument"
            raise EngineError(f"the engine answered none of {len(answers)} training questions: {cause}")
        return answers

    def curate(self, answers: Sequence[Answer]) -> None:
        """Keep the examples worth training on; put the others aside with their reasons."""
        calls = [call for answer in answers if answer.error is None for call in answer.calls]
        curation = curate(calls)
        write_rows(self.folder.file("dropped.jsonl"), dropped_rows(curation))
        write_examples(self.folder.file("examples.jsonl"), curation.kept)
        reasons = {name: count for name, count in curation.counts().items() if name not in ("kept", "dropped")}
        counts = {"recorded": len(calls), "kept": len(curation.kept), "dropped": reasons}
        self.folder.note("examples", counts)
        if len(curation.kept) < MINIMUM_EXAMPLES:
            failed = [answer.error for answer in answers if answer.error is not None]
            raise ExamplesError(_too_few(len(curation.kept), len(calls), reasons, failed))

    def train(self) -> LLM:
        """Fine-tune the student, or continue a job under way; return the tuned LLM."""
        plan = self.plan
        trainer = OpenAIFinetuneEngine(
            plan.student.model,
            str(self.folder.file("examples.jsonl")),
            client=plan.training_endpoint.client(),
            seed=plan.seed,
            hyperparameters=dict(plan.hyperparameters) or None,
            job_path=self.folder.file("job.json"),
            poll_interval=0.0 if plan.training_endpoint.is_offline else 20.0,
            sleep=self._pause,
            make_llm=plan.training_endpoint.llm,
        )
        # What an earlier job left is not this one's: a run killed from here on has no tuned model.
        examples = self.folder.file("examples.jsonl").read_text(encoding="utf-8")
        trained_for = [examples, plan.student.model, plan.student.endpoint, dict(plan.hyperparameters)]
        if self.folder.facts.get("trained_for") != fingerprint_of(trained_for):
            self.folder.forget("job", "tuned_model", "trained_for")
        with self._stage("training", total=1):
            trainer.finetune()
            job = trainer.wait()
            tuned = trainer.get_finetuned_model()
        self._begin_arm("answers", "base", {"model": plan.student.model})
        self._begin_arm("answers", "tuned", {"model": job.fine_tuned_model})
        self.folder.note("trained_for", fingerprint_of(trained_for))
        self.folder.note("tuned_model", job.fine_tuned_model)
        self.folder.note("job", job_facts(job, _events_of(trainer), examples=self.folder.file("examples.jsonl")))
        self.folder.note("training_endpoint", plan.training_endpoint.base_url)
        self.folder.note("training_key_variable", plan.training_endpoint.key_variable)
        self.folder.note("training_offline", plan.training_endpoint.is_offline)
        return tuned

    def build(self, tuned: LLM) -> BaseQueryEngine:
        """The caller's engine with the tuned LLM inside, free of the ledger, which closes with the run."""
        if self._index is None:
            return self._factory()(tuned)
        index = reopen_index(self._index, embed_model=self._embed_model)
        return index.as_query_engine(llm=tuned, similarity_top_k=self.plan.top_k)

    async def evaluate(self, questions: Sequence[Question], tuned: LLM) -> None:
        """Let all arms answer the evaluation questions, and score the answers."""
        student = self.plan.student
        tuned_name = str(self.folder.facts["tuned_model"])
        arms = {
            "base": student,
            "tuned": Role(model=tuned_name, endpoint=student.endpoint, make_llm=lambda: tuned),
            "teacher": self.plan.teacher,
        }
        asked = [question for question in questions if question.split == "eval"]
        answers: dict[str, list[Answer]] = {}
        for arm, role in arms.items():
            answers[arm] = await self._answer(arm, role, asked, stage=f"{arm} answers")
        answers[CONTROL] = refuse(answers["teacher"], arm=CONTROL)
        write_rows(
            self.folder.file(f"answers-{CONTROL}.jsonl"), (row.model_dump(mode="json") for row in answers[CONTROL])
        )
        for arm, given in answers.items():
            await self._score(arm, given)

    def _training_questions_so_far(self, path: Path, trained_on: str) -> tuple[Question, ...]:
        """The training questions already made, if the same are wanted: more to evaluate on is no new job."""
        if self.folder.facts.get("training_questions") != trained_on or not path.exists():
            return ()
        return tuple(question for question in read_questions(path) if question.split == "train")

    async def _make_questions(
        self, nodes: Sequence[BaseNode], kept: tuple[Question, ...], on_progress: OnProgress
    ) -> list[Question]:
        plan = self.plan
        train, evaluation = kept or plan.train_questions, plan.eval_questions
        given = [question for source in (train, evaluation) if not isinstance(source, int) for question in source]
        numbers = [source if isinstance(source, int) else 0 for source in (train, evaluation)]
        taught = {question.node_id for question in kept}
        nodes = [node for node in nodes if node.node_id not in taught]
        if not any(numbers):
            return given
        if not nodes:
            raise QuestionError(
                "there are no documents to make questions from: pass documents, or question files with "
                "--train-questions FILE and --eval-questions FILE"
            )
        teacher = plan.teacher
        llm = self.ledger.wrap(teacher.make_llm(), stage="questions", endpoint=teacher.endpoint)
        made = await generate_train_and_eval(
            nodes,
            llm,
            train=numbers[0],
            eval_=numbers[1],
            seed=plan.seed,
            concurrency=plan.concurrency,
            avoid=[question.text for question in given],
            on_progress=on_progress,
        )
        return given + made

    async def _answer(self, arm: str, role: Role, asked: Sequence[Question], *, stage: str) -> list[Answer]:
        llm = self.ledger.wrap(role.make_llm(), stage="answers", arm=arm, endpoint=role.endpoint)
        with self._stage(stage, total=len(asked)) as on_progress:
            return await answer_questions(
                asked,
                self._factory()(llm),
                arm=arm,
                journal=self.folder.file(f"answers-{arm}.jsonl"),
                concurrency=self.plan.concurrency,
                on_progress=on_progress,
            )

    async def _score(self, arm: str, answers: Sequence[Answer]) -> None:
        judge = self.plan.judge
        texts = [(answer.question_id, answer.text) for answer in answers]
        self._begin_arm("scores", arm, {"judge": [judge.model, judge.endpoint], "answers": texts})
        with self._stage(f"{arm} scores", total=len(answers) * len(METRICS)) as on_progress:
            await score_answers(
                answers,
                metrics=METRICS,
                llm=self.ledger.wrap(judge.make_llm(), stage="scores", arm=arm, endpoint=judge.endpoint),
                embed_model=self.ledger.wrap_embedding(
                    self._embed_model, stage="scores", arm=arm, endpoint=self.plan.embedding
                ),
                arm=arm,
                journal=self.folder.file(f"scores-{arm}.jsonl"),
                concurrency=self.plan.concurrency,
                on_progress=on_progress,
            )

    def _pause(self, seconds: float) -> None:
        """Sleep that ends when the run is interrupted; the job goes on at the service."""
        if self._closed.wait(seconds):
            raise JobNotReadyError("interrupted while waiting for the fine-tuning job; the same command continues")

    def _factory(self) -> EngineFactory:
        if self.plan.engine_factory is not None:
            return self.plan.engine_factory
        index = self._index
        assert index is not None, "index() comes first"
        return lambda llm: index.as_query_engine(llm=llm, similarity_top_k=self.plan.top_k)

    def _begin(self, stage: str, inputs: Any, outputs: Sequence[str]) -> None:
        """Begin a stage on the one road: what later stages read depends on it."""
        self._fingerprint = self.folder.begin(stage, inputs=[self._fingerprint, inputs], outputs=outputs)

    def _begin_arm(self, kind: str, arm: str, inputs: Any) -> None:
        """Begin one arm's answers or scores, on which no other arm depends."""
        self.folder.begin(f"{kind}-{arm}", inputs=[self._fingerprint, inputs], outputs=[f"{kind}-{arm}.jsonl"])

    @contextmanager
    def _stage(self, name: str, *, total: int) -> Iterator[OnProgress]:
        started = time.monotonic()
        self._on_stage(name, 0, total)
        last = [0, total]

        def on_progress(done: int, of: int) -> None:
            last[:] = done, of
            self._on_stage(name, done, of)

        yield on_progress
        spent = self.folder.facts.get("seconds", {})
        self.folder.note("seconds", {**spent, name: round(spent.get(name, 0.0) + time.monotonic() - started, 2)})
        if last[0] != last[1]:
            self._on_stage(name, last[1], last[1])


def _events_of(trainer: OpenAIFinetuneEngine) -> Sequence[FinetuneEvent]:
    try:
        return list(trainer.events())
    except openai.OpenAIError as exc:
        # They draw the loss curve, no more: a model that is trained and paid for is not lost with them.
        logger.warning("the job's events could not be fetched (%s); the report has no loss curve", type(exc).__name__)
        return []


def _too_few(kept: int, recorded: int, reasons: Mapping[str, int], failed: Sequence[str]) -> str:
    dropped = ", ".join(f"{name} {count}" for name, count in reasons.items()) or "none"
    advice = "ask for more with --train-questions"
    if failed:
        advice = (
            f"{len(failed)} questions failed, the first one: {failed[0]}; mend that, and the same command continues"
        )
    elif reasons.get("abstention", 0) > recorded / 2:
        advice = "the teacher found no answer in what was retrieved: look at the contexts in answers-teacher.jsonl"
    return (
        f"{kept} examples are left of {recorded} recorded (dropped: {dropped}) and a service takes no fewer than "
        f"{MINIMUM_EXAMPLES}; {advice}"
    )


def _wanted(source: int | tuple[Question, ...]) -> Any:
    return source if isinstance(source, int) else [question.text for question in source]
