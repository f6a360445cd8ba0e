"""Densities of good and of all trials along a parameter, and of the metric.

Pure functions of an analysis, for figures and the review page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.evidence import GOOD, level_positions
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import finished_positions, space_filling_trials
from refine.space.edits import on_levels
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Floats

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis


_ENOUGH = 5  # fewest trials for a density at a level


class Densities(NamedTuple):
    """Two densities along an ordered parameter, on its declared scale; 1 is a uniform spread."""

    at: Floats  # (points,) positions in [0, 1] on the parameter's scale
    everyone: Floats  # (points,) density of all trials
    best: Floats  # (points,) density of the good ones; empty where there is none
    n: int  # how many trials
    good: int  # how many good ones

    @property
    def with_ties(self) -> bool:
        """Whether ties raise the good trials above one fifth."""
        return self.good > 1.1 * GOOD * self.n + 1


class Surface(NamedTuple):
    """The density of trials over a parameter and the metric."""

    x: Floats  # (n,) positions in [0, 1] on the parameter's scale
    y: Floats  # (m,) values of the metric
    density: Floats  # (n, m) density


def density_curves(analysis: Analysis, name: str, points: int = 400) -> Densities:
    """Densities of the top trials and of all finished evidence that has the parameter.

    The curves describe evenly drawn trials together with those that the model placed. Nothing is tested.
    """
    parameter = analysis[name].parameter
    x, good = finished_positions(analysis, name)
    grid_points = np.linspace(0, 1, points)
    if not len(x):
        return Densities(grid_points, np.zeros(points), np.zeros(points), 0, 0)
    # One bandwidth for both curves, or a difference in smoothing would pass for a difference in place; and
    # never so narrow that the gaps between the levels show.
    width = max(stats.scott_bandwidth(x[good] if good.any() else x), 0.5 / max(1, parameter.size - 1))
    curve = stats.BoundedDensity(bandwidth=width)
    weights = cell_widths(parameter, x)
    if good.any():
        best = curve(x[good], grid_points, weights[good])
    else:
        best = np.zeros(points)
    return Densities(grid_points, curve(x, grid_points, weights), best, len(x), int(good.sum()))


def density_surface(analysis: Analysis, name: str, view: MetricView) -> Surface:
    """The density of trials over an ordered parameter and the visible part of the metric.

    The density ends at the ends of both.
    """
    table, y = space_filling_trials(analysis)
    parameter = analysis[name].parameter
    x = parameter.unit(table[name].to_numpy())
    at_x = np.linspace(0, 1, 160)
    at_y = view.grid()
    place = view.forward(y)
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
    """(points,) values across a view, and the density of some values relative to its peak.

    ``None`` with too few values.
    """
    if len(values) < _ENOUGH:
        return None
    grid = view.grid()
    places = view.forward(values)
    density = stats.BoundedDensity(view.smoothing(stats.scott_bandwidth(places)), *view.bounds)(places, grid)
    return view.back(grid), density / density.max() if density.max() > 0 else density


def cell_widths(parameter: Parameter, x: Floats) -> Floats:
    """(n,) widths of the cells around trials, in units of the axis.

    A space-filling design is flat in these units. A level at the end of a range of real numbers owns half a
    cell: otherwise the design alone would raise the density at both ends. 1 if trials lie between levels.
    """
    levels = level_positions(parameter)
    if not isinstance(parameter, Range) or not on_levels(parameter, x):
        return np.ones(len(x))
    borders = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    return np.asarray(np.diff(borders)[stats.Axis(levels).index(x)])


def level_spacing(parameter: Parameter) -> float:
    """Typical distance of neighbouring levels on the unit scale."""
    if not isinstance(parameter, Range):
        return 1.0 / parameter.size
    return 1.0 / max(1, parameter.size - 1)
