"""The first witness: the published description of the API, with requests that schemathesis makes of it.

In: the description as a file. Out: a column. Each operation gets valid requests, with real ids put into them,
and invalid ones. What is answered with success must have the shape and the content type that the description
gives; nothing may be a server error. Which refusals are right, the description does not say.

It runs as a program of its own: Hypothesis draws from the constants of whatever modules are loaded, so that in
a test run the requests would depend on which tests came before.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis.core.failures import FailureGroup
from schemathesis.openapi.checks import JsonSchemaError
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from conformance.client_api import answer
from conformance.explanations import Explanation, Explanations
from conformance.stage import BATCH, MODEL, TRAINING, Stage, served_operations
from conformance.table import Cell, Column, cell_of
from llama_index_ft_rag.offline import OfflineBackend, ScriptedResponder, serve

WITNESS = "schema"
EXAMPLES = 40
"""Requests per operation and kind."""

_JOBS = ("POST /v1/fine_tuning/jobs", "GET /v1/fine_tuning/jobs", "GET /v1/fine_tuning/jobs/*")
_FILES = ("POST /v1/files", "GET /v1/files", "GET /v1/files/*")
_BATCHES = ("POST /v1/batches", "GET /v1/batches", "GET /v1/batches/*", "POST /v1/batches/*/cancel")
_HAPPENED = {
    "errors": {"failed"},
    "output_file_id": {"completed"},
    "in_progress_at": {"in_progress", "finalizing", "completed", "expired"},
    "finalizing_at": {"finalizing", "completed"},
    "completed_at": {"completed"},
    "failed_at": {"failed"},
    "expired_at": {"expired"},
    "cancelling_at": {"cancelling", "cancelled"},
    "cancelled_at": {"cancelled"},
}
"""By field of a batch, the statuses in which it must say something."""
_NEVER_NULL = {"in_progress_at": "GET /v1/batches/*", "cancelling_at": "POST /v1/batches/*/cancel"}
"""By field of a batch, the operation that always fills it: a look at one batch moves it on."""

EXPLANATIONS = (
    *(
        Explanation(
            reason="the description's own example of a batch has null for what has not happened",
            departures=(f"{name} is null, against its type",),
            places=tuple(place for place in _BATCHES if place != _NEVER_NULL.get(name)),
            when=lambda evidence, happened=statuses: evidence.thing["status"] not in happened,
        )
        for name, statuses in _HAPPENED.items()
    ),
    Explanation(
        reason="the description's own example of a batch has null for what has not happened",
        departures=("error_file_id is null, against its type",),
        places=_BATCHES,
        when=lambda evidence: evidence.thing["request_counts"]["failed"] == 0,
    ),
    Explanation(
        reason="an empty list has no first and no last id",
        departures=("first_id is null, against its type", "last_id is null, against its type"),
        places=("GET /v1/files", "GET /v1/batches"),
        when=lambda evidence: evidence.thing["data"] == [],
    ),
    Explanation(
        reason="recorded traffic has null for a file that nothing is wrong with",
        departures=("status_details is null, against its type",),
        places=_FILES,
        when=lambda evidence: evidence.thing["status"] != "error",
    ),
    Explanation(
        reason="the description takes this purpose in a request and forgets it in the answer",
        departures=('purpose is "evals", against its enum',),
        places=("POST /v1/files",),
    ),
    Explanation(
        reason="recorded traffic has an empty object for a job that nothing is wrong with",
        departures=("error is {}, against its anyOf",),
        places=(*_JOBS, *(f"POST /v1/fine_tuning/jobs/*/{change}" for change in ("cancel", "pause", "resume"))),
        when=lambda evidence: evidence.thing["status"] != "failed",
    ),
    Explanation(
        reason="the description's own example of a preference job has null in the place of other methods' settings",
        departures=("hyperparameters is null, against its type",),
        places=("POST /v1/fine_tuning/jobs",),
        when=lambda evidence: evidence.thing["method"]["type"] == "dpo",
    ),
    Explanation(
        reason="the description's own example of a paused job says so",
        departures=('status is "paused", against its enum',),
        places=(*_JOBS[1:], "POST /v1/fine_tuning/jobs/*/pause"),
    ),
    Explanation(
        reason="recorded traffic has the bytes of a file as what they are, the description as a JSON string",
        departures=("content type application/octet-stream",),
        places=("GET /v1/files/*/content",),
    ),
    Explanation(
        reason="recorded traffic has one string where base64 was asked for",
        departures=("embedding is a str, against its type",),
        places=("POST /v1/embeddings",),
        when=lambda evidence: evidence.request["encoding_format"] == "base64",
    ),
)
"""How the backend departs from the description; in a list, each item counts as if alone.
A place or departure that nothing needs is an error."""

_NOT_DESCRIBED = "the description at hand has no such operation"
_SETTINGS = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

_Prepare = Callable[[schemathesis.Case], None]


@dataclass(frozen=True, kw_only=True)
class _Evidence:
    """What is around a value that departs."""

    thing: Any
    """The object that has the value."""
    request: Any
    """The body of the request."""


@dataclass
class _Seen:
    """What became of the requests for one operation."""

    operation: str
    explanations: Explanations
    statuses: Counter[int] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)

    def add(self, violation: str, evidence: _Evidence) -> None:
        """Take a violation down, as explained or as a problem."""
        reason = self.explanations.reason(violation, place=self.operation, evidence=evidence)
        if reason is None:
            self.problems[violation] += 1
        else:
            self.reasons.add(reason)


def witness(description: Path) -> Column:
    """Ask backends with a scripted responder for all that the description has and the backend serves."""
    schema = schemathesis.openapi.from_dict(yaml.load(description.read_text("utf-8"), Loader=yaml.CSafeLoader))
    operations = {_name(found.ok()): found.ok() for found in schema.get_all_operations()}
    explanations = Explanations(EXPLANATIONS)
    cells: dict[str, Cell] = {}
    for name in served_operations():
        if name in operations:
            cells[name] = _judge(_ask(operations[name], _Seen(operation=name, explanations=explanations)))
        else:
            cells[name] = Cell(verdict="skipped", notes=(_NOT_DESCRIBED,))
    return Column(witness=WITNESS, cells={**cells, **explanations.idle()})


@schemathesis.deserializer("text/event-stream")
def chunks(_context: schemathesis.DeserializationContext, response: schemathesis.Response) -> list[Any]:
    """Read the chunks of a stream, each of which the description has a schema for."""
    return [
        json.loads(event.removeprefix("data: "))
        for event in response.content.decode("utf-8").split("\n\n")
        if event not in {"", "data: [DONE]"}
    ]


def _name(operation: schemathesis.APIOperation) -> str:
    return f"{operation.method.upper()} /v1{re.sub('{[^}]*}', '*', operation.path)}"


def _ask(operation: schemathesis.APIOperation, seen: _Seen) -> _Seen:
    with OfflineBackend(responder=ScriptedResponder(answer)) as backend, serve(backend) as server:
        for mode, prepare in _kinds_of_requests(Stage(backend), seen):
            _ask_in_one_way(operation.as_strategy(mode), prepare, server.url, seen)
    return seen


def _ask_in_one_way(cases: SearchStrategy[schemathesis.Case], prepare: _Prepare, url: str, seen: _Seen) -> None:
    @_SETTINGS
    @given(case=cases)
    def ask(case: schemathesis.Case) -> None:
        prepare(case)
        _send(case, url, seen)

    ask()


def _kinds_of_requests(stage: Stage, seen: _Seen) -> Iterator[tuple[schemathesis.GenerationMode, _Prepare]]:
    name = seen.operation

    def put_in_what_exists(case: schemathesis.Case) -> None:
        for parameter in case.path_parameters:
            case.path_parameters[parameter] = stage.id_for(name)
        if name.startswith("GET") and not case.path_parameters and seen.statuses:
            stage.id_for(name)  # only the first request sees an empty list
        if isinstance(case.body, dict):
            case.body.update(_existing(case.body, stage))

    def ask_for_a_stream(case: schemathesis.Case) -> None:
        case.body.update(model=MODEL, stream=True, messages=[{"role": "user", "content": "q"}])

    yield schemathesis.GenerationMode.POSITIVE, put_in_what_exists
    if name == "POST /v1/chat/completions":
        yield schemathesis.GenerationMode.POSITIVE, ask_for_a_stream
    yield schemathesis.GenerationMode.NEGATIVE, lambda _case: None


def _existing(body: dict[str, Any], stage: Stage) -> dict[str, Any]:
    makers: dict[str, Callable[[], Any]] = {
        "model": lambda: MODEL,
        "training_file": stage.file,
        "validation_file": stage.file,
        "input_file_id": lambda: stage.file(BATCH, purpose="batch"),
        "file": lambda: TRAINING,
        "dimensions": lambda: 2,
    }
    return {name: make() for name, make in makers.items() if body.get(name) is not None}


def _send(case: schemathesis.Case, url: str, seen: _Seen) -> None:
    response = case.call(base_url=url, headers={"Authorization": "Bearer any"})
    seen.statuses[response.status_code] += 1
    if response.status_code >= 500:
        seen.problems[f"status {response.status_code} for {case.as_curl_command()}"] += 1
    if not 200 <= response.status_code < 300:
        return
    try:
        case.validate_response(response, checks=[response_schema_conformance, content_type_conformance])
    except FailureGroup as group:
        for failure in group.exceptions:
            seen.add(_describe(failure), _Evidence(thing=_thing(failure, response.content), request=case.body))


def _describe(failure: Any) -> str:
    if not isinstance(failure, JsonSchemaError):
        return f"content type {failure.content_type}" if hasattr(failure, "content_type") else str(failure.message)
    path = "".join("[]" if isinstance(step, int) else f".{step}" for step in failure.instance_path)
    keyword = failure.schema_path[-1]
    value = failure.instance
    shown = json.dumps(value) if not value or keyword == "enum" else f"a {type(value).__name__}"
    return f"{path.removeprefix('.data[]').lstrip('.')} is {shown}, against its {keyword}"


def _thing(failure: Any, content: bytes) -> Any:
    """Find the object whose value a failure is about."""
    if not isinstance(failure, JsonSchemaError) or content.startswith(b"data: "):
        return None
    thing = json.loads(content)
    for step in list(failure.instance_path)[:-1]:
        thing = thing[step]
    return thing


def _judge(seen: _Seen) -> Cell:
    problems = list(seen.problems)
    if not any(200 <= status < 300 for status in seen.statuses):
        problems.append(f"no request succeeded: {dict(seen.statuses)}")
    return cell_of(problems=problems, explained=sorted(seen.reasons))


if __name__ == "__main__":
    json.dump(witness(Path(sys.argv[1])).to_dict(), sys.stdout)
