"""What a child's space-filling trials will show, stated before they run: quantiles of their median and of their best. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.evaluated import natural_limits
from refine.design.space_filling import Uniform, draw, feasible
from refine.errors import AnalysisError, DesignError
from refine.proposal.allocation import _extended
from refine.proposal.surrogate import cardinalities_of, known_enough, posterior_of
from refine.space.space import Space
from refine.utils.arrays import Floats
from refine.utils.threads import one_thread

WHAT = ("median", "best")
"""What is forecast."""

_ROUNDING = 1e-6
"""Metrics are often means in single precision: 135 of 137 rows is one number in one trial and another, a few parts in
ten million away, in the next."""


@dataclass(frozen=True)
class Forecast:
    """Quantiles of what a child's space-filling trials will show, in the metric's own sign and units.

    Attributes:
        levels: Levels of the quantiles, increasing, in (0, 1).
        median: Quantiles of the median of the space-filling trials.
        best: Quantiles of their best value: the largest to maximize, the smallest to minimize.
        n: Number of space-filling trials it is about.
    """

    levels: tuple[float, ...]
    median: tuple[float, ...]
    best: tuple[float, ...]
    n: int

    def quantiles(self, what: str) -> tuple[float, ...]:
        """Quantiles of ``"median"`` or ``"best"``."""
        return self.median if what == "median" else self.best

    def quantile(self, what: str, level: float) -> float:
        """The quantile of that level; between stored levels on a straight line.

        Raises:
            AnalysisError: A level outside the stored ones.
        """
        if not self.levels[0] <= level <= self.levels[-1]:
            raise AnalysisError(
                f"level must lie between the forecast's levels {self.levels[0]} and {self.levels[-1]}, got {level!r}"
            )
        return float(np.interp(level, self.levels, self.quantiles(what)))

    def interval(self, what: str, share: float) -> tuple[float, float]:
        """The central interval of that probability.

        Raises:
            AnalysisError: It ends outside the stored levels.
        """
        half = round((1 - share) / 2, 12)
        return self.quantile(what, half), self.quantile(what, 1 - half)

    def holds(self, what: str, share: float, value: float) -> bool:
        """Whether the central interval of that probability holds ``value``, up to rounding in single precision."""
        low, high = self.interval(what, share)
        near = _ROUNDING * max(abs(low), abs(high))
        return bool(low - near <= value <= high + near)

    def percentile(self, what: str, value: float) -> float:
        """Probability of less than ``value``, plus half that of just this value.

        The probability integral transform: over many good forecasts it is uniform (Dawid 1984).

        Returns:
            A share on a straight line between the stored levels; 0 below all quantiles and 1 above all, since
            nothing is stored of the tails.
        """
        at = np.asarray(self.quantiles(what))
        levels = np.asarray(self.levels)
        # Where quantiles are equal, as with ties of the metric, the middle of their levels.
        ties = levels[np.isclose(at, value, rtol=_ROUNDING, atol=0)]
        if len(ties):
            return float((ties[0] + ties[-1]) / 2)
        if value < at[0] or value > at[-1]:
            return float(value > at[-1])
        low = np.searchsorted(at, value)
        return float(np.interp(value, at[low - 1 : low + 1], levels[low - 1 : low + 1]))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "levels": list(self.levels),
            "median": list(self.median),
            "best": list(self.best),
            "n": self.n,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Forecast:
        """The forecast of :meth:`to_json`'s output."""
        return cls(tuple(data["levels"]), tuple(data["median"]), tuple(data["best"]), data["n"])


@one_thread
def forecast(
    analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset()
) -> Forecast | None:
    """Forecasts the space-filling trials of a round on another space from the evidence of an analysis.

    Every time one draw of the posterior is the truth, and every trial shows it with the noise of its own: see
    :class:`refine.stats.ChildOutlook`.

    Args:
        analysis: The evidence.
        space: What the round will search. What lies beyond the analysed space is taken to be as at its edge.
        n: How many space-filling trials it will run.
        seed: Of the cells and of what is simulated on them.
        skip: Keys of configurations that it will not run.

    Returns:
        The forecast; ``None`` where the evidence says nothing about the space: it has other parameters, a
        fixed one has another value, most of its cells hold choices that were never tried, nothing was varied,
        or no space-filling trial is planned.
    """
    if n < 1 or not known_enough(analysis):
        return None
    cells = cells_of(analysis, space, n, seed, skip)
    if cells is None:
        return None
    cardinalities = cardinalities_of(analysis)
    left = stats.left_over(analysis.X, analysis.y, cardinalities)
    posterior = posterior_of(analysis, cells.positions)
    found = stats.ChildOutlook(seed=seed)(posterior, left, int(n), all_cells=cells.all_there_are)
    quantiles = np.array([found.median, found.best])
    if analysis.sign < 0:
        quantiles = -quantiles[:, ::-1]
    # Floats of statistics differ in their last digits between machines.
    median, best = (tuple(float(f"{v:.9g}") for v in row) for row in np.clip(quantiles, *limits_of(analysis)))
    return Forecast(found.levels, median, best, int(n))


def limits_of(analysis: Analysis) -> tuple[float, float]:
    """Between which values a forecast of the metric lies, in its own sign.

    Args:
        analysis: The evidence.
    """
    low, high = natural_limits(analysis.y)
    return (low, high) if analysis.sign > 0 else (-high, -low)


class Cells(NamedTuple):
    """Cells that a round on some space may run.

    Attributes:
        positions: (c, parameters) where they lie on the analysed axes.
        all_there_are: Whether they are all the cells that the round could run; else a sample of them.
    """

    positions: Floats
    all_there_are: bool


def cells_of(
    analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str] = frozenset(), most: int = 2000
) -> Cells | None:
    """Cells that a round on the space may run, where they lie on the analysed axes.

    Args:
        analysis: The evidence.
        space: What the round will search.
        n: How many trials it will run.
        seed: Of the sample.
        skip: Keys of configurations that it will not run.
        most: How many cells at most.

    Returns:
        ``None`` where the evidence says nothing about the space; see :func:`forecast`.
    """
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
    known = np.isfinite(positions).all(axis=1)
    if 2 * int(known.sum()) < len(rows):
        return None
    complete = bool(known.all()) and exist.exact and n <= len(rows) < most
    return Cells(positions[known], complete)
