"""Which span a stream came from that is read after its span has ended.

In: the generators that spans return. Out: the span whose generator is being read here and now; LlamaIndex sends the
request of a streamed answer when its first piece is read, by then outside every span. Knows nothing of calls.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable
from types import AsyncGeneratorType, FrameType, GeneratorType
from typing import Any, TypeAlias

from llama_index_ft_rag.concurrency import LockOwner
from llama_index_ft_rag.recording.spans import Span

Stream: TypeAlias = "GeneratorType[Any, Any, Any] | AsyncGeneratorType[Any, Any]"

_OF_STREAMS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_STREAM_FIELDS = ("response_gen", "chat_stream", "achat_stream")


class Streams(LockOwner):
    """Streams not yet collected, each with the innermost span that returned it. Keeps none of them alive."""

    def __init__(self) -> None:
        super().__init__()
        self._origins: weakref.WeakKeyDictionary[Stream, Span] = weakref.WeakKeyDictionary()

    def add(self, result: Any, span: Span, *, on_gone: Callable[[], object] | None = None) -> bool:
        """Remember the stream that a span returned, alone or inside a response; `False` if there is none.

        Args:
            result: What the span returned.
            span: The span that ended.
            on_gone: Called when nobody holds the stream any more, from any thread, in the middle of anything.
        """
        stream = _stream_of(result)
        if stream is None:
            return False
        with self.lock:
            self._origins.setdefault(stream, span)
        if on_gone is not None:
            weakref.finalize(stream, on_gone).atexit = False
        return True

    def has_ended(self, span: Span) -> bool:
        """Whether the stream that a span returned was read to its end; `False` where nobody holds it any more."""
        with self.lock:
            streams = [stream for stream, origin in self._origins.items() if origin is span]
        return bool(streams) and all(_frame_of(stream) is None for stream in streams)

    def read_here(self) -> list[Span]:
        """The spans whose streams are being read by the code that runs now, innermost first."""
        if not self._origins:
            return []
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - a stream knows its reader by the stack alone
        reading = []
        while frame is not None:
            if frame.f_code.co_flags & _OF_STREAMS:
                reading.append(frame)
            frame = frame.f_back
        if not reading:
            return []
        with self.lock:
            origins = {_frame_of(stream): span for stream, span in list(self._origins.items())}
        return [origins[frame] for frame in reading if frame in origins]


def _stream_of(result: Any) -> Stream | None:
    if isinstance(result, (GeneratorType, AsyncGeneratorType)):
        return result
    for name in _STREAM_FIELDS:
        stream = getattr(result, "__dict__", {}).get(name)
        if isinstance(stream, (GeneratorType, AsyncGeneratorType)):
            return stream
    return None


def _frame_of(stream: Stream) -> FrameType | None:
    frame: FrameType | None = getattr(stream, "gi_frame", None) or getattr(stream, "ag_frame", None)
    return frame
