"""Where the next runs of a race go: to whichever is expected to improve what is handed over the most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, IntArray, check_count, column, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


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
