"""Refusals of statistics: the rule, the value and the way out."""

import numpy as np
import pytest

from refine import stats
from refine.errors import AnalysisError

rng = np.random.default_rng(0)
X = rng.random((30, 2))
Y = rng.random(30)
NAN = np.where(np.arange(30) == 3, np.nan, 0.5)
DRAWS = stats.Posterior(
    scores=X.T[:, :9],
    forest=0,
    mean=Y[:9],
    known=np.arange(9),
    known_mean=Y[:9],
    knots=Y[:2].cumsum(),
    values=Y[:2].cumsum(),
    slope=1.0,
    n=9,
)
AXES = [stats.Axis(np.arange(3.0))] * 2
RUN = np.arange(9) < 4


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: stats.AdditiveTest()(X, Y, [0]), r"X: needs shape \(n, 1\), one column per cardinality"),
        (lambda: stats.AdditiveTest()(X, NAN, [0, 0]), "y: every value must be finite, got 1 NaN or infinit"),
        (lambda: stats.AdditiveTest()(X, Y[:-1], [0, 0]), "one entry per trial, got 30 and 29; take both"),
        (lambda: stats.AdditiveTest(least=0), "least: must be a whole number >= 1, got 0"),
        (lambda: stats.Spearman(confidence=95), "confidence: must lie strictly between 0 and 1, got 95"),
        (lambda: stats.KruskalWallis()([0, 1, 2], [1, 2, 3], 2), "whole numbers from 0 to 1, got 0 to 2;"),
        (lambda: stats.NextRound()(DRAWS, RUN[:-1], 0.1, stats.Batch(1, 0)), "known: needs shape"),
        (
            lambda: stats.NextRound()(DRAWS, RUN, -1.0, stats.Batch(1, 0)),
            "noise: must be a deviation >= 0, got -1",
        ),
        (lambda: stats.NextRound(truths=0), "truths: must be"),
        (
            lambda: stats.ChildForecast()(DRAWS, stats.LeaveOneOutNoise(Y, Y, Y), 0),
            "n: must be a whole number >= 1",
        ),
        (lambda: stats.KnowledgeGradient()([], [], 0.1, 1), "at least one alternative"),
        (lambda: stats.KnowledgeGradient()([1.0], [-1.0], 0.1, 1), "variances >= 0"),
        (lambda: stats.RiskPath()(DRAWS, X[:5], AXES, 0.1), "candidates: need one row per candidate"),
        (lambda: stats.RiskPath()(DRAWS, X[:9], AXES, -0.1), "epsilon: must be >= 0"),
        (lambda: stats.RiskPath()(DRAWS, X[:9], AXES[:1], 0.1), "one column per axis"),
        (lambda: stats.RiskPath(cover=-1.0), "cover: must be a number >= 0"),
        (lambda: stats.MixedPosterior()(X[:3], Y[:3], X, [0, 0]), "run more trials"),
        (lambda: stats.MixedPosterior(forest_draws=1, process_draws=0), "must be at least 2 together"),
        (lambda: stats.expected_best([1, 2, 3], 4), "m: must be <= the number of trials, got the best of"),
        (lambda: stats.cauchy_p([1.2]), "p_values: at least one is needed"),
        (lambda: stats.CurveCheck()(np.ones(9), None, np.ones(8)), r"got shapes \(9,\), \(0,\), \(8,\)"),
        (lambda: stats.CurveCheck(least=5), "least: must be a whole number >= 8, got 5"),
        (lambda: stats.BoundedDensity(low=1, high=0), "low must be < high, got"),
        (lambda: stats.BoundedDensity()([0, 3], [0.5]), r"x: must lie in \[0, 1\], got 0 to 3; map"),
        (lambda: stats.DensityRatio()([0.5], [False], [0.5]), "no trial is good; choose a larger"),
        (lambda: stats.PedAnova(top=0.3, region=0.2), r"region: must be above top \(0.3\) and at most 1"),
        (lambda: stats.PedAnova()(Y, Y, levels=[1, 0]), "levels: must increase strictly"),
        (lambda: stats.Edf()([]), "needs at least one trial, got none"),
        (lambda: stats.Edf()([1, 2], at=[2, 1]), "at: must increase strictly"),
        (lambda: stats.Compare()([1], [1, 2, 3, 4, 5]), "at least 2 trials each, got 1 and 5; run more"),
    ],
)
def test_wrong_data_and_options_are_refused(call, text):
    with pytest.raises(AnalysisError, match=text):
        call()
