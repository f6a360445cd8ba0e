"""How much the value of one configuration changes when it is trained again.

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
    thinned,
    top_mask,
)
from refine.stats.gaussian import unexplained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

_TOP_TENTH = 0.4117  # deviation of the best tenth of a standard normal sample


class Noise(NamedTuple):
    """Retraining noise.

    Attributes:
        sd: standard deviation, in units of the metric; NaN where `source` is 'none'.
        source: 'replicates' (configurations run under several seeds), 'residuals' (what a surrogate
            couldn't explain, which may hold the surrogate's own error as well) or 'none'.
        n: degrees of freedom behind 'replicates', number of trials behind 'residuals'.
    """

    sd: float
    source: str
    n: int


@dataclass(frozen=True, slots=True)
class RetrainingNoise:
    """Estimate the noise from replicates where there are enough, else from a surrogate.

    Replicates: pooled deviation, the square root of the summed squares within configurations over the
    summed degrees of freedom. Surrogate: the noise term of a Gaussian process on the normal scores of
    the values, read off in units of the metric around the middle of the best `region`, because the
    noise near the optimum decides. It is at most the noise that would alone explain the spread of the
    best tenth of the values.

    Source: Rasmussen and Williams (2006), section 5.4. What it is beside the true noise on real
    and synthetic grids is the last column of the tables of `benchmarks/calibration.py`.

    Attributes:
        least: fewest degrees of freedom with which replicates are trusted.
        region: share of trials, best first, near whose middle the noise is read off.
        rows: most trials used for the surrogate.
        seed: of thinning.
    """

    least: int = 5
    region: float = 0.1
    rows: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.least, "least")
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
            groups: (n,) labels, equal for replicates of one configuration; None where there are none.

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
                # What rounding leaves of equal values is no noise.
                return pooled._replace(sd=0.0) if pooled.sd <= 1e-12 * float(np.abs(values).max()) else pooled
        if values.size < 20:
            return Noise(np.nan, "none", 0)
        return self._residual_noise(table, values, cardinalities)

    def _residual_noise(self, table: FloatArray, values: FloatArray, cardinalities: Sequence[int]) -> Noise:
        from scipy.special import ndtr, ndtri
        from scipy.stats import rankdata

        rng = np.random.default_rng(self.seed)
        rows = thinned(values, self.rows, rng)
        # Normal scores keep failures and heavy tails from deciding; the noise goes back to the metric near its top.
        scores = ndtri((np.asarray(rankdata(values)) - 0.5) / values.size)[rows]
        spread = unexplained(table[rows], scores, cardinalities)
        top = ndtri(1.0 - self.region / 2.0)
        low, high = np.quantile(values, ndtr([top - spread, top + spread]))
        best = values[top_mask(values, 0.1)]
        # Where the best are level the quantiles can give -0.0, which random generators refuse.
        sd = max(0.0, min((high - low) / 2.0, float(best.std()) / _TOP_TENTH))
        return Noise(float(sd), "residuals", int(rows.size))


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
