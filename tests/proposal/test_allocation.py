"""Exploit and audit trials: what runs beside the space-filling design, and what it is good for."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.proposal import posterior
from refine.proposal.allocation import audit_configurations, batch_rows, durations_in, probe_configurations
from refine.proposal.expected_time import slowest_parameter
from refine.proposal.indistinct import indistinct
from refine.proposal.posterior import log_improvement
from refine.space.space import configuration_key
from refine.trials.trial import AUDITS
from tests.reading import reasons_of


@pytest.mark.slow
def test_a_child_spends_its_shares(review):
    child = review.accept(n=16, exploit=0.5, plan=refine.Plan(audit=0.25)).run()
    root = review.round
    counts = child.trials["origin"].value_counts().to_dict()
    assert counts == {"exploit": 8, "space_filling": 4, "audit": 2, "probe": 2}
    frame = child.trials
    inside = child.space.contains(frame)
    assert inside[~frame["origin"].isin(AUDITS)].all()
    assert not inside[frame["origin"].isin(AUDITS)].any()
    assert root.space.contains(frame).all()
    assert not frame.duplicated(subset=list(child.space)).any()
    assert child._node.exploit == 0.5
    assert child._node.audit == 0.25


@pytest.mark.slow
def test_a_share_of_counter_samples_is_the_default_and_zero_turns_it_off(review):
    root = review.round
    with_counter = review.accept(n=40)
    without = review.accept(n=40, plan=refine.Plan(audit=0))
    assert with_counter.id != without.id
    assert [b.origin for b in root._context.store.beside(with_counter._stored.pk)] == ["audit", "probe"]
    assert root._context.store.beside(without._stored.pk) == []
    nothing_cut = review.reject(*root.space.varied).accept(n=40)
    assert nothing_cut._node.audit == 0  # there is no outside


@pytest.mark.slow
def test_a_counter_sample_refutes_a_wrong_narrowing_and_reopens_it(review):
    # A person cuts off the best optimizers and the best rates; what lies outside must be found out.
    wrong = review.reject(*review.round.space.varied).edit(optimizer=["SGD"], lr=(3.0, 5.0))
    child = wrong.accept(n=60, plan=refine.Plan(audit=0.3)).run()
    proposal = child.propose().proposal
    reopened = [c for c in proposal.changes if c.kind == "reopen"]
    assert {c.name for c in reopened} >= {"lr"} or {c.name for c in reopened} >= {"optimizer"}
    frame = child.trials
    best = frame[frame["origin"].isin(AUDITS)].nlargest(1, "value")
    assert best["value"].iloc[0] > frame.loc[~frame["origin"].isin(AUDITS), "value"].max()
    assert proposal.space.contains(best).all()
    assert "refuted" in reasons_of(reopened[0])
    grandchild = child.propose().accept(n=20).run()
    assert grandchild.best["value"] >= child.trials.loc[~child.trials["origin"].isin(AUDITS), "value"].max()


@pytest.mark.slow
def test_probes_go_where_a_second_region_is_plausible(rng):
    """Two peaks were seen, one was cut off: probes lie on it, even trials hardly ever."""
    space = refine.Space({name: refine.Float(0, 1, levels=21) for name in ("x", "y", "z")})
    frame = pd.DataFrame(rng.integers(0, 21, (150, 3)) / 20, columns=list(space))

    def on_other(table):
        return ((table - 0.8) ** 2).sum(axis=1) < 0.1

    frame["value"] = np.maximum(
        np.exp(-((frame - 0.2) ** 2).sum(axis=1) / 0.1), 0.9 * np.exp(-((frame - 0.8) ** 2).sum(axis=1) / 0.1)
    )
    analysis = refine.analyze(space, frame)
    inner = space.replace({"x": refine.Float(0, 0.5, levels=11)})
    probes = probe_configurations(analysis, space, inner, 6, seed=1)
    even = audit_configurations(space, inner, 6, seed=1)
    assert len(probes) == len(even) == 6
    assert not inner.contains(pd.DataFrame(probes)).any()
    assert on_other(pd.DataFrame(probes)).sum() >= 4
    assert on_other(pd.DataFrame(even)).sum() <= 2
    first = frozenset(configuration_key(space.frozen(p)) for p in probes)
    further_probes = probe_configurations(analysis, space, inner, 6, seed=1, skip=first)
    assert first.isdisjoint(configuration_key(space.frozen(p)) for p in further_probes)
    assert probe_configurations(analysis, space, space, 6, seed=1) == []  # nothing is cut off


@pytest.mark.slow
def test_learning_trials_leave_a_corner_of_equal_values():
    """Values in one corner are equal up to noise and above even trials: more trials there teach nothing."""
    space = refine.Space({name: refine.Float(0, 1, levels=11) for name in ("a", "b", "c", "d")})
    rng = np.random.default_rng(1)
    even = rng.integers(0, 11, (12, 4)) / 10
    corner = np.unique(rng.integers(8, 11, (60, 4)), axis=0)[:20] / 10
    positions = np.concatenate([even, corner])
    values = np.where(np.arange(len(positions)) < 12, -np.abs(even - 1).sum(axis=1).max(), 0.0)
    values[:12] = -((even - 1) ** 2).sum(axis=1)
    values += 0.02 * rng.standard_normal(len(values))
    frame = pd.DataFrame(positions, columns=list(space))
    frame["value"] = values
    analysis = refine.analyze(space, frame)
    skip = frozenset(configuration_key(space.frozen(c)) for c in frame[list(space)].to_dict("records"))
    chosen = batch_rows(analysis, space, 9, 3, skip, frame[:0])
    outside = [(row < 8).any() for row in chosen]
    assert len(chosen) == 9
    assert sum(outside) >= 3


def evidence(value, n=40, seed=0):
    """A round of even trials on three ranges of 21 levels."""
    space = refine.Space({name: refine.Float(0, 1, levels=21) for name in ("x", "y", "z")})
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.integers(0, 21, (n, 3)) / 20, columns=list(space))
    frame["value"] = value(frame) + 0.01 * rng.standard_normal(n)
    frame["state"] = np.where(frame["value"].isna(), "failed", "complete")
    return space, frame


def test_cells_of_one_batch_are_distinct_and_nearer_to_the_peak_than_even_cells():
    space, frame = evidence(lambda f: -((f - 0.6) ** 2).sum(axis=1))
    analysis = refine.analyze(space, frame)
    chosen = batch_rows(analysis, space, 8, 1, frozenset(), frame[:0])
    assert len(np.unique(chosen, axis=0)) == 8
    distance = np.linalg.norm(chosen / 20 - 0.6, axis=1)
    assert np.median(distance) < 0.3 < np.median(np.linalg.norm(frame[list(space)] - 0.6, axis=1))


@pytest.mark.parametrize(("n", "drawn"), [(11, False), (29, False), (32, True)])
def test_the_first_thirty_trials_follow_expected_improvement_alone(n, drawn):
    """Candidates of any seed lead to one best expected improvement; each seed draws a function of its own."""
    space, frame = evidence(lambda f: -((f - 0.6) ** 2).sum(axis=1) + np.sin(9 * f["y"]), n=n)
    analysis = refine.analyze(space, frame)
    chosen = {tuple(batch_rows(analysis, space, 1, seed, frozenset(), frame[:0])[0]) for seed in range(5)}
    assert (len(chosen) > 2) == drawn


def test_expected_improvements_of_ten_trials_hardly_depend_on_the_drawn_kernels(monkeypatch):
    cells = np.random.default_rng(0).random((500, 3))
    agreement = []
    for number in range(6):
        space, frame = evidence(lambda f: np.sin(4 * f).sum(axis=1), n=10, seed=number)
        analysis = refine.analyze(space, frame)
        improvements = []
        for seed in (0, 1):
            monkeypatch.setattr(posterior, "_SEED", seed)
            improvements.append(log_improvement(analysis, cells))
        agreement.append(np.corrcoef(improvements)[0, 1])
    assert np.mean(agreement) > 0.96


def test_running_trials_are_not_chosen_again_and_not_their_neighbours_alone():
    space, frame = evidence(lambda f: -((f - 0.6) ** 2).sum(axis=1))
    analysis = refine.analyze(space, frame)
    steps = []
    for seed in (1, 3, 5):
        alone = batch_rows(analysis, space, 3, seed, frozenset(), frame[:0])
        running = pd.DataFrame([space.at(row) for row in alone])
        skip = frozenset(configuration_key(space.frozen(space.at(row))) for row in alone)
        chosen = batch_rows(analysis, space, 3, seed, skip, running)
        steps += np.abs(chosen[:, None] - alone[None]).sum(axis=2).min(axis=1).tolist()
    assert len(steps) == 9
    assert min(steps) >= 1
    assert max(steps) > 1


@pytest.mark.parametrize("n", [1, 6])
def test_learning_trials_avoid_cells_that_are_likely_to_fail(n):
    """The value rises towards a region in which every trial fails."""
    space, frame = evidence(lambda f: (f["x"] + 0.1 * f["y"]).where(f["x"] < 0.5))
    analysis = refine.analyze(space, frame)
    chosen = np.concatenate(
        [batch_rows(analysis, space, n, seed, frozenset(), frame[:0]) for seed in range(6 // n)]
    )
    fails = chosen[:, 0] >= 10
    assert fails.mean() <= 1 / 3
    assert np.median(chosen[~fails, 0]) >= 7


def test_improvements_per_second_move_trials_to_cheap_cells():
    """Two peaks of equal height: trials at one of them take a hundred times as long."""
    space, frame = evidence(lambda f: -np.minimum((f["x"] - 0.2) ** 2, (f["x"] - 0.8) ** 2))
    frame["seconds"] = np.where(frame["x"] > 0.5, 100.0, 1.0)
    analysis = refine.analyze(space, frame)
    durations = durations_in(analysis, frame[:0])
    per_trial, per_second = (
        np.concatenate(
            [batch_rows(analysis, space, 8, s, frozenset(), frame[:0], unit)[:, 0] for s in (1, 2)]
        )
        for unit in (None, durations)
    )
    # A function drawn for a single cell may be better at the slow peak alone.
    assert np.mean(per_trial <= 10) < 0.6
    assert np.mean(per_second <= 10) > 0.8


def test_expected_durations_follow_the_slow_parameter():
    space, frame = evidence(lambda f: f["x"])
    frame["seconds"] = 1 + 9 * frame["y"]
    analysis = refine.analyze(space, frame)
    cells = np.array([[0.5, 0.1, 0.5], [0.5, 0.9, 0.5]])
    fast, slow = durations_in(analysis, frame[:0]).expected(analysis, cells)
    assert fast == pytest.approx(1.9, rel=0.3)
    assert slow == pytest.approx(9.1, rel=0.3)
    name, factor = slowest_parameter(analysis)
    assert name == "y"
    assert factor > 3


def test_the_times_of_a_level_are_those_of_its_finished_trials():
    """A single trial at x = 1 ran to its end, on a busy machine; y slows trials more than x does."""
    space = refine.Space({name: [1, 2, 3, 4] for name in "xyz"})
    frame = pd.DataFrame(space.configuration(cell) for cell in range(space.cells))
    frame["value"] = frame["x"].astype(float)
    frame["seconds"] = frame["y"] * np.where(frame["x"] == 1, 50.0, 0.25 * frame["x"])
    frame["state"] = np.where(frame["x"] == 1, "pruned", "complete")
    frame.loc[0, "state"] = "complete"
    frame.loc[frame["state"] == "pruned", "value"] = np.nan
    analysis = refine.analyze(space, frame)
    assert [level.timed for level in analysis["x"].levels] == [1, 16, 16, 16]
    assert slowest_parameter(analysis)[0] == "y"


def test_cells_that_the_objective_cannot_tell_from_a_trial_are_not_paid_twice():
    """The scaler changes the line, not the forest; every value repeats exactly."""
    space = refine.Space({"model": ["forest", "line"], "scaler": ["a", "b", "c"], "size": list(range(8))})
    rows = [{"model": "forest", "scaler": "a", "size": size} for size in range(4)]
    rows += [{"model": "forest", "scaler": "b", "size": size} for size in range(3)]
    rows += [{"model": "line", "scaler": scaler, "size": size} for scaler in "ab" for size in range(3)]
    frame = pd.DataFrame(rows)
    forest = frame["model"] == "forest"
    frame["value"] = frame["size"] + np.where(forest, 0.0, 0.1 * (frame["scaler"] == "a"))
    analysis = refine.analyze(space, frame, refine.Goal("value", noise="none"))
    ran, scaled_forest, larger_forest, scaled_line = (
        [e.parameter.unit([cell[e.name]])[0] for e in analysis.parameters]
        for cell in (
            {"model": "forest", "scaler": "a", "size": 0},
            {"model": "forest", "scaler": "c", "size": 3},
            {"model": "forest", "scaler": "c", "size": 5},
            {"model": "line", "scaler": "c", "size": 1},
        )
    )
    cells = np.array([ran, scaled_forest, larger_forest, scaled_line])
    assert indistinct(analysis, cells).tolist() == [True, True, False, False]
    noisy = refine.analyze(space, frame)
    assert not indistinct(noisy, cells).any()
