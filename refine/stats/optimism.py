"""How much of the best value is chance: the winner's curse of looking at many noisy values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import check_count, check_share, column, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Inflation(NamedTuple):
    """What the best value is worth.

    Attributes:
        best: the best value as measured.
        expected: how far the best of so many values overstates its own true value on average, in
            units of the metric, >= 0.
        honest: best - expected, what the winner is expected to show when trained again.
        n: number of values looked at.
    """

    best: float
    expected: float
    honest: float
    n: int


@dataclass(frozen=True, slots=True)
class Optimism:
    """Expected overstatement of the best of n noisy values.

    The true values are taken to be the measured ones, drawn towards their median until their spread
    is what the noise leaves, sqrt(S^2 - sd^2); S is measured above the median only, since failures
    say nothing about the top. New noise is then added again and again, and the winner compared with
    its own truth.

    This corrects for the noise of retraining only. Seeds don't renew the validation split: all
    trials share its chance, which a sealed hold-out alone can show.

    Source: the shrinkage is James and Stein's (1961); the simulation of the upper half is ours.

    Attributes:
        draws: simulated rounds.
        rows: only so many of the best truths are simulated; others don't win.
        seed: of the simulation.
    """

    draws: int = 400
    rows: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.draws, "draws", 10)
        check_count(self.rows, "rows", 10)

    def __call__(self, y: ArrayLike, sd: float) -> Inflation:
        """Estimate the overstatement.

        Args:
            y: (n,) values of one round.
            sd: noise of retraining, in units of the metric, as from `TopNoise`.

        Raises:
            AnalysisError: if there is no value, something isn't finite or `sd` is negative.
        """
        values = column(y, "y")
        if values.size == 0:
            raise AnalysisError("y: at least one trial is needed, got none")
        if not 0.0 <= sd < np.inf:
            raise AnalysisError(f"sd: must be finite and >= 0, got {sd!r}; 0 means no noise")
        median = float(np.median(values))
        above = values[values > median] - median
        spread2 = float(np.mean(above**2)) if above.size else 0.0
        shrink = np.sqrt(max(0.0, 1.0 - sd**2 / spread2)) if spread2 > 0 else 0.0
        truth = median + shrink * (np.sort(values)[-self.rows :] - median)
        noise = np.random.default_rng(self.seed).normal(scale=sd, size=(self.draws, truth.size))
        winner = np.argmax(truth + noise, axis=1)
        expected = max(0.0, float(noise[np.arange(self.draws), winner].mean()))
        best = float(values.max())
        return Inflation(best, expected, best - expected, values.size)


class FreshBest(NamedTuple):
    """What the winner of a round shows when it is trained again.

    Attributes:
        best: its value as measured when it won.
        value: mean of its runs under new seeds, which were not looked at when it was chosen.
        low: lower end of the interval of its mean over all seeds.
        high: upper end.
        runs: number of its new runs.
        freedom: degrees of freedom behind the interval, from all configurations that were run again; 0 where there
            are too few for an interval, whose ends are NaN then.
    """

    best: float
    value: float
    low: float
    high: float
    runs: int
    freedom: int


@dataclass(frozen=True, slots=True)
class FreshSeeds:
    """The winner's mean over new seeds, with Student's interval on the deviation pooled over configurations.

    New seeds know nothing of the selection, so that the mean is unbiased. Three runs of one configuration alone
    would give an interval twice as wide, or wider, for want of degrees of freedom. The best of the new means
    would be a selection again, so it isn't used.

    It corrects for the chance of seeds, not for that of the validation rows: see `ExampleBootstrap`.

    Source: Student (1908), with the pooled variance of the one-way layout.

    Attributes:
        confidence: of the interval.
    """

    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_share(self.confidence, "confidence")

    def __call__(self, best: float, y: ArrayLike, groups: ArrayLike, winner: Any) -> FreshBest:
        """Estimate what the winner is worth.

        Args:
            best: its value when it was chosen.
            y: (n,) values of new runs, the winner's and others'.
            groups: (n,) labels of their configurations.
            winner: its label.

        Raises:
            AnalysisError: if the winner has no new run, lengths differ or something isn't finite.
        """
        from scipy.special import stdtrit

        values, labels = column(y, "y"), np.asarray(groups)
        same_length(labels.size, values.size)
        mine = values[labels == winner]
        if mine.size == 0:
            raise AnalysisError(f"winner: {winner!r} has no new run; replicate it first")
        _, index = np.unique(labels, return_inverse=True)
        size = np.bincount(index)
        centred = values - (np.bincount(index, weights=values) / size)[index]
        freedom = int(values.size - size.size)
        value = float(mine.mean())
        if freedom == 0:
            return FreshBest(float(best), value, np.nan, np.nan, mine.size, 0)
        error = np.sqrt(centred @ centred / freedom / mine.size)
        half = float(stdtrit(freedom, 0.5 + self.confidence / 2.0) * error)
        return FreshBest(float(best), value, value - half, value + half, mine.size, freedom)
