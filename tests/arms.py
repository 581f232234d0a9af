"""Answers and scores of made-up arms."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index_ft_rag.answering import Answer
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.scoring import Score


def answer(arm: str, number: int, text: str | None = "Paris it is", *, tokens: int = 100, **fields: object) -> Answer:
    """One answer; `number` is that of its question."""
    usage = Usage(prompt_tokens=tokens, completion_tokens=tokens // 10)
    facts = {"question": f"Question {number}?", "usage": usage, **fields}
    return Answer.model_validate({"question_id": f"q{number}", "arm": arm, "text": text, **facts})


def answers(arm: str, texts: Sequence[str | None], **fields: object) -> list[Answer]:
    """One answer per text, to questions 0, 1, 2, ..."""
    return [answer(arm, number, text, **fields) for number, text in enumerate(texts)]


def scores(arm: str, values: Sequence[float | None], *, metric: str = "faithfulness", judge: str = "j1") -> list[Score]:
    """One score per value; `None` could not be scored."""
    return [
        Score(
            question_id=f"q{number}",
            arm=arm,
            metric=metric,
            value=value,
            invalid_reason="the judge's reply was cut off" if value is None else None,
            judge=judge,
        )
        for number, value in enumerate(values)
    ]
