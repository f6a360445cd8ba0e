"""Draws on the scale of values: regions far from the best after learning trials, logarithms, repeats."""

import numpy as np
import pytest

from refine import stats
from refine.errors import AnalysisError
from refine.stats.value_process import ValueScale

CELLS = np.linspace(0.0, 1.0, 41)[:, None]


def _value(x):
    return 0.85 - 1.5 * (x - 0.5) ** 2


def test_values_far_from_the_best_keep_their_distance_after_learning_trials():
    rng = np.random.default_rng(3)
    even = np.linspace(0.04, 0.96, 8)
    x = np.r_[even, rng.uniform(0.45, 0.55, 40)]
    y = _value(x) + rng.normal(0, 0.006, len(x))
    drawn = stats.ValueProcess()(x[:, None], y, CELLS, [0], even=np.arange(len(x)) < 8)
    outside = CELLS[:, 0] <= 0.2
    cost = drawn[:, ~outside].max(axis=1) - drawn[:, outside].max(axis=1)
    low, high = np.quantile(cost, [0.05, 0.95])
    assert low <= 0.135 <= high  # the true cost
    assert high - low < 0.1


def test_crowded_trials_do_not_raise_the_expectation_of_an_unseen_region(rng):
    sparse = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.25])
    y = rng.normal(-1.0, 0.3, len(sparse))
    crowd = np.full(60, 0.25) + rng.uniform(-0.003, 0.003, 60)
    crowd_y = y[-1] + 1.0 + rng.normal(0, 0.05, 60)
    X = np.r_[sparse, crowd][:, None]
    even = np.arange(len(X)) < len(sparse)
    drawn = stats.ValueProcess()(X, np.r_[y, crowd_y], CELLS, [0], even=even)
    unseen = drawn[:, CELLS[:, 0] > 0.9].mean()
    assert unseen < np.r_[y, crowd_y].mean() - 0.2


def test_the_scale_and_its_inverse_agree():
    rng = np.random.default_rng(1)
    values = np.r_[rng.normal(size=50), -40.0]
    scale = ValueScale.of(values, np.ones(51, dtype=bool), on_log=False)
    assert scale.back(scale.to(values)) == pytest.approx(values)
    assert np.ptp(scale.to(values)) < np.ptp(values) / 3
    losses = -np.exp(values)
    scale = ValueScale.of(losses, np.ones(51, dtype=bool), on_log=True)
    assert scale.back(scale.to(losses)) == pytest.approx(losses)


def test_losses_on_a_log_scale_are_never_negative():
    x = np.linspace(0.0, 1.0, 15)
    loss = 10 ** (6 * (x - 0.4) ** 2 - 3)
    drawn = stats.ValueProcess()(x[:, None], -loss, CELLS, [0], on_log=True)
    assert (drawn < 0).all()


def test_values_without_noise_are_drawn_as_they_are():
    x = CELLS[::4, 0]
    drawn = stats.ValueProcess()(x[:, None], _value(x), CELLS, [0], exact=True)
    assert np.abs(drawn[:, ::4] - _value(x)).max() < 1e-12
    assert drawn[:, 1].std() > 0


def test_repeats_of_a_configuration_make_its_value_more_certain():
    rng = np.random.default_rng(2)
    x = np.linspace(0.0, 1.0, 12)
    y = rng.normal(size=12)
    once = stats.ValueProcess(kernels=1)(x[:, None], y, CELLS[:1], [0])
    repeated = np.r_[x, np.zeros(30)]
    often = stats.ValueProcess(kernels=1)(repeated[:, None], np.r_[y, np.full(30, y[0])], CELLS[:1], [0])
    assert often.std() < once.std() / 2


def test_too_few_configurations_are_refused():
    with pytest.raises(AnalysisError, match="at least 5 different configurations are needed, got 2"):
        stats.ValueProcess()([[0.0], [0.5], [0.5]], [1.0, 2.0, 3.0], CELLS, [0])
