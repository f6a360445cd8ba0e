"""Deviation of the trials' values on new data, from scores by validation row or by fold. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.errors import AnalysisError
from refine.space.space import Space
from refine.stats.optimism import Scorer, row_means
from refine.trials.frame import may_be_best, value_column
from refine.utils.arrays import Floats, spaced_rows

if TYPE_CHECKING:
    import pandas as pd

COMPARED = 10  # best configurations whose differences on folds or validation rows are compared
MOST_TRIALS = 150  # best trials whose scores are compared

MOST_FACTOR = 1000.0
"""Factor by which new data make a loss smaller at most, if losses are compared by factors."""

_ROUNDING = 1e-6  # error of a mean in single precision, as a share of the largest value


class Deviations(NamedTuple):
    """Joint draws of the deviation of models on new data."""

    draws: Floats  # (draws, k) value on new data - value, larger is better; NaN for a model without scores
    source: str  # ``"rows"`` of the validation set, or ``"folds"``
    n: int  # number of rows or folds


class OnNewData(NamedTuple):
    """The value of the best trial on new data, in the metric's own sign."""

    value: float  # expected value, less the luck of the choice
    low: float  # ends of its 95 % interval
    high: float
    source: str  # ``"rows"`` of the validation set, or ``"folds"``
    n: int  # number of rows or folds


class NewData(NamedTuple):
    """Deviations of trials on new data."""

    X: Floats  # (k, parameters) unit-scale positions of the trials
    values: Floats  # (k,) values, larger is better
    deviations: Deviations  # of the k trials

    @property
    def paired_error(self) -> float:
        """Standard error of the difference of two good trials on new data, the median over the best pairs."""
        draws = self.deviations.draws[:, np.argsort(-self.values, kind="stable")[:COMPARED]]
        i, j = np.triu_indices(draws.shape[1], 1)
        return float(np.median((draws[:, i] - draws[:, j]).std(axis=0)))


def on_new_data(
    expected: Floats, deviations: Deviations, i: int, sign: float, drawn: Floats | None = None
) -> OnNewData | None:
    """The value of candidate ``i``, the best one, on new data; ``None`` without its scores by row or fold.

    The luck of the choice is the median deviation, over draws of the rows, of the draw's best candidate.
    In a mean, the heavy tails of a few folds would move poor candidates to the top.

    Source: Efron and Tibshirani (1993), chapter 10, for the bootstrap estimate of bias; the median is our
    own.

    Args:
        expected: (candidates,) expected values, larger is better.
        deviations: Deviations of the candidates, and perhaps of further models after them.
        i: Row of the best candidate.
        sign: 1 if larger values of the metric are better, else -1.
        drawn: (draws,) draws of the candidate's value; ``None`` if the value is exact.
    """
    if not np.isfinite(deviations.draws[0, i]):
        return None
    shift = deviations.draws[:, : len(expected)]
    best = np.nan_to_num(expected + shift, nan=-np.inf).argmax(axis=1)
    luck = float(np.median(shift[np.arange(len(shift)), best]))
    values = expected[i] + shift[:, i] - luck
    if drawn is not None:
        values = drawn[spaced_rows(len(drawn), len(shift))] + shift[:, i] - luck
    low, high = sorted((sign * np.quantile(values, (0.025, 0.975))).tolist())
    value = sign * (float(expected[i]) - luck)
    return OnNewData(value, low, high, deviations.source, deviations.n)


def relative_deviations(values: Floats, draws: Floats, *, on_log: bool) -> Floats:
    """(draws, k) deviations without the shift of the median trial: it moves no trial past another.

    Args:
        values: (k,) values, larger is better.
        draws: (draws, k) value on new data - value; NaN for a trial without scores.
        on_log: Whether losses are compared by factors; the deviations are then differences of logarithms.
    """
    if on_log:
        smallest = values / MOST_FACTOR  # in place of a loss of 0 or less
        draws = on_log_scale(np.minimum(values + draws, smallest)) - on_log_scale(values)
    return np.asarray(draws - np.nanmedian(draws, axis=1, keepdims=True))


def on_log_scale(values: Floats) -> Floats:
    """Negated positive losses as negated decimal logarithms of the losses; larger stays better."""
    return np.asarray(-np.log10(-values))


def off_log_scale(values: Floats) -> Floats:
    """The inverse of :func:`on_log_scale`."""
    return np.asarray(-(10.0**-values))


class ScoredRows(NamedTuple):
    """Models scored on the same validation rows."""

    labels: list[str]  # of the models
    scores: Scorer  # weights of the rows -> scores of the models
    n: int  # number of rows with a known score
    total: int  # number of validation rows


def from_rows(rows: ScoredRows, sign: float) -> Deviations:
    """Deviations by scores on validation rows; ``sign`` is 1 if larger scores are better, else -1."""
    draws = sign * stats.row_deviations(rows.scores, rows.n, rows.total)
    return Deviations(draws, "rows", rows.total)


def from_folds(folds: Floats, sign: float, noise_sd: float = 0.0) -> Deviations:
    """Deviations by (k, folds) scores, without the noise of retraining that the scores contain.

    ``noise_sd`` is the noise of the mean over the folds, which the expected values allow for already; 0 keeps
    all of the spread.
    """
    means = folds.mean(axis=1, keepdims=True)
    common = np.median(folds - means, axis=0)  # part of a fold that all configurations share
    own = folds - means - common
    best = np.argsort(-sign * means[:, 0], kind="stable")[:COMPARED]
    # Every training adds noise of its own to a fold: with J folds, J times the variance of the mean.
    spread = float((own[best] ** 2).mean()) * folds.shape[1] / (folds.shape[1] - 1)
    if noise_sd > 0 and spread > 0:
        kept = max(0.0, 1 - folds.shape[1] * noise_sd**2 / spread)
        folds = means + common + own * np.sqrt(kept)
    return Deviations(sign * stats.fold_deviations(folds), "folds", folds.shape[1])


def fold_titles(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Columns ``name@1``, ``name@2``, ... of a table, for the first metric with two or more; else none."""
    for name in names:
        numbered = (f"{name}@{k}" for k in itertools.count(1))
        titles = list(itertools.takewhile(frame.columns.__contains__, numbered))
        if len(titles) > 1:
            return titles
    return []


def new_data_of(
    space: Space,
    frame: pd.DataFrame,
    names: Sequence[str],
    sign: float,
    allow_degenerate: bool,
    by_row: npt.ArrayLike | None,
    noise_sd: float = 0.0,
) -> NewData | None:
    """Deviations of the best trials of a table.

    ``None`` if fewer than two trials have scores by row or fold.

    Args:
        space: The space; rows outside are left out.
        frame: Trials.
        names: Column of the value, and further names under which scores by fold may stand.
        sign: 1 if larger values are better, else -1.
        allow_degenerate: Whether a degenerate trial may be best.
        by_row: (trials, validation rows) scores, NaN for a trial without scores.
        noise_sd: Noise of retraining: see :func:`from_folds`.

    Raises:
        AnalysisError: ``by_row`` has another shape, or other means than the values.
    """
    frame = frame.assign(value=frame[names[0]])
    values = value_column(frame)
    if by_row is None:
        titles = fold_titles(frame, names)
        if not titles:
            return None
        scores = frame[titles].to_numpy(dtype=float)
    else:
        scores = _checked(by_row, values)
    judged = np.where(may_be_best(frame, space, allow_degenerate), sign * values, -np.inf)
    judged[~(space.contains(frame) & np.isfinite(scores).all(axis=1))] = -np.inf
    best = np.argsort(-judged, kind="stable")[:MOST_TRIALS]
    best = best[np.isfinite(judged[best])]
    if len(best) < 2:
        return None
    X = unit_positions(space, frame.iloc[best])
    if by_row is None:
        deviations = from_folds(scores[best], sign, noise_sd)
    else:
        count = scores.shape[1]
        deviations = from_rows(ScoredRows([], row_means(scores[best]), count, count), sign)
    return NewData(X, judged[best], deviations)


def unit_positions(space: Space, frame: pd.DataFrame) -> Floats:
    """(n, parameters) unit-scale positions of the parameters that vary."""
    names = list(space)
    return np.asarray(space.unit(frame)[:, [names.index(name) for name in space.varied]])


def _checked(by_row: npt.ArrayLike, values: Floats) -> Floats:
    try:
        scores = np.asarray(by_row, dtype=float)
    except (TypeError, ValueError):
        raise AnalysisError(
            f"by_row must be numbers, a row per trial, got {by_row!r:.40}; pass the scores behind the value"
        ) from None
    if scores.ndim != 2 or len(scores) != len(values) or scores.shape[1] < stats.LEAST_ROWS:
        raise AnalysisError(
            f"by_row must have a row per trial and a column per validation row, at least {stats.LEAST_ROWS} "
            f"columns, got shape {scores.shape} for {len(values)} trials"
        )
    means = scores.mean(axis=1)
    compared = np.isfinite(means) & np.isfinite(values)
    error = np.abs(means - values)[compared]
    if error.size and error.max() > _ROUNDING * np.abs(values[compared]).max():
        worst = np.flatnonzero(compared)[error.argmax()]
        raise AnalysisError(
            f"by_row: the mean of a trial's scores must be its value, got {means[worst]:g} and "
            f"{values[worst]:g} in row {worst}; pass the scores behind the value"
        )
    return scores
