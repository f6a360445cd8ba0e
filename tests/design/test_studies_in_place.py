"""Optuna studies in place: freedom left to samplers after a decision, stored attributes, and stopping."""

import doctest
import math

import optuna
import pytest

import refine.optuna
from refine.errors import AnalysisError, DesignError, RefineWarning, ReviewError
from tests.recipes import recipe

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
S = optuna.samplers
EDITS = {"x": (0.003, 0.03), "kind": ["a", "b"], "units": 24, "drop": (0.1, 0.3), "momentum": [0.1, 0.5]}
LEFT = {"units": (24,), "drop": (0.1, 0.2, 0.3), "kind": ("a", "b"), "momentum": (0.1, 0.5)}


def objective(trial):
    x = trial.suggest_float("x", 1e-4, 1, log=True)
    drop = trial.suggest_float("drop", 0, 0.5, step=0.1)
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    units = trial.suggest_int("units", 8, 64, step=8)
    inner = trial.suggest_float("momentum", 0, 1) if kind == "b" else 0.0
    return (math.log10(x) + 2) ** 2 + drop + {"a": 0, "b": 0.3, None: 1}[kind] + inner + units / 100


@pytest.fixture(scope="module")
def drawn():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=S.RandomSampler(seed=0))
    study.optimize(objective, n_trials=40)
    return study


@pytest.fixture(scope="module")
def review(drawn):
    return refine.optuna.review(drawn).edit(EDITS)


def copied(drawn, **options):
    study = optuna.create_study(**options)
    study.add_trials(drawn.trials)
    return study


TPE = {"multivariate": True, "group": True, "constant_liar": True}
OTHERS = [pytest.param(name, {}, marks=pytest.mark.slow) for name in ("TPE", "QMC", "NSGAII")]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Random", {}),
        pytest.param("TPE", TPE, marks=pytest.mark.slow),
        ("CmaEs", {"n_startup_trials": 2}),
        *OTHERS,
    ],
)
def test_a_sampler_stays_inside_and_distributions_stay(tree, drawn, review, name, options):
    sampler = getattr(S, f"{name}Sampler")(seed=1, **options)
    study = copied(drawn, sampler=sampler, pruner=optuna.pruners.HyperbandPruner())
    refine.optuna.narrow(study, review.edit(units=[8, 16]))
    narrowed = refine.optuna.narrow(refine.optuna.narrow(study, review, note="why", author="ann"))
    narrowed.enqueue_trial({"kind": None})
    narrowed.optimize(objective, n_trials=30)
    wide = {n: d for t in drawn.trials for n, d in t.distributions.items()}
    for trial in narrowed.trials[41:]:
        assert 0.003 <= trial.params["x"] <= 0.03
        assert all(v in LEFT[n] for n, v in trial.params.items() if n != "x")
        assert {n: wide[n] for n in trial.distributions} == trial.distributions
    assert narrowed.trials[40].params["kind"] is None  # what is enqueued runs
    assert {t.params["kind"] for t in narrowed.trials[41:]} == {"a", "b"}
    decision = study.user_attrs["refine:decision:40"]
    assert (decision["kind"], decision["note"], decision["author"], decision["proposal"]) == (
        "edited",
        "why",
        "ann",
        review.proposal.digest,
    )
    assert {*tree.add_runs(study, space_filling=True).trials["origin"][40:]} == {"adaptive"}
    study.optimize(objective, n_trials=8)  # which stays as it was
    assert {t.params["units"] for t in study.trials[70:]} != {24}


def test_a_distribution_that_cannot_be_narrowed_is_named(drawn, review):
    for study, candidate, pattern in (
        (optuna.create_study(), review, "the review is about another study than"),
        (
            copied(drawn),
            None,
            r"nothing was decided on study .* give a review: refine\.optuna\.review\(study\)",
        ),
        (copied(drawn, sampler=S.GridSampler({"x": [0.1]})), review, "a GridSampler runs all of its grid"),
    ):
        with pytest.raises(ReviewError, match=pattern):
            refine.optuna.narrow(study, candidate)
    with pytest.warns(RefineWarning, match="x: wider"):
        narrowed = refine.optuna.narrow(copied(drawn), review.edit(x=(0.003, 10.0)))
    with pytest.warns(RefineWarning, match="x: .* outside"):
        assert 20 <= narrowed.ask().suggest_float("x", 20, 30) <= 30


@pytest.mark.slow
def test_a_proposal_on_a_study_is_that_of_its_round(tree, drawn):
    review = refine.optuna.review(drawn)
    proposal = refine.propose(drawn)
    assert proposal.digest == review.proposal.digest == tree.add_runs(drawn).propose().proposal.digest
    assert "Next        refine.optuna.narrow(study, review)" in str(review)
    assert "Next        refine.Tree('study').add_runs(study)" in str(proposal)
    two = optuna.create_study(directions=["minimize"] * 2)
    two.optimize(lambda t: (t.suggest_float("x", 0, 1), 1 - t.params["x"]), n_trials=20)
    with pytest.raises(AnalysisError, match=r"got 2;"):
        refine.propose(two)
    with pytest.raises(AnalysisError, match="got 2"):
        refine.optuna.StopWhenNotWorth()(two, two.trials[-1])
    assert len(refine.optuna.review(two).proposal.analysis.others) == 1


@pytest.mark.slow
def test_a_study_stops_when_searching_on_is_not_worth_it():
    study = optuna.create_study(sampler=S.TPESampler(seed=0))
    study.optimize(objective, n_trials=200, callbacks=[refine.optuna.StopWhenNotWorth(epsilon=0.05)])
    verdict = study.user_attrs["refine:worth"]
    assert (40 <= len(study.trials) < 200, verdict["verdict"] != "CONTINUE", verdict["epsilon"]) == (
        True,
        True,
        0.05,
    )
    with pytest.raises(DesignError, match="number >= 1, got 0"):
        refine.optuna.StopWhenNotWorth(every=0)


@pytest.mark.slow
def test_the_scripts_of_the_docs_run():
    assert doctest.testmod(refine.optuna).failed == 0
    study = recipe("tools.md", "Optuna in place")["study"]
    assert {t.params["k"] for t in study.trials[40:]} <= {1, 2, 3}
