"""The ledger: forecasts made at the decision, held against what children showed, and narrowings put to the test."""

from __future__ import annotations

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


@pytest.fixture
def root(tree, space):
    return tree.add_round(space, objectives.bowl, n=100, seed=7).run(progress=False)


def row_of(tree, child):
    frame = tree.calibration().frame
    (found,) = frame[frame["child"] == child.id].to_dict("records")
    return found


def test_a_tree_without_children_says_so(tree, root):
    calibration = tree.calibration()
    assert len(calibration) == 0
    assert calibration.frame.empty
    assert str(calibration) == (
        "Calibration of question\n\nNo decision has led to a child yet.\n\nNext     round.propose().accept(n=100)"
    )
    assert all(math.isnan(c.share) and c.n == 0 for c in calibration.coverage())


@pytest.mark.nightly
@pytest.mark.slow
def test_a_forecast_is_made_at_the_decision_and_scored_once_the_child_is_finished(tree, root):
    child = root.propose().accept(n=40, exploit=0.3, audit=0.1, author="ann")
    made = root.decisions[0].forecast
    assert made.n == len(child.cells()) == 24
    (entry,) = tree.calibration().entries
    assert not entry.scored
    assert entry.state == "unfinished"
    assert entry.verdict == "not_tested"
    assert entry_sentences(entry) == (
        "Unfinished, not scored: 0 of 24 space-filling trials have ended. Not tested: no audit trial has finished."
    )
    assert math.isnan(row_of(tree, child)["median"])
    assert row_of(tree, child)["refuted"] is not True

    child.run(progress=False)
    space_filling = child.trials.loc[child.trials["origin"] == "space_filling", "value"]
    row = row_of(tree, child)
    assert (row["round"], row["decision"], row["author"]) == (root.id, "accepted", "ann")
    assert (row["risk"], row["planned"], row["ended"], row["space_filling"]) == (0.05, 24, 24, 24)
    assert row["median"] == np.median(space_filling)
    assert row["best"] == space_filling.max()  # neither exploit trials nor audit trials count
    assert row["best"] <= child.best["value"]
    for what in ("median", "best"):
        quantiles = getattr(made, what)
        assert row[f"{what}_q05"] == quantiles[made.levels.index(0.05)]
        assert row[f"{what}_q50"] == quantiles[made.levels.index(0.5)]
        assert row[f"{what}_q95"] == quantiles[made.levels.index(0.95)]
        assert row[f"{what}_pit"] == made.percentile(what, row[what])
    assert row["scored"]
    proposal = root.propose().proposal
    assert (row["volume_kept"], row["epsilon"]) == (
        pytest.approx(proposal.volume_kept),
        pytest.approx(proposal.claim.epsilon),
    )
    assert (row["audit"], row["probe"]) == (2, 2)
    assert row["power"] == pytest.approx(1 - 0.9**2)  # the even ones'
    assert row["refuted"] is False
    text = str(tree.calibration().details)
    assert "Not refuted: 4 audit trials found nothing better" in text
    assert (
        "The 2 that are even would have found a better region that holds 10 % of what was cut off with probability 0.19."
        in text
    )
    assert "Scored on 24 space-filling trials: its median is" in text
    assert "90 % intervals of the best held in" in text


@pytest.mark.slow
def test_a_counter_sample_refutes_a_wrong_narrowing(tree, root):
    # A person cuts off the best optimizers and the best rates.
    wrong = root.propose().reject(*root.space.varied).edit(optimizer=["SGD"], lr=(3.0, 5.0))
    child = wrong.accept(n=40, audit=0.3).run(progress=False)
    frame = child.trials
    outside = frame.loc[frame["origin"].isin(AUDITS), "value"].max()
    known = root.trials
    inside = max(
        frame.loc[~frame["origin"].isin(AUDITS), "value"].max(),
        known.loc[child.space.contains(known), "value"].max(),
    )
    (entry,) = tree.calibration().entries
    assert entry.excess == pytest.approx(outside - inside)
    assert entry.refuted is True
    assert entry.verdict == "refuted"
    assert (
        f"Refuted: an audit trial reached {outside:.4f}; the best inside is {inside:.4f}, "
    ) in entry_sentences(entry)
    assert row_of(tree, child)["refuted"] is True
    assert row_of(tree, child)["power"] == pytest.approx(1 - 0.9**6)


@pytest.mark.nightly
@pytest.mark.slow
def test_less_is_better_where_it_is_minimised(tree, space):
    root = tree.add_round(
        space, lambda p: -objectives.bowl(p), direction="minimize", n=100, seed=7, name="loss"
    )
    root.run(progress=False)
    wrong = root.propose().reject(*root.space.varied).edit(optimizer=["SGD"], lr=(3.0, 5.0))
    child = wrong.accept(n=40, audit=0.3).run(progress=False)
    (entry,) = tree.calibration().entries
    space_filling = child.trials.loc[child.trials["origin"] == "space_filling", "value"]
    assert entry.realised("best") == space_filling.min()
    assert entry.decision.forecast.quantile("best", 0.5) < entry.decision.forecast.quantile("median", 0.5)
    assert entry.decision.forecast.best[0] >= 0  # no loss was ever negative
    assert entry.refuted is True


@pytest.mark.slow
def test_what_is_added_later_does_not_count(tree, root):
    child = root.propose().accept(n=20, audit=0.0).run(progress=False)
    before = row_of(tree, child)
    child.run(n=60, progress=False)
    after = row_of(tree, child)
    assert len(child.trials) == 60
    for name in ("planned", "ended", "space_filling", "median", "best", "median_pit", "best_pit"):
        assert after[name] == before[name]
    assert tree.calibration().entries[0].verdict == "not_tested"


@pytest.mark.slow
def test_branches_and_second_decisions_have_no_forecast(tree, root):
    branch = root.branch({**root.space, "l2": (0.0, 0.1, 3)}, previous={"l2": 0.0}, n=12).run(progress=False)
    child = root.propose().accept(n=12).run(progress=False)
    root.propose(risk=0.2).edit({n: child.space[n] for n in child.space.varied}).accept(n=12)
    entries = tree.calibration().entries
    assert [e.decision.forecast is None for e in entries] == [True, False, *[True] * (len(entries) - 2)]
    assert entries[0].child == branch.id
    assert entries[0].verdict == "no_claim"
    assert entries[0].state == "no_forecast"
    assert entries[0].realised("best") == branch.trials["value"].max()


@pytest.mark.slow
def test_the_forecast_is_no_part_of_what_was_decided(root):
    root.propose().accept(n=20)
    (decision,) = root.decisions
    assert replace(decision, forecast=None).digest == decision.digest
    assert Decision.from_json(json.loads(decision.dumps())) == decision


@pytest.mark.slow
def test_failures_are_no_values(tree, space):
    def fragile(p):
        if p["dropout"] > 0.2:
            raise ValueError("too much")
        return objectives.bowl(p)

    root = tree.add_round(space, fragile, n=100, seed=7, name="fragile").run(progress=False)
    review = root.propose().reject(*root.space.varied).edit(dropout=(0.2, 0.5))
    review.accept(n=20, audit=0.0).run(progress=False)
    (entry,) = tree.calibration().entries
    assert entry.finished
    assert not entry.scored
    assert entry.state == "too_few_values"
    few = f"Not scored: only {len(entry.seen.space_filling)} of 20 space-filling trials have a value."
    assert entry_sentences(entry).startswith(few)


@pytest.mark.slow
def test_an_excluded_trial_has_ended_without_a_value(tree, root):
    child = root.propose().accept(n=20, exploit=0, audit=0).run(progress=False)
    child.exclude([0], "a broken machine")
    (entry,) = tree.calibration().entries
    assert (entry.seen.ended, len(entry.seen.space_filling)) == (20, 19)
    assert entry.scored


@pytest.mark.slow
def test_coverage_is_counted_with_its_interval(tree, root):
    current = root
    for _ in range(2):
        current = current.propose().accept(n=25, exploit=0.2).run(progress=False)
    calibration = tree.calibration()
    assert len(calibration.scored) == 2
    for c in calibration.coverage():
        held = [
            low <= e.realised(c.what) <= high
            for e in calibration.scored
            for low, high in [e.decision.forecast.interval(c.what, c.nominal)]
        ]
        assert (c.hits, c.n) == (sum(held), 2)
        assert (c.low, c.high) == pytest.approx(tuple(map(float, stats.wilson(c.hits, 2))))
    assert [(c.what, c.nominal) for c in calibration.coverage()] == [
        ("median", 0.5),
        ("median", 0.9),
        ("best", 0.5),
        ("best", 0.9),
    ]


@pytest.mark.slow
def test_a_reopened_store_keeps_the_same_book(tmp_path, space):
    with refine.Tree("q", store=tmp_path / "r.db") as tree:
        root = tree.add_round(space, objectives.bowl, n=60, seed=7).run(progress=False)
        root.propose().accept(n=20).run(progress=False)
        text, frame = str(tree.calibration()), tree.calibration().frame
    with refine.Tree("q", store=tmp_path / "r.db", create=False) as tree:
        assert str(tree.calibration()) == text
        assert tree.calibration().frame.equals(frame)
