"""The attach doctor: says why a handler in a callback manager sees nothing, and what to do.

In: the LLM calls of queries, those that reached the handler and those that did not. Out: one warning in the log for
each cause, when the query ends, and the same sentence for the error of an empty recording. Knows nothing of what is
recorded.
"""

from __future__ import annotations

import logging
import weakref
from collections import deque
from typing import Any

from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler

from llama_index_ft_rag.recording.query_groups import QueryGroup
from llama_index_ft_rag.recording.spans import Span

logger = logging.getLogger(__name__)

_CURE = "call handler.attach(), which sees every call however the engine was built"
_MOST_REMEMBERED = 100


class AttachDoctor:
    """Watches over one handler."""

    def __init__(self, handler: BaseCallbackHandler) -> None:
        self._handler = weakref.ref(handler)
        self.is_off_duty = False
        """Whether the handler was ever attached or given a scope: then what it does not record is not meant."""
        self.has_other_events = False
        """Whether events other than LLM calls reached the handler through a callback manager."""
        self._recorded_llms: dict[int, weakref.ref[Any]] = {}
        self._streamed: deque[QueryGroup] = deque(maxlen=_MOST_REMEMBERED)
        self._causes: dict[str, str] = {}

    def call_recorded(self, span: Span) -> None:
        """Remember an LLM whose calls reach the handler."""
        if span.instance is not None and len(self._recorded_llms) < _MOST_REMEMBERED:
            self._recorded_llms[id(span.instance)] = weakref.ref(span.instance)

    def query_ended(self, group: QueryGroup, llm: Any, *, has_stream: bool) -> None:
        """Warn if calls were made for this query and none of them reached the handler.

        Args:
            group: The calls of the query.
            llm: The LLM last asked for it.
            has_stream: Whether the query returned a stream that is still to be read.
        """
        if has_stream:
            self._streamed.append(group)
        if self.is_off_duty or group.seen or not group.unseen:
            return
        moved = self._recorded_llms.get(id(llm))
        if self._recorded_llms and (moved is None or moved() is not llm):
            return  # the handler works; this engine is another one, and may not be meant
        cause, sentence = self._diagnose(llm, has_moved=moved is not None)
        if cause not in self._causes:
            self._causes[cause] = sentence
            logger.warning("OpenAIFineTuningHandler saw none of the LLM calls of this query: %s", sentence)

    def scope_ended(self, group: QueryGroup, *, missed: int) -> None:
        """Warn if nothing was made inside a scope, but calls were made elsewhere meanwhile."""
        if group.seen or not missed or "scope" in self._causes:
            return
        sentence = (
            f"no LLM call was made inside handler.recording(), but {missed} outside it meanwhile; threads of your own "
            "do not carry it along: start them with handler.carry(function)"
        )
        self._causes["scope"] = sentence
        logger.warning("OpenAIFineTuningHandler: %s", sentence)

    def why_nothing(self) -> str:
        """Why nothing was seen, as far as the queries so far tell."""
        if self._causes:
            return "; ".join(self._causes.values())
        unread = sum(not group.seen and not group.unseen for group in self._streamed)
        if unread:
            return (
                f"{unread} streamed answers were returned and never read; LlamaIndex sends the request when the first "
                "piece is asked for, so read them to their end"
            )
        return (
            "no LLM call was made, or none reached this handler. Engines replace a callback manager set on the LLM, "
            f"and one put on Settings after the engine was built is not seen: {_CURE}, or put "
            "`with handler.recording():` around the queries, and use the same handler object here"
        )

    def _diagnose(self, llm: Any, *, has_moved: bool) -> tuple[str, str]:
        settings_manager = Settings._callback_manager  # noqa: SLF001 - the public getter makes one
        manager = getattr(llm, "callback_manager", None)
        name = f"{type(llm).__name__}({getattr(llm, 'model', '')})"
        if has_moved:
            return "moved", (
                f"the callback manager of {name}, through which its earlier calls came, was replaced; put the handler "
                f"on the new one with add_handler, or {_CURE}"
            )
        if self._is_in(settings_manager):
            return "too late", (
                "Settings.callback_manager was set after this engine was built; set it before, use "
                f"Settings.callback_manager.add_handler(handler), or {_CURE}"
            )
        if self.has_other_events:
            return "index", (
                "the callback manager with the handler was given to an index, a retriever or an engine, which do not "
                f"hand it on to the LLM; {_CURE}"
            )
        if llm is Settings._llm:  # noqa: SLF001 - the public getter makes one
            return "settings llm", (
                f"the engine asked Settings.llm, {name}. LlamaIndex ignores service_context= without a word: pass the "
                f"LLM as llm= to as_query_engine, and {_CURE}"
            )
        if settings_manager is not None and manager is settings_manager and manager.handlers:
            return "overruled", (
                f"Settings.callback_manager has replaced the callback manager given to {name}; put the handler there "
                f"with Settings.callback_manager.add_handler(handler), or {_CURE}"
            )
        return "replaced", (
            f"building an engine replaces the callback manager that was given to its LLM, here {name}; {_CURE}"
        )

    def _is_in(self, manager: CallbackManager | None) -> bool:
        handler = self._handler()
        return manager is not None and any(known is handler for known in manager.handlers)
