from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llama_index_ft_rag.abstention import is_abstention

DECLINES = [
    "The context does not provide information on goodwill.",
    "The provided context information does not mention the CEO's salary. Please provide more context.",
    "I'm sorry, but I cannot answer this question based on the provided context.",
    "I apologize, but the given context does not contain any information about the number of patents.",
    "Based on the provided context, there is no information about the number of employees.",
    "The context does not give the number. Therefore, the question cannot be answered.",
    "Unfortunately, the text doesn't say who the auditor is.",
    "The exact figure is not specified in the given context.",
    "The answer cannot be determined from the provided information.",
    "It is not possible to determine the revenue from the context.",
    "There is no mention of dividends in the document.",
    "The documents do not contain any details on this. They only discuss stock plans.",
    "None of the provided excerpts mention a merger.",
    "**The context does not mention a dividend.**",
    "I don't know.",
    "Not specified.",
    "Empty Response",
    "根据提供的上下文，无法确定公司的员工人数。",
    "上下文中没有提供有关商誉的信息。",
    "抱歉，我无法回答这个问题。",
    "文中未提及公司的审计机构。请提供更多信息。",
    "提供的资料没有提到第二家供应商的名称，因此无法回答。",
    "不知道。",
]
ANSWERS = [
    "",
    "None",
    "The company does not disclose the names of its customers.",
    "The context does not provide a total, but it lists 3.2 and 4.1 million.",
    "The context does not give the number. However, 12 plants are listed.",
    "Revenue was $5 million. The context does not say how much of it came from Asia.",
    "Although the context does not mention X, it says that Y is 4.",
    "There is no indication of impairment.",
    "No customer accounted for more than 10% of revenue.",
    "No, the offer is not a public offer of securities.",
    "It is not possible to predict the outcome of the lawsuit.",
    "The report does not include audited figures of the subsidiary.",
    "This information is not public.",
    "It is not included in the backlog reported above.",
    "Information technology is depreciated over 3 to 5 years.",
    "公司没有发生死亡事故。",
    "公司未提供任何担保。",
    "没有客户数据泄露。",
    "上下文没有提到总额，但列出了三个分部的收入。",
    "The context does not provide it. " + "But much can be said of other things. " * 50,
]


@pytest.mark.parametrize("text", DECLINES)
def test_an_answer_that_declines_is_an_abstention(text: str) -> None:
    """Declining in any of the usual ways counts, with apologies and advice around it."""
    assert is_abstention(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_that_says_something_is_none(text: str) -> None:
    """A negative answer is an answer, and so is one with a caveat before or after it."""
    assert not is_abstention(text)


@pytest.mark.skipif("FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder")
def test_the_real_answers_of_a_teacher_are_told_apart() -> None:
    """Of 65 answers of gpt-4 these 18 decline, as read by a person, and no other."""
    path = Path(os.environ["FT_RAG_TEST_DATA"]) / "post" / "llm-finetuning_finetuning_events.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    answers = [json.loads(line)["messages"][-1]["content"] for line in lines if line]

    found = [number for number, answer in enumerate(answers, start=1) if is_abstention(answer)]

    assert len(answers) == 65
    assert found == [4, 20, 21, *range(28, 35), 43, 44, 45, 46, 53, 54, 55, 56]
