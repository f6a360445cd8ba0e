"""The smallest difference that matters: unbiased if noise is known, never below one step of the metric."""

import numpy as np
import pytest

from refine.errors import AnalysisError
from refine.stats.resolution import NoiseEstimate, TopNoise, floor_of, smallest_step, within_groups


def _round(n, seed, noise=0.1):
    rng = np.random.default_rng(seed)
    x = rng.random((n, 4))
    truth = -((x[:, 0] - 0.4) ** 2) - 2 * np.abs(x[:, 1] - 0.9) ** 2 + 0.5 * x[:, 2]
    return x, truth, truth + noise * rng.normal(size=n)


@pytest.mark.nightly
def test_noise_is_unbiased_where_it_is_known():
    ratios = [
        TopNoise()(x, y, [0] * 4).sd / noise
        for noise in (0.03, 0.1)
        for n in (100, 250)
        for x, _, y in (_round(n, s, noise) for s in range(6))
    ]
    assert 0.7 < np.median(ratios) < 1.5
    assert min(ratios) > 0.3


@pytest.mark.slow
def test_failures_and_absurd_values_do_not_decide():
    x, _, y = _round(200, 1)
    plain = TopNoise()(x, y, [0] * 4).epsilon
    z = y.copy()
    z[y.argmax()] = 1e9
    z[np.argsort(y)[:20]] = -1e9
    assert TopNoise()(x, z, [0] * 4).epsilon < 3 * plain


@pytest.mark.slow
def test_the_noise_is_never_below_one_row_of_the_validation_set(rng):
    x, truth, _ = _round(100, 3)
    y = np.round(171 * (0.9 + 0.02 * truth) + 0.3 * rng.normal(size=100)) / 171
    noise = TopNoise()(x, y, [0] * 4)
    assert noise.step == pytest.approx(1 / 171)
    assert noise.epsilon >= 1 / 171 - 1e-12
    assert smallest_step(np.float32(y).astype(float)) == pytest.approx(1 / 171, rel=1e-3)
    for stepless in (rng.normal(size=500), np.array([1.0]), np.ones(10)):
        assert smallest_step(stepless) == 0.0


def test_replicates_win_where_there_are_enough():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(60), 3)
    y = rng.normal(size=60)[groups] + 0.2 * rng.normal(size=180)
    x = groups[:, None] / 60
    noise = TopNoise()(x, y, [0], groups)
    assert (noise.source, noise.n) == ("replicates", 120)
    assert noise.sd == pytest.approx(0.2, rel=0.15)
    y[7] = 1e9
    assert within_groups(y, groups)[0] < 0.6
    assert np.isnan(within_groups(y[:3], [0, 1, 2])[0])
    assert within_groups(np.ones(4), [0, 0, 1, 1]) == (0.0, 2)


def test_little_evidence_says_nothing():
    x, _, y = _round(11, 5)
    noise = TopNoise()(x, y, [0] * 4)
    assert noise.source == "none"
    assert np.isnan(noise.epsilon)
    tied = TopNoise()(x, np.round(y * 4) / 4, [0] * 4)
    assert (tied.source, tied.epsilon) == ("step", tied.step)
    flat = TopNoise()(np.random.default_rng(0).random((30, 4)), np.ones(30), [0] * 4)
    assert flat.epsilon == 0.0


@pytest.mark.parametrize(
    ("freedom", "share"), [(2.0, 0.61), (10.0, 0.80), (np.inf, 1.0), (0.0, 1.0)], ids=str
)
def test_the_tolerance_leaves_out_the_ignorance_of_the_noise(freedom, share):
    noise = NoiseEstimate(1.5, 0.0, "residuals", 24, freedom=freedom)
    assert noise.epsilon == pytest.approx(1.5 * share, rel=0.01)
    assert noise.sd == 1.5


def test_the_tolerance_is_at_least_the_floor():
    noise = NoiseEstimate(1.5, 0.0, "residuals", 24, floor=1.0, freedom=2.0)
    assert noise.tolerance() == (1.0, "range")


@pytest.mark.slow
def test_noise_is_measured_if_some_trials_did_not_read_a_parameter():
    x, _, y = _round(80, 6)
    read = np.ones(x.shape, bool)
    read[:40, 3] = False
    assert 0.03 < TopNoise()(x, y, [0] * 4, read=read).sd < 0.3
    with pytest.raises(AnalysisError, match="read"):
        TopNoise()(x, y, [0] * 4, read=read[:5])


def test_an_absurd_best_value_does_not_raise_the_floor():
    y = np.random.default_rng(0).normal(size=60)
    floor = floor_of(y)
    assert floor == pytest.approx(0.05 * (y.max() - np.median(y)))
    y[y.argmax()] = 1e9
    assert floor_of(y) == pytest.approx(floor, rel=0.2)
    assert floor_of(-3.0 * y + 7.0) == pytest.approx(3.0 * floor_of(-y))
    assert floor_of([1.0, 1.0, 1.0, 0.0]) == 0.0
    assert floor_of([]) == 0.0


def test_values_closer_than_a_step_show_that_there_is_none():
    coarse = np.tile(-np.round((np.arange(11) / 10 - 0.3) ** 2, 12), 3)
    assert smallest_step(coarse) == pytest.approx(0.01)
    for further in (coarse, np.array([])):
        assert smallest_step(coarse, further) == pytest.approx(0.01)
    assert smallest_step(coarse, np.append(coarse, -0.0001)) == 0.0
