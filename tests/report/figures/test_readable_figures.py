"""Figures are read right at a glance: the best on top, no value that never occurred, texts that are whole."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from looks import drawn, legend, texts
from matplotlib.markers import TICKDOWN, TICKUP

from refine.analysis.analysis import analyze
from refine.report import figures
from refine.report.figures import RoundValues
from refine.report.figures.axes import Scale, round_ticks
from refine.report.figures.parameters import _rank_ticks
from refine.report.figures.theme import tone
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer
from refine.space.space import Space
from refine.trials.goal import Goal

LONG = "min_child_weight_of_each_leaf"
SPACE = Space(
    {
        "learning_rate": Float(0.005, 0.5, 10, log=True),
        "num_leaves": Integer(4, 256, 7, log=True),
        "min_child_samples": Integer(2, 100, 6, log=True),
        LONG: Float(1e-3, 10, 5, log=True),
        "extra_trees": [False, True],
        "boosting": ["gbdt", "dart", "goss"],
    }
)
NEW = {
    "learning_rate": Float(0.0548, 0.2, 4, log=True),
    "extra_trees": Categorical([False]),
    "min_child_samples": Integer(2, 20, 4, log=True),
    LONG: Float(1e-2, 10, 4, log=True),
}


def trials(n=120):
    """Errors from 0.107 on, with two outliers; the best trial is the cheapest one too."""
    rng = np.random.default_rng(3)
    levels = np.column_stack([rng.integers(0, parameter.size, n) for parameter in SPACE.values()])
    frame = pd.DataFrame(SPACE.columns(levels))
    rate = np.log10(frame["learning_rate"].to_numpy(dtype=float))
    extra = frame["extra_trees"].astype(str) == "True"
    frame["value"] = 0.107 + 0.02 * (rate + 1.2) ** 2 + 0.012 * extra + rng.exponential(0.004, n)
    frame.loc[[5, 17], "value"] = [0.8, 0.62]
    frame["state"] = "complete"
    frame["origin"] = "space_filling"
    frame["seconds"] = 0.3 + frame["num_leaves"].astype(float) / 50 + rng.random(n)
    frame.loc[frame["value"].idxmin(), "seconds"] = 0.25
    return frame


@pytest.fixture(scope="module")
def errors():
    return analyze(SPACE, trials(), metric="rmse", direction="minimize")


def front(direction):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"value": rng.random(20), "size": rng.random(20), "state": "complete"})
    goals = [Goal("loss", direction), Goal("size", "minimize")]
    return figures.front(frame.assign(loss=frame["value"]), goals, [])


@pytest.mark.parametrize(
    "draw",
    [
        lambda a: figures.density_2d(a, "learning_rate"),
        figures.cost,
        lambda a: figures.best_so_far([RoundValues("a", None, a.table["value"])], "minimize", "rmse"),
        lambda a: front("minimize"),
    ],
    ids=["density_2d", "cost", "best_so_far", "front"],
)
def test_the_lowest_error_is_at_the_top(draw, errors):
    bottom, top = draw(errors).get_ylim()
    assert top < bottom


def test_the_highest_score_is_at_the_top(analysis):
    for ax in (figures.density_2d(analysis, "lr"), figures.cost(analysis), front("maximize")):
        bottom, top = ax.get_ylim()
        assert bottom < top


def test_axes_of_an_error_say_that_lower_is_better(errors):
    for label in (figures.cost(errors).get_ylabel(), figures.levels(errors, "boosting").get_xlabel()):
        assert re.match(r"rmse .*\blower\b", label)


def test_a_median_out_of_view_is_an_arrow_towards_it():
    table = trials()
    table.loc[table["learning_rate"] == 0.5, "value"] = 0.7
    analysis = analyze(SPACE, table, metric="rmse", direction="minimize")
    ax = figures.density_2d(analysis, "learning_rate")
    assert {line.get_marker() for line in ax.lines} & {"v", "^"} == {
        "v"
    }  # down: 0.7 is worse than all in view


def extents(ax, row):
    """The smallest and the largest value of the violin in a row."""
    vertices = np.concatenate([c.get_paths()[0].vertices for c in ax.collections])
    in_row = vertices[np.abs(vertices[:, 1] - row) < 0.45]
    return float(in_row[:, 0].min()), float(in_row[:, 0].max())


@pytest.mark.parametrize("name", ["extra_trees", "boosting"])
def test_a_violin_ends_where_its_values_end(name, errors):
    ax = figures.levels(errors, name)
    high = max(ax.get_xlim())
    groups = errors.table.groupby(errors.table[name].astype(str), sort=False)["value"]
    levels = [str(v) for v in SPACE[name].grid]
    for row, level in enumerate(levels):
        values = groups.get_group(level)
        low_end, high_end = extents(ax, row)
        assert low_end >= values.min() - 1e-12
        assert high_end <= min(values.max(), high) + 1e-12


def test_a_density_ends_at_the_best_value(errors):
    ax = figures.density_2d(errors, "learning_rate")
    paths = [path.vertices for c in ax.collections for path in c.get_paths() if len(path.vertices)]
    assert min(path[:, 1].min() for path in paths) >= errors.table["value"].min() - 1e-12


def test_a_density_has_no_layer_besides_the_medians(errors):
    ax = figures.density_2d(errors, "learning_rate")
    markers = {line.get_marker() for line in ax.lines if len(line.get_xdata()) > 2}
    assert markers <= {TICKDOWN, TICKUP}  # ticks of the axis alone


def test_equal_values_have_no_density():
    table = trials().assign(value=0.2)
    analysis = analyze(SPACE, table, metric="rmse", direction="minimize")
    assert not figures.density_2d(analysis, "learning_rate").collections
    assert not figures.levels(analysis, "boosting").collections


@pytest.mark.parametrize("n", [4, 8, 24])
def test_one_outlier_is_cut_off_with_a_note(n):
    values = 0.11 + 0.002 * (np.arange(n) % 5)
    values[1] = 0.8
    ax = figures.best_so_far([RoundValues("a", None, values)], "minimize", "rmse")
    assert max(ax.get_ylim()) < 0.2
    assert re.match(r"1 .*\babove\b", ax.get_title("right"))


def test_even_values_are_all_shown():
    ax = figures.best_so_far([RoundValues("a", None, np.linspace(0.1, 0.2, 12))], "minimize", "rmse")
    assert ax.get_title("right") == ""
    assert max(ax.get_ylim()) >= 0.2


def test_the_scale_is_left_out_before_a_name_is_cut(errors):
    panels = figures.decision(errors, NEW)
    names = [texts(ax)[0].replace("\n", "") for ax in panels.flat]
    assert sorted(names) == sorted(["extra_trees", "learning_rate", "min_child_samples", LONG])
    with figures.themed("column"):
        panels = figures.decision(errors, NEW)
    assert any(texts(ax)[0].startswith("learning_rate (log") for ax in panels.flat)


def test_panels_stand_in_the_order_of_importance(errors):
    panels = figures.decision(errors, NEW)
    ranked = [e.name for e in errors.ranked if e.name in NEW]
    assert [texts(ax)[0].replace("\n", "") for ax in panels.flat] == ranked
    assert [t.get_text() for t in figures.correlation(errors).get_yticklabels()][:2] == [
        e.name for e in errors.ranked[:2]
    ]


def test_a_title_that_is_too_long_loses_its_end():
    analysis = analyze(SPACE, trials(), metric="a_metric_with_a_name_that_is_much_too_long_for_any_title" * 2)
    with figures.themed("column"):
        for ax in (figures.correlation(analysis), figures.cost(analysis), figures.density(analysis, LONG)):
            shown = ax.get_title("left").replace("\n", " ")
            assert "…" not in shown[:-1] or shown[shown.index("…") + 1] == " ", shown


def test_the_best_that_is_the_cheapest_has_one_marker_and_one_entry(errors):
    ax = figures.cost(errors)
    assert len(drawn(ax, "best")) == 1
    assert not drawn(ax, "cheapest")
    entries = [text for text in legend(ax) if "best" in text or "cheapest" in text]
    assert ["best" in entry and "cheapest" in entry for entry in entries] == [True]


def test_medians_and_the_best_have_different_colours(errors):
    median = next(line for line in figures.levels(errors, "boosting").lines if line.get_marker() == "o")
    (best,) = drawn(figures.cost(errors), "best")
    assert median.get_color() == tone().ink
    assert best.get_color() == tone().orange


@pytest.mark.parametrize("draw", [figures.density, figures.density_2d])
@pytest.mark.parametrize("new", [None, NEW["learning_rate"], Float(0.0548, 5.5, 10, log=True)])
def test_ticks_are_round(draw, new, errors):
    labels = [t.get_text() for t in draw(errors, "learning_rate", new).get_xticklabels()]
    assert len(labels) >= 4
    assert all(len(text.replace(".", "").strip("0")) <= 2 for text in labels), labels


@pytest.mark.parametrize(
    ("low", "high", "log", "integer", "ticks"),
    [
        (0.00548, 0.548, True, False, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]),
        (1e-4, 1, True, False, [1e-4, 1e-3, 0.01, 0.1, 1]),
        (0.0548, 5.5, True, False, [0.1, 0.2, 0.5, 1, 2, 5]),
        (0.41, 0.99, False, False, [0.5, 0.6, 0.7, 0.8, 0.9]),
        (7.5, 320.5, False, True, [100, 200, 300]),
        (0.31, 0.39, True, False, [0.32, 0.34, 0.36, 0.38]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low, high, log, integer, ticks):
    assert round_ticks(low, high, log, integer).tolist() == pytest.approx(ticks)


@pytest.mark.parametrize("dpi", [50, 300])
def test_no_head_is_cut_at_another_resolution(dpi, errors):
    for draw in (figures.cost, lambda a: figures.density_2d(a, "learning_rate", NEW["learning_rate"])):
        ax = draw(errors)
        figure = ax.figure
        figure.savefig(io.BytesIO(), dpi=dpi)
        figure.set_dpi(dpi)
        figure.canvas.draw()
        for part in (ax._left_title, ax._right_title, ax.get_legend()):
            box = part.get_window_extent()
            assert box.x0 >= -1
            assert box.x1 <= figure.bbox.width + 1
            assert box.y1 <= figure.bbox.height + 1


def test_the_width_of_one_figure_is_not_that_of_the_next(errors):
    with figures.themed():
        figures.decision(errors, NEW)
        assert figures.cost(errors).figure.get_figwidth() == pytest.approx(7.2)


def test_the_ranks_of_a_decision_are_marked_by_round_values_between_the_worst_and_the_best():
    ticks = _rank_ticks(np.array([0.2106, 0.5, 0.7412, 0.7412, 0.8412, 0.9653]))
    assert list(ticks.values()) == [0.3, 0.7, 0.8, 0.9]
    assert list(ticks) == sorted(ticks)
    assert min(ticks) >= 0
    assert max(ticks) <= 1


def test_the_best_so_far_is_not_squeezed_by_poor_trials():
    poor = np.linspace(0.1, 0.7, 20)
    values = np.concatenate([[0.86, 0.95], poor, np.linspace(0.8, 0.9, 40), [0.96]])
    ax = figures.best_so_far([RoundValues("a", None, values)], "maximize", "acc")
    low, high = ax.get_ylim()
    assert 0.7 < low < 0.86
    assert high > 0.96
    assert ax.get_title("right").endswith("not shown")


def test_times_of_trials_have_round_ticks():
    frame = trials().assign(seconds=np.linspace(0.07, 0.26, 120))
    ax = figures.cost(analyze(SPACE, frame, metric="rmse", direction="minimize"))
    times = [float(text.get_text().removesuffix(" s")) for text in ax.get_xticklabels()]
    assert len(times) > 2
    assert np.allclose(np.diff(times), times[1] - times[0])


def test_levels_without_room_for_all_labels_have_round_ticks():
    from matplotlib import pyplot as plt

    _, ax = plt.subplots(figsize=(2, 2))
    Scale(Float(0.5, 5.0, 10)).dress(ax, "lr")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2", "3", "4", "5"]
    plt.close("all")


def test_few_trials_are_dots_and_no_density():
    analysis = analyze(SPACE, trials(30), metric="rmse", direction="minimize")
    ax = figures.density_2d(analysis, "learning_rate")
    assert not ax.collections
    assert max(len(line.get_xdata()) for line in ax.lines) >= 28  # outliers are not shown
    assert "trial" in legend(ax)


def test_times_below_a_hundredth_of_a_second_have_different_ticks():
    table = trials()
    table["seconds"] /= 1000
    ax = figures.cost(analyze(SPACE, table, metric="rmse", direction="minimize"))
    ax.figure.canvas.draw()
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert len(set(labels)) == len(labels) >= 3
    assert all(label.endswith(" ms") for label in labels)
