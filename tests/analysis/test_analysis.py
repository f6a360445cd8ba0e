"""Analyses of tables with a known answer: failures, conditions, pooled rounds, repeated looks."""

import re

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis.finding import CANNOT_BE_JUDGED, NOT_SEEN
from refine.design.space_filling import Sobol, draw
from refine.errors import AnalysisError
from refine.proposal.proposal import claim_for
from tests.reading import codes_of, reasons_of

SPACE = refine.Space(
    {
        "lr": refine.Float(1e-3, 10.0, levels=9, log=True),
        "layers": [1, 2, 3],
        "units_2": [8, 16, 32, 64],
        "dropout": (0.0, 0.5, 6),
        "optimizer": ["Adam", "Nadam", "SGD"],
    }
)


def cells(n, seed, space=SPACE):
    return pd.DataFrame(space.columns(draw(Sobol(), space, n, seed)))


def failing(n=120, seed=0):
    """Diverges wherever lr >= 1, and mostly likes what is near it."""
    frame = cells(n, seed)
    rng = np.random.default_rng(seed)
    value = np.log10(frame["lr"]) - 2 * frame["dropout"] + rng.normal(0, 0.2, n)
    bad = frame["lr"] > 0.9
    return frame.assign(value=value.where(~bad), state=np.where(bad, "diverged", "complete"))


def conditional(n=90, seed=1):
    """A second layer's units matter where there is a second layer; nothing reads them elsewhere."""
    frame = cells(n, seed)
    rng = np.random.default_rng(seed)
    reads = (frame["layers"] > 1).to_numpy()
    value = np.where(reads, np.log2(frame["units_2"].astype(float)), 4.5) + rng.normal(0, 0.7, n)
    return frame.assign(value=value), reads


def facts(analysis):
    """Everything that must not depend on the order of rows."""
    return [
        analysis.digest,
        analysis.noise,
        analysis.pairs,
        analysis.states,
        [(e.p, e.q, e.cost_q, e.condition, e.n, e.good, e.edge_q, e.levels) for e in analysis.parameters],
    ]


@pytest.mark.slow
def test_levels_at_which_trials_fail_are_narrowed_away():
    analysis = refine.analyze(SPACE, failing())
    lr = analysis["lr"]
    assert lr.fails
    assert [v.label for v in lr.levels if v.bad == 1] == [v.label for v in lr.levels][-3:]
    assert max(v.bad_q for v in lr.levels[-3:]) <= 0.1
    assert {v.bad_q for v in lr.levels[:-3]} == {1}  # they fail less often than the others
    assert not any(e.fails for e in analysis.parameters if e.name != "lr")
    change = refine.propose(analysis)["lr"]
    assert change.kind == "narrow"
    assert change.new.high < 1
    assert {share for _, share in reasons_of(change)["fails_at"]["levels"]} == {1.0}


def test_a_range_of_many_levels_is_known_by_its_trend():
    lr = refine.Float(1e-4, 1.0, levels=21, log=True)
    space = refine.Space({"lr": lr, "units": (1, 8), "kind": ["a", "b"]})
    rng = np.random.default_rng(1)
    lr = np.logspace(-4, 0, 21)[rng.integers(0, 21, 40)]
    frame = pd.DataFrame({"lr": lr, "units": rng.integers(1, 9, 40), "kind": rng.choice(["a", "b"], 40)})
    frame["value"] = np.where(lr > 0.1, np.nan, rng.normal(size=40))
    frame["state"] = np.where(lr > 0.1, "diverged", "complete")
    analysis = refine.analyze(space, frame)
    evidence = analysis["lr"]
    assert min(v.bad_q for v in evidence.levels) > 0.1  # too few trials at any
    assert evidence.bad.p < evidence.bad_trend_q == evidence.bad_q <= 0.1
    assert evidence.fails
    change = refine.propose(analysis, risk=0.2)["lr"]
    assert change.new.high < 1.0
    failing_reason = reasons_of(change)["fails_towards"]
    assert (failing_reason["way"], failing_reason["below"]) == ("higher", 0)


def test_choices_that_differ_among_top_trials_alone_are_named():
    rng = np.random.default_rng(6)
    kind = rng.choice(["a", "b", "c", "d"], 200)
    value = rng.normal(size=200)
    wide = kind == "c"  # its middle is that of the others, its best are the best of all
    value[wide] = np.where(np.arange(wide.sum()) % 2, 4.0, -4.0) + value[wide]
    frame = pd.DataFrame({"kind": kind, "junk": rng.integers(1, 1000, 200), "value": value})
    analysis = refine.analyze(refine.Space({"kind": ["a", "b", "c", "d"], "junk": (1, 999)}), frame)
    assert analysis["kind"].seen_by == "importance"
    assert analysis["kind"].association.p > 0.1
    assert reasons_of(analysis.findings["kind"])["choices"]["seen_by"] == "importance"


@pytest.mark.slow
def test_a_neighbour_level_that_always_fails_is_not_searched_again():
    proposal = refine.propose(refine.analyze(SPACE, failing(seed=3)))
    lr = proposal.space["lr"]
    assert lr.low < 0.32  # 0.316 is the highest level kept; its neighbour 1 always fails
    assert 0.31 < lr.high < 1
    assert proposal.claim.failing_inside == pytest.approx(0, abs=0.05)


@pytest.mark.slow
def test_failures_are_worst_for_the_surrogate_and_are_not_tested():
    frame = failing()
    finished = frame[frame["state"] == "complete"]
    analysis = refine.analyze(SPACE, frame)
    without = refine.analyze(SPACE, finished)
    assert len(analysis.y) == 120
    assert (analysis.y == finished["value"].min()).sum() == 120 - len(finished) + 1
    assert len(without.y) == len(finished) == analysis.n_space_filling
    tests = [[(e.p, e.importance, e.correlation, e.n) for e in a.parameters] for a in (analysis, without)]
    assert tests[0] == tests[1]
    assert analysis.noise == without.noise
    # A trial that fails is worse than one that finishes anywhere near.
    at_worst = analysis.X[analysis.y == analysis.y.min()]
    assert (at_worst[:, 0] >= 0.7).sum() >= 30
    failing_part = SPACE.replace({"lr": refine.Float(1.0, 10.0, levels=3, log=True)})
    assert claim_for(refine.propose(analysis), failing_part).probability < 0.05


def test_trials_that_were_stopped_or_run_still_do_not_count_as_failed():
    frame = failing()
    frame["state"] = np.where(frame["state"] == "complete", "complete", "pruned")
    analysis = refine.analyze(SPACE, frame)
    assert not analysis["lr"].fails
    assert analysis.n_space_filling == (frame["state"] == "complete").sum()
    # A pruned trial ranks last; one that still runs says nothing.
    assert len(analysis.y) == len(frame)
    assert analysis["lr"].n == len(frame)
    frame["state"] = frame["state"].replace("pruned", "running")
    assert len(refine.analyze(SPACE, frame).y) == analysis.n_space_filling


def test_a_conditional_parameter_is_tested_where_it_is_read():
    frame, reads = conditional()
    analysis = refine.analyze(SPACE, frame, read={"units_2": reads})
    e = analysis["units_2"]
    assert e.read == pytest.approx(reads.mean())
    assert e.condition == ("layers", (1, 2), ("2", "3"))
    assert e.n == reads.sum()
    assert sum(v.n for v in e.levels) == reads.sum()
    assert e.matters
    everywhere = refine.analyze(SPACE, frame)["units_2"]
    assert e.p < everywhere.p
    assert everywhere.condition is None
    alone = refine.analyze(SPACE, frame[reads])["units_2"]
    assert (e.p, e.correlation) == (alone.p, alone.correlation)
    # The others are tested on all trials.
    assert analysis["lr"].n == 90


def test_a_trial_that_failed_before_it_read_a_parameter_does_not_blur_its_condition():
    frame, reads = conditional()
    early = np.arange(len(frame)) % 10 == 0
    frame.loc[early, "value"] = np.nan
    analysis = refine.analyze(SPACE, frame, read={"units_2": reads & ~early})
    assert analysis["units_2"].condition == ("layers", (1, 2), ("2", "3"))
    assert analysis["units_2"].read == pytest.approx(reads[~early].mean())


@pytest.mark.slow
def test_a_parameter_that_no_even_trial_reads_cannot_be_judged():
    frame, _ = conditional()
    exploit = np.arange(len(frame)) < 20
    frame["origin"] = np.where(exploit, "exploit", "space_filling")
    analysis = refine.analyze(SPACE, frame, read={"units_2": exploit})
    e = analysis["units_2"]
    assert (e.n, e.good, e.p, e.q) == (0, 0, 1, 1)
    assert analysis.findings["units_2"].verdict == CANNOT_BE_JUDGED


def test_a_parameter_that_is_never_read_is_coupled_with_none():
    frame = cells(100, 2)
    unit = SPACE.unit(frame)
    rng = np.random.default_rng(2)
    frame["value"] = -np.abs(unit[:, 0] - unit[:, 3]) + rng.normal(0, 0.02, 100)
    analysis = refine.analyze(SPACE, frame, read={"layers": False})
    assert analysis.never_read == ("layers",)
    assert [(p.i, p.j) for p in analysis.pairs] == [(0, 2), (0, 3), (0, 4), (2, 3), (2, 4), (3, 4)]
    (coupled,) = [p for p in analysis.pairs if p.q <= 0.01]
    assert (coupled.i, coupled.j) == (0, 3)


def test_a_pooled_table_is_one_sample():
    first = failing(60, 1)
    second = failing(50, 2)
    table = pd.concat([first, second], ignore_index=True)
    whole_table = refine.analyze(SPACE, table)
    pooled = refine.analyze(SPACE, table, pooled=60)
    for e in whole_table.parameters:
        assert pooled[e.name].p == e.p
        assert pooled[e.name].q == e.q
    assert pooled.digest == whole_table.digest
    assert pooled.pairs == whole_table.pairs
    assert pooled.n_space_filling == whole_table.n_space_filling
    assert (whole_table.n_pooled, pooled.n_pooled) == (0, int((first["state"] == "complete").sum()))
    # What is said of the round itself is said of its own trials.
    assert sum(pooled.states.values()) == 50
    assert pooled.best["value"] == second["value"].max()
    assert len(pooled.table) == 50
    assert re.search(rf"\b{pooled.n_pooled} of\b", str(pooled.why()))


@pytest.mark.slow
def test_a_later_look_at_a_branch_multiplies_every_q():
    # As many configurations of the null at every look, so that p is the same.
    space = refine.Space({"lr": (0.0, 1.0, 6), "dropout": (0.0, 0.5, 6)})
    frame = cells(30, 4, space)
    rng = np.random.default_rng(4)
    frame["value"] = frame["lr"] + rng.normal(0, 0.5, 30)
    first = refine.analyze(space, frame)
    for stage, factor in ((2, 3), (3, 6), (4, 10)):
        later = refine.analyze(space, frame, stage=stage)
        for e in first.parameters:
            assert later[e.name].p == e.p
            assert later[e.name].q == pytest.approx(min(1, factor * e.q))
            assert later[e.name].edge_q == pytest.approx([min(1, factor * q) for q in e.edge_q])
        assert later.stage == stage
        assert later.digest == first.digest
    assert max(e.q for e in refine.analyze(space, frame, stage=50).parameters) <= 1
    assert first["lr"].matters
    assert not refine.analyze(space, frame, stage=50)["lr"].matters


def test_the_order_of_rows_changes_no_analysis():
    first, reads = conditional(45, 5)
    rng = np.random.default_rng(5)
    first["seconds"] = rng.uniform(1, 2, 45) * first["layers"].astype(float)
    first["state"] = np.where(rng.random(45) < 0.1, "failed", "complete")
    groups = rng.integers(0, 30, 45)
    past = failing(20, 6)

    def found(head, tail):
        order = np.concatenate([head, tail])
        options = {"earlier": past.iloc[rng.permutation(20)], "pooled": 15, "stage": 2}
        read = {"units_2": reads[order], "dropout": reads[order], "lr": True}
        names = [f"g{g}" for g in groups[order]]
        return facts(refine.analyze(SPACE, first.iloc[order], read=read, groups=names, **options))

    plain = found(np.arange(15), np.arange(15, 45))
    shuffled = found(rng.permutation(15), 15 + rng.permutation(30))
    for a, b in zip(plain, shuffled, strict=True):
        assert str(a) == str(b)


def test_the_time_of_a_trial_is_tested_like_the_rest():
    frame = cells(40, 7)
    rng = np.random.default_rng(7)
    frame["value"] = rng.normal(size=40)
    assert {e.cost_q for e in refine.analyze(SPACE, frame).parameters} == {1.0}
    seconds = frame["layers"].astype(float) + 2 * (frame["optimizer"] == "SGD") + rng.uniform(0, 0.5, 40)
    analysis = refine.analyze(SPACE, frame.assign(seconds=seconds))
    assert analysis["layers"].cost_q < 0.01
    assert analysis["optimizer"].cost_q < 0.01
    assert analysis["dropout"].cost_q > 0.1
    assert analysis["layers"].cost_p < analysis["layers"].cost_q
    chosen = refine.analyze(SPACE, frame.assign(seconds=seconds, origin="exploit"))
    assert not chosen.tested
    assert np.isnan([e.cost_q for e in chosen.parameters]).all()  # a search chose the trials: no q-value
    assert chosen["layers"].cost_p < 0.01
    by_level = [v.seconds for v in analysis["layers"].levels]
    assert by_level == sorted(by_level)


def test_even_trials_that_are_too_few_for_a_test_are_counted():
    frame = cells(20, 3).assign(value=np.random.default_rng(3).normal(size=20))
    eight_even = refine.analyze(SPACE, frame.assign(origin=["space_filling"] * 8 + ["exploit"] * 12))
    assert not eight_even.tested
    assert eight_even.n_even == eight_even.n_few_even == 8
    (caution,) = eight_even.cautions
    assert (caution.code, dict(caution.values)) == ("few_even", {"n": 8, "least": 10})
    assert refine.propose(eight_even).claim.even == 8
    exploiting = refine.analyze(SPACE, frame.assign(origin="exploit"))
    assert exploiting.n_few_even == 0
    assert not exploiting.covered
    assert codes_of(exploiting.cautions) == ["untested"]
    enough = refine.analyze(SPACE, frame.assign(origin=["space_filling"] * 10 + ["exploit"] * 10))
    assert enough.tested
    assert enough.n_few_even == 0


@pytest.mark.slow
def test_few_good_trials_are_no_judgement():
    rng = np.random.default_rng(8)
    small = refine.analyze(SPACE, cells(60, 8).assign(value=rng.normal(size=60)))
    e = small["dropout"]
    assert (e.n, e.good, e.needed) == (60, 12, 27)
    assert small.findings["dropout"].verdict == CANNOT_BE_JUDGED
    large = refine.analyze(SPACE, cells(140, 8).assign(value=rng.normal(size=140)))
    assert large["dropout"].good == 28
    assert large.findings["dropout"].verdict == NOT_SEEN


def test_a_round_of_few_even_trials_knows_its_noise_from_the_others():
    rng = np.random.default_rng(2)
    space = refine.Space({"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)})
    frame = pd.DataFrame({"x": rng.integers(0, 11, 40) / 10, "y": rng.integers(0, 11, 40) / 10})
    frame["value"] = -((frame["x"] - 0.4) ** 2) + rng.normal(0, 0.1, 40)
    frame["origin"] = ["space_filling"] * 11 + ["exploit"] * 29
    noise = refine.analyze(space, frame).noise
    assert noise.source == "residuals"
    assert 0.02 < noise.epsilon < 0.3
    alone = refine.analyze(space, frame[:11]).noise
    assert alone.source == "none"
    assert np.isnan(alone.sd)
    assert alone.epsilon_source == "range"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stage": 1.5}, "stage must be a whole number >= 1, the stage of looking at its branch"),
        ({"pooled": -1}, "pooled must be a whole number from 0 to 120, the number of rows of earlier rounds"),
        ({"pooled": 121}, "pooled must be a whole number from 0 to 120"),
        ({"pooled": 120}, "at least 1 finished trial of the round itself, got 0; run the round first"),
        ({"read": {"lr": np.ones(7, bool)}}, "read: lr: needs one answer, True or False, for all trials"),
        ({"read": {"lr": np.full(120, 0.5)}}, "read: lr: needs one answer, True or False"),
        ({"read": {"lr": "yes"}}, "read: lr: needs one answer, True or False"),
    ],
)
def test_declarations_about_rows_are_checked(options, text):
    with pytest.raises(AnalysisError, match=text):
        refine.analyze(SPACE, failing(), **options)
