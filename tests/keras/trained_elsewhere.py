"""What tests/keras/test_backends.py runs where Keras has another backend: real trainings, and facts about them as JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.layers import Dense, Dropout
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

import refine
from refine.errors import RefineError, RefineWarning
from refine.keras import KerasObjective, defaults, fit, fmeasure
from refine.run.environment import environment
from refine.run.objective import Configuration, RunningTrial

BACKEND = keras.backend.backend()
X, Y = (part[:120] for part in load_breast_cancer(return_X_y=True))
SPACE = {"learning_rate": refine.Float(0.001, 0.1, levels=5), "dropout": (0.1, 0.5, 3)}
ONE = Configuration({"learning_rate": 0.01, "dropout": 0.3})


def build(params: Any) -> keras.Model:
    layers = [keras.Input((30,)), Dense(4, activation="relu"), Dropout(params["dropout"])]
    model = keras.Sequential([*layers, Dense(1, activation="sigmoid")])
    optimizer = keras.optimizers.Adam(params["learning_rate"])
    model.compile(optimizer, "binary_crossentropy", metrics=["acc", fmeasure])
    return model


def ours(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    model = build(params)
    return fit(model, x_train, y_train, validation_data=[x_val, y_val], epochs=2), model


def unchanged(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    model = build(params)
    given = {"validation_data": (x_val, y_val), "epochs": 2, "verbose": 0}
    return model.fit(x_train, y_train, **given), model


def restored(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    model = build(params)
    stops = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=100.0, restore_best_weights=True)
    given = {"validation_data": (x_val, y_val), "epochs": 5, "callbacks": [stops]}
    return fit(model, x_train, y_train, **given), model


def longer(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    """Without dropout the loss of a rate of 0 stays where it is, behind that of any other."""
    model = build({**params, "dropout": 0.0})
    return fit(model, x_train, y_train, validation_data=(x_val, y_val), epochs=4), model


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The rows, 50 at a time."""

    def __len__(self) -> int:
        return -(-len(X) // 50)

    def __getitem__(self, i: int) -> Any:
        return X[50 * i : 50 * i + 50], Y[50 * i : 50 * i + 50]


def made(model: Any = ours, x: Any = X, y: Any = Y, **options: Any) -> KerasObjective:
    return KerasObjective(model, x, y, preprocess=StandardScaler(), **options)


def values_of(objective: Any, store: Any, **options: Any) -> list[dict[str, Any]]:
    """Metrics of a round's trials, by cell."""
    with refine.Tree("question", store=store) as tree:
        root = tree.add_round(SPACE, objective, metric="val_acc", n=2, seed=3)
        root.run(progress=False, **options)
        names = ["state", "seed", "loss", "val_loss", "val_fmeasure", "degenerate"]
        return root.trials.sort_values("cell")[names].to_dict("records")


def of_rounds(folder: Path) -> dict[str, Any]:
    objective = made(holdout=0.2)
    alone = values_of(objective, "sqlite://")
    shared = values_of(objective, folder / "shared.db", workers=2)
    with refine.Tree("question", store=folder / "shared.db") as tree:
        root = tree.add_round(SPACE, objective, metric="val_acc", n=2, seed=3)
        model = root.best_model(folder / "models")
        read = root.best_model(folder / "models")
        opened = root.open_holdout(seeds=2)
    same = zip(model.get_weights(), read.get_weights(), strict=True)
    return {
        "alone": alone,
        "shared": shared,
        "kept": all(np.array_equal(one, other) for one, other in same),
        "opened": str(opened),
    }


def of_objectives() -> dict[str, Any]:
    plain = made()
    plain.prepare(1)
    trial = RunningTrial(seed=7)
    accelerated = made(unchanged, accelerate=True)
    own_fit = keras.Model.fit
    stops = made(restored)
    model, metrics = stops.trained(ONE, RunningTrial(seed=7))
    scored = model.evaluate(*stops._data[2:], verbose=0, return_dict=True)
    with_folds = made(splits=KFold(2))(ONE, RunningTrial(seed=7))
    return {
        "fit": plain(ONE, trial),
        "model.fit": made(unchanged)(ONE, RunningTrial(seed=7)),
        "accelerated": accelerated(ONE, RunningTrial(seed=7)),
        "put back": keras.Model.fit is own_fit,
        "read": made(x=Batches(), y=None).fingerprint == plain.fingerprint,
        "predicted": trial.examples is not None,
        "folds": sorted(name for name in with_folds if name.startswith("val_acc")),
        "restored": [metrics["val_loss"], scored["loss"]],
        "codes": [plain.code, accelerated.code],
        "defaults": defaults(refine.Space(SPACE | {"optimizer": ["adam", "rmsprop"]}), optimizer="adam"),
        "environment": environment(1),
    }


def of_pruning() -> dict[str, Any]:
    rates = {"learning_rate": [0.0, 0.03, 0.05], "dropout": 0.1}
    rule = refine.Pruner(warmup=1, min_trials=2)
    with refine.Tree("question", store="sqlite://") as tree:
        root = tree.add_round(
            rates, made(longer), metric="val_loss", direction="minimize", pruner=rule, n=3, seed=1
        )
        root.run(progress=False)
        return {
            "states": dict(zip(root.trials["learning_rate"].astype(str), root.trials["state"], strict=True))
        }


def of_another_backend(folder: Path) -> str:
    """What is said where workers would run on another backend than this process."""
    os.environ["KERAS_BACKEND"] = sys.argv[1]
    try:
        values_of(made(), folder / "another.db", workers=2)
    except RefineError as error:
        return str(error)
    finally:
        os.environ["KERAS_BACKEND"] = BACKEND
    return "nothing"


with warnings.catch_warnings(record=True) as caught, tempfile.TemporaryDirectory() as made_here:
    warnings.simplefilter("always")
    here = Path(made_here)
    facts = {
        "backend": BACKEND,
        "rounds": of_rounds(here),
        "objectives": of_objectives(),
        "pruning": of_pruning(),
        "another": of_another_backend(here),
        "tensorflow": "tensorflow" in sys.modules,
        "preallocate": os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE"),
    }
facts["said"] = [str(w.message) for w in caught if issubclass(w.category, RefineWarning)]
print(json.dumps(facts, default=str))
