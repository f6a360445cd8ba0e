"""The additive test against ordinary least squares, and what it sees beside strong effects."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom, norm, rankdata

from refine.errors import AnalysisError
from refine.stats import AdditiveTest, Spearman


def mixed(seed: int, n: int = 80):
    """Two ordered columns, one of them with two levels, and a choice of three."""
    rng = np.random.default_rng(seed)
    x = np.column_stack(
        [rng.choice(np.arange(6) / 5, n), rng.choice([0.25, 0.75], n), rng.integers(0, 3, n)]
    ).astype(float)
    y = x[:, 0] ** 2 + 0.3 * (x[:, 2] == 1) + rng.normal(0, 0.5, n)
    return x, y, [0, 0, 3]


def test_it_is_the_partial_f_test_of_least_squares():
    x, y, kinds = mixed(0)
    score = norm.ppf((rankdata(y) - 0.5) / y.size)
    terms = [
        np.column_stack([x[:, 0], x[:, 0] ** 2]),
        x[:, [1]],
        np.column_stack([x[:, 2] == 1, x[:, 2] == 2]).astype(float),
    ]
    full = sm.OLS(score, sm.add_constant(np.hstack(terms))).fit()
    theirs = []
    for j in range(3):
        rest = np.hstack([t for k, t in enumerate(terms) if k != j])
        _, p, _ = full.compare_f_test(sm.OLS(score, sm.add_constant(rest)).fit())
        theirs.append(p)
    assert AdditiveTest()(x, y, kinds) == pytest.approx(theirs, rel=1e-8)


def test_a_weak_effect_beside_a_strong_one_is_seen():
    seen = missed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.choice(np.arange(8) / 7, (60, 3))
        y = 5 * x[:, 0] + 0.7 * x[:, 1] + rng.normal(0, 0.2, 60)
        p = AdditiveTest()(x, y, [0, 0, 0])
        assert p[0] < 1e-10
        seen += p[1] < 0.01
        missed += Spearman(resamples=1)(x[:, 1], y).p > 0.05
    assert seen >= 18
    assert missed >= 14


def test_an_optimum_in_the_middle_is_seen():
    rng = np.random.default_rng(3)
    x = rng.choice(np.arange(9) / 8, (80, 2))
    y = -((x[:, 0] - 0.5) ** 2) + rng.normal(0, 0.05, 80)
    p = AdditiveTest()(x, y, [0, 0])
    assert p[0] < 1e-6
    assert p[1] > 0.01


def test_nothing_is_found_in_noise_more_often_than_said():
    p = []
    for seed in range(200):
        x, _, kinds = mixed(seed, 40)
        # Heavy tails, as of a loss that sometimes explodes.
        p.append(AdditiveTest()(x, np.random.default_rng(seed + 1000).standard_cauchy(40), kinds))
    alarms = (np.array(p) <= 0.1).sum(axis=0)
    low, high = binom.ppf([0.0005, 0.9995], 200, 0.1)
    assert (alarms >= low).all()
    assert (alarms <= high).all()


def test_what_cannot_be_told_apart_has_p_one():
    x, y, kinds = mixed(1)
    assert AdditiveTest()(x, np.full(80, 2.0), kinds).tolist() == [1, 1, 1]
    assert AdditiveTest()(x[:11], y[:11], kinds).tolist() == [1, 1, 1]  # too few for five columns
    assert AdditiveTest()(np.zeros((0, 3)), [], kinds).tolist() == [1, 1, 1]
    x[:, 1] = 0.5
    p = AdditiveTest()(x, y, kinds)
    assert p[1] == 1
    assert p[0] < 0.05
    assert AdditiveTest()(x[:, [1]], y, [0]).tolist() == [1]


def test_ties_and_a_perfect_fit_are_no_problem():
    x, y, kinds = mixed(2)
    assert np.isfinite(AdditiveTest()(x, np.round(y), kinds)).all()
    two = AdditiveTest()(x, (x[:, 1] > 0.5).astype(float), kinds)
    assert two[1] < 1e-12
    assert two[0] > 0.5


def test_columns_that_repeat_each_other_have_p_one_and_the_others_keep_theirs():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.random((60, 2))
        y = x[:, 1] + rng.normal(0, 0.2, 60)
        alone = AdditiveTest()(x, y, [0, 0])
        # The same column on another scale, where rounding keeps it from being the same.
        p = AdditiveTest()(np.column_stack([x, 0.3 * x[:, 0] + 0.1]), y, [0, 0, 0])
        assert p[[0, 2]].tolist() == [1, 1]
        assert p[1] == pytest.approx(alone[1], rel=1e-6)
    # A choice that is finer than a column says all that the column says, and more.
    code = rng.integers(0, 3, 60)
    coarse = AdditiveTest()(np.column_stack([code, code == 1, x[:, 1]]).astype(float), y, [3, 0, 0])
    assert coarse[1] == 1
    assert 0 < coarse[0] < 1
    assert coarse[2] < 1e-6


def test_the_order_of_rows_changes_nothing():
    x, y, kinds = mixed(5)
    turn = np.random.default_rng(0).permutation(80)
    assert AdditiveTest()(x[turn], y[turn], kinds) == pytest.approx(AdditiveTest()(x, y, kinds), rel=1e-9)


def test_misuse_says_what_is_wrong():
    x, y, kinds = mixed(6)
    with pytest.raises(AnalysisError, match=r"X: needs shape \(n, 2\), one column per cardinality"):
        AdditiveTest()(x, y, [0, 0])
    with pytest.raises(AnalysisError, match="y: every value must be finite, got 1 NaN or infinite of 80"):
        AdditiveTest()(x, np.where(np.arange(80) == 3, np.nan, y), kinds)
    with pytest.raises(AnalysisError, match="one entry per trial, got 80 and 79"):
        AdditiveTest()(x, y[:-1], kinds)
    with pytest.raises(AnalysisError, match="least: must be a whole number >= 1, got 0"):
        AdditiveTest(least=0)
