"""The report of a run comes from its folder alone, and says whose models it is about."""

import json
from datetime import date
from types import SimpleNamespace

import pytest

from llama_index_ft_rag.questions import Question, write_questions
from llama_index_ft_rag.report import JobFacts, Report, RunFacts
from llama_index_ft_rag.run_report import job_facts, report_of_run
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


def test_tokens_are_counted_before_the_upload_and_billed_after_it(tmp_path):
    """The report shows both: the file's tokens over all epochs, and what the service says it trained on."""
    line = {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}
    (tmp_path / "examples.jsonl").write_text(json.dumps(line) + "\n")
    job = SimpleNamespace(
        id="job-1",
        status="succeeded",
        model="gpt-4.1-mini",
        fine_tuned_model="ft:gpt-4.1-mini:x",
        trained_tokens=45,
        hyperparameters=SimpleNamespace(n_epochs=3),
    )

    facts = job_facts(job, [], examples=tmp_path / "examples.jsonl")
    shown = Report(None, RunFacts(job=JobFacts(**facts))).to_markdown()

    assert (facts["trained_tokens"], facts["estimated_tokens"]) == (45, 3 * (3 + 2 * 3 + 2 + 2 + 2))
    assert [line for line in shown.splitlines() if "tokens" in line or "estimated" in line] == [
        "- trained tokens: 45",
        "- estimated before upload: 45",
    ]


@pytest.mark.parametrize("examples", [None, "examples.jsonl"])
def test_without_epochs_or_file_nothing_is_estimated(tmp_path, examples):
    """A job of which little is known has no estimate, rather than one of 0."""
    (tmp_path / "examples.jsonl").write_text("{}\n")
    job = SimpleNamespace(id="job-1", status="succeeded", fine_tuned_model="ft:x")

    facts = job_facts(job, [], examples=examples and tmp_path / examples)

    assert (facts["estimated_tokens"], facts["trained_tokens"], facts["training_usd"]) == (None, None, None)


def test_old_prices_are_told_in_the_report(tmp_path):
    """Judged on the day the run began, or on the day that is passed; models nobody is charged for have no price."""
    write_run(tmp_path / "run", teacher=f"gpt-5.6-sol at {REAL}", student="gpt-4.1-mini")
    write_run(tmp_path / "toys", teacher=f"offline-teacher at {TOYS}", student="offline-student")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**run, "created": "2026-11-25T10:00:00+00:00"}))

    past = "was announced to hold through 2026-11-21, which is past (OpenAI pricing page)"
    old = "is as of 2026-06, more than 180 days ago (OpenAI pricing page"
    end = "look it up, and pass the present one in a price file."
    assert report_of_run(tmp_path / "run").run.money_notes == [f"The price of gpt-5.6-sol {past}: {end}"]
    assert report_of_run(tmp_path / "run", today=date(2027, 1, 1)).run.money_notes == [
        f"The price of gpt-4.1-mini {old}): {end}",
        f"The price of tuned gpt-4.1-mini {old}, fine-tuning table): {end}",
        f"The price of gpt-5.6-sol {past}: {end}",
    ]
    assert report_of_run(tmp_path / "toys", today=date(2030, 1, 1)).run.money_notes == []
