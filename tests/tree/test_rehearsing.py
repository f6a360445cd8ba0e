"""A stored round is rehearsed: before its first trial, on its results, and on those of its ancestors."""

import numpy as np
import pytest

from refine.errors import AnalysisError, DesignError, ReviewError
from refine.review import rehearsal

SPACE = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21), "kind": ["a", "b", "c"]}


def bowl(params, trial):
    value = 1 - (params["x"] - 0.65) ** 2 - (params["y"] - 0.3) ** 2 - 0.05 * (params["kind"] != "b")
    return value + np.random.default_rng(trial.seed).normal(0, 0.01)


@pytest.fixture
def few_functions(monkeypatch):
    monkeypatch.setattr(rehearsal, "_FUNCTIONS", 3)
    monkeypatch.setattr(rehearsal, "SIZES", ())


@pytest.mark.slow
def test_a_round_before_its_first_trial_is_rehearsed_with_the_budget_and_the_size_of_the_round(
    tree, few_functions
):
    root = tree.add_round(SPACE, bowl, n=14, budget=20)
    study = root.rehearse()
    assert (study.budget, study.first, study.round) == (20, 14, root.id)
    assert [str(call) for call in study.page().calls] == ["round.run()"]
    assert len(root.trials) == 0


def test_a_declared_deterministic_round_is_rehearsed_without_repeats(tree, few_functions):
    study = tree.add_round(SPACE, bowl, budget=12, noise="none").rehearse()
    assert (study.noise, study.sizes[0].repeats) == (0, 0)


def test_a_round_without_results_and_without_a_budget_is_not_rehearsed(tree):
    root = tree.add_round(SPACE, bowl, n=12)
    with pytest.raises(AnalysisError, match="results or a budget of trials, got neither"):
        root.rehearse()
    tree.budget = "8 h"
    with pytest.raises(AnalysisError, match="got a training time of 8 h"):
        root.rehearse()


@pytest.mark.parametrize("budget", [8, 301])
def test_a_budget_outside_the_limits_is_refused_with_the_trials_left_and_a_fix_that_works(tree, budget):
    root = tree.add_round(SPACE, bowl, n=8, budget=budget)
    limits = f"simulates 12 to 300 trials, and the budget has {budget} left"
    with pytest.raises(DesignError, match=limits) as refused:
        root.rehearse()
    fixes = ["round.run()", "tree.budget = 12"]
    assert [str(action) for action in refused.value.actions] == fixes[: 1 + (budget < 12)]


def test_the_raised_budget_of_the_error_counts_the_trials_of_other_roots(tree, few_functions):
    tree.add_round(SPACE, bowl, n=10, budget=15, seed=1).run(progress=False, check_noise=False)
    root = tree.add_round(SPACE, bowl, n=5, seed=2)
    with pytest.raises(DesignError, match="the budget has 5 left") as refused:
        root.rehearse()
    assert str(refused.value.actions[1]) == "tree.budget = 22"
    tree.budget = 22
    assert root.rehearse().budget == 12


@pytest.mark.parametrize("plan", [{"rounds": 2, "n": 6}, {"exploit": 0.5}, {"audit": 0.0}])
def test_a_plan_before_the_first_trial_is_refused_by_the_names_of_its_arguments(tree, plan):
    root = tree.add_round(SPACE, bowl, n=14, budget=20)
    with pytest.raises(DesignError, match=f"needs results, got {' and '.join(plan)} before the first trial"):
        root.rehearse(**plan)


@pytest.mark.slow
def test_a_plan_without_a_budget_has_the_shares_that_the_review_advises(tree):
    root = tree.add_round(SPACE, bowl, n=40, seed=2).run(progress=False)
    review = root.propose()
    advised = review.advised_round
    plan = root.rehearse(rounds=1, n=advised.n).plans[0]
    assert (plan.exploit, plan.audit) == (advised.exploit, advised.audit)
    assert plan.exploit < 0.5
    assert root.rehearse(rounds=1, n=advised.n, exploit=0.5).plans[0].exploit == 0.5


@pytest.mark.slow
def test_a_round_with_results_is_rehearsed_with_all_trials_that_the_budget_leaves_for_rounds(tree):
    root = tree.add_round(SPACE, bowl, budget=40, seed=2).run(progress=False)
    plan = root.rehearse()
    trials = plan.plans[0].rounds * plan.plans[0].n
    available = tree.budget_state.for_rounds()
    assert available - plan.plans[0].rounds < trials <= available
    assert plan.now == pytest.approx(tree.winner().expected, rel=1e-9)
    assert f"{trials} further trials" in plan.page().title
    assert str(tree.budget_state) in str(plan)
    assert plan.to_json()["budget"]["left"] == tree.budget_state.left
    plans = root.rehearse(rounds=1, n=10).plans
    assert [(p.rounds, p.n) for p in plans] == [(1, 10)]


@pytest.mark.slow
def test_a_child_without_trials_is_rehearsed_on_its_space_by_the_results_of_its_parent(tree):
    root = tree.add_round(SPACE, bowl, n=24, seed=2).run(progress=False)
    child = root.branch({**SPACE, "x": (0.5, 0.8, 7)}, n=15)
    plan = child.rehearse()
    assert (plan.round, plan.plans[0].rounds, plan.plans[0].n) == (child.id, 1, 15)
    assert (plan.plans[0].exploit, plan.plans[0].audit) == (child.node.exploit, child.node.audit) == (0, 0)
    assert [str(call) for call in plan.page().calls] == ["round.run()"]
    other = root.branch({**SPACE, "z": [1, 2]}, n=15, previous={"z": 1})
    with pytest.raises(AnalysisError, match="other parameters"):
        other.rehearse()
    with pytest.raises(DesignError, match="rounds must be a whole number >= 1, got 0"):
        child.rehearse(rounds=0)


def test_a_budget_beyond_the_space_is_rehearsed_with_the_configurations_left(tree):
    space = {"x": (0.0, 1.0, 8), "kind": ["a", "b", "c"]}
    root = tree.add_round(space, lambda p: 1 - (p["x"] - 0.65) ** 2, budget=200, n=16, seed=2)
    review = root.run(progress=False, check_noise=False).propose()
    plan = review.rehearse().plans[0]
    assert 0 < plan.rounds * plan.n <= review.preview().left < 200


@pytest.mark.slow
def test_a_plan_without_a_gain_says_so(tree):
    root = tree.add_round(SPACE, bowl, n=30, seed=2).run(progress=False).set_epsilon(0.5)
    assert "to gain little" in root.rehearse(rounds=1, n=10).page().title


@pytest.mark.slow
def test_a_rehearsal_of_a_budget_ends_with_the_call_of_the_review(tree):
    root = tree.add_round(SPACE, bowl, budget=40, seed=2).run(progress=False)
    review = root.propose()
    assert root.rehearse().page().calls[0] == review.page().calls[0]
    assert str(root.rehearse(1, 10, audit=0.0).page().calls[0]) == (
        "review.accept(n=10, exploit=0.9, audit=0.0)"
    )


@pytest.mark.slow
def test_a_budget_without_a_trial_for_a_round_is_not_rehearsed(tree):
    root = tree.add_round(SPACE, bowl, n=17, budget=20, seed=2).run(progress=False)
    for action in ("tree.confirm()", "tree.winner()"):
        review = root.propose(renew=True)
        with pytest.raises(ReviewError, match="leaves no trial for another round") as refused:
            review.rehearse()
        assert str(refused.value.actions[0]) == action == str(review.page().calls[0])
        tree.budget = tree.budget_state.spent
