"""Densities of the good trials beside all, as figures and the page draw them."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis.densities import density_curves
from refine.analysis.levels import level_shares
from refine.analysis.selection import other_trials, top_trials
from refine.design.space_filling import design_named, draw


def test_a_conditional_parameter_is_drawn_of_the_trials_that_have_it():
    space = refine.Space(
        {
            "kind": ["a", "b"],
            "x": refine.Float(0.0, 1.0, 11, when="kind == 'b'"),
            "y": refine.Float(0.0, 1.0, 11, when="kind == 'a'"),
        }
    )
    frame = pd.DataFrame(space.columns(draw(design_named("sobol"), space, 20, 1)))
    frame["x"] = frame["x"].where(frame["kind"] == "b")
    frame["y"] = frame["y"].where(frame["kind"] == "a")
    # The best are of kind b, and there at large x; none of them has y.
    value = np.where(frame["kind"] == "b", 1 + frame["x"].fillna(0), 0.0)
    analysis = refine.analyze(space, frame.assign(value=value))
    curves = density_curves(analysis, "x", 50)
    assert curves.n == (frame["kind"] == "b").sum()
    assert curves.best[-1] > 2 * curves.best[0]
    assert np.allclose(np.trapezoid(curves.everyone, curves.at), 1, atol=0.1)
    curves_of_y = density_curves(analysis, "y", 50)
    assert (curves_of_y.n, curves_of_y.good, curves_of_y.best.max()) == ((frame["kind"] == "a").sum(), 0, 0.0)
    assert np.isfinite(curves_of_y.everyone).all()


def test_title_counts_audit_trials_outside_the_space():
    space = refine.Space({"x": refine.Float(0.0, 1.0, 11)})
    frame = pd.DataFrame(space.columns(draw(design_named("sobol"), space, 11, 1))).assign(
        origin="space_filling"
    )
    audit = pd.DataFrame({"x": [2.0], "origin": ["audit"]})
    frame = pd.concat([frame, audit], ignore_index=True).assign(state="complete")
    analysis = refine.analyze(space, frame.assign(value=frame["x"]))
    assert str(analysis).startswith("12 trials, best")


def test_top_trials_are_the_best_of_all_finished_trials_of_the_round():
    space = refine.Space({"kind": ["a", "b"], "x": refine.Float(0.0, 1.0, 11)})
    even = space.columns(draw(design_named("sobol"), space, 20, 1))
    frame = pd.DataFrame(even).assign(origin="space_filling", value=0.0)
    # Trials that the model placed are better than every evenly drawn trial.
    placed = pd.DataFrame({"kind": "b", "x": 0.3, "origin": "exploit", "value": 1 + np.arange(10) / 100})
    frame.loc[frame["x"] > 0.8, "value"] = 0.1
    analysis = refine.analyze(space, pd.concat([frame, placed], ignore_index=True).assign(state="complete"))
    usable = np.ones(len(analysis.table), dtype=bool)
    good, _ = top_trials(analysis, usable)
    curves = density_curves(analysis, "x", 51)
    shares = level_shares(analysis, "kind")
    assert set(analysis.table["origin"][good]) == {"exploit"}
    assert np.take(curves.at, curves.best.argmax()) == pytest.approx(0.3, abs=0.05)
    assert (curves.n, curves.good) == (30, 6)
    assert [share.good for share in shares] == pytest.approx([0.0, 1.0])
    assert shares[1].everyone == pytest.approx((frame["kind"].eq("b").sum() + 10) / 30)


def test_trials_of_other_rounds_inside_the_space_are_drawn_and_may_be_top_trials(tmp_path):
    def score(p):
        return (p["kind"] == "b") - (p["x"] - 0.5) ** 2

    space = {"kind": ["a", "b"], "x": refine.Float(0.0, 1.0, 11), "y": (0.0, 1.0, 11)}
    with refine.Tree("two", store=tmp_path / "two.db") as tree:
        root = tree.add_round(space, score, n=20, seed=1, metric=refine.Goal("value", noise="none")).run()
        child = (
            root.propose()
            .edit(x=(0.0, 0.3), kind=["a", "b"], y=(0.0, 1.0))
            .accept(n=12, plan=refine.Plan(audit=0.0))
            .run()
        )
        analysis = child.analyze()
        inside = root.trials["x"].le(0.3).sum()
        curves = density_curves(analysis, "x")
        assert curves.n == len(child.trials) + inside
        joined = np.concatenate([child.trials["value"], root.trials["value"][root.trials["x"].le(0.3)]])
        usable = np.ones(len(analysis.table), dtype=bool)
        good, good_others = top_trials(analysis, usable)
        smallest = min(
            analysis.table["value"][good].min(), other_trials(analysis).observed[good_others].min()
        )
        assert (joined > smallest).sum() < good.sum() + good_others.sum()
        assert curves.good == good.sum() + good_others.sum()
