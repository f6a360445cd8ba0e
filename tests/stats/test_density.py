"""Densities that stay inside their interval, and ratios of good to all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine.stats import BoundedDensity, BoundedDensity2D, DensityRatio, scott_bandwidth, top_mask

GRID = (np.arange(2000) + 0.5) / 2000


@settings(max_examples=40, deadline=None)
@given(
    some.lists(some.floats(0, 1), min_size=1, max_size=30), some.one_of(some.none(), some.floats(0.02, 2.0))
)
def test_all_mass_stays_inside(x, bandwidth):
    density = BoundedDensity(bandwidth)(x, GRID)
    assert density.mean() == pytest.approx(1.0, abs=1e-3)
    assert np.all(BoundedDensity(bandwidth)(x, [-0.1, 1.1]) == 0)


def test_a_flat_sample_is_flat_up_to_the_edges():
    x = np.random.default_rng(0).random(20_000)
    density = BoundedDensity()(x, np.linspace(0, 1, 21))
    assert density == pytest.approx(np.ones(21), abs=0.12)


def test_weights_count_like_repetitions():
    twice = BoundedDensity(0.1)([0.2, 0.2, 0.9], GRID)
    assert BoundedDensity(0.1)([0.2, 0.9], GRID, weights=[2, 1]) == pytest.approx(twice)


def test_two_dimensions_integrate_to_one_inside_both_bounds():
    rng = np.random.default_rng(3)
    x = rng.random(700)
    y = rng.beta(8, 1, 700)
    grid = (np.arange(200) + 0.5) / 200
    density = BoundedDensity2D(y_bounds=(0, 1))(x, y, grid, grid)
    assert density.shape == (200, 200)
    assert density.mean() == pytest.approx(1.0, abs=0.01)
    beyond = BoundedDensity2D(y_bounds=(0, 1))(x, y, grid, [1.01])
    assert np.all(beyond == 0)


def test_the_bandwidth_of_a_normal_sample_is_scotts():
    x = np.random.default_rng(4).normal(size=10_000)
    assert scott_bandwidth(x) == pytest.approx(1.059 * 10_000**-0.2, rel=0.05)
    assert scott_bandwidth([0.5, 0.5]) == 0.0


def test_ratio_finds_the_good_region():
    rng = np.random.default_rng(5)
    levels = np.arange(10) / 9
    x = rng.choice(levels, 400)
    y = -((x - 1 / 3) ** 2) * 5 + 0.2 * rng.normal(size=400)
    ratio = DensityRatio()(x, top_mask(y, 0.2), levels)
    assert ratio.ratio[3] > 1.5
    assert ratio.ratio[9] < 0.3
    assert np.all(ratio.low <= ratio.ratio)
    assert np.all(ratio.ratio <= ratio.high)
    certain = np.flatnonzero(ratio.low > 1)
    assert 1 <= certain.min() <= 3 <= certain.max() <= 6


def test_unordered_ratio_stays_honest_without_good_or_any_trials():
    codes = np.array([0] * 10 + [1] * 10)
    good = np.array([True] * 5 + [False] * 15)
    ratio = DensityRatio()(codes, good, [0, 1, 2], unordered=True)
    assert ratio.ratio[:2] == pytest.approx([2.0, 0.0])
    assert 0.5 < ratio.high[1] < 1.5
    assert np.isnan(ratio.ratio[2])
    assert ratio.high[2] == np.inf
