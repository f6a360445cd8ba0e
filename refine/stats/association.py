"""Do the choices of an unordered parameter differ, and what is typical for each.

A rank analysis of variance says whether and how much; medians with intervals say which way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.stats._common import (
    FloatArray,
    check_count,
    check_share,
    codes_of,
    column,
    resample_weights,
    same_length,
    subsample,
)
from refine.stats.correlation import PERMUTATIONS, standard_ranks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Association(NamedTuple):
    """How much of the spread of the ranks the choices of an unordered parameter explain.

    Attributes:
        effect: epsilon squared, in [0, 1]; NaN with one choice seen or a constant value.
        low: lower end of the confidence interval.
        high: upper end of it.
        p: p-value of no difference; 1 where the effect is NaN.
        n: number of trials.
    """

    effect: float
    low: float
    high: float
    p: float
    n: int


class Level(NamedTuple):
    """The typical value at one level.

    Attributes:
        level: code of the level.
        n: trials there.
        median: median value, in units of the metric; NaN without trials.
        low: lower end of the median's interval; NaN where so few trials allow no such claim.
        high: upper end of it, likewise.
    """

    level: int
    n: int
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class KruskalWallis:
    """Do the choices of an unordered parameter differ, and by how much.

    H / (n - 1), epsilon squared, equals the between-choices share of the ranks' variance. The
    bootstrap of such a share is too large by (k - 1) / (n - 1), which is taken off. The p-value is
    the chi-squared one of `scipy.stats.kruskal`, by permutation where a choice has under 5 trials.

    Source: Kruskal and Wallis (1952); Tomczak and Tomczak (2014) for epsilon squared.

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

    def __call__(self, codes: ArrayLike, y: ArrayLike, k: int) -> Association:
        """Compare the values between the choices.

        Args:
            codes: (n,) whole numbers from 0 to k - 1.
            y: (n,) values.
            k: number of declared choices; those never seen don't matter.

        Raises:
            AnalysisError: if lengths differ, a code is out of range or a value isn't finite.
        """
        from scipy.stats import kruskal

        c, b = codes_of(codes, k), column(y, "y")
        same_length(c.size, b.size)
        n = b.size
        counts = np.bincount(c, minlength=k)
        seen = np.flatnonzero(counts)
        if n < 3 or seen.size < 2 or seen.size >= n or np.ptp(b) == 0:
            return Association(np.nan, np.nan, np.nan, 1.0, n)
        rng = np.random.default_rng(self.seed)
        ranks = standard_ranks(b)
        member = (c[:, None] == seen[None, :]).astype(np.float64)
        effect = float(np.sum((ranks @ member) ** 2 / counts[seen]))
        if counts[seen].min() < 5 and n <= 2000:
            shuffled = rng.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
            null = ((shuffled @ member) ** 2 / counts[seen]).sum(axis=1)
            hits = int(np.count_nonzero(null >= effect - 1e-12))
            p = (1 + hits) / (1 + PERMUTATIONS)
        else:
            p = float(kruskal(*(b[c == level] for level in seen)).pvalue)
        rows = subsample(n, self.rows, rng)
        weights = resample_weights(rows.size, self.resamples, rng)
        draws = _between_share(weights, ranks[rows], member[rows])
        centre = float(_between_share(np.ones((1, rows.size)), ranks[rows], member[rows])[0])
        # Bootstrap draws scatter around the subsample's value, which itself is one floor too high.
        floor = (seen.size - 1.0) / (rows.size - 1.0)
        spread = (draws - floor - centre) * np.sqrt(rows.size / n)
        tail = 50.0 * (1.0 - self.confidence)
        low, high = np.clip(effect + np.nanpercentile(spread, [tail, 100.0 - tail]), 0.0, 1.0)
        return Association(effect, float(low), float(high), p, n)


@dataclass(frozen=True, slots=True)
class LevelSummary:
    """Median of the value at every level, with a distribution-free interval.

    The ends are order statistics whose ranks come from the binomial distribution with p = 1/2, so
    that the interval holds at least the stated confidence for any distribution.

    Source: Conover (1999), 'Practical Nonparametric Statistics', section 3.2.

    Attributes:
        confidence: of the interval.
    """

    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_share(self.confidence, "confidence")

    def __call__(self, codes: ArrayLike, y: ArrayLike, k: int) -> tuple[Level, ...]:
        """Summarise the values level by level; works as well on seconds as on a metric.

        Args:
            codes: (n,) level numbers from 0 to k - 1.
            y: (n,) values.
            k: number of declared levels.

        Returns:
            k levels in order, those without trials with n = 0 and NaN.

        Raises:
            AnalysisError: if lengths differ, a code is out of range or a value isn't finite.
        """
        from scipy.stats import binom

        c, b = codes_of(codes, k), column(y, "y")
        same_length(c.size, b.size)
        order = np.lexsort((b, c))
        ends = np.cumsum(np.bincount(c, minlength=k))
        parts = np.split(b[order], ends[:-1])
        # Largest r with P(Bin(n, 1/2) < r) <= tail; the interval runs from the r-th to the
        # (n+1-r)-th.
        tail = (1.0 - self.confidence) / 2.0
        sizes = np.array([part.size for part in parts])
        ranks = binom.ppf(tail, sizes, 0.5)
        ranks = np.where(binom.cdf(ranks, sizes, 0.5) <= tail, ranks + 1, ranks)
        levels = []
        for level, (part, rank) in enumerate(zip(parts, ranks, strict=True)):
            n, r = part.size, int(rank) if part.size else 0
            low, high = (part[r - 1], part[n - r]) if r >= 1 else (np.nan, np.nan)
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
