"""Densities: where the good trials lie, where all lie, and how the metric spreads along a parameter.

Pure functions of an analysis; figures and the review page draw what they return.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.evidence import GOOD, level_medians, level_positions
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import ranked_trials, space_filling_trials
from refine.space.edits import on_levels
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Bools, Floats

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis


SINGLE = 15
"""Different places up to which each has a median of its own; trials at more get a running median."""

_WINDOW = 0.15  # of the trials, over which a running median runs; at least 11
_ENOUGH = 5  # trials from which on the density of a level is estimated


class Densities(NamedTuple):
    """Two densities along an ordered parameter, on its declared scale; 1 is a uniform spread.

    Attributes:
        at: (points,) positions in [0, 1] on the parameter's scale.
        everyone: (points,) density of all trials.
        best: (points,) density of the good ones; empty where there is none.
        n: How many trials.
        good: How many good ones.
    """

    at: Floats
    everyone: Floats
    best: Floats
    n: int
    good: int

    @property
    def with_ties(self) -> bool:
        """Whether ties make the good ones more than the fifth that they are called."""
        return self.good > 1.1 * GOOD * self.n + 1


class Surface(NamedTuple):
    """The density of trials over a parameter and the metric.

    Attributes:
        x: (n,) positions in [0, 1] on the parameter's scale.
        y: (m,) values of the metric.
        density: (n, m) density.
    """

    x: Floats
    y: Floats
    density: Floats


class MedianLine(NamedTuple):
    """Medians of the metric along a parameter, with 95 % intervals; NaN where these are unknown.

    Attributes:
        at: (points,) positions in [0, 1] on the parameter's scale.
        median: (points,) medians, in the metric's own sign.
        low, high: (points,) ends of their intervals.
        running: Whether they run over the nearest trials; else each is of the trials at its place.
    """

    at: Floats
    median: Floats
    low: Floats
    high: Floats
    running: bool


def density_curves(analysis: Analysis, name: str, points: int = 400) -> Densities:
    """Densities of the good trials and of all that end where the range ends, of those that have the parameter."""
    table, y = space_filling_trials(analysis)
    parameter = analysis[name].parameter
    x = parameter.unit(table[name].to_numpy())
    good = stats.top_mask(analysis.sign * y, GOOD)
    at = np.linspace(0, 1, points)
    has = np.isfinite(x)  # under other conditions a trial has none
    x, good = x[has], good[has]
    if not len(x):
        return Densities(at, np.zeros(points), np.zeros(points), 0, 0)
    # One bandwidth for both curves, or a difference in smoothing would pass for a difference in place; and
    # never so narrow that the gaps between the levels show.
    width = max(stats.scott_bandwidth(x[good] if good.any() else x), 0.5 / max(1, parameter.size - 1))
    curve = stats.BoundedDensity(bandwidth=width)
    weights = cell_widths(parameter, x)
    best = curve(x[good], at, weights[good]) if good.any() else np.zeros(points)
    return Densities(at, curve(x, at, weights), best, len(x), int(good.sum()))


def density_between(analysis: Analysis, name: str, inside: Bools, ends: Floats) -> Densities:
    """Densities on a part of the axis, of the round's best fifth and of all; 1 is a uniform spread on that part.

    ``inside`` says which of :func:`ranked_trials` lie on that part, which has ``ends`` in [0, 1].
    """
    table, y, _ = ranked_trials(analysis)
    parameter = analysis[name].parameter
    unit = parameter.unit(table[name].to_numpy())
    good = stats.top_mask(analysis.sign * y, GOOD) & inside
    weights = cell_widths(parameter, unit, (float(ends[0]), float(ends[1])))
    x = np.clip((unit - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
    step = 0.5 * level_spacing(parameter) / (ends[1] - ends[0])
    width = float(np.clip(max(stats.scott_bandwidth(x[good if good.any() else inside]), step), 0.01, 0.5))
    at = np.linspace(0, 1, 300)
    curve = stats.BoundedDensity(bandwidth=width)
    best = curve(x[good], at, weights[good]) if good.any() else np.zeros(0)
    everyone = curve(x[inside], at, weights[inside])
    return Densities(ends[0] + at * (ends[1] - ends[0]), everyone, best, int(inside.sum()), int(good.sum()))


def density_surface(analysis: Analysis, name: str, view: MetricView) -> Surface:
    """The density of trials over an ordered parameter and the part of the metric that is shown; it ends where both end."""
    table, y = space_filling_trials(analysis)
    parameter = analysis[name].parameter
    x = parameter.unit(table[name].to_numpy())
    at_x, at_y, place = np.linspace(0, 1, 160), view.grid(), view.forward(y)
    width = (
        max(stats.scott_bandwidth(x, dimensions=2), 0.5 * level_spacing(parameter)),
        view.smoothing(stats.scott_bandwidth(place, dimensions=2)),
    )
    # The two-dimensional density takes no weights: trials count one to several times instead.
    weights = cell_widths(parameter, x)
    times = np.clip(np.rint(2 * weights / np.median(weights)), 1, 20).astype(np.int64)
    density = stats.BoundedDensity2D(bandwidth=width, y_bounds=view.bounds)(
        np.repeat(x, times), np.repeat(place, times), at_x, at_y
    )
    return Surface(at_x, view.back(at_y), density)


def metric_density(values: Floats, view: MetricView) -> tuple[Floats, Floats] | None:
    """(points,) values across a view, and the density of some values relative to its peak; ``None`` where there are too few."""
    if len(values) < _ENOUGH:
        return None
    grid, places = view.grid(), view.forward(values)
    found = stats.BoundedDensity(view.smoothing(stats.scott_bandwidth(places)), *view.bounds)(places, grid)
    return view.back(grid), found / found.max() if found.max() > 0 else found


def median_line(x: Floats, y: Floats, pruned: Bools, sign: float) -> MedianLine:
    """Medians of (n,) values at every of (n,) positions in [0, 1], or running ones where trials lie at many places."""
    places = np.unique(np.round(x, 9))
    if len(places) <= SINGLE:
        groups = [np.flatnonzero(np.abs(x - place) < 1e-8) for place in places]
    else:
        wanted = min(len(x), max(11, math.ceil(_WINDOW * len(x))))
        places = np.linspace(x.min(), x.max(), 80)
        groups = []
        for place in places:
            away = np.abs(x - place)
            # Ties in distance belong to the window, so that it doesn't depend on the order of rows.
            groups.append(np.flatnonzero(away <= np.partition(away, wanted - 1)[wanted - 1]))
    codes = np.concatenate([np.full(len(group), k) for k, group in enumerate(groups)])
    rows = np.concatenate(groups)
    found = level_medians(codes, sign * y[rows], len(groups), sign, pruned[rows])
    values = np.array([[v.median, v.low, v.high] for v in found])
    return MedianLine(places, values[:, 0], values[:, 1], values[:, 2], len(groups) > SINGLE)


def cell_widths(parameter: Parameter, x: Floats, ends: tuple[float, float] = (0.0, 1.0)) -> Floats:
    """How much of the axis each trial stands for: the cell around its level, so that a space-filling design is flat.

    A level at the end of a range of real numbers owns half a cell; without this the density would rise at
    both ends of every range because of the design alone. Widths, (n,), are in units of the axis, of which the part between
    ``ends`` is shown; 1 where trials lie between levels.
    """
    levels = level_positions(parameter)
    if not isinstance(parameter, Range) or not on_levels(parameter, x):
        return np.ones(len(x))
    borders = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    cells = np.diff(np.clip(borders, *ends))
    return np.asarray(cells[stats.Axis(levels).index(x)])


def level_spacing(parameter: Parameter) -> float:
    """Typical distance of neighbouring levels on the unit scale."""
    if not isinstance(parameter, Range):
        return 1.0 / parameter.size
    return 1.0 / max(1, parameter.size - 1)
