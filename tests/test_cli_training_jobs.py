"""`ft-rag preflight`, `finetune` and `job`: what they say, send and leave behind, and their exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llama_index_ft_rag.cli import main
from llama_index_ft_rag.offline import ApiFailure, OfflineBackend, Request, Response, ScriptedResponder, serve
from llama_index_ft_rag.offline.protocol import error_response, json_response

MODEL = "gpt-4.1-mini"
KEY = "sk-secret-0123456789abcdef"
ID = "ftjob-1"
HOSTILE = "\x1b[2J\x9b1mdone\r\nft-rag: all is \u202ewell"
"""What a service could write into a job's log: it clears a screen and forges a line."""

FtRag = Callable[..., tuple[int, str, str]]


@dataclass
class OneJob:
    """A service that has one job, as it is told to be; whoever looks makes it go on."""

    looks: list[dict[str, Any]]
    events: Sequence[dict[str, Any]] = ()
    checkpoints: Sequence[dict[str, Any]] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        """Answer."""
        self.asked.append(f"{request.method} {request.path}")
        path = request.path.removeprefix(f"/v1/fine_tuning/jobs/{ID}")
        if path == "/events":
            return json_response(listed(list(self.events)[::-1]))
        if path == "/checkpoints":
            return json_response(listed(self.checkpoints))
        if path in ("", "/cancel", "/pause", "/resume"):
            look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
            return json_response({"id": ID, "object": "fine_tuning.job", "model": MODEL, **look})
        content = self.files.get(request.path.removeprefix("/v1/files/").removesuffix("/content"))
        if content is not None:
            return Response(status=200, headers={"content-type": "application/octet-stream"}, body=[content])
        return error_response(ApiFailure(status=404, message="Could not find fine tune", code="fine_tune_not_found"))


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No service in the environment, and a folder of its own to be in."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "FT_RAG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    write_examples(Path("examples.jsonl"), 12)


@pytest.fixture
def ft_rag(capfd: pytest.CaptureFixture[str]) -> FtRag:
    """Run the command in this process; gives its exit code, output and errors."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[OfflineBackend]:
    """A service with any model, named by the environment."""
    with OfflineBackend(responder=ScriptedResponder(["yes"])) as made, serve(made) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield made


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[OneJob]:
    """A service with one job, named by the environment."""
    made = OneJob(looks=[{"status": "running"}])
    with serve(made) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield made


def write_examples(path: Path, count: int) -> Path:
    """A training file."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Context: revenue of unit {n} was {n} million.\nWhat was it?"},
                {"role": "assistant", "content": f"It was {n} million."},
            ]
        }
        for n in range(count)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def listed(things: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A page with all there is."""
    return {"object": "list", "data": list(things), "has_more": False}


def sent(backend: OfflineBackend) -> list[str]:
    """What was written at a service: files and jobs."""
    return [exchange.path for exchange in backend.requests if exchange.method == "POST"]


def job_of(record: str = "examples.jsonl.job.json") -> str:
    """The job's id in a record."""
    return str(json.loads(Path(record).read_text(encoding="utf-8"))["job_id"])


# ---- before the job


def test_preflight_sends_nothing_and_its_exit_code_says_whether_the_job_may_start(
    ft_rag: FtRag, backend: OfflineBackend
) -> None:
    """0 with a good file, 1 with too few examples; the same text as `Preflight.render()`."""
    write_examples(Path("few.jsonl"), 4)

    good, bad = (
        ft_rag("preflight", "examples.jsonl", "--model", MODEL),
        ft_rag("preflight", "few.jsonl", "--model", MODEL),
    )

    assert [good[0], bad[0]] == [0, 1]
    assert good[1].splitlines()[0].endswith("/v1: ready to start")
    assert bad[1].splitlines()[0].endswith("/v1: NOT ready")
    assert sent(backend) == []


def test_preflight_prints_json(ft_rag: FtRag) -> None:
    """One object, with each check by its name."""
    code, output, _ = ft_rag("preflight", "examples.jsonl", "--model", "offline-student", "--json")

    told = json.loads(output)
    assert (code, told["ok"]) == (0, True)
    assert [check["name"] for check in told["checks"]] == [
        "training file", "cost", "key", "model", "organisation",
    ]  # fmt: skip


def test_a_job_that_preflight_forbids_is_not_sent(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """Too dear: one sentence, exit code 1, and with `--json` the reasons."""
    code, output, errors = ft_rag(
        "finetune", "examples.jsonl", "--model", MODEL, "--max-cost", "0.0001", "--yes", "--json"
    )

    assert code == 1
    assert [reason.partition(", more")[2] for reason in json.loads(output)["reasons"]] == [
        " than max_cost=0.0001; train on fewer examples or epochs, or allow more"
    ]
    assert errors.endswith(
        "ft-rag: nothing was sent: mend what is marked ERROR above, and run the same command again\n"
    )
    assert sent(backend) == []


def test_without_a_terminal_to_ask_on_spending_needs_yes(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """As `ft-rag run`."""
    code, _, errors = ft_rag("finetune", "examples.jsonl", "--model", MODEL)

    assert code == 1
    assert errors.endswith("ft-rag: there is no terminal to ask on whether to go ahead: add --yes\n")
    assert sent(backend) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metadata", "label", "--base-url", "http://a.invalid/v1"], "--metadata 'label': write it as KEY=VALUE"),
        (["--beta", "0.1"], "--beta 0.1: goes with --method dpo; drop it, or name that method"),
        (["--suffix", "", "--base-url", "http://a.invalid/v1"], "suffix '' has 0 characters; pass 1 to 64"),
        (["--backend", "offline", "--base-url", "http://a.invalid/v1"], "--backend offline and --base-url exclude each"
         " other: drop one of them"),
        (["--state", "x", "--base-url", "http://a.invalid/v1"], "--state x: is the offline backend's folder; drop it,"
         " or add --backend offline"),
        ([], "OPENAI_API_KEY is not set: export your key, or use the offline backend with --backend offline"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(ft_rag: FtRag, options: list[str], said: str) -> None:
    """Exit code 1, and no file of ours is written."""
    ended = ft_rag("finetune", "examples.jsonl", "--model", MODEL, "--yes", *options)

    assert ended == (1, "", f"ft-rag: {said}\n")
    assert [path.name for path in Path().iterdir()] == ["examples.jsonl"]


# ---- the job


def test_the_job_ends_with_the_tuned_model_tokens_and_three_lines_of_python(ft_rag: FtRag) -> None:
    """The trained tokens stand beside the estimate; nothing of the toys is asked for a key or a yes."""
    code, output, errors = ft_rag("finetune", "examples.jsonl", "--model", "offline-student", "--epochs", "2")

    lines = output.splitlines()
    tuned = lines[4].removeprefix("tuned model ")
    assert code == 0, errors
    assert [line.partition(" ")[0] for line in lines[:8]] == [
        "job", "status", "model", "method", "tuned", "trained", "price", "finished",
    ]  # fmt: skip
    assert lines[5].startswith("trained     ")
    assert lines[5].endswith(" estimated)")
    assert lines[8:] == [
        "",
        "Use the tuned model:",
        "",
        "    from llama_index_ft_rag import Endpoint",
        f"    llm = Endpoint.for_offline('offline').llm({tuned!r})",
        "    query_engine = index.as_query_engine(llm=llm)",
    ]


def test_the_three_lines_of_python_make_an_llm(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """What is printed can be copied: an LLM that asks where the model was trained."""
    output = ft_rag("finetune", "examples.jsonl", "--model", MODEL, "--yes")[1]
    code = "\n".join(line.strip() for line in output.splitlines() if line.startswith("    "))
    names: dict[str, Any] = {"index": type("Index", (), {"as_query_engine": staticmethod(lambda llm: llm)})}

    exec(code, names)

    assert str(names["query_engine"].complete("Hello?")) == "yes"


def test_the_same_command_again_sends_no_second_file_and_no_second_job(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """Nor does it ask again; what it tells at the end is the same."""
    command = ("finetune", "examples.jsonl", "--model", MODEL, "--json")

    first, second = ft_rag(*command, "--yes"), ft_rag(*command)

    assert (first[0], second[0]) == (0, 0), second[2]
    assert json.loads(first[1]) == json.loads(second[1])
    assert second[2] == f"continuing with job {job_of()}\nsucceeded\n"
    assert sent(backend).count("/v1/fine_tuning/jobs") == sent(backend).count("/v1/files") == 1


def test_force_starts_another_job(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """It costs again, so it needs a yes again; the earlier record stays beside the new one."""
    command = ("finetune", "examples.jsonl", "--model", MODEL, "--json")
    first = json.loads(ft_rag(*command, "--yes")[1])

    refused = ft_rag(*command, "--force")
    second = json.loads(ft_rag(*command, "--force", "--yes")[1])

    assert refused[0] == 1
    assert first["job_id"] != second["job_id"] == job_of()
    assert sent(backend).count("/v1/fine_tuning/jobs") == 2


def test_json_is_one_object_with_what_was_estimated(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """Standard output holds nothing else; metadata and hyperparameters reach the service."""
    code, output, _ = ft_rag(
        *("finetune", "examples.jsonl", "--model", MODEL, "--yes", "--json", "--job", "kept/job.json"),
        *("--epochs", "2", "--batch-size", "4", "--seed", "7", "--suffix", "mine", "--metadata", "team=search"),
    )

    told = json.loads(output)
    assert code == 0
    assert list(told) == [
        "job_id", "status", "base_model", "method", "tuned_model", "trained_tokens", "estimated_finish",
        "finished_at", "error", "error_code", "error_param", "endpoint", "estimated_tokens", "training_usd",
        "estimated_usd", "job_record",
    ]  # fmt: skip
    assert (told["job_id"], told["job_record"]) == (job_of("kept/job.json"), "kept/job.json")
    assert told["tuned_model"].startswith(f"ft:{MODEL}:ft-rag:mine:")
    assert told["training_usd"] == pytest.approx(told["trained_tokens"] * 5.0 / 1e6)
    record = json.loads(Path("kept/job.json").read_text(encoding="utf-8"))
    assert record["settings"] == {"hyperparameters": {"batch_size": 4, "n_epochs": 2}, "seed": 7, "suffix": "mine"}


def test_no_wait_starts_the_job_and_says_how_to_wait(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """The job's record serves in place of its id."""
    code, output, _ = ft_rag("finetune", "examples.jsonl", "--model", MODEL, "--yes", "--no-wait")
    waited = ft_rag("job", "wait", "examples.jsonl.job.json", "--json")

    assert code == 0
    assert output.splitlines()[-1] == f"next        `ft-rag job wait {job_of()}`"
    assert (waited[0], json.loads(waited[1])["status"]) == (0, "succeeded")


def test_a_job_that_the_service_forgot_is_not_started_again_unasked(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """The record names a job that was paid for: only `--force` starts another."""
    ft_rag("finetune", "examples.jsonl", "--model", MODEL, "--yes")
    record = Path("examples.jsonl.job.json")
    record.write_text(record.read_text(encoding="utf-8").replace(job_of(), "ftjob-gone"), encoding="utf-8")

    code, _, errors = ft_rag("finetune", "examples.jsonl", "--model", MODEL, "--yes")

    url = os.environ["OPENAI_BASE_URL"]
    assert (code, errors) == (1, f"ft-rag: {record}: {url} does not know its job any more; --force starts another\n")


# ---- ft-rag job


def test_show_prints_what_is_known_and_the_next_step(ft_rag: FtRag, desk: OneJob) -> None:
    """A running job is waited for, a paused one resumed."""
    desk.looks = [{"status": "running", "estimated_finish": 1_760_000_000}, {"status": "paused", "error": {}}]

    running, paused = ft_rag("job", "show", ID), ft_rag("job", "show", ID)

    assert running == (
        0,
        "job         ftjob-1\nstatus      running\nmodel       gpt-4.1-mini\n"
        "expected    2025-10-09 08:53 UTC, says the service\nnext        `ft-rag job wait ftjob-1`\n",
        "",
    )
    assert paused[1].splitlines()[-1] == "next        `ft-rag job resume ftjob-1`"


def test_a_failed_job_is_shown_with_exit_code_0_and_waited_for_with_1(ft_rag: FtRag, desk: OneJob) -> None:
    """Its error, code and parameter, and what to do."""
    error = {"code": "invalid_training_file", "message": "Line 7 is wrong.", "param": "training_file"}
    desk.looks = [{"status": "failed", "error": error}]

    shown, waited = ft_rag("job", "show", ID), ft_rag("job", "wait", ID)

    said = "Line 7 is wrong. (invalid_training_file) (training_file)"
    step = (
        "`ft-rag job events ftjob-1` shows its log; mend the training file and run `ft-rag finetune` again, or start"
        " another job of the same file with --force"
    )
    assert (shown[0], shown[1].splitlines()[3:]) == (0, [f"error       {said}", f"next        {step}"])
    assert (waited[0], waited[1]) == (1, shown[1])
    assert waited[2] == f"failed\nft-rag: job ftjob-1 failed: {said}; {step}\n"


def test_a_job_without_a_released_model_has_failed(ft_rag: FtRag, desk: OneJob) -> None:
    """The service calls it succeeded; there is nothing to use."""
    desk.looks = [{"status": "succeeded"}]

    code, output, errors = ft_rag("job", "wait", ID, "--json")

    assert (code, json.loads(output)["error"]) == (
        1,
        "no tuned model was released; the service's safety checks may have blocked it",
    )
    assert "job ftjob-1 has succeeded: no tuned model was released" in errors


def test_a_wait_that_is_over_says_that_the_job_goes_on(ft_rag: FtRag, desk: OneJob) -> None:
    """Exit code 1, and the command that waits again leads to the same service."""
    url = os.environ.pop("OPENAI_BASE_URL")

    code, _, errors = ft_rag("job", "wait", ID, "--timeout", "0", "--base-url", url)

    again = f"`ft-rag job wait ftjob-1 --base-url {url}` waits again"
    assert (code, errors) == (1, f"running\nft-rag: job ftjob-1 is running and was not waited for longer; {again}\n")


def test_progress_without_a_terminal_is_plain_lines(ft_rag: FtRag, desk: OneJob) -> None:
    """Status, the log's own lines, steps with their losses and the expected finish; no control characters."""
    desk.looks = [
        {"status": "running", "estimated_finish": 1_760_000_000},
        {"status": "running", "estimated_finish": 1_760_000_000},
        {"status": "succeeded", "fine_tuned_model": "ft:x"},
    ]
    desk.events = [
        {"id": "e1", "created_at": 1_759_999_000, "level": "info", "message": "Fine-tuning job started"},
        {
            "id": "e2",
            "level": "info",
            "message": "Step 3/90: training loss=0.50",
            "data": {"step": 3, "train_loss": 0.5},
        },
        {
            "id": "e3",
            "level": "info",
            "message": "Step 4/90: training loss=0.25",
            "data": {"step": 4, "train_loss": 0.25},
        },
    ]

    code, _, errors = ft_rag("job", "wait", ID)

    assert (code, errors.splitlines()) == (
        0,
        [
            "2025-10-09 08:36:40  Fine-tuning job started",
            "step 3 of 90, training loss 0.500",
            "running",
            "succeeded",
            "step 4 of 90, training loss 0.250",
        ],
    )


def test_hostile_text_of_a_service_moves_no_cursor(ft_rag: FtRag, desk: OneJob) -> None:
    """In events, errors and names: one line each, control characters and direction marks replaced."""
    desk.looks = [{"status": "failed", "model": HOSTILE, "error": {"code": HOSTILE, "message": HOSTILE}}]
    desk.events = [{"id": "e1", "created_at": 1_760_000_000, "level": HOSTILE, "message": HOSTILE}]
    commands = [["show"], ["show", "--json"], ["events"], ["events", "--json"], ["wait"]]

    told = [ft_rag("job", command[0], ID, *command[1:])[1:] for command in commands]

    texts = [text for pair in told for text in pair]
    assert [char for text in texts for char in text if char in "\x1b\x9b\r\u202e"] == []
    assert not any(line.startswith("ft-rag: all is") for text in texts for line in text.splitlines())
    assert json.loads(told[3][0])["message"] == HOSTILE


def test_events_are_followed_until_the_job_has_ended(ft_rag: FtRag, desk: OneJob) -> None:
    """The log was shown, so the exit code is 0, whatever became of the job."""
    desk.looks = [{"status": "running"}, {"status": "cancelled"}]
    desk.events = [{"id": "e1", "created_at": 1_760_000_000, "level": "warn", "message": "Slow"}]

    ended = ft_rag("job", "events", ID, "--follow")

    assert ended == (0, "2025-10-09 08:53:20  warn: Slow\n", "job ftjob-1 has ended as cancelled\n")


def test_metrics_are_a_table_csv_or_json(ft_rag: FtRag, desk: OneJob) -> None:
    """From the log and the result file, without pandas."""
    desk.looks = [{"status": "succeeded", "fine_tuned_model": "ft:x", "result_files": ["file-9"]}]
    desk.files = {"file-9": b"step,train_loss,valid_loss\n1,2.5,\n2,1.25,1.5\n"}

    table, as_csv, as_json = (ft_rag("job", "metrics", ID, *options) for options in ([], ["--csv"], ["--json"]))

    assert table == (0, "step  train_loss  valid_loss\n1         2.5000\n2         1.2500      1.5000\n", "")
    assert as_csv == (0, "step,train_loss,valid_loss\n1,2.5,\n2,1.25,1.5\n", "")
    steps = [{"step": 1, "train_loss": 2.5}, {"step": 2, "train_loss": 1.25, "valid_loss": 1.5}]
    assert json.loads(as_json[1]) == {"job_id": ID, "steps": steps}


def test_checkpoints_are_listed_with_their_figures(ft_rag: FtRag, desk: OneJob) -> None:
    """Each is a model's name; a job that has none yet says so."""
    none_yet = ft_rag("job", "checkpoints", ID)
    metrics = {"step": 60, "train_loss": 0.5}
    desk.checkpoints = [
        {"id": "ckpt-1", "fine_tuned_model_checkpoint": "ft:x:ckpt-step-60", "step_number": 60, "metrics": metrics}
    ]

    listed_now = ft_rag("job", "checkpoints", ID)

    assert none_yet == (0, "", "job ftjob-1: the service kept no checkpoints of it, or has none yet\n")
    assert listed_now == (
        0,
        "model                  id  step  train_loss\nft:x:ckpt-step-60  ckpt-1    60      0.5000\n",
        "",
    )


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_a_job_is_cancelled_paused_and_resumed(ft_rag: FtRag, desk: OneJob, verb: str) -> None:
    """One request, and the job as it is then."""
    desk.looks = [{"status": "cancelled"}]

    code, output, _ = ft_rag("job", verb, ID, "--json")

    assert (code, json.loads(output)["status"]) == (0, "cancelled")
    assert desk.asked == [f"POST /v1/fine_tuning/jobs/{ID}/{verb}"]


def test_what_a_service_refuses_is_one_sentence(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """An unknown id, and a job that has ended already."""
    ft_rag("finetune", "examples.jsonl", "--model", MODEL, "--yes")
    url = os.environ["OPENAI_BASE_URL"]

    unknown, ended = ft_rag("job", "show", "ftjob-none"), ft_rag("job", "cancel", "examples.jsonl")

    assert unknown[:2] == ended[:2] == (1, "")
    assert unknown[2].startswith(f"ft-rag: {url} knows no job 'ftjob-none', or cannot do this with one (")
    assert ended[2].startswith(f"ft-rag: job {job_of()} was not cancelled: ")


def test_no_key_goes_where_a_record_says(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """A record is a file, and may come from anybody: another address than the environment's has to be typed."""
    ft_rag("finetune", "examples.jsonl", "--model", MODEL, "--yes")
    record = Path("examples.jsonl.job.json")
    here = os.environ["OPENAI_BASE_URL"]
    record.write_text(record.read_text(encoding="utf-8").replace(here, "http://a.invalid/v1"), encoding="utf-8")
    asked_before = len(backend.requests)

    code, _, errors = ft_rag("job", "show", record)

    said = f"its job is at http://a.invalid/v1, and {here} would be asked; add --base-url http://a.invalid/v1"
    assert (code, errors) == (1, f"ft-rag: {record}: {said}\n")
    assert len(backend.requests) == asked_before


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("", "the job id is empty: pass one like ftjob-..., or the path of a job record"),
        ("gone.json", "gone.json: there is no job record; pass one (job.json, FILE.job.json) or a job's id"),
        ("examples.jsonl", "examples.jsonl: there is no job record; pass one (job.json, FILE.job.json) or a job's id"),
        ("notes.json", "notes.json: not a job record that this version can read; pass the job's id instead"),
    ],
)
def test_a_job_that_is_not_named_is_one_sentence(ft_rag: FtRag, named: str, said: str) -> None:
    """Before anybody is asked."""
    Path("notes.json").write_text("{}", encoding="utf-8")

    assert ft_rag("job", "show", named) == (1, "", f"ft-rag: {said}\n")


def test_a_job_of_the_offline_backend_is_found_by_its_record_or_its_folder(ft_rag: FtRag) -> None:
    """Its state lies beside the record; a folder that is not there is not made."""
    ft_rag("finetune", "examples.jsonl", "--model", "offline-student", "--json")

    by_record = ft_rag("job", "show", "examples.jsonl.job.json", "--json")
    by_folder = ft_rag("job", "show", job_of(), "--backend", "offline", "--state", "offline", "--json")
    elsewhere = ft_rag("job", "show", job_of(), "--state", "nowhere")

    assert by_record == by_folder
    assert json.loads(by_record[1])["status"] == "succeeded"
    assert elsewhere[2] == "ft-rag: nowhere: no folder of an offline backend is there; name it with --state\n"
    assert not Path("nowhere").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C there")
def test_ctrl_c_while_waiting_leaves_the_job_alone_and_says_how_to_wait(desk: OneJob, tmp_path: Path) -> None:
    """Exit code 130, no traceback, and nothing was sent that stops the job."""
    command = [sys.executable, "-m", "llama_index_ft_rag.cli", "job", "wait", ID]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while f"GET /v1/fine_tuning/jobs/{ID}/events" not in desk.asked:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]

    url = os.environ["OPENAI_BASE_URL"]
    assert process.returncode == 130
    assert errors.endswith(
        f"\nft-rag: stopped waiting; job ftjob-1 goes on at {url}, and `ft-rag job wait ftjob-1` waits for it again\n"
    )
    assert {line.split()[0] for line in desk.asked} == {"GET"}


def test_no_key_is_shown_or_written(ft_rag: FtRag, backend: OfflineBackend) -> None:
    """It comes from the environment, and stays there."""
    shown = [
        *ft_rag("preflight", "examples.jsonl", "--model", MODEL)[1:],
        *ft_rag("finetune", "examples.jsonl", "--model", MODEL, "--yes")[1:],
        *ft_rag("job", "show", "examples.jsonl")[1:],
    ]

    written = [path.read_text(encoding="utf-8", errors="replace") for path in Path().iterdir() if path.is_file()]
    assert [text for text in shown + written if KEY in text] == []
