"""Rank correlation of an ordered parameter with the metric: what moves the value up or down.

Correlations are blind to an optimum in the middle of a range, which is why
`refine.stats.importance` adds PED-ANOVA. For unordered parameters see `refine.stats.association`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import (
    FloatArray,
    IntArray,
    check_count,
    check_share,
    columns,
    resample_weights,
    subsample,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

# Below this many trials p-values come from permutations; above it the classical approximations
# agree with them to the second digit and reach far smaller values.
_PERMUTE_BELOW = 50
PERMUTATIONS = 9_999


class Correlation(NamedTuple):
    """A rank correlation with its uncertainty.

    Attributes:
        estimate: in [-1, 1]; NaN where a column is constant or there are fewer than 3 trials.
        low: lower end of the confidence interval.
        high: upper end of it.
        p: two-sided p-value of no association; 1 where the estimate is NaN.
        n: number of trials.
    """

    estimate: float
    low: float
    high: float
    p: float
    n: int


@dataclass(frozen=True, slots=True)
class Spearman:
    """Spearman's rank correlation, ties at their mean rank.

    The p-value is Student's t approximation (permutations under 50 trials). The interval is a
    percentile bootstrap on Fisher's scale; above `rows` trials the bootstrap runs on a seeded
    subsample and its spread shrinks with the square root of the sizes.

    Source: Spearman (1904); for the subsample, Bickel, Goetze and van Zwet (1997), m out of n.

    Attributes:
        confidence: of the interval.
        resamples: bootstrap draws.
        rows: most rows the bootstrap works on.
        seed: of bootstrap and permutations.
    """

    confidence: float = 0.95
    resamples: int = 1000
    rows: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        check_share(self.confidence, "confidence")
        check_count(self.resamples, "resamples")
        check_count(self.rows, "rows", 10)

    def __call__(self, x: ArrayLike, y: ArrayLike) -> Correlation:
        """Correlate positions with values.

        Args:
            x: (n,) positions of an ordered parameter, in any monotone unit.
            y: (n,) values.

        Raises:
            AnalysisError: if lengths differ or something isn't finite.
        """
        a, b = columns(x, y)
        n = a.size
        if n < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
            return Correlation(np.nan, np.nan, np.nan, 1.0, n)
        rng = np.random.default_rng(self.seed)
        u, v = standard_ranks(a), standard_ranks(b)
        estimate = float(np.clip(u @ v, -1.0, 1.0))
        p = _permutation_p(u, v, rng) if n < _PERMUTE_BELOW else _student_p(estimate, n)
        rows = subsample(n, self.rows, rng)
        group_a, group_b = _groups(a[rows]), _groups(b[rows])
        weights = resample_weights(rows.size, self.resamples, rng)
        draws = _weighted_spearman(group_a, group_b, weights)
        centre = float(_weighted_spearman(group_a, group_b, np.ones((1, rows.size)))[0])
        low, high = _fisher_interval(estimate, centre, draws, rows.size / n, self.confidence)
        return Correlation(estimate, low, high, p, n)


def benjamini_hochberg(p: ArrayLike) -> FloatArray:
    """Adjusted p-values (q) that control the false discovery rate.

    NaN means 'not tested': it stays NaN and doesn't count as a test.

    Source: Benjamini and Hochberg (1995), through `scipy.stats.false_discovery_control`.

    Args:
        p: (m,) p-values in [0, 1] or NaN.

    Returns:
        (m,) q-values.

    Raises:
        AnalysisError: if a p-value lies outside [0, 1].
    """
    from scipy.stats import false_discovery_control

    values = np.atleast_1d(np.asarray(p, dtype=np.float64))
    tested = ~np.isnan(values)
    if np.any((values[tested] < 0) | (values[tested] > 1)):
        raise AnalysisError("p: every p-value must lie in [0, 1]; NaN marks what wasn't tested")
    q = np.full(values.shape, np.nan)
    if tested.any():
        q[tested] = false_discovery_control(values[tested], method="bh")
    return q


def standard_ranks(x: FloatArray) -> FloatArray:
    """Mean ranks, centred, of length 1, so that correlations are dot products."""
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(x), dtype=np.float64)
    ranks -= ranks.mean()
    return np.asarray(ranks / np.sqrt(ranks @ ranks))


def _student_p(estimate: float, n: int) -> float:
    from scipy.special import stdtr

    if abs(estimate) >= 1.0:
        return 0.0
    t = abs(estimate) * np.sqrt((n - 2) / ((1 - estimate) * (1 + estimate)))
    return float(2.0 * stdtr(n - 2, -t))


def _permutation_p(u: FloatArray, v: FloatArray, rng: np.random.Generator) -> float:
    null = np.abs(rng.permuted(np.tile(v, (PERMUTATIONS, 1)), axis=1) @ u)
    hits = np.count_nonzero(null >= abs(float(u @ v)) - 1e-12)
    return float((1 + hits) / (1 + PERMUTATIONS))


def _groups(x: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Sorting order, start of every run of equal values, and each row's run."""
    order = np.argsort(x, kind="stable")
    _, inverse = np.unique(x, return_inverse=True)
    sizes = np.bincount(inverse)
    return order, np.concatenate(([0], np.cumsum(sizes)[:-1])), inverse


def _weighted_spearman(
    a: tuple[IntArray, IntArray, IntArray], b: tuple[IntArray, IntArray, IntArray], w: FloatArray
) -> FloatArray:
    """Spearman's correlation under (B, m) row weights, ranks renewed for every draw."""
    total = w.sum(axis=1, keepdims=True)

    def centred(groups: tuple[IntArray, IntArray, IntArray]) -> FloatArray:
        order, starts, inverse = groups
        per_group = np.add.reduceat(w[:, order], starts, axis=1)
        middle = np.cumsum(per_group, axis=1) - per_group / 2.0
        return np.asarray((middle - total / 2.0)[:, inverse])

    u, v = centred(a), centred(b)
    multiply: Callable[..., FloatArray] = np.einsum
    uv, uu, vv = (multiply("bi,bi,bi->b", w, s, t) for s, t in ((u, v), (u, u), (v, v)))
    scale = np.sqrt(uu * vv)
    return np.divide(uv, scale, out=np.full_like(uv, np.nan), where=scale > 0)


def _fisher_interval(
    estimate: float, centre: float, draws: FloatArray, share: float, confidence: float
) -> tuple[float, float]:
    """Percentile interval of bootstrap draws, moved and scaled from a subsample to all rows."""
    limit = 1.0 - 1e-12
    spread = np.arctanh(np.clip(draws, -limit, limit)) - np.arctanh(np.clip(centre, -limit, limit))
    if np.isnan(spread).all():
        return -1.0, 1.0
    tail = 50.0 * (1.0 - confidence)
    ends = np.nanpercentile(spread * np.sqrt(share), [tail, 100.0 - tail])
    low, high = np.tanh(np.arctanh(np.clip(estimate, -limit, limit)) + ends)
    # A resample can't leave the range of a perfect correlation, the estimate belongs to its
    # interval.
    return float(min(low, estimate)), float(max(high, estimate))
