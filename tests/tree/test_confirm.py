"""The race among the plausible winners: what runs, when it ends, and that it goes on where it was."""

import contextlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import refine
from refine.errors import AnalysisError, DesignError, NotFoundError, RoundBusyError
from tests.reading import facts_of

SPACE = {"x": (0.0, 9.0, 10), "c": ["a", "b", "d"]}


def truth(params):
    return 1.0 - 0.01 * abs(params["x"] - 4) + 0.02 * (params["c"] == "b")


def noisy(params, trial):
    return truth(params) + np.random.default_rng(trial.seed).normal(0, 0.05)


def test_nothing_races_before_a_trial_has_finished(tree):
    with pytest.raises(AnalysisError, match="called best"):
        tree.confirm()
    with pytest.raises(DesignError, match="number >= 1, got 0"):
        tree.confirm(budget=0)
    with pytest.raises(DesignError, match="^top must"):
        tree.confirm(top=True)


@pytest.mark.slow
def test_the_budget_is_kept_and_runs_are_replicates_of_their_rounds(tree):
    round_ = tree.add_round(SPACE, noisy, n=24).run()
    before = tree.winner()
    trials = round_.trials
    won = tree.confirm(budget=14, top=4)
    assert won.race.verdict in ("budget", "decided")
    assert won.race.runs == len(round_.replicates) <= 14
    assert len(round_.replicates) >= 3
    assert round_.trials.equals(trials)
    assert won.noise.source in ("replicates", "residuals")
    assert abs(won.expected - truth(won.params)) < abs(before.best_value - truth(before.params)) + 0.05
    assert won.interval[1] - won.interval[0] < before.interval[1] - before.interval[0]
    assert tree.winner().params == won.params


def test_confirm_states_the_same_values_as_the_winner_read_again(tree):
    tree.add_round(SPACE, noisy, n=24).run()
    confirmed = tree.confirm(budget=6, top=3)
    assert confirmed.candidates == tree.winner().candidates


@pytest.mark.slow
def test_a_second_confirm_continues_and_repeats_no_run(tmp_path):
    results = []
    for name, steps in (("once", [9]), ("twice", [9, 9]), ("more", [3, 9])):
        with refine.Tree(name, store=tmp_path / f"{name}.db") as tree:
            round_ = tree.add_round(SPACE, noisy, n=24).run()
            for budget in steps:
                tree.confirm(budget=budget, top=4)
            results.append(round_.replicates)
    assert results[0].drop(columns="seconds").equals(results[1].drop(columns="seconds"))
    assert len(results[2]) <= 9


@pytest.mark.slow
def test_a_winner_read_again_asks_only_for_repeats_that_would_run(tree):
    tree.add_round(SPACE, noisy, n=24).run()
    won = tree.confirm(budget=20)
    assert won.race.verdict in ("budget", "decided")
    assert tree.winner()._page().calls == won._page().calls


@pytest.mark.slow
def test_an_imported_study_asks_for_its_objective_with_the_next_call(tree, rng):
    runs = pd.DataFrame({"x": rng.integers(0, 10, 40), "c": rng.choice(["a", "b", "d"], 40)})
    runs["score"] = [truth(row) for row in runs.to_dict("records")] + rng.normal(0, 0.05, 40)
    round_ = tree.add_runs(runs, value="score", parameters=["x", "c"])
    child = round_.propose().accept(n=2)
    assert "tree.confirm(budget=36, objective=...)" in str(tree.winner())  # 18 repeats are imported
    assert "run(workers=2, objective=...)" in str(child)
    assert "run(workers=2, objective=...)" in str(tree)
    child.run(objective=lambda params: {"score": truth(params)})
    assert "objective=..." not in str(tree.winner())


def test_racers_are_chosen_by_the_posterior_and_not_by_observed_values(tree):
    lucky = {"seed": None}

    def spiked(params, trial):
        if params["x"] == 9.0 and params["c"] == "d" and lucky["seed"] in (None, trial.seed):
            lucky["seed"] = trial.seed
            return 1.3
        return truth(params) + np.random.default_rng(trial.seed).normal(0, 0.01)

    tree.add_round(SPACE, spiked, n=30).run()
    won = tree.confirm(budget=15)
    assert won.best_value == 1.3
    assert not won.is_best_observed
    assert truth(won.params) > 0.99


def test_a_loss_that_counts_as_none_decides_earlier(tree):
    round_ = tree.add_round(SPACE, noisy, n=24, metric=refine.Goal("value", epsilon=0.5)).run()
    won = tree.confirm(budget=20)
    assert won.race.verdict in ("noise", "decided")
    assert won.race.tolerance == 0.5
    assert len(round_.replicates) <= 1 + 3  # the first tells whether there is noise


def test_under_five_configurations_all_run_in_turn(tree):
    round_ = tree.add_round(SPACE, noisy, n=3).run()
    won = tree.confirm(budget=6)
    assert round_.replicates.groupby(["x", "c"]).size().tolist() == [2, 2, 2]
    assert won.race.verdict == "budget"
    best = round_.replicates.groupby(["x", "c"])["value"].mean().max()
    assert won.expected == pytest.approx(best)


def two_hills(params, trial):
    """Two hills of nearly equal height, far apart, each with neighbours that noise hides."""
    height = max(1 - 0.004 * abs(params["x"] - 20), 0.99 - 0.004 * abs(params["x"] - 80))
    return height + np.random.default_rng(trial.seed).normal(0, 0.01)


def test_near_copies_of_a_better_configuration_do_not_race(tree):
    space = {"x": (0.0, 100.0, 41), "unread": (0.0, 1.0, 11)}
    rows = [{"x": x, "unread": i % 11 / 10} for i, x in enumerate(np.linspace(0, 100, 41))]
    hills = tree.add_round(
        space, two_hills, n=41, given=rows, metric=refine.Goal("value", noise="retraining")
    ).run()
    won = tree.confirm(budget=8, top=4)
    raced = hills.replicates["x"]
    assert raced.min() < 40 < 60 < raced.max()
    copies = won.race.copies
    assert copies > 0
    assert f"({copies} near-cop" in facts_of(won)["Race"]


@pytest.mark.slow
def test_a_race_says_if_its_last_repeats_changed_the_winner(tree):
    def very_noisy(params, trial):
        return truth(params) + np.random.default_rng(trial.seed).normal(0, 0.2)

    tree.add_round(SPACE, very_noisy, n=24, metric=refine.Goal("value", noise="retraining")).run()
    before = tree.winner()
    changes = 0
    for budget in range(1, 11):
        won = tree.confirm(budget=budget, top=4)
        assert won.race.overtaken == (won.params != before.params)
        assert ("changed" in facts_of(won)["Race"]) == won.race.overtaken
        changes += won.race.overtaken
        before = won
    assert changes


def test_a_narrow_decision_is_called_narrow(tree):
    tree.add_round(SPACE, noisy, n=24, metric=refine.Goal("value", noise="retraining")).run()
    won = tree.confirm(budget=6, top=3)
    races = [won.race._replace(verdict="decided", probability=p) for p in (0.955, 0.99)]
    texts = [facts_of(replace(won, race=race))["Race"] for race in races]
    assert ["narrowly" in text for text in texts] == [True, False]


@pytest.mark.slow
def test_trial_that_is_removed_while_the_race_runs_ends_it_with_an_error(tree):
    armed = []

    def removing(params, trial):
        if armed:
            armed.clear()
            with refine.Tree(tree._name, store=tree._context.store.name) as other:
                for round_ in other.rounds:
                    with contextlib.suppress(RoundBusyError):  # the round that runs this trial
                        other.delete(round_, range(12), note="broken")
        return noisy(params, trial)

    for seed in (0, 1):
        round_ = tree.add_round(
            SPACE, removing, n=12, seed=seed, name="f", metric=refine.Goal("value", noise="retraining")
        )
        round_.run()
    armed.append(True)
    with pytest.raises(NotFoundError, match="removed"):
        tree.confirm(budget=20, top=6)
    assert not armed
    assert sorted(len(round_.trials) for round_ in tree.rounds) == [0, 12]
    assert str(tree.winner())


def test_progress_of_a_race_is_one_bar(tree, capsys):
    tree.machine = refine.Machine()  # shows progress
    draws = np.random.default_rng(5)
    root = tree.add_round(
        {"x": (0.0, 1.0, 11)},
        lambda p: p["x"] + draws.normal(0, 0.2),
        n=11,
        metric=refine.Goal("value", noise="retraining"),
    )
    root.run()
    capsys.readouterr()
    tree.confirm(budget=12)
    lines = capsys.readouterr().err.splitlines()
    repeats = len(root.replicates)
    assert repeats > 4
    assert "0/12" in lines[0]
    assert f"{repeats}/{repeats}" in lines[-1]
    assert len({line.partition(":")[0] for line in lines}) == 1
    assert sum(f"{repeats}/" in line for line in lines) == 1
    assert "best" not in lines[-1]


def test_no_repeat_follows_three_equal_repeats_of_a_metric_in_steps(tree):
    runs = []

    def accuracy(p):
        runs.append(p)
        value = 1.1 - (p["x"] - 0.6) ** 2 - (p["y"] - 0.3) ** 2
        return {"val_acc": min(1.0, round(57 * value) / 57)}

    root = tree.add_round({"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21)}, accuracy, n=30, metric="val_acc")
    root.run()
    assert (root.analyze().noise.source, len(runs)) == ("below_step", 33)
    race = tree.confirm().race
    assert (race.verdict, len(runs)) == ("noise", 33)
