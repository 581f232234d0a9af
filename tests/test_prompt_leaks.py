"""Which answers speak of their prompt, and which say what any document may say."""

from __future__ import annotations

import time

import pytest
from curated import DATA, needs_data, table_rows

from llama_index_ft_rag.curation.prompt_leaks import leaked_words
from llama_index_ft_rag.documents import load_documents
from llama_index_ft_rag.examples import read_examples

LEAKS = {
    "Based on the provided context, revenue rose.": "Based on the provided context",
    "According to the context, revenue rose.": "According to the context",
    "Revenue rose, as stated in the context information.": "as stated in the context information",
    "Revenue rose, based on the information provided.": "based on the information provided",
    "**Based on the context**, revenue rose.": "Based on the context",
    "- According to the passages, it rose.": "According to the passages",
    "It fell, and according to the excerpts it rose again.": "according to the excerpts",
    "Yes, the context states that shares may be used.": "the context states",
    "The context does not specify the forms. It states that the board decides.": "The context does not specify",
    "The provided context mentions three plants.": "The provided context",
    "The new context provides additional information about the plant.": (
        "The new context provides additional information"
    ),
    "Given the new context, the plant closed in May.": "Given the new context",
    "The plant closed in May. The original answer remains accurate.": "The original answer",
    "The existing response is still correct. The plant closed.": "The existing response is still",
    "Refined Answer: The plant closed in May.": "Refined Answer:",
    "Using the context and not prior knowledge, the plant closed.": "not prior knowledge",
    "As an AI language model, I cannot see the plant, which closed.": "As an AI language model, I",
    "From the context, it is clear that the plant closed.": "From the context",
    "The information in the passages suggests that it closed.": "The information in the passages",
    "In the text provided, the plant is said to have closed.": "In the text provided",
    "Based on the given information, the plant closed.": "Based on the given information",
    "The excerpt describes two plants.": "The excerpt describes",
    "It closed. Per the search results, it was old.": "Per the search results",
    "I am an expert Q&A system, and the plant closed.": "expert Q&A system",
    "根据提供的上下文，工厂于五月关闭。": "根据提供的上下文",
    "根据上下文，工厂于五月关闭。": "根据上下文",
    "工厂于五月关闭。上下文中没有说明原因。": "上下文中没有说明",
    "基于以上提供的信息，工厂已关闭。": "基于以上提供的信息",
    "上下文提到，工厂于五月关闭。": "上下文提到",
    "原答案仍然正确，工厂于五月关闭。": "原答案仍",
}
OF_ANY_DOCUMENT = [
    "In the context of the merger, revenue rose.",
    "In this context, risk means the chance of a loss.",
    "The board judged it given the context of the pandemic.",
    "Given the passage of time, the asset was written down.",
    "The case is made of the following materials: steel and glass.",
    "The following passages of the act were repealed.",
    "Provisions are made based on the available information.",
    "The fee is calculated from the information provided by the client.",
    "Based on the information provided by management, the auditor found no loss.",
    "The bank decides based on the supplied documents.",
    "It is based on estimates provided by distributors.",
    "Unless otherwise provided in the award agreement, it ends.",
    "Use the provided materials to mount the shelf.",
    "Copilot works as an AI assistant for developers.",
    "Advertisers pay when users click from the search results.",
    "The handler reads the user from the context.",
    "The type is inferred based on the context.",
    "The context is cancelled when the deadline passes.",
    "The context provides a way to pass values down the tree.",
    "The context contains the deadline of the request.",
    "A right click opens the context menu; choose Delete from the context menu.",
    "The team adapted to the new context.",
    "The SEC closed its review after the previous response.",
    "The optimiser rewrites the original query.",
    "The defendant amended the original answer to the complaint.",
    "No prior knowledge is needed.",
    "从上下文菜单中选择“删除”。",
    "编译器根据上下文推断类型。",
    "保险公司根据您提供的信息确定保费。",
    "上下文切换需要保存寄存器。",
    "如果上下文没有取消，请求会继续。",
    "审计师根据管理层提供的资料得出结论。",
    "",
]
HOSTILE = [
    "\n", " ", ", ", "the given ", "based on the ", ",per the given ", "the context ", "the context provides no ",
    "the context provides no any some ", "information provided in the ", "as an ai language ", "that, ", "given ",
    "，根据以上提供的", "上下文信息中没有明确", ",\u3000\u3000", "，\n ", "\ud800", "the original ", "q & a ",
]  # fmt: skip


@pytest.mark.parametrize(("answer", "words"), LEAKS.items())
def test_an_answer_that_speaks_of_its_prompt_gives_itself_away(answer: str, words: str) -> None:
    """The words that do it are named."""
    assert leaked_words(answer) == words


@pytest.mark.parametrize("answer", OF_ANY_DOCUMENT)
def test_what_any_document_may_say_is_no_leak(answer: str) -> None:
    """Figures of speech, software, law and business have contexts, passages and answers too."""
    assert leaked_words(answer) is None


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_answer_takes_long(piece: str) -> None:
    """100,000 characters that nearly match everywhere are looked through in far less than ten seconds."""
    text = piece * (100_000 // len(piece))

    began = time.process_time()
    words = leaked_words(text)

    assert words is None
    assert time.process_time() - began < 10


@needs_data
def test_no_sentence_of_four_annual_reports_is_a_leak() -> None:
    """434 pages that no model wrote, of four companies, speak of no prompt."""
    pages = load_documents(DATA / "tenk")

    assert len(pages) == 434
    assert [page.doc_id for page in pages if leaked_words(" ".join(page.text.split()))] == []


@needs_data
def test_the_real_answers_that_speak_of_their_context_are_told_apart() -> None:
    """Of 72 answers of two models these 7 do, as read by a person, 4 of which decline; and none of 75 others."""
    found = {
        model: [row for row, (_, answer, _) in enumerate(table_rows(model)) if leaked_words(answer)]
        for model in ("base", "tuned")
    }
    others = ["foundry_gsm8k_chat_validation", "ruby_sarcastic", "pirate_training_set", "cookbook_toy_chat_fine_tuning"]
    plain = [example for name in others for example in read_examples(DATA / "ftjsonl" / f"{name}.jsonl")]

    assert found == {"base": [35], "tuned": [8, 19, 30, 31, 34, 35]}
    assert [example for example in plain if leaked_words(example.answer)] == []
