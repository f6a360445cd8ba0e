"""Power by simulation: right size without an effect, growing with trials and effect."""

from __future__ import annotations

import numpy as np
import pytest

from refine.stats import Power


@pytest.mark.parametrize("cardinality", [0, 4])
def test_power_grows_with_trials_and_effect(cardinality):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, 60).astype(float), rng.normal(size=60)
    sizes = (20, 60, 150, 400)
    found = Power(simulations=200)(x, y, cardinality, sizes, 0.05)
    assert list(found) == sorted(found)
    assert found[-1] > 0.95
    assert Power(effect=0.4, simulations=200)(x, y, cardinality, [60], 0.05)[0] > found[1]
    none = Power(effect=1e-9, simulations=400)(x, y, cardinality, [100], 0.05)[0]
    assert none == pytest.approx(0.05, abs=0.04)


def test_nothing_can_be_seen_where_nothing_varies():
    assert Power()([1.0] * 10, range(10), 0, [50], 0.05).tolist() == [0.0]
    assert Power()(range(10), [1.0] * 10, 0, [50], 0.05).tolist() == [0.0]


def test_ties_cost_power():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(size=100), rng.normal(size=100)
    tied = np.where(y < np.quantile(y, 0.9), 0.0, y)
    assert Power()(x, tied, 0, [100], 0.05)[0] < Power()(x, y, 0, [100], 0.05)[0]
