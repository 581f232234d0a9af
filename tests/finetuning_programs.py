"""Processes that train, for tests that kill them: run as a program, this forks one for each line it reads."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llama_index_ft_rag.finetuning import OpenAIFinetuneEngine


class Trainers:
    """Starts processes that train, and waits for their end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def start(self, url: str, data_path: Path, *, prefers: bool = False, force: bool = False) -> int:
        """Start one; return its process id."""
        return self._ask({"url": url, "data_path": str(data_path), "prefers": prefers, "force": force})

    def end_of(self, pid: int) -> int:
        """Wait for its end; return its exit code, below 0 where a signal killed it."""
        return self._ask({"pid": pid})

    def kill(self, pid: int) -> int:
        """Kill it."""
        os.kill(pid, signal.SIGKILL)
        return self.end_of(pid)

    def _ask(self, order: dict[str, Any]) -> int:
        print(json.dumps(order), file=self.process.stdin, flush=True)
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


@contextmanager
def open_trainers() -> Iterator[Trainers]:
    """Start the program; its processes die with it."""
    command = [sys.executable, __file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1, start_new_session=True) as process:
        try:
            yield Trainers(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def train(url: str, data_path: str, *, prefers: bool, force: bool) -> None:
    """Start the job, or go on with it."""
    validation = Path(data_path).with_name("validation.jsonl")
    engine = OpenAIFinetuneEngine(
        "offline-student",
        data_path,
        validate_json=False,  # which takes a second, and sends nothing
        base_url=url,
        api_key="offline",
        method="dpo" if prefers else "supervised",
        validation_path=validation if validation.exists() else None,
        poll_interval=0.01,
    )
    engine.finetune(force=force)


def obey(order: dict[str, Any]) -> int:
    """Fork a process that trains, or wait for the end of one."""
    if "pid" in order:
        return os.waitstatus_to_exitcode(os.waitpid(order["pid"], 0)[1])
    if pid := os.fork():
        return pid
    code = 1
    try:
        train(**order)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    # What the client imports when it is first used is imported once, before the forks.
    importlib.import_module("openai.resources")
    for line in sys.stdin:
        os.write(1, f"{obey(json.loads(line))}\n".encode())
