"""A pair is made only where somebody says that the teacher's answer is the better one; its file is anybody's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_ft_rag.curation.preferences import (
    PreferencePair,
    Preferences,
    answers_from,
    prefer_by_score,
    preference_pairs,
    read_pairs,
    write_pairs,
)
from llama_index_ft_rag.errors import ConfigurationError, ExamplesError
from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.training_format import check_line

PROMPT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who leads it?"}]
TOOL = {"type": "function", "function": {"name": "lookup"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}


def taught(answer: object = "Ana Duarte.", *, prompt: list[dict[str, Any]] = PROMPT, **facts: Any) -> TrainingExample:
    """An example with this answer."""
    return TrainingExample(messages=[*prompt, {"role": "assistant", "content": answer}], **facts)


def message(content: str) -> dict[str, Any]:
    """What the assistant says."""
    return {"role": "assistant", "content": content}


def pair(answer: str = "Ana Duarte.", other: str = "Nobody.", **facts: Any) -> PreferencePair:
    """A pair of two texts."""
    return PreferencePair(example=taught(answer, **facts), non_preferred=message(other))


def outcome(example: TrainingExample, other: object, verdict: object = True) -> dict[str, int]:
    """What became of one example."""
    answers: Any = {example.content_hash: other}
    verdicts: Any = {example.content_hash: verdict}
    return preference_pairs([example], answers, prefers=verdicts).counts()


def test_a_pair_is_the_line_that_services_take():
    """Prompt, preferred and non-preferred answer, and nothing that only provenance knows."""
    example = taught(question="Who leads it?", tools=[TOOL], parallel_tool_calls=False)

    found = preference_pairs([example], {example.content_hash: "Nobody."}, prefers={example.content_hash: True})

    assert [made.to_line() for made in found.pairs] == [
        {
            "input": {"messages": PROMPT, "tools": [TOOL], "parallel_tool_calls": False},
            "preferred_output": [message("Ana Duarte.")],
            "non_preferred_output": [message("Nobody.")],
        }
    ]


def test_a_pair_is_made_only_where_the_verdict_is_true():
    """A worse answer, a tie and an example that nobody judged give none, each for its reason; order is kept."""
    examples = [taught(name) for name in ("first", "second", "third", "fourth", "fifth")]
    answers = {example.content_hash: "Nobody." for example in examples}
    keys = [example.content_hash for example in examples]
    verdicts = {keys[0]: True, keys[1]: False, keys[2]: None, keys[4]: True}

    found = preference_pairs(examples, answers, prefers=verdicts)

    assert found == Preferences(pairs=[pair("first"), pair("fifth")], left_out={"other_preferred": 1, "undecided": 2})
    assert found.counts() == {"pairs": 2, "left_out": 3, "other_preferred": 1, "undecided": 2}


def test_a_callable_gives_the_verdicts_and_is_asked_only_where_a_pair_can_be_made():
    """It gets the example and the other answer."""
    heard = []
    usable, same = taught("long answer"), taught("same")

    def prefers(example: TrainingExample, other: str) -> bool:
        heard.append((example.answer, other))
        return len(example.answer) > len(other)

    answers = {usable.content_hash: "short", same.content_hash: "same"}
    found = preference_pairs([usable, same], answers, prefers=prefers)

    assert heard == [("long answer", "short")]
    assert found == Preferences(pairs=[pair("long answer", "short")], left_out={"same_answer": 1})


@pytest.mark.parametrize("verdict", [1, 0.0, 0.7, "yes", [True]], ids=repr)
def test_what_is_merely_true_is_no_verdict(verdict: object):
    """A score would make pairs that nobody decided on, so it is refused by name."""
    with pytest.raises(ConfigurationError, match=r"prefers said .* of example [0-9a-f]{16}; it must say True, False"):
        outcome(taught(), "Nobody.", verdict)


@pytest.mark.parametrize(
    ("example", "other", "reason"),
    [
        (taught(), " Ana Duarte.\n", "same_answer"),
        (taught(), "", "no_answer"),
        (taught(), " \n", "no_answer"),
        (taught(), None, "no_answer"),
        (taught(""), "Nobody.", "no_answer"),
        (taught(None), "Nobody.", "no_answer"),
        (taught([{"type": "text", "text": "Ana"}]), "Nobody.", "not_text"),
        (TrainingExample(messages=[*PROMPT, {"role": "assistant", "tool_calls": [CALL]}]), "Nobody.", "not_text"),
        (TrainingExample(messages=[*PROMPT, {**message("Ana"), "tool_calls": [CALL]}]), "Nobody.", "not_text"),
        (TrainingExample(messages=[*PROMPT, {"role": "assistant", "refusal": "No."}]), "Nobody.", "not_text"),
        (TrainingExample(messages=PROMPT), "Nobody.", "not_text"),
        (TrainingExample(messages=[]), "Nobody.", "not_text"),
        (taught(prompt=[{"role": "user", "content": [IMAGE]}]), "Nobody.", "not_text"),
        (taught(prompt=[]), "Nobody.", "not_trainable"),
        (taught(), "Nobody.<|im_end|>", "not_trainable"),
        (taught("Ana <|endoftext|>"), "Nobody.", "not_trainable"),
    ],
)
def test_answers_that_make_no_pair_are_left_out_whatever_the_verdict(
    example: TrainingExample, other: object, reason: str
):
    """Equal, empty or missing answers, more than text, and lines that a service refuses."""
    assert outcome(example, other) == {"pairs": 0, "left_out": 1, reason: 1}


def test_prompts_may_hold_texts_in_parts_and_earlier_tool_calls():
    """Only the two answers have to be plain; the weight of a teacher's message says nothing here."""
    prompt = [
        {"role": "user", "content": [{"type": "text", "text": "Who leads it?"}]},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "Ana Duarte"},
    ]
    example = TrainingExample(messages=[*prompt, {**message("Ana Duarte."), "weight": 1}], tools=[TOOL])

    [made] = preference_pairs([example], {example.content_hash: "Nobody."}, prefers=lambda *_: True).pairs

    assert made.example == example
    assert made.to_line()["input"] == {"messages": prompt, "tools": [TOOL]}
    assert made.to_line()["preferred_output"] == [message("Ana Duarte.")]


TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(["yes", "yes ", "no", "<|im_end|>", "\ud800"]))
CONTENTS = st.one_of(st.none(), TEXTS, st.just([{"type": "text", "text": "a"}]))
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "robot"]), "content": CONTENTS},
    optional={"tool_calls": st.just([CALL]), "weight": st.sampled_from([0, 1])},
)
PLAIN = st.builds(taught, TEXTS, prompt=st.sampled_from([PROMPT, [*PROMPT, message("Ana."), *PROMPT]]))
EXAMPLES = st.one_of(
    PLAIN,
    st.builds(
        TrainingExample, messages=st.lists(MESSAGES, max_size=3), tools=st.sampled_from([None, [], [TOOL], [{}]])
    ),
)


@given(st.lists(st.tuples(EXAMPLES, st.one_of(st.none(), TEXTS), st.sampled_from([True, False, None])), max_size=6))
def test_what_came_in_is_pairs_and_left_out_and_every_pair_is_a_good_line(cases: list[tuple[Any, Any, Any]]):
    """On any input nothing vanishes, and no line that is written is one a service would refuse."""
    examples = [example for example, _, _ in cases]
    answers = {example.content_hash: other for example, other, _ in cases}
    verdicts = {example.content_hash: verdict for example, _, verdict in cases}

    found = preference_pairs(examples, answers, prefers=verdicts)

    assert len(found.pairs) + sum(found.left_out.values()) == len(examples)
    assert [made.example for made in found.pairs if verdicts[made.example.content_hash] is not True] == []
    lines = [check_line(json.dumps(made.to_line()).encode(), number=1) for made in found.pairs]
    assert [p for line in lines for p in line.problems if p.severity == "error"] == []
    assert [line.format for line in lines] == ["preference"] * len(lines)


@pytest.mark.parametrize(
    ("score", "other", "verdict"),
    [
        (0.9, 0.5, True),
        (0.5, 0.9, False),
        (0.75, 0.5, None),
        (0.5, 0.75, None),
        (None, 0.0, None),
        (0.9, None, None),
        (float("nan"), 0.0, None),
        (0.9, float("nan"), None),
    ],
)
def test_scores_decide_where_they_differ_by_more_than_the_margin(
    score: float | None, other: float | None, verdict: bool | None
):
    """A score that is missing or no number is never a 0: it decides nothing."""
    example = taught()

    prefers = prefer_by_score({example.content_hash: score}, {example.content_hash: other}, margin=0.25)

    assert prefers(example, "Nobody.") is verdict


def test_an_example_that_was_never_scored_is_undecided():
    """With a margin of 0 too, where equal scores are a tie."""
    scored, unscored = taught("scored"), taught("unscored")
    prefers = prefer_by_score({scored.content_hash: 1}, {scored.content_hash: 1, unscored.content_hash: 0}, margin=0)

    assert [prefers(example, "Nobody.") for example in (scored, unscored)] == [None, None]


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_a_margin_that_is_none_is_refused(margin: float):
    """It would prefer everything, or nothing."""
    with pytest.raises(ConfigurationError, match=r"margin is .*; pass 0 or more"):
        prefer_by_score({}, {}, margin=margin)


def test_a_file_reads_back_as_it_was_written(tmp_path: Path):
    """Pairs and what is known of their examples survive the way through two private files."""
    path = tmp_path / "pairs.jsonl"
    pairs = [
        pair(question="Who leads it?", node_ids=["n1"], model="teacher"),
        pair("玛丽亚.", "不知道\u2028", tools=[TOOL], parallel_tool_calls=True),
        pair("Bo Lindqvist.", question="Who led it?", tools=[], parallel_tool_calls=True),
    ]

    assert write_pairs(path, pairs) == 3

    assert read_pairs(path) == pairs
    assert {item.name: item.stat().st_mode & 0o777 for item in tmp_path.iterdir()} == {
        "pairs.jsonl": 0o600,
        "pairs.provenance.jsonl": 0o600,
    }


def test_provenance_finds_its_way_back_without_the_weight(tmp_path: Path):
    """The line says nothing of weights, so its provenance is found by what it does say."""
    path = tmp_path / "pairs.jsonl"
    messages = [*PROMPT, {**message("Ana Duarte."), "weight": 1}]
    example = TrainingExample(messages=messages, question="Who leads it?")

    write_pairs(path, [PreferencePair(example=example, non_preferred=message("Nobody."))])

    assert read_pairs(path) == [pair(question="Who leads it?")]


def test_files_of_others_are_read(tmp_path: Path):
    """BOM, CRLF, blank lines and a missing newline at the end are fine; empty tools come back as they were."""
    path = tmp_path / "theirs.jsonl"
    line = {
        "input": {"messages": PROMPT, "tools": [], "parallel_tool_calls": True},
        "preferred_output": [message("Ana Duarte.")],
        "non_preferred_output": [{**message("Nobody."), "name": "base"}],
    }
    path.write_bytes(f"\ufeff{json.dumps(line)}\r\n\r\n \r\n{json.dumps(line)}".encode())

    pairs = read_pairs(path)

    assert [found.to_line() for found in pairs] == [line, line]
    assert pairs[0].example == taught(tools=[], parallel_tool_calls=True)


GOOD = pair().to_line()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"input": ', r"line 2: not JSON"),
        ("9" * 5000, r"line 2: no"),
        ("[1]", r"line 2: no preference pair, as `input` has no list of `messages`; run `ft-rag validate"),
        (json.dumps({"messages": PROMPT}), r"line 2: no preference pair, as `input` has no list of `messages`"),
        (json.dumps({**GOOD, "input": {"messages": []}}), r"line 2: .* `input` has no list of `messages`"),
        (json.dumps({**GOOD, "input": {"messages": ["x"]}}), r"line 2: .* `input` has no list of `messages`"),
        (json.dumps({**GOOD, "input": {"messages": PROMPT, "tools": ["x"]}}), r"line 2: .* `tools` is no list of obj"),
        (json.dumps({**GOOD, "input": {"messages": PROMPT, "tools": {}}}), r"line 2: .* `tools` is no list of objects"),
        (json.dumps({**GOOD, "preferred_output": []}), r"line 2: .* `preferred_output` is no list with one message"),
        (json.dumps({**GOOD, "non_preferred_output": "x"}), r"line 2: .* `non_preferred_output` is no list with one"),
        (json.dumps({**GOOD, "preferred_output": PROMPT[:1]}), r"line 2: .*one message of the assistant"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: str, message: str):
    """The error says where to look, and what is missing there."""
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n", encoding="utf-8")

    with pytest.raises(ExamplesError, match=message):
        read_pairs(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    """It is missing, or no UTF-8."""
    (tmp_path / "latin.jsonl").write_bytes(b"\xff")

    with pytest.raises(ExamplesError, match=r"none\.jsonl: cannot be read"):
        read_pairs(tmp_path / "none.jsonl")
    with pytest.raises(ExamplesError, match=r"latin\.jsonl: not UTF-8 at byte 0"):
        read_pairs(tmp_path / "latin.jsonl")


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.provenance.jsonl"])
def test_a_recording_is_never_overwritten(tmp_path: Path, name: str):
    """Neither by the pairs nor by their provenance."""
    recording = tmp_path / name
    recording.write_text('{"call_id": "1"}\n', encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"is a recording and would be overwritten"):
        write_pairs(tmp_path / "pairs.jsonl", [pair()])

    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [(name, '{"call_id": "1"}\n')]


def test_a_folder_that_is_missing_is_named(tmp_path: Path):
    """It is not made: it may be a typing error."""
    with pytest.raises(ConfigurationError, match=r"gone: there is no such folder"):
        write_pairs(tmp_path / "gone" / "pairs.jsonl", [pair()])


def test_a_line_that_a_service_refuses_is_not_written(tmp_path: Path):
    """All bad pairs are named, up to five, and no file is touched."""
    bad = PreferencePair(example=taught(), non_preferred=message("<|im_start|>"))

    with pytest.raises(ExamplesError, match=r"not written: pair 2 .*<\|im_start\|>.*; pair 3 .* \(and 1 more\)"):
        write_pairs(tmp_path / "pairs.jsonl", [pair(), *[bad] * 6])

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif("FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder")
def test_real_pairs_of_others_go_through_a_file_of_ours_unchanged(tmp_path: Path):
    """All 60 are read, none is found faulty, and each line says afterwards what it said before."""
    source = Path(os.environ["FT_RAG_TEST_DATA"]) / "ftjsonl" / "foundry_dpo_orca_first60.jsonl"
    path = tmp_path / "pairs.jsonl"

    count = write_pairs(path, read_pairs(source))

    texts = [file.read_text(encoding="utf-8").splitlines() for file in (source, path)]
    assert count == 60
    assert [json.loads(text) for text in texts[1]] == [json.loads(text) for text in texts[0]]
    assert [p for text in texts[1] for p in check_line(text.encode(), number=1).problems] == []


@pytest.mark.skipif("FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder")
def test_real_pairs_are_made_again_from_their_parts():
    """What others found preferable makes the same 60 pairs when it is judged so here."""
    source = Path(os.environ["FT_RAG_TEST_DATA"]) / "ftjsonl" / "foundry_dpo_orca_first60.jsonl"
    known = read_pairs(source)
    answers = {one.example.content_hash: one.non_preferred["content"] for one in known}

    found = preference_pairs([one.example for one in known], answers, prefers=lambda *_: True)

    assert found == Preferences(pairs=known, left_out={})


def test_the_other_answers_are_those_of_the_assistant() -> None:
    """A training file with the same prompts gives them; of several to one prompt the first counts."""
    asked = {"role": "user", "content": "Who?"}
    teacher = TrainingExample(messages=[asked, {"role": "assistant", "content": "Ana."}])
    others = [
        TrainingExample(messages=[asked, {"role": "user", "content": "No answer."}]),
        TrainingExample(messages=[asked, {"role": "assistant", "content": "Bob."}]),
        TrainingExample(messages=[asked, {"role": "assistant", "content": "Cy."}]),
    ]

    assert answers_from([teacher], others) == {teacher.content_hash: "Bob."}
