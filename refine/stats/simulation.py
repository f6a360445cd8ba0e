"""What rounds that are yet to run would bring: the rise of the value of what is handed over, simulated on the posterior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, IntArray, check_count, column, same_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from refine.stats.posterior import Posterior
    from refine.stats.resolution import LeftOver


class Batch(NamedTuple):
    """What a round runs.

    Attributes:
        space_filling: how many cells are drawn evenly.
        exploit: how many are best in a draw of the posterior.
    """

    space_filling: int
    exploit: int


def conditioned(draws: FloatArray, at: IntArray, values: FloatArray, variance: FloatArray) -> FloatArray:
    """Joint draws, given values that were measured at some of their columns.

    Every draw is moved by what it misses there, with the draws' own covariance in place of a process's.

    Source: Evensen (2003), 'The ensemble Kalman filter'.

    Args:
        draws: (S, c) draws.
        at: (k,) columns.
        values: (S, k) or (k,) what was measured; a row for every draw has the noise in it already.
        variance: (k,) of what was measured.
    """
    centred = draws - draws.mean(axis=0)
    return np.asarray(draws + (values - draws[:, at]) @ _gains(centred, at, centred, variance))


def _gains(centred: FloatArray, at: IntArray, wanted: FloatArray, variance: FloatArray) -> FloatArray:
    """(k, w) how far a value at each of some columns moves every wanted one."""
    seen = centred[:, at]
    inside = seen.T @ seen / (len(centred) - 1)
    # Relative to the draws' own spread: metrics may be of any size.
    floor = 1e-6 * float(np.trace(inside)) / max(1, at.size) + 1e-300
    return np.asarray(
        np.linalg.solve(inside + np.diag(variance + floor), seen.T @ wanted / (len(centred) - 1))
    )


@dataclass(frozen=True, slots=True)
class NextRound:
    """What the next round gains, with one draw of the posterior after the other as the truth.

    A simulated round runs cells drawn evenly and cells that are best in other draws, shows the truth with noise,
    and moves all draws by what was seen. Handed over is, before and after, the configuration with the best mean of the
    draws among those that were run; what counts is its value in the truth. So a round gains nothing by showing a lucky
    value, and may lose.

    Source: preposterior analysis, Raiffa and Schlaifer (1961), with the knowledge gradient's notion of gain (Frazier,
    Powell and Dayanik 2008); Evensen (2003) for moving the draws; the recipe is our own.

    Attributes:
        designs: how many different sets of cells are tried.
        truths: for how many truths each.
        seed: of everything random.
    """

    designs: int = 12
    truths: int = 160
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.designs, "designs")
        check_count(self.truths, "truths")

    def __call__(self, posterior: Posterior, known: ArrayLike, noise: float, batch: Batch) -> FloatArray:
        """Simulate.

        Args:
            posterior: over configurations that were run and cells that the round may run.
            known: (c,) bools, which of them were run.
            noise: deviation of a single training, in scores.
            batch: what the round runs.

        Returns:
            (designs x truths,) rise of the true value of what is handed over, in units of the metric.

        Raises:
            AnalysisError: nothing was run, shapes differ, or the noise is negative.
        """
        here = _Here.of(posterior, known, noise)
        draws = posterior.scores.astype(np.float64)
        mean, centred = draws.mean(axis=0), draws - draws.mean(axis=0)
        rng = np.random.default_rng(self.seed)
        truths = min(self.truths, len(draws))
        rises = []
        for _ in range(self.designs):
            new = _cells(draws, here.fresh, batch, posterior.forest, rng)
            ran = np.r_[here.run, new]
            gains = _gains(centred, new, centred[:, ran], np.full(new.size, noise**2))
            truth = draws[rng.choice(len(draws), truths, replace=False)]
            shown = truth[:, new] + noise * rng.standard_normal((truths, new.size))
            after = ran[(mean[ran] + (shown - mean[new]) @ gains).argmax(axis=1)]
            then = posterior.value(np.take_along_axis(truth, after[:, None], axis=1)[:, 0])
            rises.append(then - posterior.value(truth[:, here.winner]))
        return np.concatenate(rises)


@dataclass(frozen=True, slots=True)
class RunsAgain:
    """What running the best configurations again gains, shared out evenly among them.

    As :class:`NextRound`, with runs of the configurations with the best means in place of a round.

    Source: as for :class:`NextRound`.

    Attributes:
        top: how many configurations.
        seed: of everything random.
    """

    top: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.top, "top")

    def __call__(self, posterior: Posterior, known: ArrayLike, noise: float, runs: int) -> FloatArray:
        """Simulate.

        Args:
            posterior: as of :class:`NextRound`.
            known: as of :class:`NextRound`.
            noise: as of :class:`NextRound`.
            runs: how many runs of all of them together.

        Returns:
            (S,) rise of the true value of what is handed over, in units of the metric, one per draw.

        Raises:
            AnalysisError: as of :class:`NextRound`, or ``runs`` is no whole number >= 1.
        """
        check_count(runs, "runs")
        here = _Here.of(posterior, known, noise)
        draws = posterior.scores.astype(np.float64)
        mean = draws.mean(axis=0)
        expected = posterior.value(draws[:, here.run]).mean(axis=0)
        racers = here.run[np.argsort(-expected, kind="stable")[: self.top]]
        variance = np.full(racers.size, noise**2 * racers.size / runs)
        centred = draws - mean
        gains = _gains(centred, racers, centred[:, here.run], variance)
        rng = np.random.default_rng(self.seed)
        shown = draws[:, racers] + np.sqrt(variance) * rng.standard_normal((len(draws), racers.size))
        after = here.run[(mean[here.run] + (shown - mean[racers]) @ gains).argmax(axis=1)]
        then = posterior.value(np.take_along_axis(draws, after[:, None], axis=1)[:, 0])
        return np.asarray(then - posterior.value(draws[:, here.winner]))


@dataclass(frozen=True, slots=True)
class RoundsAhead:
    """The value of what is handed over, now and after each of several rounds, on some draws of the posterior as truths.

    As :class:`NextRound`, one round after the other: after every round the draws are what is known then, and the next one's
    exploit cells are drawn from those.

    Source: as for :class:`NextRound`.

    Attributes:
        truths: for how many truths.
        seed: of everything random.
    """

    truths: int = 80
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.truths, "truths")

    def __call__(
        self, posterior: Posterior, known: ArrayLike, noise: float, batches: Sequence[Batch]
    ) -> FloatArray:
        """Simulate.

        Args:
            posterior: as of :class:`NextRound`.
            known: as of :class:`NextRound`.
            noise: as of :class:`NextRound`.
            batches: what the rounds run, one after the other.

        Returns:
            (truths, rounds + 1) true values in units of the metric.

        Raises:
            AnalysisError: as of :class:`NextRound`.
        """
        here = _Here.of(posterior, known, noise)
        start = posterior.scores.astype(np.float64)
        rng = np.random.default_rng(self.seed)
        chosen = rng.choice(len(start), min(self.truths, len(start)), replace=False)
        values = np.empty((chosen.size, len(batches) + 1))
        for row, which in zip(values, chosen, strict=True):
            truth, draws, run, fresh = start[which], start, here.run, here.fresh
            handed = [here.winner]
            for batch in batches:
                new = _cells(draws, fresh, batch, posterior.forest, rng)
                shown = truth[new] + noise * rng.standard_normal(new.size)
                chance = noise * rng.standard_normal((len(draws), new.size))
                draws = conditioned(draws, new, shown + chance, np.full(new.size, noise**2))
                run, fresh = np.r_[run, new], np.setdiff1d(fresh, new)
                handed.append(int(run[draws[:, run].mean(axis=0).argmax()]))
            row[:] = posterior.value(truth[handed])
        return values


class _Here(NamedTuple):
    run: IntArray  # columns of what was run
    fresh: IntArray  # columns of what a round may run
    winner: int  # the one handed over now

    @classmethod
    def of(cls, posterior: Posterior, known: ArrayLike, noise: float) -> _Here:
        mask = np.asarray(known, dtype=np.bool_)
        if mask.shape != posterior.mean.shape or not mask.any():
            raise AnalysisError(
                f"known: needs shape {posterior.mean.shape} with something that was run, got {mask.shape}"
            )
        if not 0.0 <= noise < np.inf:
            raise AnalysisError(f"noise: must be a deviation >= 0, got {noise!r}")
        run = np.flatnonzero(mask)
        expected = posterior.value(posterior.scores[:, run]).mean(axis=0)
        return cls(run, np.flatnonzero(~mask), int(run[expected.argmax()]))


def _cells(
    draws: FloatArray, fresh: IntArray, batch: Batch, forest: int, rng: np.random.Generator
) -> IntArray:
    """Columns that a round runs: some at random, and the best ones of some draws, half of either kind."""
    evenly = rng.choice(fresh, min(batch.space_filling, fresh.size), replace=False)
    others = np.setdiff1d(fresh, evenly)
    process = len(draws) - forest
    count = min(batch.exploit, others.size)
    smooth = rng.permutation(process)[: count // 2 if forest else count] + forest
    trees = rng.permutation(forest)[: count - smooth.size]
    best, taken = [], np.zeros(others.size)
    for which in (*smooth, *trees):
        best.append(int(np.argmax(draws[which, others] + taken)))
        taken[best[-1]] = -np.inf
    return np.r_[evenly, others[np.array(best, dtype=np.int64)]]


LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Levels of the quantiles."""

_MOST_KNOTS = 1000


class Outlook(NamedTuple):
    """Quantiles of what a child's trials will show, in units of the metric, higher is better.

    Attributes:
        levels: levels of the quantiles, increasing.
        median: quantiles of the median of the trials.
        best: quantiles of their best value.
        n: number of trials it is about.
    """

    levels: tuple[float, ...]
    median: tuple[float, ...]
    best: tuple[float, ...]
    n: int


@dataclass(frozen=True, slots=True)
class ChildOutlook:
    """Run the child again and again on draws of the objective.

    Every time one draw of the process is the truth: some cells of the child are run, and each shows the draw's score plus
    the noise in what was left over of a trial that was expected to be about as good. Trees draw predictions towards the
    middle: their draws say too little of the best. Scores become values by the evidence's quantiles, whose own scores are
    drawn anew each time. So what isn't known of the objective moves all trials together, and noise moves each alone.

    On 180 rounds of 60 to 240 trials from 16 families of tables, with children of 20, the central 50 and 90 % intervals of the
    median held in 55 and 90 %, those of the best in 58 and 90 %.

    Source: posterior predictive simulation, Gelman et al. (2013), chapter 6; leave-one-out residuals by Rasmussen and
    Williams (2006), section 5.4.2; the recipe is our own.

    Attributes:
        repeats: simulated children.
        near: trials with similar expectations that a noise is drawn from.
        levels: of the quantiles.
        seed: of everything random.
    """

    repeats: int = 2000
    near: int = 40
    levels: tuple[float, ...] = LEVELS
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.repeats, "repeats", 20)
        check_count(self.near, "near")

    def __call__(
        self,
        posterior: Posterior,
        left: LeftOver,
        n: int,
        all_cells: bool = False,
    ) -> Outlook:
        """Forecast.

        Args:
            posterior: over cells that the child may run.
            left: what the model leaves over, of `left_over`.
            n: how many trials the child will run.
            all_cells: whether the candidates are all the cells there are, so that none is run twice.

        Raises:
            AnalysisError: `n` is no whole number >= 1.
        """
        from scipy.special import ndtri

        check_count(n, "n")
        rng = np.random.default_rng(self.seed)
        order = np.argsort(left.expected, kind="stable")
        expected, noise = left.expected[order], (left.share * (left.score - left.expected))[order]
        near = min(self.near, order.size)
        trees = posterior.forest % len(posterior.scores)  # 0 where all draws are theirs
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
            # Where the evidence lies in its population isn't known: its scores are drawn anew.
            sample = np.sort(rng.standard_normal(plotted.size))
            beyond = values - np.clip(values, sample[0], sample[-1])
            values = np.interp(values, sample, plotted) + beyond
            shown[:, r] = np.median(values), values.max()
        # The scale is increasing: quantiles of values are values of quantiles.
        median, best = (posterior.value(np.quantile(row, self.levels)) for row in shown)
        return Outlook(self.levels, _plain(median), _plain(best), int(n))


def _plain(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


class NextRuns(NamedTuple):
    """How the next runs are shared out.

    Attributes:
        runs: (k,) how many each alternative gets.
        gain: expected gain of the first of them, per run, in units of the values, >= 0.
    """

    runs: IntArray
    gain: float


@dataclass(frozen=True, slots=True)
class KnowledgeGradient:
    """Shares out runs of a race by their expected gain.

    An alternative's gain is the rise of the best posterior mean that one more run of it, or a lot of several, is
    expected to bring, per run. A lot is looked at since one noisy run alone often can't change the leader. The
    next run goes where that is largest; what it would leave unknown is taken off before the one after it is given.

    Source: Frazier, Powell and Dayanik (2008), 'A knowledge-gradient policy for sequential information collection', for
    the gain; Frazier and Powell (2010), 'Paradoxes in learning and the marginal value of information', for lots.

    Attributes:
        largest: largest lot that is looked at; lots are powers of two.
    """

    largest: int = 8

    def __post_init__(self) -> None:
        check_count(self.largest, "largest")

    def __call__(self, mean: ArrayLike, variance: ArrayLike, noise: float, runs: int) -> NextRuns:
        """Share out.

        Args:
            mean: (k,) posterior means, higher is better.
            variance: (k,) posterior variances of the means, >= 0.
            noise: variance of a single run, >= 0.
            runs: how many runs.

        Raises:
            AnalysisError: no alternative, lengths differ, something isn't finite, or a number is out of range.
        """
        centre, spread = column(mean, "mean"), column(variance, "variance").copy()
        same_length(centre.size, spread.size)
        if centre.size == 0 or np.any(spread < 0.0) or not 0.0 <= noise < np.inf:
            raise AnalysisError(
                f"needs an alternative or more, with variances >= 0 and a noise >= 0, got {centre.size} and {noise!r}"
            )
        check_count(runs, "runs", 0)
        given, first = np.zeros(centre.size, dtype=np.int64), 0.0
        for k in range(runs):
            gain = self._gain(centre, spread, noise, runs - k)
            # Where nothing is gained, whatever is known least.
            i = int(np.argmax(gain)) if gain.max() > 0.0 else int(np.argmax(spread))
            first = float(gain.max()) if k == 0 else first
            given[i] += 1
            spread[i] = spread[i] * noise / (spread[i] + noise) if noise > 0.0 else 0.0
        return NextRuns(given, first)

    def _gain(self, mean: FloatArray, variance: FloatArray, noise: float, left: int) -> FloatArray:
        from scipy.special import ndtr

        if mean.size == 1:
            return np.zeros(1)
        order = np.argsort(-mean, kind="stable")
        rival = np.where(np.arange(mean.size) == order[0], mean[order[1]], mean[order[0]])
        best = np.zeros(mean.size)
        lot = 1
        while lot <= min(self.largest, max(left, 1)):
            told = np.sqrt(variance**2 / np.maximum(variance + noise / lot, 1e-300))
            z = np.divide(-np.abs(mean - rival), told, out=np.full(mean.size, -np.inf), where=told > 0.0)
            density = np.exp(-0.5 * np.square(np.maximum(z, -40.0))) / np.sqrt(2.0 * np.pi)
            rise = np.where(z > -40.0, told * (np.maximum(z, -40.0) * ndtr(z) + density), 0.0)
            best = np.maximum(best, rise / lot)
            lot *= 2
        return np.asarray(np.maximum(best, 0.0))
