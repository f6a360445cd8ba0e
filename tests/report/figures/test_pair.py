"""Figures of pairs of parameters and of populations: cells, colours, outlines, curves."""

import re

import numpy as np
import pandas as pd
import pytest
from looks import LONG, inside, legend

from refine.analysis.analysis import analyze
from refine.errors import AnalysisError
from refine.report import figures
from refine.report.figures.theme import tone
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer
from refine.space.space import Space

RANGES = {"lr": Float(0.5, 5, 10), "decay": Float(1e-6, 1e-2, 5, log=True), "width": Integer(8, 320, 40)}
SPACE = Space({**RANGES, "optimizer": ["Adam", "Nadam", "SGD"], "cost$x$": ["mse", LONG]})


def _table(n=240):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(SPACE.columns(np.column_stack([rng.integers(0, p.size, n) for p in SPACE.values()])))
    steps = np.log10(frame["decay"].to_numpy()) + 4
    frame["value"] = 0.95 - 0.01 * (frame["lr"] - 2 - steps) ** 2 + rng.normal(0, 0.005, n)
    frame["value"] -= 0.02 * frame["optimizer"].map({"Adam": 1, "Nadam": 0, "SGD": 2})
    frame["state"] = "complete"
    frame.loc[(frame["lr"] == 5) & (frame["decay"] < 5e-6), ["state", "value"]] = ["failed", np.nan]
    frame["origin"] = "space_filling"
    frame.loc[frame.index % 30 == 0, "origin"] = "exploit"
    return frame


@pytest.fixture(scope="module")
def analysis():
    return analyze(SPACE, _table(), metric="val_acc")


def _cells(ax):
    """Medians by row and column, masked where there are none."""
    rows = len({y for _, y in ax.collections[0].get_coordinates()[:, 0]}) - 1
    return ax.collections[0].get_array().reshape(rows, -1)


def _frames(ax):
    """The outlines: left, right, bottom, top."""
    boxes = [p for p in ax.patches if not p.get_fill()][::2]
    return [(p.get_x(), p.get_x() + p.get_width(), p.get_y(), p.get_y() + p.get_height()) for p in boxes]


def test_cells_are_medians_of_the_even_trials(analysis):
    ax = figures.pair(analysis, "lr", "decay")
    table = _table()
    table = table[(table["state"] == "complete") & (table["origin"] == "space_filling")]
    cells = _cells(ax)
    assert cells.shape == (5, 10)
    for i, decay in enumerate(SPACE["decay"].grid):
        for j, lr in enumerate(SPACE["lr"].grid):
            in_cell = table[np.isclose(table["lr"], lr) & np.isclose(table["decay"], decay)]["value"]
            if len(in_cell):
                assert cells[i, j] == pytest.approx(in_cell.median())
            else:
                assert np.ma.is_masked(cells[i, j])
    assert sum(int(t.get_text()) for t in ax.texts) == len(table)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("lr", "decay (log scale)")
    label = ax.figure.axes[1].get_ylabel()
    assert label == "median val_acc\n(higher is better)"
    dots = ax.collections[1].get_offsets()
    areas = ax.collections[1].get_sizes()
    assert 5 < len(dots) < 50
    assert areas.min() >= 5
    crosses = ax.lines[0].get_xydata()
    assert crosses.tolist() == [[9, 0]]  # what failed there is no missing trial
    assert any("unfinished" in entry for entry in legend(ax))
    inside(ax)


def test_the_region_that_stays_is_outlined(analysis):
    new = {"lr": Float(1, 2.5, 7), "decay": Float(1e-4, 1e-1, 4, log=True)}
    ax = figures.pair(analysis, "lr", "decay", new, "decided")
    assert _frames(ax) == [(0.5, 4.5, 1.5, 5.5)]  # one cell more where the range grew
    assert [t.get_text() for t in ax.get_yticklabels()][-1] == "0.1"
    assert "decided" in legend(ax)
    assert any(entry.startswith("no ") for entry in legend(ax))
    space = SPACE.replace({"lr": Float(1, 2.5, 7)})
    assert _frames(figures.pair(analysis, "lr", "decay", space)) == [(0.5, 4.5, -0.5, 4.5)]
    assert _frames(figures.pair(analysis, "lr", "decay", SPACE)) == []
    between = figures.pair(analysis, "lr", "decay", {"lr": Float(1.1, 1.4, 3)})
    assert _frames(between)[0][:2] == pytest.approx((1.2, 1.8))
    values = figures.pair(analysis, "lr", "decay", {"lr": Categorical([1.0, 1.5, 4.0])})
    assert [f[:2] for f in _frames(values)] == [(0.5, 2.5), (6.5, 7.5)]
    inside(ax)


def test_choices_without_an_order_go_by_their_medians(analysis):
    ax = figures.pair(analysis, "optimizer", "cost$x$", {"optimizer": Categorical(["SGD", "Nadam"])})
    assert [t.get_text() for t in ax.get_xticklabels()] == ["SGD", "Adam", "Nadam"]
    assert re.match(r"optimizer .*median", ax.get_xlabel())
    assert [f[:2] for f in _frames(ax)] == [(-0.5, 0.5), (1.5, 2.5)]
    inside(ax)


def test_good_is_the_light_end(analysis):
    mesh = figures.pair(analysis, "lr", "decay").collections[0]
    table = _table().assign(value=lambda t: 1 - t["value"])
    loss_analysis = analyze(SPACE, table, direction="minimize", metric="val_loss")
    ax = figures.pair(loss_analysis, "lr", "decay")
    assert ax.collections[0].get_cmap().name == f"{mesh.get_cmap().name}_r"
    label = ax.figure.axes[1].get_ylabel()
    assert label == "median val_loss\n(lower is better)"
    assert [t.get_text() for t in figures.pair(loss_analysis, "optimizer", "lr").get_xticklabels()][
        -1
    ] == "Nadam"


def test_a_pair_needs_two_parameters(analysis):
    with pytest.raises(AnalysisError, match="needs two different parameters, got 'lr' twice"):
        figures.pair(analysis, "lr", "lr")
    with pytest.raises(KeyError, match="did you mean 'decay'"):
        figures.pair(analysis, "lr", "decya")


def test_edf_is_the_share_at_least_as_good():
    ax = figures.edf({"root": [0.1, 0.2, 0.2, 0.4], "child": [0.3, 0.4]}, "val_acc", "maximize")
    root, child = ax.lines
    assert root.get_xdata().tolist()[1:] == [0.1, 0.2, 0.4, 0.4]
    assert root.get_ydata().tolist() == [1, 1, 0.75, 0.25, 0]
    assert root.get_drawstyle() == "steps-pre"  # a share holds up to the value, not from it on
    assert (root.get_color(), child.get_color()) == (tone().grey, tone().blue)
    assert legend(ax) == ["child (n = 2)", "root (n = 4)"]
    assert re.match(r"val_acc .*→", ax.get_xlabel())
    assert "share" in ax.get_ylabel()


def test_an_edf_draws_at_most_eight_rounds_and_refuses_none():
    curves = {f"round {i}": np.linspace(i, i + 10, 30) for i in range(11)}
    ax = figures.edf(curves, "val_acc", "maximize")
    assert [t.split(" (")[0] for t in legend(ax)] == [f"round {i}" for i in (10, 9, 8, 7, 6, 5, 4, 0)]
    assert len({line.get_color() for line in ax.lines}) == 8
    assert "3 rounds" in ax.get_legend().get_title().get_text()
    for values, direction, pattern in (
        ({}, "maximize", "no round has a finished space-filling trial yet"),
        ({"a": [1.0], "b": []}, "maximize", "needs at least one trial, got none"),
        ({"a": [1.0]}, "up", "direction must be"),
    ):
        with pytest.raises(AnalysisError, match=pattern):
            figures.edf(values, "value", direction)
