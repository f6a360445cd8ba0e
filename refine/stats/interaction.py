"""Coupling of two parameters: whether the best value of one depends on the other.

Inside the best share of an *additive* surface parameters are dependent as well (if a + b must be large, a
small a needs a large b), and the plain test inside the top set raises false alarms on slopes. Here an
additive model is fitted first; its own top sets, from shuffled residuals, give the expected coupling.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.stats._common import (
    BoolArray,
    FloatArray,
    IntArray,
    checked,
    column,
    matrix,
    same_length,
    subsample,
    top_mask,
)
from refine.stats.correlation import benjamini_hochberg
from refine.utils.arrays import rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

_BINS = 3  # bins of an ordered column in the contingency table; three show a bend


class Pair(NamedTuple):
    """Coupling of two parameters among the best trials."""

    i: int  # column of the first parameter
    j: int  # column of the second parameter, i < j
    statistic: float  # Spearman's correlation inside the top set for two ordered columns, else Cramer's V
    p: float  # p-value of no coupling beyond that of additive effects
    q: float  # p adjusted over all pairs (Benjamini and Hochberg)


@dataclass(frozen=True, slots=True)
@checked("top", resamples=20, rows=100, least=4)
class Interactions:
    """Test pairs of parameters inside the best share of the trials.

    Two statistics per pair: Spearman's correlation (two ordered columns) for ridges, and chi-squared of the
    contingency table for bends and unordered columns. They are compared with their mean and deviation over
    `resamples` simulated rounds without interaction: the fitted additive model of the values' normal scores
    plus shuffled residuals. z on Fisher's scale, and on the cube root of chi-squared (Wilson and Hilferty,
    1931); p is twice the smaller of the two.

    Source: our own, the test inside the top set as well as the additive null.
    """

    top: float = 0.2  # share of trials that counts as best
    resamples: int = 100  # simulated rounds
    rows: int = 2000  # largest number of trials; of more, a seeded subsample
    least: int = 15  # fewest best trials for a test; with fewer, each p is 1
    seed: int = 0  # seed of the subsample and the simulation

    def __call__(self, X: ArrayLike, y: ArrayLike, cardinalities: Sequence[int]) -> tuple[Pair, ...]:
        """All d (d - 1) / 2 pairs, in the order (0, 1), (0, 2), ..., not sorted by p."""
        table = matrix(X, cardinalities)
        values = column(y, "y")
        same_length(table.shape[0], values.size)
        pairs = list(combinations(range(table.shape[1]), 2))
        rng = np.random.default_rng(self.seed)
        rows = subsample(values.size, self.rows, rng)
        table = table[rows]
        values = values[rows]
        if values.size:
            best = top_mask(values, self.top)
        else:
            best = np.zeros(0, np.bool_)
        if best.sum() < self.least or best.all() or not pairs:
            return tuple(Pair(i, j, np.nan, 1.0, 1.0) for i, j in pairs)

        statistic = _TopStatistics(table, cardinalities)
        fit, residual = _additive_fit(table, values, cardinalities)
        best_count = int(best.sum())
        seen_r, seen_c = statistic(best)
        null_r = np.empty((self.resamples, len(pairs)))
        null_c = np.empty_like(null_r)
        for b in range(self.resamples):
            simulated = fit + rng.permutation(residual)
            cut = np.partition(simulated, simulated.size - best_count)[simulated.size - best_count]
            null_r[b], null_c[b] = statistic(simulated >= cut)

        p_r = 2.0 * _tail(np.abs(_z(_fisher(seen_r), _fisher(null_r))))
        p_c = _tail(_z(np.cbrt(seen_c), np.cbrt(null_c)))
        p_values = np.where(np.isnan(p_r), p_c, 2.0 * np.fmin(p_r, p_c))
        p = np.where(np.isnan(p_values), 1.0, np.minimum(p_values, 1.0))
        q = benjamini_hochberg(p)
        cramer = np.sqrt(seen_c / best_count / statistic.dof)
        shown = np.where(np.isnan(seen_r), cramer, seen_r)
        return tuple(Pair(i, j, float(shown[m]), float(p[m]), float(q[m])) for m, (i, j) in enumerate(pairs))


class _TopStatistics:
    """Correlations and chi-squareds of all pairs in a set of trials, by two matrix products."""

    def __init__(self, table: FloatArray, cardinalities: Sequence[int]) -> None:
        d = table.shape[1]
        self._ordered = np.array([k == 0 for k in cardinalities])
        self._table = table
        blocks = [_dummies(table[:, j], k) for j, k in enumerate(cardinalities)]
        self._member = np.concatenate(blocks, axis=1)
        self._starts = np.concatenate(([0], np.cumsum([block.shape[1] for block in blocks])[:-1]))
        self._first, self._second = np.triu_indices(d, 1)
        sizes = np.array([block.shape[1] for block in blocks])
        smaller = np.minimum(sizes[self._first], sizes[self._second])
        self.dof = np.maximum(smaller - 1, 1)

    def __call__(self, best: BoolArray) -> tuple[FloatArray, FloatArray]:
        from scipy.stats import rankdata

        inside = self._table[best]
        ranks = rankdata(inside, axis=0)
        ranks -= ranks.mean(axis=0)
        length = np.sqrt((ranks**2).sum(axis=0))
        usable = self._ordered & (length > 0)
        ranks = np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)
        correlation = np.where(usable[:, None] & usable[None, :], ranks.T @ ranks, np.nan)

        member = self._member[best]
        observed = member.T @ member
        margin = member.sum(axis=0)
        expected = np.outer(margin, margin) / inside.shape[0]
        excess = np.divide(
            (observed - expected) ** 2, expected, out=np.zeros_like(observed), where=expected > 0
        )
        folded = np.add.reduceat(excess, self._starts, axis=0)
        chi2 = np.add.reduceat(folded, self._starts, axis=1)
        return correlation[self._first, self._second], chi2[self._first, self._second]


def _dummies(x: FloatArray, cardinality: int) -> FloatArray:
    """One-hot codes, or quantile bins of an ordered column with few values kept apart."""
    if cardinality:
        index: IntArray = x.astype(np.int64)
        return np.asarray(np.eye(cardinality)[index])
    distinct = np.unique(x)
    if distinct.size <= _BINS:
        return np.asarray((x[:, None] == distinct[None, :]).astype(np.float64))
    cuts = np.unique(np.quantile(x, np.arange(1, _BINS) / _BINS))
    return np.asarray(np.eye(cuts.size + 1)[np.searchsorted(cuts, x)])


def _additive_fit(
    table: FloatArray, values: FloatArray, cardinalities: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """(n,) additive fit of the normal scores, and (n,) residuals.

    Cubics of ordered columns and dummies of unordered ones. The top set depends on ranks only: scores lose
    nothing and tame heavy tails. Residuals are scaled up for the degrees of freedom of the fit.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    n = values.size
    score = ndtri((rankdata(values) - 0.5) / n)
    blocks = [np.ones((n, 1))]
    for j, k in enumerate(cardinalities):
        if k:
            blocks.append(_dummies(table[:, j], k)[:, 1:])
            continue
        centred = table[:, j] - table[:, j].mean()
        degree = min(3, np.unique(centred).size - 1)
        blocks.append(centred[:, None] ** np.arange(1, degree + 1))
    design = np.concatenate(blocks, axis=1)
    coefficients, _, rank, _ = np.linalg.lstsq(design, score, rcond=1e-10)
    fit = design @ coefficients
    residual = score - fit
    freedom = max(n - int(rank), 1)
    return rounded(fit), rounded(residual * np.sqrt(n / freedom))


def _fisher(r: FloatArray) -> FloatArray:
    return np.asarray(np.arctanh(np.clip(r, -0.999999, 0.999999)))


def _z(statistic: FloatArray, null: FloatArray) -> FloatArray:
    """Standardised by mean and deviation of the null; NaN without variation."""
    mean = null.mean(axis=0)
    sd = null.std(axis=0, ddof=1)
    z = np.divide(statistic - mean, sd, out=np.full_like(statistic, np.nan), where=sd > 1e-12)
    return np.asarray(z)


def _tail(z: FloatArray) -> FloatArray:
    from scipy.special import ndtr

    return np.asarray(ndtr(-z))
