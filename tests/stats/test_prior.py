"""A prior mean: what it moves, and whether trials are more probable with it than with its opposite."""

from __future__ import annotations

import numpy as np
import pytest

from refine import stats


def sample(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n, 3))
    y = -8 * (X[:, 0] - 0.3) ** 2 - X[:, 1] + 0.1 * rng.normal(size=n)
    return X, y


def bump(X, at, height=1.0):
    return -height * np.sum((X[:, :2] - at) ** 2, axis=1)


@pytest.mark.slow
def test_trials_are_more_probable_with_what_is_right_however_loudly_it_is_said():
    for seed in range(2):
        X, y = sample(seed=seed)
        for height in (0.5, 5.0):
            good, wrong = (
                stats.PriorEvidence()(X, y, bump(X, at, height), [0, 0, 0]) for at in ((0.3, 0), (1, 1))
            )
            assert good > height > -height > wrong


@pytest.mark.slow
def test_the_opposite_has_the_opposite_ratio_and_the_order_of_rows_says_nothing():
    X, y = sample()
    assert stats.PriorEvidence()(X, y, np.full(60, 2.0), [0, 0, 0]) == 0
    thought = bump(X, (1, 1))
    found = stats.PriorEvidence()(X, y, thought, [0, 0, 0])
    assert stats.PriorEvidence()(X, y, -thought, [0, 0, 0]) == pytest.approx(-found)
    rows = np.random.default_rng(1).permutation(60)
    assert stats.PriorEvidence()(X[rows], y[rows], thought[rows], [0, 0, 0]) == pytest.approx(found)


@pytest.mark.slow
def test_both_halves_of_the_posterior_begin_with_it_and_follow_the_trials():
    X, y = sample()
    cells = np.concatenate([X[:20] + 1e-6, X[:20] + 5.0])
    posterior = stats.MixedPosterior(forest_draws=40, process_draws=40, trees=40)
    plain = posterior(X, y, cells, [0, 0, 0])
    everywhere = posterior(X, y, cells, [0, 0, 0], prior=(np.ones(60), np.ones(40)))
    assert everywhere.mean[:20] == pytest.approx(plain.mean[:20], abs=0.3)  # trials outweigh it
    elsewhere = posterior(X, y, cells, [0, 0, 0], prior=(np.zeros(60), np.r_[np.zeros(20), np.ones(20)]))
    assert elsewhere.mean[:20] == pytest.approx(plain.mean[:20])
    assert elsewhere.mean[20:] == pytest.approx(plain.mean[20:] + 1)
    assert elsewhere.scores[:, 20:].mean() > plain.scores[:, 20:].mean() + 0.5
    assert elsewhere.known_mean == pytest.approx(plain.known_mean)
