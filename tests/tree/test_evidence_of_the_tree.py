"""Every finished trial of a tree inside the space of a round is evidence, whichever round ran it."""

import time
from dataclasses import replace

import pytest

import objectives
import refine
from nightly import nightly
from refine.errors import AnalysisError
from refine.proposal.alternatives import left_to_run
from refine.proposal.proposal import proposal_from_json, proposal_to_json
from refine.tree.lineage import analyze_until

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}
LOW = {"lr": (0.5, 2.5, 5), "dropout": (0.0, 0.5, 6)}
HIGH = {"lr": (1.5, 5.0, 8), "dropout": (0.0, 0.5, 6)}


def smooth(params):
    return 1 - 0.02 * (params["lr"] - 1.4) ** 2 - 0.2 * params["dropout"] - params.get("l2", 0.0)


def other(params):
    return -smooth(params)


def ran(round_, **options):
    return round_.run(objective=smooth, **options)


@pytest.fixture(scope="session")
def first_round():
    return lambda tree: ran(
        tree.add_round(SPACE, smooth, n=30, seed=7, metric=refine.Goal("value", noise="retraining"))
    )


def inside(round_, *other_rounds):
    return sum(int(round_.space.contains(o.trials).sum()) for o in other_rounds)


def results_of_tests(analysis):
    return [(e.name, e.p, e.q, e.n, e.levels) for e in analysis.parameters]


def test_trials_of_siblings_and_their_children_count_and_are_not_tested(root):
    low = ran(root.branch(LOW, n=12, note="low"))
    below = ran(low.branch({"lr": (1.0, 2.0, 11), "dropout": (0.0, 0.5, 6)}, n=10))
    high = ran(root.branch(HIGH, n=12, note="high"))
    analysis = high.analyze()
    assert analysis.n_earlier == inside(high, root)
    assert analysis.n_elsewhere == inside(high, low, below) > 0
    assert len(analysis.y) == 12 + analysis.n_earlier + analysis.n_elsewhere
    alone = analyze_until(high, None)
    assert alone.n_elsewhere == 0
    assert results_of_tests(analysis) == results_of_tests(alone)
    assert (analysis.n_even, analysis.n_space_filling) == (alone.n_even, alone.n_space_filling)
    assert analysis.noise.floor == alone.noise.floor


def test_a_round_without_other_branches_has_the_same_evidence_as_before(root):
    child = ran(root.branch(LOW, n=12))
    assert child.analyze().digest == analyze_until(child, None).digest
    assert child.analyze().until is None


def test_trials_of_descendants_count_for_their_ancestor(root):
    child = ran(root.branch(LOW, n=12))
    analysis = root.analyze()
    assert analysis.n_elsewhere == inside(root, child) == 12
    assert analysis.evidence == {"even": 42}


def test_evidence_counts_trials_by_origin(root):
    child = ran(
        root.branch(
            SPACE, n=12, exploit=0.5, plan=refine.Plan(audit=0.0), given=[{"lr": 1.4, "dropout": 0.0}]
        )
    )
    child.add(repeat=1, seeds=3).run()
    counts = {"even": 35, "learning": 6, "given": 1, "replicate": 3}
    assert child.analyze().evidence == counts
    assert root.analyze().evidence == counts  # repeats of descendants inform the noise as well


def test_a_decided_proposal_is_repeated_when_its_child_has_run(root):
    review = root.propose()
    child = ran(review.accept(n=12))
    repeated = root.propose()
    assert repeated.proposal.digest == review.proposal.digest
    assert repeated.accept(n=12).id == child.id
    assert len(root._decisions) == 1
    new = root.propose(renew=True)
    assert new.proposal.analysis.n_elsewhere == inside(root, child)
    assert new.proposal.evidence.digest != review.proposal.evidence.digest


@pytest.mark.slow
def test_a_proposal_on_trials_of_other_branches_is_read_again_from_the_store(root, tree, tmp_path):
    ran(root.branch(LOW, n=12))
    review = root.propose()
    assert review.proposal.analysis.n_elsewhere == 12
    assert review.proposal.evidence.until == review.proposal.analysis.until
    ran(root.branch(HIGH, n=12))
    stored = root._proposals[-1]
    assert stored.evidence.until == review.proposal.evidence.until
    reread = root._review(stored)
    assert reread.proposal.digest == review.proposal.digest
    assert reread.proposal.analysis.digest == review.proposal.analysis.digest
    assert (reread.proposal.analysis.X == review.proposal.analysis.X).all()
    folder = tree.export(tmp_path / "exported", reports=False)
    with refine.Tree.load(folder, store=tmp_path / "copy.db") as loaded:
        assert loaded["root"]._review(stored).proposal.analysis.digest == review.proposal.analysis.digest


def by_a_clock_behind(round_, seconds, monkeypatch, **options):
    """A round that is run on a computer whose clock is behind."""
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() - seconds)
        return ran(round_, **options)


def test_trials_stored_after_a_proposal_with_an_earlier_time_are_no_evidence_of_it(root, monkeypatch):
    low = ran(root.branch(LOW, n=12))
    review = root.propose()
    child = review.accept(n=12)
    by_a_clock_behind(low, 3600, monkeypatch, n=15)
    by_a_clock_behind(root.branch(HIGH, n=12), 3600, monkeypatch)
    assert root.analyze().n_elsewhere > review.proposal.analysis.n_elsewhere
    assert root._review(root._proposals[-1]).proposal.analysis.digest == review.proposal.analysis.digest
    assert root.propose().accept(n=12).id == child.id


def test_proposal_of_a_clock_ahead_is_repeated_after_later_trials(root, monkeypatch):
    low = by_a_clock_behind(root.branch(LOW, n=12), -3600, monkeypatch)
    review = root.propose()
    child = review.accept(n=12)
    ran(low, n=15)
    assert root.propose().accept(n=12).id == child.id


@pytest.mark.slow
def test_proposal_keeps_its_evidence_after_loading_earlier_trials_of_the_same_rounds(
    root, tree, tmp_path, monkeypatch
):
    low = root.branch(LOW, n=12)
    ran(low, trials=6)
    folder = tree.export(tmp_path / "copy", reports=False)
    review = root.propose()
    with refine.Tree.load(folder, store=tmp_path / "copy.db") as copy:
        by_a_clock_behind(copy[low.id], 3600, monkeypatch)
        copy.export(folder, reports=False)
    refine.Tree.load(folder, store=tree._url).close()
    assert len(low.trials) == 12
    child = root._review(root._proposals[-1]).accept(n=12)
    assert child.id == review.accept(n=12).id == root.propose().accept(n=12).id
    tree.export(folder, reports=False)
    with refine.Tree.load(folder, store=tmp_path / "copy.db") as copy:
        copied_root = copy["root"]
        reread = copied_root._review(copied_root._proposals[-1]).proposal
        assert reread.analysis.digest == review.proposal.evidence.digest


def test_proposal_without_numbers_of_trials_is_read_by_time_alone(root):
    ran(root.branch(LOW, n=12))
    review = root.propose()
    ran(root.branch(HIGH, n=12))
    older = replace(review.proposal, evidence=replace(review.proposal.evidence, branch_trials=None))
    assert "branch_trials" not in proposal_to_json(older)
    reread = root._review(proposal_from_json(proposal_to_json(older))).proposal
    assert reread.analysis.digest == review.proposal.evidence.digest


def test_new_trials_of_the_round_itself_end_the_repetition(root):
    review = root.propose()
    review.accept(n=12)
    ran(root, n=36)
    assert root.propose().proposal.evidence.digest != review.proposal.evidence.digest
    with pytest.raises(refine.ReviewError, match="trials changed"):
        root._review(review.proposal)


def test_trials_of_another_objective_or_noise_are_no_evidence(root, tree):
    ran_other = tree.add_round(SPACE, other, n=12, seed=1)
    ran_other.run()
    ran(tree.add_round(SPACE, smooth, n=12, seed=2, metric=refine.Goal("value", noise="none")))
    assert root.analyze().n_elsewhere == 0
    ran(tree.add_round(SPACE, smooth, n=12, seed=3, metric=refine.Goal("value", noise="retraining")))
    assert root.analyze().n_elsewhere == 12


def test_a_sibling_with_a_further_parameter_counts_at_its_previous_value(root):
    space = {**SPACE, "l2": [0.0, 0.1]}
    without = ran(root.branch(space, n=12))
    child = ran(root.branch(LOW, n=12))
    assert child.analyze().n_elsewhere == 0  # without a previous value its trials cannot be compared
    with_previous = ran(root.branch(space, n=13, seed=1, previous={"l2": 0.0}))
    at_previous = with_previous.trials[with_previous.trials["l2"] == 0.0]
    analysis = child.analyze()
    assert analysis.n_elsewhere == int(child.space.contains(at_previous).sum()) > 0
    assert with_previous.analyze().n_elsewhere == 12 + 12  # the child's trials had l2 = 0, the others say
    assert without.analyze().n_elsewhere == 13


@pytest.mark.parametrize("n", [1, 9])
def test_a_round_of_any_size_is_proposed_on_if_the_tree_has_enough(root, n):
    child = ran(root.branch(LOW, n=n))
    analysis = child.analyze()
    assert not analysis.tested
    assert analysis.n_earlier == inside(child, root)
    assert child.propose().proposal.evidence.n == n + analysis.n_earlier


def test_a_round_of_learning_trials_alone_is_proposed_on(root):
    child = ran(root.branch(LOW, n=6, exploit=1.0))
    assert set(child.trials["origin"]) == {"exploit"}
    assert child.propose().proposal.evidence.n == 6 + inside(child, root)


def test_a_round_of_given_trials_alone_is_proposed_on(root):
    child = ran(root.branch(LOW, n=2, given=[{"lr": 1.5, "dropout": 0.1}, {"lr": 2.0, "dropout": 0.0}]))
    assert set(child.trials["origin"]) == {"given"}
    assert child.propose().proposal.evidence.n == 2 + inside(child, root)


def test_an_error_says_how_many_trials_are_missing_and_from_where(tree):
    first = ran(tree.add_round(SPACE, smooth, n=4, seed=1))
    with pytest.raises(AnalysisError, match="got 4 of 4 rows; run 6 more configurations"):
        first.analyze()
    child = ran(first.branch(LOW, n=3, previous={}))
    missing = 10 - 3 - inside(child, first)
    text = (
        f"run {missing} more configurations, here or in another round of the tree that reaches into the space"
    )
    with pytest.raises(AnalysisError, match=text):
        child.analyze()
    ran(tree.add_round(LOW, smooth, n=missing, seed=5))
    assert child.analyze().n_elsewhere == missing


@pytest.mark.slow
def test_a_script_that_runs_twice_makes_the_same_rounds(tree):
    def script():
        first = ran(tree.add_round(SPACE, smooth, n=20, seed=7))
        second = ran(first.propose().accept(n=12))
        side = ran(first.branch(HIGH, n=12))
        third = ran(second.propose().accept(n=12))
        fourth = ran(side.propose().accept(n=12))
        return [r.id for r in (first, second, side, third, fourth)], tree.winner().params

    before = script()
    trials = {r.id: r.trials["value"].tolist() for r in tree.rounds}
    assert script() == before
    assert {r.id: r.trials["value"].tolist() for r in tree.rounds} == trials


@pytest.mark.slow
def test_learning_trials_of_a_child_go_on_from_the_best_of_its_sibling(tree, space):
    root = tree.add_round(space, objectives.bowl, n=20, seed=7).run()
    sibling = root.branch(space, n=60, seed=1).run()
    child = root.branch(space, n=6, exploit=1.0, seed=2).run()
    assert child.trials["value"].median() > sibling.trials["value"].quantile(0.9)
    assert child.trials["value"].max() >= sibling.trials["value"].max()


def test_a_child_can_run_as_many_configurations_as_the_advice_counts_as_left(root):
    space = refine.Space(LOW)
    untried = space.size - int(space.contains(root.trials).sum())
    ran(root.branch(LOW, n=untried - 2, note="low rates"))
    analysis = root.analyze()
    assert analysis.n_elsewhere == untried - 2
    assert left_to_run(analysis, space) == untried
    child = ran(root.branch(LOW, n=untried, note="low rates again", seed=3))
    assert len(child.trials) == untried


@pytest.mark.slow
@pytest.mark.parametrize("n_rounds", [15, nightly(300)])
def test_every_trial_of_many_rounds_is_evidence_for_the_first_and_for_the_last(tree, n_rounds):
    space = {"x": (0.0, 9.0, 40), "y": (0.0, 1.0, 20), "c": ["a", "b", "d"]}

    def value(params):
        return -abs(params["x"] - 4) - params["y"]

    rounds = [tree.add_round(space, value, n=10, metric=refine.Goal("value", noise="none")).run()]
    for i in range(1, n_rounds):  # two chains
        rounds.append(rounds[max(0, i - 2)].branch(space, n=5, seed=i).run())
    total = 10 + 5 * (n_rounds - 1)
    for round_ in (rounds[0], rounds[-1]):
        analysis = round_.analyze()
        assert len(analysis.y) == total
        assert int(analysis.own.sum()) == len(round_.trials)
        review = round_.propose()
        assert round_.propose().proposal.claim == review.proposal.claim
    answer = tree.ask("x <= 6")
    assert (answer.verdict, answer.trials, answer.earlier) == ("yes", total, total - 10)
