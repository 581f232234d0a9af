"""Recorded traffic of the real service, read from the files of two recorders and from printed objects.

In: the folder of recordings. Out: exchanges, each one request and its answer. A printed object is the answer to a
request that is known; the request is made up again. Knows nothing of how an exchange is repeated.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

SKIPPED = {
    "datadog-openai/v0_fine_tune_*": "the fine-tunes endpoints, which are gone",
    "datadog-openai/v1_azure_*": "Azure has paths of its own, which the backend does not serve",
    "datadog-openai/v1_deepseek_*": "another vendor's service",
    "ruby-openai/history/legacy_*": "the fine-tunes endpoints, which are gone",
}
"""Recordings that show something else, and what."""

_FOLDERS = (
    "datadog-openai",
    "datadog-llamaindex",
    "datadog-ragas",
    "otel-openai",
    "ruby-openai",
    "ruby-openai/history",
)
_PRINTED = "finetune-sdk-outputs"
_BOUNDARY = "conformance"
_NO_LINES = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    f'{{"p"\n\r\n--{_BOUNDARY}--\r\n'
).encode()


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request to the real service, and its answer."""

    source: str
    method: str
    target: str
    """Path and query."""
    request_type: str
    """Content type of the request."""
    request: bytes
    status: int
    content_type: str | None
    """`None` where it was not recorded."""
    answer: bytes


def read_recordings(folder: Path) -> Iterator[Exchange]:
    """Read all recordings but the skipped ones.

    Raises:
        AssertionError: If a reason to skip fits no file.
    """
    for pattern in SKIPPED:
        assert any(folder.glob(pattern)), f"no recording is like {pattern}"
    for part in _FOLDERS:
        for path in sorted(folder.glob(f"{part}/*.y*ml")):
            source = f"{part}/{path.name}"
            if not any(path.match(f"{folder.name}/{pattern}") for pattern in SKIPPED):
                yield from _read_cassette(path, source)
    for path in sorted(folder.glob(f"{_PRINTED}/*.json")):
        yield _read_printed(path)


def _read_cassette(path: Path, source: str) -> Iterator[Exchange]:
    cassette = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    for number, one in enumerate(cassette.get("interactions") or cassette["http_interactions"], start=1):
        request, response = one["request"], one["response"]
        url = urlsplit(request["uri"])
        status = response["status"]["code"] if "status" in response else response["status_code"]
        yield Exchange(
            source=f"{source}, {number}",
            method=request["method"].upper(),
            target=f"{url.path}?{url.query}" if url.query else url.path,
            request_type=_header(request["headers"], "content-type") or "application/json",
            request=_plain(request["body"]),
            status=int(status),
            content_type=_header(response["headers"], "content-type"),
            answer=_plain(response.get("body", response.get("content"))),
        )


def _read_printed(path: Path) -> Exchange:
    answer = json.loads(path.read_text("utf-8"))["body"]
    jobs = "/v1/fine_tuning/jobs"
    is_upload = path.name.startswith("files_upload")
    target = "/v1/files" if is_upload else f"{jobs}/{answer.get('id')}"
    if answer.get("object") == "list":
        target = f"{jobs}/ftjob-printed/events" if "events" in path.name else jobs
    return Exchange(
        source=f"{_PRINTED}/{path.name}",
        method="POST" if is_upload else "GET",
        target=target,
        request_type=f"multipart/form-data; boundary={_BOUNDARY}" if is_upload else "application/json",
        request=_NO_LINES if is_upload else b"",
        status=400 if is_upload else 200,
        content_type=None,
        answer=json.dumps(answer).encode(),
    )


def _header(headers: Mapping[str, Any], name: str) -> str | None:
    values = [value for key, value in headers.items() if key.lower() == name]
    return str(values[0][0]) if values else None


def _plain(body: Any) -> bytes:
    text = body.get("string") if isinstance(body, dict) else body
    data = text.encode("utf-8") if isinstance(text, str) else text or b""
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
