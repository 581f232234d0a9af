"""The public package for users' tests: its names, a backend that runs for a test, and the fixtures of pytest."""

from __future__ import annotations

import doctest
import inspect
import json
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from llama_index_ft_rag import testing
from llama_index_ft_rag.testing import (
    ChatReply,
    RunningBackend,
    ScriptedResponder,
    ServiceConditions,
    Strike,
    running,
    server_error,
)

QUESTION = [{"role": "user", "content": "Is it?"}]

LIGHT = """
import json, sys
import pytest
before = set(sys.modules)
import llama_index_ft_rag.pytest_plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""

# Not every warning: other plugins that happen to be installed have some at their start.
UNCLOSED_IS_AN_ERROR = ("-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning")

USERS_TESTS = """
import openai
import pytest
from llama_index_ft_rag.testing import ScriptedResponder, ServiceConditions, server_error

@pytest.fixture
def ft_rag_responder():
    return ScriptedResponder(["first", "second"], models=["gpt-4.1"])

@pytest.fixture
def ft_rag_conditions():
    return ServiceConditions(requests_per_minute=2)

def ask(client):
    reply = client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": "?"}])
    return reply.choices[0].message.content

def test_responder_and_conditions(ft_rag_backend):
    assert [ask(ft_rag_backend.client), ask(ft_rag_backend.client)] == ["first", "second"]
    with pytest.raises(openai.RateLimitError):
        ask(ft_rag_backend.client)

def test_each_test_has_its_own(ft_rag_backend):
    ft_rag_backend.faults.add(server_error())
    with openai.OpenAI(base_url=ft_rag_backend.url, api_key="any", max_retries=0) as client:
        with pytest.raises(openai.InternalServerError):
            ask(client)
        assert ask(client) == "first"

async def ask_twice(client):
    return await client.models.list()

def test_the_asynchronous_client(ft_rag_backend):
    import asyncio
    assert [model.id for model in asyncio.run(ask_twice(ft_rag_backend.async_client)).data] == ["gpt-4.1"]
"""


def run_python(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def test_all_is_sorted_and_names_everything_public() -> None:
    """`from llama_index_ft_rag.testing import X` works for exactly the documented names."""
    assert testing.__all__ == sorted(testing.__all__)
    assert [name for name in testing.__all__ if getattr(testing, name, None) is None] == []


def test_every_fault_says_in_one_line_what_goes_wrong() -> None:
    """A list of the functions with their first lines reads as a catalogue."""
    functions = [getattr(testing, name) for name in testing.__all__ if inspect.isfunction(getattr(testing, name))]
    first_lines = {function.__name__: (function.__doc__ or "").splitlines()[0] for function in functions}

    assert {name: line for name, line in first_lines.items() if not line.endswith((".", ":"))} == {}


def test_the_fixtures_cost_a_pytest_run_nothing() -> None:
    """Loading them imports this package's root and nothing of what it is made of, whatever is installed."""
    done = run_python("-c", LIGHT)

    assert {name for name in json.loads(done.stdout) if name.partition(".")[0] not in sys.stdlib_module_names} == {
        "llama_index_ft_rag",
        "llama_index_ft_rag.pytest_plugin",
    }


def test_the_example_runs() -> None:
    """What the docstring of `RunningBackend` shows is what happens."""
    assert doctest.testmod(running) == doctest.TestResults(failed=0, attempted=2)


def test_without_a_responder_the_toy_readers_answer(ft_rag_backend: RunningBackend) -> None:
    """The fixture works without any set-up."""
    names = [model.id for model in ft_rag_backend.client.models.list().data]

    assert names == ["offline-teacher", "offline-student", "offline-judge", "offline-embedding"]


def test_users_override_what_the_models_say_and_what_the_account_may_do(tmp_path: Path) -> None:
    """pytest finds the fixtures by itself; each test has a backend of its own, which leaves nothing open behind."""
    (tmp_path / "test_app.py").write_text(USERS_TESTS, encoding="utf-8")

    done = run_python("-m", "pytest", "-q", *UNCLOSED_IS_AN_ERROR, cwd=tmp_path)

    assert (done.returncode, done.stdout.splitlines()[-1].partition(" in ")[0]) == (0, "3 passed"), done.stdout


async def test_one_backend_is_reached_in_many_ways() -> None:
    """Clients, LlamaIndex and other programs ask the same models and meet the same faults."""
    with RunningBackend(responder=ScriptedResponder(["Yes."])) as backend:
        rule = backend.faults.add(server_error(), times=4)
        other = openai.OpenAI(base_url=backend.url, api_key="any", max_retries=0)
        llm = backend.endpoint.llm("gpt-4.1", max_retries=0)
        with other:
            for ask in (
                lambda: backend.client.chat.completions.create(model="m", messages=QUESTION),
                lambda: other.chat.completions.create(model="m", messages=QUESTION),
                lambda: llm.complete("Is it?"),
            ):
                with pytest.raises(openai.InternalServerError):
                    ask()
            with pytest.raises(openai.InternalServerError):
                await backend.async_client.chat.completions.create(model="m", messages=QUESTION)

        assert (rule.struck, llm.complete("Is it?").text) == (4, "Yes.")
        assert backend.faults.log == [Strike(fault="server_error", method="POST", path="/v1/chat/completions")] * 4


def test_a_client_of_ones_own_reaches_it_without_a_socket(ft_rag_backend: RunningBackend) -> None:
    """With the base URL and the HTTP client of the backend; the name in the URL is never looked up."""
    client = openai.OpenAI(base_url=ft_rag_backend.base_url, api_key="any", http_client=ft_rag_backend.http_client())

    with client:
        assert len(client.models.list().data) == 4
    assert ft_rag_backend.base_url == "http://offline.invalid/v1"


def test_conditions_change_while_it_runs(ft_rag_backend: RunningBackend) -> None:
    """A model is shut down between two requests."""
    before = len(ft_rag_backend.client.models.list().data)

    ft_rag_backend.conditions = ServiceConditions(shutdown_dates={"offline-judge": "2020-01-01"})

    assert (before, len(ft_rag_backend.client.models.list().data)) == (4, 3)
    assert ft_rag_backend.conditions.shutdown_dates == {"offline-judge": "2020-01-01"}


def test_the_address_stays_the_same(ft_rag_backend: RunningBackend) -> None:
    """One server, however often it is asked for."""
    assert ft_rag_backend.url == ft_rag_backend.url


async def test_after_close_nothing_answers(tmp_path: Path) -> None:
    """Neither here nor over loopback; the state folder is free for another one."""
    backend = RunningBackend(state=tmp_path / "state", responder=ScriptedResponder(["Yes."]))
    other = openai.OpenAI(base_url=backend.url, api_key="any", max_retries=0)
    client, async_client = backend.client, backend.async_client
    backend.close()
    backend.close()

    with other, pytest.raises(openai.APIConnectionError):
        other.models.list()
    with pytest.raises(openai.APIConnectionError):
        client.models.list()
    with pytest.raises(openai.APIConnectionError):
        await async_client.models.list()
    with RunningBackend(state=tmp_path / "state", responder=ScriptedResponder(["Yes."])) as again:
        again.client.models.list()


def test_seed_and_clock_make_it_repeatable() -> None:
    """The same seed, time and request give the same answer, id and timestamp included."""

    def answer(seed: int) -> tuple[str, int]:
        responder = ScriptedResponder(lambda _: ChatReply(content="Yes."))
        with RunningBackend(responder=responder, seed=seed, clock=lambda: 7.0) as backend:
            reply = backend.client.chat.completions.create(model="m", messages=QUESTION)
        return reply.id, reply.created

    assert answer(1) == answer(1)
    assert answer(1) != answer(2)
