"""The state of a trial by its value: one rule for trials that refine ran and for every import."""

import math

import pandas as pd
import pytest

import refine
from refine.trials.trial import STATES, State, ended_state


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_complete_trial_without_a_finite_value_diverged(value):
    assert ended_state("complete", value) == "diverged"


@pytest.mark.parametrize("reported", [state for state in STATES if state != State.COMPLETE])
def test_other_states_stay_as_reported(reported):
    assert ended_state(reported, math.nan) is reported
    assert ended_state(reported, None) is reported


def test_a_finite_or_missing_value_leaves_a_trial_complete():
    assert ended_state("complete", 0.5) is State.COMPLETE
    assert ended_state("complete", None) is State.COMPLETE


def of_run(values):
    with refine.Tree("run", store="sqlite://") as tree:
        round_ = tree.add_round(
            {"x": (0, 2, 3)},
            lambda params: values[params["x"]],
            n=3,
            metric=refine.Goal("value", noise="retraining"),
        )
        return states(round_.run())


def of_frame(values):
    with refine.Tree("frame", store="sqlite://") as tree:
        frame = pd.DataFrame({"x": range(3), "score": values})
        return states(tree.add_runs(frame, {"x": (0, 2, 3)}, value="score"))


def of_study(values):
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study(direction="maximize")
    distribution = optuna.distributions.IntDistribution(0, 2)
    for x, value in enumerate(values):
        if math.isnan(value):
            continue  # Optuna itself records NaN as failed
        study.add_trial(
            optuna.trial.create_trial(params={"x": x}, distributions={"x": distribution}, value=value)
        )
    with refine.Tree("study", store="sqlite://") as tree:
        return states(tree.add_runs(study))


def states(round_):
    return dict(zip(round_.trials["x"].tolist(), round_.trials["state"].tolist(), strict=True))


@pytest.mark.parametrize("ended", [of_run, of_frame, of_study])
def test_a_run_and_its_imports_have_equal_states(ended):
    states_by_x = ended([0.5, math.inf, math.nan])
    expected = {0: "complete", 1: "diverged", 2: "diverged"}
    assert states_by_x == {x: expected[x] for x in states_by_x}
    assert len(states_by_x) >= 2
