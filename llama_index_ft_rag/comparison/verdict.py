"""The verdict: one plain sentence that says whether it helped, on how many questions, and how sure that is.

In: paired differences between two arms, and what they cost. Out: the sentence, and one word for it. Knows
nothing of how differences are computed or where the sentence is printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from llama_index_ft_rag.comparison.money import ArmMoney
from llama_index_ft_rag.comparison.paired import PairedDifference, Verdict

Outcome = Literal["better", "worse", "mixed", "no difference shown", "too few", "not comparable"]
"""One word for all metrics together; `mixed`: better in one and worse in another."""

FEWEST_QUESTIONS = 20
"""Below this many evaluation questions the verdict carries a warning."""

_ORDER: tuple[Verdict, ...] = ("better", "worse", "no difference shown", "too few", "not comparable")


def outcome(differences: Sequence[PairedDifference]) -> Outcome:
    """One word for all metrics together."""
    found = {row.verdict for row in differences}
    if {"better", "worse"} <= found:
        return "mixed"
    return next((verdict for verdict in _ORDER if verdict in found), "too few")


def verdict_sentence(
    differences: Sequence[PairedDifference],
    *,
    base: str,
    candidate: str,
    planned: int,
    offline: bool = False,
    cost: str | None = None,
) -> str:
    """Say in one sentence what the differences show.

    Args:
        differences: `candidate` against `base`, one per metric.
        base: Name of the arm compared with.
        candidate: Name of the arm in question.
        planned: Number of evaluation questions; fewer than 20 are warned about.
        offline: Whether the models were the toy readers of the offline backend.
        cost: A clause on the change in cost, from `cost_clause`.
    """
    told = [row for row in differences if row.n]
    same_n = len({row.n for row in told}) == 1
    clauses = [
        _clause(verdict, [row for row in told if row.verdict == verdict], base, candidate, same_n=same_n)
        for verdict in _ORDER
    ]
    if any(row.verdict == "not comparable" for row in differences):
        clauses.append(f"the scores of {base} and {candidate} come from different judges and are not compared")
    parts = [clause for clause in clauses if clause] or [
        f"nothing can be said: no question was scored for both {base} and {candidate}"
    ]
    parts += _settling(told) + ([cost] if cost else []) + _warning(planned)
    start = f"on {_questions(told[0].n)}, " if same_n else ""
    sentence = ("offline toy run: " if offline else "") + start + "; ".join(parts) + "."
    return sentence[0].upper() + sentence[1:]


def cost_clause(candidate: ArmMoney | None, against: ArmMoney | None) -> str | None:
    """Say how the price of 1,000 questions changes; `None` where one of the two is unknown."""
    if candidate is None or against is None:
        return None
    new, old = candidate.usd_per_1000_questions, against.usd_per_1000_questions
    if new is None or old is None:
        return None
    change = f", {abs(new - old) / old:.0%} {'less' if new < old else 'more'}" if old and new != old else ""
    prices = f"{dollars(new)} with {candidate.arm} and {dollars(old)} with {against.arm}"
    return f"1,000 questions cost {prices}{change}"


def metric_words(metric: str) -> str:
    """`answer_relevancy` -> `answer relevancy`."""
    return metric.replace("_", " ")


def signed(value: float) -> str:
    """Three decimals with a sign, a real minus among them; what rounds to 0 has none."""
    text = f"{abs(value):.3f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else "−") + text


def interval(row: PairedDifference) -> str:
    """The ends of the interval: `−0.039 to +0.137`."""
    return "" if row.low is None or row.high is None else f"{signed(row.low)} to {signed(row.high)}"


def dollars(value: float) -> str:
    """USD with two decimals, or with two significant digits below ten cents."""
    if value == 0 or abs(value) >= 0.1:
        return f"${value:,.2f}"
    return f"${value:.2g}" if abs(value) >= 0.0001 else f"${value:.1e}"


def _clause(verdict: Verdict, rows: Sequence[PairedDifference], base: str, candidate: str, *, same_n: bool) -> str:
    if not rows or verdict == "not comparable":
        return ""
    metrics = " and ".join(_told(row, same_n=same_n) for row in rows)
    if verdict in ("better", "worse"):
        return f"{candidate} is {verdict} than {base} in {metrics}"
    if verdict == "too few":
        return f"too few questions were scored in both {base} and {candidate} to say anything about {metrics}"
    return f"no difference shown between {base} and {candidate} in {metrics}"


def _told(row: PairedDifference, *, same_n: bool) -> str:
    if row.n > 1 and row.ties == row.n:
        return f"{metric_words(row.metric)} (the same on all {row.n})"
    facts = [] if row.difference is None else [signed(row.difference)]
    facts += [f"95 % interval {interval(row)}"] if row.low is not None else []
    facts += [] if same_n else [f"n = {row.n}"]
    if row.verdict == "no difference shown" and row.low is not None and row.high is not None and row.low * row.high > 0:
        facts.append(f"not confirmed by the permutation test, p = {row.p_adjusted:.2f}")
    return f"{metric_words(row.metric)} ({', '.join(facts)})"


def _settling(rows: Sequence[PairedDifference]) -> list[str]:
    """What the first metric without a shown difference would have taken."""
    shown = any(row.verdict in ("better", "worse") for row in rows)
    row = next((row for row in rows if row.verdict == "no difference shown" and row.minimum_detectable), None)
    if shown or row is None:
        return []
    needed = row.questions_needed
    advice = f", and one as small as the one seen needs about {needed:,} questions" if needed else ""
    return [
        f"with this many questions a true difference in {metric_words(row.metric)} below"
        f" {row.minimum_detectable:.2f} would probably be missed"
        + (advice if needed and row.n < needed <= 10_000 else "")
    ]


def _warning(planned: int) -> list[str]:
    if planned >= FEWEST_QUESTIONS:
        return []
    return [f"warning: {_questions(planned)} to evaluate on, fewer than {FEWEST_QUESTIONS}, cannot settle it"]


def _questions(count: int) -> str:
    return "1 question" if count == 1 else f"{count:,} questions"
