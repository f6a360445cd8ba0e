"""Rank tests of a single parameter: trends, differences between choices, and the power of the tests.

Correlations are blind to an optimum in the middle of a range; `refine.stats.importance` adds PED-ANOVA for
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import (
    FloatArray,
    IntArray,
    checked,
    codes_of,
    column,
    columns,
    resample_weights,
    same_length,
    subsample,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


# With fewer trials, p-values come from permutations. With more, the classical approximations agree with them
# to the second digit, and reach far smaller values.
_PERMUTE_BELOW = 50
PERMUTATIONS = 9_999


class Correlation(NamedTuple):
    """A rank correlation with its uncertainty."""

    estimate: float  # in [-1, 1]; NaN if a column is constant, or with fewer than 3 trials
    low: float  # ends of the confidence interval
    high: float
    p: float  # two-sided p-value of no association; 1 if the estimate is NaN
    n: int  # number of trials


@dataclass(frozen=True, slots=True)
@checked("confidence", resamples=1, rows=10)
class Spearman:
    """Spearman's rank correlation, ties at their mean rank.

    The p-value is Student's t approximation (permutations under 50 trials). The interval is a
    percentile bootstrap on Fisher's scale; above `rows` trials the bootstrap runs on a seeded
    subsample and its spread shrinks with the square root of the sizes.

    Source: Spearman (1904); for the subsample, Bickel, Goetze and van Zwet (1997), m out of n.
    """

    confidence: float = 0.95
    resamples: int = 1000
    rows: int = 500
    seed: int = 0

    def __call__(self, x: ArrayLike, y: ArrayLike) -> Correlation:
        """Correlate positions, in any monotone unit, with values."""
        a, b = columns(x, y)
        n = a.size
        if n < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
            return Correlation(np.nan, np.nan, np.nan, 1.0, n)
        rng = np.random.default_rng(self.seed)
        u = standard_ranks(a)
        v = standard_ranks(b)
        estimate = float(np.clip(u @ v, -1.0, 1.0))
        if n < _PERMUTE_BELOW:
            p = _permutation_p(u, v, rng)
        else:
            p = _student_p(estimate, n)
        rows = subsample(n, self.rows, rng)
        group_a = _groups(a[rows])
        group_b = _groups(b[rows])
        weights = resample_weights(rows.size, self.resamples, rng)
        draws = _weighted_spearman(group_a, group_b, weights)
        centre = float(_weighted_spearman(group_a, group_b, np.ones((1, rows.size)))[0])
        low, high = _fisher_interval(estimate, centre, draws, rows.size / n, self.confidence)
        return Correlation(estimate, low, high, p, n)


def benjamini_hochberg(p: ArrayLike) -> FloatArray:
    """(m,) adjusted p-values (q) that control the false discovery rate.

    NaN, 'not tested', stays NaN and does not count.

    Source: Benjamini and Hochberg (1995), through `scipy.stats.false_discovery_control`.
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
    """Mean ranks, centred, of length 1: correlations are their dot products."""
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
    """Sorting order, start of each run of equal values, and the run of each row."""
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

    u = centred(a)
    v = centred(b)
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
    # The interval holds the estimate, also for a perfect correlation, which no resample exceeds.
    return float(min(low, estimate)), float(max(high, estimate))


class Association(NamedTuple):
    """Share of the spread of the ranks explained by the choices of an unordered parameter."""

    effect: float  # epsilon squared, in [0, 1]; NaN with a single choice or a constant value
    low: float  # ends of the confidence interval
    high: float
    p: float  # p-value of no difference; 1 if the effect is NaN
    n: int  # number of trials


class Level(NamedTuple):
    """The typical value at one level."""

    level: int  # code of the level
    n: int  # trials at the level
    median: float  # median value, in units of the metric; NaN without trials
    low: float  # ends of the median's interval; NaN with too few trials for an interval
    high: float


@dataclass(frozen=True, slots=True)
@checked("confidence", resamples=1, rows=10)
class KruskalWallis:
    """Test and size of differences between the choices of an unordered parameter.

    H / (n - 1), epsilon squared, equals the between-choices share of the ranks' variance. The bootstrap of
    such a share is too large by (k - 1) / (n - 1), which is subtracted. The p-value is the chi-squared one of
    `scipy.stats.kruskal`, by permutation if a choice has under 5 trials. The bootstrap works on at most
    `rows` rows.

    Source: Kruskal and Wallis (1952); Tomczak and Tomczak (2014) for epsilon squared.
    """

    confidence: float = 0.95
    resamples: int = 1000
    rows: int = 500
    seed: int = 0

    def __call__(self, codes: ArrayLike, y: ArrayLike, k: int) -> Association:
        """Compare the values between k declared choices; choices without trials are ignored."""
        from scipy.stats import kruskal

        c = codes_of(codes, k)
        b = column(y, "y")
        same_length(c.size, b.size)
        n = b.size
        counts = np.bincount(c, minlength=k)
        occurring = np.flatnonzero(counts)
        if n < 3 or occurring.size < 2 or occurring.size >= n or np.ptp(b) == 0:
            return Association(np.nan, np.nan, np.nan, 1.0, n)
        rng = np.random.default_rng(self.seed)
        ranks = standard_ranks(b)
        member = (c[:, None] == occurring[None, :]).astype(np.float64)
        effect = float(np.sum((ranks @ member) ** 2 / counts[occurring]))
        if counts[occurring].min() < 5 and n <= 2000:
            shuffled = rng.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
            null = ((shuffled @ member) ** 2 / counts[occurring]).sum(axis=1)
            hits = int(np.count_nonzero(null >= effect - 1e-12))
            p = (1 + hits) / (1 + PERMUTATIONS)
        else:
            p = float(kruskal(*(b[c == level] for level in occurring)).pvalue)
        rows = subsample(n, self.rows, rng)
        weights = resample_weights(rows.size, self.resamples, rng)
        draws = _between_share(weights, ranks[rows], member[rows])
        centre = float(_between_share(np.ones((1, rows.size)), ranks[rows], member[rows])[0])
        # Bootstrap draws scatter around the value of the subsample, which is too high by one floor.
        floor = (occurring.size - 1.0) / (rows.size - 1.0)
        spread = (draws - floor - centre) * np.sqrt(rows.size / n)
        tail = 50.0 * (1.0 - self.confidence)
        low, high = np.clip(effect + np.nanpercentile(spread, [tail, 100.0 - tail]), 0.0, 1.0)
        return Association(effect, float(low), float(high), p, n)


@dataclass(frozen=True, slots=True)
@checked("confidence")
class LevelSummary:
    """Median of the value at every level, with a distribution-free interval.

    The ends are order statistics with ranks from the binomial distribution with p = 1/2: for any distribution
    the interval holds at least the stated confidence.

    Source: Conover (1999), 'Practical Nonparametric Statistics', section 3.2.
    """

    confidence: float = 0.95

    def __call__(self, codes: ArrayLike, y: ArrayLike, k: int) -> tuple[Level, ...]:
        """The k levels in order, those without trials with n = 0 and NaN.

        Works as well on seconds as on a metric.
        """
        from scipy.stats import binom

        c = codes_of(codes, k)
        b = column(y, "y")
        same_length(c.size, b.size)
        order = np.lexsort((b, c))
        ends = np.cumsum(np.bincount(c, minlength=k))
        parts = np.split(b[order], ends[:-1])
        # r is the largest rank with P(Bin(n, 1/2) < r) <= tail; the interval runs from the r-th value to the
        # (n+1-r)-th value.
        tail = (1.0 - self.confidence) / 2.0
        sizes = np.array([part.size for part in parts])
        ranks = binom.ppf(tail, sizes, 0.5)
        ranks = np.where(binom.cdf(ranks, sizes, 0.5) <= tail, ranks + 1, ranks)
        levels = []
        for level, (part, rank) in enumerate(zip(parts, ranks, strict=True)):
            n = part.size
            if part.size:
                r = int(rank)
            else:
                r = 0
            if r >= 1:
                low = part[r - 1]
                high = part[n - r]
            else:
                low = np.nan
                high = np.nan
            median = np.median(part) if n else np.nan
            levels.append(Level(level, n, float(median), float(low), float(high)))
        return tuple(levels)


def _between_share(w: FloatArray, ranks: FloatArray, member: FloatArray) -> FloatArray:
    """Between-groups share of the ranks' variance under (B, m) row weights."""
    total = w.sum(axis=1)
    mean = (w @ ranks) / total
    spread = w @ ranks**2 - total * mean**2
    size = w @ member
    sums = w @ (member * ranks[:, None])
    squares = np.divide(sums**2, size, out=np.zeros_like(sums), where=size > 0).sum(axis=1)
    between = squares - total * mean**2
    share = np.divide(between, spread, out=np.full_like(spread, np.nan), where=spread > 0)
    return np.asarray(share)


@dataclass(frozen=True, slots=True)
@checked("effect", simulations=20)
class Power:
    """Power of the rank tests against an effect implanted into a round's own trials.

    Positions are drawn with replacement from the round's, which keeps rare levels rare. Values are the
    round's too, in the order of a latent score with a share `effect` explained by the parameter: ties (failed
    trials, metrics of few values) have their real cost. Spearman's test for ordered parameters, Kruskal and
    Wallis' for choices with random effects.

    Source: simulation-based power, as in Davison & Hinkley (1997), section 4.6.
    """

    effect: float = 0.1  # share of the variance of the latent score that the parameter explains
    simulations: int = 200  # simulated rounds per size
    seed: int = 0

    def __call__(
        self, x: ArrayLike, y: ArrayLike, cardinality: int, sizes: Sequence[int], alpha: float
    ) -> FloatArray:
        """Share of simulated rounds with a p-value of at most `alpha`, for each size.

        `cardinality` is 0 if ordered, else k.
        """
        position, values = columns(x, y)
        if position.size < 2 or np.ptp(position) == 0 or np.ptp(values) == 0:
            return np.zeros(len(sizes))
        return np.array([self._power(position, np.sort(values), cardinality, n, alpha) for n in sizes])

    def _power(self, x: FloatArray, values: FloatArray, cardinality: int, n: int, alpha: float) -> float:
        from scipy.stats import chi2, norm, rankdata

        rng = np.random.default_rng([self.seed, n])
        drawn = x[rng.integers(x.size, size=(self.simulations, n))]
        codes: IntArray = drawn.astype(np.int64)
        high = drawn
        if cardinality:
            high = np.take_along_axis(rng.normal(size=(self.simulations, cardinality)), codes, axis=1)
        share = np.sqrt(self.effect) * _standard(high)
        latent = share + np.sqrt(1 - self.effect) * rng.normal(size=drawn.shape)
        place = np.argsort(np.argsort(latent, axis=1), axis=1)
        ranks = rankdata(values[place * values.size // n], axis=1)
        score = _standard(ranks)
        if not cardinality:
            r = (score * _standard(rankdata(drawn, axis=1))).mean(axis=1)
            return float(np.mean(2 * norm.sf(np.abs(r) * np.sqrt(n - 1)) <= alpha))
        statistic = np.zeros(self.simulations)
        levels = np.zeros(self.simulations)
        for code in range(cardinality):
            of_code = codes == code
            count = of_code.sum(axis=1)
            levels += count > 0
            statistic += np.where(of_code, score, 0.0).sum(axis=1) ** 2 / np.maximum(count, 1)
        p = chi2.sf(statistic * (n - 1) / n, np.maximum(levels - 1, 1))
        return float(np.mean(p <= alpha))


def _standard(table: FloatArray) -> FloatArray:
    """Rows with mean 0 and deviation 1; zeros where a row does not vary."""
    centred = table - table.mean(axis=1, keepdims=True)
    sd = centred.std(axis=1, keepdims=True)
    return np.asarray(centred / np.where(sd > 0, sd, 1.0))
