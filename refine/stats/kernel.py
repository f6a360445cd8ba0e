"""A Gaussian process's kernel over ordered, unordered and conditional parameters, and its hyperparameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.stats._common import BoolArray, FloatArray, IntArray, subsample

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIT_ROWS = 180
_BLOCK = 128  # cells of a draw computed at once, so that their features stay in the processor's cache
# Priors of the logarithms of noise and scale: mean and deviation.
_NOISE = (np.log(0.35), 1.0)
_SCALE = (0.0, 0.5)


class Kernel(NamedTuple):
    """Configurations as coordinates: squared distances add up over the parameters."""

    # (n, e) coordinates: the position of an ordered parameter; an indicator per choice of an unordered
    # parameter, scaled so that two choices are 1 apart; and an indicator of "not read" for a conditional
    # parameter.
    table: FloatArray
    owner: IntArray  # (e,) number of the parameter that each coordinate belongs to
    size: int  # number of parameters d

    def take(self, rows: IntArray) -> Kernel:
        """The same for some rows."""
        return self._replace(table=self.table[rows])

    def scaled(self, lengths: FloatArray) -> FloatArray:
        """(n, e) coordinates in units of the (d,) lengths."""
        return np.asarray(self.table / lengths[self.owner])


class Parameters(NamedTuple):
    """One set of the kernel's parameters."""

    lengths: FloatArray  # (d,) lengths, in units of the coordinates
    variance: float  # variance of the function
    noise: float  # variance of the noise

    def covariance(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """(n, m) Matern 5/2 covariances of scaled rows."""
        squared = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1)[None, :] - 2.0 * (a @ b.T)
        r = np.sqrt(5.0 * np.maximum(squared, 0.0))
        return np.asarray(self.variance * (1.0 + r + r * r / 3.0) * np.exp(-r))


class Conditioned(NamedTuple):
    """A Gaussian process given the values of some rows, for draws at cells."""

    parameters: Parameters
    rows: FloatArray  # (n, e) scaled rows with values
    cells: FloatArray  # (c, e) scaled rows without values
    noise: FloatArray  # (n,) variance of the noise of each value
    factor: tuple[FloatArray, bool]  # Cholesky factor of the (n, n) covariance of the values
    across: FloatArray  # (c, n) covariances of cells and rows

    @classmethod
    def of(
        cls, parameters: Parameters, rows: FloatArray, cells: FloatArray, counts: FloatArray | None = None
    ) -> Conditioned:
        """The process of one set of parameters; ``counts`` are the runs behind each value, by default 1."""
        from scipy.linalg import cho_factor

        noise = np.full(len(rows), parameters.noise)
        if counts is not None:
            noise = noise / counts
        covariance = parameters.covariance(rows, rows)
        factor = cho_factor(covariance + np.diag(noise + 1e-6), lower=True)
        return cls(parameters, rows, cells, noise, factor, parameters.covariance(cells, rows))

    def levels(self, values: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
        """(count,) draws of the unknown constant of the process, given (n,) values.

        Rows close to each other share their weight, so many trials in one place do not move the constant.

        Source: Rasmussen and Williams (2006), equation 2.42, with a flat prior.
        """
        from scipy.linalg import cho_solve

        weights = cho_solve(self.factor, np.ones(len(values)))
        total = float(weights.sum())
        return np.asarray(weights @ values / total + rng.standard_normal(count) / np.sqrt(total))

    def paths(self, values: FloatArray, count: int, features: int, rng: np.random.Generator) -> FloatArray:
        """(c, count) joint draws at the cells, without noise, given (n, 1) or (n, count) values of mean 0.

        A prior draw from random features, moved by its errors at the rows (Matheron's rule).

        Source: Wilson et al. (2020), 'Efficiently sampling functions from Gaussian process posteriors'.
        """
        from scipy.linalg import cho_solve

        omega = rng.standard_normal((self.rows.shape[1], features))
        omega *= np.sqrt(5.0 / rng.chisquare(5.0, features))
        phase = rng.uniform(0.0, 2.0 * np.pi, features)
        weight = np.sqrt(2.0 * self.parameters.variance / features)
        weight = weight * rng.standard_normal((features, count))
        missed = values - np.cos(self.rows @ omega + phase) @ weight
        missed -= np.sqrt(self.noise)[:, None] * rng.standard_normal(missed.shape)
        update = cho_solve(self.factor, missed)
        drawn = self.across @ update
        for start in range(0, len(self.cells), _BLOCK):
            block = slice(start, start + _BLOCK)
            angle = self.cells[block] @ omega
            angle += phase
            # Cosines in single precision are fast and accurate enough; sums are not, because a sum of a
            # thousand terms would depend on their order, and so on the processor.
            drawn[block] += np.cos(angle.astype(np.float32)).astype(np.float64) @ weight
        return np.asarray(drawn)


def partly_read(*masks: BoolArray) -> list[int]:
    """Numbers of the columns that a row of some (n, d) masks of values read does not read."""
    everywhere = np.all([mask.all(axis=0) for mask in masks], axis=0)
    return [int(j) for j in np.flatnonzero(~everywhere)]


def embed(X: FloatArray, read: BoolArray, cardinalities: Sequence[int], partly: Sequence[int]) -> Kernel:
    """Embed (n, d) rows; `read` is (n, d), whether the objective read a value.

    `partly` are numbers of columns that some rows don't read, of these rows or of rows to be compared with
    them: see :func:`partly_read`.
    """
    blocks = []
    owner = []
    for j, k in enumerate(cardinalities):
        if k > 2:
            block = np.eye(k)[X[:, j].astype(np.int64)] / np.sqrt(2.0)
        else:
            block = X[:, j : j + 1].astype(np.float64)
        if j in partly:
            was_read = read[:, j : j + 1]
            # A row that does not read the parameter lies in the middle of its values, and 1 away from them.
            middle = np.full(block.shape[1], 0.5 if k <= 2 else 1.0 / np.sqrt(2.0) / k)
            block = np.concatenate([np.where(was_read, block, middle), ~was_read], axis=1)
        blocks.append(block)
        owner += [j] * block.shape[1]
    return Kernel(np.concatenate(blocks, axis=1), np.array(owner, dtype=np.int64), len(cardinalities))


def fit_kernel(trials: Kernel, score: FloatArray, sets: int, rng: np.random.Generator) -> list[Parameters]:
    """Draw sets of the kernel's parameters from a normal approximation of their posterior.

    A single set is the most probable.

    The most probable set is the better of two ascents. The curvature there, from differences of the gradient,
    gives the width of the posterior. Few trials leave the posterior wide, and a single best guess would be
    overconfident. `score` is about standard normal.

    Source: Rasmussen and Williams (2006), section 5.4; Laplace's approximation as in Rue, Martino and Chopin
    (2009).

    Args:
        trials: The n trials.
        score: (n,) scores, or (n, k) scores of k functions that share the parameters.
        sets: Number of sets.
        rng: Source of random numbers.
    """
    from scipy.optimize import minimize

    take = subsample(len(score), _FIT_ROWS, rng)
    table = trials.table[take]
    values = score[take] - score[take].mean(axis=0)
    d = trials.size
    gaps = np.zeros((d, len(table), len(table)))
    for column, j in zip(table.T, trials.owner, strict=True):
        gaps[j] += (column[:, None] - column[None, :]) ** 2
    flat = gaps.reshape(d, -1)
    centre = np.r_[_length_centre(d), _SCALE[0], _NOISE[0]]
    spread = np.r_[np.ones(d), _SCALE[1], _NOISE[1]]
    low = centre - 3.5 * spread
    high = centre + 3.5 * spread

    def loss(t: FloatArray) -> tuple[float, FloatArray]:
        return _loss(t, flat, values, centre, spread)

    starts = (centre, centre + np.r_[np.full(d, -0.5), 0.0, -1.0])
    ascents = [
        minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": 40},
        )
        for start in starts
    ]
    best = min(ascents, key=lambda result: float(result.fun)).x
    if sets == 1:
        return [_parameters(best)]
    step = 0.05
    slopes = [
        (loss(best + step * axis)[1] - loss(best - step * axis)[1]) / (2 * step) for axis in np.eye(d + 2)
    ]
    curvature = np.array(slopes)
    value, vector = np.linalg.eigh((curvature + curvature.T) / 2.0)
    # The width of a direction without curvature is that of the prior.
    width = 1.0 / np.sqrt(np.maximum(value, 1.0 / spread.max() ** 2))
    # The symmetric root: eigenvectors of equal eigenvalues, and signs of eigenvectors, are arbitrary.
    drawn = best + rng.standard_normal((sets, d + 2)) @ ((vector * width) @ vector.T)
    return [_parameters(t) for t in np.clip(drawn, low, high)]


def _length_centre(size: int) -> FloatArray:
    """(d,) prior means of the logarithms of the lengths; their deviation is 1."""
    return np.full(size, np.log(0.5 * np.sqrt(size)))


def _parameters(t: FloatArray) -> Parameters:
    # An ascent ends a little elsewhere on another processor.
    t = np.round(t, 6)
    return Parameters(np.exp(t[:-2]), float(np.exp(2 * t[-2])), float(np.exp(2 * t[-1])))


def _loss(
    t: FloatArray, flat: FloatArray, values: FloatArray, centre: FloatArray, spread: FloatArray
) -> tuple[float, FloatArray]:
    """Negative logarithm of likelihood times prior, and its gradient."""
    from scipy.linalg import lapack

    n = len(values)
    d = flat.shape[0]
    variance = np.exp(2 * t[d])
    noise = np.exp(2 * t[d + 1])
    r = np.sqrt(5.0 * (np.exp(-2.0 * t[:d]) @ flat) + 1e-12).reshape(n, n)
    decay = np.exp(-r)
    slope = (1.0 + r) * decay
    shape = slope + (r * r / 3.0) * decay
    lower, failed = lapack.dpotrf(variance * shape + (noise + 1e-8) * np.eye(n), lower=1)
    if failed:
        return 1e10, np.zeros_like(t)
    inverse, _ = lapack.dpotri(lower, lower=1)
    inverse = inverse + inverse.T  # above the diagonal are zeros
    inverse.flat[:: n + 1] /= 2.0
    weight = inverse @ values
    columns = weight.reshape(n, -1)
    functions = columns.shape[1]
    pull = functions * inverse - columns @ columns.T
    z = (t - centre) / spread
    value = 0.5 * np.vdot(values, weight) + functions * np.log(np.diag(lower)).sum() + 0.5 * z @ z
    gradient = z / spread
    by_distance = (pull * slope).ravel() * (variance * 5.0 / 6.0)
    gradient[:d] += np.exp(-2.0 * t[:d]) * (flat @ by_distance)
    gradient[d] += variance * np.sum(pull * shape)
    gradient[d + 1] += noise * np.trace(pull)
    return float(value), gradient
