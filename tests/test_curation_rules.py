"""Every rule, on both sides of its line: a made and a real example that it drops, and a near miss that it keeps.

The real ones are read from the folder of test data. It holds no text with a token of a model, and no chat example that
a service would refuse for anything but a missing answer; there the made ones must do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from curated import DATA, DECLINED, DRAFT, EVENTS, answered, needs_data, recorded, refined, table_rows, taught

from llama_index_ft_rag.curation import RULES, Curation, ReadLines, curate, read_lines, read_prompt
from llama_index_ft_rag.examples import TrainingExample

Given = list[TrainingExample] | ReadLines


@dataclass(frozen=True, kw_only=True)
class Row:
    """One example on one side of one rule's line."""

    rule: str
    what: str
    """What is the matter with it, or why it is only a near miss."""
    given: Callable[[Path], Given]
    """Makes what is curated; the path is an empty folder."""
    number: int = 1
    """Which of them is looked at."""
    says: str | None = None
    """What the rule says of it; `None` if nobody says anything and it is kept."""
    settings: Callable[[Given], dict[str, Any]] | None = None
    """What is passed to `curate`, from what was made."""

    def __str__(self) -> str:
        return f"{self.rule}-{'kept' if self.says is None else 'dropped'}-{self.what}".replace(" ", "_")


@dataclass(frozen=True)
class These:
    """Examples made in advance."""

    examples: list[TrainingExample] = field(default_factory=list)

    def __call__(self, _: Path) -> Given:
        return self.examples


def these(*examples: TrainingExample) -> These:
    """Give these examples."""
    return These(list(examples))


def line(row: object) -> Callable[[Path], Given]:
    """Give a file of one line."""

    def write(folder: Path) -> Given:
        (folder / "lines.jsonl").write_text(json.dumps(row), encoding="utf-8")
        return read_lines(folder / "lines.jsonl")

    return write


def passing(**settings: Any) -> Callable[[Given], dict[str, Any]]:
    """Pass the same whatever was made."""
    return lambda _: settings


def scored(*scores: float | None, **settings: Any) -> Callable[[Given], dict[str, Any]]:
    """Score what was made, one after another."""
    return lambda given: {
        "scores": {one.content_hash: score for one, score in zip(examples_of(given), scores, strict=True)}, **settings
    }  # fmt: skip


def examples_of(given: Given) -> list[TrainingExample]:
    """The examples in what was made."""
    return given.examples if isinstance(given, ReadLines) else given


def said(result: Curation, number: int) -> dict[str, str] | None:
    """What is said of an example by rule; `None` if it was kept."""
    if number in result.kept_numbers:
        return None
    reasons = [(drop.number, reason) for drop in result.dropped for reason in drop.reasons]
    reasons += [(line.number, line.reason) for line in result.unreadable]
    return {reason.rule: reason.text for place, reason in reasons if place == number}


LONG = (
    "The plant in the north was built by hand over many years and it has a red roof, a tall chimney, two gates and a "
    "small garden where the workers rest at noon and talk about the weather of the coming week and of the last one"
)
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
CALLING = TrainingExample(
    messages=[
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "tool_calls": [CALL]},
    ],
    tools=[TOOL],
    finish_reason="tool_calls",
)
SAID_BY_TWO = these(answered("How much?", DRAFT), refined("How much?", "Revenue rose.", draft=DRAFT))

MADE = [
    Row(rule="unreadable", what="another format", given=line({"prompt": "a", "completion": "b"}),
        says="has `prompt`, `completion` (the old format for completion models); it needs `messages`, a list of chat "
        "messages that ends with the answer"),
    Row(rule="unreadable", what="more keys", given=line({"messages": taught("a", "b").messages, "source": "x"})),
    Row(rule="not_taught", what="a condensed question", given=these(taught("a", "b", kind="condense")),
        says="is a call of the kind condense, which is not taught"),
    Row(rule="not_taught", what="a kind not known", given=these(taught("a", "b", kind="other"))),
    Row(rule="not_taught", what="a kind that is taught here", given=these(taught("a", "b", kind="condense")),
        settings=passing(kinds=["condense"])),
    Row(rule="not_trainable", what="a role of its own",
        given=these(TrainingExample(messages=[{"role": "bot", "content": "a"}, taught("a", "b").messages[-1]])),
        says="message 1 has the role 'bot'; allowed are system, developer, user, assistant, tool, function"),
    Row(rule="not_trainable", what="a role of newer models",
        given=these(TrainingExample(messages=[{"role": "developer", "content": "a"}, taught("a", "b").messages[-1]]))),
    Row(rule="special_token", what="end of a message", given=these(taught("What ends it? <|im_end|>", "That.")),
        says="message 1 contains <|im_end|>, which services refuse; remove it"),
    Row(rule="special_token", what="looks like one", given=these(taught("What is <|this|>?", "Not <im_end>."))),
    Row(rule="empty_answer", what="blanks", given=these(taught("a", " \n")), says="has an empty answer"),
    Row(rule="empty_answer", what="no message of the assistant",
        given=these(TrainingExample(messages=[{"role": "user", "content": "a"}])), says="has no answer"),
    Row(rule="empty_answer", what="a tool call without text", given=these(CALLING)),
    Row(rule="cut_off", what="length", given=these(taught("a", "It is", finish_reason="length")),
        says="ended at its length limit (finish_reason length)"),
    Row(rule="cut_off", what="a filter", given=these(taught("a", "It is", finish_reason="content_filter")),
        says="was stopped by a filter (finish_reason content_filter)"),
    Row(rule="cut_off", what="another service's word", given=these(taught("a", "It is", finish_reason="MAX_TOKENS")),
        says="ended at its length limit (finish_reason MAX_TOKENS)"),
    Row(rule="cut_off", what="not known how it ended", given=these(taught("a", "It is", finish_reason=None))),
    Row(rule="abstention", what="declines", given=these(taught("a", DECLINED)), says="declines to answer"),
    Row(rule="abstention", what="declines, says the judge", given=these(taught("a", "Ask somebody else.")),
        settings=lambda given: {"abstentions": {given[0].content_hash: True}},
        says="declines to answer, says the judge"),
    Row(rule="abstention", what="does not, says the judge", given=these(taught("a", "I don't know.")),
        settings=lambda given: {"abstentions": {given[0].content_hash: False}}),
    Row(rule="abstention", what="an answer with a caveat",
        given=these(taught("a", "Revenue was 5 million. How much came from Asia is not mentioned in the report."))),
    Row(rule="repeated_draft", what="word for word", given=these(refined("a", DRAFT, draft=DRAFT)),
        says="repeats its draft"),
    Row(rule="repeated_draft", what="the draft stands",
        given=these(refined("a", "No refinement is needed.", draft=DRAFT)), says="only says that the draft stands"),
    Row(rule="repeated_draft", what="one figure is mended",
        given=these(refined("a", DRAFT.replace("12", "1.2"), draft=DRAFT))),
    Row(rule="made_worse", what="half as good", given=SAID_BY_TWO, number=2, settings=scored(0.8, 0.4),
        says="made its draft worse: 0.80 became 0.40"),
    Row(rule="made_worse", what="as good", given=SAID_BY_TWO, number=2, settings=scored(0.8, 0.8)),
    Row(rule="made_worse", what="a little worse, which is allowed", given=SAID_BY_TWO, number=2,
        settings=scored(0.8, 0.75, worse_by=0.1)),
    Row(rule="made_worse", what="draft could not be scored", given=SAID_BY_TWO, number=2, settings=scored(None, 0.1)),
    Row(rule="prompt_leak", what="speaks of its context",
        given=these(answered("a", "Based on the provided context, revenue rose.")),
        says="speaks of its prompt: “Based on the provided context”"),
    Row(rule="prompt_leak", what="a figure of speech",
        given=these(answered("a", "In the context of the merger, revenue rose."))),
    Row(rule="prompt_leak", what="the document's own words",
        given=these(answered("a", "It runs in the given context.", context="A job runs in the given context."))),
    Row(rule="too_long", what="one token more", given=these(taught("a", "one two three")),
        settings=passing(max_tokens=14, student="gpt-4o"), says="has 15 tokens; 14 are taken"),
    Row(rule="too_long", what="just as many", given=these(taught("a", "one two three")),
        settings=passing(max_tokens=15, student="gpt-4o")),
    Row(rule="low_score", what="below", given=these(taught("a", "b")), settings=scored(0.41, min_score=0.8),
        says="scores 0.41, below 0.80"),
    Row(rule="low_score", what="just enough", given=these(taught("a", "b")), settings=scored(0.8, min_score=0.8)),
    Row(rule="low_score", what="could not be scored", given=these(taught("a", "b")),
        settings=scored(float("nan"), min_score=0.8)),
    Row(rule="duplicate", what="asked by another query",
        given=these(taught("a", "b", query_id="q1"), taught("a", "b", query_id="q2", latency_s=2.0)), number=2,
        says="says the same as example 1"),
    Row(rule="duplicate", what="another answer", given=these(taught("a", "b"), taught("a", "c")), number=2),
    Row(rule="duplicate", what="other tools",
        given=these(CALLING, CALLING.model_copy(update={"tools": [TOOL, TOOL]})), number=2,
        settings=passing(near_duplicates=None)),
    Row(rule="near_duplicate", what="one word more",
        given=these(taught("What is it?", f"{LONG}."), taught("What is it?", f"{LONG} too.")), number=2,
        says="says nearly the same as example 1 (similarity 0.98)"),
    Row(rule="near_duplicate", what="another number",
        given=these(taught("What is it?", f"{LONG} 2022."), taught("What is it?", f"{LONG} 2023.")), number=2),
    Row(rule="crowded_context", what="a third one",
        given=these(*(answered(question, f"{question} indeed") for question in "abc")), number=3,
        settings=passing(max_per_context=2), says="is beyond the first 2 with its context"),
    Row(rule="crowded_context", what="of another context",
        given=these(answered("a", "1"), answered("b", "2"), answered("c", "3", context="Another.")), number=3,
        settings=passing(max_per_context=2)),
]  # fmt: skip


def file(name: str) -> Callable[[Path], Given]:
    """Give what is in a file of training lines."""
    return lambda _: read_lines(DATA / "ftjsonl" / f"{name}.jsonl")


def events(*numbers: int) -> Callable[[Path], Given]:
    """Give some of the post's examples, or all."""

    def read(_: Path) -> Given:
        examples = read_lines(EVENTS).examples
        return [examples[number - 1] for number in numbers] if numbers else examples

    return read


def rows(*places: tuple[str, int]) -> Callable[[Path], Given]:
    """Give rows of the post's score tables as examples."""
    return lambda _: [taught(*table_rows(model)[place][:2]) for model, place in places]


def call(name: str, *, place: int = 0) -> Callable[[Path], Given]:
    """Give a recorded call."""
    return lambda _: [recorded(name, place=place)]


def by_table(*places: tuple[str, int], **settings: Any) -> Callable[[Given], dict[str, Any]]:
    """Score rows by the faithfulness that was printed beside them."""

    def read(given: Given) -> dict[str, Any]:
        return scored(*(table_rows(model)[place][2] for model, place in places), **settings)(given)

    return read


def by_words(**settings: Any) -> Callable[[Given], dict[str, Any]]:
    """Score each example by the share of the words of its answer that stand in its context."""
    return lambda given: scored(*map(share_of_words, examples_of(given)), **settings)(given)


def share_of_words(example: TrainingExample) -> float:
    """From 0 to 1."""
    parts = read_prompt(example.messages)
    assert parts is not None
    known = {*re.findall(r"\w+", parts.context.casefold())}
    words = re.findall(r"\w+", example.answer.casefold())
    return sum(word in known for word in words) / len(words)


TOOLS = "otel-openai/test_chat_completion_tool_calls_with_content"
STREAMED = "datadog-llamaindex/llama_index"

REAL = [
    Row(rule="unreadable", what="the old format", given=file("ruby_sentiment"),
        says="has `prompt`, `completion` (the old format for completion models); it needs `messages`, a list of chat "
        "messages that ends with the answer"),
    Row(rule="unreadable", what="a preference pair", given=file("foundry_dpo_orca_first60"), number=60,
        says="is a preference pair, which is no chat example"),
    Row(rule="unreadable", what="no user turn, yet a chat", given=file("cookbook_toy_chat_fine_tuning"), number=4),
    Row(rule="not_taught", what="a tool call", given=call(TOOLS),
        says="is a call of the kind tool_turn, which is not taught"),
    Row(rule="not_taught", what="the answer after a tool call", given=call(TOOLS, place=1)),
    Row(rule="not_trainable", what="several turns", given=file("cookbook_toy_chat_fine_tuning"), number=2),
    Row(rule="not_trainable", what="an image", given=call("datadog-openai/v1_chat_completion_image_input")),
    Row(rule="special_token", what="a code fence and braces",
        given=call("datadog-ragas/answer_relevancy_inference"), settings=passing(kinds=None)),
    Row(rule="empty_answer", what="for reinforcement", given=file("foundry_zava_rft_test_first12"),
        says="has no answer"),
    Row(rule="empty_answer", what="a tool call without content", given=file("foundry_stock_toolcall_training")),
    Row(rule="cut_off", what="a stream of 15 tokens", given=call(f"{STREAMED}_complete_stream"),
        says="ended at its length limit (finish_reason length)"),
    Row(rule="cut_off", what="a conversation", given=call(f"{STREAMED}_multi_turn"),
        says="ended at its length limit (finish_reason length)"),
    Row(rule="cut_off", what="a stream that came to its end", given=call(f"{STREAMED}_chat_stream")),
    Row(rule="abstention", what="of the teacher", given=events(4), says="declines to answer"),
    Row(rule="abstention", what="of a function-calling bot", given=file("foundry_stock_toolcall_training"), number=6,
        says="declines to answer"),
    Row(rule="abstention", what="says what is missing, then answers", given=rows(("tuned", 19)),
        settings=passing(without=["prompt_leak"])),
    Row(rule="repeated_draft", what="an abstention, again", given=events(20, 21), number=2, says="repeats its draft"),
    Row(rule="repeated_draft", what="says the same in other words", given=events(2, 3), number=2),
    Row(rule="made_worse", what="a tenth less of it is in its context", given=events(10, 11), number=2,
        settings=by_words(), says="made its draft worse: 0.97 became 0.89"),
    Row(rule="made_worse", what="a tenth less, which is allowed", given=events(10, 11), number=2,
        settings=by_words(worse_by=0.1)),
    Row(rule="prompt_leak", what="of the base model", given=rows(("base", 35)),
        says="speaks of its prompt: “as stated in the context information”"),
    Row(rule="prompt_leak", what="of the tuned model", given=rows(("tuned", 35)),
        says="speaks of its prompt: “the context states”"),
    Row(rule="prompt_leak", what="of a model as such", given=call("datadog-openai/v1_azure_chat_completion"),
        says="speaks of its prompt: “as an AI language model, I”"),
    Row(rule="prompt_leak", what="provided in the agreement", given=rows(("tuned", 24))),
    Row(rule="prompt_leak", what="based on estimates provided", given=events(22)),
    Row(rule="too_long", what="26,000 characters", given=file("cookbook_toy_chat_fine_tuning"), number=5,
        settings=passing(student="gpt-3.5-turbo-0613"), says="has 8,032 tokens; 4,096 are taken"),
    Row(rule="too_long", what="26,000 characters for a newer model", given=file("cookbook_toy_chat_fine_tuning"),
        number=5, settings=passing(student="gpt-4o-mini")),
    Row(rule="low_score", what="faithfulness 0.67", given=rows(("base", 3)),
        settings=by_table(("base", 3), min_score=0.8), says="scores 0.67, below 0.80"),
    Row(rule="low_score", what="faithfulness 0.67 is enough", given=rows(("base", 3)),
        settings=by_table(("base", 3), min_score=0.66)),
    Row(rule="duplicate", what="base and tuned say the same", given=rows(("base", 1), ("tuned", 1)), number=2,
        says="says the same as example 1"),
    Row(rule="duplicate", what="base and tuned differ", given=rows(("base", 0), ("tuned", 0)), number=2),
    Row(rule="near_duplicate", what="base and tuned say nearly the same", given=rows(("base", 28), ("tuned", 28)),
        number=2, settings=passing(near_duplicates=0.85), says="says nearly the same as example 1 (similarity 0.86)"),
    Row(rule="near_duplicate", what="nearly the same is not near enough", given=rows(("base", 28), ("tuned", 28)),
        number=2),
    Row(rule="near_duplicate", what="a refine step of other passages", given=events(8, 9), number=2,
        settings=passing(near_duplicates=0.3)),
    Row(rule="crowded_context", what="a second answer from the same pages", given=events(), number=12,
        settings=passing(max_per_context=1), says="is beyond the first 1 with its context"),
    Row(rule="crowded_context", what="an abstention does not crowd", given=events(), number=12,
        settings=passing(max_per_context=2)),
]  # fmt: skip
NOT_IN_THE_DATA = {("not_trainable", "dropped"), ("special_token", "dropped")}


@pytest.mark.parametrize("row", [*MADE, *(pytest.param(row, marks=needs_data) for row in REAL)], ids=str)
def test_a_rule_drops_what_it_is_for_and_keeps_a_near_miss(row: Row, tmp_path: Path) -> None:
    """What is dropped has the rule's words, whatever else is said of it; a near miss is kept by all rules."""
    given = row.given(tmp_path)

    reasons = said(curate(given, **(row.settings(given) if row.settings else {})), row.number)

    assert (reasons or {}).get(row.rule) == row.says
    assert (reasons is None) is (row.says is None)


@pytest.mark.parametrize(("rows", "missing"), [(MADE, set()), (REAL, NOT_IN_THE_DATA)], ids=["made", "real"])
def test_every_rule_is_tested_on_both_sides_of_its_line(rows: list[Row], missing: set[tuple[str, str]]) -> None:
    """A new rule needs a made and a real row that it drops, and one that it keeps."""
    covered = {(row.rule, "kept" if row.says is None else "dropped") for row in rows}

    assert covered == {(rule, side) for rule in RULES for side in ("kept", "dropped")} - missing


@pytest.mark.parametrize(
    "reason", ["length", "MAX_TOKENS", "FinishReason.MAX_TOKENS", "SAFETY", "RECITATION", "model_length", "incomplete"]
)
def test_other_providers_words_for_a_cut_answer_are_known(reason: str) -> None:
    """Whatever the teacher's service calls it, an answer that is not whole is not trained on."""
    (drop,) = curate([taught("Who?", "The", finish_reason=reason)]).dropped

    assert drop.rules == ("cut_off",)


@pytest.mark.parametrize("token", ["<|eot_id|>", "<end_of_turn>", "[/INST]"])
def test_tokens_of_open_models_are_special_too(token: str) -> None:
    """A student need not be OpenAI's."""
    (drop,) = curate([taught("Who?", f"Ana. {token}")]).dropped

    assert drop.rules == ("special_token",)


def test_rows_that_were_made_to_decline_are_kept() -> None:
    """What `add_distractors` made is no abstention of the teacher's."""
    made = taught("Who?", DECLINED, made_by="no_answer")

    assert curate([made, taught("Whom?", DECLINED)]).kept == [made]


def test_a_score_below_the_threshold_says_nothing_of_an_abstention() -> None:
    """A judge gives a refusal 0, and it may still be kept on purpose."""
    good, refusal = taught("Where?", "In Oslo."), taught("Who?", DECLINED)
    scores = {good.content_hash: 0.9, refusal.content_hash: 0.0}

    assert curate([good, refusal], scores=scores, min_score=0.5, keep_abstentions=0.5).kept == [good, refusal]
