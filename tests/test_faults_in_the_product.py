"""What this package makes of every fault that its offline backend knows, seen through its public names."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from fakes import Time, named, write_report
from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.schema import TextNode

from llama_index_ft_rag import (
    Answer,
    DatasetGenerator,
    Ledger,
    OpenAIFinetuneEngine,
    OpenAIFineTuningHandler,
    Question,
    RagasEvaluator,
    answer_questions,
    distill,
    score_answers,
    testing,
)
from llama_index_ft_rag.errors import (
    EmptyRecordingError,
    FileNotAcceptedError,
    FinetuneError,
    JobFailedError,
    JobNotReadyError,
    TrainingNotAvailableError,
    WaitTimeoutError,
)
from llama_index_ft_rag.testing import (
    Fault,
    RunningBackend,
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

UPLOAD, CREATE, CHAT = "POST /v1/files", "POST /v1/fine_tuning/jobs", "POST /v1/chat/completions"
FACTS = ["The mill opened in 1968 beside the river.", "Ana Duarte has led the harbour since 2004."]
MILL, HARBOUR = Question.make("When did the mill open?"), Question.make("Who has led the harbour?")
CHAPTERS = [
    f"The {name} department employed {number} people at the end of fiscal 2025. Revenue of the {name} department was "
    f"${number}.4 million, an increase of 3% over 2024. {leader} has led the {name} department since 2001."
    for name, number, leader in (("Harbour", 120, "Ana Duarte"), ("Orchard", 127, "Bo Lindqvist"))
]
PATIENCE = 0.05
"""Seconds that clients wait here for an answer."""


@pytest.fixture(autouse=True)
def _no_fault_for_nothing(ft_rag_backend: RunningBackend) -> Iterator[None]:
    yield
    ft_rag_backend.faults.assert_all_struck()


@pytest.fixture
def time() -> Time:
    """The time that the trainer lives in."""
    return Time()


@pytest.fixture
def trainer(ft_rag_backend: RunningBackend, tmp_path: Path, time: Time) -> OpenAIFinetuneEngine:
    """An engine for a small training file, which waits in no real time."""
    return make_trainer(ft_rag_backend, tmp_path, time)


@pytest.fixture
def llm(ft_rag_backend: RunningBackend) -> LLM:
    """The toy teacher, asked once and not for long."""
    return ft_rag_backend.endpoint.llm("offline-teacher", max_retries=0, timeout=PATIENCE)


@pytest.fixture
def handler() -> Iterator[OpenAIFineTuningHandler]:
    """A recorder that listens while the test runs."""
    handler = OpenAIFineTuningHandler()
    handler.attach()
    yield handler
    handler.detach()


def make_trainer(
    backend: RunningBackend, folder: Path, time: Time, *, client: openai.OpenAI | None = None
) -> OpenAIFinetuneEngine:
    """An engine for a small training file."""
    path = folder / "examples.jsonl"
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Context: The mill opened in {1968 + n}. Query: When did it open?"},
                {"role": "assistant", "content": f"The mill opened in {1968 + n}."},
            ]
        }
        for n in range(10)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return OpenAIFinetuneEngine(
        "offline-student",
        path,
        client=client or backend.client.with_options(timeout=PATIENCE),
        sleep=time.sleep,
        clock=time.clock,
    )


def make_engine(backend: RunningBackend, llm: LLM, **settings: Any) -> BaseQueryEngine:
    """An app with two facts."""
    nodes = [TextNode(text=text) for text in FACTS]
    index = VectorStoreIndex(nodes, embed_model=backend.endpoint.embedding(max_retries=0))
    return index.as_query_engine(llm=llm, similarity_top_k=1, **settings)


def at_the_service(backend: RunningBackend) -> tuple[int, int]:
    """How many files and jobs there are."""
    files = backend.client.files.list(purpose="fine-tune")
    return len(files.data), len(backend.client.fine_tuning.jobs.list().data)


def sent(backend: RunningBackend, route: str) -> int:
    """How often a fault of a route struck."""
    return sum(f"{strike.method} {strike.path}" == route for strike in backend.faults.log)


# -- Training: what is lost on the way is not sent twice


@pytest.mark.parametrize("route", [UPLOAD, CREATE])
@pytest.mark.parametrize(
    "fault",
    [
        drop_connection(took_effect=True),
        hang(took_effect=True),
        delay(10 * PATIENCE),
        cut_body(),
        server_error(took_effect=True),
        bad_gateway(took_effect=True),
    ],
    ids=named,
)
def test_a_write_whose_answer_was_lost_is_not_sent_again(
    ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine, fault: Fault, route: str
) -> None:
    """The file or the job is looked for at the service and found: one of each in the end."""
    ft_rag_backend.faults.add(fault, route=route, times=None)

    trainer.finetune()

    assert sent(ft_rag_backend, route) == 1
    assert at_the_service(ft_rag_backend) == (1, 1)


@pytest.mark.parametrize("route", [UPLOAD, CREATE])
@pytest.mark.parametrize(
    "fault",
    [
        drop_connection(),
        server_error(),
        bad_gateway(),
        overloaded(),
        rate_limited(retry_after=30),
    ],
    ids=named,
)
def test_a_write_that_never_arrived_is_sent_again(
    ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine, time: Time, fault: Fault, route: str
) -> None:
    """After a pause and a look; one file and one job in the end."""
    ft_rag_backend.faults.add(fault, route=route)

    trainer.finetune()

    assert (time.naps, at_the_service(ft_rag_backend)) == ([2.0], (1, 1))


@pytest.mark.parametrize("route", [UPLOAD, CREATE])
def test_a_write_that_timed_out_is_looked_for_and_not_sent_again_in_the_same_call(
    ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine, time: Time, route: str
) -> None:
    """It may still take effect; the next call looks for it first, and sends it if it is not there."""
    ft_rag_backend.faults.add(hang(), route=route)

    with pytest.raises(FinetuneError, match="may still take effect, and nothing was sent again: call"):
        trainer.finetune()
    trainer.finetune()

    assert (time.naps, at_the_service(ft_rag_backend)) == ([2.0, 8.0, 20.0, 30.0], (1, 1))


@pytest.mark.parametrize(
    ("fault", "route", "error"),
    [
        (quota_used_up(), CREATE, openai.RateLimitError),
        (wrong_key(), UPLOAD, openai.AuthenticationError),
        (permission_denied(), UPLOAD, openai.PermissionDeniedError),
        (model_not_found(), CREATE, openai.NotFoundError),
        (request_too_large(), UPLOAD, openai.APIStatusError),
        (answer_with(409, "Conflict"), CREATE, openai.ConflictError),
    ],
    ids=named,
)
def test_a_refusal_that_does_not_heal_is_shown_at_once(
    ft_rag_backend: RunningBackend,
    trainer: OpenAIFinetuneEngine,
    time: Time,
    fault: Fault,
    route: str,
    error: type[Exception],
) -> None:
    """The service's own error comes through, nothing is tried again, and later one file and one job are made."""
    ft_rag_backend.faults.add(fault, route=route)
    with pytest.raises(error):
        trainer.finetune()
    assert time.naps == []

    trainer.finetune()

    assert at_the_service(ft_rag_backend) == (1, 1)


def test_an_organisation_that_may_not_train_is_told_what_to_do(
    ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine
) -> None:
    """The error names the uploaded file and says that nothing was charged; the file is not uploaded again."""
    ft_rag_backend.faults.add(training_not_available(), times=2)
    for _ in range(2):
        with pytest.raises(TrainingNotAvailableError, match="nothing was trained and nothing was charged") as caught:
            trainer.finetune()

    assert [file.id for file in ft_rag_backend.client.files.list().data] == [caught.value.file_id]


@pytest.mark.parametrize("route", [UPLOAD, CREATE])
@pytest.mark.parametrize(
    "fault",
    [html_page(), truncated_json(), malformed_json(), empty_body(), missing_field("id")],
    ids=named,
)
def test_an_unreadable_answer_is_one_sentence_and_nothing_is_sent_twice(
    ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine, fault: Fault, route: str
) -> None:
    """Calling again finds what the first call made."""
    ft_rag_backend.faults.add(fault, route=route)
    with pytest.raises(FinetuneError, match="did not answer like the OpenAI API; check the base URL"):
        trainer.finetune()

    trainer.finetune()

    assert at_the_service(ft_rag_backend) == (1, 1)


def test_a_wrong_content_type_is_overlooked(ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine) -> None:
    """An answer that can be read is read."""
    ft_rag_backend.faults.add(wrong_content_type(), times=None)

    trainer.finetune()

    assert trainer.get_current_job().training_file == ft_rag_backend.client.files.list().data[0].id


# -- Training: the lives of files and jobs


def test_a_slow_file_is_waited_for(ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine, time: Time) -> None:
    """The job is created once the file is processed."""
    ft_rag_backend.faults.add(slow_file(looks=3))

    trainer.finetune()

    assert (time.naps, at_the_service(ft_rag_backend)) == ([5.0] * 3, (1, 1))


def test_a_job_that_comes_too_early_is_asked_for_again(
    ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine, time: Time
) -> None:
    """The one refusal that heals by waiting is waited out."""
    ft_rag_backend.faults.add(file_not_ready(), times=2)

    trainer.finetune()

    assert (time.naps, at_the_service(ft_rag_backend)) == ([5.0] * 2, (1, 1))


def test_a_broken_file_says_why(ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine) -> None:
    """The service's reason is in the error, and no job is asked for."""
    ft_rag_backend.faults.add(broken_file("line 3 is no JSON"))

    with pytest.raises(FileNotAcceptedError, match=r"was refused \(error\): line 3 is no JSON; correct it"):
        trainer.finetune()
    assert at_the_service(ft_rag_backend) == (1, 0)


def test_a_job_that_fails_says_why(ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine) -> None:
    """Message and code are the service's, and the steps until then are in the job's log."""
    ft_rag_backend.faults.add(job_fails_at_step(3, message="A machine was lost", code="server_error"))
    trainer.finetune()

    with pytest.raises(JobFailedError, match=r"failed: A machine was lost \(code server_error\)") as caught:
        trainer.wait()

    assert (caught.value.code, caught.value.status) == ("server_error", "failed")
    assert [event.data["step"] for event in trainer.events() if "step" in event.data] == [1, 2, 3]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_job_that_never_ends_is_not_waited_for_for_ever(
    ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine, time: Time, status: Any
) -> None:
    """The wait ends at its deadline and says where the job stands; the model is not there."""
    ft_rag_backend.faults.add(job_never_ends(status=status))
    trainer.finetune()

    with pytest.raises(WaitTimeoutError, match=f"is {status} after 600 s; it goes on at the service"):
        trainer.wait(timeout=600)
    with pytest.raises(JobNotReadyError):
        trainer.get_finetuned_model()
    assert time.clock() == 600


def test_a_job_without_a_model_is_a_failure(ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine) -> None:
    """A success that left nothing behind is not called one."""
    ft_rag_backend.faults.add(job_without_model())
    trainer.finetune()

    with pytest.raises(JobFailedError, match="no tuned model was released"):
        trainer.wait()


@pytest.mark.parametrize(
    "fault",
    [drop_connection(), hang(), cut_body(), server_error(), bad_gateway(), overloaded(), rate_limited()],
    ids=named,
)
def test_an_outage_while_waiting_is_survived(
    ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine, fault: Fault
) -> None:
    """Looks at the job that fail are repeated; the job ends well."""
    trainer.finetune()
    ft_rag_backend.faults.add(fault, route="GET /v1/fine_tuning/jobs/*", times=3)

    assert trainer.wait().status == "succeeded"


async def test_a_tuned_model_that_is_not_loaded_yet_gives_no_answer_and_is_asked_again(
    ft_rag_backend: RunningBackend, trainer: OpenAIFinetuneEngine, tmp_path: Path
) -> None:
    """The questions that met it are failures with a reason; the next run over the same journal asks them alone."""
    trainer.finetune()
    tuned = trainer.wait().fine_tuned_model
    model = ft_rag_backend.endpoint.llm(str(tuned), max_retries=0)
    engine = make_engine(ft_rag_backend, model)
    ft_rag_backend.faults.add(model_missing_at_first(looks=1))

    runs = [
        await answer_questions([MILL, HARBOUR], engine, arm="tuned", journal=tmp_path / "answers.jsonl", concurrency=1)
        for _ in range(2)
    ]

    assert [[answer.error is None for answer in run] for run in runs] == [[False, True], [True, True]]
    assert str(runs[0][0].error).startswith("NotFoundError: Error code: 404")
    assert runs[1][1] == runs[0][1]


# -- Answering: a failure is an outcome, and loses nobody else's answer

CALLS_THAT_FAIL = [
    (rate_limited(), "RateLimitError: Error code: 429"),
    (quota_used_up(), "RateLimitError: Error code: 429"),
    (overloaded(), "InternalServerError: Error code: 503"),
    (server_error(), "InternalServerError: Error code: 500"),
    (bad_gateway(), "InternalServerError: <html>"),
    (wrong_key(), "AuthenticationError: Error code: 401"),
    (permission_denied(), "PermissionDeniedError: Error code: 403"),
    (model_not_found(), "NotFoundError: Error code: 404"),
    (context_too_long(), "BadRequestError: Error code: 400"),
    (content_filtered(), "BadRequestError: Error code: 400"),
    (request_too_large(), "APIStatusError: Error code: 413"),
    (delay(10 * PATIENCE), "APITimeoutError: Request timed out."),
    (hang(), "APITimeoutError: Request timed out."),
    (drop_connection(), "APIConnectionError: Connection error."),
    (cut_body(), "APIConnectionError: Connection error."),
    (truncated_json(), "a call to the model failed: JSONDecodeError"),
    (malformed_json(), "a call to the model failed: JSONDecodeError"),
    (empty_body(), "a call to the model failed: JSONDecodeError"),
    (html_page(), "AttributeError: 'str' object has no attribute 'choices'"),
    (missing_field("choices"), "a call to the model failed: TypeError"),
]

STREAMS_THAT_FAIL = [
    (hang(), "APITimeoutError: Request timed out."),
    (drop_connection(), "APIConnectionError: Connection error."),
    (cut_body(after=0.7), "RemoteProtocolError: peer closed connection"),
    (error_in_stream("Out of memory."), "APIError: Out of memory."),
    (truncated_json(after=0.7), "a call to the model failed: stream broke off"),
    (malformed_json(), "JSONDecodeError"),  # where it surfaces depends on the version of openai
    (empty_body(), "a call to the model failed: no response"),
    (html_page(), "a call to the model failed: no response"),
]


async def ask_both(backend: RunningBackend, fault: Fault, engine: BaseQueryEngine) -> list[Answer]:
    """Ask two questions, of which the second meets a fault."""
    backend.faults.add(fault, route=CHAT, times=None, where=mentions(HARBOUR.text))
    return await answer_questions([MILL, HARBOUR], engine, arm="base")


@pytest.mark.parametrize(("fault", "reason"), CALLS_THAT_FAIL, ids=named)
async def test_a_question_whose_call_fails_is_an_outcome_with_a_reason(
    ft_rag_backend: RunningBackend, llm: LLM, fault: Fault, reason: str
) -> None:
    """It has no text that could be scored, and the other question has its answer."""
    mill, harbour = await ask_both(ft_rag_backend, fault, make_engine(ft_rag_backend, llm))

    assert (mill.text, mill.error) == ("The mill opened in 1968 beside the river.", None)
    assert (harbour.text, harbour.calls, str(harbour.error)[: len(reason)]) == (None, [], reason)


@pytest.mark.parametrize(("fault", "reason"), STREAMS_THAT_FAIL, ids=named)
async def test_an_answer_whose_stream_fails_is_no_answer(
    ft_rag_backend: RunningBackend, llm: LLM, fault: Fault, reason: str
) -> None:
    """Half an answer is not scored as if it were all of it, whether or not the stream's end was an error."""
    engine = make_engine(ft_rag_backend, llm, streaming=True)

    mill, harbour = await ask_both(ft_rag_backend, fault, engine)

    assert (mill.text, mill.error) == ("The mill opened in 1968 beside the river.", None)
    assert harbour.text is None
    assert reason in str(harbour.error)


@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streamed"])
async def test_an_empty_answer_is_no_answer(ft_rag_backend: RunningBackend, llm: LLM, streaming: bool) -> None:
    """There is nothing to score, and the call that brought it is no example."""
    engine = make_engine(ft_rag_backend, llm, streaming=streaming)

    _, harbour = await ask_both(ft_rag_backend, empty_answer(), engine)

    assert (harbour.text, harbour.error) == (None, "the model gave no text")
    assert harbour.calls == []


async def test_a_late_answer_is_an_answer(ft_rag_backend: RunningBackend, llm: LLM) -> None:
    """As long as the client waits."""
    _, harbour = await ask_both(ft_rag_backend, delay(0.001), make_engine(ft_rag_backend, llm))

    assert (harbour.text, harbour.error) == ("Ana Duarte has led the harbour since 2004.", None)


async def test_what_a_model_says_is_taken_as_it_is(ft_rag_backend: RunningBackend, llm: LLM) -> None:
    """A wrong answer is an answer, and its call an example."""
    _, harbour = await ask_both(ft_rag_backend, change_answer("Nobody."), make_engine(ft_rag_backend, llm))

    assert (harbour.text, harbour.error) == ("Nobody.", None)
    assert [call.answer for call in harbour.calls] == ["Nobody."]


async def test_a_refused_key_is_not_kept(ft_rag_backend: RunningBackend, tmp_path: Path) -> None:
    """Not even the half of it that the service quotes reads like a key in the journal."""
    key, journal = "sk-not-a-real-key-0123456789", tmp_path / "answers.jsonl"
    client = {"api_key": key, "api_base": ft_rag_backend.url, "http_client": None, "async_http_client": None}
    ft_rag_backend.faults.add(wrong_key(), times=None, route=CHAT)
    llm = ft_rag_backend.endpoint.llm("offline-teacher", max_retries=0).model_copy(update=client)

    await answer_questions([MILL], make_engine(ft_rag_backend, llm), arm="base", journal=journal)

    assert "AuthenticationError" in journal.read_text()
    assert key[-4:] not in journal.read_text()


def test_a_rate_limit_is_waited_out(ft_rag_backend: RunningBackend) -> None:
    """The LLM that this package makes asks again after as long as the service says."""
    ft_rag_backend.faults.add(rate_limited(retry_after=0.01), route=CHAT, times=2)
    llm = ft_rag_backend.endpoint.llm("offline-teacher", max_retries=2)

    reply = llm.complete(f"Context: {FACTS[0]}\nQuery: {MILL.text}\nAnswer:")

    assert reply.text == "The mill opened in 1968 beside the river."


# -- Recording: a call that failed is never an example


@pytest.mark.parametrize(("fault", "reason"), CALLS_THAT_FAIL, ids=named)
def test_a_call_that_failed_is_no_example(
    ft_rag_backend: RunningBackend,
    llm: LLM,
    handler: OpenAIFineTuningHandler,
    tmp_path: Path,
    fault: Fault,
    reason: str,
) -> None:
    """There is nothing to save, and the recorder says what it saw fail."""
    ft_rag_backend.faults.add(fault, route=CHAT)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the app is told is not the recorder's business
        llm.chat([ChatMessage("Why?")])

    with pytest.raises(EmptyRecordingError):
        handler.save_finetuning_events(tmp_path / "examples.jsonl")
    assert handler.summary().failed == {reason.removeprefix("a call to the model failed: ").partition(":")[0]: 1}


@pytest.mark.parametrize(("fault", "reason"), STREAMS_THAT_FAIL, ids=named)
def test_a_stream_that_failed_is_no_example(
    ft_rag_backend: RunningBackend, llm: LLM, handler: OpenAIFineTuningHandler, fault: Fault, reason: str
) -> None:
    """Half an answer would teach the student to stop in the middle."""
    ft_rag_backend.faults.add(fault, route=CHAT)
    try:
        list(llm.stream_chat([ChatMessage(f"Context: {FACTS[1]}\nQuery: {HARBOUR.text}\nAnswer:")]))
    except Exception as exc:  # noqa: BLE001 - whatever the app is told is not the recorder's business
        logging.getLogger(__name__).debug("the app was told of %s", exc)

    assert handler.examples(kinds=None) == []
    assert handler.summary().failed == {reason.removeprefix("a call to the model failed: ").partition(":")[0]: 1}


# -- The ledger: what failed is not replayed, and what may be on the bill is not called free

FREE = [rate_limited(), quota_used_up(), overloaded(), wrong_key(), context_too_long(), content_filtered()]
MAYBE_CHARGED = [
    drop_connection(took_effect=True),
    hang(took_effect=True),
    cut_body(),
    truncated_json(),
    malformed_json(),
    empty_body(),
    html_page(),
    missing_field("choices"),
]


@pytest.mark.parametrize("fault", [*FREE, *MAYBE_CHARGED], ids=named)
def test_a_failed_call_is_on_the_bill_if_it_may_have_been_charged(
    ft_rag_backend: RunningBackend, llm: LLM, tmp_path: Path, fault: Fault
) -> None:
    """A refusal costs nothing; an answer that got lost or cannot be read may have cost something."""
    ft_rag_backend.faults.add(fault, route=CHAT)
    with Ledger(tmp_path / "ledger.db") as ledger:
        asked = ledger.wrap(llm, stage="answers")
        with pytest.raises(Exception):  # noqa: B017, PT011 - each fault has its own
            asked.chat([ChatMessage("Why?")])
        asked.chat([ChatMessage("Why?")])
        [bill] = ledger.totals()

    doubt = fault in MAYBE_CHARGED
    assert (bill.calls, bill.possibly_charged, bill.failed) == (2, doubt, not doubt)


@pytest.mark.parametrize("fault", [truncated_json(after=0.7), cut_body(after=0.7), cut_body(after=0)], ids=named)
def test_half_a_stream_is_never_replayed(
    ft_rag_backend: RunningBackend, llm: LLM, tmp_path: Path, fault: Fault
) -> None:
    """It may have been charged, and it is asked for again; the whole answer is what is kept."""
    ft_rag_backend.faults.add(fault, route=CHAT)
    messages = [ChatMessage(f"Context: {FACTS[1]}\nQuery: {HARBOUR.text}\nAnswer:")]
    with Ledger(tmp_path / "ledger.db") as ledger:
        asked = ledger.wrap(llm, stage="answers")
        try:
            list(asked.stream_chat(messages))
        except Exception as exc:  # noqa: BLE001 - the one that is cut off says so, the truncated one does not
            logging.getLogger(__name__).debug("the app was told of %s", exc)
        last = list(asked.stream_chat(messages))[-1]
        [bill] = ledger.totals()

    assert last.message.content == "Ana Duarte has led the harbour since 2004."
    assert (bill.calls, bill.possibly_charged, bill.failed) == (2, 1, 0)


# -- Judging: what could not be scored is never 0

JUDGED = {
    "query": MILL.text,
    "response": "The mill opened in 1968. It burned down in 1970.",
    "contexts": [FACTS[0]],
}
UNUSABLE = "the judge's reply could not be parsed: "


@pytest.fixture
def judge(ft_rag_backend: RunningBackend) -> LLM:
    """The toy judge, asked once and not for long."""
    return ft_rag_backend.endpoint.llm("offline-judge", max_retries=0, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (not_json(), f"{UNUSABLE}there is no JSON object in it (asked 3 times)"),
        (empty_answer(), f"{UNUSABLE}it is empty (asked 3 times)"),
        (missing_key(), f"{UNUSABLE}statements.0.verdict: Field required (asked 3 times)"),
        (missing_key("statements"), f"{UNUSABLE}statements: Field required (asked 3 times)"),
        (
            wrong_type(),
            f"{UNUSABLE}statements.0.verdict: Input should be a valid integer, unable to parse string as an integer "
            "(asked 3 times)",
        ),
        (too_few_verdicts(), "the judge gave 1 verdicts for 2 statements (asked 3 times)"),
        (score_out_of_range(), "the judge gave the verdict 7, which is neither 0 nor 1 (asked 3 times)"),
        (change_answer("{}"), f"{UNUSABLE}statements: Field required (asked 3 times)"),
    ],
    ids=named,
)
async def test_a_judge_that_answers_badly_gives_no_score(
    ft_rag_backend: RunningBackend, judge: LLM, fault: Fault, reason: str
) -> None:
    """The result is invalid and says why; trying again later would not help."""
    ft_rag_backend.faults.add(fault, times=None)

    result = await RagasEvaluator("faithfulness", judge).aevaluate(**JUDGED)

    assert (result.score, result.invalid_result, result.invalid_reason) == (None, True, reason)
    assert not result.retry


@pytest.mark.parametrize(
    "fault",
    [json_in_code_fences(), wrong_content_type(), delay(0.001)],
    ids=named,
)
async def test_a_judge_that_answers_oddly_is_understood(
    ft_rag_backend: RunningBackend, judge: LLM, fault: Fault
) -> None:
    """The score is the one it would have been."""
    ft_rag_backend.faults.add(fault, times=None)

    result = await RagasEvaluator("faithfulness", judge).aevaluate(**JUDGED)

    assert (result.score, result.invalid_result, result.calls) == (0.5, False, 2)


@pytest.mark.parametrize("fault", [not_json(), too_few_verdicts(), wrong_type(), empty_answer()], ids=named)
async def test_one_slip_of_the_judge_costs_one_more_call(
    ft_rag_backend: RunningBackend, judge: LLM, fault: Fault
) -> None:
    """It is told what is wrong with its verdicts and asked again."""
    ft_rag_backend.faults.add(fault, skip=1)

    result = await RagasEvaluator("faithfulness", judge).aevaluate(**JUDGED)

    assert (result.score, result.calls) == (0.5, 3)


@pytest.mark.parametrize(
    "fault",
    [
        rate_limited(),
        quota_used_up(),
        server_error(),
        bad_gateway(),
        wrong_key(),
        hang(),
        drop_connection(),
        cut_body(),
        truncated_json(),
        malformed_json(),
        empty_body(),
        html_page(),
        missing_field("choices"),
    ],
    ids=named,
)
async def test_a_judge_that_cannot_be_reached_loses_one_score_for_now(
    ft_rag_backend: RunningBackend, judge: LLM, tmp_path: Path, fault: Fault
) -> None:
    """It is no 0, the other answer has its score, and the next run tries that one alone again."""
    answers = [
        Answer(question_id=str(n), question=MILL.text, arm="base", text=f"It opened in {1968 + n}.", contexts=FACTS)
        for n in range(2)
    ]
    ft_rag_backend.faults.add(fault, route=CHAT, times=None, where=mentions("1969"))

    async def score() -> list[float | None]:
        journal = tmp_path / "scores.jsonl"
        scores = await score_answers(answers, arm="base", metrics=["faithfulness"], llm=judge, journal=journal)
        return [each.value for each in scores]

    first = await score()
    ft_rag_backend.faults.assert_all_struck()
    ft_rag_backend.faults.clear()

    assert (first, await score()) == ([1.0, None], [1.0, 0.0])


@pytest.mark.parametrize("fault", [context_too_long(), content_filtered()], ids=named)
async def test_a_judge_that_may_not_read_an_answer_is_asked_once(
    ft_rag_backend: RunningBackend, judge: LLM, tmp_path: Path, fault: Fault
) -> None:
    """It is no 0, and the next run does not pay for the same refusal again."""
    answer = Answer(question_id="1", question=MILL.text, arm="base", text="It opened in 1968.", contexts=FACTS)
    rule = ft_rag_backend.faults.add(fault, route=CHAT, times=None)
    journal = tmp_path / "scores.jsonl"

    runs = [
        await score_answers([answer], arm="base", metrics=["faithfulness"], llm=judge, journal=journal)
        for _ in range(2)
    ]

    assert (runs[0], runs[0][0].value, runs[0][0].retry, rule.struck) == (runs[1], None, False, 1)


async def test_embeddings_that_fail_give_no_score(ft_rag_backend: RunningBackend, judge: LLM) -> None:
    """Answer relevancy without vectors is not a relevancy of 0."""
    ft_rag_backend.faults.add(drop_connection(), route="POST /v1/embeddings")
    embedding = ft_rag_backend.endpoint.embedding(max_retries=0)

    result = await RagasEvaluator("answer_relevancy", judge, embedding).aevaluate(**JUDGED)

    assert (result.score, result.invalid_reason) == (None, "APIConnectionError: Connection error.")


# -- Questions: a chunk that fails loses only itself


@pytest.mark.parametrize(
    "fault",
    [
        rate_limited(),
        server_error(),
        bad_gateway(),
        context_too_long(),
        content_filtered(),
        hang(),
        drop_connection(),
        cut_body(),
        truncated_json(),
        malformed_json(),
        html_page(),
        missing_field("choices"),
    ],
    ids=named,
)
async def test_a_chunk_that_fails_keeps_the_questions_of_the_others(
    ft_rag_backend: RunningBackend, llm: LLM, fault: Fault
) -> None:
    """The questions are about the other chunk, and the generator says how many calls failed."""
    ft_rag_backend.faults.add(fault, route=CHAT, times=None, where=mentions(CHAPTERS[1]))
    generator = DatasetGenerator([TextNode(text=text, id_=text) for text in CHAPTERS], llm)

    questions = await generator.agenerate(2)

    assert [question.node_id for question in questions] == [CHAPTERS[0]] * 2
    assert generator.failed_chunks == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (wrong_key(), openai.AuthenticationError),
        (permission_denied(), openai.PermissionDeniedError),
        (model_not_found(), openai.NotFoundError),
    ],
    ids=named,
)
async def test_a_key_or_model_that_is_refused_ends_the_questions_at_once(
    ft_rag_backend: RunningBackend, llm: LLM, fault: Fault, error: type[Exception]
) -> None:
    """Every other call would fail in the same way."""
    ft_rag_backend.faults.add(fault, route=CHAT)
    generator = DatasetGenerator([TextNode(text=text) for text in CHAPTERS], llm, concurrency=1)

    with pytest.raises(error):
        await generator.agenerate(4)


# -- The whole way


def test_a_run_that_may_not_train_keeps_what_it_paid_for(
    ft_rag_backend: RunningBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command again asks for the job alone: no answer and no upload is paid or sent twice."""
    report = write_report(tmp_path / "report.md", departments=12)
    monkeypatch.setenv("OPENAI_BASE_URL", ft_rag_backend.url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    asked = ft_rag_backend.faults.add(delay(0), route=CHAT, times=None)
    ft_rag_backend.faults.add(training_not_available(), times=2)

    def run() -> None:
        distill(
            documents=report,
            teacher="offline-teacher",
            student="offline-student",
            embed_model="offline-embedding",
            train_questions=12,
            eval_questions=0,
            out=tmp_path / "run",
        )

    counts = []
    for _ in range(2):
        with pytest.raises(TrainingNotAvailableError):
            run()
        counts.append((asked.struck, *at_the_service(ft_rag_backend)))

    assert counts[0][0] > 12
    assert counts == [counts[0], (counts[0][0], 1, 0)]


# -- Every fault has a place above


def test_every_public_fault_is_met_by_the_product() -> None:
    """A new fault fails here until this module imports it, which it may do only for a test."""
    made = {name: value for name in testing.__all__ if inspect.isfunction(value := getattr(testing, name))}
    faults = {name for name, value in made.items() if inspect.signature(value).return_annotation == "Fault"}

    assert (faults - globals().keys(), len(faults) > 30) == (set(), True)
