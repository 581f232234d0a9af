"""What LLM calls were for, told from LlamaIndex's own prompts."""

from __future__ import annotations

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
from llama_index_ft_rag.recording.call_kinds import CallPlace, classify
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

    assert classify([*messages, ANSWER], step=step, place=CallPlace(is_in_engine=True)) == kind


@pytest.mark.parametrize(
    ("in_engine", "kind"),
    [(True, "answer"), (None, "answer"), (False, "other")],
)
def test_a_prompt_of_the_apps_own_is_an_answer_where_an_engine_asks(in_engine: bool | None, kind: CallKind) -> None:
    """Apps write their own prompts; what is known to come from elsewhere is not taken for an answer."""
    messages = [{"role": "user", "content": "Beantworte: warum?"}, ANSWER]

    assert classify(messages, place=CallPlace(is_in_engine=in_engine)) == kind


def test_a_prompt_without_a_question_is_other() -> None:
    """Nobody asked anything."""
    assert classify([{"role": "system", "content": "Be brief."}, ANSWER]) == "other"


def test_a_question_with_images_is_read_by_its_text() -> None:
    """Content in parts is classified like plain text."""
    parts = [{"type": "text", "text": "Context information is below."}, {"type": "image_url", "image_url": {}}]

    assert classify([{"role": "user", "content": parts}, ANSWER], place=CallPlace(is_in_engine=False)) == "answer"
