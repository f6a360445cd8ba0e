"""Verdicts from a plain table of runs: how often they are right in loops that keep what looks better."""

import numpy as np
import pytest

from refine.analysis.run_table import judge_runs
from refine.errors import AnalysisError
from refine.trials.goal import Goal

LOSS = Goal("val_bpb", "minimize")


def loop(rng, noise):
    """A loop that keeps every better single run: names, values, true means, kept run and challenger."""
    names = ["0"]
    values = [rng.normal(0, noise)]
    means = [0.0]
    best = 0
    stop = rng.integers(20, 60)
    while True:
        step = rng.exponential() * (-1 if rng.random() < 0.2 else 1)
        means.append(means[best] + step)
        names.append(str(len(names)))
        values.append(rng.normal(means[-1], noise))
        if values[-1] < values[best]:
            if len(names) > stop:
                return names, values, means, len(names) - 1, best
            best = len(names) - 1


@pytest.mark.nightly
@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_verdicts_are_right_where_single_runs_are_not(noise):
    rng = np.random.default_rng(5)
    right = {"KEEP": [], "DISCARD": []}
    single = []
    for _ in range(100):
        names, values, means, a, b = loop(rng, noise)
        better = means[b] - means[a]
        single.append(better > 0)
        for repeat in range(13):
            judgement = judge_runs(names, values, LOSS, [str(a)], [str(b)])
            assert repeat or judgement.verdict != "KEEP"  # nothing is kept on a single run
            if judgement.verdict != "CONFIRM":
                right[judgement.verdict].append(
                    better > 0 if judgement.verdict == "KEEP" else better <= judgement.epsilon
                )
                break
            names += [str(a), str(b)]
            values += [rng.normal(means[a], noise), rng.normal(means[b], noise)]
    decided = [*right["KEEP"], *right["DISCARD"]]
    print(noise, np.mean(single), {n: (sum(r), len(r)) for n, r in right.items()})  # docs/winner.md
    assert np.mean(single) < 0.9 < 0.95 <= np.mean(decided)
    assert len(decided) >= 60


def runs_of_thirty():
    """Names of 30 runs without an effect, and their values."""
    values = np.random.default_rng(1).normal(1, 0.1, 30).tolist()
    return [str(i) for i in range(30)], values


def test_without_repeats_the_noise_comes_from_neighbouring_runs():
    names, values = runs_of_thirty()
    alone = judge_runs(names, values, LOSS, ["3"], ["4"])
    assert (alone.verdict, alone.noise.source) == ("CONFIRM", "neighbours")
    assert 0.03 < alone.noise.sd < 0.1


def test_two_runs_are_judged_by_the_noise_of_other_repeated_runs():
    names, values = runs_of_thirty()
    values[3] = 0.7
    values[4] = 1.3
    repeats = [v + 1e-3 for v in values[10:25]]
    judgement = judge_runs([*names, *names[10:25]], [*values, *repeats], LOSS, ["4"], ["3"])
    assert (judgement.verdict, judgement.noise.source, judgement.noise.n) == ("DISCARD", "replicates", 15)


@pytest.mark.parametrize(("count", "expected"), [(2, ("CONFIRM", "table")), (3, ("KEEP", "noiseless"))])
def test_three_identical_repeats_show_an_objective_without_noise(count, expected):
    names, values = runs_of_thirty()
    values[3] = 0.7
    values[4] = 1.3
    repeated = judge_runs([*names, *["7"] * count], [*values, *[values[7]] * count], LOSS, ["3"], ["4"])
    assert (repeated.verdict, repeated.basis) == expected


def test_two_single_runs_are_undecided_and_need_seeds():
    undecided = judge_runs(["a", "b"], [1.0, 2.0], LOSS, ["a"], ["b"])
    assert (undecided.verdict, undecided.seeds) == ("CONFIRM", 3)


def test_a_run_compared_with_itself_is_refused():
    names, values = runs_of_thirty()
    with pytest.raises(AnalysisError, match="compared with itself"):
        judge_runs(names, values, LOSS, ["3"], ["3"])


def test_a_few_equal_repeats_of_a_metric_with_two_values_do_not_show_that_there_is_no_noise():
    names = [*map(str, range(12)), *"111000"]
    solved = [0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    judgement = judge_runs(names[:15], solved[:15], Goal("solved", "maximize"), ["1"], ["0"])
    assert judgement.noise.source == "replicates"
    assert judgement.basis != "noiseless"
    assert judgement.low < judgement.difference < judgement.high
    judgement = judge_runs(names, solved, Goal("solved", "maximize"), ["1"], ["0"])
    assert judgement.low < judgement.difference < judgement.high
