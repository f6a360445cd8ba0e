"""Coupling is found on a ridge and not on additive slopes."""

import numpy as np
import pytest

from refine.stats import Interactions


def _alarms(make, n, rounds, d=5, check=None):
    rng = np.random.default_rng(n)
    alarms = []
    for seed in range(rounds):
        x = rng.random((n, d))
        if check:
            for j, k in enumerate(check):
                if k:
                    x[:, j] = rng.integers(0, k, n)
        pairs = Interactions(seed=seed)(x, make(x, rng), check or [0] * d)
        alarms.append([pair.q <= 0.1 for pair in pairs])
    return np.array(alarms)


@pytest.mark.slow
def test_a_ridge_is_found():
    ridge = _alarms(lambda x, rng: -((x[:, 0] - x[:, 1]) ** 2) + 0.05 * rng.normal(size=len(x)), 250, 20)
    assert ridge[:, 0].mean() >= 0.9
    assert ridge[:, 1:].mean() <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    "surface", [lambda x: x[:, 0] + x[:, 1], lambda x: -((x[:, 0] - 0.5) ** 2), lambda x: 0 * x[:, 0]]
)
def test_additive_surfaces_raise_no_alarm(surface):
    alarms = _alarms(lambda x, rng: surface(x) + 0.1 * rng.normal(size=len(x)), 250, 20)
    assert alarms.any(axis=1).mean() <= 0.25
    assert alarms.mean() <= 0.03


def test_a_choice_that_moves_the_optimum_is_found():
    def shifted(x, rng):
        return -((x[:, 1] - np.where(x[:, 0] == 0, 0.2, 0.8)) ** 2) + 0.02 * rng.normal(size=len(x))

    alarms = _alarms(shifted, 300, 10, d=4, check=[2, 0, 0, 3])
    assert alarms[:, 0].mean() >= 0.9
    assert alarms[:, 1:].mean() <= 0.1


def test_too_few_best_trials_judge_nothing():
    pairs = Interactions()(np.random.default_rng(0).random((30, 3)), np.arange(30.0), [0, 0, 0])
    assert [(pair.i, pair.j, pair.p) for pair in pairs] == [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0)]
