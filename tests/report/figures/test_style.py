"""What all figures share: the view of a metric, labels that fit, which trials are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from looks import SPACE, trials
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from refine.analysis.analysis import Analysis, analyze
from refine.analysis.metric_view import MetricView as View
from refine.analysis.selection import candidates, ended_trials, ranked_trials, space_filling_trials
from refine.report import figures
from refine.report.figures.axes import hidden_note, metric_axis
from refine.report.figures.canvas import title
from refine.report.figures.labels import fitting, short_ids, shorten, told_apart, wrapped
from refine.report.figures.theme import themed


def test_the_view_of_a_metric_is_logarithmic_over_decades_and_counts_what_it_hides() -> None:
    y = np.exp(np.linspace(-5, 5, 101))
    view = View(y, "minimize")
    assert view.low < y.min() < y.max() < view.high
    assert np.allclose(view.back(view.forward(y)), y)
    assert np.all(view.inside(view.back(view.grid())))
    ax = Figure().add_subplot()
    metric_axis(ax, view, "val_loss")
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "val_loss (log scale)")
    assert not View(y, "maximize").log  # there the small ones are the bad ones
    assert not View(np.append(y, 0.0), "minimize").log
    for values, direction, bounds in (
        ([0.2, 0.9], "maximize", (0.0, 1.0)),
        ([-2.0, 0.9], "maximize", (-np.inf, np.inf)),
        ([0.0, 9.0], "minimize", (0.0, np.inf)),
    ):
        assert View(np.array(values), direction).bounds == bounds
    ties = View(np.array([0.3, *[0.97] * 30, 0.969]), "maximize")
    assert hidden_note(ties) == "1 trial below 0.951 not shown"
    y = np.linspace(0.8, 0.9, 11)
    more, less = View(y, "maximize"), View(y, "minimize")
    for view in (more, less):
        view.cut(y, 0.845)
        view.cut(y, 0.5)  # outside: nothing changes
    assert (more.low, more.hidden, less.high, less.hidden) == (0.845, 5, 0.845, 6)
    assert hidden_note(more) == "5 trials below 0.845 not shown"


def test_labels_fit_and_are_told_apart() -> None:
    names = [f"scaler_number_{i}_of_my_preprocessing" for i in (1, 2, 12)]
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert wrapped("a long label of words", 12) == "a long label\nof words"
    assert wrapped("first_name_of_many", 12) == "first_name_\nof_many"
    assert wrapped("x" * 20, 12) == "xxxxxx…xxxxx"  # no line ends within a word
    assert wrapped(f"learning_rate_of_{'x' * 20}", 12, 3) == "learning_\nrate_of_\nxxxxxx…xxxxx"
    assert fitting([0.0, 0.1, 2.5, 5.0], [0.1, 0.3, 0.2, 0.1], [0, 3, 1, 2]) == [0, 2, 3]
    assert told_apart(names, 16) == ["…1…", "…2…", "…12…"]
    assert told_apart(["Adam", "Nadam"], 16) == ["Adam", "Nadam"]
    assert told_apart(["same", "same"], 16) == ["same", "same"]
    assert told_apart([], 3) == []
    assert short_ids(["abcdef012345", "abcdef987654"]) == ["abcdef0", "abcdef9"]
    assert short_ids(["f33058", "root"]) == ["f33058", "root"]
    assert short_ids([]) == []


@pytest.mark.parametrize(
    ("labels", "columns"), [("abc", 3), (["x" * 40, "y" * 40, "z"], 2), (["x" * 80, "y" * 80], 1)]
)
def test_a_legend_has_as_many_columns_as_fit(labels: Any, columns: int) -> None:
    with themed():
        ax = Figure(figsize=(7.2, 3), layout="constrained").add_subplot()
        title(ax, "title", [Line2D([], [], label=label) for label in labels])
    assert ax.get_legend()._ncols == columns


def test_which_trials_are_drawn() -> None:
    table = trials(200).assign(degenerate=0.0)
    table.loc[[1, 2], "degenerate"] = 1.0
    table.loc[[4, 5], ["state", "value"]] = ["pruned", np.nan]
    analysis = analyze(SPACE, table)
    filling = table["origin"] == "space_filling"
    done, failed = (int((filling & (table["state"] == state)).sum()) for state in ("complete", "diverged"))
    rows, y = space_filling_trials(analysis)
    assert len(rows) == len(y) == done
    ranked, values, pruned = ranked_trials(analysis)
    assert (len(ranked), pruned.sum()) == (done + 2, 2)
    assert np.all(values[pruned] == y.min())  # as the worst
    ended, bad = ended_trials(analysis)
    assert (len(ended), bad.sum()) == (done + 2 + failed, failed + 2)
    best = candidates(analysis, analysis.table)
    assert not best[[1, 2, 4, 5]].any()
    assert best.sum() == (table["state"] == "complete").sum() - 2
    plain = analyze(SPACE, table.drop(columns=["state", "origin"]))
    ended, bad = ended_trials(plain)
    assert (len(ended), bad.sum()) == (200, table["value"].isna().sum() + 2)
    all_are = analyze(SPACE, trials(60).assign(degenerate=1.0))  # where the best is degenerate all may be
    assert candidates(all_are, all_are.table).sum() == (all_are.table["state"] == "complete").sum()


@pytest.mark.slow
def test_notebooks_and_files_have_all_panels_and_axes_of_somebody_else_stay_as_they_are(
    analysis: Analysis, tmp_path: Path
) -> None:
    for draw in (figures.correlation, lambda a: figures.pair(a, "lr", "dropout", by="optimizer")):
        figures.save(draw(analysis), tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes() == draw(analysis)._repr_png_()
    ax = figures.correlation(analysis, ax=Figure().add_subplot())
    assert not hasattr(ax, "_repr_png_")
