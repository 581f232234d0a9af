"""An LLM to record, and apps that do so, and die, in processes of their own, forked by a nursery.

`python recording_programs.py` reads lines `APP PATH` and forks an app for each; it says `PID born`, and `PID dead` once
the app is gone. The app says `PID NAME` after each call that returned. LlamaIndex takes seconds to load, a fork none.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llama_index.core import Document, Settings, SummaryIndex
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage, CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback

from llama_index_ft_rag.recording import OpenAIFineTuningHandler

LONG = "word " * 100_000
"""Half a megabyte: a kill may well meet it half written."""


class Yes(CustomLLM):
    """An LLM that says yes."""

    @property
    def metadata(self) -> LLMMetadata:
        """Its name."""
        return LLMMetadata(model_name="yes")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Say it."""
        return CompletionResponse(text="yes")

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        """Say it letter by letter."""
        for end in (1, 2, 3):
            yield CompletionResponse(text="yes"[:end], delta="yes"[end - 1])


Front = Callable[[OpenAIFineTuningHandler], Yes]
"""How an LLM is connected with a recorder."""


def by_callback(handler: OpenAIFineTuningHandler) -> Yes:
    """The classic way."""
    Settings.callback_manager = CallbackManager([handler])
    return Yes(callback_manager=Settings.callback_manager)


def by_attach(handler: OpenAIFineTuningHandler) -> Yes:
    """The other way."""
    Settings.callback_manager = CallbackManager([])
    handler.attach()
    return Yes()


def said(text: str) -> list[ChatMessage]:
    """One user message."""
    return [ChatMessage(role="user", content=text)]


class Nursery:
    """Starts apps in processes of their own, and listens to what they say."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: dict[int, list[str]] = defaultdict(list)

    def start(self, app: str, path: Path) -> int:
        """Start an app that records into `path`; return its process id."""
        print(app, path, file=self.process.stdin, flush=True)
        return self.listen(lambda pid: self.said[pid][-1] == "born")

    def listen(self, until: Callable[[int], bool]) -> int:
        """Listen until `until` says yes to the one who spoke last."""
        for line in self.process.stdout or ():
            pid, _, said = line.rstrip("\n").partition(" ")
            self.said[int(pid)].append(said)
            if until(int(pid)):
                return int(pid)
        raise AssertionError("the nursery is gone")

    def listen_to(self, pid: int, *, lines: int) -> None:
        """Listen until one app has said so many lines, its birth included."""
        while len(self.said[pid]) < lines:
            self.listen(lambda speaker: speaker == pid)

    def kill(self, pid: int) -> set[str]:
        """Kill an app; return the names of the calls that had returned."""
        os.kill(pid, signal.SIGKILL)
        return self.wait(pid)

    def wait(self, pid: int) -> set[str]:
        """Wait for an app's end; return the names of the calls that had returned."""
        if "dead" not in self.said[pid]:
            self.listen(lambda speaker: self.said[speaker][-1] == "dead" and speaker == pid)
        return {*self.said[pid]} - {"born", "dead"}


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    """Start a nursery; its apps die with it."""
    command = [sys.executable, __file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1, start_new_session=True) as process:
        try:
            yield Nursery(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def acknowledge(name: str) -> None:
    """Say that a call has returned; in one write, so that lines of threads and processes do not mix."""
    os.write(1, f"{os.getpid()} {name}\n".encode())


def message(name: str, rest: str = "") -> list[ChatMessage]:
    """A request that its call is known by."""
    return [ChatMessage(role="user", content=f"[{os.getpid()} {name}] {rest}")]


def chat(llm: Yes) -> None:
    """Call an LLM, again and again."""
    for number in itertools.count():
        llm.chat(message(f"chat-{number}"))
        acknowledge(f"chat-{number}")


def long_chat(llm: Yes) -> None:
    """The same with long prompts."""
    for number in itertools.count():
        llm.chat(message(f"long-{number}", LONG))
        acknowledge(f"long-{number}")


def stream(llm: Yes) -> None:
    """Read answers as streams."""
    for number in itertools.count():
        for _ in llm.stream_chat(message(f"stream-{number}")):
            pass
        acknowledge(f"stream-{number}")


def engine(llm: Yes) -> None:
    """Ask a query engine."""
    query_engine = SummaryIndex.from_documents([Document(text="A fact.")]).as_query_engine(llm=llm)
    for number in itertools.count():
        query_engine.query(message(f"engine-{number}")[0].content or "")
        acknowledge(f"engine-{number}")


def threads(llm: Yes) -> None:
    """Call an LLM from three threads."""

    def work(name: str) -> None:
        for number in itertools.count():
            llm.chat(message(f"{name}-{number}"))
            acknowledge(f"{name}-{number}")

    for name in ("t1", "t2"):
        threading.Thread(target=work, args=(name,), daemon=True).start()
    work("t3")


def tasks(llm: Yes) -> None:
    """Call an LLM from three tasks."""

    async def work(name: str) -> None:
        for number in itertools.count():
            await llm.achat(message(f"{name}-{number}"))
            acknowledge(f"{name}-{number}")
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*map(work, ("a1", "a2", "a3")))

    asyncio.run(all_of_them())


def twice(llm: Yes) -> None:
    """Call an LLM twice, and end."""
    for number in range(2):
        llm.chat(message(f"twice-{number}"))
        acknowledge(f"twice-{number}")


def many(llm: Yes) -> None:
    """Call an LLM twenty times from each of four threads, and end."""

    def work(name: str) -> None:
        for number in range(20):
            llm.chat(message(f"{name}-{number}"))
            acknowledge(f"{name}-{number}")

    workers = [threading.Thread(target=work, args=(f"m{number}",)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def forks(llm: Yes) -> None:
    """Fork twenty children, each of which calls an LLM, while two threads do so without a pause."""
    for name in ("f1", "f2"):
        threading.Thread(
            target=lambda name=name: [llm.chat(message(name)) for _ in itertools.count()], daemon=True
        ).start()
    for number in range(20):
        pid = os.fork()
        signal.alarm(60)  # a child does not inherit it
        if pid == 0:
            llm.chat(message(f"child-{number}"))
            os._exit(0)
        if os.waitpid(pid, 0)[1] == 0:
            acknowledge(f"child-{number}")


def full_disk(llm: Yes) -> None:
    """Call an LLM a hundred times with room for some thirty, say what is logged and how many calls were skipped."""
    import resource  # not on every system

    logging.basicConfig(stream=sys.stdout, format=f"{os.getpid()} %(levelname)s")
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    for number in range(100):
        llm.chat(message(f"full-{number}"))
        acknowledge(f"full-{number}")
    [handler] = llm.callback_manager.handlers
    acknowledge(f"skipped {handler.summary().skipped}")  # type: ignore[attr-defined]


APPS: dict[str, Callable[[Yes], None]] = {
    app.__name__: app for app in (chat, long_chat, stream, engine, threads, tasks, twice, many, forks, full_disk)
}


def run(app: str, path: Path) -> None:
    """Run an app with a recorder in both fronts."""
    handler = OpenAIFineTuningHandler(path)
    handler.attach()
    APPS[app](Yes(callback_manager=CallbackManager([handler])))


def reap(pid: int) -> None:
    """Wait for an app's end, and say so: everything it had to say was said before."""
    os.waitpid(pid, 0)
    os.write(1, f"{pid} dead\n".encode())


def main() -> None:
    """Fork apps until nobody wants any more."""
    for line in sys.stdin:
        app, _, path = line.rstrip("\n").partition(" ")
        pid = os.fork()
        if pid == 0:
            try:
                run(app, Path(path))
            finally:
                os._exit(0)
        os.write(1, f"{pid} born\n".encode())
        threading.Thread(target=reap, args=(pid,), daemon=True).start()


if __name__ == "__main__":
    main()
