"""The configuration to hand over: by posterior mean, from all rounds, beside the best observed trial."""

import numpy as np
import pandas as pd
import pytest

import objectives
import refine
from refine.report.pages.winner import differing
from tests.reading import facts_of


def truth(params):
    return 1.0 - 0.02 * (params["x"] - 4) ** 2 - 0.2 * params["y"] - 0.02 * (params["z"] == "c")


def noisy(params, trial):
    return truth(params) + np.random.default_rng(trial.seed).normal(0, 0.05)


SPACE = {"x": (0.0, 9.0, 19), "y": (0.0, 1.0, 5), "z": ["a", "b", "c"]}


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    with refine.Tree("winner", store=tmp_path_factory.mktemp("winner") / "refine.db") as tree:
        root = tree.add_round(SPACE, noisy, n=60).run()
        child = root.propose().accept(n=30, exploit=0.5, plan=refine.Plan(audit=0.1)).run()
        yield tree, root, child


def test_an_unexpected_repeat_makes_no_winner_of_a_poor_region(tree, rng):
    ran = pd.DataFrame(rng.integers(0, 10, (60, 2)), columns=["a", "b"])
    fine = 1 - 0.002 * rng.random(60) * (ran["a"] + ran["b"]) / 9
    ran["value"] = np.where(ran["a"] >= 8, 0.25 + 0.2 * rng.random(60), fine)
    ran = ran.drop_duplicates(["a", "b"])
    best_twice = ran.nlargest(2, "value").assign(value=0.97)
    space = {name: list(range(10)) for name in "ab"}
    tree.add_runs(pd.concat([ran, best_twice], ignore_index=True), space, space_filling=False)
    assert tree.winner().observed > 0.99


def test_there_is_none_before_the_first_trial(tree, space):
    assert tree.winner() is None
    round_ = tree.add_round(space, objectives.bowl, n=4)
    assert round_._recommend() is None
    assert tree.winner() is None


@pytest.mark.slow
def test_the_winner_has_the_best_posterior_mean_and_not_the_best_value(grown):
    tree, _, _ = grown
    won = tree.winner()
    assert won.evaluated == 90
    assert [c.expected for c in won.candidates] == sorted((c.expected for c in won.candidates), reverse=True)
    assert won.best_value == tree._best()["value"]
    assert won.expected < won.best_value  # what was lucky is not expected again
    low, high = won.interval
    assert low < won.expected < high
    assert abs(won.expected - truth(won.params)) < 0.03
    assert truth(won.params) > 0.95
    assert 0 < won.within <= 1


@pytest.mark.slow
def test_a_round_recommends_one_of_its_own_whatever_its_origin(grown):
    tree, root, child = grown
    assert root._recommend().round == root.id
    won = child._recommend()
    assert {c.round for c in won.candidates} == {child.id}
    assert won.evaluated == child.trials["value"].notna().sum() < tree.winner().evaluated
    assert f"out of {won.evaluated} configurations" in won._page().title
    assert won.best_value == child.best["value"]
    row = child.trials[(child.trials["x"] - won.params["x"]).abs() < 1e-9]
    assert won.observed in row["value"].to_numpy()


def test_a_degenerate_trial_is_never_handed_over(tree):
    def constant(params):
        return {"acc": 2.0 if params["x"] > 8 else params["x"] / 10, "degenerate": float(params["x"] > 8)}

    tree.add_round({"x": (0.0, 9.0, 40)}, constant, metric="acc", n=30).run()
    won = tree.winner()
    assert won.params["x"] <= 8
    assert won.best_value < 1


@pytest.mark.slow
def test_branches_with_other_parameters_are_judged_together(tree):
    def wider(params, trial):
        return noisy(params, trial) + 0.3 * params.get("extra", 0.0)

    root = tree.add_round(SPACE, wider, n=40).run()
    extended = {**SPACE, "extra": (0.0, 1.0, 5)}
    child = root.branch(extended, previous={"extra": 0.0}, n=30).run()
    other = root.branch({"x": (2.0, 6.0, 9), "y": 0.0, "z": "a"}, n=6).run()
    won = tree.winner()
    assert won.evaluated == 76
    assert won.round == child.id
    assert won.params["extra"] > 0.5
    assert other._recommend().round == other.id


def test_rounds_of_another_metric_are_left_out(tree):
    def two(params, trial):
        return {"acc": noisy(params, trial), "loss": 100.0}

    tree.add_round(SPACE, two, metric="acc", n=12).run()
    tree.add_round(SPACE, two, metric="loss", direction="maximize", n=12, seed=1).run()
    assert tree.winner().evaluated == 12


def test_a_parameter_that_was_not_read_makes_no_difference(tree):
    def score(p):
        return p["lr"] + (p["momentum"] if p["optimizer"] == "sgd" else 0.5)

    space = {"lr": (0.0, 1.0, 6), "momentum": (0.0, 0.4, 5), "optimizer": ["adam", "sgd"]}
    tree.add_round(space, score, n=40, seed=1).run()
    won = tree.winner()
    first = won.candidates[0]
    assert (first.unread, first.labels["momentum"]) == (("momentum",), "-")
    assert won.params["momentum"] in (0.0, 0.1, 0.2, 0.3, 0.4)  # it is handed over all the same
    of_adam = [c for c in won.candidates if c.configuration["optimizer"] == "adam"]
    # Equal in all that was read is one configuration.
    assert len({c.labels["lr"] for c in of_adam}) == len(of_adam) > 1
    assert all("momentum" not in differing(first, c) for c in of_adam)


SPLIT = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 5)}


def scored_rows(params, noise=None):
    """Scores on 40 validation rows, each of which favours another value of x."""
    tastes = np.random.default_rng(0).normal(size=40)
    means = 0.8 - 0.2 * (params["x"] - 0.5) ** 2
    scores = means + 0.5 * tastes * (params["x"] - 0.5) + 0.1 * tastes
    if noise is None:
        return scores
    return scores + 0.01 * np.random.default_rng(noise).standard_normal()


def test_the_doubt_of_a_winner_is_about_new_data_if_scores_by_row_are_known(tree):
    def by_row(params, trial):
        return {"score": np.tile(scored_rows(params, trial.seed), 3)}

    def mean_alone(params, trial):
        return {"score": float(scored_rows(params, trial.seed).mean())}

    doubts = []
    for objective in (by_row, mean_alone):
        round_ = tree.add_round(SPLIT, objective, metric="score", n=40, seed=2, name="rows")
        round_.run()
        won = round_._recommend()
        doubts.append((1 - won.within, 1 - won.within_rows))
        assert ("better on new data" in facts_of(won)["Doubt"]) == (won.new_data is not None)
        tree.delete(round_, note="the next objective starts anew")
    (new_data, rows), (alone, alone_on_rows) = doubts
    assert new_data > rows + 0.1
    assert alone == alone_on_rows


def test_a_deterministic_winner_has_a_doubt_on_new_data(tree):
    def by_row(params):
        return {"score": np.tile(scored_rows(params), 3)}

    round_ = tree.add_round(SPLIT, by_row, metric=refine.Goal("score", noise="none"), n=40, seed=2)
    round_.run()
    won = round_._recommend()
    assert 0 < won.within < 1
    assert np.isnan(won.within_rows)
    assert sum(candidate.probability for candidate in won.candidates) <= 1.1


def lucky_repeats():
    """A positive loss whose repeats lie lower, some of them below 0."""
    seen = set()

    def loss(params, trial):
        noise = 0.1 * abs(np.random.default_rng(trial.seed).standard_normal())
        if tuple(params.values()) in seen:
            noise = -noise
        seen.add(tuple(params.values()))
        return (params["a"] - 3) ** 2 + 0.1 * params["b"] + 0.01 + noise

    return loss


LOSS_SPACE = {"a": (0.0, 8.0, 33), "b": (0.0, 3.0, 13)}


def test_repeats_below_0_of_a_positive_loss_leave_a_winner(tree):
    root = tree.add_round(
        LOSS_SPACE, lucky_repeats(), n=80, seed=1, metric=refine.Goal("value", "minimize", noise="retraining")
    )
    root.run()
    assert root.trials["value"].min() > 0
    assert root.analyze().noise.floor_source == "decades"
    root.add(repeat=5, seeds=3).run()
    winner = tree.winner()
    assert min(run for candidate in winner.candidates for run in candidate.replicates) < 0
    assert -0.1 < winner.expected < 0.2
    low, high = winner.interval
    assert low < winner.expected < high


def test_a_race_goes_on_when_a_repeat_of_a_positive_loss_falls_below_0(tree):
    root = tree.add_round(
        LOSS_SPACE, lucky_repeats(), n=80, seed=1, metric=refine.Goal("value", "minimize", noise="retraining")
    )
    root.run()
    assert root.trials["value"].min() > 0
    winner = tree.confirm(budget=20)
    assert min(run for candidate in winner.candidates for run in candidate.replicates) < 0
    assert -0.1 < winner.expected < 0.2


def test_the_noise_of_retraining_in_folds_is_subtracted_once_as_luck():
    """Each fold is trained with noise of its own, and the folds differ by nothing else."""

    def truth_of(params):
        return 1 + 3 * (params["x"] - 0.4) ** 2

    def loss(params, trial):
        noise = np.random.default_rng(trial.seed).normal(0, 0.3, 5)
        return {"loss": (truth_of(params) + noise).tolist()}

    errors = []
    for seed in range(4):
        with refine.Tree(f"study {seed}", store="sqlite://") as tree:
            space = {"x": (0.0, 1.0, 41)}
            root = tree.add_round(space, loss, n=40, seed=seed, metric="loss", direction="minimize")
            root.run().add(repeat=5, seeds=3).run()
            winner = tree.winner()
        assert (winner.new_data.source, winner.new_data.n) == ("folds", 5)
        assert winner.new_data.low < truth_of(winner.params) < winner.new_data.high
        errors.append(winner.new_data.value - truth_of(winner.params))
    assert abs(np.mean(errors)) < 0.3 / np.sqrt(5)  # the noise of a trial
