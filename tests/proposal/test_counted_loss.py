"""Claims about large spaces state the loss that benchmarks counted there."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.design.space_filling import Sobol, draw
from refine.proposal.counted_loss import CountedLoss, counted_loss, explained
from refine.report.pages.proposal import COUNTED_ON, claim_sentence, risk_view

TEN = refine.Space(dict.fromkeys([f"x{j}" for j in range(10)], (0.0, 1.0, 10)))
CHOICES = refine.Space({f"op{j}": list("abcdefgh") for j in range(4)})


def analysis_of(space, value, noise, n=60):
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, n, seed=0)))
    frame["value"] = value(frame) + noise * np.random.default_rng(0).normal(size=n)
    return refine.analyze(space, frame)


def slope(frame):
    return 3 * frame["x0"] - 2 * (frame["x1"] - 0.3) ** 2


def test_many_parameters_with_values_that_the_model_hardly_explains_state_the_counted_loss():
    analysis = analysis_of(TEN, slope, noise=0.8)
    proposal = refine.propose(analysis)
    assert explained(analysis) < 0.9
    assert proposal.volume_kept < 1
    assert proposal.claim.basis == "parameters"
    assert proposal.claim.probability == pytest.approx(0.8)
    assert "about 1 in 5" in risk_view(proposal.claim).text
    assert COUNTED_ON["parameters"] in claim_sentence(proposal)
    changed = next(c for c in proposal.changes if c.kind != "keep")
    assert changed.risk > 0.19
    edited = proposal.claim_for(TEN.replace({"x5": refine.Float(0.0, 0.5)}))
    assert edited.basis == "parameters"
    assert edited.probability <= 0.8
    assert refine.Proposal.from_json(proposal.to_json()).claim.basis == "parameters"


@pytest.mark.parametrize(("space", "unread"), [(TEN, "x9"), (CHOICES, "op3")])
def test_parameters_that_no_trial_reads_do_not_count(space, unread, rng):
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, 60, seed=0))).assign(value=rng.normal(size=60))
    assert counted_loss(refine.analyze(space, frame)).basis
    assert counted_loss(refine.analyze(space, frame, read={unread: False})) == CountedLoss()


def test_parameters_that_no_configuration_has_at_once_do_not_add_up(rng):
    settings = {
        f"{kind}{j}": refine.Float(0.0, 1.0, 10, when=f"kind == '{kind}'") for kind in "ab" for j in range(6)
    }
    space = refine.Space({"kind": ["a", "b"], **settings})
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, 60, seed=0))).assign(value=rng.normal(size=60))
    assert counted_loss(refine.analyze(space, frame)) == CountedLoss()


def test_many_parameters_with_values_that_the_model_explains_keep_the_chance_of_the_model():
    analysis = analysis_of(TEN, slope, noise=0.0)
    proposal = refine.propose(analysis)
    assert explained(analysis) > 0.9
    assert proposal.claim.basis == ""
    assert proposal.claim.probability >= 0.95


def test_several_large_choices_state_three_times_the_odds_of_a_loss():
    analysis = analysis_of(CHOICES, lambda f: (f["op0"] == "a") + 0.5 * (f["op1"] < "c"), noise=0.05)
    counted = counted_loss(analysis)
    assert counted.basis == "choices"
    assert counted.chance(0.01) == 0.1
    assert counted.chance(0.25) == pytest.approx(0.5)
    claim = refine.propose(analysis).claim
    assert claim.probability <= 0.9
    assert claim.basis == "choices"
    assert COUNTED_ON["choices"] in risk_view(claim).text


def test_an_answer_is_no_surer_than_the_smallest_loss_of_a_claim_and_keeps_its_odds():
    counted = CountedLoss("choices", 0.1, 3.0)
    assert [counted.of_answer(chance) for chance in (0.0, 0.02, 0.3, 0.97, 1.0)] == [0.0, 0.1, 0.3, 0.9, 1.0]
    assert np.isnan(counted.of_answer(np.nan))


@pytest.mark.parametrize("loss", [0.0, 1.0])
def test_a_certain_loss_stays_certain(loss):
    assert CountedLoss("choices", 0.1, 3.0).chance(loss) == loss


def test_a_claim_that_cuts_nothing_has_no_basis():
    claim = refine.propose(analysis_of(TEN, lambda f: 0 * f["x0"], noise=1.0)).claim
    assert (claim.probability, claim.basis) == (1.0, "")
