"""One stage's and arm's account in the ledger: which call this is, whether it was answered, and writing it down.

In: requests of one model. Out: entries, each either holding the answer paid for earlier or waiting for one. The
same request asked again within a run is another call with the next repeat number, so that a judge may ask three
times on purpose; a failed call gives its number back, so that asking again continues where it failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import openai
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from pydantic import BaseModel

from llama_index_ft_rag.ledger.store import (
    CallIntent,
    CallMethod,
    CallState,
    LedgerStore,
    Payer,
    StoredAnswer,
)
from llama_index_ft_rag.ledger.stored_responses import dump_response
from llama_index_ft_rag.recording.messages import broke_off, plain, to_wire, tools_to_wire, usage_of
from llama_index_ft_rag.recording.reasons import BROKE_OFF

# Settings of an LLM or embedding that do not change what it answers: secrets, transport, LlamaIndex's own wiring.
_IRRELEVANT_SETTINGS = frozenset(
    {
        "api_base",
        "api_key",
        "api_version",
        "async_http_client",
        "callback_manager",
        "default_headers",
        "embed_batch_size",
        "embeddings_cache",
        "http_client",
        "max_retries",
        "num_workers",
        "pydantic_program_mode",
        "rate_limiter",
        "request_timeout",
        "reuse_client",
        "timeout",
    }
)

# What an API error comes from when no connection was had: the request never left this machine.
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"})

# What openai and LlamaIndex raise over an answer that is not what it should be: it came, so it may be on the bill.
_UNREADABLE = (json.JSONDecodeError, AttributeError, IndexError, KeyError, TypeError)


class RepeatNumbers:
    """Numbers 0, 1, 2, ... for each identical request; a number given back is the next one out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, int] = {}
        self._returned: dict[str, list[int]] = {}

    def take(self, request: str) -> int:
        """The lowest number that is free."""
        with self._lock:
            returned = self._returned.get(request)
            if returned:
                return heapq.heappop(returned)
            number = self._next.get(request, 0)
            self._next[request] = number + 1
            return number

    def give_back(self, request: str, number: int) -> None:
        """Free the number of a call that failed."""
        with self._lock:
            heapq.heappush(self._returned.setdefault(request, []), number)


class Entry:
    """A call under way: `stored` is its answer from the ledger, else `keep` takes the one that comes back."""

    def __init__(self, stored: StoredAnswer | None) -> None:
        self.stored = stored
        self.has_begun = False
        """Whether a part of the answer came in: it is charged, whatever becomes of the rest."""
        self.answer: ChatResponse | CompletionResponse | None = None

    def keep(self, answer: ChatResponse | CompletionResponse | None) -> None:
        """Take the whole answer; it is written down when the entry closes."""
        self.answer = answer


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where the calls of one model, stage and arm are written down."""

    store: LedgerStore
    repeats: RepeatNumbers
    payer: Payer

    def __deepcopy__(self, memo: dict[int, Any]) -> Account:
        """A copied LLM pays from the same account: a database handle cannot be copied."""
        return self

    @contextmanager
    def entry(self, method: CallMethod, request: str) -> Iterator[Entry]:
        """Find a call in the ledger, or write down that it is sent and, at the end, what became of it."""
        request_hash = _hash([vars(self.payer), method, request])
        repeat = self.repeats.take(request_hash)
        key = _hash([request_hash, repeat])
        stored = self.store.answer_to(key)
        if stored is not None:
            self.store.count_replay(self.payer)
            yield Entry(stored)
            return
        intent = CallIntent(key=key, request_hash=request_hash, repeat=repeat, method=method, payer=self.payer)
        [row_id] = self.store.intend([intent])
        started = time.monotonic()
        entry = Entry(None)
        try:
            yield entry
        except BaseException as exc:
            self.repeats.give_back(request_hash, repeat)
            state: CallState = "possibly charged" if entry.has_begun else state_after(exc)
            self.store.fail([row_id], state=state, error=type(exc).__name__)
            raise
        if entry.answer is None or broke_off(entry.answer):
            self.repeats.give_back(request_hash, repeat)
            state = "possibly charged" if entry.has_begun else "failed"
            self.store.fail([row_id], state=state, error=BROKE_OFF if entry.has_begun else "no response")
            return
        latency = round(time.monotonic() - started, 6)
        self.store.answer(row_id, dump_response(entry.answer), usage=usage_of(entry.answer), latency_s=latency)


def state_after(error: BaseException) -> CallState:
    """Whether a call that ended like this can have been charged without our seeing an answer."""
    if not isinstance(error, Exception) or isinstance(error, (asyncio.CancelledError, *_UNREADABLE)):
        return "possibly charged"
    # By name: the classes are httpx's or httpx2's, as the installed openai has it. It lets them through from streams.
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    is_of_connection = cause is not error or type(error).__module__.startswith("httpx")
    return "possibly charged" if is_of_connection and type(cause).__name__ not in _NEVER_SENT else "failed"


def chat_request(messages: Sequence[ChatMessage], *, settings: Mapping[str, Any]) -> str:
    """What identifies a chat: its messages as sent, and everything that changes the answer."""
    try:
        sent: Any = to_wire(messages)
    except ValueError:  # the LLM may well take what OpenAI's format cannot express
        sent = [message.model_dump(mode="json") for message in messages]
    return _canonical({"messages": sent, "settings": _call_settings(settings)})


def completion_request(prompt: str, *, settings: Mapping[str, Any]) -> str:
    """What identifies a completion."""
    return _canonical({"prompt": prompt, "settings": _call_settings(settings)})


def embedding_key(payer: Payer, kind: str, text: str, *, settings: Mapping[str, Any]) -> str:
    """Key of one text's embedding: the same whichever stage or arm asks for it."""
    return _hash([payer.endpoint, payer.model, "embedding", kind, text, plain(settings)])


def model_settings(model: BaseModel) -> dict[str, Any]:
    """What an LLM or embedding is set to, as far as it changes answers and can be told apart between processes."""
    values = {
        name: getattr(model, name)
        for name in sorted(type(model).model_fields)
        if name not in _IRRELEVANT_SETTINGS and not name.endswith("_headers")
    }
    return {name: plain(value) for name, value in values.items() if not callable(value)}


def _call_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: plain(value) for name, value in settings.items()}
    if settings.get("tools"):
        known["tools"] = tools_to_wire(settings["tools"]) or known["tools"]
    return known


def _hash(value: Any) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
