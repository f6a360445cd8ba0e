"""The track record: forecasts compared with the results of children, and tested narrowings."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import objectives
import refine
from refine import stats
from refine.report.pages.calibration import entry_sentences
from refine.review.decision import Decision
from refine.trials.trial import AUDITS


def wrong(root):
    """The decision of a person who cuts off the best optimizers and the best rates."""
    return root.propose().reject(*root.space.varied).edit(optimizer=["SGD"], lr=(3.0, 5.0))


def row_of(tree, child):
    frame = tree.calibration().frame
    (row,) = frame[frame["child"] == child.id].to_dict("records")
    return row


def test_a_tree_without_children_says_so(tree, root):
    calibration = tree.calibration()
    assert len(calibration) == 0
    assert calibration.frame.empty
    assert [str(call) for call in calibration._page().calls] == ["round.propose().accept(n=100)"]
    assert all(math.isnan(c.share) and c.n == 0 for c in calibration.coverage())


@pytest.mark.nightly
def test_a_forecast_is_made_at_the_decision_and_scored_once_the_child_is_finished(tree, root):
    child = root.propose().accept(n=40, exploit=0.3, plan=refine.Plan(audit=0.1), author="ann")
    forecast = root._decisions[0].forecast
    assert forecast.n == len(child._cells()) == 24
    (entry,) = tree.calibration().entries
    assert (entry.scored, entry.state, entry.verdict) == (False, "unfinished", "not_tested")
    assert "0 of 24" in entry_sentences(entry)
    assert math.isnan(row_of(tree, child)["median"])
    child.run()
    space_filling = child.trials.loc[child.trials["origin"] == "space_filling", "value"]
    row = row_of(tree, child)
    proposal = root.propose().proposal
    exact = {
        "round": root.id,
        "decision": "accepted",
        "author": "ann",
        "risk": 0.05,
        "planned": 24,
        "ended": 24,
    }
    exact |= {"space_filling": 24, "scored": True, "audit": 2, "probe": 2, "refuted": False}
    assert {name: row[name] for name in exact} == exact
    close = {"volume_kept": proposal.volume_kept, "epsilon": proposal.claim.epsilon}
    close["power"] = 1 - 0.9**2  # the even ones'
    assert {name: row[name] for name in close} == pytest.approx(close)
    assert row["median"] == np.median(space_filling)
    assert row["best"] == space_filling.max() <= child.best["value"]  # neither exploit nor audit trials count
    for quantity in ("median", "best"):
        levels = dict(zip(forecast.levels, getattr(forecast, quantity), strict=True))
        assert [row[f"{quantity}_q{q}"] for q in ("05", "50", "95")] == [levels[q] for q in (0.05, 0.5, 0.95)]
        assert row[f"{quantity}_pit"] == forecast.percentile(quantity, row[quantity])
    (entry,) = tree.calibration().entries
    text = entry_sentences(entry)
    assert text.startswith("Scored on 24 evenly drawn trials: the median is")
    assert "2 even audit trials would hit a better region of 10 % of the space cut off" in text
    assert text in str(tree.calibration().why())


@pytest.mark.slow
def test_an_audit_trial_refutes_a_wrong_narrowing(tree, root):
    child = wrong(root).accept(n=40, plan=refine.Plan(audit=0.3)).run()
    frame = child.trials
    parent_trials = root.trials
    audits = frame["origin"].isin(AUDITS)
    outside = frame.loc[audits, "value"].max()
    inside = max(
        frame.loc[~audits, "value"].max(),
        parent_trials.loc[child.space.contains(parent_trials), "value"].max(),
    )
    (entry,) = tree.calibration().entries
    assert entry.excess == pytest.approx(outside - inside)
    assert (entry.refuted, entry.verdict) == (True, "refuted")
    for value in (outside, inside):
        assert f"{value:.4f}" in entry_sentences(entry)
    row = row_of(tree, child)
    assert row["refuted"] is True
    assert row["power"] == pytest.approx(1 - 0.9**6)


@pytest.mark.slow
def test_trials_added_after_the_forecast_do_not_count(tree, root):
    child = root.propose().accept(n=20, plan=refine.Plan(audit=0.0)).run()
    before = row_of(tree, child)
    child.run(n=60)
    after = row_of(tree, child)
    assert len(child.trials) == 60
    for name in ("planned", "ended", "space_filling", "median", "best", "median_pit", "best_pit"):
        assert after[name] == before[name]
    assert tree.calibration().entries[0].verdict == "not_tested"


@pytest.mark.slow
def test_branches_have_no_forecast_and_a_decision_does_not_include_its_forecast(tree, root):
    branch = root.branch({**root.space, "l2": (0.0, 0.1, 3)}, previous={"l2": 0.0}, n=12).run()
    root.propose().accept(n=12)
    first, second = tree.calibration().entries
    assert first.decision.forecast is None
    assert (first.child, first.verdict, first.state) == (branch.id, "no_claim", "no_forecast")
    assert first.realised("best") == branch.trials["value"].max()
    decision = second.decision
    assert decision.forecast is not None
    assert replace(decision, forecast=None).digest == decision.digest
    assert Decision.from_json(json.loads(decision.dumps())) == decision


@pytest.mark.slow
def test_failures_are_no_values(tree, space):
    def fragile(p):
        if p["dropout"] > 0.2:
            raise ValueError("too much")
        return objectives.bowl(p)

    root = tree.add_round(space, fragile, n=100, seed=7, name="fragile").run()
    review = root.propose().reject(*root.space.varied).edit(dropout=(0.2, 0.5))
    review.accept(n=20, plan=refine.Plan(audit=0.0)).run()
    (entry,) = tree.calibration().entries
    assert entry.finished
    assert not entry.scored
    assert entry.state == "too_few_values"
    sentence = f"Not scored: only {len(entry.outcome.space_filling)} of 20 evenly drawn trials have a value."
    assert entry_sentences(entry).startswith(sentence)


@pytest.mark.slow
def test_coverage_is_counted_with_its_interval(tree, root):
    current = root
    for _ in range(2):
        current = current.propose().accept(n=25, exploit=0.2).run()
    current.exclude([0], "a broken machine")  # it has ended, without a value
    calibration = tree.calibration()
    last = calibration.entries[-1].outcome
    assert last.ended == last.planned == len(last.space_filling) + 1
    assert len(calibration.scored) == 2
    coverage = calibration.coverage()
    for c in coverage:
        intervals = [(e, e.decision.forecast.interval(c.what, c.nominal)) for e in calibration.scored]
        hits = sum(low <= e.realised(c.what) <= high for e, (low, high) in intervals)
        assert (c.hits, c.n) == (hits, 2)
        assert (c.low, c.high) == pytest.approx(tuple(map(float, stats.wilson(c.hits, 2))))
    assert [(c.what, c.nominal) for c in coverage] == [(w, p) for w in ("median", "best") for p in (0.5, 0.9)]
    with refine.Tree("question", store=tree._url, create=False) as reopened:  # the same book
        assert str(reopened.calibration()) == str(calibration)
        assert reopened.calibration().frame.equals(calibration.frame)
