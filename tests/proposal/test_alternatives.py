"""Offers next to a proposal: flat parameters at their cheapest level, and the size of the next round."""

import collections
import json

import numpy as np
import pandas as pd
import pytest

import refine
from refine.design.space_filling import Sobol, draw, feasible
from refine.proposal.alternatives import advice
from refine.proposal.proposal import proposal_from_json, proposal_to_json
from refine.report.pages.proposal import offer_action
from refine.space.encoding import dumps

SPACE = refine.Space(
    {
        "lr": (0.0, 1.0, 11),
        "dropout": (0.0, 0.5, 6),
        "batch": [16, 32, 64],
        "optimizer": ["Adam", "Nadam", "SGD"],
    }
)


def table(space=SPACE, n=90, seed=0):
    """`batch` decides how long a trial takes and nothing else; `lr` and `dropout` decide the value."""
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, n, seed)))
    rng = np.random.default_rng(seed)
    frame["value"] = -2 * (frame["lr"] - 0.5) ** 2 - frame["dropout"] + rng.normal(0, 0.05, n)
    frame["seconds"] = 100 / frame["batch"].astype(float) * rng.uniform(0.9, 1.1, n)
    return frame


def offered(frame, space=SPACE, epsilon=0.15):
    proposal = refine.propose(refine.analyze(space, frame), epsilon=epsilon)
    return {offer.name: offer for offer in proposal.offers}


@pytest.mark.slow
def test_a_flat_costly_parameter_is_offered_at_its_cheapest_level():
    proposal = refine.propose(refine.analyze(SPACE, table()), epsilon=0.15)
    (offer,) = proposal.offers
    assert (offer.name, offer.value) == ("batch", 64)
    assert offer.saving == pytest.approx(0.5, abs=0.05)  # the median level is 32
    assert offer.probability >= 0.95
    assert str(offer_action(offer)) == "review.edit(batch=64)"
    assert (offer.reason.code, offer.reason.to_json()["values"]["epsilon"]) == ("flat", 0.15)
    assert "review.edit(batch=64)" in str(proposal.why())
    # Times are no evidence: without them the proposal is the same one.
    untimed = refine.propose(refine.analyze(SPACE, table().drop(columns="seconds")), epsilon=0.15)
    assert untimed.offers == ()
    assert untimed.digest == proposal.digest
    assert untimed.space == proposal.space


def mattering(frame):
    return frame.assign(value=frame["value"] - 0.5 * (frame["batch"] == 64))


def failing(frame):
    return frame.assign(value=frame["value"].where(frame["batch"] != 64))


def coupled(frame):
    place = frame["batch"].astype(float).map({16.0: 0.1, 32.0: 0.5, 64.0: 0.9})
    return frame.assign(value=-np.abs(frame["lr"] - place))


def hardly_faster(frame):  # a difference that is sure but small isn't worth a decision
    return frame.assign(seconds=100 - 0.02 * frame["batch"].astype(float))


@pytest.mark.parametrize(
    ("change", "epsilon"),
    [(mattering, 0.15), (failing, 5.0), (coupled, 2.0), (hardly_faster, 0.15)],
)
def test_a_parameter_that_matters_or_saves_nothing_is_not_offered_to_be_fixed(change, epsilon):
    assert "batch" not in offered(change(table(seed=2)), epsilon=epsilon)


@pytest.mark.slow
def test_no_difference_seen_is_not_enough_for_an_offer():
    # So noisy that nothing about batch is known: not seen to matter, but not equivalent either.
    frame = table(n=30)
    frame["value"] = np.random.default_rng(2).normal(size=30)
    analysis = refine.analyze(SPACE, frame)
    assert not analysis["batch"].matters
    assert refine.propose(analysis, epsilon=0.01).offers == ()
    # Nor is a level the cheapest that was hardly tried.
    frame = table()
    frame["seconds"] = np.where(frame["batch"] == 16, 1.0, frame["seconds"])
    thinned = frame[(frame["batch"] != 16) | (np.arange(len(frame)) < 12)]
    assert 0 < (thinned["batch"] == 16).sum() < 5
    assert {name: o.value for name, o in offered(thinned, epsilon=3.0).items()}.get("batch") in (None, 64)


def test_classes_are_offered_as_they_are_typed_and_survive_json(rng):
    classes = [collections.Counter, collections.OrderedDict, collections.UserDict]
    space = refine.Space({"lr": (0.0, 1.0, 11), "optimizer": classes})
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, 33, 0)))
    frame["value"] = -2 * (frame["lr"] - 0.5) ** 2 + rng.normal(0, 0.02, 33)
    frame["seconds"] = np.where(frame["optimizer"] == "OrderedDict", 1.0, 2.0) * rng.uniform(0.95, 1.05, 33)
    proposal = refine.propose(refine.analyze(space, frame), epsilon=0.5)
    (offer,) = proposal.offers
    assert offer.value == space["optimizer"].grid[1]
    assert str(offer_action(offer)) == "review.edit(optimizer=collections.OrderedDict)"
    reread = proposal_from_json(json.loads(dumps(proposal_to_json(proposal))))
    (read,) = reread.offers
    assert (read.value, read.reason) == (offer.value, offer.reason)
    assert reread.advice.reason == proposal.advice.reason
    assert reread.digest == proposal.digest
    assert str(reread) == str(proposal)


def test_the_next_round_is_large_enough_to_hit_the_best():
    analysis = refine.analyze(SPACE, table(n=30))
    advised = advice(analysis, SPACE, 594)
    assert advised.hit == 59
    assert 1 - 0.95**59 >= 0.95 > 1 - 0.95**58
    assert advised.n == 70  # 5 % of them go outside: 59 / 0.95, in tens
    assert advised.seconds == pytest.approx(70 * analysis.table["seconds"].mean())
    size = advised.reason.to_json()["values"]
    assert (size["hit"], size["parameters"], size["wanted"]) == (59, 4, 70)
    advised_of_40 = advice(analysis, SPACE, 40)
    assert advised_of_40.n == 40
    assert advised_of_40.reason.to_json()["values"]["left"] == 40
    advised_of_none = advice(analysis, SPACE, 0)
    assert advised_of_none.n == 0
    assert advised_of_none.reason.to_json()["values"]["left"] == 0


def test_the_whole_of_a_small_space_may_have_been_run():
    space = refine.Space({"x": (0, 21, 22), "y": [1, 2]})
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, 40, 0)))
    frame["value"] = np.random.default_rng(0).normal(size=40)
    frame["seed"] = np.arange(40)
    repeats = frame.iloc[:5].assign(seed=np.arange(40, 45))  # a repeated configuration is one configuration
    twice = pd.concat([frame, repeats], ignore_index=True)
    earlier = pd.DataFrame(space.columns(draw(Sobol(), space, 42, 0))).iloc[40:].assign(value=0.0)
    analysis = refine.analyze(space, twice, earlier=earlier)
    proposal = refine.propose(analysis, risk=0.01)
    assert proposal.space == space
    assert proposal.advice.n == feasible(space).count - 42
