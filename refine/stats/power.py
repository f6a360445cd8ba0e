"""How likely a test of one parameter is to see an effect, by the number of trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refine.stats._common import FloatArray, IntArray, check_count, check_share, columns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Power:
    """Power of the rank tests against an effect implanted into a round's own trials.

    Positions are drawn with replacement from the round's, so that rare levels stay rare. Values are the round's too, in
    the order of a latent score of which the parameter explains `effect`, so that ties (trials that failed, metrics of
    few values) cost what they cost. Spearman's test for ordered parameters, Kruskal and Wallis' for choices, whose
    levels get random effects.

    Source: simulation-based power, as in Davison & Hinkley (1997), section 4.6.

    Attributes:
        effect: share of the variance of the latent score that the parameter explains.
        simulations: rounds per size.
        seed: of the simulation.
    """

    effect: float = 0.1
    simulations: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        check_share(self.effect, "effect")
        check_count(self.simulations, "simulations", 20)

    def __call__(
        self, x: ArrayLike, y: ArrayLike, cardinality: int, sizes: Sequence[int], alpha: float
    ) -> FloatArray:
        """Share of simulated rounds in which the p-value is at most `alpha`, for each size.

        Args:
            x: (n,) positions, or codes.
            y: (n,) values.
            cardinality: 0 for an ordered parameter, k for an unordered one.
            sizes: numbers of trials.
            alpha: level of the test.

        Raises:
            AnalysisError: if lengths differ or something isn't finite.
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
        statistic, levels = np.zeros(self.simulations), np.zeros(self.simulations)
        for code in range(cardinality):
            here = codes == code
            count = here.sum(axis=1)
            levels += count > 0
            statistic += np.where(here, score, 0.0).sum(axis=1) ** 2 / np.maximum(count, 1)
        p = chi2.sf(statistic * (n - 1) / n, np.maximum(levels - 1, 1))
        return float(np.mean(p <= alpha))


def _standard(table: FloatArray) -> FloatArray:
    """Rows with mean 0 and deviation 1; zeros where a row does not vary."""
    centred = table - table.mean(axis=1, keepdims=True)
    sd = centred.std(axis=1, keepdims=True)
    return np.asarray(centred / np.where(sd > 0, sd, 1.0))
