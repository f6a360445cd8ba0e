"""A parameter level by level: violins, and isolation plots, whose bests are of equally many trials."""

import io

import numpy as np
import pandas as pd
import pytest
from looks import SPACE, inside, legend, points, texts, trials
from matplotlib.figure import Figure

from refine import stats
from refine.analysis.analysis import analyze
from refine.errors import AnalysisError
from refine.report import figures
from refine.space.categorical import Categorical
from refine.space.parameters import Float
from refine.space.space import Space
from tests.reading import numbers_in


def _space_filling(table):
    return table[(table["origin"] == "space_filling") & (table["state"] == "complete")]


def _medians(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]


@pytest.mark.parametrize("name", ["lr", "dropout", "neurons", "optimizer", "loss$x$"])
def test_every_level_has_a_row_with_its_median(analysis, name):
    ax = figures.levels(analysis, name)
    e = analysis[name]
    assert texts(ax) == [f"n = {v.n}" for v in e.levels]
    assert _medians(ax) == [v.median for v in e.levels]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first level is on top
    assert ax.get_xlabel() == "val_acc"
    assert max(p.vertices[:, 0].max() for c in ax.collections for p in c.get_paths()) <= 1
    inside(ax)


def test_levels_that_stay_are_shaded(analysis):
    ax = figures.levels(analysis, "lr", Float(3e-4, 1e-2, 5, log=True))
    bands = [p for p in ax.patches if p.get_alpha() == 0.14]
    assert [(b.get_y(), b.get_y() + b.get_height()) for b in bands] == [(0.5, 4.5)]
    ax = figures.levels(analysis, "optimizer", Categorical(["Adam", "SGD"]))
    assert [p.get_y() for p in ax.patches if p.get_alpha() == 0.14] == [-0.5, 1.5]
    assert "proposed: 2 of 3" in legend(ax)


def test_pruned_trials_have_no_value_and_count_as_tried():
    table = trials()
    pruned = (table["optimizer"] == "SGD") & (np.arange(300) % 2 == 0)
    table.loc[pruned, ["state", "value"]] = ["pruned", np.nan]
    ax = figures.isolation(analyze(SPACE, table), "optimizer")
    tried = table[(table["origin"] == "space_filling") & table["state"].isin(["complete", "pruned"])]
    assert texts(ax) == [f"n = {(tried['optimizer'] == name).sum()}" for name in ("Adam", "Nadam", "SGD")]
    table.loc[table["optimizer"] == "SGD", ["state", "value"]] = ["pruned", np.nan]
    analysis = analyze(SPACE, table)
    ax = figures.levels(analysis, "optimizer")
    assert texts(ax)[-2].startswith("none")
    assert texts(ax)[-1].startswith("n = ")
    assert len(_medians(ax)) == 2
    ax = figures.isolation(analysis, "optimizer")
    assert any(text.startswith("none") for text in texts(ax))
    assert len(points(ax, "best")) == 2


@pytest.mark.slow
def test_a_loss_over_decades_is_drawn_on_a_log_axis():
    table = trials()
    table["value"] = np.exp((1 - table["value"]) * 100)
    analysis = analyze(SPACE, table, direction="minimize", metric="val_loss")
    drawn = [d(analysis, name) for d in (figures.levels, figures.density_2d) for name in ("lr", "optimizer")]
    values = table["value"].where(table["state"] == "complete")
    drawn.append(figures.best_so_far([figures.RoundValues("a", None, values)], "minimize", "val_loss"))
    drawn.append(figures.edf({"a": table["value"].dropna()}, "val_loss", "minimize"))
    for ax in drawn:
        assert "log" in (ax.get_yscale(), ax.get_xscale())
        inside(ax)
    drawn[2].set_xlim(0.0001, 0.0003)  # a closer look: what lies beyond is gone, and the layout holds
    drawn[2].figure.savefig(io.BytesIO())  # warns where it does not


@pytest.mark.slow
def test_values_that_were_not_read_and_infeasible_trials_are_not_drawn():
    table = trials()
    read = (table["optimizer"] != "SGD").to_numpy()
    analysis = analyze(SPACE, table, metric="acc", read={"neurons": read})
    done = len(_space_filling(table[read]))
    rows = [t for t in texts(figures.levels(analysis, "neurons")) if t.startswith("n = ")]
    assert sum(int(t.removeprefix("n = ")) for t in rows) == done
    finished = int((table["state"].eq("complete") & read).sum())
    assert f"all ({finished:,})" in legend(figures.density(analysis, "neurons"))
    table["feasible"] = (table["optimizer"] != "SGD") & (table["value"] > 0.9)
    ax = figures.levels(analyze(SPACE, table, metric="acc"), "optimizer")
    assert any("feasible" in text for text in texts(ax))
    dots = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "."])
    assert len(dots) == len(_space_filling(table[table["feasible"]]))


# Isolation.


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_best_and_expected_best_of_every_level(direction):
    sign = 1 if direction == "maximize" else -1
    table = trials().assign(value=lambda t: sign * t["value"])
    ax = figures.isolation(analyze(SPACE, table, direction=direction, metric="m"), "lr")
    done = _space_filling(table)
    groups = [done[np.isclose(done["lr"].astype(float), v)]["value"].to_numpy() for v in SPACE["lr"].grid]
    fewest = min(map(len, groups))
    best = [sign * (sign * v).max() for v in groups]
    equal = [sign * stats.expected_best(sign * v, fewest) for v in groups]
    assert np.allclose(points(ax, "best"), [(b, row) for row, b in enumerate(best)])
    assert np.allclose(points(ax, "equal"), [(e, row) for row, e in enumerate(equal)])
    assert texts(ax) == [f"n = {len(v)}" for v in groups]
    assert [str(fewest)] in [numbers_in(entry) for entry in legend(ax)]
    assert [t.get_text() for t in ax.get_yticklabels()][:2] == ["0.0001", "0.00032"]
    low, high = ax.get_xlim()
    assert all(low <= v <= high for v in [*best, *equal])
    inside(ax)


def test_a_level_with_one_trial_compares_means():
    space = Space({"a": ["x", "y", "z", "w"], "b": [1, 2, 3]})
    table = pd.DataFrame({"a": ["x", *["y"] * 12, *["z"] * 3], "b": np.resize([1, 2, 3], 16)})
    table["value"] = np.linspace(0, 1, 16)
    ax = figures.isolation(analyze(space, table), "a")
    assert ["1"] in [numbers_in(entry) for entry in legend(ax)]
    assert points(ax, "equal")[1] == (pytest.approx(table["value"][1:13].mean()), 1)
    assert texts(ax)[-1].startswith("no ")


def test_degenerate_trials_are_no_best_and_refusals(analysis):
    table = trials().assign(degenerate=0.0)
    table.loc[3, ["degenerate", "value", "state", "origin"]] = [1.0, 0.999, "complete", "space_filling"]
    ax = figures.isolation(analyze(SPACE, table), "optimizer")
    assert max(x for x, _ in points(ax, "best")) < 0.99
    for draw in (figures.isolation, figures.levels):
        with pytest.raises(KeyError, match="did you mean 'optimizer'"):
            draw(analysis, "optimzer")
    table["degenerate"] = 1.0
    table.loc[0, ["degenerate", "value", "state", "origin"]] = [0.0, 0.9, "complete", "exploit"]
    pattern = "no space-filling trial may be called best; run more configurations"
    with pytest.raises(AnalysisError, match=pattern):
        figures.isolation(analyze(SPACE, table), "optimizer")


@pytest.mark.slow
def test_notebooks_and_files_have_all_panels_and_axes_of_somebody_else_stay_as_they_are(analysis, tmp_path):
    for draw in (figures.correlation, lambda a: figures.decision(a, SPACE)):
        figures.save(draw(analysis), tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes() == draw(analysis)._repr_png_()
    ax = figures.correlation(analysis, ax=Figure().add_subplot())
    assert not hasattr(ax, "_repr_png_")
