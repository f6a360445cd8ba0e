"""Noise of retraining and tolerance of a study.

One estimate from repeats, evenly drawn trials and a prior. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.new_data import COMPARED, fold_titles
from refine.errors import AnalysisError
from refine.stats.resolution import two_values
from refine.trials.declared import check_noise, check_scale
from refine.utils.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd

# Median over best from which a positive loss counts on a log scale.
DECADES = 20.0

# Equal repeats that show a deterministic objective if the metric takes equally spaced values only, as an
# accuracy does: noise of less than half a row gives equal repeats by chance.
EQUAL_STEPS = 6

# Error of the logarithm of the residual estimate: a constant, per parameter, and for one configuration.
# Measured on surrogates of trainings with noise of 1, 5 and 20 % of (best - median).
_RESIDUAL_ERROR = (0.4, 0.02, 4.0)

# Prior: a twentieth of the distance from the median to the best value, within a factor of 6 (one standard
# deviation). The noise of 15 recorded grids of trainings is 0.1 to 38 % of the distance, 4 % in the middle.
_PRIOR_SHARE = 0.05
_PRIOR_ERROR = math.log(6.0)


class _Estimate(NamedTuple):
    """An estimate of the noise on a log scale."""

    log_sd: float
    precision: float  # 1 / variance of ``log_sd``


def noise_of(
    even_y: Floats,
    groups: Sequence[Any] | None,
    repeats: Sequence[Any] | None,
    finished: tuple[Floats, Floats, Sequence[int]],
    declared: str | None = None,
) -> stats.NoiseEstimate:
    """The noise near the best values, with its source and its degrees of freedom.

    Three repeats that equal the first run of their configuration to the last bit show a deterministic
    objective; six repeats if the metric takes equally spaced values only. Otherwise repeats,
    residuals among the best trials and a weak prior are pooled on a log scale, weighted by precision.
    The planned run of a repeated configuration takes no part in the size of the noise, because a good value
    was the reason for the repeats; runs that a plan repeats, for example those of a baseline, all count.

    Args:
        even_y: (n,) values of the evenly drawn trials, or of the finished ones if no trial was drawn evenly.
        groups: n labels, equal for trials with equal values of the parameters read.
        repeats: Values of repeats, the labels of the configurations and, if known, the values of the planned
            runs.
        finished: (m, d) positions and (m,) values of all finished trials, larger is better, and d
            cardinalities: 0 for an ordered column, k for an unordered one with k choices.
        declared: One of :data:`refine.trials.declared.NOISE`, or ``None``.

    Raises:
        AnalysisError: An unknown declaration.
    """
    check_noise(declared)
    runs, labels, *planned = ((), ()) if repeats is None else repeats
    runs = np.asarray(runs, dtype=float)
    labels = list(labels)
    first = {
        label: value
        for values in planned
        for label, value in zip(labels, np.asarray(values, dtype=float), strict=True)
        if np.isfinite(value)
    }
    agreement = stats.repeats([*first.values(), *runs], [*first, *labels])
    if groups is not None:
        agreement = agreement.joined(stats.repeats(even_y, list(groups)))
    finished_X, finished_y, finished_cardinalities = finished
    step = stats.smallest_step(even_y, finished_y)
    floor = stats.floor_of(finished_y)
    if declared == "none":
        return stats.NoiseEstimate(0.0, step, "deterministic", agreement.equal, floor=floor, freedom=math.inf)
    if declared is None and show_no_noise(agreement, even_y):
        return equal_repeats(agreement, step, floor)
    within = [stats.within_groups(runs, np.asarray(labels, dtype=object))]
    if groups is not None:
        within.append(stats.within_groups(even_y, list(groups)))
    residual = stats.TopNoise(least=10**9)(finished_X, finished_y, finished_cardinalities)
    return pooled_noise(within, residual, finished_X.shape[1], stats.floor_of(even_y))._replace(floor=floor)


def decades_of(loss: Floats, scale: str | None = None, even: Floats | None = None) -> float:
    """Decades between the best and the median of a loss on a log scale; 0 on a linear scale.

    A loss counts on a log scale if all values are positive and the median is more than 20 times the best, or
    if declared by ``scale``. The best tenth limits the best value, so a single absurd value has no weight.

    Args:
        loss: (n,) finished values, smaller is better.
        scale: One of :data:`refine.trials.declared.SCALES`, or ``None``.
        even: (m,) values of evenly drawn trials, for the median; default ``loss``.

    Raises:
        AnalysisError: An unknown declaration, or ``"log"`` for values that are not positive.
    """
    check_scale(scale)
    if even is None:
        even = loss
    positive = bool(loss.size) and bool(loss.min() > 0) and bool((even > 0).all())
    if scale == "log" and not positive:
        raise AnalysisError(f"scale='log' needs positive values, got {loss.min() if loss.size else 'none'}")
    if scale == "linear" or not positive:
        return 0.0
    decades = stats.floor_of(-np.log10(loss), -np.log10(even)) / stats.FLOOR
    return decades if scale == "log" or decades > math.log10(DECADES) else 0.0


def from_decades(noise: stats.NoiseEstimate, best: float) -> stats.NoiseEstimate:
    """The noise of the decimal logarithm of a loss, in units of the loss near its best value.

    The floor becomes a factor of the best: 5 % of the decades between best and median.
    """
    sd = best * (10.0**noise.sd - 1)
    return noise._replace(sd=sd, step=0.0, floor=best * (10.0**noise.floor - 1), floor_source="decades")


def log_of_repeats(repeats: Sequence[Any] | None) -> Sequence[object] | None:
    """Repeats of a positive loss with decimal logarithms of their values."""
    if repeats is None:
        return None
    values, labels, *planned = repeats
    return [_log10(values), labels, *(_log10(planned_values) for planned_values in planned)]


def _log10(values: npt.ArrayLike) -> Floats:
    """Decimal logarithms; NaN for values that are not positive."""
    array = np.asarray(values, dtype=float)
    return np.log10(array, out=np.full(array.shape, np.nan), where=array > 0)


def show_no_noise(agreement: stats.ReplicateAgreement, y: Floats) -> bool:
    """True if equal repeats show no noise, or noise below a step, of a metric with the values ``y``.

    Of a metric with two values, three repeats are often equal by chance: six are needed.
    """
    enough = agreement.equal >= EQUAL_STEPS or not two_values(y)
    return agreement.deterministic and enough


def equal_repeats(agreement: stats.ReplicateAgreement, step: float, floor: float) -> stats.NoiseEstimate:
    """The noise after repeats that were all equal: none, or less than a row if the metric counts rows."""
    if step > 0 and agreement.equal < EQUAL_STEPS:
        return stats.NoiseEstimate(
            step / math.sqrt(12),
            step,
            "below_step",
            agreement.equal,
            floor=floor,
            freedom=float(agreement.equal),
        )
    return stats.NoiseEstimate(0.0, step, "deterministic", agreement.equal, floor=floor, freedom=math.inf)


def pooled_noise(
    within: Sequence[tuple[float, int]], residual: stats.NoiseEstimate, parameters: int, floor: float
) -> stats.NoiseEstimate:
    """One noise from several estimates, weighted by their precision on a log scale.

    Args:
        within: Standard deviations within groups of repeats, and their degrees of freedom.
        residual: The noise by residuals of a smooth model; NaN or 0 if unknown.
        parameters: Number of parameters behind the residuals.
        floor: 5 % of the distance from the median to the best value of the evenly drawn trials.

    Source: Bartlett and Kendall (1946) for the logarithm of a variance; the combination is our own.
    """
    repeats = [_of_repeats(sd, count) for sd, count in within if count and sd > 0]
    freedom = sum(count for sd, count in within if sd > 0)
    estimates = list(repeats)
    if residual.sd > 0:
        count = max(1, residual.n)
        constant, per_parameter, of_one = _RESIDUAL_ERROR
        error = constant + per_parameter * parameters + of_one / count
        estimates.append(_Estimate(math.log(residual.sd), error**-2))
    if not estimates:
        return residual._replace(floor=floor)
    if floor > 0:
        estimates.append(_Estimate(math.log(floor / stats.FLOOR * _PRIOR_SHARE), _PRIOR_ERROR**-2))
    precision = sum(estimate.precision for estimate in estimates)
    sd = math.exp(sum(e.log_sd * e.precision for e in estimates) / precision)
    by_repeats = sum(estimate.precision for estimate in repeats)
    source = residual.source
    n = residual.n
    if by_repeats > precision / 2 or not residual.sd > 0:
        source = "replicates"
        n = freedom
    return residual._replace(sd=sd, source=source, n=n, floor=floor, freedom=precision / 2)


def _of_repeats(sd: float, freedom: int) -> _Estimate:
    """A standard deviation with its degrees of freedom, unbiased on a log scale."""
    from scipy.special import digamma, polygamma

    bias = (digamma(freedom / 2) - math.log(freedom / 2)) / 2
    return _Estimate(math.log(sd) - float(bias), 4 / float(polygamma(1, freedom / 2)))


def fold_error_of(frame: pd.DataFrame, names: Sequence[str], y: Floats) -> float:
    """Standard error of the difference of two of the best configurations over folds; 0 without folds.

    Args:
        frame: Trials, with columns ``name@1``, ``name@2``, ... of the scores by fold.
        names: Names of metrics; the first one with such columns counts.
        y: (n,) values, larger is better; -inf if a trial may not be called best.
    """
    best = [i for i in np.argsort(-y, kind="stable")[:COMPARED] if np.isfinite(y[i])]
    titles = fold_titles(frame, names)
    if not titles:
        return 0.0
    scores = frame[titles].iloc[best].to_numpy(dtype=float)
    return stats.fold_error(scores[np.isfinite(scores).all(axis=1)])
