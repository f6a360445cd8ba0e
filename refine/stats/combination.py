"""One p-value from several tests of the same parameter, and what looking again costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, IntArray, check_count, column, matrix, same_length
from refine.stats.importance import Detection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

_MOST_P = 0.99
"""Larger p-values count as this: one of exactly 1 would outweigh any evidence."""

_GROWTH = 1.3
"""Factor from the first look of a stage to that of the next."""

_WEIGHTS = {"importance": 0.25, "trend": 0.25, "additive": 0.5}


def cauchy_p(p_values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Join p-values of one null hypothesis that may depend on each other in any way.

    Every p-value becomes the quantile of a Cauchy distribution that it would have; a weighted mean of Cauchy variables has
    nearly the same tail whatever their dependence. Unlike the smallest p-value times their number, tests that agree
    strengthen each other.

    Source: Liu and Xie (2020), 'Cauchy combination test'; large p-values are held at 0.99 as in Fang et al. (2023).

    Args:
        p_values: (k,) p-values in [0, 1].
        weights: (k,) positive weights; None for equal ones.

    Returns:
        The joint p-value.

    Raises:
        AnalysisError: there is no p-value, one lies outside [0, 1], or a weight isn't positive.
    """
    p = column(p_values, "p_values")
    w = np.ones(p.size) if weights is None else column(weights, "weights")
    if p.size == 0 or p.min() < 0.0 or p.max() > 1.0:
        raise AnalysisError("p_values: at least one is needed, and all must lie in [0, 1]")
    same_length(w.size, p.size)
    if w.min() <= 0.0:
        raise AnalysisError(f"weights: must be positive, got {w.min():g}")
    w = w / w.sum()
    held = np.clip(p, 1e-15, _MOST_P)
    statistic = float(w @ np.tan((0.5 - held) * np.pi))
    # Far out the arctangent loses all digits; its tail is 1 / (pi t).
    if statistic > 1e8:
        return float(1.0 / (np.pi * statistic))
    return float(0.5 - np.arctan(statistic) / np.pi)


def joined(p_importance: float, p_trend: float, p_additive: float | None = None) -> Detection:
    """Join the three tests of one parameter, half of the weight on the additive one.

    The additive test takes the other parameters' effects off first, and sees most of what the others see.

    Args:
        p_importance: PED-ANOVA's.
        p_trend: the rank test's.
        p_additive: `AdditiveTest`'s; None, or exactly 1, where it could not be made.

    Returns:
        The joint p-value, and which test has the smallest one of its own.
    """
    tests = {"importance": p_importance, "trend": p_trend}
    if p_additive is not None and p_additive < 1.0:
        tests["additive"] = p_additive
    seen_by = min(tests, key=lambda name: (tests[name], name != "trend"))
    # Where no test could be made, nothing was seen.
    nothing = min(tests.values()) >= 1.0
    p = 1.0 if nothing else cauchy_p(list(tests.values()), [_WEIGHTS[name] for name in tests])
    return Detection(p, p_importance, p_trend, seen_by)


def looks_spent(sizes: Sequence[int], before: int = 0) -> float:
    """By how much the q-values of the latest look are multiplied, so that all looks together find noise rarely enough.

    A level alpha is spent as alpha / (k (k + 1) / 2) on the k-th stage, which adds up to 2 alpha over all stages there may
    ever be. A new stage begins with every round of a branch, and within a round whenever it has grown by three tenths since the
    stage began: looks in between see nearly the same trials, and their correlation leaves little to find by looking more
    often.

    Source: alpha spending, Lan and DeMets (1983); stages of geometric growth as in confidence sequences by stitching,
    Howard et al. (2021). That looks within a stage add little is measured, not proved: see `benchmarks/power.py`.

    Args:
        sizes: configurations behind each look at this round so far, the latest one last.
        before: stages spent by earlier rounds of the branch.

    Returns:
        At least 1: the factor k (k + 1) / 2 of the latest stage.

    Raises:
        AnalysisError: there is no look, or a size isn't a positive whole number.
    """
    k = before + stages(sizes)
    return k * (k + 1) / 2.0


def stages(sizes: Sequence[int]) -> int:
    """Number of stages that looks at a growing round make.

    Args:
        sizes: configurations behind each look, the latest one last.

    Raises:
        AnalysisError: there is no look, or a size isn't a positive whole number.
    """
    if not len(sizes):
        raise AnalysisError("sizes: at least one look is needed, got none")
    for size in sizes:
        check_count(size, "sizes")
    count, start = 1, sizes[0]
    for size in sizes[1:]:
        if size > _GROWTH * start:
            count, start = count + 1, size
    return count


def distinct(X: ArrayLike, y: ArrayLike, cardinalities: Sequence[int]) -> tuple[IntArray, FloatArray]:
    """One row per configuration, so that a row given twice isn't taken for evidence.

    Args:
        X: (n, d) positions or codes.
        y: (n,) values.
        cardinalities: d numbers, 0 for an ordered column, k for an unordered one.

    Returns:
        (m,) numbers of one row per configuration, in an order that doesn't depend on that of the rows, and (m,) mean
        normal scores of its values, which tests by ranks can take for the values.

    Raises:
        AnalysisError: if shapes differ or something isn't finite.
    """
    from refine.stats.posterior import evidence

    table, values = matrix(X, cardinalities), column(y, "y")
    same_length(table.shape[0], values.size)
    if values.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    known = evidence(table, values)
    return known.rows, known.score
