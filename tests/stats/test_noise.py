"""Retraining noise, from replicates and from residuals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refine.errors import AnalysisError
from refine.stats import Optimism, RetrainingNoise, pooled_deviation


def test_replicates_are_pooled():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 3)
    y = rng.normal(size=200)[groups] * 5 + 0.2 * rng.normal(size=600)
    noise = pooled_deviation(y, groups)
    assert noise.sd == pytest.approx(0.2, rel=0.1)
    assert (noise.source, noise.n) == ("replicates", 400)


def test_without_replicates_there_is_no_pooled_deviation():
    noise = pooled_deviation([1, 2, 3], ["a", "b", "c"])
    assert np.isnan(noise.sd)
    assert (noise.source, noise.n) == ("none", 0)
    assert pooled_deviation([], []).source == "none"


def test_residuals_give_an_upper_guess_in_the_good_region():
    rng = np.random.default_rng(1)
    x = rng.random((400, 3))
    y = -((x[:, 0] - 0.5) ** 2) + 0.1 * rng.normal(size=400)
    y[rng.random(400) < 0.05] = -50.0  # failures mustn't count as noise
    noise = RetrainingNoise()(x, y, [0, 0, 0])
    assert noise.source == "residuals"
    assert 0.07 < noise.sd < 0.25


def test_replicates_win_where_there_are_enough():
    rng = np.random.default_rng(2)
    x, y = rng.random((60, 2)), rng.normal(size=60)
    few = np.arange(60)
    few[1] = 0
    assert RetrainingNoise()(x, y, [0, 0], few).source == "residuals"
    assert RetrainingNoise()(x, y, [0, 0], np.arange(60) // 2).source == "replicates"
    assert RetrainingNoise()(x[:10], y[:10], [0, 0]).source == "none"


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_noise_without_replicates_is_right_within_a_factor(noise):
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = np.column_stack([rng.random((100, 2)), rng.integers(0, 3, 100)])
        # A plain slope: the noise is the same at the top as elsewhere.
        y = x[:, 0] + 0.5 * (x[:, 2] == 1) + rng.normal(0, noise, 100)
        found.append(RetrainingNoise()(x, y, [0, 0, 3]).sd)
    assert noise / 2 < np.median(found) < 2 * noise


def test_noise_is_in_units_of_the_metric_and_read_off_near_the_top():
    rng = np.random.default_rng(5)
    x = rng.random((120, 2))
    y = x[:, 0] + 0.1 * rng.normal(size=120)
    plain = RetrainingNoise()(x, y, [0, 0])
    scaled = RetrainingNoise()(x, 1000 * y - 7, [0, 0])
    assert scaled.sd == pytest.approx(1000 * plain.sd, rel=1e-6)
    # The same ranks, so the same fit; but the best values lie a hundred times closer together.
    saturated = RetrainingNoise()(x, np.where(y > 0.8, 0.8 + (y - 0.8) / 100, y), [0, 0])
    assert saturated.sd < plain.sd / 20


def test_noise_is_at_most_what_explains_the_spread_of_the_best_tenth():
    rng = np.random.default_rng(6)
    x, y = rng.random((80, 2)), rng.normal(size=80)
    found = RetrainingNoise()(x, y, [0, 0])
    assert found.n == 80
    assert 0.5 < found.sd < 1.5
    best = np.sort(y)[-8:]
    assert found.sd <= best.std() / 0.4117 + 1e-12
    assert RetrainingNoise()(x, np.zeros(80), [0, 0]).sd == 0


def test_same_seed_same_noise():
    rng = np.random.default_rng(3)
    x, y = rng.random((3000, 2)), rng.normal(size=3000)
    assert RetrainingNoise(rows=50)(x, y, [0, 0]) == RetrainingNoise(rows=50)(x, y, [0, 0])


@pytest.mark.parametrize("skewed", [False, True])
def test_the_honest_best_is_nearly_unbiased(skewed):
    rng = np.random.default_rng(4)
    plain, honest = [], []
    for seed in range(150):
        truth = rng.normal(size=100)
        if skewed:
            truth[rng.random(100) < 0.2] = -30.0
        y = truth + rng.normal(size=100)
        result = Optimism(seed=seed)(y, 1.0)
        plain.append(result.best - truth[y.argmax()])
        honest.append(result.honest - truth[y.argmax()])
    assert np.mean(plain) > 1.3
    assert abs(np.mean(honest)) < 0.4


def test_optimism_needs_values_and_a_noise():
    assert Optimism()([1.0, 2.0, 3.0], 0.0) == (3.0, 0.0, 3.0, 3)
    assert Optimism()([1.0] * 50, 0.5).expected > 0.5
    with pytest.raises(AnalysisError, match="at least one trial is needed"):
        Optimism()([], 1.0)
    with pytest.raises(AnalysisError, match="sd: must be finite and >= 0, got -1"):
        Optimism()([1.0], -1)


def test_level_best_values_give_zero_and_not_its_negative():
    at = np.linspace(0, 1, 12)
    x = np.array([[a, b] for a in at for b in at])
    y = -np.abs(x[:, 0] - x[:, 1])
    order = np.lexsort((*x.T, y))
    found = RetrainingNoise()(x[order], y[order], [0, 0])
    assert found.source == "residuals"
    assert found.sd == 0
    assert math.copysign(1.0, found.sd) == 1.0
