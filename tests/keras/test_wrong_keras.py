"""Wrong uses of the Keras edge that people new to it make, and what the errors say. Tiny data, one epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import refine
from refine.errors import ObjectiveError, RoundStoppedError
from refine.keras import KerasObjective, fit

X = np.random.RandomState(0).rand(40, 3)
Y = (X[:, 0] > 0.5).astype(int)
DEF = "write `def model(x_train, y_train, x_val, y_val, params): ...`"
SHARE = "val_split: must be between 0 and 1, got"
THIRD = "0.3 validates on 30 %"


def compiled() -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["acc"])
    return model


def trained(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    model = compiled()
    return fit(model, x_train, y_train, validation_data=(x_val, y_val), epochs=1), model


def without_validation(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    model = compiled()
    return fit(model, x_train, y_train, epochs=1), model


def only_model(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    return compiled()


def swapped(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    return compiled(), {"acc": [0.5]}


def number_for_curve(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    return {"val_acc": 0.5}, compiled()


def no_epoch(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    return {"val_acc": []}, None


def mistyped(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    return {"val_acc": [params["drpout"]]}, None


SEEDS = "must be a whole number >= 0 and < 2**32"
MADE = [
    ((X, Y[:-1]), {}, "y: must have as many rows as x, got 39 and 40; check how they were selected"),
    ((X, Y), {"val_split": 2}, f"{SHARE} 2; {THIRD}"),
    ((X, Y), {"val_split": "0.3"}, f"{SHARE} '0.3'; {THIRD}"),
    ((X, Y), {"holdout": 20}, "holdout: must be between 0 and 1, got 20; 0.2 seals 20 % of the rows"),
    ((X, Y), {"x_val": X}, "y_val: must be given together with x_val, got None; pass both or neither"),
    ((X, Y), {"split_seed": "a"}, f"split_seed: {SEEDS}, got 'a'; 0 is the default"),
    (
        (X, Y),
        {"preprocess": StandardScaler},
        "preprocess: must be a scikit-learn transformer, got the class StandardScaler; for example StandardScaler()",
    ),
    (
        (X, Y),
        {"name": 3},
        "an objective's name must be a text that is not empty, got 3; leave it out for the function's own",
    ),
    ((X, None), {}, "y: must be given with x, got None; only a dataset as x gives targets itself"),
    ((X, ["a", "b"] * 20), {}, "y: must be numeric, got dtype <U1; encode text and categories first"),
]
MODELS = [
    (compiled(), f"model: must be the function that builds and trains, got a Sequential; {DEF}"),
    (X, f"model: must be a function of five arguments, got ndarray; {DEF}"),
    (
        compiled,
        f"model: must take five positional arguments, got {__name__}.compiled() -> 'keras.Model'; {DEF}",
    ),
]


@pytest.mark.parametrize(
    ("model", "data", "options", "text"),
    [*((trained, *made) for made in MADE), *((model, (X, Y), {}, text) for model, text in MODELS)],
)
def test_it_is_refused_when_it_is_made(model: Any, data: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        KerasObjective(model, *data, **options)
    assert str(caught.value) == text


STOPPED = {
    "only the model": (
        only_model,
        "the model function must return (history, model), got Sequential: add `return history, model`",
    ),
    "the wrong order": (
        swapped,
        "the history must be a keras History or a dict of lists, got Sequential: return history, model, in this order",
    ),
    "a number for a curve": (
        number_for_curve,
        "history['val_acc']: must be a list of numbers, got 0.5: one number per epoch, as in [0.5]",
    ),
    "no epoch": (
        no_epoch,
        "the history must hold at least one epoch, got none: check that epochs is at least 1",
    ),
    "a typo": (mistyped, "unknown parameter 'drpout'; did you mean 'dropout'?"),
}


def added(tree: refine.Tree, model: Any, metric: str) -> refine.Round:
    return tree.add_round({"dropout": (0.0, 0.5, 3)}, KerasObjective(model, X, Y), metric=metric, n=2)


@pytest.mark.parametrize(("model", "text"), STOPPED.values(), ids=STOPPED)
def test_the_round_stops_and_says_what_to_write(model: Any, text: str) -> None:
    with refine.Tree("question", store="sqlite://") as tree:
        found = added(tree, model, "val_acc")
        with pytest.raises(RoundStoppedError) as caught:
            found.run(progress=False)
        kind = "UnknownNameError" if model is mistyped else "ObjectiveError"
        assert str(caught.value) == (
            f"round {found.id}: stopped, its first 2 trials all failed alike: refine.errors.{kind}: {text}; look at the tracebacks, fix it and run "
            "again: round.failures or round.run(rerun='failed')"
        )


METRICS = {
    "no validation data": (
        without_validation,
        "val_acc",
        "known: acc, loss, degenerate, all of training; give fit validation_data=(x_val, y_val)",
    ),
    "a name of Keras": (
        trained,
        "val_accuracy",
        "did you mean 'val_acc'?; add the round with metric='val_acc'",
    ),
    "none": (
        trained,
        "value",
        "known: acc, loss, val_acc, val_loss, degenerate; add the round with metric='val_acc'",
    ),
}


@pytest.mark.parametrize(("model", "metric", "hint"), METRICS.values(), ids=METRICS)
def test_a_metric_that_the_history_lacks(model: Any, metric: str, hint: str) -> None:
    with refine.Tree("question", store="sqlite://") as tree:
        found = added(tree, model, metric)
        with pytest.raises(ObjectiveError) as caught:
            found.run(progress=False)
        assert str(caught.value) == (
            f"round {found.id}: metric {metric!r} is not among what the objective returned; {hint} and run again; the trial "
            "is stored with all its metrics"
        )
        assert len(found.trials) == 1
