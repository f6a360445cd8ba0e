"""What a round taught about each of its parameters. Pure functions of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.choices import Choice
from refine.parameters import Parameter
from refine.words import number

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

GOOD = 0.2
"""Share of the trials that counts as good in densities, edges and pairs."""

ALPHA = 0.1
"""False discovery rate below which a parameter may be narrowed."""


class LevelEvidence(NamedTuple):
    """What is known about one level of one parameter.

    Attributes:
        label: The level as shown.
        n: Finished even trials at the level.
        median: Median value there, in the metric's own sign; NaN without trials.
        low: Lower end of its 95 % interval.
        high: Upper end.
        ratio: Density of good trials over density of all; above 1 means over-represented.
        ratio_low: Lower end of its 90 % interval.
        ratio_high: Upper end.
        bad: Share of trials there that did not complete.
        seconds: Median time of a finished trial there.
    """

    label: str
    n: int
    median: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    bad: float
    seconds: float


class ParameterEvidence(NamedTuple):
    """What a round taught about one parameter.

    Attributes:
        name: The parameter's.
        parameter: The parameter.
        correlation: Spearman's rank correlation with the metric, in the metric's own sign; ``None`` where
            the parameter has no order.
        association: Kruskal-Wallis over its choices; ``None`` where it has an order.
        importance: PED-ANOVA importance for being among the best fifth.
        p: P-value of 'does not matter': twice the smaller of the rank test's and the importance's.
        q: The same after Benjamini-Hochberg over all parameters of the round.
        edges: Pile-up tests at the low and the high end; empty where there is no order.
        edge_q: Their p-values after Benjamini-Hochberg over all edges of the round.
        levels: Evidence per level.
        read: Share of trials in which the objective read the parameter; NaN where it wasn't noted.
    """

    name: str
    parameter: Parameter
    correlation: stats.Correlation | None
    association: stats.Association | None
    importance: stats.Importance
    p: float
    q: float
    edges: tuple[stats.Edge, ...]
    edge_q: tuple[float, ...]
    levels: tuple[LevelEvidence, ...]
    read: float

    @property
    def matters(self) -> bool:
        """Whether the parameter may be narrowed on this evidence: q <= 0.1."""
        return self.q <= ALPHA

    @property
    def effect(self) -> float:
        """Size of the effect in [0, 1]: ``|rho|``, or the square root of epsilon squared."""
        if self.correlation is not None:
            return abs(self.correlation.estimate) if np.isfinite(self.correlation.estimate) else 0.0
        effect = self.association.effect if self.association is not None else np.nan
        return float(np.sqrt(max(0.0, effect))) if np.isfinite(effect) else 0.0


class Rows(NamedTuple):
    """Trials inside a space, as arrays beside their table."""

    table: pd.DataFrame
    X: Floats
    y: Floats
    finished: npt.NDArray[np.bool_]
    even: npt.NDArray[np.bool_]
    groups: npt.NDArray[Any] | None


def evidence_of(
    parameter: Parameter,
    name: str,
    j: int,
    X: Floats,
    y: Floats,
    own: Rows,
    column: int,
    sign: float,
    read: float,
    seed: int,
    permutations: int,
) -> ParameterEvidence:
    """Everything measured on one parameter, the q-values apart.

    Args:
        parameter: The parameter.
        name: Its name.
        j: Its column in ``X``.
        X: Positions of the finished even trials.
        y: Their values, higher is better.
        own: All of the round's trials inside the space.
        column: Its column in ``own.X``.
        sign: 1 to maximize, -1 to minimize.
        read: Share of trials in which the objective read it.
        seed: Seed of every bootstrap and permutation.
        permutations: Of the importance's null.
    """
    x = X[:, j]
    k = parameter.size
    positions = level_positions(parameter)
    grid = None if not parameter.ordered else positions
    importance = stats.PedAnova(top=GOOD, permutations=permutations, seed=seed)(
        x, y, 0 if parameter.ordered else k, grid
    )
    correlation = association = None
    edges: tuple[stats.Edge, ...] = ()
    if parameter.ordered:
        found = stats.Spearman(seed=seed)(x, y)
        low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
        correlation = found._replace(estimate=sign * found.estimate, low=low, high=high)
        edges = stats.Boundary(top=GOOD)(x, y, positions)
        p = stats.combine(importance.p, found.p).p
    else:
        association = stats.KruskalWallis(seed=seed)(x, y, k)
        p = stats.combine(importance.p, association.p).p
    good = stats.top_mask(y, GOOD)
    ratio = stats.DensityRatio()(x, good, positions, unordered=not parameter.ordered)
    nearest = stats.Axis(positions, unordered=not parameter.ordered)
    levels = stats.LevelSummary()(nearest.index(x), sign * y, k)
    everyone = nearest.index(own.X[:, column])
    labels = parameter.labels if isinstance(parameter, Choice) else [number(v, 6) for v in parameter.grid]
    seconds = (
        np.asarray(own.table["seconds"], dtype=float)
        if "seconds" in own.table
        else np.full(len(everyone), np.nan)
    )
    rows = []
    for i, level in enumerate(levels):
        here = everyone == i
        time = seconds[here & own.finished]
        rows.append(
            LevelEvidence(
                str(labels[i]),
                level.n,
                level.median,
                level.low,
                level.high,
                float(ratio.ratio[i]),
                float(ratio.low[i]),
                float(ratio.high[i]),
                float(1 - own.finished[here].mean()) if here.any() else np.nan,
                float(np.median(time)) if time.size and np.isfinite(time).all() else np.nan,
            )
        )
    return ParameterEvidence(
        name, parameter, correlation, association, importance, p, np.nan, edges, (), tuple(rows), read
    )


def level_positions(parameter: Parameter) -> Floats:
    """Unit-scale positions of the levels, or the codes of an unordered choice."""
    values = np.empty(parameter.size, dtype=object)
    values[:] = parameter.grid
    return parameter.unit(values)
