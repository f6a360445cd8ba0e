"""The curves that figures and the review page draw: where the good trials lie, and where all lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.evidence import GOOD, level_positions
from refine.report.figures.drawn import space_filling_trials
from refine.space.edits import on_levels
from refine.space.parameters import Parameter, Range

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis

Floats = npt.NDArray[np.float64]


class Densities(NamedTuple):
    """Two densities along a range, on its declared scale; 1 is an even spread.

    Attributes:
        at: (points,) positions in [0, 1].
        everyone: (points,) density of all finished space-filling trials.
        best: (points,) density of the good ones.
        n: How many trials.
        good: How many good ones.
    """

    at: Floats
    everyone: Floats
    best: Floats
    n: int
    good: int


def density_curves(analysis: Analysis, name: str, points: int = 400) -> Densities:
    """Densities of the good trials and of all that end where the range ends.

    Args:
        analysis: Of :func:`refine.analyze`.
        name: A parameter that is a range.
        points: How many positions.
    """
    table, y = space_filling_trials(analysis)
    parameter = analysis[name].parameter
    x = parameter.unit(table[name].to_numpy())
    good = stats.top_mask(analysis.sign * y, GOOD)
    # One bandwidth for both curves, or a difference in smoothing would pass for a difference in place; and
    # never so narrow that the gaps between the levels show.
    width = max(stats.scott_bandwidth(x[good]), 0.5 / max(1, parameter.size - 1))
    curve = stats.BoundedDensity(bandwidth=width)
    weights = widths(parameter, x)
    at = np.linspace(0, 1, points)
    return Densities(at, curve(x, at, weights), curve(x[good], at, weights[good]), len(x), int(good.sum()))


def widths(parameter: Parameter, x: Floats, ends: tuple[float, float] = (0.0, 1.0)) -> Floats:
    """How much of the axis each trial stands for: the cell around its level, so that an space-filling design is flat.

    A level at the end of a range of real numbers owns half a cell; without this the density would rise at
    both ends of every range, where nothing is but the design.

    Args:
        parameter: The parameter.
        x: (n,) unit-scale positions of trials.
        ends: The part of the axis that is shown.

    Returns:
        (n,) widths in units of the axis; 1 where trials lie between levels.
    """
    levels = level_positions(parameter)
    if not isinstance(parameter, Range) or not on_levels(parameter, x):
        return np.ones(len(x))
    borders = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    cells = np.diff(np.clip(borders, *ends))
    return np.asarray(cells[stats.Axis(levels).index(x)])
