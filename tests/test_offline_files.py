"""The files of the offline backend, through the openai client."""

from __future__ import annotations

import gc
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from calls import LINE

from llama_index_ft_rag.offline import (
    Clients,
    OfflineBackend,
    Request,
    ScriptedResponder,
    ServiceConditions,
    open_clients,
)


@pytest.fixture
def backend() -> Iterator[OfflineBackend]:
    """A backend at a fixed time."""
    with OfflineBackend(responder=ScriptedResponder(["x"]), clock=lambda: 7.9) as opened:
        yield opened


@pytest.fixture
def clients(backend: OfflineBackend) -> Clients:
    """Clients of that backend."""
    return open_clients(backend)


def test_upload_and_read_back(clients: Clients) -> None:
    """A file is `uploaded` at first and `processed` when looked at; it never expires, and its bytes come back."""
    uploaded = clients.sync.files.create(file=("train.jsonl", LINE * 3), purpose="fine-tune")
    looked_at = clients.sync.files.retrieve(uploaded.id)

    assert looked_at.model_dump(exclude={"id"}) == {
        "bytes": 3 * len(LINE),
        "created_at": 7,
        "filename": "train.jsonl",
        "object": "file",
        "purpose": "fine-tune",
        "status": "processed",
        "expires_at": None,
        "status_details": None,
    }
    assert uploaded.status == "uploaded"
    assert "expires_at" not in looked_at.model_fields_set
    assert clients.sync.files.content(uploaded.id).content == LINE * 3


async def test_async_upload_of_any_bytes(clients: Clients) -> None:
    """Line ends, dashes and bytes that are no text are kept exactly."""
    data = b"\r\n--\r\n\x00\xff\r--x--\r\n\r\n"
    uploaded = await clients.asynchronous.files.create(file=("a.bin", data), purpose="user_data")
    content = await clients.asynchronous.files.content(uploaded.id)

    assert content.content == data


def test_list_in_order_and_pages(clients: Clients) -> None:
    """Files are listed newest first, by purpose if asked, and page by page without a gap."""
    files = clients.sync.files
    ids = [files.create(file=LINE, purpose=purpose).id for purpose in ("fine-tune", "batch", "fine-tune")]

    assert [item.id for item in files.list()] == ids[::-1]
    assert [item.id for item in files.list(order="asc", limit=1)] == ids
    assert [item.id for item in files.list(purpose="fine-tune")] == [ids[2], ids[0]]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": "x"}, {"after": "file-gone"}])
def test_bad_list_queries(clients: Clients, query: dict) -> None:
    """A page that cannot be is a 400, not an empty list."""
    with pytest.raises(openai.BadRequestError):
        clients.sync.files.list(extra_query=query)


def test_delete(clients: Clients) -> None:
    """A deleted file is gone for every request, and its id is never given again."""
    files = clients.sync.files
    first = files.create(file=LINE, purpose="fine-tune").id
    deleted = files.delete(first)
    second = files.create(file=LINE, purpose="fine-tune").id

    assert (deleted.id, deleted.deleted, second != first) == (first, True, True)
    for call in (files.retrieve, files.content, files.delete):
        with pytest.raises(openai.NotFoundError, match=f"No such File object: {first}"):
            call(first)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"prompt": "x"}\nnot json\n', 'Line 2 is not a dictionary (HINT: line starts with: "not json...")'),
        (b"[1, 2]\n", 'Line 1 is not a dictionary (HINT: line starts with: "[1, 2]...")'),
        (b"\xff\xfe\x00{", "Line 1 is not a dictionary"),
        (b'{"a": NaN}', "Line 1 is not a dictionary"),
        (b"", "File is empty."),
    ],
)
def test_garbage_is_refused(clients: Clients, data: bytes, message: str) -> None:
    """A training file that is not JSON lines is refused at upload, by line, and not kept."""
    with pytest.raises(openai.BadRequestError) as caught:
        clients.sync.files.create(file=("train.jsonl", data), purpose="fine-tune")

    assert message in caught.value.body["message"]
    assert caught.value.param == "file"
    assert list(clients.sync.files.list()) == []


def test_unknown_purpose(clients: Clients) -> None:
    """A purpose that the service does not have is refused."""
    with pytest.raises(openai.BadRequestError) as caught:
        clients.sync.files.create(file=LINE, purpose="fun")

    assert caught.value.param == "purpose"


def test_file_that_expires() -> None:
    """A file with a lifetime says when it ends, and is gone from then on."""
    times = iter([100.0, 3699.0, 3700.0, 3700.0])
    with OfflineBackend(responder=ScriptedResponder(["x"]), clock=lambda: next(times)) as backend:
        files = open_clients(backend).sync.files
        uploaded = files.create(file=LINE, purpose="fine-tune", expires_after={"anchor": "created_at", "seconds": 3600})
        before = files.retrieve(uploaded.id)
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            files.content(uploaded.id)
        listed = list(files.list())

    assert (uploaded.expires_at, before.status, listed) == (3700, "processed", [])


@pytest.mark.parametrize(
    ("lifetime", "param"),
    [
        ({"anchor": "created_at", "seconds": 3599}, "expires_after.seconds"),
        ({"anchor": "created_at"}, "expires_after.seconds"),
        ({"anchor": "now", "seconds": 3600}, "expires_after.anchor"),
    ],
)
def test_lifetimes_that_cannot_be(clients: Clients, lifetime: dict, param: str) -> None:
    """A lifetime outside of the service's bounds is a 400 that names the field."""
    with pytest.raises(openai.BadRequestError) as caught:
        clients.sync.files.create(file=LINE, purpose="fine-tune", expires_after=lifetime)

    assert caught.value.param == param


def test_file_that_is_too_large() -> None:
    """A file above the account's limit is 413, and one at the limit is taken."""
    conditions = ServiceConditions(max_file_bytes=len(LINE))
    with OfflineBackend(responder=ScriptedResponder(["x"]), conditions=conditions) as backend:
        files = open_clients(backend).sync.files
        files.create(file=LINE, purpose="fine-tune")
        with pytest.raises(openai.APIStatusError) as caught:
            files.create(file=LINE + b" ", purpose="fine-tune")

    assert (caught.value.status_code, caught.value.body) == (
        413,
        {
            "message": "413: Maximum content size limit (88) exceeded (89 bytes read)",
            "type": "server_error",
            "param": None,
            "code": None,
        },
    )


def test_input_files_of_batches(tmp_path: Path) -> None:
    """They are kept for 30 days where nothing else was asked for, and have at most 200 MB."""
    head = form(b'name="purpose"\r\n\r\nbatch', end=b"\r\n") + form(b'name="file"\r\n\r\n', end=b"")
    headers = {"authorization": "Bearer k", "content-type": "multipart/form-data; boundary=B"}
    with OfflineBackend(responder=ScriptedResponder(["x"]), clock=lambda: 100.0) as backend:
        kept = open_clients(backend).sync.files.create(file=LINE, purpose="batch")
        with (tmp_path / "form").open("w+b") as upload:
            upload.write(head)
            upload.seek(200 * 1024 * 1024 + 1, os.SEEK_CUR)
            upload.write(b"\r\n--B--\r\n")
            upload.seek(0)
            response = backend.handle(Request(method="POST", path="/v1/files", headers=headers, upload=upload))
            refused = json.loads(b"".join(response.body))["error"]["message"]

    assert kept.expires_at == 100 + 30 * 24 * 60 * 60
    assert (response.status, refused) == (400, "File is too large.")


def test_killed_upload_leaves_nothing(tmp_path: Path) -> None:
    """What a killed process had half written is gone when the next backend opens the folder."""
    OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])).close()
    contents = tmp_path / "contents"
    (contents / "ft-rag-incoming-half").write_bytes(LINE)
    (contents / "file-lost.content").write_bytes(LINE)
    with OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])) as backend:
        kept = open_clients(backend).sync.files.create(file=LINE, purpose="fine-tune").id

    assert [path.name for path in contents.iterdir()] == [f"{kept}.content"]


def test_what_is_not_its_own_is_left_alone(tmp_path: Path) -> None:
    """A backend in somebody's folder removes nothing of theirs, and nothing of its own if its database is gone."""
    contents = tmp_path / "contents"
    contents.mkdir()
    (contents / "thesis.md").write_text("precious")
    (contents / "chapters").mkdir()
    (contents / "file-of-a-lost-database.content").write_text("an upload")
    OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])).close()

    assert sorted(path.name for path in contents.iterdir()) == [
        "chapters",
        "file-of-a-lost-database.content",
        "thesis.md",
    ]


def test_a_line_too_long_for_the_memory(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training file is read line by line, so one line may not be as long as a file."""
    monkeypatch.setattr("llama_index_ft_rag.offline.api.json_lines.MOST_LINE_BYTES", len(LINE))
    clients.sync.files.create(file=LINE, purpose="fine-tune")
    with pytest.raises(openai.BadRequestError, match=f"Line 2 is longer than {len(LINE)} bytes"):
        clients.sync.files.create(file=LINE + b" " + LINE, purpose="fine-tune")


def test_downloads_that_are_left_early_leave_no_file_open(clients: Clients) -> None:
    """A download that is never read, or only begun, is closed with its response."""
    big = clients.sync.files.create(file=("a.bin", b"x" * 3_000_000), purpose="user_data").id
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with clients.sync.files.with_streaming_response.content(big):
            pass
        with clients.sync.files.with_streaming_response.content(big) as response:
            next(response.iter_bytes(10))
        gc.collect()

    assert [str(warning.message) for warning in caught if "contents" in str(warning.message)] == []


def form(part: bytes, *, end: bytes = b"\r\n--B--\r\n") -> bytes:
    """Make a multipart body of one part."""
    return b"--B\r\nContent-Disposition: form-data; " + part + end


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=B", b""),
        ("multipart/form-data; boundary=B", form(b'name="file"\r\n\r\nx', end=b"")),
        ("multipart/form-data; boundary=B", form(b'name="file"\r\n\r\nx')),
        ("multipart/form-data; boundary=B", form(b'name="purpose"\r\n\r\nfine-tune')),
        ("multipart/form-data; boundary=B", form(b"nothing")),
        ("multipart/form-data; boundary=B", form(b"name=\"file\"; filename*0*=idna''%ff; filename*1=x\r\n\r\nx")),
    ],
)
def test_broken_forms(backend: OfflineBackend, content_type: str, body: bytes) -> None:
    """A form that is cut off, or lacks a part, is a 400."""
    headers = {"authorization": "Bearer k", "content-type": content_type}
    response = backend.handle(Request(method="POST", path="/v1/files", headers=headers, body=body))

    assert response.status == 400


def test_no_way_out_of_the_state(tmp_path: Path) -> None:
    """Neither a file's id nor its name can reach a file outside the state."""
    (tmp_path / "secret").write_text("secret")
    with OfflineBackend(tmp_path / "state", responder=ScriptedResponder(["x"])) as backend:
        client = open_clients(backend).sync
        named = client.files.create(file=("../../secret", LINE), purpose="fine-tune")
        windows = client.files.create(file=("..\\secret", LINE), purpose="fine-tune")
        statuses = [
            backend.handle(Request(method="GET", path=path, headers={"authorization": "Bearer k"})).status
            for path in (
                "/v1/files/../../secret",
                "/v1/files/..%2F..%2Fsecret/content",
                "/v1/files/%2e%2e%2fsecret",
                f"/v1/files/{tmp_path}/secret/content",
                "/v1/files//content",
            )
        ]

    assert (named.filename, windows.filename) == ("secret", "secret")
    assert statuses == [404, 404, 404, 404, 404]
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert found == sorted(
        [*(f"state/contents/{file.id}.content" for file in (named, windows)), "secret", "state/offline.db"]
    )


def test_files_survive_a_restart(tmp_path: Path) -> None:
    """A backend opened again on the same folder has the same files."""
    with OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])) as backend:
        made = open_clients(backend).sync.files.create(file=("train.jsonl", LINE), purpose="fine-tune")
    with OfflineBackend(tmp_path, responder=ScriptedResponder(["x"])) as backend:
        client = open_clients(backend).sync
        found = client.files.retrieve(made.id)

        assert client.files.content(made.id).content == LINE
    assert json.loads(found.to_json()) == {**json.loads(made.to_json()), "status": "processed"}
