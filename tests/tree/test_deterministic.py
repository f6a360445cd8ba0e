"""Claims, winner and confirmation of a study with a deterministic objective concern recorded values only."""

import math

import numpy as np
import pytest

import refine
from refine.proposal.proposal import claim_for


def rough(p):
    """A slope with a frozen deviation of its own in every cell."""
    return -abs(p["x"] - 6) + 1.5 * math.sin(12.9898 * p["x"] + 78.233 * p["y"])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A tree of one round of 40 of 121 cells, whose best configuration was run again."""
    study = refine.Tree("rough", store=tmp_path_factory.mktemp("rough") / "refine.db")
    root = study.add_round({"x": (0, 10), "y": (0, 10)}, rough, n=40, seed=3)
    root.run()
    root.add(repeat=1).run()
    yield study
    study.close()


@pytest.fixture
def root(study):
    """Its round."""
    return study.rounds[0]


@pytest.mark.slow
def test_claim_holds_that_untried_cells_may_be_better(root):
    """A smooth model that takes the deviations for noise is surer of its box, and wrongly."""
    aware = refine.propose(root.analyze(), risk=0.05)
    unaware = refine.propose(
        refine.analyze(root.space, root.trials, refine.Goal("value", noise="retraining")), risk=0.05
    )
    assert root.analyze().noise.deterministic
    assert claim_for(aware, unaware.space).probability < unaware.claim.probability - 0.05


@pytest.mark.parametrize("risk", [0.01, 0.15, 0.3])
def test_best_observed_stays_inside(root, risk):
    """At any risk."""
    best = root.trials.nlargest(1, "value")
    assert refine.propose(root.analyze(), risk=risk).space.contains(best).all()


def test_winner_is_the_best_observed(study, root):
    """Nothing is shrunk: what was seen is what comes again."""
    winner = study.winner()
    best = root.trials.nlargest(1, "value").iloc[0]
    assert winner.is_best_observed
    assert winner.expected == pytest.approx(best["value"], rel=1e-15)  # a mean of equal draws
    assert best["value"] == rough(winner.params)


def test_evidence_of_the_winner_names_no_mean_and_no_empty_column(study):
    text = str(study.winner().why())
    assert "repeats are identical" in text
    table = text.partition("best observed values")[2]
    assert "95 % interval" not in table


def test_there_is_nothing_to_confirm(study, root):
    """The race ends without a run."""
    before = len(root.replicates)
    winner = study.confirm(budget=5)
    assert winner.race.verdict == "noise"
    assert len(root.replicates) == before


def test_scores_by_fold_give_the_winner_an_expectation_on_new_data(tree):
    """A deterministic score over folds is exact, and tells little of other data."""
    root = tree.add_round(
        {"x": (0, 10), "y": (0, 10)},
        lambda p: {"acc": [rough(p) + k * p["y"] for k in (0, 0.3, 0.1)]},
        metric="acc",
        n=20,
    )
    root.run()
    assert tree.winner().new_data is not None


def test_poor_configurations_with_unequal_folds_do_not_move_the_winner_on_new_data(tree):
    """Folds of a log loss differ in proportion to the loss; on new folds the best keeps 0.14 to 0.25."""

    def losses(p):
        random = np.random.default_rng([p["x"], p["y"]])
        level = 0.14 + 0.03 * ((p["x"] - 6) ** 2 + (p["y"] - 3) ** 2)
        return {"loss": [level * factor for factor in random.uniform(0.5, 1.5, 3)]}

    root = tree.add_round(
        {"x": (0, 10), "y": (0, 10)}, losses, metric=refine.Goal("loss", "minimize", noise="none"), n=40
    )
    winner = root.run()._recommend()
    assert winner.best_value < winner.new_data.value < 2 * winner.best_value


@pytest.mark.slow
def test_a_round_that_may_not_repeat_the_best_does_not_fail_for_being_worse(tree):
    space = {"x": (0, 10), "y": (0, 10)}

    def cone(p):
        return -((p["x"] - 6) ** 2) - (p["y"] - 3) ** 2

    root = tree.add_round(space, cone, n=100, seed=3, metric=refine.Goal("value", noise="none")).run()
    unchanged = root.branch(space, n=10, seed=5).run()
    without = root.branch({"x": (0, 3), "y": (0, 10)}, n=10, seed=5).run()
    added = root.branch({**space, "z": ["a", "b"]}, n=10, seed=5, previous={"z": "a"}).run()
    epsilon = root.analyze().noise.epsilon
    assert max(r.best["value"] for r in (unchanged, without, added)) < root.best["value"] - epsilon
    verdicts = [r.checks()["noise"].verdict for r in (unchanged, without, added)]
    assert verdicts == ["warn", "fail", "warn"]


def test_three_equal_repeats_of_a_metric_with_two_values_are_luck(tree):
    def success(p, trial):
        return 0.3 + 0.4 * (np.random.default_rng(trial.seed).random() < 0.8 * p["x"] + 0.15 * p["y"])

    space = {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}
    root = tree.add_round(space, success, n=40, seed=0, name="o").run()
    assert root.replicates["value"].nunique() == 1
    assert root.analyze().noise.source == "residuals"
    assert not tree.winner().noise.deterministic
