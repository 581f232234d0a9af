"""The input file of a batch: its lines, and what must be right about them before any is answered.

In: an uploaded file, read line by line. Out: how many lines it has, or what is wrong with them, each with its
number and the service's code. Knows nothing of what the requests in the lines ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from llama_index_ft_rag.offline.api.fields import missing
from llama_index_ft_rag.offline.api.json_lines import Line, read_lines
from llama_index_ft_rag.offline.protocol import load_json

MOST_LINES = 50_000
MOST_ERRORS = 100
"""Of the errors that one batch tells; a longer list would be sent with every look."""


@dataclass(frozen=True, kw_only=True)
class CheckedInput:
    """What a whole input file holds."""

    total: int
    model: str | None
    """What all its requests ask; `None` only where there are errors."""
    errors: list[dict[str, Any]]
    """As the batch object lists them; empty if the batch can be run."""


def check_batch_input(content: IO[bytes], *, endpoint: str) -> CheckedInput:
    """Look for everything that keeps a batch from being run."""
    checks = _Checks(endpoint)
    total = 0
    for line in read_lines(content):
        total += 1
        if total > MOST_LINES:
            message = f"The batch input file has too many requests; at most {MOST_LINES} are taken."
            return CheckedInput(total=total, model=None, errors=[batch_error("too_many_tasks", message)])
        checks.look_at(line)
        if len(checks.errors) >= MOST_ERRORS:
            break
    if not total:
        checks.errors.append(batch_error("empty_file", "The batch input file has no requests."))
    return CheckedInput(total=total, model=checks.model, errors=checks.errors[:MOST_ERRORS])


def batch_error(code: str | None, message: str, *, param: str | None = None, line: int | None = None) -> dict[str, Any]:
    """Make one entry of the `errors` of a batch object."""
    return {"code": code, "message": message, "param": param, "line": line}


class _Checks:
    def __init__(self, endpoint: str) -> None:
        self.errors: list[dict[str, Any]] = []
        self.model: str | None = None
        self._endpoint = endpoint
        self._custom_ids: set[str] = set()

    def look_at(self, line: Line) -> None:
        try:
            value = load_json(line.text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            self._tell(line, "invalid_json_line", "This line is not parseable as valid JSON.", None)
            return
        self._check_custom_id(line, value)
        self._check_target(line, value)
        body = self._required(line, value, "body")
        if isinstance(body, dict):
            self._check_model(line, body.get("model"))
            if body.get("stream"):
                message = "Streaming is not supported in the Batch API."
                self._tell(line, "streaming_unsupported", message, "body.stream")
        elif body is not None:
            self._tell(line, "invalid_type", "Invalid type for 'body': expected an object.", "body")

    def _check_custom_id(self, line: Line, value: Mapping[str, Any]) -> None:
        custom_id = self._required(line, value, "custom_id")
        if custom_id is None:
            return
        if not isinstance(custom_id, str):
            self._tell(line, "invalid_type", "Invalid type for 'custom_id': expected a string.", "custom_id")
        elif custom_id in self._custom_ids:
            message = "The custom_id for this request is a duplicate of another request; each must be unique."
            self._tell(line, "duplicate_custom_id", message, "custom_id")
        else:
            self._custom_ids.add(custom_id)

    def _check_target(self, line: Line, value: Mapping[str, Any]) -> None:
        if self._required(line, value, "method") not in (None, "POST"):
            self._tell(line, "invalid_method", "The method of a request in a batch is 'POST'.", "method")
        if self._required(line, value, "url") not in (None, self._endpoint):
            message = "The URL provided for this request does not match the batch endpoint."
            self._tell(line, "invalid_url", message, "url")

    def _check_model(self, line: Line, model: Any) -> None:
        if not isinstance(model, str) or not model:
            self._tell(line, "invalid_request", "Model parameter is required.", "body.model")
        elif self.model is None:
            self.model = model
        elif model != self.model:
            message = (
                f"The model `{model}` provided for this request is not `{self.model}`, "
                "the one of the rest of the batch; a batch asks one model."
            )
            self._tell(line, "mismatched_model", message, "body.model")

    def _required(self, line: Line, value: Mapping[str, Any], name: str) -> Any:
        if value.get(name) is None:
            failure = missing(name).failure
            self._tell(line, failure.code, failure.message, name)
        return value.get(name)

    def _tell(self, line: Line, code: str | None, message: str, param: str | None) -> None:
        self.errors.append(batch_error(code, message, param=param, line=line.number))
