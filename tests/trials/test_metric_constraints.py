"""Metric constraints: what another metric has to be for a trial to count."""

import itertools

import pandas as pd
import pytest

import refine
from objectives import network
from refine.errors import AnalysisError, ObjectiveError, RefineError, SpaceError
from refine.trials.metric_constraint import MetricConstraint, metric_constraints

LIMIT = "latency_ms <= 4"
SPACE = {
    "units": refine.Integer(8, 128, 8),
    "lr": refine.Float(1e-4, 1, log=True),
    "dropout": (0.0, 0.5, 6),
    "act": ["relu", "gelu"],
}


@pytest.fixture(scope="session")
def first_round():
    return lambda tree: tree.add_round(
        SPACE, network, metric=refine.Goal("val_acc", subject_to=[LIMIT]), n=100
    ).run()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "latency_ms",
            "must be a metric, <= or >=, and a number, for example 'latency_ms <= 5', got 'latency_m",
        ),
        (5, "got 5"),
        ("latency_ms < 5", "write <= or >=, not <; a bound itself is met"),
        ("latency_ms == 5", "write <= or >=, not ==; measured numbers are never met exactly"),
        ("latency_ms <= loss", "right of <= stands a number, got 'loss'"),
    ],
)
def test_a_wrong_metric_constraint_is_refused_before_a_trial(tree, text, message):
    with pytest.raises(AnalysisError, match=message):
        tree.add_round(SPACE, network, metric=refine.Goal("val_acc", subject_to=[text]), n=10)
    assert len(tree) == 0


def test_constraints_have_one_spelling():
    constraints = metric_constraints(["5 >= latency_ms", "val_recall>=0.90", "latency_ms <= 5.0"])
    assert constraints == (
        MetricConstraint("latency_ms", "<=", 5.0),
        MetricConstraint("val_recall", ">=", 0.9),
    )
    assert [str(c) for c in constraints] == ["latency_ms <= 5", "val_recall >= 0.9"]
    with pytest.raises(AnalysisError, match="'x <= 1' and 'x >= 2'"):
        metric_constraints(["x >= 2", "x <= 1"])


def test_a_goal_can_hold_metric_direction_and_constraints(tree):
    goal = refine.Goal("val_loss", "minimize", subject_to=["latency_ms <= 5"])
    root = tree.add_round(SPACE, network, metric=goal, n=10)
    assert (root._value, root._direction, root._goal) == ("val_loss", "minimize", goal)
    assert root._node.subject_to == ("latency_ms <= 5",)
    with pytest.raises(AnalysisError, match="metric=Goal"):
        tree.add_round(SPACE, network, metric=goal, direction="minimize", n=10)
    with pytest.raises(AnalysisError, match="to minimize"):
        refine.Goal("val_loss")


def test_an_infeasible_trial_is_never_the_best(root):
    frame = root.trials
    met = frame["latency_ms"] <= 4
    assert 0 < met.sum() < 60
    assert (frame["feasible"] == met).all()
    assert root.best["value"] == frame.loc[met, "value"].max() < frame["value"].max()
    assert root._best_params["units"] == root.best["units"]
    won = root._recommend()
    assert network(won.params)["latency_ms"] <= 4
    assert f"{met.sum()} feasible" in str(root)
    assert f"{LIMIT}, maximize" in str(root)


@pytest.mark.slow
def test_effects_on_the_metric_and_on_feasibility_are_reported_separately(root):
    review = root.propose()
    units = review.proposal.analysis["units"]
    assert units.correlation.estimate > 0.2  # wide networks are better
    assert max(level.bad for level in units.levels) == 1.0  # and infeasible
    assert review.proposal.evidence.subject_to == (LIMIT,)
    assert LIMIT in review._page().texts("claim")[0]
    assert review.proposal.analysis.findings["units"].of("fails_at", "fails_towards")
    assert review.proposal.analysis.feasibility.finished == 100
    space = review.proposal.space
    assert space["units"].high < 128
    assert review.proposal.volume_kept < 0.5
    rows = itertools.product(*[p.grid for p in root.space.values()])
    grid = [dict(zip(SPACE, row, strict=True)) for row in rows]
    good = [p for p in grid if network(p)["latency_ms"] <= 4]
    best = max(network(p)["val_acc"] for p in good)
    inside = max(network(p)["val_acc"] for p in good if space.contains(pd.DataFrame([p]))[0])
    assert best - inside <= review.proposal.claim.epsilon


@pytest.mark.nightly
def test_metric_constraints_are_inherited_and_survive_export(tree, root, tmp_path):
    review = root.propose()
    child = review.accept(n=20, exploit=0.5)
    child.run()
    assert child._node.subject_to == (LIMIT,)
    assert child.best["latency_ms"] <= 4
    exploit = child.trials[child.trials["origin"] == "exploit"]
    assert (exploit["latency_ms"] <= 4).mean() > 0.5  # of the whole space it is a third
    report = root.report(tmp_path / "reports").read_text()
    assert "best val_acc with latency_ms &lt;= 4 " in report
    assert f"subject_to=['{LIMIT}']" in report
    tree.export(tmp_path / "out", reports=False)
    with refine.Tree.load(tmp_path / "out", tmp_path / "back.db") as back:
        loaded = back[child.id]
        assert loaded._node.subject_to == (LIMIT,)
        assert loaded.trials.equals(child.trials)
        assert back.rounds[0]._review(review.proposal).proposal.digest == review.proposal.digest


@pytest.mark.slow
def test_adaptive_rounds_are_steered_by_metric_constraints(tree):
    plain, steered = (
        tree.add_round(
            SPACE,
            network,
            metric=refine.Goal("val_acc", subject_to=limits),
            n=60,
            plan=refine.Plan(design="tpe"),
        )
        for limits in ([], [LIMIT])
    )
    assert plain.id != steered.id
    shares = [(round_.run().trials["latency_ms"] <= 4).mean() for round_ in (plain, steered)]
    assert shares[1] > 2 * shares[0]


def test_a_round_without_feasible_trials_says_how_close_they_came(tree):
    root = tree.add_round(
        SPACE, network, metric=refine.Goal("val_acc", subject_to=["latency_ms <= 0.5"]), n=30
    )
    root.run()
    assert root.best is None
    message = (
        r"none of 30 finished trials meets .*; the closest .* has 1.*round.analyze\('latency_ms', "
        r"'minimize'\)"
    )
    with pytest.raises(AnalysisError, match=message):
        root.propose()


def test_a_metric_that_is_not_returned_ends_the_round_at_its_first_trial(tree):
    root = tree.add_round(SPACE, network, metric=refine.Goal("val_acc", subject_to=["latency <= 4"]), n=30)
    with pytest.raises(ObjectiveError, match="'latency <= 4'"):
        root.run()
    assert len(root.trials) == 1
    with pytest.raises(SpaceError, match="^feasible:"):
        tree.add_round(
            {"feasible": (0.0, 1.0, 5)}, network, metric=refine.Goal("value", subject_to=[LIMIT]), n=3
        )


def test_wall_time_is_a_metric(tree):
    goal = refine.Goal("seconds", "minimize", subject_to=["seconds >= 0"])
    root = tree.add_round(SPACE, network, metric=goal, n=20).run()
    assert root.best["value"] == root.trials["seconds"].min()
    assert root.trials["feasible"].all()
    assert root.analyze().subject_to == ("seconds >= 0",)
    assert root.optimism().best == root.best["value"]
    with pytest.raises(AnalysisError, match="to minimize"):
        tree.add_round(SPACE, network, metric="seconds", n=20)


def test_finished_runs_of_others_have_them_too(tree, rng):
    frame = pd.DataFrame({"x": rng.uniform(0, 1, 60), "z": rng.uniform(0, 1, 60)})
    frame = frame.assign(acc=frame["x"], size=10 * frame["x"] + frame["z"])
    goal = refine.Goal("acc", subject_to=["size <= 5"])
    root = tree.add_runs(frame, parameters=["x", "z"], space_filling=True, metric=goal)
    assert root.best["size"] <= 5 < frame["size"].max()
    with pytest.raises(RefineError, match="no run has a metric 'sizes'; did you mean 'size'"):
        tree.add_runs(
            frame, parameters=["x"], value="acc", metric=refine.Goal("acc", subject_to=["sizes <= 5"])
        )
    analysis = refine.analyze({"x": (0.0, 1.0, 11)}, frame, goal)
    assert analysis.feasibility.feasible == (frame["size"] <= 5).sum()
    with pytest.raises(AnalysisError, match="'mb'"):
        refine.analyze({"x": (0.0, 1.0, 11)}, frame, refine.Goal("acc", subject_to=["mb <= 5"]))
