"""Tests by ranks on data whose answer is known, and their power."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some

from refine.errors import AnalysisError
from refine.stats import KruskalWallis, LevelSummary, Power, Spearman, benjamini_hochberg


@pytest.mark.parametrize("n", [20, 200, 3000])
def test_spearman_agrees_with_scipy(n):
    rng = np.random.default_rng(n)
    x = rng.integers(0, 6, n) / 5
    y = x + rng.normal(size=n)
    result = Spearman()(x, y)
    reference = scipy.stats.spearmanr(x, y)
    assert result.estimate == pytest.approx(reference.statistic, abs=1e-12)
    assert result.low < result.estimate < result.high
    assert result.n == n
    assert result.p == pytest.approx(reference.pvalue, **({"rel": 1e-6} if n > 50 else {"abs": 0.02}))


def test_constant_data_have_no_correlation_and_p_one():
    for x, y in (([1.0] * 30, range(30)), (range(30), [2.0] * 30), ([0.0, 1.0], [0.0, 1.0]), ([], [])):
        result = Spearman()(list(x), list(y))
        assert np.isnan(result.estimate)
        assert result.p == 1.0
    for codes, y in (([0] * 9, range(9)), ([0, 1] * 9, [1] * 18), ([0, 1, 2], [1, 2, 3]), ([], [])):
        result = KruskalWallis()(codes, list(y), 3)
        assert np.isnan(result.effect)
        assert result.p == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 3000])
def test_spearman_interval_covers_the_truth(n):
    # Spearman's rho of a bivariate normal is 6/pi asin(r/2).
    r = 0.5
    truth = 6 / np.pi * np.arcsin(0.25)
    rng = np.random.default_rng(n)
    covered = 0
    for seed in range(100):
        x = rng.normal(size=n)
        y = r * x + np.sqrt(1 - r * r) * rng.normal(size=n)
        result = Spearman(resamples=300, rows=200, seed=seed)(x, y)
        covered += result.low <= truth <= result.high
    assert 88 <= covered <= 100


def test_benjamini_hochberg_skips_nan():
    q = benjamini_hochberg([0.01, np.nan, 0.04, 0.03])
    assert np.isnan(q[1])
    assert q[[0, 2, 3]] == pytest.approx([0.03, 0.04, 0.04])
    assert np.isnan(benjamini_hochberg([np.nan, np.nan])).all()
    with pytest.raises(AnalysisError, match=r"\[0, 1\]"):
        benjamini_hochberg([1.5])


@settings(max_examples=25, deadline=None)
@given(some.lists(some.integers(0, 5), min_size=12, max_size=40), some.integers(0, 99))
def test_spearman_only_sees_ranks(x, seed):
    x = np.array(x, dtype=float)
    y = np.random.default_rng(seed).normal(size=x.size)
    plain = Spearman(resamples=20)(x, y)
    bent = Spearman(resamples=20)(np.exp(x), y**3)
    assert plain == pytest.approx(bent, nan_ok=True)


def test_kruskal_agrees_with_scipy_and_its_effect_is_h_over_n_minus_one(rng):
    codes = rng.integers(0, 3, 300)
    y = np.round((codes == 1) + rng.normal(size=300), 1)
    result = KruskalWallis()(codes, y, 4)  # the fourth choice was never seen
    reference = scipy.stats.kruskal(*(y[codes == k] for k in range(3)))
    assert result.p == pytest.approx(reference.pvalue)
    assert result.effect == pytest.approx(reference.statistic / 299)
    assert result.low < result.effect < result.high


def test_kruskal_without_effect_has_an_interval_down_to_zero():
    rng = np.random.default_rng(1)
    p = []
    touches = 0
    for seed in range(200):
        result = KruskalWallis(resamples=100, seed=seed)(rng.integers(0, 4, 100), rng.random(100), 4)
        p.append(result.p)
        touches += result.low == 0.0
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.1
    assert touches >= 180


def test_level_medians_have_honest_intervals():
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(200):
        level = LevelSummary()(np.zeros(25), rng.exponential(size=25), 1)[0]
        covered.append(level.low <= np.log(2) <= level.high)
    assert np.mean(covered) >= 0.93


def test_levels_without_enough_trials_claim_nothing():
    of_three, of_none, of_six = LevelSummary()([0, 0, 0] + [2] * 6, [3, 1, 2, 1, 2, 3, 4, 5, 6], 3)
    assert (of_three.n, of_three.median) == (3, 2.0)
    assert np.isnan(of_three.low)
    assert of_none.n == 0
    assert np.isnan(of_none.median)
    assert (of_six.low, of_six.high) == (1.0, 6.0)  # 2 * 2^-6 = 3.1 % of error at 95 %


@pytest.mark.parametrize("cardinality", [0, 4])
def test_power_grows_with_trials_and_effect(cardinality, rng):
    x = rng.integers(0, 4, 60).astype(float)
    y = rng.normal(size=60)
    sizes = (20, 60, 150, 400)
    power = Power(simulations=200)(x, y, cardinality, sizes, 0.05)
    assert list(power) == sorted(power)
    assert power[-1] > 0.95
    assert Power(effect=0.4, simulations=200)(x, y, cardinality, [60], 0.05)[0] > power[1]
    power_without_effect = Power(effect=1e-9, simulations=400)(x, y, cardinality, [100], 0.05)[0]
    assert power_without_effect == pytest.approx(0.05, abs=0.04)


def test_constant_data_have_no_power():
    assert Power()([1.0] * 10, range(10), 0, [50], 0.05).tolist() == [0.0]
    assert Power()(range(10), [1.0] * 10, 0, [50], 0.05).tolist() == [0.0]


def test_ties_cost_power():
    rng = np.random.default_rng(1)
    x = rng.uniform(size=100)
    y = rng.normal(size=100)
    tied = np.where(y < np.quantile(y, 0.9), 0.0, y)
    assert Power()(x, tied, 0, [100], 0.05)[0] < Power()(x, y, 0, [100], 0.05)[0]
