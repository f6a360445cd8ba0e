"""Shares, chances and edges against closed forms and libraries."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some

from refine.errors import AnalysisError
from refine.stats import (
    Boundary,
    LevelRates,
    RateTrend,
    good_trials_to_judge,
    hit_probability,
    hit_share,
    wilson,
)


@settings(max_examples=40, deadline=None)
@given(some.integers(1, 500), some.floats(0, 1), some.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(n, share, confidence):
    k = round(share * n)
    reference = scipy.stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert wilson(k, n, confidence) == pytest.approx(reference, abs=1e-9)


def test_wilson_of_nothing_is_everything():
    ends = wilson([0, 0, 3], [0, 4, 3])
    assert ends.low[0] == 0.0
    assert ends.high[0] == 1.0
    assert ends.low[1] == 0.0
    assert ends.high[2] == 1.0
    with pytest.raises(AnalysisError, match="between 0"):
        wilson(3, 2)


def test_hit_probability_and_the_smallest_region_that_trials_hit():
    assert hit_probability(60, 0.05) == pytest.approx(1 - 0.95**60)
    assert hit_probability(0, 0.05) == 0.0
    with pytest.raises(AnalysisError, match=">= 0, got -1"):
        hit_probability(-1, 0.1)
    assert hit_share(100) == pytest.approx(0.0295, abs=1e-4)
    assert hit_probability(100, hit_share(100)) == pytest.approx(0.95)
    assert hit_share(0) == 1.0
    with pytest.raises(AnalysisError, match=">= 0, got -1"):
        hit_share(-1)


@pytest.mark.parametrize(("n", "cells"), [(1, 2), (10, 12), (60, 360), (100, 100_000)])
def test_hit_share_of_a_grid_is_exact(n, cells):
    k = round(hit_share(n, cells) * cells)
    assert scipy.stats.hypergeom.pmf(0, cells, k, n) <= 0.05 < scipy.stats.hypergeom.pmf(0, cells, k - 1, n)
    assert hit_share(n, cells) <= hit_share(n) + 1 / cells
    assert hit_share(cells, cells) == 0.0


def test_an_optimum_at_the_edge_piles_up_there_and_only_there(rng):
    levels = np.arange(10) / 9
    x = rng.choice(levels, 300)
    low, high = Boundary()(x, x + 0.2 * rng.normal(size=300), levels)
    assert (low.side, high.side) == ("low", "high")
    assert high.p < 1e-4
    assert high.peak
    assert low.p > 0.5
    assert high.top_n == 60


def test_the_slope_of_an_interior_optimum_is_not_a_peak():
    rng = np.random.default_rng(1)
    levels = np.arange(10) / 9
    x = rng.choice(levels, 4000)
    _, high = Boundary()(x, -((x - 0.8) ** 2) + 0.1 * rng.normal(size=4000), levels)
    assert not high.peak


@pytest.mark.parametrize("x", [[0.5] * 20, [0.0] * 20, []])
def test_edges_without_contrast_have_p_one(x):
    assert all(edge.p == 1.0 for edge in Boundary()(x, np.arange(len(x)), np.arange(5) / 4))


def test_rates_point_at_the_failing_level():
    codes = np.repeat([0, 1, 2], 30)
    failed = np.concatenate([np.arange(30) < 2, np.arange(30) < 20, np.arange(30) < 1])
    rates = LevelRates()(codes, failed, 4)
    assert [rate.hits for rate in rates] == [2, 20, 1, 0]
    assert rates[1].p < 1e-6
    assert rates[1].low > rates[0].high
    assert np.isnan(rates[3].rate)
    assert (rates[3].low, rates[3].high, rates[3].p) == (0.0, 1.0, 1.0)
    reference = scipy.stats.fisher_exact([[20, 10], [3, 57]]).pvalue
    assert rates[1].p == pytest.approx(reference, rel=1.0)


def test_a_trend_of_failures_is_seen_where_no_level_has_enough_trials():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 21, 40) / 20
    failed = x > 0.7
    levels = LevelRates()(np.round(20 * x).astype(int), failed, 21)
    assert min(rate.p for rate in levels) > 0.005
    trend = RateTrend()(x, failed)
    assert trend.p < 1e-4
    assert trend.higher == 1.0
    assert trend.below == 0.0
    assert trend.above == pytest.approx(failed.sum() / (x > 0.5).sum())
    reference = scipy.stats.mannwhitneyu(x[failed], x[~failed], method="asymptotic")
    assert trend.p == pytest.approx(reference.pvalue)
    assert RateTrend()(1 - x, failed).higher == 0.0
    assert RateTrend()(1 - x, failed).p == pytest.approx(trend.p)


@pytest.mark.parametrize("failed", [np.zeros(10, bool), np.ones(10, bool)])
def test_a_trend_of_nothing_has_p_one(failed):
    trend = RateTrend()(np.arange(10) / 9, failed)
    assert trend.p == 1.0
    assert np.isnan(trend.higher)
    assert trend.below == trend.above == float(failed[0])
    with pytest.raises(AnalysisError):
        RateTrend()([0.0, 1.0], [True])


def test_the_good_trials_it_takes_to_judge_are_those_of_the_exact_sign_test():
    m = np.arange(1, 200)
    for tests, alpha, power, half in ((1, 0.1, 0.8, 0.8), (8, 0.05, 0.9, 0.7)):
        critical = scipy.stats.binom.isf(alpha / (2 * tests), m, 0.5) + 1
        enough = (critical <= m) & (scipy.stats.binom.sf(critical - 1, m, half) >= power)
        assert good_trials_to_judge(tests, alpha, power, half) == m[enough][0]
    assert [good_trials_to_judge(d) for d in (1, 4, 8)] == [18, 24, 31]
    with pytest.raises(AnalysisError, match="half: 0.5001"):
        good_trials_to_judge(1, half=0.5001)


def test_the_best_ten_trials_decide_whether_an_edge_holds_the_best(rng):
    x = np.tile(np.linspace(0, 1, 9), 12)
    low, high = Boundary()(x, x + 0.05 * rng.normal(size=x.size), np.linspace(0, 1, 9))
    assert (low.best, high.best) == (False, True)
    # Rising over most of the range, best at 0.75: the top fifth reaches the edge, the best ten do not
    # lie there.
    inside = Boundary()(x, -np.abs(x - 0.75) + 0.05 * rng.normal(size=x.size), np.linspace(0, 1, 9))
    assert not any(edge.best for edge in inside)
