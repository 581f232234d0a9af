from __future__ import annotations

import pytest

from llama_index_ft_rag.comparison.agreement import Agreement, agreement_values, summarize_agreement, token_f1


def refuses(text: str) -> bool:
    """Whether a text is the one refusal of these tests."""
    return text == "no idea"


@pytest.mark.parametrize(
    ("answer", "reference", "f1"),
    [
        ("Revenue was $1,234.5 million.", "revenue WAS 1,234.5 million", 1.0),
        ("a b c d", "a b", 2 / 3),
        ("the the the", "the cat", 0.4),
        ("收入增长了百分之十", "收入增长了百分之五", 8 / 9),
        ("NVIDIA的收入", "NVIDIA 的 收入", 1.0),
        ("yes", "no", 0.0),
        ("", "", 1.0),
        ("", "words", 0.0),
        ("!!!", "words", 0.0),
    ],
)
def test_token_f1(answer: str, reference: str, f1: float) -> None:
    """Words are tokens in English, characters in Chinese; case, punctuation and spacing do not matter."""
    assert token_f1(answer, reference) == pytest.approx(f1)


def test_refusing_and_answering_never_agree() -> None:
    """Two refusals agree fully whatever their words; a refusal and an answer not at all; a missing one is left out."""
    teacher = {"q0": "no idea", "q1": "no idea", "q2": "a b", "q3": "a b", "q4": "a b"}
    texts = {"q0": "no idea", "q1": "a b", "q2": "no idea", "q3": "a b c d"}
    values = agreement_values(texts, teacher, is_abstention=refuses)

    assert values == {"q0": 1.0, "q1": 0.0, "q2": 0.0, "q3": pytest.approx(2 / 3)}
    assert summarize_agreement("tuned", values, teacher, is_abstention=refuses) == Agreement(
        arm="tuned",
        n=4,
        mean=pytest.approx(5 / 12),
        answerable=2,
        answerable_mean=pytest.approx(1 / 3),
        teacher_abstained=2,
        also_abstained=1,
    )


def test_no_common_question_has_no_mean() -> None:
    """Nothing to compare is no number, never 0."""
    row = summarize_agreement("tuned", {}, {}, is_abstention=refuses)

    assert (row.n, row.mean, row.answerable_mean) == (0, None, None)
