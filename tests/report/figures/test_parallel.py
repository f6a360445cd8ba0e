"""Parallel coordinates: where lines run, what is named, what is marked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from looks import SPACE, inside, legend, texts, trials

from refine.analysis.analysis import Analysis, analyze
from refine.errors import AnalysisError
from refine.report import figures
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer
from refine.space.space import Space


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


@pytest.mark.slow
def test_what_stays_is_marked(analysis: Analysis) -> None:
    new = {
        "lr": Float(1e-3, 1.0, 4, log=True),
        "width": Integer(40, 164),
        "optimizer": Categorical(["Adam", "Nadam"]),
        "neurons": Categorical([16, 32]),
    }
    ax = figures.parallel(
        analysis, ["lr", "width", "optimizer", "neurons", "dropout"], new=new, label="decided"
    )
    bands = {
        int(line.get_xdata()[0]): tuple(float(v) for v in line.get_ydata())
        for line in ax.lines
        if line.get_linewidth() == 6
    }
    assert bands[0] == pytest.approx((1 / 3, 1.02))  # to the end, and past it
    assert bands[1] == pytest.approx(((40 - 8) / 313, (164.5 - 7.5) / 313), abs=0.01)
    assert bands[2] == pytest.approx((1 / 3, 1.0))  # the two better ones of three
    assert bands[3] == pytest.approx((0.375, 0.875))
    assert 4 not in bands
    assert "to 1" in texts(ax)
    assert "decided" in legend(ax)
    space = SPACE.replace({"dropout": Float(0, 0.2, 3)})
    assert sum(line.get_linewidth() == 6 for line in figures.parallel(analysis, new=space).lines) == 1
    inside(ax)


def test_a_hundred_thousand_trials_are_thinned() -> None:
    big = pd.DataFrame({"x": np.resize([0, 0.5, 1.0], 100_000), "y": np.resize(["a", "b"], 100_000)})
    big["value"] = np.linspace(0, 1, 100_000)
    small = analyze(Space({"x": Float(0, 1, 3), "y": ["a", "b"]}), big.iloc[::101])
    ax = figures.parallel(replace(small, table=big))
    others, good, _ = _lines(ax)
    assert (len(others), len(good)) == (300, 120)
    assert "best 20 % (20,000, 120 drawn)" in legend(ax)
    assert "others (80,000, 300 drawn)" in legend(ax)


def test_refusals(analysis: Analysis) -> None:
    for error, options, says in (
        (AnalysisError, {"top": 10}, "top must lie between 0 and 1, .* got 10"),
        (AnalysisError, {"names": ["lr", "dropout", "lr"]}, "got 'lr' twice; leave one out"),
        (AnalysisError, {"names": "lr"}, r"must be a list of parameters, got 'lr'; write \['lr'\]"),
        (KeyError, {"names": ["dropoutt"]}, "did you mean 'dropout'"),
    ):
        with pytest.raises(error, match=says):
            figures.parallel(analysis, **options)
