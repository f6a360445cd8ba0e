"""Rounds with two or three goals: their front, claims about it, and choosing a point of it."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier

import refine
from nightly import nightly
from objectives import network
from refine.errors import AnalysisError, DesignError, ReviewError
from refine.proposal.proposal import proposal_from_json, proposal_to_json
from refine.stats import hypervolume, non_dominated
from refine.trials.goal import Goal
from tests.reading import facts_of, reasons_of

SPACE = {
    "units": refine.Integer(8, 128, 8, within=(8, 128)),
    "lr": refine.Float(1e-4, 1, log=True, within=(1e-4, 1)),
    "dropout": (0.0, 0.5, 6),
    "act": ["relu", "gelu"],
}
GOALS = [Goal("val_acc"), Goal("latency_ms", "minimize")]


@pytest.fixture(scope="session")
def first_round():
    return lambda tree: tree.add_round(SPACE, network, metric=GOALS, n=100).run()


def dominated(points):
    """By the definition, pair by pair."""
    return [any((q >= p).all() and (q > p).any() for q in points) for p in points]


@pytest.mark.parametrize("goals", [1, 2, 3])
def test_the_front_is_that_of_the_definition(goals):
    points = np.round(np.random.default_rng(goals).normal(size=(200, goals)), 1)  # with ties
    assert (non_dominated(points) == ~np.array(dominated(points))).all()
    assert non_dominated(np.zeros((0, 2))).shape == (0,)
    with pytest.raises(AnalysisError, match="shape"):
        non_dominated([[np.nan, 1.0]])


def test_the_hypervolume_of_boxes_is_exact(rng):
    assert hypervolume([[1, 3], [2, 2], [3, 1], [0.5, 0.5]], [0, 0]) == 6
    assert hypervolume([[2, 1, 1], [1, 2, 1], [1, 1, 2]], [0, 0, 0]) == 4
    assert hypervolume([[1, 1]], [1, 0]) == 0
    points = rng.uniform(size=(30, 3))
    drawn = rng.uniform(size=(50_000, 3))
    share = (drawn[:, None] <= points).all(axis=2).any(axis=1).mean()
    assert hypervolume(points, np.zeros(3)) == pytest.approx(share, abs=0.01)


@pytest.mark.slow
def test_the_front_of_a_round(root):
    front = root.front
    frame = root.trials
    assert list(front.columns[:2]) == ["val_acc", "latency_ms"]
    values = np.column_stack([frame["value"], -frame["latency_ms"]])
    assert sorted(front.index) == np.flatnonzero(~np.array(dominated(values))).tolist()
    assert front["val_acc"].is_monotonic_decreasing
    assert front["latency_ms"].is_monotonic_decreasing
    assert f"goals: latency_ms, minimize; {len(front)} trials" in str(root)
    assert "val_acc and latency_ms" in facts_of(root._recommend())["Goals"]


@pytest.mark.slow
def test_a_proposal_keeps_the_front(root):
    with pytest.raises(AnalysisError, match="mean 'latency_ms'"):
        root.propose(epsilon={"latency": 1})
    with pytest.raises(AnalysisError, match="number >= 0"):
        root.propose(epsilon={"latency_ms": -1})
    review = root.propose(epsilon={"latency_ms": 0.05})
    proposal = review.proposal
    analysis = proposal.analysis
    assert [a.metric for a in (analysis, *analysis.others)] == ["val_acc", "latency_ms"]
    evidence = str(review.why())
    assert re.search(r"\(epsilon\): 0\.\d+ val_acc, .*; 0\.05 latency_ms, ", evidence)
    assert 0.95 <= proposal.claim.probability <= 1
    assert proposal.volume_kept < 0.8
    space = proposal.space
    assert space["units"] == root.space["units"]  # every width is on the front
    rows = itertools.product(*[p.grid for p in root.space.values()])
    grid = [dict(zip(SPACE, row, strict=True)) for row in rows]
    points = np.array([[network(p)["val_acc"], -network(p)["latency_ms"]] for p in grid])
    inside = points[space.contains(pd.DataFrame(grid))]
    epsilon = np.array([proposal.claim.epsilon, proposal.claim.others[0].epsilon])
    for point in points[non_dominated(points)]:
        assert (inside >= point - epsilon).all(axis=1).any()
    back = proposal_from_json(proposal_to_json(proposal))
    assert back.claim.others[0].epsilon == pytest.approx(epsilon[1])
    assert back.digest == proposal.digest
    assert proposal.claim.others[0][1:] == (0.05, "given")
    assert proposal.claim.epsilon_source != "given"
    alone = root.analyze("val_acc")
    assert refine.propose(alone).volume_kept < proposal.volume_kept


@pytest.mark.nightly
def test_a_child_spreads_along_the_front_and_all_of_it_survives(tree, root, tmp_path, pictures):
    review = root.propose()
    child = review.accept(n=30, exploit=0.6)
    child.run()
    assert child._goals == root._goals
    tried = child.trials[child.trials["origin"] == "exploit"]
    assert tried["units"].nunique() >= 5  # not the widest only
    assert (tried["lr"].between(1e-3, 0.1)).mean() > 0.8
    assert {entry.verdict for entry in tree.calibration().entries} <= {"not_tested", "not_refuted"}
    chosen = root.choose(int(root.front.index[1]), note="fast enough")
    chosen_again = root.choose(root.front.iloc[1][list(SPACE)].to_dict(), note="fast enough")
    assert chosen == chosen_again
    assert [d.kind for d in root._decisions] == ["accepted", "chosen"]
    with pytest.raises(ReviewError, match="front"):
        root.choose(-1)
    path = root.report(tmp_path / "reports")
    report = path.read_text()
    assert "front.png" in report
    assert "chosen" in report
    assert "metric=[refine.Goal('val_acc', 'maximize'), refine.Goal('latency_ms', 'minimize')]" in report
    assert (path.with_suffix("") / "front.png").stat().st_size > 10_000
    tree.export(tmp_path / "out", reports=False)
    with refine.Tree.load(tmp_path / "out", tmp_path / "back.db") as back:
        loaded = back[root.id]
        assert loaded._goals == root._goals
        assert loaded.front.equals(root.front)
        assert loaded._decisions[-1].chosen == chosen.chosen


def test_the_front_of_a_tree_has_the_points_that_no_round_dominates(tree, root):
    with pytest.raises(refine.RefineError, match="front"):
        _ = refine.Tree("empty", tree._url).front
    alone = tree.front
    assert list(alone.columns[:3]) == ["round", "val_acc", "latency_ms"]
    assert alone.drop(columns="round").equals(root.front)
    child = root.branch({**root.space, "lr": (0.001, 0.01, 4)}, n=10).run()
    front = tree.front
    trials = pd.concat([root.trials, child.trials])
    values = np.column_stack([trials["value"], -trials["latency_ms"]])
    assert len(front) == (~np.array(dominated(values))).sum()
    assert front["val_acc"].is_monotonic_decreasing
    own_front = child.front
    of_child = front[front["round"] == child.id]
    assert of_child.index.isin(own_front.index).all()
    assert 0 < len(of_child) < len(own_front)
    beaten = len(own_front) - len(of_child)
    assert f"{len(own_front)} trials on the round's own front, {beaten} beaten by" in str(child)
    tree.add_round(root.space, network, metric="val_acc", n=5, seed=1).run()
    assert tree.front.equals(front)  # judged otherwise: left out


def sized(p):
    """A decision tree on digits: fewer leaves are ever cheaper, and useless in the end."""
    x, y = load_digits(return_X_y=True)
    options = {"max_leaf_nodes": p["leaves"], "min_samples_leaf": p["least"], "max_features": p["features"]}
    model = DecisionTreeClassifier(**options, random_state=0).fit(x[:1200], y[:1200])
    return {"acc": model.score(x[1200:], y[1200:]), "nodes": float(model.tree_.node_count)}


def wasteful(p):
    """Fewer leaves cost less and nothing is lost."""
    return {"acc": 1 - (p["features"] - 0.5) ** 2 - 0.001 * p["least"], "nodes": float(p["leaves"])}


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "goes_on"), [nightly(sized, False), (wasteful, True)])
def test_a_range_is_widened_for_a_second_goal(tree, objective, goes_on):
    leaves = refine.Integer(12, 192, log=True, levels=13)
    space = {"leaves": leaves, "least": (1, 8, 8), "features": (0.1, 1.0, 10)}
    root = tree.add_round(space, objective, metric=[Goal("acc"), Goal("nodes", "minimize")], n=60)
    change = root.run().propose(keep=False).proposal["leaves"]
    assert (change.new.low < 12) == goes_on
    useless = {"parameter": "leaves", "side": "low", "metric": "nodes", "first": "acc"}
    assert reasons_of(change).get("useless_beyond") == (None if goes_on else useless)


@pytest.mark.slow
def test_constraints_hold_for_every_goal(tree):
    goals = [Goal("val_acc", subject_to=["latency_ms <= 5"]), Goal("latency_ms", "minimize")]
    root = tree.add_round(SPACE, network, metric=goals, n=80).run()
    assert (root.front["latency_ms"] <= 5).all()
    review = root.propose()
    assert review.proposal.space["units"].high < 128
    assert "latency_ms <= 5" in str(review)


def test_constraints_of_one_goal_hold_for_all_goals(tree):
    limits = ["latency_ms <= 5"]
    free = Goal("latency_ms", "minimize", subject_to="val_acc >= 0.5", allow_degenerate=True)
    inside = [Goal("val_acc", subject_to=limits), free]
    combined = tree.add_round(SPACE, network, metric=inside, n=8)
    constraints = {(*map(str, g.metric.subject_to), g.allow_degenerate) for g in combined._goals}
    assert constraints == {(*limits, "val_acc >= 0.5", True)}
    working = r"\[Goal\('val_acc', 'maximize'\), Goal\('latency_ms', 'minimize'\)\]"
    with pytest.raises(AnalysisError, match=rf"write metric={working}"):
        tree.add_round(SPACE, network, metric=GOALS, direction="maximize", n=8)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ([], "several goals are a list of 2 or 3"),
        (["val_acc", "latency_ms"], "several goals are a list of 2 or 3, such as"),
        ([Goal("a"), Goal("a")], "every goal needs a metric of its own, got a, a"),
        ([Goal("a"), Goal("max:b")], "the second and third goal are metrics as the last epoch gives them"),
    ],
)
def test_wrong_goals_are_refused(tree, metric, message):
    with pytest.raises(AnalysisError, match=message):
        tree.add_round(SPACE, network, metric=metric, n=10)


def test_calls_that_need_one_number_are_refused_for_several_goals(tree, root):
    with pytest.raises(DesignError, match="several goals"):
        tree.add_round(SPACE, network, metric=GOALS, plan=refine.Plan(design="tpe"), n=10)
    with pytest.raises(ReviewError, match="one goal"):
        tree.add_round(SPACE, network, metric="val_acc", n=11).choose(0)


def test_a_decision_prints_its_kind_author_choice_and_note(tree):
    root = tree.add_round(SPACE, network, metric=GOALS, n=12, seed=1).run()
    chosen = root.choose(int(root.front.index[0]), note="cheap", author="mia")
    facts = facts_of(chosen)
    assert {chosen.kind, chosen.author} < set(chosen._page().title.split())
    assert f"lr {root.front['lr'].iloc[0]:g}" in facts["Chosen"]
    assert facts["Note"] == "cheap"
    assert str(chosen) == repr(chosen)
    assert "cheap" in chosen._repr_html_()


def test_the_noise_of_each_goal_is_printed_under_its_name(tree):
    def measured(params, trial):
        noise = np.random.default_rng(trial.seed).normal(size=2)
        return {"loss": (params["a"] - 3) ** 2 + 0.1 * noise[0], "size": 130 * params["a"] + 40 * noise[1]}

    goals = [refine.Goal("loss", "minimize"), refine.Goal("size", "minimize")]
    root = tree.add_round({"a": (0.0, 8.0, 65)}, measured, metric=goals, n=30, seed=1)
    root.run().add(repeat=5, seeds=3).run()
    review = root.propose()
    loss = review.proposal.analysis.noise.sd
    size = review.proposal.analysis.others[0].noise.sd
    assert 0.02 < loss < 0.5
    assert 10 < size < 200
    text = str(review.why())
    assert f"Noise: loss {loss:.2g} between repeats" in text
    assert f"; size {size:.2g} between repeats" in text
    assert "Noise of loss: " in str(tree.winner().why())
