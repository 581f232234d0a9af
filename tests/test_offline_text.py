"""Sentences and tokens of the toy models."""

import pytest

from llama_index_ft_rag.offline.toys.text import (
    Sentence,
    abstains,
    content_tokens,
    is_chinese,
    numbers,
    split_prose,
    split_sentences,
    tokens,
)


def test_wrapped_lines_are_joined_and_metadata_is_dropped():
    """A sentence of a PDF comes out whole, without page labels, file names, page numbers or running heads."""
    page = (
        "page_label: 7\nfile_name: harbor.pdf\nfile_path: /tmp/harbor.pdf\n\nTable of Contents\n"
        "Harbor Light ships lanterns\nto forty ports. It was founded\nin 1968.\n17\n"
    )

    assert [sentence.text for sentence in split_sentences(page)] == [
        "Harbor Light ships lanterns to forty ports.",
        "It was founded in 1968.",
    ]


def test_headings_bullets_and_tables_are_told_apart():
    """Each piece knows what it is and which heading stands above it."""
    page = "# Risks\nThe main risks are:\n• storms;\n• late ships.\n\nRevenue 412.0 380.5 361.2\n"

    assert split_sentences(page) == (
        Sentence(text="Risks", kind="heading"),
        Sentence(text="The main risks are:", kind="prose", heading="Risks"),
        Sentence(text="storms;", kind="bullet", heading="Risks"),
        Sentence(text="late ships.", kind="bullet", heading="Risks"),
        Sentence(text="Revenue 412.0 380.5 361.2", kind="table", heading="Risks"),
    )


def test_a_short_title_above_prose_is_a_heading():
    """A line in title case that ends without a full stop is the heading of what follows."""
    page = "Our Fleet\nWe own nine ships.\nTheir crews are local.\n"

    assert [(sentence.kind, sentence.heading) for sentence in split_sentences(page)] == [
        ("heading", ""),
        ("prose", "Our Fleet"),
        ("prose", "Our Fleet"),
    ]


@pytest.mark.parametrize(
    ("paragraph", "pieces"),
    [
        ("Mr. Roe left. He paid $1.5 million.", ["Mr. Roe left.", "He paid $1.5 million."]),
        ("Harbor Inc. sells lamps. See Item 1A. Risks.", ["Harbor Inc. sells lamps.", "See Item 1A. Risks."]),
        ("They moved to the U.S. The port is new.", ["They moved to the U.S.", "The port is new."]),
        ("J. Roe signed, e.g. in No. 5.", ["J. Roe signed, e.g. in No. 5."]),
        ("It ended.Although late, it sold.", ["It ended.", "Although late, it sold."]),
        ("收入为1.5亿元。利润增长了8%！好吗？", ["收入为1.5亿元。", "利润增长了8%！", "好吗？"]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(paragraph, pieces):
    """Abbreviations, initials and decimals do not end a sentence; Chinese marks and glued sentences do."""
    assert split_prose(paragraph) == pieces


def test_a_sentence_too_long_to_quote_is_cut_at_its_semicolons():
    """Legal text comes in clauses that can be quoted alone."""
    clause = "the holder of every lantern shall keep it lit " * 6

    assert len(split_prose(f"{clause}; {clause}; and no more.")) == 3


def test_chinese_lines_are_joined_without_a_space():
    """A wrapped Chinese sentence has no gap in it."""
    first, second = "公司在青岛和澜溪两地分别设有一个面积较大的光学实验室以及", "一个软件中心。"

    assert [sentence.text for sentence in split_sentences(f"{first}\n{second}\n")] == [first + second]


def test_tokens_are_stemmed_and_numbers_are_plain():
    """Forms of a word, and ways to write a number, become one token."""
    assert tokens("Policies increased; policy increasing 1,703.50% planned") == [
        "policy",
        "increas",
        "policy",
        "increas",
        "1703.5",
        "plan",
    ]
    assert numbers("$1,000 and 8.0 %, １２ 个") == ["1000", "8", "12"]


def test_chinese_tokens_are_pairs_of_characters():
    """Chinese needs no dictionary; pairs with a particle carry no meaning."""
    assert tokens("营业收入") == ["营业", "业收", "收入"]
    assert content_tokens("公司的收入") == ["公司", "收入"]


def test_the_language_is_told_by_its_letters():
    """Chinese text with Latin names is Chinese; English with one Chinese name is not."""
    assert [is_chinese("TideMark 是一种水表"), is_chinese("The port of 青岛 is large"), is_chinese("12 %")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "The context does not provide information on this question.",
        "I don't know.",
        "There is no information about it.",
        "The text doesn't say how many.",
        "所给内容没有提供关于这个问题的信息。",
        "无法确定。",
    ],
)
def test_refusals_are_recognised(answer):
    """An answer that says it does not know is told from one that answers."""
    assert abstains(answer)


@pytest.mark.parametrize(
    "answer", ["Harbor Light does not pay dividends.", "Revenue was $3 million.", "公司没有发生死亡事故。"]
)
def test_a_negative_fact_is_no_refusal(answer):
    """That a company does not do something is an answer."""
    assert not abstains(answer)
