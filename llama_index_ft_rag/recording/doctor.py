"""The attach doctor: says why a handler sees nothing of an app's LLM calls, and what to do.

In: the LLM calls of queries, those that reached the handler and those that did not. Out: one warning in the log for
each cause, when the query ends, and the same sentences for the error of an empty recording. Knows nothing of what is
recorded.
"""

from __future__ import annotations

import logging
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Any

from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.response_synthesizers import Refine
from llama_index.llms.openai import OpenAI

from llama_index_ft_rag.concurrency import LockOwner
from llama_index_ft_rag.recording.log_lines import say
from llama_index_ft_rag.recording.query_groups import QueryGroup
from llama_index_ft_rag.recording.spans import Span

logger = logging.getLogger(__name__)

_ATTACH = "handler.attach(), which sees every call however the engine was built"
_MOST_REMEMBERED = 100


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """An LLM whose calls came through a callback manager, and that manager; neither is kept alive."""

    llm: weakref.ref[Any]
    manager: weakref.ref[Any]


@dataclass(frozen=True, kw_only=True)
class _Packing:
    """How an engine that can make refine steps packs its contexts into calls."""

    window: int
    llm: type


class AttachDoctor(LockOwner):
    """Watches over one handler."""

    def __init__(self, handler: BaseCallbackHandler) -> None:
        self._handler = weakref.ref(handler)
        self.is_off_duty = False
        """Whether it was ever used in another way than callbacks: what it does not record then is not meant."""
        self.has_other_events = False
        """Whether events other than LLM calls reached the handler through a callback manager."""
        super().__init__()
        self._heard: dict[int, _Heard] = {}
        self._streamed: deque[QueryGroup] = deque(maxlen=_MOST_REMEMBERED)
        self._asked_in_scope: weakref.WeakSet[QueryGroup] = weakref.WeakSet()
        self._queries_without_calls = 0
        self._missed = 0
        self._last_missed: str | None = None
        self._warned: set[str] = set()
        self._causes: dict[str, str] = {}
        self._packing: _Packing | None = None

    def call_recorded(self, span: Span) -> None:
        """Remember an LLM whose calls reach the handler, and how much its engine puts into one call."""
        if self._causes:
            self._causes.clear()
        llm = span.instance
        if llm is None:
            return
        self._packing = _packing_around(span) or self._packing
        manager = getattr(llm, "callback_manager", None)
        heard = self._heard.get(id(llm))
        if heard is not None and heard.llm() is llm and heard.manager() is manager:
            return
        if manager is not None and (id(llm) in self._heard or len(self._heard) < _MOST_REMEMBERED):
            self._heard[id(llm)] = _Heard(llm=weakref.ref(llm), manager=weakref.ref(manager))

    def call_missed(self, llm: Any) -> None:
        """Count a call that was made and did not reach the handler."""
        self._missed += 1
        self._last_missed = _name_of(llm)

    def call_silent(self, span: Span) -> None:
        """Warn of a call that LlamaIndex told nobody of."""
        name = f"{type(span.instance).__name__}.{span.method}"
        sentence = (
            f"{name} was called, and LlamaIndex announces these calls to nobody (a method without llm_chat_callback or "
            "llm_completion_callback, or one that sends its request itself); give the engine handler.wrap(llm)"
        )
        self._warn(f"silent {name}", sentence, about="cannot see a call")

    def query_ended(self, group: QueryGroup, llm: Any, *, has_stream: bool) -> None:
        """Warn if calls were made for this query and none of them reached the handler.

        Args:
            group: The calls of the query.
            llm: The LLM last asked for it.
            has_stream: Whether the query returned a stream that is still to be read.
        """
        if group.is_explicit:
            self._asked_in_scope.add(group)
        if has_stream:
            self._streamed.append(group)
        elif not group.seen and not group.unseen:
            self._queries_without_calls += 1
        if self.is_off_duty or group.seen or not group.unseen or self._is_not_meant(llm):
            return
        self._warn(*self._diagnose(llm), about="saw none of the LLM calls of this query")

    def scope_ended(self, group: QueryGroup, *, missed: int) -> None:
        """Warn if nothing was asked inside a scope, but calls were made elsewhere meanwhile."""
        if group.seen or not missed or group in self._asked_in_scope:
            return
        sentence = (
            f"no LLM call was made inside handler.recording(), but {missed} outside it meanwhile: a thread of your own "
            "does not carry it along; start it with handler.carry(function), or open recording() inside it"
        )
        self._warn("scope", sentence, about="recorded nothing")

    def why_nothing(self) -> str:
        """Why nothing was seen, as far as the queries so far tell."""
        if self._causes:
            return "; ".join(self._causes.values())
        unread = sum(not group.seen and not group.unseen for group in self._streamed)
        if unread:
            return (
                f"answers were streamed and never read ({unread}): LlamaIndex sends the request when the first piece "
                "is asked for; read them to their end"
            )
        if self._missed:
            when = "was made while it was attached or inside handler.recording()" if self.is_off_duty else "reached it"
            return (
                f"none of the LLM calls since this handler was made ({self._missed}, the last by {self._last_missed}) "
                f"{when}; before the first query call {_ATTACH}"
            )
        if self._queries_without_calls:
            return (
                f"queries ended without an LLM call ({self._queries_without_calls}): their engine asks no LLM, or "
                "found no contexts; look at its response mode and at what its retriever returns"
            )
        return (
            "no LLM call was made since this handler was made; use one and the same handler for the queries and here, "
            f"and before the first query call {_ATTACH}"
        )

    def why_no_refine(self) -> str | None:
        """Why there is no refine step among the recorded calls, where an engine that can make some was seen."""
        if self._packing is None:
            return None
        llm = self._packing.llm
        is_ignored = issubclass(llm, OpenAI) and "context_window" not in llm.model_fields
        ignored = ", which OpenAI(context_window=...) does not change" if is_ignored else ""
        return (
            "no refine step was made: the contexts of each query fitted into one call, in a window of "
            f"{self._packing.window} tokens{ignored}; set Settings.context_window before the engine is built, or build "
            "it with response_mode='refine'"
        )

    def _is_not_meant(self, llm: Any) -> bool:
        """Whether the handler works, and this call looks as if it were left out on purpose."""
        heard = self._heard.get(id(llm))
        if heard is None or heard.llm() is not llm:
            return bool(self._heard)  # another engine
        return heard.manager() is getattr(llm, "callback_manager", None)  # the handler was taken out of it

    def _diagnose(self, llm: Any) -> tuple[str, str]:
        name, theirs = _name_of(llm), getattr(llm, "callback_manager", None)
        settings_manager = Settings._callback_manager  # noqa: SLF001 - the public getter makes one
        cure, by = f"call {_ATTACH}", "another one"
        if theirs is not None and theirs is settings_manager:
            cure = f"call Settings.callback_manager.add_handler(handler), or {_ATTACH}"
            by = "Settings.callback_manager"
        if id(llm) in self._heard:
            return "moved", (
                f"the callback manager of {name}, through which its earlier calls came, was replaced by {by}; {cure}"
            )
        if self._is_in(settings_manager):
            return "too late", (
                f"Settings.callback_manager has the handler, but {name} keeps another callback manager, the one from "
                "before or one of its own; set Settings.callback_manager before LLM and engine are built, add the "
                f"handler to the other one with add_handler, or call {_ATTACH}"
            )
        if self.has_other_events:
            return "index", (
                "the callback manager with the handler was given to an index, a retriever or an engine, which do not "
                f"hand it on to {name}; {cure}"
            )
        if llm is Settings._llm:  # noqa: SLF001 - the public getter makes one
            return "settings llm", (
                f"the engine asked Settings.llm, here {name}, and this handler is not in its callback manager; call "
                f"{_ATTACH}. If another LLM was meant, pass it as llm= to as_query_engine: service_context= is ignored"
            )
        return "replaced", (
            "this handler is in no callback manager that the LLM of this engine uses (building an engine replaces one "
            f"that was given to its LLM), here {name}; {cure}"
        )

    def _warn(self, cause: str, sentence: str, *, about: str) -> None:
        with self.lock:
            self._causes[cause] = sentence
            if cause in self._warned:
                return
            self._warned.add(cause)
        say(logger, logging.WARNING, "OpenAIFineTuningHandler %s: %s", about, sentence)

    def _is_in(self, manager: CallbackManager | None) -> bool:
        handler = self._handler()
        return manager is not None and any(known is handler for known in manager.handlers)


def _name_of(llm: Any) -> str:
    return f"{type(llm).__name__}({getattr(llm, 'model', '')})"


def _packing_around(span: Span) -> _Packing | None:
    for link in span.chain():
        if isinstance(link.instance, Refine):
            window = getattr(getattr(link.instance, "_prompt_helper", None), "context_window", None)
            return _Packing(window=window, llm=type(span.instance)) if isinstance(window, int) else None
    return None
