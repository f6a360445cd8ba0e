"""A round runs its best configuration once more, and folds are scores of one configuration."""

import time

import numpy as np
import pandas as pd
import pytest

import refine
from refine.errors import AnalysisError, RefineWarning, RoundStoppedError


def smooth(params):
    return params["lr"] ** 0.5 - params["dropout"] + 0.093 * params["junk"]


def noisy(params, trial):
    return smooth(params) + 0.1 * np.random.default_rng(trial.seed).normal()


@pytest.mark.slow
def test_a_deterministic_objective_is_known_after_three_runs_more(tree, space):
    calls = []
    runs = 3

    def counted(params):
        calls.append(dict(params))
        return smooth(params)

    round_ = tree.add_round(space, counted, n=30, seed=1, name="it").run()
    assert len(calls) == 30 + runs
    assert calls[-1] == round_._best_params
    assert round_.replicates["replicate"].tolist() == list(range(1, runs + 1))
    assert len(round_.trials) == 30
    noise = round_.analyze().noise
    assert (noise.source, noise.deterministic, noise.sd, noise.n) == ("deterministic", True, 0.0, runs)
    assert round_._recommend().noise.deterministic
    assert f"seen: {runs} repeats" in str(round_.propose().why())
    shown = round_.propose().why(), round_.propose().checks().why(), round_._recommend().why()
    assert "retrain" not in "".join(map(str, shown))
    # It is known now, here and below.
    round_.run()
    round_.branch(space, n=12).run()
    assert len(calls) == 30 + runs + 12


@pytest.mark.slow
def test_noise_is_seen_by_one_run_more_and_is_measured_as_before(tree, space):
    round_ = tree.add_round(space, noisy, n=40, seed=1).run()
    assert len(round_.replicates) == 1
    noise = round_.analyze().noise
    assert (noise.source, noise.deterministic) == ("residuals", False)
    assert noise.sd > 0
    assert not round_._recommend().noise.deterministic


def test_repeats_for_noise_can_be_turned_off_and_wait_for_the_plan(tree, space, capsys):
    declared = tree.add_round(space, smooth, n=12, metric=refine.Goal("value", noise="retraining")).run()
    assert declared.replicates.empty
    assert not declared.analyze().noise.deterministic
    round_ = tree.add_round(space, smooth, n=12, seed=5).run(trials=12)
    assert round_.replicates.empty
    assert len(round_.run().replicates) == 3
    assert "noise (noise='retraining'" in capsys.readouterr().err
    small = tree.add_round(space, smooth, n=9, seed=3).run()
    assert small.replicates.empty
    partly = tree.add_round(space, smooth, n=30, seed=4).run(trials=20)
    assert partly.replicates.empty


@pytest.mark.parametrize("fails", [1, 3])
def test_failing_repeats_do_not_change_a_finished_round(tree, space, fails):
    calls = []

    def objective(params):
        calls.append(dict(params))
        if 12 < len(calls) <= 12 + fails:
            raise ValueError("the machine is busy")
        return smooth(params)

    root = tree.add_round(space, objective, n=12, seed=1)
    with pytest.warns(RefineWarning, match="not measured.*failed"):
        root.run()
    assert set(root.trials["state"]) == {"complete"}
    assert len(calls) == 13
    assert root.propose().proposal.changes
    root.run()  # neither an error nor another repeat
    assert len(calls) == 13


@pytest.mark.cluster
def test_timed_out_repeats_do_not_change_a_finished_round(tree, space, tmp_path):
    def objective(params):
        with (tmp_path / "calls").open("a") as file:
            file.write("x")
        if (tmp_path / "calls").stat().st_size > 12:
            time.sleep(600)
        return smooth(params)

    root = tree.add_round(space, objective, n=12, seed=1)
    with pytest.warns(RefineWarning, match="not measured.*timeout"):
        root.run(machine=refine.Machine(timeout=3, progress=False))
    assert set(root.trials["state"]) == {"complete"}
    assert root.propose().proposal.changes


def test_repeats_that_all_fail_when_asked_for_are_an_error_about_repeats(tree, space):
    calls = []

    def objective(params):
        calls.append(dict(params))
        if len(calls) > 12:
            raise ValueError("the machine is busy")
        return smooth(params)

    root = tree.add_round(
        space, objective, n=12, seed=1, metric=refine.Goal("value", noise="retraining")
    ).run()
    with pytest.raises(RoundStoppedError, match="first 5 repeats"):
        root.add(repeat=2, seeds=3).run()


@pytest.mark.slow
def test_runs_are_equal_where_a_metric_ends_in_spite_of_noise(tree, space):
    def accuracy(params, trial):
        dict(params)  # reads all
        noise = np.random.default_rng(trial.seed).normal(0, 0.02)
        return float(np.clip(0.9 + 0.1 * params["dropout"] + 0.1 * (params["lr"] > 4) + noise, 0, 1))

    round_ = tree.add_round(space, accuracy, n=20, seed=1).run()
    assert round_.best["value"] == 1.0
    assert 0 < len(round_.replicates) == 1
    assert round_.replicates["value"].iloc[0] != 1.0
    assert not round_.analyze().noise.deterministic
    assert not round_._recommend().noise.deterministic
    without_dropout = tree.add_round(space, lambda p: p["lr"] + (p["optimizer"] == "SGD"), n=40, name="read")
    assert without_dropout.run().replicates.empty  # configurations that agree on all that was read
    assert without_dropout.analyze().noise.deterministic
    of_ones = tree.add_round(space, lambda p: float(p["lr"] > 2), n=20, name="ones").run()
    assert of_ones.replicates.empty
    assert not of_ones.analyze().noise.deterministic


def folded(params):
    rng = np.random.default_rng(5)
    shift = 0.2 * rng.normal(size=4)
    noise = np.random.default_rng(int(100 * params["lr"]) + int(100 * params["dropout"])).normal(size=4)
    return {"acc": smooth(params) + shift + 0.02 * noise}


@pytest.mark.slow
def test_folds_are_stored_and_give_the_tolerance(tree, space):
    round_ = tree.add_round(space, folded, n=40, metric="acc").run()
    frame = round_.trials
    by_fold = frame[[f"acc@{k}" for k in range(1, 5)]]
    assert frame["value"].to_numpy() == pytest.approx(by_fold.mean(axis=1).to_numpy())
    noise = round_.analyze().noise
    best = by_fold.loc[frame["value"].nlargest(10).index].to_numpy()
    i, j = np.triu_indices(10, 1)
    expected = np.sqrt(np.median(np.var(best[i] - best[j], axis=1, ddof=1)) * (1 / 4 + 1 / 3))
    assert noise.paired == pytest.approx(expected)
    assert noise.tolerance()[1] in ("folds", "range")
    assert round_._recommend().noise.paired == noise.paired
    columns = frame.drop(columns=["value", "seed", "cell", "seconds"])
    noise_of_table = refine.analyze(space, columns, "acc").noise
    assert (noise_of_table.paired, noise_of_table.paired_source) == (noise.paired, "folds")
    assert not noise_of_table.deterministic


def test_a_fold_without_a_value_is_none_of_the_trial(tree, space):
    def broken(params):
        return {"acc": [params["lr"], np.nan if params["optimizer"] == "SGD" else 1.0]}

    round_ = tree.add_round(space, broken, n=20, metric="acc").run()
    sgd = round_.trials["optimizer"] == "SGD"
    assert set(round_.trials.loc[sgd, "state"]) == {"diverged"}
    assert set(round_.trials.loc[~sgd, "state"]) == {"complete"}


def test_a_table_estimates_noise_or_takes_the_declared_noise(rng):
    space = refine.Space({"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)})
    frame = pd.DataFrame([{"x": cell // 11 / 10, "y": cell % 11 / 10} for cell in rng.permutation(121)[:40]])
    frame["value"] = -((frame["x"] - 0.41) ** 2) + 0.05 * np.sin(50 * frame["y"])
    assert refine.analyze(space, frame).noise.source == "residuals"
    assert refine.analyze(space, frame, refine.Goal("value", noise="none")).noise.deterministic
    best = frame["value"].nlargest(3).tolist()
    equal_repeats = (best, ["a", "b", "c"], best)
    assert refine.analyze(space, frame, replicates=equal_repeats).noise.deterministic
    for unequal_repeats in (
        ([best[0]], ["a"], [best[0]]),
        (best, ["a", "b", "c"], [*best[:2], best[2] + 1e-15]),
    ):
        assert not refine.analyze(space, frame, replicates=unequal_repeats).noise.deterministic
    assert not refine.analyze(
        space, frame, refine.Goal("value", noise="retraining"), replicates=equal_repeats
    ).noise.deterministic
    with pytest.raises(AnalysisError, match="'none', 'retraining' or None .estimate it., got 'some'"):
        refine.analyze(space, frame, refine.Goal("value", noise="some"))
