"""Objectives that go wrong inside a trial: what stops the round says what to write instead."""

import numpy as np
import pytest
from wrong import recorded

from refine.errors import ObjectiveError, RoundStoppedError
from refine.trials.goal import Goal

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}
RETURNS = "refine.errors.ObjectiveError: an objective must return a number or a mapping of metrics"


def returning(value):
    return lambda params: value


def reporting(*arguments):
    return lambda params, trial: trial.report(*arguments)


ALIKE = {
    "text": returning("0.9"),
    "a tuple": returning((0.9, 0.1)),
    "history and model": returning(("history", "model")),
    "a list of losses": returning([0.1, 0.2]),
    "a fold that is text": returning({"acc": [0.1, "b"]}),
    "one fold": returning({"acc": [0.1]}),
    "epochs": returning({"acc": [0.5] * 31}),
    "a history": returning({"val_acc": [0.5, 0.6], "acc": [0.6, 0.7]}),
    "folds twice": returning({"acc": [0.1, 0.2], "acc@1": 0.1}),
    "an array": returning(np.zeros((2, 2))),
    "an empty mapping": returning({}),
    "a typo": lambda params: params["drpout"],
    "a number": lambda params: params[0],
    "an attribute": lambda params: params.dropout,
    "another library's trial": lambda trial: trial.suggest_float("lr", 0, 1),
    "another dictionary's key": lambda params: {}["lr"],
    "a number reported": reporting(0, 0.5),
    "texts reported": reporting(0, {"loss": "low"}),
}


@pytest.mark.parametrize("name", ALIKE)
def test_the_round_stops_and_names_the_fix(tree, name):
    round_ = tree.add_round(SPACE, ALIKE[name], n=12, name="mine")
    with pytest.raises(RoundStoppedError) as caught:
        round_.run()
    text = recorded(__name__, name, round_.failures["error"][0].strip().splitlines()[-1])
    message = str(caught.value).replace(round_.id, "ROOT").replace(text, "ERROR")
    assert message == recorded(__name__, "trials that fail alike", message)
    assert round_.failures["error"].str.strip().str.endswith(text).all()
    assert len(round_.trials) == 5  # and none of them is lost
    mended = tree.add_round(SPACE, lambda params: params["lr"], n=12, name="mine")
    assert mended.run(rerun="failed").trials["state"].eq("complete").all()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_missing_return_stops_the_round_after_one_trial(tree, workers):
    round_ = tree.add_round(SPACE, returning(None), n=12, name="mine")
    with pytest.raises(RoundStoppedError) as caught:
        round_.run(workers=workers)
    message = str(caught.value).replace(round_.id, "ROOT")
    assert message == recorded(__name__, "a first trial without a result", message)
    if workers == 1:
        (error,) = round_.failures["error"]
        assert error.strip().splitlines()[-1] == recorded(__name__, "nothing")
    mended = tree.add_round(SPACE, lambda params: params["lr"], n=12, name="mine")
    assert mended.run(rerun="failed").trials["state"].eq("complete").all()


def test_a_later_trial_that_returns_none_stops_no_round(tree):
    values = [0.5, None]

    def sometimes(params):
        return values.pop(0) if values else 0.7

    round_ = tree.add_round(SPACE, sometimes, n=12, metric=Goal("value", noise="retraining")).run()
    assert round_.trials["state"].value_counts().to_dict() == {"complete": 11, "failed": 1}


def test_a_first_trial_with_none_for_a_metric_stops_no_round(tree):
    values = [None]

    def sometimes(params):
        return {"value": values.pop() if values else 0.7}

    round_ = tree.add_round(SPACE, sometimes, n=12, metric=Goal("value", noise="retraining")).run()
    assert round_.trials["state"].value_counts().to_dict() == {"complete": 11, "failed": 1}
    assert "missing" not in round_.failures["error"][0]


METRICS = {
    "a metric by a typo": ("val_accuracy", {"val_acc": 0.5, "loss": 1.0}),
    "a metric of the best epoch": ("max:acc", {"val_acc": 0.5}),
    "no metric": ("value", {"loss": 1.0, "val_f1": 0.5}),
    "a metric of validation": ("val_acc", {"acc": 0.5, "loss": 1.0}),
}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_that_is_not_returned(tree, name):
    metric, returned = METRICS[name]
    round_ = tree.add_round(SPACE, returning(returned), n=12, metric=metric, name="mine")
    with pytest.raises(ObjectiveError) as caught:
        round_.run()
    message = str(caught.value).replace(round_.id, "ROOT")
    assert message == recorded(__name__, name, message)
    assert round_.trials[list(returned)].to_dict("records") == [returned]


def test_a_permutation_is_still_a_dictionary():
    from refine.run.configuration import Configuration

    params = Configuration({"lr": 0.1, "dropout": 0.2})
    assert params.get("drpout") is None
    assert params.get("drpout", 3) == 3
    assert params.pop("drpout", 4) == 4
    assert "drpout" not in params
    assert dict(**params) == {"lr": 0.1, "dropout": 0.2}
    assert not hasattr(params, "drpout")
    with pytest.raises(KeyError):
        params["drpout"]
