"""The report of a run comes from its folder alone, and says whose models it is about."""

import json

import pytest

from llama_index_ft_rag.questions import Question, write_questions
from llama_index_ft_rag.run_report import report_of_run
from llama_index_ft_rag.storage import append_row

REAL = "https://api.example.com/v1"
TOYS = "http://offline.invalid/v1"


def write_run(folder, *, teacher=f"big at {REAL}", facts=None, **settings):
    """A run that trained a model and asked nobody anything."""
    folder.mkdir()
    chosen = {
        "student": "small",
        "student_endpoint": REAL,
        "judge": "big",
        "judge_endpoint": REAL,
        "embedding": "vectors",
        **settings,
    }
    run = {
        "schema_version": 1,
        "identity": {"documents": {}, "engine": None, "teacher": teacher, "seed": 0},
        "settings": chosen,
        "stages": {},
        "facts": {"job": {"id": "job-1", "tuned_model": "ft:small:1"}, **(facts or {})},
    }
    (folder / "run.json").write_text(json.dumps(run))
    questions = [Question.make("Why?", split="eval"), Question.make("When?", split="eval")]
    write_questions(folder / "questions.jsonl", questions)
    return questions


@pytest.mark.parametrize(
    "toy",
    [
        {"teacher": "offline-teacher at http://127.0.0.1:9/v1"},
        {"student": "offline-student"},
        {"student": "ft:offline-student:ft-rag::1234"},
        {"judge": "offline-judge"},
        {"embedding": "offline-embedding"},
        {"teacher": f"gpt-4.1 at {TOYS}"},
        {"student_endpoint": TOYS},
        {"judge_endpoint": TOYS},
        {"facts": {"tuned_model": "ft:offline-student:ft-rag::1234"}},
        {"facts": {"training_offline": True}},
    ],
)
def test_toy_models_are_told_however_they_were_reached(tmp_path, toy):
    """In process or through a server on this machine, as themselves, tuned, or under a real model's name."""
    write_run(tmp_path / "run", **toy)

    report = report_of_run(tmp_path / "run")

    assert report.run.backend == "offline"
    assert report.to_dict()["notices"][0].startswith("Offline backend: the readers are toys")


def test_real_models_are_not_called_toys(tmp_path):
    """The label means something."""
    write_run(tmp_path / "run")

    assert (report_of_run(tmp_path / "run").run.backend, report_of_run(tmp_path / "run").comparison) == ("openai", None)


def test_an_unfinished_evaluation_says_how_many_questions_were_planned(tmp_path):
    """Half the answers are not a small evaluation, and scores of answers since replaced are not used."""
    folder = tmp_path / "run"
    questions = write_run(folder)
    for arm in ("base", "tuned"):
        row = {"question_id": questions[0].id, "question": "Why?", "arm": arm, "text": "So.", "model": "m"}
        append_row(folder / f"answers-{arm}.jsonl", row)
        score = {"question_id": questions[0].id, "arm": arm, "metric": "faithfulness", "value": 1.0, "judge": "j"}
        append_row(folder / f"scores-{arm}.jsonl", {**score, "answer_hash": "of another one"})

    comparison = report_of_run(folder).comparison

    assert (comparison.planned, comparison.metrics) == (2, [])
