"""Responses in the service's shape, whole and as a stream of events.

In: what a model says. Out: a response object, and the events that build it up. The events are made from the
finished response, so that a stream and a response that is fetched later can never differ. Knows nothing of
requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llama_index_ft_rag.offline.api.answers import Answer, Call
from llama_index_ft_rag.offline.protocol import EVENT_HEADERS, Response, stable_hash
from llama_index_ft_rag.offline.tokens import split_tokens

Event = dict[str, Any]


def make_response(
    answer: Answer, *, identity: str, model: str, created: int, echo: Mapping[str, Any], input_tokens: int
) -> dict[str, Any]:
    """Return the finished response.

    Args:
        answer: What the model says.
        identity: Decides the ids.
        model: Who says it.
        created: Unix time.
        echo: The settings of the request, as the response repeats them.
        input_tokens: Tokens of the request.
    """
    cut_by = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(answer.finish_reason)
    status = "incomplete" if cut_by else "completed"
    return {
        "id": f"resp_{identity[:48]}",
        "object": "response",
        "created_at": created,
        "status": status,
        "background": False,
        "completed_at": None if cut_by else created,
        "error": None,
        "incomplete_details": {"reason": cut_by} if cut_by else None,
        "model": model,
        "output": _output(answer, identity, status),
        **echo,
        "usage": {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": answer.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input_tokens + answer.tokens,
        },
    }


def stream_response(response: Mapping[str, Any]) -> Response:
    """Answer with the events of a response, numbered from 0."""
    body = [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n".encode("ascii")
        for number, event in enumerate(_events(response))
    ]
    return Response(status=200, headers=EVENT_HEADERS, body=body, tokens=response["usage"]["total_tokens"])


def _output(answer: Answer, identity: str, status: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if answer.content or (answer.content == "" and not answer.calls):
        content.append({"type": "output_text", "annotations": [], "logprobs": [], "text": answer.content})
    if answer.refusal is not None:
        content.append({"type": "refusal", "refusal": answer.refusal})
    items = [_message(content, identity)] if content else []
    items.extend(_function_call(call, identity, place) for place, call in enumerate(answer.calls))
    if items:
        items[-1]["status"] = status
    return items


def _message(content: list[dict[str, Any]], identity: str) -> dict[str, Any]:
    made = stable_hash(identity, "message")[:48]
    return {"id": f"msg_{made}", "type": "message", "status": "completed", "role": "assistant", "content": content}


def _function_call(call: Call, identity: str, place: int) -> dict[str, Any]:
    return {
        "id": "fc_" + stable_hash(identity, "function_call", place)[:48],
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def _events(response: Mapping[str, Any]) -> Iterator[Event]:
    begun = {
        **response,
        "status": "in_progress",
        "completed_at": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(response["output"]):
        place = {"output_index": index}
        grown: Event = {"content": []} if item["type"] == "message" else {"arguments": ""}
        yield {"type": "response.output_item.added", **place, "item": {**item, **grown, "status": "in_progress"}}
        inside = {**place, "item_id": item["id"]}
        yield from _message_events(item, inside) if item["type"] == "message" else _call_events(item, inside)
        yield {"type": "response.output_item.done", **place, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}


def _message_events(item: Mapping[str, Any], inside: Mapping[str, Any]) -> Iterator[Event]:
    for index, part in enumerate(item["content"]):
        place = {**inside, "content_index": index}
        # A refusal's events are named and filled like its part; those of a text carry its logprobs too.
        name = "text" if part["type"] == "output_text" else "refusal"
        more: Event = {"logprobs": []} if name == "text" else {}
        yield {"type": "response.content_part.added", **place, "part": {**part, name: ""}}
        for piece in split_tokens(part[name]):
            yield {"type": f"response.{part['type']}.delta", **place, "delta": piece, **more}
        yield {"type": f"response.{part['type']}.done", **place, name: part[name], **more}
        yield {"type": "response.content_part.done", **place, "part": part}


def _call_events(item: Mapping[str, Any], inside: Mapping[str, Any]) -> Iterator[Event]:
    for piece in split_tokens(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **inside, "delta": piece}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **inside, **done}
