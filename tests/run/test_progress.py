"""The line of progress: each kind of failure under its own name."""

import math
import time

import pytest

import refine
from refine.errors import RefineWarning, RoundStoppedError

SPACE = {"x": (0.0, 9.0, 10)}


def ends_by_kind(params):
    if params["x"] < 3:
        raise ValueError("too small")
    return math.nan if params["x"] < 5 else params["x"]


def test_progress_names_failures_by_their_state(tree, capsys):
    tree.machine = refine.Machine()  # shows progress
    tree.add_round(SPACE, ends_by_kind, n=10, seed=1).run()
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "3 failed" in last
    assert "2 diverged" in last


def test_a_round_that_returns_nan_from_its_start_is_warned_of(tree):
    with pytest.warns(RefineWarning, match="the first 5 trials all returned NaN or infinity") as caught:
        tree.add_round(SPACE, lambda params: math.nan, n=8, seed=1).run()
    assert len(caught) == 1


def slow_above_2(params):
    if params["x"] > 2:
        time.sleep(600)
    return params["x"]


@pytest.mark.cluster
def test_timeouts_are_called_timeouts(tree, capsys):
    tree.add_round({"x": (1.0, 4.0, 4)}, slow_above_2, n=4, seed=1).run(
        machine=refine.Machine(workers=2, timeout=2)
    )
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "2 timeouts" in last
    assert "failed" not in last


@pytest.mark.cluster
def test_error_of_a_round_whose_trials_all_time_out_names_the_limit(tree):
    root = tree.add_round({"x": (5.0, 9.0, 5)}, slow_above_2, n=5, seed=1)
    with pytest.raises(RoundStoppedError, match="first 5 trials"):
        root.run(machine=refine.Machine(workers=2, timeout=0.5, progress=False))


def test_run_that_stops_before_its_plan_says_how_to_resume(tree, capsys):
    tree.machine = refine.Machine()  # shows progress
    tree.add_round(SPACE, ends_by_kind, n=10, seed=1).run(trials=5)
    assert "5 left" in capsys.readouterr().err


FIRST_SEEDS = {}


def lucky_repeat(params, trial):
    first = FIRST_SEEDS.setdefault(params["x"], trial.seed)
    return params["x"] + 100 * (trial.seed != first)


def test_a_lucky_repeat_is_not_shown_as_the_best_of_a_round(tree, capsys):
    tree.machine = refine.Machine()  # shows progress
    root = tree.add_round(
        SPACE, lucky_repeat, n=10, seed=1, metric=refine.Goal("value", noise="retraining")
    ).run()
    assert "best 9" in capsys.readouterr().err.strip().splitlines()[-1]
    root.add(repeat=1, seeds=2).run()
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "2/2" in last
    assert "best" not in last
