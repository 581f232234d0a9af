from __future__ import annotations

import importlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import openai
import pytest

from llama_index_ft_rag import OpenAIFinetuneEngine, distill
from llama_index_ft_rag.errors import ExamplesError, PreflightError
from llama_index_ft_rag.finetuning import Check, Preflight
from llama_index_ft_rag.offline import ServiceConditions
from llama_index_ft_rag.prices import PriceList
from llama_index_ft_rag.sample import sample_report
from llama_index_ft_rag.testing import RunningBackend, delay

# openai 2 speaks through httpx, openai 3 through httpx2; the fake service goes into whichever it is.
http = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.split(".")[0])

OPENAI = "https://api.openai.com/v1"
BASE = "gpt-4.1-mini"
LIST = ("GET", "/v1/fine_tuning/jobs")
MODEL = ("GET", f"/v1/models/{BASE}")
TODAY = date(2026, 11, 25)
WIND_DOWN = (
    "since 2026-05-07 not organisations that never fine-tuned a model;"
    " since 2026-07-02 not organisations that asked no tuned model in the 60 days before"
)


class Service:
    """Answers each route with what a test gave it, 404 for the others, and keeps what was asked."""

    def __init__(self, replies: dict[tuple[str, str], tuple[int, Any]]) -> None:
        self.replies = replies
        self.calls: list[tuple[str, str]] = []

    def client(self, base_url: str = OPENAI) -> openai.OpenAI:
        """A client whose requests end here."""
        transport = http.MockTransport(self._answer)
        http_client = openai.DefaultHttpxClient(transport=transport)
        return openai.OpenAI(base_url=base_url, api_key="sk-not-a-real-key", http_client=http_client, max_retries=0)

    def _answer(self, request: Any) -> Any:
        call = (request.method, request.url.path)
        self.calls.append(call)
        status, body = self.replies.get(call, (404, error("not found")))
        return http.Response(status, json=body)


def error(message: str, code: str | None = None) -> dict[str, Any]:
    """The body of an error answer."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def healthy(**replies: Any) -> Service:
    """A service that has the model and one job."""
    return Service({MODEL: (200, {"id": BASE, "object": "model"}), LIST: (200, page({"id": "ftjob-1"})), **replies})


def page(*items: dict[str, Any]) -> dict[str, Any]:
    """A list as the API shows it."""
    return {"object": "list", "data": list(items), "has_more": False}


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file of sixty short examples."""
    return write_examples(tmp_path / "examples.jsonl", 60)


def write_examples(path: Path, count: int) -> Path:
    """Write a training file."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"How did revenue change in year {number}?"},
                {"role": "assistant", "content": f"It grew by {number}."},
            ]
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def preflight(data_path: Path, service: Service, *, base_url: str = OPENAI, **settings: Any) -> Preflight:
    """The preflight of a training on that day."""
    asked = {name: settings.pop(name) for name in ("teacher", "max_cost") if name in settings}
    day = settings.pop("today", TODAY)
    engine = OpenAIFinetuneEngine(BASE, data_path, client=service.client(base_url), today=lambda: day, **settings)
    return engine.preflight(**asked)


def found(result: Preflight, name: str) -> list[tuple[str, str]]:
    """Level and message of the checks of a name."""
    return [(check.level, check.message) for check in result.checks if check.name == name]


def test_nothing_is_uploaded_or_started(data_path: Path) -> None:
    """A preflight reads: the model, and one job of the list."""
    service = healthy()

    result = preflight(data_path, service)

    assert service.calls == [MODEL, LIST]
    assert result.ok


@pytest.mark.parametrize(
    ("reply", "checks"),
    [
        ((401, error("Incorrect API key", "invalid_api_key")), [("error", f"{OPENAI} refuses it (401);")]),
        ((200, {"id": BASE}), [("ok", f"{OPENAI} takes it")]),
    ],
)
def test_a_key_that_is_refused_forbids_the_job(data_path: Path, reply: Any, checks: list[tuple[str, str]]) -> None:
    """The sentence says where the key comes from."""
    told = found(preflight(data_path, healthy() if reply[0] == 200 else Service({MODEL: reply})), "key")

    assert [(level, message[: len(start)]) for (level, message), (_, start) in zip(told, checks, strict=True)] == checks


def test_a_model_that_is_not_there_is_named_with_those_that_are(data_path: Path) -> None:
    """The service's own list says what else could be meant."""
    models = page({"id": "gpt-4.1-mini-2025-04-14"}, {"id": "whisper-1"})
    service = Service({("GET", "/v1/models"): (200, models), LIST: (200, page())})

    assert found(preflight(data_path, service), "model")[-1] == (
        "error",
        f"{OPENAI} has no model '{BASE}'; it has gpt-4.1-mini-2025-04-14: name one of them",
    )


def test_a_service_that_lists_no_models_is_a_warning(data_path: Path) -> None:
    """Not every service with this API has the route."""
    service = Service({LIST: (200, page())})

    assert found(preflight(data_path, service, base_url="http://other.invalid/v1"), "model") == [
        ("warning", f"http://other.invalid/v1 lists no models, so it is not known whether it has {BASE}")
    ]


@pytest.mark.parametrize(
    ("told", "level", "message"),
    [
        ("2026-11-25", "error", f"{BASE} was shut down on 2026-11-25, and what was tuned from it; name another base"),
        ("2027-02-23", "warning", f"{BASE} is shut down on 2027-02-23, in 90 days, and what is tuned from it with it"),
        ("2027-02-24", "ok", f"{OPENAI} has {BASE}"),
        ("soon", "ok", f"{OPENAI} has {BASE}"),
    ],
)
def test_the_shutdown_date_that_the_service_tells_counts(data_path: Path, told: str, level: str, message: str) -> None:
    """Past is an error, within 90 days a warning; it is later news than the catalog's date."""
    service = healthy()
    service.replies[MODEL] = (200, {"id": BASE, "shutdown_date": told})

    checks = found(preflight(data_path, service), "model")

    assert (checks[-1][0], checks[-1][1][: len(message)]) == (level, message)


def test_the_catalog_knows_the_shutdown_date_where_the_service_is_silent(data_path: Path) -> None:
    """Only of OpenAI itself: the same model lives on elsewhere."""
    here, elsewhere = healthy(), healthy()
    warning = ("warning", f"{BASE} is shut down on 2027-01-14, in 50 days, and what is tuned from it with it")

    assert found(preflight(data_path, here), "model") == [warning, ("ok", f"{OPENAI} has {BASE}")]
    other = "http://other.invalid/v1"
    assert found(preflight(data_path, elsewhere, base_url=other), "model") == [("ok", f"{other} has {BASE}")]


@pytest.mark.parametrize(
    ("reply", "level", "message"),
    [
        (
            (200, page({"id": "ftjob-1"})),
            "warning",
            "has trained before; OpenAI still takes jobs until 2027-01-06,",
        ),
        ((200, page()), "warning", f"has no fine-tuning job, and OpenAI takes new ones {WIND_DOWN}: expect 403"),
        (
            (403, error("winding down", "training_not_available")),
            "error",
            f"{OPENAI} lets this organisation create no jobs (403 training_not_available)",
        ),
        ((404, error("no route")), "warning", f"{OPENAI}: no fine-tuning jobs are known there (404);"),
        ((403, error("no scope")), "warning", f"{OPENAI}: this key may not see jobs (403);"),
        ((200, {"jobs": []}), "warning", f"{OPENAI}: jobs could not be listed ("),
    ],
)
def test_what_the_list_of_jobs_tells_of_the_organisation(data_path: Path, reply: Any, level: str, message: str) -> None:
    """Whether it may create jobs cannot be known for certain; the signs are read."""
    service = healthy()
    service.replies[LIST] = reply

    [(told_level, told)] = found(preflight(data_path, service), "organisation")

    assert (told_level, told[: len(message)]) == (level, message)


def test_after_the_last_day_no_job_is_started_at_openai(data_path: Path) -> None:
    """The error names the other roads, and finetune() refuses as well, with nothing sent."""
    service = healthy()
    engine = OpenAIFinetuneEngine(BASE, data_path, client=service.client(), today=lambda: date(2027, 1, 6))

    with pytest.raises(PreflightError, match="OpenAI takes no new fine-tuning job since 2027-01-06; use Azure"):
        engine.finetune()

    assert service.calls == []


@pytest.mark.parametrize(
    ("max_cost", "level", "message"),
    [
        (0.001, "error", "training costs about $0.023, more than max_cost=0.001; train on fewer examples or"),
        (5.0, "ok", "training costs about $0.023, of $5.00 allowed"),
        (None, "ok", "training costs about $0.023"),
    ],
)
def test_the_price_is_set_against_the_most_it_may_cost(
    data_path: Path, max_cost: float | None, level: str, message: str
) -> None:
    """The estimate is that of the built-in list: tokens times epochs times the price of training."""
    [(told_level, told)] = found(preflight(data_path, healthy(), max_cost=max_cost), "cost")

    assert (told_level, told[: len(message)]) == (level, message)


def test_a_limit_that_cannot_be_kept_is_an_error(data_path: Path, tmp_path: Path) -> None:
    """Where no price is known, nothing says that it is not passed."""
    nothing_known = PriceList(entries=())

    checks = found(preflight(data_path, healthy(), max_cost=1.0, prices=nothing_known), "cost")

    assert checks == [
        (
            "error",
            f"the price of training {BASE} is not known, so max_cost=1 cannot be kept; pass prices of your own, or"
            " leave max_cost out",
        )
    ]


def test_finetune_keeps_to_the_limit(data_path: Path) -> None:
    """A training that would cost more is refused before anything is sent, even without validation."""
    service = healthy()
    engine = OpenAIFinetuneEngine(
        BASE, data_path, validate_json=False, client=service.client(), max_cost=0.001, today=lambda: TODAY
    )

    with pytest.raises(PreflightError, match=r"nothing was sent: training costs about \$0.023, more than") as caught:
        engine.finetune()

    assert service.calls == []
    assert len(caught.value.reasons) == 1


def test_a_file_with_errors_is_one_line_here_and_raised_with_all_of_them(tmp_path: Path) -> None:
    """`raise_for_errors` says what validation says."""
    path = write_examples(tmp_path / "few.jsonl", 3)
    result = preflight(path, healthy())

    assert found(result, "training file") == [
        ("error", f"{path}: has 3 examples; at least 10 are needed; `ft-rag validate` shows all of it")
    ]
    with pytest.raises(ExamplesError, match="at least 10 are needed"):
        result.raise_for_errors()


@pytest.mark.parametrize(
    ("teacher", "level"), [("offline-teacher", "ok"), ("gpt-5.5", "warning"), ("a-model-nobody-knows", "warning")]
)
def test_the_teachers_terms_are_noted(data_path: Path, teacher: str, level: str) -> None:
    """A note with its source, never a reason to stop: what holds is between the user and the provider."""
    [(told, message)] = found(preflight(data_path, healthy(), teacher=teacher), "teacher")

    assert told == level
    assert message.startswith(f"Training on answers of {teacher}: ")
    assert message.endswith("A note, not legal advice.")


def test_a_service_that_is_down_is_one_check(data_path: Path) -> None:
    """Everything that needs no service is still told."""
    client = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0)

    result = OpenAIFinetuneEngine(BASE, data_path, client=client, today=lambda: TODAY).preflight()

    assert [check.name for check in result.checks] == ["training file", "cost", "service"]
    assert found(result, "service") == [
        (
            "error",
            "http://127.0.0.1:9/v1 cannot be reached; check the address and that the service is running"
            " (key, model and organisation were not checked)",
        )
    ]


def test_an_account_that_may_not_train_passes_until_the_job(ft_rag_backend: RunningBackend, data_path: Path) -> None:
    """The published behaviour: listing jobs works, creating one does not, and no request tells it beforehand."""
    ft_rag_backend.conditions = ServiceConditions(training="closed")
    engine = OpenAIFinetuneEngine("offline-student", data_path, client=ft_rag_backend.client)

    assert engine.preflight().ok


def test_it_reads_well_and_is_json_able(data_path: Path) -> None:
    """One line per check in 80 columns, the table of costs below, and the same as JSON."""
    result = preflight(data_path, healthy(), max_cost=5.0)

    lines = result.render().splitlines()
    assert lines[0] == f"{BASE} at {OPENAI}: ready to start"
    assert max(map(len, lines)) <= max(80, len(str(data_path)) + 40)
    assert "Costs before the job, in USD (estimates)" in lines
    told = json.loads(json.dumps(result.to_dict(), default=str))
    assert [row["name"] for row in told["checks"]] == [check.name for check in result.checks]


async def test_it_can_be_awaited(data_path: Path) -> None:
    """The same checks come out."""
    engine = OpenAIFinetuneEngine(BASE, data_path, client=healthy().client(), today=lambda: TODAY)

    assert (await engine.apreflight()).checks == engine.preflight().checks


def test_an_error_lists_every_reason() -> None:
    """What forbids the job is in one sentence, and as attributes."""
    checks = tuple(Check(name=name, level="error", message=f"{name} is bad") for name in ("model", "key"))
    result = Preflight(base_model=BASE, endpoint=OPENAI, checks=checks)

    with pytest.raises(PreflightError, match="model is bad; key is bad") as caught:
        result.raise_for_errors()

    assert caught.value.reasons == ("model is bad", "key is bad")


def test_a_run_asks_whether_the_student_can_be_trained_before_it_pays(
    ft_rag_backend: RunningBackend, tmp_path: Path
) -> None:
    """A base model that is gone ends it with one sentence, and no model was asked anything."""
    ft_rag_backend.conditions = ServiceConditions(shutdown_dates={"offline-student": "2026-10-23"})
    asked = ft_rag_backend.faults.add(delay(0), route="POST /v1/chat/completions", times=None)

    with pytest.raises(
        PreflightError, match=r"offline-student cannot be trained, so nothing was asked: .* has no model"
    ):
        distill(
            documents=sample_report(),
            endpoint=ft_rag_backend.endpoint,
            teacher="offline-teacher",
            student="offline-student",
            train_questions=12,
            eval_questions=0,
            out=tmp_path / "run",
        )

    assert asked.struck == 0


def test_a_run_whose_job_is_on_record_is_not_asked_again(ft_rag_backend: RunningBackend, tmp_path: Path) -> None:
    """Once trained, a run goes on when its base model is gone: only its own jobs need it."""
    settings = {"documents": sample_report(), "endpoint": ft_rag_backend.endpoint, "train_questions": 12}
    first = distill(**settings, eval_questions=0, out=tmp_path / "run")
    jobs = ft_rag_backend.faults.add(delay(0), route="GET /v1/models/*", times=None)

    again = distill(**settings, eval_questions=0, out=tmp_path / "run")

    assert again.llm.metadata.model_name == first.llm.metadata.model_name
    assert jobs.struck == 0


def test_a_preflight_has_one_price(data_path: Path, tmp_path: Path) -> None:
    """Prices of one's own count for the file and for the estimate alike."""
    result = preflight(data_path, healthy(), prices=PriceList.builtin().with_file(dear(tmp_path)))

    assert result.costs is not None
    assert result.reports[0].training_cost_usd == result.costs.training_usd > 1.0


def dear(folder: Path) -> Path:
    """A price file in which training costs 1,000 USD per million tokens."""
    path = folder / "prices.json"
    entry = {"family": BASE, "kind": "tuned", "training": 1000.0, "source": "my contract", "as_of": "2026-11"}
    path.write_text(json.dumps({"prices": [entry]}))
    return path


def test_after_the_last_day_the_organisation_is_spoken_of_once(data_path: Path) -> None:
    """That nobody can start a job any more needs no word on who could."""
    result = preflight(data_path, healthy(), today=date(2027, 1, 10))

    assert [level for level, _ in found(result, "organisation")] == ["error"]


def test_a_model_that_is_gone_stops_finetune_without_validation_too(data_path: Path) -> None:
    """`validate_json=False` is about the files alone."""
    service = healthy()
    engine = OpenAIFinetuneEngine(
        "gpt-4.1-nano", data_path, validate_json=False, client=service.client(), today=lambda: TODAY
    )

    with pytest.raises(PreflightError, match=r"gpt-4\.1-nano was shut down on 2026-10-23"):
        engine.finetune()

    assert service.calls == []


def test_a_small_price_is_not_rounded_to_nothing(data_path: Path) -> None:
    """The file's report shows two digits that say something."""
    [training] = [line for line in preflight(data_path, healthy()).reports[0].render().splitlines() if "cost" in line]

    assert training.split()[-4:] == ["$0.023", "for", "all", "epochs"]
