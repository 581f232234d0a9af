from __future__ import annotations

import pytest

from llama_index_ft_rag.break_even import BreakEven, paid_back


def test_training_pays_for_itself_after_whole_questions() -> None:
    """$3 at a saving of $2.90 per 1,000 questions are paid back by the 1,035th."""
    assert paid_back(
        "tuned", "teacher", training_usd=3.0, usd_per_1000_questions=0.1, against_usd_per_1000_questions=3.0
    ) == BreakEven(
        arm="tuned",
        against="teacher",
        training_usd=3.0,
        saving_usd_per_1000_questions=pytest.approx(2.9),
        questions=1035,
    )


@pytest.mark.parametrize("against", [1.0, 0.5])
def test_without_a_saving_it_never_pays_for_itself(against: float) -> None:
    """A question that costs as much or more saves nothing, however many are asked."""
    even = paid_back(
        "tuned", "base", training_usd=1.0, usd_per_1000_questions=1.0, against_usd_per_1000_questions=against
    )

    assert even is not None
    assert even.questions is None


@pytest.mark.parametrize("known", [(None, 1.0, 2.0), (1.0, None, 2.0), (1.0, 1.0, None)])
def test_what_is_not_known_is_not_paid_back(known: tuple[float | None, float | None, float | None]) -> None:
    """With a part missing there is no number at all."""
    training, new, old = known

    even = paid_back(
        "tuned",
        "base",
        training_usd=training,
        usd_per_1000_questions=new,
        against_usd_per_1000_questions=old,
    )

    assert even is None
