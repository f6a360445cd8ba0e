"""Inheritance from earlier rounds: a whole sample, evidence for the surrogate, or a place in line."""

import pytest

import objectives
import refine
from refine.errors import AnalysisError
from refine.report.pages.analysis import trials_clause
from refine.trials.goal import Goal


@pytest.fixture(scope="session")
def first_round(space):
    return lambda tree: tree.add_round(space, objectives.bowl, n=60, seed=7).run()


def test_rounds_on_the_very_same_space_are_one_sample(root):
    child = root.branch(root.space, n=20)
    with pytest.raises(AnalysisError, match="got 0; run"):
        child.analyze()
    child.run()
    analysis = child.analyze()
    assert (analysis.n_space_filling, analysis.n_pooled, analysis.n_earlier) == (80, 60, 0)
    assert analysis["lr"].n == 80
    assert len(analysis.table) == 20
    assert analysis.stage == 2
    grandchild = child.branch(child.space, n=20).run()
    pooled = grandchild.analyze()
    assert (pooled.n_space_filling, pooled.n_pooled, pooled.stage) == (100, 80, 3)


@pytest.mark.slow
def test_a_narrowed_child_is_tested_on_its_own_trials(root):
    child = root.propose().edit(dropout=(0, 0.2)).accept(n=30, exploit=0, plan=refine.Plan(audit=0)).run()
    analysis = child.analyze()
    assert analysis.n_pooled == 0
    assert analysis.n_space_filling == 30
    assert analysis.n_earlier == child.space.contains(root.trials).sum()
    assert analysis.stage == 2
    assert len(analysis.y) == 30 + analysis.n_earlier
    # Its own child on the same space pools with it, not with the root.
    same_round = child.branch(child.space, n=12).run().analyze()
    assert (same_round.n_space_filling, same_round.n_pooled, same_round.stage) == (42, 30, 3)
    assert same_round.n_earlier == analysis.n_earlier


@pytest.mark.nightly
def test_a_round_that_grew_is_a_later_stage(tree, space):
    root = tree.add_round(space, objectives.bowl, n=60, seed=7)
    assert root.run(trials=30).analyze().stage == 3  # half a plan
    assert root.run().analyze().stage == 1
    assert root.run(n=70).analyze().stage == 1
    grown = root.run(n=120)
    assert grown.analyze().stage == 2
    child = grown.propose().accept(n=30, exploit=0.5).run()
    assert child.analyze().stage == 3
    # Only what is tested counts: half of its trials are exploit trials, and of those that are added.
    assert child.run(n=35).analyze().stage == 3
    assert child.run(n=44).analyze().stage == 4


@pytest.mark.slow
def test_a_round_with_fewer_than_ten_even_trials_is_proposed_on_untested(root):
    child = root.propose().edit(dropout=(0, 0.2)).accept(n=16, exploit=0.5, plan=refine.Plan(audit=0)).run()
    analysis = child.analyze()
    assert (analysis.tested, analysis.n_space_filling) == (False, 0)
    assert child.propose().proposal.evidence.tested == 0


def test_the_trials_of_a_round_are_counted_without_audit_trials_of_an_earlier_round(tree):
    def bowl(params):
        return -((params["x"] - 0.4) ** 2) - 0.1 * params["y"]

    narrow = {"x": (0.2, 0.6, 9), "y": (0.0, 0.5, 6)}
    root = tree.add_round(
        {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 11)}, bowl, n=20, metric=Goal("value", noise="retraining")
    ).run()
    audited = root.branch(narrow, n=12, plan=refine.Plan(audit=0.25)).run()
    same_space = audited.branch(narrow, n=11).run()
    assert len(audited.analyze().outside) == audited.analyze().n_outside == 3
    assert len(same_space.analyze().outside) == 3
    assert trials_clause(same_space.analyze()) == "11 trials"
    assert trials_clause(audited.analyze()) == "12 trials"
