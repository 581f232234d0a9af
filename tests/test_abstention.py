from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from llama_index_ft_rag.abstention import is_abstention

ANSWERS_BY_LANGUAGE = Path(__file__).with_name("abstention_answers")
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "abstention.py"
needs_data = pytest.mark.skipif(
    "FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA does not name the data folder"
)

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


def in_every_language(mark: str) -> list[str]:
    r"""The made-up answers that begin with a mark: `+` declines, `-` says something; `\n` stands for a new line."""
    files = sorted(ANSWERS_BY_LANGUAGE.glob("*.txt"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line[2:].replace("\\n", "\n") for line in lines if line.startswith(f"{mark} ")]


@pytest.mark.parametrize("text", [*DECLINES, *in_every_language("+")])
def test_an_answer_that_declines_is_an_abstention(text: str) -> None:
    """Declining in any of the usual ways counts, with apologies and advice around it."""
    assert is_abstention(text)


@pytest.mark.parametrize("text", [*ANSWERS, *in_every_language("-")])
def test_an_answer_that_says_something_is_none(text: str) -> None:
    """A negative answer is an answer, and so is one with a caveat before or after it."""
    assert not is_abstention(text)


@pytest.mark.parametrize(
    "text",
    [
        "the CONTEXT does NOT mention a fee",
        "The context doesn\u2019t mention a fee.",
        "The\u00a0context does\u202fnot mention a fee\u00a0.",
        "> **The context** does *not* mention a `fee` [1][2].",
        "\ufeffThe context\u200b does not mention a fee\r\n\r\n",
        unicodedata.normalize("NFD", "El contexto no menciona la información."),
        unicodedata.normalize("NFD", "Le contexte ne précise pas les délais."),
    ],
)
def test_spelling_and_decoration_change_nothing(text: str) -> None:
    """Letter case, kinds of apostrophes, spaces and accents, Markdown and citations do not count."""
    assert is_abstention(text)


def test_reasoning_before_an_answer_is_no_part_of_it() -> None:
    """What a model thinks aloud first neither declines nor answers."""
    declines, answers = "The context does not mention a fee.", "The fee is five dollars."

    assert is_abstention(f"<think>{answers}</think>\n\n{declines}")
    assert not is_abstention(f"<think>{declines}</think>\n\n{answers}")


@pytest.mark.parametrize(
    "text",
    ["", " \n", ".", "?!", "\ud800", "\udfff not", "\x00no", "İ" * 1500, "\u0301" * 1500, "🙂 not", "[1]", "[" * 1500],
)
def test_text_without_a_sentence_is_no_abstention(text: str) -> None:
    """Nothing, signs, halves of characters: each is an answer like any other."""
    assert not is_abstention(text)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "the context is not ",
            "was not is not in the context ",
            "sorry, but ",
            "there is no any any ",
            "I don't know. ",
        ),
        *("im text ist hier nicht ", "der kontext nennt nichts nicht kein ", "ich kann leider ", "weiß ich nicht, "),
        *("le contexte ne n'est pas ne sont pas ", "dans le contexte il n'est pas ", "aucune information "),
        *("no se no se en el contexto ", "el contexto no no se ", "según el contexto "),
        *("没有关于在上下文中", "未提及，未提供的", "根据上下文，", "提供的信息的资料中"),
        *("コンテキストには情報は", "記載されていませんが、", "提供された", "ません、"),
        *("not; ", "no — ", "no... ", "[1] not ", "(", "no\n", "</think>", "\ud800 not "),
    ],
)
def test_a_hostile_text_gets_its_answer_like_any_other(piece: str) -> None:
    """However often a piece is repeated, no pattern tries so many ways through it that no answer comes."""
    texts = [
        (start + piece * 1500)[:1490] + end
        for start in ("", "The context does not ", "没有", "ない")
        for end in ("", "x")
    ]

    assert {type(is_abstention(text)) for text in texts} == {bool}


def test_a_long_text_says_something() -> None:
    """However it declines, a text of more than 1500 characters is an answer."""
    text = "I don't know. " * 107

    assert (len(text), is_abstention(text), is_abstention(text + "I don't know.")) == (1498, True, False)


@needs_data
def test_the_real_answers_of_a_teacher_are_told_apart() -> None:
    """Of 65 answers of gpt-4 these 18 decline, as read by a person, and no other."""
    path = Path(os.environ["FT_RAG_TEST_DATA"]) / "post" / "llm-finetuning_finetuning_events.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    answers = [json.loads(line)["messages"][-1]["content"] for line in lines if line]

    found = [number for number, answer in enumerate(answers, start=1) if is_abstention(answer)]

    assert len(answers) == 65
    assert found == [4, 20, 21, *range(28, 35), 43, 44, 45, 46, 53, 54, 55, 56]


@needs_data
def test_the_real_answers_of_a_base_and_a_tuned_model_are_told_apart() -> None:
    """Of 36 answers of each, the base model declines none and the tuned model these 4, as read by a person."""
    path = Path(os.environ["FT_RAG_TEST_DATA"]) / "post" / "extracted_ragas_tables.json"
    tables = json.loads(path.read_text(encoding="utf-8"))

    found = {key: [int(row[0]) for row in tables[key][1:] if is_abstention(row[2])] for key in ("23", "47")}

    assert [len(tables[key]) - 1 for key in ("23", "47")] == [36, 36]
    assert found == {"23": [], "47": [8, 30, 31, 34]}


@needs_data
def test_the_script_prints_what_the_labels_of_a_person_say() -> None:
    """Per source and in total: how often the two agree, with an interval, and no sentence of the data."""
    command = [sys.executable, str(SCRIPT), "--json"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    report = json.loads(process.stdout)

    figures = ("answers", "abstentions", "true_positives", "false_positives", "false_negatives")
    assert {row["source"]: [row[figure] for figure in figures] for row in report["rows"]} == {
        "training file": [65, 18, 18, 0, 0],
        "base answers": [36, 0, 0, 0, 0],
        "tuned answers": [36, 4, 4, 0, 0],
        "total": [137, 22, 22, 0, 0],
    }
    assert report["rows"][-1]["recall"] == {"value": 1.0, "low": pytest.approx(0.851, abs=0.001), "high": 1.0}
    assert report["disagreements"] == []


def test_the_script_names_the_folder_it_needs() -> None:
    """Without data it says in one sentence what to set."""
    environment = {name: value for name, value in os.environ.items() if name != "FT_RAG_TEST_DATA"}
    process = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )

    assert (process.returncode, process.stdout) == (1, "")
    assert (
        process.stderr == "FT_RAG_TEST_DATA is not set; set it to the folder that holds post/ with the real answers\n"
    )
