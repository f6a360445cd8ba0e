"""Random functions drawn from the prior of the Gaussian process, and a process fitted to a few trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refine.stats._common import FloatArray, IntArray
from refine.stats.kernel import Kernel, Parameters, drawn_lengths, fit_kernel

_WAVES = 300


@dataclass(frozen=True)
class DrawnFunction:
    """A function with the kernel's covariance, as a sum of waves.

    Source: Rahimi and Recht (2007), 'Random features for large-scale kernel machines'; the frequencies of a
    Matern 5/2 kernel follow a t distribution with 5 degrees of freedom.
    """

    owner: IntArray  # (e,) number of the parameter of each coordinate, as in :class:`Kernel`
    lengths: FloatArray  # (d,) length of each parameter
    waves: FloatArray  # (e, w) frequencies of each wave
    phases: FloatArray  # (w,) phase of each wave
    weights: FloatArray  # (w,) weight of each wave

    def __call__(self, cells: Kernel) -> FloatArray:
        """(n,) values; the variance over functions is 1."""
        return np.asarray(np.cos(cells.scaled(self.lengths) @ self.waves + self.phases) @ self.weights)


def drawn_function(cells: Kernel, rng: np.random.Generator) -> DrawnFunction:
    """A function of rows like ``cells``, with lengths drawn from the prior of the kernel."""
    shape = (cells.owner.size, _WAVES)
    return DrawnFunction(
        owner=cells.owner,
        lengths=drawn_lengths(cells.size, rng),
        waves=rng.standard_normal(shape) * np.sqrt(5 / rng.chisquare(5, _WAVES)),
        phases=rng.uniform(0, 2 * np.pi, _WAVES),
        weights=rng.standard_normal(_WAVES) * np.sqrt(2 / _WAVES),
    )


@dataclass(frozen=True)
class FittedProcess:
    """A Gaussian process given trials."""

    parameters: Parameters
    trials: Kernel
    values: FloatArray  # (n,) values of the trials
    centre: float
    scale: float

    def given(self, trials: Kernel, values: FloatArray) -> FittedProcess:
        """The process with an unchanged kernel, given other trials."""
        return FittedProcess(self.parameters, trials, values=values, centre=self.centre, scale=self.scale)

    def __call__(self, cells: Kernel) -> tuple[FloatArray, FloatArray]:
        """(c,) means and (c,) standard deviations of the function at cells, in units of the values."""
        from scipy.linalg import cho_factor, cho_solve

        p = self.parameters
        x = self.trials.scaled(p.lengths)
        covariance = p.covariance(x, x) + (p.noise + 1e-6) * np.eye(len(x))
        factor = cho_factor(covariance, lower=True)
        across = p.covariance(x, cells.scaled(p.lengths))  # (n, c)
        mean = across.T @ cho_solve(factor, (self.values - self.centre) / self.scale)
        explained = np.sum(across * cho_solve(factor, across), axis=0)
        sd = np.sqrt(np.maximum(p.variance - explained, 1e-12))
        return self.centre + self.scale * mean, self.scale * sd


def fitted_process(trials: Kernel, values: FloatArray, rng: np.random.Generator) -> FittedProcess:
    """The process with the most probable kernel; the scale of equal values is 1."""
    centre = float(values.mean())
    scale = float(values.std()) or 1.0
    parameters = fit_kernel(trials, (values - centre) / scale, 1, rng)[0]
    return FittedProcess(parameters, trials, values=values, centre=centre, scale=scale)
