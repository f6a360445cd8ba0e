"""A narrowing leaves the configurations that a budget pays, and says if this alone prevents a cut."""

import math

import numpy as np
import pandas as pd
import pytest

import refine
from refine.design.space_filling import Sobol, draw
from refine.proposal.alternatives import left_to_run
from refine.proposal.proposal import spared
from refine.review.review import budget_of

SPACE = refine.Space(
    {
        "model": ["svm", "knn", "forest"],
        "C": refine.Float(0.01, 1000, log=True, when="model == 'svm'"),
        "neighbours": refine.Integer(1, 64, when="model == 'knn'"),
        "depth": refine.Integer(2, 30, log=True, when="model == 'forest'"),
    }
)


def f1(params):
    if params["model"] == "svm":
        return 0.85 - 0.03 * abs(math.log10(params["C"]) - 0.5)
    if params["model"] == "knn":
        return 0.8 - 0.001 * abs(params["neighbours"] - 9)
    return 0.9 - 0.02 * abs(math.log10(params["depth"]) - 0.9)


@pytest.fixture(scope="module")
def analysis():
    """The analysis of two thirds of a small space, in which one kind of model is clearly the best."""
    frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, 20, 3)))
    noise = np.random.default_rng(3).normal(0, 0.002, len(frame))
    values = [f1(row) for row in frame.to_dict("records")] + noise
    return refine.analyze(SPACE, frame.assign(value=values))


@pytest.mark.parametrize("room", [1, 2, 3, 4, 6])
def test_a_larger_risk_never_keeps_a_larger_space_and_room_is_left(analysis, room):
    proposals = [refine.propose(analysis, risk, room=room) for risk in (0.05, 0.15, 0.3)]
    sizes = [proposal.volume_kept for proposal in proposals]
    assert sizes == sorted(sizes, reverse=True)
    assert all(left_to_run(analysis, proposal.space) >= room for proposal in proposals)


def test_a_space_is_spared_only_if_the_evidence_would_cut_it(analysis):
    assert refine.propose(analysis).space != SPACE
    whole_space = refine.propose(analysis, room=left_to_run(analysis, SPACE))
    assert whole_space.space == SPACE
    assert spared(whole_space)
    assert not spared(refine.propose(analysis))


def test_a_budget_above_a_small_space_cuts_nothing_and_says_so(tmp_path):
    with refine.Tree("small", store=tmp_path / "small.db") as tree:
        goal = refine.Goal("f1", "maximize", noise="none")
        root = tree.add_round(SPACE, lambda p: {"f1": f1(p)}, metric=goal, budget=60, seed=3, name="f1").run()
        review = root.propose()
        assert review.space == root.space
        assert budget_of(review).left > left_to_run(review.proposal.analysis, review.space)
        assert spared(review.proposal)
        (line,) = [line for line in str(review).splitlines() if "budget pays" in line]
        assert line.endswith(".")
