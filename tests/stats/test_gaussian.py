"""Gaussian process: its gradient, its noise, and where its picks go."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from scipy.special import ndtri
from scipy.stats import rankdata

from refine.errors import AnalysisError
from refine.stats import PosteriorPaths
from refine.stats._common import thinned
from refine.stats.gaussian import _fit, _gaps, unexplained


def smooth(seed: int, n: int = 60):
    """Best at (0.3, 0.7); the third column does nothing."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 3))
    return x, -((x[:, 0] - 0.3) ** 2) - (x[:, 1] - 0.7) ** 2 + rng.normal(0, 0.01, n)


@pytest.fixture
def loss(monkeypatch):
    """What a fit minimises, with its gradient."""
    found = []
    real = scipy.optimize.minimize

    def spy(function, start, **options):
        found.append(function)
        return real(function, start, **options)

    monkeypatch.setattr(scipy.optimize, "minimize", spy)
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.random((25, 2)), rng.integers(0, 3, 25)])
    _fit(_gaps(x, x, [0, 0, 3]), rng.normal(size=25))
    return found[0]


@pytest.mark.parametrize("at", [np.zeros(5), np.array([-1.0, 1.2, 0.3, 0.5, -2.0])])
def test_the_gradient_is_that_of_finite_differences(loss, at):
    value, slope = loss(at)
    assert np.isfinite(value)
    step = 1e-5
    numeric = [(loss(at + step * e)[0] - loss(at - step * e)[0]) / (2 * step) for e in np.eye(5)]
    assert slope == pytest.approx(numeric, rel=1e-5, abs=1e-6)


def test_a_column_that_does_nothing_gets_a_longer_length():
    x, y = smooth(1)
    fit = _fit(_gaps(x, x, [0, 0, 0]), ndtri((rankdata(y) - 0.5) / y.size))
    assert fit.lengths[2] > 2 * fit.lengths[:2].max()


def test_picks_lie_near_the_optimum_and_differ():
    x, y = smooth(2)
    cells = np.random.default_rng(3).random((400, 3))
    picks = PosteriorPaths()(x, y, cells, [0, 0, 0], 20)
    assert len(set(picks.tolist())) == 20
    near = np.hypot(cells[:, 0] - 0.3, cells[:, 1] - 0.7)
    assert np.median(near[picks]) < 0.25 * np.median(near)


def test_unordered_columns_are_no_scale():
    rng = np.random.default_rng(4)
    x = np.column_stack([rng.integers(0, 5, 80), rng.random(80)]).astype(float)
    y = 2.0 * (x[:, 0] == 2) - (x[:, 1] - 0.5) ** 2 + rng.normal(0, 0.05, 80)
    cells = np.column_stack([np.tile(np.arange(5), 40), np.repeat(np.arange(40) / 39, 5)]).astype(float)
    picks = PosteriorPaths()(x, y, cells, [5, 0], 12)
    assert (cells[picks, 0] == 2).mean() >= 0.9


def test_equal_seeds_pick_alike_and_others_do_not():
    x, y = smooth(5)
    cells = np.random.default_rng(6).random((300, 3))
    one, same, other = (PosteriorPaths(seed=s)(x, y, cells, [0, 0, 0], 10).tolist() for s in (1, 1, 2))
    assert one == same
    assert one != other


def test_no_more_is_picked_than_there_is():
    x, y = smooth(7)
    cells = np.random.default_rng(8).random((6, 3))
    assert sorted(PosteriorPaths()(x, y, cells, [0, 0, 0], 50)) == [0, 1, 2, 3, 4, 5]
    few = PosteriorPaths(candidates=4)(x, y, np.repeat(cells, 5, axis=0), [0, 0, 0], 12)
    assert len(set(few.tolist())) == 12  # as many as asked for, also above `candidates`


def test_constant_values_repeated_cells_and_large_evidence_are_no_problem():
    rng = np.random.default_rng(9)
    cells = np.repeat(rng.random((4, 2)), 10, axis=0)
    assert len(set(PosteriorPaths()(rng.random((30, 2)), np.zeros(30), cells, [0, 0], 9).tolist())) == 9
    x, y = smooth(10, 700)
    picks = PosteriorPaths(rows=60)(x, y, rng.random((200, 3)), [0, 0, 0], 5)
    assert len(set(picks.tolist())) == 5


def test_thinning_keeps_the_best_quarter():
    values = np.random.default_rng(11).normal(size=500)
    rows = thinned(values, 40, np.random.default_rng(0))
    assert len(set(rows.tolist())) == 40
    assert set(np.argsort(-values)[:10].tolist()) <= set(rows.tolist())
    assert thinned(values[:30], 40, np.random.default_rng(0)).tolist() == list(range(30))


@pytest.mark.parametrize("noise", [0.1, 0.3, 1.0])
def test_noise_is_recovered_within_a_factor(noise):
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = rng.random((70, 2))
        signal = np.sin(3 * x[:, 0]) - (x[:, 1] - 0.4) ** 2 * 3
        signal = (signal - signal.mean()) / signal.std()
        found.append(unexplained(x, signal + rng.normal(0, noise, 70), [0, 0]))
    assert noise / 1.6 < np.median(found) < noise * 1.6


def test_misuse_says_what_is_wrong():
    x, y = smooth(12)
    with pytest.raises(AnalysisError, match="at least 5 trials and 1 candidate are needed, got 4 and 60"):
        PosteriorPaths()(x[:4], y[:4], x, [0, 0, 0], 3)
    with pytest.raises(AnalysisError, match="at least 5 trials and 1 candidate are needed, got 60 and 0"):
        PosteriorPaths()(x, y, x[:0], [0, 0, 0], 3)
    with pytest.raises(AnalysisError, match=r"candidates: needs shape \(n, 3\)"):
        PosteriorPaths()(x, y, x[:, :2], [0, 0, 0], 3)
    with pytest.raises(AnalysisError, match="n: must be a whole number >= 1, got 0"):
        PosteriorPaths()(x, y, x, [0, 0, 0], 0)
    with pytest.raises(AnalysisError, match="rows: must be a whole number >= 20, got 5"):
        PosteriorPaths(rows=5)
