"""The configuration that Keras itself would take, as a baseline."""

from __future__ import annotations

import keras
import pytest

import refine
import refine.keras
from refine.errors import SpaceError

SPACE = {
    "learning_rate": refine.Float(1e-4, 1e-1, log=True),
    "optimizer": ["adam", "sgd", "rmsprop"],
    "momentum": (0.0, 0.9, 3),
    "batch_size": [16, 64],
    "dropout": (0.0, 0.5, 6),
    "kernel_initializer": ["he_normal", "glorot_uniform"],
    "epochs": 20,
}


def test_what_keras_says_is_taken_from_keras():
    found = refine.keras.defaults(SPACE, momentum=0.0)
    assert found == {
        "learning_rate": pytest.approx(float(keras.optimizers.RMSprop().learning_rate.numpy())),
        "optimizer": "rmsprop",
        "momentum": 0.0,
        "batch_size": 32,
        "dropout": 0.0,
        "kernel_initializer": "glorot_uniform",
        "epochs": 20,
    }
    assert refine.keras.defaults(SPACE, optimizer="sgd")["learning_rate"] == 0.01


def test_rates_on_the_normalized_scale_are_one():
    space = {"lr": (0.5, 5.0, 10), "optimizer": [keras.optimizers.Nadam, keras.optimizers.SGD], "epochs": 150}
    found = refine.keras.defaults(space, optimizer=keras.optimizers.Nadam)
    assert found == {"lr": 1.0, "optimizer": keras.optimizers.Nadam, "epochs": 150}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Keras has no default for units, activation; give them: refine.keras.defaults"),
        ({"units": 8, "activation": "relu", "layer": 2}, "unknown parameter 'layer'"),
        ({"units": "8", "activation": "relu"}, "defaults: units: must be a finite number, got '8'"),
    ],
)
def test_what_keras_does_not_know_is_asked_for(given, message):
    with pytest.raises(SpaceError, match=message):
        refine.keras.defaults({"units": (8, 64, 4), "activation": ["relu", "elu"]}, **given)


def test_it_is_the_baseline_of_a_round(tree):
    def objective(params):
        return -abs(params["learning_rate"] - 0.003) * 100 - params["dropout"]

    space = {name: SPACE[name] for name in ("learning_rate", "dropout", "batch_size")}
    root = tree.add_round(space, objective, n=20, baseline=refine.keras.defaults(space)).run(progress=False)
    assert root.recommend().gain.baseline.params == {"learning_rate": 0.001, "dropout": 0.0, "batch_size": 32}
