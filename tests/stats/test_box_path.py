"""One path of nested boxes whose risks are counted, not guessed."""

import numpy as np
import pytest

from refine.stats import Axis
from refine.stats.box_path import RiskPath, levels_of
from refine.stats.posterior import Posterior

LEVELS = np.linspace(0.0, 1.0, 6)
AXES = [Axis(np.arange(3.0), unordered=True), Axis(LEVELS), Axis(LEVELS)]
CELLS = np.stack([a.ravel() for a in np.meshgrid(np.arange(3.0), LEVELS, LEVELS, indexing="ij")], axis=1)


def _posterior(scores):
    scores = np.asarray(scores, dtype=np.float32)
    knots = np.linspace(-4.0, 4.0, 9)
    mean = scores.mean(axis=0)
    return Posterior(
        scores=scores,
        forest=0,
        mean=mean,
        known=np.arange(len(mean)),
        known_mean=mean,
        knots=knots,
        values=knots,
        slope=1.0,
        n=len(mean),
    )


def _draws(count=200, seed=0, spread=0.1):
    rng = np.random.default_rng(seed)
    centre = np.array([0.6, 0.2]) + spread * rng.normal(size=(count, 2))
    choice = np.where(rng.random(count) < 0.97, 1, 2)
    gap = ((CELLS[None, :, 1:] - centre[:, None, :]) ** 2).sum(axis=2)
    return _posterior(-gap - 1.0 * (CELLS[None, :, 0] != choice[:, None]))


def _inside(box):
    index = levels_of(CELLS, AXES)
    return np.all([mask[index[:, j]] for j, mask in enumerate(box.keep)], axis=0)


def test_risks_are_those_of_the_draws():
    posterior = _draws()
    path = RiskPath(inside=1)(posterior, CELLS, AXES, epsilon=0.05)
    assert len(path.boxes) > 4
    values = posterior.scores
    for box in path.boxes[1:]:
        inside = _inside(box)
        lost = values[:, inside].max(axis=1) < values.max(axis=1) - 0.05 - 1e-6
        assert np.isclose(box.risk, (lost.sum() + 0.5) / 201)
        assert np.isclose(box.kept, inside.mean())
    assert path.boxes[0].kept == 1.0


def test_boxes_are_nested_and_each_stays_within_the_asked_risk():
    path = RiskPath(inside=1)(_draws(), CELLS, AXES, epsilon=0.02)
    for wide, narrow in zip(path.boxes[:-1], path.boxes[1:], strict=True):
        assert narrow.risk >= wide.risk
        assert narrow.kept < wide.kept
        assert all(not np.any(b & ~a) for a, b in zip(wide.keep, narrow.keep, strict=True))
    risks = (0.01, 0.05, 0.15, 0.3)
    menu = [path.at(risk) for risk in risks]
    assert all(box.risk <= risk for box, risk in zip(menu, risks, strict=True))
    assert menu[0].kept > menu[3].kept
    assert path.boxes[-1].risk <= 0.3
    # The second choice is the best one in 3 % of the draws: it goes at 0.05, and not at 0.01.
    assert menu[0].keep[0].sum() > menu[1].keep[0].sum() == 1


def test_an_axis_that_a_candidate_does_not_read_drops_it_from_no_box():
    posterior = _draws()
    read = np.ones(CELLS.shape, dtype=bool)
    # Half of the draws are best at choice 2, which doesn't read the last axis and stands at its first level.
    scores = np.array(posterior.scores)
    aside = (CELLS[:, 0] == 2) & (CELLS[:, 2] == 0)
    scores[::2, aside] += 2.0
    posterior = _posterior(scores)
    read[CELLS[:, 0] == 2, 2] = False
    keep = np.array([[2.0, 0.6, np.nan]])  # the best one doesn't read it either
    box = RiskPath(inside=1)(posterior, CELLS, AXES, epsilon=0.02, keep=keep, read=read).at(0.15)
    box_with_all_read = RiskPath(inside=1)(posterior, CELLS, AXES, epsilon=0.02, keep=[[2.0, 0.6, 0.0]]).at(
        0.15
    )
    assert box_with_all_read.keep[2][0]
    assert not box.keep[2][0]
    inside = np.all([box.keep[j][i] | ~read[:, j] for j, i in enumerate(levels_of(CELLS, AXES).T)], axis=0)
    lost = scores[:, inside].max(axis=1) < scores.max(axis=1) - 0.02 - 1e-6
    assert (lost.sum() + 0.5) / 201 <= box.risk


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_conditional_axis_is_judged_by_the_draws_that_are_good_where_it_is_read(share, rng):
    """Best at level 5 of the last axis within choice 0, which alone reads that axis, in a share of draws."""
    optimum = rng.choice(6, p=[0.0, 0.0, 0.0, 0.1, 0.8, 0.1], size=200)
    scores = rng.normal(scale=0.01, size=(200, len(CELLS))) - (CELLS[None, :, 0] == 2)
    scores -= (CELLS[None, :, 0] == 0) * (2.0 * np.abs(CELLS[None, :, 2] - LEVELS[optimum][:, None]) - 0.05)
    scores[: round(200 * (1 - share)), CELLS[:, 0] == 0] -= 1.0
    read = np.ones(CELLS.shape, dtype=bool)
    read[CELLS[:, 0] != 0, 2] = False
    axes = [Axis(np.arange(3.0), unordered=True, frozen=True), *AXES[1:]]
    path = RiskPath(inside=1)(_posterior(scores), CELLS, axes, epsilon=0.1, read=read)
    if share < 0.3:  # all that reads it could leave at a risk that is asked
        assert all(box.keep[2].all() for box in path.boxes)
    else:
        assert path.at(0.05).keep[2][3:].all()
        assert path.at(0.3).keep[2].sum() < 4
        assert path.at(0.3).keep[2][4]


def test_frozen_axes_and_kept_cells_stay_in_every_box():
    posterior = _draws()
    untouched = [axis if j != 1 else Axis(LEVELS, frozen=True) for j, axis in enumerate(AXES)]
    assert RiskPath(inside=1)(posterior, CELLS, untouched, 0.02).at(0.3).keep[1].all()
    kept_cells = np.array([[0.0, 1.0, 1.0]])
    box = RiskPath(inside=1)(posterior, CELLS, AXES, 0.02, keep=kept_cells).at(0.3)
    assert box.keep[0][0]
    assert box.keep[1][-1]
    assert box.keep[2][-1]
    kept_levels = [np.array([True, False, False]), None, None]
    assert RiskPath(inside=1)(posterior, CELLS, AXES, 0.02, stays=kept_levels).at(0.3).keep[0][0]
    for minimum in (20, 50):
        for box in RiskPath(inside=minimum)(posterior, CELLS, AXES, 0.02).boxes:
            assert _inside(box).sum() >= minimum
