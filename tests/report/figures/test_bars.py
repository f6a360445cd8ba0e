"""The bar grid: medians by the levels of up to four parameters."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from looks import SPACE, apart, inside, points, trials

from refine.analysis.analysis import Analysis, analyze
from refine.errors import AnalysisError
from refine.report import figures
from refine.space.parameters import Float
from refine.space.space import Space


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(SPACE, trials(), metric="val_acc")


def _space_filling() -> pd.DataFrame:
    table = trials()
    return table[(table["origin"] == "space_filling") & (table["state"] == "complete")]


def _medians(ax: Any) -> dict[float, float]:
    """Medians that are drawn, filled or hollow, by place."""
    return {
        float(x): float(y)
        for line in ax.lines
        if line.get_marker() in "os^DvP" and line.get_gid() is None
        for x, y in np.asarray(line.get_xydata())
    }


def _figure_legend(shown: Any) -> list[str]:
    return [t.get_text() for t in shown[0, 0].figure.legends[0].get_texts()]


def test_every_combination_stands_at_its_place(analysis: Analysis) -> None:
    shown = figures.bars(analysis, "dropout", hue="optimizer", column="loss$x$")
    assert shown.shape == (1, 2)
    space_filling = _space_filling()
    for ax, loss in zip(shown[0], SPACE["loss$x$"].grid, strict=True):
        found = _medians(ax)
        for (i, dropout), (h, optimizer) in product(
            enumerate(SPACE["dropout"].grid), enumerate(("Adam", "Nadam", "SGD"))
        ):
            here = space_filling[
                np.isclose(space_filling["dropout"].astype(float), dropout)
                & (space_filling["optimizer"] == optimizer)
                & (space_filling["loss$x$"] == loss)
            ]["value"]
            at = i + 0.8 / 3 * (h - 1)
            drawn = [y for x, y in found.items() if x == pytest.approx(at)]
            assert drawn == ([pytest.approx(here.median())] if len(here) else [])
    assert shown[0, 0].get_title("left") == "loss$x$ = mse"
    assert shown[0, 1].get_ylim() == shown[0, 0].get_ylim()
    assert shown[0, 0].get_xlabel() == "dropout"
    assert _figure_legend(shown)[:4] == ["Adam", "Nadam", "SGD", "95 % interval"]
    figure = shown[0, 0].figure
    assert figure._suptitle.get_text() == "Median val_acc by dropout, optimizer and loss$x$"
    for ax in shown.flat:
        inside(ax)
    apart([figure._suptitle, figure.legends[0], shown[0, 0].xaxis.label])


def test_an_interval_needs_six_trials(analysis: Analysis) -> None:
    (ax,) = figures.bars(analysis, "lr", hue="neurons")[0]
    space_filling = _space_filling()
    sizes = space_filling.groupby(["lr", "neurons"]).size()
    hollow = sum(
        np.size(line.get_xdata())
        for line in ax.lines
        if line.get_markerfacecolor() == "white" and line.get_marker() != "_"
    )
    assert hollow == (sizes < 6).sum()
    segments = sum(len(c.get_segments()) for c in ax.collections)
    assert segments == (sizes >= 6).sum()


def test_small_differences_are_points_and_the_axis_says_so(analysis: Analysis) -> None:
    (ax,) = figures.bars(analysis, "lr")[0]
    assert not ax.patches
    assert ax.get_ylim()[0] > 0.5
    assert ax.figure._supylabel.get_text() == "median val_acc\n(axis not from 0)"
    table = trials()
    (ax,) = figures.bars(analyze(SPACE, table.assign(value=table["value"] - 0.9)), "lr")[0]
    assert len(ax.patches) == 7  # now bars that start at 0 show them
    assert ax.get_ylim()[0] <= 0 <= ax.get_ylim()[1]
    assert ax.figure._supylabel.get_text() == "median value"
    medians = sorted(_medians(ax).values())
    assert sorted(p.get_height() for p in ax.patches) == pytest.approx(medians)


def test_what_is_missing_is_marked() -> None:
    space = Space({"a": ["x", "y"], "b": [1, 2], "c": [1, 2, 3]})
    cells = [space.configuration(i) for i in range(space.size)] * 3
    table = pd.DataFrame(cells).assign(
        value=np.linspace(0.9, 0.95, 36), state="complete", origin="space_filling"
    )
    table = table[~((table["a"] == "x") & (table["b"] == 1))]
    table.loc[(table["a"] == "y") & (table["b"] == 2), ["state", "value"]] = ["failed", np.nan]
    shown = figures.bars(analyze(space, table), "a", hue="b")
    ax = shown[0, 0]
    assert [x for x, _ in points(ax, "none")] == pytest.approx([-0.2])
    assert [x for x, _ in points(ax, "lost")] == pytest.approx([1.2])
    assert {"no trial (1)", "median unfinished (1)"} <= set(_figure_legend(shown))


@pytest.mark.slow
def test_columns_wrap_and_rows_do_not(analysis: Analysis) -> None:
    shown = figures.bars(analysis, "optimizer", column="neurons")
    assert shown.shape == (2, 3)
    assert [ax.get_visible() for ax in shown.flat] == [True] * 5 + [False]
    assert shown[0, 2].get_xlabel() == "optimizer"  # nothing stands below it
    assert not shown[0, 0].get_xlabel()
    shown = figures.bars(analysis, "optimizer", column="dropout", row="loss$x$")
    assert shown.shape == (2, 3)  # levels share panels where there is a row
    assert shown[0, 0].get_title("left") == "dropout = 0–0.1"
    assert shown[1, 2].texts[0].get_text().startswith("loss$x$ =")
    for ax in shown.flat:
        inside(ax)


@pytest.mark.slow
def test_many_levels(analysis: Analysis) -> None:
    shown = figures.bars(analysis, "width", hue="lr", column="optimizer")
    labels = [t.get_text() for t in shown[0, 0].get_xticklabels()]
    assert labels[0].startswith("8–\n")
    assert len(_figure_legend(shown)) >= 5  # 7 rates share the colours that are told apart
    for ax in shown.flat:
        inside(ax)
    space = Space({"name": [f"choice number {i}" for i in range(20)], "x": Float(0, 1, 4)})
    rng = np.random.default_rng(1)
    table = pd.DataFrame({n: p.column(rng.integers(0, p.size, 300)) for n, p in space.items()})
    table["value"] = 0.9 + 0.001 * table["name"].str.split().str[-1].astype(int) + rng.normal(0, 1e-4, 300)
    shown = figures.bars(analyze(space, table), "name")
    labels = [t.get_text() for t in shown[0, 0].get_xticklabels()]
    assert labels == [*(f"choice number {i}" for i in range(9, 20)), "9 others"]
    inside(shown[0, 0])


def test_losses_over_decades_and_a_metric_that_never_changes() -> None:
    table = trials()
    losses = table.assign(value=np.exp((1 - table["value"]) * 100))
    shown = figures.bars(analyze(SPACE, losses, direction="minimize"), "lr", "optimizer", "loss$x$")
    assert shown[0, 0].get_yscale() == "log"
    assert shown[0, 0].figure._supylabel.get_text() == "median value\n(log scale)"
    assert not shown[0, 0].get_ylabel()
    same = table.assign(value=table["value"].where(table["value"].isna(), 0.97))
    shown = figures.bars(analyze(SPACE, same), "lr", "optimizer")
    low, high = shown[0, 0].get_ylim()
    assert low < 0.97 < high
    shown[0, 0].figure.canvas.draw()


def test_refusals(analysis: Analysis) -> None:
    for error, names, says in (
        (
            AnalysisError,
            ("lr", "optimizer", "lr"),
            "needs different parameters, got 'lr' as x and as column; name",
        ),
        (KeyError, ("lr", "optimiser"), "did you mean 'optimizer'"),
        (KeyError, ("epochs",), "no evidence for parameter 'epochs'"),
    ):
        with pytest.raises(error, match=says):
            figures.bars(analysis, *names)
