"""Rank correlations on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some

from refine.errors import AnalysisError
from refine.stats import Spearman, benjamini_hochberg


@pytest.mark.parametrize("n", [20, 200, 3000])
def test_spearman_agrees_with_scipy(n):
    rng = np.random.default_rng(n)
    x = rng.integers(0, 6, n) / 5
    y = x + rng.normal(size=n)
    ours, theirs = Spearman()(x, y), scipy.stats.spearmanr(x, y)
    assert ours.estimate == pytest.approx(theirs.statistic, abs=1e-12)
    assert ours.low < ours.estimate < ours.high
    assert ours.n == n
    if n > 50:
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6)
    else:
        assert ours.p == pytest.approx(theirs.pvalue, abs=0.02)


def test_a_perfect_order_is_one_with_a_closed_interval():
    x = np.arange(80.0)
    up, down = Spearman()(x, x**3), Spearman()(x, -x)
    assert up.estimate == pytest.approx(1)
    assert down.estimate == pytest.approx(-1)
    assert up.low > 0.99
    assert down.high < -0.99
    assert up.p < 1e-3


@pytest.mark.parametrize(
    ("x", "y"),
    [([1.0] * 30, range(30)), (range(30), [2.0] * 30), ([0.0, 1.0], [0.0, 1.0]), ([], [])],
)
def test_nothing_to_correlate_is_nan_with_p_one(x, y):
    result = Spearman()(list(x), list(y))
    assert np.isnan(result.estimate)
    assert result.p == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 3000])
def test_spearman_interval_covers_the_truth(n):
    # Spearman's rho of a bivariate normal is 6/pi asin(r/2).
    r, truth = 0.5, 6 / np.pi * np.arcsin(0.25)
    rng = np.random.default_rng(n)
    held = 0
    for seed in range(100):
        x = rng.normal(size=n)
        y = r * x + np.sqrt(1 - r * r) * rng.normal(size=n)
        result = Spearman(resamples=300, rows=200, seed=seed)(x, y)
        held += result.low <= truth <= result.high
    assert 88 <= held <= 100


def test_spearman_false_alarms_are_five_percent():
    rng = np.random.default_rng(3)
    p = [Spearman(resamples=1)(rng.random(120), rng.random(120)).p for _ in range(400)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09


def test_same_seed_same_numbers():
    rng = np.random.default_rng(5)
    x, y = rng.random(900), rng.random(900)
    assert Spearman(seed=4)(x, y) == Spearman(seed=4)(x, y)
    assert Spearman(seed=4)(x, y).low != Spearman(seed=5)(x, y).low


def test_errors_state_rule_value_and_way_out():
    with pytest.raises(AnalysisError, match="one entry per trial, got 2 and 3; take both"):
        Spearman()([1, 2], [1, 2, 3])
    with pytest.raises(AnalysisError, match="must be finite, got 1 NaN or infinite of 3; leave"):
        Spearman()([1, 2, 3], [1, np.nan, 3])
    with pytest.raises(AnalysisError, match="confidence: must lie strictly between 0 and 1, got 95"):
        Spearman(confidence=95)


def test_benjamini_hochberg_skips_nan():
    q = benjamini_hochberg([0.01, np.nan, 0.04, 0.03])
    assert np.isnan(q[1])
    assert q[[0, 2, 3]] == pytest.approx([0.03, 0.04, 0.04])
    assert np.isnan(benjamini_hochberg([np.nan, np.nan])).all()
    with pytest.raises(AnalysisError, match=r"must lie in \[0, 1\]"):
        benjamini_hochberg([1.5])


@settings(max_examples=50, deadline=None)
@given(some.lists(some.floats(0, 1), min_size=1, max_size=20))
def test_q_is_never_below_p_and_keeps_the_order(p):
    q = benjamini_hochberg(p)
    assert np.all(q >= np.array(p) - 1e-12)
    assert np.all(np.diff(q[np.argsort(p, kind="stable")]) >= -1e-12)


@settings(max_examples=25, deadline=None)
@given(some.lists(some.integers(0, 5), min_size=12, max_size=40), some.integers(0, 99))
def test_spearman_only_sees_ranks(x, seed):
    x = np.array(x, dtype=float)
    y = np.random.default_rng(seed).normal(size=x.size)
    plain, bent = Spearman(resamples=20)(x, y), Spearman(resamples=20)(np.exp(x), y**3)
    assert plain == pytest.approx(bent, nan_ok=True)
