"""A claim names the limit that it rests on, and the validation rows that it speaks of."""

import math

import numpy as np
import pytest

import refine
from refine.proposal.proposal import Claim, proposal_from_json, proposal_to_json
from refine.report.pages.proposal import (
    CLAIMED_DATA,
    blind_spot_share,
    blind_spot_text,
    factor_text,
    risk_view,
)
from refine.report.pages.reasons import limit_texts
from tests.reading import codes_of, facts_of

SPACE = {"x": (0.0, 1.0, 41), "y": (0.0, 1.0, 11)}
ROWS = 200


def accuracy(p):
    """A share of 200 validation rows with a noise of about two rows."""
    rng = np.random.default_rng(int(1000 * p["x"]) * 1000 + int(1000 * p["y"]))
    share = 0.9 - 0.6 * (p["x"] - 0.4) ** 2 - 0.2 * (p["y"] - 0.5) ** 2 + 0.01 * rng.normal()
    return {"val_acc": round(ROWS * share) / ROWS}


def by_fold(p):
    """The same, as the mean of five folds."""
    rng = np.random.default_rng(int(1000 * p["x"]) + int(77 * p["y"]))
    scores = {f"val_acc@{k}": accuracy(p)["val_acc"] + 0.05 * rng.integers(-1, 2) for k in range(1, 6)}
    return {"val_acc": float(np.mean(list(scores.values()))), **scores}


def speed(p):
    return {"speedup": 1 / (1 + (p["x"] - 0.4) ** 2 + 0.2 * p["y"])}


def wide_loss(p):
    return {"loss": 10.0 ** (-4 + 20 * (p["x"] - 0.4) ** 2 + 2 * p["y"])}


def review_of(tree, objective, metric, seed=0, **facts):
    goal = refine.Goal(metric, noise="retraining", **facts)
    root = tree.add_round(SPACE, objective, metric=goal, n=60, seed=seed)
    return root.run().propose(risk=0.15)


def test_a_score_of_one_split_is_about_these_validation_rows(tree):
    review = review_of(tree, accuracy, "val_acc")
    assert review.proposal.analysis.validation_rows == ROWS
    for shown in (review, review.proposal, review.preview()):
        assert CLAIMED_DATA["split"] in facts_of(shown)["Risk"]
    assert proposal_from_json(proposal_to_json(review.proposal)).claim.data == "split"
    assert len(str(review).splitlines()) <= 16
    assert review.proposal.analysis.limits.high == 1
    assert limit_texts(review.proposal.analysis)[0] in " ".join(str(review.why()).split())


def test_a_score_of_folds_is_not_tied_to_the_validation_rows(tree):
    assert review_of(tree, by_fold, "val_acc").proposal.claim.data != "split"


@pytest.mark.parametrize("levels", [21, 101])
def test_a_score_in_the_steps_of_a_range_counts_no_rows(tree, levels):
    """Twenty steps are too few for rows; a hundred are the levels of x."""
    space = {"x": (0.0, 1.0, levels), "kind": ["a", "b"]}
    root = tree.add_round(
        space,
        lambda p: {"acc": 1 - abs(p["x"] - 0.3) - 0.2 * (p["kind"] == "b")},
        name="grid",
        metric=refine.Goal("acc", noise="retraining"),
        n=30,
    )
    review = root.run().propose()
    assert review.proposal.analysis.noise.step == pytest.approx(1 / (levels - 1))
    assert review.proposal.analysis.validation_rows == 0
    assert (review.proposal.claim.rows, review.proposal.claim.data) == (0, "")


@pytest.mark.slow
def test_no_limit_is_named_unless_one_is_known(tree):
    assert "cannot" not in str(review_of(tree, speed, "speedup").why())
    declared = review_of(tree, speed, "speedup", limits=(0, 1), seed=1)
    assert "exceed 1 (declared)." in " ".join(str(declared.why()).split())


def test_a_tolerance_over_decades_is_printed_as_a_factor(tree):
    review = review_of(tree, wide_loss, "loss", direction="minimize")
    factor = factor_text(review.proposal.claim.factor)
    assert 1 < review.proposal.claim.factor < 2
    assert "decades" in codes_of(review.proposal.analysis.cautions)
    for shown in (review, review.why()):
        assert factor in " ".join(str(shown).split())
    stored = proposal_from_json(proposal_to_json(review.proposal))
    assert stored.claim.factor == pytest.approx(review.proposal.claim.factor)


def test_a_factor_is_left_out_of_claims_on_a_linear_scale(tree):
    proposal = review_of(tree, speed, "speedup").proposal
    assert math.isnan(proposal.claim.factor)
    assert "factor" not in proposal_to_json(proposal)["claim"]


def test_a_factor_near_one_keeps_its_digits():
    claim = Claim(0.9, 1e-6, "decades", factor=1.0004)
    assert "1 + 0.0004" in risk_view(claim).text


@pytest.mark.parametrize(("even", "stated"), [(1, False), (4, False), (5, True), (30, True)])
def test_a_blind_spot_over_half_of_the_space_is_not_stated_in_numbers(even, stated):
    claim = Claim(0.9, 0.1, "given", draws=640, even=even, scope=refine.stats.hit_share(even))
    assert bool(blind_spot_share(claim)) == stated
    assert ("%" in blind_spot_text(claim)) == stated
