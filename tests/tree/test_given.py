"""Configurations that a person gives: a baseline to beat, and others that run first."""

import math
from dataclasses import replace

import numpy as np
import pytest

import refine
from refine.errors import DesignError, SpaceError
from refine.space.space import configuration_key
from refine.tree.learning import learner
from tests.reading import facts_of

SPACE = {"x": (0.0, 9.0, 19), "y": (0.0, 1.0, 5), "z": ["a", "b", "c"], "fixed": 3}
POOR = {"x": 8.13, "y": 0.9, "z": "c"}
IDEA = {"x": 12.5, "y": 0.1, "z": "d"}


def truth(params):
    return 1.0 - 0.02 * (params["x"] - 4) ** 2 - 0.2 * params["y"] - 0.02 * (params["z"] == "c")


def noisy(params, trial):
    return truth(params) + np.random.default_rng(trial.seed).normal(0, 0.05)


FIRST = {"n": 40, "seed": 3, "baseline": POOR, "given": [IDEA]}


@pytest.fixture(scope="session")
def first_round():
    return lambda tree: tree.add_round(SPACE, noisy, **FIRST).run()


def test_given_configurations_run_first_and_leave_the_design_unchanged(root):
    trials = root.trials
    assert root.n == len(trials) == 40
    assert trials["origin"].tolist() == ["given"] * 2 + ["space_filling"] * 38
    assert trials.loc[0, ["x", "y", "z", "fixed"]].tolist() == [8.13, 0.9, "c", 3]
    assert trials.loc[1, ["x", "y", "z"]].tolist() == [12.5, 0.1, "d"]
    replicates = root.replicates
    assert replicates["replicate"].tolist() == [1, 2]
    assert set(replicates["x"]) == {8.13}
    assert len({*replicates["seed"], trials["seed"][0]}) == 3
    assert root.analyze().n_space_filling == 38
    assert trials["cell"].dropna().tolist() == [str(c) for c in root._cells()]


def test_the_same_again_adds_nothing_and_more_is_added(tree, root):
    same_round = tree.add_round(SPACE, noisy, **FIRST)
    assert (same_round.id, same_round.n) == (root.id, 40)
    larger_round = tree.add_round(SPACE, noisy, n=40, seed=3, given=[{"x": 4.01, "y": 0, "z": "a"}])
    assert (larger_round.id, larger_round.n) == (root.id, 41)
    before = root.trials
    larger_round.run()
    assert larger_round.trials.iloc[:40].equals(before)
    assert larger_round.trials.iloc[40]["x"] == 4.01


@pytest.mark.slow
def test_a_second_baseline_replaces_the_first(tree, root):
    better = {"x": 4.5, "y": 0.0, "z": "a"}
    changed = tree.add_round(SPACE, noisy, n=40, seed=3, baseline=better).run()
    assert changed._recommend().gain.baseline.params == {**better, "fixed": 3}
    back = tree.add_round(SPACE, noisy, n=40, seed=3, baseline=POOR).run()
    assert back.n == changed.n
    assert back._recommend().gain.baseline.params["x"] == 8.13


@pytest.mark.slow
def test_the_winner_says_by_how_much_it_beats_the_baseline(tree, root):
    won = tree.winner()
    gain = won.gain
    assert gain.verdict == "better"
    assert len(gain.baseline.replicates) == 2
    assert 0 < gain.low < gain.expected < gain.high
    assert gain.low < truth(won.params) - truth(POOR) < gain.high
    assert gain.probability > 0.99
    assert f"{gain.expected:.4f} ({gain.low:.4f} to {gain.high:.4f})" in str(won)
    assert "baseline: " in str(root)
    child = root.propose().accept(n=20).run()
    assert child._recommend().gain.baseline.key == gain.baseline.key


@pytest.mark.slow
def test_a_winner_that_does_not_beat_the_baseline_says_so(tree, tmp_path):
    best = {"x": 4.0, "y": 0.0, "z": "a"}
    good = {"x": 4.5, "y": 0.3, "z": "b"}
    root = tree.add_round(SPACE, noisy, n=30, seed=3, baseline=good).run()
    assert root._recommend().gain.verdict == "open"
    report = root.report(tmp_path).read_text()
    won = root._recommend()
    assert "not shown to beat" in report
    likely = replace(won, gain=won.gain._replace(low=-0.001, high=0.1, probability=0.96))
    for word in ("probably", "1 in 20"):
        assert word in facts_of(likely)["Gain"]
    exact = tree.add_round(SPACE, truth, n=30, seed=3, baseline=best).run()
    assert exact._recommend().gain.same
    report = exact.report(tmp_path).read_text()
    assert "baseline (3 runs);" in report


def test_a_baseline_without_a_value_is_seen(tree):
    def refuses(params, trial):
        if params["x"] == 8.13:
            raise ValueError("too large")
        return noisy(params, trial)

    root = tree.add_round(SPACE, refuses, n=30, seed=3, baseline=POOR).run()
    assert "value, 3 runs" in str(root)
    assert root._recommend().gain is None


@pytest.mark.slow
def test_children_take_given_configurations_too(root):
    on_grid = {"x": 4.0, "y": 0.0, "z": "a"}
    child = root.propose().accept(n=20, exploit=0.3, given=[on_grid, POOR]).run()
    assert child.trials["origin"].tolist()[:2] == ["given", "given"]
    assert child.trials.loc[0, ["x", "y", "z"]].tolist() == [4.0, 0.0, "a"]
    assert child.n == 20
    other = root.branch(SPACE, n=20, seed=8, given=[on_grid]).run()
    assert other.trials["origin"].tolist()[0] == "given"
    assert other.trials.duplicated(["x", "y", "z"]).sum() == 0


def test_an_adaptive_round_begins_with_them(tree):
    root = tree.add_round(
        SPACE, noisy, n=12, seed=3, plan=refine.Plan(design="tpe"), baseline=POOR, given=[IDEA]
    )
    root.run()
    assert root.trials["origin"].tolist() == ["given"] * 2 + ["adaptive"] * 10


def test_a_round_off_the_grid_can_be_run_whole(tree):
    small = {"x": [1, 2, 3], "y": [1, 2]}

    def objective(params):
        return params["x"] * params["y"]

    complete = tree.add_round(
        small, objective, plan=refine.Plan(downsample=1.0), baseline={"x": 5, "y": 5}
    ).run()
    assert len(complete.trials) == 7
    with pytest.raises(DesignError, match="got 8"):
        tree.add_round(small, objective, n=8, baseline={"x": 5, "y": 5})


def test_loading_brings_configurations_given_by_hand(tree, tmp_path, root):
    tree.export(tmp_path / "study", reports=False)
    with refine.Tree.load(tmp_path / "study", store=tmp_path / "mine.db") as loaded:
        assert loaded.rounds[0]._recommend().gain.baseline.params["x"] == 8.13
        assert (loaded.rounds[0].trials["origin"] == "given").sum() == 2


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"x": 1.0}, "baseline needs a value of every parameter, missing: y, z"),
        ({**POOR, "lr": 1}, "baseline: unknown parameter 'lr'"),
        ({**POOR, "x": "1"}, "baseline: x: must be a finite number, got '1'"),
        ({**POOR, "x": math.nan}, "baseline: x: must be a finite number, got nan"),
        ({**POOR, "z": object()}, "baseline: z: .*a choice must be a number, string"),
        ([POOR], "baseline must be a configuration, name -> value"),
    ],
)
def test_a_wrong_baseline_is_refused_before_anything_is_written(tree, configuration, message):
    with pytest.raises(SpaceError, match=message):
        tree.add_round(SPACE, noisy, n=20, baseline=configuration)
    assert len(tree) == 0


def test_limits_scales_whole_numbers_and_constraints_hold(tree):
    space = refine.Space(
        {
            "lr": refine.Float(1e-4, 1e-1, log=True, within=(0, 1)),
            "k": refine.Integer(1, 9),
            "m": refine.Integer(1, 9),
        },
        ["k < m"],
    )
    for bad, message in (
        ({"lr": -1.0, "k": 1, "m": 2}, "must be > 0 on a logarithmic scale"),
        ({"lr": 2.0, "k": 1, "m": 2}, r"hard limits \(0, 1\), got 2.0"),
        ({"lr": 0.1, "k": 1.5, "m": 2}, "must be a whole number, got 1.5"),
        ({"lr": 0.1, "k": 12, "m": 2}, "breaks the constraint 'k < m'"),
    ):
        with pytest.raises(SpaceError, match=message):
            tree.add_round(space, noisy, n=20, given=[bad])
    configurations = [{"lr": 0.5, "k": 1, "m": 20}, {"lr": 0.5, "k": 2, "m": 20}]
    with pytest.raises(DesignError, match="2 are; got n=1, ask"):
        tree.add_round(space, noisy, n=1, given=configurations)
    with pytest.raises(SpaceError, match="^given must"):
        tree.add_round(space, noisy, n=20, given={"lr": 0.5, "k": 1, "m": 20})


def test_the_baselines_own_seeds_take_nothing_from_a_race(tree, root):
    before = len(root.replicates)
    won = tree.confirm(budget=3)
    assert won.race.runs == 3
    assert len(root.replicates) == before + 3 == 5


def test_shares_are_never_expected_beyond_one(tree):
    def accuracy(params, trial):
        noise = np.random.default_rng(trial.seed).normal(0, 0.05)
        return {"accuracy": float(np.clip(truth(params) + noise, 0, 1))}

    space = {**SPACE, "x": (3.0, 5.0, 9)}
    root = tree.add_round(space, accuracy, metric="accuracy", n=30, seed=3).run()
    won = root._recommend()
    assert won.interval[1] <= 1
    assert won.expected <= 1


def test_learning_trials_repeat_no_cell_of_the_design(tree):
    """With several workers the last of these may still run."""
    space = refine.Space({"a": (0, 5), "b": (0, 7)})
    root = tree.add_round(space, lambda p: p["a"] - p["b"], n=24, name="sum").run()
    child = root.branch(space, n=24, exploit=0.5, plan=refine.Plan(audit=0.0))
    design = {configuration_key(space.frozen(space.configuration(cell))) for cell in child._cells()}
    chosen = {trial.key for trial in learner(child, 12)()}
    assert (len(design), len(chosen)) == (12, 12)
    assert not design & chosen


CONDITIONAL = {
    "model": ["svr", "gbt", "knn", "ridge"],
    "scaler": ["standard", "robust"],
    "C": refine.Float(0.01, 100, levels=9, log=True, when="model == 'svr'"),
    "gamma": refine.Float(0.0001, 1, levels=9, log=True, when="model == 'svr'"),
    "neighbors": refine.Integer(1, 31, step=2, when="model == 'knn'"),
    "rounds": refine.Integer(20, 400, step=20, when="model == 'gbt'"),
    "depth": refine.Integer(1, 8, when="model == 'gbt'"),
    "alpha": refine.Float(0.001, 100, levels=11, log=True, when="model == 'ridge'"),
}


def narrow_peaks(params):
    """The best trees (gbt) beat the best machine (svr) by 0.017, and few settings of either come close."""
    rng = np.random.default_rng(9)
    offsets = rng.normal(0, 1, 4) * 0.015
    weights = rng.uniform(1, 6, 8)
    centres = rng.uniform(0.2, 0.8, 8)
    number = ["svr", "gbt", "knn", "ridge"].index(params["model"])
    first = [0, 2, 4, 5][number]
    if params["model"] == "svr":
        positions = [(np.log10(params["C"]) + 2) / 4, (np.log10(params["gamma"]) + 4) / 4]
    elif params["model"] == "gbt":
        positions = [(params["rounds"] - 20) / 380, (params["depth"] - 1) / 7]
    elif params["model"] == "knn":
        positions = [(params["neighbors"] - 1) / 30]
    else:
        positions = [(np.log10(params["alpha"]) + 3) / 5]
    value = 0.85 + offsets[number] - 0.05 * (first > 3)
    for k, position in enumerate(positions, first):
        value -= 0.1 * weights[k] * (position - centres[k]) ** 2
    return float(value)


@pytest.mark.nightly
@pytest.mark.slow
def test_given_configurations_near_a_worse_peak_rarely_drop_the_better_choice():
    tuned = {"model": "svr", "scaler": "standard", "gamma": 0.1}
    ideas = [{**tuned, "C": c} for c in (0.1, 0.316227766017, 0.0316227766017)]
    right = 0
    for seed in range(5, 15):
        with refine.Tree("study", store="sqlite://") as tree:
            options = {
                "given": ideas,
                "metric": refine.Goal("value", noise="none"),
                "name": "make.<locals>.f",
            }
            root = tree.add_round(CONDITIONAL, narrow_peaks, n=35, seed=seed, **options)
            right += "gbt" in root.run().propose().proposal["model"].new.grid
    assert right >= 8  # of 10: with seed 9 the given machines still make the claim "only svr"


def test_every_run_of_a_baseline_counts_in_the_noise_and_only_repeats_of_a_good_value(tmp_path):
    def noisy(params, trial):
        return params["x"] + np.random.default_rng(trial.seed).normal(0, 0.05)

    space = {"x": (0.0, 1.0, 30)}
    with refine.Tree("study", store=tmp_path / "refine.db") as tree:
        usual = {"x": 0.0}
        first = tree.add_round(
            space,
            noisy,
            n=12,
            baseline=usual,
            metric=refine.Goal("value", noise="retraining"),
        )
        first.run()
        chosen = tree.add_round(
            space, noisy, n=12, seed=1, name="again", metric=refine.Goal("value", noise="retraining")
        )
        chosen.run()
        chosen.add(repeat=1, seeds=9).run()
        noise = first.analyze().noise
        assert (noise.source, noise.n) == ("replicates", 2)  # 3 runs, a degree of freedom for their mean
        assert chosen.analyze().noise.n == 8  # 10 runs, of which the first was chosen for its value
