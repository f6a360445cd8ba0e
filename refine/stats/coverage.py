"""Coverage of a space by trials, failure rates, and best trials at the edge of a range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import (
    BoolArray,
    FloatArray,
    check_count,
    check_share,
    checked,
    codes_of,
    column,
    columns,
    same_length,
    top_mask,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Interval(NamedTuple):
    """Interval of a share."""

    low: FloatArray  # ends, shaped like the counts
    high: FloatArray


_OUTER = 0.25  # outer part of a range in which at least half of the best ten trials must lie


class Edge(NamedTuple):
    """One end of a range: do the best trials gather there?"""

    side: str  # 'low' or 'high'
    top_count: int  # best trials on the edge
    top_n: int  # best trials in total
    share: float  # share of all trials that lie on the edge
    p: float  # one-sided p-value of no more best trials than the edge's share of all trials
    # The share of best trials on the edge is at least that of the next level. Otherwise the optimum lies
    # inside, and the range needs no extension.
    peak: bool
    # Half of the best ten trials lie in the outer quarter of the range, and the edge itself has at least its
    # share of the ten.
    best: bool


class Rate(NamedTuple):
    """Frequency of an event (a failure, a divergence, a constant prediction) at a level."""

    level: int  # code of the level
    hits: int  # trials with the event
    n: int  # trials at the level
    rate: float  # hits / n; NaN without trials
    low: float  # ends of the Wilson interval
    high: float
    p: float  # two-sided Fisher p-value of this level against all others


class Trend(NamedTuple):
    """Frequency of an event along a range."""

    # Probability that a trial with the event lies higher than a trial without the event, ties counted half.
    # 1: only above some position; 0: only below; 0.5: no relation to the position; NaN: always or never.
    higher: float
    p: float  # two-sided p-value of no relation to the position
    below: float  # share of events in the lower half of the range; NaN without trials
    above: float  # the same in the upper half


def wilson(k: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share, vectorised.

    Effective (fractional) counts are welcome, and no trials give [0, 1].

    Source: Wilson (1927), 'Probable inference', through `statsmodels.stats.proportion.proportion_confint`.
    """
    from statsmodels.stats.proportion import proportion_confint

    check_share(confidence, "confidence")
    hits, tries = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(n, np.float64))
    if np.any(hits < -1e-9) or np.any(hits > tries * (1 + 1e-9) + 1e-9):
        raise AnalysisError("k: counts must lie between 0 and n; check which trials were counted")
    # Without trials, and at 0 and n, the ends are known exactly; the formula would leave rounding errors.
    low, high = proportion_confint(hits, np.where(tries > 0, tries, 1.0), 1.0 - confidence, "wilson")
    return Interval(
        np.where(hits <= 0, 0.0, np.maximum(low, 0.0)), np.where(hits >= tries, 1.0, np.minimum(high, 1.0))
    )


def hit_probability(n: int, share: float) -> float:
    """Probability that at least one of `n` configurations lies in the best `share` of the space.

    Source: 1 - (1 - share)^n, Bergstra and Bengio (2012), section 2.
    """
    check_share(share, "share")
    if n < 0:
        raise AnalysisError(f"n: must be >= 0, got {n}")
    return float(-np.expm1(n * np.log1p(-share)))


def hit_share(n: int, cells: int | None = None, confidence: float = 0.95) -> float:
    """Smallest region, as a share of a space, that n even trials hit with some confidence.

    1 without trials, 0 if the trials are all the `cells`; ``cells=None`` for many more cells than trials.

    Source: 1 - (1 - q)^n = confidence, the rule of three (Hanley and Lippman-Hand 1983); on a finite grid,
    with cells drawn without replacement, hypergeometric.
    """
    from scipy.special import gammaln

    check_share(confidence, "confidence")
    if n < 0:
        raise AnalysisError(f"n: must be >= 0, got {n}")
    if n == 0:
        return 1.0
    if cells is None or cells > 1e7:
        return float(-np.expm1(np.log1p(-confidence) / n))
    if n >= cells:
        return 0.0
    # Binary search for the smallest k. `missed` is log((cells - k choose n) / (cells choose n)), the log
    # probability that n trials miss a region of k cells; it falls with k.
    low = 1
    high = cells - n + 1
    while low < high:
        k = (low + high) // 2
        missed = -np.inf
        if cells - k >= n:
            ends = gammaln(cells - k + 1) - gammaln(cells - k - n + 1)
            missed = ends - gammaln(cells + 1) + gammaln(cells - n + 1)
        if missed <= np.log1p(-confidence):
            high = k
        else:
            low = k + 1
    return low / cells


def good_trials_to_judge(tests: int, alpha: float = 0.1, power: float = 0.8, half: float = 0.8) -> int:
    """Good trials needed to detect that most of them lie in one half of a parameter's levels.

    18 for one parameter.

    The smallest m for which a one-sided binomial test of 'half of the good trials lie there', at level alpha
    over twice the number of tests, detects a share `half` with probability `power`. Twice, because a
    parameter is tested in two ways. For eight parameters 31.

    Source: the exact power of the sign test, e.g. Conover (1999), section 3.1.
    """
    from scipy.stats import binom

    check_count(tests, "tests")
    for name, share in (("alpha", alpha), ("power", power), ("half", half)):
        check_share(share, name)
    if half <= 0.5:
        raise AnalysisError(f"half: must be above 0.5, got {half!r}; at 0.5 there is nothing to see")
    sizes = np.arange(1, 100_000)
    for part in np.array_split(sizes, 100):
        smallest = binom.isf(alpha / (2 * tests), part, 0.5) + 1
        enough = part[(smallest <= part) & (binom.sf(smallest - 1, part, half) >= power)]
        if enough.size:
            return int(enough[0])
    raise AnalysisError(f"half: {half!r} is too close to 0.5 to be detected with 100,000 good trials")


@dataclass(frozen=True, slots=True)
@checked("top", best=1)
class Boundary:
    """Test both ends of an ordered parameter for a pile-up of the best trials, a share `top` of all.

    The number of best trials on an edge is compared with that of a random top set of equal size:
    hypergeometric, the binomial test against the design's share made exact for drawing without replacement.
    The test alone also finds an edge that beats only the bad part of its range; `Edge.best` says whether the
    best ten trials lie there.
    """

    top: float = 0.2
    best: int = 10  # trials behind `Edge.best`; of fewer than 50 trials a fifth, at least 3

    def __call__(self, x: ArrayLike, y: ArrayLike, levels: ArrayLike) -> tuple[Edge, Edge]:
        """The low and the high edge, with p = 1 if there is no comparison.

        Adjust the p-values over all edges of a round.

        `x` and the (L,) increasing `levels` are positions in [0, 1].
        """
        from scipy.stats import hypergeom

        position, values = columns(x, y)
        n = values.size
        declared = column(levels, "levels")
        strips = declared.size
        step = np.searchsorted((declared[1:] + declared[:-1]) / 2.0, position)
        if n:
            best = top_mask(values, self.top)
        else:
            best = np.zeros(0, np.bool_)
        m = int(best.sum())
        everywhere = np.bincount(step, minlength=strips)
        hits = np.bincount(step[best], minlength=strips)
        very_best = self._very_best(values)
        best_hits = np.bincount(step[very_best], minlength=strips)
        edges = []
        for side, edge_level, next_level in (("low", 0, 1), ("high", strips - 1, strips - 2)):
            edge_count = int(everywhere[edge_level])
            top_count = int(hits[edge_level])
            if n:
                share = edge_count / n
            else:
                share = 0.0
            if strips < 2 or m == n or edge_count in (0, n):
                edges.append(Edge(side, top_count, m, share, 1.0, peak=False, best=False))
                continue
            p = float(hypergeom.sf(top_count - 1, n, edge_count, m))
            peak = top_count * max(int(everywhere[next_level]), 1) >= int(hits[next_level]) * edge_count
            at_edge = int(best_hits[edge_level]) >= max(1.0, share * best_hits.sum())
            if side == "high":
                outer = position >= 1.0 - _OUTER
            else:
                outer = position <= _OUTER
            mostly_outer = 2 * int((very_best & outer).sum()) >= int(very_best.sum())
            edges.append(
                Edge(
                    side,
                    top_count,
                    top_n=m,
                    share=share,
                    p=min(p, 1.0),
                    peak=peak,
                    best=bool(at_edge and mostly_outer),
                )
            )
        return edges[0], edges[1]

    def _very_best(self, values: FloatArray) -> BoolArray:
        """(n,) mask of the very best trials, including ties with the last of them."""
        if not values.size:
            return np.zeros(0, np.bool_)
        count = min(self.best, max(3, values.size // 5), values.size)
        return np.asarray(values >= np.partition(values, -count)[-count])


@dataclass(frozen=True, slots=True)
@checked("confidence")
class LevelRates:
    """Rates of failed, diverged or degenerate trials, level by level."""

    confidence: float = 0.95

    def __call__(self, codes: ArrayLike, happened: ArrayLike, k: int) -> tuple[Rate, ...]:
        """Count an event, (n,) bools, at k levels, over all trials including failed ones."""
        from scipy.stats import hypergeom

        level = codes_of(codes, k)
        flags = np.asarray(happened, dtype=np.bool_)
        same_length(level.size, flags.size)
        tries = np.bincount(level, minlength=k)
        hits = np.bincount(level[flags], minlength=k)
        ends = wilson(hits, tries, self.confidence)
        # Fisher's exact test, two-sided by doubling the smaller tail.
        law = hypergeom(level.size, int(flags.sum()), tries)
        p = np.minimum(1.0, 2.0 * np.minimum(law.cdf(hits), law.sf(hits - 1)))
        with np.errstate(invalid="ignore"):
            rate = hits / np.where(tries > 0, tries, np.nan)
        return tuple(
            Rate(
                j,
                int(hits[j]),
                n=int(tries[j]),
                rate=float(rate[j]),
                low=float(ends.low[j]),
                high=float(ends.high[j]),
                p=float(p[j]) if tries[j] else 1.0,
            )
            for j in range(k)
        )


@dataclass(frozen=True, slots=True)
class RateTrend:
    """Trend of failed, diverged or degenerate trials along a range.

    The test uses all levels together: it finds a learning rate above which training diverges even with too
    few trials at every single level.

    Source: Mann and Whitney (1947), with the normal approximation, corrected for ties and continuity.
    """

    def __call__(self, x: ArrayLike, happened: ArrayLike) -> Trend:
        """Compare positions, in [0, 1], of trials with the event with positions of all other trials."""
        from scipy.stats import mannwhitneyu

        position = column(x, "x")
        flags = np.asarray(happened, dtype=np.bool_)
        same_length(position.size, flags.size)
        upper = position > 0.5
        below, above = (float(flags[part].mean()) if part.any() else np.nan for part in (~upper, upper))
        hits = int(flags.sum())
        if hits in (0, flags.size):
            return Trend(np.nan, 1.0, below, above)
        test = mannwhitneyu(position[flags], position[~flags], method="asymptotic")
        p = float(test.pvalue)
        higher = float(test.statistic) / (hits * (flags.size - hits))
        return Trend(higher, p if np.isfinite(p) else 1.0, below, above)
