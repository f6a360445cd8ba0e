"""Autopilot with a budget: what it spends, that it goes on where it was, and that its rounds stay honest."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

import refine
from refine.errors import DesignError

SPACE = {"x": (0.0, 9.0, 10), "y": (0.0, 9.0, 10), "c": ["a", "b", "d"], "z": (0, 9, 10)}


def truth(params):
    return 1.0 - 0.02 * (params["x"] - 4) ** 2 - 0.01 * abs(params["y"] - 7) + 0.1 * (params["c"] == "b")


def noisy(params, trial):
    return truth(params) + np.random.default_rng(trial.seed).normal(0, 0.05)


def ran(tree):
    return sum(len(r.trials) + len(r.replicates) for r in tree.rounds)


def results(tree):
    """All that is the same whenever and however often it was interrupted."""
    return [
        (
            r.id,
            r.trials.drop(columns="seconds").to_dict("records"),
            r.replicates.drop(columns="seconds").to_dict("records"),
        )
        for r in tree.rounds
    ]


@pytest.mark.slow
def test_a_budget_is_kept_and_every_round_has_space_filling_trials(tree):
    first = tree.add_round(SPACE, noisy, n=20, seed=3)
    last = refine.autopilot(first, budget=80, n=20, exploit=0.7, progress=False)
    assert 68 <= ran(tree) <= 80
    assert [r.n for r in tree.rounds] == [20, 20, 28]  # the last 8 were not worth a round of their own
    assert last.id == tree.rounds[-1].id
    assert {d.author for r in tree.rounds for d in r.decisions} == {"autopilot"}
    for child in tree.rounds[1:]:
        origins = child.trials["origin"].value_counts()
        assert origins["space_filling"] >= 5
        assert origins["exploit"] > len(child.trials) / 2
    names = list(SPACE)
    every = [tuple(row) for r in tree.rounds for row in r.trials[names].itertuples(index=False)]
    assert len(set(every)) == len(every)
    assert truth(tree.winner().params) > 1.05


@pytest.mark.nightly
@pytest.mark.slow
def test_interrupted_it_goes_on_as_if_it_had_not_been(tmp_path):
    calls = {"left": 10**6}

    def objective(params, trial):
        if not calls["left"]:
            raise KeyboardInterrupt
        calls["left"] -= 1
        return noisy(params, trial)

    found = []
    for name, stops in (("once", ()), ("often", (8, 10, 15, 5))):
        with refine.Tree(name, store=tmp_path / f"{name}.db") as tree:
            first = tree.add_round(SPACE, objective, n=15, seed=3, name="noisy")
            for left in stops:
                calls["left"] = left
                with pytest.raises(KeyboardInterrupt):
                    refine.autopilot(first, budget=50, progress=False)
            calls["left"] = 10**6
            refine.autopilot(first, budget=50, progress=False)
            found.append(results(tree))
            refine.autopilot(first, budget=50, progress=False)
            assert results(tree) == found[-1]  # spent is spent
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_budget_that_is_raised_leaves_rounds_that_can_be_proposed_on(tree):
    first = tree.add_round(SPACE, noisy, n=20, seed=3)
    for budget in (30, 105):
        refine.autopilot(first, budget=budget, progress=False)
        assert ran(tree) <= budget
    assert len(tree) == 3  # the first child had one space-filling trial at 30, and was proposed on in the end
    child = tree.rounds[1]
    assert (child.trials["origin"] == "space_filling").sum() == 6  # as in a child that was planned at once
    assert [d.kind for d in child.decisions] == ["accepted"]


@pytest.mark.slow
def test_a_time_is_a_budget(tree):
    first = tree.add_round(SPACE, noisy, n=20, seed=3)
    refine.autopilot(first, budget=timedelta(microseconds=1), progress=False)
    assert len(tree) == 1  # a first round runs to its end
    assert len(first.trials) == 20
    assert len(first.replicates) <= 4


@pytest.mark.parametrize("budget", ["2h", 0, -5, 1.5, True, timedelta(0)])
def test_what_is_no_budget_is_refused_before_anything_runs(tree, budget):
    first = tree.add_round(SPACE, noisy, n=20)
    with pytest.raises(DesignError, match="budget must be a whole number of trials >= 1, or a time"):
        refine.autopilot(first, budget=budget, progress=False)
    assert first.trials.empty


def test_a_first_round_above_the_budget_is_refused(tree):
    first = tree.add_round(SPACE, noisy, n=50)
    with pytest.raises(DesignError, match=r"budget must be at least the 50 trials of round \w+, got 40"):
        refine.autopilot(first, budget=40, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [60, timedelta(hours=1)])
def test_where_all_has_been_run_it_ends(tree, budget):
    first = tree.add_round({"x": list(range(10)), "c": ["a", "b"]}, lambda p: -abs(p["x"] - 4.0), n=12)
    refine.autopilot(first, budget=budget, progress=False)
    every = [tuple(row) for r in tree.rounds for row in r.trials[["x", "c"]].itertuples(index=False)]
    assert len(set(every)) == len(every) <= 20


@pytest.mark.slow
def test_autopilot_runs_nothing_again_where_nobody_wants_to_know_the_noise(tree):
    first = tree.add_round(SPACE, noisy, n=12, seed=3)
    with pytest.raises(DesignError, match="check_noise must be True or False, got 'no'"):
        refine.autopilot(first, check_noise="no", progress=False)
    refine.autopilot(first, rounds=2, check_noise=False, progress=False)
    assert [len(r.replicates) for r in tree.rounds] == [0, 0]
