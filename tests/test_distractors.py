from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_desk import Service, model
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import get_response_synthesizer
from llama_index.core.prompts.chat_prompts import CHAT_REFINE_PROMPT, CHAT_TEXT_QA_PROMPT, CHAT_TREE_SUMMARIZE_PROMPT
from llama_index.core.prompts.default_prompts import DEFAULT_REFINE_PROMPT_TMPL, DEFAULT_TEXT_QA_PROMPT_TMPL
from llama_index.core.schema import NodeWithScore, TextNode

from llama_index_ft_rag.abstention import is_abstention
from llama_index_ft_rag.curation.distractors import LeftOut, RaftRows, add_distractors
from llama_index_ft_rag.curation.prompt_leaks import leaked_words
from llama_index_ft_rag.curation.prompt_parts import read_prompt
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample, Usage, read_examples

HARBOUR = "Grain and timber leave Lindau by ship; Ana Duarte has run its harbour since 1993."
BAKERY = "Rye bread from Tromp & Sons is baked twice a day, at five and at noon."
LIBRARY = "Borrowed maps are due back within three weeks, atlases within one."
GARDEN = "Every spring the botanical garden plants tulips along its southern wall."
MUSEUM = "Admission to the museum of clocks is free on the first Sunday of a month."
TRAMS = "Trams number four and nine share their rails as far as the old brewery."
OTHERS = [BAKERY, LIBRARY, GARDEN, MUSEUM, TRAMS]
QUESTION = "Who runs the harbour (since 1993)?"
ANSWER = "Ana Duarte."
MARK = "<<context>>"
OWN_TEMPLATE = "Kontext: {context_str}\nFrage: {query_str}\nAntwort:"


def asked(prompt: str, answer: Any = ANSWER, **fields: Any) -> TrainingExample:
    """One prompt and its answer."""
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return TrainingExample(messages=messages, **fields)


def recorded(context: str = HARBOUR, question: str = QUESTION, answer: Any = ANSWER, **fields: Any) -> TrainingExample:
    """A question answered from a context, with LlamaIndex's prompt."""
    prompt = DEFAULT_TEXT_QA_PROMPT_TMPL.format(context_str=context, query_str=question)
    return asked(prompt, answer, **fields)


def refined(context: str, *, draft: str, answer: str, question: str = QUESTION, **fields: Any) -> TrainingExample:
    """A refine step, with LlamaIndex's prompt."""
    prompt = DEFAULT_REFINE_PROMPT_TMPL.format(context_msg=context, query_str=question, existing_answer=draft)
    return asked(prompt, answer, **fields)


def context_of(example: TrainingExample, *templates: str) -> str:
    """What stands in its prompt as context."""
    parts = read_prompt(example.messages, templates=templates)
    assert parts is not None
    return parts.context


def chosen(passages: Sequence[Any], *, seed: int = 0, **settings: Any) -> list[str]:
    """The distractors that the question about the harbour is given."""
    row = add_distractors([recorded(**settings)], passages=passages, seed=seed).examples[0]
    return [text for text in context_of(row).split("\n\n") if text != HARBOUR]


# -- The prompt


def test_a_rows_prompt_is_what_llama_index_writes_for_those_passages() -> None:
    """The student is trained on the very prompt that it will be served when these passages are retrieved."""
    service = Service([ANSWER])
    synthesizer = get_response_synthesizer(llm=model()(service))
    nodes = [TextNode(text=text, metadata={"page_label": str(page)}) for page, text in enumerate([HARBOUR, *OTHERS])]
    synthesizer.synthesize(QUESTION, [NodeWithScore(node=nodes[0])])
    example = TrainingExample(messages=[*service.noted[0].request.messages, {"role": "assistant", "content": ANSWER}])

    row = add_distractors([example], distractors=3, passages=nodes[1:]).examples[0]

    context = context_of(row)
    given_nodes = sorted((node for node in nodes if node.text in context), key=lambda node: context.index(node.text))
    synthesizer.synthesize(QUESTION, [NodeWithScore(node=node) for node in given_nodes])
    assert len(given_nodes) == 4
    assert row.messages[:-1] == service.noted[1].request.messages


def wire(prompt: Any, **values: str) -> list[dict[str, str]]:
    """A chat prompt as it goes over the wire."""
    messages = prompt.format_messages(query_str=QUESTION, **values)
    return [{"role": str(message.role.value), "content": message.content} for message in messages]


PROMPTS = {
    "answer": wire(CHAT_TEXT_QA_PROMPT, context_str=MARK),
    "refine": wire(CHAT_REFINE_PROMPT, context_msg=MARK, existing_answer="Nobody."),
    "tree": wire(CHAT_TREE_SUMMARIZE_PROMPT, context_str=MARK),
    "own": [{"role": "user", "content": OWN_TEMPLATE.format(context_str=MARK, query_str=QUESTION)}],
    "chat": [
        {
            "role": "system",
            "content": f"Use the context information below to assist the user.\n--------------------\n{MARK}\n"
            "--------------------\n",
        },
        {"role": "user", "content": QUESTION},
    ],
}


@pytest.mark.parametrize("asking", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("no_answer", [0.0, 1.0])
def test_nothing_of_a_prompt_but_its_context_changes(asking: list[dict[str, str]], no_answer: float) -> None:
    """What stands before the context and behind it, and every other message, is byte for byte the recorded one."""
    prompt = [{**message, "content": message["content"].replace(MARK, HARBOUR)} for message in asking]
    example = TrainingExample(messages=[*prompt, {"role": "assistant", "content": ANSWER}])

    row = add_distractors([example], passages=OTHERS, no_answer=no_answer, templates=[OWN_TEMPLATE]).examples[0]

    context = context_of(row, OWN_TEMPLATE)
    assert context != HARBOUR
    assert [{**m, "content": m["content"].replace(context, MARK)} for m in row.messages[:-1]] == asking


# -- Distractors


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_row_has_exactly_as_many_distractors_as_asked_for(number: int) -> None:
    """One more passage than distractors stands in the context: the example's own, as it was recorded."""
    row = add_distractors([recorded()], distractors=number, passages=OTHERS).examples[0]

    passages = context_of(row).split("\n\n")
    assert len(passages) == number + 1
    assert set(passages) <= {HARBOUR, *OTHERS}
    assert passages.count(HARBOUR) == 1
    assert len(set(passages)) == number + 1


def test_the_own_passage_stands_at_any_place() -> None:
    """First, in between or last: with three places each gets about a third of the seeds."""
    rows = [add_distractors([recorded()], distractors=2, passages=OTHERS, seed=seed).examples[0] for seed in range(60)]

    places = [context_of(row).split("\n\n").index(HARBOUR) for row in rows]
    assert [places.count(place) > 10 for place in range(3)] == [True, True, True]


def test_every_passage_is_given_at_times() -> None:
    """Which ones an example gets is left to chance, and the seed decides."""
    assert {text for seed in range(60) for text in chosen(OTHERS, seed=seed)} == set(OTHERS)


def test_a_row_says_what_it_is_made_of_and_claims_nothing_else() -> None:
    """Who answered and what was retrieved stays true; what the recorded call took does not."""
    example = recorded(
        query_id="q1", step=0, kind="answer", question=QUESTION, node_ids=["n1"], node_scores=[0.5], model="gpt-4.1",
        parameters={"temperature": 0.1}, usage=Usage(prompt_tokens=90), latency_s=1.5, finish_reason="stop",
    )  # fmt: skip

    rows = add_distractors([example], passages=OTHERS)

    made = {"made_by": "distractors", "made_from": example.content_hash, "usage": Usage(), "latency_s": None}
    row = example.model_copy(update={"messages": rows.examples[0].messages, **made})
    assert rows == RaftRows(examples=[row], left_out=[], distractors=1, no_answer=0)


def test_a_share_of_the_examples_stays_as_it_is() -> None:
    """With a probability of a quarter about a quarter are changed, the same ones in each run."""
    examples = [recorded(question=f"Who runs harbour {number}?") for number in range(200)]

    rows = add_distractors(examples, passages=OTHERS, probability=0.25)

    changed = [row is not example for row, example in zip(rows.examples, examples, strict=True)]
    assert 35 < sum(changed) < 65
    assert rows.counts() == {"distractors": sum(changed), "no_answer": 0, "unchanged": 200 - sum(changed)}
    assert add_distractors(examples, passages=OTHERS, probability=0.25) == rows


def test_a_probability_of_0_changes_nothing() -> None:
    """Nothing was to be made, so nothing is missing."""
    examples = [recorded(), asked("Hello")]

    rows = add_distractors(examples, probability=0.0)

    assert rows == RaftRows(examples=examples, left_out=[], distractors=0, no_answer=0)


# -- Which passages


HIDES = {
    "same text": HARBOUR,
    "part of it": "Ana Duarte has run its harbour since 1993",
    "a few words of it": "Harbour since 1993",
    "more than it": f"From the chronicle: {HARBOUR} So it is said.",
    "overlap of neighbours": "At dawn ships moor. Grain and timber leave Lindau by ship; so does salt.",
    "short answer": "The prize went to Ana Duarte this year.",
    "same node, other text": TextNode(id_="n1", text="Lindau lies on an island."),
    "same node as a result": NodeWithScore(node=TextNode(id_="n1", text="Lindau lies on an island."), score=1.0),
}


@pytest.mark.parametrize("own", HIDES.values(), ids=HIDES)
def test_no_passage_of_the_examples_own_is_a_distractor(own: Any) -> None:
    """Neither its nodes, nor their texts, nor a good part of them, nor what holds its answer."""
    picked = [chosen([own, BAKERY], seed=seed, node_ids=["n1"]) for seed in range(20)]

    assert picked == [[BAKERY]] * 20


QUAYS = "Because timber prices rose, the board had to close two of the three northern quays in winter."
HOLDS = {
    "its words in a row": (
        QUAYS,
        "In the annual report it says that the board had to close two of the three rooms of the old customs house.",
    ),
    "most of its words": (
        QUAYS,
        "In winter the board decided to close northern quays, two or three, when timber rose in price.",
    ),
    "what is not in the question": (
        "The harbour is run by Ana Duarte, and was since 1993.",
        "The prize went to Ana Duarte, who won ten races.",
    ),
    "umlauts": ("Der Müller schloss zwei Kais.", "Zwei Kais, so Müller, schloss der nie."),
    "Chinese": ("港口由王芳管理。", "新闻说，港口由王芳管理多年。"),
}


@pytest.mark.parametrize(("answer", "holding"), HOLDS.values(), ids=HOLDS)
def test_a_passage_that_says_what_the_answer_says_is_no_distractor(answer: str, holding: str) -> None:
    """A third of its words in a row, or most of those that say something new, in any order."""
    assert [chosen([holding, BAKERY], seed=seed, answer=answer) for seed in range(20)] == [[BAKERY]] * 20


def test_without_passages_those_of_other_examples_are_used() -> None:
    """Each example lends its context to the others."""
    examples = [recorded(), recorded(BAKERY, "When is bread baked?", "At five and at noon.")]

    rows = add_distractors(examples)

    assert [{*context_of(row).split("\n\n")} for row in rows.examples] == [{HARBOUR, BAKERY}] * 2


def test_contexts_with_metadata_are_parted_into_nodes() -> None:
    """What LlamaIndex writes before each node tells where it begins, so that one of them can be given alone."""
    nodes = [TextNode(text=text, metadata={"page": page}).get_content("llm") for page, text in enumerate(OTHERS)]
    examples = [recorded(), recorded("\n\n".join(nodes), "When is bread baked?", "At five.")]

    contexts = {context_of(add_distractors(examples, seed=seed).examples[0]) for seed in range(40)}

    expected = [order for node in nodes for order in (f"{HARBOUR}\n\n{node}", f"{node}\n\n{HARBOUR}")]
    assert sorted(contexts) == sorted(expected)


def test_nodes_are_given_with_the_metadata_that_a_model_sees() -> None:
    """As LlamaIndex writes them into prompts, without what is kept from models."""
    node = TextNode(text=BAKERY, metadata={"page_label": "7", "path": "/secret"}, excluded_llm_metadata_keys=["path"])

    row = add_distractors([recorded()], passages=[node]).examples[0]

    given_node = f"page_label: 7\n\n{BAKERY}"
    assert context_of(row) in (f"{HARBOUR}\n\n{given_node}", f"{given_node}\n\n{HARBOUR}")


def test_what_another_step_of_the_same_question_was_shown_is_the_examples_own() -> None:
    """A refine step's context was retrieved for the question too, though the first step did not see it."""
    steps = [recorded(query_id="q1"), refined(BAKERY, draft=ANSWER, answer="Ana Duarte, they say.", query_id="q1")]

    contexts = [
        context_of(add_distractors(steps, passages=[BAKERY, LIBRARY], seed=seed).examples[0]) for seed in range(20)
    ]

    assert {text for context in contexts for text in context.split("\n\n")} == {HARBOUR, LIBRARY}


def lent(examples: Sequence[TrainingExample], *, own: str = HARBOUR) -> set[str]:
    """What the first of them is given in twenty trials."""
    contexts = [context_of(add_distractors(examples, seed=seed).examples[0]) for seed in range(20)]
    return {text for context in contexts for text in context.split("\n\n")} - {own}


def test_what_was_retrieved_for_a_part_of_the_query_is_the_examples_own() -> None:
    """Parts of one query ask different questions about one matter."""
    part = recorded(BAKERY, "Who supplies the bread?", "Tromp & Sons.", query_id="q1")
    other = recorded(LIBRARY, "When are maps due?", "Within three weeks.", query_id="q2")

    assert lent([recorded(query_id="q1"), part, other]) == {LIBRARY}


def test_a_question_that_was_asked_many_times_lends_itself_nothing() -> None:
    """However many contexts it was answered from, all of them are its own."""
    again = [recorded(f"Chronicle {number * 7} knows of swans on lake {number}.") for number in range(60)]

    assert lent([recorded(), *again, recorded(LIBRARY, "When are maps due?", "Within three weeks.")]) == {LIBRARY}


def test_refine_steps_lend_nothing_where_other_calls_do() -> None:
    """They are often shown the rest of a passage, from the middle of a sentence on."""
    step = refined(GARDEN, draft="In spring.", answer="Every spring.", question="When are tulips planted?")
    other = recorded(LIBRARY, "When are maps due?", "Within three weeks.")

    assert lent([recorded(), step, other]) == {LIBRARY}
    assert lent([refined(HARBOUR, draft="Nobody.", answer=ANSWER), step]) == {GARDEN}


def test_a_passage_that_was_cut_off_is_given_whole_where_it_is_known_whole() -> None:
    """A prompt that was full holds the beginning of a passage only."""
    examples = [
        recorded(),
        recorded(BAKERY, "When is bread baked?", "At five and at noon."),
        recorded(BAKERY[:30], "What is sold?", "Rye bread."),
    ]

    assert lent(examples) == {BAKERY}


@pytest.mark.parametrize(("most", "reason"), [(len(HARBOUR) + 2 + len(LIBRARY), None), (len(HARBOUR) + 9, "too_long")])
def test_a_context_gets_no_longer_than_allowed(most: int, reason: str | None) -> None:
    """A passage that does not fit is not chosen, and where none fits the example is left out."""
    example = recorded()

    for seed in range(20):
        rows = add_distractors([example], passages=OTHERS, max_context_chars=most, seed=seed)

        assert [one.reason for one in rows.left_out] == ([reason] if reason else [])
        assert (rows.examples == [example]) is bool(reason)
        assert len(context_of(rows.examples[0])) <= most


# -- Rows without an answer


def test_a_row_without_its_own_passages_declines_and_claims_nothing() -> None:
    """No model gave this answer, and no node was retrieved for it; the question and its query stay."""
    example = recorded(
        query_id="q1", step=0, kind="answer", question=QUESTION, node_ids=["n1"], node_scores=[0.5], model="gpt-4.1",
        parameters={"temperature": 0.1}, usage=Usage(prompt_tokens=90), latency_s=1.5, finish_reason="stop",
    )  # fmt: skip

    rows = add_distractors([example], passages=[BAKERY], probability=0.0, no_answer=1.0, refusal="No idea.")

    row = recorded(
        BAKERY, answer="No idea.", query_id="q1", step=0, kind="answer", question=QUESTION, made_by="no_answer",
        made_from=example.content_hash,
    )  # fmt: skip
    assert rows == RaftRows(examples=[row], left_out=[], distractors=0, no_answer=1)


@pytest.mark.parametrize(
    ("question", "refusal"),
    [
        (QUESTION, "I don't have enough information to answer this question."),
        ("港口由谁管理？", "我没有足够的信息来回答这个问题。"),
        ("Wer leitet den Hafen?", "I don't have enough information to answer this question."),
    ],
)
def test_the_refusal_is_in_the_language_of_the_question(question: str, refusal: str) -> None:
    """It is an abstention by our own measure, and does not speak of its prompt, which prompts forbid."""
    row = add_distractors([recorded(question=question)], passages=OTHERS, no_answer=1.0).examples[0]

    assert row.answer == refusal
    assert is_abstention(refusal)
    assert leaked_words(refusal) is None


def test_a_refine_step_without_its_own_passages_repeats_its_draft() -> None:
    """That is what LlamaIndex's prompt asks for where the new context does not help."""
    step = refined(HARBOUR, draft="Nobody knows who.", answer=ANSWER)

    row = add_distractors([step], passages=[BAKERY], probability=0.0, no_answer=1.0).examples[0]

    expected = refined(BAKERY, draft="Nobody knows who.", answer="Nobody knows who.")
    assert row.messages == expected.messages


def test_as_much_text_as_is_taken_away_is_put_in_its_place() -> None:
    """A student could tell by a shorter context that it must decline; distractors come on top."""
    example = recorded(f"{HARBOUR}\n\nThe lighthouse of Lindau was built by masons from Bregenz, in 1853.")
    row = {"probability": 0.0, "no_answer": 1.0, "passages": OTHERS}

    alone = add_distractors([example], **row).examples[0]
    among = add_distractors([example], **{**row, "probability": 1.0}, distractors=2).examples[0]

    assert [len(context_of(made).split("\n\n")) for made in (alone, among)] == [2, 4]
    assert all(HARBOUR not in context_of(made) for made in (alone, among))


def test_a_row_that_declines_is_given_nothing_about_its_question() -> None:
    """A passage with many of the question's words may answer it; a word that all passages have tells nothing."""
    passages = [f"Lindau: {text}" for text in (*OTHERS, *(f"{n} swans live on lake {n * 7}." for n in range(9)))]
    near = "Lindau: whoever founded a town may hold markets."
    example = recorded(question="Who founded Lindau?")

    rows = [add_distractors([example], passages=[near, *passages], no_answer=1.0, seed=seed) for seed in range(30)]

    assert [row.counts()["no_answer"] for row in rows] == [1] * 30
    assert [near in context_of(row.examples[0]) for row in rows] == [False] * 30


def test_in_chinese_pairs_of_characters_tell_what_a_passage_is_about() -> None:
    """No blank says where a word ends."""
    example = recorded(question="港口由谁管理？", answer="王芳。")
    passages = ["港口管理费上涨。", "植物园每年春天种郁金香。" * 6]

    rows = [add_distractors([example], passages=passages, probability=0.0, no_answer=1.0, seed=s) for s in range(20)]

    assert [context_of(row.examples[0]) for row in rows] == [passages[1]] * 20


def test_of_the_recorded_answer_only_its_weight_is_kept() -> None:
    """The reasoning that led to another answer would betray it."""
    example = recorded()
    example.messages[-1].update(weight=1, reasoning_content="Ana Duarte has run it.")

    row = add_distractors([example], passages=OTHERS, no_answer=1.0, refusal="No idea.").examples[0]

    assert row.messages[-1] == {"role": "assistant", "content": "No idea.", "weight": 1}


# -- Left out


CITED = "Source 1:\nGrain leaves Lindau by ship.\n\n\nSource 2:\nTimber does too.\n"
EARLIER = {"role": "assistant", "content": "Ana Duarte runs it."}
ALWAYS: dict[str, TrainingExample] = {
    "unknown_prompt": asked(f"{HARBOUR} {QUESTION}"),
    "other_call": recorded(kind="judge"),
    "already_made": recorded(made_by="distractors"),
    "no_context": recorded(" "),
    "numbered_sources": recorded(CITED, answer="Grain and timber [1][2]."),
    "no_text_answer": recorded(answer=None),
    "abstention": recorded(answer="The context does not say who runs it."),
}
WITHOUT_CONTEXT: dict[str, TrainingExample] = {
    "conversation": TrainingExample(messages=[{"role": "user", "content": "Hi"}, EARLIER, *recorded().messages]),
    "untestable": recorded(question="What is it?"),
    "no_text_answer": refined(HARBOUR, draft="", answer=ANSWER),
}


@pytest.mark.parametrize("no_answer", [0.0, 1.0])
@pytest.mark.parametrize(("reason", "example"), ALWAYS.items(), ids=ALWAYS)
def test_an_example_of_which_no_row_can_be_made_is_passed_on(
    reason: str, example: TrainingExample, no_answer: float
) -> None:
    """It is as it was, and the reason is told and counted."""
    rows = add_distractors([example], passages=OTHERS, no_answer=no_answer)

    assert (rows.examples, rows.left_out) == ([example], [LeftOut(example=example, reason=reason)])
    assert rows.counts() == {"distractors": 0, "no_answer": 0, "unchanged": 1, reason: 1}


@pytest.mark.parametrize(("reason", "example"), WITHOUT_CONTEXT.items(), ids=WITHOUT_CONTEXT)
def test_what_cannot_be_refused_can_have_distractors(reason: str, example: TrainingExample) -> None:
    """Where it cannot be told that nothing else answers, an example keeps its own passages."""
    refusals = add_distractors([example], passages=OTHERS, no_answer=1.0)

    assert (refusals.examples, refusals.left_out) == ([example], [LeftOut(example=example, reason=reason)])
    assert add_distractors([example], passages=OTHERS).counts() == {"distractors": 1, "no_answer": 0, "unchanged": 0}


def test_too_few_foreign_passages_leave_an_example_out() -> None:
    """Rather none than fewer than were asked for."""
    example = recorded()

    rows = add_distractors([example], distractors=6, passages=[*OTHERS, HARBOUR])

    assert rows.counts() == {"distractors": 0, "no_answer": 0, "unchanged": 1, "few_passages": 1}
    assert rows.examples == [example]


def test_the_search_for_foreign_passages_ends() -> None:
    """After three hundred look-alikes of its own passage an example is left out, however many there are."""
    alike = [f"{HARBOUR} So says chronicle {number}." for number in range(400)]

    assert add_distractors([recorded()], passages=alike).counts() == {
        "distractors": 0, "no_answer": 0, "unchanged": 1, "few_passages": 1,
    }  # fmt: skip


def test_the_last_step_of_a_tree_is_left_out_and_lends_nothing() -> None:
    """Its context is made of answers, which are no passages."""
    leaf = recorded(answer="Ana Duarte, for thirty years now.", query_id="q1")
    root = recorded("Ana Duarte, for thirty years now.\n\nNobody else.", query_id="q1")
    other = recorded(BAKERY, "When is bread baked?", "At five.")

    assert add_distractors([leaf, root, other]).left_out == [LeftOut(example=root, reason="earlier_answers")]
    assert lent([other, leaf, root], own=BAKERY) == {HARBOUR}


def test_rows_are_not_made_of_rows() -> None:
    """A second pass changes nothing, so that no row has twice as many distractors as one asked for."""
    rows = add_distractors([recorded()], passages=OTHERS).examples

    assert add_distractors(rows, passages=OTHERS).examples == rows


# -- The whole set


def matters() -> list[TrainingExample]:
    """A set of five questions, each about a passage of its own."""
    answers = ["At five.", "Within three weeks.", "Tulips.", "On Sundays.", "As far as the brewery."]
    return [
        recorded(text, f"What is said in note {number}?", answer)
        for number, (text, answer) in enumerate(zip(OTHERS, answers, strict=True))
    ]


def test_an_example_gets_the_same_row_wherever_it_stands() -> None:
    """The order of a set decides nothing."""
    rows = add_distractors(matters(), distractors=2, no_answer=0.5, seed=1)

    backwards = add_distractors(matters()[::-1], distractors=2, no_answer=0.5, seed=1)

    assert 0 < rows.no_answer < 5
    assert backwards.examples == rows.examples[::-1]


def test_an_example_gets_the_same_row_in_other_company() -> None:
    """Other examples, other passages that it does not get, and their order leave a row as it is."""
    example = recorded()
    row = add_distractors([example], passages=OTHERS).examples[0]
    got = [text for text in OTHERS if text in context_of(row)]

    again = add_distractors([*matters(), example], passages=[*OTHERS[::-1], HARBOUR]).examples[-1]
    alone = add_distractors([example], passages=got).examples[0]

    assert (again, alone) == (row, row)


TEXTS = st.sampled_from([HARBOUR, CITED, f"{HARBOUR}\n\n{BAKERY}", "", " ", "---", "港口很大。", "\ud800", *OTHERS])
ANSWERS = st.sampled_from([ANSWER, "", None, "I don't know.", "不知道。", BAKERY, "Yes", [{"type": "text"}]])
QUESTIONS = st.sampled_from([QUESTION, "", "When is bread baked?", "港口由谁管理？", "{context_str}", "What is it?"])
EXAMPLES = st.one_of(
    st.builds(recorded, TEXTS, QUESTIONS, ANSWERS, query_id=st.sampled_from([None, "q1"])),
    st.builds(lambda context, draft: refined(context, draft=draft, answer=ANSWER), TEXTS, TEXTS),
    st.builds(asked, TEXTS, ANSWERS),
    st.builds(TrainingExample, messages=st.lists(st.just({"role": "user", "content": QUESTION}), max_size=2)),
)


@settings(max_examples=150, deadline=None)
@given(
    examples=st.lists(EXAMPLES, max_size=6),
    distractors=st.integers(1, 3),
    probability=st.floats(0, 1),
    no_answer=st.floats(0, 1),
    passages=st.none() | st.lists(TEXTS, min_size=1),
    most=st.none() | st.integers(1, 300),
)
def test_as_many_come_out_as_go_in(
    examples: list[TrainingExample],
    distractors: int,
    probability: float,
    no_answer: float,
    passages: list[str] | None,
    most: int | None,
) -> None:
    """Each is as it was or says of what it was made, each that is missing has its reason, and no input changes."""
    before = [example.model_copy(deep=True) for example in examples]

    rows = add_distractors(
        examples, distractors=distractors, probability=probability, no_answer=no_answer, passages=passages,
        max_context_chars=most,
    )  # fmt: skip

    pairs = list(zip(rows.examples, examples, strict=True))
    made = [row for row, example in pairs if row is not example]
    assert examples == before
    assert [row.made_from for row in made] == [example.content_hash for row, example in pairs if row is not example]
    assert [row.made_by for row in made].count("distractors") == rows.distractors
    assert [row.made_by for row in made].count("no_answer") == rows.no_answer
    assert len(made) + len(rows.left_out) <= len(examples)
    assert all(most is None or len(context_of(row)) <= most for row in made)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"distractors": 0}, "distractors is 0; pass a whole number of at least 1"),
        ({"probability": 1.5}, "probability is 1.5; pass a number from 0 to 1"),
        ({"no_answer": -0.1}, "no_answer is -0.1; pass a number from 0 to 1"),
        ({"no_answer": float("nan")}, "no_answer is nan; pass a number from 0 to 1"),
        ({"refusal": " "}, "refusal is empty; pass the words that decline, or leave it out"),
        ({"max_context_chars": 0}, "max_context_chars is 0; pass a whole number of at least 1"),
        ({"passages": HARBOUR}, "passages is one string; pass a list of strings or nodes"),
        ({"passages": []}, "passages is empty; leave it out to take the contexts of the other examples"),
        ({"passages": [HARBOUR, {"text": "x"}]}, "passage 2 is of type dict; pass strings or nodes"),
    ],
)
def test_a_wrong_argument_is_refused(wrong: dict[str, Any], says: str) -> None:
    """The message names the argument, its value and what to pass."""
    with pytest.raises(ConfigurationError) as caught:
        add_distractors([recorded()], **wrong)

    assert str(caught.value) == says


@pytest.mark.skipif("FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder")
@pytest.mark.parametrize(
    ("asked_for", "counts"),
    [
        ({"distractors": 3}, {"distractors": 47, "no_answer": 0}),
        ({"no_answer": 1.0}, {"distractors": 0, "no_answer": 47}),
        ({"no_answer": 0.2}, {"distractors": 40, "no_answer": 7}),
    ],
)
def test_a_row_is_made_of_every_real_example_that_does_not_decline(
    asked_for: dict[str, Any], counts: dict[str, int]
) -> None:
    """Of the 65 recorded calls of the post 18 decline, and the other 47 lend each other their passages."""
    examples = read_examples(Path(os.environ["FT_RAG_TEST_DATA"]) / "post" / "llm-finetuning_finetuning_events.jsonl")

    rows = add_distractors(examples, **asked_for)

    assert rows.counts() == {**counts, "unchanged": 18, "abstention": 18}
