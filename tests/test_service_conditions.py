"""What an account may do at the offline backend, and how much of it, as the openai client meets it."""

from __future__ import annotations

import doctest

import openai
import pytest

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder, ServiceConditions, conditions, open_clients

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
NOON_OF_NOVEMBER_24 = 1_795_521_600.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float = NOON_OF_NOVEMBER_24) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def make_backend(clock: Clock | None = None, **settings: object) -> OfflineBackend:
    """A backend that says `It is Paris.`: 18 tokens a question."""
    return OfflineBackend(
        responder=ScriptedResponder(["It is Paris."], models=["gpt-4", "gpt-4.1", "e"]),
        clock=clock or Clock(),
        conditions=ServiceConditions(**settings),
    )


def rate_limits(headers: object) -> dict[str, str]:
    """The headers of a reply that tell what is left."""
    return {name: value for name, value in headers.items() if name.startswith("x-ratelimit")}


def test_requests_per_minute() -> None:
    """The reply tells what is left; one more is 429 with the wait, and after the minute it works again."""
    clock = Clock()
    with make_backend(clock, requests_per_minute=2) as backend:
        create = open_clients(backend).sync.chat.completions.with_raw_response.create
        first = create(model="gpt-4", messages=QUESTION)
        clock.now += 20.5
        create(model="gpt-4", messages=QUESTION)
        with pytest.raises(openai.RateLimitError) as caught:
            create(model="gpt-4", messages=QUESTION)
        clock.now += 39.5
        create(model="gpt-4", messages=QUESTION)

    assert rate_limits(first.headers) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "60s",
    }
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert caught.value.body["message"] == (
        "Rate limit reached for gpt-4 in organization org-offline on requests per min (RPM): Limit 2, Used 2. "
        "Please try again in 39.5s."
    )
    waits = caught.value.response.headers
    assert (waits["retry-after"], waits["retry-after-ms"]) == ("40", "39500")


def test_a_clock_that_is_set_back() -> None:
    """A minute begins anew; nobody is told to wait for an hour."""
    clock = Clock()
    with make_backend(clock, requests_per_minute=1) as backend:
        create = open_clients(backend).sync.chat.completions.create
        create(model="gpt-4", messages=QUESTION)
        clock.now -= 3600
        create(model="gpt-4", messages=QUESTION)
        with pytest.raises(openai.RateLimitError) as caught:
            create(model="gpt-4", messages=QUESTION)

    assert caught.value.response.headers["retry-after"] == "60"


def test_limits_count_per_model() -> None:
    """A model that is used up does not stop another one, nor what is no call of a model."""
    with make_backend(requests_per_minute=1) as backend:
        client = open_clients(backend).sync
        client.chat.completions.create(model="gpt-4", messages=QUESTION)
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
        client.embeddings.create(model="e", input="x")
        client.models.list()
        client.models.list()
        with pytest.raises(openai.RateLimitError):
            client.embeddings.create(model="e", input="x")


def test_tokens_per_minute() -> None:
    """The request that passes the limit is answered, the next one is not."""
    with make_backend(tokens_per_minute=30) as backend:
        create = open_clients(backend).sync.chat.completions.with_raw_response.create
        left = [
            create(model="gpt-4", messages=QUESTION).headers["x-ratelimit-remaining-tokens"],
            create(model="gpt-4", messages=QUESTION).headers["x-ratelimit-remaining-tokens"],
        ]
        with pytest.raises(openai.RateLimitError, match=r"tokens per min \(TPM\): Limit 30, Used 36") as caught:
            create(model="gpt-4", messages=QUESTION)

    assert left == ["12", "0"]
    assert caught.value.type == "tokens"


def test_a_stream_counts_too() -> None:
    """Tokens of a streamed answer count against the limit, and its headers tell."""
    with make_backend(tokens_per_minute=30) as backend:
        create = open_clients(backend).sync.chat.completions.with_raw_response.create
        reply = create(model="gpt-4", messages=QUESTION, stream=True)

    assert reply.headers["x-ratelimit-remaining-tokens"] == "12"


def test_a_quota_that_is_used_up() -> None:
    """Waiting does not help: 429 `insufficient_quota` without `Retry-After`, for every model, until more is given."""
    clock = Clock()
    with make_backend(clock, quota_tokens=20) as backend:
        create = open_clients(backend).sync.chat.completions.create
        create(model="gpt-4", messages=QUESTION)
        create(model="gpt-4", messages=QUESTION)
        clock.now += 3600
        with pytest.raises(openai.RateLimitError) as caught:
            create(model="gpt-4.1", messages=QUESTION)
        backend.conditions = ServiceConditions(quota_tokens=1000)
        create(model="gpt-4.1", messages=QUESTION)

    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
    assert "retry-after" not in caught.value.response.headers


def test_no_limits_no_headers() -> None:
    """An account without limits tells of none, and a body that names no model is still a clean 400."""
    with make_backend() as backend:
        reply = open_clients(backend).sync.chat.completions.with_raw_response.create(model="gpt-4", messages=QUESTION)
    with make_backend(requests_per_minute=5) as backend:
        client = open_clients(backend).sync
        with pytest.raises(openai.BadRequestError, match="Missing required parameter"):
            client.post("/chat/completions", body={"messages": QUESTION}, cast_to=object)

    assert rate_limits(reply.headers) == {}


def test_a_model_before_and_after_its_end() -> None:
    """Until its day a model answers and its end can be read; from then on it is 404 and no longer listed."""
    clock = Clock(NOON_OF_NOVEMBER_24 - 86_400)
    with make_backend(clock, shutdown_dates={"gpt-4": "2026-11-24"}) as backend:
        client = open_clients(backend).sync
        before = {model.id: model.shutdown_date for model in client.models.list()}
        client.chat.completions.create(model="gpt-4", messages=QUESTION)
        clock.now += 86_400
        after = [model.id for model in client.models.list()]
        with pytest.raises(openai.NotFoundError, match="has been deprecated") as caught:
            client.chat.completions.create(model="gpt-4", messages=QUESTION)
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gpt-4")

    assert before == {"gpt-4": "2026-11-24", "gpt-4.1": None, "e": None}
    assert after == ["gpt-4.1", "e"]
    assert caught.value.code == "model_not_found"


def test_a_tuned_model_ends_with_its_base() -> None:
    """What was tuned from a model stops to answer on the same day, and can no longer be trained."""
    line = b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
    with make_backend() as backend:
        client = open_clients(backend).sync
        uploaded = client.files.create(file=line * 10, purpose="fine-tune").id
        job = client.fine_tuning.jobs.create(model="gpt-4", training_file=uploaded)
        for _ in range(4):
            job = client.fine_tuning.jobs.retrieve(job.id)
        client.chat.completions.create(model=job.fine_tuned_model, messages=QUESTION)
        backend.conditions = ServiceConditions(shutdown_dates={"gpt-4": "2026-11-24"})
        with pytest.raises(openai.NotFoundError, match="has been deprecated"):
            client.chat.completions.create(model=job.fine_tuned_model, messages=QUESTION)
        with pytest.raises(openai.BadRequestError, match="not available for fine-tuning"):
            client.fine_tuning.jobs.create(model=job.fine_tuned_model, training_file=uploaded)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"requests_per_minute": -1}, "requests_per_minute=-1): pass a whole number from 0, or None for no limit"),
        ({"quota_tokens": 1.5}, "quota_tokens=1.5): pass a whole number from 0, or None for no limit"),
        ({"max_file_bytes": None}, "max_file_bytes=None): pass a whole number of bytes"),
        ({"shutdown_dates": {"m": "20261023"}}, "shutdown_dates={'m': '20261023'}): write a date as '2026-10-23'"),
        ({"shutdown_dates": {"m": "2026-13-01"}}, "shutdown_dates={'m': '2026-13-01'}): write a date as '2026-10-23'"),
        ({"shutdown_dates": {"m": 5}}, "shutdown_dates={'m': 5}): write a date as '2026-10-23'"),
        ({"flagged_words": {"hate": "foul"}}, "flagged_words={'hate': 'foul'}): write a list of words as ['foul']"),
        ({"flagged_words": ["foul"]}, "flagged_words=['foul']): pass a dict, as {'hate': ['foul']}"),
        ({"training": "maybe"}, "training='maybe'): pass one of open, closed, free_plan"),
    ],
)
def test_conditions_that_cannot_be(settings: dict, message: str) -> None:
    """A condition that cannot be is refused when it is written, in one sentence."""
    with pytest.raises(ConfigurationError) as caught:
        ServiceConditions(**settings)

    assert str(caught.value) == f"ServiceConditions({message}"


def test_the_example_of_the_documentation() -> None:
    """The example in the docstring runs."""
    assert doctest.testmod(conditions).failed == 0
