"""Forecast of a child's space-filling trials: quantiles of their median and best value. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.design.space_filling import Uniform, draw, feasible
from refine.errors import DesignError
from refine.proposal.allocation import _extended
from refine.proposal.posterior import cardinalities_of, known_enough, posterior_of
from refine.space.space import Space
from refine.utils.arrays import Floats
from refine.utils.threads import one_thread

# Forecast statistics of a round.
WHAT = ("median", "best")


@one_thread
def forecast(
    analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> stats.Forecast | None:
    """Forecast of a round's space-filling trials on another space, in the metric's own sign.

    See :class:`refine.stats.ChildForecast`. Cells beyond the analysed space are taken to be as at its edge.

    Args:
        analysis: The evidence.
        space: Space of the round.
        n: Number of its space-filling trials.
        seed: Seed of the simulation.
        skip: Keys of configurations that the round does not run.

    Returns:
        ``None`` if the evidence says nothing about the space (other parameters, another fixed value, mostly
        untried choices, nothing varied), or if no space-filling trial is planned at the full level.
    """
    if n < 1 or not known_enough(analysis) or analysis.levels is not None:
        return None
    cells = cells_of(analysis, space, n, seed, skip)
    if cells is None:
        return None
    cardinalities = cardinalities_of(analysis)
    residuals = stats.left_over(analysis.X, analysis.y, cardinalities)
    posterior = posterior_of(analysis, cells.positions)
    simulated = stats.ChildForecast(seed=seed)(posterior, residuals, int(n), all_cells=cells.all_there_are)
    quantiles = np.array([simulated.median, simulated.best])
    if analysis.sign < 0:
        quantiles = -quantiles[:, ::-1]
    # Floats of statistics differ in their last digits between machines.
    median, best = (tuple(float(f"{v:.9g}") for v in row) for row in np.clip(quantiles, *limits_of(analysis)))
    return simulated._replace(median=median, best=best)


def limits_of(analysis: Analysis) -> tuple[float, float]:
    """Lowest and highest possible value of a forecast of the metric, in the metric's own sign."""
    return analysis.limits[:2]


class Cells(NamedTuple):
    """Cells that a round on some space may run."""

    positions: Floats  # (c, parameters) positions of the cells on the analysed axes
    all_there_are: bool  # True for all cells that the round could run, False for a sample of them


def cells_of(
    analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset(), most: int = 2000
) -> Cells | None:
    """At most ``most`` cells that a round on the space may run; ``None`` as for :func:`forecast`."""
    varied = [e.name for e in analysis.parameters]
    if set(space) != set(analysis.space):
        return None
    if any(name not in varied and space[name] != analysis.space[name] for name in space):
        return None
    exist = feasible(space)
    try:
        rows = draw(Uniform(), space, max(1, min(most, exist.low - len(skip))), seed, skip)
    except DesignError:
        return None
    columns = space.columns(rows)
    positions = np.column_stack([_extended(analysis, name, columns[name]) for name in varied])
    is_known = np.isfinite(positions).all(axis=1)
    if 2 * int(is_known.sum()) < len(rows):
        return None
    complete = bool(is_known.all()) and exist.exact and n <= len(rows) < most
    return Cells(positions[is_known], complete)
