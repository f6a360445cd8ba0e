"""Does a parameter matter beside the others: an F-test in an additive model of the ranks.

A test of one parameter alone has all the others for noise. Where one of them decides most of the outcome, taking its
effect off first lets the weaker ones be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refine.stats._common import FloatArray, IntArray, check_count, column, matrix, same_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

_LEAST_NOISE = 1e-12


@dataclass(frozen=True, slots=True)
class AdditiveTest:
    """P-value of 'does nothing beside the others', for all parameters at once.

    The normal scores of the values are explained by a sum of one term per parameter: a parabola where it is ordered
    (a line with two levels), one constant per choice where it isn't. A parameter's term is tested against the model
    without it. A parabola sees an optimum in the middle; scores keep failures and heavy tails from deciding.

    Source: the partial F-test of linear regression, e.g. Draper and Smith (1998), chapter 6; van der Waerden (1952) for
    the scores.

    Attributes:
        least: fewest degrees of freedom left over for noise; with fewer nothing is tested.
    """

    least: int = 10

    def __post_init__(self) -> None:
        check_count(self.least, "least")

    def __call__(self, X: ArrayLike, y: ArrayLike, cardinalities: Sequence[int]) -> FloatArray:
        """Test every column.

        Args:
            X: (n, d) positions or codes.
            y: (n,) values.
            cardinalities: d numbers, 0 for an ordered column, k for an unordered one.

        Returns:
            (d,) p-values; 1 where there is nothing to tell apart, also because another column says the same, or too
            few trials for the model.

        Raises:
            AnalysisError: if shapes differ or something isn't finite.
        """
        from scipy.stats import f, norm, rankdata

        table, values = matrix(X, cardinalities), column(y, "y")
        same_length(table.shape[0], values.size)
        n, d = table.shape
        p = np.ones(d)
        if n < self.least + 2 or np.ptp(values) == 0:
            return p
        score = norm.ppf((np.asarray(rankdata(values)) - 0.5) / n)
        score -= score.mean()
        blocks = [_terms(table[:, j], k) for j, k in enumerate(cardinalities)]
        ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
        design = np.concatenate(blocks, axis=1)
        left = n - 1 - design.shape[1]
        if left < self.least or not design.shape[1]:
            return p
        normal = design.T @ design
        if np.linalg.matrix_rank(normal, hermitian=True) < len(normal):
            return _one_by_one(design, score, ends)
        # Every partial test follows from one fit: b' C^-1 b with C the block of the inverse of the normal equations.
        inverse = np.linalg.inv(normal)
        weight = inverse @ (design.T @ score)
        noise = max(float(np.sum((score - design @ weight) ** 2)) / left, _LEAST_NOISE)
        for j in range(d):
            part = slice(ends[j], ends[j + 1])
            size = ends[j + 1] - ends[j]
            if size:
                explained = weight[part] @ np.linalg.solve(inverse[part, part], weight[part])
                p[j] = f.sf(explained / size / noise, size, left)
        return p


def _one_by_one(design: FloatArray, score: FloatArray, ends: IntArray) -> FloatArray:
    """The same tests where terms repeat each other: what a term adds to the others, 1 where that is nothing."""
    from scipy.stats import f

    full, rank = _rest(design, score)
    left = score.size - 1 - rank
    p = np.ones(ends.size - 1)
    for j in range(p.size):
        without, fewer = _rest(np.delete(design, np.s_[ends[j] : ends[j + 1]], axis=1), score)
        if rank > fewer:
            p[j] = f.sf(
                (without - full) / (rank - fewer) / max(full / left, _LEAST_NOISE), rank - fewer, left
            )
    return p


def _rest(design: FloatArray, score: FloatArray) -> tuple[float, int]:
    """Squares that a linear model leaves over, and its rank."""
    weight, _, rank, _ = np.linalg.lstsq(design, score, rcond=1e-7)
    return float(np.sum((score - design @ weight) ** 2)), int(rank)


def _terms(x: FloatArray, cardinality: int) -> FloatArray:
    """Centred columns of one parameter's term; none where only one level was seen."""
    levels = np.unique(x)
    if cardinality:
        # The commonest choice is the one that the others are compared with.
        counts = np.array([np.count_nonzero(x == level) for level in levels])
        others = np.delete(levels, int(np.argmax(counts)))
        columns = (x[:, None] == others[None, :]).astype(np.float64)
    else:
        unit = (x - levels[0]) / max(levels[-1] - levels[0], 1e-12)
        columns = (
            np.stack([unit, unit**2][: min(2, levels.size - 1)], axis=1)
            if levels.size > 1
            else x[:, None][:, :0]
        )
    return np.asarray(columns - columns.mean(axis=0, keepdims=True))
