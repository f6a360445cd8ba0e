"""Real trainings under another backend of Keras and their checks, for tests/keras/test_backends.py."""

import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.layers import Dense, Dropout
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

import refine
from refine.errors import RefineError, RefineWarning
from refine.keras import KerasObjective, fit, fmeasure
from refine.run.configuration import Configuration
from refine.run.environment import environment
from refine.run.running_trial import RunningTrial

BACKEND = keras.backend.backend()
OTHER = {"jax": "tensorflow", "torch": "jax"}[BACKEND]
"""What workers are then told to run on."""
X, Y = (part[:120] for part in load_breast_cancer(return_X_y=True))
SPACE = {"learning_rate": refine.Float(0.001, 0.1, levels=5), "dropout": (0.1, 0.5, 3)}
ONE = Configuration({"learning_rate": 0.01, "dropout": 0.3})


def build(params):
    layers = [keras.Input((30,)), Dense(4, activation="relu"), Dropout(params["dropout"])]
    model = keras.Sequential([*layers, Dense(1, activation="sigmoid")])
    optimizer = keras.optimizers.Adam(params["learning_rate"])
    model.compile(optimizer, "binary_crossentropy", metrics=["acc", fmeasure])
    return model


def ours(x_train, y_train, x_val, y_val, params):
    model = build(params)
    return fit(model, x_train, y_train, validation_data=[x_val, y_val], epochs=2), model


def unchanged(x_train, y_train, x_val, y_val, params):
    model = build(params)
    fit_options = {"validation_data": (x_val, y_val), "epochs": 2, "verbose": 0}
    return model.fit(x_train, y_train, **fit_options), model


def made(model=ours, **options):
    return KerasObjective(model, X, Y, preprocess=StandardScaler(), **options)


def values_of(objective, store, **options):
    """Metrics of a round's trials, by cell."""
    with refine.Tree("question", store=store) as tree:
        root = tree.add_round(SPACE, objective, metric="val_acc", n=2, seed=3)
        root.run(machine=refine.Machine(progress=False, **options))
        names = ["state", "seed", "loss", "val_loss", "val_fmeasure", "degenerate"]
        return root.trials.sort_values("cell")[names].to_dict("records")


def rounds(folder):
    """Two workers give the values of one; the best model is kept and the hold-out opened."""
    objective = made(holdout=0.2)
    alone = values_of(objective, "sqlite://")
    assert [trial["state"] for trial in alone] == ["complete", "complete"]
    assert alone[0]["val_loss"] != alone[1]["val_loss"]
    assert values_of(objective, folder / "shared.db", workers=2) == alone
    with refine.Tree("question", store=folder / "shared.db") as tree:
        root = tree.add_round(SPACE, objective, metric="val_acc", n=2, seed=3)
        model = root.best_model(folder / "models")
        read = root.best_model(folder / "models")
        assert all(map(np.array_equal, model.get_weights(), read.get_weights()))
        assert tree.open_holdout(at=root, seeds=2).table["runs"].tolist() == [2]


def objectives():
    """An objective does what it does on TensorFlow; `fit` is that of Keras, and says so once."""
    plain = made()
    accelerated = made(unchanged, accelerate=True)
    plain.prepare(1)
    trial = RunningTrial(seed=7)
    metrics = plain(ONE, trial)
    assert metrics == made(unchanged)(ONE, RunningTrial(seed=7))
    assert accelerated(ONE, RunningTrial(seed=7)) == {**metrics, "accelerated": 0.0}
    assert metrics["degenerate"] == 0.0
    assert trial.examples is not None
    assert plain.code.endswith(f"-{BACKEND}")
    assert accelerated.code.endswith(f"-accelerated-{BACKEND}")
    assert environment(1)["backend"] == BACKEND
    assert BACKEND in environment(1)


def another_backend(folder):
    """Workers on another backend than this process stop the round."""
    missing = (
        f"refine.keras needs {OTHER}, which is not installed: .*environment variable KERAS_BACKEND={BACKEND}"
    )
    differs = f"the objective was made with Keras on {BACKEND}, and this process runs it on {OTHER}; set the"
    os.environ["KERAS_BACKEND"] = OTHER
    try:
        with pytest.raises(RefineError) as caught:
            values_of(made(), folder / "another.db", workers=2)
    finally:
        os.environ["KERAS_BACKEND"] = BACKEND
    assert re.search(missing if BACKEND == "jax" else f"{missing}|{differs}", str(caught.value))


with warnings.catch_warnings(record=True) as caught, tempfile.TemporaryDirectory() as folder:
    warnings.simplefilter("always")
    rounds(Path(folder))
    objectives()
    another_backend(Path(folder))
warned = [str(w.message) for w in caught if issubclass(w.category, RefineWarning)]
assert len(warned) == 1, warned
assert f"the Keras backend is {BACKEND}" in warned[0]
assert "tensorflow" not in sys.modules
assert os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE") == ("false" if BACKEND == "jax" else None)
