"""A metric that is a function of a trial's metrics."""

import math

import pytest

import objectives
import refine
from refine.errors import AnalysisError, ObjectiveError
from refine.trials.metric import Metric


def balance(metrics):
    return metrics["acc"] - 0.01 * metrics["loss"]


def missing(metrics):
    return metrics["f1"]


NAME = f"function:{__name__}.balance"


@pytest.mark.slow
def test_the_value_of_a_metric_function_is_stored_with_every_trial(tmp_path, space):
    with refine.Tree("q", store=tmp_path / "a.db") as tree:
        round_ = tree.add_round(space, objectives.metrics, metric=balance, n=30, seed=1).run()
        frame = round_.trials
        assert round_._value == NAME
        assert (frame["value"] == frame["acc"] - 0.01 * frame["loss"]).all()
        assert (frame[f"{__name__}.balance"] == frame["value"]).all()
        child = round_.propose().accept(n=3)
        child.run()
        assert child._value == NAME
        text = str(tree)
    with refine.Tree("q", store=tmp_path / "a.db") as tree:  # without the function
        reopened = tree[round_.id]
        assert str(tree) == text
        assert reopened.trials.equals(frame)
        assert reopened.analyze().metric == NAME
        assert "from your_script import balance" in reopened.report(tmp_path).read_text()
        assert reopened.analyze(metric="acc").best["value"] == frame["acc"].max()
        with pytest.raises(ObjectiveError, match=r"function .*balance',"):
            reopened.run(n=32, objective=objectives.metrics)
        tree.add_round(space, objectives.metrics, metric=balance, n=30, seed=1)
        reopened.run(n=32)
        assert len(reopened.trials.dropna(subset="value")) == 32


def test_trials_from_before_are_scored_when_it_is_given(tmp_path, space):
    with refine.Tree("q", store=tmp_path / "a.db") as tree:
        tree.add_round(space, objectives.metrics, metric="acc", n=12, seed=1).run()
        round_ = tree.add_round(space, objectives.metrics, metric=balance, n=12, seed=1)
        assert (round_.trials["value"] == round_.trials["acc"] - 0.01 * round_.trials["loss"]).all()
        values = round_.analyze("acc").table["value"].tolist()
        assert values == round_.trials["acc"].tolist()
        with refine.Tree("q", store=tmp_path / "a.db") as other:
            assert other[round_.id].trials["value"].isna().all()
            with pytest.raises(AnalysisError, match="function"):
                other[round_.id].analyze()
            assert math.isfinite(other[round_.id].analyze(metric=balance).best["value"])
        round_.run()  # nothing is left to run, but now they are stored
    with refine.Tree("q", store=tmp_path / "a.db") as tree:
        assert tree[round_.id].trials["value"].notna().all()


def test_a_function_that_cannot_score_a_trial_says_why_and_loses_nothing(tree, space):
    round_ = tree.add_round(space, objectives.metrics, metric=missing, n=5)
    with pytest.raises(ObjectiveError, match="KeyError: 'f1'"):
        round_.run()
    round_ = tree.add_round(space, objectives.metrics, metric=balance, n=5).run()
    assert len(round_.trials) == 5
    assert len(round_.failures) == 0


def test_a_metric_function_is_named_after_itself():
    with pytest.raises(AnalysisError, match="got .*<lambda>"):
        Metric.parse(lambda m: m["acc"])
    assert str(Metric.parse(balance)) == NAME
    assert Metric.parse(NAME).function is None
    assert Metric.parse(NAME, {f"{__name__}.balance": balance}).of({"acc": 1.0, "loss": 0.0}, {}) == 1.0
    with pytest.raises(AnalysisError, match="got 3"):
        Metric.parse(3)
