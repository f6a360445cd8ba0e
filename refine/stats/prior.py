"""Whether what was thought before the trials predicts them, or the opposite of it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refine.stats._common import FloatArray, check_count, column, matrix, same_length, subsample
from refine.stats.kernel import Parameters, embed, fit_kernel
from refine.stats.posterior import evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class PriorEvidence:
    """How much more probable the trials are with a prior mean than with its opposite.

    Both are Gaussian processes over normal scores of the values, with the kernel that is most probable without a prior
    mean. Held against its opposite, and not against none, a prior mean that is right in where it rises is not refuted by
    rising too far. Trials may have been chosen by the results of others: what chose them cancels in the ratio.

    Source: Rasmussen and Williams (2006), equations 2.30 and 2.42, for the marginal likelihood with a constant that is not
    known; Kass and Raftery (1995), 'Bayes Factors'. The opposite is our own.

    Attributes:
        rows: most configurations that are looked at.
        seed: of their choice.
    """

    rows: int = 180
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.rows, "rows", 5)

    def __call__(self, X: ArrayLike, y: ArrayLike, prior: ArrayLike, cardinalities: Sequence[int]) -> float:
        """The natural logarithm of the ratio; 0 where the prior mean is the same for all.

        Args:
            X: (n, d) positions or codes.
            y: (n,) values, higher is better.
            prior: (n,) what was thought of them, in scores.
            cardinalities: d numbers, 0 for an ordered column, k for an unordered one.

        Raises:
            AnalysisError: if shapes differ or something isn't finite.
        """
        table, values, thought = matrix(X, cardinalities), column(y, "y"), column(prior, "prior")
        same_length(table.shape[0], values.size)
        same_length(table.shape[0], thought.size)
        known = evidence(table, values)
        rng = np.random.default_rng(self.seed)
        take = subsample(known.rows.size, self.rows, rng)
        rows, score = known.rows[take], known.score[take]
        if rows.size < 5 or np.ptp(thought[rows]) == 0 or np.ptp(score) == 0:
            return 0.0
        features = embed(table[rows], np.ones((rows.size, table.shape[1]), dtype=np.bool_), cardinalities, [])
        parameters = fit_kernel(features, score, 1, rng)[0]
        return _gain(features.scaled(parameters.lengths), score, thought[rows], parameters)


def _gain(x: FloatArray, score: FloatArray, thought: FloatArray, parameters: Parameters) -> float:
    from scipy.linalg import cho_factor, cho_solve

    covariance = parameters.covariance(x, x) + (parameters.noise + 1e-6) * np.eye(len(x))
    factor = cho_factor(covariance, lower=True)
    ones = cho_solve(factor, np.ones(len(x)))
    level = (ones @ score) / ones.sum()
    # Squares of the prior mean are the same in both and cancel.
    return float(2.0 * (thought - (ones @ thought) / ones.sum()) @ cho_solve(factor, score - level))
