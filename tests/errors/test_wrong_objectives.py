"""Objectives that go wrong inside a trial: what stops the round says what to write instead."""

from __future__ import annotations

import numpy as np
import pytest

import refine
from refine.errors import ObjectiveError, RoundStoppedError

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}
RETURNS = "refine.errors.ObjectiveError: an objective must return a number or a mapping of metrics"
NUMBERS = f"{RETURNS} to numbers, got"
EPOCHS = "refine.errors.ObjectiveError: the list of"
UNKNOWN = "refine.errors.UnknownNameError: unknown parameter"
REPORT = (
    "refine.errors.ObjectiveError: report takes the number of an epoch and its metrics by name, trial.report(0, {'loss': "
    "0.5}), got"
)


def returning(value):
    return lambda params: value


def reporting(*given):
    return lambda params, trial: trial.report(*given)


ALIKE = {
    "nothing": (returning(None), f"{NUMBERS} None for 'value'; is a return missing?"),
    "text": (returning("0.9"), f"{NUMBERS} str for 'value' ('0.9'); return a float"),
    "a tuple": (
        returning((0.9, 0.1)),
        f"{RETURNS}, got the tuple (0.9, 0.1); name its numbers, as in return {{'acc': 0.9, 'loss': 0.1}}",
    ),
    "history and model": (
        returning(("history", "model")),
        f"{RETURNS}, got a pair; a model function that returns (history, model) goes into "
        "refine.keras.KerasObjective(model, x, y)",
    ),
    "texts": (returning({"acc": "high"}), f"{NUMBERS} str for 'acc' ('high'); return a float"),
    "a list of losses": (
        returning([0.1, 0.2]),
        f"{RETURNS}, got the list [0.1, 0.2]; name what it holds: return {{'acc': [0.9, 0.8]}} for scores by fold, "
        "{'acc': 0.9, 'loss': 0.1} for metrics",
    ),
    "a fold that is text": (
        returning({"acc": [0.1, "b"]}),
        f"{NUMBERS} str for 'acc@2' ('b'); return a float",
    ),
    "one fold": (
        returning({"acc": [0.1]}),
        "refine.errors.ObjectiveError: a list of scores by fold must hold two or more numbers, got 1 for 'acc'; return a float",
    ),
    "epochs": (
        returning({"acc": [0.5] * 31}),
        f"{EPOCHS} 31 numbers for 'acc' looks like one per epoch; return the epoch that counts, history['acc'][-1]; "
        "scores by fold in an array are taken for that: np.array(scores)",
    ),
    "a history": (
        returning({"val_acc": [0.5, 0.6], "acc": [0.6, 0.7]}),
        f"{EPOCHS} 2 numbers for 'val_acc' looks like one per epoch; return the epoch that counts, history['val_acc'][-1]; "
        "scores by fold in an array are taken for that: np.array(scores)",
    ),
    "folds twice": (
        returning({"acc": [0.1, 0.2], "acc@1": 0.1}),
        "refine.errors.ObjectiveError: the scores of 'acc' by fold are called acc@1, ..., got a metric 'acc@1' too",
    ),
    "an array": (
        returning(np.zeros((2, 2))),
        f"{NUMBERS} ndarray for 'value' (shape (2, 2)); return a float",
    ),
    "an empty mapping": (returning({}), f"{RETURNS}, got an empty mapping"),
    "a typo": (lambda params: params["drpout"], f"{UNKNOWN} 'drpout'; did you mean 'dropout'?"),
    "a typo popped": (lambda params: params.pop("drpout"), f"{UNKNOWN} 'drpout'; did you mean 'dropout'?"),
    "a number": (lambda params: params[0], f"{UNKNOWN} 0; known: lr, dropout"),
    "an attribute": (
        lambda params: params.dropout,
        "AttributeError: a configuration is a dictionary and has no attribute 'dropout'; write params['dropout']",
    ),
    "another library's trial": (
        lambda trial: trial.suggest_float("lr", 0, 1),
        "AttributeError: a configuration is a dictionary and has no attribute 'suggest_float'; write params['lr']",
    ),
    "another dictionary's key": (lambda params: {}["lr"], "KeyError: 'lr'"),
    "a number reported": (reporting(0, 0.5), f"{REPORT} 0 and 0.5"),
    "an epoch as text": (reporting("1", {"loss": 0.5}), f"{REPORT} '1' and {{'loss': 0.5}}"),
    "texts reported": (
        reporting(0, {"loss": "low"}),
        "refine.errors.ObjectiveError: report takes numbers by name, got str for 'loss' ('low'); return a float",
    ),
}


@pytest.mark.parametrize(("objective", "text"), ALIKE.values(), ids=ALIKE)
def test_the_round_stops_and_says_what_to_write(objective, text):
    with refine.Tree("question", store="sqlite://") as tree:
        found = tree.add_round(SPACE, objective, n=12, name="mine")
        with pytest.raises(RoundStoppedError) as caught:
            found.run(progress=False)
        assert str(caught.value) == (
            f"round {found.id}: stopped, its first 5 trials all failed alike: {text}; look at the tracebacks, fix it and run "
            "again: round.failures or round.run(rerun='failed')"
        )
        assert found.failures["error"].str.strip().str.endswith(text).all()
        assert len(found.trials) == 5  # and none of them is lost
        mended = tree.add_round(SPACE, lambda params: params["lr"], n=12, name="mine")
        assert mended.run(progress=False, rerun="failed").trials["state"].eq("complete").all()


METRICS = {
    "a typo": (
        "val_accuracy",
        {"val_acc": 0.5, "loss": 1.0},
        "did you mean 'val_acc'?; add the round with metric='val_acc'",
    ),
    "of the best epoch": (
        "max:acc",
        {"val_acc": 0.5},
        "did you mean 'val_acc'?; add the round with metric='max:val_acc'",
    ),
    "none": (
        "value",
        {"loss": 1.0, "val_f1": 0.5},
        "known: loss, val_f1; add the round with metric='val_f1'",
    ),
    "of validation": (
        "val_acc",
        {"acc": 0.5, "loss": 1.0},
        "known: acc, loss, all of training; give fit validation_data=(x_val, y_val)",
    ),
}


@pytest.mark.parametrize(("metric", "returned", "hint"), METRICS.values(), ids=METRICS)
def test_a_metric_that_is_not_returned(metric, returned, hint):
    with refine.Tree("question", store="sqlite://") as tree:
        found = tree.add_round(SPACE, returning(returned), n=12, metric=metric, name="mine")
        with pytest.raises(ObjectiveError) as caught:
            found.run(progress=False)
        assert str(caught.value) == (
            f"round {found.id}: metric {metric!r} is not among what the objective returned; {hint} and run again; the trial "
            "is stored with all its metrics"
        )
        assert found.trials[list(returned)].to_dict("records") == [returned]


def test_a_permutation_is_still_a_dictionary():
    from refine.run.objective import Configuration

    params = Configuration({"lr": 0.1, "dropout": 0.2})
    assert params.get("drpout") is None
    assert params.get("drpout", 3) == 3
    assert params.pop("drpout", 4) == 4
    assert "drpout" not in params
    assert dict(**params) == {"lr": 0.1, "dropout": 0.2}
    assert not hasattr(params, "drpout")
    with pytest.raises(KeyError):
        params["drpout"]
