"""What is left over of values without noise is a property of the cells."""

import numpy as np
import pytest

from refine import stats
from refine.errors import AnalysisError
from refine.stats.posterior import FrozenResiduals, LeftOut


def _left(deviation: float) -> LeftOut:
    rng = np.random.default_rng(0)
    expected = rng.normal(size=400)
    near = np.full((300, 400), 0.01)
    return LeftOut(expected + deviation * rng.normal(size=400), expected, np.zeros(400), near)


def test_deviation_is_what_good_predictions_miss():
    """Less the variance that draws have already."""
    measure = FrozenResiduals()
    assert measure.deviation(_left(0.5)) == pytest.approx(0.5, abs=0.05)
    assert measure.deviation(_left(0.5)._replace(variance=np.full(400, 0.16))) == pytest.approx(0.3, abs=0.08)
    assert measure.deviation(_left(0.1)._replace(variance=np.ones(400))) == 0.0


def test_every_cell_of_every_draw_has_its_own():
    """With the measured deviation and tails that are heavier than normal ones."""
    drawn = FrozenResiduals(times=0)(
        np.zeros((200, 300), dtype=np.float32), _left(0.5), np.random.default_rng(0)
    )
    assert drawn.std() == pytest.approx(0.5, abs=0.05)
    assert np.abs(np.corrcoef(drawn[:, :20].T) - np.eye(20)).max() < 0.4
    assert (np.abs(drawn) > 2.0).mean() > 1e-4  # four deviations: normal ones 6e-5


def test_nothing_left_out_is_an_error():
    """There is nothing to measure it on."""
    empty = np.zeros(0)
    with pytest.raises(AnalysisError, match="at least 1 configuration"):
        FrozenResiduals().deviation(LeftOut(empty, empty, empty, np.zeros((5, 0))))


def test_cells_near_what_came_out_better_than_expected_deviate_by_more():
    """A few configurations beat what the others say of them: their neighbours may be a peak that no trial shows."""
    left = _left(0.1)
    cells = np.linspace(0, 1, 400)[:, None]
    at = np.random.default_rng(1).permutation(400) / 399
    near = np.exp(-0.5 * ((cells - at) / 0.02) ** 2)
    peak = np.abs(at - 0.7) < 0.01
    missed = np.where(peak, 1.0, left.score - left.expected)
    local = FrozenResiduals().local(left._replace(score=left.expected + missed, near=near))
    assert local[np.abs(cells[:, 0] - 0.7) < 0.01].min() > 0.5
    assert local[np.abs(cells[:, 0] - 0.7) > 0.2].max() < 0.1
    below = FrozenResiduals().local(left._replace(score=left.expected - missed, near=near))
    assert below.max() < 0.1  # worse than expected is no peak


def _rough(size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a plane, and a slope with a deviation of its own in every cell."""
    axis = np.arange(size) / (size - 1)
    cells = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    return cells, cells[:, 0] + 0.15 * np.random.default_rng(1).normal(size=len(cells))


@pytest.mark.slow
def test_cells_that_were_run_have_their_values_in_every_draw():
    """And the best mean of what was run is the best value seen."""
    cells, y = _rough()
    run = np.random.default_rng(2).permutation(len(cells))[:50]
    posterior = stats.MixedPosterior()(cells[run], y[run], cells, [0, 0], exact=True)
    assert np.ptp(posterior.scores[:, run], axis=0).max() == 0
    assert posterior.value(posterior.scores[0, run]) == pytest.approx(y[run])
    assert run[posterior.best_known(1)[0]] == run[y[run].argmax()]
    assert posterior.scores.shape == (640, len(cells))


@pytest.mark.slow
def test_untried_cells_may_hide_a_better_value():
    """Smooth draws hardly ever exceed what was seen; the truth does here, and exact draws say how often."""
    better, smooth, exact = [], [], []
    cells, y = _rough()
    for seed in range(8):
        run = np.random.default_rng(seed).permutation(len(cells))[:50]
        best = y[run].max()
        better.append(y.max() > best)
        for out, flag in ((smooth, False), (exact, True)):
            posterior = stats.MixedPosterior()(cells[run], y[run], cells, [0, 0], exact=flag)
            out.append((posterior.value(posterior.scores.max(axis=1)) > best + 1e-9).mean())
    assert np.mean(better) > 0.5
    assert abs(np.mean(exact) - np.mean(better)) < abs(np.mean(smooth) - np.mean(better))
