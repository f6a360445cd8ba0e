"""The figure of training curves: panels, axes, words."""

import numpy as np
import pytest
from looks import apart

from refine.analysis.learning_curves import Pair, trial_curves
from refine.errors import AnalysisError
from refine.report import figures
from refine.trials.metric import Metric


def _made(rank, n=60, low=0.1, metric="val_acc"):
    t = np.arange(n) / n
    decay = np.exp(-8 * t)
    late = np.maximum(0, t - 0.5)
    curve = {
        "loss": (low + 0.5 * decay - 0.5 * low * late).tolist(),
        "val_loss": (low + 0.05 + 0.5 * decay + rank * 0.1 * late).tolist(),
        "acc": (1 - 0.3 * decay).tolist(),
        "val_acc": (0.96 - 0.3 * decay).tolist(),
    }
    curves = trial_curves(rank, 0.97 - 0.001 * rank, curve, Metric.parse(metric), "maximize", 0.004)
    assert curves is not None
    return curves


def _inside(figure):
    figure.canvas.draw()
    texts = [t for ax in figure.axes for t in (*ax.texts, ax._left_title, ax.xaxis.label, ax.yaxis.label)]
    heads = [figure._suptitle, figure.legends[0]]
    apart(heads)
    for box in [t.get_window_extent() for t in [*heads, *texts] if t in heads or t.get_text()]:
        assert box.x0 >= figure.bbox.x0 - 1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1


def test_every_trial_has_a_panel_of_losses_and_one_of_scores():
    grid = figures.curves([_made(rank, 60 - 10 * rank) for rank in range(1, 5)], "max:val_acc", "maximize")
    assert grid.shape == (2, 4)
    assert [ax.get_ylabel() for ax in grid[:, 0]] == ["loss", "acc"]
    assert [ax.get_xlabel() for ax in grid[-1]] == ["epoch"] * 4
    for line in grid:
        assert len({ax.get_ylim() for ax in line}) == 1
    assert grid[0, 1].get_title("left") == "2: 0.9680"
    x = [line.get_xdata() for line in grid[0, 3].lines]
    assert [(v[0], v[-1]) for v in x] == [(1, 20)] * 2
    assert [t.get_text() for t in grid[0, 0].figure.legends[0].get_texts()] == ["training", "validation"]
    assert grid[0, 0].get_yscale() == "linear"
    assert any("overfits" in t.get_text() for t in grid[0, 3].texts)
    _inside(grid[0, 0].figure)


def test_curves_take_one_to_four_trials_and_allow_no_finite_value():
    for count in (0, 5):
        with pytest.raises(AnalysisError, match="1 to 4 trials"):
            figures.curves([_made(1)] * count, "val_acc", "maximize")
    empty = _made(1)._replace(loss=Pair((np.nan,) * 9), score=Pair())
    assert not figures.curves([empty], "val_acc", "maximize")[0, 0].figure.legends
