"""The posterior of the objective on new data instead of on the validation rows. Pure."""

from __future__ import annotations

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import marked_unread, reading
from refine.analysis.new_data import MOST_FACTOR, off_log_scale, on_log_scale, relative_deviations
from refine.stats.posterior import same_rows
from refine.utils.arrays import Floats, rounded, rounded_scores


def on_new_data(
    posterior: stats.Posterior, analysis: Analysis, positions: Floats, cardinalities: list[int]
) -> stats.Posterior:
    """A posterior whose draws carry the deviation of (c, parameters) cells on new data.

    Every draw of the posterior gets a draw of the deviation, one for all cells. Scores of the result are
    values in units of the distance from the middle to the best value. Unchanged if the scores of the trials
    by row or by fold are unknown.
    """
    shift = deviations_of(analysis, positions, cardinalities)
    if shift is None:
        return posterior
    best = float(posterior.values[-1])
    unit = best - float(posterior.value(0.0)) or float(np.ptp(posterior.values)) or 1.0
    values = posterior.value(posterior.scores)
    shift = shift[np.arange(len(values)) % len(shift)]
    if on_log(analysis):
        values = off_log_scale(rounded(on_log_scale(np.minimum(values, best / MOST_FACTOR)) + shift))
    else:
        values = values + shift
    scores = (np.clip(values, *analysis.limits.facing(analysis.sign)) - best) / unit
    if on_log(analysis):  # losses near the best may differ by less than a step of rounded scores
        drawn = scores.astype(np.float32)
    else:
        drawn = rounded_scores(scores)
    ends = np.array([min(scores.min(), (posterior.values[0] - best) / unit), max(scores.max(), 0.0)])
    return posterior._replace(
        scores=drawn,
        mean=(posterior.value(posterior.mean) - best) / unit,
        known_mean=(posterior.value(posterior.known_mean) - best) / unit,
        knots=ends,
        values=best + unit * ends,
        slope=unit,
    )


def on_log(analysis: Analysis) -> bool:
    """True if losses are compared by factors."""
    return analysis.noise.floor_source == "decades"


def deviations_of(analysis: Analysis, positions: Floats, cardinalities: list[int]) -> Floats | None:
    """(draws, c) deviations of cells, larger is better, without the shift of the median trial.

    Differences of logarithms if losses are compared by factors. ``None`` if the scores of the trials by row
    or by fold are unknown.
    """
    new_data = analysis.new_data
    if new_data is None:
        return None
    relative = relative_deviations(new_data.values, new_data.deviations.draws, on_log=on_log(analysis))
    read = reading(analysis.parameters, new_data.X)
    read_cells = reading(analysis.parameters, positions)
    shift = stats.deviations_at(new_data.X, relative, positions, cardinalities, read, read_cells)
    if analysis.noise.deterministic:  # the draws hold the values of tried cells, not of a smooth surface
        tried, candidates = (marked_unread(analysis.parameters, X) for X in (new_data.X, positions))
        cells, trials = same_rows(candidates, tried)
        shift[:, cells] = relative[:, trials]
    return shift
