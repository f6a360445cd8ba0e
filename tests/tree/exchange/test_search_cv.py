"""Fitted searches of scikit-learn as rounds, and refine's own search."""

import doctest
import pickle

import numpy as np
import pytest
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import refine.sklearn
from refine.errors import AnalysisError, DesignError
from refine.sklearn import RefineSearchCV
from refine.trials.goal import Goal

pytestmark = pytest.mark.slow
X, Y = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)
DRAWN = {"C": loguniform(1e-3, 1e3), "gamma": loguniform(1e-4, 10)}
SCORERS = {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro", "cv": 3}


def test_a_search_gets_the_proposal_of_its_round(tree):
    search = RandomizedSearchCV(SVC(), DRAWN, n_iter=20, random_state=0, cv=3).fit(X, Y)
    added = tree.add_runs(search)
    proposal = refine.propose(search)
    assert proposal.digest == added.propose().proposal.digest
    assert proposal.claim.epsilon_source == "folds"  # its scores by split tell the noise
    assert (proposal.evidence.tested, added._direction, added._value) == (20, "maximize", "score")
    assert (added.space["C"].low, added.space["C"].high, added.space["C"].log) == (1e-3, 1e3, True)
    results = search.cv_results_
    trials = added.trials
    np.testing.assert_allclose(trials["value"], results["mean_test_score"])
    np.testing.assert_allclose(trials["score@3"], results["split2_test_score"])
    np.testing.assert_allclose(trials["seconds"], 3 * (results["mean_fit_time"] + results["mean_score_time"]))


def test_a_list_of_dictionaries_has_conditions_and_estimators_their_text(tree, tmp_path, monkeypatch):
    depths = {"clf": [TREE], "clf__max_depth": [None, 1, 2], "clf__min_samples_leaf": [1, 5, 25]}
    grid = [depths, {"clf": [GaussianNB()], "clf__var_smoothing": [1e-9, 1e-3, 1.0]}]
    search = GridSearchCV(Pipeline([("clf", TREE)]), grid, **SCORERS).fit(X, Y)
    added = tree.add_runs(search)
    proposal = refine.propose(search)
    assert added.space["clf"].labels == ("DecisionTreeClassifier(random_state=0)", "GaussianNB()")
    assert added.space["clf__max_depth"].when == "clf == 'DecisionTreeClassifier(random_state=0)'"
    assert (added.space.size, added.space["clf__var_smoothing"].log, added._value) == (12, True, "f1_macro")
    np.testing.assert_allclose(added.trials["accuracy"], search.cv_results_["mean_test_accuracy"])
    with pytest.raises(AnalysisError, match=r"accuracy, f1_macro, got 'f1'"):
        tree.add_runs(search, metric="f1")
    assert proposal.digest == added.propose().proposal.digest
    monkeypatch.chdir(tmp_path)
    assert eval(str(proposal).rpartition("Next        ")[2]).space == added.space


@pytest.mark.filterwarnings("ignore:(?s).*(fits failed|non-finite)")
def test_distributions_and_scores_that_are_nan(tree):
    even = {"max_depth": randint(1, 9), "min_samples_split": uniform(0.1, 0.5)}
    drawn = {**even, "ccp_alpha": norm(0.02, 0.001), "max_features": [1, 2, 9.5]}
    search = RandomizedSearchCV(TREE, drawn, n_iter=30, cv=2, random_state=0).fit(X, Y)
    added = tree.add_runs(search)
    depth, split, alpha, _ = (added.space[name] for name in drawn)
    assert (type(depth), depth.high, split.low, split.high) == (refine.Integer, 8, 0.1, 0.6)
    assert alpha.low == pytest.approx(min(search.cv_results_["param_ccp_alpha"]))  # as it was tried
    failed = added.trials["state"] == "failed"
    assert (failed == np.isnan(search.cv_results_["mean_test_score"])).all()
    assert 0 < failed.sum() == 30 - refine.propose(search).evidence.tested


@pytest.mark.parametrize(("candidates", "judged"), [(60, "score"), (20, "score at n_samples=18")])
def test_halving_is_judged_by_the_last_iteration_that_ten_reached(tree, candidates, judged):
    search = HalvingRandomSearchCV(SVC(), DRAWN, n_candidates=candidates, cv=3, random_state=0).fit(X, Y)
    added = tree.add_runs(search)
    proposal = refine.propose(search)
    results = search.cv_results_
    trials = added.trials
    last_iteration = results["n_resources"] == (54 if judged == "score" else 18)
    reached = trials["state"] == "complete"
    assert (reached.sum(), set(trials["state"][~reached])) == (20, {"pruned"} if candidates > 20 else set())
    for split, column in (("mean_test_score", judged), ("split2_test_score", f"{judged}@3")):
        np.testing.assert_allclose(np.sort(trials[column][reached]), np.sort(results[split][last_iteration]))
    assert trials["score"].max() == search.best_score_  # of the last iteration too
    assert added._value == proposal.evidence.metric == judged
    assert (proposal.digest, proposal.evidence.tested) == (added.propose().proposal.digest, 20)


def test_a_search_that_is_not_fitted_is_refused(tree):
    other = type("Other", (RandomizedSearchCV,), {})(TREE, {"ccp_alpha": uniform(0, 0.1)}, n_iter=12, cv=2)
    with pytest.raises(AnalysisError, match=r"cv_results_, got Other; call search.fit"):
        tree.add_runs(other)
    assert refine.propose(other.fit(X, Y)).evidence.tested == 0  # it may go by results


def test_refine_search_is_a_search_with_a_tree_behind():
    space = {"svc__C": refine.Float(1e-3, 1e3, log=True), "svc__gamma": refine.Float(1e-4, 10, log=True)}
    search = RefineSearchCV(Pipeline([("svc", SVC())]), space, n=24, random_state=0, **SCORERS)
    search = clone(search).fit(X, Y)
    scores = search.cv_results_["mean_test_f1_macro"]
    rounds = search.tree_.rounds
    assert search.best_score_ == scores.max() == max(r.best["value"] for r in rounds)
    assert [(r.n, len(r.trials)) for r in rounds] == [(12, 12)] * 2
    assert set(search.propose().accept(n=2).run().trials["state"]) == {"complete"}
    unpickled = pickle.loads(pickle.dumps(search))
    assert (unpickled.predict(X) == search.predict(X)).all()
    assert not hasattr(unpickled, "tree_")


def test_refine_search_refuses_wrong_options():
    with pytest.raises(DesignError, match="number >= 1, got 0"):
        RefineSearchCV(TREE, {"max_depth": (1, 5)}, n=0).fit(X, Y)
    with pytest.raises(AnalysisError, match="^refit must"):
        RefineSearchCV(TREE, {"max_depth": (1, 5)}, scoring=["accuracy"], refit=False).fit(X, Y)
    with pytest.raises(ValueError, match="min_samples_leaf"):
        RefineSearchCV(TREE, {"min_samples_leaf": [-1, 1]}, error_score="raise").fit(X, Y)
    assert doctest.testmod(refine.sklearn).failed == 0


@pytest.mark.filterwarnings("ignore")  # some checks are about what warns
@parametrize_with_checks([RefineSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)])
def test_refine_search_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_equal_repeats_of_a_search_are_declared(tree):
    search = GridSearchCV(TREE, {"max_depth": [1, 2, 3, 4], "min_samples_leaf": [1, 5, 25]}, cv=3).fit(X, Y)
    added = tree.add_runs(search, metric=Goal("score", noise="none"))
    assert added._declared.noise == "none"
    assert added.analyze().noise.deterministic
