"""Early stopping across trials: the curve travels with the task, and the trial stops itself."""

import math

import numpy as np
import optuna
import pytest

import objectives
import refine
from refine.analysis.population import compare_rounds
from refine.analysis.stopped import stopping_of
from refine.design.pruning import Limit, forecasts
from refine.errors import AnalysisError, DesignError, ObjectiveError, RefineWarning

PRUNER = refine.Pruner(keep=0.5, warmup=3, min_trials=10)


def pruned_round(tree, space, n=60, **options):
    plan = refine.Plan(**{"pruner": PRUNER, **options})
    return tree.add_round(space, objectives.learner, metric="acc", n=n, plan=plan).run()


def test_a_trial_that_is_behind_stops_and_has_no_final_value(tree, space):
    round_ = pruned_round(tree, space)
    frame = round_.trials
    shown = round_._shown
    pruned = frame["state"] == "pruned"
    assert not pruned[:10].any()
    assert frame.loc[pruned, ["value", "acc"]].isna().all().all()
    assert round_.best["state"] == "complete"
    assert round_.failures["state"].eq("pruned").all()
    assert 10 < pruned.sum() < 45
    # What a trial was measured by can be drawn again from the ones before, and says where it was behind.
    curves = [
        np.array(c["acc"]) for c in round_._context.store.records([round_._stored.pk], curves=True).curves
    ]
    audited = frame["seed"].map(PRUNER.audits)
    for i, (basis, threshold) in enumerate(zip(shown["basis"], shown["threshold"], strict=True)):
        limit = PRUNER.limit("acc", 1.0, curves[: int(basis)], frame["value"].to_numpy()[: int(basis)])
        behind = [] if limit is None else list(map(limit.session().behind, curves[i]))
        assert threshold is None if limit is None else tuple(threshold) == limit.thresholds
        epoch = behind.index(True) + 1 if True in behind else math.nan
        assert shown["behind"][i] == pytest.approx(epoch, nan_ok=True)
        assert (math.isnan(epoch) or audited[i]) == (not pruned[i])
        assert not pruned[i] or 3 <= epoch == len(curves[i]) < 20
    assert (shown["audited"] == audited).all()  # a share, by the seeds, is let through
    assert (audited & shown["behind"].notna()).any()
    assert (shown["basis"][:10] == 0).all()
    assert shown["threshold"][:10].isna().all()
    assert str(int(pruned.sum())) + " pruned" in str(tree)


@pytest.mark.slow
def test_pruned_trials_are_run_to_their_end(tree, space):
    round_ = tree.add_round(space, objectives.learner, metric="acc", n=30, plan=refine.Plan(pruner=PRUNER))
    assert set(round_.run(workers=2).trials["state"]) == {"complete", "pruned"}
    complete = round_.trials[round_.trials["state"] == "complete"].set_index("cell")["value"]
    pruned = set(round_.trials.loc[round_.trials["state"] == "pruned", "cell"])
    round_.run(rerun="pruned")
    after = round_.trials.set_index("cell")
    assert set(after["state"]) == {"complete"}
    assert after.loc[complete.index, "value"].equals(complete)
    assert after.loc[list(pruned), "value"].median() < complete.median()


@pytest.mark.slow
def test_a_pruner_is_part_of_the_round_and_inherited(tree, space):
    ids = {
        tree.add_round(space, objectives.learner, metric="acc", n=5, plan=refine.Plan(pruner=p)).id
        for p in (None, "median", refine.Pruner(), refine.Pruner(keep=0.25), optuna.pruners.MedianPruner())
    }
    assert len(ids) == 4
    root = pruned_round(tree, space)
    review = root.propose()
    for options, rule in (({}, PRUNER), ({"pruner": "median"}, refine.Pruner()), ({"pruner": "none"}, None)):
        child = review.accept(n=12, plan=refine.Plan(audit=0, **options))
        assert child._node.pruner == (None if rule is None else rule.to_json())
        assert tree[child.id]._node == child._node
    branched = root.branch(space, n=5, plan=refine.Plan(pruner=PRUNER, design="tpe"))
    assert (branched._node.adaptive, branched._node.pruner) == (True, PRUNER.to_json())


@pytest.mark.nightly
@pytest.mark.parametrize("design", ["sobol", "tpe"])
def test_pruners_of_optuna_prune_with_one_worker_alone(tmp_path, space, design):
    pruner = optuna.pruners.HyperbandPruner(min_resource=2, max_resource=20)
    states = []
    for name, parts in (("whole", (40,)), ("parts", (9, 40))):
        with refine.Tree("q", store=tmp_path / f"{name}.db") as tree:
            for n in parts:
                round_ = pruned_round(tree, space, n=n, pruner=pruner, design=design)
            states.append(list(round_.trials["state"]))
            assert "optuna." in round_.report(tmp_path / name).read_text()
            with pytest.raises(DesignError, match="workers=1"):
                round_.run(workers=2, n=41)
    assert "pruned" in states[0]
    assert design != "sobol" or states[0] == states[1]


def test_forecasts_follow_the_nearest_curves():
    t = np.arange(1.0, 31)
    curves = [a * (1 - np.exp(-t / b)) for a in (0.5, 0.7, 0.9) for b in (3.0, 6.0, 12.0)]
    ends = np.array([c[-1] for c in curves])
    late = 0.8 * (1 - np.exp(-t / 12.0))  # is behind at first, and ends well
    *ended_forecasts, forecast = forecasts([*curves, late[:8]], np.append(ends, np.nan))
    assert np.isnan(ended_forecasts).all()
    assert late[7] + 0.15 < forecast < late[-1]
    assert np.isnan(forecasts([*curves[:4], late[:8]], np.append(ends[:4], np.nan))).all()
    assert forecasts([*curves, 2 * t[:8]], np.append(ends, np.nan))[-1] == ends.max()


def test_a_forecast_depends_on_its_own_curve_alone():
    """Trials of a grid are equally near: neither who is asked beside them nor rounding decides."""
    rng = np.random.default_rng(1)
    rates = np.linspace(0.1, 1, 30)
    epochs = np.arange(20)
    for length in (3, 6, 11) * 5:
        mixed = rng.permutation(rates)
        ended = [epochs * rate for rate in mixed[:15]]
        ends = [curve[-1] for curve in ended]
        going = [epochs[:length] * rate for rate in mixed[15:]]
        predictions = forecasts([*ended, *going], np.array([*ends, *[np.nan] * 15]))[15:]
        alone = [forecasts([*ended, curve], np.array([*ends, np.nan]))[-1] for curve in going]
        assert predictions.tolist() == alone


def test_a_race_forecasts_as_a_table_of_trials_does(rng):
    """The race adds up distances epoch by epoch; curves may end early, and an epoch may lack a value."""
    series = [np.cumsum(rng.random(length)) for length in (12, 8, 12, 9, 12, 12, 10, 12)]
    ends = np.array([curve[-1] for curve in series])
    values = np.cumsum(rng.random(12))
    predictions = [forecasts([*series, values[: k + 1]], np.append(ends, np.nan))[-1] for k in range(12)]
    assert np.isfinite(predictions).all()
    for shift, behind in ((-1e-9, False), (1e-9, True)):
        race = Limit("acc", -1.0, 1, tuple(np.add(predictions, shift)), tuple(series), ends).session()
        assert [race.behind(-value) for value in values] == [behind] * 12
    assert not race.behind(math.nan)


def test_audited_trials_stand_for_those_stopped():
    values = np.array([*range(20), 25.0, 12.0, 3.0, 1.0, *[np.nan] * 36])
    behind = np.arange(60) >= 20
    stopping = stopping_of(np.repeat([100, 25], [24, 36]), values, behind)
    assert (stopping.stopped, stopping.audited, stopping.won, stopping.good, stopping.top) == (
        36,
        4,
        1,
        2,
        10,
    )
    assert (stopping.lost, stopping.saved) == (
        18,
        pytest.approx(0.45),
    )  # half of four are as good as the best ten
    assert stopping.low < 18 < stopping.high < 36
    # Two that may not be called best ran to their end: they are not stopped, and as good as none.
    values_with_failures = np.append(values, [-np.inf] * 2)
    poor = np.append(behind, [False, True])
    with_failures = stopping_of(np.repeat([100, 25, 100], [24, 36, 2]), values_with_failures, poor)
    assert (
        with_failures.stopped,
        with_failures.audited,
        with_failures.won,
        with_failures.good,
        with_failures.top,
    ) == (36, 5, 1, 2, 10)
    assert stopping_of(np.full(24, 100), values[:24], behind[:24]) is None


@pytest.mark.slow
def test_tests_rank_pruned_trials_by_forecasts(tree, space):
    without_pruner = tree.add_round(space, objectives.never_stops, metric="acc", n=100).run().analyze()
    round_ = pruned_round(tree, space, n=100)
    some = round_.analyze()
    assert some.states["pruned"] > 20
    pruned = some.table[some.table["state"] == "pruned"]
    ends = pruned.apply(objectives.height, axis=1) * (1 - 0.8**20)
    assert np.sqrt(np.mean((pruned["forecast"] - ends) ** 2)) < 0.5 * ends.std()
    check = round_.checks()["stopping"]
    assert dict(check.values)["stopped"] == len(pruned)
    assert 0.3 <= dict(check.values)["saved"] < 0.4  # of the epochs
    assert some.n_space_filling == some.states["complete"]
    for name in ("dropout", "optimizer"):
        assert (without_pruner[name].matters, some[name].matters, some[name].n) == (True, True, 100)
    assert not some["junk"].matters
    medians = [level.median for level in some["dropout"].levels]
    assert [math.isnan(medians[i]) for i in (0, -1)] == [False, True]  # most of the last were stopped
    proposal = round_.propose().proposal
    assert proposal.space["dropout"].high < 0.5
    assert "nan" not in str(some) + str(proposal)
    with pytest.raises(AnalysisError, match="stopped early"):
        compare_rounds(round_.trials, round_.trials, "maximize")


def test_a_pruner_without_reports_is_an_error_and_an_unasked_one_a_warning(tree, space):
    with pytest.raises(ObjectiveError, match="'value'"):
        tree.add_round(space, objectives.bowl, n=20, plan=refine.Plan(pruner="median")).run()
    deaf = tree.add_round(space, objectives.never_stops, metric="acc", n=40, plan=refine.Plan(pruner=PRUNER))
    with pytest.warns(RuntimeWarning, match=r"trial.should_prune\(\)") as caught:
        deaf.run()
    assert len(caught) == 1
    assert set(deaf.trials["state"]) == {"complete"}


def test_wrong_pruners_are_refused(tree, space):
    for options in ({"keep": 0}, {"warmup": 0}, {"min_trials": 1.5}, {"audit": 1}, {"rungs": (9, 3)}):
        with pytest.raises(DesignError, match=f"pruner: {next(iter(options))} must be"):
            refine.Pruner(**options)
    for pruner in ("medain", 5, optuna.pruners.MedianPruner):
        with pytest.raises(DesignError, match="refine.Pruner"):
            tree.add_round(space, objectives.learner, n=5, plan=refine.Plan(pruner=pruner))

    def judge(metrics):
        return metrics["acc"]

    with pytest.raises(DesignError, match="at the end"):
        tree.add_round(space, objectives.learner, metric=judge, n=5, plan=refine.Plan(pruner="median"))


def test_a_pruning_limit_uses_final_values_or_forecasts_of_the_best_trials():
    ends = np.arange(1.0, 9.0)
    series = [np.linspace(0, end, 6) for end in ends]
    pruner = refine.Pruner(keep=0.5, warmup=2, min_trials=2)
    limit = pruner.limit("acc", 1.0, [*series, series[0][:3]], np.append(ends, np.nan))
    assert limit.thresholds == (4,) * 4  # epochs 2 to 5; the one that was stopped counts by its forecast
    assert [list(map(limit.session().behind, series[i])).count(True) for i in (0, 7)] == [4, 0]
    rungs = refine.Pruner(keep=0.5, min_trials=2, rungs=(1, 3))  # the best half, and of these the best half
    assert rungs.limit("acc", 1.0, series, ends).thresholds[:3] == pytest.approx(
        (4, math.nan, 6), nan_ok=True
    )
    assert refine.Pruner(**rungs.to_json()) == rungs
    assert [pruner.basis(done) for done in ([True, False, True], [True, False])] == [3, 0]
    assert pruner.limit("acc", 1.0, [np.ones(1)] * 3, np.ones(3)) is None
    race = Limit("acc", 1.0, 1, (1.0, 3.0)).session()
    assert [race.behind(v) for v in (math.nan, 2.0, 0.0)] == [False, True, False]


def short(params, trial):
    for epoch in range(6):
        trial.report(epoch, {"acc": height_after(params, epoch)})
        if trial.should_prune():
            break
    return {"acc": height_after(params, epoch)}


def height_after(params, epoch):
    return objectives.height(params) * (1 - 0.5 ** (epoch + 1))


@pytest.mark.parametrize(
    ("pruner", "fix"),
    [
        ("median", r"and warmup=10 lets every trial run 10 epochs; .*refine.Pruner\(warmup=2\)"),
        (
            refine.Pruner(rungs=(6, 20)),
            r"and rungs=\(6, 20\) lets every trial run 6 .*refine.Pruner\(rungs=\(2,\)\)",
        ),
    ],
)
def test_pruner_that_can_stop_no_trial_says_so_once(tree, space, pruner, fix):
    root = tree.add_round(
        space, short, metric=refine.Goal("acc", noise="retraining"), n=40, plan=refine.Plan(pruner=pruner)
    )
    with pytest.warns(RefineWarning, match=f"report 6 epochs, {fix}") as warned:
        root.run()
    assert len(warned) == 1
    assert set(root.trials["state"]) == {"complete"}


def test_pruner_that_can_stop_trials_says_nothing(tree, space):
    pruner = refine.Pruner(warmup=2, min_trials=10)
    root = tree.add_round(
        space, short, metric=refine.Goal("acc", noise="retraining"), n=40, plan=refine.Plan(pruner=pruner)
    )
    assert "pruned" in set(root.run().trials["state"])
