"""Tests of whether imported trials look evenly drawn: at random, or on a grid. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.analysis.evidence import level_positions
from refine.analysis.reason import Reason
from refine.space.parameters import Integer, Parameter, Range
from refine.trials.frame import value_column
from refine.utils.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd

    from refine.space.space import Space

# P-value up to which trials count as chosen by results. A false alarm costs the tests; the opposite mistake
# makes the tests false.
LEVEL = 0.05

CLEARLY = 0.001  # p-value up to which a person's declaration is questioned
_MOST = 1000  # most rows tested: among more, any rounding is significant
_FEW = 20  # most levels counted one by one
_DRAWS = 4000


class Evenness(NamedTuple):
    """P-value of evenly drawn trials."""

    p: float  # smallest p-value times the number of tests
    # the parameter with the least even values; empty for the order of trials: later ones are better, or
    # nearer to the best
    parameter: str


def drawn_reason(origin: str, n: int, total: int, drawn: Evenness | None) -> Reason | None:
    """A caution about the origin of ``n`` finished trials, of which ``total`` are tested.

    ``None`` without one.

    The origin is ``"adaptive"`` if results chose them, ``"imported"`` if unknown; ``drawn`` is the test of
    their values.
    """
    values = {"n": n, "of": total, "parameter": drawn and drawn.parameter, "p": drawn and drawn.p}
    if origin == "adaptive":
        return Reason("untested", values)
    if origin == "imported":
        return Reason("imported", values)
    if drawn is not None and drawn.p <= CLEARLY:
        return Reason("uneven", values)
    return None


def evenness(space: Space, table: pd.DataFrame, sign: float) -> Evenness:
    """Tests the values of every parameter, and the order of the trials.

    Values of a range are compared with the uniform distribution on its scale (Kolmogorov and Smirnov), levels
    and choices by their counts (chi-square). The order of trials, that of the table, should have no rank
    correlation with their values or their distances to the best trials; a table sorted by a column has no
    such order. The p-values are corrected by Bonferroni's inequality.
    """
    rng = np.random.default_rng(0)
    if len(table) > _MOST:
        table = table.iloc[np.sort(rng.choice(len(table), _MOST, replace=False))]
    active = space.active_in(table)
    tests = []
    for name in space.varied:
        if name in active:
            values = table[name][active[name]]
        else:
            values = table[name]
        values = values[space[name].contains(values)]
        tests.append((_column(space[name], values, rng), name))
    tests += [(p, "") for p in _order(space, table, sign)]
    p, name = min(tests, default=(1.0, ""))
    return Evenness(min(1.0, p * max(1, len(tests))), name)


def _column(parameter: Parameter, values: pd.Series, rng: np.random.Generator) -> float:
    """P-value of 'evenly drawn' for the values of one parameter."""
    if len(values) < 2:
        return 1.0
    positions = np.asarray(parameter.unit(values), dtype=float)
    level = level_positions(parameter)
    on = np.abs(positions[:, None] - level).argmin(axis=1)
    counted = len(level) <= _FEW and bool((np.abs(positions - level[on]) < 1e-9).all())
    if isinstance(parameter, Range) and not counted:
        return _distribution(parameter, np.asarray(values, dtype=float))
    counts = np.bincount(on, minlength=len(level))
    p = _counts(counts, np.ones(len(level)), rng)
    if (
        isinstance(parameter, Range) and parameter.log and isinstance(parameter, Integer)
    ):  # whole numbers that are drawn evenly on the scale
        inner = np.convolve(parameter.grid, (0.5, 0.5), mode="valid")
        edges = np.log([parameter.low - 0.5, *inner, parameter.high + 0.5])
        p = max(p, _counts(counts, np.diff(edges), rng))
    return p


def _counts(counts: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> float:
    """P-value of counts under a multinomial distribution, by simulation.

    Few trials a level are no normal deviates.
    """
    n = int(counts.sum())
    share = shares / shares.sum()
    drawn = rng.multinomial(n, share, size=_DRAWS)
    expected = n * share
    threshold = ((counts - expected) ** 2 / expected).sum() * (1 - 1e-9)
    return (1 + int((((drawn - expected) ** 2 / expected).sum(axis=1) >= threshold).sum())) / (_DRAWS + 1)


def _distribution(parameter: Range, values: Floats) -> float:
    """P-value of Kolmogorov and Smirnov's test.

    A value on a step stands for all values that round to the step.
    """
    from scipy.stats import kstwo

    step = parameter.step or (1.0 if isinstance(parameter, Integer) else 0.0)
    low = float(parameter.low) - step / 2
    high = float(parameter.high) + step / 2
    x = np.sort(values)

    def share(positions: Floats) -> Floats:
        positions = np.clip(positions, low, high)
        if parameter.log and low > 0:
            return np.asarray(np.log(positions / low) / math.log(high / low))
        return np.asarray((positions - low) / (high - low))

    n = x.size
    above = np.searchsorted(x, x, side="right") / n - share(x + step / 2)
    below = share(x - step / 2) - np.searchsorted(x, x, side="left") / n
    return float(kstwo.sf(max(above.max(), below.max()), n))


def _order(space: Space, table: pd.DataFrame, sign: float) -> list[float]:
    """P-values of 'the order of trials has no effect'; empty for a sorted table."""
    from scipy.stats import spearmanr

    value = sign * value_column(table)
    ended = np.isfinite(value)
    value = value[ended]
    trials = table[ended]
    if value.size < 10 or np.ptp(value) == 0:
        return []
    columns = [
        np.nan_to_num(np.asarray(space[n].unit(trials[n]), dtype=float), nan=-1.0) for n in space.varied
    ]
    if any(np.ptp(c) > 0 and ((np.diff(c) >= 0).all() or (np.diff(c) <= 0).all()) for c in (value, *columns)):
        return []  # sorted by it
    best = np.argsort(-value, kind="stable")[: max(1, value.size // 20)]
    distance = np.zeros(value.size)
    for column, name in zip(columns, space.varied, strict=True):
        gaps = np.abs(column[:, None] - column[best])
        distance += (gaps if space[name].ordered else gaps > 0).mean(axis=1)
    order = np.arange(value.size)
    return [float(spearmanr(order, series).pvalue) for series in (value, distance) if np.ptp(series) > 0]
