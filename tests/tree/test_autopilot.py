"""Autopilot with a budget: what it spends, that it goes on where it was, and that its rounds stay honest."""

import math
import signal
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import refine
from refine.errors import DesignError
from refine.review.review import advised_round_of

SPACE = {"x": (0.0, 9.0, 10), "y": (0.0, 9.0, 10), "c": ["a", "b", "d"], "z": (0, 9, 10)}


def truth(params):  # found by workers by name
    return 1.0 - 0.02 * (params["x"] - 4) ** 2 - 0.01 * abs(params["y"] - 7) + 0.1 * (params["c"] == "b")


def noisy(params, trial):
    return truth(params) + np.random.default_rng(trial.seed).normal(0, 0.05)


def ran(tree):
    return sum(len(r.trials) + len(r.replicates) for r in tree.rounds)


def results(tree):
    """Everything of a tree that no interruption may change."""
    tables = ((r.id, r.trials, r.replicates) for r in tree.rounds)
    return [
        (round_id, *(t.drop(columns="seconds").to_dict("records") for t in tables_of_round))
        for round_id, *tables_of_round in tables
    ]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_budget_is_spent_in_one_round_that_learns(tree, workers):
    first = tree.add_round(SPACE, truth, n=10, seed=3)
    last = refine.autopilot(first, budget=22, machine=refine.Machine(workers=workers, progress=False))
    assert ran(tree) == 22
    assert [r.n for r in tree.rounds] == [10, last.n]
    assert last.id == tree.rounds[1].id
    assert last.space == first.space  # nothing is hidden, nothing widened
    assert set(last.trials["origin"]) == {"exploit"}
    assert [(d.kind, d.author) for d in first._decisions] == [("branched", "autopilot")]
    assert not pd.concat([r.trials for r in tree.rounds]).duplicated(list(SPACE)).any()
    assert last.trials["value"].median() > first.trials["value"].median()
    assert last.analyze().n_space_filling == 10  # what it is tested on are the first round's


@pytest.mark.nightly
def test_an_interrupted_autopilot_gives_the_rounds_of_an_undisturbed_one(tmp_path):
    calls = {"left": 10**6}

    def objective(params, trial):
        if not calls["left"]:
            for _ in range(2):  # Ctrl-C twice, which stops at once
                signal.raise_signal(signal.SIGINT)
        calls["left"] -= 1
        return noisy(params, trial)

    outcomes = []
    for name, stops in (("once", ()), ("often", (8, 5))):
        with refine.Tree(name, store=tmp_path / f"{name}.db") as tree:
            first = tree.add_round(SPACE, objective, n=10, seed=3, name="noisy")
            for calls_left in stops:
                calls["left"] = calls_left
                with pytest.raises(KeyboardInterrupt):
                    refine.autopilot(first, budget=18)
            calls["left"] = 10**6
            last = refine.autopilot(first, budget=18)
            outcomes.append(results(tree))
            refine.autopilot(first, budget=18)
            assert results(tree) == outcomes[-1]  # spent is spent
            assert last.replay(sample=2).same  # the plan is stored
    assert outcomes[0] == outcomes[1]


@pytest.mark.slow
def test_a_race_is_the_end_where_noise_is_large(tree):
    def noise(params, trial):
        return np.random.default_rng(trial.seed).normal(0, 1)

    first = tree.add_round(SPACE, noise, n=60, seed=3)
    last = refine.autopilot(first, budget=74)
    assert len(last.trials) == 3
    assert 3 <= sum(len(r.replicates) for r in tree.rounds) <= 11


@pytest.mark.slow
def test_failures_conditions_and_constraints_are_met_and_a_first_round_grows_until_ten_have_finished(tree):
    space = refine.Space(
        {
            "opt": ["adam", "sgd"],
            "momentum": refine.Float(0.0, 0.9, levels=10, when="opt == 'sgd'"),
            "lr": refine.Float(1e-4, 1.0, levels=9, log=True),
        },
        ["lr < 0.5 or opt == 'adam'"],
    )

    def objective(params):
        if params["opt"] == "sgd" and params["momentum"] > 0.6:
            raise ValueError("diverges")
        return {"loss": abs(math.log10(params["lr"]) + 2) + 0.5 * (params["opt"] == "adam")}

    first = tree.add_round(space, objective, n=10, seed=1, metric="loss", direction="minimize")
    last = refine.autopilot(first, budget=30)
    assert first.trials["value"].notna().sum() == 10 < first.n
    assert ran(tree) == 30
    assert space.contains(last.trials).all()
    assert tree.winner().params["opt"] == "sgd"
    assert last.trials["value"].median() < first.trials["value"].median()


@pytest.mark.slow
def test_a_time_is_a_budget(tree):
    first = tree.add_round(SPACE, noisy, n=10, seed=3)
    refine.autopilot(first, budget=timedelta(microseconds=1))
    assert (len(tree), ran(tree)) == (1, 10)  # a first round runs to its end


@pytest.mark.parametrize(
    "options", [{"n": 20}, {"rounds": 3}, {"risk": 0.1}, {"exploit": 0.5}, {"audit": 0.0}]
)
def test_options_that_a_budget_decides_are_refused_with_a_budget(tree, options):
    first = tree.add_round(SPACE, noisy, n=10)
    with pytest.raises(DesignError, match=f"budget= searches .* so {next(iter(options))}="):
        refine.autopilot(first, budget=30, **options)
    assert first.trials.empty


@pytest.mark.parametrize("budget", ["2 weeks", 0, timedelta(0)])
def test_a_wrong_budget_is_refused_before_a_trial(tree, budget):
    first = tree.add_round(SPACE, noisy, n=20)
    with pytest.raises(DesignError, match="trials >= 1,"):
        refine.autopilot(first, budget=budget)
    assert first.trials.empty


def test_a_first_round_above_the_budget_is_refused(tree):
    first = tree.add_round(SPACE, noisy, n=50)
    with pytest.raises(DesignError, match="50 trials"):
        refine.autopilot(first, budget=40)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [60, timedelta(hours=1)])
def test_autopilot_ends_if_every_configuration_ran(tree, budget):
    first = tree.add_round({"x": list(range(10)), "c": ["a", "b"]}, lambda p: -abs(p["x"] - 4.0), n=12)
    refine.autopilot(first, budget=budget)
    assert (pd.concat([r.trials for r in tree.rounds]).groupby(["x", "c"]).size() == 1).sum() == 20


@pytest.mark.slow
@pytest.mark.parametrize(("within", "high"), [(None, 1e-3), ((1e-6, 1e-2), 2.5e-3)])
def test_without_declared_limits_few_trials_widen_nothing(tree, within, high):
    def objective(p):
        return math.log10(p["lr"]) - 0.02 * (p["x"] - 4) ** 2 - 0.02 * (p["z"] - 6) ** 2

    lr = refine.Float(1e-5, 1e-3, levels=11, log=True, within=within)
    first = tree.add_round(
        {"lr": lr, "x": SPACE["x"], "z": SPACE["z"]},
        objective,
        n=30,
        seed=1,
        metric=refine.Goal("value", noise="retraining"),
    )
    refine.autopilot(first, rounds=2, n=30, risk=0.15)
    assert first.children[-1].space["lr"].high == high
    assert first._decisions[-1].note.endswith("without widening lr" if within is None else ", widening lr")


@pytest.mark.slow
def test_autopilot_repeats_no_trial_if_the_noise_is_declared(tree):
    first = tree.add_round(SPACE, noisy, n=12, seed=3, metric=refine.Goal("value", noise="retraining"))
    refine.autopilot(first, rounds=2, n=24)
    assert [len(r.replicates) for r in tree.rounds] == [0, 0]


@pytest.mark.slow
def test_rounds_of_autopilot_have_the_advised_size_and_shares(tree):
    def objective(p):
        return -8 * (p["x"] - 0.6) ** 2 - 3 * abs(p["y"] - 0.3) - 2 * (p["kind"] == "a")

    space = {"x": (0.0, 1.0, 101), "y": (0.0, 1.0, 101), "kind": ["a", "b"]}
    first = tree.add_round(space, objective, n=24, seed=3).run()
    advised = advised_round_of(first.propose(risk=0.3))
    child = refine.autopilot(first, rounds=2, risk=0.3)
    assert (child.n, child._node.exploit, child._node.audit) == (advised.n, advised.exploit, advised.audit)


def test_unit_of_improvements_is_checked_before_anything_runs(tree):
    first = tree.add_round(SPACE, truth, n=10, seed=3)
    with pytest.raises(DesignError, match="^per must"):
        refine.autopilot(first, budget=13, per="hour")
    assert not len(first.trials)
