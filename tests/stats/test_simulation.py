"""Simulated outcomes of future trials on posteriors with a known answer, and the allocation of repeats."""

import numpy as np
import pytest

from refine.stats import (
    Batch,
    KnowledgeGradient,
    MixedPosterior,
    NextRound,
    RunsAgain,
    conditioned,
)
from refine.stats.resolution import left_over
from refine.stats.simulation import ChildForecast


def posterior_over(value, run, cells, noise=0.0, seed=0):
    """The posterior of a function of one parameter, over what was run and over cells, and which was run."""
    rng = np.random.default_rng(seed)
    X = np.asarray(run, dtype=float)[:, None]
    y = value(X[:, 0]) + noise * rng.standard_normal(len(X))
    candidates = np.concatenate([X, np.asarray(cells, dtype=float)[:, None]])
    posterior = MixedPosterior(forest_draws=100, process_draws=100)(X, y, candidates, [0])
    return posterior, np.arange(len(candidates)) < len(X)


def bowl(x):
    return -((x - 0.7) ** 2)


@pytest.mark.slow
def test_a_gap_at_the_optimum_is_worth_a_round_and_a_fine_grid_is_not():
    cells = np.linspace(0.005, 0.995, 100)
    coarse = posterior_over(bowl, np.linspace(0, 0.45, 10), cells)
    fine = posterior_over(bowl, np.linspace(0, 1, 60), cells)
    batch = Batch(10, 10)
    gain_of_coarse, gain_of_fine = (NextRound()(*p, 0.05, batch) for p in (coarse, fine))
    assert gain_of_coarse.mean() > 20 * abs(gain_of_fine.mean())
    assert np.mean(gain_of_coarse > 0.01) > 0.4
    assert np.mean(gain_of_fine > 0.01) < 0.02


def test_more_trials_bring_more_and_none_bring_nothing():
    posterior = posterior_over(bowl, np.linspace(0, 0.45, 10), np.linspace(0.005, 0.995, 100))
    gains = [NextRound()(*posterior, 0.05, Batch(n, 0)).mean() for n in (1, 5, 25)]
    assert gains == sorted(gains)
    assert np.array_equal(NextRound()(*posterior, 0.05, Batch(0, 0)), np.zeros(12 * 160))


@pytest.mark.slow
def test_runs_again_pay_where_noise_hides_the_best():
    cells = np.linspace(0.005, 0.995, 50)
    noisy = posterior_over(bowl, np.linspace(0, 1, 20), cells, noise=0.2)
    clean = posterior_over(bowl, np.linspace(0, 1, 20), cells)

    def gain(study, *options):
        return np.mean([RunsAgain(seed=seed)(*study, *options).mean() for seed in range(6)])

    assert gain(noisy, 0.7, 30) > 1.5 * gain(clean, 0.01, 30)
    assert gain(noisy, 0.7, 30) > gain(noisy, 0.7, 1)


def test_conditioning_is_the_gaussian_one(rng):
    covariance = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    draws = rng.multivariate_normal(np.zeros(3), covariance, 200_000)
    shown = 2.0 + 0.5 * rng.standard_normal((len(draws), 1))
    moved = conditioned(draws, np.array([0]), shown, np.array([0.25]))
    assert moved.mean(axis=0) == pytest.approx([2 / 1.25, 0.8 * 2 / 1.25, 0.0], abs=0.02)
    assert moved.var(axis=0) == pytest.approx([1 - 1 / 1.25, 1 - 0.64 / 1.25, 1.0], abs=0.02)


SMALL = MixedPosterior(forest_draws=60, process_draws=60, trees=60, kernels=2, features=200)


def _truth(x):
    return x[:, 0] - (x[:, 1] - 0.5) ** 2


def _round(n, seed, low=0.0):
    rng = np.random.default_rng(seed)
    x = low + (1 - low) * rng.random((n, 3))
    return x, _truth(x) + 0.1 * rng.normal(size=n)


@pytest.mark.nightly
def test_forecast_intervals_cover_later_rounds():
    covered = []
    for seed in range(12):
        x, y = _round(80, seed)
        cells = _round(200, 100 + seed, low=0.5)[0]
        posterior = SMALL(x, y, cells, [0, 0, 0])
        forecast = ChildForecast(repeats=200)(posterior, left_over(x, y, [0, 0, 0]), 30)
        z = _round(30, 200 + seed, low=0.5)[1]
        for quantiles, value in ((forecast.median, np.median(z)), (forecast.best, z.max())):
            low, high = np.interp([0.05, 0.95], forecast.levels, quantiles)
            covered.append(low <= value <= high)
            assert high - low < 1.0
    assert np.mean(covered) > 0.7


@pytest.mark.slow
def test_better_cells_promise_more_and_more_trials_a_better_best():
    x, y = _round(80, 1)
    cells = _round(300, 2)[0]
    posterior = SMALL(x, y, cells, [0, 0, 0])
    noise = left_over(x, y, [0, 0, 0])
    run = ChildForecast(repeats=200)
    good = run(posterior._replace(scores=posterior.scores[:, cells[:, 0] > 0.7]), noise, 20)
    anywhere = run(posterior, noise, 20)
    assert good.median[4] > anywhere.median[4]
    assert run(posterior, noise, 100).best[4] > run(posterior, noise, 5).best[4]
    assert np.all(np.diff(good.median) >= 0)
    assert np.all(np.array(good.best) >= np.array(good.median))
    assert run(posterior, noise, 20) == anywhere
    assert run(posterior, noise, 300, all_cells=True).n == 300


def test_runs_go_to_those_that_may_lead():
    allocation = KnowledgeGradient()([1.0, 0.9, -5.0], [0.1, 0.1, 0.1], 0.2, 10)
    assert (allocation.runs.sum(), allocation.runs[2]) == (10, 0)
    assert min(allocation.runs[:2]) >= 3
    assert allocation.gain > 0
    # What is known exactly gets none, noise of nothing needs one each, and where nothing is gained the
    # least known is run.
    assert KnowledgeGradient()([1.0, 0.9], [0.0, 0.1], 0.2, 6).runs.tolist() == [0, 6]
    assert KnowledgeGradient()([1.0, 0.9], [0.1, 0.1], 0.0, 2).runs.tolist() == [1, 1]
    assert KnowledgeGradient()([100.0, 0.0, 0.0], [0.1, 0.1, 0.3], 0.1, 2).runs[2] >= 1
    assert KnowledgeGradient()([1.0], [0.1], 0.1, 3).runs.tolist() == [3]
    # Shift and scale change nothing.
    mean = np.array([1.0, 0.8, 0.3])
    variance = np.array([0.05, 0.1, 0.2])
    unscaled = KnowledgeGradient()(mean, variance, 0.1, 9)
    scaled = KnowledgeGradient()(10 * mean + 3, 100 * variance, 10.0, 9)
    assert unscaled.runs.tolist() == scaled.runs.tolist()
    assert scaled.gain == pytest.approx(10 * unscaled.gain)


def test_gains_on_new_data_spread_more_and_lose_the_luck_of_the_choice():
    posterior = posterior_over(bowl, np.linspace(0, 0.45, 10), np.linspace(0.005, 0.995, 100))
    columns = len(posterior[1])
    deviations = 0.02 * np.random.default_rng(0).standard_normal((200, columns))
    no_deviations = np.zeros((200, columns))
    batch = Batch(10, 10)
    plain, unmoved, moved = (
        NextRound()(*posterior, 0.05, batch, shift) for shift in (None, no_deviations, deviations)
    )
    assert unmoved.mean() == pytest.approx(plain.mean(), abs=0.003)
    assert moved.var() > plain.var() + 0.02**2
    assert moved.mean() < plain.mean() - 0.002
