"""The base model's answers to the examples' own prompts: each prompt once, and none lost for another's failure."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from scripted_llms import ScriptedLLM

from llama_index_ft_rag.curation.asking import aanswer_prompts, answer_prompts
from llama_index_ft_rag.curation.preferences import preference_pairs
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.ledger import Ledger
from llama_index_ft_rag.testing import ChatReply, ChatRequest, RunningBackend, ScriptedResponder, ToolCall

SYSTEM = {"role": "system", "content": "Be brief."}
TOOL = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}


def taught(question: str, answer: object = "An answer.", **facts: Any) -> TrainingExample:
    """An example that asks this and is answered so."""
    asked = [SYSTEM, {"role": "user", "content": question}]
    return TrainingExample(messages=[*asked, {"role": "assistant", "content": answer}], **facts)


async def test_a_model_answers_the_prompts_of_the_examples():
    """It sees the messages before the teacher's answer, as they are, and its answers come by content hash."""
    examples = [taught("who?"), taught("where?")]
    llm = ScriptedLLM()

    answers = await aanswer_prompts(examples, llm)

    assert answers == {examples[0].content_hash: "WHO?", examples[1].content_hash: "WHERE?"}
    assert answers.failures == {}
    assert llm.asked == [
        [("system", "Be brief."), ("user", "who?")],
        [("system", "Be brief."), ("user", "where?")],
    ]


async def test_a_prompt_of_several_examples_is_asked_once():
    """Two teachers' answers to one prompt, and an example that is there twice, share one answer."""
    one, other = taught("who?", "Ana."), taught("who?", "Bo.")
    llm = ScriptedLLM()

    answers = await aanswer_prompts([one, other, one], llm)

    assert answers == {one.content_hash: "WHO?", other.content_hash: "WHO?"}
    assert len(llm.asked) == 1


async def test_a_failed_call_loses_its_own_example_only(caplog: pytest.LogCaptureFixture):
    """The others have their answers; the result and the log say how many failed, and why."""
    examples = [taught(text) for text in ("one", "broken", "empty", "two", "broken too")]
    replies = {"broken": RuntimeError("no luck"), "broken too": RuntimeError("no luck"), "empty": " \n"}
    llm = ScriptedLLM(lambda text: replies.get(text, text.upper()))

    with caplog.at_level(logging.WARNING):
        answers = await aanswer_prompts(examples, llm)

    keys = [example.content_hash for example in examples]
    assert answers == {keys[0]: "ONE", keys[3]: "TWO"}
    assert answers.failures == {
        keys[1]: "RuntimeError: no luck",
        keys[2]: "the model gave no text",
        keys[4]: "RuntimeError: no luck",
    }
    assert answers.failure_counts() == {"RuntimeError: no luck": 2, "the model gave no text": 1}
    assert caplog.messages == [
        "answers: 3 of 5 are missing: 2 x RuntimeError: no luck; 1 x the model gave no text",
    ]


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [
        ("length", "the answer was cut off by its token limit"),
        ("max_tokens", "the answer was cut off by its token limit"),
        ("content_filter", "the answer was cut off by a filter"),
    ],
)
async def test_an_unfinished_answer_is_none(finish_reason: str, reason: str):
    """A model that is taught to avoid it would be taught to avoid its beginning."""
    example = taught("who?")

    answers = await aanswer_prompts([example], ScriptedLLM(finish_reason=finish_reason))

    assert (dict(answers), answers.failures) == ({}, {example.content_hash: reason})


async def test_a_call_that_never_ends_is_given_up():
    """After the time it is given."""
    example = taught("who?")

    answers = await aanswer_prompts([example], ScriptedLLM(lambda _: None), timeout=0.05)

    assert (dict(answers), answers.failures) == ({}, {example.content_hash: "no reply within 0.05 s"})


async def test_a_key_in_an_error_is_blotted_out():
    """Services quote the key that they refuse, and reasons are kept and shown."""
    example = taught("who?")

    answers = await aanswer_prompts([example], ScriptedLLM(lambda _: ValueError("wrong key sk-abcdefgh123")))

    assert answers.failures == {example.content_hash: "ValueError: wrong key sk-..."}


async def test_examples_that_can_make_no_pair_are_not_asked_about():
    """What the teacher answered with a tool call, with parts or not at all costs nothing."""
    call = TrainingExample(messages=[SYSTEM, {"role": "assistant", "tool_calls": [CALL]}])
    examples = [call, taught("who?", [{"type": "text", "text": "Ana."}]), taught("who?", ""), taught("who?", None)]
    llm = ScriptedLLM()

    answers = await aanswer_prompts([*examples, TrainingExample(messages=[SYSTEM])], llm)

    assert (dict(answers), answers.failures, llm.asked) == ({}, {}, [])


async def test_a_prompt_that_no_message_can_be_made_of_is_a_failure():
    """A file of others may hold any role."""
    strange = TrainingExample(messages=[{"role": "robot", "content": "a"}, {"role": "assistant", "content": "b"}])
    example = taught("who?")

    answers = await aanswer_prompts([strange, example], ScriptedLLM())

    assert answers == {example.content_hash: "WHO?"}
    assert [reason.split(":")[0] for reason in answers.failures.values()] == ["ValidationError"]


async def test_calls_in_flight_are_bounded_and_progress_is_told():
    """Never more at once than allowed; each finished prompt counts."""
    told: list[tuple[int, int]] = []
    llm = ScriptedLLM()

    await aanswer_prompts(
        [taught(f"{number}") for number in range(9)],
        llm,
        concurrency=3,
        on_progress=lambda done, total: told.append((done, total)),
    )

    assert llm.peak == 3
    assert told == [(number, 9) for number in range(1, 10)]


async def test_the_synchronous_door_works_inside_a_running_loop():
    """As in a notebook."""
    example = taught("who?")

    assert answer_prompts([example], ScriptedLLM()) == {example.content_hash: "WHO?"}


def test_the_synchronous_door_works_without_a_loop():
    """As in a script; examples may come from a generator."""
    examples = [taught("who?"), taught("where?")]

    answers = answer_prompts((example for example in examples), ScriptedLLM(), concurrency=1)

    assert list(answers.values()) == ["WHO?", "WHERE?"]


def test_a_second_run_through_a_ledger_pays_nothing(tmp_path: Path):
    """What was answered is answered from the ledger, and what failed is asked again."""
    examples = [taught("who?"), taught("where?"), taught("who?", "Another answer.")]
    first = ScriptedLLM(lambda text: RuntimeError("down") if text == "where?" else "Ana.")
    second = ScriptedLLM(lambda text: text.upper())

    with Ledger(tmp_path / "ledger.db") as ledger:
        before = answer_prompts(examples, ledger.wrap(first, stage="preferences", arm="base"))
    with Ledger(tmp_path / "ledger.db") as ledger:
        after = answer_prompts(examples, ledger.wrap(second, stage="preferences", arm="base"))

    assert list(before.values()) == ["Ana.", "Ana."]
    assert list(after.values()) == ["Ana.", "WHERE?", "Ana."]
    assert second.asked == [[("system", "Be brief."), ("user", "where?")]]


def test_tools_go_over_the_wire_with_their_prompt():
    """The base model is asked just what the teacher was asked; one that calls a tool gave no text to compare."""
    asked: list[ChatRequest] = []

    def reply(request: ChatRequest) -> str | ChatReply:
        asked.append(request)
        return ChatReply(tool_calls=[ToolCall(name="lookup", arguments={})]) if len(asked) == 1 else "Bo."

    example = taught("who?", tools=[TOOL], parallel_tool_calls=False)
    plain = taught("where?")
    with RunningBackend(responder=ScriptedResponder(reply)) as backend:
        answers = answer_prompts([example, plain], backend.endpoint.llm("gpt-4.1-mini"), concurrency=1)

    assert answers == {plain.content_hash: "Bo."}
    assert answers.failures == {example.content_hash: "the model called a tool instead of answering"}
    assert [(r.parameters.get("tools"), r.parameters.get("parallel_tool_calls")) for r in asked] == [
        ([TOOL], False),
        (None, None),
    ]


def test_the_answers_are_what_pairs_are_made_of():
    """They go into `preference_pairs` as they are."""
    example = taught("who?", "Ana Duarte.")

    answers = answer_prompts([example], ScriptedLLM())
    found = preference_pairs([example], answers, prefers=lambda _, other: other == "WHO?")

    assert [pair.non_preferred for pair in found.pairs] == [{"role": "assistant", "content": "WHO?"}]
