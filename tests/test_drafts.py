"""Refine steps: which draft one had, and whether it added anything to it."""

from __future__ import annotations

import time

import pytest
from curated import DATA, DRAFT, EVENTS, answered, needs_data, refined, taught

from llama_index_ft_rag.curation import Curation, curate, read_prompt
from llama_index_ft_rag.curation.drafts import repeats_draft
from llama_index_ft_rag.documents import load_documents
from llama_index_ft_rag.examples import TrainingExample, read_examples

ZH_DRAFT = "2022 财年收入增至 1200 万元。"
REPEATS = [
    (DRAFT, DRAFT),
    (DRAFT, f"  **{DRAFT.upper()}**\n"),
    (DRAFT, "Revenue rose to 12 million in fiscal 2022"),
    (DRAFT, f'"{DRAFT}"'),
    (ZH_DRAFT, "2022财年收入增至1200万元"),
    (ZH_DRAFT, "２０２２ 财年收入增至 １２００ 万元。"),
]
CHANGES = [
    (DRAFT, "Revenue rose to 1.2 million in fiscal 2022."),
    (DRAFT, "Revenue rose to -12 million in fiscal 2022."),
    (DRAFT, "Revenue rose to $12 million in fiscal 2022."),
    (DRAFT, "Revenue rose to 12% in fiscal 2022."),
    (DRAFT, "Revenue rose to 12 million."),
    (DRAFT, f"{DRAFT} Costs fell."),
    (DRAFT, ""),
    ("p < 0.05", "p > 0.05"),
    ("Use C.", "Use C++."),
    (ZH_DRAFT, "2022 财年收入增至 1.2 亿元。"),
]
STANDS = [
    "The original answer remains valid.",
    "The existing answer is still correct.",
    f"{DRAFT} The new context does not provide additional information.",
    "The new context is not relevant to the query, so the original answer stands.",
    "Since the new context does not mention revenue, the original answer remains unchanged.",
    "Given the new context, the existing answer is still accurate.",
    "The additional context provides no further details on this.",
    "There is no need to refine the existing answer.",
    "No refinement is needed.",
    "No changes to the original answer are necessary.",
    f"I will repeat the existing answer:\n{DRAFT}",
    f"The original answer is: {DRAFT}",
    "The refined answer is the same as the original answer.",
    "My previous answer stands.",
    "**The original answer still applies.**",
    "The new information doesn't change the answer.",
    "The new context does not provide any information that can be used to refine the original answer.",
    "The answer remains the same.",
    "There is no new information in the context. The original answer is sufficient.",
    "Therefore, the original answer remains the same.",
]
ZH_STANDS = [
    "原答案仍然正确。",
    "新的上下文没有提供更多信息。",
    "新的内容与问题无关，原答案保持不变。",
    "原回答无需修改。",
    "无需修改原有答案。",
    f"因此，维持原答案：{ZH_DRAFT}",
    "新信息不影响原答案。",
    "补充的资料并未涉及收入。",
    "原始答案是正确的。",
    "根据新的上下文，原答案依然有效。",
    "没有必要更新答案。",
    "现有答案已经足够完整。",
]
ADDS = [
    "Revenue rose to 12 million in fiscal 2022 and to 14 million in fiscal 2023.",
    "The original answer is correct, but revenue fell to 9 million in 2023.",
    "The original answer remains largely correct; however, the plant was closed.",
    "The new context does not mention 2022, but it says that revenue was 14 million in 2023.",
    "The new context does not give a total. Three segments earned 4 million each.",
    f"{DRAFT} The new plant opened in May.",
    "The existing answer is accurate, and the new context adds that 12 plants were built.",
    "The original answer is incorrect. Revenue was 13 million.",
    "The original answer is not complete: revenue was 13 million.",
    "The original answer can be refined as follows: revenue was 12 million in fiscal 2022.",
    "The answer is 12 million.",
    "Revenue rose.",
]
OF_ANY_DOCUMENT = [
    "The additional information is not audited.",
    "The provided information does not constitute an offer to sell securities.",
    "The initial response is complete within 24 hours.",
    "The previous response is in the appendix.",
    "No changes were made to the accounting policies in 2022.",
    "No updates are required after the first year.",
    "The current draft is the same as that of 2021.",
    "Without changes to the plan, the award ends in 2025.",
    "The new passage provides no toll booths but two ferries.",
    "There is no need to change the oil.",
]
ZH_ADDS = [
    "原答案是错误的，应为 1300 万元。",
    "原答案正确，但 2023 年收入为 900 万元。",
    "新的上下文没有提到 2022 年，但指出 2023 年收入为 1400 万元。",
    "原答案仍需补充：新工厂于五月开业。",
    "原答案不完整。新工厂于五月开业。",
    "2022 财年收入增至 1200 万元，2023 财年增至 1400 万元。",
    "无需修改合同即可延期。",
    "无需更新驱动程序。",
    "新信息不需要审计。",
    "新内容未经审核。",
    "公司保持回答媒体问题的惯例。",
    "原方案仍然有效。",
]
HOSTILE = [
    "\n", " ", ". ", ":", '."', ".)]", "so, ", "therefore, ", "since ", "the original answer ",
    "the original answer is still ", "the original answer is correct and the ", "the new context does not ",
    "原答案", "新的上下文中没有", "原答案正确，", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize(("draft", "answer"), REPEATS)
def test_an_answer_that_is_its_draft_repeats_it(draft: str, answer: str) -> None:
    """Case, width, white space, emphasis and the last stop make no difference."""
    assert repeats_draft(answer, draft) == "repeats its draft"


@pytest.mark.parametrize(("draft", "answer"), CHANGES)
def test_an_answer_that_changes_a_fact_does_not_repeat_its_draft(draft: str, answer: str) -> None:
    """A point in a number, a sign and a unit are facts; a shorter or a longer answer is another."""
    assert repeats_draft(answer, draft) is None


@pytest.mark.parametrize(
    ("draft", "answer"), [*((DRAFT, answer) for answer in STANDS), *((ZH_DRAFT, answer) for answer in ZH_STANDS)]
)
def test_an_answer_may_only_say_that_its_draft_stands(draft: str, answer: str) -> None:
    """With or without the draft beside it, such an answer teaches nothing of the question."""
    assert repeats_draft(answer, draft) == "only says that the draft stands"


@pytest.mark.parametrize(
    ("draft", "answer"),
    [*((DRAFT, answer) for answer in ADDS + OF_ANY_DOCUMENT), *((ZH_DRAFT, answer) for answer in ZH_ADDS)],
)
def test_an_answer_that_says_anything_else_adds_to_its_draft(draft: str, answer: str) -> None:
    """What comes behind "the draft stands, but" counts, and so does what only sounds like it."""
    assert repeats_draft(answer, draft) is None


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_answer_takes_long(piece: str) -> None:
    """100,000 characters that nearly match everywhere are looked through in far less than ten seconds."""
    text = piece * (100_000 // len(piece))

    began = time.process_time()
    said = repeats_draft(f"{text}\nCosts fell.", DRAFT)

    assert said is None
    assert time.process_time() - began < 10


@needs_data
def test_no_sentence_of_four_annual_reports_says_that_a_draft_stands() -> None:
    """434 pages that no model wrote are never mistaken for it, sentence by sentence."""
    pages = load_documents(DATA / "tenk")
    sentences = {sentence for page in pages for sentence in " ".join(page.text.split()).split(". ")}

    assert len(sentences) > 5_000
    assert [sentence for sentence in sentences if repeats_draft(sentence, DRAFT)] == []


# -- Which draft


def refused(curation: Curation) -> dict[int, str]:
    """What is said of each refine step that added nothing, by its number."""
    return {
        drop.number: reason.text
        for drop in curation.dropped
        for reason in drop.reasons
        if reason.rule == "repeated_draft"
    }


def test_the_template_of_a_refine_step_names_its_draft() -> None:
    """Neither kind nor query id is needed, as in a file that others wrote; nor is the example that wrote it."""
    steps = [
        refined("How much?", DRAFT, draft=DRAFT, kind="other"),
        refined("And why?", "The new context does not say.", draft="Because of plants.", kind="other"),
        refined("Where?", "In the north and the south.", draft="In the north.", kind="other"),
    ]

    assert refused(curate(steps)) == {1: "repeats its draft", 2: "only says that the draft stands"}


def quoting(draft: str, answer: str, **facts: object) -> TrainingExample:
    """A refine step in a prompt of the app's own."""
    return taught(f"Bisher: {draft}\nNeu: noch ein Absatz\nVerbessere das.", answer, **facts)


def test_in_an_unknown_prompt_the_draft_is_what_it_quotes_of_its_own_query() -> None:
    """An earlier answer of the same query that stands in the prompt word for word was to be refined."""
    first = answered("How much?", DRAFT, query_id="q")

    result = curate([first, quoting(DRAFT, DRAFT, query_id="q", kind="refine")])

    assert refused(result) == {2: "repeats its draft"}
    assert result.kept == [first]


@pytest.mark.parametrize(
    "facts",
    [
        {"query_id": "another", "kind": "refine"},
        {"query_id": None, "kind": "refine"},
        {"query_id": "q", "kind": "answer"},
        {"query_id": "q", "kind": "tree_step"},
    ],
)
def test_an_answer_of_another_query_is_no_draft(facts: dict[str, object]) -> None:
    """What is quoted from elsewhere, or in a call that refines nothing, was not to be refined."""
    assert refused(curate([answered("How much?", DRAFT, query_id="q"), quoting(DRAFT, DRAFT, **facts)])) == {}


@pytest.mark.parametrize(("kind", "found"), [("refine", {2: "repeats its draft"}), ("other", {})])
def test_a_short_answer_is_a_draft_only_where_the_call_is_known_to_refine(kind: str, found: dict[int, str]) -> None:
    """A "Yes." may stand in any prompt by chance."""
    result = curate([answered("Is it?", "Yes.", query_id="q"), quoting("Yes.", "Yes.", query_id="q", kind=kind)])

    assert refused(result) == found


def test_a_call_of_an_unknown_kind_may_quote_a_long_answer() -> None:
    """From forty characters on, chance is no explanation."""
    result = curate([answered("How much?", DRAFT, query_id="q"), quoting(DRAFT, DRAFT, query_id="q", kind="other")])

    assert refused(result) == {2: "repeats its draft"}


def test_a_later_answer_is_no_draft() -> None:
    """Only what was said before can have been quoted."""
    step = quoting(DRAFT, DRAFT, query_id="q", kind="refine")

    result = curate([step, answered("How much?", DRAFT, query_id="q")])

    assert refused(result) == {}
    assert result.notices[-1] == (
        "1 refine steps have a prompt made by no known template, and their drafts were not found; pass your prompts as "
        "templates"
    )


def test_templates_of_ones_own_name_the_draft() -> None:
    """Then neither query ids nor the earlier answer are needed, and there is nothing to note."""
    template = "Bisher: {existing_answer}\nNeu: {context_msg}\nVerbessere das."

    result = curate([quoting(DRAFT, DRAFT, kind="refine")], templates=[template])

    assert refused(result) == {1: "repeats its draft"}
    assert [notice for notice in result.notices if "template" in notice] == []


def test_a_refine_step_is_measured_against_the_best_who_wrote_its_draft() -> None:
    """Where two examples gave the same answer, and no query ids tell them apart, the better score counts."""
    first, second = answered("How much?", DRAFT), answered("How much was it?", DRAFT)
    step = refined("How much?", "A lot.", draft=DRAFT)
    scores = {first.content_hash: 0.9, second.content_hash: 0.2, step.content_hash: 0.5}

    [drop] = curate([first, second, step], scores=scores).dropped

    assert [(reason.rule, reason.text) for reason in drop.reasons] == [
        ("made_worse", "made its draft worse: 0.90 became 0.50")
    ]


def test_an_answer_in_parts_is_read_as_one_text() -> None:
    """Mixed content repeats its draft as plain text does."""
    parts = [{"type": "text", "text": "Revenue rose to 12 million"}, {"type": "text", "text": "in fiscal 2022."}]

    assert refused(curate([refined("How much?", parts, draft=DRAFT)])) == {1: "repeats its draft"}


# -- The real ones


@needs_data
def test_eight_real_refine_steps_repeat_their_drafts() -> None:
    """Of 25 steps of gpt-4 just these do, word for word; a file of 2023 has no query ids and no kinds."""
    examples = read_examples(EVENTS)
    steps = [number for number, one in enumerate(examples, start=1) if (p := read_prompt(one.messages)) and p.draft]

    assert len(steps) == 25
    assert refused(curate(examples)) == dict.fromkeys([21, 30, 32, 34, 44, 46, 54, 56], "repeats its draft")


@needs_data
def test_a_real_draft_is_found_in_a_prompt_of_no_known_template() -> None:
    """The same steps in other words, with query ids: the same eight are found by what they quote."""
    examples = []
    for place, one in enumerate(read_examples(EVENTS)):
        parts = read_prompt(one.messages)
        assert parts is not None
        asked = f"{parts.question}\n\n{parts.draft}\n\n{parts.context}" if parts.draft else f"{parts.question}"
        query = f"q{place - 1 if parts.draft else place}"
        kind = "refine" if parts.draft else "answer"
        examples.append(taught(asked, one.answer, query_id=query, kind=kind))

    assert refused(curate(examples)) == dict.fromkeys([21, 30, 32, 34, 44, 46, 54, 56], "repeats its draft")
