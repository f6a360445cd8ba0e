"""Does a parameter matter beside the others: an F-test in an additive model of the ranks.

A test of one parameter alone has all the others for noise. Where one of them decides most of the outcome, taking its
effect off first lets the weaker ones be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, check_count, column, matrix, same_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


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
            (d,) p-values; 1 where there is nothing to tell apart or too few trials for the model.

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
        # Every partial test follows from one fit: b' C^-1 b with C the block of the inverse of the normal equations.
        try:
            inverse = np.linalg.inv(design.T @ design)
        except np.linalg.LinAlgError:
            return p  # some column is a sum of others: nothing can be told apart
        weight = inverse @ (design.T @ score)
        noise = float(np.sum((score - design @ weight) ** 2)) / left
        if not noise > 1e-12:
            noise = 1e-12
        for j in range(d):
            part = slice(ends[j], ends[j + 1])
            size = ends[j + 1] - ends[j]
            if size:
                explained = weight[part] @ np.linalg.solve(inverse[part, part], weight[part])
                p[j] = f.sf(explained / size / noise, size, left)
        if not np.isfinite(p).all():
            raise AnalysisError(
                "X: the additive model can't be fitted; look for columns that repeat each other"
            )
        return p


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
