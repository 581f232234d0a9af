"""What becomes of the lines of a batch: an answer each, written to its output or to its error file.

In: checked lines, and the backend's own way to answer a request. Out: lines in the service's shape, how many of
each kind, and the tokens they used. Whatever happens to one line stays with that line. Knows nothing of when
lines are answered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any, Literal, get_args

from llama_index_ft_rag.offline.api.json_lines import Line
from llama_index_ft_rag.offline.protocol import (
    JSON_TYPE,
    ConnectionLost,
    Handler,
    Request,
    Response,
    error_response,
    load_json,
    stable_hash,
)
from llama_index_ft_rag.offline.service_errors import server_error

FileKind = Literal["output", "error"]
FILE_KINDS: tuple[FileKind, ...] = get_args(FileKind)
"""What a batch leaves: the lines that were answered well, and the others."""

# The backend takes any key. The one that made the batch is not kept for later.
_HEADERS = {"authorization": "Bearer batch", "content-type": JSON_TYPE}


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """Why a line got no answer at all."""

    code: str
    message: str


EXPIRED = Unanswered(
    code="batch_expired", message="This request could not be executed before the completion window expired."
)
CANCELLED = Unanswered(code="batch_cancelled", message="The batch was cancelled before this request was executed.")
_TIMED_OUT = Unanswered(code="request_timeout", message="This request got no answer in time.")


def no_usage() -> dict[str, Any]:
    """Make the usage of a batch that has not begun."""
    return {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }


@dataclass(kw_only=True)
class BatchResults:
    """Lines as they are written, in the order of the input, and what they add up to."""

    batch_id: str
    files: Mapping[FileKind, IO[bytes]] = field(repr=False)
    completed: int = 0
    failed: int = 0
    usage: dict[str, Any] = field(default_factory=no_usage)
    line: int = 0
    """Lines of the input up to the last one that was answered, blank ones included."""
    end: int = 0
    """Where the line after that one starts, in bytes."""

    def answer(self, lines: Iterable[Line], handler: Handler, *, endpoint: str) -> None:
        """Have lines answered, one after the other."""
        for line in lines:
            value = load_json(line.text)
            response = _ask(value["body"], endpoint, handler)
            if math.isinf(response.delay):
                self._write_unanswered(line, value["custom_id"], _TIMED_OUT)
            else:
                self._write_answer(line, value["custom_id"], response)
            self.line, self.end = line.number, line.end

    def give_up(self, lines: Iterable[Line], why: Unanswered) -> None:
        """Write down that lines will not be answered."""
        for line in lines:
            self._write_unanswered(line, load_json(line.text)["custom_id"], why)

    def _write_answer(self, line: Line, custom_id: str, response: Response) -> None:
        status, body = response.status, _json_or_none(b"".join(response.body))
        if body is None:
            status = 500 if _is_success(status) else status
            body = _json_or_none(b"".join(error_response(server_error()).body))
        request_id = response.headers.get("x-request-id") or f"req_{self._hash(line)}"
        answered = {"status_code": status, "request_id": request_id, "body": body}
        if _is_success(status):
            add_usage(self.usage, _usage_of(body))
        self._write(line, custom_id, is_failed=not _is_success(status), response=answered, error=None)

    def _write_unanswered(self, line: Line, custom_id: str, why: Unanswered) -> None:
        error = {"code": why.code, "message": why.message}
        self._write(line, custom_id, is_failed=True, response=None, error=error)

    def _write(self, line: Line, custom_id: str, *, is_failed: bool, **rest: Any) -> None:
        result = {"id": f"batch_req_{self._hash(line)}", "custom_id": custom_id, **rest}
        self.files["error" if is_failed else "output"].write(json.dumps(result).encode("ascii") + b"\n")
        self.failed += is_failed
        self.completed += not is_failed

    def _hash(self, line: Line) -> str:
        return stable_hash(self.batch_id, line.number)[:24]


def add_usage(total: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add a usage to another, field by field."""
    for name, value in more.items():
        if isinstance(value, dict):
            add_usage(total[name], value)
        else:
            total[name] += value


def _ask(body: dict[str, Any], endpoint: str, handler: Handler) -> Response:
    data = json.dumps(body).encode("ascii")
    try:
        response = handler(Request(method="POST", path=endpoint, headers=_HEADERS, body=data))
        return replace(response, body=[b"".join(response.body)])
    except ConnectionLost:
        return error_response(server_error())


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _json_or_none(text: bytes) -> Any:
    try:
        return load_json(text)
    except ValueError:
        return None


def _usage_of(body: Any) -> dict[str, Any]:
    """Return the usage of an answer in the spelling of a batch; chat and embeddings have another one."""
    usage = _part(body, "usage")
    given = {
        "input": _number(usage, "input_tokens", "prompt_tokens"),
        "cached": _number(_part(usage, "input_tokens_details", "prompt_tokens_details"), "cached_tokens"),
        "output": _number(usage, "output_tokens", "completion_tokens"),
        "reasoning": _number(_part(usage, "output_tokens_details", "completion_tokens_details"), "reasoning_tokens"),
    }
    return {
        "input_tokens": given["input"],
        "input_tokens_details": {"cached_tokens": given["cached"]},
        "output_tokens": given["output"],
        "output_tokens_details": {"reasoning_tokens": given["reasoning"]},
        "total_tokens": given["input"] + given["output"],
    }


def _part(value: Any, *names: str) -> Any:
    if not isinstance(value, dict):
        return None
    return next((value[name] for name in names if name in value), None)


def _number(value: Any, *names: str) -> int:
    # A fault may have put anything there.
    number = _part(value, *names)
    return number if type(number) is int else 0
