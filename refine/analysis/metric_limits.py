"""Limits that no value of a metric can pass: declared, known by the metric's name, or by its steps. Pure."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from refine import stats
from refine.trials.goal import turned
from refine.utils.arrays import Floats

# Parts of names. A share lies in [0, 1], or in [0, 100] if a value exceeds 1.
_SHARES = frozenset(
    [
        "acc",
        "accuracy",
        "auc",
        "auroc",
        "auprc",
        "prauc",
        "f1",
        "precision",
        "recall",
        "iou",
        "miou",
        "dice",
        "jaccard",
        "specificity",
        "sensitivity",
        "top1",
        "top5",
    ]
)
_AT_MOST_ONE = frozenset(["r2", "mcc", "kappa", "spearman", "pearson"])
_NOT_NEGATIVE = frozenset(
    [
        "mse",
        "rmse",
        "mae",
        "mape",
        "msle",
        "rmsle",
        "logloss",
        "crossentropy",
        "brier",
        "perplexity",
        "seconds",
        "latency",
    ]
)


_LEAST_ROWS = 20  # fewer steps are as likely levels of a parameter
_DECIMALS = 10**6  # steps that divide it are steps of rounded values


class MetricLimits(NamedTuple):
    """Values that a metric cannot pass, in the metric's own sign."""

    low: float = -math.inf
    high: float = math.inf
    source: str = ""  # ``"declared"``, ``"name"``, ``"steps"``, or empty if no limit is known

    def facing(self, sign: float) -> tuple[float, float]:
        """The limits if larger is better: ``(low, high)`` to maximize, ``(-high, -low)`` to minimize."""
        return turned(self.low, self.high, sign)


def metric_limits(
    metric: str, values: Floats, declared: tuple[float | None, float | None] | None = None
) -> MetricLimits:
    """The limits of a metric; infinite unless declared or known.

    Values in [0, 1], or of one sign, are no evidence: returns, log-likelihoods and speed-ups go beyond. A
    limit passed by a value does not count.

    Args:
        metric: Name of the metric, for example ``"val_accuracy"``.
        values: (n,) finished values, in the metric's own sign.
        declared: Lowest and highest possible value; ``None`` for an open end, or without a declaration.
    """
    if declared is not None:
        low, high = declared
        return MetricLimits(-math.inf if low is None else low, math.inf if high is None else high, "declared")
    finite = values[np.isfinite(values)]
    if not finite.size:
        return MetricLimits()
    words = {word for word in re.split(r"[^a-z0-9]+", metric.lower()) if word}
    words |= {
        first + second
        for first, second in (("log", "loss"), ("cross", "entropy"))
        if {first, second} <= words
    }
    limits = MetricLimits()
    if words & _SHARES:
        limits = MetricLimits(0.0, 1.0 if finite.max() <= 1 else 100.0, "name")
    elif words & _AT_MOST_ONE:
        limits = MetricLimits(-math.inf, 1.0, "name")
    elif words & _NOT_NEGATIVE:
        limits = MetricLimits(0.0, math.inf, "name")
    elif _counts_rows(finite):
        limits = MetricLimits(0.0, 1.0, "steps")
    if finite.min() < limits.low or finite.max() > limits.high:
        return MetricLimits()
    return limits


def _counts_rows(values: Floats) -> bool:
    """Whether values are shares k / n of one whole number n of rows: steps that start at 0 and end at 1.

    Values with few decimals are no evidence: rounded scores and formulas have them too. Nor are few steps.
    """
    step = stats.smallest_step(values)
    if not step > 0 or values.min() < 0 or values.max() > 1:
        return False
    rows = round(1 / step)
    counts = values * rows
    return bool(
        rows >= _LEAST_ROWS
        and _DECIMALS % rows
        and abs(step * rows - 1) < 1e-3 / rows + 1e-4
        and np.abs(counts - np.rint(counts)).max() <= 1e-3
    )
