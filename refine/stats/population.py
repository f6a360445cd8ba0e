"""A round as a population: its distribution of values, a child against its parent, the best range.

A refinement is good if the population improves, not only its best trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, checked, column
from refine.stats.coverage import wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Curve(NamedTuple):
    """Empirical distribution of a round's values, as in 'Designing Network Design Spaces'."""

    at: FloatArray  # (q,) values, increasing, in units of the metric
    better: FloatArray  # (q,) share of trials at least as good as each value; falls from 1
    low: FloatArray  # (q,) ends of the pointwise bootstrap band
    high: FloatArray
    n: int  # number of trials


class Comparison(NamedTuple):
    """A child round against its parent."""

    better: float  # P(a child's trial > a parent's trial), ties counted half; 0.5 is no difference
    low: float  # ends of the interval of `better`
    high: float
    ks: float  # largest vertical distance of the two distributions (Kolmogorov and Smirnov)
    ks_p: float  # two-sided p-value of `ks`
    n_parent: int  # trials of the parent
    n_child: int  # trials of the child


@dataclass(frozen=True, slots=True)
@checked("confidence", resamples=1)
class Edf:
    """Share of trials at least as good as a value, with a pointwise bootstrap band.

    Source: Radosavovic et al. (2020), 'Designing Network Design Spaces', equation 1.
    """

    confidence: float = 0.95
    resamples: int = 500
    seed: int = 0

    def __call__(self, y: ArrayLike, at: ArrayLike | None = None) -> Curve:
        """Evaluate at (q,) increasing values, shared when rounds are compared.

        By default at most 200 quantiles of `y`.
        """
        values = np.sort(column(y, "y"))
        n = values.size
        if n == 0:
            raise AnalysisError("y: a distribution needs at least one trial, got none")
        if at is None:
            # 'nearest' takes values that occurred.
            spread = np.linspace(0.0, 1.0, min(200, n))
            places = np.unique(np.quantile(values, spread, method="nearest"))
        else:
            places = column(at, "at")
            if places.size == 0 or np.any(np.diff(places) <= 0):
                raise AnalysisError("at: must increase strictly and not be empty; sort it")
        below = np.searchsorted(values, places, side="left")
        # A resampled curve needs only the counts of draws between neighbouring values.
        steps = np.diff(np.concatenate(([0], below, [n]))) / n
        rng = np.random.default_rng(self.seed)
        drawn = rng.multinomial(n, steps, size=self.resamples)
        curves = 1.0 - np.cumsum(drawn[:, :-1], axis=1) / n
        tail = 50.0 * (1.0 - self.confidence)
        low, high = np.percentile(curves, [tail, 100.0 - tail], axis=0)
        return Curve(places, 1.0 - below / n, low, high, n)


@dataclass(frozen=True, slots=True)
@checked("confidence")
class Compare:
    """Improvement of the population from parent to child.

    P(child > parent) is Mann and Whitney's statistic over its largest value. Its interval is Wilson's with
    the number of coin tosses that vary like the placements: the interval stays inside [0, 1] and keeps its
    width for rounds without overlap.

    Source: DeLong et al. (1988) and Brunner and Munzel (2000) for the placements' variance;
    `scipy.stats.ks_2samp` for the distance.
    """

    confidence: float = 0.95

    def __call__(self, parent: ArrayLike, child: ArrayLike) -> Comparison:
        """Compare the values of two rounds' space-filling trials, at least 2 each."""
        from scipy.stats import ks_2samp

        old = np.sort(column(parent, "parent"))
        new = np.sort(column(child, "child"))
        n = old.size
        m = new.size
        if min(n, m) < 2:
            raise AnalysisError(
                f"parent and child need at least 2 trials each, got {n} and {m}; run more first"
            )
        beaten = (np.searchsorted(old, new, "left") + np.searchsorted(old, new, "right")) / (2 * n)
        lost = (np.searchsorted(new, old, "left") + np.searchsorted(new, old, "right")) / (2 * m)
        better = float(beaten.mean())
        variance = beaten.var(ddof=1) / m + lost.var(ddof=1) / n
        # The number of coin tosses with the same variance; complete separation has no variance.
        if variance > 0:
            tosses = better * (1.0 - better) / variance
        else:
            tosses = 0.0
        tosses = min(max(tosses, float(min(n, m))), float(n + m))
        low, high = wilson(better * tosses, tosses, self.confidence)
        distance = ks_2samp(old, new)
        return Comparison(
            better,
            float(low),
            high=float(high),
            ks=float(distance.statistic),
            ks_p=float(distance.pvalue),
            n_parent=n,
            n_child=m,
        )
