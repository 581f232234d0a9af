"""The `ft-rag` command: what it says, its exit codes, and one line for everything that goes wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import write_report

from llama_index_ft_rag import read_examples
from llama_index_ft_rag.cli import main
from llama_index_ft_rag.offline import ApiFailure, OfflineBackend, ScriptedResponder, serve
from llama_index_ft_rag.offline.protocol import Response, error_response

EXAMPLES = Path(__file__).parents[1] / "examples"
FEW = ("--train-questions", "12", "--eval-questions", "4")
TOYS = (
    *("--teacher", "offline-teacher", "--student", "offline-student", "--judge", "offline-judge"),
    *("--embed-model", "offline-embedding"),
)
KEY = "sk-secret-0123456789abcdef"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    """No service in the environment, and a folder of its own to be in."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "FT_RAG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ft_rag(capfd):
    """Run the command in this process; gives its exit code, output and errors."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return (int(ended.value.code), *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run, which the tests only read; its process as well."""
    folder = tmp_path_factory.mktemp("cli")
    write_report(folder / "report.md")
    process = in_a_process("run", "report.md", "--out", "run", *FEW, cwd=folder)
    return folder / "run", process


def in_a_process(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "FT_RAG_"))}
    return subprocess.run(
        [sys.executable, "-m", "llama_index_ft_rag.cli", *map(str, arguments)],
        cwd=cwd,
        env={**kept, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def rows(path: Path) -> list[dict]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# ---- a run that works


def test_a_run_ends_with_verdict_report_and_three_lines_of_python(finished):
    """Standard output holds the result, ready to be copied from."""
    _, process = finished

    assert process.returncode == 0, process.stderr
    assert process.stdout.endswith(
        "Report: run/report.html\n\n"
        "Use the tuned model:\n\n"
        "    from llama_index_ft_rag import load_tuned_llm\n"
        "    llm = load_tuned_llm('run')\n"
        "    query_engine = index.as_query_engine(llm=llm)\n"
    )
    assert "\nVerdict: Offline toy run: " in process.stdout
    assert "fewer than 20" in process.stdout


def test_without_a_key_the_run_says_that_its_models_are_toys(finished):
    """The first line says what answers; nothing but notes and progress follows, and no Python warning."""
    _, process = finished
    lines = process.stderr.splitlines()
    # A stage that takes long says so in between, with the time that is left.
    finished_stages = [line for line in lines[8:] if not line.startswith("note: ") and not line.endswith(" s left")]
    stages = [line.rsplit("  ", 1)[0] for line in finished_stages]

    assert lines[:8] == [
        "No OPENAI_API_KEY in the environment: running on the built-in offline models, which are toys. "
        "Nothing is sent or charged.",
        "",
        "documents   report.md",
        "questions   12 to train on, 4 to compare on",
        "teacher     offline-teacher (built in)",
        "student     offline-student (built in)",
        "judge       offline-judge (built in)",
        "run folder  run",
    ]
    assert stages == [
        "",
        "index                1/1",
        "questions            16/16",
        "teaching             12/12",
        "training             1/1",
        "base answers         4/4",
        "tuned answers        4/4",
        "teacher answers      4/4",
        "base scores          8/8",
        "tuned scores         8/8",
        "teacher scores       8/8",
        "always-refuse scores 8/8",
    ]


def test_the_report_keeps_the_command(finished):
    """Who finds the folder later knows how it was made."""
    folder, _ = finished

    command = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]["command"]

    assert command == "ft-rag run report.md --out run --train-questions 12 --eval-questions 4"


@pytest.mark.parametrize(("form", "start"), [("text", "Can "), ("markdown", "# Can "), ("json", "{"), ("html", "<!")])
def test_the_report_of_a_folder_prints_in_four_forms(ft_rag, finished, form, start):
    """The report is made again from the folder alone."""
    folder, _ = finished

    code, output, errors = ft_rag("report", folder, "--format", form)

    assert (code, errors) == (0, "")
    assert output.lower().startswith(start.lower())


def test_a_terminal_that_knows_ascii_only_gets_ascii(finished):
    """Lines become hyphens, and a minus stays a minus."""
    folder, _ = finished

    process = in_a_process("report", folder, cwd=folder, LC_ALL="C", PYTHONIOENCODING="ascii")

    assert process.returncode == 0, process.stderr
    assert process.stdout.isascii()
    assert "-" * 79 in process.stdout


def test_a_reader_that_goes_away_is_no_error(finished):
    """`ft-rag report DIR | head -1` leaves no traceback behind."""
    folder, _ = finished
    reading, writing = os.pipe()
    os.close(reading)

    process = subprocess.run(
        [sys.executable, "-m", "llama_index_ft_rag.cli", "report", str(folder)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    os.close(writing)

    assert (process.returncode, process.stderr) == (1, "")


def test_file_names_have_no_effect_on_the_terminal(ft_rag, tmp_path):
    """Brackets, line ends and escape characters of a name are shown as they are, or as a mark."""
    name = "[bold]\x1b[31mred\n:smile:.md"
    write_report(tmp_path / name)

    code, _, errors = ft_rag("run", name, "--out", "run", "--train-questions", "3", "--eval-questions", "0")

    assert code == 1  # three examples are too few, which is found at the end
    assert "documents   [bold]\ufffd[31mred :smile:.md\n" in errors
    assert "\x1b" not in errors


# ---- help


@pytest.mark.parametrize("arguments", [(), ("--help",), ("run", "--help"), ("demo", "-h"), ("validate", "--help")])
def test_help_fits_eighty_columns(ft_rag, arguments):
    """Asked for or by no arguments at all, help is readable."""
    code, output, errors = ft_rag(*arguments)

    assert code == (0 if arguments else 2)
    assert "Usage: ft-rag" in output + errors
    assert max(map(len, output.splitlines())) <= 80


def test_version_is_one_line(ft_rag):
    """For bug reports."""
    from llama_index_ft_rag import __version__

    assert ft_rag("--version") == (0, f"ft-rag {__version__}\n", "")


# ---- what goes wrong: one line that names the thing and the next step


@pytest.fixture
def inputs(tmp_path):
    """Good and bad inputs in the current folder."""
    write_report(tmp_path / "report.md")
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 and no more")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "few.txt").write_text("\nWho has led the Harbour 1 department?\n\n")
    (tmp_path / "app.py").write_text(
        "def nothing(llm): return None\ndef failing(llm): raise RuntimeError('the database is down')\nnumber = 3\n"
    )
    (tmp_path / "mistyped.py").write_text("def (:\n")
    (tmp_path / "unhappy.py").write_text("raise RuntimeError('no licence')\n")
    return tmp_path


OFFLINE = ("--out", "run", "--backend", "offline")
WRONG = [
    ("run missing.md", "missing.md: does not exist; check the path"),
    ("run empty.md", "empty.md: is empty or has no text; leave it out or choose another file"),
    ("run folder.md", "folder.md: holds no file that can be read; put "),
    ("run pictures", "pictures: holds no file that can be read; put "),
    ("run broken.pdf", "broken.pdf: is not a PDF that can be read"),
    ("run pictures/a.png", "pictures/a.png: cannot be read; name a folder or a file of these kinds: "),
    ("run", "nothing to run on: name documents, or your own engine with --engine module:factory"),
    ("run report.md --base-url http://127.0.0.1:9/v1", "--backend offline and a base URL exclude each other"),
    (
        "run report.md --student no-such",
        "has no student model 'no-such': set OPENAI_API_KEY or name a service that has it, or use offline-student",
    ),
    (
        "run report.md --teacher gpt-4o",
        "has no teacher model 'gpt-4o': set OPENAI_API_KEY or name a service that has it, or use offline-teacher",
    ),
    (
        "run report.md --judge gpt-4o",
        "has no judge model 'gpt-4o': set OPENAI_API_KEY or name a service that has it, or use offline-judge",
    ),
    (
        "run report.md --embed-model no-such",
        "has no embedding model 'no-such': set OPENAI_API_KEY or name a service that has it, or use offline-embedding",
    ),
    ("run report.md --train-questions abc", "--train-questions abc: neither a number nor a file that exists"),
    ("run report.md --train-questions \u00b2", "--train-questions \u00b2: neither a number nor a file that exists"),
    ("run report.md --train-questions=+-3", "--train-questions +-3: neither a number nor a file that exists"),
    ("run report.md --train-questions=-3", "train questions: -3 is negative; pass a number from 0, or a file"),
    ("run report.md --train-questions 0", "no training questions: pass some with --train-questions N|FILE"),
    ("run report.md --train-questions blank.txt", "blank.txt: holds no question; write one question per line"),
    ("run report.md --eval-questions pictures", "pictures: cannot be read (Is a directory); check the path"),
    (
        "run report.md --train-questions few.txt --eval-questions 0",
        "examples are left of 1 recorded (dropped: none) and a service takes",
    ),
    ("run --engine app", "engine 'app': not of the form package.module:factory"),
    ("run --engine .app:nothing", "engine '.app:nothing': not of the form package.module:factory"),
    ("run --engine no_such:build", "engine 'no_such:build': module 'no_such' cannot be imported"),
    ("run --engine mistyped:build", "engine 'mistyped:build': module 'mistyped' cannot be imported (SyntaxError"),
    (
        "run --engine unhappy:build",
        "engine 'unhappy:build': module 'unhappy' cannot be imported (RuntimeError: no licence",
    ),
    ("run --engine app:missing", "engine 'app:missing': module 'app' has no 'missing'; check the name after the colon"),
    ("run --engine app:number", "int is neither a factory nor a query engine; write a function such as"),
    ("run report.md --engine app:nothing", "engine factory 'nothing' returned NoneType, not a query engine"),
    (
        "run report.md --engine app:failing",
        "engine factory 'failing' failed when called with one LLM (RuntimeError: the da",
    ),
]


@pytest.mark.parametrize(("command", "message"), WRONG, ids=[command for command, _ in WRONG])
def test_what_is_wrong_is_said_in_one_line(ft_rag, inputs, command, message):
    """The last line names the thing and the next step; there is no traceback and no result."""
    code, output, errors = ft_rag(*command.split(), *OFFLINE)

    assert (code, output) == (1, "")
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("ft-rag: ")
    assert message in errors.splitlines()[-1]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("run report.md --out file --backend offline", "file: this folder cannot be written (File exists)"),
        ("run report.md --out pictures --backend offline", "pictures: not empty and not a run folder (holds 'a.png')"),
        ("run report.md --out run --backend openai", "OPENAI_API_KEY is not set: export your key, or use the offline"),
        ("run report.md --out run --base-url here", "base URL 'here': not an http(s) address; pass one like"),
        (
            "run report.md --out run --judge-base-url http://127.0.0.1:9/v1",
            "no service for the embeddings and the remaining roles: name it with --base-url, or set OPENAI_API_KEY",
        ),
        ("run report.md --out run --base-url http://127.0.0.1:9/v1", "no teacher model: name one with --teacher"),
        (
            "run report.md --out run --base-url http://127.0.0.1:9/v1 --teacher a --student b --yes",
            "the service at http://127.0.0.1:9 cannot be reached; check the address and that the service is running",
        ),
        ("report pictures", "pictures: no run.json here; pass the folder that `ft-rag run --out` wrote"),
        ("validate missing.jsonl", "missing.jsonl: cannot be read (No such file or directory); pass the path"),
        ("validate pictures", "pictures: cannot be read (Is a directory); pass the path of a JSONL file"),
        ("serve-offline --state file", "file: this state folder cannot be made (File exists); choose another one"),
    ],
)
def test_what_a_command_cannot_use_is_said_in_one_line(ft_rag, inputs, command, message):
    """Folders, keys and services too."""
    code, output, errors = ft_rag(*command.split())

    assert (code, output) == (1, "")
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("ft-rag: ")
    assert message in errors.splitlines()[-1]


@pytest.mark.parametrize(
    "command", ["run report.md", "run report.md --out run --top-k 0", "run --nonsense", "nonsense", "demo --seed x"]
)
def test_wrong_usage_ends_with_two(ft_rag, inputs, command):
    """And with the usage."""
    code, output, errors = ft_rag(*command.split())

    assert (code, output) == (2, "")
    assert errors.startswith("Usage: ft-rag")
    assert not (inputs / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--seed", "5"), "run: was made with seed 0, now it is 5; choose another folder with --out"),
        (("other.md",), "run: was made with documents "),
    ],
)
def test_a_folder_keeps_its_run(ft_rag, finished, monkeypatch, change, message):
    """Another seed or other documents need another folder, and what is there stays."""
    folder, _ = finished
    monkeypatch.chdir(folder.parent)
    write_report(folder.parent / "other.md", departments=3)
    before = (folder / "run.json").read_bytes()

    code, _, errors = ft_rag("run", "report.md", *change, "--out", "run", *FEW)

    assert code == 1
    assert message in errors.splitlines()[-1]
    assert (folder / "run.json").read_bytes() == before


# ---- services


def test_a_run_over_a_socket_is_still_labelled_offline(inputs):
    """The toy models behind a base URL are toys: nothing is asked, and the report says what they are."""
    with OfflineBackend() as backend, serve(backend) as server:
        process = in_a_process(
            *("run", "report.md", "--out", "run", *TOYS, *FEW), cwd=inputs, OPENAI_BASE_URL=server.url
        )

    assert process.returncode == 0, process.stderr
    assert f"teacher     offline-teacher at {server.url}" in process.stderr
    assert "! Offline backend: the readers are toys and the judge is rule-based." in process.stdout


class Listening(OfflineBackend):
    """A backend that remembers which key came with which kind of request."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: set[tuple[str, str]] = set()

    def handle(self, request):
        """Note path and key."""
        self.heard.add((request.path.split("/")[2], request.headers["authorization"].removeprefix("Bearer ")))
        return super().handle(request)


def test_every_role_has_its_own_service_and_key(inputs):
    """A key goes to its own service and nowhere else."""
    keys = {f"FT_RAG_{role}_API_KEY": f"{role}-key" for role in ("TEACHER", "STUDENT", "JUDGE")}
    places = {role: Listening() for role in ("main", "teacher", "student", "judge")}
    servers = {role: serve(backend) for role, backend in places.items()}
    urls = [f"--{role}-base-url={servers[role].url}" for role in ("teacher", "student", "judge")]

    process = in_a_process(
        *("run", "report.md", "--out=run", f"--base-url={servers['main'].url}", *urls, *TOYS, *FEW),
        cwd=inputs,
        OPENAI_API_KEY=KEY,
        **keys,
    )
    for role, server in servers.items():
        server.close()
        places[role].close()

    assert process.returncode == 0, process.stderr
    assert {role: place.heard for role, place in places.items()} == {
        "main": {("models", KEY), ("embeddings", KEY)},
        "teacher": {("models", "TEACHER-key"), ("chat", "TEACHER-key")},
        "student": {(kind, "STUDENT-key") for kind in ("models", "files", "fine_tuning", "chat")},
        "judge": {("models", "JUDGE-key"), ("chat", "JUDGE-key")},
    }
    assert KEY not in process.stderr + process.stdout


class Refusing(OfflineBackend):
    """A service that lists its models, refuses everything else and repeats the key."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    def handle(self, request):
        """Refuse."""
        if request.path.startswith("/v1/models"):
            return super().handle(request)
        return error_response(ApiFailure(status=self.status, message=f"no, {KEY}, not for you"))


@pytest.mark.parametrize(
    ("status", "step"),
    [(400, "change what it names"), (401, "check the key in OPENAI_API_KEY"), (403, "check what this key may do")],
)
def test_what_a_service_refuses_is_said_in_one_line(ft_rag, inputs, monkeypatch, status, step):
    """Status, what the service said and the next step; a key it repeats is left out."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Refusing(status) as backend, serve(backend) as server:
        code, output, errors = ft_rag("run", "report.md", "--out", "run", "--base-url", server.url, *TOYS)

    assert (code, output) == (1, "")
    last = errors.splitlines()[-1]
    assert f"answered {status}: no, [key], not for you; {step}" in last
    assert KEY not in errors


def test_a_model_that_the_service_does_not_have_stops_before_anything_is_paid(ft_rag, inputs):
    """The line names the service, the model and what there is."""
    with OfflineBackend() as backend, serve(backend) as server:
        code, output, errors = ft_rag(
            *("run", "report.md", "--out", "run", "--base-url", server.url, *TOYS, *FEW, "--student", "offline-studnt")
        )

    assert (code, output) == (1, "")
    assert errors.splitlines()[-1] == (
        f"ft-rag: {server.url} has no model 'offline-studnt': name another one "
        "(it has offline-student, offline-judge, offline-embedding)"
    )
    assert not (inputs / "run").exists()


class Website(OfflineBackend):
    """What a base URL without /v1 often leads to: a page, or JSON of another kind, with status 200."""

    def __init__(self, kind: str, body: bytes) -> None:
        super().__init__()
        self.answer = Response(status=200, headers={"content-type": kind}, body=[body])

    def handle(self, request):
        """Give the page."""
        return self.answer


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>Welcome</html>"),
        ("application/json", b"<html>Welcome</html>"),
        ("application/json", b"[1, 2]"),
        ("application/json", b'{"data": ["a model"]}'),
        ("application/json", b'{"data": 5}'),
    ],
)
def test_a_page_that_is_no_service_stops_before_anything_is_paid(ft_rag, inputs, kind, body):
    """The line says what is usually forgotten."""
    with Website(kind, body) as backend, serve(backend) as server:
        code, output, errors = ft_rag("run", "report.md", "--out", "run", "--base-url", server.url, *TOYS, *FEW)

    assert (code, output) == (1, "")
    assert errors.splitlines()[-1] == (
        f"ft-rag: {server.url}: did not answer like the OpenAI API; check the base URL (it usually ends in /v1)"
    )
    assert not (inputs / "run").exists()


def test_a_run_that_may_cost_money_says_what_it_does_and_needs_a_yes(inputs):
    """Without a terminal to ask on, nothing is sent before --yes is given."""
    with OfflineBackend(responder=ScriptedResponder(["yes"])) as backend, serve(backend) as server:
        process = in_a_process(
            *(
                "run",
                "report.md",
                "--out",
                "run",
                "--base-url",
                server.url,
                *FEW,
                "--teacher",
                "big",
                "--student",
                "small",
            ),
            cwd=inputs,
        )

    assert process.returncode == 1
    assert process.stderr.splitlines() == [
        "documents   report.md",
        "questions   12 to train on, 4 to compare on",
        f"teacher     big at {server.url}",
        f"student     small at {server.url}",
        f"judge       big at {server.url}",
        f"embeddings  text-embedding-3-small at {server.url}",
        "run folder  run",
        "",
        "Questions and passages of the documents are sent to these services. The teacher makes and answers questions."
        " Student, tuned model and teacher answer, the judge scores.",
        f"A fine-tuning job is started at {server.url}. Where these services charge, all of this costs money.",
        "ft-rag: there is no terminal to ask on whether to go ahead: add --yes",
    ]
    assert not (inputs / "run").exists()


# ---- interrupted


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_says_that_the_same_command_continues_and_it_does(inputs):
    """130, one sentence, and the second time the run ends."""
    command = [sys.executable, "-m", "llama_index_ft_rag.cli", "run", "report.md", *OFFLINE, *FEW]
    with subprocess.Popen(command, cwd=inputs, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(line.startswith("index") for line in process.stderr)  # reads on until there is one
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert errors.endswith("\nft-rag: stopped; what was computed is kept, and the same command continues\n")
    assert in_a_process("run", "report.md", *OFFLINE, *FEW, cwd=inputs).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_the_offline_server_says_how_to_use_it_and_stops_on_ctrl_c(inputs):
    """Address, variables and models; Ctrl-C is how it ends, so no error."""
    command = [sys.executable, "-m", "llama_index_ft_rag.cli", "serve-offline", "--port", "0"]
    with subprocess.Popen(command, cwd=inputs, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()  # where the tests run with interrupts switched off, this fails and does not hang

    url = lines[0].split()[-1]
    assert lines == [
        f"offline backend (toy models) at {url}\n",
        f"  export OPENAI_API_KEY=offline OPENAI_BASE_URL={url} OPENAI_API_BASE={url}\n",
        "  models: offline-teacher, offline-student, offline-judge, offline-embedding; stop with Ctrl-C\n",
    ]
    assert (process.returncode, errors) == (0, "stopped\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_the_offline_server_takes_its_temporary_folder_along(inputs, tmp_path):
    """A service manager's stop leaves as little behind as Ctrl-C."""
    command = [sys.executable, "-m", "llama_index_ft_rag.cli", "serve-offline", "--port", "0"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        command, cwd=inputs, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        before = len(list(temporary.iterdir()))
        process.terminate()
        process.communicate(timeout=60)

    assert (before, list(temporary.iterdir()), process.returncode) == (1, [], 0)


# ---- validate


def test_validate_passes_what_a_run_wrote(ft_rag, finished):
    """No model is named, so no price is known; the file is ready."""
    folder, _ = finished

    code, output, errors = ft_rag("validate", folder / "examples.jsonl")

    assert (code, errors) == (0, "")
    assert output.splitlines()[0].endswith("examples.jsonl: ready for training (0 errors, 0 warnings)")


def test_validate_speaks_json(ft_rag, finished):
    """For scripts: the exit code says whether it may be uploaded, the object why not."""
    folder, _ = finished
    file = folder / "examples.jsonl"
    short = folder.parent / "short.jsonl"
    short.write_text("".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:9]), encoding="utf-8")

    code, output, _ = ft_rag("validate", short, "--json", "--model", "gpt-4.1-mini", "--epochs", "2")

    assert code == 1
    assert {key: json.loads(output)[key] for key in ("ok", "examples", "epochs", "model")} == {
        "ok": False,
        "examples": 9,
        "epochs": 2,
        "model": "gpt-4.1-mini",
    }


# ---- an engine of one's own


def test_an_engine_of_ones_own_is_taught_with_documents_for_questions(ft_rag, monkeypatch, tmp_path):
    """The example's retriever finds the contexts of all arms."""
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setenv("REPORT", str(write_report(tmp_path / "report.md")))

    code, _, errors = ft_rag(
        *("run", tmp_path / "report.md", "--engine", "own_engine:build_engine", "--out", tmp_path / "run"),
        *("--backend", "offline", *FEW),
    )

    assert code == 0, errors
    assert "engine      own_engine:build_engine\n" in errors
    answers = rows(tmp_path / "run" / "answers-base.jsonl")
    assert [len(answer["contexts"]) for answer in answers] == [2, 2, 2, 2]
    assert not (tmp_path / "run" / "index").exists()


def test_an_engine_of_ones_own_needs_question_files_only(ft_rag, monkeypatch, tmp_path):
    """One file with a question per line, one with a JSON object per line; no documents are named."""
    names = [f"{name} {number}" for name in ("Harbour", "Orchard", "Foundry", "Meadow") for number in (1, 2, 3)]
    train = tmp_path / "train.txt"
    train.write_text("\n\n".join(f"Who has led the {name} department?" for name in names), encoding="utf-8")
    evaluation = tmp_path / "eval.jsonl"
    evaluation.write_text(json.dumps({"question": "What was the revenue of the Harbour 1 department?"}) + "\n")
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setenv("REPORT", str(write_report(tmp_path / "report.md")))

    code, output, errors = ft_rag(
        *("run", "--engine", "own_engine:build_engine", "--out", tmp_path / "run", "--backend", "offline"),
        *("--train-questions", train, "--eval-questions", evaluation),
    )

    assert code == 0, errors
    assert "documents   the engine's own\n" in errors
    assert len(read_examples(tmp_path / "run" / "examples.jsonl")) == 12
    assert "Offline toy run" in output
