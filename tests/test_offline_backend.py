"""The offline backend: chat, embeddings, models, keys, and who may use a state folder."""

from __future__ import annotations

import array
import base64
import doctest
import json
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from calls import post, send

from llama_index_ft_rag.errors import ConfigurationError, OfflineBackendError
from llama_index_ft_rag.offline import (
    ApiFailure,
    ChatReply,
    ChatRequest,
    Clients,
    Exchange,
    OfflineBackend,
    ScriptedResponder,
    open_clients,
)
from llama_index_ft_rag.offline import backend as backend_module
from llama_index_ft_rag.offline import responder as responder_module
from llama_index_ft_rag.testing import drop_connection

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


class Broken(ScriptedResponder):
    """Cannot even start."""

    def models(self) -> list[str]:
        raise LookupError("no models")


class OnlyKnownModels(ScriptedResponder):
    """Says nothing new, under the names of the built-in models only."""

    def models(self) -> list[str]:
        return ["offline-teacher", "offline-student", "offline-embedding"]


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Clients of a backend that answers to any name."""
    with OfflineBackend(responder=ScriptedResponder(["It is Paris.", "Still Paris."]), clock=lambda: 1.0) as backend:
        yield open_clients(backend)


@pytest.fixture
def known() -> Iterator[openai.OpenAI]:
    """A client of a backend that knows its own models only."""
    with OfflineBackend(responder=OnlyKnownModels(["It is Paris."])) as backend:
        yield open_clients(backend).sync


def everywhere(value: object, junk: object) -> Iterator[object]:
    """The same JSON value, with something else in each of its places in turn."""
    yield junk
    if isinstance(value, dict):
        for key, part in value.items():
            yield from ({**value, key: changed} for changed in everywhere(part, junk))
    if isinstance(value, list):
        for place, part in enumerate(value):
            yield from ([*value[:place], changed, *value[place + 1 :]] for changed in everywhere(part, junk))


def test_plain_completion(clients: Clients) -> None:
    """A completion has the service's shape, counted usage, and a fingerprint that says it is a toy."""
    reply = clients.sync.chat.completions.create(model="gpt-4", messages=QUESTION)

    assert reply.model_dump(exclude={"id", "moderation"}, exclude_none=True) == {
        "choices": [
            {
                "finish_reason": "stop",
                "index": 0,
                "message": {"content": "It is Paris.", "role": "assistant", "annotations": []},
            }
        ],
        "created": 1,
        "model": "gpt-4",
        "object": "chat.completion",
        "service_tier": "default",
        "system_fingerprint": "fp_offline_toy",
        "usage": {
            "completion_tokens": 4,
            "prompt_tokens": 14,
            "total_tokens": 18,
            "completion_tokens_details": {
                "accepted_prediction_tokens": 0,
                "audio_tokens": 0,
                "reasoning_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
        },
    }


def test_stream_with_usage(clients: Clients) -> None:
    """A stream gives the answer in pieces, and its usage in a last chunk without choices."""
    chunks = list(
        clients.sync.chat.completions.create(
            model="gpt-4", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )

    assert [chunk.choices[0].delta.content for chunk in chunks[:-1]] == ["", "It", " is", " Paris", ".", None]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * 6
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 18)


async def test_async_stream(clients: Clients) -> None:
    """The asynchronous client streams too, without a usage chunk unless asked."""
    stream = await clients.asynchronous.chat.completions.create(model="gpt-4", messages=QUESTION, stream=True)
    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "It is Paris."


def test_several_choices(clients: Clients) -> None:
    """`n` asks for that many answers, and all their tokens are counted."""
    reply = clients.sync.chat.completions.create(model="gpt-4", messages=QUESTION, n=2)

    assert [(choice.index, choice.message.content) for choice in reply.choices] == [
        (0, "It is Paris."),
        (1, "Still Paris."),
    ]
    assert reply.usage.completion_tokens == 7


def test_seeds_tell_repeats_from_variants() -> None:
    """A responder gets the same seed for the same request, and another one for another choice or body."""
    seen: list[int] = []

    def script(request: ChatRequest) -> ChatReply:
        seen.append(request.seed)
        return ChatReply(content="x")

    with OfflineBackend(responder=ScriptedResponder(script)) as backend:
        create = open_clients(backend).sync.chat.completions.create
        create(model="m", messages=QUESTION)
        create(model="m", messages=QUESTION, n=2)
        create(model="m", messages=QUESTION, temperature=0.5)

    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("  ", 0), ("unbelievable", 2), ("1,250.5 USD \n", 6), ("世界 hello", 3), ("안녕", 2)],
)
def test_tokens_are_counted_by_rule(text: str, tokens: int) -> None:
    """Six word characters, one East Asian character or one sign is a token; a stream has them one by one."""
    with OfflineBackend(responder=ScriptedResponder(lambda _: text)) as backend:
        create = open_clients(backend).sync.chat.completions.create
        reply = create(model="m", messages=QUESTION, max_tokens=99)
        pieces = [chunk.choices[0].delta.content for chunk in create(model="m", messages=QUESTION, stream=True)]

    assert (reply.usage.completion_tokens, reply.choices[0].message.content) == (tokens, text)
    assert "".join(piece or "" for piece in pieces) == text


@pytest.mark.parametrize(
    ("limits", "content", "reason"),
    [
        ({"max_tokens": 2}, "It is", "length"),
        ({"max_completion_tokens": 4}, "It is Paris.", "stop"),
        ({"stop": [" Paris"]}, "It is", "stop"),
    ],
)
def test_limits_of_an_answer(clients: Clients, limits: dict, content: str, reason: str) -> None:
    """An answer ends at its token limit or at a stop text, and says which."""
    choice = clients.sync.chat.completions.create(model="gpt-4", messages=QUESTION, **limits).choices[0]

    assert (choice.message.content, choice.finish_reason) == (content, reason)


def test_json_mode_is_accepted(clients: Clients) -> None:
    """`response_format` reaches the responder and is no error."""
    reply = clients.sync.chat.completions.create(
        model="gpt-4", messages=QUESTION, response_format={"type": "json_object"}
    )

    assert reply.choices[0].message.content == "It is Paris."


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": QUESTION}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": "hi"}, "messages"),
        ({"model": "m", "messages": ["hi"]}, "messages[0]"),
        ({"model": "m", "messages": [{"role": "king", "content": "hi"}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user"}]}, "messages[0].content"),
        ({"model": "m", "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"model": "m", "messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        ({"model": "m", "messages": QUESTION, "n": 0}, "n"),
        ({"model": "m", "messages": QUESTION, "temperature": 3}, "temperature"),
        ({"model": "m", "messages": QUESTION, "seed": "x"}, "seed"),
        ({"model": "m", "messages": QUESTION, "stop": [1]}, "stop"),
        ({"model": "m", "messages": QUESTION, "stream": "yes"}, "stream"),
        ({"model": "m", "messages": QUESTION, "stream_options": {}}, "stream_options"),
        ({"model": "m", "messages": QUESTION, "stream": True, "stream_options": 1}, "stream_options"),
        ({"model": "m", "messages": QUESTION, "response_format": {"type": "xml"}}, "response_format"),
        ({"model": "m", "messages": QUESTION, "logprobs": True}, "logprobs"),
        ([], None),
        (b"{", None),
        (b'{"model": NaN}', None),
        (b'{"temperature": 1e999}', None),
        (b"[" * 100_000, None),
    ],
)
def test_bad_chat_bodies(body: object, param: str | None) -> None:
    """Each fault of a body is a 400 that names the parameter."""
    with OfflineBackend(responder=ScriptedResponder(["x"])) as backend:
        status, answer = post(backend, "/v1/chat/completions", body)

    assert (status, answer["error"]["param"], answer["error"]["type"]) == (400, param, "invalid_request_error")


def test_unknown_model(known: openai.OpenAI) -> None:
    """A name that nobody has is 404 `model_not_found`, for chat, embeddings and retrieval."""
    calls = (
        lambda: known.chat.completions.create(model="gpt-9", messages=QUESTION),
        lambda: known.embeddings.create(model="gpt-9", input="x"),
        lambda: known.models.retrieve("gpt-9"),
        lambda: known.models.delete("gpt-9"),
    )
    for call in calls:
        with pytest.raises(openai.NotFoundError) as caught:
            call()
        assert caught.value.code == "model_not_found"


def test_models_do_their_own_work_only(known: openai.OpenAI) -> None:
    """The embedding model does not chat, chat models do not embed, and toys call no tools."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}

    with pytest.raises(openai.NotFoundError, match="not a chat model"):
        known.chat.completions.create(model="offline-embedding", messages=QUESTION)
    with pytest.raises(openai.PermissionDeniedError, match="not allowed to generate embeddings"):
        known.embeddings.create(model="offline-teacher", input="x")
    with pytest.raises(openai.BadRequestError, match="cannot call tools") as caught:
        known.chat.completions.create(model="offline-teacher", messages=QUESTION, tools=[tool])
    assert caught.value.param == "tools"


def test_models_are_listed(known: openai.OpenAI) -> None:
    """The responder's models are listed, retrievable, and not deletable."""
    assert [model.id for model in known.models.list()] == ["offline-teacher", "offline-student", "offline-embedding"]
    assert known.models.retrieve("offline-teacher").owned_by == "offline-toy"
    with pytest.raises(openai.PermissionDeniedError):
        known.models.delete("offline-teacher")


def test_embeddings_in_both_encodings(clients: Clients) -> None:
    """Base64 carries the same vectors as plain numbers, as 32-bit floats."""
    embed = clients.sync.embeddings.create
    plain = embed(model="e", input=["one", "two"], encoding_format="float")
    packed = embed(model="e", input=["one", "two"], encoding_format="base64")

    for number in (0, 1):
        decoded = array.array("f", base64.b64decode(packed.data[number].embedding))
        assert decoded.tolist() == pytest.approx(plain.data[number].embedding)
    assert (plain.usage.prompt_tokens, plain.usage.total_tokens) == (2, 2)
    assert plain.data[0].embedding != plain.data[1].embedding


async def test_embedding_inputs(clients: Clients) -> None:
    """A text, token ids and lists of either are embedded; `dimensions` shortens to unit length."""
    embed = clients.asynchronous.embeddings.create
    text = await embed(model="e", input="one")
    ids = await embed(model="e", input=[[1, 2], [3]])
    one = await embed(model="e", input=[1, 2], dimensions=3)

    assert [len(reply.data) for reply in (text, ids, one)] == [1, 2, 1]
    assert sum(value * value for value in one.data[0].embedding) == pytest.approx(1.0)
    assert len(one.data[0].embedding) == 3


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "e"}, "input"),
        ({"model": "e", "input": []}, "input"),
        ({"model": "e", "input": ""}, "input"),
        ({"model": "e", "input": ["x", 5]}, "input"),
        ({"model": "e", "input": ["x"] * 2049}, "input"),
        ({"model": "e", "input": "x", "encoding_format": "hex"}, "encoding_format"),
        ({"model": "e", "input": "x", "dimensions": 9}, "dimensions"),
    ],
)
def test_bad_embedding_bodies(body: dict, param: str) -> None:
    """Each fault of an embedding request is a 400 that names the parameter."""
    with OfflineBackend(responder=ScriptedResponder(["x"])) as backend:
        status, answer = post(backend, "/v1/embeddings", body)

    assert (status, answer["error"]["param"]) == (400, param)


def test_missing_key() -> None:
    """Any bearer token is taken, none is not."""
    with OfflineBackend(responder=ScriptedResponder(["x"])) as backend:
        client = openai.OpenAI(
            base_url="http://offline.invalid/v1", api_key="k", max_retries=0, http_client=backend.http_client()
        )
        with pytest.raises(openai.AuthenticationError) as caught:
            client.models.list(extra_headers={"Authorization": openai.Omit()})

    assert caught.value.code == "invalid_api_key"


def test_unknown_address() -> None:
    """An address that is not there is 404, a wrong method 405, both with a body."""
    with OfflineBackend(responder=ScriptedResponder(["x"])) as backend:
        missing = post(backend, "/v1/moderations", {})
        wrong = post(backend, "/v1/models", {})

    assert (missing[0], missing[1]["error"]["code"]) == (404, "unknown_url")
    assert (wrong[0], wrong[1]["error"]["code"]) == (405, "method_not_supported")


def test_responder_refuses() -> None:
    """A responder's failure becomes the service's error, with its status and code."""
    failure = ApiFailure(message="slow down", status=429, type="requests", code="rate_limit_exceeded")
    with OfflineBackend(responder=ScriptedResponder(lambda _: failure)) as backend:
        create = open_clients(backend).sync.chat.completions.create
        with pytest.raises(openai.RateLimitError) as caught:
            create(model="m", messages=QUESTION)

    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")


FUNCTION = {"name": "f", "description": "d", "strict": True, "parameters": {}}
SHAPES = {
    "chat/completions": {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "t"}]},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
        "stream": True,
        "stream_options": {"include_usage": True},
        "metadata": {"a": "b"},
    },
    "completions": {"model": "m", "prompt": ["a", [1, 2]], "best_of": 2, "stop": ["x"], "max_tokens": 3},
    "embeddings": {"model": "m", "input": ["a", [1, 2]], "encoding_format": "base64", "dimensions": 2},
    "responses": {
        "model": "m",
        "input": [
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://x/y", "detail": "low"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "t"}]},
        ],
        "tools": [{"type": "function", **FUNCTION}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {}}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "truncation": "auto",
        "previous_response_id": "resp_1",
    },
    "fine_tuning/jobs": {
        "model": "m",
        "training_file": "file-1",
        "method": {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 1, "beta": 0.1}}},
        "metadata": {"a": "b"},
        "suffix": "s",
    },
    "batches": {
        "input_file_id": "file-1",
        "endpoint": "/v1/embeddings",
        "completion_window": "24h",
        "output_expires_after": {"anchor": "created_at", "seconds": 3600},
    },
}


@pytest.mark.parametrize("path", SHAPES)
def test_whatever_stands_in_a_field(path: str) -> None:
    """A list, an object, half a character or a huge number in any place of a body is never the server's fault."""
    junk = (None, True, -1, 10**30, 1e308, "", "\ud800", [], [[]], {}, [{}], {"type": []}, {"type": {}})
    bodies = [body for value in junk for body in everywhere(SHAPES[path], value)]
    with OfflineBackend(responder=ScriptedResponder(["x"])) as backend:
        failed = [body for body in bodies if send(backend, f"/v1/{path}", body).status >= 500]

    assert failed == []


def test_responder_breaks(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a responder is a 500 with a body, its traceback is in the log, and the backend lives on."""

    def script(request: ChatRequest) -> str:
        return {"gpt-4": "fine"}[request.model]

    with OfflineBackend(responder=ScriptedResponder(script)) as backend:
        create = open_clients(backend).sync.chat.completions.create
        with pytest.raises(openai.InternalServerError) as caught:
            create(model="m", messages=QUESTION)
        after = create(model="gpt-4", messages=QUESTION)

    assert (caught.value.type, caught.value.request_id[:4]) == ("server_error", "req_")
    assert "KeyError" in caplog.text
    assert after.choices[0].message.content == "fine"


def test_scripts_are_checked() -> None:
    """A bare text or nothing is no script, and the error says what is one."""
    for answers in ("text", []):
        with pytest.raises(ConfigurationError, match="a function or a list with at least one text"):
            ScriptedResponder(answers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScriptedResponder(["x"], models="gpt-4"), "models='gpt-4'): pass a list of names, as ['gpt-4']"),
        (lambda: ScriptedResponder(["x"], losses=["x"]), "losses=['x']): pass a list of numbers"),
        (lambda: ScriptedResponder(["x"], dimensions="8"), "dimensions='8'): pass a whole number above 0"),
        (
            lambda: OfflineBackend(responder=["x"]),
            "responder=['x']): no responder; ScriptedResponder([...]) makes one of texts",
        ),
        (
            lambda: OfflineBackend(responder=ScriptedResponder(["x"]), clock=5),
            "clock=5): no function; pass one that tells the time",
        ),
        (
            lambda: OfflineBackend(responder=ScriptedResponder(["x"]), conditions={}),
            "conditions = {}: no conditions; assign a ServiceConditions(...)",
        ),
    ],
)
def test_wrong_arguments(make: object, message: str) -> None:
    """What cannot be is refused where it is written, in one sentence."""
    with pytest.raises(ConfigurationError) as caught:
        make()

    assert str(caught.value).endswith(message)


def test_what_was_asked_is_listed() -> None:
    """Each request is there with its answer's status, so that a test sees what was asked twice."""
    with OfflineBackend(responder=ScriptedResponder(["x"])) as backend:
        client = open_clients(backend).sync
        client.chat.completions.create(model="m", messages=QUESTION)
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve("file-gone")
        backend.faults.add(drop_connection())
        with pytest.raises(openai.APIConnectionError):
            client.models.list()

    assert list(backend.requests) == [
        Exchange(method="POST", path="/v1/chat/completions", status=200),
        Exchange(method="GET", path="/v1/files/file-gone", status=404),
        Exchange(method="GET", path="/v1/models", status=None),
    ]


def test_a_tuned_model_of_another_responder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A model that a responder cannot use is named in the log; the others, and new trainings, go on."""
    with OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])) as backend:
        client = open_clients(backend).sync
        line = {"messages": [*QUESTION, {"role": "assistant", "content": "Paris."}]}
        uploaded = client.files.create(file=(json.dumps(line) + "\n").encode() * 10, purpose="fine-tune").id
        job = client.fine_tuning.jobs.create(model="offline-student", training_file=uploaded)
        for _ in range(3):
            job = client.fine_tuning.jobs.retrieve(job.id)
    with OfflineBackend(tmp_path) as backend:
        client = open_clients(backend).sync
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model=job.fine_tuned_model, messages=QUESTION)
        client.chat.completions.create(model="offline-student", messages=QUESTION)

    assert f"Tuned model {job.fine_tuned_model} does not answer" in caplog.text


def test_strange_text_survives() -> None:
    """Lone surrogates, as broken model output has them, break neither request nor answer."""
    with OfflineBackend(responder=ScriptedResponder(["half \ud83d sign"])) as backend:
        status, answer = post(
            backend, "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "\ud83d"}]}
        )

    assert (status, answer["choices"][0]["message"]["content"]) == (200, "half \ud83d sign")


def test_folder_is_taken_once(tmp_path: Path) -> None:
    """A second backend on the same folder is refused in one sentence; after close the folder is free."""
    first = OfflineBackend(tmp_path, responder=ScriptedResponder(["x"]))
    with pytest.raises(OfflineBackendError) as caught:
        OfflineBackend(tmp_path, responder=ScriptedResponder(["x"]))
    first.close()
    OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])).close()

    assert str(caught.value) == (
        f"{tmp_path}: another offline backend uses this state folder; close that one or choose another folder"
    )


def test_a_refused_second_backend_does_not_let_a_third_in(tmp_path: Path) -> None:
    """The attempt to open a folder twice in one process leaves it closed to other processes too."""
    program = (
        "import sys\n"
        "from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder\n"
        "OfflineBackend(sys.argv[1], responder=ScriptedResponder(['x'])).close()\n"
    )
    with OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])):
        with pytest.raises(OfflineBackendError):
            OfflineBackend(tmp_path, responder=ScriptedResponder(["x"]))
        other = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
        )

    assert "another offline backend uses this state folder" in other.stderr


def test_a_forked_child_that_ends_leaves_the_folder_to_its_parent() -> None:
    """A temporary state is removed by the process that made it, not by a child that inherited it."""
    program = (
        "import os\n"
        "from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder, open_clients\n"
        "backend = OfflineBackend(responder=ScriptedResponder(['x']))\n"
        "files = open_clients(backend).sync.files\n"
        "kept = files.create(file=b'text', purpose='user_data').id\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    raise SystemExit\n"
        "os.waitpid(child, 0)\n"
        "print(files.content(kept).text)\n"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (process.stdout, process.stderr) == ("text\n", "")


def test_killed_process_frees_the_folder(tmp_path: Path) -> None:
    """The hold on a folder ends with its process, also when that is killed."""
    program = (
        "import sys, time\n"
        "from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder\n"
        "backend = OfflineBackend(sys.argv[1], responder=ScriptedResponder(['x']))\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(OfflineBackendError):
            OfflineBackend(tmp_path, responder=ScriptedResponder(["x"]))
        process.kill()

    OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])).close()
    assert process.returncode == -signal.SIGKILL


def test_state_is_private(tmp_path: Path) -> None:
    """What is kept on disk is readable by its owner only."""
    folder = tmp_path / "new" / "state"
    with OfflineBackend(folder, responder=ScriptedResponder(["x"])) as backend:
        open_clients(backend).sync.files.create(file=b"text", purpose="user_data")
        modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.rglob("*"))}

    assert modes == {(True, 0o700), (False, 0o600)}


def test_temporary_state_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a state folder nothing is left on disk after close, and a closed backend says so."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    backend = OfflineBackend(responder=ScriptedResponder(["x"]))
    kept = len(list(tmp_path.iterdir()))
    backend.close()

    assert (kept, list(tmp_path.iterdir())) == (1, [])
    with pytest.raises(OfflineBackendError, match="was closed"):
        post(backend, "/v1/models", {})


def test_chat_writes_nothing(tmp_path: Path) -> None:
    """Chat and embeddings leave the state as it was."""
    with OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])) as backend:
        client = open_clients(backend).sync
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        client.chat.completions.create(model="m", messages=QUESTION)
        client.embeddings.create(model="m", input="x")

        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_unusable_folders(tmp_path: Path) -> None:
    """A folder that is a file, or holds something else under our name, is refused with the reason."""
    (tmp_path / "file").write_text("x")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "offline.db").write_text("not a database, but long enough to be taken for one " * 20)

    with pytest.raises(OfflineBackendError, match="cannot be made"):
        OfflineBackend(tmp_path / "file", responder=ScriptedResponder(["x"]))
    with pytest.raises(OfflineBackendError, match="file is not a database"):
        OfflineBackend(broken, responder=ScriptedResponder(["x"]))


@pytest.mark.parametrize(("version", "age"), [(99, "a newer"), (1, "an older")])
def test_state_of_another_version_is_left_alone(tmp_path: Path, version: int, age: str) -> None:
    """A state of a later or an earlier version is refused, not misread."""
    OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])).close()
    connection = sqlite3.connect(tmp_path / "offline.db")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()

    with pytest.raises(OfflineBackendError, match=rf"written by {age} version of this package \(format {version}\)"):
        OfflineBackend(tmp_path, responder=ScriptedResponder(["x"]))


def test_failed_start_frees_the_folder(tmp_path: Path) -> None:
    """A responder that cannot start leaves the folder to the next one."""
    with pytest.raises(LookupError):
        OfflineBackend(tmp_path, responder=Broken(["x"]))
    OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])).close()


def test_examples_of_the_documentation() -> None:
    """The examples in the docstrings run."""
    for module in (backend_module, responder_module):
        result = doctest.testmod(module)
        assert (result.failed, result.attempted > 0) == (0, True)
