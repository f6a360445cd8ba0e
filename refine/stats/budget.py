"""How good the best of fewer trials would have been: a comparison of bests that is fair to small numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import check_count, column

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def expected_best(y: ArrayLike, m: int) -> float:
    """Best of m of n trials, on average over all subsets of m.

    The best of 50 trials beats the best of 5 even where nothing differs, so that bests are compared at equal
    numbers. The i-th smallest value is the best of C(i - 1, m - 1) of the C(n, m) subsets. That is unbiased for the
    best of m new trials, which the average over draws with replacement is not. No interval comes with it: the best
    of m new trials exceeds everything seen with probability m / (n + m), so that for m near n there is none.

    Source: Dodge et al. (2019), 'Show Your Work'; Tang et al. (2020), 'Showing Your Work Doesn't Always Work', for
    the unbiased mean.

    Args:
        y: (n,) values, higher is better.
        m: trials that the best is taken of, 1 <= m <= n.

    Returns:
        In units of the metric: the mean of `y` for m = 1, its largest value for m = n.

    Raises:
        AnalysisError: if `m` is no whole number from 1 to n, or a value isn't finite.
    """
    check_count(m, "m")
    values = np.sort(column(y, "y"))
    n = values.size
    if m > n:
        raise AnalysisError(f"m: must be <= the number of trials, got the best of {m} of {n}; ask for fewer")
    # C(i - 1, m - 1) / C(n, m) from the largest value down: m / n, then each time (i - m) / (i - 1) of it.
    i = np.arange(n, m, -1)
    weights = m / n * np.concatenate(([1.0], np.cumprod((i - m) / (i - 1.0))))
    return float(weights @ values[::-1][: weights.size])
