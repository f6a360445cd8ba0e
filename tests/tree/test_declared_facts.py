"""Declared facts about the values of a study: no noise, limits of the metric, its scale."""

import json

import pytest

import refine
from refine.errors import AnalysisError
from refine.trials.declared import Declared
from tests.reading import facts_of

SPACE = {"x": (0, 10), "y": (0, 10)}
CALLS = []


def slope(p):
    CALLS.append((p["x"], p["y"]))
    return {"gain": 20.0 - abs(p["x"] - 6) - 0.3 * abs(p["y"] - 2)}


def loss(p):
    return {"loss": 10.0 ** (-3 + 0.4 * abs(p["x"] - 6) + 0.1 * p["y"])}


@pytest.fixture
def tree(tmp_path):
    CALLS.clear()
    with refine.Tree("declared", store=tmp_path / "refine.db") as opened:
        yield opened


def declared_root(tree, baseline=None, **facts):
    goal = refine.Goal("gain", noise="none", **facts)
    return tree.add_round(SPACE, slope, metric=goal, n=30, seed=3, baseline=baseline)


def test_no_configuration_is_repeated_if_the_noise_is_declared_as_none(tree):
    root = declared_root(tree).run()
    assert len(CALLS) == 30
    assert not len(root.replicates)
    assert (root.analyze().noise.deterministic, root.analyze().noise.n) == (True, 0)
    winner = tree.winner()
    assert winner.is_best_observed
    assert "declared" in facts_of(winner)["Expected"]


def test_a_small_round_without_noise_hands_over_its_best_trial(tree):
    root = tree.add_round(SPACE, slope, metric=refine.Goal("gain", noise="none"), n=6).run()
    winner = tree.winner()
    assert winner.noise.deterministic
    assert winner.expected == root.best["value"]


def test_the_id_of_a_round_does_not_include_declarations(tree, tmp_path):
    declared = declared_root(tree)
    with refine.Tree("other", store=tmp_path / "other.db") as other:
        assert other.add_round(SPACE, slope, metric="gain", n=30, seed=3).id == declared.id


def test_an_equal_configuration_of_a_sibling_is_copied_and_not_run_again(tree):
    root = declared_root(tree).run()
    first = root.branch({"x": (3, 8), "y": (0, 5)}, n=20, seed=1).run()
    before = len(CALLS)
    second = root.branch({"x": (3, 8), "y": (0, 6)}, n=24, seed=2).run()
    assert len(second.trials) == 24
    assert len(CALLS) == len(set(CALLS))
    assert len(CALLS) - before < 24
    shared = first.trials.merge(second.trials, on=["x", "y"], suffixes=("", "_copy"))
    assert len(shared) > 0
    assert (shared["value"] == shared["value_copy"]).all()


def test_without_the_declaration_a_sibling_runs_its_own_trials(tree):
    root = tree.add_round(SPACE, slope, metric=refine.Goal("gain", noise="retraining"), n=30, seed=3).run()
    for seed, high, n in ((1, 5, 20), (2, 6, 24)):
        child = root.branch({"x": (3, 8), "y": (0, high)}, n=n, seed=seed)
        child.run()
    assert len(CALLS) == 30 + 20 + 24


def test_the_baseline_of_a_deterministic_objective_runs_once(tree):
    declared_root(tree, baseline={"x": 1, "y": 1}).run()
    assert CALLS.count((1, 1)) == 1


@pytest.mark.slow
def test_descendants_share_declarations_and_an_export_keeps_them(tree, tmp_path):
    root = declared_root(tree, limits=(None, 25), scale="linear").run()
    child = root.branch({"x": (3, 8), "y": (0, 5)}, n=10)
    assert child._declared == root._declared == Declared("none", (None, 25.0), "linear")
    assert child.to_dict()["declared"] == {"noise": "none", "limits": [None, 25.0], "scale": "linear"}
    tree.export(tmp_path / "folder")
    with refine.Tree.load(tmp_path / "folder", store=tmp_path / "loaded.db") as loaded:
        assert loaded[child.id]._declared == child._declared
        assert loaded[root.id].analyze().limits.high == 25
    assert not tree.repair(dry_run=True)


def test_an_existing_round_keeps_its_declarations_unless_others_are_given(tree):
    root = declared_root(tree)
    same_round = tree.add_round(SPACE, slope, metric=refine.Goal("gain", limits=(0, 30)), n=30, seed=3)
    assert same_round.id == root.id
    assert root._declared == Declared("none", (0.0, 30.0))
    noisy = tree.add_round(SPACE, slope, metric=refine.Goal("gain", noise="retraining"), n=30, seed=3)
    assert noisy._declared.noise == "retraining"


def test_limits_and_scale_are_defaults_that_an_analysis_may_override(tree):
    root = tree.add_round(
        SPACE,
        loss,
        metric=refine.Goal("loss", "minimize", scale="linear", limits=(1e-4, None), noise="retraining"),
        n=30,
    )
    root.run()
    assert root.analyze().limits[::2] == (1e-4, "declared")
    assert root.analyze().noise.floor_source == "range"
    other = root.analyze(refine.Goal("loss", "minimize", scale="log", limits=(0, None)))
    assert other.limits.low == 0
    assert other.noise.floor_source == "decades"


@pytest.mark.slow
def test_report_and_print_state_the_declared_facts(tree, tmp_path):
    root = declared_root(tree, limits=(None, 25)).run()
    declared = "repeats give identical values; gain at most 25"
    for text in (str(root), root.report(tmp_path / "reports").read_text(encoding="utf-8")):
        assert declared in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"noise": "no"}, "noise must be 'none', 'retraining' or None"),
        ({"limits": (2, 1)}, "limits must be the lowest and the highest"),
        ({"scale": "wide"}, "scale must be 'log', 'linear' or None"),
    ],
)
def test_a_wrong_declaration_is_refused(tree, wrong, message):
    with pytest.raises(AnalysisError, match=message):
        tree.add_round(SPACE, slope, metric=refine.Goal("gain", **wrong), n=5)
    assert not tree.rounds


def test_a_round_without_declarations_is_stored_as_before(tree):
    root = tree.add_round(SPACE, slope, metric="gain", n=5)
    with tree._context.store.engine.connect() as connection:
        text = "SELECT goals FROM node"
        assert connection.exec_driver_sql(text).scalar() is None
    declared_root(tree)
    with tree._context.store.engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT goals FROM node WHERE goals IS NOT NULL").scalar()
    assert json.loads(stored) == {"goals": [], "declared": {"noise": "none"}}
    assert root._declared == Declared()


def test_imported_runs_can_be_declared_free_of_noise(tree):
    runs = declared_root(tree).run().trials[["x", "y", "gain"]]
    old = tree.add_runs(runs, SPACE, value="gain", metric=refine.Goal("gain", noise="none"), objective=slope)
    assert old._declared.noise == "none"
    assert old.analyze().noise.deterministic
    assert tree.add_runs(runs, SPACE, value="gain", objective=slope)._declared.noise == "none"
    with pytest.raises(AnalysisError, match="^noise must"):
        tree.add_runs(runs, SPACE, value="gain", metric=refine.Goal("gain", noise="nothing"))
