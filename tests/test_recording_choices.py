"""What a user may pass to the recorder, and what is said where it cannot be meant."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.llms import MockLLM
from recording_programs import Yes, said

from llama_index_ft_rag.errors import ConfigurationError, EmptyRecordingError, ExamplesError
from llama_index_ft_rag.examples import CallKind, write_examples
from llama_index_ft_rag.recording import OpenAIFineTuningHandler, read_recording


def recorded(path: Path | None, *prompts: str) -> OpenAIFineTuningHandler:
    """A handler that has recorded these prompts as one query."""
    handler = OpenAIFineTuningHandler(path)
    with handler.recording("q1"):
        for prompt in prompts:
            MockLLM().complete(prompt)
    return handler


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": ""}, r"path='': pass the path of the file"),
        ({"path": 5}, r"path=5: pass the path of the file"),
        ({"max_bytes": "2GB"}, r"max_bytes='2GB': pass a positive number of bytes"),
        ({"max_bytes": True}, r"max_bytes=True: pass a positive number of bytes"),
        ({"max_bytes": 1.5}, r"max_bytes=1\.5: pass a positive number of bytes"),
        ({"sampling_rate": "0.5"}, r"sampling_rate='0\.5': pass a number from 0 to 1"),
        ({"sampling_rate": True}, r"sampling_rate=True: pass a number from 0 to 1"),
        ({"sampling_rate": 1.01}, r"sampling_rate=1\.01: pass a number from 0 to 1"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_named(arguments: dict[str, Any], message: str) -> None:
    """At construction, with its value."""
    with pytest.raises(ConfigurationError, match=message):
        OpenAIFineTuningHandler(**arguments)


@pytest.mark.parametrize("llm", ["gpt-4.1", MockLLM])
def test_only_an_llm_can_be_wrapped(llm: Any) -> None:
    """Neither a name nor a class."""
    with pytest.raises(ConfigurationError, match="pass an LLM of LlamaIndex"):
        OpenAIFineTuningHandler().wrap(llm)


@pytest.mark.parametrize(
    "choose",
    [
        lambda handler, path, kinds: handler.examples(kinds=kinds),
        lambda handler, path, kinds: read_recording(path, kinds=kinds),
        lambda handler, path, kinds: handler.save_finetuning_events(path.with_name("events.jsonl"), kinds=kinds),
    ],
)
@pytest.mark.parametrize(("kinds", "wrong"), [(["anwser"], "anwser"), ("answer", "answer")])
def test_a_kind_that_does_not_exist_is_named(
    choose: Callable[..., Any], kinds: Any, wrong: str, tmp_path: Path
) -> None:
    """A slip of the pen must not read as an empty recording."""
    path = tmp_path / "calls.jsonl"
    handler = recorded(path, "one")

    with pytest.raises(ConfigurationError, match=f"kinds='{wrong}': no kind of call; pass a list of answer, refine"):
        choose(handler, path, kinds)


@pytest.mark.parametrize("target", ["calls.jsonl", "other.jsonl", "events.jsonl"])
def test_no_recording_is_overwritten(target: str, tmp_path: Path) -> None:
    """Neither the one that is read, nor another one, nor one where the provenance would go."""
    recording = tmp_path / ("events.provenance.jsonl" if target == "events.jsonl" else target)
    recorded(recording, "one")
    before = recording.read_bytes()

    with pytest.raises(ConfigurationError, match="is a recording and would be overwritten"):
        write_examples(tmp_path / target, read_recording(recording))
    with pytest.raises(ConfigurationError, match="overwrit"):
        recorded(None, "two").save_finetuning_events(tmp_path / target)
    assert recording.read_bytes() == before


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """Saving makes no folders."""
    with pytest.raises(ConfigurationError, match="missing: there is no such folder; create it"):
        recorded(None, "one").save_finetuning_events(tmp_path / "missing" / "events.jsonl")


async def test_an_async_function_can_be_carried() -> None:
    """Onto a thread with a loop of its own."""
    handler = OpenAIFineTuningHandler()
    with handler.recording("q1"):
        ask = handler.carry(MockLLM().acomplete)
        with ThreadPoolExecutor() as pool:
            await asyncio.get_running_loop().run_in_executor(pool, lambda: asyncio.run(ask("Why?")))

    assert [call.messages[0]["content"] for call in handler.calls_of("q1")] == ["Why?"]


def test_what_is_no_function_cannot_be_carried() -> None:
    """Such as what a function returned."""
    with pytest.raises(ConfigurationError, match=r"carry\('Paris'\): pass the function itself"):
        OpenAIFineTuningHandler().carry("Paris")  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["A text.\n", '{"messages": []}\n', '{"a": 1}\n'])
def test_only_a_recording_is_read_as_one(content: str, tmp_path: Path) -> None:
    """A text or a training file is not taken for one without calls."""
    path = tmp_path / "other.jsonl"
    path.write_text(content)

    with pytest.raises(ExamplesError, match=r"other\.jsonl: is no recording"):
        read_recording(path)


def test_an_empty_file_that_was_made_beforehand_is_filled(tmp_path: Path) -> None:
    """And made private, for prompts go into it."""
    path = tmp_path / "calls.jsonl"
    path.touch(mode=0o644)
    recorded(path, "one")

    assert len(read_recording(path)) == 1
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("settings", "cure"), [({"sampling_rate": 0.0}, "raise sampling_rate"), ({"max_bytes": 1}, "raise max_bytes")]
)
def test_an_empty_save_names_the_setting_that_left_all_out(settings: dict[str, Any], cure: str, tmp_path: Path) -> None:
    """And no other."""
    handler = OpenAIFineTuningHandler(**settings)
    with handler.recording("q1"):
        MockLLM().complete("Why?")

    with pytest.raises(EmptyRecordingError, match=rf"none was kept \(1 x [a-z ]+\): {cure}$"):
        handler.save_finetuning_events(tmp_path / "events.jsonl")


# -- More of the same


def test_an_engine_cannot_be_wrapped() -> None:
    """It is named by its value."""
    engine = SummaryIndex.from_documents([Document(text="A fact.")]).as_query_engine(llm=Yes())

    with pytest.raises(ConfigurationError, match=f"^{re.escape(f'wrap({engine!r})')}: "):
        OpenAIFineTuningHandler().wrap(engine)  # type: ignore[arg-type]


def test_the_known_kinds_are_named_also_where_nothing_was_recorded(tmp_path: Path) -> None:
    """A wrong kind comes before an empty recording, and no file is made."""
    with pytest.raises(ConfigurationError, match=r"^kinds='Refine': ") as caught:
        OpenAIFineTuningHandler().save_finetuning_events(tmp_path / "events.jsonl", kinds=["answer", "Refine"])  # type: ignore[list-item]

    assert [kind for kind in get_args(CallKind) if kind not in str(caught.value)] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kinds", [["answer"], ("answer",), {"answer"}, frozenset({"answer", "judge"}), None])
def test_kinds_are_any_collection(kinds: Any) -> None:
    """Or none, for all."""
    assert len(recorded(None, "one").examples(kinds=kinds)) == 1


def test_a_link_to_a_recording_is_not_overwritten(tmp_path: Path) -> None:
    """Nor what it leads to; a training file may be overwritten by the next one."""
    recorded(tmp_path / "calls.jsonl", "precious")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "calls.jsonl")
    handler = recorded(None, "one")
    for _ in range(2):
        handler.save_finetuning_events(tmp_path / "events.jsonl")

    with pytest.raises(ConfigurationError, match="is a recording and would be overwritten"):
        handler.save_finetuning_events(tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert len(read_recording(tmp_path / "calls.jsonl")) == 1


def test_a_coroutine_function_is_carried() -> None:
    """Run in a thread, on a loop of its own, what it asks belongs to the scope it was carried from."""
    handler = OpenAIFineTuningHandler()

    async def ask(prompt: str) -> str:
        return (await Yes().acomplete(prompt)).text

    def work(function: Callable[[str], Any], prompt: str) -> Any:
        return asyncio.run(function(prompt))

    with handler.recording("q1"), ThreadPoolExecutor() as pool:
        carried = handler.carry(ask)
        answers = list(pool.map(work, [carried] * 3, ["1", "2", "3"]))

    assert asyncio.iscoroutinefunction(carried)
    assert answers == ["yes"] * 3
    assert sorted(call.messages[0]["content"] for call in handler.calls_of("q1")) == ["1", "2", "3"]


def test_a_method_that_returns_a_coroutine_is_carried() -> None:
    """As those of engines and LLMs do."""
    handler = OpenAIFineTuningHandler()
    engine = SummaryIndex.from_documents([Document(text="A fact.")]).as_query_engine(llm=Yes())
    with handler.recording("q1"), ThreadPoolExecutor() as pool:
        carried = [handler.carry(function) for function in (Yes().acomplete, engine.aquery)]
        for function in carried:
            pool.submit(lambda function=function: asyncio.run(function("Why?"))).result()

    assert [call.step for call in handler.calls_of("q1")] == [0, 1]


def test_what_is_carried_leaves_nothing_open() -> None:
    """What its task asks afterwards is not recorded, nor what it asks once the scope is left."""
    handler = OpenAIFineTuningHandler()

    async def ask(prompt: str) -> None:
        await Yes().acomplete(prompt)

    with handler.recording("q1"):
        carried = handler.carry(ask)

        async def work() -> None:
            await carried("inside")
            await ask("outside")

        with ThreadPoolExecutor() as pool:
            pool.submit(asyncio.run, work()).result()
    asyncio.run(carried("later"))

    assert [call.messages[0]["content"] for call in handler.calls_of("q1")] == ["inside"]


# -- Advice


class Failing(Yes):
    """An LLM whose service is down."""

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise ValueError(prompt)


def fails(handler: OpenAIFineTuningHandler) -> None:
    """A call that raises."""
    handler.attach()
    with pytest.raises(ValueError, match="one"):
        Failing().chat(said("one"))


def leaves(handler: OpenAIFineTuningHandler) -> None:
    """A stream that is not read to its end."""
    handler.attach()
    stream = Yes().stream_chat(said("one"))
    next(stream)
    stream.close()


def finishes(handler: OpenAIFineTuningHandler) -> None:
    """A call."""
    handler.attach()
    Yes().chat(said("one"))


@pytest.mark.parametrize(
    ("limits", "uses", "advice"),
    [
        ({}, [fails], []),
        ({}, [leaves], ["read streamed answers"]),
        ({}, [fails, leaves], ["read streamed answers"]),
        ({"sampling_rate": 0}, [finishes], ["sampling_rate"]),
        ({"max_bytes": 1}, [finishes], ["max_bytes"]),
        ({"sampling_rate": 0, "max_bytes": 1}, [finishes], ["sampling_rate"]),
        ({"sampling_rate": 0}, [fails], []),
        ({"max_bytes": 1}, [leaves], ["read streamed answers"]),
        ({"sampling_rate": 0}, [finishes, leaves], ["read streamed answers", "sampling_rate"]),
    ],
)
def test_the_advice_of_an_empty_save_fits_the_reason(
    tmp_path: Path, limits: dict[str, Any], uses: list[Callable[..., None]], advice: list[str]
) -> None:
    """Why nothing can be saved is said with the cure of just that."""
    handler = OpenAIFineTuningHandler(**limits)
    for use in uses:
        use(handler)
    handler.detach()
    with pytest.raises(EmptyRecordingError) as caught:
        handler.save_finetuning_events(tmp_path / "events.jsonl")

    cures = ["read streamed answers", "sampling_rate", "max_bytes"]
    assert [words for words in cures if words in str(caught.value)] == advice
