"""How much the value of one permutation changes when it is trained again.

Every claim of the form 'no worse than by epsilon' hangs on this number, so the result says where it
comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import (
    FloatArray,
    check_count,
    column,
    matrix,
    same_length,
    subsample,
    top_mask,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

_TOP_TENTH = 0.4117  # deviation of the best tenth of a standard normal sample


class Noise(NamedTuple):
    """Retraining noise.

    Attributes:
        sd: standard deviation, in units of the metric; NaN where `source` is 'none'.
        source: 'replicates' (permutations run under several seeds), 'residuals' (what a surrogate
            couldn't
            explain: an upper guess, since it holds the surrogate's own error as well) or 'none'.
        n: degrees of freedom behind 'replicates', number of residuals behind 'residuals'.
    """

    sd: float
    source: str
    n: int


@dataclass(frozen=True, slots=True)
class RetrainingNoise:
    """Estimate the noise from replicates where there are enough, else from a surrogate.

    Replicates: pooled deviation, the square root of the summed squares within permutations over the
    summed degrees of freedom. Surrogate: 1.4826 times the median absolute out-of-bag residual of a
    random forest on ranks, among the trials whose out-of-bag prediction is in the best `region`,
    because the noise near the optimum decides and that of failures would drown it. It is at most
    the noise that would alone explain the spread of the best tenth of the values.

    Source: Breiman (2001) for out-of-bag errors; Rousseeuw and Croux (1993) for the scale.

    Attributes:
        least: fewest degrees of freedom with which replicates are trusted.
        region: share of trials, best predictions first, whose residuals count.
        trees: of the surrogate.
        rows: most trials used for the surrogate, a seeded subsample.
        seed: of subsample and forest.
    """

    least: int = 5
    region: float = 0.1
    trees: int = 60
    rows: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.least, "least")
        check_count(self.trees, "trees", 10)
        check_count(self.rows, "rows", 20)
        if not 0.0 < self.region <= 1.0:
            raise AnalysisError(f"region: must lie in (0, 1], got {self.region!r}")

    def __call__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        cardinalities: Sequence[int],
        groups: ArrayLike | None = None,
    ) -> Noise:
        """Estimate the noise.

        Args:
            X: (n, d) positions or codes.
            y: (n,) values.
            cardinalities: d numbers, 0 for an ordered column, k for an unordered one.
            groups: (n,) labels, equal for replicates of one permutation; None where there are none.

        Returns:
            The noise; source 'none' under 20 trials without replicates.

        Raises:
            AnalysisError: if shapes differ or something isn't finite.
        """
        table, values = matrix(X, cardinalities), column(y, "y")
        same_length(table.shape[0], values.size)
        if groups is not None:
            pooled = pooled_deviation(values, groups)
            if pooled.n >= self.least:
                return pooled
        if values.size < 20:
            return Noise(np.nan, "none", 0)
        return self._residual_noise(table, values, cardinalities)

    def _residual_noise(self, table: FloatArray, values: FloatArray, cardinalities: Sequence[int]) -> Noise:
        from scipy.stats import rankdata

        from refine.stats.forest import encode, fit_forest

        rng = np.random.default_rng(self.seed)
        rows = subsample(values.size, self.rows, rng)
        features, target = encode(table[rows], cardinalities), values[rows]
        # Ranks keep failures and heavy tails from deciding the splits; guesses go back to the
        # metric.
        level = (np.arange(target.size) + 0.5) / target.size
        ranks = (np.asarray(rankdata(target)) - 0.5) / target.size
        forest = fit_forest(features, ranks, None, self.trees, self.seed)
        guess, count = forest.out_of_bag(features)
        near = top_mask(guess, self.region) & (count > 0)
        guess = np.interp(guess, level, np.sort(target))
        residual = np.abs(target - guess)[near]
        best = target[top_mask(target, 0.1)]
        sd = min(1.4826 * float(np.median(residual)), float(best.std()) / _TOP_TENTH)
        return Noise(sd, "residuals", int(residual.size))


def pooled_deviation(y: ArrayLike, groups: ArrayLike) -> Noise:
    """Pooled standard deviation within groups of replicates.

    Args:
        y: (n,) values.
        groups: (n,) labels of any type that can be sorted; groups of one say nothing.

    Returns:
        The noise with source 'replicates'; source 'none' and n = 0 without any replicate.

    Raises:
        AnalysisError: if lengths differ or a value isn't finite.
    """
    values = column(y, "y")
    labels = np.asarray(groups)
    same_length(labels.size, values.size)
    _, index = np.unique(labels, return_inverse=True)
    size = np.bincount(index)
    freedom = int(np.sum(size - 1)) if size.size else 0
    if freedom == 0:
        return Noise(np.nan, "none", 0)
    centred = values - (np.bincount(index, weights=values) / size)[index]
    return Noise(float(np.sqrt(centred @ centred / freedom)), "replicates", freedom)
