"""Figures: what is drawn, where it ends, and that nobody's settings change."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from looks import LONG, inside, legend, texts
from matplotlib.lines import Line2D

from refine.analysis.analysis import analyze
from refine.report import figures
from refine.report.figures.canvas import png
from refine.space.parameters import Float, Integer
from refine.space.space import Space

RANGES = {"lr": Float(0.5, 5, 10), "decay": Float(1e-6, 1e-1, 6, log=True), "batch": Integer(2, 30, 8)}
CHOICES = {"optimizer": ["Adam", "Nadam", LONG], "cost$x$": [None, True, "$"], "epochs": 150}
SPACE = Space({**RANGES, "neurons": [4, 8, 16, 32, 64], "layers": [0, 1, 2], **CHOICES})


def _table(space, n, saturate=True):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(space.columns(np.column_stack([rng.integers(0, p.size, n) for p in space.values()])))
    value = 0.985 - 0.004 * (np.asarray(frame.iloc[:, 0], dtype=float) - 0.8) ** 2 + rng.normal(0, 0.01, n)
    if saturate:
        value = np.minimum(value, 0.97)
        value[::25] = 0.37
    frame["value"] = value
    frame["state"] = "complete"
    frame.loc[frame.index % 20 == 3, ["state", "value"]] = ["failed", np.nan]
    frame["origin"] = "space_filling"
    return frame


@pytest.fixture(scope="module")
def analysis():
    return analyze(SPACE, _table(SPACE, 240), metric="val_acc", read={"batch": 0.0})


@pytest.mark.slow
def test_importing_figures_loads_no_matplotlib():
    code = "import sys, refine.report.markdown; print('matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "False"


def test_settings_and_pyplot_stay_untouched(analysis):
    import matplotlib as mpl

    settings = {"font.size": 17.0, "axes.grid": True}
    with mpl.rc_context(settings):
        before = dict(mpl.rcParams)
        ax = figures.correlation(analysis)
        assert dict(mpl.rcParams) == before
    assert ax.xaxis.label.get_fontsize() == 17
    assert figures.correlation(analysis).xaxis.label.get_fontsize() == 9
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_bars_of_correlations_stand_in_the_order_of_importance(analysis):
    ax = figures.correlation(analysis)
    assert [t.get_text() for t in ax.get_yticklabels()] == [e.name for e in analysis.ranked]
    hatched = [bar.get_hatch() for bar in ax.patches]
    assert [h is not None for h in hatched] == [e.association is not None for e in analysis.ranked]
    lr = ax.patches[0]
    assert lr.get_width() == pytest.approx(analysis["lr"].correlation.estimate)
    assert "val_acc" in ax.get_xlabel()
    assert any(text.startswith("never") for text in texts(ax))
    assert "q < 0.001" in texts(ax)
    inside(ax)


def test_the_density_of_a_range_is_one_on_average(analysis):
    ax = figures.density(analysis, "lr", Float(0.5, 2, 7))
    all_trials, best = (np.asarray(line.get_xydata()) for line in ax.lines[:2])
    assert all_trials[0, 0] == 0.5
    assert all_trials[-1, 0] == 5.0
    for curve in (all_trials, best):  # 1 is an even spread, so that each has the mean 1 over the range
        assert np.trapezoid(curve[:, 1], curve[:, 0]) / 4.5 == pytest.approx(1, abs=0.02)
    assert all_trials[:, 1].max() < 1.5  # an space-filling design is flat, at its ends as well
    assert best[0, 1] > 1.7
    assert ax.get_xlim() == (0.5, 5.0)
    span = ax.patches[-1]
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((0.5, 2))
    assert "proposed: 0.5 to 2" in legend(ax)
    assert ax.get_xlabel() == "lr"
    assert ax.get_ylabel() == "density (1 = uniform)"
    inside(ax)


def test_density_of_a_widened_log_range(analysis):
    ax = figures.density(analysis, "decay", Float(1e-4, 1, 5, log=True), "decided")
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == pytest.approx((1e-6, 1.0))
    assert ax.get_xlabel().startswith("decay (log")
    assert {"decided: 0.0001 to 1", "now: 1e-06 to 0.1"} <= set(legend(ax))
    assert "1" in [t.get_text() for t in ax.get_xticklabels()]


@pytest.mark.parametrize("name", ["optimizer", "neurons", "layers", "cost$x$"])
def test_the_bars_of_choices_sum_to_one(analysis, name):
    ax = figures.density(analysis, name)
    bars = [p for p in ax.patches if p.get_height() == pytest.approx(0.36)]
    assert len(bars) == 2 * SPACE[name].size
    assert sum(b.get_width() for b in bars if b.get_y() + 0.18 < round(b.get_y() + 0.18)) == pytest.approx(1)
    assert "share" in ax.get_xlabel()
    inside(ax)


def test_a_metric_that_never_changes():
    space = Space({"x": Float(0, 1, 5), "kind": ["a", "b"]})
    frame = _table(space, 40)
    frame["seed"] = np.arange(40)
    frame["value"] = np.where(frame["state"] == "complete", 0.97, np.nan)
    analysis = analyze(space, frame)
    figures.correlation(analysis).figure.canvas.draw()
    for name in space:
        for draw in (figures.density, figures.density_2d):
            draw(analysis, name).figure.canvas.draw()


def test_levels_of_a_fine_grid_are_one_line_of_marks():
    space = Space({"lr": Float(0, 1, 1001), "units": [8, 16, 32]})
    ax = figures.density(analyze(space, _table(space, 60)), "lr")
    ticks = ax.get_xticks()
    assert len(ax.xaxis.get_minor_ticks()) == 0
    marks = max((line.get_xdata() for line in ax.lines), key=len)
    assert len(marks) == 1001 - len(ticks)
    assert not set(ticks) & set(marks)


def test_picture_of_a_figure_is_drawn_once(analysis):
    drawn = []

    class Counted(Line2D):
        """A line that notes when it is drawn."""

        def draw(self, renderer):
            drawn.append(renderer)
            super().draw(renderer)

    ax = figures.correlation(analysis)
    ax.add_line(Counted([0, 0.1], [0, 0]))
    png(ax)
    assert len(drawn) == 1
