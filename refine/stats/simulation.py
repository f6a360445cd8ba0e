"""Simulation of future trials on the posterior: their values, and the gain of the next winner.

Each simulation takes one draw as the truth, observes the truth with noise at the new trials, and updates all
draws. The winner, before and after, is the configuration that ran with the best mean over the draws. The
true value of the winner counts: a lucky value brings no gain, and may bring a loss. For new data, the
deviation of the validation rows is added, and the luck of the choice is subtracted, as for a winner.

Sources: preposterior analysis, Raiffa and Schlaifer (1961), with the knowledge gradient's notion of gain
(Frazier, Powell and Dayanik 2008); Evensen (2003) for moving the draws; posterior predictive simulation,
Gelman et al. (2013), chapter 6; the recipes are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, IntArray, check_count, checked, column, same_length
from refine.utils.types import JsonObject

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from refine.stats.posterior import Posterior
    from refine.stats.resolution import LeaveOneOutNoise

LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Levels of a forecast's quantiles."""

_MOST_KNOTS = 1000
_LUCK_DRAWS = 64  # draws of new data behind the luck of a choice

# Metrics are often means in single precision: 135 of 137 rows may give two numbers in two trials, which
# differ by a few parts in ten million.
_ROUNDING = 1e-6


class Batch(NamedTuple):
    """Numbers of cells that a round runs: evenly drawn cells, and best cells of posterior draws."""

    space_filling: int
    exploit: int


def conditioned(draws: FloatArray, columns: IntArray, values: FloatArray, variance: FloatArray) -> FloatArray:
    """Joint draws, given measured values at some of their columns.

    Every draw is moved by its error there, with the draws' own covariance in place of a process's.

    Source: Evensen (2003), 'The ensemble Kalman filter'.

    Args:
        draws: (S, c) draws.
        columns: (k,) columns.
        values: (S, k) or (k,) measured values; a row per draw includes the noise already.
        variance: (k,) variances of the measured values.
    """
    return np.asarray(draws + (values - draws[:, columns]) @ gains_of(draws, columns, variance))


def gains_of(draws: FloatArray, columns: IntArray, variance: FloatArray) -> FloatArray:
    """(k, c) shift of every column per unit of a value at k measured columns, as in :func:`conditioned`."""
    centred = draws - draws.mean(axis=0)
    return _gains(centred, columns, centred, variance)


def _gains(centred: FloatArray, columns: IntArray, targets: FloatArray, variance: FloatArray) -> FloatArray:
    """(k, w) shift of the wanted columns per unit of a value at measured columns."""
    measured = centred[:, columns]
    inside = measured.T @ measured / (len(centred) - 1)
    # Relative to the spread of the draws, because metrics have any scale.
    floor = 1e-6 * float(np.trace(inside)) / max(1, columns.size) + 1e-300
    return np.asarray(
        np.linalg.solve(inside + np.diag(variance + floor), measured.T @ targets / (len(centred) - 1))
    )


class _SimulationState(NamedTuple):
    """Knowledge before a round.

    (S, c) draws, columns already run, columns that may run, the column handed over, and (D, c) deviations of
    the columns on new data.
    """

    posterior: Posterior
    draws: FloatArray
    run: IntArray
    untried: IntArray
    winner: int
    deviations: FloatArray | None

    @classmethod
    def of(
        cls, posterior: Posterior, known: ArrayLike, noise: float, deviations: FloatArray | None
    ) -> _SimulationState:
        mask = np.asarray(known, dtype=np.bool_)
        if mask.shape != posterior.mean.shape or not mask.any():
            raise AnalysisError(
                f"known: needs shape {posterior.mean.shape} with something that was run, got {mask.shape}"
            )
        if not 0.0 <= noise < np.inf:
            raise AnalysisError(f"noise: must be a deviation >= 0, got {noise!r}")
        run = np.flatnonzero(mask)
        draws = posterior.scores.astype(np.float64)
        winner = int(run[draws[:, run].mean(axis=0).argmax()])  # the rule is the same after the round
        return cls(posterior, draws, run, np.flatnonzero(~mask), winner, deviations)

    def rises(
        self, columns: IntArray, variance: FloatArray, truth: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """(truths,) rise of the true value handed over, after columns are measured with given variances."""
        mean = self.draws.mean(axis=0)
        ran = np.r_[self.run, np.setdiff1d(columns, self.run, assume_unique=True)]
        centred = self.draws - mean
        gains = _gains(centred, columns, centred[:, ran], variance)
        shown = truth[:, columns] + np.sqrt(variance) * rng.standard_normal((len(truth), columns.size))
        expected = mean[ran] + (shown - mean[columns]) @ gains
        after = ran[expected.argmax(axis=1)]
        value_after = self.posterior.value(np.take_along_axis(truth, after[:, None], axis=1)[:, 0])
        rise = np.asarray(value_after - self.posterior.value(truth[:, self.winner]))
        if self.deviations is None:
            return rise
        rows = rng.integers(len(self.deviations), size=len(truth))
        rise += self.deviations[rows, after] - self.deviations[rows, self.winner]
        return rise - self.luck(expected, ran) + self.luck(mean[None, self.run], self.run)

    def luck(self, expected: FloatArray, columns: IntArray) -> FloatArray:
        """(rows,) median deviation, over draws of new data, of the best of (rows, k) expected scores.

        0 without deviations. See :attr:`refine.analysis.winner.Winner.new_data`.
        """
        if self.deviations is None:
            return np.zeros(len(expected))
        values = self.posterior.value(expected)
        shifts = self.deviations[:_LUCK_DRAWS, columns]
        lucks = [shift[(values + shift).argmax(axis=1)] for shift in shifts]
        return np.asarray(np.median(lucks, axis=0))


def _cells(
    draws: FloatArray, untried: IntArray, batch: Batch, forest: int, rng: np.random.Generator
) -> IntArray:
    """Columns of a round: random cells, and the best cells of some draws, half of either model."""
    evenly = rng.choice(untried, min(batch.space_filling, untried.size), replace=False)
    remaining = np.setdiff1d(untried, evenly)
    process = len(draws) - forest
    count = min(batch.exploit, remaining.size)
    by_process = count
    if forest:
        by_process = count // 2
    smooth = rng.permutation(process)[:by_process] + forest
    trees = rng.permutation(forest)[: count - smooth.size]
    best = []
    penalty = np.zeros(remaining.size)
    for draw in (*smooth, *trees):
        best.append(int(np.argmax(draws[draw, remaining] + penalty)))
        penalty[best[-1]] = -np.inf
    return np.r_[evenly, remaining[np.array(best, dtype=np.int64)]]


@dataclass(frozen=True, slots=True)
@checked(designs=1, truths=1)
class NextRound:
    """The gain of the next round: cells drawn evenly, and best cells of draws other than the truth."""

    designs: int = 12  # number of different sets of cells
    truths: int = 160  # number of truths per set
    seed: int = 0

    def __call__(
        self,
        posterior: Posterior,
        known: ArrayLike,
        noise: float,
        batch: Batch,
        deviations: FloatArray | None = None,
    ) -> FloatArray:
        """Simulate.

        Args:
            posterior: over configurations that were run and cells that the round may run.
            known: (c,) bools, which of them were run.
            noise: deviation of a single training, in scores.
            batch: numbers of cells that the round runs.
            deviations: (D, c) draws of value on new data - value, in units of the metric; ``None`` if scores
                by row or fold are unknown.

        Returns:
            (designs x truths,) rise of the true value of the winner, in units of the metric.

        Raises:
            AnalysisError: nothing was run, shapes differ, or the noise is negative.
        """
        start = _SimulationState.of(posterior, known, noise, deviations)
        rng = np.random.default_rng(self.seed)
        rises = []
        for _ in range(self.designs):
            new = _cells(start.draws, start.untried, batch, posterior.forest, rng)
            chosen = rng.choice(len(start.draws), min(self.truths, len(start.draws)), replace=False)
            rises.append(start.rises(new, np.full(new.size, noise**2), start.draws[chosen], rng))
        return np.concatenate(rises)


@dataclass(frozen=True, slots=True)
@checked(top=1)
class RunsAgain:
    """The gain of repeating the configurations with the best means, with runs split evenly."""

    top: int = 5  # number of configurations
    seed: int = 0

    def __call__(
        self,
        posterior: Posterior,
        known: ArrayLike,
        noise: float,
        runs: int,
        deviations: FloatArray | None = None,
    ) -> FloatArray:
        """(S,) rises as of :class:`NextRound`, one per draw, by `runs` repeats of all of them together."""
        check_count(runs, "runs")
        start = _SimulationState.of(posterior, known, noise, deviations)
        expected = posterior.value(start.draws[:, start.run]).mean(axis=0)
        racers = start.run[np.argsort(-expected, kind="stable")[: self.top]]
        variance = np.full(racers.size, noise**2 * racers.size / runs)
        return start.rises(racers, variance, start.draws, np.random.default_rng(self.seed))


class Forecast(NamedTuple):
    """Quantiles of the median and the best value of future space-filling trials, in units of the metric."""

    levels: tuple[float, ...]  # levels of the quantiles, increasing, in (0, 1)
    median: tuple[float, ...]  # quantiles of the median of the trials
    best: tuple[float, ...]  # quantiles of the best value of the trials
    n: int  # number of forecast trials

    def quantiles(self, what: str) -> tuple[float, ...]:
        """Quantiles of ``"median"`` or ``"best"``."""
        if what == "median":
            return self.median
        return self.best

    def quantile(self, what: str, level: float) -> float:
        """The quantile of that level; between stored levels on a straight line.

        Raises:
            AnalysisError: A level outside the stored ones.
        """
        if not self.levels[0] <= level <= self.levels[-1]:
            raise AnalysisError(
                f"level must lie between the forecast's levels {self.levels[0]} and {self.levels[-1]}, "
                f"got {level!r}"
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
        """True if the central interval of a probability holds ``value``, up to single precision."""
        low, high = self.interval(what, share)
        near = _ROUNDING * max(abs(low), abs(high))
        return bool(low - near <= value <= high + near)

    def percentile(self, what: str, value: float) -> float:
        """Probability of less than ``value``, plus half that of exactly ``value``.

        0 below all quantiles and 1 above.

        The probability integral transform: uniform over many good forecasts (Dawid 1984).
        """
        quantiles = np.asarray(self.quantiles(what))
        levels = np.asarray(self.levels)
        # Equal quantiles, from ties of the metric, count at the middle of their levels.
        ties = levels[np.isclose(quantiles, value, rtol=_ROUNDING, atol=0)]
        if len(ties):
            return float((ties[0] + ties[-1]) / 2)
        if value < quantiles[0] or value > quantiles[-1]:
            return float(value > quantiles[-1])
        low = np.searchsorted(quantiles, value)
        return float(np.interp(value, quantiles[low - 1 : low + 1], levels[low - 1 : low + 1]))

    def to_json(self) -> JsonObject:
        """Plain data."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in self._asdict().items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Forecast:
        """The forecast of :meth:`to_json`'s output."""
        return cls(tuple(data["levels"]), tuple(data["median"]), tuple(data["best"]), data["n"])


@dataclass(frozen=True, slots=True)
@checked(repeats=20, near=1)
class ChildForecast:
    """Simulates a child many times on draws of the objective.

    Some cells of the child are run; their values are the truth's score plus the residual noise of a trial
    with a similar expectation. Trees pull predictions towards the middle: truths are draws of the process.
    Scores become values by the evidence's quantiles, whose own scores are drawn anew for each simulation.
    Uncertainty about the objective moves all trials together, and noise moves them independently.

    On 180 rounds of 60 to 240 trials from 16 families of tables, with children of 20, the central 50 and 90 %
    intervals of the median held in 55 and 90 %, those of the best in 58 and 90 %.
    """

    repeats: int = 2000  # simulated children
    near: int = 40  # number of trials with similar expected values whose residuals serve as noise
    levels: tuple[float, ...] = LEVELS  # levels of the quantiles
    seed: int = 0

    def __call__(
        self, posterior: Posterior, left: LeaveOneOutNoise, n: int, all_cells: bool = False
    ) -> Forecast:
        """Forecast n trials of a child.

        With `all_cells` the candidates are all there are, and run at most once.

        `posterior` is over cells that the child may run, `left` the residuals of the model, of `left_over`.
        """
        from scipy.special import ndtri

        check_count(n, "n")
        rng = np.random.default_rng(self.seed)
        order = np.argsort(left.expected, kind="stable")
        expected, noise = left.expected[order], (left.share * (left.score - left.expected))[order]
        near = min(self.near, order.size)
        trees = posterior.forest % len(posterior.scores)  # 0 if the forest made all draws
        draws = posterior.scores[trees:].astype(np.float64)
        shown = np.empty((2, self.repeats))
        size = min(posterior.n, _MOST_KNOTS)
        plotted = np.asarray(ndtri((np.arange(size) + 0.5) / size))
        once = all_cells and n <= draws.shape[1]
        for r in range(self.repeats):
            pick = rng.choice(draws.shape[1], n, replace=not once)
            score = draws[rng.integers(draws.shape[0]), pick]
            start = np.clip(np.searchsorted(expected, score) - near // 2, 0, order.size - near)
            values = score + noise[start + rng.integers(0, near, n)]
            # The place of the evidence within its population is unknown, so its scores are drawn anew.
            sample = np.sort(rng.standard_normal(plotted.size))
            beyond = values - np.clip(values, sample[0], sample[-1])
            values = np.interp(values, sample, plotted) + beyond
            shown[:, r] = np.median(values), values.max()
        # The scale increases, so quantiles of values are the values of quantiles.
        median, best = (posterior.value(np.quantile(row, self.levels)) for row in shown)
        return Forecast(self.levels, tuple(median.tolist()), tuple(best.tolist()), int(n))


class NextRuns(NamedTuple):
    """Allocation of the next runs."""

    runs: IntArray  # (k,) number of runs of each alternative
    gain: float  # expected gain per run of the first run, in units of the values, >= 0


@dataclass(frozen=True, slots=True)
@checked(largest=1)
class KnowledgeGradient:
    """Allocates runs of a race by their expected gain.

    The gain of an alternative is the expected rise of the best posterior mean per run, by one more run or by
    a lot of several. Lots are needed since a single noisy run often can't change the leader. The next run
    goes to the largest gain; the uncertainty that it would leave is subtracted before the following run is
    allocated.

    Source: Frazier, Powell and Dayanik (2008), 'A knowledge-gradient policy for sequential information
    collection', for the gain; Frazier and Powell (2010), 'Paradoxes in learning and the marginal value of
    information', for lots.
    """

    largest: int = 8  # largest lot of runs; lots are powers of two

    def __call__(self, mean: ArrayLike, variance: ArrayLike, noise: float, runs: int) -> NextRuns:
        """Allocate runs, given (k,) posterior means, their variances, and the noise variance, all >= 0."""
        centre = column(mean, "mean")
        spread = column(variance, "variance").copy()
        same_length(centre.size, spread.size)
        if centre.size == 0 or np.any(spread < 0.0) or not 0.0 <= noise < np.inf:
            raise AnalysisError(
                "needs at least one alternative, variances >= 0 and a noise >= 0, "
                f"got {centre.size} alternatives and the noise {noise!r}"
            )
        check_count(runs, "runs", 0)
        allocated = np.zeros(centre.size, dtype=np.int64)
        first = 0.0
        for k in range(runs):
            gain = self._gain(centre, spread, noise, runs - k)
            # Without any gain, run the alternative with the largest variance.
            if gain.max() > 0.0:
                i = int(np.argmax(gain))
            else:
                i = int(np.argmax(spread))
            if k == 0:
                first = float(gain.max())
            allocated[i] += 1
            if noise > 0.0:
                spread[i] = spread[i] * noise / (spread[i] + noise)
            else:
                spread[i] = 0.0
        return NextRuns(allocated, first)

    def _gain(self, mean: FloatArray, variance: FloatArray, noise: float, remaining: int) -> FloatArray:
        from scipy.special import ndtr

        if mean.size == 1:
            return np.zeros(1)
        order = np.argsort(-mean, kind="stable")
        rival = np.where(np.arange(mean.size) == order[0], mean[order[1]], mean[order[0]])
        best = np.zeros(mean.size)
        lot = 1
        while lot <= min(self.largest, max(remaining, 1)):
            reduction = np.sqrt(variance**2 / np.maximum(variance + noise / lot, 1e-300))
            z = np.divide(
                -np.abs(mean - rival), reduction, out=np.full(mean.size, -np.inf), where=reduction > 0.0
            )
            density = np.exp(-0.5 * np.square(np.maximum(z, -40.0))) / np.sqrt(2.0 * np.pi)
            rise = np.where(z > -40.0, reduction * (np.maximum(z, -40.0) * ndtr(z) + density), 0.0)
            best = np.maximum(best, rise / lot)
            lot *= 2
        return np.asarray(np.maximum(best, 0.0))
