"""What rounds that are yet to run would bring, on posteriors whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from refine.errors import AnalysisError
from refine.stats import Batch, MixedPosterior, NextRound, RoundsAhead, RunsAgain, conditioned


def posterior_over(value, run, cells, noise=0.0, seed=0):
    """The posterior of a function of one parameter, over what was run and over cells, and which was run."""
    rng = np.random.default_rng(seed)
    X = np.asarray(run, dtype=float)[:, None]
    y = value(X[:, 0]) + noise * rng.standard_normal(len(X))
    candidates = np.concatenate([X, np.asarray(cells, dtype=float)[:, None]])
    found = MixedPosterior(forest_draws=100, process_draws=100)(X, y, candidates, [0])
    return found, np.arange(len(candidates)) < len(X)


def bowl(x):
    return -((x - 0.7) ** 2)


@pytest.mark.slow
def test_a_gap_at_the_optimum_is_worth_a_round_and_a_fine_grid_is_not():
    cells = np.linspace(0.005, 0.995, 100)
    coarse = posterior_over(bowl, np.linspace(0, 0.45, 10), cells)
    fine = posterior_over(bowl, np.linspace(0, 1, 60), cells)
    batch = Batch(10, 10)
    gain, none = (NextRound()(*p, 0.05, batch) for p in (coarse, fine))
    assert gain.mean() > 20 * abs(none.mean())
    assert np.mean(gain > 0.01) > 0.4
    assert np.mean(none > 0.01) < 0.02


def test_more_trials_bring_more_and_none_bring_nothing():
    found = posterior_over(bowl, np.linspace(0, 0.45, 10), np.linspace(0.005, 0.995, 100))
    gains = [NextRound()(*found, 0.05, Batch(n, 0)).mean() for n in (1, 5, 25)]
    assert gains == sorted(gains)
    assert np.array_equal(NextRound()(*found, 0.05, Batch(0, 0)), np.zeros(12 * 160))


@pytest.mark.slow
def test_rounds_go_on_from_what_the_one_before_showed():
    found = posterior_over(bowl, np.linspace(0, 0.45, 10), np.linspace(0.005, 0.995, 100))
    values = RoundsAhead(truths=60)(*found, 0.05, [Batch(3, 3)] * 3)
    assert values.shape == (60, 4)
    means = values.mean(axis=0)
    assert means[0] < means[1] < means[3]
    once, twice = (RoundsAhead(seed=s)(*found, 0.05, [Batch(3, 3)]) for s in (3, 3))
    assert np.array_equal(once, twice)
    assert not np.array_equal(once, RoundsAhead(seed=4)(*found, 0.05, [Batch(3, 3)]))


@pytest.mark.slow
def test_runs_again_pay_where_noise_hides_the_best():
    cells = np.linspace(0.005, 0.995, 50)
    noisy = posterior_over(bowl, np.linspace(0, 1, 20), cells, noise=0.2)
    clean = posterior_over(bowl, np.linspace(0, 1, 20), cells)
    again = RunsAgain()(*noisy, 0.7, 30).mean()
    assert again > 2 * RunsAgain()(*clean, 0.01, 30).mean()
    assert again > RunsAgain()(*noisy, 0.7, 1).mean()


def test_conditioning_is_the_gaussian_one():
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    draws = rng.multivariate_normal(np.zeros(3), covariance, 200_000)
    shown = 2.0 + 0.5 * rng.standard_normal((len(draws), 1))
    moved = conditioned(draws, np.array([0]), shown, np.array([0.25]))
    assert moved.mean(axis=0) == pytest.approx([2 / 1.25, 0.8 * 2 / 1.25, 0.0], abs=0.02)
    assert moved.var(axis=0) == pytest.approx([1 - 1 / 1.25, 1 - 0.64 / 1.25, 1.0], abs=0.02)


@pytest.mark.slow
def test_what_is_asked_for_is_checked():
    found, run = posterior_over(bowl, np.linspace(0, 1, 10), [0.5])
    with pytest.raises(AnalysisError, match="known: needs shape"):
        NextRound()(found, run[:-1], 0.1, Batch(1, 0))
    with pytest.raises(AnalysisError, match="known: needs shape"):
        NextRound()(found, np.zeros_like(run), 0.1, Batch(1, 0))
    with pytest.raises(AnalysisError, match="noise: must be"):
        RoundsAhead()(found, run, -1.0, [Batch(1, 0)])
    with pytest.raises(AnalysisError, match="truths"):
        NextRound(truths=0)
