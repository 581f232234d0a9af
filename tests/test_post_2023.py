"""The 2023 post's loop in today's LlamaIndex, and the post's own inputs, run from beginning to end."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import write_report

from llama_index_ft_rag.offline import OfflineBackend, serve

SCRIPT = Path(__file__).parents[1] / "examples" / "post_2023.py"
DATA = os.environ.get("FT_RAG_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="FT_RAG_TEST_DATA names no folder with the post's own inputs")


def run_post(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the example in a folder, against the offline backend over a socket."""
    with OfflineBackend() as backend, serve(backend) as server:
        return subprocess.run(
            [sys.executable, str(SCRIPT), *arguments],
            cwd=folder,
            env={**os.environ, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "offline"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def lines(path: Path) -> list[str]:
    """The lines of a text file."""
    return path.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The example run once on a made-up report; the tests read what it left."""
    folder = tmp_path_factory.mktemp("post")
    write_report(folder / "report.md")
    return folder, run_post(folder, "report.md", "train.txt", "eval.txt")


def test_the_posts_loop_runs_and_says_nothing_but_the_scores(finished):
    """Two lines of scores, base and tuned, and no warning."""
    _, process = finished

    assert process.returncode == 0, process.stderr[-2000:]
    assert not {"Traceback", "Warning"} & set(process.stderr.replace(":", " ").split())
    assert [line.split()[0] for line in process.stdout.splitlines()] == ["base", "tuned"]


def test_small_windows_make_the_teacher_refine(finished):
    """More calls than questions were recorded: answers were refined, as in the post."""
    folder, _ = finished
    kinds = [json.loads(line)["kind"] for line in lines(folder / "finetuning_events.provenance.jsonl")]

    assert len(kinds) > len(lines(folder / "train.txt"))
    assert set(kinds) == {"answer", "refine"}


def test_scores_before_and_after_lie_in_the_posts_columns(finished):
    """`to_pandas()` gives one row per question with the columns of the post."""
    folder, _ = finished

    for name in ("base", "tuned"):
        with (folder / f"scores-{name}.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert list(rows[0]) == ["question", "answer", "contexts", "answer_relevancy", "faithfulness"]
        assert [row["question"] for row in rows] == lines(folder / "eval.txt")


def post_files(folder: Path) -> tuple[Path, Path, Path]:
    """The annual report of the post and copies of its two question files."""
    assert DATA is not None
    questions = []
    for name in ("train", "eval"):
        source = Path(DATA) / "post" / f"llm-finetuning_{name}_questions.txt"
        questions.append(Path(shutil.copy(source, folder / source.name)))
    return Path(DATA) / "tenk" / "nvidia-sec-10k-2022.pdf", *questions


@needs_data
def test_the_posts_loop_runs_on_the_posts_own_report_and_questions(tmp_path):
    """169 pages, 40 questions to train on and 40 to compare on."""
    report, train, evaluation = post_files(tmp_path)

    process = run_post(tmp_path, str(report), train.name, evaluation.name)

    assert process.returncode == 0, process.stderr[-2000:]
    assert len(lines(tmp_path / "finetuning_events.jsonl")) >= 40
    assert len(lines(tmp_path / "scores-tuned.csv")) > 40


@needs_data
def test_one_command_runs_the_posts_own_report_and_questions(tmp_path):
    """All four arms answer and are scored."""
    report, train, evaluation = post_files(tmp_path)
    command = [
        *(sys.executable, "-m", "llama_index_ft_rag.cli", "run", str(report)),
        *("--train-questions", train.name, "--eval-questions", evaluation.name),
        *("--out", "run", "--backend", "offline"),
    ]

    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    assert process.returncode == 0, process.stderr[-2000:]
    comparison = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["comparison"]
    assert comparison["arms"] == ["base", "tuned", "teacher", "always-refuse"]
