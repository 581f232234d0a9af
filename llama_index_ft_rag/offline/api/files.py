"""The files endpoints: upload, list, retrieve, content, delete.

In: requests, uploads among them as multipart forms. Out: file objects as the service shapes them. A file is
`uploaded` until it is first looked at, `processed` from then on. Client-given names are kept as data and
never become a path. Knows nothing of what a training file must hold beyond "each line is a JSON object".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, Any

from llama_index_ft_rag.offline.api.fields import LIFETIME_SECONDS, lifetime_of
from llama_index_ft_rag.offline.api.forms import Form, read_form
from llama_index_ft_rag.offline.api.json_lines import read_lines
from llama_index_ft_rag.offline.conditions import MB, ServiceConditions
from llama_index_ft_rag.offline.protocol import (
    FileBody,
    Refusal,
    Request,
    Response,
    json_response,
    list_response,
    load_json,
    refuse,
    stable_hash,
)
from llama_index_ft_rag.offline.service_errors import batch_file_too_large, file_too_large
from llama_index_ft_rag.offline.state import State

MAX_BATCH_FILE_BYTES = 200 * MB
"""Of the input file of a batch, as published; other files may be as large as the account's conditions say."""
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")


class Files:
    """Answers the requests under `/v1/files`."""

    def __init__(
        self, state: State, *, conditions: Callable[[], ServiceConditions], seed: int, now: Callable[[], int]
    ) -> None:
        self._state = state
        self._conditions = conditions
        self._seed = seed
        self._now = now

    def upload(self, request: Request) -> Response:
        """Take a multipart form with a `file` and a `purpose`."""
        form = read_form(request)
        for name in ("file", "purpose"):
            if name not in form:
                raise refuse(f"'{name}' is a required property", param=name)
        purpose = form.text("purpose")
        if purpose not in PURPOSES:
            raise refuse(f"'{purpose}' is not one of {list(PURPOSES)} - 'purpose'", param="purpose")
        lifetime = _lifetime(form)
        if lifetime is None and purpose == "batch":
            lifetime = LIFETIME_SECONDS[1]
        self._check_size(form.size("file"), purpose)
        with self._state.new_content() as content:
            form.copy("file", content)
            if purpose in {"fine-tune", "batch"}:
                _check_lines(content)
            with self._state.changing():
                record = self.keep(
                    content, filename=form.filename("file") or "file", purpose=purpose, lifetime=lifetime
                )
        return json_response(record)

    def add(self, data: bytes, *, filename: str, purpose: str) -> dict[str, Any]:
        """Keep a file of the service's own within a change that the caller has begun, and return its record."""
        with self._state.new_content() as content:
            content.write(data)
            return self.keep(content, filename=filename, purpose=purpose)

    def keep(self, content: IO[bytes], *, filename: str, purpose: str, lifetime: int | None = None) -> dict[str, Any]:
        """Keep what `State.new_content` opened, within a change that the caller has begun, and return its record."""
        file_id = "file-" + stable_hash(self._seed, "file", self._state.next_number("file"))[:24]
        created_at = self._now()
        record: dict[str, Any] = {
            "id": file_id,
            "object": "file",
            "bytes": content.seek(0, os.SEEK_END),
            "created_at": created_at,
            "filename": _plain_name(filename),
            "purpose": purpose,
            "status": "uploaded" if purpose in PURPOSES else "processed",
            "status_details": None,
        }
        if lifetime is not None:
            record["expires_at"] = created_at + lifetime
        self._state.put("file", file_id, record)
        self._state.put_content(file_id, content)
        return record

    def open(self, file_id: str, *, purpose: str | None = None) -> IO[bytes] | None:
        """Look at a file and open it, in a change of its own; `None` where there is none, or none of this purpose."""
        with self._state.changing():
            record = self.look_at(file_id)
            if record is None or purpose not in {None, record["purpose"]}:
                return None
            return self._state.open_content(file_id)

    def look_at(self, file_id: str) -> dict[str, Any] | None:
        """Return a file's record, within a change that the caller has begun, as a look makes the file processed.

        `None` where there is no such file, or none any more.
        """
        record = self._state.get("file", file_id)
        if record is None or self._is_expired(record):
            return None
        if record["status"] == "uploaded":
            record["status"] = "processed"
            self._state.put("file", file_id, record)
        return record

    def retrieve(self, _request: Request, file_id: str) -> Response:
        """Return one file object."""
        with self._state.changing():
            record = self.look_at(file_id)
        if record is None:
            raise _unknown(file_id)
        return json_response(record)

    def list_files(self, request: Request) -> Response:
        """Return the file objects, newest first unless `order=asc`."""
        purpose = request.query.get("purpose")
        records = [
            item
            for item in self._state.all("file")
            if purpose in {None, item["purpose"]} and not self._is_expired(item)
        ]
        if request.query.get("order", "desc") != "asc":
            records.reverse()
        return list_response(records, request.query, default_limit=10_000, max_limit=10_000)

    def content(self, _request: Request, file_id: str) -> Response:
        """Return the bytes of a file."""
        with self._state.changing():
            record = self.look_at(file_id)
            content = None if record is None else self._state.open_content(file_id)
        if record is None or content is None:
            raise _unknown(file_id)
        headers = {"content-type": "application/octet-stream", "content-length": str(record["bytes"])}
        return Response(status=200, headers=headers, body=FileBody(content))

    def delete(self, _request: Request, file_id: str) -> Response:
        """Drop a file."""
        with self._state.changing():
            if self.look_at(file_id) is None:
                raise _unknown(file_id)
            self._state.delete("file", file_id)
        return json_response({"id": file_id, "object": "file", "deleted": True})

    def _check_size(self, size: int, purpose: str) -> None:
        limit = self._conditions().max_file_bytes
        if not size:
            raise refuse("File is empty.", param="file")
        if size > limit:
            raise Refusal(file_too_large(limit=limit, size=size))
        if purpose == "batch" and size > MAX_BATCH_FILE_BYTES:
            raise Refusal(batch_file_too_large())

    def _is_expired(self, record: dict[str, Any]) -> bool:
        return record.get("expires_at") is not None and bool(record["expires_at"] <= self._now())


def _lifetime(form: Form) -> int | None:
    """Read `expires_after`, which a form spells as two fields, as if JSON held it."""
    fields = {name: f"expires_after[{name}]" for name in ("anchor", "seconds")}
    given: dict[str, Any] = {name: form.text(field) for name, field in fields.items() if field in form}
    seconds = given.get("seconds", "")
    if seconds.isascii() and seconds.isdigit() and len(seconds) < 10:
        given["seconds"] = int(seconds)
    return lifetime_of({"expires_after": given} if given else {}, "expires_after")


def _unknown(file_id: str) -> Exception:
    return refuse(f"No such File object: {file_id}", status=404, param="id")


def _check_lines(content: IO[bytes]) -> None:
    for line in read_lines(content):
        if not _is_object(line.text):
            start = line.text[:20].rstrip(b"\n").decode("utf-8", "replace")
            raise refuse(
                "Expected file to have JSONL format, where every line is a JSON dictionary. "
                f'Line {line.number} is not a dictionary (HINT: line starts with: "{start}...").',
                param="file",
            )


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(load_json(line), dict)
    except ValueError:
        return False


def _plain_name(filename: str) -> str:
    last = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable())[:255] or "file"
