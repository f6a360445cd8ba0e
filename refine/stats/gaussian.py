"""Where else to look: the best candidates of random functions that a Gaussian process thinks possible.

A forest is robust and sees steps; a Gaussian process is smooth and sees slopes from few trials. Where the next trials of a
search go, both are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, IntArray, check_count, column, matrix, same_length, thinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

_JITTER = 1e-6
# Priors of the logarithms, as mean and deviation: few trials must not make a parameter infinitely important.
_LENGTH, _SCALE, _NOISE = (np.log(0.7), 1.0), (0.0, 0.5), (np.log(0.3), 1.0)


class _Fit(NamedTuple):
    """Hyperparameters that explain the trials best."""

    lengths: FloatArray  # (d,) of the unit ranges
    variance: float
    noise: float


@dataclass(frozen=True, slots=True)
class PosteriorPaths:
    """Thompson sampling with a Gaussian process: each pick is the best candidate of one random function.

    A Matern 5/2 kernel with a length of its own per parameter and a noise term learns the normal scores of the values;
    its parameters are those of the largest posterior density. Functions are drawn jointly over the `candidates` with
    the largest upper bounds. Large evidence is thinned: the best quarter stays, the rest is drawn at random.

    Source: Rasmussen and Williams (2006), chapters 2 and 5; Thompson (1933); Kandasamy et al. (2018) for batches.

    Attributes:
        rows: most trials learned from.
        candidates: most candidates that functions are drawn over.
        seed: of thinning and draws.
    """

    rows: int = 400
    candidates: int = 1500
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.rows, "rows", 20)
        check_count(self.candidates, "candidates")

    def __call__(
        self, X: ArrayLike, y: ArrayLike, candidates: ArrayLike, cardinalities: Sequence[int], n: int
    ) -> IntArray:
        """Pick candidates.

        Args:
            X: (t, d) positions or codes of the evidence.
            y: (t,) values.
            candidates: (c, d) positions or codes of the cells to pick from.
            cardinalities: d numbers, 0 for an ordered column, k for an unordered one.
            n: how many to pick.

        Returns:
            (min(n, c),) different row numbers of `candidates`.

        Raises:
            AnalysisError: under 5 trials, or if shapes differ or something isn't finite.
        """
        from scipy.linalg import cho_solve, solve_triangular
        from scipy.stats import norm, rankdata

        evidence, values = matrix(X, cardinalities), column(y, "y")
        same_length(evidence.shape[0], values.size)
        cells = matrix(candidates, cardinalities, "candidates")
        check_count(n, "n")
        if values.size < 5 or not len(cells):
            raise AnalysisError(
                f"X: at least 5 trials and 1 candidate are needed, got {values.size} and {len(cells)}"
            )
        rng = np.random.default_rng(self.seed)
        rows = thinned(values, self.rows, rng)
        score = norm.ppf((np.asarray(rankdata(values)) - 0.5) / values.size)[rows]
        score = score - score.mean()
        known = evidence[rows]
        fit = _fit(_gaps(known, known, cardinalities), score)

        def covariance(a: FloatArray, b: FloatArray) -> FloatArray:
            return fit.variance * _matern(_distance(a, b, cardinalities, fit.lengths))

        noisy = covariance(known, known) + (fit.noise + 1e-8) * np.eye(len(known))
        lower = np.linalg.cholesky(noisy)
        cross = covariance(cells, known)
        mean = cross @ cho_solve((lower, True), score)
        reduced = solve_triangular(lower, cross.T, lower=True)
        deviation = np.sqrt(np.maximum(fit.variance - np.sum(reduced**2, axis=0), 0.0))
        kept = np.argsort(-(mean + 2.0 * deviation), kind="stable")[: max(self.candidates, n)]
        posterior = covariance(cells[kept], cells[kept]) - reduced[:, kept].T @ reduced[:, kept]
        posterior += _JITTER * max(fit.variance, 1e-12) * np.eye(len(kept)) * 10
        root = np.linalg.cholesky(posterior)
        functions = mean[kept][:, None] + root @ rng.standard_normal((len(kept), n))
        picked: dict[int, None] = {}
        for k in range(min(n, len(kept))):
            fresh = next(int(i) for i in np.argsort(-functions[:, k]) if int(i) not in picked)
            picked[fresh] = None
        return kept[list(picked)]


def unexplained(X: ArrayLike, score: ArrayLike, cardinalities: Sequence[int]) -> float:
    """Deviation of what a Gaussian process takes for noise.

    Source: Rasmussen and Williams (2006), section 5.4: the noise term that explains the trials best, here times a prior.

    Args:
        X: (t, d) positions or codes.
        score: (t,) values, about standard normal.
        cardinalities: d numbers, 0 for an ordered column, k for an unordered one.

    Returns:
        The deviation, in units of `score`.
    """
    table, values = matrix(X, cardinalities), column(score, "score")
    same_length(table.shape[0], values.size)
    return float(np.sqrt(_fit(_gaps(table, table, cardinalities), values - values.mean()).noise))


def _gaps(a: FloatArray, b: FloatArray, cardinalities: Sequence[int]) -> FloatArray:
    """(d, n, m) squared distances per parameter; 1 between different choices."""
    out = np.empty((len(cardinalities), len(a), len(b)))
    for j, k in enumerate(cardinalities):
        difference = a[:, j][:, None] - b[:, j][None, :]
        out[j] = (difference != 0) if k else difference**2
    return out


def _distance(a: FloatArray, b: FloatArray, cardinalities: Sequence[int], lengths: FloatArray) -> FloatArray:
    """(n, m) squared distances in units of the lengths, without a table per parameter."""
    total = np.zeros((len(a), len(b)))
    for j, k in enumerate(cardinalities):
        difference = a[:, j][:, None] - b[:, j][None, :]
        total += ((difference != 0) if k else difference**2) / lengths[j] ** 2
    return total


def _matern(squared: FloatArray) -> FloatArray:
    r = np.sqrt(5.0 * squared)
    return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))


def _fit(gaps: FloatArray, score: FloatArray) -> _Fit:
    """Maximum of likelihood times priors, from two starts."""
    from scipy.linalg import cho_solve
    from scipy.optimize import minimize

    d, n = gaps.shape[0], score.size
    centre = np.r_[np.full(d, _LENGTH[0]), _SCALE[0], _NOISE[0]]
    spread = np.r_[np.full(d, _LENGTH[1]), _SCALE[1], _NOISE[1]]

    def loss(t: FloatArray) -> tuple[float, FloatArray]:
        lengths, variance, noise = np.exp(t[:d]), np.exp(2 * t[d]), np.exp(2 * t[d + 1])
        r = np.sqrt(5.0 * np.tensordot(lengths**-2, gaps, axes=1) + 1e-12)
        decay = np.exp(-r)
        shape = (1.0 + r + r * r / 3.0) * decay
        try:
            lower = np.linalg.cholesky(variance * shape + (noise + 1e-10) * np.eye(n))
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(t)
        weight = cho_solve((lower, True), score)
        pull = np.outer(weight, weight) - cho_solve((lower, True), np.eye(n))
        value = (
            0.5 * score @ weight + np.log(np.diag(lower)).sum() + 0.5 * np.sum(((t - centre) / spread) ** 2)
        )
        slope = (t - centre) / spread**2
        by_distance = pull * (variance * (5.0 / 3.0) * (1.0 + r) * decay)
        slope[:d] -= 0.5 * np.tensordot(gaps, by_distance, axes=2) / lengths**2
        slope[d] -= variance * np.sum(pull * shape)
        slope[d + 1] -= noise * np.trace(pull)
        return float(value), slope

    bounds = [(-3.0, 4.0)] * d + [(-2.0, 2.0), (-5.0, 1.0)]
    starts = (np.log(0.5), np.log(0.3)), (np.log(2.0), np.log(0.6))
    found = [
        minimize(
            loss,
            np.r_[np.full(d, length), 0.0, noise],
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 60},
        )
        for length, noise in starts
    ]
    best = min(found, key=lambda result: float(result.fun)).x
    return _Fit(np.exp(best[:d]), float(np.exp(2 * best[d])), float(np.exp(2 * best[d + 1])))
