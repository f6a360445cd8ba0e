"""The next step: one action, its reasons and its cost."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import refine
from refine import stats
from refine.design.space_filling import Sobol, draw
from refine.errors import ReviewError
from refine.report.pages.checks import outlook_text, says
from refine.report.pages.reasons import sentences
from refine.review.checks import worth as worth_check
from refine.review.next_step import EVEN, NextRound, accept_action, advised_round, next_step_of
from refine.review.review import next_step
from refine.review.worth import worth_of
from refine.trials.budget import BudgetState
from tests.reading import numbers_in

SPACE = refine.Space({"lr": (0.0, 1.0, 9), "depth": (1, 6), "kind": ["a", "b", "c"]})


def proposed(value, n=40, space=SPACE, seed=1, goal="value", read=None):
    """A proposal, which changes nothing if the values are noise."""
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, n, seed)))
    frame = frame.assign(value=value(frame, np.random.default_rng(seed)), seconds=2.0)
    analysis = refine.analyze(space, frame, goal, read=read)
    proposal = refine.propose(analysis)
    if value is noise:
        unchanged = tuple(replace(c, kind="keep", new=c.old) for c in proposal.changes)
        proposal = replace(proposal, space=space, changes=unchanged, advice=None)
    return proposal


def step_of(value, n=40, space=SPACE, seed=1, exploit=0.0, **options):
    return next_step_of(proposed(value, n, space, seed, **options), n, exploit)


def noise(frame, rng):
    return rng.normal(size=len(frame))


def codes(step):
    return [reason.code for reason in step.reasons]


def about(step, i):
    return step.to_json()["reasons"][i]["values"]


def test_a_proposal_that_changes_something_is_to_be_decided():
    step = step_of(lambda f, rng: f["lr"] + rng.normal(0, 0.05, len(f)))
    assert codes(step) == ["decide"]
    assert "lr" in about(step, 0)["parameters"]
    assert about(step, 0)["learned"] + about(step, 0)["even"] + about(step, 0)["outside"] == step.n


@pytest.mark.parametrize(
    ("n", "call"),
    [
        (21, "review.accept(n=21)"),  # nothing learns where fewer than twenty would be even
        (30, "review.accept(n=30, exploit=0.26)"),
        (50, "review.accept(n=50, exploit=0.3)"),
    ],
)
def test_advice_leaves_twenty_even_trials(n, call):
    proposal = proposed(lambda f, rng: f["lr"] + rng.normal(0, 0.05, len(f)))
    assert str(accept_action(advised_round(proposal, proposal.space, 60, n=n))) == call


def test_an_explicit_share_lowers_the_advised_one():
    proposal = proposed(lambda f, rng: f["lr"] + rng.normal(0, 0.05, len(f)))

    def shares(**chosen):
        advised = advised_round(proposal, proposal.space, 60, n=60, **chosen)
        return advised.exploit, advised.audit

    assert shares() == (0.3, 0.05)
    assert shares(exploit=1.0) == (1.0, 0.0)
    assert shares(exploit=0.97) == (0.97, 0.03)
    assert shares(audit=0.5) == (0.16, 0.5)  # 20 even trials remain
    assert shares(audit=0.9) == (0.0, 0.9)
    with pytest.raises(ReviewError, match="most 1"):
        shares(exploit=0.9, audit=0.2)


def test_a_space_that_cuts_nothing_off_needs_no_audit():
    proposal = proposed(lambda f, rng: f["lr"] + rng.normal(0, 0.05, len(f)))
    assert advised_round(proposal, SPACE, 60, n=60) == NextRound(60, 0.3, 0.0)


def test_an_advised_round_shows_the_noise_by_its_even_trials(rng):
    X = rng.random((EVEN, 2))
    y = rng.normal(size=EVEN)
    assert stats.TopNoise()(X, y, [0, 0]).source == "residuals"


def test_more_trials_of_a_round_that_learns_are_even_ones():
    step = step_of(noise, exploit=1.0)
    assert str(step.action) == f"round.branch(round.space, n={step.n})"


def test_an_imported_round_has_nothing_to_run(tree):
    frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, 40, 1)))
    frame = frame.assign(value=noise(frame, np.random.default_rng(1)))
    proposal = tree.add_runs(frame, SPACE, direction="minimize", space_filling=True).propose(risk=0.01)
    assert "round.branch(round.space, n=" in str(proposal)
    assert "round.run" not in str(proposal)


def test_a_small_round_without_findings_names_what_would_settle_it():
    step = step_of(noise)
    needed = about(step, 0)
    assert codes(step) == ["more", "tried"]
    assert str(step.action) == f"round.run(n={40 + step.n})"
    assert needed["parameters"] == ["lr", "depth", "kind"]
    assert needed["power"] >= 0.8
    assert step.seconds == pytest.approx(2.0 * step.n)
    assert numbers_in(sentences(step.reasons))[0] == str(step.n)
    assert about(step, 1)["n"] == 40
    assert json.loads(json.dumps(step.to_json()))["action"] == str(step.action)


@pytest.mark.slow
def test_a_larger_round_needs_less_and_a_large_one_nothing_more():
    small = step_of(noise)
    larger = step_of(noise, 80)
    assert larger.n < small.n
    assert codes(step_of(noise, 160)) in (["settled", "tried"], ["exhausted", "tried"])


def test_parameters_that_no_trial_reads_are_not_counted():
    step = step_of(noise, read={"kind": 0.0})
    assert about(step, 0)["parameters"] == ["lr", "depth"]
    assert about(step, 1)["parameters"] == 2
    unread = step_of(noise, read=dict.fromkeys(SPACE, 0.0))
    assert codes(unread) == ["nothing_read", "tried"]


def test_a_space_that_was_run_whole_asks_for_no_more_trials():
    space = refine.Space({"x": (1, 5), "kind": ["a", "b", "c"]})
    step = step_of(noise, 15, space)
    assert codes(step) == ["exhausted", "tried"]
    assert str(step.action) == "round.add(repeat=5, seeds=3).run()"


def test_repeats_are_not_advised_if_they_are_identical():
    step = step_of(noise, 150, goal=refine.Goal("value", noise="none"))
    assert codes(step) == ["settled_exactly"]
    assert str(step.action) == "tree.winner()"


def test_a_constant_objective_is_named_as_such():
    step = step_of(lambda frame, rng: 3.0 + 0.0 * frame["lr"])
    assert codes(step) == ["all_equal", "tried"]
    assert about(step, 0)["value"] == 3.0
    assert str(step.action) == "round.analyze()"


def test_failed_trials_are_not_said_to_have_the_same_value():
    failing = step_of(lambda frame, rng: np.where(rng.random(len(frame)) < 0.3, np.nan, 3.0))
    assert codes(failing) == ["all_equal", "tried"]
    assert "finished" in sentences(failing.reasons)


def test_budget_pays_for_search_on_the_same_space_if_nothing_is_proposed():
    proposal = proposed(noise, n=20)
    step = next_step_of(proposal, 20, budget=BudgetState(limit=60, spent=21, repeats=1))
    assert codes(step) == ["search_on"]
    assert str(step.action) == "review.accept(n=20, exploit=0.9)"
    assert about(step, 0)["learned"] == 18


def test_verdict_goes_on_while_the_budget_leaves_trials_for_a_round():
    proposal = proposed(noise, n=20)
    planned = (20, (0.8, 0.0))
    epsilon = 100.0  # no round gains as much
    alone = worth_of(proposal.analysis, epsilon, proposal.space, *planned)
    budget = BudgetState(limit=60, spent=21, repeats=1)
    budgeted = worth_of(proposal.analysis, epsilon, proposal.space, *planned, budget=budget)
    spent = worth_of(proposal.analysis, epsilon, proposal.space, 0, (0.8, 0.0), budget=budget)
    assert alone.verdict != "CONTINUE"
    assert budgeted.verdict == "CONTINUE"
    assert spent.verdict != "CONTINUE"


def test_a_round_that_the_budget_pays_for_is_not_called_unlikely_to_help():
    proposal = proposed(noise, n=20)
    budget = BudgetState(limit=60, spent=21, repeats=1)
    outlook = worth_of(proposal.analysis, 100.0, proposal.space, 20, (0.8, 0.0), budget=budget)
    for view in (str(outlook), says(worth_check(outlook))):
        assert str(budget) in view
        assert "unlikely" not in view


@pytest.mark.parametrize(
    ("probability", "verdict", "gain", "chance"),
    [
        (0.01, "STOP", "unlikely to gain", "(at most about 1 in 20 do)"),
        (0.25, "CONTINUE", "may gain", "(about 1 in 5 do)"),
        (0.4, "CONTINUE", "may gain", "(more than 1 in 3 do)"),
        (0.5, "CONTINUE", "will probably gain", "will probably gain more than"),
    ],
)
def test_a_verdict_states_its_own_chance(probability, verdict, gain, chance):
    proposal = proposed(noise, n=20)
    outlook = worth_of(proposal.analysis, 0.1, proposal.space, 20)
    outlook = replace(outlook, probability=probability, verdict=verdict)
    assert gain in outlook_text(outlook)
    assert chance in str(outlook)


def test_next_step_names_the_parameter_that_makes_trials_slow(rng):
    frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, 60, 1)))
    frame = frame.assign(value=frame["lr"] + rng.normal(0, 0.05, 60), seconds=frame["depth"] ** 2.0)
    analysis = refine.analyze(SPACE, frame)
    step = next_step_of(refine.propose(analysis), 60)
    assert codes(step) == ["decide", "durations"]
    assert about(step, 1) == {"parameter": "depth", "factor": 36.0}
    assert "take 36 times" in sentences(step.reasons)


def test_the_next_call_runs_the_trials_that_the_first_line_is_about(tree):
    """Nothing is proposed, and another round will probably gain: detecting every effect comes second."""

    def waves(p):
        return sum(np.sin(9 * p[name] + i) for i, name in enumerate("abcdefgh"))

    space = dict.fromkeys("abcdefgh", (0.0, 1.0, 11))
    review = tree.add_round(space, waves, n=20, seed=1).run().propose()
    assert next_step(review).reasons[0].code == "more"
    assert review.worth().verdict == "CONTINUE"
    first, second, *_ = review._page().calls
    assert (first.name, first.options["n"]) == ("review.accept", review.worth().n)
    assert second == next_step(review).action
