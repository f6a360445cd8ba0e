"""Close-ups: trials, medians and densities between two bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from looks import SPACE, inside, legend, trials

from refine import stats
from refine.analysis.analysis import Analysis, analyze
from refine.analysis.densities import cell_widths as widths
from refine.errors import AnalysisError
from refine.report import figures
from refine.report.figures.look import tone
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer
from refine.space.space import Space


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(SPACE, trials(), metric="val_acc")


@pytest.fixture(scope="module")
def between() -> Analysis:
    """Trials between levels."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"x": rng.random(200), "k": rng.integers(1, 201, 200)})
    table["value"] = 0.9 - (table["x"] - 0.4) ** 2 + rng.normal(0, 0.01, 200)
    return analyze(Space({"x": Float(0, 1, 6), "k": Integer(1, 200, 10)}), table)


def _space_filling() -> pd.DataFrame:
    table = trials()
    return table[(table["origin"] == "space_filling") & (table["state"] == "complete")]


def _line(ax: Any, colour: str) -> Any:
    return next(line for line in ax.lines if line.get_color() == colour and np.size(line.get_xdata()) > 1)


def _strip(ax: Any) -> Any:
    return ax.child_axes[0]


def test_medians_are_those_of_the_levels_between(analysis: Analysis) -> None:
    ax = figures.close_up(analysis, "dropout", 0.1, 0.3)
    space_filling = _space_filling()
    line = _line(ax, tone().orange)
    assert list(line.get_xdata()) == pytest.approx([0.1, 0.2, 0.3])
    expected = [
        space_filling[np.isclose(space_filling["dropout"].astype(float), v)]["value"].median()
        for v in (0.1, 0.2, 0.3)
    ]
    assert list(line.get_ydata()) == pytest.approx(expected)
    assert ax.get_xlim() == pytest.approx((0.1, 0.3))
    drawn = next(line for line in ax.lines if line.get_color() == tone().ink)
    here = space_filling[(space_filling["dropout"] > 0.05) & (space_filling["dropout"] < 0.35)]
    assert np.size(drawn.get_xdata()) == len(here)
    assert ax.get_title("left") == "dropout from 0.1 to 0.3 against val_acc"
    assert "median, 95 % interval" in legend(ax)
    assert ax.get_xlabel() == "dropout"
    inside(ax)


def test_the_strip_is_below_the_trials_and_its_densities_are_of_the_part_shown(analysis: Analysis) -> None:
    ax = figures.close_up(analysis, "lr", 3.1e-4, 1e-2)
    strip = _strip(ax)
    space_filling = _space_filling()
    good = space_filling[stats.top_mask(space_filling["value"], 0.2)]
    inner = good[(good["lr"] > 3.1e-4) & (good["lr"] < 1.1e-2)]
    assert f"density of the best 20 % ({len(inner)} here)" in legend(ax)
    best = next(line for line in strip.lines if line.get_color() == tone().blue)
    x, y = np.log(best.get_xdata()), best.get_ydata()
    assert np.trapezoid(y, (x - x[0]) / (x[-1] - x[0])) == pytest.approx(1, abs=0.02)
    everyone = strip.collections[0].get_paths()[0].vertices[:, 1]
    assert 0.7 < np.median(everyone[everyone > 0]) < 1.3  # an space-filling design is flat, also at the cuts
    border = next(line for line in ax.lines if np.ptp(np.asarray(line.get_ydata(), float)) == 0).get_ydata()[
        0
    ]
    low, high = ax.get_ylim()
    assert (border - low) / (high - low) == pytest.approx(0.24, abs=0.01)
    assert min(ax.get_yticks()) >= border
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "lr (log scale)"


def test_cut_levels_own_half_a_cell() -> None:
    p = Float(0, 1, 11)
    x = p.unit([0.2, 0.3, 0.5])
    assert widths(p, x).tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert widths(p, x, (0.2, 0.5)).tolist() == pytest.approx([0.05, 0.1, 0.05])


@pytest.mark.slow
def test_between_levels_the_median_runs(between: Analysis) -> None:
    ax = figures.close_up(between, "x", 0.2, 0.8, Float(0.3, 0.5, 5))
    line = _line(ax, tone().orange)
    at, median = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert len(at) == 80
    table = between.table
    here = table[(table["x"] >= 0.2) & (table["x"] <= 0.8)]
    wanted = int(np.ceil(0.15 * len(here)))
    nearest = np.argsort(np.abs(here["x"].to_numpy() - at[40]))[:wanted]
    assert median[40] == pytest.approx(np.median(here["value"].to_numpy()[nearest]), abs=0.003)
    assert at[np.argmax(median)] == pytest.approx(0.4, abs=0.1)
    assert "running median, 95 % band" in legend(ax)
    span = next(p for p in ax.patches if p.get_alpha() == 0.18)
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((0.3, 0.5))
    assert "proposed: 0.3 to 0.5" in legend(ax)
    inside(ax)


@pytest.mark.parametrize(
    ("name", "low", "high", "new", "limits"),
    [
        ("width", 8, 160, Integer(40, 96), (7.5, 160.5)),
        ("neurons", 8, 32, Categorical([16, 32]), (0.5, 3.5)),
        ("width", 100, 320, Categorical([120, 200]), (99.5, 320.5)),
        ("lr", 1e-4, 1e-1, Categorical([0.001]), (1e-4, 1e-1)),
    ],
)
def test_integers_and_lists(
    analysis: Analysis, name: str, low: float, high: float, new: Any, limits: tuple[float, float]
) -> None:
    ax = figures.close_up(analysis, name, low, high, new, "decided")
    assert ax.get_xlim() == pytest.approx(limits)
    assert any(text.startswith("decided: ") for text in legend(ax))
    inside(ax)


def test_pruned_trials_weigh_on_the_median_and_are_not_drawn() -> None:
    table = trials()
    weak = np.isclose(table["lr"].astype(float), 1e-4) & (np.arange(300) % 3 > 0)
    table.loc[weak, ["state", "value"]] = ["pruned", np.nan]
    ax = figures.close_up(analyze(SPACE, table), "lr", 1e-4, 1e-2)
    assert np.isnan(_line(ax, tone().orange).get_ydata()[0])
    drawn = next(line for line in ax.lines if line.get_color() == tone().ink)
    space_filling = table[
        (table["origin"] == "space_filling") & (table["state"] == "complete") & (table["lr"] < 0.02)
    ]
    assert np.size(drawn.get_xdata()) <= len(space_filling)


def test_refusals(analysis: Analysis, between: Analysis) -> None:
    with pytest.raises(AnalysisError, match="low must be < high, got 0.3 and 0.1; swap them?"):
        figures.close_up(analysis, "dropout", 0.3, 0.1)
    with pytest.raises(
        AnalysisError, match="within dropout's range, 0 to 0.5, got 0.1 and 0.7; outside it no trial ran"
    ):
        figures.close_up(analysis, "dropout", 0.1, 0.7)
    with pytest.raises(AnalysisError, match="optimizer has no order of numbers.*use levels\\('optimizer'\\)"):
        figures.close_up(analysis, "optimizer", 0, 1)
    with pytest.raises(
        AnalysisError,
        match="x from 0.5 to 0.51 holds . space-filling trials?, but at least 10 are needed; take wider bounds",
    ):
        figures.close_up(between, "x", 0.5, 0.51)
    with pytest.raises(AnalysisError, match="high must be a finite number, got '1'"):
        figures.close_up(analysis, "dropout", 0, "1")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="did you mean 'dropout'"):
        figures.close_up(analysis, "dropuot", 0, 1)
