"""Unordered parameters on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from refine.errors import AnalysisError
from refine.stats import KruskalWallis, LevelSummary


def test_kruskal_agrees_with_scipy_and_its_effect_is_h_over_n_minus_one():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 300)
    y = np.round((codes == 1) + rng.normal(size=300), 1)
    result = KruskalWallis()(codes, y, 4)  # the fourth choice was never seen
    theirs = scipy.stats.kruskal(*(y[codes == k] for k in range(3)))
    assert result.p == pytest.approx(theirs.pvalue)
    assert result.effect == pytest.approx(theirs.statistic / 299)
    assert result.low < result.effect < result.high


def test_kruskal_without_effect_has_an_interval_down_to_zero():
    rng = np.random.default_rng(1)
    p, touches = [], 0
    for seed in range(200):
        result = KruskalWallis(resamples=100, seed=seed)(rng.integers(0, 4, 100), rng.random(100), 4)
        p.append(result.p)
        touches += result.low == 0.0
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.1
    assert touches >= 180


def test_kruskal_with_tiny_groups_uses_permutations():
    codes = np.array([0, 0, 0, 1, 1, 1])
    result = KruskalWallis()(codes, [1, 2, 3, 10, 11, 12], 2)
    assert result.p == pytest.approx(2 / 20, abs=0.02)  # 2 of the C(6, 3) splits are as extreme


@pytest.mark.parametrize(
    ("codes", "y"), [([0] * 9, range(9)), ([0, 1] * 9, [1] * 18), ([0, 1, 2], [1, 2, 3]), ([], [])]
)
def test_nothing_to_compare_is_nan_with_p_one(codes, y):
    result = KruskalWallis()(codes, list(y), 3)
    assert np.isnan(result.effect)
    assert result.p == 1.0


def test_level_medians_have_honest_intervals():
    rng = np.random.default_rng(2)
    held = []
    for _ in range(200):
        level = LevelSummary()(np.zeros(25), rng.exponential(size=25), 1)[0]
        held.append(level.low <= np.log(2) <= level.high)
    assert np.mean(held) >= 0.93


def test_levels_without_enough_trials_claim_nothing():
    few, none, many = LevelSummary()([0, 0, 0] + [2] * 6, [3, 1, 2, 1, 2, 3, 4, 5, 6], 3)
    assert (few.n, few.median) == (3, 2.0)
    assert np.isnan(few.low)
    assert none.n == 0
    assert np.isnan(none.median)
    assert (many.low, many.high) == (1.0, 6.0)  # 2 * 2^-6 = 3.1 % of error at 95 %


def test_codes_must_be_declared():
    with pytest.raises(AnalysisError, match="whole numbers from 0 to 1, got 0 to 2; number"):
        KruskalWallis()([0, 1, 2], [1, 2, 3], 2)
