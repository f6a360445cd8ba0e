"""Values of drawn functions beyond the best trial, moved closer to it. Pure.

Processes continue a slope beyond all trials, and real objectives level off. Excesses over a high value
have about the size of the excesses that were seen.

Source: Pickands (1975), 'Statistical inference using extreme order statistics', for excesses; the logarithm
is our own.
"""

from __future__ import annotations

import numpy as np

from refine.analysis.analysis import Analysis
from refine.utils.arrays import Floats

_TOP_SHARE = 0.2
_FEWEST = 10  # fewest evenly drawn trials for the excess


def excess_of_best(analysis: Analysis, y: Floats | None = None) -> float:
    """Mean excess of the best fifth of the evenly drawn trials over the others, in units of the metric.

    All trials count if fewer than ten were drawn evenly. ``y`` has the trials' values on another scale.
    """
    if y is None:
        y = analysis.y
    values = y[analysis.origins == "even"]
    if len(values) < _FEWEST:
        values = y
    bound = float(np.quantile(values, 1 - _TOP_SHARE))
    return float(values[values >= bound].mean()) - bound


def damped(values: Floats, best: float, unit: float) -> Floats:
    """Values, larger is better, with ``d`` units beyond the best one moved to ``log(1 + d)`` units.

    Nothing lies beyond the best value if ``unit`` is 0.
    """
    if unit <= 0:
        return np.minimum(values, best)
    beyond = np.maximum(values - best, 0.0) / unit
    return np.where(beyond > 0, best + unit * np.log1p(beyond), values)
