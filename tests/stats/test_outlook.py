"""What a child will show: intervals that hold about as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from refine.errors import AnalysisError
from refine.stats.posterior import MixedPosterior
from refine.stats.resolution import left_over
from refine.stats.simulation import ChildForecast

SMALL = MixedPosterior(forest_draws=60, process_draws=60, trees=60, kernels=2, features=200)


def _truth(x):
    return x[:, 0] - (x[:, 1] - 0.5) ** 2


def _round(n, seed, low=0.0):
    rng = np.random.default_rng(seed)
    x = low + (1 - low) * rng.random((n, 3))
    return x, _truth(x) + 0.1 * rng.normal(size=n)


@pytest.mark.nightly
@pytest.mark.slow
def test_intervals_hold_what_comes():
    held = []
    for seed in range(12):
        x, y = _round(80, seed)
        cells = _round(200, 100 + seed, low=0.5)[0]
        posterior = SMALL(x, y, cells, [0, 0, 0])
        found = ChildForecast(repeats=200)(posterior, left_over(x, y, [0, 0, 0]), 30)
        z = _round(30, 200 + seed, low=0.5)[1]
        for quantiles, value in ((found.median, np.median(z)), (found.best, z.max())):
            low, high = np.interp([0.05, 0.95], found.levels, quantiles)
            held.append(low <= value <= high)
            assert high - low < 1.0
    assert np.mean(held) > 0.7


@pytest.mark.slow
def test_better_cells_promise_more_and_more_trials_a_better_best():
    x, y = _round(80, 1)
    cells = _round(300, 2)[0]
    posterior, left = SMALL(x, y, cells, [0, 0, 0]), left_over(x, y, [0, 0, 0])
    run = ChildForecast(repeats=200)
    good = run(posterior._replace(scores=posterior.scores[:, cells[:, 0] > 0.7]), left, 20)
    anywhere = run(posterior, left, 20)
    assert good.median[4] > anywhere.median[4]
    assert run(posterior, left, 100).best[4] > run(posterior, left, 5).best[4]
    assert np.all(np.diff(good.median) >= 0)
    assert np.all(np.array(good.best) >= np.array(good.median))
    assert run(posterior, left, 20) == anywhere
    assert run(posterior, left, 300, all_cells=True).n == 300


def test_left_over():
    x, y = _round(100, 3)
    left = left_over(x, y, [0, 0, 0])
    assert left.expected.size == 100
    assert np.corrcoef(left.expected, left.score)[0, 1] > 0.8
    assert np.all((left.share > 0) & (left.share <= 1))


@pytest.mark.slow
def test_errors():
    x, y = _round(40, 4)
    posterior, left = SMALL(x, y, x, [0, 0, 0]), left_over(x, y, [0, 0, 0])
    with pytest.raises(AnalysisError, match="n: must be"):
        ChildForecast()(posterior, left, 0)


@pytest.mark.slow
def test_noise_of_trees_and_what_a_model_does_not_know_are_left_out():
    x, y = _round(80, 5)
    posterior, left = SMALL(x, y, _round(200, 6, low=0.5)[0], [0, 0, 0]), left_over(x, y, [0, 0, 0])
    run = ChildForecast(repeats=200)
    shuffled = posterior.scores.copy()
    shuffled[: posterior.forest] = 0
    assert run(posterior._replace(scores=shuffled), left, 20) == run(posterior, left, 20)
    half = left._replace(share=left.share / 2)
    assert np.ptp(run(posterior, half, 20).best) < np.ptp(run(posterior, left, 20).best)
