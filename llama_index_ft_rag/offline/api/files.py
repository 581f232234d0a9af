"""The files endpoints: upload, list, retrieve, content, delete.

In: requests, uploads among them as multipart forms. Out: file objects as the service shapes them. A file is
`uploaded` until it is first looked at, `processed` from then on. Client-given names are kept as data and
never become a path. Knows nothing of what a training file must hold beyond "each line is a JSON object".
"""

from __future__ import annotations

import email.message
import email.parser
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llama_index_ft_rag.offline.protocol import (
    Request,
    Response,
    json_response,
    list_response,
    load_json,
    refuse,
    stable_hash,
)
from llama_index_ft_rag.offline.state import State

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")


@dataclass(frozen=True, kw_only=True)
class _Part:
    name: str
    filename: str | None
    data: bytes


class Files:
    """Answers the requests under `/v1/files`."""

    def __init__(self, state: State, *, seed: int, now: Callable[[], int]) -> None:
        self._state = state
        self._seed = seed
        self._now = now

    def upload(self, request: Request) -> Response:
        """Take a multipart form with a `file` and a `purpose`."""
        form = {part.name: part for part in _parse_form(request)}
        for name in ("file", "purpose"):
            if name not in form:
                raise refuse(f"'{name}' is a required property", param=name)
        if any(name.startswith("expires_after") for name in form):
            raise refuse("The offline backend keeps files until they are deleted; leave expires_after out.")
        purpose = form["purpose"].data.decode("utf-8", "replace")
        if purpose not in PURPOSES:
            raise refuse(f"'{purpose}' is not one of {list(PURPOSES)} - 'purpose'", param="purpose")
        data = form["file"].data
        if not data:
            raise refuse("File is empty.", param="file")
        if purpose in {"fine-tune", "batch"}:
            _check_lines(data)
        with self._state.changing():
            record = self.add(data, filename=form["file"].filename or "file", purpose=purpose)
        return json_response(record)

    def add(self, data: bytes, *, filename: str, purpose: str) -> dict[str, Any]:
        """Keep a file within a change that the caller has begun, and return its record."""
        file_id = "file-" + stable_hash(self._seed, "file", self._state.next_number("file"))[:24]
        record = {
            "id": file_id,
            "object": "file",
            "bytes": len(data),
            "created_at": self._now(),
            "expires_at": None,
            "filename": _plain_name(filename),
            "purpose": purpose,
            "status": "uploaded" if purpose != "fine-tune-results" else "processed",
            "status_details": None,
        }
        self._state.put("file", file_id, record)
        self._state.put_content(file_id, data)
        return record

    def find(self, file_id: str) -> dict[str, Any] | None:
        """Look at a file, which makes it processed; `None` where there is none."""
        record = self._state.get("file", file_id)
        if record is not None and record["status"] == "uploaded":
            record["status"] = "processed"
            self._state.put("file", file_id, record)
        return record

    def retrieve(self, _request: Request, file_id: str) -> Response:
        """Return one file object."""
        with self._state.changing():
            record = self.find(file_id)
        if record is None:
            raise _unknown(file_id)
        return json_response(record)

    def list_files(self, request: Request) -> Response:
        """Return the file objects, newest first unless `order=asc`."""
        purpose = request.query.get("purpose")
        records = [item for item in self._state.all("file") if purpose in {None, item["purpose"]}]
        if request.query.get("order", "desc") != "asc":
            records.reverse()
        return list_response(records, request.query, default_limit=10_000, max_limit=10_000)

    def content(self, _request: Request, file_id: str) -> Response:
        """Return the bytes of a file."""
        data = self._state.get_content(file_id)
        if data is None:
            raise _unknown(file_id)
        return Response(status=200, headers={"content-type": "application/octet-stream"}, body=(data,))

    def delete(self, _request: Request, file_id: str) -> Response:
        """Drop a file."""
        with self._state.changing():
            if self._state.get("file", file_id) is None:
                raise _unknown(file_id)
            self._state.delete("file", file_id)
        return json_response({"id": file_id, "object": "file", "deleted": True})


def _unknown(file_id: str) -> Exception:
    return refuse(f"No such File object: {file_id}", status=404, param="id")


def _check_lines(data: bytes) -> None:
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line.strip() and not _is_object(line):
            start = line[:20].decode("utf-8", "replace")
            raise refuse(
                "Expected file to have JSONL format, where every line is a JSON dictionary. "
                f'Line {number} is not a dictionary (HINT: line starts with: "{start}...").',
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


def _parse_form(request: Request) -> list[_Part]:
    boundary = _headers(f"Content-Type: {request.headers.get('content-type', '')}".encode()).get_boundary()
    if not boundary:
        raise refuse("An upload is a multipart/form-data request with a boundary; send one.", param="file")
    # Cut by hand, because the email parser decodes what it takes for text; headers alone go through it.
    pieces = (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode("utf-8", "replace"))
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise refuse("The multipart body is cut off: its closing boundary is missing.", param="file")
    return [_parse_part(piece) for piece in pieces[1:-1]]


def _parse_part(piece: bytes) -> _Part:
    head, separator, data = piece.partition(b"\r\n\r\n")
    headers = _headers(head.strip())
    name = headers.get_param("name", header="content-disposition")
    if not separator or not isinstance(name, str):
        raise refuse("A part of the multipart body has no name in its Content-Disposition.", param="file")
    return _Part(name=name, filename=headers.get_filename(), data=data)


def _headers(block: bytes) -> email.message.Message:
    return email.parser.HeaderParser().parsestr(block.decode("utf-8", "replace"))
