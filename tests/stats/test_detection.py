"""Detection of effects: the additive test against least squares, joint p-values, and repeated looks."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom, norm, rankdata

from refine.errors import AnalysisError
from refine.stats import AdditiveTest, Spearman
from refine.stats.detection import cauchy_p, joined, looks_spent, stage_of


def mixed(seed, n=80):
    """Two ordered columns, one of them with two levels, and a choice of three."""
    rng = np.random.default_rng(seed)
    columns = [rng.choice(np.arange(6) / 5, n), rng.choice([0.25, 0.75], n), rng.integers(0, 3, n)]
    x = np.column_stack(columns).astype(float)
    y = x[:, 0] ** 2 + 0.3 * (x[:, 2] == 1) + rng.normal(0, 0.5, n)
    return x, y, [0, 0, 3]


def test_the_additive_test_is_the_partial_f_test_of_least_squares():
    x, y, kinds = mixed(0)
    score = norm.ppf((rankdata(y) - 0.5) / y.size)
    choice = np.column_stack([x[:, 2] == 1, x[:, 2] == 2]).astype(float)
    terms = [np.column_stack([x[:, 0], x[:, 0] ** 2]), x[:, [1]], choice]
    full = sm.OLS(score, sm.add_constant(np.hstack(terms))).fit()
    reference = []
    for j in range(3):
        other_terms = np.hstack([t for k, t in enumerate(terms) if k != j])
        _, p, _ = full.compare_f_test(sm.OLS(score, sm.add_constant(other_terms)).fit())
        reference.append(p)
    assert AdditiveTest()(x, y, kinds) == pytest.approx(reference, rel=1e-8)


def test_the_additive_test_detects_a_weak_effect_next_to_a_strong_one():
    detected = missed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.choice(np.arange(8) / 7, (60, 3))
        y = 5 * x[:, 0] + 0.7 * x[:, 1] + rng.normal(0, 0.2, 60)
        p = AdditiveTest()(x, y, [0, 0, 0])
        assert p[0] < 1e-10
        detected += p[1] < 0.01
        missed += Spearman(resamples=1)(x[:, 1], y).p > 0.05
    assert detected >= 18
    assert missed >= 14


def test_noise_raises_as_many_alarms_as_stated():
    p = []
    for seed in range(200):
        x, _, kinds = mixed(seed, 40)
        # Heavy tails, as of a loss that sometimes explodes.
        p.append(AdditiveTest()(x, np.random.default_rng(seed + 1000).standard_cauchy(40), kinds))
    alarms = (np.array(p) <= 0.1).sum(axis=0)
    low, high = binom.ppf([0.0005, 0.9995], 200, 0.1)
    assert (alarms >= low).all()
    assert (alarms <= high).all()


def test_constant_or_too_few_data_have_a_p_value_of_one():
    x, y, kinds = mixed(1)
    assert AdditiveTest()(x, np.full(80, 2.0), kinds).tolist() == [1, 1, 1]
    assert AdditiveTest()(x[:11], y[:11], kinds).tolist() == [1, 1, 1]  # too few for five columns
    assert AdditiveTest()(np.zeros((0, 3)), [], kinds).tolist() == [1, 1, 1]
    x[:, 1] = 0.5
    p = AdditiveTest()(x, y, kinds)
    assert p[1] == 1
    assert p[0] < 0.05
    assert AdditiveTest()(x[:, [1]], y, [0]).tolist() == [1]


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


def test_one_p_value_is_itself():
    for p in (1e-12, 0.003, 0.4, 0.98):
        assert cauchy_p([p]) == pytest.approx(p, rel=1e-6)
        assert cauchy_p([p, p, p]) == pytest.approx(p, rel=1e-6)


@pytest.mark.slow
def test_the_level_holds_for_dependent_tests(rng):
    for correlation in (0.0, 0.5, 0.95):
        common = rng.normal(size=(20000, 1))
        z = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=(20000, 3))
        p = 2 * norm.sf(np.abs(z))
        joint = np.array([cauchy_p(row, [0.25, 0.25, 0.5]) for row in p])
        for level in (0.01, 0.05):
            assert np.mean(joint <= level) < 1.15 * level + 0.003


def test_three_tests_of_a_parameter():
    combined = joined(0.04, 0.03, 0.02)
    assert combined.p < 3 * 0.02
    assert combined.seen_by == "additive"
    assert joined(0.2, 0.01, 0.5).seen_by == "trend"
    # A test that was not made has no say.
    assert joined(0.02, 0.02, 1.0).p == joined(0.02, 0.02).p == pytest.approx(0.02)


def test_repeated_looks_cost_stages():
    assert [looks_spent(k) for k in (1, 2, 3)] == [1, 3, 6]
    assert stage_of([60], 60) == stage_of([60], 58) == stage_of([60, 70, 78], 78) == 1
    assert stage_of([60, 120], 120) == 2
    assert stage_of(range(30, 301, 30), 300) == 6
    # Before a plan's end every look costs more than the end does; after an earlier one's no more than that.
    assert [stage_of([300], n) for n in (250, 150, 60, 30)] == [3, 3, 5, 6]
    assert [stage_of([30, 300], n) for n in (30, 31, 60, 300)] == [1, 1, 6, 2]
    for plans, size in (([], 1), ([0], 1), ([10], 0)):
        with pytest.raises(AnalysisError, match="size"):
            stage_of(plans, size)
    with pytest.raises(AnalysisError, match="stage"):
        looks_spent(0)
