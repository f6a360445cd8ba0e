"""A study with a fidelity: cheap trials of a real model, some also run in full, claims about full ones."""

import functools
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

import refine
from refine.analysis.fidelity import bridged, with_cheap_states, with_forecasts
from refine.analysis.selection import other_trials
from refine.errors import DesignError
from refine.proposal.chance import calibration
from refine.proposal.posterior import surrogate_of
from refine.review.review import advised_round_of
from refine.tree.lineage import analyze
from refine.trials.frame import CHEAP_VALUE
from tests.reading import facts_of

SPACE = {
    "eta0": refine.Float(1e-4, 0.1, 11, log=True),
    "alpha": refine.Float(1e-6, 1e-2, 7, log=True),
    "average": [True, False],
    "epochs": refine.Fidelity(1, 8),
}
X, Y = load_digits(return_X_y=True)
X = X / 16
N = 30


@functools.cache
def loss_of(eta0, alpha, average, epochs):
    model = SGDClassifier(
        "log_loss", alpha=alpha, eta0=eta0, learning_rate="constant", average=average, random_state=0
    )
    for _ in range(epochs):
        model.partial_fit(X[:400], Y[:400], classes=np.arange(10))
    chances = model.predict_proba(X[400:800])[np.arange(400), Y[400:800]]
    return float(-np.log(np.maximum(chances, 1e-6)).mean())


def train(params):
    return {"val_loss": loss_of(**params)}


GOAL = {"metric": refine.Goal("val_loss", "minimize", noise="none")}


def cheap_first(tree, **options):
    return tree.add_round(SPACE, train, **GOAL, **{"n": N, "seed": 3, **options})


@pytest.fixture(scope="session")
def first_round():
    return lambda tree: cheap_first(tree, budget=30).run()


def test_even_trials_are_cheap_and_the_others_run_in_full(root):
    trials = root.trials
    even = trials["origin"] == "space_filling"
    assert set(trials["epochs"][even]) == {1}
    assert set(trials["epochs"][~even]) == {8}
    assert (~even).sum() == 6, root.failures["error"].tolist()
    assert not len(root.failures), root.failures["error"].tolist()
    assert (trials["state"] == np.where(even, "cheap", "complete")).all()
    assert trials["value"].isna().equals(even)
    assert trials[CHEAP_VALUE].notna().equals(even)


def test_full_trials_run_where_cheap_ones_did(root):
    columns = ["eta0", "alpha", "average"]
    trials = root.trials
    cheap = {tuple(row) for row in trials[trials["state"] == "cheap"][columns].to_numpy()}
    full = [tuple(row) for row in trials[trials["state"] == "complete"][columns].to_numpy()]
    assert cheap.issuperset(full)
    assert len(set(full)) == len(full) == 6


def test_a_budget_counts_full_trainings(root, tree):
    state = tree.budget
    assert state.spent_cost == pytest.approx(6 + 24 / 8)
    assert state.full_left == 21
    planned = advised_round_of(root.propose(keep=False))
    assert planned.n * root.space["epochs"].mean_cost_of(planned.exploit) <= 21
    with pytest.raises(DesignError, match="the budget allows"):
        root.propose().accept(n=40, exploit=0.9)


def test_the_winner_ran_in_full(root, tree):
    finished = root.trials.dropna(subset="value")
    assert root.best["value"] == finished["value"].min()
    assert tree.winner().params["epochs"] == 8


def test_the_first_screen_says_how_far_the_levels_agree(root):
    review = root.propose(keep=False)
    agreement = review.proposal.analysis.bridges.agreement
    numbers = re.findall(r"[\d.]+", facts_of(review)["Fidelity"])
    assert numbers == ["24", "1", "6", "8", f"{agreement:.2f}"]


def test_a_child_searches_in_full_and_repeats_no_trial(root):
    child = root.propose(keep=False).accept(n=20, exploit=0.4).run()
    full = child.trials[child.trials["origin"] == "exploit"]
    assert len(full) == 8
    assert set(full["epochs"]) == {8}
    all_trials = pd.concat([root.trials, child.trials])
    assert not all_trials.duplicated(["eta0", "alpha", "average", "epochs"]).any()
    assert full["value"].min() <= root.best["value"]


def test_a_smaller_round_grows_to_the_same_cheap_trials(root):
    with refine.Tree("again", store="sqlite://") as other:
        cheap_first(other, n=20).run()
        grown = cheap_first(other).run()
        assert (grown.trials["state"] == "cheap").sum() == 24
        assert set(grown.trials["eta0"][grown.trials["state"] == "cheap"]) == set(
            root.trials["eta0"][root.trials["state"] == "cheap"]
        )


def test_a_replay_of_every_trial_agrees(root):
    replay = root.replay(N)
    assert len(replay.table) == N
    assert replay.table["same"].all()


def test_an_answer_is_about_the_full_level(root, tree):
    answer = tree.ask("eta0 >= 0.05")
    full = root.trials.dropna(subset="value")
    inside = full[full["eta0"] >= 0.05]
    assert facts_of(answer)["Inside"].startswith(f"best {inside['value'].min():.3g} ")


def test_a_table_of_runs_may_have_several_levels(root):
    runs = root.trials[["eta0", "alpha", "average", "epochs", "val_loss"]]
    with refine.Tree("imported", store="sqlite://") as tree:
        imported = tree.add_runs(runs, SPACE, metric="val_loss", direction="minimize")
        assert imported.trials["state"].value_counts().to_dict() == {"cheap": 24, "complete": 6}
        assert imported.propose(keep=False).proposal.analysis.bridges.n_full == 6


def test_a_design_that_chooses_every_trial_is_refused(tree):
    with pytest.raises(
        DesignError, match="a fidelity needs evenly drawn cheap trials, and design '(optuna:)?tpe'"
    ):
        cheap_first(tree, plan=refine.Plan(design="tpe"))


def test_misleading_cheap_trials_are_called_so(tree):
    """The shorter training prefers the opposite end: its ranks must not pass for those of the longer one."""

    def misleading(params):
        toward = 1 if params["epochs"] == 8 else -1
        return {"val_loss": (1 + toward * params["a"]) ** 2 + 0.1 * params["b"] + 0.1}

    space = {"a": (-1.0, 1.0, 21), "b": (0.0, 1.0, 5), "epochs": refine.Fidelity(1, 8)}
    round_ = tree.add_round(space, misleading, **GOAL, n=N, seed=1).run()
    review = round_.propose(keep=False)
    assert review.proposal.analysis.bridges.agreement < 0
    assert facts_of(review)["Fidelity"].startswith("epochs")  # a caution
    assert review.space["a"].contains([-1.0])[0]  # the best full trainings stay


def test_the_scale_of_a_cheap_level_matches_ranks():
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 1, 60)
    cheap = np.exp(1 + a)
    full = np.exp(0.5 * (1 + a) - 1)
    frame = pd.DataFrame(
        {
            "a": np.round(np.concatenate([a, a[:20]]), 6),
            "epochs": [1] * 60 + [8] * 20,
            "value": np.concatenate([cheap, full[:20]]),
            "state": "complete",
        }
    )
    space = refine.Space({"a": (0.0, 1.0), "epochs": refine.Fidelity(1, 8)})
    marked = with_cheap_states(space, frame, "value")
    bridges = bridged(space, [marked], "value", -1)
    assert bridges.scales[1.0].slope == pytest.approx(0.5)
    assert bridges.agreement == pytest.approx(1)
    forecasts = with_forecasts(marked, bridges)["forecast"]
    assert forecasts.to_numpy()[:60] == pytest.approx(full)


def test_a_claim_from_cheap_trials_states_twice_the_odds_of_a_loss(root):
    shares = [0.8, 0.9, 0.7]
    cautious, of_full_trials = (
        1 - w.chance(shares) for w in (surrogate_of(analyze(root)).weights, calibration().exact)
    )
    assert cautious / (1 - cautious) == pytest.approx(2 * of_full_trials / (1 - of_full_trials))


def test_figures_show_cheap_trials_by_their_forecasts(root):
    drawn = other_trials(analyze(root))
    assert len(drawn.observed) == 24
    assert np.isfinite(drawn.observed).all()


def test_the_evidence_holds_cheap_trials_at_their_level(root):
    analysis = analyze(root)
    assert len(analysis.y) == N
    assert analysis.at_full.sum() == 6
    assert set(np.unique(analysis.levels)) == {0.0, 1.0}
