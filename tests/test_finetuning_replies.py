"""What the trainer makes of every status, error code and error body that a service is known to send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from finetuning_service import (
    CREATE,
    FILE,
    FILES,
    JOBS,
    KEY,
    NO_API,
    NOT_YET,
    UPLOAD,
    FakeTime,
    Service,
    http,
    job_record,
    make_engine,
    refusal,
    started,
    write_examples,
)

from llama_index_ft_rag.errors import (
    FileNotAcceptedError,
    FinetuneError,
    TrainingNotAvailableError,
)


@pytest.fixture
def service() -> Service:
    """A service that accepts everything and trains at once."""
    return Service()


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """A training file that validation accepts."""
    return write_examples(tmp_path / "examples.jsonl")


@pytest.mark.parametrize("reply", ["<html>Please log in</html>", [], None, {}], ids=["html", "list", "null", "empty"])
@pytest.mark.parametrize(
    "call", [UPLOAD, CREATE, ("GET", "/v1/files"), ("GET", "/v1/fine_tuning/jobs"), ("GET", "/v1/files/file-1")]
)
def test_a_reply_of_something_else_is_one_sentence_and_nothing_is_sent_twice(
    service: Service, data_path: Path, call: tuple[str, str], reply: Any
) -> None:
    """A proxy answered in the service's place, after the request had arrived: the next call finds what is there."""
    answer = service.answer

    def disguise(asked: tuple[str, str], request: Any) -> Any:
        made = answer(asked, request)
        return reply if asked == call and service.count(call) == 1 else made

    service.answer = disguise  # type: ignore[method-assign]
    engine = make_engine(service, data_path)

    with pytest.raises(FinetuneError) as caught:
        engine.finetune()
    engine.finetune()

    assert str(caught.value) == NO_API
    assert (len(service.files), len(service.jobs)) == (1, 1)


@pytest.mark.parametrize("ask", ["wait", "get_current_job", "get_finetuned_model", "cancel", "events"])
def test_a_page_in_place_of_the_job_is_one_sentence(service: Service, data_path: Path, ask: str) -> None:
    """Whatever is asked about the job."""
    engine = started(service, data_path, {"status": "running"})
    calls = [("GET", ""), ("POST", "/cancel"), ("GET", "/events")]
    service.refusals = {(method, f"/v1/fine_tuning/jobs/job-1{end}"): [(200, "<html>")] for method, end in calls}

    with pytest.raises(FinetuneError) as caught:
        getattr(engine, ask)()

    assert str(caught.value) == NO_API


def test_a_reply_that_is_cut_off_is_one_sentence(service: Service, data_path: Path) -> None:
    """It says that it is JSON and is not."""
    client = openai.OpenAI(
        base_url="http://proxy.invalid/v1",
        api_key=KEY,
        http_client=openai.DefaultHttpxClient(
            transport=http.MockTransport(
                lambda _: http.Response(200, content=b'{"data": [', headers={"content-type": "application/json"})
            )
        ),
    )

    with pytest.raises(FinetuneError) as caught:
        make_engine(service, data_path, client=client).finetune()

    assert str(caught.value) == NO_API


def test_a_real_refusal_of_the_job_is_shown_at_once(service: Service, data_path: Path) -> None:
    """Any other 400 is raised after one try without a pause, and the uploaded file's id is kept."""
    service.refusals[CREATE] = [
        (400, refusal("Model gpt-9 is not available for fine-tuning", code="model_not_available"))
    ]
    time = FakeTime()
    engine = make_engine(service, data_path, time=time)

    with pytest.raises(openai.BadRequestError, match="gpt-9 is not available"):
        engine.finetune()

    assert (service.count(CREATE), time.naps) == (1, [])
    assert job_record(data_path)["file_id"] == "file-1"


def test_an_exhausted_quota_is_shown_at_once(service: Service, data_path: Path) -> None:
    """A 429 that waiting cannot cure is not tried again."""
    service.refusals[CREATE] = [(429, refusal("You exceeded your current quota", code="insufficient_quota"))]
    engine = make_engine(service, data_path, client=service.client(max_retries=2))

    with pytest.raises(openai.RateLimitError):
        engine.finetune()

    assert service.count(CREATE) == 1


def test_training_that_is_not_available_says_what_to_do(service: Service, data_path: Path) -> None:
    """The error says that nothing was charged, which file is there, and where it can be used instead."""
    service.refusals[CREATE] = [(403, refusal("OpenAI is winding down", code="training_not_available"))]
    engine = make_engine(service, data_path)

    with pytest.raises(TrainingNotAvailableError) as caught:
        engine.finetune()

    assert str(caught.value) == (
        "http://proxy.invalid/v1 no longer lets this organisation create fine-tuning jobs (403"
        " training_not_available); nothing was trained and nothing was charged, the training file stays uploaded"
        " as file-1. The same file can be trained on at Azure (AzureOpenAIFinetuneEngine), at a service with the same"
        " API (base_url=..., api_key=...), or elsewhere: `ft-rag export --to` writes it for together, fireworks,"
        " axolotl, llama-factory, trl or unsloth"
    )


def test_another_403_is_the_services_own(service: Service, data_path: Path) -> None:
    """Only the one known reason is translated."""
    service.refusals[CREATE] = [(403, refusal("wrong project", code="forbidden"))]
    engine = make_engine(service, data_path)

    with pytest.raises(openai.PermissionDeniedError, match="wrong project"):
        engine.finetune()


# --- refusals, where they can occur ---

WRONG_KEY = (401, refusal("Incorrect API key provided: sk-not****key.", code="invalid_api_key"))
NO_TRAINING = (403, refusal("OpenAI is winding down the fine-tuning platform", code="training_not_available"))
FORBIDDEN = (403, refusal("You have insufficient permissions for this operation."))
NO_MODEL = (404, refusal("The model 'abc' does not exist", code="model_not_found", param="model"))
NO_JOB = (404, refusal("Could not find fine tune: 123", code="fine_tune_not_found", param="fine_tune_id"))
NO_JSONL = (400, refusal("Expected file to have JSONL format, where every line is a JSON dictionary."))
BAD_MODEL = (400, refusal("Invalid base model: ada (we don't support fine-tuning from this model)."))
NO_FILE = (400, refusal("No file with ID: file-1", param="file"))
EXPLORE = (400, refusal("Fine-tuning jobs cannot be created on an Explore plan", code="explore_plan"))
TOO_EARLY = (400, refusal(NOT_YET + " Please try again later.", param="training_file"))
UNAVAILABLE = (422, refusal("Model not available"))
TOO_LARGE = (413, refusal("The file is too large"))
RATE = (429, refusal("Rate limit reached for gpt-4.1-mini", code="rate_limit_exceeded", kind="tokens"))
TOO_MANY_JOBS = (429, refusal("Your organization has reached the maximum of 3", code="rate_limit_exceeded"))
NO_QUOTA = (429, refusal("You exceeded your current quota", code="insufficient_quota", kind="insufficient_quota"))
QUOTA_OF_JOBS = (429, refusal("The quota of this organisation is exceeded", code="exceeded_quota"))
NO_MONEY = (429, refusal("Billing hard limit has been reached", code="billing_hard_limit_reached"))
FAILED_INSIDE = (500, refusal("The server had an error while processing your request", kind="server_error"))
GATEWAY = (502, "<html><title>502 Bad Gateway</title></html>")
OVERLOADED = (503, refusal("The server is currently overloaded", kind="server_error"))
NEVER = 99

REFUSALS: list[tuple[str, tuple[str, str], tuple[int, Any], type[Exception] | None, int]] = [
    ("upload, wrong key", UPLOAD, WRONG_KEY, openai.AuthenticationError, 1),
    ("upload, forbidden", UPLOAD, FORBIDDEN, openai.PermissionDeniedError, 1),
    ("upload, no JSONL", UPLOAD, NO_JSONL, openai.BadRequestError, 1),
    ("upload, too large", UPLOAD, TOO_LARGE, openai.APIStatusError, 1),
    ("upload, rate limit", UPLOAD, RATE, openai.RateLimitError, 3),
    ("upload, no quota", UPLOAD, NO_QUOTA, openai.RateLimitError, 1),
    ("upload, server error", UPLOAD, FAILED_INSIDE, openai.InternalServerError, 3),
    ("upload, bad gateway", UPLOAD, GATEWAY, openai.InternalServerError, 3),
    ("upload, overloaded", UPLOAD, OVERLOADED, openai.InternalServerError, 3),
    ("file, wrong key", FILE, WRONG_KEY, openai.AuthenticationError, 1),
    ("file, gone", FILE, (404, refusal("No such File object: file-1", param="id")), FileNotAcceptedError, 1),
    ("file, rate limit", FILE, RATE, openai.RateLimitError, 3),
    ("file, server error", FILE, FAILED_INSIDE, openai.InternalServerError, 3),
    ("job, wrong key", CREATE, WRONG_KEY, openai.AuthenticationError, 1),
    ("job, no training", CREATE, NO_TRAINING, TrainingNotAvailableError, 1),
    ("job, forbidden", CREATE, FORBIDDEN, openai.PermissionDeniedError, 1),
    ("job, no such model", CREATE, NO_MODEL, openai.NotFoundError, 1),
    ("job, bad base model", CREATE, BAD_MODEL, openai.BadRequestError, 1),
    ("job, no such file", CREATE, NO_FILE, openai.BadRequestError, 1),
    ("job, free plan", CREATE, EXPLORE, openai.BadRequestError, 1),
    ("job, file not ready", CREATE, TOO_EARLY, FileNotAcceptedError, 4),
    ("job, model not available", CREATE, UNAVAILABLE, openai.UnprocessableEntityError, 1),
    ("job, rate limit", CREATE, RATE, openai.RateLimitError, 3),
    ("job, three active jobs", CREATE, TOO_MANY_JOBS, openai.RateLimitError, 3),
    ("job, no quota", CREATE, NO_QUOTA, openai.RateLimitError, 1),
    ("job, quota of jobs", CREATE, QUOTA_OF_JOBS, openai.RateLimitError, 1),
    ("job, billing limit", CREATE, NO_MONEY, openai.RateLimitError, 1),
    ("job, server error", CREATE, FAILED_INSIDE, openai.InternalServerError, 3),
    ("job, bad gateway", CREATE, GATEWAY, openai.InternalServerError, 3),
    ("list of files, wrong key", FILES, WRONG_KEY, openai.AuthenticationError, 1),
    ("list of files, rate limit", FILES, RATE, openai.RateLimitError, 1),
    ("list of files, server error", FILES, FAILED_INSIDE, openai.InternalServerError, 1),
    ("list of jobs, wrong key", JOBS, WRONG_KEY, openai.AuthenticationError, 1),
    ("list of jobs, server error", JOBS, FAILED_INSIDE, openai.InternalServerError, 1),
]


@pytest.mark.parametrize(
    ("place", "refused", "error", "times"), [pytest.param(*row[1:], id=row[0]) for row in REFUSALS]
)
def test_a_refusal_is_asked_about_again_only_where_that_can_help(
    service: Service, data_path: Path, place: tuple[str, str], refused: tuple[int, Any], error: Any, times: int
) -> None:
    """The error comes through after so many requests; once it is over, the next call ends in one file and one job."""
    service.refusals[place] = [refused] * NEVER
    engine = make_engine(service, data_path, file_timeout=12.0)

    with pytest.raises(error) as caught:
        engine.finetune()
    asked = service.count(place)
    service.refusals.clear()
    engine.finetune()

    assert (asked, service.made) == (times, (1, 1))
    code = refused[1]["error"]["code"] if isinstance(refused[1], dict) else None
    assert isinstance(caught.value, FinetuneError) or getattr(caught.value, "code", None) == code


STRANGE_BODIES = {
    "no error key": {"message": "it failed"},
    "error is a text": {"error": "it failed"},
    "error is null": {"error": None},
    "error is empty": {"error": {}},
    "error is a list": {"error": ["it", "failed"]},
    "a list": ["it failed"],
    "null": b"null",
    "empty": b"",
    "not JSON": b"{",
    "a page": "<html>it failed</html>",
    "a number as code": {"error": {"message": "it failed", "code": 7, "type": None, "param": None}},
}


@pytest.mark.parametrize("place", [UPLOAD, FILE, CREATE, FILES, JOBS], ids=" ".join)
@pytest.mark.parametrize(("status", "error"), [(400, openai.BadRequestError), (500, openai.InternalServerError)])
@pytest.mark.parametrize("body", STRANGE_BODIES.values(), ids=STRANGE_BODIES)
def test_an_error_of_any_shape_is_the_services_own_error(
    service: Service, data_path: Path, place: tuple[str, str], status: int, error: type[Exception], body: Any
) -> None:
    """Whatever stands in its body, nothing breaks in here."""
    service.refusals[place] = [(status, body)] * NEVER

    with pytest.raises(error):
        make_engine(service, data_path).finetune()

    assert len(service.jobs) == 0


@pytest.mark.parametrize(
    "reply",
    [
        b"\xff\xfe{",
        b'{"data": {"id": "x"}, "has_more": true}',
        b'{"data": ["a", 1, null], "has_more": true}',
        b'{"data": 7}',
        b'{"data": null, "has_more": true}',
        b'"text"',
        b"7",
        b"[" * 100_000,
    ],
    ids=["no UTF-8", "a thing", "no things", "a number", "null", "a text", "only a number", "too deep"],
)
@pytest.mark.parametrize("place", [FILES, JOBS], ids=" ".join)
def test_a_list_that_is_none_is_one_sentence_or_empty(
    service: Service, data_path: Path, place: tuple[str, str], reply: bytes
) -> None:
    """Either it is called no OpenAI API, or there is nothing in it; the next call ends in one job."""
    service.refusals[place] = [(200, reply)]
    engine = make_engine(service, data_path)

    told = ""
    try:
        engine.finetune()
    except FinetuneError as exc:
        told = str(exc)
        engine.finetune()

    assert (told, service.made) in [(NO_API, (1, 1)), ("", (1, 1))]


@pytest.mark.parametrize("blank", ["", " ", "\t", None], ids=repr)
@pytest.mark.parametrize("place", [UPLOAD, CREATE], ids=" ".join)
def test_an_empty_id_is_no_id(service: Service, data_path: Path, place: tuple[str, str], blank: str | None) -> None:
    """A reply with one is no answer; nothing is asked by it later, and what was made is found."""
    answer = service.answer

    def blanked(asked: tuple[str, str], request: Any) -> Any:
        made = answer(asked, request)
        return {**made, "id": blank} if asked == place and service.count(place) == 1 else made

    service.answer = blanked  # type: ignore[method-assign]
    engine = make_engine(service, data_path)

    with pytest.raises(FinetuneError) as caught:
        engine.finetune()
    engine.finetune()

    assert (str(caught.value), service.made) == (NO_API, (1, 1))
    assert job_record(data_path)["job_id"] == "job-1"
