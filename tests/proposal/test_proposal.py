"""Proposals over random rounds: narrowing is pure, closed and reproducible."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refine
from refine.analysis.evidence import level_positions
from refine.analysis.reason import CODES
from refine.design.space_filling import Sobol, draw
from refine.proposal.surrogate import surrogate_of
from refine.report.pages import reasons
from refine.report.pages.proposal import claim_sentence, why
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


@pytest.mark.nightly
@pytest.mark.slow
@settings(max_examples=6, deadline=None)
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
    posterior = surrogate_of(analysis).posterior
    best = analysis.X[posterior.best_known(1)[0]]
    for e, at in zip(analysis.parameters, best, strict=True):
        level = int(np.argmin(np.abs(level_positions(e.parameter) - at)))
        assert proposal.space[e.name].contains([e.parameter.grid[level]])[0]


@pytest.mark.nightly
@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_and_the_direction_change_nothing(seed):
    frame = round_of(seed)
    first = refine.propose(refine.analyze(SPACE, frame))
    shuffled = refine.propose(refine.analyze(SPACE, frame.sample(frac=1, random_state=seed)))
    assert shuffled.digest == first.digest
    turned = refine.propose(refine.analyze(SPACE, frame.assign(value=-frame["value"]), direction="minimize"))
    assert turned.space == first.space
    assert turned.claim.probability == first.claim.probability


@pytest.mark.slow
def test_a_proposal_survives_json_and_an_empty_decision_changes_nothing():
    proposal = refine.propose(refine.analyze(SPACE, round_of(3)))
    again = refine.Proposal.from_json(json.loads(proposal.dumps()))
    assert again.digest == proposal.digest
    assert again.space == proposal.space
    assert str(again) == str(proposal)
    assert edit_space(proposal.space, proposal.old, {}) == proposal.space


@pytest.mark.slow
def test_pure_noise_is_not_narrowed():
    changed = total = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, 100, seed))).assign(
            value=rng.normal(size=100)
        )
        proposal = refine.propose(refine.analyze(SPACE, frame, seed=seed))
        changed += sum(c.kind != "keep" for c in proposal.changes)
        total += len(proposal.changes)
    assert changed <= 0.15 * total  # the target is 5 %; 40 parameters leave room for chance


@pytest.mark.slow
def test_less_risk_keeps_more():
    analysis = refine.analyze(SPACE, round_of(5, n=200, noise=0.05))
    kept = [refine.propose(analysis, risk=risk, epsilon=0.05).volume_kept for risk in (0.02, 0.1, 0.4)]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 1


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_parameter_that_is_never_read_is_not_narrowed():
    frame = round_of(5, n=200)
    proposal = refine.propose(refine.analyze(SPACE, frame, read={"lr": 0.0}))
    assert proposal["lr"].kind == "keep"
    assert "never read lr" in why(proposal["lr"])


def same_bounds(one: refine.Proposal, two: refine.Proposal) -> bool:
    return one.space == two.space and one.claim.probability == two.claim.probability


@pytest.mark.slow
def test_one_absurd_value_changes_nothing_but_its_own_row():
    frame = round_of(5, n=120, noise=0.05)
    best = int(frame["value"].to_numpy().argmax())
    absurd = frame.assign(value=frame["value"].where(frame.index != best, 1e9))
    one, two = (refine.analyze(SPACE, f) for f in (frame, absurd))
    assert two.noise.epsilon == pytest.approx(one.noise.epsilon, rel=0.2)
    assert two.noise.epsilon < 1
    assert refine.propose(two, epsilon=0.05).space == refine.propose(one, epsilon=0.05).space
    assert [e.q for e in two.parameters] == [e.q for e in one.parameters]


@pytest.mark.slow
def test_rows_given_twice_are_no_more_evidence():
    frame = round_of(7, n=60)
    once = refine.analyze(SPACE, frame)
    four = refine.analyze(SPACE, pd.concat([frame] * 4, ignore_index=True))
    assert [e.p for e in four.parameters] == pytest.approx([e.p for e in once.parameters])
    assert [e.n for e in four.parameters] == [e.n for e in once.parameters]
    assert same_bounds(refine.propose(four, epsilon=0.1), refine.propose(once, epsilon=0.1))


@pytest.mark.slow
def test_equal_evidence_gives_equal_boxes_whatever_the_seed():
    frame = round_of(5, n=150, noise=0.05)
    one, two = (refine.analyze(SPACE, frame, seed=seed) for seed in (0, 11))
    first = refine.propose(one, epsilon=0.05)
    assert first.space != SPACE
    assert same_bounds(first, refine.propose(two, epsilon=0.05))


def test_choices_without_trials_are_never_dropped():
    rng = np.random.default_rng(0)
    space = refine.Space({"layer": [f"c{i}" for i in range(12)], "x": (0.0, 1.0, 6)})
    tried = [f"c{i}" for i in range(6)]
    frame = pd.DataFrame({"layer": rng.choice(tried, 90), "x": rng.choice(space["x"].grid, 90)})
    frame["value"] = frame["layer"].isin(["c0", "c1"]) * 1.0 - frame["x"] + rng.normal(0, 0.1, 90)
    change = refine.propose(refine.analyze(space, frame), risk=0.3)["layer"]
    assert change.kind == "drop"
    assert set(change.new.grid) >= {f"c{i}" for i in range(6, 12)}
    assert "c5" not in change.new.grid
    assert "not_tried" in [reason.code for reason in change.reasons]
    assert "not tried" in why(change)


@pytest.mark.slow
def test_other_risks_are_read_off_the_same_posterior():
    analysis = refine.analyze(SPACE, round_of(5, n=200, noise=0.05))
    proposal = refine.propose(analysis)
    spaces = [proposal.at(risk).space for risk in (0.01, 0.05, 0.15, 0.3)]
    assert proposal.at(0.05).digest == proposal.digest
    assert proposal.at(0.3).digest == refine.propose(analysis, risk=0.3).digest
    for outer, inner in itertools.pairwise(spaces):
        assert all(
            outer[e.name].contains(np.array(inner[e.name].grid, dtype=object)).all()
            for e in analysis.parameters
        )
    with pytest.raises(refine.errors.AnalysisError, match="risk must be <= 0.3 here"):
        proposal.at(0.5)
    with pytest.raises(refine.errors.AnalysisError, match="was read back"):
        refine.Proposal.from_json(proposal.to_json()).at(0.05)


@pytest.mark.slow
def test_what_mattered_earlier_may_be_narrowed_if_earlier_trials_still_show_it():
    frame = round_of(1, n=60, noise=1.0)
    analysis = refine.analyze(SPACE, frame)
    assert not any(e.matters for e in analysis.parameters)
    assert not refine.propose(analysis, risk=0.3).old.diff(refine.propose(analysis, risk=0.3).space)
    names = [e.name for e in analysis.parameters]
    earlier = round_of(2, n=200, noise=0.1).assign(origin="space_filling")
    pooled = refine.analyze(SPACE, frame, earlier=earlier)
    shown = {e.name for e in pooled.parameters if e.pooled_p <= 0.1}
    assert shown
    proposal = refine.propose(pooled, risk=0.3, epsilon=0.5, eligible=names)
    changed = [c for c in proposal.changes if c.kind != "keep"]
    assert {c.name for c in changed} <= shown
    assert changed
    assert all("seen_earlier" in [reason.code for reason in c.reasons] for c in changed)
    # One lucky look does not make a parameter eligible for ever.
    still = {e.name for e in analysis.parameters if e.pooled_p <= 0.1}
    alone = refine.propose(analysis, risk=0.3, epsilon=0.5, eligible=names)
    assert {c.name for c in alone.changes if c.kind != "keep"} <= still < set(names)


@pytest.mark.slow
def test_a_claim_says_which_regions_its_trials_would_have_hit():
    proposal = refine.propose(refine.analyze(SPACE, round_of(3)), risk=0.15)
    claim = proposal.claim
    assert claim.even == 80
    assert claim.scope == pytest.approx(1 - 0.05 ** (1 / 80), rel=0.01)
    text = claim_sentence(proposal)
    assert (
        "80 evenly drawn trials would have hit any region of 3.6 % of the present space (95 % sure)" in text
    )
    again = refine.Proposal.from_json(json.loads(proposal.dumps()))
    assert (again.claim.even, again.claim.scope) == (80, pytest.approx(claim.scope))


def test_earlier_even_trials_count_where_they_reach_everywhere():
    frame, space = round_of(4, 100), SPACE.replace({"dropout": refine.Float(0.0, 0.3, levels=4)})
    own = refine.analyze(space, frame[:40]).n_even
    assert refine.analyze(space, frame[:40], earlier=frame[40:]).n_even > own
    narrow = frame[40:][frame[40:]["units"] < 16]  # says nothing of larger ones
    assert refine.analyze(space, frame[:40], earlier=narrow).n_even == own


@pytest.mark.slow
def test_a_sentence_is_part_of_no_digest(monkeypatch):
    before = refine.propose(refine.analyze(SPACE, round_of(3)), risk=0.15)
    for code in CODES:
        monkeypatch.setitem(reasons._SENTENCES, code, lambda v: "Because.")
    after = refine.propose(refine.analyze(SPACE, round_of(3)), risk=0.15)
    assert set(why(after.changes[0]).split()) == {"Because."}
    assert (after.digest, after.dumps()) == (before.digest, before.dumps())
    assert refine.Proposal.from_json(json.loads(before.dumps())).digest == before.digest


def test_every_code_has_a_sentence():
    assert set(reasons._SENTENCES) == set(CODES)
