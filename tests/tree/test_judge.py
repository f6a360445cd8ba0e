"""Comparisons of two configurations: lucky seeds are discarded, better configurations are kept."""

import math
from dataclasses import replace

import numpy as np
import pytest

import refine
from refine.analysis.judgement import seeds_needed, verdict_of
from refine.errors import AnalysisError, DesignError, NotFoundError, ReviewError

SPACE = {"x": (0.0, 9.0, 10), "c": ["a", "b", "d"]}


def noisy(params, trial):
    return truth(params) + np.random.default_rng(trial.seed).normal(0, 0.05)


def truth(params):
    return 1.0 - 0.02 * abs(params["x"] - 4) + 0.02 * (params["c"] == "b")


def exact(params):
    return truth(params)


def same(params, trial):
    """Nothing but luck."""
    return 0 * params["x"] + float(np.random.default_rng(trial.seed).normal(0.5, 0.05))


@pytest.mark.slow
def test_equal_configurations_are_not_kept_for_a_lucky_run(tmp_path):
    n_kept = 0
    for seed in range(6):
        with refine.Tree(f"luck {seed}", store="sqlite://") as tree:
            round_ = tree.add_round({"x": list(range(12))}, same, n=12, seed=seed, name="luck")
            round_.run()
            worst = int(round_.trials.sort_values("value")["x"].iloc[0])
            assert tree.judge("best", {"x": worst}).verdict != "KEEP"
            n_kept += tree.judge("best", {"x": worst}, budget=8).verdict == "KEEP"
    assert n_kept <= 1  # 0.05 of 6, and chance


@pytest.mark.slow
def test_a_judgement_takes_configurations_by_name_or_values(tree):
    root = tree.add_round(SPACE, noisy, n=20, seed=1, baseline={"x": 9.0, "c": "a"})
    root.run()
    won = tree.winner()
    judgement = tree.judge()
    assert judgement.incumbent == "baseline"
    assert judgement.a.params == won.params
    assert judgement.b.params == {"x": 9.0, "c": "a"}
    assert len(judgement.b.replicates) == 2
    assert judgement.difference == pytest.approx(won.gain.expected)
    assert judgement.probability == pytest.approx(won.gain.probability)
    assert tree.judge("winner", "baseline").difference == judgement.difference
    assert tree.judge(root, "baseline").a.params == won.params
    assert tree.judge("best", "baseline").a.observed == tree._best()["value"]
    turned = tree.judge("baseline", "winner")
    assert turned.difference == pytest.approx(-judgement.difference)
    assert turned.verdict == "DISCARD"
    for candidates, options, error, pattern in (
        (("winner", won.params), {}, ReviewError, "both are the same configuration"),
        (({"c": "a"},), {}, ReviewError, r"configurations have c = a; name more of the values"),
        (({"x": 3.3},), {}, ReviewError, "no trial ran x = 3.3; run it first: round.add"),
        (({"y": 1},), {}, ReviewError, "unknown parameter 'y'"),
        (("nothing",), {}, NotFoundError, "no round or tag 'nothing'"),
        ((), {"budget": -1}, DesignError, "budget must be a whole number >= 0, got -1"),
        ((), {"epsilon": -1}, AnalysisError, "epsilon must be"),
        (
            (),
            {"objective": noisy, "machine": refine.Machine(workers=2)},
            DesignError,
            "judge runs nothing without budget=",
        ),
    ):
        with pytest.raises(error, match=pattern):
            tree.judge(*candidates, **options)


@pytest.mark.slow
def test_without_a_baseline_the_best_of_earlier_rounds_is_the_incumbent(tree):
    with pytest.raises(AnalysisError, match="no trial"):
        tree.judge()
    root = tree.add_round({"x": (5.0, 9.0, 5), "c": ["a", "d"]}, noisy, n=10, seed=1).run()
    with pytest.raises(ReviewError, match="earlier round"):
        tree.judge()
    with pytest.raises(ReviewError, match="baseline"):
        tree.judge(b="baseline")
    child = root.branch(SPACE, n=20).run()
    judgement = tree.judge(child)
    assert (judgement.incumbent, judgement.a.round, judgement.b.round) == ("incumbent", child.id, root.id)
    assert (
        judgement.b.params == root._recommend().params or judgement.b.expected >= root._recommend().expected
    )


@pytest.mark.slow
def test_a_difference_that_does_not_matter_is_none(tree):
    tree.add_round(SPACE, noisy, n=30, seed=1, baseline={"x": 9.0, "c": "a"}).run()
    judgement = tree.judge(budget=12)
    assert judgement.verdict == "KEEP"
    with_tolerance = tree.judge(judgement.a.params, epsilon=0.5)  # the winner may be another one by now
    assert (with_tolerance.verdict, with_tolerance.probability) == ("DISCARD", judgement.probability)


@pytest.mark.slow
def test_single_runs_decide_without_noise(tree):
    other = {"x": 9.0, "c": "d"}
    goal = refine.Goal("value", noise="none")
    tree.add_round(
        SPACE, exact, n=20, seed=1, metric=goal, given=[other], baseline={"x": 5.0, "c": "b"}
    ).run()
    judgement = tree.judge(other, "baseline", budget=12)
    assert judgement.verdict == "DISCARD"
    better = tree.judge("baseline", other, budget=12)
    assert (better.verdict, better.basis) == ("KEEP", "noiseless")
    assert better.difference == pytest.approx(truth({"x": 5.0, "c": "b"}) - truth(other))


def test_few_configurations_are_compared_by_their_runs_alone(tree):
    tree.add_round({"x": [4, 9], "c": ["a"]}, noisy, n=2, seed=1).run()
    before = tree.judge({"x": 4}, {"x": 9})
    assert (before.verdict, before.basis, before.seeds) == ("CONFIRM", "runs", 3)
    assert math.isnan(before.probability)
    after = tree.judge({"x": 4}, {"x": 9}, budget=16)
    assert after.basis == "runs"
    from scipy.stats import ttest_ind

    test = ttest_ind(after.a.replicates, after.b.replicates, alternative="greater")
    assert after.probability == pytest.approx(1 - test.pvalue, abs=2e-3)
    assert after.verdict == "KEEP"


def test_verdicts_follow_the_rule_and_name_the_seeds_that_would_decide():
    assert verdict_of(0.99, 0.9, keep=True, discard=True) == "KEEP"
    assert verdict_of(0.99, 0.9, keep=False, discard=True) == "CONFIRM"
    assert verdict_of(0.99, 0.04, keep=True, discard=True) == "DISCARD"  # better, by nothing that matters
    assert verdict_of(0.99, 0.04, keep=True, discard=False) == "CONFIRM"
    assert verdict_of(math.nan, math.nan, keep=True, discard=True) == "CONFIRM"
    # The difference of two means of m runs with deviation 1 has the variance 2 / m: 1.645 of it are 0.5
    # at m = 22.
    assert seeds_needed(0.5, 1e12, 2.0, 0.0) == 22
    assert seeds_needed(-0.5, 1e12, 2.0, 0.0) == 22
    assert seeds_needed(0.5, 0.05, 2.0, 0.0) < 22
    assert seeds_needed(0.0, 1e12, 2.0, 0.0) is None
    assert seeds_needed(5.0, 1e12, 2.0, 0.0, minimum=3) == 3
    assert seeds_needed(0.0, math.nan, 2.0, 0.0, minimum=3) == 3


def test_a_clear_difference_of_too_few_runs_asks_for_runs_and_not_for_a_decision(tree):
    tree.add_round(SPACE, noisy, n=24, seed=1, baseline={"x": 9.0, "c": "d"}).run()
    judgement = tree.judge()
    clear = replace(judgement, probability=0.99, matters=0.97, seeds=1, verdict="CONFIRM")
    title = (
        "CONFIRM: better than the baseline so far; a verdict takes 3 runs under new seeds, so run 1 more seed"
    )
    assert clear._page().title.startswith(title)
    assert "not decided whether" in replace(clear, probability=0.8)._page().title
    wide = replace(clear, low=-0.02, high=0.5)
    assert "interval: 0.02 worse to 0.5 better" in str(wide).replace("\n", " ")
