"""The second witness: recorded traffic of the real service, repeated against the offline backend.

In: the folder of recordings. Out: a column. A backend is set up so that what a request names exists, and its
scripted models say what the real ones said. Its answer must have the same status, the same content type, the same
code and type of an error, and each key of the recorded answer with the same JSON type; a stream, the same course.
"""

from __future__ import annotations

import http.client
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from conformance.explanations import Explanation, Explanations
from conformance.recordings import Exchange, read_recordings
from conformance.shapes import chunks_by_kind, courses, differences, read_events, shape_of
from conformance.stage import Stage, served_operations
from conformance.table import Cell, Column, cell_of
from llama_index_ft_rag.offline import (
    ChatReply,
    OfflineBackend,
    ScriptedResponder,
    ServiceConditions,
    ToolCall,
    TrainRequest,
    TrainStep,
    serve,
)
from llama_index_ft_rag.offline.faults import fits
from llama_index_ft_rag.offline.responder import FinishReason

WITNESS = "recordings"

_STREAMS = "datadog-openai/v1_chat_completion"

EXPLANATIONS = (
    Explanation(
        reason="a model of 2023 took the address of an image as plain text, where the description wants an object",
        departures=("status 400 about messages[0].content[1].image_url, not 200",),
        places=("datadog-openai/v1_chat_completion_image_input.yaml, 1",),
    ),
    Explanation(
        reason="streams that were recorded under the headers of another answer",
        departures=("content type text/event-stream, not application/json",),
        places=(
            f"{_STREAMS}_streamed.yaml, 1",
            f"{_STREAMS}_streamed_tokens.yaml, 1",
            f"{_STREAMS}_tool_call_streamed.yaml, 1",
        ),
        when=lambda exchange: b'"stream": true' in exchange.request,
    ),
    Explanation(
        reason="streams that were recorded with figures that their requests do not ask for",
        departures=(
            "the course of a choice is None, not usage",
            "role with tool call: no usage",
            "arguments: no usage",
            "end: no usage",
        ),
        places=(f"{_STREAMS}_streamed_tokens.yaml, 1", f"{_STREAMS}_tool_call_streamed.yaml, 1"),
        when=lambda exchange: b"include_usage" not in exchange.request,
    ),
    Explanation(
        reason="random padding, which the offline backend leaves out so that equal requests get equal answers",
        departures=("role: no obfuscation", "text: no obfuscation", "end: no obfuscation"),
        places=(
            "datadog-llamaindex/llama_index_chat_stream.yaml, 1",
            "datadog-llamaindex/llama_index_complete_stream.yaml, 1",
        ),
    ),
    Explanation(
        reason="in 2023 a job knew its epochs as soon as it was made; later recordings say `auto`",
        departures=("hyperparameters.n_epochs is string, not number",),
        places=("ruby-openai/history/jobs_create_200_status_created.yml, 1",),
    ),
    Explanation(
        reason="offline trainers are told neither a batch size nor a learning rate, so that `auto` stays",
        departures=(
            "hyperparameters.batch_size is string, not number",
            "hyperparameters.learning_rate_multiplier is string, not number",
            "method.supervised.hyperparameters.batch_size is string, not number",
            "method.supervised.hyperparameters.learning_rate_multiplier is string, not number",
        ),
        places=("finetune-sdk-outputs/job_running.json", "finetune-sdk-outputs/job_succeeded.json"),
    ),
    Explanation(
        reason="in 2023 a model told what may be done with it and what it was made of",
        departures=("no permission", "no root", "no parent"),
        places=("datadog-openai/v1_model_retrieve.yaml, 1",),
    ),
)
"""How the backend's answers depart from recorded ones. A place or departure that nothing needs is an error."""

_STATUS_BEFORE = {"created": "validating_files", "running": "queued"}
"""A look moves a job on; `created` is the word of 2023 for one that nobody has looked at."""


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    content_type: str
    body: bytes


@dataclass
class _Seen:
    """How the answers to one operation differ from the recorded ones."""

    problems: dict[str, str] = field(default_factory=dict)
    """Each unexplained difference, and the first recording that shows it."""
    reasons: set[str] = field(default_factory=set)


def witness(recordings: Path) -> Column:
    """Repeat all recordings of operations that are served."""
    served = served_operations()
    explanations = Explanations(EXPLANATIONS)
    seen: dict[str, _Seen] = {}
    for exchange in read_recordings(recordings):
        path = urlsplit(exchange.target).path
        operation = next((name for name in served if fits(name, exchange.method, path)), None)
        if operation is not None:
            found = seen.setdefault(operation, _Seen())
            for difference in _differences(exchange, _repeat(exchange, operation)):
                reason = explanations.reason(difference, place=exchange.source, evidence=exchange)
                if reason is None:
                    found.problems.setdefault(difference, exchange.source)
                else:
                    found.reasons.add(reason)
    not_recorded = Cell(verdict="skipped", notes=("no recording at hand shows it",))
    cells = {name: _judge(seen[name]) if name in seen else not_recorded for name in served}
    return Column(witness=WITNESS, cells={**cells, **explanations.idle()})


def _judge(seen: _Seen) -> Cell:
    problems = [f"{difference} ({source})" for difference, source in seen.problems.items()]
    return cell_of(problems=problems, explained=sorted(seen.reasons))


class _Replaying(ScriptedResponder):
    """Says what a recorded answer says, and trains with figures for all that a recording may show."""

    def __init__(self, exchange: Exchange) -> None:
        replies = _replies(exchange) or [ChatReply(content="")]
        super().__init__(replies, models=() if exchange.status == 404 else None, dimensions=1536)

    def train(self, request: TrainRequest, on_step: Callable[[TrainStep], None]) -> dict[str, Any]:
        return super().train(request, lambda step: on_step(replace(step, train_accuracy=0.5)))


def _replies(exchange: Exchange) -> list[ChatReply]:
    if exchange.status != 200 or not exchange.target.endswith("/completions"):
        return []
    if _is_stream(exchange.answer):
        chunks, _ = read_events(exchange.answer)
        return [_reply(_joined(deltas)) for deltas in _deltas(chunks).values()]
    return [
        _reply({**choice["message"], "finish_reason": choice.get("finish_reason")})
        for choice in json.loads(exchange.answer)["choices"]
    ]


def _reply(message: Mapping[str, Any]) -> ChatReply:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    calls += [message["function_call"]] if message.get("function_call") else []
    reason = message.get("finish_reason")
    return ChatReply(
        content=message.get("content"),
        finish_reason=reason if reason in get_args(FinishReason) else "stop",
        tool_calls=[ToolCall(name=call["name"], arguments=call["arguments"]) for call in calls],
        refusal=message.get("refusal"),
    )


def _deltas(chunks: Sequence[Any]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for chunk in chunks:
        for choice in chunk["choices"]:
            found[choice["index"]].append({**choice["delta"], "finish_reason": choice.get("finish_reason")})
    return found


def _joined(deltas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    calls: dict[int, dict[str, str]] = defaultdict(lambda: {"name": "", "arguments": ""})
    for delta in deltas:
        for call in delta.get("tool_calls") or ():
            for key in ("name", "arguments"):
                calls[call["index"]][key] += call["function"].get(key) or ""
    texts = [delta["content"] for delta in deltas if delta.get("content") is not None]
    return {
        "content": "".join(texts) if texts else None,
        "tool_calls": [{"function": call} for call in calls.values()],
        "finish_reason": next((delta["finish_reason"] for delta in deltas if delta["finish_reason"]), None),
    }


def _repeat(exchange: Exchange, operation: str) -> _Answer:
    with OfflineBackend(responder=_Replaying(exchange)) as backend, serve(backend) as server:
        target, body = exchange.target, exchange.request
        if exchange.status in {200, 429}:
            target, body = _set_up(exchange, operation, Stage(backend))
        if exchange.status == 429:
            backend.conditions = ServiceConditions(max_active_jobs=1)
        headers = {"Content-Type": exchange.request_type, "Authorization": "Bearer any"}
        if exchange.status == 401:
            del headers["Authorization"]
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
        connection.request(exchange.method, target, body, headers)
        response = connection.getresponse()
        answer = _Answer(
            status=response.status, content_type=response.headers.get("content-type", ""), body=response.read()
        )
        connection.close()
    return answer


def _set_up(exchange: Exchange, operation: str, stage: Stage) -> tuple[str, bytes]:
    """Make what the request is about, and put its id into the request."""
    if operation == "GET /v1/files":
        for _ in json.loads(exchange.answer)["data"]:
            stage.file()
    if operation == "GET /v1/fine_tuning/jobs":
        for status in {job["status"] for job in json.loads(exchange.answer)["data"]}:
            stage.job(status)
    if operation == "POST /v1/fine_tuning/jobs":
        asked = json.loads(exchange.request)
        stage.job(model=asked["model"])
        return exchange.target, json.dumps({**asked, "training_file": stage.file()}).encode()
    if operation.endswith("*") and "jobs" in operation:
        status = json.loads(exchange.answer)["status"]
        return f"/v1/fine_tuning/jobs/{stage.job(_STATUS_BEFORE.get(status, status))}", b""
    if "*" not in operation:
        return exchange.target, exchange.request
    path, _, query = exchange.target.partition("?")
    segments = path.split("/")
    segments[operation.split("/").index("*")] = stage.id_for(operation)
    return "/".join(segments) + f"?{query}" * bool(query), exchange.request


def _differences(exchange: Exchange, ours: _Answer) -> list[str]:
    if ours.status != exchange.status:
        about = f" about {json.loads(ours.body)['error']['param']}" if ours.status != 200 else ""
        return [f"status {ours.status}{about}, not {exchange.status}"]
    found = []
    if exchange.content_type is not None and _media_type(exchange.content_type) != _media_type(ours.content_type):
        found.append(f"content type {_media_type(ours.content_type)}, not {_media_type(exchange.content_type)}")
    if _is_stream(exchange.answer):
        return found + _differences_of_streams(exchange.answer, ours.body)
    if exchange.target.endswith("/content"):
        return found
    recorded, given = json.loads(exchange.answer), json.loads(ours.body)
    if exchange.status != 200:
        found += [
            f"error of {key} {given['error'][key]}, not {recorded['error'][key]}"
            for key in ("type", "code")
            if recorded["error"][key] != given["error"][key]
        ]
    return found + differences(shape_of(recorded), shape_of(given))


def _differences_of_streams(recorded: bytes, ours: bytes) -> list[str]:
    recorded_chunks, recorded_end = read_events(recorded)
    our_chunks, our_end = read_events(ours)
    found = [] if recorded_end == our_end else ["the stream ends otherwise"]
    for wanted, given in zip_longest(courses(recorded_chunks), courses(our_chunks)):
        if wanted != given:
            found.append(f"the course of a choice is {given}, not {wanted}")
    mine = chunks_by_kind(our_chunks)
    for kind, chunks in chunks_by_kind(recorded_chunks).items():
        if kind in mine:
            found += [f"{kind}: {one}" for one in differences(shape_of(*chunks), shape_of(*mine[kind]))]
    return found


def _is_stream(body: bytes) -> bool:
    return body.startswith(b"data: ")


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip()
