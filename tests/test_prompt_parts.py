"""Recorded prompts are taken apart by the templates of LlamaIndex, today's and those of 2023, and by one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from curated import EVENTS, answered, needs_data, refined, wire
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import Document, PromptTemplate, SummaryIndex
from llama_index.core.llms import LLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts import chat_prompts as chats
from llama_index.core.prompts import default_prompts as defaults
from llama_index.core.query_engine import CitationQueryEngine
from llama_index.core.query_engine.citation_query_engine import CITATION_QA_TEMPLATE, CITATION_REFINE_TEMPLATE
from llama_index.llms.openai_like import OpenAILike

from llama_index_ft_rag.curation import PromptParts, curate, read_prompt
from llama_index_ft_rag.curation.prompt_parts import with_context
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample, read_examples
from llama_index_ft_rag.recording import OpenAIFineTuningHandler
from llama_index_ft_rag.testing import RunningBackend, ScriptedResponder

CONTEXT = "page_label: 3\n\nThe plant was built in 1993.\n\n\nAnswer: see below.  \n"
QUESTION = "When was the plant built?\n\nSay: the year, in one line"
DRAFT = "It was built in 1993.\nQuery it again."
ANSWERING = {
    "chat answer": chats.CHAT_TEXT_QA_PROMPT,
    "answer": defaults.DEFAULT_TEXT_QA_PROMPT,
    "chat tree": chats.CHAT_TREE_SUMMARIZE_PROMPT,
    "tree": defaults.DEFAULT_TREE_SUMMARIZE_PROMPT,
    "citing": CITATION_QA_TEMPLATE,
    "choosing": defaults.DEFAULT_CHOICE_SELECT_PROMPT,
}
REFINING = {
    "chat refine": chats.CHAT_REFINE_PROMPT,
    "refine": defaults.DEFAULT_REFINE_PROMPT,
    "citing refine": CITATION_REFINE_TEMPLATE,
}
ALL = {**ANSWERING, **REFINING}
OF_2023 = {
    "answer": (
        "Context information is below.\n---------------------\n{context_str}\n---------------------\nGiven the context "
        "information and not prior knowledge, answer the question: {query_str}\n"
    ),
    "refine": (
        "The original question is as follows: {query_str}\nWe have provided an existing answer: {existing_answer}\nWe "
        "have the opportunity to refine the existing answer (only if needed) with some more context below.\n"
        "------------\n{context_msg}\n------------\nGiven the new context, refine the original answer to better answer "
        "the question. If the context isn't useful, return the original answer."
    ),
}


def filled(prompt: BasePromptTemplate, *, context: str = CONTEXT, question: str = QUESTION) -> list[dict[str, Any]]:
    """A prompt of LlamaIndex with everything in its place."""
    return wire(prompt, context_str=context, context_msg=context, query_str=question, existing_answer=DRAFT)


@pytest.mark.parametrize("name", ALL)
def test_a_prompt_of_llama_index_gives_back_what_was_put_in(name: str) -> None:
    """Context, question and draft come out to the letter, and it is said where the context stands."""
    messages = filled(ALL[name])
    place = len(messages) - 1

    assert read_prompt(messages) == PromptParts(
        context=CONTEXT,
        question=QUESTION,
        draft=DRAFT if name in REFINING else None,
        message=place,
        start=messages[place]["content"].index(CONTEXT),
    )


@pytest.mark.parametrize("name", OF_2023)
def test_a_prompt_of_2023_gives_back_what_was_put_in(name: str) -> None:
    """Prompts that LlamaIndex no longer has are known as well."""
    text = PromptTemplate(OF_2023[name]).format(
        context_str=CONTEXT, context_msg=CONTEXT, query_str=QUESTION, existing_answer=DRAFT
    )

    assert read_prompt([{"role": "user", "content": text}]) == PromptParts(
        context=CONTEXT,
        question=QUESTION,
        draft=DRAFT if name == "refine" else None,
        message=0,
        start=text.index(CONTEXT),
    )


@pytest.mark.parametrize("quoted", ALL)
@pytest.mark.parametrize("name", [*ANSWERING, *REFINING])
def test_a_document_may_quote_a_prompt(name: str, quoted: str) -> None:
    """What is quoted stays in the context, as where LlamaIndex's own manual is asked."""
    manual = "The manual:\n" + "\n".join(message["content"] for message in filled(ALL[quoted], question="Who?"))
    parts = read_prompt(filled(ALL[name], context=f"{manual}\nSo much for prompts."))

    assert parts is not None
    assert (parts.context, parts.question) == (f"{manual}\nSo much for prompts.", QUESTION)
    assert parts.draft == (DRAFT if name in REFINING else None)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    name=st.sampled_from(sorted(ALL)),
    context=st.text(max_size=60).map(lambda text: f"{text}-{text}"),
    other=st.text(max_size=60),
)
def test_any_context_comes_back_and_can_be_replaced(name: str, context: str, other: str) -> None:
    """Whatever a document says, it is found again; with another context nothing else changes."""
    messages = filled(ALL[name], context=context)
    example = TrainingExample(messages=[*messages, {"role": "assistant", "content": "1993."}], query_id="q", step=1)
    parts = read_prompt(example.messages)

    assert parts is not None
    assert parts.context == context
    asked = filled(ALL[name], context=other)
    assert with_context(example, parts, other) == example.model_copy(
        update={"messages": [*asked, {"role": "assistant", "content": "1993."}]}
    )
    assert example.messages[:-1] == messages


def test_without_a_context_there_are_no_parts() -> None:
    """Plain questions, pictures, tools' replies and prompts for something else are left alone."""
    condense = "Given a conversation, rewrite the message.\n\n<Standalone question>\n"
    pictures = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]

    assert read_prompt([]) is None
    for content in ("When was it built?", "", None, condense, pictures):
        assert read_prompt([{"role": "user", "content": content}]) is None
    assert read_prompt([{"role": "tool", "tool_call_id": "c", "content": filled(ALL["answer"])[0]["content"]}]) is None
    assert read_prompt([{"role": "assistant", "content": filled(ALL["answer"])[0]["content"]}]) is None


@pytest.mark.parametrize("name", ALL)
def test_a_prompt_that_was_changed_has_no_parts(name: str) -> None:
    """With words behind its end it was made by another template, whose parts are not guessed."""
    messages = filled(ALL[name])
    messages[-1]["content"] += "Think first."

    assert read_prompt(messages) is None


def test_white_space_at_the_end_does_not_matter() -> None:
    """Some clients strip what they send, and some models want a blank line behind it."""
    messages = filled(ALL["answer"])
    texts = [messages[0]["content"].rstrip(), messages[0]["content"] + "\n\n"]

    for text in texts:
        parts = read_prompt([{"role": "user", "content": text}])
        assert parts is not None
        assert (parts.context, parts.question) == (CONTEXT, QUESTION)


# -- Through engines

NODES = [
    "The plant was built in 1993.\nIts roof is red.",
    "Query: When?\nAnswer: Below.\n---------------------\nGiven the context information, see page 3.",
    "Original Answer: none.\nNew Answer: none.",
]
"""Short texts that look like the rest of a prompt."""
ASKED = "When was it built?\nAnswer: the year"
Build = Callable[[SummaryIndex, LLM], Any]
ENGINES: dict[str, Build] = {
    "refine": lambda index, llm: index.as_query_engine(llm=llm, response_mode="refine"),
    "accumulate": lambda index, llm: index.as_query_engine(llm=llm, response_mode="accumulate"),
    "compact": lambda index, llm: index.as_query_engine(llm=llm, response_mode="compact"),
    "tree_summarize": lambda index, llm: index.as_query_engine(llm=llm, response_mode="tree_summarize"),
    "simple_summarize": lambda index, llm: index.as_query_engine(llm=llm, response_mode="simple_summarize"),
}
DRAFTS: dict[str, list[str | None]] = {
    "refine": [None, "First.", "Second."],
    "accumulate": [None, None, None],
    "compact": [None],
    "tree_summarize": [None],
    "simple_summarize": [None],
}


@pytest.fixture
def llm() -> Iterator[LLM]:
    """A chat model that counts its answers, and takes some 1,300 tokens."""
    with RunningBackend(responder=ScriptedResponder(["First.", "Second.", "Third.", "Fourth.", "Fifth."])) as backend:
        yield OpenAILike(
            model="any",
            api_base=backend.base_url,
            api_key="none",
            http_client=backend.http_client(),
            is_chat_model=True,
            context_window=1300,
            max_tokens=100,
        )


def calls(ask: Callable[[], Any]) -> list[TrainingExample]:
    """What the recorder keeps while something is asked."""
    handler = OpenAIFineTuningHandler()
    with handler.recording():
        ask()
    return handler.examples(kinds=None)


@pytest.mark.parametrize("mode", ENGINES)
def test_what_an_engine_asks_is_taken_apart(mode: str, llm: LLM) -> None:
    """In every response mode the passages, the question and each draft are found in the recorded calls."""
    index = SummaryIndex.from_documents([Document(text=text) for text in NODES])
    engine = ENGINES[mode](index, llm)

    found = [read_prompt(call.messages) for call in calls(lambda: engine.query(ASKED))]
    one_each = [(text, ASKED) for text in NODES]
    together = "\n\n".join(NODES) if mode != "simple_summarize" else str(["\n".join(NODES)])

    assert [parts.draft for parts in found if parts] == DRAFTS[mode]
    assert [(parts.context, parts.question) for parts in found if parts] == (
        one_each if len(DRAFTS[mode]) == 3 else [(together, ASKED)]
    )


def test_a_citing_engine_is_taken_apart(llm: LLM) -> None:
    """Its numbered sources are the context."""
    index = SummaryIndex.from_documents([Document(text=text) for text in NODES])
    engine = CitationQueryEngine.from_args(index, llm=llm, retriever=index.as_retriever())

    [call] = calls(lambda: engine.query(ASKED))
    sources = "\n\n".join(f"Source {number}:\n{text}" for number, text in enumerate(NODES, start=1))
    start = call.messages[0]["content"].index(sources)

    assert read_prompt(call.messages) == PromptParts(
        context=sources, question=ASKED, draft=None, message=0, start=start
    )


@pytest.mark.parametrize("system", [None, "Be brief.\nAnswer in English."], ids=["plain", "system prompt"])
@pytest.mark.parametrize("mode", ["context", "condense_plus_context"])
def test_the_prompts_of_a_chat_engine_are_taken_apart(mode: str, system: str | None, llm: LLM) -> None:
    """The passages stand in the system message, the question is the user's last; a long context is refined."""
    text = " ".join(f"The plant number {number} was built in {1900 + number}." for number in range(75))
    index = SummaryIndex.from_documents([Document(text=text)])
    memory = ChatMemoryBuffer.from_defaults(token_limit=500)
    engine = index.as_chat_engine(chat_mode=mode, llm=llm, system_prompt=system, memory=memory)

    found = [read_prompt(call.messages) for call in calls(lambda: engine.chat(ASKED))]
    contexts = [parts.context for parts in found if parts]

    if len(found) == 1 and contexts == [text]:
        pytest.skip("this LlamaIndex puts a long context of a chat engine into one call")
    assert [(parts.question, parts.draft, parts.message) for parts in found if parts] == [
        (ASKED, None, 0), (ASKED, "First.", 0),
    ]  # fmt: skip
    assert [text.startswith(contexts[0]), text.endswith(contexts[1])] == [True, True]
    assert min(map(len, contexts)) > 300


# -- Templates of one's own

ANSWERS = "Antworte kurz.\n{context_str}\nFrage: {query_str}\n"
REFINES = "Bisher: {existing_answer}\nNeu: {context_msg}\nFür: {query_str}\nBesser:"
OWN: dict[str, tuple[str, str | None, str | None]] = {
    ANSWERS: ("A.\n\nB.", "Wer?", None),
    REFINES: ("A.\n\nB.", "Wer?", "Ana."),
    "Text:\n{context_str}\nEnde.": ("A.\n\nB.", None, None),
    "Frage: {question}\nText: {context_str}": ("A.\n\nB.", "Wer?", None),
}


@pytest.mark.parametrize("template", OWN)
def test_a_template_of_ones_own_gives_back_what_was_put_in(template: str) -> None:
    """Its variables may stand in any order, and all but the context may be missing."""
    text = PromptTemplate(template).format(
        context_str="A.\n\nB.", context_msg="A.\n\nB.", query_str="Wer?", question="Wer?", existing_answer="Ana."
    )
    context, question, draft = OWN[template]

    assert read_prompt([{"role": "user", "content": text}]) is None
    assert read_prompt([{"role": "user", "content": text}], templates=[template]) == PromptParts(
        context=context, question=question, draft=draft, message=0, start=text.index("A.")
    )


def test_ones_own_templates_come_first() -> None:
    """A prompt that a default template would fit as well is read by one's own."""
    own = "Context information is below.\n---------------------\nSource: {context_str}\n---------------------\n" + (
        "Given the context information and not prior knowledge, answer the query.\nQuery: {query_str}\nAnswer: "
    )
    text = PromptTemplate(own).format(context_str="A.", query_str="Who?")

    [parts] = [read_prompt([{"role": "user", "content": text}], templates=[own])]
    assert parts is not None
    assert (parts.context, parts.question) == ("A.", "Who?")


@pytest.mark.parametrize(
    "template",
    ["", "Answer: {query_str}", "{context_str}", "A {context_str} B {context_str}", "A {context_str}{query_str}",
     "As {tone}: {context_str}", "A {context_str} B {context_msg}"],
)  # fmt: skip
def test_a_template_that_cannot_be_used_is_refused(template: str) -> None:
    """Without one place for the context behind some text, or with unknown variables, nothing could be found."""
    message = (
        f"the template {template!r} cannot be used to read prompts; it needs {{context_str}} once, behind some text, "
        "and may have {query_str} and {existing_answer}"
    )
    with pytest.raises(ConfigurationError) as caught:
        read_prompt([], templates=[template])
    assert str(caught.value) == message
    with pytest.raises(ConfigurationError):
        curate([answered("Who?", "Ana.")], templates=[template])


# -- The real ones


@needs_data
def test_all_prompts_of_the_post_are_taken_apart() -> None:
    """40 answers and 25 refine steps; each draft is the answer before it, and each question that of its answer."""
    examples = read_examples(EVENTS)
    found = [read_prompt(example.messages) for example in examples]
    known = [parts for parts in found if parts is not None]
    refines = [place for place, parts in enumerate(known) if parts.draft is not None]

    assert (len(examples), len(known), len(refines)) == (65, 65, 25)
    assert [known[place].draft for place in refines] == [examples[place - 1].answer for place in refines]
    assert [known[place].question for place in refines] == [known[place - 1].question for place in refines]
    assert {(parts.message, parts.start) for parts in known} == {(0, 351), (1, 52)}
    assert (min(len(parts.context) for parts in known), max(len(parts.context) for parts in known)) == (909, 8262)
    assert sorted(len(parts.question or "") for parts in known)[0] > 40
    assert all(parts.context.startswith("page_label: ") for parts in known if parts.draft is None)


@needs_data
def test_the_context_of_a_real_prompt_can_be_replaced() -> None:
    """Put back as it was, nothing has changed; with another one, all else stays to the letter."""
    for example in read_examples(EVENTS):
        parts = read_prompt(example.messages)
        assert parts is not None
        assert with_context(example, parts, parts.context) == example
        before, after = [
            [m["content"] for m in one.messages] for one in (example, with_context(example, parts, "Another."))
        ]
        assert before[parts.message] != after[parts.message]
        assert [text.replace(parts.context, "Another.") for text in before] == after


def test_with_another_context_what_is_known_of_the_call_stays() -> None:
    """Only one message changes, and the example it was made from is left as it was."""
    example = refined("Who?", "Bo.", draft="Ana.", context="A.", query_id="q", step=1, node_ids=["n"], model="m")
    parts = read_prompt(example.messages)

    assert parts is not None
    changed = with_context(example, parts, "B.")
    assert changed == refined(
        "Who?", "Bo.", draft="Ana.", context="B.", query_id="q", step=1, node_ids=["n"], model="m"
    )
    assert read_prompt(example.messages) == parts
