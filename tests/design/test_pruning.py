"""Early stopping across trials: the curve travels with the task, and the trial stops itself."""

import math

import numpy as np
import optuna
import pytest

import objectives
import refine
from refine.analysis.population import compare_rounds
from refine.design.pruning import Limit, best_so_far
from refine.errors import AnalysisError, DesignError, ObjectiveError

PRUNER = refine.Pruner(keep=0.5, warmup=3, min_trials=10)


def pruned_round(tree, space, n=60, **options):
    options = {"metric": "acc", "pruner": PRUNER, **options}
    return tree.add_round(space, objectives.learner, n=n, **options).run(progress=False)


def test_what_is_behind_stops_itself_and_has_no_final_value(tree, space):
    found = pruned_round(tree, space)
    frame, shown = found.trials, found.shown
    pruned = frame["state"] == "pruned"
    assert 10 < pruned.sum() < 45
    assert not pruned[:10].any()
    assert frame.loc[pruned, ["value", "acc"]].isna().all().all()
    assert found.best["state"] == "complete"
    assert found.failures["state"].eq("pruned").all()
    curves = found.context.store.records([found._stored.pk], curves=True).curves
    for i in np.flatnonzero(pruned):
        length, best = len(curves[i]["acc"]), max(curves[i]["acc"])
        assert 3 <= length < 20
        assert best < shown["threshold"][i][length - 3]  # at the epoch where it stopped, from 1
        before = best_so_far(curves[i]["acc"], 1)[2:-1]
        assert (before >= shown["threshold"][i][: len(before)]).all()  # and at none before
        assert shown["behind"][i] == length
    # A share of them, by their seeds, was let through, and is known.
    audited = frame["seed"].map(PRUNER.audits)
    behind = audited & shown["behind"].notna()
    assert (shown["audited"] == audited).all()
    assert not (audited & pruned).any()
    assert behind.any()
    for i in np.flatnonzero(behind):
        at = int(shown["behind"][i])
        assert best_so_far(curves[i]["acc"], 1)[at - 1] < shown["threshold"][i][at - 3]
    assert shown["behind"][~behind & ~pruned].isna().all()
    assert (shown["basis"][:10] == 0).all()
    assert shown["threshold"][:10].isna().all()
    assert str(int(pruned.sum())) + " pruned" in str(tree)
    # What a trial was shown can be drawn again from the ones before.
    reached = [best_so_far(c["acc"], 1) for c in curves]
    for basis, threshold in zip(found.shown["basis"], found.shown["threshold"], strict=True):
        if basis:
            assert tuple(threshold) == PRUNER.thresholds(reached[: int(basis)])


@pytest.mark.slow
def test_resumed_is_as_undisturbed(tmp_path, space):
    tables = []
    for name, parts in (("whole", (50,)), ("parts", (13, 50))):
        with refine.Tree("q", store=tmp_path / f"{name}.db") as tree:
            for n in parts:
                found = pruned_round(tree, space, n=n)
            tables.append((found.trials.drop(columns="seconds"), found.shown))
    assert tables[0][0].equals(tables[1][0])
    assert tables[0][1].equals(tables[1][1])


def test_pruned_trials_are_run_to_their_end(tree, space):
    found = pruned_round(tree, space)
    complete = found.trials[found.trials["state"] == "complete"].set_index("cell")["value"]
    pruned = set(found.trials.loc[found.trials["state"] == "pruned", "cell"])
    found.run(rerun="pruned", progress=False)
    after = found.trials.set_index("cell")
    assert set(after["state"]) == {"complete"}
    assert after.loc[complete.index, "value"].equals(complete)
    assert after.loc[list(pruned), "value"].median() < complete.median()


@pytest.mark.slow
def test_subprocesses(tree, space):
    found = tree.add_round(space, objectives.learner, metric="acc", n=30, pruner=PRUNER)
    assert set(found.run(workers=2, progress=False).trials["state"]) == {"complete", "pruned"}


@pytest.mark.slow
def test_a_pruner_is_part_of_the_round_and_inherited(tree, space):
    ids = {
        tree.add_round(space, objectives.learner, metric="acc", n=5, pruner=p).id
        for p in (None, "median", refine.Pruner(), refine.Pruner(keep=0.25), optuna.pruners.MedianPruner())
    }
    assert len(ids) == 4
    root = pruned_round(tree, space)
    review = root.propose()
    for said, rule in (({}, PRUNER), ({"pruner": "median"}, refine.Pruner()), ({"pruner": None}, None)):
        child = review.accept(n=12, audit=0, **said)
        assert child.node.pruner == (None if rule is None else rule.to_json())
        assert tree[child.id].node == child.node
    branched = root.branch(space, n=5, pruner=PRUNER, design="tpe")
    assert (branched.node.adaptive, branched.node.pruner) == (True, PRUNER.to_json())


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("design", ["sobol", "tpe"])
def test_pruners_of_optuna_in_this_process(tmp_path, space, design):
    pruner = optuna.pruners.HyperbandPruner(min_resource=2, max_resource=20)
    states = []
    for name, parts in (("whole", (40,)), ("parts", (9, 40))):
        with refine.Tree("q", store=tmp_path / f"{name}.db") as tree:
            for n in parts:
                found = pruned_round(tree, space, n=n, pruner=pruner, design=design)
            states.append(list(found.trials["state"]))
            assert "stopped early by optuna." in found.report(tmp_path / name).read_text()
            with pytest.raises(DesignError, match="needs workers=1"):
                found.run(workers=2, n=41)
    assert "pruned" in states[0]
    assert design != "sobol" or states[0] == states[1]


@pytest.mark.slow
def test_tests_rank_pruned_trials_last(tree, space):
    whole = tree.add_round(space, objectives.never_stops, metric="acc", n=100).run(progress=False).analyze()
    found = pruned_round(tree, space, n=100)
    some = found.analyze()
    assert some.states["pruned"] > 20
    assert some.n_space_filling == some.states["complete"]
    for name in ("dropout", "optimizer"):
        assert whole[name].matters
        assert some[name].matters
        assert some[name].n == 100
    assert not some["junk"].matters
    medians = [level.median for level in some["dropout"].levels]
    assert math.isnan(medians[-1])  # most of these were stopped: their median is not known
    assert math.isfinite(medians[0])
    proposal = found.propose().proposal
    assert proposal.space["dropout"].high < 0.5
    assert "nan" not in str(some) + str(proposal)
    with pytest.raises(AnalysisError, match="stopped for being behind"):
        compare_rounds(found.trials, found.trials, "maximize")


def test_nothing_to_go_by_is_an_error_and_going_on_a_warning(tree, space):
    with pytest.raises(ObjectiveError, match="'value' epoch by epoch, but the objective reports nothing"):
        tree.add_round(space, objectives.bowl, n=20, pruner="median").run(progress=False)
    deaf = tree.add_round(space, objectives.never_stops, metric="acc", n=40, pruner=PRUNER)
    with pytest.warns(RuntimeWarning, match=r"ask trial.should_prune\(\)") as caught:
        deaf.run(progress=False)
    assert len(caught) == 1
    assert set(deaf.trials["state"]) == {"complete"}


def test_wrong_pruners_are_refused(tree, space):
    wrong = {"keep": 0}, {"keep": True}, {"warmup": 0}, {"min_trials": 1.5}, {"audit": 1}, {"rungs": (9, 3)}
    for options in wrong:
        with pytest.raises(DesignError, match=f"pruner: {next(iter(options))} must be"):
            refine.Pruner(**options)
    for pruner in ("medain", 5, optuna.pruners.MedianPruner):
        with pytest.raises(DesignError, match="pruner must be 'median', a refine.Pruner or"):
            tree.add_round(space, objectives.learner, n=5, pruner=pruner)

    def judge(metrics):
        return metrics["acc"]

    with pytest.raises(DesignError, match="has a value only at the end"):
        tree.add_round(space, objectives.learner, metric=judge, n=5, pruner="median")


def test_thresholds_carry_what_was_reached():
    pruner = refine.Pruner(keep=0.5, warmup=1, min_trials=2)
    reached = [best_so_far(s, 1) for s in ([1, 2, 3, 4], [3, 2], [0, 5, 5, 5])]
    assert pruner.thresholds(reached) == (1, 3, 3)
    assert pruner.basis([True, False, True]) == 3
    assert pruner.basis([True, False]) == 0
    assert pruner.thresholds([best_so_far([1.0], 1)] * 3) == ()
    rungs = refine.Pruner(keep=0.5, min_trials=2, rungs=(1, 3))  # of those that got there
    assert rungs.thresholds(reached) == pytest.approx((1, math.nan, 3), nan_ok=True)
    assert refine.Pruner(**rungs.to_json()) == rungs
    race = Limit("acc", 1.0, 1, (1.0, 3.0)).race()
    assert [race.behind(v) for v in (math.nan, 2.0, 0.0)] == [False, True, False]
