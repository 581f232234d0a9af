"""One process of `recorder.py`: measures one handler in the environment whose interpreter runs it.

    python benchmarks/recorder_worker.py time ours CALLS FOLDER     one round for each line of standard input
    python benchmarks/recorder_worker.py time old CALLS FOLDER
    python benchmarks/recorder_worker.py memory WAY CALLS FOLDER    what CALLS recorded calls leave in memory, likewise

The first line of the output tells the versions; each further line is one JSON object. `ours` is the handler of this
package, `old` the one of llama-index-finetuning; neither needs the other. The LLM answers at once and does nothing
else, so that what is left is LlamaIndex's events and the handler.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.prompts.chat_prompts import CHAT_TEXT_QA_PROMPT
from rows import MB, RSS_UNIT

PROMPT_CHARACTERS = 8192
WARM_UP = 5
"""Calls before each block of measured ones: what a new handler does once is not what a call costs."""
WARM_UP_MEMORY = 1000
VERSIONS_OF = ("llama-index-core", "llama-index-instrumentation")
LISTENING_ANYWAY = len(get_dispatcher().event_handlers)
SENTENCE = 'Revenue rose by 12% to $26.9 billion, "the best year so far", and costs fell.\n'

Ask = Callable[[list[ChatMessage]], object]
Way = Callable[[], AbstractContextManager[Ask]]
"""Makes something to ask whose calls are recorded in one way, and checks at the end that they were."""


class Silent(CustomLLM):
    """Answers at once, and counts how often."""

    asked: int = 0

    @property
    def metadata(self) -> LLMMetadata:
        """A name."""
        return LLMMetadata(model_name="silent")

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:  # noqa: ARG002 - LlamaIndex's
        """Answer: one pair of events."""
        self.asked += 1
        return ChatResponse(message=ChatMessage(role="assistant", content="It rose to $26.9 billion."))

    def complete(self, *args: Any, **kwargs: Any) -> Any:
        """Not asked."""
        raise NotImplementedError

    def stream_complete(self, *args: Any, **kwargs: Any) -> Any:
        """Not asked."""
        raise NotImplementedError


def main(task: str, kind: str, calls: str, folder: str) -> None:
    """Do what the arguments say."""
    with redirect_stdout(sys.stderr):  # the old handler's package logs to standard output from its import on
        ways = old_ways() if kind.startswith("old") else our_ways(Path(folder))
    say({name: importlib.metadata.version(name) for name in VERSIONS_OF})
    if task == "memory":
        for _ in sys.stdin:
            say({"growth_mb": growth(ways[kind.partition(" ")[2]], int(calls))})
        return
    blocks = {name: partial(block, way, int(calls)) for name, way in ways.items()}
    if kind == "ours":
        write = append_and_flush(Path(folder), ways["file, attach()"])
        blocks["floor"] = partial(block, partial(floor, write), int(calls))
        blocks["floor alone"] = partial(microseconds, write, int(calls))
    gc.collect()
    gc.freeze()  # what was imported need not be looked through before every block
    order, chance = [*blocks], random.Random(0)  # noqa: S311 - no secret hangs on it
    for _ in sys.stdin:
        chance.shuffle(order)  # so that none always follows the same other
        say({name: blocks[name]() for name in order})


def our_ways(folder: Path) -> dict[str, Way]:
    """No handler, ours in every way, and ours made and not used."""
    from llama_index_ft_rag import OpenAIFineTuningHandler

    @contextmanager
    def recorded(name: str | None, *, attached: bool) -> Iterator[Ask]:
        handler = OpenAIFineTuningHandler(folder / name if name else None)
        llm = Silent(callback_manager=CallbackManager([] if attached else [handler]))
        if attached:
            handler.attach()
        yield llm.chat
        handler.detach()
        check(handler.summary().finished, llm)

    @contextmanager
    def unused() -> Iterator[Ask]:
        handler = OpenAIFineTuningHandler()
        yield Silent().chat
        assert handler.summary().finished == 0

    return {
        "none": no_handler,
        "file, attach()": partial(recorded, "attached.jsonl", attached=True),
        "file, callbacks": partial(recorded, "callbacks.jsonl", attached=False),
        "memory, attach()": partial(recorded, None, attached=True),
        "memory, callbacks": partial(recorded, None, attached=False),
        "unused": unused,
    }


def old_ways() -> dict[str, Way]:
    """No handler, and the one of llama-index-finetuning."""
    from llama_index.finetuning.callbacks import OpenAIFineTuningHandler

    @contextmanager
    def recorded() -> Iterator[Ask]:
        handler = OpenAIFineTuningHandler()
        llm = Silent(callback_manager=CallbackManager([handler]))
        yield llm.chat
        check(len(handler.get_finetuning_events()), llm)

    return {"none": no_handler, "memory, callbacks": recorded}


@contextmanager
def no_handler() -> Iterator[Ask]:
    """What calls cost without any."""
    assert len(get_dispatcher().event_handlers) == LISTENING_ANYWAY, "a handler of an earlier block still listens"
    yield Silent().chat


@contextmanager
def floor(write: Callable[[], object]) -> Iterator[Ask]:
    """The same, and a row written after each call."""
    llm = Silent()
    yield lambda request: (llm.chat(request), write())


def check(recorded: int, llm: Silent) -> None:
    """Stop if calls were lost: a handler that does nothing would win."""
    assert recorded == llm.asked, f"{llm.asked} calls were made, {recorded} recorded"


def block(way: Way, calls: int) -> float:
    """Microseconds per call."""
    request = messages()
    gc.collect()
    with way() as ask:
        # A new list each time, as an engine makes one: the old handler appends to it.
        return microseconds(lambda: ask([*request]), calls)


def append_and_flush(folder: Path, way: Way) -> Callable[[], None]:
    """What is left to do in any case: `json.dumps`, append and flush of the row that ours wrote for this call."""
    block(way, 1)
    row = json.loads((folder / "attached.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert row["messages"][:-1] == [{"role": one.role.value, "content": one.content} for one in messages()]
    file = (folder / "floor.jsonl").open("a", encoding="utf-8")

    def write() -> None:
        file.write(json.dumps(row) + "\n")
        file.flush()

    return write


def growth(way: Way, calls: int) -> float:
    """By how many MB the resident memory is larger after so many calls, each with a prompt of its own."""
    with way() as ask:
        for number in range(WARM_UP_MEMORY):
            ask(messages(number))
        gc.collect()
        before = resident()
        for number in range(calls):
            ask(messages(number))
        gc.collect()
        return (resident() - before) / MB


def messages(number: int = 0) -> list[ChatMessage]:
    """A system message and a question with its contexts, as LlamaIndex's query engines ask it, 8 kB long."""
    query = f"By how much did revenue rise in year {number}?"
    bare = CHAT_TEXT_QA_PROMPT.format_messages(context_str="", query_str=query)
    room = PROMPT_CHARACTERS - sum(len(message.content or "") for message in bare)
    contexts = (SENTENCE * (room // len(SENTENCE) + 1))[:room]
    return CHAT_TEXT_QA_PROMPT.format_messages(context_str=contexts, query_str=query)


def microseconds(once: Callable[[], object], calls: int) -> float:
    """How long one of several calls in a row takes."""
    for _ in range(WARM_UP):
        once()
    started = time.perf_counter_ns()
    for _ in range(calls):
        once()
    return (time.perf_counter_ns() - started) / calls / 1000


def resident() -> int:
    """Bytes this process has in memory now; at its peak where the platform tells only that."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def say(value: object) -> None:
    """Print one line for `recorder.py`."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
