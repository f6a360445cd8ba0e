"""The draws know where the optimum is, and state risks that come true."""

from __future__ import annotations

import numpy as np
import pytest

from refine.errors import AnalysisError
from refine.stats import Axis, Forest, box_for_risk, contains, retention


def _bowl(n, seed, d=4, noise=0.05):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 8, (n, d)) / 7
    x[:, 0] = rng.integers(0, 3, n)
    return x, _truth(x) + noise * rng.normal(size=n)


def _truth(x):
    return -((x[:, 1] - 0.3) ** 2) - (x[:, 2] - 1.0) ** 2 + 0.5 * (x[:, 0] == 1)


CARD = [3, 0, 0, 0]
AXES = [Axis(np.arange(3.0), unordered=True), *[Axis(np.arange(8) / 7)] * 3]


def test_votes_gather_at_the_optimum():
    x, y = _bowl(200, 0)
    cells = _bowl(1500, 1)[0]
    plausible = Forest(groups=60)(x, y, cells, CARD)
    assert plausible.votes.shape == (60, 3)
    assert plausible.draws.shape == (60, 1500)
    voted = cells[plausible.votes.ravel()]
    assert np.mean(voted[:, 0] == 1) > 0.9
    assert np.mean(np.abs(voted[:, 1] - 0.3) < 0.3) > 0.9
    assert np.mean(voted[:, 2] > 0.7) > 0.9
    assert plausible.draws.min() >= y.min()
    assert plausible.draws.max() <= y.max()


def test_votes_are_ordered_and_seeded():
    x, y = _bowl(80, 2)
    cells = _bowl(900, 3)[0]
    one, two = (Forest(groups=10, share=0.01)(x, y, cells, CARD) for _ in range(2))
    assert np.array_equal(one.votes, two.votes)
    values = np.take_along_axis(one.draws, one.votes, axis=1)
    assert np.all(np.diff(values, axis=1) <= 1e-6)
    other = Forest(groups=10, share=0.01, seed=1)(x, y, cells, CARD)
    assert not np.array_equal(one.votes, other.votes)


def test_large_rounds_are_thinned_and_failures_do_not_matter():
    x, y = _bowl(6000, 4)
    y[::10] = -1e6
    cells = _bowl(800, 5)[0]
    plausible = Forest(groups=10, rows=500)(x, y, cells, CARD)
    assert np.mean(cells[plausible.votes.ravel(), 0] == 1) > 0.9


def test_retention_counts_draws():
    draws = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    only_last = np.array([False, False, True])
    assert retention(draws, only_last, 0.0).probability == pytest.approx(2.5 / 4)
    assert retention(draws, only_last, 2.0).probability == pytest.approx(3.5 / 4)
    assert retention(draws, np.zeros(3, bool), 9.0).probability == pytest.approx(0.5 / 4)
    with pytest.raises(AnalysisError, match="epsilon: must be >= 0, got -1"):
        retention(draws, only_last, -1)
    with pytest.raises(AnalysisError, match=r"need shapes \(g, c\) and \(c,\)"):
        retention(draws, [True], 0)


def test_claims_of_95_percent_come_true():
    held, kept = 0, []
    for seed in range(16):
        x, y = _bowl(120, 100 + seed)
        cells = _bowl(1000, 200 + seed)[0]
        best = x[np.argsort(-y)[:3]]
        plausible = Forest(groups=40, seed=seed)(x, y, cells, CARD)
        box, claim = box_for_risk(plausible, cells, AXES, 0.05, 0.05, keep=best)
        assert claim.probability >= 0.95
        inside = contains(box, AXES, cells)
        held += _truth(cells[inside]).max() >= _truth(cells).max() - 0.05
        kept.append(box.kept)
        assert contains(box, AXES, best).all()
    assert held >= 14
    assert np.mean(kept) < 0.6


def test_more_risk_is_a_smaller_box():
    x, y = _bowl(150, 7)
    cells = _bowl(1000, 8)[0]
    plausible = Forest(groups=60)(x, y, cells, CARD)
    sizes = [box_for_risk(plausible, cells, AXES, 0.02, risk)[0].kept for risk in (0.02, 0.1, 0.3, 0.6)]
    assert sizes == sorted(sizes, reverse=True)
    wider = box_for_risk(plausible, cells, AXES, 0.02, 0.3, margin=1)[0]
    assert wider.kept >= sizes[2]
    bold = box_for_risk(plausible, cells, AXES, 0.02, 0.1, cover=0.0)[0]
    assert bold.kept <= sizes[1]
    with pytest.raises(AnalysisError, match=r"cover: must lie in \[0, 1\], got 2"):
        box_for_risk(plausible, cells, AXES, 0.02, 0.1, cover=2.0)


def test_too_little_evidence_is_an_error():
    with pytest.raises(AnalysisError, match="at least 5 trials and 1 candidate are needed, got 3"):
        Forest()(np.ones((3, 1)), [1, 2, 3], np.ones((5, 1)), [0])
