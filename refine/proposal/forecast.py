"""What a child's space-filling trials will show, stated before they run: quantiles of their median and of their best. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.analysis.analysis import Analysis
from refine.design.space_filling import Uniform, draw, feasible
from refine.errors import AnalysisError, DesignError
from refine.proposal.allocation import _extended
from refine.space.space import Space
from refine.utils.threads import one_thread

Floats = npt.NDArray[np.float64]

LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Levels of the quantiles that are stored."""

WHAT = ("median", "best")
"""What is forecast."""

_CANDIDATES = 2000
_ROWS = 2000
_TREES = 300
_MEMBERS = 5
_NEAR = 30
_TAIL = 0.1
_REPEATS = 1000
_MOST_DRAWS = 20_000_000


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

    A forest learns the normal scores of the evidence: what a value's rank would be in a standard normal sample.
    On that scale errors are about as large everywhere, and a saturated or heavy-tailed metric is no special case.
    Then, many times over: `n` of the space's cells get the forest's expectation, a common error (how much the mean
    of a few of its bootstrapped trees differs from that of all), and each an out-of-bag residual of a trial with
    a similar expectation. Scores become values by the evidence's quantiles, whose own scores are drawn anew each
    time, since where a sample lies in its population is not known; beyond the best and the worst
    value the line through the best or worst tenth is followed. Median and best of each repetition are kept.

    Source: Breiman (2001) for out-of-bag residuals; Hazen (1914) for the scores; the recipe is our own.

    Args:
        analysis: The evidence.
        space: What the round will search. What lies beyond the analysed space is taken to be as at its edge.
        n: How many space-filling trials it will run.
        seed: Of every random draw.
        skip: Keys of configurations that it will not run.

    Returns:
        The forecast; ``None`` where the evidence says nothing about the space: it has other parameters, a
        fixed one has another value, most of its cells hold choices that were never tried, nothing was varied,
        or no space-filling trial is planned.
    """
    if n < 1 or not analysis.parameters:
        return None
    cells = _cells(analysis, space, n, seed, skip)
    if cells is None:
        return None
    rng = np.random.default_rng(seed)
    sample = _fit(analysis, cells.positions, rng, seed)
    repeats = int(np.clip(_MOST_DRAWS // n, 200, _REPEATS))
    shown = np.empty((2, repeats))
    for r in range(repeats):
        values = sample(rng.choice(len(cells.positions), n, replace=not cells.all_there_are), rng)
        shown[:, r] = np.median(values), values.max()
    levels = [level if analysis.sign > 0 else 1 - level for level in LEVELS]
    quantiles = np.clip(analysis.sign * np.quantile(shown, levels, axis=1), *_limits(analysis))
    # Floats of statistics differ in their last digits between machines.
    median, best = (tuple(float(f"{v:.9g}") for v in column) for column in quantiles.T)
    return Forecast(LEVELS, median, best, int(n))


def _limits(analysis: Analysis) -> tuple[float, float]:
    # As with ranges that are widened: what was never negative does not become so, nor a share more than 1.
    values = analysis.sign * analysis.y
    low = 0.0 if values.min() >= 0 else -np.inf
    high = 1.0 if low == 0 and values.max() <= 1 else 0.0 if values.max() <= 0 else np.inf
    return low, high


class _Cells(NamedTuple):
    positions: Floats  # (c, parameters) on the analysed axes
    all_there_are: bool  # else a sample of them


def _cells(analysis: Analysis, space: Space, n: int, seed: int, skip: frozenset[str]) -> _Cells | None:
    """Cells that a round on the space may run, where they lie on the analysed axes."""
    varied = [e.name for e in analysis.parameters]
    if set(space) != set(analysis.space):
        return None
    if any(name not in varied and space[name] != analysis.space[name] for name in space):
        return None
    exist = feasible(space)
    try:
        rows = draw(Uniform(), space, max(1, min(_CANDIDATES, exist.low - len(skip))), seed, skip)
    except DesignError:
        return None
    columns = space.columns(rows)
    positions = np.column_stack([_extended(analysis, name, columns[name]) for name in varied])
    known = np.isfinite(positions).all(axis=1)
    if 2 * int(known.sum()) < len(rows):
        return None
    complete = bool(known.all()) and exist.exact and n <= len(rows) < _CANDIDATES
    return _Cells(positions[known], complete)


class _Sampler:
    """Draws of what trials at some cells may show; made by :func:`_fit`.

    Attributes:
        mean: (c,) the forest's expectation per cell, as normal scores.
        shifts: (g,) common errors.
        residuals: (m,) out-of-bag residuals in the order of what was expected.
        start: (c,) number of the first residual that a cell may get.
        values: (k,) the evidence, increasing.
        spread: Standard deviation of the evidence's scores.
        ends: Values per score beyond the worst and the best value.
    """

    def __init__(
        self,
        mean: Floats,
        shifts: Floats,
        expected: Floats,
        residuals: Floats,
        values: Floats,
        scores: Floats,
    ) -> None:
        order = np.argsort(expected, kind="stable")
        self.mean, self.shifts, self.residuals = mean, shifts, residuals[order]
        self.near = min(_NEAR, len(order))
        at = np.searchsorted(expected[order], mean)
        self.start = np.clip(at - self.near // 2, 0, len(order) - self.near)
        self.values, self.spread = np.sort(values), float(scores.std())
        tail = min(len(values), max(5, int(np.ceil(_TAIL * len(values)))))
        knots = normal_scores(np.arange(1.0, len(values) + 1), len(values))
        self.ends = tuple(
            float(np.polyfit(knots[part], self.values[part], 1)[0]) for part in (np.s_[:tail], np.s_[-tail:])
        )

    def __call__(self, pick: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """(n,) values of the cells of these numbers, higher is better."""
        at = self.start[pick] + rng.integers(0, self.near, len(pick))
        score = self.mean[pick] + self.residuals[at] + self.shifts[rng.integers(len(self.shifts))]
        knots = np.sort(rng.standard_normal(len(self.values)))
        knots = (knots - knots.mean()) * (self.spread / knots.std())
        low, high = self.ends
        beyond = high * np.maximum(0.0, score - knots[-1]) - low * np.maximum(0.0, knots[0] - score)
        return np.asarray(np.interp(score, knots, self.values) + beyond)


def _fit(analysis: Analysis, cells: Floats, rng: np.random.Generator, seed: int) -> _Sampler:
    from scipy.stats import rankdata

    from refine.stats.forest import encode, fit_forest

    total = len(analysis.y)
    rows = np.sort(rng.choice(total, min(_ROWS, total), replace=False))
    values = analysis.y[rows]
    scores = normal_scores(np.asarray(rankdata(values)), len(values))
    cardinalities = [0 if e.parameter.ordered else e.parameter.size for e in analysis.parameters]
    features = encode(analysis.X[rows], cardinalities)
    forest = fit_forest(features, scores, None, _TREES, seed, leaf=2)
    predicted = forest.predict(encode(cells, cardinalities))
    groups = predicted.mean(axis=1).reshape(-1, _MEMBERS).mean(axis=1)
    expected, count = forest.out_of_bag(features)
    known = count > 0
    return _Sampler(
        predicted.mean(axis=0),
        groups - groups.mean(),
        expected[known],
        (scores - expected)[known],
        values,
        scores,
    )


def normal_scores(ranks: Floats, n: int) -> Floats:
    """Where values of these ranks would lie in a standard normal sample of that size (Hazen 1914).

    Args:
        ranks: 1 for the smallest; ties at their mean rank.
        n: Size of the sample.
    """
    from scipy.special import ndtri

    return np.asarray(ndtri((ranks - 0.5) / n))
