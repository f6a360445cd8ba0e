"""Deviation of values on new data from values on a validation set, or on folds.

Configurations share their rows, so rows are drawn again for the configurations together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, check_count, matrix, same_length
from refine.stats.kernel import embed, fit_kernel, partly_read
from refine.stats.optimism import Scorer
from refine.stats.posterior import read_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

LEAST_ROWS = 10  # fewest validation rows for a bootstrap
_BLOCK = 64  # draws per block, because confusion matrices of many classes are large
_FITTED = 32  # draws that the kernel is fitted to
_LEAST_FREEDOM = 2
_LEAST_SD = 0.1  # smallest deviation of a configuration in the fit, as a share of the median


def row_deviations(scores: Scorer, count: int, total: int, draws: int = 640, seed: int = 0) -> FloatArray:
    """(draws, k) deviations of k models on new rows, by the Bayesian bootstrap of the validation rows.

    A draw weights the rows by exponential random numbers, shared by the models.

    Source: Rubin (1981), 'The Bayesian Bootstrap'.

    Args:
        scores: Scores of the models on weighted rows, see :func:`refine.stats.scorer`.
        count: Number of rows that the scores are known of; at least 10.
        total: Number of validation rows, at least ``count``: more rows deviate less.
        draws: Number of draws.
        seed: Seed of the weights.
    """
    if count < LEAST_ROWS:
        raise AnalysisError(f"count: at least {LEAST_ROWS} rows are needed, got {count}")
    check_count(draws, "draws", 2)
    rng = np.random.default_rng(seed)
    observed = scores(np.ones((1, count)))[:, 0]
    parts = []
    for start in range(0, draws, _BLOCK):
        weights = rng.standard_exponential((min(_BLOCK, draws - start), count))
        parts.append(scores(weights).T - observed)
    return np.asarray(np.sqrt(count / total) * np.concatenate(parts))


def fold_deviations(
    table: ArrayLike, draws: int = 640, seed: int = 0, ratio: float | None = None
) -> FloatArray:
    """(draws, k) deviations of k configurations on new data, by their (k, J) scores on J common folds.

    A draw combines the folds' deviations from the mean by random weights, shared by the configurations.
    Folds are few, so draws follow Student's t with J - 1 degrees of freedom (at least 2). Folds share
    training rows, so the variance is 1/J + ``ratio`` times the variance of a fold. The default ``ratio`` is
    1 / (J - 1), as for J folds.

    Source: Nadeau and Bengio (2003), 'Inference for the Generalization Error', for the variance.
    """
    scores = np.asarray(table, dtype=float)
    if scores.ndim != 2 or scores.shape[1] < 2 or not np.isfinite(scores).all():
        raise AnalysisError(
            f"table: needs finite scores (configurations, folds) of at least 2 folds, got {scores.shape}"
        )
    check_count(draws, "draws", 2)
    folds = scores.shape[1]
    freedom = max(folds - 1, _LEAST_FREEDOM)
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((draws, folds))
    weights *= np.sqrt(freedom / rng.chisquare(freedom, draws))[:, None]
    if ratio is None:
        ratio = 1 / (folds - 1)
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray(weights @ centred.T * np.sqrt((1 / folds + ratio) / (folds - 1)))


def deviations_at(
    X: ArrayLike,
    deviations: FloatArray,
    candidates: ArrayLike,
    cardinalities: Sequence[int],
    read: ArrayLike | None = None,
    candidates_read: ArrayLike | None = None,
) -> FloatArray:
    """(draws, c) expected deviations of candidates, given (draws, k) deviations of tried configurations.

    The expectation of a Gaussian process: similar configurations err on similar rows. A part that similar
    configurations do not share is not carried to new cells; far from tried cells 0 is expected.

    Args:
        X: (k, d) positions or codes of the tried configurations.
        deviations: Deviations of the tried configurations, after a common shift was taken off.
        candidates: (c, d) positions or codes of the cells.
        cardinalities: d numbers, 0 for an ordered column, k for an unordered one.
        read: (k, d) mask of the values that were read; ``None`` if all were.
        candidates_read: (c, d) mask of the values that a candidate reads.

    Source: Rasmussen and Williams (2006), section 2.2; a single kernel for the draws is our own.
    """
    from scipy.linalg import cho_factor, cho_solve

    table = matrix(X, cardinalities)
    cells = matrix(candidates, cardinalities, "candidates")
    same_length(len(table), deviations.shape[1])
    sd = deviations.std(axis=0)
    typical = float(np.median(sd))
    if typical == 0:
        return np.zeros((len(deviations), len(cells)))
    was_read = read_mask(read, table.shape)
    read_cells = read_mask(candidates_read, cells.shape)
    partly = partly_read(was_read, read_cells)
    tried = embed(np.where(was_read, table, 0.0), was_read, cardinalities, partly)
    features = embed(np.where(read_cells, cells, 0.0), read_cells, cardinalities, partly)
    standard = deviations / np.maximum(sd, _LEAST_SD * typical)
    parameters = fit_kernel(tried, standard[:_FITTED].T, 1, np.random.default_rng(0))[0]
    x = tried.scaled(parameters.lengths)
    covariance = parameters.covariance(x, x) + (parameters.noise + 1e-6) * np.eye(len(x))
    across = parameters.covariance(features.scaled(parameters.lengths), x)
    return np.asarray((across @ cho_solve(cho_factor(covariance, lower=True), deviations.T)).T)
