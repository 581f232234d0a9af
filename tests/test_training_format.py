from __future__ import annotations

import json
from typing import Any

import pytest

from llama_index_ft_rag.training_format import Problem, check_example, check_line

USER = {"role": "user", "content": "How many plants are there?"}
ANSWER = {"role": "assistant", "content": "Four."}
CALL = {"id": "c1", "type": "function", "function": {"name": "price", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/meter.png"}}
TOOL = {"type": "function", "function": {"name": "price", "parameters": {}}}


def codes(value: Any) -> list[tuple[str, str]]:
    """Severity and code of each problem of a line."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return [(problem.severity, problem.code) for problem in check_line(raw, number=1).problems]


def pair(**change: Any) -> dict[str, Any]:
    """A line in the preference format."""
    other = {"role": "assistant", "content": "Five."}
    return {"input": chat(USER), "preferred_output": [ANSWER], "non_preferred_output": [other], **change}


def user(*parts: Any) -> dict[str, Any]:
    """A message of the user in parts."""
    return {"role": "user", "content": list(parts)}


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    """A line in the chat format."""
    return {"messages": list(messages), **fields}


@pytest.mark.parametrize(
    "line",
    [
        chat(USER, ANSWER),
        chat({"role": "system", "content": "Be brief."}, USER, ANSWER, USER, ANSWER),
        chat(ANSWER),
        chat({**USER, "name": "ann"}, {**ANSWER, "weight": 0}, USER, {**ANSWER, "weight": 1}),
        chat(USER, {"role": "assistant", "tool_calls": [CALL]}, tools=[TOOL], parallel_tool_calls=False),
        chat(USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}),
        chat(USER, {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}),
        chat(
            USER,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
            ANSWER,
        ),
        chat({"role": "user", "content": [{"type": "text", "text": "Hi"}, IMAGE]}, ANSWER),
        chat(
            {"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}
        ),
        chat(USER, {"role": "function", "name": "price", "content": "3"}, ANSWER, functions=[{"name": "price"}]),
        chat(USER, {**ANSWER, "refusal": None, "audio": None}),
    ],
)
def test_a_good_chat_example_has_no_problem(line: dict[str, Any]) -> None:
    """Several turns, names, weights, tools, tool calls with no content, and images are all part of the format."""
    checked = check_line(json.dumps(line).encode(), number=1)

    assert (checked.format, checked.example, checked.problems) == ("chat", line, ())


def test_a_preference_pair_is_recognised() -> None:
    """A question with a preferred and another answer is the preference format."""
    line = pair()
    checked = check_line(json.dumps(line).encode(), number=1)

    assert (checked.format, checked.problems) == ("preference", ())


@pytest.mark.parametrize(
    ("raw", "code", "message"),
    [
        (b"\xffabc", "not_utf8", "is not UTF-8 (byte 1); save the file as UTF-8"),
        (b"{", "not_json", "is not JSON (Expecting property name enclosed in double quotes, column 2);"),
        (b'{"a": NaN}', "not_json", "is not JSON a service would read (NaN is no JSON number)"),
        (b"[" * 200_000, "not_json", "is not JSON a service would read"),
        (b"[1]", "not_object", "is a list; each line must be one JSON object with `messages`"),
        (b"null", "not_object", "is null; each line must be one JSON object with `messages`"),
        (b'"text"', "not_object", "is a text; each line must be one JSON object with `messages`"),
        (b"3", "not_object", "is a number; each line must be one JSON object with `messages`"),
        (b"true", "not_object", "is a truth value; each line must be one JSON object with `messages`"),
    ],
)
def test_what_is_no_object_says_what_it_is(raw: bytes, code: str, message: str) -> None:
    """A line that is no JSON object has one problem, which names what was found."""
    checked = check_line(raw, number=7)
    (problem,) = checked.problems

    assert (problem.line, problem.code, problem.severity, checked.example) == (7, code, "error", None)
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ({"prompt": "a", "completion": "b"}, "`prompt`, `completion` (the old format for completion models)"),
        ({"question": "a", "answer": "b"}, "`question`, `answer` (questions and answers that are no chat yet)"),
        ({"text": "a", "label": "b"}, "`text`, `label` (a format for classifiers)"),
        ({"conversations": []}, "`conversations` (the conversation format of other trainers)"),
        ({"target": "1", "nums": "2"}, "`target`, `nums`"),
        ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}, "`a`, `b`, `c`, `d`, `e` and 1 more"),
        ({}, "nothing"),
    ],
)
def test_another_format_is_named(line: dict[str, Any], found: str) -> None:
    """The message says what stands in the line, what that is, and what is needed."""
    message = f"has {found}; it needs `messages`, a list of chat messages that ends with the answer"

    assert check_line(json.dumps(line).encode(), number=2).problems == (
        Problem(line=2, code="wrong_schema", message=message),
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (chat(), "no_messages"),
        ({"messages": "hello"}, "no_messages"),
        (chat("hello", ANSWER), "bad_message"),
        (chat({"role": "bot", "content": "x"}, ANSWER), "bad_role"),
        (chat({"content": "x"}, ANSWER), "bad_role"),
        (chat({"role": ["user"], "content": "x"}, ANSWER), "bad_role"),
        (chat({"role": "user"}, ANSWER), "missing_content"),
        (chat({"role": "user", "content": None}, ANSWER), "missing_content"),
        (chat({"role": "user", "content": 7}, ANSWER), "bad_content"),
        (chat({"role": "user", "content": []}, ANSWER), "bad_content"),
        (chat(user("text"), ANSWER), "bad_content"),
        (chat(user({"type": "refusal"}), ANSWER), "bad_content"),
        (chat(user({"type": "video"}), ANSWER), "bad_content"),
        (chat(user({"type": ["text"]}), ANSWER), "bad_content"),
        (chat(user({"type": "input_audio", "input_audio": {}}), ANSWER), "unsupported_part"),
        (chat(user({"type": "file", "file": {}}), ANSWER), "unsupported_part"),
        (chat(USER, {**ANSWER, "audio": {"id": "a1"}}), "unsupported_part"),
        (chat(user({"type": "image_url"}), ANSWER), "image"),
        (chat(user({"type": "image_url", "image_url": 3}), ANSWER), "image"),
        (chat({"role": "system", "content": [IMAGE]}, ANSWER), "image"),
        (chat(USER, {"role": "assistant", "content": [IMAGE]}), "image"),
        (chat({**USER, "name": 7}, ANSWER), "bad_name"),
        (chat({"role": "user", "content": [{"type": "text"}]}, ANSWER), "bad_content"),
        (chat(USER), "last_not_assistant"),
        (chat(ANSWER, USER), "last_not_assistant"),
        (chat(USER, {**ANSWER, "weight": 0.5}), "bad_weight"),
        (chat(USER, {**ANSWER, "weight": True}), "bad_weight"),
        (chat({**USER, "weight": 1}, ANSWER), "bad_weight"),
        (chat({"role": "tool", "content": "3"}, ANSWER), "bad_tool_message"),
        (chat({"role": "function", "content": "3"}, ANSWER), "bad_tool_message"),
        (chat(USER, {**ANSWER, "function_call": {"name": "f"}}), "bad_tool_calls"),
        (chat(USER, ANSWER, functions=[{}]), "bad_tools"),
        (chat(USER, ANSWER, parallel_tool_calls="no"), "bad_tools"),
        (chat(USER, reference="4"), "reinforcement_format"),
        (chat(USER, {**ANSWER, "content": None, "refusal": "<|im_end|>"}), "special_token"),
        (chat({**USER, "tool_calls": [CALL]}, ANSWER), "bad_tool_calls"),
        (chat(USER, {**ANSWER, "tool_calls": []}), "bad_tool_calls"),
        (chat(USER, {**ANSWER, "tool_calls": [{"id": "c"}]}), "bad_tool_calls"),
        (
            chat(USER, {**ANSWER, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}),
            "bad_tool_calls",
        ),
        (chat(USER, {**ANSWER, "tool_calls": [{"function": {"name": "f", "arguments": ""}}]}), "bad_tool_calls"),
        (chat(USER, ANSWER, tools={"name": "f"}), "bad_tools"),
        (chat(USER, ANSWER, tools=[{"type": "function"}]), "bad_tools"),
        (chat(USER, {**ANSWER, "content": "A <|fim_suffix|> token"}), "special_token"),
        (chat(USER, {**ANSWER, "content": [{"type": "text", "text": "<|im_start|>"}]}), "special_token"),
    ],
)
def test_what_a_service_refuses_is_an_error(line: dict[str, Any], code: str) -> None:
    """Each fault is found by its own code, and one fault does not look like two."""
    assert codes(line) == [("error", code)]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (chat({"role": "developer", "content": "x"}, ANSWER), "developer_role"),
        (chat(user({"type": "image_url", "image_url": "https://example.com/a.png"}), ANSWER), "image"),
        (chat(USER, {**ANSWER, "content": " "}), "empty_answer"),
        (chat({**USER, "content": " "}, ANSWER), "empty_prompt"),
        (chat(USER, {**ANSWER, "weight": 0}), "nothing_trained"),
        (chat(USER, ANSWER, reference="x"), "unknown_key"),
        (chat({**USER, "id": 3}, ANSWER), "unknown_key"),
        (chat(USER, {**ANSWER, "content": "A <|pad|> token"}), "special_token"),
        (chat(USER, {**ANSWER, "content": "broken \ud83d text"}), "broken_text"),
    ],
)
def test_what_a_service_may_take_is_a_warning(line: dict[str, Any], code: str) -> None:
    """What is allowed but hardly meant is worth reading and stops nothing."""
    assert codes(line) == [("warning", code)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"input": "why"}, "no_messages"),
        ({"input": {"messages": []}}, "no_messages"),
        ({"preferred_output": []}, "bad_preference"),
        ({"preferred_output": [USER]}, "bad_preference"),
        ({"non_preferred_output": None}, "bad_preference"),
        ({"non_preferred_output": [{"role": "assistant"}]}, "missing_content"),
        ({"preferred_output": [ANSWER, ANSWER]}, "bad_preference"),
        ({"input": chat(user(IMAGE))}, "image"),
        ({"preferred_output": [{"role": "assistant", "content": [IMAGE]}]}, "image"),
        ({"input": chat(USER, tools=[{}])}, "bad_tools"),
        ({"input": chat({"role": "bot", "content": "x"})}, "bad_role"),
    ],
)
def test_a_wrong_preference_pair_is_an_error(change: dict[str, Any], code: str) -> None:
    """Each part of a preference pair is checked."""
    assert codes(pair(**change)) == [("error", code)]


@pytest.mark.parametrize(
    "token",
    ["endoftext", "endofprompt", "fim_prefix", "fim_middle", "fim_suffix", "im_start", "im_end", "im_sep"],
)
def test_each_token_that_services_refuse_is_named(token: str) -> None:
    """One stray token in one of thousands of examples fails the whole job, so the message says which and where."""
    (problem,) = check_line(json.dumps(chat(USER, {**ANSWER, "content": f"A <|{token}|>"})).encode(), number=7).problems

    assert problem == Problem(
        line=7,
        code="special_token",
        message=f"message 2 contains <|{token}|>, which services refuse; remove it",
    )


def test_a_pair_of_equal_answers_is_a_warning() -> None:
    """Nothing can be learned from it, and it may be meant."""
    assert codes(pair(non_preferred_output=[ANSWER])) == [("warning", "same_outputs")]


def test_a_reinforcement_example_is_told_from_a_forgotten_answer() -> None:
    """Fields for a grader and no answer: the right thing for a job that OpenAI no longer has."""
    (problem,) = check_line(json.dumps(chat(USER, reference="4")).encode(), number=1).problems

    assert problem.message == (
        "has `reference` and no message of the assistant: only a reinforcement job would take it, and since 2026-10 "
        "OpenAI has no model for those; supervised training needs the answer as the last message"
    )


def test_images_are_counted() -> None:
    """Each of them costs tokens that cannot be counted here."""
    line = json.dumps(chat(user(IMAGE, {"type": "text", "text": "Which?"}, IMAGE), ANSWER)).encode()

    assert check_line(line, number=1).images == 2


def test_all_problems_of_a_line_are_found_at_once() -> None:
    """Every message is checked, whatever is wrong with those before it."""
    line = chat({"role": "bot"}, {**ANSWER, "weight": 2}, {"role": "user", "content": 1}, extra=1)

    assert codes(line) == [
        ("warning", "unknown_key"),
        ("error", "bad_role"),
        ("error", "missing_content"),
        ("error", "bad_weight"),
        ("error", "bad_content"),
        ("error", "last_not_assistant"),
    ]


def test_what_stands_in_the_file_is_shown_short_and_harmless() -> None:
    """A hostile value reaches no terminal in full or with its control characters."""
    (problem,) = check_line(
        json.dumps(chat({"role": "\x1b[31m" * 99, "content": "x"}, ANSWER)).encode(), number=1
    ).problems

    assert "\x1b" not in problem.message
    assert len(problem.message) < 150


def test_equal_lines_have_equal_fingerprints() -> None:
    """Spaces and the order of keys make no other example, and another word does."""
    one = check_line(b'{"messages": [{"role": "assistant", "content": "Yes"}]}', number=1)
    same = check_line(b'{"messages":[{"content":"Yes","role":"assistant"}]}', number=2)
    other = check_line(b'{"messages":[{"content":"No","role":"assistant"}]}', number=3)

    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "line", [chat(USER, ANSWER, call_id="c1", started_at=1.0), {"call_id": "c1", "kind": "answer"}]
)
def test_a_line_of_a_recording_is_refused(line: dict[str, Any]) -> None:
    """What the recorder keeps of a call, questions and node ids among it, is not sent to a service by mistake."""
    assert codes(line) == [("error", "recording")]


def test_an_example_is_checked_before_it_is_a_line() -> None:
    """What is wrong with it is the same, without a place in a file."""
    message = "has no message of the assistant; supervised training needs the answer as the last message"

    assert check_example(chat(USER)) == (Problem(line=None, code="last_not_assistant", message=message),)
