"""What models leave over where values have no noise: a property of every cell, which stays when it runs again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, check_count, check_share

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LeftOut(NamedTuple):
    """Configurations against what the others say of them, in scores.

    Attributes:
        score: (m,) what they have.
        expected: (m,) what is predicted without them.
        variance: (m,) variance of that prediction, noise left out.
    """

    score: FloatArray
    expected: FloatArray
    variance: FloatArray


@dataclass(frozen=True, slots=True)
class FrozenResiduals:
    """Adds to draws what they leave over.

    A deterministic objective has values that no smooth model explains, and the best of many cells has a share of them that
    smooth draws lack. How large they are is measured on configurations that are left out, where predictions are good:
    the mean square of what they miss, less the variance that the draws have already. Every cell of every draw gets a
    deviation of that size of its own, with heavy tails.

    Source: our own. On 24 grids of cross-validated scores, normal tails and those of 5 degrees of freedom claimed too much;
    deviations that neighbouring cells share, or that are larger where others missed more, were no better.

    Attributes:
        region: share of the configurations, by prediction, that the size is measured on.
        fewest: configurations that it is measured on at least.
        freedom: degrees of freedom of Student's t.
        seed: of the deviations.
    """

    region: float = 0.5
    fewest: int = 12
    freedom: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_share(self.region, "region")
        check_count(self.fewest, "fewest")
        check_count(self.freedom, "freedom", 3)

    def __call__(self, draws: NDArray[np.float32], left: LeftOut) -> NDArray[np.float32]:
        """Add them.

        Args:
            draws: (S, c) draws, in scores.
            left: what tells their size.

        Returns:
            (S, c) draws with a deviation of its own in every cell.

        Raises:
            AnalysisError: nothing was left out.
        """
        rng = np.random.default_rng(self.seed)
        deviation = rng.standard_t(self.freedom, draws.shape)
        deviation *= self.deviation(left) * np.sqrt(1.0 - 2.0 / self.freedom)
        return np.asarray(draws + deviation, dtype=np.float32)

    def deviation(self, left: LeftOut) -> float:
        """Standard deviation of what is left over, in scores.

        Args:
            left: what tells it.

        Raises:
            AnalysisError: nothing was left out.
        """
        if not left.score.size:
            raise AnalysisError("left: needs at least 1 configuration that was left out, got 0")
        count = max(self.fewest, round(self.region * left.score.size))
        best = np.argsort(-left.expected, kind="stable")[:count]
        missed = (left.score - left.expected)[best]
        return float(np.sqrt(max(float(np.mean(missed**2) - np.mean(left.variance[best])), 0.0)))
