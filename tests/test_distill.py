"""The whole way in one run folder: it runs, it continues, and it says what is wrong in one sentence."""

import asyncio
import gc
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import write_report
from llama_index.core import VectorStoreIndex
from llama_index.core.query_engine import CustomQueryEngine

from llama_index_ft_rag import (
    Endpoint,
    Question,
    adistill,
    distill,
    load_documents,
    load_tuned_llm,
    split_documents,
)
from llama_index_ft_rag.errors import (
    ConfigurationError,
    EngineError,
    ExamplesError,
    JobNotReadyError,
    QuestionError,
    RunFolderError,
)
from llama_index_ft_rag.ledger import Ledger
from llama_index_ft_rag.offline import OfflineBackend, serve

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ragas")


class Canned(CustomQueryEngine):
    """An engine that asks no LLM and searches nothing."""

    def custom_query(self, query_str):
        return "canned"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run on a made-up report, which the tests only read."""
    folder = tmp_path_factory.mktemp("finished")
    document = write_report(folder / "report.md")
    result = distill(
        documents=document, backend="offline", out=folder / "run", train_questions=14, eval_questions=6, seed=1
    )
    return document, result


def rows(path: Path) -> list[dict]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_run_folder_holds_what_the_docs_say(finished):
    """Every stage leaves its file."""
    _, result = finished

    names = {path.name for path in result.folder.iterdir()}

    assert {
        "run.json",
        "questions.jsonl",
        "examples.jsonl",
        "examples.provenance.jsonl",
        "dropped.jsonl",
        "job.json",
        "ledger.db",
        "index",
        "offline",
        "report.html",
        "report.md",
        "report.json",
        *(
            f"{kind}-{arm}.jsonl"
            for kind in ("answers", "scores")
            for arm in ("base", "tuned", "teacher", "always-refuse")
        ),
    } <= names


def test_train_and_eval_questions_come_from_different_nodes(finished):
    """What was trained on is not what is tested on."""
    _, result = finished
    questions = rows(result.folder / "questions.jsonl")
    nodes = {split: {row["node_id"] for row in questions if row["split"] == split} for split in ("train", "eval")}

    assert all(nodes.values())
    assert not nodes["train"] & nodes["eval"]


def test_every_example_leads_back_to_its_question(finished):
    """Provenance names question, nodes and teacher of each training line."""
    _, result = finished
    provenance = rows(result.folder / "examples.provenance.jsonl")

    assert len(provenance) == len(rows(result.folder / "examples.jsonl"))
    assert all(row["question"] and row["node_ids"] and row["model"] == "offline-teacher" for row in provenance)


def test_the_comparison_has_all_arms_on_the_same_questions(finished):
    """Base, tuned, teacher and the arm that always refuses answer all six questions."""
    _, result = finished

    assert [(row.arm, row.planned) for row in result.comparison.arm_answers] == [
        ("base", 6),
        ("tuned", 6),
        ("teacher", 6),
        ("always-refuse", 6),
    ]
    assert "fewer than 20" in result.comparison.verdict


def test_the_engine_returned_answers_with_the_tuned_model(finished):
    """The caller goes on with its engine, and nothing of the run has to stay open for it."""
    _, result = finished

    response = result.engine.query("How many people did the Meadow 1 department employ?")

    assert result.llm.metadata.model_name.startswith("ft:offline-student")
    assert "department" in str(response)


def test_the_tuned_llm_loads_from_the_folder(finished):
    """Three lines of Python in another program."""
    _, result = finished

    llm = load_tuned_llm(result.folder, temperature=0.3)

    assert llm.metadata.model_name == result.llm.metadata.model_name
    assert llm.temperature == 0.3


def test_the_tuned_llm_is_asked_where_and_with_the_key_it_was_made_with(tmp_path, monkeypatch):
    """A student with a service and a key of its own never gets the main key, later either."""
    document = write_report(tmp_path / "report.md")
    monkeypatch.setenv("OPENAI_API_KEY", "main-key")
    monkeypatch.setenv("FT_RAG_STUDENT_API_KEY", "student-key")
    with OfflineBackend(tmp_path / "service") as backend, serve(backend) as server:
        distill(
            documents=document,
            endpoint=Endpoint.for_offline(tmp_path / "main"),
            student="offline-student",
            student_endpoint=Endpoint.from_environment(server.url, key_variable="FT_RAG_STUDENT_API_KEY"),
            train_questions=14,
            eval_questions=0,
            out=tmp_path / "run",
        )

    llm = load_tuned_llm(tmp_path / "run")

    assert (llm.api_base, llm.api_key) == (server.url, "student-key")


def test_everything_in_the_folder_is_private(finished):
    """Prompts and documents are readable by their owner only."""
    _, result = finished

    readable = [path.name for path in result.folder.iterdir() if path.stat().st_mode & 0o077]

    assert readable == []


def test_the_same_call_again_pays_nothing(finished):
    """Every call is found in the ledger or in a journal; nothing is sent."""
    document, result = finished
    before = sent_calls(result.folder)

    again = distill(
        documents=document, backend="offline", out=result.folder, train_questions=14, eval_questions=6, seed=1
    )

    assert sent_calls(result.folder) == before
    assert again.comparison.to_dict() == result.comparison.to_dict()


def sent_calls(folder: Path) -> int:
    """How many calls the ledger of a run has sent in all."""
    ledger = Ledger(folder / "ledger.db")
    try:
        return sum(total.calls for total in ledger.totals())
    finally:
        ledger.close()


def test_another_seed_in_the_same_folder_is_refused(finished):
    """A run is never mixed with another."""
    document, result = finished

    with pytest.raises(RunFolderError, match=r"was made with seed 1, now it is 2"):
        distill(documents=document, backend="offline", out=result.folder, seed=2)


def test_two_runs_with_one_seed_are_identical(finished, tmp_path):
    """Questions, examples and scores are the same, byte for byte where order does not matter."""
    document, result = finished

    again = distill(
        documents=document, backend="offline", out=tmp_path / "run", train_questions=14, eval_questions=6, seed=1
    )

    for name in ("questions.jsonl", "examples.jsonl"):
        assert (again.folder / name).read_bytes() == (result.folder / name).read_bytes()
    for name in ("scores-base.jsonl", "scores-tuned.jsonl"):
        assert sorted((again.folder / name).read_text().splitlines()) == sorted(
            (result.folder / name).read_text().splitlines()
        )


def test_the_callers_own_engine_is_taught_and_returned(tmp_path):
    """A factory with its own retriever settings, questions given, no documents."""
    document = write_report(tmp_path / "report.md")
    backend = Endpoint.for_offline(tmp_path / "backend")
    index = VectorStoreIndex(split_documents(load_documents([document])), embed_model=backend.embedding())
    asked = [f"How many people did the {name} 1 department employ?" for name in ("Harbour", "Orchard", "Foundry")]
    asked += [f"Who has led the {name} 2 department?" for name in ("Meadow", "Quarry", "Lantern", "Compass", "Saddle")]
    asked += [f"How large is the main site of the {name} 1 department?" for name in ("Compass", "Lantern", "Quarry")]
    asked += [f"When does the lease of the {name} 1 department end?" for name in ("Compass", "Lantern", "Quarry")]
    asked += [
        f"What was the revenue of the {name} 3 department?" for name in ("Harbour", "Orchard", "Meadow", "Saddle")
    ]

    result = distill(
        lambda llm: index.as_query_engine(llm=llm, similarity_top_k=3),
        endpoint=backend,
        train_questions=asked,
        eval_questions=0,
        out=tmp_path / "run",
    )

    assert result.comparison is None
    assert result.engine.retriever.similarity_top_k == 3
    assert len(rows(tmp_path / "run" / "examples.jsonl")) >= 10


def test_an_engine_that_ignores_the_llm_is_told(tmp_path):
    """A factory that uses another LLM would train on nothing; the error says so."""
    document = write_report(tmp_path / "report.md", departments=4)

    with pytest.raises(EngineError, match="no call came through the LLM it was given"):
        distill(
            lambda llm: Canned(),
            documents=document,
            backend="offline",
            train_questions=["What is it?"] * 2 + ["Who is it?"],
            eval_questions=0,
            out=tmp_path / "run",
        )


def test_too_few_examples_stop_before_anything_is_uploaded(tmp_path):
    """A job that a service would refuse is not begun, and what was recorded stays."""
    document = write_report(tmp_path / "report.md")

    with pytest.raises(
        ExamplesError, match=r"examples are left of \d+ recorded \(dropped: .*\) and a service takes no fewer than 10"
    ):
        distill(documents=document, backend="offline", out=tmp_path / "run", train_questions=3, eval_questions=0)

    assert (tmp_path / "run" / "answers-teacher.jsonl").exists()
    assert not (tmp_path / "run" / "job.json").exists()


def test_more_questions_in_the_same_folder_continue(tmp_path):
    """The cure that the error names works in the same folder."""
    document = write_report(tmp_path / "report.md")
    with pytest.raises(ExamplesError):
        distill(documents=document, backend="offline", out=tmp_path / "run", train_questions=3, eval_questions=0)

    result = distill(documents=document, backend="offline", out=tmp_path / "run", train_questions=14, eval_questions=0)

    assert result.llm.metadata.model_name.startswith("ft:")


def test_another_student_setting_is_another_job_and_the_old_model_is_not_shown(tmp_path):
    """A run stopped after its settings changed has no tuned model yet, rather than the one before."""
    document = write_report(tmp_path / "report.md")
    settings = {"documents": document, "backend": "offline", "out": tmp_path / "run", "train_questions": 14}
    before = distill(**settings, eval_questions=2)

    class StoppedError(Exception):
        pass

    def stop(stage, done, total):
        if stage == "training":
            raise StoppedError

    with pytest.raises(StoppedError):
        distill(**settings, eval_questions=2, hyperparameters={"n_epochs": 1}, on_stage=stop)
    with pytest.raises(JobNotReadyError):
        load_tuned_llm(tmp_path / "run")
    after = distill(**settings, eval_questions=2, hyperparameters={"n_epochs": 1})

    models = {row["model"] for row in rows(tmp_path / "run" / "answers-tuned.jsonl")}
    assert models == {after.llm.metadata.model_name}
    assert after.llm.metadata.model_name != before.llm.metadata.model_name


def test_more_evaluation_questions_keep_the_job(tmp_path):
    """Asking more to evaluate on, as the verdict advises, trains nothing anew and mixes no passages."""
    document = write_report(tmp_path / "report.md")
    settings = {"documents": document, "backend": "offline", "out": tmp_path / "run", "train_questions": 14}
    before = distill(**settings, eval_questions=2, chunk_size=128)
    jobs = json.loads((tmp_path / "run" / "job.json").read_text())["job_id"]

    after = distill(**settings, eval_questions=8, chunk_size=128)

    questions = rows(tmp_path / "run" / "questions.jsonl")
    nodes = {split: {row["node_id"] for row in questions if row["split"] == split} for split in ("train", "eval")}
    assert after.llm.metadata.model_name == before.llm.metadata.model_name
    assert json.loads((tmp_path / "run" / "job.json").read_text())["job_id"] == jobs
    assert (before.comparison.planned, after.comparison.planned) == (2, 8)
    assert not nodes["train"] & nodes["eval"]


def test_an_unfinished_run_has_no_tuned_model_to_load(tmp_path):
    """The error says how to go on."""
    document = write_report(tmp_path / "report.md")
    with pytest.raises(ExamplesError):
        distill(documents=document, backend="offline", out=tmp_path / "run", train_questions=3, eval_questions=0)

    with pytest.raises(JobNotReadyError, match="no tuned model yet; run the same `ft-rag run` command again"):
        load_tuned_llm(tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ConfigurationError, "neither an engine nor documents"),
        ({"backend": "azure"}, ConfigurationError, "backend 'azure': pass 'openai' or 'offline'"),
        ({"build_engine": lambda llm: None, "train_questions": -1}, ConfigurationError, "-1 is negative"),
        (
            {"documents": "x", "train_questions": ["Who leads?"], "eval_questions": ["who leads"]},
            QuestionError,
            "1 questions are both trained and evaluated on, such as 'who leads'",
        ),
        ({"build_engine": lambda llm: None, "train_questions": 0}, QuestionError, "no training questions"),
        ({"build_engine": lambda llm: None}, EngineError, "returned NoneType, not a query engine"),
        ({"build_engine": lambda llm: Canned()}, QuestionError, "there are no documents to make questions from"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_asked(tmp_path, arguments, error, message):
    """One sentence that names the thing and the next step."""
    with pytest.raises(error, match=message):
        distill(**{"backend": "offline", "eval_questions": 0, "out": tmp_path / "run", **arguments})


def test_questions_with_splits_are_used_as_they_are(tmp_path):
    """A caller's own question set, train and eval marked, is asked and nothing is generated."""
    document = write_report(tmp_path / "report.md")
    given = [
        Question.make(f"How many people did the {name} {number} department employ?", split="train")
        for name in ("Harbour", "Orchard", "Foundry", "Meadow", "Quarry", "Lantern")
        for number in (1, 2)
    ]

    result = distill(documents=document, backend="offline", questions=given, out=tmp_path / "run")

    assert [row["text"] for row in rows(result.folder / "questions.jsonl")] == [question.text for question in given]


# The openai client of a cancelled run is closed by the garbage collector, which asyncio remarks upon.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_an_interrupted_wait_for_the_job_ends_at_once(tmp_path):
    """Ctrl-C does not wait for the service; the job goes on there and the same call continues."""
    document = write_report(tmp_path / "report.md")
    waiting = asyncio.Event()

    def on_stage(stage, done, total):
        if stage == "training":
            loop.call_soon_threadsafe(waiting.set)

    loop = asyncio.get_running_loop()
    with OfflineBackend(tmp_path / "service") as backend, serve(backend) as server:
        endpoint = Endpoint(base_url=server.url, api_key="offline")
        run = asyncio.ensure_future(
            adistill(
                endpoint=endpoint,
                teacher="offline-teacher",
                student="offline-student",
                judge="offline-judge",
                embed_model="offline-embedding",
                documents=document,
                train_questions=14,
                eval_questions=0,
                out=tmp_path / "run",
                on_stage=on_stage,
            )
        )
        await waiting.wait()
        run.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(run, 60)
        del run
        gc.collect()

    assert (tmp_path / "run" / "examples.jsonl").exists()


KILLED_RUN = """
import os, signal, sys
from llama_index_ft_rag import Endpoint, distill
from llama_index_ft_rag.offline import OfflineBackend
from llama_index_ft_rag.offline.toys.readers import BuiltInResponder

document, out, where, when = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Mortal(BuiltInResponder):
    def train(self, request, inner):
        steps = []
        def on_step(step):
            steps.append(step)
            if where == "job" and len(steps) == when:
                die()
            inner(step)
        return super().train(request, on_step)

def on_stage(stage, done, total):
    if stage == where and done >= when:
        die()

os.makedirs(out, exist_ok=True)
backend = OfflineBackend(out + "-backend", responder=Mortal(seed=0))
distill(documents=document, endpoint=Endpoint.for_offline(backend), out=out, train_questions=14, eval_questions=4,
        seed=1, on_stage=on_stage)
"""

MOMENTS = [
    ("index", 0),
    ("questions", 1),
    ("teaching", 5),
    ("job", 3),
    ("base answers", 2),
    ("tuned answers", 0),
    ("teacher scores", 3),
]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this platform has no SIGKILL")
def test_a_run_killed_in_every_stage_ends_as_if_it_had_not_been(tmp_path):
    """Killed seven times, the training job included, and started again each time: the same result."""
    document = write_report(tmp_path / "report.md")
    script = tmp_path / "killed_run.py"
    script.write_text(KILLED_RUN)

    def run(out, where, when):
        command = [sys.executable, str(script), str(document), str(tmp_path / out), where, str(when)]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)

    for where, when in MOMENTS:
        killed = run("killed", where, when)
        assert killed.returncode == -signal.SIGKILL, (where, killed.stderr[-2000:])
    last = run("killed", "never", 0)
    assert last.returncode == 0, last.stderr[-2000:]
    assert run("whole", "never", 0).returncode == 0

    for name in ("questions.jsonl", "examples.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    reports = [json.loads((tmp_path / out / "report.json").read_text())["comparison"] for out in ("killed", "whole")]
    assert reports[0]["verdict"] == reports[1]["verdict"]
    assert reports[0]["arm_metrics"] == reports[1]["arm_metrics"]
    jobs = [rows(tmp_path / out / "answers-tuned.jsonl")[0]["model"] for out in ("killed", "whole")]
    assert jobs[0] == jobs[1]
