"""Faults of the offline backend: when a rule lets one strike, and what a client then sees of each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from fakes import named

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.testing import (
    ChatReply,
    ChatRequest,
    Fault,
    Request,
    Response,
    RunningBackend,
    ScriptedResponder,
    Strike,
    ToolCall,
    answer_with,
    bad_gateway,
    broken_file,
    change_answer,
    content_filtered,
    context_too_long,
    cut_body,
    delay,
    drop_connection,
    empty_answer,
    empty_body,
    error_in_stream,
    file_not_ready,
    hang,
    html_page,
    job_fails_at_step,
    job_never_ends,
    job_without_model,
    json_in_code_fences,
    malformed_json,
    mentions,
    missing_field,
    missing_key,
    model_missing_at_first,
    model_not_found,
    not_json,
    overloaded,
    permission_denied,
    quota_used_up,
    rate_limited,
    request_too_large,
    score_out_of_range,
    server_error,
    slow_file,
    too_few_verdicts,
    training_not_available,
    truncated_json,
    wrong_content_type,
    wrong_key,
    wrong_type,
)

LINE = b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
CHAT = "/v1/chat/completions"


@pytest.fixture
def ft_rag_responder() -> ScriptedResponder:
    """Say the last message again."""
    return ScriptedResponder(lambda request: str(request.messages[-1]["content"]))


@pytest.fixture(params=["in process", "loopback"])
def client(request: pytest.FixtureRequest, ft_rag_backend: RunningBackend) -> Iterator[openai.OpenAI]:
    """A client at either door of the backend."""
    if request.param == "in process":
        yield ft_rag_backend.client
        return
    with openai.OpenAI(base_url=ft_rag_backend.url, api_key="any", max_retries=0) as opened:
        yield opened


def ask(client: openai.OpenAI, text: str = "hello", **settings: Any) -> str | None:
    """Ask for a completion and return its text."""
    reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **settings)
    return reply.choices[0].message.content


def pieces(client: openai.OpenAI, text: str = "hello") -> Iterator[str]:
    """Ask for a stream and give the pieces of its text."""
    for chunk in client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


def say(client: openai.OpenAI, text: str, *, streamed: bool) -> str | None:
    """Ask for a completion in either form and return its whole text."""
    return "".join(pieces(client, text)) if streamed else ask(client, text)


def upload(client: openai.OpenAI) -> Any:
    """Upload a training file."""
    return client.files.create(file=("train.jsonl", LINE * 10), purpose="fine-tune")


def train(client: openai.OpenAI) -> Any:
    """Upload a training file and create a job."""
    return client.fine_tuning.jobs.create(model="student", training_file=upload(client).id)


def outcomes(client: openai.OpenAI, texts: list[str]) -> list[str | None]:
    """The answers to some texts; `None` where the service failed."""
    found: list[str | None] = []
    for text in texts:
        try:
            found.append(ask(client, text))
        except openai.InternalServerError:
            found.append(None)
    return found


# -- When a fault strikes


def test_a_fault_strikes_once_unless_told_otherwise(ft_rag_backend: RunningBackend) -> None:
    """The request after it goes through, and the log says what struck."""
    ft_rag_backend.faults.add(server_error())

    assert outcomes(ft_rag_backend.client, ["a", "b"]) == [None, "b"]
    assert ft_rag_backend.faults.log == [Strike(fault="server_error", method="POST", path=CHAT)]


def test_times_and_skip_count_the_requests_that_fit(ft_rag_backend: RunningBackend) -> None:
    """The first one goes through, the next two are struck; other routes are not counted."""
    ft_rag_backend.faults.add(server_error(), route=CHAT, skip=1, times=2)
    ft_rag_backend.client.models.list()

    assert outcomes(ft_rag_backend.client, list("abcd")) == ["a", None, None, "d"]


def test_every_time_lasts_until_the_faults_are_cleared(ft_rag_backend: RunningBackend) -> None:
    """`times=None` never ends by itself."""
    ft_rag_backend.faults.add(server_error(), times=None)
    before = outcomes(ft_rag_backend.client, list("ab"))

    ft_rag_backend.faults.clear()

    assert (before, outcomes(ft_rag_backend.client, ["c"])) == ([None, None], ["c"])


@pytest.mark.parametrize(
    ("route", "struck"),
    [
        ("*", ["list", "retrieve", "upload"]),
        ("/v1/files", ["list", "upload"]),
        ("GET /v1/files", ["list"]),
        ("/v1/files/*", ["retrieve"]),
        ("GET /v1/files/*/content", []),
    ],
)
def test_a_route_names_method_and_path(ft_rag_backend: RunningBackend, route: str, struck: list[str]) -> None:
    """An asterisk stands for one segment, a path alone for all of its methods."""
    client = ft_rag_backend.client
    file = upload(client)
    ft_rag_backend.faults.add(server_error(), route=route, times=None)
    calls = {
        "list": client.files.list,
        "retrieve": lambda: client.files.retrieve(file.id),
        "upload": lambda: upload(client),
    }

    found = []
    for name, call in calls.items():
        try:
            call()
        except openai.InternalServerError:
            found.append(name)
    assert found == struck


def test_where_narrows_a_route_down_to_some_requests(ft_rag_backend: RunningBackend) -> None:
    """One question fails whenever and however often it is asked, the others never."""
    ft_rag_backend.faults.add(server_error(), times=None, where=mentions("colour"))

    assert outcomes(ft_rag_backend.client, ["What colour is it?", "Why?", "Which colour?"]) == [None, "Why?", None]


def test_a_chance_strikes_the_same_requests_in_any_order(ft_rag_responder: ScriptedResponder) -> None:
    """The seed and what is asked decide, not the order of threads; another seed strikes others."""
    texts = [str(number) for number in range(200)]

    def struck(seed: int, order: list[str]) -> set[str]:
        with RunningBackend(responder=ft_rag_responder, seed=seed) as backend:
            backend.faults.add(server_error(), times=None, probability=0.25)
            return {text for text, found in zip(order, outcomes(backend.client, order), strict=True) if found is None}

    first = struck(1, texts)

    assert struck(1, texts[::-1]) == first
    assert struck(2, texts) != first
    assert 30 < len(first) < 70


def test_a_chance_is_drawn_anew_when_the_same_is_asked_again(ft_rag_backend: RunningBackend) -> None:
    """A request that was struck may go through when it is tried again."""
    ft_rag_backend.faults.add(server_error(), times=None, probability=0.5)

    assert set(outcomes(ft_rag_backend.client, ["same"] * 20)) == {None, "same"}


def test_threads_share_the_count(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """Of forty requests at once exactly ten are struck."""
    ft_rag_backend.faults.add(server_error(), times=10)

    with ThreadPoolExecutor(8) as pool:
        found = [answer for [answer] in pool.map(lambda number: outcomes(client, [str(number)]), range(40))]

    assert found.count(None) == 10
    assert len(ft_rag_backend.faults.log) == 10


def test_the_fault_added_first_is_outermost(ft_rag_backend: RunningBackend) -> None:
    """It changes what the later ones left."""
    ft_rag_backend.faults.add(change_answer(lambda said: f"outer({said})"))
    ft_rag_backend.faults.add(change_answer(lambda said: f"inner({said})"))

    assert ask(ft_rag_backend.client) == "outer(inner(hello))"


def test_a_fault_that_keeps_a_request_back_hides_it_from_later_ones(ft_rag_backend: RunningBackend) -> None:
    """What never got through is not counted by the rules behind."""
    ft_rag_backend.faults.add(drop_connection())
    behind = ft_rag_backend.faults.add(server_error())
    with pytest.raises(openai.APIConnectionError):
        ask(ft_rag_backend.client)

    assert behind.struck == 0


def test_a_refusal_is_an_answer_like_any_other(ft_rag_backend: RunningBackend) -> None:
    """The error of a file that does not exist can be replaced, and comes out whole behind a delay."""
    ft_rag_backend.faults.add(delay(0.001))
    with pytest.raises(openai.NotFoundError, match="No such File object: file-gone"):
        ft_rag_backend.client.files.retrieve("file-gone")
    ft_rag_backend.faults.add(html_page())

    page: Any = ft_rag_backend.client.files.retrieve("file-gone")

    assert "Please sign in" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((rate_limited, {}), "faults.add(rate_limited): not a fault; call it: faults.add(rate_limited(...))"),
        ((503, {}), "faults.add(503): not a fault; pass one such as server_error()"),
        (
            (server_error(), {"where": "text"}),
            "server_error with where='text': not a function of the request; mentions('text') makes one",
        ),
    ],
    ids=["not called", "a number", "a text"],
)
def test_what_is_no_fault_is_refused(ft_rag_backend, arguments, message):
    """A fault that was not called, or a text where a function belongs, is told when it is added."""
    fault, settings = arguments
    with pytest.raises(ConfigurationError) as caught:
        ft_rag_backend.faults.add(fault, **settings)

    assert str(caught.value) == message


def test_a_fault_shows_no_addresses():
    """Its representation is the same in every process, so that it can name a parametrized test."""
    assert repr(rate_limited()) == repr(rate_limited())
    assert "0x" not in repr(change_answer(str.upper)) + repr(missing_key()) + repr(file_not_ready())


def test_faults_that_have_not_struck_can_fail_a_test(ft_rag_backend: RunningBackend) -> None:
    """A fault that nothing met would let a test pass for nothing; what still waits is named."""
    ft_rag_backend.faults.add(server_error(), times=2)
    ft_rag_backend.faults.add(rate_limited(), route=CHAT, times=None, skip=1)
    outcomes(ft_rag_backend.client, ["a"])

    with pytest.raises(AssertionError) as caught:
        ft_rag_backend.faults.assert_all_struck()
    assert str(caught.value) == (
        "these faults have not struck as often as they should: [<server_error on *, 2 times: struck 1 times so far>, "
        "<rate_limited on /v1/chat/completions, every time: struck 0 times so far>]"
    )


def test_faults_that_have_all_struck_pass(ft_rag_backend: RunningBackend) -> None:
    """A fault that strikes every time must have struck once."""
    ft_rag_backend.faults.add(server_error(), times=None)
    outcomes(ft_rag_backend.client, ["a"])

    ft_rag_backend.faults.assert_all_struck()
    assert ft_rag_backend.faults.waiting == []


@pytest.mark.parametrize("depth", [500, 100_000])
def test_a_request_nested_too_deeply_is_the_client_s_fault(ft_rag_backend: RunningBackend, depth: int) -> None:
    """A rule that looks into requests is no reason for a 500: what cannot be read is refused as without it."""
    ft_rag_backend.faults.add(rate_limited(), where=mentions("a word"))
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    body = b'{"model": "m", "messages": ' + b"[" * depth + b"]" * depth + b"}"
    response = ft_rag_backend.handle(Request(method="POST", path="/v1/chat/completions", headers=headers, body=body))

    assert response.status == 400


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"route": "/v1/nothing"}, "route '/v1/nothing': the offline backend answers none like it"),
        ({"route": "DELETE /v1/chat/completions"}, "answers none like it"),
        ({"times": 0}, "server_error with times=0, skip=0, probability=1.0"),
        ({"skip": -1}, "skip=-1"),
        ({"probability": 0.0}, "probability=0.0"),
        ({"probability": 1.1}, "probability=1.1"),
    ],
)
def test_a_rule_that_could_never_strike_is_refused(
    ft_rag_backend: RunningBackend, settings: dict[str, Any], problem: str
) -> None:
    """A slip in a test's set-up is an error, not a test that passes for nothing."""
    with pytest.raises(ConfigurationError, match=problem):
        ft_rag_backend.faults.add(server_error(), **settings)


@pytest.mark.parametrize(
    ("fault", "route", "reach"),
    [
        (change_answer("Yes."), "POST /v1/responses", "POST /v1/chat/completions"),
        (slow_file(), "/v1/models", "GET /v1/files/* or GET /v1/files"),
        (job_never_ends(), "POST /v1/files", "POST /v1/fine_tuning/jobs"),
        (file_not_ready(), "POST /v1/files", "POST /v1/fine_tuning/jobs"),
    ],
    ids=named,
)
def test_a_fault_on_a_route_where_it_can_do_nothing_is_refused(
    ft_rag_backend: RunningBackend, fault: Fault, route: str, reach: str
) -> None:
    """It says where it can strike; on every route it strikes there alone."""
    with pytest.raises(ConfigurationError) as caught:
        ft_rag_backend.faults.add(fault, route=route)
    assert str(caught.value) == f"{fault.name} on {route!r}: it can strike only {reach}; leave the route out"

    rule = ft_rag_backend.faults.add(fault, route="*")
    ft_rag_backend.client.models.list()
    assert rule.struck == 0


class Backwards(Fault):
    """A user's own fault: the path is answered as if it were another."""

    def concerns(self, request: Request) -> bool:
        """Leave the list alone."""
        return request.path != "/v1/models"

    def strike(self, request: Request, proceed: Any) -> Response:
        """Answer with what the request is."""
        body = json.dumps({"id": request.path, "object": "model"}).encode()
        return Response(status=200, headers={"content-type": "application/json"}, body=(body,))


def test_users_write_faults_of_their_own(ft_rag_backend: RunningBackend) -> None:
    """A subclass says what happens; requests that do not concern it are not counted."""
    rule = ft_rag_backend.faults.add(Backwards(name="backwards"))
    ft_rag_backend.client.models.list()

    assert ft_rag_backend.client.models.retrieve("m").id == "/v1/models/m"
    assert rule.struck == 1


class Spy(Fault):
    """A user's own fault that hands everything on as it is."""

    def strike(self, request: Request, proceed: Any) -> Response:
        """Pass."""
        return proceed(request)


def test_what_was_handed_on_as_it_was_is_no_strike(ft_rag_backend: RunningBackend) -> None:
    """Answers, refusals and lost connections alike: the fault waits, and the ones behind it struck."""
    spy = ft_rag_backend.faults.add(Spy(name="spy"))
    lost = ft_rag_backend.faults.add(drop_connection(), route=CHAT)

    ft_rag_backend.client.models.list()
    with pytest.raises(openai.NotFoundError):
        ft_rag_backend.client.files.retrieve("file-gone")
    with pytest.raises(openai.APIConnectionError):
        ask(ft_rag_backend.client)

    assert ft_rag_backend.faults.log == [Strike(fault="drop_connection", method="POST", path=CHAT)]
    assert (spy.struck, lost.struck, ft_rag_backend.faults.waiting) == (0, 1, [spy])


def test_a_strike_that_is_given_back_leaves_the_draws_alone(ft_rag_responder: ScriptedResponder) -> None:
    """The same requests are struck whether or not there was something to spoil about others before them."""
    texts = [json.dumps({"score": number}) for number in range(40)]

    def struck(first: list[str]) -> list[str]:
        with RunningBackend(responder=ft_rag_responder) as backend:
            backend.faults.add(wrong_type(), times=None, probability=0.5)
            outcomes(backend.client, first)
            return [text for text in texts if ask(backend.client, text) != text]

    assert struck([]) == struck(["plain"] * 20)
    assert 5 < len(struck([])) < 35


# -- Errors that the service answers with


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (rate_limited(), 429, ("tokens", "rate_limit_exceeded", None)),
        (quota_used_up(), 429, ("insufficient_quota", "insufficient_quota", None)),
        (overloaded(), 503, ("server_error", None, None)),
        (server_error(), 500, ("server_error", None, None)),
        (wrong_key(), 401, ("invalid_request_error", "invalid_api_key", None)),
        (permission_denied(), 403, ("invalid_request_error", None, None)),
        (model_not_found(), 404, ("invalid_request_error", "model_not_found", None)),
        (context_too_long(), 400, ("invalid_request_error", "context_length_exceeded", "messages")),
        (content_filtered(), 400, ("invalid_request_error", "content_filter", "prompt")),
        (answer_with(418, "no", code="c", type="t", param="p"), 418, ("t", "c", "p")),
    ],
    ids=named,
)
def test_an_error_has_its_status_and_body(
    client: openai.OpenAI, ft_rag_backend: RunningBackend, fault: Fault, status: int, error: tuple[str | None, ...]
) -> None:
    """Type, code and parameter are those that programs decide by, through either door."""
    ft_rag_backend.faults.add(fault)

    with pytest.raises(openai.APIStatusError) as caught:
        ask(client)

    assert caught.value.status_code == status
    assert (caught.value.type, caught.value.code, caught.value.param) == error


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            rate_limited(retry_after=0.02),
            "Rate limit reached for m in organization org-offline on tokens per min (TPM): "
            "Limit 90000, Used 89800, Requested 900. Please try again in 0.02s.",
        ),
        (model_not_found(), "The model `m` does not exist or you do not have access to it."),
        (
            context_too_long(limit=10, used=12),
            "This model's maximum context length is 10 tokens. However, your messages resulted in 12 tokens. "
            "Please reduce the length of the messages.",
        ),
    ],
    ids=["rate_limited", "model_not_found", "context_too_long"],
)
def test_an_error_tells_what_it_is_about(ft_rag_backend: RunningBackend, fault: Fault, message: str) -> None:
    """Model and numbers of the message are those of the request and of the test."""
    ft_rag_backend.faults.add(fault)

    with pytest.raises(openai.APIStatusError) as caught:
        ask(ft_rag_backend.client)

    assert caught.value.body["message"] == message  # type: ignore[index]


@pytest.mark.parametrize("fault", [rate_limited(retry_after=0.02), overloaded(retry_after=0.02)])
def test_the_wait_is_in_the_headers(ft_rag_backend: RunningBackend, fault: Fault) -> None:
    """Whole seconds for everybody, milliseconds for the service's own clients."""
    ft_rag_backend.faults.add(fault)

    with pytest.raises(openai.APIStatusError) as caught:
        ask(ft_rag_backend.client)

    headers = caught.value.response.headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("1", "20")


def test_a_wrong_key_is_quoted_half_hidden(ft_rag_backend: RunningBackend) -> None:
    """What the service says of a key is enough to recognise it, and no more."""
    ft_rag_backend.faults.add(wrong_key(), times=2)

    messages = []
    for key in ("not-a-real-key-1234", "short"):
        with pytest.raises(openai.AuthenticationError) as caught:
            ask(ft_rag_backend.client.with_options(api_key=key))
        messages.append(caught.value.body["message"].partition(" You")[0])  # type: ignore[index]

    assert messages == [
        "Incorrect API key provided: not********1234.",
        "Incorrect API key provided: *****.",
    ]


def test_a_gateway_answers_in_html(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """The error of a proxy has no body that a program could read."""
    ft_rag_backend.faults.add(bad_gateway())

    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)

    assert (caught.value.status_code, caught.value.response.headers["content-type"]) == (502, "text/html")
    assert "<h1>502 Bad Gateway</h1>" in caught.value.message


def test_any_body_and_headers_can_be_sent(ft_rag_backend: RunningBackend) -> None:
    """What no preset covers is written out."""
    plain = {"content-type": "text/plain", "x-should-retry": "false"}
    ft_rag_backend.faults.add(answer_with(503, body="later", headers=plain))

    with pytest.raises(openai.InternalServerError) as caught:
        ask(ft_rag_backend.client)

    assert (caught.value.response.text, caught.value.response.headers["x-should-retry"]) == ("later", "false")


@pytest.mark.parametrize("settings", [{}, {"message": "m", "body": "b"}])
def test_an_answer_is_a_message_or_a_body(settings: dict[str, str]) -> None:
    """Both or neither is a slip."""
    with pytest.raises(ConfigurationError, match=r"answer_with\(500\): pass either a message or a body"):
        answer_with(500, **settings)


def test_uploads_and_jobs_have_errors_of_their_own(ft_rag_backend: RunningBackend) -> None:
    """They belong to their route: an upload that is too large, an organisation that may not train."""
    client = ft_rag_backend.client
    ft_rag_backend.faults.add(request_too_large(limit=100))
    ft_rag_backend.faults.add(training_not_available())
    client.files.list()
    client.fine_tuning.jobs.list()

    with pytest.raises(openai.APIStatusError, match=r"413: Maximum content size limit \(100\) exceeded"):
        upload(client)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        train(client)
    assert caught.value.code == "training_not_available"


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("make", [server_error, bad_gateway, drop_connection, hang])
def test_a_request_without_an_answer_may_have_taken_effect(
    ft_rag_backend: RunningBackend, make: Any, took_effect: bool
) -> None:
    """The client sees the same either way; only the list of files tells."""
    client = ft_rag_backend.client
    ft_rag_backend.faults.add(make(took_effect=took_effect))

    with pytest.raises((openai.APIConnectionError, openai.InternalServerError)):
        upload(client.with_options(timeout=0.01))

    assert len(client.files.list().data) == took_effect


def test_what_took_effect_leaves_no_open_file_behind(ft_rag_backend: RunningBackend) -> None:
    """A download that is lost is closed: warnings are errors in the tests of this package."""
    file = upload(ft_rag_backend.client)
    ft_rag_backend.faults.add(server_error(took_effect=True), route="GET /v1/files/*/content")

    with pytest.raises(openai.InternalServerError):
        ft_rag_backend.client.files.content(file.id)


# -- Time and connections


def test_a_delay_is_shorter_or_longer_than_a_clients_patience(
    client: openai.OpenAI, ft_rag_backend: RunningBackend
) -> None:
    """The patient client gets its answer, the other one a timeout."""
    ft_rag_backend.faults.add(delay(0.05), times=2)

    assert ask(client.with_options(timeout=5)) == "hello"
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.01))


def test_delays_add_up(ft_rag_backend: RunningBackend) -> None:
    """Two short ones are one that is too long."""
    for _ in range(2):
        ft_rag_backend.faults.add(delay(0.02))

    with pytest.raises(openai.APITimeoutError):
        ask(ft_rag_backend.client.with_options(timeout=0.03))


def test_a_hanging_service_lasts_as_long_as_the_clients_patience(
    client: openai.OpenAI, ft_rag_backend: RunningBackend
) -> None:
    """Plain or streamed, the client gives up by itself."""
    ft_rag_backend.faults.add(hang(), times=2)
    hurried = client.with_options(timeout=0.01)

    with pytest.raises(openai.APITimeoutError):
        ask(hurried)
    with pytest.raises(openai.APITimeoutError):
        list(pieces(hurried))


async def test_the_asynchronous_client_meets_the_same(ft_rag_backend: RunningBackend) -> None:
    """It waits without holding up the loop, and loses connections too."""
    client = ft_rag_backend.async_client.with_options(timeout=0.01)
    ft_rag_backend.faults.add(hang())
    ft_rag_backend.faults.add(cut_body())

    with pytest.raises(openai.APITimeoutError):
        await client.models.list()
    with pytest.raises(openai.APIConnectionError):
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])


@pytest.mark.parametrize("after", [0, 0.5, 20, 1_000_000])
def test_a_body_that_is_cut_off_is_no_answer(
    client: openai.OpenAI, ft_rag_backend: RunningBackend, after: float
) -> None:
    """However much of it has arrived; the connection after it is a new one."""
    ft_rag_backend.faults.add(cut_body(after=after))

    with pytest.raises(openai.APIConnectionError):
        ask(client)
    assert ask(client) == "hello"


def test_a_stream_that_is_cut_off_has_a_beginning(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """The first words arrive, then the connection breaks, with an error that is no openai error."""
    ft_rag_backend.faults.add(cut_body(after=0.7))
    stream = pieces(client, "one two three four")

    arrived = [next(stream), next(stream)]
    with pytest.raises(Exception, match="peer closed connection without sending complete message body"):
        list(stream)

    assert arrived == ["one", " two"]


@pytest.mark.parametrize("make", [cut_body, truncated_json])
@pytest.mark.parametrize("after", [-1, math.inf])
def test_a_part_of_a_body_is_a_number(make: Any, after: float) -> None:
    """Below zero or without end is a slip."""
    with pytest.raises(ConfigurationError, match="pass a number of bytes, or a share of the body"):
        make(after=after)


@pytest.mark.parametrize("seconds", [-1, math.inf])
def test_a_delay_is_a_number_of_seconds(seconds: float) -> None:
    """A delay without end has a name of its own."""
    with pytest.raises(ConfigurationError, match=r"for no answer at all there is hang\(\)"):
        delay(seconds)


# -- Bodies


@pytest.mark.parametrize("fault", [truncated_json(), malformed_json(), empty_body()], ids=named)
def test_a_damaged_body_is_no_json(client: openai.OpenAI, ft_rag_backend: RunningBackend, fault: Fault) -> None:
    """HTTP sees nothing wrong, so the client's parser is the first to complain."""
    ft_rag_backend.faults.add(fault)

    with pytest.raises(json.JSONDecodeError):
        ask(client)


@pytest.mark.parametrize(
    ("fault", "arrives"),
    [(truncated_json(after=0.7), ["one", " two", " three"]), (empty_body(), []), (html_page(), [])],
    ids=["truncated_json", "empty_body", "html_page"],
)
def test_a_damaged_stream_looks_like_a_short_one(
    client: openai.OpenAI, ft_rag_backend: RunningBackend, fault: Fault, arrives: list[str]
) -> None:
    """The client sees an end where there was none; only the missing finish reason tells."""
    ft_rag_backend.faults.add(fault)

    assert list(pieces(client, "one two three four")) == arrives


def test_a_malformed_event_ends_a_stream(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """Each event is damaged by itself."""
    ft_rag_backend.faults.add(malformed_json())

    with pytest.raises(json.JSONDecodeError):
        list(pieces(client))


def test_an_error_in_a_stream_comes_after_its_first_words(
    client: openai.OpenAI, ft_rag_backend: RunningBackend
) -> None:
    """The status was 200 long before; answers that are no streams are left alone and are no strikes."""
    rule = ft_rag_backend.faults.add(error_in_stream("Out of memory."))
    assert (ask(client), rule.struck) == ("hello", 0)
    stream = pieces(client, "one two three four")

    assert [next(stream), next(stream)] == ["one", " two"]
    with pytest.raises(openai.APIError, match=r"^Out of memory\.$"):
        list(stream)
    assert (list(pieces(client)), rule.struck) == (["hello"], 1)


def test_a_page_in_place_of_an_answer_is_a_text(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """The client hands it over as it is, with no error at all."""
    ft_rag_backend.faults.add(html_page())

    reply: Any = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])

    assert "<h1>Please sign in</h1>" in reply


def test_a_wrong_content_type_leaves_the_body_as_it_is(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """Whether it is read all the same is up to the client."""
    ft_rag_backend.faults.add(wrong_content_type("application/octet-stream"))

    raw = client.chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": "hi"}])

    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.http_response.json()["choices"][0]["message"]["content"] == "hi"


def test_a_field_can_be_missing(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """In an answer and in each event of a stream; the client does not mind."""
    ft_rag_backend.faults.add(missing_field("choices"), times=2)

    reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])

    assert (reply.choices, list(pieces(client))) == (None, [])


def test_a_file_is_damaged_like_any_body(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """A download that is too short is complete as far as HTTP can tell."""
    file = upload(client)
    ft_rag_backend.faults.add(truncated_json(after=10))

    assert client.files.content(file.id).content == LINE[:10]


@pytest.mark.parametrize("fault", [missing_field("id"), wrong_content_type("application/octet-stream")], ids=named)
def test_a_download_has_nothing_to_leave_out(
    client: openai.OpenAI, ft_rag_backend: RunningBackend, fault: Fault
) -> None:
    """Lines of JSON are no JSON object, and their content type is what it is: the fault waits for another answer."""
    file = upload(client)
    rule = ft_rag_backend.faults.add(fault, route="GET /v1/files/*/content")

    assert (client.files.content(file.id).content, rule.struck) == (LINE * 10, 0)


def test_a_field_that_is_not_there_is_not_missed(ft_rag_backend: RunningBackend) -> None:
    """Only an answer that has it loses it; in the events of responses it is found too."""
    rule = ft_rag_backend.faults.add(missing_field("sequence_number"))
    ask(ft_rag_backend.client)
    assert rule.struck == 0

    events = list(ft_rag_backend.client.responses.create(model="m", input="hello", stream=True))

    assert ({getattr(event, "sequence_number", None) for event in events}, rule.struck) == ({None}, 1)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    "fault",
    [
        empty_body(),
        malformed_json(),
        html_page(),
        missing_field("choices"),
        wrong_content_type(),
        answer_with(200, body="[1]", headers={"content-type": "application/json"}),
    ],
    ids=named,
)
def test_an_answer_that_cannot_be_read_any_more_is_not_changed(
    ft_rag_responder: ScriptedResponder, fault: Fault, streamed: bool
) -> None:
    """What the inner fault left goes on to the client as it is; the outer one waits for an answer with a text."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": streamed}
    headers = {"authorization": "Bearer any", "content-type": "application/json"}
    request = Request(method="POST", path=CHAT, headers=headers, body=json.dumps(body).encode())

    def sent(*faults: Fault) -> bytes:
        with RunningBackend(responder=ft_rag_responder, clock=lambda: 7.0) as backend:
            rules = [backend.faults.add(each) for each in faults]
            answer = b"".join(backend.handle(request).body)
            assert [rule.struck for rule in rules] == [0] * (len(rules) - 1) + [1]
        return answer

    assert sent(change_answer("Yes."), fault) == sent(fault)


# -- What the model says

VERDICTS = {
    "statements": [
        {"statement": "a", "verdict": 1},
        {"statement": "b", "verdict": 0},
    ],
    "sure": True,
}


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (change_answer("Yes."), "Yes."),
        (change_answer(lambda text: text.replace("a", "A", 1)), json.dumps(VERDICTS).replace("a", "A", 1)),
        (not_json(), "I am sorry, but I cannot rate this answer."),
        (json_in_code_fences(), f"Here is the result:\n\n```json\n{json.dumps(VERDICTS)}\n```"),
        (missing_key(), json.dumps({"statements": [{"statement": "a"}, {"statement": "b"}], "sure": True})),
        (missing_key("statements"), '{"sure": true}'),
        (too_few_verdicts(), json.dumps({"statements": VERDICTS["statements"][:1], "sure": True})),  # type: ignore[index]
        (score_out_of_range(5), json.dumps(VERDICTS).replace("1", "5").replace("0", "5")),
        (wrong_type(), json.dumps(VERDICTS).replace("1", '"high"').replace("0", '"high"')),
        (empty_answer(), ""),
    ],
    ids=named,
)
def test_a_model_says_something_else(ft_rag_backend: RunningBackend, fault: Fault, said: str, streamed: bool) -> None:
    """In a stream as in a plain answer, only the text is another one."""
    ft_rag_backend.faults.add(fault)

    assert say(ft_rag_backend.client, json.dumps(VERDICTS), streamed=streamed) == said


@pytest.mark.parametrize(
    "fault",
    [json_in_code_fences(), missing_key(), too_few_verdicts(), score_out_of_range(), wrong_type()],
    ids=named,
)
def test_an_answer_without_json_is_left_alone(ft_rag_backend: RunningBackend, fault: Fault) -> None:
    """A backend that answers questions and judges them is spoilt only where it judges, and not spared there."""
    rule = ft_rag_backend.faults.add(fault)

    for streamed in (False, True):
        assert say(ft_rag_backend.client, "It is 3.", streamed=streamed) == "It is 3."
    assert (rule.struck, ft_rag_backend.faults.log, ft_rag_backend.faults.waiting) == (0, [], [rule])
    assert ask(ft_rag_backend.client, json.dumps(VERDICTS)) != json.dumps(VERDICTS)
    assert (rule.struck, ft_rag_backend.faults.waiting) == (1, [])


def test_lists_of_texts_keep_their_length(ft_rag_backend: RunningBackend) -> None:
    """Only what was judged loses a verdict, not what is to be judged: that is no strike, however it is written."""
    rule = ft_rag_backend.faults.add(too_few_verdicts())

    assert ask(ft_rag_backend.client, '{"statements":["a",  "b"]}') == '{"statements":["a",  "b"]}'
    assert rule.struck == 0


def test_each_of_several_answers_is_changed(ft_rag_backend: RunningBackend) -> None:
    """With `n` in the request, plain and streamed."""
    ft_rag_backend.faults.add(change_answer(str.upper), times=2)
    request: Any = {"model": "m", "messages": [{"role": "user", "content": "ab"}], "n": 2}
    create = ft_rag_backend.client.chat.completions.create

    plain = [choice.message.content for choice in create(**request).choices]
    streamed = {0: "", 1: ""}
    for chunk in create(**request, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""

    assert (plain, streamed) == (["AB", "AB"], {0: "AB", 1: "AB"})


def test_a_silent_model_can_be_made_to_speak() -> None:
    """A stream without a word gets one before its end."""
    with RunningBackend(responder=ScriptedResponder([""])) as backend:
        backend.faults.add(change_answer("Yes."))

        assert list(pieces(backend.client)) == ["Yes."]


def test_a_tool_call_has_no_text_to_change() -> None:
    """An answer that only calls a tool stays as it is, and is no strike."""

    def call(request: ChatRequest) -> ChatReply:
        return ChatReply(tool_calls=[ToolCall(name="look", arguments={"place": "here"})])

    with RunningBackend(responder=ScriptedResponder(call)) as backend:
        rule = backend.faults.add(change_answer("Yes."))
        reply = backend.client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])

    assert (reply.choices[0].message.content, reply.choices[0].message.tool_calls[0].function.name) == (None, "look")
    assert rule.struck == 0


def test_a_request_that_was_refused_has_no_answer_to_change(ft_rag_backend: RunningBackend) -> None:
    """An error stays an error, and the answer to the next request is the one that is changed."""
    rule = ft_rag_backend.faults.add(change_answer("Yes."))

    with pytest.raises(openai.BadRequestError):
        ask(ft_rag_backend.client, n=0)
    assert (rule.struck, ask(ft_rag_backend.client), rule.struck) == (0, "Yes.", 1)


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "Why me?"}]}]}', True),
        (b'{"input": ["Why", "Why me?"]}', True),
        (b'{"input": "Why", "n": 3}', False),
        (b"Why me?", False),
        (b'"Why me?"', False),
    ],
)
def test_requests_are_chosen_by_what_they_mention(body: bytes, fits: bool) -> None:
    """In messages, in parts of messages and in texts to embed."""
    assert mentions("Why me?")(Request(method="POST", path=CHAT, body=body)) is fits


# -- Lives of files, jobs and models


def test_a_slow_file_is_processed_after_some_looks(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """Nobody waits: each look is one step."""
    file = upload(client)
    ft_rag_backend.faults.add(slow_file(looks=2))

    assert [client.files.retrieve(file.id).status for _ in range(3)] == ["uploaded", "uploaded", "processed"]


def test_a_broken_file_stays_broken_and_says_why(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """Alone and in the list; files for other purposes are well, and looks at them are no strikes."""
    file = upload(client)
    other = client.files.create(file=("notes.txt", b"text"), purpose="assistants")
    rule = ft_rag_backend.faults.add(broken_file("line 3 is no JSON"))

    shown = [client.files.retrieve(file.id), *client.files.list(purpose="fine-tune").data]

    assert [(each.status, each.status_details) for each in shown] == [("error", "line 3 is no JSON")] * 2
    assert (client.files.retrieve(other.id).status, rule.struck) == ("processed", 2)


def test_a_file_may_not_be_ready_for_a_job(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """The job is refused as the service does, and accepted the next time."""
    file = upload(client)
    ft_rag_backend.faults.add(file_not_ready())

    with pytest.raises(openai.BadRequestError, match=f"File '{file.id}' is still being processed and is not ready"):
        client.fine_tuning.jobs.create(model="student", training_file=file.id)
    assert client.fine_tuning.jobs.create(model="student", training_file=file.id).status == "validating_files"


def life_of(client: openai.OpenAI) -> Any:
    """Create a job, look at it six times, and return what it was like then."""
    job = train(client)
    return [client.fine_tuning.jobs.retrieve(job.id) for _ in range(6)][-1]


def test_a_job_fails_at_a_step_with_an_error(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """The steps before it are told; the job after it is well."""
    ft_rag_backend.faults.add(job_fails_at_step(2, message="A machine was lost", code="server_error"))

    job = life_of(client)
    events = client.fine_tuning.jobs.list_events(job.id).data

    assert (job.status, job.fine_tuned_model) == ("failed", None)
    assert (job.error.message, job.error.code) == ("A machine was lost", "server_error")
    assert sorted(event.data["step"] for event in events if event.type == "metrics") == [1, 2]
    assert life_of(client).status == "succeeded"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: job_fails_at_step(0), "fails_at_step=0; steps count from 1"),
        (lambda: job_never_ends(status="nope"), "stays='nope'; choose one of validating_files, queued, running"),
        (lambda: slow_file(looks=0), r"slow_file\(looks=0\): pass how many looks meet it, at least 1"),
        (lambda: model_missing_at_first(looks=0), r"model_missing_at_first\(looks=0\): pass how many"),
        (lambda: rate_limited(retry_after=-1), r"rate_limited\(retry_after=-1\): pass a number of seconds"),
        (lambda: overloaded(retry_after=math.inf), r"overloaded\(retry_after=inf\): pass a number of seconds"),
        (lambda: answer_with(99, "no"), r"answer_with\(99\): pass a status of an answer, from 200 to 599"),
        (lambda: context_too_long(limit=10, used=10), r"\(limit=10, used=10\): pass a limit above 0, and more"),
        (lambda: request_too_large(limit=0), r"request_too_large\(limit=0\): pass a number of bytes above 0"),
    ],
)
def test_what_cannot_happen_is_refused_where_it_is_written(make: Any, problem: str) -> None:
    """A slip in a fault is one sentence with the next step, long before a request meets it."""
    with pytest.raises(ConfigurationError, match=problem):
        make()


@pytest.mark.parametrize("status", ["validating_files", "queued", "running"])
def test_a_job_stays_in_a_status_until_it_is_cancelled(
    client: openai.OpenAI, ft_rag_backend: RunningBackend, status: Any
) -> None:
    """However often it is looked at."""
    ft_rag_backend.faults.add(job_never_ends(status=status))

    job = life_of(client)

    assert (job.status, client.fine_tuning.jobs.cancel(job.id).status) == (status, "cancelled")


def test_a_job_succeeds_without_a_model(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """As when safety checks keep the model back."""
    ft_rag_backend.faults.add(job_without_model())

    job = life_of(client)

    assert (job.status, job.fine_tuned_model) == ("succeeded", None)


def test_a_tuned_model_may_be_missing_at_first(client: openai.OpenAI, ft_rag_backend: RunningBackend) -> None:
    """Its base answers all the while."""
    job = train(client)
    tuned = [client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model for _ in range(3)][-1]
    rule = ft_rag_backend.faults.add(model_missing_at_first(looks=2))
    messages: Any = [{"role": "user", "content": "hello"}]

    for _ in range(2):
        assert ask(client) == "hello"
        with pytest.raises(openai.NotFoundError, match=f"The model `{tuned}` does not exist"):
            client.chat.completions.create(model=tuned, messages=messages)
    assert client.chat.completions.create(model=tuned, messages=messages).model == tuned
    assert rule.struck == 2
