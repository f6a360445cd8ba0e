"""Rounds as populations."""

import numpy as np
import pytest
import scipy.stats

from refine.stats import Compare, Edf


def test_edf_counts_trials_at_least_as_good():
    curve = Edf()([1, 2, 2, 4], at=[0, 1, 2, 3, 5])
    assert curve.better.tolist() == [1.0, 1.0, 0.75, 0.25, 0.0]
    assert np.all(curve.low <= curve.better)
    assert np.all(curve.better <= curve.high)
    assert Edf()([3.0]).better.tolist() == [1.0]


def test_edf_band_covers_the_truth(rng):
    points = np.array([0.3, 0.5, 0.9])
    curves = [Edf(resamples=200, seed=seed)(rng.random(150), points) for seed in range(200)]
    covered = [(curve.low <= 1 - points) & (1 - points <= curve.high) for curve in curves]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.04)


def test_comparison_agrees_with_mann_whitney_and_ks():
    rng = np.random.default_rng(1)
    parent = rng.normal(size=120)
    child = rng.normal(0.5, size=80).round(1)
    result = Compare()(parent, child)
    u = scipy.stats.mannwhitneyu(child, parent).statistic
    assert result.better == pytest.approx(u / (120 * 80))
    assert result.ks == pytest.approx(scipy.stats.ks_2samp(parent, child).statistic)
    assert result.low < result.better < result.high
    assert (result.n_parent, result.n_child) == (120, 80)


def test_comparison_interval_covers_the_truth():
    rng = np.random.default_rng(2)
    truth = scipy.stats.norm.cdf(0.8 / np.sqrt(2))
    covered = 0
    for _ in range(200):
        result = Compare()(rng.normal(size=60), rng.normal(0.8, size=40))
        covered += result.low <= truth <= result.high
    assert 180 <= covered <= 198


def test_complete_separation_stays_inside_zero_and_one():
    result = Compare()(np.zeros(30), np.ones(30))
    assert result.better == 1.0
    assert 0.8 < result.low < 1.0
    assert result.high <= 1.0
    comparison = Compare()(np.zeros(30), np.zeros(30))
    assert comparison.better == 0.5
    assert comparison.low < 0.5 < comparison.high
