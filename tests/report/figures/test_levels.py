"""Violins per level, of any parameter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from looks import LONG, SPACE, apart, inside, legend, texts, trials

from refine.analysis.analysis import Analysis, analyze
from refine.report import figures
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer
from refine.space.space import Space


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(SPACE, trials(), metric="val_acc")


@pytest.mark.parametrize("name", ["lr", "dropout", "neurons", "optimizer", "loss$x$"])
def test_a_row_per_level(analysis: Analysis, name: str) -> None:
    ax = figures.levels(analysis, name)
    e = analysis[name]
    assert texts(ax) == [f"n = {v.n}" for v in e.levels]
    medians = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert medians == [v.median for v in e.levels]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first level is on top
    assert ax.get_xlabel() == "val_acc"
    inside(ax)
    apart(ax.get_yticklabels())


@pytest.mark.slow
def test_many_levels_share_rows(analysis: Analysis) -> None:
    ax = figures.levels(analysis, "width", Integer(40, 400, 10), "decided")
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert (labels[0], labels[-2:]) == ("8–32", ["296–320", "400"])  # a row of its own where the range grows
    counted = sum(int(t.removeprefix("n = ")) for t in texts(ax))
    table = trials()
    assert counted == ((table["origin"] == "space_filling") & (table["state"] == "complete")).sum()
    assert "decided: 36 of 40, and to 400" in legend(ax)
    here = table[(table["origin"] == "space_filling") & (table["width"] <= 32)]["value"]
    medians = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert medians[0] == here.median()
    assert [t.get_style() for t in ax.get_yticklabels()] == ["italic", *["normal"] * 10]
    inside(ax)


def test_what_stays_is_shaded(analysis: Analysis) -> None:
    ax = figures.levels(analysis, "lr", Float(3e-4, 1e-2, 5, log=True))
    bands = [p for p in ax.patches if p.get_alpha() == 0.18]
    assert [(b.get_y(), b.get_y() + b.get_height()) for b in bands] == [(0.5, 4.5)]
    ax = figures.levels(analysis, "optimizer", Categorical(["Adam", "SGD"]))
    bands = [p for p in ax.patches if p.get_alpha() == 0.18]
    assert [b.get_y() for b in bands] == [-0.5, 1.5]
    assert "proposed: 2 of 3" in legend(ax)


@pytest.mark.slow
def test_forty_choices_with_names_like_each_other() -> None:
    space = Space(
        {
            "name": [f"the_scaler_number_{i}_of_my_own_preprocessing_code" for i in range(40)],
            "x": Float(0, 1, 4),
        }
    )
    rng = np.random.default_rng(1)
    table = {n: p.column(rng.integers(0, p.size, 200)) for n, p in space.items()}
    frame = pd.DataFrame(table).assign(value=rng.normal(size=200))
    ax = figures.levels(analyze(space, frame), "name")
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert len(set(names)) == 40
    inside(ax)
    apart(ax.get_yticklabels())


def test_pruned_trials_have_no_value() -> None:
    table = trials()
    table.loc[table["optimizer"] == "SGD", ["state", "value"]] = ["pruned", np.nan]
    ax = figures.levels(analyze(SPACE, table), "optimizer")
    assert texts(ax)[-2] == "none finished"
    assert texts(ax)[-1].startswith("n = ")
    medians = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert len(medians) == 2


def test_a_median_out_of_view_is_an_arrow() -> None:
    table = trials()
    low = table["loss$x$"] == LONG
    table.loc[low & (np.arange(300) % 3 > 0), "value"] = 0.1
    table.loc[low & (table["width"] < 300), "value"] = np.nan
    table.loc[low & (table["width"] < 300), "state"] = "failed"
    ax = figures.levels(analyze(SPACE, table), "loss$x$")
    assert "<" in [line.get_marker() for line in ax.lines]
    inside(ax)


@pytest.mark.slow
def test_a_loss_over_decades() -> None:
    table = trials()
    table["value"] = np.exp((1 - table["value"]) * 100)
    analysis = analyze(SPACE, table, direction="minimize", metric="val_loss")
    for draw in (figures.levels, figures.density_2d):
        for name in ("lr", "optimizer"):
            ax = draw(analysis, name)
            scales = (ax.get_yscale(), ax.get_xscale())
            assert "log" in scales
            inside(ax)
    assert figures.best_so_far(table, "minimize", "val_loss").get_yscale() == "log"
    assert figures.edf({"a": table["value"].dropna()}, "val_loss", "minimize").get_xscale() == "log"


def test_an_unknown_parameter(analysis: Analysis) -> None:
    with pytest.raises(KeyError, match="did you mean 'dropout'"):
        figures.levels(analysis, "droput")


@pytest.mark.slow
def test_values_that_were_not_read_and_infeasible_trials_are_not_drawn() -> None:
    table = trials()
    read = (table["optimizer"] != "SGD").to_numpy()
    found = analyze(SPACE, table, metric="acc", read={"neurons": read})
    done = read & (table["origin"] == "space_filling") & (table["state"] == "complete")
    rows = [t for t in texts(figures.levels(found, "neurons")) if t.startswith("n = ")]
    assert sum(int(t.removeprefix("n = ")) for t in rows) == done.sum()
    assert f"all ({done.sum():,})" in legend(figures.density(found, "neurons"))
    table["feasible"] = (table["optimizer"] != "SGD") & (table["value"] > 0.9)
    ax = figures.levels(analyze(SPACE, table, metric="acc"), "optimizer")
    assert "none feasible" in texts(ax)
    dots = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "."])
    shown = table["feasible"] & (table["origin"] == "space_filling") & (table["state"] == "complete")
    assert len(dots) == shown.sum()
