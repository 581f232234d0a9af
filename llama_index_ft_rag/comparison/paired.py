"""The paired test: did one arm do better than another on the same questions?

In: one value per question and arm. Out: a `PairedDifference` over the questions that both arms have a value
for, with a 95 % interval, a p-value and a verdict in words. Knows nothing of answers, judges or money.

Interval: paired Student's t. Facts that decided it: on 20 to 40 paired scores a percentile bootstrap is too
narrow. p-value: sign-flip permutation, which assumes no distribution. A difference counts as shown only when
the interval leaves out 0 *and* the p-value, adjusted for the number of metrics, is below 0.05.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from llama_index_ft_rag.errors import MissingExtraError

Verdict = Literal["better", "worse", "no difference shown", "too few", "not comparable"]
"""`too few`: fewer than two pairs. `not comparable`: the two arms were scored by different judges."""

CONFIDENCE = 0.95
ALPHA = 0.05
POWER = 0.80
_TIE = 1e-9
"""Differences below this are rounding, not wins or losses; a spread below it is no spread."""
_RESAMPLES = 2**14
"""Up to 14 untied questions all sign flips are counted; beyond that this many are drawn, seeded."""
_VALUES_AT_ONCE = 2_000_000
"""Sign-flipped differences held in memory at once; how they are cut into batches does not change the draw."""


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """`arm` minus `base_arm` in one metric, on the questions where both have a value."""

    metric: str
    base_arm: str
    arm: str
    n: int
    """Questions with a value in both arms."""
    difference: float | None
    """Mean of the per-question differences; positive when `arm` is better."""
    low: float | None
    high: float | None
    """Ends of the 95 % interval; both equal the difference where all questions differ by the same amount."""
    p_value: float | None
    """Two-sided sign-flip permutation p of this metric alone."""
    p_adjusted: float | None
    """The same after Holm's correction over the judge's metrics compared between these two arms."""
    wins: int
    losses: int
    ties: int
    verdict: Verdict
    minimum_detectable: float | None
    """Smallest true difference that this many questions with this spread show 4 times out of 5."""
    questions_needed: int | None
    """Questions that would show a true difference as large as the one seen, 4 times out of 5."""


def paired_difference(
    base: Mapping[str, float],
    arm: Mapping[str, float],
    *,
    metric: str,
    base_arm: str,
    arm_name: str,
    seed: int = 0,
) -> PairedDifference:
    """Compare two arms in one metric; keys are question ids, and only those in both count.

    Raises:
        MissingExtraError: If scipy is not installed.
    """
    differences = [arm[question] - base[question] for question in base if question in arm]
    n = len(differences)
    mean = statistics.fmean(differences) if differences else None
    spread = _spread(differences)
    half = _half_width(n, spread)
    low = None if mean is None or half is None else mean - half
    high = None if mean is None or half is None else mean + half
    p_value = _sign_flip_p(differences, seed) if n >= 2 else None
    return PairedDifference(
        metric=metric,
        base_arm=base_arm,
        arm=arm_name,
        n=n,
        difference=mean,
        low=low,
        high=high,
        p_value=p_value,
        p_adjusted=p_value,
        wins=sum(value > _TIE for value in differences),
        losses=sum(value < -_TIE for value in differences),
        ties=sum(abs(value) <= _TIE for value in differences),
        verdict=_verdict(mean, low, high, p_value),
        minimum_detectable=_minimum_detectable(n, spread),
        questions_needed=_questions_needed(mean, spread),
    )


def not_comparable(*, metric: str, base_arm: str, arm_name: str) -> PairedDifference:
    """What is said of two arms whose scores come from different judges: nothing but that."""
    empty = paired_difference({}, {}, metric=metric, base_arm=base_arm, arm_name=arm_name)
    return replace(empty, verdict="not comparable")


def adjust(differences: Sequence[PairedDifference]) -> list[PairedDifference]:
    """Correct the p-values for having looked at several metrics, and settle the verdicts.

    Holm, S. (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 65-70.
    """
    tested = sorted((row.p_value, index) for index, row in enumerate(differences) if row.p_value is not None)
    adjusted: dict[int, float] = {}
    floor = 0.0
    for rank, (p_value, index) in enumerate(tested):
        floor = max(floor, min(1.0, p_value * (len(tested) - rank)))
        adjusted[index] = floor
    return [
        replace(
            row,
            p_adjusted=adjusted[index],
            verdict=_verdict(row.difference, row.low, row.high, adjusted[index]),
        )
        if index in adjusted
        else row
        for index, row in enumerate(differences)
    ]


def _spread(differences: Sequence[float]) -> float | None:
    """Standard deviation; exactly 0 where all differences are the same but for rounding."""
    if len(differences) < 2:
        return None
    spread = statistics.stdev(differences)
    return spread if spread > _TIE else 0.0


def _half_width(n: int, spread: float | None) -> float | None:
    """Half the width of the paired t interval; 0 where there is no spread."""
    if not spread:
        return spread
    return _t_quantile((1 + CONFIDENCE) / 2, n - 1) * spread / math.sqrt(n)


def _sign_flip_p(differences: Sequence[float], seed: int) -> float:
    untied = [value for value in differences if abs(value) > _TIE]  # flipping the sign of 0 changes nothing
    if not untied:
        return 1.0
    if len(untied) == 1:
        return 1.0  # both sign patterns are equally far from 0; scipy wants two observations
    result = _scipy_stats().permutation_test(
        (untied,),
        _mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=max(1, _VALUES_AT_ONCE // len(untied)),
        random_state=seed,
    )
    return float(result.pvalue)


def _mean(sample: Any, axis: int = -1) -> Any:
    return sample.mean(axis=axis)


def _verdict(mean: float | None, low: float | None, high: float | None, p_value: float | None) -> Verdict:
    if mean is None or low is None or high is None or p_value is None:
        return "too few"
    if p_value >= ALPHA or low <= 0 <= high:
        return "no difference shown"
    return "better" if mean > 0 else "worse"


def _minimum_detectable(n: int, spread: float | None) -> float | None:
    """(t(1 - alpha/2) + t(power)) * s / sqrt(n), with n - 1 degrees of freedom.

    Bloom, H. S. (1995), Minimum Detectable Effects, Evaluation Review 19(5), 547-556.
    """
    if not spread:
        return None
    multiplier = _t_quantile(1 - ALPHA / 2, n - 1) + _t_quantile(POWER, n - 1)
    return multiplier * spread / math.sqrt(n)


def _questions_needed(mean: float | None, spread: float | None) -> int | None:
    """((z(1 - alpha/2) + z(power)) * s / d)^2: the same formula solved for n, with normal quantiles."""
    if not spread or mean is None or abs(mean) <= _TIE:
        return None
    normal = statistics.NormalDist()
    multiplier = normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(POWER)
    return math.ceil((multiplier * spread / mean) ** 2)


def _t_quantile(probability: float, degrees: int) -> float:
    return float(_scipy_stats().t.ppf(probability, degrees))


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError as exc:
        raise MissingExtraError("Comparing two arms", extra="ragas", missing="scipy") from exc
    return stats
