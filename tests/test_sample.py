from __future__ import annotations

import pytest

from llama_index_ft_rag.sample import sample_report


def test_the_english_report_is_long_enough_to_train_on_and_says_that_it_is_invented() -> None:
    """The shipped report has about 8,000 words and calls itself fiction before its first figure."""
    text = sample_report().read_text(encoding="utf-8")

    assert 7_500 < len(text.split()) < 9_000
    assert text.splitlines()[2].startswith("This report is fiction.")


def test_the_chinese_report_says_that_it_is_invented() -> None:
    """The Chinese report calls itself fiction before its first figure."""
    text = sample_report("zh").read_text(encoding="utf-8")

    assert len(text) > 2_000
    assert text.splitlines()[2].startswith("本报告纯属虚构。")


@pytest.mark.parametrize(
    ("total", "parts"),
    [
        ("1,112.0", (486.2, 274.8, 198.4, 152.6)),
        ("1,112.0", (612.5, 298.7, 141.3, 59.5)),
        ("1,112.0", (258.1, 271.4, 284.6, 297.9)),
        ("144.8", (467.1, -94.5, -128.2, -74.6, -18.6, -6.4)),
        ("104.5", (134.0, -29.5)),
        ("1,373.0", (606.0, 767.0)),
        ("1,373.0", (641.0, 732.0)),
        ("318.7", (141.2, 118.4, 34.6, 24.5)),
    ],
)
def test_the_figures_of_the_english_report_add_up(total: str, parts: tuple[float, ...]) -> None:
    """Sums one may ask about are the sums of the figures given, and all of them are in the text."""
    text = sample_report().read_text(encoding="utf-8")

    assert f"{sum(parts):,.1f}" == total
    assert [part for part in (total, *(f"{abs(p):,.1f}" for p in parts)) if f"${part} million" not in text] == []
