"""Isolation plots: bests of levels, at equal numbers of trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from looks import LONG, SPACE, apart, inside, legend, points, texts, trials

from refine import stats
from refine.analysis.analysis import analyze
from refine.errors import AnalysisError
from refine.report import figures
from refine.space.space import Space


def _space_filling() -> pd.DataFrame:
    table = trials()
    return table[(table["origin"] == "space_filling") & (table["state"] == "complete")]


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_best_and_expected_best_of_every_level(direction: str) -> None:
    sign = 1 if direction == "maximize" else -1
    table = trials()
    table["value"] *= sign
    ax = figures.isolation(analyze(SPACE, table, direction=direction, metric="m"), "lr")
    space_filling = _space_filling().assign(value=lambda t: sign * t["value"])
    groups = [
        space_filling[np.isclose(space_filling["lr"].astype(float), v)]["value"].to_numpy()
        for v in SPACE["lr"].grid
    ]
    fewest = min(map(len, groups))
    best = [sign * (sign * v).max() for v in groups]
    equal = [sign * stats.expected_best(sign * v, fewest) for v in groups]
    assert np.allclose(points(ax, "best"), [(b, row) for row, b in enumerate(best)])
    assert np.allclose(points(ax, "equal"), [(e, row) for row, e in enumerate(equal)])
    assert all(sign * e <= sign * b + 1e-12 for e, b in zip(equal, best, strict=True))
    assert texts(ax) == [f"n = {len(v)}" for v in groups]
    assert f"expected best of {fewest} trials" in legend(ax)
    assert [t.get_text() for t in ax.get_yticklabels()][:2] == ["0.0001", "0.000316"]
    low, high = ax.get_xlim()
    assert all(low <= v <= high for v in [*best, *equal])
    inside(ax)


@pytest.mark.slow
def test_the_view_is_close_enough_to_tell_bests_apart() -> None:
    ax = figures.isolation(analyze(SPACE, trials(), metric="val_acc"), "neurons")
    best = [x for x, _ in points(ax, "best")]
    low, high = ax.get_xlim()
    space_filling = _space_filling()["value"]
    assert low <= space_filling.median()  # half of all trials at least
    assert low > space_filling.min()
    assert ax.get_title("right").endswith("not shown")
    assert high > max(best)


def test_noise_is_a_band_below_the_best() -> None:
    analysis = analyze(SPACE, trials(), metric="val_acc")
    ax = figures.isolation(analysis, "optimizer")
    best = max(x for x, _ in points(ax, "best"))
    span = next(p for p in ax.patches if p.get_alpha() == 0.25)
    assert span.get_x() == pytest.approx(best - analysis.noise.sd)
    assert span.get_x() + span.get_width() == pytest.approx(best)


def test_a_level_with_one_trial_compares_means() -> None:
    space = Space({"a": ["x", "y", "z", "w"], "b": [1, 2, 3]})
    table = pd.DataFrame({"a": ["x", *["y"] * 12, *["z"] * 3], "b": np.resize([1, 2, 3], 16)})
    table["value"] = np.linspace(0, 1, 16)
    ax = figures.isolation(analyze(space, table), "a")
    assert "expected best of 1 trial" in legend(ax)
    assert points(ax, "equal")[1] == (pytest.approx(table["value"][1:13].mean()), 1)
    assert texts(ax)[-1] == "no trial"


@pytest.mark.slow
def test_pruned_trials_count_as_tried() -> None:
    table = trials()
    gone = (table["optimizer"] == "SGD") & (np.arange(300) % 2 == 0)
    table.loc[gone, ["state", "value"]] = ["pruned", np.nan]
    ax = figures.isolation(analyze(SPACE, table), "optimizer")
    tried = table[(table["origin"] == "space_filling") & table["state"].isin(["complete", "pruned"])]
    assert texts(ax) == [f"n = {(tried['optimizer'] == name).sum()}" for name in ("Adam", "Nadam", "SGD")]
    table.loc[table["optimizer"] == "SGD", ["state", "value"]] = ["pruned", np.nan]
    ax = figures.isolation(analyze(SPACE, table), "optimizer")
    assert "none finished" in texts(ax)
    assert len(points(ax, "best")) == 2


def test_degenerate_trials_are_no_best() -> None:
    table = trials().assign(degenerate=0.0)
    table.loc[3, ["degenerate", "value", "state", "origin"]] = [1.0, 0.999, "complete", "space_filling"]
    ax = figures.isolation(analyze(SPACE, table), "optimizer")
    assert max(x for x, _ in points(ax, "best")) < 0.99


@pytest.mark.slow
def test_long_labels_and_shared_rows() -> None:
    analysis = analyze(SPACE, trials())
    ax = figures.isolation(analysis, "loss$x$")
    assert any(LONG[:10] in t.get_text() for t in ax.get_yticklabels())
    inside(ax)
    ax = figures.isolation(analysis, "width")
    assert len(points(ax, "best")) == 10
    inside(ax)
    apart(ax.get_yticklabels())


def test_ties_are_not_magnified() -> None:
    table = trials()
    table["value"] = np.minimum(table["value"], 0.93)
    ax = figures.isolation(analyze(SPACE, table), "neurons")
    assert ax.get_xlim()[0] < 0.92


@pytest.mark.slow
def test_refusals() -> None:
    analysis = analyze(SPACE, trials())
    with pytest.raises(KeyError, match="did you mean 'optimizer'"):
        figures.isolation(analysis, "optimzer")
    table = trials().assign(degenerate=1.0)
    table.loc[0, ["degenerate", "value", "state", "origin"]] = [0.0, 0.9, "complete", "exploit"]
    with pytest.raises(
        AnalysisError, match="no space-filling trial may be called best; run more configurations"
    ):
        figures.isolation(analyze(SPACE, table), "optimizer")
