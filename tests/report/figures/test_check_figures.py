"""Figures of the checks: failures, cost."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from looks import SPACE, drawn, inside, legend, points, texts, trials

from refine import stats
from refine.analysis.analysis import analyze
from refine.errors import AnalysisError
from refine.report import figures
from refine.report.figures.theme import tone
from refine.space.space import Space
from tests.reading import numbers_in


def test_shares_of_failures(analysis):
    ax = figures.failing(analysis)
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels[:2] == ["lr", "0.0001  "]  # what failures depend on most comes first
    table = trials()
    table = table[table["origin"] == "space_filling"]
    bad = table["state"] == "diverged"
    shares = [bad[np.isclose(table["lr"].astype(float), v)].mean() for v in SPACE["lr"].grid]
    rates = points(ax, "rate")
    assert [x for x, _ in rates[:7]] == pytest.approx(shares)
    assert [y for _, y in rates[:7]] == list(range(1, 8))
    assert drawn(ax, "rate")[6].get_color() == tone().orange
    assert {line.get_color() for line in drawn(ax, "rate")[:6]} == {tone().grey}
    assert drawn(ax, "overall")[0].get_xdata()[0] == pytest.approx(bad.mean())
    at_rate = np.isclose(table["lr"].astype(float), 0.1)
    assert f"{bad[at_rate].sum()} of {at_rate.sum()}" in texts(ax)
    ends = stats.wilson(bad[at_rate].sum(), at_rate.sum())
    intervals = [tuple(line.get_xdata()) for line in ax.lines if line.get_linewidth() == 1.6]
    assert intervals[6] == pytest.approx((float(ends.low), float(ends.high)))
    assert any(text.startswith(f"all: {bad.sum()} of {len(bad)}") for text in legend(ax))
    assert numbers_in(ax.get_title("right")) == ["4"]  # parameters without a row
    inside(ax)


def test_degenerate_models_count_as_failures():
    table = trials().assign(degenerate=0.0)
    weak = (table["optimizer"] == "SGD") & (table["state"] == "complete") & (np.arange(300) % 2 == 0)
    table.loc[weak, "degenerate"] = 1.0
    ax = figures.failing(analyze(SPACE, table))
    assert {"lr", "optimizer"} <= {t.get_text() for t in ax.get_yticklabels()}


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_cost_figure_marks_the_best_and_the_cheapest_equally_good_trial(analysis, direction):
    sign = 1 if direction == "maximize" else -1
    table = trials().assign(value=lambda t: sign * t["value"], seconds=lambda t: 600 * t["seconds"])
    analysed = analyze(SPACE, table, direction=direction, metric="m")
    with figures.themed("column"):  # where times such as 3 min 20 s hardly have room
        ax = figures.cost(analysed)
    done = table[table["state"] == "complete"]  # focused ones too: this is no test
    gain = sign * done["value"]
    best = done.loc[gain.idxmax()]
    assert points(ax, "best") == [(pytest.approx(best["seconds"]), pytest.approx(best["value"]))]
    near = done[gain >= gain.max() - analysed.noise.sd]
    cheap = near.loc[near["seconds"].idxmin()]
    assert points(ax, "cheapest") == [(pytest.approx(cheap["seconds"]), pytest.approx(cheap["value"]))]
    front = [v for _, v in points(ax, "front")]
    assert front == sorted(front, reverse=sign < 0)
    assert front[-1] == best["value"]
    band = next(p for p in ax.patches if p.get_gid() == "noise")
    assert band.get_height() == pytest.approx(analysed.noise.sd)
    assert any(text.startswith("cheapest") for text in legend(ax))
    inside(ax)


def test_figures_of_checks_without_data_are_refused(analysis):
    fixed = analyze(Space({"a": 1}), pd.DataFrame({"a": 1, "value": np.arange(20.0)}))
    untimed = replace(analysis, table=analysis.table.drop(columns="seconds"))
    instant = replace(analysis, table=analysis.table.assign(seconds=0.0))
    for draw, arguments, pattern in (
        (figures.failing, [fixed], "^no parameter varies"),
        (figures.cost, [untimed], "cost: the table has no column 'seconds'; add the time of each trial"),
        (figures.cost, [instant], "cost: no finished trial has a time above 0"),
    ):
        with pytest.raises(AnalysisError, match=pattern):
            draw(*arguments)
