"""Trials whose model predicts the same for everything keep their value and are no round's best."""

import re

import pytest

import objectives
import refine
from refine.report.markdown.round import gather

pytestmark = pytest.mark.slow


def constant_at_high_rates(params):
    """At lr >= 4 the model predicts one class only, which is scored above all others."""
    flat = params["lr"] >= 4
    return {"f1": 2.0 if flat else -objectives.bowl(params) / -100, "degenerate": float(flat)}


def test_a_degenerate_trial_is_passed_over_everywhere(tree, space, tmp_path):
    round_ = tree.add_round(space, constant_at_high_rates, metric="f1", n=60, seed=1).run()
    assert round_.trials["value"].max() == 2.0  # it keeps its value
    assert round_.best["degenerate"] == 0
    assert tree._best()["value"] == round_.best["value"] < 1
    assert "best f1 2.0" not in str(tree)
    analysis = round_.analyze()
    assert analysis.best["value"] == round_.best["value"]
    assert analysis.y.max() < 1  # nor is the optimum sought there
    assert [level.bad for level in analysis["lr"].levels] == [0.0] * 7 + [1.0] * 3
    assert round_.propose(keep=False).space["lr"].high < 4
    facts = gather(round_)
    assert facts.finished.iloc[0]["value"] == round_.best["value"]
    text = round_.report(tmp_path).read_text()
    assert "constant (`degenerate`). They" in text
    assert not re.search(r"\bbest f1\b.* 2\.0", text)
    child = round_.branch(space.replace({"lr": refine.Float(0.5, 5.0, 10)}), n=5)
    assert not child._node.allow_degenerate


def test_a_round_that_allows_degenerate_trials_may_have_one_as_its_best(tree, space):
    round_ = tree.add_round(
        space, constant_at_high_rates, metric=refine.Goal("f1", allow_degenerate=True), n=60, seed=1
    )
    round_.run()
    assert round_.best["value"] == round_.analyze().best["value"] == round_.analyze().y.max() == 2.0
    assert not round_.analyze()["lr"].fails
    assert tree[round_.id].best["value"] == 2.0  # it is stored
    child = round_.branch({"lr": (0.5, 2.0, 4), "dropout": 0.0, "optimizer": "Adam", "junk": 1}, n=2)
    assert child._node.allow_degenerate
    other = tree.diff(round_, tree.add_round(space, objectives.bowl, n=5, seed=1)).other
    assert other["allow_degenerate"] == (True, False)
    # The choice is no part of the identity and can be changed.
    same_round = tree.add_round(space, constant_at_high_rates, metric="f1", n=60, seed=1)
    assert same_round.id == round_.id
    assert same_round.best["value"] < 1


def test_a_round_of_degenerate_trials_has_no_best(tree, space, tmp_path):
    round_ = tree.add_round(space, lambda p: {"acc": p["lr"], "degenerate": 1.0}, metric="acc", n=12)
    text = round_.run().report(tmp_path).read_text()
    assert round_.best is None
    assert tree._best() is None
    assert round_.analyze().best["value"] == round_.trials["value"].max()
    assert "is degenerate" in text
