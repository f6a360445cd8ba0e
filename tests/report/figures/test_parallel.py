"""Parallel coordinates: where lines run, what is named, what is marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from looks import SPACE, inside, legend, texts, trials

from refine.analysis.analysis import Analysis
from refine.errors import AnalysisError
from refine.report import figures


def _lines(ax: Any) -> list[np.ndarray[Any, Any]]:
    """(lines, axes) heights of others, good ones, and the best."""
    return [np.array([s[:, 1] for s in c.get_segments()]) for c in ax.collections[:3]]


@pytest.mark.slow
def test_lines_run_through_the_values(analysis: Analysis) -> None:
    ax = figures.parallel(analysis, ["lr", "optimizer", "neurons"], top=0.1)
    others, good, best = _lines(ax)
    space_filling = trials().query("origin == 'space_filling' and state == 'complete'")
    assert len(others) + len(good) == len(space_filling)
    assert len(good) == np.ceil(0.1 * len(space_filling))
    assert best.shape == (1, 4)
    top = space_filling.loc[space_filling["value"].idxmax()]
    levels = SPACE["lr"].unit(SPACE["lr"].grid)
    assert abs(best[0, 0] - SPACE["lr"].unit([top["lr"]])[0]) < np.diff(levels).min() / 2
    assert abs(best[0, 2] - SPACE["neurons"].grid.index(top["neurons"]) / 4) < 0.13
    assert np.all((others >= 0) & (others <= 1))
    # Better is upwards: every good line ends above every other.
    assert good[:, -1].min() >= others[:, -1].max()
    assert {"best trial", f"best 10 % ({len(good)})", f"others ({len(others)})"} == set(legend(ax))
    assert {"lr (log)", "optimizer", "neurons", "val_acc", "Adam", "SGD", "0.0001", "64"} <= set(texts(ax))
    inside(ax)


def test_refusals(analysis: Analysis) -> None:
    for error, options, says in (
        (AnalysisError, {"top": 10}, "top must lie between 0 and 1, .* got 10"),
        (AnalysisError, {"names": ["lr", "dropout", "lr"]}, "got 'lr' twice; leave one out"),
        (AnalysisError, {"names": "lr"}, r"must be a list of parameters, got 'lr'; write \['lr'\]"),
        (KeyError, {"names": ["dropoutt"]}, "did you mean 'dropout'"),
    ):
        with pytest.raises(error, match=says):
            figures.parallel(analysis, **options)
