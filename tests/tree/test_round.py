"""Running rounds in this process: states, resuming, extending, seeds, and clear errors."""

import math

import numpy as np
import pytest

import objectives
import refine
from refine.errors import AnalysisError, ObjectiveError, ReviewError


def test_the_table_has_the_promised_columns(tree, space):
    round_ = tree.add_round(space, objectives.bowl, n=30, seed=7)
    frame = round_.run().trials
    assert list(frame.columns) == [*space, "state", "value", "seconds", "seed", "cell", "origin"]
    assert len(frame) == 30
    assert set(frame["state"]) == {"complete"}
    assert set(frame["origin"]) == {"space_filling"}
    assert sorted(map(int, frame["cell"])) == sorted(round_._cells())
    row = frame.iloc[3]
    assert row["value"] == objectives.bowl(space.configuration(int(row["cell"])))


def test_running_twice_runs_nothing_twice_and_a_larger_n_extends(tree, space):
    calls = []

    def objective(params):
        calls.append(params["lr"])
        return params["lr"]

    first = tree.add_round(space, objective, n=20, seed=1).run().trials
    assert len(calls) == 20
    same_round = tree.add_round(space, objective, n=20, seed=1).run()
    assert len(calls) == 20
    same_round.run(n=35)
    assert len(calls) == 35
    assert same_round.n == 35
    assert same_round.trials.iloc[:20].equals(first)
    assert len(tree) == 1


def test_the_note_of_a_round_can_be_changed(tree, space):
    round_ = tree.add_round(space, objectives.bowl, n=40, note="first")
    child = round_.branch({**space, "lr": (0.5, 2.0, 4)}, n=5, note="low")
    child.note = "lower"
    same_round = tree.add_round(space, objectives.bowl, n=40, note="again")
    assert (same_round.id, same_round.note) == (round_.id, "first")
    round_.note = "rates"
    assert same_round.note == round_.note == "rates"
    assert [other.note for other in tree.rounds] == ["rates", "lower"]
    assert round_._decisions[0].note == "low"
    assert round_.to_dict()["note"] == "rates"
    with pytest.raises(ReviewError, match="a note must be text, got 7"):
        round_.note = 7
    assert tree.rounds[0].note == "rates"


def test_exceptions_fail_a_trial_and_nan_diverges_it(tree, space):
    round_ = tree.add_round(space, objectives.sometimes, n=60, seed=2).run()
    frame = round_.trials
    assert (frame.loc[frame["lr"] < 1, "state"] == "failed").all()
    assert (frame.loc[frame["lr"] > 4, "state"] == "diverged").all()
    assert (frame.loc[frame["lr"].between(1, 4), "state"] == "complete").all()
    assert frame.loc[frame["state"] != "complete", "value"].isna().all()
    failed = round_.failures
    text = failed.loc[failed["state"] == "failed", "error"].iloc[0]
    assert "ValueError: lr 0.5" in text
    assert "objectives.py" in text


def test_a_bare_nan_diverges_where_several_metrics_are_returned(tree, space):
    def objective(params):
        return math.nan if params["lr"] > 2 else {"acc": params["lr"], "loss": 1.0}

    round_ = tree.add_round(space, objective, n=60, metric="acc", seed=2).run()
    too_high = round_.trials["lr"] > 2
    assert too_high.any()
    assert not too_high.all()
    assert (round_.trials["state"] == np.where(too_high, "diverged", "complete")).all()
    assert round_.replay(sample=20).same
    lost = tree.add_round(space, lambda params: math.nan, n=20, metric="acc", name="lost")
    with pytest.warns(refine.errors.RefineWarning, match="first 5 trials all returned NaN"):
        lost.run()
    with pytest.raises(
        AnalysisError,
        match=r"got 0 of 20 rows .*; look",
    ):
        lost.analyze()


def test_a_metric_is_taken_at_the_best_or_the_last_epoch(tree, space):
    round_ = tree.add_round(space, objectives.metrics, metric="max:acc", n=15).run()
    for _, row in round_.trials.iterrows():
        curve = [math.sin(epoch + row["lr"]) for epoch in range(5)]
        assert row["value"] == max(curve)
        assert row["acc"] == curve[-1]
        assert row["seed (metric)"] == row["seed"]
    last = tree.add_round(space, objectives.metrics, metric="acc", n=15)
    assert last.id == round_.id  # the metric is no part of the identity
    assert (last.trials["value"] == last.trials["acc"]).all()


def test_a_reopened_round_asks_for_its_objective(tmp_path, space):
    def bowl(params):  # a function inside a function cannot be found by its name
        return objectives.bowl(params)

    store = tmp_path / "refine.db"
    with refine.Tree("q", store=store) as tree:
        round_ = tree.add_round(space, bowl, n=9).run()
    with refine.Tree("q", store=store) as tree:
        opened = tree[round_.id[:5]]
        assert opened.space == space
        with pytest.raises(ObjectiveError, match="objective '.*bowl'"):
            opened.run(n=12)
        with pytest.raises(ObjectiveError, match="new round"):
            opened.run(objective=objectives.broken)
        assert len(opened.run(n=12, objective=bowl).trials) == 12


def test_a_trial_without_the_metric_fails_alone_where_others_have_it(tree, space):
    def objective(params):
        return {"acc": params["lr"]} if params["dropout"] < 0.4 else {"other": 1.0}

    round_ = tree.add_round(space, objective, n=40, metric="acc")
    for _ in range(10):
        try:
            round_.run()
            break
        except ObjectiveError:
            continue
    frame = round_.trials
    assert len(frame) == 40
    assert frame.loc[frame["dropout"] < 0.4, "state"].eq("complete").all()
    assert frame.loc[frame["dropout"] >= 0.4, "value"].isna().all()
    assert "'acc'" in round_.failures["error"].iloc[-1]


def test_an_objective_that_exits_fails_its_trial_only(tree, space):
    def objective(params):
        if params["lr"] == 0.5:
            raise SystemExit(3)
        return params["lr"]

    frame = tree.add_round(space, objective, n=40).run().trials
    assert (frame.loc[frame["lr"] == 0.5, "state"] == "failed").all()
    assert (frame.loc[frame["lr"] != 0.5, "state"] == "complete").all()


def test_the_progress_bar_names_parameters_that_no_trial_has_read(tree, space, capsys):
    tree.machine = refine.Machine()  # shows progress
    first = tree.add_round(space, objectives.bowl, n=9)
    first.run()
    assert "read: " not in capsys.readouterr().err  # ten trials first
    first.run(n=12)  # what was run before counts
    assert "read: junk]" in capsys.readouterr().err  # "epochs" isn't read either, but doesn't vary
    reading_all = tree.add_round(space, lambda params: float(len(dict(params.items()))), n=12)
    reading_all.run()
    assert "read: " not in capsys.readouterr().err


def test_the_best_configuration_is_the_one_that_the_objective_got(tree):
    configurations = []

    def objective(params):
        configurations.append(dict(params.items()))
        return params["x"] + (params["f"] is math.sin)

    space = {"x": (0, 3), "f": [math.sin, math.cos], "layers": [(1, 2), (3, 4)]}
    round_ = tree.add_round(space, objective, n=16)
    assert round_._best_params is None
    round_.run()
    best = round_._best_params
    assert best in configurations
    assert (best["x"], best["f"]) == (3, math.sin)
    assert round_.best["f"] == "sin"  # tables show labels


@pytest.mark.slow
def test_code_that_changed_in_mid_round_is_named_by_run_propose_and_checks(tree, space):
    def objective(params):
        return params["lr"]

    tree.add_round(space, objective, n=15, name="edited").run()

    def objective(params):  # the same name, edited
        return 5 - params["lr"]

    round_ = tree.add_round(space, objective, n=25, name="edited")
    with pytest.warns(refine.errors.RefineWarning, match="15 of its 15 finished"):
        round_.run()
    review = round_.propose()
    assert "ran 2 versions" in str(review.why())
    assert review.checks()["code"].verdict == "fail"
    assert "code" not in [c.key for c in tree.add_round(space, objectives.bowl, n=12).run().checks().checks]


@pytest.mark.slow
def test_a_decided_round_cannot_change_its_metric(tree, space):
    def objective(params):
        return {"acc": params["lr"], "size": params["dropout"]}

    root = tree.add_round(space, objective, metric="acc", n=20, seed=1).run()
    tree.add_round(
        space, objective, metric=refine.Goal("acc", subject_to=["size <= 0.4"]), n=20, seed=1
    )  # nothing was decided yet
    tree.add_round(space, objective, metric="acc", n=20, seed=1)
    root.propose().accept(n=5)
    for other in (
        {"metric": "size", "direction": "minimize"},
        {"metric": refine.Goal("acc", subject_to=["size <= 0.1"])},
    ):
        with pytest.raises(refine.errors.ReviewError, match="acc .maximize., got .*another seed"):
            tree.add_round(space, objective, n=20, seed=1, **other)
    assert tree.rounds[0]._node.judged_by == root._node.judged_by
    assert tree.add_round(space, objective, metric="acc", n=20, seed=1).id == root.id


@pytest.mark.parametrize("shares", [{"exploit": 1.5}, {"audit": True}, {"exploit": 0.7, "audit": 0.4}])
def test_branch_with_shares_out_of_range_is_refused_and_creates_no_child(tree, space, shares):
    root = tree.add_round(space, objectives.bowl, n=10)
    with pytest.raises(refine.errors.ReviewError, match="exploit|audit"):
        root.branch(space, n=4, plan=refine.Plan(**shares))
    assert root.children == ()


def test_branch_without_shares_draws_every_trial_evenly(tree, space):
    root = tree.add_round(space, objectives.bowl, n=10)
    child = root.branch(space, n=4, seed=1)
    assert (child._node.exploit, child._node.audit) == (0.0, 0.0)


def test_repeated_branch_keeps_its_configurations_and_warns_of_new_ones(tree, space):
    root = tree.add_round(space, objectives.bowl, n=10).run()
    child = root.branch({**space, "lr": (1.0, 2.0, 11)}, n=4).run()
    root.branch({**space, "lr": (1.0, 2.0, 11)}, n=4)  # the same again says nothing
    with pytest.warns(refine.errors.RefineWarning, match="4 configurations.* 3 new"):
        same_round = root.branch({**space, "lr": (1.0, 2.0, 11)}, n=7)
    assert same_round.id == child.id
    assert len(same_round.run().trials) == 7


def test_a_single_failure_does_not_come_before_the_proposal(tree):
    def objective(params):
        if params["x"] == params["y"] == 0:
            raise ValueError("lost")
        return params["x"]

    round_ = tree.add_round({"x": (0.0, 1.0, 5), "y": (0.0, 1.0, 5)}, objective, n=25).run()
    names = [call.name for call in round_._page().calls]
    assert names[0] == "round.propose"
    assert names[-1] == "round.failures"
