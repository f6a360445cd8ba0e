"""Trials by level, and by the levels of several parameters: medians, counts, bests, failures.

Pure. Levels may share a cell, as in a figure with little room: the caller gives the cell of every trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.evidence import GOOD, ParameterEvidence, level_axis, level_medians
from refine.analysis.selection import candidates, ended_trials, finished_positions, having, ranked_trials
from refine.errors import AnalysisError
from refine.utils.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.analysis import Analysis


CellOf = Callable[["pd.DataFrame"], Ints]  # gives the cell of every row of a table of trials, from 0


class Cells(NamedTuple):
    """The round's space-filling trials, cell by cell; pruned ones rank with the worst."""

    # median of the metric and its 95 % interval per cell; NaN if one is a pruned trial's
    summary: Sequence[stats.Level]
    n: Ints  # (cells,) trials that finished or were pruned
    good: Ints  # (cells,) trials among the best fifth
    tried: Bools  # (cells,) whether a trial ended there, in any state
    ties: bool  # whether ties make the good ones more than the fifth that they are called

    @property
    def medians(self) -> Floats:
        """(cells,) median of the metric, NaN as in ``summary``."""
        return np.array([v.median for v in self.summary])


class LevelBests(NamedTuple):
    """The best of every level over all other parameters."""

    n: Ints  # (levels,) trials that may be best or were pruned
    best: Floats  # (levels,) best value, in the metric's own sign; NaN if none may be best
    equal: Floats  # (levels,) expected best of ``fewest`` of the level's trials
    fewest: int  # trials of the level with the fewest, except empty levels


class FailureRates(NamedTuple):
    """Failure rates at the levels of a parameter."""

    rates: Sequence[stats.Rate]  # share per cell, with Wilson's 95 % interval
    q: tuple[float, ...]  # smallest adjusted p-value among the levels of each cell


class LevelShares(NamedTuple):
    """Share of a level among all trials, and among the good ones with a 90 % interval; NaN without trials."""

    everyone: float  # share of all trials
    good: float  # share of the good ones
    low: float  # ends of its interval
    high: float


def level_shares(analysis: Analysis, name: str) -> tuple[LevelShares, ...]:
    """Shares of each level among all finished evidence and among the top trials, even ones or not.

    The interval is Wilson's, by :class:`refine.stats.DensityRatio`.
    """
    parameter = analysis[name].parameter
    x, good = finished_positions(analysis, name)
    codes = level_axis(parameter).index(x)
    shares = np.bincount(codes, minlength=parameter.size) / max(1, len(codes))
    if not good.any():
        return tuple(LevelShares(float(share), math.nan, math.nan, math.nan) for share in shares)
    ratio = stats.DensityRatio()(codes, good, np.arange(parameter.size), unordered=True)
    positive = np.where(shares > 0, shares, np.nan)  # an infinite end times 0 is no number
    ends = (np.minimum(end * positive, 1.0) for end in (ratio.low, ratio.high))
    return tuple(
        LevelShares(*map(float, row)) for row in zip(shares, ratio.ratio * shares, *ends, strict=True)
    )


def cells_of(analysis: Analysis, cell_of: CellOf, count: int) -> Cells:
    """Summaries of every cell, given the cell of every trial and the number of cells."""
    table, y, pruned = ranked_trials(analysis)
    cells = cell_of(table)
    good = stats.top_mask(analysis.sign * y, GOOD)
    ended, _ = ended_trials(analysis)
    return Cells(
        level_medians(cells, analysis.sign * y, count, analysis.sign, pruned),
        np.bincount(cells, minlength=count),
        np.bincount(cells[good], minlength=count),
        np.bincount(cell_of(ended), minlength=count) > 0,
        bool(good.sum() > 1.1 * GOOD * len(y) + 1),
    )


def level_bests(analysis: Analysis, cell_of: CellOf, count: int) -> LevelBests:
    """The best of every level, and for a fair comparison the expected best of equally many trials.

    Source: Dodge et al. (2019) for bests at equal numbers of trials; see :func:`refine.stats.expected_best`.

    Raises:
        AnalysisError: No space-filling trial may be best.
    """
    table, y, pruned = ranked_trials(analysis)
    finished = candidates(analysis, table)
    keep = finished | pruned
    table = table[keep]
    y = y[keep]
    finished = finished[keep]
    if not finished.any():
        raise AnalysisError("no space-filling trial may be called best; run more configurations")
    cells = cell_of(table)
    sign = analysis.sign
    n = np.bincount(cells, minlength=count)
    fewest = int(n[n > 0].min())
    best = np.full(count, np.nan)
    equal = np.full(count, np.nan)
    for level in range(count):
        on_level = cells == level
        if finished[on_level].any():
            best[level] = sign * (sign * y[on_level]).max()
            equal[level] = sign * stats.expected_best(sign * y[on_level], fewest)
    return LevelBests(n, best, equal, fewest)


def failure_rates(
    analysis: Analysis, e: ParameterEvidence, cell_of: Callable[[Any], Ints], cells: Ints
) -> FailureRates:
    """Failure rates at the levels of a parameter; ``cells`` gives the cell of each level."""
    table, bad = ended_trials(having(analysis, e.name))
    count = int(cells.max()) + 1
    rates = stats.LevelRates()(cell_of(table[e.name].to_numpy()), bad, count)
    q = (min(v.bad_q for v, cell in zip(e.levels, cells, strict=True) if cell == k) for k in range(count))
    return FailureRates(rates, tuple(q))


def by_failures(analysis: Analysis) -> tuple[ParameterEvidence, ...]:
    """Parameters by the evidence that failures depend on them, the strongest first."""

    def spread(e: ParameterEvidence) -> float:
        shares = [v.bad for v in e.levels if np.isfinite(v.bad)]
        if shares:
            return float(np.ptp(shares))
        return 0.0

    return tuple(sorted(analysis.parameters, key=lambda e: (e.bad_q, -spread(e))))
