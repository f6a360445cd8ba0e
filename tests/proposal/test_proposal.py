"""Proposals over random rounds: narrowing is pure, closed and reproducible."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refine
from refine.design.space_filling import Sobol, draw
from refine.report.pages.proposal import why
from refine.space.edits import edit_space

SPACE = refine.Space(
    {
        "lr": refine.Float(1e-4, 1.0, levels=9, log=True),
        "units": [4, 8, 16, 32, 64],
        "depth": (0, 6),
        "dropout": (0.0, 0.5, 6),
        "optimizer": ["Adam", "Nadam", "SGD"],
        "epochs": 10,
    },
    constraints=["depth > 0 or units < 64"],
)


def round_of(seed: int, n: int = 80, noise: float = 0.1, direction: str = "maximize") -> pd.DataFrame:
    """A round on a random smooth objective of some of the parameters."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, n, seed)))
    unit = SPACE.unit(frame)
    centre, weight = rng.uniform(0, 1, unit.shape[1]), rng.exponential(1, unit.shape[1])
    weight[rng.uniform(size=len(weight)) < 0.4] = 0
    value = -(weight * (unit - centre) ** 2).sum(axis=1) + rng.normal(0, noise, n)
    return frame.assign(value=value if direction == "maximize" else -value)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), risk=st.sampled_from([0.02, 0.05, 0.15, 0.4]))
def test_a_proposed_space_lies_inside_unless_it_widens_on_purpose(seed, risk):
    analysis = refine.analyze(SPACE, round_of(seed))
    proposal = refine.propose(analysis, risk=risk)
    for change in proposal.changes:
        inside = change.old.contains(np.array(change.new.grid, dtype=object)).all()
        assert inside or change.kind == "widen"
        assert change.kind == "keep" or why(change)
        assert (change.new == change.old) == (change.kind == "keep")
        assert change.new.size >= 2 or not isinstance(change.new, refine.Float)
    assert proposal.space.constraints == SPACE.constraints
    assert 0 < proposal.volume_kept <= 1
    assert 0 < proposal.claim.probability <= 1
    assert proposal.volume_kept == pytest.approx(SPACE.volume_kept(proposal.space))
    best = analysis.table.nlargest(3, "value")
    assert proposal.space.contains(best).all()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_and_the_direction_change_nothing(seed):
    frame = round_of(seed)
    first = refine.propose(refine.analyze(SPACE, frame))
    shuffled = refine.propose(refine.analyze(SPACE, frame.sample(frac=1, random_state=seed)))
    assert shuffled.digest == first.digest
    turned = refine.propose(refine.analyze(SPACE, frame.assign(value=-frame["value"]), direction="minimize"))
    assert turned.space == first.space
    assert turned.claim.probability == first.claim.probability


def test_a_proposal_survives_json_and_an_empty_decision_changes_nothing():
    proposal = refine.propose(refine.analyze(SPACE, round_of(3)))
    again = refine.Proposal.from_json(json.loads(proposal.dumps()))
    assert again.digest == proposal.digest
    assert again.space == proposal.space
    assert str(again) == str(proposal)
    assert edit_space(proposal.space, proposal.old, {}) == proposal.space


def test_pure_noise_is_not_narrowed():
    changed = total = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, 100, seed))).assign(
            value=rng.normal(size=100)
        )
        proposal = refine.propose(refine.analyze(SPACE, frame, seed=seed))
        changed += sum(c.kind != "keep" for c in proposal.changes)
        total += len(proposal.changes)
    assert changed <= 0.1 * total  # the target is 5 %; 60 parameters leave room for chance


def test_less_risk_keeps_more():
    analysis = refine.analyze(SPACE, round_of(5, n=200, noise=0.05))
    kept = [refine.propose(analysis, risk=risk, epsilon=0.05).volume_kept for risk in (0.02, 0.1, 0.4)]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 1


def test_bounds_go_midway_where_trials_lie_between_levels():
    rng = np.random.default_rng(0)
    space = refine.Space({"x": (0.0, 1.0, 6), "y": (0.0, 1.0, 6)})
    x = rng.uniform(size=(200, 2))
    frame = pd.DataFrame({"x": x[:, 0], "y": x[:, 1], "value": -((x[:, 0] - 0.5) ** 2)})
    new = refine.propose(refine.analyze(space, frame), risk=0.2)["x"].new
    assert new != space["x"]
    for bound in (new.low, new.high):
        assert bound in (0.0, 1.0) or min(abs(bound - m) for m in (0.1, 0.3, 0.5, 0.7, 0.9)) < 1e-9


def test_best_trials_at_an_end_widen_the_range():
    rng = np.random.default_rng(1)
    space = refine.Space({"lr": (1.0, 2.0, 6), "dropout": (0.0, 0.5, 6)})
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, 36, 1)))
    frame["value"] = frame["lr"] - frame["dropout"] + rng.normal(0, 0.05, 36)
    proposal = refine.propose(refine.analyze(space, frame))
    assert proposal["lr"].kind == "widen"
    assert proposal["lr"].new.high == pytest.approx(3.0)  # by its own width
    assert "may be beyond" in why(proposal["lr"])
    assert proposal["dropout"].kind == "narrow"  # zero is a natural limit
    assert proposal["dropout"].new.low == 0
    assert "It does not go beyond 0, a limit inferred" in why(proposal["dropout"])


def test_a_parameter_that_is_never_read_is_not_narrowed():
    frame = round_of(5, n=200)
    proposal = refine.propose(refine.analyze(SPACE, frame, read={"lr": 0.0}))
    assert proposal["lr"].kind == "keep"
    assert "never read lr" in why(proposal["lr"])
