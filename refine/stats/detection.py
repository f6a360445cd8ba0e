"""Detection of effects: one p-value from several tests, and the cost of repeated looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, IntArray, check_count, checked, column, matrix, same_length
from refine.stats.importance import Detection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


# Largest p-value that counts: a p-value of exactly 1 would outweigh any evidence.
_MOST_P = 0.99

# Factor between the first sizes of two successive stages.
_GROWTH = 1.3

# A look counts as a look at the end of a plan up to this multiple of the planned size.
_NEARLY = 1.05

_WEIGHTS = {"importance": 0.25, "trend": 0.25, "additive": 0.5}


def cauchy_p(p_values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Combine p-values of a null hypothesis, with any dependence between them.

    P-values become quantiles of a Cauchy distribution; a weighted mean of Cauchy variables has nearly the
    same tail under any dependence. Unlike the smallest p-value times their number, agreeing tests strengthen
    each other. Weights are positive, and equal by default.

    Source: Liu and Xie (2020), 'Cauchy combination test'; large p-values are capped at 0.99 as in Fang et al.
    (2023).
    """
    p = column(p_values, "p_values")
    if weights is None:
        w = np.ones(p.size)
    else:
        w = column(weights, "weights")
    if p.size == 0 or p.min() < 0.0 or p.max() > 1.0:
        raise AnalysisError("p_values: at least one is needed, and all must lie in [0, 1]")
    same_length(w.size, p.size)
    if w.min() <= 0.0:
        raise AnalysisError(f"weights: must be positive, got {w.min():g}")
    w = w / w.sum()
    capped = np.clip(p, 1e-15, _MOST_P)
    statistic = float(w @ np.tan((0.5 - capped) * np.pi))
    # The arctangent of large numbers loses all digits; the tail is 1 / (pi t).
    if statistic > 1e8:
        return float(1.0 / (np.pi * statistic))
    return float(0.5 - np.arctan(statistic) / np.pi)


def joined(p_importance: float, p_trend: float, p_additive: float | None = None) -> Detection:
    """Combine the three tests of a parameter, with half of the weight on the additive test.

    The additive test removes the effects of the other parameters first, and detects most effects of the other
    tests. Its p-value is None, or exactly 1, if the test was impossible.
    """
    tests = {"importance": p_importance, "trend": p_trend}
    if p_additive is not None and p_additive < 1.0:
        tests["additive"] = p_additive
    seen_by = min(tests, key=lambda name: (tests[name], name != "trend"))
    # Without a possible test, there is no evidence.
    untested = min(tests.values()) >= 1.0
    if untested:
        p = 1.0
    else:
        p = cauchy_p(list(tests.values()), [_WEIGHTS[name] for name in tests])
    return Detection(p, p_importance, p_trend, seen_by)


def looks_spent(stage: int) -> float:
    """Factor of the q-values of a stage that keeps false alarms over all looks together at the nominal rate.

    A level alpha is spent as alpha / (k (k + 1) / 2) on the k-th stage, in total 2 alpha over all stages. k
    counts the stage of `stage_of` and the stages of earlier rounds of the branch.

    Source: alpha spending, Lan and DeMets (1983).
    """
    check_count(stage, "stage")
    return stage * (stage + 1) / 2.0


def stage_of(plans: Sequence[int], size: int) -> int:
    """Stage of a growing round at some size, regardless of who looked.

    `plans` are its planned sizes, increasing.

    The end of the first plan is the first stage; a later plan's end is a new stage if larger by three tenths
    than the size at which the last stage began. A look before the end of the plan costs two extra stages,
    plus one for each doubling still needed to reach the end: a plan's end pays little for looks that may
    never happen. Sizes within a twentieth of a plan's end count as its end.

    Source: stages of geometric growth as in confidence sequences by stitching, Howard et al. (2021). The
    small cost of looks within a stage is measured, not proved: see `benchmarks/power.py`.
    """
    if not len(plans):
        raise AnalysisError("plans: at least one size is needed, got none")
    for look in (*plans, size):
        check_count(look, "plans and size")
    last = next((i for i, plan in enumerate(plans) if size <= _NEARLY * plan), len(plans) - 1)
    count = 1
    start = plans[0]
    for plan in plans[1 : last + 1]:
        if plan > _GROWTH * start:
            count = count + 1
            start = plan
    doublings = plans[last] / (_NEARLY * size)
    if doublings <= 1:
        return count
    return count + 2 + int(np.log2(doublings))


def distinct(X: ArrayLike, y: ArrayLike, cardinalities: Sequence[int]) -> tuple[IntArray, FloatArray]:
    """One row per configuration: a duplicated row isn't more evidence.

    Returns:
        (m,) numbers of one row per configuration, in an order independent of the rows' order, and (m,) mean
        normal scores of its values, which rank tests can use in place of the values.
    """
    from refine.stats.posterior import scored

    table = matrix(X, cardinalities)
    values = column(y, "y")
    same_length(table.shape[0], values.size)
    if values.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    trials = scored(table, values)
    return trials.rows, trials.score


_LEAST_NOISE = 1e-12


@dataclass(frozen=True, slots=True)
@checked(least=1)
class AdditiveTest:
    """P-values of 'no effect besides the other parameters', for all parameters at once.

    A test of a single parameter has all other effects as noise; removing them first reveals weaker effects.
    The normal scores of the values are explained by a sum of terms: a parabola for an ordered parameter (a
    line with two levels), a constant per choice otherwise. The term of a parameter is tested against the
    model without it. A parabola detects an optimum in the middle; scores limit failures and heavy tails.

    Source: the partial F-test of linear regression, e.g. Draper and Smith (1998), chapter 6; van der Waerden
    (1952) for the scores.
    """

    least: int = 10  # fewest degrees of freedom of the noise for a test

    def __call__(self, X: ArrayLike, y: ArrayLike, cardinalities: Sequence[int]) -> FloatArray:
        """(d,) p-values; 1 with too few trials, or if a column repeats another column."""
        from scipy.stats import f, norm, rankdata

        table = matrix(X, cardinalities)
        values = column(y, "y")
        same_length(table.shape[0], values.size)
        n, d = table.shape
        p = np.ones(d)
        if n < self.least + 2 or np.ptp(values) == 0:
            return p
        score = norm.ppf((np.asarray(rankdata(values)) - 0.5) / n)
        score -= score.mean()
        blocks = [_terms(table[:, j], k) for j, k in enumerate(cardinalities)]
        ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
        design = np.concatenate(blocks, axis=1)
        residual = n - 1 - design.shape[1]
        if residual < self.least or not design.shape[1]:
            return p
        normal = design.T @ design
        if np.linalg.matrix_rank(normal, hermitian=True) < len(normal):
            return _one_by_one(design, score, ends)
        # One fit gives all partial tests: the explained sum of squares of a term is b' C^-1 b, with its
        # coefficients b and its block C of the inverse of the normal equations.
        inverse = np.linalg.inv(normal)
        weight = inverse @ (design.T @ score)
        noise = max(float(np.sum((score - design @ weight) ** 2)) / residual, _LEAST_NOISE)
        for j in range(d):
            part = slice(ends[j], ends[j + 1])
            size = ends[j + 1] - ends[j]
            if size:
                explained = weight[part] @ np.linalg.solve(inverse[part, part], weight[part])
                p[j] = f.sf(explained / size / noise, size, residual)
        return p


def _one_by_one(design: FloatArray, score: FloatArray, ends: IntArray) -> FloatArray:
    """The same tests if terms repeat each other: the addition of a term to the others.

    1 if it adds nothing.
    """
    from scipy.stats import f

    full, rank = _rest(design, score)
    residual = score.size - 1 - rank
    p = np.ones(ends.size - 1)
    for j in range(p.size):
        without, fewer = _rest(np.delete(design, np.s_[ends[j] : ends[j + 1]], axis=1), score)
        if rank > fewer:
            p[j] = f.sf(
                (without - full) / (rank - fewer) / max(full / residual, _LEAST_NOISE), rank - fewer, residual
            )
    return p


def _rest(design: FloatArray, score: FloatArray) -> tuple[float, int]:
    """Residual sum of squares of a linear model, and its rank."""
    weight, _, rank, _ = np.linalg.lstsq(design, score, rcond=1e-7)
    return float(np.sum((score - design @ weight) ** 2)), int(rank)


def _terms(x: FloatArray, cardinality: int) -> FloatArray:
    """Centred columns of a parameter's term; none if only a single level occurred."""
    levels = np.unique(x)
    if cardinality:
        # The most frequent choice is the reference of the other choices.
        counts = np.array([np.count_nonzero(x == level) for level in levels])
        choices = np.delete(levels, int(np.argmax(counts)))
        columns = (x[:, None] == choices[None, :]).astype(np.float64)
    else:
        unit = (x - levels[0]) / max(levels[-1] - levels[0], 1e-12)
        if levels.size > 1:
            columns = np.stack([unit, unit**2][: min(2, levels.size - 1)], axis=1)
        else:
            columns = x[:, None][:, :0]
    return np.asarray(columns - columns.mean(axis=0, keepdims=True))
