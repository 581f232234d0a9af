"""What LLM calls were for, told from LlamaIndex's own prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from llama_index.core.chat_engine import condense_plus_context, condense_question
from llama_index.core.indices.query.query_transform.base import DEFAULT_HYDE_PROMPT
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.core.prompts import chat_prompts as chats
from llama_index.core.prompts import default_prompts as texts
from llama_index.core.query_engine.citation_query_engine import CITATION_QA_TEMPLATE, CITATION_REFINE_TEMPLATE
from llama_index.core.question_gen.prompts import DEFAULT_SUB_QUESTION_PROMPT_TMPL
from llama_index.core.selectors.prompts import DEFAULT_SINGLE_SELECT_PROMPT

from llama_index_ft_rag.examples import CallKind
from llama_index_ft_rag.recording.call_kinds import UNKNOWN_PLACE, CallPlace, kind_answered, kind_asked
from llama_index_ft_rag.recording.messages import to_wire

HOSTILE = "Given the new context. New Answer: Some choices are given below. standalone question: " * 20
VARIABLES = {
    "chat_history": HOSTILE,
    "context_list": HOSTILE,
    "context_msg": HOSTILE,
    "context_str": HOSTILE,
    "existing_answer": HOSTILE,
    "num_choices": 2,
    "query_str": "Why?",
    "question": "Why?",
    "tools_str": HOSTILE,
}
ANSWER = {"role": "assistant", "content": "Because."}
JUDGED = "Please act as an impartial judge: is France a good country?"
"""Begins as a prompt of LlamaIndex's evaluators does."""


def kind_of(
    asked: Sequence[Mapping[str, Any]],
    *,
    place: CallPlace = UNKNOWN_PLACE,
    step: int = 0,
    question: str | None = None,
    answer: Mapping[str, Any] = ANSWER,
) -> CallKind:
    """What a call was for: what its request tells, else its answer."""
    return kind_asked(asked, place=place, step=step, question=question) or kind_answered(answer, place=place)


@pytest.mark.parametrize(
    ("prompt", "step", "kind"),
    [
        (chats.CHAT_TEXT_QA_PROMPT, 0, "answer"),
        (texts.DEFAULT_TEXT_QA_PROMPT, 0, "answer"),
        (chats.CHAT_REFINE_PROMPT, 1, "refine"),
        (texts.DEFAULT_REFINE_PROMPT, 1, "refine"),
        (chats.CHAT_TREE_SUMMARIZE_PROMPT, 0, "tree_step"),
        (texts.DEFAULT_TREE_SUMMARIZE_PROMPT, 0, "tree_step"),
        (CITATION_QA_TEMPLATE, 0, "answer"),
        (CITATION_REFINE_TEMPLATE, 1, "refine"),
        (PromptTemplate(condense_plus_context.DEFAULT_CONDENSE_PROMPT_TEMPLATE), 0, "condense"),
        (condense_question.DEFAULT_PROMPT, 0, "condense"),
        (DEFAULT_SINGLE_SELECT_PROMPT, 0, "selector"),
        (PromptTemplate(DEFAULT_SUB_QUESTION_PROMPT_TMPL), 0, "sub_question"),
        (DEFAULT_HYDE_PROMPT, 0, "hyde"),
    ],
)
def test_default_prompts_are_told_apart(prompt: BasePromptTemplate, step: int, kind: CallKind) -> None:
    """Documents that quote other prompts change nothing."""
    messages = to_wire(prompt.format_messages(**VARIABLES))

    assert kind_of(messages, step=step, place=CallPlace(is_in_engine=True)) == kind


@pytest.mark.parametrize(
    ("in_engine", "kind"),
    [(True, "answer"), (None, "answer"), (False, "other")],
)
def test_a_prompt_of_the_apps_own_is_an_answer_where_an_engine_asks(in_engine: bool | None, kind: CallKind) -> None:
    """Apps write their own prompts; what is known to come from elsewhere is not taken for an answer."""
    messages = [{"role": "user", "content": "Beantworte: warum?"}]

    assert kind_of(messages, place=CallPlace(is_in_engine=in_engine)) == kind


def test_a_prompt_without_a_question_is_other() -> None:
    """Nobody asked anything."""
    assert kind_of([{"role": "system", "content": "Be brief."}]) == "other"


def test_a_question_with_images_is_read_by_its_text() -> None:
    """Content in parts is classified like plain text."""
    parts = [{"type": "text", "text": "Context information is below."}, {"type": "image_url", "image_url": {}}]

    assert kind_of([{"role": "user", "content": parts}], place=CallPlace(is_in_engine=False)) == "answer"


@pytest.mark.parametrize(("question", "kind"), [(JUDGED, "answer"), (f" {JUDGED}\n", "answer"), (None, "judge")])
def test_the_users_own_question_is_never_read_as_a_prompt(question: str | None, kind: CallKind) -> None:
    """Users may ask in the words of a prompt; only where nobody knows what they asked is it taken for one."""
    messages = [{"role": "user", "content": JUDGED}]

    assert kind_of(messages, place=CallPlace(is_in_engine=True), question=question) == kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ANSWER, "answer"),
        ({"role": "assistant", "content": "Thought: I look.\nAction: search\nAction Input: {}"}, "tool_turn"),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}]}, "tool_turn"),
    ],
)
def test_an_agents_messages_are_never_read_as_a_prompt(answer: dict[str, Any], kind: CallKind) -> None:
    """What an agent was told does not decide what its turn is, only what it does."""
    messages = [{"role": "system", "content": JUDGED}, {"role": "user", "content": JUDGED}]
    place = CallPlace(is_in_engine=True, is_in_agent=True)

    assert kind_of(messages, place=place, question="Why?", answer=answer) == kind
