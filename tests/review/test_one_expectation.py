"""Review and winner state one expected value of a configuration."""

from dataclasses import replace

import numpy as np
import pytest

from refine.proposal.proposal import proposal_from_json, proposal_to_json
from refine.review.review import edits_of

SPACE = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21), "kind": ["a", "b", "c"]}


def bowl(params, trial):
    value = 1 - (params["x"] - 0.65) ** 2 - (params["y"] - 0.3) ** 2 - 0.05 * (params["kind"] != "b")
    return value + np.random.default_rng(trial.seed).normal(0, 0.03)


def loss(params, trial):
    return 1.1 - bowl(params, trial)


def beside(round_, params):
    """An edit of x that cuts a configuration off."""
    bounds = (0.55, 1.0)
    if params["x"] > 0.5:
        bounds = (0.0, 0.45)
    return round_.propose(keep=False).reject(*SPACE).edit(x=bounds)


@pytest.fixture(params=[bowl, loss])
def round_(request, tree):
    direction = {bowl: "maximize", loss: "minimize"}[request.param]
    root = tree.add_round(SPACE, request.param, n=24, seed=4, direction=direction).run()
    root.add(repeat=2, seeds=2).run()
    return root


@pytest.mark.slow
def test_top_trials_cut_off_are_expected_to_reach_what_the_winner_states(round_, tree):
    winner = tree.winner()
    sign = {"maximize": 1, "minimize": -1}[round_._direction]
    expected = beside(round_, winner.params).preview().expected
    best_outside = max(sign * expected.low, sign * expected.high)
    assert sign * winner.expected == pytest.approx(best_outside, rel=1e-9)
    after = beside(round_, winner.best_observed.params).preview().expected
    assert after.low <= winner.best_observed.expected + 1e-9
    assert winner.best_observed.expected <= after.high + 1e-9


@pytest.mark.slow
def test_edits_of_a_review_read_expected_values_once(round_):
    review = round_.propose(keep=False)
    edits = [review.reject(*SPACE).edit(x=(0.0, high)) for high in (0.3, 0.4)]
    read = [replace(edit, proposal=edit.proposal.at(0.15))._retrained for edit in edits]
    assert read[0] is read[1] is review._retrained


@pytest.mark.slow
def test_a_stored_proposal_states_the_expected_values_of_trials_cut_off(round_, tree):
    review = round_.propose()
    edited = beside(round_, tree.winner().params)
    reopened = round_._review(proposal_from_json(proposal_to_json(review.proposal)))
    reopened = reopened.reject(*SPACE).edit(edits_of(edited).typed)
    assert reopened.preview().expected == edited.preview().expected
