"""Wrong uses of the Keras edge that people new to it make, and what the errors say. Tiny data, one epoch."""

from __future__ import annotations  # as most models are written

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

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


def gives(*outcome: Any) -> Any:
    """A model function that returns what it was given."""

    def model(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
        params["drpout" if not outcome else "dropout"]
        return outcome if len(outcome) != 1 else outcome[0]

    return model


def without_validation(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    model = compiled()
    return fit(model, x_train, y_train, epochs=1), model


def trained(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    model = compiled()
    return fit(model, x_train, y_train, validation_data=(x_val, y_val), epochs=1), model


SEEDS = "must be a whole number >= 0 and < 2**32"
MADE = [
    ((X, Y[:-1]), {}, "y: must have as many rows as x, got 39 and 40; check the selection"),
    ((X, Y), {"val_split": 2}, f"{SHARE} 2; {THIRD}"),
    ((X, Y), {"val_split": "0.3"}, f"{SHARE} '0.3'; {THIRD}"),
    ((X, Y), {"holdout": 20}, "holdout: must be between 0 and 1, got 20; 0.2 seals 20 % of the rows"),
    ((X, Y), {"x_val": X}, "y_val: must be given together with x_val, got None; pass both or neither"),
    ((X, Y), {"split_seed": "a"}, f"split_seed: {SEEDS}, got 'a'; 0 is the default"),
    (
        (X, Y),
        {"preprocess": StandardScaler},
        (
            "preprocess: must be a scikit-learn transformer, got the class StandardScaler; for example "
            "StandardScaler()"
        ),
    ),
    (
        (X, Y),
        {"name": 3},
        (
            "an objective's name must be a non-empty string, got 3; leave it out for the function's "
            "own name; tag= names a round"
        ),
    ),
    ((X, None), {}, "y: must be given with x, got None; only a dataset as x includes targets"),
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
    [*((trained, *arguments) for arguments in MADE), *((model, (X, Y), {}, text) for model, text in MODELS)],
)
def test_a_wrong_objective_is_refused_when_it_is_made(
    model: Any, data: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ObjectiveError) as caught:
        KerasObjective(model, *data, **options)
    assert str(caught.value) == text


STOPPED = [
    (
        (compiled(),),
        "the model function must return (history, model), got Sequential: add `return history, model`",
    ),
    (
        (compiled(), {"acc": [0.5]}),
        (
            "the history must be a keras History or a dict of lists, got Sequential: return history, "
            "model, in this order"
        ),
    ),
    (
        ({"val_acc": 0.5}, compiled()),
        (
            "refine.errors.ObjectiveError: history['val_acc']: must be a list of numbers, got 0.5: one "
            "number per epoch, as in [0.5]"
        ),
    ),
    (
        ({"val_acc": []}, None),
        "the history must hold at least one epoch, got none: check that epochs is at least 1",
    ),
    ((), "refine.errors.UnknownNameError: unknown parameter 'drpout'; did you mean 'dropout'?"),
]
ADDED = (
    "the trial is stored with all its metrics; run again with it: "
    "tree.add_round(space, objective, metric='val_acc')"
)
METRICS = [
    (
        without_validation,
        "val_acc",
        "known: acc, loss, degenerate, all of training; give fit validation_data=(x_val, y_val) and run "
        "again; the trial is stored with all its metrics",
    ),
    (trained, "val_accuracy", f"did you mean 'val_acc'?; {ADDED}"),
    (
        trained,
        "value",
        f"known: acc, loss, val_acc, val_loss, degenerate; {ADDED}",
    ),
]


@pytest.mark.parametrize(
    ("model", "metric", "text", "stored"),
    [
        *(
            (
                gives(*outcome),
                "val_acc",
                "stopped, its first 2 trials all failed alike: "
                f"{text}; a re-run fails too until you fix the cause; see the whole error, or re-run after "
                "the fix: round.failures or round.run(rerun='failed')",
                2,
            )
            for outcome, text in STOPPED
        ),
        *(
            (
                model,
                metric,
                (f"metric {metric!r} is not among what the objective returned; {hint}"),
                1,
            )
            for model, metric, hint in METRICS
        ),
    ],
)
def test_the_round_stops_and_names_the_fix(tree, model: Any, metric: str, text: str, stored: int) -> None:
    objective = KerasObjective(model, X, Y)
    round_ = tree.add_round({"dropout": (0.0, 0.5, 3)}, objective, metric=metric, n=2)
    with pytest.raises((RoundStoppedError, ObjectiveError)) as caught:
        round_.run()
    assert str(caught.value) == f"round {round_.id}: {text}"
    assert len(round_.trials) == stored
